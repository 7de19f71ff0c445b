"""Rows that no intake can read, one now and then: they must end in quarantine, counted, and never be guessed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from demur.testing.cast import Profile, World

_FAULTS: tuple[dict[str, Any], ...] = (
    {"kind": "hologram"},
    {"audience": "besties"},
    {"created_at": "31.02.2026"},
    {"item_id": ""},
    {"created_at": "1066-10-14T00:00:00Z"},
    {"audience": None},
)
"""The last one is readable, but says nothing about its audience: unknown, so never used."""


def spoiled(world: World, who: Profile) -> Iterator[dict[str, Any]]:
    """Yield the unreadable row of a person, if it is their turn: every 40th person's, each fault in turn."""
    if who.index % 40 == 7:
        made: dict[str, Any] = {
            "item_id": f"{who.services[0]}:{who.index}-x",
            "state": "live",
            "service": who.services[0],
            "kind": "post",
            "account_id": who.account(),
            "created_at": world.days(200),
            "version_at": world.days(200),
            "audience": "public",
            "text": "…",
        }
        yield {**made, **_FAULTS[who.index // 40 % len(_FAULTS)]}

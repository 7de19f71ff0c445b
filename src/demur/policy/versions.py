"""Policies side by side: what is wrong with one, what it says, and what differs between two (JUR-01)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demur.errors import ConfigError
from demur.policy.reading import canonical, read
from demur.terms.policy import Policy


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs between two policies."""

    place: str
    """Where: ``jurisdictions.Brazil.terms.notice_days``."""
    before: Any
    """``None`` = not there."""
    after: Any
    """``None`` = no longer there."""


def check(path_or_preset: str | Path) -> tuple[str, ...]:
    """Return every fault of a policy file, one sentence each with its line; empty = it can be used."""
    try:
        read(path_or_preset)
    except ConfigError as error:
        return error.faults or (str(error),)
    return ()


def show(policy: Policy) -> dict[str, Any]:
    """Return everything that a policy says, defaults and sets of countries filled in, in plain values."""
    return {**canonical(policy), "digest": policy.digest}


def diff(before: Policy, after: Policy) -> tuple[Change, ...]:
    """Return what differs between two policies; a policy against itself differs in nothing (STYLE 3.16)."""
    return tuple(_changes("", _named(canonical(before)), _named(canonical(after))))


def _named(plain: dict[str, Any]) -> dict[str, Any]:
    return {**plain, "jurisdictions": {str(each["name"]): each for each in plain["jurisdictions"]}}


def _changes(place: str, before: Any, after: Any) -> Iterator[Change]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after}):
            inner = f"{place}.{key}" if place else key
            yield from _changes(inner, before.get(key), after.get(key))
    elif before != after:
        yield Change(place, before, after)

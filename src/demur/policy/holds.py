"""Authorities' stops in force, from the events that placed and lifted them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from demur.terms.content import Kind
from demur.terms.people import Act
from demur.terms.policy import Hold

_ANY_KIND = frozenset(Kind)


def in_force(events: Iterable[Mapping[str, Any]], *, as_of: datetime, known_at: datetime) -> tuple[Hold, ...]:
    """Return the holds that bind a decision.

    A placing counts once it is valid by ``known_at``, or undated; a lifting only when it was valid *and* recorded by
    ``as_of``. So learning more never lets more in.

    Args:
        events: rows of the HOLDS table, recorded by ``known_at``.
        as_of: instant of the decision.
        known_at: instant up to which restrictions count.
    """
    every = list(events)
    lifted = [
        row
        for row in every
        if row["act"] == Act.LIFT and _by(row["valid_at"], as_of) and _by(row["recorded_at"], as_of)
    ]
    placed = [
        row for row in every if row["act"] != Act.LIFT and (row["valid_at"] is None or row["valid_at"] <= known_at)
    ]
    kept = [_hold(row) for row in placed if not any(_ends(lift, row) for lift in lifted)]
    return tuple(sorted(set(kept), key=lambda hold: (hold.hold_id, repr(hold))))


def _by(instant: datetime | None, limit: datetime) -> bool:
    return instant is not None and instant <= limit


def _ends(lift: Mapping[str, Any], placing: Mapping[str, Any]) -> bool:
    same = lift["hold_id"] == placing["hold_id"] and placing["valid_at"] is not None
    return bool(same and placing["valid_at"] <= lift["valid_at"])


def _hold(row: Mapping[str, Any]) -> Hold:
    kinds = _members(row["kinds"])
    return Hold(
        hold_id=row["hold_id"],
        countries=_members(row["countries"]),
        services=_members(row["services"]),
        kinds=frozenset(Kind(kind) for kind in kinds) if kinds <= _ANY_KIND else frozenset(),
        created_from=row["created_from"],
        created_until=row["created_until"],
        purpose=row["purpose"],
        campaign=row["campaign_id"],
        authority=row["authority"],
        instrument=row["instrument"],
    )


def _members(values: Iterable[str | None] | None) -> frozenset[str]:
    """A missing member widens the hold to everything: what is unknown is covered."""
    found = list(values or ())
    return frozenset() if None in found else frozenset(value for value in found if value is not None)

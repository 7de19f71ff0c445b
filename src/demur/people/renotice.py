"""A hold that was lifted under the condition of a new notice: older notices no longer count for its people (HLD-04).

The notice addresses a person, so a slice by countries or campaign decides; that it was only about photos does not
matter: those people are told again. Whose residence is not known is covered. Pure but for the one query.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from demur.people import schema


@dataclass(frozen=True, slots=True)
class Renotice:
    """People of a slice need a notice that was delivered from ``at`` on."""

    countries: frozenset[str]
    """Empty = everywhere."""
    campaign_id: str | None
    """Only people whom that campaign had told; ``None`` = all."""
    at: int


def renotices(connection: sa.Connection, known_at: int, purpose: str | None) -> tuple[Renotice, ...]:
    """Return the conditions that were known by an instant, for one purpose (``None`` = any)."""
    table = schema.HOLDS
    query = sa.select(table).where(table.c.renotice_at.is_not(None), table.c.recorded_at <= known_at)
    return tuple(
        Renotice(frozenset(schema.unlisted(row.countries) or ()), row.campaign_id, row.renotice_at)
        for row in connection.execute(query.order_by(table.c.hold_id, table.c.event_id))
        if purpose is None or row.purpose in {None, purpose}
    )


def told_again_from(
    conditions: Iterable[Renotice], countries: Iterable[str | None], campaigns: Iterable[str], arrived_at: int | None
) -> int | None:
    """Return from when on a notice counts for a person; ``None`` = any does.

    Args:
        conditions: of the lifted holds.
        countries: where the person ever lived; empty or with ``None`` = unknown.
        campaigns: that told the person.
        arrived_at: what the person's moves alone ask for.
    """
    homes, told = set(countries), set(campaigns)
    needed = [
        one.at
        for one in conditions
        if (not one.countries or not homes or None in homes or homes & one.countries)
        and (one.campaign_id is None or one.campaign_id in told)
    ]
    return max([*needed, *([] if arrived_at is None else [arrived_at])], default=None)

"""How many people said what, by day, door, country and language; figures only, no ids leave.

The country of a figure is the last known residence; decisions never rely on it (standing.py says what they rely on).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from demur.clock import micros
from demur.people import schema
from demur.people.instants import ALWAYS, day
from demur.people.timeline import Timeline
from demur.terms.people import Act

_DAY = 86_400_000_000
AXES = ("country", "day", "door", "language")


@dataclass(frozen=True, slots=True)
class ObjectionFigures:
    """People who objected; in one axis each of them counts once a value."""

    people: int
    withdrawn: int
    """People who ever took one back."""
    by: dict[str, dict[str, int]]
    """Axis → value (``unknown`` where nothing is known) → people."""


class Counting:
    """The part of the registry that counts."""

    _database: Timeline

    def objection_figures(self, *, since: datetime, countries: Collection[str] | None = None) -> ObjectionFigures:
        """Return how many people objected.

        Args:
            since: first day of the axis ``day``; the other axes count everything.
            countries: only people whose last known residence is there; ``None`` = everybody.
        """
        table = schema.OBJECTIONS
        home, tongue = _home(), _tongue()
        joined = table.outerjoin(home, home.c.person_id == table.c.person_id)
        joined = joined.outerjoin(tongue, tongue.c.person_id == table.c.person_id)
        only = [] if countries is None else [home.c.country.in_(sorted(countries))]
        objected = [table.c.act == Act.OBJECT.value, *only]
        people = sa.func.count(sa.distinct(table.c.person_id))
        axes: dict[str, Any] = {
            "country": home.c.country, "door": table.c.door, "language": tongue.c.language,
            "day": table.c.valid_at - table.c.valid_at % _DAY,
        }  # fmt: skip
        found: dict[str, dict[str, int]] = {}
        with self._database.reading() as connection:
            total = connection.execute(sa.select(people).select_from(joined).where(*objected)).scalar_one()
            back = sa.select(people).select_from(joined).where(table.c.act == Act.WITHDRAW.value, *only)
            withdrawn = connection.execute(back).scalar_one()
            for name in AXES:
                more = [table.c.valid_at >= micros(since)] if name == "day" else []
                query = sa.select(axes[name], people).select_from(joined).where(*objected, *more).group_by(axes[name])
                found[name] = {_named(name, value): count for value, count in connection.execute(query)}
        return ObjectionFigures(total, withdrawn, found)

    def how_many(self) -> int:
        """Return how many people have an account."""
        query = sa.select(sa.func.count(sa.distinct(schema.ACCOUNTS.c.person_id)))
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())


def _named(axis: str, value: Any) -> str:
    if value is None:
        return "unknown"
    if axis == "day":
        found: date = day(int(value) // _DAY)
        return found.isoformat()
    return str(value)


def _home() -> Any:
    """Return person → last known country."""
    table = schema.RESIDENCES
    objectors = sa.select(schema.OBJECTIONS.c.person_id).distinct()
    order = (sa.func.coalesce(table.c.valid_from, ALWAYS).desc(), table.c.recorded_at.desc(), table.c.event_id)
    place = sa.func.row_number().over(partition_by=table.c.person_id, order_by=order).label("place")
    known = (table.c.person_id.in_(objectors), table.c.country.is_not(None))
    ranked = sa.select(table.c.person_id, table.c.country, place).where(*known).subquery()
    return sa.select(ranked.c.person_id, ranked.c.country).where(ranked.c.place == 1).subquery()


def _tongue() -> Any:
    """Return person → language told last."""
    profiles, accounts = schema.PROFILES, schema.ACCOUNTS
    objectors = sa.select(schema.OBJECTIONS.c.person_id).distinct()
    order = (sa.func.coalesce(profiles.c.valid_at, ALWAYS).desc(), profiles.c.recorded_at.desc(), profiles.c.event_id)
    place = sa.func.row_number().over(partition_by=accounts.c.person_id, order_by=order).label("place")
    ranked = (
        sa.select(accounts.c.person_id, profiles.c.language, place)
        .join(profiles, profiles.c.account_id == accounts.c.account_id)
        .where(profiles.c.language.is_not(None), accounts.c.person_id.in_(objectors))
        .subquery()
    )
    return sa.select(ranked.c.person_id, ranked.c.language).where(ranked.c.place == 1).subquery()

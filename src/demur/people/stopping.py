"""Holds in the registry: placed, lifted, and what stands. Does not know what a stage does when it is stopped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from demur.clock import from_micros, iso, micros
from demur.errors import InputError, RefusedError
from demur.people import schema
from demur.people.events import read_event
from demur.people.timeline import Timeline
from demur.terms.holds import Lift, Nature, PlacedHold, Stage
from demur.terms.people import Act

_SCOPE = ("countries", "services", "kinds", "created_from", "created_until", "purpose", "campaign_id", "authority")
_ALL = frozenset(Stage)
_LISTED = frozenset({"countries", "services", "kinds", "people", "stages"})
_GONE_OUT = ("sent", "delivered")


def takes_out() -> sa.ColumnElement[bool]:
    """Return the condition under which a placing denies items (``PlacedHold.takes_out``)."""
    hold = schema.HOLDS.c
    return sa.and_(
        hold.act == Act.PLACE.value,
        hold.artefact.is_(None),
        sa.or_(hold.nature.is_(None), hold.nature != Nature.DRILL.value),
        sa.or_(hold.stages.is_(None), hold.stages.like(f'%"{Stage.BUILDS.value}"%')),
    )


class Stopping:
    """The part of the registry that is about holds, and how far it has taken in what the ledger knows."""

    _database: Timeline

    def place_hold(
        self,
        hold_id: str,
        *,
        authority: str,
        instrument: str,
        recorded_at: datetime,
        valid_at: datetime | None = None,
        **scope: Any,
    ) -> None:
        """Record an authority's stop (HLD-01).

        Args:
            hold_id: name of the hold.
            authority: who ordered it.
            instrument: act or letter.
            recorded_at: now.
            valid_at: from when it holds; ``None`` = now.
            scope: ``countries``, ``services``, ``kinds`` (lists), ``created_from``, ``created_until`` (ISO 8601),
                ``purpose``, ``campaign_id``, ``artefact``; what is absent is not restricted. ``stages`` (list; absent
                = all), ``nature``, ``text``, ``deadline_at``, ``penalty``.
        """
        event = {"type": "hold", "act": Act.PLACE.value, "hold_id": hold_id, "authority": authority}
        event |= {**scope, "instrument": instrument, "valid_at": iso(valid_at or recorded_at)}
        table, row = read_event(event, micros(recorded_at))
        with self._database.writing() as connection:
            self._database.write(connection, table, [row])

    def lift_hold(
        self,
        hold_id: str,
        *,
        by: Sequence[str],
        reason: str,
        recorded_at: datetime,
        valid_at: datetime | None = None,
        renotice_at: datetime | None = None,
    ) -> None:
        """Record the end of a hold.

        Args:
            hold_id: the hold.
            by: names of the people who lift it, two different ones at least (HLD-04).
            reason: why, or the instrument that ends it.
            recorded_at: now.
            valid_at: from when it is lifted; ``None`` = now.
            renotice_at: people of the slice need a notice that was delivered from then on; ``None`` = older ones do.

        Raises:
            RefusedError: fewer than two different people, no reason, or it is an order to erase.
            InputError: there is no such hold.
        """
        if len({name.strip().casefold() for name in by if name.strip()}) < 2 or not reason.strip():
            raise RefusedError("lifting a hold needs two different named people and a reason; name them (HLD-04)")
        table = schema.HOLDS
        query = sa.select(table).where(table.c.hold_id == hold_id, table.c.act == Act.PLACE.value)
        with self._database.writing() as connection:
            placed = connection.execute(query.order_by(table.c.valid_at, table.c.event_id)).first()
            if placed is None:
                raise InputError("expected a hold that was placed, found none of that name; list the holds")
            if placed.nature == Nature.ORDER.value:
                raise RefusedError("this is an order to erase: what was erased cannot come back by lifting it (ERA-06)")
            scope = [getattr(placed, name) for name in _SCOPE]
            at = micros(valid_at or recorded_at)
            renotice = None if renotice_at is None else micros(renotice_at)
            values = (hold_id, Act.LIFT.value, *scope, reason, schema.listed(by), at,
                      None, None, placed.nature, None, None, None, renotice)  # fmt: skip
            row = schema.event(*values, recorded_at=micros(recorded_at), added=schema.HOLDS_ADDED)
            self._database.write(connection, table, [row])

    def holds(self) -> list[PlacedHold]:
        """Return every hold that was ever placed, oldest first, each with its lift."""
        table = schema.HOLDS
        with self._database.reading() as connection:
            rows = list(connection.execute(sa.select(table).order_by(table.c.valid_at, table.c.hold_id)))
        lifts = [row for row in rows if row.act == Act.LIFT]
        return [_placed(row, lifts) for row in rows if row.act != Act.LIFT]

    def hold_events(self) -> list[dict[str, Any]]:
        """Return every word on a hold as an event of an import has it, oldest first; what was not said is absent."""
        names = [str(one.name) for one in schema.HOLDS.columns if one.name != "event_id"]
        query = sa.select(*(schema.HOLDS.c[name] for name in names))
        with self._database.reading() as connection:
            rows = list(connection.execute(query.order_by(schema.HOLDS.c.recorded_at, schema.HOLDS.c.event_id)))
        return [
            {
                "by" if name == "people" else name: _plain(name, value)
                for name, value in zip(names, row, strict=True)
                if value is not None
            }
            for row in rows
        ]

    def campaign_purposes(self, campaign_id: str) -> frozenset[str]:
        """Return the purposes that a campaign ever announced; empty = nobody knows it yet."""
        query = sa.select(schema.CAMPAIGNS.c.purpose).where(schema.CAMPAIGNS.c.campaign_id == campaign_id)
        with self._database.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def notices_between(self, begin: datetime, end: datetime, countries: frozenset[str]) -> dict[str, int]:
        """Return campaign → people to whom a notice went out in an interval.

        Args:
            begin: first instant.
            end: first instant after it.
            countries: only people of whom a home there is known, or none at all; empty = everybody.
        """
        notices, homes = schema.NOTICES, schema.RESIDENCES
        query = sa.select(notices.c.campaign_id, sa.func.count(sa.distinct(notices.c.person_id)))
        query = query.where(
            notices.c.valid_at >= micros(begin), notices.c.valid_at < micros(end), notices.c.state.in_(_GONE_OUT)
        )
        if countries:
            known = sa.exists().where(homes.c.person_id == notices.c.person_id, homes.c.country.is_not(None))
            here = known.where(homes.c.country.in_(sorted(countries)))
            query = query.where(sa.or_(here, ~known))
        with self._database.reading() as connection:
            found = connection.execute(query.group_by(notices.c.campaign_id).order_by(notices.c.campaign_id))
            return {campaign: int(people) for campaign, people in found}

    def newest_no(self) -> tuple[int, int]:
        """Return when the newest objection and the newest hold were recorded (microseconds; 0 = never): one look each.

        Cheap, whatever the registry's size: what must be honoured at once is asked for every second.
        """
        queries = [sa.select(sa.func.max(table.c.recorded_at)) for table in (schema.OBJECTIONS, schema.HOLDS)]
        with self._database.reading() as connection:
            objected, held = (connection.execute(query).scalar() for query in queries)
        return int(objected or 0), int(held or 0)

    def mark(self, name: str) -> int:
        """Return a number that the registry keeps about itself, 0 when it was never set."""
        with self._database.reading() as connection:
            found = connection.execute(sa.select(schema.MARKS.c.value).where(schema.MARKS.c.name == name)).scalar()
        return int(found or 0)

    def set_mark(self, name: str, value: int) -> None:
        """Keep a number."""
        with self._database.writing() as connection:
            told = {"name": name, "value": value}
            # In one statement: processes that start together set the same mark.
            insert: Any = postgresql_insert if self._database.is_postgresql else sqlite_insert
            connection.execute(
                insert(schema.MARKS).values(told).on_conflict_do_update(index_elements=["name"], set_={"value": value})
            )


def _placed(row: Any, lifts: Sequence[Any]) -> PlacedHold:
    nature = Nature(row.nature or Nature.AUTHORITY.value)
    stages = schema.unlisted(row.stages)
    return PlacedHold(
        hold_id=row.hold_id,
        countries=_set(row.countries),
        services=_set(row.services),
        kinds=_set(row.kinds),
        created_from=_at(row.created_from),
        created_until=_at(row.created_until),
        purpose=row.purpose,
        campaign_id=row.campaign_id,
        artefact=row.artefact,
        stages=_ALL if stages is None else frozenset(Stage(stage) for stage in stages),
        nature=nature,
        authority=row.authority,
        instrument=row.instrument,
        text=row.text,
        deadline_at=_at(row.deadline_at),
        penalty=row.penalty,
        valid_at=from_micros(row.valid_at),
        recorded_at=from_micros(row.recorded_at),
        lift=None if nature is Nature.ORDER else _lift(row, lifts),
    )


def _lift(row: Any, lifts: Sequence[Any]) -> Lift | None:
    ends = [lift for lift in lifts if lift.hold_id == row.hold_id and lift.valid_at >= row.valid_at]
    if not ends:
        return None
    first = min(ends, key=lambda lift: (lift.valid_at, lift.event_id))
    by = tuple(schema.unlisted(first.people) or ())
    return Lift(by, first.instrument, from_micros(first.valid_at), _at(first.renotice_at))


def _plain(name: str, stored: Any) -> Any:
    """Return a stored value as events have it."""
    if isinstance(stored, int):
        return iso(from_micros(stored))
    return list(schema.unlisted(stored) or ()) if name in _LISTED else stored


def _set(stored: str | None) -> frozenset[str]:
    return frozenset(schema.unlisted(stored) or ())


def _at(stored: int | None) -> datetime | None:
    return None if stored is None else from_micros(stored)

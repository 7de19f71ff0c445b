"""The queue of the live feed: one table in SQLite or PostgreSQL, durable when its transaction is.

A row holds one event or many, a line each. Whoever takes rows first marks them with the name of a segment, reads the
segment as an import unit, and only then removes them: whoever is killed between finds the same segment again. The
platform may write rows itself (docs/feed.md has the table). Does not know what an event says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, Table, Text

from demur.clock import from_micros, micros
from demur.store.database import Database

METADATA = MetaData()
EVENTS = Table(
    "feed_events",
    METADATA,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("service", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),  # JSON lines, UTF-8
    Column("received_at", BigInteger),  # microseconds since 1970; null = whoever wrote it did not say
    Column("segment", Text),  # being read under this name; null = waits
    Index("ix_feed_events_segment", "segment"),
    sqlite_autoincrement=True,
)
"""What came in and has not been read into the tables yet."""

SEGMENT_ROWS = 50_000
SEGMENT_BYTES = 64 * 2**20
_LOOK = 1_000
"""Rows whose sizes are looked at in one go."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows of one service that are read as one import unit."""

    name: str
    service: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """What has not been read yet, of one service."""

    service: str
    batches: int
    since: datetime | None
    """When the oldest came."""


class FeedQueue:
    """The table, opened.

    Args:
        url: SQLAlchemy URL of the database that holds it.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)
        with self._database.writing() as connection:
            METADATA.create_all(connection)

    def __enter__(self) -> FeedQueue:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._database.close()

    def put(self, service: str, body: bytes, at: datetime) -> None:
        """Keep a batch; it is on disk when this returns."""
        with self._database.writing() as connection:
            connection.execute(sa.insert(EVENTS).values(service=service, body=body, received_at=micros(at)))

    def waiting(self) -> list[Waiting]:
        """Return what has not been read yet, by service."""
        query = sa.select(EVENTS.c.service, sa.func.count(), sa.func.min(EVENTS.c.received_at))
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(EVENTS.c.service).order_by(EVENTS.c.service)).all()
        return [Waiting(name, count, None if since is None else from_micros(since)) for name, count, since in rows]

    def length(self) -> int:
        """Return about how many rows wait, in no time: never fewer than there are."""
        with self._database.reading() as connection:
            low, high = connection.execute(sa.select(sa.func.min(EVENTS.c.number), sa.func.max(EVENTS.c.number))).one()
        return 0 if high is None else high - low + 1

    def unfinished(self) -> Segment | None:
        """Return a segment that somebody began to read and did not finish."""
        query = sa.select(EVENTS.c.segment, EVENTS.c.service).where(EVENTS.c.segment.is_not(None))
        with self._database.reading() as connection:
            row = connection.execute(query.order_by(EVENTS.c.number).limit(1)).first()
        return None if row is None else Segment(row.segment, row.service)

    def claim(self, *, rows: int = SEGMENT_ROWS, size: int = SEGMENT_BYTES) -> Segment | None:
        """Mark the oldest rows of the service that waits longest as a segment; ``None`` = nothing waits."""
        waits = EVENTS.c.segment.is_(None)
        with self._database.writing() as connection:
            oldest = connection.execute(sa.select(EVENTS).where(waits).order_by(EVENTS.c.number).limit(1)).first()
            if oldest is None:
                return None
            segment = Segment(f"segment-{oldest.number}", oldest.service)
            mine = self._up_to(connection, segment.service, rows, size)
            taken = sa.update(EVENTS).where(EVENTS.c.number.in_(sa.bindparam("numbers", expanding=True)))
            for start in range(0, len(mine), _LOOK):
                connection.execute(taken.values(segment=segment.name), {"numbers": mine[start : start + _LOOK]})
        return segment

    def _up_to(self, connection: sa.Connection, service: str, rows: int, size: int) -> list[int]:
        """Return numbers of waiting rows, oldest first, up to a count and a size; rows that others hold are passed."""
        query = sa.select(EVENTS.c.number, sa.func.length(EVENTS.c.body))
        query = query.where(EVENTS.c.segment.is_(None), EVENTS.c.service == service).order_by(EVENTS.c.number)
        found: list[int] = []
        held = 0
        for number, length in connection.execute(query.limit(rows).with_for_update(skip_locked=True)):
            held += length
            if found and held > size:
                break
            found.append(number)
        return found

    def bodies(self, segment: Segment) -> Iterator[bytes]:
        """Yield the batches of a segment in order, one in memory at a time."""
        query = sa.select(EVENTS.c.body).where(EVENTS.c.segment == segment.name).order_by(EVENTS.c.number)
        with self._database.reading() as connection:
            for (body,) in connection.execution_options(yield_per=16).execute(query):
                yield bytes(body)

    def done(self, segment: Segment) -> None:
        """Remove a segment's rows: they are in the tables now."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(EVENTS).where(EVENTS.c.segment == segment.name))


def facts(waiting: list[Waiting]) -> list[dict[str, Any]]:
    """Return what waits in the plain form."""
    return [{"service": one.service, "batches": one.batches, "since": one.since} for one in waiting]

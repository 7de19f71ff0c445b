"""Nothing is recorded into the past of what has looked.

An objection is stamped when it comes and written a moment later. Whoever builds or erases in between, "with everything
learnt by now", would never find it: it was not there when they looked, and is older than their look afterwards. So a
look leaves a mark in a transaction that no writer overlaps, and what is written later is recorded after the mark.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime

import sqlalchemy as sa

from demur.clock import micros
from demur.people.schema import MARKS
from demur.store.database import Database, Row

_LOOKED = "looked_at"
_LOCK = 0x64656D7572
"""PostgreSQL's advisory lock: writers share it, a look has it alone. SQLite has one writer anyway."""


class Timeline(Database):
    """The registry's database."""

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Hold one write transaction; no look falls into it."""
        with super().writing() as connection:
            if self.is_postgresql:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock_shared({_LOCK})")
            yield connection

    def look(self, at: datetime) -> None:
        """Wait for writers under way; what is written from now on is recorded after ``at``."""
        with super().writing() as connection:
            if self.is_postgresql:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            looked = max(micros(at), self.floor(connection) - 1)
            connection.execute(sa.delete(MARKS).where(MARKS.c.name == _LOOKED))
            connection.execute(sa.insert(MARKS).values(name=_LOOKED, value=looked))

    def floor(self, connection: sa.Connection) -> int:
        """Return the earliest instant at which something can be recorded in a write transaction."""
        found = self.look_up(connection, [MARKS.c.value], MARKS.c.name, [_LOOKED])
        return int(found[0][0]) + 1 if found else -(2**62)

    def write(self, connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
        """Record events in bulk; what says that it was recorded before the last look was recorded after it."""
        floor = self.floor(connection) if rows else 0
        super().write(connection, table, [row if row[-1] >= floor else (*row[:-1], floor) for row in rows])

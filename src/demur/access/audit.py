"""The audit trail: who did what, and who looked at whom. Rows are only ever added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from demur.access.schema import AUDIT
from demur.clock import from_micros, micros
from demur.store.database import Database


@dataclass(frozen=True, slots=True)
class Deed:
    """One line of the trail."""

    number: int
    subject: str
    """Staff id."""
    action: str
    object_id: str | None
    at: datetime


class Audit:
    """Writes and reads the trail.

    Args:
        database: of the access room, migrated.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def note(self, subject: str, action: str, object_id: str | None, at: datetime) -> None:
        """Add a line, durably."""
        row = {"subject": subject, "action": action, "object_id": object_id, "at": micros(at)}
        with self._database.writing() as connection:
            connection.execute(sa.insert(AUDIT).values(row))

    def read(
        self, *, limit: int | None, before: int | None = None, subject: str | None = None, object_id: str | None = None
    ) -> list[Deed]:
        """Return lines, newest first.

        Args:
            limit: how many at most; ``None`` = all.
            before: only older ones than this number; ``None`` = from the newest.
            subject: only of this person of staff; ``None`` = everybody's.
            object_id: only about this; ``None`` = about anything.
        """
        query = sa.select(AUDIT).order_by(AUDIT.c.number.desc()).limit(limit)
        for column, value in ((AUDIT.c.subject, subject), (AUDIT.c.object_id, object_id)):
            query = query if value is None else query.where(column == value)
        query = query if before is None else query.where(AUDIT.c.number < before)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [Deed(row.number, row.subject, row.action, row.object_id, from_micros(row.at)) for row in rows]

"""What needs two people: one proposes, another one confirms or refuses in their own session (HLD-04)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from demur.access.schema import PROPOSALS
from demur.clock import from_micros, micros
from demur.errors import InputError, RefusedError
from demur.store.database import Database


@dataclass(frozen=True, slots=True)
class Proposal:
    """One thing that waits for a second person."""

    number: int
    action: str
    object_id: str
    reason: str
    made_by: str
    made_at: datetime


class Proposals:
    """Makes, lists and closes proposals.

    Args:
        database: of the access room, migrated.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, action: str, object_id: str, *, reason: str, by: str, at: datetime) -> int:
        """Propose something and return its number; the same thing waits once.

        Raises:
            InputError: no reason.
        """
        if not reason.strip():
            raise InputError("expected a reason, found none; say why, or name the instrument that asks for it")
        waits = (PROPOSALS.c.action == action, PROPOSALS.c.object_id == object_id, PROPOSALS.c.closed_at.is_(None))
        row = {"action": action, "object_id": object_id, "reason": reason.strip(), "made_by": by, "made_at": micros(at)}
        with self._database.writing() as connection:
            known = connection.execute(sa.select(PROPOSALS.c.number).where(*waits)).scalar()
            if known is not None:
                return int(known)
            made = connection.execute(sa.insert(PROPOSALS).values(row).returning(PROPOSALS.c.number)).scalar_one()
        return int(made)

    def waiting(self, action: str | None = None) -> list[Proposal]:
        """Return what waits for a second person, oldest first."""
        query = sa.select(PROPOSALS).where(PROPOSALS.c.closed_at.is_(None)).order_by(PROPOSALS.c.number)
        if action is not None:
            query = query.where(PROPOSALS.c.action == action)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return [
            Proposal(row.number, row.action, row.object_id, row.reason, row.made_by, from_micros(row.made_at))
            for row in rows
        ]

    def confirm(self, number: int, *, by: str, at: datetime) -> Proposal:
        """Close a proposal as confirmed by somebody else than who made it.

        Raises:
            InputError: nothing of that number waits.
            RefusedError: it is the same person.
        """
        return self._close(number, by=by, at=at, outcome="confirmed")

    def refuse(self, number: int, *, by: str, at: datetime) -> Proposal:
        """Close a proposal as refused; whoever made it may take it back this way too."""
        return self._close(number, by=by, at=at, outcome="refused")

    def _close(self, number: int, *, by: str, at: datetime, outcome: str) -> Proposal:
        one = PROPOSALS.c.number == number
        with self._database.writing() as connection:
            found = connection.execute(
                sa.select(PROPOSALS).where(one, PROPOSALS.c.closed_at.is_(None)).with_for_update()
            ).first()
            if found is None:
                raise InputError("expected a proposal that waits, found none of that number; list them again")
            if outcome == "confirmed" and found.made_by == by:
                raise RefusedError("this needs two people: ask somebody else to confirm what you proposed (HLD-04)")
            values = {"closed_by": by, "closed_at": micros(at), "outcome": outcome}
            connection.execute(sa.update(PROPOSALS).where(one).values(values))
        return Proposal(number, found.action, found.object_id, found.reason, found.made_by, from_micros(found.made_at))

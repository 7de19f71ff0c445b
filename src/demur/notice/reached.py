"""Whom the number in an objection link names: deliveries asked for by number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from demur.clock import micros
from demur.notice.book import NoticeBook
from demur.notice.schema import APP_MESSAGES, DELIVERIES, LEFT_OUT
from demur.terms.notice import DeliveryState, Excluded


@dataclass(frozen=True, slots=True)
class Reached:
    """Whom one delivery is for."""

    person_id: str
    campaign_id: str
    country: str | None
    language: str


def leave_out(book: NoticeBook, people: Iterable[str], at: datetime) -> int:
    """Take people who objected out of notices that have not gone out yet (OBJ-05: never asked again); say how many."""
    wanted = sorted(set(people))
    table = DELIVERIES
    # A leased one too: its worker puts nothing on the wire that it does not hold any more.
    states = (DeliveryState.WAITING, DeliveryState.DEFERRED, DeliveryState.LEASED)
    waiting = table.c.state.in_([state.value for state in states])
    gone = {"state": DeliveryState.EXCLUDED.value, "detail": Excluded.OBJECTED.value, "state_at": micros(at)}
    change = sa.update(table).values(**gone, lease_until=None, leased_by=None)
    shown = APP_MESSAGES.c.person_id.in_(wanted), APP_MESSAGES.c.state != DeliveryState.SEEN.value
    with book.database.writing() as connection:
        connection.execute(sa.update(APP_MESSAGES).where(*shown).values(state=LEFT_OUT))  # the app asks no more either
        return int(connection.execute(change.where(table.c.person_id.in_(wanted), waiting)).rowcount)


def reached(book: NoticeBook, numbers: Iterable[int]) -> dict[int, Reached]:
    """Return number → whom that delivery is for; numbers without a row are left out."""
    table = DELIVERIES
    columns = (table.c.number, table.c.person_id, table.c.campaign_id, table.c.country, table.c.language)
    with book.database.reading() as connection:
        rows = book.database.look_up(connection, columns, table.c.number, numbers)
    return {number: Reached(*rest) for number, *rest in rows}

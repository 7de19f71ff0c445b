"""Whom the number in an objection link names: deliveries asked for by number."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from demur.notice.book import NoticeBook
from demur.notice.schema import DELIVERIES


@dataclass(frozen=True, slots=True)
class Reached:
    """Whom one delivery is for."""

    person_id: str
    campaign_id: str
    country: str | None
    language: str


def reached(book: NoticeBook, numbers: Iterable[int]) -> dict[int, Reached]:
    """Return number → whom that delivery is for; numbers without a row are left out."""
    table = DELIVERIES
    columns = (table.c.number, table.c.person_id, table.c.campaign_id, table.c.country, table.c.language)
    with book.database.reading() as connection:
        rows = book.database.look_up(connection, columns, table.c.number, numbers)
    return {number: Reached(*rest) for number, *rest in rows}

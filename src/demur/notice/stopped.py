"""Addresses whose owner called a mail of ours spam: no mail that nobody asked for goes there any more (ADR 8)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from demur.clock import micros
from demur.notice.addresses import NOTICE
from demur.notice.book import NoticeBook
from demur.notice.schema import DELIVERIES, LETTERS, STOPPED
from demur.store.keys import KeyRing

_AT_ONCE = 500


def stop_address(book: NoticeBook, keys: KeyRing, address: str, why: str, at: datetime) -> None:
    """Note that an address gets no mail that nobody asked for; the first reason stays."""
    insert: Any = postgresql_insert(STOPPED) if book.database.is_postgresql else sqlite_insert(STOPPED)
    row = {
        "address_hash": _hash(keys, address),
        "why": why,
        "stopped_at": micros(at),
    }
    with book.database.writing() as connection:
        connection.execute(insert.values(**row).on_conflict_do_nothing(index_elements=["address_hash"]))


def stopped(book: NoticeBook, keys: KeyRing, addresses: Iterable[str]) -> set[str]:
    """Return those of the addresses that get no mail that nobody asked for."""
    hashes = {address: _hash(keys, address) for address in addresses}
    wanted, found = sorted(set(hashes.values())), set()
    with book.database.reading() as connection:
        for begin in range(0, len(wanted), _AT_ONCE):
            some = STOPPED.c.address_hash.in_(wanted[begin : begin + _AT_ONCE])
            found |= {bytes(one) for one in connection.scalars(sa.select(STOPPED.c.address_hash).where(some))}
    return {address for address, hashed in hashes.items() if hashed in found}


def address_of(book: NoticeBook, what: str, number: int) -> str | None:
    """Return the address that a delivery or a letter went to, while it is kept."""
    table = DELIVERIES if what == NOTICE else LETTERS
    with book.database.reading() as connection:
        found: str | None = connection.scalar(sa.select(table.c.address).where(table.c.number == number))
    return found


def _hash(keys: KeyRing, address: str) -> bytes:
    return keys.mac("stopped-addresses", address.strip().lower())

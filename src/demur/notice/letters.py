"""Single mails: confirmations, answers, links to the own page. Queued once for a cause, sent until they are accepted.

Knows what a letter says only by its phrases. Does not open a channel: that is flows/letters.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from demur.clock import from_micros, iso, micros
from demur.errors import BrokenError
from demur.notice.book import NoticeBook
from demur.notice.schema import LETTERS
from demur.terms.notice import Outcome, Result

_LEASE = timedelta(minutes=10)
_GIVE_UP = timedelta(days=5)
"""RFC 5321 §4.5.4.1: at least four to five days."""
_FIRST_WAIT, _MOST_WAIT = timedelta(minutes=1), timedelta(hours=4)
PAGE_LINK_GOOD = timedelta(hours=1)
_DAY = timedelta(days=1)
KEPT = timedelta(days=90)
"""How long the address and the words of a letter are kept: as long as somebody may ask what we wrote and to where."""
_LASTING = ("reference", "delivery")
"""Facts that stay: they name an act, not a person, and the letter's links are read by them."""
A_DAY = 20
"""Letters to one address in 24 hours; what is more waits."""


class LetterKind(StrEnum):
    """Why we write; each has phrases ``letter.<kind>_subject`` and ``letter.<kind>_text``."""

    OBJECTION_CONFIRMED = "objection_confirmed"
    OBJECTION_UNDONE = "objection_undone"
    WITHDRAWAL_CONFIRMED = "withdrawal_confirmed"
    PAGE_LINK = "page_link"
    REQUEST_RECEIVED = "request_received"
    REQUEST_EXTENDED = "request_extended"
    REQUEST_ANSWERED = "request_answered"
    UPLOADER_TOLD = "uploader_told"
    HOLD_PLACED = "hold_placed"
    """To staff."""
    EXPORT_OVER = "export_over"
    """To who got an export."""


STRANGERS_A_DAY = {LetterKind.PAGE_LINK: 5, LetterKind.REQUEST_RECEIVED: 5}
"""Kinds that anyone can have sent to an address that is not theirs: what is more in 24 hours is never queued."""


UNASKED = frozenset({LetterKind.UPLOADER_TOLD})
"""Kinds that answer nothing the reader did: never to an address whose owner called our mail spam (ADR 8)."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to be queued."""

    kind: LetterKind
    key: str
    """Natural key of its cause: the same key is never sent twice."""
    person_id: str | None
    language: str
    address: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Slots of the phrases. ``…_at``: an instant, ``…_on``: a date, ``…_url``: a link; ``delivery``: number of the
    delivery whose links stand in the letter; ``undo``: whether the letter offers to take the objection back."""


@dataclass(frozen=True, slots=True)
class Due:
    """A letter that is to be sent now."""

    number: int
    attempt: int
    kind: LetterKind
    language: str
    address: str
    facts: Mapping[str, Any]
    made_at: datetime


def queue(
    book: NoticeBook,
    *,
    kind: LetterKind | str,
    key: str,
    person_id: str | None,
    language: str,
    address: str,
    facts: Mapping[str, Any],
    at: datetime,
) -> int | None:
    """Queue a letter.

    Returns:
        Its number; ``None`` when that key was queued before, or strangers had too many sent to that address.
    """
    return queue_all(book, [Letter(LetterKind(kind), key, person_id, language, address, facts)], at)[0]


def queue_all(book: NoticeBook, letters: Sequence[Letter], at: datetime) -> list[int | None]:
    """Queue many letters in one transaction; returns what ``queue`` returns for each."""
    with book.database.writing() as connection:
        return [_queued(connection, letter, at, postgresql=book.database.is_postgresql) for letter in letters]


def _queued(connection: sa.Connection, letter: Letter, at: datetime, *, postgresql: bool) -> int | None:
    address = letter.address.strip()
    not_before = micros(at)
    most = STRANGERS_A_DAY.get(letter.kind)
    recent = sa.select(LETTERS.c.made_at).where(
        sa.func.lower(LETTERS.c.address) == address.lower(), LETTERS.c.made_at > micros(at - _DAY)
    )
    if most is not None:
        same = connection.scalars(recent.where(LETTERS.c.kind == letter.kind.value).limit(most)).all()
        if len(same) >= most:
            return None
    made = connection.scalars(recent.order_by(LETTERS.c.made_at.desc()).limit(A_DAY)).all()
    if len(made) >= A_DAY:
        not_before = made[-1] + _DAY // timedelta(microseconds=1)
    row = {
        "letter_key": letter.key,
        "kind": letter.kind.value,
        "person_id": letter.person_id,
        "language": letter.language,
        "address": address,
        "facts": orjson.dumps({name: _plain(value) for name, value in letter.facts.items()}).decode(),
        "state": "waiting",
        "attempt": 0,
        "not_before": not_before,
        "made_at": micros(at),
    }
    insert: Any = postgresql_insert(LETTERS) if postgresql else sqlite_insert(LETTERS)
    insert = insert.values(**row).on_conflict_do_nothing(index_elements=["letter_key"])
    number: int | None = connection.scalar(insert.returning(LETTERS.c.number))
    return number


def take(book: NoticeBook, at: datetime, *, rows: int = 50) -> list[Due]:
    """Take letters that are due; a worker that dies leaves them for another one after ten minutes.

    A letter may so be sent twice, with one Message-ID; it is never lost.
    """
    due = sa.select(LETTERS).where(LETTERS.c.state == "waiting", LETTERS.c.not_before <= micros(at))
    due = due.order_by(LETTERS.c.not_before, LETTERS.c.number).limit(rows).with_for_update(skip_locked=True)
    with book.database.writing() as connection:
        found = connection.execute(due).all()
        if found:
            numbers = [row.number for row in found]
            connection.execute(
                sa.update(LETTERS)
                .where(LETTERS.c.number.in_(numbers))
                .values(attempt=LETTERS.c.attempt + 1, not_before=micros(at + _LEASE))
            )
    return [_due(row, row.attempt + 1) for row in found]


def settle(book: NoticeBook, results: Sequence[Result], digests: Mapping[int, bytes], at: datetime) -> None:
    """Note what became of letters; ``at`` is the instant that stands in their Date."""
    with book.database.writing() as connection:
        for result in results:
            row = connection.execute(sa.select(LETTERS).where(LETTERS.c.number == result.number)).one()
            values: dict[str, Any] = {"message_digest": digests.get(result.number)}
            if result.outcome is Outcome.ACCEPTED:
                values |= {"state": "sent", "sent_at": micros(at)}
            elif result.outcome is Outcome.BOUNCED or not _worth(_due(row, row.attempt), at):
                values |= {"state": "failed"}
            else:
                wait = min(_FIRST_WAIT * 2 ** min(max(result.attempt, 1) - 1, 30), _MOST_WAIT)
                values |= {"not_before": micros(at + wait)}
            newest = (LETTERS.c.number == result.number, LETTERS.c.attempt == result.attempt)
            connection.execute(sa.update(LETTERS).where(*newest, LETTERS.c.state == "waiting").values(**values))


def bounced(book: NoticeBook, numbers: Sequence[int]) -> int:
    """Note that sent letters came back; returns how many changed."""
    with book.database.writing() as connection:
        back = sa.update(LETTERS).where(LETTERS.c.number.in_(numbers), LETTERS.c.state == "sent")
        return connection.execute(back.values(state="failed")).rowcount


def letter(book: NoticeBook, number: int) -> tuple[Due, str | None] | None:
    """Return a letter and whom it was for, by the number that its links carry; ``None`` = no such letter."""
    with book.database.reading() as connection:
        row = connection.execute(sa.select(LETTERS).where(LETTERS.c.number == number)).one_or_none()
    return None if row is None else (_due(row, row.attempt), row.person_id)


@dataclass(frozen=True, slots=True)
class Sent:
    """One letter of a person, for the person's page and for proof."""

    number: int
    kind: LetterKind
    key: str
    language: str
    state: str
    made_at: datetime
    sent_at: datetime | None
    digest: str | None
    """SHA-256 of the exact message."""


def of_person(book: NoticeBook, person_id: str) -> list[Sent]:
    """Return all letters of a person, oldest first."""
    query = sa.select(LETTERS).where(LETTERS.c.person_id == person_id).order_by(LETTERS.c.number)
    with book.database.reading() as connection:
        return [
            Sent(
                row.number,
                LetterKind(row.kind),
                row.letter_key,
                row.language,
                row.state,
                from_micros(row.made_at),
                None if row.sent_at is None else from_micros(row.sent_at),
                None if row.message_digest is None else bytes(row.message_digest).hex(),
            )
            for row in connection.execute(query)
        ]


def known(book: NoticeBook, keys: Collection[str]) -> set[str]:
    """Return those of some keys that a letter was queued for."""
    with book.database.reading() as connection:
        return set(connection.scalars(sa.select(LETTERS.c.letter_key).where(LETTERS.c.letter_key.in_(sorted(keys)))))


def drop(book: NoticeBook, keys: Collection[str]) -> int:
    """Send no more of some letters, by their keys, and empty their addresses; return how many still had one."""
    theirs = (LETTERS.c.letter_key.in_(sorted(keys)), LETTERS.c.address != "")
    with book.database.reading() as connection:
        found = connection.scalars(sa.select(LETTERS.c.number).where(*theirs)).all() if keys else ()
    if found:
        mine = LETTERS.c.number.in_(found)
        with book.database.writing() as connection:
            connection.execute(sa.update(LETTERS).where(mine, LETTERS.c.state == "waiting").values(state="failed"))
            connection.execute(sa.update(LETTERS).where(mine).values(address=""))
    return len(found)


def came_back(book: NoticeBook, keys: Collection[str]) -> set[str]:
    """Return those of some keys whose letter came back, or was given up."""
    failed = sa.select(LETTERS.c.letter_key).where(LETTERS.c.letter_key.in_(sorted(keys)), LETTERS.c.state == "failed")
    with book.database.reading() as connection:
        return set(connection.scalars(failed)) if keys else set()


def forget(book: NoticeBook, at: datetime, *, rows: int = 500) -> int:
    """Empty address and personal facts of letters that ended more than ``KEPT`` ago; return how many.

    That it was sent, when, and the digest of the exact letter stay for proof.
    """
    ended = (LETTERS.c.state != "waiting", LETTERS.c.address != "", LETTERS.c.made_at < micros(at - KEPT))
    sent_before = sa.func.coalesce(LETTERS.c.sent_at, 0) < micros(at - KEPT)
    query = sa.select(LETTERS.c.number, LETTERS.c.facts).where(*ended, sent_before)
    with book.database.writing() as connection:
        found = connection.execute(query.order_by(LETTERS.c.number).limit(rows)).all()
        for number, told in found:
            facts = {name: value for name, value in orjson.loads(told).items() if name in _LASTING}
            gone = {"address": "", "facts": orjson.dumps(facts).decode()}
            connection.execute(sa.update(LETTERS).where(LETTERS.c.number == number).values(**gone))
    return len(found)


def counts(book: NoticeBook) -> dict[str, int]:
    """Count letters by state."""
    query = sa.select(LETTERS.c.state, sa.func.count()).group_by(LETTERS.c.state)
    with book.database.reading() as connection:
        return {row[0]: int(row[1]) for row in connection.execute(query)}


def proven(book: NoticeBook, number: int, message: bytes) -> None:
    """Check that a message is the very one that was sent.

    Raises:
        BrokenError: it is not, or nothing was sent.
    """
    with book.database.reading() as connection:
        kept = connection.scalar(sa.select(LETTERS.c.message_digest).where(LETTERS.c.number == number))
    if kept is None or bytes(kept) != hashlib.sha256(message).digest():
        raise BrokenError("expected the letter with the kept digest, found another; restore site.toml as it was then")


def _worth(due: Due, at: datetime) -> bool:
    end = PAGE_LINK_GOOD if due.kind is LetterKind.PAGE_LINK else _GIVE_UP
    return at < due.made_at + end


def _due(row: Any, attempt: int) -> Due:
    return Due(
        row.number,
        attempt,
        LetterKind(row.kind),
        row.language,
        row.address,
        orjson.loads(row.facts),
        from_micros(row.made_at),
    )


def _plain(value: Any) -> Any:
    return iso(value) if isinstance(value, datetime) else value

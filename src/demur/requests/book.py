"""The requests room's database: a queue that nothing leaves but by an answer (TPD-06).

Content goes in sealed and comes out only for whoever asks for it by name. Does not decide and does not write letters.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from demur.clock import from_micros, micros
from demur.errors import InputError, RefusedError
from demur.requests.schema import PROPOSALS, REQUESTS
from demur.requests.sealing import Sealing
from demur.requests.words import (
    CONFIRMING,
    Delay,
    Found,
    Outcome,
    Proposal,
    Reason,
    Request,
    Rule,
    State,
    Verdict,
    Wanted,
    outcome_of,
    wanted_from_json,
)
from demur.store.database import Database, floor_of
from demur.store.keys import KeyRing

MOST_PROPOSALS = 5_000
"""Hits kept of one request; more mean that it asks for something that is not one human being."""
_CLEAR = [column for column in REQUESTS.c if not isinstance(column.type, sa.LargeBinary)]


class RequestBook:
    """Requests, what was found for them, and their answers.

    Args:
        url: ``workspace.database_url("requests")``.
        keys: the key ring; each request gets a key of its own.
    """

    def __init__(self, url: str, keys: KeyRing) -> None:
        self.database = Database(url)
        self._sealing = Sealing(keys)

    def migrate(self) -> None:
        """Bring the schema to this version."""
        self.database.migrate(Path(__file__).parent / "migrations", "requests_version")

    def leap(self, at: datetime) -> None:
        """Let numbers follow the clock, one a second: people read them, and requests are few."""
        self.database.leap([REQUESTS], floor_of(at) >> 20)

    def close(self) -> None:
        """Give all connections back."""
        self.database.close()

    # Coming in ----------------------------------------------------------------------------------------------------

    def receive(
        self,
        wanted: Wanted,
        *,
        picture: bytes | None,
        country: str | None,
        language: str,
        received_at: datetime,
        due_at: datetime,
    ) -> int:
        """Keep a request, durably; returns its number."""
        row = {
            "state": State.RECEIVED.value,
            "is_claim": wanted.claim is not None,
            "country": country,
            "language": language,
            "received_at": micros(received_at),
            "due_at": micros(due_at),
            "parts_done": 0,
            "searched": 0,
            "pictures": 0,
            "overflow": 0,
        }
        with self.database.writing() as connection:
            number: int = connection.execute(
                sa.insert(REQUESTS).values(**row).returning(REQUESTS.c.number)
            ).scalar_one()
            sealed = {"content": self._sealed(number, "content", wanted.as_json())}
            if picture is not None:
                sealed["picture"] = self._sealing.seal(number, "picture", picture)
            connection.execute(sa.update(REQUESTS).where(REQUESTS.c.number == number).values(**sealed))
        return number

    # Asking ----------------------------------------------------------------------------------------------------

    def request(self, number: int) -> Request | None:
        """Return what stands in clear about a request; ``None`` = there is none of that number."""
        with self.database.reading() as connection:
            row = connection.execute(sa.select(*_CLEAR).where(REQUESTS.c.number == number)).one_or_none()
        return None if row is None else _request(row)

    def known(self, number: int) -> Request:
        """Return the same.

        Raises:
            InputError: there is no such request.
        """
        found = self.request(number)
        if found is None:
            raise InputError("expected the number of a request, found none of that number; see `demur request list`")
        return found

    def queue(self, *, answered: bool = False, most: int = 500, after: int = 0) -> list[Request]:
        """Return open requests by legal clock, or answered ones, the newest first."""
        query = sa.select(*_CLEAR)
        if answered:
            query = query.where(REQUESTS.c.state == State.ANSWERED.value).order_by(REQUESTS.c.answered_at.desc())
        else:
            query = query.where(REQUESTS.c.state != State.ANSWERED.value).order_by(REQUESTS.c.due_at, REQUESTS.c.number)
        with self.database.reading() as connection:
            return [_request(row) for row in connection.execute(query.offset(after).limit(most))]

    def extended(self) -> list[int]:
        """Return the numbers of open requests that were given the two further months."""
        query = sa.select(REQUESTS.c.number).where(REQUESTS.c.extended_at.is_not(None))
        open_ = query.where(REQUESTS.c.state != State.ANSWERED.value).order_by(REQUESTS.c.number)
        with self.database.reading() as connection:
            return list(connection.execute(open_).scalars())

    def counts(self, numbers: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Return for each request how many proposals are open, and how many there are."""
        open_ = sa.func.sum(sa.case((PROPOSALS.c.verdict == Verdict.PROPOSED.value, 1), else_=0))
        query = sa.select(PROPOSALS.c.number, open_, sa.func.count()).where(PROPOSALS.c.number.in_(numbers))
        with self.database.reading() as connection:
            return {
                number: (int(left), int(every))
                for number, left, every in connection.execute(query.group_by(PROPOSALS.c.number))
            }

    def waiting(self, *, but: Collection[int] = ()) -> int | None:
        """Return the number of the request that the matcher should go on with, the one due first; not one of some."""
        due = sa.select(REQUESTS.c.number).where(REQUESTS.c.state == State.RECEIVED.value)
        due = due.where(REQUESTS.c.number.not_in(sorted(but))) if but else due
        with self.database.reading() as connection:
            number: int | None = connection.scalar(due.order_by(REQUESTS.c.due_at, REQUESTS.c.number).limit(1))
        return number

    def wanted(self, number: int) -> Wanted | None:
        """Return what a request asks for; ``None`` = its content was destroyed."""
        found = self._opened(number, "content")
        return None if found is None else wanted_from_json(orjson.loads(found))

    def picture(self, number: int) -> bytes | None:
        """Return the uploaded picture."""
        return self._opened(number, "picture")

    def answer_text(self, number: int) -> str | None:
        """Return the answer as it was sent; ``None`` = not answered, or destroyed since."""
        found = self._opened(number, "answer")
        return None if found is None else found.decode()

    def evidence(self, number: int) -> dict[str, Any] | None:
        """Return what was found out about a claim."""
        found = self._opened(number, "evidence")
        return None if found is None else orjson.loads(found)

    def proposals(self, number: int, *, snippets: bool = False) -> list[Proposal]:
        """Return what was found, surest first; the words around it only when asked for."""
        query = sa.select(PROPOSALS).where(PROPOSALS.c.number == number)
        ordered = query.order_by(PROPOSALS.c.certain.desc(), PROPOSALS.c.score.desc(), PROPOSALS.c.item_id)
        with self.database.reading() as connection:
            rows = connection.execute(ordered).all()
        return [self._proposal(row, snippets=snippets) for row in rows]

    # The matcher ----------------------------------------------------------------------------------------------------

    def place(self, number: int) -> tuple[str | None, int]:
        """Return of which snapshot how many parts the matcher has read."""
        with self.database.reading() as connection:
            query = sa.select(REQUESTS.c.snapshot, REQUESTS.c.parts_done).where(REQUESTS.c.number == number)
            snapshot, done = connection.execute(query).one()
        return snapshot, done

    def begin(self, number: int, snapshot: str) -> None:
        """Begin with the first part of a snapshot; what an earlier search proposed and nobody decided is dropped."""
        undecided = (PROPOSALS.c.number == number, PROPOSALS.c.verdict == Verdict.PROPOSED.value)
        fresh = {"snapshot": snapshot, "parts_done": 0, "searched": 0, "pictures": 0, "overflow": 0}
        with self.database.writing() as connection:
            connection.execute(sa.delete(PROPOSALS).where(*undecided))
            self._update(connection, number, State.RECEIVED, **fresh)

    def found(
        self,
        number: int,
        hits: Iterable[tuple[Found, str | None]],
        *,
        parts_done: int,
        searched: int = 0,
        pictures: int = 0,
    ) -> None:
        """Keep the hits of a part and how far the search is, together: a killed search goes on here."""
        rows = [self._row(number, found, account) for found, account in hits]
        with self.database.writing() as connection:
            counted = sa.select(sa.func.count()).where(PROPOSALS.c.number == number)
            room = MOST_PROPOSALS - (connection.scalar(counted) or 0)
            if rows[:room]:
                insert: Any = (postgresql_insert if self.database.is_postgresql else sqlite_insert)(PROPOSALS)
                connection.execute(insert.on_conflict_do_nothing(), rows[:room])
            self._update(
                connection,
                number,
                State.RECEIVED,
                parts_done=parts_done,
                searched=REQUESTS.c.searched + searched,
                pictures=REQUESTS.c.pictures + pictures,
                overflow=REQUESTS.c.overflow + max(0, len(rows) - max(room, 0)),
            )

    def searched(self, number: int) -> None:
        """Hand a request to staff."""
        with self.database.writing() as connection:
            self._update(connection, number, State.RECEIVED, state=State.DECIDING.value)

    def search_again(self, number: int) -> None:
        """Have a request looked for once more; decisions stay."""
        with self.database.writing() as connection:
            self._update(connection, number, State.DECIDING, state=State.RECEIVED.value, snapshot=None)

    # Deciding ----------------------------------------------------------------------------------------------------

    def decide(
        self, number: int, items: Sequence[str] | None, reason: Reason, *, by: str, at: datetime
    ) -> list[Proposal]:
        """Decide proposals; the reason says which way.

        Args:
            number: the request.
            items: item ids; ``None`` = all that are open. To confirm, ``None`` means only those that are certain:
                whoever may be somebody else is confirmed one by one (TPD-04).
            reason: why.
            by: who decides.
            at: now.

        Returns:
            What was decided now.

        Raises:
            RefusedError: the request is answered, or still being looked for.
            InputError: an item was not proposed.
        """
        told = {"verdict": _verdict(reason).value, "reason": reason.value, "decided_by": by, "decided_at": micros(at)}
        with self.database.writing() as connection:
            wanted = self._chosen(connection, number, items, _verdict(reason))
            for item in wanted:
                where = (PROPOSALS.c.number == number, PROPOSALS.c.item_id == item)
                connection.execute(sa.update(PROPOSALS).where(*where).values(**told))
        return [one for one in self.proposals(number) if one.item_id in set(wanted)]

    def chosen(self, number: int, items: Sequence[str] | None, reason: Reason) -> list[str]:
        """Return the items that ``decide`` would decide, and refuse what it would refuse."""
        with self.database.writing() as connection:
            return self._chosen(connection, number, items, _verdict(reason))

    def _chosen(
        self, connection: sa.Connection, number: int, items: Sequence[str] | None, verdict: Verdict
    ) -> list[str]:
        """Those of some items; or all open ones, and to confirm, of these only the certain ones."""
        self._refuse_unless_deciding(connection, number)
        rows = connection.execute(sa.select(PROPOSALS).where(PROPOSALS.c.number == number)).all()
        if items is None:
            keep = verdict is Verdict.REJECTED
            left = [row for row in rows if row.verdict == Verdict.PROPOSED.value]
            return [row.item_id for row in left if keep or row.certain]
        wanted = [one for one in items if one]
        if not set(wanted) <= {row.item_id for row in rows}:
            raise InputError("expected items that were proposed, found others; see `demur request show`")
        return wanted

    def propose(self, number: int, item_id: str, account_id: str | None, rule: Rule, *, snippet: str = "") -> None:
        """Add an item that staff found by themselves."""
        with self.database.writing() as connection:
            self._refuse_unless_deciding(connection, number)
            insert: Any = (postgresql_insert if self.database.is_postgresql else sqlite_insert)(PROPOSALS)
            row = self._row(number, Found(item_id, rule, 1.0, certain=False, snippet=snippet), account_id)
            connection.execute(insert.values(**row).on_conflict_do_nothing())

    def keep_evidence(self, number: int, evidence: Mapping[str, Any]) -> None:
        """Keep what was found out about a claim, sealed."""
        with self.database.writing() as connection:
            sealed = self._sealed(number, "evidence", dict(evidence))
            connection.execute(sa.update(REQUESTS).where(REQUESTS.c.number == number).values(evidence=sealed))

    def extend(self, number: int, *, due_at: datetime, delay: Delay, at: datetime) -> None:
        """Give a request the two further months (GDPR art. 12(3)).

        Raises:
            RefusedError: it is answered, was extended before, or its first month is over.
        """
        with self.database.writing() as connection:
            row = self._row_of(connection, number)
            if row.state == State.ANSWERED.value:
                raise RefusedError("the request is answered; there is nothing to extend")
            if row.extended_at is not None:
                raise RefusedError("the request was extended before; the law allows it once (GDPR art. 12(3))")
            if micros(at) >= row.due_at:
                raise RefusedError("the first month is over; it had to be extended inside it (GDPR art. 12(3))")
            told = {"due_at": micros(due_at), "extended_at": micros(at), "delay": delay.value}
            connection.execute(sa.update(REQUESTS).where(REQUESTS.c.number == number).values(**told))

    def check_ready(self, number: int) -> None:
        """Refuse what cannot be answered yet; see ``answer``."""
        with self.database.writing() as connection:
            self._refuse_unless_ready(connection, number)

    def answer(self, number: int, text: str, *, at: datetime, forget_at: datetime) -> Outcome:
        """End a request with its answer; this happens once (TPD-06).

        Raises:
            RefusedError: it is answered already, still being looked for, or something is undecided.
        """
        if not text.strip():
            raise RefusedError("an answer has words; write them (TPD-06)")
        found = outcome_of(self.proposals(number))
        with self.database.writing() as connection:
            self._refuse_unless_ready(connection, number)
            told = {"state": State.ANSWERED.value, "outcome": found.value, "answered_at": micros(at),
                    "forget_at": micros(forget_at),
                    "answer": self._sealing.seal(number, "answer", text.encode())}  # fmt: skip
            connection.execute(sa.update(REQUESTS).where(REQUESTS.c.number == number).values(**told))
        return found

    def forget(self, at: datetime, *, most: int = 100) -> list[int]:
        """Destroy the content of answered requests whose time is over; returns their numbers.

        The key goes first: whatever a kill leaves behind is unreadable.
        """
        over = (REQUESTS.c.forget_at <= micros(at), REQUESTS.c.forgotten_at.is_(None))
        with self.database.reading() as connection:
            query = sa.select(REQUESTS.c.number).where(*over).order_by(REQUESTS.c.number).limit(most)
            numbers = list(connection.execute(query).scalars())
        blank = dict.fromkeys(("content", "picture", "evidence", "answer"))
        for number in numbers:
            self._sealing.destroy(number)
            with self.database.writing() as connection:
                gone = {**blank, "forgotten_at": micros(at)}
                connection.execute(sa.update(REQUESTS).where(REQUESTS.c.number == number).values(**gone))
                connection.execute(sa.delete(PROPOSALS).where(PROPOSALS.c.number == number))
        return numbers

    # Inside ----------------------------------------------------------------------------------------------------

    def _row_of(self, connection: sa.Connection, number: int) -> Any:
        query = sa.select(REQUESTS).where(REQUESTS.c.number == number).with_for_update()
        row = connection.execute(query).one_or_none()
        if row is None:
            raise InputError("expected the number of a request, found none of that number; see `demur request list`")
        return row

    def _refuse_unless_deciding(self, connection: sa.Connection, number: int) -> Any:
        row = self._row_of(connection, number)
        if row.state == State.ANSWERED.value:
            raise RefusedError("the request is answered; its end stands")
        if row.state == State.RECEIVED.value:
            raise RefusedError("the request is still being looked for; run `demur request match`")
        return row

    def _refuse_unless_ready(self, connection: sa.Connection, number: int) -> None:
        row = self._refuse_unless_deciding(connection, number)
        open_ = (PROPOSALS.c.number == number, PROPOSALS.c.verdict == Verdict.PROPOSED.value)
        left = connection.scalar(sa.select(sa.func.count()).where(*open_))
        if left:
            raise RefusedError(f"{left} proposals are undecided; decide them first (`demur request decide`)")
        if row.is_claim and row.evidence is None:
            raise RefusedError("nobody asked the model again; run `demur request rerun` first")

    def _update(self, connection: sa.Connection, number: int, was: State, /, **values: Any) -> None:
        """Change a request in a state; one that somebody else moved on is left alone."""
        where = (REQUESTS.c.number == number, REQUESTS.c.state == was.value)
        connection.execute(sa.update(REQUESTS).where(*where).values(**values))

    def _row(self, number: int, found: Found, account: str | None) -> dict[str, Any]:
        snippet = self._sealing.seal(number, f"snippet {found.item_id}", found.snippet.encode())
        return {
            "number": number,
            "item_id": found.item_id,
            "account_id": account,
            "rule": found.rule.value,
            "score": found.score,
            "certain": found.certain,
            "snippet": snippet,
            "verdict": Verdict.PROPOSED.value,
        }

    def _proposal(self, row: Any, *, snippets: bool) -> Proposal:
        clear = self._sealing.open(row.number, f"snippet {row.item_id}", row.snippet).decode() if snippets else ""
        return Proposal(
            item_id=row.item_id,
            account_id=row.account_id,
            rule=Rule(row.rule),
            score=row.score,
            certain=row.certain,
            snippet=clear,
            verdict=Verdict(row.verdict),
            reason=Reason(row.reason) if row.reason else None,
            decided_by=row.decided_by,
            decided_at=_instant(row.decided_at),
        )

    def _sealed(self, number: int, column: str, content: Mapping[str, Any]) -> bytes:
        return self._sealing.seal(number, column, orjson.dumps(dict(content)))

    def _opened(self, number: int, column: str) -> bytes | None:
        with self.database.reading() as connection:
            query = sa.select(REQUESTS.c[column]).where(REQUESTS.c.number == number)
            sealed: bytes | None = connection.scalar(query)
        return None if sealed is None else self._sealing.open(number, column, bytes(sealed))


def _verdict(reason: Reason) -> Verdict:
    return Verdict.CONFIRMED if reason in CONFIRMING else Verdict.REJECTED


def _request(row: Any) -> Request:
    return Request(
        number=row.number,
        state=State(row.state),
        outcome=Outcome(row.outcome) if row.outcome else None,
        is_claim=row.is_claim,
        country=row.country,
        language=row.language,
        received_at=from_micros(row.received_at),
        due_at=from_micros(row.due_at),
        extended_at=_instant(row.extended_at),
        delay=Delay(row.delay) if row.delay else None,
        answered_at=_instant(row.answered_at),
        forgotten_at=_instant(row.forgotten_at),
        searched=row.searched,
        pictures=row.pictures,
        overflow=row.overflow,
    )


def _instant(stored: int | None) -> datetime | None:
    return None if stored is None else from_micros(stored)

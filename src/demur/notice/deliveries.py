"""The delivery ledger: who was handed to the network, when, and what came of it (NOT-03, NOT-06).

    waiting ─▶ leased ─▶ wire ─▶ accepted            (accepted ─▶ bounced ─▶ next channel, when a report comes back)
       ▲          │        ├──▶ deferred ─▶ leased … until the campaign's deadline
       └──────────┘        └──▶ bounced, or waiting on the next channel

``wire`` is on disk before the network sees the message; so after a kill every row is either untouched or named as one
that may have gone out. Does not render, send or pace; asks no clock and no chance.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from demur.clock import from_micros, micros
from demur.notice.book import NoticeBook
from demur.notice.delivery_sql import LATER, NEXT, NUMBERS, PAIRS, RESULTS, TRIES, Statements
from demur.notice.schema import ATTEMPTS, CAMPAIGNS, DELIVERIES
from demur.store.keys import keyed_hash
from demur.terms.notice import DeliveryState, Outcome, Outgoing, Result
from demur.terms.people import CampaignStatus

GIVE_UP_AFTER = timedelta(days=5)
"""A message is tried for at least four to five days (RFC 5321 §4.5.4.1), also when the effective date is nearer."""
_SENDING = (CampaignStatus.RUNNING.value, CampaignStatus.EFFECTIVE.value)
"""Also an effective campaign sends: to people who come late (PPL-03)."""
_MAY_SEND = CAMPAIGNS.c.status.in_((CampaignStatus.RUNNING.value, CampaignStatus.EFFECTIVE.value))
"""An effective campaign still tells who comes late, with their own deadline (NOT-02)."""
OPEN = (DeliveryState.WAITING, DeliveryState.LEASED, DeliveryState.WIRE, DeliveryState.DEFERRED)
"""States from which a notice may still go out."""
_ENDED = frozenset({CampaignStatus.CANCELLED.value, CampaignStatus.SUPERSEDED.value})
_MICROSECOND = timedelta(microseconds=1)


class Leased(NamedTuple):
    """One delivery that a worker holds for a while."""

    number: int
    campaign_id: str
    person_id: str
    country: str | None
    language: str
    channel: str
    address: str | None
    destination: str
    attempt: int
    """Number of the try that is to be made now, from 1."""
    not_before: int
    """Instant it was due at, in microseconds; 0 = never put off."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after the n-th failed try: ``first * 2**(n-1)`` up to ``most``, half of it spread by a hash."""

    first: timedelta = timedelta(minutes=1)
    most: timedelta = timedelta(hours=4)

    def wait(self, tries: int, key: bytes, number: int) -> timedelta:
        """Return the pause after that many tries: the same for the same delivery, spread over all of them."""
        whole: timedelta = min(self.first * (1 << min(max(tries, 1) - 1, 30)), self.most)
        share = int.from_bytes(keyed_hash(key, "backoff", str(number), str(tries))[:4], "big") / 2**32
        return whole * (0.75 + 0.5 * share)


@dataclass(frozen=True, slots=True)
class Turn:
    """All that one worker has for the ledger; one transaction, one fsync."""

    at: datetime
    worker: str
    results: Sequence[Result] = ()
    release: Sequence[tuple[int, datetime]] = ()
    """Leased deliveries that go back, and when they may be tried."""
    wire: Sequence[Outgoing] = ()
    """Rendered, to be noted as handed to the network."""
    made_at: datetime | None = None
    """Instant that ``wire`` was rendered at, kept with the tries: the message's Date, for proof (NOT-08)."""
    campaign: str | None = None
    """Campaign to lease of; ``None`` = lease nothing."""
    channels: Sequence[str] = ()
    rows: int = 0
    """How many to lease at most."""


@dataclass(frozen=True, slots=True)
class Turned:
    """What came of a turn."""

    wired: Sequence[Outgoing] = ()
    """Those of ``wire`` that may go to the network now; the rest was lost to another worker, a pause or a cancel."""
    leased: list[Leased] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PossibleDuplicate:
    """A person who may have got the notice more than once, because a worker died between sending and noting."""

    number: int
    person_id: str
    attempts: tuple[int, ...]
    """The tries whose fate is unknown."""


class Deliveries:
    """The ledger's doors.

    Args:
        book: the notice room's database.
        key: secret that spreads the waiting times.
        lease: how long a worker may keep what it took; longer than the channel's longest time-out.
    """

    def __init__(
        self,
        book: NoticeBook,
        key: bytes,
        *,
        lease: timedelta = timedelta(minutes=15),
        backoff: Backoff | None = None,
        until: datetime | None = None,
    ) -> None:
        self._database = book.database
        self._key = key
        self._lease = lease
        self._backoff = backoff or Backoff()
        self._until = until
        self._sql = Statements(postgresql=self._database.is_postgresql)
        self._due: dict[int, sa.TextClause] = {}

    def turn(self, turn: Turn) -> Turned:
        """Record results, give back, put on the wire, lease: whole or not at all, on disk when this returns."""
        at = micros(turn.at)
        with self._database.writing() as connection:
            self._record(connection, turn.results, turn.at)
            if turn.release:
                rows = [(number, micros(when)) for number, when in turn.release]
                connection.execute(self._sql.release, self._bind(LATER, rows) | {"worker": turn.worker})
            wired = self._wire(connection, turn, at)
            leased = self._take(connection, turn, at) if turn.campaign is not None and turn.rows > 0 else []
        return Turned(wired, leased)

    def running(self) -> list[str]:
        """Return the campaigns that may send now, oldest first."""
        query = sa.select(CAMPAIGNS.c.campaign_id).where(_MAY_SEND)
        with self._database.reading() as connection:
            return list(connection.scalars(query.order_by(CAMPAIGNS.c.made_at, CAMPAIGNS.c.campaign_id)))

    def expire(self, at: datetime, *, gone: Collection[str] = ()) -> int:
        """Take back what workers left behind: leases that are over, and all of workers known to be gone.

        What was only leased waits again. What was on the wire is tried again with a new try (or is ``stopped`` when
        its campaign has ended): nobody is lost, and ``possible_duplicates`` names who may get two.
        """
        found = 0
        with self._database.writing() as connection:
            campaigns = connection.execute(sa.select(CAMPAIGNS.c.campaign_id, CAMPAIGNS.c.status)).all()
            for campaign, status in campaigns:
                about = {"campaign": campaign, "at": micros(at)}
                for worker in gone:
                    connection.execute(self._sql.end_leases, about | {"worker": worker})
                ended = status in _ENDED
                state = DeliveryState.STOPPED if ended else DeliveryState.DEFERRED
                found += connection.execute(self._sql.over_leased, about).rowcount
                found += connection.execute(self._sql.over_wire, about | {"state": state.value}).rowcount
                if ended:
                    connection.execute(self._sql.stop, about)
        return found

    def workers(self) -> set[str]:
        """Return the workers that hold something."""
        held = sa.select(DELIVERIES.c.leased_by).join(CAMPAIGNS, CAMPAIGNS.c.campaign_id == DELIVERIES.c.campaign_id)
        held = held.where(DELIVERIES.c.state.in_(("leased", "wire")), DELIVERIES.c.leased_by.is_not(None))
        with self._database.reading() as connection:
            return set(connection.scalars(held.distinct()))

    def stop(self, campaign_id: str, at: datetime) -> int:
        """End a cancelled campaign: what has not gone out never will; what is on the wire keeps its result."""
        with self._database.writing() as connection:
            return connection.execute(self._sql.stop, {"campaign": campaign_id, "at": micros(at)}).rowcount

    def bounced_later(self, results: Sequence[Result], at: datetime) -> int:
        """Note reports of non-delivery (RFC 3464) on accepted notices: next channel, or not told at all.

        A report on a try that is not the newest one changes nothing. Returns how many deliveries changed.
        """
        with self._database.writing() as connection:
            bounced = [r for r in results if r.outcome is Outcome.BOUNCED]
            rows = [(r.number, r.attempt, r.outcome.value, r.code) for r in bounced]
            connection.execute(self._sql.reported, self._bind(RESULTS, rows) | {"at": micros(at)})
            return self._settle(connection, bounced, at, late=True)

    def counts(self, campaign_id: str) -> dict[DeliveryState, int]:
        """Count a campaign's people by state."""
        query = sa.select(DELIVERIES.c.state, sa.func.count()).where(DELIVERIES.c.campaign_id == campaign_id)
        with self._database.reading() as connection:
            found = {DeliveryState(row[0]): int(row[1]) for row in connection.execute(query.group_by("state"))}
        return {state: found.get(state, 0) for state in DeliveryState}

    def is_open(self, campaign_id: str) -> bool:
        """Say whether somebody of a campaign still waits for a notice: a few steps into the index, not a count."""
        one = sa.select(DELIVERIES.c.number).where(DELIVERIES.c.campaign_id == campaign_id).limit(1)
        with self._database.reading() as connection:
            return any(connection.scalar(one.where(DELIVERIES.c.state == state.value)) is not None for state in OPEN)

    def next_due(self) -> datetime | None:
        """Return when the next delivery of a running campaign is due; ``None`` = nothing is left to be sent."""
        due = sa.select(DELIVERIES.c.not_before).order_by(DELIVERIES.c.not_before).limit(1)
        first: list[int] = []
        with self._database.reading() as connection:
            for campaign in connection.scalars(sa.select(CAMPAIGNS.c.campaign_id).where(_MAY_SEND)).all():
                for state in ("waiting", "deferred"):  # one step into the index each, however large the campaign
                    one = due.where(DELIVERIES.c.campaign_id == campaign, DELIVERIES.c.state == state)
                    first += connection.scalars(one)
        return from_micros(min(first)) if first else None

    def possible_duplicates(self, campaign_id: str) -> list[PossibleDuplicate]:
        """Return who may have got the notice twice: a try of unknown fate, and another one that went out or may have.

        Everybody who did get two is among them; not everybody among them did.
        """
        tries = sa.select(ATTEMPTS.c.number, DELIVERIES.c.person_id, ATTEMPTS.c.attempt, ATTEMPTS.c.outcome)
        tries = tries.join(DELIVERIES, DELIVERIES.c.number == ATTEMPTS.c.number)
        unknown = sa.select(ATTEMPTS.c.number).where(ATTEMPTS.c.result_at.is_(None))
        tries = tries.where(DELIVERIES.c.campaign_id == campaign_id, ATTEMPTS.c.number.in_(unknown))
        people: dict[tuple[int, str], list[tuple[int, str | None]]] = {}
        with self._database.reading() as connection:
            for number, person, attempt, outcome in connection.execute(tries.order_by("number", "attempt")):
                people.setdefault((number, person), []).append((attempt, outcome))
        found = []
        for (number, person), made in people.items():
            perhaps = [attempt for attempt, outcome in made if outcome in {None, Outcome.ACCEPTED.value}]
            lost = tuple(attempt for attempt, outcome in made if outcome is None)
            if len(perhaps) > 1:
                found.append(PossibleDuplicate(number, person, lost))
        return found

    def _wire(self, connection: sa.Connection, turn: Turn, at: int) -> Sequence[Outgoing]:
        if not turn.wire:
            return ()
        rows = [(message.number, message.attempt, sha256(message.message).digest()) for message in turn.wire]
        told = {"worker": turn.worker, "at": at, "until": at + self._lease // _MICROSECOND}
        changed = connection.execute(self._sql.wire, self._bind(TRIES, rows) | told).rowcount
        if changed == 0:
            return ()
        pairs = self._bind(PAIRS, [row[:2] for row in rows]) | {"worker": turn.worker}
        made_at = {"made_at": micros(turn.made_at or turn.at)}
        connection.execute(self._sql.tried, pairs | made_at)
        if changed == len(rows):
            return turn.wire
        mine = set(connection.scalars(self._sql.wired, pairs))
        return [message for message in turn.wire if message.number in mine]

    def _take(self, connection: sa.Connection, turn: Turn, at: int) -> list[Leased]:
        if len(turn.channels) not in self._due:
            self._due[len(turn.channels)] = self._sql.due(len(turn.channels))
        statement = self._due[len(turn.channels)]
        bound: dict[str, Any] = {f"channel_{place}": channel for place, channel in enumerate(turn.channels)}
        bound |= {"campaign": turn.campaign, "at": at}
        rows: list[Any] = []
        # Second tries first, in two statements: each walks the index from its beginning and stops.
        for state in (DeliveryState.DEFERRED, DeliveryState.WAITING):
            if len(rows) < turn.rows:
                found = connection.execute(statement, bound | {"state": state.value, "rows": turn.rows - len(rows)})
                rows += found.all() if self._database.is_postgresql else orjson.loads(found.scalar_one())
        if rows:
            taken = self._bind(NUMBERS, [(row[0],) for row in rows])
            taken |= {"until": at + self._lease // _MICROSECOND, "worker": turn.worker, "at": at}
            connection.execute(self._sql.take, taken)
        return [Leased._make((*row[:8], row[8] + 1, row[9])) for row in rows]

    def _record(self, connection: sa.Connection, results: Sequence[Result], at: datetime) -> None:
        if not results:
            return
        bound = self._bind(RESULTS, [(r.number, r.attempt, r.outcome.value, r.code) for r in results])
        connection.execute(self._sql.result, bound | {"at": micros(at)})
        connection.execute(self._sql.accepted, bound | {"at": micros(at)})
        self._settle(connection, [r for r in results if r.outcome is not Outcome.ACCEPTED], at, late=False)

    def _settle(self, connection: sa.Connection, failed: Sequence[Result], at: datetime, *, late: bool) -> int:
        """Decide what follows a failed try: later again, the next channel, or the end."""
        if not failed:
            return 0
        bound = self._bind(RESULTS, [(r.number, r.attempt, r.outcome.value, r.code) for r in failed])
        bound["late"] = Outcome.BOUNCED.value if late else ""
        rows = connection.execute(self._sql.failed, bound).all()
        following = [self._following(row, at) for row in rows]
        if following:
            connection.execute(self._sql.next, self._bind(NEXT, following) | {"at": micros(at)})
        return len(following)

    def _following(self, row: Any, at: datetime) -> tuple[Any, ...]:
        number, attempt, outcome, code, fallback, channel, address, destination, effective, status, first, tries = row
        same = (channel, address, destination, fallback)
        ended = status in _ENDED
        if ended and outcome == Outcome.DEFERRED.value:
            return (number, attempt, DeliveryState.STOPPED.value, 0, code, *same)
        if outcome == Outcome.DEFERRED.value:
            again = micros(at + self._backoff.wait(tries, self._key, number))
            end = effective if self._until is None else micros(self._until)
            if again <= max(end, first + GIVE_UP_AFTER // _MICROSECOND):
                return (number, attempt, DeliveryState.DEFERRED.value, again, code, *same)
        others = orjson.loads(fallback) if fallback else []
        if others and not ended:
            rest = orjson.dumps(others[1:]).decode() if others[1:] else None
            return (number, attempt, DeliveryState.WAITING.value, 0, code, *others[0], rest)
        return (number, attempt, DeliveryState.BOUNCED.value, 0, code, *same)

    def _bind(self, handed: Any, rows: Sequence[Sequence[Any]]) -> dict[str, Any]:
        bound: dict[str, Any] = handed.bind(rows, postgresql=self._database.is_postgresql)
        return bound

"""The delivery ledger: nothing is lost, nothing is sent by two, and what is final stays final."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from demur.notice import NoticeBook
from demur.notice.deliveries import Backoff, Deliveries, Leased, Turn
from demur.notice.reached import leave_out
from demur.notice.schema import ATTEMPTS, CAMPAIGNS, DELIVERIES
from demur.notice.worker import is_gone, this_worker
from demur.terms.notice import DeliveryState, Outcome, Outgoing, Result

from .conftest import NOW, enrol, micros

KEY = bytes(32)
MAIL = ("email",)
S = DeliveryState


def outgoing(row: Leased) -> Outgoing:
    text = b"Subject: x\r\n\r\n%d %d\r\n" % (row.number, row.attempt)
    return Outgoing(row.number, row.attempt, row.address or "", row.destination, "b@x.example", text)


def lease(ledger: Deliveries, rows: int, at: datetime = NOW, worker: str = "w", campaign: str = "c1") -> list[Leased]:
    return ledger.turn(Turn(at, worker, campaign=campaign, channels=MAIL, rows=rows)).leased


def wire(ledger: Deliveries, rows: list[Leased], at: datetime = NOW, worker: str = "w") -> list[Outgoing]:
    return list(ledger.turn(Turn(at, worker, wire=[outgoing(row) for row in rows])).wired)


def tell(ledger: Deliveries, row: Leased, outcome: Outcome, code: str = "250", at: datetime = NOW) -> None:
    ledger.turn(Turn(at, "w", results=[Result(row.number, row.attempt, outcome, code)]))


def stands(book: NoticeBook, number: int = 1) -> Any:
    with book.database.reading() as connection:
        return connection.execute(sa.select(DELIVERIES).where(DELIVERIES.c.number == number)).one()


def tries(book: NoticeBook, number: int = 1) -> list[tuple[int, str | None]]:
    query = sa.select(ATTEMPTS.c.attempt, ATTEMPTS.c.outcome).where(ATTEMPTS.c.number == number)
    with book.database.reading() as connection:
        return [(row[0], row[1]) for row in connection.execute(query.order_by("attempt"))]


@pytest.fixture
def ledger(book: NoticeBook) -> Deliveries:
    return Deliveries(book, KEY)


def test_a_notice_goes_from_waiting_to_accepted(ledger: Deliveries, book: NoticeBook, enrolled: Any) -> None:
    enrolled(5)
    rows = lease(ledger, 3)
    assert [row.attempt for row in rows] == [1, 1, 1]
    assert ledger.counts("c1")[S.LEASED] == 3
    assert len(wire(ledger, rows)) == 3
    assert ledger.counts("c1")[S.WIRE] == 3
    for row in rows:
        tell(ledger, row, Outcome.ACCEPTED)
    assert ledger.counts("c1") == dict.fromkeys(S, 0) | {S.ACCEPTED: 3, S.WAITING: 2}
    assert tries(book, rows[0].number) == [(1, "accepted")]
    assert len(lease(ledger, 10)) == 2


def test_who_objects_while_a_worker_holds_the_notice_does_not_get_it(
    ledger: Deliveries, book: NoticeBook, enrolled: Any
) -> None:
    enrolled(2)
    rows = lease(ledger, 2)
    assert leave_out(book, [rows[0].person_id], NOW) == 1
    assert [message.number for message in wire(ledger, rows)] == [rows[1].number]
    ledger.expire(NOW + timedelta(days=1), gone=["w"])
    assert stands(book, rows[0].number).state == S.EXCLUDED


def test_the_try_is_kept_with_the_digest_and_the_instant_of_the_message(
    ledger: Deliveries, book: NoticeBook, enrolled: Any
) -> None:
    from hashlib import sha256

    enrolled(40)
    rows = lease(ledger, 40)
    messages = [outgoing(row) for row in rows]
    made = NOW - timedelta(seconds=3)
    ledger.turn(Turn(NOW, "w", wire=messages, made_at=made))
    with book.database.reading() as connection:
        kept = connection.execute(sa.select(ATTEMPTS)).all()
    assert {row.number: row.message_digest for row in kept} == {m.number: sha256(m.message).digest() for m in messages}
    assert {(row.wired_at, row.channel, row.result_at) for row in kept} == {(micros(made), "email", None)}


def test_a_lease_that_is_over_comes_back_without_a_try(ledger: Deliveries, book: NoticeBook, enrolled: Any) -> None:
    enrolled(1)
    (row,) = lease(ledger, 1)
    assert ledger.expire(NOW + timedelta(minutes=14)) == 0
    assert ledger.expire(NOW + timedelta(minutes=15)) == 1
    assert stands(book).state == "waiting"
    assert wire(ledger, [row]) == []  # the slow worker lost it
    assert tries(book) == []


def test_a_kill_on_the_wire_is_tried_again_and_named(ledger: Deliveries, book: NoticeBook, enrolled: Any) -> None:
    enrolled(2)
    first, other = lease(ledger, 2)
    wire(ledger, [first, other])
    tell(ledger, other, Outcome.ACCEPTED)
    assert ledger.possible_duplicates("c1") == []
    later = NOW + timedelta(hours=1)
    assert ledger.expire(later) == 1
    (again,) = lease(ledger, 5, later)
    assert (again.number, again.attempt) == (first.number, 2)
    wire(ledger, [again], later)
    tell(ledger, again, Outcome.ACCEPTED)
    (double,) = ledger.possible_duplicates("c1")
    assert (double.number, double.person_id, double.attempts) == (first.number, first.person_id, (1,))


def test_a_late_acceptance_of_an_older_try_ends_it(ledger: Deliveries, book: NoticeBook, enrolled: Any) -> None:
    enrolled(1)
    (row,) = lease(ledger, 1)
    wire(ledger, [row])
    later = NOW + timedelta(hours=1)
    ledger.expire(later)
    (again,) = lease(ledger, 1, later, worker="v")
    tell(ledger, row, Outcome.ACCEPTED)
    assert wire(ledger, [again], later, worker="v") == []
    assert stands(book).state == "accepted"
    assert ledger.possible_duplicates("c1") == []


def test_a_worker_that_is_gone_gives_back_at_once(ledger: Deliveries, enrolled: Any) -> None:
    enrolled(4)
    lease(ledger, 2, worker="dead")
    lease(ledger, 2, worker="alive")
    assert ledger.workers() == {"dead", "alive"}
    assert ledger.expire(NOW, gone=["dead"]) == 2
    assert ledger.counts("c1")[S.LEASED] == 2


def test_only_running_campaigns_send(ledger: Deliveries, book: NoticeBook, enrolled: Any) -> None:
    enrolled(2)
    rows = lease(ledger, 2)
    with book.database.writing() as connection:
        connection.execute(CAMPAIGNS.update().values(status="held"))
    assert wire(ledger, rows) == []
    assert ledger.running() == []
    assert ledger.next_due() is None


def test_back_off_doubles_is_spread_and_the_same_each_time() -> None:
    backoff = Backoff()
    waits = [backoff.wait(1, KEY, number) for number in range(200)]
    assert waits == [backoff.wait(1, KEY, number) for number in range(200)]
    assert len(set(waits)) > 150
    assert min(waits) >= timedelta(seconds=45)
    assert max(waits) <= timedelta(seconds=75)
    assert backoff.wait(4, KEY, 1) >= timedelta(minutes=6)
    assert backoff.wait(99, KEY, 1) <= timedelta(hours=5)


def test_a_deferred_notice_waits_and_is_tried_until_the_deadline(
    ledger: Deliveries, book: NoticeBook, enrolled: Any
) -> None:
    enrolled(1)
    at, seen = NOW, 0
    while stands(book).state in {"waiting", "deferred"}:
        at = max(at, NOW + (stands(book).not_before - micros(NOW)) * timedelta(microseconds=1))
        if seen:
            assert lease(ledger, 1, at - timedelta(seconds=1)) == []
        (row,) = lease(ledger, 1, at)
        wire(ledger, [row], at)
        tell(ledger, row, Outcome.DEFERRED, "451 4.3.0", at)
        seen += 1
    assert stands(book).state == "bounced"
    assert stands(book).detail == "451 4.3.0"
    assert timedelta(days=44) < at - NOW <= timedelta(days=45)
    assert 200 < seen < 400


def test_a_latecomer_is_tried_for_five_days_after_the_effective_date(
    ledger: Deliveries, book: NoticeBook, enrolled: Any
) -> None:
    enrolled(1)
    late = NOW + timedelta(days=60)
    (row,) = lease(ledger, 1, late)
    wire(ledger, [row], late)
    tell(ledger, row, Outcome.DEFERRED, "450", late)
    assert stands(book).state == "deferred"
    much_later = late + timedelta(days=6)
    (row,) = lease(ledger, 1, much_later)
    wire(ledger, [row], much_later)
    tell(ledger, row, Outcome.DEFERRED, "450", much_later)
    assert stands(book).state == "bounced"


def test_a_hard_bounce_goes_to_the_next_channel_and_then_ends(
    ledger: Deliveries, book: NoticeBook, enrolled: Any
) -> None:
    enrolled(1, fallback='[["inapp","p1","inapp"],["outbox","p1@d.example","outbox"]]')
    (row,) = lease(ledger, 1)
    wire(ledger, [row])
    tell(ledger, row, Outcome.BOUNCED, "550 5.1.1")
    found = stands(book)
    assert (found.state, found.channel, found.address, found.destination) == ("waiting", "inapp", "p1", "inapp")
    assert lease(ledger, 1) == []  # this worker has no such channel
    for channel in ("inapp", "outbox"):
        (row,) = ledger.turn(Turn(NOW, "w", campaign="c1", channels=["inapp", "outbox"], rows=1)).leased
        assert row.channel == channel
        wire(ledger, [row])
        tell(ledger, row, Outcome.BOUNCED, "404")
    assert stands(book).state == "bounced"
    assert tries(book) == [(1, "bounced"), (2, "bounced"), (3, "bounced")]


def test_a_report_of_non_delivery_moves_an_accepted_notice_on(
    ledger: Deliveries, book: NoticeBook, enrolled: Any
) -> None:
    enrolled(2)
    for row in (rows := lease(ledger, 2)):
        wire(ledger, [row])
        tell(ledger, row, Outcome.ACCEPTED)
    one = rows[0]
    assert ledger.bounced_later([Result(one.number, 7, Outcome.BOUNCED, "5.1.1")], NOW) == 0
    assert ledger.bounced_later([Result(one.number, 1, Outcome.BOUNCED, "5.1.1")], NOW) == 1
    assert ledger.bounced_later([Result(one.number, 1, Outcome.BOUNCED, "5.1.1")], NOW) == 0
    assert stands(book, one.number).state == "bounced"
    assert tries(book, one.number) == [(1, "bounced")]
    assert stands(book, rows[1].number).state == "accepted"


def test_a_cancelled_campaign_stops_what_has_not_gone_out(ledger: Deliveries, book: NoticeBook, enrolled: Any) -> None:
    enrolled(5)
    out, lost, _held = rows = lease(ledger, 3)
    wire(ledger, rows[:2])
    with book.database.writing() as connection:
        connection.execute(CAMPAIGNS.update().values(status="cancelled"))
    assert ledger.stop("c1", NOW) == 3
    tell(ledger, out, Outcome.ACCEPTED)
    assert stands(book, out.number).state == "accepted"
    ledger.expire(NOW + timedelta(hours=1))
    assert stands(book, lost.number).state == "stopped"
    assert ledger.counts("c1") == dict.fromkeys(S, 0) | {S.ACCEPTED: 1, S.STOPPED: 4}


def test_released_rows_come_back_when_they_were_told_to(ledger: Deliveries, enrolled: Any) -> None:
    enrolled(2)
    one, _two = lease(ledger, 2)
    again = NOW + timedelta(seconds=30)
    ledger.turn(Turn(NOW, "w", release=[(one.number, again)]))
    assert lease(ledger, 2) == []
    assert ledger.next_due() == again
    (back,) = lease(ledger, 2, again)
    assert (back.number, back.attempt, back.not_before) == (one.number, 1, micros(again))


def test_two_workers_never_hold_the_same_row(url: str, book: NoticeBook, enrolled: Any) -> None:
    enrolled(600)
    sent: list[tuple[str, int]] = []
    both_hold_some = threading.Barrier(2, timeout=60)

    def work(name: str) -> None:
        mine = NoticeBook(url)
        ledger = Deliveries(mine, KEY)
        rows = lease(ledger, 25, worker=name)
        both_hold_some.wait()
        while rows:
            sent.extend((name, message.number) for message in wire(ledger, rows, worker=name))
            ledger.turn(Turn(NOW, name, results=[Result(r.number, 1, Outcome.ACCEPTED, "250") for r in rows]))
            rows = lease(ledger, 25, worker=name)
        mine.close()

    workers = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(number for _, number in sent) == list(range(1, 601))
    assert len({name for name, _ in sent}) == 2


def test_this_process_is_not_gone_and_another_with_its_number_is() -> None:
    assert not is_gone(this_worker())
    here, _, _start = this_worker().rpartition("/")
    assert is_gone(f"{here}/1")
    assert not is_gone("elsewhere/pid:[1]/pid/1/1")
    assert not is_gone("w")


class Ledger(RuleBasedStateMachine):
    """Any order of work, kills, pauses and reports: accepted stays, tries are never reused, every row can end."""

    folder: Callable[[], Path]

    @initialize()
    def begin(self) -> None:
        self.book = NoticeBook(f"sqlite:///{type(self).folder()}")
        self.book.migrate()
        enrol(self.book, 3, fallback='[["inapp","x","inapp"]]')
        self.ledger = Deliveries(self.book, KEY)
        self.at = NOW
        self.leased: list[Leased] = []
        self.wired: list[Outgoing] = []
        self.sent: set[tuple[int, int]] = set()
        self.accepted: set[int] = set()

    @rule(rows=st.integers(1, 3))
    def lease(self, rows: int) -> None:
        turn = Turn(self.at, "w", campaign="c1", channels=("email", "inapp"), rows=rows)
        self.leased += self.ledger.turn(turn).leased

    @precondition(lambda self: self.leased)
    @rule(data=st.data())
    def wire(self, data: st.DataObject) -> None:
        row = data.draw(st.sampled_from(self.leased))
        self.leased.remove(row)
        for message in wire(self.ledger, [row], self.at):
            assert (message.number, message.attempt) not in self.sent
            assert message.number not in self.accepted
            self.sent.add((message.number, message.attempt))
            self.wired.append(message)

    @precondition(lambda self: self.wired)
    @rule(data=st.data(), outcome=st.sampled_from(list(Outcome)))
    def result(self, data: st.DataObject, outcome: Outcome) -> None:
        message = data.draw(st.sampled_from(self.wired))
        self.wired.remove(message)
        self.ledger.turn(Turn(self.at, "w", results=[Result(message.number, message.attempt, outcome, "x")]))
        if outcome is Outcome.ACCEPTED:
            self.accepted.add(message.number)

    @rule(minutes=st.sampled_from([1, 20, 3000]))
    def time_passes(self, minutes: int) -> None:
        self.at += timedelta(minutes=minutes)

    @rule()
    def expire(self) -> None:
        self.ledger.expire(self.at)

    @invariant()
    def accepted_stays(self) -> None:
        if not hasattr(self, "book"):
            return
        assert sum(self.ledger.counts("c1").values()) == 3
        for number in self.accepted:
            assert stands(self.book, number).state == "accepted"

    def teardown(self) -> None:
        if not hasattr(self, "book"):
            return
        for _ in range(2000):
            self.at += timedelta(days=2)
            self.ledger.expire(self.at)
            self.leased = []
            self.lease(rows=3)
            results = [
                Result(m.number, m.attempt, Outcome.DEFERRED, "4") for m in wire(self.ledger, self.leased, self.at)
            ]
            self.ledger.turn(Turn(self.at, "w", results=results))
            counts = self.ledger.counts("c1")
            if counts[S.ACCEPTED] + counts[S.BOUNCED] == 3:
                break
        else:
            pytest.fail("a row never ended")
        self.book.close()


def test_no_path_leads_back_and_every_row_ends(tmp_path: Path) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    names = iter(range(10**9))
    Ledger.folder = staticmethod(lambda: tmp_path / f"{next(names)}.db")  # type: ignore[assignment]
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=6, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

"""The sender: everybody once, held countries not, stopped at once, and tidy at the end."""

from __future__ import annotations

import asyncio
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
import uvloop

from demur import clock
from demur.errors import ConfigError, InputError, OutsideError
from demur.notice import NoticeBook
from demur.notice.deliveries import Deliveries, Leased
from demur.notice.pacing import Rates
from demur.notice.schema import CAMPAIGNS
from demur.notice.sender import Sender, Sent, Stopped
from demur.notice.smtp import UNSENT, SmtpChannel
from demur.terms.notice import DeliveryState, Outcome, Outgoing, Result
from demur.terms.site import Relay

from .relay import Sink, kept_port, running
from .test_deliveries import stands, tries

KEY = bytes(32)
S = DeliveryState


def render(row: Leased, _at: datetime) -> Outgoing | Result:
    text = b"Message-ID: <%d@x>\r\n\r\nhello\r\n" % row.number
    return Outgoing(row.number, row.attempt, row.address or "", row.destination, "b@y.example", text)


class Watch:
    """A clock that goes on only while somebody sleeps, and then at once."""

    def __init__(self) -> None:
        self.begun = self.at = clock.now()
        self._yield = asyncio.sleep

    def __call__(self) -> datetime:
        return self.at

    @property
    def seconds(self) -> float:
        return (self.at - self.begun).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        await self._yield(0)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """The clock of the sender and of its loop: how busy the machine is changes nothing."""
    found = Watch()
    monkeypatch.setattr(asyncio, "sleep", found.sleep)
    return found


class Gathering:
    """A channel that takes everything, with a pause for each message.

    Args:
        pause_s: how long it takes.
        told: called after each message.
    """

    name = "email"

    def __init__(self, pause_s: float = 0.0, told: Callable[[], None] = lambda: None) -> None:
        self.sent: list[int] = []
        self.batches: list[int] = []
        self.pause_s = pause_s
        self.told = told

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Result]:
        self.batches.append(len(batch))
        for message in batch:
            await asyncio.sleep(self.pause_s)
            self.sent.append(message.number)
            self.told()
            yield Result(message.number, message.attempt, Outcome.ACCEPTED, "250")


def run(
    book: NoticeBook,
    channel: Any,
    make: Callable[..., Any] = render,
    now: Callable[[], datetime] = clock.now,
    **told: Any,
) -> Sent:
    ledger = Deliveries(book, KEY)
    sender = Sender(ledger, {"email": channel}, make, now, worker="w", **told)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(sender.run(ledger.running))


def counts(book: NoticeBook, campaign: str = "c1") -> dict[DeliveryState, int]:
    return {state: n for state, n in Deliveries(book, KEY).counts(campaign).items() if n}


def test_everybody_of_every_running_campaign_gets_one(book: NoticeBook, enrolled: Any) -> None:
    enrolled(400)
    enrolled(150, campaign="c2", status="effective")
    enrolled(5, campaign="c3", status="held")
    with running(Sink()) as sink:
        sent = run(book, SmtpChannel(Relay(host="127.0.0.1", port=sink.port, connections=4)), window=64)
    assert sorted(sink.ids(), key=lambda text: int(text.partition("@")[0])) == [f"{n}@x" for n in range(1, 551)]
    assert (sent.accepted, sent.total, sent.faults) == (550, 550, [])
    assert counts(book) == {S.ACCEPTED: 400}
    assert counts(book, "c2") == {S.ACCEPTED: 150}
    assert counts(book, "c3") == {S.WAITING: 5}


def test_never_more_than_the_window_is_on_the_wire(book: NoticeBook, enrolled: Any) -> None:
    enrolled(300)
    most = []

    class Watching(Gathering):
        async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Result]:
            most.append(await asyncio.to_thread(lambda: counts(book).get(S.WIRE, 0)))
            async for result in super().send(batch):
                yield result

    run(book, Watching(), window=40)
    assert 20 <= max(most) <= 40
    assert counts(book) == {S.ACCEPTED: 300}


def test_held_countries_and_unknown_ones_wait(book: NoticeBook, enrolled: Any) -> None:
    enrolled(3, campaign="de", country="DE")
    enrolled(3, campaign="fr", country="FR")
    enrolled(3, campaign="unknown", country=None)
    enrolled(3, campaign="whole", country="FR")
    channel = Gathering()

    def stopped(campaign: str) -> Stopped:
        return Stopped(everything=campaign == "whole", countries=frozenset({"DE"}))

    run(book, channel, stopped=stopped)
    assert sorted(channel.sent) == [4, 5, 6]
    assert stands(book, 1).state == "waiting"
    assert stands(book, 1).attempt == 0


@pytest.mark.parametrize("how", ["hold", "pause", "halt"])
def test_sending_stops_within_two_seconds(book: NoticeBook, enrolled: Any, watch: Watch, how: str) -> None:
    enrolled(2000)
    stopped_at: list[float] = []

    def stop() -> None:
        if len(channel.sent) < 50 or stopped_at:
            return
        if how == "pause":
            with book.database.writing() as connection:
                connection.execute(CAMPAIGNS.update().values(status="held"))
        stopped_at.append(watch.seconds)

    channel, told = Gathering(0.002, stop), {"window": 64, "now": watch}
    if how == "hold":
        told["stopped"] = lambda _campaign: Stopped(everything=bool(stopped_at))
    if how == "halt":
        told["halt"] = lambda: bool(stopped_at)
    run(book, channel, **told)
    count = len(channel.sent)
    assert 50 <= count < 2000
    assert watch.seconds - stopped_at[0] <= 2.0
    assert counts(book) == {S.ACCEPTED: count, S.WAITING: 2000 - count}


def test_rates_hold(book: NoticeBook, enrolled: Any, watch: Watch) -> None:
    enrolled(60)
    sent_at: list[float] = []
    channel = Gathering(told=lambda: sent_at.append(watch.seconds))
    run(book, channel, now=watch, rates=Rates(overall=40.0, burst_s=0.25))
    assert len(channel.sent) == 60
    assert all(number <= 10 + 40.0 * at + 1e-6 for number, at in enumerate(sent_at, 1))
    assert 1.25 <= watch.seconds + 1e-6 < 3.0


def test_a_slow_destination_does_not_hold_up_the_others(book: NoticeBook, enrolled: Any, watch: Watch) -> None:
    enrolled(70)
    channel = Gathering()
    slowly = Rates(destinations={"d3.example": 1.0})
    run(book, channel, now=watch, rates=slowly, halt=lambda: watch.seconds > 1.5)
    slow = [n for n in channel.sent if n % 7 == 3]
    assert len(channel.sent) - len(slow) == 60
    assert 1 <= len(slow) <= 3


def test_what_cannot_be_made_rests_or_bounces(book: NoticeBook, enrolled: Any) -> None:
    enrolled(4)

    def make(row: Leased, at: datetime) -> Outgoing | Result:
        if row.number == 1:
            raise InputError("expected a text in xx, found none")
        if row.number == 2:
            return Result(row.number, row.attempt, Outcome.BOUNCED, "5.1.3")
        return render(row, at)

    channel = Gathering()
    sent = run(book, channel, make)
    assert sorted(channel.sent) == [3, 4]
    assert (sent.aside, sent.bounced, sent.accepted) == (1, 1, 2)
    assert stands(book, 1).state == "waiting"
    assert tries(book, 2) == [(1, "bounced")]
    assert counts(book) == {S.WAITING: 1, S.BOUNCED: 1, S.ACCEPTED: 2}


def test_a_relay_that_is_away_costs_no_try(book: NoticeBook, enrolled: Any) -> None:
    enrolled(3)
    sent = run(book, SmtpChannel(Relay(host="127.0.0.1", port=1)))
    assert sent.total == 0
    assert "relay" in sent.faults[0]
    assert counts(book) == {S.WAITING: 3}


def test_a_channel_that_breaks_leaves_its_messages_on_the_wire(book: NoticeBook, enrolled: Any) -> None:
    enrolled(10)

    class Broken(Gathering):
        async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Result]:
            yield Result(batch[0].number, 1, Outcome.ACCEPTED, "250")
            raise OutsideError("gone")

    sent = run(book, Broken(), window=20)
    assert sent.faults == ["email: gone"]
    assert counts(book) == {S.ACCEPTED: 1, S.WIRE: 9}


def test_two_workers_send_nothing_twice(book: NoticeBook, enrolled: Any) -> None:
    enrolled(500)
    begun = [threading.Event(), threading.Event()]

    class Waiting(Gathering):
        async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Result]:
            begun[ones.index(self)].set()
            for both in begun:
                assert await asyncio.to_thread(both.wait, 60)
            async for result in super().send(batch):
                yield result

    ones = [Waiting(0.0005), Waiting(0.0005)]

    def work(number: int) -> None:
        ledger = Deliveries(book, KEY)
        sender = Sender(ledger, {"email": ones[number]}, render, clock.now, worker=f"w{number}", window=32)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(sender.run(ledger.running))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(ones[0].sent + ones[1].sent) == list(range(1, 501))
    assert all(one.sent for one in ones)
    assert counts(book) == {S.ACCEPTED: 500}


@pytest.mark.skipif(shutil.which("smtp-sink") is None, reason="Postfix's smtp-sink is not installed")
def test_into_postfix_smtp_sink(book: NoticeBook, enrolled: Any) -> None:
    enrolled(1000)
    with (
        kept_port() as port,
        subprocess.Popen(["smtp-sink", "-u", "nobody", f"127.0.0.1:{port}", "100"]) as sink,
    ):
        try:
            until = time.monotonic() + 60
            while time.monotonic() < until and sink.poll() is None:
                try:
                    socket.create_connection(("127.0.0.1", port), 60).close()
                    break
                except OSError:
                    time.sleep(0.05)
            sent = run(book, SmtpChannel(Relay(host="127.0.0.1", port=port)))
        finally:
            sink.terminate()
    assert sent.accepted == 1000
    assert counts(book) == {S.ACCEPTED: 1000}


class Away(Gathering):
    """A channel that cannot be opened, or stops taking messages after some.

    Args:
        error: raised when it is opened; ``None`` = it opens.
        takes: messages that it takes before it is away.
        breaks: whether it then breaks, instead of saying that nothing was sent.
    """

    def __init__(self, error: Exception | None = None, takes: int = 0, *, breaks: bool = False) -> None:
        super().__init__()
        self.error, self.takes, self.breaks = error, takes, breaks

    async def open(self) -> None:
        if self.error:
            raise self.error

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Result]:
        for message in batch:
            if len(self.sent) >= self.takes and self.breaks:
                raise OutsideError("broken")
            if len(self.sent) >= self.takes:
                yield Result(message.number, message.attempt, Outcome.DEFERRED, UNSENT)
                continue
            self.sent.append(message.number)
            yield Result(message.number, message.attempt, Outcome.ACCEPTED, "250")


@pytest.mark.parametrize("first", ["email", "inapp"])
@pytest.mark.parametrize(
    ("away", "said"),
    [
        (Away(OutsideError("the relay does not answer")), "email: the relay does not answer"),
        (Away(ConfigError("the relay refuses the login")), "email: the relay refuses the login"),
        (Away(takes=5), None),
        (Away(takes=5, breaks=True), "email: broken"),
    ],
    ids=["away", "refused", "goes away", "breaks"],
)
def test_one_channel_that_is_away_keeps_no_other_one_waiting(
    book: NoticeBook, enrolled: Any, first: str, away: Away, said: str | None
) -> None:
    enrolled(100)
    enrolled(100, campaign="c2", channel="inapp")
    away.sent.clear()
    channels = {"email": away, "inapp": Gathering()}
    ledger = Deliveries(book, KEY)
    ordered = {first: channels[first], **channels}
    sender = Sender(ledger, ordered, render, clock.now, worker="w", window=8)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sent = runner.run(sender.run(ledger.running))
    assert sorted(channels["inapp"].sent) == list(range(101, 201))
    assert counts(book, "c2") == {S.ACCEPTED: 100}
    assert sent.faults == ([said] if said else [])
    stands_now = counts(book)
    assert stands_now.pop(S.ACCEPTED, 0) == away.takes
    assert stands_now.pop(S.WIRE, 0) <= 8, "no more is in doubt than was handed over"
    assert set(stands_now) <= {S.WAITING, S.DEFERRED}


def test_a_login_that_is_refused_on_the_only_channel_is_an_error(book: NoticeBook, enrolled: Any) -> None:
    enrolled(3)
    with pytest.raises(ConfigError):
        run(book, Away(ConfigError("the relay refuses the login")))
    assert counts(book) == {S.WAITING: 3}

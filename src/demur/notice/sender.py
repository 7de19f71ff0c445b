"""Carries a campaign's deliveries from the ledger over the channels and back, a few hundred at a time.

A turn is one transaction: results of what came back, the next messages as on the wire, a lease of more. While the
database writes, the messages before are on their way, and the ones after are rendered. No more than ``window``
deliveries are ever on the wire, so that a kill leaves no more than that in doubt. Does not decide who is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from demur.errors import ConfigError, DemurError, OutsideError
from demur.notice.deliveries import Deliveries, Leased, Turn, Turned
from demur.notice.pacing import Pacing, Rates
from demur.notice.smtp import UNSENT
from demur.terms.notice import Channel, Outcome, Outgoing, Result

_LOG = logging.getLogger(__name__)
_ASK_AGAIN = timedelta(seconds=1)
"""How often it is asked whether a campaign may send: so soon does a hold or a pause work (NOT-09)."""
_LOOK_AGAIN = timedelta(minutes=10)
"""When people of a held country are looked at again."""
_SET_ASIDE = timedelta(hours=1)
"""How long a delivery rests that could not be rendered."""
_EXPIRE_EVERY = timedelta(seconds=5)
_GRACE_S = 20.0
"""How long what is out may take to come home at the end."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What must not be told now."""

    everything: bool = False
    countries: frozenset[str] = frozenset()
    """People of these countries, and with them those of unknown residence: the doubt is theirs (SEC-09)."""

    def stops(self, country: str | None) -> bool:
        """Whether a person of that country is not told now."""
        if not self.countries:
            return self.everything
        return self.everything or country is None or country in self.countries


Render = Callable[[Leased, datetime], Outgoing | Result]
"""Makes the message of one delivery; or says at once that it can never go over this channel."""


@dataclass(slots=True)
class Sent:
    """What a run did."""

    accepted: int = 0
    deferred: int = 0
    bounced: int = 0
    unsent: int = 0
    """Put off because the relay was away."""
    aside: int = 0
    """Could not be rendered; the log has the numbers."""
    faults: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many messages were handed over."""
        return self.accepted + self.deferred + self.bounced


class Sender:
    """One worker.

    Args:
        deliveries: the ledger.
        channels: name in the ledger → way to send, opened here.
        render: makes messages.
        clock: the present instant.
        worker: name of this worker in leases.
        stopped: what a campaign must not tell now; asked at most once a second for each campaign.
        rates: how fast.
        window: deliveries on the wire at most, over all channels (connections × messages handed to each).
        halt: asked between turns; ``True`` = bring home what is out and end.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        channels: Mapping[str, Channel],
        render: Render,
        clock: Callable[[], datetime],
        *,
        worker: str,
        stopped: Callable[[str], Stopped] | None = None,
        rates: Rates | None = None,
        window: int = 256,
        halt: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ledger = deliveries
        self._channels = channels
        self._up: dict[str, Channel] = {}
        self._render = render
        self._clock = clock
        self._worker = worker
        self._ask = stopped or (lambda _campaign: Stopped())
        self._pacing = Pacing(rates or Rates())
        self._window = max(2, window)
        self._batch = min(self._window // 2, 32)
        self._halt = halt
        self._known: dict[str, tuple[datetime, Stopped]] = {}
        self._results: list[Result] = []
        self._release: list[tuple[int, datetime]] = []
        self._ready: list[tuple[Leased, Outgoing | Result]] = []
        self._made_at: datetime | None = None
        self._out = 0
        self._flights: set[asyncio.Task[None]] = set()
        self._landed = asyncio.Event()
        self._expired_at: datetime | None = None
        self.sent = Sent()

    async def run(self, campaigns: Callable[[], Sequence[str]]) -> Sent:
        """Send until nothing is due, every channel is away, or ``halt`` says so.

        What needs a channel that is away waits, and the others send; ``Sent.faults`` names it.

        Args:
            campaigns: which may send, asked again whenever the ones before have nothing due.

        Raises:
            ConfigError: the only channel refuses us, such as by its login.
            OutsideError: the database is away. What was on the wire stays so in the ledger.
        """
        opened: list[Channel] = []
        try:
            for name, channel in self._channels.items():
                try:
                    await channel.open()
                except (ConfigError, OutsideError) as error:
                    if isinstance(error, ConfigError) and len(self._channels) == 1:
                        raise
                    self.sent.faults.append(f"{name}: {error}")
                    continue
                opened.append(channel)
                self._up[name] = channel
            await self._work(campaigns)
            await self._bring_home()
        finally:
            for channel in opened:
                await channel.close()
        return self.sent

    async def _work(self, campaigns: Callable[[], Sequence[str]]) -> None:
        due = deque(campaigns())
        while not self._halt() and self._up:
            fits = await self._fits()
            campaign, rows = self._next(due) if fits else (None, 0)
            if campaign is not None or not self._idle():
                turned = await self._turn(campaign, rows, wire=fits)
                self._prepare(turned.leased)
                if campaign is not None and not turned.leased:
                    due.remove(campaign)
            if not self._idle():
                continue
            if due:
                await asyncio.sleep(0.02)  # a rate says: not now
            elif await self._nothing_soon():
                return
            else:
                due.extend(campaigns())

    def _idle(self) -> bool:
        return not (self._out or self._ready or self._results or self._release)

    async def _nothing_soon(self) -> bool:
        """Wait for what is due within a second; ``True`` = nothing is."""
        next_due = await asyncio.to_thread(self._ledger.next_due)
        wait = None if next_due is None else (next_due - self._clock()).total_seconds()
        if wait is None or wait > 1.0 or wait <= 0:  # due already, but not leased: held, or of a channel we lack
            return True
        await asyncio.sleep(wait)
        return False

    def _next(self, due: deque[str]) -> tuple[str | None, int]:
        """Return the campaign whose turn it is, and how many it may send."""
        for campaign in list(due):
            if self._stopped(campaign).everything:
                due.remove(campaign)
                continue
            due.rotate(-1)
            rows = min(self._batch, self._pacing.room(campaign, self._clock()))
            if rows:
                return campaign, rows
        return None, 0

    async def _turn(self, campaign: str | None, rows: int, *, wire: bool) -> Turned:
        """Give the ledger all that has gathered, then let go what it has on the wire."""
        at = self._clock()
        if self._expired_at is None or at - self._expired_at >= _EXPIRE_EVERY:
            self._expired_at = at
            await asyncio.to_thread(self._ledger.expire, at)
        going = self._going(at) if wire else {}
        results, self._results = self._results, []
        release, self._release = self._release, []
        # A try that ended in the renderer never sees the network; it is noted like any other, with an empty message.
        messages = [
            made if isinstance(made, Outgoing) else Outgoing(row.number, row.attempt, "", row.destination, "", b"")
            for row, made in going.values()
        ]
        turn = Turn(
            at,
            self._worker,
            results=results,
            release=release,
            wire=messages,
            made_at=self._made_at,
            campaign=campaign,
            channels=tuple(self._up),
            rows=rows,
        )
        turned = await asyncio.to_thread(self._ledger.turn, turn)
        batches: dict[str, list[Outgoing]] = {}
        for message in turned.wired:
            row, made = going.pop(message.number)
            if isinstance(made, Result):
                self._note(made)
            else:
                batches.setdefault(row.channel, []).append(made)
        # What a pause kept back goes back too; a row that another worker has by now is not ours to give.
        self._release += [(number, at) for number in going]
        for name, batch in batches.items():
            self._start(name, batch)
        return turned

    def _going(self, at: datetime) -> dict[int, tuple[Leased, Outgoing | Result]]:
        """Take what is rendered, but for those whom a hold or a pause has reached, or whose channel went away."""
        ready, self._ready = self._ready, []
        stopped = self._stopped(ready[0][0].campaign_id) if ready else Stopped()  # all of one campaign
        going = {}
        for row, made in ready:
            if stopped.stops(row.country) or row.channel not in self._up:
                self._release.append((row.number, at))
            else:
                going[row.number] = (row, made)
        return going

    def _stopped(self, campaign: str) -> Stopped:
        now = self._clock()
        known = self._known.get(campaign)
        if known is None or now - known[0] >= _ASK_AGAIN:
            known = self._known[campaign] = (now, self._ask(campaign))
        return known[1]

    def _prepare(self, leased: Sequence[Leased]) -> None:
        """Render what was leased; give back what may not go now."""
        if not leased:
            return
        at = self._made_at = self._clock()
        stopped = self._stopped(leased[0].campaign_id)  # all of one campaign
        for row in leased:
            if stopped.stops(row.country):
                self._release.append((row.number, at + _LOOK_AGAIN))
                continue
            later = self._pacing.take(row.campaign_id, row.destination, at, waited=row.not_before > 0)
            if later is not None:
                self._release.append((row.number, later))
                continue
            try:
                self._ready.append((row, self._render(row, at)))
            except DemurError as error:
                _LOG.error("delivery %d cannot be rendered: %s", row.number, type(error).__name__)
                self.sent.aside += 1
                self._release.append((row.number, at + _SET_ASIDE))

    def _start(self, name: str, batch: Sequence[Outgoing]) -> None:
        self._out += len(batch)
        flight = asyncio.get_running_loop().create_task(self._fly(name, batch))
        self._flights.add(flight)
        flight.add_done_callback(self._flights.discard)

    async def _fly(self, name: str, batch: Sequence[Outgoing]) -> None:
        loop = asyncio.get_running_loop()
        begun, left = loop.time(), len(batch)
        try:
            async for result in self._channels[name].send(batch):
                self._note(result)
                if result.code == UNSENT:
                    self._up.pop(name, None)
                left -= 1
                self._out -= 1
                if self._out == 0 or (self._ready and self._out + len(self._ready) <= self._window):
                    self._landed.set()
        except DemurError as error:
            self._up.pop(name, None)
            self.sent.faults.append(f"{name}: {error}")
        finally:
            self._out -= left
            self._landed.set()
        # So many that a batch takes about half a second: a pause then works within a second, also at a slow relay.
        took = loop.time() - begun
        if took < 0.25:
            self._batch = min(self._window // 2, self._batch * 2)
        elif took > 1.0:
            self._batch = max(1, self._batch // 2)

    def _note(self, result: Result) -> None:
        self._results.append(result)
        if result.code == UNSENT:
            self.sent.unsent += 1
        elif result.outcome is Outcome.ACCEPTED:
            self.sent.accepted += 1
        elif result.outcome is Outcome.DEFERRED:
            self.sent.deferred += 1
        else:
            self.sent.bounced += 1

    async def _fits(self) -> bool:
        """Wait until what is rendered fits beside what is out, a quarter of a second at most."""
        self._landed.clear()
        if self._out and (not self._ready or self._out + len(self._ready) > self._window):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.25):
                    await self._landed.wait()
        return self._out + len(self._ready) <= self._window

    async def _bring_home(self) -> None:
        """Give leases back, wait for what is out, note every result."""
        at = self._clock()
        self._release += [(row.number, at) for row, _ in self._ready]
        self._ready = []
        if self._flights:
            _, late = await asyncio.wait(self._flights, timeout=_GRACE_S)
            for flight in late:
                flight.cancel()  # its messages stay on the wire in the ledger
            await asyncio.gather(*late, return_exceptions=True)
        if self._results or self._release:
            await self._turn(None, 0, wire=False)

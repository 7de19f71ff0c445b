"""Sends the notices of running campaigns: lease, render, hand over, record. May be killed anywhere.

One turn of the ledger at a time (notice/sender.py); what is on the wire when a process dies is tried again and named as
a possible duplicate (docs/delivery.md). Holds and pauses are asked about once a second (NOT-09, HLD-01).
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from types import FrameType

import uvloop

from demur.errors import ConfigError, DemurError
from demur.flows.hold import sending_stopped
from demur.flows.letters import surroundings
from demur.flows.parts import kept_policy
from demur.flows.service import Service
from demur.notice.campaigns import campaign_of
from demur.notice.channels import Surroundings, channel_for_notices
from demur.notice.deliveries import Deliveries, Leased
from demur.notice.pacing import Rates
from demur.notice.render import Addressee, Renderer
from demur.notice.sender import Sender, Sent, Stopped
from demur.notice.texts import kept_texts
from demur.notice.worker import is_gone, this_worker
from demur.terms.notice import Channel, Outgoing, Result

_LOG = logging.getLogger(__name__)
HANDED = 32
"""Messages handed to each connection at most: with the connections, what one kill may leave in doubt."""
_STEP_SECONDS = 3.0


def send(
    service: Service,
    campaign_id: str | None = None,
    *,
    channels: Mapping[str, Channel] | None = None,
    rates: Rates | None = None,
    until: datetime | None = None,
    seconds: float | None = None,
) -> Sent:
    """Send until nothing is due, the relay is away, or SIGINT or SIGTERM comes; return what was sent.

    Args:
        service: the parts.
        campaign_id: only this campaign; ``None`` = all that may send.
        channels: name → way to send; ``None`` = those that the campaigns name, as installed.
        rates: how fast; ``None`` = as ``[relay]`` in site.toml says.
        until: after this instant a refusal for now is one for good; ``None`` = each campaign's effective date.
        seconds: end after about so long; ``None`` = go on.

    Raises:
        ConfigError: no channel can be made (not installed, no relay on a site that people reach), or the relay refuses
            the login. What needs one of several that cannot be made waits, and the others send.
        OutsideError: the database is away.
    """
    ledger = Deliveries(service.notice, service.parts.keys.secret("backoff"), until=until)
    _take_back(ledger, service.clock())
    renderers = _Renderers(service)

    def campaigns() -> Sequence[str]:
        wanted = [one for one in ledger.running() if campaign_id in {None, one}]
        return [one for one in wanted if renderers.ready(one)]

    names = sorted({name for one in campaigns() for name in campaign_of(service.notice, one).channels})
    if not names or not _is_due(ledger, service.clock()):
        return Sent()
    around = surroundings(service)
    ends_at = None if seconds is None else time.monotonic() + seconds
    with _signals() as told:
        sender = Sender(
            ledger,
            channels or _made(names, around),
            renderers.render,
            service.clock,
            worker=f"{this_worker()}/{threading.get_ident()}",
            stopped=lambda campaign: _stopped(service, campaign),
            rates=rates or _rates(service),
            window=service.site.relay.connections * HANDED,
            halt=lambda: told.is_set() or (ends_at is not None and time.monotonic() >= ends_at),
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            sent = runner.run(sender.run(campaigns))
    for fault in sent.faults:
        _LOG.warning("%s", fault)
    return sent


def step(service: Service) -> int:
    """Send for a few seconds; return how many messages were handed over, 0 = idle or the relay is away."""
    return send(service, seconds=_STEP_SECONDS).total


class _Renderers:
    """One renderer a campaign; a campaign whose policy or texts cannot be read sends nothing."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._made: dict[str, Renderer] = {}

    def ready(self, campaign_id: str) -> bool:
        """Whether its messages can be made; why not goes to the log."""
        if campaign_id not in self._made:
            service = self._service
            try:
                campaign = campaign_of(service.notice, campaign_id)
                _, policy = kept_policy(service.parts.workspace, campaign.policy_digest)
                texts = kept_texts(service.notice, campaign_id)
            except DemurError as error:
                _LOG.error("campaign %s sends nothing: %s", campaign_id, error)
                return False
            keys = service.parts.keys
            self._made[campaign_id] = Renderer(campaign, texts, service.site, service.links, keys, policy)
        return True

    def render(self, row: Leased, at: datetime) -> Outgoing | Result:
        """Make one message."""
        to = Addressee(row.number, row.person_id, row.language, row.channel, row.address or "")
        return self._made[row.campaign_id].render(to, row.attempt, at)


def _made(names: Sequence[str], around: Surroundings) -> dict[str, Channel]:
    """Make the channels; the ledger lets what goes over one that cannot be made wait, and nothing else."""
    made: dict[str, Channel] = {}
    faults: list[ConfigError] = []
    for name in names:
        try:
            made[name] = channel_for_notices(name, around)
        except ConfigError as error:
            faults.append(error)
            _wait(name, str(error))
    if not made:
        raise faults[0]
    return made


@functools.cache
def _wait(name: str, why: str) -> None:
    """Say what waits, and why, once in a process: a worker asks every few seconds."""
    _LOG.error("notices over the channel %s wait: %s", name, why)


def _take_back(ledger: Deliveries, at: datetime) -> None:
    """Free what killed processes of this machine held, and all leases that are over."""
    workers = ledger.workers()
    if workers:
        ledger.expire(at, gone=[worker for worker in workers if is_gone(worker)])


def _is_due(ledger: Deliveries, at: datetime) -> bool:
    due = ledger.next_due()
    return due is not None and due <= at


def _stopped(service: Service, campaign: str) -> Stopped:
    """Return what holds forbid now; pauses stand in the ledger's own database."""
    found = sending_stopped(service.parts, campaign, service.clock())
    return Stopped(everything=found.whole, countries=found.countries)


def _rates(service: Service) -> Rates:
    relay = service.site.relay
    return Rates(relay.rate or None, None, relay.destination_rate or None, relay.destination_rates)


@contextlib.contextmanager
def _signals() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into a wish to end; elsewhere than in the main thread nobody sends us any.

    A worker that listens to them itself hears them too: its wish to end outlives this sending.
    """
    told = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before: dict[signal.Signals, Callable[..., object] | int | None] = {}

    def hear(number: int, frame: FrameType | None) -> None:
        told.set()
        known = before.get(signal.Signals(number))
        if callable(known) and known is not signal.default_int_handler:
            known(number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, hear)
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

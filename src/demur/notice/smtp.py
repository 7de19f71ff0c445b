"""The mail channel: many messages over a few pipelined connections to a relay (RFC 5321, RFC 2920).

Each connection asks for the next envelope in the same breath as it sends a message's text, so a message costs one
round trip. The relay signs (DKIM), looks up MX hosts and returns what bounces; this client talks to the relay only.
It does not know the delivery ledger: a message that gets no result may or may not have gone out.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence

from demur.errors import BrokenError, DemurError, InputError
from demur.notice.smtp_job import Job
from demur.notice.smtp_session import Session, Times, connected
from demur.terms.notice import Outcome, Outgoing, Result
from demur.terms.site import Relay

UNSENT = "unsent"
"""Code of a message that never left this machine: the relay was away."""


class SmtpChannel:
    """``email``: a pool of sessions with one relay.

    Args:
        relay: where, how many connections, and what to log in with.
        name: how this machine greets (EHLO).
        tls: for STARTTLS; ``None`` = the system's certificates, checked against the relay's name.
        times: limits for waiting.
    """

    name = "email"

    def __init__(
        self, relay: Relay, *, name: str = "localhost", tls: ssl.SSLContext | None = None, times: Times | None = None
    ) -> None:
        self._relay = relay
        self._hello = name
        self._tls = tls
        self._times = times or Times()
        self._most = relay.connections
        self._queue: deque[Job] = deque()
        self._sessions: set[Session] = set()
        self._opening: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open the first connection.

        Raises:
            OutsideError: the relay cannot be reached, or does not answer as RFC 5321 says.
            ConfigError: it refuses the login, or offers no STARTTLS where site.toml asks for it.
        """
        self._most = self._relay.connections
        if not self._sessions:
            self._sessions.add(await self._connect())

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Result]:
        """Send messages and yield a result for each, in the order in which they come.

        None is yielded for a message whose connection was lost after its text was handed over.
        """
        flight = _Flight(len(batch))
        try:
            for message in batch:
                try:
                    self._queue.append(Job(message, flight.done))
                except InputError:
                    flight.done(Result(message.number, message.attempt, Outcome.BOUNCED, "553 5.1.3"))
            self._feed()
            while True:
                for result in flight.take():
                    yield result
                if flight.left == 0:
                    return
                await flight.some.wait()
        finally:
            if flight.left:
                self._queue = deque(job for job in self._queue if job.done != flight.done)

    async def close(self) -> None:
        """Say QUIT on every connection; unsent messages stay without a result."""
        for task in list(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        await asyncio.gather(*(session.quit() for session in list(self._sessions)), return_exceptions=True)
        self._sessions.clear()

    def next(self) -> Job | None:
        """Give a session its next message."""
        return self._queue.popleft() if self._queue else None

    def again(self, job: Job) -> None:
        """Take back a message whose text was not handed over; twice, then it is put off."""
        job.tries += 1
        if job.tries > 2:
            job.finish(Outcome.DEFERRED, job.refusal or "421")
        else:
            self._queue.appendleft(job)

    def ended(self, session: Session) -> None:
        """Forget a session; others are opened when messages wait."""
        self._sessions.discard(session)
        self._feed()

    def _feed(self) -> None:
        for session in list(self._sessions):
            if not self._queue:
                return
            session.work()
        wanted = min(self._most, len(self._sessions) + len(self._queue))
        while len(self._sessions) + len(self._opening) < wanted:
            self._opening.add(asyncio.get_running_loop().create_task(self._add()))

    async def _add(self) -> None:
        this = asyncio.current_task()
        assert this is not None
        try:
            session = await self._connect()
        except DemurError:
            self._opening.discard(this)
            if self._sessions or self._opening:
                self._most = len(self._sessions) + len(self._opening)  # the relay takes no more from us
                return
            while job := self.next():  # nobody is left who could carry what waits
                job.finish(Outcome.DEFERRED, UNSENT)
            return
        self._opening.discard(this)
        self._sessions.add(session)
        session.work()

    async def _connect(self) -> Session:
        return await connected(self, self._relay, self._hello, self._tls, self._times)


class _Flight:
    """One call of ``send``: how many are out, and what has come back."""

    __slots__ = ("_results", "left", "some")

    def __init__(self, size: int) -> None:
        self.left = size
        self.some = asyncio.Event()
        self._results: list[Result] = []

    def done(self, result: Result | None) -> None:
        if self.left <= 0:
            raise BrokenError("expected one end for each message, found another; this is a bug in the SMTP client")
        self.left -= 1
        if result is not None:
            self._results.append(result)
        self.some.set()

    def take(self) -> list[Result]:
        found, self._results = self._results, []
        self.some.clear()
        return found

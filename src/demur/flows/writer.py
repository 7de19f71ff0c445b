"""Group commit: what waits is written as one transaction, everybody is answered, and then the follow-up is done.

One thread commits, one follows up. While a transaction is being synced, the next batch gathers; so a single request
waits for one sync and a thousand share one. A caller that goes away changes nothing: what was handed in is written. It
does not know what a job is.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from demur.errors import OutsideError

Job = TypeVar("Job")
Answer = TypeVar("Answer")

MAX_BATCH = 1_000
MAX_WAITING = 200_000
"""Jobs in the queue; more are turned away at once rather than kept waiting for minutes."""

GATHER_SECONDS = 0.1
"""Pause before a follow-up, so that one serves many answers."""
REST = 6
"""While people are waiting, a follow-up rests so many times as long as it worked: answers come first."""

_LOG = logging.getLogger(__name__)
_STOP: Any = object()


@dataclass(slots=True)
class Look:
    """How far this process has looked for what a killed one left undone."""

    after: tuple[str, str, str] | None = None
    done: bool = False
    begun: datetime | None = None
    """When this look began; ``None`` = none has."""
    since: datetime | None = None
    """It looks at what was recorded later; ``None`` = at everything: the first look."""
    again: float = 0.0
    """Monotonic seconds of the next look."""


class GroupCommit(Generic[Job, Answer]):
    """Writes jobs in batches.

    Args:
        commit: writes a batch durably and returns an answer for each; when it raises, each is tried alone.
        follow: is given every job and its answer after it was answered; its errors are logged and never reach callers.
    """

    def __init__(
        self,
        commit: Callable[[Sequence[Job]], Sequence[Answer]],
        follow: Callable[[Sequence[tuple[Job, Answer]]], object],
    ) -> None:
        self.look = Look()
        self._commit = commit
        self._follow = follow
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False
        self._closing = threading.Event()
        self._answered = 0

    def ask(self, job: Job) -> Answer:
        """Write a job and wait until it is on disk.

        Raises:
            OutsideError: the writer is closing or drowning; nothing was written.
        """
        asked: Future[Answer] = Future()
        self._put(job, asked)
        return asked.result()

    async def ask_async(self, job: Job) -> Answer:
        """Write a job and wait, without holding a thread; a cancelled caller changes nothing, the job is written."""
        loop = asyncio.get_running_loop()
        asked: asyncio.Future[Answer] = loop.create_future()
        self._put(job, (loop, asked))
        return await asked

    def close(self) -> None:
        """Write and follow up what is waiting, then end; what comes later is refused."""
        with self._lock:
            closed, self._closed = self._closed, True
            threads, self._threads = self._threads, []
        if closed or not threads:
            return
        self._closing.set()
        self._waiting.put(_STOP)
        for thread in threads:
            thread.join()

    def _put(self, job: Job, asked: Any) -> None:
        with self._lock:
            if self._closed or self._waiting.qsize() > MAX_WAITING:
                raise OutsideError("the site is closing or has too much to write; nothing was recorded, try again")
            if not self._threads:
                targets = (("commit", self._committing), ("follow", self._following))
                self._threads = [threading.Thread(target=run, name=f"demur-{name}") for name, run in targets]
                for thread in self._threads:
                    thread.start()
            self._waiting.put((job, asked))

    def _committing(self) -> None:
        while batch := _take(self._waiting):
            stop = batch[-1] is _STOP
            batch = batch[:-1] if stop else batch
            answers = self._answers([job for job, _ in batch]) if batch else []
            _tell(batch, answers)
            self._answered += len(batch)
            for (job, _), answer in zip(batch, answers, strict=True):
                if not isinstance(answer, BaseException):
                    self._done.put((job, answer))
            if stop:
                self._done.put(_STOP)
                return

    def _answers(self, jobs: list[Job]) -> Sequence[Answer | BaseException]:
        try:
            return self._commit(jobs)
        except Exception as error:
            if len(jobs) == 1:
                return [error]
            _LOG.warning("a batch of %d could not be written together (%s); each is tried alone", len(jobs),
                         type(error).__name__)  # fmt: skip
        return [answer for job in jobs for answer in self._answers([job])]

    def _following(self) -> None:
        while batch := _take(self._done, before=lambda: self._closing.wait(GATHER_SECONDS)):
            stop = batch[-1] is _STOP
            batch = batch[:-1] if stop else batch
            begun, answered = time.monotonic(), self._answered
            try:
                if batch:
                    self._follow(batch)
            except Exception as error:  # the next look does it again (flows/objected.py)
                _LOG.warning("following up %d failed (%s)", len(batch), type(error).__name__)
            if stop:
                return
            if self._answered > answered:
                self._closing.wait(REST * (time.monotonic() - begun))


def _take(waiting: queue.SimpleQueue[Any], before: Callable[[], object] = lambda: None) -> list[Any]:
    """Wait for one, then (after ``before``) take what else is there; the stop mark ends a batch."""
    batch = [waiting.get()]
    before()
    while len(batch) < MAX_BATCH and batch[-1] is not _STOP:
        try:
            batch.append(waiting.get_nowait())
        except queue.Empty:
            break
    return batch


def _tell(batch: Sequence[tuple[Any, Any]], answers: Sequence[Any]) -> None:
    """Hand out answers: to threads at once, to each event loop in one call."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for (_, asked), answer in zip(batch, answers, strict=True):
        if isinstance(asked, Future):
            _settle(asked, answer)
        else:
            loops.setdefault(asked[0], []).append((asked[1], answer))
    for loop, pairs in loops.items():
        try:
            loop.call_soon_threadsafe(_settle_all, pairs)
        except RuntimeError:  # the loop is closed: nobody waits any more
            continue


def _settle_all(pairs: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for asked, answer in pairs:
        if not asked.done():
            _settle(asked, answer)


def _settle(asked: Any, answer: Any) -> None:
    if isinstance(answer, BaseException):
        asked.set_exception(answer)
    else:
        asked.set_result(answer)

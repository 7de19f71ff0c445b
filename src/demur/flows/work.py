"""The work behind the pages, a step at a time: sending, letters, settling, enrolling, answering clocks, honouring.

Every step returns within seconds how much it did, may be killed anywhere, and finds its own unfinished work again. A
step that fails is told to whoever listens and tried again later; it never keeps the others from their turn.
"""

from __future__ import annotations

import contextlib
import fcntl
import time
from collections.abc import Callable, Mapping

from demur.flows import (
    bounces,
    campaign,
    enrol,
    feed,
    hold,
    honour,
    inapp,
    left,
    letters,
    mine_index,
    objected,
    openlineage,
    recall,
    request,
    schedule,
    send,
    settle,
)
from demur.flows.service import Service

Step = Callable[[Service], int]

SHARED: Mapping[str, Step] = {"letters": letters.step, "send": send.step, "in-app": inapp.step}
"""Steps that several workers may do side by side: rows are leased."""

ALONE: Mapping[str, Step] = {
    "objections": objected.step,
    "holds": hold.step,
    "honour": honour.step,
    "feed": feed.step,
    "campaigns": campaign.step,
    "enrol": enrol.step,
    "bounces": bounces.step,
    "settle": settle.step,
    "requests": request.step,
    "schedule": schedule.step,
    "recall": recall.step,
    "openlineage": openlineage.step,
    "left": left.step,
    "index": lambda service: mine_index.step(service.parts, at=service.clock()),
}
"""Steps of one worker at a time: whoever holds the workspace's worker lock."""

IDLE_SECONDS = 1.0
AGAIN_SECONDS = 30.0
"""After a failure a step waits this long."""

Told = Callable[[str, int, Exception | None], None]
"""Called after each step that did something or failed: name, how much, what went wrong."""


def work(service: Service, *, go_on: Callable[[], bool], told: Told, once: bool = False) -> int:
    """Work until told to stop.

    Args:
        service: the parts.
        go_on: asked between steps.
        told: hears what was done.
        once: stop when there is nothing left to do.

    Returns:
        How much was done in all.
    """
    total, later = 0, dict.fromkeys([*SHARED, *ALONE], 0.0)
    with _Turn(service) as turn:
        while go_on():
            done = 0
            for name, step in ({**SHARED, **ALONE} if turn.mine() else SHARED).items():
                if time.monotonic() < later[name] or not go_on():
                    continue
                try:
                    found = step(service)
                except Exception as error:  # one step's fault must not stop the others' work
                    later[name] = time.monotonic() + AGAIN_SECONDS
                    told(name, 0, error)
                    continue
                if found:
                    told(name, found, None)
                done += found
            total += done
            if not done:
                if once:
                    return total
                time.sleep(IDLE_SECONDS)
    return total


class _Turn:
    """The worker lock: asked for again until it is free, for the worker before may still be on its way out."""

    def __init__(self, service: Service) -> None:
        self._file = (service.parts.workspace.root / ".work.lock").open("w")
        self._mine = False

    def __enter__(self) -> _Turn:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()  # frees it, as the system does when the process dies

    def mine(self) -> bool:
        """Say whether this worker is the one that does the steps of one worker at a time."""
        if not self._mine:
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._mine = True
        return self._mine

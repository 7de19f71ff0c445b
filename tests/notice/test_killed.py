"""kill -9 in the middle of a campaign, again and again: nobody is missed, and the ledger names who may have got two."""

from __future__ import annotations

import collections
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from demur.notice import NoticeBook
from demur.notice.deliveries import Deliveries
from demur.terms.notice import DeliveryState

from .relay import Sink, running

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
PEOPLE, KILLS = (50_000, 100) if NIGHTLY else (1_000, 2)
WINDOW = 64


class Deadly(Sink):
    """A relay that kills who sends when it has taken so many: however busy the machine is, in the middle."""

    def __init__(self) -> None:
        super().__init__(answer=self._look)
        self._last: tuple[int, subprocess.Popen[bytes]] | None = None

    def kill_after(self, taken: int, sender: subprocess.Popen[bytes]) -> None:
        self._last = (taken, sender)

    def _look(self, what: str, _rest: str, taken: int) -> None:
        if what == "text" and self._last is not None and taken >= self._last[0]:
            self._last[1].kill()  # SIGKILL


def test_nobody_is_missed_and_duplicates_are_few_and_named(url: str, book: NoticeBook, enrolled: Any) -> None:
    enrolled(PEOPLE)
    ledger, killed = Deliveries(book, bytes(32)), 0
    worker = Path(__file__).with_name("campaign_worker.py")
    with running(Deadly()) as sink:
        command = [sys.executable, worker, url.replace("***", ""), str(sink.port), str(WINDOW)]
        while len(set(sink.ids()) if killed >= KILLS else sink.taken) < PEOPLE:
            before = len(sink.taken)
            with subprocess.Popen(command) as process:
                if killed < KILLS:
                    sink.kill_after(before + PEOPLE // (2 * KILLS), process)
                    killed += 1
                process.wait()
            assert killed <= KILLS + 1
            if killed >= KILLS and process.returncode == 0:
                break
        got = collections.Counter(int(name.partition("@")[0]) for name in sink.ids())
    assert killed == KILLS
    assert len(got) == PEOPLE
    doubles = {number for number, count in got.items() if count > 1}
    assert sum(got.values()) - PEOPLE <= KILLS * WINDOW
    assert doubles <= {one.number for one in ledger.possible_duplicates("c1")}
    assert len(ledger.possible_duplicates("c1")) <= KILLS * WINDOW
    assert ledger.counts("c1")[DeliveryState.ACCEPTED] == PEOPLE

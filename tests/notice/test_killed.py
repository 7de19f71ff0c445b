"""kill -9 in the middle of a campaign, again and again: nobody is missed, and the ledger names who may have got two."""

from __future__ import annotations

import collections
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from demur.notice import NoticeBook
from demur.notice.deliveries import Deliveries
from demur.terms.notice import DeliveryState

from .relay import Sink, running

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
PEOPLE, KILLS = (50_000, 100) if NIGHTLY else (1_000, 2)
WINDOW = 64


def test_nobody_is_missed_and_duplicates_are_few_and_named(url: str, book: NoticeBook, enrolled: Any) -> None:
    enrolled(PEOPLE)
    ledger, killed = Deliveries(book, bytes(32)), 0
    worker = Path(__file__).with_name("campaign_worker.py")
    with running(Sink()) as sink:
        command = [sys.executable, worker, url.replace("***", ""), str(sink.port), str(WINDOW)]
        while len(set(sink.ids()) if killed >= KILLS else sink.taken) < PEOPLE:
            before = len(sink.taken)
            with subprocess.Popen(command) as process:
                if killed < KILLS:
                    while len(sink.taken) < before + PEOPLE // (2 * KILLS) and process.poll() is None:
                        time.sleep(0.002)
                    process.kill()  # SIGKILL
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

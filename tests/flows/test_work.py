"""The worker: it takes over when the one before is gone, ends when told to, and no step's fault ends it."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from demur.cli import main
from demur.flows import work
from demur.flows.send import _signals
from demur.flows.service import Service
from demur.ledger import Ledger
from demur.people import Told
from demur.store import Workspace
from demur.wiring import open_service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with open_service(Workspace(tmp_path / "home")) as found:
        yield found


def test_a_worker_that_began_beside_a_dying_one_takes_over(service: Service) -> None:
    parts = service.parts
    parts.registry.record_objections([Told("api", person_id="p1")], recorded_at=datetime(2026, 9, 1, tzinfo=UTC))

    def logged() -> int:
        with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
            return ledger.size

    calls = 0
    with (parts.workspace.root / ".work.lock").open("w") as older:
        fcntl.flock(older, fcntl.LOCK_EX)

        def go_on() -> bool:
            nonlocal calls
            calls += 1
            if calls == 5:  # in the second round
                assert logged() == 0, "the other worker does this"
                fcntl.flock(older, fcntl.LOCK_UN)
            return calls < 40 and logged() == 0

        work.work(service, go_on=go_on, told=lambda *_: None)
    assert logged() == 1


def test_a_wish_to_end_that_comes_while_it_sends_is_heard() -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with _signals() as told:
            os.kill(os.getpid(), signal.SIGTERM)
            assert told.wait(60)
        assert heard == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_fault_without_words_does_not_end_the_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_service: Service) -> int:
        raise TimeoutError

    with open_service(Workspace(tmp_path / "home")):
        pass
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(work, "SHARED", {"letters": fail})
    try:
        done = CliRunner().invoke(main, ["--home", str(tmp_path / "home"), "work", "--once"])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert done.exit_code == 0, done.output
    assert "letters failed (TimeoutError)" in done.output

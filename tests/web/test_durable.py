"""Whatever was answered is on disk: the server is killed in the middle of a burst and started again."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "objections"))
from objection_site import tell

from demur.flows import objected, objection
from demur.flows.service import Service
from demur.flows.writer import GroupCommit
from demur.ledger import EntryKind, Ledger
from demur.store import Workspace
from demur.store.links import LinkPurpose
from demur.wiring import open_service

PEOPLE = 400
SITE = Path(__file__).parents[1] / "objections" / "objection_site.py"


def start(home: Path, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, str(SITE), str(home), str(port)])
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.05)
    raise AssertionError("the site did not start")


def press(port: int, tokens: list[tuple[int, str]], answered: list[int], enough: Callable[[], None]) -> None:
    """Press buttons one after the other over one connection until the server is gone."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for number, token in tokens:
            connection.request("POST", f"/o/{token}", headers={"content-length": "0"})
            answer = connection.getresponse()
            answer.read()
            if answer.status == 303:
                answered.append(number)
                if len(answered) >= PEOPLE // 8:
                    enough()
    except (OSError, HTTPException):
        pass
    finally:
        connection.close()


def test_every_answered_objection_is_there_after_a_kill(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if url.startswith("postgresql"):
        monkeypatch.setenv("DEMUR_REGISTRY_URL", url)
    home = tmp_path / "home"
    with open_service(Workspace(home)) as service:
        tell(service, PEOPLE)
        tokens = [(number, service.links.token(LinkPurpose.OBJECT, number)) for number in range(1, PEOPLE + 1)]
    answered: list[int] = []
    with socket.socket() as port:
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # it stays ours until the site listens there
        port.bind(("127.0.0.1", 0))
        number = port.getsockname()[1]
        server = start(home, number)
        threads = [threading.Thread(target=press, args=(number, tokens[n::8], answered, server.kill)) for n in range(8)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            server.kill()  # SIGKILL
            server.wait()
    assert PEOPLE // 8 <= len(answered) < PEOPLE // 4
    with open_service(Workspace(home)) as service:
        while objected.step(service):
            pass
        assert_there(service, answered)


def assert_there(service: Service, answered: list[int]) -> None:
    kept = {one.person_id: one for one in service.parts.registry.objections_page(rows=10_000)}
    assert {f"k:p{number}" for number in answered} <= set(kept)
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        assert all(ledger.find(EntryKind.OBJECTION, one.event_id) is not None for one in kept.values())


# The writer by itself -------------------------------------------------------------------------------------------------


def test_a_fault_of_one_is_not_the_others(tmp_path: Path) -> None:
    def commit(jobs: object) -> list[int]:
        found = list(jobs)  # type: ignore[call-overload]
        if 3 in found:
            raise ValueError("three")
        return [one * 2 for one in found]

    followed: list[tuple[int, int]] = []
    writer: GroupCommit[int, int] = GroupCommit(commit, followed.extend)
    answers: dict[int, object] = {}

    def ask(number: int) -> None:
        try:
            answers[number] = writer.ask(number)
        except ValueError as error:
            answers[number] = str(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    assert answers == {number: "three" if number == 3 else number * 2 for number in range(40)}
    assert sorted(followed) == [(number, number * 2) for number in range(40) if number != 3]


def test_a_failing_follow_up_reaches_nobody_and_stops_nothing() -> None:
    def follow(pairs: object) -> None:
        raise RuntimeError("no relay")

    writer: GroupCommit[int, int] = GroupCommit(list, follow)
    assert [writer.ask(number) for number in range(5)] == list(range(5))
    writer.close()


def test_a_client_that_goes_away_changes_nothing() -> None:
    import asyncio

    written: list[int] = []
    begun, gate = threading.Event(), threading.Event()

    def commit(jobs: object) -> list[int]:
        begun.set()
        gate.wait()
        written.extend(jobs)  # type: ignore[call-overload]
        return list(jobs)  # type: ignore[call-overload]

    writer: GroupCommit[int, int] = GroupCommit(commit, lambda pairs: None)

    async def scene() -> int:
        gone = asyncio.create_task(writer.ask_async(1))
        assert await asyncio.to_thread(begun.wait, 60)
        gone.cancel()
        stays = asyncio.create_task(writer.ask_async(2))
        await asyncio.sleep(0)
        gate.set()
        return await stays

    assert asyncio.run(scene()) == 2
    writer.close()
    assert sorted(written) == [1, 2]


def test_closing_writes_what_waits(tmp_path: Path) -> None:
    with open_service(Workspace(tmp_path / "home", seed=b"x")) as service:
        tell(service, 30)
        threads = [
            threading.Thread(target=objection.object_now, args=(objection.by_link(service, number),))
            for number in range(1, 31)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        service.writer.close()
        assert len(service.parts.registry.objections_page()) == 30
        assert_there(service, list(range(1, 31)))

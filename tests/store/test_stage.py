"""Stages in child processes: one child for several, another one after it died, the same answers from both."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

import demur
from demur.errors import BrokenError, InputError, OutsideError
from demur.store import commit_record, write_bytes
from demur.store.stage import Child, children, run_stage

HERE = Path(__file__).parent


def told(folder: Path, *, word: str) -> None:
    """A stage that prints and reads, as libraries and their programs do, and tells its process."""
    print("not an answer")  # noqa: T201
    subprocess.run(["cat"], check=True)
    commit_record(folder, {"word": word, "process": os.getpid()})


def dying(folder: Path, *, until: str) -> None:
    """A stage that is killed the first time."""
    if not Path(until).exists():
        Path(until).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    commit_record(folder, {"process": os.getpid()})


def opening(folder: Path, *, files: int) -> None:
    """A stage with many work files."""
    with contextlib.ExitStack() as stack:
        for number in range(files):
            stack.enter_context((folder / str(number)).open("wb"))
        commit_record(folder, {"files": files})


def filling(folder: Path) -> None:
    """A stage for which the disk is too small."""
    (folder / "less").mkdir()
    (folder / "less" / "work").write_bytes(bytes(1_500))
    (folder / "more").write_bytes(bytes(15_000))


def filled(folder: Path) -> None:
    """A stage for which the disk is too small, and then even for its complaint."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    filling(folder)


def stumbling(folder: Path) -> None:
    """A stage with a bug."""
    words = "Ann's words"
    raise RuntimeError(words)


def forgetful(folder: Path) -> None:
    """A stage that returns and commits nothing."""
    sys.stderr.write("I had a bad day\n")


def late(folder: Path, *, told: str) -> None:
    """A stage that works on whatever becomes of its caller."""
    write_bytes(Path(told), str(os.getpid()).encode())
    while True:
        (folder / "text").touch()
        time.sleep(0.01)


def refusing(folder: Path) -> None:
    """A stage that dislikes what it got."""
    raise InputError("expected more", ["line 1"])


@pytest.fixture(autouse=True)
def _children_find_this_file(monkeypatch: pytest.MonkeyPatch) -> None:
    source = str(Path(demur.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), source, os.environ.get("PYTHONPATH", "")]))


def test_one_child_runs_several_stages(tmp_path: Path) -> None:
    with Child() as child:
        first = child("test_stage:told", tmp_path / "a ü", {"word": "ä"})
        assert child("test_stage:told", tmp_path / "a ü", {"word": "ä"}) == first  # it is there
        second = child("test_stage:told", tmp_path / "b", {"word": "b"})
        with pytest.raises(InputError, match="expected more") as caught:
            child("test_stage:refusing", tmp_path / "c", {})
        third = child("test_stage:told", tmp_path / "a ü", {"word": "other"})
    assert caught.value.faults == ("line 1",)
    assert (first["word"], second["word"], third["word"]) == ("ä", "b", "other")
    assert first["process"] == second["process"] == third["process"] != os.getpid()
    assert not Path(f"/proc/{first['process']}").exists()
    with Child() as child:
        assert child("test_stage:told", tmp_path / "b", {"word": "b"}) == second  # also for another child
    assert run_stage("test_stage:told", tmp_path / "d", {"word": "d"})["process"] != first["process"]


def test_a_stage_may_open_more_files_than_we_may(tmp_path: Path) -> None:
    few, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))
    try:
        assert run_stage("test_stage:opening", tmp_path / "stage", {"files": 500})["files"] == 500
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, most))


def test_a_full_disk_is_said_so_whoever_wrote(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    try:
        with pytest.raises(OutsideError, match=r"the disk is full while writing work files in .*stage; free space"):
            run_stage("test_stage:filling", tmp_path / "stage", {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not (tmp_path / "stage" / "less").exists()
    with pytest.raises(OutsideError, match="the disk is full while writing"):
        run_stage("test_stage:filled", tmp_path / "stage", {})


def test_a_child_that_died_is_replaced(tmp_path: Path) -> None:
    with Child() as child:
        first = child("test_stage:told", tmp_path / "a", {"word": "a"})
        after = child("test_stage:dying", tmp_path / "b", {"until": str(tmp_path / "there")})
        assert after["process"] != first["process"]
        with pytest.raises(BrokenError, match=r"stumbling died twice \(exit 1\).*builtins.RuntimeError") as caught:
            child("test_stage:stumbling", tmp_path / "c", {})
        assert "Ann's words" not in str(caught.value)
        last = child("test_stage:told", tmp_path / "d", {"word": "d"})
        os.kill(last["process"], signal.SIGKILL)  # between two stages, as an operator might
        assert child("test_stage:told", tmp_path / "e", {"word": "e"})["process"] != last["process"]


def test_a_stage_that_commits_nothing_tells_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(BrokenError, match=r"forgetful died twice \(exit 3\).*a bad day"):
        run_stage("test_stage:forgetful", tmp_path / "a", {})


def test_a_stage_does_not_outlive_who_asked_for_it(tmp_path: Path) -> None:
    told = tmp_path / "told"
    call = "import sys; from pathlib import Path; from demur.store.stage import run_stage;"
    call += "run_stage('test_stage:late', Path(sys.argv[1]), {'told': sys.argv[2]})"
    ours = subprocess.Popen([sys.executable, "-c", call, tmp_path / "a", told])
    while not told.exists():
        assert ours.poll() is None
        time.sleep(0.05)
    stage = Path("/proc", told.read_text())
    assert stage.exists()
    ours.kill()
    ours.wait()
    until = time.monotonic() + 60
    while stage.exists():
        assert time.monotonic() < until, "it goes on"
        time.sleep(0.05)


def test_children_serve_several_threads_and_are_kept(tmp_path: Path) -> None:
    with children(2) as run, ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda word: run("test_stage:told", tmp_path / word, {"word": word}), "abcdef"))
    assert [one["word"] for one in found] == list("abcdef")
    assert len({one["process"] for one in found}) <= 2


def test_an_error_ends_what_another_thread_has_a_child_do(tmp_path: Path) -> None:
    told = tmp_path / "told"
    with ThreadPoolExecutor(1) as pool:

        def interrupted() -> Future[object]:
            with contextlib.suppress(KeyboardInterrupt), children(1) as run:
                waiting = pool.submit(run, "test_stage:late", tmp_path / "a", {"told": str(told)})
                while not (told.exists() and told.read_text()):
                    time.sleep(0.05)
                raise KeyboardInterrupt
            return waiting

        with pytest.raises(BrokenError, match="ended with the run"):
            interrupted().result()
    assert not Path(f"/proc/{told.read_text()}").exists()


def test_an_error_of_ours_leaves_no_child(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Child() as child:  # noqa: PT012
        found = child("test_stage:told", tmp_path / "a", {"word": "a"})
        raise KeyboardInterrupt
    assert not Path(f"/proc/{found['process']}").exists()

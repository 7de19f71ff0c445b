"""What killed runs left in clear goes when the next command takes the lock, and nothing of a running one goes."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from click.testing import CliRunner
from flow_worlds import LATER, SENTINEL, in_process, opened

from demur.cli import main
from demur.clock import now
from demur.erasure import find_sentinel
from demur.errors import RefusedError
from demur.flows import left
from demur.flows.left import alone, beside, run_folder
from demur.store import Workspace, stage, write_json

HOLDER = """
import sys, time
from pathlib import Path
from demur.flows.left import alone, beside, fresh
from demur.store import Workspace

space = Workspace(Path(sys.argv[1]))
with alone(space), fresh(space, "decided-x") as run, beside(space, "mine") as aside:
    for folder in (run, aside):
        folder.mkdir(exist_ok=True)
        (folder / "part").write_text("what somebody wrote")
    print("ready", flush=True)
    time.sleep(600)
"""


STAGE = """
import sys, time
from pathlib import Path
from demur.store import write_bytes
from demur.store.stage import alive

stage = Path(sys.argv[1])
stage.mkdir(parents=True)
with alive(stage):
    print("ready", flush=True)
    while True:
        write_bytes(stage / "part", b"what somebody wrote")
"""


@pytest.fixture
def killed(here):
    """A workspace in which an erasure was killed between the stages of its corpus and the corpus."""
    here.object("olga", "ana", "gil")
    here.parts.registry.close()
    driver = [sys.executable, str(Path(__file__).with_name("driver.py")), str(here.space.root)]
    done = subprocess.run([*driver, "erase", "demur.corpus.build._assemble:before"], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-800:]
    assert {path.name.split("-")[0] for path in run_folder(here.space).iterdir()} == {"decided", "corpus"}
    assert find_sentinel(run_folder(here.space), [SENTINEL])
    return here.space


def _command(space: Workspace, *arguments: str) -> None:
    done = CliRunner().invoke(main, ["--home", str(space.root), *arguments])
    assert done.exit_code == 0, done.output


def test_any_command_that_writes_removes_what_a_killed_erasure_left(killed):
    before = sorted(run_folder(killed).rglob("*"))
    _command(killed, "status")
    assert sorted(run_folder(killed).rglob("*")) == before, "who only reads removes nothing"
    _command(killed, "corpus", "expire", "--dry-run", "--keep-versions", "3")
    assert not list(run_folder(killed).iterdir())
    assert find_sentinel(killed.work, [SENTINEL]) == []


def test_an_erasure_goes_on_from_the_stages_that_are_done(killed):
    performed: list[str] = []
    perform = stage.perform

    def counted(folder: Path) -> int:
        performed.append(folder.parent.name)
        return perform(folder)

    with mock.patch.object(stage, "perform", counted), in_process(), alone(killed, builds=True):
        assert {path.name.split("-")[0] for path in run_folder(killed).iterdir()} == {"corpus"}
        with opened(killed.root) as again:
            again.erase(LATER)
            assert performed
            assert not [name for name in performed if name.startswith("corpus-")]
            assert again.clean().equal
    assert not list(run_folder(killed).iterdir())


def test_nothing_of_a_running_command_is_removed_and_all_of_a_killed_one(tmp_path):
    space = Workspace(tmp_path / "home")
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(space.root)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "ready\n"
        held = sorted(path for path in space.work.rglob("part"))
        assert len(held) == 2
        with pytest.raises(RefusedError, match="another demur command"), alone(space):
            pass
        with beside(space, "media") as mine:
            assert mine.is_dir()
        assert left.step(_service(space)) == 0
        assert sorted(path for path in space.work.rglob("part")) == held
        holder.send_signal(signal.SIGKILL)
    with alone(space):
        assert [path for path in space.work.rglob("*") if path.is_file()] == []
    assert not list((space.work / "beside").iterdir())


@pytest.mark.parametrize("builds", [False, True])
def test_the_next_command_waits_for_the_stages_of_a_killed_one(tmp_path, monkeypatch, builds):
    """The workspace's lock is free at once; a stage lives until it hears of it, on a cluster on another machine."""
    monkeypatch.setattr(left, "DYING_SECONDS", 0.2)
    space = Workspace(tmp_path / "home")
    stage = run_folder(space) / "corpus-1" / "text"
    with subprocess.Popen([sys.executable, "-c", STAGE, stage], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        for again in (alone(space, builds=builds), _purge(space)):
            with pytest.raises(RefusedError, match="still works in"), again:
                pass
        assert stage.is_dir()
        process.kill()
    with alone(space, builds=builds):
        assert stage.is_dir() == builds
    with _purge(space):
        assert not space.work.exists()


@contextlib.contextmanager
def _purge(space: Workspace) -> Iterator[None]:
    with space.lock():
        left.clear_all(space)
        yield


EXPORTING = """
import sys, time
from pathlib import Path
from demur.flows.left import alone, outside
from demur.store import Workspace
space = Workspace(Path(sys.argv[1]))
with alone(space), outside(space, Path(sys.argv[2])) as folder:
    (folder / "words").write_text("of somebody")
    print("there", flush=True)
    time.sleep(600)
"""


def test_what_a_killed_export_left_outside_the_workspace_goes_with_the_next_command(tmp_path):
    space, target = Workspace(tmp_path / "ws"), tmp_path / "else where" / "export"
    with subprocess.Popen([sys.executable, "-c", EXPORTING, space.root, target], stdout=subprocess.PIPE) as killed:
        assert killed.stdout.readline() == b"there\n"
        killed.kill()
    assert [path.name for path in target.parent.rglob("words")] == ["words"]
    with alone(space):
        assert list(target.parent.iterdir()) == []
        assert list(run_folder(space).iterdir()) == []
    with pytest.raises(ValueError, match="wrong"), left.outside(space, target):
        raise ValueError("wrong")
    with left.outside(space, target) as folder:
        (folder / "words").write_text("of somebody")
    assert list(target.parent.iterdir()) == []
    assert list(run_folder(space).iterdir()) == []


def test_the_worker_leaves_a_build_for_an_hour(tmp_path, monkeypatch):
    monkeypatch.setattr(left.LOOK, "seconds", 3_600.0)
    space = Workspace(tmp_path / "home")
    files = [run_folder(space) / one for one in ("corpus-1/select/rows", "corpus-2/text/FAULT.json", "decided-1/rows")]
    for path in files:
        write_json(path, {"type": "OutsideError"})
    assert left.step(_service(space)) == 1
    assert [path.exists() for path in files] == [True, True, False]
    assert left.step(_service(space)) == 0, "it looks now and then"
    old = now().timestamp() - 2 * left.REST_SECONDS
    for path in run_folder(space).rglob("*"):
        os.utime(path, (old, old))
    left.LOOK.forget()
    assert left.step(_service(space)) == 1
    assert [path.exists() for path in files] == [False, True, False], "what failed is still to be told"
    left.LOOK.forget()
    assert left.step(_service(space)) == 0


def test_a_file_that_a_killed_feed_left_keeps_nobody_out(tmp_path):
    """The feed wrote into ``work/run`` itself once; a symbolic link leads nobody elsewhere."""
    space, elsewhere = Workspace(tmp_path / "home"), tmp_path / "elsewhere"
    write_json(elsewhere / "part", {})
    for file in (
        run_folder(space) / "segment-1.jsonl",
        run_folder(space) / "corpus-1",
        space.work / "beside" / "media-1",
    ):
        write_json(file, {"text": SENTINEL})
    (run_folder(space) / "link").symlink_to(elsewhere, target_is_directory=True)
    assert left.step(_service(space)) == 3
    with alone(space):
        assert [path for path in space.work.rglob("*") if not path.is_dir()] == []
    assert (elsewhere / "part").exists()


def test_what_runs_of_the_former_layout_left_goes_and_what_is_of_use_stays(tmp_path):
    space = Workspace(tmp_path / "home")
    names = ("corpus-1", "decided-1", "export", "media", "media-x1", "mine-x1", "feed", "rehearsal", "clean", "clean-1")
    stays = [space.work / one for one in ("mine/1.sealed", "whatif/a-b.json", "requests/part", "run/corpus-2/rows")]
    for path in (*(space.work / name / "rows" for name in names), *stays):
        write_json(path, {"text": SENTINEL})
    assert left.step(_service(space)) == len(names), "also where nothing else was left"
    assert sorted(path for path in space.work.rglob("*") if path.is_file()) == sorted(stays)
    write_json(space.work / "corpus-3" / "rows", {})
    with alone(space, builds=True):
        assert sorted(path for path in space.work.rglob("*") if path.is_file()) == sorted(stays)


def test_a_purge_leaves_what_somebody_uses(tmp_path):
    space = Workspace(tmp_path / "home")
    gone = ("run/corpus-1/rows", "run/x", "mine/1.sealed", "whatif/a-b.json", "corpus-2/rows", "beside/dead-1/part")
    for name in (*gone, "requests/items/part", ".requests.lock"):
        write_json(space.work / name, {"text": SENTINEL})
    with beside(space, "media") as mine:
        write_json(mine / "part", {})
        write_json(space.work / "beside" / "dead-2" / "part", {})
        left.clear_all(space)
        here = {str(path.relative_to(space.work)) for path in space.work.rglob("*") if path.is_file()}
        assert here == {f"beside/{mine.name}/part", "requests/items/part", ".requests.lock"}
    for name in ("requests/items/part", ".requests.lock"):
        (space.work / name).unlink()
    for name in ("requests/items", "requests"):
        (space.work / name).rmdir()
    left.clear_all(space)
    assert not space.work.exists()


def test_the_worker_looks_on_while_a_build_removes_its_stages(tmp_path, monkeypatch):
    space, rglob = Workspace(tmp_path / "home"), Path.rglob
    write_json(run_folder(space) / "corpus-1" / "text" / "part", {})

    def listed_before_it_went(folder, pattern):
        found = list(rglob(folder, pattern))
        if folder.is_dir():
            shutil.rmtree(folder)
        return iter(found)

    monkeypatch.setattr(Path, "rglob", listed_before_it_went)
    assert left.step(_service(space)) == 0


@pytest.mark.parametrize("while_it", ["is locked", "is made"])
def test_a_folder_that_is_taken_for_a_dead_ones_is_made_again(tmp_path, monkeypatch, while_it):
    """Another command looks for the dead between the making of a folder and its lock."""
    space, made, real, home = Workspace(tmp_path / "home"), [], tempfile.mkdtemp, tmp_path / "home/work/beside"

    def mkdtemp(**how):
        if while_it == "is made" and not made:
            made.append("")
            home.rmdir()
        made.append(real(**how))
        if len(made) < 3:
            left._clear_dead(space)
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with beside(space, "media") as mine:
        assert mine == Path(made[-1])
        assert len(made) == 3
        assert left._clear_dead(space) == 0
        assert mine.is_dir()
    assert not list(home.iterdir())


def _service(space: Workspace) -> Any:
    return SimpleNamespace(parts=SimpleNamespace(workspace=space), clock=now)

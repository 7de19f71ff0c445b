"""Folders that hold persons and texts in clear while a flow runs, and what killed runs left of them.

    work/run/<name>/       of the command that holds the workspace's lock: whoever holds it next removes what is there
    work/run/outside-*     where such a command writes outside the workspace: that folder is removed too
    work/run/corpus-*/     a build's stages, from which the same command goes on: removed by every other command
    work/run/**/.*.alive   locked by each stage's process: nothing is removed before the last of them is gone
    work/beside/<name>-*/  of commands beside it, each locked by its own process: whoever comes next removes the dead

A lock goes with its process, so nobody's folder is removed under them, and a command that only reads removes nothing
that is in use.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from demur.errors import RefusedError
from demur.flows.pace import Pace
from demur.store import Workspace, digest_bytes, remove_tree, write_bytes
from demur.store.apart import apart, place_of
from demur.store.stage import living

if TYPE_CHECKING:
    from demur.flows.service import Service

BUILD = "corpus-"
"""What the folders of builds begin with (``corpus/build.py``)."""
OUTSIDE = "outside-"
"""What the files begin with that name a folder outside the workspace."""
FAULT = "FAULT.json"
"""What a stage that failed says of it; no text, no person. It stays, for ``flows/openlineage.py`` tells it."""
REST_SECONDS = 3_600.0
"""A build that was killed so long ago is not gone on with: the worker removes it."""
LOOK = Pace(60.0)
DYING_SECONDS = 60.0
"""So long the stages of a killed command may go on; a cluster ends them when who asked is gone."""
_FORMER = ("corpus-*", "decided-*", "mine-*", "media", "media-*", "export", "feed", "rehearsal", "clean*")
"""Where runs worked before there was ``work/run/``."""
_STAYS = ("beside", "requests", ".requests.lock")
"""What a purge leaves: folders of live processes, posts that a request is compared with (``flows/matching.py``)."""


def run_folder(space: Workspace) -> Path:
    """Return where whoever holds the lock works."""
    return space.work / "run"


@contextlib.contextmanager
def alone(space: Workspace, *, builds: bool = False) -> Iterator[None]:
    """Hold the workspace's lock, with nothing there that killed runs left.

    Args:
        space: the workspace.
        builds: this command may go on with a build that was killed.

    Raises:
        RefusedError: another command holds it.
    """
    with space.lock():
        clear(space, builds=builds)
        yield


@contextlib.contextmanager
def fresh(space: Workspace, name: str) -> Iterator[Path]:
    """Give an empty folder to whoever holds the lock; it is removed at the end."""
    folder = run_folder(space) / name
    remove_tree(folder)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        remove_tree(folder)


@contextlib.contextmanager
def outside(space: Workspace, target: Path) -> Iterator[Path]:
    """Give whoever holds the lock an empty folder beside a target (``apart``); it is removed at the end.

    If that is a kill, whoever holds the lock next removes it: what stands there is out of an erasure's sight.
    """
    place = place_of(target.absolute())
    note = run_folder(space) / f"{OUTSIDE}{digest_bytes(os.fsencode(place))[:16]}"
    write_bytes(note, os.fsencode(place))
    try:
        with apart(target) as folder:
            yield folder
    finally:
        if not place.exists():
            note.unlink(missing_ok=True)


@contextlib.contextmanager
def beside(space: Workspace, name: str) -> Iterator[Path]:
    """Give an empty folder to a command that does not hold the lock; it is removed at the end."""
    _clear_dead(space)
    home = space.work / "beside"
    with contextlib.ExitStack() as stack:
        while True:
            try:
                home.mkdir(parents=True, exist_ok=True)
                folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=home))
                handle = os.open(folder, os.O_RDONLY)
            except FileNotFoundError:  # as below
                continue
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists():  # else somebody took it for a dead one's before it was locked
                break
            os.close(handle)
        stack.callback(os.close, handle)
        stack.callback(remove_tree, folder)
        yield folder


def clear(space: Workspace, *, builds: bool) -> int:
    """Remove what killed runs left; the caller holds the lock. ``builds`` = leave what a build goes on from.

    Raises:
        RefusedError: a stage of a killed command goes on, on this machine or another.
    """
    gone = _clear_dead(space)
    _await_the_dying(space)
    _clear_outside(space)
    begun = [path for path in _of_runs(space) if path.name.startswith(BUILD)]
    for path in sorted({*_former(space), *_of_runs(space)}.difference(begun)):
        _remove(path)
        gone += 1
    return gone if builds else gone + sum(map(_strip, begun))


def clear_all(space: Workspace) -> None:
    """Remove all of ``work/`` that nobody uses: what it links would keep bytes alive. The caller holds the lock.

    Raises:
        RefusedError: as above.
    """
    _clear_dead(space)
    _await_the_dying(space)
    _clear_outside(space)
    for path in sorted(space.work.glob("*")):
        if path.name not in _STAYS:
            _remove(path)
    for folder in (space.work / "beside", space.work):
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()


def step(service: Service) -> int:
    """Remove what killed runs left, as a step of ``demur work``; 0 while somebody works."""
    space = service.parts.workspace
    if not LOOK.due(space.root):
        return 0
    LOOK.rest(space.root)
    since = service.clock().timestamp() - REST_SECONDS
    try:
        old = all(path.stat().st_mtime < since for build in _of_runs(space) for path in build.rglob("*"))
        rest = all(path.name.startswith(BUILD) and not (old and _texts(path)) for path in _of_runs(space))
    except FileNotFoundError:  # somebody works: a build removes its stages as it goes
        return _clear_dead(space)
    if rest and not _former(space):
        return _clear_dead(space)
    try:
        with space.lock():
            return clear(space, builds=not old)
    except RefusedError:
        return 0


def _await_the_dying(space: Workspace) -> None:
    """Wait until no stage of a killed command writes any more: it outlives the command's lock for a moment."""
    until = time.monotonic() + DYING_SECONDS
    while found := living(run_folder(space)):
        if time.monotonic() > until:
            raise RefusedError(
                f"a stage of a command that was killed still works in {found[0].parent}; end its process (on a cluster,"
                " its worker), then run this again"
            )
        time.sleep(0.05)


def _of_runs(space: Workspace) -> list[Path]:
    return sorted(run_folder(space).glob("*"))


def _former(space: Workspace) -> list[Path]:
    return sorted({path for name in _FORMER for path in space.work.glob(name)})


def _remove(path: Path) -> None:
    """Remove a folder and all in it, or a file."""
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)


def _texts(build: Path) -> list[Path]:
    return sorted(path for path in build.rglob("*") if path.is_file() and path.name != FAULT)


def _strip(build: Path) -> int:
    """Remove a build's folder; of one that failed, all but what it says of that."""
    if not any(build.glob(f"*/{FAULT}")):
        _remove(build)
        return 1
    texts = _texts(build)
    for path in texts:
        path.unlink()
    return int(bool(texts))


def _clear_outside(space: Workspace) -> None:
    for note in run_folder(space).glob(f"{OUTSIDE}*"):
        remove_tree(Path(os.fsdecode(note.read_bytes())))


def _clear_dead(space: Workspace) -> int:
    gone = 0
    for folder in sorted((space.work / "beside").glob("*")):
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)
                gone += 1
            finally:
                os.close(handle)
    return gone

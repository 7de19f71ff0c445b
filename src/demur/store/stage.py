"""Run a stage in a child process and judge it by its commit record, not by its exit code (EVIDENCE §5a).

A stage is a function ``stage(folder: Path, **arguments) -> None`` that ends with ``commit_record(folder, facts)``.
Arguments are plain JSON values. When the record is already there and was made with the same arguments, nothing runs.
A stage that died is run again once from an empty folder; a ``DemurError`` that it raised is raised here.
A child serves one stage, or, where starting it would cost more than the work, several one after another (``Child``).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import importlib
import os
import queue
import resource
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from demur import errors
from demur.errors import BrokenError, DemurError, OutsideError
from demur.store.files import cannot_write, digest_json, no_room, read_commit, read_json, remove_tree, write_json

_FAULT = "FAULT.json"
_CALL = "CALL.json"
_TRACE = "DEMUR_TRACE"
"""Set to 1 to have the words of an unexpected error."""
_NO_ROOM = errno.ENOSPC
"""Exit code of a stage that could not even say what went wrong: others fill the disk beside it."""
_ALIVE = ".alive"
"""What the file beside a stage's folder ends with that its process keeps locked."""


def run_stage(target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run ``module:function`` into ``folder`` unless it has been run with the same arguments; return its facts.

    Raises:
        DemurError: what the stage raised.
        BrokenError: the stage died twice without a commit record.
    """
    with Child() as child:
        return child(target, folder, arguments)


def cores() -> int:
    """Return how many processes or threads work side by side: ``DEMUR_WORKERS`` or one a core."""
    return int(os.environ.get("DEMUR_WORKERS", "0")) or os.cpu_count() or 1


class Child:
    """A runner of stages in one child process, one after another; one that died is replaced by another.

    A context: leaving it ends the process, at once after an error, whatever another thread has it do; it also ends
    when we die. For one thread at a time.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._words: IO[bytes] | None = None
        self._over, self._used = False, threading.Lock()

    def __call__(self, target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run a stage as ``run_stage`` does."""
        with self._used:
            return self._run(target, folder, arguments)

    def _run(self, target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        call = digest_json({"target": target, "arguments": arguments})
        done = read_commit(folder)
        if done is not None and done.get("call") == call:
            return done
        for _attempt in range(2):
            if self._over:
                raise BrokenError(f"the stage {target} was ended with the run that it belongs to; run it again")
            remove_tree(folder)
            folder.mkdir(parents=True)
            write_json(folder / _CALL, {"target": target, "arguments": arguments, "call": call})
            exit_code, words = self.serve(folder)
            done = read_commit(folder)
            if done is not None and done.get("call") == call:
                return done
            if (folder / _FAULT).exists():
                _raise(read_json(folder / _FAULT))
            if exit_code == _NO_ROOM:
                raise cannot_write(folder, OSError(errno.ENOSPC, ""))
            words = words or self._end()[1]
        tail = words.strip().splitlines()[-3:]
        raise BrokenError(f"the stage {target} died twice (exit {exit_code}); its last words: {' | '.join(tail)}")

    def serve(self, folder: Path) -> tuple[int, str]:
        """Let the process run the stage that ``folder`` asks for; return its exit code and what it complained of."""
        if self._process is None:
            self._words = tempfile.TemporaryFile()  # noqa: SIM115  (closed with the process)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "demur.store.stage"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._words,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it died since: the answer says so
            self._process.stdin.write(f"{os.fsencode(folder).hex()}\n")
            self._process.stdin.flush()
        answer = self._process.stdout.readline()
        return (int(answer), "") if answer.endswith("\n") else self._end()

    def _end(self) -> tuple[int, str]:
        """End the process; return its exit code and its last words."""
        process, words = self._process, self._words
        self._process = self._words = None
        if process is None or words is None:
            return 0, ""
        with process, words:  # closes its input, after which it goes
            with contextlib.suppress(BrokenPipeError):
                process.communicate()
            words.seek(0)
            return process.returncode, words.read().decode(errors="replace")

    def __enter__(self) -> Child:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the process."""
        self._over = True
        process = self._process
        if error is not None and process is not None:
            process.kill()
        with self._used:
            self._end()


@contextlib.contextmanager
def children(count: int) -> Iterator[Callable[[str, Path, dict[str, Any]], dict[str, Any]]]:
    """Yield a runner of stages for as many threads, in a child process each."""
    free: queue.SimpleQueue[Child] = queue.SimpleQueue()

    def run(target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        child = free.get()
        try:
            return child(target, folder, arguments)
        finally:
            free.put(child)

    with contextlib.ExitStack() as stack:
        for _ in range(max(1, count)):
            free.put(stack.enter_context(Child()))
        yield run


Crew = Callable[[str, Mapping[Path, dict[str, Any]]], list[dict[str, Any]]]
"""Runs one function in several folders, each with arguments of its own; returns the facts of each, in their order."""


@contextlib.contextmanager
def side_by_side(workers: int) -> Iterator[Crew]:
    """Yield what runs stages that do not wait for each other, so many at a time, in processes that it keeps.

    It raises what ``run_stage`` does. One worker needs no process of its own: this one does it.
    """
    if workers > 1:
        with ThreadPoolExecutor(workers) as pool, children(workers) as run:
            yield lambda target, calls: list(pool.map(run, repeat(target), calls, calls.values()))
    else:
        yield _here


def _here(target: str, calls: Mapping[Path, dict[str, Any]]) -> list[dict[str, Any]]:
    module, function = target.split(":")
    for folder, arguments in calls.items():
        remove_tree(folder)
        folder.mkdir(parents=True)
        getattr(importlib.import_module(module), function)(folder, **arguments)
    return [read_commit(folder) or {} for folder in calls]


@contextlib.contextmanager
def alive(folder: Path) -> Iterator[None]:
    """Show that a process works on a stage, as long as it lives: the lock goes with it, on whatever machine.

    A stage may live for a moment longer than who asked for it, and whose lock is free by then.
    """
    path = folder.with_name(f".{folder.name}{_ALIVE}")
    with path.open("w") as handle:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_SH)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def living(folder: Path) -> list[Path]:
    """Return what stages keep locked somewhere below a folder: their processes live."""
    found = []
    for path in sorted(folder.rglob(f".*{_ALIVE}")):
        with contextlib.suppress(FileNotFoundError), path.open("r+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                found.append(path)
    return found


def _raise(fault: dict[str, Any]) -> None:
    kind = getattr(errors, fault["type"], BrokenError)
    raise kind(fault["message"], fault["faults"])


def understood(error: Exception, folder: Path) -> DemurError | None:
    """Return an error of a stage in our words; ``None`` = it was not foreseen.

    Args:
        error: what the stage in ``folder`` raised.
        folder: where it writes.
    """
    return error if isinstance(error, DemurError) else no_room(error, f"work files in {folder}")


def perform(folder: Path) -> int:
    """Run the stage that ``folder`` asks for in this process; return an exit code. Anything unforeseen is raised."""
    call = read_json(folder / _CALL)
    module, function = call["target"].split(":")
    try:
        with alive(folder):
            facts = getattr(importlib.import_module(module), function)(folder, **call["arguments"])
    except Exception as error:
        known = understood(error, folder)
        if known is None:
            raise
        for path in folder.iterdir():  # nobody goes on with it, and what says so needs room
            if path.name != _CALL:
                remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        message = str(known).split("\n", maxsplit=1)[0]
        try:
            write_json(folder / _FAULT, {"type": type(known).__name__, "message": message, "faults": known.faults})
        except OutsideError:
            return _NO_ROOM
        return known.exit_code
    assert facts is None, "a stage commits its facts itself"
    done = read_commit(folder)
    if done is None:
        return 3
    with contextlib.suppress(FileNotFoundError):
        (folder / _FAULT).unlink()
    write_json(folder / "COMMIT.json", {**done, "call": call["call"]})
    return 0


def _without_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Say where this process failed and with what, but not its words: they may hold what was read."""
    traceback.print_tb(trace)
    told = f": {error}" if os.environ.get(_TRACE) else ""
    sys.stderr.write(f"{kind.__module__}.{kind.__qualname__}{told}\n")


def _main() -> None:
    """Run the stages of the folders named on standard input, one a line; answer each with its exit code.

    At its end this process ends too, in the middle of a stage: who asked has died, and with it the workspace's lock.
    """
    sys.excepthook = _without_words
    asked: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    questions, answers = os.fdopen(os.dup(0), "rb", buffering=0), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # nobody else reads what is asked
    os.dup2(2, 1)  # and what a library prints is no answer

    def listen() -> None:
        for line in questions:
            asked.put(line)
        os._exit(0)

    threading.Thread(target=listen, daemon=True).start()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a system that names no bound
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # work files of a large snapshot are many
    while True:
        print(perform(Path(os.fsdecode(bytes.fromhex(asked.get().decode())))), file=answers, flush=True)


if __name__ == "__main__":
    _main()

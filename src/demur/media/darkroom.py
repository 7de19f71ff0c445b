"""The door to the shut-in worker: start it, hand it files, judge its answers, end it, start it again.

A file that kills two fresh workers, or takes more time than it may, is left out with a reason; the next one is worked
on as if nothing had been. A worker's word is not taken for a file being clean: ``plainness`` looks itself.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from demur.errors import ConfigError, OutsideError
from demur.media.plainness import more_than_pixels, more_than_sound
from demur.media.recipe import Left, MediaRecipe
from demur.media.wire import EndedError, GoneError, receive, send
from demur.store import digest_json

_START_SECONDS = 300.0
_WALL = 20
"""A file may take so many times its CPU seconds by the clock: machines are busy."""
_DYING_SECONDS = 60.0
"""So long a worker that hung up may take to die: a busy machine, much memory to give back."""
_MOST_CLEAN_BYTES = 64 * 2**20
_PASSED_ON = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LANG", "SYSTEMROOT", "VIRTUAL_ENV")
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@dataclass(frozen=True, slots=True)
class Developed:
    """What became of one file."""

    left: Left | None
    """Why there is no clean form; ``None`` = there is one."""
    clean: bytes = b""
    """JPEG of a picture or a film's strip, FLAC of a voice; empty = a transcript only."""
    thumbnail: bytes = b""
    """JPEG made from the clean pixels; empty = the recipe wants none, or it is a voice."""
    seen: dict[str, Any] = field(default_factory=dict)
    """What was seen; of a picture or film that the recipe leaves out its fingerprint, which finds its copies."""
    transcript: str | None = None


class Darkroom:
    """One worker at a time, for one recipe. Use as a context.

    Args:
        recipe: settings.
        redactor: ``module:function`` that finds identifiers in texts; empty = hide every line and tell no text.

    Raises:
        ConfigError: on entering: the recipe needs what is not installed.
    """

    def __init__(self, recipe: MediaRecipe, redactor: str = "") -> None:
        self.recipe = recipe
        self.redactor = redactor
        self.starts = 0
        self.holds: tuple[str, ...] = ()
        """What the worker is held by: ``limits``, ``syscalls``."""
        self.name = ""
        """Digest of recipe, redactor and tools: equal names and equal bytes give equal results."""
        self._worker: subprocess.Popen[bytes] | None = None
        self._fresh = False

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker; ``None`` = there is none."""
        return self._worker.pid if self._worker is not None else None

    def develop(self, kind: str, content: bytes) -> Developed:
        """Return the clean form of one file.

        Args:
            kind: ``picture``, ``voice`` or ``film``.
            content: the file's bytes.
        """
        while True:
            fresh = self._fresh
            try:
                return self._judged(kind, *self._asked(kind, content))
            except GoneError as error:
                reason = self._end(hung_up=isinstance(error, EndedError))
                self._start()
                if fresh or reason is Left.OUT_OF_TIME:  # an old worker may die of its age: only a fresh one convicts
                    return Developed(reason)

    def _asked(self, kind: str, content: bytes) -> tuple[dict[str, Any], bytes]:
        worker = self._worker
        assert worker is not None
        assert worker.stdin is not None
        assert worker.stdout is not None
        self._fresh = False
        seconds = self.recipe.picture_cpu_seconds if kind == "picture" else self.recipe.film_cpu_seconds
        _allow_cpu(worker.pid, seconds)
        send(worker.stdin.fileno(), {"kind": kind}, content)
        return receive(worker.stdout.fileno(), most_bytes=_MOST_CLEAN_BYTES, seconds=float(seconds * _WALL))

    def _judged(self, kind: str, head: dict[str, Any], content: bytes) -> Developed:
        try:
            if "left" in head:
                return Developed(Left(head["left"]), seen=dict(head.get("seen", {})))
            seen, transcript, size = dict(head["seen"]), head["transcript"], int(head["clean_bytes"])
        except (KeyError, TypeError, ValueError):  # no worker of ours talks like this
            return Developed(Left.NOT_CLEAN)
        clean, small = content[:size], content[size:]
        more = more_than_sound(clean) if kind == "voice" and clean else []
        more += more_than_pixels(clean) if kind != "voice" else []
        more += more_than_pixels(small) if small else []
        if more or bool(small) != (kind != "voice" and self.recipe.thumbnail_edge > 0):
            return Developed(Left.NOT_CLEAN)
        return Developed(None, clean, small, seen, transcript)

    def _start(self) -> None:
        self._worker = subprocess.Popen(
            [sys.executable, "-P", "-m", "demur.media.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            cwd=Path(sys.prefix).anchor,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | _ONE_THREAD,
        )
        self.starts += 1
        self._fresh = True
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        try:
            send(self._worker.stdin.fileno(), {"recipe": self.recipe.plain(), "redactor": self.redactor})
            hello, _none = receive(self._worker.stdout.fileno(), most_bytes=0, seconds=_START_SECONDS)
        except GoneError as error:
            self._end()
            raise OutsideError(
                "expected a worker for media to start, found it gone; look at memory and installed packages"
            ) from error
        if "fault" in hello:
            self._end()
            raise ConfigError(hello["fault"])
        self.holds = tuple(hello["holds"])
        self.name = digest_json(
            {"recipe": self.recipe.plain(), "redactor": self.redactor, "versions": hello["versions"]}
        )

    def _end(self, *, hung_up: bool = False) -> Left:
        """End the worker; return why it was to be ended as a reason for the file that it had."""
        worker, self._worker = self._worker, None
        if worker is None:
            return Left.DECODER_DIED
        late = worker.poll() is None
        with contextlib.suppress(subprocess.TimeoutExpired):
            late = late and worker.wait(timeout=_DYING_SECONDS if hung_up else 0.2) is None
        for pipe in (worker.stdin, worker.stdout):
            if pipe is not None:
                pipe.close()
        if late:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
        code = worker.wait()
        if late or code == -signal.SIGXCPU:
            return Left.OUT_OF_TIME
        return Left.NO_MEMORY if code == -signal.SIGKILL else Left.DECODER_DIED  # the system kills who takes too much


def _allow_cpu(pid: int, seconds: int) -> None:
    """Let a process take so many CPU seconds more; where the system cannot, the clock alone ends it."""
    stat = Path(f"/proc/{pid}/stat")
    if not hasattr(resource, "prlimit"):
        return
    with contextlib.suppress(OSError, ProcessLookupError):
        ticks = stat.read_text().rsplit(")", 1)[1].split()[11:13]
        used = sum(map(int, ticks)) // os.sysconf("SC_CLK_TCK")
        resource.prlimit(pid, resource.RLIMIT_CPU, (used + seconds + 1, resource.RLIM_INFINITY))

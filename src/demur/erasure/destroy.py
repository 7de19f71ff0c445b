"""Physical destruction with a log, and the search that shows that nothing is left.

Destruction is at file level: a file's bytes are overwritten where they stand (unless another name still needs them),
then its name is removed. Nothing is said about disk blocks, snapshots, versioned buckets or backups (EVIDENCE §5).
The log is written before a file goes, so that a killed run can finish and still say what was destroyed.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from demur.clock import iso
from demur.errors import BrokenError, RefusedError
from demur.store import digest_bytes, digest_file

_BLOCK = 1 << 20
_GOING = ".destroying"
"""Suffix of a file that is in the log and on its way out."""


@dataclass(frozen=True, slots=True)
class Destroyed:
    """One file that is gone."""

    what: str
    """Path below the workspace."""
    digest: str
    """SHA-256 of what it held."""
    bytes: int
    at: str
    """Instant, ISO 8601 in UTC."""
    overwritten: bool
    """False where other names shared the bytes (hard links): then only this name went."""

    def as_json(self) -> dict[str, Any]:
        """Return the plain form of logs and certificates."""
        return {
            "what": self.what,
            "digest": self.digest,
            "bytes": self.bytes,
            "at": self.at,
            "overwritten": self.overwritten,
        }


class Destruction:
    """Destroys files below one root and keeps the log.

    Args:
        root: the workspace; nothing outside it is touched.
        log: file of the log (JSON lines), inside the erasure's journal; must not itself be destroyed.
    """

    def __init__(self, root: Path, log: Path) -> None:
        self._root = root.resolve()
        self._log = log.resolve()

    def destroy(self, paths: Iterable[Path], at: datetime) -> list[Destroyed]:
        """Destroy files and whole folders; what is gone already is passed over. Return what went now.

        Raises:
            RefusedError: a path lies outside the root, or is the log; nothing was destroyed.
        """
        wanted = list(paths)
        files = sorted({file for path in wanted for file in self._files(path)})
        self._allow(files)
        fresh = [file for file in files if not file.name.endswith(_GOING)]
        gone = [self._describe(file, at) for file in fresh]
        self._note(gone)
        going = [file for file in files if file.name.endswith(_GOING)]
        going += [file.rename(file.with_name(file.name + _GOING)) for file in fresh]
        for file in going:
            _erase(file)
        for path in wanted:
            _remove_empty(path)
        return gone

    def log(self) -> list[Destroyed]:
        """Return everything that was destroyed, in order; a repeated entry of a killed run counts once.

        Raises:
            BrokenError: a file that the log calls destroyed is still there.
        """
        found: dict[tuple[str, str], Destroyed] = {}
        for line in self._log.read_bytes().splitlines() if self._log.exists() else ():
            try:
                entry = Destroyed(**orjson.loads(line))
            except (orjson.JSONDecodeError, TypeError):
                continue  # a line that a kill cut short: its file was not touched yet
            found[entry.what, entry.digest] = entry
        for what in back(self._root, [entry.as_json() for entry in found.values()]):
            raise BrokenError(f"expected {what} to be destroyed, found it; run the erasure again")
        return list(found.values())

    def _files(self, path: Path) -> list[Path]:
        left = path.with_name(path.name + _GOING)  # a killed run renamed it and got no further
        found = [one for one in (path, left) if one.is_symlink() or one.is_file()]
        if not found and path.is_dir():
            found = [one for one in path.rglob("*") if one.is_symlink() or one.is_file()]
        return [one.absolute() for one in found]

    def _allow(self, files: Iterable[Path]) -> None:
        for file in files:
            inside = file.parent.resolve() / file.name
            if not inside.is_relative_to(self._root):
                raise RefusedError("expected files below the workspace, found one outside; nothing was destroyed")
            if inside == self._log:
                raise RefusedError("expected other files than the log of the destruction itself; nothing was destroyed")

    def _describe(self, file: Path, at: datetime) -> Destroyed:
        what = (file.parent.resolve() / file.name).relative_to(self._root).as_posix()
        if file.is_symlink():
            return Destroyed(what, digest_bytes(os.fsencode(file.readlink())), 0, iso(at), overwritten=False)
        facts = file.stat()
        return Destroyed(what, digest_file(file), facts.st_size, iso(at), overwritten=facts.st_nlink == 1)

    def _note(self, entries: Iterable[Destroyed]) -> None:
        """Write down durably what is about to go; a line that a kill cut short is closed first."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        torn = self._log.exists() and not self._log.read_bytes().endswith(b"\n")
        lines = [orjson.dumps(entry.as_json(), option=orjson.OPT_APPEND_NEWLINE) for entry in entries]
        with self._log.open("ab") as stream:
            stream.write((b"\n" if torn else b"") + b"".join(lines))
            stream.flush()
            os.fsync(stream.fileno())


def back(root: Path, gone: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the paths below a root at which something stands again that was destroyed.

    Args:
        root: the workspace.
        gone: as certificates and records list it: ``what`` and ``digest``.
    """
    return [
        one["what"]
        for one in gone
        if (root / one["what"]).is_file() and digest_file(root / one["what"]) == one["digest"]
    ]


def _erase(file: Path) -> None:
    if not file.is_symlink() and file.stat().st_nlink == 1:
        left = file.stat().st_size
        with file.open("r+b") as stream:
            while left > 0:
                left -= stream.write(bytes(min(left, _BLOCK)))
            stream.flush()
            os.fsync(stream.fileno())
    file.unlink()
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_empty(path: Path) -> None:
    if not path.is_dir() or path.is_symlink():
        return
    for folder in sorted((one for one in path.rglob("*") if one.is_dir()), reverse=True):
        folder.rmdir()
    path.rmdir()

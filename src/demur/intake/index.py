"""Which versions are stored already: sorted 16-byte ids in memory-mapped files, derived from the parts beside them.

Each file (a run) is at least twice as long as the next one, so a new part is merged with the short ones only, and an
id is written again about as often as the store has doubled since. The index may be removed at any time: it is rebuilt
from the column ``version_id`` of the parts. A part that it does not list (the process died between part and index) is
read in again, and a run whose parts a longer one lists (it died between the two) is passed over, so a kill leaves
nothing wrong.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from demur.errors import BrokenError
from demur.store import digest_json, read_json, write_json

Ids = npt.NDArray[np.uint64]
"""(n, 2): high and low half of a version id."""

_RUNS = 32
_RANGE_ROWS = 1 << 20


def ids_of(version_ids: Sequence[str]) -> Ids:
    """Return version ids (32 hex digits each) as numbers (n, 2)."""
    raw = bytes.fromhex("".join(version_ids))
    return np.frombuffer(raw, dtype=">u8").astype(np.uint64).reshape(-1, 2)


def _in_order(ids: Ids) -> Ids:
    return ids[np.lexsort((ids[:, 1], ids[:, 0]))]


@dataclass(frozen=True, slots=True)
class _Run:
    """Ids in order, and the parts that they are of."""

    ids: Ids
    parts: tuple[str, ...]
    file: Path | None = None
    """Where they lie; ``None`` = in memory only."""


def _run(listing: Path) -> _Run | None:
    """Return the run that a listing tells of; ``None`` where it is damaged, or was merged by another meanwhile."""
    file = listing.with_suffix(".npy")
    try:
        told, ids = read_json(listing), np.load(file, mmap_mode="r")
    except (BrokenError, OSError, EOFError, ValueError):
        return None
    return _Run(ids, tuple(told["parts"]), file) if len(ids) == told["rows"] else None


class VersionIndex:
    """The version ids of one table's parts.

    Args:
        parts: folder of Parquet parts.
        file: beginning of the names of the index's files (``index/items`` has ``index/items-….npy``), each with its
            list of parts beside it.
    """

    def __init__(self, parts: Path, file: Path) -> None:
        self._parts, self._file = parts, file
        self._runs: list[_Run] = []
        self._known = sorted(file.parent.glob(f"{file.name}[-.]*"))
        """Files of the index that this one has seen: another process may be writing others."""
        self._open()

    def _open(self) -> None:
        missing = {path.name for path in self._parts.glob("*.parquet")}
        runs = (_run(path) for path in self._known if path.suffix == ".json")
        for run in sorted((run for run in runs if run is not None), key=lambda run: -len(run.ids)):
            if missing.issuperset(run.parts):
                self._runs.append(run)
                missing.difference_update(run.parts)
        for name in sorted(missing):
            column = pq.read_table(self._parts / name, columns=["version_id"])["version_id"].to_pylist()
            self.add(name, ids_of(column))

    def __len__(self) -> int:
        return sum(len(run.ids) for run in self._runs)

    def novel(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Return for each id (n, 2) whether it is neither stored nor earlier in the same list."""
        fresh = np.zeros(len(ids), dtype=np.bool_)
        keys = np.ascontiguousarray(ids).view("V16").reshape(-1)
        _, first = np.unique(keys, return_index=True)
        fresh[first] = True
        for run in self._runs:
            fresh &= ~_contains(run.ids, ids)
        return fresh

    def add(self, part: str, ids: Ids) -> None:
        """Take in the ids (n, 2) of a part that has just been written."""
        self._runs.append(_Run(_in_order(ids), (part,)))
        if sum(run.file is None for run in self._runs) >= _RUNS:
            self.compact()

    def compact(self) -> None:
        """Write what lies in memory only, merged with the files that are not twice as long."""
        whole, rows = len(self._runs), 0
        while whole and (self._runs[whole - 1].file is None or len(self._runs[whole - 1].ids) < 2 * rows):
            whole -= 1
            rows += len(self._runs[whole].ids)
        short = self._runs[whole:]
        if short:
            self._runs[whole:] = [self._merged(short, rows)] if rows else []
        kept = {run.file for run in self._runs}
        for path in self._known:
            if path.with_suffix(".npy") not in kept:
                path.unlink(missing_ok=True)
        self._known = [path for path in self._known if path.with_suffix(".npy") in kept]

    def _merged(self, runs: Sequence[_Run], rows: int) -> _Run:
        """Write runs as one; memory stays bounded because ids are spread evenly."""
        parts = sorted(part for run in runs for part in run.parts)
        file = self._file.with_name(f"{self._file.name}-{digest_json(parts)[:32]}.npy")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f".{file.name}.{os.getpid()}.part")
        merged = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint64, shape=(rows, 2))
        at = 0
        for block in _merged([run.ids for run in runs]):
            merged[at : at + len(block)] = block
            at += len(block)
        merged.flush()
        del merged
        found = np.load(part, mmap_mode="r")
        part.replace(file)
        write_json(file.with_suffix(".json"), {"parts": parts, "rows": rows})
        self._known += [file, file.with_suffix(".json")]
        return _Run(found, tuple(parts), file)

    def digest(self) -> str:
        """Return the SHA-256 over all distinct ids in order: the state, whatever order it came in."""
        total = hashlib.sha256()
        last: bytes = b""
        for block in _merged([run.ids for run in self._runs]):
            raw = block.astype(">u8").tobytes()
            keys = np.frombuffer(raw, dtype="V16")
            distinct = np.ones(len(keys), dtype=np.bool_)
            distinct[1:] = keys[1:] != keys[:-1]
            if last and keys[:1].tobytes() == last:
                distinct[0] = False
            last = keys[-1:].tobytes()
            total.update(keys[distinct].tobytes())
        return total.hexdigest()


def _contains(run: Ids, ids: Ids) -> npt.NDArray[np.bool_]:
    if not len(run):
        return np.zeros(len(ids), dtype=np.bool_)
    at = np.minimum(np.searchsorted(run[:, 0], ids[:, 0]), len(run) - 1)
    found = run[at]
    same: npt.NDArray[np.bool_] = (found[:, 0] == ids[:, 0]) & (found[:, 1] == ids[:, 1])
    return same


def _merged(runs: Sequence[Any]) -> Any:
    total = sum(len(run) for run in runs)
    ranges = max(1, -(-total // _RANGE_ROWS))
    edges = [(2**64 * k) // ranges for k in range(1, ranges)]
    cuts = [[0, *np.searchsorted(run[:, 0], np.array(edges, dtype=np.uint64)).tolist(), len(run)] for run in runs]
    for k in range(ranges):
        block = [run[cut[k] : cut[k + 1]] for run, cut in zip(runs, cuts, strict=True)]
        joined = np.concatenate(block) if block else np.empty((0, 2), dtype=np.uint64)
        if len(joined):
            yield _in_order(joined)

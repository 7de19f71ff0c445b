"""Which versions are stored already: sorted 16-byte ids in a memory-mapped file, derived from the parts beside it.

The index may be removed at any time: it is rebuilt from the column ``version_id`` of the parts. A part that it does
not list (the process died between part and index) is read in again, so a kill leaves nothing wrong.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from demur.store import read_json, write_json

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


class VersionIndex:
    """The version ids of one table's parts.

    Args:
        parts: folder of Parquet parts.
        file: where the merged index lies (``.npy``), with its list of parts beside it.
    """

    def __init__(self, parts: Path, file: Path) -> None:
        self._parts, self._file = parts, file
        self._runs: list[Ids] = []
        self._listed: list[str] = []
        self._open()

    def _open(self) -> None:
        present = sorted(path.name for path in self._parts.glob("*.parquet"))
        listing = self._file.with_suffix(".json")
        if listing.exists() and self._file.exists():
            listed = read_json(listing)
            base = np.load(self._file, mmap_mode="r")
            if set(listed["parts"]) <= set(present) and len(base) == listed["rows"]:
                self._runs, self._listed = [base], listed["parts"]
        for name in sorted(set(present) - set(self._listed)):
            column = pq.read_table(self._parts / name, columns=["version_id"])["version_id"].to_pylist()
            self.add(name, ids_of(column))

    def __len__(self) -> int:
        return sum(len(run) for run in self._runs)

    def novel(self, ids: Ids) -> npt.NDArray[np.bool_]:
        """Return for each id (n, 2) whether it is neither stored nor earlier in the same list."""
        fresh = np.zeros(len(ids), dtype=np.bool_)
        keys = np.ascontiguousarray(ids).view("V16").reshape(-1)
        _, first = np.unique(keys, return_index=True)
        fresh[first] = True
        for run in self._runs:
            fresh &= ~_contains(run, ids)
        return fresh

    def add(self, part: str, ids: Ids) -> None:
        """Take in the ids (n, 2) of a part that has just been written."""
        self._runs.append(_in_order(ids))
        self._listed.append(part)
        if len(self._runs) >= _RUNS:
            self.compact()

    def compact(self) -> None:
        """Merge everything into the one file; memory stays bounded because ids are spread evenly."""
        if len(self._runs) == 1 and isinstance(self._runs[0], np.memmap):
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        part = self._file.with_name(f".{self._file.name}.{os.getpid()}.part")
        total = len(self)
        if total == 0:
            np.save(part.with_suffix(".npy"), np.empty((0, 2), dtype=np.uint64))
            part.with_suffix(".npy").replace(self._file)
        else:
            merged = np.lib.format.open_memmap(part, mode="w+", dtype=np.uint64, shape=(total, 2))
            at = 0
            for block in _merged(self._runs):
                merged[at : at + len(block)] = block
                at += len(block)
            merged.flush()
            del merged
            self._runs = []
            part.replace(self._file)
        write_json(self._file.with_suffix(".json"), {"parts": sorted(self._listed), "rows": total})
        self._runs = [np.load(self._file, mmap_mode="r")] if total else []

    def digest(self) -> str:
        """Return the SHA-256 over all distinct ids in order: the state, whatever order it came in."""
        total = hashlib.sha256()
        last: bytes = b""
        for block in _merged(self._runs):
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

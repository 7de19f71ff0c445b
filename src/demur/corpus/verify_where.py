"""In which parts of the sealed files an item, record, person or text stands: the verifier's own index, sealed by it.

Who of unchanged parts has to do with a change would otherwise be found by opening all of them. The index has a number
of 32 bits for each id or text of a row, beside the row's part. It only says where to look: what it names is opened and
read, so that two ids with one number cost a look and no more. It misses nothing as long as it was complete for the
corpus before, since parts with the same keys hold the same rows, and of the others the rows that differ are taken out
and entered. It was made by the verifier out of every row when all was judged; if it has nothing of a part that holds
rows, all is judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from demur.corpus.verify_rows import UnclearError
from demur.lineage import SealedFile, buckets_of, write_sealed

WHERE = "where"
"""Kind of the sealed file."""
ENTRIES: Any = pa.schema([("part", pa.uint32()), ("number", pa.uint32())])
_NUMBERS = 1 << 32
_COARSE = 21
"""Bits that are looked at first."""


def _of_names(names: Any) -> Any:
    return buckets_of(names, _NUMBERS).astype(np.uint32)


def _of_texts(exact: Any) -> Any:
    width = exact.type.byte_width // 4
    raw = np.frombuffer(exact.buffers()[1] or b"", np.uint32)
    return raw[width * exact.offset : width * (exact.offset + len(exact)) : width]


_NUMBERED: dict[str, Callable[[Any], Any]] = {
    "item_id": _of_names, "record_id": _of_names, "person_id": _of_names, "exact": _of_texts,
}  # fmt: skip
COLUMNS = {"lineage": ("item_id", "record_id", "person_id"), "measures": ("item_id", "exact")}
"""What is asked for, by kind of file; a row of either file has an item."""
_BUCKETS = [(kind, name) for kind, names in COLUMNS.items() for name in names]


class Where:
    """Where the ids and texts of a corpus stand."""

    def __init__(self) -> None:
        self._parts: dict[tuple[str, str], list[Any]] = {one: [] for one in _BUCKETS}
        self._numbers: dict[tuple[str, str], list[Any]] = {one: [] for one in _BUCKETS}
        self._gone: dict[tuple[str, str], list[Any]] = {one: [] for one in _BUCKETS}
        """Entries that are to be taken out, as numbers of 64 bits."""

    def carry(self, earlier: SealedFile, kind: str, present: frozenset[int]) -> None:
        """Take over what is known of one kind's parts; rows that differ are then removed and added.

        Args:
            earlier: the index of the corpus before.
            kind: of the sealed file that is asked about.
            present: its parts then.

        Raises:
            UnclearError: a part has rows, and the index none.
        """
        there = np.zeros(max(present, default=0) + 1, bool)
        there[list(present)] = True
        for name in COLUMNS[kind]:
            seen = np.zeros(len(there), bool)
            for table in earlier.numbered([_BUCKETS.index((kind, name))]):
                parts, numbers = (table[column].combine_chunks().to_numpy() for column in ENTRIES.names)
                if len(parts) and parts.max() >= len(there):
                    raise UnclearError
                seen[parts] = True
                self._parts[kind, name].append(parts)
                self._numbers[kind, name].append(numbers)
            if name == "item_id" and not np.array_equal(seen, there):
                raise UnclearError

    def add(self, kind: str, parts: Any, rows: Any) -> None:
        """Enter rows of a sealed file, with the part of each."""
        for name in COLUMNS.get(kind, ()):
            there, numbers = _entries(name, parts, rows)
            self._parts[kind, name].append(there)
            self._numbers[kind, name].append(numbers)

    def remove(self, kind: str, parts: Any, rows: Any) -> None:
        """Take rows of a sealed file out, with the part of each: one entry a row."""
        for name in COLUMNS.get(kind, ()):
            self._gone[kind, name].append(_joined(*_entries(name, parts, rows)))

    def _settle(self, one: tuple[str, str]) -> None:
        """Take the entries of one column out that were asked to go.

        Raises:
            UnclearError: there are not as many.
        """
        gone, counts = np.unique(np.concatenate([np.zeros(0, np.uint64), *self._gone[one]]), return_counts=True)
        if not len(gone):
            return
        parts, numbers = (np.concatenate(found[one]) for found in (self._parts, self._numbers))
        near = _near(numbers, gone.astype(np.uint32))
        keys = _joined(parts[near], numbers[near])
        chosen = np.isin(keys, gone)
        near, keys = near[chosen], keys[chosen]
        order = np.argsort(keys)
        begins, ends = (np.searchsorted(keys[order], gone, side=side) for side in ("left", "right"))
        if np.any(ends - begins < counts):
            raise UnclearError
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        kept = np.ones(len(parts), bool)
        kept[near[order[np.repeat(begins, counts) + within]]] = False
        self._parts[one], self._numbers[one], self._gone[one] = [parts[kept]], [numbers[kept]], []

    def parts(self, kind: str, name: str, sought: Any, *, often: int = 1) -> set[int]:
        """Return the parts in which any of some ids or texts may stand, an Arrow array; any that has so many rows."""
        self._settle((kind, name))
        wanted = np.sort(_NUMBERED[name](sought))
        found = [(np.zeros(0, np.uint32), np.zeros(0, np.uint32))]
        for parts, numbers in zip(self._parts[kind, name], self._numbers[kind, name], strict=True):
            near = _near(numbers, wanted)
            hits = near[np.isin(numbers[near], wanted)]
            found.append((parts[hits], numbers[hits]))
        parts, numbers = map(np.concatenate, zip(*found, strict=True))
        _, place, counts = np.unique(numbers, return_inverse=True, return_counts=True)
        return set(parts[counts[place] >= often].tolist())

    def seal(self, path: Path, secret: bytes) -> None:
        """Write the index; it tells people apart who have it and the ids."""
        write_sealed(path, WHERE, self._tables(), secret=secret, buckets=len(_BUCKETS))

    def _tables(self) -> Iterator[tuple[int, Any]]:
        for bucket, one in enumerate(_BUCKETS):
            self._settle(one)
            columns = [np.concatenate([np.zeros(0, np.uint32), *found[one]]) for found in (self._parts, self._numbers)]
            yield bucket, pa.table(columns, schema=ENTRIES)


def _entries(name: str, parts: Any, rows: Any) -> tuple[Any, Any]:
    """Return part and number of each row that has a value."""
    column = rows[name].combine_chunks()
    known = column.is_valid().to_numpy(zero_copy_only=False)
    return parts[known].astype(np.uint32), _NUMBERED[name](column.drop_null())


def _joined(parts: Any, numbers: Any) -> Any:
    return parts.astype(np.uint64) << np.uint64(32) | numbers


def _near(numbers: Any, wanted: Any) -> Any:
    """Return the places at which one of the wanted numbers may stand, told by their first bits."""
    coarse = np.zeros(1 << _COARSE, bool)
    coarse[wanted >> (32 - _COARSE)] = True
    return np.flatnonzero(coarse[numbers >> (32 - _COARSE)])

"""In which parts of the sealed files an item, record, person or text stands: the verifier's own index, sealed by it.

Who of unchanged parts has to do with a change would otherwise be found by opening all of them. The index has a number
of 32 bits for each id or text of a row, beside the row's part. It only says where to look: what it names is opened and
read, so that two ids with one number cost a look and no more. It misses nothing as long as it was complete for the
corpus before, since parts with the same keys hold the same rows, and rows of the others are entered anew. It was made
by the verifier out of every row when all was judged; if it has nothing of a part that holds rows, all is judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
_COARSE = 24
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

    def carry(self, earlier: SealedFile, kind: str, present: frozenset[int], differing: Iterable[int]) -> None:
        """Take over what is known of one kind's parts that stayed.

        Args:
            earlier: the index of the corpus before.
            kind: of the sealed file that is asked about.
            present: its parts then.
            differing: those that are others now; these rows are added.

        Raises:
            UnclearError: a part has rows, and the index none.
        """
        there = np.zeros(max(present, default=0) + 1, bool)
        there[list(present)] = True
        stays = there.copy()
        stays[[part for part in differing if part in present]] = False
        for name in COLUMNS[kind]:
            seen = np.zeros(len(there), bool)
            for table in earlier.numbered([_BUCKETS.index((kind, name))]):
                parts, numbers = (table[column].combine_chunks().to_numpy() for column in ENTRIES.names)
                if len(parts) and parts.max() >= len(there):
                    raise UnclearError
                seen[parts] = True
                kept = stays[parts]
                self._parts[kind, name].append(parts[kept])
                self._numbers[kind, name].append(numbers[kept])
            if name == "item_id" and not np.array_equal(seen, there):
                raise UnclearError

    def add(self, kind: str, parts: Any, rows: Any) -> None:
        """Enter rows of a sealed file, with the part of each."""
        for name in COLUMNS.get(kind, ()):
            column = rows[name].combine_chunks()
            known = column.is_valid().to_numpy(zero_copy_only=False)
            self._parts[kind, name].append(parts[known].astype(np.uint32))
            self._numbers[kind, name].append(_NUMBERED[name](column.drop_null()))

    def parts(self, kind: str, name: str, sought: Any, *, often: int = 1) -> set[int]:
        """Return the parts in which any of some ids or texts may stand, an Arrow array; any that has so many rows."""
        wanted = np.sort(_NUMBERED[name](sought))
        coarse = np.zeros(1 << _COARSE, bool)
        coarse[wanted >> (32 - _COARSE)] = True
        found = [(np.zeros(0, np.uint32), np.zeros(0, np.uint32))]
        for parts, numbers in zip(self._parts[kind, name], self._numbers[kind, name], strict=True):
            near = np.flatnonzero(coarse[numbers >> (32 - _COARSE)])
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
            columns = [np.concatenate([np.zeros(0, np.uint32), *found[one]]) for found in (self._parts, self._numbers)]
            yield bucket, pa.table(columns, schema=ENTRIES)

"""Which texts must be judged again, and which they must be compared with: the neighbourhood of what changed.

Changed = measured now, of another status or owner, or gone. *Judged again* is every text that shares a band with one of
these, before or after. *Compared* is every text that shares a band with a judged one: all buckets of a judged text are
whole, so its verdict is the one of a build from nothing. What is in no such bucket cannot have changed.

Neighbours among all that is not looked at yet are found by their bands alone and brought here one by one. One that
becomes something else now is looked at like the others, and its part is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.measures import (
    FATES,
    LOOKED_AT,
    MEASURES,
    VERDICTS,
    Before,
    Looked,
    banded,
    bands_of,
    live,
    marked,
    parts_of,
)
from demur.corpus.similarity import BANDS, distinct
from demur.corpus.spill import Spill, read_bucket, write_bucket
from demur.lineage import buckets_of

_SIEVE_BITS = 26
"""Largest sieve in front of the exact search: 2^26 bits as bytes, 64 MiB. One that fits the caches is asked sooner."""
_SIEVE_EACH = 64
"""Bits of a sieve for each key: of rows with 16 bands, a quarter passes by chance."""


@dataclass(slots=True)
class Judged:
    """Two masks a bucket."""

    _again: list[Any]
    _compared: list[Any]

    def again(self, bucket: int) -> Any:
        """Return which rows of a bucket are judged."""
        return self._again[bucket]

    def compared(self, bucket: int) -> Any:
        """Return which rows of a bucket they are compared with, themselves among them."""
        return self._compared[bucket]


class _Sieve:
    """Finds rows that share one of some keys, which are sorted."""

    def __init__(self, keys: Any) -> None:
        self._keys = keys
        size = 1 << min(_SIEVE_BITS, (_SIEVE_EACH * len(keys)).bit_length())
        self._bits, self._low = np.zeros(size, bool), np.uint64(size - 1)
        self._bits[self._places(keys)] = True

    def rows(self, bands: Any, chosen: Any) -> Any:
        """Return the numbers of the chosen rows that share a key."""
        if not len(self._keys):
            return np.zeros(0, np.int64)
        passing = np.flatnonzero(self._bits[self._places(bands)] & chosen[:, None])
        asked = bands.reshape(-1)[passing]
        places = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1)
        found = passing[self._keys[places] == asked] // bands.shape[1]
        return found[np.diff(found, prepend=-1) > 0]

    def _places(self, keys: Any) -> Any:
        return (keys & self._low).view(np.int64)


def neighbourhood(looked: Looked, earlier: Before, *, whole: bool, fresh: bool) -> Judged:
    """Find what is judged and compared in each bucket; bring here, as ``beyond/``, what is not looked at already.

    Args:
        looked: what is looked at already.
        earlier: the corpus before.
        whole: that is everything.
        fresh: nothing came before: everything is judged.
    """
    buckets = len(looked.texts)
    if fresh:
        everything = [np.ones(looked.rows(bucket).num_rows, bool) for bucket in range(buckets)]
        return Judged(everything, everything)
    sealed = [] if whole else list(range(earlier.parts))
    changed = _Sieve(_changed(looked, buckets))
    keys = [np.zeros(0, np.uint64)]
    for bucket in range(buckets):
        rows = looked.rows(bucket)
        bands = bands_of(rows)
        keys.append(distinct(bands[changed.rows(bands, live(rows))].reshape(-1)))
    keys += [distinct(bands.reshape(-1)) for _, _, bands in _sharing(earlier, sealed, changed)]
    near = _Sieve(distinct(np.concatenate(keys)))
    none = np.zeros(0, np.int64)
    found = [(none, none, np.zeros((0, BANDS), np.uint64)), *_sharing(earlier, sealed, near)]
    parts, rows, beside = (np.concatenate(columns) for columns in zip(*found, strict=True))
    _bring_rows(looked, earlier, (parts, rows, beside))
    again, compared = [], []
    for bucket in range(buckets):
        rows = looked.rows(bucket)
        bands, alike = bands_of(rows), live(rows)
        again.append(_mask(changed.rows(bands, alike), len(alike)))
        compared.append(_mask(near.rows(bands, alike), len(alike)))
    return Judged(again, compared)


def open_changed(looked: Looked, earlier: Before) -> list[int]:
    """Look at texts that became something else than they were; return the numbers of their parts.

    Writes ``carried/`` and ``fates/``, by bucket of the item.
    """
    now: list[Any] = []
    for bucket in range(len(looked.texts)):
        verdicts, rows = read_bucket(looked.beside / "verdicts", VERDICTS, bucket), looked.rows(bucket)
        found = rows.select(["item_id", "person_id", "beyond"]).take(verdicts["row"])
        found = found.append_column("exclusion", verdicts["exclusion"])
        now.append(found.append_column("duplicate_of", verdicts["duplicate_of"]).filter(found["beyond"]))
    judged = pa.concat_tables(now).combine_chunks()
    parts = parts_of(judged, earlier.parts) if judged.num_rows else np.zeros(0, np.int64)
    changed: set[int] = set()
    with Spill(looked.beside / "fates", FATES, len(looked.texts)) as fates:
        for there, known in earlier.rows("fates", np.unique(parts).tolist()):
            here = np.isin(parts, there)
            mine = judged.filter(pa.array(here))
            was = known.take(pc.index_in(mine["item_id"], known["item_id"].combine_chunks()))
            other = np.zeros(mine.num_rows, bool)
            for name in ("exclusion", "duplicate_of"):
                same = pc.fill_null(pc.equal(mine[name], was[name]), fill_value=False)
                same = pc.or_(same, pc.and_(mine[name].is_null(), was[name].is_null()))
                other |= ~same.to_numpy()
            changed.update(parts[here][other].tolist())
            was = was.filter(pa.array(other))
            fates.add(was, buckets_of(was["item_id"], len(looked.texts)))
    for bucket in range(len(looked.texts)):
        rows = looked.rows(bucket)
        other = read_bucket(looked.beside / "fates", FATES, bucket)["item_id"].combine_chunks()
        mine = rows.filter(pc.and_(rows["beyond"], pc.is_in(rows["item_id"], other))).select(MEASURES.names)
        write_bucket(looked.beside / "carried", bucket, marked(mine))
    return sorted(changed)


def _changed(looked: Looked, buckets: int) -> Any:
    """Return the keys of everything that changed, before and after."""
    found = [np.zeros(0, np.uint64)]
    for bucket in range(buckets):
        table, gone = looked.rows(bucket), read_bucket(looked.selected / "gone", MEASURES, bucket)
        touched = table["touched"].to_numpy(zero_copy_only=False).astype(bool) & live(table)
        found += [bands_of(table)[touched].reshape(-1), bands_of(gone)[live(gone)].reshape(-1)]
    return distinct(np.concatenate(found))


def _sharing(earlier: Before, parts: list[int], sieve: _Sieve) -> Iterator[tuple[Any, Any, Any]]:
    """Yield (parts, rows in their part, their bands) of live rows of some parts that share a key."""
    for there, table in earlier.rows("bands", parts):
        bands = bands_of(table)
        found = sieve.rows(bands, table["live"].to_numpy(zero_copy_only=False))
        yield there[found], (np.arange(len(there)) - np.searchsorted(there, there))[found], bands[found]


def _bring_rows(looked: Looked, earlier: Before, found: tuple[Any, Any, Any]) -> None:
    """Bring single rows of what is not looked at: given are their parts, their rows in these, and their bands."""
    parts, rows, bands = found
    buckets = len(looked.texts)
    known = [looked.decisions(bucket)["item_id"].combine_chunks() for bucket in range(buckets)]
    seen = pa.concat_arrays([pa.array([], pa.string()), *known])
    with Spill(looked.beside / "beyond", LOOKED_AT, buckets) as beyond:
        for there, table in earlier.rows("measures", np.unique(parts).tolist()):
            here = np.isin(parts, there)
            some = table.take(pa.array(np.searchsorted(there, parts[here]) + rows[here]))
            some = marked(banded(some, bands[here]), beyond=True)
            some = some.filter(pc.invert(pc.is_in(some["item_id"], seen)))
            beyond.add(some, buckets_of(some["item_id"], buckets))


def _mask(rows: Any, count: int) -> Any:
    found = np.zeros(count, bool)
    found[rows] = True
    return found

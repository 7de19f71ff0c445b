"""Which texts must be judged again, and which they must be compared with: the neighbourhood of what changed.

Changed = measured now, of another status or owner, or gone. *Judged again* is every text that shares a band with one of
these, before or after, or a passage that somebody protected says too. *Compared* is every text that shares a band with
a judged one: all buckets of a judged text are whole, so its verdict is the one of a build from nothing; and all who say
one of its passages are there, if one of them is protected. What is in no such bucket cannot have changed.

Neighbours among all that is not looked at yet are found by their bands and windows alone and brought here one by one.
One that becomes something else now is looked at like the others, and its part is opened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.measures import (
    BANDED,
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
from demur.corpus.passages import Passages, Windows, lengths
from demur.corpus.similarity import distinct
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


def neighbourhood(looked: Looked, earlier: Before, *, copy_min_words: int, whole: bool, fresh: bool) -> Judged:
    """Find what is judged and compared in each bucket; bring here, as ``beyond/``, what is not looked at already.

    Args:
        looked: what is looked at already.
        earlier: the corpus before.
        copy_min_words: shorter texts belong to nobody.
        whole: that is everything.
        fresh: nothing came before: everything is judged.
    """
    buckets = len(looked.texts)
    if fresh:
        everything = [np.ones(looked.rows(bucket).num_rows, bool) for bucket in range(buckets)]
        return Judged(everything, everything)
    sealed, allowed = [] if whole else list(range(earlier.parts)), lengths(copy_min_words)
    changed = _changed(looked, buckets)
    bands, passages = _Sieve(_bands_in(changed)), _passages_in(changed, allowed)
    far = _sharing(earlier, sealed, bands, passages)
    guarded = far.guarded | _guarded(looked, passages)
    for table in changed:
        guarded[passages.guarded(_windows(table, protected=True))[1]] = True
    passages = passages.only(guarded)
    again = [far.rows(guarded)[2]]
    for bucket in range(buckets):
        rows = looked.rows(bucket)
        again.append(_as_banded(rows.take(pa.array(_again(rows, bands, passages)))))
    near, around = _Sieve(_bands_in(again)), _passages_in(again, allowed)
    far = _sharing(earlier, sealed, near, around)
    _bring_rows(looked, earlier, far.rows(far.guarded | _guarded(looked, around), guards=True))
    judged, compared = [], []
    for bucket in range(buckets):
        rows = looked.rows(bucket)
        judged.append(_mask(_again(rows, bands, passages), rows.num_rows))
        compared.append(_mask(near.rows(bands_of(rows), live(rows)), rows.num_rows))
    return Judged(judged, compared)


def _again(rows: Any, bands: _Sieve, passages: Passages) -> Any:
    """Return which rows share a band, or say one of some passages."""
    said = passages.said(_windows(_as_banded(rows), protected=False))[0]
    return distinct(np.concatenate([bands.rows(bands_of(rows), live(rows)), said]))


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


def _changed(looked: Looked, buckets: int) -> list[Any]:
    """Return everything that changed, before and after, as BANDED."""
    found = []
    for bucket in range(buckets):
        rows = looked.rows(bucket)
        found.append(_as_banded(rows.filter(rows["touched"])))
        found.append(_as_banded(read_bucket(looked.selected / "gone", MEASURES, bucket)))
    return found


def _as_banded(measures: Any) -> Any:
    """Return measures as BANDED."""
    return pa.table([pa.array(live(measures)), *(measures[name] for name in BANDED.names[1:])], schema=BANDED)


def _bands_in(tables: list[Any]) -> Any:
    """Return the bands of live rows, sorted, each once."""
    return distinct(
        np.concatenate([np.zeros(0, np.uint64), *(bands_of(one)[_alive(one)].reshape(-1) for one in tables)])
    )


def _passages_in(tables: list[Any], allowed: range) -> Passages:
    """Return the passages that live rows say, and those that protected ones guard."""
    keys, heads = [np.zeros(0, np.uint64)], [np.zeros(0, np.uint64)]
    for one in tables:
        said = _windows(one, protected=False)
        _, guarded, firsts = _windows(one, protected=True).guarded(allowed)
        keys += [said.said(allowed)[1], guarded]
        heads += [said.flat, firsts]
    return Passages(distinct(np.concatenate(keys)), distinct(np.concatenate(heads)), allowed)


def _windows(banded_rows: Any, *, protected: bool) -> Windows:
    mine = banded_rows["protected"].to_numpy(zero_copy_only=False).astype(bool)
    return Windows.of(banded_rows["windows"], _alive(banded_rows) & (mine == protected))


def _alive(banded_rows: Any) -> Any:
    return banded_rows["live"].to_numpy(zero_copy_only=False).astype(bool)


def _guarded(looked: Looked, passages: Passages) -> Any:
    """Return which of some passages a protected text guards that is looked at, bool by passage."""
    found = np.zeros(len(passages.keys), bool)
    for bucket in range(len(looked.texts)):
        found[passages.guarded(_windows(_as_banded(looked.rows(bucket)), protected=True))[1]] = True
    return found


@dataclass(slots=True)
class _Far:
    """Rows of sealed parts that share something with what is looked at."""

    guarded: Any
    """bool by passage: a protected one guards it."""
    _parts: list[Any] = field(default_factory=lambda: [np.zeros(0, np.int64)])
    _places: list[Any] = field(default_factory=lambda: [np.zeros(0, np.int64)])
    """Rows in their part."""
    _tables: list[Any] = field(default_factory=lambda: [BANDED.empty_table()])
    _sure: list[Any] = field(default_factory=lambda: [np.zeros(0, bool)])
    """bool by row: shares a band."""
    _guards: list[Any] = field(default_factory=lambda: [np.zeros(0, bool)])
    """bool by row: guards a passage."""
    _said: list[tuple[Any, Any]] = field(default_factory=list)
    """(row among all here, passage)."""
    _count: int = 0

    def look(self, there: Any, table: Any, bands: _Sieve, passages: Passages) -> None:
        """Take what shares anything from some parts."""
        sure = bands.rows(bands_of(table), _alive(table))
        said, numbers = passages.said(_windows(table, protected=False))
        guards, guarded = passages.guarded(_windows(table, protected=True))
        rows = distinct(np.concatenate([sure, said, guards]))
        self.guarded[guarded] = True
        self._parts.append(there[rows])
        self._places.append((np.arange(len(there)) - np.searchsorted(there, there))[rows])
        self._tables.append(table.take(pa.array(rows)))
        self._sure.append(np.isin(rows, sure))
        self._guards.append(np.isin(rows, guards))
        self._said.append((self._count + np.searchsorted(rows, said), numbers))
        self._count += len(rows)

    def rows(self, guarded: Any, *, guards: bool = False) -> tuple[Any, Any, Any]:
        """Return (parts, rows in them, BANDED) of who shares a band or says a guarded passage; or guards one."""
        chosen = np.concatenate(self._sure)
        chosen |= np.concatenate(self._guards) & guards
        for rows, numbers in self._said:
            chosen[rows[guarded[numbers]]] = True
        parts, places = np.concatenate(self._parts)[chosen], np.concatenate(self._places)[chosen]
        return parts, places, pa.concat_tables(self._tables).filter(pa.array(chosen)).combine_chunks()


def _sharing(earlier: Before, parts: list[int], bands: _Sieve, passages: Passages) -> _Far:
    """Return the live rows of some parts that share a band or a passage."""
    found = _Far(np.zeros(len(passages.keys), bool))
    for there, table in earlier.rows("bands", parts):
        found.look(there, table, bands, passages)
    return found


def _bring_rows(looked: Looked, earlier: Before, found: tuple[Any, Any, Any]) -> None:
    """Bring single rows of what is not looked at: given are their parts, their rows in these, and these as BANDED."""
    parts, rows, beside = found
    buckets = len(looked.texts)
    known = [looked.decisions(bucket)["item_id"].combine_chunks() for bucket in range(buckets)]
    seen = pa.concat_arrays([pa.array([], pa.string()), *known])
    with Spill(looked.beside / "beyond", LOOKED_AT, buckets) as beyond:
        for there, table in earlier.rows("measures", np.unique(parts).tolist()):
            here = np.isin(parts, there)
            some = table.take(pa.array(np.searchsorted(there, parts[here]) + rows[here]))
            some = marked(banded(some, beside.filter(pa.array(here))), beyond=True)
            some = some.filter(pc.invert(pc.is_in(some["item_id"], seen)))
            beyond.add(some, buckets_of(some["item_id"], buckets))


def _mask(rows: Any, count: int) -> Any:
    found = np.zeros(count, bool)
    found[rows] = True
    return found

"""Which texts must be judged again, and which they must be compared with: the neighbourhood of what changed.

Changed = measured now, of another status or owner, or gone. *Judged again* is every text that shares a band with one of
these, before or after, or a passage that somebody protected says too. *Compared* is every text that shares a band with
a judged one: all buckets of a judged text are whole, so its verdict is the one of a build from nothing; and all who say
one of its passages are there, if one of them is protected. What is in no such bucket cannot have changed.

Neighbours among all that is not looked at yet are found by their bands and windows alone and brought here one by one.
One that becomes something else now is looked at like the others, and its part is opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.measures import (
    BANDED,
    FATES,
    LOOKED_AT,
    MEASURES,
    NAMED,
    NEIGHBOURS,
    VERDICTS,
    Before,
    Looked,
    as_banded,
    banded,
    bands_of,
    live,
    marked,
    parts_of,
)
from demur.corpus.passages import Passages, Windows, lengths
from demur.corpus.sieve import Sieve
from demur.corpus.similarity import distinct
from demur.corpus.spill import Spill, read_bucket, write_bucket
from demur.lineage import buckets_of

_PASSAGES_EACH = 4
"""Passages that are guarded, for each text of a corpus, about."""


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


class _Bands:
    """Finds rows that share one of some band keys, which are sorted."""

    def __init__(self, keys: Any) -> None:
        self._keys, self._sieve = keys, Sieve(len(keys))
        self._sieve.add(keys)

    def rows(self, bands: Any, chosen: Any) -> Any:
        """Return the numbers of the chosen rows that share a key."""
        if not len(self._keys):
            return np.zeros(0, np.int64)
        passing = np.flatnonzero(self._sieve.may(bands) & chosen[:, None])
        asked = bands.reshape(-1)[passing]
        places = np.minimum(np.searchsorted(self._keys, asked), len(self._keys) - 1)
        found = passing[self._keys[places] == asked] // bands.shape[1]
        return found[np.diff(found, prepend=-1) > 0]


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
        everything = [np.ones(rows, bool) for rows in looked.fresh[:, 1].tolist()]
        return Judged(everything, everything)
    sealed, allowed = [] if whole else list(range(earlier.parts)), lengths(copy_min_words)
    guards = _guards(looked, earlier, sealed, allowed)
    touched = _Shared(allowed, guards)
    for table in _changed(looked):
        touched.add(table)
    bands, passages = touched.found()
    around = _Shared(allowed, guards)
    around.add(_sharing(earlier, sealed, bands, passages)[2])
    for bucket in range(buckets):
        rows = looked.rows(bucket, *NEIGHBOURS)
        around.add(as_banded(rows.take(pa.array(_again(rows, bands, passages)))))
    near, beside = around.found()
    _bring_rows(looked, earlier, _sharing(earlier, sealed, near, beside, guarding=True))
    judged, compared = [], []
    for bucket in range(buckets):
        rows = looked.rows(bucket, *NEIGHBOURS)
        judged.append(_mask(_again(rows, bands, passages), rows.num_rows))
        compared.append(_mask(near.rows(bands_of(rows), live(rows)), rows.num_rows))
    return Judged(judged, compared)


def _again(rows: Any, bands: _Bands, passages: Passages) -> Any:
    """Return which rows share a band, or say one of some passages."""
    said = passages.said(_windows(as_banded(rows), protected=False))[0]
    return distinct(np.concatenate([bands.rows(bands_of(rows), live(rows)), said]))


def open_changed(looked: Looked, earlier: Before) -> list[int]:
    """Look at texts that became something else than they were; return the numbers of their parts.

    Writes ``carried/`` and ``fates/``, by bucket of the item.
    """
    if not earlier.parts:
        return []
    now: list[Any] = []
    for bucket in range(len(looked.texts)):
        verdicts = read_bucket(looked.beside / "verdicts", VERDICTS, bucket)
        found = looked.rows(bucket, "item_id", "person_id", "beyond").take(verdicts["row"])
        found = found.append_column("exclusion", verdicts["exclusion"])
        now.append(found.append_column("duplicate_of", verdicts["duplicate_of"]).filter(found["beyond"]))
    judged = pa.concat_tables(now).combine_chunks()
    parts = parts_of(judged, earlier.parts)
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
        other = read_bucket(looked.beside / "fates", NAMED, bucket)["item_id"].combine_chunks()
        mine = rows.filter(pc.and_(rows["beyond"], pc.is_in(rows["item_id"], other))).select(MEASURES.names)
        write_bucket(looked.beside / "carried", bucket, marked(mine))
    return sorted(changed)


def _changed(looked: Looked) -> Iterator[Any]:
    """Yield everything that changed, before and after, as BANDED."""
    for bucket in range(len(looked.texts)):
        rows = looked.rows(bucket, *NEIGHBOURS, "touched")
        yield as_banded(rows.filter(rows["touched"]))
        yield as_banded(read_bucket(looked.selected / "gone", MEASURES, bucket))


def _guards(looked: Looked, earlier: Before, sealed: list[int], allowed: range) -> Sieve:
    """Return a sieve of all passages that a protected text guards, or did before."""
    file = earlier.file("bands")
    most = _PASSAGES_EACH * int(file.sizes().sum()) if file is not None else 0
    found = Sieve(most)
    for _, table in earlier.rows("bands", sealed):
        found.add(_windows(table, protected=True).guarded(allowed)[1])
    for table in _changed(looked):
        found.add(_windows(table, protected=True).guarded(allowed)[1])
    for bucket in range(len(looked.texts)):
        found.add(_windows(as_banded(looked.rows(bucket, *NEIGHBOURS)), protected=True).guarded(allowed)[1])
    return found


class _Shared:
    """What some texts share with others: their bands, and their passages as far as somebody guards them."""

    def __init__(self, allowed: range, guards: Sieve) -> None:
        self._allowed, self._guards = allowed, guards
        self._bands, self._keys, self._heads = ([np.zeros(0, np.uint64)] for _ in range(3))

    def add(self, table: Any) -> None:
        """Take in the live rows of a BANDED table."""
        self._bands.append(distinct(bands_of(table)[_alive(table)].reshape(-1)))
        said, guarded = (_windows(table, protected=protected) for protected in (False, True))
        for _, keys, heads in (said.said(self._allowed), guarded.guarded(self._allowed)):
            there = self._guards.among(keys)
            self._keys.append(distinct(keys[there]))
            self._heads.append(distinct(heads[there]))

    def found(self) -> tuple[_Bands, Passages]:
        """Return what finds texts that share any of it."""
        bands, keys, heads = (distinct(np.concatenate(some)) for some in (self._bands, self._keys, self._heads))
        return _Bands(bands), Passages(keys, heads, self._allowed)


def _windows(banded_rows: Any, *, protected: bool) -> Windows:
    mine = banded_rows["protected"].to_numpy(zero_copy_only=False).astype(bool)
    return Windows.of(banded_rows["windows"], _alive(banded_rows) & (mine == protected))


def _alive(banded_rows: Any) -> Any:
    return banded_rows["live"].to_numpy(zero_copy_only=False).astype(bool)


def _sharing(
    earlier: Before, parts: list[int], bands: _Bands, passages: Passages, *, guarding: bool = False
) -> tuple[Any, Any, Any]:
    """Return (parts, rows in their part, BANDED) of live rows of some parts that share a band or say a passage.

    Args:
        earlier: the corpus before.
        parts: their numbers.
        bands: bands that are looked for.
        passages: passages that are looked for.
        guarding: also those that guard a passage.
    """
    none = np.zeros(0, np.int64)
    found: list[tuple[Any, Any, Any]] = [(none, none, BANDED.empty_table())]
    for there, table in earlier.rows("bands", parts):
        some = [bands.rows(bands_of(table), _alive(table)), passages.said(_windows(table, protected=False))[0]]
        if guarding:
            some.append(passages.guarded(_windows(table, protected=True))[0])
        rows = distinct(np.concatenate(some))
        places = (np.arange(len(there)) - np.searchsorted(there, there))[rows]
        found.append((there[rows], places, table.take(pa.array(rows))))
    numbers, places, tables = zip(*found, strict=True)
    return np.concatenate(numbers), np.concatenate(places), pa.concat_tables(tables).combine_chunks()


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

"""Passages: texts that say, in the middle of other words, what somebody protected said first (COR-05, TPD-02).

A passage is ``LEAST`` words in a row, or the whole of a shorter text of at least ``WINDOW`` words. It belongs to
whoever said it first: where that is a protected text, every later one that says it goes, whole. A protected text that
says what an allowed one said before guards nothing by it: quoting takes nothing away from the one who is quoted.

Each text has the keyed hashes of all its windows of ``WINDOW`` words, in order
(:func:`demur.corpus.similarity.measure`). A run of more words is two windows that stand so far apart; more, where a
policy lets short texts belong to nobody. So a passage is one number, looking it up is exact, and nothing is compared
with all. One protected text more can never let another in. Memory: ``PIECE`` passages at a time, about, whatever there
is; and what all texts of a bucket say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from demur.corpus.sieve import Sieve
from demur.corpus.similarity import WINDOW, distinct
from demur.corpus.spill import read_bucket, write_bucket
from demur.store import remove_tree

LEAST = 12
"""Words of a passage (docs/corpus.md says how often posts share so many by chance)."""
PIECE = 8_000_000
"""Passages that are held in memory at a time, about."""
SHARES = 64
"""Files that guarded passages are divided into."""

ASKED = ("exclusion", "protected", "said_us", "windows")
"""Columns of LOOKED_AT that quotations are found by."""
SAID: Any = pa.schema(
    [("row", pa.int32()), ("protected", pa.bool_()), ("said_us", pa.int64()), ("windows", pa.list_(pa.uint64()))]
)
"""Texts with windows: the row in its bucket, whether it is protected, and when it was said."""

_FACTORS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F))
_NEVER = np.int64(2**62)
_NO_KEYS: Any = np.zeros(0, np.uint64)


def lengths(copy_min_words: int) -> range:
    """Return how many words a passage may have: the last is that of a part of a longer text.

    >>> lengths(8), lengths(1), lengths(20)
    (range(8, 13), range(8, 13), range(20, 21))
    """
    return range(max(WINDOW, copy_min_words), max(LEAST, copy_min_words) + 1)


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of some texts, one after another."""

    flat: Any
    """uint64."""
    edges: Any
    """int64 [texts + 1]: where the windows of each text begin, and the end."""
    chosen: Any
    """bool by text: those that are asked."""

    @classmethod
    def of(cls, lists: Any, chosen: Any) -> Windows:
        """Return those of an Arrow list array.

        Args:
            lists: list(uint64); null has none.
            chosen: bool by row: the texts that are asked.
        """
        some = lists.combine_chunks() if isinstance(lists, pa.ChunkedArray) else lists
        edges = some.offsets.to_numpy().astype(np.int64) if len(some) else np.zeros(1, np.int64)
        known = some.is_valid().to_numpy(zero_copy_only=False)
        return cls(some.values.to_numpy()[edges[0] : edges[-1]], edges - edges[0], chosen & known)

    def said(self, allowed: range, heads: Sieve | None = None) -> tuple[Any, Any, Any]:
        """Return (row, key, first window) of what the texts say; of those passages that may begin with some windows."""
        at, rows = self._places(heads)
        found, keys, firsts = _joined([self._runs(at, rows, words) for words in allowed])
        return found, keys, firsts

    def guarded(self, allowed: range, heads: Sieve | None = None) -> tuple[Any, Any, Any]:
        """Return (row, key, first window) of the passages that the texts guard where they are protected."""
        at, rows = self._places(heads)
        most, left = allowed[-1], self.edges[rows + 1] - at + WINDOW - 1  # words from here to the end
        short = (at == self.edges[rows]) & (left < most)
        whole = [
            self._runs(at[short & (left == words)], rows[short & (left == words)], words) for words in allowed[:-1]
        ]
        found, keys, firsts = _joined([*whole, self._runs(at, rows, most)])
        return found, keys, firsts

    def _places(self, heads: Sieve | None) -> tuple[Any, Any]:
        """Return the windows of texts that are asked, and their texts."""
        if heads is None:
            counts = np.diff(self.edges) * self.chosen
            rows = np.repeat(np.arange(len(counts)), counts)
            within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
            return self.edges[rows] + within, rows
        at = heads.among(self.flat)
        rows = np.searchsorted(self.edges, at, "right") - 1
        mine = self.chosen[rows]
        return at[mine], rows[mine]

    def _runs(self, at: Any, rows: Any, words: int) -> tuple[Any, Any, Any]:
        """Return (row, key, first window) of the runs of so many words that begin at some windows."""
        last = words - WINDOW
        there = at + last < self.edges[rows + 1]
        at, rows = at[there], rows[there]
        keys = self.flat[at] * _FACTORS[0] + np.uint64(words)
        for step in (*range(WINDOW, last, WINDOW), last):
            keys = _mixed(keys + self.flat[at + step] * _FACTORS[1])
        return rows, keys, self.flat[at]


class Passages:
    """Some passages, looked for in texts.

    Args:
        keys: their keys, sorted, each once.
        heads: the windows that they begin with.
        allowed: how many words they may have.
    """

    def __init__(self, keys: Any, heads: Any, allowed: range) -> None:
        self.keys, self._allowed = keys, allowed
        self._heads, self._there = Sieve(len(heads)), Sieve(len(keys))
        self._heads.add(heads)
        self._there.add(keys)

    def said(self, windows: Windows) -> tuple[Any, Any]:
        """Return (row, number of the passage) of all that some texts say."""
        if not len(self.keys):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        rows, keys, _ = windows.said(self._allowed, self._heads)
        return self._known(rows, keys)

    def guarded(self, windows: Windows) -> tuple[Any, Any]:
        """Return the same of what texts guard where they are protected."""
        if not len(self.keys):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        rows, keys, _ = windows.guarded(self._allowed, self._heads)
        return self._known(rows, keys)

    def _known(self, rows: Any, keys: Any) -> tuple[Any, Any]:
        may = self._there.among(keys)
        rows, keys = rows[may], keys[may]
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        there = self.keys[places] == keys
        return rows[there], places[there]


def quoting(folder: Path, tables: Callable[[int], Any], buckets: int, copy_min_words: int) -> list[Any]:
    """Return of each bucket which rows say a passage that a protected text said first, bool by row.

    Args:
        folder: holds what of the texts is asked for, until it is answered.
        tables: bucket → its texts: the columns of ``ASKED``.
        buckets: how many there are.
        copy_min_words: shorter texts belong to nobody.
    """
    allowed, sizes = lengths(copy_min_words), []
    counts = np.zeros(SHARES, np.int64)
    (folder / "guarded").mkdir(parents=True)
    for bucket in range(buckets):
        table = tables(bucket)
        sizes.append(table.num_rows)
        said = _asked(table)
        write_bucket(folder, bucket, said)
        counts += _put_guarded(folder / "guarded", said, allowed)
    found = [np.zeros(size, bool) for size in sizes]
    apart = np.flatnonzero(np.diff(np.cumsum(counts) // PIECE)) + 1
    for shares in np.split(np.arange(SHARES), apart):
        _look(folder, found, allowed, shares.tolist())
    remove_tree(folder)
    return found


def _put_guarded(folder: Path, said: Any, allowed: range) -> Any:
    """Append what protected texts guard to files by share of the passages; return how many passages each got."""
    rows, keys, heads = Windows.of(said["windows"], _protected(said)).guarded(allowed)
    columns = np.stack([keys, heads, said["said_us"].to_numpy()[rows].view(np.uint64)], axis=1)
    order = np.argsort(keys % SHARES, kind="stable")
    ends = np.cumsum(np.bincount((keys % SHARES).astype(np.int64), minlength=SHARES))
    for share, some in enumerate(np.split(columns[order], ends[:-1])):
        if len(some):
            with (folder / f"{share:02d}").open("ab") as stream:
                stream.write(some.tobytes())
    return np.diff(ends, prepend=0)


def _asked(table: Any) -> Any:
    """Return the texts that say or guard anything, as SAID."""
    rows = np.flatnonzero(table["exclusion"].is_null().to_numpy(zero_copy_only=False))
    said = table.select(["protected", "said_us", "windows"]).take(pa.array(rows))
    return said.add_column(0, SAID.field("row"), pa.array(rows.astype(np.int32))).cast(SAID).combine_chunks()


def _look(folder: Path, found: list[Any], allowed: range, shares: list[int]) -> None:
    """Note who says one of some shares of the passages that a protected text said first."""
    files = [file for share in shares if (file := folder / "guarded" / f"{share:02d}").exists()]
    if not files:
        return
    columns = np.concatenate([np.fromfile(file, np.uint64).reshape(-1, 3) for file in files])
    guards, firsts = _earliest(columns[:, 0], columns[:, 2].copy().view(np.int64))
    passages = Passages(guards, distinct(columns[:, 1]), allowed)
    said_by_others = np.full(len(guards), _NEVER)
    for said in _read(folder, len(found)):
        rows, numbers = passages.said(Windows.of(said["windows"], ~_protected(said)))
        np.minimum.at(said_by_others, numbers, said["said_us"].to_numpy()[rows])
    theirs = firsts <= said_by_others
    for bucket, said in enumerate(_read(folder, len(found))):
        rows, numbers = passages.said(Windows.of(said["windows"], ~_protected(said)))
        found[bucket][said["row"].to_numpy()[rows[theirs[numbers]]]] = True


def _read(folder: Path, buckets: int) -> Iterator[Any]:
    for bucket in range(buckets):
        yield read_bucket(folder, SAID, bucket)


def _protected(said: Any) -> Any:
    return said["protected"].to_numpy(zero_copy_only=False).astype(bool)


def _earliest(keys: Any, times: Any) -> tuple[Any, Any]:
    """Return every key once, sorted, and its least time."""
    order = np.argsort(keys, kind="stable")
    keys, times = keys[order], times[order]
    fresh = np.ones(len(keys), bool)
    fresh[1:] = keys[1:] != keys[:-1]
    begins = np.flatnonzero(fresh)
    return keys[begins], np.minimum.reduceat(times, begins) if len(keys) else times


def _joined(found: list[Any]) -> Iterator[Any]:
    return (np.concatenate(column) for column in zip(*found, strict=True))


def _mixed(values: Any) -> Any:
    values = (values ^ (values >> np.uint64(29))) * _FACTORS[1]
    return values ^ (values >> np.uint64(32))

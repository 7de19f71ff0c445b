"""Copies of pictures by their fingerprints: a copy of a protected picture is protected (COR-05, TPD-02).

Every pair is verified by its whole distance; nothing follows from a copy of a copy. No picture is compared with all
others: of two fingerprints of 256 bits at a distance of at most 31, cut into some bands, at least one band differs in
few bits or none. So each band of one picture, and that band with each few of its bits turned, is looked up among the
others'. How many bands follows from how many pictures there are: the more, the wider, so that a look-up finds few
strangers however many there are, and the cost grows slower than the square (docs/media.md).

Sources: PDQ (Facebook, 2019): the same picture at a distance of at most 31; Norouzi and others, Fast Exact Search in
Hamming Space with Multi-Index Hashing (2014), §3 and §5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SAME_BITS = 31
GOOD_QUALITY = 50
"""Below this a picture has too little in it to be told from others; it is a copy of nothing."""

_BITS = 256
_FEWEST_BANDS, _MOST_BANDS = 8, 32
"""Of 32 bits and of 8."""
_PROBES = 1 << 21
"""Look-ups in memory at once."""
_FIRST_LOOK = 64
"""Candidates of one look-up that are compared first, the oldest; whoever is found is not looked at again."""
_CANDIDATE = 3.0
"""What a comparison costs, in look-ups of 16 bits."""
_FARTHER = 5
"""So many bits more make a look-up twice as dear: tables lie farther from the processor."""


@dataclass(frozen=True, slots=True)
class Band:
    """Some bits of a fingerprint, and in how many of them two may differ to be compared."""

    begin: int
    bits: int
    radius: int

    def of(self, prints: Any) -> Any:
        """Return these bits of fingerprints of four words, as numbers."""
        word, shift = divmod(self.begin, 64)
        over = shift + self.bits - 64
        found = prints[:, word] << np.uint64(over) if over > 0 else prints[:, word] >> np.uint64(-over)
        if over > 0:
            found = found | prints[:, word + 1] >> np.uint64(64 - over)
        return (found & np.uint64((1 << self.bits) - 1)).astype(np.int64)

    def turns(self) -> Any:
        """Return every way to turn as many bits or fewer, as numbers to add without carry; the whole band first."""
        ways = [sum(1 << one for one in some) for turned in range(self.radius + 1)
                for some in combinations(range(self.bits), turned)]  # fmt: skip
        return np.array(ways, np.int64)


def bands_of(count: int) -> list[Band]:
    """Return the bands for so many fingerprints: of those that miss nothing, the cheapest.

    With m bands and a distance of at most 31 = a·m + b, either one of the first b + 1 bands differs in a bits at most,
    or one of the others in a - 1 at most; else they would differ in (b + 1)(a + 1) + (m - b - 1)a = 32 bits.
    """
    ways = (cut_into(number) for number in range(_FEWEST_BANDS, _MOST_BANDS + 1))
    return min(ways, key=lambda bands: _cost(bands, count))


def cut_into(number: int) -> list[Band]:
    """Return so many bands, less those that nobody has to look at."""
    most, rest = divmod(SAME_BITS, number)
    wide = _BITS % number
    out, begin = [], 0
    for place in range(number):
        bits = _BITS // number + (place < wide)
        radius = most if place <= rest else most - 1
        out += [Band(begin, bits, radius)] if radius >= 0 else []
        begin += bits
    return out


def _cost(bands: list[Band], count: int) -> float:
    turns = [sum(comb(band.bits, turned) for turned in range(band.radius + 1)) for band in bands]
    return sum(
        some * (2 ** ((band.bits - 16) / _FARTHER) + _CANDIDATE * count / (1 << band.bits))
        for some, band in zip(turns, bands, strict=True)
    )


def copies_of_protected(hashes: Any, mirrored: Any, quality: Any, protected: Any, inside: Any = None) -> Any:
    """Tell which pictures are a protected one or a copy of one, the mirror image and one in a frame included.

    Args:
        hashes: 64 hex digits each, or null = no picture.
        mirrored: the same of the mirror image.
        quality: PDQ's quality of each.
        protected: whether the item is protected; null counts as protected.
        inside: 64 hex digits of what lies within a frame, or null = there is none; ``None`` = of no picture.

    Returns:
        Arrow boolean array: true for every protected one and for every copy of a protected picture.
    """
    inside = pa.nulls(len(hashes), pa.string()) if inside is None else inside
    hashes, mirrored, quality, protected, inside = map(_one, (hashes, mirrored, quality, protected, inside))
    guarded = _bools(pc.fill_null(protected, True))
    good = _bools(pc.fill_null(pc.greater_equal(quality, GOOD_QUALITY), False))
    usable = good & _bools(pc.is_valid(hashes))
    sides = (hashes, usable), (mirrored, usable & _bools(pc.is_valid(mirrored))), (inside, _bools(pc.is_valid(inside)))
    known = np.unique(np.concatenate([_prints(one, np.flatnonzero(rows & guarded)) for one, rows in sides]), axis=0)
    marked = guarded.copy()
    for column, rows in sides:
        others = np.flatnonzero(rows & ~marked)
        if len(known) and len(others):
            marked[others] |= near(_prints(column, others), known)
    return pa.array(marked)


def _bools(column: Any) -> Any:
    return np.asarray(column.to_numpy(zero_copy_only=False), bool)


def copies_of_earlier(hashes: Any, mirrored: Any, quality: Any) -> Any:
    """Tell which pictures are one before them in the table again, the mirror image included.

    Args:
        hashes: 64 hex digits each, or null = no picture; in order of age.
        mirrored: the same of the mirror image.
        quality: PDQ's quality of each.

    Returns:
        Arrow boolean array: true where a picture of an earlier row lies within the distance.
    """
    hashes, mirrored, quality = (_one(column) for column in (hashes, mirrored, quality))
    good = pc.and_(pc.fill_null(pc.greater_equal(quality, GOOD_QUALITY), False), pc.is_valid(hashes))
    rows = np.flatnonzero(np.asarray(good.to_numpy(zero_copy_only=False), bool))
    again = np.zeros(len(hashes), bool)
    if len(rows):
        also = rows[np.asarray(pc.is_valid(mirrored).to_numpy(zero_copy_only=False), bool)[rows]]
        known = np.concatenate([_prints(hashes, rows), _prints(mirrored, also)])
        ages = np.concatenate([rows, also])
        oldest = np.argsort(ages, kind="stable")
        again[rows] = near(_prints(hashes, rows), known[oldest], (rows, ages[oldest]))
    return pa.array(again)


def _one(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _prints(hashes: Any, rows: Any) -> Any:
    """Return the fingerprints of some rows, shape (rows, 4) of 64-bit words."""
    texts = hashes.take(pa.array(rows, pa.int64())).to_pylist()
    return np.frombuffer(bytes.fromhex("".join(texts)), ">u8").astype(np.uint64).reshape(-1, 4)


def near(asked: Any, known: Any, ages: tuple[Any, Any] | None = None, *, bands: list[Band] | None = None) -> Any:
    """Return for each asked fingerprint whether a known one, where ages are given an earlier one, is within reach.

    Args:
        asked: fingerprints, shape (rows, 4) of 64-bit words.
        known: the same; the earliest first where ages are given.
        ages: of the asked and of the known.
        bands: which to use; by default the cheapest.
    """
    hit = np.zeros(len(asked), bool)
    for band in bands if bands is not None else bands_of(len(known)):
        keys = band.of(known)
        order = np.argsort(keys, kind="stable")
        found = _finder(keys[order], band.bits)
        turns = band.turns()
        left = np.flatnonzero(~hit)
        step = max(1, _PROBES // len(turns))
        for start in range(0, len(left), step):
            rows = left[start : start + step]
            probes = (band.of(asked[rows])[:, None] ^ turns).reshape(-1)
            first, last = found(probes)
            busy = np.flatnonzero(last > first)
            places = np.repeat(rows, len(turns))[busy], first[busy], last[busy]
            _compare(hit, asked, (known, order), places, ages)
    return hit


def _finder(keys: Any, bits: int) -> Callable[[Any], tuple[Any, Any]]:
    """Return what finds where numbers begin and end among sorted keys: a table, unless that would be much larger."""
    if 1 << bits > 4 * len(keys) + (1 << 16):
        return lambda asked: (np.searchsorted(keys, asked, "left"), np.searchsorted(keys, asked, "right"))
    ends = np.concatenate(([0], np.cumsum(np.bincount(keys, minlength=1 << bits))))
    return lambda asked: (ends[asked], ends[asked + 1])


def _compare(hit: Any, asked: Any, known: Any, places: Any, ages: Any) -> None:
    """Mark whoever is near one of their candidates, the oldest of each look-up first."""
    prints, order = known
    rows, first, last = places
    look = _FIRST_LOOK
    while len(rows):
        counts = np.minimum(last - first, look)
        for cut in _cuts(counts):
            some = cut[~hit[rows[cut]]]
            many = counts[some]
            starts = np.repeat(first[some] - np.concatenate(([0], np.cumsum(many)[:-1])), many)
            owners = order[starts + np.arange(many.sum())]
            pairs = np.repeat(rows[some], many)
            if ages is not None:
                earlier = ages[1][owners] < ages[0][pairs]
                pairs, owners = pairs[earlier], owners[earlier]
            apart = np.bitwise_count(asked[pairs] ^ prints[owners]).sum(axis=1)
            hit[pairs[apart <= SAME_BITS]] = True
        more = (last - first > look) & ~hit[rows]
        rows, first, last = rows[more], first[more] + look, last[more]
        look *= 4


def _cuts(counts: Any) -> Iterator[Any]:
    """Yield places in pieces of bounded memory."""
    piece = np.cumsum(counts) // (1 << 20)
    yield from np.split(np.arange(len(counts)), np.flatnonzero(np.diff(piece)) + 1)

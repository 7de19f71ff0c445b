"""Parts of protected pictures in others: cut, turned, written over, on somebody's screen, beside other pictures.

Two pictures show the same part if keypoints of one (keypoints.py) come to lie where those of the other are and say the
same, once it is moved, turned and made larger or smaller as a whole; and if they do so nearly everywhere that both have
any: an app's buttons around two photos are not a picture.

A verdict is one on two pictures: it depends on no third one, no order, no number, so one objection more lets nothing
in. Pictures are looked up by 32 bits of a keypoint at a time, and compared in full where a few that are equal agree how
the picture was turned and how much it grew. Protected ones are in memory some thousand at a time, all others are read
past them.

Sources: Jegou and others, Hamming embedding and weak geometric consistency (2008), §4; Lowe, Distinctive image features
from scale-invariant keypoints (2004), §7.3 and §7.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.media.keypoints import EDGE, KEYPOINT, LEVELS, PLACES, STEP, TURN, differing, read

BLOCK = 4_000
"""Protected pictures in memory at a time: about 250 MB."""
ASKED = 32
"""Pictures that are looked up at once."""
_WORDS = 8
"""Of 32 bits, in a keypoint's bits."""
_AGREEING = 3
"""Keypoints with an equal word that agree, at least, for two pictures to be compared in full."""
_TURNED = 16
"""Of 256: keypoints that agree about a turn are nearer to each other than this."""
_ALIKE_BITS = 64
"""So many of 256 bits may differ between two keypoints that are the same."""
_FEWEST = 12
"""Keypoints that lie where the others say, at least."""
_FIRST_OFF, _OFF = EDGE / 32, 6.0
"""Pixels that one may be away from there, in the larger of the two: at first, and once all were looked at together."""
_GROWN_ALIKE = 0.5
"""Logarithms of how much two keypoints say that the picture grew differ by less."""
_LARGEST = 6.0
"""Times that a part may have been made larger or smaller."""
_CELLS, _IN_A_CELL, _EVERYWHERE = 6, 2, 0.5
"""The part that both show is cut into so many cells a side. Of those in which both have so many keypoints, this share
has one that lies where the other says."""


class _Pictures(NamedTuple):
    """Keypoints of some pictures, one after another."""

    points: Any
    """KEYPOINT [all]."""
    starts: Any
    """Where those of each picture begin, and where the last end."""
    words: Any
    """Their bits, uint32 [all, 8]."""
    owner: Any
    """Number of the picture of each."""

    @classmethod
    def of(cls, pictures: list[Any]) -> _Pictures:
        points = np.concatenate([np.zeros(0, KEYPOINT), *pictures])
        sizes = [len(one) for one in pictures]
        words = np.ascontiguousarray(points["bits"]).view(np.uint32).reshape(-1, _WORDS)
        return cls(points, np.cumsum([0, *sizes]), words, np.repeat(np.arange(len(sizes)), sizes))

    def picture(self, number: int) -> Any:
        return self.points[self.starts[number] : self.starts[number + 1]]


def parts_in(folder: Path, protected: Any, gone: Mapping[int, str]) -> Any:
    """Tell of every file of a prepare stage whether it shows a part of a protected one, bool by row.

    Args:
        folder: of the stage that is done.
        protected: whether each item is protected, Arrow boolean; null counts as protected.
        gone: row → keypoints of files that are not there any more, or cannot be read.
    """
    guarded = pc.fill_null(protected, fill_value=True).to_numpy(zero_copy_only=False).astype(bool)

    def pictures(wanted: Any) -> Iterator[Any]:
        with pq.ParquetFile(folder / "media.parquet") as source:
            batches = source.iter_batches(batch_size=ASKED, columns=["keypoints"])
            texts = (text for batch in batches for text in batch["keypoints"].to_pylist())
            for row, (text, mine) in enumerate(zip(texts, wanted, strict=True)):
                yield read(text or gone.get(row) if mine else None)

    return showing_parts((one for one in pictures(guarded) if len(one)), lambda: pictures(~guarded), len(guarded))


def showing_parts(protected: Iterable[Any], asked: Callable[[], Iterable[Any]], count: int) -> Any:
    """Tell which pictures show a part of a protected one, bool by picture.

    Args:
        protected: keypoints of each protected picture (KEYPOINT).
        asked: gives those of every picture that is asked about, in order; called again for each block of protected
            ones.
        count: how many are asked about.
    """
    hit = np.zeros(count, bool)
    for block in _some(protected, BLOCK):
        known, start = _Pictures.of(block), 0
        orders = [np.argsort(known.words[:, word], kind="stable") for word in range(_WORDS)]
        for some in _some(asked(), ASKED):
            left = [one[:0] if hit[start + place] else one for place, one in enumerate(some)]
            them = _Pictures.of(left)
            for mine, theirs in _candidates(them, known, orders).tolist():
                hit[start + mine] = hit[start + mine] or same_part(them.picture(mine), known.picture(theirs))
            start += len(some)
    return hit


def _some(pictures: Iterable[Any], most: int) -> Iterator[list[Any]]:
    block: list[Any] = []
    for one in pictures:
        block.append(one)
        if len(block) == most:
            yield block
            block = []
    if block:
        yield block


def _candidates(asked: _Pictures, known: _Pictures, orders: list[Any]) -> Any:
    """Return (asked, known) pictures that are worth a comparison, int64 [pairs, 2], each pair once."""
    found = [np.zeros((0, 2), np.int64)]
    for word, order in enumerate(orders):
        keys, wanted = known.words[order, word], asked.words[:, word]
        first, last = np.searchsorted(keys, wanted, "left"), np.searchsorted(keys, wanted, "right")
        counts = last - first
        within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        found.append(np.stack([np.repeat(np.arange(len(wanted)), counts), order[np.repeat(first, counts) + within]], 1))
    pairs = np.unique(np.concatenate(found), axis=0)
    mine, theirs = asked.points[pairs[:, 0]], known.points[pairs[:, 1]]
    turn = mine["angle"].astype(np.int64) - theirs["angle"]
    grown = mine["level"].astype(np.int64) - theirs["level"] + LEVELS
    pictures = asked.owner[pairs[:, 0]] * len(known.starts) + known.owner[pairs[:, 1]]
    agreeing = [np.zeros(0, np.int64)]
    for shift, step in product((0, _TURNED // 2), (0, 1)):  # neighbours on both sides of an edge agree too
        ways = (turn + shift) % TURN // _TURNED * LEVELS * 2 + (grown + step) // 2
        keys, counts = np.unique(pictures * (TURN * LEVELS) + ways, return_counts=True)
        agreeing.append(keys[counts >= _AGREEING] // (TURN * LEVELS))
    return np.stack(np.divmod(np.unique(np.concatenate(agreeing)), len(known.starts)), axis=1)


def same_part(one: Any, other: Any) -> bool:
    """Say whether two pictures show the same part, by their keypoints (KEYPOINT).

    >>> same_part(np.zeros(9, KEYPOINT), np.zeros(0, KEYPOINT))
    False
    """
    mine, theirs = _nearest(one, other)
    begun, ended = _places(one), _places(other)
    moved = _moved(one[mine], other[theirs], begun[mine], ended[theirs])
    if moved is None or moved.right.sum() < _FEWEST:
        return False
    there = begun * moved.times + moved.by
    return _everywhere(there, ended, ended[theirs][moved.right])


def _nearest(one: Any, other: Any) -> tuple[Any, Any]:
    """Return (keypoints of one, of the other) of which each is what comes nearest to the other, and is near enough."""
    if not len(one) or not len(other):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    apart = differing(one["bits"], other["bits"])
    mine, nearest = np.arange(len(one)), apart.argmin(axis=1)
    both = (apart.argmin(axis=0)[nearest] == mine) & (apart[mine, nearest] <= _ALIKE_BITS)
    return mine[both], nearest[both]


def _places(points: Any) -> Any:
    """Return where keypoints are, as complex numbers of pixels: to turn is to multiply then."""
    return points["x"] / PLACES + 1j * points["y"] / PLACES


class _Moved(NamedTuple):
    """How one picture lies in the other."""

    times: complex
    """Turned and made larger by."""
    by: complex
    right: Any
    """Which pairs of keypoints lie so."""


def _moved(one: Any, other: Any, begun: Any, ended: Any) -> _Moved | None:
    """Return how most pairs of keypoints say that a picture was moved; ``None`` = they say nothing."""
    if len(one) < _FEWEST:
        return None
    grown = STEP ** (other["level"].astype(float) - one["level"])
    times = grown * np.exp(2j * np.pi / TURN * (other["angle"].astype(float) - one["angle"]))
    off = np.abs(ended[:, None] + times[:, None] * (begun[None] - begun[:, None]) - ended[None])
    alike = np.abs(np.log(grown[None] / grown[:, None])) < _GROWN_ALIKE
    said = alike & (off <= _FIRST_OFF * np.maximum(grown, 1)[:, None])
    right = said[said.sum(axis=1).argmax()]
    for _ in range(2):
        here, there = begun[right] - begun[right].mean(), ended[right] - ended[right].mean()
        spread = (np.abs(here) ** 2).sum()
        best = (here.conj() * there).sum() / spread if spread else 0.0  # least squares
        if not 1 / _LARGEST <= abs(best) <= _LARGEST:
            return None
        by = ended[right].mean() - best * begun[right].mean()
        right = np.abs(begun * best + by - ended) <= _OFF * max(1.0, abs(best))
        if not right.any():
            return None
    return _Moved(best, by, right)


def _everywhere(one: Any, other: Any, right: Any) -> bool:
    """Say whether keypoints are right in most places where both pictures have some.

    Args:
        one: places of the keypoints of one picture, in the other.
        other: of those of the other.
        right: of those that are right.
    """
    first = complex(max(one.real.min(), other.real.min()), max(one.imag.min(), other.imag.min()))
    last = complex(min(one.real.max(), other.real.max()), min(one.imag.max(), other.imag.max()))
    size = max(last.real - first.real, last.imag - first.imag) / _CELLS + 1e-9
    counts = []
    for places in (one, other, right):
        cells = np.floor((places.imag - first.imag) / size) * _CELLS + np.floor((places.real - first.real) / size)
        within = (places.real >= first.real) & (places.real <= last.real)
        within &= (places.imag >= first.imag) & (places.imag <= last.imag)
        counts.append(np.bincount(cells[within].astype(np.int64), minlength=_CELLS * _CELLS))
    full = (counts[0] >= _IN_A_CELL) & (counts[1] >= _IN_A_CELL)
    return bool((full & (counts[2] > 0)).sum() >= _EVERYWHERE * full.sum() > 0)

"""Parts of protected pictures in others: cut, turned, written over, on somebody's screen, beside other pictures.

Two pictures show the same part if keypoints of one (keypoints.py) come to lie where those of the other are and say the
same, once it is moved, turned and made larger or smaller as a whole; and if they do so in most places in which both
have any or one has text: an app's buttons around two photos or two posts are not a picture.

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

from demur.media.keypoints import EDGE, KEYPOINT, LEVELS, PLACES, STEP, TEXT, TURN, differing, read

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
_WAYS = TURN // _TURNED * LEVELS * 2
_SHIFTS = tuple(product((0, _TURNED // 2), (0, 1)))
"""Neighbours on both sides of an edge between two ways agree too."""
_OFTEN = 2
"""A word that a picture has more often looks nothing up."""
_ROWS = 1 << 20
"""Pairs of keypoints with an equal word that are in memory at a time, about."""
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
_LEAST_PART = 0.06
"""Of either picture, so far as it has anything: a logo in a corner is no part."""
_CELLS, _IN_A_CELL, _EVERYWHERE = 6, 2, 0.5
"""The part that both show is cut into so many cells a side. Of those in which both have so many keypoints, or one has
text, this share has one that lies where the other says."""


class _Pictures(NamedTuple):
    """Keypoints of some pictures, one after another, without marks."""

    points: Any
    """KEYPOINT [all]."""
    words: Any
    """Their bits, uint32 [all, 8]."""
    rare: Any
    """Which of these words its picture has hardly more than once, bool [all, 8]."""
    owner: Any
    """Number of the picture of each."""
    pictures: list[Any]
    """As they came."""

    @classmethod
    def of(cls, pictures: list[Any]) -> _Pictures:
        points = np.concatenate([np.zeros(0, KEYPOINT), *pictures])
        owner = np.repeat(np.arange(len(pictures)), [len(one) for one in pictures])
        owner, points = owner[points["level"] != TEXT], points[points["level"] != TEXT]
        words = np.ascontiguousarray(points["bits"]).view(np.uint32).reshape(-1, _WORDS)
        rare = np.zeros(words.shape, bool)
        for word in range(_WORDS):
            keys = owner.astype(np.uint64) << np.uint64(32) | words[:, word]
            _, group, times = np.unique(keys, return_inverse=True, return_counts=True)
            rare[:, word] = times[group] <= _OFTEN
        return cls(points, words, rare, owner, pictures)


class _Known:
    """Protected pictures, ready to be looked up."""

    def __init__(self, pictures: list[Any]) -> None:
        self.all = _Pictures.of(pictures)
        self.orders, self.keys = [], []
        for word in range(_WORDS):
            rare = np.flatnonzero(self.all.rare[:, word])
            order = rare[np.argsort(self.all.words[rare, word], kind="stable")]
            self.orders.append(order)
            self.keys.append(self.all.words[order, word])

    def candidates(self, asked: _Pictures) -> Any:
        """Return (asked, known) pictures that are worth a comparison, int64 [pairs, 2], each pair once."""
        votes = [np.zeros((2, 0), np.int64) for _ in _SHIFTS]
        for word, (order, keys) in enumerate(zip(self.orders, self.keys, strict=True)):
            mine = np.flatnonzero(asked.rare[:, word])
            first, last = (np.searchsorted(keys, asked.words[mine, word], side) for side in ("left", "right"))
            for some in np.split(np.arange(len(mine)), np.flatnonzero(np.diff(np.cumsum(last - first) // _ROWS)) + 1):
                many = (last - first)[some]
                within = np.arange(many.sum()) - np.repeat(np.cumsum(many) - many, many)
                pairs = np.repeat(mine[some], many), order[np.repeat(first[some], many) + within]
                self._vote(votes, asked, pairs, word)
        found = np.unique(np.concatenate([keys[times >= _AGREEING] // _WAYS for keys, times in votes]))
        return np.stack(np.divmod(found, len(self.all.pictures)), axis=1)

    def _vote(self, votes: list[Any], asked: _Pictures, pairs: tuple[Any, Any], word: int) -> None:
        """Count how many keypoints with an equal word say that a picture was turned and grown in a way, once each."""
        equal = asked.words[pairs[0], :word] == self.all.words[pairs[1], :word]
        new = ~(equal & asked.rare[pairs[0], :word] & self.all.rare[pairs[1], :word]).any(axis=1)
        mine, theirs = pairs[0][new], pairs[1][new]
        turn = asked.points["angle"][mine].astype(np.int64) - self.all.points["angle"][theirs]
        grown = asked.points["level"][mine].astype(np.int64) - self.all.points["level"][theirs] + LEVELS
        pictures = asked.owner[mine] * len(self.all.pictures) + self.all.owner[theirs]
        for place, (shift, step) in enumerate(_SHIFTS):
            ways = (turn + shift) % TURN // _TURNED * LEVELS * 2 + (grown + step) // 2
            keys, times = np.unique(pictures * _WAYS + ways, return_counts=True)
            both, where = np.unique(np.concatenate([votes[place][0], keys]), return_inverse=True)
            sums = np.bincount(where, np.concatenate([votes[place][1], times])).astype(np.int64)
            votes[place] = np.stack([both, sums])


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
        known, start = _Known(block), 0
        for some in _some(asked(), ASKED):
            left = [one[:0] if hit[start + place] else one for place, one in enumerate(some)]
            for mine, theirs in known.candidates(_Pictures.of(left)).tolist():
                hit[start + mine] = hit[start + mine] or same_part(some[mine], block[theirs])
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


def same_part(one: Any, other: Any) -> bool:
    """Say whether two pictures show the same part, by their keypoints (KEYPOINT).

    >>> same_part(np.zeros(9, KEYPOINT), np.zeros(0, KEYPOINT))
    False
    """
    begun, ended = _places(one), _places(other)
    here, there = one["level"] != TEXT, other["level"] != TEXT
    mine, theirs = _nearest(one[here], other[there])
    moved = _moved(one[here][mine], other[there][theirs], begun[here][mine], ended[there][theirs])
    if moved is None or moved.right.sum() < _FEWEST:
        return False
    right = begun[here][mine][moved.right], ended[there][theirs][moved.right]
    if any(_area(some) < _LEAST_PART * _area(places) for some, places in zip(right, (begun, ended), strict=True)):
        return False
    return _everywhere((begun * moved.times + moved.by, here), (ended, there), right[1])


def _area(places: Any) -> float:
    """Return the area of what lies around places."""
    return float(np.ptp(places.real) * np.ptp(places.imag))


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


def _everywhere(one: tuple[Any, Any], other: tuple[Any, Any], right: Any) -> bool:
    """Say whether keypoints are right in most places where both pictures have some, or one has text.

    Args:
        one: places of the keypoints and marks of one picture, in the other; and which are keypoints.
        other: those of the other; and which are keypoints.
        right: places of the keypoints that are right.
    """
    ends = [(places.real.min(), places.imag.min(), places.real.max(), places.imag.max()) for places, _ in (one, other)]
    left, top = (max(ends[0][side], ends[1][side]) for side in (0, 1))
    last, bottom = (min(ends[0][side], ends[1][side]) for side in (2, 3))
    size = max(last - left, bottom - top) / _CELLS + 1e-9

    def cells(places: Any) -> Any:
        within = (places.real >= left) & (places.real <= last) & (places.imag >= top) & (places.imag <= bottom)
        some = places[within]
        numbers = np.floor((some.imag - top) / size) * _CELLS + np.floor((some.real - left) / size)
        return np.bincount(numbers.astype(np.int64), minlength=_CELLS * _CELLS)

    full = np.ones(_CELLS * _CELLS, bool)
    for places, keypoint in (one, other):
        full &= cells(places[keypoint]) >= _IN_A_CELL
    for places, keypoint in (one, other):
        full |= cells(places[~keypoint]) > 0
    return bool((full & (cells(right) > 0)).sum() >= max(1, _EVERYWHERE * full.sum()))

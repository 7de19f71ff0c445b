"""The verifier's own search for near copies of what is protected: a sample of these texts, in all that was written.

Of each text a few places are chosen, spread over it: what stands around a space there, some signs to each side. Records
with the same at any space are compared with the text, word by word, by the similarity of docs/corpus.md, written here
once more. A change of a few words leaves one of the places as it was.

The stage finds a near copy where both texts share a band, and misses some by design (its recall is known). So what is
found here is a violation if the two share a band, or are so much alike that sharing none is as good as impossible; else
it is counted and shown. Records out of which a name or handle was taken are left out, since what was compared there is
not what was written. A record that says a passage of such a text, in the middle of other words, is noted too; who said
that first is asked elsewhere (:mod:`demur.corpus.verify_passages`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from demur.corpus.passages import lengths
from demur.corpus.similarity import BANDS, ROWS, WORDS_ALONE, measure
from demur.corpus.verify_spaces import Spaced

PLACES = 4
"""Of a text that are looked for."""
BEFORE, AFTER = 8, 16
"""Bytes on each side of a space that must be the same, case aside: about four words."""
MOST_COMPARED = 20_000
"""Pairs that are compared, at most: a phrase that stands everywhere costs no more."""
NEVER = 1e-12
CERTAIN: float = (1 - NEVER ** (1 / BANDS)) ** (1 / ROWS)
"""Two texts that have so much of their pairs of words in common share no band as often as NEVER says."""
_LEFT_OUT = ("<NAME>", "<HANDLE>")
_PLACEHOLDER = re.compile(r"<[A-Z_]{2,10}>")
_WORD = re.compile(r"[^\W_]+")
_SIGN_BITS = 18
_LAST = np.uint64(64 - _SIGN_BITS)
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_LOWER = np.uint64(0x2020202020202020)
"""Makes capitals small, in eight bytes at once; of other signs it makes something too, the same everywhere."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text that count, and the pairs of neighbours."""

    row: tuple[str, ...]
    """As they stand."""
    number: int
    words: frozenset[str]
    pairs: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, text: str) -> Words:
        """Cut a text: case-folded, without punctuation and placeholders."""
        found = _WORD.findall(_PLACEHOLDER.sub(" ", text).casefold())
        return cls(tuple(found), len(found), frozenset(found), frozenset(pairwise(found)))

    def runs(self, size: int) -> set[tuple[str, ...]]:
        """Return all runs of so many words."""
        return {self.row[at : at + size] for at in range(self.number - size + 1)}

    def like(self, other: Words) -> float:
        """Return what both have of the words and pairs that either has; of words alone where one is short."""
        shorter = min(self.number, other.number)
        mine, theirs = (
            one.words if shorter in WORDS_ALONE else one.words | one.pairs  # a word is no pair
            for one in (self, other)
        )
        return len(mine & theirs) / len(mine | theirs) if shorter else 0.0

    def paired(self, other: Words) -> float:
        """Return what both have of the pairs alone."""
        return len(self.pairs & other.pairs) / max(1, len(self.pairs | other.pairs))


class Near:
    """Finds near copies of some texts.

    Args:
        texts: protected ones, as they are compared.
        threshold: least similarity of a near copy.
        copy_min_words: shorter texts belong to nobody.
    """

    def __init__(self, texts: Sequence[str] = (), threshold: float = 1.0, copy_min_words: int = 0) -> None:
        self._texts = sorted(set(texts))
        self._words = [Words.of(text) for text in self._texts]
        self._threshold, self._copy_min_words = threshold, copy_min_words
        self.said: set[tuple[str, ...]] = set()
        """Passages of these texts that records say."""
        self._left = MOST_COMPARED
        self.found = 0
        """Records that should not be there."""
        self.unmet = 0
        """Records as much alike as near copies are, that share no band with the text."""
        spaced = Spaced.of(pa.array(self._texts, pa.string()))
        signs = _signs(spaced)
        places = _chosen(spaced, signs)
        owners, keys = spaced.rows(spaced.spaces[places]), _keys(spaced.body, spaced.spaces[places])
        order = np.lexsort((owners, keys))
        self._owners, self._keys = owners[order], keys[order]
        self._signs, self._coarse = np.zeros((2, 1 << _SIGN_BITS), bool)
        self._signs[signs[places]] = True
        self._coarse[keys >> _LAST] = True
        self.sought = len(np.unique(owners))
        """How many texts are looked for: those that are long enough to have places."""

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return self.sought > 0

    def look(self, texts: Any, spaced: Spaced) -> None:
        """Look through the texts of some records, an Arrow array, with their spaces."""
        spaces = spaced.spaces[np.flatnonzero(self._signs.take(_signs(spaced)))]
        keys = _keys(spaced.body, spaces)
        near = np.flatnonzero(self._coarse.take((keys >> _LAST).view(np.int64)))
        spaces, keys = spaces[near], keys[near]
        begins, ends = (np.searchsorted(self._keys, keys, side) for side in ("left", "right"))
        counts = ends - begins
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        owners = self._owners[np.repeat(begins, counts) + within]
        rows = np.repeat(spaced.rows(spaces), counts)
        pairs = np.unique(rows * len(self._texts) + owners)[: self._left]
        self._left -= len(pairs)
        rows, owners = np.divmod(pairs, max(1, len(self._texts)))
        firsts = np.flatnonzero(np.diff(rows, prepend=-1))
        for row, some in zip(rows[firsts].tolist(), np.split(owners, firsts[1:]), strict=True) if len(rows) else ():
            self._compare(texts[row].as_py(), some.tolist())

    def _compare(self, text: str, owners: list[int]) -> None:
        if any(one in text for one in _LEFT_OUT):
            return
        words = Words.of(text)
        if words.number < self._copy_min_words:
            return
        for one in owners:
            self._note(words, self._words[one])
        alike = [one for one in owners if words.like(self._words[one]) >= self._threshold]
        if not alike:
            return
        certain = any(words.paired(self._words[one]) >= CERTAIN for one in alike)
        if certain or _meets(text, [self._texts[one] for one in alike]):
            self.found += 1
        else:
            self.unmet += 1

    def _note(self, words: Words, other: Words) -> None:
        allowed = lengths(self._copy_min_words)
        size = min(other.number, allowed[-1])
        if size in allowed:
            self.said |= words.runs(size) & other.runs(size)


def _meets(text: str, others: list[str]) -> bool:
    """Say whether a text shares a band with one of some others."""
    bands = measure(pa.array([text, *others])).bands
    return bool(np.any(bands[0] == bands[1:]))


def _chosen(spaced: Spaced, signs: Any) -> Any:
    """Return which spaces are looked for: in each quarter of a text the one between the rarest signs."""
    rows = spaced.rows(spaced.spaces)
    begins, ends = spaced.places[rows], spaced.places[rows + 1] - 1
    inside = np.flatnonzero((spaced.spaces - BEFORE >= begins) & (spaced.spaces + AFTER < ends))
    around = spaced.body[spaced.spaces[inside, None] + np.arange(-BEFORE, AFTER + 1)]
    inside = inside[~np.any((around == ord("<")) | (around == ord(">")), axis=1)]  # a placeholder is no word
    begins, ends, spaces = begins[inside], ends[inside], spaced.spaces[inside]
    quarter = rows[inside] * PLACES + PLACES * (spaces - begins) // np.maximum(ends - begins, 1)
    often = np.bincount(signs, minlength=1 << _SIGN_BITS)[signs[inside]]
    order = np.lexsort((spaces, signs[inside], often, quarter))
    first = np.ones(len(order), bool)
    first[1:] = quarter[order][1:] != quarter[order][:-1]
    return inside[order[first]]


def _signs(spaced: Spaced) -> Any:
    """Return a number for the two bytes on each side of all spaces, case aside."""
    found = spaced.body.take(spaced.spaces - 2).astype(np.uint32)
    for byte in (spaced.before, spaced.after, spaced.body.take(spaced.spaces + 2)):
        found <<= np.uint32(8)
        found |= byte
    found |= np.uint32(0x20202020)
    found *= np.uint32(0x9E3779B1)
    found >>= np.uint32(32 - _SIGN_BITS)
    return found.view(np.int32)


def _keys(body: Any, spaces: Any) -> Any:
    """Return a number for all bytes around some spaces that must be the same, case aside."""
    eights: Any = np.ndarray((len(body) - 7,), "<u8", body, strides=(1,))  # from each place on; nothing is copied
    found = np.zeros(len(spaces), np.uint64)
    for far in (-BEFORE, 1, 9):
        found ^= eights[spaces + far] | _LOWER
        found *= _FACTOR
        found ^= found >> np.uint64(32)
    return found

"""Texts as names are compared, and which of many texts may say one: all of them at once, as numbers.

A word is a run of letters and figures of a folded text. Its number is the sum of the numbers of its signs, so that a
sign that folds to several (``ß``) or to nothing (an accent) counts for what it folds to, without folding a text. Other
words of the same signs have the same number, so that what is found here has to be looked at.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

RUN = re.compile(r"[^\W_]+")
"""A word of a folded text."""
_LETTERS = {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "ı": "i", "ħ": "h", "ŧ": "t", "æ": "ae", "œ": "oe", "þ": "th"}
"""Letters that are no letter with an accent, as people write them who lack them."""
_APOSTROPHES = frozenset("'’‘ʼ`´′＇")
_FOLDED = ((0x00, 0x3041), (0xA640, 0xAC00), (0xFB00, 0x10600), (0x11000, 0x12000), (0x16E00, 0x17000),
           (0x1D400, 0x1F200))  # fmt: skip
"""Blocks with letters that have a case or an accent, and with dashes, blanks and apostrophes."""
_LETTERS_END = 0x40000
"""No letter or figure stands behind it, in Unicode 17."""
_ROWS, _BYTES = 4_096, 4_000_000
"""Texts that are looked at together, as far as there are no longer ones: their numbers stay near the processor."""
_BORDER, _MARK, _MIXED = 0, 1, 2
"""Numbers of what is no part of a word, of what folds to nothing, and of what has to be looked at."""
_SIZES = (1 << 12, 1 << 26)
_ASCII = 0x7F
LONGEST = 4
"""Letters of a beginning, at most."""
_SPARSE = 64
"""Places of a table for each number that is looked for."""

Numbers = npt.NDArray[np.uint32]


def folded(text: str) -> str:
    """Return a text as names are compared: small, without accents; dashes, underscores and all spaces are blanks."""
    return text.translate(folding())


@lru_cache(maxsize=1)
def folding() -> dict[int, str]:
    """Return what each sign becomes, but for those that stay."""
    signs = (chr(point) for first, end in _FOLDED for point in range(first, end))
    pairs = ((sign, _folded(sign)) for sign in signs)
    return {ord(sign): plain for sign, plain in pairs if plain != sign}


def _folded(sign: str) -> str:
    if sign.isspace() or sign == "_" or unicodedata.category(sign) == "Pd":
        return " "
    if sign in _APOSTROPHES:
        return "'"
    split = unicodedata.normalize("NFKD", sign.casefold()).casefold().replace("_", " ")
    return "".join(_LETTERS.get(one, one) for one in split if not unicodedata.combining(one))


def apart(text: str) -> str:
    """Return a folded text in which signs that stand for letters, as ``™``, are blanks: a name may end beside one.

    >>> folded("Müller™ ⒶⓂ"), apart("Müller™ ⒶⓂ")
    ('mullertm am', 'muller    ')
    """
    return text.translate(_folding_apart())


@lru_cache(maxsize=1)
def _folding_apart() -> dict[int, str]:
    return {point: " " if _is_emblem(point, plain) else plain for point, plain in folding().items()}


def _is_emblem(point: int, plain: str) -> bool:
    """Say whether a sign is no letter and no figure, and is compared as some."""
    return not chr(point).isalnum() and any(map(str.isalnum, plain))


class WordSieve:
    """Says of many texts at once which may hold a word or two words side by side; a few others pass too.

    Args:
        pairs: two words of a folded text each.
        alone: words of a folded text.
        begun: what one word begins with, or two side by side: ``LONGEST`` letters each, at most.
        short: all words that begin with fewer letters of these and are looked for.
    """

    def __init__(
        self,
        pairs: Iterable[tuple[str, str]],
        alone: Iterable[str],
        begun: Iterable[tuple[str, ...]] = (),
        short: Iterable[str] = (),
    ) -> None:
        told = list(pairs)
        self._pairs = _Among(_beside(*(_numbers([pair[place] for pair in told]) for place in (0, 1))))
        self._alone = _Among(_numbers(list(alone)))
        self._short = _Among(_numbers(list(short)))
        by_size: dict[tuple[int, ...], list[tuple[str, ...]]] = {}
        for one in begun:
            by_size.setdefault(tuple(map(len, one)), []).append(one)
        self._first = {
            size: _Among(_numbers([one[0] for sizes, some in by_size.items() if sizes[0] == size for one in some]))
            for size in sorted({sizes[0] for sizes in by_size})
        }
        self._begun = {
            sizes: _Among(_beside(*(_numbers([one[place] for one in some]) for place in (0, 1))))
            for sizes, some in sorted(by_size.items())
            if len(sizes) > 1
        }
        self._single = frozenset(sizes[0] for sizes in by_size if len(sizes) == 1)

    def rows(self, texts: Any) -> npt.NDArray[np.bool_]:
        """Say for each text of an Arrow string array, of one chunk, whether it may hold one; not for null."""
        found = np.zeros(len(texts), bool)
        for begin, rows in _pieces(texts):
            found[begin + self._found(pc.fill_null(texts.slice(begin, rows), ""))] = True
        return found

    def _found(self, texts: Any) -> npt.NDArray[np.int64]:
        words, starts, mixed, letters = _words(_signs(texts))
        hits = [mixed, starts[self._alone.places(words)], starts[self._pairs.places(_beside(words[:-1], words[1:]))]]
        hits += [starts[some] for some in self._beginning(letters, words)]
        ends = np.cumsum(pc.utf8_length(texts).to_numpy() + 1)
        return np.searchsorted(ends, np.concatenate(hits), side="right")

    def _beginning(self, letters: _Letters, words: Numbers) -> Iterator[npt.NDArray[np.int64]]:
        """Yield the places of words that begin as one that is looked for, or as the first of two such."""
        for size, first in self._first.items():
            found = first.places(letters.beginning(size))
            if size < LONGEST:
                found = found[self._short.places(words[found])]
            if size in self._single:
                yield found
            found = found[: np.searchsorted(found, len(words) - 1)]
            one = letters.beginning(size)[found]
            for (here, there), both in self._begun.items():
                if here == size:
                    two = found[both.places(_beside(one, letters.beginning(there)[found + 1]))]
                    yield two if there == LONGEST else two[self._short.places(words[two + 1])]


class _Among:
    """Finds a few numbers among many."""

    def __init__(self, wanted: Numbers) -> None:
        self._wanted = np.unique(wanted)
        size = min(max(_SPARSE * len(self._wanted), _SIZES[0]), _SIZES[1])
        self._shift = np.uint32(33 - size.bit_length())
        self._table = np.zeros(1 << (32 - int(self._shift)), bool)
        self._table[self._wanted >> self._shift] = True

    def places(self, numbers: Numbers) -> npt.NDArray[np.int64]:
        """Return the places of those that are wanted."""
        places = np.flatnonzero(self._table[numbers >> self._shift])
        found = np.searchsorted(self._wanted, numbers[places])
        return places[self._wanted.take(found, mode="clip") == numbers[places]] if len(places) else places


def _pieces(texts: Any) -> Iterator[tuple[int, int]]:
    """Yield where pieces of some texts begin, and how many texts each has: one at least."""
    ends = np.cumsum(pc.fill_null(pc.binary_length(texts), 0).to_numpy(zero_copy_only=False), dtype=np.int64)
    begin = 0
    while begin < len(ends):
        held = ends[begin - 1] if begin else 0
        rows = min(_ROWS, max(1, int(np.searchsorted(ends, held + _BYTES, "right")) - begin))
        yield begin, rows
        begin += rows


def _signs(texts: Any) -> Numbers:
    """Return the code points of texts, a line feed behind each."""
    lines = pa.ListArray.from_arrays(pa.array([0, len(texts) + 1], pa.int32()), pa.concat_arrays([texts, _NOTHING]))
    joined = pc.binary_join(lines, "\n")[0].as_py()
    return np.frombuffer(joined.encode("utf-32-le"), np.uint32)


_NOTHING = pa.array([""], pa.string())


class _Letters:
    """The letters that words begin with.

    Args:
        values: number of each letter, nothing where there is none.
        starts: where a word begins.
    """

    def __init__(self, values: Numbers, starts: npt.NDArray[np.int64]) -> None:
        self._values, self.starts = values, starts
        self._known: dict[int, Numbers] = {}

    def beginning(self, size: int) -> Numbers:
        """Return the numbers of so many first letters; anything for a word that has fewer."""
        if size not in self._known:
            before = self.beginning(size - 1) if size > 1 else np.uint32(0)
            self._known[size] = before + self._values.take(self.starts + (size - 1), mode="clip")
        return self._known[size]

    def spell_out(self, signs: Numbers) -> None:
        """Put in the letters of words with signs that stand for several (``ß``), or for none, as an accent."""
        high = np.flatnonzero(signs > _ASCII)
        others = high[_sizes()[signs[high]] != 1]
        few = np.unique(np.searchsorted(self.starts, others, side="right") - 1)
        few = few[few >= 0]
        if not len(few):
            return
        lengths = np.append(self.starts[1:], len(signs))[few] - self.starts[few]
        begins = np.cumsum(lengths) - lengths
        here = np.arange(int(lengths.sum())) + np.repeat(self.starts[few] - begins, lengths)
        told = signs[here]
        sizes = _sizes()[told].astype(np.int64)
        at = np.cumsum(sizes) - sizes
        letters = np.repeat(self._values[here], sizes)
        for place in np.flatnonzero(sizes > 1).tolist():
            letters[at[place] : at[place] + sizes[place]] = _several()[int(told[place])]
        spelled = _Letters(letters, at[begins])
        for size in range(1, LONGEST + 1):
            self.beginning(size)[few] = spelled.beginning(size)


def _words(signs: Numbers) -> tuple[Numbers, npt.NDArray[np.int64], npt.NDArray[np.int64], _Letters]:
    """Return the numbers of the words, where each begins, where signs stand that are a part of a word and not, letters.

    Those are of as many words, whether a sign stands for one letter, several or none.
    """
    values = _values()[signs]
    inside = values != _BORDER
    starts = np.flatnonzero(inside[1:] > inside[:-1]) + 1
    starts = np.concatenate([[0], starts]) if inside[0] else starts
    mixed, marks = (np.flatnonzero(values == kind) for kind in (_MIXED, _MARK))
    values[marks] = 0
    words: Numbers = np.add.reduceat(values, starts, dtype=np.uint32) if len(starts) else values[:0]
    if len(marks):  # a word of nothing else is none: those beside it stand side by side
        said = np.add.reduceat(values != 0, starts, dtype=np.int32) > 0
        words, starts = words[said], starts[said]
    letters = _Letters(values, starts)
    letters.spell_out(signs)
    return words, starts, mixed, letters


def _numbers(words: Sequence[str]) -> Numbers:
    """Return the numbers of folded words."""
    if not words:
        return np.zeros(0, np.uint32)
    sizes = np.fromiter(map(len, words), np.int64, len(words))
    signs = _plain()[np.frombuffer("".join(words).encode("utf-32-le"), np.uint32)]
    numbers: Numbers = np.add.reduceat(signs, np.cumsum(sizes) - sizes, dtype=np.uint32)
    return numbers


def _beside(first: Numbers, second: Numbers) -> Numbers:
    """Return the numbers of two words side by side."""
    return first * np.uint32(0x9E3779B1) + second


@lru_cache(maxsize=1)
def _plain() -> Numbers:
    """Return the number of each sign of a folded text."""
    mixed = np.arange(_LETTERS_END, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ mixed >> np.uint64(32)) * np.uint64(0xD6E8FEB86659FD93)
    return (mixed >> np.uint64(32)).astype(np.uint32) | np.uint32(4)


@lru_cache(maxsize=1)
def _several() -> dict[int, Numbers]:
    """Return the numbers of the letters of each sign that stands for several."""
    found = {point: [ord(sign) for sign in signs if sign.isalnum()] for point, signs in folding().items()}
    return {point: _plain()[letters] for point, letters in found.items() if len(letters) > 1}


@lru_cache(maxsize=1)
def _sizes() -> npt.NDArray[np.uint8]:
    """Return how many letters each sign of Unicode stands for; one for what is no part of a word."""
    sizes = np.ones(0x110000, np.uint8)
    sizes[_values() == _MARK] = 0
    for point, letters in _several().items():
        sizes[point] = len(letters)
    return sizes


@lru_cache(maxsize=1)
def _values() -> Numbers:
    """Return the number of each sign of Unicode, or what it is instead."""
    values = np.zeros(0x110000, np.uint32)
    letters = np.array([chr(point).isalnum() for point in range(_LETTERS_END)])
    values[:_LETTERS_END] = np.where(letters, _plain(), _BORDER)
    for point, signs in folding().items():
        kinds = {sign.isalnum() for sign in signs}
        number = _plain()[[ord(sign) for sign in signs]].sum(dtype=np.uint32) if signs else _MARK
        looked_at = len(kinds) > 1 or _is_emblem(point, signs)
        values[point] = _BORDER if kinds == {False} else _MIXED if looked_at else number
    return values

"""A batch of texts as one row of signs, with classes, tokens and words: what filters count (docs/filters.md).

Everything is numpy over Arrow's buffers. Classes come from Unicode 3.2, which every Python carries beside its own
version: a letter stays a letter when Python is updated. What is newer than 3.2 is a picture or symbol by its block,
else a letter, so that a script added later is never thrown away as symbols.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]
Codes = npt.NDArray[np.uint32]
Hashes = npt.NDArray[np.uint64]

SPACE, UPPER, LOWER, LETTER, DIGIT, MARK, SYMBOL, PICTURE = range(8)
"""Classes of signs. ``LETTER`` has no case; ``SYMBOL`` is punctuation and all that is left."""
KINDS = 8

CHUNK_ROWS = 1_024
CHUNK_BYTES = 1 << 20
"""A chunk is a matter of memory only: no answer depends on it."""

_LAST = 0x1FFFF
_PICTURES = (
    (0x00A9, 0x00A9), (0x00AE, 0x00AE), (0x200D, 0x200D), (0x203C, 0x203C), (0x2049, 0x2049), (0x20E3, 0x20E3),
    (0x2122, 0x2122), (0x2190, 0x21FF), (0x2300, 0x23FF), (0x25A0, 0x27BF), (0x2900, 0x297F), (0x2B00, 0x2BFF),
    (0xFE00, 0xFE0F), (0x1F000, 0x1FAFF),
)  # fmt: skip
"""Blocks of pictures: emoji, arrows, dingbats, their joiner and selectors (UTS #51, blocks of emoji characters)."""
_CLASSES = {"Lu": UPPER, "Lt": UPPER, "Ll": LOWER, "Lo": LETTER, "Lm": LETTER, "Nd": DIGIT, "Nl": DIGIT, "No": DIGIT,
            "Mn": MARK, "Mc": MARK, "Me": MARK, "Zs": SPACE, "Zl": SPACE, "Zp": SPACE, "Cn": LETTER}  # fmt: skip
_LETTERS = np.isin(np.arange(KINDS), [UPPER, LOWER, LETTER, MARK])
_PRIME = 0x100000001B3
_INVERSE = pow(_PRIME, -1, 1 << 64)


@dataclass(frozen=True, slots=True)
class Spans:
    """Stretches of signs, such as words: where each begins and ends, and which text holds it."""

    starts: Ints
    ends: Ints
    rows: Rows


@dataclass(frozen=True, slots=True)
class Signs:
    """The texts of one chunk, one after another, a code point each."""

    codes: Codes
    kinds: npt.NDArray[np.uint8]
    rows: Rows
    """Text of each sign."""
    starts: Ints
    """[texts + 1]: where each text begins."""

    @property
    def edges(self) -> Ints:
        """Where a text ends and another one begins."""
        return self.starts[
            np.searchsorted(self.starts, 0, side="right") : np.searchsorted(self.starts, len(self.codes))
        ]

    def per_text(self, chosen: Flags) -> Ints:
        """Return how many chosen signs each text has."""
        counts = np.zeros(len(self.starts) - 1, np.int64)
        full = np.flatnonzero(np.diff(self.starts))
        if len(full):
            counts[full] = np.add.reduceat(chosen.view(np.uint8), self.starts[full], dtype=np.int32)
        return counts


@dataclass(frozen=True, slots=True)
class Marks:
    """What is no writing of the author's own: links, handles, hashtags, placeholders of redaction."""

    letters: Flags
    """[signs]: letters and what is written on them."""
    outside: Flags
    """[signs]: blanks and references."""
    tokens: Spans
    """Stretches without blanks."""
    is_reference: Flags
    """[tokens]"""
    references: Ints
    """[texts]: how many tokens are references."""
    tags: Ints
    """[texts]: hashtags and links."""
    tokens_no_handles: Ints
    """[texts]"""
    solid: Ints
    """[texts]: signs that are no blanks."""
    inner: Ints
    """[texts]: signs of the author's own that are no pictures."""
    inner_letters: Ints
    """[texts]"""


def whole(strings: Any) -> Any:
    """Return a plain array of strings where a table's column comes in chunks, or without a type as all is null."""
    plain = strings.combine_chunks() if isinstance(strings, pa.ChunkedArray) else strings
    return plain.cast(pa.string()) if pa.types.is_null(plain.type) else plain


def chunks(texts: Any) -> Iterator[tuple[int, Any]]:
    """Yield the place and the rows of each chunk of an Arrow string array, bounded in rows and bytes."""
    sizes = np.asarray(pc.fill_null(pc.binary_length(texts), 0)).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(sizes)])
    at = 0
    while at < len(texts):
        end = int(np.searchsorted(total, total[at] + CHUNK_BYTES, side="right")) - 1
        end = max(at + 1, min(end, at + CHUNK_ROWS, len(texts)))
        yield at, texts.slice(at, end - at)
        at = end


def read(texts: Any) -> Signs:
    """Return an Arrow string array as signs; null counts as empty."""
    filled = pc.fill_null(texts.cast(pa.string()), "")
    sizes = pc.utf8_length(filled).to_numpy()
    starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
    codes = np.frombuffer("".join(filled.to_pylist()).encode("utf-32-le"), "<u4")
    rows = np.repeat(np.arange(len(filled), dtype=np.int32), sizes)
    return Signs(codes, classes().take(codes, mode="clip"), rows, starts)


def spans(signs: Signs, inside: Flags) -> Spans:
    """Return the longest stretches of signs that are all inside, none of which crosses from text to text."""
    before, after = np.zeros_like(inside), np.zeros_like(inside)
    before[1:], after[:-1] = inside[:-1], inside[1:]
    edges = signs.edges
    before[edges], after[edges - 1] = False, False
    starts = np.flatnonzero(inside > before)
    return Spans(starts, np.flatnonzero(inside > after) + 1, signs.rows[starts])


def mark(signs: Signs) -> Marks:
    """Tell references from the author's own signs."""
    codes, kinds = signs.codes, signs.kinds
    letters = _LETTERS.take(kinds)
    solid = kinds != SPACE
    tokens = spans(signs, solid)
    first, more = codes[tokens.starts], tokens.ends - tokens.starts > 1
    second = np.where(more, codes[np.minimum(tokens.starts + 1, max(len(codes) - 1, 0))], 0)
    placeholder = (first == ord("<")) & (second >= ord("A")) & (second <= ord("Z"))
    handle = more & (first == ord("@")) | placeholder & (second == ord("H"))
    tag = more & (first == ord("#")) | placeholder & (second == ord("U")) | _links(signs, tokens)
    reference = handle | tag | placeholder
    outside = ~solid
    outside[within(Spans(tokens.starts[reference], tokens.ends[reference], tokens.rows[reference]))[0]] = True
    rows = len(signs.starts) - 1
    return Marks(
        letters=letters,
        outside=outside,
        tokens=tokens,
        is_reference=reference,
        references=np.bincount(tokens.rows[reference], minlength=rows),
        tags=np.bincount(tokens.rows[tag], minlength=rows),
        tokens_no_handles=np.bincount(tokens.rows[~handle], minlength=rows),
        solid=signs.per_text(solid),
        inner=signs.per_text(~outside & (kinds != PICTURE)),
        inner_letters=signs.per_text(~outside & letters),
    )


def _links(signs: Signs, tokens: Spans) -> Flags:
    """Say which tokens are addresses: ``://`` after at most six signs, or ``www.``."""
    codes = signs.codes
    found = np.zeros(len(tokens.starts), bool)
    colons = np.flatnonzero(codes == ord(":"))
    colons = colons[colons + 2 < len(codes)]
    colons = colons[(codes[colons + 1] == ord("/")) & (codes[colons + 2] == ord("/"))]
    holder = np.searchsorted(tokens.starts, colons, side="right") - 1
    found[holder[colons - tokens.starts[holder] <= 6]] = True
    at = tokens.starts[tokens.ends - tokens.starts > 4]
    for step, sign in enumerate("www."):
        at = at[codes[at + step] | 0x20 == ord(sign) | 0x20]
    found[np.searchsorted(tokens.starts, at)] = True
    return found


def hashes(codes: Codes, words: Spans) -> Hashes:
    """Return a 64-bit hash of each word in lower case: a sum of its signs times powers of a prime, wrapping.

    The powers are those of places in the chunk, as a running sum; the inverse of a word's first makes them its own.
    """
    total = np.zeros(len(codes) + 1, np.uint64)
    mixed = _mixed_lower().take(codes, mode="clip")
    rare = np.flatnonzero(codes >= _LAST)
    mixed[rare] = _mixed(codes[rare].astype(np.uint64))
    size = 1 << len(codes).bit_length()
    np.cumsum(mixed * _powers(_PRIME, size)[: len(codes)], out=total[1:])
    found: Hashes = (total[words.ends] - total[words.starts]) * _powers(_INVERSE, size)[words.starts]
    return found


def _mixed(codes: Hashes) -> Hashes:
    mixed = codes * np.uint64(0x9E3779B97F4A7C15)
    return mixed ^ (mixed >> np.uint64(29))


@lru_cache(maxsize=1)
def _mixed_lower() -> Hashes:
    return _mixed(_lower().astype(np.uint64))


@lru_cache(maxsize=4)
def _powers(base: int, size: int) -> Hashes:
    powers = np.full(size, base, np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


def within(stretches: Spans) -> tuple[Ints, Ints, Ints]:
    """Return where each sign of the stretches is, its place in its stretch, and which of these begin a stretch."""
    sizes = stretches.ends - stretches.starts
    first: Ints = np.cumsum(sizes) - sizes
    place: Ints = np.arange(int(sizes.sum())) - np.repeat(first, sizes)
    return np.repeat(stretches.starts, sizes) + place, place, first


def lowered(codes: Codes) -> Codes:
    """Return the signs in lower case, one for one."""
    lower: Codes = np.where(codes <= _LAST, _lower()[np.minimum(codes, _LAST)], codes)
    return lower


@lru_cache(maxsize=1)
def classes() -> npt.NDArray[np.uint8]:
    """Return the class of each sign up to U+1FFFF; higher ones (rare ideographs) count as the last, a letter."""
    signs = map(chr, range(_LAST + 1))
    known = defaultdict(lambda: SYMBOL, _CLASSES)
    table = np.fromiter(map(known.__getitem__, map(unicodedata.ucd_3_2_0.category, signs)), np.uint8, _LAST + 1)
    for low, high in _PICTURES:
        table[low : high + 1] = PICTURE
    table[0x09:0x0E] = SPACE
    table[_LAST] = LETTER
    return table


@lru_cache(maxsize=1)
def _lower() -> Codes:
    table = np.arange(_LAST + 1, dtype=np.uint32)
    for code in np.flatnonzero(classes() == UPPER):
        small = chr(code).lower()
        table[code] = ord(small) if len(small) == 1 else code
    return table

"""The rules of quality on counted signs, each a function of one text among many (docs/filters.md)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from demur.corpus import quality_signs as sg
from demur.corpus.quality_signs import Flags, Hashes, Marks, Signs, Spans
from demur.corpus.quality_words import FUNCTION_WORDS


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The settings that the name stands for. Counts are of code points, shares between 0 and 1."""

    broken_signs: int = 3
    """Replacement characters, or pairs of letters that UTF-8 read as Latin-1 leaves, from which a text is broken."""
    stuffed_tags: int = 6
    stuffed_share: float = 0.65
    """Hashtags and links, and their share of all tokens that are no handles."""
    symbols_least: int = 16
    symbols_letters: float = 0.3
    """Below this share of letters among signs that are no pictures."""
    repeated_least: int = 20
    repeated_share: float = 0.6
    repeated_rest: int = 10
    """Signs that go on with a pattern of one to four signs; not when more than ``rest`` letters are left beside it."""
    words_least: int = 10
    words_most: int = 200
    words_distinct: float = 0.25
    """Share of different words; from ``most`` words on, of ``most``."""
    blob_length: int = 40
    blob_share: float = 0.5
    """Length of an unbroken ASCII token of letters and digits, and share of such tokens in all signs."""
    list_words: int = 30
    """Words without one function word of the text's language."""


def broken(signs: Signs, settings: Thresholds) -> Flags:
    """Say where signs were lost: U+FFFD, or UTF-8 read as Latin-1 or Windows-1252 (``Ã¼``, ``â€™``)."""
    codes, rows = signs.codes, signs.rows
    lost = codes == 0xFFFD
    tails = np.flatnonzero((codes >= 0x80) & (codes <= 0xBF) | (codes == 0x20AC))
    tails = tails[tails > 0]
    lost[tails] = np.isin(codes[tails - 1], _LEADS) & (rows[tails - 1] == rows[tails])
    few: Flags = signs.per_text(lost) >= settings.broken_signs
    return few


def stuffed(marks: Marks, settings: Thresholds) -> Flags:
    """Say where hashtags and links crowd the words out."""
    share = marks.tags >= settings.stuffed_share * marks.tokens_no_handles
    crowded: Flags = (marks.tags >= settings.stuffed_tags) & share
    return crowded


def symbols(marks: Marks, settings: Thresholds) -> Flags:
    """Say where there are hardly any letters: rows of figures, drawings in signs, tables."""
    few = marks.inner_letters < settings.symbols_letters * marks.inner
    drawn: Flags = (marks.inner >= settings.symbols_least) & few
    return drawn


def repeats_signs(signs: Signs, marks: Marks, settings: Thresholds) -> Flags:
    """Say where one to four signs are said three times and more, and little else: ``hahahahaha``, ``!!!!!!``."""
    codes, edges = signs.codes, signs.edges
    going_on = np.zeros(len(codes), bool)
    for period in range(1, 5):
        if len(codes) > 2 * period:
            same = codes[period:] == codes[:-period]
            again = same[period:] & same[:-period]
            across = np.add.outer(np.arange(-2 * period, 0), edges).ravel()  # a pattern begins in its own text
            again[across[(across >= 0) & (across < len(again))]] = False
            going_on[2 * period :] |= again
    solid = signs.kinds != sg.SPACE
    going_on &= solid
    total, repeated = marks.solid, signs.per_text(going_on)
    rest = signs.per_text(marks.letters & ~going_on & ~marks.outside)
    enough = (total >= settings.repeated_least) & (repeated >= settings.repeated_share * total)
    hollow: Flags = enough & (rest <= settings.repeated_rest)
    return hollow


def repeats_words(words: Spans, names: Hashes, signs: Signs, settings: Thresholds) -> Flags:
    """Say where the same few words come again and again."""
    texts = len(signs.starts) - 1
    counts = np.bincount(words.rows, minlength=texts)
    keys = np.sort(words.rows.astype(np.uint64) << _ROW | names >> _NAME)
    fresh = np.ones(len(keys), bool)
    fresh[1:] = keys[1:] != keys[:-1]
    distinct = np.bincount((keys[fresh] >> _ROW).astype(np.int64), minlength=texts)
    few = distinct <= settings.words_distinct * np.minimum(counts, settings.words_most)
    again: Flags = (counts >= settings.words_least) & few
    return again


def blob(signs: Signs, marks: Marks, settings: Thresholds) -> Flags:
    """Say where most of a text is machine code in letters: Base64, digests, keys."""
    tokens = marks.tokens
    sizes = tokens.ends - tokens.starts
    long = np.flatnonzero(~marks.is_reference & (sizes >= settings.blob_length))
    most = np.zeros(len(marks.solid), bool)
    if not len(long):
        return most
    some = Spans(tokens.starts[long], tokens.ends[long], tokens.rows[long])
    at, _, first = sg.within(some)
    codes = signs.codes[at]
    digits = (codes >= ord("0")) & (codes <= ord("9"))
    letters = (codes | 0x20 >= ord("a")) & (codes | 0x20 <= ord("z"))
    kinds = (digits | letters | np.isin(codes, _JOINTS), digits, letters)
    pure, figures, signs_of_words = (np.add.reduceat(kind, first, dtype=np.int64) for kind in kinds)
    coded = np.where((pure == sizes[long]) & (figures > 2) & (signs_of_words > 2), sizes[long], 0)
    total = np.bincount(some.rows, weights=coded, minlength=len(most))
    return (total > 0) & (total >= settings.blob_share * marks.solid)


def lists_words(words: Spans, names: Hashes, languages: Any, settings: Thresholds) -> Flags:
    """Say where a long text has no function word of its language."""
    known, table = _function_words()
    distinct = languages.dictionary_encode()
    places = np.array(
        [known.get((tag or "").split("-")[0].lower(), -1) for tag in distinct.dictionary.to_pylist()] + [-1], np.int64
    )
    language = places[np.asarray(distinct.indices.fill_null(len(places) - 1)).astype(np.int64)]
    counts = np.bincount(words.rows, minlength=len(language))
    asked = (language >= 0) & (counts >= settings.list_words)
    place = np.arange(len(words.rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    bare: Flags = asked
    for some in (place < _SOON, place >= _SOON):
        chosen = np.flatnonzero(some & bare[words.rows])
        rows = words.rows[chosen]
        keys = names[chosen] ^ _salt(language[rows])
        hit = table[np.minimum(np.searchsorted(table, keys), len(table) - 1)] == keys
        bare[rows[hit]] = False
    return bare


_LEADS = np.array([0xC2, 0xC3, 0xC4, 0xC5, 0xD0, 0xD1, 0xE2], np.uint32)
_ROW, _NAME = np.uint64(64 - 13), np.uint64(13)
assert sg.CHUNK_ROWS <= 1 << 13
"""A key is the text's place in its chunk and 51 bits of the word's hash."""
_SOON = 6
"""Words among which most texts have a function word: the others are asked only where it is not so."""
_JOINTS = np.array([ord(sign) for sign in "+/=_"], np.uint32)


def _salt(places: Any) -> Hashes:
    salted: Hashes = (places.astype(np.uint64) + np.uint64(1)) * np.uint64(0xA24BAED4963EE407)
    return salted


@lru_cache(maxsize=1)
def _function_words() -> tuple[dict[str, int], Hashes]:
    """Return the place of each language, and the sorted keys of all its function words."""
    import pyarrow as pa

    known = {language: place for place, language in enumerate(sorted(FUNCTION_WORDS))}
    signs = sg.read(pa.array([FUNCTION_WORDS[language] for language in known]))
    words = sg.spans(signs, sg.mark(signs).letters)
    keys = sg.hashes(signs.codes, words) ^ _salt(words.rows)
    return known, np.unique(keys)

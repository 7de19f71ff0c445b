"""One spelling for every text (NFC, nothing invisible, runs of blanks made one) and a folded view to search in.

Does not look for identifiers. The *view* of a text has the same length as the text (one character for one), so that a
span found in the view is a span of the text: full-width, circled and mathematical letters and digits become ASCII,
decimal digits of every script become 0-9, every dash becomes ``-`` and every space a plain one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_SIGNS = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\uffff\U0001d173-\U0001d17a\U000e0000-\U000e01ef"
)
"""Signs that show nothing: controls, soft hyphen, zero-width space, direction marks, fillers, tag characters, selectors
of variants, noncharacters."""

_INVISIBLE = re.compile(f"[{_SIGNS}]+")
_HIDING = re.compile(f"[{_SIGNS}\u200c\u200d]")
_AFTER = re.compile("([0-9A-Za-z@._+-])[\u200c\u200d]+")
_BEFORE = re.compile("(?<![\u200c\u200d])[\u200c\u200d]+([0-9A-Za-z@._+-])")
_ENTITY = re.compile(
    r"&(?:(?P<at>#0*64|#[xX]0*40|commat)|(?P<dot>#0*46|#[xX]0*2[eE]|period)|(?P<plus>#0*43|#[xX]0*2[bB]|plus)|"
    r"nbsp|#0*160|#[xX]0*[aA]0);"
)
_ENTITIES = {"at": "@", "dot": ".", "plus": "+", None: " "}
"""Signs that identifiers are made of, as HTML writes them."""
_DECKED = re.compile("(?:[0-9][\u0300-\u036f\ufe0e\ufe0f\u20d0-\u20ff]+[ .\\-/]?){5,}")
"""Digits in boxes, struck out or underlined, in a row."""
_DECK = re.compile("[\u0300-\u036f\ufe0e\ufe0f\u20d0-\u20ff]+")
_PILED = 32
"""Marks on one sign that stay: nobody writes more (UAX 15 §13), and ordering them takes the square of their number."""
_SCRIPTS = (
    (0xE00, 0xEFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007), (0x3040, 0x318F), (0x31F0, 0x31FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7AF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
"""Letters of scripts that put no blanks between words."""
_MIDDLE_DOTS = "\u00b7\u2022\u2027\u2219\u22c5"
_UNSPACED = re.compile(
    f"_+|[{''.join(f'{chr(first)}-{chr(last)}' for first, last in _SCRIPTS)}]+|(?<=[0-9])[{_MIDDLE_DOTS}](?=[0-9])"
)
"""What :func:`with_borders` looks at: underscores, such letters, and dots in the middle between digits."""
_MAY_BORDER = f"[_{_MIDDLE_DOTS}{''.join(f'{chr(first)}-{chr(last)}' for first, last in _SCRIPTS)}]"
_GAP = re.compile("[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]{2,}|\t")
_SPOTLESS = ((0x0, 0x2FF), (0x370, 0x1FFF), (0x2010, 0x2027), (0x2030, 0x205E), (0x20A0, 0x20BF), (0x2500, 0x27BF),
             (0x2B00, 0x2BFF), (0xFE0E, 0xFE0F), (0x1F000, 0x1FAFF))  # fmt: skip
"""Blocks of which most signs are in one spelling already, emoji among them."""
_DASHES = "\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d"
_FOLD_RANGES = ((0x80, 0x3400), (0xFE00, 0x10000), (0x1D400, 0x1D800), (0x1F100, 0x1F200), (0x1FBF0, 0x1FBFA))
_DIGIT_RANGES = ((0x80, 0x3400), (0xA000, 0xB000), (0x10000, 0x20000))


def normalise_batch(texts: Any) -> Any:
    """Return a string array in one spelling: :func:`normalise` on every row that may need it.

    Args:
        texts: Arrow string array; nulls stay null.
    """
    asked = pc.fill_null(pc.match_substring_regex(texts, pattern=_suspect()), fill_value=False)
    if not pc.any(asked).as_py():
        return texts
    return pc.replace_with_mask(texts, asked, pa.array(map(normalise, texts.filter(asked).to_pylist()), pa.string()))


def normalise(text: str) -> str:
    """Return one text in one spelling.

    Joiners (U+200C, U+200D) stay inside emoji and scripts that need them, and go beside ASCII, where they only hide.
    """
    text = _shown(_composed(text))
    if not text.isascii():
        text = _shown(_DECKED.sub(lambda row: _DECK.sub("", row.group()), text))
    return _shown(_ENTITY.sub(lambda entity: _ENTITIES[entity.lastgroup], text)) if "&" in text else text


def _shown(text: str) -> str:
    """Return a text without what shows nothing, runs of blanks made one."""
    if _HIDING.search(text):
        text = _composed(_INVISIBLE.sub("", text))
        text = _composed(_BEFORE.sub(r"\1", _AFTER.sub(r"\1", text)))
    return _GAP.sub(" ", text)


def _composed(text: str) -> str:
    """Return a text in NFC; of marks that pile up on one sign the first ones."""
    if text.isascii():
        return text
    text = _piled().sub(r"\1", text)
    if unicodedata.is_normalized("NFC", text):
        return text
    return _piled().sub(r"\1", unicodedata.normalize("NFC", text))  # one mark may be two in NFC


@lru_cache(maxsize=1)
def _piled() -> re.Pattern[str]:
    marks = "".join(chr(point) for point in range(0x300, 0x20000) if unicodedata.combining(chr(point)))
    return re.compile(f"([{marks}]{{{_PILED}}})[{marks}]+")


def view(text: str) -> str:
    """Return the folded view of a normalised text, character for character."""
    return text if text.isascii() else text.translate(_folding())


def may_have_borders(views: Any) -> Any:
    """Say which views :func:`with_borders` may change; an Arrow boolean array."""
    return pc.fill_null(pc.match_substring_regex(views, pattern=_MAY_BORDER), fill_value=False)


def with_borders(seen: str) -> str:
    """Return a view in which what stands around an identifier is no part of it, sign for sign.

    Underscores around words are emphasis (``_12345678Z_``), those inside them stay; scripts without blanks
    (``我的12345678Z号码``) are no letters of ours.
    """
    return _UNSPACED.sub(_border, seen)


def _border(run: re.Match[str]) -> str:
    start, end = run.span()
    if run.group() in _MIDDLE_DOTS:
        return "."
    if run.group()[0] == "_" and run.string[start - 1 : start].isalnum() and run.string[end : end + 1].isalnum():
        return run.group()
    return "\uffff" * (end - start)


def view_batch(texts: Any) -> Any:
    """Return the folded views of a batch; rows without anything to fold are the texts themselves."""
    folded = pc.fill_null(pc.match_substring_regex(texts, pattern=_foldable()), fill_value=False)
    if not pc.any(folded).as_py():
        return texts
    return pc.replace_with_mask(texts, folded, pa.array(map(view, texts.filter(folded).to_pylist()), pa.string()))


@lru_cache(maxsize=1)
def _suspect() -> str:
    """Return a pattern (RE2) for rows that may not be in one spelling already; a test holds it against normalise."""
    odd = {
        point
        for first, last in _SPOTLESS
        for point in range(first, last + 1)
        if not unicodedata.is_normalized("NFC", chr(point))
        or (unicodedata.category(chr(point))[0] == "M" and point not in {0xFE0E, 0xFE0F})
        or 0x1100 <= point <= 0x11FF  # Hangul letters that join
        or _INVISIBLE.match(chr(point))
    }
    inside = "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in _SPOTLESS)
    more = r"[0-9][\x{fe0e}\x{fe0f}]|&(?:#|nbsp|commat|period|plus)"
    return rf"\t|{_ranges(odd)}|[^{inside}]|{more}|[ \x{{a0}}\x{{1680}}][ \x{{a0}}\x{{1680}}]"


def _ranges(points: Collection[int]) -> str:
    """Return the RE2 class of some signs."""
    known = set(points)
    starts = sorted(point for point in known if point - 1 not in known)
    ends = sorted(point for point in known if point + 1 not in known)
    return "[" + "".join(f"\\x{{{a:x}}}-\\x{{{b:x}}}" for a, b in zip(starts, ends, strict=True)) + "]"


@lru_cache(maxsize=1)
def _foldable() -> str:
    """Return the RE2 class of all signs that the folding changes."""
    return _ranges(_folding())


@lru_cache(maxsize=1)
def _folding() -> dict[int, str]:
    table: dict[int, str] = {}
    for first, end in _FOLD_RANGES:
        for point in range(first, end):
            plain = unicodedata.normalize("NFKC", chr(point))
            if len(plain) == 1 and plain.isascii():
                table[point] = plain
    for first, end in _DIGIT_RANGES:
        for point in range(first, end):
            if chr(point).isdecimal():
                table[point] = str(unicodedata.decimal(chr(point)))
    table.update({ord(dash): "-" for dash in _DASHES})
    for point in (*range(0x2776, 0x277F), *range(0x2780, 0x2789), *range(0x278A, 0x2793)):
        table[point] = str(unicodedata.digit(chr(point)))
    table.update({0x2800: " ", 0x2028: " ", 0x2029: " ", 0x85: " ", 0x3002: ".", 0x2044: "/"})
    return table

"""One spelling for every text (NFC, nothing invisible, runs of blanks made one) and a folded view to search in.

Does not look for identifiers. The *view* of a text has the same length as the text (one character for one), so that a
span found in the view is a span of the text: full-width, circled and mathematical letters and digits become ASCII,
decimal digits of every script become 0-9, every dash becomes ``-`` and every space a plain one.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_SIGNS = (
    "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u206f\ufeff\ufff9-\uffff\U000e0000-\U000e007f"
)
"""Signs that show nothing: controls, soft hyphen, zero-width space, direction marks, tag characters, noncharacters."""

_INVISIBLE = re.compile(f"[{_SIGNS}]+")
_HIDING = re.compile(f"[{_SIGNS}\u200c\u200d]")
_AFTER = re.compile("([0-9A-Za-z@._+-])[\u200c\u200d]+")
_BEFORE = re.compile("[\u200c\u200d]+([0-9A-Za-z@._+-])")
_GAP = re.compile("[ \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]{2,}|\t")
_SUSPECT = (
    r"[\x{0}-\x{9}\x{b}\x{c}\x{e}-\x{1f}\x{7f}-\x{9f}\x{ad}]|[^\x{0}-\x{2ff}\x{370}-\x{1fff}\x{2010}-\x{2027}]|"
    r"[\x{37e}\x{387}\x{61c}\x{180e}\x{1100}-\x{11ff}\x{17b4}\x{17b5}\x{1f70}-\x{1fff}]|\p{M}|"
    r"[ \x{a0}\x{1680}][ \x{a0}\x{1680}]"
)
"""Rows that may not be in one spelling already (RE2): a superset, proved against :func:`normalise` by a test."""
_DASHES = "\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\uff0d"
_FOLD_RANGES = ((0x80, 0x3400), (0xFE00, 0x10000), (0x1D400, 0x1D800), (0x1F100, 0x1F200), (0x1FBF0, 0x1FBFA))
_DIGIT_RANGES = ((0x80, 0x3400), (0xA000, 0xB000), (0x10000, 0x20000))


def normalise_batch(texts: Any) -> Any:
    """Return a string array in one spelling: :func:`normalise` on every row that may need it.

    Args:
        texts: Arrow string array; nulls stay null.
    """
    asked = pc.fill_null(pc.match_substring_regex(texts, pattern=_SUSPECT), fill_value=False)
    if not pc.any(asked).as_py():
        return texts
    return pc.replace_with_mask(texts, asked, pa.array(map(normalise, texts.filter(asked).to_pylist()), pa.string()))


def normalise(text: str) -> str:
    """Return one text in one spelling.

    Joiners (U+200C, U+200D) stay inside emoji and scripts that need them, and go beside ASCII, where they only hide.
    """
    if not text.isascii() and not unicodedata.is_normalized("NFC", text):
        text = unicodedata.normalize("NFC", text)
    if _HIDING.search(text):
        text = unicodedata.normalize("NFC", _INVISIBLE.sub("", text))
        text = unicodedata.normalize("NFC", _BEFORE.sub(r"\1", _AFTER.sub(r"\1", text)))
    return _GAP.sub(" ", text)


def view(text: str) -> str:
    """Return the folded view of a normalised text, character for character."""
    return text if text.isascii() else text.translate(_folding())


def view_batch(texts: Any) -> Any:
    """Return the folded views of a batch; rows without anything to fold are the texts themselves."""
    folded = pc.fill_null(pc.match_substring_regex(texts, pattern=_foldable()), fill_value=False)
    if not pc.any(folded).as_py():
        return texts
    return pc.replace_with_mask(texts, folded, pa.array(map(view, texts.filter(folded).to_pylist()), pa.string()))


@lru_cache(maxsize=1)
def _foldable() -> str:
    """Return the RE2 class of all signs that the folding changes."""
    points = sorted(_folding())
    starts = [point for point in points if point - 1 not in _folding()]
    ends = [point for point in points if point + 1 not in _folding()]
    return "[" + "".join(f"\\x{{{a:x}}}-\\x{{{b:x}}}" for a, b in zip(starts, ends, strict=True)) + "]"


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
    table.update({0x2028: " ", 0x2029: " ", 0x85: " ", 0x3002: ".", 0x2044: "/"})
    return table

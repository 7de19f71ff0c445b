"""Keyed hashes of names and handles that no text may hold any more: found again without being kept (TPD-03, TPD-08).

A word is folded (case, accents) and hashed with a key; a name is two to five neighbouring words, their hashes mixed in
order. What is stored says nothing without the key. Because each word is hashed once and the mixing runs over whole
batches, looking for a hundred thousand names costs as much as looking for one.

Does not know who asked, and does not know inflections or misspellings.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

NAME = "name:"
HANDLE = "handle:"
MAX_WORDS = 5
"""Longer names are cut: their first five words count."""

_WORD = re.compile(r"[^\W\d_]+")
_TOKEN = re.compile(r"\w+(?:[.\-]\w+)*")
_BETWEEN = re.compile(r"[\s'’.\-]{1,3}")
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
Span = tuple[int, int]


def name_hash(key: bytes, name: str) -> str | None:
    """Return what a full name is stored as; ``None`` for fewer than two words, which are anybody's.

    >>> name_hash(b"k", "José Müller") == name_hash(b"k", "jose  muller")
    True
    >>> name_hash(b"k", "José") is None
    True
    """
    found = [_word(key, word.group()) for word in _WORD.finditer(name)][:MAX_WORDS]
    if len(found) < 2:
        return None
    hashes = np.array(found, np.uint64)
    return f"{NAME}{_windows(hashes, len(found))[0]:016x}"


def handle_hash(key: bytes, handle: str) -> str | None:
    """Return what a handle is stored as; ``None`` for plain words, which are anybody's without an ``@`` before them.

    >>> handle_hash(b"k", "@ana_90") == handle_hash(b"k", "Ana_90")
    True
    >>> handle_hash(b"k", "ana") is None
    True
    """
    bare = handle.strip().lstrip("@")
    if not _TOKEN.fullmatch(bare) or bare.isalpha():
        return None
    return f"{HANDLE}{_word(key, bare):016x}"


class Suppressed:
    """Finds suppressed names and handles in texts.

    Args:
        stored: hashes as stored; others than names and handles are passed over.
        key: the key of the purpose ``suppression``.
    """

    def __init__(self, stored: Iterable[str], key: bytes) -> None:
        known = sorted(set(stored))
        self._names = np.array([int(one[len(NAME) :], 16) for one in known if one.startswith(NAME)], np.uint64)
        self._handles = frozenset(int(one[len(HANDLE) :], 16) for one in known if one.startswith(HANDLE))
        self._key = key

    def __bool__(self) -> bool:
        """Whether there is anything to look for."""
        return bool(len(self._names) or self._handles)

    def cut(self, texts: Sequence[str | None]) -> list[str | None]:
        """Return the texts with every suppressed name and handle replaced by ``<NAME>`` and ``<HANDLE>``."""
        return [None if text is None else self._cut(text) for text in texts]

    def spans(self, text: str) -> list[tuple[int, int, str]]:
        """Return the places of suppressed names and handles, with their kind; in order, without overlap."""
        found = [(*span, "NAME") for span in self._named(text)] if len(self._names) else []
        if self._handles:
            found += [(*span, "HANDLE") for span in self._handled(text)]
        apart: list[tuple[int, int, str]] = []
        for one in sorted(found, key=lambda one: (one[0], -one[1])):
            if not apart or one[0] >= apart[-1][1]:
                apart.append(one)
        return apart

    def _cut(self, text: str) -> str:
        parts, place = [], 0
        for start, end, kind in self.spans(text):
            parts += [text[place:start], f"<{kind}>"]
            place = end
        return "".join([*parts, text[place:]]) if parts else text

    def _named(self, text: str) -> list[Span]:
        spans = [word.span() for word in _WORD.finditer(text)]
        if len(spans) < 2:
            return []
        hashes = np.array([_word(self._key, text[start:end]) for start, end in spans], np.uint64)
        found: list[Span] = []
        for size in range(2, min(MAX_WORDS, len(spans)) + 1):
            for first in np.flatnonzero(np.isin(_windows(hashes, size), self._names)).tolist():
                words = spans[first : first + size]
                gaps = (text[one[1] : two[0]] for one, two in pairwise(words))
                if all(_BETWEEN.fullmatch(gap) for gap in gaps):
                    found.append((words[0][0], words[-1][1]))
        return found

    def _handled(self, text: str) -> list[Span]:
        tokens = [token for token in _TOKEN.finditer(text) if not token.group().isalpha()]
        return [token.span() for token in tokens if _word(self._key, token.group()) in self._handles]


def _windows(hashes: npt.NDArray[np.uint64], size: int) -> npt.NDArray[np.uint64]:
    """Return the mixed hash of every run of neighbouring words of one length."""
    count = len(hashes) - size + 1
    mixed = np.full(count, size, np.uint64) * _MIX[0]
    for place in range(size):
        mixed = (mixed ^ hashes[place : place + count]) * _MIX[1] + _MIX[2]
        mixed = mixed ^ (mixed >> np.uint64(29))
    return mixed


@lru_cache(maxsize=131_072)
def _word(key: bytes, word: str) -> int:
    split = unicodedata.normalize("NFKD", word.casefold())
    folded = "".join(sign for sign in split if not unicodedata.combining(sign))
    return int.from_bytes(hashlib.blake2b(folded.encode(), key=key, digest_size=8).digest(), "little")

"""Names of people who objected, taken out of other people's texts (TPD mentions; redaction by exact match).

Only full names (two words or more) and handles are looked for: a single word is anybody's. Matching folds case,
makes runs of space one and respects borders of words; it doesn't guess inflections,
nicknames or misspellings (docs/redaction.md).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from demur.corpus.redact_normal import normalise
from demur.corpus.redact_patterns import Span
from demur.corpus.redact_spans import masked

_RUN = re.compile(r"\w+")
_NAME_WORD = re.compile(r"[^\W\d_]+(?:['’.\-][^\W\d_]+)*")


class NameFinder:
    """Finds names and handles in texts.

    Args:
        spelled: names case-folded, their spaces made one.
    """

    def __init__(self, spelled: Iterable[str]) -> None:
        import ahocorasick

        self.spelled = tuple(spelled)
        self._automaton = ahocorasick.Automaton()
        self._pairs: set[tuple[str, str]] = set()
        self._alone: set[str] = set()
        for name in self.spelled:
            self._automaton.add_word(name, len(name))
            runs = _RUN.findall(name)
            if len(runs) > 1:
                self._pairs.add((runs[0], runs[1]))
            else:
                self._alone.update(runs)
        self._automaton.make_automaton()

    def rows(self, texts: Any) -> npt.NDArray[np.bool_]:
        """Say for each text of an Arrow array whether a name may stand in it; wider than :meth:`spans`."""
        return np.fromiter((bool(text) and self._may_hold(text) for text in texts.to_pylist()), bool, len(texts))

    def spans(self, text: str) -> list[Span]:
        """Return the places of names: longest first at each start, at borders of words only, without overlap."""
        if not self._may_hold(text):
            return []
        return [(start, end, "NAME") for start, end in _name_spans(text, self._automaton)]

    def _may_hold(self, text: str) -> bool:
        """Say whether the first two words of a name stand side by side: a name at borders of words begins with them."""
        runs = _RUN.findall(text.casefold())
        return not self._pairs.isdisjoint(pairwise(runs)) or not self._alone.isdisjoint(runs)


Names = Iterable[str] | NameFinder | None
"""Names of at least two words (single words are anybody's and are passed over) and handles with ``@``, or what finds
them: many names take long to prepare."""


def name_finder(names: Names) -> NameFinder | None:
    """Return what finds some names, ``None`` if none of them is to be looked for."""
    if names is None or isinstance(names, NameFinder):
        return names
    return _finder(tuple(sorted(set(names))))


@lru_cache(maxsize=4)
def _finder(names: tuple[str, ...]) -> NameFinder | None:
    spelled = [" ".join(normalise(name).casefold().split()) for name in names]  # as _spelling, which counts places too
    sought = [name for name in spelled if name.startswith("@") or len(_NAME_WORD.findall(name)) >= 2]
    return NameFinder(sought) if sought else None


def redact_names(texts: Any, names: Names) -> Any:
    """Replace full names and handles of people who objected by ``<NAME>``.

    Args:
        texts: Arrow string array; nulls stay null.
        names: as ``Names``.

    Returns:
        Arrow string array; equal whatever the order of ``names``.
    """
    finder = name_finder(names)
    if finder is None:
        return texts.cast(pa.string())
    cut = [None if text is None else masked(text, finder.spans(text)) for text in texts.to_pylist()]
    return pa.array(cut, pa.string())


def contains_names(texts: Any, names: Names) -> Any:
    """Say which texts :func:`redact_names` would change.

    Returns:
        Arrow boolean array; false for null.
    """
    finder = name_finder(names)
    found = [bool(finder is not None and text and finder.spans(text)) for text in texts.to_pylist()]
    return pa.array(found, pa.bool_())


def _spelling(text: str) -> tuple[str, list[int]]:
    """Return the text case-folded, spaces made one, with the place in the text of each sign; one more for the end."""
    signs: list[str] = []
    places: list[int] = []
    for place, sign in enumerate(text):
        folded = " " if sign.isspace() else sign.casefold()
        if folded == " " and signs and signs[-1] == " ":
            continue
        signs.extend(folded)
        places.extend([place] * len(folded))
    return "".join(signs), [*places, len(text)]


def _name_spans(text: str, finder: Any) -> list[tuple[int, int]]:
    spelled, places = _spelling(text)
    found = []
    for last, size in finder.iter(spelled):
        start, end = last + 1 - size, last + 1
        if _is_border(spelled, start) and _is_border(spelled, end):
            found.append((start, -end))
    spans: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if not spans or places[start] >= spans[-1][1]:
            spans.append((places[start], places[-end]))
    return spans


def _is_border(text: str, place: int) -> bool:
    if place in {0, len(text)}:
        return True
    return not (_in_word(text[place - 1]) and _in_word(text[place]))


def _in_word(sign: str) -> bool:
    return sign.isalnum() or sign == "_" or unicodedata.combining(sign) > 0

# ruff: noqa: SIM905 (tables of words read better whole)
"""Names of people who objected, taken out of other people's texts (TPD mentions; redaction by exact match).

Only full names (two words or more) and handles are looked for: a single word is anybody's. Matching folds case,
accents, dashes and apostrophes, makes runs of space one and respects borders of words. A name is also found with the
genitive's s, in one word (``#AnnaMüller``, ``anna.müller``), with ``ue`` for ``ü``, without what decorates it on a
profile, in the cases of other languages and with the family name first (redact_cases.py). It doesn't guess nicknames or
misspellings (docs/redaction.md).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from demur.corpus.quality_words import FUNCTION_WORDS
from demur.corpus.redact_cases import CaseFinder
from demur.corpus.redact_fold import RUN, WordSieve, apart, folded, folding
from demur.corpus.redact_normal import normalise
from demur.corpus.redact_patterns import Span
from demur.corpus.redact_spans import masked

_NAME_WORD = re.compile(r"[^\W\d_]+(?:['’.\-][^\W\d_]+)*")
_JOINED_LEAST = 8
"""Letters of a name from which it is looked for in one word."""


class NameFinder:
    """Finds names and handles in texts.

    Args:
        spelled: names as :func:`folded` spells them, their spaces made one.
    """

    def __init__(self, spelled: Iterable[str]) -> None:
        import ahocorasick

        self.spelled = tuple(spelled)
        self._automaton = ahocorasick.Automaton()
        self._pairs: set[tuple[str, str]] = set()
        self._alone: set[str] = set()
        joined = {one: -len(one) for one in map(_joined, self.spelled) if one}
        for form, size in {**joined, **{form: len(form) for name in self.spelled for form in _forms(name)}}.items():
            self._automaton.add_word(form, size)
            runs = RUN.findall(form)
            if len(runs) > 1:
                self._pairs.add((runs[0], runs[1]))
            else:
                self._alone.update(runs)
        self._automaton.make_automaton()
        self.cases = CaseFinder(tuple(RUN.findall(name)) for name in self.spelled if not name.startswith("@"))
        self._sieve = WordSieve(self._pairs, self._alone, self.cases.beginnings, self.cases.short)

    def rows(self, texts: Any) -> npt.NDArray[np.bool_]:
        """Say for each text of an Arrow array whether a name may stand in it; wider than :meth:`spans`."""
        return self._sieve.rows(texts)

    def spans(self, text: str, *, wide: bool = False) -> list[Span]:
        """Return the places of names: longest first at each start, at borders of words only, without overlap.

        Args:
            text: where to look.
            wide: what stands beside a name may be there no more, as in a record: more is found then.
        """
        if not self._may_hold(text):
            return []
        return [(start, end, "NAME") for start, end in _name_spans(text, self._automaton, self.cases, wide=wide)]

    def _may_hold(self, text: str) -> bool:
        """Say whether the first two words of a name stand side by side, or all of them in other cases.

        A name at borders of words begins with its first two. Where a sign stands for letters, as ``™``, words may end
        before it or not: such texts are always looked at.
        """
        spelled = folded(text)
        runs = RUN.findall(spelled)
        beside = not self._pairs.isdisjoint(pairwise(runs)) or not self._alone.isdisjoint(runs)
        return beside or self.cases.may_hold(runs) or spelled != apart(text)


def _forms(name: str) -> Iterator[str]:
    """Yield a folded name as it may stand in a text: itself, without apostrophes, with the genitive's s."""
    yield name
    if "'" in name:
        yield name.replace("'", "")
    if name.startswith("@") or not name[-1:].isalpha():
        return
    if name[-1] not in "sxz":
        yield f"{name}s"


def _joined(name: str) -> str:
    """Return a folded name in one word; nothing for a handle, a short name or one of many words."""
    words = RUN.findall(name)
    joined = "".join(words)
    long = 2 <= len(words) <= 3 and len(joined) >= _JOINED_LEAST
    return joined if long and joined.isalpha() and name[-1].isalpha() and not name.startswith("@") else ""


Names = Iterable[str] | NameFinder | None
"""Names of at least two words (single words are anybody's and are passed over) and handles with ``@``, or what finds
them: many names take long to prepare."""


def name_finder(names: Names) -> NameFinder | None:
    """Return what finds some names, ``None`` if none of them is to be looked for."""
    if names is None or isinstance(names, NameFinder):
        return names
    return _finder(tuple(sorted(set(names))))


@lru_cache(maxsize=32)
def _finder(names: tuple[str, ...]) -> NameFinder | None:
    spelled = dict.fromkeys(one for name in names for one in _spellings(normalise(name)))
    return NameFinder(spelled) if spelled else None


def _spellings(name: str) -> Iterator[str]:
    """Yield a name as it is looked for; nothing for a single word."""
    bare = _undecorated(unicodedata.normalize("NFKC", name))
    for one in dict.fromkeys((name, bare)):
        if not (one.startswith("@") or len(_NAME_WORD.findall(one)) >= 2):
            continue
        small = one.casefold()
        yield _spelled(one)
        for other in (small.translate(_SPELLED_OUT), _DRAWN_TOGETHER.sub(r"\1", small)):
            if other != small:
                yield _spelled(other)


_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})
_DRAWN_TOGETHER = re.compile(r"(?<=[^aeiouqy\W])([uo])e(?=[^aeiouy\W])(?!l(?:[aeiouy]|\b)|mi)")
"""Spellings of each other: who is called Müller is called Mueller, and the other way round; between consonants only,
and not where other names end so (``Joe``, ``Manuel``, ``Noemi``)."""


_DECORATED = re.compile(r"(?<=.)(?:[(\[{|,/@•~:]| -+ |[–—])")
_NO_LETTER = re.compile(r"[^\w\s'’.\-]|_")
_BEFORE = frozenset(
    (
        "dr prof mag ing dipl di msc bsc mba mr mrs ms herr frau sr sra mgr bc judr mudr phdr rndr doc inż lek avv "
        "dott arch phd univ"
    ).split()
)
_BEHIND = frozenset("dr prof dipl ing msc bsc mba phd jr sr llm md BA MA MS".split())
"""Titles, by where they stand; none that is also somebody's name there, as Ba, Ma or Herr, but in capitals."""


def _undecorated(name: str) -> str:
    """Return what somebody is called of what they put on their profile; nothing if that is left of no name.

    >>> _undecorated("🌸 Dr. Anna Müller 🌱 (sie/ihr)")
    'Anna Müller'
    """
    words = _NO_LETTER.sub(" ", _DECORATED.split(_NO_LETTER_FIRST.sub("", name))[0]).split()
    words = [word for word in words if any(map(str.isalpha, word))]
    for place, titles in ((0, _BEFORE), (-1, _BEHIND)):
        while len(words) > 1:
            word = words[place].replace(".", "").split("-")[0]
            if word.casefold() not in titles and (word not in titles or name.isupper()):
                break
            words.pop(place)
    said = any(word.casefold() not in _function_words() for word in words)
    return " ".join(words) if said and any(len(word) > 2 for word in words) else ""


_NO_LETTER_FIRST = re.compile(r"\A[\W_]+")


@lru_cache(maxsize=1)
def _function_words() -> frozenset[str]:
    return frozenset(word for words in FUNCTION_WORDS.values() for word in words.split())


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


def _spelled(name: str) -> str:
    """Return a name folded as texts are."""
    plain = folded(name)
    whole = plain if "." not in name and "  " not in plain else _spelling(name)[0]
    return whole.strip()


def _spelling(text: str) -> tuple[str, list[int]]:
    """Return the text folded, spaces made one, with the place in the text of each sign; one more for the end.

    A full stop between two letters is a space: ``anna.müller``.
    """
    signs: list[str] = []
    places: list[int] = []
    table = folding()
    for place, sign in enumerate(text):
        folded_sign = table.get(ord(sign), sign)
        if sign == "." and text[place - 1 : place].isalpha() and text[place + 1 : place + 2].isalpha():
            folded_sign = " "
        if folded_sign == " " and signs and signs[-1] == " ":
            continue
        signs.extend(folded_sign)
        places.extend([place] * len(folded_sign))
    return "".join(signs), [*places, len(text)]


def _name_spans(text: str, finder: Any, cases: CaseFinder, *, wide: bool) -> list[tuple[int, int]]:
    spelled, places = _spelling(text)
    found = []
    for last, size in finder.iter(spelled):
        start, end = last + 1 - abs(size), last + 1
        if all(_is_border(spelled, place) or _is_border_of(text, places, place) for place in (start, end)):
            written = text[places[start] : places[end]]
            if size > 0 or spelled[start - 1 : start] in {"#", "@"} or _begins_anew(written):
                found.append((start, end))
    exact = _apart(found)
    begins = [start for start, _ in exact]
    for start, end in cases.spans(spelled, text, places, wide=wide):
        near = exact[max(0, bisect_right(begins, start) - 1) : bisect_left(begins, end)]
        if all((start <= begin and last <= end) or last <= start for begin, last in near):
            found.append((start, end))  # a name as it is called goes before another one that begins in it
    # a sign that stands for several letters goes whole
    return _apart([(places[start], max(places[end], places[end - 1] + 1)) for start, end in _apart(found)])


def _apart(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return those that do not begin in another one, the longest first at each start."""
    kept: list[tuple[int, int]] = []
    for start, end in sorted(found, key=lambda one: (one[0], -one[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    return kept


def _begins_anew(word: str) -> bool:
    """Say whether a capital stands behind a small letter, as where names are joined; ``internet`` is anybody's."""
    return any(before.islower() and sign.isupper() for before, sign in pairwise(word))


def _is_border(text: str, place: int) -> bool:
    if place in {0, len(text)}:
        return True
    return not (_in_word(text[place - 1]) and _in_word(text[place]))


def _is_border_of(text: str, places: list[int], place: int) -> bool:
    """Say the same of the text as it was written: what stands for letters there, as ``™``, is none."""
    return not (_in_word(text[places[place - 1]]) and _in_word(text[places[place]]))


def _in_word(sign: str) -> bool:
    return sign.isalnum() or sign == "_"

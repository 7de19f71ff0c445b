"""Full names as sentences change them: in the cases of other languages, and with the family name first.

A table knows which endings a word of a name takes in which the nominative's goes: of women and of men in Czech, Slovak,
Polish, Slovene, Croatian, Lithuanian, Latvian and Greek (of women in Romanian), of the last word in Finnish, Estonian
and Hungarian. Endings stand as texts are compared: small and without accents. No two words of a name are changed by
different tables, and what would make another person's name of it is left out (docs/redaction.md). With the family name
first, names are found in capitals only: ``haben Sie`` says nobody's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise

from demur.corpus.redact_fold import LONGEST, RUN

_CONSONANTS = frozenset("bcdfghjklmnpqrstvwxz")
_VOWELS = frozenset("aeiouy")
_MOST_WORDS = 4
LEAST = 2
"""Letters that a word of a name begins with whatever its case, at least."""


class _Declension:
    """Endings of the nominative → those of other cases; ``C`` and ``V`` = behind any consonant or vowel, none goes.

    Args:
        table: a line an ending: ``a: y e u``.
        least: letters that a word must have.
        doubles: the Hungarian instrumental is one of them, which doubles the consonant before it: ``Kováccsal``.
    """

    def __init__(self, table: str, least: int = 0, *, doubles: bool = False) -> None:
        rows = (line.split(":") for line in table.strip().splitlines())
        self._rows = {ending.strip(): frozenset(others.split()) for ending, others in rows}
        self._goes = {ending: _shared(ending, others) - len(ending) for ending, others in self._rows.items()}
        self._least, self._doubles = least, doubles

    def keeps(self, word: str) -> int:
        """Return how many letters of a word every case begins with."""
        kept = [len(word) + self._goes[ending] for ending in self._of(word) if ending not in "CV"]
        return min([*kept, len(word) - (self._doubles and word[-2:] in _DOUBLED)])

    def ending(self, word: str, said: str) -> str:
        """Return how a word ends that may be a case of a word of a name; nothing if it is none."""
        for ending in self._of(word):
            stays = len(word) if ending in "CV" else len(word) - len(ending)
            if said[stays:] in self._rows[ending] and said[:stays] == word[:stays]:
                return said[stays:]
        return self._doubled(word, said) if self._doubles and len(word) >= self._least else ""

    def changes(self, word: str) -> bool:
        """Say whether a word has other cases at all."""
        return any(True for _ in self._of(word))

    def _of(self, word: str) -> Iterator[str]:
        if len(word) < self._least:
            return
        for size in (3, 2, 1):
            if word[-size:] in self._rows:
                yield word[-size:]
        letter = "C" if word[-1] in _CONSONANTS else "V" if word[-1] in _VOWELS else ""
        if letter in self._rows:
            yield letter

    @staticmethod
    def _doubled(word: str, said: str) -> str:
        for sound in (word[-2:], word[-1:]):
            if sound in _DOUBLED:
                for ending in ("al", "el"):
                    if said == f"{word[: -len(sound)]}{sound[0]}{sound}{ending}":
                        return ending
        return ""


def _shared(ending: str, others: Iterable[str]) -> int:
    """Return how many letters of an ending all others begin with."""
    return next(size for size in range(len(ending), -1, -1) if all(one.startswith(ending[:size]) for one in others))


_DOUBLED = frozenset({*_CONSONANTS, "cs", "gy", "ly", "ny", "sz", "ty", "zs"})

WOMEN = _Declension("""
    a: y e u ou o i ie om os ai as oje oj om ej iej ei
    ka: ki ce
    ga: gi dze
    ha: ze sze
    ta: cie
    da: dzie
    ra: rze
    ja: i
    ia: ii iei
    e: es ei eje i iu u
    α: ασ
    η: ησ
    ω: ωσ
""")
MEN = _Declension("""
    C: a u ovi owi em om iem
    ek: ka ku kovi kowi kem kom kiem
    ec: ca cu covi cem cem ce
    el: la lu lovi lowi lem lom
    er: ra ru rovi rem rom
    a: y e u ou o i ovi owi om
    ka: ki ce
    o: a u om em ovi owi
    i: iho imu im iego iemu ego emu
    y: eho emu ym ego
    as: o ui a u ai
    is: io iui i iu y a im
    tis: cio ciui ciu
    dis: dzio dziui dziu
    ys: io iui i iu
    us: aus ui u umi au um
    ius: iaus iui iu
    s: a am u se
    z: ze
    c: ce
    j: je
    οσ: ου ο ε
    ησ: η
    ασ: α
    ισ: ι
""")
LAST = _Declension("""
    nen: sen selle sella selta sessa sesta seen sena seksi
    la: lan laan
    ki: en elle ella elta essa esta
    i: en elle ella elta essa esta
    V: lle lla lta ssa sta ksi na le lt st ga ks nak nek val vel ban ben rol tol bol hoz hez nal nel ra re ba be ert t
    C: ille illa ilta issa ista ile ilt ist iga ele elt est ega ale alt ast aga ule ult ust uga nak nek ban ben rol tol bol hoz hez nal nel ra re ba be ert ot et at
""", least=4, doubles=True)  # fmt: skip # noqa: E501
_ANOTHER = frozenset({"e", "i", "o"})
"""Endings that make another name of one where nothing else tells: Anne and Marie of Anna and Maria, Mario of Maria."""
_TELLING = frozenset("y u ou os ai ei ii iei ej iej ki ce gi dze cie dzie rze ασ ησ".split())  # noqa: SIM905
"""Endings of a woman's name beside a family name that stays as it is."""
_OGONEK = "\u0328"
"""No name ends so where it stands in the nominative: ``Kowalską``."""
_FAMILY = ("ova", "ska", "cka", "iene", "aite", "yte", "ute")
"""Endings of women's family names: no first name."""

Words = tuple[str, ...]


class CaseFinder:
    """Finds names in other cases, and with the family name first, among the words of a text.

    Args:
        names: words of names, folded.
    """

    def __init__(self, names: Iterable[Words]) -> None:
        self._orders: dict[Words, dict[str, list[tuple[Words, bool]]]] = {}
        self._words: dict[str, set[str]] = {}
        for words in names:
            if not (2 <= len(words) <= _MOST_WORDS and all(map(_is_word, words))):
                continue
            for word in words:
                self._words.setdefault(_stem(word), set()).add(word)
            for order in dict.fromkeys((words, (words[-1], *words[:-1]))):
                stems = self._orders.setdefault((_stem(order[0]), _stem(order[1])), {})
                stems.setdefault(_kept(order[1]), []).append((order, order != words))
        self._first = {first for first, _ in self._orders}

    @property
    def beginnings(self) -> list[Words]:
        """What the first two words of a name begin with wherever one is found."""
        return list(self._orders)

    @property
    def stems(self) -> list[Words]:
        """What every single word of a name begins with."""
        return [(stem,) for stem in self._words]

    def may_hold(self, runs: Sequence[str]) -> bool:
        """Say whether two words of a text begin as the first two of a name do."""
        return any(True for _ in self._at(runs))

    def is_part(self, run: str) -> bool:
        """Say whether a word of a text may be one of a name's."""
        return any(
            run == word or any(table.ending(word, run) for table in (WOMEN, MEN, LAST))
            for stem in _stems(run)
            for word in self._words.get(stem, ())
        )

    def spans(self, spelled: str, written: Callable[[int], str]) -> list[tuple[int, int]]:
        """Return where names stand in a folded text.

        Args:
            spelled: the text, folded, its spaces made one.
            written: returns the sign that stands for a place of it in the text.
        """
        places = [found.span() for found in RUN.finditer(spelled)]
        runs = [spelled[begin:end] for begin, end in places]
        found = []
        for at, order, turned in self._at(runs):
            end = at + len(order)
            gaps = [spelled[one[1] : other[0]] for one, other in pairwise(places[at:end])]
            commas = turned and gaps[:1] == [", "]
            small = turned and any(written(begin).islower() for begin, _ in places[at:end])
            if small or len(runs) < end or any(gap not in {" ", "'"} for gap in gaps[commas:]):
                continue
            accents = [unicodedata.normalize("NFD", written(behind - 1))[1:] for _, behind in places[at:end]]
            if _is_said(order, runs[at:end], accents, turned=turned):
                found.append((places[at][0], places[end - 1][1]))
        return found

    def _at(self, runs: Sequence[str]) -> Iterator[tuple[int, Words, bool]]:
        """Yield (place of the first word, words of a name as they may stand there, whether turned)."""
        for at, (one, other) in enumerate(pairwise(runs)):
            for first in _stems(one):
                if first in self._first:
                    for second in _stems(other):
                        names = self._orders.get((first, second), {})
                        for size in range(len(second), len(other) + 1) if names else ():
                            for order, turned in names.get(other[:size], ()):
                                yield at, order, turned


def _is_said(words: Words, said: Sequence[str], accents: Sequence[str], *, turned: bool) -> bool:
    """Say whether words of a text are those of a name in another case, or as they are in another order."""
    told = list(zip(words, said, accents, strict=True))
    pairs = [one for one in told if one[0] != one[1]]
    if not pairs:
        return turned
    both = len(pairs) == len(words)
    if both and all(MEN.ending(word, run) for word, run, _ in pairs) and not all(word[-1] == "a" for word in words):
        return True
    if pairs == [(words[-1], said[-1], accents[-1])] and LAST.ending(words[-1], said[-1]):
        return True
    endings = [(WOMEN.ending(word, run), accent) for word, run, accent in pairs]
    if not all(ending for ending, _ in endings):
        return False
    if both:
        telling = any(accent or ending not in _ANOTHER for ending, accent in endings)
        return telling or any(word.endswith(_FAMILY) for word in words)
    stays = (word for word, run, accent in told if word == run and accent != _OGONEK)
    return not any(map(WOMEN.changes, stays)) and any(accent or ending in _TELLING for ending, accent in endings)


def _is_word(word: str) -> bool:
    return word.isalpha() and len(_stem(word)) >= LEAST


@lru_cache(maxsize=1 << 17)
def _kept(word: str) -> str:
    """Return what a word of a name begins with in every case.

    >>> [_kept(one) for one in ("anna", "novakova", "marek", "virtanen")]
    ['ann', 'novakov', 'mar', 'virta']
    """
    return word[: min(table.keeps(word) for table in (WOMEN, MEN, LAST))]


def _stem(word: str) -> str:
    """Return as much of that as is compared first."""
    return _kept(word)[:LONGEST]


def _stems(run: str) -> set[str]:
    return {run[:size] for size in range(LEAST, LONGEST + 1)}

"""Full names as sentences change them: in the cases of other languages, and with the family name first.

A table knows which endings a word of a name takes in which the nominative's goes: of women and of men in Czech, Slovak,
Polish, Slovene, Croatian, Lithuanian, Latvian and Greek (of women in Romanian), of the last word in Finnish, Estonian
and Hungarian. Endings stand as texts are compared: small and without accents. No two words of a name are changed by
different tables, and most of what would make another person's name of it is left out (docs/redaction.md). With the
family name first, names are found in capitals only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any

from demur.corpus.redact_fold import LONGEST, RUN

_CONSONANTS = frozenset("bcdfghjklmnpqrstvwxz")
_VOWELS = frozenset("aeiouy")
_MOST_WORDS = 4
LEAST = 2
"""Letters that a word of a name begins with whatever its case, at least."""
_MOST_KNOWN = 1 << 17
_MOST_ENDING = 8
"""Letters by which a word may grow, more than any does."""
_BESIDE = 64
"""Signs in which the word before a name begins, or it is none."""
_WORD_BEFORE, _WORD_BEHIND = re.compile(r"[^\W_]+ \Z"), re.compile(r" [^\W_]")

Words = tuple[str, ...]


class _Declension:
    """Endings of the nominative → those of other cases; ``C`` and ``V`` = behind any consonant or vowel, none goes.

    Args:
        table: a line an ending: ``a: y e u``.
        least: letters that a word must have.
        doubles: the Hungarian instrumental is one of them, which doubles the consonant before it: ``Kováccsal``.
    """

    def __init__(self, table: str, least: int = 0, *, doubles: bool = False) -> None:
        rows = (line.split(":") for line in table.strip().splitlines())
        self._rows: dict[str, dict[int, list[str]]] = {}
        """Ending → how many of its letters go → endings that come in their place."""
        for ending, others in rows:
            goes = self._rows.setdefault(ending.strip(), {})
            for other in others.split():
                goes.setdefault(_going(ending.strip(), other), []).append(other)
        self._least, self._doubles = least, doubles

    def keeps(self, word: str) -> int:
        """Return how many letters of a word every case begins with."""
        most = max((goes for _, goes, _ in self._of(word)), default=0)
        return len(word) - max(most, int(self._is_doubled(word) and word[-2:] in _DOUBLED))

    def ending(self, word: str, said: str) -> str:
        """Return how a word ends that may be a case of a word of a name; nothing if it is none."""
        return next((ending for form, ending in self.forms(word) if form == said), "")

    def forms(self, word: str) -> Iterator[tuple[str, str]]:
        """Yield the cases of a word of a name, each with its ending."""
        for stays, _, others in self._of(word):
            for other in others:
                yield f"{stays}{other}", other
        for sound in (word[-2:], word[-1:]) if self._is_doubled(word) else ():
            if sound in _DOUBLED:
                for ending in ("al", "el"):
                    yield f"{word[: -len(sound)]}{sound[0]}{sound}{ending}", ending

    def changes(self, word: str) -> bool:
        """Say whether a word has other cases at all."""
        return any(True for _ in self._of(word))

    def _is_doubled(self, word: str) -> bool:
        return self._doubles and len(word) >= self._least

    def _of(self, word: str) -> Iterator[tuple[str, int, list[str]]]:
        """Yield (what endings stand behind, how many letters of the word go, endings) where enough letters stay."""
        if len(word) < self._least:
            return
        letter = "C" if word[-1] in _CONSONANTS else "V" if word[-1] in _VOWELS else ""
        for stays, ending in ((word[:-3], word[-3:]), (word[:-2], word[-2:]), (word[:-1], word[-1:]), (word, letter)):
            for goes, others in self._rows.get(ending, {}).items():
                if len(word) - goes >= LEAST:
                    yield stays, goes, others


def _going(ending: str, other: str) -> int:
    """Return how many letters of an ending another one does not begin with."""
    if ending in {"C", "V"}:
        return 0
    return next(goes for goes in range(len(ending) + 1) if other.startswith(ending[: len(ending) - goes]))


_DOUBLED = frozenset({*_CONSONANTS, "cs", "gy", "ly", "ny", "sz", "ty", "zs"})

WOMEN = _Declension("""
    a: y e u ou o i ie om os ai as oje oj om ej iej ei
    ka: ki ce
    ga: gi dze ze
    ha: ze sze
    ta: cie
    da: dzie
    ra: rze
    ja: i
    ia: ii iei
    ea: ei
    e: es ei eje i iu u
    α: ασ
    η: ησ
    ω: ωσ
""")
MEN = _Declension("""
    C: a u ovi owi em om iem ie i
    d: dzie
    t: cie
    r: rze
    ek: ka ku kovi kowi kem kom kiem
    ec: ca cu covi cem cem ce
    el: la lu lovi lowi lem lom
    er: ra ru rovi rem rom
    a: y e u ou o i ie ovi owi om os ai
    ka: ki ce
    da: dzie
    ta: cie
    ra: rze
    o: a u y om em ovi owi
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
    nen: sen selle sella selta sessa sesta seen sena seksi sta
    la: lan laan
    ki: en elle ella elta essa esta ken kelle kella kelta kessa kesta
    vi: ven velle vella velta vessa vesta
    mi: men melle mella melta messa mesta
    hti: hden hdelle hdella hdelta hdessa hdesta
    o: on
    V: lle lla lta ssa sta ksi na lt st ga ks nak nek val vel ban ben rol tol bol hoz hez nal nel ra re ba be ert t
    C: ille illa ilta issa ista ile ilt ist iga ele elt est ega ale alt ast aga ule ult ust uga nak nek ban ben rol tol bol hoz hez nal nel ra re ba be ert ot et at e
    r: rt
    l: lt
    n: nt
    s: st
    z: zt
    j: jt
""", least=3, doubles=True)  # fmt: skip # noqa: E501

_ANOTHER = frozenset({"e", "i", "o"})
"""Endings that make another name of one where nothing else tells: Anne and Marie of Anna and Maria, Mario of Maria."""
_TELLING = frozenset("y u ou os om ii ej iej ki ce gi dze cie dzie rze ασ ησ".split())  # noqa: SIM905
"""Endings of a woman's name beside a family name that stays as it is."""
_ROMANIAN = frozenset({"ai", "ei", "iei"})
"""Endings of a woman's name beside any family name."""
_FAMILY = ("ova", "ska", "cka", "iene", "aite", "yte", "ute")
"""Endings of women's family names: no first name."""
_GENITIVE = "ου"
"""Ending of Greek family names that have no other cases."""
_LONG = frozenset("t ra re ba be ert".split())  # noqa: SIM905
"""Hungarian endings that make another name of one, Cabrera of Cabré, but behind a vowel that is written as long."""
_SHORT = 4
"""Shorter words stand in any of these cases only where the vowel is long: ``Évával``."""
_OGONEK, _ACUTE, _DOUBLE_ACUTE = "\u0328", "\u0301", "\u030b"


class CaseFinder:
    """Finds names in other cases, and with the family name first, among the words of a text.

    Args:
        names: words of names, folded.
    """

    def __init__(self, names: Iterable[Words]) -> None:
        self._tree: dict[str, Any] = {}
        self._near: dict[str, list[str]] = {}
        self._known: dict[str, Words] = {}
        self.beginnings: set[Words] = set()
        """What the first two words of a name begin with wherever one is found."""
        words: set[str] = set()
        for name in names:
            if not (2 <= len(name) <= _MOST_WORDS and all(len(word) >= LEAST and word.isalpha() for word in name)):
                continue
            words.update(name)
            for turn in range(len(name)):
                order = name[turn:] + name[:turn]
                self.beginnings.add((_kept(order[0])[:LONGEST], _kept(order[1])[:LONGEST]))
                place = self._tree
                for word in order:
                    place = place.setdefault(word, {})
                place.setdefault("", set()).add(len(name) - turn if turn else 0)
        for word in words:
            self._near.setdefault(_kept(word), []).append(word)
        self._longest = max(map(len, words), default=0)

    @property
    def stems(self) -> list[Words]:
        """What every single word of a name begins with."""
        return [(kept[:LONGEST],) for kept in self._near]

    @property
    def short(self) -> list[str]:
        """Every form of the words of which fewer letters stay than are compared first."""
        few = (word for kept, words in self._near.items() if len(kept) < LONGEST for word in words)
        return [form for word in few for form in _forms(word)]

    def is_part(self, run: str) -> bool:
        """Say whether a word of a text may be one of a name's."""
        return bool(self._of(run))

    def may_hold(self, runs: Sequence[str]) -> bool:
        """Say whether words of a text may be those of a name, whatever stands between them."""
        return any(True for _ in self._at(runs))

    def spans(
        self, spelled: str, text: str, at_text: Sequence[int], *, wide: bool = False
    ) -> Iterator[tuple[int, int]]:
        """Yield where names stand in a folded text.

        Args:
            spelled: the text, folded, its spaces made one.
            text: as it is written.
            at_text: where each place of ``spelled`` stands there, and the end.
            wide: whatever stands beside them, which may be there no more.
        """
        places = [found.span() for found in RUN.finditer(spelled)]
        runs = [spelled[begin:end] for begin, end in places]
        for at, words, front in self._at(runs):
            mine = places[at : at + len(words)]
            gaps = [spelled[one[1] : other[0]] for one, other in pairwise(mine)]
            if front:
                if not _may_be_turned(spelled, text, at_text, mine, front, wide=wide):
                    continue
                gaps[front - 1] = gaps[front - 1].removeprefix(",")
            said = [text[at_text[begin] : at_text[end - 1] + 1] for begin, end in mine]
            told = list(zip(words, runs[at : at + len(words)], said, strict=True))
            if not {*gaps} - {" ", "'"} and _is_said(told, turned=front > 0):
                yield mine[0][0], mine[-1][1]

    def _at(self, runs: Sequence[str]) -> Iterator[tuple[int, Words, int]]:
        """Yield (place of the first word, words of a name, how many of them stand in front if it is turned)."""
        found = [self._of(run) for run in runs]
        for at in range(len(found) - 1):
            if found[at] and found[at + 1]:
                yield from ((at, words, front) for words, front in _walk(self._tree, found, at, ()))

    def _of(self, run: str) -> Words:
        """Return the words of names of which a word of a text may be a case."""
        if len(run) > self._longest + _MOST_ENDING:
            return ()
        known = self._known.get(run)
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            near = (word for size in range(LEAST, len(run) + 1) for word in self._near.get(run[:size], ()))
            known = self._known[run] = tuple(word for word in near if _may_be(word, run))
        return known


def _walk(place: dict[str, Any], found: Sequence[Words], at: int, before: Words) -> Iterator[tuple[Words, int]]:
    """Yield the names that stand at a place of a text, by a tree of their words."""
    for front in place.get("", ()):
        yield before, front
    for word in found[at] if at < len(found) else ():
        if word in place:
            yield from _walk(place[word], found, at + 1, (*before, word))


def _may_be_turned(
    spelled: str, text: str, at_text: Sequence[int], places: Sequence[tuple[int, int]], front: int, *, wide: bool
) -> bool:
    """Say whether a family name may stand before a first name here: in capitals, on one line.

    With a comma between them no word in capitals stands beside, nor what was taken out: ``Hans Müller, Anna Schmidt``
    are two people.
    """
    (begins, ends), (first, _) = places[front - 1], places[front]
    if not all(_is_capital(text[at_text[place]]) for place in (begins, first)):
        return False
    if len(text[at_text[ends] : at_text[first] + 1].splitlines()) > 1:
        return False
    if wide or spelled[ends] != ",":
        return True
    if spelled[: places[0][0]].endswith("> ") or spelled.startswith(" <", places[-1][1]):
        return False
    least = max(0, places[0][0] - _BESIDE)
    before = _WORD_BEFORE.search(spelled[least : places[0][0]])
    behind = _WORD_BEHIND.match(spelled, places[-1][1])
    beside = [*([least + before.start()] if before else []), *([behind.end() - 1] if behind else [])]
    return not any(_is_capital(text[at_text[place]]) for place in beside)


def _is_capital(sign: str) -> bool:
    return sign.isupper() or sign.istitle()


Told = Sequence[tuple[str, str, str]]
"""Words of a name, of a text as folded, and as written there."""


def _is_said(told: Told, *, turned: bool) -> bool:
    """Say whether words of a text are those of a name in another case, or as they are in another order."""
    if not any(map(_is_changed, told)):
        return turned
    return _is_last(told) or _is_man(told) or _is_woman(told)


def _is_changed(one: tuple[str, str, str]) -> bool:
    word, run, written = one
    return word != run or _marks(written[-1:]) == _OGONEK  # no name ends so in the nominative: Kowalską


def _is_last(told: Told) -> bool:
    *others, (word, run, written) = told
    ending = LAST.ending(word, run)
    if not ending or any(map(_is_changed, others)):
        return False
    stays = written[: -len(ending)]
    if ending in _LONG and word[-1] in _VOWELS:
        return _is_long(stays[-1:])
    if len(word) < _SHORT:
        return any(map(_is_long, stays))
    return ending != "e" or _marks(written[-1:]) == _ACUTE


def _is_long(sign: str) -> bool:
    return _marks(sign) in {_ACUTE, _DOUBLE_ACUTE}


def _is_man(told: Told) -> bool:
    endings = set()
    for one in told:
        if not _is_changed(one):
            if one[0].endswith(_GENITIVE):
                continue
            return False
        ending = MEN.ending(*one[:2]) or ("a" if one[0] == one[1] else "")
        if not ending:
            return False
        endings.add(ending)
    if all(word.endswith("a") for word, *_ in told):
        return not endings.isdisjoint({"ovi", "owi"})
    return endings != {"i"} and not (endings == {"a"} and told[-1][0].endswith("o"))


def _is_woman(told: Told) -> bool:
    changed = [one for one in told if _is_changed(one)]
    endings = [(WOMEN.ending(word, run) or ("a" if word == run else ""), written) for word, run, written in changed]
    if not all(ending for ending, _ in endings):
        return False
    accented = any(_marks(written[-1:]) for _, written in endings)
    if len(changed) == len(told):
        telling = accented or any(ending not in _ANOTHER for ending, _ in endings)
        return telling or any(word.endswith(_FAMILY) for word, *_ in told)
    if any(ending in _ROMANIAN for ending, _ in endings):
        return True
    stays = any(WOMEN.changes(one[0]) for one in told if not _is_changed(one))
    return not stays and (accented or any(ending in _TELLING for ending, _ in endings))


def _marks(sign: str) -> str:
    """Return the accents of a sign."""
    return unicodedata.normalize("NFD", sign)[1:]


def _may_be(word: str, run: str) -> bool:
    return word == run or any(table.ending(word, run) for table in (WOMEN, MEN, LAST))


def _forms(word: str) -> Iterator[str]:
    yield word
    for table in (WOMEN, MEN, LAST):
        yield from (form for form, _ in table.forms(word))


@lru_cache(maxsize=_MOST_KNOWN)
def _kept(word: str) -> str:
    """Return what a word of a name begins with in every case.

    >>> [_kept(one) for one in ("anna", "novakova", "marek", "virtanen")]
    ['ann', 'novakov', 'mar', 'virta']
    """
    return word[: min(table.keeps(word) for table in (WOMEN, MEN, LAST))]

# ruff: noqa: E501 (tables of patterns read better whole)
"""National identity and tax numbers of the EU, EEA, UK, Switzerland and Brazil, told by layout and check digits.

Does not search text: it judges one candidate. All checks of numbers made of digits are our own, since some of
python-stdnum's ask today's date, and redaction may only depend on the text; a test holds them against python-stdnum.
Dates are read a little wider than the calendar (29 February in every year).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from operator import mul
from typing import Any

Digits = Sequence[int]

_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def _dated(day: int, month: int) -> bool:
    return 1 <= month <= 12 and 1 <= day <= _DAYS[month - 1]


def _pair(digits: Digits, at: int) -> int:
    return digits[at] * 10 + digits[at + 1]


def _weighed(digits: Digits, weights: Sequence[int]) -> int:
    return sum(map(mul, weights, digits))


def luhn(digits: Digits) -> bool:
    """Check the sum of ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = digit * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _mod_11_10(digits: Digits) -> bool:
    check = 5
    for digit in digits:
        check = ((check or 10) * 2 % 11 + digit) % 10
    return check == 1


def _bsn(d: Digits) -> bool:
    return (_weighed(d[:8], (9, 8, 7, 6, 5, 4, 3, 2)) - d[8]) % 11 == 0 and any(d)


def _nif(d: Digits) -> bool:
    return (11 - _weighed(d[:8], (9, 8, 7, 6, 5, 4, 3, 2))) % 11 % 10 == d[8] and d[0] > 0


def _afm(d: Digits) -> bool:
    return _weighed(d[:8], (256, 128, 64, 32, 16, 8, 4, 2)) % 11 % 10 == d[8]


def _taj(d: Digits) -> bool:
    return _weighed(d[:8], (3, 7, 3, 7, 3, 7, 3, 7)) % 10 == d[8]


def _egn(d: Digits) -> bool:
    month = _pair(d, 2)
    month -= 40 if month > 40 else 20 if month > 20 else 0
    return _dated(_pair(d, 4), month) and _weighed(d[:9], (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 == d[9]


def _rodne_cislo(d: Digits) -> bool:
    if not _dated(_pair(d, 4), _pair(d, 2) % 50 % 20):
        return False
    return int("".join(map(str, d[:9]))) % 11 % 10 == d[9]


def _svnr(d: Digits) -> bool:
    return d[0] > 0 and _weighed(d, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == d[3]


def _personnummer(d: Digits) -> bool:
    day = _pair(d, 4)
    return _dated(day - 60 if day > 60 else day, _pair(d, 2)) and luhn(d)


def _kennitala(d: Digits) -> bool:
    day = _pair(d, 0)
    dated = d[9] in {0, 9} and _dated(day - 40 if day > 40 else day, _pair(d, 2))
    return dated and _weighed(d, (3, 2, 7, 6, 5, 4, 3, 2, 1, 0)) % 11 == 0


def _nhs(d: Digits) -> bool:
    return _weighed(d, (10, 9, 8, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _cpr(d: Digits) -> bool:
    """Check Denmark's numbers of before October 2007; later ones have no check and need their hyphen or a word."""
    return _dated(_pair(d, 0), _pair(d, 2)) and _weighed(d, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _adoazonosito(d: Digits) -> bool:
    """Check Hungary's tax number of a person (Act CL of 2017, annex 1)."""
    return d[0] == 8 and _weighed(d[:9], (1, 2, 3, 4, 5, 6, 7, 8, 9)) % 11 == d[9]


def _cns(d: Digits) -> bool:
    """Check Brazil's health card (CNS)."""
    return d[0] in {1, 2, 7, 8, 9} and _weighed(d, range(15, 0, -1)) % 11 == 0


def _pesel(d: Digits) -> bool:
    return _dated(_pair(d, 4), _pair(d, 2) % 20) and _weighed(d, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def _rijksregister(d: Digits) -> bool:
    month = _pair(d, 2) % 20
    if month > 12 or _pair(d, 2) > 52:  # months of bis numbers are 20 or 40 higher; days may run over
        return False
    number, check = int("".join(map(str, d[:9]))), _pair(d, 9)
    return check in {97 - number % 97, 97 - (2_000_000_000 + number) % 97}


def _oib(d: Digits) -> bool:
    return _mod_11_10(d)


def _baltic(d: Digits) -> bool:
    if not (d[0] == 9 or (d[0] and _dated(_pair(d, 5), _pair(d, 3)))):  # 9: Lithuania, no date known
        return False
    check = _weighed(d[:10], (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = _weighed(d[:10], (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11
    return check % 10 == d[10]


def _personas_kods(d: Digits) -> bool:
    if d[0] > 3:
        return _weighed(d, (9, 1, 4, 8, 3, 10, 2, 5, 7, 6, 1)) % 11 == 3
    if not (_pair(d, 0) == 32 or _dated(_pair(d, 0), _pair(d, 2))):
        return False
    return (1 + _weighed(d[:10], (10, 5, 8, 4, 2, 1, 6, 3, 7, 9))) % 11 % 10 == d[10]


def _idnr(d: Digits) -> bool:
    counts = [count for count in map(d[:10].count, set(d[:10])) if count > 1]
    return d[0] > 0 and len(counts) == 1 and counts[0] < 4 and _mod_11_10(d)


def _amka(d: Digits) -> bool:
    return _dated(_pair(d, 0), _pair(d, 2)) and luhn(d)


def _fodselsnummer(d: Digits) -> bool:
    first = (11 - _weighed(d[:9], (3, 7, 6, 1, 8, 9, 4, 5, 2))) % 11
    if first != d[9] or (11 - _weighed(d[:10], (5, 4, 3, 2, 7, 6, 5, 4, 3, 2))) % 11 != d[10]:
        return False
    day, month = _pair(d, 0), _pair(d, 2)
    return _dated(day - 40 if day > 40 else day, month - 40 if month > 40 else month)


def _cpf(d: Digits) -> bool:
    first = (11 - _weighed(d[:9], (10, 9, 8, 7, 6, 5, 4, 3, 2))) % 11 % 10
    second = (11 - _weighed(d[:10], (11, 10, 9, 8, 7, 6, 5, 4, 3, 2))) % 11 % 10
    return first == d[9] and second == d[10] and len(set(d)) > 1


def _cnp(d: Digits) -> bool:
    if not (d[0] and _dated(_pair(d, 5), _pair(d, 3)) and _pair(d, 7)):
        return False
    check = _weighed(d[:12], (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return (1 if check == 10 else check) == d[12]


def _emso(d: Digits) -> bool:
    if not _dated(_pair(d, 0), _pair(d, 2)):
        return False
    return -_weighed(d[:12], (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11 % 10 == d[12]


def _ahv(d: Digits) -> bool:
    return tuple(d[:3]) == (7, 5, 6) and _weighed(d, (1, 3) * 6 + (1,)) % 10 == 0


def _luxembourg(d: Digits) -> bool:
    """Check year, month, day, Luhn over eleven digits and Verhoeff over the same eleven (law of 19 June 2013)."""
    if not (18 <= _pair(d, 0) <= 20 and _dated(_pair(d, 6), _pair(d, 4)) and luhn(d[:12])):
        return False
    from stdnum import verhoeff

    digits = "".join(map(str, d))
    return bool(verhoeff.is_valid(digits[:11] + digits[12]) or verhoeff.is_valid(digits))


def _cnpj(d: Digits) -> bool:
    first = (11 - _weighed(d[:12], (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))) % 11 % 10
    second = (11 - _weighed(d[:13], (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2))) % 11 % 10
    return first == d[12] and second == d[13] and any(d)


def _nir(d: Digits) -> bool:
    return d[0] in {1, 2, 3, 4, 7, 8} and 97 - int("".join(map(str, d[:13]))) % 97 == _pair(d, 13)


NUMBERS: dict[int, dict[str, Callable[[Digits], bool]]] = {
    9: {"nl.bsn": _bsn, "pt.nif": _nif, "gr.vat": _afm, "hu.taj": _taj},
    10: {
        "bg.egn": _egn, "cz.rc": _rodne_cislo, "at.vnr": _svnr, "se.personnummer": _personnummer,
        "is_.kennitala": _kennitala, "gb.nhs": _nhs, "dk": _cpr, "hu": _adoazonosito,
    },
    11: {
        "pl.pesel": _pesel, "be.nn": _rijksregister, "hr.oib": _oib, "ee.ik": _baltic, "lt.asmens": _baltic,
        "lv.pvn": _personas_kods, "de.idnr": _idnr, "gr.amka": _amka, "no.fodselsnummer": _fodselsnummer,
        "br.cpf": _cpf,
    },
    12: {"se.personnummer": lambda d: _pair(d, 0) in {18, 19, 20} and _personnummer(d[2:])},
    13: {"ro.cnp": _cnp, "si.emso": _emso, "ch.ssn": _ahv, "lu": _luxembourg},
    14: {"br.cnpj": _cnpj},
    15: {"fr.nir": _nir, "br": _cns},
}  # fmt: skip
"""Digits → numbers that have so many, under python-stdnum's names, and their checks."""

MIXED = re.compile(
    r"(?:"
    r"(?P<fi>[0-3][0-9][01][0-9]{3}(?:[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y]|[-+a][0-9]{3}[0-9a-fhj-npr-y]))"
    r"|(?P<es>[0-9]{8}-?[A-HJ-NP-TV-Z]|[0-9]{2}\.[0-9]{3}\.[0-9]{3}-?[A-HJ-NP-TV-Z])"
    r"|(?P<es_checked>[0-9]{8}(?: [A-HJ-NP-TV-Z]|-?[a-hj-np-tv-z])|[0-9]{2}\.[0-9]{3}\.[0-9]{3}(?: [A-HJ-NP-TV-Z]|-?[a-hj-np-tv-z]))"
    r"|(?P<cy>[0-9]{8}[A-Z])"
    r"|(?P<ie>[0-9]{7}(?:[A-W][A-IWTX]?|[a-w][a-i]?))"
    r"|(?P<mt>[0-9]{5,7}[MGAPLHBZ])"
    r"|(?P<pt>[0-9]{8} ?[0-9] ?[A-Z0-9]{2}[0-9])"
    r"|(?P<dk>[0-3][0-9][01][0-9]{3}-[0-9]{4})"
    r"|(?P<lv>32[0-9]{4}-[0-9]{5})"
    r"|(?P<se>[0-9]{6}\+[0-9]{4})"
    r"|(?P<de>[0-9]{2} ?[0-9]{6} ?[A-Z] ?[0-9]{3})"
    r"|(?P<fr>[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3}(?: ?[0-9]{2})?)"
    r"|(?P<br>[0-9]{2}\.?[0-9A-Z]{3}\.?[0-9A-Z]{3}/[0-9A-Z]{4}-?[0-9]{2})"
    r"|(?P<pl>[0-9]{2}(?:[ \-]?[0-9]{4}){6})"
    r"|(?P<hu>[0-9]{8}(?:[ \-][0-9]{8}){1,2}|[0-9]{24})"
    r"|(?P<cz>(?:[0-9]{2,6}-[0-9]{2,10}|[0-9]{8,10})/[0-9]{4})"
    r")(?!\w|-\w|[.,/][0-9])"
)
"""Numbers that begin with a digit and hold letters or have a layout of their own, domestic accounts among them; the
group's name is the country."""

LETTERED = re.compile(
    r"(?:"
    r"(?P<it>[A-Za-z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRSTabcdehlmprst][0-9LMNP-V]{2}[A-Za-z][0-9LMNP-V]{3}[A-Za-z])"
    r"|(?P<it_spaced>[A-Z]{3} [A-Z]{3} [0-9]{2}[ABCDEHLMPRST][0-9]{2} [A-Z][0-9]{3}[A-Z])"
    r"|(?P<es>[XYZ][ \-]?[0-9]{7}[ \-]?[A-HJ-NP-TV-Z])"
    r"|(?P<es_nie>[xyz]-?[0-9]{7}-?[a-hj-np-tv-z])"
    r"|(?P<gb_small>[a-ceghj-pr-tw-z][a-ceghj-npr-tw-z] [0-9]{2} [0-9]{2} [0-9]{2} [a-d])"
    r"|(?P<br>MG-?[0-9]{2}\.[0-9]{3}\.[0-9]{3})"
    r"|(?P<gb>[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D])"
    r"|(?P<de_health>[A-Z][0-9]{9})"
    r"|(?P<vat>ATU ?[0-9]{8}|BE ?[01][0-9]{3}[ .]?[0-9]{3}[ .]?[0-9]{3}|BG ?[0-9]{9,10}|HR ?[0-9]{11}|CY ?[0-9]{8}[A-Z]|CZ ?[0-9]{8,10}|DK ?[0-9]{8}|DK(?: ?[0-9]{2}){4}"
    r"|EE ?[0-9]{9}|FI ?[0-9]{8}|FR ?[0-9A-HJ-NP-Z]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}|DE ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}|(?:EL|GR) ?[0-9]{9}|HU ?[0-9]{8}"
    r"|IE ?[0-9][0-9A-Z][0-9]{5}[A-W][A-I]?|IT ?[0-9]{11}|LV ?[0-9]{11}|LT ?[0-9]{9}(?:[0-9]{3})?|LU ?[0-9]{8}|MT ?[0-9]{8}|NL ?[0-9]{9}B[0-9]{2}"
    r"|PL ?[0-9]{10}|PT ?[0-9]{9}|RO ?[0-9]{7,10}|SK ?[0-9]{10}|SI ?[0-9]{8}|ES ?[0-9A-Z][0-9]{7}[0-9A-Z]|SE ?[0-9]{12}|(?:GB|XI) ?[0-9]{3} ?[0-9]{4} ?[0-9]{2}(?:[0-9]{3})?"
    r"|CHE[ \-]?[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}|NO ?[0-9]{3} ?[0-9]{3} ?[0-9]{3} ?MVA)"
    r")(?!\w|-\w|[.,/][0-9])"
)
"""Numbers that begin with letters; ``vat`` are VAT numbers with their country's prefix (Directive 2006/112/EC, art. 215)."""


def known_number(digits: str) -> bool:
    """Say whether a run of digits is a national number with valid check digits and, where it has one, a valid date."""
    checks = NUMBERS.get(len(digits))
    if checks is None:
        return False
    numbers = [int(digit) for digit in digits]
    return any(check(numbers) for check in checks.values())


def _stdnum(module: Any, number: str) -> bool:
    return bool(module.is_valid(number))


def known_mixed(country: str, text: str) -> bool:
    """Say whether a candidate of :data:`MIXED` or :data:`LETTERED` stands up to its country's check.

    Args:
        country: name of the group that matched.
        text: what matched, in the folded view.
    """
    compact = re.sub(r"[ .\-/]", "", text)
    check = _CHECKS.get(country)
    return check is None or check(text, compact)


def _finland(text: str, _compact: str) -> bool:
    number, check = text[:6] + text[7:10], text[10].upper()
    danish = text[6] == "-" and check.isdigit()  # written alike; Denmark gave up its check digit in 2007
    return "01" <= text[2:4] <= "12" and (danish or "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(number) % 31] == check)


def _italy(_text: str, compact: str) -> bool:
    from stdnum.it import codicefiscale

    return _stdnum(codicefiscale, compact)


def _ireland(_text: str, compact: str) -> bool:
    """Check a PPS number; Malta's identity numbers, which have no check but begin with 0, may look alike."""
    from stdnum.ie import pps

    return (len(compact) == 8 and compact[0] == "0" and compact[7] in "MGAPLHBZ") or _stdnum(pps, compact.upper())


def _spain(_text: str, compact: str) -> bool:
    digits = compact[:-1].upper().translate({ord("X"): "0", ord("Y"): "1", ord("Z"): "2"})
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(digits) % 23] == compact[-1].upper()


def _germany_pension(_text: str, compact: str) -> bool:
    """Check a German pension insurance number (VKVV § 4): cross sums of weighed digits, the letter as two."""
    if not _dated(int(compact[2:4]) % 50 or 1, int(compact[4:6])):
        return False
    digits = f"{compact[:8]}{ord(compact[8]) - 64:02d}{compact[9:11]}"
    weights = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1)
    total = sum(sum(divmod(int(digit) * weight, 10)) for digit, weight in zip(digits, weights, strict=True))
    return total % 10 == int(compact[11])


def _poland_account(_text: str, compact: str) -> bool:
    return int(f"{compact[2:]}2521{compact[:2]}") % 97 == 1  # an IBAN of PL without its letters


def _hungary_account(_text: str, compact: str) -> bool:
    parts = (compact[:8], compact[8:])
    weights = (9, 7, 3, 1) * 4
    return len(set(compact)) > 1 and all(
        sum(weight * int(digit) for weight, digit in zip(weights, part, strict=False)) % 10 == 0 for part in parts
    )


def _czech_account(text: str, _compact: str) -> bool:
    weights = (6, 3, 7, 9, 10, 5, 8, 4, 2, 1)
    parts = [part.zfill(10) for part in text.partition("/")[0].split("-")]
    return all(_weighed([int(digit) for digit in part], weights) % 11 == 0 for part in parts)


def _portugal(_text: str, compact: str) -> bool:
    from stdnum.pt import cc

    return not compact.isdigit() and _stdnum(cc, compact)


def _brazil(_text: str, compact: str) -> bool:
    """Check a CNPJ, also one with letters (Receita Federal, IN RFB 2.229/2024)."""
    return _cnpj([ord(sign) - 48 for sign in compact])


def _germany(_text: str, compact: str) -> bool:
    """Check a health insurance number: the letter as two digits, alternate weights, sum modulo 10 (§ 290 SGB V)."""
    digits = f"{ord(compact[0]) - 64:02d}{compact[1:9]}"
    total = sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(digits))
    return total % 10 == int(compact[9])


def _france(text: str, compact: str) -> bool:
    """Check a NIR by its key; without one it must be written in its groups."""
    if len(compact) == 13:
        return text.count(" ") == 5 and "01" <= compact[3:5] <= "12"
    corsican = compact.replace("2A", "19").replace("2B", "18")
    return len(corsican) == 15 and _nir([int(digit) for digit in corsican])


def _sweden(_text: str, compact: str) -> bool:
    return _personnummer([int(digit) for digit in compact.replace("+", "")])


_CHECKS: dict[str, Callable[[str, str], bool]] = {
    "it": _italy,
    "it_spaced": _italy,
    "fi": _finland,
    "ie": _ireland,
    "dk": lambda _text, compact: "01" <= compact[:2] <= "31" and "01" <= compact[2:4] <= "12",
    "fr": _france,
    "pt": _portugal,
    "br": lambda text, compact: "/" not in text or _brazil(text, compact),
    "de": _germany_pension,
    "de_health": _germany,
    "es_checked": _spain,
    "es_nie": _spain,
    "se": _sweden,
    "pl": _poland_account,
    "hu": _hungary_account,
    "cz": _czech_account,
}
"""Country → check; the others' layout (digits, then a letter of a short list) is all the check we make."""

CHECKED = frozenset(_CHECKS) - {"dk", "fi"}
"""Groups of :data:`MIXED` and :data:`LETTERED` whose check digits say something (Finland's and Denmark's numbers are written alike)."""

# ruff: noqa: E501 (tables of patterns read better whole)
"""National identity numbers of the EU, EEA, UK and Switzerland, told by layout and check digits.

Does not search text: it judges one candidate. python-stdnum checks most numbers; Hungary's TAJ, Malta, Cyprus,
Luxembourg, Finland's newer signs, Liechtenstein (as Switzerland) and the numbers without a check digit are judged here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import cast

Check = Callable[[str], bool]

_BY_LENGTH: dict[int, tuple[str, ...]] = {
    9: ("nl.bsn", "pt.nif", "gr.vat"),
    10: ("bg.egn", "cz.rc", "at.vnr", "se.personnummer", "is_.kennitala", "gb.nhs"),
    11: ("pl.pesel", "be.nn", "hr.oib", "ee.ik", "lt.asmens", "lv.pvn", "de.idnr", "gr.amka", "no.fodselsnummer"),
    12: ("se.personnummer",),
    13: ("ro.cnp", "si.emso", "ch.ssn"),
    15: ("fr.nir",),
}
"""Digits → modules of python-stdnum that may know the number."""

ALNUM = re.compile(
    r"(?<![\w#])(?:"
    r"(?P<it>[A-Z]{6}[0-9LMNP-V]{2}[ABCDEHLMPRST][0-9LMNP-V]{2}[A-Z][0-9LMNP-V]{3}[A-Z])"
    r"|(?P<it_spaced>[A-Z]{3} [A-Z]{3} [0-9]{2}[ABCDEHLMPRST][0-9]{2} [A-Z][0-9]{3}[A-Z])"
    r"|(?P<fi>[0-3][0-9][01][0-9]{3}[-+A-FU-Y][0-9]{3}[0-9A-FHJ-NPR-Y])"
    r"|(?P<es>[0-9]{8}[ \-]?[A-HJ-NP-TV-Z]|[0-9]{2}\.[0-9]{3}\.[0-9]{3}[ \-]?[A-HJ-NP-TV-Z]|[XYZ][ \-]?[0-9]{7}[ \-]?[A-HJ-NP-TV-Z])"
    r"|(?P<cy>[0-9]{8}[A-Z])"
    r"|(?P<ie>[0-9]{7}[A-W][A-IWTX]?)"
    r"|(?P<mt>[0-9]{5,7}[MGAPLHBZ])"
    r"|(?P<gb>[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D])"
    r"|(?P<pt>[0-9]{8} ?[0-9] ?[A-Z0-9]{2}[0-9])"
    r"|(?P<dk>[0-3][0-9][01][0-9]{3}-[0-9]{4})"
    r"|(?P<lv>32[0-9]{4}-[0-9]{5})"
    r"|(?P<fr>[12] ?[0-9]{2} ?(?:0[1-9]|1[0-2]|[2-9][0-9]) ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3}(?: ?[0-9]{2})?)"
    r")(?!\w|-\w|[.,/][0-9])"
)
"""Numbers with letters or with a layout of their own; the group's name is the country."""

_LOWER = re.compile(r"(?i:(?<!\w)[a-z]{6}[0-9]{2}[a-z][0-9]{2}[a-z][0-9]{3}[a-z](?!\w))")


@cache
def _stdnum(name: str) -> Check:
    module = import_module(f"stdnum.{name}")
    return cast("Check", module.is_valid)


def known_number(digits: str) -> bool:
    """Say whether a run of digits is a national number with valid check digits and, where it has one, a valid date."""
    names = _BY_LENGTH.get(len(digits), ())
    if len(digits) == 13 and digits.isdigit() and _luxembourg(digits):
        return True
    if len(digits) == 9 and _taj(digits):
        return True
    return any(_stdnum(name)(digits) for name in names)


def _taj(digits: str) -> bool:
    total = sum(int(digit) * (3, 7)[place % 2] for place, digit in enumerate(digits[:8]))
    return total % 10 == int(digits[8])


def _luxembourg(digits: str) -> bool:
    """Check year, month, day, Luhn over eleven digits and Verhoeff over the same eleven (law of 19 June 2013)."""
    if not ("18" <= digits[:2] <= "20" and "01" <= digits[4:6] <= "12" and "01" <= digits[6:8] <= "31"):
        return False
    from stdnum import luhn, verhoeff

    return bool(luhn.is_valid(digits[:12])) and bool(
        verhoeff.is_valid(digits[:11] + digits[12]) or verhoeff.is_valid(digits)
    )


def known_mixed(country: str, text: str) -> bool:
    """Say whether a candidate of :data:`ALNUM` stands up to its country's check.

    Args:
        country: name of the group that matched.
        text: what matched, in the folded view.
    """
    compact = re.sub(r"[ .\-]", "", text)
    if country in {"it", "it_spaced"}:
        return bool(_stdnum("it.codicefiscale")(compact))
    if country == "fi":
        number, check = text[:6] + text[7:10], text[10]
        danish = text[6] == "-" and check.isdigit()  # written alike; Denmark gave up its check digit in 2007
        return "01" <= text[2:4] <= "12" and (danish or "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(number) % 31] == check)
    if country == "ie":
        return bool(_stdnum("ie.pps")(compact))
    if country == "dk":
        return "01" <= compact[:2] <= "31" and "01" <= compact[2:4] <= "12"
    if country == "fr":
        return _france(compact)
    if country == "pt":
        return not compact.isdigit() and bool(_stdnum("pt.cc")(compact))
    return True  # es, cy, mt, gb, lv: the layout (digits, then a letter of a short list) is all the check we make


def _france(compact: str) -> bool:
    corsican = compact.replace("2A", "19").replace("2B", "18")
    if len(corsican) == 15:
        return 97 - int(corsican[:13]) % 97 == int(corsican[13:])
    return False

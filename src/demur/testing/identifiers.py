"""Identifiers to plant in texts: formats and checksums as their issuers publish them, values by chance.

Every value is unique enough to be found by searching for it. ``National.checked`` says whether a checksum stands
behind the number; where none exists or none is known here, nothing is claimed. Values belong to nobody on purpose,
addresses of hosts and mail lie in reserved ranges (RFC 2606, RFC 3849, RFC 6598).
Source of checks: python-stdnum where it knows the number; otherwise the rule named beside the function.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from demur.testing.dice import Dice

_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class National:
    """How one country numbers people."""

    name: str
    shape: str
    """``#`` digit, ``@`` letter, ``yymmdd`` and the like a birth date, ``?`` or ``??`` what the check decides."""
    check: str | None
    """Module of python-stdnum, or the name of a check of ours; ``None`` = a number without a checksum."""

    @property
    def checked(self) -> bool:
        """Whether a checksum stands behind it."""
        return self.check is not None


NATIONAL: dict[str, National] = {
    "AT": National("svnr", "###?ddmmyy", "at.vnr"),
    "BE": National("rijksregisternummer", "yymmdd###??", "be.nn"),
    "BG": National("egn", "yymmdd###?", "bg.egn"),
    "HR": National("oib", "##########?", "hr.oib"),
    "CY": National("tic", "00######?", "cy.vat"),
    "CZ": National("rodne_cislo", "yymmdd###?", "cz.rc"),
    "DK": National("cpr", "ddmmyy###?", "own.dk"),
    "EE": National("isikukood", "3yymmdd###?", "ee.ik"),
    "FI": National("hetu", "ddmmyy-###?", "fi.hetu"),
    "FR": National("nir", "1yymm75######??", "fr.nir"),
    "DE": National("steuer_id", "##########?", "de.idnr"),
    "GR": National("amka", "ddmmyy####?", "gr.amka"),
    "HU": National("adoazonosito", "8########?", "own.hu"),
    "IE": National("pps", "#######?A", "ie.pps"),
    "IT": National("codice_fiscale", "@@@@@@yyM15H501?", "it.codicefiscale"),
    "LV": National("personas_kods", "ddmmyy-1###?", "lv.pvn"),
    "LT": National("asmens_kodas", "3yymmdd###?", "lt.asmens"),
    "LU": National("matricule", "yyyymmdd###??", "own.lu"),
    "MT": National("id_card", "#######M", None),
    "NL": National("bsn", "########?", "nl.bsn"),
    "PL": National("pesel", "yymmdd####?", "pl.pesel"),
    "PT": National("nif", "2#######?", "pt.nif"),
    "RO": National("cnp", "1yymmdd01###?", "ro.cnp"),
    "SK": National("rodne_cislo", "yymmdd###?", "sk.rc"),
    "SI": National("emso", "ddmm9yy500##?", "si.emso"),
    "ES": National("dni", "########?", "es.dni"),
    "SE": National("personnummer", "yymmdd-###?", "se.personnummer"),
    "IS": National("kennitala", "ddmmyy-##?9", "is_.kennitala"),
    "LI": National("peid", "#########", None),
    "NO": National("fodselsnummer", "ddmmyy###??", "no.fodselsnummer"),
    "GB": National("nhs_number", "#########?", "gb.nhs"),
    "CH": National("ahv", "756.####.####.#?", "ch.ssn"),
    "BR": National("cpf", "#########??", "br.cpf"),
    "US": National("ssn", "2##-4#-####", None),
}

_BBAN: dict[str, str] = {
    "AT": "#" * 16, "BE": "##########??", "BG": "BULB######" + "#" * 8, "CH": "#" * 17, "CY": "#" * 24,
    "CZ": "#" * 20, "DE": "#" * 18, "DK": "#" * 14, "EE": "#" * 16, "ES": "########??##########", "FI": "#" * 14,
    "FR": "#" * 21 + "??", "GB": "LONB" + "#" * 14, "GR": "#" * 23, "HR": "#" * 17, "HU": "#" * 24,
    "IE": "DUBB" + "#" * 14, "IS": "#" * 22, "IT": "X" + "#" * 22, "LI": "#" * 17, "LT": "#" * 16, "LU": "#" * 16,
    "LV": "RIGB" + "#" * 13, "MT": "MALT" + "#" * 23, "NL": "AMBA" + "#" * 10, "NO": "##########?", "PL": "#" * 24,
    "PT": "#" * 19 + "??", "RO": "BUCB" + "#" * 16, "SE": "#" * 20, "SI": "#" * 13 + "??", "SK": "#" * 20,
}  # fmt: skip

_PHONE: dict[str, tuple[str, ...]] = {
    "AT": ("+43 664 ### ## ##", "0664 / ### ## ##"), "BE": ("+32 47# ## ## ##", "047#/##.##.##"),
    "BG": ("+359 88 ### ####",), "HR": ("+385 91 ### ####",), "CY": ("+357 99 ######",), "CZ": ("+420 60# ### ###",),
    "DK": ("+45 2# ## ## ##",), "EE": ("+372 5### ####",), "FI": ("+358 40 ### ####", "040 ### ####"),
    "FR": ("+33 6 ## ## ## ##", "06 ## ## ## ##"), "DE": ("+49 151 ########", "030 / ########"),
    "GR": ("+30 69# ### ####",), "HU": ("+36 30 ### ####",), "IE": ("+353 85 ### ####", "085 ### ####"),
    "IT": ("+39 34# ### ####", "34# #######"), "LV": ("+371 2### ####",), "LT": ("+370 6## #####",),
    "LU": ("+352 621 ### ###",), "MT": ("+356 79## ####",), "NL": ("+31 6 ########", "06-########"),
    "PL": ("+48 60# ### ###",), "PT": ("+351 91# ### ###",), "RO": ("+40 72# ### ###", "072# ### ###"),
    "SK": ("+421 90# ### ###",), "SI": ("+386 40 ### ###",), "ES": ("+34 6## ### ###", "6## ## ## ##"),
    "SE": ("+46 70 ### ## ##", "070-### ## ##"), "IS": ("+354 69# ####",), "LI": ("+423 79# ## ##",),
    "NO": ("+47 4## ## ###",), "GB": ("+44 7### ######", "07### ######"), "CH": ("+41 79 ### ## ##", "079 ### ## ##"),
    "BR": ("+55 11 9####-####", "(11) 9####-####"), "US": ("+1 (212) 555-####", "212-555-####"),
}  # fmt: skip

_PLATE: dict[str, str] = {
    "AT": "W-#####@", "BE": "1-@@@-###", "CH": "ZH ######", "DE": "B-@@ ####", "DK": "@@ ## ###", "ES": "#### @@@",
    "FR": "@@-###-@@", "GB": "@@## @@@", "IT": "@@ ###@@", "NL": "@@-###-@", "PL": "WA #####", "PT": "@@-##-@@",
    "SE": "@@@ ##@", "NO": "@@ #####", "RO": "B ### @@@", "BR": "@@@#@##", "CZ": "#@# ####", "FI": "@@@-###",
}  # fmt: skip

TYPES = ("email", "phone", "iban", "card", "national_id", "plate", "ip", "url", "handle")


def planted(type_: str, country: str, mark: str, dice: Dice) -> tuple[str, str]:
    """Return (exact type, value) of one identifier of a country; ``mark`` makes mail, handle and URL unique."""
    if type_ == "national_id":
        found = NATIONAL.get(country, NATIONAL["DE"])
        return f"national_id:{country if country in NATIONAL else 'DE'}:{found.name}", national(country, dice)
    makers: dict[str, Callable[[], str]] = {
        "email": lambda: (
            f"{dice.pick(('info', 'me', 'post', 'hello'))}.{mark}.{dice.digits(4)}@mail-{dice.digits(2)}.example"
        ),
        "phone": lambda: filled(dice.pick(_PHONE.get(country, _PHONE["US"])), dice),
        "iban": lambda: iban(country, dice),
        "card": lambda: card(dice),
        "plate": lambda: filled(_PLATE.get(country, "@@@-####"), dice),
        "ip": lambda: _address(dice),
        "url": lambda: f"https://shop.example/member/{mark}?id={dice.digits(9)}",
        "handle": lambda: f"@guest_{mark}_{dice.digits(4)}",
    }
    return type_, makers[type_]()


def national(country: str, dice: Dice) -> str:
    """Return a number of a person as that country writes it; with a valid checksum where ``NATIONAL`` says so."""
    kind = NATIONAL.get(country, NATIONAL["DE"])
    for _ in range(400):
        made = filled(kind.shape, dice)
        if kind.check is None:
            return made
        valid = checker(kind.check)
        for candidate in _completions(made, letters=kind.check in _LETTER_CHECKS):
            if valid(candidate):
                return candidate
    raise AssertionError(f"no valid number found for {kind.name}: its shape is wrong")


_LETTER_CHECKS = frozenset({"es.dni", "fi.hetu", "ie.pps", "it.codicefiscale", "cy.vat"})


@cache
def checker(check: str) -> Callable[[str], bool]:
    """Return the function that validates a number: python-stdnum's, or ours."""
    own = {"own.dk": _valid_dk, "own.hu": _valid_hu, "own.lu": _valid_lu}
    if check in own:
        return own[check]
    module: Any = importlib.import_module(f"stdnum.{check}")
    return lambda number: bool(module.is_valid(number))


def iban(country: str, dice: Dice) -> str:
    """Return an IBAN with valid check digits (ISO 13616, ISO 7064 mod 97-10), in groups of four half of the time."""
    where = country if country in _BBAN else "DE"
    found: str | None = None
    while found is None:  # some bodies have no valid national check digit
        bodies = _completions(filled(_BBAN[where], dice), letters=False)
        found = next((each for each in (_with_check(where, body) for body in bodies) if _known_iban(each)), None)
    if dice.chance(0.5):
        return found
    return " ".join(found[at : at + 4] for at in range(0, len(found), 4))


def card(dice: Dice) -> str:
    """Return a card number with a valid Luhn digit (ISO/IEC 7812-1), in groups of four."""
    body = dice.pick(("4", "51", "53", "55"))
    body += dice.digits(15 - len(body))
    digit = next(last for last in "0123456789" if _luhn(body + last))
    return " ".join((body + digit)[at : at + 4] for at in range(0, 16, 4))


def filled(shape: str, dice: Dice) -> str:
    """Return a shape with its digits, letters and dates drawn; ``?`` stays for the check."""
    year, month, day = dice.between(1941, 1999), dice.between(1, 12), dice.between(1, 28)
    shape = shape.replace("yyyymmdd", f"{year}{month:02}{day:02}").replace(
        "yymmdd", f"{year % 100:02}{month:02}{day:02}"
    )
    shape = shape.replace("ddmmyy", f"{day:02}{month:02}{year % 100:02}").replace("ddmm", f"{day:02}{month:02}")
    shape = shape.replace("yymm", f"{year % 100:02}{month:02}").replace("yy", f"{year % 100:02}")
    return "".join(
        str(dice.below(10)) if sign == "#" else dice.pick(_LETTERS) if sign == "@" else sign for sign in shape
    )


def _completions(shape: str, *, letters: bool) -> Iterable[str]:
    blanks = shape.count("?")
    if blanks == 0:
        return (shape,)
    if blanks == 2:
        return (shape.replace("??", f"{value:02}") for value in range(100))
    signs = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ" if letters else "0123456789"
    return (shape.replace("?", sign) for sign in signs)


@cache
def _iban_module() -> Any:
    return importlib.import_module("stdnum.iban")


def _known_iban(number: str) -> bool:
    return bool(_iban_module().is_valid(number))


def _with_check(country: str, bban: str) -> str:
    number = "".join(str(int(sign, 36)) for sign in f"{bban}{country}00")
    return f"{country}{98 - int(number) % 97:02}{bban}"


def _luhn(number: str) -> bool:
    total = 0
    for place, sign in enumerate(reversed(number)):
        digit = int(sign) * (1 + place % 2)
        total += digit - 9 if digit > 9 else digit
    return total % 10 == 0


_VERHOEFF_D = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
               "5987604321", "6598710432", "7659821043", "8765932104", "9876543210")  # fmt: skip
_VERHOEFF_P = ("0123456789", "1576283094", "5803796142", "8916043527",
               "9453126870", "4286573901", "2793806415", "7046913258")  # fmt: skip


def _verhoeff(number: str) -> bool:
    check = 0
    for place, sign in enumerate(reversed(number)):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[place % 8][int(sign)])])
    return check == 0


def _valid_dk(number: str) -> bool:
    """Denmark: weights 4 3 2 7 6 5 4 3 2 1, mod 11; the CPR office gave out only such numbers until 2007."""
    return (
        sum(weight * int(sign) for weight, sign in zip((4, 3, 2, 7, 6, 5, 4, 3, 2, 1), number, strict=True)) % 11 == 0
    )


def _valid_lu(number: str) -> bool:
    """Luxembourg: digit 12 by Luhn and digit 13 by Verhoeff, both over the first eleven (CTIE, matricule 13)."""
    return _luhn(number[:12]) and _verhoeff(number[:11] + number[12])


def _valid_hu(number: str) -> bool:
    """Hungary, tax identification of a person: weights 1 to 9, mod 11 (Act CL of 2017, annex 1)."""
    total = sum(weight * int(sign) for weight, sign in enumerate(number[:9], start=1))
    return total % 11 == int(number[9])


def _address(dice: Dice) -> str:
    if dice.chance(0.5):
        return f"100.{dice.between(64, 127)}.{dice.below(256)}.{dice.between(1, 254)}"
    return f"2001:db8:{dice.below(65536):x}:{dice.below(65536):x}::{dice.between(1, 65535):x}"

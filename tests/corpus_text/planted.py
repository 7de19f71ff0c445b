# ruff: noqa: E501 (tables of patterns read better whole)
"""Identifiers of our own making for the tests: valid check digits over drawn digits, and look-alikes that must stay."""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib import import_module

from demur.corpus.redact_numbers import IBAN_LENGTHS

Draw = Callable[[random.Random], str]


def digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choice("0123456789") for _ in range(count))


def _valid(module: str, draw: Draw) -> Draw:
    check = import_module(f"stdnum.{module}").is_valid

    def drawn(chance: random.Random) -> str:
        while True:
            value = draw(chance)
            if check(value):
                return value

    return drawn


def _born(pattern: str, tail: int) -> Draw:
    def drawn(chance: random.Random) -> str:
        year, month, day = chance.randrange(50, 100), chance.randrange(1, 13), chance.randrange(1, 29)
        return pattern.format(y=f"{year:02d}", m=f"{month:02d}", d=f"{day:02d}") + digits(chance, tail)

    return drawn


def _cut(draw: Draw, *places: tuple[int, str]) -> Draw:
    def drawn(chance: random.Random) -> str:
        value = draw(chance)
        for place, sign in reversed(places):
            value = value[:place] + sign + value[place:]
        return value

    return drawn


def taj(chance: random.Random) -> str:
    base = digits(chance, 8)
    return base + str(sum(int(sign) * (3, 7)[place % 2] for place, sign in enumerate(base)) % 10)


def luxembourg(chance: random.Random) -> str:
    from stdnum import luhn, verhoeff

    base = f"19{chance.randrange(50, 99)}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}" + digits(chance, 3)
    return base + luhn.calc_check_digit(base) + verhoeff.calc_check_digit(base)


def france(chance: random.Random) -> str:
    base = chance.choice("12") + f"{chance.randrange(50, 99)}{chance.randrange(1, 13):02d}75" + digits(chance, 6)
    return f"{base}{97 - int(base) % 97:02d}"


def italy(chance: random.Random) -> str:
    from stdnum.it.codicefiscale import calc_check_digit

    letters = "".join(chance.choice("BCDFGLMNPRST") for _ in range(6))
    base = f"{letters}{chance.randrange(50, 99)}{chance.choice('ABCDEHLMPRST')}{chance.randrange(1, 29):02d}H" + digits(
        chance, 3
    )
    return base + calc_check_digit(base)


def finland(chance: random.Random) -> str:
    number = (
        f"{chance.randrange(1, 29):02d}{chance.randrange(1, 13):02d}{chance.randrange(50, 99)}",
        f"{chance.randrange(2, 899):03d}",
    )
    return f"{number[0]}-{number[1]}{'0123456789ABCDEFHJKLMNPRSTUVWXY'[int(''.join(number)) % 31]}"


def nino(chance: random.Random) -> str:
    return (
        chance.choice(["AB", "CE", "JX"])
        + " "
        + " ".join(digits(chance, 2) for _ in range(3))
        + " "
        + chance.choice("ABCD")
    )


NATIONAL: dict[str, Draw] = {
    "AT": _cut(_valid("at.vnr", lambda c: digits(c, 4) + _born("{d}{m}{y}", 0)(c)), (4, " ")),
    "BE": _cut(_valid("be.nn", _born("{y}{m}{d}", 5)), (2, "."), (4, "."), (6, "-"), (9, ".")),
    "BG": _valid("bg.egn", _born("{y}{m}{d}", 4)),
    "CH": _valid("ch.ssn", lambda c: f"756.{digits(c, 4)}.{digits(c, 4)}.{digits(c, 2)}"),
    "CY": lambda c: digits(c, 8) + c.choice("ABCDE"),
    "CZ": _cut(_valid("cz.rc", _born("{y}{m}{d}", 4)), (6, "/")),
    "DE": _valid("de.idnr", lambda c: c.choice("123456789") + digits(c, 10)),
    "DK": _cut(_valid("dk.cpr", _born("{d}{m}{y}", 4)), (6, "-")),
    "EE": _valid("ee.ik", lambda c: "3" + _born("{y}{m}{d}", 4)(c)),
    "ES": lambda c: (lambda number: number + "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23])(digits(c, 8)),
    "FI": finland,
    "FR": france,
    "GB": nino,
    "GR": _valid("gr.amka", _born("{d}{m}{y}", 5)),
    "HR": _valid("hr.oib", lambda c: digits(c, 11)),
    "HU": taj,
    "IE": _valid("ie.pps", lambda c: digits(c, 7) + c.choice("ABCDEFGHIJKLMNOPQRSTUVW")),
    "IS": _cut(_valid("is_.kennitala", _born("{d}{m}{y}", 4)), (6, "-")),
    "IT": italy,
    "LT": _valid("lt.asmens", lambda c: "4" + _born("{y}{m}{d}", 4)(c)),
    "LU": luxembourg,
    "LV": _cut(_valid("lv.pvn", lambda c: _born("{d}{m}{y}", 0)(c) + "1" + digits(c, 4)), (6, "-")),
    "MT": lambda c: digits(c, 6) + c.choice("MGAPLHBZ"),
    "NL": _valid("nl.bsn", lambda c: c.choice("123456789") + digits(c, 8)),
    "NO": _valid("no.fodselsnummer", _born("{d}{m}{y}", 5)),
    "PL": _valid("pl.pesel", _born("{y}{m}{d}", 5)),
    "PT": _valid("pt.nif", lambda c: c.choice("12") + digits(c, 8)),
    "RO": _valid("ro.cnp", lambda c: "1" + _born("{y}{m}{d}", 0)(c) + f"{c.randrange(1, 47):02d}" + digits(c, 4)),
    "SE": _cut(_valid("se.personnummer", _born("{y}{m}{d}", 4)), (6, "-")),
    "SI": _valid("si.emso", _born("{d}{m}9{y}50", 4)),
    "SK": _cut(_valid("sk.rc", _born("{y}{m}{d}", 4)), (6, "/")),
}

PHONES = {
    "AT": ["0664 1234567", "+43 664 1234567", "01 5134567"], "BE": ["0470 12 34 56", "+32 470 12 34 56", "02 512 34 56"],
    "BG": ["087 812 3456", "+359 87 812 3456"], "CH": ["079 123 45 67", "+41 79 123 45 67"],
    "CY": ["+357 96 123456"], "CZ": ["602 123 456", "+420 602 123 456"],
    "DE": ["0151 23456789", "+49 151 23456789", "(030) 123456", "0049 30 123456", "030/1234567"],
    "DK": ["32 12 34 56", "+45 32 12 34 56"], "EE": ["512 3456", "+372 512 3456"], "ES": ["612 34 56 78", "+34 612 345 678"],
    "FI": ["041 2345678", "+358 41 2345678"], "FR": ["06 12 34 56 78", "06.12.34.56.78", "+33 6 12 34 56 78", "+33 (0)6 12 34 56 78"],
    "GB": ["07400 123456", "+44 7400 123456", "020 7946 0123"], "GR": ["691 234 5678", "+30 691 234 5678"],
    "HR": ["092 123 4567", "+385 92 123 4567"], "HU": ["06 20 123 4567", "+36 20 123 4567"],
    "IE": ["085 012 3456", "+353 85 012 3456"], "IS": ["611 1234", "+354 611 1234"], "IT": ["312 345 6789", "+39 312 345 6789"],
    "LT": ["0 612 34567", "+370 612 34567"], "LU": ["+352 628 123 456"], "LV": ["+371 21 234 567"], "MT": ["9696 1234", "+356 9696 1234"],
    "NL": ["06 12345678", "06-12345678", "+31 6 12345678"], "NO": ["406 12 345", "+47 406 12 345"],
    "PL": ["512 345 678", "+48 512 345 678"], "PT": ["912 345 678", "+351 912 345 678"],
    "RO": ["0712 034 567", "+40 712 034 567"], "SE": ["070-123 45 67", "+46 70 123 45 67"],
    "SI": ["031 234 567", "+386 31 234 567"], "SK": ["0912 123 456", "+421 912 123 456"],
}  # fmt: skip
"""Country → the usual spellings, national and international."""


def iban(chance: random.Random, country: str) -> str:
    inner = digits(chance, IBAN_LENGTHS[country] - 4)
    number = "".join(str(int(sign, 36)) for sign in inner + country + "00")
    whole = f"{country}{98 - int(number) % 97:02d}{inner}"
    return whole if chance.random() < 0.5 else " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))


STAYS = (
    "In 1989 and 2024 they met again.", "The season 1939-1945, later 2019-2024.", "It cost 12,50 € or 1.234.567,00 EUR.",
    "Preis: €1299.99, vorher 1 299 999 zł", "Born on 28.02.1990, 2024-02-28 or 2/28/24.", "At 12:30 they led 3:2.",
    "ISBN 978-3-16-148410-0", "978-3-16-148410-0 is a good book", "#covid2020 #euro24", "Zahlen: 5 12 23 34 41 49",
    "ICE 1234 to Berlin, LH 400", "Art. 6(1)(f) 2016/679", "48.1234, 11.5678", "v2.13.0 and version 1.2.3.4", "30x40x200 cm",
    "1.234.567 people, 21 345 678 votes", "99.5 % / 12345 / 6789", "Route 66, Boeing 747, Windows 11", "10 000 000 euros",
    "std::vector<int> a; x::y", "Ratio 16:9 at 1920x1080", "the 1990s, 24/7, 50/50", "Wir treffen uns @ 5 Uhr",
    "www.bbc.co.uk is a site", "He sat at the table and or so", "Psalm 23:4, Room 101", "abc, 123; 4567.",
)  # fmt: skip
"""Hard negatives: numbers and signs that identify nobody."""

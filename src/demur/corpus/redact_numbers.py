# ruff: noqa: E501 (tables of patterns read better whole)
"""Identifiers that are numbers: bank accounts, cards, national ids, phones.

Runs of digits are cut into groups (``0151 234 56789`` is 4-3-5) and read from the left, the longest reading first.
What is certainly something else (dates, prices, times, ISBN, law articles) is masked before. Does not replace anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from demur.corpus.redact_national import ALNUM, known_mixed, known_number
from demur.corpus.redact_patterns import Span

IBAN_LENGTHS = {
    "AD": 24, "AT": 20, "BA": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20,
    "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GI": 23, "GL": 18, "GR": 27, "HR": 21, "HU": 28, "IE": 22,
    "IS": 26, "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MT": 31,
    "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "RS": 22, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TR": 26,
    "UA": 29, "VA": 22, "XK": 20, "AL": 28, "AE": 23, "BR": 29, "SA": 24, "IL": 23,
}  # fmt: skip
"""Letters of the country → length of its IBAN (SWIFT IBAN registry)."""

_IBAN_START = re.compile(r"(?i:(?<![a-z0-9])[a-z]{2}[ \-]?[0-9]{2}(?=[ .\-]?[a-z0-9]))")
_IBAN_WORD = re.compile(r"(?i:iban\W{0,4}(?:\w{1,4}\W){0,2}$)")

_RUN = re.compile(
    r"(?<![\w#$€£+])(?<![0-9][.,:/\-])(?:(?:\+|\(\+|\(|00)[ ]?)?[0-9](?:\)?(?:[ .\-/()']|, | - | / |\. |\.-|/ |\(0\)){0,2}[0-9]){5,40}"
)
_GROUP = re.compile(r"[0-9]+")
_SEPARATORS = re.compile(r"[^0-9]+")

_MONTH = r"(?:0?[1-9]|1[0-2])"
_DAY = r"(?:0?[1-9]|[12][0-9]|3[01])"
_YEAR = r"(?:1[89]|20|21)[0-9]{2}"
_UNITS = (
    r"(?:€|\$|£|EUR|Euro|euros?|USD|GBP|CHF|zł|PLN|kr\b|SEK|NOK|DKK|Kč|CZK|Ft\b|HUF|lei|RON|лв|BGN|%|‰|°|km|cm|mm|kg|"
    r"m²|m2|kWh|MWh|GWh|MB|GB|TB|Mio|Mrd|mln|mld|million|millions|miliard|habitants|inhabitants|Einwohner|views|votes|"
    r"followers|likes|px|Hz|kHz|MHz|BPM)"
)
_OTHER = re.compile(
    rf"(?:(?<![0-9])(?<![0-9][.\-/]){_YEAR}([.\-/]){_MONTH}\1{_DAY}(?:T?[ ]?[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?Z?)?(?![0-9]|[.\-/][0-9])"
    rf"|(?<![0-9])(?<![0-9][.\-/]){_DAY}([.\-/]) ?{_MONTH}\2 ?(?:{_YEAR}|[0-9]{{2}})(?![0-9]|[.\-/][0-9]|[A-Z]\b)"
    rf"|(?<![0-9])(?<![0-9][.\-/]){_MONTH}/{_DAY}/(?:{_YEAR}|[0-9]{{2}})(?![0-9]|[.\-/][0-9])"
    rf"|(?<![0-9.\-/]){_YEAR} ?[\-/] ?{_YEAR}(?![0-9]|[.\-/][0-9])"
    r"|(?<![0-9:])[0-2]?[0-9][:.][0-5][0-9](?::[0-5][0-9])?(?: ?(?:h|Uhr|uhr|am|pm))?(?![0-9:.\-/])"
    r"|(?i:is[bs]n(?:-1[03])?:? ?)[0-9][0-9 \-]{7,16}[0-9Xx]"
    r"|(?<![0-9])97[89][ \-]?[0-9][0-9 \-]{8,12}[0-9](?![0-9])"
    r"|(?i:(?:doi:? ?|arxiv:? ?)10?[0-9./a-z\-]+)"
    rf"|(?:[€$£]|EUR|USD|GBP|CHF) ?[0-9][0-9.,' ]*[0-9]"
    rf"|(?<![0-9+])(?<![0-9+][ .,])[1-9][0-9]{{0,2}}(?:([ .,'])[0-9]{{3}})?(?:\3[0-9]{{3}})*(?:[.,][0-9]{{1,2}})? ?{_UNITS}"
    rf"|(?<![0-9+])(?<![0-9+][ .,\-])[1-9][0-9]*(?:[.,][0-9]{{1,2}})? ?{_UNITS}"
    r"|(?<![0-9.])-?[0-9]{1,3}\.[0-9]{3,7}°?[NSns]?, ?-?[0-9]{1,3}\.[0-9]{3,7}(?![0-9])"
    r"|(?i:(?:(?<!\w)(?:art|artikel|article|regulation|verordnung|directive|richtlinie)|§)\.? ?)[0-9][0-9()/.\-]*"
    r"|(?i:(?<![0-9])20[0-9]{2}/[0-9]{2,4}(?:/e[cu])?(?![0-9]))"
    r")"
)

_PHONE_WORD = re.compile(
    r"(?i:(?:\btel|phone|fon\b|fono\b|telefo|teléfono|téléphone|puhelin|mobil|handy|cell|gsm|whats?app|signal|telegram|"
    r"call|ruf|ring|appel|llama|chiam|zadzwoń|dzwoń|volaj|hívj|sms|fax|nummer|numer|número|numéro|numero|number|τηλ|κιν|"
    r"тел|моб|gsm|tlf|tālr|mob|☎|📞|📱)[^0-9]{0,24}$)"
)
_ID_WORD = re.compile(
    r"(?i:(?:\bid\b|\bidn|\bssn|passport|pass\b|reisepass|passeport|pasaporte|passaporto|paszport|ausweis|personal|"
    r"rijksregister|sozialversicherung|steuer|tax|sécurité sociale|matricule|cpr|bsn|pesel|dowód|dowod|rodné|oib|emšo|"
    r"cnp|codice|nif|nie\b|dni\b|nino|nhs|ppsn?|isikukood|asmens|personas|henkilö|personnummer|kennitala|fødsels|егн|"
    r"амка|αμκα|αφμ|α\.φ\.μ|ταυτότητα|taj\b|adó|ahv|avs|szemelyi|személyi|karta|licen[cs]e|führerschein|permis|"
    r"account|konto|kunden|customer|client|member|mitglied|policy|versicher|insurance)[^0-9]{0,24}$)"
)
_LATVIAN = re.compile("[āēģīķļņūĀĒĢĪĶĻŅŪ]")
_CARD = re.compile(r"^(?:4|5[1-5]|2[2-7]|3[47]|6011|65|64[4-9]|30|36|38|35|50|5[6-9]|6)[0-9]+$")


def ibans(view: str) -> Iterator[Span]:
    """Find IBANs in any grouping; the check digits must hold (ISO 13616), or the word IBAN must stand before."""
    for match in _IBAN_START.finditer(view):
        length = IBAN_LENGTHS.get(view[match.start() : match.start() + 2].upper())
        if length is None:
            continue
        end, compact = _take(view, match.start(), length)
        if len(compact) == length and (
            _mod97(compact) or _IBAN_WORD.search(view[max(0, match.start() - 16) : match.start()])
        ):
            yield match.start(), end, "IBAN"


def _take(view: str, start: int, length: int) -> tuple[int, str]:
    """Collect ``length`` letters and digits from ``start``, skipping single separators."""
    compact, place, gap = "", start, 0
    while place < len(view) and len(compact) < length:
        sign = view[place]
        if sign.isascii() and sign.isalnum():
            compact, gap = compact + sign.upper(), 0
        elif sign in " .-" and not gap:
            gap = 1
        else:
            break
        place += 1
    if place < len(view) and view[place].isascii() and view[place].isalnum():
        return place, ""
    return place, compact


def _mod97(compact: str) -> bool:
    turned = compact[4:] + compact[:4]
    return int("".join(str(int(sign, 36)) for sign in turned)) % 97 == 1


def mixed_ids(view: str) -> Iterator[Span]:
    """Find national ids that hold letters or have a layout of their own."""
    for match in ALNUM.finditer(view):
        country = match.lastgroup
        if country is not None and known_mixed(country, match.group()):
            yield match.start(), match.end(), "ID"


def others(view: str) -> Iterator[Span]:
    """Find what is certainly no identifier: dates, times, prices, amounts, ISBN, coordinates, law articles."""
    if not _RUN.search(view):
        return
    for match in _OTHER.finditer(view):
        yield match.start(), match.end(), ""


def numbers(view: str) -> Iterator[Span]:
    """Find cards, national ids and phones in runs of digits."""
    for match in _RUN.finditer(view):
        yield from _read_run(view, match.start(), match.end())


def _read_run(view: str, start: int, end: int) -> Iterator[Span]:
    groups = [(group.start(), group.end()) for group in _GROUP.finditer(view, start, end)]
    first = 0
    if len(groups) > 4 and view[start] not in "+0(" and all(b - a <= 2 for a, b in groups):
        return  # a draw of the lottery, a row of scores
    while first < len(groups):
        for last in range(min(len(groups), first + 9), first, -1):
            kind = _judge(view, start if first == 0 else groups[first][0], groups[first:last])
            if kind:
                begin = start if first == 0 else _with_plus(view, groups[first][0])
                yield begin, groups[last - 1][1], kind
                first = last
                break
        else:
            first += 1


def _with_plus(view: str, place: int) -> int:
    return place - 1 if place and view[place - 1] in "+(" else place


def _judge(view: str, start: int, groups: list[tuple[int, int]]) -> str | None:
    """Return the type of one candidate made of neighbouring groups, or ``None``."""
    end = groups[-1][1]
    if end < len(view) and (view[end].isalnum() or view[end] == "_"):
        return None
    digits = "".join(view[a:b] for a, b in groups)
    if not 7 <= len(digits) <= 20:
        return None
    shape = tuple(b - a for a, b in groups)
    before = view[max(0, start - 40) : start]
    gaps = {view[groups[place][1] : groups[place + 1][0]] for place in range(len(groups) - 1)}
    if "+" in view[start : groups[0][0]] and 8 <= len(digits) <= 17:
        return "PHONE"
    if len(digits) >= 9 and _plausible_layout(shape, gaps) and known_number(digits):
        return "ID"
    if 13 <= len(digits) <= 19 and _CARD.match(digits) and _luhn(digits) and (len(shape) == 1 or min(shape[:-1]) >= 4):
        return "CARD"
    if _is_phone(view, digits, shape, gaps, before):
        return "PHONE"
    if _ID_WORD.search(before) and len(digits) >= 7:
        return "ID"
    return "ID" if len(shape) == 1 and 14 <= len(digits) <= 20 else None


def _plausible_layout(shape: tuple[int, ...], gaps: set[str]) -> bool:
    """National ids are written whole or in up to seven groups that aren't all short (a lottery draw is)."""
    return len(shape) == 1 or (len(shape) <= 7 and max(shape) >= 3 and gaps <= {" ", "-", "/", "."})


def _luhn(digits: str) -> bool:
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def _is_phone(view: str, digits: str, shape: tuple[int, ...], gaps: set[str], before: str) -> bool:
    if digits.startswith("00"):
        return 8 <= len(digits) <= 17
    if not 7 <= len(digits) <= 13:
        return False
    if _PHONE_WORD.search(before):
        return True
    if digits.startswith("0"):
        return len(digits) >= 8 and (len(shape) > 1 or len(digits) >= 9)
    if len(shape) == 1:
        return (len(digits) == 9 and digits[0] in "235679") or (len(digits) == 10 and digits[0] in "236")
    return _grouped_phone(view, digits, shape, gaps)


def _grouped_phone(view: str, digits: str, shape: tuple[int, ...], gaps: set[str]) -> bool:
    """Tell a phone without a leading zero by groups in which nobody writes amounts, years or draws."""
    if any(gap not in {" ", "-", ".", "/", ") ", " - ", "/ ", ")", "  "} for gap in gaps):
        return False
    if min(shape) < 2 and shape[0] != 1:
        return False
    if len(shape) >= 6 or len(gaps) > 2:
        return False
    if all(size == 3 for size in shape[1:]) and shape[0] <= 3:  # written like an amount: 21 345 678
        if shape == (3, 3, 3):
            return "." not in gaps or len(gaps) > 1 or digits[0] in "5679"
        return shape == (2, 3, 3) and digits[0] in "26" and _LATVIAN.search(view) is not None
    if shape == (4, 4):
        return not (digits[:2] in {"18", "19", "20"} and digits[4:6] in {"18", "19", "20"})
    if shape[0] == 1:
        return len(digits) >= 8 and shape in {
            (1, 3, 4),
            (1, 7),
            (1, 3, 2, 2),
            (1, 2, 2, 2, 2),
            (1, 4, 4),
            (1, 3, 3, 2),
            (1, 3, 5),
            (1, 2, 3, 2),
        }
    return shape in _SHAPES


_SHAPES = frozenset(
    {
        (2, 2, 2, 2), (3, 2, 3), (3, 4), (2, 5), (2, 6), (3, 5), (3, 6), (2, 7), (3, 2, 2), (3, 3, 2), (2, 3, 2), (2, 2, 3),
        (2, 3, 2, 2), (3, 2, 2, 2), (3, 3, 4), (2, 3, 4), (2, 4, 3), (2, 4, 4), (3, 4, 3), (3, 3, 2, 2), (2, 3, 5), (3, 7),
        (2, 8), (4, 6), (5, 5), (4, 3, 3), (4, 2, 2, 2), (4, 5), (3, 4, 2), (2, 3, 3, 2), (3, 4, 4), (2, 2, 2, 3), (3, 8),
        (2, 2, 4), (2, 4, 2), (3, 3, 1, 2), (3, 3, 5), (4, 3, 2), (4, 4, 2), (2, 2, 2, 2, 2),
    }
)  # fmt: skip
"""Groups in which national numbers without a leading zero are written (ITU-T E.123 and national habits)."""

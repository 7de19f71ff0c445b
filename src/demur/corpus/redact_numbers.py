# ruff: noqa: E501, SIM905 (tables of patterns and words read better whole)
"""Identifiers that are numbers: bank accounts, cards, national ids, phones, and what a word before says is an identity.

Runs of digits are cut into groups (``0151 234 56789`` is 4-3-5) and read from the left, the longest reading first.
What is certainly something else (dates, prices, times, ISBN, law articles) is masked before. Does not replace anything.
Every search begins at a digit or a capital letter, never at each sign: that is what keeps it quick.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from demur.corpus.redact_national import LETTERED, MIXED, known_mixed, known_number, luhn
from demur.corpus.redact_patterns import MASK, Span
from demur.corpus.redact_words import IBAN, ID, PHONE, PLATE, POSTCODE, announced

IBAN_LENGTHS = {
    "AD": 24, "AT": 20, "BA": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "EE": 20,
    "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GI": 23, "GL": 18, "GR": 27, "HR": 21, "HU": 28, "IE": 22,
    "IS": 26, "IT": 27, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MT": 31,
    "NL": 18, "NO": 15, "PL": 28, "PT": 25, "RO": 24, "RS": 22, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TR": 26,
    "UA": 29, "VA": 22, "XK": 20, "AL": 28, "AE": 23, "BR": 29, "SA": 24, "IL": 23, "AZ": 28, "BH": 22, "BI": 27, "BY": 28,
    "CR": 22, "DJ": 27, "DO": 28, "EG": 29, "FK": 18, "GE": 22, "GT": 28, "IQ": 23, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LY": 25, "MN": 20, "MR": 27, "MU": 30, "NI": 28, "OM": 23, "PK": 24, "PS": 29, "QA": 29, "RU": 33, "SC": 31,
    "SD": 18, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "VG": 24, "YE": 30,
}  # fmt: skip
"""Letters of the country → length of its IBAN (SWIFT IBAN registry)."""

_IBAN_REST = {
    length: re.compile(rf"[A-Za-z]{{2}}(?:(?:[ .\-/_\n]| - )?[A-Za-z0-9]){{{length - 2}}}(?![A-Za-z0-9])")
    for length in set(IBAN_LENGTHS.values())
}
_IBAN_TYPED = re.compile(r"[A-Za-z]{2}[ \-]?[0-9]{2}[ \-]?(?:[A-Za-z]{4})?(?:[ .\-/]?[0-9]){8,30}(?![A-Za-z0-9])")
"""What stands after the word IBAN and has another length than its country's: a slip of the hand."""
_NOT_ALNUM = re.compile("[^A-Za-z0-9]+")

_ZONE = re.compile(r"[0-9](?:\)?(?:[ .\-/()']|, | - | / |\. |\.-|/ |\(0\)){0,2}[0-9]){5,40}")
_DIGITS = re.compile(r"[0-9]+")
_TWO_DIGITS = re.compile(r"(?<![0-9])[0-9] ?[0-9]")

_MONTH = r"(?:0?[1-9]|1[0-2])"
_DAY = r"(?:0?[1-9]|[12][0-9]|3[01])"
_YEAR = r"(?:1[89]|20|21)[0-9]{2}"
_UNITS = (
    r"(?:€|\$|£|R\$|EUR|Euro|euros?|USD|GBP|CHF|BRL|zł|PLN|kr\b|SEK|NOK|DKK|Kč|CZK|Ft\b|HUF|lei|RON|лв|BGN|reais|%|‰|°|km|cm|mm|kg|bytes|"
    r"m²|m2|kWh|MWh|GWh|MB|GB|TB|Mio|Mrd|mln|mld|million|millions|miliard|habitants|inhabitants|Einwohner|views|votes|"
    r"followers|likes|px|Hz|kHz|MHz|BPM)"
)
_DATED = re.compile(
    rf"(?:(?<![0-9][.\-/]){_YEAR}([.\-/]){_MONTH}\1{_DAY}(?:T?[ ]?[0-2]?[0-9]:[0-5][0-9](?::[0-5][0-9])?Z?)?(?![0-9]|[.\-/][0-9])"
    rf"|(?<![0-9][.\-/]){_DAY}([.\-/]) ?{_MONTH}\2 ?(?:{_YEAR}|[0-9]{{2}})(?![0-9]|[.\-/][0-9]|[A-Z]\b)"
    rf"|(?<![0-9][.\-/]){_MONTH}/{_DAY}/(?:{_YEAR}|[0-9]{{2}})(?![0-9]|[.\-/][0-9])"
    rf"|(?<![.\-/]){_YEAR} ?[\-/] ?{_YEAR}(?![0-9]|[.\-/][0-9])"
    r"|(?<!/[0-9]{2}\.)(?<!:)[0-2]?[0-9][:.][0-5][0-9](?::[0-5][0-9])?(?: ?(?:h|Uhr|uhr|am|pm))?(?![0-9:.\-/])"
    r"|97[89](?:[ \-]?[0-9]){10}(?![0-9]|[ \-][0-9])"
    r"|(?<!\.)[0-9]{1,3}\.[0-9]{3,7}°?[NSns]?, ?-?[0-9]{1,3}\.[0-9]{3,7}(?![0-9])"
    r"|(?i:20[0-9]{2}/[0-9]{2,4}(?:/e[cu])?(?![0-9]))"
    r"|0\.[0-9]{4,}(?![0-9]|[ .\-/][0-9])"
    r")"
)
"""Dates, years, times, ISBN, coordinates, acts and fractions, read where a group of digits begins."""
_AMOUNT = re.compile(
    r"[1-9](?:[0-9]{0,2}(?:([ .,'])[0-9]{3}(?:\1[0-9]{3})*)?(?![0-9])|[0-9]{0,40})(?:[.,][0-9]{1,2})?(?![0-9])"
)
_UNIT = re.compile(rf" ?{_UNITS}(?![^\W\d_])")
_PHYSICAL = frozenset("km cm mm kg m² m2 px Hz kHz MHz MB GB TB ° BPM".split())
_UNIT_FIRST = frozenset("b€$£REeUGCBzPkSNDKFHlлr%‰°cmMhTiviv fpx")


def _other(view: str, place: int) -> re.Match[str] | None:
    """Return what certainly is no identifier and begins with a group of digits, if it is so."""
    found = _DATED.match(view, place)
    if found or view[place] == "0":
        return found
    amount = _AMOUNT.match(view, place)
    if amount is None or view[amount.end() : amount.end() + 1] not in _UNIT_FIRST:
        return None
    before = view[max(0, place - 2) : place]
    if before[-1:] == "+" or (before[-1:] in {" ", ".", ",", "-"} and before[:1] in _DIGITS_AND_PLUS):
        return None
    unit = _UNIT.match(view, amount.end())
    if unit and amount.end() - place == 11 and unit.group().strip() in _PHYSICAL:
        return None  # 502 753 718 km: rather a phone before a word than a way to Jupiter
    return unit


_DIGITS_AND_PLUS = frozenset("0123456789+")

_LEADS = (
    (("isbn-",), re.compile(r"1[03][ :]*[0-9][0-9 \-]{7,16}[0-9Xx]"), False),
    (("cve-",), re.compile(r"[0-9]{4}-[0-9]{4,7}"), False),
    (("isbn", "issn", "isbn-10", "isbn-13"), re.compile(r"[0-9][0-9 \-]{7,16}[0-9Xx]"), False),
    (("doi", "arxiv"), re.compile(r"[0-9./a-zA-Z\-]+"), False),
    (("eur", "usd", "gbp", "chf", "brl"), re.compile(r"[0-9][0-9.,' ]*[0-9]"), True),
    (("€", "$", "£"), re.compile(r"[0-9][0-9.,' ]*[0-9]"), False),
    (("art", "artikel", "article", "artigo", "regulation", "verordnung", "directive", "richtlinie"), re.compile(r"[1-9][0-9]{0,3}(?![0-9])[0-9()/.\-]*"), True),
    (("§",), re.compile(r"[1-9][0-9]{0,3}(?![0-9])[0-9()/.\-]*"), False),
)  # fmt: skip
"""Words before a group of digits that say what it is, the sign pattern of it, and whether the word must stand alone."""

_ANY_LEAD = tuple(word for words, _, _ in _LEADS for word in words)

_LATVIAN = re.compile("[āēģīķļņūĀĒĢĪĶĻŅŪ]")
_CARD = re.compile(r"^(?:4|5[1-5]|2[2-7]|3[47]|6011|65|64[4-9]|30|36|38|35|50|5[6-9]|6)[0-9]+$")
_CAPITAL = "A-ZÀ-ÖØ-ÞČŠŽĆĐŁŚŹŻŐŰȘȚΑ-ΩА-Я"
_VALUE = re.compile(
    rf"[^\W_]+(?:[.\-/]{{1,2}}[^\W_]+| (?=[{_CAPITAL}]{{0,4}}[0-9])[^\W_]+| [{_CAPITAL}]{{1,3}}(?![^\W_]))*"
)
_ANY_CAPITAL = re.compile(rf"[{_CAPITAL}]")
_JOINED = re.compile(rf"(?:[ .\-/]{{1,2}}[0-9]+){{0,12}}(?:[.\-/]{{1,2}}[^\W\d_]| [{_CAPITAL}])")
_SHORT_BEFORE = re.compile(rf"(?<![^\W_])[{_CAPITAL}]{{1,3}} $")
_NOT_SOLID = re.compile(r"[\W_]+")


def ibans(view: str) -> Iterator[Span]:
    """Find IBANs in any grouping; the check digits must hold (ISO 13616), or the word IBAN must stand before."""
    done = 0
    for run in _TWO_DIGITS.finditer(view):
        place = run.start()
        if place < done:
            continue
        start = _letters_before(view, place)
        length = IBAN_LENGTHS.get(view[start : start + 2].upper()) if start >= 0 else None
        if length is None or (
            start and view[start - 1].isalnum() and view[max(0, start - 4) : start].lower() != "iban"
        ):
            continue
        whole = _IBAN_REST[length].match(view, start)
        if whole is None or not _mod97(_NOT_ALNUM.sub("", whole.group())):
            typed = announced(view, start) & IBAN
            whole = (whole or _IBAN_TYPED.match(view, start)) if typed else None
        if whole:
            done = whole.end()
            yield start, done, "IBAN"


def _letters_before(view: str, place: int) -> int:
    """Return where the two letters stand to which some check digits belong."""
    if view[place - 1 : place].isalpha():
        return place - 2
    return place - 3


_ISO7064 = {ord(sign): str(int(sign, 36)) for sign in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"}


def _mod97(compact: str) -> bool:
    turned = compact[4:] + compact[:4]
    return int(turned.translate(_ISO7064)) % 97 == 1


def mixed_ids(view: str) -> Iterator[Span]:
    """Find national ids that begin with a digit and hold letters or have a layout of their own."""
    for run in _DIGITS.finditer(view):
        place = run.start()
        if place and (_in_word(view[place - 1]) or view[place - 1] == "#"):
            continue
        if view[place - 1 : place] == "-" and view[place - 2 : place - 1].isalpha():
            continue
        match = MIXED.match(view, place)
        if match and match.lastgroup and known_mixed(match.lastgroup, match.group()):
            yield match.start(), match.end(), "ID"


def lettered_ids(view: str) -> Iterator[Span]:
    """Find national ids and VAT numbers that begin with letters."""
    starts = {match.start() for match in _CAPITALS.finditer(view)}
    starts.update(match.start() for match in _SMALL.finditer(view))
    starts.update(
        run.start() - 6 for run in _DIGITS.finditer(view) if view[max(0, run.start() - 6) : run.start()].isalpha()
    )
    for place in sorted(starts):
        if place < 0 or (place and (_in_word(view[place - 1]) or view[place - 1] == "#")):
            continue
        match = LETTERED.match(view, place)
        if match and match.lastgroup and known_mixed(match.lastgroup, match.group()):
            yield match.start(), match.end(), "ID"


_SMALL = re.compile(r"[xyz]-?[0-9]{7}|[a-z]{2} [0-9]{2} [0-9]{2} [0-9]{2} [a-d](?![a-z])")
_CAPITALS = re.compile(r"[A-Z](?:[A-Z][A-Z]?|(?=[0-9]|[ \-][0-9]))(?=[A-Z0-9 \-])")


def worded(view: str) -> Iterator[Span]:
    """Find what a word before says is an identity, a plate or a postcode, letters and digits in any layout."""
    done, lower = 0, view.lower()
    postcodes = "post" in lower or "plz" in lower or "cep" in lower or "cód" in lower
    for run in _DIGITS.finditer(view):
        if run.start() < done or not (postcodes or _lettered(view, run.start(), run.end())):
            continue
        start = _token_start(view, run.start(), done)
        match = _VALUE.match(view, start)
        if match is None:
            continue
        done = match.end()
        kinds = _worded_kinds(match.group())
        if not kinds or (start and view[start - 1] in "@#") or (done < len(view) and view[done] == "_"):
            continue
        announces = announced(view, start)
        for bit, kind in kinds.items():
            if announces & bit:
                yield start, done, kind
                break


def _lettered(view: str, start: int, end: int) -> bool:
    """Say whether letters may belong to some digits: one beside them, or a capital near."""
    before = view[max(0, start - 2) : start]
    if before[-1:].isalpha() or view[end : end + 1].isalpha():
        return True
    if before[-1:] == "-" and before[:1].isalpha():
        return True
    if before[-1:] == " " and _ANY_CAPITAL.match(before):
        return True
    return _JOINED.match(view, end) is not None


def _token_start(view: str, place: int, least: int) -> int:
    """Return where the value begins whose first digit stands at a place: letters, hyphens, a short word before it.

    Args:
        view: the folded text.
        place: where the digit stands.
        least: where the value before ends; this one does not begin sooner.
    """
    while place > least and (view[place - 1].isalnum() or view[place - 1] == "-"):
        place -= 1
    while view[place] == "-":
        place += 1
    short = _SHORT_BEFORE.search(view, max(least, place - 5), place)
    return short.start() if short else place


def _worded_kinds(text: str) -> dict[int, str]:
    """Return what a value may be if the right word stands before it."""
    compact = _NOT_SOLID.sub("", text)
    digits = sum(sign.isdigit() for sign in compact)
    if digits == len(compact):
        return {POSTCODE: "ADDRESS"} if digits in {4, 5, 8} else {}
    upper = compact.upper() == compact
    kinds = {PLATE: "PLATE"} if upper and 4 <= len(compact) <= 9 else {}
    if digits >= 3 and 6 <= len(compact) <= 24 and (upper or compact.lower() == compact):
        kinds[ID] = "ID"
    return kinds


def numbers(view: str) -> Iterator[Span]:
    """Find cards, national ids and phones in runs of digits."""
    others: list[tuple[int, int]] = []
    for zone in _ZONE.finditer(view):
        begin, end = zone.span()
        first = max(0, begin - _AROUND)
        others = [one for one in others if one[1] > first] + list(_others(view, begin, end))
        if not others:
            yield from _read_zone(view, begin, end)
            continue
        piece = _without(view[first : end + _AROUND], others, first)
        for rest in _ZONE.finditer(piece, begin - first, end - first):
            for start, stop, kind in _read_zone(piece, *rest.span()):
                yield first + start, first + stop, kind


_AROUND = 200
"""Signs around digits that are looked at: what is further away says nothing of them."""


def _without(piece: str, others: list[tuple[int, int]], offset: int) -> str:
    """Return a piece of a view that begins at an offset, some of its stretches masked."""
    for start, end in others:
        start, end = max(0, start - offset), end - offset  # noqa: PLW2901 (places in the piece)
        piece = f"{piece[:start]}{MASK * (end - start)}{piece[end:]}"
    return piece


def _others(view: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Find in a zone of digits what is certainly no identifier."""
    done = start
    for run in _DIGITS.finditer(view, start, end):
        place = run.start()
        if place < done:
            continue
        match = _other(view, place) or (_led(view, place) if place == start else None)
        if match:
            done = match.end()
            yield place, done


def _led(view: str, place: int) -> re.Match[str] | None:
    before = view[max(0, place - 16) : place].rstrip(" .:").lower()
    if not before.endswith(_ANY_LEAD):
        return None
    for words, pattern, alone in _LEADS:
        if before.endswith(words):
            word = next(word for word in words if before.endswith(word))
            if not (alone and before[: -len(word)][-1:].isalnum()):
                return pattern.match(view, place)
    return None


def _read_zone(view: str, start: int, end: int) -> Iterator[Span]:
    groups = [match.span() for match in _DIGITS.finditer(view, start, end)]
    first, begin = _first_group(view, groups)
    if len(groups) - first > 4 and view[begin] not in "+0(" and all(b - a <= 2 for a, b in groups[first:]):
        return  # a draw of the lottery, a row of scores
    while first < len(groups):
        found = _longest(view, begin, groups[first : first + (15 if view[begin] in "+0" else 9)])
        if found:
            size, kind = found
            yield begin, groups[first + size - 1][1], kind
            first += size
        else:
            first += 1
        if first < len(groups):
            place = groups[first][0]
            begin = place - 1 if view[place - 1] in "+(" else place


_FRONT = re.compile(r"(?:\(\+|\+|\() ?$")
_FRONT_STOPS = frozenset("#$€£+_")


def _first_group(view: str, groups: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the first group at which a number may begin, and where it begins with its plus sign or bracket."""
    for place, (start, _end) in enumerate(groups):
        front = _FRONT.search(view, max(0, start - 3), start)
        for begin in (front.start(), start) if front else (start,):
            if _may_begin(view, begin):
                return place, begin
    return len(groups), groups[0][0]


_GLUED = re.compile(
    r"(?i:(?<![^\W_])(?:tel|tele?fon|telefono|tél|mob|mobil|mobile|móvil|handy|whats ?app|cel|tlf|tel[eé]fon[eo]?|phone|fon|fax|sms|wa|ring|call|tfno|тел|τηλ)\Z)"
)
"""Words for telephone to which people glue the number."""


def _may_begin(view: str, place: int) -> bool:
    if not place:
        return True
    before = view[place - 1]
    if before.isalpha() and view[place] in "+0123456789":
        return _GLUED.search(view, max(0, place - 12), place) is not None
    if before.isalnum() or before in _FRONT_STOPS:
        return False
    return not (before in ".,:/-" and place > 1 and view[place - 2] in "0123456789")


def _longest(view: str, begin: int, groups: list[tuple[int, int]]) -> tuple[int, str] | None:
    """Return how many groups the longest identifier at the first of some groups takes, and its type."""
    sizes = [end - start for start, end in groups]
    glued = view[begin] in "+("
    for count in range(_reach(view, begin, groups), 0, -1):
        total = sum(sizes[:count])
        end = groups[count - 1][1]
        if total < 7:
            return None
        if total > 20 or (end < len(view) and _in_word(view[end]) and not (glued and view[end].isalpha())):
            continue
        kind = _judge(view, begin, groups[:count], tuple(sizes[:count]))
        if kind:
            return count, kind
    return None


def _reach(view: str, begin: int, groups: list[tuple[int, int]]) -> int:
    """Return how many groups belong together at most: a bracket opens another number, but after a country's code."""
    if view.startswith(("+", "(+", "00"), begin):
        return len(groups)
    for place in range(1, len(groups)):
        if "(" in view[groups[place - 1][1] : groups[place][0]]:
            return place
    return len(groups)


def _judge(view: str, begin: int, groups: list[tuple[int, int]], shape: tuple[int, ...]) -> str | None:
    """Return the type of one candidate made of neighbouring groups, or ``None``."""
    digits = "".join([view[start:end] for start, end in groups])
    if view[begin] in "+(" and "+" in view[begin : groups[0][0]] and 8 <= len(digits) <= 17:
        return "PHONE"
    gaps = {view[groups[place][1] : groups[place + 1][0]] for place in range(len(groups) - 1)}
    if len(digits) >= 9 and _plausible_layout(shape, gaps) and known_number(digits):
        return "ID"
    if 12 <= len(digits) <= 19 and _is_card(digits, shape):
        return "CARD"
    if _is_phone(view, begin, digits, shape, gaps) or _is_bracketed(view, begin, groups, digits):
        return "PHONE"
    if (len(shape) == 1 and len(digits) >= 14) or (shape == (3, 2, 4) and gaps == {"-"}):  # the second: US SSN
        return "ID"
    announces = announced(view, begin)
    if _is_postcode(digits, shape, gaps) or (announces & POSTCODE and len(digits) == 8):
        return "ADDRESS"
    if announces & PHONE and len(digits) <= 13:
        return "PHONE"
    return "ID" if announces & ID else None


def _is_bracketed(view: str, begin: int, groups: list[tuple[int, int]], digits: str) -> bool:
    """Tell a phone by the brackets around its area: ``(351) 935 881 399``; a year in brackets is none."""
    start, end = groups[0]
    if view[begin] != "(" or view[end : end + 1] != ")" or not 8 <= len(digits) <= 13:
        return False
    return end - start < 4 or (end - start == 4 and digits[:2] not in {"18", "19", "20"})


def _is_postcode(digits: str, shape: tuple[int, ...], gaps: set[str]) -> bool:
    """Tell a Brazilian CEP (``01310-100``, ``01.310-100``): it stands for one side of a street."""
    return len(digits) == 8 and ((shape == (5, 3) and gaps == {"-"}) or (shape == (2, 3, 3) and gaps == {".", "-"}))


def _is_card(digits: str, shape: tuple[int, ...]) -> bool:
    if len(shape) > 1 and min(shape[:-1]) < 4:
        return False
    prefix = _CARD if len(digits) > 12 else _SHORT_CARD
    return bool(prefix.match(digits)) and luhn([int(digit) for digit in digits])


_SHORT_CARD = re.compile(r"^(?:50[123]|5[678]|63|67)[0-9]+$")


def _plausible_layout(shape: tuple[int, ...], gaps: set[str]) -> bool:
    """National ids are written whole or in up to seven groups that aren't all short (a lottery draw is)."""
    return len(shape) == 1 or (len(shape) <= 7 and max(shape) >= 3 and gaps <= {" ", "-", "/", "."})


def _in_word(sign: str) -> bool:
    return sign.isalnum() or sign == "_"


def _is_phone(view: str, begin: int, digits: str, shape: tuple[int, ...], gaps: set[str]) -> bool:
    if digits.startswith("00"):
        return 8 <= len(digits) <= 17
    if not 7 <= len(digits) <= 13:
        return False
    if digits.startswith("0"):
        return len(digits) >= 8 and (len(shape) > 1 or len(digits) >= 9)
    if len(shape) == 1:
        return _is_solid_phone(digits)
    return _grouped_phone(view, begin, digits, shape, gaps)


def _is_solid_phone(digits: str) -> bool:
    """Tell a phone in one piece without a leading zero by what its country's mobile numbers begin with."""
    if len(digits) < 11:
        return (len(digits) == 9 and digits[0] in "235679") or (len(digits) == 10 and digits[0] in "236")
    return _WITH_COUNTRY.fullmatch(digits) is not None


_WITH_COUNTRY = re.compile(
    r"(?:55)?(?:1[1-9]|2[12478]|3[1-578]|4[1-9]|5[1345]|6[1-9]|7[134579]|8[1-9]|9[1-9])9[1-9][0-9]{7}|"
    r"49(?:1[567][0-9]{8,9})|43(?:6[5-9][0-9]{8,9})|41(?:7[5-9][0-9]{7})|33[67][0-9]{8}|34[67][0-9]{8}|393[0-9]{9}|447[0-9]{9}|316[0-9]{8}|324[0-9]{8}|"
    r"48[5-8][0-9]{8}|3519[0-9]{8}|3538[0-9]{8}|467[0-9]{8}|3584[0-9]{8,9}|407[0-9]{8}|420[67][0-9]{8}|4219[0-9]{8}|36[237]0[0-9]{7}|3069[0-9]{8}|3598[0-9]{8}|"
    r"3859[0-9]{7,8}|386[3-7][0-9]{7}|3706[0-9]{7}|3712[0-9]{7}|3726[0-9]{6}|3526[0-9]{8}|356[79][0-9]{7}|3579[0-9]{7}|4237[0-9]{6}"
)
"""Mobile numbers as WhatsApp writes them: the country's code without a plus sign; in Brazil also the area alone."""

_GAPS = frozenset({")/", " ", "-", ".", "/", ") ", " - ", "/ ", ")", "  "})


def _grouped_phone(view: str, begin: int, digits: str, shape: tuple[int, ...], gaps: set[str]) -> bool:
    """Tell a phone without a leading zero by groups in which nobody writes amounts, years or draws."""
    if not gaps <= _GAPS or (min(shape) < 2 and shape[0] != 1 and shape != (2, 1, 4, 4)):
        return False
    if len(shape) >= 6 or len(gaps) > 2:
        return False
    if shape == (5, 4):
        return digits[0] == "9" and gaps == {"-"}  # a Brazilian mobile number without its area
    if all(size == 3 for size in shape[1:]) and shape[0] <= 3:  # written like an amount: 21 345 678
        if shape == (3, 3, 3):
            return "." not in gaps or len(gaps) > 1 or digits[0] in "5679"
        return (
            shape == (2, 3, 3)
            and digits[0] in "26"
            and _LATVIAN.search(view, max(0, begin - _AROUND), begin + _AROUND) is not None
        )
    if shape == (4, 4):
        return not (digits[:2] in {"18", "19", "20"} and digits[4:6] in {"18", "19", "20"})
    return shape in _SHAPES and (shape[0] > 1 or len(digits) >= 8)


_SHAPES = frozenset(
    {
        (2, 2, 2, 2), (3, 2, 3), (3, 4), (2, 5), (2, 6), (3, 5), (3, 6), (2, 7), (3, 2, 2), (3, 3, 2), (2, 3, 2), (2, 2, 3),
        (2, 3, 2, 2), (3, 2, 2, 2), (3, 3, 4), (2, 3, 4), (2, 4, 3), (2, 4, 4), (3, 4, 3), (3, 3, 2, 2), (2, 3, 5), (3, 7),
        (2, 8), (4, 6), (5, 5), (4, 3, 3), (4, 2, 2, 2), (4, 5), (3, 4, 2), (2, 3, 3, 2), (3, 4, 4), (2, 2, 2, 3), (3, 8),
        (2, 2, 4), (2, 4, 2), (3, 3, 1, 2), (3, 3, 5), (4, 3, 2), (4, 4, 2), (2, 2, 2, 2, 2), (2, 5, 4), (2, 1, 4, 4), (2, 9),
        (1, 3, 4), (1, 7), (1, 3, 2, 2), (1, 2, 2, 2, 2), (1, 4, 4), (1, 3, 3, 2), (1, 3, 5), (1, 2, 3, 2),
    }
)  # fmt: skip
"""Groups in which national numbers without a leading zero are written (ITU-T E.123 and national habits)."""

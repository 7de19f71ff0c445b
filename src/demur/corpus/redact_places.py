# ruff: noqa: E501, SIM905 (tables of patterns and words read better whole)
"""Identifiers of things and places: number plates and postal addresses, told by shape.

Towns alone, buildings and directions in free words are not looked for: no honest pattern knows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from demur.corpus.redact_patterns import Span

PLATES = (
    r"[A-HJ-NP-TV-Z]{2}-[0-9]{3}-[A-HJ-NP-TV-Z]{2}"  # France since 2009, Italy written alike
    r"|[A-ZÄÖÜ]{1,3}-[A-ZÖ]{1,2}[ -][1-9][0-9]{0,3}[EH]?"  # Germany
    r"|[A-Z]{2}[0-9]{2} ?[A-Z]{3}"  # United Kingdom
    r"|[A-Z]{3}[0-9][A-J][0-9]{2}"  # Brazil, Mercosul
    r"|[0-9]-[A-Z]{3}-[0-9]{3}|[0-9]{2,4}-[A-Z]{2,3}-[0-9]{2}"  # Belgium
    r"|[0-9]{2}-[A-Z]{3}-[0-9]|[0-9]-[A-Z]{3}-[0-9]{2}|[A-Z]{2}-[0-9]{3}-[A-Z]|[A-Z]-[0-9]{3}-[A-Z]{2}|[A-Z]{3}-[0-9]{2}-[A-Z]"  # Netherlands
    r"|[0-9]{2}-[A-Z]{2}-[A-Z]{2}|[A-Z]{2}-[A-Z]{2}-[0-9]{2}|[A-Z]{2}-[0-9]{2}-[A-Z]{2}|[0-9]{2}-[A-Z]{2}-[0-9]{2}"  # Netherlands, Portugal
    r"|[0-9]{2,3}-(?:[CDGLW]|C[ENW]|D[L]|K[EKY]|L[DHKMS]|M[HNO]|OY|RN|SO|T[NS]|W[HWX])-[0-9]{3,6}"  # Ireland
    r"|(?:[BČČDGKMNPRSŠVZ][A-ZČŠŽ])[ -][0-9]{3,4}-[A-Z]{1,2}"  # Croatia
    r"|[A-Z]{2}-[0-9]{2,3}-[A-Z]{3}"  # Romania
    r"|[BKLNSŠTZP][A-Z][ -][0-9]{3}[A-Z]{2}"  # Slovakia
)
"""Shapes that hardly mean anything else; all other plates go after a word for plate only (``redact_numbers.worded``)."""
_PLATE_SHAPES = re.compile(rf"(?<![\w\-])(?:{PLATES})(?![\w\-])")
_NAME = r"[^\W\d_a-zß-öø-ÿ][^\W\d_]*(?:[ \-'’.](?:[^\W\d_]{1,3}[ '’.])?[^\W\d_a-z][^\W\d_]+){0,3}"
_HOUSE = r"[0-9]{1,4}(?: ?[a-zA-Z](?![\w]|\. ?[0-9]))?(?:[/\-](?:[0-9]{1,4}[a-zA-Z]?|[A-Z](?!\w)))?(?![\w%€$£:]|[.,][0-9]| ?(?:%|€|EUR|km|kg|Uhr))"
_LINK = r",?(?: (?:[Nn]r|n[.°º]|no|nº|č\.?p\.?|бр|№)\.?)? "
_TOWN = r"[^\W\d_a-zß-öø-ÿ][^\W\d_]+(?:[ \-][^\W\d_a-zß-öø-ÿ][^\W\d_]+)?"
_END = (
    r"(?:,? (?:[Aa]ppartamento|[Pp]iano|[Pp]iso|[Pp]uerta|[Aa]pt|[Ff]lat|apto?|apartamento|bl|bloco|lgh|lej|Top|App?|piso|kv|кв|ап|ap|Ap|et|sc|Sc|bl|Bl|m)\.? ?[0-9A-Z]{1,4}|,? (?:st|kl|[0-9]{1,2})\. ?(?:tv|th|mf)\.?|(?<=[0-9] [A-Z]) [0-9]{1,3}(?=,? [0-9]{5} ))*"
    rf"(?:,?[ \n](?:[A-Z]{{1,2}}-)?(?:[0-9]{{3,5}}(?:[ \-][0-9]{{2,3}})?(?: ?[A-Z]{{2}})?|[0-9]{{2}}-[0-9]{{3}}) {_TOWN})?"
)
STREET_TAILS = tuple(
    (
        "straße strasse str. gasse allee platz damm ufer weg ring straat laan gracht plein steenweg kade dreef singel gatan vägen gränd gade vej allé gata "
        "gate gaten plassen stien bakken ringen svingen veien vegen katu tie kuja polku tänav maantee utca vegur stræti"
    ).split()
)
_AFTER = frozenset(
    (
        "straße strasse str. allee platz weg krt. utca út útja tér körút iela prospekts gatvė gatve g. pr. prospektas ulica cesta nábřeží náměstí tänav tn pst mnt "
        "puiestee katu tie straat laan street gatan gade vej gate"
    ).split()
)
_BEFORE = frozenset(
    "via viale piazza corso vicolo largo calle c/ carrer avenida av. avda. plaza paseo rua r. travessa alameda praça rodovia estrada intrarea borgo camino ronda carretera pasaje cuesta fazenda residencial condomínio ul. ulica ulici ul ulicy aleja al. "
    "plac osiedle os. str. strada bulevardul bd. calea aleea soseaua șoseaua odos οδός οδού λεωφόρος λεωφ. ул. улица бул. булевард ж.к. triq sqaq trg ulice náměstí "
    "nám. námestie třída cesta cesti".split()
)
_BOXES = frozenset(
    "postfach box bp postale apartado correos postal pocztowa postbus postboks postafiók pf. priečinok pretinac predal θυρίδα кутия п.к. poștală postali pósthólf".split()
)
STREET_WORDS = (
    _BEFORE
    | _AFTER
    | frozenset(
        "rue avenue boulevard bd chemin impasse allée quai place route cours triq street road lane drive close crescent terrace court gardens grove hill way square mews st rd ave ln dr postfach box".split()
    )
)


_WHOLE = _AFTER.union(STREET_TAILS)


def _any(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in sorted(words))


_NUMBERED_FIRST = "rue|avenue|boulevard|bd|chemin|impasse|allée|quai|place|route|cours|triq"
_NUMBERED_LAST = "Street|Road|Lane|Avenue|Drive|Close|Crescent|Terrace|Court|Gardens|Grove|Hill|Way|Place|Square|Mews|St|Rd|Ave|Ln|Dr"
_NUMBER = "(?:n[ro][.]?|n[°º][.]?|№|č[.])"
_POSTCODE = "[0-9][a-zA-Z]?,?[ \n](?:[A-Z]{1,2}-)?(?:[0-9]{5}|[0-9]{3} [0-9]{2}|[0-9]{2}-[0-9]{3}|[0-9]{4} ?[A-Z]{2})"
STREETS = (
    rf"(?i:(?:{_any([*STREET_TAILS, *_AFTER, *_BOXES])})(?:,? {_NUMBER}|,)? [0-9]|str[.][0-9]|(?:^|[ ,;:(\n])(?:{_any(_BEFORE)})(?: |$)|(?:^| )[ru][.] |"
    rf"[0-9](?: ?[a-z]{{1,3}})?,? (?:{_NUMBERED_FIRST}) )|"
    rf" (?:{_NUMBERED_LAST})(?:$|[^a-z])|[A-Z][0-9]|D6W|{_POSTCODE} [^ -@\[-\x7f]"
)
"""What a text must hold before it is read for addresses (RE2)."""
_LITTLE = r"(?:(?:de la|de las|de los|de l'|de|du|des|d'|del|della|delle|dei|degli|do|da|dos|das|di|il-|is-|tas-|San|св\.|Св\.|sv\.|Ag\.|gen\.|Dr\.?) ?)?"
_CHANNELS = "Zoom|Mail|E-Mail|Email|Skype|WhatsApp|Teams|Telegram|SMS|App|Twitter|Web|Internet|PayPal|Instagram|Discord|Facebook|Link"
"""What one does things by, ``via`` in more languages than Italian."""
_STREET_LAST = re.compile(
    rf"[^\W\d_][^\W_\d.\-]*(?:-[^\W\d_]+)*\.?(?: [^\W\d_]+\.?){{0,2}}(?:(?i:,? {_NUMBER}),? | |, (?=[0-9]{{1,4}}[a-zA-Z]?(?:$|[,.;)\n]| [0-9]{{4}}))){_HOUSE}{_END}"
)
_STREET_GLUED = re.compile(rf"[^\W\d_]*(?:[ \-][^\W\d_]+)?[sS][tT][rR]\.{_HOUSE}{_END}")
_STREET_SMALL = re.compile(
    rf"(?:ul\.|ул\.|бул\.|c/|avda?\.) ?{_LITTLE}[^\W\d_]{{3,}}(?: [^\W\d_]{{2,}}){{0,3}} {_HOUSE}{_END}"
)
_STREET_POSTED = re.compile(
    rf"{_NAME} {_HOUSE},?[ \n](?:[A-Z]{{1,2}}-)?(?:(?![0-9]+000 (?!Zagreb))[0-9]{{5}}|[0-9]{{3}} [0-9]{{2}}|[0-9]{{2}}-[0-9]{{3}}|(?!19|20)[0-9]{{4}} ?[A-Z]{{2}}) "
    rf"(?!(?:Euro|EUR|Uhr|Kilo|Meter|Stück)\b){_TOWN}(?!\w| [0-9]{{2}})"
)
"""A house number before a postcode and a town: the street needs no word of its own. Four digits alone are no postcode: ``Kapitel 5, 1300 Seiten``."""
_STREET_FIRST = re.compile(rf"[^\W\d_][^\W\d_./]*[./]? ?{_LITTLE}(?!(?:{_CHANNELS})\b){_NAME}{_LINK}{_HOUSE}{_END}")
_NUMBER_FIRST = re.compile(
    rf"[0-9]{{1,4}}(?:(?: ?(?:bis|ter|[a-zA-Z]))?,? (?:(?i:{_NUMBERED_FIRST}) {_LITTLE}{_NAME}|{_NAME} (?:{_NUMBERED_LAST}))"
    r"|(?: ?(?:bis|ter))?,? (?i:rue|avenue|boulevard|bd) (?:de la |de l'|des |du |de )(?:[^\W\d_]+[ '-]){0,2}[^\W\d_]{3,})(?!\w)"
    rf"(?:,? {_TOWN}(?![^\W_]))?(?:,? [0-9]{{4,5}} {_TOWN})?"
)
_BOX = re.compile(
    r"(?<!\w)(?i:Postfach|P\. ?O\. ?Box|PO Box|B\.?P\.?|Boîte postale|Casella postale|Apartado(?: de correos)?|Caixa postal|Skrytka pocztowa|Postbus|Postboks|"
    r"Postafiók|Pf\.|Poštový priečinok|Poštanski pretinac|Poštni predal|Θυρίδα|Пощенска кутия|п\.к\.|Căsuța poștală|Kaxxa Postali|Pósthólf) "
    r"(?:[0-9]{2}(?: [0-9]{2}){1,2}|[0-9]{2,6})(?![\w.,]?[0-9])"
)
_POSTCODES = re.compile(
    r"(?:(?:GIR 0AA|[A-PR-UWYZ](?:[0-9]{1,2}|[A-HK-Y][0-9]{1,2}|[0-9][A-HJKPSTUW]|[A-HK-Y][0-9][ABEHMNPRVWXY]) [0-9][ABD-HJLNP-UW-Z]{2})"
    r"|(?:[AC-FHKNPRTV-Y][0-9]{2}|D6W) [0-9AC-FHKNPRTV-Y]{4}(?<! [A-Z]{4}))(?![\w\-])"
)
"""British postcodes (about fifteen houses) and Irish Eircodes (one house)."""
_DIGITS = re.compile(r"[0-9]+")
_LOOK_BACK = 64


def plates(view: str) -> Iterator[Span]:
    """Find number plates in national shapes that hardly mean anything else."""
    for match in _PLATE_SHAPES.finditer(view):
        yield match.start(), match.end(), "PLATE"


def addresses(view: str) -> Iterator[Span]:
    """Find streets with a house number, post boxes, and postcodes that stand for a few houses; towns alone stay."""
    done = 0
    for run in _DIGITS.finditer(view):
        place = run.start()
        if place < done:
            continue
        match = _address_at(view, place, run.end())
        if match and match.start() >= done and match.end() > place:
            done = match.end()
            yield match.start(), done, "ADDRESS"


def _address_at(view: str, place: int, end: int) -> re.Match[str] | None:
    """Return the address to which some digits belong, if any."""
    before = view[place - 1 : place]
    if before.isupper():
        start = place - 1 - view[max(0, place - 2) : place - 1].isupper()
        return _POSTCODES.match(view, start) if _apart(view, start) else None
    if before == "." and view[max(0, place - 4) : place - 1].lower() == "str":
        return _STREET_GLUED.match(view, _word_start(view, place - 1))
    if before == " " and end - place < 7 and not view[place - 2].isdigit():
        found = _street_before(view, place)
        if found:
            return found
    if end - place > 4 or before.isalnum() or before == "_" or not _NAME_NEXT.match(view, end):
        return None
    return _NUMBER_FIRST.match(view, place)


_NAME_NEXT = re.compile(r"(?: ?[a-zA-Z]{1,3})?,? [^\W\d_]{2}")


def _apart(view: str, start: int) -> bool:
    return not start or not (view[start - 1].isalnum() or view[start - 1] in "_-")


def _word_start(view: str, place: int) -> int:
    while place and view[place - 1].isalpha():
        place -= 1
    return place


def _street_before(view: str, place: int) -> re.Match[str] | None:
    offset = max(0, place - _LOOK_BACK)
    window = _NUMBER_LAST.sub("", view[offset : place - 1])
    words = window.lower().split(" ")
    if words[-1] in _BOXES:
        box = _BOX.search(view, offset, place + 8)
        if box:
            return box
    if words[-1].endswith(STREET_TAILS) or words[-1] in _AFTER:
        match = _named_before(view, place, offset + len(window), window.split(" "))
        if match:
            return match
    match = None if _BEFORE.isdisjoint(words) else _named_after(view, place, window.split(" "))
    return match or (_posted(view, place, offset, window) if window[-1:].isalpha() else None)


_NUMBER_LAST = re.compile(rf"(?i:(?:,? {_NUMBER})?,?\Z)")


def _posted(view: str, place: int, offset: int, window: str) -> re.Match[str] | None:
    """Match a street before a postcode and a town, from the first of its words with a capital."""
    words = window.rsplit(" ", 4)[-4:]
    start = offset + len(window) - len(" ".join(words))
    if _POSTED_NEXT.match(view, place) is None:
        return None
    for word in words:
        if word[:1].isupper():
            match = _STREET_POSTED.match(view, start)
            if match and match.end() > place:
                return match
        start += len(word) + 1
    return None


_POSTED_NEXT = re.compile(rf"{_HOUSE},?[ \n](?:[A-Z]{{1,2}}-)?[0-9]{{2}}")


def _named_before(view: str, place: int, end: int, words: list[str]) -> re.Match[str] | None:
    """Match a street whose kind comes last: ``Hauptstraße 5``, ``Abbey Road``'s cousins ``Kossuth utca 5``."""
    start, last = end - len(words[-1]), words[-1].lower()
    if last in _WHOLE:
        if len(words) < 2 or not (words[-2][:1].isupper() or (last in _ONLY_STREETS and words[-2].isalpha())):
            return None
        start -= len(words[-2]) + 1
        if last in _AFTER_TWO and len(words) > 2 and words[-3][:1].isupper() and words[-3].isalpha():
            start -= len(words[-3]) + 1
    elif not (words[-1][:1].isupper() or len(words[-1]) > 6):
        return None
    match = _STREET_LAST.match(view, start)
    return match if match and match.end() > place else None


_AFTER_TWO = frozenset(("utca", "út", "tér", "körút", "krt."))
"""Words for street that stand behind somebody's whole name."""
_ONLY_STREETS = frozenset(("utca", "körút", "iela", "gatvė", "tänav"))
"""Words for street that mean nothing else before a number."""


def _named_after(view: str, place: int, words: list[str]) -> re.Match[str] | None:
    """Match a street whose kind comes first: ``via Roma 5``."""
    start = max(0, place - _LOOK_BACK)
    for word in words:
        if word.lower() in _BEFORE:
            match = _STREET_FIRST.match(view, start) or _STREET_SMALL.match(view, start)
            if match and match.end() > place:
                return match
        start += len(word) + 1
    return None

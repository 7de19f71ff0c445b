# ruff: noqa: E501, SIM905 (tables of patterns read better whole)
"""Identifiers that are told by their shape in text: e-mail, URL, handle, network address, plate, postal address.

Numbers (phones, cards, bank accounts, national ids) are in ``redact_numbers``. Does not replace anything: each finder
yields spans of the view. The patterns run in Python's ``re``, so look-arounds are allowed here and only here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

Span = tuple[int, int, str]
"""Start, end (exclusive) and type of one finding."""

_HOST = r"[^\W_](?:[\w\-]*\w)?(?:\.[^\W_](?:[\w\-]*\w)?)*"
_LOCAL_SIGNS = frozenset("_.+-!#$%&'*/=?^`{|}~")
_HOST_AFTER = re.compile(_HOST)
_EMAIL_QUOTED = re.compile(rf'"[^"\s@]{{1,64}}"@{_HOST}')
_EMAIL_SPACED = re.compile(r"(?<![\w.+\-@])[\w.+\-]++ ?@ ?[^\W_][\w\-]*(?: ?\. ?[^\W\d_]{2,24}\b)+")
_AT_WORD = r"(?:at|ät|arroba|chez|kukac|zavináč|malpa|małpa|παπάκι|@)"
_AT = rf" ?[(\[{{<_*]-?(?:{_AT_WORD}|a|et|bei|зав)-?[)\]}}>_*] ?"
_DOT_WORD = r"(?:dot|punkt|point|punto|ponto|kropka|punct|tečka|piste|pont)"
_DOT = rf"(?: ?[(\[{{<](?:{_DOT_WORD}|\.)[)\]}}>] ?|\.| {_DOT_WORD} )"
_EMAIL_AT = re.compile(rf"(?i:\w[\w.+\-]*(?:{_DOT}[\w+\-]+)*{_AT}[^\W_][\w\-]*(?:{_DOT}[\w\-]+)*)")
_EMAIL_WORDS = re.compile(rf"(?i:\w[\w.+\-]* {_AT_WORD} [^\W_][\w\-]*(?: {_DOT_WORD} [^\W\d_][\w\-]*)+)")
_ANY_AT = re.compile(rf"(?i:{_AT}|(?<=[\w.+\-]) {_AT_WORD} [\w\-]+ {_DOT_WORD} )")

_URL = re.compile(r"(?i:(?<![\w])(?:[a-z][a-z0-9+.\-]{1,15}://|www\.)[^\s<>\"\u00ab\u00bb]+)")
_SITES = (
    "com|net|org|eu|io|me|tv|be|de|fr|es|it|nl|pl|pt|se|dk|no|fi|cz|sk|hu|ro|bg|gr|ie|at|ch|uk|lt|lv|ee|si|hr|lu|mt|"
    "cy|is|li|info|social|app|gg|ly|co|example|page|blog|xyz|link|online|site"
)
_URL_BARE = re.compile(rf"(?i:(?<![\w@.\-])(?:[a-z0-9\-]+\.)+(?:{_SITES})(?::[0-9]+)?[/?#][^\s<>\"]*)")
_PERSONAL_HOST = re.compile(
    r"(?i:(?<![\w@.\-])[a-z0-9][a-z0-9\-]*\.(?:bsky\.social|tumblr\.com|blogspot\.[a-z.]{2,6}|wordpress\.com|github\.io|"
    r"substack\.com|livejournal\.com|deviantart\.com|eth)(?![\w\-]))"
)
_BARE = re.compile(r"\.[A-Za-z]{2,10}(?::[0-9]+)?[/?#]")
_PERSONAL = re.compile(r"\.(?i:bsky|tumblr|blogspot|wordpress|github|substack|livejournal|deviantart|eth)")
_TRAILING = ".,;:!?'\u2019\u201c\u201d\u2026*_~"
_USER_PATH = re.compile(
    r"(?i:/(?:u|user|users|member|members|profile|profil|profilo|perfil|people|person|in|author|channel|c|nutzer|"
    r"utilisateur|usuario|utente|uzytkownik|@[^/]+|~[^/]+)(?:/|$|[?=])|/[@~]|[0-9]{3,}|[?#&=@])"
)

_HANDLE_REMOTE = re.compile(r"(?<![\w@.])@[\w](?:[\w.\-]*\w)?[@:][^\W_][\w\-]*(?:\.[\w\-]+)*\w")
_HANDLE = re.compile(r"(?<![\w@])@(?=[\w.\-]*[^\W\d])\w(?:[\w.\-]*\w)?")
_CLOCK = re.compile(r"(?i:@[0-9]{1,2}(?:[.h][0-9]{2})?(?:am|pm|h|uhr|hrs|o|a|p)?$)")
_REDDIT = re.compile(r"(?<![\w/.])/?u/[A-Za-z0-9_\-]{3,20}(?![\w\-])")
_DID = re.compile(r"(?<![\w])did:[a-z]{2,10}:[A-Za-z0-9._:%\-]{4,}[A-Za-z0-9]")
_NOSTR = re.compile(r"(?<![\w])n(?:pub|profile|sec)1[02-9ac-hj-np-z]{20,}")
_DISCORD = re.compile(r"(?<![\w#])[^\W_][\w.]{1,31}#[0-9]{4}(?![\w])")

_HANDLE_CUES = (
    ("u/", _REDDIT),
    ("did:", _DID),
    ("npub1", _NOSTR),
    ("nprofile1", _NOSTR),
    ("nsec1", _NOSTR),
    ("#", _DISCORD),
)

_IPV4 = re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?::[0-9]{2,5})?(?![\w]|\.[0-9])")
_IPV6 = re.compile(r"(?i:(?<![\w:.])(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?![\w:]))")
_MAC = re.compile(r"(?i:(?<![\w:\-])[0-9a-f]{2}(?:([:\-])[0-9a-f]{2})(?:\1[0-9a-f]{2}){4}(?![\w:\-]))")
_VERSION = re.compile(r"(?i:(?:\bv|version|ver\.?|release|firmware|build)[ .:]*$)")

_PLATE_SHAPES = re.compile(
    r"(?<![\w\-])(?:[A-HJ-NP-TV-Z]{2}-[0-9]{3}-[A-HJ-NP-TV-Z]{2}"  # France since 2009, Italy written alike
    r"|[A-ZÄÖÜ]{1,3}-[A-ZÖ]{1,2}[ -][1-9][0-9]{0,3}[EH]?"  # Germany
    r"|[A-Z]{2}[0-9]{2} [A-Z]{3})(?![\w\-])"  # United Kingdom
)
_PLATE_WORD = re.compile(
    r"(?i:(?:kennzeichen|nummernschild|kenteken|nummerplade|nummerplaat|plaque(?: d'immatriculation)?|immatriculation|"
    r"targa|matr[ií]cula|rejestracj\w*|tablic\w*|registreringsnummer|regnr|rekisterinumero|rendszám\w*|spz|"
    r"registration plate|number plate|licen[cs]e plate|reg\.? no\.?|înmatriculare|рег\. ?№|номер на кола|πινακίδα|"
    r"registracij\w*|numurzīme|valstybinis numeris)\W{1,4}(?:\w{1,4} ){0,2}?)"
    r"([A-ZÄÖÜ0-9А-ЯΑ-Ω]{1,4}(?:[ \-]?[A-ZÄÖÜ0-9А-ЯΑ-Ω]{1,5}){0,3})(?!\w)"
)

_NAME = r"[^\W\d_a-zß-öø-ÿ][^\W\d_]+(?:[ \-'’](?:[^\W\d_]{1,3}[ '’])?[^\W\d_a-z][^\W\d_]+){0,3}"
_HOUSE = r"[0-9]{1,4}(?: ?[a-zA-Z](?![\w]))?(?:[/\-][0-9]{1,4})?(?![\w%€$£:]|[.,][0-9]| ?(?:%|€|EUR|km|kg|Uhr))"
_ADDRESS = re.compile(
    rf"(?:[^\W\d_]+(?:stra(?:ß|ss)e|str\.|gasse|allee|platz|damm|ufer|straat|laan|gracht|plein|steenweg|gatan|vägen|"
    rf"gade|gata|katu|tänav|utca)|(?:[A-ZÄÖÜ][\w\-]+ )(?:Straße|Strasse|Str\.|Allee|Platz|Weg|utca|út|iela|gatvė|gatve|"
    rf"ulica|cesta|tänav|katu|Straat|Street)) {_HOUSE}"
    rf"|(?<![\w])[0-9]{{1,4}}(?: ?(?:bis|ter|[a-zA-Z]))?,? (?:(?i:rue|avenue|boulevard|bd|chemin|impasse|allée|quai) "
    rf"(?:(?:de la|de l'|de|du|des|d') ?)?{_NAME}|(?:{_NAME}) (?:Street|Road|Lane|Avenue|Drive|Close|Crescent|Terrace|St|Rd|Ave))(?!\w)"
    rf"|(?<![\w])(?:[Vv]ia|[Vv]iale|[Pp]iazza|[Cc]orso|[Cc]alle|[Cc]/|[Aa]venida|[Aa]v\.|[Pp]laza|[Rr]ua|[Tt]ravessa|[Uu]l\.|[Uu]lica|"
    rf"[Aa]leja|[Aa]l\.|[Ss]tr\.|[Ss]trada|[Bb]ulevardul|[Oo]dos|[Οο]δός|[Уу]л\.|[Бб]ул\.|ulici|ul) (?:(?:de la|de los|de|del|della|dei|do|da|dos|di) )?{_NAME},?(?: (?:nr|n[.°º]|no)\.?)? {_HOUSE}"
)


def urls(view: str) -> Iterator[Span]:
    """Find URLs: ``URL_ID`` where the address names a person or a thing, ``URL`` for another page; bare sites stay."""
    for pattern in (_URL,) if not _BARE.search(view) else (_URL, _URL_BARE):
        for match in pattern.finditer(view):
            text = _closed(match.group().rstrip(_TRAILING))
            kind = _url_kind(text)
            if kind:
                yield match.start(), match.start() + len(text), kind
    if _PERSONAL.search(view):
        yield from _all((_PERSONAL_HOST,), view, "HANDLE")


def _closed(text: str) -> str:
    while text and text[-1] in ")]}" and text.count(text[-1]) > text.count({")": "(", "]": "[", "}": "{"}[text[-1]]):
        text = text[:-1].rstrip(_TRAILING)
    return text


def _url_kind(text: str) -> str | None:
    _, mark, rest = text.partition("://")
    rest = rest if mark else text
    host, slash, path = rest.partition("/")
    if "@" in host or _PERSONAL_HOST.search(host) or any(sign in host for sign in "?#") or host[:1].isdigit():
        return "URL_ID"
    if not slash or not path:
        return None
    return "URL_ID" if _USER_PATH.search("/" + path) else "URL"


def emails(view: str) -> Iterator[Span]:
    """Find e-mail addresses in any script, also written ``name (at) host``, ``name @ host . com``."""
    if "@" in view:
        if '"@' in view:
            yield from _all((_EMAIL_QUOTED,), view, "EMAIL")
        for place in _signs_at(view):
            start, host = _local_start(view, place), _HOST_AFTER.match(view, place + 1)
            if start < place and host and view[start - 1 : start] != "@":
                yield start, host.end(), "EMAIL"
        if " @" in view or "@ " in view:
            yield from _all((_EMAIL_SPACED,), view, "EMAIL")
    if _ANY_AT.search(view):
        yield from _all((_EMAIL_AT, _EMAIL_WORDS), view, "EMAIL")


def _signs_at(view: str) -> Iterator[int]:
    place = view.find("@")
    while place >= 0:
        yield place
        place = view.find("@", place + 1)


def _local_start(view: str, place: int) -> int:
    while place and (view[place - 1].isalnum() or view[place - 1] in _LOCAL_SIGNS):
        place -= 1
    return place


def _all(patterns: tuple[re.Pattern[str], ...], view: str, kind: str) -> Iterator[Span]:
    for pattern in patterns:
        for match in pattern.finditer(view):
            yield match.start(), match.end(), kind


def handles(view: str) -> Iterator[Span]:
    """Find names of accounts: ``@x``, ``@x@host``, ``u/x``, DIDs, Nostr keys, ``name#1234``."""
    for place in _signs_at(view):
        match = _HANDLE_REMOTE.match(view, place) or _HANDLE.match(view, place)
        if match and not _CLOCK.match(match.group()):
            yield match.start(), match.end(), "HANDLE"
    for cue, pattern in _HANDLE_CUES:
        if cue in view:
            yield from _all((pattern,), view, "HANDLE")


def networks(view: str) -> Iterator[Span]:
    """Find IPv4, IPv6 and MAC addresses."""
    yield from _all((_MAC,), view, "MAC")
    for match in _IPV4.finditer(view):
        octets = match.group().split(":")[0].split(".")
        before = view[max(0, match.start() - 12) : match.start()]
        if all(int(octet) < 256 for octet in octets) and not _VERSION.search(before):
            yield match.start(), match.end(), "IP"
    for match in _IPV6.finditer(view) if view.count(":") > 1 else ():
        if len(match.group()) > 5 and any(sign.isdigit() for sign in match.group()) and _is_ipv6(match.group()):
            yield match.start(), match.end(), "IP"


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


_PLATE_CUES = (
    "kennzeichen nummernschild kenteken nummerplade nummerplaat plaque immatricul targa matricul matrícul rejestrac tablic "
    "registreringsnummer regnr rekisterinumero rendszám spz plate reg. reg înmatricul рег номер πινακίδα registraci numurz "
    "valstybinis"
).split()
_STREET_CUES = (
    "straße strasse str. gasse allee platz damm ufer straat laan gracht plein steenweg gatan vägen gade gata katu tänav "
    "utca weg út iela gatv ulica ulici cesta street rue avenue boulevard bd chemin impasse allée quai road lane drive close "
    "crescent terrace st rd ave via viale piazza corso calle c/ avenida av. plaza rua travessa ul. ul aleja al. strada "
    "bulevardul odos οδός ул. бул."
).split()


def _cued(view: str, cues: list[str]) -> bool:
    lowered = view.lower()
    return any(cue in lowered for cue in cues)


def plates(view: str) -> Iterator[Span]:
    """Find number plates: three national shapes that hardly mean anything else, others only after a word for plate."""
    yield from _all((_PLATE_SHAPES,), view, "PLATE")
    if not _cued(view, _PLATE_CUES):
        return
    for match in _PLATE_WORD.finditer(view):
        plate = match.group(1)
        if any(sign.isdigit() for sign in plate) and 4 <= len(plate) <= 12:
            yield match.start(1), match.end(1), "PLATE"


_HOUSED = re.compile(
    rf"[^\W\d_],? (?:(?:nr|n[.°º]|no)\.? )?{_HOUSE}|(?<!\w)[0-9]{{1,4}}(?: ?(?:bis|ter|[a-zA-Z]))?,? [^\W\d_]"
)


def addresses(view: str) -> Iterator[Span]:
    """Find streets with a house number in the commonest European spellings; towns and postcodes alone stay."""
    if _HOUSED.search(view) and _cued(view, _STREET_CUES):
        yield from _all((_ADDRESS,), view, "ADDRESS")

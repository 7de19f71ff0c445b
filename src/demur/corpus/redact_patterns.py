# ruff: noqa: E501, SIM905 (tables of patterns and words read better whole)
"""Identifiers that are told by their shape in text: e-mail, URL, handle, network address, wallet.

Numbers (phones, cards, bank accounts, national ids) are in ``redact_numbers``, plates and addresses in ``redact_places``. Does not replace anything: each finder
yields spans of the view. The patterns run in Python's ``re``, so look-arounds are allowed here and only here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int, str]
"""Start, end (exclusive) and type of one finding."""

MASK = "\uffff"
"""Stands in the view for what is already found; no pattern matches it."""

SITES = (
    "com|net|org|eu|io|me|tv|be|de|fr|es|it|nl|pl|pt|se|dk|no|fi|cz|sk|hu|ro|bg|gr|ie|at|ch|uk|lt|lv|ee|si|hr|lu|mt|"
    "cy|is|li|br|info|social|app|gg|ly|co|fm|to|ai|us|ca|cat|eus|gal|ru|ua|tr|rs|al|md|example|page|blog|xyz|link|online|"
    "site|dev|art|world|network|exchange|party|community|shop|club|live|store|tech|cloud|biz|name|mk|ba|рф|бг|ею|ελ|укр|срб"
)
"""Endings of names of hosts that people write without a scheme."""

_URL_REST = re.compile(r"[^\s<>\"\u00ab\u00bb]+")
_SCHEME = re.compile(r"(?i:(?<![\w])[a-z][a-z0-9+.\-]{1,15}$)")
_WWW = re.compile(r"[wW]{3}\.(?=[^\s<>\"\u00ab\u00bb])")
_URL_BARE = re.compile(rf"(?i:(?:[\w\-]+\.)+(?:{SITES})(?::[0-9]+)?[/?#][^\s<>\"]*)")
PERSONAL = (
    r"bsky\.social|tumblr\.com|blogspot\.[a-z.]{2,6}|wordpress\.com|git(?:hub|lab)\.io|codeberg\.page|substack\.com|livejournal\.com|deviantart\.com|"
    r"neocities\.org|bandcamp\.com|itch\.io|carrd\.co|over-blog\.com|canalblog\.com|dreamwidth\.org|weebly\.com|wixsite\.com|medium\.com|"
    r"webnode\.[a-z.]{2,6}|blogg\.se|skyrock\.com|micro\.blog|write\.as|newgrounds\.com|artstation\.com|myportfolio\.com|jimdo(?:free|site)?\.com|eth"
)
"""Sites that give each person a host of their own (also RE2)."""
_PERSONAL_HOST = re.compile(rf"(?i:(?<![\w@.\-])(?!(?:www|api)\.)[a-z0-9][a-z0-9\-]*\.(?:{PERSONAL})(?![\w\-]))")
_BARE = re.compile(r"\.(?:[A-Za-z]{2,10}|рф|бг|ею|ελ|укр|срб)(?::[0-9]+)?[/?#]")
_PERSONAL = re.compile(rf"\.(?i:{PERSONAL})")
_TRAILING = ".,;:!?'\u2019\u201c\u201d\u2026*_~"
_USER_PATH = re.compile(
    r"(?i:/(?:u|user|users|member|members|profile|profil|profilo|perfil|people|person|in|author|channel|c|nutzer|"
    r"utilisateur|usuario|utente|uzytkownik|@[^/]+|~[^/]+)(?:/|$|[?=])|/[@~]|[0-9]{3,}|[?#&=@])"
)

_HANDLE_REMOTE = re.compile(r"(?<![\w@.])@[\w](?:[\w.\-]*\w)?[@:][^\W_][\w\-]*(?:\.[\w\-]+)*\w")
_HANDLE = re.compile(r"(?<![\w@])@(?=[\w.\-]*[^\W\d])\w(?:(?:[\w.\-]|\\_)*\w)?")
_CLOCK = re.compile(r"(?i:@[0-9]{1,2}(?:[.h][0-9]{2})?(?:am|pm|h|uhr|hrs|o|a|p)?$)")
_REDDIT = re.compile(r"(?<![\w/.])/?u/(?:[A-Za-z0-9_\-]|\\_){3,24}(?![\w\-])")
_DID = re.compile(r"(?<![\w])did:[a-z]{2,10}:[A-Za-z0-9._:%\-]{4,}[A-Za-z0-9]")
_NOSTR = re.compile(r"(?<![\w])n(?:pub|profile|sec)1[02-9ac-hj-np-z]{20,}")
_DISCORD = re.compile(r"#[0-9]{4}(?![\w])")
_DISCORD_NAME = re.compile(r"(?<![\w#.])[^\W_][\w.]{1,31}\Z")
_NUMBERED = frozenset(
    "bug issue issues pr pull ticket gh no nr order bestellung room job build fix fixes closes see task episode ep day folge".split()
)
"""Words before ``#`` and four digits that count something."""
NETWORKS = (
    "instagram|insta|ig|snapchat|snap|telegram|tg|discord|tiktok|kik|skype|steam|psn|xbox|gamertag|twitter|threema|signal|facebook|fb|twitch|"
    "reddit|bereal|pinterest|tumblr|youtube|linkedin|viber|wechat|threads|vsco|vk"
)
"""What announces an account (also RE2)."""
_ACCOUNT = re.compile(
    rf"(?i:(?<![\w:])(?:{NETWORKS})(?:[ \-]?(?:name|id|handle|tag|account|acc|user|username|profil|profile|nick))?)"
    r"(?P<mark> ?[:=>] ?| (?i:is|ist|is:|est|es|è|to|je) | )"
    r"(?P<name>(?:live:)?[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)(?![\w/\\]|[.@:]\w)"
)
_SURE_NAME = re.compile(r"live:|[A-Za-z][A-Za-z0-9.]*_.")
"""What is a name even without a colon before it: ``Twitter COVID19`` has none."""
_LIKELY_NAME = re.compile(
    rf"(?!(?i:www\.|.*\.(?:{SITES})\Z))(?!(?:[A-Z0-9.]+|[A-Z][a-z]+[0-9])\Z)"
    r"(?:(?:\.?[A-Za-z]){3}[A-Za-z.]*[0-9]|[A-Za-z]{2,}\.[a-z]{2,})"
)
"""What is a name behind a colon: three letters before a figure, or a dot within; no site, ``CS2``, ``Teil2`` or ``Nein.Doch``."""

_HANDLE_CUES = (
    ("u/", _REDDIT),
    ("did:", _DID),
    ("npub1", _NOSTR),
    ("nprofile1", _NOSTR),
    ("nsec1", _NOSTR),
)

_IPV4 = re.compile(r"[0-9]{1,3}(?:(?:\.|\[\.\])[0-9]{1,3}){3}(?::[0-9]{2,5})?(?![\w]|\.[0-9])")
_IPV6 = re.compile(r"(?i:(?:[0-9a-f]{0,4}:){2,7}(?:[0-9a-f]{1,4}|(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?![\w:]))")
_COLONS = re.compile(r":[0-9a-fA-F]{0,4}:")
_MAC = re.compile(r"[0-9a-fA-F]{2}(?:([:\-])[0-9a-fA-F]{2})(?:\1[0-9a-fA-F]{2}){4}(?![\w:\-])")
_MAC_DOTS = re.compile(r"(?=[0-9.]{0,13}[a-fA-F])[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}\.[0-9a-fA-F]{4}(?![\w.:\-])")
_VERSION = re.compile(
    r"(?i:(?:\bv|version|ver\.?|release|firmware|build|kapitel|kap|chapter|section|sec|abschnitt|chapitre|capitolo|cap[íi]tulo|rozdział|§|clause|table|figure)[ .:]*$)"
)


def urls(view: str) -> Iterator[Span]:
    """Find URLs: ``URL_ID`` where the address names a person or a thing, ``URL`` for another page; bare sites stay."""
    done = 0
    whole: list[tuple[int, int]] = []
    for start in sorted(_url_starts(view)):
        rest = _URL_REST.match(view, start) if start >= done else None
        if rest is None:
            continue
        done = rest.end()
        text = _closed(rest.group().rstrip(_TRAILING))
        kind = _url_kind(text)
        whole.append((start, done))
        if kind:
            yield start, start + len(text), kind
    yield from _bare_urls(view, whole)
    if _PERSONAL.search(view):
        yield from _all((_PERSONAL_HOST,), view, "HANDLE")


def _bare_urls(view: str, whole: list[tuple[int, int]]) -> Iterator[Span]:
    """Find addresses without a scheme that do not lie in one of the whole ones, which stand in their order."""
    done, at = 0, 0
    for bare in _BARE.finditer(view):
        place = bare.start()
        while at < len(whole) and whole[at][1] <= place:
            at += 1
        if place < done or (at < len(whole) and whole[at][0] <= place):
            continue
        match = _URL_BARE.match(view, _host_start(view, place))
        if not match:
            continue
        done = match.end()
        text = _closed(match.group().rstrip(_TRAILING))
        kind = _url_kind(text)
        if kind and view[match.start() - 1 : match.start()] not in _NO_HOST_AFTER:
            yield match.start(), match.start() + len(text), kind


_NO_HOST_AFTER = frozenset("@/")


def _host_start(view: str, place: int) -> int:
    while place and (view[place - 1].isalnum() or view[place - 1] in "-._"):
        place -= 1
    while view[place] in ".-_":
        place += 1
    return place


def _url_starts(view: str) -> Iterator[int]:
    place = view.find("://")
    while place >= 0:
        scheme = _SCHEME.search(view, max(0, place - 17), place)
        if scheme:
            yield scheme.start()
        place = view.find("://", place + 3)
    for match in _WWW.finditer(view) if "www." in view.lower() else ():
        if not match.start() or not (view[match.start() - 1].isalnum() or view[match.start() - 1] == "_"):
            yield match.start()


def _closed(text: str) -> str:
    """Return an address without brackets that it does not open, and what stands before them."""
    if text[-1:] not in _CLOSING:
        return text
    more = {close: text.count(close) - text.count(opened) for close, opened in _CLOSING.items()}
    end = len(text)
    while end and more.get(text[end - 1], 0) > 0:
        more[text[end - 1]] -= 1
        end -= 1
        while end and text[end - 1] in _TRAILING:
            end -= 1
    return text[:end]


_CLOSING = {")": "(", "]": "[", "}": "{"}


def _url_kind(text: str) -> str | None:
    _, mark, rest = text.partition("://")
    rest = rest if mark else text
    host, slash, path = rest.partition("/")
    if "@" in host or "?" in host or "#" in host or host[:1].isdigit():
        return "URL_ID"
    if _PERSONAL.search(host) and _PERSONAL_HOST.search(host):
        return "URL_ID"
    if not slash or not path:
        return None
    return "URL_ID" if _USER_PATH.search("/" + path) else "URL"


def _signs_at(view: str) -> Iterator[int]:
    place = view.find("@")
    while place >= 0:
        yield place
        place = view.find("@", place + 1)


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
    for number in _DISCORD.finditer(view):
        named = _DISCORD_NAME.search(view, max(0, number.start() - 32), number.start())
        if named and named.group().lower() not in _NUMBERED:
            yield named.start(), number.end(), "HANDLE"


def accounts(view: str) -> Iterator[Span]:
    """Find names of accounts behind the name of a network: ``insta: anna.may``, ``Snapchat anna_12``."""
    for match in _ACCOUNT.finditer(view):
        name = match.group("name")
        marked = match.group("mark").strip()[-1:] in {":", "=", ">"}
        if _SURE_NAME.match(name) or (marked and _LIKELY_NAME.match(name)):
            yield match.start("name"), match.end("name"), "HANDLE"


_WALLET = re.compile(
    r"(?<!\w)(?:0x[0-9a-fA-F]{40}|bc1[ac-hj-np-z02-9]{25,87}|[13][1-9A-HJ-NP-Za-km-z]{25,34}|"
    r"(?i:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}))(?!\w)"
)


_MACHINE_READABLE = re.compile(
    r"(?<![A-Z0-9<])(?=[A-Z0-9]*<[A-Z0-9<]*<<|[A-Z0-9]+<<[0-9])[A-Z0-9<]{28,46}(?![A-Z0-9<])"
)
"""A line of a passport or identity card for machines (ICAO 9303): number, name and date of birth."""


def wallets(view: str) -> Iterator[Span]:
    """Find accounts of crypto currencies, random keys (UUID: PIX, devices) and lines of passports."""
    for match in _MACHINE_READABLE.finditer(view) if "<<" in view else ():
        yield match.start(), match.end(), "ID"
    for match in _WALLET.finditer(view):
        if sum(sign.isdigit() for sign in match.group()) > 3 or match.group().startswith(("0x", "bc1")):
            yield match.start(), match.end(), "ID"


def networks(view: str) -> Iterator[Span]:
    """Find IPv4, IPv6 and MAC addresses."""
    for match in _MAC.finditer(view) if view.count(":") > 4 or view.count("-") > 4 else ():
        if _apart(view, match.start(), ":-") and any(sign.isdigit() for sign in match.group()):
            yield match.start(), match.end(), "MAC"
    for match in _MAC_DOTS.finditer(view) if view.count(".") > 1 else ():
        if _apart(view, match.start(), ":-."):
            yield match.start(), match.end(), "MAC"
    for match in _IPV4.finditer(view) if view.count(".") > 2 else ():
        octets = match.group().replace("[.]", ".").split(":")[0].split(".")
        before = view[max(0, match.start() - 12) : match.start()]
        if (
            _apart(view, match.start(), ".")
            and all(int(octet) < 256 for octet in octets)
            and not _VERSION.search(before)
        ):
            yield match.start(), match.end(), "IP"
    done = 0
    for colons in _COLONS.finditer(view):
        start = colons.start()
        while start and colons.start() - start < 4 and view[start - 1] in _HEX:
            start -= 1
        match6 = _IPV6.match(view, start) if start >= done and _apart(view, start, ":.") else None
        if match6 and len(match6.group()) > 5 and any(map(str.isdigit, match6.group())) and _is_ipv6(match6.group()):
            done = match6.end()
            yield start, done, "IP"


_HEX = frozenset("0123456789abcdefABCDEF")


def _apart(view: str, place: int, signs: str) -> bool:
    """Say whether neither a word nor one of some signs goes on before a place."""
    before = view[place - 1 : place]
    return not before or not (before.isalnum() or before == "_" or before in signs)


def _is_ipv6(text: str) -> bool:
    """Say whether hexadecimal groups are an address (RFC 4291 §2.2): eight, or fewer beside one ``::``."""
    head, gap, tail = text.partition("::")
    groups = [group for half in (head, tail) if half for group in half.split(":")]
    size = len(groups)
    if groups and "." in groups[-1]:
        octets = groups.pop().split(".")
        size += 1
        if not (tail or not gap) or any(int(octet) > 255 or (octet[0] == "0" and octet != "0") for octet in octets):
            return False
    return all(groups) and (size < 8 if gap else size == 8)

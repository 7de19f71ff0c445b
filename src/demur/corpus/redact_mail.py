# ruff: noqa: E501 (tables of words read better whole)
"""E-mail addresses, plain and as people hide them: ``name (at) host``, ``name chiocciola host punto it``.

Every search begins at what stands for the at sign and looks to both sides of it: that is what keeps it linear. A word
that is also ordinary language (``at``, ``et``, ``point``) counts only beside what ordinary language does not put there.
Does not replace anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from demur.corpus.redact_patterns import SITES, Span

_HOST_AFTER = re.compile(r"[^\W_](?:[\w\-]*\w)?(?:\.[^\W_](?:[\w\-]*\w)?)*")
_QUOTED = re.compile(rf'"[^"\s@]{{1,64}}"@{_HOST_AFTER.pattern}')
_PROVIDERS = (
    "gmail|googlemail|hotmail|outlook|live|yahoo|gmx|web|t-online|freenet|posteo|mailbox|icloud|proton|protonmail|aol|wp|onet|interia|seznam|centrum|"
    "libero|orange|laposte|free|wanadoo|sfr|ziggo|kpn|telenet|abv|inbox|freemail|citromail|azet|uol|bol|siol|telia|luukku|mail|ymail"
)
_SPACED_HOST = re.compile(
    rf" ?(?:[^\W_][\w\-]{{0,62}}(?:(?: \. ?|\.)[^\W\d_]{{2,24}}\b|\. (?:com|net|org)\b)+|(?i:(?:{_PROVIDERS})\. (?:com?|de|fr|it|es|{SITES})\b))"
)
_BACK = re.compile(r"[\w.+\-!#$%&'*/=?^`{|}~\\]+")
"""What may stand before an at sign, read backwards; a backslash is Markdown's."""
_PLAIN_BACK = re.compile(r"[\w.+\-\\]*\w")

_NAMES = (
    "arroba|klammeraffe|chiocciola|małpa|malpa|zavináč|zavinac|kukac|snabel-?a|apenstaartje|apestaartje|arr?obase|arobas|miukumauku|παπάκι|παπακι|"
    "маймунско а|маймуна|кльомба|afna|a ?rond"
)
"""What people call the sign: nothing else is said before a host."""
_WORDS = "at|ät|ätt|et|eta|hjá|chez|@"
"""What people say for it, and for much else."""
_SHORT = "a|bei|зав|at-zeichen|at sign"
"""What stands for it in brackets only."""
_DOTS = (
    "dot|punkt|punto|ponto|kropka|punct|tečka|tecka|piste|bodka|pika|točka|tocka|tačka|tacka|точка|крапка|τελεία|τελεια|punts?|punkts|"
    "taškas|taskas|punktum|punktur|ponc"
)
_LATIN_DOTS = f"{_DOTS}|point|pont"
_OPEN, _CLOSE = "(\\[{<_*|\"'„“‚‘«", ")\\]}>_*|\"'“”‘’»"

_SIGN = re.compile(
    rf"(?i: ?[{_OPEN}]-?(?P<bracketed>{_NAMES}|{_WORDS}|{_SHORT})-?[{_CLOSE}] ?| [-]{{1,2}}(?:{_NAMES}|{_WORDS})[-]{{1,2}} |%40"
    rf"| (?P<named>{_NAMES}|at sign) | (?P<said>{_WORDS}) )|(?<=[a-z0-9])AT(?=[a-z])"
)
_LABEL = r"[^\W_][\w\-]{0,62}"
_DOT = rf"(?: ?[(\[{{<](?:{_LATIN_DOTS}|\.)[)\]}}>] ?| -{{1,2}}(?:{_LATIN_DOTS})-{{1,2}} | (?:{_LATIN_DOTS}) |\.|%2e|(?-i:(?<=[a-z])DOT(?=[a-z])))"
_SITE = rf"(?:{SITES})(?![\w\-]|\.\w)"
_TLD = rf"(?:{SITES}|[a-z]{{2}})(?![\w\-]|\.\w)"
_HOST = re.compile(rf"(?i:{_LABEL}?(?:{_DOT}{_LABEL}?){{0,4}}?(?:\.{_TLD}|{_DOT}{_SITE}| dot(?:com|net|org)\b))")
_PROVIDER = re.compile(rf"(?i:(?:{_PROVIDERS})(?![\w\-]))")
_SPOKEN_HOST = {
    **dict.fromkeys(("at", "@"), re.compile(rf"(?i:(?!(?:the|a|an|this|that) ){_LABEL}(?: (?:{_DOTS}) {_LABEL}){{0,4}}? (?:{_DOTS}) {_SITE})")),
    **dict.fromkeys(("ät", "ätt"), re.compile(rf"(?i:{_LABEL} (?:punkt|piste) {_SITE})")),
    "chez": re.compile(rf"(?i:{_LABEL} point (?:fr|be|ch|lu|com|net|org|eu|info)(?!\w))"),
    "et": re.compile(rf"(?i:{_LABEL} punkts {_SITE})"),
    "eta": re.compile(rf"(?i:{_LABEL} ta[šs]kas {_SITE})"),
    "hjá": re.compile(rf"(?i:{_LABEL} punktur {_SITE})"),
}  # fmt: skip
"""Word for the at sign → what must stand behind it, the dot in words of the same language."""
_DOTTED_NAME = re.compile(r"[^\W\d_]{2,}[._][^\W\d_]{2,}")
_WRITTEN_HOST = re.compile(rf"(?i:{_LABEL}(?:\.{_LABEL}){{0,4}}?\.(?!(?:rs|md)\b){_SITE})")
_DOT_BEFORE = re.compile(rf"(?i:(?: ?[(\[{{<](?:{_LATIN_DOTS}|\.)[)\]}}>] ?| (?:{_DOTS}) )\Z)")
_DOT_REACH = 12

GATE = (
    rf"(?i:[{_OPEN}]-?(?:{_NAMES}|{_WORDS}|{_SHORT})-?[{_CLOSE}]| (?:{_NAMES}|at sign) | -{{1,2}}(?:{_NAMES}|{_WORDS})-{{1,2}} |%40"
    rf"| (?:{_WORDS}) [^ ]+(?:[.][^ ]| (?:{_LATIN_DOTS}) ))|[a-z0-9]AT[a-z]"
)
"""What a text must hold before it is read for hidden addresses (RE2)."""


def emails(view: str) -> Iterator[Span]:
    """Find e-mail addresses in any script, also written ``name @ host . com``."""
    if '"@' in view:
        for match in _QUOTED.finditer(view):
            yield match.start(), match.end(), "EMAIL"
    before = 0  # behind the at sign before: no address reaches beyond it
    place = view.find("@")
    while place >= 0:
        spaced = view[place + 1 : place + 2] == " " or view[place - 1 : place] == " "
        last = place - 1 if view[place - 1 : place] == " " else place
        back = _BACK.match(view[before:last][::-1])
        host = (_SPACED_HOST if spaced else _HOST_AFTER).match(view, place + 1) if back else None
        if back and host and view[last - back.end() - 1 : last - back.end()] != "@" and _lettered(host.group()):
            yield last - back.end(), host.end(), "EMAIL"
        before = place + 1
        place = view.find("@", before)


def _lettered(host: str) -> bool:
    """Say whether a host holds a letter or is an IPv4 address: ``react@18.2`` is a version, ``3@5`` a price."""
    return host.count(".") == 3 or any(map(str.isalpha, host))


def worded_emails(view: str) -> Iterator[Span]:
    """Find e-mail addresses that hide their signs: ``name (at) host.org``, ``name at host dot org``."""
    done = 0
    for sign in _SIGN.finditer(view):
        if sign.start() < done:
            continue
        start = _name_start(view, sign.start(), done)
        end = _host_end(view, sign, view[start : sign.start()]) if start < sign.start() else None
        if end is not None:
            yield start, end, "EMAIL"
            done = end


def _name_start(view: str, place: int, least: int) -> int:
    """Return where the name before an at sign begins, its dots in words too; the place itself if there is none."""
    for _ in range(4):
        back = _PLAIN_BACK.match(view[max(least, place - 128) : place][::-1])
        if back is None:
            break
        place -= back.end()
        dot = _DOT_BEFORE.search(view, max(least, place - _DOT_REACH), place)
        if dot is None or dot.start() <= least or not view[dot.start() - 1].isalnum():
            break
        place = dot.start()
    return place


def _host_end(view: str, sign: re.Match[str], name: str) -> int | None:
    """Return where the host ends that stands behind an at sign, ``None`` if none does."""
    said = sign.group("said")
    if said is None:
        host = _HOST.match(view, sign.end())
        if host is None and _surely(sign):
            host = _PROVIDER.match(view, sign.end())
        return host.end() if host else None
    host = _SPOKEN_HOST[said.lower()].match(view, sign.end())
    if host is None and said.lower() in {"at", "ät"} and not name.isalpha():
        host = _WRITTEN_HOST.match(view, sign.end())
        known = _DOTTED_NAME.match(name) or (name[:2].isalpha() and _PROVIDER.match(view, sign.end()))
        return host.end() if host and known else None
    return host.end() if host else None


def _surely(sign: re.Match[str]) -> bool:
    """Say whether a sign is so plain that a provider's name without its ending is enough: ``anna (at) gmail``."""
    word = sign.group("bracketed")
    return sign.group("named") is not None or (
        word is not None and len(word) > 1 and sign.group().strip()[0] in "([{<" and word.lower() not in {"et", "chez"}
    )

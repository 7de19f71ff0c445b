"""Machine-readable preferences about AI training, each as a value and an origin (INT-09, REQUIREMENTS §5.8). Pure.

A statement says yes, no, or nothing. Whatever cannot be read says nothing, and nothing never becomes a yes. Several
statements together: any no wins, else any yes, else nothing, whatever their order (AIPREF vocabulary, Combining
Preferences). A no that covers one medium only says so. Files of a whole site are in signals_site.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from demur.terms.content import Kind, Signal

YES, NO = Signal.YES.value, Signal.NO.value

MEDIA: Mapping[str, str] = {
    **dict.fromkeys((Kind.PHOTO, Kind.PROFILE_PICTURE, Kind.AVATAR), "image"),
    **dict.fromkeys((Kind.VIDEO, Kind.REEL, Kind.LIVE_REPLAY), "video"),
    Kind.VOICE: "audio",
    **dict.fromkeys((Kind.STORY, Kind.HIGHLIGHT), "image video"),
}
"""Kind → the media that it is made of; every other kind is text."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a signal says."""

    value: str | None
    """``y``, ``n``, or ``None``: nothing, or nothing that can be read."""
    origin: str
    """Where it was found, without blanks; of several, each once, in order, with a blank between."""
    only: str = ""
    """The one medium that it is about: text, image, audio, video; empty = everything."""

    def columns(self) -> dict[str, str | None]:
        """Return the two columns of the tables."""
        return {"signal": self.value, "signal_origin": self.origin if self.value else None}

    def covers(self, kind: str) -> bool:
        """Return whether it is about a kind of content."""
        return not self.only or self.only in MEDIA.get(kind, "text").split()


NOTHING = Said(None, "")


def combined(*statements: Said) -> Said:
    """Return what statements say together: any no wins, else any yes; the origins are those of the value.

    >>> combined(Said("y", "a"), Said("n", "c"), Said(None, "d"), Said("n", "b"))
    Said(value='n', origin='b c', only='')
    """
    for value in (NO, YES):
        origins = sorted({word for one in statements if one.value == value for word in one.origin.split()})
        if origins:
            return Said(value, " ".join(origins))
    return NOTHING


def joined(row: Mapping[str, Any], statements: Iterable[Said]) -> dict[str, str | None]:
    """Return the columns of a row with further statements, of which those count that are about its kind."""
    if row.get("signal") not in (None, YES, NO):
        return {}  # no row of the table: it is told so elsewhere
    before = Said(row.get("signal"), row.get("signal_origin") or "unnamed")
    kind = row.get("kind", "")
    return combined(before, *(one for one in statements if one.covers(kind))).columns()


# AIPREF ------------------------------------------------------------------------------------------------------------

_KEY = r"[a-z*][a-z0-9_\-.*]*+"
_BARE = (
    r'(?:-?+[0-9]{1,12}\.[0-9]{1,3}(?![0-9])|-?+[0-9]{1,15}(?![0-9.])|"(?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*+"'
    r"|[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*+|:[A-Za-z0-9+/=]*+:|\?[01]|@-?+[0-9]{1,15}"
    r'|%"(?:[\x20-\x21\x23-\x24\x26-\x7e]|%[0-9a-f]{2})*+")'
)
_PARAMETERS = rf"(?:;\ *+{_KEY}(?:={_BARE})?+)*+"
_INNER = rf"\(\ *+(?:{_BARE}{_PARAMETERS}(?:\ ++(?!\))|(?=[\ )])))*+\ *+\)"
_MEMBER = re.compile(rf"({_KEY})(?:=({_BARE}|{_INNER}))?+{_PARAMETERS}")
_COMMA = re.compile(r"[ \t]*+,[ \t]*+")


def dictionary(field: str) -> dict[str, str] | None:
    """Return a structured field's dictionary, each value as it is written (RFC 9651 §4.2.2); ``None`` = it is none.

    Of a key that comes twice the last value counts. Parameters are checked and left out.

    >>> dictionary('train-ai=y;a="b", train-ai=n, search'), dictionary("train-ai=n,"), dictionary("Train-AI=n")
    ({'train-ai': 'n', 'search': '?1'}, None, None)
    """
    text = field.strip(" ")
    found: dict[str, str] = {}
    at = 0
    while text:
        member = _MEMBER.match(text, at)
        if member is None:
            return None
        found[member[1]] = "?1" if member[2] is None else member[2]
        at = member.end()
        if at == len(text):
            break
        comma = _COMMA.match(text, at)
        if comma is None or comma.end() == len(text):
            return None
        at = comma.end()
    return found


def usage(preference: str, origin: str) -> Said:
    """Return what an AIPREF expression says about training generative models (AIPREF vocabulary, label train-ai)."""
    value = (dictionary(preference) or {}).get("train-ai")
    return Said(value if value in (YES, NO) else None, origin)


def usage_header(lines: Sequence[str]) -> Said:
    """Return what the lines of a ``Content-Usage`` header say: they are one field, but a no in one of them stays a no.

    >>> usage_header(["train-ai=n", "train-ai=y"]).value, usage_header(["train-ai=y", "?"]).value
    ('n', None)
    """
    whole, *each = (usage(one, "content-usage:header") for one in (", ".join(lines), *lines))
    return combined(whole, *(one for one in each if one.value == NO))


# Headers and pages -------------------------------------------------------------------------------------------------

_NOAI = {"noai": "", "noimageai": "image"}


def robots_directives(content: str, origin: str) -> list[Said]:
    """Return what ``noai`` and ``noimageai`` among robots directives say; a prefix that names a robot is passed over.

    Between two of them stands a comma; a blank alone does too, or a no would be lost.

    >>> robots_directives("otherbot: noindex, NoAI", "x-robots-tag")
    [Said(value='n', origin='x-robots-tag:noai', only='')]
    """
    words = (part.rpartition(":")[2].lower() for part in content.replace(",", " ").split())
    return [Said(NO, f"{origin}:{word}", _NOAI[word]) for word in words if word in _NOAI]


def reserved(value: Any) -> bool | None:
    """Return whether a ``tdm-reservation`` reserves (TDMRep §5: 1 = yes, 0 = no, anything else = not set)."""
    text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return {"1": True, "0": False}.get(text)


def tdmrep(*, file: bool | None = None, header: bool | None = None, page: bool | None = None) -> Said:
    """Return what TDMRep says: the page's metadata goes before the header, the header before the site's file.

    What is not set resets nothing. "Not reserved" is no consent to training, so it says nothing.
    """
    for place, found in (("meta", page), ("header", header), ("file", file)):
        if found is not None:
            return Said(NO, f"tdmrep:{place}") if found else NOTHING
    return NOTHING


class _Metadata(HTMLParser):
    """Collects ``meta`` elements by name."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in reversed(attrs)}  # of two of a name the first counts (HTML)
        if tag == "meta" and said.get("name"):
            self.found.setdefault(said["name"].strip().lower(), []).append(said.get("content", ""))


def page_signals(
    headers: Iterable[tuple[str, str]] = (), markup: str = "", *, file: bool | None = None, gpc: bool = False
) -> list[Said]:
    """Return what an answer's headers and its HTML say.

    Args:
        headers: field names and values of the answer (of the request for Sec-GPC).
        markup: the page.
        file: whether the site's tdmrep.json reserves this path (signals_site.py).
        gpc: whether the operator's policy takes Sec-GPC, which is about selling, as a no to training.
    """
    fields: dict[str, list[str]] = {}
    for name, value in headers:
        fields.setdefault(name.strip().lower(), []).append(value)
    read = _Metadata()
    read.feed(markup)
    found = [usage_header(fields["content-usage"])] if "content-usage" in fields else []
    for value in fields.get("x-robots-tag", ()):
        found += robots_directives(value, "x-robots-tag")
    for value in read.found.get("robots", ()):
        found += robots_directives(value, "meta-robots")
    found.append(tdmrep(file=file, header=_any(",".join(fields.get("tdm-reservation", ())).split(",")),
                        page=_any(read.found.get("tdm-reservation", ()))))  # fmt: skip
    if gpc and fields.get("sec-gpc") == ["1"]:  # GPC §3.2: the field's value is the one digit
        found.append(Said(NO, "sec-gpc"))
    return [one for one in found if one.value]


def _any(values: Iterable[str]) -> bool | None:
    known = [found for found in map(reserved, values) if found is not None]
    return any(known) if known else None


# In the content ----------------------------------------------------------------------------------------------------

_LABELS = ("cawg.training-mining", "c2pa.training-mining")
_REFUSING = ("ai_generative_training", "ai_training", "data_mining")
"""Entries whose refusal is a no to training a model of language; ``ai_inference`` is another thing."""


def content_credentials(found: Any) -> Said:
    """Return what training-mining assertions say (CAWG 1.1 §3, before it C2PA 1.x): ``constrained`` is a no.

    Args:
        found: an assertion, a list of them, a manifest, or a whole manifest store as JSON.
    """
    statements = []
    for label, entries in _assertions(found, 0):
        family = label.partition(".")[0]
        for name in _REFUSING:
            entry = entries.get(f"{family}.{name}")
            use = entry.get("use") if isinstance(entry, Mapping) else None
            if use in ("notAllowed", "constrained"):
                statements.append(Said(NO, f"{label}:{name}"))
            elif use == "allowed" and name == _REFUSING[0]:
                statements.append(Said(YES, f"{label}:{name}"))
    return combined(*statements)


def _assertions(found: Any, depth: int) -> list[tuple[str, Mapping[str, Any]]]:
    if depth > 8:
        return []
    if isinstance(found, list):
        return [one for entry in found for one in _assertions(entry, depth + 1)]
    if not isinstance(found, Mapping):
        return []
    label = str(found.get("label", "")).partition("__")[0]  # further ones of a kind are numbered: label__1
    held = found.get("data", found)
    entries = held.get("entries") if isinstance(held, Mapping) else None
    if isinstance(entries, Mapping) and (label in _LABELS or not label):
        family = "c2pa" if any(str(name).startswith("c2pa.") for name in entries) else "cawg"
        return [(f"{family}.training-mining", entries)]
    inner = [found.get("assertions"), *_values(found.get("manifests"))]
    return [one for entry in inner for one in _assertions(entry, depth + 1)]


def _values(found: Any) -> list[Any]:
    return list(found.values()) if isinstance(found, Mapping) else found if isinstance(found, list) else []


AT_DECLARATION = "org.user-intents.declaration"


def at_declaration(record: Any) -> Said:
    """Return what an AT declaration says about generating content (proposal 0008): a missing ``allow`` says nothing."""
    if not isinstance(record, Mapping):
        return NOTHING
    held = [record, record.get("preferences")]
    intents = [one.get("syntheticContentGeneration") for one in held if isinstance(one, Mapping)]
    allowed = [one.get("allow") for one in intents if isinstance(one, Mapping)]
    origin = f"{AT_DECLARATION}#syntheticContentGeneration"
    return combined(*(Said({True: YES, False: NO}.get(one) if isinstance(one, bool) else None, origin)
                      for one in allowed))  # fmt: skip


_PUBLIC = frozenset({"https://www.w3.org/ns/activitystreams#Public", "as:Public", "Public", "public"})


def fediverse(found: Mapping[str, Any], where: str) -> Said:
    """Return what an actor, an object or an account of the fediverse says about being indexed and found.

    ``indexable`` (FEP-5feb), ``discoverable``, Fedibird's ``searchableBy`` and ``searchability``: consent to a search
    engine, not to AI. So a refusal is a no, and a consent says nothing.
    """
    refused = [field for field in ("indexable", "discoverable") if found.get(field) is False]
    refused += ["noindex"] if found.get("noindex") is True else []
    for field in ("searchableBy", "searchability"):
        said = found.get(field)
        named = {str(one) for one in (said if isinstance(said, list) else [said])}
        refused += [field] if said is not None and not _PUBLIC & named else []
    return combined(*(Said(NO, f"{where}:{field}") for field in refused))

"""HTML as it is written in a dump's XML into plain text, in one go: exactly ``plain_text`` of the resolved value.

Nearly every post is made of a few ordinary tags, each whole. Such markup is cut at its tags while these are still
written as entities, so few bytes are ever resolved. Anything else (comments, scripts, a lone ``<``) goes the long way.
"""

from __future__ import annotations

import html
import re

from demur.intake.text import BLOCKS, collapsed, marked, plain_text
from demur.intake.xmlblocks import resolved

_BEGIN = b"&lt;"
_TAG = re.compile(rb"&lt;([^&]*+(?:&(?![gl]t;)[^&]*+)*+)&gt;")
_QUOTE = re.compile(rb"&lt;(/?)blockquote&gt;")
_SILENT = (
    *("p", "b", "i", "em", "strong", "code", "pre", "ul", "ol", "/ul", "/ol", "h1", "h2", "h3", "hr", "hr /", "hr/"),
    *("/b", "/i", "/em", "/strong", "/code", "/a", "del", "/del", "strike", "/strike", "s", "/s", "sub", "/sub"),
    *("sup", "/sup", "kbd", "/kbd", "div", "table", "/table", "tr", "td", "th", "thead", "/thead", "tbody", "/tbody"),
    *("/span", "dl", "/dl", "dt", "/dt", "dd", "/dd", "u", "/u"),
)
_WITH_ATTRIBUTES = re.compile(rb"(?:a|img|code|pre|span|div|ol|p) ")
"""Tags that leave nothing behind whatever their attributes are."""


class _Tags(dict[bytes, bytes]):
    """Ordinary tags and what they leave behind; any other is a ``KeyError``."""

    def __missing__(self, tag: bytes) -> bytes:
        if _WITH_ATTRIBUTES.match(tag) and _BEGIN not in tag:
            return b""
        raise KeyError


_TAGS = _Tags({tag.encode(): b"" for tag in _SILENT} | {tag[1:-1].encode(): text.encode() for tag, text in BLOCKS})


def written_text(raw: bytes) -> str:
    """Return ``plain_text`` of a value of a plain block, given as it is written."""
    if _BEGIN not in raw or b">" in raw:
        return plain_text(resolved(raw).decode())
    try:
        return _quoted(raw) if b"&lt;blockquote" in raw else _section(raw)
    except KeyError:
        return plain_text(resolved(raw).decode())


def _quoted(raw: bytes) -> str:
    """Return text with quotations; each piece between their tags stands alone."""
    pieces = _QUOTE.split(raw)
    sections = [_section(pieces[0])]
    depth = 0
    for closing, piece in zip(pieces[1::2], pieces[2::2], strict=True):
        depth = max(0, depth + (-1 if closing else 1))
        sections.append(marked(_section(piece), depth))
    return collapsed("\n\n".join(section for section in sections if section))


def _section(raw: bytes) -> str:
    """Return text without tags.

    Raises:
        KeyError: not all of it is ordinary.
    """
    parts = _TAG.split(raw)
    if len(parts) > 1:
        parts[1::2] = [_TAGS[tag] for tag in parts[1::2]]
        raw = b"".join(parts)
    if _BEGIN in raw:
        raise KeyError
    text = resolved(raw).decode()
    return collapsed(_unescaped(text) if "&" in text else text)


def _unescaped(text: str) -> str:
    """Return ``html.unescape``, which is slow where nothing but the commonest entities are there."""
    if text.count("&") != text.count("&lt;") + text.count("&gt;") + text.count("&amp;"):
        return html.unescape(text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")

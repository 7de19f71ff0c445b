"""HTML as it is written in a dump's XML into plain text, in one go: exactly ``plain_text`` of the resolved value.

Nearly every post is made of a few ordinary tags, each whole. Such markup is cut at its tags while these are still
written as entities, so few bytes are ever resolved. Anything else (comments, scripts, a lone ``<``) goes the long way.
"""

from __future__ import annotations

import html
import re

from demur.intake.text import BLOCKS, collapsed, marked, plain_text
from demur.intake.xmlblocks import resolved

_BEGIN, _END, _QUOTES = b"&lt;", b"&gt;", b"blockquote"
_SILENT = (
    *("p", "b", "i", "em", "strong", "code", "pre", "ul", "ol", "/ul", "/ol", "h1", "h2", "h3", "hr", "hr /", "hr/"),
    *("/b", "/i", "/em", "/strong", "/code", "/a", "del", "/del", "strike", "/strike", "s", "/s", "sub", "/sub"),
    *("sup", "/sup", "kbd", "/kbd", "div", "table", "/table", "tr", "td", "th", "thead", "/thead", "tbody", "/tbody"),
    *("/span", "dl", "/dl", "dt", "/dt", "dd", "/dd", "u", "/u"),
)
_TAGS: dict[bytes, bytes] = {tag.encode(): b"" for tag in _SILENT} | {
    tag.strip("<>").encode(): text.encode() for tag, text in BLOCKS
}
"""Ordinary tags and what they leave behind."""
_WITH_ATTRIBUTES = re.compile(rb"(?:a|img|code|pre|span|div|ol|p) ")
"""Tags that leave nothing behind whatever their attributes are."""


def written_text(raw: bytes) -> str:
    """Return ``plain_text`` of a value of a plain block, given as it is written."""
    if _BEGIN not in raw or b">" in raw:
        return plain_text(resolved(raw).decode())
    quoted = b"&lt;blockquote" in raw
    pieces = raw.split(_BEGIN)
    kept = [pieces[0]]
    sections: list[str] = []
    depth = 0
    for piece in pieces[1:]:
        tag, end, after = piece.partition(_END)
        text = _TAGS.get(tag)
        if text is None or not end:
            if end and _WITH_ATTRIBUTES.match(tag):
                text = b""
            elif quoted and end and tag.removeprefix(b"/") == _QUOTES:
                sections.append(marked(_section(kept), depth))
                kept = [after]
                depth = max(0, depth + (1 if tag == _QUOTES else -1))
                continue
            else:
                return plain_text(resolved(raw).decode())
        if text:
            kept.append(text)
        kept.append(after)
    if not quoted:
        return _section(kept)
    sections.append(marked(_section(kept), depth))
    return collapsed("\n\n".join(section for section in sections if section))


def _section(kept: list[bytes]) -> str:
    text = resolved(b"".join(kept)).decode()
    if "&" in text:
        text = _unescaped(text)
    return collapsed(text)


def _unescaped(text: str) -> str:
    """Return ``html.unescape``, which is slow where nothing but the commonest entities are there."""
    if text.count("&") != text.count("&lt;") + text.count("&gt;") + text.count("&amp;"):
        return html.unescape(text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")

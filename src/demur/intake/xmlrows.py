"""Reads ``<row A="…" B="…" />`` files as a stream of attributes. Knows XML, not what the rows mean.

Dumps are written one row a line. Such lines are taken apart here, strictly: a line that is not exactly of that form
goes through lxml together with all that follows it, so a file of any other layout is read too, only slower.
Entities are never expanded, a document type is refused (XML 1.0 §2.8, §4.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, BinaryIO

from lxml import etree

from demur.intake.source import Context, Unreadable
from demur.intake.xmlblocks import Layouts, Lines, Plain

Attributes = dict[str, str]

_NAME = re.compile(r" ([A-Za-z_][A-Za-z0-9_.-]*)=")
_OPEN = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*\?>)?\s*(?:<([A-Za-z_]\w*)>)?\s*")
_CLOSE = re.compile(rb"\s*(?:</[A-Za-z_]\w*>)?\s*")
_NUMBERED = re.compile(r"&#(?:x([0-9A-Fa-f]{1,6})|([0-9]{1,7}));")
_CODING = re.compile(rb"""<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["']""")
_LINE_BYTES = 32 * 2**20
"""A longer line is no row of any dump; it is refused before memory is."""
_XML_SPACE = (9, 10, 13)


def rows(stream: BinaryIO, context: Context, path: str) -> Iterator[Attributes | Unreadable]:
    """Return the attributes of each row; faults come in their place, and what is before them is kept."""
    for found in pieces(stream, context, path, None):
        assert not isinstance(found, Plain)
        yield found


def pieces(
    stream: BinaryIO, context: Context, path: str, wanted: Sequence[str] | None
) -> Iterator[Plain | Attributes | Unreadable]:
    """Return what ``rows`` returns, but rows of the plain form many at once: the wanted attributes as columns."""
    number = 0
    closed = False
    root = b""
    lines = Lines(stream)
    layouts = None if wanted is None else Layouts(wanted, lambda body: _names(body, context))
    while True:
        inside = (root or number >= 2) and not closed
        plain = layouts.next(lines, path, number + 1) if inside and layouts is not None else None
        if plain is not None:
            number += len(plain.lines)
            yield plain
            continue
        line = lines.readline(_LINE_BYTES)
        if not line:
            break
        number += 1
        context.at(path, f"line {number}")
        if number <= 2 and not root and (first := _preamble(line)) is not None:
            root = first
            continue
        body = line.strip()
        if body.startswith(b"<row") and body.endswith(b"/>") and not closed:
            found = attributes(body, context)
            if found is None:
                yield from _by_lxml(line, lines, context, root or b"rows", number)
                return
            yield found
        elif _CLOSE.fullmatch(line):
            closed = closed or b"</" in line
        elif body.startswith(b"<row") and b">" not in body and not line.endswith(b"\n"):
            yield context.unreadable("truncated", "the end of the row and of the document", line)
            return
        else:
            yield from _by_lxml(line, lines, context, b"" if number == 1 else (root or b"rows"), number)
            return
    if not closed:
        context.at(path, f"line {number}")
        yield context.unreadable("truncated", "the closing tag of the document")


def _names(line: bytes, context: Context) -> list[str] | None:
    """Return the names of a line's attributes if it is of the plain form."""
    body = line.strip()
    found = attributes(body, context) if body.startswith(b"<row") and body.endswith(b"/>") else None
    return list(found) if isinstance(found, dict) else None


def _preamble(line: bytes) -> bytes | None:
    """Return the root's name (empty when it comes later) if this is the plain beginning of a UTF-8 document."""
    coding = _CODING.search(line[:200])
    if coding is not None and coding.group(1).lower() not in (b"utf-8", b"us-ascii"):
        return None
    opening = _OPEN.fullmatch(line)
    return None if opening is None else (opening.group(1) or b"")


def attributes(body: bytes, context: Context) -> Attributes | Unreadable | None:
    """Return the attributes of one element, or ``None`` if it is not of the plain form."""
    try:
        text = body[4:-2].decode("utf-8").rstrip()
    except UnicodeDecodeError:
        return context.unreadable("not_utf8", "UTF-8 in every attribute", body)
    # a plain element is names and values in turn, told apart by the quotes; anything else is left to lxml
    parts = text.split('"')
    names: list[Any] = [_name(part) for part in parts[:-1:2]]
    if parts[-1] or "<" in text or None in names:
        return None
    try:
        found = {
            name: _resolved(value) if "&" in value else value for name, value in zip(names, parts[1::2], strict=True)
        }
    except ValueError:
        return context.unreadable("malformed_xml", "only the entities that XML itself defines", body)
    if len(found) != len(names):
        return context.unreadable("malformed_xml", "each attribute once (XML 1.0 §3.1)", body)
    return found


@lru_cache(maxsize=1024)
def _name(part: str) -> str | None:
    match = _NAME.fullmatch(part)
    return None if match is None else match.group(1)


def _resolved(value: str) -> str:
    """Return an attribute's value with XML's own entities resolved (XML 1.0 §4.6).

    Raises:
        ValueError: another entity, a bare ampersand, or a character that XML forbids.
    """
    if "&lt;" in value:
        value = value.replace("&lt;", "<")
    if "&gt;" in value:
        value = value.replace("&gt;", ">")
    if "&quot;" in value:
        value = value.replace("&quot;", '"')
    if "&#" in value:
        value = value.replace("&#xA;", "\n").replace("&#xD;", "\r")
        if "&#" in value:
            value = _NUMBERED.sub(_character, value)
    if "&apos;" in value:
        value = value.replace("&apos;", "'")
    if "&" in value:
        if value.count("&") != value.count("&amp;"):
            raise ValueError("an entity that XML does not define")
        value = value.replace("&amp;", "&")
    return value


def _character(match: re.Match[str]) -> str:
    code = int(match.group(1), 16) if match.group(1) else int(match.group(2))
    legal = (code >= 32 or code in _XML_SPACE) and not 0xD800 <= code <= 0xDFFF and code not in (0xFFFE, 0xFFFF)
    if not legal or code > 0x10FFFF:
        raise ValueError("a character that XML forbids")
    return "&amp;" if code == 38 else chr(code)


class _Joined:
    """The line that was not plain, and everything after it, as one stream for lxml."""

    def __init__(self, before: bytes, stream: Lines) -> None:
        self._before, self._stream = before, stream

    def read(self, size: int = -1) -> bytes:
        if self._before:
            taken, self._before = (self._before, b"") if size < 0 else (self._before[:size], self._before[size:])
            return taken
        return self._stream.read(size)


def _by_lxml(
    line: bytes, stream: Lines, context: Context, root: bytes, number: int
) -> Iterator[Attributes | Unreadable]:
    before = (b"<" + root + b">\n" if root else b"") + line
    if b"<!DOCTYPE" in line or b"<!ENTITY" in line:
        yield context.unreadable("unsafe_xml", "no document type", line)
        return
    path, shift = context.path, number - 2 if root else 0
    parser = etree.iterparse(
        _Joined(before, stream), events=("start", "end"), resolve_entities=False, no_network=True, load_dtd=False
    )
    try:
        for event, element in parser:
            if event == "start":
                if element.getparent() is None and element.getroottree().docinfo.internalDTD is not None:
                    yield context.unreadable("unsafe_xml", "no document type", line)
                    return
                continue
            if element.tag == "row":
                context.at(path, f"line {element.sourceline + shift}")
                yield dict(element.attrib)
            parent = element.getparent()
            element.clear()
            if parent is not None:
                parent.remove(element)
    except etree.XMLSyntaxError as error:
        context.at(path, f"line {(error.lineno or 0) + shift}")
        ended = any(sign in str(error) for sign in _ENDED)
        yield context.unreadable("truncated" if ended else "malformed_xml", "a well-formed document up to its end")


_ENDED = (
    "remature end",
    "Extra content at the end",
    "Document is empty",
    "Couldn't find end of",
    "EndTag: '</' not found",
)
"""What libxml2 says when a document stops too early."""

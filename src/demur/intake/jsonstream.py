"""Reads JSON documents, lines and long collections as a stream; knows no vocabulary.

A small document is read whole. A long one, or one that is cut short, is searched for its array of items, which are
read one after another, so that memory stays bounded and everything before the cut is kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson

from demur.intake.source import Context, Unreadable

WHOLE_BYTES = 32 * 2**20
"""Documents up to this size are parsed at once; no single item may be longer."""
_ARRAY = re.compile(r'"(?:orderedItems|items)"\s*:\s*\[|\A\s*\[')
_GAP = re.compile(r"[ \t\r\n,]*")
_CHUNK = 2**20

Document = Any


def documents(
    stream: BinaryIO, context: Context, path: str, array: re.Pattern[str] = _ARRAY
) -> Iterator[Document | Unreadable]:
    """Return the JSON documents of a file: the whole one, or the items of a long or damaged collection.

    Args:
        stream: the file's bytes.
        context: told where each item lies.
        path: name of the file there.
        array: how the array of items begins.
    """
    context.at(path, "document")
    raw = stream.read(WHOLE_BYTES + 1)
    if len(raw) <= WHOLE_BYTES:
        try:
            yield orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError:
            try:
                text = raw.decode("utf-8")
            except UnicodeDecodeError:
                yield context.unreadable("not_utf8", "JSON in UTF-8 (RFC 8259 §8.1)", raw)
                return
            yield from _items(_Buffer(text, None), context, path, array)
        return
    yield from _items(_Buffer("", _Prefixed(raw, stream)), context, path, array)


def arrays(
    stream: BinaryIO, context: Context, path: str, array: re.Pattern[str]
) -> Iterator[tuple[str, Document | Unreadable]]:
    """Return the items of every array of a kind in a document of any length, each with the text before its array.

    Args:
        stream: the file's bytes.
        context: told where each item lies.
        path: name of the file there.
        array: how such an array begins; at most ``WHOLE_BYTES`` lie between two of them.
    """
    buffer = _Buffer("", _Prefixed(b"", stream))
    number = 0
    context.at(path, "document")
    while (before := buffer.seek(array)) is not None:
        number += 1
        for item in _array(buffer, context, path, f"array {number}, "):
            yield before, item
            if isinstance(item, Unreadable):
                return
    if not number:
        yield "", _no_array(buffer, context)


def lines(stream: BinaryIO, context: Context, path: str) -> Iterator[Document | Unreadable]:
    """Return the documents of a file with one JSON value a line (empty lines are fine)."""
    number = 0
    while line := stream.readline(WHOLE_BYTES):
        number += 1
        context.at(path, f"line {number}")
        if not line.strip():
            continue
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            yield context.unreadable(*_line_fault(line), line)


def _line_fault(line: bytes) -> tuple[str, str]:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return "not_utf8", "JSON in UTF-8 (RFC 8259 §8.1)"
    if not line.endswith(b"\n"):
        return "truncated", "a JSON value with its end"
    return "malformed_json", "one JSON value a line"


class _Prefixed:
    def __init__(self, before: bytes, stream: BinaryIO) -> None:
        self._before, self._stream = before, stream

    def read(self) -> bytes:
        taken, self._before = self._before, b""
        return taken or self._stream.read(_CHUNK)


def _items(buffer: _Buffer, context: Context, path: str, array: re.Pattern[str]) -> Iterator[Document | Unreadable]:
    """Return the items of the first array of items, up to where it cannot be read."""
    if buffer.seek(array) is None:
        yield _no_array(buffer, context)
        return
    yield from _array(buffer, context, path, "")


def _no_array(buffer: _Buffer, context: Context) -> Unreadable:
    reason = "not_utf8" if buffer.broken else "truncated" if buffer.ends_open() else "malformed_json"
    return context.unreadable(reason, "one JSON document", buffer.text.encode("utf-8", "replace"))


def _array(buffer: _Buffer, context: Context, path: str, place: str) -> Iterator[Document | Unreadable]:
    number = 0
    while (found := buffer.next()) is not None:
        number += 1
        context.at(path, f"{place}item {number}")
        if isinstance(found, _Cut):
            yield context.unreadable(found.reason, "an item of the collection", buffer.left()[:_CHUNK])
            return
        yield found[0]


class _Cut:
    def __init__(self, reason: str) -> None:
        self.reason = reason


class _Buffer:
    """Text that slides over a stream; what lies before ``at`` has been read."""

    def __init__(self, text: str, more: _Prefixed | None) -> None:
        import codecs

        self.text, self.at, self._more = text, 0, more
        self.broken = False
        """The stream went on with bytes that are no UTF-8."""
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")
        self._json = json.JSONDecoder()

    def left(self) -> str:
        """Return what has not been read."""
        return self.text[self.at :]

    def _read(self) -> bool:
        if self.broken or self._more is None or len(self.text) - self.at > WHOLE_BYTES:
            return False
        raw = self._more.read()
        try:
            more = self._decoder.decode(raw, final=not raw)
        except UnicodeDecodeError:
            self.broken = True
            return False
        self.text, self.at = self.left() + more, 0
        return bool(raw)

    def seek(self, pattern: re.Pattern[str]) -> str | None:
        """Go behind the next match and return what was before it, ``None`` if there is none."""
        while True:
            match = pattern.search(self.text, self.at)
            if match is not None:
                before = self.text[self.at : match.start()]
                self.at = match.end()
                return before
            if not self._read():
                return None

    def next(self) -> tuple[Document] | _Cut | None:
        """Return the next item in a tuple, ``None`` at the end of the array, or what went wrong."""
        while True:
            gap = _GAP.match(self.text, self.at)
            self.at = gap.end() if gap else self.at
            if self.text.startswith("]", self.at):
                self.at += 1
                return None
            try:
                found, end = self._json.raw_decode(self.text, self.at)
            except RecursionError:
                return _Cut("too_deep")
            except json.JSONDecodeError as error:
                if self._read():
                    continue
                return _Cut("not_utf8" if self.broken else self._reason(error))
            self.at = end
            return (found,)

    def _reason(self, error: json.JSONDecodeError) -> str:
        open_string = "Unterminated string" in str(error)
        return "truncated" if open_string or error.pos >= len(self.text.rstrip()) - 12 else "malformed_json"

    def ends_open(self) -> bool:
        """Return whether the text stops before its brackets close."""
        return self.text.count("{") > self.text.count("}") or self.text.count("[") > self.text.count("]")

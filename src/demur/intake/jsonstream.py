"""Reads JSON documents, lines and long collections as a stream; knows no vocabulary.

A small document is read whole. A long one, or one that is cut short, is searched for its arrays of items, which are
read one after another, so that memory stays bounded and everything before the cut is kept. What lies around the arrays
must be a document, else its end is told as a fault: nothing that was cut off goes uncounted.
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
    """Return the JSON documents of a file: the whole one, or the items of the arrays of a long or damaged one.

    Args:
        stream: the file's bytes.
        context: told where each item lies.
        path: name of the file there.
        array: how an array of items begins; at most ``WHOLE_BYTES`` lie around them.
    """
    context.at(path, "document")
    raw = stream.read(WHOLE_BYTES + 1)
    if len(raw) <= WHOLE_BYTES:
        try:
            yield orjson.loads(raw.removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError:
            try:
                text = raw.decode("utf-8-sig")
            except UnicodeDecodeError:
                yield context.unreadable("not_utf8", "JSON in UTF-8 (RFC 8259 §8.1)", raw)
                return
            yield from (item for _, item in _items(_Buffer(text, None), context, path, array, ""))
        return
    yield from (item for _, item in _items(_Buffer("", _Prefixed(raw, stream)), context, path, array, ""))


def arrays(
    stream: BinaryIO, context: Context, path: str, array: re.Pattern[str]
) -> Iterator[tuple[str, Document | Unreadable]]:
    """Return the items of every array of a kind in a document of any length, each with the text before its array.

    Args:
        stream: the file's bytes.
        context: told where each item lies.
        path: name of the file there.
        array: how such an array begins; at most ``WHOLE_BYTES`` lie around them.
    """
    context.at(path, "document")
    yield from _items(_Buffer("", _Prefixed(b"", stream)), context, path, array, "array 1, ")


def lines(stream: BinaryIO, context: Context, path: str) -> Iterator[Document | Unreadable]:
    """Return the documents of a file with one JSON value a line (empty lines are fine).

    What is no character in a text that is JSON otherwise comes through as half a character: whoever takes the text in
    refuses it, and yet knows what else the line said.
    """
    number = 0
    while line := stream.readline(WHOLE_BYTES):
        number += 1
        context.at(path, f"line {number}")
        line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
        if not line.strip():
            continue
        try:
            yield orjson.loads(line)
        except orjson.JSONDecodeError:
            yield from _loosely(line, context)


def _loosely(line: bytes, context: Context) -> Iterator[Document | Unreadable]:
    """Return a line's value with half characters and numbers that are none (NaN), or why it is no JSON at all."""
    try:
        yield json.loads(line.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
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


def _items(
    buffer: _Buffer, context: Context, path: str, array: re.Pattern[str], first: str
) -> Iterator[tuple[str, Document | Unreadable]]:
    """Return the items of every array, up to where one cannot be read; then tell what is wrong around them."""
    number = 0
    while (before := buffer.seek(array)) is not None:
        number += 1
        for item in _array(buffer, context, path, first if number == 1 else f"array {number}, "):
            yield before, item
            if isinstance(item, Unreadable):
                return
    if number:
        context.at(path, "end")
    if not number or not buffer.closed():
        around = buffer.around()
        reason = "not_utf8" if buffer.broken else "truncated" if _ends_open(around) else "malformed_json"
        yield "", context.unreadable(reason, "one JSON document", around.encode("utf-8", "replace"))


def _ends_open(text: str) -> bool:
    """Return whether a text stops before its brackets close."""
    return text.count("{") > text.count("}") or text.count("[") > text.count("]")


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
        self._around: list[str] = []
        """What was before and between the items of the arrays."""
        self._length = 0
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
        while self._length <= WHOLE_BYTES:
            match = pattern.search(self.text, self.at)
            if match is not None:
                before = self.text[self.at : match.start()]
                self._around.append(self.text[self.at : match.end()])
                self._length += match.end() - self.at
                self.at = match.end()
                return before
            if not self._read():
                break
        return None

    def next(self) -> tuple[Document] | _Cut | None:
        """Return the next item in a tuple, ``None`` at the end of the array, or what went wrong."""
        while True:
            gap = _GAP.match(self.text, self.at)
            self.at = gap.end() if gap else self.at
            if self.text.startswith("]", self.at):
                self.at += 1
                self._around.append("]")
                return None
            try:
                found, end = self._json.raw_decode(self.text, self.at)
            except RecursionError:
                return _Cut("too_deep")
            except json.JSONDecodeError as error:
                if self._read():
                    continue
                return _Cut("not_utf8" if self.broken else self._reason(error))
            except ValueError:  # a number of thousands of digits
                return _Cut("malformed_json")
            self.at = end
            return (found,)

    def _reason(self, error: json.JSONDecodeError) -> str:
        open_string = "Unterminated string" in str(error)
        return "truncated" if open_string or error.pos >= len(self.text.rstrip()) - 12 else "malformed_json"

    def around(self) -> str:
        """Return what has been read but the items of the arrays."""
        return "".join(self._around) + self.left()

    def closed(self) -> bool:
        """Return whether the arrays stand in a document, and it has its end."""
        try:
            orjson.loads(self.around())
        except orjson.JSONDecodeError:
            return False
        return not self.broken

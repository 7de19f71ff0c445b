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
_CHUNK = 2**20

Document = Any


def documents(stream: BinaryIO, context: Context, path: str) -> Iterator[Document | Unreadable]:
    """Return the JSON documents of a file: the whole one, or the items of a long or damaged collection."""
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
            yield from _items(text, None, context, path)
        return
    yield from _items("", _Prefixed(raw, stream), context, path)


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


def _items(text: str, more: _Prefixed | None, context: Context, path: str) -> Iterator[Document | Unreadable]:
    """Return the items of the first array of items, up to where it cannot be read."""
    buffer = _Buffer(text, more)
    if not buffer.seek(_ARRAY):
        cut = buffer.ends_open()
        yield context.unreadable(
            "truncated" if cut else "malformed_json", "one JSON document", buffer.text.encode("utf-8", "replace")
        )
        return
    number = 0
    while (found := buffer.next()) is not None:
        number += 1
        context.at(path, f"item {number}")
        if isinstance(found, _Cut):
            yield context.unreadable(found.reason, "an item of the collection", buffer.text[:_CHUNK])
            return
        yield found[0]


class _Cut:
    def __init__(self, reason: str) -> None:
        self.reason = reason


class _Buffer:
    """Text that slides over a stream."""

    def __init__(self, text: str, more: _Prefixed | None) -> None:
        import codecs

        self.text, self._more = text, more
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self._json = json.JSONDecoder()

    def _read(self) -> bool:
        if self._more is None or len(self.text) > WHOLE_BYTES:
            return False
        raw = self._more.read()
        self.text += self._decoder.decode(raw, final=not raw)
        return bool(raw)

    def seek(self, pattern: re.Pattern[str]) -> bool:
        """Go behind the first match."""
        while True:
            match = pattern.search(self.text)
            if match is not None:
                self.text = self.text[match.end() :]
                return True
            if not self._read():
                return False

    def next(self) -> tuple[Document] | _Cut | None:
        """Return the next item in a tuple, ``None`` at the end of the array, or what went wrong."""
        while True:
            rest = self.text.lstrip(" \t\r\n,")
            if rest.startswith("]"):
                return None
            try:
                found, end = self._json.raw_decode(rest)
            except (json.JSONDecodeError, RecursionError) as error:
                if isinstance(error, json.JSONDecodeError) and self._grow():
                    continue
                return _Cut("too_deep" if isinstance(error, RecursionError) else self._reason(rest, error))
            except UnicodeDecodeError:
                return _Cut("not_utf8")
            self.text = rest[end:]
            return (found,)

    def _grow(self) -> bool:
        try:
            return self._read()
        except UnicodeDecodeError:
            return False

    def _reason(self, rest: str, error: Exception) -> str:
        at = getattr(error, "pos", 0)
        open_string = "Unterminated string" in str(error)
        return "truncated" if open_string or at >= len(rest.rstrip()) - 12 else "malformed_json"

    def ends_open(self) -> bool:
        """Return whether the text stops before its brackets close."""
        return self.text.count("{") > self.text.count("}") or self.text.count("[") > self.text.count("]")

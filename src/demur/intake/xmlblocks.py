"""Many rows of a dump at once: blocks of whole lines, all of them of the plain form, taken apart into columns.

A block is plain when each of its lines is one ``<row … />`` whose names and values are told apart by the quotes, it is
UTF-8 and it holds no entity but the few that every dump is full of. Any other block is read line by line (xmlrows.py).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any, BinaryIO, NamedTuple

import numpy as np

BLOCK_BYTES = 1 << 19
_LINE_BYTES = 32 * 2**20
_MAX_LAYOUTS = 1024
_CLOSING_BYTES = 64

Raw = bytes | None
"""A value as it is written, entities and all; ``None`` where a row has no such attribute."""


class Plain(NamedTuple):
    """Consecutive rows of the plain form."""

    lines: list[bytes]
    columns: list[tuple[Raw, ...]]
    """The wanted attributes, each a column."""
    path: str
    first: int
    """Number of the first line."""

    def place(self, at: int) -> tuple[str, str]:
        """Return file and position of a row."""
        return self.path, f"line {self.first + at}"


class Lines:
    """A stream read by lines, or by blocks of whole lines that can be read by lines again."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._held, self._left, self._tail = io.BytesIO(), 0, b""
        self.at_block = True
        """Whether nothing is left of a block that was not plain."""

    def block(self) -> bytes:
        """Return the next lines; they are read again by ``readline`` unless they are ``taken``."""
        found = self._stream.read(BLOCK_BYTES)
        found += self._stream.readline(_LINE_BYTES)
        cut = len(found)
        if found.find(b"</", max(0, cut - _CLOSING_BYTES)) >= 0:
            cut = found.rfind(b"\n", 0, cut - 1) + 1
        self._tail = found[cut:]
        self._hold(found)
        return found[:cut] if self._tail else found

    def taken(self) -> None:
        """The block is done with; what is behind its rows is left."""
        self._hold(self._tail)

    def _hold(self, block: bytes) -> None:
        self._held, self._left = io.BytesIO(block), len(block)
        self.at_block = not block

    def readline(self, limit: int) -> bytes:
        """Return the next line, or what there is of it up to a limit."""
        if self._left:
            line = self._held.readline(limit)
            self._left -= len(line)
            self.at_block = not self._left
            return line
        return self._stream.readline(limit)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        self.at_block, self._left = False, 0
        return self._held.read(size) or self._stream.read(size)


class Layouts:
    """The orders of attributes that a file has, learnt line by line: a file has few of them.

    Args:
        wanted: names of at least two attributes.
        names: names of the attributes of a line, ``None`` if it is not of the plain form.
    """

    def __init__(self, wanted: Sequence[str], names: Callable[[bytes], list[str] | None]) -> None:
        self._wanted, self._names = wanted, names
        self._known: dict[tuple[bytes, ...], itemgetter[Any]] = {}

    def next(self, lines: Lines, path: str, first: int) -> Plain | None:
        """Return the next block as columns, or ``None`` where lines are to be read one by one."""
        found = self.plain(lines.block(), path, first) if lines.at_block else None
        if found is not None:
            lines.taken()
        return found

    def plain(self, block: bytes, path: str, first: int) -> Plain | None:
        """Return a block of whole lines as columns, or ``None`` if it is not plain."""
        if not block.endswith(b"\n") or b"\0" in block or not _is_utf8(block) or not _has_common_entities_only(block):
            return None
        lines = block.split(b"\n")
        lines.pop()
        if block.count(b"<") != len(lines):
            return None
        rows = []
        known = self._known
        for line in lines:
            # what is between the values tells names and order; the values lie at the odd places
            parts: list[Any] = line.split(b'"')
            layout = tuple(parts[::2])
            if layout not in known and not self._learn(layout, line):
                return None
            parts[-1] = None
            rows.append(known[layout](parts))
        return Plain(lines, list(zip(*rows, strict=True)), path, first)

    def _learn(self, layout: tuple[bytes, ...], line: bytes) -> bool:
        names = self._names(line)
        if names is None:
            return False
        if len(self._known) >= _MAX_LAYOUTS:
            self._known.clear()
        # the last part is set to None above, so a name that is not there is found there
        self._known[layout] = itemgetter(*(2 * names.index(name) + 1 if name in names else -1 for name in self._wanted))
        return True


def _is_utf8(block: bytes) -> bool:
    try:
        return block.isascii() or bool(block.decode("utf-8"))
    except UnicodeDecodeError:
        return False


_COMMON = tuple(int.from_bytes(entity, "little") for entity in (b"amp;", b"#xA;", b"#xD;", b"#x9;"))
_QUOT = int.from_bytes(b"quot", "little")
_SHORT = tuple(int.from_bytes(entity, "little") for entity in (b"lt;", b"gt;"))
_QUOT_BYTES = 5


def _has_common_entities_only(block: bytes) -> bool:
    content = np.frombuffer(block, np.uint8)
    at = np.flatnonzero(content == ord("&"))
    if not len(at):
        return True
    if at[-1] + _QUOT_BYTES >= len(block):
        return False
    # the four bytes from each place on, as one number: unaligned, without a copy
    fours = np.ndarray((len(block) - 3,), "<u4", block, 0, (1,))[at + 1]
    threes = fours & 0xFFFFFF
    quotes = fours == _QUOT
    good = quotes | (threes == _SHORT[0]) | (threes == _SHORT[1])
    for entity in _COMMON:
        good |= fours == entity
    return bool(good.all()) and bool((content[at[quotes] + _QUOT_BYTES] == ord(";")).all())


def resolved(raw: bytes) -> bytes:
    """Return a value of a plain block with its entities resolved; the ampersand comes last (XML 1.0 §4.6)."""
    if b"&" not in raw:
        return raw
    if b"&lt;" in raw:
        raw = raw.replace(b"&lt;", b"<")
    if b"&gt;" in raw:
        raw = raw.replace(b"&gt;", b">")
    if b"&quot;" in raw:
        raw = raw.replace(b"&quot;", b'"')
    if b"&#x" in raw:
        raw = raw.replace(b"&#xA;", b"\n").replace(b"&#xD;", b"\r")
        if b"&#x9;" in raw:
            raw = raw.replace(b"&#x9;", b"\t")
    return raw.replace(b"&amp;", b"&") if b"&amp;" in raw else raw

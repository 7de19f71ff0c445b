"""Opens files that may be compressed, with limits against bombs. Knows nothing of what is inside.

Compression is told by the first bytes, never by the name. Zip, gzip and zstd are read as streams.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from demur.errors import InputError

MAX_RATIO = 200
"""Bytes out for each byte in. Dumps of posts reach about 10, JSON logs about 40."""
GRACE_BYTES = 64 * 2**20
"""Below this size the ratio does not count."""
MAX_BYTES = 256 * 2**30
"""Bytes out of one file, or of all members of a zip."""
MAX_MEMBERS = 200_000

_GZIP, _ZSTD, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"

DAMAGE = (zlib.error, zipfile.BadZipFile, EOFError, gzip.BadGzipFile, pa.ArrowException, NotImplementedError)
"""What the libraries raise for damaged or unknown compression (an ``OSError`` without a number is damage too)."""


class BombError(ValueError):
    """A compressed file grows beyond the limits."""


class _Limited(io.RawIOBase):
    """Counts what comes out and stops at the limit."""

    def __init__(self, inner: BinaryIO, limit: int) -> None:
        self._inner, self._left = inner, limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # typeshed wants WriteableBuffer
        block = self._inner.read(len(buffer))
        self._left -= len(block)
        if self._left < 0:
            raise BombError
        buffer[: len(block)] = block
        return len(block)


def members(path: Path) -> list[str | None]:
    """Return the names inside a zip in byte order, or ``[None]`` for any other file.

    Raises:
        BombError: too many members, or together they grow beyond the limits (they may share their bytes).
        zipfile.BadZipFile: the zip is damaged.
    """
    if head(path, 4) != _ZIP:
        return [None]
    with zipfile.ZipFile(path) as opened:
        inner = [found for found in opened.infolist() if not found.is_dir()]
    together = sum(min(found.file_size, _limit(found.compress_size)) for found in inner)
    if len(inner) > MAX_MEMBERS or together > _limit(path.stat().st_size):
        raise BombError
    return [*sorted({found.filename for found in inner})]


def members_or_fault(path: Path) -> list[str | None]:
    """Return the same for a zip that nothing can be read without.

    Raises:
        InputError: it cannot be opened.
    """
    try:
        return members(path)
    except (*DAMAGE, BombError) as error:
        raise InputError(f"expected a zip that can be opened, found {path.name} damaged; get it again") from error


def _limit(packed: int) -> int:
    return min(MAX_BYTES, max(GRACE_BYTES, packed * MAX_RATIO))


def head(path: Path, length: int) -> bytes:
    """Return the first bytes of a file."""
    with path.open("rb") as stream:
        return stream.read(length)


@contextlib.contextmanager
def opened(path: Path, member: str | None = None, within: zipfile.ZipFile | None = None) -> Iterator[BinaryIO]:
    """Open a file, or a member of a zip, as a stream of plain bytes.

    Args:
        path: the file.
        member: name inside the zip; ``None`` = the file itself.
        within: the zip where it is open already (its list of members is long to read again).

    Raises:
        BombError: while reading: more came out than the limits allow.
        zipfile.BadZipFile: it is a zip, and no member was asked for: nobody could tell its members.
    """
    with contextlib.ExitStack() as stack:
        first = head(path, 4)
        packed = path.stat().st_size
        inner: BinaryIO
        if member is not None:
            archive = stack.enter_context(zipfile.ZipFile(path)) if within is None else within
            packed = archive.getinfo(member).compress_size
            inner = stack.enter_context(archive.open(member))  # type: ignore[assignment]  # IO[bytes]
        elif first.startswith(_GZIP):
            inner = stack.enter_context(gzip.open(path, "rb"))  # type: ignore[assignment]  # GzipFile reads bytes
        elif first == _ZSTD:
            inner = stack.enter_context(pa.input_stream(str(path), compression="zstd"))
        elif first == _ZIP:
            raise zipfile.BadZipFile
        else:
            yield stack.enter_context(path.open("rb"))
            return
        yield io.BufferedReader(_Limited(inner, _limit(packed)), 1 << 18)

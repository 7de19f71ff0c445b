"""Look for texts in every file of a folder, inside whatever packs them (EVIDENCE §5: zstd hides a string from grep).

Looks into Parquet and Arrow (every text and binary cell, dictionaries, metadata), zstd, gzip, bzip2, xz, zip, tar and
SQLite (every cell), and at the raw bytes of every file in the forms that a text takes: UTF-8, UTF-16, JSON escapes.
It cannot see into sealed (encrypted) files, token ids, weights, or pictures of text.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import mmap
import sqlite3
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demur.errors import BrokenError, InputError

_DEEPEST = 4
"""Packed in packed in packed: deeper than this is nobody's honest file (a zip bomb)."""
_LARGEST = 1 << 31
"""Bytes that one packed file may unfold to before the search calls it unreadable."""


Raw = bytes | mmap.mmap


@dataclass(frozen=True, slots=True)
class Search:
    """What a search found."""

    files: int
    found: tuple[Path, ...]
    """Files that hold one of the texts."""
    unread: tuple[Path, ...]
    """Files that claim a packed format and cannot be unpacked: nothing is known about them."""


class _UnreadError(Exception):
    """A packed file cannot be looked into."""


def look_for(folder: Path, sentinels: Sequence[str]) -> Search:
    """Look for any of some texts in every file below a folder (or in one file).

    Args:
        folder: where to look; symbolic links are not followed.
        sentinels: texts of at least four characters, compared exactly.

    Raises:
        InputError: no text, or one so short that it would be found everywhere.
    """
    if not sentinels or any(len(one) < 4 for one in sentinels):
        raise InputError("expected texts of at least four characters to look for, found none or shorter ones")
    forms = _forms(sentinels)
    files = [folder] if folder.is_file() else sorted(one for one in folder.rglob("*") if _plain(one))
    found, unread = [], []
    for file in files:
        try:
            if _holds(_open(file), forms, 0):
                found.append(file)
        except _UnreadError:
            unread.append(file)
    return Search(len(files), tuple(found), tuple(unread))


def find_sentinel(folder: Path, sentinels: Sequence[str]) -> list[Path]:
    """Return the files below a folder that hold one of the texts; unknown never means clean.

    Raises:
        InputError: as ``look_for``.
        BrokenError: some files cannot be unpacked, so that nothing can be said about them.
    """
    result = look_for(folder, sentinels)
    if result.unread:
        names = [str(one.relative_to(folder)) if one != folder else one.name for one in result.unread]
        raise BrokenError("expected files that can be unpacked, found damaged ones; remove or repair them", names)
    return list(result.found)


def _plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _forms(sentinels: Sequence[str]) -> tuple[bytes, ...]:
    forms: set[bytes] = set()
    for text in sentinels:
        forms |= {text.encode(), text.encode("utf-16-le"), text.encode("utf-16-be")}
        for ascii_only in (True, False):
            escaped = json.dumps(text, ensure_ascii=ascii_only)[1:-1]
            forms |= {escaped.encode(), escaped.replace("/", "\\/").encode()}
    return tuple(sorted(forms))


def _open(file: Path) -> Raw:
    """Map a file into memory, so that a large one is looked through without being read at once."""
    with file.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) if file.stat().st_size else b""


def _holds(raw: Raw, forms: Sequence[bytes], depth: int) -> bool:
    """Say whether bytes hold a text, as they are or unpacked."""
    if any(raw.find(form) >= 0 for form in forms):
        return True
    unpack = next((way for magic, offset, way in _PACKINGS if raw[offset : offset + len(magic)] == magic), None)
    if unpack is None:
        return False
    if depth >= _DEEPEST:
        raise _UnreadError
    try:
        return any(_holds(inner, forms, depth + 1) for inner in unpack(raw))
    except _UNREADABLE as error:
        raise _UnreadError from error


def _read_all(stream: Any) -> bytes:
    content: bytes = stream.read(_LARGEST + 1)
    if len(content) > _LARGEST:
        raise _UnreadError
    return content


def _gzip(raw: Raw) -> Iterator[bytes]:
    yield _read_all(gzip.GzipFile(fileobj=io.BytesIO(raw)))


def _bzip2(raw: Raw) -> Iterator[bytes]:
    yield _read_all(bz2.BZ2File(io.BytesIO(raw)))


def _xz(raw: Raw) -> Iterator[bytes]:
    with lzma.LZMAFile(io.BytesIO(raw)) as stream:
        yield _read_all(stream)


def _zstd(raw: Raw) -> Iterator[bytes]:
    import pyarrow as pa

    with pa.CompressedInputStream(pa.BufferReader(raw), "zstd") as stream:
        yield _read_all(stream)


def _zip(raw: Raw) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                yield _read_all(stream)


def _tar(raw: Raw) -> Iterator[bytes]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        for member in archive:
            stream = archive.extractfile(member)
            if stream is not None:
                yield _read_all(stream)


def _sqlite(raw: Raw) -> Iterator[bytes]:
    base = sqlite3.connect(":memory:")
    try:
        base.deserialize(raw)
        base.text_factory = bytes
        tables = base.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL").fetchall()
        for (name,) in tables:
            quoted = name.decode().replace('"', '""')
            for row in base.execute(f'SELECT * FROM "{quoted}"'):  # noqa: S608  (a name from the schema, quoted)
                yield from (cell for cell in row if isinstance(cell, bytes))
    finally:
        base.close()


def _parquet(raw: Raw) -> Iterator[bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = pq.ParquetFile(pa.BufferReader(raw))
    yield from _metadata(file.schema_arrow.metadata)
    for group in range(file.num_row_groups):
        yield from _cells(file.read_row_group(group))


def _arrow(raw: Raw) -> Iterator[bytes]:
    import pyarrow as pa

    with pa.ipc.open_file(pa.BufferReader(raw)) as file:
        yield from _metadata(file.schema.metadata)
        yield from _cells(file.read_all())


def _metadata(pairs: dict[bytes, bytes] | None) -> Iterator[bytes]:
    for name, value in (pairs or {}).items():
        yield from (name, value)


def _cells(table: Any) -> Iterator[bytes]:
    """Yield the value buffers of every column: all texts of a column stand in them one after the other."""
    import pyarrow as pa

    for column in table.columns:
        for chunk in column.chunks:
            yield from _values(chunk, pa)


def _values(array: Any, pa: Any) -> Iterator[bytes]:
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        yield from _values(array.storage, pa)
    elif isinstance(array, pa.DictionaryArray):
        yield from _values(array.dictionary, pa)
    elif pa.types.is_map(kind):
        yield from _values(array.keys, pa)
        yield from _values(array.items, pa)
    elif pa.types.is_struct(kind):
        for one in array.flatten():
            yield from _values(one, pa)
    elif pa.types.is_nested(kind):
        yield from _values(array.flatten(), pa)
    elif pa.types.is_primitive(kind) or pa.types.is_null(kind):
        return
    else:
        for cell in array.to_pylist():
            if cell is not None:
                yield cell if isinstance(cell, bytes) else str(cell).encode()


_Unpack = Callable[[Raw], Iterator[bytes]]

_PACKINGS: tuple[tuple[bytes, int, _Unpack], ...] = (
    (b"\x1f\x8b\x08", 0, _gzip),
    (b"BZh", 0, _bzip2),
    (b"\xfd7zXZ\x00", 0, _xz),
    (b"\x28\xb5\x2f\xfd", 0, _zstd),
    (b"PK\x03\x04", 0, _zip),
    (b"ustar", 257, _tar),
    (b"SQLite format 3\x00", 0, _sqlite),
    (b"PAR1", 0, _parquet),
    (b"ARROW1", 0, _arrow),
)
"""Magic number, its place, how to look inside."""

_UNREADABLE = (OSError, EOFError, ValueError, RuntimeError, NotImplementedError, zlib.error, lzma.LZMAError, *(
    zipfile.BadZipFile, tarfile.TarError, sqlite3.Error,
))  # fmt: skip

"""One sealed file of Arrow tables in buckets: AES-256-GCM in chunks, so that memory stays flat both ways.

Layout: magic (8 bytes) · length of header (4, big-endian) · header (JSON in clear: kind, salt, buckets; no ids) ·
chunks · sealed index · offset of the index (8) · magic (8). A chunk is a nonce (12 random bytes) and a ciphertext under
a key of its own: the size (8) and zstd of an Arrow IPC stream. The keys of the chunks, and where they lie, stand in the
index. Kind and bucket are authenticated with a chunk, the header with the index, so chunks can be neither swapped nor
dropped.

The index is sealed with a key derived from the workspace's key and the salt in the header, so removing the file's first
bytes makes all the rest unreadable. A later version of the file takes over buckets that stayed as they were: their
ciphertext is copied as it stands, and their keys come into its index. What it does not take over is lost with the
older file.

Source: NIST SP 800-38D (GCM; a key seals one chunk only). Does not know what the rows mean.
"""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
import orjson
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from demur.errors import BrokenError, OutsideError
from demur.store.keys import keyed_hash

MAGIC = b"DEMURSE2"
FORMER = b"DEMURSE1"
"""Files before chunks had keys of their own; they can be read."""
CHUNK_ROWS = 50_000
COPIED_BYTES = 8 << 20
_CODEC, _LEVEL = "zstd", 1
_INDEX_BUCKET = 0xFFFFFFFF
_BY = "crc32"
"""How ids find their bucket; a file that does not say so was written with another rule, and is read whole."""

Parts = Iterable[tuple[int, Any]]
"""(bucket, table), in any order, a bucket any number of times; ``None`` for a table = as in the file before."""


class _Chunk(NamedTuple):
    bucket: int
    offset: int
    length: int
    key: str | None = None
    """Hexadecimal; ``None`` in former files: the key of the index."""
    rows: int = 0


def bucket_of(name: str, buckets: int) -> int:
    """Return the bucket of an id: its CRC-32. Which chunk is of which bucket is sealed, so the layout tells nothing.

    >>> bucket_of("x:1", 1)
    0
    """
    return zlib.crc32(name.encode()) % buckets


def buckets_of(names: Any, buckets: int) -> Any:
    """Return the bucket of each id of an Arrow string array, int64.

    >>> buckets_of(pa.array(["x:1", "x:2"]), 1).tolist()
    [0, 0]
    """
    strings = names.to_pylist()
    sums = np.fromiter((zlib.crc32(one.encode()) for one in strings), dtype=np.int64, count=len(strings))
    return sums % buckets


def write_sealed(
    path: Path,
    kind: str,
    parts: Parts,
    *,
    secret: bytes,
    buckets: int,
    upon: SealedFile | None = None,
) -> int:
    """Write tables as one sealed file, whole or not at all.

    Args:
        path: the file.
        kind: what the rows are; part of the key's derivation, so that two kinds of file never share a key.
        parts: (bucket, table), in any order, a bucket any number of times; (bucket, ``None``) copies what ``upon``
            has of that bucket, without opening it.
        secret: key of the purpose ``lineage``.
        buckets: how many buckets there are.
        upon: the file before, of the same kind and buckets.

    Returns:
        The number of rows sealed.

    Raises:
        OutsideError: the disk is full or refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            rows = _write(stream, kind, parts, secret=secret, buckets=buckets, upon=upon)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutsideError(
            f"cannot write {path.name}: {type(error).__name__}; free space and run the same command again"
        ) from error
    return rows


def _write(stream: BinaryIO, kind: str, parts: Parts, *, secret: bytes, buckets: int, upon: SealedFile | None) -> int:
    header = orjson.dumps({"kind": kind, "salt": secrets.token_hex(32), "buckets": buckets, "by": _BY})
    stream.write(MAGIC + len(header).to_bytes(4, "big") + header)
    index: list[_Chunk] = []
    kept: list[int] = []
    for bucket, table in parts:
        if table is None:
            kept.append(bucket)
            continue
        for start in range(0, table.num_rows, CHUNK_ROWS):
            offset, chunk, key = stream.tell(), table.slice(start, CHUNK_ROWS), secrets.token_bytes(32)
            stream.write(_seal(AESGCM(key), _packed(chunk), _chunk_bound(kind, bucket)))
            index.append(_Chunk(bucket, offset, stream.tell() - offset, key.hex(), chunk.num_rows))
    if kept:
        assert upon is not None
        index += upon.copied(kept, stream)
    offset = stream.tell()
    stream.write(
        _seal(_cipher(secret, header), orjson.dumps([list(one) for one in index]), _bound(header, _INDEX_BUCKET, 0))
    )
    stream.write(offset.to_bytes(8, "big") + MAGIC)
    return sum(one.rows for one in index)


class SealedFile:
    """A sealed file opened with its key; nothing of it is kept in clear beyond the table asked for.

    Args:
        path: the file.
        kind: what the rows must be.
        secret: key of the purpose ``lineage``.

    Raises:
        BrokenError: the file is missing, cut, changed, of another kind, or the key is another.
    """

    def __init__(self, path: Path, kind: str, *, secret: bytes) -> None:
        self._path, self._kind = path, kind
        with self._open() as stream:
            self._former, self._header = self._read_header(stream)
            facts = orjson.loads(self._header)
            if facts.get("kind") != kind:
                raise self._damaged(f"kind {facts.get('kind')!r} instead of {kind!r}")
            self.buckets: int = facts["buckets"]
            self._by_name = facts.get("by") == _BY
            self._cipher = _cipher(secret, self._header)
            self._index = self._read_index(stream)
        self._places: dict[int, list[int]] = {}
        for number, chunk in enumerate(self._index):
            self._places.setdefault(chunk.bucket, []).append(number)

    @property
    def present(self) -> frozenset[int]:
        """The buckets that hold anything."""
        return frozenset(self._places)

    def differing(self, other: SealedFile) -> list[int]:
        """Return the buckets whose rows are not surely those of another file: what was taken over has its key."""
        mine, theirs = self._keys(), other._keys()
        return sorted(bucket for bucket in {*mine, *theirs} if mine.get(bucket) != theirs.get(bucket))

    def _keys(self) -> dict[int, list[str | None]]:
        found: dict[int, list[str | None]] = {}
        for chunk in self._index:
            found.setdefault(chunk.bucket, []).append(chunk.key)
        return found

    def bucket(self, name: str) -> Iterator[Any]:
        """Yield the tables of the bucket that the id belongs to; other buckets stay sealed."""
        yield from self.numbered([bucket_of(name, self.buckets)]) if self._by_name else self.all()

    def numbered(self, buckets: Iterable[int]) -> Iterator[Any]:
        """Yield the tables of some buckets by number."""
        for _, table in self.parts(buckets):
            yield table

    def parts(self, buckets: Iterable[int]) -> Iterator[tuple[int, Any]]:
        """Yield (bucket, table) of some buckets, in the order asked for."""
        yield from self._tables(number for bucket in buckets for number in self._places.get(bucket, ()))

    def gathered(self, buckets: Iterable[int]) -> Iterator[tuple[Any, Any]]:
        """Yield (bucket of each row, table) of some buckets, many together; a bucket is never divided."""
        waiting: list[tuple[int, Any]] = []
        for bucket, table in self.parts(buckets):
            if waiting and bucket != waiting[-1][0] and sum(one.num_rows for _, one in waiting) >= CHUNK_ROWS:
                yield _together(waiting)
                waiting = []
            waiting.append((bucket, table))
        if waiting:
            yield _together(waiting)

    def all(self) -> Iterator[Any]:
        """Yield every table, a chunk at a time."""
        for _, table in self._tables(range(len(self._index))):
            yield table

    def copied(self, buckets: Iterable[int], target: BinaryIO) -> list[_Chunk]:
        """Copy the sealed chunks of some buckets as they stand; return where they lie now."""
        chosen = sorted({number for bucket in buckets for number in self._places.get(bucket, ())})
        found: list[_Chunk] = []
        with self._open() as stream:
            for number in chosen:
                chunk = self._index[number]
                stream.seek(chunk.offset)
                offset, left = target.tell(), chunk.length
                while left:
                    piece = stream.read(min(left, COPIED_BYTES))
                    if not piece:
                        raise self._damaged("a cut file")
                    left -= target.write(piece)
                found.append(chunk._replace(offset=offset))
        return found

    def _tables(self, numbers: Iterable[int]) -> Iterator[tuple[int, Any]]:
        with self._open() as stream:
            for number in numbers:
                chunk = self._index[number]
                stream.seek(chunk.offset)
                clear = self._opened(stream.read(chunk.length), chunk, number)
                yield chunk.bucket, _unpacked(clear, former=self._former)

    def _opened(self, sealed: bytes, chunk: _Chunk, number: int) -> bytes:
        if chunk.key is None:
            return self._unseal(self._cipher, sealed, _bound(self._header, chunk.bucket, number))
        return self._unseal(AESGCM(bytes.fromhex(chunk.key)), sealed, _chunk_bound(self._kind, chunk.bucket))

    def _open(self) -> BinaryIO:
        try:
            return self._path.open("rb")
        except FileNotFoundError as error:
            raise self._damaged("no file") from error

    def _read_header(self, stream: BinaryIO) -> tuple[bool, bytes]:
        magic = stream.read(8)
        if magic not in {MAGIC, FORMER}:
            raise self._damaged("another beginning")
        length = int.from_bytes(stream.read(4), "big")
        header = stream.read(min(length, 4096))
        try:
            facts = orjson.loads(header)
            bytes.fromhex(facts["salt"])
            sound = isinstance(facts["kind"], str) and isinstance(facts["buckets"], int) and facts["buckets"] > 0
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged("a damaged header") from error
        if not sound:
            raise self._damaged("a damaged header")
        return magic == FORMER, header

    def _read_index(self, stream: BinaryIO) -> list[_Chunk]:
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(end - 16, 0))
        tail = stream.read(16)
        offset = int.from_bytes(tail[:8], "big")
        if tail[8:] != (FORMER if self._former else MAGIC) or offset >= end - 16:
            raise self._damaged("a cut file")
        stream.seek(offset)
        sealed = stream.read(end - 16 - offset)
        return [
            _Chunk(*one)
            for one in orjson.loads(self._unseal(self._cipher, sealed, _bound(self._header, _INDEX_BUCKET, 0)))
        ]

    def _unseal(self, cipher: AESGCM, sealed: bytes, bound: bytes) -> bytes:
        try:
            return cipher.decrypt(sealed[:12], sealed[12:], bound)
        except (InvalidTag, ValueError) as error:
            raise self._damaged("changed bytes or another key") from error

    def _damaged(self, found: str) -> BrokenError:
        return BrokenError(
            f"expected the sealed file {self._path.name} as it was written, found {found}; "
            "restore file and key from a backup or build the corpus again"
        )


def _together(tables: list[tuple[int, Any]]) -> tuple[Any, Any]:
    buckets = np.repeat([bucket for bucket, _ in tables], [table.num_rows for _, table in tables])
    return buckets, pa.concat_tables([table for _, table in tables]).combine_chunks()


def _cipher(secret: bytes, header: bytes) -> AESGCM:
    facts = orjson.loads(header)
    return AESGCM(keyed_hash(secret, "sealed", facts["kind"], facts["salt"]))


def _bound(header: bytes, bucket: int, number: int) -> bytes:
    return header + bucket.to_bytes(4, "big") + number.to_bytes(4, "big")


def _chunk_bound(kind: str, bucket: int) -> bytes:
    return kind.encode() + bucket.to_bytes(4, "big")


def _seal(cipher: AESGCM, clear: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + cipher.encrypt(nonce, clear, bound)


def _packed(table: Any) -> bytes:
    """Return a table as a stream, compressed whole: column by column takes thrice the time in small chunks."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(use_threads=False)) as writer:
        writer.write_table(table)
    clear = sink.getvalue()
    packed: bytes = clear.size.to_bytes(8, "big") + pa.Codec(_CODEC, _LEVEL).compress(clear, asbytes=True)
    return packed


def _unpacked(clear: bytes, *, former: bool) -> Any:
    if not former:
        clear = pa.Codec(_CODEC).decompress(clear[8:], int.from_bytes(clear[:8], "big"))
    return pa.ipc.open_stream(clear, options=pa.ipc.IpcReadOptions(use_threads=False)).read_all()

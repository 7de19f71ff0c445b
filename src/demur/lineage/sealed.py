"""One sealed file of Arrow tables in buckets: AES-256-GCM in chunks, so that memory stays flat both ways.

Layout: magic (8 bytes) · length of header (4, big-endian) · header (JSON in clear: kind, salt, buckets; no ids) ·
chunks · sealed index · offset of the index (8) · magic (8). A chunk is a nonce (12 random bytes) and a
ciphertext of a zstd-compressed Arrow IPC stream. Header, bucket and number of the chunk are authenticated with it
(associated data), so chunks can be neither swapped nor dropped: the index says how many there are.
The key of a file is derived from the workspace's key and the salt in its header, so removing the file's first bytes
makes all the rest unreadable.

Source: NIST SP 800-38D (GCM; random 96-bit nonces, far below 2^32 chunks a key). Does not know what the rows mean.
"""

from __future__ import annotations

import os
import secrets
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from demur.errors import BrokenError, OutsideError
from demur.store.keys import keyed_hash

MAGIC = b"DEMURSE1"
CHUNK_ROWS = 50_000
_INDEX_BUCKET = 0xFFFFFFFF
_BY = "crc32"
"""How ids find their bucket; a file that does not say so was written with another rule, and is read whole."""


def bucket_of(name: str, buckets: int) -> int:
    """Return the bucket of an id: its CRC-32. Which chunk is of which bucket is sealed, so the layout tells nothing.

    >>> bucket_of("x:1", 1)
    0
    """
    return zlib.crc32(name.encode()) % buckets


def write_sealed(path: Path, kind: str, parts: Iterable[tuple[int, Any]], *, secret: bytes, buckets: int) -> int:
    """Write tables as one sealed file, whole or not at all.

    Args:
        path: the file.
        kind: what the rows are; part of the key's derivation, so that two kinds of file never share a key.
        parts: (bucket, table), in any order, a bucket any number of times.
        secret: key of the purpose ``lineage``.
        buckets: how many buckets there are.

    Returns:
        The number of rows sealed.

    Raises:
        OutsideError: the disk is full or refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            rows = _write(stream, kind, parts, secret=secret, buckets=buckets)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutsideError(
            f"cannot write {path.name}: {type(error).__name__}; free space and run the same command again"
        ) from error
    return rows


def _write(stream: BinaryIO, kind: str, parts: Iterable[tuple[int, Any]], *, secret: bytes, buckets: int) -> int:
    header = orjson.dumps({"kind": kind, "salt": secrets.token_hex(32), "buckets": buckets, "by": _BY})
    cipher = _cipher(secret, header)
    stream.write(MAGIC + len(header).to_bytes(4, "big") + header)
    index: list[list[int]] = []
    rows = 0
    for bucket, table in parts:
        for start in range(0, table.num_rows, CHUNK_ROWS):
            offset = stream.tell()
            chunk = table.slice(start, CHUNK_ROWS)
            stream.write(_seal(cipher, _packed(chunk), _bound(header, bucket, len(index))))
            index.append([bucket, offset, stream.tell() - offset])
            rows += chunk.num_rows
    offset = stream.tell()
    stream.write(_seal(cipher, orjson.dumps(index), _bound(header, _INDEX_BUCKET, 0)))
    stream.write(offset.to_bytes(8, "big") + MAGIC)
    return rows


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
        self._path = path
        with self._open() as stream:
            self._header = self._read_header(stream)
            facts = orjson.loads(self._header)
            if facts.get("kind") != kind:
                raise self._damaged(f"kind {facts.get('kind')!r} instead of {kind!r}")
            self.buckets: int = facts["buckets"]
            self._by_name = facts.get("by") == _BY
            self._cipher = _cipher(secret, self._header)
            self._index = self._read_index(stream)

    def bucket(self, name: str) -> Iterator[Any]:
        """Yield the tables of the bucket that the id belongs to; other buckets stay sealed."""
        yield from self.numbered([bucket_of(name, self.buckets)]) if self._by_name else self.all()

    def numbered(self, buckets: Iterable[int]) -> Iterator[Any]:
        """Yield the tables of some buckets by number."""
        wanted = set(buckets)
        yield from self._tables(lambda bucket: bucket in wanted)

    def all(self) -> Iterator[Any]:
        """Yield every table, a chunk at a time."""
        yield from self._tables(lambda _bucket: True)

    def _tables(self, wanted: Any) -> Iterator[Any]:
        with self._open() as stream:
            for number, (bucket, offset, length) in enumerate(self._index):
                if wanted(bucket):
                    stream.seek(offset)
                    yield _unpacked(self._unseal(stream.read(length), bucket, number))

    def _open(self) -> BinaryIO:
        try:
            return self._path.open("rb")
        except FileNotFoundError as error:
            raise self._damaged("no file") from error

    def _read_header(self, stream: BinaryIO) -> bytes:
        if stream.read(8) != MAGIC:
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
        return header

    def _read_index(self, stream: BinaryIO) -> list[list[int]]:
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(end - 16, 0))
        tail = stream.read(16)
        offset = int.from_bytes(tail[:8], "big")
        if tail[8:] != MAGIC or offset >= end - 16:
            raise self._damaged("a cut file")
        stream.seek(offset)
        found: list[list[int]] = orjson.loads(self._unseal(stream.read(end - 16 - offset), _INDEX_BUCKET, 0))
        return found

    def _unseal(self, sealed: bytes, bucket: int, number: int) -> bytes:
        try:
            return self._cipher.decrypt(sealed[:12], sealed[12:], _bound(self._header, bucket, number))
        except (InvalidTag, ValueError) as error:
            raise self._damaged("changed bytes or another key") from error

    def _damaged(self, found: str) -> BrokenError:
        return BrokenError(
            f"expected the sealed file {self._path.name} as it was written, found {found}; "
            "restore file and key from a backup or build the corpus again"
        )


def _cipher(secret: bytes, header: bytes) -> AESGCM:
    facts = orjson.loads(header)
    return AESGCM(keyed_hash(secret, "sealed", facts["kind"], facts["salt"]))


def _bound(header: bytes, bucket: int, number: int) -> bytes:
    return header + bucket.to_bytes(4, "big") + number.to_bytes(4, "big")


def _seal(cipher: AESGCM, clear: bytes, bound: bytes) -> bytes:
    nonce = os.urandom(12)
    return nonce + cipher.encrypt(nonce, clear, bound)


def _packed(table: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _unpacked(clear: bytes) -> Any:
    return pa.ipc.open_stream(clear).read_all()

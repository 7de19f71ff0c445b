"""One sealed file of Arrow tables in buckets: AES-256-GCM in chunks, so that memory stays flat both ways.

Layout: magic (8 bytes) · length of header (4, big-endian) · header (JSON in clear: kind, salt, buckets; no ids) ·
chunks · sealed index · offset of the index (8) · magic (8). A chunk is a nonce (12 random bytes) and a ciphertext under
a key of its own: a size (8) and an Arrow record batch, as LZ4 that has that size in clear or, where it does not get
much smaller so, as it is (size 0). The schema, the keys of the chunks, and where they lie, stand in the index. Kind and
bucket are authenticated with a chunk, the header with the index, so chunks can be neither swapped nor dropped.

The index is sealed with a key derived from the workspace's key and the salt in the header, so removing the file's first
bytes makes all the rest unreadable. A later version of the file takes over buckets that stayed as they were: their
ciphertext is copied as it stands, and their keys come into its index. What it does not take over is lost with the
older file.

Source: NIST SP 800-38D (GCM; a key seals one chunk only). Does not know what the rows mean.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from demur.errors import BrokenError
from demur.store.files import cannot_write
from demur.store.keys import keyed_hash

MAGIC = b"DEMURSE3"
FORMER = (b"DEMURSE1", b"DEMURSE2")
"""Files of which every chunk is zstd and has a schema of its own; in the first, all have one key. They can be read."""
CHUNK_ROWS = 50_000
READ_BYTES = 8 << 20
"""Chunks that are one table have about so many bytes together, at most."""
_AT_ONCE = 1 << 20
"""What lies side by side is read and copied together, so many bytes: larger blocks are new memory each time."""
_CODEC: Any = pa.Codec("lz4_raw")
"""Half the time of zstd to write small chunks, a quarter to read them, for half as many bytes again."""
_WORTH = 0.8
"""What compression does not make smaller than that is sealed as it is: it is opened sooner."""
_INDEX_BUCKET = 0xFFFFFFFF
_BY = "crc32"
"""How ids find their bucket; a file that does not say so was written with another rule, and is read whole."""

Parts = Iterable[tuple[int, Any]]
"""(bucket, table), in any order, a bucket any number of times; ``None`` for a table = as in the file before."""

_CHUNK: Any = np.dtype([("bucket", "<u4"), ("offset", "<u8"), ("length", "<u8"), ("rows", "<u4"), ("key", "u1", 32)])
"""A row of the index."""


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
    encoded = names.cast(pa.binary()).to_pylist()
    return np.fromiter(map(zlib.crc32, encoded), dtype=np.int64, count=len(encoded)) % buckets


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
    with sealing(path, kind, secret=secret, buckets=buckets, upon=upon) as file:
        for bucket, table in parts:
            file.add(bucket, table)
    return file.rows


@contextlib.contextmanager
def sealing(path: Path, kind: str, *, secret: bytes, buckets: int, upon: SealedFile | None = None) -> Iterator[Sealing]:
    """Yield what takes the tables of a sealed file one by one; the file is there whole at the end, or not at all.

    Raises:
        OutsideError: the disk is full or refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            file = Sealing(stream, kind, secret, buckets, upon)
            yield file
            file.finish()
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        part.unlink(missing_ok=True)


class Sealing:
    """A sealed file that is being written; see :func:`sealing`."""

    def __init__(self, stream: BinaryIO, kind: str, secret: bytes, buckets: int, upon: SealedFile | None) -> None:
        self._stream, self._kind, self._secret, self._upon = stream, kind, secret, upon
        self._header = orjson.dumps({"kind": kind, "salt": secrets.token_hex(32), "buckets": buckets, "by": _BY})
        stream.write(MAGIC + len(self._header).to_bytes(4, "big") + self._header)
        self._schema = None if upon is None else upon.schema
        self._chunks: list[tuple[int, int, int, int, bytes]] = []
        self._kept: list[int] = []
        self._offset = stream.tell()
        self.rows = 0
        """How many there are, once the file is whole."""

    def add(self, bucket: int, table: Any) -> None:
        """Seal a table; ``None`` takes over what the file before has of the bucket."""
        if table is None:
            self._kept.append(bucket)
            return
        self._schema = table.schema if self._schema is None else self._schema
        table = table if table.schema.equals(self._schema) else table.cast(self._schema)
        for start in range(0, table.num_rows, CHUNK_ROWS):
            chunk, key = table.slice(start, CHUNK_ROWS), secrets.token_bytes(32)
            length = self._stream.write(_seal(AESGCM(key), _packed(chunk), _chunk_bound(self._kind, bucket)))
            self._chunks.append((bucket, self._offset, length, chunk.num_rows, key))
            self._offset += length

    def finish(self) -> None:
        """Copy what is taken over; write the index."""
        index = _as_index(self._chunks)
        if self._kept:
            assert self._upon is not None
            index = np.concatenate([index, self._upon.copied(self._kept, self._stream)])
        described = self._schema.serialize().to_pybytes() if self._schema is not None else b""
        clear = len(described).to_bytes(4, "big") + described + index.tobytes()
        offset = self._stream.tell()
        cipher = _cipher(self._secret, self._header)
        self._stream.write(_seal(cipher, clear, _bound(self._header, _INDEX_BUCKET, 0)))
        self._stream.write(offset.to_bytes(8, "big") + MAGIC)
        self.rows = int(index["rows"].sum())


def _as_index(chunks: list[tuple[int, int, int, int, bytes]]) -> Any:
    plain = np.array([one[:4] for one in chunks], np.int64).reshape(-1, 4)
    found = np.zeros(len(chunks), _CHUNK)
    for column, name in enumerate(("bucket", "offset", "length", "rows")):
        found[name] = plain[:, column]
    keys = b"".join(one[4] for one in chunks)
    found["key"] = np.frombuffer(keys, np.uint8).reshape(-1, 32)
    return found


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
            self._magic, self._header = self._read_header(stream)
            facts = orjson.loads(self._header)
            if facts.get("kind") != kind:
                raise self._damaged(f"kind {facts.get('kind')!r} instead of {kind!r}")
            self.buckets: int = facts["buckets"]
            self._by_name = facts.get("by") == _BY
            self._cipher = _cipher(secret, self._header)
            self.schema, self._index = self._read_index(stream)
        order = np.argsort(self._index["bucket"], kind="stable")
        self._order, self._ordered = order, self._index["bucket"][order].astype(np.int64)

    @property
    def present(self) -> frozenset[int]:
        """The buckets that hold anything."""
        return frozenset(np.unique(self._ordered).tolist())

    def sizes(self) -> Any:
        """Return how many rows each bucket holds, int64; none is opened."""
        return np.bincount(self._index["bucket"], self._index["rows"], self.buckets).astype(np.int64)

    def differing(self, other: SealedFile) -> list[int]:
        """Return the buckets whose rows are not surely those of another file: what was taken over has its key."""
        mine, theirs = self._keys(), other._keys()
        return sorted(bucket for bucket in {*mine, *theirs} if mine.get(bucket) != theirs.get(bucket))

    def _keys(self) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        for bucket, key in zip(self._ordered.tolist(), self._index["key"][self._order], strict=True):
            found[bucket] = found.get(bucket, b"") + key.tobytes()
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
        for bucket, batch in self._batches(self._numbers(buckets)):
            yield bucket, pa.Table.from_batches([batch])

    def gathered(self, buckets: Iterable[int]) -> Iterator[tuple[Any, Any]]:
        """Yield (bucket of each row, table) of some buckets, many together; a bucket is never divided.

        Files with as many rows in each bucket are divided alike.
        """
        waiting = _Waiting()
        for bucket, batch in self._batches(self._numbers(buckets)):
            if waiting.rows >= CHUNK_ROWS and bucket != waiting.buckets[-1]:
                yield waiting.taken()
            waiting.add(bucket, batch)
        if waiting.batches:
            yield waiting.taken()

    def all(self) -> Iterator[Any]:
        """Yield every row, many chunks together."""
        waiting, size = _Waiting(), 0
        lengths = self._index["length"].tolist()
        for (bucket, batch), length in zip(self._batches(np.arange(len(lengths))), lengths, strict=True):
            enough = waiting.rows >= CHUNK_ROWS or size >= READ_BYTES
            if enough or (waiting.batches and batch.schema != waiting.batches[0].schema):
                yield waiting.taken()[1]
                size = 0
            waiting.add(bucket, batch)
            size += length
        if waiting.batches:
            yield waiting.taken()[1]

    def copied(self, buckets: Iterable[int], target: BinaryIO) -> Any:
        """Copy the sealed chunks of some buckets as they stand; return their index with where they lie now."""
        chosen = np.sort(self._numbers(buckets))
        found = self._index[chosen].copy()
        offset = target.tell()
        for _, content in self._read(chosen):
            target.write(content)
        lengths = found["length"].astype(np.uint64)
        found["offset"] = offset + np.cumsum(lengths) - lengths
        return found

    def _numbers(self, buckets: Iterable[int]) -> Any:
        """Return the chunks of some buckets."""
        wanted = np.fromiter(buckets, np.int64)
        begins, ends = (np.searchsorted(self._ordered, wanted, side=side) for side in ("left", "right"))
        counts = ends - begins
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return self._order[np.repeat(begins, counts) + within]

    def _read(self, numbers: Any) -> Iterator[tuple[Any, bytes]]:
        """Yield (chunks, their bytes), as many together as lie side by side."""
        offsets, lengths = (self._index[name][numbers].astype(np.int64) for name in ("offset", "length"))
        before = np.cumsum(lengths) - lengths
        apart = np.flatnonzero(offsets[1:] != (offsets + lengths)[:-1]) + 1
        runs = np.concatenate([apart[:0] if not len(numbers) else [0], apart])
        within = before - np.repeat(before[runs], np.diff(runs, append=len(numbers)))
        pieces = np.flatnonzero(np.diff(within // _AT_ONCE)) + 1
        begins = np.union1d(runs, pieces).astype(np.int64)
        with self._open() as stream:
            for begin, end in pairwise([*begins.tolist(), len(numbers)]):
                size = int(before[end - 1] + lengths[end - 1] - before[begin])
                content = os.pread(stream.fileno(), size, int(offsets[begin]))
                if len(content) != size:
                    raise self._damaged("a cut file")
                yield numbers[begin:end], content

    def _batches(self, numbers: Any) -> Iterator[tuple[int, Any]]:
        for some, content in self._read(numbers):
            chunks, whole, at = self._index[some], memoryview(content), 0
            columns = (chunks[name].tolist() for name in ("bucket", "length"))
            for number, bucket, length, key in zip(some.tolist(), *columns, chunks["key"], strict=True):
                sealed, at = whole[at : at + length], at + length
                yield bucket, self._unpacked(self._opened(sealed, bucket, number, key.tobytes()))

    def _opened(self, sealed: memoryview, bucket: int, number: int, key: bytes) -> bytes:
        if self._magic == FORMER[0]:
            return self._unseal(self._cipher, sealed, _bound(self._header, bucket, number))
        return self._unseal(AESGCM(key), sealed, _chunk_bound(self._kind, bucket))

    def _unpacked(self, clear: bytes) -> Any:
        if self._magic == FORMER[0]:
            return _one_batch(pa.ipc.open_stream(clear))
        size, content = int.from_bytes(clear[:8], "big"), memoryview(clear)[8:]
        if self._magic in FORMER:
            return _one_batch(pa.ipc.open_stream(pa.Codec("zstd").decompress(content, size)))
        whole = _CODEC.decompress(content, size) if size else pa.py_buffer(content)
        return pa.ipc.read_record_batch(whole, self.schema)

    def _open(self) -> BinaryIO:
        try:
            return self._path.open("rb")
        except FileNotFoundError as error:
            raise self._damaged("no file") from error

    def _read_header(self, stream: BinaryIO) -> tuple[bytes, bytes]:
        magic = stream.read(8)
        if magic not in {MAGIC, *FORMER}:
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
        return magic, header

    def _read_index(self, stream: BinaryIO) -> tuple[Any, Any]:
        """Return the schema (``None`` = each chunk has its own) and where the chunks lie."""
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(end - 16, 0))
        tail = stream.read(16)
        offset = int.from_bytes(tail[:8], "big")
        if tail[8:] != self._magic or offset >= end - 16:
            raise self._damaged("a cut file")
        stream.seek(offset)
        clear = self._unseal(self._cipher, stream.read(end - 16 - offset), _bound(self._header, _INDEX_BUCKET, 0))
        if self._magic in FORMER:
            listed = [[*one, "00" * 32, 0][:5] for one in orjson.loads(clear)]  # the first form has no keys and rows
            return None, _as_index([(*one[:3], one[4], bytes.fromhex(one[3])) for one in listed])
        size = int.from_bytes(clear[:4], "big")
        schema = pa.ipc.read_schema(pa.py_buffer(clear[4 : 4 + size])) if size else None
        return schema, np.frombuffer(clear, _CHUNK, offset=4 + size)

    def _unseal(self, cipher: AESGCM, sealed: bytes | memoryview, bound: bytes) -> bytes:
        try:
            return cipher.decrypt(sealed[:12], sealed[12:], bound)
        except (InvalidTag, ValueError) as error:
            raise self._damaged("changed bytes or another key") from error

    def _damaged(self, found: str) -> BrokenError:
        return BrokenError(
            f"expected the sealed file {self._path.name} as it was written, found {found}; "
            "restore file and key from a backup or build the corpus again"
        )


class _Waiting:
    """Chunks that will be one table."""

    def __init__(self) -> None:
        self.buckets: list[int] = []
        self.batches: list[Any] = []
        self.rows = 0

    def add(self, bucket: int, batch: Any) -> None:
        """Take a chunk in."""
        self.buckets.append(bucket)
        self.batches.append(batch)
        self.rows += batch.num_rows

    def taken(self) -> tuple[Any, Any]:
        """Return (bucket of each row, table) and begin anew."""
        buckets = np.repeat(self.buckets, [batch.num_rows for batch in self.batches])
        table = pa.Table.from_batches([pa.concat_batches(self.batches)])
        self.buckets, self.batches, self.rows = [], [], 0
        return buckets, table


def _one_batch(stream: Any) -> Any:
    """Return everything in a stream as one record batch."""
    batches = list(stream)
    return pa.concat_batches(batches) if batches else pa.RecordBatch.from_pylist([], schema=stream.schema)


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
    """Return a table as a record batch, compressed whole: column by column takes thrice the time in small chunks."""
    clear = table.combine_chunks().to_batches()[0].serialize().to_pybytes()
    packed: bytes = _CODEC.compress(clear, asbytes=True)
    return len(clear).to_bytes(8, "big") + packed if len(packed) <= len(clear) * _WORTH else bytes(8) + clear

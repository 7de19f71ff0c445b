"""The AT protocol's own formats as events in Jetstream's shape: a repository (CAR) and the firehose's frames.

Knows the containers (CAR v1, DAG-CBOR, the Merkle search tree, TIDs), not what a record says. Checks that a block is
the one that its name promises (SHA-256); checks no signature and follows no link. Needs ``demur[atproto]``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, BinaryIO

from demur.errors import ConfigError
from demur.intake.check import EARLIEST
from demur.intake.source import Context, Unreadable

CAR_BYTES = 2**30
"""A whole repository lies in memory while it is read: one account's records."""
FRAME_BYTES = 16 * 2**20
"""A frame has 5 MB at most (event stream specification, message limits)."""
MAX_DEPTH = 128
_BASE32 = {letter: place for place, letter in enumerate("234567abcdefghijklmnopqrstuvwxyz")}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAME_BYTES = 36
"""CIDv1 with a SHA-256: version, codec, 0x12, 32, digest: the only one that the protocol blesses."""

Blocks = dict[bytes, bytes]
Event = Mapping[str, Any]


class DamagedError(ValueError):
    """A container is not what it should be here."""


def tid_instant(tid: Any) -> datetime | None:
    """Return the instant that a TID holds (AT protocol, TID: 53 bits of microseconds); ``None`` = it is none.

    >>> tid_instant("3mptbypluud2a").isoformat(), tid_instant("self")
    ('2026-07-04T14:38:07.514441+00:00', None)
    """
    if not isinstance(tid, str) or len(tid) != 13 or not _BASE32.keys() >= set(tid) or tid[0] > "j":
        return None
    number = 0
    for letter in tid:
        number = number << 5 | _BASE32[letter]
    found = _EPOCH + timedelta(microseconds=number >> 10)
    return found if found >= EARLIEST else None


@cache
def _decoders() -> tuple[Callable[[bytes], Any], Callable[[bytes], list[Any]]]:
    try:
        import libipld
    except ModuleNotFoundError as error:
        raise ConfigError("CAR files and firehose frames need libipld; install demur[atproto]") from error
    return libipld.decode_dag_cbor, libipld.decode_dag_cbor_multi


def _decoded(raw: bytes) -> Any:
    decode, _ = _decoders()
    try:
        return decode(raw)
    except ValueError:
        raise DamagedError("DAG-CBOR") from None


def car(raw: bytes) -> tuple[list[bytes], Blocks]:
    """Return roots and blocks of a CAR v1 file.

    Raises:
        DamagedError: it is none, or ends in the middle.
    """
    length, at = _varint(raw, 0)
    header = _decoded(raw[at : at + length])
    at += length
    if not isinstance(header, dict) or header.get("version") != 1 or not isinstance(header.get("roots"), list):
        raise DamagedError("a CAR v1 header")
    blocks: Blocks = {}
    while at < len(raw):
        length, at = _varint(raw, at)
        name = raw[at : at + _NAME_BYTES]
        if at + length > len(raw) or length < _NAME_BYTES or name[0] != 1 or name[2:4] != b"\x12\x20":
            raise DamagedError("a block with a CIDv1")
        blocks[name] = raw[at + _NAME_BYTES : at + length]
        at += length
    return header["roots"], blocks


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """Return an unsigned LEB128 number and the place behind it."""
    number = shift = 0
    while at < len(raw) and shift < 63:
        byte = raw[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
    raise DamagedError("a length")


def block(blocks: Blocks, name: Any) -> Any:
    """Return what a block holds.

    Raises:
        DamagedError: it is not there, or is not the one that its name promises.
    """
    raw = blocks.get(name)
    if raw is None or hashlib.sha256(raw).digest() != name[4:]:
        raise DamagedError("the block that is named here")
    return _decoded(raw)


def _paths(blocks: Blocks, node: Any, depth: int = 0) -> Iterator[tuple[str, bytes]]:
    """Yield path and name of every record below a node of the tree (Repository, MST: keys are prefix-compressed)."""
    if node is None:
        return
    if depth > MAX_DEPTH:
        raise DamagedError("a tree at most 128 levels deep")
    found = block(blocks, node)
    yield from _paths(blocks, found["l"], depth + 1)
    key = b""
    for entry in found["e"]:
        key = key[: entry["p"]] + entry["k"]
        yield key.decode("ascii"), entry["v"]
        yield from _paths(blocks, entry["t"], depth + 1)


def repository(stream: BinaryIO, context: Context, path: str) -> Iterator[Event | Unreadable]:
    """Yield every record of a repository as it stands, as the commit that its head is."""
    context.at(path, "commit")
    raw = stream.read(CAR_BYTES + 1)
    if len(raw) > CAR_BYTES:
        yield context.unreadable("bomb", "a repository of at most 1 GiB")
        return
    try:
        roots, blocks = car(raw)
        head = block(blocks, roots[0])
        did, rev, tree = head["did"], head["rev"], head["data"]
        for place, name in _paths(blocks, tree):
            context.at(path, place)
            yield _read(context, did, rev, {"action": "create", "path": place, "cid": name}, blocks)
    except (DamagedError, KeyError, TypeError, IndexError, UnicodeDecodeError):
        yield context.unreadable("truncated", "a repository as a CAR v1 file", raw[:FRAME_BYTES])


def _read(context: Context, did: str, rev: str, operation: Mapping[str, Any], blocks: Blocks) -> Event | Unreadable:
    """Return one operation as an event of Jetstream."""
    collection, _, rkey = operation["path"].partition("/")
    commit = {"collection": collection, "rkey": rkey, "operation": operation["action"], "rev": rev}
    if operation["action"] != "delete":
        try:
            commit["record"] = block(blocks, operation["cid"])
        except DamagedError:
            return context.unreadable("truncated", "the record's block in the same file", repr(operation))
    return {"kind": "commit", "did": did, "commit": commit}


def frames(stream: BinaryIO, context: Context, path: str) -> Iterator[Event | Unreadable]:
    """Yield the events of recorded frames: each its length (32 bits, little end first), header and body in DAG-CBOR."""
    number = 0
    while prefix := stream.read(4):
        number += 1
        context.at(path, f"frame {number}")
        length = int.from_bytes(prefix, "little")
        raw = stream.read(length) if length <= FRAME_BYTES else b""
        if len(prefix) < 4 or len(raw) < length:
            yield context.unreadable("truncated", "a frame with its end, at most 16 MiB", raw)
            return
        try:
            yield from _frame(raw, context)
        except (DamagedError, KeyError, TypeError, ValueError, AttributeError):
            yield context.unreadable("wrong_type", "a frame of com.atproto.sync.subscribeRepos", raw)


def _frame(raw: bytes, context: Context) -> Iterator[Event | Unreadable]:
    header, body = _decoders()[1](raw)
    kind = header.get("t", "error")
    if kind == "#commit":
        _, blocks = car(body["blocks"]) if body["blocks"] else ([], {})
        for operation in body["ops"]:
            yield _read(context, body["repo"], body["rev"], operation, blocks)
    elif kind in ("#identity", "#handle"):
        yield {"kind": "identity", "did": body["did"], "identity": body}
    elif kind == "#account":
        yield {"kind": "account", "did": body["did"], "account": body}
    elif kind == "#tombstone":  # before 2024: the account is gone
        gone = {"active": False, "status": "deleted", "time": body.get("time")}
        yield {"kind": "account", "did": body["did"], "account": gone}
    else:
        context.ignore(f"frame {kind}")

"""What stands in the ledger: a public leaf that says what happened and when, and a private opening that says to whom.

The leaf holds ``HMAC-SHA-256(salt, facts)`` under a random salt of its own; without the salt it says nothing about the
facts, so deleting the salt erases them from the ledger for good. Not handled here: files, chance, the clock.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any

import orjson

from demur.errors import InputError
from demur.store.files import canonical

SALT_BYTES = 32
_DIGEST = re.compile(r"[0-9a-f]{16,128}")
_BUILD = re.compile(r"[a-z][a-z0-9_]{0,39}")


class EntryKind(StrEnum):
    """What happened."""

    POLICY = "policy"
    NOTICE_BATCH = "notice_batch"
    OBJECTION = "objection"
    HOLD = "hold"
    BUILD = "build"
    RUN = "run"
    ERASURE = "erasure"
    VERDICT = "verdict"
    EXPORT = "export"
    REQUEST = "request"
    RECIPIENT = "recipient"


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of consequence.

    ``kind``, ``at`` and ``builds`` become public; ``facts`` and ``key`` never leave ``ledger/private``.
    """

    kind: EntryKind
    at: datetime
    key: str
    """Natural key of the event (objection id, corpus id …): the same event is logged once."""
    facts: Mapping[str, Any]
    """What the holder of the opening can prove later; plain JSON."""
    builds: Mapping[str, str] = field(default_factory=dict)
    """Name → hex digest of builds that the event is about; nothing else may stand here."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens a leaf's commitment."""

    index: int
    salt: str
    """64 hex digits."""
    facts: dict[str, Any]


def faults_of(entry: Entry) -> list[str]:
    """Return what keeps an entry out of the ledger; empty when nothing does."""
    faults = []
    if entry.at.tzinfo is None:
        faults.append("expected an instant with a time zone, found a naive one")
    if not entry.key:
        faults.append("expected a natural key, found an empty text")
    for name, digest in entry.builds.items():
        if not _BUILD.fullmatch(name) or not _DIGEST.fullmatch(digest):
            faults.append("expected builds as name → hex digest, found something else; put it into facts")
    return faults


def check_entries(entries: list[Entry]) -> None:
    """Refuse entries that would leak or could not be read again.

    Raises:
        InputError: with a sentence for every fault.
    """
    faults = [f"entry {position}: {fault}" for position, entry in enumerate(entries) for fault in faults_of(entry)]
    if faults:
        raise InputError("these ledger entries cannot be appended; nothing was", faults)


def commit(entry: Entry, salt: bytes, at: str) -> tuple[bytes, bytes]:
    """Return (leaf, canonical facts) of an entry under a salt; ``at`` is the entry's instant as ISO 8601 in UTC."""
    facts = canonical(dict(entry.facts))
    public = {
        "at": at,
        "builds": dict(entry.builds),
        "commitment": hmac.digest(salt, facts, "sha256").hex(),
        "kind": entry.kind.value,
        "v": 1,
    }
    return canonical(public), facts


def key_digest(secret: bytes, kind: EntryKind, key: str) -> bytes:
    """Return the keyed 16-byte digest under which an event's natural key is remembered."""
    return blake2b(f"{kind.value}\n{key}".encode(), key=secret, digest_size=16).digest()


def read_leaf(leaf: bytes) -> dict[str, Any]:
    """Return the public part of a leaf.

    Raises:
        InputError: it is no leaf of this ledger.
    """
    try:
        public = orjson.loads(leaf)
    except orjson.JSONDecodeError as error:
        raise InputError("expected a JSON leaf of demur's ledger, found other bytes") from error
    if not isinstance(public, dict) or public.get("v") != 1 or "commitment" not in public:
        raise InputError("expected a leaf of demur's ledger, version 1, found another object")
    return public


def verify_opening(leaf: bytes, opening: Opening) -> bool:
    """Say whether an opening belongs to a leaf."""
    salt = bytes.fromhex(opening.salt) if re.fullmatch(r"[0-9a-f]{64}", opening.salt) else b""
    expected = hmac.digest(salt, canonical(opening.facts), "sha256").hex()
    return bool(salt) and hmac.compare_digest(expected, str(read_leaf(leaf)["commitment"]))

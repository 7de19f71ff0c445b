"""Secrets of a workspace, one file each, made on first use. Names are purposes; a key serves one purpose only.

Purposes in use: ``placement`` (person → shard and slice), ``records`` (item → record id), ``cells`` (record → batch),
``lineage`` (sealed file), ``ledger`` (commitments), ``blind`` (person → blinded id in receipts), ``suppression``,
``signing`` (Ed25519 seed).
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from demur.errors import BrokenError
from demur.store.files import write_bytes


class KeyRing:
    """The keys of one workspace.

    Args:
        folder: where the keys lie, mode 0700.
        seed: only for made-up worlds: keys are derived from it, so that digests repeat. Real workspaces pass ``None``.
    """

    def __init__(self, folder: Path, *, seed: bytes | None = None) -> None:
        self._folder = folder
        self._seed = seed
        self._cache: dict[str, bytes] = {}

    @property
    def folder(self) -> Path:
        """Where the keys lie; a stage in a child process opens its own ring there (no key is ever an argument)."""
        return self._folder

    def secret(self, purpose: str) -> bytes:
        """Return the 32-byte key of a purpose; made and stored on first use."""
        if purpose not in self._cache:
            self._cache[purpose] = self._load(purpose)
        return self._cache[purpose]

    def mac(self, purpose: str, *parts: str) -> bytes:
        """Return HMAC-SHA-256 of length-prefixed parts under a purpose's key (32 bytes)."""
        return keyed_hash(self.secret(purpose), *parts)

    def signer(self) -> Ed25519PrivateKey:
        """Return the signing key (Ed25519, RFC 8032)."""
        return Ed25519PrivateKey.from_private_bytes(self.secret("signing"))

    def verifier(self) -> Ed25519PublicKey:
        """Return the public half of the signing key."""
        return self.signer().public_key()

    def destroy(self, purpose: str) -> None:
        """Overwrite and remove a key: what it sealed is gone with it."""
        path = self._path(purpose)
        if path.exists():
            path.write_bytes(os.urandom(32))
            path.unlink()
        self._cache.pop(purpose, None)

    def _path(self, purpose: str) -> Path:
        return self._folder / f"{purpose}.key"

    def _load(self, purpose: str) -> bytes:
        path = self._path(purpose)
        if not path.exists():
            made = keyed_hash(self._seed, purpose) if self._seed is not None else secrets.token_bytes(32)
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _make(path, made)
        found = path.read_bytes()
        if len(found) != 32:
            raise BrokenError(
                f"expected a key of 32 bytes in {path}, found {len(found)}; restore the key from a backup"
            )
        return found


def mac_of(key: bytes) -> Callable[[bytes], bytes]:
    """Return HMAC-SHA-256 under one key with its two paddings hashed beforehand: for links by the million (RFC 2104).

    >>> mac_of(bytes(32))(b"x") == hmac.digest(bytes(32), b"x", "sha256")
    True
    """
    padded = (key if len(key) <= 64 else hashlib.sha256(key).digest()).ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))

    def mac(message: bytes) -> bytes:
        first, second = inner.copy(), outer.copy()
        first.update(message)
        second.update(first.digest())
        return second.digest()

    return mac


def _make(path: Path, made: bytes) -> None:
    """Write a new key whole and durably, unless another thread or process was first: then theirs is the key."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    write_bytes(part, made)
    part.chmod(0o600)
    with contextlib.suppress(FileExistsError):
        os.link(part, path)
    part.unlink()


def keyed_hash(key: bytes, *parts: str) -> bytes:
    """Return HMAC-SHA-256 over length-prefixed UTF-8 parts (RFC 2104): no two lists of parts collide by joining."""
    return hmac.digest(key, prefixed(*parts), "sha256")


def prefixed(*parts: str) -> bytes:
    """Return the message of :func:`keyed_hash`, for whoever hashes many with ``mac_of``.

    >>> mac_of(bytes(32))(prefixed("a", "b")) == keyed_hash(bytes(32), "a", "b")
    True
    """
    return b"".join([len(raw).to_bytes(8, "big") + raw for raw in map(str.encode, parts)])

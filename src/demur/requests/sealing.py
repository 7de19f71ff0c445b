"""Each request has a key of its own: what is sealed under it goes with it, in every backup too (TPD-08, SEC-03).

AES-256-GCM with random nonces; number and column are authenticated with the text, so nothing can be swapped.
Source: NIST SP 800-38D.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from demur.errors import BrokenError
from demur.store.keys import KeyRing

_PAD = 256
"""Texts have a length of whole blocks, so that it does not tell a name's."""


class Sealing:
    """Seals and opens what belongs to requests.

    Args:
        keys: the key ring; purposes ``request-<number>``.
    """

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys

    def seal(self, number: int, column: str, clear: bytes) -> bytes:
        """Return bytes that say nothing without the request's key."""
        padded = len(clear).to_bytes(8, "big") + clear + bytes(-len(clear) % _PAD)
        nonce = os.urandom(12)
        return nonce + self._cipher(number).encrypt(nonce, padded, _bound(number, column))

    def open(self, number: int, column: str, sealed: bytes) -> bytes:
        """Return what was sealed.

        Raises:
            BrokenError: the bytes were changed, or the key is another.
        """
        try:
            padded = self._cipher(number).decrypt(sealed[:12], sealed[12:], _bound(number, column))
        except (InvalidTag, ValueError) as error:
            raise BrokenError(
                f"expected the content of request {number} as it was sealed, found other bytes or another key; "
                "restore keys/ and the database from the same backup"
            ) from error
        return padded[8 : 8 + int.from_bytes(padded[:8], "big")]

    def destroy(self, number: int) -> None:
        """Destroy a request's key."""
        self._keys.destroy(_purpose(number))

    def _cipher(self, number: int) -> AESGCM:
        return AESGCM(self._keys.secret(_purpose(number)))


def _purpose(number: int) -> str:
    return f"request-{number}"


def _bound(number: int, column: str) -> bytes:
    return f"demur-request\n{number}\n{column}".encode()

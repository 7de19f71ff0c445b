"""Signed links: 24 bytes that name one row and allow one thing, without saying whom (EVIDENCE §2, SEC-02).

A token is eight bytes of number (its first byte the key's generation) and sixteen of HMAC-SHA-256 over purpose and
number, in base64url: 32 characters. It never expires by itself; what a link may do, and for how long, is the flow's
decision. Keys rotate: new links take the newest generation, older links stay good until their key is destroyed.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from enum import StrEnum

from demur.store.keys import KeyRing, mac_of

_MAC_BYTES = 16
_MAX = 1 << 56


class LinkPurpose(StrEnum):
    """What a link allows; a token of one purpose is nothing under another."""

    OBJECT = "object"
    """Number of a delivery: object, and see whether that was done. Shows nothing of the person."""
    UNDO = "undo"
    """Number of a letter: take back what a click on somebody's link did."""
    PAGE = "page"
    """Number of a letter: open the person's page for a while."""
    REQUEST = "request"
    """Number of a third party's request: see how it stands."""
    EXPORT = "export"
    """Number of an export: see whether it may still be used, and say that it is destroyed."""
    EXPORT_STATUS = "export-status"
    """The same, to see only: it travels with the data."""


class Links:
    """Makes and checks tokens.

    Args:
        keys: the key ring; purposes ``link-<purpose>-<generation>``.
        generation: of new links, 0 to 255.
    """

    def __init__(self, keys: KeyRing, generation: int = 0) -> None:
        self._keys = keys
        self._generation = generation
        self._macs: dict[tuple[LinkPurpose, int], Callable[[bytes], bytes]] = {}

    def token(self, purpose: LinkPurpose, number: int) -> str:
        """Return the token of a row; the same every time."""
        if not 0 <= number < _MAX:
            raise ValueError("expected a number below 2**56")
        head = bytes([self._generation]) + number.to_bytes(7, "big")
        return base64.urlsafe_b64encode(head + self._mac(purpose, head)).decode()

    def read(self, purpose: LinkPurpose, token: str) -> int | None:
        """Return the number of a token, or ``None`` when it is not one of ours for this purpose (constant time)."""
        try:
            raw = base64.b64decode(token.encode("ascii"), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        # A generation that no link of ours has would make a key file for whoever asks.
        sound = len(raw) == 8 + _MAC_BYTES and len(token) == 32 and raw[0] <= self._generation
        head, mac = (raw[:8], raw[8:]) if sound else (bytes(8), bytes(_MAC_BYTES))
        same = hmac.compare_digest(self._mac(purpose, head), mac)
        return int.from_bytes(head[1:], "big") if sound and same else None

    def _mac(self, purpose: LinkPurpose, head: bytes) -> bytes:
        mac = self._macs.get((purpose, head[0]))
        if mac is None:
            mac = self._macs[purpose, head[0]] = mac_of(self._keys.secret(f"link-{purpose.value}-{head[0]}"))
        return mac(head)[:_MAC_BYTES]

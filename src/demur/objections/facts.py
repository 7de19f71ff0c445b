"""What the ledger commits to about an objection: enough to record it again, and to hand out without naming anybody.

The opening of an entry shows *all* facts to whoever holds the receipt, so the person stands in them twice: blinded, for
everybody, and sealed under a key of the workspace, for a restore (SEC-10). Knows no ledger and no registry.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from demur.errors import BrokenError
from demur.store.keys import KeyRing

KEY = "objections"
"""Purpose of the key that seals; destroying it leaves the ledger without a way back to persons."""
_PAD = 128
"""Sealed texts have a length of whole blocks, so that it does not tell a name's."""


def seal(keys: KeyRing, who: Mapping[str, Any]) -> str:
    """Return a person id or a claim as cipher text, base64; the same for the same.

    AES-256-GCM; the nonce is a keyed hash of the text (as in a synthetic IV, RFC 8452), so no two texts share one.
    """
    clear = orjson.dumps(dict(who), option=orjson.OPT_SORT_KEYS)
    clear += b" " * (-len(clear) % _PAD)
    nonce = keys.mac(KEY, "nonce", clear.decode())[:12]
    return base64.b64encode(nonce + AESGCM(keys.secret(KEY)).encrypt(nonce, clear, b"demur-objection")).decode()


def unseal(keys: KeyRing, sealed: str) -> dict[str, Any]:
    """Return what was sealed.

    Raises:
        BrokenError: it was changed, or the key is another.
    """
    try:
        raw = base64.b64decode(sealed, validate=True)
        clear = AESGCM(keys.secret(KEY)).decrypt(raw[:12], raw[12:], b"demur-objection")
    except (ValueError, InvalidTag) as error:
        raise BrokenError(
            "expected facts that this workspace's key sealed, found others; restore keys/objections.key"
        ) from error
    found: dict[str, Any] = orjson.loads(clear)
    return found

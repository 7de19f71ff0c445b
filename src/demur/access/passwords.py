"""Passwords: argon2id, and a check that takes as long for nobody as for somebody (RFC 9106, OWASP ASVS 2.4).

How often somebody may try is not decided here.
"""

from __future__ import annotations

from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from demur.errors import InputError

MIN_CHARACTERS = 12
MAX_CHARACTERS = 256
_HASHER = PasswordHasher()  # RFC 9106's second recommendation: 64 MiB, three passes, four lanes
_AT_ONCE = BoundedSemaphore(2)
"""A burst of logins must not take all memory: 64 MiB each."""


def hashed(password: str) -> str:
    """Return the argon2id hash of a password.

    Raises:
        InputError: too short or too long. Nothing else is asked of it (NIST SP 800-63B §5.1.1.2).
    """
    if not MIN_CHARACTERS <= len(password) <= MAX_CHARACTERS:
        raise InputError(
            f"expected a password of {MIN_CHARACTERS} to {MAX_CHARACTERS} characters, found {len(password)};"
            " three or four random words make a good one"
        )
    with _AT_ONCE:
        return _HASHER.hash(password)


def matches(password_hash: str | None, password: str) -> bool:
    """Say whether a password is right; without a hash it is wrong, and takes as long."""
    kept = password_hash or _nobody()
    try:
        with _AT_ONCE:
            _HASHER.verify(kept, password[:MAX_CHARACTERS])
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


@cache
def _nobody() -> str:
    return _HASHER.hash("nobody has this password")

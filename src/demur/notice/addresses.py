"""Mail addresses: which ones may stand in a header or an envelope, and the return paths that bounces come back to.

Does not know whether a mailbox exists; the relay finds that out.
"""

from __future__ import annotations

import hmac
import re
from functools import lru_cache
from typing import NamedTuple

from demur.store.keys import KeyRing, mac_of

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
_DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_MAILBOX = re.compile(rf"({_LOCAL})@({_DOMAIN})", re.ASCII)
_MAC_BYTES = 8
_PATH = re.compile(r"([bl])-(\d{1,17})-(\d{1,9})-([0-9a-f]{16})", re.ASCII)
_PREPARED = lru_cache(maxsize=64)(mac_of)
BAD_SYNTAX = "5.1.3"
"""Enhanced status code of an address that cannot be one (RFC 3463 §3.2)."""
NOT_ASCII = "5.6.7"
"""Enhanced status code of a local part that needs SMTPUTF8 (RFC 6531 §3.5)."""
NOTICE, LETTER = "b", "l"
"""What a return path belongs to: a delivery of a campaign, or a letter."""


class Mailbox(NamedTuple):
    """An address as it may stand in an envelope: ASCII, a dot-atom, a domain of letters, digits and hyphens."""

    address: str
    domain: str
    """In lower case: what is throttled together."""


def mailbox(address: str) -> Mailbox | str:
    """Return an address that is safe in a header and an envelope, or the status code that it is refused with.

    Quoted local parts, comments, literals and control characters are refused (RFC 5322 §3.4.1 allows more than any
    real member has; a line break in an address is an attack). A domain in another script goes as its A-label when
    that reads back as the same name.

    >>> mailbox("anna@müller.example")
    Mailbox(address='anna@xn--mller-kva.example', domain='xn--mller-kva.example')
    >>> mailbox("anna@x.example" + chr(13) + chr(10) + "Bcc: b@x.example")
    '5.1.3'
    """
    if not address.isascii():
        found = _in_ascii(address)
        if found is None:
            return NOT_ASCII
        address = found
    match = _MAILBOX.fullmatch(address)
    # RFC 5321 §4.5.3.1: 64 octets before the @, 254 in all
    if match is None or match.end(1) > 64 or len(address) > 254:
        return BAD_SYNTAX
    return Mailbox(address, match[2].lower())


def _in_ascii(address: str) -> str | None:
    local, at, domain = address.rpartition("@")
    if not at or not local.isascii():
        return None
    try:
        label = domain.encode("idna").decode("ascii")
        same = label.encode("ascii").decode("idna") == domain.lower()  # ß and ς would name another domain
    except UnicodeError:
        return None
    return f"{local}@{label}" if same else None


def return_path(keys: KeyRing, what: str, number: int, attempt: int, domain: str) -> str:
    """Return the envelope sender of one try: a bounce to it names the row, and nobody else can make one up (VERP)."""
    return f"{what}-{number}-{attempt}-{_mac(keys, what, number, attempt)}@{domain}"


def read_return_path(keys: KeyRing, address: str) -> tuple[str, int, int] | None:
    """Return what, number and attempt of a return path of ours; ``None`` for anything else (constant time)."""
    match = _PATH.fullmatch(address.strip().strip("<>").partition("@")[0].lower())
    if match is None:
        return None
    what, number, attempt = match[1], int(match[2]), int(match[3])
    return (what, number, attempt) if hmac.compare_digest(match[4], _mac(keys, what, number, attempt)) else None


def _mac(keys: KeyRing, what: str, number: int, attempt: int) -> str:
    raw = _PREPARED(keys.secret("bounce"))(b"%b-%d-%d" % (what.encode(), number, attempt))
    return raw[:_MAC_BYTES].hex()

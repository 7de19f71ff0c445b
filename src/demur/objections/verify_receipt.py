"""Check the receipt of an objection offline, with Python's standard library and ``cryptography`` alone.

    python verify_receipt.py RECEIPT [--key VKEY] [--checkpoint FILE]

This file imports nothing else of demur, so that anybody can read it in one sitting and carry it away. The format is
described in docs/receipt.md. A passed check says that the objection stands in the ledger since then; it does not say
that it was not withdrawn afterwards, nor that it was honoured (the certificate of erasure does).

Exit codes: 0 every check that could be made holds, 1 a check failed, 2 the file cannot be read.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import hmac
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "demur-objection-receipt-1"
FIELDS = frozenset(
    {
        *("format", "schema_version", "record_id", "receipt_id", "principal_id", "notice", "processing", "parties"),
        *("event", "opening", "proof", "ledger_key", "signature"),
    }
)
FACTS = frozenset(
    {"objection", "act", "person", "kinds", "services", "door", "valid_at", "recorded_at", "sealed"}
)  # fmt: skip
STATES = {"object": "objected", "withdraw": "objection withdrawn"}
_HEX = re.compile(r"[0-9a-f]{64}")
MAX_BYTES = 1 << 20


class Fault(Exception):  # noqa: N818  (a finding, not an error)
    """A check that does not hold, with what was found."""


@dataclass(frozen=True)
class Check:
    """One check: ``ok`` is ``None`` when it could not be made for want of something to compare with."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True)
class Against:
    """What the receipt is compared with, beside itself."""

    key: str | None = None
    """The log's verifier key from a source that you trust, ``name+hash+key``."""
    checkpoint: str | None = None
    """A checkpoint of the ledger from a source that you trust, a signed note."""


def canonical(value: Any) -> bytes:
    """Return the one JSON form: sorted keys, no blanks, UTF-8 (receipts hold no fractions)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def read(text: str | bytes) -> dict[str, Any]:
    """Read a receipt; refuse repeated keys, fractions, sizes beyond a mebibyte and anything that is no object.

    Raises:
        ValueError: it is no receipt.
    """
    if len(text) > MAX_BYTES:
        raise ValueError("expected at most a mebibyte")
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_float=_no_fraction, parse_constant=_no_fraction)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004  (one error for every unreadable file)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _no_fraction(text: str) -> Any:
    raise ValueError(f"expected whole numbers only, found {len(text)} characters of another")


def verify(receipt: dict[str, Any], against: Against = Against()) -> list[Check]:
    """Run every check; one that fails hinders none of the others."""
    return [_run(name, check, receipt, against) for name, check in CHECKS.items()]


def _run(name: str, check: Callable[[dict[str, Any], Against], str | None], receipt: Any, against: Against) -> Check:
    try:
        detail = check(receipt, against)
    except Fault as fault:
        return Check(name, False, str(fault))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        return Check(name, False, f"malformed ({type(error).__name__})")
    return Check(name, None, "nothing given to compare with") if detail is None else Check(name, True, detail)


def need(holds: bool, otherwise: str) -> None:
    """Raise a finding unless something holds."""
    if not holds:
        raise Fault(otherwise)


def _plain_base64(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text, "base64 is not in its one written form")
    return raw


def _signed(public: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _key(vkey: str) -> tuple[str, bytes, bytes]:
    """Return (name, key id, public key) of a verifier key (c2sp.org/signed-note)."""
    name, _, rest = vkey.partition("+")
    digest, _, encoded = rest.partition("+")
    raw = _plain_base64(encoded)
    need(len(raw) == 33 and raw[:1] == b"\x01", "expected an Ed25519 verifier key name+hash+key")
    own = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    need(digest == own.hex(), "the verifier key's hash is not its own")
    return name, own, raw[1:]


def _format(receipt: dict[str, Any], _: Against) -> str:
    need(receipt.get("format") == FORMAT, f"expected the format {FORMAT}")
    need(set(receipt) == FIELDS, f"expected exactly the fields of {FORMAT}")
    facts = receipt["opening"]["facts"]
    need(set(facts) == FACTS, "expected exactly the facts of an objection")
    need(facts["person"] is None or bool(_HEX.fullmatch(facts["person"])), "the person is not a blinded id")
    return f"reference {facts['objection']}"


def _signature(receipt: dict[str, Any], _: Against) -> str:
    body = {name: value for name, value in receipt.items() if name != "signature"}
    name, _own, public = _key(receipt["ledger_key"])
    ok = _signed(public, _plain_base64(receipt["signature"]), canonical(body))
    need(ok, "the signature does not fit: the receipt was changed")
    return f"by the key of {name}"


def _signer(receipt: dict[str, Any], against: Against) -> str | None:
    if against.key is None:
        return None
    need(_key(receipt["ledger_key"]) == _key(against.key.strip()), "signed by another key than the one that you trust")
    return "the key that you trust"


def _says(receipt: dict[str, Any], _: Against) -> str:
    """What can be read at the top is what the ledger commits to."""
    facts, event = receipt["opening"]["facts"], receipt["event"]
    scope = {"kinds": facts["kinds"], "services": facts["services"]}
    need(receipt["record_id"] == facts["objection"], "the reference is not the committed one")
    need(receipt["receipt_id"] == f"{facts['objection']}/{receipt['opening']['index']}", "the receipt's id is another")
    need(receipt["principal_id"] == facts["person"] == event["entity_id"], "the person is not the committed one")
    need(receipt["processing"]["personal_information"] == scope, "the scope is not the committed one")
    need(event["state"] == STATES[facts["act"]], "the state is not the committed one")
    need(event["time"] == facts["valid_at"], "the time is not the committed one")
    need(event["recorded_at"] == facts["recorded_at"], "the time of recording is not the committed one")
    need(event["door"] == facts["door"], "the door is not the committed one")
    return f"{event['state']} at {event['time']}"


def _proof(receipt: dict[str, Any]) -> tuple[bytes, int, list[bytes], str]:
    head, _, note = receipt["proof"].partition("\n\n")
    title, extra, index, *path = head.split("\n")
    need(title == "c2sp.org/tlog-proof@v1", "expected a c2sp.org/tlog-proof@v1")
    need(extra.startswith("extra ") and index.startswith("index "), "the proof's lines are out of order")
    return _plain_base64(extra[6:]), int(index[6:]), [_plain_base64(one) for one in path], note


def _opening(receipt: dict[str, Any], _: Against) -> str:
    """The entry commits to the facts: HMAC-SHA-256(salt, canonical facts)."""
    leaf, position, _path, _note = _proof(receipt)
    opening, public = receipt["opening"], read(leaf)
    salt = bytes.fromhex(opening["salt"])
    need(len(salt) == 32 and position == opening["index"], "the opening is of another entry")
    found = hmac.digest(salt, canonical(opening["facts"]), "sha256").hex()
    need(hmac.compare_digest(found, public["commitment"]), "the entry does not commit to these facts")
    need(public["kind"] == "objection", "the entry is of another kind")
    need(public["at"] == opening["facts"]["recorded_at"], "the entry is of another time")
    return "the entry commits to the facts"


def _ledger(receipt: dict[str, Any], _: Against) -> str:
    leaf, position, path, note = _proof(receipt)
    size, root = open_checkpoint(note, receipt["ledger_key"])
    found = climb(hashlib.sha256(b"\x00" + leaf).digest(), position, size, path)
    need(found == root, "the entry is not in the ledger at that place")
    return f"entry {position} of {size}"


def _checkpoint(receipt: dict[str, Any], against: Against) -> str | None:
    if against.checkpoint is None:
        return None
    size, root = open_checkpoint(against.checkpoint, receipt["ledger_key"])
    own_size, own_root = open_checkpoint(_proof(receipt)[3], receipt["ledger_key"])
    need(size == own_size, f"yours is of size {size}, the receipt's of {own_size}: ask for a proof of consistency")
    need(root == own_root, "the ledger shows you another history than the receipt")
    return f"the ledger of size {size} that you trust"


def open_checkpoint(note: str, vkey: str) -> tuple[int, bytes]:
    """Return (size, root) of a checkpoint after checking its signature (c2sp.org/tlog-checkpoint)."""
    origin, own_id, public = _key(vkey)
    text, _, lines = note.rpartition("\n\n")
    for line in lines.rstrip("\n").split("\n"):
        dash, name, signature = line.split(" ")
        raw = _plain_base64(signature)
        if dash == "—" and name == origin and raw[:4] == own_id:
            need(_signed(public, raw[4:], f"{text}\n".encode()), "the checkpoint was changed")
            head, size, root = text.split("\n")
            need(head == origin, "the checkpoint is of another log")
            return int(size), _plain_base64(root)
    raise Fault("the checkpoint is not signed by the ledger's key")


def climb(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that an audit path leads to (RFC 9162 §2.1.3.2); ``None`` when its length does not fit."""
    if not 0 <= index < size:
        return None
    position, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if position & 1 or position == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        position, last = position >> 1, last >> 1
    return found if last == 0 else None


CHECKS: dict[str, Callable[[dict[str, Any], Against], str | None]] = {
    "format": _format,
    "signature": _signature,
    "signer": _signer,
    "what it says": _says,
    "opening": _opening,
    "ledger": _ledger,
    "checkpoint": _checkpoint,
}
"""In the order of docs/receipt.md."""


def holds(checks: Iterable[Check]) -> bool:
    """Say whether no check failed."""
    return all(one.ok is not False for one in checks)


def render(checks: Iterable[Check]) -> str:
    """Return the checks as text, one a line."""
    words = {True: "holds", False: "FAILS", None: "not checked"}
    return "".join(f"{words[one.ok]:<12} {one.name}: {one.detail}\n" for one in checks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="Check the receipt of an objection offline.")
    parser.add_argument("receipt", type=Path)
    parser.add_argument("--key", help="the ledger's verifier key that you trust, name+hash+key")
    parser.add_argument("--checkpoint", type=Path, help="a ledger checkpoint that you trust")
    options = parser.parse_args(arguments)
    try:
        receipt = read(options.receipt.read_bytes())
        checkpoint = options.checkpoint.read_text(encoding="utf-8") if options.checkpoint else None
    except (OSError, ValueError) as error:
        sys.stderr.write(f"expected a receipt (JSON), found something else: {type(error).__name__}\n")
        return 2
    checks = verify(receipt, Against(options.key, checkpoint))
    sys.stdout.write(render(checks))
    return 0 if holds(checks) else 1


if __name__ == "__main__":
    sys.exit(main())

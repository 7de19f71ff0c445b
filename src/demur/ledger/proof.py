"""Proofs that leave the house: inclusion as ``c2sp.org/tlog-proof`` text, consistency as a list of hashes. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass

from demur.errors import BrokenError
from demur.ledger import tree
from demur.ledger.note import Checkpoint, VerifierKey, decode_base64, read_checkpoint

_HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class Proof:
    """That a leaf stands in the log, checkable offline with the log's verifier key alone."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    """The signed note, verbatim."""
    leaf: bytes
    """The entry itself; travels as the proof's extra data."""

    def text(self) -> str:
        """Return the ``.tlog-proof`` text; the leaf is its extra data (unauthenticated until checked)."""
        lines = [_HEADER, f"extra {base64.b64encode(self.leaf).decode()}", f"index {self.index}"]
        lines += [base64.b64encode(one).decode() for one in self.path]
        return "\n".join(lines) + "\n\n" + self.checkpoint


def read_proof(text: str) -> Proof:
    """Read a proof's text without believing it; ``verify_proof`` does that.

    Raises:
        BrokenError: it is no proof with a leaf as extra data.
    """
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or len(lines) < 3 or lines[0] != _HEADER or not lines[1].startswith("extra "):
        raise BrokenError(f"expected a {_HEADER} text with the entry as extra data, found another text")
    leaf = decode_base64(lines[1].removeprefix("extra "))
    index = _INDEX.fullmatch(lines[2])
    path = [raw for raw in map(decode_base64, lines[3:]) if raw is not None and len(raw) == 32]
    if leaf is None or index is None or len(path) != len(lines) - 3:
        raise BrokenError("expected base64 hashes of 32 bytes in the proof, found other lines")
    return Proof(int(index[1]), tuple(path), checkpoint, leaf)


def verify_proof(proof: Proof, key: VerifierKey) -> Checkpoint:
    """Check a proof offline and return the checkpoint that it was checked against.

    Raises:
        BrokenError: the checkpoint's signature or the path is wrong.
    """
    head = read_checkpoint(proof.checkpoint, key)
    if not tree.verify_inclusion(tree.leaf_hash(proof.leaf), proof.index, head.size, proof.path, head.root):
        raise BrokenError(f"the entry is not at index {proof.index} of the log {head.origin}: the proof was changed")
    return head


def verify_extension(older: str, newer: str, path: Sequence[bytes], key: VerifierKey) -> tuple[Checkpoint, Checkpoint]:
    """Check that one checkpoint of a log extends another; return both.

    Raises:
        BrokenError: a signature is wrong, or the newer log does not begin with the older one.
    """
    first, second = read_checkpoint(older, key), read_checkpoint(newer, key)
    if not tree.verify_consistency(first.size, second.size, path, first.root, second.root):
        raise BrokenError(
            f"the log {key.name} at {second.size} does not extend itself at {first.size}: it was rewritten"
        )
    return first, second

"""Who is in a slice, without saying who: a sorted Merkle tree over blinded person ids, pure (ERASURE §3.6, §5).

A blinded id is 64 hex digits, HMAC-SHA-256 of the person under the workspace's ``blind`` key. The root commits to the
number of leaves, so that two neighbours prove that nobody stands between them, and an end proves that nobody stands
beyond it. Not handled here: keys, files, which persons a slice has.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any

from demur.errors import InputError, RefusedError
from demur.ledger import tree

_BLINDED = re.compile(r"[0-9a-f]{64}")
_PREFIX = b"demur-people-1\n"


@dataclass(frozen=True, slots=True)
class Member:
    """One leaf with its audit path."""

    blinded: str
    index: int
    path: tuple[str, ...]
    """Hex hashes from the sibling up."""

    def as_json(self) -> dict[str, Any]:
        """Return the plain form of certificates."""
        return {"blinded": self.blinded, "index": self.index, "path": list(self.path)}


@dataclass(frozen=True, slots=True)
class Absence:
    """The two neighbours between which a person would stand; ``None`` at an end of the tree."""

    leaves: int
    left: Member | None
    right: Member | None

    def as_json(self) -> dict[str, Any]:
        """Return the plain form of certificates."""
        return {
            "leaves": self.leaves,
            "left": self.left.as_json() if self.left else None,
            "right": self.right.as_json() if self.right else None,
        }


def people_root(blinded: Sequence[str]) -> tuple[str, int]:
    """Return (root, number of leaves) of a slice's blinded persons; the root of nobody is defined too.

    Args:
        blinded: ids in ascending order, each once.

    Raises:
        InputError: an id is no 64 hex digits, or the order is not strictly ascending.

    >>> people_root([])[1]
    0
    """
    _check(blinded)
    return _commit(len(blinded), tree.tree_root(_leaves(blinded))), len(blinded)


def prove_member(blinded: Sequence[str], person: str) -> Member:
    """Return the proof that a person is in a slice.

    Raises:
        RefusedError: the person is not in it.
    """
    _check(blinded)
    position = bisect_left(blinded, person)
    if position == len(blinded) or blinded[position] != person:
        raise RefusedError("expected a person of the slice, found none; prove absence instead")
    return _member(blinded, tree.complete_subtrees(_leaves(blinded)), position)


def prove_absence(blinded: Sequence[str], person: str) -> Absence:
    """Return the proof that a person is not in a slice.

    Raises:
        RefusedError: the person is in it: there is no such proof.
    """
    return prove_absences(blinded, [person])[0]


def prove_absences(blinded: Sequence[str], persons: Sequence[str]) -> list[Absence]:
    """Return a proof of absence for each of some persons; hashes the slice's leaves once.

    Raises:
        RefusedError: one of them is in the slice.
    """
    _check(blinded)
    node = tree.complete_subtrees(_leaves(blinded))
    proofs = []
    for person in persons:
        _check([person])
        position = bisect_left(blinded, person)
        if position < len(blinded) and blinded[position] == person:
            raise RefusedError("a person that should be absent is in the slice; rebuild the slice without them first")
        left = _member(blinded, node, position - 1) if position > 0 else None
        right = _member(blinded, node, position) if position < len(blinded) else None
        proofs.append(Absence(len(blinded), left, right))
    return proofs


def verify_member(root: str, leaves: int, proof: Member) -> bool:
    """Say whether a proof of membership holds for a slice's root and number of leaves."""
    if not all(_BLINDED.fullmatch(one) for one in proof.path):
        return False
    leaf = tree.leaf_hash(proof.blinded.encode())
    merkle = tree.root_from_path(leaf, proof.index, leaves, [bytes.fromhex(one) for one in proof.path])
    return merkle is not None and _commit(leaves, merkle) == root


def verify_absence(root: str, leaves: int, person: str, proof: Absence) -> bool:
    """Say whether a proof of absence holds: neighbours adjacent, in the tree, and the person strictly between them."""
    if proof.leaves != leaves or not _BLINDED.fullmatch(person):
        return False
    if leaves == 0:
        return proof.left is None and proof.right is None and _commit(0, tree.EMPTY_ROOT) == root
    left = proof.left.index if proof.left else -1
    right = proof.right.index if proof.right else leaves
    if right != left + 1:
        return False
    if proof.left and not (proof.left.blinded < person and verify_member(root, leaves, proof.left)):
        return False
    return not proof.right or (person < proof.right.blinded and verify_member(root, leaves, proof.right))


def _check(blinded: Sequence[str]) -> None:
    if not all(_BLINDED.fullmatch(one) for one in blinded):
        raise InputError("expected blinded ids of 64 lower-case hex digits, found others; blind the persons first")
    if any(one >= other for one, other in pairwise(blinded)):
        raise InputError("expected blinded ids in ascending order, each once; sort them and drop repeats")


def _leaves(blinded: Sequence[str]) -> list[bytes]:
    return [tree.leaf_hash(one.encode()) for one in blinded]


def _commit(leaves: int, merkle: bytes) -> str:
    return sha256(_PREFIX + leaves.to_bytes(8, "big") + merkle).hexdigest()


def _member(blinded: Sequence[str], node: tree.NodeReader, position: int) -> Member:
    path = tree.inclusion_proof(position, len(blinded), node)
    return Member(blinded[position], position, tuple(one.hex() for one in path))

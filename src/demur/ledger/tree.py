"""The Merkle tree of RFC 6962 §2.1, pure: hashes in, hashes out.

Not handled here: files, signatures, meaning of leaves. The tree is read through ``node(height, index)``, the hash of
the complete subtree ``index`` of ``2**height`` leaves, so that proofs need no more of the tree than they name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256

NodeReader = Callable[[int, int], bytes]
"""(height, index) → hash of the complete subtree over leaves ``[index·2^height, (index+1)·2^height)``."""

TILE_WIDTH = 256
"""Hashes in a full tile (c2sp.org/tlog-tiles)."""

EMPTY_ROOT = sha256(b"").digest()
"""Root of a tree without leaves (RFC 6962 §2.1)."""


def leaf_hash(leaf: bytes) -> bytes:
    """Return the hash of a leaf: SHA-256(0x00 ‖ leaf)."""
    return sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node: SHA-256(0x01 ‖ left ‖ right)."""
    return sha256(b"\x01" + left + right).digest()


def _halve(hashes: Sequence[bytes]) -> list[bytes]:
    return [sha256(b"\x01" + left + right).digest() for left, right in zip(hashes[::2], hashes[1::2], strict=True)]


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """Return the root over ``2^k`` hashes of equal height, k ≥ 0."""
    while len(hashes) > 1:
        hashes = _halve(hashes)
    return hashes[0]


def complete_subtrees(leaf_hashes: Sequence[bytes]) -> NodeReader:
    """Hash every complete subtree once; return the reader of them. Twice the leaves in memory."""
    rows: list[Sequence[bytes]] = [leaf_hashes]
    while len(rows[-1]) > 1:
        rows.append(_halve(rows[-1][: len(rows[-1]) & ~1]))
    return lambda height, index: rows[height][index]


def peaks(hashes: Sequence[bytes]) -> list[bytes]:
    """Return the roots of the complete subtrees that make up a row of equal-height hashes, largest first."""
    found = []
    begin = 0
    for bit in reversed(range(len(hashes).bit_length())):
        width = 1 << bit
        if len(hashes) & width:
            found.append(complete_root(hashes[begin : begin + width]))
            begin += width
    return found


def root_of_peaks(found: Sequence[bytes]) -> bytes:
    """Return the root of a tree from its complete subtrees, left to right."""
    if not found:
        return EMPTY_ROOT
    root = found[-1]
    for left in reversed(found[:-1]):
        root = node_hash(left, root)
    return root


def tree_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash MTH over leaf hashes."""
    return root_of_peaks(peaks(leaf_hashes))


class Frontier:
    """The right edge of a growing tree: at each tile level the hashes that do not fill a tile yet.

    State is at most 255 hashes for each of ⌈log256 n⌉ levels; appending costs one hash a leaf and one an inner node.

    Args:
        size: leaves so far.
        levels: for each level its open hashes, ``(size >> 8·level) mod 256`` of them.
    """

    def __init__(self, size: int = 0, levels: Sequence[Sequence[bytes]] = ()) -> None:
        self.size = size
        self.levels: list[list[bytes]] = [list(level) for level in levels] or [[]]

    def extend(self, leaf_hashes: Sequence[bytes]) -> Iterator[tuple[int, int, list[bytes]]]:
        """Append leaves; yield every tile that fills up as (level, tile index, its 256 hashes). Must be exhausted."""
        done = 0
        while done < len(leaf_hashes):
            taken = leaf_hashes[done : done + TILE_WIDTH - len(self.levels[0])]
            self.levels[0].extend(taken)
            self.size += len(taken)
            done += len(taken)
            yield from self._carry()

    def _carry(self) -> Iterator[tuple[int, int, list[bytes]]]:
        level = 0
        while len(self.levels[level]) == TILE_WIDTH:
            full = self.levels[level]
            yield level, (self.size >> 8 * (level + 1)) - 1, full
            self.levels[level] = []
            if level + 1 == len(self.levels):
                self.levels.append([])
            self.levels[level + 1].append(complete_root(full))
            level += 1

    def root(self) -> bytes:
        """Return the root of the tree as it is now."""
        return root_of_peaks([peak for level in reversed(self.levels) for peak in peaks(level)])


def subtree_root(begin: int, end: int, node: NodeReader) -> bytes:
    """Return MTH(D[begin:end]) for ``begin`` on a boundary of the tree (RFC 6962 §2.1)."""
    width = end - begin
    if width == 0:
        return EMPTY_ROOT
    height = width.bit_length() - 1
    if width == 1 << height:
        return node(height, begin >> height)
    middle = begin + (1 << height)
    return node_hash(node(height, begin >> height), subtree_root(middle, end, node))


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """Return the audit path of a leaf, from its sibling up (RFC 6962 §2.1.1).

    Raises:
        IndexError: the tree of that size has no such leaf.
    """
    if not 0 <= index < size:
        raise IndexError(f"expected an index below the tree size {size}, found {index}")
    path: list[bytes] = []
    begin, end = 0, size
    while end - begin > 1:
        middle = begin + (1 << (end - begin - 1).bit_length() - 1)
        if index < middle:
            path.append(subtree_root(middle, end, node))
            end = middle
        else:
            path.append(subtree_root(begin, middle, node))
            begin = middle
    return path[::-1]


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that an audit path leads to, or ``None`` when no path of that length fits (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return None
    position, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if position & 1 or position == last:
            found = node_hash(sibling, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        position, last = position >> 1, last >> 1
    return found if last == 0 else None


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Say whether a leaf hash stands at ``index`` in the tree of that size and root."""
    return root_from_path(leaf, index, size, path) == root


def consistency_proof(old: int, new: int, node: NodeReader) -> list[bytes]:
    """Return the proof that the tree of size ``old`` is a prefix of that of size ``new`` (RFC 6962 §2.1.2).

    Raises:
        IndexError: not ``0 ≤ old ≤ new``.
    """
    if not 0 <= old <= new:
        raise IndexError(f"expected two sizes in growing order, found {old} and {new}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    begin, end, whole = 0, new, True
    while end != old:
        middle = begin + (1 << (end - begin - 1).bit_length() - 1)
        if old <= middle:
            path.append(subtree_root(middle, end, node))
            end = middle
        else:
            path.append(subtree_root(begin, middle, node))
            begin, whole = middle, False
    if not whole:
        path.append(subtree_root(begin, end, node))
    return path[::-1]


def verify_consistency(old: int, new: int, path: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Say whether the tree (new, new_root) extends the tree (old, old_root) (RFC 9162 §2.1.4.2)."""
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    if not 0 < old < new or (not path and old & (old - 1)):
        return False
    full = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not full:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = full[0]
    for sibling in full[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root

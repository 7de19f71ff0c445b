"""RFC 6962 holds: against published vectors and against a slow verifier that shares no code."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.ledger import tree

EXAMPLES = 1000 if os.environ.get("DEMUR_NIGHTLY") else 60

# The leaves and roots of the Certificate Transparency reference tests (google/certificate-transparency, C++ and Go).
VECTOR_LEAVES = [
    bytes.fromhex(one)
    for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
VECTOR_ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def slow_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962 §2.1 writes it."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    return hashlib.sha256(b"\1" + slow_root(leaves[:middle]) + slow_root(leaves[middle:])).digest()


def slow_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]) as RFC 6962 §2.1.1 writes it."""
    if len(leaves) == 1:
        return []
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    if index < middle:
        return [*slow_path(index, leaves[:middle]), slow_root(leaves[middle:])]
    return [*slow_path(index - middle, leaves[middle:]), slow_root(leaves[:middle])]


def slow_subproof(old: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b) as RFC 6962 §2.1.2 writes it."""
    if old == len(leaves):
        return [] if whole else [slow_root(leaves)]
    middle = 1
    while middle * 2 < len(leaves):
        middle *= 2
    if old <= middle:
        return [*slow_subproof(old, leaves[:middle], whole), slow_root(leaves[middle:])]
    return [*slow_subproof(old - middle, leaves[middle:], False), slow_root(leaves[:middle])]


def reader(leaves: list[bytes]) -> tree.NodeReader:
    return tree.complete_subtrees([tree.leaf_hash(one) for one in leaves])


def sample(size: int) -> list[bytes]:
    return [f"d{number}".encode() for number in range(size)]


def test_roots_equal_the_published_vectors():
    for size, expected in enumerate(VECTOR_ROOTS, start=1):
        leaves = VECTOR_LEAVES[:size]
        assert tree.tree_root([tree.leaf_hash(one) for one in leaves]).hex() == expected
        assert slow_root(leaves).hex() == expected
    assert tree.EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_inclusion_paths_equal_the_published_vectors():
    paths = {
        (0, 8): [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
        (5, 8): [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
        (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    }
    for (index, size), expected in paths.items():
        found = tree.inclusion_proof(index, size, reader(VECTOR_LEAVES[:size]))
        assert [one.hex() for one in found] == expected


def test_consistency_proofs_equal_the_published_vectors():
    found = tree.consistency_proof(6, 8, reader(VECTOR_LEAVES))
    assert [one.hex() for one in found] == [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


def test_every_proof_of_every_small_tree_equals_the_rfc_recursion():
    for size in range(1, 34):
        leaves = sample(size)
        node, root = reader(leaves), slow_root(leaves)
        for index in range(size):
            path = tree.inclusion_proof(index, size, node)
            assert path == slow_path(index, leaves)
            assert tree.verify_inclusion(tree.leaf_hash(leaves[index]), index, size, path, root)
        for old in range(1, size + 1):
            path = tree.consistency_proof(old, size, node)
            assert path == (slow_subproof(old, leaves, True))
            assert tree.verify_consistency(old, size, path, slow_root(leaves[:old]), root)


def test_growing_by_any_steps_gives_the_same_root_and_tiles():
    leaves = [tree.leaf_hash(one) for one in sample(70_000)]
    grown = tree.Frontier()
    tiles = {}
    for begin, end in ((0, 1), (1, 255), (255, 256), (256, 257), (257, 66_000), (66_000, 70_000)):
        tiles |= {(level, index): row for level, index, row in grown.extend(leaves[begin:end])}
        assert grown.root() == tree.tree_root(leaves[:end])
        again = tree.Frontier(grown.size, grown.levels)
        assert again.root() == grown.root()
    assert len([one for one in tiles if one[0] == 0]) == 273
    assert [one for one in tiles if one[0] == 1] == [(1, 0)]
    assert [len(row) for row in grown.levels] == [112, 17, 1]  # the example of tlog-tiles, Partial Tiles
    assert tiles[0, 272] == leaves[272 * 256 : 273 * 256]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_a_changed_proof_is_refused(data):
    size = data.draw(st.integers(2, 300))
    leaves = sample(size)
    index = data.draw(st.integers(0, size - 1))
    node, root = reader(leaves), tree.tree_root([tree.leaf_hash(one) for one in leaves])
    path = tree.inclusion_proof(index, size, node)
    leaf = tree.leaf_hash(leaves[index])
    position = data.draw(st.integers(0, len(path) - 1))
    bit = 1 << data.draw(st.integers(0, 255))
    flipped = (int.from_bytes(path[position], "big") ^ bit).to_bytes(32, "big")
    assert not tree.verify_inclusion(leaf, index, size, [*path[:position], flipped, *path[position + 1 :]], root)
    assert not tree.verify_inclusion(leaf, index, size, path[:-1], root)
    assert not tree.verify_inclusion(leaf, index, size, [*path, root], root)
    other = data.draw(st.integers(0, size).filter(lambda one: one != index))
    assert not tree.verify_inclusion(leaf, other, size, path, root)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.data())
def test_a_rewritten_history_is_refused(data):
    new = data.draw(st.integers(2, 200))
    old = data.draw(st.integers(1, new - 1))
    leaves = sample(new)
    rewritten = [*leaves]
    rewritten[data.draw(st.integers(0, old - 1))] = b"rewritten"
    path = tree.consistency_proof(old, new, reader(rewritten))
    assert not tree.verify_consistency(old, new, path, slow_root(leaves[:old]), slow_root(rewritten))
    honest = tree.consistency_proof(old, new, reader(leaves))
    assert tree.verify_consistency(old, new, honest, slow_root(leaves[:old]), slow_root(leaves))
    assert not tree.verify_consistency(
        old, new, [*honest, slow_root(leaves)], slow_root(leaves[:old]), slow_root(leaves)
    )


def test_no_proof_beyond_the_tree():
    node = reader(sample(5))
    with pytest.raises(IndexError):
        tree.inclusion_proof(5, 5, node)
    with pytest.raises(IndexError):
        tree.consistency_proof(6, 5, node)
    assert not tree.verify_inclusion(tree.leaf_hash(b""), 0, 0, [], tree.EMPTY_ROOT)
    assert tree.verify_consistency(0, 5, [], tree.EMPTY_ROOT, slow_root(sample(5)))
    assert not tree.verify_consistency(0, 5, [], b"\0" * 32, slow_root(sample(5)))

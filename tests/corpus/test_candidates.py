"""Which texts are compared: all different protected ones of a bucket; a crowd is never let in."""

from __future__ import annotations

import os
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from corpus_worlds import World, fates, made, ring
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.corpus.deduplicate import GUARDED, Texts, _Buckets, _candidates, _near_pairs
from demur.corpus.similarity import BANDS

LEADERS, BOUND = 2, 3
MEMBERS = st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=40)
NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
SENTENCE = (
    "we walked along the river until the stars came out over the quiet hills of home and nobody in the small boat "
    "said a word to the others about what we had seen"
)


def by_hand(members: list[tuple[int, bool]]) -> tuple[set[tuple[int, int]], set[int]]:
    pairs, crowd = set(), set()
    for _, group in groupby(sorted((key, rank) for rank, (key, _) in enumerate(members)), lambda each: each[0]):
        ranks = [rank for _, rank in group]
        allowed = [rank for rank in ranks if not members[rank][1]]
        protected = [rank for rank in ranks if members[rank][1]]
        pairs |= {(later, leader) for leader in allowed[:LEADERS] for later in allowed if later > leader}
        if len(protected) > BOUND:
            crowd |= set(allowed)
        else:
            pairs |= {(one, guard) for one in allowed for guard in protected}
    return pairs, crowd


@settings(max_examples=5_000 if NIGHTLY else 200, deadline=None)
@given(members=MEMBERS)
def test_candidates_are_the_rules_by_hand(members: list[tuple[int, bool]]) -> None:
    keys = np.array([key for key, _ in members], dtype=np.uint64)
    protected = np.array([each for _, each in members], dtype=bool)
    found, crowd = _candidates(_Buckets.of(np.arange(len(members)), keys, protected), LEADERS, BOUND)
    pairs = [tuple(pair) for pair in found.tolist()]
    assert len(pairs) == len(set(pairs))
    assert (set(pairs), set(crowd.tolist())) == by_hand(members)


@settings(max_examples=2_000 if NIGHTLY else 100, deadline=None)
@given(members=MEMBERS, data=st.data())
def test_one_protected_text_more_never_asks_less(members: list[tuple[int, bool]], data: st.DataObject) -> None:
    """Whoever was beside a protected text, or in a crowd, still is when another text becomes protected."""
    before, crowd = by_hand(members)
    if not members:
        return
    place = data.draw(st.integers(0, len(members) - 1))
    more = [(key, each or rank == place) for rank, (key, each) in enumerate(members)]
    after, later_crowd = by_hand(more)
    for one, guard in before:
        if members[guard][1] and one != place:
            assert (one, guard) in after or one in later_crowd
    assert crowd - {place} <= later_crowd


def test_one_band_is_enough_towards_a_protected_text_and_two_among_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 and 1 share one band, 2 and 3 two; 4 is protected, 5 and 6 share one with it, and 6 belongs to nobody."""
    keys = np.arange(7 * BANDS, dtype=np.uint64).reshape(7, BANDS)
    for one, other, bands in ((0, 1, [3]), (2, 3, [0, 9]), (4, 5, [7]), (4, 6, [7])):
        keys[other, bands] = keys[one, bands]
    for band in range(BANDS):
        (tmp_path / f"{band:02d}.u64").write_bytes(keys[:, band].tobytes())
    ranks = np.arange(7)
    yes = np.ones(7, bool)
    texts = Texts(
        bucket=ranks, row=ranks, protected=ranks == 4, copyable=ranks != 6, judged=yes, quoting=~yes,
        exact=ranks, order=ranks, bands=tmp_path,
    )  # fmt: skip
    monkeypatch.setattr("demur.corpus.deduplicate._verified", lambda _texts, _readings, pairs, _threshold: pairs)
    pairs, crowd = _near_pairs(texts, None, 0.8)
    assert sorted(map(tuple, pairs.tolist())) == [(3, 2), (5, 4)]
    assert not len(crowd)


@pytest.mark.parametrize("protected", [90, GUARDED + 8])
def test_a_near_copy_of_any_protected_text_goes_however_many_there_are(protected: int, tmp_path: Path) -> None:
    world = World()
    world.person("ann")
    world.person("obi", objected=True)
    for number in range(protected):
        world.item(f"p{number:03d}", "obi", f"{SENTENCE} x{number}")
    world.item("copy", "ann", f"{SENTENCE} x{protected - 1} indeed")
    world.item("own", "ann", "a text of my own about dogs and the long way round the lake in spring")
    _, corpus = made(world, tmp_path)
    found = fates(corpus, ring(tmp_path))
    assert found["copy"]["exclusion"] == "protected_copy"
    assert found["own"]["exclusion"] is None

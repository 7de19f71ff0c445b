"""The plan is the difference of two manifests, and costs what the formula says."""

from __future__ import annotations

import os
import random
from dataclasses import replace

import pytest
from erasure_worlds import PEOPLE, blind, corpus, place, planned, tokens, without
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.erasure import RecordDelta, expected_cost, first_touched, plan, render_plan
from demur.errors import InputError, RefusedError
from demur.terms.manifests import SliceRef

EXAMPLES = 500 if os.environ.get("DEMUR_NIGHTLY") else 50


def planned_for(gone: list[str]):
    rest = {person: count for person, count in PEOPLE.items() if person not in gone}
    return plan(
        corpus(PEOPLE),
        corpus(rest),
        tokens=tokens(rest),
        tokens_per_second=10.0,
        persons=[blind(person) for person in gone],
        records=RecordDelta(sum(PEOPLE[person] for person in gone)),
        epochs=2,
    ), tokens(rest)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.sampled_from(sorted(PEOPLE)), unique=True, max_size=6))
def test_exactly_the_slices_of_the_persons_change_and_all_after_them_are_replayed(gone):
    found, counts = planned_for(gone)
    assert set(found.changed) == {place(person) for person in gone}
    first = first_touched(found.changed)
    for where in found.replay:
        assert where.slice >= first[where.region, where.shard]
    for (region, shard), number in first.items():
        assert {SliceRef(region, shard, later) for later in range(number, 3)} <= set(found.replay)
    assert found.tokens == 2 * sum(counts.get(where, 0) for where in found.replay)
    assert found.tokens_full == 2 * sum(counts.values())
    assert found.seconds == pytest.approx(found.tokens / 10)
    assert list(found.persons) == sorted(blind(person) for person in gone)


def test_nobody_leaves_and_nothing_is_done():
    found, counts = planned_for([])
    assert (found.changed, found.replay, found.tokens) == ((), (), 0)
    assert "nothing to train again" in render_plan(found, counts, epochs=2)


def test_the_text_shows_what_is_read_again():
    text = render_plan(planned("so:7"), tokens(without("so:7")))
    where = place("so:7")
    assert "1 person(s) leave: 4 records go" in text
    row = next(line.split() for line in text.splitlines() if line.startswith(f"  {where.region} "))
    assert row[1:3] == [str(where.shard), f"{where.slice}-2"]
    assert int(row[3].replace(",", "")) == planned("so:7").tokens


def test_corpora_of_different_recipes_are_no_erasure():
    before, after = corpus(PEOPLE), corpus(without("so:1"))
    other = replace(after, inputs={**after.inputs, "recipe": {"shards": 5}, "as_of": "2026-01-01"})
    with pytest.raises(RefusedError) as error:
        plan(before, other, tokens={}, tokens_per_second=1, persons=[], records=RecordDelta(0))
    assert error.value.faults == ("recipe differs", "as_of differs")
    with pytest.raises(InputError):
        plan(before, after, tokens={}, tokens_per_second=0, persons=[], records=RecordDelta(0))


def test_the_formula_is_that_of_the_measurements():
    # ERASURE §3.4: measured means of 200 draws
    assert expected_cost(8, 8) == pytest.approx(0.069, abs=0.003)
    assert expected_cost(32, 4) == pytest.approx(0.019, abs=0.001)
    assert expected_cost(8, 8, people=10) == pytest.approx(0.482, abs=0.01)
    assert expected_cost(32, 16, people=10) == pytest.approx(0.151, abs=0.005)
    assert expected_cost(1, 1) == 1


def test_the_formula_agrees_with_drawing_lots():
    chance, shards, slices = random.Random(5), 8, 4
    draws = []
    for _ in range(4000):
        first: dict[int, int] = {}
        for _person in range(5):
            shard, number = chance.randrange(shards), chance.randrange(slices)
            first[shard] = min(number, first.get(shard, slices))
        draws.append(sum(slices - number for number in first.values()) / (shards * slices))
    assert expected_cost(shards, slices, people=5) == pytest.approx(sum(draws) / len(draws), rel=0.06)

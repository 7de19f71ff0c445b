"""The laws: training without a person equals rolling back and training again without them, bit for bit."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.erasure import Destruction
from demur.training import doomed, read_model, rollback, verify_receipts
from demur.training.learn import Learner, repeatable
from demur.training.merge import add, delta, merge, nothing, weights
from demur.training.merge import replace as swap
from demur.training.slices import Row
from demur.training.states import digest_tensors, read_state

ADAPTERS = ("lora", "full")


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_erasing_equals_never_having_seen(world, tmp_path, adapter):
    plan, person = world.plan(adapter=adapter), world.late()[0]
    before = world.train(world.corpus(), plan, tmp_path / "models")
    old = tmp_path / "models" / before.model_id
    fallen = rollback(old, world.touched(person), world.keys)
    assert fallen.digest_after != fallen.digest_before == before.model_digest
    after = world.train(world.corpus(person), plan, tmp_path / "models")
    clean = world.train(world.corpus(person), plan, tmp_path / "clean")
    assert after.model_digest == clean.model_digest != before.model_digest
    assert {head.out_state for head in after.heads} == {head.out_state for head in clean.heads}
    region, shard, number = world.home(person)
    replayed = {row.slice for row in world.rows if (row.region, row.shard) == (region, shard) and row.slice >= number}
    assert 0 < after.work["slices_trained"] <= len(replayed)
    assert clean.work["slices_trained"] > after.work["slices_trained"]


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_rolled_back_model_equals_one_that_stopped_there(world, tmp_path, adapter):
    """The served model after rollback is the merge of heads that never saw the person, computed afresh."""
    plan, person = world.plan(adapter=adapter), world.late()[0]
    model = world.train(world.corpus(), plan, tmp_path / "models")
    folder = tmp_path / "models" / model.model_id
    rollback(folder, world.touched(person), world.keys)
    region, shard, number = world.home(person)
    others = {row.person for row in world.rows if (row.region, row.shard) == (region, shard) and row.slice >= number}
    without = world.train(world.corpus(*others), plan, tmp_path / "clean")
    assert read_model(folder).model_digest == without.model_digest
    assert read_model(folder).status == "rolled_back"
    assert read_model(folder).records == without.records
    verify_receipts(folder, world.keys.verifier())


def test_rolling_back_twice_is_rolling_back_once(world, tmp_path):
    model = world.train(world.corpus(), world.plan(), tmp_path)
    touched = world.touched(*world.late(2))
    once = rollback(tmp_path / model.model_id, touched, world.keys)
    twice = rollback(tmp_path / model.model_id, touched, world.keys)
    assert twice.digest_before == twice.digest_after == once.digest_after
    assert twice.shards == ()


def test_rolling_back_to_nothing_is_the_base(world, tmp_path):
    model = world.train(world.corpus(), world.plan(), tmp_path)
    everything = {(head.region, head.shard): 0 for head in model.heads}
    rollback(tmp_path / model.model_id, everything, world.keys)
    regions = {region.region: region.weights_digest for region in read_model(tmp_path / model.model_id).regions}
    assert len(set(regions.values())) == 1  # `other` had no records: it was the base all along


def test_replay_with_the_person_gives_the_original(world, tmp_path):
    plan, person = world.plan(), world.late()[0]
    before = world.train(world.corpus(), plan, tmp_path)
    folder = tmp_path / before.model_id
    rollback(folder, world.touched(person), world.keys)
    gone = doomed(tmp_path, world.touched(person), gone=[])
    Destruction(tmp_path, tmp_path / "destroyed.jsonl").destroy(gone, _instant())
    assert gone
    again = world.train(world.corpus(), plan, tmp_path)
    assert again.model_digest == before.model_digest
    assert again.work["slices_trained"] > 0


def test_order_of_erasures_does_not_matter(world, tmp_path):
    plan = world.plan()
    p, q = _neighbours(world)
    digests = set()
    for order in ([p, q], [q, p], [(p, q)]):
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        gone: list[str] = []
        model = world.train(world.corpus(), plan, out)
        for step in order:
            leaving = step if isinstance(step, tuple) else (step,)
            rollback(out / model.model_id, world.touched(*leaving), world.keys)
            gone += leaving
            model = world.train(world.corpus(*gone), plan, out)
        digests.add(model.model_digest)
    assert len(digests) == 1


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_threads_do_not_change_a_bit(world, tmp_path, adapter):
    plan, rows = world.plan(adapter=adapter), [Row(row.record_id, row.text) for row in world.rows]
    digests = set()
    for threads in (1, 2):
        with repeatable(threads):
            learner = Learner(world.base.folder, plan, world.keys.secret("cells"))
            digests.add(digest_tensors(learner.layout.split(learner.learn(learner.first("x", 0), rows).vector)))
    assert len(digests) == 1


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_slice_depends_on_nothing_that_came_before_it(world, adapter):
    """Stale gradients, other slices, the order of rows: none moves a bit."""
    plan, rows = world.plan(adapter=adapter), [Row(row.record_id, row.text) for row in world.rows]
    with repeatable():
        learner = Learner(world.base.folder, plan, world.keys.secret("cells"))
        start = learner.first("x", 0)
        clean = learner.learn(start, rows[:20]).vector
        learner.learn(learner.first("y", 1), rows[20:])
        learner._slopes.fill_(7.0)
        for parameter in learner.model.parameters():
            if parameter.grad is not None:
                assert torch.all(parameter.grad == 7.0)  # the model's gradients are views: the stale value is real
        dirty = learner.learn(start, list(reversed(rows[:20]))).vector
    assert np.array_equal(clean, dirty)
    assert not np.array_equal(clean, start)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_merging_is_order_free_and_can_be_taken_apart(world, tmp_path, adapter):
    plan = world.plan(adapter=adapter)
    model = world.train(world.corpus(), plan, tmp_path)
    states = [read_state(tmp_path / head.state_path)[0] for head in model.heads if head.state_path]
    shapes = {name: value.shape for name, value in delta(states[0], plan).items()}
    whole = merge(shapes, states, plan)
    shuffled = random.Random(3).sample(states, len(states))
    assert digest_tensors(merge(shapes, shuffled, plan)) == digest_tensors(whole)
    less = swap(whole, states[0], None, plan)
    assert digest_tensors(less) == digest_tensors(merge(shapes, states[1:], plan))
    assert digest_tensors(swap(less, None, states[0], plan)) == digest_tensors(whole)
    assert digest_tensors(swap(whole, states[0], states[1], plan)) == digest_tensors(
        merge(shapes, [states[1], *states[1:]], plan)
    )


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=9), st.integers(0, 2**32 - 1))
def test_fixed_point_sums_are_exact(plain_plan, numbers, seed):
    plan = replace(plain_plan, adapter="full", shards=len(numbers))
    states = [{"w": np.array([[number]], dtype=np.float32)} for number in numbers]
    total = nothing({"w": (1, 1)})
    for state in random.Random(seed).sample(states, len(states)):
        add(total, delta(state, plan))
    exact = sum(round(float(np.float32(number)) * 2**plan.fixed_point_bits) for number in numbers)
    assert int(total["w"][0, 0]) == exact
    mean = weights({"w": np.zeros((1, 1), np.float32)}, total, plan)["w"][0, 0]
    assert mean == pytest.approx(np.mean(np.array(numbers, np.float64)), abs=1e-4, rel=1e-5)


@pytest.fixture(scope="session")
def plain_plan(world):
    return world.plan()


def _neighbours(world):
    """Two people in one shard, in different slices where there are such."""
    homes: dict[tuple[str, int], list[str]] = {}
    for row in world.rows:
        homes.setdefault((row.region, row.shard), [])
        if row.person not in homes[row.region, row.shard]:
            homes[row.region, row.shard].append(row.person)
    people = max(homes.values(), key=len)
    first = people[0]
    return first, next(person for person in people if world.home(person) != world.home(first))


def _instant():
    from demur.clock import parse

    return parse("2026-01-01")

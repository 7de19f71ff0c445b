"""What must be found: tampered files, another platform, a stop, a kill; and what must be refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from demur.errors import BrokenError, ConfigError, InputError, RefusedError
from demur.store.files import read_json, write_json
from demur.terms.manifests import SliceRef
from demur.training import read_chain, read_model, receipt_digest, rerun, verify_receipts
from demur.training.fingerprint import fingerprint, refuse_other
from demur.training.learn import check_isolation
from demur.training.receipts import chain_path, sign
from demur.training.rollback import state_paths


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    plan = world.plan()
    people = {SliceRef("north", 0, 0): ("ab" * 32, 3)}
    return plan, out / world.train(world.corpus(), plan, out, people=people).model_id


def _copy(trained, tmp_path) -> Path:
    import shutil

    shutil.copytree(trained[1].parent, tmp_path / "models")
    return tmp_path / "models" / trained[1].name


def _a_state(folder: Path, plan) -> tuple[Path, SliceRef]:
    for head in read_model(folder).heads:
        paths = state_paths(plan, read_chain(folder, head.region, head.shard))
        if len(paths) > 1:
            last = max(paths)
            return folder.parent / paths[last], SliceRef(head.region, head.shard, last)
    raise AssertionError("the world has no shard with two slices")


def test_an_untouched_model_verifies(world, trained):
    found = verify_receipts(trained[1], world.keys.verifier())
    assert found.receipts == len(trained[0].regions) * 3 * 3
    assert found.states > 6
    assert read_chain(trained[1], "north", 0)[0].people_leaves == 3


@pytest.mark.parametrize(
    "change",
    [
        {"records": 999},
        {"people_root": "00" * 32},
        {"out_state": "00" * 32},
        {"parent_receipt": "00" * 32},
        {"platform": "00" * 32},
        {"corpus_slice_digest": "00" * 32},
    ],
)
def test_a_changed_receipt_is_found(world, trained, tmp_path, change):
    folder = _copy(trained, tmp_path)
    path = chain_path(folder, "north", 1)
    entries = json.loads(path.read_text())
    entries[1] |= change
    write_json(path, entries)
    with pytest.raises(BrokenError, match="signature does not verify"):
        verify_receipts(folder, world.keys.verifier())


def test_a_receipt_signed_again_with_the_right_key_still_breaks_the_chain(world, trained, tmp_path):
    folder = _copy(trained, tmp_path)
    chain = read_chain(folder, "north", 1)
    chain[1] = sign(replace(chain[1], people_leaves=77), world.keys.signer())
    write_json(chain_path(folder, "north", 1), [asdict(receipt) for receipt in chain])
    with pytest.raises(BrokenError, match="does not name the receipt before it"):
        verify_receipts(folder, world.keys.verifier())


def test_a_receipt_left_out_is_found(world, trained, tmp_path):
    folder = _copy(trained, tmp_path)
    path = chain_path(folder, "south", 0)
    write_json(path, json.loads(path.read_text())[:-1])
    with pytest.raises(BrokenError, match="expected 3 receipts, found 2"):
        verify_receipts(folder, world.keys.verifier())


def test_a_cut_state_is_found_and_training_says_what_to_do(world, trained, tmp_path):
    folder = _copy(trained, tmp_path)
    state, _place = _a_state(folder, trained[0])
    state.write_bytes(state.read_bytes()[:-100])
    with pytest.raises(BrokenError, match="missing or damaged"):
        verify_receipts(folder, world.keys.verifier())
    with pytest.raises(BrokenError, match="remove the file and train again"):
        world.train(world.corpus(), trained[0], folder.parent)
    state.unlink()
    again = world.train(world.corpus(), trained[0], folder.parent)
    assert again.model_digest == read_model(trained[1]).model_digest


def test_one_flipped_bit_in_a_state_is_found(world, trained, tmp_path):
    folder = _copy(trained, tmp_path)
    state, _place = _a_state(folder, trained[0])
    content = bytearray(state.read_bytes())
    content[-9] ^= 1
    state.write_bytes(content)
    with pytest.raises(BrokenError, match="numbers that do not match"):
        verify_receipts(folder, world.keys.verifier())
    with pytest.raises(BrokenError, match="numbers that do not match"):
        world.train(world.corpus(), trained[0], folder.parent)


def test_a_forged_state_with_a_right_digest_breaks_the_seal(world, trained, tmp_path):
    from demur.training.states import digest_tensors, read_state, write_state

    folder = _copy(trained, tmp_path)
    state, _place = _a_state(folder, trained[0])
    tensors, facts = read_state(state)
    forged = {name: value + 1 for name, value in tensors.items()}
    write_state(state, forged, replace(facts, out_state=digest_tensors(forged)), b"another key")
    with pytest.raises(BrokenError, match="seal"):
        world.train(world.corpus(), trained[0], folder.parent)
    with pytest.raises(BrokenError, match="not the one of its receipt"):
        verify_receipts(folder, world.keys.verifier())


def test_changed_weights_are_found(world, trained, tmp_path):
    folder = _copy(trained, tmp_path)
    weights = folder / read_model(folder).regions[0].path / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-3] ^= 4
    weights.write_bytes(content)
    with pytest.raises(BrokenError, match="to match its digest"):
        verify_receipts(folder, world.keys.verifier())


def test_any_slice_can_be_run_again_alone(world, trained):
    _state, place = _a_state(trained[1], trained[0])
    assert rerun(trained[1], world.corpus(), place, world.base, world.keys).equal
    with pytest.raises(InputError, match="another"):
        rerun(trained[1], world.corpus(_someone(world, place)), place, world.base, world.keys)


def test_a_slice_run_again_with_other_words_is_not_equal(world, trained, tmp_path):
    """The comparison can fail: another corpus' record in the same place gives another state."""
    from demur.training.learn import Learner, repeatable
    from demur.training.slices import Row

    rows = [Row(row.record_id, row.text) for row in world.rows[:6]]
    with repeatable():
        learner = Learner(world.base.folder, trained[0], world.keys.secret("cells"))
        start = learner.first("north", 0)
        one = learner.learn(start, rows).vector
        other = learner.learn(start, [replace(rows[0], text=rows[0].text + " ka"), *rows[1:]]).vector
    assert one.tobytes() != other.tobytes()


def test_a_corpus_with_one_flipped_byte_is_refused(world, tmp_path):
    corpus = _own_corpus(world, tmp_path)
    path = sorted((corpus / "data").rglob("*.parquet"))[0]
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    with pytest.raises(BrokenError, match="its bytes differ"):
        world.train(corpus, world.plan(), tmp_path / "models")
    path.unlink()
    with pytest.raises(BrokenError, match="missing"):
        world.train(corpus, world.plan(), tmp_path / "models")


def test_a_corpus_with_a_changed_manifest_is_refused(world, tmp_path):
    corpus = _own_corpus(world, tmp_path)
    manifest = read_json(corpus / "manifest.json")
    manifest["slices"][0]["content_digest"] = "0" * 64
    write_json(corpus / "manifest.json", manifest)
    with pytest.raises(BrokenError, match="it was changed"):
        world.train(corpus, world.plan(), tmp_path / "models")


def test_another_platform_is_refused_with_the_field_named(world, trained, tmp_path):
    folder = _copy(trained, tmp_path)
    (held,) = (folder.parent / "platforms").iterdir()
    write_json(held, {**read_json(held), "cpu_capability": "ABACUS"})
    with pytest.raises(RefusedError, match="cpu_capability: trained with 'ABACUS'"):
        world.train(world.corpus(), trained[0], folder.parent)


def test_the_fingerprint_knows_the_environment_but_not_the_threads(monkeypatch):
    before = fingerprint()
    threads = torch.get_num_threads()
    torch.set_num_threads(2 if threads == 1 else 1)
    try:
        assert fingerprint() == before
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    with pytest.raises(RefusedError, match="MKL_CBWR"):
        refuse_other(before, fingerprint())


def test_a_reason_to_stop_ends_the_run_and_the_next_goes_on(world, tmp_path):
    plan, asked = world.plan(), iter(range(100))
    with pytest.raises(RefusedError, match="hold 7"):
        world.train(world.corpus(), plan, tmp_path, stop=lambda: "hold 7" if next(asked) >= 4 else None)
    assert len(list((tmp_path / "states").rglob("*.safetensors"))) == 4
    assert not list(tmp_path.rglob("manifest.json"))
    model = world.train(world.corpus(), plan, tmp_path)
    assert model.work["slices_reused"] == 4
    assert model.model_digest == world.train(world.corpus(), plan, tmp_path / "clean").model_digest


def test_killed_in_the_middle_and_resumed_equals_uninterrupted(world, trained, tmp_path):
    script = textwrap.dedent(
        """
        import signal
        import sys
        from pathlib import Path
        from demur.store.files import read_json
        from demur.store.keys import KeyRing
        from demur.training import open_base, plan_from_json, pool, train
        write_state, written = pool.write_state, []

        def counted(path, *what):
            write_state(path, *what)
            written.append(path)
            if len(written) == 3:
                signal.setitimer(signal.ITIMER_PROF, 0.004)  # SIGPROF ends it after so much work, on any machine

        pool.write_state = counted
        corpus, base, out, keys, plan = map(Path, sys.argv[1:])
        opened = open_base(base, base)
        ring = KeyRing(keys, seed=b"made-up world")
        train(corpus, plan_from_json(read_json(plan)), opened, out, ring, workers=1)
        """
    )
    write_json(tmp_path / "plan.json", trained[0].as_json())
    out = tmp_path / "models"
    places = [world.corpus(), world.base.folder, out, world.root / "keys", tmp_path / "plan.json"]
    child = subprocess.run([sys.executable, "-c", script, *map(str, places)], check=False)
    assert child.returncode == -signal.SIGPROF
    assert not list(out.rglob("manifest.json"))
    model = world.train(world.corpus(), trained[0], out)
    assert model.work["slices_reused"] >= 3
    assert model.model_digest == read_model(trained[1]).model_digest


def test_two_processes_give_what_one_gives(world, trained, tmp_path, monkeypatch):
    monkeypatch.setattr("demur.training.pool.WORTH_A_PROCESS", 0)
    model = world.train(world.corpus(), trained[0], tmp_path, workers=2)
    assert model.model_digest == read_model(trained[1]).model_digest
    assert [receipt_digest(r) for r in read_chain(tmp_path / model.model_id, "south", 1)] == [
        receipt_digest(r) for r in read_chain(trained[1], "south", 1)
    ]


def test_a_leaking_model_is_not_trained():
    def alive(ids):
        return torch.nn.functional.one_hot(ids, 50).float().cumsum(1)

    def across_rows(ids):
        return alive(ids) + alive(ids).mean(0) * 1e-6

    def from_the_right(ids):
        return alive(ids) + ids.sum(1)[:, None, None]

    check_isolation(alive, 50)
    for leak in (across_rows, from_the_right, lambda ids: torch.zeros(*ids.shape, 50)):
        with pytest.raises(BrokenError):
            check_isolation(leak, 50)


@pytest.mark.parametrize("adapter", ["rslora", "dora", "DoRA"])
def test_adapters_that_cannot_be_taken_out_are_refused(world, adapter):
    with pytest.raises(RefusedError, match="cannot be merged"):
        world.plan(adapter=adapter)


def test_an_inconsistent_plan_names_all_faults(world):
    with pytest.raises(ConfigError) as caught:
        world.plan(cells=0, learning_rate=-1, fixed_point_bits=60, warmup_cells=9)
    assert len(caught.value.faults) == 4
    with pytest.raises(ConfigError, match="unknown constant colour"):
        world.plan(colour="red")


def test_plan_base_keys_and_corpus_must_belong_together(world, tmp_path):
    plan = replace(world.plan(), base_digest="0" * 64, cells_key="0" * 64, shards=1)
    with pytest.raises(ConfigError) as caught:
        world.train(world.corpus(), plan, tmp_path)
    assert len(caught.value.faults) == 3


def test_a_diverged_state_is_not_merged(world):
    import numpy as np

    from demur.training.merge import delta

    plan = replace(world.plan(), adapter="full")
    for wrong in (float("nan"), float("inf"), 1e12):
        with pytest.raises(BrokenError, match="diverged"):
            delta({"w": np.array([wrong], np.float32)}, plan)


def _someone(world, place):
    return next(
        row.person
        for row in world.rows
        if (row.region, row.shard, row.slice) == (place.region, place.shard, place.slice)
    )


def _own_corpus(world, tmp_path):
    import shutil

    return Path(shutil.copytree(world.corpus(), tmp_path / world.corpus().name))

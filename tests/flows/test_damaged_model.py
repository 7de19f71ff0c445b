"""A model that cannot be made free of somebody is not served, and keeps nobody from leaving."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flow_worlds import LATER, SENTINEL, Platform, sentence

from demur.erasure import find_sentinel
from demur.errors import RefusedError
from demur.flows.erase import first_effect, pending
from demur.flows.hold import lift_hold, place_hold, serving_stopped
from demur.flows.order import execute
from demur.flows.parts import current, model_folder
from demur.flows.verify import verify_certificate
from demur.ledger import Ledger, read_leaf
from demur.training import make_base, read_model, run

DAY = timedelta(days=1)


def another_base(models: Path, _model: Path) -> None:
    """As `demur base` could do it once, with another seed."""
    shutil.rmtree(models / "base")
    texts = [("en", sentence(f"base{number}")) for number in range(60)]
    other = models.parent / "elsewhere" / "base"
    make_base(texts, other, vocab=300, hidden=16, layers=1, heads=2, steps=2, batch=4, max_tokens=32)
    other.rename(models / "base")


def another_tokenizer(models: Path, _model: Path) -> None:
    path = models / "base" / "tokenizer.json"
    path.write_text(path.read_text().replace("</s>", "</t>"))


def no_base(models: Path, _model: Path) -> None:
    shutil.rmtree(models / "base")


def no_sums(_models: Path, model: Path) -> None:
    shutil.rmtree(model / "accumulators")


def no_states(models: Path, _model: Path) -> None:
    for path in (models / "states").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-1])


def person(here: Platform) -> None:
    here.object("olga")


def hold(here: Platform) -> None:
    scope = {"countries": ["PT"], "kinds": ["photo"], "authority": "an authority", "instrument": "a letter"}
    place_hold(here.parts, "h-1", scope, at=LATER - timedelta(hours=2))


@pytest.mark.parametrize("who", [person, hold])
@pytest.mark.parametrize("harm", [another_base, another_tokenizer, no_base, no_sums, no_states])
def test_an_erasure_ends_without_a_model_that_is_damaged(here: Platform, harm: Any, who: Any) -> None:
    old = model_folder(here.space)
    harm(here.space.models, old)
    who(here)
    done = here.erase()
    assert done.model is None
    assert current(here.space).model is None
    assert read_model(old).status == "destroyed"
    assert not list(old.rglob("*.safetensors"))
    assert not [path for place in done.plan.changed for path in
                (here.space.models / "states" / place.region / f"{place.shard:03d}").glob("*")]  # fmt: skip
    assert pending(here.parts) == ()
    found = here.certificate(done)
    assert found["model"] is None
    assert found["phases"]["rolled_back_at"] is not None
    assert [one for one in verify_certificate(here.parts, Path(str(done.certificate))) if one.ok is False] == []
    if who is person:
        assert not find_sentinel(here.space.corpora, [SENTINEL])


def test_states_of_shards_that_did_not_change_serve_the_next_training(here: Platform) -> None:
    no_sums(here.space.models, model_folder(here.space))
    here.object("olga")
    here.erase()
    made = here.train(at=LATER)
    assert made.work["slices_reused"] > 0
    assert here.clean().equal


def test_a_model_that_is_damaged_for_a_latecomer_is_not_served(here: Platform) -> None:
    here.object("olga")
    first_effect(here.parts, at=LATER, clock=lambda: LATER)
    no_sums(here.space.models, model_folder(here.space))
    here.object("ana", at=LATER + timedelta(hours=1))
    first_effect(here.parts, at=LATER + timedelta(hours=1), clock=lambda: LATER)
    assert current(here.space).model is None
    here.erase(LATER + DAY)
    assert not _knows(here, model_folder(here.space), "ana")
    here.erase(LATER + 2 * DAY)
    assert here.clean().equal


def _knows(here: Platform, model: Path, name: str) -> bool:
    """Say whether a model learned from a slice with somebody in it."""
    from demur.corpus import touched

    heads = {(head.region, head.shard): head.slice for head in read_model(model).heads}
    corpus = here.space.corpora / read_model(model).corpus_id
    places = touched(corpus, [f"agora:p-{name}"], keys=here.parts.keys)
    return any(heads[place.region, place.shard] >= place.slice for place in places)


def test_a_hold_that_stops_training_stops_the_training_of_an_erasure_until_it_is_lifted(here: Platform) -> None:
    scope = {"authority": "an authority", "instrument": "a letter", "stages": ["training"]}
    place_hold(here.parts, "h-1", scope, at=LATER - DAY)
    old = model_folder(here.space)
    here.object("olga")
    with pytest.raises(RefusedError, match="h-1"):
        here.erase()
    assert not _knows(here, old, "olga")
    with Ledger.open(here.space.ledger, here.parts.keys) as ledger:
        kinds = [read_leaf(raw)["kind"] for _, raw in ledger.entries()]
    assert kinds.count("run") == 1
    lift_hold(here.parts, "h-1", by=["Ann", "Bea"], reason="done", at=LATER + DAY)
    assert here.erase(LATER + 2 * DAY).model is not None
    assert here.clean().equal


def test_where_nothing_can_be_trained_again_the_next_ones_are_out_at_once_and_the_model_can_be_given_up(
    here: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[[], dict[str, str]] = run.fingerprint
    monkeypatch.setattr(run, "fingerprint", lambda: {**real(), "torch": "another"})
    old = model_folder(here.space)
    here.object("olga")
    with pytest.raises(RefusedError, match="platform"):
        here.erase()
    here.object("ben", at=LATER + timedelta(hours=1))
    assert not _knows(here, old, "olga")
    assert _knows(here, old, "ben")
    with pytest.raises(RefusedError, match="platform"):
        here.erase(LATER + timedelta(hours=2))
    assert not _knows(here, old, "ben")
    scope = {"authority": "the controller", "instrument": "a decision", "artefact": old.name}
    execute(here.parts, "o-1", scope, clock=lambda: LATER + timedelta(hours=3), workers=1)
    done = here.erase(LATER + timedelta(hours=4))
    assert done.model is None
    assert len(here.certificate(done)["persons"]) == 1
    assert [one.person_id for one in pending(here.parts) if one.kind == "objection"] == ["agora:p-ben"]
    here.erase(LATER + timedelta(hours=5))
    assert {"olga", "ben"}.isdisjoint(here.authors())
    assert pending(here.parts) == ()


def test_a_base_that_models_stand_on_is_not_made_anew(here: Platform) -> None:
    texts = [("en", sentence("base"))]
    with pytest.raises(RefusedError, match="models stand on"):
        make_base(texts, here.space.models / "base", vocab=300, hidden=16, layers=1, heads=2, steps=1)
    assert here.train(at=LATER).model_id == current(here.space).model


def test_a_hold_that_comes_while_an_erasure_is_open_is_taken_out_by_the_next_one(here: Platform) -> None:
    here.object("olga")
    first_effect(here.parts, at=LATER, clock=lambda: LATER)
    scope = {"authority": "an authority", "instrument": "a letter", "countries": ["PT"], "kinds": ["photo"]}
    place_hold(here.parts, "h-1", scope, at=LATER + timedelta(hours=1))
    assert "kurt-photo" in here.records()
    made = here.erase(LATER + DAY)
    assert made.model is not None
    assert "olga" not in here.authors()
    assert serving_stopped(here.parts, str(current(here.space).model), LATER + DAY) == ("h-1",)
    here.erase(LATER + 2 * DAY)
    assert not {"kurt-photo", "lena-photo"} & set(here.records())
    assert serving_stopped(here.parts, str(current(here.space).model), LATER + 2 * DAY) == ()
    assert pending(here.parts) == ()
    assert here.clean().equal


def test_a_hold_over_everything_that_comes_while_an_erasure_is_open_keeps_its_training_waiting(here: Platform) -> None:
    here.object("olga")
    first_effect(here.parts, at=LATER, clock=lambda: LATER)
    place_hold(
        here.parts, "all", {"authority": "an authority", "instrument": "a letter"}, at=LATER + timedelta(hours=1)
    )
    with pytest.raises(RefusedError, match="the hold all stops it"):
        here.erase(LATER + DAY)
    lift_hold(here.parts, "all", by=["Ann", "Bea"], reason="done", at=LATER + DAY)
    assert here.erase(LATER + 2 * DAY).model is not None

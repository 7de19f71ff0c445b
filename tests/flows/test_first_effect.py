"""The first effect of an erasure, and objections that come between the stages (OBJ-05, OBJ-09)."""

from __future__ import annotations

import resource
import subprocess
import sys
from datetime import timedelta

import pytest
from flow_worlds import AS_OF, LATER

from demur import erasure
from demur.corpus import touched
from demur.errors import RefusedError
from demur.flows.parts import current, model_folder
from demur.people import Told
from demur.training import read_model, rollback


def test_after_the_first_step_the_touched_shards_have_only_earlier_slices(here, copies):
    people = ["agora:p-ana", "agora:p-olga"]
    other = copies(name="other")
    places = touched(other.space.corpora / str(current(other.space).corpus), people, keys=other.parts.keys,
                     names=other.parts.registry.names_of(people))  # fmt: skip
    alone = rollback(model_folder(other.space), erasure.first_touched(places), other.parts.keys)
    assert read_model(model_folder(other.space)).status == "rolled_back"
    first = erasure.first_touched(places)
    for head in read_model(model_folder(other.space)).heads:
        assert head.slice == first.get((head.region, head.shard), 2) - 1
    here.object("ana", "olga")
    done = here.erase()
    rolled = here.certificate(done)["model"]["rolled_back"]
    assert rolled["digest"] == alone.digest_after != done.model
    assert done.first_effect_seconds < 60  # 0.1 where nothing else runs


def test_an_objection_between_corpus_and_training_stops_the_training(copies):
    here = copies("untrained")
    here.object("olga")
    with pytest.raises(RefusedError, match="demur erase"):
        here.train()
    done = here.erase()
    assert done.model is None
    assert here.certificate(done)["model"] is None
    here.train(at=LATER)
    assert "olga" not in here.authors()
    assert here.clean().equal


def test_an_objection_during_training_stops_it_at_a_slice_border(copies):
    here = copies("untrained")
    told = []

    def object_when_a_shard_is_done(stage, done, _total):
        if stage == "train" and done == 2 and not told:
            told.append(done)
            here.object("olga", at=LATER - timedelta(hours=1))

    parts = here.parts
    object.__setattr__(parts, "progress", object_when_a_shard_is_done)
    with pytest.raises(RefusedError, match="stopped"):
        here.train()
    states = here.space.models / "states"
    saw = set(states.rglob("*.safetensors"))
    assert saw
    assert current(here.space).model is None
    done = here.erase()
    touched_shards = {(one.region, one.shard) for one in done.plan.changed}
    left = {(path.parts[-3], int(path.parts[-2])) for path in states.rglob("*.safetensors")}
    assert not touched_shards & left  # half a training that saw them is gone too, though no model names it
    here.train(at=LATER)
    assert here.clean().equal


def test_an_objection_that_nobody_could_be_matched_to_counts_when_it_is(here):
    told = Told("api", claim={"handle": "who-is-this"})
    (receipt,) = here.parts.registry.record_objections([told], recorded_at=AS_OF + timedelta(days=1))
    assert receipt.person_id is None
    with pytest.raises(RefusedError, match="nothing is pending"):
        here.erase()
    here.parts.registry.match_objection(receipt.objection_id, "agora:p-mia", recorded_at=LATER + timedelta(hours=1))
    here.erase(at=LATER + timedelta(hours=2))
    assert "mia" not in here.authors()


def test_a_full_disk_is_a_clear_error_and_the_next_run_goes_on(copies):
    here = copies("untrained")
    here.object("olga")
    here.parts.registry.close()
    command = [sys.executable, "-m", "demur", "--home", str(here.space.root), "erase", "--at", "2026-06-10"]

    def small():  # no file may grow beyond 2 KiB: what a full disk looks like to whoever writes
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))

    full = subprocess.run(command, check=False, capture_output=True, text=True, preexec_fn=small)
    assert full.returncode == 3, full.stderr
    assert "Traceback" not in full.stderr
    again = subprocess.run(command, check=False, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr

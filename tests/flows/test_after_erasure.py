"""What is left after an erasure: nothing of the person, a certificate that holds, a ledger entry."""

from __future__ import annotations

import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from flow_worlds import LATER, NAMES, POLICY, RECIPE, SENTINEL, item, opened, tree_digest, write_dump

from demur import erasure
from demur.clock import parse
from demur.errors import RefusedError
from demur.flows.build import build_corpus
from demur.flows.erase import pending, rehearse
from demur.flows.hold import lift_hold, place_hold
from demur.flows.intake import take_in
from demur.flows.left import beside
from demur.flows.parts import current, model_folder, set_current
from demur.flows.restore import reapply
from demur.flows.verify import rebuild_clean, verify_certificate, verify_corpus, verify_model
from demur.flows.whatif import compare, decide_to
from demur.ledger import Entry, EntryKind
from demur.training import read_model


def _sentinels(here):
    """Look in the names' and texts' every form, everywhere that demur keeps what it made."""
    return [
        path
        for folder in ("corpora", "models", "work", "erasures", "ledger")
        if (here.space.root / folder).exists()
        for path in erasure.find_sentinel(here.space.root / folder, [SENTINEL, NAMES["olga"]])
    ]


def test_no_file_holds_the_person_and_old_weights_are_gone(here):
    assert _sentinels(here)  # the search can find it
    before = current(here.space)
    old = read_model(model_folder(here.space))
    states = {head.state_path for head in old.heads if head.state_path}
    here.object("olga")
    done = here.erase()
    assert _sentinels(here) == []
    assert not (here.space.corpora / before.corpus).exists()
    left = [path for path in (here.space.models / before.model).rglob("*") if path.is_file()]
    assert not [path for path in left if path.suffix in {".safetensors", ".npz", ".npy"}]
    assert read_model(here.space.models / before.model).status == "destroyed"
    assert not here.space.work.exists()
    kept = {head.state_path for head in read_model(model_folder(here.space)).heads if head.state_path}
    on_disk = {str(p.relative_to(here.space.models)) for p in (here.space.models / "states").rglob("*.safetensors")}
    assert kept <= on_disk
    touched = {(one.region, one.shard) for one in done.plan.changed}
    stale = {path for path in states - kept if (path.split("/")[1], int(path.split("/")[2])) in touched}
    assert stale
    assert not stale & on_disk
    logged = {one["what"] for one in here.certificate(done)["destroyed"]}
    assert {f"models/{path}" for path in stale} <= logged
    assert any(path.startswith(f"corpora/{before.corpus}/") for path in logged)
    answers = here.space.erasures / done.erasure_id / "answers.json"
    assert answers.stat().st_mode & 0o777 == 0o600


def test_the_certificate_verifies_here_and_alone_and_no_other_does(here, tmp_path):
    here.object("olga", "ana")
    done = here.erase()
    checks = verify_certificate(here.parts, done.certificate)
    assert {one.name: one.ok for one in checks if one.ok is False} == {}
    assert any(one.ok for one in checks)
    assert verify_model(here.parts, None)["holds"]
    verdict = verify_corpus(here.parts, None)
    assert verdict["pending_restrictions"] == 0
    alone = [
        sys.executable,
        "-I",
        str(Path(erasure.__file__).with_name("verify_certificate.py")),
        str(done.certificate),
    ]
    assert subprocess.run(alone, check=False, capture_output=True).returncode == 0
    changed = here.certificate(done)
    changed["persons"] = changed["persons"][1:]
    forged = tmp_path / "forged.json"
    forged.write_bytes(orjson.dumps(changed))
    assert any(one.ok is False for one in verify_certificate(here.parts, forged))
    assert subprocess.run([*alone[:-1], str(forged)], check=False, capture_output=True).returncode != 0


def _copied(here, *names):
    """Keep folders as a backup does; return what puts them back."""
    kept = here.space.root.with_name("backup")
    for name in names:
        shutil.copytree(here.space.root / name, kept / name)

    def restore(*names):
        for name in names:
            shutil.copytree(kept / name, here.space.root / name, dirs_exist_ok=True)

    return restore


def _failed(here, done):
    return {one.name for one in verify_certificate(here.parts, done.certificate) if one.ok is False}


def test_a_certificate_does_not_hold_where_its_ledger_entry_is_gone(here, caplog):
    restore = _copied(here, "ledger")
    here.object("olga")
    done = here.erase()
    assert _failed(here, done) == set()
    here.object("ana", at=LATER + timedelta(hours=1))
    later = here.erase(LATER + timedelta(days=1))
    assert _failed(here, done) == _failed(here, later) == set()
    reapply(here.parts)
    shutil.rmtree(here.space.ledger)
    assert _failed(here, done) == {"this ledger"}
    restore("ledger")
    assert _failed(here, done) == _failed(here, later) == {"this ledger"}
    with opened(here.space.root):
        assert "cut back" in caplog.text
    caplog.clear()
    for number in range(20):  # as long as it was, and another one
        here.parts.log(Entry(EntryKind.RUN, LATER, f"{number}", {}))
    assert _failed(here, done) == {"this ledger"}


@pytest.mark.parametrize("back", [("models",), ("corpora",), ("models", "corpora")])
def test_a_certificate_does_not_hold_where_what_was_destroyed_came_back(here, back):
    restore = _copied(here, "models", "corpora")
    here.object("olga")
    done = here.erase()
    restore(*back)
    assert _failed(here, done) == {"gone"}


def test_what_is_made_again_when_a_hold_is_over_is_no_fault_of_the_certificate(here):
    before = current(here.space)
    scope = {"countries": ["PT"], "kinds": ["photo"], "authority": "an authority", "instrument": "a letter"}
    place_hold(here.parts, "h-1", scope, at=LATER - timedelta(hours=2))
    done = here.erase()
    lift_hold(here.parts, "h-1", by=["Ann", "Bea"], reason="done", at=LATER + timedelta(hours=1))
    at = LATER + timedelta(days=1)
    build_corpus(here.parts, POLICY, RECIPE, as_of=at, known_at=at)
    here.train(at=at)
    assert current(here.space) == before
    assert _failed(here, done) == set()


def test_nothing_is_pending_afterwards(here):
    here.object("olga")
    with beside(here.space, "media") as in_use:
        here.erase()
        assert in_use.is_dir(), "of a command that still runs"
    assert pending(here.parts) == ()
    with pytest.raises(RefusedError, match="nothing is pending"):
        here.erase(LATER + timedelta(days=1))


def test_an_objector_without_any_record_changes_nothing_and_is_answered(here):
    here.parts.registry.record(
        {"type": "account", "account_id": "agora:new", "person_id": "agora:p-new"}, recorded_at=parse("2026-06-02")
    )
    here.object("new")
    before = here.digests
    done = here.erase()
    assert here.digests == before
    assert here.clean().equal
    found = here.certificate(done)
    assert found["persons"] == found["partial"] == []
    assert len(found["requests"]) == 1
    assert found["corpus"]["before"]["digest"] == found["corpus"]["after"]["digest"]
    assert found["model"]["before"]["digest"] == found["model"]["after"]["digest"]
    assert [one for one in verify_certificate(here.parts, done.certificate) if one.ok is False] == []


def test_what_is_learned_after_the_instant_of_the_erasure_waits(here):
    here.object("ana")
    here.object("ben", at=LATER + timedelta(days=1))
    done = here.erase(LATER)
    assert len(done.restrictions) == 1
    assert "ben" in here.authors()
    assert [one.person_id for one in pending(here.parts)] == ["agora:p-ben"]


def test_an_imported_objection_said_to_be_old_is_still_honoured(here, tmp_path):
    from demur.flows.intake import learn

    events = tmp_path / "events.jsonl"
    said = {"type": "objection", "person_id": "agora:p-ana", "recorded_at": "2026-05-01T00:00:00Z"}
    events.write_bytes(orjson.dumps(said) + b"\n")
    learn(here.parts, events, at=LATER - timedelta(hours=1))
    assert [one.person_id for one in pending(here.parts)] == ["agora:p-ana"]
    here.erase()
    assert "ana" not in here.authors()
    assert here.clean().equal


def test_a_rehearsal_changes_nothing_and_plans_what_is_done(here):
    here.object("ana", "gil")
    before = tree_digest(here.space.root)
    planned = rehearse(here.parts, at=LATER)
    assert tree_digest(here.space.root) == before
    done = here.erase()
    assert (planned.plan, planned.tokens, planned.corpus) == (done.plan, done.tokens, done.corpus)


def test_what_if_changes_nothing_and_is_what_deciding_gives(here, copies, tmp_path):
    import pyarrow.parquet as pq

    before = tree_digest(here.space.root)
    instants = {"as_of": LATER, "known_at": LATER}
    found = compare(here.parts, "demur-strict", "noyb-opt-in", **instants)
    assert tree_digest(here.space.root) == before
    other = copies(name="other")
    allowed = {}
    for name in ("demur-strict", "noyb-opt-in"):
        decide_to(other.parts, name, tmp_path / f"{name}.parquet", **instants)
        table = pq.read_table(tmp_path / f"{name}.parquet")
        allowed[name] = {row["item_id"] for row in table.to_pylist() if row["allowed"]}
    assert found["lost"]["items"] == len(allowed["demur-strict"] - allowed["noyb-opt-in"]) > 0
    assert found["gained"]["items"] == len(allowed["noyb-opt-in"] - allowed["demur-strict"])


def test_an_older_corpus_and_its_model_are_not_forgotten(here, tmp_path):
    first = current(here.space)
    more = item("nils-more", "nils", "a new story about the old castle and the harbour in the evening light of may")
    dump = write_dump(tmp_path / "more", [more])
    take_in(here.parts, "demo", [dump], mapping=None, service=None, at=parse("2026-05-30"))
    here.build()
    second = current(here.space)
    assert second.corpus != first.corpus
    assert second.model is None  # never a model of another corpus
    here.train()
    second = current(here.space)
    here.object("olga")
    done = here.erase()
    assert _sentinels(here) == []
    assert not (here.space.corpora / first.corpus).exists()
    assert read_model(here.space.models / first.model).status == "destroyed"
    logged = {one["what"].split("/")[1] for one in here.certificate(done)["destroyed"]}
    assert {first.corpus, first.model, second.corpus, second.model} - logged == set()
    assert here.clean().equal
    verify_model(here.parts, None)


def test_an_older_corpus_without_the_person_stays_and_waits_for_nothing(here, tmp_path):
    first = current(here.space)
    here.object("olga")
    here.erase()
    kept = current(here.space)
    more = item("nils-more", "nils", "a new story about the old castle and the harbour in the evening light of may")
    take_in(here.parts, "demo", [write_dump(tmp_path / "more", [more])], mapping=None, service=None,
            at=parse("2026-05-30"))  # fmt: skip
    here.build(known_at=LATER)
    later = LATER + timedelta(days=2)
    here.object("ana", at=later - timedelta(hours=1))
    here.erase(later)  # destroys the corpus of the first erasure too: ana is in it
    assert not (here.space.corpora / kept.corpus).exists()
    here.build(known_at=later, recipe=type(here).recipe(shards=2))
    last = LATER + timedelta(days=3)
    here.parts.registry.record(
        {"type": "objection", "person_id": "agora:p-nobody"}, recorded_at=last - timedelta(hours=1)
    )
    count = len(list(here.space.corpora.glob("*")))
    here.erase(last)
    assert len(list(here.space.corpora.glob("*"))) == count == 2
    assert pending(here.parts) == ()
    assert first.corpus not in {path.name for path in here.space.corpora.glob("*")}


def test_building_the_same_corpus_again_keeps_its_model(here):
    before = current(here.space)
    here.build()
    assert current(here.space) == before
    set_current(here.space, model=before.model)


def test_a_rebuild_from_other_keys_or_source_is_refused_clearly(here):
    from demur.errors import BrokenError, DemurError

    path = model_folder(here.space) / "manifest.json"
    path.write_bytes(path.read_bytes()[:200])
    here.object("ana")
    with pytest.raises(BrokenError, match="damaged"):
        here.erase()
    (here.space.root / "policies").rename(here.space.root / "elsewhere")
    with pytest.raises(DemurError, match="policy"):
        rebuild_clean(here.parts, at=LATER, workers=1)


def test_one_flipped_byte_in_a_slice_is_found(here):
    victim = sorted(here.space.corpora.rglob("slice-*.parquet"))[0]
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(raw)
    from demur.errors import BrokenError

    with pytest.raises(BrokenError, match=r"differ|changed"):
        here.train(learning_rate=1e-3)

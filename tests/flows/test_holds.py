"""Holds: in force for every stage at once, others undisturbed, lifted by two, proved afterwards (HLD-01 … HLD-05)."""

from __future__ import annotations

from datetime import timedelta

import orjson
import pytest
from flow_worlds import AS_OF, LATER, item, write_dump

from demur.clock import iso, parse
from demur.errors import DemurError, InputError, RefusedError
from demur.flows.hold import (
    country_codes,
    deadline_after,
    export_stopped,
    hold_facts,
    lift_hold,
    place_hold,
    refuse_export,
    refuse_serving,
    release_stopped,
    sending_stopped,
    serving_stopped,
    training_stopped,
)
from demur.flows.hold_proof import drill, evidence
from demur.flows.intake import Campaign, take_in, tell
from demur.flows.parts import current
from demur.flows.slice import holders, share_of
from demur.ledger import Ledger, read_proof, verify_proof
from demur.terms.holds import Stage
from demur.wiring import open_parts

SAID = {"authority": "DPC", "instrument": "letter of 14 June"}
HOUR = timedelta(hours=1)


def _place(here, name="h", at=LATER - HOUR, **scope):
    place_hold(here.parts, name, {**SAID, **scope}, at=at)
    return next(one for one in here.parts.registry.holds() if one.hold_id == name)


def _portuguese(here):
    """Items of kurt and lena, who live in PT, that are in the corpus."""
    return {one["item_id"] for one in here.lineage() if one["person_id"] in {"agora:p-kurt", "agora:p-lena"}}


def test_a_hold_stops_every_stage_for_another_process_when_placing_returns(here):
    model, corpus = current(here.space).model, current(here.space).corpus
    with open_parts(here.space) as other:  # a process that was there before
        assert not sending_stopped(other, "c-1", LATER).holds
        _place(here, countries=["PT"])
        stop = sending_stopped(other, "c-1", LATER)
        assert (stop.covers("PT"), stop.covers("DE"), stop.covers(None), stop.whole) == (True, False, True, False)
        assert serving_stopped(other, model, LATER) == ("h",)
        assert release_stopped(other, model, LATER) == ("h",)
        assert training_stopped(other, corpus, LATER) == ("h",)
        assert export_stopped(other, LATER) == export_stopped(other, LATER, model_id=model) == ("h",)
        for refuse in (lambda: refuse_serving(other, model, LATER), lambda: refuse_export(other, LATER)):
            with pytest.raises(RefusedError, match="hold show"):
                refuse()
        before = LATER - 2 * HOUR
        assert not serving_stopped(other, model, before)
        assert not sending_stopped(other, "c-1", before).holds


@pytest.mark.parametrize("stage", list(Stage))
def test_each_stage_can_be_held_alone(here, stage):
    model, corpus = current(here.space).model, current(here.space).corpus
    _place(here, countries=["PT"], stages=[stage.value])
    stopped = {
        Stage.SENDING: bool(sending_stopped(here.parts, "c-1", LATER).holds),
        Stage.BUILDS: any(one.kind == "hold" for one in here.parts.registry.restrictions_since(AS_OF)),
        Stage.TRAINING: bool(training_stopped(here.parts, corpus, LATER)),
        Stage.EXPORT: bool(export_stopped(here.parts, LATER)),
        Stage.RELEASE: bool(release_stopped(here.parts, model, LATER)),
        Stage.SERVING: bool(serving_stopped(here.parts, model, LATER)),
    }
    assert {one for one, is_stopped in stopped.items() if is_stopped} == {stage}


def test_what_is_about_content_stops_notices_only_when_it_says_so(here):
    _place(here, "content", kinds=["photo"], countries=["PT"])
    assert not sending_stopped(here.parts, "c-1", LATER).holds
    _place(here, "said", kinds=["photo"], countries=["PT"], stages=["sending"])
    assert sending_stopped(here.parts, "c-1", LATER).holds == ("said",)
    _place(here, "campaign", campaign_id="c-2")
    assert sending_stopped(here.parts, "c-2", LATER).whole
    assert "campaign" not in sending_stopped(here.parts, "c-1", LATER).holds
    _place(here, "purpose", purpose="search")
    assert "purpose" not in sending_stopped(here.parts, "c-1", LATER).holds


def test_the_count_of_what_holds_the_slice_is_the_ground_truth_and_lets_the_others_go_on(here):
    held = _place(here, countries=["PT"])
    truth = _portuguese(here)
    assert truth
    found = {one.what: one.share for one in holders(here.parts, held)}
    assert found["corpus"].items == found["model"].items == len(truth)
    assert serving_stopped(here.parts, current(here.space).model, LATER) == ("h",)
    nobody = _place(here, "none", countries=["FR"])
    assert "none" in serving_stopped(here.parts, current(here.space).model, LATER)  # nobody has counted yet
    assert {one.share.items for one in holders(here.parts, nobody)} == {0}
    assert serving_stopped(here.parts, current(here.space).model, LATER) == ("h",)
    here.erase()
    assert not _portuguese(here)
    assert serving_stopped(here.parts, current(here.space).model, LATER) == ()  # decided while the hold stood
    assert share_of(here.parts, held, here.space.corpora / current(here.space).corpus).items == 0
    assert here.clean().equal


def test_a_hold_on_one_model_touches_no_content_and_no_other_model(here):
    model = current(here.space).model
    _place(here, artefact=model)
    assert serving_stopped(here.parts, model, LATER) == ("h",)
    assert serving_stopped(here.parts, "another", LATER) == ()
    assert not sending_stopped(here.parts, "c-1", LATER).holds
    assert not here.parts.registry.restrictions_since(AS_OF)


def test_a_build_takes_out_what_came_while_it_ran_before_its_corpus_becomes_current(copies):
    here = copies("untrained")
    more = item("nils-more", "nils", "a new story about the old castle and the harbour in the evening light of may")
    dump = write_dump(here.space.root / "more", [more])
    take_in(here.parts, "demo", [dump], mapping=None, service=None, at=parse("2026-05-30"))
    told = []

    def object_while_it_decides(stage, _done, _total):
        if stage == "decide" and not told:
            told.append(stage)
            here.object("olga", at=LATER)
            _place(here, countries=["PT"], at=LATER + HOUR)

    object.__setattr__(here.parts, "progress", object_while_it_decides)
    there = {path.name for path in here.space.corpora.iterdir()}
    manifest = here.build()
    assert told
    assert current(here.space).corpus == manifest.corpus_id
    assert "olga" not in here.authors()
    assert not _portuguese(here)
    assert manifest.inputs["narrowed_at"] == iso(LATER + HOUR)
    assert {path.name for path in here.space.corpora.iterdir()} - there == {manifest.corpus_id}  # no other is left
    here.train(at=LATER + 2 * HOUR)
    assert here.clean().equal


def test_a_training_stops_for_a_hold_at_a_slice_border_and_keeps_what_it_has(copies):
    here = copies("untrained")

    def hold_when_a_shard_is_done(stage, done, _total):
        if stage == "train" and done == 2 and not here.parts.registry.holds():
            _place(here, countries=["PT"], stages=["training"], at=AS_OF)

    object.__setattr__(here.parts, "progress", hold_when_a_shard_is_done)
    with pytest.raises(RefusedError, match="the hold h stops it"):
        here.train()
    kept = set((here.space.models / "states").rglob("*.safetensors"))
    assert kept
    lift_hold(here.parts, "h", by=["Ann", "Bea"], reason="done", at=AS_OF)
    here.train()
    assert kept <= set((here.space.models / "states").rglob("*.safetensors"))
    assert here.clean().equal


def _build(here, at):
    from demur.flows.build import build_corpus

    build_corpus(here.parts, "demur-strict", here.recipe(regions={"en": "en"}), as_of=at, known_at=at)


def test_lifting_needs_two_and_a_new_notice_starts_the_clocks_of_the_slice_again(copies):
    here = copies("untrained")
    _place(here, countries=["PT"], at=AS_OF + HOUR)
    for by in (["Ann"], ["Ann", " ann "]):
        with pytest.raises(RefusedError, match="two different"):
            lift_hold(here.parts, "h", by=by, reason="done", at=AS_OF + HOUR)
    lifted = AS_OF + 2 * HOUR
    lift_hold(here.parts, "h", by=["Ann", "Bea"], reason="done", at=lifted, renotice_at=lifted)
    _build(here, AS_OF + 5 * HOUR)
    assert not _portuguese(here)
    assert {"ana", "olga"} <= here.authors()
    campaign = Campaign("c-2", "train-generative-ai", parse("2026-06-02"), 45, "email")
    tell(here.parts, campaign, ["agora:p-kurt"], delivered_at=parse("2026-06-02"), at=parse("2026-06-02"))
    _build(here, parse("2026-08-01"))
    assert {one["person_id"] for one in here.lineage() if one["item_id"] in _portuguese(here)} == {"agora:p-kurt"}


def test_without_a_new_notice_a_lifted_hold_lets_the_slice_in_again(copies):
    here = copies("untrained")
    _place(here, countries=["PT"], at=AS_OF + HOUR)
    lift_hold(here.parts, "h", by=["Ann", "Bea"], reason="done", at=AS_OF + 2 * HOUR)
    _build(here, AS_OF + 5 * HOUR)
    assert _portuguese(here)


def test_a_drill_asks_every_check_and_disturbs_nothing(here):
    digests, model = here.digests, current(here.space).model
    found = drill(here.parts, "d", {**SAID, "countries": ["PT"]}, by="dpo", clock=lambda: LATER)
    assert {one.stage for one in found} == set(Stage)
    assert all(one.stopped and one.seconds < 60 for one in found)
    (placed,) = here.parts.registry.holds()
    assert placed.lift is not None
    assert not here.parts.registry.restrictions_since(AS_OF)
    assert here.digests == digests
    _place(here, "open", nature="drill", countries=["PT"])  # while it stands
    assert not serving_stopped(here.parts, model, LATER)
    assert not sending_stopped(here.parts, "c-1", LATER).holds
    assert not here.parts.registry.restrictions_since(AS_OF)
    with pytest.raises(InputError, match="new name"):
        drill(here.parts, "d", SAID, by="dpo", clock=lambda: LATER)


def test_the_evidence_counts_what_was_made_meanwhile_and_each_entry_is_proved(here, tmp_path):
    _place(here, countries=["PT"])
    here.erase()
    lift_hold(here.parts, "h", by=["Ann", "Bea"], reason="done", at=LATER + HOUR)
    facts = evidence(here.parts, "h", at=LATER + 2 * HOUR, out=tmp_path / "e")
    assert {row["what"] for row in facts["uses"]} == {"corpus", "model"}
    assert facts["used"] == facts["not_counted"] == 0
    assert all(row["decided_under_the_hold"] for row in facts["uses"] if row["what"] == "corpus")
    with Ledger.open(here.space.ledger, here.parts.keys) as ledger:
        for row in facts["uses"]:
            proof = read_proof((tmp_path / "e" / row["proof"]).read_text())
            assert verify_proof(proof, ledger.verifier_key).size >= row["ledger_entry"]
    assert "Nothing of the slice was used" in (tmp_path / "e" / "evidence.txt").read_text()
    assert orjson.loads((tmp_path / "e" / "evidence.json").read_bytes())["hold"]["hold"] == "h"


def test_the_evidence_shows_a_use(copies, tmp_path):
    here = copies("untrained")
    _place(here, countries=["PT"], stages=["serving"], at=AS_OF)
    here.train()  # not held: but the slice was used
    campaign = Campaign("c-2", "train-generative-ai", parse("2026-07-01"), 45, "email")
    tell(here.parts, campaign, ["agora:p-kurt", "agora:p-ana"], delivered_at=LATER, at=LATER)
    facts = evidence(here.parts, "h", at=LATER + HOUR, out=tmp_path / "e")
    assert facts["used"] == len(_portuguese(here)) > 0
    assert facts["notices"] == {}
    _place(here, "s", countries=["PT"], at=AS_OF)
    assert evidence(here.parts, "s", at=LATER + HOUR, out=tmp_path / "s")["notices"] == {"c-2": 1}


def test_a_hold_says_everything_that_was_ordered(here):
    deadline = deadline_after(parse("2026-12-23T15:00:00Z"), 5, "DE")
    assert iso(deadline) == "2026-12-31T23:00:00Z"  # 24, 28, 29, 30, 31 December; 25 is a holiday
    held = _place(
        here, countries=country_codes(["EU27"]), text="stop", penalty="50,000 EUR a day", deadline_at=deadline
    )
    facts = hold_facts(held, LATER)
    assert len(facts["countries"]) == 27
    assert (facts["text"], facts["penalty"], facts["deadline_at"]) == ("stop", "50,000 EUR a day", iso(deadline))
    assert facts["in_force"]
    for wrong in ("Germany", "EU", "EL", "XX"):
        with pytest.raises(InputError):
            country_codes([wrong])
    with pytest.raises(InputError, match="hold"):
        _place(here, "bad", stages=["breathing"])


@pytest.mark.parametrize(
    ("ordered", "days", "country", "until"),
    [
        ("2026-06-12", 1, None, "2026-06-16T00:00:00Z"),
        ("2026-06-11T23:30:00Z", 1, "DE", "2026-06-15T22:00:00Z"),  # it came on the 12th there, a Friday
        ("2026-06-11T21:30:00Z", 1, "DE", "2026-06-12T22:00:00Z"),
        ("2026-03-27T12:00:00Z", 1, "IE", "2026-03-30T23:00:00Z"),  # summer time begins in between
        ("2028-02-28T12:00:00Z", 1, "PT", "2028-03-01T00:00:00Z"),  # a leap day is a day
    ],
)
def test_business_days_are_those_of_the_country(ordered, days, country, until):
    assert iso(deadline_after(parse(ordered), days, country)) == until


def test_only_what_is_in_force_is_lifted(here):
    _place(here, at=LATER)
    for before, at in ((True, LATER - HOUR), (False, LATER + 2 * HOUR)):
        if not before:
            lift_hold(here.parts, "h", by=["Ann", "Bea"], reason="done", at=LATER + HOUR)
        with pytest.raises(RefusedError, match="in force"):
            lift_hold(here.parts, "h", by=["Ann", "Bea"], reason="done", at=at, renotice_at=at)
    (held,) = here.parts.registry.holds()
    assert held.lift is not None
    assert held.lift.renotice_at is None
    _place(here, at=LATER + 3 * HOUR)  # the same name again is another stop
    assert any(one.in_force(LATER + 3 * HOUR) for one in here.parts.registry.holds())
    lift_hold(here.parts, "h", by=["Ann", "Bea"], reason="done", at=LATER + 4 * HOUR)
    assert not any(one.in_force(LATER + 5 * HOUR) for one in here.parts.registry.holds())


@pytest.mark.parametrize(
    ("scope", "counted"),
    [
        ({"countries": ["PT"]}, {"c-2": 2, "c-3": 1}),
        ({"countries": ["PT"], "campaign_id": "c-3"}, {"c-3": 1}),
        ({"countries": ["PT"], "kinds": ["photo"]}, {}),
        ({"countries": ["PT"], "kinds": ["photo"], "stages": ["sending"]}, {"c-2": 2, "c-3": 1}),
        ({"countries": ["PT"], "purpose": "search"}, {}),
        ({"artefact": "0123456789abcdef"}, {}),
    ],
)
def test_the_evidence_counts_the_notices_that_the_hold_forbade_and_no_others(here, tmp_path, scope, counted):
    _place(here, at=AS_OF, **scope)
    for name in ("c-2", "c-3"):
        campaign = Campaign(name, "train-generative-ai", parse("2026-07-01"), 45, "email")
        tell(here.parts, campaign, ["agora:p-kurt", "agora:p-ana"], delivered_at=LATER, at=LATER)
    stray = Campaign("c-2", "train-generative-ai", parse("2026-07-01"), 45, "email")
    tell(here.parts, stray, ["agora:p-nowhere"], delivered_at=LATER, at=LATER)  # nobody knows where they live
    facts = evidence(here.parts, "h", at=LATER + HOUR, out=tmp_path / "e")
    assert facts["notices"] == counted


def test_a_drill_that_fails_is_over_all_the_same(here):
    (here.space.root / "current.json").write_text("[")
    with pytest.raises(DemurError):
        drill(here.parts, "d", {**SAID, "countries": ["PT"]}, by="dpo", clock=lambda: LATER)
    (placed,) = here.parts.registry.holds()
    assert placed.lift is not None

"""What people say is carried out by itself: in what is served at once, whatever runs or is killed (OBJ-06)."""

from __future__ import annotations

import os
import signal
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flow_worlds import AS_OF, CONSTANTS, LATER

from demur import erasure
from demur.clock import iso
from demur.clock import now as wall
from demur.corpus import touched
from demur.erasure import first_touched
from demur.errors import RefusedError
from demur.flows.build import plan_for
from demur.flows.erase import pending
from demur.flows.hold import place_hold, sending_stopped
from demur.flows.honour import _ROUNDS, honouring, step, train_honouring, wait
from demur.flows.parts import corpus_folder, current, model_folder
from demur.flows.verify import verify_certificate
from demur.notice.schema import CAMPAIGNS, DELIVERIES
from demur.training import open_base, read_model
from demur.wiring import open_service

pytestmark = pytest.mark.long


def now():
    """The present instant: the next look takes in whatever was recorded by then."""
    return wall()


HOLD = {"authority": "DPC", "instrument": "letter"}


def _train(here, clock=lambda: LATER):
    base = open_base(here.space.models / "base", here.space.models)
    return train_honouring(here.parts, plan_for(here.parts, base, **CONSTANTS), base, clock=clock, workers=1)


def _first_slices(here, *names):
    """Where the current corpus holds some people: shard → first slice."""
    people = [f"agora:p-{name}" for name in names]
    return first_touched(touched(corpus_folder(here.space), people, keys=here.parts.keys,
                                 names=here.parts.registry.names_of(people)))  # fmt: skip


def test_whoever_objects_before_or_during_a_training_is_out_when_it_ends_and_nobody_need_do_anything(copies):
    here = copies("untrained")
    here.object("ana")
    told = []

    def object_when_a_shard_is_done(stage, done, _total):
        if stage == "train" and done == 2 and not told:
            told.append(done)
            here.object("olga", at=next(instants))
        if stage == "merge" and len(told) == 1:  # after the last border
            told.append(done)
            here.object("gil", at=next(instants))

    object.__setattr__(here.parts, "progress", object_when_a_shard_is_done)
    instants = (LATER + timedelta(minutes=number) for number in range(1000))
    model = _train(here, lambda: next(instants))
    assert len(told) == 2
    assert not {"ana", "olga", "gil"} & here.authors()
    assert pending(here.parts) == ()
    assert model.model_digest == here.digests[1]
    assert here.clean().equal
    for path in here.space.erasures.glob("*/certificate.json"):
        checks = verify_certificate(here.parts, path)
        assert [one for one in checks if one.ok is False] == []


def test_a_hold_over_everything_is_not_answered_by_destroying_everything(copies):
    here = copies("untrained")
    place_hold(here.parts, "all", HOLD, at=LATER - timedelta(hours=1))
    with pytest.raises(RefusedError, match="the hold all stops it"):
        _train(here)
    assert here.authors()


def test_a_policy_may_leave_erasing_to_people(copies, tmp_path):
    here = copies("untrained")
    file = tmp_path / "by-hand.toml"
    file.write_text('extends = "demur-strict"\nerase_on_objection = false\n')
    from demur.flows.build import build_corpus

    build_corpus(here.parts, str(file), here.recipe(), as_of=AS_OF, known_at=AS_OF)
    here.object("olga")
    with pytest.raises(RefusedError, match="demur erase"):
        _train(here)


def test_who_comes_while_an_erasure_runs_leaves_the_served_model_before_it_ends(here):
    """The first erasure's certificate is about the model as trained; what is served lacks the second person too."""
    here.object("ana")
    served = []

    def object_in_the_replay(stage, _done, _total):
        if stage == "train" and not served:
            here.object("olga", at=LATER + timedelta(minutes=1))
            served.append(read_model(model_folder(here.space)).model_digest)
        elif stage == "train" and len(served) == 1 and read_model(model_folder(here.space)).model_digest != served[0]:
            heads = {(head.region, head.shard): head.slice for head in read_model(model_folder(here.space)).heads}
            served.append(all(heads[place] < first for place, first in _first_slices(here, "ana", "olga").items()))

    object.__setattr__(here.parts, "progress", object_in_the_replay)
    done = here.erase()
    assert served[1:] == [True]
    heads = {(head.region, head.shard): head.slice for head in read_model(model_folder(here.space)).heads}
    assert all(heads[place] < first for place, first in _first_slices(here, "olga").items())
    assert [one for one in verify_certificate(here.parts, done.certificate) if one.ok is False] == []
    assert done.model is not None
    here.erase(LATER + timedelta(hours=1))
    assert "olga" not in here.authors()
    assert here.clean().equal


@pytest.fixture
def served(here):
    """The site's parts over the same workspace, by the wall clock; the registry of the platform is closed."""
    here.parts.registry.close()
    with open_service(here.space) as service:
        yield type(here)(service.parts), service
    _ROUNDS.clear()


def test_the_site_lets_the_served_model_fall_back_and_a_child_does_the_rest(served):
    here, service = served
    assert step(service) == 0
    assert honouring(service)["state"] == "idle"
    before = read_model(model_folder(here.space)).model_digest
    here.object("olga", at=now())
    places = _first_slices(here, "olga")
    assert step(service) == 1
    rolled = read_model(model_folder(here.space))
    heads = {(head.region, head.shard): head.slice for head in rolled.heads}
    assert rolled.model_digest != before
    assert all(heads[place] < first for place, first in places.items())
    assert honouring(service)["state"] == "erasing"
    wait(service)
    here.object("ana", at=wall())
    assert step(service) == 1  # the child is over
    wait(service)
    step(service)
    facts = honouring(service)
    assert (facts["state"], facts["waiting"], facts["automatic"]) == ("idle", 0, True)
    assert not {"olga", "ana"} & here.authors()
    assert len(list(here.space.erasures.glob("*/certificate.json"))) == 2
    assert read_model(model_folder(here.space)).status == "complete"


def test_a_killed_round_is_finished_by_the_next_process(served):
    here, service = served
    here.object("olga", at=now())
    assert step(service) == 1
    child = _ROUNDS[here.space.root].child
    os.kill(child.pid, signal.SIGKILL)
    wait(service)
    assert erasure.unfinished(here.space.erasures)
    _ROUNDS.clear()  # the site starts again
    assert step(service) == 1
    wait(service)
    assert erasure.unfinished(here.space.erasures) == []
    assert "olga" not in here.authors()


def test_while_another_command_works_here_the_site_waits(served):
    here, service = served
    here.object("olga", at=now())
    with here.space.lock():
        assert step(service) == 0
    assert honouring(service)["state"] == "waiting"
    assert step(service) == 1
    wait(service)


def test_a_correction_of_facts_alone_starts_no_erasure(served):
    here, service = served
    here.parts.registry.record(
        {"type": "residence", "person_id": "agora:p-ana", "country": "DE", "valid_from": iso(AS_OF)}, recorded_at=now()
    )
    assert pending(here.parts)
    assert step(service) == 0
    assert erasure.unfinished(here.space.erasures) == []


@pytest.mark.parametrize(("bounced", "held"), [(20, False), (30, True)])
def test_a_campaign_of_which_too_much_fails_is_held(served, bounced, held):
    here, service = served
    campaign = {
        "campaign_id": "c-9", "purpose": "train-generative-ai", "countries": "[]", "channels": '["email"]',
        "effective_at": 0, "notice_days": 45, "status": "running", "status_at": 0, "policy": "demur-strict",
        "policy_digest": "d", "made_by": "x", "made_at": 0,
    }  # fmt: skip
    with service.notice.database.writing() as connection:
        connection.execute(sa.insert(CAMPAIGNS), [campaign])
        for number in range(250):
            row = {"campaign_id": "c-9", "person_id": f"p{number}", "language": "en", "channel": "email",
                   "destination": "x", "state": "bounced" if number < bounced else "accepted", "attempt": 1,
                   "not_before": 0, "state_at": 0}  # fmt: skip
            connection.execute(sa.insert(DELIVERIES), [row])
    step(service)
    assert bool(sending_stopped(here.parts, "c-9", wall() + timedelta(seconds=1)).holds) is held
    assert not here.parts.registry.restrictions_since(LATER)
    step(service)
    assert len(here.parts.registry.holds()) == held
    assert current(here.space).model

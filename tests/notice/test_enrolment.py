"""Who comes late gets a row and a clock of their own, once (PPL-03, NOT-02)."""

# ruff: noqa: F811  (fixtures are imported)
from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from campaign_worlds import T0, Watch, begin, person, rows, service, tell, watch  # noqa: F401

from demur.clock import iso
from demur.errors import BrokenError
from demur.flows import enrol, settle
from demur.flows.send import send
from demur.flows.service import Service
from demur.notice.campaigns import campaign_of


def test_people_who_grow_up_register_move_in_or_get_an_address_are_enrolled_once(
    service: Service, watch: Watch
) -> None:
    birthday = T0 + timedelta(days=3)
    person(service, "young", born_on=birthday.date().replace(year=birthday.year - 18).isoformat())
    person(service, "abroad", country="FR")
    person(service, "silent", contact=None)
    person(service, "told")
    begin(service, countries=("DE",))
    before = rows(service)
    assert {name: row.detail for name, row in before.items()} == {"young": "under_age", "silent": "no_address",
                                                                 "told": None}  # fmt: skip
    watch.turn(minutes=11)
    assert enrol.step(service) == 0
    watch.turn(days=1)
    person(service, "newcomer")
    tell(
        service,
        {"type": "residence", "person_id": "abroad", "country": "DE", "valid_from": iso(watch.now)},
        {"type": "contact", "person_id": "silent", "contact": "s@x.example"},
    )
    assert enrol.step(service) == 3
    watch.turn(days=4)
    assert enrol.step(service) == 1, "the birthday is over"
    after = rows(service)
    assert all(row.state == "waiting" for row in after.values())
    assert sorted(after) == ["abroad", "newcomer", "silent", "told", "young"]
    assert after["young"].number == before["young"].number
    watch.turn(hours=1)
    assert enrol.step(service) == 0


def test_who_comes_by_an_import_that_began_before_the_start_and_ended_after_it_is_enrolled(
    service: Service, watch: Watch
) -> None:
    began = watch()
    begin(service)
    late = {"type": "account", "account_id": "late:a", "person_id": "late"}
    service.parts.registry.record_events(
        [late, {"type": "contact", "person_id": "late", "contact": "l@x.example"}], recorded_at=began
    )
    watch.turn(minutes=11)
    enrol.step(service)
    assert set(rows(service)) == {"late"}


def test_a_campaign_that_cannot_go_on_does_not_keep_the_others(service: Service, watch: Watch) -> None:
    begin(service, "broken")
    begin(service, "whole", policy="meta-eu-2025")
    digest = campaign_of(service.notice, "broken").policy_digest
    (service.parts.workspace.policies / f"{digest}.json").unlink()
    person(service, "p1")
    watch.turn(minutes=11)
    with pytest.raises(BrokenError):
        enrol.step(service)
    assert set(rows(service, "whole")) == {"p1"}


def test_each_has_the_clock_of_their_own_delivery(service: Service, watch: Watch) -> None:
    person(service, "first")
    begin(service)
    send(service)
    settle.step(service)
    watch.turn(days=20)
    person(service, "second")
    enrol.step(service)
    send(service)
    settle.step(service)
    at = service.clock()
    told = {}
    for name in ("first", "second"):
        found = service.parts.registry.standing(name, as_of=at, known_at=at)
        assert found is not None
        told[name] = found["standing"][0]["first_delivered_at"]
    assert timedelta(days=19) < told["second"] - told["first"] < timedelta(days=21)


def test_who_objects_while_waiting_is_not_told_and_an_id_linked_later_gets_no_second_notice(
    service: Service, watch: Watch
) -> None:
    person(service, "p5")
    person(service, "no")
    begin(service)
    watch.turn(minutes=11)
    tell(service, {"type": "objection", "person_id": "no"})
    person(service, "p1")
    tell(service, {"type": "link", "person_id": "p1", "other_person_id": "p5"})
    enrol.step(service)
    found = rows(service)
    assert sorted(found) == ["no", "p5"]
    assert (found["no"].state, found["no"].detail) == ("excluded", "objected")


def test_a_paused_campaign_enrols_nobody_until_it_goes_on(service: Service, watch: Watch) -> None:
    from demur.flows import campaign

    begin(service)
    campaign.pause(service, "spring", by="ada", reason="x")
    watch.turn(days=1)
    person(service, "late")
    assert enrol.step(service) == 0
    campaign.resume(service, "spring", by="ada")
    assert enrol.step(service) == 1

"""A campaign's life: four eyes, words that cannot change, statuses that clocks and ledger follow (NOT-01, NOT-09)."""

# ruff: noqa: F811  (fixtures are imported)
from __future__ import annotations

import itertools
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from campaign_worlds import EFFECTIVE, T0, Watch, begin, opened, person, rows, service, tell, watch  # noqa: F401

from demur import clock
from demur.errors import ConfigError, InputError, RefusedError
from demur.flows import campaign, enrol, settle
from demur.flows.campaign import Plan
from demur.flows.send import send
from demur.flows.service import Service
from demur.ledger import Ledger
from demur.notice import campaigns, texts
from demur.notice.campaigns import NEXT
from demur.terms.people import CampaignStatus


def ledger_facts(service: Service) -> list[dict[str, object]]:
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        return [ledger.opening(index).facts for index in range(ledger.size)]


def known_status(service: Service, name: str = "spring") -> str:
    from demur.people.streams import campaign_rows

    with service.parts.registry._database.reading() as connection:
        at = clock.micros(service.clock())
        return str(campaign_rows(connection, at, at, at)[name]["status"])


def test_a_start_that_must_not_take_long_leaves_the_rest_to_the_worker(service: Service) -> None:
    for number in range(3):
        person(service, f"p{number}")
    campaign.draft(service, Plan("spring", EFFECTIVE), by="ada")
    campaign.approve(service, "spring", by="grace")
    assert campaign.start(service, "spring", by="ada", seconds=0.0).frozen_at is None
    while enrol.step(service):
        pass
    assert len(rows(service)) == 3
    assert campaigns.course_of(service.notice, "spring").frozen_at is not None


def test_the_author_cannot_approve_and_an_unapproved_draft_cannot_start(service: Service) -> None:
    campaign.draft(service, Plan("spring", EFFECTIVE), by="Ada")
    with pytest.raises(RefusedError, match="another person"):
        campaign.approve(service, "spring", by=" ada ")
    with pytest.raises(RefusedError, match="approve"):
        campaign.start(service, "spring", by="ada")
    campaign.approve(service, "spring", by="grace")
    with pytest.raises(RefusedError, match="cannot change"):
        campaign.draft(service, Plan("spring", EFFECTIVE), by="ada")


def test_texts_at_fault_are_named_and_cannot_be_approved(service: Service, tmp_path: Path) -> None:
    folder = texts.copy_default_texts(tmp_path / "texts")
    (folder / "en" / "subject.txt").write_text("News about our terms\n")
    found = campaign.draft(service, Plan("spring", EFFECTIVE, texts=folder), by="ada")
    assert any(fault.file == "en/subject.txt" for fault in found.faults)
    with pytest.raises(RefusedError) as refused:
        campaign.approve(service, "spring", by="grace")
    assert any("en/subject.txt" in fault for fault in refused.value.faults)


def test_a_plan_that_cannot_work_is_refused_with_all_its_faults(service: Service) -> None:
    plan = Plan("a b", T0 - timedelta(days=1), countries=("XX",), kinds=("private_message",), channels=("pigeon",),
                notice_days=90)  # fmt: skip
    with pytest.raises(InputError) as refused:
        campaign.draft(service, plan, by="ada")
    said = " ".join(refused.value.faults)
    assert all(word in said for word in ("name:", "countries:", "kinds:", "channels:", "effective:", "days:"))


def test_every_change_of_status_reaches_clocks_and_ledger_in_order(service: Service, watch: Watch) -> None:
    begin(service)
    seen = [known_status(service)]
    campaign.pause(service, "spring", by="ada", reason="a question")
    seen.append(known_status(service))
    watch.turn(hours=1)
    campaign.resume(service, "spring", by="ada")
    seen.append(known_status(service))
    campaign.cancel(service, "spring", by="ada", reason="over")
    seen.append(known_status(service))
    assert seen == ["running", "held", "running", "cancelled"]
    told = [facts["status"] for facts in ledger_facts(service) if "status" in facts]
    assert told == seen
    with pytest.raises(RefusedError, match="ended"):
        campaign.resume(service, "spring", by="ada")


def test_what_a_kill_left_untold_is_told_by_the_next_step(service: Service) -> None:
    begin(service)
    campaigns.change_status(service.notice, "spring", CampaignStatus.HELD, by="ada", at=service.clock(), reason="x")
    assert known_status(service) == "running", "killed before the registry was told"
    assert campaign.step(service) == 1
    assert known_status(service) == "held"
    assert campaign.step(service) == 0
    assert [facts["status"] for facts in ledger_facts(service) if "status" in facts] == ["running", "held"]


def test_a_status_leads_only_where_the_arrows_go(tmp_path: Path) -> None:
    with opened(tmp_path / "home", Watch()) as service:
        for now, to in itertools.product(CampaignStatus, CampaignStatus):
            campaign.draft(service, Plan(f"{now}-{to}", EFFECTIVE), by="ada")
            campaigns.mark(service.notice, f"{now}-{to}", status=now.value, approved_by="grace")
            if to is now or to in NEXT[now]:
                found = campaigns.change_status(service.notice, f"{now}-{to}", to, by="ada", at=service.clock())
                assert found.campaign.status is to
            else:
                with pytest.raises(RefusedError):
                    campaigns.change_status(service.notice, f"{now}-{to}", to, by="ada", at=service.clock())


def test_a_site_that_people_reach_sends_no_notice_into_a_folder(service: Service) -> None:
    """A file in the outbox has told nobody: it must start nobody's clock."""
    person(service, "p1")
    begin(service)
    reached = replace(service, site=replace(service.site, origin="https://privacy.agora.example"))
    with pytest.raises(ConfigError, match="relay"):
        send(reached)
    assert rows(service)["p1"].state == "waiting"
    assert send(service).accepted == 1


def test_without_a_relay_only_what_goes_by_mail_waits(service: Service) -> None:
    person(service, "p1")
    begin(service)
    begin(service, "summer", channels=("inapp",))
    begin(service, "autumn", channels=("inapp", "email"))
    reached = replace(service, site=replace(service.site, origin="https://privacy.agora.example"))
    assert send(reached).accepted == 2
    states = {name: rows(service, name)["p1"].state for name in ("spring", "summer", "autumn")}
    assert states == {"spring": "waiting", "summer": "accepted", "autumn": "accepted"}
    with pytest.raises(ConfigError, match="relay"):
        send(reached, "spring")
    assert send(service).accepted == 1


def test_a_paused_campaign_sends_nothing_and_its_notices_start_no_clock(service: Service) -> None:
    person(service, "p1")
    begin(service)
    campaign.pause(service, "spring", by="ada", reason="x")
    assert send(service).total == 0
    campaign.resume(service, "spring", by="ada")
    assert send(service).accepted == 1
    settle.step(service)
    at = service.clock()
    found = service.parts.registry.standing("p1", as_of=at, known_at=at)
    assert found is not None
    assert found["standing"][0]["first_delivered_at"] is not None
    campaign.pause(service, "spring", by="ada", reason="x")
    at = service.clock()
    found = service.parts.registry.standing("p1", as_of=at, known_at=at)
    assert found is not None
    assert found["standing"][0]["first_delivered_at"] is None


def test_an_ended_campaign_stops_what_waits_forgets_addresses_and_a_later_one_starts_afresh(service: Service) -> None:
    person(service, "p1")
    begin(service)
    send(service)
    person(service, "p2")
    service.clock.turn(minutes=20)  # type: ignore[attr-defined]
    assert enrol.step(service) == 1
    number = rows(service)["p1"].number
    campaign.cancel(service, "spring", by="ada", reason="over")
    while campaign.step(service):
        pass
    found = rows(service)
    assert (found["p1"].state, found["p2"].state) == ("accepted", "stopped")
    assert found["p1"].number == number, "the link keeps working"
    assert all(row.address is None and row.fallback is None for row in found.values())
    tell(service, {"type": "objection", "person_id": "p1", "door": "link"})
    begin(service, "autumn")
    again = rows(service, "autumn")
    assert (again["p1"].state, again["p1"].detail) == ("excluded", "objected"), "a no outlives the campaign"
    assert again["p2"].state == "waiting"


def test_a_campaign_takes_effect_when_its_date_has_come_and_nothing_waits(service: Service, watch: Watch) -> None:
    person(service, "p1")
    begin(service)
    watch.turn(days=61)
    campaign.step(service)
    assert campaigns.campaign_of(service.notice, "spring").status is CampaignStatus.RUNNING, "one waits"
    send(service)
    campaign.step(service)
    assert campaigns.campaign_of(service.notice, "spring").status is CampaignStatus.EFFECTIVE
    assert known_status(service) == "effective"


def test_a_material_change_says_which_kinds_are_new(service: Service) -> None:
    begin(service, kinds=("voice",))
    begin(service, "second")
    from demur.people.streams import campaign_rows

    with service.parts.registry._database.reading() as connection:
        at = clock.micros(service.clock())
        found = campaign_rows(connection, at, at, at)
    assert found["spring"]["kinds"] == ["voice"]
    assert found["second"]["kinds"] is None

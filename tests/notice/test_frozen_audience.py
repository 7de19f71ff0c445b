"""Everybody of the audience has exactly one row; who is not told has a reason (NOT-01, NOT-05)."""

# ruff: noqa: F811  (fixtures are imported)
from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from campaign_worlds import EFFECTIVE, T0, Watch, begin, person, rows, service, tell, watch  # noqa: F401

from demur.flows import campaign, enrol
from demur.flows.campaign import Plan
from demur.flows.service import Service
from demur.notice import campaigns
from demur.notice.audience import Rules, write_rows
from demur.notice.languages import OFFICIAL, choose
from demur.people import audience
from demur.terms.notice import Campaign
from demur.terms.people import CampaignStatus, Candidate

CASES: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({}, {}, "waiting"),
    ({"born_on": 2010}, {}, "under_age"),
    ({"born_on": None}, {}, "age_unknown"),
    ({"contact": None}, {}, "no_address"),
    ({"contact": None}, {"channels": ("email", "inapp")}, "waiting"),
    ({"contact": None, "status": "dormant"}, {"channels": ("inapp",)}, "account_status"),
    ({"status": "deleted"}, {}, "account_status"),
    ({"status": None}, {}, "waiting"),
    ({"language": "xx", "country": "TR"}, {}, "missing_translation"),
    ({"language": None, "country": None}, {}, "missing_translation"),
    ({"language": "xx", "country": "DE"}, {}, "waiting"),
    ({"country": "FR"}, {"countries": ("DE",)}, "absent"),
    ({"country": None}, {"countries": ("DE",)}, "waiting"),
]


def test_each_person_is_told_or_left_out_for_a_reason(service: Service) -> None:
    for place, (who, _, _) in enumerate(CASES):
        person(service, f"p{place:02d}", **who)
    person(service, "said-no")
    tell(service, {"type": "objection", "person_id": "said-no"})
    person(service, "no-photos")
    tell(service, {"type": "objection", "person_id": "no-photos", "kinds": ["photo"]})
    names = {repr(plan): f"c{place}" for place, (_, plan, _) in reversed(list(enumerate(CASES)))}
    for place, (_, plan, _) in enumerate(CASES):
        if names[repr(plan)] == f"c{place}":
            begin(service, f"c{place}", **plan)
    for place, (who, plan, state) in enumerate(CASES):
        row = rows(service, names[repr(plan)]).get(f"p{place:02d}")
        found = "absent" if row is None else row.detail or row.state
        assert found == state, (who, plan)
    first = rows(service, "c0")
    assert len(first) == len(CASES) + 2
    assert first["said-no"].detail == "objected"
    assert first["no-photos"].state == "waiting"
    begin(service, "photos", kinds=("photo",))
    assert rows(service, "photos")["no-photos"].detail == "objected"
    assert all(row.address is None for row in first.values() if row.state == "excluded")


def test_the_next_channel_is_kept_for_a_bounce_and_a_bounced_address_is_not_tried_again(service: Service) -> None:
    person(service, "p1")
    person(service, "p2")
    tell(service, {"type": "notice", "person_id": "p2", "campaign_id": "old", "channel": "email", "state": "bounced"})
    begin(service, channels=("email", "inapp"))
    found = rows(service)
    assert (found["p1"].channel, found["p1"].destination) == ("email", "x.example")
    assert orjson.loads(found["p1"].fallback) == [["inapp", None, "inapp"]]
    assert (found["p2"].channel, found["p2"].fallback) == ("inapp", None)
    begin(service, "mail", channels=("email",))
    assert rows(service, "mail")["p2"].detail == "bounced_before"


def test_one_human_being_with_two_ids_gets_one_notice(service: Service) -> None:
    person(service, "p1")
    person(service, "p2")
    tell(service, {"type": "link", "person_id": "p1", "other_person_id": "p2"})
    begin(service)
    assert list(rows(service)) == ["p1"]


def test_a_preview_counts_what_the_start_writes_and_writes_nothing(service: Service) -> None:
    for place, (who, _, _) in enumerate(CASES):
        person(service, f"p{place:02d}", **who)
    campaign.draft(service, Plan("spring", EFFECTIVE), by="ada")
    seen = campaign.preview(service, "spring")
    assert rows(service) == {}
    campaign.approve(service, "spring", by="grace")
    campaign.start(service, "spring", by="ada")
    facts = campaign.status(service, "spring")
    assert (seen.people, seen.told) == (facts["audience"], facts["waiting"])
    assert dict(seen.excluded) == facts["excluded"]


def test_a_freeze_that_was_killed_goes_on_and_ends_the_same(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in range(9):
        person(service, f"p{place}")
    tell(service, {"type": "link", "person_id": "p3", "other_person_id": "p7"})
    monkeypatch.setattr(audience, "RANGE", 5)
    campaign.draft(service, Plan("spring", EFFECTIVE), by="ada")
    campaign.approve(service, "spring", by="grace")
    campaigns.change_status(service.notice, "spring", CampaignStatus.RUNNING, by="ada", at=service.clock())
    assert enrol.freeze(service, "spring", go_on=lambda: False) > 0
    half = rows(service)
    assert 0 < len(half) < 8
    numbers = {name: row.number for name, row in half.items()}
    assert enrol.step(service) > 0
    whole = rows(service)
    assert sorted(whole) == ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p8"]
    assert {name: whole[name].number for name in numbers} == numbers
    assert campaigns.course_of(service.notice, "spring").frozen_at is not None
    assert enrol.step(service) == 0


def test_writing_a_row_twice_is_writing_it_once_and_a_sent_one_never_changes(service: Service) -> None:
    person(service, "p1")
    begin(service)
    rules = enrol.rules_of(service, campaigns.campaign_of(service.notice, "spring"), service.clock())
    (one,) = (one for batch in service.parts.registry.candidates(["p1"], as_of=service.clock()) for one in batch)
    moved = rules.row(one._replace(contact="new@y.example"))
    assert moved is not None
    assert write_rows(service.notice, "spring", [moved], at=service.clock()) == 0
    assert write_rows(service.notice, "spring", [moved], at=service.clock(), again=True) == 1
    assert write_rows(service.notice, "spring", [moved], at=service.clock(), again=True) == 0
    assert rows(service)["p1"].address == "new@y.example"
    from demur.flows.send import send

    send(service)
    assert write_rows(service.notice, "spring", [moved._replace(address="z@y.example")], at=service.clock(),
                      again=True) == 0  # fmt: skip


COUNTRIES = st.lists(st.sampled_from(["DE", "BE", "IE", "TR"]), max_size=2, unique=True).map(tuple)
CANDIDATES = st.builds(
    Candidate,
    person_id=st.just("p"),
    countries=COUNTRIES,
    language=st.none() | st.sampled_from(["de", "de-AT", "tr", "ga"]),
    contact=st.none() | st.just("a@b.example"),
    bounced=st.booleans(),
    born_on=st.none() | st.integers(9_000, 11_000),
    age_conflict=st.booleans(),
    statuses=st.lists(st.none() | st.sampled_from(["active", "deleted"]), min_size=1, max_size=2).map(tuple),
    objected=st.booleans(),
    objected_kinds=st.lists(st.sampled_from(["photo", "voice"]), max_size=2, unique=True).map(tuple),
)


@settings(max_examples=100, deadline=None)
@given(one=CANDIDATES, texts=st.sets(st.sampled_from(["de", "en", "nl"])), channels=st.permutations(["email", "inapp"]))
def test_nobody_protected_is_told_and_nobody_tellable_is_left_out(
    one: Candidate, texts: set[str], channels: list[str]
) -> None:
    announced = Campaign("c", "ai", frozenset({"DE", "BE", "IE"}), None, tuple(channels), EFFECTIVE, 45,
                         CampaignStatus.RUNNING, "p", "0" * 64, "ada", T0)  # fmt: skip
    row = Rules(announced, texts, lambda _: 10_000, frozenset({"active"})).row(one)
    if row is None:
        assert one.countries == ("TR",)
        return
    reads = choose(one.language, one.countries, {text: text for text in texts}, OFFICIAL)
    grown = one.born_on is not None and one.born_on <= 10_000 and not one.age_conflict
    way = (one.contact and not one.bounced) or "active" in one.statuses
    may = not one.objected and grown and set(one.statuses) != {"deleted"} and reads is not None and bool(way)
    assert (row.state == "waiting") == may
    assert (row.detail is None) == may
    if may:
        assert row.language == reads
        assert (row.address is None) == (row.channel == "inapp")


@pytest.mark.parametrize(
    ("language", "countries", "texts", "chosen"),
    [
        ("no", [], {"nb": "nb"}, "nb"),
        (None, ["NO"], {"nn": "nn"}, "nn"),
        ("pt-BR", [], {"pt": "pt"}, "pt"),
        ("PT_br", [], {"pt-br": "pt-BR", "pt": "pt"}, "pt-BR"),
        (None, ["BE"], {"fr": "fr", "de": "de"}, "fr"),
        ("en", ["DE"], {"de": "de"}, "de"),
        (None, ["ZZ"], {"en": "en"}, None),
    ],
)
def test_the_persons_language_comes_first_then_their_countrys(
    language: str | None, countries: list[str], texts: dict[str, str], chosen: str | None
) -> None:
    assert choose(language, countries, texts, OFFICIAL) == chosen

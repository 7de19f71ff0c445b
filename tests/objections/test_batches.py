"""Objections in one transaction: nobody is lost or stands twice, and no stranger's no hides a person's own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from demur.objections.bulk import read_lines
from demur.objections.signals import read_at_declaration
from demur.people import Registry, Told, place_of
from demur.terms.people import Act

AT = datetime(2026, 10, 1, 12, tzinfo=UTC)
LATER = AT + timedelta(days=1)


@pytest.fixture
def registry(url: str) -> Iterator[Registry]:
    with Registry(url) as found:
        found.migrate()
        told: list[dict[str, Any]] = [
            {"type": "account", "account_id": "a:1", "person_id": "ann"},
            {"type": "account", "account_id": "a:2", "person_id": "ann2"},
            {"type": "link", "person_id": "ann", "other_person_id": "ann2", "valid_at": "2020-01-01"},
            {"type": "account", "account_id": "b:1", "person_id": "bob"},
            {"type": "profile", "account_id": "b:1", "handle": "@bob"},
            {"type": "contact", "person_id": "bob", "contact": "bob@example.org"},
            {"type": "residence", "person_id": "bob", "country": "SE", "valid_from": "2020-01-01"},
            {"type": "signal", "account_id": "b:1", "signal": "y", "valid_at": "2020-01-01"},
            {"type": "signal", "account_id": "b:1", "signal": "n", "valid_at": "2024-01-01"},
            {"type": "signal", "account_id": "a:1", "signal": "n", "valid_at": "2020-01-01"},
            {"type": "signal", "account_id": "a:1", "signal": "y", "valid_at": "2024-01-01"},
        ]
        assert not found.record_events(told, recorded_at=AT - timedelta(days=9)).faulty
        yield found


def test_a_batch_with_repeats_of_linked_ids_is_one_objection(registry: Registry) -> None:
    told = [Told("link", person_id=person, objection_id=f"O-{n}") for n, person in enumerate(["ann", "ann2", "ann"])]
    kept = registry.record_objections(told, recorded_at=AT)
    assert [one.repeated for one in kept] == [False, True, True]
    assert {one.objection_id for one in kept} == {"O-0"}
    assert registry.objections_of("ann2") == registry.objections_of("ann")


def test_scopes_add_up_and_a_narrow_one_after_a_wide_one_is_a_repeat(registry: Registry) -> None:
    narrow, wide = Told("web", person_id="bob", kinds=("photo",)), Told("web", person_id="bob")
    kept = registry.record_objections([narrow, wide, narrow], recorded_at=AT)
    assert [one.repeated for one in kept] == [False, False, True]
    (unknown,) = registry.record_objections([Told("web", person_id="ann", kinds=("photo", "wat"))], recorded_at=AT)
    assert unknown.kinds is None


def test_a_closed_door_is_recorded_beside_an_open_one(registry: Registry) -> None:
    opened, closed = Told("one_click", person_id="bob"), Told("staff", person_id="bob")
    kept = registry.record_objections([opened, closed, opened, closed], recorded_at=AT)
    assert [one.repeated for one in kept] == [False, False, True, True]
    assert registry.take_back_open("bob", recorded_at=LATER, reference="W-1") is None
    assert len(registry.objections_of("bob")) == 2


def test_a_no_from_the_future_counts_now_and_delays_no_other(registry: Registry) -> None:
    (now,) = registry.record_objections([Told("signal", LATER, "bob")], recorded_at=AT)
    assert now.said_at == AT
    event = {"type": "objection", "act": "object", "person_id": "ann", "objection_id": "O-file", "door": "bulk"}
    registry.record({**event, "valid_at": "2027-01-01"}, recorded_at=AT - timedelta(days=1))
    (own,) = registry.record_objections([Told("web", person_id="ann")], recorded_at=AT)
    assert (own.repeated, own.said_at) == (False, AT)


def test_taking_back_lets_a_later_no_stand_even_at_the_same_instant(registry: Registry) -> None:
    registry.record_objections([Told("link", person_id="bob")], recorded_at=AT)
    undone = registry.take_back_open("bob", recorded_at=AT, reference="W-1")
    assert undone is not None
    assert undone.act is Act.WITHDRAW
    assert registry.take_back_open("bob", recorded_at=AT, reference="W-2") is None
    (again,) = registry.record_objections([Told("link", person_id="bob")], recorded_at=AT)
    assert not again.repeated
    assert registry.objections_of("bob") == [again]
    standing = registry.standing("bob", as_of=LATER, known_at=LATER)
    assert standing is not None
    assert standing["standing"][0]["objected"]


def test_a_withdrawal_by_whoever_held_the_account_is_void(registry: Registry) -> None:
    registry.record_objections([Told("web", person_id="bob")], recorded_at=AT)
    window = {
        "type": "compromise",
        "account_id": "b:1",
        "valid_from": "2026-10-01T12:00:00Z",
        "valid_until": "2026-10-03",
    }
    registry.record(window, recorded_at=LATER)
    registry.take_back("bob", recorded_at=LATER, reference="W-1")
    assert registry.objections_of("bob")


def test_claims_are_matched_or_wait(registry: Registry) -> None:
    claims = [{"account_id": "b:1"}, {"handle": "bob"}, {"contact": "bob@example.org"}, {"contact": "x@example.org"}]
    kept = registry.record_objections([Told("api", claim=claim) for claim in claims], recorded_at=AT)
    assert [one.person_id for one in kept] == ["bob", "bob", "bob", None]
    assert registry.objection(kept[3].objection_id) == kept[3]
    registry.match_objection(kept[3].objection_id, "ann", recorded_at=LATER)
    found = registry.objection(kept[3].objection_id)
    assert found is not None
    assert (found.person_id, found.said_at) == ("ann", AT)


def test_pages_show_every_event_once(registry: Registry) -> None:
    told = [Told("bulk", person_id=f"p{number}") for number in range(7)]
    told += [Told("bulk", claim={"contact": f"c{number}"}) for number in range(5)]
    registry.record_objections(told, recorded_at=AT)
    seen: list[str] = []
    after = None
    while page := registry.objections_page(after, rows=3):
        seen += [one.event_id for one in page]
        after = place_of(page[-1])
    assert len(seen) == len(set(seen)) == 12


def test_how_people_are_written_to(registry: Registry) -> None:
    found = registry.reach(["bob", "ann", "nobody"])
    assert (found["bob"].contact, found["bob"].country, found["bob"].accounts) == ("bob@example.org", "SE", ("b:1",))
    assert found["ann"].accounts == ("a:1", "a:2")
    assert found["nobody"].contact is None


def test_the_newest_flag_of_a_profile_counts(registry: Registry) -> None:
    assert registry.signalling() == ["bob"]


# Lists and signals, without a database --------------------------------------------------------------------------------


def test_lists_are_read_whatever_they_look_like() -> None:
    found = list(read_lines("\ufeffHandle,Said_At,kinds\n@a,2026-01-01,\n\n@b,yesterday,photo; reel\n,,\n"))
    assert [dict(one.claim) for one in found] == [{"handle": "@a"}, {"handle": "@b"}, {}]
    assert (found[0].said_at, found[1].said_at, found[1].kinds) == (
        datetime(2026, 1, 1, tzinfo=UTC), None, ("photo", "reel"),
    )  # fmt: skip
    lines = list(read_lines('{"account_id": "m:1"}\nnonsense\n{"kinds": 4, "contact": "a@b"}\n'))
    assert [dict(one.claim) for one in lines] == [{"account_id": "m:1"}, {}, {"contact": "a@b"}]
    assert [one.number for one in lines] == [1, 2, 3]


@pytest.mark.parametrize(
    ("record", "refuses"),
    [
        ({"syntheticContentGeneration": {"allow": False, "updatedAt": "2026-01-01T00:00:00Z"}}, True),
        ({"syntheticContentGeneration": {"allow": True}}, False),
        ({"syntheticContentGeneration": {"allow": "false"}}, False),
        ({"bulkDataset": {"allow": False}}, False),
        ({"$type": "app.bsky.feed.post", "syntheticContentGeneration": {"allow": False}}, False),
        ({}, False),
    ],
)
def test_only_an_explicit_refusal_is_one(record: dict[str, Any], refuses: bool) -> None:
    found = read_at_declaration(record)
    assert (found is not None) == refuses
    if found is not None:
        assert found.said_at == datetime(2026, 1, 1, tzinfo=UTC)

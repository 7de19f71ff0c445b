"""Whom a campaign may have to tell: the quick way of reading equals the standing, on every database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demur.clock import adult_at, iso
from demur.people import Registry, audience
from demur.people.instants import day, days
from demur.terms.people import Candidate

from .test_laws import ACCOUNTS, HISTORIES, INSTANTS, LAW, PEOPLE, T0, Event, Fresh, _at, _event, record

MORE = st.lists(
    st.one_of(
        _event("contact", person_id=PEOPLE, contact=st.sampled_from(["a@x.example", "b@x.example"]),
               valid_at=st.none() | INSTANTS),
        _event("profile", account_id=ACCOUNTS, language=st.sampled_from(["de", "fr"]), valid_at=st.none() | INSTANTS),
        _event("account", account_id=ACCOUNTS, person_id=PEOPLE, valid_at=st.none() | INSTANTS),
        _event("status", account_id=ACCOUNTS, status=st.sampled_from(["active", "deleted"]), valid_at=INSTANTS),
        _event("age", person_id=PEOPLE, born_on=st.sampled_from([1980, 1990]), source=st.just("declared")),
    ),
    max_size=12,
)  # fmt: skip
IDS = ("m:1", "m:2", "m:3", "m:p", "m:q", "m:r")


def everybody(registry: Registry, at: datetime, **more: Any) -> list[Candidate]:
    return [one for batch, _ in registry.audience(as_of=at, **more) for one in batch]


@LAW
@given(history=HISTORIES, more=MORE, known=st.integers(0, 8))
def test_the_audience_is_everybody_whom_the_standing_could_let_in(
    fresh: Fresh, history: list[Event], more: list[Event], known: int
) -> None:
    registry = fresh()
    record(registry, [*history, *more])
    at = T0 + timedelta(days=known)
    found = everybody(registry, at)
    heads = {one.person_id: one for one in found}
    assert len(heads) == len(found), "one human being, one notice"
    groups = registry.linked_groups(at)
    for group in groups.values():
        assert sum(member in heads for member in group) <= 1
    for person in IDS:
        standing = registry.standing(person, as_of=at, known_at=at)
        if standing is None or not standing["accounts"]:
            continue
        row = standing["standing"][0]
        one = next((heads[member] for member in groups.get(person, [person]) if member in heads), None)
        assert one is not None, "nobody who has an account is missing"
        assert set(one.countries) == set(row["countries_now"])
        assert (None if one.born_on is None else day(one.born_on)) == row["born_on"]
        assert one.age_conflict == row["age_conflict"]
        everything = row["objected"] and row["objected_kinds"] is None and row["objected_services"] is None
        assert one.objected == everything
        assert set(one.objected_kinds) <= set(row["objected_kinds"] or ())
        assert {account["status"] for account in standing["accounts"]} <= set(one.statuses)
        assert one.language == row["language"]


@LAW
@given(history=HISTORIES, more=MORE, size=st.integers(1, 5), after=st.sampled_from(["", *IDS]))
def test_neither_the_size_of_a_range_nor_going_on_changes_who_is_found(
    fresh: Fresh, history: list[Event], more: list[Event], size: int, after: str
) -> None:
    registry = fresh()
    record(registry, [*history, *more])
    whole = everybody(registry, T0)
    before = audience.RANGE
    audience.RANGE = size
    try:
        assert sorted(everybody(registry, T0)) == sorted(whole)
        rest = everybody(registry, T0, after=after)
    finally:
        audience.RANGE = before
    assert {one for one in whole if one.person_id > after} <= set(rest) <= set(whole)
    some = [one for batch in registry.candidates(IDS, as_of=T0) for one in batch]
    assert sorted(some) == sorted(whole), "asked for by name they are the same"


def person(registry: Registry, name: str, **more: Any) -> None:
    """One ordinary adult in Germany."""
    record(
        registry,
        [
            {"type": "account", "account_id": f"{name}:a", "person_id": name, "recorded_at": _at(-9)},
            {"type": "age", "person_id": name, "born_on": more.get("born_on", 1980), "source": "declared",
             "recorded_at": _at(-9)},
            {"type": "residence", "person_id": name, "country": "DE", "recorded_at": _at(-9)},
            {"type": "contact", "person_id": name, "contact": f"{name}@x.example", "recorded_at": _at(-9)},
        ],
    )  # fmt: skip


def notice(name: str, state: str, day_: int, channel: str = "email") -> Event:
    return {"type": "notice", "person_id": name, "campaign_id": "c", "channel": channel, "state": state,
            "valid_at": _at(day_), "recorded_at": _at(day_)}  # fmt: skip


@pytest.mark.parametrize(
    ("events", "bounced"),
    [
        ([], False),
        ([notice("p", "bounced", -3)], True),
        ([notice("p", "bounced", -3, "in_app")], False),
        ([notice("p", "bounced", -3), notice("p", "delivered", -2)], False),
        ([notice("p", "delivered", -3), notice("p", "bounced", -2)], True),
    ],
)
def test_an_address_that_bounced_is_known_until_mail_arrives_again(
    registry: Registry, events: list[Event], bounced: bool
) -> None:
    person(registry, "p")
    record(registry, events)
    (one,) = everybody(registry, T0)
    assert one.bounced is bounced
    (again,) = (one for batch in registry.candidates(["p"], as_of=T0) for one in batch)
    assert again.bounced is bounced


def test_a_new_address_forgets_the_bounce_of_the_old_one(registry: Registry) -> None:
    person(registry, "p")
    record(registry, [notice("p", "bounced", -3)])
    told = {"type": "contact", "person_id": "p", "contact": "new@x.example", "valid_at": _at(-2)}
    record(registry, [{**told, "recorded_at": _at(-2)}])
    (one,) = everybody(registry, T0)
    assert (one.contact, one.bounced) == ("new@x.example", False)


def test_who_came_of_age_or_was_told_of_since_is_found_without_reading_everybody(registry: Registry) -> None:
    born = date(2007, 6, 3)
    person(registry, "young", born_on=born.isoformat())
    person(registry, "old")
    since, until = T0, adult_at(born, 18)
    assert registry.changed_between(since, until - timedelta(microseconds=1)) == []
    assert registry.changed_between(since, until) == ["young"]
    record(registry, [{"type": "status", "account_id": "old:a", "status": "active", "recorded_at": iso(until)}])
    assert registry.changed_between(since, until) == ["old", "old:a", "young"]
    assert registry.changed_between(until, until + timedelta(days=1)) == []


def test_days_are_days() -> None:
    assert day(days(date(2025, 1, 1))) == datetime(2025, 1, 1, tzinfo=UTC).date()

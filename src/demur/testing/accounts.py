"""A person's rows for the people table and events for the registry, in the form that its import reads.

An account row says what the platform knew when the person registered; everything later is an event. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

from demur.testing.cast import (
    CAMPAIGN,
    CANCELLED_CAMPAIGN,
    EFFECTIVE_DAYS,
    NOTICE_DAYS,
    PURPOSE,
    START_DAYS,
    Profile,
    World,
    place_text,
)
from demur.testing.truth import HELD_COUNTRY, HELD_KIND

Event = dict[str, Any]


def account_rows(who: Profile) -> Iterator[dict[str, Any]]:
    """Yield the rows of a person's accounts, one more for each move that the platform noticed.

    The columns are those of PEOPLE but version_id, source and imported_at.
    """
    for service in who.services:
        first = _account(who, service)
        yield first
        if who.observed_homes:
            for home in who.homes[1:]:
                yield {**first, "version_at": home.valid_from, "country": home.country, "place": None}


def _account(who: Profile, service: str) -> dict[str, Any]:
    return {
        "account_id": who.account(service),
        "version_at": who.joined_at,
        "service": service,
        "person_hint": who.hint,
        "handle": who.handle,
        "former_handles": list(who.former_handles) or None,
        "display_name": who.name,
        "contact": who.contact,
        "place": place_text(who),
        "country": who.country,
        "residence_source": "registration" if who.country else None,
        "born_on": who.born_on if who.special_age in {None, "corrected"} else None,
        "age_source": who.age_source,
        "status": who.status,
        "private": who.private,
        "created_at": who.joined_at,
        "last_active_at": who.last_active_at,
        "language": who.tag,
        "signal": who.signal,
        "signal_origin": "profile-setting" if who.signal else None,
    }


def campaign_events(world: World) -> list[Event]:
    """Return the events of campaigns and holds, which belong to no person."""
    start, old = world.days(START_DAYS + 2), world.days(505)
    return [
        _campaign(CANCELLED_CAMPAIGN, old, world.days(440)),
        _event("campaign_status", old, campaign_id=CANCELLED_CAMPAIGN, status="running"),
        _event("campaign_status", world.days(480), campaign_id=CANCELLED_CAMPAIGN, status="cancelled"),
        _campaign(CAMPAIGN, start, world.days(EFFECTIVE_DAYS)),
        _event("campaign_status", start, campaign_id=CAMPAIGN, status="running"),
        _event("campaign_status", world.days(EFFECTIVE_DAYS), campaign_id=CAMPAIGN, status="effective"),
        _hold("hold-1", "place", world.days(30), [HELD_COUNTRY], [HELD_KIND]),
        _hold("hold-2", "place", world.days(200), ["PL"], None),
        _hold("hold-2", "lift", world.days(150), ["PL"], None),
    ]


def events(world: World, who: Profile) -> list[Event]:
    """Return all events of a person, those later than ``as_of`` included, in the order in which they were recorded."""
    made = [
        *_notices(who),
        *_objections(who),
        *_ages(world, who),
        *_homes(who),
        *_ownership(who),
        *_consents(world, who),
    ]
    return sorted(made, key=lambda event: (event["recorded_at"], event["type"]))


def _notices(who: Profile) -> Iterator[Event]:
    for campaign, state, at in who.delivered:
        yield _event(
            "notice", at, person_id=who.person(), campaign_id=campaign, channel="email", state=state, later_minutes=5
        )


def _objections(who: Profile) -> Iterator[Event]:
    for number, (act, at, kinds, services) in enumerate(who.objections):
        first = 0 if act == "withdraw" else number
        yield _event(
            "objection",
            at,
            person_id=who.person(),
            objection_id=f"obj-{who.index}-{first}",
            act=act,
            kinds=list(kinds) if kinds else None,
            services=list(services) if services else None,
            door=("web", "one_click", "api", "staff")[who.index % 4],
        )


def _ages(world: World, who: Profile) -> Iterator[Event]:
    if who.special_age == "estimated":
        yield _age(who.person(), world.days(300), who.born_on, "estimated")
    if who.special_age == "conflict":
        yield _age(who.person(), world.days(300), who.born_on, "declared")
        yield _age(who.person(), world.days(200), world.days(365.25 * 15).date(), "estimated")
    if who.special_age == "corrected":  # found out only after the model was trained
        yield _age(who.person(), world.days(-10), world.days(365.25 * 16).date(), "verified")


def _homes(who: Profile) -> Iterator[Event]:
    for home in () if who.observed_homes else who.homes:
        yield {
            "type": "residence",
            "person_id": who.person(),
            "country": home.country,
            "valid_from": home.valid_from,
            "valid_until": home.valid_until,
            "recorded_at": home.valid_from or who.joined_at,
        }


def _ownership(who: Profile) -> Iterator[Event]:
    first, *others = who.services
    for service in others:
        yield _event("link", who.joined_at, person_id=who.person(first), other_person_id=who.person(service))
    if who.compromised is not None:
        begin, end = who.compromised
        for service in who.services:
            yield {
                "type": "compromise",
                "account_id": who.account(service),
                "valid_from": begin,
                "valid_until": end,
                "recorded_at": end,
            }
    if who.transferred_at is not None:
        following = f"{who.person()}-next"
        yield _event("transfer", who.transferred_at, account_id=who.account(), person_id=following)
        yield _age(following, who.transferred_at, who.next_born_on, "declared")


def _consents(world: World, who: Profile) -> Iterator[Event]:
    if who.case == "consented":
        yield _event("consent", world.days(100), person_id=who.person(), purpose=PURPOSE, act="consent")
        if who.index % 3 == 0:
            yield _event("consent", world.days(50), person_id=who.person(), purpose=PURPOSE, act="revoke")


def _age(person: str, at: datetime, born_on: date | None, source: str) -> Event:
    return {"type": "age", "person_id": person, "born_on": born_on, "source": source, "recorded_at": at}


def _campaign(name: str, at: datetime, effective_at: datetime) -> Event:
    return {
        "type": "campaign",
        "campaign_id": name,
        "purpose": PURPOSE,
        "effective_at": effective_at,
        "notice_days": NOTICE_DAYS,
        "countries": None,
        "recorded_at": at,
    }


def _hold(name: str, act: str, at: datetime, countries: list[str], kinds: list[str] | None) -> Event:
    return _event(
        "hold",
        at,
        hold_id=name,
        act=act,
        countries=countries,
        kinds=kinds,
        authority="Made-up Data Protection Authority",
        instrument=f"letter {name}",
        by=["first officer", "second officer"] if act == "lift" else None,
    )


def _event(type_: str, at: datetime, later_minutes: int = 0, **fields: Any) -> Event:
    return {"type": type_, "valid_at": at, "recorded_at": at + timedelta(minutes=later_minutes), **fields}

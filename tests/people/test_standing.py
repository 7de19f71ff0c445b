"""What the standing says, case by case: REQUIREMENTS §4 and the rows PPL, NOT and OBJ that concern it.

T0 is 1 June 2025. A case is a list of events; days are relative to T0; ``recorded`` is the day of knowledge (default: long before).
"""

# ruff: noqa: E501  (a case is easier to read on few lines)
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from demur.clock import iso
from demur.people import Registry
from demur.policy.facts import notified_at

T0 = datetime(2025, 6, 1, tzinfo=UTC)
P = "m:p"
Event = dict[str, Any]


def at(day: int) -> datetime:
    return T0 + timedelta(days=day)


def event(kind: str, *, recorded: int = -900, **members: Any) -> Event:
    """Return an event; whole numbers in instants are days from T0."""
    instants = {"valid_at", "valid_from", "valid_until", "effective_at", "created_from"}
    read = {name: iso(at(value)) if name in instants else value for name, value in members.items()}
    return {"type": kind, "recorded_at": iso(at(recorded)), **read}


def lives(country: str | None, start: int, end: int | None = None, *, recorded: int = -900) -> Event:
    span = {"valid_from": start} if end is None else {"valid_from": start, "valid_until": end}
    return event("residence", person_id=P, country=country, recorded=recorded, **span)


def born(on: object, source: str = "declared", *, recorded: int = -900) -> Event:
    return event("age", person_id=P, born_on=on, source=source, recorded=recorded)


def says(act: str, day: int, *, recorded: int | None = None, **scope: Any) -> Event:
    return event(
        "objection", person_id=P, act=act, valid_at=day, recorded=day if recorded is None else recorded, **scope
    )


def status(word: str, day: int, *, recorded: int | None = None) -> Event:
    return event("status", account_id="m:1", status=word, valid_at=day, recorded=day if recorded is None else recorded)


def notice(state: str, day: int, *, campaign: str = "c", channel: str = "email", recorded: int | None = None) -> Event:
    return event("notice", person_id=P, campaign_id=campaign, channel=channel, state=state, valid_at=day,
                 recorded=day if recorded is None else recorded)  # fmt: skip


def campaign(name: str = "c", effective: int = -10) -> list[Event]:
    return [
        event("campaign", campaign_id=name, purpose="ai", effective_at=effective),
        event("campaign_status", campaign_id=name, status="running", valid_at=-200),
    ]


OWNER = event("account", account_id="m:1", person_id=P)
ACTIVE = event("status", account_id="m:1", status="active", valid_at=-900)
HACKED = event("compromise", account_id="m:1", valid_from=-20, valid_until=-10)

CASES: list[tuple[str, list[Event], dict[str, Any]]] = [
    # §4 moves and residences
    ("moves EU to US: the EU counts for 12 months", [lives("DE", -3000, -300), lives("US", -300)],
     {"countries_now": ["DE", "US"], "arrived_at": at(-300)}),
    ("moves EU to US: after 12 months only the new one counts", [lives("DE", -3000, -400), lives("US", -400)],
     {"countries_now": ["US"]}),
    ("moves US to EU: counts from the arrival", [lives("US", -3000, -5), lives("DE", -5)],
     {"countries_now": ["DE", "US"], "arrived_at": at(-5)}),
    ("comes home: no new arrival", [lives("DE", -3000, -900), lives("US", -900, -100), lives("DE", -100)],
     {"countries_now": ["DE", "US"], "arrived_at": at(-900)}),
    ("two residences: both count", [lives("DE", -3000), lives("FR", -500)], {"countries_now": ["DE", "FR"]}),
    ("residence unknown: empty", [OWNER], {"countries_now": [], "arrived_at": None}),
    ("one unknown residence makes all unknown", [lives("DE", -3000), lives(None, -500)], {"countries_now": []}),
    ("a move after as_of is not yet one", [lives("DE", -3000), lives("US", 5)],
     {"countries_now": ["DE"], "arrived_at": None}),
    ("a move learnt late is added (PPL-07)", [lives("US", -3000), lives("DE", -50, recorded=9)],
     {"countries_now": ["DE", "US"], "arrived_at": at(-50)}),
    ("a residence learnt late does not help who was unknown", [OWNER, lives("US", -3000, recorded=9)],
     {"countries_now": []}),
    ("an end learnt late changes nothing", [lives("DE", -3000), lives("DE", -3000, -800, recorded=9)],
     {"countries_now": ["DE"]}),
    # PPL-02, §4 ages
    ("age unknown", [OWNER], {"born_on": None, "age_conflict": False}),
    ("only estimated = unknown", [born(1980, "estimated")], {"born_on": None, "age_conflict": False}),
    ("a year alone is its last day", [born(1990)], {"born_on": date(1990, 12, 31)}),
    ("declared 1990 and estimated 15: conflict", [born(1990), born(2010, "estimated")],
     {"born_on": date(1990, 12, 31), "age_conflict": True}),
    ("conflict resolves to the younger", [born("1990-05-05", "verified"), born("2001-01-01")],
     {"born_on": date(2001, 1, 1), "age_conflict": False}),
    ("found to be a minor's (PPL-07)", [born(1990), born("2010-01-01", "verified", recorded=9)],
     {"born_on": date(2010, 1, 1), "age_conflict": True}),
    ("an older age learnt late helps nobody", [born("2010-01-01"), born("1990-01-01", "verified", recorded=9)],
     {"born_on": date(2010, 1, 1)}),
    ("18 on T0 in the person's favour: the birthday must be over", [born("2007-06-01"), born(1990)],
     {"born_on": date(2007, 6, 1), "age_conflict": True}),
    # OBJ-02, 05, 07, 08
    ("an objection counts also after as_of", [says("object", 5)], {"objected": True, "objected_kinds": None}),
    ("an objection of ten years ago", [says("object", -3650)], {"objected": True}),
    ("withdrawn", [says("object", -50), says("withdraw", -40)], {"objected": False, "withdrawn_at": at(-40)}),
    ("objects again", [says("object", -50), says("withdraw", -40), says("object", -30)], {"objected": True}),
    ("a withdrawal after as_of does not count", [says("object", -50), says("withdraw", 4)],
     {"objected": True, "withdrawn_at": None}),
    ("a withdrawal learnt late does not count", [says("object", -50), says("withdraw", -4, recorded=9)],
     {"objected": True}),
    ("a withdrawal by whoever held the account is void", [OWNER, HACKED, says("object", -50), says("withdraw", -15)],
     {"objected": True, "withdrawn_at": None}),
    ("an objection in a compromise stays", [OWNER, HACKED, says("object", -15)], {"objected": True}),
    ("scopes add up", [says("object", -9, kinds=["photo"]), says("object", -8, kinds=["post"])],
     {"objected_kinds": ["photo", "post"]}),
    ("everything wins", [says("object", -9, kinds=["photo"]), says("object", -8)], {"objected_kinds": None}),
    ("an undone click", [says("object", -50, door="one_click"), says("withdraw", -40, door="link")],
     {"objected": False, "withdrawn_at": at(-40)}),
    ("a click undone beside the person's own no",
     [says("object", -50, door="web"), says("object", -45, door="link"), says("withdraw", -40, door="link")],
     {"objected": True, "withdrawn_at": at(-40)}),
    ("a narrow withdrawal leaves a wide objection", [says("object", -9), says("withdraw", -8, kinds=["photo"])],
     {"objected": True, "objected_kinds": None, "withdrawn_at": None}),
    # NOT-02, 03, 09
    ("delivered", [*campaign(), notice("delivered", -60), notice("seen", -50)],
     {"first_delivered_at": at(-60), "last_delivered_at": at(-50), "campaigns": ["c"], "campaign_effective_at": at(-10)}),
    ("sent is not delivered", [*campaign(), notice("sent", -60)], {"first_delivered_at": None, "campaigns": []}),
    ("bounced after delivery", [*campaign(), notice("delivered", -60), notice("bounced", -59)],
     {"first_delivered_at": None}),
    ("bounced, known late", [*campaign(), notice("delivered", -60), notice("bounced", -59, recorded=9)],
     {"first_delivered_at": None}),
    ("a bounce on one channel leaves the other",
     [*campaign(), notice("delivered", -60), notice("delivered", -55, channel="in_app"), notice("bounced", -50)],
     {"first_delivered_at": at(-55), "campaigns": ["c"]}),
    ("delivered again after a bounce", [*campaign(), notice("bounced", -60), notice("delivered", -50)],
     {"first_delivered_at": at(-50)}),
    ("delivered after as_of", [*campaign(), notice("delivered", 3)], {"first_delivered_at": None}),
    ("delivery learnt late", [*campaign(), notice("delivered", -60, recorded=9)], {"first_delivered_at": None}),
    ("campaign unknown", [notice("delivered", -60)], {"first_delivered_at": None, "campaigns": []}),
    ("campaign cancelled", [*campaign(), event("campaign_status", campaign_id="c", status="cancelled", valid_at=-5),
                            notice("delivered", -60)], {"first_delivered_at": None}),
    ("campaign held, known late",
     [*campaign(), event("campaign_status", campaign_id="c", status="held", valid_at=5, recorded=9), notice("seen", -60)],
     {"first_delivered_at": None, "campaign_effective_at": at(-10)}),
    ("a later campaign starts a fresh clock",
     [*campaign(), *campaign("d", 20), notice("delivered", -60), notice("delivered", -6, campaign="d"),
      event("campaign_status", campaign_id="c", status="cancelled", valid_at=-30)],
     {"first_delivered_at": at(-6), "campaigns": ["d"], "campaign_effective_at": at(20)}),
    ("residence at the notice", [*campaign(), lives("DE", -3000, -55), lives("US", -55), notice("delivered", -60)],
     {"countries_at_notice": ["DE"]}),
    # Consents, signals
    ("consent", [event("consent", person_id=P, purpose="ai", act="consent", valid_at=-9)], {"consent_purposes": ["ai"]}),
    ("revoked later, known late",
     [event("consent", person_id=P, purpose="ai", act="consent", valid_at=-9),
      event("consent", person_id=P, purpose="ai", act="revoke", valid_at=5, recorded=9)], {"consent_purposes": []}),
    ("any no wins over accounts",
     [OWNER, event("account", account_id="m:2", person_id=P), event("signal", account_id="m:1", signal="y", valid_at=-9),
      event("signal", account_id="m:2", signal="n", valid_at=-9)], {"signal": "n"}),
    # PPL-01
    ("an objection of a linked id",
     [OWNER, event("link", person_id=P, other_person_id="m:q", valid_at=-9),
      event("objection", person_id="m:q", valid_at=-5)], {"objected": True}),
    ("taken back under an id that was known to be the same",
     [OWNER, event("link", person_id=P, other_person_id="m:q", valid_at=-90, recorded=-60), says("object", -50),
      event("objection", person_id="m:q", act="withdraw", valid_at=-40, recorded=-40)], {"objected": False}),
    ("known over another id",
     [OWNER, event("link", person_id=P, other_person_id="m:r", valid_at=-90, recorded=-60), says("object", -50),
      event("link", person_id="m:r", other_person_id="m:q", valid_at=-90, recorded=-40),
      event("objection", person_id="m:q", act="withdraw", valid_at=-40, recorded=-40)], {"objected": False}),
    ("a link that is told later takes nobody's no away",
     [OWNER, event("link", person_id=P, other_person_id="m:q", valid_at=-90, recorded=-39), says("object", -50),
      event("objection", person_id="m:q", act="withdraw", valid_at=-40, recorded=-40)],
     {"objected": True, "withdrawn_at": None}),
    ("a link that holds from a later day on takes nobody's no away",
     [OWNER, event("link", person_id=P, other_person_id="m:q", valid_at=-30, recorded=-90), says("object", -50),
      event("objection", person_id="m:q", act="withdraw", valid_at=-40, recorded=-40)], {"objected": True}),
    ("of two owners of an account each takes back their own no",
     [OWNER, event("account", account_id="m:1", person_id="m:q"), says("object", -50),
      event("objection", person_id="m:q", act="withdraw", valid_at=-40, recorded=-40)], {"objected": True}),
    ("what was said under an account's own id is the owner's to take back",
     [OWNER, event("objection", person_id="m:1", valid_at=-50, recorded=-50), says("withdraw", -40)],
     {"objected": False}),
    ("but what was said there and learnt after they took back",
     [OWNER, event("objection", person_id="m:1", valid_at=-50, recorded=-30), says("withdraw", -40)],
     {"objected": True}),
    ("told again after it was not so",
     [OWNER, event("link", person_id=P, other_person_id="m:q", valid_at=-90, recorded=-90), says("object", -50),
      event("unlink", person_id=P, other_person_id="m:q", valid_at=-80, recorded=-80),
      event("link", person_id=P, other_person_id="m:q", valid_at=-30, recorded=-30),
      event("objection", person_id="m:q", act="withdraw", valid_at=-40, recorded=-40)], {"objected": True}),
    ("a link learnt late carries the no, not the notice",
     [OWNER, *campaign(), event("link", person_id=P, other_person_id="m:q", valid_at=-9, recorded=9),
      event("objection", person_id="m:q", valid_at=-5),
      event("notice", person_id="m:q", campaign_id="c", channel="email", state="seen", valid_at=-60)],
     {"objected": True, "first_delivered_at": None}),
]  # fmt: skip

TOLD = [*campaign(), *campaign("d"), *campaign("e"), notice("delivered", -90), notice("delivered", -60, campaign="d"),
        notice("delivered", -20, campaign="e")]  # fmt: skip
CLOCKS: list[tuple[str, int, list[Event], int | None]] = [
    ("before anything is learnt late, cut before all", -100, [], -90),
    ("before anything is learnt late, cut after the first", -70, [], -20),
    ("the last bounced: the one in the middle was not known to count", -70,
     [notice("bounced", -19, campaign="e", recorded=9)], None),
    ("the first bounced: the last counts, not the one in the middle", -70, [notice("bounced", -89, recorded=9)], -20),
    ("the first bounced, no cut", -100, [notice("bounced", -89, recorded=9)], -20),
    ("the last bounced, no cut", -100, [notice("bounced", -19, campaign="e", recorded=9)], -90),
    ("first and last bounced", -100,
     [notice("bounced", -89, recorded=9), notice("bounced", -19, campaign="e", recorded=9)], None),
    ("the one in the middle bounced", -70, [notice("bounced", -59, campaign="d", recorded=9)], -20),
    ("the last campaign was held, known late", -70,
     [event("campaign_status", campaign_id="e", status="held", valid_at=-15, recorded=9)], None),
    ("all bounced", -100, [notice("bounced", -1, campaign=name, recorded=9) for name in "cde"], None),
    ("a bounce known at base: the middle one is the last", -70, [notice("bounced", -19, campaign="e")], -60),
]  # fmt: skip
"""Notices on days -90, -60 and -20; a move (the cut) on some day; what is learnt late; the day that the clock starts."""

ACCOUNTS: list[tuple[str, list[Event], list[dict[str, Any]]]] = [
    ("active", [OWNER, ACTIVE], [{"status": "active", "private": None}]),
    ("memorial from its date", [OWNER, ACTIVE, status("memorial", -3)], [{"status": "memorial"}]),
    ("deactivated and back", [OWNER, status("deactivated", -9), status("active", -3)], [{"status": "active"}]),
    ("deleted after as_of", [OWNER, ACTIVE, status("deleted", 3)], [{"status": "deleted"}]),
    ("active again, known late", [OWNER, status("suspended", -9), status("active", -3, recorded=9)],
     [{"status": "suspended"}]),
    ("status unknown stays unknown", [OWNER, status("dormant", -9, recorded=9)], [{"status": None}]),
    ("compromised window", [OWNER, ACTIVE, HACKED], [{"compromised_from": at(-20), "compromised_until": at(-10)}]),
    ("private after as_of", [OWNER, event("private", account_id="m:1", private=False, valid_at=-9),
                             event("private", account_id="m:1", private=True, valid_at=4)], [{"private": True}]),
    ("changes hands (PPL-06)", [OWNER, ACTIVE, event("transfer", account_id="m:1", person_id="m:q", valid_at=-9)],
     [{"owned_from": None, "owned_until": at(-9), "status": "active"}]),
]  # fmt: skip


def ask(registry: Registry, events: list[Event], person: str = P) -> dict[str, list[dict[str, Any]]]:
    assert registry.record_events(events, recorded_at=T0).faults == ()
    found = registry.standing(person, as_of=T0, known_at=at(30))
    assert found is not None
    return found


@pytest.mark.parametrize(("events", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_standing(registry: Registry, events: list[Event], expected: dict[str, Any]) -> None:
    (row,) = ask(registry, events)["standing"]
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize(("cut", "late", "starts"), [case[1:] for case in CLOCKS], ids=[case[0] for case in CLOCKS])
def test_not_02_what_is_learnt_late_never_starts_the_clock_earlier(
    registry: Registry, cut: int, late: list[Event], starts: int | None
) -> None:
    (row,) = ask(registry, [*TOLD, *late])["standing"]
    found = notified_at(row["first_delivered_at"], row["last_delivered_at"], at(cut))
    assert found == (None if starts is None else at(starts))


def test_hld_01_a_late_bounce_takes_nobody_out_of_a_hold_on_the_campaign(registry: Registry) -> None:
    (row,) = ask(registry, [*TOLD, notice("bounced", -89, recorded=9)])["standing"]
    assert row["campaigns"] == ["c", "d", "e"]


@pytest.mark.parametrize(("events", "expected"), [case[1:] for case in ACCOUNTS], ids=[case[0] for case in ACCOUNTS])
def test_accounts(registry: Registry, events: list[Event], expected: list[dict[str, Any]]) -> None:
    found = ask(registry, events)["accounts"]
    assert [{name: row[name] for name in told} for row, told in zip(found, expected, strict=True)] == expected


def test_ppl_06_a_change_of_hands_learnt_late_makes_an_epoch_that_is_out(registry: Registry) -> None:
    taken = event("transfer", account_id="m:1", person_id="m:q", valid_at=-9, recorded=9)
    events = [OWNER, ACTIVE, taken]
    assert [row["status"] for row in ask(registry, events)["accounts"]] == ["active"]
    (row,) = ask(registry, events, "m:q")["accounts"]
    assert (row["owned_from"], row["status"]) == (at(-9), "transferred")


def test_ppl_01_two_owners_from_the_same_instant_share_their_no(registry: Registry) -> None:
    events = [OWNER, event("account", account_id="m:1", person_id="m:q", recorded=-5), says("object", -3)]
    assert ask(registry, events, "m:q")["standing"][0]["objected"] is True


def test_a_late_residence_in_an_unknown_time_leaves_that_time_unknown(registry: Registry) -> None:
    rows = ask(registry, [lives("US", -100), lives("DE", -500, -50, recorded=9)])["residence"]
    spans = {(row["country"], row["valid_from"], row["valid_until"]) for row in rows}
    assert spans == {("DE", at(-500), at(-50)), (None, at(-500), at(-100)), ("US", at(-100), None)}

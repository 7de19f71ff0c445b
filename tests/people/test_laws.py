"""The registry's laws, over random histories, on every database."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demur.clock import iso
from demur.people import Registry, everybody
from demur.people import export as exporting
from demur.people.epochs import SEVERITY
from demur.policy.facts import clock_of, notified_at
from demur.store.database import Database
from demur.store.stage import side_by_side

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
LAW = settings(
    max_examples=400 if NIGHTLY else 20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
T0 = datetime(2025, 6, 1, tzinfo=UTC)
Event = dict[str, Any]
Fresh = Callable[[], Registry]


def _at(day: int) -> str:
    return iso(T0 + timedelta(days=day))


DAYS = st.integers(-6, 6)
INSTANTS = DAYS.map(_at)
RECORDED = st.integers(-8, 8).map(_at)
PEOPLE = st.sampled_from(["m:1", "m:p", "m:q", "m:r"])
ACCOUNTS = st.sampled_from(["m:1", "m:2", "m:3"])
CAMPAIGNS = st.sampled_from(["c1", "c2"])
SCOPES = st.none() | st.lists(st.sampled_from(["photo", "post"]), min_size=1)


def _event(kind: str, **members: Any) -> st.SearchStrategy[Event]:
    return st.fixed_dictionaries({"type": st.just(kind), "recorded_at": RECORDED, **members})


def _span(kind: str, **members: Any) -> st.SearchStrategy[Event]:
    spans = st.tuples(DAYS, st.none() | st.integers(1, 500)).map(
        lambda span: {"valid_from": _at(span[0] * 90), "valid_until": span[1] and _at(span[0] * 90 + span[1])}
    )
    return st.tuples(_event(kind, **members), spans).map(lambda pair: pair[0] | pair[1])


DOORS = st.sampled_from(["web", "link"])
OBJECT = _event(
    "objection", person_id=PEOPLE, act=st.just("object"), kinds=SCOPES, services=SCOPES, door=DOORS, valid_at=INSTANTS
)
COMPROMISE = _event("compromise", account_id=ACCOUNTS, valid_from=INSTANTS, valid_until=st.none())
EVENTS = st.one_of(
    _event("account", account_id=ACCOUNTS, person_id=PEOPLE, valid_at=st.none() | INSTANTS),
    _event("status", account_id=ACCOUNTS, status=st.sampled_from(sorted(SEVERITY)), valid_at=INSTANTS),
    _event("private", account_id=ACCOUNTS, private=st.booleans(), valid_at=INSTANTS),
    _event("signal", account_id=ACCOUNTS, signal=st.sampled_from(["y", "n"]), valid_at=INSTANTS),
    _event("handle", account_id=ACCOUNTS, handle=st.sampled_from(["Ann", "bob"]), valid_at=st.none() | INSTANTS),
    _span("residence", person_id=PEOPLE, country=st.sampled_from(["DE", "US", "FR", None])),
    _event(
        "age",
        person_id=PEOPLE,
        born_on=st.sampled_from([1980, 2005, 2010]),
        source=st.sampled_from(["verified", "declared", "estimated"]),
    ),
    _event("link", person_id=PEOPLE, other_person_id=PEOPLE, valid_at=INSTANTS),
    _event("unlink", person_id=PEOPLE, other_person_id=PEOPLE, valid_at=INSTANTS),
    _event("campaign", campaign_id=CAMPAIGNS, purpose=st.just("ai"), effective_at=INSTANTS, kinds=SCOPES),
    _event(
        "campaign_status",
        campaign_id=CAMPAIGNS,
        status=st.sampled_from(["draft", "running", "held", "cancelled", "effective"]),
        valid_at=INSTANTS,
    ),
    _event(
        "notice",
        person_id=PEOPLE,
        campaign_id=CAMPAIGNS,
        channel=st.sampled_from(["email", "in_app"]),
        state=st.sampled_from(["sent", "delivered", "bounced", "seen"]),
        valid_at=INSTANTS,
    ),
    OBJECT,
    OBJECT.map(lambda event: event | {"act": "withdraw"}),
    _event(
        "consent",
        person_id=PEOPLE,
        purpose=st.just("ai"),
        act=st.sampled_from(["consent", "revoke"]),
        valid_at=INSTANTS,
    ),
    COMPROMISE,
)
ONE_LIFE = st.one_of(OBJECT, OBJECT.map(lambda event: event | {"act": "withdraw"}), EVENTS).map(
    lambda event: event | {name: one for name, one in (("person_id", "m:p"), ("account_id", "m:1")) if name in event}
)
"""Events about one person and account: rules need several of them to meet."""
HISTORIES = st.tuples(st.lists(EVENTS, max_size=15), st.lists(ONE_LIFE, max_size=15)).map(lambda two: two[0] + two[1])
SAID: Event = {"type": "objection", "person_id": "m:q", "act": "object", "recorded_at": _at(-8)}
TAKEN_BACK = st.tuples(st.integers(-6, -1), st.integers(0, 8)).map(
    lambda days: [
        SAID | {"valid_at": _at(days[0] - 1)},
        SAID | {"act": "withdraw", "valid_at": _at(days[0]), "recorded_at": _at(days[1])},
    ]
)
"""An objection and its withdrawal, often learnt late: what must not count, and chance alone seldom makes."""
KNOWN = st.integers(0, 8)


def record(registry: Registry, events: list[Event]) -> None:
    found = registry.record_events(events, recorded_at=T0)
    assert found.faults == ()


def export(registry: Registry, folder: Path, known: int) -> dict[str, Any]:
    return registry.export(folder, as_of=T0, known_at=T0 + timedelta(days=known))


ODD = [f"m:{name}" for name in ("é", "É", "o'brien", "100%s", "%", "Ω", "a b", "zz", "[", "\U0001f600", "1")]
ODD += ["M", "m"]
"""Ids in letters that databases sort, quote or take for something else in ways of their own."""


def at_once(workers: int) -> Any:
    """Run the stages in this process: starting one for each would take all the time."""
    assert workers > 1
    return side_by_side(1)


@LAW
@given(history=HISTORIES, known=KNOWN, most=st.integers(2, 9))
def test_several_processes_write_what_one_does(
    fresh: Fresh, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, history: list[Event], known: int, most: int
) -> None:
    registry = fresh()
    odd = [{"type": "account", "account_id": f"a{one}", "person_id": one, "recorded_at": _at(-8)} for one in ODD]
    record(registry, [*history, *odd, *(event | {"person_id": ODD[0]} for event in history if "person_id" in event)])
    with monkeypatch.context() as patch:
        patch.setenv("DEMUR_REGISTRY_URL", url)
        patch.setenv("DEMUR_WORKERS", "1")
        alone = export(registry, tmp_path / "alone", known)
        patch.setenv("DEMUR_WORKERS", str(most))
        patch.setattr(everybody, "PAYS", 1)
        patch.setattr(everybody, "side_by_side", at_once)
        assert export(registry, tmp_path / "shared", known) == alone
    for name in alone["files"]:
        assert rows(tmp_path / "shared", name) == rows(tmp_path / "alone", name)


def test_processes_of_their_own_write_the_same(
    fresh: Fresh, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = fresh()
    accounts = [{"type": "account", "account_id": f"m:{one}", "person_id": f"p:{one}"} for one in range(40)]
    said = [SAID | {"person_id": f"p:{one}", "valid_at": _at(-2)} for one in range(0, 40, 7)]
    record(registry, [one | {"recorded_at": _at(-8)} for one in accounts] + said)
    alone = export(registry, tmp_path / "alone", 2)
    monkeypatch.setattr(everybody, "PAYS", 10)
    monkeypatch.setenv("DEMUR_WORKERS", "3")
    monkeypatch.setenv("DEMUR_REGISTRY_URL", url)
    started = []
    monkeypatch.setattr(everybody, "side_by_side", lambda workers: started.append(workers) or side_by_side(workers))
    assert export(registry, tmp_path / "shared", 2) == alone
    assert started == [3]
    assert sorted(path.name for path in (tmp_path / "shared").iterdir()) == sorted(
        path.name for path in (tmp_path / "alone").iterdir()
    )


def test_nobody_is_left_out_when_a_link_is_recorded_between_two_views(
    fresh: Fresh, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = fresh()
    accounts = [{"type": "account", "account_id": f"m:{one}", "person_id": f"p:{one}"} for one in range(20)]
    record(registry, [one | {"recorded_at": _at(-8)} for one in accounts])
    link = {"type": "link", "person_id": "p:7", "other_person_id": "p:12", "valid_at": _at(-3), "recorded_at": _at(-8)}

    def late(workers: int) -> Any:
        assert workers == 2
        record(registry, [link])
        return side_by_side(1)

    monkeypatch.setattr(everybody, "PAYS", 10)
    monkeypatch.setenv("DEMUR_WORKERS", "2")
    monkeypatch.setenv("DEMUR_REGISTRY_URL", url)
    monkeypatch.setattr(everybody, "side_by_side", late)
    export(registry, tmp_path / "s", 2)
    assert {row["person_id"] for row in rows(tmp_path / "s", "standing")} == {f"p:{one}" for one in range(20)}


def test_a_database_that_another_process_cannot_name_is_read_by_this_one(
    fresh: Fresh, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = fresh()
    record(registry, [{"type": "account", "account_id": f"m:{one}", "person_id": f"p:{one}"} for one in range(9)])
    monkeypatch.setattr(everybody, "PAYS", 1)
    monkeypatch.setenv("DEMUR_WORKERS", "3")
    monkeypatch.setenv("DEMUR_REGISTRY_URL", "postgresql://somebody:secret@elsewhere/else")
    where = Database(url).elsewhere
    assert where == (None if "postgresql" in url else url)
    assert export(registry, tmp_path / "s", 2)["files"]["standing"]["rows"] == 9


def rows(folder: Path, name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(folder / f"{name}.parquet").to_pylist()
    return found


@LAW
@given(history=HISTORIES, known=KNOWN, data=st.data())
def test_order_and_repetition_of_recording_do_not_matter(
    fresh: Fresh, tmp_path: Path, history: list[Event], known: int, data: st.DataObject
) -> None:
    registry = fresh()
    record(registry, history)
    digest = export(registry, tmp_path / "s", known)["digest"]
    registry = fresh()
    again = data.draw(st.permutations(history))
    for event in again[: len(again) // 2]:
        record(registry, [event])
    record(registry, again)
    assert export(registry, tmp_path / "s", known)["digest"] == digest


@LAW
@given(history=HISTORIES, known=KNOWN, more=HISTORIES)
def test_a_past_standing_does_not_change_when_more_is_recorded_later(
    fresh: Fresh, tmp_path: Path, history: list[Event], known: int, more: list[Event]
) -> None:
    registry = fresh()
    record(registry, history)
    digest = export(registry, tmp_path / "s", known)["digest"]
    record(registry, [event | {"recorded_at": _at(known + 1)} for event in more])
    assert export(registry, tmp_path / "s", known)["digest"] == digest


@LAW
@given(history=HISTORIES, known=KNOWN)
def test_one_persons_standing_is_their_rows_of_the_export(
    fresh: Fresh, tmp_path: Path, history: list[Event], known: int
) -> None:
    registry = fresh()
    record(registry, history)
    export(registry, tmp_path / "s", known)
    people = [row["person_id"] for row in rows(tmp_path / "s", "standing")]
    assert len(people) == len(set(people))
    for person in ("m:1", "m:2", "m:3", "m:p", "m:q", "m:r"):
        found = registry.standing(person, as_of=T0, known_at=T0 + timedelta(days=known))
        assert (found is not None) == (person in people)
        for name, lines in (found or {}).items():
            assert lines == [row for row in rows(tmp_path / "s", name) if row["person_id"] == person], name


@LAW
@given(history=HISTORIES, known=KNOWN, more=st.lists(OBJECT | COMPROMISE, min_size=1, max_size=4))
def test_an_objection_or_compromise_more_never_ends_an_objection(
    fresh: Fresh, tmp_path: Path, history: list[Event], known: int, more: list[Event]
) -> None:
    registry = fresh()
    record(registry, history)
    export(registry, tmp_path / "s", known)
    before = {row["person_id"]: row for row in rows(tmp_path / "s", "standing")}
    record(registry, more)
    registry.place_hold("h", authority="a", instrument="i", recorded_at=T0)
    export(registry, tmp_path / "s", known)
    after = {row["person_id"]: row for row in rows(tmp_path / "s", "standing")}
    for person, row in before.items():
        assert after[person]["objected"] or not row["objected"]
        assert set(after[person]["consent_purposes"]) <= set(row["consent_purposes"])


LINK = _event("link", person_id=PEOPLE, other_person_id=PEOPLE, valid_at=INSTANTS)


@LAW
@given(history=HISTORIES, links=st.lists(LINK, min_size=1, max_size=3), back=TAKEN_BACK)
def test_a_link_that_is_told_later_ends_nobodys_objection(
    fresh: Fresh, tmp_path: Path, history: list[Event], links: list[Event], back: list[Event]
) -> None:
    registry = fresh()
    record(registry, [*history, *back])

    def in_force(name: str) -> dict[str, dict[str, Any]]:
        registry.export(tmp_path / name, as_of=T0 + timedelta(days=10), known_at=T0 + timedelta(days=10))
        return {row["person_id"]: row for row in rows(tmp_path / name, "standing") if row["objected"]}

    before = in_force("before")
    said = {person: {one.event_id for one in registry.objections_of(person)} for person in ("m:p", "m:q", "m:r")}
    record(registry, [link | {"recorded_at": _at(9)} for link in links])
    after = in_force("after")
    assert before.keys() <= after.keys()
    for person, row in before.items():
        assert all(_covers(after[person][name], row[name]) for name in ("objected_kinds", "objected_services"))
    for person, events in said.items():
        assert events <= {one.event_id for one in registry.objections_of(person)}


@LAW
@given(
    history=st.lists(EVENTS, max_size=6) | HISTORIES,
    more=st.just([]) | TAKEN_BACK,
    known=st.just([0, 8]) | st.tuples(KNOWN, KNOWN).map(sorted),
)
def test_knowing_more_never_lets_more_in(
    fresh: Fresh, tmp_path: Path, history: list[Event], more: list[Event], known: list[int]
) -> None:
    registry = fresh()
    record(registry, [*history, *more])
    for name, at in (("before", known[0]), ("after", known[1])):
        export(registry, tmp_path / name, at)
    before = {row["person_id"]: row for row in rows(tmp_path / "before", "standing")}
    after = {row["person_id"]: row for row in rows(tmp_path / "after", "standing")}
    unclaimed = {"m:1", "m:2", "m:3"}
    assert set(before) - unclaimed <= set(after)
    for person in set(before) & set(after):
        _narrows(before[person], after[person])
    _accounts_narrow(rows(tmp_path / "before", "accounts"), rows(tmp_path / "after", "accounts"))
    _residence_narrows(rows(tmp_path / "before", "residence"), rows(tmp_path / "after", "residence"), before)


def _narrows(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert after["born_on"] is None or (before["born_on"] is not None and after["born_on"] >= before["born_on"])
    assert after["age_conflict"] >= before["age_conflict"]
    for name in ("countries_now", "countries_at_notice"):
        assert not after[name] or (before[name] and set(before[name]) <= set(after[name])), name
    assert after["objected"] >= before["objected"]
    for name in ("objected_kinds", "objected_services"):
        assert not before["objected"] or _covers(after[name], before[name])
    for name in ("arrived_at", "campaign_effective_at"):
        assert _latest(after[name]) >= _latest(before[name])
    assert after["objected"] or _latest(after["withdrawn_at"]) >= _latest(before["withdrawn_at"])
    assert set(after["consent_purposes"]) <= set(before["consent_purposes"])
    assert set(before["campaigns"]) <= set(after["campaigns"]), "a hold on a campaign covers no less"
    first = after["first_delivered_at"]
    assert first is None or (before["first_delivered_at"] is not None and first >= before["first_delivered_at"])
    assert _latest(after["last_delivered_at"]) <= _latest(before["last_delivered_at"])
    for kind in ("photo", "post", "voice"):  # those with clocks of their own, and one that has none (NOT-07)
        own, was = clock_of(after, kind), clock_of(before, kind)
        assert _latest(own["effective_at"]) >= _latest(was["effective_at"])
        for day in range(-8, 9):  # whatever moves, birthdays and withdrawals the policy puts into the cut
            assert _clock(own, T0 + timedelta(days=day)) >= _clock(was, T0 + timedelta(days=day))
    worth = ("n", None, "y")  # what is unknown never lets in what a yes does not (JUR-04)
    assert worth.index(after["signal"]) <= worth.index(before["signal"])
    assert _latest(after["last_active_at"]) <= _latest(before["last_active_at"])


def _clock(row: Mapping[str, Any], cut: datetime) -> datetime:
    return notified_at(row["first_delivered_at"], row["last_delivered_at"], cut) or datetime.max.replace(tzinfo=UTC)


def _covers(wide: list[str] | None, narrow: list[str] | None) -> bool:
    return wide is None or (narrow is not None and set(narrow) <= set(wide))


def _latest(instant: datetime | None) -> datetime:
    return instant or datetime.min.replace(tzinfo=UTC)


def _epoch(rows_: list[dict[str, Any]], account: str, at: datetime) -> dict[str, Any] | None:
    found = [
        row
        for row in rows_
        if row["account_id"] == account
        and (row["owned_from"] is None or row["owned_from"] <= at)
        and (row["owned_until"] is None or at < row["owned_until"])
    ]
    assert len(found) <= 1, "at any instant an account has one owner at most"
    return found[0] if found else None


def _accounts_narrow(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    for account in sorted({row["account_id"] for row in [*before, *after]}):
        for day in range(-8, 9):
            old, new = (_epoch(found, account, T0 + timedelta(days=day)) for found in (before, after))
            if new is None or new["status"] is None:
                continue
            assert new["status"] == "transferred" or old is not None
            if old is None:
                continue
            assert old["status"] is not None
            assert SEVERITY[new["status"]] >= SEVERITY[old["status"]]
            assert new["status"] != "active" or new["person_id"] == old["person_id"]
            assert new["private"] is None or (old["private"] is not None and new["private"] >= old["private"])
            assert set(old["handles"]) <= set(new["handles"])
            if old["compromised_from"] is not None:
                assert new["compromised_from"] <= old["compromised_from"]


def _residence_narrows(
    before: list[dict[str, Any]], after: list[dict[str, Any]], people: dict[str, dict[str, Any]]
) -> None:
    for person in people:
        for day in range(-540, 900, 45):
            at = T0 + timedelta(days=day)
            old, new = (
                {r["country"] for r in found if r["person_id"] == person and _covers_at(r, at)}
                for found in (before, after)
            )
            if new and None not in new:
                assert old
                assert old <= new


def _covers_at(row: dict[str, Any], at: datetime) -> bool:
    return (row["valid_from"] is None or row["valid_from"] <= at) and (
        row["valid_until"] is None or at < row["valid_until"]
    )


FILES = ("standing", "accounts", "residence", "notices", "objections", "campaigns", "holds", "suppressed",
         "suppressed_words")  # fmt: skip


@LAW
@given(history=HISTORIES, since=KNOWN, known=KNOWN, base=st.integers(0, 4))
def test_an_export_upon_an_earlier_one_is_the_whole_export(
    fresh: Fresh,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    history: list[Event],
    since: int,
    known: int,
    base: int,
) -> None:
    monkeypatch.setattr(exporting, "MOST", 0)  # else so few people are always read whole
    registry = fresh()
    record(registry, history)
    instants = {"as_of": T0, "base_known_at": T0 + timedelta(days=base)}
    first, last = (T0 + timedelta(days=max(base, day)) for day in sorted((since, known)))
    registry.export(tmp_path / "a", known_at=first, **instants)
    registry.export(tmp_path / "b", known_at=last, upon=tmp_path / "a", **instants)
    registry.export(tmp_path / "c", known_at=last, **instants)
    for name in FILES:
        assert rows(tmp_path / "b", name) == rows(tmp_path / "c", name)
    registry.export(tmp_path / "d", known_at=last, upon=tmp_path / "b", **instants)
    assert all(rows(tmp_path / "d", name) == rows(tmp_path / "c", name) for name in FILES)


def test_what_was_recorded_into_the_past_is_found(
    fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "MOST", 0)
    registry = fresh()
    record(registry, [{"type": "account", "account_id": f"m:{n}", "person_id": f"m:{n}", "recorded_at": _at(-8)}
                      for n in "pq"])  # fmt: skip
    export(registry, tmp_path / "a", 1)
    record(registry, [SAID])  # by nobody who had looked, and older than the export before
    registry.export(tmp_path / "b", as_of=T0, known_at=T0 + timedelta(days=2), upon=tmp_path / "a")
    assert [one["objected"] for one in rows(tmp_path / "b", "standing")] == [False, True]
    assert not (tmp_path / "b" / "people.changed").exists()


def test_only_those_are_read_about_whom_something_was_recorded(
    fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = fresh()
    record(registry, [{"type": "account", "account_id": f"m:{n}", "person_id": f"m:{n}", "recorded_at": _at(-8)}
                      for n in range(9)])  # fmt: skip
    export(registry, tmp_path / "a", 1)
    record(registry, [SAID | {"person_id": "m:5", "recorded_at": _at(2)}])
    monkeypatch.setattr(exporting, "write_everybody", None)
    registry.export(tmp_path / "b", as_of=T0, known_at=T0 + timedelta(days=3), upon=tmp_path / "a")
    assert pq.read_table(tmp_path / "b" / "people.changed").to_pylist() == [{"person_id": "m:5"}]
    assert [one["person_id"] for one in rows(tmp_path / "b", "standing") if one["objected"]] == ["m:5"]


BEFORE: list[Event] = [
    {"type": "account", "account_id": "m:1", "person_id": "m:p"},
    {"type": "account", "account_id": "m:2", "person_id": "m:q"},
    {"type": "status", "account_id": "m:3", "status": "active"},  # nobody claims it
    {"type": "link", "person_id": "m:p", "other_person_id": "m:q", "valid_at": _at(-8)},
    {"type": "campaign", "campaign_id": "c1", "purpose": "ai", "effective_at": _at(-7)},
    {"type": "campaign_status", "campaign_id": "c1", "status": "running", "valid_at": _at(-7)},
    {"type": "notice", "person_id": "m:r", "campaign_id": "c1", "channel": "email", "state": "delivered",
     "valid_at": _at(-6)},
]  # fmt: skip


@pytest.mark.parametrize(
    ("late", "differ"),
    [
        ({"type": "objection", "person_id": "m:q"}, {"m:p", "m:q"}),
        ({"type": "account", "account_id": "m:1", "person_id": "m:r", "valid_at": _at(1)}, {"m:p", "m:q", "m:r"}),
        ({"type": "status", "account_id": "m:1", "status": "deleted"}, {"m:p"}),
        ({"type": "account", "account_id": "m:3", "person_id": "m:r"}, {"m:3", "m:r"}),
        ({"type": "campaign_status", "campaign_id": "c1", "status": "cancelled"}, {"m:r"}),
        ({"type": "link", "person_id": "m:p", "other_person_id": "m:3"}, {"m:p", "m:q", "m:3"}),
    ],
)
def test_all_are_read_whom_something_touches(
    fresh: Fresh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: Event, differ: set[str]
) -> None:
    monkeypatch.setattr(exporting, "MOST", 0)
    registry = fresh()
    record(registry, [{"recorded_at": _at(-8), **event} for event in BEFORE])
    export(registry, tmp_path / "a", 1)
    record(registry, [{"recorded_at": _at(2), "valid_at": _at(1), **late}])
    registry.export(tmp_path / "b", as_of=T0, known_at=T0 + timedelta(days=3), upon=tmp_path / "a")
    export(registry, tmp_path / "c", 3)
    assert (tmp_path / "b" / "people.changed").exists()
    assert all(rows(tmp_path / "b", name) == rows(tmp_path / "c", name) for name in FILES)

    def of(folder: str, person: str) -> list[Any]:
        return [row for name in FILES[:5] for row in rows(tmp_path / folder, name) if row["person_id"] == person]

    assert {one for one in ("m:p", "m:q", "m:r", "m:3") if of("a", one) != of("c", one)} <= differ
    read_again = {row["person_id"] for row in pq.read_table(tmp_path / "b" / "people.changed").to_pylist()}
    assert read_again >= differ

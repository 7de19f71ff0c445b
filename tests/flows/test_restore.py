"""An older backup of the registry: what the ledger knows is in force again before anything can be used (SEC-10)."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flow_worlds import AS_OF, LATER
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demur.clock import iso, parse
from demur.errors import BrokenError
from demur.flows import hold
from demur.flows.erase import pending
from demur.flows.hold import lift_hold, place_hold
from demur.flows.objected import log_kept
from demur.flows.objection import object_
from demur.flows.restore import MARK, lags, reapply
from demur.ledger import Entry, EntryKind, Ledger
from demur.people.schema import METADATA
from demur.store import Workspace
from demur.wiring import open_parts, open_service

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
PEOPLE = ("s:a", "s:b", "s:c")


@pytest.fixture
def space(tmp_path, url, monkeypatch):
    if url.startswith("postgresql"):
        monkeypatch.setenv("DEMUR_REGISTRY_URL", url)
    return Workspace(tmp_path / "ws", seed=b"restore")


def _events(parts):
    """Everything that the registry holds about objections and holds, with when it was recorded."""
    engine = sa.create_engine(str(parts.workspace.registry_url))
    with engine.connect() as connection:
        found = {
            name: sorted(map(repr, connection.execute(sa.select(METADATA.tables[name]))))
            for name in ("objections", "holds", "unmatched_objections")
        }
    engine.dispose()
    return found


def _forget(space, since=None):
    """Stand in for an older backup: every event that was recorded after an instant is gone, and so is the mark."""
    engine = sa.create_engine(str(space.registry_url))
    with engine.begin() as connection:
        for name in ("objections", "holds", "unmatched_objections"):
            table = METADATA.tables[name]
            late = table.c.recorded_at > int(since.timestamp() * 1_000_000) if since else sa.true()
            connection.execute(sa.delete(table).where(late))
        connection.execute(sa.delete(METADATA.tables["marks"]))
    engine.dispose()


def _hold(parts, name, at, **scope):
    place_hold(parts, name, {"authority": "DPC", "instrument": "letter", **scope}, at=at)


def test_a_hold_of_a_process_that_was_killed_before_the_ledger_knew_is_logged_by_the_worker(space, monkeypatch):
    scope = {"countries": ["DE"], "stages": ["sending"], "deadline_at": LATER, "text": "stop", "created_from": AS_OF}
    facts = []
    for name in ("whole", "killed"):
        with open_parts(space) as parts, monkeypatch.context() as killed:
            if name == "killed":
                killed.setattr(type(parts), "log", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            for act in (
                lambda parts=parts, name=name: _hold(parts, name, AS_OF, **scope),
                lambda parts=parts, name=name: lift_hold(parts, name, by=["Ann", "Bea"], reason="done", at=LATER),
            ):
                with contextlib.suppress(KeyboardInterrupt):
                    act()
    with open_service(space) as service:
        parts = service.parts
        hold.LOOK.forget()
        assert hold.step(service) == 2
        hold.LOOK.forget()
        assert hold.step(service) == 0
        with Ledger.open(space.ledger, parts.keys) as ledger:
            facts = [ledger.opening(index).facts for index in range(ledger.size)]
        before = _events(parts)
    told = [{**one, "hold": "h"} for one in facts if "hold" in one]
    assert len(told) == 4
    assert told[:2] == told[2:]
    _forget(space)
    with open_parts(space) as parts:
        assert _events(parts) == before


_H = {"type": "hold", "hold_id": "h", "authority": "DPC", "instrument": "letter"}
_LIFT = {"act": "lift", "by": ["Ann", "Bea"]}
IMPORTED = {
    "a lift that begins later": [
        {"act": "place", "valid_at": iso(AS_OF)},
        {**_LIFT, "valid_at": "2026-08-30T00:00:00Z"},
    ],
    "a lift of an order": [
        {"act": "place", "nature": "order", "valid_at": iso(AS_OF)},
        {**_LIFT, "valid_at": iso(LATER)},
    ],
    "two placings of one instant": [
        {"act": "place", "countries": [one], "valid_at": iso(AS_OF)} for one in ("DE", "FR")
    ],
    "twice": [{"act": "place", "valid_at": iso(AS_OF)}, {"act": "place", "valid_at": iso(LATER)}],
}


@pytest.mark.parametrize("told", IMPORTED.values(), ids=IMPORTED)
@pytest.mark.parametrize("looked", [False, True])
def test_imported_holds_are_logged_once_and_stand_as_they_were_told(space, told, looked):
    with open_service(space) as service:
        done = service.parts.registry.record_events([{**_H, **one} for one in told], recorded_at=LATER)
        assert not done.faulty
        if looked:
            service.parts.registry.look(LATER + timedelta(days=1))
            _hold(service.parts, "other", LATER)
            lift_hold(service.parts, "other", by=["Ann", "Bea"], reason="done", at=LATER)
        before, rows = service.parts.registry.holds(), _events(service.parts)
        hold.LOOK.forget()
        assert hold.step(service) == len(told) - sum(one.get("nature") == "order" for one in told)
    for _ in range(2):
        with open_service(space) as service:
            hold.LOOK.forget()
            assert hold.step(service) == 0
            assert (service.parts.registry.holds(), _events(service.parts)) == (before, rows)
    _forget(space)
    with open_parts(space) as parts:
        assert [replace(one, recorded_at=LATER) for one in parts.registry.holds()] == [
            replace(one, recorded_at=LATER) for one in before
        ]


def test_what_came_after_the_backup_is_in_force_when_the_workspace_is_opened(space):
    with open_parts(space) as parts:
        parts.registry.record({"type": "account", "account_id": "s:a", "person_id": "s:a"}, recorded_at=AS_OF)
        object_(parts, {"person_id": "s:a"}, {"kinds": ["photo"]}, door="web", at=AS_OF)
        object_(parts, {"handle": "nobody-knows"}, {}, door="staff", at=AS_OF)
        _hold(parts, "h", AS_OF, countries=["DE"], stages=["sending", "builds"], deadline_at=LATER, text="stop")
        _hold(parts, "over", AS_OF)
        lift_hold(parts, "over", by=["Ann", "Bea"], reason="done", at=LATER, renotice_at=LATER)
        _hold(parts, "order", AS_OF, nature="order", countries=["FR"])
        before = _events(parts)
    _forget(space)
    with open_parts(space) as parts:
        assert _events(parts) == before
        assert not lags(parts)
        assert parts.registry.standing("s:a", as_of=LATER, known_at=LATER)["standing"][0]["objected"]
        by_name = {one.hold_id: one for one in parts.registry.holds()}
        assert by_name["h"].in_force(LATER)
        assert not by_name["over"].in_force(LATER)
        assert by_name["order"].in_force(LATER)


def test_a_restored_file_of_the_registry_is_brought_up_to_the_ledger(here, tmp_path):
    root, saved = here.space.root, tmp_path / "registry.db"
    here.parts.registry.close()
    shutil.copyfile(root / "registry.db", saved)
    with open_parts(here.space) as parts:
        object_(parts, {"person_id": "agora:p-olga"}, {}, door="web", at=LATER - timedelta(hours=1))
    for name in ("registry.db-wal", "registry.db-shm"):
        (root / name).unlink(missing_ok=True)
    shutil.copyfile(saved, root / "registry.db")
    with open_parts(here.space) as parts:
        assert [one.person_id for one in pending(parts)] == ["agora:p-olga"]
        type(here)(parts).erase()
        assert "olga" not in type(here)(parts).authors()


@st.composite
def _acts(draw):
    kinds = st.sampled_from(["object", "part", "withdraw", "hold", "lift", "claim"])
    return draw(st.lists(st.tuples(kinds, st.sampled_from(PEOPLE)), min_size=1, max_size=12)), draw(st.integers(0, 12))


@settings(
    max_examples=200 if NIGHTLY else 12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_acts())
def test_whatever_was_said_in_whatever_order_is_back_after_any_backup(space, told):
    acts, backup = told
    shutil.rmtree(space.root, ignore_errors=True)
    with open_parts(space) as parts:
        _forget(space)
        for number, (act, person) in enumerate(acts):
            at = AS_OF + timedelta(minutes=number)
            if act in {"object", "part"}:
                object_(parts, {"person_id": person}, {"kinds": ["post"]} if act == "part" else {}, door="web", at=at)
            elif act == "withdraw":
                log_kept(parts, [parts.registry.take_back(person, recorded_at=at, reference=f"W-{number}")])
            elif act == "claim":
                object_(parts, {"handle": f"{person}-{number}"}, {}, door="staff", at=at)
            elif act == "hold":
                _hold(parts, person, at, countries=["DE"])
            elif any(one.hold_id == person and one.in_force(at) for one in parts.registry.holds()):
                lift_hold(parts, person, by=["Ann", "Bea"], reason="done", at=at)
        before = _events(parts)
        reapply(parts)
        assert _events(parts) == before  # what is there changes nothing
    _forget(space, AS_OF + timedelta(minutes=backup, seconds=30))
    with open_parts(space) as parts:
        assert _events(parts) == before


def test_only_entries_since_the_mark_are_looked_at(space):
    with open_parts(space) as parts:
        object_(parts, {"person_id": "s:a"}, {}, door="web", at=AS_OF)
        assert lags(parts)
        assert reapply(parts) == {"objection": 1}
        assert not lags(parts)
        object_(parts, {"person_id": "s:b"}, {}, door="web", at=AS_OF)
        assert reapply(parts) == {"objection": 1}
        parts.registry.set_mark(MARK, 99)  # a ledger that is older than the registry: look at all of it
        assert reapply(parts) == {"objection": 2}


def test_an_entry_that_cannot_be_recorded_again_stops_everything_and_an_erased_one_is_counted(space):
    with open_parts(space) as parts:
        object_(parts, {"person_id": "s:a"}, {}, door="web", at=AS_OF)
        with Ledger.open(space.ledger, parts.keys) as ledger:
            assert ledger.erase_opening(0)
        assert reapply(parts) == {"erased": 1}
        parts.log(Entry(EntryKind.HOLD, AS_OF, "x", {"hold": "x", "countries": ["not a country"]}))
    with pytest.raises(BrokenError, match="nothing may be used"), open_parts(space):
        pass


def test_entries_of_older_versions_are_understood(space):
    with open_parts(space) as parts:
        parts.log(
            Entry(EntryKind.OBJECTION, AS_OF, "O-1", {"objection": "O-1", "person": "s:a", "door": "web"}),
            Entry(EntryKind.OBJECTION, LATER, "w", {"withdrawn_by": "s:b"}),
            Entry(EntryKind.HOLD, AS_OF, "place:h", {"hold": "h", "authority": "DPC", "instrument": "letter"}),
            Entry(EntryKind.HOLD, LATER, "lift:h", {"hold": "h", "by": ["Ann", "Bea"], "reason": "done"}),
        )
    with open_parts(space) as parts:
        (one,) = parts.registry.objections_of("s:a")
        assert (one.objection_id, one.said_at, one.recorded_at) == ("O-1", AS_OF, AS_OF)
        (hold,) = parts.registry.holds()
        assert hold.lift is not None
        assert iso(hold.lift.valid_at) == iso(LATER)
        assert parse(iso(hold.valid_at)) == AS_OF

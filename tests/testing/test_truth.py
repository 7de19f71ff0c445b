"""The ground truth holds together, and the rooms come to the same decisions by their own rules."""

from collections import Counter

import pyarrow.parquet as pq
import pytest

from demur.intake import intake, snapshot
from demur.people import Registry
from demur.policy.columns import decide_table
from demur.terms.reasons import Reason
from demur.testing import AS_OF, Network, truth, write_dump
from demur.testing.truth import effective_audience

PEOPLE_COUNT = 450
ORDER = {reason.value: place for place, reason in enumerate(Reason)}


@pytest.fixture(scope="module")
def dump(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dump")
    write_dump(folder, 1, PEOPLE_COUNT)
    return folder


@pytest.fixture(scope="module")
def decisions(dump, tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    intake("demo", [dump], store_folder=home / "source", quarantine_folder=home / "quarantine", imported_at=AS_OF)
    snapshot(home / "source", home / "snapshot", as_of=AS_OF, known_at=AS_OF)
    with Registry(f"sqlite:///{home / 'registry.db'}") as registry:
        registry.migrate()
        registry.import_people(sorted((home / "source" / "people").glob("*.parquet")))
        for name in ("events.jsonl", "after.jsonl"):
            assert registry.import_events(dump / name, recorded_at=AS_OF).faulty == 0
        registry.export(home / "standing", as_of=AS_OF, known_at=AS_OF)
    (home / "decisions").mkdir()
    items = [str(path) for path in sorted((home / "snapshot" / "items").glob("*.parquet"))]
    decide_table(home / "decisions", items=items, standing=str(home / "standing"), as_of=AS_OF)
    rows = [row for part in (home / "decisions").glob("*.parquet") for row in pq.read_table(part).to_pylist()]
    return {row["item_id"]: row for row in rows}


def test_most_plans_are_unambiguous(dump):
    rows = list(truth(dump))
    assert sum(row["allowed"] is not None for row in rows) / len(rows) > 0.99
    assert sum(row["reasons"] is not None for row in rows) / len(rows) > 0.98


def test_reasons_are_known_in_order_and_begin_with_the_primary_one(dump):
    for row in truth(dump):
        if row["allowed"] is not None and row["primary"] is not None:
            assert row["allowed"] is False
        if row["reasons"] is not None:
            places = [ORDER[reason] for reason in row["reasons"]]
            assert places == sorted(places)
            assert row["primary"] == (row["reasons"][0] if row["reasons"] else None)
            assert row["allowed"] == (not row["reasons"])


def test_many_are_allowed_and_many_reasons_occur(dump):
    primary = Counter(row["primary"] for row in truth(dump) if row["allowed"] is not None)
    total = sum(primary.values())
    assert 0.4 < primary[None] / total < 0.8
    assert len(primary) >= 25


def test_the_rooms_decide_as_the_plan_intends(dump, decisions):
    wrong = []
    for row in truth(dump):
        found = decisions[row["item_id"]]
        if row["allowed"] is not None and row["allowed"] != found["allowed"]:
            wrong.append((row["item_id"], row["case"], row["edge"], row["primary"], found["primary_reason"]))
        if row["primary"] is not None and row["primary"] != found["primary_reason"]:
            wrong.append((row["item_id"], row["case"], row["edge"], row["primary"], found["primary_reason"]))
        if row["reasons"] is not None and list(row["reasons"]) != list(found["reasons"]):
            wrong.append((row["item_id"], row["case"], row["edge"], row["reasons"], found["reasons"]))
    assert wrong == []


def test_what_cannot_be_read_is_never_allowed(dump, decisions):
    planned = {row["item_id"] for row in truth(dump)}
    beyond = {item_id: row for item_id, row in decisions.items() if item_id not in planned}
    assert beyond
    assert {row["primary_reason"] for row in beyond.values()} == {"audience_unknown"}


def test_the_effective_audience_agrees(dump, decisions):
    network = Network(1, PEOPLE_COUNT)
    for person in network.stream(0, 150):
        for work in person.works:
            planned = effective_audience(network.world, person.profile, work)
            assert decisions[work.row["item_id"]]["audience"] == planned


def test_a_copy_knows_whether_its_source_is_protected(dump):
    rows = {row["item_id"]: row for row in truth(dump)}
    copies = [row for row in rows.values() if row["copy_of"]]
    assert copies
    for row in copies:
        reasons = rows[row["copy_of"]]["reasons"]
        assert reasons is None or row["copy_protected"] or "objected" not in reasons

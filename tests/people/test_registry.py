"""Recording: durable, once, never refused, never guessed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from demur.errors import ConfigError, InputError, OutsideError, RefusedError
from demur.people import FORMS, Registry, Told
from demur.people.schema import METADATA
from demur.store import read_commit
from demur.store.database import Database
from demur.terms import tables

T0 = datetime(2025, 6, 1, tzinfo=UTC)
EARLY = T0 - timedelta(days=100)
LATER = T0 + timedelta(days=30)


def account(number: int, **said: object) -> dict[str, object]:
    """Return one PEOPLE row."""
    row: dict[str, object] = dict.fromkeys(tables.PEOPLE.names)
    row |= {
        "account_id": f"m:{number}", "version_id": "v", "service": "m", "source": "test", "imported_at": EARLY,
        "handle": f"user{number}", "display_name": f"Name {number}", "country": "DE", "residence_source": "declared",
        "born_on": date(1990, 1, 1), "age_source": "declared", "status": "active", "private": False,
        "contact": f"user{number}@example.org", "former_handles": [f"old{number}"], "signal": None, "language": "de",
    }  # fmt: skip
    return row | said


def people(path: Path, *rows: dict[str, object]) -> Path:
    pq.write_table(pa.Table.from_pylist(list(rows), schema=tables.PEOPLE), path)
    return path


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection:sqlalchemy.exc.SAWarning")
@pytest.mark.filterwarnings("ignore:autogenerate skipping:UserWarning")  # an index of SQLite's that is an expression
def test_migrating_twice_is_migrating_once_and_gives_the_schema_in_code(registry: Registry, url: str) -> None:
    registry.migrate()
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "registry_version"})
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


def test_sqlite_is_durable_and_readers_do_not_wait(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'r.db'}")
    with database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    database.close()


def test_a_url_of_another_database_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="sqlite or postgresql"):
        Registry("mysql://user:secret@host/name")
    with pytest.raises(ConfigError) as caught:
        Registry("secret nonsense")
    assert "secret" not in str(caught.value)


def test_an_empty_database_says_what_to_do(tmp_path: Path) -> None:
    with Registry(f"sqlite:///{tmp_path / 'r.db'}") as registry, pytest.raises(RefusedError, match="migrate"):
        registry.find("anybody")


def test_a_database_that_is_away_is_an_outside_error() -> None:
    registry = Registry("postgresql://nobody@/none?host=/nonexistent")
    with pytest.raises(OutsideError):
        registry.find("anybody")


def test_importing_people_twice_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    part = people(tmp_path / "a.parquet", *(account(n) for n in range(50)))
    counted = registry.import_people([part])
    assert counted.people == 50
    first = registry.export(tmp_path / "one", as_of=T0, known_at=T0)
    again = people(tmp_path / "b.parquet", *(account(n, imported_at=LATER) for n in range(50)))
    registry.import_people([again, part])
    assert registry.export(tmp_path / "two", as_of=T0, known_at=LATER)["files"] == first["files"]
    assert first["files"]["standing"]["rows"] == first["files"]["accounts"]["rows"] == 50


def test_an_imported_account_has_everything_that_the_source_said(registry: Registry, tmp_path: Path) -> None:
    registry.import_people([people(tmp_path / "a.parquet", account(1, person_hint="human", signal="n"))])
    found = registry.standing("m:human", as_of=T0, known_at=T0)
    assert found is not None
    (row,), (owned,) = found["standing"], found["accounts"]
    assert (row["born_on"], row["countries_now"], row["signal"], row["language"]) == (
        date(1990, 1, 1),
        ["DE"],
        "n",
        "de",
    )
    assert (owned["status"], owned["private"], owned["handles"], owned["names"]) == (
        "active", False, ["user1", "old1"], ["Name 1"],
    )  # fmt: skip
    for name in ("m:1", "m:human", "@User1", "old1", "user1@example.org"):
        assert registry.find(name) == ["m:human"]


def _said(registry: Registry) -> tuple[object, ...]:
    found = registry.standing("m:1", as_of=T0, known_at=T0)
    assert found is not None
    (row,), (owned,) = found["standing"], found["accounts"]
    return owned["status"], owned["private"], row["signal"]


@pytest.mark.parametrize("when", [EARLY, EARLY - timedelta(days=900)], ids=["imported later", "imported before"])
def test_what_an_account_without_a_time_loses_counts_and_what_it_gains_does_not(
    registry: Registry, tmp_path: Path, when: datetime
) -> None:
    dated = account(1, version_at=EARLY - timedelta(days=300), signal="y")
    worse = account(1, imported_at=when, status="deleted", private=True, signal="n")
    registry.import_people([people(tmp_path / "a.parquet", dated, worse)])
    assert _said(registry) == ("deleted", True, "n")
    better = account(2, version_at=EARLY, status="suspended", private=True, signal="n") | {"account_id": "m:1"}
    again = people(tmp_path / "b.parquet", better, account(1, imported_at=when, signal="y"))
    registry.import_people([again])
    assert _said(registry) == ("deleted", True, "n")


def test_an_account_without_any_time_is_what_was_said_of_it(registry: Registry, tmp_path: Path) -> None:
    registry.import_people([people(tmp_path / "a.parquet", account(1, signal="y"))])
    assert _said(registry) == ("active", False, "y")
    late = account(1, version_at=EARLY, status="bot", private=False, signal=None)
    registry.import_people([people(tmp_path / "b.parquet", late)])
    assert _said(registry) == ("bot", False, "y")
    lifted = account(1, version_at=EARLY + timedelta(days=1), status="active", private=False)
    registry.import_people([people(tmp_path / "c.parquet", lifted)])
    assert _said(registry) == ("active", False, "y")


def test_a_status_of_no_word_of_ours_is_none_that_may_be_used(registry: Registry, tmp_path: Path) -> None:
    known, strange = account(1, version_at=EARLY), account(1, version_at=EARLY + timedelta(days=1), status="banned")
    registry.import_people([people(tmp_path / "a.parquet", known, strange)])
    assert _said(registry)[0] == "suspended"


@pytest.mark.parametrize("source", [None, "none"])
def test_a_birth_date_of_no_source_can_only_cast_doubt(registry: Registry, tmp_path: Path, source: str | None) -> None:
    minor = account(1, born_on=date(2012, 1, 1), age_source=source)
    adult = account(2, born_on=date(1980, 1, 1), age_source=source)
    registry.import_people([people(tmp_path / "a.parquet", account(1), minor, adult)])
    for person, born_on, conflict in (("m:1", date(1990, 1, 1), True), ("m:2", None, False)):
        found = registry.standing(person, as_of=T0, known_at=T0)
        assert found is not None
        assert (found["standing"][0]["born_on"], found["standing"][0]["age_conflict"]) == (born_on, conflict)


@pytest.mark.parametrize("where", [{"place": "Berlin"}, {"country": ""}])
def test_who_moved_to_no_known_country_lives_nowhere_known(
    registry: Registry, tmp_path: Path, where: dict[str, str]
) -> None:
    before = account(1, version_at=EARLY - timedelta(days=900))
    moved = account(1, version_at=EARLY - timedelta(days=500)) | {"country": None} | where
    registry.import_people([people(tmp_path / "a.parquet", before, moved)])
    found = registry.standing("m:1", as_of=T0, known_at=T0)
    assert found is not None
    assert found["standing"][0]["countries_now"] == []


def test_a_place_of_no_known_country_says_nothing_where_its_account_named_none_before(
    registry: Registry, tmp_path: Path
) -> None:
    told = account(1, version_at=EARLY - timedelta(days=500)) | {"country": None, "place": "on the moon"}
    registry.import_people([people(tmp_path / "a.parquet", told)])
    home = {"type": "residence", "person_id": "m:1", "country": "DE", "valid_from": "2020-01-01T00:00:00Z"}
    registry.record_events([home], recorded_at=EARLY)
    found = registry.standing("m:1", as_of=T0, known_at=T0)
    assert found is not None
    assert found["standing"][0]["countries_now"] == ["DE"]
    assert registry.standing("m:1", as_of=T0, known_at=T0 + timedelta(days=1)) == found


@pytest.mark.parametrize("born_on", ["0001-01-01", 1, 1899, "1899-12-31", 9990, "9990-01-01", True, None, [1]])
def test_a_birth_date_that_nobody_can_have_is_a_fault(registry: Registry, born_on: object) -> None:
    event = {"type": "age", "person_id": "p", "born_on": born_on, "source": "declared"}
    assert registry.record_events([event], recorded_at=EARLY).faulty == 1


def test_a_damaged_parquet_file_or_another_table_is_a_clear_error(registry: Registry, tmp_path: Path) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 cut short")
    with pytest.raises(InputError, match="damaged"):
        registry.import_people([broken])
    other = tmp_path / "other.parquet"
    pq.write_table(pa.table({"a": [1]}), other)
    with pytest.raises(InputError, match="account_id"):
        registry.import_people([other])


def test_bad_lines_are_counted_with_their_numbers_and_stop_nothing(registry: Registry, tmp_path: Path) -> None:
    lines = [
        json.dumps({"type": "status", "account_id": "m:1", "status": "active"}),
        "{cut short",
        "",
        json.dumps({"type": "status", "account_id": "m:1", "status": "sleepy", "extra": 1}),
        json.dumps({"type": "age", "person_id": "p", "born_on": "1990-13-01", "source": "declared"}),
        json.dumps(
            {"type": "hold", "act": "lift", "hold_id": "h", "authority": "a", "instrument": "i", "by": ["A", "a "]}
        ),
        json.dumps({"type": "age", "person_id": "p", "born_on": 1990, "source": "declared"}),
        json.dumps(
            {"type": "residence", "person_id": "p", "country": "DE", "valid_from": "2020", "valid_until": "2019-01-01"}
        ),
        json.dumps([]),
        json.dumps({"type": ["x"]}),
        '{"type": "age", "person_id": "' + "x" * (1 << 20) + '"}',
        json.dumps(
            {"type": "status", "account_id": "m:1", "status": "active", "valid_at": "0001-01-01T00:00:00+23:00"}
        ),
    ]
    path = tmp_path / "events.jsonl"
    path.write_text("\n".join(lines) + "\n")
    found = registry.import_events(path, recorded_at=EARLY)
    assert dict(found.events) == {"profiles": 1, "ages": 1}
    assert found.faulty == 9
    assert {fault.split(":")[0] for fault in found.faults} == {f"line {n}" for n in (2, 4, 5, 6, 8, 9, 10, 11, 12)}
    assert not any("sleepy" in fault or "1990-13" in fault for fault in found.faults)


def test_a_missing_event_file_is_an_input_error(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none"):
        registry.import_events(tmp_path / "none.jsonl", recorded_at=T0)


@pytest.mark.parametrize("detail", [{"kinds": ["poems"]}, {"door": "window"}, {"valid_at": "soon"}, {"reason": 7}, {}])
def test_obj_02_an_objection_is_never_refused_for_a_detail(registry: Registry, detail: dict[str, object]) -> None:
    found = registry.record_events([{"type": "objection", "person_id": "p", **detail}], recorded_at=T0)
    assert found.faulty == 0
    standing = registry.standing("p", as_of=EARLY, known_at=T0)
    assert standing is not None
    assert standing["standing"][0]["objected"] is True
    assert standing["standing"][0]["objected_kinds"] is None


def test_obj_02_twice_late_and_from_anywhere_is_accepted(registry: Registry) -> None:
    for _ in range(2):
        (kept,) = registry.record_objections([Told("window", person_id="p", kinds=("poems",))], recorded_at=LATER)
        assert (kept.person_id, kept.kinds) == ("p", None)
    assert len(registry.about("p")["objections"]) == 1


def test_obj_09_an_objection_that_nobody_can_place_waits_and_then_counts_from_when_it_was_said(
    registry: Registry, tmp_path: Path
) -> None:
    (receipt,) = registry.record_objections([Told("api", claim={"contact": "new@example.org"})], recorded_at=EARLY)
    assert receipt.person_id is None
    assert [row["objection_id"] for row in registry.unmatched()] == [receipt.objection_id]
    registry.import_people([people(tmp_path / "a.parquet", account(1))])
    registry.match_objection(receipt.objection_id, "m:1", recorded_at=T0)
    assert registry.unmatched() == []
    found = registry.standing("m:1", as_of=T0, known_at=T0)
    assert found is not None
    assert found["objections"][0]["valid_at"] == EARLY
    with pytest.raises(InputError):
        registry.match_objection("U-none", "m:1", recorded_at=T0)


def test_obj_09_account_handle_or_address_find_the_person(registry: Registry, tmp_path: Path) -> None:
    registry.import_people([people(tmp_path / "a.parquet", account(1, person_hint="h"), account(2, person_hint="h"))])
    for claim in ({"account_id": "m:2"}, {"handle": "@USER1"}, {"contact": "user2@example.org"}):
        (kept,) = registry.record_objections([Told("api", claim=claim)], recorded_at=T0)
        assert kept.person_id == "m:h"
    assert registry.reach(["m:h"])["m:h"].accounts == ("m:1", "m:2")


def test_obj_09_an_address_is_found_whatever_its_capitals(registry: Registry, tmp_path: Path) -> None:
    (early,) = registry.record_objections([Told("api", claim={"contact": "ANN@example.org"})], recorded_at=EARLY)
    assert (early.person_id, registry.addressed()) == (None, {})
    ann = account(1, contact="Ann@Example.org")
    registry.import_people([people(tmp_path / "a.parquet", ann, account(2, contact="ann@example.com"))])
    assert registry.addressed() == {early.objection_id: "m:1"}
    for typed in ("ann@example.org", "Ann@Example.org", "aNN@EXAMPLE.ORG"):
        (kept,) = registry.record_objections([Told("api", claim={"contact": typed})], recorded_at=T0)
        assert kept.person_id == "m:1"
        assert registry.find(typed) == ["m:1"]
    odd = account(3, contact="Jos\u00c9@M\u00dcLLER.example"), account(4, contact="jos\u00e9@m\u00fcller.example")
    registry.import_people(
        [people(tmp_path / "b.parquet", *odd), people(tmp_path / "c.parquet", account(5, contact="ann@example.ORG"))]
    )
    assert registry.find("Jos\u00c9@M\u00dcLLER.example") == ["m:3"], "the very same"
    assert registry.find("Jos\u00c9@M\u00fcller.EXAMPLE") == ["m:4"], "small in Python"
    assert registry.find("ann@EXAMPLE.org") == ["m:1", "m:5"], "nobody's for certain"
    assert registry.find("ann@example.ORG") == ["m:5"]


def test_an_objection_of_an_id_that_is_not_known_yet_counts_once_it_appears(registry: Registry, tmp_path: Path) -> None:
    registry.record_objections([Told("api", person_id="m:1")], recorded_at=EARLY)
    assert len(registry.unmatched()) == 1
    registry.import_people([people(tmp_path / "a.parquet", account(1))])
    assert registry.unmatched() == []
    found = registry.standing("m:1", as_of=T0, known_at=T0)
    assert found is not None
    assert found["standing"][0]["objected"] is True


def test_hld_04_one_person_cannot_lift_a_hold(registry: Registry, tmp_path: Path) -> None:
    registry.place_hold("h", authority="DPC", instrument="letter", recorded_at=EARLY, countries=["DE"], kinds=["photo"])
    for people_ in (["Ann"], ["Ann", " ann "], [], ["Ann", ""]):
        with pytest.raises(RefusedError, match="two different"):
            registry.lift_hold("h", by=people_, reason="done", recorded_at=T0)
    with pytest.raises(InputError, match="none of that name"):
        registry.lift_hold("other", by=["Ann", "Bea"], reason="done", recorded_at=T0)
    registry.lift_hold("h", by=["Ann", "Bea"], reason="done", recorded_at=T0)
    registry.export(tmp_path / "s", as_of=T0, known_at=T0)
    rows = pq.read_table(tmp_path / "s/holds.parquet").to_pylist()
    assert [(row["act"], row["kinds"]) for row in rows] == [("place", ["photo"]), ("lift", ["photo"])]
    registry.export(tmp_path / "s", as_of=T0 - timedelta(days=1), known_at=LATER)
    assert pq.read_table(tmp_path / "s/holds.parquet").num_rows == 1


def test_hld_02_a_hold_without_authority_is_no_hold(registry: Registry) -> None:
    with pytest.raises(InputError, match="authority"):
        registry.place_hold("h", authority="", instrument="letter", recorded_at=T0)


def test_ppl_09_who_comes_back_under_a_suppressed_name_objects_again(registry: Registry, tmp_path: Path) -> None:
    key = b"k" * 32
    registry.suppress(key, ["@Old1", "m:3"], origin="deleted account", recorded_at=EARLY)
    registry.import_people([people(tmp_path / "a.parquet", *map(account, (1, 2, 3)))], suppression_key=key)
    registry.export(tmp_path / "s", as_of=T0, known_at=T0)
    rows = pq.read_table(tmp_path / "s/standing.parquet").to_pylist()
    assert {row["person_id"]: row["objected"] for row in rows} == {"m:1": True, "m:2": False, "m:3": True}


def test_sec_03_suppressions_hold_no_identifier(registry: Registry, url: str) -> None:
    registry.suppress(b"k" * 32, ["sentinel-name"], origin="request", recorded_at=EARLY)
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        assert "sentinel" not in repr(connection.execute(sa.text("SELECT * FROM suppressions")).all())
    engine.dispose()


def test_the_export_is_committed_last_and_has_the_documented_schemas(registry: Registry, tmp_path: Path) -> None:
    registry.import_people([people(tmp_path / "a.parquet", account(1))])
    facts = registry.export(tmp_path / "s", as_of=T0, known_at=T0)
    assert read_commit(tmp_path / "s") == facts
    for name, schema in (("standing", tables.STANDING), ("accounts", tables.ACCOUNTS), ("residence", tables.RESIDENCE),
                         ("notices", tables.NOTICES), ("campaigns", tables.CAMPAIGNS),
                         ("objections", tables.OBJECTIONS), ("holds", tables.HOLDS),
                         ("suppressed", tables.SUPPRESSED), ("suppressed_words", tables.SUPPRESSED_WORDS)):  # fmt: skip
        found = pq.read_table(tmp_path / f"s/{name}.parquet")
        assert found.schema.equals(schema), name
        assert found.num_rows == facts["files"][name]["rows"]


def test_knowledge_before_the_instant_asked_for_is_refused(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="known_at"):
        registry.export(tmp_path / "s", as_of=T0, known_at=EARLY)


def test_history_imported_later_counts_when_the_base_says_so(registry: Registry, tmp_path: Path) -> None:
    registry.import_people([people(tmp_path / "a.parquet", account(1, imported_at=LATER))])
    strict = registry.standing("m:1", as_of=T0, known_at=LATER)
    based = registry.standing("m:1", as_of=T0, known_at=LATER, base_known_at=LATER)
    assert strict is not None
    assert based is not None
    assert (strict["standing"][0]["born_on"], strict["accounts"][0]["status"]) == (None, None)
    assert (based["standing"][0]["born_on"], based["accounts"][0]["status"]) == (date(1990, 1, 1), "active")


def test_somebody_unknown_has_no_standing(registry: Registry) -> None:
    assert registry.standing("nobody", as_of=T0, known_at=T0) is None
    assert registry.find("nobody") == []


DOCS = (Path(__file__).parents[2] / "docs/registry.md").read_text(encoding="utf-8")


def test_every_event_type_member_and_table_is_documented() -> None:
    kinds, tables_ = DOCS.split("## Event files")[1].split("## Tables")
    for name, form in FORMS.items():
        line = next((line for line in kinds.splitlines() if line.startswith(f"| `{name}` |")), "")
        for member in form.fields:
            told = f"**`{member.name}`**" if member.required else f"`{member.name}`"
            assert told in line, (name, member.name)
    for table in METADATA.sorted_tables:
        assert f"| `{table.name}` |" in tables_, table.name


def test_the_documented_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("events.jsonl").write_text(DOCS.split("```json\n")[1].split("```")[0], encoding="utf-8")
    exec(compile(DOCS.split("```python\n")[1].split("```")[0], "registry.md", "exec"), {})
    (row,) = pq.read_table("standing/standing.parquet").to_pylist()
    assert (row["person_id"], row["objected"], row["campaigns"]) == ("m:ann", True, ["spring"])

"""The shipped mappings of platforms' tables: what a record says is taken, what it does not say is unknown."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from importlib import resources

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demur.clock import parse
from demur.intake import intake, read_mapping
from demur.intake.mapping import parse_mapping
from demur.terms.content import Audience

MAPPINGS = resources.files("demur.intake") / "mappings"
PLATFORMS = ("facebook", "instagram", "threads", "x")
INSTANTS = {"iso": "2024-05-01T10:00:00Z", "unix_s": 1_714_557_600, "twitter_id": 1_785_600_000_000_000_000,
            "%Y-%m-%d": "1990-04-18"}  # fmt: skip


def tables(name):
    return tomllib.loads((MAPPINGS / f"{name}.toml").read_text("utf-8"))["tables"]


def record(table):
    """Return a record that has every column: the first word of each that the mapping names."""
    found = {}
    for name, given in table["columns"].items():
        for way in given if isinstance(given, list) else [given]:
            value = next(iter(way.get("map", {})), None) or INSTANTS.get(way.get("date")) or f"some-{name}"
            value = {"rating": 4.5, "private": False, "mentions": ["7", "8"], "country": "DE"}.get(name, value)
            if "from" in way and ("date" in way or way["from"] not in found):
                found[way["from"]] = value
    return found


def take(folder, name, records, file="table"):
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / f"{file}.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    report = intake(
        "table", [path], store_folder=folder / "source", quarantine_folder=folder / "quarantine",
        imported_at=parse("2026-11-22"), mapping=read_mapping(name),
    )  # fmt: skip
    kinds = ("items", "people")
    return report, [
        row
        for kind in kinds
        for part in (folder / "source" / kind).glob("*.parquet")
        for row in pq.read_table(part).to_pylist()
    ]


ALL = [(name, number) for name in PLATFORMS for number in range(len(tables(name)))]


@pytest.mark.parametrize(("name", "number"), ALL)
def test_a_record_with_every_column_is_a_row(tmp_path, name, number):
    table = tables(name)[number]
    file = table["files"].rstrip("*")
    report, rows = take(tmp_path, name, [record(table)], file)
    assert report.quarantined == {}
    (row,) = rows
    missing = [column for column in table["columns"] if row[column] is None]
    assert missing == []
    assert row["service"] == name
    if table["rows"] == "people":
        assert row["born_on"] == date(1990, 4, 18)


@pytest.mark.parametrize(("name", "number"), [one for one in ALL if tables(one[0])[one[1]]["rows"] == "items"])
def test_an_audience_is_taken_as_said_unknown_when_unsaid_and_quarantined_when_odd(tmp_path, name, number):
    table = tables(name)[number]
    way, file, full = table["columns"]["audience"], table["files"].rstrip("*"), record(table)
    if "value" in way:
        assert way["value"] != Audience.PUBLIC.value
        return
    for theirs, ours in way["map"].items():
        _, rows = take(tmp_path / theirs, name, [full | {way["from"]: theirs}], file)
        assert [row["audience"] for row in rows] == [ours]
    report, rows = take(tmp_path / "odd", name, [full | {way["from"]: "a word of tomorrow"}], file)
    left = ["deleted"] * ("state" in table["columns"])  # the record is a deletion, and that counts all the same
    assert (report.quarantined, [row["state"] for row in rows]) == ({"unmapped_value": 1}, left)
    _, rows = take(tmp_path / "none", name, [full | {way["from"]: None}], file)
    assert [row["audience"] for row in rows] == ["unknown"]


@pytest.mark.parametrize("name", PLATFORMS)
def test_no_table_of_messages_has_a_way_to_their_words(name):
    private = [table for table in tables(name) if table["columns"].get("kind", {}).get("value") == "private_message"]
    assert len(private) == (name != "threads")
    for table in private:
        assert "text" not in table["columns"]
        assert set(table["columns"]["audience"]["map"].values()) == {"direct", "group"}


def test_the_same_table_as_parquet(tmp_path):
    (table,) = [one for one in tables("x") if one["files"] == "tweets*"]
    path = tmp_path / "tweets-0.parquet"
    pq.write_table(pa.Table.from_pylist([record(table)]), path)
    report = intake(
        "table", [path], store_folder=tmp_path / "source", quarantine_folder=tmp_path / "quarantine",
        imported_at=parse("2026-11-22"), mapping=read_mapping("x"),
    )  # fmt: skip
    assert (report.items, report.quarantined) == (1, {})


JOINED = """
service = "x"
[[tables]]
files = "*.jsonl"
rows = "items"
[tables.columns]
item_id = { from = ["room", "number"], join = "/" }
kind = { value = "post" }
audience = { value = "public" }
text = { from = ["words", "score"], join = " " }
"""


def test_joined_numbers_are_ids_only_where_an_id_is_made_of_them(tmp_path):
    path = tmp_path / "t.jsonl"
    records = [
        {"room": "r", "number": 17.0, "words": "hello", "score": 3.5},
        {"room": "r", "number": 18.5, "words": "it may be somebody else's", "score": 4},
    ]
    path.write_text("".join(json.dumps(one) + "\n" for one in records))
    report = intake(
        "table", [path], store_folder=tmp_path / "source", quarantine_folder=tmp_path / "quarantine",
        imported_at=parse("2026-11-22"), mapping=parse_mapping(JOINED, "joined.toml"),
    )  # fmt: skip
    rows = [row for part in (tmp_path / "source/items").glob("*.parquet") for row in pq.read_table(part).to_pylist()]
    assert report.quarantined == {"missing_id": 1}
    assert [(row["item_id"], row["text"]) for row in rows] == [("x:r/17", "hello 3.5")]

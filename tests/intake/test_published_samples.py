"""Every published sample is taken in, and the counts agree with an independent reading of the files."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from demur.clock import parse
from demur.intake import REASONS, intake, read_mapping
from demur.terms.tables import ITEMS, PEOPLE

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
pytestmark = pytest.mark.skipif(not DATA.exists(), reason="the sample data is not beside the repository")
READ_AT = parse("2026-11-22")


class Taken:
    def __init__(self, report, folder):
        self.report = report
        self.items = self._rows(folder / "source" / "items", ITEMS)
        self.people = self._rows(folder / "source" / "people", PEOPLE)

    def _rows(self, folder, schema):
        rows = []
        for part in sorted(folder.glob("*.parquet")):
            table = pq.read_table(part)
            assert table.schema.equals(schema)
            rows += table.to_pylist()
        return rows


def take(folder, source, *paths, mapping=None):
    report = intake(
        source,
        list(paths),
        store_folder=folder / "source",
        quarantine_folder=folder / "quarantine",
        imported_at=READ_AT,
        mapping=None if mapping is None else read_mapping(mapping),
    )
    assert set(report.quarantined) <= set(REASONS)
    return Taken(report, folder)


def rows_in(path, pattern=r"<row "):
    return len(re.findall(pattern, path.read_text("utf-8-sig"))) if path.exists() else 0


@pytest.mark.parametrize("site", ["se_meta_french", "se_meta_conlang"])
def test_every_row_of_a_stack_exchange_dump_is_an_item_a_person_or_counted(tmp_path, site):
    folder = DATA / site
    taken = take(tmp_path, "stackexchange", folder)
    assert taken.report.quarantined == {}
    assert len(taken.people) == rows_in(folder / "Users.xml")
    kinds = Counter()
    for item_id in {row["item_id"] for row in taken.items}:
        kinds[item_id.split(":")[2] if item_id.split(":")[2] != "user" else item_id.split(":")[4]] += 1
    assert kinds["post"] == rows_in(folder / "Posts.xml")
    assert kinds["comment"] == rows_in(folder / "Comments.xml")
    assert kinds["profile_name"] == rows_in(folder / "Users.xml", r' DisplayName="[^"]')
    assert taken.report.ignored["votes"] == rows_in(folder / "Votes.xml")
    without_owner = rows_in(folder / "Posts.xml") - rows_in(folder / "Posts.xml", r' OwnerUserId="')
    posts = {row["item_id"]: row for row in taken.items if ":post:" in row["item_id"]}
    assert sum(row["account_id"] is None for row in posts.values()) == without_owner


def test_old_texts_of_posts_come_in_as_versions(tmp_path):
    taken = take(tmp_path, "stackexchange", DATA / "se_meta_french")
    edited = Counter(row["item_id"] for row in taken.items if ":post:" in row["item_id"])
    history = (DATA / "se_meta_french" / "PostHistory.xml").read_text("utf-8-sig")
    with_edits = set(re.findall(r'PostHistoryTypeId="5" PostId="(\d+)"', history))
    several = {item.rpartition(":")[2] for item, count in edited.items() if count > 1}
    assert with_edits
    assert with_edits <= several
    deleted = [row for row in taken.items if row["state"] == "deleted" and row["kind"] != "bio"]
    assert {row["item_id"].rpartition(":")[2] for row in deleted} == {"569"}
    assert all(row["audience"] == "unknown" for row in deleted)


def note_visibilities(found, truth):
    if isinstance(found, dict):
        if "visibility" in found and "uri" in found:
            truth[f"activitypub:{found['uri']}"] = found["visibility"]
        found = list(found.values())
    if isinstance(found, list):
        for value in found:
            note_visibilities(value, truth)


def test_all_direct_statuses_of_the_mastodon_api_are_direct(tmp_path):
    taken = take(tmp_path, "mastodon", DATA / "mastodon_entities")
    truth = {}

    for path in (DATA / "mastodon_entities").glob("*.yaml"):
        for interaction in yaml.safe_load(path.read_text("utf-8"))["interactions"]:
            note_visibilities(json.loads(interaction["response"]["body"]["string"]), truth)
    assert Counter(truth.values())["direct"] == 17
    said = {row["item_id"]: row["audience"] for row in taken.items if row["item_id"] in truth}
    words = {"private": "followers", "public": "public", "unlisted": "unlisted", "direct": "direct"}
    assert said == {item: words[visibility] for item, visibility in truth.items()}
    direct = [row for row in taken.items if row["audience"] == "direct"]
    assert {row["kind"] for row in direct} == {"private_message"}
    for row in taken.items:
        base = row["item_id"].partition("#attachment")[0].partition("#alt")[0]
        if base in truth:
            assert row["audience"] == words[truth[base]], "an attachment is as narrow as its status"


@pytest.mark.parametrize("source_set", ["activitystreams_vectors", "fedify_fixtures"])
def test_nothing_of_the_vectors_is_public_that_does_not_say_so(tmp_path, source_set):
    taken = take(tmp_path, "activitystreams", DATA / source_set)
    assert taken.items
    files = list((DATA / source_set).rglob("*.json"))
    assert len(taken.report.files) + len(taken.report.unchanged) == len(files)
    naming = [path for path in files if re.search(rb"#Public|as:Public", path.read_bytes())]
    public = {row["item_id"].partition("#attachment")[0] for row in taken.items if row["audience"] == "public"}
    texts = b"".join(path.read_bytes() for path in naming)
    assert all(item.removeprefix("activitypub:").encode() in texts for item in public)


def test_the_odd_vectors_are_quarantined_each_with_its_reason(tmp_path):
    expected = {
        "bad-character-set.json": "not_utf8",
        "vocabulary-ex196-jsonld.json": "malformed_json",
        "number-as-content.json": "wrong_type",
        "number-as-id.json": "missing_id",
        "number-at-top.json": "not_content",
        "string-at-top.json": "not_content",
    }
    for name, reason in expected.items():
        taken = take(tmp_path / name, "activitystreams", DATA / "activitystreams_vectors" / name)
        assert taken.report.quarantined == {reason: 1}, name
    odd = take(tmp_path / "x", "activitystreams", DATA / "activitystreams_vectors" / "array-at-top.json")
    assert [row["audience"] for row in odd.items] == ["unknown", "unknown"]


def test_jetstream_events_are_items_tombstones_and_people(tmp_path):
    path = DATA / "bluesky_jetstream_corpus" / "expected_v1.jsonl"
    taken = take(tmp_path, "bluesky", path)
    truth = Counter()
    for line in path.read_text("utf-8").splitlines():
        event = json.loads(line)
        commit = event.get("commit", {})
        truth[event["kind"], commit.get("collection"), commit.get("operation")] += 1
    main = [row for row in taken.items if "#" not in row["item_id"]]
    live = Counter(row["kind"] for row in main if row["state"] == "live")
    assert live["post"] + live["reply"] + live["quote"] == truth["commit", "app.bsky.feed.post", "create"]
    assert live["reshare"] == truth["commit", "app.bsky.feed.repost", "create"]
    assert all(row["original_id"] for row in main if row["kind"] == "reshare")
    assert sum(row["state"] == "deleted" for row in main) == truth["commit", "app.bsky.feed.post", "delete"]
    assert taken.report.ignored["app.bsky.feed.like"] == truth["commit", "app.bsky.feed.like", "create"]
    assert len(taken.people) == truth["identity", None, None] + truth["account", None, None]


def test_the_shipped_mapping_reads_open_assistant(tmp_path):
    path = DATA / "oasst1_en_validation"
    taken = take(tmp_path, "table", path, mapping="oasst1")
    truth = [json.loads(line) for line in (path / "en-validation.jsonl").read_text("utf-8").splitlines()]
    assert len(taken.items) == len(truth)
    assert {row["kind"] for row in taken.items} == {"ai_chat"}
    assert sum(row["state"] == "deleted" for row in taken.items) == sum(entry["deleted"] for entry in truth)
    assert {row["addressed_to_ai"] for row in taken.items} == {True}
    assert len(taken.people) == len({entry["user_id"] for entry in truth})
    assert taken.report.quarantined == {}


def test_the_shipped_mapping_reads_decide_madrid(tmp_path):
    path = DATA / "decide_madrid_2019"
    taken = take(tmp_path, "table", path, mapping="decide_madrid")
    with (path / "comments.csv").open(newline="", encoding="utf-8") as stream:
        comments = list(csv.DictReader(stream))
    with (path / "proposals.csv").open(newline="", encoding="utf-8") as stream:
        proposals = list(csv.DictReader(stream))
    kinds = Counter(row["kind"] for row in taken.items)
    assert kinds == {"comment": len(comments), "post": len(proposals)}
    assert len(taken.people) == len({row["userId"] for row in comments + proposals})
    parents = {row["item_id"]: row["parent_id"] for row in taken.items}
    for row in comments[:500]:
        expected = f"proposal:{row['proposalId']}" if row["parentId"] == "-1" else f"comment:{row['parentId']}"
        assert parents[f"decide_madrid:comment:{row['id']}"] == f"decide_madrid:{expected}"
    first = next(row for row in taken.items if row["item_id"] == "decide_madrid:comment:17092")
    assert first["created_at"] == parse("2015-09-15T10:50:19+02:00")

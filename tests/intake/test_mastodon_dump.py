"""A Mastodon database: numbers become audiences, rows find each other across tables, and nothing private gets out."""

from __future__ import annotations

import csv
import gzip
import io

import orjson
import pyarrow.parquet as pq
import pytest

from demur.clock import parse
from demur.errors import InputError
from demur.intake import intake, state_digest
from demur.intake.activitystreams import Mastodon
from demur.intake.mastodon_dump import MastodonDump

HOST = "https://here.example"
ANN, BOB = f"activitypub:{HOST}/users/ann", "activitypub:https://there.example/users/bob"
BASE = {"created_at": "2026-01-01 10:00:00.123", "local": "t", "visibility": "0", "account_id": "1", "text": "words"}


def status(number, **more):
    return {"id": str(number), "uri": f"{HOST}/users/ann/statuses/{number}", **BASE, **more}


TABLES = {
    "accounts": [
        {"id": "1", "username": "ann", "display_name": "Ann", "note": "I <3 birds", "created_at": "2025-01-01 00:00:00",
         "updated_at": "2025-06-01 00:00:00", "locked": "f", "discoverable": "t", "indexable": "f"},
        {"id": "2", "username": "bob", "domain": "there.example", "uri": "https://there.example/users/bob",
         "note": "<p>hi &amp; bye</p>", "created_at": "2025-01-01 00:00:00", "locked": "t", "actor_type": "Service",
         "indexable": "t"},
        {"id": "3", "username": "cyd", "created_at": "2025-01-01 00:00:00", "suspended_at": "2026-01-01 00:00:00"},
        {"id": "4", "username": "dee", "created_at": "2025-01-01 00:00:00"},
    ],
    "users": [
        {"id": "11", "account_id": "1", "email": "ann@example.org", "locale": "de",
         "confirmed_at": "2025-01-01 00:00:00",
         "approved": "t", "disabled": "f", "current_sign_in_at": "2026-02-01 00:00:00", "settings": '{"noindex":true}'},
        {"id": "14", "account_id": "4", "email": "dee@example.org", "approved": "t"},
    ],
    "statuses": [
        status(1, language="de", text="a < b\tand\\more\nlines"),
        status(2, visibility="1"),
        status(3, visibility="2"),
        status(4, visibility="3", text="secret"),
        status(5, visibility="4", text="for some"),
        status(6, visibility="7"),
        status(7, deleted_at="2026-03-01 00:00:00", text="gone"),
        status(8, reblog_of_id="20", text=""),
        status(9, in_reply_to_id="20", spoiler_text="cw", edited_at="2026-01-05 00:00:00", text="new"),
        status(10, in_reply_to_id="999"),
        status(12, uri=None),
        status(13, poll_id="5", text="which?"),
        {**status(20), "uri": "https://there.example/notes/20", "account_id": "2", "local": "f", "text": "<p>far</p>"},
    ],
    "status_edits": [
        {"id": "1", "status_id": "9", "text": "old", "spoiler_text": "cw", "created_at": "2026-01-01 10:00:00.123"},
        {"id": "2", "status_id": "9", "text": "new", "spoiler_text": "cw", "created_at": "2026-01-05 00:00:00"},
    ],
    "media_attachments": [
        {"id": "1", "status_id": "3", "type": "0", "description": "a cat", "file_content_type": "image/png"},
        {"id": "2", "status_id": "7", "type": "0"},
        {"id": "3", "status_id": None, "type": "0"},
    ],
    "mentions": [{"id": "1", "status_id": "9", "account_id": "2"}],
    "polls": [{"id": "5", "options": '{"one, or two",three}'}],
}  # fmt: skip


def columns(rows):
    return list(dict.fromkeys(name for row in rows for name in row))


def copied(value):
    if value is None:
        return "\\N"
    for plain, written in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n")):
        value = value.replace(plain, written)
    return value


def dump(tables=TABLES):
    out = [
        "-- PostgreSQL database dump",
        "COPY public.ar_internal_metadata (key, value) FROM stdin;",
        "a\tb",
        "\\.",
        "",
    ]
    for table, rows in tables.items():
        names = columns(rows)
        out.append(f"COPY public.{table} ({', '.join(names)}) FROM stdin;")
        out += ["\t".join(copied(row.get(name)) for name in names) for row in rows]
        out += ["\\.", ""]
    return "\n".join(out).encode()


def take(folder, path, service=None):
    return intake(MastodonDump(), [path], store_folder=folder / "source", quarantine_folder=folder / "quarantine",
                  imported_at=parse("2026-11-22"), service=service)  # fmt: skip


def stored(folder, table="items"):
    return [
        row for part in sorted((folder / "source" / table).glob("*.parquet")) for row in pq.read_table(part).to_pylist()
    ]


@pytest.fixture
def taken(tmp_path):
    (tmp_path / "dump.sql.gz").write_bytes(gzip.compress(dump()))
    report = take(tmp_path, tmp_path / "dump.sql.gz")
    assert report.quarantined == {"unknown_audience": 1}
    return tmp_path


def statuses(folder):
    found = {}
    for row in stored(folder):
        found.setdefault(row["item_id"].removeprefix("activitypub:"), []).append(row)
    return found


def test_numbers_become_audiences(taken):
    found = statuses(taken)
    told = {n: [row["audience"] for row in found[f"{HOST}/users/ann/statuses/{n}"]] for n in (1, 2, 3, 4, 5, 7)}
    assert told == {1: ["public"], 2: ["unlisted"], 3: ["followers"], 4: ["direct"], 5: ["direct"], 7: ["unknown"]}
    assert f"{HOST}/users/ann/statuses/6" not in found
    private = {row["text"] for rows in found.values() for row in rows if row["kind"] == "private_message"}
    assert private == {"secret", "for some"}
    (gone,) = found[f"{HOST}/users/ann/statuses/7"]
    assert (gone["state"], gone["text"], gone["version_at"]) == ("deleted", None, parse("2026-03-01"))


def test_rows_find_each_other_across_tables(taken):
    found = statuses(taken)
    (boost,) = found[f"{HOST}/users/ann/statuses/8"]
    assert (boost["kind"], boost["original_id"], boost["text"]) == (
        "reshare",
        "activitypub:https://there.example/notes/20",
        None,
    )
    old, new = sorted(found[f"{HOST}/users/ann/statuses/9"], key=lambda row: row["version_at"])
    assert (old["text"], new["text"]) == ("cw\n\nold", "cw\n\nnew")
    assert (new["kind"], new["parent_id"], new["parent_audience"]) == (
        "reply",
        "activitypub:https://there.example/notes/20",
        "public",
    )
    assert new["mentions"] == [BOB]
    (lost,) = found[f"{HOST}/users/ann/statuses/10"]
    assert (lost["parent_id"], lost["parent_audience"]) == ("activitypub:here.example/statuses/999", None)
    assert f"{HOST}/users/ann/statuses/12" in found, "an own status without a URI has the one that it would have"
    (asked,) = found[f"{HOST}/users/ann/statuses/13"]
    assert (asked["kind"], asked["text"]) == ("poll", "which?\n\n- one, or two\n- three")
    (picture,) = found[f"{HOST}/users/ann/statuses/3#attachment-0"]
    assert (picture["kind"], picture["audience"], picture["media_type"]) == ("photo", "followers", "image/png")
    assert not [name for name in found if "/7#" in name], "what hung on a deleted status is not read"


def test_own_texts_are_as_they_were_written_and_others_are_html(taken):
    found = statuses(taken)
    assert found[f"{HOST}/users/ann/statuses/1"][0]["text"] == "a < b\tand\\more\nlines"
    assert found["https://there.example/notes/20"][0]["text"] == "far"
    assert {row["text"] for row in stored(taken) if row["kind"] == "bio" and row["text"]} == {"I <3 birds", "hi & bye"}


def test_accounts(taken):
    people = {row["account_id"]: row for row in stored(taken, "people")}
    ann, bob = people[ANN], people[BOB]
    assert (ann["handle"], ann["contact"], ann["status"], ann["language"]) == (
        "@ann@here.example",
        "ann@example.org",
        "active",
        "de",
    )
    assert (ann["signal"], ann["signal_origin"]) == ("n", "mastodon:indexable mastodon:noindex")
    assert (bob["handle"], bob["status"], bob["private"], bob["signal"]) == ("@bob@there.example", "bot", True, None)
    assert people[f"activitypub:{HOST}/users/cyd"]["status"] == "suspended"
    assert people[f"activitypub:{HOST}/users/dee"]["status"] is None, "an address that was never confirmed"


def test_tables_as_csv_are_the_same(taken, tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    for table, rows in TABLES.items():
        out = io.StringIO()
        writer = csv.DictWriter(out, columns(rows))
        writer.writeheader()
        writer.writerows(rows)
        (folder / f"{table}.csv").write_text(out.getvalue())
    (folder / "tags.csv").write_text("id,name\n1,x\n")
    report = take(tmp_path / "again", folder)
    assert report.ignored == {"table tags": 1}
    assert state_digest(tmp_path / "again" / "source") == state_digest(taken / "source")


def test_a_status_from_the_api_is_the_same_item(taken):
    account = {"uri": f"{HOST}/users/ann", "acct": "ann", "username": "ann"}
    entity = {"id": "1", "uri": f"{HOST}/users/ann/statuses/1", "visibility": "public", "account": account,
              "created_at": "2026-01-01T10:00:00.123Z", "content": "<p>a &lt; b</p>", "spoiler_text": ""}  # fmt: skip
    (taken / "api.json").write_bytes(orjson.dumps(entity))
    intake(Mastodon(), [taken / "api.json"], store_folder=taken / "source", quarantine_folder=taken / "quarantine",
           imported_at=parse("2026-11-22"))  # fmt: skip
    both = statuses(taken)[f"{HOST}/users/ann/statuses/1"]
    assert len(both) == 2
    assert {row["account_id"] for row in both} == {ANN}
    assert {row["version_at"] for row in both} == {parse("2026-01-01T10:00:00.123Z")}


def test_a_dump_that_is_cut_keeps_what_came_before(tmp_path):
    whole = dump()
    (tmp_path / "cut.sql").write_bytes(whole[: whole.index(b"COPY public.mentions") - 20])
    report = take(tmp_path, tmp_path / "cut.sql")
    assert report.quarantined["truncated"] == 1
    assert f"{HOST}/users/ann/statuses/1" in statuses(tmp_path)


def test_odd_rows_are_quarantined_alone(tmp_path):
    raw = dump().replace(b"there.example/notes/20", b"there.example/notes/\xff").replace(b"\tsecret", b"\tsecret\tmore")
    (tmp_path / "odd.sql").write_bytes(raw)
    report = take(tmp_path, tmp_path / "odd.sql")
    assert report.quarantined == {"not_utf8": 1, "malformed_table": 1, "unknown_audience": 1}


@pytest.mark.parametrize("content", [b"PGDMP\x01\x0e\x00", b"", b"SELECT 1;\n"])
def test_another_file_is_told(tmp_path, content):
    (tmp_path / "x.dump").write_bytes(content)
    assert take(tmp_path, tmp_path / "x.dump").quarantined == {"not_content": 1}


def test_an_instance_without_statuses_is_named_by_the_caller(tmp_path):
    tables = {"accounts": [TABLES["accounts"][0]], "users": TABLES["users"][:1]}
    (tmp_path / "x.sql").write_bytes(dump(tables))
    assert take(tmp_path / "a", tmp_path / "x.sql").quarantined == {"missing_id": 1}
    take(tmp_path / "b", tmp_path / "x.sql", service="here.example")
    assert [row["account_id"] for row in stored(tmp_path / "b", "people")] == [ANN]
    with pytest.raises(InputError, match="dump"):
        MastodonDump().inputs([tmp_path / "b" / "source" / "inputs"])

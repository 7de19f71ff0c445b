"""What a person takes back is gone: deleted, thrown away, put away, emptied, taken out of a post; so is an origin."""

from __future__ import annotations

import csv
import importlib
import io
import json
import os

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.clock import parse
from demur.intake import ItemRow, PersonRow, intake
from demur.intake.exports import profile_items
from demur.intake.fediverse import MOST_MEDIA, media_rows
from demur.intake.mapping import parse_mapping

AT = parse("2026-11-22")
SECOND = 1_714_550_400
EXAMPLES = 400 if os.environ.get("DEMUR_NIGHTLY") == "1" else 25
PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
HOST = "https://a.example"
ANN = f"{HOST}/users/ann"


def written(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return folder


def taken(folder, source, *exports, public=("*",)):
    """Read exports one after another into one store; return its snapshot: items and people by id."""
    mapping = parse_mapping(f"public = {json.dumps(list(public))}", "m.toml")
    for number, files in enumerate(exports):
        report = intake(
            source,
            [written(folder / str(number) / "export", files)],
            store_folder=folder / "source",
            quarantine_folder=folder / "quarantine",
            imported_at=AT,
            mapping=mapping,
        )
        assert report.quarantined == {}
    return snapshot(folder)


def snapshot(folder):
    facts = {"as_of": None, "known_at": parse("2027-01-01").isoformat(), "state": "", "code": ""}
    (folder / "out").mkdir()
    importlib.import_module("demur.intake.snapshot").stage(
        folder / "out", source_folder=str(folder / "source"), **facts
    )
    found = {}
    for table, key in (("items", "item_id"), ("people", "account_id")):
        parts = sorted((folder / "out" / table).glob("*.parquet"))
        found[table] = {row[key]: row for part in parts for row in pq.read_table(part).to_pylist()}
    return found


# Deletions of unknown time -----------------------------------------------------------------------------------------


def slack(message):
    return {
        "channels.json": [{"id": "C1", "name": "general"}],
        "users.json": [{"id": "U1", "name": "ann"}],
        "general/2024-05-01.json": [{"type": "message", "ts": f"{SECOND}.000100", **message}],
    }


def reddit(**said):
    comment = {"id": "abc", "link_id": "t3_x", "parent_id": "t3_x", "subreddit": "g", "subreddit_type": "public"}
    return {"a.jsonl": json.dumps(comment | {"author": "ann", "created_utc": SECOND, "body": "secret"} | said) + "\n"}


def facebook(**files):
    profile = {"name": {"full_name": "Ann"}, "username": "ann", "registration_timestamp": 1_500_000_000}
    post = {"timestamp": SECOND, "data": [{"post": "secret"}]}
    edited = {"timestamp": SECOND, "data": [{"post": "secret"}, {"update_timestamp": SECOND + 3600}]}
    return {
        "profile_information/profile_information.json": {"profile_v2": profile | files.pop("profile", {})},
        **{f"posts/{name}.json": [post if name == "trash" else edited] for name in files},
    }


def instagram(**lists):
    media = {"uri": "media/x/1.jpg", "creation_timestamp": SECOND, "title": "secret"}
    whose = {"Username": {"value": "ann"}, "Private Account": {"value": "False"}}
    return {
        "personal_information/personal_information.json": {"profile_user": [{"string_map_data": whose}]},
        **{f"media/{name}.json": {listed: [{"media": [media]}]} for name, listed in lists.items()},
    }


def discourse(**said):
    post = {"id": 7, "post_number": 1, "cooked": "<p>secret</p>", "created_at": "2024-05-01T08:00:00Z"}
    page = {"archetype": "regular", "title": "t", "category_id": 1, "post_stream": {"posts": [post | said]}}
    return {"t.json": page, "categories.json": {"category_list": {"categories": [{"id": 1, "read_restricted": False}]}}}


EDITED = {"user": "U1", "text": "secret", "edited": {"user": "U1", "ts": f"{SECOND + 3600}.000000"}}
TOMBSTONE = {"subtype": "tombstone", "user": "USLACKBOT", "text": "This message was deleted.", "hidden": True}
THROWN = instagram(recently_deleted_content="ig_recently_deleted_media")
PUT_AWAY = instagram(archived_posts="ig_archived_post_media")
GONE = {
    "slack": (slack(EDITED), slack(TOMBSTONE), f"slack:C1/{SECOND}.000100"),
    "reddit": (reddit(edited=SECOND + 3600), reddit(body="[deleted]", author="[deleted]"), "reddit:t1_abc"),
    "facebook": (facebook(your_posts_1=1), facebook(trash=1), f"facebook:facebook:ann/post/{SECOND}000"),
    "discourse": (
        discourse(updated_at="2024-05-02T08:00:00Z"),
        discourse(user_deleted=True),
        "discourse:post:7",
    ),
    "instagram": (instagram(posts_1="x"), THROWN, f"instagram:ann/post/{SECOND}000"),
    "instagram reel": (instagram(reels="ig_reels_media"), THROWN, f"instagram:ann/reel/{SECOND}000"),
    "instagram put away": (instagram(posts_1="x"), PUT_AWAY, f"instagram:ann/post/{SECOND}000"),
    "instagram reel put away": (instagram(reels="ig_reels_media"), PUT_AWAY, f"instagram:ann/reel/{SECOND}000"),
}


@pytest.mark.parametrize("name", GONE)
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_was_taken_back_is_gone_however_often_it_was_edited_and_whichever_export_comes_first(
    tmp_path, name, order
):
    *exports, item = GONE[name]
    source = name.split(" ", maxsplit=1)[0]
    before = taken(tmp_path / "before", source, exports[0])["items"][item]
    assert (before["state"], before["audience"]) == ("live", "public")
    after = taken(tmp_path / "after", source, *(exports[n] for n in order))["items"][item]
    assert after["state"] == "deleted" or after["audience"] == "direct"


# Accounts that end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Person", "Service", "Application", "Group", "Organization", "as:Person", ["Person"]])
def test_the_tombstone_of_an_actor_ends_an_account_and_is_no_post(tmp_path, kind):
    gone = {"type": "Tombstone", "id": ANN, "formerType": kind, "deleted": "2024-07-01T00:00:00Z"}
    found = taken(tmp_path, "activitystreams", {"a.json": gone})
    assert {row["account_id"]: row["status"] for row in found["people"].values()} == {f"activitypub:{ANN}": "deleted"}
    assert found["items"] == {}


# Profiles ----------------------------------------------------------------------------------------------------------


def actor(day, **said):
    return {
        "a.json": {
            "@context": "x", "type": "Person", "id": ANN, "preferredUsername": "ann", "updated": f"2024-05-{day}",
            "published": "2020-01-01T00:00:00Z", **said,
        }
    }  # fmt: skip


def entity(day, **said):
    return {
        "a.json": {
            "acct": "ann", "username": "ann", "uri": ANN, "created_at": "2020-01-01T00:00:00Z",
            "last_status_at": f"2024-05-{day}", **said,
        }
    }  # fmt: skip


def tables(**more):
    out = {}
    for table, rows in more.items():
        text = io.StringIO()
        writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
        out[f"{table}.csv"] = text.getvalue()
    return out


def account(day, **said):
    row = {"id": "1", "username": "ann", "uri": ANN, "created_at": "2020-01-01", "updated_at": f"2024-05-{day}"}
    return tables(accounts=[row | said])


def user(day, **said):
    return {"u.json": {"user": {"id": 1, "username": "ann", "last_seen_at": f"2024-05-{day}T00:00:00Z", **said}}}


def attributes(day, **said):
    row = " ".join(f'{name}="{value}"' for name, value in said.items())
    return {
        "Users.xml": f'<?xml version="1.0" encoding="utf-8"?>\n<users>\n  <row Id="1" CreationDate="2020-01-01"'
        f' LastAccessDate="2024-05-{day}T00:00:00" {row} />\n</users>\n'
    }


def posts_and_profile(_, **said):
    return facebook(profile=said)


PROFILES = {
    "activitystreams": (actor, "summary"), "mastodon": (entity, "note"), "mastodon_dump": (account, "note"),
    "discourse": (user, "bio_cooked"), "stackexchange": (attributes, "AboutMe"),
    "facebook": (posts_and_profile, "intro_bio"),
}  # fmt: skip


@pytest.mark.parametrize("source", PROFILES)
def test_a_bio_that_was_emptied_is_gone_and_one_that_nothing_is_said_of_stays(tmp_path, source):
    made, field = PROFILES[source]

    def bios(name, *exports):
        return [row for row in taken(tmp_path / name, source, *exports)["items"].values() if row["kind"] == "bio"]

    (kept,) = bios("kept", made("01", **{field: "I live in Hof"}), made("02"))
    assert (kept["state"], kept["text"]) == ("live", "I live in Hof")
    (gone,) = bios("gone", made("01", **{field: "I live in Hof"}), made("02", **{field: ""}))
    assert gone["state"] == "deleted"


@given(text=st.none() | st.text(max_size=5))
def test_words_of_a_profile_are_live_exactly_where_there_are_any(text):
    rows = list(profile_items(PersonRow(account_id="a"), "public", {"bio": text}))
    assert len(rows) == (text is not None)
    assert all((row["state"] == "live") == bool(text.strip()) == (row["text"] is not None) for row in rows)


# Attachments -------------------------------------------------------------------------------------------------------

ATTACHMENTS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["image", "video/mp4", "audio", "application/pdf", None]),
         "description": st.sampled_from([None, "", "a cat", "a dog"])}
    ),
    max_size=MOST_MEDIA,
)  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None)
@given(before=ATTACHMENTS, after=ATTACHMENTS)
def test_of_an_edited_post_exactly_the_files_and_descriptions_of_its_last_version_are_live(before, after):
    item = ItemRow(item_id="x:1", kind="post", audience="public")
    first = {row["item_id"]: row for row in media_rows(item, before)}
    assert {row["state"] for row in first.values()} <= {"live"}
    now = first | {row["item_id"]: row for row in media_rows(item, after, MOST_MEDIA)}
    alone = {row["item_id"]: row for row in media_rows(item, after)}
    assert {name: row for name, row in now.items() if row["state"] == "live"} == alone


def note(**said):
    return {
        "o.json": {
            "@context": "x", "type": "Note", "id": f"{HOST}/n/1", "attributedTo": ANN, "to": [PUBLIC],
            "published": "2024-05-01T00:00:00Z", "content": "hi", **said,
        }
    }  # fmt: skip


def status(**said):
    return {
        "s.json": {
            "uri": f"{HOST}/n/1", "created_at": "2024-05-01T00:00:00Z", "visibility": "public", "content": "hi",
            "account": entity("01")["a.json"], **said,
        }
    }  # fmt: skip


def database(*media, **said):
    row = {"id": "1", "uri": f"{HOST}/n/1", "account_id": "1", "text": "hi", "visibility": "0", "local": "t",
           "created_at": "2024-05-01 00:00:00"}  # fmt: skip
    files = [{"id": number, "status_id": "1", "type": "0", "description": words} for number, words in media]
    return account("01") | tables(statuses=[row | said], **({"media_attachments": files} if files else {}))


def commit(operation, rev, images):
    record = {"text": "hi", "createdAt": "2024-05-01T00:00:00Z"}
    record["embed"] = {"$type": "app.bsky.embed.images", "images": [{"alt": alt, "image": {}} for alt in images]}
    told = {"collection": "app.bsky.feed.post", "rkey": "3lbx", "operation": operation, "rev": rev, "record": record}
    return {"e.jsonl": json.dumps({"kind": "commit", "did": "did:plc:a", "commit": told}) + "\n"}


PICTURE = {"type": "Image", "mediaType": "image/jpeg", "url": "https://a/1.jpg", "name": "my child Tim at school"}
SHOWN = {"type": "image", "description": "my child Tim at school"}
LATER = "2024-06-01T00:00:00Z"
REMOVED = {
    "activitystreams": (note(attachment=[PICTURE]), note(attachment=[], updated=LATER)),
    "activitystreams without the member": (note(attachment=[PICTURE]), note(updated=LATER)),
    "activitystreams description only": (
        note(attachment=[PICTURE]),
        note(attachment=[PICTURE | {"name": None}], updated=LATER),
    ),
    "mastodon": (status(media_attachments=[SHOWN]), status(media_attachments=[], edited_at=LATER)),
    "mastodon_dump": (
        database((5, "my child Tim at school")),
        database((5, "my child Tim at school"), edited_at=LATER, ordered_media_attachment_ids="{}"),
    ),
    "mastodon_dump other": (
        database((5, "my child Tim at school"), (6, "a cat")),
        database((5, "my child Tim at school"), (6, "a cat"), edited_at=LATER, ordered_media_attachment_ids="{6}"),
    ),
    "bluesky": (
        commit("create", "3lbxaaaaaaaa2", ["my child Tim at school"]),
        commit("update", "3lbyaaaaaaaa2", []),
    ),
}


@pytest.mark.parametrize("name", REMOVED)
def test_a_picture_that_was_taken_out_of_a_post_is_gone_with_its_description(tmp_path, name):
    before, after = REMOVED[name]
    source = name.split(" ", maxsplit=1)[0]
    alone = taken(tmp_path / "alone", source, before)["items"].values()
    assert "my child Tim at school" in {row["text"] for row in alone if row["state"] == "live"}
    assert len(alone) < MOST_MEDIA, "a first version has no tombstones"
    both = taken(tmp_path / "both", source, before, after)["items"].values()
    live = [row for row in both if row["state"] == "live"]
    assert {"hi"} <= {row["text"] for row in live} <= {"hi", "a cat", None}
    pictures = {"activitystreams description only": 1, "mastodon_dump other": 1}
    assert sum(row["kind"] == "photo" for row in live) == pictures.get(name, 0)


# Origins that are gone ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("member", ["forwarded_from", "forwarded_from_id"])
@pytest.mark.parametrize("value", [None, "Bob", "user7"])
def test_a_message_that_was_forwarded_is_nobodys_own_even_if_its_author_is_gone(tmp_path, member, value):
    message = {"id": 1, "type": "message", "date_unixtime": str(SECOND), "from_id": "channel7", "text": "words"}
    chat = {"name": "c", "type": "public_channel", "id": 7, "messages": [message | {member: value}]}
    (row,) = taken(tmp_path, "telegram", {"result.json": chat})["items"].values()
    assert (row["kind"], row["text"]) == ("reshare", None)


LOST = {
    "mastodon": status(in_reply_to_id=None, in_reply_to_account_id="17"),
    "mastodon_dump": database(in_reply_to_id=None, reply="t"),
    "mastodon_dump account": database(in_reply_to_id=None, in_reply_to_account_id="17"),
    "activitystreams": note(inReplyTo="17"),
    "activitystreams url": note(inReplyTo="https://[x"),
    "activitystreams object": note(inReplyTo={"type": "Tombstone"}),
}


@pytest.mark.parametrize("name", LOST)
def test_the_audience_of_a_parent_that_is_gone_is_unknown(tmp_path, name):
    found = taken(tmp_path, name.split(" ", maxsplit=1)[0], LOST[name])["items"]
    (row,) = (row for row in found.values() if row["text"] == "hi")
    assert row["kind"] == "reply"
    assert (row["parent_id"] is not None, row["parent_id"] in found, row["parent_audience"]) == (True, False, None)


NO_ANSWER = {
    "mastodon": status(in_reply_to_id=None, in_reply_to_account_id=None),
    "mastodon_dump": database(in_reply_to_id=None, reply="f"),
    "activitystreams": note(inReplyTo=None),
}


@pytest.mark.parametrize("name", NO_ANSWER)
def test_what_answers_nobody_has_no_parent(tmp_path, name):
    rows = [row for row in taken(tmp_path, name, NO_ANSWER[name])["items"].values() if row["text"] == "hi"]
    assert [(row["kind"], row["parent_id"]) for row in rows] == [("post", None)]

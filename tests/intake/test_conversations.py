"""Conversations: private unless a public channel is declared; of chats with an AI only what is addressed to it."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demur.clock import parse
from demur.intake import REASONS, intake, read_mapping
from demur.intake.mapping import parse_mapping

AT = parse("2026-11-22")
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
with_data = pytest.mark.skipif(not DATA.exists(), reason="the sample data is not beside the repository")
CANARY = "canary of a private conversation"
SECOND = 1_600_000_000


class Taken:
    def __init__(self, folder, source, *paths, public=None, mapping=None):
        mapping = mapping if public is None else parse_mapping(f"public = {json.dumps(public)}", "m.toml")
        self.report = intake(
            source,
            list(paths),
            store_folder=folder / "source",
            quarantine_folder=folder / "quarantine",
            imported_at=AT,
            mapping=mapping,
        )
        assert set(self.report.quarantined) <= set(REASONS)
        self.rows = self._read(folder / "source" / "items")
        self.people = self._read(folder / "source" / "people")
        self.kinds = Counter(row["kind"] for row in self.rows)
        self.texts = {row["text"]: row for row in self.rows if row["text"]}
        private = [row for row in self.rows if row["kind"] == "private_message"]
        assert all(row["text"] is None and row["audience"] in ("direct", "group") for row in private)
        assert all(row["audience"] != "public" or row["kind"] != "private_message" for row in self.rows)

    def _read(self, folder):
        return [row for part in sorted(folder.glob("*.parquet")) for row in pq.read_table(part).to_pylist()]


LOG = """\
=== bob [bob@host] has joined #garden
[09:00] <ann> good morning
[09:01] <@bob> ann: and to you
[09:02] * ann waters the roses
--- Day changed Tue Mar 03 2009
[00:01] <carl_> @bob: \x0304late\x03 hour
2009-03-04 10:00:01 <ann> with its own day
10:00:02\tann\ttabbed
10:00:03\t-->\tdora has joined
[23:50] <ann>
[00:10] <ann> midnight
nothing like a line
[25:61] <ann> no such time
"""


def test_a_log_is_private_and_without_words_unless_its_channel_is_declared_public(tmp_path):
    path = tmp_path / "#garden.2009-03-02.log"
    path.write_text(LOG)
    closed = Taken(tmp_path / "a", "irc", path)
    assert closed.kinds == {"private_message": 8}
    assert closed.people == []
    assert "roses" not in repr(closed.rows)
    assert "garden" not in repr(closed.rows)
    other = Taken(tmp_path / "b", "irc", path, public=["#kitchen"])
    assert other.kinds == {"private_message": 8}
    taken = Taken(tmp_path / "c", "irc", path, public=["#garden"])
    assert {(row["kind"], row["audience"], row["container_audience"]) for row in taken.rows} == {
        ("channel_activity", "public", "public")
    }
    assert {text: row["created_at"].isoformat()[:16] for text, row in taken.texts.items()} == {
        "good morning": "2009-03-02T09:00", "ann: and to you": "2009-03-02T09:01",
        "waters the roses": "2009-03-02T09:02", "midnight": "2009-03-04T00:10",
        "@bob: late hour": "2009-03-03T00:01", "with its own day": "2009-03-04T10:00", "tabbed": "2009-03-03T10:00",
    }  # fmt: skip
    assert taken.texts["ann: and to you"]["mentions"] == ["irc:ann"]
    assert taken.texts["@bob: late hour"]["mentions"] == ["irc:bob"]
    assert {row["account_id"] for row in taken.people} == {"irc:ann", "irc:bob", "irc:carl_"}
    assert taken.report.quarantined == {"not_content": 1, "not_a_date": 1}
    assert taken.report.ignored == {"line that nobody said": 3}


def test_a_log_without_a_day_has_no_date_and_bytes_that_are_no_utf8_are_latin1(tmp_path):
    path = tmp_path / "chat" / "some.log"
    path.parent.mkdir()
    path.write_bytes(b"[09:00] <ann> gr\xfc\xdfe\n[09:01] <ann> " + b"x" * 70_000 + b"\n[09:02] <ann> again\n")
    taken = Taken(tmp_path / "a", "irc", path, public=["chat"])
    assert {text: row["created_at"] for text, row in taken.texts.items()} == {"grüße": None, "again": None}
    assert set(taken.report.quarantined) <= {"text_too_long", "not_content"}


@with_data
def test_the_published_logs_come_in_line_by_line(tmp_path):
    logs = sorted((DATA / "irc_ubuntu").glob("*.ascii.txt"))
    lines = [line for path in logs for line in path.read_text("utf-8").splitlines()]
    spoken = [line for line in lines if line.startswith("[")]
    taken = Taken(tmp_path / "a", "irc", *logs, public=["irc_ubuntu"])
    assert taken.report.quarantined == {}
    assert len(taken.rows) + taken.report.ignored["line that nobody said"] == len(lines)
    assert len(taken.rows) >= len(spoken) * 0.99
    nicks = {line.split("<", 1)[1].split(">", 1)[0] for line in spoken if line[8:9] == "<"}
    assert {row["account_id"] for row in taken.people} >= {f"irc:{nick}" for nick in nicks}
    assert all(row["created_at"] is not None for row in taken.rows)
    assert sum(row["mentions"] is not None for row in taken.rows) > len(taken.rows) * 0.3
    closed = Taken(tmp_path / "b", "irc", *logs)
    assert closed.kinds == {"private_message": len(taken.rows)}


def telegram(kind, number, *messages, name='A {"type": "public_channel", "id": 7, chat'):
    return {"name": name, "type": kind, "id": number, "messages": [
        {"id": at, "type": "message", "date_unixtime": str(SECOND + at), "from": "Ann", "from_id": "user11"} | message
        for at, message in enumerate(messages, start=1)]}  # fmt: skip


def test_telegram_is_public_only_where_both_the_export_and_the_operator_say_so(tmp_path):
    said = {"text": ["see ", {"type": "mention", "text": "@bob"}, " now"]}
    own = {"text": "own", "photo": "photos/p.jpg", "reply_to_message_id": 1, "edited_unixtime": str(SECOND + 99)}
    sent_on = {"text": CANARY, "forwarded_from": "X"}
    chats = [
        telegram("public_supergroup", 7, said, own, sent_on, {"type": "service"}),
        telegram("private_supergroup", 8, {"text": CANARY}),
        telegram("personal_chat", 9, {"text": CANARY}, {"text": 7, "id": "odd"}),
        telegram("saved_messages", 10, {"text": CANARY}),
        telegram("public_channel", 12, {"text": CANARY}),
    ]
    export = {"about": "…", "chats": {"list": chats}, "left_chats": {"list": [telegram("public_channel", 13, own)]}}
    path = tmp_path / "result.json"
    path.write_text(json.dumps(export))
    taken = Taken(tmp_path / "a", "telegram", path, public=["7", "8", "9", "10", "13", "A*"])
    assert taken.kinds == {"group_activity": 2, "reshare": 1, "channel_activity": 1, "photo": 2, "private_message": 4}
    assert CANARY not in repr(taken.rows)
    assert taken.texts["see @bob now"]["mentions"] == ["@bob"]
    answered = [row for row in taken.rows if row["text"] == "own" and row["kind"] == "group_activity"]
    assert answered[0]["parent_id"] == taken.texts["see @bob now"]["item_id"]
    assert {row["media_path"] for row in taken.rows if row["kind"] == "photo"} == {"photos/p.jpg"}
    assert taken.report.quarantined == {"not_content": 1}
    assert taken.report.ignored == {"event of a conversation": 1}
    closed = Taken(tmp_path / "b", "telegram", path)
    assert set(closed.kinds) == {"private_message"}
    assert Counter(row["audience"] for row in closed.rows) == {"group": 6, "direct": 2}
    assert closed.people == []


def test_a_name_or_a_missing_head_never_makes_a_telegram_chat_public(tmp_path):
    message = telegram("x", 1, {"text": CANARY})["messages"]
    wrong = [
        {"name": "x", "messages": message, "type": "public_channel", "id": 7},
        {"name": "x", "type": "public_channel", "messages": message},
        {"name": "x", "type": ["public_channel"], "id": 7, "messages": message},
        {"name": {"type": "public_channel", "id": 7}, "messages": message},
        {"type": "public_channel", "id": 7, "list": [{"messages": message}]},
    ]
    for number, chat in enumerate(wrong):
        path = tmp_path / f"{number}" / "result.json"
        path.parent.mkdir()
        path.write_text(json.dumps(chat))
        taken = Taken(tmp_path / f"out{number}", "telegram", path, public=["*"])
        assert taken.rows == []
        assert taken.report.quarantined == {"missing_id": 1}


def slack(folder):
    files = {
        "users.json": [
            {"id": "U1", "name": "ann", "updated": SECOND, "profile": {"email": "ann@example.org", "real_name": "Ann"}},
            {"id": "U2", "name": "bob", "deleted": True},
            {"id": "B3", "name": "bot", "is_bot": True},
            {"name": "nobody"},
        ],
        "channels.json": [{"id": f"C{n}", "name": name} for n, name in enumerate(["general", "random", "twice"], 1)],
        "groups.json": [{"id": "G1", "name": "secret"}, {"id": "G2", "name": "twice"}],
        "dms.json": [{"id": "D1", "members": ["U1", "U2"]}],
        "mpims.json": [{"id": "M1", "name": "mpdm-ann--bob-1"}],
        "integration_logs.json": [{"x": 1}],
        "general/2020-09-13.json": [
            {"type": "message", "user": "U1", "ts": "1600000000.000100", "text": "hi <@U2> &amp; <https://a.example|all>"},
            {"type": "message", "user": "U2", "ts": "1600000001.000100", "text": "answer",
             "thread_ts": "1600000000.000100", "edited": {"ts": "1600000009.0"}, "files": [{"mimetype": "image/png"}]},
            {"type": "message", "subtype": "channel_join", "user": "U2", "ts": "1600000002.0"},
            {"type": "message", "subtype": "tombstone", "user": "U2", "ts": "1600000003.0", "text": "gone"},
            {"type": "message", "user": "U1", "text": "no time"},
        ],
    } | {
        f"{name}/2020-09-13.json": [{"type": "message", "user": "U1", "ts": "1600000000.000100", "text": CANARY}]
        for name in ("random", "secret", "D1", "mpdm-ann--bob-1", "twice", "unlisted")
    }  # fmt: skip
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    return folder


def test_a_workspace_is_private_but_for_its_channels_that_are_declared_public(tmp_path):
    folder = slack(tmp_path / "in")
    taken = Taken(tmp_path / "a", "slack", folder, public=["general", "secret", "D1", "mpdm*", "twice", "unlisted"])
    assert CANARY not in repr(taken.rows)
    assert Counter(row["audience"] for row in taken.rows) == {"public": 4, "group": 3, "direct": 3}
    assert taken.texts["hi @U2 & all"]["mentions"] == ["slack:U2"]
    assert taken.texts["answer"]["parent_id"] == taken.texts["hi @U2 & all"]["item_id"]
    assert {row["kind"] for row in taken.rows if row["audience"] == "public"} == {"channel_activity", "photo"}
    assert [row["text"] for row in taken.rows if row["state"] == "deleted"] == [None]
    assert {row["account_id"]: row["status"] for row in taken.people} == {
        "slack:U1": "active", "slack:U2": "deactivated", "slack:B3": "bot",
    }  # fmt: skip
    assert taken.report.quarantined == {"missing_id": 1, "wrong_type": 1}
    assert taken.report.ignored == {"event of a conversation": 1, "file: integration_logs": 1}
    closed = Taken(tmp_path / "b", "slack", folder)
    assert set(closed.kinds) == {"private_message"}
    assert Counter(row["audience"] for row in closed.rows) == {"group": 6, "direct": 3}
    packed = tmp_path / "export.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(folder.rglob("*.json")):
            archive.write(path, path.relative_to(folder))
    again = Taken(tmp_path / "b", "slack", packed)
    assert (again.report.items, again.report.items_seen) == (0, len(closed.rows))


def node(name, parent, role, text, *, author=None, **about):
    message = {"author": {"role": role, "name": author}, "create_time": SECOND + 0.5, "metadata": about}
    return {
        name: {
            "id": name,
            "parent": parent,
            "message": message | {"content": {"content_type": "text", "parts": [text]}},
        }
    }


def test_an_export_of_chats_keeps_turns_apart_by_speaker(tmp_path):
    mapping = {"root": {"id": "root", "parent": None, "message": None}}
    mapping |= node("s", "root", "system", "be nice") | node("q", "s", "user", "Wie?") | node("t", "q", "tool", "x")
    mapping |= node("a", "t", "assistant", "So.") | node(
        "h", "a", "user", "hidden", is_visually_hidden_from_conversation=True
    )
    mapping["v"] = {"parent": "a", "message": {"author": {"role": "user"}, "content": {
        "content_type": "multimodal_text", "parts": [{"asset_pointer": "file"}, "Und das?"]}}}  # fmt: skip
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "conversations.json").write_text(json.dumps([{"conversation_id": "c1", "mapping": mapping}, {"x": 1}, 5]))
    (folder / "user.json").write_text(json.dumps({"id": "user-1", "email": "eva@example.org", "birth_year": 1990}))
    taken = Taken(tmp_path / "a", "aichats", folder)
    assert {text: (row["item_id"], row["account_id"]) for text, row in taken.texts.items()} == {
        "Wie?": ("aichats:c1/q", "aichats:user-1"), "So.": ("aichats:c1/a#answer", "aichats:user-1"),
        "Und das?": ("aichats:c1/v", "aichats:user-1"),
    }  # fmt: skip
    assert {(row["kind"], row["audience"], row["addressed_to_ai"]) for row in taken.rows} == {
        ("ai_chat", "direct", True)
    }
    assert (taken.people[0]["born_on"], taken.people[0]["contact"]) == (date(1990, 12, 31), "eva@example.org")
    assert taken.report.quarantined == {"not_content": 1}
    assert taken.report.ignored == {"turn of the system or of a tool": 2, "file: conversations": 1}


def test_in_a_group_only_turns_to_the_ai_and_its_answers_to_them_are_kept(tmp_path):
    def turn(role, name, text, **more):
        return {"role": role, "name": name, "content": text} | more

    group = [
        turn("user", "ann", CANARY),
        turn("user", "bob", "@helper what is this?"),
        turn("assistant", "helper", "A rose."),
        turn("user", "ann", f"{CANARY} @helpers"),
        turn("assistant", "helper", CANARY),
        turn("user", "ann", "and this?", addressed_to_ai=True),
        turn("assistant", "helper", [{"type": "text", "text": "A tulip."}]),
        turn("system", None, "x"),
        turn("stranger", "x", CANARY),
    ]
    alone = [turn("user", None, "Hallo"), turn("assistant", None, "Guten Tag")]
    lines = [
        {"id": "g", "created_at": SECOND, "messages": group},
        {"id": "one", "user": "eva", "created": "2020-09-13T12:00:00Z", "messages": alone},
        {"messages": [turn("user", "carl", "without an id")]},
        {"id": "bad", "messages": [7]},
    ]
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(line) for line in lines).encode() + b"\n"))
    taken = Taken(tmp_path / "a", "aichats", path)
    assert CANARY not in repr(taken.rows)
    assert {text: row["account_id"] for text, row in taken.texts.items()} == {
        "@helper what is this?": "aichats:bob", "A rose.": "aichats:bob", "and this?": "aichats:ann",
        "A tulip.": "aichats:ann", "Hallo": "aichats:eva", "Guten Tag": "aichats:eva", "without an id": "aichats:carl",
    }  # fmt: skip
    assert taken.kinds == {"ai_chat": 7, "private_message": 3}
    assert {row["audience"] for row in taken.rows if row["kind"] == "private_message"} == {"group"}
    assert taken.report.quarantined == {"wrong_type": 1, "not_content": 1}


@with_data
def test_trees_of_open_assistant_give_what_their_flat_form_gives(tmp_path):
    flat = DATA / "oasst1_en_validation" / "en-validation.jsonl"
    messages = [json.loads(line) for line in flat.read_text("utf-8").splitlines()]
    replies = {}
    for one in messages:
        replies.setdefault(one["parent_id"], []).append(one)
    known = {one["message_id"] for one in messages}
    for one in messages:
        one["replies"] = replies.get(one["message_id"], [])
    roots = [one for one in messages if one["parent_id"] not in known]
    trees = [{"message_tree_id": one["message_id"], "tree_state": "ready_for_export", "prompt": one} for one in roots]
    path = tmp_path / "trees.jsonl.zst"
    with pa.output_stream(str(path), compression="zstd") as stream:
        stream.write("\n".join(json.dumps(tree) for tree in trees).encode() + b"\n")
    expected = Taken(tmp_path / "a", "table", flat, mapping=read_mapping("oasst1"))
    taken = Taken(tmp_path / "b", "aichats", path)

    def same(rows):
        return sorted(repr({k: v for k, v in row.items() if k not in ("version_id", "source")}) for row in rows)

    assert same(taken.rows) == same(expected.rows)
    assert same(taken.people) == same(expected.people)
    path.write_bytes(json.dumps(trees[0] | {"tree_state": "growing"}).encode() + b"\n")
    assert {row["audience"] for row in Taken(tmp_path / "c", "aichats", path).rows} == {"direct"}


def reddit(number, **more):
    return {
        "id": f"a{number}", "author": "ann_1", "subreddit": "garden", "subreddit_type": "public",
        "created_utc": SECOND + number, "edited": False,
    } | more  # fmt: skip


def test_reddits_submissions_and_comments(tmp_path):
    origin = [{"title": "original", "subreddit": "x"}]
    lines = [
        reddit(1, title="Roses", selftext="red &amp; white, ask /u/bob-2", author_flair_text="Köln", over_18=True),
        reddit(2, body="I do", link_id="t3_a1", parent_id="t3_a1", edited=SECOND + 50, author_flair_text="Köln"),
        reddit(3, body="[deleted]", link_id="t3_a1", parent_id="t1_a2", author="[deleted]"),
        reddit(4, body="[removed]", link_id="t3_a1", parent_id="t1_a2"),
        reddit(5, title="gone", selftext="still here", removed_by_category="moderator"),
        reddit(6, title="original", selftext="", crosspost_parent="t3_zz", crosspost_parent_list=origin),
        reddit(7, title="my words on it", selftext="theirs", crosspost_parent="t3_zz", crosspost_parent_list=origin),
        reddit(8, title="a picture", selftext="", post_hint="image", created_utc=str(SECOND)),
        reddit(9, title="hidden", selftext="", subreddit_type="private"),
        reddit(10, title="few", selftext="", subreddit_type="restricted"),
        reddit(11, title="odd", selftext="", subreddit_type="of tomorrow"),
        reddit(12, title="unsaid", selftext="", subreddit_type=None),
        reddit(13, title="warned", selftext="", quarantine=True),
        reddit(14, title=5),
        {"kind": "listing"},
        reddit(15, author="[deleted]", title="orphan", selftext=""),
    ]
    path = tmp_path / "RS_2020-09.zst"
    with pa.output_stream(str(path), compression="zstd") as stream:
        stream.write("\n".join(json.dumps(line) for line in lines).encode() + b"\n")
    taken = Taken(tmp_path / "a", "reddit", tmp_path)
    assert taken.report.quarantined == {"unknown_audience": 1, "wrong_type": 1, "not_content": 1}
    roses = taken.texts["Roses\n\nred & white, ask /u/bob-2"]
    assert (roses["mentions"], roses["special_category"]) == (["reddit:u/bob-2"], True)
    comment = taken.texts["I do"]
    assert (comment["parent_id"], comment["kind"]) == ("reddit:t3_a1", "comment")
    assert comment["version_at"] > comment["created_at"]
    gone = {row["item_id"]: row for row in taken.rows if row["state"] == "deleted"}
    assert set(gone) == {"reddit:t1_a3", "reddit:t1_a4", "reddit:t3_a5"}
    assert {row["text"] for row in gone.values()} == {None}
    assert gone["reddit:t1_a3"]["account_id"] is None
    shared = {row["item_id"]: row["text"] for row in taken.rows if row["kind"] == "reshare"}
    assert shared == {"reddit:t3_a6": None, "reddit:t3_a7": "my words on it"}
    assert taken.kinds["photo"] == 1
    audiences = {text: (row["audience"], row["container_audience"]) for text, row in taken.texts.items()}
    assert audiences["hidden"] == audiences["few"] == ("group", "group")
    assert audiences["unsaid"] == ("unknown", "unknown")
    assert audiences["warned"] == ("unlisted", "unlisted")
    assert taken.texts["orphan"]["account_id"] is None
    assert [row["text"] for row in taken.rows if row["kind"] == "metadata"] == ["Köln"]
    assert [row["account_id"] for row in taken.people] == ["reddit:u/ann_1"]
    declared = Taken(tmp_path / "b", "reddit", path, public=["garden"])
    assert declared.texts["unsaid"]["audience"] == "public"
    assert declared.texts["hidden"]["audience"] == "group"


def test_reddit_packed_with_too_large_a_window_says_so(tmp_path):
    line = json.dumps(reddit(1, body="x", link_id="t3_a")).encode() + b"\n"
    for window, reason in ((0x50, None), (0xA8, "unreadable_file")):  # 1 MiB, 2 GiB (RFC 8878 §3.1.1.1.2)
        path = tmp_path / f"{window}" / "RC_2020-09.zst"
        path.parent.mkdir()
        block = (len(line) << 3 | 1).to_bytes(3, "little") + line
        path.write_bytes(b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + block)
        taken = Taken(tmp_path / f"out-{window}", "reddit", path)
        assert taken.report.quarantined == ({reason: 1} if reason else {})
        assert len(taken.rows) == (reason is None)


def test_reddit_cut_short_keeps_what_was_before(tmp_path):
    lines = [json.dumps(reddit(n, body="x", link_id="t3_a")) for n in range(3)]
    path = tmp_path / "RC_2020-09.jsonl"
    path.write_text("\n".join(lines)[:-10])
    taken = Taken(tmp_path / "a", "reddit", path)
    assert (len(taken.rows), taken.report.quarantined) == (2, {"truncated": 1})


def test_conversations_cut_short_keep_what_was_before(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    chat = telegram("public_supergroup", 7, {"text": "eins"}, {"text": "zwei"}, {"text": "drei"})
    whole = json.dumps({"chats": {"list": [chat]}})
    (folder / "result.json").write_text(whole[: whole.index("drei")])
    taken = Taken(tmp_path / "a", "telegram", folder, public=["7"])
    assert (set(taken.texts), taken.report.quarantined) == ({"eins", "zwei"}, {"truncated": 1})
    slack(tmp_path / "slack")
    day = tmp_path / "slack" / "general" / "2020-09-13.json"
    day.write_text(day.read_text()[: day.read_text().index("1600000001")])
    cut = Taken(tmp_path / "b", "slack", tmp_path / "slack", public=["general"])
    assert cut.report.quarantined["truncated"] == 1
    assert set(cut.texts) == {"hi @U2 & all"}
    trees = json.dumps([{"id": str(n), "messages": [{"role": "user", "content": f"Frage {n}"}]} for n in range(3)])
    (tmp_path / "conversations.json").write_text(trees[: trees.index("Frage 2")])
    chats = Taken(tmp_path / "c", "aichats", tmp_path / "conversations.json")
    assert (set(chats.texts), chats.report.quarantined) == ({"Frage 0", "Frage 1"}, {"truncated": 1})

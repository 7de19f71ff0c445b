"""What somebody's own export holds comes in whole: posts with their pictures, who could see them, never a message."""

from __future__ import annotations

import json
import tomllib
import zipfile
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from importlib import resources

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.clock import parse
from demur.intake import REASONS, archive, intake, jsonstream, state_digest
from demur.intake.mapping import parse_mapping
from demur.intake.x import _Audiences
from demur.terms.content import Audience

AT = parse("2026-11-22")
SECOND = 1_600_000_000
CANARY = "canary-in-a-private-message"


def mangled(value):
    """Write text as Meta's exports do: each byte of its UTF-8 as a character of Latin-1."""
    if isinstance(value, str):
        return value.encode().decode("latin-1")
    if isinstance(value, list):
        return [mangled(one) for one in value]
    return {mangled(k): mangled(v) for k, v in value.items()} if isinstance(value, dict) else value


def written(folder, files, *, mangle=True):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(mangled(content) if mangle else content)
        path.write_text(text, "utf-8")
    return folder


def packed(folder, target):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, f"some-export/{path.relative_to(folder)}")
    return target


class Taken:
    def __init__(self, folder, source, *paths, public=None):
        mapping = None if public is None else parse_mapping(f"public = {json.dumps(public)}", "m.toml")
        self.folder = folder
        self.report = intake(
            source,
            list(paths),
            store_folder=folder / "source",
            quarantine_folder=folder / "quarantine",
            imported_at=AT,
            mapping=mapping,
        )
        assert set(self.report.quarantined) <= set(REASONS)
        self.rows = [
            row for part in (folder / "source" / "items").glob("*.parquet") for row in pq.read_table(part).to_pylist()
        ]
        self.items = {row["item_id"]: row for row in self.rows}
        self.people = [
            row for part in (folder / "source" / "people").glob("*.parquet") for row in pq.read_table(part).to_pylist()
        ]
        self.kinds = Counter(row["kind"] for row in self.rows)
        self.audiences = Counter(row["audience"] for row in self.rows)

    def one(self, kind):
        (row,) = (row for row in self.rows if row["kind"] == kind and row["state"] == "live")
        return row

    def said(self):
        """Return every byte that was stored, uncompressed."""
        return repr([*self.rows, *self.people])


def assert_private(taken, count):
    private = [row for row in taken.rows if row["kind"] == "private_message"]
    assert len(private) == count
    assert {row["audience"] for row in private} <= {"direct", "group"}
    assert all(row["text"] is None for row in private)
    assert CANARY not in taken.said()


def facebook(folder, *, locale="en"):
    posts = {"en": "posts/your_posts__check_ins__photos_and_videos_1.json", "de": "posts/deine_beitraege_1.json"}[
        locale
    ]
    photo = {"uri": "your_facebook_activity/posts/media/a.jpg", "creation_timestamp": SECOND, "description": "Am Fluß"}
    shown, changed = {"media": photo}, {"update_timestamp": SECOND + 9}
    return written(
        folder,
        {
            f"your_facebook_activity/{posts}": [
                {"timestamp": SECOND, "data": [{"post": "Grüße an @[12345:2048:Ann Example] 🎉"}], "title": "…"},
                {"timestamp": SECOND + 1, "data": [{"post": "mit Bild"}], "attachments": [{"data": [shown]}]},
                {"timestamp": SECOND + 2, "data": [{"post": "für alle"}], "privacy": {"value": "EVERYONE"}},
                {"timestamp": SECOND + 3, "data": [{"post": "für Freunde"}], "audience": "Freunde"},
                {"timestamp": SECOND + 3, "data": [{"post": "nur ich"}, changed], "privacy": "Nur ich"},
                {"timestamp": SECOND + 4, "data": [{"post": "odd"}], "privacy": "a word of tomorrow"},
                {"timestamp": SECOND + 5, "data": [{"post": 7}]},
            ],
            "your_facebook_activity/posts/album/0.json": {
                "name": "Reise",
                "photos": [{"uri": "posts/media/b.png", "creation_timestamp": SECOND, "title": "Foto"}],
            },
            "your_facebook_activity/comments_and_reactions/comments.json": {
                "comments_v2": [
                    {"timestamp": SECOND, "data": [{"comment": {"comment": "schön", "author": "Eva Müller"}}]},
                    {"data": [{"comment": {"timestamp": SECOND, "comment": "hier", "group": "Gärtner"}}]},
                ]
            },
            "your_facebook_activity/groups/group_posts_and_comments.json": {
                "group_posts_v2": [{"timestamp": SECOND, "data": [{"post": "in der Gruppe"}], "title": "…"}]
            },
            "your_facebook_activity/messages/inbox/ann_1x/message_1.json": {
                "participants": [{"name": "Ann"}, {"name": "Eva Müller"}],
                "messages": [
                    {"sender_name": "Eva Müller", "timestamp_ms": SECOND * 1000 + 5, "content": CANARY},
                    {"sender_name": "Ann", "timestamp_ms": SECOND * 1000 + 5, "photos": [{"uri": CANARY}]},
                ],
                "thread_path": "inbox/ann_1x",
            },
            "your_facebook_activity/messages/filtered_threads/all_2x/message_1.json": {
                "participants": [{"name": "Ann"}, {"name": "Bob"}, {"name": "Eva Müller"}],
                "messages": [{"sender_name": "Bob", "timestamp_ms": SECOND * 1000, "content": CANARY}],
            },
            "personal_information/profile_information/profile_information.json": {
                "profile_v2": {
                    "name": {"full_name": "Eva Müller"},
                    "emails": {"emails": ["eva@example.org"]},
                    "birthday": {"year": 1990, "month": 4, "day": 18},
                    "current_city": {"name": "Köln, Deutschland"},
                    "profile_uri": "https://www.facebook.com/eva.example",
                    "registration_timestamp": 1_200_000_000,
                    "intro_bio": "Gärtnerin",
                }
            },
            "ads_information/advertisers.json": {"custom_audiences_v2": [{"advertiser_name": "x"}]},
        },
    )  # fmt: skip


@pytest.mark.parametrize("locale", ["en", "de"])
def test_a_facebook_export_comes_in_whole(tmp_path, locale):
    taken = Taken(tmp_path / "out", "facebook", facebook(tmp_path / "in", locale=locale))
    assert taken.report.quarantined == {"unknown_audience": 1, "wrong_type": 1}
    posts = {row["text"]: row for row in taken.rows if row["kind"] == "post"}
    greeting = posts["Grüße an Ann Example 🎉"]
    assert greeting["mentions"] == ["facebook:12345"]
    assert (greeting["account_id"], greeting["audience"]) == ("facebook:eva.example", "unknown")
    assert greeting["created_at"] == datetime.fromtimestamp(SECOND, UTC)
    assert {text: row["audience"] for text, row in posts.items() if text != greeting["text"]} == {
        "mit Bild": "unknown", "für alle": "public", "für Freunde": "followers", "nur ich": "direct",
    }  # fmt: skip
    assert posts["nur ich"]["version_at"] == datetime.fromtimestamp(SECOND + 9, UTC)
    assert len({row["item_id"] for row in posts.values()}) == 5, "two posts of one second are two items"
    live = [row for row in taken.rows if row["state"] == "live"]
    attached, alone = sorted((row for row in live if row["kind"] == "photo"), key=lambda row: row["media_type"])
    assert attached["parent_id"] == posts["mit Bild"]["item_id"]
    assert (attached["media_path"], attached["media_type"]) == (
        "your_facebook_activity/posts/media/a.jpg",
        "image/jpeg",
    )
    assert (alone["media_path"], alone["parent_id"]) == ("posts/media/b.png", None)
    assert {row["text"] for row in live if row["kind"] == "caption"} == {"Am Fluß", "Foto"}
    assert (taken.one("comment")["text"], taken.one("comment")["audience"]) == ("schön", "unknown")
    grouped = [row for row in taken.rows if row["kind"] == "group_activity"]
    assert {row["text"] for row in grouped} == {"hier", "in der Gruppe"}
    assert {row["container_audience"] for row in grouped} == {"unknown"}
    assert "Gärtner" not in {row["container_id"] for row in grouped}
    assert_private(taken, 3)
    assert Counter(row["audience"] for row in taken.rows if row["kind"] == "private_message") == {
        "direct": 2,
        "group": 1,
    }
    (person,) = taken.people
    assert (person["handle"], person["display_name"], person["contact"]) == (None, "Eva Müller", "eva@example.org")
    assert (person["country"], person["born_on"], person["age_source"]) == ("DE", date(1990, 4, 18), "declared")
    assert taken.report.ignored == {"file: advertisers": 1, "title of an album": 1}


def test_the_operators_word_makes_posts_public_but_neither_comments_nor_groups_nor_messages(tmp_path):
    taken = Taken(tmp_path / "out", "facebook", facebook(tmp_path / "in"), public=["facebook:eva.*"])
    audiences = {row["text"]: row["audience"] for row in taken.rows if row["text"]}
    assert audiences["mit Bild"] == audiences["Gärtnerin"] == "public"
    assert audiences["für Freunde"] == "followers"
    assert {audiences[text] for text in ("schön", "hier", "in der Gruppe")} == {"unknown"}
    assert_private(taken, 3)


def instagram(folder, *, private="False", language="en"):
    words = {
        "en": ("Comment", "Media Owner", "Time", "Username", "Private Account", "Date of birth"),
        "de": ("Kommentar", "Inhaber der Medien", "Uhrzeit", "Benutzername", "Privates Konto", "Geburtsdatum"),
        "xx": ("Ülevaade", "Omanik", "Aeg", "Kasutajanimi", "Privaatne", "Sünniaeg"),
    }[language]
    comment, owner, time, username, closed, birth = words
    media = {"uri": "media/posts/202009/p.jpg", "creation_timestamp": SECOND, "title": ""}
    film = media | {"uri": "media/posts/202009/q.mp4"}
    whose = {
        username: {"value": "eva.example"}, "Bio": {"value": "Gärtnerin"}, "Email": {"value": "eva@example.org"},
        closed: {"value": private}, birth: {"value": "1990-04-18"},
    }  # fmt: skip
    return written(
        folder,
        {
            "your_instagram_activity/media/posts_1.json": [
                {"media": [media | {"title": "Ein Café ☕"}]},
                {"media": [media, film], "title": "zwei", "creation_timestamp": SECOND + 60},
            ],
            "your_instagram_activity/media/reels.json": {
                "ig_reels_media": [{"media": [film | {"uri": "media/reels/r.mp4", "title": "Rolle"}]}]
            },
            "your_instagram_activity/media/stories.json": {
                "ig_stories": [{"uri": "media/stories/s.jpg", "creation_timestamp": SECOND, "title": "Heute"}]
            },
            "your_instagram_activity/media/archived_posts.json": {
                "ig_archived_post_media": [
                    {"media": [media | {"title": "weggelegt", "creation_timestamp": SECOND + 90}]}
                ]
            },
            "your_instagram_activity/media/recently_deleted_content.json": {
                "ig_recently_deleted_media": [
                    {"media": [media | {"title": CANARY, "creation_timestamp": SECOND + 95}]}
                ]
            },
            "your_instagram_activity/comments/post_comments_1.json": [
                {"media_list_data": [{"uri": ""}], "string_map_data": {
                    comment: {"value": "Größe?"}, owner: {"value": "someone"}, time: {"timestamp": SECOND}}},
            ],
            "your_instagram_activity/comments/reels_comments.json": {"comments_reels_comments": [
                {"string_map_data": {comment: {"value": "nett"}, time: {"timestamp": SECOND}}}]},
            "your_instagram_activity/messages/inbox/bob_1/message_1.json": {
                "participants": [{"name": "B"}, {"name": "A"}],
                "messages": [{"sender_name": "B", "timestamp_ms": SECOND * 1000, "content": CANARY}],
            },
            "your_instagram_activity/threads/threads_and_replies.json": {"text_post_app_text_posts": [
                {"media": [{"uri": "", "creation_timestamp": SECOND, "title": "ein Faden",
                            "text_app_post": {"reply_control": "everyone", "is_reply": False}}]},
                {"media": [{"uri": "", "creation_timestamp": SECOND + 1, "title": "eine Antwort",
                            "text_app_post": {"is_reply": True}}]},
            ]},
            "personal_information/personal_information/personal_information.json": {
                "profile_user": [{"string_map_data": whose}]
            },
        },
    )  # fmt: skip


@pytest.mark.parametrize("language", ["en", "de"])
def test_an_instagram_export_comes_in_whole_in_the_language_of_its_account(tmp_path, language):
    taken = Taken(tmp_path / "out", "instagram", instagram(tmp_path / "in", language=language))
    assert taken.report.quarantined == {}
    texts = {row["text"]: row for row in taken.rows if row["text"]}
    assert texts["Ein Café ☕"]["kind"] == texts["zwei"]["kind"] == "post"
    attached = Counter(row["kind"] for row in taken.rows if row["parent_id"] == texts["zwei"]["item_id"])
    assert attached == {"photo": 1, "video": 1}
    assert (taken.one("reel")["media_path"], texts["Rolle"]["kind"]) == ("media/reels/r.mp4", "caption")
    assert taken.one("story")["expires_at"] == taken.one("story")["created_at"] + timedelta(days=1)
    assert {texts[text]["kind"] for text in ("Größe?", "nett")} == {"comment"}
    assert texts["weggelegt"]["audience"] == "direct"
    deleted = Counter(row["kind"] for row in taken.rows if row["state"] == "deleted")
    assert deleted == {"post": 1, "reel": 2, "story": 2, "video": 2}, "the lists do not say what it was"
    assert {row["audience"] for row in taken.rows} == {"unknown", "direct"}, (
        "an export does not say who close friends are"
    )
    assert_private(taken, 1)
    (person,) = taken.people
    assert (person["account_id"], person["private"]) == ("instagram:eva.example", False)
    assert person["born_on"] == date(1990, 4, 18)
    assert taken.report.ignored == {"file: threads_and_replies": 2}


def test_a_private_account_is_for_followers_whatever_the_operator_says(tmp_path):
    export = instagram(tmp_path / "in", private="Wahr", language="de")
    taken = Taken(tmp_path / "out", "instagram", export, public=["*"])
    assert taken.people[0]["private"] is True
    assert "public" not in taken.audiences
    opened = Taken(tmp_path / "other", "instagram", instagram(tmp_path / "in2"), public=["instagram:eva.example"])
    public = {row["text"] or row["kind"] for row in opened.rows if row["audience"] == "public"}
    assert public == {"Ein Café ☕", "zwei", "Rolle", "reel", "photo", "video", "Gärtnerin"}


def test_labels_of_an_unknown_language_are_quarantined_never_guessed(tmp_path):
    taken = Taken(tmp_path / "out", "instagram", instagram(tmp_path / "in", language="xx"), public=["*"])
    assert taken.report.quarantined == {"unmapped_value": 3}
    assert taken.people == []
    assert {row["account_id"] for row in taken.rows} == {None}
    assert "public" not in taken.audiences


def test_threads_are_posts_and_replies_of_a_service_of_their_own(tmp_path):
    taken = Taken(tmp_path / "out", "threads", instagram(tmp_path / "in"), public=["threads:eva.example"])
    assert {row["text"]: (row["kind"], row["audience"]) for row in taken.rows if row["kind"] in ("post", "reply")} == {
        "ein Faden": ("post", "public"), "eine Antwort": ("reply", "unknown"),
    }  # fmt: skip
    (person,) = taken.people
    assert (person["account_id"], person["person_hint"]) == ("threads:eva.example", "instagram:eva.example")


def tweet(number, text, **more):
    return {"tweet": {"id_str": str(number), "full_text": text, "lang": "de", "entities": {}} | more}


def id_at(at):
    """Return a post's id of an instant (10 March 2024 and the like)."""
    return (int(at.timestamp() * 1000) - 1_288_834_974_657) << 22


def x(folder, *, history=None):
    days = [parse(f"2024-03-{n:02d}") for n in range(1, 29)]
    named = {"user_mentions": [{"screen_name": "bob", "id_str": "77"}, {"screen_name": "gone", "id_str": "-1"}]}
    linked = {"urls": [{"url": "https://t.co/1", "expanded_url": "https://x.com/someone/status/555"}]}
    photo = {"media": [{"type": "photo", "media_url_https": "https://pbs.twimg.com/media/F1.jpg", "id_str": "9"}]}
    turn = {"accountId": "1", "chatId": "8", "createdAt": days[3].isoformat()}
    stolen = {
        "media": [
            {"type": "photo", "media_url_https": "https://pbs.twimg.com/media/F2.jpg", "source_status_id_str": "999"}
        ]
    }
    parts = {
        "tweets": [
            tweet(id_at(days[1]), "eins &amp; zwei", entities=named),
            tweet(id_at(days[9]), "Antwort", in_reply_to_status_id_str="444"),
            tweet(id_at(days[10]), "schaut https://t.co/1", entities=linked),
            tweet(id_at(days[11]), "RT @someone: fremd", extended_entities=stolen),
            tweet(id_at(days[20]), "lang …", extended_entities=photo),
            tweet(12_345, "sehr alt", created_at="Wed Oct 10 20:19:24 +0000 2007"),
            tweet("12x", "ohne Nummer"),
        ],
        "community-tweet": [tweet(id_at(days[21]), "bei den Gärtnern", community_id_str="31")],
        "twitter-circle-tweet": [tweet(id_at(days[21]) + 1, "im kleinen Kreis")],
        "deleted-tweets": [tweet(id_at(days[22]), CANARY, deleted_at="2024-03-25T10:00:00.000Z")],
        "note-tweet": [
            {"noteTweet": {"noteTweetId": "1", "tweetId": str(id_at(days[20])), "core": {"text": "lang und länger"}}},
            {"noteTweet": {"noteTweetId": "2", "createdAt": days[23].isoformat(), "core": {"text": "allein"}}},
        ],
        "grok-chat-item": [
            {"grokChatItem": turn | {"sender": s, "message": m}}
            for s, m in [({"name": "User"}, "Wie?"), ({"originalName": "AGENT"}, "So."), ("stranger", "?")]
        ],
        "direct-messages": [{"dmConversation": {"conversationId": "1-2", "messages": [
            {"messageCreate": {"id": "61", "senderId": "2", "text": CANARY, "createdAt": days[2].isoformat()}},
            {"reactionCreate": {}},
        ]}}],
        "direct-messages-group": [{"dmConversation": {"conversationId": "5", "messages": [
            {"messageCreate": {"id": "62", "senderId": "1", "text": CANARY, "mediaUrls": [CANARY]}}]}}],
        "account": [{"account": {"accountId": "1", "username": "eva", "email": "eva@example.org",
                                 "accountDisplayName": "Eva", "createdAt": "2007-01-01T00:00:00.000Z"}}],
        "profile": [{"profile": {"description": {"bio": "Gärtnerin", "location": "Köln, Deutschland"}}}],
        "ageinfo": [{"ageMeta": {"ageInfo": {"age": ["34"], "birthDate": "1990-04-18"}}}],
        "screen-name-change": [{"screenNameChange": {"accountId": "1", "screenNameChange": {
            "changedAt": "2020-01-01T00:00:00.000Z", "changedFrom": "evchen", "changedTo": "eva"}}}],
        "like": [{"like": {"tweetId": "3", "fullText": CANARY}}],
    }  # fmt: skip
    if history is not None:
        parts["protected-history"] = [
            {"protectedHistory": {"protectedAt": at.isoformat(), "action": action}} for at, action in history
        ]
    files = {
        f"data/{name}.js": f"window.YTD.{name.replace('-', '_')}.part0 = {json.dumps(entries, ensure_ascii=False)}"
        for name, entries in parts.items()
    }
    return written(folder, files | {"data/manifest.js": "window.__THAR_CONFIG = {}"})


OPENED = [(parse("2024-03-05"), "Protect"), (parse("2024-03-15"), "Unprotect")]


def test_an_archive_of_x_comes_in_whole(tmp_path):
    taken = Taken(tmp_path / "out", "x", x(tmp_path / "in", history=OPENED))
    assert taken.report.quarantined == {"missing_id": 1, "not_content": 1}
    texts = {row["text"]: row for row in taken.rows if row["text"]}
    assert texts["eins & zwei"]["mentions"] == ["x:77", "@gone"]
    assert texts["eins & zwei"]["created_at"] == parse("2024-03-02")
    assert texts["sehr alt"]["created_at"] == datetime(2007, 10, 10, 20, 19, 24, tzinfo=UTC)
    assert (texts["Antwort"]["kind"], texts["Antwort"]["parent_id"]) == ("reply", "x:444")
    assert (texts["schaut https://t.co/1"]["kind"], texts["schaut https://t.co/1"]["original_id"]) == ("quote", "x:555")
    assert (taken.one("reshare")["original_id"], taken.one("reshare")["text"]) == ("x:999", None)
    photo = taken.one("photo")
    assert photo["parent_id"] == texts["lang und länger"]["item_id"]
    assert photo["media_path"] == f"data/tweets_media/{texts['lang und länger']['item_id'][2:]}-F1.jpg"
    assert texts["bei den Gärtnern"]["container_audience"] == "unknown"
    assert texts["im kleinen Kreis"]["audience"] == "group"
    assert [row["text"] for row in taken.rows if row["state"] == "deleted"] == [None]
    chat = [row for row in taken.rows if row["kind"] == "ai_chat"]
    assert {row["text"]: row["item_id"].endswith("#answer") for row in chat} == {"Wie?": False, "So.": True}
    assert {(row["audience"], row["addressed_to_ai"], row["account_id"]) for row in chat} == {("direct", True, "x:1")}
    assert_private(taken, 2)
    assert {row["account_id"] for row in taken.rows if row["kind"] == "private_message"} == {"x:1", "x:2"}
    said = {name: {row[name] for row in taken.people} - {None} for name in ("handle", "born_on", "country", "status")}
    assert said == {"handle": {"@eva"}, "born_on": {date(1990, 4, 18)}, "country": {"DE"}, "status": {"active"}}
    assert [row["former_handles"] for row in taken.people if row["former_handles"]] == [["@evchen"]]
    assert taken.report.ignored["file: like"] == 1


def audiences(taken):
    return {row["text"]: row["audience"] for row in taken.rows if row["kind"] in ("post", "reply") and row["text"]}


def test_posts_of_a_protected_time_are_for_followers(tmp_path):
    taken = Taken(tmp_path / "out", "x", x(tmp_path / "in", history=OPENED))
    assert audiences(taken) == {
        "eins & zwei": "public", "Antwort": "followers", "lang und länger": "public", "sehr alt": "public",
        "allein": "public", "bei den Gärtnern": "public", "im kleinen Kreis": "group",
    }  # fmt: skip
    since = {row["text"]: row["public_since"] for row in taken.rows}
    assert (since["eins & zwei"], since["lang und länger"]) == (parse("2024-03-15"), None)
    assert {row["private"] for row in taken.people} == {None, False}
    began = [(parse("2024-03-03"), "Unprotect")]
    before = audiences(Taken(tmp_path / "b", "x", x(tmp_path / "in2", history=began)))
    assert (before["eins & zwei"], before["Antwort"]) == ("followers", "public"), "it was protected before"


@pytest.mark.parametrize(
    ("history", "public", "expected"),
    [
        ([(parse("2024-03-25"), "Protect")], ["*"], {"followers", "group"}),
        ([(parse("2024-03-25"), "a word of tomorrow")], ["*"], {"followers", "group"}),
        ([], [], {"unknown", "group"}),
        (None, [], {"unknown", "group"}),
        ([], ["x:1"], {"public", "group"}),
        ([], ["x:2"], {"unknown", "group"}),
    ],
)
def test_an_archive_that_does_not_say_is_unknown_and_a_protected_account_is_for_followers(
    tmp_path, history, public, expected
):
    taken = Taken(tmp_path / "out", "x", x(tmp_path / "in", history=history), public=public)
    assert set(audiences(taken).values()) == expected


def test_a_history_that_cannot_be_read_makes_everything_unknown(tmp_path):
    folder = x(tmp_path / "in", history=OPENED)
    (folder / "data" / "protected-history.js").write_text("window.YTD.protected_history.part0 = [{]")
    taken = Taken(tmp_path / "out", "x", folder, public=["*"])
    assert set(audiences(taken).values()) == {"unknown", "group"}


EXPORTS = {"facebook": facebook, "instagram": instagram, "threads": instagram, "x": x}


@pytest.mark.parametrize("source", sorted(EXPORTS))
def test_a_zip_a_folder_and_a_folder_of_both_give_the_same_and_reading_again_gives_nothing(tmp_path, source):
    folder = EXPORTS[source](tmp_path / "in" / "some-export")
    plain = Taken(tmp_path / "a", source, folder)
    target = tmp_path / "export.zip"
    zipped = Taken(tmp_path / "b", source, packed(folder, target))

    def without_place(taken):
        return sorted(
            repr({name: value for name, value in row.items() if name not in ("media_path", "version_id")})
            for row in taken.rows
        )

    assert without_place(plain) == without_place(zipped)
    assert Taken(tmp_path / "b", source, target).report.files == []
    both = Taken(tmp_path / "c", source, tmp_path / "in")
    assert len(both.rows) == len(plain.rows)
    assert state_digest(tmp_path / "b" / "source") == state_digest(tmp_path / "c" / "source")


def test_two_accounts_in_one_folder_stay_two(tmp_path):
    instagram(tmp_path / "in" / "eva")
    instagram(tmp_path / "in" / "bob")
    profile = next((tmp_path / "in" / "bob").rglob("personal_information.json"))
    profile.write_text(profile.read_text().replace("eva", "bob"))
    taken = Taken(tmp_path / "out", "instagram", tmp_path / "in")
    assert {row["account_id"] for row in taken.people} == {"instagram:eva.example", "instagram:bob.example"}
    count = Counter(row["account_id"] for row in taken.rows if row["kind"] == "post")
    assert count["instagram:eva.example"] == count["instagram:bob.example"] == 4


@pytest.mark.parametrize(
    "uri", ["../../etc/passwd", "/etc/passwd", "https://a.example/x.jpg", "a\\..\\x.jpg", "c:x.jpg"]
)
def test_a_picture_never_leads_out_of_the_export(tmp_path, uri):
    written(tmp_path / "in", {"your_instagram_activity/media/posts_1.json": [
        {"media": [{"uri": uri, "creation_timestamp": SECOND, "title": "x"}]}]})  # fmt: skip
    taken = Taken(tmp_path / "out", "instagram", tmp_path / "in")
    assert {row["media_path"] for row in taken.rows} == {None}


def test_a_file_cut_short_keeps_what_was_before(tmp_path):
    folder = x(tmp_path / "in", history=OPENED)
    path = folder / "data" / "tweets.js"
    whole = path.read_text()
    path.write_text(whole[: whole.index("RT @someone") + 4])
    taken = Taken(tmp_path / "out", "x", path)
    assert taken.report.quarantined == {"truncated": 1}
    assert {row["text"] for row in taken.rows if row["text"]} == {"eins & zwei", "Antwort", "schaut https://t.co/1"}
    folder = facebook(tmp_path / "fb")
    path = next(folder.rglob("comments.json"))
    path.write_text(path.read_text()[:-40])
    taken = Taken(tmp_path / "cut", "facebook", folder)
    assert taken.report.quarantined["truncated"] == 1
    assert taken.one("comment")["text"] == "schön"


def test_a_damaged_zip_and_a_damaged_member_cost_themselves_only(tmp_path):
    folder = instagram(tmp_path / "in")
    whole = packed(folder, tmp_path / "export.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    assert Taken(tmp_path / "a", "instagram", tmp_path / "cut.zip").report.quarantined == {"unreadable_file": 1}
    at = whole.index(b"some-export/your_instagram_activity/media/reels.json") + 60
    (tmp_path / "bad.zip").write_bytes(whole[:at] + b"\xff" * 20 + whole[at + 20 :])
    taken = Taken(tmp_path / "b", "instagram", tmp_path / "bad.zip")
    assert sum(taken.report.quarantined.values()) == 1
    assert "media/reels/r.mp4" not in taken.said()
    assert taken.kinds["comment"] == 2


@pytest.mark.parametrize("source", sorted(EXPORTS))
def test_files_too_long_to_be_read_whole_give_the_same(tmp_path, source, monkeypatch):
    folder = EXPORTS[source](tmp_path / "in")
    whole = Taken(tmp_path / "a", source, folder)
    monkeypatch.setattr(jsonstream, "WHOLE_BYTES", 700)
    monkeypatch.setattr(jsonstream, "_CHUNK", 64)
    long = Taken(tmp_path / "b", source, folder)

    def seen(taken):
        return sorted(
            repr({name: row[name] for name in row if name not in ("version_id", "audience", "container_audience")})
            for row in taken.rows
        )

    assert seen(long) == seen(whole)
    assert long.report.quarantined == whole.report.quarantined
    assert len(long.people) == len(whole.people)
    assert long.audiences["public"] == whole.audiences["public"]


def test_a_bomb_in_a_zip_costs_its_own_file(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "GRACE_BYTES", 2**16)
    folder = instagram(tmp_path / "in")
    (folder / "your_instagram_activity" / "bomb.json").write_text("[" + " " * 2**22)
    taken = Taken(tmp_path / "a", "instagram", packed(folder, tmp_path / "export.zip"))
    assert taken.report.quarantined == {"bomb": 1}
    assert taken.kinds["comment"] == 2


def test_no_label_means_two_things_and_every_value_is_a_word_of_ours():
    found = tomllib.loads((resources.files("demur.intake") / "labels.toml").read_text("utf-8"))
    assert set(found["values"]["audience"]) <= set(Audience)
    for group in (found["labels"], found["values"]["audience"], found["values"]["private"]):
        words = [word for several in group.values() for word in several]
        assert [word for word, count in Counter(words).items() if count > 1] == []
        assert [word for word in words if word != word.strip().lower()] == []


@settings(max_examples=200, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(1, 20), st.booleans()), max_size=5, unique_by=lambda change: change[0]),
    at=st.integers(0, 24),
    declared=st.booleans(),
)
def test_a_post_is_public_only_if_its_account_was_open_then_and_is_open_now(changes, at, declared):
    """Told apart from the code by replaying the history hour by hour."""
    start = parse("2024-03-01")
    history = tuple(sorted((start + timedelta(hours=hour), protected) for hour, protected in changes))
    audience, since = _Audiences(history, declared).of(start + timedelta(hours=at))
    if not history:
        assert audience == ("public" if declared else "unknown")
        return
    state = not history[0][1]
    states = []
    for hour in range(25):
        state = next((protected for when, protected in history if when == start + timedelta(hours=hour)), state)
        states.append(state)
    assert audience == ("followers" if states[at] or states[-1] else "public")
    if audience == "public":
        opened = max((when for when, protected in history if not protected), default=start)
        assert since == (opened if opened > start + timedelta(hours=at) else None)


def test_the_newer_shape_of_facebooks_posts_states_audience_by_label(tmp_path):
    def post(number, **labelled):
        values = [{"label": label, "value": value} for label, value in labelled.items()]
        return {"fbid": str(number), "timestamp": SECOND, "media": [], "label_values": values}

    posts = [
        post(1, Text="eins", Zielgruppe="Öffentlich"),
        post(2, Text="zwei", Zielgruppe="Nur ich"),
        post(3, Text="drei", Zielgruppe="Nachbarn"),
        post(4, Text="vier"),
        post(5, Text="fünf", Kellele="Ainult mina"),
        post(6, Tekst="sechs", Kellele="Ainult mina"),
        post(7, Sisu="sieben"),
    ]
    export = facebook(tmp_path / "in")
    written(export, {"your_facebook_activity/posts/your_posts_2.json": posts})
    taken = Taken(tmp_path / "out", "facebook", export, public=["*"])
    found = {row["item_id"]: row["audience"] for row in taken.rows if row["item_id"][9:].isdigit()}
    assert found == {
        "facebook:1": "public", "facebook:2": "direct", "facebook:4": "public", "facebook:5": "unknown",
        "facebook:6": "unknown",
    }  # fmt: skip
    assert taken.report.quarantined == {"unknown_audience": 2, "wrong_type": 1, "unmapped_value": 1}


def test_an_edited_post_of_x_is_one_item_with_two_versions(tmp_path):
    first, second = id_at(parse("2024-03-20")), id_at(parse("2024-03-20T00:05:00Z"))
    edits = {"editTweetIds": [str(first), str(second)]}
    changed = {"initialTweetId": str(first), "editControlInitial": edits}
    pictures = {"extended_entities": {"media": [{"media_url_https": f"https://pbs.example/{n}.jpg"} for n in "ab"]}}
    tweets = [
        tweet(first, "ein Feler", edit_info={"initial": edits}, **pictures),
        tweet(second, "ein Fehler", edit_info={"edit": changed}),
    ]
    folder = x(tmp_path / "in", history=OPENED)
    (folder / "data" / "tweets.js").write_text(f"window.YTD.tweets.part0 = {json.dumps(tweets)}")
    taken = Taken(tmp_path / "out", "x", folder)
    versions = {row["text"]: row for row in taken.rows if row["item_id"] == f"x:{first}"}
    assert set(versions) == {"ein Feler", "ein Fehler"}
    assert {row["created_at"] for row in versions.values()} == {parse("2024-03-20")}
    assert versions["ein Fehler"]["version_at"] == parse("2024-03-20T00:05:00Z")
    pictures = [row for row in taken.rows if row["item_id"].startswith(f"x:{first}#attachment-")]
    gone = {row["item_id"][-1] for row in pictures if row["state"] == "deleted"}
    assert ({row["item_id"][-1] for row in pictures if row["state"] == "live"}, gone) == ({"0", "1"}, set("0123"))

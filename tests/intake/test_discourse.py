"""A forum's pages: private messages, closed categories, whispers, hidden posts and what nobody told are not public."""

from __future__ import annotations

import gzip

import orjson
import pyarrow.parquet as pq
import pytest

from demur.clock import parse
from demur.errors import InputError
from demur.intake import intake, state_digest
from demur.intake.discourse import Discourse

AT = parse("2026-11-22")
CATEGORIES = {"category_list": {"categories": [
    {"id": 1, "name": "Open", "read_restricted": False, "subcategory_list": [{"id": 3, "read_restricted": True}]},
    {"id": 2, "name": "Staff", "read_restricted": True},
]}}  # fmt: skip


def post(number, **more):
    return {"id": 100 + number, "user_id": 7, "username": "ann", "name": "Ann A", "post_number": number, "post_type": 1,
            "cooked": f"<p>words <b>{number}</b></p>", "created_at": "2026-01-01T10:00:00.000Z",
            "updated_at": "2026-01-02T10:00:00.000Z", "topic_id": 5, **more}  # fmt: skip


def topic(*posts, **more):
    return {"id": 5, "title": "A title", "archetype": "regular", "category_id": 1, "visible": True,
            "post_stream": {"posts": list(posts)}, **more}  # fmt: skip


def take(folder, pages, **files):
    place = folder / "pages"
    for name, page in {**pages, **files}.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(page if isinstance(page, bytes) else orjson.dumps(page))
    return intake(Discourse(), [place], store_folder=folder / "source", quarantine_folder=folder / "quarantine",
                  imported_at=AT, service="forum")  # fmt: skip


def items(folder, table="items", key="item_id"):
    parts = sorted((folder / "source" / table).glob("*.parquet"))
    found = [row for part in parts for row in pq.read_table(part).to_pylist()]
    return {row[key]: row for row in found}


def test_a_topic_becomes_a_post_and_its_comments(tmp_path):
    third = post(3, reply_to_post_number=2, user_id=8, username="bob")
    fifth = post(5, cooked='<p>hi <a class="mention" href="/u/bob">@bob</a></p>')
    page = topic(post(1), post(2, reply_to_post_number=None), third, post(4, post_type=3), fifth)
    report = take(tmp_path, {"t/5.json": page, "categories.json": CATEGORIES})
    found = items(tmp_path)
    assert (report.quarantined, report.ignored) == ({}, {"small action": 1, "page without posts": 1})
    assert (
        {row["audience"] for row in found.values()}
        == {row["container_audience"] for row in found.values()}
        == {"public"}
    )
    first, third = found["forum:post:101"], found["forum:post:103"]
    assert (first["kind"], first["text"], first["container_id"]) == ("post", "A title\n\nwords 1", "forum:category:1")
    assert (third["kind"], third["parent_id"], third["account_id"]) == ("comment", "forum:post:102", "forum:user:8")
    assert found["forum:post:102"]["parent_id"] == "forum:post:101"
    assert found["forum:post:105"]["mentions"] == ["@bob"]
    assert first["version_at"] == parse("2026-01-02T10:00:00Z")
    people = items(tmp_path, "people", "account_id")
    assert {name: (row["handle"], row["status"]) for name, row in people.items()} == {
        "forum:user:7": ("@ann", None), "forum:user:8": ("@bob", None)}  # fmt: skip


NOT_PUBLIC = [
    (topic(post(1), archetype="private_message", category_id=None), "direct", None, "private_message"),
    (topic(post(1), category_id=2), "public", "group", "post"),
    (topic(post(1), category_id=3), "public", "group", "post"),
    (topic(post(1), category_id=9), "public", "unknown", "post"),
    (topic(post(1), category_id=None), "public", "unknown", "post"),
    (topic(post(1), archetype=None), "unknown", "public", "post"),
    (topic(post(1), visible=False), "unlisted", "public", "post"),
    (topic(post(1, post_type=4)), "group", "public", "post"),
    (topic(post(1, hidden=True)), "group", "public", "post"),
    ({"private_posts": [post(1, category_id=None)]}, "direct", None, "private_message"),
]


@pytest.mark.parametrize(("page", "audience", "container", "kind"), NOT_PUBLIC)
def test_what_not_everybody_could_see(tmp_path, page, audience, container, kind):
    take(tmp_path, {"5.json": page, "categories.json": CATEGORIES})
    row = items(tmp_path)["forum:post:101"]
    assert (row["audience"], row["container_audience"], row["kind"]) == (audience, container, kind)


def test_without_the_categories_nothing_is_public(tmp_path):
    take(tmp_path, {"5.json": topic(post(1)), "posts.json": {"latest_posts": [post(2, category_id=1)]}})
    assert {row["container_audience"] for row in items(tmp_path).values()} == {"unknown"}


@pytest.mark.parametrize(("login", "audience"), [(True, "group"), (False, "public")])
def test_a_forum_that_wants_a_login_of_everybody_shows_nothing_to_the_public(tmp_path, login, audience):
    user = {"id": 7, "username": "ann", "name": "Ann", "trust_level": 1}
    pages = {"5.json": topic(post(1), post(2)), "ann.json": {"user": user}, "categories.json": CATEGORIES}
    report = take(tmp_path, pages | {"site-basic-info.json": {"title": "Forum", "login_required": login}})
    assert (report.quarantined, report.ignored) == ({}, {"page without posts": 2})
    assert {row["kind"]: row["audience"] for row in items(tmp_path).values()} == dict.fromkeys(
        ("post", "comment", "profile_name"), audience
    )


def test_a_category_that_closes_is_another_unit(tmp_path):
    take(tmp_path, {"5.json": topic(post(1)), "categories.json": CATEGORIES})
    take(tmp_path, {"categories.json": {"categories": [{"id": 1, "read_restricted": True}]}})
    rows = [row for part in (tmp_path / "source/items").glob("*.parquet") for row in pq.read_table(part).to_pylist()]
    assert sorted(row["container_audience"] for row in rows) == ["group", "public"]


@pytest.mark.parametrize("gone", [{"deleted_at": "2026-02-01T00:00:00.000Z"}, {"user_deleted": True}])
def test_deleted_posts_are_tombstones(tmp_path, gone):
    take(tmp_path, {"5.json": topic(post(1, **gone)), "categories.json": CATEGORIES})
    row = items(tmp_path)["forum:post:101"]
    assert (row["state"], row["audience"], row["text"]) == ("deleted", "unknown", None)


def test_a_post_on_several_pages_is_one_version(tmp_path):
    one = post(2, category_id=1)
    take(tmp_path, {"categories.json": CATEGORIES, "posts/102.json": one | {"topic_archetype": "regular"}})
    before = state_digest(tmp_path / "source")
    report = take(tmp_path, {"posts.json": {"latest_posts": [one]}})
    assert (report.items, report.items_seen) == (0, 1)
    assert state_digest(tmp_path / "source") == before


USERS = """id,name,username,email,created_at,last_seen_at,suspended_at,suspended_till,active,staged,location
1,"Ann, A",ann,ann@example.org,2024-05-01 10:00:00 UTC,2026-05-01 10:00:00 UTC,,,true,false,Lyon
2,,bob,bob@example.org,2024-05-01 10:00:00 UTC,,2026-01-01 00:00:00 UTC,2030-01-01 00:00:00 UTC,true,false,
3,,cyd,,2024-05-01 10:00:00 UTC,,2024-06-01 00:00:00 UTC,2024-07-01 00:00:00 UTC,true,false,
4,,dee,,2024-05-01 10:00:00 UTC,,,,false,true,
x,,eve,,2024-05-01 10:00:00 UTC,,,,true,false,
"""


def test_the_list_of_users_says_who_is_active(tmp_path):
    report = take(tmp_path, {"user-list.csv.gz": gzip.compress(USERS.encode())})
    people = items(tmp_path, "people", "account_id")
    assert {name[-1]: row["status"] for name, row in people.items()} == {
        "1": "active", "2": "suspended", "3": "active", "4": "deactivated"}  # fmt: skip
    ann = people["forum:user:1"]
    assert (ann["contact"], ann["place"], ann["display_name"]) == ("ann@example.org", "Lyon", "Ann, A")
    assert ann["created_at"] == parse("2024-05-01T10:00:00Z")
    assert report.quarantined == {"missing_id": 1}


def test_profiles(tmp_path):
    user = {"id": 7, "username": "ann", "name": "Ann", "trust_level": 1, "bio_cooked": "<p>hello</p>",
            "created_at": "2024-01-01T00:00:00Z", "profile_hidden": True,
            "suspended_at": "2026-01-01T00:00:00Z"}  # fmt: skip
    take(tmp_path, {"u/ann.json": {"user": user}})
    assert {(row["kind"], row["audience"]) for row in items(tmp_path).values()} == {
        ("bio", "group"),
        ("profile_name", "group"),
    }
    (person,) = items(tmp_path, "people", "account_id").values()
    assert (person["status"], person["private"]) == ("suspended", True)


BAD = {
    "post without id": (topic({**post(1), "id": None}), "missing_id"),
    "post without text": (topic({**post(1), "cooked": None}), "wrong_type"),
    "odd archetype": (topic(post(1), archetype="secret"), "unknown_audience"),
    "odd date": (topic(post(1, created_at="soon")), "not_a_date"),
    "no list": ({"post_stream": {"posts": None}}, "wrong_type"),
    "another page": ({"about": {}}, "not_content"),
    "no page": ("words", "not_content"),
    "no JSON": (b"<html>", "malformed_json"),
    "no list of users": (b"a,b\n1,2\n", "not_content"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_read_is_quarantined(tmp_path, what):
    page, reason = BAD[what]
    name = "users.csv" if "users" in what else "page.json"
    assert take(tmp_path, {name: page}).quarantined == {reason: 1}
    assert items(tmp_path) == {}


def test_a_folder_without_pages_is_told(tmp_path):
    with pytest.raises(InputError, match="pages"):
        Discourse().inputs([tmp_path])

"""A no still counts when it is told badly, when somebody else speaks later, and when an edit took something away."""

from __future__ import annotations

import itertools
import json
import tracemalloc
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demur.clock import iso, parse
from demur.intake import Input, ItemRow, PersonRow, intake
from demur.intake.mapping import parse_mapping
from demur.intake.snapshot import stage

AT = parse("2026-06-01")
MADE, LATER, LAST = "2026-03-01T10:00:00Z", "2026-03-05T10:00:00Z", "2026-03-09T10:00:00Z"
FOLDERS = itertools.count()
HALF = "caf\ud83d"
"""A text that a program cut in the middle of an emoji."""


def take(folder, source, files, **more):
    """Import some files from a folder of their own and return what was quarantined."""
    home = folder / f"{next(FOLDERS)}"
    for name, content in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        written = content if isinstance(content, bytes) else json.dumps(content).encode()
        (home / name).write_bytes(written)
    paths = [home] if len(files) > 1 else [home / name for name in files]
    report = intake(source, paths, store_folder=folder / "source", quarantine_folder=folder / "quarantine",
                    imported_at=AT, **more)  # fmt: skip
    return report.quarantined


def now(folder, table="items", name="item_id"):
    """Return the rows of a snapshot by id."""
    out = folder / f"snapshot-{next(FOLDERS)}"
    stage(out, source_folder=str(folder / "source"), as_of=None, known_at=iso(AT), state="", code="")
    parts = sorted((out / table).glob("*.parquet"))
    return {row[name]: row for part in parts for row in pq.read_table(part).to_pylist()}


# The feed ----------------------------------------------------------------------------------------------------------


def event(**said):
    return {"type": "create", "at": MADE, "created_at": MADE, "item_id": "1", "kind": "post", "account_id": "ann",
            "audience": "public", "text": "hello"} | said  # fmt: skip


def lines(*events):
    return b"".join(json.dumps(one).encode() + b"\n" for one in events)


EDIT = event(type="edit", at=LATER, audience="followers")
BADLY = {
    "half a character": lines(EDIT | {"text": HALF}),
    "half a character where it is of no matter": lines(EDIT | {"language": HALF}),
    "bytes that are no UTF-8": lines(EDIT | {"text": "caf\u00e9"}).replace(b"\\u00e9", b"\xe9"),
    "no number": lines(EDIT | {"rating": float("nan")}),
    "no end": lines(EDIT | {"rating": float("inf")}),
    "a mark before the first line": b"\xef\xbb\xbf" + lines({"type": "delete", "item_id": "1", "at": LATER}),
}


@pytest.mark.parametrize("name", BADLY)
@pytest.mark.parametrize("first", [True, False], ids=["it comes first", "it comes last"])
def test_an_event_that_is_hardly_json_takes_away_all_the_same(tmp_path, name, first):
    told = [lines(event()), BADLY[name]]
    quarantined = [take(tmp_path, "feed", {"f.jsonl": one}, service="forum") for one in (told[::-1] if first else told)]
    row = now(tmp_path)["forum:1"]
    assert row["state"] == "deleted" or row["audience"] in ("followers", "unknown")
    assert sum(sum(one.values()) for one in quarantined) == (row["state"] == "live")


def test_an_account_that_closed_is_closed_although_its_name_is_cut(tmp_path):
    closed = {"type": "account", "account_id": "ann", "at": LATER, "status": "deleted", "display_name": HALF}
    opened = {"type": "account", "account_id": "ann", "at": MADE, "status": "active"}
    assert take(tmp_path, "feed", {"f.jsonl": lines(opened, closed)}, service="forum") == {"not_utf8": 1}
    assert now(tmp_path, "people", "account_id")["forum:ann"]["status"] == "deleted"


@pytest.mark.parametrize("order", itertools.permutations(range(3)))
def test_whoever_made_an_earlier_version_stays_an_author(tmp_path, order):
    """A post that is given to somebody else may still hold the words of the first."""
    told = [event(), event(type="edit", at=LATER, account_id="bob"), event(type="edit", at=LAST, account_id="eve")]
    for number in order:
        take(tmp_path, "feed", {"f.jsonl": lines(told[number])}, service="forum")
    row = now(tmp_path)["forum:1"]
    assert (row["account_id"], row["co_account_ids"]) == ("forum:eve", ["forum:ann", "forum:bob"])


def test_who_deleted_an_item_or_showed_it_to_others_is_no_author_of_it(tmp_path):
    mine = [{"type": "delete", "item_id": "1", "at": LATER, "account_id": "mod"},
            {"type": "audience", "item_id": "1", "at": LATER, "audience": "followers"}]  # fmt: skip
    take(tmp_path, "feed", {"f.jsonl": lines(event(), *mine, event(type="edit", at=LAST))}, service="forum")
    row = now(tmp_path)["forum:1"]
    assert (row["state"], row["account_id"], row["co_account_ids"]) == ("live", "forum:ann", None)


# The fediverse -----------------------------------------------------------------------------------------------------

PUBLIC = "https://www.w3.org/ns/activitystreams#Public"


def create(name, author, to, *, actor=None, **said):
    note = {"type": "Note", "id": name, "attributedTo": author, "to": to, "content": "words", "published": MADE} | said
    return {"type": "Create", "id": f"{name}/activity", "actor": actor or author, "to": to, "object": note}


def test_no_server_can_speak_for_the_items_of_another(tmp_path):
    name, ann, eve = "https://a.example/n/1", "https://a.example/u/ann", "https://evil.example/u/eve"
    take(tmp_path, "activitystreams", {"a.json": create(name, ann, [f"{ann}/followers"])})
    boost = {"type": "Announce", "id": name, "actor": eve, "to": [PUBLIC], "object": "https://evil.example/n/9",
             "published": LAST}  # fmt: skip
    for told in (create(name, eve, [PUBLIC], updated=LATER, content="mine"), boost):
        assert take(tmp_path, "activitystreams", {"e.json": told}) == {"missing_id": 1}
    row = now(tmp_path)[f"activitypub:{name}"]
    assert (row["account_id"], row["audience"], row["text"]) == (f"activitypub:{ann}", "followers", "words")


def test_an_id_without_a_server_and_one_shared_by_its_authors_are_taken(tmp_path):
    ann, bob = "https://a.example/u/ann", "https://B.example/u/bob"
    told = [create("tag:a.example,2017:1", ann, [PUBLIC]), create("https://b.example/n/2", [ann, bob], [PUBLIC])]
    assert take(tmp_path, "activitystreams", {"a.json": told}) == {}
    assert len(now(tmp_path)) == 2


def test_a_recording_whose_aliases_never_end_costs_what_it_is_long(tmp_path):
    """A short file of aliases would be a gigabyte if it were written out."""
    ten = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    bomb = "\n".join(["a0: &a0 [x]", *ten, "interactions: [*a7, {}]", ""]).encode()
    take(tmp_path, "mastodon", {"warm.yaml": b"interactions: []"})
    tracemalloc.start()
    assert take(tmp_path, "mastodon", {"b.yaml": bomb}) == {"malformed_json": 2}
    assert tracemalloc.get_traced_memory()[1] < 100 * 2**20, "64 MiB are read at once"
    tracemalloc.stop()


def test_what_is_passed_over_is_counted_under_few_plain_words(tmp_path):
    """A repository names its collections itself: as many, as long and with as odd signs as it likes."""
    names = [f"a.b.c{number}" for number in range(3_000)] + ["\x1b[2J", "x" * 10_000]
    told = [{"kind": "commit", "did": "did:plc:a", "commit": {"collection": name, "operation": "create"}}
            for name in names]  # fmt: skip
    home = tmp_path / "e.jsonl"
    home.write_bytes(lines(*told))
    ignored = intake("bluesky", [home], store_folder=tmp_path / "source", quarantine_folder=tmp_path / "quarantine",
                     imported_at=AT).ignored  # fmt: skip
    assert sum(ignored.values()) == len(names)
    assert len(ignored) <= 1_001
    assert max(map(len, ignored)) < 100
    assert "".join(ignored).isprintable()


# Exports -----------------------------------------------------------------------------------------------------------

SECOND = 1_700_000_000
PROFILE = {"profile_v2": {"username": "ann"}}


def facebook(pictures, words=None, edited=None):
    media = [{"media": {"uri": f"posts/media/{name}.jpg", "description": about}} for name, about in pictures]
    said = [{"post": words}] if words else []
    said += [{"update_timestamp": edited}] if edited else []
    post = {"timestamp": SECOND, "privacy": "public", "attachments": [{"data": media}], "data": said}
    return {"profile_information/profile_information.json": PROFILE, "posts/your_posts_1.json": [post]}


ONE, TWO = ("1", "one"), ("2", "two")
EDITED = {
    "one of two pictures": (facebook([ONE, TWO], "hi"), facebook([ONE], "hi", SECOND + 9), {"one"}, {"1"}),
    "all pictures": (facebook([ONE, TWO], "hi"), facebook([], "hi", SECOND + 9), set(), set()),
    "one of two, no words": (facebook([ONE, TWO]), facebook([TWO], None, SECOND + 9), {"two"}, {"2"}),
    "a caption": (facebook([ONE]), facebook([("1", None)], None, SECOND + 9), set(), {"1"}),
    "nothing, words came": (facebook([ONE]), facebook([ONE], "hi", SECOND + 9), {"one"}, {"1"}),
    "nothing": (facebook([ONE, TWO], "hi"), facebook([ONE, TWO], "hi"), {"one", "two"}, {"1", "2"}),
}


@pytest.mark.parametrize("name", EDITED)
@pytest.mark.parametrize("first", [True, False], ids=["the edited one first", "the edited one last"])
def test_what_an_edit_took_from_a_post_of_facebook_is_gone(tmp_path, name, first):
    before, after, captions, pictures = EDITED[name]
    for files in (after, before) if first else (before, after):
        take(tmp_path, "facebook", files)
    live = [row for row in now(tmp_path).values() if row["state"] == "live"]
    assert {row["text"] for row in live if row["kind"] == "caption"} == captions
    assert {Path(row["media_path"]).stem for row in live if row["media_path"]} == pictures


@pytest.mark.parametrize("within", [True, False], ids=["of the same folder", "of another folder"])
def test_a_link_in_an_export_reads_nobody_elses_files(tmp_path, within):
    bob, ann = tmp_path / "all" / "bob" if within else tmp_path / "bob", tmp_path / "all" / "ann"
    for folder, files in ((bob, facebook([], "bob's words")), (ann, {"profile_information/profile_information.json":
                                                                      PROFILE})):  # fmt: skip
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_text(json.dumps(content))
    (ann / "posts").mkdir()
    (ann / "posts" / "your_posts_1.json").symlink_to(bob / "posts" / "your_posts_1.json")
    report = intake("facebook", [ann], store_folder=tmp_path / "source", quarantine_folder=tmp_path / "quarantine",
                    imported_at=AT)  # fmt: skip
    assert report.quarantined == {"unreadable_file": 1}
    assert now(tmp_path) == {}


# Tables ------------------------------------------------------------------------------------------------------------

MAPPING = """
service = "forum"
[[tables]]
files = "posts*"
rows = "items"
[tables.columns]
item_id = { from = "id" }
account_id = { from = "author" }
parent_id = { from = "answers" }
kind = { value = "post" }
audience = { value = "public" }
state = { from = "gone", map = { yes = "deleted", no = "live" } }
version_at = [{ from = "gone_on", date = "%Y-%m-%d", zone = "Europe/Madrid" }, { from = "edited", date = "iso" }]
created_at = { from = "made", date = "iso" }
rating = { from = "stars" }
text = { from = "words" }
[[tables]]
files = "users*"
rows = "people"
[tables.columns]
account_id = { from = "id" }
status = { from = "state", map = { ok = "active", banned = "suspended" } }
private = { from = "locked" }
born_on = { from = "born", date = "iso", zone = "Europe/Madrid" }
age_source = { value = "declared" }
created_at = { from = "since", date = "iso" }
"""


def record(**said):
    return {"id": "1", "author": "7", "answers": None, "gone": "no", "gone_on": "", "edited": LATER, "made": MADE,
            "stars": None, "words": "hello"} | said  # fmt: skip


def table(folder, *records, name="posts"):
    content = b"".join(json.dumps(one).encode() + b"\n" for one in records)
    return take(folder, "table", {f"{name}.jsonl": content}, mapping=parse_mapping(MAPPING, "m.toml"))


GONE = {
    "on the day of its last edit": record(gone="yes", gone_on="2026-03-05"),
    "nobody can read when": record(gone="yes", gone_on="0000-00-00"),
    "the day after tomorrow": record(gone="yes", gone_on="2026-06-03"),
    "its making is a zero date": record(gone="yes", gone_on="2026-03-06", made="0000-00-00"),
    "its making is in 1970": record(gone="yes", gone_on="2026-03-06", made="1970-01-01"),
    "its words are half": record(gone="yes", gone_on="2026-03-06", words=HALF),
}


@pytest.mark.parametrize("name", GONE)
@pytest.mark.parametrize("first", [True, False], ids=["it comes first", "it comes last"])
def test_what_a_table_calls_gone_is_gone(tmp_path, name, first):
    for one in (GONE[name], record()) if first else (record(), GONE[name]):
        table(tmp_path, one)
    assert {key: row["state"] for key, row in now(tmp_path).items()} == {"forum:1": "deleted"}


def test_what_was_deleted_one_day_and_came_back_the_next_is_there(tmp_path):
    table(tmp_path, record(gone="yes", gone_on="2026-03-05"))
    table(tmp_path, record(edited="2026-03-05T23:30:00Z"))
    assert now(tmp_path)["forum:1"]["state"] == "live", "in Madrid it is the sixth"


def test_a_record_whose_deletion_cannot_be_read_is_counted_and_takes_nothing_away(tmp_path):
    table(tmp_path, record())
    assert table(tmp_path, record(gone="perhaps")) == {"unmapped_value": 1}
    assert now(tmp_path)["forum:1"]["state"] == "live"


@pytest.mark.parametrize("said", [{"since": "0000-00-00"}, {"since": "1970-01-01"}, {"born": "soon"}])
def test_an_account_that_closed_is_closed_whatever_else_its_row_says(tmp_path, said):
    good = {"id": "7", "state": "ok", "locked": "false", "born": "1990-01-01", "since": MADE}
    table(tmp_path, good | {"state": "banned", "locked": "true"} | said, name="users")
    row = now(tmp_path, "people", "account_id")["forum:7"]
    assert (row["status"], row["private"], row["born_on"]) == ("suspended", True, None)


@pytest.mark.parametrize(
    ("born", "day"),
    [("2008-05-26T22:00:00Z", date(2008, 5, 27)), ("2008-05-27", date(2008, 5, 27)),
     ("2008-05-27T00:00:00", date(2008, 5, 27)), ("2008-05-27T00:30:00+02:00", date(2008, 5, 27))],
)  # fmt: skip
def test_a_birth_date_that_is_written_as_an_instant_is_a_day_of_its_zone(tmp_path, born, day):
    """Midnight in Madrid is the day before in UTC, and whoever is read a day older is of age a day too early."""
    table(tmp_path, {"id": "7", "state": "ok", "locked": "false", "born": born, "since": MADE}, name="users")
    assert now(tmp_path, "people", "account_id")["forum:7"]["born_on"] == day


def test_numbers_that_are_missing_are_missing_and_ids_are_whole(tmp_path):
    """Programs write a column of whole numbers with fractions, and NaN, as soon as one is missing."""
    rows = [record(id=n, author=7.0, answers=answers, stars=float("nan")) for n, answers in ((1, None), (2, 1.0))]
    columns = pa.Table.from_pylist(rows)
    filled = [float("nan"), 1.0]
    columns = columns.set_column(columns.column_names.index("answers"), "answers", pa.array(filled, pa.float64()))
    pq.write_table(columns, tmp_path / "posts.parquet")
    report = intake("table", [tmp_path / "posts.parquet"], store_folder=tmp_path / "source",
                    quarantine_folder=tmp_path / "quarantine", imported_at=AT,
                    mapping=parse_mapping(MAPPING, "m.toml"))  # fmt: skip
    assert report.quarantined == {}
    found = now(tmp_path)
    assert {(row["account_id"], row["rating"]) for row in found.values()} == {("forum:7", None)}
    assert {key: row["parent_id"] for key, row in found.items()} == {"forum:1": None, "forum:2": "forum:1"}


@pytest.mark.parametrize("number", [2.0**53 + 2, 1.5, float("inf")])
def test_an_id_that_lost_its_digits_is_nobodys(tmp_path, number):
    assert sum(table(tmp_path, record(author=number)).values()) == 1
    assert now(tmp_path) == {}


# Any source --------------------------------------------------------------------------------------------------------


class Given:
    """A source that yields what a test gives it."""

    name = "given"

    def __init__(self, *rows):
        self.rows = rows

    def inputs(self, paths):
        return [Input((path,)) for path in paths]

    def read(self, given, context):
        yield from self.rows


def whole(**said):
    return ItemRow(item_id="given:1", kind="post", account_id="given:a", audience="public", text="x",
                   version_at=parse(MADE), created_at=parse(MADE), **said)  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [{"version_at": parse("1970-01-01")}, {"version_at": "soon"}, {"kind": "clip"}, {"rating": float("nan")},
     {"text": "x\0"}, {"mentions": "bob"}, {"strange": 1}],
)  # fmt: skip
def test_a_deletion_that_goes_to_quarantine_deletes(tmp_path, wrong):
    (tmp_path / "f").write_bytes(b"")
    report = intake(Given(whole(), ItemRow(whole(state="deleted") | wrong)), [tmp_path / "f"],
                    store_folder=tmp_path / "source", quarantine_folder=tmp_path / "quarantine",
                    imported_at=AT)  # fmt: skip
    assert sum(report.quarantined.values()) == 1
    assert now(tmp_path)["given:1"]["state"] == "deleted"


def test_an_account_that_goes_to_quarantine_stays_as_closed_as_it_says(tmp_path):
    (tmp_path / "f").write_bytes(b"")
    good = PersonRow(account_id="given:a", status="active", private=False, version_at=parse(MADE))
    odd = PersonRow(account_id="given:a", status="banned", private=True, signal="n", version_at=parse(LATER))
    intake(Given(good, odd), [tmp_path / "f"], store_folder=tmp_path / "source",
           quarantine_folder=tmp_path / "quarantine", imported_at=AT)  # fmt: skip
    row = now(tmp_path, "people", "account_id")["given:a"]
    assert (row["status"], row["private"], row["signal"]) == ("suspended", True, "n")

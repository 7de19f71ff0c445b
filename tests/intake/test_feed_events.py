"""Whatever order events come in, however often, in whatever batches, and wherever a reader is killed: one state."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.clock import iso, parse
from demur.flows import feed
from demur.flows.left import alone
from demur.intake import intake, state_digest
from demur.intake.check import ITEM_RULES
from demur.intake.feed import Feed
from demur.intake.feed_queue import FeedQueue
from demur.intake.snapshot import stage
from demur.store import Workspace
from demur.wiring import open_parts

AT = parse("2026-11-22")
BEGIN = parse("2026-01-01")
EXAMPLES = 300 if os.environ.get("DEMUR_NIGHTLY") == "1" else 15


def when(hour):
    return iso(BEGIN + timedelta(hours=hour))


def whole(kind, item, hour, text, audience="public"):
    return {"type": kind, "at": when(hour), "item_id": item, "kind": "post", "account_id": "ann",
            "created_at": when(0), "audience": audience, "text": text}  # fmt: skip


def take(folder, batches):
    for number, batch in enumerate(batches):
        path = folder / f"{number}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(orjson.dumps(event) + b"\n" for event in batch))
        intake(Feed(), [path], store_folder=folder / "source", quarantine_folder=folder / "quarantine",
               imported_at=AT, service="forum")  # fmt: skip


def now(folder, as_of=None):
    """Return the digest of the snapshot, and its items by id."""
    out = folder / f"snapshot-{as_of}"
    stage(out, source_folder=str(folder / "source"), as_of=as_of, known_at=iso(AT), state="", code="")
    rows = [row for part in sorted((out / "items").glob("*.parquet")) for row in pq.read_table(part).to_pylist()]
    return orjson.loads((out / "COMMIT.json").read_bytes())["digest"], {row["item_id"]: row for row in rows}


HOURS = st.integers(0, 5)
AUDIENCES = st.sampled_from(["public", "unlisted", "followers", "direct"])
ITEMS = st.sampled_from(["1", "2"])
EVENTS = st.one_of(
    st.builds(whole, st.sampled_from(["create", "edit"]), ITEMS, HOURS, st.sampled_from("abc"), AUDIENCES),
    st.builds(lambda item, hour: {"type": "delete", "item_id": item, "at": when(hour)}, ITEMS, HOURS),
    st.builds(lambda item: {"type": "delete", "item_id": item, "at": "yesterday"}, ITEMS),
    st.builds(lambda item, hour, who: {"type": "audience", "item_id": item, "at": when(hour), "audience": who},
              ITEMS, HOURS, AUDIENCES),
    st.builds(lambda item, hour, said: whole("edit", item, hour, "d") | said, ITEMS, HOURS,
              st.sampled_from([{"audience": "circle"}, {"signal": "no"}, {"at": "soon", "special_category": True},
                               {"at": None, "audience": "followers"}, {"type": "create", "kind": "rune"},
                               {"type": "delete"}])),
    st.builds(lambda hour, name: {"type": "account", "account_id": "ann", "at": when(hour), **name}, HOURS,
              st.sampled_from([{"handle": "@a"}, {"handle": "@b"}, {"status": "deleted"}, {"private": True},
                               {"status": "banned"}, {"at": "soon", "private": True}])),
)  # fmt: skip


@settings(max_examples=EXAMPLES, deadline=None)
@given(events=st.lists(EVENTS, min_size=1, max_size=10), chance=st.randoms(use_true_random=False))
def test_shuffled_repeated_and_split_events_give_the_same_snapshot(tmp_path_factory, events, chance):
    plain, mixed = tmp_path_factory.mktemp("plain"), tmp_path_factory.mktemp("mixed")
    take(plain, [events])
    again = [*events, *chance.choices(events, k=len(events))]
    chance.shuffle(again)
    cuts = sorted(chance.choices(range(len(again) + 1), k=2))
    take(mixed, [again[: cuts[0]], again[cuts[0] : cuts[1]], again[cuts[1] :]])
    assert state_digest(plain / "source") == state_digest(mixed / "source")
    for as_of in (None, when(2)):
        assert now(plain, as_of) == now(mixed, as_of)


@settings(max_examples=EXAMPLES, deadline=None)
@given(events=st.lists(EVENTS, min_size=1, max_size=8), hour=HOURS, chance=st.randoms(use_true_random=False))
def test_a_later_delete_or_narrower_audience_never_lets_more_in(tmp_path_factory, events, hour, chance):
    item = chance.choice(["1", "2"])
    before, after = tmp_path_factory.mktemp("before"), tmp_path_factory.mktemp("after")
    kind = chance.choice(["delete", "audience"])
    more = {"type": kind, "item_id": item, "at": when(9)} | ({"audience": "direct"} if kind == "audience" else {})
    take(before, [events])
    take(after, [events, [more]])
    for as_of in (None, when(hour)):
        old, new = now(before, as_of)[1], now(after, as_of)[1]
        assert {name: row for name, row in old.items() if name != f"forum:{item}"} == {
            name: row for name, row in new.items() if name != f"forum:{item}"
        }
        row = new.get(f"forum:{item}")
        assert row is None or row["state"] == "deleted" or row["audience"] in ("direct", "unknown")


def test_an_audience_change_keeps_the_words_and_its_own_clock(tmp_path):
    shown = {"type": "audience", "item_id": "1", "at": when(3), "audience": "public"}
    hidden = {"type": "audience", "item_id": "1", "at": when(2), "audience": "followers"}
    take(tmp_path, [[shown, hidden, whole("create", "1", 0, "hello")]])
    for as_of, audience, since in ((when(1), "followers", None), (when(2), "followers", None), (None, "public", 3)):
        row = now(tmp_path, as_of)[1]["forum:1"]
        assert (row["text"], row["kind"], row["account_id"]) == ("hello", "post", "forum:ann")
        # narrowed in the meantime, an earlier look is narrowed too; opened later, it is not opened for the past
        assert row["audience"] == audience
        assert row["public_since"] == (None if since is None else BEGIN + timedelta(hours=since))


def test_an_edit_that_opens_an_item_begins_its_clock(tmp_path):
    take(tmp_path, [[whole("create", "1", 0, "a", "followers"), whole("edit", "1", 4, "b")]])
    row = now(tmp_path)[1]["forum:1"]
    assert (row["audience"], row["public_since"]) == ("public", BEGIN + timedelta(hours=4))


def test_a_deletion_that_comes_first_wins(tmp_path):
    take(tmp_path, [[{"type": "delete", "item_id": "1", "at": when(5)}], [whole("create", "1", 1, "a")]])
    assert now(tmp_path)[1]["forum:1"]["state"] == "deleted"
    take(tmp_path, [[whole("edit", "1", 6, "back")]])
    found = now(tmp_path, when(7))[1]["forum:1"]
    assert (found["state"], found["text"]) == ("live", "back")


def test_an_opening_does_not_bring_back_what_was_deleted(tmp_path):
    shown = {"type": "audience", "item_id": "1", "at": when(5), "audience": "public"}
    take(tmp_path, [[whole("create", "1", 0, "a"), {"type": "delete", "item_id": "1", "at": when(2)}, shown]])
    row = now(tmp_path)[1]["forum:1"]
    assert (row["state"], row["text"]) == ("deleted", None)


BAD = {
    b"no json": "malformed_json",
    b"[]": "wrong_type",
    b'{"type":"burn","item_id":"1"}': "not_content",
    b'{"type":"delete"}': "missing_id",
    b'{"type":"delete","item_id":""}': "missing_id",
    b'{"type":"create","item_id":"1","kind":"post"}': "wrong_type",
    b'{"type":"create","item_id":"1","kind":"rune","audience":"public"}': "unknown_kind",
    b'{"type":"create","item_id":"1","kind":"post","audience":"all"}': "unknown_audience",
    b'{"type":"create","item_id":"1","kind":"post","audience":"public","at":"soon"}': "not_a_date",
    b'{"type":"create","item_id":"1","kind":"post","audience":"public","service":"x"}': "wrong_type",
    b'{"type":"create","item_id":"1","kind":"post","audience":"public","colour":"red"}': "wrong_type",
    b'{"type":"audience","item_id":"1","audience":"public","text":"x"}': "wrong_type",
    b'{"type":"account","account_id":"1","born_on":"then"}': "not_a_date",
}


def test_the_door_counts_what_the_reader_will_quarantine(tmp_path):
    space = Workspace(tmp_path / "home", seed=b"feed")
    body = b"\n".join([*BAD, orjson.dumps(whole("create", "1", 0, "a"))])
    kept = feed.receive(space, "forum", body, at=AT)
    expected = {reason: list(BAD.values()).count(reason) for reason in BAD.values()}
    assert kept.as_json() == {"events": len(BAD) + 1, "accepted": 1, "quarantined": expected}
    with open_parts(space) as parts:
        pulled = feed.pull(parts, at=AT)
        # the audience of the item that cannot be read is kept too: as unknown
        assert (pulled.items, pulled.quarantined) == (2, expected)
        assert feed.pull(parts, at=AT).segments == 0
    assert not list((space.work / "run").iterdir()), "no text stays behind"


BROKEN = """
import os, signal, sys; from pathlib import Path
from demur.flows import feed; from demur.flows.left import alone; from demur.store import Workspace
from demur.wiring import open_parts
space = Workspace(Path(sys.argv[1]), seed=b"feed")
def intake(*_, **__):
    if sys.argv[2] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(28, "no space")
feed.intake = intake
with alone(space), open_parts(space) as parts:
    feed.pull(parts, at=feed.datetime.fromisoformat("2026-11-22T00:00:00+00:00"))
"""


@pytest.mark.parametrize("how", ["killed", "full"])
def test_a_reader_that_broke_off_keeps_nobody_out(tmp_path, how):
    space = Workspace(tmp_path / "home", seed=b"feed")
    world(space, [[whole("create", "1", 0, "a text of somebody")]])
    reader = [sys.executable, "-c", BROKEN, str(space.root), how]
    assert subprocess.run(reader, check=False, capture_output=True).returncode != 0
    left = [path for path in space.work.rglob("*") if path.is_file()]
    assert len(left) == (how == "killed")
    with alone(space, builds=True), open_parts(space) as parts:
        assert not list((space.work / "run").iterdir())
        assert feed.pull(parts, at=AT).items == 1


def world(space, batches):
    for batch in batches:
        feed.receive(space, "forum", b"\n".join(orjson.dumps(event) for event in batch), at=AT)


def accounts(space):
    with open_parts(space) as parts:
        return sorted(parts.registry.everybody())


READER = """
import signal, sys; from pathlib import Path
from demur.clock import parse; from demur.flows import feed; from demur.store import Workspace
from demur.wiring import open_parts
space = Workspace(Path(sys.argv[1]), seed=b"feed")
with space.lock(), open_parts(space) as parts:
    signal.setitimer(signal.ITIMER_PROF, float(sys.argv[2]))  # SIGPROF ends it after so much work, on any machine
    feed.pull(parts, at=parse("2026-11-22"), rows=1)
"""


def test_a_reader_killed_anywhere_leaves_one_state(tmp_path):
    chance = random.Random(4)
    batches = [[whole("create", f"{n}-{m}", m, "words") for m in range(20)] for n in range(24)]
    batches += [[{"type": "account", "account_id": f"p{n}", "at": when(n), "status": "active"}] for n in range(8)]
    batches += [[{"type": "delete", "item_id": f"{n}-3", "at": when(9)}] for n in range(8)]
    calm, rough = Workspace(tmp_path / "calm", seed=b"feed"), Workspace(tmp_path / "rough", seed=b"feed")
    world(calm, batches)
    with open_parts(calm) as parts:
        feed.pull(parts, at=AT)
    chance.shuffle(batches)
    world(rough, batches)
    killed = 0
    for work in (0.05, 0.3, 0):
        reader = subprocess.run([sys.executable, "-c", READER, str(rough.root), str(work)], check=False)
        killed += reader.returncode == -signal.SIGPROF
        assert reader.returncode == 0 or (work and reader.returncode == -signal.SIGPROF)
    assert killed
    with FeedQueue(rough.database_url("feed")) as queue:
        assert queue.waiting() == []
    assert state_digest(calm.source) == state_digest(rough.source)
    assert now(calm.root)[0] == now(rough.root)[0]
    assert accounts(calm) == accounts(rough) != []


def test_the_queue_is_a_table_that_the_platform_may_write_itself(tmp_path, url):
    with FeedQueue(url) as queue:
        queue.put("forum", orjson.dumps(whole("create", "1", 0, "a")), AT)
        queue.put("other", orjson.dumps(whole("create", "2", 0, "b")), AT)
        queue.put("forum", orjson.dumps(whole("create", "3", 0, "c")), AT)
        assert [(one.service, one.batches) for one in queue.waiting()] == [("forum", 2), ("other", 1)]
        first = queue.claim()
        assert first == queue.unfinished()
        assert len(list(queue.bodies(first))) == 2
        second = queue.claim()
        assert second.service == "other"
        assert queue.claim() is None
        queue.done(first)
        queue.done(second)
        assert queue.unfinished() is None
        assert queue.length() == 0


def test_rows_that_are_taken_in_together_have_the_ids_of_single_ones(tmp_path):
    events = [
        whole("create", str(n), n, "words" * (n % 3)) | {"rating": [5, 5.0, -0.0, 0.0, None][n]} for n in range(5)
    ]
    events += [
        {"type": "delete", "item_id": "1"},
        {**whole("edit", "2", 7, "x"), "mentions": ["a", "b"], "kind": "odd"},
    ]
    take(tmp_path, [events])
    (part,) = (tmp_path / "source" / "items").glob("*.parquet")
    rows = pq.read_table(part).to_pylist()
    assert len(rows) == 7, "of the edit of no kind stays that its audience is unknown"
    ints = {0: 5}  # a whole number is kept as the column's type, but named as it was told
    for row in rows:
        number = row["item_id"].removeprefix("forum:")
        told = row | ({"rating": ints[int(number)]} if int(number) in ints and row["rating"] is not None else {})
        assert ITEM_RULES.version_id(told) == row["version_id"]


def test_segments_are_bounded_by_rows_and_size(tmp_path):
    with FeedQueue(f"sqlite:///{tmp_path / 'q.db'}") as queue:
        for size in (10, 10, 500, 10):
            queue.put("forum", b"x" * size, AT)
        sizes = []
        while (segment := queue.claim(rows=3, size=100)) is not None:
            sizes.append([len(body) for body in queue.bodies(segment)])
            queue.done(segment)
        assert sizes == [[10, 10], [500], [10]]


@pytest.mark.parametrize("name", ["", "a/b", "..", "A", "x" * 64])
def test_no_feed_has_an_odd_name(tmp_path, name):
    assert not feed.may_feed(Workspace(tmp_path, seed=b"feed").keys, name, "Bearer x")


def test_paths_are_read_as_a_source(tmp_path):
    (tmp_path / "log.jsonl").write_bytes(orjson.dumps(whole("create", "1", 0, "a")))
    assert [given.path for given in Feed().inputs([Path(tmp_path)])] == [tmp_path / "log.jsonl"]

"""One odd record costs itself, a cut is always counted, and what a new part costs does not depend on the store."""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.clock import parse
from demur.intake import Context, ItemRow, PersonRow, Unreadable, intake, jsonstream, meta
from demur.intake.check import ITEM_RULES
from demur.intake.index import VersionIndex, ids_of
from demur.intake.mapping import parse_mapping
from demur.intake.signals_site import SiteSignals
from demur.intake.source import Input
from demur.intake.telegram import _MESSAGES
from demur.intake.write import _TableWriter
from demur.store import write_table

AT = parse("2026-11-22")
EXAMPLES = 400 if os.environ.get("DEMUR_NIGHTLY") == "1" else 25
SECOND = 1_714_550_400


class Given:
    """A source that yields what a test gives it."""

    name = "given"

    def __init__(self, rows):
        self.rows = rows

    def inputs(self, paths):
        return [Input((path,)) for path in paths]

    def read(self, given, context):
        for number, row in enumerate(self.rows):
            context.at(given.path.name, number)
            yield row


def taken(folder, source, files, *, mapping=None, signals=None):
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in files.items():
        paths.append(folder / name)
        paths[-1].write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return intake(
        source, paths, store_folder=folder / "source", quarantine_folder=folder / "quarantine", imported_at=AT,
        mapping=mapping, signals=signals,
    )  # fmt: skip


def stored(folder, table="items"):
    return [row for part in (folder / "source" / table).glob("*.parquet") for row in pq.read_table(part).to_pylist()]


# Rows --------------------------------------------------------------------------------------------------------------


def deep(levels=2_000):
    found = []
    for _ in range(levels):
        found = [found]
    return found


ODD = {
    "kind": ["post"], "audience": {"a": 1}, "signal": [], "signal_origin": 5, "rating": 2**53 + 1, "text": "\ud800",
    "mentions": deep(), "service": 7, "state": {}, "item_id": 10**5000, 3: "no name",
    "special_category": 10**5000,
}  # fmt: skip


@pytest.mark.parametrize("site", [False, True])
@pytest.mark.parametrize("column", ODD)
def test_a_value_that_is_none_of_its_column_costs_its_row_only(tmp_path, column, site):
    signals = None
    if site:
        (tmp_path / "signals" / "given").mkdir(parents=True)
        (tmp_path / "signals" / "given" / "robots.txt").write_text("User-agent: *\nContent-Usage: train-ai=n\n")
        signals = SiteSignals(tmp_path / "signals")
    good = {"kind": "post", "audience": "public", "signal": "y"}
    rows = [
        ItemRow(good, item_id="given:1"),
        ItemRow({"item_id": "given:odd", **good, column: ODD[column]}),
        ItemRow(good, item_id="given:1", state="deleted"),
    ]
    report = taken(tmp_path / "in", Given(rows), {"input": column.__repr__()}, signals=signals)
    assert sum(report.quarantined.values()) == 1
    assert sorted((row["item_id"], row["state"]) for row in stored(tmp_path / "in")) == [
        ("given:1", "deleted"), ("given:1", "live"),
    ]  # fmt: skip


@pytest.mark.parametrize("item", ["x:http://[x", "x:https://[::1", "x:http://\ud800/", "x:http://a.example:port/"])
def test_no_site_says_anything_of_an_item_whose_id_is_no_url(tmp_path, item):
    (tmp_path / "signals" / "given").mkdir(parents=True)
    (tmp_path / "signals" / "given" / "robots.txt").write_text("User-agent: *\nContent-Usage: train-ai=n\n")
    rows = [ItemRow(item_id=item, kind="post", audience="public"), PersonRow(account_id="x:1")]
    report = taken(tmp_path, Given(rows), {"input": "x"}, signals=SiteSignals(tmp_path / "signals"))
    assert report.people == 1
    assert (report.items, report.quarantined) in [(1, {}), (0, {"not_utf8": 1})]
    assert {row["signal"] for row in stored(tmp_path)} <= {"n"}, "the service's own word counts"


@given(odd=st.sets(st.integers(0, 19)))
@settings(max_examples=EXAMPLES, deadline=None)
def test_what_a_column_refuses_is_kept_apart_and_all_else_is_written(tmp_path_factory, odd):
    folder = tmp_path_factory.mktemp("store")
    writer = _TableWriter(ITEM_RULES, folder / "items", folder)
    for number in range(20):
        row = {"item_id": f"x:{number}", "rating": "no number" if number in odd else 0.5, "imported_at": AT}
        row |= {"kind": "post", "audience": "public", "state": "live", "service": "x", "source": "given"}
        row["version_id"] = hashlib.sha256(row["item_id"].encode()).hexdigest()[:32]
        writer.take(row, ("file", str(number)))
    writer.flush()
    assert {int(position) for _, (_, position) in writer.refused} == odd
    assert writer.added == 20 - len(odd)
    parts = [pq.read_table(part) for part in (folder / "items").glob("*.parquet")]
    assert {name for part in parts for name in part["item_id"].to_pylist()} == {
        f"x:{number}" for number in range(20) if number not in odd
    }


# Records -----------------------------------------------------------------------------------------------------------


PUBLIC = "https://www.w3.org/ns/activitystreams#Public"
HOST = "https://a.example"
FIRST = "0001-01-01T00:00:00+05:00"
"""An instant that has none in UTC."""


def note(number, **said):
    return {
        "type": "Note", "id": f"{HOST}/n/{number}", "attributedTo": f"{HOST}/users/ann", "to": [PUBLIC],
        "published": "2024-05-01T00:00:00Z", "content": f"words {number}", **said,
    }  # fmt: skip


def status(number, **said):
    account = {"acct": "ann", "username": "ann", "uri": f"{HOST}/users/ann"}
    return {
        "uri": f"{HOST}/n/{number}", "created_at": "2024-05-01T00:00:00Z", "visibility": "public",
        "content": f"words {number}", "account": account, **said,
    }  # fmt: skip


def collection(*notes):
    return {"@context": "x", "type": "OrderedCollection", "orderedItems": notes}


def dump(odd):
    lines = ["COPY public.accounts (id, username, uri) FROM stdin;", f"1\tann\t{HOST}/users/ann", "\\.", ""]
    lines += ["COPY public.statuses (id, uri, text, created_at, visibility, account_id) FROM stdin;"]
    rows = [[f"{HOST}/n/1", "2024-05-01 00:00:00"], [f"{HOST}/n/2", "2024-05-01 00:00:00"]]
    rows.insert(1, [odd.get("id", f"{HOST}/n/odd"), odd.get("at", "2024-05-01 00:00:00")])
    lines += [f"{n}\t{uri}\twords\t{at}\t0\t1" for n, (uri, at) in enumerate(rows)]
    return {"d.sql": "\n".join([*lines, "\\.", ""])}


TABLE = parse_mapping(
    """service="f"
[[tables]]
files="p.csv"
rows="items"
[tables.columns]
item_id={from="id"}
kind={value="post"}
audience={value="public"}
created_at={from="at",date="iso",zone="Europe/Berlin"}
""",
    "m.toml",
)
ODD_RECORDS = {
    **{
        f"activitystreams {name}": {"o.json": collection(note(1), note("odd", **said), note(2))}
        for name, said in {
            "id": {"id": "http://[x"}, "instant": {"published": FIRST}, "words": {"content": {"a": 1}},
            "map": {"content": None, "contentMap": {"en": 7}}, "map of none": {"content": None, "contentMap": {1: []}},
        }.items()
    },
    **{
        f"mastodon {name}": {"s.json": [status(1), status("odd", **said), status(2)]}
        for name, said in {
            "id": {"uri": "http://[x"}, "instant": {"created_at": FIRST}, "mentions": {"mentions": [7]},
            "account": {"account": [1]}, "poll": {"poll": {"options": [{}]}}, "media": {"media_attachments": ["x"]},
            "quote": {"quote": "x"},
        }.items()
    },
    **{f"mastodon_dump {name}": dump({name: odd}) for name, odd in {"id": "http://[x", "at": FIRST}.items()},
    "table instant": {"p.csv": "id,at\nn/1,2024-05-01\nodd,0001-01-01\nn/2,2024-05-01\n"},
    "bluesky instant": {
        "e.jsonl": "".join(
            json.dumps({"kind": "commit", "did": "did:plc:a", "commit": {
                "collection": "app.bsky.feed.post", "rkey": name, "operation": "create",
                "record": {"text": "words", "createdAt": at}}}) + "\n"
            for name, at in (("n/1", "2024-05-01T00:00:00Z"), ("odd", FIRST), ("n/2", "2024-05-01T00:00:00Z")))
    },
    "discourse instant": {
        "t.json": {"archetype": "regular", "post_stream": {"posts": [
            {"id": number, "post_number": number, "cooked": "words", "created_at": at}
            for number, at in ((1, "2024-05-01T00:00:00Z"), (3, FIRST), (2, "2024-05-01T00:00:00Z"))]}}
    },
}  # fmt: skip


@pytest.mark.parametrize("name", ODD_RECORDS)
def test_a_record_that_cannot_be_read_costs_itself_and_the_rest_of_its_file_is_read(tmp_path, name):
    source = name.split(" ", maxsplit=1)[0]
    report = taken(tmp_path, source, ODD_RECORDS[name], mapping=TABLE if source == "table" else None)
    assert sum(report.quarantined.values()) == 1
    assert "source_failed" not in report.quarantined
    posts = {row["item_id"][-1] for row in stored(tmp_path) if row["kind"] in ("post", "comment")}
    assert posts == {"1", "2"}


@pytest.mark.parametrize("said", [{"inReplyTo": "http://[x"}, {"tag": [{"type": "Mention", "href": "https://[x"}]},
                                  {"attachment": [{"type": "Image", "url": "https://[x"}]}])  # fmt: skip
def test_an_address_beside_the_words_that_is_none_costs_nothing_but_itself(tmp_path, said):
    report = taken(tmp_path, "activitystreams", {"o.json": collection(note(1, **said))})
    assert report.quarantined == {}
    assert "words 1" in {row["text"] for row in stored(tmp_path)}


@pytest.mark.parametrize("field", ["quote", "quoteUrl", "quoteUri", "_misskey_quote"])
@pytest.mark.parametrize("form", [str, lambda uri: {"id": uri}, lambda uri: [{"href": uri}]])
def test_however_an_object_says_what_it_quotes_that_is_its_original(tmp_path, field, form):
    taken(tmp_path, "activitystreams", {"o.json": collection(note(1, **{field: form(f"{HOST}/n/2")}))})
    row = next(row for row in stored(tmp_path) if row["text"] == "words 1")
    assert (row["kind"], row["original_id"]) == ("quote", f"activitypub:{HOST}/n/2")


def test_recorded_traffic_without_an_answer_costs_that_answer(tmp_path):
    good = json.dumps({"response": {"body": {"string": json.dumps(status(1))}}})
    odd = ["null", "{}", '{"response": null}', '{"response": {"body": "x"}}', '{"response": {"body": {"string": "{"}}}']
    cassette = "interactions:\n" + "".join(f"- {one}\n" for one in [*odd, good])
    report = taken(tmp_path, "mastodon", {"c.yaml": cassette})
    assert report.quarantined == {"malformed_json": len(odd)}
    assert "words 1" in {row["text"] for row in stored(tmp_path)}


# Cuts --------------------------------------------------------------------------------------------------------------

PLAIN = st.none() | st.booleans() | st.integers() | st.text(alphabet='ab{}[]":,\\é', max_size=4)
LISTS = st.lists(st.fixed_dictionaries({"text": PLAIN}), max_size=3)
DOCUMENTS = st.dictionaries(st.sampled_from(["a_v2", "b_v2", "messages", "n"]), PLAIN | LISTS, min_size=1, max_size=4)


def read(raw, way):
    context = Context("x", AT)
    if way == "documents":
        return list(jsonstream.documents(io.BytesIO(raw), context, "f", meta.ANY_ARRAY))
    return [found for _, found in jsonstream.arrays(io.BytesIO(raw), context, "f", _MESSAGES)]


def items(document, way):
    """Return the items of a document, each with the place behind it."""
    raw = json.dumps(document)
    lists = {k: v for k, v in document.items() if isinstance(v, list) and (way == "documents" or k == "messages")}
    begins = {name: raw.index(f'"{name}": [') + len(f'"{name}": ') for name in lists}
    return [
        (entry, begins[name] + len(json.dumps(value[: at + 1])) - 1)
        for name, value in lists.items()
        for at, entry in enumerate(value)
    ]


@pytest.mark.parametrize("way", ["documents", "arrays"])
@settings(max_examples=EXAMPLES * 4, deadline=None)
@given(document=DOCUMENTS, data=st.data())
def test_wherever_a_document_is_cut_that_is_counted_and_what_was_before_is_kept(way, document, data):
    raw = json.dumps(document).encode()
    cut = data.draw(st.integers(0, len(raw) - 1))
    *kept, fault = read(raw[:cut], way)
    assert isinstance(fault, Unreadable)
    assert fault.reason in ("truncated", "malformed_json", "not_utf8")
    assert kept == [entry for entry, end in items(document, way) if end <= cut]


@settings(max_examples=EXAMPLES * 4, deadline=None)
@given(document=DOCUMENTS)
def test_of_a_long_document_every_list_is_read(document):
    raw = json.dumps(document).encode()
    has_lists = bool(meta.ANY_ARRAY.search(raw.decode()))
    buffer = jsonstream._Buffer("", jsonstream._Prefixed(b"", io.BytesIO(raw)))
    found = [item for _, item in jsonstream._items(buffer, Context("x", AT), "f", meta.ANY_ARRAY, "")]
    assert [one for one in found if not isinstance(one, Unreadable)] == [one for one, _ in items(document, "documents")]
    assert any(isinstance(one, Unreadable) for one in found) is not has_lists


def test_lists_after_an_empty_one_are_read_and_their_cut_is_counted(tmp_path):
    one = {"timestamp": SECOND, "data": [{"comment": {"timestamp": SECOND, "comment": "words"}}]}
    whole = json.dumps({"a_v2": [], "b_v2": [one] * 3})
    kept = read(whole[:-30].encode(), "documents")
    assert kept[:-1] == [one] * 2
    assert kept[-1].reason == "truncated"


def test_a_chat_of_which_only_the_head_is_left_is_counted(tmp_path):
    chats = [
        {"name": "c", "type": "public_channel", "id": number, "messages": [
            {"id": 1, "type": "message", "date_unixtime": str(SECOND), "from_id": f"channel{number}", "text": "x"}]}
        for number in (7, 8)
    ]  # fmt: skip
    whole = json.dumps({"chats": {"list": chats}})
    report = taken(tmp_path, "telegram", {"result.json": whole[: whole.index('"id": 8')]})
    assert (report.items, report.quarantined) == (1, {"truncated": 1})


@pytest.mark.parametrize("end", ["}", "]", ", ", "x", '"', "\ud800"])
def test_what_follows_the_lists_and_is_no_json_is_counted(end):
    raw = ('{"a_v2": [{"x": 1}]}' + end).encode("utf-8", "surrogatepass")
    found = read(raw, "documents")
    assert [one.reason for one in found if isinstance(one, Unreadable)] in (["malformed_json"], ["not_utf8"])


# The index ---------------------------------------------------------------------------------------------------------


def ids(*numbers):
    return ids_of([hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in numbers])


def part(folder, numbers):
    """Write a part as an import does."""
    names = [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in numbers]
    name = f"{names[0]}-{len(names)}.parquet"
    write_table(folder / "items" / name, pa.table({"version_id": names}))
    return name


def runs(folder):
    """Return the size of every file of the index; one that was written again is another one."""
    told = [(path, path.stat()) for path in (folder / "index").iterdir() if path.suffix != ".json"]
    return {(path, found.st_ino, found.st_mtime_ns): found.st_size for path, found in told}


def test_what_a_segment_costs_does_not_depend_on_the_store(tmp_path):
    base, segments, each = 20_000, 100, 10
    index = VersionIndex(tmp_path / "items", tmp_path / "index" / "items")
    index.add(part(tmp_path, range(base)), ids(*range(base)))
    index.compact()
    before, written = runs(tmp_path), 0
    for start in range(base, base + segments * each, each):
        index = VersionIndex(tmp_path / "items", tmp_path / "index" / "items")
        numbers = range(start, start + each)
        index.add(part(tmp_path, numbers), ids(*numbers))
        index.compact()
        now = runs(tmp_path)
        written += sum(size for file, size in now.items() if file not in before)
        before = now
        sizes = sorted(now.values(), reverse=True)
        assert all(longer >= 1.5 * shorter for longer, shorter in pairwise(sizes))
    assert written < 16 * base, "the segments together cost less than writing the store again once"
    assert written < 16 * segments * each * 16
    assert len(index) == base + segments * each


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    parts=st.lists(st.integers(1, 40), min_size=1, max_size=12),
    together=st.integers(1, 4),
    lost=st.sets(st.integers(0, 30)),
)
def test_the_index_says_the_same_however_it_was_merged_and_whatever_of_it_is_lost(
    tmp_path_factory, parts, together, lost
):
    folder, start, kept = tmp_path_factory.mktemp("store"), 0, {}
    for number, count in enumerate(parts):
        index = VersionIndex(folder / "items", folder / "index" / "items")
        index.add(part(folder, range(start, start + count)), ids(*range(start, start + count)))
        start += count
        if number % together == 0:  # else the process died between part and index
            index.compact()
            kept |= {path: path.read_bytes() for path in (folder / "index").iterdir()}
    for at, (path, raw) in enumerate(sorted(kept.items())):
        if at in lost:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(raw)  # and between two runs and their merging
    index = VersionIndex(folder / "items", folder / "index" / "items")
    assert len(index) == start
    assert not index.novel(ids(*range(start))).any()
    assert index.novel(ids(start, start, -1)).tolist() == [True, False, True]
    plain = np.sort(ids(*range(start)).astype(">u8").view("S16").reshape(-1))
    assert index.digest() == hashlib.sha256(b"".join(one.ljust(16, b"\0") for one in plain.tolist())).hexdigest()
    index.compact()
    assert VersionIndex(folder / "items", folder / "index" / "items").digest() == index.digest()


def test_an_index_of_one_file_as_it_was_before_is_read_on(tmp_path):
    name = part(tmp_path, range(5))
    (tmp_path / "index").mkdir()
    held = ids(*range(5))
    np.save(tmp_path / "index" / "items.npy", held[np.lexsort((held[:, 1], held[:, 0]))])
    (tmp_path / "index" / "items.json").write_text(json.dumps({"parts": [name], "rows": 5}))
    (tmp_path / "items" / name).write_bytes(b"is not read again")
    index = VersionIndex(tmp_path / "items", tmp_path / "index" / "items")
    assert not index.novel(ids(*range(5))).any()
    index.add("other.parquet", ids(5, 6, 7))
    index.compact()
    assert not (tmp_path / "index" / "items.npy").exists()
    assert len(index) == 8


# Anything ----------------------------------------------------------------------------------------------------------

JUNK = [
    *(None, True, -1, 7, 2**70, 0.5, "", "x", "\ud800", "http://[x", FIRST, "2020-01-01", "Person", "Tombstone"),
    *([], {}, [[]], [None, 3, "x"], {"a": [1]}, {"id": "http://[x"}, {"type": "Note"}, {"href": 7}),
]
ANYTHING = {
    "activitystreams": [
        collection(note(1, attachment=[{"type": "Image", "url": "a.png"}], inReplyTo="x:1", updated=FIRST)),
        {"type": "Create", "actor": {"type": "Person", "id": "x:1", "summary": "b"}, "object": note(1, tag=[{}])},
        {"type": "Delete", "actor": "x:1", "object": {"type": "Tombstone", "id": "x:2", "formerType": "Person"}},
        {"type": "Question", "id": "x:1", "oneOf": [{"name": "a"}], "contentMap": {"en": "b"}, "quoteUrl": "x:3"},
    ],
    "mastodon": [
        [status(1, media_attachments=[{"type": "image"}], mentions=[{"acct": "b"}], reblog=status(2), edited_at=FIRST)],
        [status(1, poll={"options": [{"title": "x"}]}, quote={"quoted_status": status(2)}, in_reply_to_id="3")],
        [{"acct": "ann", "uri": "x:1", "note": "b"}, {"last_status": status(1), "accounts": [{"acct": "b"}]}],
    ],
    "discourse": [
        {"post_stream": {"posts": [{"id": 1, "post_number": 1, "cooked": "x"}]}, "archetype": "regular", "title": "t"},
        {"user": {"id": 1, "username": "ann", "name": "Ann", "bio_cooked": "b"}},
    ],
}  # fmt: skip


def places_in(value, here=()):
    yield here
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places_in(one, (*here, key))


@pytest.mark.parametrize("source", ANYTHING)
@settings(max_examples=EXAMPLES * 2, deadline=None)
@given(data=st.data())
def test_whatever_a_record_holds_no_reader_stops_at_it(tmp_path_factory, source, data):
    document = json.loads(json.dumps(data.draw(st.sampled_from(ANYTHING[source]))))
    for _ in range(data.draw(st.integers(1, 2))):
        *above, last = ("root", *data.draw(st.sampled_from(list(places_in(document)))))
        holder = root = {"root": document}
        for key in above:
            holder = holder[key]
        holder[last] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
        document = root["root"]
    report = taken(tmp_path_factory.mktemp("in"), source, {"o.json": json.dumps(document)})
    assert "source_failed" not in report.quarantined

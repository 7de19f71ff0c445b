"""Whatever a file holds: nothing is fatal, nothing is guessed, nothing is lost, and the next run goes on."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.clock import parse
from demur.errors import InputError
from demur.intake import REASONS, ItemRow, PersonRow, archive, country_of, intake, snapshot, sources, state_digest
from demur.intake.mapping import parse_mapping
from demur.intake.source import Input
from demur.intake.text import plain_text, repaired
from demur.terms.content import NARROWNESS

AT = parse("2026-01-01")
EXAMPLES = 500 if os.environ.get("DEMUR_NIGHTLY") == "1" else 25


def take(folder, source, *paths, at=AT, mapping=None):
    return intake(
        source,
        list(paths),
        store_folder=folder / "source",
        quarantine_folder=folder / "quarantine",
        imported_at=at,
        mapping=mapping,
    )


def stored(folder, table="items"):
    return [row for part in (folder / "source" / table).glob("*.parquet") for row in pq.read_table(part).to_pylist()]


def comments(folder, count, *, end="</comments>\n", head='<?xml version="1.0" encoding="utf-8"?>\n'):
    folder.mkdir(exist_ok=True, parents=True)
    rows = "".join(
        f'  <row Id="{n}" PostId="{n % 7}" UserId="{n % 5}" CreationDate="2020-01-01T00:00:00.000"'
        f' Text="word {n} &amp; &lt;b&gt;" />\n'
        for n in range(count)
    )
    path = folder / "Comments.xml"
    path.write_text(f"{head}<comments>\n{rows}{end}", "utf-8")
    return path


def test_everything_before_a_cut_is_kept(tmp_path):
    path = comments(tmp_path / "site", 10)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b'Id="8"') + 30])
    report = take(tmp_path, "stackexchange", path)
    assert report.items == 8
    assert report.quarantined == {"truncated": 1}
    path.write_bytes(whole)
    assert take(tmp_path, "stackexchange", path).items == 2


@pytest.mark.parametrize("head", ["", '<?xml version="1.0"?>', '<?xml version="1.0" encoding="utf-8"?>\n\n'])
def test_xml_of_another_layout_is_read_by_lxml(tmp_path, head):
    path = comments(tmp_path / "site", 5, head=head)
    first = take(tmp_path / "a", "stackexchange", path)
    path.write_text(path.read_text("utf-8").replace("\n", " "), "utf-8")
    second = take(tmp_path / "b", "stackexchange", path)
    assert first.items == second.items == 5
    assert state_digest(tmp_path / "a" / "source") == state_digest(tmp_path / "b" / "source")


def test_xml_in_another_encoding_is_read_as_it_says(tmp_path):
    folder = tmp_path / "site"
    path = comments(folder, 3, head='<?xml version="1.0" encoding="ISO-8859-1"?>\n')
    path.write_bytes(path.read_text("utf-8").replace("word", "été").encode("latin-1"))
    assert take(tmp_path, "stackexchange", path).items == 3
    assert all(row["text"].startswith("été") for row in stored(tmp_path))


def test_half_characters_cost_their_row_only(tmp_path):
    path = comments(tmp_path / "site", 5)
    path.write_bytes(path.read_bytes().replace(b"word 2", b"w\xe9rd 2"))
    report = take(tmp_path, "stackexchange", path)
    assert (report.items, report.quarantined) == (4, {"not_utf8": 1})


def test_entities_are_never_expanded(tmp_path):
    path = comments(
        tmp_path / "site", 2, head='<?xml version="1.0"?>\n<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>\n'
    )
    report = take(tmp_path, "stackexchange", path)
    assert (report.items, report.quarantined) == (0, {"unsafe_xml": 1})
    path.write_text(comments(tmp_path / "site", 2).read_text("utf-8").replace("word 1", "&undefined; 1"), "utf-8")
    report = take(tmp_path, "stackexchange", path)
    assert (report.items, report.quarantined) == (1, {"malformed_xml": 1})


@pytest.mark.parametrize("packing", ["gzip", "zip"])
def test_a_bomb_stops_at_the_limit(tmp_path, packing, monkeypatch):
    monkeypatch.setattr(archive, "GRACE_BYTES", 2**20)
    line = json.dumps({"kind": "identity", "did": "did:x", "identity": {}}).encode() + b"\n"
    path = tmp_path / "events.jsonl.gz"
    if packing == "gzip":
        path.write_bytes(gzip.compress(line * 400_000))
        report = take(tmp_path, "bluesky", path)
    else:
        path = tmp_path / "site.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("Comments.xml", "<comments>\n" + " " * 40_000_000)
        report = take(tmp_path, "stackexchange", path)
    assert report.quarantined == {"bomb": 1}


def zipped(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in members.items():
            packed.writestr(name, content)
    return path


@pytest.mark.parametrize("source", ["activitystreams", "mastodon", "facebook"])
@pytest.mark.parametrize("wrong", ["it is cut", "its members grow together beyond the limits"])
def test_a_zip_that_cannot_be_opened_costs_itself_only(tmp_path, source, wrong, monkeypatch):
    monkeypatch.setattr(archive, "GRACE_BYTES", 2**20)
    path = zipped(tmp_path / "in" / "a.zip", {f"posts/{number}.json": "[" + " " * 900_000 for number in range(20)})
    if wrong == "it is cut":
        path.write_bytes(path.read_bytes()[:60])
    plain = {"type": "Note", "id": "https://a.example/1", "content": "x", "timestamp": 1_700_000_000, "data": []}
    (tmp_path / "in" / "posts").mkdir()
    (tmp_path / "in" / "posts" / "your_posts_1.json").write_text(json.dumps(plain | {"title": "x", "uri": "a.jpg"}))
    report = take(tmp_path, source, tmp_path / "in")
    assert report.items > 0
    assert report.quarantined == {"unreadable_file": 1}
    assert take(tmp_path, source, tmp_path / "in").files == [], "damage is no fault of the source: it is read once"


@pytest.mark.parametrize("source", ["decidim", "stackexchange"])
def test_a_damaged_zip_of_a_dump_is_named(tmp_path, source):
    path = zipped(tmp_path / "a.zip", {"Posts.xml": "<posts/>"})
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError, match=r"a\.zip damaged"):
        take(tmp_path, source, path)


def test_a_dump_in_a_zip_is_read_like_the_folder(tmp_path):
    path = comments(tmp_path / "site", 20)
    with zipfile.ZipFile(tmp_path / "site.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.write(path, "deep/Comments.xml")
    take(tmp_path / "a", "stackexchange", tmp_path / "site")
    take(tmp_path / "b", "stackexchange", tmp_path / "site.zip")
    assert state_digest(tmp_path / "a" / "source") == state_digest(tmp_path / "b" / "source")


class Given:
    """A source that yields what a test gives it."""

    name = "given"

    def __init__(self, rows, fail_at=None):
        self.rows, self.fail_at = rows, fail_at

    def inputs(self, paths):
        return [Input((path,)) for path in paths]

    def read(self, given, context):
        for number, row in enumerate(self.rows):
            if number == self.fail_at:
                raise RuntimeError("a plugin's own fault")
            context.at(given.path.name, number)
            yield row


def item(name="given:1", **columns):
    return ItemRow(item_id=name, kind="post", audience="public", **columns)


def bring(folder, rows, *, at=AT, name="input", fail_at=None):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(os.urandom(16))
    return take(folder, Given(rows, fail_at), path, at=at)


FAULTS = {
    "unknown_kind": ItemRow(item_id="x", kind="telegram", audience="public"),
    "unknown_audience": ItemRow(item_id="x", kind="post", audience="everyone"),
    "missing_id": ItemRow(item_id=" ", kind="post", audience="public"),
    "date_out_of_range": item(created_at=AT + timedelta(days=2)),
    "not_a_date": item(created_at="2020-01-01"),
    "text_too_long": item(text="x" * (2**20 + 1)),
    "not_utf8": item(text="\ud800"),
    "control_character": item(text="a\0b"),
    "wrong_type": item(mentions="not a list"),
    "unknown_value": item(signal="maybe"),
}


@pytest.mark.parametrize("reason", sorted(FAULTS))
def test_a_row_that_breaks_the_contract_is_quarantined_with_its_reason(tmp_path, reason):
    report = bring(tmp_path, [ItemRow(FAULTS[reason]), item("given:fine")])
    assert report.quarantined == {reason: 1}
    assert [row["item_id"] for row in stored(tmp_path)] == ["given:fine"]
    (fault,) = [r for part in (tmp_path / "quarantine").glob("*.parquet") for r in pq.read_table(part).to_pylist()]
    assert fault["reason"] == reason
    assert fault["position"] == "0"
    assert len(fault["digest"]) == 64


def test_years_before_1990_are_no_dates_of_posts(tmp_path):
    assert bring(tmp_path, [item(created_at=parse("1989-12-31"))]).quarantined == {"date_out_of_range": 1}
    assert bring(tmp_path, [item("given:2", created_at=AT + timedelta(hours=23))]).quarantined == {}


def test_an_item_that_names_no_audience_is_unknown_never_public(tmp_path):
    bring(tmp_path, [ItemRow(item_id="given:1", kind="post")])
    assert [row["audience"] for row in stored(tmp_path)] == ["unknown"]


def test_a_plugin_that_fails_costs_its_own_unit_and_is_read_again(tmp_path):
    rows = [item(f"given:{n}") for n in range(5)]
    path = tmp_path / "input"
    path.write_text("x")
    report = take(tmp_path, Given(rows, 3), path)
    assert (report.items, report.quarantined) == (3, {"source_failed": 1})
    report = take(tmp_path, Given(rows), path)
    assert (report.items, report.items_seen, report.unchanged) == (2, 3, [])


def test_duplicate_ids_are_versions_and_the_narrowest_audience_counts(tmp_path):
    at = parse("2020-01-01")
    rows = [item(version_at=at, text="a"), item(version_at=at, text="b"), item(version_at=at, text="a")]
    rows.append(ItemRow(item_id="given:1", kind="post", audience="followers", version_at=at, text="c"))
    report = bring(tmp_path, rows)
    assert (report.items, report.items_seen) == (3, 1)
    (row,) = current(tmp_path)
    assert row["audience"] == "followers"


def test_replies_in_a_circle_are_taken_in_as_they_are(tmp_path):
    rows = [item("given:a", parent_id="given:b"), item("given:b", parent_id="given:a")]
    assert bring(tmp_path, rows).items == 2
    assert len(current(tmp_path)) == 2


def current(folder, *, as_of=None, known_at=AT + timedelta(days=365), table="items", name="snapshot"):
    import importlib

    module = importlib.import_module("demur.intake.snapshot")
    facts = {"as_of": None if as_of is None else as_of.isoformat(), "known_at": known_at.isoformat()}
    out = folder / f"{name}-{time.monotonic_ns()}"
    out.mkdir(parents=True)
    module.stage(out, source_folder=str(folder / "source"), state="", code="", **facts)
    return [row for part in sorted((out / table).glob("*.parquet")) for row in pq.read_table(part).to_pylist()]


def version(at, audience="public", state="live", text=None, name="given:1"):
    return ItemRow(item_id=name, kind="post", audience=audience, state=state, version_at=at, text=text)


DAYS = [parse(f"2020-01-0{n}") for n in range(1, 8)]


def test_the_words_are_those_of_then_and_what_was_taken_back_since_is_gone(tmp_path):
    bring(tmp_path, [version(DAYS[0], text="old"), version(DAYS[4], "followers", text="new")])
    (row,) = current(tmp_path, as_of=DAYS[2])
    assert (row["text"], row["audience"]) == ("old", "followers")
    (row,) = current(tmp_path)
    assert row["text"] == "new"
    assert current(tmp_path, as_of=parse("2019-01-01")) == []
    bring(tmp_path, [version(DAYS[5], state="deleted")], at=AT + timedelta(days=9), name="later")
    (row,) = current(tmp_path, as_of=DAYS[2])
    assert row["state"] == "deleted"
    (row,) = current(tmp_path, as_of=DAYS[2], known_at=AT + timedelta(days=8))
    assert row["state"] == "live"


VERSIONS = st.lists(
    st.tuples(
        st.sampled_from(DAYS) | st.none(),
        st.sampled_from(sorted(NARROWNESS)),
        st.sampled_from(["live", "deleted"]),
        st.sampled_from(["given:1", "given:2", "given:3"]),
        st.sampled_from("abc"),
    ),
    max_size=12,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(versions=VERSIONS, as_of=st.sampled_from(DAYS), seed=st.randoms(use_true_random=False))
def test_any_order_and_repetition_give_one_state_and_later_versions_only_narrow(
    tmp_path_factory, versions, as_of, seed
):
    rows = [version(at, audience, state, text, name) for at, audience, state, name, text in versions]
    mixed = [*rows, *rows[: len(rows) // 2]]
    seed.shuffle(mixed)
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    bring(one, [ItemRow(row) for row in rows])
    for number, row in enumerate(mixed):
        bring(other, [ItemRow(row)], name=str(number)) if number < 3 else None
    bring(other, [ItemRow(row) for row in mixed])
    assert state_digest(one / "source") == state_digest(other / "source")
    found = current(one, as_of=as_of)
    assert found == current(other, as_of=as_of)
    for row in found:
        mine = [v for v in rows if v["item_id"] == row["item_id"]]
        later = [v for v in mine if v["version_at"] is None or v["version_at"] > as_of]
        assert row["state"] == "deleted" or not any(v["state"] == "deleted" for v in later)
        assert NARROWNESS[row["audience"]] >= max((NARROWNESS[v["audience"]] for v in later), default=0)
        known = [v for v in mine if v["version_at"] is not None and v["version_at"] <= as_of]
        if known:
            newest = max(v["version_at"] for v in known)
            assert row["text"] in {v["text"] for v in known if v["version_at"] == newest}
    dated = [v for v in rows if v["version_at"] is None or v["version_at"] <= as_of]
    assert {row["item_id"] for row in found} == {v["item_id"] for v in dated}


def test_partial_records_about_an_account_are_read_together(tmp_path):
    records = [
        PersonRow(account_id="given:p", version_at=DAYS[0], handle="@old", place="Lyon, France", country="FR"),
        PersonRow(account_id="given:p", version_at=DAYS[1], handle="@new"),
        PersonRow(account_id="given:p", version_at=DAYS[2], status="suspended"),
        PersonRow(account_id="given:p", version_at=DAYS[3], place="World"),
    ]
    bring(tmp_path, records)
    (row,) = current(tmp_path, table="people")
    assert (row["handle"], row["former_handles"], row["status"]) == ("@new", ["@old"], "suspended")
    assert (row["place"], row["country"]) == ("World", None), "a new place does away with the country of the old one"


def test_a_snapshot_in_a_process_of_its_own_is_cached_until_something_changes(tmp_path):
    bring(tmp_path, [version(DAYS[0])])
    first = snapshot(tmp_path / "source", tmp_path / "out", known_at=AT)
    assert snapshot(tmp_path / "source", tmp_path / "out", known_at=AT) == first
    bring(tmp_path, [version(DAYS[1], name="given:2")], name="more")
    second = snapshot(tmp_path / "source", tmp_path / "out", known_at=AT)
    assert second["digest"] != first["digest"]
    assert second["items"]["rows"] == 2


_CHILD = """
import signal, sys
from pathlib import Path
import demur.intake.write as write
from demur.clock import parse
write.BATCH_ROWS = 200
folder = Path(sys.argv[1])
write_table = write.write_table

def counted(path, table):
    write_table(path, table)
    if path.parent.name == "items" and len(list(path.parent.iterdir())) == 3:
        signal.setitimer(signal.ITIMER_PROF, 0.02)  # SIGPROF ends it after so much work, on any machine

write.write_table = counted
write.intake("stackexchange", [folder / "site"], store_folder=folder / "source",
             quarantine_folder=folder / "quarantine", imported_at=parse("2026-01-01"))
"""


def test_a_kill_in_the_middle_loses_nothing(tmp_path):
    comments(tmp_path / "site", 30_000)
    child = subprocess.run([sys.executable, "-c", _CHILD, str(tmp_path)], check=False)
    assert child.returncode == -signal.SIGPROF
    assert not list((tmp_path / "source").glob("inputs/*.json"))
    before = len(stored(tmp_path))
    assert 0 < before < 30_000
    report = take(tmp_path, "stackexchange", tmp_path / "site")
    assert report.items == 30_000 - before
    assert report.items_seen == before
    take(tmp_path / "clean", "stackexchange", tmp_path / "site")
    assert state_digest(tmp_path / "source") == state_digest(tmp_path / "clean" / "source")


def test_a_truncated_outbox_keeps_what_was_before(tmp_path):
    public = "https://www.w3.org/ns/activitystreams#Public"
    notes = [
        {
            "type": "Create",
            "actor": "https://a.example/u",
            "object": {"type": "Note", "id": f"https://a.example/{n}", "to": [public], "content": f"<p>note {n}</p>"},
        }
        for n in range(6)
    ]
    whole = json.dumps({"type": "OrderedCollection", "orderedItems": notes})
    path = tmp_path / "outbox.json"
    path.write_text(whole[: whole.index("note 4")])
    report = take(tmp_path, "mastodon", path)
    assert (report.items, report.quarantined) == (4, {"truncated": 1})
    assert Counter(row["audience"] for row in stored(tmp_path)) == {"public": 4}


MAPPING = """
service = "x"
colour = 1
[[tables]]
files = "*.csv"
rows = "items"
[tables.columns]
item_id = { from = "id" }
kind = { value = "telegram" }
audience = { from = "seen", map = { all = "public" }, default = "public" }
created_at = { from = "when" }
nonsense = { from = "x" }
"""


def test_all_faults_of_a_mapping_come_at_once_with_their_lines():
    with pytest.raises(InputError) as caught:
        parse_mapping(MAPPING, "m.toml")
    lines = [fault.partition(":")[0] for fault in caught.value.faults]
    assert lines == ["line 3", "line 9", "line 10", "line 11", "line 12"]


def test_values_that_a_mapping_does_not_name_are_quarantined(tmp_path):
    good = MAPPING.replace("colour = 1\n", "").replace("telegram", "post").replace(', default = "public"', "")
    good = good.replace('"when" }', '"when", date = "unix_s" }').replace("nonsense", "text")
    mapping = {**parse_mapping(good, "m"), "repair_mojibake": True}
    path = tmp_path / "t.csv"
    path.write_text("id,seen,when,x\n1,all,1500000000,PatÃ©\n2,some,1500000000,b\n3,all,never,c\n4,all\n", "utf-8")
    report = take(tmp_path, "table", path, mapping=mapping)
    assert report.quarantined == {"unmapped_value": 1, "not_a_date": 1, "malformed_table": 1}
    assert [(row["item_id"], row["text"]) for row in stored(tmp_path)] == [("x:1", "Paté")]


@settings(max_examples=EXAMPLES * 4, deadline=None)
@given(text=st.text(max_size=60))
def test_mojibake_is_repaired_exactly_and_nothing_is_made_up(text):
    wrong = text.encode("utf-8", "ignore").decode("latin-1")
    meant = text.encode("utf-8", "ignore").decode("utf-8")
    assert repaired(wrong) == meant
    assert isinstance(plain_text(text), str)


PLACES = {
    "Paris, France": "FR", "Deutschland": "DE", "USA": "US", "Texas, USA": "US", "Lyon, Frankreich": "FR",
    "Paris": None, "World": None, "Californie": None, "Georgia": None, "https://example.org": None, "🇫🇷": None,
    "London, France": None, "Berlin, USA, Germany": None, "Antarctica": None, "": None, "on the server farm": None,
    "Springfield": None, "Jordan": None, "Between Paris and London": None,
}  # fmt: skip


@pytest.mark.parametrize(("place", "country"), PLACES.items())
def test_a_place_is_a_country_only_when_certain(place, country):
    assert country_of(place)[0] == country


def test_built_in_sources_register_like_a_strangers():
    assert {"stackexchange", "activitystreams", "mastodon", "bluesky", "table"} <= set(sources())


def test_missing_paths_and_unknown_sources_are_the_callers_fault(tmp_path):
    with pytest.raises(InputError):
        take(tmp_path, "stackexchange", tmp_path / "nothing")
    with pytest.raises(InputError):
        take(tmp_path, "telepathy", tmp_path)


def test_every_reason_is_documented():
    text = (Path(__file__).resolve().parents[2] / "docs" / "intake.md").read_text("utf-8")
    assert [reason for reason in REASONS if f"`{reason}`" not in text] == []

"""The quick ways give exactly the rows that the plain ways give, and both give the rows that they always gave."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.clock import parse
from demur.intake import ItemBatch, ItemRow, intake, state_digest
from demur.intake import xmlblocks as blocks
from demur.intake.check import ITEM_RULES
from demur.intake.columns import version_ids, whole_table
from demur.intake.markup import written_text
from demur.intake.source import Input
from demur.intake.text import plain_text

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
AT = parse("2026-11-22")
EXAMPLES = 400 if os.environ.get("DEMUR_NIGHTLY") == "1" else 25

GOLDEN = {
    "se_meta_french": "759a3b4b4454dd8eaabf6048b75b9b707f7a574525035861eadf08324eb45806",
    "se_meta_conlang": "1bbf746f713de4baf8f3bf6c1382d9e497426f71148da0a554317550db9fee7a",
}
"""Digest of all versions that a published dump holds; another one means that stored rows have changed."""


def take(folder, source, path):
    return intake(
        source,
        [path],
        store_folder=folder / "source",
        quarantine_folder=folder / "quarantine",
        imported_at=AT,
    )


def stored(folder):
    return {
        name: sorted(
            repr(sorted(row.items())) for part in place.glob("*.parquet") for row in pq.read_table(part).to_pylist()
        )
        for name, place in (("items", folder / "source" / "items"), ("faults", folder / "quarantine"))
    }


@pytest.mark.skipif(not DATA.exists(), reason="the sample data is not beside the repository")
@pytest.mark.parametrize("site", sorted(GOLDEN))
def test_a_published_dump_gives_the_rows_that_it_always_gave(tmp_path, site):
    take(tmp_path, "stackexchange", DATA / site)
    assert state_digest(tmp_path / "source") == GOLDEN[site]


PIECES = st.sampled_from(
    [
        *("<p>", "</p>", "<br>", "<br />", "<li>", "</li>", "<ul>", "<blockquote>", "</blockquote>", "<BLOCKQUOTE>"),
        *(
            "<blockquote class='x'>",
            "<a href='b&amp;c'>",
            "</a>",
            "<script>",
            "</script>",
            "<!-- c -->",
            "<",
            ">",
            "</",
        ),
        *(
            "<pre class='a<b'>",
            "<x",
            "<code>",
            "</code>",
            "\r\n",
            "\n",
            "\r",
            "\n\n",
            " ",
            "\t",
            "word",
            "é",
            "\u2028",
            "😀",
        ),
        *(
            "&lt;",
            "&gt;",
            "&amp;",
            "&amp;lt;",
            "&nbsp;",
            "&#13;",
            "&",
            "&quot;",
            "&am",
            "p;",
            '"',
            "h1>",
            "<h1>",
            "</h1>",
        ),
    ]
)
MARKUP = st.lists(PIECES, max_size=24).map("".join)


def escaped(text):
    """Write a value as dumps write it."""
    for plain, entity in (
        ("&", "amp"),
        ("<", "lt"),
        (">", "gt"),
        ('"', "quot"),
        ("\n", "#xA"),
        ("\r", "#xD"),
        ("\t", "#x9"),
    ):
        text = text.replace(plain, f"&{entity};")
    return text


@settings(max_examples=EXAMPLES * 20, deadline=None)
@given(markup=MARKUP)
def test_markup_as_it_is_written_gives_the_text_of_what_it_means(markup):
    raw = escaped(markup).encode()
    assert blocks.resolved(raw).decode() == markup
    assert written_text(raw) == plain_text(markup)


NUMBERS = st.sampled_from([*"123456789", "1", "2", "3", "-1", "", "x", "1" * 1100])
DATES = st.sampled_from(
    [
        *(f"2020-01-0{n % 5 + 1}T00:00:0{n % 3}.{n % 2 * 5}00" for n in range(12)),
        *(
            "2020-02-30T00:00:00.000",
            "2020-01-01",
            "1985-01-01T00:00:00.000",
            "2020-01-01T00:00:00.000Z",
            "2099-01-01T00:00:00.000",
        ),
        *("2020-01-01 00:00:00.000", "2020-01-01T24:00:00.000", "٢٠٢٠-01-01T00:00:00.000", "2020-01-01T00:00:00.12"),
    ]
)
ENTITIES = st.sampled_from(["", "", "", "", "&#65;", "&apos;", "&undefined;", "& ", "&quotx", "&#0;"])


def rows_of(columns, odd):
    """Return lines whose attributes are mostly ordinary: the first value of a strategy is what it shrinks to."""
    values = st.fixed_dictionaries({}, optional=columns) if odd else st.fixed_dictionaries(columns)
    row = st.tuples(values, ENTITIES if odd else st.just(""))
    return row.map(
        lambda found: "  <row " + " ".join(f'{k}="{escaped(v)}{found[1]}"' for k, v in found[0].items()) + " />\n"
    )


def dump(columns):
    plain = {name: NUMBERS.filter(str.isdigit) if s is NUMBERS else s for name, s in columns.items()}
    plain = {name: st.just("2020-01-01T00:00:00.000") if s is DATES else s for name, s in plain.items()}
    runs = st.lists(
        st.lists(rows_of(plain, odd=False), max_size=6) | st.lists(rows_of(columns, odd=True), max_size=2), max_size=4
    )
    return runs.map(lambda found: "".join(line for run in found for line in run))


KINDS = {
    "post": st.sampled_from("12128"),
    "event": st.sampled_from(["1", "2", "4", "5", "5", "8", "12", "13", "3", "24"]),
}
COMMENTS = dump({"Id": NUMBERS, "PostId": NUMBERS, "Text": MARKUP, "CreationDate": DATES, "UserId": NUMBERS})
POSTS = dump(
    {
        "Id": NUMBERS,
        "PostTypeId": KINDS["post"],
        "CreationDate": DATES,
        "Body": MARKUP,
        "OwnerUserId": NUMBERS,
        "Title": MARKUP,
    }
    | {"LastEditorUserId": NUMBERS, "LastEditDate": DATES, "ParentId": NUMBERS}
)
HISTORY = dump(
    {
        "Id": NUMBERS,
        "PostHistoryTypeId": KINDS["event"],
        "PostId": NUMBERS,
        "CreationDate": DATES,
        "UserId": NUMBERS,
        "Text": MARKUP,
    }
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(comments=COMMENTS, posts=POSTS, history=HISTORY, with_history=st.booleans())
def test_blocks_of_any_size_give_what_single_lines_give(tmp_path_factory, comments, posts, history, with_history):
    top = tmp_path_factory.mktemp("dump")
    files = {"Comments": comments, "Posts": posts} | ({"PostHistory": history} if with_history else {})
    (top / "site").mkdir()
    for name, lines in files.items():
        text = f'\ufeff<?xml version="1.0" encoding="utf-8"?>\n<{name.lower()}>\n{lines}</{name.lower()}>\n'
        (top / "site" / f"{name}.xml").write_text(text, "utf-8", newline="")
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for size in (1, 700, 1 << 19):
            patch.setattr(blocks, "BLOCK_BYTES", size)
            report = take(top / str(size), "stackexchange", top / "site").as_json()
            found.append((report, stored(top / str(size))))
        patch.setattr(blocks.Layouts, "next", lambda *_: None)
        report = take(top / "lines", "stackexchange", top / "site").as_json()
    for quick in found:
        assert quick == (report, stored(top / "lines"))


INSTANTS = st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2026, 1, 1)).map(  # noqa: DTZ001
    lambda found: found.replace(microsecond=found.microsecond if found.second % 2 else 0, tzinfo=UTC)
)
BATCH = st.lists(
    st.fixed_dictionaries(
        {
            "item_id": st.text('ab:1 é"\\\n', min_size=1, max_size=5),
            "audience": st.sampled_from(["public", "unknown", "followers"]),
            "account_id": st.none() | st.text(max_size=3),
            "created_at": INSTANTS,
            "kind": st.sampled_from(["post", "reply"]),
            "text": st.none() | st.text(max_size=5),
            "co_account_ids": st.none() | st.lists(st.text("ab", max_size=2), max_size=2),
            "addressed_to_ai": st.none() | st.booleans(),
        }
    ),
    min_size=1,
    max_size=6,
)


def batch_of(rows):
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    naive = [None if value is None else value.replace(tzinfo=None) for value in columns["created_at"]]
    columns["created_at"] = np.array(naive, dtype="datetime64[us]")
    return ItemBatch(columns | {"service": "x"}, [("file", str(at)) for at in range(len(rows))])


@settings(max_examples=EXAMPLES * 4, deadline=None)
@given(rows=BATCH)
def test_a_version_has_one_id_whichever_way_it_came(rows):
    batch = batch_of(rows)
    expected = [ITEM_RULES.version_id(row | {"service": "x"}) for row in rows]
    ids = version_ids(batch.columns, len(rows)).hex()
    assert [ids[32 * at : 32 * at + 32] for at in range(len(rows))] == expected
    assert [dict(row) for row in batch.rows()] == [row | {"service": "x"} for row in rows]
    table = whole_table(ITEM_RULES, batch.columns | {"state": "live", "source": "x"}, len(rows), AT)
    faults = [ITEM_RULES.fault(row | {"service": "x", "state": "live"}, AT) for row in rows]
    assert (table is None) == any(faults)


class Both:
    """A source that yields the same rows one by one or together."""

    name = "both"

    def __init__(self, rows):
        self.rows = rows

    def inputs(self, paths):
        return [Input((path,)) for path in paths]

    def read(self, given, context):
        for at, row in enumerate(self.rows if isinstance(self.rows, list) else [self.rows]):
            context.at("file", at)
            yield row


FAULTY = [
    {"text": "a\0b"}, {"text": "x" * (2**20 + 1)}, {"text": "\ud800"}, {"text": 5}, {"audience": "all"}, {},
    {"kind": "telegram"}, {"created_at": parse("1980-01-01")}, {"created_at": parse("2030-01-01")}, {"item_id": " "},
    {"item_id": "y" * 1025}, {"co_account_ids": ["a\0"]}, {"co_account_ids": "a"}, {"co_account_ids": [1]},
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTY, ids=range(len(FAULTY)))
def test_a_fault_in_a_batch_costs_its_row_only(tmp_path, fault):
    plain = {
        "item_id": "x:1",
        "kind": "post",
        "audience": "public",
        "text": "a",
        "co_account_ids": None,
        "created_at": None,
    }
    rows = [plain, plain | {"item_id": "x:2"} | fault, plain | {"item_id": "x:3"}]
    (tmp_path / "file").write_text("1")
    one = take(tmp_path / "one", Both([ItemRow(row | {"service": "x"}) for row in rows]), tmp_path / "file")
    other = take(tmp_path / "other", Both(batch_of(rows)), tmp_path / "file")
    assert one.as_json() == other.as_json()
    assert stored(tmp_path / "one") == stored(tmp_path / "other")
    assert sum(one.quarantined.values()) == bool(fault)

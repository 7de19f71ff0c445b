"""Slices of media records: bytes are a function of the records; others' readers read them; damage is seen."""

from __future__ import annotations

import random
from dataclasses import replace

import media_makers as make
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.errors import BrokenError
from demur.media import MediaRecord, read_media_slice, write_media_slice


def jpeg(seed):
    import io

    out = io.BytesIO()
    make.pattern(48, 32, seed).save(out, "JPEG")
    return out.getvalue()


def records(count, form="picture"):
    return [
        MediaRecord(
            f"r{place:03d}-x", form, jpeg(place), text=f"caption {place}", language="de", region="de-AT", frames=1
        )
        for place in range(count)
    ]


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.builds(
            MediaRecord,
            record_id=st.text("abcXYZ019-_", min_size=1, max_size=40),
            form=st.just("picture"),
            media=st.binary(max_size=600),
            text=st.text(max_size=40),
            transcript=st.text(max_size=10),
            thumbnail=st.binary(min_size=1, max_size=99),
            thumbnail_edge=st.just(64),
        ),
        unique_by=lambda row: row.record_id,
        max_size=8,
    ),
    seed=st.integers(0, 9),
    small=st.booleans(),
)
def test_what_is_written_is_read_and_order_does_not_matter(tmp_path_factory, rows, seed, small):
    folder = tmp_path_factory.mktemp("slices")
    rows = rows if small else [replace(row, thumbnail=b"", thumbnail_edge=0) for row in rows]
    facts = write_media_slice(folder / "a.tar", rows)
    shuffled = random.Random(seed).sample(rows, len(rows))
    assert write_media_slice(folder / "b.tar", shuffled) == facts
    assert list(read_media_slice(folder / "a.tar")) == sorted(rows, key=lambda row: row.record_id)


def test_leaving_one_out_is_writing_the_file_without_it(tmp_path):
    rows = records(5)
    write_media_slice(tmp_path / "all.tar", rows)
    less = [row for row in read_media_slice(tmp_path / "all.tar") if row.record_id != "r003-x"]
    facts = write_media_slice(tmp_path / "all.tar", less)
    assert facts == write_media_slice(tmp_path / "fresh.tar", rows[:3] + rows[4:])
    assert rows[3].media not in (tmp_path / "all.tar").read_bytes()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_media_may_lie_in_files(tmp_path):
    (tmp_path / "one.jpg").write_bytes(jpeg(0))
    rows = records(1)
    by_path = MediaRecord(
        **{name: getattr(rows[0], name) for name in rows[0].__slots__} | {"media": tmp_path / "one.jpg"}
    )
    assert write_media_slice(tmp_path / "a.tar", [by_path]) == write_media_slice(tmp_path / "b.tar", rows)


@pytest.mark.parametrize(
    "rows",
    [
        records(1) * 2,
        [*records(1), MediaRecord("other", "voice", b"")],
        [MediaRecord("../etc", "picture", b"")],
        [MediaRecord("a", "smell", b"")],
        [MediaRecord("a", "picture", b"", thumbnail_edge=256)],
        [*records(1), MediaRecord("b", "picture", b"", thumbnail=b"x", thumbnail_edge=9)],
    ],
)
def test_what_no_reader_could_read_is_not_written(tmp_path, rows):
    with pytest.raises(BrokenError):
        write_media_slice(tmp_path / "a.tar", rows)
    assert list(tmp_path.iterdir()) == []


def test_damage_is_seen(tmp_path):
    write_media_slice(tmp_path / "a.tar", records(2))
    whole = (tmp_path / "a.tar").read_bytes()
    for broken in (
        whole[:700],
        b"x" * 2048,
        whole.replace(b"caption 0", b'caption"0'),
        whole.replace(b".json", b".jsom"),
        whole.replace(b'"thumbnail_edge":0', b'"thumbnail_edge":9'),
    ):
        (tmp_path / "a.tar").write_bytes(broken)
        with pytest.raises(BrokenError):
            list(read_media_slice(tmp_path / "a.tar"))


def with_thumbnails(rows):
    return [replace(row, thumbnail=jpeg(99), thumbnail_edge=48) for row in rows]


def test_slices_of_before_there_were_thumbnails_are_read(tmp_path):
    write_media_slice(tmp_path / "a.tar", records(1))
    whole = (tmp_path / "a.tar").read_bytes()
    assert b'"thumbnail_edge":0,' in whole
    older = whole.replace(b'"thumbnail_edge":0,', b" " * 19)
    (tmp_path / "a.tar").write_bytes(older)
    assert list(read_media_slice(tmp_path / "a.tar")) == records(1)


@pytest.mark.parametrize("dressed", [list, with_thumbnails])
def test_webdataset_reads_it(tmp_path, dressed):
    webdataset = pytest.importorskip("webdataset")
    rows = dressed(records(7))
    write_media_slice(tmp_path / "a.tar", rows)
    read = list(webdataset.WebDataset(str(tmp_path / "a.tar"), shardshuffle=False).decode("pil"))
    assert [one["__key__"] for one in read] == [row.record_id for row in rows]
    assert [one["json"]["text"] for one in read] == [row.text for row in rows]
    assert read[0]["jpg"].size == (48, 32)
    assert ("thumb.jpg" in read[0]) == (dressed is with_thumbnails)


@pytest.mark.parametrize("dressed", [list, with_thumbnails])
def test_datasets_reads_it(tmp_path, monkeypatch, dressed):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    rows = dressed(records(7))
    write_media_slice(tmp_path / "a.tar", rows)
    read = datasets.load_dataset(
        "webdataset",
        data_files=str(tmp_path / "a.tar"),
        split="train",
        streaming=True,
        cache_dir=str(tmp_path / "cache"),
    )
    found = list(read)
    assert [one["json"]["text"] for one in found] == [row.text for row in rows]
    assert found[0]["jpg"].size == (48, 32)
    assert ("thumb.jpg" in found[0]) == (dressed is with_thumbnails)

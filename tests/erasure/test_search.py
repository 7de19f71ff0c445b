"""A text is found in every file, whatever packs it; what cannot be unpacked is never called clean."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from demur.erasure import find_sentinel, look_for
from demur.errors import BrokenError, InputError

WORD = "Ärger mit Zoë/7"


def zstd(raw: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(raw)
    return sink.getvalue().to_pybytes()


def zipped(raw: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.txt", raw)
    return stream.getvalue()


def tarred(raw: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo("inside")
        member.size = len(raw)
        archive.addfile(member, io.BytesIO(raw))
    return stream.getvalue()


def text(word: str) -> bytes:
    """Long enough that compressors do not store it as it is."""
    filler = " ".join(f"{number * 7919 % 1000} of many others" for number in range(300))
    return f"{filler} before {word} after {filler}".encode()


def table(word: str, shape: str) -> pa.Table:
    filler = [f"row {number} of many others, to be packed" for number in range(2000)]
    words = [*filler[:1050], f"x{word}x", *filler[1050:]]
    arrays = {
        "plain": lambda: pa.array(words),
        "large": lambda: pa.array(words, pa.large_string()),
        "dictionary": lambda: pa.array(words).dictionary_encode(),
        "list": lambda: pa.array([[one, None] for one in words]),
        "struct": lambda: pa.array([{"a": {"b": one}} for one in words]),
        "map": lambda: pa.array([[("key", one)] for one in words], pa.map_(pa.string(), pa.string())),
        "binary": lambda: pa.array([one.encode() for one in words]),
    }
    return pa.table({"n": list(range(len(words))), "column": arrays[shape]()})


def parquet(word: str, shape: str = "plain", **options: object) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table(word, shape), sink, compression="zstd", write_statistics=False, **options)
    return sink.getvalue().to_pybytes()


def arrow(word: str) -> bytes:
    sink = io.BytesIO()
    feather.write_feather(table(word, "plain"), sink, compression="zstd")
    return sink.getvalue()


def tagged(word: str) -> bytes:
    sink = pa.BufferOutputStream()
    one = pa.table({"n": [1]}).replace_schema_metadata({"note": f"made for {word}"})
    pq.write_table(one, sink, compression="zstd")
    return sink.getvalue().to_pybytes()


def database(word: str) -> bytes:
    base = sqlite3.connect(":memory:")
    base.execute('CREATE TABLE "odd "" name" (a TEXT, b BLOB)')
    base.execute('INSERT INTO "odd "" name" VALUES (?, ?)', ("x", zstd(text(word))))
    base.commit()
    return base.serialize()


PACKINGS: dict[str, Callable[[str], bytes]] = {
    "raw": text,
    "utf-16": lambda word: word.encode("utf-16-le"),
    "json": lambda word: json.dumps({"a": word}).encode(),
    "json with slashes": lambda word: json.dumps({"a": word}).replace("/", "\\/").encode(),
    "gzip": lambda word: gzip.compress(text(word)),
    "bzip2": lambda word: bz2.compress(text(word)),
    "xz": lambda word: lzma.compress(text(word)),
    "zstd": lambda word: zstd(text(word)),
    "zip": lambda word: zipped(text(word)),
    "tar": lambda word: tarred(text(word)),
    "tar.gz of json.zst": lambda word: gzip.compress(tarred(zstd(json.dumps(word).encode()))),
    "parquet": parquet,
    "parquet without dictionary": lambda word: parquet(word, use_dictionary=False, row_group_size=100),
    "parquet metadata": tagged,
    **{f"parquet {shape}": (lambda word, shape=shape: parquet(word, shape)) for shape in
       ("large", "dictionary", "list", "struct", "map", "binary")},
    "arrow": arrow,
    "sqlite": database,
}  # fmt: skip


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_text_is_found_inside(tmp_path, packing):
    held, clean = tmp_path / "held.bin", tmp_path / "clean.bin"
    if packing not in ("raw", "tar", "json", "json with slashes", "parquet metadata"):
        assert WORD.encode() not in PACKINGS[packing](WORD), (
            "the packing hides nothing, so that this test shows nothing"
        )
    held.write_bytes(PACKINGS[packing](WORD))
    clean.write_bytes(PACKINGS[packing]("somebody else"))
    assert find_sentinel(tmp_path, [WORD]) == [held]
    assert find_sentinel(held, ["nothing", WORD]) == [held]
    assert find_sentinel(clean, [WORD]) == []


@pytest.mark.parametrize("packing", ["gzip", "zstd", "zip", "parquet", "arrow"])
def test_what_cannot_be_unpacked_is_never_called_clean(tmp_path, packing):
    raw = PACKINGS[packing](WORD)
    damaged = tmp_path / "damaged.bin"
    damaged.write_bytes(raw[: len(raw) - len(raw) // 3])
    result = look_for(tmp_path, [WORD])
    assert damaged in (*result.unread, *result.found)
    with pytest.raises(BrokenError) if result.unread else pytest.MonkeyPatch.context():
        find_sentinel(tmp_path, [WORD])


def test_a_bomb_is_not_unpacked_for_ever(tmp_path):
    raw = text(WORD)
    for _ in range(8):
        raw = gzip.compress(raw)
    (tmp_path / "bomb").write_bytes(raw)
    assert look_for(tmp_path, [WORD]).unread == (tmp_path / "bomb",)


def test_short_or_no_texts_are_refused(tmp_path):
    for wrong in ([], ["abc"], ["good one", ""]):
        with pytest.raises(InputError):
            find_sentinel(tmp_path, wrong)


def test_links_are_not_followed(tmp_path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "file"
    outside.write_bytes(text(WORD))
    (tmp_path / "link").symlink_to(outside)
    assert find_sentinel(tmp_path, [WORD]) == []
    assert isinstance(tmp_path, Path)

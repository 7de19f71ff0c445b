"""Work files in buckets: nothing is lost however many there are, and no process runs out of files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from demur.corpus import spill as module
from demur.corpus.spill import Spill, read_bucket, read_everywhere, streamed

SCHEMA: Any = pa.schema([("number", pa.int64()), ("bands", pa.list_(pa.uint64(), 2)), ("text", pa.string())])
ROWS, BUCKETS = 500, 37


def rows(begin: int, end: int) -> Any:
    numbers = np.arange(begin, end)
    bands = pa.FixedSizeListArray.from_arrays(pa.array(np.repeat(numbers, 2).astype(np.uint64)), 2)
    return pa.table([pa.array(numbers), bands, pa.array([f"text {one}" for one in numbers])], schema=SCHEMA)


def put(folder: Path, begin: int = 0, end: int = ROWS) -> None:
    with Spill(folder, SCHEMA, BUCKETS) as files:
        for at in range(begin, end, 50):
            some = rows(at, min(at + 50, end))
            files.add(some, some["number"].to_numpy() % BUCKETS)
            assert len(files._open) <= module.MOST_OPEN


@pytest.mark.parametrize("most", [1, 5, 128])
@pytest.mark.parametrize("flush", [1, 1 << 26])
def test_rows_come_back_by_bucket_and_in_order(
    tmp_path: Path, most: int, flush: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_OPEN", most)
    monkeypatch.setattr(module, "FLUSH_BYTES", flush)
    put(tmp_path)
    for bucket, found in streamed(tmp_path, SCHEMA, BUCKETS):
        assert found["number"].to_pylist() == list(range(bucket, ROWS, BUCKETS))
        assert found.equals(rows(0, ROWS).take(found["number"]).combine_chunks())


@pytest.mark.parametrize("names", [["text"], ["text", "number"], ["bands"]])
def test_only_the_columns_of_the_schema_are_read_in_its_order(tmp_path: Path, names: list[str]) -> None:
    put(tmp_path)
    asked = pa.schema([SCHEMA.field(name) for name in names])
    found = read_bucket(tmp_path, asked, 3)
    assert found.schema == asked
    assert found.equals(read_bucket(tmp_path, SCHEMA, 3).select(names))
    assert read_bucket(tmp_path, asked, BUCKETS + 1).schema == asked


def test_what_several_stages_wrote_is_read_together(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    put(folders[0], 0, 200)
    put(folders[2], 200, ROWS)
    found = read_everywhere(folders, SCHEMA, 7)
    assert found["number"].to_pylist() == list(range(7, ROWS, BUCKETS))


def test_a_bucket_more_than_files_may_be_open(tmp_path: Path) -> None:
    """As many buckets as a corpus of hundreds of millions has."""
    many = 4 * 1024
    with Spill(tmp_path, pa.schema([SCHEMA.field("number")]), many) as files:
        for _ in range(2):
            files.add(pa.table({"number": np.arange(many)}), np.arange(many))
            files._flush()
            assert len(files._open) <= module.MOST_OPEN
    assert read_bucket(tmp_path, pa.schema([SCHEMA.field("number")]), many - 1)["number"].to_pylist() == [many - 1] * 2

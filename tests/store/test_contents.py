"""The digest of records is that of their fields one by one, however they are made into bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.store import write_table
from demur.store.contents import EMPTY, content_digest, ids_of
from demur.terms.tables import RECORDS

_PLAIN = pa.schema([pa.field(field.name, field.type) for field in RECORDS])
_VALUES = st.none() | st.text(st.sampled_from("aß𝄞 "), max_size=5)


def plainly(rows: list[dict[str, str | None]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        for name in RECORDS.names:
            value = row[name]
            size = b"\xff" * 8 if value is None else len(value.encode()).to_bytes(8, "big")
            digest.update(size + (value or "").encode())
    return digest.hexdigest()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.fixed_dictionaries(dict.fromkeys(RECORDS.names, _VALUES)), max_size=12), st.integers(0, 12))
def test_records_are_digested_field_by_field(rows: list[dict[str, str | None]], begin: int) -> None:
    table = pa.Table.from_pylist(rows, schema=_PLAIN).slice(begin)
    assert content_digest(table) == plainly(rows[begin:])


def test_columns_of_many_values_are_digested_alike() -> None:
    names = RECORDS.names
    rows = [{name: f"{number * place % 97}" for place, name in enumerate(names)} for number in range(3_000)]
    assert content_digest(pa.Table.from_pylist(rows, schema=_PLAIN)) == plainly(rows)


@pytest.mark.parametrize("size", [0, 3])
def test_ids_are_those_of_records_with_that_digest_alone(tmp_path: Path, size: int) -> None:
    rows = [dict.fromkeys(RECORDS.names, f"{number}") for number in range(size)]
    write_table(tmp_path / "slice.parquet", pa.Table.from_pylist(rows, schema=_PLAIN))
    found = ids_of(tmp_path / "slice.parquet", plainly(rows))
    assert found.to_pylist() == [row["record_id"] for row in rows]
    assert ids_of(tmp_path / "slice.parquet", EMPTY if size else plainly([dict.fromkeys(RECORDS.names)])) is None
    (tmp_path / "slice.parquet").write_bytes(b"PAR1")
    assert ids_of(tmp_path / "slice.parquet", plainly(rows)) is None


@pytest.mark.parametrize("other", [pa.int64(), pa.binary(), pa.large_string()])
def test_columns_of_another_type_are_other_records(tmp_path: Path, other: pa.DataType) -> None:
    schema = _PLAIN.set(_PLAIN.get_field_index("language"), pa.field("language", other))
    write_table(tmp_path / "slice.parquet", schema.empty_table())
    assert ids_of(tmp_path / "slice.parquet", EMPTY) is None

"""What a slice of records says, whatever bytes its file has: the digest of a corpus is made of it.

So a file that was exchanged together with its digest in the manifest is found: its records say something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.store.files import digest_bytes
from demur.terms.tables import RECORDS

_ROWS = 65_536
_NULL = b"\xff" * 8
_LONG = ("record_id", "text")
"""Columns that come first, of which every value is another."""
_BINARY: Any = pa.large_binary()
_MANY = 1_000
EMPTY = digest_bytes(b"")
"""Of no records."""


def content_digest(records: Any) -> str:
    """Return the SHA-256 over records in order: every field as length and UTF-8 bytes, a null as an impossible length.

    Args:
        records: RECORDS.

    >>> content_digest(RECORDS.empty_table()) == EMPTY
    True
    """
    return _digest(records.combine_chunks().to_batches() if records.num_rows else ())


def _digest(batches: Iterable[Any]) -> str:
    digest = hashlib.sha256()
    for batch in batches:
        fields = [field for name in _LONG for field in _sized(batch.column(name))]
        fields.append(_ending([batch.column(name) for name in RECORDS.names if name not in _LONG]))
        joined = pc.binary_join_element_wise(*fields, pa.scalar(b"", _BINARY))
        ends = np.frombuffer(joined.buffers()[1], np.int64)[joined.offset : joined.offset + len(joined) + 1]
        digest.update(memoryview(joined.buffers()[2])[int(ends[0]) : int(ends[-1])])
    return digest.hexdigest()


def _sized(column: Any) -> list[Any]:
    """Return the lengths of a column's values, and the values."""
    lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False).astype(">u8")
    raw = pa.FixedSizeBinaryArray.from_buffers(pa.binary(8), len(lengths), [None, pa.py_buffer(lengths)])
    size, values = raw.cast(_BINARY), column.cast(_BINARY)
    if column.null_count:
        size = pc.if_else(column.is_valid(), size, pa.scalar(_NULL, _BINARY))
        values = pc.fill_null(values, b"")
    return [size, values]


def _ending(columns: list[Any]) -> Any:
    """Return lengths and values of columns with few values, joined: each combination of values is made once."""
    endings, which = [b""], np.zeros(len(columns[0]), np.int64)
    for column in columns:
        coded = column.dictionary_encode(null_encoding="encode")
        values = [_with_size(value) for value in coded.dictionary.to_pylist()]
        if len(values) > 1:
            which = which * len(values) + coded.indices.to_numpy()
        there = range(len(endings) * len(values))
        if len(there) > _MANY:  # few of them are there
            found, which = np.unique(which, return_inverse=True)
            there = found.tolist()
        endings = [endings[one // len(values)] + values[one % len(values)] for one in there]
    return pa.array(endings, _BINARY).take(pa.array(which))


def _with_size(value: str | None) -> bytes:
    return _NULL if value is None else len(value.encode()).to_bytes(8, "big") + value.encode()


def says(path: Path, content: str) -> bool:
    """Say whether a slice file holds the records of a content digest and nothing else; a damaged one does not."""
    return ids_of(path, content) is not None


def ids_of(path: Path, content: str) -> Any:
    """Return the ids of the records that a slice file says, an Arrow array, in the same reading; else ``None``."""
    ids = [pa.array([], pa.string())]
    try:
        with pq.ParquetFile(path) as file:
            named = sorted(file.schema_arrow.names) == sorted(RECORDS.names)
            same = named and all(file.schema_arrow.field(one.name).type == one.type for one in RECORDS)
            batches = _noted(file.iter_batches(_ROWS, use_threads=False), ids)
            return pa.concat_arrays(ids) if same and _digest(batches) == content else None
    except (ValueError, OSError):  # pyarrow's own errors, and bytes that are no UTF-8
        return None


def _noted(batches: Iterable[Any], ids: list[Any]) -> Iterator[Any]:
    for batch in batches:
        ids.append(batch.column("record_id"))
        yield batch

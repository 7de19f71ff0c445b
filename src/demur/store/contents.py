"""What a slice of records says, whatever bytes its file has: the digest of a corpus is made of it.

So a file that was exchanged together with its digest in the manifest is found: its records say something else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
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
        fields = []
        for name in RECORDS.names:
            column = batch.column(name)
            lengths = pc.fill_null(pc.binary_length(column), 0).to_numpy(zero_copy_only=False).astype(">u8")
            raw = pa.FixedSizeBinaryArray.from_buffers(pa.binary(8), len(lengths), [None, pa.py_buffer(lengths)])
            size = pc.if_else(column.is_valid(), raw.cast(pa.large_binary()), pa.scalar(_NULL, pa.large_binary()))
            fields += [size, pc.fill_null(column.cast(pa.large_binary()), b"")]
        joined = pc.binary_join_element_wise(*fields, pa.scalar(b"", pa.large_binary()))
        ends = np.frombuffer(joined.buffers()[1], np.int64)[joined.offset : joined.offset + len(joined) + 1]
        digest.update(memoryview(joined.buffers()[2])[int(ends[0]) : int(ends[-1])])
    return digest.hexdigest()


def says(path: Path, content: str) -> bool:
    """Say whether a slice file holds the records of a content digest and nothing else; a damaged one does not."""
    try:
        with pq.ParquetFile(path) as file:
            same = sorted(file.schema_arrow.names) == sorted(RECORDS.names)
            return same and _digest(file.iter_batches(_ROWS, use_threads=False)) == content
    except (pa.ArrowException, OSError):
        return False

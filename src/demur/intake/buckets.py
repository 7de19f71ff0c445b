"""Rows of a source spread over buckets by a hash of their id: whoever reads a bucket has all rows of its ids.

So memory is bounded by one bucket, and buckets can be read side by side. Does not know what a row means.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import parse
from demur.store import commit_record

BUCKET_BYTES = 16 * 2**20
"""Of Parquet before compression; in memory a bucket takes a few times as much, once as read and once as chosen."""
MAX_BUCKETS = 1024
BATCH_ROWS = 16_384

Keys = npt.NDArray[np.uint64]

_KEY = pa.field("\x1fkey", pa.uint64())
"""Column of the bucket files alone."""


def buckets_for(parts: Sequence[Path]) -> int:
    """Return into how many buckets some Parquet parts are spread: a power of two."""
    size = sum(_bytes(part) for part in parts)
    return 1 << (min(MAX_BUCKETS, max(1, -(-size // BUCKET_BYTES))) - 1).bit_length()


def _bytes(part: Path) -> int:
    found = pq.read_metadata(part)
    return sum(found.row_group(group).total_byte_size for group in range(found.num_row_groups))


def keys_of(ids: Any) -> Keys:
    """Return the first 8 bytes of BLAKE2b of each id: the order of a snapshot, which says nothing about anybody."""
    hashed = hashlib.blake2b
    raw = b"".join([hashed(name.encode(), digest_size=8).digest() for name in ids.to_pylist()])
    return np.frombuffer(raw, dtype=">u8").astype(np.uint64)


def known_by(table: Any, known_at: datetime) -> Any:
    """Return the rows of a table that were imported by an instant."""
    known = pc.less_equal(table["imported_at"], pa.scalar(known_at, table["imported_at"].type))
    return table if pc.all(known).as_py() else table.filter(known)


def spread(folder: Path, *, parts: list[str], identity: str, known_at: str, buckets: int) -> None:
    """Write the rows of some parts that were known by then to a file a bucket; a stage.

    Args:
        folder: gets ``00000`` …, Arrow streams, for buckets that have a row.
        parts: Parquet files of one schema.
        identity: column of the id.
        known_at: rows imported later do not exist.
        buckets: how many; a power of two. A bucket holds a range of keys.
    """
    shift = np.uint64(65 - buckets.bit_length())
    until = parse(known_at)
    with contextlib.ExitStack() as stack:
        writers: dict[int, Any] = {}
        for part in parts:
            for batch in pq.ParquetFile(part).iter_batches(batch_size=BATCH_ROWS):
                table = known_by(pa.Table.from_batches([batch]), until)
                keys = keys_of(table[identity])
                places = (keys >> shift).astype(np.int64) if buckets > 1 else np.zeros(len(keys), np.int64)
                order = np.argsort(places, kind="stable")
                table = table.append_column(_KEY, pa.array(keys)).take(pa.array(order))
                cuts = np.searchsorted(places[order], np.arange(buckets + 1)).tolist()
                for place in np.unique(places).tolist():
                    if place not in writers:
                        sink = stack.enter_context(pa.OSFile(str(folder / f"{place:05d}"), "wb"))
                        writers[place] = stack.enter_context(pa.ipc.new_stream(sink, table.schema))
                    writers[place].write_table(table.slice(cuts[place], cuts[place + 1] - cuts[place]))
    commit_record(folder, {"buckets": len(writers)})


def read_bucket(folders: Sequence[Path], bucket: int) -> tuple[Any, Keys] | None:
    """Return the rows of one bucket, in the order of the folders that parts were spread to, and their keys."""
    found = []
    for folder in folders:
        path = folder / f"{bucket:05d}"
        if path.exists():
            with pa.OSFile(str(path), "rb") as stream:
                found.append(pa.ipc.open_stream(stream).read_all())
    if not found:
        return None
    table = pa.concat_tables(found).combine_chunks()
    return table.drop_columns([_KEY.name]), table[_KEY.name].to_numpy()

"""Work files in buckets: rows go to the bucket of their item's id, so that memory depends on a bucket and not on all.

A bucket is a division of work only: no result depends on how many there are. Files are Arrow streams, one after
another; they live in the work folder and go with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

FLUSH_BYTES = 64 << 20
"""Rows that wait in memory before they are written, in bytes."""
MOST_OPEN = 128
"""Files of a spill that are open at a time: a stage has several spills, a process may often have 1,024 files."""
MOST = 1 << 16
"""Buckets at most; a power of two, as every number of buckets is."""


def buckets_for(rows: int, bucket_rows: int, *, most: int = MOST) -> int:
    """Return how many buckets hold about ``bucket_rows`` rows each: a power of two, so that buckets nest.

    >>> [buckets_for(rows, 100) for rows in (0, 100, 101, 1000)]
    [1, 1, 2, 16]
    """
    wanted = max(1, -(-rows // bucket_rows))
    return min(most, 1 << (wanted - 1).bit_length())


class Spill:
    """Rows of one schema by bucket, written in few large pieces.

    Args:
        folder: where the files go; made here. Rows are added to what is there.
        schema: of every row.
        buckets: how many; files of buckets without rows are not made.
    """

    def __init__(self, folder: Path, schema: Any, buckets: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._schema, self._buckets = folder, schema, buckets
        self._open: dict[int, tuple[Any, Any]] = {}
        self._waiting: list[tuple[Any, Any]] = []
        self._bytes = 0

    def __enter__(self) -> Spill:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Write what waits and close."""
        self.close()

    def add(self, table: Any, numbers: Any) -> None:
        """Take rows in.

        Args:
            table: rows with at least the schema's columns.
            numbers: the bucket of each.
        """
        if table.num_rows:
            self._waiting.append((table.select(self._schema.names).cast(self._schema), numbers))
            self._bytes += table.nbytes
        if self._bytes >= FLUSH_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what waits and close every file."""
        self._flush()
        self._shut()

    def _shut(self) -> None:
        for writer, stream in self._open.values():
            writer.close()
            stream.close()
        self._open.clear()

    def _flush(self) -> None:
        if self._waiting:
            table = pa.concat_tables([one for one, _ in self._waiting])
            numbers = np.concatenate([one for _, one in self._waiting])
            order = np.argsort(numbers, kind="stable")
            table, numbers = table.take(pa.array(order)), numbers[order]
            begins = np.searchsorted(numbers, np.arange(self._buckets + 1))
            for bucket in np.unique(numbers).tolist():
                begin, end = int(begins[bucket]), int(begins[bucket + 1])
                self._writer(bucket).write_table(table.slice(begin, end - begin))
        self._waiting.clear()
        self._bytes = 0

    def _writer(self, bucket: int) -> Any:
        if bucket not in self._open:
            if len(self._open) == MOST_OPEN:
                self._shut()
            stream = pa.OSFile(str(self._folder / f"{bucket:05d}.arrow"), "ab")
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._open[bucket] = (pa.ipc.new_stream(stream, self._schema, options=options), stream)
        return self._open[bucket][0]


def read_bucket(folder: Path, schema: Any, bucket: int) -> Any:
    """Return all rows of one bucket as a table of single chunks; of the columns in the file, those of the schema."""
    path = folder / f"{bucket:05d}.arrow"
    if not path.exists():
        return schema.empty_table()
    with pa.memory_map(str(path)) as stream:
        with pa.ipc.open_stream(stream) as reader:
            written = reader.schema.names
            found = [reader.read_all()] if written == schema.names else []
        if not found:
            stream.seek(0)
        options = pa.ipc.IpcReadOptions(included_fields=sorted(map(written.index, schema.names)))
        while stream.tell() < stream.size():
            with pa.ipc.open_stream(stream, options=options) as reader:
                found.append(reader.read_all())
        return pa.concat_tables(found).select(schema.names).combine_chunks()


def read_everywhere(folders: Iterable[Path], schema: Any, bucket: int) -> Any:
    """Return all rows of one bucket that stages wrote side by side, each in a folder of its own."""
    return together((read_bucket(folder, schema, bucket) for folder in folders), schema)


def write_bucket(folder: Path, bucket: int, table: Any, *, packed: bool = True) -> None:
    """Write one bucket whole.

    Args:
        folder: where to.
        bucket: its number.
        table: its rows.
        packed: compress it; not worth its time for numbers by chance and short texts.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = pa.ipc.IpcWriteOptions(compression="lz4" if packed else None)
    path = str(folder / f"{bucket:05d}.arrow")
    with pa.OSFile(path, "wb") as stream, pa.ipc.new_stream(stream, table.schema, options=options) as writer:
        writer.write_table(table)


def together(tables: Iterable[Any], schema: Any) -> Any:
    """Return tables as one of single chunks; no table is an empty one."""
    return pa.concat_tables([schema.empty_table(), *(table.cast(schema) for table in tables)]).combine_chunks()


def streamed(folder: Path, schema: Any, buckets: int) -> Iterator[tuple[int, Any]]:
    """Yield (bucket, rows) in order."""
    for bucket in range(buckets):
        yield bucket, read_bucket(folder, schema, bucket)

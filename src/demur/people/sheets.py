"""The files of an export while they are written: Parquet, with a digest of the rows. Knows no rule and no database."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from demur.terms import tables

BATCH = 20_000

FILES: dict[str, Any] = {
    "standing": tables.STANDING,
    "accounts": tables.ACCOUNTS,
    "residence": tables.RESIDENCE,
    "notices": tables.NOTICES,
    "campaigns": tables.CAMPAIGNS,
    "objections": tables.OBJECTIONS,
    "holds": tables.HOLDS,
    "suppressed": tables.SUPPRESSED,
    "suppressed_words": tables.SUPPRESSED_WORDS,
}


class Sheet:
    """One Parquet file being written: appears whole or not, and knows the digest of its rows.

    Args:
        path: of the file.
        kind: its schema.
        spoken: also write beside it what the digest is taken of, for whoever puts several such files together.
    """

    def __init__(self, path: Path, kind: Any, *, spoken: bool = False) -> None:
        self._path = path
        self._kind = kind
        self._spoken = _spoken(path) if spoken else None
        self._lines: IO[bytes] | None = None
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._writer: Any = None
        self._waiting: list[Sequence[Any]] = []
        self._digest = hashlib.sha256()
        self.rows = 0

    def __enter__(self) -> Sheet:
        """Open the part file."""
        self._writer = pq.ParquetWriter(self._part, self._kind, compression="zstd", write_statistics=False)
        self._lines = self._spoken.open("wb") if self._spoken else None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the file in its place, or remove the part when something failed."""
        if kind is None:
            self._flush()
        self._writer.close()
        if self._lines is not None:
            self._lines.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)

    def append(self, row: Sequence[Any]) -> None:
        """Add one row."""
        self._waiting.append(row)
        if len(self._waiting) >= BATCH:
            self._flush()

    def extend(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows in the order of the schema, instants as microseconds, dates as days."""
        self._waiting.extend(rows)
        if len(self._waiting) >= BATCH:
            self._flush()

    def take_over(self, path: Path) -> None:
        """Add the rows of a file that another sheet wrote, with what its digest was taken of."""
        self._flush()
        with _spoken(path).open("rb") as lines:
            while piece := lines.read(2**20):
                self._digest.update(piece)
        with pq.ParquetFile(path) as file:
            for found in file.iter_batches(BATCH):
                self._writer.write_batch(found)
                self.rows += len(found)

    def facts(self) -> dict[str, Any]:
        """Return number of rows and digest of the content."""
        return {"rows": self.rows, "digest": self._digest.hexdigest()}

    def _flush(self) -> None:
        if not self._waiting:
            return
        lines = b"".join([orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in self._waiting])
        self._digest.update(lines)
        if self._lines is not None:
            self._lines.write(lines)
        self.rows += len(self._waiting)
        self._writer.write_batch(batch(self._kind, self._waiting))
        self._waiting = []


def _spoken(path: Path) -> Path:
    return path.with_suffix(".lines")


def batch(kind: Any, rows: Sequence[Sequence[Any]]) -> Any:
    """Return rows as an Arrow record batch of a schema."""
    columns = list(zip(*rows, strict=True)) or [()] * len(kind)
    arrays = [_array(values, field.type) for values, field in zip(columns, kind, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=kind)


def _array(values: Sequence[Any], kind: Any) -> Any:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_date(kind):
        return pa.array(values, pa.int32()).cast(kind)
    return pa.array(values, kind)


PERSONAL = ("standing", "accounts", "residence", "notices", "objections")
"""Files with rows of people, by ``person_id``."""


def sheet(folder: Path, name: str, *, spoken: bool = False) -> Sheet:
    """Return the file of a name in a folder."""
    return Sheet(folder / f"{name}.parquet", FILES[name], spoken=spoken)


class Sheets(ExitStack):
    """The files with rows of people, being written."""

    def __init__(self, folder: Path, *, spoken: bool = False) -> None:
        super().__init__()
        self._sheets = {name: self.enter_context(sheet(folder, name, spoken=spoken)) for name in PERSONAL}

    def add(self, rows: Any) -> None:
        """Add one person's rows (``standing.Rows``)."""
        self._sheets["standing"].append(rows.standing)
        for name in PERSONAL[1:]:
            self._sheets[name].extend(getattr(rows, name))

    def take_over(self, folder: Path) -> None:
        """Add all rows that others wrote to a folder."""
        for name, mine in self._sheets.items():
            mine.take_over(folder / f"{name}.parquet")

    def facts(self) -> dict[str, Any]:
        """Return number of rows and digest of each file, once they are closed."""
        return {name: mine.facts() for name, mine in self._sheets.items()}

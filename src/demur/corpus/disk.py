"""Read parts of tables and write under a full disk, with one wording of each fault (STYLE 3.10)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from demur.errors import BrokenError
from demur.store import no_room

CORPUS = "corpus"
"""Folder inside a stage's, or a build's, that holds what will be of the corpus."""


@contextlib.contextmanager
def writing(what: str) -> Iterator[None]:
    """Translate a full disk into an error that says what to do; what a stage writes is seen to where stages run.

    Raises:
        OutsideError: the disk is full, or a quota or the largest size of a file is reached.
    """
    try:
        yield
    except OSError as error:
        if (full := no_room(error, what)) is not None:
            raise full from error
        raise


def parquet_files(folder: Path, meaning: str) -> list[Path]:
    """Return the parts of a table, sorted by name.

    Raises:
        BrokenError: there are none.
    """
    found = sorted(folder.rglob("*.parquet"))
    if not found:
        raise BrokenError(
            f"expected Parquet parts of {meaning} in {folder.name}/, found none; run the step before again"
        )
    return found


def batches(files: Sequence[Path], columns: list[str]) -> Iterator[Any]:
    """Yield tables of at most 65,536 rows over the parts.

    Raises:
        BrokenError: a part is damaged, cut short or lacks a column.
    """
    for file in files:
        try:
            with pq.ParquetFile(file) as part:
                for batch in part.iter_batches(columns=columns, batch_size=65_536):
                    yield pa.Table.from_batches([batch])
        except MemoryError:  # Arrow's is an ArrowException too; the file is whole
            raise
        except (pa.ArrowException, OSError, KeyError) as error:
            raise BrokenError(
                f"expected a whole Parquet file in {file.name}, found a damaged one; restore it or import again"
            ) from error

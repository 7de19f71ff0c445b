"""Whole-or-nothing files and their digests (STYLE 3.8). Knows nothing of what they hold."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from demur.errors import BrokenError, OutsideError

COMMIT = "COMMIT.json"
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FULL_WORDS = ("No space left", "File too large", "disk is full", "Disk quota exceeded")
"""How libraries say it that raise errors of their own."""


def digest_bytes(content: bytes) -> str:
    """Return SHA-256 as 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical(value: Any) -> bytes:
    """Return the one JSON form of a value: sorted keys, no blanks, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)


def digest_json(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of a value."""
    return digest_bytes(canonical(value))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file that is there whole or not at all, durably.

    Raises:
        OutsideError: the disk is full or refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON with sorted keys, whole or not at all."""
    write_bytes(
        path, orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    )


def read_json(path: Path) -> Any:
    """Read a JSON file of ours.

    Raises:
        BrokenError: the file is missing, cut short or no JSON.
    """
    try:
        return orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BrokenError(
            f"expected the file {path.name} in {path.parent}, found none; run the step before again"
        ) from error
    except orjson.JSONDecodeError as error:
        raise BrokenError(f"expected JSON in {path}, found a damaged file; restore it or run the step again") from error


def write_table(path: Path, table: Any, *, compression: str = "zstd", dictionary: bool | list[str] = True) -> None:
    """Write one Parquet file whole or not at all; equal tables give equal bytes under one pyarrow version.

    Args:
        path: the file.
        table: an Arrow table.
        compression: codec of the pages.
        dictionary: columns with few values that repeat; ``True`` = try every column, which costs time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        pq.write_table(
            table, part, compression=compression, write_statistics=False, store_schema=True, use_dictionary=dictionary
        )
        part.replace(path)
    except (OSError, pa.ArrowException) as error:
        part.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def commit_record(folder: Path, facts: dict[str, Any]) -> None:
    """Write a stage's commit record, last: the stage is done when this file is there (EVIDENCE §5a)."""
    write_json(folder / COMMIT, facts)


def read_commit(folder: Path) -> dict[str, Any] | None:
    """Return a stage's commit record, or ``None`` when the stage did not finish."""
    path = folder / COMMIT
    if not path.exists():
        return None
    facts: dict[str, Any] = read_json(path)
    return facts


def remove_tree(folder: Path) -> None:
    """Remove a folder and all in it; a missing folder is fine."""
    shutil.rmtree(folder, ignore_errors=False) if folder.exists() else None


def no_room(error: Exception, what: str) -> OutsideError | None:
    """Return what to say of an error if it means that a disk is full, or a quota or a file's largest size reached.

    Args:
        error: of the system or of a library.
        what: was being written.
    """
    full = isinstance(error, OSError) and error.errno in _FULL
    if not full and not any(words in str(error) for words in _FULL_WORDS):
        return None
    return OutsideError(
        f"the disk is full while writing {what}; free space and run the same command again, nothing is lost"
    )


def cannot_write(path: Path, error: Exception) -> OutsideError:
    """Return what to say when a file could not be written."""
    if (full := no_room(error, path.name)) is not None:
        return full
    return OutsideError(f"cannot write {path}: {type(error).__name__}; check the disk and run the same command again")

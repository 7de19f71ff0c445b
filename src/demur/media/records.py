"""Slices of media records: one WebDataset tar beside each text slice (docs/adr/0013). Does not know persons or items.

A record is two members, ``<record id>.jpg`` (or ``.flac``) and ``<record id>.json``; a thumbnail is the third,
``<record id>.thumb.jpg``. The bytes of a slice are a function of its records alone: ordered by record id; no times,
owners or modes. Leaving a record out is writing one file again.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from demur.errors import BrokenError
from demur.store import cannot_write, digest_file

_RECORD_ID = re.compile(r"[A-Za-z0-9_-]{1,90}")
_ENDINGS = {"picture": "jpg", "film": "jpg", "voice": "flac"}
_THUMBNAIL = "thumb.jpg"
_TELLS = ("form", "frames", "language", "picture_text", "region", "text", "thumbnail_edge", "transcript")


@dataclass(frozen=True, slots=True)
class MediaRecord:
    """One training example of a picture, a film's strip or a voice with its text. Empty = there is none."""

    record_id: str
    """Opaque; letters, digits, ``-`` and ``_``."""
    form: str
    """``picture``, ``film`` or ``voice``; one form a slice."""
    media: bytes | Path
    """The clean file, or where it lies."""
    text: str = ""
    """What the author wrote with it, redacted."""
    transcript: str = ""
    picture_text: str = ""
    """What stands in the picture, redacted."""
    language: str = ""
    region: str = ""
    frames: int = 1
    """A film's strip is so many frames of equal height, one below the other."""
    thumbnail: bytes | Path = b""
    """A small JPEG made from the clean pixels, or where it lies; empty = there is none. All of a slice, or none."""
    thumbnail_edge: int = 0
    """Its longer edge at most."""


def write_media_slice(path: Path, rows: Iterable[MediaRecord]) -> dict[str, Any]:
    """Write a slice whole or not at all.

    Returns:
        ``records``, ``bytes`` and ``sha256``; the digest is the same for the same records in any order.

    Raises:
        BrokenError: two records share an id, forms are mixed, or an id is not opaque.
        OutsideError: the disk is full or refuses.
    """
    records = sorted(rows, key=lambda row: row.record_id)
    _check(records)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as stream:
            with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
                for record in records:
                    for ending, content in _members(record):
                        member = tarfile.TarInfo(f"{record.record_id}.{ending}")
                        member.size = len(content)
                        archive.addfile(member, io.BytesIO(content))
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    return {"records": len(records), "bytes": path.stat().st_size, "sha256": digest_file(path)}


def read_media_slice(path: Path) -> Iterator[MediaRecord]:
    """Yield the records of a slice in their order, one in memory at a time.

    Raises:
        BrokenError: it is no slice of ours.
    """
    try:
        with tarfile.open(path, "r:") as archive:
            for name, members in groupby(archive, lambda member: member.name.partition(".")[0]):
                held = {member.name.partition(".")[2]: _content(archive, member) for member in members}
                facts = {"thumbnail_edge": 0} | orjson.loads(held.pop("json", b"{}"))  # those of 2026 had none
                small = held.pop(_THUMBNAIL, b"")
                if set(facts) != set(_TELLS) or set(held) != {_ENDINGS.get(facts["form"])}:
                    raise BrokenError(f"expected media and their facts in {path.name}, found others; restore it")
                if bool(small) != (facts["thumbnail_edge"] > 0):
                    raise BrokenError(
                        f"expected thumbnails as the records in {path.name} say, found others; restore it"
                    )
                yield MediaRecord(record_id=name, media=held.popitem()[1], thumbnail=small, **facts)
    except (tarfile.TarError, orjson.JSONDecodeError) as error:
        raise BrokenError(
            f"expected a slice of media records in {path.name}, found a damaged file; restore it"
        ) from error


def _members(record: MediaRecord) -> Iterator[tuple[str, bytes]]:
    yield _ENDINGS[record.form], _bytes(record.media)
    yield "json", orjson.dumps({name: getattr(record, name) for name in _TELLS})
    if record.thumbnail:
        yield _THUMBNAIL, _bytes(record.thumbnail)


def _bytes(content: bytes | Path) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    assert stream is not None
    return stream.read()


def _check(records: list[MediaRecord]) -> None:
    ids = [record.record_id for record in records]
    if len(set(ids)) < len(ids):
        raise BrokenError("expected every record of a media slice once, found one twice")
    if not all(_RECORD_ID.fullmatch(name) for name in ids):
        raise BrokenError("expected opaque record ids of letters and digits, found others")
    if any(bool(record.thumbnail) != (record.thumbnail_edge > 0) for record in records):
        raise BrokenError("expected a thumbnail where a media record says that it has one, found others")
    if len({(record.form, record.thumbnail_edge) for record in records}) > 1 or any(
        record.form not in _ENDINGS for record in records
    ):
        raise BrokenError("expected one known form a media slice, found others: readers take all records for alike")

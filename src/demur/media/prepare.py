"""The room's stage: files of items in, clean files and one row an item out (COR-07, SEC-07).

Results are kept in ``cache`` by the digest of the bytes under the name of the recipe and its tools: the same file is
worked on once, a build that was stopped goes on where it was, and a changed recipe or tool never meets old results.
One file is in memory at a time.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from demur.errors import InputError
from demur.media.darkroom import Darkroom, Developed
from demur.media.keypoints import read
from demur.media.recipe import Left, MediaRecipe
from demur.media.sniff import kind_of
from demur.store import commit_record, digest_bytes, read_json, write_bytes, write_json

BATCH_ROWS = 1_024

MEDIA: Any = pa.schema(
    [
        ("item_id", pa.string()),
        ("kind", pa.string()),
        ("status", pa.string()),
        ("reason", pa.string()),
        ("form", pa.string()),
        ("media_digest", pa.string()),
        ("clean_path", pa.string()),
        ("clean_digest", pa.string()),
        ("clean_type", pa.string()),
        ("thumbnail_path", pa.string()),
        ("thumbnail_digest", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("frames", pa.int32()),
        ("hash", pa.string()),
        ("hash_mirrored", pa.string()),
        ("hash_quality", pa.int32()),
        ("hash_inside", pa.string()),
        ("keypoints", pa.string()),
        ("faces", pa.int32()),
        ("plates", pa.int32()),
        ("hidden_lines", pa.int32()),
        ("ocr_text", pa.string()),
        ("transcript", pa.string()),
        ("credentials", pa.string()),
        ("flags", pa.list_(pa.string())),
    ]
)
"""Row of ``media.parquet``. ``status``: ``clean`` or ``left_out``; ``form``: ``picture``, ``film``, ``voice``;
the paths are relative to the cache; ``clean_path`` is null where only a transcript goes on."""

_ASKED = ("item_id", "kind", "media_path", "media_type")
_TYPES = {"picture": ("jpg", "image/jpeg"), "film": ("jpg", "image/jpeg"), "voice": ("flac", "audio/flac")}
_OURS = (Left.NO_TOOL, Left.NO_MEMORY)
"""Reasons that are this machine's, not the file's: asked again by the next build."""
_NUMBERS = ("width", "height", "frames", "hash_quality", "faces", "plates", "hidden_lines")
_HASHES = ("hash", "hash_mirrored", "hash_inside")
_HASH = re.compile("[0-9a-f]{64}")


def prepare_media(
    folder: Path,
    *,
    rows: str,
    root: str,
    recipe: dict[str, Any],
    redactor: str,
    cache: str | None = None,
) -> None:
    """Write ``media.parquet``, one row for each row asked for, in their order; then commit.

    Args:
        folder: where to write.
        rows: Parquet file with ``item_id``, ``kind``, ``media_path`` and ``media_type``; where it has ``protected``,
            files of such items are only looked at: whatever they are said to be, and what they give stays in
            ``folder``, so that a build that is killed leaves none of it in the cache.
        root: folder that ``media_path`` is relative to; a path out of it is left out.
        recipe: a media recipe's plain form.
        redactor: ``module:function`` that finds identifiers in texts; empty = no text is told, every line is hidden.
        cache: folder of results, shared by builds; ``None`` = in ``folder``.

    Raises:
        InputError: the columns are not there.
        ConfigError: the recipe cannot be followed, or needs what is not installed.
    """
    settings = MediaRecipe.of(recipe)
    counts: Counter[str] = Counter()
    there = pq.read_schema(rows).names
    missing = [name for name in _ASKED if name not in there]
    if missing:
        raise InputError("expected a table of media files, found columns missing; write them", missing)
    with (
        pq.ParquetFile(rows) as source,
        Darkroom(settings, redactor) as room,
        pq.ParquetWriter(folder / "media.parquet", MEDIA, compression="zstd", write_statistics=False) as sink,
    ):
        results = Results(Path(cache) if cache else folder / "cache", room.name)
        looks = Results(folder / "looks", room.name)
        asked = [*_ASKED, *({"protected"} & {*there})]
        for batch in source.iter_batches(batch_size=BATCH_ROWS, columns=asked):
            done = [_row(row, Path(root), room, results, looks) for row in batch.to_pylist()]
            counts.update(row["reason"] or "clean" for row in done)
            sink.write_table(pa.Table.from_pylist(done, schema=MEDIA))
        facts = {"results": room.name, "holds": list(room.holds), "worker_starts": room.starts}
    commit_record(folder, {"rows": sum(counts.values()), "counts": dict(sorted(counts.items())), **facts})


class Results:
    """Results of one recipe on disk, each file whole or not there."""

    def __init__(self, root: Path, name: str) -> None:
        self._root = root
        self._name = name

    def read(self, digest: str) -> dict[str, Any] | None:
        """Return what became of a file, ``None`` = it was not worked on yet, or its clean form is gone."""
        path = self._path(digest, "json")
        found: dict[str, Any] = read_json(path) if path.exists() else {}
        clean = [found.get(name) for name in ("clean_path", "thumbnail_path")]
        return found if found and all((self._root / one).is_file() for one in clean if one) else None

    def write(self, digest: str, form: str, developed: Developed) -> dict[str, Any]:
        """Keep what became of a file; the facts come last, so that they are never there without the clean file."""
        reason = developed.left and developed.left.value
        found: dict[str, Any] = {"status": "left_out", "reason": reason, "form": form, **_plain(developed.seen)}
        if developed.left is None:
            ending, media_type = _TYPES[form]
            found |= {"status": "clean", "transcript": developed.transcript}
            if developed.clean:
                path = self._path(digest, ending)
                write_bytes(path, developed.clean)
                found |= {
                    "clean_path": path.relative_to(self._root).as_posix(),
                    "clean_digest": digest_bytes(developed.clean),
                    "clean_type": media_type,
                }
            if developed.thumbnail:
                path = self._path(digest, "thumb.jpg")
                write_bytes(path, developed.thumbnail)
                found["thumbnail_path"] = path.relative_to(self._root).as_posix()
                found["thumbnail_digest"] = digest_bytes(developed.thumbnail)
        if developed.left not in _OURS:
            write_json(self._path(digest, "json"), found)
        return found

    def _path(self, digest: str, ending: str) -> Path:
        return self._root / self._name[:16] / digest[:2] / f"{digest}.{ending}"


def keypoints_kept(cache: Path, digest: str | None) -> str:
    """Return the keypoints that results still have of a file; empty = none has any."""
    for path in sorted(cache.glob(f"*/{digest[:2]}/{digest}.json")) if digest else ():
        if found := read_json(path).get("keypoints"):
            return str(found)
    return ""


def stale_media(cache: Path, keep: Mapping[str, Collection[str]]) -> list[Path]:
    """Return every result that is not to be kept, and what a kill left half written.

    Args:
        cache: folder of results.
        keep: name of results (``MediaManifest.tools``) → SHA-256 of the files that still may be used, as hex digits;
            of all others nothing is: what older rules let through is not for newer ones.
    """
    kept = {name[:16]: set(digests) for name, digests in keep.items()}
    files = [path for path in sorted(cache.glob("*/*/*")) if path.is_file()]
    return [path for path in files if path.name.split(".")[0] not in kept.get(path.parts[-3], ())]


def _row(row: dict[str, Any], root: Path, room: Darkroom, results: Results, looks: Results) -> dict[str, Any]:
    protected = row.get("protected", False) is not False  # who is unknown is protected
    out: dict[str, Any] = dict.fromkeys(MEDIA.names) | {"item_id": row["item_id"], "kind": row["kind"]}
    found = _read(row["media_path"], root, room.recipe.max_bytes)
    if isinstance(found, Left):
        return out | {"status": "left_out", "reason": found.value, "flags": []}
    digest = digest_bytes(found)
    form = kind_of(found)
    if form is None:
        facts: dict[str, Any] = {"status": "left_out", "reason": Left.UNKNOWN_TYPE.value}
    elif not protected and not _as_said(form, row["media_type"]):
        facts = {"status": "left_out", "reason": Left.TYPE_MISMATCH.value, "form": form}
    else:
        kept = looks if protected else results
        facts = results.read(digest) or kept.read(digest) or kept.write(digest, form, room.develop(form, found))
    return out | {"media_digest": digest, "flags": []} | facts


def _read(path: str | None, root: Path, most_bytes: int) -> bytes | Left:
    """Return a file's bytes; only a plain file under the root is read."""
    if not path or "\0" in path:
        return Left.NO_FILE
    try:
        whole = (root / path).resolve()
        if not whole.is_relative_to(root.resolve()):
            return Left.OUTSIDE_ROOT
        if not whole.is_file():
            return Left.NO_FILE
        size = whole.stat().st_size
        if size == 0 or size > most_bytes:
            return Left.EMPTY if size == 0 else Left.TOO_MANY_BYTES
        return whole.read_bytes()
    except (OSError, RuntimeError):  # a name that no disk can have, links in a circle, not ours to read
        return Left.NO_FILE


def _as_said(form: str, media_type: str | None) -> bool:
    """Tell whether a file is what its item says; who says nothing says nothing wrong."""
    said = (media_type or "").split("/")[0].strip().lower()
    allowed = {"picture": ("image",), "film": ("video",), "voice": ("audio",)}
    return said not in ("image", "video", "audio") or said in allowed[form] or (form == "film" and said == "audio")


def _plain(seen: dict[str, Any]) -> dict[str, Any]:
    """Return what was seen, only the columns there are and only of their types."""
    numbers = {name: seen[name] for name in _NUMBERS if isinstance(seen.get(name), int)}
    out: dict[str, Any] = {name: number for name, number in numbers.items() if 0 <= number < 2**31}
    out |= {name: seen[name] for name in _HASHES if _HASH.fullmatch(str(seen.get(name)))}
    flags = seen.get("flags")
    corners = seen.get("keypoints")
    out |= {"keypoints": corners} if isinstance(corners, str) and len(read(corners)) else {}
    for name in ("ocr_text", "credentials"):
        out[name] = seen[name] if isinstance(seen.get(name), str) else None
    out["flags"] = [flag for flag in flags if isinstance(flag, str)] if isinstance(flags, list) else []
    return out


def iterate(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a stage that is done, but for the keypoints, which are large."""
    names = [name for name in MEDIA.names if name != "keypoints"]
    with pq.ParquetFile(folder / "media.parquet") as source:
        for batch in source.iter_batches(batch_size=BATCH_ROWS, columns=names):
            yield from batch.to_pylist()

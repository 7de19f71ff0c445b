"""What deciding leaves for the next erasure: snapshot, decisions and standing, sealed (ADR 16).

    decided/<policy, as_of, known_at>/sealed/first.sealed   snapshot and decisions as known at the first build; stays
    decided/<policy, as_of, known_at>/sealed/last.sealed    standing and the later reading's reasons as of the last time

It is a memory and no truth: it may be removed whenever nothing runs, and is believed only if the source of then is the
same, and so is the code that decided. The registry looks for itself whether its past is the same. Each file is sealed
under the key of the corpora's lineage and a salt of its own; what is replaced loses its salt first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

import demur
from demur.clock import iso, parse
from demur.corpus import purge, read_manifest
from demur.errors import BrokenError
from demur.flows.parts import Parts, current
from demur.flows.pending import whole_corpora
from demur.lineage import SealedFile, write_sealed
from demur.store import digest_bytes, digest_file, digest_json

_LOG = logging.getLogger(__name__)
_FILE: Any = pa.schema([("path", pa.string()), ("content", pa.large_binary())])
_MOST_FILES = 1 << 20
_FACTS, _LATER = "facts.json", "later.parquet"
_DECIDING = ("clock.py", "engine", "intake", "people", "policy", "store", "terms")
"""What of the package decides."""


def name_of(policy: str, as_of: str, known_at: str) -> str:
    """Return what stays the same from a first build on through all its erasures, as a name.

    Args:
        policy: its digest.
        as_of: instant of the build.
        known_at: what demur had learned at the first build.
    """
    return digest_json([policy, as_of, known_at])[:16]


@dataclass(frozen=True, slots=True)
class Before:
    """What is decided already; an erasure goes on from there."""

    folder: Path
    """With ``source/items`` and ``decisions`` as known at first."""
    standing: Path
    """The exported standing as of ``seen``."""
    later: Path | None
    """The later reading's reasons as of then; ``None`` = as known at first."""
    seen: datetime
    source_digest: str
    rows: str
    """What of the source was known at first (``intake.rows_known``)."""
    rows_seen: str
    """And what at ``seen``."""


def restore(parts: Parts, name: str, folder: Path, *, rows: str, narrowed_at: datetime) -> Before | None:
    """Open what is kept into a folder; ``None`` where there is nothing that surely holds.

    Args:
        parts: the workspace.
        name: of what is decided.
        folder: where to.
        rows: what of the source was known at first, as it is now.
        narrowed_at: what was decided later than this says nothing about it.
    """
    sealed = _folder(parts, name)
    if not (sealed / "last.sealed").exists():
        return None
    try:
        _unseal(parts, sealed / "last.sealed", folder)
        facts = orjson.loads((folder / _FACTS).read_bytes())
        if facts["code"] != _code() or facts["rows"] != rows or parse(facts["seen"]) > narrowed_at:
            return None
        _unseal(parts, sealed / "first.sealed", folder)
    except BrokenError as error:
        _LOG.warning("what the last decisions left cannot be used, everything is decided anew: %s", error)
        return None
    later = folder / _LATER
    return Before(
        folder, folder / "standing", later if later.exists() else None, parse(facts["seen"]), facts["source_digest"],
        rows, facts["rows_seen"],
    )  # fmt: skip


def keep(parts: Parts, name: str, found: Before, *, fresh: bool) -> None:
    """Seal what the next erasure stands on, and let go of what no corpus needs any more.

    Args:
        parts: the workspace.
        name: of what is decided.
        found: what was decided.
        fresh: all of it; else what was known at first is kept already.
    """
    forget(parts, but=name)
    folder = _folder(parts, name)
    if fresh:
        purge(folder.parent)
        _seal(
            parts, folder / "first.sealed", [*_under(found.folder, "source/items"), *_under(found.folder, "decisions")]
        )
    facts = {
        "code": _code(),
        "seen": iso(found.seen),
        "source_digest": found.source_digest,
        "rows": found.rows,
        "rows_seen": found.rows_seen,
    }
    files: list[tuple[str, Path | bytes]] = [
        (_FACTS, orjson.dumps(facts)),
        *_under(found.standing.parent, found.standing.name, named="standing"),
    ]
    if found.later is not None:
        files.append((_LATER, found.later))
    _seal(parts, folder / "last.sealed", files)


def forget(parts: Parts, *, but: str | None = None) -> None:
    """Destroy what is kept for a corpus that is neither current nor the newest; also what a kill left."""
    here = current(parts.workspace).corpus
    there = {one.name: read_manifest(one).inputs for one in whole_corpora(parts)}
    newest = max(there, key=lambda one: (parse(there[one]["known_at"]), one), default=None)
    wanted = [there[one] for one in (here, newest) if one in there]
    names = {but, *(name_of(inputs["policy"], inputs["as_of"], inputs["known_at"]) for inputs in wanted)}
    for folder in sorted(_root(parts).glob("*")):
        if folder.name not in names:
            purge(folder)
    for former in sorted(_root(parts).glob("*/former")):
        purge(former)


def _root(parts: Parts) -> Path:
    return parts.workspace.root / "decided"


def _folder(parts: Parts, name: str) -> Path:
    return _root(parts) / name / "sealed"


def _under(folder: Path, name: str, *, named: str | None = None) -> Iterator[tuple[str, Path]]:
    """Yield the files of a folder with the names that they are kept by."""
    return ((f"{named or name}/{path.name}", path) for path in sorted((folder / name).iterdir()) if path.is_file())


def _seal(parts: Parts, path: Path, files: Iterable[tuple[str, Path | bytes]]) -> None:
    """Write files as one sealed file; the former one of that name loses its salt, and goes."""
    former = path.parent.parent / "former"
    purge(former)
    if path.exists():
        (former / "sealed").mkdir(parents=True)
        path.rename(former / "sealed" / path.name)
    rows = (
        (number, pa.table([[name], [one if isinstance(one, bytes) else one.read_bytes()]], schema=_FILE))
        for number, (name, one) in enumerate(files)
    )
    write_sealed(path, path.stem, rows, secret=parts.keys.secret("lineage"), buckets=_MOST_FILES)
    purge(former)


def _unseal(parts: Parts, path: Path, folder: Path) -> None:
    for table in SealedFile(path, path.stem, secret=parts.keys.secret("lineage")).all():
        for path_of, content in zip(table["path"], table["content"], strict=True):
            target = folder / str(path_of)
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as stream:
                stream.write(memoryview(content.as_buffer()))


@cache
def _code() -> str:
    """Return the digest of the code that decides: what other code decided is not carried on."""
    root = Path(demur.__file__).parent
    files = sorted(path for name in _DECIDING for path in ((root / name).rglob("*.py") if (root / name).is_dir()
                                                           else [root / name]))  # fmt: skip
    return digest_bytes("".join(digest_file(path) for path in files).encode())

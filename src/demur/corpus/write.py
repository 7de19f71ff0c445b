"""Stage 5: the slice files and the sealed files. Rows in order of their record id; bytes a function of the records.

A slice whose content equals the replaced corpus' is not written again but linked to the same bytes (COR-11).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from demur.corpus.disk import writing
from demur.corpus.manifest import read_manifest
from demur.corpus.place import FATES, PLACED, SEALED_BUCKETS
from demur.corpus.shard import slice_path
from demur.errors import OutsideError
from demur.lineage import write_sealed
from demur.store import KeyRing, commit_record, digest_file, write_table
from demur.terms.manifests import SliceDigest, SliceRef
from demur.terms.tables import LINEAGE, RECORDS

CORPUS = "corpus"
"""Folder inside the stage's that holds what will be the corpus."""
SEALED = {"lineage": LINEAGE, "fates": FATES}
"""Sealed files of a corpus: kind → schema."""

_BARE: Any = pa.schema([pa.field(field.name, field.type, nullable=field.nullable) for field in RECORDS])
_NULL = (2**64 - 1).to_bytes(8, "big")


@writing("slices")
def write(
    folder: Path,
    *,
    placed: str,
    keys: str,
    regions: list[str],
    shards: int,
    slices: int,
    replaced: str | None,
    upstream: str,
) -> None:
    """Write ``corpus/data/`` and ``corpus/sealed/``; then commit the digests.

    Args:
        folder: where to write.
        placed: folder of the place stage; its lineage and fates are removed once sealed.
        keys: folder of the key ring.
        regions: every region of the recipe: each has all its slices, also the empty ones, so that the list of
            files says nothing about who is there.
        shards: shards in every region.
        slices: slices in every shard.
        replaced: folder of the corpus that this one replaces, for slices that stay; ``None`` = none.
        upstream: call of the stage before.
    """
    assert upstream
    corpus = folder / CORPUS
    old = _old_slices(Path(replaced)) if replaced else {}
    wanted = {SliceRef(region, shard, part) for region in regions for shard in range(shards) for part in range(slices)}
    found: list[SliceDigest] = []
    reused = 0
    for ref, records in _slices(Path(placed) / "groups"):
        wanted.discard(ref)
        digest, linked = _write_slice(corpus, ref, records, old)
        found.append(digest)
        reused += linked
    empty = _BARE.empty_table()
    for ref in sorted(wanted, key=slice_path):
        digest, linked = _write_slice(corpus, ref, empty, old)
        found.append(digest)
        reused += linked
    rows = {kind: _seal(corpus, Path(placed) / kind, kind, KeyRing(Path(keys))) for kind in SEALED}
    listed = sorted((asdict(one) for one in found), key=lambda one: one["path"])
    sealed = {f"sealed/{kind}.sealed": digest_file(corpus / "sealed" / f"{kind}.sealed") for kind in SEALED}
    commit_record(folder, {"slices": listed, "reused": reused, "sealed_rows": rows, "sealed": sealed})


def content_digest(records: Any) -> str:
    """Return the SHA-256 over records in order: every field as length and UTF-8 bytes, a null as an impossible length.

    >>> content_digest(_BARE.empty_table())[:8]
    'e3b0c442'
    """
    digest = hashlib.sha256()
    columns = [records[name].to_pylist() for name in _BARE.names]
    for row in zip(*columns, strict=True):
        for value in row:
            raw = None if value is None else value.encode()
            digest.update(_NULL if raw is None else len(raw).to_bytes(8, "big") + raw)
    return digest.hexdigest()


def _slices(groups: Path) -> Iterator[tuple[SliceRef, Any]]:
    keys = ["region", "shard", "slice", "record_id"]
    for file in sorted(groups.glob("*.parquet")):
        table = pq.read_table(file, schema=PLACED).sort_by([(key, "ascending") for key in keys])
        places = list(zip(*(table[key].to_pylist() for key in keys[:3]), strict=True))
        begin = 0
        for end in range(1, len(places) + 1):
            if end == len(places) or places[end] != places[begin]:
                yield SliceRef(*places[begin]), table.slice(begin, end - begin).select(_BARE.names).cast(_BARE)
                begin = end


def _old_slices(replaced: Path) -> dict[str, tuple[SliceDigest, Path]]:
    manifest = read_manifest(replaced)
    return {one.path: (one, replaced / one.path) for one in manifest.slices}


def _write_slice(
    folder: Path, ref: SliceRef, records: Any, old: dict[str, tuple[SliceDigest, Path]]
) -> tuple[SliceDigest, bool]:
    path = slice_path(ref)
    content = content_digest(records)
    before = old.get(path)
    target = folder / path
    if before and before[0].content_digest == content and digest_file(before[1]) == before[0].file_digest:
        target.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(before[1], target)
        return before[0], True
    write_table(target, records)
    digest = SliceDigest(
        region=ref.region,
        shard=ref.shard,
        slice=ref.slice,
        path=path,
        records=records.num_rows,
        content_digest=content,
        file_digest=digest_file(target),
    )
    return digest, False


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; where the disk has no links, copy it.

    Raises:
        OutsideError: the disk is full or refuses.
    """
    try:
        os.link(source, target)
    except OSError:
        try:
            target.write_bytes(source.read_bytes())
        except OSError as error:
            raise OutsideError(f"cannot write {target.name}; free space and run the same command again") from error


def _seal(folder: Path, parts: Path, kind: str, keys: KeyRing) -> int:
    """Seal the work files of one kind; they are removed with the build's work folder."""

    def tables() -> Iterator[tuple[int, Any]]:
        for file in sorted(parts.glob("*.parquet")):
            with pq.ParquetFile(file) as part:
                for batch in part.iter_batches(batch_size=50_000):
                    yield int(file.stem), pa.Table.from_batches([batch])

    path = folder / "sealed" / f"{kind}.sealed"
    return write_sealed(path, kind, tables(), secret=keys.secret("lineage"), buckets=SEALED_BUCKETS)

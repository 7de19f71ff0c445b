"""Stage 4: give every record its id, region, shard and slice; write down what became of every item.

Rows leave here in groups of shards that fit in memory. Lineage rows and fates (the decision, and what became of the
item in the corpus) go to work files by their sealed bucket; the next stage seals them and removes these.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from demur.corpus.disk import writing
from demur.corpus.shard import Placement
from demur.lineage import bucket_of
from demur.store import KeyRing, commit_record
from demur.terms.tables import LINEAGE

SEALED_BUCKETS = 64

PLACED: Any = pa.schema(
    [
        ("region", pa.string()),
        ("shard", pa.int32()),
        ("slice", pa.int32()),
        ("record_id", pa.string()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("dialect", pa.string()),
        ("kind", pa.string()),
    ]
)

FATES: Any = pa.schema(
    [
        ("item_id", pa.string()),
        ("allowed", pa.bool_()),
        ("primary_reason", pa.string()),
        ("reason_bits", pa.int64()),
        ("person_id", pa.string()),
        ("country", pa.string()),
        ("kind", pa.string()),
        ("audience", pa.string()),
        ("exclusion", pa.string()),
        ("duplicate_of", pa.string()),
        ("record_id", pa.string()),
    ]
)
"""A decision and what the corpus made of it. Sealed: it links items, persons and records."""

COUNTED = ("items", "decisions", "exclusions", "records", "regions", "languages", "dialects", "kinds", "size")
"""What the manifest counts; every name is there also when nothing was counted."""

Owners = dict[str, list[tuple[str, str, str]]]
"""Item → (item it comes from, person, role)."""


class _Parts:
    """Parquet files opened when their first row comes, by number."""

    def __init__(self, folder: Path, schema: Any) -> None:
        folder.mkdir(parents=True)
        self._folder, self._schema = folder, schema
        self._open: dict[int, Any] = {}
        self._waiting: dict[int, list[dict[str, Any]]] = defaultdict(list)
        self._count = 0

    def add(self, number: int, row: dict[str, Any]) -> None:
        self._waiting[number].append(row)
        self._count += 1
        if self._count >= 100_000:
            self.flush()

    def flush(self) -> None:
        for number in sorted(self._waiting):
            if number not in self._open:
                path = self._folder / f"{number:05d}.parquet"
                self._open[number] = pq.ParquetWriter(path, self._schema, compression="zstd")
            self._open[number].write_table(pa.Table.from_pylist(self._waiting[number], schema=self._schema))
        self._waiting.clear()
        self._count = 0

    def close(self) -> None:
        self.flush()
        for writer in self._open.values():
            writer.close()


@writing("placed records")
def place(
    folder: Path,
    *,
    texts: list[str],
    decisions: list[str],
    owners: str,
    deduplicated: str,
    keys: str,
    shards: int,
    slices: int,
    groups: int,
    upstream: str,
) -> None:
    """Write ``groups/``, ``lineage/`` and ``fates/``; then commit the counts.

    Args:
        folder: where to write.
        texts: files of the text stage, one a bucket.
        decisions: decisions of the same buckets, in the same order.
        owners: further owners of allowed items.
        deduplicated: folder of the deduplicate stage.
        keys: folder of the key ring.
        shards: shards in every region.
        slices: slices in every shard.
        groups: into how many files the records are divided; a shard is never divided.
        upstream: call of the stage before.
    """
    assert upstream
    ring = KeyRing(Path(keys))
    placement = Placement(ring.secret("placement"), ring.secret("records"), shards, slices)
    verdicts = _verdicts(Path(deduplicated) / "verdicts.parquet")
    owned = _owned(Path(owners), Path(deduplicated) / "copies.parquet")
    placed, lineage = _Parts(folder / "groups", PLACED), _Parts(folder / "lineage", LINEAGE)
    fates = _Parts(folder / "fates", FATES)
    secret = ring.secret("lineage")
    counts: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
    counts["items"]["all"] = counts["records"]["all"] = 0
    for text_file, decision_file in zip(texts, decisions, strict=True):
        became: dict[str, dict[str, Any]] = {}
        for row in _rows(Path(text_file), _COLUMNS):
            if row["protected"]:
                continue
            exclusion, duplicate_of = verdicts.get(row["item_id"], (row["exclusion"], None))
            became[row["item_id"]] = {"exclusion": exclusion, "duplicate_of": duplicate_of, "record_id": None}
            if exclusion is None:
                record = _record(row, placement)
                became[row["item_id"]]["record_id"] = record["record_id"]
                placed.add(_group(record, groups), record)
                for link in _links(row, record, owned):
                    lineage.add(bucket_of(secret, link["person_id"], SEALED_BUCKETS), link)
                _count_record(counts, record)
        for decision in _rows(Path(decision_file), FATES.names[:8]):
            fate = decision | became.get(decision["item_id"], {})
            fates.add(bucket_of(secret, decision["item_id"], SEALED_BUCKETS), fate)
            _count_fate(counts, fate)
    for parts in (placed, lineage, fates):
        parts.close()
    commit_record(folder, {name: dict(sorted(counter.items())) for name, counter in sorted(counts.items())})


_COLUMNS = ["item_id", "person_id", "kind", "protected", "exclusion", "text", "language", "dialect", "region"]


def _rows(file: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(file) as part:
        for batch in part.iter_batches(columns=columns, batch_size=16_384):
            yield from batch.to_pylist()


def _verdicts(file: Path) -> dict[str, tuple[str, str | None]]:
    table = pq.read_table(file)
    return dict(
        zip(
            table["item_id"].to_pylist(),
            zip(table["exclusion"].to_pylist(), table["duplicate_of"].to_pylist(), strict=True),
            strict=True,
        )
    )


def _owned(owners: Path, copies: Path) -> Owners:
    """Return the owners beside the author: co-authors, original authors, and everybody who owns a copy of it."""
    found: Owners = defaultdict(list)
    for row in _rows(owners, ["item_id", "person_id", "role"]):
        found[row["item_id"]].append((row["item_id"], row["person_id"], row["role"]))
    of_copies: Owners = defaultdict(list)
    for row in _rows(copies, ["item_id", "copy_item_id", "copy_person_id"]):
        copy = row["copy_item_id"]
        persons = {row["copy_person_id"], *(person for _, person, _ in found.get(copy, []))}
        of_copies[row["item_id"]] += [(copy, person, "copy_owner") for person in persons]
    for item, links in of_copies.items():
        found[item] = found.get(item, []) + links
    return found


def _record(row: dict[str, Any], placement: Placement) -> dict[str, Any]:
    ref = placement.slice_of(row["region"], row["person_id"])
    return {
        "region": ref.region,
        "shard": ref.shard,
        "slice": ref.slice,
        "record_id": placement.record_id(row["item_id"]),
        "text": row["text"],
        "language": row["language"],
        "dialect": row["dialect"],
        "kind": row["kind"],
    }


def _group(record: dict[str, Any], groups: int) -> int:
    return zlib.crc32(f"{record['region']}/{record['shard']}".encode()) % groups


def _links(row: dict[str, Any], record: dict[str, Any], owned: Owners) -> Iterator[dict[str, Any]]:
    where = {name: record[name] for name in ("record_id", "region", "shard", "slice")}
    author = (row["item_id"], row["person_id"], "author")
    for item, person, role in [author, *owned.get(row["item_id"], [])]:
        yield {**where, "item_id": item, "person_id": person, "role": role}


def _count_record(counts: dict[str, Counter[str]], record: dict[str, Any]) -> None:
    counts["records"]["all"] += 1
    counts["regions"][record["region"]] += 1
    counts["languages"][record["language"]] += 1
    counts["dialects"][record["dialect"] or "none"] += 1
    counts["kinds"][record["kind"]] += 1
    counts["size"]["words"] += len(record["text"].split())
    counts["size"]["characters"] += len(record["text"])


def _count_fate(counts: dict[str, Counter[str]], fate: dict[str, Any]) -> None:
    counts["items"]["all"] += 1
    counts["decisions"]["allowed" if fate["allowed"] else fate["primary_reason"]] += 1
    if fate.get("exclusion"):
        counts["exclusions"][fate["exclusion"]] += 1

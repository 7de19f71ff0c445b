"""Stage 1: join decisions to items and find everybody who owns a part of an allowed item.

Allowed items go on with their text. Protected items (a reason in PROTECTING) go on with their text too, only so that
their copies can be found; they never become records. The joins run in the engine, one bucket of items at a time, so
that memory depends on the size of a bucket and not of the platform. "Minus the withheld" is a left join and a
fail-closed CASE: an item without a decision is not allowed, and its being there is an error (EVIDENCE §5d).

Does not decide anything: a decision is read, never made here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from demur import engine
from demur.corpus.disk import batches, parquet_files, writing
from demur.errors import BrokenError
from demur.store import commit_record
from demur.terms.tables import DECISIONS, ITEMS

ITEM_COLUMNS = ["item_id", "co_account_ids", "created_at", "text", "language", "original_id"]
MAX_CHAIN = 64
"""Longest chain of copies of copies that is followed; longer ones are withheld by the decision already."""

OWNERS: Any = pa.schema([("item_id", pa.string()), ("person_id", pa.string()), ("role", pa.string())])
LINKS: Any = pa.schema([("item_id", pa.string()), ("original_id", pa.string())])


@writing("the selected items")
def select(
    folder: Path, *, items: str, decisions: str, standing: str, protecting: int, bucket_rows: int, inputs: str
) -> None:
    """Write ``bucket-nnn/`` (rows for the text stage), ``decisions-nnn.parquet`` and ``owners/``; then commit.

    Args:
        folder: where to write.
        items: folder of the snapshot, one row an item.
        decisions: folder of DECISIONS parts.
        standing: folder of the exported people tables.
        protecting: mask of the reasons that protect a content wherever it stands.
        bucket_rows: about how many items a bucket holds; the results do not depend on it.
        inputs: digest of what the folders hold, so that other inputs mean another run.
    """
    assert inputs
    item_files = parquet_files(Path(items), "items")
    total = sum(batch.num_rows for batch in batches(item_files, ["item_id"]))
    buckets = max(1, -(-total // bucket_rows))
    split(batches(item_files, ITEM_COLUMNS), _plain(ITEMS, ITEM_COLUMNS), folder / "items", buckets)
    split(
        batches(parquet_files(Path(decisions), "decisions"), DECISIONS.names),
        _plain(DECISIONS, DECISIONS.names),
        folder / "decisions",
        buckets,
    )
    allowed = 0
    for bucket in range(buckets):
        allowed += _join(folder, bucket, protecting)
    _owners(folder, Path(standing), buckets)
    commit_record(folder, {"items": total, "buckets": buckets, "allowed": allowed})


def _plain(schema: Any, columns: list[str]) -> Any:
    return pa.schema([pa.field(name, schema.field(name).type) for name in columns])


def bucket_numbers(ids: Sequence[str], buckets: int) -> Any:
    """Return the bucket of each id; only a division of work, nothing that any result depends on."""
    return np.fromiter((zlib.crc32(one.encode()) % buckets for one in ids), dtype=np.int64, count=len(ids))


def split(tables: Iterator[Any], schema: Any, folder: Path, buckets: int) -> None:
    """Write rows into one file a bucket, by the bucket of their first column."""
    folder.mkdir(parents=True)
    writers = [
        pq.ParquetWriter(folder / f"{bucket:05d}.parquet", schema, compression="zstd", write_statistics=False)
        for bucket in range(buckets)
    ]
    try:
        for table in tables:
            plain = table.select(schema.names).cast(schema)
            numbers = bucket_numbers(plain.column(0).to_pylist(), buckets)
            for bucket in np.unique(numbers):
                writers[bucket].write_table(plain.filter(pa.array(numbers == bucket)))
    finally:
        for writer in writers:
            writer.close()


def _join(folder: Path, bucket: int, mask: int) -> int:
    name = f"{bucket:05d}.parquet"
    column, literal = engine.col, engine.lit
    decided = engine.scan([folder / "decisions" / name]).select(
        column("item_id"), column("allowed"), column("reason_bits"), column("person_id"), column("kind")
    )
    protecting = (~column("allowed")) & ((column("reason_bits") & literal(mask)) != literal(0))
    joined = engine.scan([folder / "items" / name]).join(decided, on="item_id", how="left")
    marked = joined.select(
        column("item_id"),
        column("person_id"),
        column("kind"),
        column("created_at"),
        column("text"),
        column("language"),
        column("allowed").is_null().alias("undecided"),
        engine.when(column("allowed").is_null(), literal(False)).otherwise(column("allowed")).alias("allowed"),
        engine.when(column("allowed").is_null(), literal(False)).otherwise(protecting).alias("protected"),
    )
    parts = engine.write(marked, folder / f"joined-{bucket:05d}")
    table = pa.concat_tables([pq.read_table(part) for part in parts])
    _check_one_decision_each(table, folder, name)
    kept = table.filter(pa.compute.or_(table["allowed"], table["protected"])).drop_columns(["undecided"])
    (folder / f"bucket-{bucket:05d}").mkdir()
    pq.write_table(kept.combine_chunks(), folder / f"bucket-{bucket:05d}" / "rows.parquet", compression="zstd")
    for part in parts:
        part.unlink()
    return int(pa.compute.sum(table["allowed"].cast(pa.int64())).as_py() or 0)


def _check_one_decision_each(table: Any, folder: Path, name: str) -> None:
    items = pq.read_metadata(folder / "items" / name).num_rows
    decisions = pq.read_metadata(folder / "decisions" / name).num_rows
    undecided = int(pa.compute.sum(table["undecided"].cast(pa.int64())).as_py() or 0)
    unlike = len(set(table["item_id"].to_pylist())) != items
    ownerless = table.filter(pa.compute.and_(table["allowed"], table["person_id"].is_null())).num_rows
    faults = []
    if undecided or unlike or items != decisions or table.num_rows != items:
        faults.append(
            f"every item needs exactly one decision: {items} items, {decisions} decisions, {undecided} items without"
        )
    if ownerless:
        faults.append(f"{ownerless} allowed items have no person; an unknown author can never be allowed")
    if faults:
        raise BrokenError(
            "expected decisions made from this very snapshot, found others; decide again, then build", faults
        )


def _owners(folder: Path, standing: Path, buckets: int) -> None:
    """Write who else owns a part of an allowed item: co-authors and the authors of what it carries."""
    names = [f"{bucket:05d}.parquet" for bucket in range(buckets)]
    item_files = [folder / "items" / name for name in names]
    decision_files = [folder / "decisions" / name for name in names]
    parts = [
        *_co_authors(folder, item_files, decision_files, standing),
        *_originals(folder, item_files, decision_files),
    ]
    tables = [pq.read_table(part).select(OWNERS.names).cast(OWNERS) for part in parts]
    owners = pa.concat_tables([OWNERS.empty_table(), *tables])
    unique = owners.group_by(OWNERS.names).aggregate([])
    pq.write_table(unique.filter(unique["person_id"].is_valid()), folder / "owners.parquet", compression="zstd")


def _co_authors(folder: Path, items: list[Path], decisions: list[Path], standing: Path) -> list[Path]:
    column = engine.col
    allowed = engine.scan(decisions).where(column("allowed")).select(column("item_id"))
    shared = engine.scan(items).where(column("co_account_ids").not_null())
    each = (
        shared.join(allowed, on="item_id", how="inner")
        .select(column("item_id"), column("created_at"), column("co_account_ids").alias("account_id"))
        .explode("account_id")
        .where(column("account_id").not_null())
    )
    epochs = engine.scan([standing / "accounts.parquet"]).select(
        column("account_id"), column("person_id"), column("owned_from"), column("owned_until")
    )
    begun = (
        column("owned_from").is_null() | column("created_at").is_null() | (column("owned_from") <= column("created_at"))
    )
    not_over = (
        column("owned_until").is_null()
        | column("created_at").is_null()
        | (column("created_at") < column("owned_until"))
    )
    owned = each.join(epochs, on="account_id", how="inner").where(begun & not_over)
    return engine.write(
        owned.select(column("item_id"), column("person_id"), engine.lit("co_author").alias("role")),
        folder / "owners-co",
    )


def _originals(folder: Path, items: list[Path], decisions: list[Path]) -> list[Path]:
    """Follow ``original_id`` to the root: the author of every item on the way owns a part of the copy.

    No column is compared with another one in a filter on a file: Daft 0.7.26 prunes row groups by statistics and
    drops rows there (found by the order law; docs/corpus.md). Circles end with MAX_CHAIN; they are withheld anyway.
    """
    column = engine.col
    persons = engine.scan(decisions).select(column("item_id").alias("original_id"), column("person_id"))
    allowed = engine.scan(decisions).where(column("allowed")).select(column("item_id"))
    links = engine.scan(items).where(column("original_id").not_null()).select(column("item_id"), column("original_id"))
    step = engine.write(links.join(allowed, on="item_id", how="inner"), folder / "chain-00")
    found: list[Path] = []
    for depth in range(1, MAX_CHAIN):
        if sum(pq.read_metadata(part).num_rows for part in step) == 0:
            break
        here = engine.scan(step)
        owned = here.join(persons, on="original_id", how="inner").select(
            column("item_id"), column("person_id"), engine.lit("original_author").alias("role")
        )
        found += engine.write(owned, folder / f"owners-original-{depth:02d}")
        onward = links.select(column("item_id").alias("original_id"), column("original_id").alias("next_id"))
        further = here.join(onward, on="original_id", how="inner").select(
            column("item_id"), column("next_id").alias("original_id")
        )
        step = engine.write(further, folder / f"chain-{depth:02d}")
    return found

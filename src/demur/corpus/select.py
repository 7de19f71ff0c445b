"""Stage 1: which items are looked at, what is known of them already, and who else owns a part of them.

Allowed items go on. Protected items (a reason in PROTECTING) go on too, only so that their copies can be found; they
never become records. Of each it is asked whether the corpus before measured this very version: then its measures are
carried on, else its text is wanted. With nothing before, everything is wanted: a first build is the same stage.

One bucket of items is in memory at a time. "Minus the withheld" is fail-closed: an item without a decision is not
allowed, and its being there is an error (EVIDENCE §5d). Does not decide anything: a decision is read, never made here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.disk import batches, parquet_files, writing
from demur.corpus.measures import MEASURES, TOUCHED, Before
from demur.corpus.mentions import mentioning
from demur.corpus.owners import find_owners, owner_hashes
from demur.corpus.redact_spans import SPANS
from demur.corpus.spill import Spill, bucket_numbers, buckets_for, read_bucket, write_bucket
from demur.errors import BrokenError
from demur.store import KeyRing, commit_record
from demur.terms.tables import DECISIONS

DECIDED: Any = pa.schema(
    [
        pa.field(name, DECISIONS.field(name).type)
        for name in ("item_id", "allowed", "primary_reason", "reason_bits", "person_id", "country", "kind", "audience")
    ]
)
TEXTS_OF: Any = pa.schema(
    [
        ("item_id", pa.string()),
        ("version_id", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("text", pa.string()),
        ("language", pa.string()),
    ]
)
"""What of an item a text is measured from."""
NAMED: Any = pa.schema([("item_id", pa.string()), ("spans", SPANS)])
WANTED: Any = pa.schema(
    [
        ("item_id", pa.string()),
        ("person_id", pa.string()),
        ("kind", pa.string()),
        ("protected", pa.bool_()),
        ("owners", pa.uint64()),
    ]
)


@writing("the selected items")
def select(
    folder: Path,
    *,
    items: str,
    decisions: str,
    standing: str,
    protecting: int,
    bucket_rows: int,
    before: str | None,
    same_source: bool,
    mentions: bool,
    masked: bool,
    keys: str,
    inputs: str,
) -> None:
    """Write ``decisions/``, ``carried/``, ``gone/``, ``wanted/``, ``items/`` by bucket and ``owners.parquet``; commit.

    Args:
        folder: where to write.
        items: folder of the snapshot, one row an item.
        decisions: folder of DECISIONS parts.
        standing: folder of the exported people tables.
        protecting: mask of the reasons that protect a content wherever it stands.
        bucket_rows: about how many items a bucket holds; the results do not depend on it.
        before: folder of a corpus with the same measuring rules whose measures are carried on, or ``None``.
        same_source: that corpus was built from this very snapshot.
        mentions: names of people who objected are taken out of texts.
        masked: what is taken out leaves its type in angle brackets.
        keys: folder of the key ring.
        inputs: digest of what the folders hold, so that other inputs mean another run.
    """
    assert inputs
    ring, earlier = KeyRing(Path(keys)), Path(before) if before else None
    item_files = parquet_files(Path(items), "items")
    total = sum(_rows(file) for file in item_files)
    buckets = buckets_for(total, bucket_rows)
    with Spill(folder / "decisions", DECIDED, buckets) as spill:
        for table in batches(parquet_files(Path(decisions), "decisions"), DECIDED.names):
            spill.add(table, bucket_numbers(table["item_id"], buckets))
    carrying = earlier is not None and same_source
    if not carrying:
        _split_items(item_files, folder / "items", buckets, None)
    owners = find_owners(item_files, folder / "decisions", DECIDED, buckets, Path(standing))
    pq.write_table(owners, folder / "owners.parquet", compression="zstd")
    counts = {"allowed": 0, "wanted": 0, "carried": 0, "gone": 0}
    compare = _Compare(
        folder=folder,
        before=Before(earlier, ring, buckets),
        owners=owner_hashes(owners),
        protecting=protecting,
        refreshed=mentioning(earlier, Path(standing), mentions=mentions, keys=ring)
        if earlier
        else pa.array([], pa.string()),
        split=not carrying,
        masked=masked or earlier is None,
    )
    wanted: list[Any] = []
    carried: list[int] = []
    fresh: list[int] = []
    seen = 0
    for bucket in range(buckets):
        found = compare.bucket(bucket)
        for name in counts:
            counts[name] += found[name]
        seen += found["items"]
        carried.append(found["carried"])
        fresh.append(found["wanted"])
        wanted += [found["ids"]] if carrying else []
    if seen != total:
        raise _unlike(total, seen, 0)
    if carrying:
        _split_items(item_files, folder / "items", buckets, pa.chunked_array(wanted, pa.string()).combine_chunks())
    facts = {"items": total, "buckets": buckets, "fresh": earlier is None, "split": not carrying}
    commit_record(folder, {**facts, **counts, "carried_rows": carried, "wanted_rows": fresh})


def _rows(file: Path) -> int:
    try:
        return int(pq.read_metadata(file).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise BrokenError(
            f"expected a whole Parquet file in {file.name}, found a damaged one; restore it or import again"
        ) from error


def _split_items(files: list[Path], folder: Path, buckets: int, ids: Any) -> None:
    """Write the columns that measuring needs by bucket: of all items, or of those asked for."""
    with Spill(folder, TEXTS_OF, buckets) as spill:
        for table in items_of(files, ids):
            spill.add(table, bucket_numbers(table["item_id"], buckets))


def items_of(files: list[Path], ids: Any) -> Iterator[Any]:
    """Yield what texts are measured from, of all items or of those asked for, in one reading of the snapshot."""
    if ids is not None and not len(ids):
        return
    for table in batches(files, TEXTS_OF.names):
        yield table if ids is None else table.filter(pc.is_in(table["item_id"], ids))


class _Compare:
    """Holds what a bucket is compared with."""

    def __init__(
        self,
        *,
        folder: Path,
        before: Before,
        owners: tuple[Any, Any],
        protecting: int,
        refreshed: Any,
        split: bool,
        masked: bool,
    ) -> None:
        self._folder, self._before, self._owners = folder, before, owners
        self._protecting = protecting
        self._refreshed, self._split, self._masked = refreshed, split, masked

    def bucket(self, bucket: int) -> dict[str, Any]:
        """Write what is carried on, what is gone and what is wanted; return the counts."""
        decided = read_bucket(self._folder / "decisions", DECIDED, bucket)
        versions = self._versions(bucket, decided)
        table, allowed = self._selected(decided)
        old = self._before.measures(bucket)
        places = pc.index_in(table["item_id"], old["item_id"])
        known = self._known(table, old, places, versions)
        if not self._masked:
            known = pc.and_(known, pc.invert(pc.is_in(table["item_id"], self._named(bucket).combine_chunks())))
        carried = self._carried(table.filter(known), old.take(places.filter(known)))
        untouched = places.filter(known).filter(pc.invert(carried["touched"]))
        gone = np.ones(old.num_rows, bool)
        gone[untouched.to_numpy(zero_copy_only=False).astype(np.int64)] = False
        wanted = table.filter(pc.invert(known)).select(WANTED.names)
        write_bucket(self._folder / "carried", bucket, carried)
        write_bucket(self._folder / "gone", bucket, old.filter(pa.array(gone)))
        write_bucket(self._folder / "wanted", bucket, wanted)
        return {
            "items": decided.num_rows,
            "allowed": allowed,
            "wanted": wanted.num_rows,
            "carried": carried.num_rows,
            "gone": int(gone.sum()),
            "ids": wanted["item_id"].combine_chunks(),
        }

    def _versions(self, bucket: int, decided: Any) -> Any:
        """Return the version of each decided item where it may have changed; check that each has one decision.

        Raises:
            BrokenError: items and decisions do not fit.
        """
        ids = decided["item_id"]
        if len(pc.unique(ids)) != len(ids):
            raise _unlike(len(pc.unique(ids)), len(ids), 0)
        if not self._split:
            return None
        items = read_bucket(self._folder / "items", TEXTS_OF, bucket)
        places = pc.index_in(ids, items["item_id"])
        undecided = items.num_rows - (len(ids) - places.null_count)
        if places.null_count or items.num_rows != len(ids):
            raise _unlike(items.num_rows, len(ids), max(0, undecided))
        return items["version_id"].take(places)

    def _selected(self, decided: Any) -> tuple[Any, int]:
        allowed = pc.fill_null(decided["allowed"], fill_value=False)
        bits = pc.bit_wise_and(pc.fill_null(decided["reason_bits"], 0), self._protecting)
        protected = pc.and_(pc.invert(allowed), pc.not_equal(bits, 0))
        ownerless = pc.sum(pc.and_(allowed, decided["person_id"].is_null())).as_py() or 0
        if ownerless:
            raise BrokenError(
                "expected decisions made from this very snapshot, found others; decide again, then build",
                [f"{ownerless} allowed items have no person; an unknown author can never be allowed"],
            )
        ids, hashes = self._owners
        mine = pc.fill_null(hashes.take(pc.index_in(decided["item_id"], ids)), pa.scalar(0, pa.uint64()))
        table = decided.append_column("protected", protected).append_column("owners", mine)
        number = pa.array(np.arange(decided.num_rows))
        table = table.append_column("row", number).filter(pc.or_(allowed, protected))
        return table, int(pc.sum(allowed).as_py() or 0)

    def _known(self, table: Any, old: Any, places: Any, versions: Any) -> Any:
        """Say of which rows the corpus before knows all that their text says."""
        before = old.take(places)
        known = pc.fill_null(pc.equal(before["person_id"], table["person_id"]), fill_value=False)
        nobody = pc.and_(pc.is_null(before["person_id"]), pc.is_null(table["person_id"]))
        known = pc.and_(pc.or_(known, nobody), pc.is_valid(places))
        same = pc.equal(before["protected"], table["protected"])  # protected texts are measured with their quotes
        known = pc.and_(known, pc.fill_null(same, fill_value=False))
        if versions is not None:
            now = pc.utf8_slice_codeunits(versions.take(table["row"]), 0, 32)
            known = pc.and_(known, pc.fill_null(pc.equal(before["version"], now), fill_value=False))
        return pc.and_(known, pc.invert(pc.is_in(before["record_id"], self._refreshed)))

    def _named(self, bucket: int) -> Any:
        """Return the items whose record had a name taken out, where no mark in the text tells."""
        fates = self._before.fates(bucket, NAMED)
        spans = fates["spans"].combine_chunks()
        kinds = pc.struct_field(pc.list_flatten(spans), "kind")
        rows = pc.list_parent_indices(spans).filter(pc.equal(kinds, "NAME"))
        return fates["item_id"].take(pc.unique(rows))

    def _carried(self, table: Any, old: Any) -> Any:
        """Return the measures that are carried on; whoever else owns a part of the text may be others now."""
        touched = pc.not_equal(old["owners"], table["owners"])
        changed = {"owners": table["owners"]}
        return pa.table([*(changed.get(name, old[name]) for name in MEASURES.names), touched], schema=TOUCHED)


def _unlike(items: int, decisions: int, undecided: int) -> BrokenError:
    return BrokenError(
        "expected decisions made from this very snapshot, found others; decide again, then build",
        [f"every item needs exactly one decision: {items} items, {decisions} decisions, {undecided} items without"],
    )

"""Stage 1: which items are looked at, what is known of them already, and who else owns a part of them.

Allowed items go on. Protected items (a reason in PROTECTING) go on too, only so that their copies can be found; they
never become records. Of each it is asked whether the corpus before measured this very version: then its measures are
carried on, else its text is wanted. With nothing before, everything is wanted: a first build is the same stage.

Only the items of which something changed are looked at (``touched``), and only their parts of the corpus before are
opened. One bucket of items is in memory at a time. "Minus the withheld" is fail-closed: an item without a decision is
not allowed, and its being there is an error (EVIDENCE §5d). Does not decide anything: a decision is read, never made
here.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.disk import batches, parquet_files
from demur.corpus.measures import DECIDED, FATES, LOOKED_AT, MEASURES, OUTGROWN, Before, parts_for
from demur.corpus.owners import OWNERS, Shared, find_owners, owner_hashes
from demur.corpus.spill import Spill, buckets_for, read_bucket, streamed, write_bucket
from demur.corpus.touched import Touched, compare_decisions, compare_names, compare_owners
from demur.errors import BrokenError
from demur.lineage import buckets_of
from demur.store import KeyRing, commit_record, remove_tree

TEXTS_OF: Any = pa.schema(
    [
        ("item_id", pa.string()),
        ("version_id", pa.string()),
        ("created_at", pa.timestamp("us", tz="UTC")),
        ("version_at", pa.timestamp("us", tz="UTC")),
        ("text", pa.string()),
        ("language", pa.string()),
    ]
)
"""What of an item a text is measured from."""
_AROUND = 16
"""Texts that are looked at for each that changed, about: those beside it too."""
_FEWER = 4
"""At most so many times fewer buckets: where a crowd stands beside a text, what is measured still fits."""
WANTED: Any = pa.schema(
    [
        ("item_id", pa.string()),
        ("person_id", pa.string()),
        ("kind", pa.string()),
        ("protected", pa.bool_()),
        ("owners", pa.uint64()),
    ]
)


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
    """Write ``decisions/``, ``carried/``, ``gone/``, ``wanted/``, ``items/`` and ``owners/`` by bucket; commit.

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
    ring, corpus = KeyRing(Path(keys)), Path(before) if before else None
    earlier = Before(corpus, ring)
    item_files, decision_files = parquet_files(Path(items), "items"), parquet_files(Path(decisions), "decisions")
    total = items_in(Path(items))
    buckets, parts = buckets_for(total, bucket_rows), earlier.parts or parts_for(total)
    shared = Shared(item_files)
    touched = compare_decisions(
        folder, decision_files, earlier, parts, buckets, same_source=same_source, keys=ring, each=shared.add
    )
    if touched.decided != total:
        raise _unlike(total, touched.decided, 0)
    carrying = corpus is not None and same_source
    if not carrying:
        split_items(item_files, folder / "items", buckets, None)
    owners = find_owners(shared, Path(standing))
    hashes = owner_hashes(owners)
    compare_owners(folder, touched, hashes, earlier, ring)
    compare_names(folder, touched, earlier, corpus, Path(standing), ring, mentions=mentions, masked=masked)
    if not touched.whole:
        wanted = buckets_for(_AROUND * len(touched.items), bucket_rows)
        buckets = _fewer(folder / "changed", buckets, max(wanted, buckets // _FEWER))
    with Spill(folder / "owners", OWNERS, buckets) as spill:
        spill.add(owners, buckets_of(owners["item_id"], buckets))
    _open(folder, earlier, touched, buckets)
    compare = _Compare(folder, hashes, protecting, touched, split=not carrying)
    found = [compare.bucket(bucket) for bucket in range(buckets)]
    counts = {name: sum(one[name] for one in found) for name in ("allowed", "wanted", "carried", "gone")}
    if carrying:
        wanted = pa.chunked_array([one["ids"] for one in found], pa.string()).combine_chunks()
        split_items(item_files, folder / "items", buckets, wanted)
    facts = {"items": total, "buckets": buckets, "parts": parts, "opened": touched.parts, "whole": touched.whole}
    rows = {f"{name}_rows": [one[name] for one in found] for name in ("decided", "carried", "wanted")}
    commit_record(folder, {**facts, **counts, **rows, "fresh": corpus is None, "split": not carrying,
                           "run": secrets.token_hex(16)})  # fmt: skip


def items_in(folder: Path) -> int:
    """Return how many items a snapshot has."""
    return sum(_rows(file) for file in parquet_files(folder, "items"))


def outgrown(items: int, parts: int) -> bool:
    """Say whether a corpus has become too large for the parts of the one before."""
    return parts_for(items) > OUTGROWN * parts


def _fewer(folder: Path, buckets: int, wanted: int) -> int:
    """Bring what was written to more buckets than it needs to fewer; return how many there are then."""
    if wanted >= buckets:
        return buckets
    other = folder.with_name(f"{folder.name}-in-fewer")
    with Spill(other, DECIDED, wanted) as spill:
        for _, rows in streamed(folder, DECIDED, buckets):
            spill.add(rows, buckets_of(rows["item_id"], wanted))
    remove_tree(folder)
    other.rename(folder)
    return wanted


def _open(folder: Path, earlier: Before, touched: Touched, buckets: int) -> None:
    """Bring what the corpus before knows of the items that are looked at to their buckets."""
    items = None if touched.whole else touched.items
    with Spill(folder / "fates", FATES, buckets) as fates, Spill(folder / "old", MEASURES, buckets) as old:
        for spill, tables in ((fates, earlier.rows("fates", touched.parts)), (old, earlier.measures(touched.parts))):
            for _, table in tables:
                mine = table if items is None else table.filter(pc.is_in(table["item_id"], items))
                spill.add(mine, buckets_of(mine["item_id"], buckets))


def _rows(file: Path) -> int:
    try:
        return int(pq.read_metadata(file).num_rows)
    except MemoryError:  # under a cap; the file may be whole
        raise
    except (pa.ArrowException, OSError) as error:
        raise BrokenError(
            f"expected a whole Parquet file in {file.name}, found a damaged one; restore it or import again"
        ) from error


def split_items(files: list[Path], folder: Path, buckets: int, ids: Any) -> None:
    """Write what texts are measured from by bucket: of all items, or of those asked for."""
    with Spill(folder, TEXTS_OF, buckets) as spill:
        for table in batches(files, TEXTS_OF.names) if ids is None or len(ids) else ():
            mine = table if ids is None else table.filter(pc.is_in(table["item_id"], ids))
            spill.add(mine, buckets_of(mine["item_id"], buckets))


class _Compare:
    """Holds what a bucket is compared with."""

    def __init__(
        self, folder: Path, owners: tuple[Any, Any], protecting: int, touched: Touched, *, split: bool
    ) -> None:
        self._folder, self._owners, self._protecting = folder, owners, protecting
        self._touched, self._split = touched, split

    def bucket(self, bucket: int) -> dict[str, Any]:
        """Write what is decided, what is carried on, what is gone and what is wanted; return the counts."""
        decided = self._decided(bucket)
        write_bucket(self._folder / "decisions", bucket, decided)
        versions = self._versions(bucket, decided)
        table, allowed = self._selected(decided)
        old = read_bucket(self._folder / "old", MEASURES, bucket)
        places = pc.index_in(table["item_id"], old["item_id"])
        known = self._known(table, old, places, versions)
        carried = self._carried(table.filter(known), old.take(places.filter(known)))
        untouched = places.filter(known).filter(pc.invert(carried["touched"]))
        gone = np.ones(old.num_rows, bool)
        gone[untouched.to_numpy(zero_copy_only=False).astype(np.int64)] = False
        wanted = table.filter(pc.invert(known)).select(WANTED.names)
        write_bucket(self._folder / "carried", bucket, carried)
        write_bucket(self._folder / "gone", bucket, old.filter(pa.array(gone)))
        write_bucket(self._folder / "wanted", bucket, wanted)
        return {
            "decided": decided.num_rows,
            "allowed": allowed,
            "wanted": wanted.num_rows,
            "carried": carried.num_rows,
            "gone": int(gone.sum()),
            "ids": wanted["item_id"].combine_chunks(),
        }

    def _decided(self, bucket: int) -> Any:
        """Return the decisions on what is looked at: those that changed, and those that the corpus before knows."""
        changed = read_bucket(self._folder / "changed", DECIDED, bucket)
        if self._touched.whole:
            return changed
        known = read_bucket(self._folder / "fates", DECIDED, bucket)
        same = pc.invert(pc.is_in(known["item_id"], changed["item_id"].combine_chunks()))
        return pa.concat_tables([known.filter(same), changed]).combine_chunks()

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
        return pc.and_(known, pc.invert(pc.is_in(before["record_id"], self._touched.refreshed)))

    def _carried(self, table: Any, old: Any) -> Any:
        """Return the measures that are carried on; whoever else owns a part of the text may be others now."""
        touched = pc.not_equal(old["owners"], table["owners"])
        columns = [table["owners"] if name == "owners" else old[name] for name in MEASURES.names]
        return pa.table([*columns, touched, pa.array(np.zeros(len(touched), bool))], schema=LOOKED_AT)


def _unlike(items: int, decisions: int, undecided: int) -> BrokenError:
    return BrokenError(
        "expected decisions made from this very snapshot, found others; decide again, then build",
        [f"every item needs exactly one decision: {items} items, {decisions} decisions, {undecided} items without"],
    )

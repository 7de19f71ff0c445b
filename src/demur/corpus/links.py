"""Who owns a part of which record: its author, further owners, and whoever owns a copy of it (ERA-02).

A record has one row of its author, and rows of others in the parts of these. The author's row says which parts those
are, so that the lineage of a record is found, and forgotten, without looking at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.deduplicate import COPIES
from demur.corpus.owners import OWNERS
from demur.corpus.spill import Spill, read_bucket
from demur.lineage import buckets_of
from demur.terms.tables import LINEAGE

LINKED: Any = pa.schema([pa.field(field.name, field.type) for field in LINEAGE])
"""LINEAGE without its sentences."""
LINKS: Any = pa.schema([*LINKED, ("beside", pa.list_(pa.int32()))])
"""``beside``, in the row of an author, are the parts that the record's other rows lie in; null where there are none."""


def link(folder: Path, selected: Path, deduplicated: Path, mine: list[int], *, parts: int, buckets: int) -> None:
    """Write the lineage of every relinked record to ``lineage/``, by the bucket of its person's part.

    Args:
        folder: of the place stage, with ``links/``: the authors, by bucket of their item.
        selected: folder of the select stage.
        deduplicated: folder of the deduplicate stage.
        mine: the buckets whose records are linked.
        parts: parts of the sealed files.
        buckets: buckets of the work files.
    """
    with Spill(folder / "lineage", LINKS, buckets) as lineage:
        for bucket in mine:
            authors = read_bucket(folder / "links", LINKED, bucket)
            if not authors.num_rows:
                continue
            owners = read_bucket(selected / "owners", OWNERS, bucket)
            copies = read_bucket(deduplicated / "copies", COPIES, bucket)
            rows = pa.concat_tables([authors, *_of_others(authors, owners, copies)]).combine_chunks()
            there = buckets_of(rows["person_id"], parts)
            lineage.add(rows.append_column(LINKS.field("beside"), _beside(rows, there)), there * buckets // parts)


def rows_of(records: Any, items: Any, persons: Any, role: Any) -> Any:
    """Return LINKED rows: of some records, an item and a person of each, in a role that may be one for all."""
    roles = pa.array(np.full(len(items), role, dtype=object), pa.string()) if isinstance(role, str) else role
    where = {name: records[name] for name in ("record_id", "region", "shard", "slice")}
    columns = where | {"item_id": items, "person_id": persons, "role": roles}
    return pa.table([columns[name] for name in LINKED.names], schema=LINKED)


def _of_others(authors: Any, owners: Any, copies: Any) -> list[Any]:
    rows, own = _matching(authors, owners)
    further = rows_of(rows, own["item_id"], own["person_id"], own["role"])
    rows, copied = _matching(authors, copies)
    copy_owners = rows_of(rows, copied["copy_item_id"], copied["copy_person_id"], "copy_owner")
    return [further, copy_owners.group_by(LINKED.names, use_threads=False).aggregate([]).select(LINKED.names)]


def _matching(authors: Any, others: Any) -> tuple[Any, Any]:
    """Return rows of authors, and beside each a row of the other table on the same item."""
    at = pc.index_in(others["item_id"], authors["item_id"])
    return authors.take(at.drop_null()), others.filter(at.is_valid())


def _beside(rows: Any, there: Any) -> Any:
    """Return, for the row of an author, in which parts the other rows of the record lie; null where there are none."""
    author = pc.equal(rows["role"], "author").combine_chunks()
    others = pa.table({"record_id": rows["record_id"], "part": pa.array(there.astype(np.int32))})
    others = others.filter(pc.invert(author)).group_by(["record_id", "part"], use_threads=False).aggregate([])
    others = others.sort_by([("record_id", "ascending"), ("part", "ascending")]).combine_chunks()
    numbers = others["record_id"].combine_chunks().dictionary_encode()
    begins = np.searchsorted(numbers.indices.to_numpy(), np.arange(len(numbers.dictionary) + 1))
    lists = pa.ListArray.from_arrays(pa.array(begins.astype(np.int32)), others["part"].combine_chunks())
    at = pc.index_in(rows["record_id"].combine_chunks(), numbers.dictionary)
    return lists.take(pc.if_else(author, at, pa.scalar(None, pa.int32())))

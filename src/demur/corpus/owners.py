"""Who else owns a part of an item: co-authors, and the authors of everything that a copy of a copy carries.

Memory holds the items that are shared or carry something, not all. Persons' accounts may change hands: an epoch counts
only if the item was made in it. Does not know texts.
"""

from __future__ import annotations

import hashlib
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.disk import batches
from demur.terms.tables import DECISIONS, ITEMS

MAX_CHAIN = 64
"""Longest chain of copies of copies that is followed; longer ones are withheld by the decision already."""

OWNERS: Any = pa.schema([("item_id", pa.string()), ("person_id", pa.string()), ("role", pa.string())])
_DECISIONS: Any = pa.schema([DECISIONS.field(name) for name in ("item_id", "allowed", "person_id")])
_AT_ONCE = 1_000_000
"""Decisions that are sifted at once: what is asked for is hashed anew each time."""
_LINKS = ["item_id", "created_at", "co_account_ids", "original_id"]


class Shared:
    """Items with co-authors or an original, and the decisions on them and on the originals, gathered as they are read.

    Args:
        items: parts of the snapshot.
    """

    def __init__(self, items: list[Path]) -> None:
        kept = [pa.schema([ITEMS.field(name).remove_metadata() for name in _LINKS]).empty_table()]
        for table in batches(items, _LINKS):
            shared = pc.or_(pc.is_valid(table["co_account_ids"]), pc.is_valid(table["original_id"]))
            kept.append(table.filter(shared))
        self.links = pa.concat_tables([table.cast(kept[0].schema) for table in kept]).combine_chunks()
        ids, originals = (self.links[name].combine_chunks() for name in ("item_id", "original_id"))
        self._asked = pc.unique(pa.chunked_array([ids, originals.drop_null()], pa.string()))
        self._kept = [_DECISIONS.empty_table()]
        self._waiting: list[Any] = []
        self._rows = 0

    def add(self, decisions: Any) -> None:
        """Take decisions in; keep those that are asked for."""
        self._waiting.append(decisions.select(_DECISIONS.names).cast(_DECISIONS))
        self._rows += decisions.num_rows
        if self._rows >= _AT_ONCE:
            self._sift()

    @property
    def decided(self) -> Any:
        """The decisions kept."""
        self._sift()
        return pa.concat_tables(self._kept).combine_chunks()

    def _sift(self) -> None:
        if self._waiting and len(self._asked):
            table = pa.concat_tables(self._waiting)
            self._kept.append(table.filter(pc.is_in(table["item_id"], self._asked)).combine_chunks())
        self._waiting.clear()
        self._rows = 0


def find_owners(shared: Shared, standing: Path) -> Any:
    """Return the further owners of allowed items, each once, in order.

    Args:
        shared: the items, and the decisions on them.
        standing: folder of the people tables.
    """
    links, decided = shared.links, shared.decided
    ids = links["item_id"].combine_chunks()
    at = pc.index_in(ids, decided["item_id"])
    allowed = pc.fill_null(decided["allowed"].take(at), fill_value=False)
    found = [_co_authors(links.filter(allowed), standing), *_originals(links, allowed, decided)]
    owners = pa.concat_tables([OWNERS.empty_table(), *found])
    unique = owners.filter(owners["person_id"].is_valid()).group_by(OWNERS.names, use_threads=False).aggregate([])
    return unique.select(OWNERS.names).sort_by([(name, "ascending") for name in OWNERS.names])


def owner_hashes(owners: Any) -> tuple[Any, Any]:
    """Return the items that have further owners, and a hash of these for each; 0 stands for none."""
    rows = zip(*(owners[name].to_pylist() for name in OWNERS.names), strict=True)
    ids, hashes = [], []
    for item, group in groupby(rows, key=lambda row: row[0]):
        digest = hashlib.blake2b(repr([row[1:] for row in group]).encode(), digest_size=8).digest()
        ids.append(item)
        hashes.append(int.from_bytes(digest, "big") | 1)
    return pa.array(ids, pa.string()), pa.array(hashes, pa.uint64())


def _co_authors(links: Any, standing: Path) -> Any:
    shared = links.filter(pc.is_valid(links["co_account_ids"])).combine_chunks()
    lists = shared["co_account_ids"].combine_chunks()
    parents = pc.list_parent_indices(lists)
    each = pa.table(
        {
            "item_id": shared["item_id"].take(parents),
            "created_at": shared["created_at"].take(parents),
            "account_id": pc.list_flatten(lists),
        }
    )
    if not each.num_rows:
        return OWNERS.empty_table()
    columns = ["account_id", "person_id", "owned_from", "owned_until"]
    epochs = pq.read_table(standing / "accounts.parquet", columns=columns)
    epochs = epochs.filter(pc.is_in(epochs["account_id"], pc.unique(each["account_id"])))
    owned = each.join(epochs, keys="account_id", join_type="inner", use_threads=False)
    made = owned["created_at"]
    begun = pc.fill_null(pc.less_equal(owned["owned_from"], made), fill_value=True)
    not_over = pc.fill_null(pc.less(made, owned["owned_until"]), fill_value=True)
    owned = owned.filter(pc.and_(begun, not_over))
    return _as_owners(owned["item_id"], owned["person_id"], "co_author")


def _originals(links: Any, allowed: Any, decided: Any) -> list[Any]:
    """Follow ``original_id`` to the root: the author of every item on the way owns a part of the copy.

    Circles end with MAX_CHAIN; they are withheld anyway.
    """
    carrying = pc.is_valid(links["original_id"])
    here = links.filter(pc.and_(allowed, carrying)).select(["item_id", "original_id"])
    onward = links.filter(carrying)
    found = []
    for _ in range(1, MAX_CHAIN):
        if not here.num_rows:
            break
        person = decided["person_id"].take(pc.index_in(here["original_id"], decided["item_id"]))
        found.append(_as_owners(here["item_id"], person, "original_author"))
        further = onward["original_id"].take(pc.index_in(here["original_id"], onward["item_id"]))
        here = pa.table({"item_id": here["item_id"], "original_id": further})
        here = here.filter(pc.is_valid(here["original_id"]))
    return found


def _as_owners(items: Any, persons: Any, role: str) -> Any:
    roles = pa.array(np.full(len(items), role, dtype=object), pa.string())
    return pa.table([items, persons, roles], schema=OWNERS)

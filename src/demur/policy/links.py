"""What hangs on what: chains of parents and of originals among the items, walked for all of them at once.

Only items that another one names are nodes. A pointer jumps twice as far in every round, so depth costs its logarithm;
what still points somewhere after that stands on a circle, or leads into one.

This module does *not* know rules or people.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.policy.coded import NONE, Numbers
from demur.policy.judge import UNKNOWN_RANK

END = 0
"""The node behind all nodes: a chain that reaches it is complete."""


def named_items(batches: Iterable[Any]) -> Any:
    """Return the distinct item ids that any item names as parent or original.

    Args:
        batches: record batches of ``parent_id`` and ``original_id``.
    """
    found: list[Any] = []
    for batch in batches:
        for name in ("parent_id", "original_id"):
            column = batch.column(name)
            if column.null_count < len(column):
                found.append(pc.unique(column.drop_null()))
    return pc.unique(pa.concat_arrays(found)) if found else pa.array([], pa.string())


@dataclass(slots=True)
class Links:
    """The named items as nodes 1 … n; node 0 is the end of a chain."""

    ids: Any
    row: Numbers
    """Node → row of the item; ``NONE`` = not in the snapshot."""
    parent: Numbers
    original: Numbers

    @classmethod
    def over(cls, ids: Any) -> Links:
        """Return links over some ids, nothing found yet."""
        size = len(ids) + 1
        row = np.full(size, NONE, dtype=np.int64)
        return cls(ids, row, np.zeros(size, dtype=np.int32), np.zeros(size, dtype=np.int32))

    def nodes(self, texts: Any) -> Numbers:
        """Return the node of each id; 0 = nobody names it, or no id."""
        if not len(self.ids) or texts.null_count == len(texts):
            return np.zeros(len(texts), dtype=np.int32)
        found = pc.index_in(texts, value_set=self.ids, skip_nulls=True)
        nodes: Numbers = (found.fill_null(NONE).to_numpy(zero_copy_only=False) + 1).astype(np.int32)
        return nodes


def widest_view(own: Numbers, parent: Numbers) -> Numbers:
    """Return every node's effective audience: the highest rank up its chain of parents; on a circle unknown.

    Args:
        own: node → its own rank, node 0 with the lowest.
        parent: node → its parent's node, 0 = none.
    """
    rank, pointer = own.copy(), parent.copy()
    for _ in range(_rounds(len(own))):
        rank = np.maximum(rank, rank[pointer])
        pointer = pointer[pointer]
    rank[pointer != END] = UNKNOWN_RANK
    return rank


def inherited(own: Numbers, broken: Numbers, original: Numbers) -> tuple[Numbers, Numbers]:
    """Return the reasons of everything on each node's chain of originals, itself included, and whether it breaks.

    Args:
        own: node → mask of its own reasons.
        broken: node → it is not in the snapshot, or a copy that names no original.
        original: node → node whose content it carries, 0 = none.
    """
    mask, torn, pointer = own.copy(), broken.copy(), original.copy()
    for _ in range(_rounds(len(own))):
        mask |= mask[pointer]
        torn |= torn[pointer]
        pointer = pointer[pointer]
    return mask, torn | (pointer != END)


def _rounds(nodes: int) -> int:
    return math.ceil(math.log2(nodes + 1)) + 1 if nodes > 1 else 0

"""Which record is trained when: keyed-hash cells with holes, grains inside a cell (ERASURE §3.2). Pure.

A record's cell depends on its id and the key alone; so an absent record leaves a hole and moves nobody. Not handled
here: how a grain becomes gradients (learn.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from demur.store.keys import keyed_hash


@dataclass(frozen=True, slots=True)
class Encoded:
    """A record as token ids, one row of its own."""

    record_id: str
    ids: tuple[int, ...]


def cell_of(key: bytes, record_id: str, epoch: int, cells: int) -> int:
    """Return the cell of a record in an epoch: a keyed hash of the record alone.

    >>> cell_of(bytes(32), "ab", 0, 4) == cell_of(bytes(32), "ab", 0, 4)
    True
    """
    return int.from_bytes(keyed_hash(key, "cell", str(epoch), record_id)[:8], "big") % cells


def cells_of(key: bytes, rows: Sequence[Encoded], epoch: int, cells: int) -> list[list[Encoded]]:
    """Return the members of every cell of an epoch; an empty list is a hole."""
    placed: list[list[Encoded]] = [[] for _ in range(cells)]
    for row in rows:
        placed[cell_of(key, row.record_id, epoch, cells)].append(row)
    return placed


def grains_of(members: Sequence[Encoded], grain: int) -> list[list[Encoded]]:
    """Return a cell's members in forward passes of at most ``grain``, by (length, record id): little padding."""
    ordered = sorted(members, key=lambda row: (len(row.ids), row.record_id))
    return [ordered[first : first + grain] for first in range(0, len(ordered), grain)]

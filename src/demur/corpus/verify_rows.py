"""Which rows differ between the sealed files of two corpora: parts that differ are opened side by side, many at a time.

A row is told by a hash of its columns, counted: who stands there twice is not who stands there once. Memory holds some
parts, and what differs. Does not know what rows mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.lineage import SealedFile

_DIGITS = 32
_ONES = np.uint64(0x0101010101010101)
_ELSEWHERE = np.uint64(0x9E3779B97F4A7C15)
"""A row that stands in another part is another row."""
TOGETHER = 512
"""Parts that are open at a time; some hundred rows each."""


@dataclass(frozen=True, slots=True)
class Block:
    """Some parts of the later file, and what differs in them."""

    parts: Any
    """Part of each row."""
    rows: Any
    came: Any
    """Rows that the earlier file has not, or not as often."""
    went: Any
    """Rows that the later file has not, or not as often."""
    came_to: Any
    """Part of each."""
    went_from: Any
    """Part of each."""


def blocks(engine: Any, then: SealedFile, now: SealedFile, schema: Any) -> Iterator[Block]:
    """Yield the parts of the later file that differ; a part is never divided.

    Args:
        engine: makes the hashes.
        then: the earlier file.
        now: the later file, in as many parts.
        schema: the columns that count.
    """
    for some in divided(now.differing(then)):
        parts, rows = gathered(now, some, schema)
        former_parts, former = gathered(then, some, schema)
        placed = (
            prints(engine, table) ^ there.astype(np.uint64) * _ELSEWHERE
            for there, table in ((parts, rows), (former_parts, former))
        )
        here, there = unlike(*placed)
        came, went = rows.filter(pa.array(here)), former.filter(pa.array(there))
        yield Block(parts, rows, came, went, parts[here], former_parts[there])


def divided(parts: Iterable[int]) -> Iterator[list[int]]:
    """Yield parts in order, some at a time."""
    wanted = sorted(parts)
    for at in range(0, len(wanted), TOGETHER):
        yield wanted[at : at + TOGETHER]


def gathered(file: SealedFile, parts: Iterable[int], schema: Any) -> tuple[Any, Any]:
    """Return the part of each row and the rows of some parts; columns that are not asked for are dropped at once."""
    numbers, sizes, found = [], [], []
    for part, rows in file.parts(parts):
        numbers.append(part)
        sizes.append(rows.num_rows)
        found.append(rows.select(schema.names))
    together = pa.concat_tables(found).cast(schema) if found else schema.empty_table()
    return np.repeat(np.array(numbers, np.int64), sizes), together.combine_chunks()


def prints(engine: Any, rows: Any) -> Any:
    """Return a hash of each row, uint64."""
    if not rows.num_rows:
        return np.zeros(0, np.uint64)
    engine.register("hashed", rows)
    found = engine.execute("SELECT hash(*COLUMNS(*)) AS print FROM hashed").fetchnumpy()["print"]
    engine.unregister("hashed")
    return np.asarray(found, np.uint64)


def unpaired(one: SealedFile, other: SealedFile) -> int:
    """Return how many parts hold another number of rows in each of two files that stand side by side."""
    if one.buckets != other.buckets:
        return max(one.buckets, other.buckets)
    return int(np.count_nonzero(one.sizes() != other.sizes()))


def compared(here: Any, there: Any) -> Iterator[tuple[str, Any]]:
    """Yield the ids that came, that went, and that stand twice."""
    with suppress(UnclearError):
        masks = _apart(_hashed(here), _hashed(there))
        if masks is not None:
            yield from zip(
                ("came", "went"), (here.filter(pa.array(masks[0])), there.filter(pa.array(masks[1]))), strict=True
            )
            return
    yield "came", here.filter(pc.invert(pc.is_in(here, there)))
    yield "went", there.filter(pc.invert(pc.is_in(there, here)))
    counted = pc.value_counts(here)
    yield "twice", counted.field(0).filter(pc.greater(counted.field(1), 1))


def _hashed(records: Any) -> Any:
    """Return a number for each record id, of all its digits.

    Raises:
        UnclearError: an id is no record id.
    """
    eights = _digits(records)
    found = eights[:, 0].copy()
    for column in range(1, 4):
        found *= _ELSEWHERE
        found ^= found >> np.uint64(32)
        found ^= eights[:, column]
    return found * _ELSEWHERE


def _digits(records: Any) -> Any:
    """Return the digits of record ids as they stand, eight in each number, uint64 [ids, 4].

    Raises:
        UnclearError: an id is no record id, which has 32 digits.
    """
    if pc.any(pc.not_equal(pc.binary_length(records), _DIGITS)).as_py() or records.null_count:
        raise UnclearError
    if not len(records):
        return np.zeros((0, 4), np.uint64)
    begin = int(np.frombuffer(records.buffers()[1], np.int32)[records.offset])
    return np.frombuffer(records.buffers()[2], np.uint64, 4 * len(records), begin).reshape(-1, 4)


class UnclearError(Exception):
    """Something is not as it is known to be: all has to be judged."""


def numbered(records: Any) -> Any:
    """Return a number for each record id: the first half of its digits, so that equal ids have equal ones.

    Raises:
        UnclearError: an id is no record id.
    """
    halves = _digits(records)[:, :2]
    values = (halves & np.uint64(0x0F0F0F0F0F0F0F0F)) + np.uint64(9) * ((halves >> np.uint64(6)) & _ONES)
    return values[:, 0] | (values[:, 1] << np.uint64(4))


def unlike(here: Any, there: Any) -> tuple[Any, Any]:
    """Say which numbers of each array stand another number of times in the other.

    >>> [mask.tolist() for mask in unlike(np.array([1, 2, 2, 3]), np.array([3, 2, 4]))]
    [[True, True, True, False], [False, True, True]]
    """
    masks = _apart(here, there)
    if masks is not None:
        return masks
    names, places = np.unique(np.concatenate([here, there]), return_inverse=True)
    mine, theirs = places[: len(here)], places[len(here) :]
    differ = np.bincount(mine, minlength=len(names)) != np.bincount(theirs, minlength=len(names))
    return differ[mine], differ[theirs]


def _apart(here: Any, there: Any) -> tuple[Any, Any] | None:
    """Say which numbers of each array the other has not; nothing where one stands twice on a side."""
    orders = np.argsort(here), np.argsort(there)
    mine, theirs = here[orders[0]], there[orders[1]]
    if np.any(mine[1:] == mine[:-1]) or np.any(theirs[1:] == theirs[:-1]):
        return None
    masks = np.ones(len(here), bool), np.ones(len(there), bool)
    if len(theirs):
        places = np.minimum(np.searchsorted(theirs, mine), len(theirs) - 1)
        same = theirs[places] == mine
        masks[0][orders[0][same]] = masks[1][orders[1][places[same]]] = False
    return masks


def times(sought: Any, among: Any) -> Any:
    """Return how often each number stands in a sorted array.

    >>> times(np.array([2, 5]), np.array([1, 2, 2])).tolist()
    [2, 0]
    """
    return np.searchsorted(among, sought, "right") - np.searchsorted(among, sought)

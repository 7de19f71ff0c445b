"""Which rows differ between the sealed files of two corpora: parts that differ are opened side by side, many at a time.

A row is told by a hash of its columns, counted: who stands there twice is not who stands there once. Memory holds some
parts, and what differs. Does not know what rows mean.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.lineage import SealedFile

_DIGITS = 32
_ONES = np.uint64(0x0101010101010101)
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
        went = gathered(then, some, schema)[1]
        here, there = unlike(prints(engine, rows), prints(engine, went))
        came, went = rows.filter(pa.array(here)), went.filter(pa.array(there))
        yield Block(parts, rows, came, went)


def divided(parts: Iterable[int]) -> Iterator[list[int]]:
    """Yield parts in order, some at a time."""
    wanted = sorted(parts)
    for at in range(0, len(wanted), TOGETHER):
        yield wanted[at : at + TOGETHER]


def gathered(file: SealedFile, parts: Iterable[int], schema: Any) -> tuple[Any, Any]:
    """Return the part of each row and the rows of some parts."""
    found = list(file.gathered(parts))
    numbers = np.concatenate([np.zeros(0, np.int64), *(there for there, _ in found)])
    together = pa.concat_tables([schema.empty_table(), *(rows.select(schema.names).cast(schema) for _, rows in found)])
    return numbers, together.combine_chunks()


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
    yield "came", here.filter(pc.invert(pc.is_in(here, there)))
    yield "went", there.filter(pc.invert(pc.is_in(there, here)))
    if not pc.all(pc.less(here[:-1], here[1:])).as_py():  # in order each is another
        counted = pc.value_counts(here)
        yield "twice", counted.field(0).filter(pc.greater(counted.field(1), 1))


class UnclearError(Exception):
    """Something is not as it is known to be: all has to be judged."""


def numbered(records: Any) -> Any:
    """Return a number for each record id: the first half of its digits, so that equal ids have equal ones.

    Raises:
        UnclearError: an id is no record id, which has 32 digits.
    """
    if pc.any(pc.not_equal(pc.binary_length(records), _DIGITS)).as_py() or records.null_count:
        raise UnclearError
    if not len(records):
        return np.zeros(0, np.uint64)
    places = np.frombuffer(records.buffers()[1], np.int32)[records.offset :]
    digits = np.frombuffer(records.buffers()[2], np.uint8)[places[0] : places[0] + _DIGITS * len(records)]
    halves = np.ascontiguousarray(digits.reshape(-1, _DIGITS)[:, :16]).view(np.uint64)
    values = (halves & np.uint64(0x0F0F0F0F0F0F0F0F)) + np.uint64(9) * ((halves >> np.uint64(6)) & _ONES)
    return values[:, 0] | (values[:, 1] << np.uint64(4))


def unlike(here: Any, there: Any) -> tuple[Any, Any]:
    """Say which numbers of each array stand another number of times in the other.

    >>> [mask.tolist() for mask in unlike(np.array([1, 2, 2, 3]), np.array([3, 2, 4]))]
    [[True, True, True, False], [False, True, True]]
    """
    names, places = np.unique(np.concatenate([here, there]), return_inverse=True)
    mine, theirs = places[: len(here)], places[len(here) :]
    differ = np.bincount(mine, minlength=len(names)) != np.bincount(theirs, minlength=len(names))
    return differ[mine], differ[theirs]


def times(sought: Any, among: Any) -> Any:
    """Return how often each number stands in a sorted array.

    >>> times(np.array([2, 5]), np.array([1, 2, 2])).tolist()
    [2, 0]
    """
    return np.searchsorted(among, sought, "right") - np.searchsorted(among, sought)

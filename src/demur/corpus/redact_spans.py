"""Spans: what was found in a normalised text, as one list in order and without overlap, in Python and in Arrow.

Does not search. A span is (start, end, kind) in code points of the normalised text.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.redact_patterns import Span

SPANS: Any = pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("kind", pa.string())]))
"""Type of a column of spans."""


def masked(text: str, spans: Sequence[Span]) -> str:
    """Return a text with every span replaced by its kind in angle brackets."""
    if not spans:
        return text
    parts, place = [], 0
    for start, end, kind in spans:
        parts += [text[place:start], "<", kind, ">"]
        place = end
    return "".join([*parts, text[place:]])


def masked_batch(normalised: Any, found: dict[int, list[Span]]) -> Any:
    """Return the texts with every span replaced by its kind in angle brackets."""
    rows = sorted(found)
    sources = normalised.take(pa.array(rows, pa.int64())).to_pylist()
    return replaced(normalised, {row: masked(text, found[row]) for row, text in zip(rows, sources, strict=True)})


def replaced(normalised: Any, changed: dict[int, str]) -> Any:
    """Return the texts with some rows, by number, exchanged."""
    if not changed:
        return normalised
    rows = sorted(changed)
    mask = np.zeros(len(normalised), bool)
    mask[rows] = True
    return pc.replace_with_mask(normalised, pa.array(mask), pa.array([changed[row] for row in rows], pa.string()))


def united(spans: Sequence[Span]) -> list[Span]:
    """Return spans in order; those that overlap become one, with the kind of the longest of them."""
    if len(spans) < 2:
        return list(spans)
    whole: list[Span] = []
    longest = 0
    for start, end, kind in sorted(spans, key=lambda one: (one[0], one[0] - one[1], one[2])):
        if whole and start < whole[-1][1]:
            first, last, known = whole[-1]
            if end - start > longest:
                known, longest = kind, end - start
            whole[-1] = (first, max(last, end), known)
        else:
            whole.append((start, end, kind))
            longest = end - start
    return whole


def onto(old: Sequence[Span], new: Sequence[Span]) -> list[Span]:
    """Return spans found in the masked text as spans of the text itself, together with those masked before.

    Args:
        old: spans of the text.
        new: spans of what :func:`masked` made of the text and ``old``.
    """
    if not old:
        return united(new)
    marks: list[tuple[int, int, int, int]] = []
    shift = 0
    for start, end, kind in old:
        marks.append((start + shift, start + shift + len(kind) + 2, start, end))
        shift = marks[-1][1] - end
    firsts = [mark[0] for mark in marks]
    back = [(_back(start, marks, firsts)[0], _back(end, marks, firsts)[1], kind) for start, end, kind in new]
    return united([*old, *back])


def _back(place: int, marks: Sequence[tuple[int, int, int, int]], firsts: Sequence[int]) -> tuple[int, int]:
    """Return where a place of the masked text stood, as the start of a span and as the end of one."""
    before = bisect_right(firsts, place) - 1
    if before < 0:
        return place, place
    first, last, start, end = marks[before]
    if place < last:
        return start, end if place > first else start
    return place + end - last, place + end - last


def to_arrow(found: dict[int, list[Span]], rows: int) -> Any:
    """Return spans by row as an Arrow column; rows without a finding hold an empty list."""
    sizes = np.zeros(rows + 1, np.int32)
    for row, spans in found.items():
        sizes[row + 1] = len(spans)
    flat = list(chain.from_iterable(found[row] for row in sorted(found)))
    columns = [
        pa.array([one[0] for one in flat], pa.int32()),
        pa.array([one[1] for one in flat], pa.int32()),
        pa.array([one[2] for one in flat], pa.string()),
    ]
    values = pa.StructArray.from_arrays(columns, fields=list(SPANS.value_type))
    return pa.ListArray.from_arrays(pa.array(np.cumsum(sizes, dtype=np.int32)), values, type=SPANS)


def from_arrow(spans: Any) -> list[list[Span]]:
    """Return an Arrow column of spans as Python lists; null reads as empty."""
    return [[(one["start"], one["end"], one["kind"]) for one in row or ()] for row in spans.to_pylist()]

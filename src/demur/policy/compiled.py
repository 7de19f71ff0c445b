"""The other reading of a condition: one expression of the engine over columns of whole numbers.

``compile_condition`` must say of every row what ``rules.holds`` says of one item; a property test holds the two equal.
This module does *not* know policies, files or people.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa

from demur.engine import col, collect, lit, table
from demur.policy.coded import Codebook, Numbers, arrow, microseconds
from demur.policy.facts import CODED_FIELDS
from demur.policy.rules import All, Before, Condition, Is, Missing, Not, OneOf, Overlaps, Rule, Some, Within
from demur.terms.reasons import BIT


def compile_condition(condition: Condition, book: Codebook) -> Any:  # noqa: PLR0911  (one line a kind of condition)
    """Return a condition as an engine expression that is true or false for every row, never null."""
    match condition:
        case Missing(field):
            return col(field).is_null()
        case Is(field, value):
            return _equal(field, [_code(field, value, book)])
        case OneOf(field, values):
            return _equal(field, [book.code(field, value) for value in sorted(values)])
        case Within(field, of):
            return _within(field, of, book)
        case Overlaps(field, values):
            met = [code for code, members in enumerate(book.sets[field]) if not values.isdisjoint(members)]
            return _equal(field, met)
        case Before(first, second):
            return (_instant(first) < _instant(second)).fill_null(lit(False))
        case Not(of):
            return ~compile_condition(of, book)
        case All(of):
            return reduce(lambda one, other: one & other, [compile_condition(each, book) for each in of])
        case Some(of):
            return reduce(lambda one, other: one | other, [compile_condition(each, book) for each in of])


def _code(field: str, value: str | bool | int, book: Codebook) -> int | None:
    return book.code(field, str(value)) if field in CODED_FIELDS else int(value)


def _instant(named: str | datetime) -> Any:
    return col(named) if isinstance(named, str) else lit(microseconds(named))


def _equal(field: str, codes: Sequence[int | None]) -> Any:
    """Return whether a column equals one of some codes, as a few ranges; unknown equals nothing.

    Not the engine's ``is_in``: beside another use of the same column it ends in a panic (daft 0.7.26, stats.rs).
    """
    found = sorted({code for code in codes if code is not None})
    if not found:
        return col(field).is_null() & lit(False)
    edges = [0, *(place for place in range(1, len(found)) if found[place] != found[place - 1] + 1), len(found)]
    spans = [(found[low], found[high - 1]) for low, high in itertools.pairwise(edges)]
    return reduce(lambda one, other: one | other, [_between(field, low, high) for low, high in spans]).fill_null(
        lit(False)
    )


def _between(field: str, low: int, high: int) -> Any:
    return col(field) == lit(low) if low == high else (col(field) >= lit(low)) & (col(field) <= lit(high))


def _within(field: str, of: str, book: Codebook) -> Any:
    """Return whether a word lies in the row's set; by set or by word, whichever makes the shorter expression."""
    sets = book.sets[of]
    words = sorted(set().union(*sets)) if sets else []
    if len(sets) <= len(words):
        parts = [
            _equal(of, [code]) & _equal(field, [book.code(field, word) for word in sorted(members)])
            for code, members in enumerate(sets)
        ]
    else:
        parts = [
            _equal(field, [book.code(field, word)])
            & _equal(of, [code for code, members in enumerate(sets) if word in members])
            for word in words
        ]
    return reduce(lambda one, other: one | other, parts) if parts else col(field).is_null() & lit(False)


def masks(rules: Sequence[Rule], columns: dict[str, Numbers], book: Codebook, size: int) -> Numbers:
    """Return the reasons of every row as a mask, over some of the rules.

    Args:
        rules: the rules to ask.
        columns: every fact that they read, as numbers.
        book: what the numbers stand for.
        size: number of rows.
    """
    total = np.zeros(size, dtype=np.int64)
    if not rules or not size:
        return total
    needed = sorted({name for rule in rules for name in rule.fields})
    frame = table(pa.table({name: arrow(columns[name]) for name in needed}))
    found = collect(frame.select(*[compile_condition(rule.when, book).alias(rule.reason.value) for rule in rules]))
    for rule in rules:
        applies = found[rule.reason.value].combine_chunks().to_numpy(zero_copy_only=False)
        total[applies] |= BIT[rule.reason]
    return total

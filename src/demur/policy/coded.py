"""Facts as whole numbers: how a column of facts looks to numpy and to the engine.

Words become codes, truth becomes 0 and 1, instants become microseconds since 1970, sets become positions in a list of
distinct sets. Every type has one number for *unknown*. So a rule over a million items compares integers, never texts.

This module does *not* know rules, and reads no files.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from demur.policy.facts import CODED_FIELDS, SET_FIELDS
from demur.terms.content import Audience, ItemState, Kind, Signal
from demur.terms.people import Status
from demur.terms.policy import Regime, SignalUnknown

Numbers = NDArray[Any]

NEVER: int = np.iinfo(np.int64).min
"""An unknown instant; smaller than every instant, so ``maximum`` ignores it."""
FOREVER: int = np.iinfo(np.int64).max
NONE = -1
"""An unknown code, truth or number of days."""
DAY = 86_400_000_000
"""Microseconds in a day."""
_MARK = "\x00"
_JOIN = "\x1f"

Members = tuple[str | None, ...]


@dataclass(slots=True)
class Codebook:
    """Which number stands for which word or set in each field."""

    words: dict[str, list[str]] = field(
        default_factory=lambda: {
            "kind": [kind.value for kind in Kind],
            "state": [state.value for state in ItemState],
            "audience": [audience.value for audience in Audience],
            "item_signal": [signal.value for signal in Signal],
            "account_signal": [signal.value for signal in Signal],
            "status": [status.value for status in Status],
            "regime": [regime.value for regime in Regime],
            "signal_unknown": [meaning.value for meaning in SignalUnknown],
            "service": [],
        }
    )
    sets: dict[str, list[frozenset[str]]] = field(default_factory=lambda: {name: [] for name in SET_FIELDS})

    def encode(self, name: str, texts: Any) -> Numbers:
        """Return the codes of a text column.

        A word that is not in the book gets a code of its own after the last (known, but nothing that a rule names);
        services are added to the book as they come.
        """
        known = self.words[name]
        plain = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        if name == "service":
            known.extend(sorted(set(pc.unique(plain.drop_null()).to_pylist()) - set(known)))
        found = pc.index_in(plain, value_set=pa.array(known, pa.string()))
        codes: Numbers = found.fill_null(len(known) if name != "service" else NONE).to_numpy(zero_copy_only=False)
        codes = codes.astype(np.int16 if name == "service" else np.int8)
        if plain.null_count:
            codes[plain.is_null().to_numpy(zero_copy_only=False)] = NONE
        return codes

    def code(self, name: str, word: str) -> int | None:
        """Return the code of a word; ``None`` = it does not occur."""
        words = self.words[name]
        return words.index(word) if word in words else None

    def add_sets(self, name: str, sets: Iterable[frozenset[str] | None]) -> Numbers:
        """Return the codes of some sets, adding the new ones to the book; ``None`` is unknown."""
        book = self.sets[name]
        places = {each: position for position, each in enumerate(book)}
        codes = []
        for each in sets:
            if each is None:
                codes.append(NONE)
                continue
            if each not in places:
                places[each] = len(book)
                book.append(each)
            codes.append(places[each])
        return np.array(codes, dtype=np.int32)


assert set(Codebook().words) == CODED_FIELDS, "every coded field has words"


def instants(column: Any) -> Numbers:
    """Return a timestamp column as microseconds; unknown = ``NEVER``."""
    plain = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    whole = plain.cast(pa.timestamp("us", tz="UTC")).cast(pa.int64())
    return whole.fill_null(NEVER).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def truths(column: Any) -> Numbers:
    """Return a boolean column as 0, 1 or ``NONE``."""
    plain = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return plain.cast(pa.int8()).fill_null(NONE).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]


def distinct_lists(column: Any) -> tuple[Numbers, list[Members | None]]:
    """Return the position of each list in a list of the distinct ones; a null list is ``None`` there."""
    plain = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    missing = plain.is_null().to_numpy(zero_copy_only=False)
    flat = pc.fill_null(plain.flatten(), _MARK)
    lengths = pc.fill_null(pc.list_value_length(plain), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    joined = pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), flat), _JOIN)
    # A list of one empty text and an empty list join alike: the length tells them apart.
    joined = pc.binary_join_element_wise(pa.array(np.minimum(lengths, 1)).cast(pa.string()), joined, _JOIN)
    coded = joined.dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    lists: list[Members | None] = [_members(text) for text in coded.dictionary.to_pylist()]
    if missing.any():
        lists.append(None)
        codes[missing] = len(lists) - 1
    return codes, lists


def _members(text: str) -> Members:
    length, *members = text.split(_JOIN)
    return tuple(None if member == _MARK else member for member in members) if length != "0" else ()


def microseconds(instant: datetime | None) -> int:
    """Return an instant as microseconds since 1970; unknown = ``NEVER``."""
    if instant is None:
        return NEVER
    return int(np.datetime64(instant.replace(tzinfo=None), "us").astype(np.int64))


def unknown_of(values: Numbers) -> int:
    """Return the number that stands for unknown in a column."""
    return NEVER if values.dtype == np.int64 else NONE


def arrow(values: Numbers) -> Any:
    """Return a column for the engine; unknown becomes null."""
    unknown = values == unknown_of(values)
    return pa.array(values, mask=unknown if unknown.any() else None)


def lookup(values: Sequence[Any], positions: Numbers, dtype: Any) -> Numbers:
    """Return ``values[positions]`` as numbers, for a short list of values."""
    return np.array(values, dtype=dtype)[positions]

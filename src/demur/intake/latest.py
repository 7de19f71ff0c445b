"""Which version of an item counts, and what an account's many records say together. Pure: tables in, tables out."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from demur.intake.check import PERSON_RULES
from demur.intake.index import ids_of
from demur.terms.content import NARROWNESS, ItemState, Signal
from demur.terms.tables import PEOPLE

_UNKNOWN_TIME = np.iinfo(np.int64).min
"""Stands for a null ``version_at``: before every instant in the order, but never *known* to be over."""
_AUDIENCES = tuple(NARROWNESS)


def _ordered(table: Any, keys: npt.NDArray[np.uint64], identity: str) -> tuple[Any, Any, Any]:
    """Return places in the order (hash of the id, id, version_at, version_id), their times, and where groups start."""
    times = table["version_at"].combine_chunks().cast(pa.int64()).fill_null(_UNKNOWN_TIME)
    micros = times.to_numpy(zero_copy_only=False)
    versions = ids_of(table["version_id"].to_pylist())
    places = np.lexsort((versions[:, 1], versions[:, 0], micros, keys))
    ids = table[identity].combine_chunks()
    again = np.flatnonzero(keys[places][1:] == keys[places][:-1])
    first, second = ids.take(pa.array(places[again])), ids.take(pa.array(places[again + 1]))
    if pc.any(pc.not_equal(first, second)).as_py():
        # two ids with one hash: hardly ever
        columns = {"key": pa.array(keys), "id": ids, "at": times, "version": table["version_id"]}
        order = [(name, "ascending") for name in columns]
        places = pc.sort_indices(pa.table(columns), sort_keys=order).to_numpy()
    ids = ids.take(pa.array(places))
    starts = np.flatnonzero(np.r_[True, pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)])
    return places, micros[places], starts


def current_items(table: Any, keys: npt.NDArray[np.uint64], as_of: datetime | None) -> Any:
    """Return one row an item: its version at ``as_of``, narrowed by whatever became of it later.

    Args:
        table: versions (ITEMS), all versions of an item among them.
        keys: (n,) order of the items.
        as_of: the greatest (version_at, version_id) not after it counts; a version without a time counts as oldest.
            ``None`` = the greatest of all.

    Returns:
        Rows in the order of ``keys``. State, audiences and signal are the most protective ones of the chosen version
        and of all versions that are later, as late, or of unknown time; everything else is the chosen version's.
        An item whose versions are all later than ``as_of`` has no row.
    """
    if not table.num_rows:
        return table
    places, times, starts = _ordered(table, keys, "item_id")
    limit = np.iinfo(np.int64).max if as_of is None else _micros(as_of)
    rows = np.arange(len(places))
    chosen = np.maximum.reduceat(np.where(times <= limit, rows, -1), starts)
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(places)]))
    since = np.where(chosen >= 0, times[chosen], 0)[group]
    counts = (times >= since) | (times == _UNKNOWN_TIME)
    present = chosen >= 0
    result = table.take(pa.array(places[chosen[present]]))
    for column, ranks, words in _NARROWED:
        worst = np.maximum.reduceat(np.where(counts, _ranks(table[column], ranks)[places], -1), starts)[present]
        known = np.array([None, *words], dtype=object)[worst + 1]
        result = result.set_column(
            result.schema.get_field_index(column), result.schema.field(column), pa.array(known, type=pa.string())
        )
    return result


_NARROWED: tuple[tuple[str, dict[str, int], tuple[str, ...]], ...] = (
    ("state", {ItemState.LIVE.value: 0, ItemState.DELETED.value: 1}, (ItemState.LIVE.value, ItemState.DELETED.value)),
    ("audience", NARROWNESS, _AUDIENCES),
    ("container_audience", NARROWNESS, _AUDIENCES),
    ("parent_audience", NARROWNESS, _AUDIENCES),
    ("signal", {Signal.YES.value: 0, Signal.NO.value: 1}, (Signal.YES.value, Signal.NO.value)),
)
"""Column, how protective each of its words is, and the words in that order; null is the least."""


def _ranks(column: Any, ranks: dict[str, int]) -> npt.NDArray[np.int64]:
    coded = column.combine_chunks().dictionary_encode()
    table = np.array([ranks[word] for word in coded.dictionary.to_pylist()] + [-1], dtype=np.int64)
    found: npt.NDArray[np.int64] = table[coded.indices.fill_null(len(table) - 1).to_numpy(zero_copy_only=False)]
    return found


def _micros(instant: datetime) -> int:
    return int(pa.scalar(instant, pa.timestamp("us", tz="UTC")).value)


_TOGETHER = (
    ("place", "country", "residence_source"),
    ("born_on", "age_source"),
    ("signal", "signal_origin"),
)
"""Columns that one record says together: the latest record that says any of them speaks for all of them, so that
a new place that is no certain country does away with the country of the old one."""
_APART = tuple(
    (name,)
    for name in PEOPLE.names
    if name not in {column for group in _TOGETHER for column in group}
    and name not in ("account_id", "version_id", "version_at", "former_handles")
)


def merged_people(table: Any, keys: npt.NDArray[np.uint64]) -> Any:
    """Return one row an account: for each column the latest record that says something about it.

    Records are partial (a feed tells a new handle, then a suspension), so a null is not said, not "no".
    Handles of earlier records become former handles.
    """
    if not table.num_rows:
        return table
    places, _, starts = _ordered(table, keys, "account_id")
    table = table.take(pa.array(places))
    ends = np.r_[starts[1:], table.num_rows]
    single = starts[ends - starts == 1]
    several = [
        _merged(table.slice(start, end - start).to_pylist())
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        if end - start > 1
    ]
    if not several:
        return table.take(pa.array(starts))
    both = pa.concat_tables([table.take(pa.array(single)), PERSON_RULES.table(several)])
    at = np.r_[np.searchsorted(starts, single), np.flatnonzero(ends - starts > 1)]
    return both.take(pa.array(np.argsort(at, kind="stable")))


def _merged(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Merge the records of one account, oldest first."""
    row: dict[str, Any] = {
        "account_id": records[0]["account_id"],
        "version_at": records[-1]["version_at"],
    }
    for columns in (*_TOGETHER, *_APART):
        speaking = next((r for r in reversed(records) if any(r[name] is not None for name in columns)), records[-1])
        row |= {name: speaking[name] for name in columns}
    handles = [name for r in reversed(records) for name in (r["handle"], *(r["former_handles"] or ()))]
    row["former_handles"] = [name for name in dict.fromkeys(handles) if name not in (None, row["handle"])] or None
    row["version_id"] = PERSON_RULES.version_id(row)
    return row

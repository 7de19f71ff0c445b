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
from demur.terms.content import NARROWNESS, ItemState, Kind, Signal
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
        A version that says nothing but who could see the item changes its audience and keeps the words of the version
        before. ``public_since`` is never earlier than the last time that it became public.
        An item whose versions are all later than ``as_of`` has no row.
    """
    if not table.num_rows:
        return table
    places, times, starts = _ordered(table, keys, "item_id")
    limit = np.iinfo(np.int64).max if as_of is None else _micros(as_of)
    rows = np.arange(len(places))
    known = times <= limit
    latest = np.maximum.reduceat(np.where(known, rows, -1), starts)
    worded = np.maximum.reduceat(np.where(known & ~_without_content(table)[places], rows, -1), starts)
    chosen = np.where(worded >= 0, worded, latest)
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(places)]))
    present = chosen >= 0
    result = table.take(pa.array(places[chosen[present]]))
    for column, ranks, words in _NARROWED:
        from_here = latest if column == "audience" else chosen
        since = np.where(from_here >= 0, times[from_here], 0)[group]
        counts = (times >= since) | (times == _UNKNOWN_TIME)
        worst = np.maximum.reduceat(np.where(counts, _ranks(table[column], ranks)[places], -1), starts)[present]
        known_words = np.array([None, *words], dtype=object)[worst + 1]
        result = _replaced(result, column, pa.array(known_words, type=pa.string()))
    return _public_since(table, result, (places, times, starts, group), latest, present)


def _replaced(table: Any, column: str, values: Any) -> Any:
    return table.set_column(table.schema.get_field_index(column), table.schema.field(column), values)


def _without_content(table: Any) -> npt.NDArray[np.bool_]:
    """Return which versions say who could see the item and nothing else: audience changes of a feed (feed.py)."""
    silent = pc.and_(pc.is_null(table["account_id"]), pc.is_null(table["text"]))
    bare = pc.and_(pc.equal(table["kind"], Kind.METADATA.value), pc.equal(table["state"], ItemState.LIVE.value))
    found: npt.NDArray[np.bool_] = pc.and_(silent, bare).combine_chunks().to_numpy(zero_copy_only=False)
    return found


def _public_since(table: Any, result: Any, order: tuple[Any, Any, Any, Any], latest: Any, present: Any) -> Any:
    """Let the clock of an item that was not public before begin when it became so (REQUIREMENTS §4).

    The latest of: what the words' version says, what the latest version says, the first version after the last one
    that was not public.
    """
    places, times, starts, group = order
    told = table["public_since"].combine_chunks().cast(pa.int64()).fill_null(_UNKNOWN_TIME).to_numpy()[places]
    rows = np.arange(len(places))
    closed = _ranks(table["audience"], NARROWNESS)[places] > 0
    last = np.maximum.reduceat(np.where(closed & (rows <= latest[group]), rows, -1), starts)
    opened = (last >= 0) & (last < latest)
    began = np.where(opened, times[np.where(opened, last + 1, 0)], _UNKNOWN_TIME)
    since = np.maximum(began, np.where(latest >= 0, told[latest], _UNKNOWN_TIME))[present]
    said = result["public_since"].combine_chunks().cast(pa.int64()).fill_null(_UNKNOWN_TIME).to_numpy()
    since = np.maximum(since, said)
    if (since == said).all():
        return result
    values = pa.array(since, mask=since == _UNKNOWN_TIME).cast(table.schema.field("public_since").type)
    return _replaced(result, "public_since", values)


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

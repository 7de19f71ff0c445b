"""Which version of an item counts, and what an account's many records say together. Pure: tables in, tables out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from demur.intake.check import PERSON_RULES
from demur.intake.index import ids_of
from demur.terms.content import NARROWNESS, PRIVATE_KINDS, ItemState, Kind, Signal
from demur.terms.tables import PEOPLE

_UNKNOWN_TIME = np.iinfo(np.int64).min
"""Stands for a null ``version_at``: before every instant in the order, but never *known* to be over."""
_AUDIENCES = tuple(NARROWNESS)
_SECOND = 1_000_000


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


class _Order(NamedTuple):
    """The versions of all items, item by item, the oldest first."""

    places: Any
    """(n,) row of the table."""
    times: Any
    """(n,) microseconds."""
    starts: Any
    """(items,) first version of each."""
    group: Any
    """(n,) item of each version."""
    silent: Any
    """(n,) whether it says who could see the item and nothing of its content."""

    def since(self, here: Any) -> Any:
        """Return the time of one version of each item, beside all its versions: (items,) → (n,)."""
        return np.where(here >= 0, self.times[here], 0)[self.group]

    def not_before(self, here: Any) -> Any:
        """Return which versions may be as late as one of their item, or later: (items,) → (n,).

        An instant without a fraction may be any of its second, for many clocks leave it out.
        """
        whole = self.times % _SECOND == 0
        return (self.times + whole * (_SECOND - 1) >= self.since(here)) | (self.times == _UNKNOWN_TIME)


def current_items(table: Any, keys: npt.NDArray[np.uint64], as_of: datetime | None) -> Any:
    """Return one row an item: its version at ``as_of``, narrowed by whatever became of it later.

    Args:
        table: versions (ITEMS), all versions of an item among them.
        keys: (n,) order of the items.
        as_of: the greatest (version_at, version_id) not after it counts; a version without a time counts as oldest.
            ``None`` = the greatest of all.

    Returns:
        Rows in the order of ``keys``. State, audiences, signal, special category, end and a private kind are the most
        protective ones of the chosen version and of all versions that are later, as late, or of unknown time;
        everything else is the chosen version's. What it copies and its co-authors are also those of versions that are
        as late or of unknown time, and whoever made an earlier version is a co-author: they may be the words of both.
        A deletion before the item was made counts: one of the two clocks is wrong.
        A version that says nothing but who could see the item changes its audience and keeps the words of the version
        before. ``public_since`` is never earlier than the last time that it became public.
        An item whose versions are all later than ``as_of`` has no row.
    """
    if not table.num_rows:
        return table
    places, times, starts = _ordered(table, keys, "item_id")
    limit = np.iinfo(np.int64).max if as_of is None else _micros(as_of)
    rows = np.arange(len(places))
    group = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(places)]))
    order = _Order(places, times, starts, group, _without_content(table)[places])
    known = times <= limit
    latest = np.maximum.reduceat(np.where(known, rows, -1), starts)
    worded = np.maximum.reduceat(np.where(known & ~order.silent, rows, -1), starts)
    chosen = np.where(worded >= 0, worded, latest)
    present = chosen >= 0
    result = table.take(pa.array(places[chosen[present]]))
    result = _narrowed(table, result, order, latest, chosen)
    result = _joined(table, result, order, chosen)
    return _public_since(table, result, (places, times, starts, group), latest, present)


def _narrowed(table: Any, result: Any, order: _Order, latest: Any, chosen: Any) -> Any:
    """Return the rows with the most protective words of the versions that may be as late, or later."""
    present = chosen >= 0
    for column, words in _NARROWED:
        if table[column].null_count == table.num_rows:
            continue
        here = latest if column == "audience" else chosen
        counts = order.not_before(here)
        if column == "state":
            counts |= _too_early(table, order)
        ranks = _ranks(table[column], words)[order.places]
        if column == "signal":  # a yes of another time is none now
            ranks = np.where((ranks == 1) & (order.times != order.since(here)), 0, ranks)
        worst = np.maximum.reduceat(np.where(counts, ranks, 0), order.starts)[present]
        narrower = worst > ranks[here[present]]
        own = table[column].combine_chunks().take(pa.array(order.places[here[present]]))
        theirs = pa.array(np.array(words, dtype=object)[np.where(narrower, worst, 0)], type=own.type)
        result = _replaced(result, column, pc.if_else(pa.array(narrower), theirs, own))
    if table["expires_at"].null_count == table.num_rows:
        return result
    never = np.iinfo(np.int64).max
    ends = table["expires_at"].combine_chunks().cast(pa.int64()).fill_null(never).to_numpy()[order.places]
    ends = np.minimum.reduceat(np.where(order.not_before(chosen), ends, never), order.starts)[present]
    kind = table.schema.field("expires_at").type
    return _replaced(result, "expires_at", pa.array(ends, mask=ends == never).cast(kind))


def _too_early(table: Any, order: _Order) -> Any:
    """Return which versions would be before the item was made, or in the same second, by the earliest word of it."""
    never = np.iinfo(np.int64).max
    made = table["created_at"].combine_chunks().cast(pa.int64()).fill_null(never).to_numpy()[order.places]
    told = np.where(order.times == _UNKNOWN_TIME, never, order.times)
    live = pc.equal(table["state"], ItemState.LIVE.value).combine_chunks().to_numpy(zero_copy_only=False)[order.places]
    first = np.minimum.reduceat(np.where(live & ~order.silent, np.minimum(made, told), never), order.starts)
    return order.times // _SECOND <= (first // _SECOND)[order.group]


def _joined(table: Any, result: Any, order: _Order, chosen: Any) -> Any:
    """Add what versions of the same instant, or of unknown time, say of whose content an item is; and who made it."""
    present = chosen >= 0
    counts = ((order.times == order.since(chosen)) | (order.times == _UNKNOWN_TIME)) & present[order.group]
    counts[chosen[present]] = False
    row = np.cumsum(present) - 1
    told = (("original_id", counts), ("co_account_ids", counts), ("account_id", _former(table, order, chosen)))
    for column, here in told:
        said = table[column].combine_chunks()
        more = np.flatnonzero(here & said.is_valid().to_numpy(zero_copy_only=False)[order.places])
        if not len(more):
            continue
        into = "original_id" if column == "original_id" else "co_account_ids"
        values = result[into].to_pylist()
        for place, value in zip(
            row[order.group[more]], said.take(pa.array(order.places[more])).to_pylist(), strict=True
        ):
            if into == "original_id":
                values[place] = values[place] or value
            else:
                values[place] = sorted({*(values[place] or ()), *([value] if column == "account_id" else value)})
        result = _replaced(result, into, pa.array(values, type=table.schema.field(into).type))
    return result


def _former(table: Any, order: _Order, chosen: Any) -> Any:
    """Return which versions are by another account than the chosen one of their item, and not later."""
    account = table["account_id"].combine_chunks().dictionary_encode().indices.fill_null(-1).to_numpy()[order.places]
    other = account != account[np.maximum(chosen, 0)][order.group]
    other &= (np.arange(len(account)) <= chosen[order.group]) | (order.times == order.since(chosen))
    other &= (chosen >= 0)[order.group]
    if not other.any():
        return other
    return other & pc.equal(table["state"], ItemState.LIVE.value).to_numpy()[order.places]


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

    The latest of: what the words' version says, what the latest version says, the first version that is later than
    the last one that was not public.
    """
    places, times, starts, group = order
    told = table["public_since"].combine_chunks().cast(pa.int64()).fill_null(_UNKNOWN_TIME).to_numpy()[places]
    rows = np.arange(len(places))
    closed = _ranks(table["audience"], _AUDIENCES)[places] > 0
    last = np.maximum.reduceat(np.where(closed & (rows <= latest[group]), rows, -1), starts)
    later = times > np.where(last >= 0, times[last], 0)[group]
    first = np.minimum.reduceat(np.where(later, rows, len(rows)), starts)
    opened = (last >= 0) & (first <= latest)
    began = np.where(opened, times[np.where(opened, first, 0)], _UNKNOWN_TIME)
    since = np.maximum(began, np.where(latest >= 0, told[latest], _UNKNOWN_TIME))[present]
    said = result["public_since"].combine_chunks().cast(pa.int64()).fill_null(_UNKNOWN_TIME).to_numpy()
    since = np.maximum(since, said)
    if (since == said).all():
        return result
    values = pa.array(since, mask=since == _UNKNOWN_TIME).cast(table.schema.field("public_since").type)
    return _replaced(result, "public_since", values)


_NARROWED: tuple[tuple[str, tuple[Any, ...]], ...] = (
    ("state", (ItemState.LIVE.value, ItemState.DELETED.value)),
    ("kind", ("", *sorted(kind.value for kind in PRIVATE_KINDS))),
    ("audience", _AUDIENCES),
    ("container_audience", (None, *_AUDIENCES)),
    ("parent_audience", (None, *_AUDIENCES)),
    ("signal", (None, Signal.YES.value, Signal.NO.value)),
    ("special_category", (None, False, True)),
)
"""Column, and its words from the least protective to the most; any other protects no more than the first."""


def _ranks(column: Any, words: tuple[Any, ...]) -> npt.NDArray[np.int64]:
    """Return the place of each value among some words."""
    rank = {word: place for place, word in enumerate(words)}
    coded = column.combine_chunks().dictionary_encode()
    table = np.array([rank.get(word, 0) for word in (*coded.dictionary.to_pylist(), None)], dtype=np.int64)
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

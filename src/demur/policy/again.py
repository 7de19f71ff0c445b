"""The later reading once more, where something came since it was read: the stage ``decide_again`` (ADR 16).

1. Touched: accounts whose rows or owners' rows differ between two standings, items that are suppressed otherwise, items
   of which something was imported. Another hold in force touches everything.
2. Reached: what a touched item's reasons can pass on to: all that answers or carries it, at any depth.
3. Needed: what the reached ones are judged by: all that they answer or carry, at any depth.
4. The needed items are decided like a snapshot of their own, by the same code. All others keep their reasons.

Why that is the same: an item's reasons are a function of its own row, the rows of its accounts and their owners,
whether it is suppressed, the holds in force, and the same of what it answers or carries. What no touched item stands
above has none of these otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import parse
from demur.errors import BrokenError
from demur.policy.authors import Tables, load
from demur.policy.coded import NONE, Numbers
from demur.policy.columns import CHUNK, READ, Snapshot, decide_table
from demur.policy.holds import in_force
from demur.policy.links import Links, named_items
from demur.policy.narrow import parts_of, write_both
from demur.policy.residence import ranges
from demur.store import remove_tree, write_table
from demur.terms.policy import Policy

_LINKED = ["item_id", "account_id", "co_account_ids", "parent_id", "original_id"]
_COMPARED = 4_096
"""Rows of two standings that are compared at once, as long as they are the same."""


def decide_again(
    folder: Path,
    *,
    items: list[str],
    earlier: str,
    later: str | None,
    before: str,
    standing: str,
    since: str | None,
    policy: str | Policy,
    as_of: str,
    seen: str,
    known_at: str,
    chunk: int = CHUNK,
) -> None:
    """Write the decisions of both readings; the same as deciding the later one anew and ``narrow``.

    Args:
        folder: empty; gets what ``narrow`` writes.
        items: Parquet parts of the snapshot as known at first.
        earlier: folder of DECISIONS as known at first, in the order of ``items``.
        later: file of the later reading's reasons, in that order, as of ``seen``; ``None`` = as known at first.
        before: folder of the exported standing as of ``seen``.
        standing: the same as of ``known_at``; its ``people.changed``, if there is one, names whose rows may
            differ.
        since: folder of what the snapshot as of ``known_at`` has otherwise (``items.parquet``; ``fresh.parquet``: ids
            of what came after ``seen``); ``None`` = it is the same.
        policy: path or name of a policy, or a policy.
        as_of: instant of the decision.
        seen: until when the later reading knew what came.
        known_at: until when it is to know.
        chunk: items read at once.
    """
    other = pq.read_table(Path(since) / "items.parquet") if since else None
    fresh = pq.read_table(Path(since) / "fresh.parquet")["item_id"].combine_chunks() if since else _none()
    touched = _touched(Path(before), Path(standing), parse(as_of), (parse(seen), parse(known_at)), fresh)
    reasons = _bits([Path(later)] if later else parts_of(earlier))
    found, masks = _none(), np.zeros(0, np.int64)
    if touched:
        stock = _Stock(Snapshot([Path(part) for part in items], chunk), other)
        if len(reasons) != stock.size:
            raise BrokenError(
                f"expected as many decisions as items, found {len(reasons)} and {stock.size}; remove the folder decided"
            )
        needed = _needed(stock, touched)
        if needed.any():
            parts, wanted = _write_some(folder / "some", stock, needed)
            told = standing if needed.all() else _some_standing(folder / "standing", Path(standing), wanted)
            decide_table(folder / "again", items=parts, standing=told, policy=policy, as_of=as_of, known_at=known_at)
            again = [
                pq.read_table(part, columns=["item_id", "reason_bits"]) for part in parts_of(str(folder / "again"))
            ]
            found, masks = pa.concat_tables(again)["item_id"].combine_chunks(), _bits(parts_of(str(folder / "again")))

    def reasons_now(table: Any, begin: int) -> Numbers:
        kept = reasons[begin : begin + table.num_rows]
        if not len(found):
            return kept
        places = pc.index_in(table["item_id"].combine_chunks(), found).fill_null(NONE).to_numpy()
        return np.where(places == NONE, kept, masks[places])

    write_both(folder, earlier, reasons_now)
    for name in ("some", "standing", "again"):
        remove_tree(folder / name)


def _none() -> Any:
    return pa.array([], pa.string())


def _bits(files: list[Path]) -> Numbers:
    found = [pq.read_table(file, columns=["reason_bits"])["reason_bits"].to_numpy() for file in files]
    bits: Numbers = np.concatenate([np.zeros(0, np.int64), *found])
    return bits


# 1. Touched -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Touched:
    """What differs."""

    accounts: Any
    items: Any
    everything: bool

    def __bool__(self) -> bool:
        return self.everything or len(self.accounts) + len(self.items) > 0


def _touched(
    before: Path, standing: Path, as_of: datetime, instants: tuple[datetime, datetime], fresh: Any
) -> _Touched:
    old, new = load(before), load(standing)
    holds = [
        set(in_force(tables.holds.to_pylist(), as_of=as_of, known_at=known_at))
        for tables, known_at in zip((old, new), instants, strict=True)
    ]
    lists = [tables.suppressed["item_id"].combine_chunks() for tables in (old, new)]
    suppressed = [one.filter(pc.invert(pc.is_in(one, value_set=other))) for one, other in (lists, reversed(lists))]
    changed = standing / "people.changed"
    among = pq.read_table(changed)["person_id"].combine_chunks() if changed.exists() else None
    items = pc.unique(pa.concat_arrays([fresh, *suppressed]))
    return _Touched(_touched_accounts(old, new, among), items, everything=holds[0] != holds[1])


def _touched_accounts(old: Tables, new: Tables, among: Any) -> Any:
    """Return the accounts of everybody about whom two standings say something else."""
    people: set[str] = set()
    for name in ("standing", "accounts", "residence"):
        people |= _differing(getattr(old, name), getattr(new, name), among)
    ids = pa.array(sorted(people), pa.string())
    mine = [each["account_id"].filter(pc.is_in(each["person_id"], ids)) for each in (old.accounts, new.accounts)]
    return pc.unique(pa.concat_arrays([one.combine_chunks() for one in mine]))


def _differing(old: Any, new: Any, among: Any) -> set[str]:
    """Return the people who do not have the same rows in two tables, where they may differ."""
    if among is not None:
        old, new = (each.filter(pc.is_in(each["person_id"], among)) for each in (old, new))
    begin = 0
    while begin < old.num_rows and old.slice(begin, _COMPARED).equals(new.slice(begin, _COMPARED)):
        begin += _COMPARED
    rows = [_by_person(each.slice(begin)) for each in (old, new)]
    return {person for person in {*rows[0], *rows[1]} if rows[0].get(person) != rows[1].get(person)}


def _by_person(table: Any) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for row in table.to_pylist():
        found.setdefault(row["person_id"], []).append(row)
    return found


# 2. and 3. Reached and needed -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Stock:
    """The later snapshot: the rows of the earlier one, then those that are otherwise."""

    snapshot: Snapshot
    other: Any

    @property
    def size(self) -> int:
        """Rows of the earlier snapshot."""
        return self.snapshot.size()

    @property
    def rows(self) -> int:
        """All rows."""
        return self.size + (0 if self.other is None else int(self.other.num_rows))

    def batches(self, columns: list[str]) -> Iterator[tuple[slice, Any]]:
        """Yield where each batch stands, and the batch."""
        begin = 0
        for batch in self.snapshot.batches(columns):
            yield slice(begin, begin + len(batch)), batch
            begin += len(batch)
        if self.other is not None and self.other.num_rows:
            for batch in self.other.select(columns).combine_chunks().to_batches():
                yield slice(begin, begin + len(batch)), batch
                begin += len(batch)

    def stale(self, rows: slice, batch: Any) -> Any:
        """Say which rows of a batch another row stands for."""
        if self.other is None or rows.start >= self.size:
            return np.zeros(len(batch), np.bool_)
        inside = pc.is_in(batch.column("item_id"), value_set=self.other["item_id"].combine_chunks())
        return inside.to_numpy(zero_copy_only=False)


def _needed(stock: _Stock, touched: _Touched) -> Any:
    """Return bool by row: what must be decided again, and what that is judged by."""
    links = Links.over(named_items(batch for _, batch in stock.batches(["parent_id", "original_id"])))
    node, parent, original = (np.zeros(stock.rows, np.int32) for _ in range(3))
    row_of = np.full(len(links.ids) + 1, NONE, np.int64)
    direct = np.zeros(stock.rows, np.bool_)
    stale = np.zeros(stock.rows, np.bool_)
    for rows, batch in stock.batches(_LINKED):
        fine = ~stock.stale(rows, batch)
        stale[rows] = ~fine
        direct[rows] = fine & _directly(batch, touched)
        ids = pa.concat_arrays([batch.column(name) for name in ("item_id", "parent_id", "original_id")])
        node[rows], parent[rows], original[rows] = links.nodes(ids).reshape(3, len(batch)) * fine
        named = np.flatnonzero(node[rows])
        row_of[node[rows][named]] = named + rows.start
    if touched.everything:
        return ~stale
    reached = _below(direct, node, [_Children.of(parent), _Children.of(original)])
    return _above(reached, row_of, (parent, original))


def _directly(batch: Any, touched: _Touched) -> Any:
    found = pc.or_(
        pc.is_in(batch.column("account_id"), value_set=touched.accounts),
        pc.is_in(batch.column("item_id"), value_set=touched.items),
    ).to_numpy(zero_copy_only=False)
    others = batch.column("co_account_ids")
    lengths = pc.fill_null(pc.list_value_length(others), 0).to_numpy(zero_copy_only=False)
    if not lengths.any():
        return found
    inside = pc.is_in(others.flatten(), value_set=touched.accounts).to_numpy(zero_copy_only=False)
    found = found.copy()
    found[np.repeat(np.arange(len(lengths)), lengths)[inside]] = True
    return found


@dataclass(frozen=True, slots=True)
class _Children:
    """Rows by the node that they name."""

    nodes: Numbers
    rows: Numbers

    @classmethod
    def of(cls, named: Numbers) -> _Children:
        rows = np.flatnonzero(named)
        rows = rows[np.argsort(named[rows], kind="stable")]
        return cls(named[rows], rows)

    def under(self, nodes: Numbers) -> Numbers:
        """Return the rows that name one of some nodes."""
        low = np.searchsorted(self.nodes, nodes, "left")
        lengths = np.searchsorted(self.nodes, nodes, "right") - low
        found: Numbers = self.rows[ranges(low, lengths)]
        return found


def _below(direct: Any, node: Numbers, children: list[_Children]) -> Any:
    """Return the rows given and all that names one of them, at any depth."""
    reached, front = direct.copy(), np.flatnonzero(direct)
    while len(front):
        nodes = node[front]
        nodes = nodes[nodes > 0]
        under = np.concatenate([each.under(nodes) for each in children])
        front = np.unique(under[~reached[under]])
        reached[front] = True
    return reached


def _above(reached: Any, row_of: Numbers, named: tuple[Numbers, Numbers]) -> Any:
    """Return the rows given and all that they name, at any depth."""
    needed, front = reached.copy(), np.flatnonzero(reached)
    while len(front):
        rows = row_of[np.concatenate([each[front] for each in named])]
        rows = rows[rows != NONE]
        front = np.unique(rows[~needed[rows]])
        needed[front] = True
    return needed


# 4. Decided -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Ids that occur in the items that are decided again."""

    items: Any
    accounts: Any


def _write_some(folder: Path, stock: _Stock, needed: Any) -> tuple[list[str], _Wanted]:
    """Write some items as a snapshot; return its parts and the ids in it."""
    parts: list[str] = []
    items, accounts = [_none()], [_none()]
    for rows, batch in stock.batches(READ):
        if not needed[rows].any():
            continue
        some = pa.Table.from_batches([batch.filter(pa.array(needed[rows]))])
        parts.append(str(folder / f"part-{len(parts):05d}.parquet"))
        write_table(Path(parts[-1]), some)
        items.append(some["item_id"].combine_chunks())
        accounts += [some["account_id"].combine_chunks(), some["co_account_ids"].combine_chunks().flatten()]
    return parts, _Wanted(pa.concat_arrays(items), pc.unique(pa.concat_arrays(accounts)))


def _some_standing(folder: Path, standing: Path, wanted: _Wanted) -> str:
    """Write the rows of a standing that some items are judged by."""
    tables = load(standing)
    accounts = tables.accounts.filter(pc.is_in(tables.accounts["account_id"], value_set=wanted.accounts))
    people = pc.unique(accounts["person_id"].combine_chunks())
    write_table(folder / "accounts.parquet", accounts)
    for name in ("standing", "residence"):
        table = getattr(tables, name)
        write_table(folder / f"{name}.parquet", table.filter(pc.is_in(table["person_id"], value_set=people)))
    write_table(folder / "holds.parquet", tables.holds)
    inside = pc.is_in(tables.suppressed["item_id"], value_set=wanted.items)
    write_table(folder / "suppressed.parquet", tables.suppressed.filter(inside))
    return str(folder)

"""The whole snapshot, decided in columns: the stage ``decide_table`` (EVIDENCE §5a).

1. Authors: one row an account, epoch and stretch of residence, judged once for what depends on the author alone.
2. One reading of the items: each finds its author's row; all rules about item and author, in the engine.
3. Chains of parents: the effective audience, and the rules that read it.
4. Chains of originals: what copies inherit.
5. Decisions written part by part; the commit record last.

Memory holds about thirty bytes an item, the ids that items name as parent or original, and the author table.
This module does *not* decide by itself: every reason comes from the rulebook.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import iso, parse
from demur.errors import BrokenError, InputError
from demur.policy.authors import Authors, build, load
from demur.policy.coded import DAY, NEVER, NONE, Codebook, Numbers, instants, microseconds, truths
from demur.policy.compiled import masks
from demur.policy.facts import AUTHOR_FIELDS, COPY_FIELDS
from demur.policy.holds import in_force
from demur.policy.judge import AUDIENCES, FOLLOWERS_RANK, OBJECTION_BITS, UNKNOWN_RANK
from demur.policy.links import Links, inherited, named_items, widest_view
from demur.policy.reading import DEFAULT_POLICY, read
from demur.policy.rules import Rule, Rulebook, rulebook
from demur.store import commit_record, write_table
from demur.terms.content import COPY_KINDS, PROFILE_KINDS, Audience, ItemState, Kind
from demur.terms.policy import Policy
from demur.terms.reasons import Reason, reasons_of
from demur.terms.tables import DECISIONS, TEXTS

CHUNK = 1_000_000
"""Items read at once."""

READ = [
    *("item_id", "account_id", "co_account_ids", "kind", "service", "state", "audience", "container_id"),
    *("container_audience", "parent_id", "parent_audience", "original_id", "created_at", "expires_at", "public_since"),
    *("addressed_to_ai", "signal", "special_category"),
]
_PUBLIC = AUDIENCES.index(Audience.PUBLIC)
_LATE = frozenset({"audience"})
_STANDING = "standing"
"""Whether an item is there, neither deleted nor over: no rule asks, but who sees what is below it depends on it."""
_LIVE = [state.value for state in ItemState].index(ItemState.LIVE.value)
_KINDS = [kind.value for kind in Kind]
_PROFILE = np.array([kind in PROFILE_KINDS for kind in Kind] + [False] * 2)
_COPIES = np.array([kind in COPY_KINDS for kind in Kind] + [False] * 2)


def decide_table(
    folder: Path,
    *,
    items: Sequence[str],
    standing: str,
    policy: str | Policy = DEFAULT_POLICY,
    as_of: str | datetime,
    known_at: str | datetime | None = None,
    chunk: int = CHUNK,
) -> None:
    """Decide every item of a snapshot; a stage for ``store.stage.run_stage``.

    Args:
        folder: empty; gets ``part-*.parquet`` of the schema DECISIONS and the commit record.
        items: Parquet parts of a snapshot: one row an item.
        standing: folder of the exported standing.
        policy: path or name of a policy, or a policy.
        as_of: instant of the decision.
        known_at: instant up to which restrictions count; ``None`` = ``as_of``.
        chunk: items read at once.

    Raises:
        ConfigError: the policy has faults.
        InputError: tables are missing or are not as documented.
    """
    instant = _instant(as_of)
    checked = policy if isinstance(policy, Policy) else read(policy)
    tables = load(Path(standing))
    events = tables.holds.to_pylist()
    stops = in_force(events, as_of=instant, known_at=_instant(known_at) if known_at else instant)
    book = rulebook(checked, as_of=instant, holds=stops)
    codes = Codebook()
    authors = build(tables, checked, instant, codes)
    suppressed = tables.suppressed["item_id"].combine_chunks()
    del tables
    snapshot = Snapshot([Path(part) for part in items], chunk)
    verdict = _judge(snapshot, authors, suppressed, book, codes)
    parts = _write(folder, snapshot, authors, verdict)
    commit_record(folder, {**_counts(verdict), **_facts_of(checked, instant, known_at, stops), "parts": parts})


def _instant(given: str | datetime) -> datetime:
    return parse(given) if isinstance(given, str) else given


def _facts_of(policy: Policy, as_of: datetime, known_at: Any, stops: Sequence[Any]) -> dict[str, Any]:
    return {
        "stage": "decide",
        "policy": policy.name,
        "policy_digest": policy.digest,
        "as_of": iso(as_of),
        "known_at": iso(_instant(known_at) if known_at else as_of),
        "holds": sorted({hold.hold_id for hold in stops}),
    }


@dataclass(slots=True)
class Snapshot:
    """The parts of a snapshot, read in pieces of one size."""

    parts: list[Path]
    chunk: int

    def batches(self, columns: list[str]) -> Iterator[Any]:
        """Yield record batches of some columns, in one fixed order, joined over small parts.

        Raises:
            InputError: a part is missing or has other columns.
        """
        waiting: list[Any] = []
        for batch in self._pieces(columns):
            waiting.append(batch)
            if sum(map(len, waiting)) >= self.chunk:
                yield pa.concat_batches(waiting)
                waiting = []
        if waiting:
            yield pa.concat_batches(waiting)

    def _pieces(self, columns: list[str]) -> Iterator[Any]:
        for part in self.parts:
            try:
                with pq.ParquetFile(part) as file:
                    yield from file.iter_batches(batch_size=self.chunk, columns=columns, use_threads=True)
            except FileNotFoundError as error:
                raise InputError(f"expected the items in {part}, found no such file; take a new snapshot") from error
            except (pa.ArrowException, KeyError) as error:
                raise InputError(f"expected items as in docs/tables.md in {part}, found a damaged file") from error

    def size(self) -> int:
        """Return the number of items, from the files' footers."""
        try:
            return sum(pq.read_metadata(part).num_rows for part in self.parts)
        except (OSError, pa.ArrowException) as error:
            raise InputError("expected the parts of a snapshot, found damaged ones; take a new snapshot") from error


@dataclass(slots=True)
class _Verdict:
    """What is known of every item, a few bytes each."""

    mask: Numbers
    author: Numbers
    rank: Numbers
    late: dict[str, Numbers]
    """Item facts that the rules about the audience read."""
    parent: Numbers | None
    """Node of the parent; ``None`` = no item names another."""
    original: Numbers | None
    distant: Numbers | None
    """Rank of the parent's audience as the source knows it, for parents that are missing."""

    @classmethod
    def empty(cls, size: int, late: list[str], *, linked: bool) -> _Verdict:
        """Return a verdict about nothing yet."""
        return cls(
            mask=np.zeros(size, dtype=np.int64),
            author=np.zeros(size, dtype=np.int32),
            rank=np.zeros(size, dtype=np.int8),
            late={name: np.full(size, NONE, dtype=np.int8) for name in late},
            parent=np.zeros(size, dtype=np.int32) if linked else None,
            original=np.zeros(size, dtype=np.int32) if linked else None,
            distant=np.zeros(size, dtype=np.int8) if linked else None,
        )


@dataclass(slots=True)
class _Split:
    """The rulebook by when each rule can be asked."""

    author: list[Rule]
    item: list[Rule]
    late: list[Rule]
    copy: list[Rule]

    @classmethod
    def of(cls, book: Rulebook) -> _Split:
        """Sort the rules: author alone, item with author, after the audience is known, after the originals are."""
        copy = [rule for rule in book.rules if rule.of_copy]
        late = [rule for rule in book.rules if rule.fields & _LATE and rule not in copy]
        author = [rule for rule in book.rules if rule.of_author]
        item = [rule for rule in book.rules if rule not in [*copy, *late, *author]]
        if any(rule.fields & AUTHOR_FIELDS for rule in late) or any(rule.fields - COPY_FIELDS for rule in copy):
            raise BrokenError(
                "expected rules on the audience to read item facts alone and rules on copies the chain alone"
            )
        return cls(author, item, late, copy)


def _judge(snapshot: Snapshot, authors: Authors, suppressed: Any, book: Rulebook, codes: Codebook) -> _Verdict:
    split = _Split.of(book)
    size = snapshot.size()
    links = Links.over(named_items(snapshot.batches(["parent_id", "original_id"])))
    late = sorted({name for rule in split.late for name in rule.fields} - _LATE | {"kind", _STANDING})
    verdict = _Verdict.empty(size, late, linked=len(links.ids) > 0)
    authors.facts["mask"] = _author_masks(split.author, authors, codes)
    begin = 0
    for batch in snapshot.batches(READ):
        rows = slice(begin, begin + len(batch))
        _Piece(batch, rows, authors, suppressed, codes, split.item, microseconds(book.as_of)).judge(verdict, links)
        begin += len(batch)
    _audiences(verdict, links, split.late, codes, snapshot.chunk)
    _copies(verdict, links, split.copy, codes)
    return verdict


def _author_masks(rules: list[Rule], authors: Authors, codes: Codebook) -> Numbers:
    return masks(rules, authors.facts, codes, len(authors.facts["person_id"]))


class _Piece:
    """One batch of items with the rows of their authors."""

    def __init__(
        self, batch: Any, rows: slice, authors: Authors, suppressed: Any, codes: Codebook, rules: list[Rule], as_of: int
    ) -> None:
        self._batch, self._rows, self._authors, self._codes, self._rules = batch, rows, authors, codes, rules
        self._created = instants(batch.column("created_at"))
        self._facts = {
            "kind": codes.encode("kind", batch.column("kind")),
            "service": codes.encode("service", batch.column("service")),
            "state": codes.encode("state", batch.column("state")),
            "addressed_to_ai": truths(batch.column("addressed_to_ai")),
            "created_at": self._created,
            "expires_at": instants(batch.column("expires_at")),
            "item_signal": codes.encode("item_signal", batch.column("signal")),
            "special_category": truths(batch.column("special_category")),
            "suppressed": truths(pc.is_in(batch.column("item_id"), value_set=suppressed)),
        }
        self._grouped = self._in_public_group()
        self._facts["in_public_group"] = self._grouped.astype(np.int8)
        public_since = instants(batch.column("public_since"))
        self._public = np.where(public_since == NEVER, self._created, public_since)
        over = (self._facts["expires_at"] != NEVER) & (self._facts["expires_at"] <= as_of)
        self._facts[_STANDING] = ((self._facts["state"] == _LIVE) & ~over).astype(np.int8)
        self._stranger = np.zeros(len(batch), dtype=np.bool_)
        """Items whose account is named, but nobody knows it."""

    def judge(self, verdict: _Verdict, links: Links) -> None:
        """Judge the batch and write what was found to its rows of the verdict."""
        author, item, other = self._find()
        mask = self._masks(None, author)
        rank = self._own_circle(author, (author != 0) | self._stranger)
        if len(item):
            np.bitwise_or.at(mask, item, self._masks(item, other))
            np.maximum.at(rank, item, self._hidden(item, other, np.ones(len(item), dtype=np.bool_)))
        verdict.mask[self._rows], verdict.author[self._rows] = mask, author
        for name, column in verdict.late.items():
            column[self._rows] = self._facts[name]
        verdict.rank[self._rows] = rank
        if verdict.parent is not None:
            self._link(verdict, links)

    def _find(self) -> tuple[Numbers, Numbers, Numbers]:
        """Return each item's main author row, and (item, author row) for every further author that counts."""
        accounts = self._numbers(self._batch.column("account_id"))
        author = self._authors.find(accounts, self._created)
        self._stranger = (author == 0) & self._batch.column("account_id").is_valid().to_numpy(zero_copy_only=False)
        safe = np.where(accounts >= 0, accounts, 0)
        items: list[int] = []
        others: list[int] = []
        if len(self._authors.tangled):
            several = self._authors.tangled[safe] | ((self._created == NEVER) & (self._authors.epochs[safe] > 1))
            for row in np.flatnonzero((accounts >= 0) & several):
                found = self._authors.candidates(int(accounts[row]), int(self._created[row]))
                author[row] = found[0] if len(found) == 1 else 0
                self._stranger[row] = not len(found)
                if len(found) > 1:
                    items += [int(row)] * len(found)
                    others += found
        self._co_authors(items, others)
        item, other, kinds = np.array(items, np.int64), np.array(others, np.int64), self._facts["kind"]
        return self._authors.for_kinds(author, kinds), item, self._authors.for_kinds(other, kinds[item])

    def _co_authors(self, items: list[int], others: list[int]) -> None:
        column = self._batch.column("co_account_ids")
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
        if not lengths.any():
            return
        row = np.repeat(np.arange(len(lengths)), lengths)
        accounts, created = self._numbers(column.flatten()), self._created[row]
        found = self._authors.find(accounts, created)
        for place in range(len(row)):
            account = int(accounts[place])
            rows = [int(found[place])]
            if account >= 0 and (self._authors.tangled[account] or created[place] == NEVER):
                rows = self._authors.candidates(account, int(created[place])) or [0]
            items += [int(row[place])] * len(rows)
            others += rows

    def _numbers(self, texts: Any) -> Numbers:
        found = pc.index_in(texts, value_set=self._authors.account_ids, skip_nulls=True)
        return found.fill_null(NONE).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]

    def _masks(self, item: Numbers | None, author: Numbers) -> Numbers:
        """Return the reasons of item and author together; ``item`` = ``None`` means all, in order."""
        pick = slice(None) if item is None else item
        facts = _Gathered(self._facts, self._authors.facts, pick, author)
        days = self._authors.facts["min_public_days"][author].astype(np.int64)
        public = self._public[pick]
        known = (public != NEVER) & (days != NONE)
        facts["public_enough_at"] = np.where(known, public + np.where(known, days, 0) * DAY, NEVER)
        found = masks(self._rules, facts.needed(self._rules), self._codes, len(author))
        return found | self._authors.facts["mask"][author]

    def _own_circle(self, author: Numbers, named: Any) -> Numbers:
        rank = self._rank("audience")
        container = self._batch.column("container_audience")
        if container.null_count < len(container):
            held = container.is_valid().to_numpy(zero_copy_only=False)
            rank = np.where(held, np.maximum(rank, self._rank("container_audience")), rank)
        return np.maximum(rank, self._hidden(slice(None), author, named)).astype(np.int8)

    def _hidden(self, item: Any, author: Numbers, named: Any) -> Numbers:
        """Return how far a private account narrows its items: not in public groups, not the fields of its profile.

        An item that names no account has none that narrows it; a named one that nobody knows may be private.
        """
        exempt = _PROFILE[self._facts["kind"]] | self._grouped
        hidden = (self._authors.facts["private"][author] != 0) & named & ~exempt[item]
        return np.where(hidden, FOLLOWERS_RANK, 0).astype(np.int8)

    def _in_public_group(self) -> Numbers:
        container = self._batch.column("container_id")
        if container.null_count == len(container):
            return np.zeros(len(container), dtype=np.bool_)
        inside: Numbers = np.array(container.is_valid())
        inside &= self._rank("container_audience") == _PUBLIC
        return inside

    def _rank(self, name: str) -> Numbers:
        """Return narrowness; what is missing or no audience is unknown, the narrowest."""
        codes = self._codes.encode("audience", self._batch.column(name))
        return np.where((codes == NONE) | (codes > UNKNOWN_RANK), UNKNOWN_RANK, codes).astype(np.int8)

    def _link(self, verdict: _Verdict, links: Links) -> None:
        assert verdict.parent is not None
        assert verdict.original is not None
        assert verdict.distant is not None
        # One look-up for all three: the table of named ids is hashed anew in every call.
        ids = pa.concat_arrays([self._batch.column(name) for name in ("item_id", "parent_id", "original_id")])
        node, parent, original = links.nodes(ids).reshape(3, len(self._batch))
        verdict.parent[self._rows], verdict.original[self._rows] = parent, original
        named = np.flatnonzero(node)
        if (links.row[node[named]] != NONE).any() or len(np.unique(node[named])) != len(named):
            raise InputError("expected one row an item, found an item id twice; take the snapshot again")
        links.row[node[named]] = named + self._rows.start
        links.parent[node[named]], links.original[node[named]] = parent[named], original[named]
        verdict.distant[self._rows] = np.where(parent > 0, self._rank("parent_audience"), 0)


class _Gathered(dict[str, Numbers]):
    """Facts of items and of their authors, fetched when a rule asks for them."""

    def __init__(self, item: dict[str, Numbers], author: dict[str, Numbers], pick: Any, row: Numbers) -> None:
        super().__init__()
        self._item, self._author, self._pick, self._row = item, author, pick, row

    def __missing__(self, name: str) -> Numbers:
        found = self._item[name][self._pick] if name in self._item else self._author[name][self._row]
        self[name] = found
        return found

    def needed(self, rules: Sequence[Rule]) -> dict[str, Numbers]:
        """Return the columns that some rules read."""
        return {name: self[name] for rule in rules for name in rule.fields}


def _audiences(verdict: _Verdict, links: Links, rules: list[Rule], codes: Codebook, chunk: int) -> None:
    """Narrow every item by its chain of parents, then ask the rules about the audience (INT-04)."""
    distant = verdict.distant
    if verdict.parent is not None and distant is not None:
        present = links.row != NONE
        own = np.zeros(len(links.row), dtype=np.int8)
        rows = links.row[present]
        own[present] = np.where(verdict.late[_STANDING][rows] == 1, verdict.rank[rows], UNKNOWN_RANK)
        missing_parent = present & (links.parent > 0) & ~present[links.parent]
        own[missing_parent] = np.maximum(own[missing_parent], distant[links.row[missing_parent]])
        chain = widest_view(own, np.where(present[links.parent], links.parent, 0))
        found = present[verdict.parent] & (verdict.parent > 0)
        above = np.where(found, chain[verdict.parent], np.where(verdict.parent > 0, distant, 0))
        np.maximum(verdict.rank, above, out=verdict.rank)
    for begin in range(0, len(verdict.mask), chunk):
        here = slice(begin, begin + chunk)
        columns = {name: column[here] for name, column in verdict.late.items()}
        columns["audience"] = verdict.rank[here]
        verdict.mask[here] |= masks(rules, columns, codes, len(columns["audience"]))


def _copies(verdict: _Verdict, links: Links, rules: list[Rule], codes: Codebook) -> None:
    """Let copies inherit from everything on their chain of originals (TPD-02)."""
    nameless = _COPIES[verdict.late["kind"]]
    if verdict.original is None:
        rows = np.flatnonzero(nameless)
        mask, torn = np.zeros(len(rows), np.int64), np.ones(len(rows), bool)
    else:
        nameless &= verdict.original == 0
        present = links.row != NONE
        own = np.zeros(len(links.row), dtype=np.int64)
        own[present] = verdict.mask[links.row[present]]
        broken = ~present
        broken[present] |= nameless[links.row[present]]
        broken |= (links.original > 0) & ~present[links.original]
        broken[0] = False
        chain, torn_chain = inherited(own, broken, np.where(present[links.original], links.original, 0))
        rows = np.flatnonzero(nameless | (verdict.original > 0))
        node = verdict.original[rows]
        mask, torn = chain[node], torn_chain[node] | (node == 0)
    objected = (mask & OBJECTION_BITS) != 0
    columns = {
        "original_unknown": torn.astype(np.int8),
        "original_objected": objected.astype(np.int8),
        "original_withheld": ((mask != 0) & ~objected).astype(np.int8),
    }
    verdict.mask[rows] |= masks(rules, columns, codes, len(rows))


# -- writing -----------------------------------------------------------------------------------------------------------


def _write(folder: Path, snapshot: Snapshot, authors: Authors, verdict: _Verdict) -> list[str]:
    countries = pa.array([None if each is None else "|".join(sorted(each)) for each in authors.countries], pa.string())
    distinct = np.unique(verdict.mask)
    lists = pa.array([[reason.value for reason in reasons_of(int(mask))] for mask in distinct], TEXTS)
    first = pa.array([next(iter(reasons_of(int(mask))), None) for mask in distinct], pa.string())
    names: list[str] = []
    begin = 0
    for batch in snapshot.batches(["item_id", "kind"]):
        rows = slice(begin, begin + len(batch))
        begin += len(batch)
        mask, author = verdict.mask[rows], verdict.author[rows]
        place = pa.array(np.searchsorted(distinct, mask))
        person = authors.facts["person_id"][author]
        columns = {
            "item_id": batch.column("item_id"),
            "allowed": pa.array(mask == 0),
            "primary_reason": first.take(place),
            "reasons": lists.take(place),
            "reason_bits": pa.array(mask),
            "person_id": authors.person_ids.take(pa.array(person, mask=person == NONE)),
            "country": countries.take(pa.array(authors.facts["countries"][author] + 1)),
            "kind": batch.column("kind"),
            "audience": pa.array(list(AUDIENCES), pa.string()).take(pa.array(verdict.rank[rows])),
        }
        names.append(f"part-{len(names):05d}.parquet")
        write_table(
            folder / names[-1], pa.Table.from_arrays([columns[name] for name in DECISIONS.names], schema=DECISIONS)
        )
    if not names:
        names.append("part-00000.parquet")
        write_table(folder / names[-1], DECISIONS.empty_table())
    return names


def _counts(verdict: _Verdict) -> dict[str, Any]:
    """Return how many items are allowed, and withheld by primary reason and by every reason."""
    distinct, counts = np.unique(verdict.mask, return_counts=True)
    primary: dict[str, int] = {}
    every: dict[str, int] = {}
    for mask, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        reasons = reasons_of(mask)
        for reason in reasons:
            every[reason.value] = every.get(reason.value, 0) + count
        if reasons:
            primary[reasons[0].value] = primary.get(reasons[0].value, 0) + count
    allowed = int(counts[distinct == 0].sum())
    order = [reason.value for reason in Reason]
    return {
        "items": len(verdict.mask),
        "allowed": allowed,
        "by_primary": {name: primary[name] for name in order if name in primary},
        "by_reason": {name: every[name] for name in order if name in every},
    }

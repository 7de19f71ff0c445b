"""The author table: one row for every account, ownership epoch and stretch of residence, with all facts resolved.

An item finds its one row by account and creation time; what depends on the author alone (age, clock, consent, regime)
is judged here once and not once an item. Row 0 is the unknown author: every fact missing.

This module does *not* look at items, and does *not* know the engine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import adult_at
from demur.errors import InputError
from demur.policy.coded import (
    DAY,
    FOREVER,
    NEVER,
    NONE,
    Codebook,
    Numbers,
    distinct_lists,
    instants,
    lookup,
    microseconds,
    truths,
)
from demur.policy.facts import LAST_ZONE_HOURS, clock_needed
from demur.policy.judge import reached, scope
from demur.policy.residence import Countries, Stretches, positions_in, ranges, set_number, stretches_of
from demur.policy.resolve import KNOWN, Resolution, resolve
from demur.terms.policy import Policy
from demur.terms.tables import ACCOUNTS, HOLDS, RESIDENCE, STANDING, SUPPRESSED


@dataclass(slots=True)
class Tables:
    """The exported standing, as Arrow tables."""

    standing: Any
    accounts: Any
    residence: Any
    holds: Any
    suppressed: Any


def load(folder: Path) -> Tables:
    """Read the tables of an exported standing.

    Raises:
        InputError: a table is missing, or a person stands there twice.
    """
    tables = Tables(
        standing=_read(folder / "standing.parquet", STANDING),
        accounts=_read(folder / "accounts.parquet", ACCOUNTS),
        residence=_read(folder / "residence.parquet", RESIDENCE),
        holds=_read(folder / "holds.parquet", HOLDS),
        suppressed=_read(folder / "suppressed.parquet", SUPPRESSED),
    )
    people = tables.standing["person_id"]
    if pc.count_distinct(people).as_py() != len(people):
        raise InputError(
            "expected one row a person in standing.parquet, found persons twice; export the standing again"
        )
    return tables


def _read(path: Path, schema: Any) -> Any:
    try:
        return pq.read_table(path, columns=schema.names).cast(schema)
    except FileNotFoundError as error:
        raise InputError(f"expected {path.name} in {path.parent}, found none; export the standing again") from error
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise InputError(f"expected the columns of docs/tables.md in {path}, found others; export it again") from error


@dataclass(slots=True)
class Authors:
    """All possible authors, and how an item finds its own.

    Rows are sorted by account and begin; row 0 is the unknown author.
    """

    facts: dict[str, Numbers]
    """Fact → its value in every row."""
    person_ids: Any
    """Person by number; ``facts["person_id"]`` holds the numbers."""
    countries: list[Countries]
    """Set of countries by number + 1; the same numbers as in the codebook."""
    account_ids: Any
    """Account by number."""
    first: Numbers
    """Account → its first row."""
    count: Numbers
    """Account → how many rows."""
    ever: Numbers
    """Account → row that stands for an item made at an unknown time; 0 = several owners."""
    tangled: Numbers
    """Account → its epochs overlap, so that several owners are possible at one time."""
    epochs: Numbers
    """Account → number of ownership epochs."""
    begin: Numbers
    end: Numbers
    epoch_rows: Numbers
    """Account → first of its rows for an unknown time, one an epoch, behind all timed rows."""
    of_kinds: dict[int, Numbers]
    """Code of a kind → the row that stands for each row in items of that kind, where its clock is another (NOT-07)."""

    def for_kinds(self, rows: Numbers, kinds: Numbers) -> Numbers:
        """Return the rows that stand for some rows in items of some kinds."""
        found = rows.copy()
        for code, instead in self.of_kinds.items():
            here = kinds == code
            found[here] = instead[rows[here]]
        return found

    def find(self, accounts: Numbers, created: Numbers) -> Numbers:
        """Return the row of each item's author; 0 where nobody is known to have owned the account then.

        Args:
            accounts: account numbers, ``NONE`` = unknown.
            created: creation times.
        """
        rows = np.zeros(len(accounts), dtype=np.int32)
        known = accounts >= 0
        safe = np.where(known, accounts, 0)
        if not len(self.first):
            return rows
        timed = known & (created != NEVER)
        single = timed & (self.count[safe] == 1)
        rows[single] = self.first[safe[single]]
        many = np.flatnonzero(timed & (self.count[safe] > 1))
        rows[many] = self._as_of(safe[many], created[many])
        outside = (created < self.begin[rows]) | (created >= self.end[rows])
        rows[timed & outside] = 0
        nameless = known & (created == NEVER)
        rows[nameless] = self.ever[safe[nameless]]
        return rows

    def _as_of(self, accounts: Numbers, created: Numbers) -> Numbers:
        """Return, by bisection, the last row of each account that begins at or before a time."""
        low, high = self.first[accounts].astype(np.int64), (self.first + self.count)[accounts].astype(np.int64)
        while (low < high).any():
            middle = (low + high) // 2
            right = (low < high) & (self.begin[np.minimum(middle, len(self.begin) - 1)] <= created)
            stay = (low < high) & ~right
            low = np.where(right, middle + 1, low)
            high = np.where(stay, middle, high)
        return np.maximum(low - 1, self.first[accounts])

    def candidates(self, account: int, created: int) -> list[int]:
        """Return every row of an account that may have made an item; for the few accounts where that is not one row."""
        if created == NEVER:
            return list(range(self.epoch_rows[account], self.epoch_rows[account] + self.epochs[account]))
        rows = range(self.first[account], self.first[account] + self.count[account])
        return [row for row in rows if self.begin[row] <= created < self.end[row]]


def build(tables: Tables, policy: Policy, as_of: datetime, book: Codebook) -> Authors:
    """Return the author table of one standing under one policy at one instant.

    Args:
        tables: the exported standing.
        policy: a checked policy.
        as_of: instant of the decision.
        book: gets the sets that occur.
    """
    stretches = stretches_of(tables.residence, tables.standing["person_id"])
    rows = _rows(tables, stretches)
    sets, codes = _country_sets(tables, stretches, rows)
    facts, of_kinds = _facts(tables, policy, as_of, book, rows, sets, codes)
    return _index(tables, rows, facts, sets, of_kinds)


# -- rows --------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Rows:
    """One row an account, epoch and stretch; row 0 is the unknown author; the last ones stand for unknown times."""

    epoch: Numbers
    person: Numbers
    then: Numbers
    """Number of the set of countries at creation."""
    begin: Numbers
    end: Numbers
    timed: int
    """How many rows are for known times; the rest are for unknown ones, one an epoch, in the epochs' sorted order."""
    order: Numbers
    """Epochs sorted by account and begin."""
    account: Numbers
    """Account number of every epoch in that order."""
    account_ids: Any


def _rows(tables: Tables, stretches: Stretches) -> _Rows:
    coded = tables.accounts["account_id"].combine_chunks().dictionary_encode()
    account = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    owned_from = instants(tables.accounts["owned_from"])
    until = instants(tables.accounts["owned_until"])
    until = np.where(until == NEVER, FOREVER, until)
    person = positions_in(tables.accounts["person_id"], tables.standing["person_id"])
    order = np.lexsort((owned_from, account))
    account, owned_from, until, person = account[order], owned_from[order], until[order], person[order]
    someone = person >= 0
    safe = np.where(someone, person, 0)
    many = len(stretches.first) > 1
    low = np.where(someone, stretches.first[safe], 0) if many else np.zeros(len(order), np.int64)
    lengths = np.where(someone, stretches.first[safe + 1] - low, 1) if many else np.ones(len(order), np.int64)
    epoch = np.repeat(np.arange(len(order)), lengths)
    stretch = ranges(low, lengths)
    named = someone[epoch]
    pick = np.where(named, stretch, 0)
    begin, end = owned_from[epoch], until[epoch]
    then = np.zeros(len(epoch), dtype=np.int32)
    if many:
        begin = np.where(named, np.maximum(begin, stretches.begin[pick]), begin)
        end = np.where(named, np.minimum(end, stretches.end[pick]), end)
        then = np.where(named, stretches.places[pick], 0)
    kept = begin < end
    epoch, begin, end, then = epoch[kept], begin[kept], end[kept], then[kept]
    ever = np.where(someone, stretches.ever[safe], 0) if many else np.zeros(len(order), np.int32)
    span = np.full(len(order), FOREVER)
    return _Rows(
        epoch=np.concatenate([[NONE], epoch, np.arange(len(order))]),
        person=np.concatenate([[NONE], person[epoch], person]),
        then=np.concatenate([[0], then, ever]),
        begin=np.concatenate([[NEVER], begin, np.full(len(order), NEVER)]),
        end=np.concatenate([[FOREVER], end, span]),
        timed=len(epoch) + 1,
        order=order,
        account=account,
        account_ids=coded.dictionary,
    )


def _index(
    tables: Tables, rows: _Rows, facts: dict[str, Numbers], sets: list[Countries], of_kinds: dict[int, Numbers]
) -> Authors:
    accounts = len(rows.account_ids)
    owner = rows.account[rows.epoch[1 : rows.timed]] if rows.timed > 1 else np.zeros(0, np.int64)
    count = np.bincount(owner, minlength=accounts)
    # Rows are in the order of account, epoch begin, stretch begin: sorted by begin unless epochs overlap.
    first = 1 + np.concatenate([[0], np.cumsum(count)[:-1]]) if accounts else np.zeros(0, np.int64)
    begin, end = rows.begin[1 : rows.timed], rows.end[1 : rows.timed]
    overlap = (owner[1:] == owner[:-1]) & (begin[1:] < end[:-1]) if len(owner) else np.zeros(0, bool)
    tangled = np.zeros(accounts, dtype=bool)
    tangled[owner[1:][overlap]] = True
    epochs = np.bincount(rows.account, minlength=accounts)
    epoch_rows = rows.timed + np.concatenate([[0], np.cumsum(epochs)[:-1]]) if accounts else np.zeros(0, np.int64)
    return Authors(
        facts=facts,
        person_ids=tables.standing["person_id"].combine_chunks(),
        countries=sets,
        account_ids=rows.account_ids,
        first=first.astype(np.int32),
        count=count.astype(np.int32),
        ever=np.where(epochs == 1, epoch_rows, 0).astype(np.int32),
        tangled=tangled,
        epochs=epochs,
        begin=rows.begin,
        end=rows.end,
        epoch_rows=epoch_rows,
        of_kinds=of_kinds,
    )


# -- facts -------------------------------------------------------------------------------------------------------------


def _country_sets(tables: Tables, stretches: Stretches, rows: _Rows) -> tuple[list[Countries], Numbers]:
    """Return the sets of countries that count (now, at the notice, at creation; PPL-04) and each row's number."""
    now, now_lists = distinct_lists(tables.standing["countries_now"])
    notice, notice_lists = distinct_lists(tables.standing["countries_at_notice"])
    heard = (instants(tables.standing["first_delivered_at"]) != NEVER) | (
        instants(tables.standing["last_delivered_at"]) != NEVER
    )
    heard |= pc.fill_null(pc.list_value_length(tables.standing["kind_clocks"]), 0).to_numpy() > 0
    someone = rows.person >= 0
    if not len(now):
        return [None], np.zeros(len(rows.person), dtype=np.int64)
    safe = np.where(someone, rows.person, 0)
    key = ((now * len(notice_lists) + notice) * 2 + heard)[safe] * len(stretches.sets) + rows.then
    key = np.where(someone, key, NONE)
    distinct, inverse = np.unique(key, return_inverse=True)
    sets: list[Countries] = [None]
    numbers: dict[Countries, int] = {None: 0}
    found = []
    for each in distinct:
        rest, then = divmod(int(each), len(stretches.sets))
        rest, noticed = divmod(rest, 2)
        at_now, at_notice = divmod(rest, len(notice_lists))
        value = (
            None
            if each < 0
            else _union(now_lists[at_now], notice_lists[at_notice], bool(noticed), stretches.sets[then])
        )
        found.append(set_number(value, sets, numbers))
    return sets, np.array(found)[inverse]


def _union(now: Any, notice: Any, noticed: bool, then: Countries) -> Countries:
    if then is None or not now or (noticed and not notice):
        return None
    every = {*now, *(notice or ()), *then}
    return frozenset(every) if KNOWN.issuperset(every) else None


def _facts(
    tables: Tables,
    policy: Policy,
    as_of: datetime,
    book: Codebook,
    rows: _Rows,
    sets: list[Countries],
    codes: Numbers,
) -> tuple[dict[str, Numbers], dict[int, Numbers]]:
    """Return the facts of every row, and the rows behind them that stand in for kinds with clocks of their own."""
    someone = rows.person >= 0
    resolutions = [resolve(policy, each, as_of) for each in sets]
    facts = {
        "person_id": np.where(someone, rows.person, NONE).astype(np.int32),
        "countries": book.add_sets("countries", sets)[codes],
        **_account_facts(tables, book, rows),
        **_person_facts(tables, policy, book, rows),
    }
    facts |= _term_facts(resolutions, codes, book)
    heard = _Heard.of(tables.standing)
    facts |= _clock_facts(tables, rows.person, heard, resolutions, codes)
    for name in set(facts) - {"private"}:
        unknown = NEVER if facts[name].dtype == np.int64 else NONE
        facts[name][~someone] = unknown
    of_kinds: dict[int, Numbers] = {}
    rows_now = len(rows.person)
    for code, people, own in _kind_clocks(tables.standing, heard, book):
        source = np.flatnonzero(someone & people[rows.person])
        instead = np.arange(rows_now)
        instead[source] = len(facts["person_id"]) + np.arange(len(source))
        of_kinds[code] = instead
        clock = _clock_facts(tables, rows.person[source], own, resolutions, codes[source])
        facts = {name: np.concatenate([values, clock.get(name, values[source])]) for name, values in facts.items()}
    return facts, of_kinds


def _account_facts(tables: Tables, book: Codebook, rows: _Rows) -> dict[str, Numbers]:
    def spread(values: Numbers) -> Numbers:
        unknown = NEVER if values.dtype == np.int64 else NONE
        return np.append(values[rows.order], np.array([unknown], values.dtype))[rows.epoch]

    accounts = tables.accounts
    return {
        "status": spread(book.encode("status", accounts["status"])),
        "private": spread(truths(accounts["private"])),
        "compromised_from": spread(instants(accounts["compromised_from"])),
        "compromised_until": spread(instants(accounts["compromised_until"])),
    }


def _person_facts(tables: Tables, policy: Policy, book: Codebook, rows: _Rows) -> dict[str, Numbers]:
    standing = tables.standing

    def spread(values: Numbers) -> Numbers:
        unknown = NEVER if values.dtype == np.int64 else NONE
        return np.append(values, np.array([unknown], values.dtype))[rows.person]

    def scoped(name: str, read: Any) -> Numbers:
        positions, lists = distinct_lists(standing[name])
        return spread(book.add_sets(name, [read(each) for each in lists])[positions])

    positions, lists = distinct_lists(standing["consent_purposes"])
    consented = lookup([policy.purpose in (each or ()) for each in lists], positions, np.int8)
    return {
        "age_conflict": spread(truths(standing["age_conflict"])),
        "objected": spread(truths(standing["objected"])),
        "objected_kinds": scoped("objected_kinds", scope),
        "objected_services": scoped("objected_services", scope),
        "campaigns": scoped("campaigns", reached),
        "consented": spread(consented),
        "account_signal": spread(book.encode("account_signal", standing["signal"])),
    }


def _term_facts(resolutions: list[Resolution], codes: Numbers, book: Codebook) -> dict[str, Numbers]:
    terms = [each.terms for each in resolutions]
    regimes, meanings = book.words["regime"], book.words["signal_unknown"]
    kinds = book.add_sets("kinds", [frozenset(kind.value for kind in each.kinds) for each in terms])
    return {
        "covered": lookup([each.covered for each in resolutions], codes, np.int8),
        "regime": lookup([regimes.index(each.regime.value) for each in terms], codes, np.int8),
        "kinds": kinds[codes],
        "services": book.add_sets("services", [each.services for each in terms])[codes],
        "content_not_before": lookup([microseconds(each.content_not_before) for each in terms], codes, np.int64),
        "min_public_days": lookup([each.min_public_days for each in terms], codes, np.int32),
        "signal_unknown": lookup([meanings.index(each.signal_unknown.value) for each in terms], codes, np.int8),
        "special_category_allowed": lookup([each.special_category_allowed for each in terms], codes, np.int8),
        "clock_needed": lookup([clock_needed(each) for each in terms], codes, np.int8),
    }


@dataclass(slots=True)
class _Heard:
    """When each person was told, and of which date; the last place of each is for nobody."""

    first: Numbers
    last: Numbers
    effective: Numbers

    @classmethod
    def of(cls, standing: Any) -> _Heard:
        names = ("first_delivered_at", "last_delivered_at", "campaign_effective_at")
        return cls(*(np.append(instants(standing[name]), NEVER) for name in names))


def _kind_clocks(standing: Any, heard: _Heard, book: Codebook) -> Iterator[tuple[int, Any, _Heard]]:
    """Yield each kind that has clocks of its own: its code, who has one, and what they heard of it (NOT-07)."""
    column = standing["kind_clocks"].combine_chunks()
    if not len(column.flatten()):
        return
    person = pc.list_parent_indices(column).to_numpy()
    clocks = column.flatten()
    kinds = book.encode("kind", clocks.field("kind"))
    own = [instants(clocks.field(name)) for name in ("first_delivered_at", "last_delivered_at", "effective_at")]
    for code in np.unique(kinds):
        here = np.flatnonzero(kinds == code)[::-1]  # of a kind told twice the first stands, as in ``facts.clock_of``
        people = np.zeros(len(heard.first), dtype=np.bool_)
        people[person[here]] = True
        told = _Heard(heard.first.copy(), heard.last.copy(), heard.effective.copy())
        for values, mine in zip((told.first, told.last, told.effective), own, strict=True):
            values[person[here]] = mine[here]
        yield int(code), people, told


def _clock_facts(
    tables: Tables, person: Numbers, heard: _Heard, resolutions: list[Resolution], codes: Numbers
) -> dict[str, Numbers]:
    """Return the personal clock (NOT-02, §4): the same steps as ``judge._known_author``."""
    standing = tables.standing

    def spread(name: str) -> Numbers:
        return np.append(instants(standing[name]), NEVER)[person]

    terms = [each.terms for each in resolutions]
    born = np.append(
        standing["born_on"].combine_chunks().cast(pa.int32()).fill_null(NONE - 10**9).to_numpy(), NONE - 10**9
    )
    born = born[person].astype(np.int64)
    adult = _adult(born, lookup([each.min_age_years for each in terms], codes, np.int64))
    maker = _adult(born, lookup([each.age_at_creation_years for each in terms], codes, np.int64))
    cut = np.maximum(np.maximum(adult, spread("withdrawn_at")), spread("arrived_at"))
    first, last = heard.first[person], heard.last[person]
    notified = np.where(first >= cut, first, NEVER)
    notified = np.where((notified == NEVER) & (last >= cut), last, notified)
    days = lookup([each.notice_days for each in terms], codes, np.int64)
    told = np.where(notified == NEVER, 0, notified)
    ends = np.where(days == 0, told, (told // DAY + days + 1) * DAY + LAST_ZONE_HOURS * DAY // 24)
    over = np.where(notified == NEVER, NEVER, ends)
    date = lookup([microseconds(each.effective_at) for each in terms], codes, np.int64)
    effective = np.where(date == NEVER, NEVER, np.maximum(date, heard.effective[person]))
    return {
        "adult_at": adult,
        "maker_adult_at": maker,
        "notified_at": notified,
        "notice_over_at": over,
        "effective_at": effective,
    }


def _adult(born_days: Numbers, years: Numbers) -> Numbers:
    """Return ``clock.adult_at`` for each birth date and age, asked once a distinct pair."""
    distinct, inverse = np.unique(born_days * 10_001 + years, return_inverse=True)
    found = [_adult_one(*divmod(int(key), 10_001)) for key in distinct]
    return np.array(found, dtype=np.int64)[inverse] if found else np.zeros(0, dtype=np.int64)


@lru_cache(maxsize=200_000)
def _adult_one(born_days: int, years: int) -> int:
    if born_days < -(10**8):
        return NEVER
    born = np.datetime64(born_days, "D").astype(object)
    return microseconds(adult_at(born, years))

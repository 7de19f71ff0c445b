"""Who belongs together: linked ids, shared accounts, accounts that nobody claims. Reads the database, decides little.

Ids in one group stand for one human being: an objection by one covers all (PPL-01). A link that was learnt after
``base`` is late: it carries over what takes away, not what lets more in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from demur.people import schema
from demur.people.dossier import View, one_by
from demur.people.instants import FOREVER

LINK = "link"
UNLINK = "unlink"


@dataclass(slots=True)
class Links:
    """Groups of ids, as known at base and now."""

    now: dict[str, list[str]] = field(default_factory=dict)
    base: dict[str, frozenset[str]] = field(default_factory=dict)
    entangled: set[str] = field(default_factory=set)
    """People who need a look-up of their own."""
    near: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """Which ids are one by a word on just these two, and since when that was known. Two owners of one account are not
    there: each takes back what they said themselves."""
    unclaimed: set[str] = field(default_factory=set)
    """Accounts about which something is recorded, but not whose they are."""

    def group(self, person: str) -> list[str]:
        """Return the ids that stand for the same human being, sorted, the id itself among them."""
        return self.now.get(person, [person])

    def is_late(self, person: str, member: str) -> bool:
        """Tell whether it became known only after base that the two are one."""
        return person != member and member not in self.base.get(person, frozenset())


def read_links(connection: sa.Connection, view: View) -> Links:
    """Return all groups known by ``known_at``, in memory: a name for each linked id, shared or unclaimed account."""
    found = Links()
    early, late = _told(connection, view)
    own = list(_claimed_later(connection, view))
    found.near = near([*early, *late, *own])
    for pair in (*_shared(connection, view, found), *own):
        (late if pair[2] > view.base else early).append(pair)
    found.base = {person: frozenset(group) for person, group in _groups(early).items()}
    found.now = _groups([*early, *late])
    found.entangled.update(found.now)
    for table in (schema.PROFILES, schema.COMPROMISES):
        found.unclaimed.update(str(account) for account in connection.execute(_unclaimed(table, view)).scalars())
    found.entangled.update(found.unclaimed)
    return found


_Pairs = list[tuple[str, str, int]]
"""Two ids, and since when it is known that they are one."""


def near(pairs: Iterable[tuple[str, str, int]]) -> dict[str, list[tuple[str, int]]]:
    """Return the pairs by either id."""
    found: dict[str, list[tuple[str, int]]] = {}
    for one, other, recorded_at in pairs:
        found.setdefault(one, []).append((other, recorded_at))
        found.setdefault(other, []).append((one, recorded_at))
    return found


def one_since(words: Sequence[tuple[int, int, bool]]) -> int | None:
    """Return since when it is known that two ids are one, ``None`` if the last word says that they are not.

    Args:
        words: since when, recorded when, whether they are one; at one instant they are.
    """
    since: int | None = None
    for valid_at, recorded_at, is_one in sorted(words):
        known = max(valid_at, recorded_at)
        since = None if not is_one else known if since is None else min(since, known)
    return since


def _told(connection: sa.Connection, view: View) -> tuple[_Pairs, _Pairs]:
    """The last word at base on a pair holds; a late link is added, a late unlink changes nothing."""
    table = schema.LINKS
    query = sa.select(table.c.person_id, table.c.other_person_id, table.c.act, table.c.valid_at, table.c.recorded_at)
    words: dict[tuple[str, str], list[tuple[int, int, bool]]] = {}
    late: _Pairs = []
    for person, other, act, valid_at, recorded_at in connection.execute(
        query.where(table.c.recorded_at <= view.known_at)
    ):
        if recorded_at <= view.base and valid_at <= view.as_of:
            words.setdefault((person, other), []).append((valid_at, recorded_at, act == LINK))
        elif act == LINK:
            late.append((person, other, max(valid_at, recorded_at)))
    since = {pair: one_since(told) for pair, told in words.items()}
    return [(*pair, recorded_at) for pair, recorded_at in since.items() if recorded_at is not None], late


def _shared(connection: sa.Connection, view: View, found: Links) -> Iterable[tuple[str, str, int]]:
    """Accounts with several claims. Two owners from the same instant on are taken for one human being."""
    table = schema.ACCOUNTS
    known = table.c.recorded_at <= view.known_at
    several = sa.select(table.c.account_id).where(known).group_by(table.c.account_id).having(sa.func.count() > 1)
    query = sa.select(table.c.account_id, table.c.valid_at, table.c.person_id, table.c.recorded_at)
    query = query.where(known, table.c.account_id.in_(several))
    claims: dict[tuple[str, int | None], dict[str, int]] = {}
    for account, valid_at, person, recorded_at in connection.execute(query):
        found.entangled.add(person)
        owners = claims.setdefault((account, valid_at), {})
        owners[person] = min(recorded_at, owners.get(person, recorded_at))
    for owners in claims.values():
        told = sorted((recorded_at, person) for person, recorded_at in owners.items())
        for recorded_at, person in told[1:]:
            yield told[0][1], person, recorded_at


def claimed_later(objected: sa.ColumnElement[bool], known_at: int = FOREVER, base: int = FOREVER) -> sa.Select[Any]:
    """Return the query for accounts with objections under their own id that were somebody's all along, and whose.

    An account that nobody claims is its own person, and so is whoever objects under its id. An id that has an account
    by another name is a person's, whatever else is called so.

    Args:
        objected: whether somebody objected under an account's id.
        known_at: only claims recorded by then.
        base: only people with an account recorded by then are people.
    """
    accounts, other = schema.ACCOUNTS.c, schema.ACCOUNTS.alias().c
    person = sa.exists().where(other.person_id == accounts.account_id, other.recorded_at <= base)
    known = accounts.recorded_at <= known_at
    return sa.select(schema.ACCOUNTS).where(objected, accounts.valid_at.is_(None), known, ~person)


def _claimed_later(connection: sa.Connection, view: View) -> Iterable[tuple[str, str, int]]:
    """Accounts under whose own id somebody objected before it was told whose they are: from always on, that one's."""
    objections = schema.OBJECTIONS.c
    said = sa.select(objections.person_id, sa.func.min(objections.recorded_at).label("first"))
    first = said.where(objections.recorded_at <= view.known_at).group_by(objections.person_id).subquery().c
    query = claimed_later(schema.ACCOUNTS.c.account_id == first.person_id, view.known_at, view.base)
    for row in connection.execute(query.add_columns(first.first)):
        yield row.account_id, row.person_id, max(row.first, row.recorded_at)


def _unclaimed(table: sa.Table, view: View) -> sa.Select[tuple[str]]:
    accounts = schema.ACCOUNTS
    claim = sa.exists().where(accounts.c.account_id == table.c.account_id, accounts.c.recorded_at <= view.known_at)
    return sa.select(table.c.account_id).where(table.c.recorded_at <= view.known_at, ~claim).distinct()


def _groups(pairs: Iterable[tuple[str, str, int]]) -> dict[str, list[str]]:
    """Connected groups of the pairs, by member."""
    told = near(pairs)
    groups: dict[str, list[str]] = {}
    for start in told:
        if start not in groups:
            members = sorted(one_by(told, start, FOREVER))
            groups.update(dict.fromkeys(members, members))
    return groups

"""Objections in batches: one transaction for many, each told whether it is new or in force already.

Decides nothing about items. What stands is read as standing.py reads it, now.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from demur.clock import from_micros, micros
from demur.errors import InputError
from demur.people import lookup, schema
from demur.people.dossier import Near, one_by
from demur.people.events import DOORS, OPEN_DOORS, objection_row
from demur.people.instants import ALWAYS, FOREVER
from demur.people.standing import covers, takes_back
from demur.people.timeline import Timeline
from demur.store.database import Row
from demur.terms.content import Kind, Signal
from demur.terms.people import Act

_SECOND = 1_000_000
"""In microseconds."""


@dataclass(frozen=True, slots=True)
class Told:
    """One objection as it came through a door."""

    door: str
    said_at: datetime | None = None
    """``None`` = now; what says that it will be said later was said now."""
    person_id: str | None = None
    claim: Mapping[str, str] = field(default_factory=dict)
    """Otherwise what was said about who it is: ``account_id``, ``handle``, ``contact``, or what nobody can match."""
    kinds: tuple[str, ...] | None = None
    services: tuple[str, ...] | None = None
    objection_id: str | None = None
    """Reference for it, if it is new."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An objection or a withdrawal as the registry keeps it."""

    event_id: str
    objection_id: str
    person_id: str | None
    """``None`` = waits in the queue until somebody finds out whose it is."""
    act: Act
    kinds: tuple[str, ...] | None
    services: tuple[str, ...] | None
    door: str
    said_at: datetime
    recorded_at: datetime
    claim: str | None = None
    """What an unmatched one said about the person, as JSON."""
    repeated: bool = False
    """Whether this one stood before; nothing new was recorded."""
    taken_back: bool = False
    """Whether the person withdrew after it was said, and before it came here: it is kept, and not in force."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How a person is written to."""

    contact: str | None
    language: str | None
    country: str | None
    accounts: tuple[str, ...]
    """Every account of theirs, of all linked ids."""
    people: tuple[str, ...]
    """The person's id and all that are linked to it."""
    others: tuple[tuple[str, str], ...]
    """Linked ids with another newest address, and that."""


def record_batch(
    database: Timeline, connection: sa.Connection, told: Sequence[Told], recorded_at: datetime
) -> list[Kept]:
    """Record objections in the caller's transaction; one that repeats what stands is not recorded again.

    An objection that came by an open door never stands in the way of one through a closed door: the later one is
    recorded for itself, so that taking back the first leaves the second (EVIDENCE §2, GHSA-qx5f).
    """
    if database.is_postgresql:  # waits for a taking back that is under way, not for other objections
        connection.execute(sa.text("LOCK TABLE objections IN ROW EXCLUSIVE MODE"))
    said = micros(recorded_at)
    at = max(said, database.floor(connection))
    people = [one.person_id or _match(connection, one.claim, _said(one, said)) for one in told]
    groups = _groups(database, connection, {person for person in people if person})
    acts = _acts(database, connection, groups)
    narrow = {person for one, person in zip(told, people, strict=True) if person and one.services}
    services = _services(database, connection, {groups[person] for person in narrow})
    fresh: list[Row] = []
    queue: list[Row] = []
    kept: list[Kept] = []
    for one, person in zip(told, people, strict=True):
        read = _read(one, person, said)
        if person is None:
            row = lookup.unmatched_row(orjson.dumps(dict(sorted(one.claim.items()))).decode(), read, at)
            queue.append(row)
            kept.append(_of_queue(row))
            continue
        group = groups[person]
        if not set(one.services or ()) <= services.get(group, frozenset()):
            read["services"] = None
        standing = _standing(acts[group], read, until=said + _SECOND)
        if standing is not None:
            kept.append(_of_row(standing, repeated=True))
            continue
        row = _new(one, read, acts[group], at)
        fresh.append(row)
        kept.append(replace(_of_row(row), taken_back=row not in _left(acts[group])))
    database.write(connection, schema.OBJECTIONS, fresh)
    database.write(connection, schema.UNMATCHED, queue)
    return kept


def _new(one: Told, read: dict[str, Any], acts: _Acts, at: int) -> Row:
    """Return the row of an objection that does not stand yet, and put it to what was told before."""
    if one.said_at is None:  # said after whatever was taken back by now
        taken_back = [row[7] for row in acts.rows if row[3] == Act.WITHDRAW]
        read["valid_at"] = max([read["valid_at"], *(then + 1 for then in taken_back)])
    row = schema.event(*objection_row(read), recorded_at=at)
    acts.rows.append(row)
    return row


def take_back(
    database: Timeline, connection: sa.Connection, person: str, recorded_at: datetime, reference: str
) -> Kept | None:
    """Record that a person takes back what came by open doors; ``None`` when nothing is left that may go this way.

    What came through a closed door (login, staff, a signal) stands, and then nothing is taken back at all.
    """
    _alone(database, connection)
    standing = in_force(database, connection, person)
    if not standing or any(one.door not in OPEN_DOORS for one in standing):
        return None
    return withdraw(database, connection, person, recorded_at, reference, "link")


def withdraw(
    database: Timeline, connection: sa.Connection, person: str, recorded_at: datetime, reference: str, door: str
) -> Kept:
    """Record a withdrawal of everything; the caller has made sure that it is the person."""
    _alone(database, connection)
    at = max(micros(recorded_at), database.floor(connection))
    said = max([at, *(micros(one.said_at) + 1 for one in in_force(database, connection, person))])
    values = (person, reference, Act.WITHDRAW.value, None, None, door, said)
    row = schema.event(*values, recorded_at=at)
    database.write(connection, schema.OBJECTIONS, [row])
    return _of_row(row)


def _alone(database: Timeline, connection: sa.Connection) -> None:
    """Keep objections waiting until this transaction is over; SQLite has one writer anyway."""
    if database.is_postgresql:
        connection.execute(sa.text("LOCK TABLE objections IN SHARE ROW EXCLUSIVE MODE"))


def in_force(database: Timeline, connection: sa.Connection, person: str) -> list[Kept]:
    """Return a person's objections that stand, of all linked ids, oldest first."""
    groups = _groups(database, connection, {person})
    return [_of_row(row) for row in _left(_acts(database, connection, groups)[groups[person]])]


def by_reference(connection: sa.Connection, reference: str) -> Kept | None:
    """Return the objection of a reference: the oldest one, matched before waiting."""
    for table, read in ((schema.OBJECTIONS, _of_row), (schema.UNMATCHED, _of_queue)):
        query = sa.select(table).where(table.c.objection_id == reference).order_by(table.c.recorded_at).limit(1)
        found = connection.execute(query).first()
        if found is not None:
            return read(tuple(found))
    return None


def page(
    connection: sa.Connection, after: tuple[str, str, str] | None, rows: int, since: datetime | None = None
) -> list[Kept]:
    """Return objections, withdrawals and the queue in one fixed order, from after a place on.

    Args:
        connection: a reading one.
        after: (table, subject, event id) as ``place_of`` gives it; ``None`` = from the start.
        rows: how many at most.
        since: only what was recorded later; ``None`` = all.
    """
    found: list[Kept] = []
    for table, read in ((schema.OBJECTIONS, _of_row), (schema.UNMATCHED, _of_queue)):
        if after is not None and after[0] > table.name:
            continue
        subject = next(iter(table.columns))
        query = sa.select(table).order_by(subject, table.c.event_id).limit(rows - len(found))
        if since is not None:
            query = query.where(table.c.recorded_at > micros(since))
        if after is not None and after[0] == table.name:
            query = query.where(sa.tuple_(subject, table.c.event_id) > sa.tuple_(*map(sa.literal, after[1:])))
        found += [read(tuple(row)) for row in connection.execute(query)]
    return found


def place_of(kept: Kept) -> tuple[str, str, str]:
    """Return where an objection stands in the order of ``page``."""
    if kept.person_id is None:
        return (schema.UNMATCHED.name, kept.objection_id, kept.event_id)
    return (schema.OBJECTIONS.name, kept.person_id, kept.event_id)


def reach(database: Timeline, connection: sa.Connection, people: Iterable[str]) -> dict[str, Reach]:
    """Return how each person is written to: the newest address, language, residence, and all accounts."""
    groups = _groups(database, connection, set(people))
    ids = sorted({one for group in groups.values() for one in group})
    contacts = _newest(connection, schema.CONTACTS, "contact", ids)
    countries = _newest(connection, schema.RESIDENCES, "country", ids, instants="valid_from", known=True)
    table, profiles = schema.ACCOUNTS, schema.PROFILES
    accounts: dict[str, set[str]] = {}
    for account, owner in connection.execute(
        sa.select(table.c.account_id, table.c.person_id).where(table.c.person_id.in_(ids))
    ):
        accounts.setdefault(owner, set()).add(account)
    owned = sorted({account for some in accounts.values() for account in some})
    told = sa.select(profiles.c.account_id, profiles.c.language).where(
        profiles.c.account_id.in_(owned), profiles.c.language.is_not(None)
    )
    spoken = dict(tuple(row) for row in connection.execute(told.order_by(profiles.c.recorded_at)))
    found: dict[str, Reach] = {}
    for person, group in groups.items():
        own = (person, *(one for one in group if one != person))
        addresses: dict[str, tuple[str, str]] = {}
        for one in own:
            if one in contacts:
                addresses.setdefault(contacts[one].casefold(), (one, contacts[one]))
        told_at = tuple(addresses.values())
        mine = sorted({account for one in group for account in accounts.get(one, ())})
        found[person] = Reach(
            told_at[0][1] if told_at else None,
            next((spoken[account] for account in mine if account in spoken), None),
            next((countries[one] for one in own if countries.get(one)), None),
            tuple(mine),
            own,
            told_at[1:],
        )
    return found


def _newest(
    connection: sa.Connection, table: sa.Table, column: str, people: list[str], *, instants: str = "valid_at",
    known: bool = False,
) -> dict[str, Any]:  # fmt: skip
    query = sa.select(table.c.person_id, table.c[column]).where(table.c.person_id.in_(people))
    query = query.where(table.c[column].is_not(None)) if known else query
    ordered = query.order_by(sa.func.coalesce(table.c[instants], ALWAYS), table.c.recorded_at)
    return dict(tuple(row) for row in connection.execute(ordered))


def _match(connection: sa.Connection, claim: Mapping[str, str], at: int = FOREVER) -> str | None:
    names = ("account_id", "handle", "contact")
    return lookup.match(connection, **{name: claim.get(name) for name in names}, at=at) if claim else None


_Group = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Acts:
    """What a group ever said."""

    rows: list[Row]
    near: Near
    """Which of its ids were told to be one, and when."""


def _groups(database: Timeline, connection: sa.Connection, people: set[str]) -> dict[str, _Group]:
    """Return each person's linked ids, sorted; five questions for everybody who is linked to nobody."""
    links, accounts, said = schema.LINKS.c, schema.ACCOUNTS.c, schema.OBJECTIONS.c
    linked: set[str] = set()
    for column in (links.person_id, links.other_person_id):
        linked.update(person for (person,) in database.look_up(connection, [column], column, people))
    both = [accounts.account_id, accounts.person_id]
    owned = [row for key in both for row in database.look_up(connection, both, key, people) if row[0] != row[1]]
    names = {account for account, _ in owned}
    objected = {name for (name,) in database.look_up(connection, [said.person_id], said.person_id, names)} | people
    linked.update(one for row in owned if row[0] in objected for one in row)
    return {one: tuple(lookup.linked(connection, one)) if one in linked else (one,) for one in people}


def _acts(database: Timeline, connection: sa.Connection, groups: Mapping[str, _Group]) -> dict[_Group, _Acts]:
    """Return what each group ever said, in order."""
    table = schema.OBJECTIONS
    of = {member: group for group in groups.values() for member in group}
    said: dict[_Group, list[Row]] = {group: [] for group in groups.values()}
    for row in database.look_up(connection, list(table.columns), table.c.person_id, of):
        said[of[row[0]]].append(tuple(row))
    found: dict[_Group, _Acts] = {}
    for group, acts in said.items():
        rows, near = acts, {}
        if any(row[3] == Act.WITHDRAW for row in acts):
            windows = _compromises(connection, group)
            rows = [row for row in acts if row[3] == Act.OBJECT or not any(a <= row[7] < b for a, b in windows)]
            near = lookup.nearby(connection, group)
        found[group] = _Acts(rows, near)
    return found


def _services(
    database: Timeline, connection: sa.Connection, groups: Collection[_Group]
) -> dict[_Group, frozenset[str]]:
    """Return where each group has accounts: to say no for another place is to say no to everything (OBJ-02)."""
    table = schema.ACCOUNTS
    people = {member for group in groups for member in group}
    owned = database.look_up(connection, [table.c.person_id, table.c.service], table.c.person_id, people)
    return {group: frozenset(service for owner, service in owned if owner in group) for group in groups}


def _compromises(connection: sa.Connection, group: _Group) -> list[tuple[int, int]]:
    """Return when somebody else held an account of theirs: withdrawals of then are void (OBJ-08)."""
    table, accounts = schema.COMPROMISES, schema.ACCOUNTS
    owned = sa.select(accounts.c.account_id).where(accounts.c.person_id.in_(group))
    query = sa.select(table.c.valid_at, table.c.valid_until).where(table.c.account_id.in_(owned))
    return [(begin, FOREVER if end is None else end) for begin, end in connection.execute(query)]


def _left(acts: _Acts) -> list[Row]:
    """Return the objections that no later withdrawal takes back."""
    standing: list[Row] = []
    for row in sorted(acts.rows, key=lambda row: (row[7], row[8], row[3] == Act.OBJECT, row[2])):
        if row[3] == Act.OBJECT:
            standing.append(row)
        else:
            mine = one_by(acts.near, row[0], row[8])
            standing = [one for one in standing if not takes_back(_as_read(row), _as_read(one), mine)]
    return standing


def _as_read(row: Row) -> Row:
    """Return an event without its ``event_id``, as the rules read it."""
    return (row[0], *row[2:])


def _standing(acts: _Acts, read: Mapping[str, Any], *, until: int) -> Row | None:
    """Return the first objection of the same id in force that says as much; for a closed door one by a closed door.

    What holds from a later instant on is no repeat. One of a linked id neither: the two may turn out to be different
    people. A withdrawal counts whatever its instant: the clock may have gone back since.
    """
    begun = [row for row in acts.rows if row[3] == Act.WITHDRAW or row[7] <= until]
    closed = read["door"] not in OPEN_DOORS
    for row in _left(_Acts(begun, acts.near)) if begun else ():
        same = row[0] == read["person_id"] and not (closed and row[6] in OPEN_DOORS)
        if same and covers(row[4], read["kinds"]) and covers(row[5], read["services"]):
            return row
    return None


def _read(one: Told, person: str | None, at: int) -> dict[str, Any]:
    """Return the members of an event; kinds that nobody knows make it everything (OBJ-02)."""
    known = one.kinds is not None and set(one.kinds) <= {kind.value for kind in Kind}
    return {
        "person_id": person,
        "act": Act.OBJECT.value,
        "objection_id": one.objection_id,
        "kinds": schema.listed(one.kinds) if known else None,
        "services": schema.listed(one.services),
        "door": one.door if one.door in DOORS else "bulk",
        "valid_at": _said(one, at),
    }


def _said(one: Told, at: int) -> int:
    return at if one.said_at is None else min(at, micros(one.said_at))


def _scope(stored: str | None) -> tuple[str, ...] | None:
    found = schema.unlisted(stored)
    return None if found is None else tuple(found)


def _of_row(row: Row, *, repeated: bool = False) -> Kept:
    person, event_id, reference, act, kinds, services, door, said, recorded = row
    return Kept(event_id, reference, person, Act(act), _scope(kinds), _scope(services), door, from_micros(said),
                from_micros(recorded), repeated=repeated)  # fmt: skip


def _of_queue(row: Row) -> Kept:
    reference, event_id, claim, kinds, services, door, said, recorded = row
    return Kept(event_id, reference, None, Act.OBJECT, _scope(kinds), _scope(services), door, from_micros(said),
                from_micros(recorded), claim=claim)  # fmt: skip


class Objecting:
    """What the registry does with objections in batches; a part of ``Registry``."""

    _database: Timeline

    def record_objections(self, told: Sequence[Told], *, recorded_at: datetime) -> list[Kept]:
        """Record objections in one durable transaction; say of each what is kept, in the same order.

        Always accepted. What stands already is not recorded twice (``repeated``), unless it came by an open door and
        this one by a closed one. What cannot be matched to a person waits in the queue.
        """
        with self._database.writing() as connection:
            return record_batch(self._database, connection, told, recorded_at)

    def match_objection(self, objection_id: str, person_id: str, *, recorded_at: datetime) -> Kept:
        """Say whose a waiting objection is; it counts from when it was said.

        Raises:
            InputError: no objection of that reference waits.
        """
        queue = schema.UNMATCHED.c
        with self._database.writing() as connection:
            found = connection.execute(sa.select(schema.UNMATCHED).where(queue.objection_id == objection_id)).first()
            found = found or connection.execute(lookup.of_nobody(objection_id)).first()
            if found is None:
                raise InputError("expected the reference of an objection in the queue, found none; list the queue")
            rest = (found.kinds, found.services, found.door, found.valid_at)
            at = max(micros(recorded_at), self._database.floor(connection))
            row = schema.event(person_id, objection_id, Act.OBJECT.value, *rest, recorded_at=at)
            self._database.write(connection, schema.OBJECTIONS, [row])
            standing = {one.event_id for one in in_force(self._database, connection, person_id)}
        return replace(_of_row(row), taken_back=row[1] not in standing)

    def addressed(self) -> dict[str, str]:
        """Return waiting objection → person, where the address that it names is one human being's by now."""
        with self._database.reading() as connection:
            claims = ((row["objection_id"], orjson.loads(row["claim"])) for row in lookup.queued(connection))
            waiting = {name: claim for name, claim in claims if claim.get("contact")}
            known = lookup.on_file(connection, {claim["contact"] for claim in waiting.values()})
            found = {name: _match(connection, claim) for name, claim in waiting.items() if claim["contact"] in known}
        return {name: person for name, person in found.items() if person is not None}

    def with_account(self, people: Iterable[str]) -> set[str]:
        """Return those of some people whose items an objection covers now: somebody knows an account of theirs."""
        with self._database.reading() as connection:
            return {one for one, to in reach(self._database, connection, people).items() if to.accounts}

    def take_back_open(self, person_id: str, *, recorded_at: datetime, reference: str) -> Kept | None:
        """Record that a person takes back what others' clicks on links did; ``None`` when nothing may go this way."""
        with self._database.writing() as connection:
            return take_back(self._database, connection, person_id, recorded_at, reference)

    def take_back(self, person_id: str, *, recorded_at: datetime, reference: str, door: str = "web") -> Kept:
        """Record that a person takes everything back; the caller has checked login and confirmation (OBJ-08)."""
        with self._database.writing() as connection:
            return withdraw(self._database, connection, person_id, recorded_at, reference, door)

    def objections_of(self, person_id: str) -> list[Kept]:
        """Return a person's objections in force, of all linked ids, oldest first."""
        with self._database.reading() as connection:
            return in_force(self._database, connection, person_id)

    def objection(self, reference: str) -> Kept | None:
        """Return the objection of a reference, matched or waiting."""
        with self._database.reading() as connection:
            return by_reference(connection, reference)

    def objections_page(
        self, after: tuple[str, str, str] | None = None, *, rows: int = 2_000, since: datetime | None = None
    ) -> list[Kept]:
        """Return objections, withdrawals and the queue in one fixed order, a page at a time (``place_of`` goes on)."""
        with self._database.reading() as connection:
            return page(connection, after, rows, since)

    def reach(self, people: Iterable[str]) -> dict[str, Reach]:
        """Return how some people are written to: address, language, country, all their accounts."""
        with self._database.reading() as connection:
            return reach(self._database, connection, people)

    def owner_of(self, account_id: str) -> str | None:
        """Return who has an account now; ``None`` when nobody knows it."""
        with self._database.reading() as connection:
            return lookup.owner(connection, account_id)

    def signalling(self) -> list[str]:
        """Return the people of whom an account's newest word about training is no, sorted (OBJ-10)."""
        accounts, profiles = schema.ACCOUNTS, schema.PROFILES
        query = (
            sa.select(accounts.c.person_id, profiles.c.account_id, profiles.c.signal)
            .join(profiles, profiles.c.account_id == accounts.c.account_id)
            .where(profiles.c.signal.is_not(None))
            .order_by(sa.func.coalesce(profiles.c.valid_at, ALWAYS), profiles.c.recorded_at)
        )
        with self._database.reading() as connection:
            newest = {(row.person_id, row.account_id): row.signal for row in connection.execute(query)}
        return sorted({person for (person, _), signal in newest.items() if signal == Signal.NO})

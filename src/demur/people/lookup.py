"""Finding people and reading back everything that is recorded about one; for staff, the person's page and explain.

Point queries only; the standing of everybody is streams.py's work.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from demur.clock import from_micros
from demur.people import schema
from demur.people.events import handle_key
from demur.people.instants import FOREVER, day
from demur.people.links import LINK, claimed_later, near, one_since
from demur.terms.people import Act

_INSTANTS = frozenset(
    {"valid_at", "valid_from", "valid_until", "recorded_at", "effective_at", "last_active_at", "created_from",
     "created_until"}
)  # fmt: skip
_LISTS = frozenset({"kinds", "services", "countries", "people"})


def linked(connection: sa.Connection, person_id: str) -> list[str]:
    """Return the ids that are one human being by the last word on each pair, sorted, the id itself among them.

    Whoever turned out to be somebody else is shown nothing of them any more.
    """
    return _group(connection, person_id, lambda told: max(told)[-1])


def ever_linked(connection: sa.Connection, person_id: str) -> list[str]:
    """Return the ids that were ever told to be the same human being, sorted, the id itself among them."""
    return _group(connection, person_id, lambda told: any(word[-1] for word in told))


def nearby(connection: sa.Connection, group: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """Return which of the ids of :func:`linked` are one by a word on just these two, and since when that is known."""
    pairs: list[tuple[str, str, int]] = []
    said = schema.OBJECTIONS.c
    for person in group if len(group) > 1 else ():
        since = {other: one_since(words) for other, words in _told(connection, person).items() if person < other}
        pairs += [(person, other, recorded) for other, recorded in since.items() if recorded is not None]
        for row in _own_names(connection, person):
            first = sa.select(sa.func.min(said.recorded_at)).where(said.person_id == row.account_id)
            known = max(int(connection.scalar(first) or 0), row.recorded_at)
            pairs.append((row.account_id, row.person_id, known))
    return near(pairs)


_Words = list[tuple[int, int, bool]]
"""What was told of a pair: since when, learnt when, whether they are one."""


def _group(connection: sa.Connection, person_id: str, is_one: Callable[[_Words], bool]) -> list[str]:
    group, waiting = {person_id}, [person_id]
    while waiting:
        person = waiting.pop()
        new = {other for other, words in _told(connection, person).items() if is_one(words)}
        new.update(one for row in _own_names(connection, person) for one in (row.account_id, row.person_id))
        waiting.extend(new - group)
        group |= new
    return sorted(group)


def _told(connection: sa.Connection, person: str) -> dict[str, _Words]:
    """Return what was told of a person's id and others."""
    table = schema.LINKS
    about = sa.or_(table.c.person_id == person, table.c.other_person_id == person)
    told: dict[str, _Words] = {}
    for row in connection.execute(sa.select(table).where(about)):
        other = row.other_person_id if row.person_id == person else row.person_id
        told.setdefault(other, []).append((row.valid_at, row.recorded_at, row.act == LINK))
    return told


def _own_names(connection: sa.Connection, person: str) -> Iterator[Any]:
    """Yield accounts of a person under whose own ids somebody objected, and the other way round (links.py)."""
    for query in _OWN_NAMES:
        yield from connection.execute(query, {"person": person})


_OBJECTED = sa.exists().where(schema.OBJECTIONS.c.person_id == schema.ACCOUNTS.c.account_id)
_OWN_NAMES = tuple(
    claimed_later(_OBJECTED).where(column == sa.bindparam("person"))
    for column in (schema.ACCOUNTS.c.person_id, schema.ACCOUNTS.c.account_id)
)


def accounts_of(connection: sa.Connection, person_id: str) -> list[str]:
    """Return the accounts that a person or a linked id ever had, sorted."""
    table = schema.ACCOUNTS
    owners = linked(connection, person_id)
    return sorted(set(connection.execute(sa.select(table.c.account_id).where(table.c.person_id.in_(owners))).scalars()))


def _small(column: Any, text: str) -> sa.ColumnElement[bool]:
    """Return the condition that a column holds an address in whatever capitals.

    Both databases fold the letters of ASCII in a column, and no others; so what is looked for is folded here.
    """
    forms = {text.translate(_SMALL), text.lower().translate(_SMALL)}
    return sa.func.lower(column).in_(sorted(forms))


_SMALL = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def find(connection: sa.Connection, text: str) -> list[str]:
    """Return the people who go by a text: person id, account id, handle (now or once), address in whatever capitals."""
    accounts, profiles, contacts = schema.ACCOUNTS, schema.PROFILES, schema.CONTACTS
    same = profiles.c.account_id == accounts.c.account_id
    queries = (
        sa.select(accounts.c.person_id).where(sa.or_(accounts.c.person_id == text, accounts.c.account_id == text)),
        sa.select(accounts.c.person_id).join(profiles, same).where(profiles.c.handle_key == handle_key(text)),
    )
    found = {person for query in queries for person in connection.execute(query).scalars()}
    written = connection.execute(
        sa.select(contacts.c.person_id, contacts.c.contact).where(_small(contacts.c.contact, text))
    ).all()
    exact = {person for person, contact in written if contact == text}
    return sorted(found | (exact or {person for person, _ in written}))


def on_file(connection: sa.Connection, addresses: Iterable[str]) -> set[str]:
    """Return those of some addresses that are somebody's, in whatever capitals."""
    column = schema.CONTACTS.c.contact
    return {
        one for one in addresses if connection.execute(sa.select(column).where(_small(column, one)).limit(1)).first()
    }


def match(
    connection: sa.Connection, *, account_id: str | None, handle: str | None, contact: str | None, at: int = FOREVER
) -> str | None:
    """Return the one human being that a claim names, or ``None`` when it names nobody or several (OBJ-09).

    A handle of one and an address of another name nobody: somebody must find out whose no it is. An account is
    whoever's it was when it was said (PPL-06), or was first.
    """
    if account_id:
        return owner(connection, account_id, at) or account_id
    found = [find(connection, told) for told in (handle, contact) if told]
    named = [{linked(connection, person)[0] for person in people} for people in found if people]
    one = set.intersection(*named) if named else set()
    return one.pop() if len(one) == 1 else None


def owner(connection: sa.Connection, account_id: str, at: int = FOREVER) -> str | None:
    """Return who has an account at an instant, by default in the end; ``None`` when nobody knows.

    Before anybody had it, it is the first one's: what was said under its id counts for somebody.
    """
    table = schema.ACCOUNTS
    since = sa.func.coalesce(table.c.valid_at, -FOREVER)
    nearest = (since > at, sa.case((since > at, since), else_=-since), table.c.recorded_at.desc())
    query = sa.select(table.c.person_id).where(table.c.account_id == account_id).order_by(*nearest).limit(1)
    person: str | None = connection.execute(query).scalar()
    return person


def unmatched_row(told: str, read: dict[str, Any], recorded_at: int) -> tuple[Any, ...]:
    """Return a row of UNMATCHED."""
    rest = (told, read["kinds"], read["services"], read["door"], read["valid_at"])
    reference = read["objection_id"] or f"U-{schema.event('', *rest, recorded_at=0)[1][:16]}"
    return schema.event(reference, *rest, recorded_at=recorded_at)


def queued(connection: sa.Connection, reference: str | None = None) -> list[dict[str, Any]]:
    """Return claims that nobody matched; of one reference, or all."""
    objections, queue = schema.OBJECTIONS, schema.UNMATCHED
    answered = sa.exists().where(objections.c.objection_id == queue.c.objection_id)
    query = sa.select(queue).where(~answered)
    query = query if reference is None else query.where(queue.c.objection_id == reference)
    return [_plain(queue, row) for row in connection.execute(query)]


def unmatched(connection: sa.Connection, reference: str | None = None) -> list[dict[str, Any]]:
    """Return what waits: claims that nobody matched, and objections of ids without an account; one, or all.

    All of them take a look at every objection; one, and the claims alone, do not.
    """
    waiting = queued(connection, reference)
    waiting += [_plain(schema.OBJECTIONS, row) for row in connection.execute(of_nobody(reference))]
    return sorted(waiting, key=lambda row: (row["recorded_at"], row["objection_id"]))


def of_nobody(reference: str | None = None) -> sa.Select[Any]:
    """Return the query for objections of ids without an account that nobody matched; of one reference, or all."""
    said, other, accounts = schema.OBJECTIONS.c, schema.OBJECTIONS.alias().c, schema.ACCOUNTS.c
    owned = sa.exists().where(accounts.person_id == said.person_id)
    always = sa.exists().where(accounts.account_id == said.person_id, accounts.valid_at.is_(None))
    matched = sa.exists().where(other.objection_id == said.objection_id, other.person_id != said.person_id)
    query = sa.select(schema.OBJECTIONS).where(said.act == Act.OBJECT.value, ~owned, ~always, ~matched)
    return query if reference is None else query.where(said.objection_id == reference)


def about(connection: sa.Connection, person_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return every event of a person, of linked ids and of their accounts."""
    people = linked(connection, person_id)
    unclaimed = [] if owner(connection, person_id) else [person_id]  # then the account is its own person
    accounts = [*accounts_of(connection, person_id), *unclaimed]
    found: dict[str, list[dict[str, Any]]] = {}
    for name, table in sorted(schema.BY_NAME.items()):
        subject = next(iter(table.columns)).name
        if subject == "person_id":
            found[name] = _rows(connection, table, table.c.person_id.in_(people))
        elif subject == "account_id":
            found[name] = _rows(connection, table, table.c.account_id.in_(accounts))
    campaigns = sorted({row["campaign_id"] for row in found["notices"]})
    for table in (schema.CAMPAIGNS, schema.CAMPAIGN_STATUSES):
        found[table.name] = _rows(connection, table, table.c.campaign_id.in_(campaigns))
    return found


def _rows(connection: sa.Connection, table: sa.Table, condition: sa.ColumnElement[bool]) -> list[dict[str, Any]]:
    query: sa.Select[Any] = sa.select(table).where(condition)
    ordered = query.order_by(table.c.recorded_at, *_key(table))
    return [_plain(table, row) for row in connection.execute(ordered)]


def _key(table: sa.Table) -> Iterable[Any]:
    return table.primary_key.columns


def _plain(table: sa.Table, row: Sequence[Any]) -> dict[str, Any]:
    """Return a row in the words of the outside: instants, dates, lists."""
    return {
        column.name: _value(column.name, value)
        for column, value in zip(table.columns, row, strict=True)
        if column.name not in {"event_id", "handle_key"}
    }


def _value(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name in _INSTANTS:
        return from_micros(value)
    if name == "born_on":
        return day(value)
    return schema.unlisted(value) if name in _LISTS else value

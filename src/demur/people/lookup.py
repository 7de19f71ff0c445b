"""Finding people and reading back everything that is recorded about one; for staff, the person's page and explain.

Point queries only; the standing of everybody is streams.py's work.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from demur.clock import from_micros
from demur.people import schema
from demur.people.events import handle_key
from demur.people.instants import FOREVER, day
from demur.people.links import LINK
from demur.terms.people import Act

_INSTANTS = frozenset(
    {"valid_at", "valid_from", "valid_until", "recorded_at", "effective_at", "last_active_at", "created_from",
     "created_until"}
)  # fmt: skip
_LISTS = frozenset({"kinds", "services", "countries", "people"})


def linked(connection: sa.Connection, person_id: str) -> list[str]:
    """Return the ids that were ever told to be the same human being, sorted, the id itself among them."""
    table = schema.LINKS
    group, waiting = {person_id}, [person_id]
    while waiting:
        person = waiting.pop()
        pairs = sa.select(table.c.person_id, table.c.other_person_id).where(
            table.c.act == LINK, sa.or_(table.c.person_id == person, table.c.other_person_id == person)
        )
        new = {member for pair in connection.execute(pairs) for member in pair} - group
        group |= new
        waiting.extend(new)
    return sorted(group)


def accounts_of(connection: sa.Connection, person_id: str) -> list[str]:
    """Return the accounts that a person or a linked id ever had, sorted."""
    table = schema.ACCOUNTS
    owners = linked(connection, person_id)
    return sorted(set(connection.execute(sa.select(table.c.account_id).where(table.c.person_id.in_(owners))).scalars()))


def find(connection: sa.Connection, text: str) -> list[str]:
    """Return the people who go by a text: person id, account id, handle (now or once), address."""
    accounts, profiles, contacts = schema.ACCOUNTS, schema.PROFILES, schema.CONTACTS
    same = profiles.c.account_id == accounts.c.account_id
    queries = (
        sa.select(accounts.c.person_id).where(sa.or_(accounts.c.person_id == text, accounts.c.account_id == text)),
        sa.select(accounts.c.person_id).join(profiles, same).where(profiles.c.handle_key == handle_key(text)),
        sa.select(contacts.c.person_id).where(contacts.c.contact == text),
    )
    return sorted({person for query in queries for person in connection.execute(query).scalars()})


def match(connection: sa.Connection, *, account_id: str | None, handle: str | None, contact: str | None) -> str | None:
    """Return the one person that a claim names, or ``None`` when it names nobody or several (OBJ-09)."""
    if account_id:
        return owner(connection, account_id) or account_id
    for told in (handle, contact):
        people = find(connection, told) if told else []
        if len(people) == 1:
            return people[0]
    return None


def owner(connection: sa.Connection, account_id: str) -> str | None:
    """Return who has an account now; ``None`` when nobody knows it."""
    table = schema.ACCOUNTS
    query = sa.select(table.c.person_id).where(table.c.account_id == account_id)
    newest = query.order_by(sa.func.coalesce(table.c.valid_at, -FOREVER).desc(), table.c.recorded_at.desc()).limit(1)
    person: str | None = connection.execute(newest).scalar()
    return person


def unmatched_row(told: str, read: dict[str, Any], recorded_at: int) -> tuple[Any, ...]:
    """Return a row of UNMATCHED."""
    rest = (told, read["kinds"], read["services"], read["door"], read["valid_at"])
    reference = read["objection_id"] or f"U-{schema.event('', *rest, recorded_at=0)[1][:16]}"
    return schema.event(reference, *rest, recorded_at=recorded_at)


def unmatched(connection: sa.Connection) -> list[dict[str, Any]]:
    """Return what waits: claims that nobody matched, and objections of ids without an account."""
    objections, accounts, queue = schema.OBJECTIONS, schema.ACCOUNTS, schema.UNMATCHED
    answered = sa.exists().where(objections.c.objection_id == queue.c.objection_id)
    waiting = [_plain(queue, row) for row in connection.execute(sa.select(queue).where(~answered))]
    owned = sa.exists().where(accounts.c.person_id == objections.c.person_id)
    query = sa.select(objections).where(objections.c.act == Act.OBJECT.value, ~owned)
    waiting += [_plain(objections, row) for row in connection.execute(query)]
    return sorted(waiting, key=lambda row: (row["recorded_at"], row["objection_id"]))


def about(connection: sa.Connection, person_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return every event of a person, of linked ids and of their accounts."""
    people = linked(connection, person_id)
    accounts = [*accounts_of(connection, person_id), person_id]
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

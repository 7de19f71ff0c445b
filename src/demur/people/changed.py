"""Whose standing may be another than in an export before: those about whom something was recorded since.

A person's rows are a function of what is recorded about them, their accounts, the other owners of these and linked ids,
and of the view's constants. So whoever none of it touches keeps their rows. The registry only appends; that it did so
since the export before is looked at, not believed: each table's rows of that time must be as many, and the same sum.
Does not know what an event means: standing.py does.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from demur.people import schema
from demur.people.dossier import View
from demur.people.links import Links
from demur.people.streams import CHUNK

_ABOUT_PEOPLE = (schema.RESIDENCES, schema.AGES, schema.NOTICES, schema.OBJECTIONS, schema.CONSENTS)
_ABOUT_ACCOUNTS = (schema.PROFILES, schema.COMPROMISES)
_READ = (*_ABOUT_PEOPLE, *_ABOUT_ACCOUNTS, schema.ACCOUNTS, schema.LINKS, schema.CAMPAIGNS, schema.CAMPAIGN_STATUSES,
         schema.HOLDS)  # fmt: skip
"""What the standing of people is made from."""
_MODULUS = 2**32 - 5
"""Keeps a sum of a billion instants below 2^63; prime, so that instants of whole seconds differ in it."""


def past(connection: sa.Connection, known_at: int) -> dict[str, list[int]]:
    """Return how many rows each table had at an instant, and a sum of when they were recorded."""
    found = {}
    for table in _READ:
        recorded = table.c.recorded_at
        total = sa.func.coalesce(sa.func.sum(recorded % _MODULUS), 0)
        rows, summed = connection.execute(sa.select(sa.func.count(), total).where(recorded <= known_at)).one()
        found[str(table.name)] = [int(rows), int(summed)]
    return found


def changed_people(connection: sa.Connection, before: View, now: View, links: Links) -> set[str] | None:
    """Return all ids whose rows may differ between two views that differ in ``known_at``; ``None`` = anybody's may.

    Args:
        connection: one consistent view.
        before: of the earlier export.
        now: of this one.
        links: as of ``now``.
    """
    if before.renotices != now.renotices:
        return None
    found: set[str] = set()
    for table in _ABOUT_PEOPLE:
        found.update(_recorded(connection, table.c.person_id, before, now))
    for column in (schema.LINKS.c.person_id, schema.LINKS.c.other_person_id):
        found.update(_recorded(connection, column, before, now))
    accounts = set(_recorded(connection, schema.ACCOUNTS.c.account_id, before, now))
    for table in _ABOUT_ACCOUNTS:
        accounts.update(_recorded(connection, table.c.account_id, before, now))
    found |= accounts  # an account that nobody claimed was its own person's
    owners = schema.ACCOUNTS.c
    found.update(_among(connection, owners.person_id, owners.account_id, sorted(accounts)))
    campaigns = {
        name for name in {*before.campaigns, *now.campaigns} if before.campaigns.get(name) != now.campaigns.get(name)
    }
    notices = schema.NOTICES.c
    found.update(_among(connection, notices.person_id, notices.campaign_id, sorted(campaigns)))
    return found.union(*(links.group(person) for person in found))


def _recorded(connection: sa.Connection, column: sa.Column[str], before: View, now: View) -> Iterable[str]:
    recorded = column.table.c.recorded_at
    query = sa.select(column).where(recorded > before.known_at, recorded <= now.known_at).distinct()
    return connection.execute(query).scalars()


def _among(connection: sa.Connection, wanted: sa.Column[str], key: sa.Column[str], ids: Sequence[str]) -> Iterable[str]:
    for start in range(0, len(ids), CHUNK):
        yield from connection.execute(sa.select(wanted).where(key.in_(ids[start : start + CHUNK])).distinct()).scalars()

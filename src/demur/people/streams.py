"""Dossiers out of the database: a merge of ordered streams for most people, chunked look-ups for the entangled few.

A person is *entangled* when they are linked to another id, share an account with another owner, or are only known
through an account that nobody claimed. Does not know what any event means for the standing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from demur.people import schema
from demur.people.dossier import CampaignView, Dossier, Holding, Row, View
from demur.people.links import Links, read_links
from demur.store.database import Database
from demur.terms.people import CLOCK_STATUSES, CampaignStatus

CHUNK = 400
"""Ids in one look-up: below SQLite's limit on bound values."""

_PROFILE = [
    schema.PROFILES.c[name]
    for name in (
        "handle", "name", "language", "status", "private", "signal", "last_active_at", "valid_at", "recorded_at",
    )
]  # fmt: skip
_COMPROMISE = [schema.COMPROMISES.c[name] for name in ("valid_at", "valid_until", "recorded_at")]
_BY_PERSON: dict[str, tuple[sa.Table, tuple[str, ...]]] = {
    "residences": (schema.RESIDENCES, ("country", "valid_from", "valid_until", "stream", "recorded_at")),
    "ages": (schema.AGES, ("born_on", "source", "recorded_at")),
    "notices": (schema.NOTICES, ("campaign_id", "channel", "state", "valid_at", "recorded_at")),
    "objections": (
        schema.OBJECTIONS,
        ("person_id", "objection_id", "act", "kinds", "services", "door", "valid_at", "recorded_at"),
    ),
    "consents": (schema.CONSENTS, ("purpose", "act", "valid_at", "recorded_at")),
}


def entangled_people(connection: sa.Connection, view: View, links: Links) -> Iterator[Dossier]:
    """Yield the dossiers of all who are entangled, by id."""
    for chunk in _chunks(sorted(links.entangled)):
        yield from entangled(connection, view, links, chunk)


def dossier_of(connection: sa.Connection, view: View, person_id: str) -> Dossier | None:
    """Return one person's dossier, or ``None`` when nothing about them was recorded by ``known_at``."""
    links = read_links(connection, view)
    found = next(entangled(connection, view, links, [person_id]))
    return found if found.known or person_id in links.entangled else None


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))


# Everybody on their own -------------------------------------------------------------------------------------------


def bounds(connection: sa.Connection, view: View, most: int, pays: int) -> list[str]:
    """Return ids, sorted, between which about as many people stand: at most so many ranges, each of so many accounts.

    They are beginnings of ids, in letters that no database takes for anything else.
    """
    table = schema.ACCOUNTS
    known = sa.select(table.c.person_id).where(table.c.recorded_at <= view.known_at)
    accounts = int(connection.execute(sa.select(sa.func.count()).select_from(known.subquery())).scalar_one())
    ranges = min(most, accounts // pays)
    ordered = known.order_by(table.c.person_id).limit(1)
    ids = [connection.execute(ordered.offset(accounts * place // ranges)).scalar_one() for place in range(1, ranges)]
    return sorted({found[0] for one in ids if (found := _PLAIN_LETTERS.match(one))})


_PLAIN_LETTERS = re.compile(r"[0-9A-Za-z:_-]+")


def plain(
    database: Database,
    connection: sa.Connection,
    view: View,
    links: Links,
    begin: str | None = None,
    end: str | None = None,
) -> Iterator[Dossier]:
    """Yield the dossiers of people on their own by id: of all, or from one id on up to another."""
    streams = [_grouped(database.stream(connection, query)) for query in _queries(view, begin, end)]
    heads = [next(stream, None) for stream in streams]
    while True:
        here = [head[0] for head in heads if head is not None]
        if not here:
            return
        person = min(here)
        found: list[list[Any]] = []
        for place, head in enumerate(heads):
            if head is not None and head[0] == person:
                found.append(head[1])
                heads[place] = next(streams[place], None)
            else:
                found.append([])
        if person not in links.entangled:
            yield _dossier(person, found)


def _grouped(batches: Iterable[list[Row]]) -> Iterator[tuple[str, list[Any]]]:
    """Group rows by their first column, which is sorted; the column is cut off."""
    person: str | None = None
    group: list[Any] = []
    for rows in batches:
        for row in rows:
            if row[0] == person:
                group.append(row[1:])
                continue
            if person is not None:
                yield person, group
            person, group = row[0], [row[1:]]
    if person is not None:
        yield person, group


def _queries(view: View, begin: str | None, end: str | None) -> list[sa.Select[Any]]:
    """One query a stream, sorted by person: claims, profiles, compromises, then _BY_PERSON in order."""
    accounts = schema.ACCOUNTS
    known = accounts.c.recorded_at <= view.known_at
    owner = accounts.c.person_id
    claims = sa.select(owner, accounts.c.account_id, owner, accounts.c.service, accounts.c.valid_at,
                       accounts.c.recorded_at).where(known).order_by(owner)  # fmt: skip
    queries: list[sa.Select[Any]] = [claims]
    for table, columns in ((schema.PROFILES, _PROFILE), (schema.COMPROMISES, _COMPROMISE)):
        joined = accounts.join(table, table.c.account_id == accounts.c.account_id)
        query = sa.select(owner, accounts.c.account_id, *columns).select_from(joined)
        queries.append(query.where(known, table.c.recorded_at <= view.known_at).order_by(owner))
    for table, names in _BY_PERSON.values():
        columns = [table.c[name] for name in names]
        query = sa.select(table.c.person_id, *columns).where(table.c.recorded_at <= view.known_at)
        queries.append(query.order_by(table.c.person_id))
    keys = [next(iter(query.selected_columns)) for query in queries]
    if begin is not None:
        queries = [query.where(key >= begin) for query, key in zip(queries, keys, strict=True)]
    if end is not None:
        queries = [query.where(key < end) for query, key in zip(queries, keys, strict=True)]
    return queries


def _dossier(person: str, found: list[list[Any]]) -> Dossier:
    claims, profiles, compromises, residences, ages, notices, objections, consents = found
    if len(claims) == 1:
        holdings = [Holding(claims[0][0], [claims[0][1:]], [row[1:] for row in profiles],
                            [row[1:] for row in compromises])]  # fmt: skip
    else:
        by_account = {claim[0]: Holding(claim[0], [claim[1:]]) for claim in sorted(claims)}
        for row in profiles:
            by_account[row[0]].profiles.append(row[1:])
        for row in compromises:
            by_account[row[0]].compromises.append(row[1:])
        holdings = list(by_account.values())
    return Dossier(person, holdings, residences, ages, notices, objections, consents)


# The entangled ----------------------------------------------------------------------------------------------------


def entangled(connection: sa.Connection, view: View, links: Links, persons: Sequence[str]) -> Iterator[Dossier]:
    """Yield the dossiers of some people by look-up; a linked id's events join in, late where the link is late."""
    members = sorted({member for person in persons for member in links.group(person)})
    tables = {
        name: _fetch(connection, view, table.c.person_id, members, names) for name, (table, names) in _BY_PERSON.items()
    }
    accounts = _holdings(connection, view, links, members)
    for person in persons:
        group = links.group(person)
        dossier = Dossier(person, near={member: links.near[member] for member in group if member in links.near})
        for member in group:
            shift = links.is_late(person, member)
            for name, rows in tables.items():
                getattr(dossier, name).extend(_late(row, view, shift) for row in rows.get(member, ()))
            for holding in accounts.get(member, ()):
                dossier.holdings.append(_seen_from(holding, view, own=member == person, late=shift))
        yield dossier


def _late(row: Sequence[Any], view: View, shift: bool) -> tuple[Any, ...]:
    return (*row[:-1], max(row[-1], view.base + 1)) if shift else tuple(row)


def _seen_from(holding: Holding, view: View, *, own: bool, late: bool) -> Holding:
    return Holding(
        holding.account_id,
        holding.claims,
        [_late(row, view, late) for row in holding.profiles],
        [_late(row, view, late) for row in holding.compromises],
        own,
    )


def _holdings(connection: sa.Connection, view: View, links: Links, members: Sequence[str]) -> dict[str, list[Holding]]:
    """Accounts by owner, with the claims of every other owner; an account that nobody claims is its own person's."""
    names = ("account_id", "service", "person_id", "valid_at", "recorded_at")
    owned = _fetch(connection, view, schema.ACCOUNTS.c.person_id, members, names)
    orphans = [member for member in members if member in links.unclaimed]
    ids = sorted({row[0] for rows in owned.values() for row in rows} | set(orphans))
    claims = _fetch(connection, view, schema.ACCOUNTS.c.account_id, ids, ("person_id", *names[1:2], *names[3:]))
    profiles = _fetch(connection, view, schema.PROFILES.c.account_id, ids, [column.name for column in _PROFILE])
    windows = _fetch(connection, view, schema.COMPROMISES.c.account_id, ids, [c.name for c in _COMPROMISE])
    found: dict[str, list[Holding]] = {}
    for account in ids:
        mine = sorted(profiles.get(account, []), key=repr)
        claimed = claims.get(account) or [
            (account, account.partition(":")[0], None, min(row[-1] for row in [*mine, *windows.get(account, [])]))
        ]
        holding = Holding(account, claimed, mine, windows.get(account, []))
        for owner in sorted({claim[0] for claim in claimed}):
            found.setdefault(owner, []).append(holding)
    return found


def _fetch(
    connection: sa.Connection, view: View, key: sa.Column[Any], ids: Sequence[str], names: Iterable[str]
) -> dict[str, list[tuple[Any, ...]]]:
    found: dict[str, list[tuple[Any, ...]]] = {}
    table = key.table
    columns = [table.c[name] for name in names]
    for chunk in _chunks(ids):
        query = sa.select(key, *columns).where(key.in_(chunk), table.c.recorded_at <= view.known_at)
        for row in connection.execute(query):
            found.setdefault(row[0], []).append(tuple(row[1:]))
    return found


# Campaigns --------------------------------------------------------------------------------------------------------


def campaign_rows(connection: sa.Connection, as_of: int, known_at: int, base: int) -> dict[str, dict[str, Any]]:
    """Return every campaign known by ``known_at`` with its status then and what it means for clocks (NOT-09)."""
    statuses: dict[str, list[Any]] = {}
    table = schema.CAMPAIGN_STATUSES
    for row in connection.execute(sa.select(table).where(table.c.recorded_at <= known_at)):
        statuses.setdefault(row.campaign_id, []).append(row)
    told: dict[str, list[Any]] = {}
    table = schema.CAMPAIGNS
    for row in connection.execute(sa.select(table).where(table.c.recorded_at <= known_at)):
        told.setdefault(row.campaign_id, []).append(row)
    return {
        campaign: _campaign(told.get(campaign, []), statuses.get(campaign, []), as_of, base)
        for campaign in sorted(set(told) | set(statuses))
    }


def _campaign(told: list[Any], statuses: list[Any], as_of: int, base: int) -> dict[str, Any]:
    clocks = {status.value for status in CLOCK_STATUSES}
    known = [row for row in statuses if row.valid_at <= as_of and row.recorded_at <= base]
    stops = [row for row in statuses if row not in known and row.status not in clocks]

    def worth(row: Any) -> tuple[Any, ...]:
        return (row.valid_at, row.recorded_at, row.status not in clocks, row.status)

    status = max(known, key=worth).status if known else CampaignStatus.DRAFT.value
    early = [row for row in told if row.recorded_at <= base]
    at_base = status in clocks and bool(early)  # what a campaign was about must have been told too
    if stops:
        status = max(stops, key=worth).status
    words = sorted(early or told, key=lambda row: (row.recorded_at, row.event_id))
    newest = words[-1] if words else None
    dates = [row.effective_at for row in told if row.recorded_at > base or row is newest]
    return {
        "status": status,
        "purpose": newest.purpose if newest else "",
        "effective_at": max((at for at in dates if at is not None), default=None),
        "notice_days": newest.notice_days if newest else None,
        "countries": schema.unlisted(newest.countries) if newest else None,
        "kinds": schema.unlisted(newest.kinds) if newest else None,
        "view": CampaignView(
            at_base,
            at_base and not stops,
            max((at for at in dates if at is not None), default=None),
            newest.purpose if newest else "",
            *_kinds(newest, [row for row in told if row.recorded_at > base]),
        ),
    }


def _kinds(newest: Any, later: list[Any]) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """Return the kinds announced as known at base, and what amendments learnt later left of them: never more."""
    announced = _scope(newest)
    left = announced
    for row in later:
        narrower = _scope(row)
        if narrower is not None and row is not newest:
            left = narrower if left is None else left & narrower
    return announced, left


def _scope(row: Any) -> frozenset[str] | None:
    kinds = schema.unlisted(row.kinds) if row is not None else None
    return None if kinds is None else frozenset(kinds)

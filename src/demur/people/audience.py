"""Everybody who may belong to a campaign, streamed: set-based reads of a range of people at a time, flat memory.

The rules are those of the standing (standing.py, epochs.py), seen from an instant at which everything recorded counts;
only the reading differs: the standing export asks for everything about a person, this for seven facts, and most people
have one row for each. A property test holds the two equal. Does not decide who is told: notice/audience.py does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from demur.clock import micros
from demur.people import schema
from demur.people.dossier import Dossier, Row, View
from demur.people.epochs import _status, account_rows, compromise_windows, profile_facts
from demur.people.instants import ALWAYS, FOREVER, adult_cutoff, months_before
from demur.people.links import Links, read_links
from demur.people.standing import _age, _countries, _episodes, _objections
from demur.people.streams import CHUNK, entangled
from demur.people.timeline import Timeline
from demur.terms.people import DELIVERED_STATES, AgeSource, Candidate, Delivery

GRACE_MONTHS = 12
"""How long an old residence counts after a move (§4); more can only tell more people."""
ADULT_YEARS = 18
RANGE = 4_000
"""Account rows read at a time."""
_ESTIMATED = AgeSource.ESTIMATED.value

_OWNERS = """
SELECT a.person_id, a.account_id, p.language, p.status, p.valid_at, p.recorded_at
FROM accounts a LEFT JOIN profiles p ON p.account_id = a.account_id AND p.recorded_at <= {known}
WHERE a.recorded_at <= {known} AND a.person_id > ? ORDER BY a.person_id LIMIT {limit}"""
_RANGE = "person_id > ? AND person_id <= ? AND recorded_at <= {known}"
_CONTACTS = "SELECT person_id, contact, valid_at, recorded_at FROM contacts WHERE {range}"
_AGES = "SELECT person_id, born_on, source, recorded_at FROM ages WHERE {range}"
_RESIDENCES = "SELECT person_id, country, valid_from, valid_until, stream, recorded_at FROM residences WHERE {range}"
_OBJECTORS = "SELECT DISTINCT person_id FROM objections WHERE {range}"
_BOUNCED = """
SELECT person_id, MAX(CASE WHEN state = 'bounced' THEN valid_at END),
       MAX(CASE WHEN state IN ('delivered', 'seen', 'clicked', 'acted') THEN valid_at END)
FROM notices WHERE {range} AND channel NOT IN ('inapp', 'in_app')
GROUP BY person_id HAVING MAX(CASE WHEN state = 'bounced' THEN valid_at END) IS NOT NULL"""


def audience(
    connection: sa.Connection, view: View, *, after: str | None = None
) -> Iterator[tuple[list[Candidate], str | None]]:
    """Yield everybody in batches: people on their own by id, then those who need a look at others (links, changes).

    With each batch comes the id up to which everybody on their own has come by now; ``None`` = all have.

    Args:
        connection: reads; one consistent view is best and not needed, for what is recorded later is left out.
        view: ``as_of``, ``known_at`` and ``base`` are one instant.
        after: people on their own up to this id are left out (a freeze that goes on); the others come again.
    """
    links = read_links(connection, view)
    yield from _plain(connection, view, links, after or "")
    yield from ((batch, None) for batch in _entangled(connection, view, links, sorted(links.entangled)))


def candidates(connection: sa.Connection, view: View, people: Iterable[str]) -> Iterator[list[Candidate]]:
    """Yield some people only, each human being once; for those who come late."""
    yield from _entangled(connection, view, read_links(connection, view), sorted(set(people)))


# People on their own ----------------------------------------------------------------------------------------------


def _plain(
    connection: sa.Connection, view: View, links: Links, after: str
) -> Iterator[tuple[list[Candidate], str | None]]:
    limit = RANGE
    while True:
        owners = _rows(connection, _OWNERS.format(known=view.known_at, limit=limit), after)
        if not owners:
            return
        if len(owners) == limit:  # the last person may go on behind the cut
            last = owners[-1][0]
            cut = next((place for place in range(limit - 1, -1, -1) if owners[place][0] != last), -1) + 1
            if cut == 0:  # one person with more rows than a range
                limit *= 2
                continue
            owners = owners[:cut]
        yield _range(connection, view, links, owners, after), owners[-1][0]
        after, limit = owners[-1][0], RANGE


def _range(connection: sa.Connection, view: View, links: Links, owners: list[Row], after: str) -> list[Candidate]:
    until, condition = owners[-1][0], _RANGE.format(known=view.known_at)

    def rows(sql: str) -> list[Row]:
        return _rows(connection, sql.format(range=condition), after, until)

    contacts, ages, residences = _grouped(rows(_CONTACTS)), _grouped(rows(_AGES)), _grouped(rows(_RESIDENCES))
    bounces = {person: (bounce, arrived) for person, bounce, arrived in rows(_BOUNCED)}
    objected = {person for (person,) in rows(_OBJECTORS)}
    found: list[Candidate] = []
    objectors: list[str] = []
    nothing: tuple[Row, ...] = ()
    for person, profiles in _grouped(owners).items():
        if person in links.entangled:
            continue
        if person in objected:
            objectors.append(person)
            continue
        statuses, language = _profiles(profiles, view)
        contact, bounced = _contact(contacts.get(person, nothing), bounces.get(person))
        born_on, conflict = _born(ages.get(person, nothing), view)
        countries = _lives(residences.get(person, nothing), view)
        found.append(Candidate(person, countries, language, contact, bounced, born_on, conflict, statuses, False, ()))
    for batch in _entangled(connection, view, links, objectors):
        found.extend(batch)
    return found


def _rows(connection: sa.Connection, sql: str, *values: str) -> list[Row]:
    """Return rows as the driver gives them; SQLAlchemy's own cost more than the query."""
    text = sql if connection.dialect.paramstyle == "qmark" else sql.replace("?", "%s")
    result = connection.exec_driver_sql(text, values)
    assert result.cursor is not None
    found = list(result.cursor.fetchall())
    result.close()
    return found


def _grouped(rows: Sequence[Row]) -> dict[str, Sequence[Row]]:
    """Group rows by their first column; quickly where each stands alone, as most do."""
    alone: dict[str, Sequence[Row]] = {row[0]: (row,) for row in rows}
    if len(alone) == len(rows):
        return alone
    found: dict[str, list[Row]] = {}
    for row in rows:
        known = found.get(row[0])
        if known is None:
            found[row[0]] = [row]
        else:
            known.append(row)
    return dict(found)


def _profiles(rows: Sequence[Row], view: View) -> tuple[tuple[str | None, ...], str | None]:
    """Return the statuses of all accounts and the language told last; rows as _OWNERS selects them."""
    if len(rows) == 1:  # most people
        _, _, language, status, valid_at, _ = rows[0]
        counts = valid_at is None or valid_at <= view.as_of
        return ((status if counts else None,), language if counts else None)
    by_account: dict[str, list[Row]] = {}
    newest: tuple[int, int, str] | None = None
    for _, account, language, status, valid_at, recorded_at in rows:
        profile = (None, None, language, status, None, None, None, valid_at, recorded_at)
        by_account.setdefault(account, []).append(profile)
        valid = ALWAYS if valid_at is None else valid_at
        if language is not None and valid <= view.as_of:
            told = (valid, recorded_at, language)
            newest = told if newest is None or told > newest else newest
    statuses = dict.fromkeys(_status(profiles, FOREVER, view) for profiles in by_account.values())
    return tuple(statuses), None if newest is None else newest[-1]


def _contact(rows: Sequence[Row], bounce: tuple[int, int | None] | None) -> tuple[str | None, bool]:
    """Return the newest address, and whether mail to it came back; a bounce of an earlier address is forgotten."""
    if not rows:
        return None, False
    told = sorted((row[3] if row[2] is None else row[2], row[3], row[1]) for row in rows) if len(rows) > 1 else ()
    contact: str = told[-1][2] if told else rows[0][1]
    if bounce is None or (bounce[1] is not None and bounce[1] > bounce[0]):
        return contact, False
    since, before = ALWAYS, contact
    for at, _, other in told:
        if other == contact and before != contact:
            since = at
        before = other
    return contact, bounce[0] >= since


def _born(rows: Sequence[Row], view: View) -> tuple[int | None, bool]:
    if len(rows) == 1:
        return (None if rows[0][2] == _ESTIMATED else rows[0][1]), False
    return _age([row[1:] for row in rows], view) if rows else (None, False)


def _lives(rows: Sequence[Row], view: View) -> tuple[str, ...]:
    if len(rows) == 1:
        _, country, valid_from, valid_until, _, _ = rows[0]
        inside = (valid_from is None or valid_from <= view.as_of) and (
            valid_until is None or valid_until > view.grace_from
        )
        return (country,) if inside and country else ()
    known, late = _episodes([row[1:] for row in rows], view)
    return tuple(_countries(known, late, view.grace_from, view.as_of))


# Those who need a look at others ----------------------------------------------------------------------------------


def _entangled(connection: sa.Connection, view: View, links: Links, people: Sequence[str]) -> Iterator[list[Candidate]]:
    """One candidate for each group of linked ids; a group without any account can have no content."""
    heads = list(dict.fromkeys(_group(links, person)[0] for person in people))
    for chunk in _chunks(heads):
        members = sorted({member for head in chunk for member in _group(links, head)})
        contacts = _grouped(
            list(_among(connection, view, schema.CONTACTS, ("contact", "valid_at", "recorded_at"), members))
        )
        notices = _grouped(list(_among(connection, view, schema.NOTICES, ("channel", "state", "valid_at"), members)))
        found = []
        for dossier in entangled(connection, view, links, chunk):
            group = _group(links, dossier.person_id)
            told = [row for member in group for row in contacts.get(member, ())]
            bounce = _bounce([row for member in group for row in notices.get(member, ())])
            one = _one(dossier, group, _contact(told, bounce), view)
            if one is not None:
                found.append(one)
        yield found


def _group(links: Links, person: str) -> list[str]:
    """Return the ids that are one human being now; a link that holds from a later day on is none yet."""
    return sorted(links.base.get(person, (person,)))


def _one(dossier: Dossier, group: Sequence[str], contact: tuple[str | None, bool], view: View) -> Candidate | None:
    owned = [
        (member, row[5])
        for member in group
        for holding in dossier.holdings
        for row in account_rows(member, holding, view)
    ]
    if not owned:
        return None
    windows = [window for holding in dossier.holdings for window in compromise_windows(holding.compromises, view)]
    objection = _objections(dossier, windows, view)
    everything = objection.objected and objection.kinds is None and objection.services is None
    kinds = tuple(objection.kinds or ()) if objection.objected and objection.services is None else ()
    born_on, conflict = _age(dossier.ages, view)
    known, late = _episodes(dossier.residences, view)
    countries = tuple(_countries(known, late, view.grace_from, view.as_of))
    statuses = tuple(dict.fromkeys(status for _, status in owned))
    language = profile_facts(dossier.holdings, view)[1]
    return Candidate(min(owned, key=lambda one: one[0])[0], countries, language, *contact, born_on, conflict, statuses,
                     everything, kinds)  # fmt: skip


def _bounce(notices: Sequence[Row]) -> tuple[int, int | None] | None:
    """Return the last bounce by mail and the last arrival."""
    mails = [row for row in notices if row[1] not in {"inapp", "in_app"}]
    bounced = max((row[3] for row in mails if row[2] == Delivery.BOUNCED), default=None)
    arrived = max((row[3] for row in mails if row[2] in DELIVERED_STATES), default=None)
    return None if bounced is None else (bounced, arrived)


def _among(
    connection: sa.Connection, view: View, table: sa.Table, names: Sequence[str], people: Sequence[str]
) -> Iterator[Row]:
    for chunk in _chunks(people):
        query = sa.select(table.c.person_id, *(table.c[name] for name in names))
        some = table.c.person_id.in_(chunk)
        yield from map(tuple, connection.execute(query.where(some, table.c.recorded_at <= view.known_at)))


# The door ---------------------------------------------------------------------------------------------------------


class Audiences:
    """What campaigns ask the registry; part of Registry."""

    _database: Timeline

    def audience(self, *, as_of: datetime, after: str | None = None) -> Iterator[tuple[list[Candidate], str | None]]:
        """Yield everybody who may belong to a campaign, each human being once, in batches, with flat memory.

        With each batch comes an id to go on after, should it be cut off there; ``None`` = those after it come again.

        Args:
            as_of: what is recorded later is left out.
            after: people on their own up to this id are left out; for a freeze that goes on.
        """
        with self._database.reading() as connection:
            yield from audience(connection, _view(as_of), after=after)

    def candidates(self, people: Iterable[str], *, as_of: datetime) -> Iterator[list[Candidate]]:
        """Yield some people as ``audience`` does, each human being once."""
        with self._database.reading() as connection:
            yield from candidates(connection, _view(as_of), people)

    def linked_groups(self, as_of: datetime) -> dict[str, list[str]]:
        """Return the ids that share a human being with another one → all ids of that human being."""
        with self._database.reading() as connection:
            found = read_links(connection, _view(as_of)).base
        return {person: sorted(group) for person, group in found.items()}

    def changed_between(self, since: datetime, until: datetime, *, adult_years: Iterable[int] = (18,)) -> list[str]:
        """Return the ids about whom something was recorded after ``since``, or who came of age; sorted.

        What matters to being told: accounts, profiles, addresses, residences, ages, links, objections. One pass over
        each table by its ``recorded_at``.
        """
        first, last = micros(since), micros(until)
        found: set[str] = set()
        with self._database.reading() as connection:
            for table in (schema.ACCOUNTS, schema.CONTACTS, schema.RESIDENCES, schema.AGES, schema.OBJECTIONS):
                found.update(_fresh(connection, table, table.c.person_id, first, last))
            for column in (schema.LINKS.c.person_id, schema.LINKS.c.other_person_id):
                found.update(_fresh(connection, schema.LINKS, column, first, last))
            accounts = set(_fresh(connection, schema.PROFILES, schema.PROFILES.c.account_id, first, last))
            found |= accounts  # an account that nobody claims is its own person's
            owners = schema.ACCOUNTS.c
            for chunk in _chunks(sorted(accounts)):
                query = sa.select(owners.person_id).where(owners.account_id.in_(chunk))
                found.update(connection.execute(query).scalars())
            for years in sorted(set(adult_years)):
                young, old = adult_cutoff(since, years), adult_cutoff(until, years)
                born = schema.AGES.c.born_on
                query = sa.select(schema.AGES.c.person_id).where(born > young, born <= old)
                found.update(connection.execute(query).scalars())
        return sorted(found)


def _view(as_of: datetime) -> View:
    at = micros(as_of)
    grace = micros(months_before(as_of, GRACE_MONTHS))
    return View(at, at, at, grace, adult_cutoff(as_of, ADULT_YEARS), {})


def _fresh(connection: sa.Connection, table: sa.Table, column: Any, first: int, last: int) -> Iterable[str]:
    recorded = table.c.recorded_at
    return connection.execute(sa.select(column).where(recorded > first, recorded <= last).distinct()).scalars()


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + CHUNK] for start in range(0, len(ids), CHUNK))

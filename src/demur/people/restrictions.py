"""What was recorded after an instant and may take something away: what an erasure has to honour.

It lists too much rather than too little (a corrected age may turn out not to matter): what really changes is found by
deciding again. Facts that only let more in are not listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from demur.clock import from_micros, micros
from demur.people import schema
from demur.people.stopping import takes_out
from demur.terms.content import Signal
from demur.terms.people import Act, CampaignStatus, Status


@dataclass(frozen=True, slots=True)
class Restriction:
    """One recorded fact that may take something away."""

    restriction_id: str
    """Table and id of the event; says nothing about the person."""
    kind: str
    """objection, revocation, hold, suppression, status, age, compromise, residence, link, campaign … or source."""
    person_id: str | None
    """Whom it is about; ``None`` = a slice of content or everybody."""
    recorded_at: datetime | None = None


_ACCOUNT_OWNERS = sa.select(schema.ACCOUNTS.c.account_id, schema.ACCOUNTS.c.person_id).distinct().subquery()


def _kinds() -> Iterator[tuple[str, sa.Table, sa.ColumnElement[bool]]]:
    profile, campaign = schema.PROFILES.c, schema.CAMPAIGN_STATUSES.c
    yield "objection", schema.OBJECTIONS, schema.OBJECTIONS.c.act == Act.OBJECT.value
    yield "revocation", schema.CONSENTS, schema.CONSENTS.c.act == Act.REVOKE.value
    yield "hold", schema.HOLDS, sa.or_(takes_out(), schema.HOLDS.c.renotice_at.is_not(None))
    yield "age", schema.AGES, sa.true()
    yield "residence", schema.RESIDENCES, sa.true()
    yield "link", schema.LINKS, sa.true()
    said = sa.select(schema.OBJECTIONS.c.person_id)
    owned = schema.ACCOUNTS.c.account_id != schema.ACCOUNTS.c.person_id
    yield "link", schema.ACCOUNTS, sa.and_(owned, schema.ACCOUNTS.c.account_id.in_(said))
    yield "compromise", schema.COMPROMISES, sa.true()
    stops = (profile.status != Status.ACTIVE.value, profile.private.is_(True), profile.signal == Signal.NO.value)
    yield "status", schema.PROFILES, sa.or_(*stops)
    yield "transfer", schema.ACCOUNTS, _said_otherwise(schema.ACCOUNTS, "account_id")
    yield "announcement", schema.CAMPAIGNS, _said_otherwise(schema.CAMPAIGNS, "campaign_id")
    stopped = (CampaignStatus.HELD.value, CampaignStatus.CANCELLED.value)
    yield "campaign", schema.CAMPAIGN_STATUSES, campaign.status.in_(stopped)
    yield "bounce", schema.NOTICES, schema.NOTICES.c.state == "bounced"
    yield "suppression", schema.ITEM_SUPPRESSIONS, schema.ITEM_SUPPRESSIONS.c.act == Act.PLACE.value
    yield "suppressed_identifier", schema.SUPPRESSIONS, sa.true()


def _said_otherwise(table: sa.Table, subject: str) -> sa.ColumnElement[bool]:
    """Return whether another event about the same account or campaign is there: then this one may change it."""
    other = table.alias()
    return sa.exists().where(other.c[subject] == table.c[subject], other.c.event_id != table.c.event_id)


def restrictions(connection: sa.Connection, since: datetime | None) -> Iterator[Restriction]:
    """Yield what was recorded after an instant (``None`` = ever), by kind and event id."""
    for kind, table, condition in _kinds():
        columns = [table.c.event_id, _person(table).label("person_id"), table.c.recorded_at]
        query = sa.select(*columns).select_from(_source(table)).where(condition).order_by(table.c.event_id)
        if since is not None:
            query = query.where(table.c.recorded_at > micros(since))
        for row in connection.execute(query):
            yield Restriction(f"{kind}:{row.event_id}", kind, row.person_id, from_micros(row.recorded_at))


def _person(table: sa.Table) -> sa.ColumnElement[Any]:
    if "person_id" in table.c:
        return table.c.person_id
    return _ACCOUNT_OWNERS.c.person_id if "account_id" in table.c else sa.null()


def _source(table: sa.Table) -> sa.FromClause:
    if "person_id" in table.c or "account_id" not in table.c:
        return table
    return table.outerjoin(_ACCOUNT_OWNERS, _ACCOUNT_OWNERS.c.account_id == table.c.account_id)


def names_of(connection: sa.Connection, people: list[str]) -> list[str]:
    """Return the full names (two words or more) that accounts of some people ever had, sorted."""
    query = (
        sa.select(schema.PROFILES.c.name)
        .select_from(_source(schema.PROFILES))
        .where(_ACCOUNT_OWNERS.c.person_id.in_(people), schema.PROFILES.c.name.is_not(None))
        .distinct()
    )
    return sorted(name.strip() for (name,) in connection.execute(query) if len(name.split()) >= 2)

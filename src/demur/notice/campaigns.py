"""Campaigns: what is announced, to whom, by when, and where each stands (NOT-01, NOT-09).

    draft ─▶ running ◀─▶ held          running, held ─▶ cancelled
                │                      running, held ─▶ superseded (another campaign takes its place)
                └──▶ effective ─▶ held, cancelled, superseded

A campaign's words cannot change once it is approved; a status changes only along these arrows. Does not know the
registry, the ledger or anybody's address; asks no clock.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from demur.clock import from_micros, micros
from demur.errors import DemurError, InputError, RefusedError
from demur.notice.book import NoticeBook
from demur.notice.schema import CAMPAIGNS, DELIVERIES
from demur.terms.content import Kind
from demur.terms.notice import Campaign
from demur.terms.people import CampaignStatus

_S = CampaignStatus

NEXT: dict[CampaignStatus, frozenset[CampaignStatus]] = {
    _S.DRAFT: frozenset({_S.RUNNING, _S.CANCELLED}),
    _S.RUNNING: frozenset({_S.HELD, _S.EFFECTIVE, _S.CANCELLED, _S.SUPERSEDED}),
    _S.HELD: frozenset({_S.RUNNING, _S.CANCELLED, _S.SUPERSEDED}),
    _S.EFFECTIVE: frozenset({_S.HELD, _S.CANCELLED, _S.SUPERSEDED}),
    _S.CANCELLED: frozenset(),
    _S.SUPERSEDED: frozenset(),
}
"""Status → what may follow it."""
ENDED = frozenset({_S.CANCELLED, _S.SUPERSEDED})
SENDING = frozenset({_S.RUNNING, _S.EFFECTIVE})
"""Such campaigns take in who comes late."""


@dataclass(frozen=True, slots=True)
class Course:
    """Where a campaign stands beside its words: how far freezing, enrolling and telling have come."""

    campaign: Campaign
    status_at: datetime
    status_by: str | None
    status_reason: str | None
    told_at: datetime | None
    """``status_at`` of what registry and ledger know; another one or ``None`` = they must be told."""
    freeze_as_of: datetime | None
    freeze_cursor: str | None
    frozen_at: datetime | None
    enrolled_until: datetime | None
    emptied_at: datetime | None


# Reading ----------------------------------------------------------------------------------------------------------


def campaign_of(book: NoticeBook, campaign_id: str) -> Campaign:
    """Return a campaign.

    Raises:
        InputError: there is none of that name.
    """
    return course_of(book, campaign_id).campaign


def course_of(book: NoticeBook, campaign_id: str) -> Course:
    """Return a campaign and where it stands.

    Raises:
        InputError: there is none of that name.
    """
    with book.database.reading() as connection:
        row = connection.execute(sa.select(CAMPAIGNS).where(CAMPAIGNS.c.campaign_id == campaign_id)).first()
    if row is None:
        raise InputError("expected the name of a campaign, found none of that name; `demur campaign status` lists them")
    return _course(row)


def all_campaigns(book: NoticeBook) -> list[Course]:
    """Return every campaign, oldest first."""
    with book.database.reading() as connection:
        query = sa.select(CAMPAIGNS).order_by(CAMPAIGNS.c.made_at, CAMPAIGNS.c.campaign_id)
        return [_course(row) for row in connection.execute(query)]


def each(book: NoticeBook, do: Callable[[Course], int]) -> int:
    """Do something for every campaign, oldest first; a fault of one is raised when the others have had their turn."""
    done, fault = 0, None
    for course in all_campaigns(book):
        try:
            done += do(course)
        except DemurError as error:
            fault = fault or error
    if fault is not None:
        raise fault
    return done


def _course(row: Any) -> Course:
    def at(stored: int | None) -> datetime | None:
        return None if stored is None else from_micros(stored)

    campaign = Campaign(
        campaign_id=row.campaign_id,
        purpose=row.purpose,
        countries=frozenset(orjson.loads(row.countries)),
        kinds=None if row.kinds is None else frozenset(Kind(one) for one in orjson.loads(row.kinds)),
        channels=tuple(orjson.loads(row.channels)),
        effective_at=from_micros(row.effective_at),
        notice_days=row.notice_days,
        status=CampaignStatus(row.status),
        policy=row.policy,
        policy_digest=row.policy_digest,
        made_by=row.made_by,
        made_at=from_micros(row.made_at),
        approved_by=row.approved_by,
        approved_at=at(row.approved_at),
    )
    return Course(
        campaign=campaign,
        status_at=from_micros(row.status_at),
        status_by=row.status_by,
        status_reason=row.status_reason,
        told_at=at(row.told_at),
        freeze_as_of=at(row.freeze_as_of),
        freeze_cursor=row.freeze_cursor,
        frozen_at=at(row.frozen_at),
        enrolled_until=at(row.enrolled_until),
        emptied_at=at(row.emptied_at),
    )


# Changing ---------------------------------------------------------------------------------------------------------


def keep_draft(book: NoticeBook, campaign: Campaign) -> None:
    """Keep a draft; one of that name that nobody approved yet is replaced.

    Raises:
        RefusedError: a campaign of that name is approved or has begun; its words cannot change (NOT-08).
    """
    values = {
        "campaign_id": campaign.campaign_id,
        "purpose": campaign.purpose,
        "countries": orjson.dumps(sorted(campaign.countries)).decode(),
        "kinds": None if campaign.kinds is None else orjson.dumps(sorted(campaign.kinds)).decode(),
        "channels": orjson.dumps(campaign.channels).decode(),
        "effective_at": micros(campaign.effective_at),
        "notice_days": campaign.notice_days,
        "status": CampaignStatus.DRAFT.value,
        "status_at": micros(campaign.made_at),
        "status_by": campaign.made_by,
        "policy": campaign.policy,
        "policy_digest": campaign.policy_digest,
        "made_by": campaign.made_by,
        "made_at": micros(campaign.made_at),
    }
    with book.database.writing() as connection:
        query = sa.select(CAMPAIGNS).where(CAMPAIGNS.c.campaign_id == campaign.campaign_id)
        known = connection.execute(query).first()
        if known is not None and (known.status != CampaignStatus.DRAFT or known.approved_by is not None):
            raise RefusedError(
                f"the campaign {campaign.campaign_id} is approved or has begun, and its words cannot change any more "
                "(NOT-08); draft a new one under another name"
            )
        connection.execute(sa.delete(CAMPAIGNS).where(CAMPAIGNS.c.campaign_id == campaign.campaign_id))
        connection.execute(sa.insert(CAMPAIGNS).values(values))


def note_approval(book: NoticeBook, campaign_id: str, *, by: str, at: datetime) -> Campaign:
    """Approve a draft by another person than its author (four eyes). Approving twice is approving once.

    Raises:
        RefusedError: the author approves, or the campaign is no draft.
    """
    campaign = campaign_of(book, campaign_id)
    if campaign.made_by.strip().casefold() == by.strip().casefold() or not by.strip():
        raise RefusedError(f"a campaign is approved by another person than the one who drafted it ({campaign.made_by})")
    if campaign.status is not CampaignStatus.DRAFT:
        raise RefusedError(f"expected a draft, found a campaign that is {campaign.status}; it was approved before")
    if campaign.approved_by is None:
        with book.database.writing() as connection:
            same = (CAMPAIGNS.c.campaign_id == campaign_id, CAMPAIGNS.c.approved_by.is_(None))
            connection.execute(sa.update(CAMPAIGNS).where(*same).values(approved_by=by, approved_at=micros(at)))
    return campaign_of(book, campaign_id)


def change_status(
    book: NoticeBook, campaign_id: str, to: CampaignStatus, *, by: str, at: datetime, reason: str | None = None
) -> Course:
    """Change where a campaign stands, durably; what is that already stays as it is.

    Raises:
        InputError: there is no such campaign.
        RefusedError: the status does not lead there, or a draft that nobody approved should start.
    """
    with book.database.writing() as connection:
        query = sa.select(CAMPAIGNS).where(CAMPAIGNS.c.campaign_id == campaign_id)
        row = connection.execute(query.with_for_update() if book.database.is_postgresql else query).first()
        if row is None:
            raise InputError("expected the name of a campaign, found none of that name")
        now = CampaignStatus(row.status)
        if now is to:
            return _course(row)
        if to not in NEXT[now]:
            raise RefusedError(f"a campaign that is {now} cannot become {to}; {_hint(now)}")
        if now is CampaignStatus.DRAFT and to is CampaignStatus.RUNNING and row.approved_by is None:
            raise RefusedError("expected an approved campaign, found a draft; `demur campaign approve` it first")
        values: dict[str, Any] = {
            "status": to.value,
            "status_at": max(micros(at), row.status_at + 1),
            "status_by": by,
            "status_reason": reason,
        }
        if now is CampaignStatus.DRAFT and to is CampaignStatus.RUNNING:
            values |= {"freeze_as_of": micros(at), "enrolled_until": micros(at)}
        connection.execute(sa.update(CAMPAIGNS).where(CAMPAIGNS.c.campaign_id == campaign_id).values(values))
        return _course(connection.execute(query).one())


def _hint(status: CampaignStatus) -> str:
    if not NEXT[status]:
        return "it has ended; draft a new campaign, whose clocks start afresh (NOT-09)"
    return f"it can become {', '.join(sorted(NEXT[status]))}"


def mark(book: NoticeBook, campaign_id: str, **values: Any) -> None:
    """Note how far something has come (columns of CAMPAIGNS); instants as datetimes."""
    stored = {name: micros(value) if isinstance(value, datetime) else value for name, value in values.items()}
    with book.database.writing() as connection:
        connection.execute(sa.update(CAMPAIGNS).where(CAMPAIGNS.c.campaign_id == campaign_id).values(stored))


def empty_addresses(book: NoticeBook, campaign_id: str, rows: int = 10_000) -> int:
    """Forget addresses of an ended campaign, some rows at a time; return how many. Links and proofs need none."""
    table = DELIVERIES
    held = sa.or_(table.c.address.is_not(None), table.c.fallback.is_not(None))
    some = sa.select(table.c.number).where(table.c.campaign_id == campaign_id, held).limit(rows)
    with book.database.writing() as connection:
        done = connection.execute(
            sa.update(table).where(table.c.number.in_(some.scalar_subquery())).values(address=None, fallback=None)
        )
        return done.rowcount


def accepted_since(book: NoticeBook, campaign_id: str, since: datetime) -> int:
    """Return how many of a campaign's people a channel took since an instant: the present rate."""
    table = DELIVERIES
    query = sa.select(sa.func.count()).where(
        table.c.campaign_id == campaign_id, table.c.state.in_(("accepted", "seen")), table.c.state_at > micros(since)
    )
    with book.database.reading() as connection:
        return int(connection.execute(query).scalar_one())

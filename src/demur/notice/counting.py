"""How far campaigns have come: people by state, country, language and day; figures only, no ids leave."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa

from demur.clock import from_micros
from demur.notice.book import NoticeBook
from demur.notice.schema import CAMPAIGNS, DELIVERIES, LETTERS, TEXTS
from demur.terms.notice import DeliveryState

_DAY = 86_400_000_000
REACHED = (DeliveryState.ACCEPTED.value, DeliveryState.SEEN.value)


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """A campaign as a list shows it."""

    campaign_id: str
    purpose: str
    countries: tuple[str, ...]
    """Empty = every country."""
    channels: tuple[str, ...]
    kinds: tuple[str, ...] | None
    effective_at: datetime
    notice_days: int
    status: str
    status_at: datetime
    policy: str
    made_by: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    languages: tuple[str, ...]
    """That it has a text in."""


@dataclass(frozen=True, slots=True)
class Progress:
    """People of one campaign."""

    states: dict[str, int]
    excluded: dict[str, int]
    """Reason → people who get no notice."""
    countries: dict[str, tuple[int, int]]
    """Country → people of the audience, people reached."""
    languages: dict[str, tuple[int, int]]
    days: dict[str, int]
    """Day → people reached."""

    @property
    def audience(self) -> int:
        """Everybody who was frozen into the campaign."""
        return sum(self.states.values())

    @property
    def reached(self) -> int:
        """People whose notice was accepted by a channel."""
        return sum(self.states.get(state, 0) for state in REACHED)


def campaign_rows(book: NoticeBook) -> list[CampaignRow]:
    """Return all campaigns, newest first."""
    with book.database.reading() as connection:
        rows = connection.execute(sa.select(CAMPAIGNS).order_by(CAMPAIGNS.c.made_at.desc(), CAMPAIGNS.c.campaign_id))
        texts: dict[str, list[str]] = {}
        query = sa.select(TEXTS.c.campaign_id, TEXTS.c.language).order_by(TEXTS.c.language)
        found = rows.all()
        for campaign, language in connection.execute(query):
            texts.setdefault(campaign, []).append(language)
    return [_row(row, texts.get(row.campaign_id, [])) for row in found]


def progress_of(book: NoticeBook, campaign_id: str, *, countries: Collection[str] | None = None) -> Progress:
    """Return how far a campaign has come; ``countries`` = only people there."""
    table = DELIVERIES
    only = [table.c.campaign_id == campaign_id]
    if countries is not None:
        only.append(table.c.country.in_(sorted(countries)))
    told = sa.func.sum(sa.case((table.c.state.in_(REACHED), 1), else_=0))
    day = table.c.state_at - table.c.state_at % _DAY
    with book.database.reading() as connection:

        def grouped(*columns: Any, where: tuple[Any, ...] = ()) -> list[Any]:
            query = sa.select(*columns).where(*only, *where).group_by(columns[0])
            return list(connection.execute(query))

        states: dict[str, int] = dict(map(tuple, grouped(table.c.state, sa.func.count())))
        excluded = grouped(table.c.detail, sa.func.count(), where=(table.c.state == DeliveryState.EXCLUDED.value,))
        by_country = grouped(table.c.country, sa.func.count(), told)
        by_language = grouped(table.c.language, sa.func.count(), told)
        days = grouped(day, sa.func.count(), where=(table.c.state.in_(REACHED),))
    return Progress(
        states,
        {reason or "unknown": count for reason, count in excluded},
        {country or "unknown": (count, int(reached or 0)) for country, count, reached in by_country},
        {language: (count, int(reached or 0)) for language, count, reached in by_language},
        {from_micros(at).date().isoformat(): count for at, count in sorted(days)},
    )


def failed_letters(book: NoticeBook) -> int:
    """Return how many single mails could not be sent."""
    with book.database.reading() as connection:
        query = sa.select(sa.func.count()).select_from(LETTERS).where(LETTERS.c.state == "failed")
        return int(connection.execute(query).scalar_one())


def _row(row: Any, languages: list[str]) -> CampaignRow:
    return CampaignRow(
        row.campaign_id, row.purpose, tuple(orjson.loads(row.countries)), tuple(orjson.loads(row.channels)),
        None if row.kinds is None else tuple(orjson.loads(row.kinds)), from_micros(row.effective_at), row.notice_days,
        row.status, from_micros(row.status_at), row.policy, row.made_by, from_micros(row.made_at), row.approved_by,
        None if row.approved_at is None else from_micros(row.approved_at), tuple(languages),
    )  # fmt: skip

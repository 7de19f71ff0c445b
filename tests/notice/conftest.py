"""A notice book on each database, and campaigns whose audience is already frozen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from demur.notice import NoticeBook
from demur.notice.schema import CAMPAIGNS, DELIVERIES

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Enrol = Callable[..., None]


def micros(instant: datetime) -> int:
    return int((instant - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


@pytest.fixture
def book(url: str) -> Iterator[NoticeBook]:
    """An empty, migrated notice book on SQLite and on PostgreSQL."""
    opened = NoticeBook(url)
    opened.migrate()
    yield opened
    opened.close()


def enrol(book: NoticeBook, count: int, *, campaign: str = "c1", status: str = "running", **columns: Any) -> None:
    """Make a campaign with that many people waiting: numbers from 1, addresses p<n>@d<n % 7>.example."""
    of_campaign = {
        "campaign_id": campaign,
        "purpose": "training",
        "countries": "[]",
        "kinds": None,
        "channels": '["email"]',
        "effective_at": micros(NOW + timedelta(days=45)),
        "notice_days": 45,
        "status": status,
        "status_at": micros(NOW),
        "policy": "demur-strict",
        "policy_digest": "0" * 64,
        "made_by": "staff:1",
        "made_at": micros(NOW),
        "frozen_at": micros(NOW),
    }
    rows = [
        {
            "campaign_id": campaign,
            "person_id": f"p{n}",
            "country": "DE",
            "language": "de",
            "channel": "email",
            "address": f"p{n}@d{n % 7}.example",
            "destination": f"d{n % 7}.example",
            "fallback": None,
            "state": "waiting",
            "attempt": 0,
            "not_before": 0,
            "state_at": micros(NOW),
        }
        | columns
        for n in range(1, count + 1)
    ]
    with book.database.writing() as connection:
        connection.execute(CAMPAIGNS.insert(), of_campaign)
        if rows:
            connection.execute(DELIVERIES.insert(), rows)


@pytest.fixture
def enrolled(book: NoticeBook) -> Enrol:
    """``enrolled(5, campaign="c1", status="running", country="DE", …columns of the deliveries)``."""

    def make(count: int, **told: Any) -> None:
        enrol(book, count, **told)

    return make

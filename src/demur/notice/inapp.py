"""In-app notices: kept for the platform's app, posted to its webhook with retries, or pulled by it; seen receipts.

A row is there from the moment that the channel took the notice. It counts as told only when the app says that the
person saw it (NOT-03). Does not talk to the network: flows/inapp.py posts.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from demur.clock import micros
from demur.notice.book import NoticeBook
from demur.notice.channels import IN_APP, Surroundings
from demur.notice.schema import APP_MESSAGES, CAMPAIGNS, DELIVERIES, LEFT_OUT
from demur.store.keys import KeyRing
from demur.terms.notice import DeliveryState, Outcome, Outgoing, Result
from demur.terms.people import CLOCK_STATUSES, CampaignStatus

WAITS = tuple(timedelta(seconds=s) for s in (5, 300, 1800, 7200, 18_000, 36_000, 36_000))
"""Between the tries of one webhook; after the last one the message is a dead letter (28 hours)."""
_LEASE = timedelta(minutes=2)
_SENDING = (CampaignStatus.RUNNING.value, CampaignStatus.EFFECTIVE.value)
"""Also an effective campaign tells who comes late (PPL-03)."""
_SHOWN = tuple(status.value for status in CLOCK_STATUSES)
"""A held or cancelled campaign shows nothing any more; its links keep working (NOT-09)."""


class InApp:
    """The channel: takes notices into the table that the app is served from.

    Args:
        around: the notice room's database.
    """

    name = IN_APP

    def __init__(self, around: Surroundings) -> None:
        self._book = around.book

    async def open(self) -> None:
        """Nothing to connect."""

    async def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Result]:
        """Keep the notices, durably, in one transaction."""
        keep(self._book, batch)
        for message in batch:
            yield Result(message.number, message.attempt, Outcome.ACCEPTED, "kept")

    async def close(self) -> None:
        """Nothing is kept open."""


def keep(book: NoticeBook, batch: Sequence[Outgoing]) -> None:
    """Keep notices for the app; one that was kept before takes the newer text, unless it went out already."""
    if not batch:
        return
    insert: Any = postgresql_insert(APP_MESSAGES) if book.database.is_postgresql else sqlite_insert(APP_MESSAGES)
    insert = insert.on_conflict_do_update(
        index_elements=["number"],
        set_={"body": insert.excluded.body},
        where=APP_MESSAGES.c.state == "waiting",
    )
    rows = []
    for message in batch:
        at = micros(datetime.fromisoformat(orjson.loads(message.message)["timestamp"]))
        rows.append(
            {
                "number": message.number,
                "person_id": message.address,
                "body": message.message.decode(),
                "state": "waiting",
                "attempt": 0,
                "not_before": at,
                "made_at": at,
            }
        )
    with book.database.writing() as connection:
        connection.execute(insert, rows)


def unseen(book: NoticeBook, person_id: str, *, most: int = 20) -> list[dict[str, Any]]:
    """Return what the app should show to a person: not seen yet, of campaigns that are on; newest first."""
    query = sa.select(APP_MESSAGES.c.body).join(DELIVERIES, DELIVERIES.c.number == APP_MESSAGES.c.number)
    query = query.join(CAMPAIGNS, CAMPAIGNS.c.campaign_id == DELIVERIES.c.campaign_id)
    query = query.where(
        APP_MESSAGES.c.person_id == person_id,
        APP_MESSAGES.c.state.not_in(("seen", LEFT_OUT)),
        CAMPAIGNS.c.status.in_(_SHOWN),
    )
    with book.database.reading() as connection:
        bodies = connection.scalars(query.order_by(APP_MESSAGES.c.number.desc()).limit(most)).all()
    return [orjson.loads(body)["data"] for body in bodies]


def seen(book: NoticeBook, number: int, person_id: str, at: datetime) -> bool:
    """Note that a person saw a notice; the first time counts.

    Returns:
        Whether there is such a notice for that person.
    """
    mine = (APP_MESSAGES.c.number == number, APP_MESSAGES.c.person_id == person_id)
    with book.database.writing() as connection:
        if connection.scalar(sa.select(APP_MESSAGES.c.number).where(*mine)) is None:
            return False
        first = sa.update(APP_MESSAGES).where(*mine, APP_MESSAGES.c.seen_at.is_(None))
        connection.execute(first.values(state="seen", seen_at=micros(at)))
        # A notice that went on to another channel meanwhile keeps that channel's state.
        told = sa.update(DELIVERIES).where(
            DELIVERIES.c.number == number,
            DELIVERIES.c.person_id == person_id,
            DELIVERIES.c.channel == IN_APP,
            DELIVERIES.c.state.in_((DeliveryState.WIRE.value, DeliveryState.ACCEPTED.value)),
        )
        connection.execute(
            told.values(state=DeliveryState.SEEN.value, state_at=micros(at), lease_until=None, leased_by=None)
        )
        return True


@dataclass(frozen=True, slots=True)
class Post:
    """One webhook call that is due."""

    number: int
    attempt: int
    body: bytes


def take(book: NoticeBook, at: datetime, *, rows: int = 50) -> list[Post]:
    """Take webhook calls that are due, of campaigns that send; a worker that dies leaves them for another one."""
    due = sa.select(APP_MESSAGES.c.number, APP_MESSAGES.c.attempt, APP_MESSAGES.c.body)
    due = due.join(DELIVERIES, DELIVERIES.c.number == APP_MESSAGES.c.number)
    due = due.join(CAMPAIGNS, CAMPAIGNS.c.campaign_id == DELIVERIES.c.campaign_id)
    due = due.where(
        APP_MESSAGES.c.state == "waiting",
        APP_MESSAGES.c.not_before <= micros(at),
        CAMPAIGNS.c.status.in_(_SENDING),
    )
    due = due.order_by(APP_MESSAGES.c.not_before, APP_MESSAGES.c.number).limit(rows)
    with book.database.writing() as connection:
        found = connection.execute(due.with_for_update(skip_locked=True, of=APP_MESSAGES)).all()
        if found:
            mine = APP_MESSAGES.c.number.in_([row.number for row in found])
            again = {"attempt": APP_MESSAGES.c.attempt + 1, "not_before": micros(at + _LEASE)}
            connection.execute(sa.update(APP_MESSAGES).where(mine).values(**again))
    return [Post(row.number, row.attempt + 1, row.body.encode()) for row in found]


def posted(book: NoticeBook, results: Sequence[Result], at: datetime) -> list[Result]:
    """Note what the webhook said; return those that are dead letters now, as bounces of their delivery's newest try."""
    dead: list[Result] = []
    with book.database.writing() as connection:
        for result in results:
            waiting = (APP_MESSAGES.c.number == result.number, APP_MESSAGES.c.state == "waiting")
            if result.outcome is Outcome.ACCEPTED:
                values: dict[str, Any] = {"state": "posted"}
            elif result.outcome is Outcome.DEFERRED and result.attempt <= len(WAITS):
                values = {"not_before": micros(at + WAITS[result.attempt - 1])}
            else:
                values = {"state": "dead"}
            changed = connection.execute(sa.update(APP_MESSAGES).where(*waiting).values(**values)).rowcount
            if changed and values.get("state") == "dead":
                number = result.number
                attempt = connection.scalar(sa.select(DELIVERIES.c.attempt).where(DELIVERIES.c.number == number))
                dead.append(Result(number, attempt or 0, Outcome.BOUNCED, result.code))
    return dead


def revive(book: NoticeBook, at: datetime) -> int:
    """Post dead letters again, after the webhook was repaired; returns how many."""
    with book.database.writing() as connection:
        dead = sa.update(APP_MESSAGES).where(APP_MESSAGES.c.state == "dead")
        return connection.execute(dead.values(state="waiting", attempt=0, not_before=micros(at))).rowcount


def signed(keys: KeyRing, number: int, at: datetime, body: bytes) -> dict[str, str]:
    """Return the headers of a webhook call (Standard Webhooks 1.0: HMAC-SHA-256 over id, timestamp and body)."""
    ident, stamp = f"n{number}", str(int(at.timestamp()))
    mac = hmac.digest(keys.secret("webhook"), f"{ident}.{stamp}.".encode() + body, "sha256")
    return {
        "content-type": "application/json",
        "webhook-id": ident,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def webhook_secret(keys: KeyRing) -> str:
    """Return the secret that the platform checks webhooks with, in Standard Webhooks' form."""
    return "whsec_" + base64.b64encode(keys.secret("webhook")).decode()


def app_key(keys: KeyRing) -> str:
    """Return the bearer key of the platform's own servers: pull API, seen receipts, reports of bounces."""
    return keys.mac("app", "bearer").hex()


def is_app(keys: KeyRing, authorization: str) -> bool:
    """Say whether an Authorization field carries the app key (RFC 6750 §2.1; constant time)."""
    scheme, _, told = authorization.partition(" ")
    right = hmac.compare_digest(told.strip().encode(), app_key(keys).encode())
    return right and scheme.lower() == "bearer"

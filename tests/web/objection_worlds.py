"""Three people who were told, and the links in their mails."""

from __future__ import annotations

import html
import re
from typing import Any

import sqlalchemy as sa

from demur.flows.service import Service
from demur.notice.schema import DELIVERIES, LETTERS
from demur.store.links import LinkPurpose

MEMBERS = {"ann": "d:ann", "bob": "d:bob", "cy": "d:cy"}
PRIVATE = ("d:ann", "d:1", "d:3", "ann@example.org", "ann_a", "Ann Ash")
"""What a forwarded mail must not reveal of Ann."""


def noticed(service: Service, *, language: str = "en") -> dict[str, int]:
    """Record three people and one delivery each; return name → number of the delivery."""
    now = service.clock()
    events: list[dict[str, Any]] = [
        {"type": "account", "account_id": "d:1", "person_id": "d:ann"},
        {"type": "account", "account_id": "d:3", "person_id": "d:ann-old"},
        {"type": "link", "person_id": "d:ann", "other_person_id": "d:ann-old"},
        {"type": "profile", "account_id": "d:1", "handle": "@ann_a", "name": "Ann Ash"},
        {"type": "contact", "person_id": "d:ann", "contact": "ann@example.org"},
        {"type": "account", "account_id": "d:2", "person_id": "d:bob"},
        {"type": "contact", "person_id": "d:bob", "contact": "bob@example.org"},
        {"type": "account", "account_id": "d:4", "person_id": "d:cy"},
    ]
    assert not service.parts.registry.record_events(events, recorded_at=now).faulty
    found = {}
    with service.notice.database.writing() as connection:
        for number, (name, person) in enumerate(MEMBERS.items(), start=1):
            add_delivery(connection, number, person, language=language)
            found[name] = number
    return found


def add_delivery(
    connection: sa.Connection, number: int, person: str, *, language: str = "en", campaign: str = "c-1"
) -> None:
    """Insert a delivery that was accepted."""
    told = {"number": number, "campaign_id": campaign, "person_id": person, "country": "IE", "language": language,
            "channel": "email", "address": None, "destination": "example.org", "state": "accepted", "attempt": 1,
            "not_before": 0, "state_at": 0}  # fmt: skip
    connection.execute(sa.insert(DELIVERIES).values(**told))


def link(service: Service, number: int, purpose: LinkPurpose = LinkPurpose.OBJECT) -> str:
    return service.links.token(purpose, number)


def settled(service: Service) -> None:
    """Wait until the writer's follow-up is done."""
    service.writer.close()


def queued(service: Service) -> list[Any]:
    """Return the letters that wait, oldest first."""
    with service.notice.database.reading() as connection:
        return list(connection.execute(sa.select(LETTERS).order_by(LETTERS.c.number)))


def without_token(answer: Any) -> str:
    """Return a page without what differs by its address."""
    return re.sub(r'action="[^"]*"', "", html.unescape(answer.text))

"""A made-up workspace with its people's side in use: staff, a campaign that was sent, objections, a request, a hold.

What ``demur demo --serve`` shows a newcomer. Every call is the one that the pages make.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from demur.access import Role
from demur.flows import campaign, hold, letters, objection, office, request, send, settle
from demur.flows.service import Service
from demur.notice import letters as mail_letters
from demur.notice.schema import DELIVERIES
from demur.store.links import LinkPurpose
from demur.terms.notice import DeliveryState

CAMPAIGN = "autumn"
NEW_KINDS = ("ai_chat", "ai_feedback")
"""What the campaign adds: of everything else people were told before, and its clock runs on (NOT-07)."""
PASSWORD = "a made-up password"  # noqa: S105  (of made-up people)
STAFF: Sequence[tuple[str, str, Role, tuple[str, ...]]] = (
    ("office@agora.example", "Olga Office", Role.DPO, ()),
    ("author@agora.example", "Alma Author", Role.POLICY_AUTHOR, ()),
    ("operator@agora.example", "Otto Operator", Role.OPERATOR, ()),
    ("approver@agora.example", "Ann Approver", Role.APPROVER, ()),
    ("regulator@de.example", "Regina Regulator", Role.REGULATOR, ("DE",)),
)
OBJECTING = 12
WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Filled:
    """Where a newcomer may begin."""

    sent: int
    objected: int
    link: str
    """A notice's link of somebody who has not objected yet."""
    console: str
    login: str


def fill_site(service: Service) -> Filled:
    """Fill the people's side of a made-up workspace that has a corpus; its mails go to the file outbox."""
    at = service.clock()
    add, by = service.access.staff.add, {}
    for email, name, role, countries in STAFF:
        added = add(email, name=name, role=role, at=at, by="demo", countries=countries, password=PASSWORD)
        by[role] = office.signature(added)
    plan = campaign.Plan(CAMPAIGN, at + timedelta(days=60), kinds=NEW_KINDS)
    campaign.draft(service, plan, by=by[Role.POLICY_AUTHOR])
    campaign.approve(service, CAMPAIGN, by=by[Role.APPROVER])
    campaign.start(service, CAMPAIGN, by=by[Role.OPERATOR])
    _work(service)
    reached = _reached(service)
    objecting = reached[1 : OBJECTING + 1]
    for number in objecting:
        objection.object_now(objection.by_link(service, number))
    _confirmed(service, len(objecting))
    form = {"contact": "nina@elsewhere.example", "names": "Nina Nobody\nNina Maria Nobody", "for": "me"}
    request.receive(service, form, None, language="en", country="DE")
    scope = {"countries": ["CH"], "kinds": ["photo"], "authority": "FDPIC", "instrument": "letter of today (made up)"}
    hold.place_hold(service.parts, "H-demo", scope, at=service.clock())
    _work(service)
    token = service.links.token(LinkPurpose.OBJECT, reached[0]) if reached else ""
    return Filled(
        sent=len(reached),
        objected=len(objecting),
        link=f"{service.site.origin}/o/{token}",
        console=f"{service.site.origin}/console",
        login=f"{STAFF[0][0]} / {PASSWORD}",
    )


def _work(service: Service) -> None:
    """Send and settle what waits; honouring the objections is left to the site's worker, for people to watch."""
    while sum(step(service) for step in (send.step, settle.step, letters.step)):
        pass


def _confirmed(service: Service, letters_wanted: int) -> None:
    """Wait for the confirmations: they are queued after the answer, in the writer's own time."""
    end = time.monotonic() + WAIT_SECONDS
    while sum(mail_letters.counts(service.notice).values()) < letters_wanted and time.monotonic() < end:
        time.sleep(0.1)


def _reached(service: Service) -> list[int]:
    query = sa.select(DELIVERIES.c.number).where(
        DELIVERIES.c.campaign_id == CAMPAIGN,
        DELIVERIES.c.state.in_([DeliveryState.ACCEPTED.value, DeliveryState.SEEN.value]),
    )
    with service.notice.database.reading() as connection:
        return list(connection.execute(query.order_by(DELIVERIES.c.number)).scalars())

"""What a person does on their own page, and how they get to it by mail. Each act is one that another flow records."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from demur.errors import RefusedError
from demur.flows.mine import people_of, standing_of
from demur.flows.objection import by_person, object_now, take_back
from demur.flows.service import Service
from demur.notice.letters import PAGE_LINK_GOOD, LetterKind, Sent, letter, of_person, queue
from demur.notice.reached import reached
from demur.people import Kept
from demur.terms.people import Act


@dataclass(frozen=True, slots=True)
class Guest:
    """Whom a link to the page lets in."""

    person: str
    language: str
    until: datetime


def by_page_link(service: Service, number: int | None) -> Guest | None:
    """Return whose page a mailed link opens; ``None`` when it is not such a letter's, or its hour is over."""
    found = letter(service.notice, -1 if number is None else number)
    if found is None or found[0].kind is not LetterKind.PAGE_LINK or found[1] is None:
        return None
    until = found[0].made_at + PAGE_LINK_GOOD
    return Guest(found[1], found[0].language, until) if service.clock() < until else None


def send_link(service: Service, address: str) -> None:
    """Mail the link to the page of whoever has that address on file; nobody is told whether somebody has."""
    told = address.strip()
    if not told or "@" not in told or len(told) > 320:
        return
    sent: set[str] = set()
    for person in service.parts.registry.find(told):
        to = service.parts.registry.reach([person])[person]
        if person in sent:
            continue
        if to.contact is not None and to.contact.casefold() == told.casefold():
            _send(service, person, to.contact, to.language or "en")
            sent.update(to.people)  # one human being gets one; a family that shares an address one each


def send_link_of(service: Service, delivery: int) -> None:
    """Mail the link to the page of the person that a notice was for, to the address on file."""
    found = reached(service.notice, [delivery]).get(delivery)
    if found is None:
        return
    to = service.parts.registry.reach([found.person_id])[found.person_id]
    if to.contact is not None:
        _send(service, found.person_id, to.contact, found.language)


def _send(service: Service, person: str, address: str, language: str) -> None:
    at = service.clock()
    queue(
        service.notice, kind=LetterKind.PAGE_LINK, key=f"page:{person}:{at:%Y%m%dT%H%M}", person_id=person,
        language=language, address=address, facts={}, at=at,
    )  # fmt: skip


def object_from_page(service: Service, person: str, *, door: str = "web") -> Kept:
    """Record the objection of somebody on their page, to everything; what was used goes with the next erasure."""
    return object_now(by_person(service, person, door=door)).kept


def honour_gpc(service: Service, person: str) -> Kept | None:
    """Record an objection because the browser of a person who logs in says ``Sec-GPC: 1``, if this site honours that.

    Somebody who has withdrawn an objection has said something more particular than a browser's setting, and it holds
    (Global Privacy Control, W3C draft, section 4: a site-specific choice prevails).
    """
    said = service.parts.registry.about(person)["objections"]
    if not service.site.honour_gpc or any(row["act"] == Act.WITHDRAW.value for row in said):
        return None
    if any(one.kinds is None and one.services is None for one in service.parts.registry.objections_of(person)):
        return None
    return object_from_page(service, person, door="signal")


def withdraw_from_page(service: Service, person: str) -> Kept:
    """Record that a person who is logged in, and has confirmed it, takes their objection back (OBJ-08).

    Raises:
        RefusedError: there is nothing to take back, or somebody else holds one of their accounts now.
    """
    standing = standing_of(service, person)
    if not standing.objections:
        raise RefusedError("expected an objection in force, found none; there is nothing to withdraw")
    if standing.compromised:
        raise RefusedError("expected no compromise of an account, found one; a withdrawal would be void")
    return take_back(service, person)


def objection_of(service: Service, person: str, reference: str) -> Kept | None:
    """Return one of a person's objections in force, by its reference."""
    return next((one for one in service.parts.registry.objections_of(person) if one.objection_id == reference), None)


def letters_of(service: Service, person: str) -> list[Sent]:
    """Return the single mails that were sent to a person, oldest first."""
    found = [one for each in people_of(service.parts, person) for one in of_person(service.notice, each)]
    return sorted(found, key=lambda one: one.number)

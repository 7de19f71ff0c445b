"""A person's no, through every door: recorded durably with whatever else waits, then confirmed.

1. a door hands in what was said  2. the writer finds out whose link it is  3. one registry transaction for the batch
4. everybody is answered  5. objected.py queues letters and logs. Never refused, and nothing here asks for a reason.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from demur.clock import iso
from demur.flows.objected import Done, follow_up, log_kept, spoken_reference
from demur.flows.parts import Parts
from demur.flows.service import Service
from demur.flows.writer import GroupCommit
from demur.notice import letters
from demur.notice.reached import Reached, reached
from demur.people import OPEN_DOORS, Kept, Told
from demur.store.keys import KeyRing
from demur.store.links import LinkPurpose

CLAIM_LENGTH = 320
"""Characters kept of what somebody says about who they are: as long as an address may be (RFC 5321 §4.5.3.1)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One objection on its way to the writer."""

    service: Service
    told: Told
    delivery: int | None = None
    """Number in the link that it came by."""


@dataclass(frozen=True, slots=True)
class Status:
    """What the page behind a link says; nothing of it names anybody."""

    objections: tuple[Kept, ...]
    """In force, oldest first."""
    reached: Reached | None
    """``None``: the link is good, but the campaign that it belonged to is not here (an old backup)."""

    @property
    def first(self) -> Kept | None:
        """The one that the page speaks of: of the widest scope, then the oldest."""
        return min(self.objections, key=lambda one: (one.kinds is not None, one.said_at), default=None)

    @property
    def complete(self) -> bool:
        """Whether everything is objected to already."""
        return any(one.kinds is None and one.services is None for one in self.objections)


Writer = GroupCommit[Asked, Done]


def open_writer() -> Writer:
    """Return the writer of a service; its threads begin with the first objection."""
    return GroupCommit(commit, follow_up)


def by_link(
    service: Service,
    number: int,
    *,
    door: str = "link",
    kinds: Iterable[str] | None = None,
    services: Iterable[str] | None = None,
) -> Asked:
    """Return the objection of whoever holds a link: the person, a scanner's one-click POST, or a friend (OBJ-01)."""
    return Asked(service, Told(door, kinds=_listed(kinds), services=_listed(services)), number)


def by_person(
    service: Service,
    person_id: str,
    *,
    door: str = "web",
    kinds: Iterable[str] | None = None,
    services: Iterable[str] | None = None,
) -> Asked:
    """Return the objection of somebody who is known: logged in, or read from a signal of theirs."""
    return Asked(service, Told(door, person_id=person_id, kinds=_listed(kinds), services=_listed(services)))


def by_claim(
    service: Service,
    claim: Mapping[str, Any],
    *,
    door: str = "api",
    said_at: datetime | None = None,
    kinds: Iterable[str] | None = None,
    services: Iterable[str] | None = None,
) -> Asked:
    """Return the objection of whoever an account, a handle or an address names; without a match it waits (OBJ-09)."""
    kept = {name: found for name, value in claim.items() if (found := _plain(value))}
    person = kept.pop("person_id", None)
    return Asked(service, Told(door, said_at, person, kept, _listed(kinds), _listed(services)))


def object_now(asked: Asked) -> Done:
    """Record an objection and wait until it is on disk."""
    done: Done = asked.service.writer.ask(asked)
    return done


async def object_soon(asked: Asked) -> Done:
    """Record an objection and wait, without holding a thread."""
    done: Done = await asked.service.writer.ask_async(asked)
    return done


def commit(asked: Sequence[Asked]) -> list[Done]:
    """Record a batch in one transaction; the writer calls this."""
    service = asked[0].service
    numbers = {one.delivery for one in asked if one.delivery is not None}
    whose = reached(service.notice, numbers) if numbers else {}
    at = service.clock()
    told = [_told(service.parts.keys, one, whose, at) for one in asked]
    kept = service.parts.registry.record_objections(told, recorded_at=at)
    return [Done(one, whose.get(ask.delivery or -1), ask.delivery) for one, ask in zip(kept, asked, strict=True)]


def _told(keys: KeyRing, asked: Asked, whose: Mapping[int, Reached], at: datetime) -> Told:
    told = asked.told
    if asked.delivery is not None:
        found = whose.get(asked.delivery)
        # A good link without its campaign (an old backup) is kept until the campaign is back: never lost.
        claim = {} if found else {"delivery": str(asked.delivery)}
        told = replace(told, person_id=found.person_id if found else None, claim=claim)
    return replace(told, objection_id=told.objection_id or reference_of(keys, told, at))


def reference_of(keys: KeyRing, told: Told, at: datetime, letter: str = "O") -> str:
    """Return a reference to be read over the telephone; keyed, so that nobody can try out who is meant."""
    who = told.person_id or "\n".join(f"{name}={value}" for name, value in sorted(told.claim.items()))
    scope = (",".join(told.kinds or ()), ",".join(told.services or ()))
    return spoken_reference(letter, keys.mac("reference", letter, who, told.door, *scope, iso(told.said_at or at)))


def status(service: Service, number: int) -> Status:
    """Return what stands for whoever a link belongs to."""
    found = reached(service.notice, [number]).get(number)
    if found is None:
        return Status((), None)
    return Status(tuple(service.parts.registry.objections_of(found.person_id)), found)


def number_of(service: Service, token: str) -> int | None:
    """Return the delivery's number in an objection link; ``None`` for anything else, in the same time."""
    return service.links.read(LinkPurpose.OBJECT, token)


class CannotUndo(StrEnum):
    """Why an undo link does nothing any more."""

    LATE = "late"
    """``undo_days`` are over."""
    CLOSED = "closed"
    """Nothing is left that came by an open door, or the person or staff said no themselves: that stands."""


@dataclass(frozen=True, slots=True)
class Undoable:
    """What an undo link is about."""

    person_id: str
    language: str
    delivery: int | None
    hindered: CannotUndo | None


def undoable(service: Service, token: str) -> Undoable | None:
    """Return what an undo link would take back; ``None`` when it is not one of ours. Changes nothing."""
    number = service.links.read(LinkPurpose.UNDO, token)
    found = None if number is None else letters.letter(service.notice, number)
    if found is None or found[1] is None or found[0].kind is not letters.LetterKind.OBJECTION_CONFIRMED:
        return None
    letter, person = found[0], str(found[1])
    hindered = None
    standing = service.parts.registry.objections_of(person)
    if service.clock() > letter.made_at + timedelta(days=service.site.undo_days):
        hindered = CannotUndo.LATE
    elif not standing or any(one.door not in OPEN_DOORS for one in standing):
        hindered = CannotUndo.CLOSED
    return Undoable(person, letter.language, letter.facts.get("delivery"), hindered)


def undo(service: Service, token: str) -> Undoable | None:
    """Take back what somebody else's click on a link did (OBJ-08): recorded as a withdrawal, a new clock follows.

    The link stands in the confirmation to the address on file only, and is good for ``undo_days``.
    """
    found = undoable(service, token)
    if found is None or found.hindered:
        return found
    told = Told("link", person_id=found.person_id)
    at = service.clock()
    reference = reference_of(service.parts.keys, told, at, "W")
    kept = service.parts.registry.take_back_open(found.person_id, recorded_at=at, reference=reference)
    if kept is None:
        return replace(found, hindered=CannotUndo.CLOSED)
    whose = None if found.delivery is None else reached(service.notice, [found.delivery]).get(found.delivery)
    follow_up([(Asked(service, told), Done(kept, whose, found.delivery))])
    return found


def take_back(service: Service, person: str) -> Kept:
    """Record that somebody takes everything back, confirm it to the address on file, and log it (OBJ-08).

    A face has checked login and confirmation; whoever did not do it learns of it by the letter.
    """
    told, at = Told("web", person_id=person), service.clock()
    reference = reference_of(service.parts.keys, told, at, "W")
    kept = service.parts.registry.take_back(person, recorded_at=at, reference=reference)
    follow_up([(Asked(service, told), Done(kept, None, None))])
    return kept


def object_(
    parts: Parts, who: Mapping[str, Any], scope: Mapping[str, Any], *, door: str, at: datetime
) -> tuple[Kept, int]:
    """Record and log an objection at once, without a service: staff entry, the demo; no letter is queued."""
    claim = {name: found for name, value in who.items() if (found := _plain(value))}
    person = claim.pop("person_id", None)
    told = Told(door, None, person, claim, _listed(scope.get("kinds")), _listed(scope.get("services")))
    told = replace(told, objection_id=reference_of(parts.keys, told, at))
    (kept,) = parts.registry.record_objections([told], recorded_at=at)
    return kept, log_kept(parts, [kept])[0]


def _listed(values: Iterable[str] | None) -> tuple[str, ...] | None:
    found = tuple(sorted({one for value in values or () if (one := _plain(value))}))
    return found or None


def _plain(value: Any) -> str:
    """Return a text that any database takes: no control characters, no lone surrogates, not too long."""
    text = str(value).encode("utf-8", "ignore").decode() if value is not None else ""
    return "".join(one for one in text if one.isprintable())[:CLAIM_LENGTH].strip()

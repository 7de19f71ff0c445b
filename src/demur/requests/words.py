"""The words of the room: states, outcomes, rules, reasons, and what somebody asks for. No verbs but reading a form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from demur.errors import InputError

MOST = 20
"""Entries of one list in a form that are looked for; staff find the others in the note."""
_LISTS = ("names", "handles", "links", "phones", "emails", "prompts")
SHORT, LONG = 300, 20_000
"""Signs of a name or link, and of a text."""


class State(StrEnum):
    """Where a request stands. ``answered`` is the only end, and it is reached once (TPD-06)."""

    RECEIVED = "received"
    """Waits for the matcher."""
    DECIDING = "deciding"
    """Looked for; staff decide about what was found."""
    ANSWERED = "answered"


class Outcome(StrEnum):
    """How a request ended."""

    REMOVED = "removed"
    PARTLY = "partly"
    NOT_FOUND = "not_found"
    REFUSED = "refused"


class Verdict(StrEnum):
    """What was decided about one proposal."""

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class Rule(StrEnum):
    """Why an item was proposed."""

    LINK = "link"
    LINK_IN_TEXT = "link_in_text"
    HANDLE = "handle"
    PHONE = "phone"
    EMAIL = "email"
    NAME = "name"
    COPY = "copy"
    NEAR_COPY = "near_copy"
    PICTURE = "picture"
    RESHARE = "reshare"


COPIES = frozenset({Rule.LINK, Rule.COPY, Rule.NEAR_COPY, Rule.PICTURE})
"""Rules whose items carry the content itself: whatever reshares them carries it too (TPD-02)."""


class Reason(StrEnum):
    """Why staff confirmed or rejected; each has a phrase ``request.reason_<value>`` in every language."""

    ABOUT_YOU = "about_you"
    YOUR_WORK = "your_work"
    CHILD = "child"
    SOMEBODY_ELSE = "somebody_else"
    NOT_PERSONAL = "not_personal"
    PUBLIC_INTEREST = "public_interest"
    NOT_ENTITLED = "not_entitled"
    EXCESSIVE = "excessive"


CONFIRMING = frozenset({Reason.ABOUT_YOU, Reason.YOUR_WORK, Reason.CHILD})


class Delay(StrEnum):
    """Why an answer takes longer than a month; each has a phrase ``request.delay_<value>`` (GDPR art. 12(3))."""

    COMPLEX = "complex"
    MANY_REQUESTS = "many_requests"


class Alarm(StrEnum):
    """How a request stands by the legal clock."""

    CALM = "calm"
    SOON = "soon"
    OVERDUE = "overdue"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Claim:
    """What a model is said to have put out about somebody (TPD-05)."""

    prompts: tuple[str, ...]
    output: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks to be looked for. Only the contact is required (TPD-01)."""

    contact: str
    names: tuple[str, ...] = ()
    handles: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()
    note: str = ""
    """What the person wants to add; for staff."""
    guardian: bool = False
    """They speak for a child of theirs."""
    representative: bool = False
    """They speak for somebody else who asked them to."""
    claim: Claim | None = None
    picture: Mapping[str, Any] | None = None
    """``pdq`` (64 hex digits), ``quality``, ``sha256`` of an uploaded picture; its bytes lie sealed apart."""

    def as_json(self) -> dict[str, Any]:
        """Return the plain form that is sealed."""
        return asdict(self)


def wanted_from_json(found: Mapping[str, Any]) -> Wanted:
    """Return what was sealed."""
    claim = found.get("claim")
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in found.items()}
    plain["claim"] = claim and Claim(tuple(claim["prompts"]), claim["output"], claim["model"])
    return Wanted(**plain)


def read_form(form: Mapping[str, str]) -> Wanted:
    """Return what a form says: lists have an entry a line. What is too long is cut, never refused.

    Of a list the first twenty are looked for by machine; the rest goes into the note, so that staff look for it.

    Raises:
        InputError: there is no contact to answer to.
    """
    contact = form.get("contact", "").strip()[:SHORT]
    name, at, domain = contact.rpartition("@")
    if not (name and at and "." in domain) or any(sign.isspace() or not sign.isprintable() for sign in contact):
        raise InputError("expected an e-mail address to answer to, found none; give one")
    told = {name: lines(form.get(name, ""), LONG if name == "prompts" else SHORT) for name in _LISTS}
    rest = [f"{name}: {one}" for name, entries in told.items() for one in entries[MOST:]]
    listed: dict[str, Any] = {name: entries[:MOST] for name, entries in told.items()}
    prompts, output = listed.pop("prompts"), form.get("output", "").strip()[:LONG]
    claim = Claim(prompts, output, form.get("model", "").strip()[:SHORT]) if prompts or output else None
    text = form.get("text", "").strip()[:LONG]
    return Wanted(
        contact=contact,
        **listed,
        texts=(text,) if text else (),
        note="\n".join([form.get("note", "").strip()[:LONG], *rest]).strip(),
        guardian=form.get("for") == "child",
        representative=form.get("for") == "other",
        claim=claim,
    )


def lines(text: str, longest: int = SHORT) -> tuple[str, ...]:
    r"""Return the entries of a text field: one a line, blanks trimmed, each once.

    >>> lines("Ana Muster\n\n ana  \nAna Muster")
    ('Ana Muster', 'ana')
    """
    found = dict.fromkeys(" ".join(line.split())[:longest] for line in text.splitlines())
    return tuple(line for line in found if line)


def with_picture(wanted: Wanted, picture: Mapping[str, Any] | None) -> Wanted:
    """Return the same with the fingerprint of a picture."""
    return replace(wanted, picture=picture)


@dataclass(frozen=True, slots=True)
class Request:
    """A request without its content: what stands in clear."""

    number: int
    state: State
    outcome: Outcome | None
    is_claim: bool
    country: str | None
    language: str
    received_at: datetime
    due_at: datetime
    extended_at: datetime | None
    delay: Delay | None
    answered_at: datetime | None
    forgotten_at: datetime | None
    """When its content was destroyed; the row stays as proof that it was answered."""
    searched: int
    """Items that the matcher looked at."""
    pictures: int
    """Of these, pictures whose files could not be looked at."""
    overflow: int
    """Hits beyond the most that are kept; the request must be made narrower."""

    @property
    def reference(self) -> str:
        """What letters and pages call it."""
        return reference(self.number)


def reference(number: int) -> str:
    """Return what a request is called.

    >>> reference(17)
    'R-17'
    """
    return f"R-{number}"


@dataclass(frozen=True, slots=True)
class Found:
    """One hit of the matcher."""

    item_id: str
    rule: Rule
    score: float
    certain: bool
    """May be decided together with others; what is not certain is decided one by one (TPD-04)."""
    snippet: str = ""
    """Some words around it; for staff only, sealed at rest."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A hit as kept."""

    item_id: str
    account_id: str | None
    rule: Rule
    score: float
    certain: bool
    snippet: str
    verdict: Verdict
    reason: Reason | None
    decided_by: str | None
    decided_at: datetime | None


def outcome_of(proposals: Sequence[Proposal]) -> Outcome:
    """Return how a request ends by what was decided.

    >>> outcome_of([]).value
    'not_found'
    """
    confirmed = sum(one.verdict is Verdict.CONFIRMED for one in proposals)
    if not proposals:
        return Outcome.NOT_FOUND
    if confirmed == 0:
        return Outcome.REFUSED
    return Outcome.REMOVED if confirmed == len(proposals) else Outcome.PARTLY

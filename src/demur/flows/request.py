"""People who appear in somebody else's posts: take a request in, decide, take out, tell both sides, answer.

    form ─▶ sealed, numbered, clocked ─▶ search (matching.py) ─▶ decisions ─▶ suppression ─▶ answer

What is confirmed is suppressed at once: the registry's standing names the item, so that no decision allows it any
more, and the next erasure takes it and its copies out of corpora and models. Names and handles that led there are
kept as keyed hashes, and no later text holds them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from demur.clock import iso
from demur.errors import InputError, RefusedError
from demur.flows.answering import answer_text
from demur.flows.matching import match_some
from demur.flows.service import Service
from demur.i18n import phrase
from demur.i18n.authorities import authority
from demur.ledger import Entry, EntryKind
from demur.lineage import handle_hash, name_hash
from demur.notice import letters
from demur.requests import (
    CONFIRMING,
    Alarm,
    Delay,
    Outcome,
    Proposal,
    Reason,
    Request,
    Verdict,
    Wanted,
    alarm,
    due_at,
    due_on,
    fingerprint,
    lasting_handles,
    lasting_names,
    read_form,
    reference,
    with_picture,
)
from demur.store.links import LinkPurpose

LATELY = 200
"""Requests answered last of which a step makes sure that their letters were queued."""
KEEP_DAYS = 180
"""How long the content of an answered request is kept, so that a complaint can be met; then its key is destroyed."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a request stands, for the person who made it; nothing of what others posted."""

    request: Request
    due_at: datetime
    answer: str | None
    link: str


@dataclass(frozen=True, slots=True)
class Queued:
    """A request in the staff's queue."""

    request: Request
    alarm: Alarm
    open: int
    """Proposals that wait for a decision."""
    found: int


@dataclass(frozen=True, slots=True)
class Opened:
    """Everything about a request; for staff only."""

    request: Request
    alarm: Alarm
    wanted: Wanted | None
    """``None`` = destroyed."""
    proposals: list[Proposal]
    evidence: dict[str, object] | None
    answer: str | None


def receive(
    service: Service, form: Mapping[str, str], picture: bytes | None, *, language: str, country: str | None = None
) -> int:
    """Keep a request and write to the person that it is here; returns its number.

    Args:
        service: the parts.
        form: fields as ``requests.read_form`` knows them.
        picture: bytes of an uploaded picture.
        language: of the answer.
        country: where the person lives, if they said so.

    Raises:
        InputError: there is no contact to answer to, or the picture cannot be read.
    """
    wanted = read_form(form)
    if picture:
        wanted = with_picture(wanted, fingerprint(picture))
    at = service.clock()
    due = due_at(at, service.site.country)
    number = service.requests.receive(
        wanted, picture=picture or None, country=country, language=language, received_at=at, due_at=due
    )
    _log(service, number, "received", at, due_at=iso(due))
    _write(service, number, letters.LetterKind.REQUEST_RECEIVED, due_on=due_day(service, due).isoformat())
    return number


def token(service: Service, number: int) -> str:
    """Return the signed link's token of a request."""
    return service.links.token(LinkPurpose.REQUEST, number)


def standing(service: Service, number: int) -> Standing | None:
    """Return how a request stands; ``None`` = there is none of that number."""
    found = service.requests.request(number)
    if found is None:
        return None
    return Standing(found, found.due_at, service.requests.answer_text(number), f"/request/{token(service, number)}")


def due_day(service: Service, due: datetime) -> date:
    """Return the last day of a period as letters and pages name it."""
    return due_on(due, service.site.country)


# Staff ----------------------------------------------------------------------------------


def queue(service: Service, *, answered: bool = False, most: int = 500, after: int = 0) -> list[Queued]:
    """Return the open requests by legal clock, or the answered ones."""
    rows = service.requests.queue(answered=answered, most=most, after=after)
    counts = service.requests.counts([one.number for one in rows])
    return [Queued(one, _alarm(service, one), *counts.get(one.number, (0, 0))) for one in rows]


def whole_queue(service: Service, *, answered: bool = False) -> list[Queued]:
    """Return all of a queue."""
    found: list[Queued] = []
    while some := queue(service, answered=answered, after=len(found)):
        found += some
    return found


def opened(service: Service, number: int) -> Opened:
    """Return everything about a request.

    Raises:
        InputError: there is no such request.
    """
    book = service.requests
    found = book.known(number)
    snippets = found.forgotten_at is None
    return Opened(
        found, _alarm(service, found), book.wanted(number), book.proposals(number, snippets=snippets),
        book.evidence(number), book.answer_text(number),
    )  # fmt: skip


def decide(service: Service, number: int, items: Sequence[str] | None, reason: Reason, *, by: str) -> list[Proposal]:
    """Decide proposals; what is confirmed is out from now on. See ``RequestBook.decide``.

    It is out before it is noted: a kill in between leaves out what nobody has decided, until the answer.
    """
    at = service.clock()
    if reason in CONFIRMING:
        chosen = set(service.requests.chosen(number, items, reason))
        _suppress(service, reference(number), chosen - service.parts.registry.suppressed_by(reference(number)), at)
    try:
        done = service.requests.decide(number, items, reason, by=by, at=at)
    except RefusedError:  # somebody answered meanwhile: what nobody decided comes back, after it went out
        _take_effect(service, number, max(service.clock(), at + timedelta(microseconds=1)))
        raise
    _take_effect(service, number, at)
    _log(service, number, f"decided:{iso(at)}", at, items=[one.item_id for one in done], reason=reason.value, by=by)
    return done


def _take_effect(service: Service, number: int, at: datetime) -> None:
    """Suppress what is confirmed and lift what is not (any more). Idempotent: the registry keeps an event once."""
    from demur.terms.people import Act

    registry, origin = service.parts.registry, reference(number)
    placed = registry.suppressed_by(origin)
    wanted = {one.item_id for one in service.requests.proposals(number) if one.verdict is Verdict.CONFIRMED}
    _suppress(service, origin, wanted - placed, at)
    registry.suppress_items(sorted(placed - wanted), origin=origin, recorded_at=at, act=Act.LIFT)


def _suppress(service: Service, origin: str, items: Collection[str], at: datetime) -> None:
    service.parts.registry.suppress_items(sorted(items), origin=origin, recorded_at=at)


def extend(service: Service, number: int, delay: Delay) -> datetime:
    """Give a request the two further months and tell the person why; returns the new end (GDPR art. 12(3)).

    Raises:
        RefusedError: it is answered, was extended before, or its first month is over.
    """
    at = service.clock()
    found = service.requests.known(number)
    due = due_at(found.received_at, service.site.country, extended=True)
    service.requests.extend(number, due_at=due, delay=delay, at=at)
    _tell_delay(service, number)
    return due


def _tell_delay(service: Service, number: int) -> None:
    """Log an extension and queue its letter, once: the person must be told inside the first month."""
    found = service.requests.known(number)
    if found.extended_at is None or found.delay is None:
        return
    _log(service, number, "extended", found.extended_at, due_at=iso(found.due_at), delay=found.delay.value)
    reason, until = phrase(f"request.delay_{found.delay.value}", found.language), due_day(service, found.due_at)
    _write(service, number, letters.LetterKind.REQUEST_EXTENDED, due_on=until.isoformat(), reason=reason)


def answer(service: Service, number: int, *, by: str, note: str = "") -> Outcome:
    """End a request: assemble the answer in the person's language, tell both sides, suppress what led to the items.

    Args:
        service: the parts.
        number: the request.
        by: who answers.
        note: words of staff's own, put before the rest.

    Raises:
        RefusedError: something is undecided, or it is answered already.
    """
    at = service.clock()
    service.requests.check_ready(number)
    found = opened(service, number)
    assert found.wanted is not None, "only an answered request is forgotten"
    _take_effect(service, number, at)  # what a killed decision left undone
    words = _lasting(service, found)
    service.parts.registry.suppress_hashes(words, origin=reference(number), recorded_at=at)
    told = (found.request, found.wanted, found.proposals, found.evidence)
    text = answer_text(service.site, *told, lasting=bool(words), note=note)
    outcome = service.requests.answer(number, text, at=at, forget_at=at + timedelta(days=KEEP_DAYS))
    _log_answer(service, found, outcome, words, at, by=by)
    _tell(service, number)
    return outcome


def _log_answer(
    service: Service, found: Opened, outcome: Outcome, words: Sequence[str], at: datetime, *, by: str | None
) -> None:
    """Log an answer with all that it leaves suppressed: a killed decision may not have been logged."""
    items = [one.item_id for one in found.proposals if one.verdict is Verdict.CONFIRMED]
    _log(service, found.request.number, "answered", at, outcome=outcome.value, by=by, words=list(words), items=items)


def _finish(service: Service, number: int) -> None:
    """Do what a killed answer left undone."""
    found = opened(service, number)
    if found.request.answered_at is None or found.request.outcome is None or found.wanted is None:
        return
    words = _lasting(service, found)
    _log_answer(service, found, found.request.outcome, words, found.request.answered_at, by=None)
    _tell(service, number)


def _tell(service: Service, number: int) -> None:
    """Queue the letters of an answered request; each is queued once, however often this runs.

    The answer last: once it is queued, nothing is left to be done (``step``).
    """
    text = service.requests.answer_text(number) or ""
    _tell_uploaders(service, number)
    _write(service, number, letters.LetterKind.REQUEST_ANSWERED, answer=text)


def _lasting(service: Service, found: Opened) -> list[str]:
    """Return the keyed hashes of names and handles that led to confirmed items: no later text may hold them (TPD-03).

    A name that others have too is not among them: it would be cut out of their posts.
    """
    wanted = found.wanted
    assert wanted is not None
    key = service.parts.keys.secret("suppression")
    hashes = [name_hash(key, name) for name in lasting_names(wanted, found.proposals)]
    hashes += [handle_hash(key, handle) for handle in lasting_handles(wanted, found.proposals)]
    return sorted({one for one in hashes if one is not None})


def _tell_uploaders(service: Service, number: int) -> None:
    """Tell whoever made a confirmed item, once a request, without a word about who asked.

    Of an account that was somebody else's too nobody knows here who made it, and nobody is told.
    """
    confirmed = [one for one in service.requests.proposals(number) if one.verdict is Verdict.CONFIRMED]
    accounts = sorted({one.account_id for one in confirmed if one.account_id})
    owners = {account: person for account in accounts if (person := service.parts.registry.owner_of(account))}
    reached = service.parts.registry.reach(sorted(set(owners.values())))
    for person, how in reached.items():
        told = service.parts.registry.about(person)["accounts"]
        others = {row["account_id"] for row in told if row["person_id"] not in how.people}
        items = [
            one.item_id
            for one in confirmed
            if owners.get(one.account_id or "") == person and one.account_id not in others
        ]
        language = how.language or "en"
        if how.contact and items:
            facts = {"item": ", ".join(items[:20]), "done": phrase("request.uploader_done", language)}
            letters.queue(
                service.notice, kind=letters.LetterKind.UPLOADER_TOLD, key=f"request:{number}:uploader:{person}",
                person_id=person, language=language, address=how.contact, facts=facts, at=service.clock(),
            )  # fmt: skip


# Claims about what a model puts out (TPD-05) ------------------------------------------


def rerun(service: Service, number: int, *, tokens: int = 120) -> dict[str, object]:
    """Ask the current model again what a claim says it was asked, and keep what came out as evidence.

    Raises:
        RefusedError: there is no model.
        InputError: the request is no claim.
    """
    from demur.corpus.similarity import jaccard
    from demur.flows.claims import asked_again
    from demur.flows.parts import model_folder

    wanted = service.requests.wanted(number)
    if wanted is None or wanted.claim is None:
        raise InputError("expected a request about what a model put out, found another; see `demur request show`")
    model = model_folder(service.parts.workspace)
    evidence = asked_again(model, wanted.claim, jaccard, tokens=tokens, at=service.clock())
    service.requests.keep_evidence(number, evidence)
    facts = {"model": evidence["model"], "reproduced": evidence["reproduced"]}
    _log(service, number, f"rerun:{evidence['at']}", service.clock(), **facts)
    return evidence


# The worker ----------------------------------------------------------------------------------


def step(service: Service) -> int:
    """Search for somebody, finish what a killed answer or extension left undone, forget what is over; 0 = idle."""
    done = match_some(service)
    answered = [one for one in service.requests.queue(answered=True, most=LATELY) if one.forgotten_at is None]
    extended = service.requests.extended()
    owed = {_key(one.number, letters.LetterKind.REQUEST_ANSWERED): (_finish, one.number) for one in answered}
    owed |= {_key(one, letters.LetterKind.REQUEST_EXTENDED): (_tell_delay, one) for one in extended}
    for key in sorted(owed.keys() - letters.known(service.notice, owed.keys())):
        finish, number = owed[key]
        finish(service, number)
        done += 1
    return done + len(service.requests.forget(service.clock()))


def _key(number: int, kind: letters.LetterKind) -> str:
    return f"request:{number}:{kind.value}"


# Inside ----------------------------------------------------------------------------------


def _alarm(service: Service, one: Request) -> Alarm:
    extended, answered = one.extended_at is not None, one.answered_at is not None
    return alarm(one.received_at, one.due_at, service.clock(), extended=extended, answered=answered)


def _write(service: Service, number: int, kind: letters.LetterKind, **facts: object) -> None:
    """Queue a letter to the requester; the key makes it one letter a kind."""
    found, wanted = service.requests.known(number), service.requests.wanted(number)
    if wanted is None:
        return
    told = {
        "reference": found.reference,
        "status_url": f"{service.site.origin}/request/{token(service, number)}",
        "authority": authority(found.country or service.site.country).name,
        **facts,
    }
    letters.queue(
        service.notice, kind=kind, key=_key(number, kind), person_id=None, language=found.language,
        address=wanted.contact, facts=told, at=service.clock(),
    )  # fmt: skip


def _log(service: Service, number: int, act: str, at: datetime, **facts: object) -> None:
    told = {"request": reference(number), "act": act.split(":", 1)[0], **facts}
    service.parts.log(Entry(EntryKind.REQUEST, at, f"{reference(number)}:{act}", told))

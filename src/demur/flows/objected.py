"""After an objection is on disk: the letter to the address on file, the entry in the ledger, the receipt.

All of it can be done again from the registry alone and changes nothing the second time; ``step`` does so for whatever
a killed process left undone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from demur.clock import iso, parse
from demur.errors import DemurError, InputError
from demur.flows.parts import Parts
from demur.flows.people import blind
from demur.flows.readable import readable
from demur.flows.service import Service
from demur.i18n import LAST, phrase, phrases
from demur.i18n.authorities import authority
from demur.ledger import Entry, EntryKind, Ledger
from demur.lineage import SealedFile
from demur.notice import letters
from demur.notice.reached import Reached, leave_out, reached
from demur.objections.facts import seal, unseal
from demur.objections.receipt import Context, make_receipt
from demur.objections.scope import parts_of
from demur.people import OPEN_DOORS, Kept, Reach, Told, place_of
from demur.terms.people import Act

PAGE_ROWS = 2_000
AGAIN_SECONDS = 300.0
"""Between two looks for what somebody's death or fault left undone."""
OVERLAP = timedelta(hours=1)
"""How far a look goes back behind the one before."""
FRESH = timedelta(minutes=2)
"""What was recorded so lately is still on its writer's way."""
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no I, L, O, U, so that nothing is misheard or misread."""
_SILENT_DOORS = frozenset({"bulk", "suppression"})
"""Doors after which a restarted process sends no confirmation: what came by them may be years old."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one objection."""

    kept: Kept
    reached: Reached | None
    delivery: int | None
    """Number in the link that it came by."""


def spoken_reference(letter: str, keyed: bytes) -> str:
    """Return a reference such as ``O-7K3M-9QXT-42HD``: sixty bits in letters that nobody mishears.

    >>> spoken_reference("O", bytes(range(32)))
    'O-000G-40R4-0M30'
    """
    number = int.from_bytes(keyed[:8], "big") >> 4
    digits = "".join(_DIGITS[number >> shift & 31] for shift in range(55, -1, -5))
    return f"{letter}-{digits[:4]}-{digits[4:8]}-{digits[8:]}"


# The ledger ----------------------------------------------------------------------------------------------------------


def entry_of(parts: Parts, kept: Kept) -> Entry:
    """Return the ledger's entry of an objection or a withdrawal: the same for the same event, whoever makes it."""
    who: dict[str, Any] = {"person": kept.person_id} if kept.person_id else {"claim": orjson.loads(kept.claim or "{}")}
    facts = {
        "objection": kept.objection_id,
        "act": kept.act.value,
        "person": blind(parts.keys, kept.person_id) if kept.person_id else None,
        "kinds": None if kept.kinds is None else list(kept.kinds),
        "services": None if kept.services is None else list(kept.services),
        "door": kept.door,
        "valid_at": iso(kept.said_at),
        "recorded_at": iso(kept.recorded_at),
        "sealed": seal(parts.keys, who),
    }
    return Entry(EntryKind.OBJECTION, kept.recorded_at, kept.event_id, facts)


def log_kept(parts: Parts, kept: Sequence[Kept]) -> list[int]:
    """Log objections and withdrawals; one that is in the ledger keeps its index."""
    return parts.log(*(entry_of(parts, one) for one in kept))


def record_again(parts: Parts, facts: Mapping[str, Any]) -> None:
    """Record an objection or a withdrawal from its ledger facts: after a restore of an older backup (SEC-10).

    What the registry has already changes nothing.
    """
    who = unseal(parts.keys, facts["sealed"])
    event = {name: facts[name] for name in ("act", "kinds", "services", "door", "valid_at")}
    if "person" in who:
        known = {"type": "objection", "person_id": who["person"], "objection_id": facts["objection"]}
        parts.registry.record({**known, **event}, recorded_at=parse(facts["recorded_at"]))
        return
    scope = {name: tuple(event[name]) if event[name] else None for name in ("kinds", "services")}
    told = Told(event["door"], parse(event["valid_at"]), None, who["claim"], objection_id=facts["objection"], **scope)
    parts.registry.record_objections([told], recorded_at=parse(facts["recorded_at"]))


# The letter ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Used:
    """What of a person's is here."""

    records: int
    names: tuple[str, ...]
    """Of corpora, media builds, and models."""


def used_before(parts: Parts, people: Iterable[str]) -> dict[str, Used]:
    """Return for each person how many records they have a part in, text or pictures, and which models learned them."""
    from demur.flows.pending import whole_corpora
    from demur.training import read_model

    wanted = sorted(set(people))
    records: dict[str, int] = {}
    held: dict[str, list[str]] = {}
    made = [read_model(path.parent) for path in sorted(parts.workspace.models.glob("*/manifest.json"))]
    for corpus in whole_corpora(parts):
        models = [one.model_id for one in made if one.status != "destroyed" and one.corpus_id == corpus.name]
        builds = [path.parent for path in parts.workspace.media_builds.glob(f"{corpus.name}/[!.]*/manifest.json")]
        here: Counter[str] = Counter()
        for folder, kind, names in (
            (corpus, "lineage", [corpus.name, *models]),
            *((build, kind, [build.name]) for build in builds for kind in ("media", "shown")),
        ):
            found = _parts_of(parts, folder, kind, wanted)
            here += found
            for person in found:
                held.setdefault(person, []).extend(names)
        records |= {person: max(count, records.get(person, 0)) for person, count in here.items()}
    return {person: Used(records[person], tuple(sorted(set(names)))) for person, names in held.items()}


def _parts_of(parts: Parts, folder: Path, kind: str, wanted: Sequence[str]) -> Counter[str]:
    """Return how many records some people have a part in, by the sealed tables of one kind in a folder."""
    import pyarrow as pa
    import pyarrow.compute as pc

    path = folder / "sealed" / f"{kind}.sealed"
    if not path.exists():
        return Counter()
    sealed = SealedFile(path, kind, secret=parts.keys.secret("lineage"))
    few = len(wanted) <= sealed.buckets // 2
    seen: set[tuple[str, str]] = set()
    for table in (part for one in wanted for part in sealed.bucket(one)) if few else sealed.all():
        mine = table.filter(pc.is_in(table["person_id"], pa.array(wanted, pa.string())))
        seen.update(zip(mine["person_id"].to_pylist(), mine["record_id"].to_pylist(), strict=True))
    return Counter(person for person, record in seen if record is not None)


def queue_letters(service: Service, done: Sequence[Done], *, at: datetime) -> int:
    """Queue the confirmation of each new objection or withdrawal to the address on file; return how many are new.

    A withdrawal is told to every address of linked ids, since one may be linked by mistake and somebody else's.
    Where a corpus or a model cannot be read, it leads to the own page instead of saying what was used before.
    Who objected to everything gets no notice any more that has not gone out.
    """
    told = [one for one in done if one.kept.person_id and not (one.kept.repeated or one.kept.taken_back)]
    if not told:
        return 0
    reach = service.parts.registry.reach({str(one.kept.person_id) for one in told})
    gone = [one.kept for one in told if one.kept.act is Act.OBJECT and one.kept.kinds is one.kept.services is None]
    if gone:
        leave_out(service.notice, {each for one in gone for each in reach[str(one.person_id)].people}, at)
    used = readable(lambda: used_before(service.parts, {member for one in reach.values() for member in one.people}))
    by_itself = says_erases_itself(service.parts)
    queued: list[letters.Letter] = []
    for one in told:
        to = reach[str(one.kept.person_id)]
        if to.contact is not None:
            theirs = None if used is None else [used[each] for each in to.people if each in used]
            queued.append(_letter(one, to, to.contact, theirs, by_itself=by_itself))
        for person, contact in to.others if one.kept.act is Act.WITHDRAW else ():
            letter = _letter(one, to, contact, None, by_itself=by_itself)
            queued.append(replace(letter, key=f"{letter.key}:{person}", person_id=person))
    return sum(number is not None for number in letters.queue_all(service.notice, queued, at))


def says_erases_itself(parts: Parts) -> bool:
    """Say whether a page or a letter may promise that what was used is taken out by itself.

    Where a corpus or its policy cannot be read, or goes meanwhile, it does not; nobody's no ends in an error for it.
    """
    from demur.flows.pending import erases_itself

    try:
        return erases_itself(parts)
    except (DemurError, OSError):
        return False


def _letter(done: Done, to: Reach, contact: str, used: Sequence[Used] | None, *, by_itself: bool) -> letters.Letter:
    kept, language = done.kept, done.reached.language if done.reached else to.language or "en"
    country = (done.reached.country if done.reached else None) or to.country
    facts: dict[str, Any] = {"reference": kept.objection_id}
    if done.delivery is not None:
        facts["delivery"] = done.delivery
    if kept.act is Act.OBJECT:
        kind = letters.LetterKind.OBJECTION_CONFIRMED
        complain = authority(country)
        facts |= {
            "objected_at": kept.said_at,
            "scope": _scope_with_accounts(kept, to, language),
            "used_before": _used_text(used, language, by_itself=by_itself),
            "authority": f"{complain.name} ({complain.url})",
            "undo": kept.door in OPEN_DOORS,
        }
    elif kept.door in OPEN_DOORS:
        kind, facts["undone_at"] = letters.LetterKind.OBJECTION_UNDONE, kept.said_at
    else:
        kind, facts["withdrawn_at"] = letters.LetterKind.WITHDRAWAL_CONFIRMED, kept.said_at
    return letters.Letter(kind, f"objection:{kept.event_id}", kept.person_id, language, contact, facts)


def _scope_with_accounts(kept: Kept, to: Reach, language: str) -> str:
    """Return what is covered, with the names of all accounts: the mail goes to the address on file only."""
    covered = scope_text(kept, language)
    if not to.accounts:
        return covered
    return f"{covered} {phrase('objection.mail_accounts', language, accounts=', '.join(to.accounts))}"


def _used_text(used: Sequence[Used] | None, language: str, *, by_itself: bool) -> str:
    if used is None:
        return phrase("me.home_page_text", language)
    if not used:
        return phrase("objection.mail_used_nothing", language)
    names = ", ".join(sorted({name for one in used for name in one.names}))
    records = sum(one.records for one in used)
    if by_itself:
        return phrase("objection.mail_used", language, records=records, names=names)
    said = [f"{phrase('me.where_records', language)}: {records}", phrase("me.items_in", language, names=names)]
    return f"{'. '.join(said)}. {phrase('notice.afterwards_kept', language)}"


def scope_text(kept: Kept, language: str) -> str:
    """Return what an objection covers, in words."""
    if kept.kinds is None and kept.services is None:
        return phrase("objection.scope_everything", language)
    whole, single = parts_of(kept.kinds or ())
    named = [phrase(f"objection.kind_{name}", language) for name in whole]
    single = [kind for kind in single if f"notice.kind_{kind}" in phrases(LAST)]  # what is never used is not named
    what = [*named, *(phrase(f"notice.kind_{kind}", language) for kind in single), *(kept.services or ())]
    return phrase("objection.scope_part", language, what=", ".join(what))


# The receipt ---------------------------------------------------------------------------------------------------------


def receipt_of(service: Service, kept: Kept, *, language: str, country: str | None) -> dict[str, Any]:
    """Return the receipt of an objection: what the ledger commits to, the proof, and who answers for it."""
    entry = entry_of(service.parts, kept)
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        (index,) = ledger.append([entry])
        opening, proof, key = ledger.opening(index), ledger.prove(index).text(), str(ledger.verifier_key)
    complain = authority(country)
    context = Context(
        controller=service.site.controller, platform=service.site.platform, address=service.site.address,
        contact=service.site.contact, notice_url=service.site.privacy_url, language=language,
        authority=complain.name, authority_url=complain.url,
    )  # fmt: skip
    return make_receipt(opening, proof, key, context, service.parts.keys.signer())


# Afterwards ----------------------------------------------------------------------------------------------------------


def follow_up(pairs: Sequence[tuple[Any, Done]]) -> None:
    """Do what comes after the answer, for a batch; the writer calls this.

    Letters first: an entry in the ledger then says that the letter is queued, and a killed process's rest is found.
    """
    service: Service = pairs[0][0].service
    fresh = [done for _, done in pairs if not done.kept.repeated]
    if not fresh:
        return
    queue_letters(service, fresh, at=service.clock())
    log_kept(service.parts, [one.kept for one in fresh])


def match(service: Service, reference: str, person: str) -> Kept:
    """Say whose a waiting objection is: it counts from when it was said, is confirmed to the person, and is logged.

    Raises:
        InputError: no objection of that reference waits.
    """
    at = service.clock()
    kept = service.parts.registry.match_objection(reference, person, recorded_at=at)
    queue_letters(service, [Done(kept, None, None)], at=at)
    log_kept(service.parts, [kept])
    return kept


def match_waiting(service: Service) -> int:
    """Match what waits to whom its address or its link belongs, now that somebody knows; return how many.

    An account or a campaign may come after the no: by an import, or with a backup. By other names staff decide.
    """
    registry = service.parts.registry
    claims = registry.claims()
    found = registry.addressed() if any("contact" in claim for claim in claims.values()) else {}
    links = {name: number for name, claim in claims.items() if (number := _delivery(claim)) is not None}
    whose = reached(service.notice, set(links.values())) if links else {}
    found |= {name: whose[number].person_id for name, number in links.items() if number in whose}
    for reference, person in sorted(found.items()):
        match(service, reference, person)
    return len(found)


def _delivery(claim: Mapping[str, Any]) -> int | None:
    told = claim.get("delivery", "")
    return int(told) if told.isdecimal() else None


def step(service: Service) -> int:
    """Log what the registry knows and the ledger does not, one page; 0 = this process has seen everything for now.

    The first look is at everything; later ones, every few minutes, at what is new: another process may have been
    killed, or failed, between its answer and what comes after. What is fresh is still its writer's.
    """
    look, at = service.writer.look, service.clock()
    if look.done and time.monotonic() < look.again:
        return 0
    if look.done or look.begun is None:
        match_waiting(service)
        since = None if look.begun is None else look.begun - OVERLAP
        look.after, look.done, look.begun, look.since = None, False, at, since
    page = service.parts.registry.objections_page(look.after, rows=PAGE_ROWS, since=look.since)
    if not page:
        look.done, look.again = True, time.monotonic() + AGAIN_SECONDS
        return 0
    ripe = [one for one in page if look.since is None or one.recorded_at <= at - FRESH]
    entries = [entry_of(service.parts, one) for one in ripe]
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        missing = [one for one, entry in zip(ripe, entries, strict=True) if not _known(ledger, entry)]
    late = [Done(_standing(service, one), None, None) for one in missing if one.door not in _SILENT_DOORS]
    queue_letters(service, late, at=service.clock())
    log_kept(service.parts, missing)
    look.after = place_of(page[-1])
    return len(page)


def _standing(service: Service, kept: Kept) -> Kept:
    """Return an objection with whether the person took it back since: nothing confirms then that it is in force."""
    if kept.act is not Act.OBJECT or kept.person_id is None:
        return kept
    standing = service.parts.registry.objections_of(kept.person_id)
    return replace(kept, taken_back=kept.event_id not in {one.event_id for one in standing})


def _known(ledger: Ledger, entry: Entry) -> bool:
    return ledger.find(entry.kind, entry.key) is not None


def find(service: Service, reference: str) -> Kept:
    """Return the objection of a reference.

    Raises:
        InputError: there is none.
    """
    found = service.parts.registry.objection(reference)
    if found is None:
        raise InputError("expected the reference of an objection, found none of that kind; see the confirmation")
    return found

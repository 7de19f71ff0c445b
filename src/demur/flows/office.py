"""What the privacy office's pages show: what needs attention, people in scope, models, evidence.

``scope`` is a set of countries: everything is narrowed to it; ``None`` sees everything.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from demur.access import Staff
from demur.clock import iso, parse
from demur.corpus import read_manifest
from demur.errors import BrokenError, ConfigError, InputError, RefusedError
from demur.flows.figures import Cell, every_day, small, suppressed
from demur.flows.hold import lift_hold
from demur.flows.hold_proof import evidence
from demur.flows.left import alone, beside
from demur.flows.parts import Current, Parts, current, kept_policy
from demur.flows.pending import pending
from demur.flows.readable import readable
from demur.flows.service import Service
from demur.flows.whatif import compare
from demur.ledger import Ledger, read_leaf
from demur.notice import counting
from demur.notice.campaigns import campaign_of
from demur.notice.counting import CampaignRow, Progress
from demur.notice.render import filled
from demur.notice.slots import values
from demur.notice.texts import Text, kept_texts
from demur.people.counting import ObjectionFigures
from demur.policy.reading import preset_names
from demur.store import read_json, write_json
from demur.terms.holds import Nature, PlacedHold
from demur.terms.people import CampaignStatus
from demur.training import read_model

LIFT = "hold.lift"
"""Proposals of this action wait for a second person."""
UNREADABLE = "cannot be read"
"""Status of a model whose manifest, or whose corpus', is damaged."""
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_ANSWER = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Overview:
    """How things stand."""

    people: int | None
    """``None``: not for somebody with a scope."""
    objected: int | None
    """``None`` = fewer than five."""
    unmatched: int
    oldest_unmatched_at: datetime | None
    """When the oldest of them was said: a letter waits from the day on which it came, not from when it was entered."""
    pending: dict[str, int] | None
    """What waits for an erasure: kind → how many; ``None`` = a file that says so is damaged or gone."""
    holds: int
    campaigns: int
    failed_letters: int
    lifts: int
    """Lifts of holds that wait for a second person."""
    days: list[Cell]
    corpus: str | None
    model: str | None


def overview(service: Service, scope: Collection[str] | None, at: datetime) -> Overview:
    """Return how things stand, narrowed to a scope."""
    parts, narrow = service.parts, scope is not None
    told = parts.registry.objection_figures(since=at - timedelta(days=30), countries=scope)
    queue = [] if narrow else parts.registry.unmatched()
    here = readable(lambda: current(parts.workspace)) or Current()
    return Overview(
        people=None if narrow else parts.registry.how_many(),
        objected=small(told.people),
        unmatched=len(queue),
        oldest_unmatched_at=min((row["valid_at"] for row in queue), default=None),
        pending={} if narrow else readable(lambda: _waiting(parts)),
        holds=sum(hold.in_force(at) for hold in holds(service, scope)),
        campaigns=sum(one.status == CampaignStatus.RUNNING for one in campaigns(service, scope)),
        failed_letters=0 if narrow else counting.failed_letters(service.notice),
        lifts=0 if narrow else len(service.access.proposals.waiting(LIFT)),
        days=every_day(told.by["day"], until=at.date(), days=30),
        corpus=here.corpus,
        model=here.model,
    )


def _waiting(parts: Parts) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in pending(parts):
        found[one.kind] = found.get(one.kind, 0) + 1
    return found


def overdue(since: datetime, at: datetime) -> bool:
    """Say whether something has waited for longer than an answer may take (GDPR art. 12(3); alarm before, OBJ-12)."""
    return at - since > _ANSWER - timedelta(days=6)


def campaigns(service: Service, scope: Collection[str] | None) -> list[CampaignRow]:
    """Return the campaigns that reach into a scope, newest first."""
    rows = counting.campaign_rows(service.notice)
    return [one for one in rows if scope is None or not one.countries or set(one.countries) & set(scope)]


def progress(service: Service, campaign_id: str, scope: Collection[str] | None) -> Progress:
    """Return how far a campaign has come, among the people of a scope."""
    return counting.progress_of(service.notice, campaign_id, countries=scope)


def text_of(service: Service, campaign_id: str, language: str) -> Text | None:
    """Return what a campaign says in a language as people read it, but for their own link.

    Where its policy cannot be read, the text has its slots: the campaign can be stopped all the same.
    """
    text = kept_texts(service.notice, campaign_id).get(language)
    if text is None:
        return None
    campaign = campaign_of(service.notice, campaign_id)
    try:
        _, policy = kept_policy(service.parts.workspace, campaign.policy_digest)
        told, link = values(campaign, service.site, language, policy).plain, f"{service.site.origin}/o/…"
        return replace(
            text, subject=filled(text.subject, told, link), body_txt=filled(text.body_txt, told, link)
        )  # fmt: skip
    except (BrokenError, ConfigError, InputError):
        return text


def signature(staff: Staff) -> str:
    """Return how staff stand in records: name and id, since two may have one name."""
    return f"{staff.name} ({staff.staff_id})"


def holds(service: Service, scope: Collection[str] | None) -> list[PlacedHold]:
    """Return the holds that reach into a scope, newest first."""
    found = sorted(service.parts.registry.holds(), key=lambda one: (one.valid_at, one.hold_id), reverse=True)
    return [one for one in found if scope is None or not one.countries or set(one.countries) & set(scope)]


@dataclass(frozen=True, slots=True)
class Objections:
    """Figures of objections, small cells kept back."""

    people: int | None
    withdrawn: int | None
    country: list[Cell]
    door: list[Cell]
    language: list[Cell]
    days: list[Cell]


def objections(service: Service, scope: Collection[str] | None, at: datetime, *, days: int = 60) -> Objections:
    """Return the figures of objections in a scope."""
    told: ObjectionFigures = service.parts.registry.objection_figures(since=at - timedelta(days=days), countries=scope)
    axes = {name: suppressed(told.by[name]) for name in ("country", "door", "language")}
    return Objections(
        small(told.people), small(told.withdrawn), **axes, days=every_day(told.by["day"], until=at.date(), days=days)
    )


# People ------------------------------------------------------------------------------------------------------------


def find_people(service: Service, text: str, scope: Collection[str] | None, at: datetime) -> list[str]:
    """Return the people of a scope who go by a text."""
    return [one for one in service.parts.registry.find(text) if sees(service, one, scope, at)]


def sees(service: Service, person: str, scope: Collection[str] | None, at: datetime) -> bool:
    """Say whether a person is in a scope: known, and living there as decisions see it (several countries count)."""
    found = service.parts.registry.standing(person, as_of=at, known_at=at)
    if found is None:
        return False
    return scope is None or bool(set(found["standing"][0]["countries_now"] or ()) & set(scope))


def known(service: Service, person: str, at: datetime) -> dict[str, Any]:
    """Return what is recorded about a person: standing, accounts, and every event by table."""
    registry = service.parts.registry
    standing = registry.standing(person, as_of=at, known_at=at)
    if standing is None:
        raise InputError("expected somebody who is known, found nobody; search again")
    events = {name: rows for name, rows in registry.about(person).items() if rows}
    return {"standing": standing["standing"][0], "accounts": standing["accounts"], "events": events}


# Models and evidence -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model as a list shows it."""

    model_id: str
    status: str
    current: bool
    corpus_id: str
    policy: str | None
    as_of: datetime | None
    known_at: datetime | None
    records: int
    regions: tuple[str, ...]
    digest: str
    waiting: int | None
    """What was learned since its corpus was made and may take something away; ``None`` = not looked at."""


def models(parts: Parts, *, scope: Collection[str] | None) -> list[ModelRow]:
    """Return the models in the workspace, the current one first."""
    here = readable(lambda: current(parts.workspace)) or Current()
    rows = [
        readable(partial(_model, parts, path.parent, here.model, scope)) or _damaged(path.parent.name, here.model)
        for path in parts.workspace.models.glob("*/manifest.json")
    ]
    return sorted(rows, key=lambda row: (not row.current, row.status == "destroyed", row.model_id))


def _damaged(name: str, serving: str | None) -> ModelRow:
    return ModelRow(name, UNREADABLE, name == serving, "", None, None, None, 0, (), "", None)


def _model(parts: Parts, folder: Path, serving: str | None, scope: Collection[str] | None) -> ModelRow:
    made = read_model(folder)
    corpus = parts.workspace.corpora / made.corpus_id
    inputs: Mapping[str, Any] = read_manifest(corpus).inputs if (corpus / "manifest.json").exists() else {}
    learned = parse(inputs["narrowed_at"]) if inputs else None
    waiting = None
    if scope is None and learned is not None and made.status != "destroyed":
        waiting = len(parts.registry.restrictions_since(learned))
    return ModelRow(
        folder.name, made.status, folder.name == serving, made.corpus_id, inputs.get("policy_name"),
        parse(inputs["as_of"]) if inputs else None, learned, sum(made.records.values()),
        tuple(region.region for region in made.regions), made.model_digest, waiting,
    )  # fmt: skip


def policies() -> list[str]:
    """Return the names of the policies that demur ships."""
    return sorted(preset_names())


def policy_name(parts: Parts) -> str:
    """Return the policy of the current corpus; empty when there is none."""
    here = current(parts.workspace).corpus
    manifest = parts.workspace.corpora / (here or "-") / "manifest.json"
    return str(read_manifest(manifest.parent).inputs["policy_name"]) if manifest.exists() else ""


def compare_policies(service: Service, before: str, after: str, *, at: datetime) -> None:
    """Compare two shipped policies on the present state and keep the result, alone in the workspace."""
    with alone(service.parts.workspace):
        found = compare(service.parts, before, after, as_of=at, known_at=at)
    write_json(_compared(service.parts, before, after), {"at": iso(at), **found})


def compared(service: Service, before: str, after: str) -> dict[str, Any] | None:
    """Return what the last comparison of two policies said."""
    path = _compared(service.parts, before, after)
    return read_json(path) if path.exists() else None


def _compared(parts: Parts, before: str, after: str) -> Path:
    return parts.workspace.work / "whatif" / f"{before}-{after}.json"


def certificates(parts: Parts) -> list[dict[str, Any]]:
    """Return the certificates of erasures, newest first."""
    rows = []
    for path in parts.workspace.erasures.glob("*/certificate.json"):
        told = readable(partial(read_json, path)) or {}
        rows.append({"erasure_id": path.parent.name, "bytes": path.stat().st_size, "at": _when(told)})
    return sorted(rows, key=lambda row: (row["at"] is not None, row["at"], row["erasure_id"]), reverse=True)


def _when(told: Mapping[str, Any]) -> datetime | None:
    for name in ("issued_at", "made_at", "finished_at", "at"):
        if isinstance(told.get(name), str):
            return parse(told[name])
    return None


def certificate(parts: Parts, erasure_id: str) -> bytes | None:
    """Return a certificate as it was signed."""
    if not _NAME.fullmatch(erasure_id) or erasure_id.startswith("."):
        return None
    path = parts.workspace.erasures / erasure_id / "certificate.json"
    return path.read_bytes() if path.is_file() else None


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """The ledger's checkpoint and its newest entries; public parts only."""

    size: int
    checkpoint: str
    verifier_key: str
    entries: list[dict[str, Any]]


def ledger_page(parts: Parts, *, last: int | None, before: int | None = None) -> LedgerPage:
    """Return the newest entries, or those before an index; ``last`` = how many, ``None`` = all."""
    with Ledger.open(parts.workspace.ledger, parts.keys) as log:
        end = min(log.size, before if before is not None else log.size)
        indexes = range(end - 1, -1 if last is None else max(-1, end - 1 - last), -1)
        entries = [_leaf(index, log.entry(index)) for index in indexes]
        return LedgerPage(log.size, log.checkpoint() if log.size else "", str(log.verifier_key), entries)


def proof(parts: Parts, index: int) -> str | None:
    """Return the proof that an entry is in the ledger (c2sp.org/tlog-proof)."""
    with Ledger.open(parts.workspace.ledger, parts.keys) as log:
        return log.prove(index).text() if 0 <= index < log.size else None


def _leaf(index: int, raw: bytes) -> dict[str, Any]:
    told = read_leaf(raw)
    builds = orjson.dumps(told["builds"], option=orjson.OPT_SORT_KEYS).decode() if told["builds"] else None
    return {"index": index, "at": parse(told["at"]), "kind": told["kind"], "commitment": told["commitment"],
            "builds": builds}  # fmt: skip


# Holds -------------------------------------------------------------------------------------------------------------


def propose_lift(service: Service, hold_id: str, *, reason: str, by: str, at: datetime) -> int:
    """Note that somebody wants a hold lifted; another person confirms it.

    Raises:
        InputError: no such hold is in force, or no reason.
        RefusedError: it is an order to erase.
    """
    _placed_at(service, hold_id, at)
    return service.access.proposals.make(LIFT, hold_id, reason=reason, by=by, at=at)


def confirm_lift(service: Service, number: int, *, by: str, at: datetime) -> str:
    """Lift a hold that somebody else proposed to lift; return its id.

    Raises:
        RefusedError: it is the person who proposed it (HLD-04), or a hold of that name was placed since.
        InputError: nothing of that number waits, or the hold is not in force any more.
    """
    waiting = next((one for one in service.access.proposals.waiting(LIFT) if one.number == number), None)
    if waiting is None:
        raise InputError("expected a proposal that waits, found none of that number; list the holds")
    if _placed_at(service, waiting.object_id, at) > waiting.made_at:
        raise RefusedError("the hold was placed again after this was proposed; refuse it, and propose it anew")
    done = service.access.proposals.confirm(number, by=by, at=at)
    names = [_name(service, done.made_by), _name(service, by)]
    lift_hold(service.parts, done.object_id, by=names, reason=done.reason, at=at)
    return done.object_id


def _placed_at(service: Service, hold_id: str, at: datetime) -> datetime:
    """Return when the newest hold of a name that is in force was recorded; an order to erase is never lifted."""
    found = [one for one in service.parts.registry.holds() if one.hold_id == hold_id and one.in_force(at)]
    if not found:
        raise InputError("expected a hold that is in force, found none of that name; list the holds")
    if any(one.nature is Nature.ORDER for one in found):
        raise RefusedError("this is an order to erase: what was erased cannot come back by lifting it (ERA-06)")
    return max(one.recorded_at for one in found)


def hold_evidence(service: Service, hold_id: str, at: datetime) -> bytes:
    """Return what shows that nothing of a slice was used while its hold stood, with the ledger's proofs, as a ZIP file.

    Raises:
        InputError: there is no such hold.
    """
    with beside(service.parts.workspace, "evidence") as place:
        evidence(service.parts, hold_id, at=at, out=place)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(place.rglob("*")):
                if path.is_file():
                    archive.write(path, str(path.relative_to(place)))
    return out.getvalue()


def _name(service: Service, staff_id: str) -> str:
    found = service.access.staff.get(staff_id)
    return signature(found) if found else staff_id


def as_json(value: Any) -> str:
    """Return a value as indented JSON, for a page or a file."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS | orjson.OPT_SORT_KEYS
    return orjson.dumps(value, option=options, default=_foreign).decode()


def _foreign(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    return sorted(value) if isinstance(value, set | frozenset) else str(value)

"""Holds: placed, lifted, and asked about by every stage before it does anything (HLD-01, HLD-02, HLD-04).

Placing is one durable row in the registry. Every check reads that row, so a hold counts for all processes from the
moment that the placing returns: the sender asks before every batch, a build before its corpus becomes current, a
training at every slice border, an export and an answer of a model before they begin. No check needs the workspace's
lock, and neither does placing: a running build cannot keep a hold waiting.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from demur.clock import iso, parse
from demur.corpus import read_manifest
from demur.errors import InputError, RefusedError
from demur.flows.pace import Pace
from demur.flows.parts import Parts
from demur.flows.service import Service
from demur.flows.slice import known_share
from demur.ledger import Entry, EntryKind, Ledger
from demur.policy.countries import members, set_names
from demur.policy.resolve import KNOWN
from demur.requests.deadlines import holidays_of, zone_of
from demur.store import digest_json
from demur.terms.holds import Nature, PlacedHold, Stage
from demur.training import read_model

LOOK = Pace(60.0)
"""How often a worker looks whether every hold is in the ledger."""

# Placing and lifting -------------------------------------------------------------------------------------------------


def place_hold(parts: Parts, hold_id: str, scope: Mapping[str, Any], *, at: datetime) -> int:
    """Record and log a hold; it is in force when this returns.

    Args:
        parts: the workspace.
        hold_id: name of the hold.
        scope: ``authority``, ``instrument`` and what ``Registry.place_hold`` takes.
        at: now.

    Raises:
        InputError: the hold says something that cannot be read; nothing was recorded.
    """
    plain = {
        name: iso(value) if isinstance(value, datetime) else value for name, value in scope.items() if value is not None
    }
    said = {**plain, "valid_at": iso(parse(plain["valid_at"]) if "valid_at" in plain else at)}
    event = {**said, "act": "place", "hold_id": hold_id}
    parts.registry.record({**event, "type": "hold"}, recorded_at=at)
    (index,) = parts.log(_entry({**event, "recorded_at": iso(at)}))
    return index


def lift_hold(
    parts: Parts, hold_id: str, *, by: Sequence[str], reason: str, at: datetime, renotice_at: datetime | None = None
) -> int:
    """Record and log the end of a hold; with ``renotice_at`` its people must be told again before any use (HLD-04).

    Raises:
        RefusedError: it is not in force (any more): nothing would change, whatever this lift says. Or as
            ``Registry.lift_hold`` says.
        InputError: there is no such hold.
    """
    placed = [one for one in parts.registry.holds() if one.hold_id == hold_id]
    if placed and not any(one.in_force(at) for one in placed):
        raise RefusedError(
            "expected a hold that is in force, found one that is not; `demur hold list --all` says since when"
        )
    parts.registry.lift_hold(hold_id, by=by, reason=reason, recorded_at=at, renotice_at=renotice_at)
    event = {"hold_id": hold_id, "act": "lift", "by": list(by), "instrument": reason}
    event |= {"valid_at": iso(at), "recorded_at": iso(at)}
    (index,) = parts.log(_entry(event | ({} if renotice_at is None else {"renotice_at": iso(renotice_at)})))
    return index


def step(service: Service) -> int:
    """Log the holds and lifts that the registry knows and the ledger does not; return how many.

    A process may be killed between the two, and some come with imports; after a restore the ledger alone knows them.
    """
    parts = service.parts
    if not LOOK.due(parts.workspace.root):
        return 0
    LOOK.rest(parts.workspace.root)
    events = parts.registry.hold_events()
    orders = {event["hold_id"] for event in events if event.get("nature") == Nature.ORDER.value}
    former: dict[str, str] = {}
    """Hold → key of its first placing, which version 0.1 called otherwise."""
    entries: dict[str, Entry] = {}
    for event in events:
        if event["act"] == "lift" and event["hold_id"] in orders:
            continue  # it ends nothing (ERA-06)
        entry = _entry(event)
        if entry.key in entries and entries[entry.key].facts != entry.facts:  # another word of the same instant
            entry = replace(entry, key=f"{entry.key}:{digest_json(dict(entry.facts))}")
        elif event["act"] == "place":
            former.setdefault(event["hold_id"], entry.key)
        entries[entry.key] = entry
    with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
        old = {key for name, key in former.items() if ledger.find(EntryKind.HOLD, f"place:{name}") is not None}
        missing = [one for key, one in entries.items() if key not in old and ledger.find(one.kind, key) is None]
    parts.log(*missing)
    return len(missing)


def _entry(event: Mapping[str, Any]) -> Entry:
    """Return the ledger's entry of a hold or a lift: the same whoever makes it."""
    name, act, at, since = (event[word] for word in ("hold_id", "act", "recorded_at", "valid_at"))
    if act == "place":
        facts = {word: value for word, value in event.items() if word != "hold_id"} | {"hold": name}
    else:
        facts = {"hold": name, "act": act, "by": event.get("by", []), "reason": event["instrument"]}
        facts |= {"renotice_at": event.get("renotice_at"), "valid_at": since, "recorded_at": at}
    return Entry(EntryKind.HOLD, parse(at), f"{act}:{name}:{since}", facts)


def find_hold(parts: Parts, hold_id: str) -> PlacedHold:
    """Return a hold, the newest of that name.

    Raises:
        InputError: there is none.
    """
    found = [one for one in parts.registry.holds() if one.hold_id == hold_id]
    if not found:
        raise InputError("expected a hold that was placed, found none of that name; `demur hold list` names them")
    return found[-1]


def deadline_after(at: datetime, days: int, country: str | None) -> datetime:
    """Return the end of the last of some business days: Monday to Friday, without a country's public holidays.

    The day of the order does not count (Regulation 1182/71 art. 3(1)); days begin and end on the country's clock.

    Args:
        at: when the order came.
        days: business days.
        country: ISO 3166-1 alpha-2; ``None`` or a country without a calendar = weekends only, in UTC.
    """
    is_holiday, zone = holidays_of(country or ""), zone_of(country or "")
    day, left = at.astimezone(zone).date(), days
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < 5 and not is_holiday(day)
    return datetime.combine(day + timedelta(days=1), time(0), zone).astimezone(UTC)


# Asking --------------------------------------------------------------------------------------------------------------


def stops(parts: Parts, stage: Stage, *, at: datetime, drill: str | None = None) -> tuple[PlacedHold, ...]:
    """Return the holds in force that stop a stage somewhere.

    Args:
        parts: the workspace.
        stage: the stage.
        at: now.
        drill: name of a drill that is asked about; drills stop nobody else.
    """
    return tuple(
        one
        for one in parts.registry.holds()
        if stage in one.stages and one.in_force(at) and (one.nature.value != "drill" or one.hold_id == drill)
    )


@dataclass(frozen=True, slots=True)
class SendingStop:
    """Where notices of one campaign may not be sent now."""

    whole: bool
    """Nowhere."""
    countries: frozenset[str]
    holds: tuple[str, ...]

    def covers(self, country: str | None) -> bool:
        """Return whether a notice to somebody in a country must wait; an unknown country is covered by any stop."""
        return self.whole or (bool(self.countries) and (country is None or country in self.countries))


def sending_stopped(parts: Parts, campaign_id: str, at: datetime, *, drill: str | None = None) -> SendingStop:
    """Return where a campaign's notices may not be sent now; ask before every batch (NOT-09).

    A hold that names kinds, services or a time of making is about content: it stops notices only when it names the
    stage ``sending``.
    """
    about = [one for one in stops(parts, Stage.SENDING, at=at, drill=drill) if stops_notices(parts, one, campaign_id)]
    return SendingStop(
        whole=any(not one.countries for one in about),
        countries=frozenset().union(*(one.countries for one in about)),
        holds=tuple(one.hold_id for one in about),
    )


def stops_notices(parts: Parts, hold: PlacedHold, campaign_id: str) -> bool:
    """Return whether a hold, while it is in force, stops notices of a campaign to people of its slice."""
    named = hold.stages != frozenset(Stage)
    if Stage.SENDING not in hold.stages or (hold.about_content and not named):
        return False
    other = hold.campaign_id not in {None, campaign_id} or hold.artefact is not None
    return not other and _for_purpose(parts, hold, campaign_id)


def _for_purpose(parts: Parts, hold: PlacedHold, campaign_id: str) -> bool:
    if hold.purpose is None:
        return True
    told = parts.registry.campaign_purposes(campaign_id)
    return not told or hold.purpose in told


def model_stops(
    parts: Parts, stage: Stage, model_id: str, *, at: datetime, drill: str | None = None
) -> tuple[PlacedHold, ...]:
    """Return the holds that stop a stage for a model: those whose slice it holds, or may hold.

    A model whose corpus was decided while the hold stood has none of the slice. For an older one ``hold place`` counts;
    until it has, the model counts as one that holds it.
    """
    found = stops(parts, stage, at=at, drill=drill)
    if not found:
        return ()
    folder = parts.workspace.models / model_id
    corpus = read_model(folder).corpus_id if (folder / "manifest.json").exists() else None
    return tuple(one for one in found if _may_hold(parts, one, corpus, model_id))


def corpus_stops(
    parts: Parts, stage: Stage, corpus_id: str, *, at: datetime, drill: str | None = None
) -> tuple[PlacedHold, ...]:
    """Return the holds that stop a stage for a corpus; as ``model_stops``."""
    found = stops(parts, stage, at=at, drill=drill)
    return tuple(one for one in found if _may_hold(parts, one, corpus_id, None))


def serving_stopped(parts: Parts, model_id: str, at: datetime, *, drill: str | None = None) -> tuple[str, ...]:
    """Return the names of the holds for which a model may not answer now; empty = it may."""
    return tuple(one.hold_id for one in model_stops(parts, Stage.SERVING, model_id, at=at, drill=drill))


def training_stopped(parts: Parts, corpus_id: str, at: datetime, *, drill: str | None = None) -> tuple[str, ...]:
    """Return the names of the holds for which nothing may be trained on a corpus now."""
    return tuple(one.hold_id for one in corpus_stops(parts, Stage.TRAINING, corpus_id, at=at, drill=drill))


def release_stopped(parts: Parts, model_id: str, at: datetime, *, drill: str | None = None) -> tuple[str, ...]:
    """Return the names of the holds for which a model may not be released now."""
    return tuple(one.hold_id for one in model_stops(parts, Stage.RELEASE, model_id, at=at, drill=drill))


def export_stopped(
    parts: Parts, at: datetime, *, model_id: str | None = None, drill: str | None = None
) -> tuple[str, ...]:
    """Return the names of the holds for which nothing may be handed out: a model, or (``None``) the tables."""
    if model_id is not None:
        return tuple(one.hold_id for one in model_stops(parts, Stage.EXPORT, model_id, at=at, drill=drill))
    return tuple(one.hold_id for one in stops(parts, Stage.EXPORT, at=at, drill=drill) if one.artefact is None)


def refuse(holds: Sequence[str], what: str) -> None:
    """Refuse to go on when holds stop it.

    Args:
        holds: what a check returned.
        what: sentence that says what must not be done.

    Raises:
        RefusedError: there are some.
    """
    if holds:
        raise RefusedError(f"{what}: stopped by the hold {', '.join(holds)}; `demur hold show` says by whom and why")


def refuse_serving(parts: Parts, model_id: str, at: datetime) -> None:
    """Refuse to let a model answer while a hold stops it (HLD-01)."""
    refuse(serving_stopped(parts, model_id, at), f"the model {model_id} may not answer now")


def refuse_export(parts: Parts, at: datetime, *, model_id: str | None = None) -> None:
    """Refuse to hand out tables or a model while a hold stops it."""
    refuse(export_stopped(parts, at, model_id=model_id), "nothing of this may leave the house now")


def _may_hold(parts: Parts, hold: PlacedHold, corpus_id: str | None, model_id: str | None) -> bool:
    if hold.artefact is not None:
        return hold.artefact in {corpus_id, model_id}
    manifest = parts.workspace.corpora / str(corpus_id) / "manifest.json"
    if corpus_id is None or not manifest.exists():
        return True  # nobody can tell
    inputs = read_manifest(manifest.parent).inputs
    if hold.purpose not in {None, inputs["purpose"]}:
        return False
    if hold.takes_out and parse(inputs["narrowed_at"]) >= max(hold.recorded_at, hold.valid_at):
        return False
    share = known_share(parts, hold, corpus_id)
    return share is None or share.items > 0


# Looking -------------------------------------------------------------------------------------------------------------


def hold_facts(hold: PlacedHold, at: datetime) -> dict[str, Any]:
    """Return a hold in plain words for the register, the console and ``--json`` (HLD-02)."""
    instants = {
        name: None if value is None else iso(value)
        for name, value in (
            ("created_from", hold.created_from), ("created_until", hold.created_until), ("placed_at", hold.valid_at),
            ("recorded_at", hold.recorded_at), ("deadline_at", hold.deadline_at),
        )
    }  # fmt: skip
    lift = hold.lift and {
        "by": list(hold.lift.by),
        "reason": hold.lift.reason,
        "at": iso(hold.lift.valid_at),
        "renotice_at": None if hold.lift.renotice_at is None else iso(hold.lift.renotice_at),
    }
    lists = {name: sorted(getattr(hold, name)) for name in ("countries", "services", "kinds")}
    plain = ("purpose", "campaign_id", "artefact", "authority", "instrument", "text", "penalty")
    return {
        "hold": hold.hold_id,
        "nature": hold.nature.value,
        "in_force": hold.in_force(at),
        "stages": sorted(stage.value for stage in hold.stages),
        **lists,
        **{name: getattr(hold, name) for name in plain},
        **instants,
        "lifted": lift,
    }


def country_codes(told: Sequence[str]) -> list[str]:
    """Return country codes with the names of sets (EU27, EEA30 …) written out.

    Raises:
        InputError: a code is neither: a hold on a country that is none (UK, EL, EU) would stop nothing there.
    """
    sets = set(set_names())
    wrong = sorted(set(told) - sets - KNOWN)
    if wrong:
        raise InputError(f"expected ISO 3166-1 codes in capitals or one of {', '.join(sorted(sets))}", wrong)
    return sorted({code for one in told for code in (members(one) if one in sets else (one,))})

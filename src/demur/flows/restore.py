"""After a restore: what the ledger knows and an older registry does not is recorded again, before anything is used.

The registry keeps a mark: up to which entry of the ledger it has taken in what restricts. An older backup of it has an
older mark, so opening the workspace sees the difference and closes it (SEC-10): objections, withdrawals, holds, their
lifts, orders to erase, and what third parties' requests took out, each with the instant at which it was first recorded.
What is there already changes nothing, so the mark need not follow every single act.
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from demur.clock import parse
from demur.errors import BrokenError, InputError, RefusedError
from demur.flows.objected import record_again
from demur.flows.parts import Parts
from demur.ledger import EntryKind, Ledger, read_leaf
from demur.objections.facts import unseal
from demur.requests import CONFIRMING
from demur.terms.people import Act

_LOG = logging.getLogger(__name__)
MARK = "ledger_entries"
_RESTRICTS = frozenset({EntryKind.OBJECTION.value, EntryKind.HOLD.value, EntryKind.REQUEST.value})
_BATCH = 1_000


def lags(parts: Parts) -> bool:
    """Return whether the ledger has entries that the registry has not looked at, or fewer than it knows of."""
    if not (parts.workspace.ledger / "public" / "checkpoint").exists():
        return False
    with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
        return ledger.size != parts.registry.mark(MARK)


def reapply(parts: Parts) -> dict[str, int]:
    """Record again what the ledger knows since the registry's mark; return how many of each kind were looked at.

    Raises:
        BrokenError: an entry that restricts cannot be recorded again; nothing may be used until it is.
    """
    counts: Counter[str] = Counter()
    with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
        size, mark = ledger.size, parts.registry.mark(MARK)
        if mark > size:
            _LOG.warning(
                "the ledger has %d entries, the registry knows of %d: it was cut back, or is an older backup; restore"
                " the newer one: receipts and certificates of the entries that are gone prove nothing here",
                size,
                mark,
            )
        events: list[dict[str, Any]] = []
        for at, kind, facts in _entries(ledger, mark if mark <= size else 0, size):
            if facts is None:
                counts["erased"] += 1
                continue
            counts[kind] += 1
            if kind == EntryKind.REQUEST:
                _suppress_again(parts, facts, at)
                continue
            event = _hold_event(facts, at) if kind == EntryKind.HOLD else _objection_event(parts, facts, at)
            if event is None:
                record_again(parts, facts)  # an objection that waits in the queue
            else:
                events.append(event)
            if len(events) == _BATCH:
                _record(parts, events)
                events = []
        _record(parts, events)
    parts.registry.set_mark(MARK, size)
    return dict(counts)


def _entries(ledger: Ledger, first: int, size: int) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    """Yield instant, kind and facts of the entries that restrict; ``None`` = its opening was erased."""
    for index, raw in ledger.entries(first, size):
        public = read_leaf(raw)
        if public["kind"] in _RESTRICTS:
            try:
                facts = ledger.opening(index).facts
            except RefusedError:
                facts = None
            yield public["at"], public["kind"], facts


def _objection_event(parts: Parts, facts: Mapping[str, Any], at: str) -> dict[str, Any] | None:
    if "sealed" not in facts:  # written before version 0.2: the person in clear, everything said when it was logged
        person = facts.get("person") or facts.get("withdrawn_by")
        if person is None:
            return None
        event = {"act": "withdraw"} if "withdrawn_by" in facts else {"objection_id": facts["objection"]}
        plain = {name: facts.get(name) for name in ("kinds", "services", "door")}
        return {"type": "objection", "person_id": person, **event, **plain, "valid_at": at, "recorded_at": at}
    who = unseal(parts.keys, str(facts["sealed"]))
    if "person" not in who:
        return None
    names = ("act", "kinds", "services", "door", "valid_at", "recorded_at")
    told = {name: facts[name] for name in names}
    return {"type": "objection", "person_id": who["person"], "objection_id": facts["objection"], **told}


def _hold_event(facts: Mapping[str, Any], at: str) -> dict[str, Any]:
    plain = {name: value for name, value in facts.items() if name not in {"hold", "reason"}}
    event = {"type": "hold", "act": "lift" if "reason" in facts else "place", "hold_id": facts["hold"]}
    if "reason" in facts:
        event["reason"] = facts["reason"]
    return {"valid_at": at, "recorded_at": at, **plain, **event}


def _suppress_again(parts: Parts, facts: Mapping[str, Any], at: str) -> None:
    """Record again what a decision about a third party's request took out, or gave back (TPD-02, TPD-03).

    One act at a time and in their order: what gives back depends on what was taken out before.
    """
    registry, origin, when = parts.registry, str(facts["request"]), parse(at)
    if facts["act"] == "decided" and facts["reason"] in CONFIRMING:
        registry.suppress_items(sorted(facts["items"]), origin=origin, recorded_at=when)
    elif facts["act"] == "decided":
        back = registry.suppressed_by(origin) & set(facts["items"])
        registry.suppress_items(sorted(back), origin=origin, recorded_at=when, act=Act.LIFT)
    elif facts["act"] == "answered":
        registry.suppress_hashes(facts.get("words", ()), origin=origin, recorded_at=when)
        rest = set(facts.get("items", ())) - registry.suppressed_by(origin)
        registry.suppress_items(sorted(rest), origin=origin, recorded_at=when)


def _record(parts: Parts, events: list[dict[str, Any]]) -> None:
    """Record a batch; a lift goes by the registry's own door, which looks up what it ends."""
    lifts = [event for event in events if event["type"] == "hold" and event["act"] == "lift"]
    done = parts.registry.record_events(
        [event for event in events if event not in lifts], recorded_at=parse("1970-01-01")
    )
    if done.faulty:
        raise BrokenError(
            f"{done.faulty} entries of the ledger cannot be recorded again ({', '.join(done.faults[:3])}); "
            "nothing may be used before they are: report this with the ledger's version"
        )
    for lift in lifts:
        renotice = lift.get("renotice_at")
        # of a hold that came by an event file: it stands until that is imported; of an order, which no lift ends
        with contextlib.suppress(InputError, RefusedError):
            parts.registry.lift_hold(
                lift["hold_id"],
                by=lift["by"],
                reason=lift["reason"],
                recorded_at=parse(lift["recorded_at"]),
                valid_at=parse(lift["valid_at"]),
                renotice_at=parse(renotice) if renotice else None,
            )

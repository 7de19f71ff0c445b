"""What a hold did: how fast every stage stopped (a drill), and that nothing of its slice was used (HLD-05)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.clock import iso, parse
from demur.corpus import read_manifest
from demur.errors import InputError
from demur.flows.hold import (
    export_stopped,
    find_hold,
    hold_facts,
    lift_hold,
    place_hold,
    release_stopped,
    sending_stopped,
    serving_stopped,
    stops,
    stops_notices,
    training_stopped,
)
from demur.flows.parts import Parts, current
from demur.flows.slice import Share, share_of
from demur.ledger import EntryKind, Ledger, read_leaf
from demur.people import Registry
from demur.store import write_bytes, write_json
from demur.terms.holds import Nature, PlacedHold, Stage
from demur.training import read_model

# Drill ---------------------------------------------------------------------------------------------------------------

WHEN_ASKED: dict[Stage, str] = {
    Stage.SENDING: "before every batch, at least once a second",
    Stage.BUILDS: "before a corpus becomes the current one",
    Stage.TRAINING: "at every slice border",
    Stage.EXPORT: "when it begins, and before it appears",
    Stage.RELEASE: "when it begins",
    Stage.SERVING: "before every answer",
}
"""Stage → when what runs asks again; the time until then comes on top of the measured one."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """One stage of a drill."""

    stage: Stage
    stopped: bool
    seconds: float
    """From the order to the check that says no, asked over a connection of its own as another process would."""
    asked: str


def drill(
    parts: Parts, name: str, scope: Mapping[str, Any], *, by: str, clock: Callable[[], datetime]
) -> list[Stopped]:
    """Place a hold as a drill, ask every stage's check until it says no, and lift it; return the seconds of each.

    The very functions are asked that stop what really runs, but they count a drill only for who asks about it: nothing
    that runs notices. Placing and lifting are in the ledger.

    Raises:
        InputError: the name is taken, or the scope cannot be read.
    """
    if any(one.hold_id == name for one in parts.registry.holds()):
        raise InputError("expected a new name for the drill, found one that was used; choose another")
    begun = time.perf_counter()
    place_hold(parts, name, {**scope, "nature": Nature.DRILL.value}, at=clock())
    found = []
    try:
        with Registry(parts.workspace.registry_url) as registry:
            other = replace(parts, registry=registry)
            placed = find_hold(other, name)
            stages = placed.stages - ({Stage.SENDING} if placed.about_content and "stages" not in scope else set())
            for stage, asked in WHEN_ASKED.items():
                if stage in stages:
                    stopped = _asks(other, stage, name, placed.campaign_id, clock())
                    seconds = time.perf_counter() - begun
                    found.append(Stopped(stage, stopped, seconds, _with_longest(parts, stage, asked)))
    finally:
        lift_hold(parts, name, by=[by, "demur"], reason="the drill is over", at=clock())
    return found


def _asks(parts: Parts, stage: Stage, name: str, campaign: str | None, at: datetime) -> bool:
    here = current(parts.workspace)
    corpus, model = here.corpus or "", here.model or ""
    if stage is Stage.SENDING:
        return name in sending_stopped(parts, campaign or "", at, drill=name).holds
    asked: dict[Stage, Callable[[], tuple[str, ...]]] = {
        Stage.BUILDS: lambda: tuple(one.hold_id for one in stops(parts, stage, at=at, drill=name)),
        Stage.TRAINING: lambda: training_stopped(parts, corpus, at, drill=name),
        Stage.EXPORT: lambda: export_stopped(parts, at, drill=name),
        Stage.RELEASE: lambda: release_stopped(parts, model, at, drill=name),
        Stage.SERVING: lambda: serving_stopped(parts, model, at, drill=name),
    }
    return name in asked[stage]()


def _with_longest(parts: Parts, stage: Stage, asked: str) -> str:
    here = current(parts.workspace)
    if stage is not Stage.TRAINING or here.model is None or here.corpus is None:
        return asked
    model = read_model(parts.workspace.models / here.model)
    rate = float(model.work.get("tokens_per_second") or 0)
    records = max((one.records for one in read_manifest(parts.workspace.corpora / here.corpus).slices), default=0)
    every = sum(model.records.values())
    if not rate or not every:
        return asked
    return f"{asked}; the longest takes about {records * sum(model.tokens.values()) / every / rate:.1f} s"


# Evidence ------------------------------------------------------------------------------------------------------------


def evidence(parts: Parts, hold_id: str, *, at: datetime, out: Path) -> dict[str, Any]:
    """Write what happened while a hold stood, with a count of its slice in each and the ledger's proofs.

    What was logged between the placing and the lifting happened during the hold, whatever instant it names. Items are
    counted by the rules that decide, given only this hold, in every corpus that is still here; of a corpus that is gone
    the ledger says what it was decided under and what its verifier found.

    Args:
        parts: the workspace.
        hold_id: the hold.
        at: now; a hold that stands is reported until then.
        out: folder for ``evidence.json``, ``evidence.txt`` and ``proofs/``.

    Raises:
        InputError: there is no such hold.
    """
    hold = find_hold(parts, hold_id)
    end = hold.lift.valid_at if hold.lift else at
    with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
        first, last = _interval(ledger, hold)
        rows = []
        for index, raw in ledger.entries(first, last):
            public = read_leaf(raw)
            if public["kind"] in _USES:
                row = _use(parts, hold, public, _facts(ledger, index))
                rows.append({"ledger_entry": index, "proof": f"proofs/{index}.tlog-proof", **row})
        wanted = {first - 1, *(row["ledger_entry"] for row in rows), *({last} if hold.lift else ())}
        for index in sorted(one for one in wanted if 0 <= one < ledger.size):
            write_bytes(out / "proofs" / f"{index}.tlog-proof", ledger.prove(index).text().encode())
        write_bytes(out / "proofs" / "ledger-key.txt", f"{ledger.verifier_key}\n".encode())
    told = {
        campaign: people
        for campaign, people in parts.registry.notices_between(hold.valid_at, end, hold.countries).items()
        if stops_notices(parts, hold, campaign)
    }
    facts = {
        "hold": hold_facts(hold, at),
        "from": iso(hold.valid_at),
        "until": iso(end),
        "uses": rows,
        "notices": told,
        "used": sum(row["items"] or 0 for row in rows) + sum(told.values()),
        "not_counted": sum(row["items"] is None for row in rows),
    }
    write_json(out / "evidence.json", facts)
    write_bytes(out / "evidence.txt", _words(facts).encode())
    return facts


_USES = frozenset({EntryKind.BUILD.value, EntryKind.RUN.value, EntryKind.EXPORT.value})


def _interval(ledger: Ledger, hold: PlacedHold) -> tuple[int, int]:
    """Return the first entry after the placing and the entry of the lift (or the end)."""
    keys = (f"place:{hold.hold_id}:{iso(hold.valid_at)}", f"place:{hold.hold_id}")
    placed = next((found for key in keys if (found := ledger.find(EntryKind.HOLD, key)) is not None), None)
    if placed is None:
        raise InputError("expected the hold in the ledger, found it in the registry only (it came by an event file)")
    lifted = None if hold.lift is None else ledger.find(
        EntryKind.HOLD, f"lift:{hold.hold_id}:{iso(hold.lift.valid_at)}"
    )  # fmt: skip
    return placed + 1, ledger.size if lifted is None else lifted


def _facts(ledger: Ledger, index: int) -> dict[str, Any]:
    return ledger.opening(index).facts


def _use(parts: Parts, hold: PlacedHold, public: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return one build, training or export and how many items of the slice it had; ``None`` = its corpus is gone."""
    space = parts.workspace
    corpus_id, model_id = facts.get("corpus"), facts.get("model")
    if model_id is not None and (space.models / str(model_id) / "manifest.json").exists():
        corpus_id = read_model(space.models / str(model_id)).corpus_id
    share: Share | None = None
    if corpus_id is not None and (space.corpora / str(corpus_id) / "manifest.json").exists():
        share = share_of(parts, hold, space.corpora / str(corpus_id))
    inputs = facts.get("inputs", {})
    under = "narrowed_at" in inputs and parse(inputs["narrowed_at"]) >= max(hold.recorded_at, hold.valid_at)
    return {
        "what": {"build": "corpus", "run": "model"}.get(public["kind"], public["kind"]),
        "name": model_id or corpus_id or facts.get("what"),
        "at": public["at"],
        "corpus": corpus_id,
        "items": share.items if share else 0 if under and hold.takes_out else None,
        "share": asdict(share) if share else None,
        "decided_under_the_hold": under,
    }


def _words(facts: Mapping[str, Any]) -> str:
    hold = facts["hold"]
    lines = [
        f"Hold {hold['hold']} of {hold['authority']} ({hold['instrument']})",
        f"In force from {facts['from']} until {facts['until']}{'' if hold['lifted'] else ' (it still is)'}.",
        "",
        "Made meanwhile, with the items of the slice in it:",
    ]
    for row in facts["uses"]:
        count = "its corpus is gone, not counted" if row["items"] is None else f"{row['items']}"
        lines.append(f"  {row['at']}  {row['what']} {row['name']}: {count} (ledger entry {row['ledger_entry']})")
    if not facts["uses"]:
        lines.append("  nothing")
    lines += ["", "People of the slice to whom a notice went out meanwhile:"]
    lines += [f"  {campaign}: {people}" for campaign, people in facts["notices"].items()] or ["  nobody"]
    total = f"{facts['used']} uses of the slice" if facts["used"] else "Nothing of the slice was used"
    open_ = f"; {facts['not_counted']} could not be counted" if facts["not_counted"] else ""
    lines += [
        "",
        f"{total}{open_}.",
        "",
        "Each entry's place in the public ledger is proved in proofs/ (c2sp.org/tlog-proof).",
    ]
    return "\n".join(lines) + "\n"

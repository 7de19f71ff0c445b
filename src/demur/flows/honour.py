"""What people said and authorities ordered is carried out by itself: in the served model at once, then everywhere.

One round is one erasure. Its first step, the fall back of the served model, is done here and takes a second; the rest
runs in a child process (`demur erase`), so that serving goes on. What comes meanwhile waits for the next round, but
the child lets the served model fall back for it too. A round that was killed is found by its journal and finished.

A hold that covers everything starts no round: all stages are stopped by it, and destroying everything for an order
that may be lifted is nobody's wish. `demur erase` does it when somebody decides so.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from demur import erasure
from demur.clock import iso
from demur.errors import RefusedError
from demur.flows.build import train_model
from demur.flows.erase import Erased, erase, first_effect
from demur.flows.hold import place_hold, stops
from demur.flows.left import alone
from demur.flows.parts import Parts, current
from demur.flows.pending import erases_itself, pending, standing_corpus, urgent, waiting_for
from demur.flows.service import Service
from demur.notice.counting import campaign_rows, progress_of
from demur.store import read_json, write_json
from demur.terms.holds import Nature, Stage
from demur.terms.manifests import ModelManifest, TrainPlan
from demur.terms.people import CampaignStatus
from demur.training import Base, read_model

STOPS = 3
"""How often objections stop a training; then it runs to its end, and the model falls back before it is served."""
LOOK_EVERY_SECONDS = 5.0
"""How often everything that may restrict is looked at; objections and holds are looked at in every step."""
FAILURES_FROM = 200
"""Notices of a campaign that must have been tried before a share of failures means anything."""
FAILURES_PERCENT = 10
"""A campaign of which more notices fail is held until somebody has looked (HLD-05)."""


# In a training -------------------------------------------------------------------------------------------------------


def train_honouring(
    parts: Parts, plan: TrainPlan, base: Base, *, clock: Callable[[], datetime], workers: int | None = None
) -> ModelManifest:
    """Train the model of the current corpus; whoever objects before or meanwhile is out of it when this returns.

    Args:
        parts: the workspace, alone.
        plan: published constants.
        base: the frozen base.
        clock: the present instant.
        workers: processes.

    Raises:
        RefusedError: a hold stops it, or the policy says that nothing is erased by itself.
    """
    for attempt in range(STOPS + 1):
        erase_waiting(parts, clock=clock, workers=workers)
        try:
            model = train_model(parts, plan, base, at=clock(), clock=clock, workers=workers, patient=attempt == STOPS)
            break
        except RefusedError:
            if attempt == STOPS or not _may_erase(parts, clock()) or not _waits(parts, clock()):
                raise
    for _ in range(STOPS):
        done = erase_waiting(parts, clock=clock, workers=workers)
        if done is None:
            break
    name = current(parts.workspace).model or model.model_id
    return read_model(parts.workspace.models / name)


def erase_waiting(parts: Parts, *, clock: Callable[[], datetime], workers: int | None = None) -> Erased | None:
    """Erase what waits, if something does and the policy lets it happen by itself; finish what was begun."""
    at = clock()
    if not _may_erase(parts, at) or not (erasure.unfinished(parts.workspace.erasures) or _waits(parts, at)):
        return None
    return erase(parts, at=at, workers=workers, clock=clock)


def _waits(parts: Parts, at: datetime) -> bool:
    """Say whether anything takes away from the corpus that stands, or anything urgent from another version."""
    corpus = standing_corpus(parts)
    return corpus is not None and bool(waiting_for(parts, corpus, by=at) or urgent(pending(parts, by=at)))


def _may_erase(parts: Parts, at: datetime) -> bool:
    if standing_corpus(parts) is None:
        return False
    everything = any(one.whole and one.takes_out for one in stops(parts, Stage.BUILDS, at=at))
    return erases_itself(parts) and not everything


# Beside the site -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Rounds:
    """What this process knows about one workspace."""

    child: subprocess.Popen[bytes] | None = None
    seen: tuple[int, int] = (-1, -1)
    """Newest objection and hold at the last look."""
    look_after: float = 0.0
    """Monotonic seconds; as the next."""
    count_after: float = 0.0
    failed: int = 0


_ROUNDS: dict[Path, _Rounds] = {}


def step(service: Service) -> int:
    """Do what can be done now in a second; return how many restrictions got their first effect, 0 = nothing to do."""
    parts = service.parts
    mine = _ROUNDS.setdefault(parts.workspace.root, _Rounds())
    started = _honour(service, mine)
    if time.monotonic() >= mine.count_after:  # counting a large campaign takes a while
        begun = time.monotonic()
        hold_failing(service)
        mine.count_after = time.monotonic() + max(LOOK_EVERY_SECONDS, 20 * (time.monotonic() - begun))
    return started


def _honour(service: Service, mine: _Rounds) -> int:
    parts = service.parts
    if mine.child is not None:
        code = mine.child.poll()
        if code is None:
            return 0
        mine.child = None
        mine.failed = 0 if code == 0 else mine.failed + 1
        mine.look_after = 0.0 if code == 0 else time.monotonic() + min(600, 2**mine.failed)
        mine.seen = (-1, -1) if code == 0 else mine.seen
        _note(parts, state="idle" if code == 0 else "failed", at=service.clock(), exit_code=code)
    newest = parts.registry.newest_no()
    if (newest == mine.seen or mine.failed) and time.monotonic() < mine.look_after:
        return 0
    begun = time.monotonic()
    started = _round(service, mine)
    if started is None:
        return 0
    mine.seen = newest
    mine.look_after = time.monotonic() + max(LOOK_EVERY_SECONDS, 20 * (time.monotonic() - begun))
    return started


def _round(service: Service, mine: _Rounds) -> int | None:
    """Begin a round when something urgent waits; ``None`` = not yet: another command works here."""
    parts, now = service.parts, service.clock()
    if not _may_erase(parts, now):
        return 0
    unfinished = erasure.unfinished(parts.workspace.erasures)
    waiting = urgent(pending(parts, by=now))
    if not unfinished and not waiting:
        return 0
    try:
        with alone(parts.workspace, builds=True):
            journal = first_effect(parts, at=now, clock=service.clock)
    except RefusedError:
        return None
    command = [sys.executable, "-m", "demur", "--home", str(parts.workspace.root), "--quiet", "erase"]
    mine.child = subprocess.Popen(  # noqa: S603  (our own interpreter, our own module)
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _note(parts, state="erasing", at=now, erasure=journal.erasure_id, restrictions=len(waiting))
    return max(len(waiting), 1)


def wait(service: Service) -> None:
    """Wait until the round that this process began is over: for tests, and for an orderly end."""
    mine = _ROUNDS.get(service.parts.workspace.root)
    if mine is not None and mine.child is not None:
        mine.child.wait()


def honouring(service: Service) -> dict[str, Any]:
    """Return how far it is, for the console: what waits, since when, which step of which erasure runs."""
    parts, now = service.parts, service.clock()
    path = _state_file(parts)
    noted: dict[str, Any] = read_json(path) if path.exists() else {"state": "idle"}
    waiting = pending(parts, by=now)
    begun = erasure.unfinished(parts.workspace.erasures)
    oldest = min((one.recorded_at for one in waiting if one.recorded_at), default=None)
    automatic = standing_corpus(parts) is None or _may_erase(parts, now)
    return {
        **noted,
        "state": "erasing" if begun else "waiting" if urgent(waiting) else noted["state"],
        "automatic": automatic,
        "waiting": len(waiting),
        "kinds": dict(Counter(one.kind for one in waiting)),
        "oldest_at": None if oldest is None else iso(oldest),
        "erasure": begun[0].erasure_id if begun else None,
        "step": begun[0].next_step() if begun else None,
    }


def _note(parts: Parts, *, at: datetime, **facts: Any) -> None:
    write_json(_state_file(parts), {"at": iso(at), **facts})


def _state_file(parts: Parts) -> Path:
    return parts.workspace.root / "honour.json"


# Automatic holds -----------------------------------------------------------------------------------------------------


def hold_failing(service: Service, *, percent: float = FAILURES_PERCENT) -> tuple[str, ...]:
    """Hold the sending of campaigns of which too many notices fail; return the names of the holds placed now."""
    held = {one.campaign_id for one in service.parts.registry.holds() if one.nature is Nature.AUTOMATIC}
    placed = []
    for campaign in campaign_rows(service.notice):
        if campaign.status != CampaignStatus.RUNNING or campaign.campaign_id in held:
            continue
        states = progress_of(service.notice, campaign.campaign_id).states
        bounced = states.get("bounced", 0)
        tried = bounced + states.get("accepted", 0) + states.get("seen", 0)
        if tried >= FAILURES_FROM and 100 * bounced > percent * tried:
            placed.append(hold_campaign(service.parts, campaign.campaign_id, bounced, tried, at=service.clock()))
    return tuple(placed)


def hold_campaign(parts: Parts, campaign_id: str, bounced: int, tried: int, *, at: datetime) -> str:
    """Stop the sending of one campaign because too much of it fails; return the hold's name."""
    name = f"automatic-{campaign_id}"
    scope = {
        "authority": "demur",
        "instrument": f"more than {FAILURES_PERCENT} % of the notices failed",
        "text": f"{bounced} of {tried} notices bounced; look at the addresses and the relay, then lift this hold",
        "campaign_id": campaign_id,
        "stages": [Stage.SENDING.value],
        "nature": Nature.AUTOMATIC.value,
    }
    place_hold(parts, name, scope, at=at)
    return name

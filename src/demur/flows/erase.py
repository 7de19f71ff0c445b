"""Taking people out: roll back at once, rebuild the corpus, plan, replay, destroy, certify. Resumable at every step.

    restrictions ─▶ rollback ─▶ corpus ─▶ plan ─▶ replay ─▶ purge ─▶ certificate

The journal holds what each step found; a killed run goes on at the first step without facts. The order is first effect
early, destruction only when the replacement stands (ADR 5).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from demur import erasure
from demur.clock import iso
from demur.corpus import read_manifest, settle
from demur.erasure import Journal
from demur.errors import RefusedError
from demur.flows.build import rebuild_corpus
from demur.flows.left import fresh
from demur.flows.parts import Parts, current
from demur.flows.pending import pending, refuse_unfinished, standing_corpus
from demur.flows.plan import make_plan, plan_as_json
from demur.flows.steps import Erased, Steps
from demur.intake import state_digest
from demur.people import Restriction

__all__ = ["Erased", "erase", "first_effect", "pending", "plan_as_json", "rehearse"]


def erase(parts: Parts, *, at: datetime, workers: int | None = None, clock: Callable[[], datetime]) -> Erased:
    """Bring corpus and model up to date with everything that takes away, or finish an erasure that was killed.

    Args:
        parts: the workspace.
        at: the present instant: what was learned by then counts.
        workers: processes for training; ``None`` = one a core.
        clock: asked for the instants of steps that end later.

    Raises:
        RefusedError: nothing is pending, or there is no corpus.
    """
    begun = time.perf_counter()
    settle(parts.workspace.corpora)
    parts.registry.look(at)
    steps = Steps(parts, _journal(parts, at), workers, clock, begun)
    for name in erasure.STEPS:
        steps.journal.step(name, getattr(steps, name))
        steps.latecomers()
    return steps.outcome()


def first_effect(parts: Parts, *, at: datetime, clock: Callable[[], datetime]) -> Journal:
    """Begin an erasure, or find the one that was begun, and do its first step only: the served model falls back.

    ``erase`` goes on from there, in this process or another.

    Raises:
        RefusedError: nothing is pending.
    """
    begun = time.perf_counter()
    settle(parts.workspace.corpora)
    parts.registry.look(at)
    steps = Steps(parts, _journal(parts, at), None, clock, begun)
    steps.journal.step(erasure.STEPS[0], steps.rollback)
    steps.latecomers()  # an erasure that cannot go on must not keep the next ones waiting for this
    return steps.journal


def rehearse(parts: Parts, *, at: datetime) -> Erased:
    """Plan an erasure without doing any of it; the rehearsal corpus is removed again.

    Raises:
        RefusedError: nothing is pending, or an erasure was begun and not finished.
    """
    refuse_unfinished(parts)
    before, restrictions = _wanted(parts, at)
    known = current(parts.workspace)
    model = parts.workspace.models / known.model if known.model else None
    with fresh(parts.workspace, "rehearsal") as scratch:
        after = rebuild_corpus(parts, read_manifest(before), narrowed_at=at, out=scratch, replaces=before)
        plan, tokens = make_plan(parts, before, scratch / after.corpus_id, model, restrictions)
    return Erased("rehearsal", plan, tokens, restrictions, 0.0, after.corpus_id, None, None)


def _journal(parts: Parts, at: datetime) -> Journal:
    begun = erasure.unfinished(parts.workspace.erasures)
    if begun:
        return begun[0]
    before, restrictions = _wanted(parts, at)
    known = current(parts.workspace)
    facts = {
        "narrowed_at": iso(at),
        "requested_at": iso(min((one.recorded_at for one in restrictions if one.recorded_at), default=at)),
        "corpus": before.name,
        "model": known.model,
        "source": state_digest(parts.workspace.source),
    }
    journal = Journal.begin(
        parts.workspace.erasures,
        restrictions=[one.restriction_id for one in restrictions],
        model=f"{known.model or before.name} at {iso(at)}",
        facts=facts,
    )
    if journal.next_step() is None:
        raise RefusedError("this erasure was done at this very instant; give a later one")
    return journal


def _wanted(parts: Parts, at: datetime) -> tuple[Path, tuple[Restriction, ...]]:
    """Return the corpus to start from, and what waits."""
    before = standing_corpus(parts)
    if before is None:
        raise RefusedError("expected a corpus in this workspace, found none; there is nothing to erase from")
    restrictions = pending(parts, by=at)
    if not restrictions:
        raise RefusedError("nothing is pending: no objection, hold or correction since the corpus was made")
    return before, restrictions

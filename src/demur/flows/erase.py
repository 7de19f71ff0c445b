"""Taking people out: roll back at once, rebuild the corpus, plan, replay, destroy, certify. Resumable at every step.

    restrictions ─▶ rollback ─▶ corpus ─▶ plan ─▶ replay ─▶ purge ─▶ certificate

The journal holds what each step found; a killed run goes on at the first step without facts. The order is first effect
early, destruction only when the replacement stands (ADR 5).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from demur import erasure
from demur.clock import iso, parse
from demur.corpus import difference, read_manifest, touched
from demur.erasure import Journal
from demur.errors import RefusedError
from demur.flows.build import rebuild_corpus, train_model
from demur.flows.certify import certify, save_before
from demur.flows.parts import Parts, current, set_current
from demur.flows.people import blind, people_of
from demur.intake import state_digest
from demur.people import Restriction
from demur.store import remove_tree
from demur.terms.manifests import ErasurePlan, SliceRef
from demur.training import (
    count_tokens,
    doomed,
    estimate_seconds,
    forget,
    open_base,
    plan_from_json,
    read_model,
    rollback,
)


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure did, or with ``dry_run`` would do."""

    erasure_id: str
    plan: ErasurePlan
    tokens: dict[SliceRef, int]
    restrictions: tuple[Restriction, ...]
    first_effect_seconds: float
    corpus: str
    model: str | None
    """Digest of the model after."""
    certificate: Path | None


def pending(parts: Parts) -> tuple[Restriction, ...]:
    """Return what was learned since the current corpus was made and takes something away."""
    known = current(parts.workspace)
    if known.corpus is None:
        raise RefusedError("expected a corpus in this workspace, found none; there is nothing to erase from")
    manifest = read_manifest(parts.workspace.corpora / known.corpus)
    found = tuple(parts.registry.restrictions_since(parse(manifest.inputs["narrowed_at"])))
    state = state_digest(parts.workspace.source)
    if known.source is not None and state != known.source:
        found += (Restriction(f"source:{state[:16]}", "source", None),)
    return found


def erase(parts: Parts, *, at: datetime, workers: int | None = None, clock: Callable[[], datetime]) -> Erased:
    """Bring corpus and model up to date with everything that takes away, or finish an erasure that was killed.

    Args:
        parts: the workspace.
        at: the present instant: what was learned by then counts.
        workers: processes for training; ``None`` = one a core.
        clock: asked for the instants of steps that end later.

    Raises:
        RefusedError: nothing is pending.
    """
    begun = time.perf_counter()
    journal = _journal(parts, at)
    steps = _Steps(parts, journal, workers, clock)
    journal.step("rollback", lambda folder: steps.rollback(folder, begun))
    journal.step("corpus", steps.corpus)
    journal.step("plan", steps.plan)
    journal.step("replay", steps.replay)
    journal.step("purge", steps.purge)
    journal.step("certificate", steps.certificate)
    return steps.outcome()


def rehearse(parts: Parts, *, at: datetime) -> Erased:
    """Plan an erasure without doing any of it; the rehearsal corpus is removed again."""
    restrictions = pending(parts)
    if not restrictions:
        raise RefusedError("nothing is pending: no objection, hold or correction since the corpus was made")
    known = current(parts.workspace)
    before_dir = parts.workspace.corpora / str(known.corpus)
    model_dir = parts.workspace.models / known.model if known.model else None
    scratch = parts.workspace.work / "rehearsal"
    remove_tree(scratch)
    try:
        after = rebuild_corpus(parts, read_manifest(before_dir), narrowed_at=at, out=scratch, replaces=before_dir)
        plan, tokens = make_plan(parts, before_dir, scratch / after.corpus_id, model_dir, restrictions)
    finally:
        remove_tree(scratch)
    return Erased("rehearsal", plan, tokens, restrictions, 0.0, after.corpus_id, None, None)


def make_plan(
    parts: Parts, before: Path, after: Path, model_dir: Path | None, restrictions: tuple[Restriction, ...]
) -> tuple[ErasurePlan, dict[SliceRef, int]]:
    """Return the difference of two corpora as a plan, with the tokens of every slice."""
    change = difference(before, after)
    old, new = (_everybody(folder, parts) for folder in (before, after))
    asked = {blind(parts.keys, one.person_id) for one in restrictions if one.person_id}
    tokens: dict[SliceRef, int] = {}
    rate, epochs = 1.0, 1
    if model_dir is not None:
        model = read_model(model_dir)
        plan = plan_from_json(model.plan)
        base = open_base((model_dir / model.base_path).resolve(), parts.workspace.models)
        tokens = {place: count // plan.epochs for place, count in count_tokens(after, plan, base).items()}
        rate, epochs = 1 / max(estimate_seconds(model, 1_000_000, 1, 1) / 1_000_000, 1e-9), plan.epochs
    made = erasure.plan(
        read_manifest(before),
        read_manifest(after),
        tokens=tokens,
        tokens_per_second=rate,
        persons=sorted((old - new) & asked),
        records=erasure.RecordDelta(change.removed, change.changed, change.added),
        epochs=epochs,
    )
    return made, tokens


def _everybody(corpus: Path, parts: Parts) -> set[str]:
    return {person for people in people_of(corpus, parts.keys).values() for person in people}


def _journal(parts: Parts, at: datetime) -> Journal:
    begun = erasure.unfinished(parts.workspace.erasures)
    if begun:
        return begun[0]
    restrictions = pending(parts)
    if not restrictions:
        raise RefusedError("nothing is pending: no objection, hold or correction since the corpus was made")
    known = current(parts.workspace)
    facts = {
        "narrowed_at": iso(at),
        "requested_at": iso(min((one.recorded_at for one in restrictions if one.recorded_at), default=at)),
        "corpus": known.corpus,
        "model": known.model,
        "source": state_digest(parts.workspace.source),
    }
    ids = [one.restriction_id for one in restrictions]
    return Journal.begin(
        parts.workspace.erasures, restrictions=ids, model=str(known.model or known.corpus), facts=facts
    )


class _Steps:
    """The steps of one erasure; each may run again after a kill."""

    def __init__(self, parts: Parts, journal: Journal, workers: int | None, clock: Callable[[], datetime]) -> None:
        self._parts = parts
        self._journal = journal
        self._workers = workers
        self._clock = clock
        facts = journal.request["facts"]
        space = parts.workspace
        self.narrowed_at = parse(facts["narrowed_at"])
        self.before = space.corpora / facts["corpus"]
        self.model = space.models / facts["model"] if facts["model"] else None

    def rollback(self, folder: Path, begun: float) -> dict[str, Any]:
        """Serve the touched shards from states that never saw the people: exact, and at once."""
        save_before(folder, self.before, self.model)
        if self.model is None:
            return {"seconds": 0.0, "at": None, "shards": 0}
        people = self._parts.registry.everyone_linked(one.person_id for one in self._restrictions() if one.person_id)
        names = self._parts.registry.names_of(people)
        places = touched(self.before, people, keys=self._parts.keys, names=names)
        back = rollback(self.model, erasure.first_touched(places), self._parts.keys)
        done = {"seconds": time.perf_counter() - begun, "at": iso(self._clock()), "shards": len(back.shards)}
        save_before(folder, None, self.model, name="rolled_back")
        return done

    def corpus(self, _folder: Path) -> dict[str, Any]:
        """Build the corpus as it would be without them."""
        after = rebuild_corpus(
            self._parts, read_manifest(self.before), narrowed_at=self.narrowed_at, replaces=self.before
        )
        return {"corpus": after.corpus_id}

    def plan(self, _folder: Path) -> dict[str, Any]:
        """Compare; where more changed than the lineage said at once, roll back that too."""
        made, tokens = make_plan(self._parts, self.before, self.after, self.model, self._restrictions())
        if self.model is not None:
            rollback(self.model, erasure.first_touched(made.changed), self._parts.keys)
        return {"plan": plan_as_json(made), "tokens": [[*_place(place), count] for place, count in tokens.items()]}

    def replay(self, _folder: Path) -> dict[str, Any]:
        """Train the changed shards again from their last clean slice, then serve the new corpus and model."""
        begun = time.perf_counter()
        new = None
        if self.model is not None:
            old = read_model(self.model)
            base = open_base((self.model / old.base_path).resolve(), self._parts.workspace.models)
            trained = train_model(
                self._parts,
                plan_from_json(old.plan),
                base,
                at=self.narrowed_at,
                corpus=self.after,
                workers=self._workers,
            )
            new = trained.model_id
        set_current(
            self._parts.workspace, corpus=self.after.name, model=new, source=self._journal.request["facts"]["source"]
        )
        return {"model": new, "seconds": time.perf_counter() - begun, "at": iso(self._clock())}

    def purge(self, folder: Path) -> dict[str, Any]:
        """Destroy the corpus before, and every state and merged weight that saw what is gone."""
        space = self._parts.workspace
        paths: list[Path] = []
        if self.after != self.before:
            paths.append(self.before)
        new = self._model_after()
        if self.model is not None and new is not None:
            made = plan_from_facts(self._fact("plan"))
            shards = sorted({(one.region, one.shard) for one in made.changed})
            gone = [self.model] if self.model != new else []
            paths += doomed(space.models, shards, gone=gone, kept=[new])
        gone_now = erasure.Destruction(space.root, folder / "destroyed.jsonl").destroy(paths, self._clock())
        if self.model is not None and self.model != new:
            forget(self.model)
        remove_tree(space.work)
        return {"files": len(gone_now)}

    def certificate(self, _folder: Path) -> dict[str, Any]:
        """Issue, log and keep the certificate; the nonces go to whoever answers the people."""
        path = self._journal.folder / "certificate.json"
        nonces = {one.restriction_id: secrets.token_hex(32) for one in self._restrictions()}
        certify(
            self._parts,
            self._journal,
            plan_from_facts(self._fact("plan")),
            after=self.after,
            model=self._model_after(),
            nonces=nonces,
            asked=sorted({blind(self._parts.keys, one.person_id) for one in self._restrictions() if one.person_id}),
            at=self._clock(),
            path=path,
        )
        return {"certificate": path.name}

    def outcome(self) -> Erased:
        """Return what was done."""
        facts = self._fact("plan")
        tokens = {SliceRef(region, shard, part): count for region, shard, part, count in facts["tokens"]}
        new = self._model_after()
        return Erased(
            self._journal.erasure_id,
            plan_from_facts(facts),
            tokens,
            self._restrictions(),
            self._fact("rollback")["seconds"],
            self.after.name,
            read_model(new).model_digest if new else None,
            self._journal.folder / self._fact("certificate")["certificate"],
        )

    @property
    def after(self) -> Path:
        """Folder of the corpus after."""
        return self._parts.workspace.corpora / str(self._fact("corpus")["corpus"])

    def _model_after(self) -> Path | None:
        name = self._fact("replay")["model"]
        return self._parts.workspace.models / name if name else None

    def _fact(self, step: str) -> dict[str, Any]:
        found = self._journal.facts(step)
        assert found is not None, "steps run in order"
        return found

    def _restrictions(self) -> tuple[Restriction, ...]:
        wanted = set(self._journal.request["restrictions"])
        known = self._parts.registry.restrictions_since(None)
        return tuple(one for one in known if one.restriction_id in wanted)


def _place(place: SliceRef) -> list[Any]:
    return [place.region, place.shard, place.slice]


def plan_as_json(made: ErasurePlan) -> dict[str, Any]:
    """Return the plain form of a plan."""
    return {
        "corpus_before": made.corpus_before,
        "corpus_after": made.corpus_after,
        "changed": [_place(one) for one in made.changed],
        "replay": [_place(one) for one in made.replay],
        "tokens": made.tokens,
        "tokens_full": made.tokens_full,
        "seconds": made.seconds,
        "persons": list(made.persons),
        "records_removed": made.records_removed,
        "records_changed": made.records_changed,
        "records_added": made.records_added,
    }


def plan_from_facts(facts: dict[str, Any]) -> ErasurePlan:
    """Read a plan back from the journal."""
    found = dict(facts["plan"])
    for name in ("changed", "replay"):
        found[name] = tuple(SliceRef(*place) for place in found[name])
    return ErasurePlan(**{**found, "persons": tuple(found["persons"])})

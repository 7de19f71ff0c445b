"""Source → decisions → corpus → verdict → ledger, and corpus → experts → model → ledger. The flow in a few calls."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.clock import parse
from demur.corpus import CorpusInputs, build, read_manifest, settle
from demur.errors import BrokenError, RefusedError
from demur.flows.decided import Decided, decided
from demur.flows.parts import Parts, corpus_folder, current, keep_policy, kept_policy, set_current
from demur.flows.pending import refuse_unfinished, waiting_for
from demur.flows.people import people_roots
from demur.intake import state_digest
from demur.ledger import Entry, EntryKind
from demur.terms.manifests import CorpusManifest, CorpusRecipe, ModelManifest, TrainPlan
from demur.training import Base, make_plan, train


def build_corpus(
    parts: Parts, reference: str, recipe: CorpusRecipe, *, as_of: datetime, known_at: datetime, workers: int = 1
) -> CorpusManifest:
    """Build a corpus under a policy and make it the current one; the one before stays, its model is current no more.

    Raises:
        BrokenError: the independent verifier disagrees.
        RefusedError: an erasure was begun and not finished.
    """
    refuse_unfinished(parts)
    settle(parts.workspace.corpora)
    here, source = current(parts.workspace), state_digest(parts.workspace.source)
    policy = keep_policy(parts.workspace, reference)
    with decided(parts, policy, reference, as_of=as_of, known_at=known_at) as found:
        manifest = corpus_of(parts, found, recipe, workers=workers)
    model = here.model if here.corpus == manifest.corpus_id else None
    set_current(parts.workspace, corpus=manifest.corpus_id, model=model, source=source)
    return manifest


def rebuild_corpus(
    parts: Parts,
    before: CorpusManifest,
    *,
    narrowed_at: datetime,
    out: Path | None = None,
    replaces: Path | None = None,
    workers: int = 1,
) -> CorpusManifest:
    """Build a corpus again from the same inputs, with everything known at ``narrowed_at`` taken away.

    Args:
        parts: the workspace.
        before: manifest of the corpus; its inputs are used.
        narrowed_at: what was learned until then takes away.
        out: folder of corpora; ``None`` = the workspace's.
        replaces: corpus whose equal slices may be linked; ``None`` = a clean build that reuses nothing.
        workers: processes of the text stage.
    """
    reference, policy = kept_policy(parts.workspace, before.inputs["policy"])
    as_of, known_at = parse(before.inputs["as_of"]), parse(before.inputs["known_at"])
    recipe = CorpusRecipe(**before.inputs["recipe"])
    with decided(parts, policy, reference, as_of=as_of, known_at=known_at, narrowed_at=narrowed_at) as found:
        if found.source_digest != before.inputs["source"]:
            raise BrokenError("the source snapshot is not the one that the corpus was built from; restore source/")
        return corpus_of(parts, found, recipe, out=out, replaces=replaces, workers=workers)


def corpus_of(
    parts: Parts,
    found: Decided,
    recipe: CorpusRecipe,
    *,
    out: Path | None = None,
    replaces: Path | None = None,
    workers: int = 1,
) -> CorpusManifest:
    """Build a corpus from decisions, have it verified, and log both."""
    manifest = build(
        CorpusInputs(
            items=found.items,
            decisions=found.decisions,
            standing=found.standing,
            policy=found.policy,
            recipe=recipe,
            as_of=found.as_of,
            known_at=found.known_at,
            narrowed_at=found.narrowed_at,
            source_digest=found.source_digest,
            purpose=found.policy.purpose,
        ),
        out=out or parts.workspace.corpora,
        work=parts.workspace.work,
        keys=parts.keys,
        progress=parts.progress,
        replaces=replaces,
        workers=workers,
    )
    if out is None:
        facts = {"corpus": manifest.corpus_id, "inputs": manifest.inputs}
        at, key = found.narrowed_at, f"{manifest.corpus_id}"
        builds = {"corpus": manifest.digest, "policy": found.policy.digest}
        parts.log(
            Entry(
                EntryKind.POLICY, at, found.policy.digest, {"name": found.policy.name}, {"policy": found.policy.digest}
            ),
            Entry(EntryKind.BUILD, at, key, facts, builds),
            Entry(EntryKind.VERDICT, at, key, dict(manifest.verdict), {"corpus": manifest.digest}),
        )
    return manifest


def plan_for(parts: Parts, base: Base, **constants: Any) -> TrainPlan:
    """Return the training plan for the current corpus: its recipe's regions, shards and slices, and some constants."""
    recipe = read_manifest(corpus_folder(parts.workspace)).inputs["recipe"]
    return make_plan(base.digest, base.tokenizer_digest, recipe, parts.keys, **constants)


def train_model(
    parts: Parts,
    plan: TrainPlan,
    base: Base,
    *,
    at: datetime,
    corpus: Path | None = None,
    out: Path | None = None,
    workers: int | None = None,
) -> ModelManifest:
    """Train the model of a corpus, by default the current one, and make it the current one.

    The people's standing is looked at again at every slice border: a new objection or hold stops the run, which then
    goes on after an erasure (COR-02, OBJ-06, TRN-07).

    Args:
        parts: the workspace.
        plan: published constants.
        base: the frozen base.
        at: the present instant, for the ledger.
        corpus: folder of another corpus; nothing becomes current then.
        out: folder of models; ``None`` = the workspace's.
        workers: processes.

    Raises:
        RefusedError: something that takes away is waiting, an erasure is unfinished, or something came while training.
    """
    folder = corpus or corpus_folder(parts.workspace)

    def stop() -> str | None:
        if corpus is not None or not waiting_for(parts, folder):
            return None
        return "objections, holds, corrections or deletions arrived after the corpus was built; run `demur erase`"

    if corpus is None:
        refuse_unfinished(parts)
        reason = stop()
        if reason:
            raise RefusedError(f"the corpus is out of date: {reason} and train again")
    manifest = train(
        folder,
        plan,
        base,
        out or parts.workspace.models,
        parts.keys,
        workers=workers,
        people=people_roots(folder, parts.keys),
        progress=parts.progress,
        stop=stop,
    )
    if out is None:
        builds = {"model": manifest.model_digest, "corpus": manifest.corpus_digest, "plan": manifest.plan_digest}
        facts = {"model": manifest.model_id, "heads": [asdict(head) for head in manifest.heads]}
        parts.log(Entry(EntryKind.RUN, at, f"{manifest.model_id}:{manifest.model_digest}", facts, builds))
    if corpus is None:
        set_current(parts.workspace, model=manifest.model_id)
    return manifest

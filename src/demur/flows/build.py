"""Source → decisions → corpus → verdict → ledger, and corpus → experts → model → ledger. The flow in a few calls."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.clock import parse
from demur.corpus import CorpusInputs, build, read_manifest, settle
from demur.corpus.build import BUCKET_ROWS
from demur.corpus.manifest import write_manifest
from demur.corpus.stages import StageRunner
from demur.erasure import Destruction
from demur.errors import BrokenError, RefusedError
from demur.flows.decided import Decided, decided
from demur.flows.fallback import fall_back
from demur.flows.hold import corpus_stops
from demur.flows.kept import forget as forget_decisions
from demur.flows.left import run_folder
from demur.flows.parts import Parts, corpus_folder, current, keep_policy, kept_policy, set_current
from demur.flows.pending import SOURCE_STATE, came_since, refuse_unfinished, waiting_for, whole_corpora
from demur.flows.people import people_roots
from demur.ledger import Entry, EntryKind
from demur.store import remove_tree
from demur.store.stage import run_stage
from demur.terms.holds import Stage
from demur.terms.manifests import CorpusManifest, CorpusRecipe, ModelManifest, TrainPlan
from demur.training import Base, make_plan, read_model, train

NARROWINGS = 4
"""How often a build starts over for what came while it ran; what comes after the last one waits for an erasure."""


def build_corpus(
    parts: Parts,
    reference: str,
    recipe: CorpusRecipe,
    *,
    as_of: datetime,
    known_at: datetime,
    workers: int = 1,
    runner: StageRunner = run_stage,
    bucket_rows: int = BUCKET_ROWS,
) -> CorpusManifest:
    """Build a corpus under a policy and make it the current one; the one before stays, its model is current no more.

    What came while it was built (an objection, a hold) is taken out before it becomes the current one (OBJ-03, OBJ-05).

    Args:
        parts: the workspace.
        reference: the policy's name or file.
        recipe: how records are made.
        as_of: instant at which clocks, ages and notices are judged.
        known_at: what demur has learned until then.
        workers: child processes at a time.
        runner: where the corpus' stages run: child processes, or a cluster; the result does not depend on it.
        bucket_rows: items held in memory at a time; the result does not depend on it.

    Raises:
        BrokenError: the independent verifier disagrees.
        RefusedError: an erasure was begun and not finished.
    """
    refuse_unfinished(parts)
    settle(parts.workspace.corpora)
    here = current(parts.workspace)
    policy = keep_policy(parts.workspace, reference)
    parts.registry.look(known_at)
    with decided(parts, policy, reference, as_of=as_of, known_at=known_at, carry=True) as found:
        there = {path.name for path in whole_corpora(parts)}
        upon = parts.workspace.corpora / str(here.corpus) if here.corpus in there else None
        manifest = corpus_of(parts, found, recipe, upon=upon, workers=workers, runner=runner, bucket_rows=bucket_rows)
    manifest = _narrowed(parts, manifest, there, workers=workers, runner=runner, bucket_rows=bucket_rows)
    model = here.model if here.corpus == manifest.corpus_id else None
    set_current(parts.workspace, corpus=manifest.corpus_id, model=model)
    forget_decisions(parts)
    return manifest


def _narrowed(parts: Parts, manifest: CorpusManifest, there: set[str], **means: Any) -> CorpusManifest:
    """Build again without what came meanwhile until nothing did; what no corpus needs any more is destroyed.

    The instant of such a build is that of the last thing that came: no clock is asked.
    """
    for _ in range(NARROWINGS):
        late = came_since(parts, parse(manifest.inputs["narrowed_at"]))
        if not late:
            break
        before = parts.workspace.corpora / manifest.corpus_id
        last = max(one.recorded_at for one in late if one.recorded_at)
        manifest = rebuild_corpus(parts, manifest, narrowed_at=last, replaces=before, **means)
        if before.name not in {*there, manifest.corpus_id}:
            log = parts.workspace.erasures / "narrowed" / "destroyed.jsonl"
            Destruction(parts.workspace.root, log).destroy([before], last)
    return manifest


def rebuild_corpus(
    parts: Parts,
    before: CorpusManifest,
    *,
    narrowed_at: datetime,
    out: Path | None = None,
    replaces: Path | None = None,
    workers: int = 1,
    runner: StageRunner = run_stage,
    bucket_rows: int = BUCKET_ROWS,
) -> CorpusManifest:
    """Build a corpus again from the same inputs, with everything known at ``narrowed_at`` taken away.

    Args:
        parts: the workspace.
        before: manifest of the corpus; its inputs are used.
        narrowed_at: what was learned until then takes away.
        out: folder of corpora; ``None`` = the workspace's.
        replaces: corpus whose equal slices may be linked; ``None`` = a clean build that reuses nothing.
        workers: child processes at a time.
        runner: where the stages run.
        bucket_rows: items held in memory at a time.
    """
    reference, policy = kept_policy(parts.workspace, before.inputs["policy"])
    as_of, known_at = parse(before.inputs["as_of"]), parse(before.inputs["known_at"])
    parts.registry.look(narrowed_at)
    recipe = CorpusRecipe(**before.inputs["recipe"])
    instants = {"as_of": as_of, "known_at": known_at, "narrowed_at": narrowed_at}
    carry = replaces is not None and out is None  # a rehearsal leaves nothing, a clean build stands on nothing
    with decided(parts, policy, reference, **instants, upon=replaces is not None, carry=carry) as found:
        if found.source_digest != before.inputs["source"]:
            raise BrokenError("the source snapshot is not the one that the corpus was built from; restore source/")
        return corpus_of(
            parts, found, recipe, out=out, replaces=replaces, workers=workers, runner=runner, bucket_rows=bucket_rows
        )


def corpus_of(
    parts: Parts,
    found: Decided,
    recipe: CorpusRecipe,
    *,
    out: Path | None = None,
    replaces: Path | None = None,
    upon: Path | None = None,
    workers: int = 1,
    runner: StageRunner = run_stage,
    bucket_rows: int = BUCKET_ROWS,
) -> CorpusManifest:
    """Build a corpus from decisions, have it verified, and log both.

    Which state of the imported tables it knows of comes into its manifest at the end; without it, something waits.
    """
    folder = out or parts.workspace.corpora
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
            toxicity=filter_folder(parts, recipe.toxicity) if recipe.toxicity else None,
        ),
        out=folder,
        work=run_folder(parts.workspace),
        keys=parts.keys,
        progress=parts.progress,
        replaces=replaces,
        upon=upon,
        workers=workers,
        bucket_rows=bucket_rows,
        runner=runner,
    )
    manifest = replace(manifest, inputs={**manifest.inputs, SOURCE_STATE: found.source_state})
    write_manifest(folder / manifest.corpus_id, manifest)
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


def filter_folder(parts: Parts, digest: str) -> Path:
    """Return where the workspace keeps a platform's own model of a filter: an erasure needs the one of the build."""
    return parts.workspace.root / "filters" / digest[:16]


def keep_filter(parts: Parts, folder: Path, digest: str) -> None:
    """Copy a model of a filter into the workspace."""
    kept = filter_folder(parts, digest)
    if not kept.exists():
        fresh = kept.with_name(f".{kept.name}.new")
        remove_tree(fresh)
        shutil.copytree(folder, fresh)
        fresh.rename(kept)


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
    clock: Callable[[], datetime] | None = None,
    patient: bool = False,
    border: Callable[[], None] = lambda: None,
) -> ModelManifest:
    """Train the model of a corpus, by default the current one, and make it the current one.

    The people's standing is looked at again at every slice border: a new objection or hold stops the run, which then
    goes on after an erasure (COR-02, OBJ-06, TRN-07; ``honour.train_honouring`` does both). The model becomes the
    current one without the shards of whoever came after the last border.

    Args:
        parts: the workspace.
        plan: published constants.
        base: the frozen base.
        at: the present instant, for the ledger.
        corpus: folder of another corpus, which an erasure made; nothing becomes current then. A hold that the next
            erasure takes out does not stop it, for that one waits for this one.
        out: folder of models, for a check that nobody uses: no hold stops it; ``None`` = the workspace's.
        workers: processes.
        clock: asked at every slice border whether a hold is in force; ``None`` = always ``at``.
        patient: go on when people object meanwhile; only a hold stops the run.
        border: called at every slice border.

    Raises:
        RefusedError: something that takes away is waiting, an erasure is unfinished, or something came while training.
    """
    folder = corpus or corpus_folder(parts.workspace)

    def stop() -> str | None:
        border()
        if out is not None:
            return None
        held = corpus_stops(parts, Stage.TRAINING, folder.name, at=clock() if clock else at)
        names = [one.hold_id for one in held if corpus is None or not one.takes_out or one.whole]
        if names:
            return f"the hold {', '.join(names)} stops it; `demur hold show` says by whom and why"
        if corpus is not None or patient or not waiting_for(parts, folder):
            return None
        return "objections, holds, corrections or deletions arrived after the corpus was built; run `demur erase`"

    if corpus is None:
        refuse_unfinished(parts)
        reason = stop()
        if reason:
            raise RefusedError(f"nothing may be trained on this corpus now: {reason}, then train again")
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
        model = parts.workspace.models / manifest.model_id
        fall_back(parts, folder, model, waiting_for(parts, folder))
        set_current(parts.workspace, model=manifest.model_id)
        manifest = read_model(model)
    return manifest

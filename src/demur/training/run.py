"""The training of a whole model: check, train every shard, receipts, merge, export, manifest last.

    corpus ─▶ jobs (one a shard) ─▶ states ─▶ receipts ─▶ accumulators ─▶ regions ─▶ manifest

A run that was killed goes on at the last finished slice; a run with equal inputs finds everything there. Not handled
here: whether people's standing changed since the build (the flow rechecks it and stops a run by ``stop``).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from demur.errors import ConfigError, RefusedError
from demur.store.files import digest_json, read_json, write_json
from demur.store.keys import KeyRing
from demur.terms.manifests import (
    CorpusManifest,
    ModelManifest,
    Receipt,
    RegionModel,
    ShardHead,
    SliceDigest,
    SliceRef,
    TrainPlan,
)
from demur.terms.progress import Progress, silent
from demur.training.base import Base
from demur.training.export import Frozen, export_region
from demur.training.fingerprint import fingerprint, fingerprint_digest, refuse_other
from demur.training.merge import merge
from demur.training.modelfiles import card_facts, model_digest_of, write_model
from demur.training.plan import cells_commitment, check_plan, plan_digest
from demur.training.pool import Bench, ShardDone, ShardJob, SliceWork, run_jobs
from demur.training.receipts import PeopleRoots, receipt_digest, write_chain
from demur.training.router import write_router
from demur.training.slices import by_place, check_files, read_manifest
from demur.training.states import read_state, state_path

_Shard = tuple[str, int]


def go_on() -> str | None:
    """Never stop: the default of ``stop``."""
    return None


@dataclass(frozen=True, slots=True)
class Room:
    """What the steps of one training share."""

    corpus: CorpusManifest
    slices: Mapping[SliceRef, SliceDigest]
    plan: TrainPlan
    base: Base
    store: Path
    folder: Path
    keys: KeyRing
    people: PeopleRoots
    platform: dict[str, str]


def model_id_of(plan: TrainPlan, corpus_digest: str) -> str:
    """Return the id of the model that a plan and a corpus give."""
    return digest_json([plan_digest(plan), corpus_digest])[:16]


def train(
    corpus_dir: Path,
    plan: TrainPlan,
    base: Base,
    out: Path,
    keys: KeyRing,
    *,
    workers: int | None = None,
    people: PeopleRoots | None = None,
    progress: Progress = silent,
    stop: Callable[[], str | None] = go_on,
) -> ModelManifest:
    """Train, merge and export a model from a corpus; finish what an earlier run began.

    Args:
        corpus_dir: folder of the corpus.
        plan: published constants (``make_plan``).
        base: the frozen base (``open_base`` or ``make_base``).
        out: the workspace's models folder; states are shared by all models in it.
        keys: ``cells`` places records, ``states`` seals states, ``signing`` signs receipts.
        workers: processes, one thread each; ``None`` = the processors there are.
        people: slice → (root, leaves) over blinded persons, for the receipts.
        progress: told the shards that are done.
        stop: asked at slice borders; a reason (a hold, an objection) ends the run, states so far stay (TRN-07).

    Returns:
        The manifest, as written last into ``out/<model id>/manifest.json``.

    Raises:
        BrokenError: the corpus is not what its manifest says, or a state was changed.
        ConfigError: plan, base, keys and corpus do not belong together.
        RefusedError: another platform, or ``stop`` gave a reason.
    """
    begun = time.perf_counter()
    room = _enter(corpus_dir, plan, base, out, keys=keys, people=people or {})
    jobs = _jobs(corpus_dir, room)
    done: dict[_Shard, ShardDone] = {}
    for job_done in run_jobs(_bench(room), jobs, workers or os.cpu_count() or 1, stop):
        if not job_done.stopped:
            done[job_done.region, job_done.shard] = job_done
        progress("train", len(done), len(jobs))
    if len(done) < len(jobs):
        raise RefusedError(
            f"the training was stopped: {stop() or 'by its caller'}; finished slices are kept, "
            "the same command goes on there"
        )
    chains = _chains(room, done)
    heads = tuple(_head(room, place, chain, done.get(place)) for place, chain in chains.items())
    regions = _merge(room, chains, heads, progress)
    manifest = _manifest(room, chains, heads, regions, _work(done, time.perf_counter() - begun))
    write_model(room.folder, manifest)
    return manifest


def _enter(corpus_dir: Path, plan: TrainPlan, base: Base, out: Path, *, keys: KeyRing, people: PeopleRoots) -> Room:
    """Check that everything fits together before the first gradient."""
    check_plan(plan)
    corpus = read_manifest(corpus_dir)
    slices = by_place(corpus)
    faults = [
        fault
        for fault, wrong in {
            "the base is not the one of the plan": plan.base_digest != base.digest,
            "the tokenizer is not the one of the plan": plan.tokenizer_digest != base.tokenizer_digest,
            "the key of the cells is not the one of the plan": plan.cells_key != cells_commitment(keys),
            "the corpus has regions that the plan does not name": any(ref.region not in plan.regions for ref in slices),
            "the corpus has more shards than the plan": any(ref.shard >= plan.shards for ref in slices),
            "the corpus has more slices than the plan": any(ref.slice >= plan.slices for ref in slices),
        }.items()
        if wrong
    ]
    if faults:
        raise ConfigError("plan, base, keys and corpus do not belong together; make the plan anew from them", faults)
    check_files(corpus_dir, corpus)
    folder = out / model_id_of(plan, corpus.digest)
    return Room(corpus, slices, plan, base, out, folder, keys, people, hold_platform(out, plan))


def hold_platform(out: Path, plan: TrainPlan) -> dict[str, str]:
    """Return this platform's fingerprint; a plan once begun in a models folder stays on its platform.

    Raises:
        RefusedError: it was begun on another one.
    """
    found = fingerprint()
    path = out / "platforms" / f"{plan_digest(plan)[:16]}.json"
    if path.exists():
        refuse_other(read_json(path), found)
    else:
        write_json(path, found)
    return found


def _bench(room: Room) -> Bench:
    return Bench(
        room.base.folder,
        room.plan,
        plan_digest(room.plan),
        room.keys.secret("cells"),
        room.keys.secret("states"),
        room.store,
    )


def _jobs(corpus_dir: Path, room: Room) -> list[ShardJob]:
    """Return the shards that have records."""
    shards: dict[_Shard, list[SliceDigest]] = {}
    for ref in sorted(room.slices, key=lambda ref: (ref.region, ref.shard, ref.slice)):
        shards.setdefault((ref.region, ref.shard), []).append(room.slices[ref])
    return [
        ShardJob(
            region,
            shard,
            tuple(
                SliceWork(entry.slice, entry.content_digest, (corpus_dir / entry.path,), entry.records)
                for entry in entries
            ),
        )
        for (region, shard), entries in shards.items()
    ]


def _chains(room: Room, done: Mapping[_Shard, ShardDone]) -> dict[_Shard, list[Receipt]]:
    platform = fingerprint_digest(room.platform)
    signer = room.keys.signer()
    return {
        (region, shard): write_chain(
            room.folder,
            room.plan,
            region,
            shard,
            done[region, shard].facts if (region, shard) in done else {},
            slices=room.slices,
            people=room.people,
            platform=platform,
            signer=signer,
        )
        for region in room.plan.regions
        for shard in range(room.plan.shards)
    }


def _head(room: Room, place: _Shard, chain: list[Receipt], done: ShardDone | None) -> ShardHead:
    region, shard = place
    path = None
    if done is not None and done.facts:
        last = max(done.facts)
        path = state_path(region, shard, last, done.facts[last].key)
    return ShardHead(region, shard, room.plan.slices - 1, receipt_digest(chain[-1]), chain[-1].out_state, path)


def _merge(
    room: Room, chains: Mapping[_Shard, list[Receipt]], heads: tuple[ShardHead, ...], progress: Progress
) -> tuple[RegionModel, ...]:
    frozen = Frozen.of(room.base.folder)
    seal = room.keys.secret("states")
    made: list[RegionModel] = []
    for region in room.plan.regions:
        paths = [head.state_path for head in heads if head.region == region and head.state_path]
        states = (read_state(room.store / path, seal)[0] for path in paths)
        accumulator = merge(frozen.shapes(room.plan), states, room.plan)
        seen = [receipt for (name, _), chain in chains.items() if name == region for receipt in chain]
        facts = card_facts(room.plan, room.corpus.corpus_id, seen)
        made.append(export_region(room.folder, region, frozen, accumulator, plan=room.plan, card=facts))
        progress("merge", len(made), len(room.plan.regions))
    write_router(room.folder, room.corpus, made)
    return tuple(made)


def _work(done: Mapping[_Shard, ShardDone], seconds: float) -> dict[str, float]:
    """Return what this run did; the rate is that of the states' own making, so that reuse does not hide it."""
    facts = [fact for shard in done.values() for fact in shard.facts.values()]
    now = [shard.facts[number] for shard in done.values() for number in shard.trained]
    spent = sum(fact.seconds for fact in facts)
    return {
        "slices_trained": len(now),
        "slices_reused": len(facts) - len(now),
        "tokens_trained": sum(fact.tokens for fact in now),
        "seconds": round(seconds, 3),
        "tokens_per_second": round(sum(fact.tokens for fact in facts) / spent, 1) if spent else 0.0,
    }


def _manifest(
    room: Room,
    chains: Mapping[_Shard, list[Receipt]],
    heads: tuple[ShardHead, ...],
    regions: tuple[RegionModel, ...],
    work: dict[str, float],
) -> ModelManifest:
    seen = {name: [r for (region, _), c in chains.items() if region == name for r in c] for name in room.plan.regions}
    return ModelManifest(
        model_id=room.folder.name,
        model_digest=model_digest_of(regions),
        status="complete",
        plan=asdict(room.plan),
        plan_digest=plan_digest(room.plan),
        corpus_id=room.corpus.corpus_id,
        corpus_digest=room.corpus.digest,
        base_path=os.path.relpath(room.base.folder, room.folder),
        platform=room.platform,
        platform_digest=fingerprint_digest(room.platform),
        regions=regions,
        heads=heads,
        records={name: sum(receipt.records for receipt in receipts) for name, receipts in seen.items()},
        tokens={name: sum(receipt.tokens for receipt in receipts) for name, receipts in seen.items()},
        work=work,
    )

"""Rollback first: a touched shard stands again where it had never seen the person, at once and exactly (ERASURE §0.5).

States are on disk already, the accumulator changes by one subtraction and one addition; nothing is trained. Not
handled here: which shards are touched (the erasure plan), training again (run.py), which files go (destroy.py).
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import replace as with_fields
from pathlib import Path

from demur.errors import BrokenError, InputError, RefusedError
from demur.store.keys import KeyRing
from demur.terms.manifests import ModelManifest, Receipt, RegionModel, ShardHead, TrainPlan
from demur.training.base import open_base
from demur.training.export import Frozen, export_region, read_accumulator
from demur.training.merge import replace
from demur.training.modelfiles import card_facts, model_digest_of, read_model, write_model
from demur.training.plan import plan_from_json
from demur.training.receipts import read_chain, receipt_digest
from demur.training.states import Tensors, chain_key, read_state, state_path

Shard = tuple[str, int]


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a rollback did."""

    digest_before: str
    digest_after: str
    shards: tuple[ShardHead, ...]
    """New heads of the shards that fell back."""
    regions: tuple[str, ...]
    seconds: float


def rollback(model_dir: Path, touched: Mapping[Shard, int], keys: KeyRing) -> RolledBack:
    """Let touched shards fall back to the state before their first touched slice, and serve that.

    Doing it twice, or going on after a kill, gives the same. The files that had seen the person stay on disk until
    they are destroyed (``doomed``); the manifest no longer names them.

    Args:
        model_dir: folder of the model; its manifest gets the status ``rolled_back``.
        touched: (region, shard) → first slice with something of the persons who leave.
        keys: ``states`` checks the seals.

    Returns:
        Digests before and after, new heads, seconds.

    Raises:
        BrokenError: the base, a state, receipt or accumulator is missing or changed.
    """
    begun = time.perf_counter()
    model = read_model(model_dir)
    plan = plan_from_json(model.plan)
    heads = {(head.region, head.shard): head for head in model.heads}
    fallen = {
        place: head_before(model_dir, plan, *place, first)
        for place, first in sorted(touched.items())
        if heads[place].slice >= first
    }
    regions = sorted({region for region, _shard in fallen})
    new_heads = tuple(fallen.get((head.region, head.shard), head) for head in model.heads)
    models = {region.region: region for region in model.regions}
    base = _base(model_dir, model.base_path, plan)
    frozen = Frozen.of(base) if fallen else None
    for region in regions:
        assert frozen is not None
        moved = [(heads[place], head) for place, head in fallen.items() if place[0] == region]
        seen = seen_by(model_dir, [head for head in new_heads if head.region == region])
        facts = card_facts(plan, model.corpus_id, seen) | {"status": "rolled back, to be trained again"}
        models[region] = _fall(
            model_dir, models[region], frozen, moved, plan=plan, seal=keys.secret("states"), facts=facts
        )
    after = _manifest(model_dir, model, tuple(models[region.region] for region in model.regions), new_heads)
    write_model(model_dir, after)
    return RolledBack(
        model.model_digest, after.model_digest, tuple(fallen.values()), tuple(regions), time.perf_counter() - begun
    )


def _base(model_dir: Path, path: str, plan: TrainPlan) -> Path:
    """Return the folder of the base; also where nothing falls back, since nothing can be trained again on another."""
    folder = Path(os.path.normpath(model_dir / path))
    try:
        found = open_base(folder, model_dir.parent)
    except (InputError, RefusedError) as error:
        raise BrokenError(f"expected the base of the plan in {folder.name}, found none; restore it") from error
    if (found.digest, found.tokenizer_digest) != (plan.base_digest, plan.tokenizer_digest):
        raise BrokenError(f"expected the base of the plan in {folder.name}, found another; restore it")
    return folder


def head_before(model_dir: Path, plan: TrainPlan, region: str, shard: int, first: int) -> ShardHead:
    """Return the head of a shard that has learned the slices before ``first`` only."""
    chain = read_chain(model_dir, region, shard)[:first]
    state = chain[-1].out_state if chain else read_chain(model_dir, region, shard)[0].parent_state
    receipt = receipt_digest(chain[-1]) if chain else None
    paths = state_paths(plan, chain)
    return ShardHead(region, shard, first - 1, receipt, state, paths[max(paths)] if paths else None)


def state_paths(plan: TrainPlan, chain: Sequence[Receipt]) -> dict[int, str]:
    """Return slice → path of its state, relative to the models folder, for the slices of a chain with records."""
    links: list[tuple[int, str]] = []
    found: dict[int, str] = {}
    for receipt in chain:
        if receipt.records:
            links.append((receipt.slice, receipt.corpus_slice_digest))
            key = chain_key(plan.base_digest, receipt.plan_digest, receipt.region, receipt.shard, links)
            found[receipt.slice] = state_path(receipt.region, receipt.shard, receipt.slice, key)
    return found


def seen_by(model_dir: Path, heads: Sequence[ShardHead]) -> list[Receipt]:
    """Return the receipts of everything that some heads have seen."""
    return [receipt for head in heads for receipt in read_chain(model_dir, head.region, head.shard)[: head.slice + 1]]


def _fall(
    model_dir: Path,
    model: RegionModel,
    frozen: Frozen,
    moved: Sequence[tuple[ShardHead, ShardHead]],
    *,
    plan: TrainPlan,
    seal: bytes,
    facts: Mapping[str, str],
) -> RegionModel:
    total = read_accumulator(model_dir, model)
    for old, new in moved:
        total = replace(total, _state(model_dir, old, seal), _state(model_dir, new, seal), plan)
    return export_region(model_dir, model.region, frozen, total, plan=plan, card=facts)


def _state(model_dir: Path, head: ShardHead, seal: bytes) -> Tensors | None:
    return read_state(model_dir.parent / head.state_path, seal)[0] if head.state_path else None


def _manifest(
    model_dir: Path, model: ModelManifest, regions: tuple[RegionModel, ...], heads: tuple[ShardHead, ...]
) -> ModelManifest:
    seen = {
        region.region: seen_by(model_dir, [head for head in heads if head.region == region.region])
        for region in regions
    }
    return with_fields(
        model,
        status="rolled_back",
        model_digest=model_digest_of(regions),
        regions=regions,
        heads=heads,
        records={name: sum(receipt.records for receipt in receipts) for name, receipts in seen.items()},
        tokens={name: sum(receipt.tokens for receipt in receipts) for name, receipts in seen.items()},
    )

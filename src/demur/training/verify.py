"""What an auditor runs: the whole receipt chain, every file against its digest, any single slice again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from demur.errors import BrokenError, InputError
from demur.store.keys import KeyRing
from demur.terms.manifests import ModelManifest, Receipt, ShardHead, SliceRef, TrainPlan
from demur.training.base import Base
from demur.training.export import read_accumulator, read_checked
from demur.training.fingerprint import fingerprint, fingerprint_digest, refuse_other
from demur.training.modelfiles import model_digest_of, read_model
from demur.training.plan import plan_digest, plan_from_json
from demur.training.receipts import chain_faults, read_chain, receipt_digest
from demur.training.rollback import state_paths
from demur.training.slices import by_place, check_files, read_manifest, read_slice
from demur.training.states import digest_tensors, read_state


@dataclass(frozen=True, slots=True)
class Verified:
    """What was checked and found right."""

    receipts: int
    states: int
    regions: int
    model_digest: str


@dataclass(frozen=True, slots=True)
class Rerun:
    """One slice computed again."""

    slice: SliceRef
    expected: str
    found: str

    @property
    def equal(self) -> bool:
        """Whether the state came out the same, bit for bit."""
        return self.expected == self.found


def verify_receipts(model_dir: Path, verifier: Ed25519PublicKey) -> Verified:
    """Check a model from its files alone: signatures, chains, states, accumulators, weights, digests.

    Args:
        model_dir: folder of the model.
        verifier: public half of the workspace's signing key.

    Raises:
        BrokenError: something does not match; every fault is named.
    """
    model = read_model(model_dir)
    plan = plan_from_json(model.plan)
    faults = _paper_faults(model, plan)
    receipts = states = 0
    for head in model.heads:
        chain, found = _chain(model_dir, head)
        receipts += len(chain)
        faults += found or chain_faults(chain, model.plan_digest, model.platform_digest, verifier)
        if not found:
            faults += _head_faults(head, chain, plan)
            seen, broken = _states(model_dir, plan, chain[: head.slice + 1])
            states, faults = states + seen, faults + broken
    for region in model.regions:
        try:
            read_accumulator(model_dir, region)
            read_checked(model_dir / region.path / "model.safetensors", region.weights_digest)
        except BrokenError as error:
            faults.append(str(error))
    if faults:
        raise BrokenError(f"the model {model.model_id} does not verify; do not serve it", faults)
    return Verified(receipts, states, len(model.regions), model.model_digest)


def _paper_faults(model: ModelManifest, plan: TrainPlan) -> list[str]:
    expected = [(region, shard) for region in plan.regions for shard in range(plan.shards)]
    checks = {
        "the plan does not match its digest": plan_digest(plan) == model.plan_digest,
        "the platform does not match its digest": fingerprint_digest(model.platform) == model.platform_digest,
        "the model digest does not follow from its regions": model_digest_of(model.regions) == model.model_digest,
        "the heads are not those of the plan": [(head.region, head.shard) for head in model.heads] == expected,
    }
    return [fault for fault, holds in checks.items() if not holds]


def _chain(model_dir: Path, head: ShardHead) -> tuple[list[Receipt], list[str]]:
    try:
        return read_chain(model_dir, head.region, head.shard), []
    except BrokenError as error:
        return [], [str(error)]


def _head_faults(head: ShardHead, chain: list[Receipt], plan: TrainPlan) -> list[str]:
    name = f"head {head.region}/{head.shard:03d}"
    if len(chain) != plan.slices:
        return [f"{name}: expected {plan.slices} receipts, found {len(chain)}"]
    last = chain[head.slice] if head.slice >= 0 else None
    state = last.out_state if last else chain[0].parent_state
    paths = state_paths(plan, chain[: head.slice + 1])
    checks = {
        "does not name its receipt": head.receipt == (receipt_digest(last) if last else None),
        "does not name its receipt's state": head.out_state == state,
        "does not name its state's file": head.state_path == (paths[max(paths)] if paths else None),
    }
    return [f"{name}: {fault}" for fault, holds in checks.items() if not holds]


def _states(model_dir: Path, plan: TrainPlan, chain: list[Receipt]) -> tuple[int, list[str]]:
    faults: list[str] = []
    paths = state_paths(plan, chain)
    for number, path in paths.items():
        try:
            _tensors, facts = read_state(model_dir.parent / path)
        except BrokenError as error:
            faults.append(str(error))
            continue
        if facts.out_state != chain[number].out_state:
            faults.append(f"state {path}: not the one of its receipt")
    return len(paths), faults


def rerun(model_dir: Path, corpus_dir: Path, place: SliceRef, base: Base, keys: KeyRing) -> Rerun:
    """Compute one slice again from the state before it and compare with its receipt.

    Args:
        model_dir: folder of the model.
        corpus_dir: the corpus that it was trained on.
        place: the slice.
        base: the frozen base.
        keys: ``cells`` places records, ``states`` checks seals.

    Raises:
        InputError: the slice has no records, or the corpus is another one.
        RefusedError: this is another platform.
        BrokenError: corpus or state was changed.
    """
    from demur.training.learn import Learner, repeatable

    model = read_model(model_dir)
    plan = plan_from_json(model.plan)
    refuse_other(model.platform, fingerprint())
    corpus = read_manifest(corpus_dir)
    chain = read_chain(model_dir, place.region, place.shard)
    entry = by_place(corpus).get(place)
    if entry is None or entry.content_digest != chain[place.slice].corpus_slice_digest:
        raise InputError("expected a slice with records of the corpus that the model was trained on, found another")
    check_files(corpus_dir, corpus)
    before = state_paths(plan, chain[: place.slice])
    with repeatable():
        learner = Learner(base.folder, plan, keys.secret("cells"))
        start = learner.first(place.region, place.shard)
        if before:
            start = learner.layout.join(read_state(model_dir.parent / before[max(before)], keys.secret("states"))[0])
        learned = learner.learn(start, read_slice(corpus_dir / entry.path))
    return Rerun(place, chain[place.slice].out_state, digest_tensors(learner.layout.split(learned.vector)))

"""What a training will read and how long it will take (TRN-03). Counts with the real tokenizer."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from demur.terms.manifests import ModelManifest, SliceRef, TrainPlan
from demur.training.base import Base
from demur.training.modelfiles import read_model
from demur.training.plan import plan_from_json
from demur.training.receipts import all_chains
from demur.training.slices import by_place, read_manifest, read_slice


def count_tokens(
    corpus_dir: Path, plan: TrainPlan, base: Base, only: Collection[SliceRef] | None = None
) -> dict[SliceRef, int]:
    """Return slice → tokens that training it reads, over all epochs; slices without records count nothing.

    Args:
        corpus_dir: folder of the corpus.
        plan: length of a record and epochs.
        base: its tokenizer.
        only: slices to count; ``None`` = all.
    """
    from demur.training.learn import Encoder

    encoder = Encoder(base.folder, plan.max_tokens)
    found: dict[SliceRef, int] = {}
    for place, entry in by_place(read_manifest(corpus_dir)).items():
        if only is None or place in only:
            texts = [row.text for row in read_slice(corpus_dir / entry.path)]
            found[place] = plan.epochs * sum(len(ids) for ids in encoder.rows(texts))
    return found


def tokens_read(model_dir: Path) -> dict[SliceRef, int]:
    """Return slice → tokens that a trained model read, from its receipts."""
    plan = plan_from_json(read_model(model_dir).plan)
    return {
        SliceRef(receipt.region, receipt.shard, receipt.slice): receipt.tokens
        for chain in all_chains(model_dir, plan)
        for receipt in chain
        if receipt.records
    }


def estimate_seconds(model: ModelManifest, tokens: int, shards: int, workers: int) -> float:
    """Return how long it takes to read so many tokens, by the rate measured when the model was trained.

    Args:
        model: carries tokens per second and worker.
        tokens: to read.
        shards: independent jobs among them; more workers than jobs do not help.
        workers: processes.
    """
    rate = model.work.get("tokens_per_second", 0.0)
    return tokens / rate / max(1, min(workers, shards)) if rate else 0.0

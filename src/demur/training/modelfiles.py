"""A model's own papers: manifest, digest, facts for cards. Reads and writes JSON; computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from demur.errors import BrokenError
from demur.store.files import digest_json, read_json, write_json
from demur.terms.manifests import ModelManifest, Receipt, RegionModel, ShardHead, TrainPlan
from demur.training.plan import plan_digest


def model_digest_of(regions: Sequence[RegionModel]) -> str:
    """Return the digest of a model: its regions' merged weights in order, nothing else."""
    return digest_json([[region.region, region.weights_digest] for region in sorted(regions, key=lambda r: r.region)])


def write_model(folder: Path, manifest: ModelManifest) -> None:
    """Write the manifest; the model is what it says from this moment on."""
    write_json(folder / "manifest.json", asdict(manifest))


def read_model(folder: Path) -> ModelManifest:
    """Read a model's manifest.

    Raises:
        BrokenError: missing, damaged, or of another shape.
    """
    found = read_json(folder / "manifest.json")
    try:
        return ModelManifest(
            **{
                **found,
                "regions": tuple(RegionModel(**entry) for entry in found["regions"]),
                "heads": tuple(ShardHead(**entry) for entry in found["heads"]),
            }
        )
    except (KeyError, TypeError) as error:
        raise BrokenError(
            f"expected a model manifest in {folder.name}, found another shape ({type(error).__name__}); train again"
        ) from error


def card_facts(plan: TrainPlan, corpus_id: str, receipts: Sequence[Receipt]) -> dict[str, str]:
    """Return a region's data label from its receipts."""
    return {
        "records": f"{sum(receipt.records for receipt in receipts):,}",
        "tokens read": f"{sum(receipt.tokens for receipt in receipts):,}",
        "shards": f"{plan.shards}",
        "slices in a shard": f"{plan.slices}",
        "expert": f"{plan.adapter}" + (f", rank {plan.lora_rank}" if plan.adapter == "lora" else ""),
        "corpus": f"`{corpus_id}`",
        "base digest": f"`{plan.base_digest}`",
        "plan digest": f"`{plan_digest(plan)}`",
    }

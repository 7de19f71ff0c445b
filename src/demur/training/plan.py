"""The published constants of a training and what follows from them alone. No I/O, no chance, no torch.

Nothing here depends on who is in the data: that is why taking somebody out moves nobody else (ERASURE §3.2).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from demur.errors import ConfigError, RefusedError
from demur.store.files import digest_json
from demur.store.keys import KeyRing, keyed_hash
from demur.terms.manifests import TrainPlan

ADAPTERS = ("lora", "full")
REFUSED_ADAPTERS = {
    "rslora": "its scale depends on the rank in another way (peft issue 3761)",
    "dora": "its weight difference is no plain product B·A, so that sums of it mean nothing",
}
LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""All linear layers of a LLaMA block; the head and the embeddings stay frozen under LoRA."""

_REGION = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.IGNORECASE)


def make_plan(
    base_digest: str, tokenizer_digest: str, recipe: Mapping[str, Any], keys: KeyRing, **constants: Any
) -> TrainPlan:
    """Fix the plan of a training from the frozen parts of a corpus recipe, never from the corpus' content.

    Args:
        base_digest: digest of the frozen base (``Base.digest``).
        tokenizer_digest: digest of its tokenizer.
        recipe: plain form of the CorpusRecipe (``manifest.inputs["recipe"]``): regions, other_region, shards, slices.
        keys: workspace keys; the plan commits to the one that places records in cells.
        **constants: other fields of TrainPlan, by name.

    Raises:
        ConfigError: a constant is unknown or does not fit the others.
        RefusedError: the adapter kind cannot be merged exactly.
    """
    regions = tuple(sorted({*recipe["regions"].values(), recipe["other_region"]}))
    known = {field.name for field in fields(TrainPlan)}
    unknown = sorted(set(constants) - known)
    if unknown:
        raise ConfigError("expected constants of a training plan", [f"unknown constant {name}" for name in unknown])
    plan = TrainPlan(
        base_digest=base_digest,
        tokenizer_digest=tokenizer_digest,
        regions=regions,
        shards=recipe["shards"],
        slices=recipe["slices"],
        cells_key=cells_commitment(keys),
    )
    plan = replace(plan, **constants)
    check_plan(plan)
    return plan


def cells_commitment(keys: KeyRing) -> str:
    """Return what the plan says about the secret key of the cells, without giving it away."""
    return keyed_hash(keys.secret("cells"), "commitment").hex()


def check_plan(plan: TrainPlan) -> None:
    """Refuse a plan that cannot be trained or merged exactly; all faults at once.

    Raises:
        RefusedError: rsLoRA, DoRA.
        ConfigError: constants out of range or against each other.
    """
    if plan.adapter.lower() in REFUSED_ADAPTERS:
        reason = REFUSED_ADAPTERS[plan.adapter.lower()]
        raise RefusedError(
            f"the adapter {plan.adapter} cannot be merged and taken out exactly: {reason}; use lora or full"
        )
    faults = [fault for fault in (*_range_faults(plan), *_joint_faults(plan)) if fault]
    if faults:
        raise ConfigError("the training plan is not consistent; correct the constants named here", faults)


def _range_faults(plan: TrainPlan) -> list[str]:
    faults = [
        f"{name} must be at least 1, found {getattr(plan, name)}"
        for name in ("shards", "slices", "epochs", "cells", "tokens_per_cell", "grain", "lora_rank", "lora_alpha")
        if getattr(plan, name) < 1
    ]
    faults += [] if plan.max_tokens >= 4 else [f"max_tokens must be at least 4, found {plan.max_tokens}"]
    faults += [] if plan.learning_rate > 0 else [f"learning_rate must be above 0, found {plan.learning_rate}"]
    faults += [] if plan.weight_decay >= 0 else [f"weight_decay must not be below 0, found {plan.weight_decay}"]
    faults += (
        []
        if 16 <= plan.fixed_point_bits <= 52
        else [f"fixed_point_bits must be 16 to 52, found {plan.fixed_point_bits}"]
    )
    return faults


def _joint_faults(plan: TrainPlan) -> list[str]:
    faults = [] if plan.adapter in ADAPTERS else [f"adapter must be one of {', '.join(ADAPTERS)}, found {plan.adapter}"]
    if not plan.regions:
        faults.append("a plan without regions trains nothing")
    if list(plan.regions) != sorted(set(plan.regions)):
        faults.append("regions must be sorted and named once")
    faults += [
        f"region name {region!r} must be letters, digits, - or _"
        for region in plan.regions
        if not _REGION.fullmatch(region)
    ]
    if not 0 <= plan.warmup_cells <= plan.epochs * plan.cells:
        faults.append(f"warmup_cells must lie in 0 to epochs x cells ({plan.epochs * plan.cells})")
    return faults


def plan_digest(plan: TrainPlan) -> str:
    """Return the digest that receipts and states name the plan by."""
    return digest_json(plan.as_json())


def plan_from_json(found: Mapping[str, Any]) -> TrainPlan:
    """Rebuild a plan from its plain form."""
    return TrainPlan(**{**found, "regions": tuple(found["regions"])})


def learning_rate(plan: TrainPlan, place: int) -> float:
    """Return the rate at a place of a slice's pass (epoch × cells + cell): constant warm-up, linear decay.

    >>> plan = TrainPlan("b", "t", ("x",), 1, 1, cells=4, learning_rate=1.0, warmup_cells=1)
    >>> [learning_rate(plan, place) for place in range(4)]
    [0.5, 0.8, 0.6, 0.4]
    """
    total = plan.epochs * plan.cells
    if place < plan.warmup_cells:
        return plan.learning_rate * (place + 1) / (plan.warmup_cells + 1)
    return plan.learning_rate * (total - place + 1) / (total - plan.warmup_cells + 2)

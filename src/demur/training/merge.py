"""Merging by fixed-point integer sums of true weight differences: order-free, and exact to take apart (ERASURE §3.5).

Only element-wise float64 steps in a fixed order, then int64: no library's kernel choice can change a bit. Averaging A
and B separately (PEFT's ``linear``) is another, worse model and does not exist here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from demur.errors import BrokenError
from demur.terms.manifests import TrainPlan
from demur.training.plan import LORA_TARGETS
from demur.training.states import Numbers, Tensors


def targets(shapes: Mapping[str, tuple[int, ...]], plan: TrainPlan) -> dict[str, tuple[int, ...]]:
    """Return the weights that an expert of this plan can change, with their shapes."""
    if plan.adapter == "full":
        return dict(shapes)
    wanted = tuple(f"{name}.weight" for name in LORA_TARGETS)
    return {name: shape for name, shape in shapes.items() if name.endswith(wanted)}


def nothing(shapes: Mapping[str, tuple[int, ...]]) -> Tensors:
    """Return the accumulator of no shard at all."""
    return {name: np.zeros(shape, dtype=np.int64) for name, shape in sorted(shapes.items())}


def delta(state: Tensors, plan: TrainPlan) -> Tensors:
    """Return a state's weight differences in units of 2^-fixed_point_bits (int64).

    Args:
        state: LoRA ``<module>.A`` (rank, in) and ``<module>.B`` (out, rank), or full ``<weight>`` differences.
        plan: rank, alpha, bits, shards.

    Raises:
        BrokenError: a difference is not finite or so large that the sum over all shards could overflow.
    """
    if plan.adapter == "full":
        return {name: _fixed(value.astype(np.float64), plan) for name, value in state.items()}
    modules = sorted({name.rsplit(".", maxsplit=1)[0] for name in state})
    return {
        f"{module}.weight": _fixed(product(state[f"{module}.B"], state[f"{module}.A"], plan), plan)
        for module in modules
    }


def product(left: Numbers, right: Numbers, plan: TrainPlan) -> Numbers:
    """Return B·A·alpha/r in float64 as a sum of outer products in rank order, each step element by element.

    Args:
        left: B (out, rank).
        right: A (rank, in).
        plan: rank and alpha.
    """
    total = np.zeros((left.shape[0], right.shape[1]))
    for rank in range(plan.lora_rank):
        total += left[:, rank, None].astype(np.float64) * right[rank, None, :].astype(np.float64)
    return total * (plan.lora_alpha / plan.lora_rank)


def _fixed(value: Numbers, plan: TrainPlan) -> Numbers:
    scaled = np.rint(value * 2.0**plan.fixed_point_bits)
    limit = (2.0**63 - 2.0**11) / plan.shards
    if not np.all(np.abs(scaled) < limit):  # not-a-number compares false, so it is caught too
        raise BrokenError(
            f"expected weight differences below {limit / 2.0**plan.fixed_point_bits:.3g}, found a larger or no number; "
            "the training diverged: lower learning_rate, or fixed_point_bits"
        )
    return scaled.astype(np.int64)


def add(accumulator: Tensors, difference: Tensors) -> None:
    """Add a delta in place."""
    for name, value in difference.items():
        accumulator[name] += value


def merge(shapes: Mapping[str, tuple[int, ...]], states: Iterable[Tensors], plan: TrainPlan) -> Tensors:
    """Return the accumulator of some shards' head states; any order gives the same."""
    total = nothing(shapes)
    for state in states:
        add(total, delta(state, plan))
    return total


def replace(accumulator: Tensors, old: Tensors | None, new: Tensors | None, plan: TrainPlan) -> Tensors:
    """Return the accumulator with one shard's state in another's place; equals a full merge bit for bit.

    Args:
        accumulator: sum with ``old`` in it.
        old: state that leaves; ``None`` = the shard had learned nothing.
        new: state that comes; ``None`` = the shard has learned nothing.
        plan: as in the merge.
    """
    changed = {name: value.copy() for name, value in accumulator.items()}
    if old is not None:
        add(changed, {name: -value for name, value in delta(old, plan).items()})
    if new is not None:
        add(changed, delta(new, plan))
    return changed


def weights(base: Tensors, accumulator: Tensors, plan: TrainPlan) -> Tensors:
    """Return a region's float32 weights: base + accumulator · 2^-bits · merge_weight / shards."""
    scale = 2.0**-plan.fixed_point_bits * (plan.merge_weight / plan.shards)
    return {
        name: (value.astype(np.float64) + accumulator[name] * scale).astype(np.float32)
        if name in accumulator
        else value
        for name, value in base.items()
    }

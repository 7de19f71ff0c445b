"""Says what had seen persons who left and must go: states, accumulators, merged weights, half-written files.

Whoever holds a model from before and after can compare the two (ERASURE §0.9), so the old one must go. What goes is
decided by reach: what no kept model is made of. Whoever asks holds the workspace's lock, so a folder with weights and
no manifest is of a training that was killed, and no model. Receipts and manifests stay; they hold digests only. Not
handled here: removing the files (``erasure.Destruction``, with its log); copies outside the models folder.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from demur.training.modelfiles import read_model, write_model
from demur.training.plan import plan_from_json
from demur.training.receipts import read_chain
from demur.training.rollback import Shard, state_paths
from demur.training.states import STATES

_WEIGHTS = ("accumulators", "regions")
"""Folders of a model that hold what it learned."""


def doomed(store: Path, touched: Collection[Shard] | None, *, gone: Sequence[Path]) -> list[Path]:
    """Return every file that must go: what only withdrawn models are made of, and what those that stay do not name.

    Args:
        store: the models folder.
        touched: shards whose states go unless a model that stays is made of them; ``None`` = all: nobody can tell what
            the states were made from that a training left which did not come to its end.
        gone: models that are withdrawn: all their weights go. All others stay.
    """
    return sorted({path for path in _doomed(store, touched, gone) if path.is_file()})


def forget(folder: Path) -> None:
    """Note in a withdrawn model's manifest that its weights are destroyed; receipts and digests stay."""
    if (folder / "manifest.json").exists():
        write_model(folder, replace(read_model(folder), status="destroyed"))


def _doomed(store: Path, touched: Collection[Shard] | None, gone: Sequence[Path]) -> Iterator[Path]:
    kept = _kept(store, gone)
    for folder in sorted({path.parent for name in _WEIGHTS for path in store.glob(f"*/{name}")}.difference(kept)):
        yield from _weights(folder)
    for folder in kept:
        yield from _unnamed(folder)
    reached = _reached(kept)
    for shard in ["*/*"] if touched is None else [f"{region}/{number:03d}" for region, number in touched]:
        for path in (store / STATES).glob(f"{shard}/*"):
            if str(path.relative_to(store)) not in reached:
                yield path
    yield from (store / STATES).rglob(".*.part")


def _kept(store: Path, gone: Sequence[Path]) -> list[Path]:
    there = [path.parent for path in sorted(store.glob("*/manifest.json")) if path.parent not in gone]
    return [folder for folder in there if read_model(folder).status != "destroyed"]


def _weights(folder: Path) -> Iterator[Path]:
    for name in _WEIGHTS:
        yield from (folder / name).rglob("*")


def _unnamed(folder: Path) -> Iterator[Path]:
    """Yield a kept model's weight files that its manifest does not name."""
    model = read_model(folder)
    homes = {folder / region.path for region in model.regions}
    sums = {folder / region.accumulator_path for region in model.regions}
    for path in _weights(folder):
        if path not in sums and not homes & set(path.parents):
            yield path


def _reached(kept: Sequence[Path]) -> set[str]:
    """Return the states that kept models are made of, earlier slices of their shards included."""
    found: set[str] = set()
    for folder in kept:
        model = read_model(folder)
        plan = plan_from_json(model.plan)
        for head in model.heads:
            chain = read_chain(folder, head.region, head.shard)[: head.slice + 1]
            found |= set(state_paths(plan, chain).values())
    return found

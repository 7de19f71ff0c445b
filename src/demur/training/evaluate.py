"""The price of erasability: held-out loss by language for the base, one unsharded model and the routed experts.

The caller gives the held-out texts. The unsharded model exists in memory only: it has seen everybody and is erasable
by nobody, so nothing of it is written.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from demur.errors import RefusedError
from demur.store.keys import KeyRing
from demur.terms.manifests import TrainPlan
from demur.terms.progress import Progress, silent
from demur.training.base import Base
from demur.training.cells import Encoded, grains_of
from demur.training.modelfiles import read_model
from demur.training.plan import plan_from_json
from demur.training.router import Router
from demur.training.slices import Row, by_place, check_files, read_manifest, read_slice

Held = Sequence[tuple[str, str]]
"""(language tag, text) pairs that nobody trained on."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Mean loss a token (nats) over so many tokens."""

    loss: float
    tokens: int


Losses = dict[str, Loss]
"""Language → loss; ``all`` is the mean over all tokens."""


@dataclass(frozen=True, slots=True)
class Unsharded:
    """What the unsharded model cost and how well it does."""

    losses: Losses
    tokens: int
    seconds: float


def evaluate(model_dir: Path, held: Held) -> dict[str, Losses]:
    """Return held-out losses of the base and of the routed experts: ``{"base": …, "routed": …}``."""
    model = read_model(model_dir)
    plan = plan_from_json(model.plan)
    router = Router.of(model_dir)
    by_region: dict[str, list[tuple[str, str]]] = {}
    for language, text in held:
        by_region.setdefault(router.for_language(language), []).append((language, text))
    folders = {region.region: model_dir / region.path for region in model.regions}
    base = Path(os.path.normpath(model_dir / model.base_path))
    routed = [_sums_of(folders[region], texts, plan) for region, texts in sorted(by_region.items())]
    return {"base": _means([_sums_of(base, held, plan)]), "routed": _means(routed)}


def train_unsharded(
    corpus_dir: Path,
    plan: TrainPlan,
    base: Base,
    keys: KeyRing,
    held: Held,
    *,
    threads: int | None = None,
    progress: Progress = silent,
    stop: Callable[[], str | None] = lambda: None,
) -> Unsharded:
    """Train one expert on all records in the same slice order and return its held-out losses.

    The recipe is the plan's; only the number of cells is set so that a cell holds about ``tokens_per_cell`` tokens,
    since one shard now holds what all held.

    Raises:
        BrokenError: the corpus is not what its manifest says.
        RefusedError: ``stop`` gave a reason.
    """
    from demur.training.learn import Learner, repeatable

    begun = time.perf_counter()
    corpus = read_manifest(corpus_dir)
    check_files(corpus_dir, corpus)
    places = by_place(corpus)
    slices: list[list[Row]] = [
        [
            row
            for ref in sorted(places, key=str)
            if ref.slice == number
            for row in read_slice(corpus_dir / places[ref].path)
        ]
        for number in range(plan.slices)
    ]
    with repeatable(threads):
        probe = Learner(base.folder, replace(plan, cells=1), keys.secret("cells"))
        count = sum(len(ids) for rows in slices for ids in probe.encoder.rows([row.text for row in rows]))
        cells = max(plan.cells, math.ceil(count / plan.slices / plan.tokens_per_cell))
        probe.plan = replace(plan, cells=cells, regions=("all",), shards=1)
        state, tokens = probe.first("all", 0), 0
        for number, rows in enumerate(slices):
            reason = stop()
            if reason:
                raise RefusedError(f"the unsharded training was stopped: {reason}")
            learned = probe.learn(state, rows)
            state, tokens = learned.vector, tokens + learned.tokens
            progress("unsharded", number + 1, plan.slices)
        probe.load(state)
        losses = _means([_sums(probe.model, probe.encoder, held, plan)])
    return Unsharded(losses, tokens, time.perf_counter() - begun)


def _sums_of(folder: Path, texts: Held, plan: TrainPlan) -> Mapping[str, tuple[float, int]]:
    from demur.training.learn import Encoder, load_model

    return _sums(load_model(folder), Encoder(folder, plan.max_tokens), texts, plan)


def _sums(model: Any, encoder: Any, texts: Held, plan: TrainPlan) -> Mapping[str, tuple[float, int]]:
    """Return language → (sum of token losses, tokens)."""
    import torch

    from demur.training.learn import token_losses

    found: dict[str, tuple[float, int]] = {}
    model.eval()
    by_language: dict[str, list[str]] = {}
    for language, text in texts:
        by_language.setdefault(language, []).append(text)
    with torch.no_grad():
        for language, own in sorted(by_language.items()):
            rows = [Encoded(f"{place:08d}", ids) for place, ids in enumerate(encoder.rows(own))]
            total = sum(float(token_losses(model, grain)) for grain in grains_of(rows, plan.grain))
            found[language] = (total, sum(len(row.ids) - 1 for row in rows))
    return found


def _means(parts: Iterable[Mapping[str, tuple[float, int]]]) -> Losses:
    sums: dict[str, tuple[float, int]] = {}
    for part in parts:
        for language, (loss, tokens) in part.items():
            for name in (language, "all"):
                before = sums.get(name, (0.0, 0))
                sums[name] = (before[0] + loss, before[1] + tokens)
    return {name: Loss(loss / tokens, tokens) for name, (loss, tokens) in sorted(sums.items()) if tokens}

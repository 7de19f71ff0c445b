"""One worker's model: loaded and wrapped once, reset for every slice. The only module that computes gradients.

``out = F(start, records, plan)``: a slice's result depends on nothing else. All trained numbers lie in one flat vector
(and all their gradients in another), so that a reset is one copy and AdamW one loop. Not handled here: which slice,
files, receipts.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from demur.errors import BrokenError
from demur.store.files import read_json
from demur.store.keys import keyed_hash
from demur.terms.manifests import TrainPlan
from demur.training.cells import Encoded, cells_of, grains_of
from demur.training.fingerprint import ATTENTION
from demur.training.plan import LORA_TARGETS, learning_rate
from demur.training.slices import Row
from demur.training.states import Layout, Vector

IGNORED = -100
"""Label of a place that no loss is taken at."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What one slice's pass gave."""

    vector: Vector
    records: int
    tokens: int
    """Tokens read, over all epochs."""
    holes: int


@contextmanager
def repeatable(threads: int | None = None) -> Iterator[None]:
    """Hold torch to deterministic kernels, and to a number of threads, while inside."""
    before, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(strict)
        torch.set_num_threads(before)


def load_model(folder: Path) -> Any:
    """Load a causal language model of ours for computing: float32, the fingerprint's attention, no chance."""
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation=ATTENTION, local_files_only=True
    )


class Encoder:
    """A base's frozen tokenizer: text → row of ids with begin and end marks, cut to the plan's length."""

    def __init__(self, folder: Path, max_tokens: int) -> None:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        config = read_json(folder / "config.json")
        self._begin, self._end = _marks(config.get("bos_token_id")), _marks(config.get("eos_token_id"))
        self._room = max_tokens - len(self._begin) - len(self._end)

    def rows(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Return the ids of each text."""
        found = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [(*self._begin, *entry.ids[: self._room], *self._end) for entry in found]

    def prompt(self, text: str) -> list[int]:
        """Return the ids of a text to go on from: begin mark, no end."""
        return [*self._begin, *self._tokenizer.encode(text, add_special_tokens=False).ids]

    def text(self, ids: Sequence[int]) -> str:
        """Return the text of ids, marks left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))


def _marks(found: int | list[int] | None) -> tuple[int, ...]:
    if found is None:
        return ()
    return (found[0],) if isinstance(found, list) else (found,)


class Learner:
    """The base with one expert's trainable numbers; trains any slice of any shard, one after another.

    Args:
        folder: the frozen base.
        plan: published constants.
        cells_key: secret that places records in cells.
    """

    def __init__(self, folder: Path, plan: TrainPlan, cells_key: bytes) -> None:
        self.plan = plan
        self.encoder = Encoder(folder, plan.max_tokens)
        self._cells_key = cells_key
        self.model = load_model(folder)
        named = _lora(self.model, plan) if plan.adapter == "lora" else _full(self.model)
        self.layout = Layout.of({name: tuple(parameter.shape) for name, parameter in named.items()})
        self._flat, self._slopes = _gather(named, self.layout)
        self._frozen = self._flat.detach().clone() if plan.adapter == "full" else None
        self.model.train()
        check_isolation(self.logits, self.model.config.vocab_size)

    def logits(self, ids: Any) -> Any:
        """Return logits (rows, places, vocabulary) of right-padded rows (rows, places).

        No mask is needed: attention is causal and padding stands on the right, where no real token looks.
        """
        with torch.no_grad():
            return self.model(input_ids=ids, use_cache=False).logits

    def first(self, region: str, shard: int) -> Vector:
        """Return the state before slice 0: a keyed hash of seed, region and shard, independent of all others."""
        made = np.zeros(self.layout.size, dtype=np.float32)
        for name, place, shape in self.layout.places() if self.plan.adapter == "lora" else ():
            if name.endswith(".A"):  # B stays zero: the first delta is zero (LoRA, Hu et al. 2021, §4.1)
                seed = keyed_hash(b"demur-init", str(self.plan.seed), region, str(shard), name)
                chance = np.random.Generator(np.random.Philox(key=int.from_bytes(seed[:16], "big")))
                bound = 1 / math.sqrt(shape[1])
                made[place] = chance.uniform(-bound, bound, math.prod(shape)).astype(np.float32)
        return made

    def learn(self, start: Vector, rows: Sequence[Row]) -> Learned:
        """Train one slice from a state: fresh optimiser, gradients cleared, cells in order, holes left empty."""
        self.load(start)
        plan, encoded = self.plan, self._encode(rows)
        optimiser = torch.optim.AdamW(
            [self._flat], lr=plan.learning_rate, weight_decay=plan.weight_decay, foreach=False, fused=False
        )
        holes = 0
        for epoch in range(plan.epochs):
            for cell, members in enumerate(cells_of(self._cells_key, encoded, epoch, plan.cells)):
                if not members:
                    holes += 1
                    continue
                self._slopes.zero_()  # also at the border: a stale gradient once broke exactness (ERASURE §0.3)
                for grain in grains_of(members, plan.grain):
                    (token_losses(self.model, grain) / plan.tokens_per_cell).backward()
                optimiser.param_groups[0]["lr"] = learning_rate(plan, epoch * plan.cells + cell)
                optimiser.step()
        tokens = plan.epochs * sum(len(row.ids) for row in encoded)
        return Learned(self._state(), len(encoded), tokens, holes)

    def _encode(self, rows: Sequence[Row]) -> list[Encoded]:
        ids = self.encoder.rows([row.text for row in rows])
        return [Encoded(row.record_id, found) for row, found in zip(rows, ids, strict=True)]

    def load(self, state: Vector) -> None:
        """Make the model compute with a state."""
        with torch.no_grad():
            self._flat.copy_(torch.from_numpy(state))
            if self._frozen is not None:
                self._flat.add_(self._frozen)

    def _state(self) -> Vector:
        with torch.no_grad():
            found = self._flat.detach() if self._frozen is None else self._flat.detach() - self._frozen
            copied: Vector = found.numpy().copy()
        return copied


def token_losses(model: Any, grain: Sequence[Encoded]) -> Any:
    """Return the sum of the token losses of a grain; the head is computed for real tokens only."""
    ids, labels = padded(grain)
    hidden = model.model(input_ids=ids, use_cache=False).last_hidden_state  # (rows, places, width)
    wanted = labels[:, 1:] != IGNORED
    logits = model.get_output_embeddings()(hidden[:, :-1][wanted])  # (tokens, vocabulary)
    return torch.nn.functional.cross_entropy(logits, labels[:, 1:][wanted], reduction="sum")


def padded(grain: Sequence[Encoded]) -> tuple[Any, Any]:
    """Return ids and labels (rows, places), padded on the right with id 0 and label −100."""
    width = max(len(row.ids) for row in grain)
    ids = torch.zeros((len(grain), width), dtype=torch.long)
    labels = torch.full((len(grain), width), IGNORED, dtype=torch.long)
    for place, row in enumerate(grain):
        found = torch.tensor(row.ids)
        ids[place, : len(row.ids)] = found
        labels[place, : len(row.ids)] = found
    return ids, labels


def check_isolation(logits: Callable[[Any], Any], vocabulary: int) -> None:
    """Change one record and its padding: no other record's logits, and none before the padding, may move a bit.

    Raises:
        BrokenError: something leaks between records; nothing may be trained so.
    """
    ids = torch.arange(4 * 12).reshape(4, 12) % (vocabulary - 1)
    other = ids.clone()
    other[1] = (ids[1] + 1) % vocabulary
    other[2, 8:] = 0
    before, after = logits(ids), logits(other)
    same = torch.equal(before[0], after[0]) and torch.equal(before[3], after[3])
    if not same or not torch.equal(before[2, :8], after[2, :8]):
        raise BrokenError(
            "expected that a record moves no other record's logits, found that it does; "
            "do not train with this model or these libraries"
        )
    if torch.equal(before[1], after[1]):
        raise BrokenError("expected that a changed record has other logits, found equal ones; the model is not alive")


def _lora(model: Any, plan: TrainPlan) -> dict[str, Any]:
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=plan.lora_rank, lora_alpha=plan.lora_alpha, lora_dropout=0.0, bias="none", target_modules=list(LORA_TARGETS)
    )
    inject_adapter_in_model(config, model)
    named = {}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("lora_" in name)
        if parameter.requires_grad:
            module, kind = name.removesuffix(".default.weight").rsplit(".lora_", maxsplit=1)
            named[f"{module}.{kind}"] = parameter
    return named


def _full(model: Any) -> dict[str, Any]:
    return {name: parameter.requires_grad_(True) for name, parameter in model.named_parameters()}


def _gather(named: dict[str, Any], layout: Layout) -> tuple[Any, Any]:
    """Move the parameters into one flat vector, their gradients into another; the model sees views of both."""
    flat, slopes = torch.zeros(layout.size), torch.zeros(layout.size)
    for name, place, shape in layout.places():
        flat[place] = named[name].detach().reshape(-1)
        named[name].data = flat[place].view(shape)
        named[name].grad = slopes[place].view(shape)
    leaf = torch.nn.Parameter(flat)
    leaf.grad = slopes
    return leaf, slopes

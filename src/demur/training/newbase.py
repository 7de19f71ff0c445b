"""Makes a small LLaMA from scratch on text without personal data, for the demo and for tests. Frozen afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from demur.errors import ConfigError, RefusedError
from demur.store.files import read_json, write_json
from demur.terms.progress import Progress, silent
from demur.training.base import Base, open_base

SPECIAL = ("<pad>", "<s>", "</s>")


def make_base(
    texts: Iterable[tuple[str, str]],
    folder: Path,
    *,
    vocab: int = 2048,
    hidden: int = 96,
    layers: int = 3,
    heads: int = 4,
    steps: int = 300,
    batch: int = 16,
    max_tokens: int = 64,
    learning_rate: float = 3e-3,
    seed: int = 0,
    progress: Progress = silent,
) -> Base:
    """Train a byte-level BPE tokenizer and a small LLaMA, both deterministic, and save them as a frozen base.

    Args:
        texts: (language, text) pairs, made by a generator, holding nobody's data.
        folder: where the base goes; an unfinished one is made again, and so is one that no model beside it stands on.
        vocab: size of the vocabulary, special tokens included.
        hidden: width.
        layers: blocks.
        heads: attention heads; must divide ``hidden`` into even parts.
        steps: optimiser steps.
        batch: texts in a step.
        max_tokens: longer texts are cut.
        learning_rate: peak of a linear warm-up and decay.
        seed: of weights and batches.
        progress: told the steps.

    Raises:
        ConfigError: the sizes do not fit each other, or there is no text.
        RefusedError: models stand on the base that is there: nobody could be taken out of them exactly without it.
    """
    if hidden % heads or (hidden // heads) % 2:
        raise ConfigError(f"expected heads that divide hidden into even parts, found {hidden} and {heads}")
    corpus = [text for _language, text in texts if text.strip()]
    if not corpus:
        raise ConfigError("expected text to train a base on, found none")
    _refuse_in_use(folder)
    tokenizer = _tokenizer(corpus, vocab)
    model = _model(vocab=len(tokenizer), hidden=hidden, layers=layers, heads=heads, seed=seed)
    rows = _encode(tokenizer, corpus, max_tokens)
    _fit(model, rows, steps=steps, batch=batch, peak=learning_rate, seed=seed, progress=progress)
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    write_json(folder / "made.json", {"texts": len(corpus), "steps": steps, "seed": seed, "vocab": len(tokenizer)})
    return open_base(folder, folder)


def _refuse_in_use(folder: Path) -> None:
    models = {path.parent: read_json(path) for path in sorted(folder.parent.glob("*/manifest.json"))}
    used = [
        home.name
        for home, one in models.items()
        if "base_path" in one
        and one.get("status") != "destroyed"
        and (home / one["base_path"]).resolve() == folder.resolve()
    ]
    if used:
        raise RefusedError(f"expected another folder for a base than {folder}: models stand on the one there", used)


def _tokenizer(corpus: list[str], vocab: int) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token=SPECIAL[0], bos_token=SPECIAL[1], eos_token=SPECIAL[2]
    )


def _model(*, vocab: int, hidden: int, layers: int, heads: int, seed: int) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocab,
        hidden_size=hidden,
        intermediate_size=hidden * 8 // 3 // 16 * 16,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config).to(torch.float32)


def _encode(tokenizer: Any, corpus: list[str], max_tokens: int) -> list[list[int]]:
    encoded = tokenizer.backend_tokenizer.encode_batch(corpus, add_special_tokens=False)
    return [[1, *entry.ids[: max_tokens - 2], 2] for entry in encoded]


def _fit(
    model: Any, rows: list[list[int]], *, steps: int, batch: int, peak: float, seed: int, progress: Progress
) -> None:
    import numpy as np
    import torch

    chance = np.random.Generator(np.random.Philox(seed))
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=peak, betas=(0.9, 0.95), weight_decay=0.01, foreach=False, fused=False
    )
    model.train()
    for step in range(steps):
        picked = [rows[int(place)] for place in chance.integers(0, len(rows), batch)]
        width = max(len(row) for row in picked)
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in picked])  # (batch, width)
        labels = torch.tensor([[*row, *[-100] * (width - len(row))] for row in picked])
        optimiser.zero_grad(set_to_none=True)
        model(input_ids=ids, labels=labels, use_cache=False).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=False)
        for group in optimiser.param_groups:
            group["lr"] = peak * min((step + 1) / 20, 1 - step / (steps + 1))
        optimiser.step()
        progress("base", step + 1, steps)
    model.eval()

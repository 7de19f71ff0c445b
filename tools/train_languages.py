# ruff: noqa: T201 (a report on standard output is what it is for)
r"""Train the model for languages, dialects and regional standards, and write it (docs/model-cards/language.md).

    pip download --no-deps --ignore-requires-python -d wheels homeassistant==2026.11.0 \
        home-assistant-frontend==20261028.6 wordfreq==3.1.1
    cd wheels; apt-get download libreoffice-l10n-{nn,nb,hr,is,sr}=4:7.4.7-1+deb12u14
    python tools/train_languages.py ../shared/data wheels src/demur/corpus

Needs ``torch`` (CPU) and ``msgpack``. Deterministic on one machine. ``benchmarks/bench_language.py`` measures it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import language_samples as source
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from demur.corpus import language_model as shipped

ROWS = 3000
EPOCHS = 4
BATCH = 512


def gather(data: Path, wheels: Path) -> list[source.Sample]:
    """Return every sentence of every source."""
    source.check(wheels)
    return [
        *source.voice(data, ROWS + 500),
        *source.treebanks(data),
        *source.interface(wheels, ROWS),
        *source.frequent(wheels, 2 * ROWS),
        *source.office(wheels, ROWS),
    ]


RARE = frozenset({"bar", "bar-IT", "gsw", "nap", "nn"})
"""Classes whose few treebank sentences are read three times."""


def widened(samples: list[source.Sample]) -> list[source.Sample]:
    """Add what posts look like beside sentences, without accents and a few words only; and the rare once more."""
    added = []
    for whole, label, key in samples:
        text = whole
        if label in RARE and key.split()[0] in {"xsid", "maibaam", "uzh", "lia"}:
            added += [(text, label, key)] * 2
        drawn = source.order_of(f"widen {text}")
        words = text.split()
        if drawn[0] < 40 and len(words) > 5:
            start = drawn[1] % (len(words) - 4)
            text = " ".join(words[start : start + 3 + drawn[2] % 3])
            added.append((text, label, key))
        if drawn[3] < 50 and (plain := source.bare(text)) != text and label not in {"el", "ru", "bg", "uk", "sr", "mk"}:
            added.append((plain, label, key))
    return samples + added


class Bags:
    """The buckets of each text's n-grams."""

    def __init__(self, texts: list[str]) -> None:
        """Split all texts at once; a distinct word is hashed once."""
        words = shipped.words_of(pa.array(texts))
        buckets, starts = shipped.buckets_of(words.distinct)
        ends = np.append(starts[1:], len(buckets))
        self._grams = [buckets[a:b][buckets[a:b] < shipped.BUCKETS].astype(np.uint16)
                       for a, b in zip(starts, ends, strict=True)]  # fmt: skip
        self._codes, self._starts = words.codes, words.starts
        letters = np.asarray(pc.utf8_length(words.distinct), np.int64)
        self.empty = np.add.reduceat(letters[words.codes], words.starts[:-1]) < 6

    def __getitem__(self, row: int) -> Any:
        """Return one text's buckets."""
        codes = self._codes[self._starts[row] : self._starts[row + 1]]
        return np.concatenate([self._grams[code] for code in codes])


def batches(bags: Bags, rows: Any) -> Iterator[tuple[Any, Any, Any, Any]]:
    """Yield rows with their flat buckets, where each begins and what each counts."""
    for at in range(0, len(rows), BATCH):
        some = rows[at : at + BATCH]
        found = [bags[int(row)] for row in some]
        sizes = np.array([len(one) for one in found])
        flat = torch.from_numpy(np.concatenate(found).astype(np.int64))
        starts = torch.from_numpy(np.concatenate([[0], np.cumsum(sizes)[:-1]]))
        yield some, flat, starts, torch.from_numpy(np.repeat(1 / np.sqrt(sizes), sizes).astype(np.float32))


def train(samples: list[source.Sample], classes: tuple[str, ...], epochs: int = EPOCHS) -> tuple[Any, Any]:
    """Return weights [BUCKETS, classes] and bias of a softmax regression; rare classes weigh more."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    bags = Bags([text for text, _, _ in samples])
    labels = torch.tensor([classes.index(label) for _, label, _ in samples])
    bag = torch.nn.EmbeddingBag(shipped.BUCKETS, len(classes), mode="sum")
    torch.nn.init.zeros_(bag.weight)
    bias = torch.zeros(len(classes), requires_grad=True)
    counts = torch.bincount(labels, minlength=len(classes)).float().clamp(min=1)
    weigh = torch.nn.CrossEntropyLoss(weight=(counts.mean() / counts).sqrt().clamp(max=4), label_smoothing=0.02)
    optimiser = torch.optim.Adam([bag.weight, bias], lr=0.03)
    chance = np.random.default_rng(0)
    usable = np.flatnonzero(~bags.empty)
    steps = epochs * (len(usable) // BATCH + 1)
    slope = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: max(0.03, 1 - step / steps))
    for _ in range(epochs):
        for rows, flat, starts, shares in batches(bags, chance.permutation(usable)):
            loss = weigh(bag(flat, starts, per_sample_weights=shares) + bias, labels[torch.from_numpy(rows)])
            loss = loss + 2e-6 * bag.weight.square().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            slope.step()
    return bag.weight.detach().numpy(), bias.detach().numpy()


def quantised(weights: Any, bias: Any, classes: tuple[str, ...]) -> shipped.Model:
    """Return the model in 8 bits; the few weights beyond 127 steps are cut."""
    scale = float(np.quantile(np.abs(weights), 0.9999)) / 127
    table = np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)
    return shipped.Model(classes, table, scale, bias.astype(np.float64), shipped.packed_lanes(table))


def write(model: shipped.Model, sentences: int, out: Path) -> None:
    """Write the weights and the card that belongs to them."""
    lines = base64.encodebytes(zlib.compress(model.weights.tobytes(), 9))
    card = {"name": "demur-language-2", "classes": model.classes, "scale": model.scale,
            "bias": [round(float(value), 6) for value in model.bias], "sha256": hashlib.sha256(lines).hexdigest(),
            "sentences": sentences, "licence": "CC BY-SA 4.0",
            "attribution": "NOTICE; docs/model-cards/language.md"}  # fmt: skip
    (out / "language_model.txt").write_bytes(lines)
    (out / "language_model.json").write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", "utf-8")


def main(data: Path, wheels: Path, out: Path) -> None:
    """Gather, train, quantise, write."""
    samples = [sample for sample in gather(data, wheels) if source.fold(sample[2]) > 2]
    classes = tuple(sorted({label for _, label, _ in samples}))
    samples = widened(samples)
    write(quantised(*train(samples, classes), classes), len(samples), out)
    print(f"{len(samples)} sentences, {len(classes)} classes")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))

# ruff: noqa: T201 (a report on standard output is what it is for)
"""Train the dialect model and measure it on sentences it never saw (docs/languages.md).

    python tools/train_dialects.py ../shared/data src/demur/corpus

Reads xsid_valid, ud_bavarian_maibaam, ud_swiss_german_uzh, ud_norwegian_nynorsklia (CC BY-SA 4.0) and, for standard
varieties, commonvoice_sentences (CC0). Writes ``dialect_model.txt`` and ``dialect_model.json``. Deterministic.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from demur.corpus import dialect as shipped

Sample = tuple[str, str, str]
"""Text, class, key: samples of one key fall on one side of the split."""

XSID = {"de-ba": "bar", "de-muc": "bar", "de-st": "bar-IT", "gsw": "gsw", "nap": "nap", "no": "no",
        "de": "de", "it": "it", "da": "da", "nl": "nl", "en": "en"}  # fmt: skip
VOICE = {"de": "de", "it": "it", "nl": "nl", "sv-SE": "sv", "es": "es", "ro": "ro", "fy-NL": "fy", "rm-sursilv": "rm",
         "rm-vallader": "rm", "et": "et", "hsb": "hsb", "gl": "gl"}  # fmt: skip
VOICE_ROWS = 1500
EPOCHS = 12


def conll(path: Path) -> Iterator[dict[str, str]]:
    """Yield the comments of each sentence as one dictionary."""
    for block in path.read_text("utf-8").split("\n\n"):
        found = dict(re.findall(r"^# ([\w\-]+)\s*[=:] ?(.*)$", block, re.MULTILINE))
        if "text" in found:
            yield found


def samples(data: Path) -> Iterator[Sample]:
    """Yield every sentence with its class and the key of its split."""
    for name, label in XSID.items():
        for row in conll(data / "xsid_valid" / f"{name}.valid.conll"):
            yield row["text"], label, f"xsid {row.get('text-en', row.get('id', row['text']))}"
    for row in conll(next((data / "ud_bavarian_maibaam").glob("*.conllu"))):
        label = "bar-IT" if "South Tyrol" in row.get("location", "") else "bar"
        if not row["sent_id"].startswith("xsid"):
            yield row["text"], label, "maibaam " + re.sub(r"_?\d+$", "", row["sent_id"])
    for row in conll(next((data / "ud_swiss_german_uzh").glob("*.conllu"))):
        yield row["text"], "gsw", f"uzh {row['sent_id']}"
    for path in sorted((data / "ud_norwegian_nynorsklia").glob("*.conllu")):
        for row in conll(path):
            yield row["text"].replace(" #", ""), "nn", "lia " + row.get("dialect", "")
    for name, label in VOICE.items():
        lines = [line for path in sorted((data / "commonvoice_sentences" / name).glob("*.txt"))
                 for line in path.read_text("utf-8").splitlines() if len(line.split()) > 2]  # fmt: skip
        lines.sort(key=lambda line: hashlib.sha256(line.encode()).digest())
        for line in lines[:VOICE_ROWS]:
            yield line, label, f"voice {line}"


def fold(key: str) -> int:
    """Return the fold of a key: 0 and 1 are held out for the test, 2 chooses the threshold, the rest trains."""
    return hashlib.sha256(key.encode()).digest()[0] % 10


def bags(texts: list[str]) -> list[np.ndarray]:
    """Return the buckets of each text's n-grams."""
    signs, starts, sizes = shipped.code_points(texts)
    rows = [shipped.buckets_of(signs, order) for order in shipped.ORDERS]
    return [
        np.concatenate([row[start : start + size][row[start : start + size] < shipped.BUCKETS] for row in rows])
        for start, size in zip(starts, sizes, strict=True)
    ]


def train(texts: list[str], labels: list[int], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return weights [BUCKETS, classes] and bias of a softmax regression; classes weigh alike."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    found = bags(texts)
    bag = torch.nn.EmbeddingBag(shipped.BUCKETS, classes, mode="sum")
    torch.nn.init.zeros_(bag.weight)
    bias = torch.zeros(classes, requires_grad=True)
    counts = torch.bincount(torch.tensor(labels), minlength=classes).float()
    weigh = torch.nn.CrossEntropyLoss(weight=(counts.mean() / counts).sqrt(), label_smoothing=0.02)
    optimiser = torch.optim.Adam([bag.weight, bias], lr=0.02)
    chance = np.random.default_rng(0)
    for _ in range(EPOCHS):
        order = chance.permutation(len(texts))
        for at in range(0, len(order), 256):
            rows = [int(row) for row in order[at : at + 256]]
            flat = torch.from_numpy(np.concatenate([found[row] for row in rows]))
            sizes = [len(found[row]) for row in rows]
            starts = torch.tensor([0, *np.cumsum(sizes)[:-1]])
            shares = torch.tensor(
                np.repeat([1 / math.sqrt(max(size, 1)) for size in sizes], sizes), dtype=torch.float32
            )
            loss = weigh(
                bag(flat, starts, per_sample_weights=shares) + bias, torch.tensor([labels[row] for row in rows])
            )
            loss = loss + 3e-6 * bag.weight.square().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return bag.weight.detach().numpy(), bias.detach().numpy()


def interval(hits: int, total: int) -> str:
    """Return a share with its 95 % Wilson interval."""
    if not total:
        return "-"
    share, z = hits / total, 1.96
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return f"{hits}/{total} = {share:.3f} ({middle - half:.3f}–{middle + half:.3f})"


def report(model: shipped.Model, held: list[Sample]) -> None:
    """Print recall, precision and confusion on held-out sentences."""
    texts = [text for text, _, _ in held]
    chances = shipped.probabilities(texts, model)
    named, right, total = defaultdict(int), defaultdict(int), defaultdict(int)
    confusion: dict[tuple[str, str], int] = defaultdict(int)
    for (text, label, _), row in zip(held, chances, strict=True):
        if len(shipped.plain(text).split()) < shipped.MIN_WORDS:
            continue
        best = model.classes[int(row.argmax())]
        answer = best if best in shipped.PLAUSIBLE and row.max() >= model.threshold else "-"
        total[label] += 1
        named[answer] += 1
        right[label] += answer == (label if label in shipped.PLAUSIBLE else "-")
        confusion[label, answer] += 1
    for label in sorted(total):
        wrong = {
            answer: count for (one, answer), count in confusion.items() if one == label and answer not in {label, "-"}
        }
        print(f"| `{label}` | {interval(right[label], total[label])} | {wrong or ''} |")
    for answer in sorted(set(named) - {"-"}):
        print(f"precision {answer}: {interval(confusion[answer, answer], named[answer])}")


def main(data: Path, out: Path) -> None:
    """Train, quantise, write, report."""
    everything = [sample for sample in samples(data) if shipped.plain(sample[0]).strip()]
    classes = tuple(sorted({label for _, label, _ in everything}))
    learn = [sample for sample in everything if fold(sample[2]) > 2]
    weights, bias = train([text for text, _, _ in learn], [classes.index(label) for _, label, _ in learn], len(classes))
    scale = float(np.abs(weights).max()) / 127
    table = np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)
    packed = table.tobytes()
    card = {"name": shipped.DIALECT, "classes": classes, "scale": scale, "bias": [float(value) for value in bias],
            "threshold": 0.5, "sha256": hashlib.sha256(packed).hexdigest(), "sentences": len(learn),
            "licence": "CC BY-SA 4.0", "attribution": "xSID 0.7 (van der Goot et al.; MaiNLP), UD Bavarian MaiBaam "
            "(Blaschke et al.), UD Swiss German UZH (Aepli, Clematide), UD Norwegian NynorskLIA (Øvrelid et al.); "
            "standard varieties from Common Voice sentences (CC0)"}  # fmt: skip
    (out / "dialect_model.txt").write_bytes(base64.encodebytes(packed))
    (out / "dialect_model.json").write_text(json.dumps(card, ensure_ascii=False, indent=1) + "\n", "utf-8")
    shipped.load.cache_clear()
    model = shipped.load()
    choose = [sample for sample in everything if fold(sample[2]) == 2]
    print("set that the threshold was chosen on")
    report(model, choose)
    print("test set")
    report(model, [sample for sample in everything if fold(sample[2]) < 2])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

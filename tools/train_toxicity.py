# ruff: noqa: T201 (a report on standard output is what it is for)
"""Train a toxicity model and measure it on posts it never saw (docs/filters.md).

    python tools/train_toxicity.py --posts OWN.tsv --out FOLDER
    python tools/train_toxicity.py --data ../shared/data --out FOLDER

``--posts`` takes a platform's own moderated posts: UTF-8, a post a line, ``language<TAB>0 or 1<TAB>text``, line feeds
in a text as blanks. ``--data`` takes the research sets that docs/model-cards/toxicity.md names; their model is for
measuring and not for publishing. Deterministic on one machine; what is written gives the same labels on all.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import itertools
import json
import math
import re
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from demur.corpus import toxicity as shipped

EPOCHS = 10
DECAY = 3e-5
FALSE_POSITIVES = 0.05
"""Share of fine posts that the threshold may call toxic, on posts left out of training."""
LEAST_RECALL = 0.2
"""A language whose model finds less at that share is left out: unknown."""
MOST_HARMLESS = 0.1
"""A language whose model calls more of the made-up harmless sentences toxic is left out too."""
ASSUMED = 0.05
"""Share of toxic posts on a platform, for the precision that a platform would see; research sets hold far more."""
PROBES = json.loads(Path(__file__).with_name("toxicity_probes.json").read_text("utf-8"))
"""Language → stems of words for groups of people, and the parts of harmless sentences."""


@dataclass(frozen=True, slots=True)
class Post:
    """A labelled post."""

    language: str
    toxic: bool
    text: str
    key: str
    """Posts of one key, such as one author, fall on one side of the split."""
    test: bool | None = None
    """A split that the set itself makes; ``None`` = by the key."""


def own(path: Path) -> Iterator[Post]:
    """Yield a platform's moderated posts."""
    for line in path.read_text("utf-8").rstrip("\n").split("\n"):
        language, label, text = line.split("\t", 2)
        yield Post(language.split("-")[0].lower(), label == "1", text, text)


def research(data: Path) -> Iterator[Post]:
    """Yield the research sets under a folder."""
    for part in ("training", "test"):
        for line in (data / f"germeval2018/germeval2018.{part}.txt").read_text("utf-8").rstrip("\n").split("\n"):
            text, label, _ = line.split("\t")
            yield Post("de", label == "OFFENSE", text.replace("|LBR|", " "), text, part == "test")
    with (data / "told_br/ToLD-BR.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):  # of three people's votes at least two on one kind
            votes = max(float(value) for name, value in row.items() if name != "text")
            yield Post("pt", votes >= 2, row["text"], row["text"])
    for part in ("training", "test"):
        path = data / f"dkhate/offenseval-da-{part}-v1.tsv"
        for line in path.read_text("utf-8-sig").rstrip("\n").split("\n")[1:]:
            if line.count("\t") == 2:
                _, text, label = line.split("\t")
                yield Post("da", label == "OFF", text, text)
    with zipfile.ZipFile(data / "mlma_french/hate_speech_mlma.zip") as archive:
        for language in ("fr", "en", "ar"):
            with archive.open(f"hate_speech_mlma/{language}_dataset.csv") as packed:
                for row in csv.DictReader(io.TextIOWrapper(packed, "utf-8")):
                    yield Post(language, row["sentiment"] != "normal", row["tweet"], row["tweet"])
    with (data / "ro_fb_offense/ro-fb-offense.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Post("ro", row["label"] != "OTHER", row["text"], row["sender"])


def is_test(post: Post) -> bool:
    """Say whether a post is held out for the report."""
    if post.test is not None:
        return post.test
    return hashlib.sha256(post.key.encode()).digest()[0] % 10 < 3


def fold(post: Post) -> int:
    """Return which of three folds chooses the threshold on a training post."""
    return hashlib.sha256(post.key.encode()).digest()[1] % 3


def bags(texts: list[str]) -> list[np.ndarray]:
    """Return the buckets of each text's n-grams."""
    signs, starts = shipped.letters_only(pa.array(texts, pa.string()))
    rows = [(buckets.astype(np.int64), inside) for _, buckets, inside in shipped.ngrams(signs)]
    return [
        np.concatenate([buckets[start:end][inside[start:end]] for buckets, inside in rows])
        for start, end in itertools.pairwise(starts)
    ]


def train(found: list[np.ndarray], labels: list[bool]) -> tuple[np.ndarray, float]:
    """Return weights [BUCKETS] and bias of a logistic regression; both classes weigh alike."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    bag = torch.nn.EmbeddingBag(shipped.BUCKETS, 1, mode="sum")
    torch.nn.init.zeros_(bag.weight)
    bias = torch.zeros(1, requires_grad=True)
    share = sum(labels) / len(labels)
    weigh = torch.nn.BCEWithLogitsLoss(pos_weight=torch.tensor([(1 - share) / share]))
    optimiser = torch.optim.Adam([bag.weight, bias], lr=0.01)
    chance = np.random.default_rng(0)
    for _ in range(EPOCHS):
        order = chance.permutation(len(found))
        for at in range(0, len(order), 256):
            rows = [int(row) for row in order[at : at + 256]]
            flat = torch.from_numpy(np.concatenate([found[row] for row in rows]))
            sizes = [len(found[row]) for row in rows]
            starts = torch.tensor([0, *np.cumsum(sizes)[:-1]])
            each = torch.tensor(np.repeat([1 / math.sqrt(max(size, 1)) for size in sizes], sizes), dtype=torch.float32)
            odds = bag(flat, starts, per_sample_weights=each)[:, 0] + bias
            loss = weigh(odds, torch.tensor([float(labels[row]) for row in rows]))
            loss = loss + DECAY * bag.weight.square().sum()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return bag.weight.detach().numpy()[:, 0], float(bias.detach())


def odds_of(found: list[np.ndarray], weights: np.ndarray, bias: float) -> np.ndarray:
    """Return the log-odds of each bag under weights not yet rounded."""
    return np.array([weights[bag].sum() / math.sqrt(max(len(bag), 1)) + bias for bag in found])


def learn(posts: list[Post]) -> tuple[np.ndarray, float, float, float]:
    """Return weights, bias, threshold and the recall there; threshold and recall are of posts left out in turn."""
    found, labels = bags([post.text for post in posts]), [post.toxic for post in posts]
    odds, truth = np.zeros(len(posts)), np.array(labels)
    for out in range(3):
        inside = [row for row, post in enumerate(posts) if fold(post) != out]
        outside = [row for row, post in enumerate(posts) if fold(post) == out]
        model = train([found[row] for row in inside], [labels[row] for row in inside])
        odds[outside] = odds_of([found[row] for row in outside], *model)
    threshold = max(float(np.quantile(odds[~truth], 1 - FALSE_POSITIVES)), 0.0)  # never below even odds
    weights, bias = train(found, labels)
    return weights, bias, threshold, float((odds[truth] >= threshold).mean())


def harmless(language: str, words: str) -> list[str]:
    """Return made-up sentences that say nothing but that somebody is of a group, or of a trade."""
    probe = PROBES.get(language, {"frames": [], words: []})
    return [frame.replace("{}", word) for frame in probe["frames"] for word in probe[words]]


def why_not(recall: float, false: float) -> str | None:
    """Return why a language is left out, or ``None``."""
    if recall < LEAST_RECALL:
        return f"finds {recall:.2f} of toxic posts at {FALSE_POSITIVES:.0%} false ones"
    if false > MOST_HARMLESS:
        return f"calls {false:.2f} of harmless sentences toxic"
    return None


def interval(hits: int, total: int) -> str:
    """Return a share with its 95 % Wilson interval."""
    if not total:
        return "-"
    share, z = hits / total, 1.96
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total)) / (1 + z * z / total)
    return f"{share:.3f} ({middle - half:.3f}–{middle + half:.3f})"


def f1_interval(named: np.ndarray, truth: np.ndarray) -> str:
    """Return F1 with a 95 % interval of 1,000 bootstrap samples."""
    chance, found = np.random.default_rng(0), []
    for _ in range(1_000):
        rows = chance.integers(0, len(truth), len(truth))
        found.append(2 * (named & truth)[rows].sum() / max(named[rows].sum() + truth[rows].sum(), 1))
    low, high = np.quantile(found, [0.025, 0.975])
    return f"{2 * (named & truth).sum() / max(named.sum() + truth.sum(), 1):.3f} ({low:.3f}–{high:.3f})"


def tagged(texts: list[str], language: str, model: shipped.Model) -> np.ndarray:
    """Return which texts the shipped code calls toxic."""
    labels, _ = shipped.tag_toxicity(pa.array(texts, pa.string()), pa.array([language] * len(texts)), model)
    return np.array([label is not None for label in labels.to_pylist()], bool)


def report(model: shipped.Model, held: dict[str, list[Post]]) -> None:
    """Print what the model does on posts it never saw."""
    print("| language | posts, toxic | precision | recall | F1 | fine posts called toxic | precision at 5 % toxic |")
    print("|---|---|---|---|---|---|---|")
    for language in model.languages:
        posts = held[language]
        named, truth = tagged([post.text for post in posts], language, model), np.array([post.toxic for post in posts])
        hits, wrong = int((named & truth).sum()), int((named & ~truth).sum())
        recall, false = hits / truth.sum(), wrong / (~truth).sum()
        seen = ASSUMED * recall / max(ASSUMED * recall + (1 - ASSUMED) * false, 1e-9)
        print(
            f"| {language} | {len(posts)}, {truth.mean():.0%} | {interval(hits, int(named.sum()))} "
            f"| {interval(hits, int(truth.sum()))} | {f1_interval(named, truth)} "
            f"| {interval(wrong, int((~truth).sum()))} | {seen:.2f} |"
        )


def report_groups(model: shipped.Model, held: dict[str, list[Post]]) -> None:
    """Print how often fine posts are called toxic when they name a group, and made-up harmless sentences about one."""
    print("| language | fine, names a group | fine, names none | harmless sentences, a group | the same, a trade |")
    print("|---|---|---|---|---|")
    for language in sorted(set(model.languages) & set(PROBES)):
        probe = PROBES[language]
        fine = [post.text for post in held[language] if not post.toxic]
        about = np.array([re.search(probe["stems"], text, re.IGNORECASE) is not None for text in fine])
        named = tagged(fine, language, model)
        cells = [interval(int(named[part].sum()), int(part.sum())) for part in (about, ~about)]
        for words in ("groups", "trades"):
            made = harmless(language, words)
            called = tagged(made, language, model)
            cells.append(f"{interval(int(called.sum()), len(made))} of {len(made)}")
        print(f"| {language} | {' | '.join(cells)} |")


def main(arguments: list[str] | None = None) -> None:
    """Train, round, write, report."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = asked.add_mutually_exclusive_group(required=True)
    source.add_argument("--posts", type=Path)
    source.add_argument("--data", type=Path)
    asked.add_argument("--out", type=Path, required=True)
    told = asked.parse_args(arguments)
    learned, held = defaultdict(list), defaultdict(list)
    for post in own(told.posts) if told.posts else research(told.data):
        (held if is_test(post) else learned)[post.language].append(post)
    card: dict[str, list[object]] = defaultdict(list)
    tables = []
    for language in sorted(learned):
        weights, bias, threshold, recall = learn(learned[language])
        probes = bags([text for words in ("groups", "trades") for text in harmless(language, words)])
        false = float((odds_of(probes, weights, bias) >= threshold).mean()) if probes else 0.0
        if fault := why_not(recall, false):
            print(f"{language}: left out, {fault}")
            continue
        scale = float(np.abs(weights).max()) / 127
        tables.append(np.clip(np.rint(weights / scale), -127, 127).astype(np.int8))
        for key, value in (("languages", language), ("scale", scale), ("bias", bias), ("threshold", threshold)):
            card[key].append(value)
        card["posts"].append(len(learned[language]))
    shipped.write_model(told.out, dict(card), np.stack(tables))
    model = shipped.read_model(told.out)
    print(f"digest {model.digest}")
    report(model, held)
    report_groups(model, held)


if __name__ == "__main__":
    main()

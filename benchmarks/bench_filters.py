"""Filters: posts per CPU-second of quality and toxicity, beside counting words and letters of each post in Python.

    python benchmarks/bench_filters.py            speed on made-up posts
    python benchmarks/bench_filters.py FOLDER     and, per set of real posts, the share that quality takes out

FOLDER holds the development sets and their ``read_dev.py``. Weights of the toxicity model are chance: its speed
doesn't depend on them.
"""

from __future__ import annotations

import importlib.util
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from demur.corpus.language import tag_language
from demur.corpus.quality import REASONS, tag_quality
from demur.corpus.quality_words import FUNCTION_WORDS
from demur.corpus.toxicity import BUCKETS, Model, tag_toxicity

POSTS = 100_000
LANGUAGES = ("de", "en", "fr", "pl", "ru", "el", "lv", "pt")


def made_up() -> tuple[Any, Any]:
    """Return posts of about a hundred signs, and their languages."""
    chance = random.Random(7)
    texts, languages = [], []
    for _ in range(POSTS):
        language = chance.choice(LANGUAGES)
        words = [word + chance.choice(["", "er", "sta", "no"]) for word in FUNCTION_WORDS[language].split()]
        text = " ".join(chance.choices(words, k=chance.randint(5, 36)))
        texts.append(
            chance.choice(["", "@someone ", "#topic ", "😀 "])
            + text
            + chance.choice([".", "!!!", " https://a.example/1"])
        )
        languages.append(language)
    return pa.array(texts), pa.array(languages)


def by_hand(texts: Any) -> list[tuple[int, int]]:
    """Count words and letters of each post in Python: the least that a filter of one post at a time would do."""
    return [(len(text.split()), sum(map(str.isalpha, text))) for text in texts.to_pylist()]


def speed(call: Callable[[], Any]) -> float:
    """Return posts per CPU-second, the best of three."""
    call()
    taken = []
    for _ in range(3):
        begun = time.process_time()
        call()
        taken.append(time.process_time() - begun)
    return POSTS / min(taken)


def sets(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield each set's name and its texts."""
    spec = importlib.util.spec_from_file_location("read_dev", folder / "read_dev.py")
    assert spec is not None
    assert spec.loader is not None
    reader = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reader)
    for name, read in reader.SETS["dev"].items():
        texts = defaultdict(list)
        for row in read(str(folder / name)):
            if row["text"] and row["text"].strip():
                texts["profiles" if row["kind"] == "profile" else ""].append(row["text"])
        for kind, found in sorted(texts.items()):
            yield f"{name} {kind}".strip(), found


def real(folder: Path) -> None:
    """Print the share of real posts that quality takes out, and why; languages as ``tag_language`` says."""
    print("| set | posts | out | why |\n|---|---|---|---|")
    for name, texts in sets(folder):
        column = pa.array(texts, pa.string())
        found = Counter(tag_quality(column, tag_language(column)[0]).to_pylist())
        out = sum(found[reason] for reason in REASONS)
        why = ", ".join(f"{reason} {found[reason]}" for reason in REASONS if found[reason])
        print(f"| {name} | {len(texts):,} | {out / len(texts):.2%} | {why} |", flush=True)


def main() -> None:
    texts, languages = made_up()
    weights = np.random.default_rng(7).integers(-127, 128, (len(LANGUAGES), BUCKETS), np.int8)
    ones = np.ones(len(LANGUAGES))
    model = Model(LANGUAGES, weights, ones / 100, ones * 0, ones, "chance")
    hand = speed(lambda: by_hand(texts))
    quality = speed(lambda: tag_quality(texts, languages))
    toxicity = speed(lambda: tag_toxicity(texts, languages, model))
    signs = sum(map(len, texts.to_pylist())) / POSTS
    print(f"posts per CPU-second, {signs:.0f} signs each: quality {quality:,.0f}, toxicity {toxicity:,.0f}")
    print(f"counting words and letters of each in Python: {hand:,.0f}")
    print(f"speed beside that: quality {quality / hand:.2f}, toxicity {toxicity / hand:.2f}")
    if len(sys.argv) > 1:
        real(Path(sys.argv[1]))


if __name__ == "__main__":
    main()

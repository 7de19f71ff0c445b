"""Languages and dialects: measured floors on real sentences, unknown where nothing can be said."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from demur.corpus.dialect import PLAUSIBLE, load, tag_dialect
from demur.corpus.language import UNKNOWN, tag_language

DATA = Path(__file__).parents[3] / "shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="real sentences are not here")

FLOORS = {
    "cs": 0.94, "cy": 0.97, "de": 0.97, "el": 0.98, "es": 0.94, "et": 0.97, "ga-IE": 0.97, "hu": 0.97, "it": 0.97,
    "lv": 0.97, "mt": 0.96, "nl": 0.97, "pl": 0.97, "ro": 0.97, "sk": 0.74, "sl": 0.86, "sv-SE": 0.96, "eu": 0.97,
}  # fmt: skip
"""Locale of Common Voice → least share of right answers without a hint (docs/languages.md, less a margin)."""


def sentences(folder: str, count: int) -> list[str]:
    lines = [line for path in sorted((DATA / "commonvoice_sentences" / folder).glob("*.txt"))
             for line in path.read_text("utf-8").splitlines() if sum(map(str.isalpha, line)) >= 20]  # fmt: skip
    return sorted(lines, key=lambda line: hashlib.sha256(line.encode()).digest())[:count]


def texts_of(path: Path) -> list[str]:
    return [line[9:].strip() for line in path.read_text("utf-8").splitlines() if line.startswith("# text = ")]


def tags(texts: list[str], hint: str | None = None) -> list[str]:
    hints = pa.array([hint] * len(texts), pa.string())
    return tag_language(pa.array(texts, pa.string()), hints)[0].to_pylist()


@needs_data
@pytest.mark.parametrize("folder", sorted(FLOORS))
def test_languages_are_told(folder: str) -> None:
    texts, expected = sentences(folder, 120), folder.split("-")[0]
    assert sum(tag == expected for tag in tags(texts)) / len(texts) >= FLOORS[folder]


@needs_data
def test_tweets_and_wrong_hints() -> None:
    lines = (DATA / "germeval2018/germeval2018.test.txt").read_text("utf-8").splitlines()[:150]
    tweets = [line.split("\t")[0] for line in lines]
    assert sum(tag == "de" for tag in tags(tweets)) / len(tweets) >= 0.96
    assert sum(tag == "de" for tag in tags(tweets, "fr")) / len(tweets) >= 0.96


@needs_data
@pytest.mark.parametrize(
    ("name", "dialect", "floor"), [("gsw", "gsw", 0.75), ("nap", "nap", 0.8), ("de-ba", "bar", 0.75)]
)
def test_dialects_keep_their_language_and_get_a_tag(name: str, dialect: str, floor: float) -> None:
    texts = [text for text in texts_of(DATA / f"xsid_valid/{name}.valid.conll") if len(text) >= 20][:120]
    languages, _ = tag_language(pa.array(texts))
    found = tag_dialect(pa.array(texts), languages).to_pylist()
    assert sum(tag == dialect for tag in found) / len(texts) >= floor
    assert sum(tag in {"de", "it"} for tag in languages.to_pylist()) / len(texts) >= 0.85


@needs_data
@pytest.mark.parametrize("folder", ["de", "it", "nl", "es"])
def test_standard_languages_get_no_dialect(folder: str) -> None:
    texts = sentences(folder, 300)
    found = tag_dialect(pa.array(texts), pa.array([folder] * len(texts))).to_pylist()
    assert sum(tag is not None for tag in found) <= 4


@pytest.mark.parametrize(
    "text", ["", "   ", "12345 67890", "😀🔥", "lol", "<EMAIL> <PHONE>", "@anna #berlin https://x.example/abcdef"]
)
def test_too_little_is_unknown(text: str) -> None:
    assert tags([text], "de") == [UNKNOWN]


def test_a_tag_does_not_depend_on_the_batch() -> None:
    texts = [
        "Det är en vacker dag i skogen idag",
        None,
        "Guten Morgen zusammen, wie geht es euch?",
        "Dobrý den, jak se máte dnes?",
    ]
    languages, confidence = tag_language(pa.array(texts))
    backwards, _ = tag_language(pa.array(texts[::-1]))
    assert languages.to_pylist() == backwards.to_pylist()[::-1]
    assert languages.to_pylist()[:3] == ["sv", UNKNOWN, "de"]
    assert all(0 <= score <= 1 for score in confidence.to_pylist())


def test_the_dialect_model_is_the_one_released() -> None:
    model = load()
    assert set(PLAUSIBLE) < set(model.classes)
    assert not model.weights[:, -1].any()
    assert tag_dialect(pa.array([None, "kurz"]), pa.array(["de", "de"])).to_pylist() == [None, None]

"""Toxicity of posts by a linear model over hashed character n-grams, trained by whoever runs it (docs/filters.md).

A filter, not a right, and off by default. demur ships no weights: the public sets to train on are posts of people who
were asked for nothing, and what counts as abuse is the platform's to say (docs/model-cards/toxicity.md). Labels come
from integer sums, so they are equal on every machine; a language that no weights were trained for is unknown.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.quality_signs import Codes, Flags, Ints, chunks, lowered, mark, read, spans, whole
from demur.errors import ConfigError

TOXICITY = "demur-toxicity-1"
"""Name of the frozen features and file format; the digest of a model says which weights."""

TOXIC = "toxic"
BITS = 15
BUCKETS = 1 << BITS
ORDERS = (2, 3, 4, 5)
WEIGHTS_FILE = "toxicity_model.txt"
CARD_FILE = "toxicity_model.json"


@dataclass(frozen=True, slots=True)
class Model:
    """Weights of several languages, each a model of its own."""

    languages: tuple[str, ...]
    weights: npt.NDArray[np.int8]
    """[languages, BUCKETS]"""
    scale: npt.NDArray[np.float64]
    """[languages]: weight of one step."""
    bias: npt.NDArray[np.float64]
    """[languages]"""
    threshold: npt.NDArray[np.float64]
    """[languages]: log-odds from which a post is called toxic."""
    digest: str
    """SHA-256 over all of these; what a recipe names."""


def tag_toxicity(texts: Any, languages: Any, model: Model) -> tuple[Any, Any]:
    """Tag a batch of texts.

    Args:
        texts: Arrow string array, redacted or not; null counts as empty.
        languages: Arrow string array of BCP 47 tags, as long; null, ``und`` or one the model doesn't know = unknown.
        model: what ``read_model`` returned.

    Returns:
        Arrow string array: ``toxic`` or null; and Arrow float32 array: a score between 0 and 1 that ranks posts of one
        language and is no probability, null = unknown.
    """
    strings, tags = whole(texts), whole(languages)
    odds = np.full(len(strings), np.nan)
    chosen = np.full(len(strings), -1, np.int64)
    for at, chunk in chunks(strings):
        place = _places(tags.slice(at, len(chunk)), model)
        asked = np.flatnonzero(place >= 0)
        chosen[at + asked] = place[asked]
        odds[at + asked] = log_odds(chunk.take(pa.array(asked)), place[asked], model)
    known = ~np.isnan(odds)
    toxic = np.zeros(len(strings), bool)
    toxic[known] = odds[known] >= model.threshold[chosen[known]]
    share = np.zeros(len(strings), np.float32)
    share[known] = 1 / (1 + np.exp(-odds[known]))
    labels = pa.array([TOXIC], pa.string()).take(pa.array(np.zeros(len(strings), np.int64), mask=~toxic))
    return labels, pa.array(share, pa.float32(), mask=~known)


def log_odds(texts: Any, places: Ints, model: Model) -> npt.NDArray[np.float64]:
    """Return the log-odds of each text under the model of its language; not a number where there is no letter.

    Args:
        texts: Arrow string array; null counts as empty.
        places: [texts], which language of the model each is in.
        model: the weights.
    """
    signs, starts = letters_only(texts)
    table, sizes = model.weights.reshape(-1), np.diff(starts)
    shift = np.repeat((places * BUCKETS).astype(np.uint32), sizes)
    sums, grams = np.zeros(len(places), np.int64), np.zeros(len(places), np.int64)
    for order, buckets, inside in ngrams(signs):
        steps = table.take(buckets + shift, mode="clip")
        steps *= inside
        sums += np.add.reduceat(steps, starts[:-1], dtype=np.int32) if len(sizes) else 0
        grams += np.maximum(sizes - order, 0)
    odds = sums * (model.scale[places] / np.sqrt(np.maximum(grams, 1))) + model.bias[places]
    odds[sizes <= 2] = np.nan
    return odds


def letters_only(texts: Any) -> tuple[Codes, Ints]:
    """Return the letters that count, and where each text begins.

    Lower case, words between single blanks, a zero after each text; links, handles, hashtags and placeholders are left
    out, a sign goes on at most twice.
    """
    signs = read(pc.binary_join_element_wise(" ", pc.fill_null(texts.cast(pa.string()), ""), " \0", ""))
    codes, marks = signs.codes, mark(signs)
    kept = marks.letters & ~marks.outside
    words = spans(signs, kept)
    if len(codes) > 2:
        kept[2:] &= (codes[2:] != codes[1:-1]) | (codes[2:] != codes[:-2]) | ~kept[1:-1] | ~kept[:-2]
    stops = np.flatnonzero(codes == 0)
    chosen = kept.copy()
    chosen[words.starts - 1] = chosen[stops] = chosen[stops - 1] = True
    row = np.where(kept, lowered(codes), np.uint32(ord(" ")))
    row[stops] = 0
    return row[chosen], np.concatenate([[0], np.cumsum(signs.per_text(chosen))])


def ngrams(signs: Codes) -> Iterator[tuple[int, Codes, Flags]]:
    """Yield each order, with the bucket of the n-gram that begins at each sign and whether it ends within its text."""
    length = len(signs)
    padded = np.concatenate([signs, np.zeros(max(ORDERS), np.uint32)])
    state = np.full(length, 0x9E3779B1, np.uint32)
    inside = np.ones(length, bool)
    for step in range(max(ORDERS)):
        moved = padded[step : step + length]
        state = (state ^ moved) * np.uint32(0x01000193)
        state ^= state >> np.uint32(15)
        inside = inside & (moved != 0)
        if step + 1 in ORDERS:
            yield step + 1, (state * np.uint32(0x85EBCA6B)) >> np.uint32(32 - BITS), inside


def write_model(folder: Path, card: dict[str, Any], weights: npt.NDArray[np.int8]) -> None:
    """Write a model; the card is written last, with the digest of both.

    Args:
        folder: where to.
        card: ``languages``, ``scale``, ``bias``, ``threshold`` in the same order; anything else is kept as said.
        weights: [languages, BUCKETS].
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / WEIGHTS_FILE).write_bytes(base64.encodebytes(weights.tobytes()))
    full = {"name": TOXICITY, **card, "digest": _digest(card, weights)}
    (folder / CARD_FILE).write_text(json.dumps(full, ensure_ascii=False, indent=1) + "\n", "utf-8")


@lru_cache(maxsize=2)
def read_model(folder: Path) -> Model:
    """Read a model that ``tools/train_toxicity.py`` wrote.

    Raises:
        ConfigError: when there is none, or its files don't belong together.
    """
    try:
        card = json.loads((folder / CARD_FILE).read_text("utf-8"))
        packed = base64.decodebytes((folder / WEIGHTS_FILE).read_bytes())
        weights = np.frombuffer(packed, np.int8).reshape(len(card["languages"]), BUCKETS)
        digest = _digest(card, weights)
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise ConfigError(f"expected a toxicity model of {TOXICITY}, found none that can be read; train one") from fault
    if card.get("name") != TOXICITY or card.get("digest") != digest:
        raise ConfigError("the toxicity model differs from its digest or is of another version; train it again")
    scale, bias, threshold = (np.array(card[key], np.float64) for key in ("scale", "bias", "threshold"))
    return Model(tuple(card["languages"]), weights, scale, bias, threshold, digest)


def _digest(card: dict[str, Any], weights: npt.NDArray[np.int8]) -> str:
    facts = json.dumps([TOXICITY, *(card[key] for key in ("languages", "scale", "bias", "threshold"))])
    return hashlib.sha256(facts.encode() + weights.tobytes()).hexdigest()


def _places(languages: Any, model: Model) -> Ints:
    """Return which language of the model each text is in, -1 = none."""
    distinct = languages.dictionary_encode()
    known = {language: place for place, language in enumerate(model.languages)}
    bases = [(tag or "").split("-")[0].lower() for tag in distinct.dictionary.to_pylist()]
    places = np.array([*(known.get(base, -1) for base in bases), -1], np.int64)
    found: Ints = places[np.asarray(distinct.indices.fill_null(len(bases))).astype(np.int64)]
    return found

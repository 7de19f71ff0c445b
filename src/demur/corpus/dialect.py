"""Dialect tags by a small linear model of our own over hashed character n-grams (COR-06, docs/languages.md).

No packaged tool knows these dialects (EVIDENCE §3). The model is a table of 8-bit weights shipped as package data and
trained by ``tools/train_dialects.py``; sums are of integers, so a tag is the same on every machine. Standard varieties
are classes of their own, and below the threshold the answer is null: unknown, never guessed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from demur.errors import BrokenError

DIALECT = "demur-dialect-1"
"""Name of the frozen model."""

BUCKETS = 1 << 14
ORDERS = (2, 3, 4, 5)
MAX_SIGNS = 240
MIN_WORDS = 3

_CHUNK_ROWS = 256
_NOT_TEXT = re.compile(r"<[A-Z_]{2,10}>|(?:https?://|www\.)\S+|[@#]\w+")
_NOT_LETTERS = re.compile(r"[^\w'’]+|[\d_]+")

PLAUSIBLE = {
    "bar": frozenset({"de", "lb", "und"}),
    "bar-IT": frozenset({"de", "lb", "und"}),
    "gsw": frozenset({"de", "lb", "und"}),
    "nap": frozenset({"it", "und"}),
}
"""Dialect → languages that a language tagger may have taken it for; with any other the model isn't asked.

Norwegian dialects are a class of the model but never named: there was no standard Bokmål to tell them from.
"""

LANGUAGE_OF = {"bar": "de", "bar-IT": "de", "gsw": "de", "nap": "it"}
"""Dialect → the language that its speakers write beside it."""

_ASKED = frozenset().union(*PLAUSIBLE.values())


@dataclass(frozen=True, slots=True)
class Model:
    """The table of weights and what its columns mean."""

    classes: tuple[str, ...]
    """Dialects and standard varieties, in the order of columns."""
    weights: npt.NDArray[np.int8]
    """[classes, BUCKETS + 1]; the last column is zero and stands for no n-gram."""
    scale: float
    """Weight of one step."""
    bias: npt.NDArray[np.float64]
    threshold: float
    """Probability from which a dialect is named."""


def tag_dialect(texts: Any, languages: Any) -> Any:
    """Tag a batch of texts.

    Args:
        texts: Arrow string array, redacted; null counts as empty.
        languages: Arrow string array of their languages, as long.

    Returns:
        Arrow string array of BCP 47 tags (docs/languages.md); null = standard, unknown or not asked.
    """
    strings, tags = texts.to_pylist(), languages.to_pylist()
    asked = [row for row, tag in enumerate(tags) if (tag or "und").split("-")[0] in _ASKED and strings[row]]
    found: list[str | None] = [None] * len(strings)
    for at in range(0, len(asked), _CHUNK_ROWS):
        rows = asked[at : at + _CHUNK_ROWS]
        for row, dialect in zip(rows, dialects_of([strings[row] for row in rows]), strict=True):
            if dialect is not None and (tags[row] or "und").split("-")[0] in PLAUSIBLE[dialect]:
                found[row] = dialect
    return pa.array(found, pa.string())


def dialects_of(texts: list[str]) -> list[str | None]:
    """Return the dialect of each text, or ``None``."""
    model = load()
    chances = probabilities(texts, model)
    best = chances.argmax(axis=1)
    found: list[str | None] = []
    for text, place, row in zip(texts, best, chances, strict=True):
        name = model.classes[place]
        sure = name in PLAUSIBLE and row[place] >= model.threshold and len(plain(text).split()) >= MIN_WORDS
        found.append(name if sure else None)
    return found


def probabilities(texts: list[str], model: Model) -> npt.NDArray[np.float64]:
    """Return the probability of each class, [texts, classes]."""
    signs, starts, sizes = code_points(texts)
    sums = np.zeros((len(texts), len(model.classes)), np.int64)
    counts = np.zeros(len(texts), np.int64)
    for order in ORDERS:
        buckets = buckets_of(signs, order)
        for place in range(len(model.classes)):
            sums[:, place] += np.add.reduceat(model.weights[place].take(buckets), starts, dtype=np.int32)
        counts += np.maximum(sizes - order, 0)
    scores = sums * (model.scale / np.sqrt(np.maximum(counts, 1)))[:, None] + model.bias
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float64] = scores / scores.sum(axis=1, keepdims=True)
    return shares


def plain(text: str) -> str:
    """Return the letters that count: lower case, words between single spaces, cut to a fixed length."""
    words = _NOT_LETTERS.sub(" ", _NOT_TEXT.sub(" ", text).lower()).split()
    return " " + " ".join(words)[: MAX_SIGNS - 2] + " "


def code_points(texts: list[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return all signs in one row with a zero after each text, where each text starts, its length with the zero."""
    cleaned = [plain(text) for text in texts]
    signs = np.frombuffer(("\0".join(cleaned) + "\0").encode("utf-32-le"), "<u4").astype(np.uint32)
    sizes = np.array([len(text) + 1 for text in cleaned], np.int64)
    return signs, np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes


def buckets_of(signs: npt.NDArray[np.uint32], order: int) -> npt.NDArray[np.int64]:
    """Return the bucket of the n-gram that begins at each place; BUCKETS where it would run over a text's end."""
    length = len(signs)
    hashed = np.full(length, order * 0x9E3779B1 & 0xFFFFFFFF, np.uint32)
    crossing = np.zeros(length, bool)
    for step in range(order):
        moved = np.zeros(length, np.uint32)
        moved[: length - step] = signs[step:]
        hashed = (hashed ^ moved) * np.uint32(0x01000193)
        hashed ^= hashed >> np.uint32(15)
        crossing |= moved == 0
    buckets = ((hashed * np.uint32(0x85EBCA6B)) >> np.uint32(18)).astype(np.int64)
    buckets[crossing] = BUCKETS
    return buckets


@lru_cache(maxsize=1)
def load() -> Model:
    """Read the shipped model and check its digest.

    Raises:
        BrokenError: when the file isn't the one that was released.
    """
    folder = resources.files("demur.corpus")
    card = json.loads(folder.joinpath("dialect_model.json").read_text("utf-8"))
    packed = base64.decodebytes(folder.joinpath("dialect_model.txt").read_bytes())
    if hashlib.sha256(packed).hexdigest() != card["sha256"]:
        raise BrokenError("the dialect model differs from its digest; install demur again")
    table = np.frombuffer(packed, np.int8).reshape(BUCKETS, len(card["classes"]))
    weights = np.zeros((table.shape[1], BUCKETS + 1), np.int8)
    weights[:, :BUCKETS] = table.T
    return Model(tuple(card["classes"]), weights, card["scale"], np.array(card["bias"]), card["threshold"])

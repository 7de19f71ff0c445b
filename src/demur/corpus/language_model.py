"""One small linear model of our own for languages, dialects and regional standards (COR-06, docs/languages.md).

A text is its words; a word is its hashed character n-grams and itself; each n-gram has one 8-bit weight for each class.
A batch is evaluated at once: every distinct word once, as columns of integers packed in 64-bit lanes. Sums are of
integers and one division, so a score is the same on every machine and in every batch. What scores mean is said in
``language``, ``dialect`` and ``mixed``. Trained by ``tools/train_languages.py``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from demur.errors import BrokenError

BITS = 15
BUCKETS = 1 << BITS
ORDERS = (2, 3, 4, 5)
MAX_SIGNS = 320
"""Signs of a text that are looked at."""
MAX_WORD = 20
"""Letters of a word that are looked at; keeps a word's n-grams under 128, so a 16-bit lane never overflows."""
CHUNK_ROWS = 2048

NOT_TEXT = r"<[A-Z_]{2,10}>|(?:https?://|www\.)\S+|[@#][\p{L}\p{N}_.]+"
_NOT_LETTERS = r"[^\p{L}\p{M}'’]+"
_ZERO = 128
"""What a weight of zero is stored as in a lane."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Model:
    """The table of weights and what its columns mean."""

    classes: tuple[str, ...]
    weights: npt.NDArray[np.int8]
    """[BUCKETS, classes]."""
    scale: float
    """What one step of a weight is worth in logits."""
    bias: npt.NDArray[np.float64]
    lanes: npt.NDArray[np.uint64]
    """[classes / 4, BUCKETS + 1]: four weights, raised by ``_ZERO``, in one number; the last place is no n-gram."""


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a batch of texts."""

    distinct: Any
    """Arrow string array: every word once."""
    codes: Integers
    """Word of each place, all texts in one row."""
    starts: Integers
    """Where each text's words begin, and the end: one more than there are texts."""


def words_of(texts: Any) -> Words:
    """Split a batch into words: lower case, without placeholders, addresses, handles, hashtags, signs and digits.

    Args:
        texts: Arrow string array; null counts as empty.
    """
    short = pc.utf8_slice_codeunits(pc.fill_null(pc.cast(texts, pa.string()), ""), 0, MAX_SIGNS)
    plain = pc.replace_substring_regex(short, NOT_TEXT, " ")
    plain = pc.utf8_trim(pc.replace_substring_regex(pc.utf8_lower(plain), _NOT_LETTERS, " "), " ")
    lists = pc.split_pattern(plain, " ")
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.combine_chunks()
    encoded = lists.flatten().dictionary_encode()
    starts = np.asarray(lists.offsets, np.int64) - lists.offsets[0].as_py()
    return Words(encoded.dictionary, np.asarray(encoded.indices, np.int64), starts)


def buckets_of(distinct: Any) -> tuple[Integers, Integers]:
    """Return the buckets of all words' n-grams in one row, ``BUCKETS`` for none, and where each word's begin.

    Args:
        distinct: Arrow string array of words.
    """
    padded = pc.binary_join_element_wise("_", pc.utf8_slice_codeunits(distinct, 0, MAX_WORD), "_", "")
    signs = np.frombuffer(("\0".join(padded.to_pylist()) + "\0").encode("utf-32-le"), "<u4").astype(np.uint32)
    ends = np.flatnonzero(signs == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    buckets = np.full((len(signs), len(ORDERS) + 1), BUCKETS, np.int64)
    rolled = (signs ^ np.uint32(0x811C9DC5)) * np.uint32(0x01000193)
    rolled ^= rolled >> np.uint32(15)
    inside = signs != 0
    for step in range(1, max(ORDERS)):
        moved = np.zeros(len(signs), np.uint32)
        moved[:-step] = signs[step:]
        inside &= moved != 0
        rolled = (rolled ^ moved) * np.uint32(0x01000193)
        rolled ^= rolled >> np.uint32(15)
        np.copyto(buckets[:, step - 1], _bucket(rolled + np.uint32(step * 0x27D4EB2F & 0xFFFFFFFF)), where=inside)
    place = np.arange(len(signs)) - np.repeat(starts, ends - starts + 1)
    whole = (signs ^ (place.astype(np.uint32) * np.uint32(0x9E3779B1))) * np.uint32(0x85EBCA6B)
    whole ^= whole >> np.uint32(13)
    buckets[ends, -1] = _bucket(np.add.reduceat(whole * np.uint32(0xC2B2AE35), starts, dtype=np.uint32))
    return buckets.ravel(), starts * buckets.shape[1]


def _bucket(hashed: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    return (hashed * np.uint32(0x85EBCA6B)) >> np.uint32(32 - BITS)


def raised_sums(distinct: Any, model: Model) -> tuple[npt.NDArray[np.uint16], Integers]:
    """Return the sum of weights of each word, each raised by ``_ZERO``, [words, lanes · 4], and its n-grams."""
    if not len(distinct):
        return np.zeros((0, 4 * len(model.lanes)), np.uint16), np.zeros(0, np.int64)
    buckets, starts = buckets_of(distinct)
    kept = np.flatnonzero(buckets < BUCKETS)
    buckets, starts = buckets[kept], np.searchsorted(kept, starts)  # a word has an n-gram at least: itself
    packed = np.empty((len(starts), len(model.lanes)), "<u8")
    for place, lane in enumerate(model.lanes):
        packed[:, place] = np.add.reduceat(lane.take(buckets), starts)
    return packed.view("<u2"), np.diff(starts, append=len(buckets))


def word_sums(distinct: Any, model: Model) -> tuple[npt.NDArray[np.int32], Integers]:
    """Return the sum of weights of each word, [words, classes], and how many n-grams it has."""
    raised, counts = raised_sums(distinct, model)
    sums = raised[:, : len(model.classes)].astype(np.int32)
    return sums - (counts * _ZERO).astype(np.int32)[:, None], counts


def scored(
    texts: Any, model: Model, chunk_rows: int = CHUNK_ROWS
) -> Iterator[tuple[Words, npt.NDArray[np.int32], Integers]]:
    """Yield chunk by chunk the words of texts with the sums and counts of each distinct word."""
    for words in pieces(texts, chunk_rows):
        yield words, *word_sums(words.distinct, model)


def pieces(texts: Any, chunk_rows: int) -> Iterator[Words]:
    """Yield the words of texts, a chunk at a time."""
    for at in range(0, len(texts), chunk_rows):
        yield words_of(texts.slice(at, chunk_rows))


def scores(texts: Any, model: Model, chunk_rows: int = CHUNK_ROWS) -> tuple[npt.NDArray[np.float64], Integers]:
    """Return the score of each class for each text, [texts, classes], in logits, and how many words each text has."""
    rows, many = [np.zeros((0, len(model.classes)))], [np.zeros(0, np.int64)]
    for words in pieces(texts, chunk_rows):
        raised, counts = raised_sums(words.distinct, model)
        begins, wide = words.starts[:-1], np.ascontiguousarray(raised.astype("<u4").view("<u8").T)
        size = np.add.reduceat(counts[words.codes], begins)
        packed = np.empty((len(begins), len(wide)), "<u8")
        for place, lane in enumerate(wide):  # two classes in one number
            packed[:, place] = np.add.reduceat(lane.take(words.codes), begins)
        total = packed.view("<u4")[:, : len(model.classes)].astype(np.int64) - (size * _ZERO)[:, None]
        rows.append(total * (model.scale / np.sqrt(size))[:, None] + model.bias)
        many.append(np.diff(words.starts))
    return np.concatenate(rows), np.concatenate(many)


def packed_lanes(weights: npt.NDArray[np.int8]) -> npt.NDArray[np.uint64]:
    """Return weights as four raised 16-bit lanes in one number, with a last place that stands for nothing."""
    width = -(-weights.shape[1] // 4) * 4
    raised = np.zeros((len(weights) + 1, width), "<u2")
    raised[:-1, : weights.shape[1]] = weights.astype(np.int16) + _ZERO
    return np.ascontiguousarray(raised.view("<u8").astype(np.uint64).T)


@lru_cache(maxsize=1)
def load() -> Model:
    """Read the shipped model."""
    return read(resources.files("demur.corpus"))


def read(folder: Any) -> Model:
    """Read a model and check its digest.

    Args:
        folder: a path that holds ``language_model.txt`` and its card ``language_model.json``.

    Raises:
        BrokenError: when the weights aren't the ones that the card was written for.
    """
    card = json.loads(folder.joinpath("language_model.json").read_text("utf-8"))
    packed = folder.joinpath("language_model.txt").read_bytes()
    if hashlib.sha256(packed).hexdigest() != card["sha256"]:
        raise BrokenError("the language model differs from its digest; install demur again")
    table = zlib.decompress(base64.decodebytes(packed))
    weights = np.frombuffer(table, np.int8).reshape(BUCKETS, len(card["classes"]))
    return Model(tuple(card["classes"]), weights, card["scale"], np.array(card["bias"]), packed_lanes(weights))

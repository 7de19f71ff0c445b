"""Exact keys and MinHash signatures of texts, and the true similarity of two texts.

Which copies go and who protects them is decided elsewhere; nothing here compares a text with all others. Every value
is a function of one text and the constants below, computed with our own arithmetic: no library's release can move it.

A text becomes words (case-folded, no punctuation, no placeholders). Signatures are taken over pairs of neighbouring
words: unrelated posts share hardly any, so bands collide seldom. The similarity that counts is the Jaccard index over
words and pairs together: one changed word in thirty still gives 0.9, three give 0.75.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Words = npt.NDArray[np.uint64]

SIMILARITY = "demur-similarity-1"
"""Name of the frozen settings below."""

BANDS = 16
ROWS = 4
"""Two texts of similarity s over word pairs meet in some band with probability 1 - (1 - s⁴)¹⁶: 0.98 at 0.68."""

_CHUNK_ROWS = 512
"""Texts measured at once; so many that their pairs stay in the processor's cache."""
_PLACEHOLDER = re.compile(r"<[A-Z_]{2,10}>")
_WORD = re.compile(r"[^\W_]+")
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)


@lru_cache(maxsize=16_384)  # a chunk's texts are asked for their words three or four times
def words(text: str) -> tuple[str, ...]:
    """Return the words that count: case-folded, without punctuation and placeholders."""
    bare = _PLACEHOLDER.sub(" ", text) if "<" in text else text
    return tuple(_WORD.findall(bare.casefold()))


def measure(texts: Any) -> tuple[Any, Any, Words]:
    """Return what copies are found by: each text is cut into words once.

    Args:
        texts: Arrow string array of redacted texts; null counts as empty.

    Returns:
        Arrow binary(16) array of exact keys, Arrow list(uint64, BANDS) array of band keys, int64 numbers of words.
    """
    strings = _strings(texts)
    exact: list[bytes] = []
    counts: list[int] = []
    keys = [np.empty((0, BANDS), np.uint64)]
    for at in range(0, len(strings), _CHUNK_ROWS):
        rows = [words(text or "") for text in strings[at : at + _CHUNK_ROWS]]
        exact += [_exact_key(row) for row in rows]
        counts += map(len, rows)
        keys.append(band_keys(_signed(*_hash_words(rows))))
    flat = pa.array(np.concatenate(keys).reshape(-1), pa.uint64())
    bands = pa.FixedSizeListArray.from_arrays(flat, BANDS)
    return pa.array(exact, pa.binary(16)), bands, np.array(counts, np.int64)


def exact_keys(texts: Any) -> Any:
    """Return 128-bit keys that are equal for texts which differ only in case, punctuation and placeholders.

    Args:
        texts: Arrow string array of redacted texts.

    Returns:
        Arrow fixed-size binary (16) array; null for null.
    """
    keys = [None if text is None else exact_key(text) for text in _strings(texts)]
    return pa.array(keys, pa.binary(16))


def exact_key(text: str) -> bytes:
    """Return the 128-bit key of one text."""
    return _exact_key(words(text))


def _exact_key(row: Sequence[str]) -> bytes:
    return hashlib.blake2b(" ".join(row).encode(), digest_size=16, person=b"demur-exact-1").digest()


def signatures(texts: Any) -> npt.NDArray[np.uint64]:
    """Return MinHash signatures.

    Args:
        texts: Arrow string array or sequence of redacted texts; null counts as empty.

    Returns:
        uint64 [rows, BANDS * ROWS]; all ones for a text without words.
    """
    strings = _strings(texts)
    parts = [_signatures(strings[at : at + _CHUNK_ROWS]) for at in range(0, len(strings), _CHUNK_ROWS)]
    return np.concatenate(parts) if parts else np.empty((0, BANDS * ROWS), np.uint64)


def band_keys(signed: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Return one key a band; two texts are candidates when any band's keys are equal.

    Args:
        signed: uint64 [rows, BANDS * ROWS] from :func:`signatures`.

    Returns:
        uint64 [rows, BANDS]; the band's number is mixed in, so keys of different bands may share one index.
    """
    keys = np.broadcast_to(np.arange(1, BANDS + 1, dtype=np.uint64) * _MIX[0], (len(signed), BANDS)).copy()
    grouped = signed.reshape(len(signed), BANDS, ROWS)
    for row in range(ROWS):
        keys = _mix((keys ^ grouped[:, :, row]) * _MIX[1] + _MIX[2])
    return keys


def keyed_bands(keys: npt.NDArray[np.uint64], secret: bytes) -> npt.NDArray[np.uint64]:
    """Return band keys under a secret of 16 bytes: equal where they were equal, and nothing that a text gives alone."""
    factor, shift = np.frombuffer(secret[:16], "<u8").astype(np.uint64)
    return _mix((keys ^ shift) * (factor | np.uint64(1)))


def shingles(text: str) -> frozenset[int]:
    """Return the hashes of a text's words and of its pairs of neighbouring words."""
    return _shingle_sets([text])[0]


def jaccard(left: str, right: str) -> float:
    """Return the true similarity of two texts: shared words and pairs over all of both; 0 when either has no words."""
    one, two = shingles(left), shingles(right)
    shared = len(one & two)
    return shared / (len(one) + len(two) - shared) if one and two else 0.0


def jaccard_pairs(texts: Any, left: Any, right: Any) -> npt.NDArray[np.float64]:
    """Return the true similarity of many pairs of a batch; each text is cut up once.

    Args:
        texts: Arrow string array or sequence.
        left: row numbers.
        right: row numbers, as many.
    """
    strings = _strings(texts)
    needed, places = np.unique(np.concatenate([left, right]).astype(np.int64), return_inverse=True)
    flat, sizes = _shingle_rows([strings[row] for row in needed.tolist()])
    starts = np.cumsum(sizes) - sizes
    _, numbered = np.unique(flat, return_inverse=True)
    one, two = places[: len(left)], places[len(left) :]
    sides = [_keyed(numbered, starts, sizes, side, len(numbered)) for side in (one, two)]
    keys = np.sort(np.concatenate(sides))
    shared = np.bincount(keys[1:][keys[1:] == keys[:-1]] // max(len(numbered), 1), minlength=len(one))
    whole = sizes[one] + sizes[two] - shared
    return np.where((sizes[one] > 0) & (sizes[two] > 0), shared / np.maximum(whole, 1), 0.0)


def _keyed(numbered: Any, starts: Any, sizes: Any, side: Any, most: int) -> Any:
    """Return the shingles of one side of all pairs, each with its pair's number mixed in without loss."""
    counts = sizes[side]
    ends = np.cumsum(counts)
    within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)
    pair = np.repeat(np.arange(len(side)), counts)
    return pair * max(most, 1) + numbered[np.repeat(starts[side], counts) + within]


def _shingle_rows(texts: Sequence[str | None]) -> tuple[Any, Any]:
    """Return the different shingles of each text in one row, and how many each has."""
    sets = _shingle_sets(texts)
    flat = np.fromiter(chain.from_iterable(sets), np.uint64, sum(map(len, sets)))
    return flat, np.fromiter(map(len, sets), np.int64, len(sets))


def _shingle_sets(texts: Sequence[str | None]) -> list[frozenset[int]]:
    flat, sizes = _hash_words([words(text or "") for text in texts])
    pairs = _pairs(flat)
    ends = np.cumsum(sizes)
    return [
        frozenset([*flat[end - size : end].tolist(), *pairs[end - size : max(end - 1, 0)].tolist()])
        if size
        else frozenset()
        for end, size in zip(ends.tolist(), sizes.tolist(), strict=True)
    ]


def _signatures(texts: Sequence[str | None]) -> npt.NDArray[np.uint64]:
    return _signed(*_hash_words([words(text or "") for text in texts]))


def _signed(flat: Words, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Return the signatures of texts from the hashes of all their words in one row, and how many each text has."""
    signed = np.full((len(sizes), BANDS * ROWS), _EMPTY, np.uint64)
    present = sizes > 0
    if not present.any():
        return signed
    starts = np.cumsum(sizes) - sizes
    pairs = np.append(_pairs(flat), flat[-1:])
    single = starts[sizes == 1]
    pairs[single] = flat[single]  # a text of one word is its own shingle
    last = (starts + sizes - 1)[sizes > 1]
    pairs[last] = pairs[last - 1]  # no pair reaches into the next text
    first = starts[present]
    factors, shifts = _permutations()
    least = np.empty((BANDS * ROWS, len(first)), np.uint64)
    moved = np.empty_like(pairs)
    for place in range(BANDS * ROWS):
        np.multiply(pairs, factors[place], out=moved)
        moved += shifts[place]
        np.minimum.reduceat(moved, first, out=least[place])
    signed[present] = (least >> np.uint64(24)).T  # the shift keeps the order: once a text, not once a pair
    return signed


def _permutations() -> tuple[Words, Words]:
    """Return odd factors and shifts, drawn once from SHAKE-256 of the settings' name."""
    drawn = hashlib.shake_256(SIMILARITY.encode()).digest(BANDS * ROWS * 16)
    values = np.frombuffer(drawn, "<u8").astype(np.uint64).reshape(2, BANDS * ROWS)
    return values[0] | np.uint64(1), values[1]


def _hash_words(rows: Sequence[Sequence[str]]) -> tuple[Words, npt.NDArray[np.int64]]:
    """Return 64-bit hashes of all words in one row (BLAKE2b, little-endian), and how many each text has."""
    flat = list(chain.from_iterable(rows))
    hashed = np.fromiter(map(_word_hash, flat), np.uint64, len(flat))
    return hashed, np.fromiter(map(len, rows), np.int64, len(rows))


@lru_cache(maxsize=131_072)  # the words of one batch are mostly those of the one before
def _word_hash(word: str) -> int:
    return int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "little")


def _pairs(hashed: Words) -> Words:
    """Return the hash of each word with the one after it; one fewer than words."""
    if len(hashed) < 2:
        return np.empty(0, np.uint64)
    return _mix(hashed[:-1] * _MIX[0] + (hashed[1:] ^ _MIX[2]) * _MIX[1])


def distinct(values: Any) -> Any:
    """Return the different values, sorted; numpy 2.4's ``unique`` hashes, which is many times slower on keys."""
    ordered = np.sort(values, axis=None)
    fresh = np.ones(len(ordered), bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    return ordered[fresh]


def _mix(values: Words) -> Words:
    values = values ^ (values >> np.uint64(29))
    values = values * _MIX[1]
    return values ^ (values >> np.uint64(32))


def _strings(texts: Any) -> list[str | None]:
    found: Iterable[str | None] = texts.to_pylist() if hasattr(texts, "to_pylist") else texts
    return list(found)

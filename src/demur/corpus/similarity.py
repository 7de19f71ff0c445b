"""Exact keys and MinHash signatures of texts, and the true similarity of two texts.

Which copies go and who protects them is decided elsewhere; nothing here compares a text with all others. Every value
is a function of one text and the constants below, computed with our own arithmetic: no library's release can move it.

A text becomes words (case-folded, no punctuation, no placeholders). Signatures are taken over pairs of neighbouring
words: unrelated posts share hardly any, so bands collide seldom. The similarity that counts is the Jaccard index over
words and pairs together (one changed word in thirty still gives 0.9, three give 0.75), and over words alone where the
shorter of two texts is short: width by length, decided by both texts alike.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Words = npt.NDArray[np.uint64]

SIMILARITY = "demur-similarity-4"
"""Name of the frozen settings below."""

WORDS_ALONE = range(9, 17)
"""Words of the shorter of two texts between which words alone are compared: one changed word of ten leaves 0.82 of the
words and 0.73 of words and pairs. Of fewer words each says too much, and of more, words alone lose their order."""

BANDS = 16
ROWS = 4
"""Two texts of similarity s over word pairs meet in some band with probability 1 - (1 - s⁴)¹⁶: 0.98 at 0.68."""

WINDOW = 8
"""Words of a window: what passages of other texts are told by (:mod:`demur.corpus.passages`)."""

_CHUNK_ROWS = 512
"""Texts measured at once; so many that their pairs stay in the processor's cache."""
_TOGETHER = 8_192
"""Texts whose words are hashed together."""
_PLACEHOLDER = re.compile(r"<[A-Z_]{2,10}>")
_WORD = re.compile(r"[^\W_]+")
_BLANK = ord(" ")
_MIX = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9))
_EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)


@dataclass(frozen=True, slots=True)
class Cut:
    """The words of some texts, one after another."""

    spelled: bytes
    """UTF-8 of all words, a blank after each."""
    edges: npt.NDArray[np.int32]
    """Where each word begins in ``spelled``, and the end."""
    starts: npt.NDArray[np.int64]
    """Which word each text begins with, and how many words there are."""

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """How many words each text has."""
        return np.diff(self.starts)

    def keys(self) -> list[bytes]:
        """Return the exact key of each text."""
        places = self.edges[self.starts].tolist()
        return [_exact_key(self.spelled[at : max(end - 1, at)]) for at, end in pairwise(places)]


def cut(texts: Sequence[str | None]) -> Cut:
    """Cut texts into the words that count: case-folded, without punctuation and placeholders; all texts at once."""
    bare = [_PLACEHOLDER.sub(" ", text) if text and "<" in text else text or "" for text in texts]
    folded = [text.casefold() for text in bare]
    signs = np.frombuffer(f" {' '.join(folded)} ".encode("utf-32-le", "surrogatepass"), "<u4")
    kept = _in_words().take(signs)
    borders = np.flatnonzero(kept[1:] != kept[:-1]) + 1
    begins, ends = borders[0::2], borders[1::2]
    signs = signs.copy()
    signs[ends], kept[ends] = _BLANK, True
    spelled = signs[kept].tobytes().decode("utf-32-le").encode()
    blanks = np.flatnonzero(np.frombuffer(spelled, np.uint8) == _BLANK)
    lengths = np.fromiter(map(len, folded), np.int64, len(folded))
    starts = np.searchsorted(begins, np.concatenate([[0], np.cumsum(lengths + 1)]))
    return Cut(spelled, np.concatenate([[0], blanks + 1]).astype(np.int32), starts)


@lru_cache(maxsize=1)
def _in_words() -> npt.NDArray[np.bool_]:
    """Return which signs belong to words: letters, digits and numbers, as ``str.isalnum`` says."""
    table = np.zeros(sys.maxunicode + 1, bool)
    for run in _WORD.finditer("".join(map(chr, range(len(table))))):
        table[run.start() : run.end()] = True
    return table


def words(text: str) -> tuple[str, ...]:
    """Return the words that count of one text: case-folded, without punctuation and placeholders."""
    bare = _PLACEHOLDER.sub(" ", text) if "<" in text else text
    return tuple(_WORD.findall(bare.casefold()))


@dataclass(frozen=True, slots=True)
class Measured:
    """What copies of some texts are found by."""

    exact: Any
    """Arrow binary(16) array: exact keys."""
    bands: Words
    """uint64 [texts, BANDS]: band keys."""
    windows: Words
    """uint64: hashes of all runs of WINDOW words of each text, one text after another."""
    words: npt.NDArray[np.int64]
    """How many words each has; of fewer than WINDOW it has no windows, else WINDOW - 1 fewer than words."""


def measure(texts: Any) -> Measured:
    """Return what copies are found by: each text is cut into words once.

    Args:
        texts: Arrow string array of redacted texts; null counts as empty.
    """
    exact: list[bytes] = []
    counts, keys, windows = [np.empty(0, np.int64)], [np.empty((0, BANDS), np.uint64)], [np.empty(0, np.uint64)]
    for rows, hashed in _hashed(_strings(texts)):
        exact += rows.keys()
        counts.append(rows.sizes)
        keys.append(band_keys(_signed(hashed, rows.sizes)))
        windows.append(_windows(hashed, rows.sizes))
    return Measured(
        pa.array(exact, pa.binary(16)), np.concatenate(keys), np.concatenate(windows), np.concatenate(counts)
    )


def _windows(hashed: Words, sizes: npt.NDArray[np.int64]) -> Words:
    """Return the hashes of all runs of WINDOW words, none of two texts."""
    owners = np.repeat(np.arange(len(sizes)), sizes)
    inside = owners[WINDOW - 1 :] == owners[: max(0, len(owners) - WINDOW + 1)]
    runs, step = hashed, 1
    while step < WINDOW:
        runs = _mix(runs[:-step] * _MIX[0] + (runs[step:] ^ _MIX[2]) * _MIX[1])
        step *= 2
    return runs[inside] if len(inside) else np.empty(0, np.uint64)


def _hashed(texts: Sequence[str | None]) -> Iterator[tuple[Cut, Words]]:
    """Yield texts in pieces, cut, with the hashes of their words; each different word of many pieces is hashed once."""
    for at in range(0, len(texts), _TOGETHER):
        many = texts[at : at + _TOGETHER]
        pieces = [cut(many[place : place + _CHUNK_ROWS]) for place in range(0, len(many), _CHUNK_ROWS)]
        yield from zip(pieces, _hashes(pieces), strict=True)


def _hashes(pieces: Sequence[Cut]) -> list[Words]:
    """Return the 64-bit hashes of all words of each piece."""
    arrays = [
        pa.BinaryArray.from_buffers(
            pa.binary(), len(one.edges) - 1, [None, pa.py_buffer(one.edges), pa.py_buffer(one.spelled)]
        )
        for one in pieces
    ]
    encoded = pa.concat_arrays(arrays).dictionary_encode()
    known = encoded.dictionary.to_pylist()
    table = np.fromiter(map(_word_hash, known), np.uint64, len(known))
    ends = np.cumsum([len(one) for one in arrays])
    return np.split(table[encoded.indices.to_numpy()], ends[:-1])


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
    return _exact_key(" ".join(words(text)).encode())


def _exact_key(spelled: bytes) -> bytes:
    return hashlib.blake2b(spelled, digest_size=16, person=b"demur-exact-1").digest()


def signatures(texts: Any) -> npt.NDArray[np.uint64]:
    """Return MinHash signatures.

    Args:
        texts: Arrow string array or sequence of redacted texts; null counts as empty.

    Returns:
        uint64 [rows, BANDS * ROWS]; all ones for a text without words.
    """
    return np.concatenate([np.empty((0, BANDS * ROWS), np.uint64), *_signatures(_strings(texts))])


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


def keyed(keys: npt.NDArray[np.uint64], secret: bytes) -> npt.NDArray[np.uint64]:
    """Return keys under a secret of 16 bytes: equal where they were equal, and nothing that a text gives alone."""
    factor, shift = np.frombuffer(secret[:16], "<u8").astype(np.uint64)
    return _mix((keys ^ shift) * (factor | np.uint64(1)))


def jaccard(left: str, right: str) -> float:
    """Return the true similarity of two texts; see :func:`jaccard_pairs`."""
    return float(jaccard_pairs([left, right], [0], [1])[0])


def jaccard_pairs(texts: Any, left: Any, right: Any) -> npt.NDArray[np.float64]:
    """Return the true similarity of many pairs of a batch; each text is cut up once.

    What both share of the words, and of the pairs of neighbouring words, that either has; of the words alone where
    the shorter text has as many words as :data:`WORDS_ALONE` says. 0 where one has no words.

    Args:
        texts: Arrow string array or sequence.
        left: row numbers.
        right: row numbers, as many.
    """
    strings = _strings(texts)
    needed, places = np.unique(np.concatenate([left, right]).astype(np.int64), return_inverse=True)
    parts = [(hashed, rows.sizes) for rows, hashed in _hashed([strings[row] for row in needed.tolist()])]
    words_of = np.concatenate([np.empty(0, np.uint64), *(hashed for hashed, _ in parts)])
    lengths = np.concatenate([np.empty(0, np.int64), *(sizes for _, sizes in parts)])
    owners = np.repeat(np.arange(len(needed)), lengths)
    inside = owners[1:] == owners[:-1]
    sides = places[: len(left)], places[len(left) :]
    shared, whole = _overlap(words_of, owners, sides)
    shared_pairs, whole_pairs = _overlap(_pairs(words_of)[inside], owners[1:][inside], sides)
    shorter = np.minimum(*(lengths[side] for side in sides))
    both = (shorter < WORDS_ALONE.start) | (shorter >= WORDS_ALONE.stop)
    whole = whole + both * whole_pairs
    return np.where(shorter > 0, (shared + both * shared_pairs) / np.maximum(whole, 1), 0.0)


def _overlap(values: Words, owners: Any, sides: tuple[Any, Any]) -> tuple[Any, Any]:
    """Return how many different values both texts of each pair have, and how many either has.

    Args:
        values: hashes, in the order of their texts.
        owners: the text of each.
        sides: first and second text of each pair.
    """
    numbers = pa.array(values).dictionary_encode().indices.to_numpy().astype(np.int64)
    most = len(numbers) + 1
    owners, numbers = np.divmod(distinct(owners * most + numbers), most)
    sizes = np.bincount(owners, minlength=1 + max((int(side.max()) for side in sides if len(side)), default=0))
    starts = np.cumsum(sizes) - sizes
    keys = np.sort(np.concatenate([_keyed(numbers, starts, sizes, side, most) for side in sides]))
    shared = np.bincount(keys[1:][keys[1:] == keys[:-1]] // most, minlength=len(sides[0]))
    return shared, sizes[sides[0]] + sizes[sides[1]] - shared


def _keyed(numbered: Any, starts: Any, sizes: Any, side: Any, most: int) -> Any:
    """Return the values of one side of all pairs, each with its pair's number mixed in without loss."""
    counts = sizes[side]
    ends = np.cumsum(counts)
    within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)
    pair = np.repeat(np.arange(len(side)), counts)
    return pair * most + numbered[np.repeat(starts[side], counts) + within]


def _signatures(texts: Sequence[str | None]) -> Iterator[Words]:
    return (_signed(hashed, rows.sizes) for rows, hashed in _hashed(texts))


def _signed(flat: Words, sizes: npt.NDArray[np.int64]) -> Words:
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
    """Return odd factors and shifts, drawn once from SHAKE-256 of the name of the first settings."""
    drawn = hashlib.shake_256(b"demur-similarity-1").digest(BANDS * ROWS * 16)
    values = np.frombuffer(drawn, "<u8").astype(np.uint64).reshape(2, BANDS * ROWS)
    return values[0] | np.uint64(1), values[1]


@lru_cache(maxsize=131_072)  # the words of one batch are mostly those of the one before
def _word_hash(word: bytes) -> int:
    """Return the hash of a word with the blank after it (BLAKE2b of the word, little-endian)."""
    return int.from_bytes(hashlib.blake2b(word[:-1], digest_size=8).digest(), "little")


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

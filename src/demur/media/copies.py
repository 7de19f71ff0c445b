"""Copies of pictures by their fingerprints: a copy of a protected picture is protected (COR-05, TPD-02).

Every pair is verified by its whole distance; nothing follows from a copy of a copy. The cost is a sort and look-ups:
two fingerprints of 256 bits at a distance of at most 31 have, among 16 bands of 16 bits, one that differs in one bit
at most (31 < 2 · 16), so each band of a protected picture is written down as it is and with each bit turned.

Sources: PDQ (Facebook, 2019): the same picture at a distance of at most 31; Norouzi and others, Multi-Index Hashing
(2012).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SAME_BITS = 31
GOOD_QUALITY = 50
"""Below this a picture has too little in it to be told from others; it is a copy of nothing."""

_BANDS = 16
_CHUNK = 1 << 16
_TURNED = np.concatenate([np.zeros(1, np.uint16), np.left_shift(np.uint16(1), np.arange(16, dtype=np.uint16))])


def copies_of_protected(hashes: Any, mirrored: Any, quality: Any, protected: Any) -> Any:
    """Tell which pictures are a protected one or a copy of one, the mirror image included.

    Args:
        hashes: 64 hex digits each, or null = no picture.
        mirrored: the same of the mirror image.
        quality: PDQ's quality of each.
        protected: whether the item is protected; null counts as protected.

    Returns:
        Arrow boolean array: true for every protected one and for every copy of a protected picture.
    """
    hashes, mirrored, quality, protected = (_one(column) for column in (hashes, mirrored, quality, protected))
    marked = np.asarray(pc.fill_null(protected, True).to_numpy(zero_copy_only=False), bool).copy()
    good = np.asarray(pc.fill_null(pc.greater_equal(quality, GOOD_QUALITY), False).to_numpy(zero_copy_only=False), bool)
    usable = good & np.asarray(pc.is_valid(hashes).to_numpy(zero_copy_only=False), bool)
    sought = np.flatnonzero(usable & marked)
    others = np.flatnonzero(usable & ~marked)
    if len(sought) and len(others):
        also = sought[np.asarray(pc.is_valid(mirrored).to_numpy(zero_copy_only=False), bool)[sought]]
        known = np.unique(np.concatenate([_bits(hashes, sought), _bits(mirrored, also)]), axis=0)
        for start in range(0, len(others), _CHUNK):
            rows = others[start : start + _CHUNK]
            marked[rows] |= _near(_bits(hashes, rows), known)
    return pa.array(marked)


def copies_of_earlier(hashes: Any, mirrored: Any, quality: Any) -> Any:
    """Tell which pictures are one before them in the table again, the mirror image included.

    Args:
        hashes: 64 hex digits each, or null = no picture; in order of age.
        mirrored: the same of the mirror image.
        quality: PDQ's quality of each.

    Returns:
        Arrow boolean array: true where a picture of an earlier row lies within the distance.
    """
    hashes, mirrored, quality = (_one(column) for column in (hashes, mirrored, quality))
    good = pc.and_(pc.fill_null(pc.greater_equal(quality, GOOD_QUALITY), False), pc.is_valid(hashes))
    rows = np.flatnonzero(np.asarray(good.to_numpy(zero_copy_only=False), bool))
    again = np.zeros(len(hashes), bool)
    if len(rows):
        also = rows[np.asarray(pc.is_valid(mirrored).to_numpy(zero_copy_only=False), bool)[rows]]
        known = np.concatenate([_bits(hashes, rows), _bits(mirrored, also)])
        ages = np.concatenate([rows, also])
        for start in range(0, len(rows), _CHUNK):
            asked = rows[start : start + _CHUNK]
            again[asked] = _near(_bits(hashes, asked), known, (asked, ages))
    return pa.array(again)


def _one(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _bits(hashes: Any, rows: Any) -> Any:
    """Return the fingerprints of some rows, shape (rows, 16) of 16-bit bands."""
    texts = hashes.take(pa.array(rows, pa.int64())).to_pylist()
    return np.frombuffer(bytes.fromhex("".join(texts)), ">u2").astype(np.uint16).reshape(-1, _BANDS)


def _near(asked: Any, known: Any, ages: tuple[Any, Any] | None = None) -> Any:
    """Return for each asked fingerprint whether a known one, where ages are given an earlier one, is within reach."""
    hit = np.zeros(len(asked), bool)
    for band in range(_BANDS):
        keys = (known[:, band, None] ^ _TURNED).reshape(-1)
        owners = np.repeat(np.arange(len(known)), len(_TURNED))
        order = np.argsort(keys, kind="stable")
        keys, owners = keys[order], owners[order]
        open_rows = np.flatnonzero(~hit)
        first = np.searchsorted(keys, asked[open_rows, band], "left")
        last = np.searchsorted(keys, asked[open_rows, band], "right")
        for rows, starts, counts in _pieces(open_rows, first, last - first):
            places = np.repeat(starts - np.concatenate(([0], np.cumsum(counts)[:-1])), counts) + np.arange(counts.sum())
            pairs = np.repeat(rows, counts)
            if ages is not None:
                earlier = ages[1][owners[places]] < ages[0][pairs]
                pairs, places = pairs[earlier], places[earlier]
            apart = np.bitwise_count(asked[pairs] ^ known[owners[places]]).sum(axis=1)
            hit[pairs[apart <= SAME_BITS]] = True
    return hit


def _pieces(rows: Any, starts: Any, counts: Any) -> Any:
    """Yield look-ups in pieces of bounded memory."""
    busy = np.flatnonzero(counts)
    rows, starts, counts = rows[busy], starts[busy], counts[busy]
    piece = np.cumsum(counts) // (1 << 20)
    for cut in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(piece)) + 1) if len(rows) else ():
        yield rows[cut], starts[cut], counts[cut]

"""Which texts must be judged again, and which they must be compared with: the neighbourhood of what changed.

Changed = measured now, of another status or owner, or gone. *Judged again* is every text that shares a band with one of
these, before or after. *Compared* is every text that shares a band with a judged one: all buckets of a judged text are
whole, so its verdict is the one of a build from nothing. What is in no such bucket cannot have changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from demur.corpus.measures import MEASURES, bands_of, live, looked_at
from demur.corpus.similarity import distinct
from demur.corpus.spill import read_bucket

_SIEVE_BITS = 26
"""A sieve of 2^26 bits-as-bytes in front of the exact search: 64 MiB."""


@dataclass(slots=True)
class Judged:
    """Two masks a bucket; ``None`` = all of it."""

    _again: list[Any]
    _compared: list[Any]

    def again(self, bucket: int) -> Any:
        """Return which rows of a bucket are judged."""
        return self._again[bucket]

    def compared(self, bucket: int) -> Any:
        """Return which rows of a bucket they are compared with, themselves among them."""
        return self._compared[bucket]


def neighbourhood(selected: Path, texts: list[str], *, fresh: bool) -> Judged:
    """Return what is judged and compared in each bucket.

    Args:
        selected: folder of the select stage.
        texts: folders of the text stage, by bucket.
        fresh: nothing came before: everything.
    """
    if fresh:
        whole = [np.ones(looked_at(selected, texts, bucket).num_rows, bool) for bucket in range(len(texts))]
        return Judged(whole, whole)
    changed = [np.zeros(0, np.uint64)]
    for bucket in range(len(texts)):
        table, gone = looked_at(selected, texts, bucket), read_bucket(selected / "gone", MEASURES, bucket)
        touched = table["touched"].to_numpy(zero_copy_only=False).astype(bool) & live(table)
        changed += [bands_of(table)[touched].reshape(-1), bands_of(gone)[live(gone)].reshape(-1)]
    again, keys = _sharing(selected, texts, distinct(np.concatenate(changed)))
    compared, _ = _sharing(selected, texts, keys)
    return Judged(again, compared)


def _sharing(selected: Path, texts: list[str], keys: Any) -> tuple[list[Any], Any]:
    """Return which live rows share a key, by bucket, and all keys of these rows."""
    sieve = np.zeros(1 << _SIEVE_BITS, bool)
    low = np.uint64((1 << _SIEVE_BITS) - 1)
    sieve[keys & low] = True
    masks, found = [], [np.zeros(0, np.uint64)]
    for bucket in range(len(texts)):
        table = looked_at(selected, texts, bucket)
        bands = bands_of(table)
        likely = np.flatnonzero(sieve[bands & low].any(axis=1) & live(table))
        sharing = likely[np.isin(bands[likely], keys).any(axis=1)]
        mask = np.zeros(table.num_rows, bool)
        mask[sharing] = True
        masks.append(mask)
        found.append(distinct(bands[sharing].reshape(-1)))
    return masks, distinct(np.concatenate(found))

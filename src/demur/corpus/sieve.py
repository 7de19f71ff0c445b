"""A sieve in front of an exact search: most of what is not there is turned away without asking (a Bloom filter)."""

from __future__ import annotations

from typing import Any

import numpy as np

_BYTES = range(12, 28)
"""From 4 KiB, which stays in the processor's cache, to 128 MiB: a fuller one lets more through and misses nothing."""


class Sieve:
    """Says which numbers may be among some others: none of them is missed, a few others pass too.

    Args:
        most: how many others there will be, about.
        each: bits for each of them; one in so many passes by chance.
    """

    def __init__(self, most: int, *, each: int = 64) -> None:
        size = 1 << min(max((each * most // 8).bit_length(), _BYTES.start), _BYTES.stop - 1)
        self._bits, self._last = np.zeros(size, np.uint8), np.uint64(8 * size - 1)

    def add(self, keys: Any) -> None:
        """Take numbers in, uint64."""
        places = keys & self._last
        np.bitwise_or.at(self._bits, (places >> np.uint64(3)).view(np.int64), _bit(places))

    def may(self, keys: Any) -> Any:
        """Return which of some numbers may be there, bool."""
        places = keys & self._last
        return self._bits.take((places >> np.uint64(3)).view(np.int64)) & _bit(places) != 0

    def among(self, keys: Any) -> Any:
        """Return the places of those that may be there."""
        return np.flatnonzero(self.may(keys))


def _bit(places: Any) -> Any:
    return _BITS.take((places & np.uint64(7)).view(np.int64))


_BITS = np.left_shift(np.uint8(1), np.arange(8, dtype=np.uint8))

"""Keyed chance: the same key gives the same numbers on every machine and every version of Python.

Only ``random.Random.random`` is used, the one method whose sequence Python promises to keep; choosing, shuffling and
whole numbers are built on it here. Does not touch the global generator.
"""

from __future__ import annotations

import hashlib
import random
from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import TypeVar

T = TypeVar("T")


def keyed_number(*key: str | int) -> int:
    """Return a 128-bit number that depends on the key alone.

    >>> keyed_number(7, "cast", 3) == keyed_number("7", "cast", "3")
    True
    """
    joined = "\x1f".join(str(part) for part in key)
    return int.from_bytes(hashlib.sha256(joined.encode()).digest()[:16], "big")


@lru_cache(maxsize=256)
def _steps(weights: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(accumulate(weights))


def by_weight(choices: Sequence[T], weights: tuple[float, ...], unit: float) -> T:
    """Return the one of some choices that a number from 0 to 1 falls on, by weight."""
    steps = _steps(weights)
    return choices[min(bisect_right(steps, unit * steps[-1]), len(choices) - 1)]


class Dice:
    """A stream of chance that belongs to one key.

    Args:
        key: parts that name the stream, for example ``seed, "items", index``.
    """

    def __init__(self, *key: str | int) -> None:
        self.unit = random.Random(keyed_number(*key)).random

    def chance(self, probability: float) -> bool:
        """Return ``True`` with that probability."""
        return self.unit() < probability

    def below(self, bound: int) -> int:
        """Return a whole number from 0 to ``bound`` - 1."""
        return int(self.unit() * bound)

    def between(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        return low + int(self.unit() * (high - low + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of some choices, all equally likely."""
        return choices[int(self.unit() * len(choices))]

    def weighted(self, choices: Sequence[T], weights: tuple[float, ...]) -> T:
        """Return one of some choices by weight."""
        return by_weight(choices, weights, self.unit())

    def digits(self, count: int) -> str:
        """Return that many decimal digits, leading zeros included."""
        return "".join(str(int(self.unit() * 10)) for _ in range(count))

    def instant(self, first: datetime, last: datetime) -> datetime:
        """Return an instant between two, on a full second; ``first`` when the span is empty."""
        seconds = int((last - first).total_seconds())
        return first if seconds <= 0 else first + timedelta(seconds=self.below(seconds))

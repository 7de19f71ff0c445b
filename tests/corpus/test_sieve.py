"""A sieve misses nothing, however small or full it is."""

from __future__ import annotations

import numpy as np
import pytest

from demur.corpus import sieve
from demur.corpus.sieve import Sieve


@pytest.mark.parametrize("most", [0, 1, 1_000, 100_000])
@pytest.mark.parametrize("each", [1, 16, 64])
def test_nothing_is_missed_and_little_else_passes(most: int, each: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "_BYTES", range(4, 18))
    chance = np.random.default_rng(most + each)
    mine, others = (chance.integers(0, 2**63, 20_000, dtype=np.uint64) * np.uint64(2) for _ in range(2))
    mine[:2] = 0, 2**64 - 1
    made = Sieve(most, each=each)
    assert not made.may(others).any()
    for some in np.split(mine, 4):
        made.add(some)
    made.add(mine[:5].reshape(5, 1))
    assert made.may(mine.reshape(-1, 4)).all()
    assert made.among(mine[::3]).tolist() == list(range(len(mine[::3])))
    if most * each >= 6_400_000:
        assert made.may(others).mean() < 0.2

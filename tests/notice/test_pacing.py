"""Pacing: never more than the rate and one burst; nobody waits for ever; a line is a line."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demur.notice.pacing import PLENTY, Bucket, Pacing, Rates

from .conftest import NOW


@given(
    rate=st.floats(0.5, 500),
    burst=st.floats(0, 3),
    steps=st.lists(st.floats(0, 2), min_size=1, max_size=200),
    waited=st.booleans(),
)
def test_no_more_than_rate_and_burst_ever_go(rate: float, burst: float, steps: list[float], waited: bool) -> None:
    bucket, now, gone = Bucket(rate, burst, NOW), NOW, 0
    for step in steps:
        now += timedelta(seconds=step)
        gone += bucket.take(now, waited=waited) is None
        assert gone <= max(1.0, rate * burst) + rate * (now - NOW).total_seconds() + 0.01


@given(rate=st.floats(1, 50), people=st.integers(1, 150))
def test_everybody_goes_in_about_people_over_rate_seconds(rate: float, people: int) -> None:
    bucket = Bucket(rate, 1.0, NOW)
    line = [(NOW, False)] * people
    last, asked = NOW, 0
    while line:
        line.sort(key=lambda one: one[0])
        now, waited = line.pop(0)
        last, asked = max(last, now), asked + 1
        later = bucket.take(last, waited=waited)
        if later is not None:
            assert later > last
            line.append((later, True))
    assert (last - NOW).total_seconds() <= people / rate + 2.0
    assert asked <= 3 * people


def test_a_newcomer_never_passes_the_line() -> None:
    bucket = Bucket(1.0, 1.0, NOW)
    assert bucket.take(NOW) is None
    turn = bucket.take(NOW)
    assert turn == NOW + timedelta(seconds=1)
    assert bucket.take(turn - timedelta(milliseconds=1)) == NOW + timedelta(seconds=2)
    assert bucket.take(turn, waited=True) is None


def test_each_destination_each_campaign_and_all_together() -> None:
    pacing = Pacing(Rates(overall=10, campaign=5, destination=2, destinations={"big.example": 4}))
    assert pacing.room("a", NOW) == 5
    small = [pacing.take("a", "x.example", NOW, waited=False) for _ in range(3)]
    assert small[:2] == [None, None]
    assert small[2] is not None
    big = [pacing.take("b", "big.example", NOW, waited=False) for _ in range(5)]
    assert big[:4] == [None] * 4
    assert big[4] is not None
    assert (pacing.room("a", NOW), pacing.room("b", NOW), pacing.room("c", NOW)) == (3, 1, 4)
    assert pacing.room("a", NOW + timedelta(seconds=1)) == 5


def test_without_rates_there_is_plenty() -> None:
    pacing = Pacing(Rates())
    assert pacing.room("a", NOW) == PLENTY
    assert {pacing.take("a", "x", NOW, waited=False) for _ in range(1000)} == {None}


@pytest.mark.parametrize("rates", [Rates(overall=0), Rates(campaign=-1), Rates(destinations={"x": 0})])
def test_a_rate_of_nothing_is_no_rate(rates: Rates) -> None:
    with pytest.raises(ValueError, match="pause"):
        Pacing(rates)


def test_idle_buckets_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    pacing = Pacing(Rates(destination=1))
    for n in range(10_000):
        pacing.take("a", f"{n}.example", NOW, waited=False)
    later = NOW + timedelta(minutes=1)
    pacing.take("a", "last.example", later, waited=False)
    assert len(pacing._destinations) == 1

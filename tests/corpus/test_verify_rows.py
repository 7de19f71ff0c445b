"""What the verifier calls a difference, against the plain way to say it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demur.corpus.verify_rows import UnclearError, compared, unlike
from demur.corpus.verify_where import Where

_NUMBERS = st.lists(st.integers(0, 5) | st.integers(0, 1 << 63), max_size=8)
_IDS = st.lists(st.integers(0, 9).map(lambda one: f"{one * 0x1234567:016x}{one % 2:016x}"), max_size=8)


@given(_NUMBERS, _NUMBERS)
def test_what_stands_another_number_of_times_differs(here: list[int], there: list[int]) -> None:
    mine, theirs = Counter(here), Counter(there)
    found = unlike(np.array(here, np.uint64), np.array(there, np.uint64))
    assert found[0].tolist() == [mine[one] != theirs[one] for one in here]
    assert found[1].tolist() == [mine[one] != theirs[one] for one in there]


@given(_IDS, _IDS)
def test_ids_that_came_went_and_stand_twice(here: list[str], there: list[str]) -> None:
    for some, others in ((here, there), (sorted(set(here)), sorted(set(there)))):
        found = {
            name: set(ids.to_pylist())
            for name, ids in compared(*(pa.array(one, pa.string()) for one in (some, others)))
        }
        assert found["came"] == {*some} - {*others}
        assert found["went"] == {*others} - {*some}
        assert found.get("twice", set()) == {one for one, often in Counter(some).items() if often > 1}


@pytest.mark.parametrize("place", [0, 9, 20, 31])
def test_ids_that_differ_in_one_digit_are_different_ones(place: int) -> None:
    one = "a" * 32
    other = f"{one[:place]}b{one[place + 1 :]}"
    found = {name: ids.to_pylist() for name, ids in compared(pa.array(["0" * 32, one])[1:], pa.array([other]))}
    assert (found["came"], found["went"]) == ([one], [other])


def test_what_the_index_has_not_cannot_be_taken_out() -> None:
    where, rows = Where(), pa.table({"item_id": ["i", "i", "k"], "exact": pa.array([b"x" * 16] * 3, pa.binary(16))})
    parts = np.array([1, 1, 2])
    where.add("measures", parts, rows)
    where.remove("measures", parts[:1], rows.slice(0, 1))
    assert where.parts("measures", "item_id", pa.array(["i"])) == {1}
    where.remove("measures", parts[1:2], rows.slice(1, 1))
    assert where.parts("measures", "item_id", pa.array(["i"])) == set()
    assert where.parts("measures", "exact", pa.array([b"x" * 16], pa.binary(16))) == {2}
    where.remove("measures", parts[:1], rows.slice(0, 1))
    with pytest.raises(UnclearError):
        where.parts("measures", "item_id", pa.array(["k"]))

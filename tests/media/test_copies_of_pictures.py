"""A copy of a protected picture is protected: every pair within the distance is found, none beyond it."""

from __future__ import annotations

import media_makers as make
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.media import copies_of_protected
from demur.media.picture import Seen, fingerprint


def turned(one, bits):
    return one ^ sum(1 << bit for bit in bits)


def text(number):
    return f"{number:064x}"


@st.composite
def pictures(draw):
    """Some fingerprints, and others around them at distances from 0 to 40."""
    seeds = draw(st.lists(st.integers(0, 2**256 - 1), min_size=1, max_size=4))
    near = st.tuples(st.sampled_from(seeds), st.sets(st.integers(0, 255), max_size=40))
    numbers = seeds + [turned(*one) for one in draw(st.lists(near, max_size=12))]
    protected = draw(
        st.lists(st.sampled_from([True, False, False, None]), min_size=len(numbers), max_size=len(numbers))
    )
    quality = draw(st.lists(st.sampled_from([100, 100, 50, 49, None]), min_size=len(numbers), max_size=len(numbers)))
    return numbers, protected, quality


@settings(max_examples=100, deadline=None)
@given(world=pictures(), order=st.randoms(use_true_random=False))
def test_it_is_what_comparing_every_pair_gives_in_any_order(world, order):
    numbers, protected, quality = world
    rows = list(range(len(numbers)))
    good = [q is not None and q >= 50 for q in quality]
    expected = [
        protected[a] is not False
        or any(
            good[a] and good[b] and protected[b] is not False and (numbers[a] ^ numbers[b]).bit_count() <= 31
            for b in rows
        )
        for a in rows
    ]
    order.shuffle(rows)
    found = copies_of_protected(
        pa.array([text(numbers[row]) for row in rows]),
        pa.array([None] * len(rows), pa.string()),
        pa.array([quality[row] for row in rows], pa.int32()),
        pa.array([protected[row] for row in rows], pa.bool_()),
    )
    assert found.to_pylist() == [expected[row] for row in rows]


def test_no_pictures_no_copies():
    none = pa.array([None, None], pa.string())
    marked = copies_of_protected(none, none, pa.array([None, None], pa.int32()), pa.array([True, False]))
    assert marked.to_pylist() == [True, False]


def test_a_copy_of_a_copy_is_not_one_by_itself():
    first = 0x5A5A << 200 | 2**255 - 1 >> 3
    second, third = turned(first, range(20)), turned(first, range(40))
    hashes = pa.array([text(first), text(second), text(third)])
    none = pa.array([None] * 3, pa.string())
    marked = copies_of_protected(hashes, none, pa.array([100] * 3, pa.int32()), pa.array([True, False, False]))
    assert marked.to_pylist() == [True, True, False]


@pytest.mark.parametrize("change", ["smaller", "worse", "mirrored", "framed"])
def test_real_re_uploads_are_found_and_other_pictures_are_not(change):
    pytest.importorskip("cv2")
    import io

    from PIL import Image, ImageOps

    one, other = make.pattern(800, 600, seed=3), make.pattern(800, 600, seed=4)
    worse = io.BytesIO()
    one.save(worse, "JPEG", quality=25)
    copy = {
        "smaller": one.resize((320, 240)),
        "worse": Image.open(worse),
        "mirrored": ImageOps.mirror(one).resize((500, 375)),
        "framed": ImageOps.expand(one, 4, "white"),
    }[change]
    seen = []
    for picture in (one, copy, other):
        seen.append(Seen())
        fingerprint(np.asarray(picture.convert("RGB")), seen[-1])
    columns = [pa.array([getattr(s, name) for s in seen]) for name in ("hash", "hash_mirrored", "hash_quality")]
    assert copies_of_protected(*columns, pa.array([True, False, False])).to_pylist() == [True, True, False]

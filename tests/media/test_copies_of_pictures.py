"""A copy of a protected picture is protected: every pair within the distance is found, none beyond it."""

from __future__ import annotations

from itertools import pairwise

import media_makers as make
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from demur.media import copies_of_protected
from demur.media.copies import SAME_BITS, bands_of, cut_into, near
from demur.media.picture import Seen, fingerprint, unframed


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
    framed = st.one_of(st.none(), st.sampled_from(numbers))
    return numbers, protected, quality, draw(st.lists(framed, min_size=len(numbers), max_size=len(numbers)))


@settings(max_examples=100, deadline=None)
@given(world=pictures(), order=st.randoms(use_true_random=False))
def test_it_is_what_comparing_every_pair_gives_in_any_order(world, order):
    numbers, protected, quality, inside = world
    rows = list(range(len(numbers)))
    good = [q is not None and q >= 50 for q in quality]
    prints = [[*([numbers[a]] if good[a] else []), *([inside[a]] if inside[a] is not None else [])] for a in rows]
    known = [one for a in rows if protected[a] is not False for one in prints[a]]
    expected = [
        protected[a] is not False or any((one ^ other).bit_count() <= 31 for one in prints[a] for other in known)
        for a in rows
    ]
    order.shuffle(rows)
    found = copies_of_protected(
        pa.array([text(numbers[row]) for row in rows]),
        pa.array([None] * len(rows), pa.string()),
        pa.array([quality[row] for row in rows], pa.int32()),
        pa.array([protected[row] for row in rows], pa.bool_()),
        pa.array([text(inside[row]) if inside[row] is not None else None for row in rows], pa.string()),
    )
    assert found.to_pylist() == [expected[row] for row in rows]


def words(numbers):
    return np.frombuffer(b"".join(one.to_bytes(32, "big") for one in numbers), ">u8").astype(np.uint64).reshape(-1, 4)


@st.composite
def neighbours(draw):
    """Fingerprints around one, most of them at the very edge of the distance, their turned bits together or apart."""
    middle = draw(st.integers(0, 2**256 - 1))
    runs = st.builds(lambda begin, size: {*range(256)[begin : begin + size]}, st.integers(0, 255), st.integers(0, 40))
    spread = st.builds(lambda begin, step: set(range(begin, 256, step)), st.integers(0, 7), st.integers(7, 9))
    some = st.one_of(st.sets(st.integers(0, 255), min_size=28, max_size=34), runs, spread)
    return middle, [turned(middle, bits) for bits in draw(st.lists(some, min_size=1, max_size=6))]


@settings(max_examples=60, deadline=None)
@given(world=neighbours(), number=st.integers(8, 32))
@example(world=(0, [sum(1 << 8 * place for place in range(31)), sum(1 << 8 * place for place in range(32))]), number=32)
def test_however_many_bands_it_is_what_comparing_every_pair_gives(world, number):
    middle, others = world
    found = near(words(others), words([middle]), bands=cut_into(number))
    assert found.tolist() == [(middle ^ one).bit_count() <= SAME_BITS for one in others]


@pytest.mark.parametrize("count", [1, 10_000, 1_000_000, 100_000_000])
def test_bands_are_of_all_bits_and_leave_no_pair_out(count):
    bands = bands_of(count)
    cut = next(number for number in range(8, 33) if cut_into(number) == bands)
    assert sum(band.radius + 1 for band in bands) > SAME_BITS  # who differs in more in each differs in more than 31
    assert all(band.bits in (256 // cut, 256 // cut + 1) for band in bands)
    assert all(one.begin + one.bits <= other.begin for one, other in pairwise(bands))


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99), bits=st.integers(0, 40))
def test_many_of_one_kind_are_compared_as_few_are(seed, bits):
    """More candidates a look-up than are compared at once, and the only near one is the youngest of them."""
    chance = np.random.default_rng(seed)
    crowd = chance.integers(0, 1 << 63, (700, 4), dtype=np.uint64)
    crowd[:, 0] = 7  # the same first bits: all stand in one place of the first bands
    asked = crowd[-1:].copy()
    for bit in chance.permutation(192)[:bits]:
        asked[0, 1 + bit // 64] ^= np.uint64(1 << int(bit % 64))
    ages = np.arange(700)
    assert near(asked, crowd, (np.array([999]), ages), bands=cut_into(16)).tolist() == [bits <= SAME_BITS]
    assert near(asked, crowd, (np.array([699]), ages)).tolist() == [False]


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


@pytest.mark.parametrize("change", [
    "smaller", "worse", "mirrored", "framed", "story", "a_frame_cut_away", "a_frame_cut_away_and_mirrored"
])  # fmt: skip
def test_real_re_uploads_are_found_and_other_pictures_are_not(change):
    pytest.importorskip("cv2")
    import io

    from PIL import Image, ImageOps

    one, other = make.pattern(800, 600, seed=3), make.pattern(800, 600, seed=4)
    worse, story = io.BytesIO(), io.BytesIO()
    one.save(worse, "JPEG", quality=25)
    ImageOps.mirror(ImageOps.pad(one, (540, 960), color=(20, 30, 40))).save(story, "JPEG", quality=30)
    framed = ImageOps.expand(one, 60, "white")
    copy = {
        "smaller": one.resize((320, 240)),
        "worse": Image.open(worse),
        "mirrored": ImageOps.mirror(one).resize((500, 375)),
        "framed": framed,
        "story": Image.open(story),
        "a_frame_cut_away": one,
        "a_frame_cut_away_and_mirrored": ImageOps.mirror(one),
    }[change]
    seen = []
    for picture in (framed if change.startswith("a_frame_cut_away") else one, copy, other):
        seen.append(Seen())
        fingerprint(np.asarray(picture.convert("RGB")), seen[-1])
    names = "hash", "hash_mirrored", "hash_quality"
    columns = [pa.array([getattr(s, name) for s in seen]) for name in names]
    inside = pa.array([s.hash_inside for s in seen], pa.string())
    assert copies_of_protected(*columns, pa.array([True, False, False]), inside).to_pylist() == [True, True, False]


@pytest.mark.parametrize("ground", ["white", "black"])
def test_what_is_almost_all_ground_is_no_picture_in_a_frame(ground):
    pytest.importorskip("cv2")
    from PIL import Image

    empty = Image.new("RGB", (400, 300), ground)
    small = empty.copy()
    small.paste(make.pattern(80, 70), (150, 100))
    assert [unframed(np.asarray(one)) for one in (empty, small, make.pattern(400, 300))] == [None] * 3

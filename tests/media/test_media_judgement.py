"""Of equal pictures the earliest stays, copies of protected ones go, and neither depends on the order of rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.media import copies_of_earlier
from demur.media.build import JUDGED, judge
from demur.media.copies import GOOD_QUALITY, SAME_BITS

SEEDS = [bytes([seed * 17 % 256, seed]) * 16 for seed in (1, 90, 201)]
TURNS = (0, 1, 5, SAME_BITS, SAME_BITS + 1, 120)


def turned(seed: bytes, bits: int) -> str:
    places = np.random.default_rng(bits).permutation(256)[:bits]
    raw = np.unpackbits(np.frombuffer(seed, np.uint8)).copy()
    raw[places] ^= 1
    return np.packbits(raw).tobytes().hex()


def apart(left: str, right: str) -> int:
    return (int(left, 16) ^ int(right, 16)).bit_count()


picture = st.builds(
    lambda seed, bits, mirror, quality, name: {
        "media_digest": name,
        "clean_digest": name,
        "hash": turned(SEEDS[seed], bits),
        "hash_mirrored": turned(SEEDS[mirror], 3),
        "hash_quality": quality,
        "hash_inside": None,
        "reason": None,
    },
    st.integers(0, 2),
    st.sampled_from(TURNS),
    st.integers(0, 2),
    st.sampled_from([GOOD_QUALITY - 1, GOOD_QUALITY, 100]),
    st.text("abcdef", min_size=3, max_size=3),
)


def table(rows):
    kinds = {"hash_quality": pa.int32()}
    columns = {name: pa.array([row[name] for row in rows], kinds.get(name, pa.string())) for name in JUDGED}
    return pa.table(columns)


@settings(max_examples=60, deadline=None)
@given(st.lists(picture, max_size=10))
def test_a_picture_is_an_earlier_one_again_where_every_pair_says_so(rows):
    found = table(rows)
    told = copies_of_earlier(found["hash"], found["hash_mirrored"], found["hash_quality"]).to_pylist()
    good = [row["hash_quality"] >= GOOD_QUALITY for row in rows]
    assert told == [
        good[late]
        and any(
            good[early]
            and min(apart(row["hash"], rows[early]["hash"]), apart(row["hash"], rows[early]["hash_mirrored"]))
            <= SAME_BITS
            for early in range(late)
        )
        for late, row in enumerate(rows)
    ]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(picture, st.sampled_from([True, False, None])), max_size=8), st.randoms())
def test_the_judgement_does_not_depend_on_the_order_of_rows(rows, chance):
    order = list(range(len(rows)))
    chance.shuffle(order)

    def told(numbers):
        shown = [rows[number] for number in numbers]
        guarded = pa.array([protected for _, protected in shown], pa.bool_())
        never = pa.array([False] * len(shown), pa.bool_())
        found = judge(table([one for one, _ in shown]), guarded, never, np.array(numbers, np.int64)).to_pylist()
        return dict(zip(numbers, found, strict=True))

    straight = told(list(range(len(rows))))
    assert told(order) == straight
    guarded = [one for one, protected in rows if protected is not False]
    for number, reason in straight.items():
        one, protected = rows[number]
        assert (reason == "protected") == (protected is not False)
        if reason is None:
            assert one["media_digest"] not in {other["media_digest"] for other in guarded}


def test_words_that_are_a_copy_take_the_picture_along_and_an_unreadable_one_keeps_its_reason():
    rows = [
        dict.fromkeys(JUDGED) | {"media_digest": name, "reason": reason}
        for name, reason in (("a", None), ("b", "polyglot"), ("c", None), ("a", None))
    ]
    copied = pa.array([False, True, None, False])
    guarded = pa.array([False] * 4)
    assert judge(table(rows), guarded, copied, np.array([1, 2, 3, 0])).to_pylist() == [
        "duplicate", "polyglot", "protected_copy", None,
    ]  # fmt: skip

"""Which posts stand in pictures: found whatever font, size, words around it; by the two texts alone, in any order."""

from __future__ import annotations

import io
import os
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from demur.corpus import shown
from demur.corpus.shown import RUN, SHARE, Known, runs_of, shares, showing

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
LEAST = 8
POSTS = {
    "en": "before dinner we cooked potatoes with butter and garlic, then watched the stars over the hills",
    "de": "Vor dem Abendessen kochten wir Kartoffeln mit Butter und gingen später am Fluss spazieren",
    "es": "Antes de la cena cocinamos patatas con mantequilla y ajo, luego paseamos por el río",
    "fr": "Avant le dîner nous avons cuisiné des pommes de terre au beurre, puis marché près du château",
    "sv": "Före middagen kokade vi potatis med smör och vitlök, sedan såg vi på stjärnorna över åsen",
}
WORDS = [f"{one}{two}{three}" for one in ("ka", "mi", "so") for two in ("tu", "le") for three in ("rin", "pa", "st")]


def batched(many, size):
    return [list(many)[at : at + size] for at in range(0, len(many), size)]


def font_of(size: int, text: str):
    """Pillow's own font has no accents."""
    try:
        return ImageFont.truetype("DejaVuSans.ttf", size)
    except OSError:
        if not text.isascii():
            pytest.skip("DejaVu Sans is not installed")
        return ImageFont.load_default(size)


def screenshot(text: str, seed: int) -> bytes:
    """A post as an app shows it: who, when, the words in lines, counts; another post above."""
    chance = random.Random(seed)
    size, dark = chance.choice([16, 20, 30]), chance.random() < 0.5
    font, said = font_of(size, text), f"so much was said elsewhere about {seed} other things"
    words = text.split()
    lines = ["M. Kowalski · 3h", said, f"{seed} likes", "A. Nother @somebody · 5h"]
    lines += [" ".join(some) for some in batched(words, chance.choice([4, 6]))]
    lines += ["12:19 · 16 Mar 2025 · 1271 Views", "17   112   5"]
    picture = Image.new("RGB", (size * 30, size * 2 * len(lines) + 40), (20, 30, 40) if dark else "white")
    for place, line in enumerate(lines):
        ImageDraw.Draw(picture).text((20, 20 + size * 2 * place), line, fill="white" if dark else "black", font=font)
    out = io.BytesIO()
    picture.rotate(chance.uniform(-1, 1), Image.Resampling.BICUBIC, fillcolor=(90, 90, 90)).save(
        out, "JPEG", quality=chance.choice([40, 70, 90])
    )
    return out.getvalue()


@pytest.mark.parametrize("language", POSTS if NIGHTLY else ["de", "fr"])
def test_a_screenshot_shows_its_post_and_no_other(reading, language):
    for seed in range(6 if NIGHTLY else 1):
        read = reading.develop("picture", screenshot(POSTS[language], seed)).seen["ocr_text"]
        for other, post in POSTS.items():
            assert (shares(read, post) >= SHARE) == (other == language), (language, other, read)


def found(pictures, posts, protected, *, pieces=3):
    """Return {(picture, post)}, and the pictures that show a protected one."""
    ids = pa.array([str(one) for one in posts])
    texts = pa.array([posts[one] for one in posts], pa.string())
    guarded = pa.array([str(one) for one in sorted(protected)], pa.string())

    def known(some):
        theirs = pa.array([one in guarded.to_pylist() for one in some.to_pylist()], pa.bool_())
        return Known(theirs, pa.array([not one for one in theirs.to_pylist()], pa.bool_()))

    order = list(pictures)
    split = [(ids.slice(at, pieces), texts.slice(at, pieces)) for at in range(0, len(ids), pieces)]
    told = list(
        showing(lambda: ([pictures[one] for one in some] for some in batched(order, pieces)), split, known, least=LEAST)
    )
    pairs = {
        (order[number], int(post))
        for numbers, some, _ in told
        for number, post in zip(numbers.tolist(), some.to_pylist(), strict=True)
    }
    return pairs, {order[number] for numbers, _, theirs in told for number in np.asarray(numbers)[theirs].tolist()}


texts = st.lists(st.sampled_from(WORDS), min_size=6, max_size=14).map(" ".join)


@st.composite
def worlds(draw):
    """Posts, pictures that show some of them with other words around, and who is protected."""
    posts = draw(st.lists(texts, min_size=1, max_size=8, unique=True))
    around = draw(st.lists(st.tuples(st.integers(0, len(posts) - 1), texts), min_size=1, max_size=8))
    pictures = {row: f"{said}\n{posts[post]}" for row, (post, said) in enumerate(around)}
    protected = draw(st.sets(st.integers(0, len(posts) - 1)))
    return dict(enumerate(posts)), pictures, protected


@settings(max_examples=400 if NIGHTLY else 40, deadline=None)
@given(worlds(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_what_is_found_depends_on_the_two_texts_alone(world, chance, pieces):
    posts, pictures, protected = world
    pairs, guarded = found(pictures, posts, protected)
    for row, text in pictures.items():
        alone = {post for post in posts if found({row: text}, {post: posts[post]}, protected)[0]}
        first = min(alone & protected, default=None)
        assert {post for at, post in pairs if at == row} == (alone - protected) | (
            {first} if first is not None else set()
        )
        assert (row in guarded) == (first is not None)
    mixed = [dict(chance.sample(list(some.items()), len(some))) for some in (pictures, posts)]
    assert found(*mixed, protected, pieces=pieces) == (pairs, guarded)


@settings(max_examples=200 if NIGHTLY else 20, deadline=None)
@given(worlds(), st.data())
def test_one_objection_more_lets_no_picture_in(world, data):
    posts, pictures, protected = world
    more = data.draw(st.sampled_from(sorted(posts)))
    assert found(pictures, posts, protected)[1] <= found(pictures, posts, protected | {more})[1]


def test_blocks_of_posts_change_nothing(monkeypatch):
    chance = random.Random(3)
    posts = {row: " ".join(chance.choices(WORDS, k=12)) for row in range(60)}
    pictures = {row: f"a frame {posts[row * 3]} and more" for row in range(20)}
    protected = {row for row in posts if row % 4 == 0}
    whole = found(pictures, posts, protected)
    monkeypatch.setattr(shown, "BLOCK_SIGNS", 200)
    monkeypatch.setattr(shown, "_PAIRS", 50)
    assert found(pictures, posts, protected)[1] == whole[1]
    assert found(pictures, posts, set()) == (whole[0] | found(pictures, posts, set())[0], set())
    assert whole[1] >= {row for row in pictures if row * 3 % 4 == 0}


@pytest.mark.parametrize(
    ("picture", "shows"),
    [
        (POSTS["en"], True),
        (POSTS["en"].upper().replace("O", "0").replace("I", "l"), True),  # signs that look alike
        (POSTS["en"].replace(" ", ""), True),  # blanks are lost first
        (" ".join(POSTS["en"].split()[:9]), True),  # a part of it
        ("cooked potatoes with butter", False),  # a part that belongs to nobody
        (" ".join(reversed(POSTS["en"].split())), False),
        ("", False),
        (None, False),
    ],
)
def test_what_counts_as_shown(picture, shows):
    assert bool(found({0: picture}, {0: POSTS["en"]}, set())[0]) is shows


def test_short_posts_belong_to_nobody_and_handles_are_no_words():
    frame = "M. Kowalski 3h the garden is lovely today 12:19 Views"
    assert found({0: frame}, {0: "the garden is lovely today"}, set()) == (set(), set())
    assert runs_of(["@somebody https://example.org/path <HANDLE>"])[0].size == 0
    assert len(runs_of(["x" * RUN, "y" * (RUN - 1), None])[0]) == 1
    assert found({}, {0: POSTS["en"]}, set()) == (set(), set())
    assert found({0: POSTS["en"]}, {0: None}, set()) == (set(), set())


def test_a_template_names_few_and_hides_no_protected_one():
    posts = {row: f"I just earned badge number {row} in the walking app of our town today" for row in range(100, 180)}
    pairs, guarded = found({0: posts[120]}, posts, {179})
    assert guarded == {0}
    assert len(pairs) == shown.MOST + 1

"""A part of a protected picture is protected too: cut, turned, written over, on a screen, beside others."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("cv2")

from PIL import Image, ImageDraw, ImageFont, ImageOps

from demur.media import partial
from demur.media.keypoints import EDGE, KEYPOINT, LEVELS, MOST, PLACES, STEP, TEXT, TURN, keypoints, read
from demur.media.partial import same_part, showing_parts


def drawn(seed, size=(640, 480)):
    """A picture of many things of many colours, edges and sizes, with the noise of a sensor."""
    chance = np.random.default_rng(seed)
    picture = Image.new("RGB", size, tuple(chance.integers(0, 255, 3).tolist()))
    draw = ImageDraw.Draw(picture)
    for _ in range(90):
        x, y, wide, high = chance.uniform(0, 1, 4) * [*size, size[0] / 5, size[1] / 5]
        colour = tuple(chance.integers(0, 255, 3).tolist())
        corners = [(x + wide * a, y + high * b) for a, b in chance.uniform(0, 1, (int(chance.integers(3, 6)), 2))]
        draw.polygon(corners, fill=colour)
    noise = chance.normal(0, 5, (size[1], size[0], 1))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def again(picture, quality=60):
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=quality)
    return Image.open(out).convert("RGB")


def points(picture):
    return read(keypoints(np.asarray(picture.convert("RGB"))))


def cut(picture, left, top, right, bottom):
    wide, high = picture.size
    return picture.crop((int(wide * left), int(high * top), int(wide * (1 - right)), int(high * (1 - bottom))))


def screen(picture, width=540):
    """A phone that shows a picture among an app's marks."""
    page = Image.new("RGB", (width, width * 2), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, width, 50), fill=(20, 20, 40))
    draw.ellipse((20, 70, 80, 130), fill=(200, 80, 60))
    high = picture.height * width // picture.width
    page.paste(picture.resize((width, high)), (0, 150))
    for place in range(12):  # buttons, each another
        page.paste(drawn(100 + place, (44, 44)), (20 + place % 6 * 90, (60, width * 2 - 60)[place // 6]))
    return page


def captioned(picture):
    page = Image.new("RGB", (picture.width, picture.height * 5 // 4), "white")
    page.paste(picture, (0, picture.height // 4))
    font = ImageFont.load_default(picture.height // 10)
    ImageDraw.Draw(page).text((20, 20), "when the bus is late", fill="black", font=font)
    return page


def beside(picture):
    page = Image.new("RGB", (picture.width * 2, picture.height))
    page.paste(drawn(77), (0, 0))
    page.paste(picture, (picture.width, 0))
    return page


CHANGES = {
    "cut": lambda one: cut(one, 0.1, 0.05, 0.15, 0.1),
    "a half": lambda one: cut(one, 0, 0, 0.5, 0),
    "a third of it": lambda one: cut(one, 0.2, 0.2, 0.3, 0.2),
    "turned by a quarter": lambda one: one.rotate(90, expand=True),
    "on its head": lambda one: one.rotate(180),
    "turned a little and cut": lambda one: cut(one.rotate(8), 0.12, 0.12, 0.12, 0.12),
    "captioned": captioned,
    "written over": lambda one: ImageOps.expand(cut(one, 0, 0, 0, 0.3), (0, 0, 0, one.height // 3), "white"),
    "on a screen": screen,
    "beside another": beside,
    "small": lambda one: cut(one, 0.05, 0.05, 0.05, 0.05).resize((240, 180)),
    "grey": lambda one: ImageOps.grayscale(cut(one, 0.1, 0, 0, 0)).convert("RGB"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_part_of_a_protected_picture_is_found_and_other_pictures_are_not(change):
    one, asked = drawn(1), [again(CHANGES[change](drawn(seed))) for seed in (1, 2, 3)]
    found = showing_parts([points(drawn(9)), points(one)], lambda: map(points, asked), 3)
    assert found.tolist() == [True, False, False]


def test_what_two_screens_share_is_no_part_of_a_picture():
    screens = [points(again(screen(drawn(seed)))) for seed in range(4)]
    assert not showing_parts(screens[:1], lambda: screens[1:], 3).any()
    mine, _theirs = partial._nearest(screens[0], screens[1])
    assert len(mine) >= partial._FEWEST  # they have much in common, and not what counts


def post(seed, width=540):
    """A phone that shows a post of words in an app; and where the words stand."""
    page, chance = screen(Image.new("RGB", (640, 480), "white"), width), np.random.default_rng(seed)
    lines = []
    for line in range(9):
        box = (30, 160 + 38 * line, 30 + int(chance.integers(250, 480)), 190 + 38 * line)
        for left in range(box[0], box[2] - 12, 14):
            mark = [(left + int(x), box[1] + int(y)) for x, y in chance.integers(2, 26, (3, 2))]
            ImageDraw.Draw(page).line(mark, fill="black", width=3)
        lines.append(box)
    return read(keypoints(np.asarray(again(page)), lines))


def test_what_posts_in_one_app_share_is_no_part_of_a_picture():
    posts, shown = [post(seed) for seed in range(4)], [points(again(screen(drawn(seed)))) for seed in range(3)]
    assert not showing_parts(posts[:1], lambda: [*posts[1:], *shown], 6).any()
    assert not showing_parts(shown, lambda: posts, 4).any()


def test_a_mark_in_a_corner_is_no_part_of_a_picture():
    """Else one objection to a logo would take out every picture that carries it."""
    logo = drawn(50, (200, 150))
    marked = []
    for seed in (1, 2):
        marked.append(drawn(seed, (800, 700)))
        marked[-1].paste(logo, (20, 530))
    alone = Image.new("RGB", (400, 300), "white")
    alone.paste(logo, (100, 75))
    some = [points(again(one)) for one in (*marked, alone)]
    assert showing_parts(some[:1], lambda: some, 3).tolist() == [True, False, False]
    assert showing_parts(some[2:], lambda: some, 3).tolist() == [False, False, True]


def test_a_picture_twice_in_another_is_found():
    one = drawn(1, (400, 300))
    twice = Image.new("RGB", (800, 300))
    twice.paste(one, (0, 0))
    twice.paste(one, (400, 0))
    assert showing_parts([points(one)], lambda: [points(again(twice))], 1).all()
    assert showing_parts([points(twice)], lambda: [points(again(one))], 1).all()


def test_equal_keypoints_cost_no_more_than_others():
    """Whatever a worker says that a file took over: of 32 pictures and 300 all pairs would be 19 billion."""
    same = np.zeros(MOST, KEYPOINT)
    same["x"] = np.arange(MOST)
    assert not showing_parts([same] * 300, lambda: [same] * 32, 32).any()
    twice = np.repeat(np.array([(9, 9, 1, 1, [word] * 4) for word in range(MOST // 2)], KEYPOINT), 2)
    assert not showing_parts([twice] * 20, lambda: [twice] * 8, 8).any()


@pytest.mark.parametrize("shape", [(1, 512), (1, 5000), (5000, 1), (1, 1), (2000, 3)])
def test_a_picture_of_one_line_has_none(shape):
    noise = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
    assert len(read(keypoints(noise))) == 0


@pytest.mark.parametrize("period", [4, 5, 6, 16])
def test_patterns_have_no_more_than_others(period):
    dots = np.full((512, 512, 3), 255, np.uint8)
    dots[::period, ::period] = 0
    assert len(read(keypoints(dots))) <= MOST


def moved(some, times, by, chance):
    """The same keypoints, turned, made larger, and moved; their bits a little different."""
    there = (some["x"] / PLACES + 1j * some["y"] / PLACES) * times + by
    out = some.copy()
    out["x"], out["y"] = np.rint(there.real * PLACES), np.rint(there.imag * PLACES)
    out["angle"] = (some["angle"].astype(int) + round(np.angle(times) / 2 / np.pi * TURN)) % TURN
    out["level"] = np.clip(some["level"].astype(int) + round(np.log(abs(times)) / np.log(STEP)), 0, LEVELS - 1)
    out["bits"] ^= np.uint64(1) << chance.integers(0, 64, (len(out), 4)).astype(np.uint64)
    inside = (there.real >= 0) & (there.real < EDGE) & (there.imag >= 0) & (there.imag < EDGE)
    return out[inside]


@st.composite
def worlds(draw):
    """Some pictures' keypoints, and others that show parts of them."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    pictures = []
    for _ in range(draw(st.integers(1, 4))):
        some = np.zeros(draw(st.integers(0, 120)), KEYPOINT)
        some["x"], some["y"] = chance.integers(0, EDGE * PLACES, (2, len(some)))
        some["level"], some["angle"] = chance.integers(0, LEVELS, len(some)), chance.integers(0, TURN, len(some))
        some["bits"] = chance.integers(0, 2**64, (len(some), 4), np.uint64)
        pictures.append(some)
    copies = []
    for _ in range(draw(st.integers(0, 6))):
        times = draw(st.floats(0.7, 1.4)) * np.exp(1j * draw(st.floats(-3, 3)))
        by = complex(draw(st.integers(0, 300)), draw(st.integers(0, 300)))
        copies.append(moved(draw(st.sampled_from(pictures)), times, by, chance))
    return pictures, copies


@settings(max_examples=80, deadline=None)
@given(world=worlds(), block=st.integers(1, 3), at_once=st.integers(1, 3), data=st.data())
def test_a_verdict_is_one_on_two_pictures_whatever_else_there_is(world, block, at_once, data):
    """No order, no third picture and no block changes it; one protected picture more lets nothing in."""
    protected, asked = world[0], [*world[1], *world[0]]
    alone = [[bool(showing_parts([one], lambda one=other: [one], 1)[0]) for other in asked] for one in protected]
    known = enumerate(zip(alone, protected, strict=True), len(world[1]))
    assert all(row[place] or len(one) < 60 for place, (row, one) in known)
    order = data.draw(st.permutations(range(len(asked))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partial, "BLOCK", block)
        patch.setattr(partial, "ASKED", at_once)
        found = showing_parts(iter(protected), lambda: (asked[place] for place in order), len(asked))
    assert found.tolist() == [any(row[place] for row in alone) for place in order]


@settings(max_examples=60, deadline=None)
@given(world=worlds(), seed=st.integers(0, 2**32))
def test_most_of_a_part_that_only_moved_is_found(world, seed):
    some = next((one for one in world[0] if len(one) >= 60), None)
    if some is not None:
        chance = np.random.default_rng(seed)
        assert same_part(moved(some, 1.0, 0, chance), some)
        inside = some[(some["x"] > 100 * PLACES) & (some["y"] > 100 * PLACES)]
        turned = moved(inside, -0.9j, complex(0, EDGE), chance)
        assert len(turned) < 40 or same_part(turned, some)


@given(
    text=st.one_of(
        st.none(), st.text(max_size=80), st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode())
    )
)
def test_whatever_a_worker_says_is_read_or_left_out(text):
    found = read(text)
    assert found.dtype == KEYPOINT
    assert ((found["level"] < LEVELS) | (found["level"] == TEXT)).all()
    assert not showing_parts([found], lambda: [found], 1).any(), "too few"


def test_too_many_keypoints_are_none():
    one = np.zeros(2 * MOST, KEYPOINT)
    assert len(read(base64.b64encode(one[:MOST].tobytes()).decode())) == MOST
    assert len(read(base64.b64encode(one.tobytes()).decode())) == 0


def test_none_are_taken_where_text_stands():
    picture = np.asarray(drawn(4))
    there = read(keypoints(picture, [(0, 0, 320, 480)]))
    left = there["x"] / PLACES < 320 * EDGE / 640 - 1
    assert len(there) - left.sum() > 100
    assert (there["level"][left] == TEXT).all(), "marks that something stands there"
    assert (read(keypoints(picture, [(0, 0, 640, 480)]))["level"] == TEXT).all()


def test_a_picture_of_nothing_has_none():
    assert keypoints(np.full((200, 300, 3), 127, np.uint8)) == ""
    assert not same_part(read(""), read(None))


def test_a_film_that_is_left_out_before_its_first_bright_frame_still_has_keypoints():
    """A recipe leaves pictures of faces out; one is in the dark, before the frame by which the film is known."""
    pytest.importorskip("av")
    import media_makers as make

    from demur.media import MediaRecipe
    from demur.media.film import watched
    from demur.media.picture import LeftOutError

    class Anything:
        kind, version = "face", "1"

        def find(self, picture):
            return [(0, 0, 9, 9)]

    dark, bright = Image.new("RGB", (640, 480)), drawn(1)
    content = make.film([dark, dark, bright, bright], rate=1)
    with pytest.raises(LeftOutError) as error:
        watched(content, MediaRecipe(faces="leave_out", text="ignore", frame_step_ms=1_000), [Anything()], None, None)
    assert error.value.seen.hash_quality >= 50
    assert showing_parts([read(error.value.seen.keypoints)], lambda: [points(again(drawn(1)))], 1).all()

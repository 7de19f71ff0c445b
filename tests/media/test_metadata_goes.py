"""Nothing of a file but its pixels comes through, whatever the file is; the worker never takes the room with it."""

from __future__ import annotations

import io
import os
import struct

import media_makers as make
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from demur.media import Left
from demur.media.plainness import more_than_pixels

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
FILES = {
    "jpeg": make.loaded_jpeg,
    "png": make.loaded_png,
    "gif": make.loaded_gif,
    "webp": lambda: make.loaded("WEBP"),
    "avif": lambda: make.loaded("AVIF"),
}


def plain(clean):
    """The clean file is a JPEG with nothing else in it, by our walk, by Pillow and by search."""
    with Image.open(io.BytesIO(clean)) as picture:
        told = dict(picture.getexif()), {**picture.info}
    told[1].pop("jfif", None), told[1].pop("jfif_version", None)
    told[1].pop("jfif_unit", None), told[1].pop("jfif_density", None)
    return more_than_pixels(clean) == [] and told == ({}, {}) and make.SECRET not in clean and b"Exif" not in clean


@pytest.mark.parametrize("form", sorted(FILES))
def test_pixels_come_through_and_nothing_else(quick, form):
    content = FILES[form]()
    assert make.SECRET in content
    done = quick.develop("picture", content)
    assert done.left is None
    assert plain(done.clean)
    near = np.abs(make.pixels(done.clean).astype(int) - make.pixels(content).astype(int)).mean()
    assert near < (12 if form == "gif" else 4)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_stands_as_its_camera_was_held(quick, orientation):
    content = make.loaded_jpeg(orientation=orientation)
    with Image.open(io.BytesIO(content)) as picture:
        upright = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    clean = make.pixels(quick.develop("picture", content).clean)
    assert clean.shape == upright.shape
    assert np.abs(clean.astype(int) - upright.astype(int)).mean() < 4


def test_what_is_transparent_becomes_white(quick):
    clear = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    assert make.pixels(quick.develop("picture", make.png(clear)).clean).min() > 250


def test_grey_of_sixteen_bits_is_a_picture_too(quick):
    deep = Image.fromarray(np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16)
    clean = make.pixels(quick.develop("picture", make.png(deep)).clean)
    assert clean.min() < 10
    assert clean.max() > 245


def test_a_large_picture_is_decoded_once_and_made_small(quick):
    done = quick.develop("picture", make.loaded_jpeg(make.pattern(2600, 1300)))
    assert (done.seen["width"], done.seen["height"]) == (1024, 512)


def with_thumbnail(picture, small):
    """A JPEG whose EXIF block holds another picture as its thumbnail (EXIF 2.3 §4.5.5: IFD1, tags 0x0201, 0x0202)."""
    inner = io.BytesIO()
    small.save(inner, "JPEG", quality=90)
    secret = inner.getvalue()
    entries = [(0x0103, 3, 6), (0x0201, 4, 8 + 6 + 3 * 12 + 6), (0x0202, 4, len(secret))]
    ifd0 = struct.pack("<HI", 0, 14)
    ifd1 = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *one[:2], 1, one[2]) for one in entries)
    block = b"II*\0" + struct.pack("<I", 8) + ifd0 + ifd1 + struct.pack("<I", 0) + secret
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=90)
    plain = out.getvalue()
    return plain[:2] + make.segment(0xE1, b"Exif\0\0" + block) + plain[2:], secret


def test_an_embedded_thumbnail_of_something_else_never_comes_through(quick):
    shown, hidden = make.pattern(640, 480, seed=3), Image.new("RGB", (160, 120), (250, 10, 10))
    content, secret = with_thumbnail(shown, hidden)
    assert secret in content
    done = quick.develop("picture", content)
    assert secret[20:80] not in done.clean + done.thumbnail
    assert plain(done.clean)
    assert plain(done.thumbnail)
    small = make.pixels(done.thumbnail)
    assert small.shape == (192, 256, 3)
    expected = np.asarray(shown.resize((256, 192), Image.Resampling.BOX)).astype(int)
    assert np.abs(small.astype(int) - expected).mean() < 6


@pytest.mark.skipif(make.face() is None, reason="the shared pictures are not here")
def test_what_is_hidden_in_the_picture_is_hidden_in_its_thumbnail(quick):
    from demur.media.detect import Faces

    out = io.BytesIO()
    make.with_faces([make.face("obama"), make.face("biden")], heads=200).save(out, "JPEG", quality=92)
    assert len(Faces(256).find(make.pixels(out.getvalue()))) >= 2
    done = quick.develop("picture", out.getvalue())
    assert Faces(256).find(make.pixels(done.thumbnail)) == []


def test_the_same_bytes_give_the_same_bytes(quick):
    content = make.loaded_jpeg()
    assert quick.develop("picture", content) == quick.develop("picture", content)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (lambda clean: clean[:2] + make.segment(0xE1, b"Exif\0\0") + clean[2:], "segment E1"),
        (lambda clean: clean[:2] + make.segment(0xFE, b"hello") + clean[2:], "segment FE"),
        (lambda clean: clean + b"x", "bytes behind the pixels"),
        (lambda clean: clean[:-2], "bytes behind the pixels"),
        (lambda clean: clean[:30], "no pixels"),
        (lambda clean: clean.replace(b"\0\x01\0\x01\0\0", b"\0\x01\0\x01\1\1", 1), "JFIF with a thumbnail"),
    ],
)
def test_the_room_sees_what_a_worker_left_in(spoil, found):
    out = io.BytesIO()
    make.pattern().save(out, "JPEG")
    assert more_than_pixels(out.getvalue()) == []
    assert found in more_than_pixels(spoil(out.getvalue()))


@st.composite
def spoiled(draw):
    """A file with segments of any kind and content in it, then with bytes changed, cut out or put in."""
    kinds = st.sampled_from([*range(0xE0, 0xF0), 0xFE, 0xC4, 0xDB, 0xDD])
    heads = st.sampled_from(
        [b"", b"Exif\0\0MM\0*\0\0\0\x08", b"Exif\0\0II*\0\x08\0\0\0", b"ICC_PROFILE\0\1\1", b"JFIF\0"]
    )
    bodies = st.tuples(heads, st.binary(max_size=60)).map(lambda two: two[0] + two[1] + make.SECRET)
    more = draw(st.lists(st.builds(make.segment, kinds, bodies), max_size=3))
    base = draw(st.sampled_from(["jpeg", "jpeg", "jpeg", *FILES]))
    content = bytearray(make.loaded_jpeg(more=more) if base == "jpeg" else FILES[base]())
    for _ in range(draw(st.integers(0, 6))):
        place = draw(st.one_of(st.integers(0, min(700, len(content) - 1)), st.integers(0, len(content) - 1)))
        match draw(st.integers(0, 3)):
            case 0:
                content[place] = draw(st.integers(0, 255))
            case 1:
                del content[place : place + draw(st.integers(1, 40))]
            case 2:
                content[place:place] = draw(st.binary(min_size=1, max_size=40))
            case _:
                content[place : place + 4] = draw(
                    st.sampled_from([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
                )
        content = content or bytearray(b"\xff")
    return bytes(content)


@settings(
    max_examples=10_000 if NIGHTLY else 300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(content=spoiled())
def test_no_broken_file_harms_the_room_or_leaves_anything_in(quick, content):
    done = quick.develop("picture", content)
    if done.left is None:
        assert plain(done.clean)
        assert plain(done.thumbnail)
    else:
        assert done.left in (Left.UNREADABLE, Left.TOO_MANY_PIXELS, Left.TOO_MANY_FRAMES, Left.POLYGLOT, Left.NO_MEMORY)
    assert quick.starts == 1

"""What must not be seen is gone from the pixels: faces, identifiers in pictures, chats."""

from __future__ import annotations

import functools
import io
import itertools

import media_makers as make
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from demur.media import Darkroom, Left, MediaRecipe
from demur.media.detect import CascadeFaces, CascadePlates, Faces, grown, load
from demur.media.picture import LeftOutError, cleaned, fill, mosaic
from demur.media.reading import Reader, in_reading_order, looks_like_chat, redactor, replaced

FACES = [make.face("obama"), make.face("biden")]
needs_faces = pytest.mark.skipif(None in FACES, reason="the shared pictures are not here")
CONTACT = [
    "Hello everybody, my new address is",
    "anna.muster@example.org",
    "and my number is +49 170 1234567",
    "See you",
]
CHAT = [
    (30, "Are you coming tonight?"), (320, "21:04"), (520, "Yes, at eight"), (800, "21:05"),
    (30, "Great, bring the book"), (330, "21:07"), (560, "I will not forget"), (820, "21:08"),
]  # fmt: skip
_TURN = Image.Transpose
TIMETABLE = ["Train to Munich 08:15", "Train to Vienna 09:40", "Train to Prague 10:05", "Train to Berlin 11:30"]


def jpeg(picture):
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=92)
    return out.getvalue()


@functools.cache
def reader():
    return Reader(None)


def read(content):
    return "\n".join(line for line, _box in reader().lines(make.pixels(content))[0])


@needs_faces
@pytest.mark.parametrize("heads", [60, 140])
def test_no_detector_finds_a_face_in_what_goes_out(quick, heads):
    done = quick.develop("picture", jpeg(make.with_faces(FACES, heads=heads)))
    assert done.seen["faces"] >= 2
    for detector in (Faces(512), CascadeFaces(320)):
        assert detector.find(make.pixels(done.clean)) == []


@needs_faces
@pytest.mark.parametrize("kind", ["picture", "film"])
def test_of_what_is_left_out_the_fingerprint_is_told_and_nothing_else(kind):
    picture = make.with_faces(FACES)
    content = jpeg(picture) if kind == "picture" else make.film([picture] * 2)
    with Darkroom(MediaRecipe(faces="leave_out", text="ignore")) as room:
        done = room.develop(kind, content)
    assert (done.left, done.clean, done.thumbnail, done.seen["ocr_text"]) == (Left.FACE, b"", b"", None)
    assert len(done.seen["hash"]) == 64


@needs_faces
@pytest.mark.parametrize("turns", range(4))
def test_whoever_lies_down_is_found_where_they_lie(turns):
    upright = np.asarray(make.with_faces(FACES, heads=140))
    lying = np.rot90(upright, turns)
    hidden = np.zeros(lying.shape[:2], bool)
    for left, top, right, bottom in Faces(512).find(np.ascontiguousarray(lying)):
        hidden[top:bottom, left:right] = True
    back = np.rot90(hidden, -turns)
    assert back[190, 110]  # the middles of the two
    assert back[200, 410]
    assert back.mean() < 0.2


@needs_faces
def test_the_recipe_may_leave_faces_out_or_in():
    content, detectors = jpeg(make.with_faces(FACES)), [Faces(512)]
    with pytest.raises(LeftOutError, match="face") as left:
        cleaned(content, MediaRecipe(faces="leave_out"), detectors, None)
    assert left.value.seen.hash, "its copies are found, also where nobody sees the face any more"
    kept, seen = cleaned(content, MediaRecipe(faces="keep"), detectors, None)
    assert len(Faces(512).find(kept)) >= 2
    assert seen.faces == 0


def test_hiding_leaves_only_means_and_touches_nothing_else():
    whole = np.array(make.pattern(80, 80))
    for hide, colours in ((mosaic, 16), (fill, 1)):
        done = whole.copy()
        hide(done, (10, 20, 50, 60))
        assert len(np.unique(done[20:60, 10:50].reshape(-1, 3), axis=0)) <= colours
        done[20:60, 10:50] = whole[20:60, 10:50]
        assert (done == whole).all()


def test_boxes_stay_in_the_picture_and_keep_no_order():
    boxes = grown([(90, 90, 120, 120), (-5, -5, 10, 10)], 1.0, (100, 100, 3))
    assert boxes == sorted(boxes)
    assert all(0 <= left < right <= 100 and 0 <= top < bottom <= 100 for left, top, right, bottom in boxes)


def test_built_in_detectors_are_found_like_a_strangers():
    assert {type(one).__name__ for one in load(["faces", "plates"], 320)} == {"Faces", "CascadePlates"}
    assert CascadePlates(320).kind == "plate"


def test_identifiers_are_painted_over_and_the_text_goes_out_without_them(reading):
    content = make.written(CONTACT)
    assert "anna.muster@example.org" in read(content)
    done = reading.develop("picture", content)
    assert done.seen["ocr_text"].split("\n") == [
        "Hello everybody, my new address is", "<EMAIL>", "and my number is <PHONE>", "See you"
    ]  # fmt: skip
    assert done.seen["hidden_lines"] == 2
    left = read(done.clean)
    assert "example.org" not in left
    assert "1234567" not in left
    assert "See you" in left


@pytest.mark.parametrize("turn", [_TURN.ROTATE_90, _TURN.ROTATE_180, _TURN.ROTATE_270, _TURN.FLIP_LEFT_RIGHT])
def test_identifiers_are_painted_over_however_the_picture_was_turned(reading, turn):
    """A sheet of paper lies as it lies, and a mirror shows it as well; whoever has the picture turns it back."""
    back = {_TURN.ROTATE_90: _TURN.ROTATE_270, _TURN.ROTATE_270: _TURN.ROTATE_90}
    with Image.open(io.BytesIO(make.written(CONTACT))) as picture:
        content = make.png(picture.transpose(turn))
    done = reading.develop("picture", content)
    upright = Image.fromarray(make.pixels(done.clean)).transpose(back.get(turn, turn))
    left = read(make.png(upright))
    assert "example.org" not in left
    assert "1234567" not in left
    if turn is not _TURN.FLIP_LEFT_RIGHT:
        assert {"<EMAIL>", "See you"} < {*done.seen["ocr_text"].split("\n")}


@pytest.mark.parametrize("turn", [None, _TURN.ROTATE_90, _TURN.ROTATE_180, _TURN.ROTATE_270])
def test_an_identifier_over_a_lines_end_is_painted_over_however_the_picture_was_turned(turn):
    with Image.open(io.BytesIO(make.written(["my card 4111 1111 1111", "1111 valid to May", "see you"]))) as picture:
        pixels = np.array((picture if turn is None else picture.transpose(turn)).convert("RGB"))
    seen = Reader(redactor("demur.corpus.redact:redact")).read(pixels)
    assert (len(seen.hidden), seen.unread) == (2, 0)
    assert "1111" not in seen.text
    assert "see you" in seen.text.split("\n")


@pytest.mark.parametrize("lines", [
    ["my card 4111 1111 1111", "1111 valid to May", "write to a.b@example.org", "0532 0130 00", "DE89 3704 0044"],
    ["passport", "C01X00T47", "see you", "4111", "4111 1111 1111"],
])  # fmt: skip
def test_what_is_found_either_way_is_replaced(lines):
    redact = redactor("demur.corpus.redact:redact")
    ways = [replaced("\n".join(lines), redact)[1], replaced("\n".join(lines[::-1]), redact)[1][::-1]]
    assert ways[0] != ways[1]
    for some in (lines, lines[::-1]):
        text, touched = replaced("\n".join(some), redact, turned=True)
        assert touched == [a or b for a, b in zip(*ways, strict=True)][:: 1 if some is lines else -1]
        assert not [part for part in ("4111", "1111", "a.b", "0532", "3704") if part in text]


def test_an_identifier_that_goes_over_a_lines_end_is_found():
    text, touched = replaced("my IBAN DE89 3704 0044\n0532 0130 00\nthanks", redactor("demur.corpus.redact:redact"))
    assert touched == [True, True, False]
    assert "0532" not in text


def test_what_cannot_be_read_is_painted_over_and_told_as_nothing(reading):
    """The models know no Cyrillic: nobody can say whose words these are, or whether a name is among them."""
    try:
        font = ImageFont.truetype("DejaVuSans.ttf", 30)
    except OSError:
        pytest.skip("DejaVu Sans is not installed")
    picture = Image.new("RGB", (900, 300), "white")
    lines = [
        "somebody said yesterday in the evening",
        "Таа свиреше додека гледаше во нотите",
        "του είπε με δάκρυα στα μάτια",
    ]
    for place, line in enumerate(lines):
        ImageDraw.Draw(picture).text((30, 30 + 90 * place), line, fill="black", font=font)
    done = reading.develop("picture", jpeg(picture))
    assert done.seen["ocr_text"] == lines[0]
    assert (done.seen["hidden_lines"], "unread_text" in done.seen["flags"]) == (2, True)
    clean = make.pixels(done.clean)
    assert clean[20:80].min() < 60  # the first line is there
    assert clean[110:].min() > 120
    assert "unread_text" not in reading.develop("picture", make.written(CONTACT)).seen["flags"]


def ring(width):
    picture = Image.new("RGB", (600, 400), (200, 180, 160))
    ImageDraw.Draw(picture).ellipse((90, 40, 510, 360), outline=(40, 30, 20), width=width)
    return picture


@pytest.mark.parametrize("width", [10, 40, 200])
def test_a_round_thing_that_fills_a_picture_is_no_line_that_cannot_be_read(reading, width):
    done = reading.develop("picture", jpeg(ring(width)))
    assert (done.seen["hidden_lines"], done.seen["ocr_text"], done.seen["flags"]) == (0, None, [])
    assert np.abs(make.pixels(done.clean).astype(int) - np.asarray(ring(width))).mean() < 4


def test_words_in_a_large_thing_are_still_read_and_hidden(reading):
    picture = ring(40)
    ImageDraw.Draw(picture).text((150, 180), "a.b@example.org", fill="black", font=ImageFont.load_default(34))
    done = reading.develop("picture", jpeg(picture))
    assert "<EMAIL>" in done.seen["ocr_text"]
    assert "example" not in read(done.clean)


@pytest.mark.parametrize("lines", [["anna.", "meier@", "web.de"], ["0170", "483", "1147"]])
@pytest.mark.parametrize("tilt", [0, 180, 20])
def test_large_lines_one_close_above_the_other_are_read_or_hidden(lines, tilt):
    """The finder may take them for one thing; what may be read of it is more than a ring's O."""
    picture, font = Image.new("RGB", (600, 400), (210, 190, 170)), ImageFont.load_default(130)
    mask = Image.new("L", picture.size, 0)
    for place, line in enumerate(lines):
        there = (60, -20 + 115 * place)
        ImageDraw.Draw(picture).text(there, line, fill=(30, 30, 60), font=font)
        ImageDraw.Draw(mask).text(there, line, fill=255, font=font)
    picture = picture.rotate(tilt, Image.Resampling.BICUBIC, fillcolor=(210, 190, 170))
    written = np.asarray(mask.rotate(tilt)) > 0
    reader = Reader(redactor("demur.corpus.redact:redact"))
    known = np.zeros(written.shape, bool)
    for _line, (left, top, right, bottom) in itertools.chain(*reader.lines(np.array(picture))):
        known[top:bottom, left:right] = True
    assert (known & written).sum() > 0.9 * written.sum()
    digits = "".join(lines).isdigit()
    assert reader.read(np.array(picture)).hidden or not digits


def test_lines_too_close_to_each_other_are_told_apart_from_closer(monkeypatch):
    """The finder takes a block of lines for one that is too large; looked at by itself they are lines again."""
    reader = Reader(redactor("demur.corpus.redact:redact"))
    with Image.open(io.BytesIO(make.written(CONTACT, size=(600, 420)))) as picture:
        pixels = np.array(picture.convert("RGB"))
    apart, found = reader.lines(pixels), reader._found
    blocks = iter([([], [], [(20, 20, 580, 400)])])
    monkeypatch.setattr(reader, "_found", lambda part, edge: next(blocks, None) or found(part, edge))
    closer = reader.lines(pixels)
    assert [line for line, _box in closer[0]] == [line for line, _box in apart[0]]
    assert all(
        abs(edge - other) < 12
        for (_, box), (_, there) in zip(closer[0], apart[0], strict=True)
        for edge, other in zip(box, there, strict=True)
    )
    assert len(reader.read(pixels).hidden) == 2


def test_the_same_words_at_two_places_are_hidden_at_both(monkeypatch):
    """One is found at once, the other within something large; what was found twice at one place is told once."""
    reader = Reader(redactor("demur.corpus.redact:redact"))
    one, again = ("a.b@example.org", (10, 10, 200, 40)), ("a.b@example.org", (100, 300, 900, 500))
    looks = iter([([one], [], [(0, 100, 600, 400)]), ([again], [], []), ([], [], [])])
    monkeypatch.setattr(reader, "_found", lambda part, edge: next(looks))
    found = reader.read(np.zeros((400, 600, 3), np.uint8))
    assert len(found.hidden) == 2
    assert found.hidden[0] == one[1]
    assert found.hidden[1][1] >= 100
    twice = iter([([], [], [(0, 0, 600, 400)]), ([again], [], []), ([again], [], [])])
    monkeypatch.setattr(reader, "_found", lambda part, edge: next(twice))
    monkeypatch.setattr("demur.media.reading._FARTHER", 1280)
    assert len(reader.read(np.zeros((400, 600, 3), np.uint8)).hidden) == 1


def test_without_a_redactor_every_line_is_hidden_and_none_told():
    assert replaced("a\nb", None) == (None, [True, True])


def test_a_redactor_that_moves_lines_hides_them_all():
    import pyarrow as pa

    class Shifted:
        normalised = pa.array(["a b", "a b"])
        spans = pa.array(
            [[], []], pa.list_(pa.struct([("start", pa.int32()), ("end", pa.int32()), ("kind", pa.string())]))
        )

    assert replaced("a\nb", lambda texts: Shifted()) == (None, [True, True])


def placed(lines):
    return [
        (text, (left, 40 * place, left + 14 * len(text), 40 * place + 30)) for place, (left, text) in enumerate(lines)
    ]


def test_a_chat_is_told_from_a_timetable_and_a_letter():
    assert looks_like_chat(placed(CHAT), 900)
    assert not looks_like_chat(placed([(40, line) for line in TIMETABLE]), 900)
    assert not looks_like_chat(placed([(40, line) for line in CONTACT]), 900)


def test_a_chat_is_told_by_lines_too_that_are_hidden_since_they_cannot_be_read(monkeypatch):
    unsure = Reader(redactor("demur.corpus.redact:redact"))
    monkeypatch.setattr(unsure, "lines", lambda _: ([], placed(CHAT)))
    found = unsure.read(np.zeros((600, 900, 3), np.uint8))
    assert (found.chat, found.unread, len(found.hidden), found.text) == (True, len(CHAT), len(CHAT), None)


def test_a_chat_screenshot_is_flagged_and_left_out_by_default(reading):
    content = make.written(CHAT, size=(900, 620))
    done = reading.develop("picture", content)
    assert done.left is None
    assert "chat_screenshot" in done.seen["flags"]
    assert "chat_screenshot" not in reading.develop("picture", make.written(TIMETABLE)).seen["flags"]
    assert MediaRecipe().chats == "leave_out"


def test_lines_are_read_row_by_row():
    lines = [("c", (0, 100, 9, 110)), ("b", (200, 2, 230, 12)), ("a", (0, 0, 30, 14))]
    assert [text for text, _box in in_reading_order(lines)] == ["a", "b", "c"]


def test_a_word_on_a_photo_does_not_hide_the_photo(reading):
    picture = make.pattern(640, 480)
    with Image.open(io.BytesIO(make.written(["mail anna.muster@example.org"], size=(640, 100)))) as strip:
        picture.paste(strip, (0, 0))
    done = reading.develop("picture", jpeg(picture))
    assert done.seen["hidden_lines"] == 1
    before, after = np.asarray(picture).astype(int), make.pixels(done.clean).astype(int)
    assert np.abs(before[150:] - after[150:]).mean() < 4

"""What a file's manifest says about training is read, wherever formats keep it; what is broken says nothing."""

from __future__ import annotations

import io
import json
import struct
import zlib
from pathlib import Path

import media_makers as make
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import PngImagePlugin

from demur.flows.media import refused
from demur.media import Darkroom, MediaRecipe
from demur.media.credentials import training_assertions
from demur.media.sniff import kind_of

LABEL = "cawg.training-mining"
NO = {"entries": {"cawg.ai_generative_training": {"use": "notAllowed"}, "cawg.data_mining": {"use": "allowed"}}}
UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


def cbor(value, endless=False):
    """RFC 8949: maps, texts, numbers; with ``endless`` maps have no size and end with a break."""
    if isinstance(value, dict):
        inner = b"".join(cbor(one, endless) for pair in value.items() for one in pair)
        return b"\xbf" + inner + b"\xff" if endless else bytes([0xA0 + len(value)]) + inner
    if isinstance(value, str):
        plain = value.encode()
        return (bytes([0x60 + len(plain)]) if len(plain) < 24 else bytes([0x78, len(plain)])) + plain
    return bytes([value])


def box(name, body):
    return struct.pack(">I4s", 8 + len(body), name) + body


def labelled(label, *inner):
    return box(b"jumb", box(b"jumd", bytes(16) + b"\x03" + label.encode() + b"\0") + b"".join(inner))


def store(assertion, label=LABEL):
    other = labelled("c2pa.actions.v2", box(b"cbor", cbor({"actions": 0})))
    return labelled("c2pa", labelled("urn:c2pa:1", labelled("c2pa.assertions", other, labelled(label, assertion))))


def jpeg(store, size=60_000):
    """APP11 segments of at most so many bytes, as ISO/IEC 19566-5 annex D.2 cuts them."""
    plain, head = make.loaded_jpeg(), store[:8]
    pieces = [store[8:][at : at + size] for at in range(0, len(store) - 8, size)]
    segments = [
        make.segment(0xEB, b"JP" + struct.pack(">HI", 1, turn) + head + piece) for turn, piece in enumerate(pieces, 1)
    ]
    return plain[:2] + b"".join(reversed(segments)) + plain[2:]


def png(store):
    plain = make.loaded_png()
    chunk = struct.pack(">I", len(store)) + b"caBX" + store + struct.pack(">I", zlib.crc32(b"caBX" + store))
    return plain[:33] + chunk + plain[33:]


def webp(store):
    plain = make.loaded("WEBP")
    more = plain[12:] + b"C2PA" + struct.pack("<I", len(store)) + store + b"\0" * (len(store) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(more)) + b"WEBP" + more


def signed(store, purpose=b"manifest"):
    """C2PA 2.2 annex A.5: version and flags, what it is for, where more of it lies, the store."""
    return UUID + bytes(4) + purpose + b"\0" + bytes(8) + store


def after_the_first(plain, box):
    size = int.from_bytes(plain[:4], "big")
    return plain[:size] + box + plain[size:]


def avif(store):
    return make.loaded("AVIF") + box(b"uuid", signed(store))


def heif(store):
    """The boxes of a HEIF file, filled up behind the store as writers do; the picture in it is AV1's."""
    plain = make.loaded("AVIF")
    return plain[:8] + b"heic" + plain[12:] + box(b"uuid", signed(store) + bytes(40))


def long_box(store):
    """A size of 64 bits, and in front of it a proof of a fragment."""
    body = signed(store)
    head = struct.pack(">I4sQ", 1, b"uuid", 16 + len(body))
    return make.loaded("AVIF") + box(b"uuid", UUID + bytes(4) + b"merkle\0" + cbor({"count": 1})) + head + body


def to_the_end(store):
    return make.loaded("AVIF") + struct.pack(">I4s", 0, b"uuid") + signed(store, b"original")


def film(store, form="mp4"):
    plain = make.film([make.pattern(64, 64)] * 2, form=form)
    assert plain[4:8] == b"ftyp"
    return plain + box(b"uuid", signed(store))


def voice(store):
    import wave

    out = io.BytesIO()
    with wave.open(out, "wb") as sink:
        sink.setnchannels(1), sink.setsampwidth(2), sink.setframerate(16_000), sink.writeframes(bytes(8000))
    more = out.getvalue()[12:] + b"C2PA" + struct.pack("<I", len(store)) + store + b"\0" * (len(store) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(more)) + b"WAVE" + more


def assertions(content):
    return training_assertions(content)[0]


@pytest.mark.parametrize("form", [jpeg, lambda store: jpeg(store, 50), png, webp, avif, long_box, to_the_end])
@pytest.mark.parametrize("endless", [False, True])
def test_a_no_is_found_where_the_format_keeps_it_and_nothing_of_it_goes_out(quick, form, endless):
    done = quick.develop("picture", form(store(box(b"cbor", cbor(NO, endless)))))
    assert done.left is None
    (told,) = json.loads(done.seen["credentials"])
    assert told == {"label": LABEL, "entries": NO["entries"]}
    assert refused(done.seen["credentials"])
    assert b"cawg" not in done.clean + done.thumbnail


@pytest.mark.parametrize(
    ("kind", "form"), [("film", film), ("film", lambda store: film(store, "mov")), ("voice", voice)]
)
def test_a_no_is_found_in_films_and_voices_too(kind, form):
    content = form(store(box(b"cbor", cbor(NO))))
    assert kind_of(content) == kind
    with Darkroom(MediaRecipe(voice="sound", text="ignore", detectors=())) as room:
        done = room.develop(kind, content)
    assert done.left is None
    assert refused(done.seen["credentials"])
    assert "unread_credentials" not in done.seen["flags"]


WHOLE = store(box(b"cbor", cbor(NO)))


def entries(told):
    return store(box(b"json", json.dumps({"entries": told}).encode()))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (make.loaded("AVIF") + box(b"uuid", signed(WHOLE))[:-9], []),  # cut off within the assertion
        (make.loaded("AVIF") + struct.pack(">I4sQ", 1, b"uuid", 1 << 62) + signed(WHOLE), [NO["entries"]]),
        (make.loaded("AVIF") + struct.pack(">I4s", 7, b"uuid") + signed(WHOLE), []),  # smaller than its own head
        (make.loaded("AVIF") + box(b"uuid", UUID + bytes(4) + b"m" * 100), []),  # a purpose without an end
        (avif(labelled("c2pa", box(b"brob", b"jumb" + bytes(40)))), []),  # compressed
        (avif(b""), []),
        (avif(b"no boxes at all, only words"), []),
        (avif(WHOLE + b"and words after it"), [NO["entries"]]),
        (avif(store(box(b"cbor", cbor({"entries": 1})))), []),
        (avif(store(box(b"cbor", cbor(NO)[:-2]))), []),
        (avif(store(box(b"json", b" " * 2_000_000 + json.dumps(NO).encode()))), []),
        (jpeg(WHOLE, 50).replace(b"JP\0\x01\0\0\0\x02", b"XX\0\x01\0\0\0\x02"), []),  # a segment is missing
        (avif(labelled("c2pa", WHOLE, box(b"jumb", b"")) + box(b"jumb", b"x")), [NO["entries"]]),
        (avif(store(box(b"bfdb", json.dumps(NO).encode()))), []),  # in no form that is known
        (avif(entries(NO["entries"] | {"cawg.ai_inference": {"use": "notallowed"}})), [NO["entries"]]),
        (avif(entries(NO["entries"] | {"cawg.ai_inference": "notAllowed"})), [NO["entries"]]),
        (jpeg(WHOLE)[:2] + b"\0" + jpeg(WHOLE)[2:], []),  # no marker where one must stand
        (jpeg(WHOLE)[:99], []),  # cut off before the first scan
        (make.loaded_jpeg() + jpeg(WHOLE), []),  # of a second picture
    ],
)
def test_what_cannot_be_read_is_told_as_unread_and_never_a_yes(content, told):
    found, unread = training_assertions(content)
    assert unread
    assert [one["entries"] for one in found] == told


@pytest.mark.parametrize("form", [heif, lambda store: film(store).replace(b"isom", b"M4A ", 1)])
def test_a_no_is_found_by_the_boxes_alone(form):
    (told,), unread = training_assertions(form(WHOLE))
    assert told["entries"] == NO["entries"]
    assert not unread
    assert kind_of(form(WHOLE)) in ("picture", "voice")


@pytest.mark.parametrize("between", [b"\xff", b"\xff" * 3, b"\xff\x01", b"\xff\xd0\xff\xd7", b"\xff\xff\x01\xff"])
def test_fill_bytes_and_markers_without_a_segment_hide_no_no(quick, between):
    """ITU-T T.81 B.1.1.2 and table B.1; Pillow opens a picture with fill bytes."""
    plain = jpeg(WHOLE, 50)
    content = plain[:2] + between + plain[2:]
    (told,), unread = training_assertions(content)
    assert told["entries"] == NO["entries"]
    assert not unread
    if set(between) == {0xFF}:
        assert refused(quick.develop("picture", content).seen["credentials"])


XMP = (
    "<x:xmpmeta xmlns:x='adobe:ns:meta/'><rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    "<rdf:Description xmlns:plus='http://ns.useplus.org/ldf/xmp/1.0/'>"
    "<plus:DataMining>http://ns.useplus.org/ldf/vocab/{}</plus:DataMining></rdf:Description></rdf:RDF></x:xmpmeta>"
)


@pytest.mark.parametrize(
    ("value", "no"),
    [
        ("DMI-PROHIBITED", True),
        ("DMI-PROHIBITED-GENAIMLTRAINING", True),
        ("DMI-PROHIBITED-EXCEPTSEARCHENGINEINDEXING", True),
        ("DMI-PROHIBITED-SEECONSTRAINT", True),
        ("DMI-ALLOWED", False),
        ("DMI-UNSPECIFIED", False),
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "film"])
def test_a_no_in_iptc_is_one_and_a_yes_is_nothing(quick, value, no, form):
    said = XMP.format(value)
    if form == "film":
        content = make.film([make.pattern(64, 64)], form="mp4") + box(b"uuid", b"\xbe\x7a\xcf\xcb" * 4 + said.encode())
    else:
        facts = PngImagePlugin.PngInfo()
        facts.add_itxt("XML:com.adobe.xmp", said)
        out = io.BytesIO()
        make.pattern().save(out, form, **({"pnginfo": facts} if form == "PNG" else {"xmp": said.encode()}))
        content = out.getvalue()
    done = quick.develop("film" if form == "film" else "picture", content)
    assert done.left is None
    assert refused(done.seen["credentials"]) is no
    assert "unread_credentials" not in done.seen["flags"]
    assert b"DMI-" not in done.clean + done.thumbnail


def test_a_yes_of_the_credentials_does_not_outweigh_a_no_of_iptc():
    yes = store(box(b"cbor", cbor({"entries": {"cawg.ai_generative_training": {"use": "allowed"}}})))
    found = assertions(jpeg(yes) + b"DMI-PROHIBITED-AIMLTRAINING")
    assert len(found) == 2
    assert refused(json.dumps(found))


def test_a_file_of_nothing_but_boxes_is_given_up():
    many = make.loaded("AVIF") + box(b"free", b"") * 200_001 + box(b"uuid", signed(WHOLE))
    assert training_assertions(many) == ([], True)


def test_films_without_credentials_have_nothing_unread():
    for content in (
        make.film([make.pattern(64, 64)], form="mp4"),
        make.loaded("AVIF"),
        b"ID3" + bytes(99),
    ):
        assert training_assertions(content) == ([], False)
        assert training_assertions(content[:-7]) == ([], False), "a file that is cut short elsewhere"


@pytest.mark.parametrize(
    ("assertion", "label", "no"),
    [
        (box(b"json", json.dumps(NO).encode()), "cawg.training-mining__2", True),
        (box(b"json", json.dumps(NO).encode()), "stds.exif", False),
        (box(b"cbor", cbor({"entries": {"c2pa.ai_training": {"use": "constrained"}}})), "c2pa.training-mining", True),
        (box(b"cbor", cbor({"entries": {"cawg.ai_generative_training": {"use": "allowed"}}})), LABEL, False),
        (box(b"cbor", cbor({"entries": {"cawg.ai_inference": {"use": "notAllowed"}}})), LABEL, False),
        (box(b"cbor", b"\xa1\x67entries\x7f"), LABEL, False),
    ],
)
def test_only_a_no_to_training_is_one(assertion, label, no):
    found = assertions(jpeg(store(assertion, label)))
    assert refused(json.dumps(found) if found else None) == no


def test_a_file_that_was_signed_by_the_standards_own_library_is_read():
    """Made with c2pa-python 0.38.1 and a certificate of a day; the picture is noise."""
    found = assertions((Path(__file__).parent / "signed_no.jpg").read_bytes())
    uses = {"cawg.ai_generative_training": {"use": "notAllowed"}, "cawg.data_mining": {"use": "constrained"}}
    assert found == [{"label": LABEL, "entries": uses}]


def test_files_without_credentials_say_nothing(quick):
    for content in (make.loaded_jpeg(), make.loaded_png(), make.loaded("WEBP"), make.loaded("AVIF"), b"", b"RIFF"):
        assert training_assertions(content) == ([], False)
    assert quick.develop("picture", make.loaded_jpeg()).seen["credentials"] is None
    assert refused(None) is False


@settings(max_examples=300, deadline=None)
@given(
    form=st.sampled_from([jpeg, png, webp, avif, long_box, to_the_end]),
    changes=st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=9))),
)
def test_a_broken_store_harms_nobody(form, changes):
    inner = bytearray(store(box(b"cbor", cbor(NO))))
    for place, piece in changes:
        inner[place : place + len(piece)] = piece
    whole = bytearray(form(bytes(inner)))
    for place, piece in changes:
        whole[place : place + len(piece)] = piece
    for content in (form(bytes(inner)), bytes(whole), bytes(whole[: len(whole) // 2])):
        assert isinstance(assertions(content), list)


@pytest.mark.parametrize("nest", [b"\x81", b"\xa1\x60", b"\xc0", b"\x9f", b"\x5f"])
def test_what_is_nested_without_end_is_given_up(nest):
    assert training_assertions(jpeg(store(box(b"cbor", nest * 50_000 + b"\0")))) == ([], True)
    deep = box(b"cbor", cbor(NO))
    for _ in range(2000):
        deep = labelled("c2pa", deep)
    assert training_assertions(jpeg(deep)) == ([], True)

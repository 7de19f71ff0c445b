"""Files for the tests: pictures with everything in them that must go, screenshots, films."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin, TiffImagePlugin

SHARED = Path(__file__).parents[3] / "shared/data"
SECRET = b"SECRETMARK"
_TEXT = SECRET.decode()
_GPS, _ARTIST, _ORIENTATION = 0x8825, 0x013B, 0x0112


def pattern(width=96, height=64, seed=1):
    noise = np.random.default_rng(seed).integers(0, 255, (height // 16 + 1, width // 16 + 1, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def gps_exif(orientation=None):
    exif = Image.Exif()
    exif[_ARTIST] = _TEXT
    if orientation:
        exif[_ORIENTATION] = orientation
    gps = exif.get_ifd(_GPS)
    third = TiffImagePlugin.IFDRational
    gps[1], gps[2] = "N", (third(48), third(8), third(5))
    gps[3], gps[4] = "E", (third(11), third(34), third(31))
    return exif


def segment(marker, body):
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def loaded_jpeg(picture=None, orientation=None, more=()):
    """A JPEG with EXIF (GPS, thumbnail), XMP, IPTC, ICC, a comment, an unknown segment and a film behind its end."""
    out = io.BytesIO()
    (picture or pattern()).save(out, "JPEG", quality=90, exif=gps_exif(orientation), comment=SECRET, icc_profile=SECRET)
    plain = out.getvalue()
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta xmlns:x='adobe:ns:meta/'>" + SECRET + b"</x:xmpmeta>"
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", 5 + len(SECRET)) + b"\x1c\x02\x50\0\x0a" + SECRET
    extra = segment(0xE1, xmp) + segment(0xED, iptc) + segment(0xEB, SECRET) + b"".join(more)
    return plain[:2] + extra + plain[2:] + b"\0\0\0\x18ftypmp42" + SECRET


def loaded_png():
    facts = PngImagePlugin.PngInfo()
    facts.add_text("Author", _TEXT)
    facts.add_itxt("XML:com.adobe.xmp", _TEXT)
    out = io.BytesIO()
    pattern().save(out, "PNG", pnginfo=facts, exif=gps_exif(), icc_profile=SECRET)
    return out.getvalue() + SECRET


def loaded_gif():
    out = io.BytesIO()
    pattern().save(out, "GIF", comment=SECRET)
    return out.getvalue()


def loaded(form):
    out = io.BytesIO()
    pattern().save(out, form, exif=gps_exif().tobytes(), **({"xmp": SECRET} if form == "WEBP" else {}))
    return out.getvalue()


def animation(frames, side=32):
    out = io.BytesIO()
    first, *rest = [pattern(side, side, seed) for seed in range(frames)]
    first.save(out, "GIF", save_all=True, append_images=rest)
    return out.getvalue()


def png_bomb(side):
    """A PNG of side × side zeros in a few bytes per row."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(side + 1) * 64, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def written(lines, size=(900, 600), step=70, font_size=28, start=(40, 40)):
    """A screenshot: lines of text, black on white; a line is text or (left, text)."""
    picture = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(font_size)
    for place, line in enumerate(lines):
        left, text = line if isinstance(line, tuple) else (start[0], line)
        draw.text((left, start[1] + step * place), text, fill="black", font=font)
    return png(picture)


def png(picture):
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def film(pictures, rate=1, sound_seconds=0, form="matroska"):
    """A Matroska film of pictures (or of another form without sound), with tags that must go."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format=form) as sink:
        sink.metadata["title"] = _TEXT
        sink.metadata["location"] = "+48.1351+011.5820/"
        stream = sink.add_stream("mjpeg", rate=rate)
        stream.width, stream.height = pictures[0].size
        stream.pix_fmt = "yuvj420p"
        if sound_seconds:
            voice = sink.add_stream("pcm_s16le", rate=8000, layout="mono")
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
            sink.mux(stream.encode(frame.reformat(format="yuvj420p")))
        sink.mux(stream.encode(None))
        if sound_seconds:
            tone = (np.sin(np.arange(8000 * sound_seconds) / 5) * 9000).astype(np.int16)[None]
            frame = av.AudioFrame.from_ndarray(tone, "s16", "mono")
            frame.sample_rate = 8000
            sink.mux([*voice.encode(frame), *voice.encode(None)])
    return out.getvalue()


def pixels(content):
    with Image.open(io.BytesIO(content)) as picture:
        return np.asarray(picture.convert("RGB"))


def face(name="obama"):
    """A real face out of the shared pictures, cut by hand; ``None`` = they are not here."""
    place = SHARED / "media" / f"{name}.jpg"
    if not place.exists():
        return None
    with Image.open(place) as picture:
        box = (300, 40, 680, 480) if name == "obama" else (330, 120, 790, 640)
        return picture.convert("RGB").crop(box)


def with_faces(faces, size=(640, 480), heads=140):
    canvas = pattern(*size, seed=7)
    for place, one in enumerate(faces):
        canvas.paste(one.resize((heads, heads * one.height // one.width)), (40 + place * 300, 120))
    return canvas

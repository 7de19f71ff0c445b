"""One picture: bytes in, a clean JPEG and what was seen out. Runs in the shut-in worker only.

Pixels are copied into a new picture, so nothing else of the file can come along: no EXIF, XMP, IPTC, colour profile,
comment, text chunk, embedded thumbnail, second picture or appended film. What was hidden is gone before encoding.
"""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from demur.media.copies import GOOD_QUALITY
from demur.media.detect import Box, Detector, halved, shrunk
from demur.media.keypoints import keypoints
from demur.media.reading import Reader, Reading
from demur.media.recipe import Left, MediaRecipe

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF")
"""What is decoded; HEIF only where the operator installed ``pillow-heif``."""

HASH_EDGE = 64
"""PDQ is a transform of 64 x 64 means. They are taken by us, so that neither size nor side of a picture matter: of 15
pictures in eight sizes and their mirror images none is further than 6 bits from the first; of the sizes as they come,
by PDQ's own means, the furthest are 34 and 46."""

_CELLS = 4
"""A hidden face keeps this many cells across, each its mean: a colour and a place, no person."""

_NOISE = 12.0
"""So far, in the mean, the pixels of a line of one colour are from it: letters and edges are farther."""
_LEAST_INSIDE = 0.25
"""Of each edge; with less inside, it is a picture of something on a ground."""

_ARCHIVE_END = b"PK\x05\x06"
_OTHER_TONGUES = re.compile(rb"%PDF-|<\?php|<html|<script|<!doctype|#!/", re.IGNORECASE)


class LeftOutError(Exception):
    """This file has no clean form, for this reason.

    Args:
        reason: why.
        seen: what was seen before: the fingerprint, by which copies are found; ``None`` = nothing.
    """

    def __init__(self, reason: Left, seen: Seen | None = None) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.seen = seen


@dataclass(slots=True)
class Seen:
    """What was seen in a picture; what the worker answers."""

    width: int = 0
    height: int = 0
    faces: int = 0
    plates: int = 0
    hidden_lines: int = 0
    frames: int = 1
    hash: str | None = None
    hash_mirrored: str | None = None
    hash_quality: int = 0
    hash_inside: str | None = None
    """Of what lies within a frame of one colour; ``None`` = there is no frame, or too little within it."""
    keypoints: str = ""
    """By which parts of it are found (keypoints.py)."""
    ocr_text: str | None = None
    credentials: str | None = None
    """What the file's content credentials say about training, as JSON (credentials.py)."""
    flags: list[str] = field(default_factory=list)


def refuse_polyglots(content: bytes) -> None:
    """Refuse a picture that is also an archive, a document, a page or a script.

    Raises:
        LeftOutError: polyglot.

    Source: PKWARE APPNOTE §4.3.16 (the end record's comment reaches to the end of the file); ISO 32000-1 §7.5.2 and its
    note on headers within the first 1,024 bytes.
    """
    place = content.rfind(_ARCHIVE_END, max(0, len(content) - 65_557))
    if place >= 0 and place + 22 + int.from_bytes(content[place + 20 : place + 22], "little") == len(content):
        raise LeftOutError(Left.POLYGLOT)
    if _OTHER_TONGUES.search(content[:1024]):
        raise LeftOutError(Left.POLYGLOT)


def opened(content: bytes, recipe: MediaRecipe) -> tuple[Any, list[str]]:
    """Decode the first picture of a file, upright, RGB, at most ``max_edge`` long; return its pixels and its flags.

    Raises:
        LeftOutError: too many pixels or frames.
    """
    Image.MAX_IMAGE_PIXELS = None  # asked below, of all frames together
    with warnings.catch_warnings(), Image.open(io.BytesIO(content), formats=FORMATS) as source:
        warnings.simplefilter("ignore")
        if source.width * source.height > recipe.max_pixels:
            raise LeftOutError(Left.TOO_MANY_PIXELS)
        jpeg = source.format in ("JPEG", "MPO")
        frames = int(getattr(source, "n_frames", 1)) if not jpeg else 1
        if frames * source.width * source.height > 4 * recipe.max_pixels:
            raise LeftOutError(Left.TOO_MANY_FRAMES)
        number = _orientation(source)
        longer = max(source.size)
        parts = 1
        while longer >= parts * 2 * 3 * recipe.max_edge // 4 and parts < 8:
            parts *= 2
        pixels = _decoded(content, source, parts) if jpeg else None
        if pixels is None:
            source.draft("RGB", (source.width // parts, source.height // parts))  # JPEG only: no more than needed
            source.load()
            pixels = np.array(_on_white(source))
    pixels = np.ascontiguousarray(upright(shrunk(pixels, recipe.max_edge, fine=True)[0], number))
    return pixels, ["animated"] if frames > 1 else []


def _decoded(content: bytes, source: Image.Image, parts: int) -> Any | None:
    """Decode a JPEG at a part of its size, straight into an array; ``None`` = leave it to the patient decoder.

    Both are libjpeg-turbo and give the same pixels; this one copies them once less and refuses what is odd.
    """
    import simplejpeg

    if source.mode not in ("RGB", "L"):
        return None
    high, wide = -(-source.height // parts), -(-source.width // parts)
    try:
        pixels = simplejpeg.decode_jpeg(content, "RGB", min_height=high, min_width=wide, min_factor=parts)
    except ValueError:
        return None
    return pixels if pixels.shape == (high, wide, 3) else None


def _orientation(source: Image.Image) -> int:
    """Return how the camera was held, 1 to 8 (EXIF 2.3 §4.6.4); a block that cannot be read turns nothing."""
    try:
        number = source.getexif().get(0x0112)
    except Exception:  # whatever a broken block does, the picture itself may be fine
        return 1
    return number if isinstance(number, int) and 1 <= number <= 8 else 1


def upright(pixels: Any, number: int) -> Any:
    """Return pixels turned by an EXIF orientation."""
    import cv2

    half, right, left = cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE
    way = {3: half, 4: half, 5: right, 6: right, 7: left, 8: left}.get(number)
    turned = pixels if way is None else cv2.rotate(pixels, way)
    return cv2.flip(turned, 1) if number in (2, 4, 5, 7) else turned


def _on_white(source: Image.Image) -> Image.Image:
    if source.mode in ("I;16", "I;16B", "I;16L", "I", "F"):
        return ImageOps.autocontrast(source.convert("F").convert("L")).convert("RGB")
    if "A" in source.getbands() or "transparency" in source.info:
        over = source.convert("RGBA")
        white = Image.new("RGB", over.size, "white")
        white.paste(over, mask=over.getchannel("A"))
        return white
    return source if source.mode == "RGB" else source.convert("RGB")


def cleaned(content: bytes, recipe: MediaRecipe, detectors: list[Detector], reader: Reader | None) -> tuple[Any, Seen]:
    """Return a picture's pixels with everything hidden that must be, and what was seen.

    Raises:
        LeftOutError: a limit, or the recipe leaves such a picture out.
    """
    refuse_polyglots(content)
    pixels, flags = opened(content, recipe)
    seen = Seen(width=pixels.shape[1], height=pixels.shape[0], flags=flags)
    fingerprint(pixels, seen)
    hide(pixels, seen, recipe, detectors, reader)
    return pixels, seen


def fingerprint(pixels: Any, seen: Seen) -> None:
    """Take PDQ of a picture as it came, mirrored, and without a frame: re-uploads keep neither size, side nor edge."""
    seen.hash, seen.hash_mirrored, seen.hash_quality = _pdq(pixels)
    inside = unframed(pixels)
    plain, _mirrored, quality = _pdq(inside) if inside is not None else ("", "", 0)
    seen.hash_inside = plain if quality >= GOOD_QUALITY else None


def _pdq(pixels: Any) -> tuple[str, str, int]:
    """Return the fingerprint of a picture, that of its mirror image, and how much is in it."""
    import cv2
    import pdqhash

    small = pixels
    while min(small.shape[:2]) >= 8 * HASH_EDGE:
        small = halved(small)
    small = cv2.resize(small, (HASH_EDGE, HASH_EDGE), interpolation=cv2.INTER_AREA)
    eight, quality = pdqhash.compute_dihedral(small)
    plain, mirrored = (np.packbits(eight[place]).tobytes().hex() for place in (0, 5))
    return plain, mirrored, int(quality)


def unframed(pixels: Any) -> Any | None:
    """Return what lies within bars of one colour at the edges; ``None`` = there are none, or it is less than a part.

    >>> chequers = np.indices((8, 8)).sum(axis=0)[..., None] % 2 * np.full(3, 200)
    >>> unframed(np.pad(chequers, ((2, 3), (1, 0), (0, 0)))).shape
    (8, 8, 3)
    """
    top, bottom = _bar(pixels), _bar(pixels[::-1])
    rows = pixels[top : len(pixels) - bottom]
    sides = rows.transpose(1, 0, 2)
    left, right = (_bar(sides), _bar(sides[::-1])) if len(rows) else (0, 0)
    inside = rows[:, left : pixels.shape[1] - right]
    whole = all(inner >= outer * _LEAST_INSIDE for inner, outer in zip(inside.shape, pixels.shape, strict=True))
    return np.ascontiguousarray(inside) if whole and inside.shape != pixels.shape else None


def _bar(lines: Any) -> int:
    """Return how many lines from the first on are of one colour, but for what compression does to them."""
    colour = np.median(lines[0], axis=0)
    return next((place for place, line in enumerate(lines) if np.abs(line - colour).mean() > _NOISE), len(lines))


def hide(pixels: Any, seen: Seen, recipe: MediaRecipe, detectors: list[Detector], reader: Reader | None) -> None:
    """Hide faces, plates and identifiers in place; count what was found. A picture with a fingerprint gets keypoints.

    Raises:
        LeftOutError: the recipe leaves such a picture out.
    """
    ways = {"face": recipe.faces, "plate": recipe.plates}
    found: dict[str, list[Box]] = {"face": [], "plate": []}
    for detector in detectors:
        if ways[detector.kind] != "keep":
            found[detector.kind] += detector.find(pixels)
    reading = reader.read(pixels) if reader is not None else Reading()
    seen.keypoints = keypoints(pixels, reading.lines) if seen.hash is not None else ""
    for kind, reason in (("face", Left.FACE), ("plate", Left.PLATE)):
        if found[kind] and ways[kind] == "leave_out":
            raise LeftOutError(reason, seen)
    if reading.chat:
        if recipe.chats == "leave_out":
            raise LeftOutError(Left.CHAT_SCREENSHOT, seen)
        seen.flags.append("chat_screenshot")
    if reading.unread:
        seen.flags.append("unread_text")
    for box in found["face"]:
        mosaic(pixels, box)
    for box in found["plate"] + reading.hidden:
        fill(pixels, box)
    seen.faces, seen.plates = len(found["face"]), len(found["plate"])
    seen.hidden_lines, seen.ocr_text = len(reading.hidden), reading.text


def mosaic(pixels: Any, box: Box) -> None:
    """Replace a box by a few cells of their mean colours; what was between them is not in the picture any more."""
    left, top, right, bottom = box
    rows = np.linspace(top, bottom, _CELLS + 1).astype(int)
    columns = np.linspace(left, right, _CELLS + 1).astype(int)
    for up, down in pairwise(rows):
        for near, far in pairwise(columns):
            fill(pixels, (near, up, far, down))


def fill(pixels: Any, box: Box) -> None:
    """Replace a box by its one mean colour: letters can be read out of a mosaic, not out of this."""
    import cv2

    left, top, right, bottom = box
    part = pixels[top:bottom, left:right]
    if part.size:
        part[:] = np.array(cv2.mean(part)[:3]).astype(np.uint8)


def encoded(pixels: Any, quality: int) -> bytes:
    """Return a baseline JPEG of these pixels and nothing else."""
    import simplejpeg

    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", "420"))


def thumbnail(clean: Any, recipe: MediaRecipe) -> bytes:
    """Return a thumbnail of clean pixels; that of the file, which may show what was cut away, is never looked at."""
    return encoded(shrunk(clean, recipe.thumbnail_edge, fine=True)[0], recipe.quality) if recipe.thumbnail_edge else b""

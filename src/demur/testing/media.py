"""Small real files: photos with camera data and a place in them, and voice notes. Patterns and tones, nobody's face."""

from __future__ import annotations

import io
import math
import struct
import wave

from demur.testing.dice import Dice

_SIDE = 48
_RATE = 8000
_EXIF_MAKE, _EXIF_MODEL, _EXIF_GPS = 0x010F, 0x0110, 0x8825


def photo(seed: int, name: str) -> bytes:
    """Return a JPEG of a colour pattern with EXIF: maker, model and a GPS position in the open sea."""
    from PIL import Image, TiffImagePlugin

    dice = Dice(seed, "photo", name)
    red, green, blue = dice.below(256), dice.below(256), dice.below(256)
    step = dice.between(1, 5)
    pixels = bytes(
        value
        for row in range(_SIDE)
        for column in range(_SIDE)
        for value in ((red + row * step) % 256, (green + column * step) % 256, (blue + row + column) % 256)
    )
    exif = Image.Exif()
    exif[_EXIF_MAKE], exif[_EXIF_MODEL] = "Made-up Optics", f"Serial {dice.digits(8)}"
    gps = exif.get_ifd(_EXIF_GPS)
    third = TiffImagePlugin.IFDRational
    gps[1], gps[2] = "N", (third(40), third(dice.below(60)), third(dice.below(60)))
    gps[3], gps[4] = "W", (third(30), third(dice.below(60)), third(dice.below(60)))
    out = io.BytesIO()
    Image.frombytes("RGB", (_SIDE, _SIDE), pixels).save(out, "JPEG", quality=70, exif=exif)
    return out.getvalue()


def voice(seed: int, name: str) -> bytes:
    """Return a WAV of a quarter of a second: one tone, mono, 8 kHz, 16 bits."""
    tone = 220 + Dice(seed, "voice", name).below(660)
    frames = b"".join(
        struct.pack("<h", round(9000 * math.sin(2 * math.pi * tone * at / _RATE))) for at in range(_RATE // 4)
    )
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(frames)
    return out.getvalue()

"""Check from outside that a clean file is plain: nothing in it but what the format must have. Trusts no worker.

Sources: ITU-T T.81 annex B (JPEG's segments), JFIF 1.02, RFC 9639 §8 (FLAC's blocks).
"""

from __future__ import annotations

import re

_SOI, _EOI, _APP0, _SOS = 0xD8, 0xD9, 0xE0, 0xDA
_PLAIN = frozenset({_APP0, 0xDB, 0xC0, 0xC4})
"""JFIF head, quantisation, baseline frame, Huffman tables."""
_JFIF_BYTES = 14
_NEXT = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)


def more_than_pixels(jpeg: bytes) -> list[str]:
    """Return what a JPEG holds besides its pixels, as names of segments; empty = nothing.

    >>> more_than_pixels(b"GIF89a")
    ['no JPEG']
    """
    if jpeg[:2] != b"\xff\xd8":
        return ["no JPEG"]
    place, found = 2, []
    while jpeg[place : place + 1] == b"\xff" and place + 4 <= len(jpeg):
        marker, size = jpeg[place + 1], int.from_bytes(jpeg[place + 2 : place + 4], "big")
        body = jpeg[place + 4 : place + 2 + size]
        place += 2 + size
        if marker == _SOS:
            end = _NEXT.search(jpeg, place)
            if end is None or end.group() != bytes((0xFF, _EOI)) or end.end() != len(jpeg):
                found.append("bytes behind the pixels")
            return found
        if marker not in _PLAIN:
            found.append(f"segment {marker:02X}")
        elif marker == _APP0 and (len(body) != _JFIF_BYTES or body[:5] != b"JFIF\0" or body[12:] != b"\0\0"):
            found.append("JFIF with a thumbnail")
    return [*found, "no pixels"]


def more_than_sound(flac: bytes) -> list[str]:
    """Return what a FLAC file holds besides its samples; empty = nothing.

    >>> more_than_sound(b"fLaC" + bytes([0x84, 0, 0, 0]))
    ['block 4']
    """
    if flac[:4] != b"fLaC" or len(flac) < 8:
        return ["no FLAC"]
    kind = flac[4] & 0x7F
    if kind != 0:
        return [f"block {kind}"]
    return [] if flac[4] & 0x80 else ["more blocks"]

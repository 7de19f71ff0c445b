"""Keypoints of a picture: what is still there when it comes again cut, turned, written over, or within another one.

A fingerprint (copies.py) is of the whole picture; a part of it has another one. So of each picture its most distinct
corners are kept too, each with where it is, how large and which way it lies, and 256 bits that say what is around it.

Sources: Rublee and others, ORB: an efficient alternative to SIFT or SURF (2011), as OpenCV has it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np

from demur.media.detect import Box, shrunk

EDGE = 512
"""Longer edge of the picture in which they are looked for."""
_LARGER = 4
"""Times that a smaller picture is made larger for it, at most."""
MOST = 500
"""Keypoints of a picture."""
LEVELS, STEP = 7, 1.25
"""Sizes in which they are looked for, each so many times smaller than the one before."""
_FAINTEST = 12
"""Levels of brightness between a corner and its surroundings, at least."""
TEXT = 255
"""Level of a mark where text stands: it is no keypoint, and says that there is something."""
_SQUARE = 32
_SQUARES = (EDGE // _SQUARE + 1) ** 2
_LEAST_EDGE = 64
"""Shorter edge, in which the size that keypoints need fits twice."""
_REPEATED_BITS, _ELSEWHERE = 24, 16.0
"""Of 256, that may differ between two that are the same, and pixels between where they are."""
KEYPOINT = np.dtype([("x", "<u2"), ("y", "<u2"), ("level", "u1"), ("angle", "u1"), ("bits", "<u8", (4,))])
"""As it is kept: the place in 64ths of a pixel, the angle in 256ths of a turn, counted on from 0 when it is full."""
PLACES, TURN = 64, 256


def keypoints(pixels: Any, without: Sequence[Box] = ()) -> str:
    """Return the keypoints of a picture, as text; empty = there are none.

    Args:
        pixels: RGB, uint8 [height, width, 3].
        without: lines of text, in which none are taken: letters look alike in all pictures, and are compared as texts.
            Where they stand is told instead.
    """
    import cv2

    height, width = pixels.shape[:2]
    scale = min(EDGE / max(height, width), _LARGER)
    if min(height, width) * scale < _LEAST_EDGE:
        return ""
    small = shrunk(pixels, EDGE, fine=True)[0]
    if scale > 1:
        small = cv2.resize(pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_LINEAR)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    mask = np.full(grey.shape, 255, np.uint8)
    for box in without:
        left, top, right, bottom = (round(edge * scale) for edge in box)
        mask[top:bottom, left:right] = 0
    finder = cv2.ORB.create(MOST, STEP, LEVELS, fastThreshold=_FAINTEST)
    every, bits = finder.detectAndCompute(grey, mask)  # together: the sizes of the picture are made once
    chosen = sorted(range(len(every)), key=lambda at: (-every[at].response, every[at].octave, every[at].pt))[:MOST]
    found = [every[at] for at in chosen]
    out = np.zeros(len(found), KEYPOINT)
    if found:
        out["x"], out["y"] = np.rint(np.asarray(cv2.KeyPoint.convert(found)).T * PLACES)
        out["level"] = [one.octave for one in found]
        out["angle"] = [round(one.angle * TURN / 360) % TURN for one in found]
        out["bits"] = bits[chosen].view("<u8")
    out = np.concatenate([_once(np.sort(out, order=["level", "x", "y", "angle"])), _where(mask == 0)])
    return base64.b64encode(out.tobytes()).decode()


def _once(points: Any) -> Any:
    """Leave one of those that a picture has again and again: they say nothing about where they are."""
    places = points["x"] / PLACES + 1j * points["y"] / PLACES
    bits, first = points["bits"], points["bits"][:, 0]
    near = np.flatnonzero(np.bitwise_count(first[:, None] ^ first) <= _REPEATED_BITS)  # few: the rest is asked of them
    mine, alike = near // len(points), near % len(points)
    mine, alike = mine[alike < mine], alike[alike < mine]
    same = np.bitwise_count(bits[mine] ^ bits[alike]).sum(axis=1, dtype=np.uint16) <= _REPEATED_BITS
    mine, alike = mine[same], alike[same]
    once = np.ones(len(points), bool)
    once[mine[np.abs(places[mine] - places[alike]) > _ELSEWHERE]] = False
    return points[once]


def _where(text: Any) -> Any:
    """Return a mark in each square of the picture in which text stands."""
    rows, columns = np.nonzero(text[_SQUARE // 2 :: _SQUARE, _SQUARE // 2 :: _SQUARE])
    out = np.zeros(len(rows), KEYPOINT)
    out["x"], out["y"] = (columns + 0.5) * _SQUARE * PLACES, (rows + 0.5) * _SQUARE * PLACES
    out["level"] = TEXT
    return out


def differing(some: Any, others: Any) -> Any:
    """Return how many bits of one differ from those of another, uint16 [some, others].

    Args:
        some: bits of keypoints, uint64 [some, 4].
        others: the same.
    """
    out = np.zeros((len(some), len(others)), np.uint16)
    for word in range(some.shape[1]):
        out += np.bitwise_count(some[:, word, None] ^ others[None, :, word])
    return out


def read(text: str | None) -> Any:
    """Return keypoints and marks as an array of KEYPOINT; what is neither, whoever wrote it, is left out."""
    try:
        raw = base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) % KEYPOINT.itemsize or len(raw) > (MOST + _SQUARES) * KEYPOINT.itemsize:
        raw = b""
    found = np.frombuffer(raw, KEYPOINT)
    return found[(found["level"] < LEVELS) | (found["level"] == TEXT)]

"""Fingerprint of a picture: decoded in a process of its own that may do nothing else (SEC-07).

The child gets the bytes on its standard input and writes 64 hex digits; it has no files to write, little memory and
little time, and knows four formats. What the picture says about camera and place (EXIF) is never read.

Source: PDQ, a perceptual hash (Facebook, 2019): two pictures are the same at a distance of at most 31 of 256 bits.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from demur.errors import InputError

MOST_BYTES = 10 * 2**20
SAME_BITS = 31
GOOD_QUALITY = 50
"""Below this a picture has too little in it to be told from others."""
_SECONDS = 20


def fingerprint(content: bytes) -> dict[str, Any]:
    """Return ``pdq``, ``quality`` and ``sha256`` of a picture.

    Raises:
        InputError: it is too large or no picture that can be read.
    """
    if len(content) > MOST_BYTES:
        raise InputError(f"expected a picture of at most {MOST_BYTES >> 20} MB, found a larger one; make it smaller")
    try:
        done = subprocess.run(  # noqa: S603  (our own interpreter, our own file)
            [sys.executable, "-I", str(Path(__file__).with_name("decode.py"))],
            input=content,
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
        found: dict[str, Any] = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise InputError("expected a JPEG, PNG, WebP or GIF picture, found something that cannot be read") from error
    return {**found, "sha256": hashlib.sha256(content).hexdigest()}


def file_fingerprint(path: Path) -> dict[str, Any] | None:
    """Return the fingerprint of a file that the platform handed over; ``None`` = it cannot be read as a picture."""
    if path.stat().st_size > MOST_BYTES:
        return None
    try:
        return fingerprint(path.read_bytes())
    except InputError:
        return None


def distance(one: str, other: str) -> int:
    """Return how many bits two fingerprints differ in.

    >>> distance("0f", "0e")
    1
    """
    return (int(one, 16) ^ int(other, 16)).bit_count()

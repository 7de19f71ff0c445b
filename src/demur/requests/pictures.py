"""Fingerprint of a picture: decoded in a process of its own that may do nothing else (SEC-07).

The child gets the bytes on its standard input and writes 64 hex digits; it has no files to write, little memory and
little time, and knows four formats. What the picture says about camera and place (EXIF) is never read.

Source: PDQ, a perceptual hash (Facebook, 2019): two pictures are the same at a distance of at most 31 of 256 bits.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from demur.errors import InputError

MOST_BYTES = 10 * 2**20
MOST_PIXELS = 40_000_000
SAME_BITS = 31
GOOD_QUALITY = 50
"""Below this a picture has too little in it to be told from others."""
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_SECONDS = 20
_MEMORY_BYTES = 2 * 2**30


def fingerprint(content: bytes) -> dict[str, Any]:
    """Return ``pdq``, ``quality`` and ``sha256`` of a picture.

    Raises:
        InputError: it is too large or no picture that can be read.
    """
    if len(content) > MOST_BYTES:
        raise InputError(f"expected a picture of at most {MOST_BYTES >> 20} MB, found a larger one; make it smaller")
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-m", "demur.requests.pictures"],
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


def decoded(content: bytes) -> dict[str, Any]:
    """Decode and hash a picture; only the child calls this."""
    import warnings

    import numpy as np
    import pdqhash
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = MOST_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            picture.draft("RGB", (1024, 1024))
            small = picture.convert("RGB")
            small.thumbnail((1024, 1024))
            bits, quality = pdqhash.compute(np.asarray(small))
    return {"pdq": np.packbits(bits).tobytes().hex(), "quality": int(quality)}


def _restrict() -> None:
    import resource

    for limit, value in (
        (resource.RLIMIT_AS, _MEMORY_BYTES),
        (resource.RLIMIT_CPU, _SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def _main() -> int:
    _restrict()
    try:
        found = decoded(sys.stdin.buffer.read(MOST_BYTES + 1))
    except Exception:  # whatever a hostile file does, it is no picture
        return 1
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(_main())

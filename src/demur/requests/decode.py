"""The child that decodes a picture: bytes in, fingerprint out, and nothing else (SEC-07).

Run as a file, so that it imports nothing of demur and starts quickly. Only ``pictures.py`` calls it.
"""

from __future__ import annotations

import io
import json
import resource
import sys
import warnings
from typing import Any

MOST_BYTES = 10 * 2**20
MOST_PIXELS = 40_000_000
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
_SECONDS = 20
_MEMORY_BYTES = 2 * 2**30


def decoded(content: bytes) -> dict[str, Any]:
    """Return ``pdq`` and ``quality`` of a picture of one of four formats."""
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

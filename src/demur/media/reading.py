"""Read the text in a picture, say where identifiers stand, and whether it looks like a chat. In the worker only.

What is read goes out with its identifiers replaced. Without a redactor nothing is known of any line: all are hidden and
no text goes out.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

import numpy as np
import pyarrow as pa

from demur.errors import ConfigError
from demur.media.detect import Box

Redact = Callable[[Any], list[list[tuple[int, int, str]]]]
"""Arrow string array → for each text its identifiers: start, end, type; positions in the text as given."""

_READ_EDGE = 640
"""The finder of lines looks at a picture of this longer edge; letters are read at full size."""
_LEAST_SCORE = 0.5
_CLOCK = re.compile(r"(?:^|\s)(?:[01]?\d|2[0-3])[:.][0-5]\d(?:\s?[AaPp]\.?[Mm]\.?)?(?:\s?[✓√vV/]{1,2})?$")
_CLOCKS = 3


@dataclass(slots=True)
class Reading:
    """What was read."""

    text: str | None = None
    """Lines in reading order, identifiers replaced; ``None`` = nothing was read or may be told."""
    hidden: list[Box] = field(default_factory=list)
    """Lines that hold identifiers."""
    chat: bool = False


def redactor(name: str) -> Redact | None:
    """Return the function of ``module:function``; an empty name = there is none.

    Raises:
        ConfigError: there is no such function.
    """
    if not name:
        return None
    module, _, function = name.partition(":")
    try:
        found: Redact = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"expected a redactor module:function, found {name}; check its name") from error
    return found


def replaced(text: str, redact: Redact | None) -> tuple[str | None, list[tuple[int, int]]]:
    """Return a text with its identifiers replaced, and where they stood in it.

    Lines are read twice, apart and as one: an identifier may go over the end of a line.
    """
    if redact is None:
        return None, [(0, len(text))]
    spans = [span for found in redact(pa.array([text, text.replace("\n", " ")], pa.string())) for span in found]
    out, place, where = [], 0, []
    for start, end, kind in sorted(spans):
        if end > place:
            out += [text[place : max(place, start)], f"<{kind}>" if start >= place else ""]
            where.append((start, end))
            place = end
    return "".join([*out, text[place:]]), where


class Reader:
    """RapidOCR on one thread; its models are in its wheel."""

    def __init__(self, redact: Redact | None) -> None:
        """Load the models."""
        from rapidocr import RapidOCR

        logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)  # it would log what it reads
        self._redact = redact
        self._engine = RapidOCR(
            params={
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "EngineConfig.onnxruntime.inter_op_num_threads": 1,
                "Global.use_cls": False,
                "Global.log_level": "critical",
                "Global.text_score": _LEAST_SCORE,
                "Det.limit_side_len": _READ_EDGE,
                "Det.limit_type": "max",
            }
        )
        self.version = f"rapidocr {metadata.version('rapidocr')} onnxruntime {metadata.version('onnxruntime')}"

    def read(self, pixels: Any) -> Reading:
        """Read an RGB picture."""
        lines = self.lines(pixels)
        if not lines:
            return Reading()
        text = "\n".join(line for line, _box in lines)
        clean, where = replaced(text, self._redact)
        hidden, start = [], 0
        for line, box in lines:
            if any(first < start + len(line) and last > start for first, last in where):
                hidden.append(box)
            start += len(line) + 1
        return Reading(clean, hidden, looks_like_chat(lines, pixels.shape[1]))

    def lines(self, pixels: Any) -> list[tuple[str, Box]]:
        """Return the lines of a picture and their boxes, from top to bottom, in a line from left to right."""
        found = self._engine(np.ascontiguousarray(pixels[:, :, ::-1]))
        if found.boxes is None or found.txts is None:
            return []
        height, width = pixels.shape[:2]
        lines = []
        for corners, text in zip(found.boxes, found.txts, strict=True):
            (left, top), (right, bottom) = np.min(corners, axis=0), np.max(corners, axis=0)
            pad = max(2, int((bottom - top) * 0.15))
            box = (
                max(0, int(left) - pad),
                max(0, int(top) - pad),
                min(width, int(right) + pad + 1),
                min(height, int(bottom) + pad + 1),
            )
            lines.append((" ".join(text.split()), box))
        return in_reading_order(lines)


def in_reading_order(lines: list[tuple[str, Box]]) -> list[tuple[str, Box]]:
    """Sort lines: those whose middles lie within each other's height are one row, rows go from top to bottom."""
    rows: list[list[tuple[str, Box]]] = []
    for line in sorted(lines, key=lambda one: (one[1][1] + one[1][3], one[1][0])):
        middle = (line[1][1] + line[1][3]) / 2
        if rows and rows[-1][0][1][1] <= middle <= rows[-1][0][1][3]:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda one: one[1][0])]


def looks_like_chat(lines: list[tuple[str, Box]], width: int) -> bool:
    """Tell whether lines look like a chat: three end in a time of day, and bubbles begin at both sides.

    A rule, not a model: it knows the common messengers' layout and nothing of what is said.
    """
    clocks = sum(bool(_CLOCK.search(text)) for text, _box in lines)
    others = [box for text, box in lines if not _CLOCK.fullmatch(text) and len(text) > 1]
    left = sum(box[0] < width * 0.25 for box in others)
    right = sum(box[0] > width * 0.35 or (box[0] > width * 0.25 and box[2] > width * 0.85) for box in others)
    return clocks >= _CLOCKS and left >= 1 and right >= 1

"""Read the text in a picture, say where identifiers stand, and whether it looks like a chat. In the worker only.

What is read goes out with its identifiers replaced. Without a redactor nothing is known of any line: all are hidden and
no text goes out.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import logging
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from demur.errors import ConfigError
from demur.media.detect import Box


class Redacted(Protocol):
    """What a redactor says of texts; ``demur.corpus.redact.redact`` says it so."""

    normalised: Any
    """Arrow string array: the texts as the spans count them; lines stay lines."""
    spans: Any
    """Arrow ``list<struct<start, end, kind>>``: the identifiers of each."""


Redact = Callable[[Any], Redacted]
"""Arrow string array → what is in it."""

_READ_EDGE = 640
"""The finder of lines looks at a picture of this longer edge; letters are read at full size."""
_LEAST_SCORE = 0.85
"""Of 149 lines of screenshots the least is 0.88; of the same mirrored, which nobody can read, 142 of 151 are below."""
_LONG = 4.0
"""Times its height that a line is wide, to be judged by how much was read of it; icons are shorter."""
_LETTERS = 0.7
"""Letters a height of a line that was read: Latin ones are 1.4 to 2.9, of Cyrillic none is known to the models."""
_LARGE, _SQUAT = 0.3, 2.2
"""A line that is so high, in shorter edges of the picture, and at most so many times as long, has a few letters at
most. Nearly always it has none: the finder takes round things that fill a picture for one. Of 136 photos and drawings
34 had such a line, and 19 nothing else; of 600 pictures full of drawn text 3 had one that was more than one line."""
_CLOSER, _FARTHER = 2 * _READ_EDGE, _READ_EDGE // 2
"""So a part of which one sign was read or none (a ring is an O) is looked at twice more, to be sure."""
_BLANK = 64
_HALF_KNOWN = re.compile("[\\u0370-\\u03ff\\u1f00-\\u1fff]")
"""Greek: the models know some letters and leave the others out."""
_CLOCK = re.compile(r"(?:^|\s)(?:[01]?\d|2[0-3])[:.][0-5]\d(?:\s?[AaPp]\.?[Mm]\.?)?(?:\s?[✓√vV/]{1,2})?$")
_CLOCKS = 3


Line = tuple[str, Box]
"""What stands in a line, and where it is."""


@dataclass(slots=True)
class Reading:
    """What was read."""

    text: str | None = None
    """Lines in reading order, identifiers replaced; ``None`` = nothing was read or may be told."""
    hidden: list[Box] = field(default_factory=list)
    """Lines that hold identifiers."""
    chat: bool = False
    unread: int = 0
    """Lines that cannot be read; hidden too."""
    lines: list[Box] = field(default_factory=list)
    """All lines, whether they can be read or not, but for what is too large to be one for sure."""


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


def rules_of(name: str) -> str:
    """Return the name of a redactor's rules: what its module says as ``REDACTION``; nothing where it says none."""
    return str(getattr(sys.modules.get(name.partition(":")[0]), "REDACTION", ""))


_SAMPLES = (
    "Nothing in here, only words.",
    "mail a.b@example.org or a.b (at) example dot org, call +49 170 1234567 or 030 1234567, @somebody u/somebody",
    "IBAN DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111, 192.168.1.17, 2001:db8::1, 00:11:22:33:44:55",
    "plate M-AB 1234, AB-123-CD; Hauptstraße 12, 10115 Berlin; https://example.org/u/somebody?id=1 did:plc:abcdefgh",
    "RSSMRA85T10A562S 1234567T 12345678Z 010190-123A 85010112345 100190-0006 800101/1234 123456789 12345678903",
    "passport C01X00T47, tax number 12 345 678 901, NHS 943 476 5919, 756.1234.5678.97, QQ 12 34 56 C, 0123456789",
)


def warm(redact: Redact, name: str) -> None:
    """Have a redactor load all that it loads when it needs it first: a shut-in worker can load nothing more.

    Its modules' own late imports are made now, and it reads samples of identifiers.

    Args:
        redact: the redactor.
        name: its ``module:function``; modules whose names begin with that module's are its own.
    """
    module = name.partition(":")[0]
    for own in [found for loaded, found in sorted(sys.modules.items()) if loaded.startswith(module)]:
        for node in ast.walk(ast.parse(Path(str(own.__file__)).read_text(encoding="utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
            if isinstance(node, ast.ImportFrom):
                names = [str(node.module), *(f"{node.module}.{one}" for one in names)]
            for wanted in names:
                with contextlib.suppress(ImportError):
                    importlib.import_module(wanted)
    for text in _SAMPLES:
        replaced(text, redact)


def replaced(text: str, redact: Redact | None, *, turned: bool = False) -> tuple[str | None, list[bool]]:
    """Return a text with its identifiers replaced, and for each of its lines whether it held a part of one.

    Lines are read twice, apart and as one, since an identifier may go over the end of a line. Where it is not certain
    which line a finding is in, or there is no redactor, all lines count as holding one.

    Args:
        text: lines.
        redact: the redactor.
        turned: read them from the last to the first too, as they stand in a picture on its head; what is found either
            way is replaced.
    """
    lines = text.count("\n") + 1
    if redact is None:
        return None, [True] * lines
    found = redact(pa.array(_ways(text, turned), pa.string()))
    ways, rows = found.normalised.to_pylist(), found.spans.to_pylist()
    apart = ways[0]
    if apart.count("\n") + 1 != lines or ways != _ways(apart, turned):
        return None, [True] * lines
    spans = [(one["start"], one["end"], one["kind"]) for row in rows[:2] for one in row or ()]
    for one in (one for row in rows[2:] for one in row or ()):
        spans += [(*place, one["kind"]) for place in _from_below(ways[2], one["start"], one["end"])]
    out, place, touched = [], 0, [False] * lines
    for start, end, kind in sorted(spans):
        for line in range(apart.count("\n", 0, start), apart.count("\n", 0, end) + 1):
            touched[line] = True
        if end > place:
            out += [apart[place : max(place, start)], f"<{kind}>" if start >= place else ""]
            place = end
    return "".join([*out, apart[place:]]), touched


def _ways(text: str, turned: bool) -> list[str]:
    """Return the ways that a text is read in: its lines apart and as one, and so from the last line to the first."""
    orders = [text, "\n".join(text.split("\n")[::-1])] if turned else [text]
    return [way for order in orders for way in (order, order.replace("\n", " "))]


def _from_below(text: str, start: int, end: int) -> list[tuple[int, int]]:
    r"""Return where a part of a text is, line for line, once its last line is the first.

    >>> _from_below("one two\nthree", 4, 10)
    [(10, 13), (0, 2)]
    """
    out, begin = [], 0
    for line in text.split("\n"):
        there = len(text) - begin - len(line)
        first, last = max(start - begin, 0), min(end - begin, len(line))
        out += [(there + first, there + last)] if first < last else []
        begin += len(line) + 1
    return out


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
                "Global.use_cls": False,  # what says which way up a line is errs more than reading it both ways
                "Global.log_level": "critical",
                "Global.text_score": 0.0,  # what is too uncertain is told too, and hidden
                "Det.limit_side_len": _READ_EDGE,
                "Det.limit_type": "max",
            }
        )
        self._engine(np.zeros((_BLANK, _BLANK, 3), np.uint8))  # it loads its finder when it needs it first
        self._engine.recognize_txt = _every_line(self._engine.recognize_txt)
        self.version = f"rapidocr {metadata.version('rapidocr')} onnxruntime {metadata.version('onnxruntime')}"

    def read(self, pixels: Any) -> Reading:
        """Read an RGB picture.

        What stands in a line that cannot be read nobody knows: it may be an identifier or somebody's protected words.
        Which line is the first nobody knows either: the picture may stand on its head.
        """
        lines, unread = self.lines(pixels)
        chat = looks_like_chat([*lines, *unread], pixels.shape[1])
        boxes = [box for _line, box in unread]
        found = Reading(hidden=boxes, chat=chat, unread=len(boxes), lines=_lines_in(pixels, [*lines, *unread]))
        if lines:
            found.text, touched = replaced("\n".join(line for line, _box in lines), self._redact, turned=True)
            held = [box for (_line, box), hold in zip(lines, touched, strict=True) if hold]
            found.hidden = held + boxes
        return found

    def lines(self, pixels: Any) -> tuple[list[Line], list[Line]]:
        """Return the lines of a picture and their boxes, from top to bottom, in a line from left to right.

        Apart from them those that cannot be read, with what they may say. Where something large is of which hardly a
        sign can be read, it is looked at from closer and from farther: there may be lines in it.
        """
        lines, unread, large = self._found(pixels, _READ_EDGE)
        for left, top, right, bottom in large:
            for edge in (_CLOSER, _FARTHER):
                part, scale = _as_long_as(pixels[top:bottom, left:right], edge)
                more, others, _still_large = self._found(part, edge)
                there = [(text, _moved(box, scale, left, top)) for text, box in more]
                lines += [one for one in there if not any(_same(one, known) for known in lines)]
                unread += [(text, _moved(box, scale, left, top)) for text, box in others]
        return in_reading_order(lines), unread

    def _found(self, pixels: Any, edge: int) -> tuple[list[Line], list[Line], list[Box]]:
        """Return the lines of a picture, those that cannot be read, and where something large is that is hardly one."""
        self._engine.text_det.limit_side_len = edge
        found = self._engine(np.ascontiguousarray(pixels[:, :, ::-1]))
        lines: list[Line] = []
        unread: list[Line] = []
        large: list[Box] = []
        if found.boxes is None or found.txts is None:
            return lines, unread, large
        height, width = pixels.shape[:2]
        for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
            (left, top), (right, bottom) = np.min(corners, axis=0), np.max(corners, axis=0)
            pad = max(2, int((bottom - top) * 0.15))
            box = (
                max(0, int(left) - pad),
                max(0, int(top) - pad),
                min(width, int(right) + pad + 1),
                min(height, int(bottom) + pad + 1),
            )
            if too_large(corners, min(height, width)) and sum(map(str.isalnum, text)) <= 1:
                large.append(box)
            elif score >= _LEAST_SCORE and can_be_read(text, (right - left) / max(1.0, bottom - top)):
                lines.append((" ".join(text.split()), box))
            else:
                unread.append((" ".join(text.split()), box))
        return lines, unread, large


def _lines_in(pixels: Any, lines: list[Line]) -> list[Box]:
    """Return the boxes of lines that are surely some: a picture is known by what lies outside of them."""
    edge = min(pixels.shape[:2])
    corners = [(box, np.array([box[:2], (box[2], box[1]), box[2:], (box[0], box[3])])) for _text, box in lines]
    return [box for box, four in corners if not too_large(four, edge)]


def too_large(corners: Any, edge: int) -> bool:
    """Tell whether a line is so large that it has a few letters at most.

    Args:
        corners: of the line, [4, 2], one after another.
        edge: the shorter one of the picture.

    >>> square = np.array([[0, 0], [90, 0], [90, 80], [0, 80]])
    >>> too_large(square, 100), too_large(square, 400), too_large(square * [4, 1], 100)
    (True, False, False)
    """
    sides = np.linalg.norm(np.diff(corners[:3], axis=0), axis=1)
    return bool(sides.min() >= _LARGE * edge and sides.max() <= _SQUAT * sides.min())


def _as_long_as(part: Any, edge: int) -> tuple[Any, float]:
    """Return a part with a longer edge of so many pixels, and how many of its own one of these is."""
    import cv2

    scale = max(part.shape[:2]) / edge
    size = (max(1, round(part.shape[1] / scale)), max(1, round(part.shape[0] / scale)))
    return cv2.resize(part, size, interpolation=cv2.INTER_LINEAR), scale


def _moved(box: Box, scale: float, left: int, top: int) -> Box:
    """Return a box of an enlarged part where it is in the picture."""
    begin_x, begin_y, end_x, end_y = (edge * scale for edge in box)
    return int(begin_x) + left, int(begin_y) + top, int(end_x) + 1 + left, int(end_y) + 1 + top


def _same(one: Line, other: Line) -> bool:
    """Say whether a line was found before: it says the same, and its middle lies in the other."""
    left, top, right, bottom = other[1]
    x, y = (one[1][0] + one[1][2]) / 2, (one[1][1] + one[1][3]) / 2
    return one[0] == other[0] and left <= x <= right and top <= y <= bottom


def _every_line(recognise: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return what reads lines, those that cannot be read also the other way up, and loses none.

    The engine would throw away where it found a line and read nothing.
    """

    def found(pictures: Any) -> Any:
        lines = recognise(pictures)
        if lines.txts is not None:
            texts, scores = list(lines.txts), list(lines.scores)
            unread = [place for place, score in enumerate(scores) if score < _LEAST_SCORE]
            if unread:
                turned = recognise([np.ascontiguousarray(np.rot90(pictures[place], 2)) for place in unread])
                for place, text, score in zip(unread, turned.txts, turned.scores, strict=True):
                    if score > scores[place]:
                        texts[place], scores[place] = text, score
            lines.txts, lines.scores = tuple(text if text.strip() else "." for text in texts), scores
        return lines

    return found


def can_be_read(text: str, width: float) -> bool:
    """Tell whether what was read of a line is what stands in it: the models do not know every script.

    Args:
        text: what was read.
        width: of the line, in heights of it.

    >>> can_be_read("Haben wir noch Sahne?", 12.0), can_be_read(". ,    .", 17.8), can_be_read(".", 1.0)
    (True, False, False)
    """
    letters = sum(map(str.isalnum, text))
    return letters >= (_LETTERS * width if width >= _LONG else 1) and not _HALF_KNOWN.search(text)


def in_reading_order(lines: list[Line]) -> list[Line]:
    """Sort lines: those whose middles lie within each other's height are one row, rows go from top to bottom."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda one: (one[1][1] + one[1][3], one[1][0])):
        middle = (line[1][1] + line[1][3]) / 2
        if rows and rows[-1][0][1][1] <= middle <= rows[-1][0][1][3]:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [line for row in rows for line in sorted(row, key=lambda one: one[1][0])]


def looks_like_chat(lines: list[Line], width: int) -> bool:
    """Tell whether lines look like a chat: three end in a time of day, and bubbles begin at both sides.

    A rule, not a model: it knows the common messengers' layout and nothing of what is said.
    """
    clocks = sum(bool(_CLOCK.search(text)) for text, _box in lines)
    others = [box for text, box in lines if not _CLOCK.fullmatch(text) and len(text) > 1]
    left = sum(box[0] < width * 0.25 for box in others)
    right = sum(box[0] > width * 0.35 or (box[0] > width * 0.25 and box[2] > width * 0.85) for box in others)
    return clocks >= _CLOCKS and left >= 1 and right >= 1

"""One film: bytes in; a strip of clean frames at a fixed grid and what was said out. In the worker only.

The strip is one JPEG, frames one below the other, all of one size: a film becomes one picture that every reader of
pictures can read. Cover art, subtitles, chapters, tags and data streams are not looked at.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from demur.media.copies import GOOD_QUALITY
from demur.media.detect import Detector, shrunk
from demur.media.keypoints import keypoints
from demur.media.picture import LeftOutError, Seen, fingerprint, hide
from demur.media.reading import Reader
from demur.media.recipe import Left, MediaRecipe
from demur.media.sound import Transcriber, samples_of


def watched(
    content: bytes,
    recipe: MediaRecipe,
    detectors: list[Detector],
    reader: Reader | None,
    transcriber: Transcriber | None,
) -> tuple[Any, Seen, str | None]:
    """Return the strip's pixels, what was seen in all frames together, and the transcript.

    Raises:
        LeftOutError: a limit, or the recipe leaves such a film out.
    """
    frames = [np.ascontiguousarray(shrunk(frame, recipe.film_edge)[0]) for frame in _on_the_grid(content, recipe)]
    if not frames:
        raise LeftOutError(Left.UNREADABLE)
    total = Seen(width=frames[0].shape[1], height=frames[0].shape[0] * len(frames), frames=len(frames))
    for shown in range(len(frames)):  # many films begin in the dark, and a dark picture is a copy of nothing
        fingerprint(frames[shown], total)
        if total.hash_quality >= GOOD_QUALITY:
            break
    texts: list[str] = []
    for place, frame in enumerate(frames):
        seen = Seen(hash=total.hash if place == shown else None)
        try:
            hide(frame, seen, recipe, detectors, reader)
        except LeftOutError as error:
            total.keypoints = total.keypoints or seen.keypoints or keypoints(frames[shown])
            raise LeftOutError(error.reason, total) from error
        total.keypoints = total.keypoints or seen.keypoints
        total.faces += seen.faces
        total.plates += seen.plates
        total.hidden_lines += seen.hidden_lines
        total.flags = sorted({*total.flags, *seen.flags})
        if seen.ocr_text and (not texts or texts[-1] != seen.ocr_text):
            texts.append(seen.ocr_text)
    total.ocr_text = "\n".join(texts) or None
    said = None
    if transcriber is not None and recipe.voice != "leave_out":
        samples = samples_of(content, recipe)
        said = transcriber.text(samples) if len(samples) else None
    return np.concatenate(frames), total, said


def _on_the_grid(content: bytes, recipe: MediaRecipe) -> list[Any]:
    """Return the first frame at or after every ``frame_step_ms``, at most ``max_frames`` of one size."""
    import av

    frames: list[Any] = []
    with av.open(io.BytesIO(content), "r", metadata_errors="ignore") as source:
        if not source.streams.video:
            raise LeftOutError(Left.UNREADABLE)
        stream = source.streams.video[0]
        stream.thread_type, stream.codec_context.thread_count = "NONE", 1
        if stream.codec_context.width * stream.codec_context.height > recipe.max_pixels:
            raise LeftOutError(Left.TOO_MANY_PIXELS)
        begun: float | None = None
        for frame in source.decode(stream):
            if frame.time is None or frame.width * frame.height > recipe.max_pixels:
                continue
            begun = frame.time if begun is None else begun
            at = frame.time - begun
            if at > recipe.max_seconds:
                raise LeftOutError(Left.TOO_LONG)
            if at * 1000 < len(frames) * recipe.frame_step_ms:
                continue
            picture = _upright(frame)
            if not frames or picture.shape == frames[0].shape:
                frames.append(picture)
            if len(frames) == recipe.max_frames:
                break
    return frames


def _upright(frame: Any) -> Any:
    """Return a frame's pixels turned as the camera was held."""
    pixels = frame.to_ndarray(format="rgb24")
    return np.rot90(pixels, round(getattr(frame, "rotation", 0) / 90) % 4)

"""One voice: bytes in, what was said out, and the sound itself only where the recipe says so. In the worker only.

Changing a voice so that nobody knows it again is best effort at most, so this room does not try.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import numpy as np

from demur.errors import ConfigError
from demur.media.picture import LeftOutError
from demur.media.reading import Redact, replaced
from demur.media.recipe import Left, MediaRecipe

RATE = 16_000
"""Samples a second, one channel: what speech models hear."""


class Transcriber:
    """faster-whisper on one thread, no chance in it: greedy, one temperature."""

    def __init__(self, folder: str, redact: Redact | None) -> None:
        """Load the model of a folder.

        Raises:
            ConfigError: faster-whisper is not installed, or the folder holds no model of it.
        """
        try:
            from faster_whisper import WhisperModel
        except ImportError as error:
            raise ConfigError("transcribing voices needs faster-whisper; install demur[voice]") from error
        self._redact = redact
        try:
            self._model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=1, num_workers=1)
        except (RuntimeError, ValueError, OSError) as error:
            raise ConfigError("expected the folder of a faster-whisper model, found none; see docs/media.md") from error
        self.version = f"faster-whisper {metadata.version('faster-whisper')}"

    def text(self, samples: Any) -> str | None:
        """Return what was said, identifiers replaced; ``None`` = nothing was, or nobody can tell what may be told."""
        pieces, _about = self._model.transcribe(
            samples, beam_size=1, temperature=0.0, condition_on_previous_text=False, vad_filter=False
        )
        said = " ".join(" ".join(piece.text for piece in pieces).split())
        return replaced(said, self._redact)[0] if said else None


def samples_of(content: bytes, recipe: MediaRecipe) -> Any:
    """Decode a sound: mono, 16 kHz, 32-bit floats, shape (samples,).

    Raises:
        LeftOutError: it is longer than the recipe allows.
    """
    import av

    with av.open(io.BytesIO(content), "r", metadata_errors="ignore") as source:
        if not source.streams.audio:
            return np.zeros(0, np.float32)
        source.streams.audio[0].codec_context.thread_count = 1
        parts, length = [], 0
        for part in _resampled(source):
            length += len(part)
            if length > recipe.max_seconds * RATE:
                raise LeftOutError(Left.TOO_LONG)
            parts.append(part)
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _resampled(source: Any) -> Iterator[Any]:
    from av.audio.resampler import AudioResampler

    resampler = AudioResampler(format="flt", layout="mono", rate=RATE)
    for frame in source.decode(audio=0):
        for part in resampler.resample(frame):
            yield part.to_ndarray().reshape(-1)
    for part in resampler.resample(None):
        yield part.to_ndarray().reshape(-1)


def heard(content: bytes, recipe: MediaRecipe, transcriber: Transcriber | None) -> tuple[bytes, str | None]:
    """Return a voice's clean sound (empty unless the recipe lets sounds on) and its transcript.

    Raises:
        LeftOutError: voices are left out, nobody can transcribe, nothing is said, or it is too long.
    """
    if recipe.voice == "leave_out":
        raise LeftOutError(Left.VOICE)
    if recipe.voice == "transcript" and transcriber is None:
        raise LeftOutError(Left.NO_TRANSCRIBER)
    samples = samples_of(content, recipe)
    if not len(samples):
        raise LeftOutError(Left.NO_SPEECH)
    text = transcriber.text(samples) if transcriber is not None else None
    if recipe.voice == "sound":
        return flac(samples), text
    if text is None:
        raise LeftOutError(Left.NO_SPEECH)
    return b"", text


def flac(samples: Any) -> bytes:
    """Return a FLAC file of these samples with no block but the one that must be there (RFC 9639 §8)."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="flac", options={"fflags": "+bitexact"}) as sink:
        stream = sink.add_stream("flac", rate=RATE, layout="mono", format="s16")
        stream.codec_context.thread_count = 1
        frame = av.AudioFrame.from_ndarray((samples.clip(-1, 1) * 32767).astype(np.int16)[None], "s16", "mono")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            sink.mux(packet)
    return only_stream_facts(out.getvalue())


def only_stream_facts(content: bytes) -> bytes:
    """Return a FLAC file without its optional blocks: vendor, comments, pictures."""
    place, kept, last = 4, b"", False
    while not last:
        last, kind = bool(content[place] & 0x80), content[place] & 0x7F
        size = int.from_bytes(content[place + 1 : place + 4], "big")
        if kind == 0:
            kept = b"\x80" + content[place + 1 : place + 4 + size]
        place += 4 + size
    return b"fLaC" + kept + content[place:]

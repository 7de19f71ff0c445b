"""The shut-in worker: takes files one after another, answers with clean ones. Started by ``darkroom.py`` only.

It loads all that it needs, works once on samples of every kind so that nothing is left to load, shuts itself in, and
then knows nothing but its two pipes (SEC-07).
"""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import sys
from dataclasses import asdict
from importlib import metadata
from typing import Any

import numpy as np

from demur.errors import ConfigError
from demur.media import film, picture, sound
from demur.media.credentials import training_assertions
from demur.media.detect import Detector, load
from demur.media.reading import Reader, redactor, rules_of, warm
from demur.media.recipe import Left, MediaRecipe
from demur.media.sandbox import shut
from demur.media.wire import GoneError, receive, send

_MOST_SETUP_BYTES = 2**20


class Bench:
    """All tools of one recipe."""

    def __init__(self, recipe: MediaRecipe, redactor_name: str) -> None:
        """Load them.

        Raises:
            ConfigError: one is not installed.
        """
        redact = redactor(redactor_name)
        if redact is not None:
            warm(redact, redactor_name)
        self.recipe, self._rules = recipe, rules_of(redactor_name)
        self.detectors: list[Detector] = load(recipe.detectors, recipe.detect_edge)
        self.reader: Reader | None = None
        if recipe.text == "redact":
            try:
                self.reader = Reader(redact)
            except ImportError as error:
                raise ConfigError("reading text in pictures needs RapidOCR; install demur[media]") from error
        self.transcriber = sound.Transcriber(recipe.speech_model, redact) if recipe.speech_model else None
        self._films = _installed("av")
        if _installed("pillow_heif"):
            import pillow_heif

            pillow_heif.register_heif_opener(thumbnails=False)

    def versions(self) -> dict[str, str]:
        """Return the versions of everything whose change may change a result."""
        import cv2

        tools: list[Any] = [*self.detectors, self.reader, self.transcriber]
        found = {name: metadata.version(name) for name in ("pillow", "numpy", "pdqhash", "simplejpeg")}
        found["opencv"] = cv2.__version__
        found |= {"rules": self._rules} if self._rules else {}
        found |= {"av": metadata.version("av")} if self._films else {}
        return found | {f"tool{place}": tool.version for place, tool in enumerate(tools) if tool is not None}

    def work(self, kind: str, content: bytes) -> tuple[dict[str, Any], bytes]:
        """Return the answer to one file.

        Raises:
            picture.LeftOutError: it has no clean form.
        """
        if kind != "picture" and not self._films:
            raise picture.LeftOutError(Left.NO_TOOL)
        if kind == "picture":
            pixels, seen = picture.cleaned(content, self.recipe, self.detectors, self.reader)
            return self._answer(content, pixels, pixels, seen, None)
        if kind == "voice":
            clean, said = sound.heard(content, self.recipe, self.transcriber)
            seen = _signed(content, picture.Seen(frames=0))
            return {"seen": asdict(seen), "transcript": said, "clean_bytes": len(clean)}, clean
        pixels, seen, said = film.watched(content, self.recipe, self.detectors, self.reader, self.transcriber)
        return self._answer(content, pixels, pixels[: len(pixels) // seen.frames], seen, said)

    def _answer(
        self, content: bytes, clean: Any, first: Any, seen: picture.Seen, said: str | None
    ) -> tuple[dict[str, Any], bytes]:
        """Return the answer of clean pixels: the picture, then the thumbnail of it or of a film's first frame."""
        _signed(content, seen)
        whole, small = picture.encoded(clean, self.recipe.quality), picture.thumbnail(first, self.recipe)
        return {"seen": asdict(seen), "transcript": said, "clean_bytes": len(whole)}, whole + small

    def warm(self) -> None:
        """Work on one sample of every format, so that no library loads anything later."""
        from PIL import Image

        Image.init()
        small = Image.fromarray(_sample()[:16, :16])
        for form in picture.FORMATS:
            with contextlib.suppress(KeyError, OSError, ValueError):  # Pillow cannot write all that it can read
                picture.opened(_written(small, form), self.recipe)
        whole = _written(Image.fromarray(_sample()), "JPEG")
        self.answer("picture", whole)
        self.answer("picture", whole[: len(whole) // 2])
        if self._films:
            self.answer("voice", sound.flac(np.sin(np.arange(sound.RATE, dtype=np.float32) / 20)))
            self.answer("film", _sample_film())
            self.answer("film", whole)

    def answer(self, kind: str, content: bytes) -> tuple[dict[str, Any], bytes]:
        """Return the answer to one file, whatever it is."""
        try:
            return self.work(kind, content)
        except picture.LeftOutError as error:
            return {"left": error.reason.value, "seen": asdict(error.seen) if error.seen else {}}, b""
        except MemoryError:
            return {"left": Left.NO_MEMORY.value}, b""
        except Exception as error:  # whatever a hostile file does
            return {"left": _fault(error).value}, b""


def _signed(content: bytes, seen: picture.Seen) -> picture.Seen:
    """Add what the file's content credentials say about training."""
    told, unread = training_assertions(content)
    seen.credentials = json.dumps(told) if told else None
    seen.flags = [*seen.flags, *(["unread_credentials"] if unread else [])]
    return seen


def _fault(error: Exception) -> Left:
    if type(error).__name__ in ("DecompressionBombError", "DecompressionBombWarning"):
        return Left.TOO_MANY_PIXELS
    if isinstance(error, ImportError) or getattr(error, "errno", None) in (errno.EPERM, errno.EMFILE):
        return Left.NO_TOOL  # something wanted to load more: our fault, not the file's; shown and counted as such
    return Left.UNREADABLE


def _installed(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None


def _sample() -> Any:
    """Return a picture of noise with a word on it: all tools find work."""
    from PIL import Image, ImageDraw

    noise = np.random.default_rng(1).integers(0, 255, (24, 32, 3), dtype=np.uint8)
    plain = Image.fromarray(noise).resize((320, 240))
    ImageDraw.Draw(plain).rectangle((20, 90, 300, 150), fill="white")
    ImageDraw.Draw(plain).text((30, 100), "mail a.b@example.org", fill="black", font_size=24)
    return np.asarray(plain)


def _written(plain: Any, form: str) -> bytes:
    out = io.BytesIO()
    plain.save(out, form)
    return out.getvalue()


def _sample_film() -> bytes:
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="matroska") as sink:
        stream = sink.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(_sample()), format="rgb24")
        for packet in [*stream.encode(frame.reformat(format="yuvj420p")), *stream.encode(None)]:
            sink.mux(packet)
    return out.getvalue()


def main() -> int:
    """Work until the other side hangs up."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)  # what a library prints is no answer
    try:
        setup, _none = receive(source, most_bytes=_MOST_SETUP_BYTES)
        recipe = MediaRecipe.of(setup["recipe"])
        try:
            bench = Bench(recipe, setup["redactor"])
            bench.warm()
            versions = bench.versions()
        except Exception as error:  # told while there are no files yet, so it can hold nothing of anybody's
            send(sink, {"fault": str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"})
            return 1
        send(sink, {"holds": shut(recipe.memory_bytes), "versions": versions})
        while True:
            head, content = receive(source, most_bytes=recipe.max_bytes)
            send(sink, *bench.answer(head["kind"], content))
    except GoneError:
        return 0


if __name__ == "__main__":
    sys.exit(main())

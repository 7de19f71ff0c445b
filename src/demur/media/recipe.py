"""What fixes the clean form of a picture, a voice or a film; and the reasons why one is left out. No behaviour.

Another behaviour of this room gets another :data:`RULES` name: old results are never taken for new ones.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from demur.errors import ConfigError

RULES = "demur-media-8"
"""Name of the frozen rules of this room."""


class Left(StrEnum):
    """Why a file has no clean form. Codes are stable; sentences stand in docs/media.md."""

    NO_FILE = "no_file"
    OUTSIDE_ROOT = "outside_root"
    EMPTY = "empty"
    TOO_MANY_BYTES = "too_many_bytes"
    UNKNOWN_TYPE = "unknown_type"
    TYPE_MISMATCH = "type_mismatch"
    POLYGLOT = "polyglot"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_FRAMES = "too_many_frames"
    TOO_LONG = "too_long"
    UNREADABLE = "unreadable"
    NO_MEMORY = "no_memory"
    OUT_OF_TIME = "out_of_time"
    DECODER_DIED = "decoder_died"
    NOT_CLEAN = "not_clean"
    FACE = "face"
    PLATE = "plate"
    CHAT_SCREENSHOT = "chat_screenshot"
    VOICE = "voice"
    NO_TRANSCRIBER = "no_transcriber"
    NO_SPEECH = "no_speech"
    NO_TOOL = "no_tool"


_CHOICES = {
    "faces": ("blur", "leave_out", "keep"),
    "plates": ("blur", "leave_out", "keep"),
    "text": ("redact", "ignore"),
    "chats": ("leave_out", "keep"),
    "voice": ("transcript", "sound", "leave_out"),
}


@dataclass(frozen=True, slots=True)
class MediaRecipe:
    """Settings of the room; with the tools' versions they name a result.

    Raises:
        ConfigError: a setting has a value that it cannot have; all faults at once.
    """

    rules: str = RULES
    max_edge: int = 1024
    """Longer edge of a clean picture, in pixels; image–text corpora train on less."""
    quality: int = 85
    """JPEG quality of what goes out."""
    thumbnail_edge: int = 256
    """Longer edge of the thumbnail that a picture's or film's record carries, made from its clean pixels; 0 = none."""
    faces: str = "blur"
    plates: str = "blur"
    detectors: tuple[str, ...] = ("faces", "plates")
    """Names in the entry-point group ``demur.detectors``."""
    detect_edge: int = 512
    """Longer edge of the picture that detectors look at: the price of small faces."""
    text: str = "redact"
    """``redact``: read and paint over what holds identifiers; ``ignore``: text in pictures is nobody's concern."""
    chats: str = "leave_out"
    """Screenshots of chats hold other people's private messages."""
    voice: str = "transcript"
    """``sound``: the sound itself goes on too."""
    speech_model: str = ""
    """Folder of a faster-whisper model; none = voices are left out."""
    frame_step_ms: int = 2_000
    max_frames: int = 16
    film_edge: int = 448
    """Longer edge of one frame in a film's strip."""
    max_bytes: int = 128 * 2**20
    max_pixels: int = 64_000_000
    max_seconds: int = 600
    picture_cpu_seconds: int = 30
    film_cpu_seconds: int = 900
    memory_bytes: int = field(default=2 * 2**30)
    """What one file may take beyond the worker's own size."""

    def __post_init__(self) -> None:
        faults = [
            f"{name}: one of {', '.join(allowed)}, found {getattr(self, name)!r}"
            for name, allowed in _CHOICES.items()
            if getattr(self, name) not in allowed
        ]
        if self.rules != RULES:
            faults.append(f"rules: {RULES} is what this version can do, found {self.rules!r}")
        faults += [
            f"{name}: a number above 0, found {value!r}"
            for name, value in asdict(self).items()
            if isinstance(value, int) and value <= 0 and (name, value) != ("thumbnail_edge", 0)
        ]
        if faults:
            raise ConfigError("expected a media recipe that can be followed; change the settings", faults)

    @classmethod
    def of(cls, plain: dict[str, Any]) -> MediaRecipe:
        """Return the recipe of its plain form (JSON knows no tuples).

        Raises:
            ConfigError: a setting is unknown or has a value that it cannot have.
        """
        unknown = sorted(set(plain) - set(cls.__slots__))
        if unknown:
            raise ConfigError("expected settings of a media recipe, found others; see docs/media.md", unknown)
        return cls(**{**plain, "detectors": tuple(plain.get("detectors", ("faces", "plates")))})

    def plain(self) -> dict[str, Any]:
        """Return the plain form, JSON values only."""
        return {**asdict(self), "detectors": list(self.detectors)}

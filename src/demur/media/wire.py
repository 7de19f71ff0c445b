"""Messages between this room and its shut-in worker: a JSON head and some bytes. Knows neither pictures nor sounds."""

from __future__ import annotations

import os
import select
import struct
import time
from typing import Any

import orjson

_HEAD = struct.Struct(">II")
_MOST_HEAD_BYTES = 4 * 2**20
_PIECE_BYTES = 2**20


class GoneError(Exception):
    """The other side is not there any more, is late, or says what no honest side says."""


class EndedError(GoneError):
    """The other side is not there any more."""


def send(descriptor: int, head: dict[str, Any], content: bytes = b"") -> None:
    """Write one message.

    Raises:
        EndedError: nobody reads any more.
    """
    plain = orjson.dumps(head)
    try:
        for part in (_HEAD.pack(len(plain), len(content)) + plain, content):
            left = memoryview(part)
            while left:
                left = left[os.write(descriptor, left) :]
    except OSError as error:
        raise EndedError from error


def receive(descriptor: int, *, most_bytes: int, seconds: float | None = None) -> tuple[dict[str, Any], bytes]:
    """Read one message.

    Args:
        descriptor: where to read.
        most_bytes: a longer content is not read.
        seconds: how long to wait for all of it; ``None`` = for ever.

    Raises:
        GoneError: the other side is gone, late, or its message is longer than it may be or no JSON object.
    """
    end = None if seconds is None else time.monotonic() + seconds  # a time-out, no fact: nothing is recorded
    head_bytes, content_bytes = _HEAD.unpack(_exactly(descriptor, _HEAD.size, end))
    if head_bytes > _MOST_HEAD_BYTES or content_bytes > most_bytes:
        raise GoneError
    try:
        head = orjson.loads(_exactly(descriptor, head_bytes, end))
    except orjson.JSONDecodeError as error:
        raise GoneError from error
    if not isinstance(head, dict):
        raise GoneError
    return head, _exactly(descriptor, content_bytes, end)


def _exactly(descriptor: int, size: int, end: float | None) -> bytes:
    parts: list[bytes] = []
    while size:
        if end is not None and not select.select([descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
            raise GoneError
        try:
            part = os.read(descriptor, min(size, _PIECE_BYTES))
        except OSError as error:
            raise EndedError from error
        if not part:
            raise EndedError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)

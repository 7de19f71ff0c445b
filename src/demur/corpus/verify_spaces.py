"""Where spaces stand in many texts, and what stands beside them: what the verifier's searches of records begin with.

All texts of a batch are one row of bytes; signs are compared without case, and all that is in no word is one sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

APART = 32
"""What stands for every sign that is in no word."""
BEYOND = 1
"""What stands for every byte of a sign that is not ASCII."""
FOLDED = np.array(
    [BEYOND if sign > 127 else ord(chr(sign).lower()) if chr(sign).isalnum() else APART for sign in range(256)],
    np.uint8,
)
"""Letters in lower case; all that is not ASCII is one sign, and so is all that is in no word."""
AROUND = 16
"""Blanks before the first text and behind the last: so far from a space may be looked."""
_LETTERS = {"\u017f": "s", "\u212a": "k"}
"""Signs beyond ASCII that are one letter of it: the long s, wherever it stands, and the sign of the kelvin."""


@dataclass(frozen=True, slots=True)
class Spaced:
    """Some texts, and where spaces stand in them."""

    places: Any
    """Where each text begins, and the end."""
    body: Any
    """Bytes of all texts, a line feed behind each."""
    spaces: Any
    """Places in it of spaces and of ends of texts; perhaps of other signs that are in no word."""
    before: Any
    """The byte before each."""
    after: Any
    """The byte behind each."""

    @classmethod
    def of(cls, texts: Any) -> Spaced:
        """Look through an Arrow array of texts.

        Letters beyond ASCII that are one of it stand as that one, two line feeds as a space.
        """
        flat = pc.fill_null(texts, "")
        body = _body(flat)
        for sign, letter in _LETTERS.items():
            if _holds(body, sign.encode()):
                flat = pc.replace_substring(flat, sign, letter)
                body = _body(flat)
        lines = body == ord("\n")
        if np.any(lines[1:] & lines[:-1]):
            flat = pc.replace_substring(flat, "\n\n", " ")
        around = pa.array([" " * AROUND])
        apart = pa.concat_arrays([around, flat, around])
        body = _body(pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(apart)], pa.int32()), apart), "\n"))
        lengths = pc.binary_length(flat).to_numpy()
        places = AROUND + 1 + np.concatenate([[0], np.cumsum(lengths + 1, dtype=np.int64)])
        spaces = np.flatnonzero(body <= ord(" "))[AROUND + 1 : -AROUND]
        return cls(places, body, spaces, body.take(spaces - 1), body.take(spaces + 1))

    def rows(self, spaces: Any) -> Any:
        """Return the text that each of some spaces stands in."""
        return np.searchsorted(self.places, spaces, "right") - 1

    def between(self, chosen: Any) -> Any:
        """Return the spaces between two signs that were chosen; see :func:`beside`."""
        return self.spaces[np.flatnonzero(chosen.take(self.before.astype(np.uint16) << np.uint16(8) | self.after))]


def beside(folded: Any) -> Any:
    """Return for all pairs of bytes whether their folded signs were chosen, bool [65536].

    Args:
        folded: bool [128, 128], by the sign before and the sign after a space.
    """
    return folded[FOLDED][:, FOLDED].reshape(-1)


def _holds(body: Any, sign: bytes) -> bool:
    """Say whether a sign may stand somewhere, by its first two bytes."""
    both = int.from_bytes(sign[:2], "little")
    return any(bool(np.any(np.frombuffer(body[at:], "<u2", (len(body) - at) // 2) == both)) for at in (0, 1))


def _body(flat: Any) -> Any:
    """Return all bytes of the texts of an array."""
    places = np.frombuffer(flat.buffers()[1], np.int32)[flat.offset : flat.offset + len(flat) + 1]
    return np.frombuffer(flat.buffers()[2] or b"", np.uint8)[places[0] : places[-1]]

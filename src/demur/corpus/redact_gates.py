# ruff: noqa: E501 (tables of patterns read better whole)
r"""What a text must hold before a finder reads it: one cheap columnar pattern (RE2) for each step of redaction.

A gate is wider than its finder, never narrower: a property test compares redaction with and without gates. Gates look
at the folded view, so they need no look-alikes; they use no look-around, ``\b``, ``\\w`` or ``\\s``, which engines read
differently. Most gates need a digit, so texts without one are asked for the others only. One pattern for each step is
faster than their union, in RE2 and in Rust's regex (docs/adr/0012-gates-and-finders.md).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus import redact_places
from demur.corpus.redact_mail import GATE as WORDED_MAIL
from demur.corpus.redact_patterns import NETWORKS, PERSONAL

_LETTER = r"[A-Za-z\x{c0}-\x{fffff}]"

_FREE = {
    "urls": r"://|(?i:www[.])|[^ -,.-/:-@\[-`{-\x7f][.](?:[A-Za-z]{2,10}|рф|бг|ею|ελ|укр|срб)(?::[0-9]+)?[/?#]|"
    rf"(?i:[.](?:{PERSONAL}))",
    "emails": "@",
    "worded_emails": WORDED_MAIL,
    "handles": r"@|u/[A-Za-z0-9_\-]{3}|did:|n(?:pub|profile|sec)1|#[0-9]{4}",
    "accounts": rf"(?i:(?:^|[^a-z0-9])(?:{NETWORKS})[a-zè \-]{{0,16}}[ :=>]{{1,3}}(?:live:[a-z]|[a-z]+(?:[0-9_]|[.][a-z0-9_])))",
    "wallets": r"0x[0-9a-fA-F]{8}|bc1[a-z0-9]{8}|[0-9A-Z<]{28}|[0-9A-Za-z]{26}|-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-",
}
_DIGITAL = {
    "ibans": r"(?i:[a-z]{2}[ \-]?[0-9] ?[0-9](?:(?:[ .\-/_\n]| - )?[a-z0-9]){8})",
    "networks": r"[0-9][.][0-9]{1,3}[.][0-9]|[0-9]\[[.]\][0-9]|[0-9A-Fa-f]{4}[.][0-9A-Fa-f]{4}[.]|[0-9A-Fa-f]{2}[:\-][0-9A-Fa-f]{2}[:\-][0-9A-Fa-f]{2}[:\-]|:[0-9A-Fa-f]{0,4}:",
    "mixed_ids": r"[0-9]{5}[A-Za-z]|[0-9]{6}[-+A-FU-Ya][0-9]{3}|[0-9]{2}[.][0-9]{3}[.][0-9]{3}[ \-]?[A-Za-z]|[0-9]{8}[ \-][A-Za-z]|[0-9]{6} [A-Z] ?[0-9]{3}|"
    r"[0-9]{8} ?[0-9] ?[A-Z0-9]{2}[0-9]|/[0-9A-Z]{4}-?[0-9]{2}|[12] ?[0-9]{2} ?[0-9]{2} ?[0-9][0-9AB] ?[0-9]{3} ?[0-9]{3}|"
    r"[0-9]{2}[ \-]?[0-9]{4}[ \-]?[0-9]{4}[ \-]?[0-9]{4}[ \-]?[0-9]{4}|[0-9]{8}[ \-][0-9]{8}|[0-9]{24}|[0-9]/[0-9]{4}",
    "lettered_ids": r"[A-Za-z]{6}[0-9LMNP-V]{2}[A-Za-z][0-9LMNP-V]{2}[A-Za-z]|[A-Z]{3} [A-Z]{3} [0-9]{2}|[XYZxyz][ \-]?[0-9]{7}|[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]|"
    r"[a-z]{2} [0-9]{2} [0-9]{2} [0-9]{2} [a-d]|MG-?[0-9]{2}[.]|"
    r"[A-Z][0-9]{9}|[A-Z]{2}U? ?[0-9A-Z]{2,4}[ .]?[0-9]{3}|CHE[ \-]?[0-9]{3}|DK(?: ?[0-9]{2}){4}",
    "plates": redact_places.PLATES,
    "addresses": redact_places.STREETS,
    "worded": rf"{_LETTER}-?[0-9]|[0-9][.\-/]{{0,2}}{_LETTER}|[A-Z\x{{c0}}-\x{{fffff}}] [0-9]|[0-9] [A-Z\x{{c0}}-\x{{fffff}}]|(?i:cep|cód|plz|post)",
    "numbers": r"(?:[0-9][ .\-/()',\x{b7}\x{2022}\x{2027}\x{2219}\x{22c5}]*){6}[0-9]",
}
GATES = {**_FREE, **_DIGITAL}
"""Step → RE2 pattern, in the order of the steps."""

ALL_OPEN = (1 << len(GATES)) - 1
"""Every step reads."""


def gate_bits(views: Any) -> npt.NDArray[np.int64]:
    """Return for each text a mask of the steps that must read it, lowest bit first in the order of :data:`GATES`.

    Args:
        views: Arrow string array of folded views.
    """
    bits = np.zeros(len(views), np.int64)
    for place, pattern in enumerate(_FREE.values()):
        bits |= _opened(views, pattern) << place
    digital = np.flatnonzero(_opened(views, "[0-9]"))
    if len(digital):
        some = views.take(pa.array(digital)) if len(digital) < len(views) else views
        for place, pattern in enumerate(_DIGITAL.values(), len(_FREE)):
            bits[digital] |= _opened(some, pattern) << place
    return bits


def _opened(views: Any, pattern: str) -> npt.NDArray[np.int64]:
    opened = pc.fill_null(pc.match_substring_regex(views, pattern=pattern), fill_value=False)
    bits: npt.NDArray[np.int64] = opened.to_numpy(zero_copy_only=False).astype(np.int64)
    return bits

"""Redaction: direct identifiers in a text become stable placeholders (COR-03, COR-04).

The result depends on the text and the frozen rules :data:`REDACTION` alone, never on a counter, a key, the batch or
other texts; redacting twice is redacting once. Does not know persons: names of objectors are handed in
(``redact_names``). Names and free-form addresses of people who did not object are not looked for (docs/redaction.md).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus import redact_numbers, redact_patterns
from demur.corpus.redact_gates import ALL_OPEN, GATES, gate_bits
from demur.corpus.redact_normal import normalise, normalise_batch, view, view_batch
from demur.corpus.redact_patterns import Span

REDACTION = "demur-redaction-1"
"""Name of the frozen rule set; another behaviour gets another name."""

TYPES = ("ADDRESS", "CARD", "EMAIL", "HANDLE", "IBAN", "ID", "IP", "MAC", "PHONE", "PLATE", "URL", "URL_ID")
"""Types of identifiers; the placeholder is the type in angle brackets."""

_MASK = "\uffff"
"""Stands in the view for what is already found; no pattern matches it."""

_STEPS: dict[str, tuple[Callable[[str], Iterator[Span]], ...]] = {
    "urls": (redact_patterns.urls,),
    "emails": (redact_patterns.emails,),
    "handles": (redact_patterns.handles,),
    "ibans": (redact_numbers.ibans,),
    "networks": (redact_patterns.networks,),
    "mixed_ids": (redact_numbers.mixed_ids,),
    "plates": (redact_patterns.plates,),
    "addresses": (redact_patterns.addresses,),
    "numbers": (redact_numbers.others, redact_numbers.numbers),
}
"""Steps in their order; each has a gate of the same name."""

assert tuple(_STEPS) == tuple(GATES)

_PASSES = 12


@dataclass(frozen=True, slots=True)
class Redacted:
    """Texts without identifiers, and how many of each type went."""

    texts: Any
    """Arrow string array; nulls stay null."""
    counts: dict[str, int]
    """Type → replacements, types in alphabetical order, zeros left out."""


def redact(texts: Any) -> Redacted:
    """Replace direct identifiers in a batch of texts.

    Args:
        texts: Arrow string array (or chunked array); null = no text.
    """
    texts = normalise_batch(_one_array(texts))
    counts: Counter[str] = Counter()
    changed: dict[int, str] = {}
    rows, batch = np.arange(len(texts)), texts
    for _ in range(_PASSES):  # a replacement may bring its neighbours together: go on until nothing changes
        changing = _pass(batch, counts)
        if not changing:
            break
        changed.update((int(rows[place]), text) for place, text in changing.items())
        rows, batch = rows[list(changing)], pa.array(changing.values(), pa.string())
    if changed:
        mask = np.zeros(len(texts), bool)
        mask[list(changed)] = True
        texts = pc.replace_with_mask(texts, pa.array(mask), pa.array([changed[row] for row in sorted(changed)]))
    return Redacted(texts, {kind: counts[kind] for kind in sorted(counts)})


def _pass(texts: Any, counts: Counter[str]) -> dict[int, str]:
    """Return the texts in which something was found, by row, with it replaced."""
    views = view_batch(texts)
    bits = gate_bits(views)
    open_rows = np.flatnonzero(bits)
    changing: dict[int, str] = {}
    read = zip(texts.take(pa.array(open_rows)).to_pylist(), views.take(pa.array(open_rows)).to_pylist(), strict=True)
    for row, (text, seen) in zip(open_rows.tolist(), read, strict=True):
        spans = _find(seen, int(bits[row]))
        if spans:
            changing[row] = normalise(_replace(text, spans, counts))
    return changing


def redact_text(text: str, counts: Counter[str] | None = None) -> str:
    """Replace direct identifiers in one text, every step reading it: the plain reading of :func:`redact`.

    Args:
        text: any text.
        counts: where replacements are counted, if given.
    """
    tally = counts if counts is not None else Counter()
    text = normalise(text)
    for _ in range(_PASSES):
        spans = find(text)
        if not spans:
            break
        text = normalise(_replace(text, spans, tally))
    return text


def find(text: str) -> list[Span]:
    """Return the identifiers of one normalised text as spans in their order, without overlap."""
    return _find(view(text), ALL_OPEN)


def _find(seen: str, bits: int) -> list[Span]:
    found: list[Span] = []
    for place, finders in enumerate(_STEPS.values()):
        for finder in finders if bits >> place & 1 else ():
            for start, end, kind in finder(seen):
                if _MASK in seen[start:end]:
                    continue
                seen = seen[:start] + _MASK * (end - start) + seen[end:]
                if kind:
                    found.append((start, end, kind))
    return sorted(found)


def _replace(text: str, spans: Sequence[Span], counts: Counter[str]) -> str:
    parts, place = [], 0
    for start, end, kind in spans:
        parts += [text[place:start], f"<{kind}>"]
        place = end
        while place < len(text) and unicodedata.combining(text[place]):
            place += 1
        counts[kind] += 1
    return "".join([*parts, text[place:]])


def _one_array(texts: Any) -> Any:
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return texts if texts.type == pa.string() else texts.cast(pa.string())

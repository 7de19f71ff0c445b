"""Redaction: direct identifiers in a text become stable placeholders (COR-03, COR-04).

The result depends on the text and the frozen rules :data:`REDACTION` alone, never on a counter, a key, the clock, the
batch or other texts; redacting twice is redacting once. Findings are spans of the normalised text
(:func:`demur.corpus.redact_normal.normalise`), from which ``redact_render`` writes the text in every mode. Does not
know persons: names of objectors are handed in. Other people's names need a recogniser (``redact_plugins``).
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from demur.corpus import redact_mail, redact_numbers, redact_patterns, redact_places
from demur.corpus.redact_gates import ALL_OPEN, GATES, gate_bits
from demur.corpus.redact_names import NameFinder, Names, name_finder
from demur.corpus.redact_normal import may_have_borders, normalise, normalise_batch, view, view_batch, with_borders
from demur.corpus.redact_patterns import MASK, Span
from demur.corpus.redact_plugins import Recogniser, read_plugins
from demur.corpus.redact_spans import masked, onto, replaced, to_arrow, united

REDACTION = "demur-redaction-6"
"""Name of the frozen rule set; another behaviour gets another name."""

TYPES = ("ADDRESS", "CARD", "EMAIL", "HANDLE", "IBAN", "ID", "IP", "MAC", "NAME", "PHONE", "PLATE", "URL", "URL_ID")
"""Types of identifiers; the placeholder is the type in angle brackets."""

_STEPS: dict[str, Callable[[str], Iterator[Span]]] = {
    "urls": redact_patterns.urls,
    "emails": redact_mail.emails,
    "worded_emails": redact_mail.worded_emails,
    "handles": redact_patterns.handles,
    "accounts": redact_patterns.accounts,
    "wallets": redact_patterns.wallets,
    "ibans": redact_numbers.ibans,
    "networks": redact_patterns.networks,
    "mixed_ids": redact_numbers.mixed_ids,
    "lettered_ids": redact_numbers.lettered_ids,
    "plates": redact_places.plates,
    "addresses": redact_places.addresses,
    "worded": redact_numbers.worded,
    "numbers": redact_numbers.numbers,
}
"""Steps in their order; each has a gate of the same name."""

assert tuple(_STEPS) == tuple(GATES)

_IN_WORDS = frozenset({"urls", "emails", "worded_emails", "handles", "accounts"})
"""What may hold signs of every script and underscores; around everything else they are borders."""

_WITHOUT_DIGITS = frozenset({*_IN_WORDS, "wallets", "lettered_ids"})
"""What may be found where no digit stands."""

_DIGIT = re.compile("[0-9]")
_PASSES = 12


@dataclass(frozen=True, slots=True)
class Redacted:
    """Texts without identifiers, what went from them and where it stood."""

    texts: Any
    """Arrow string array, identifiers masked; nulls stay null."""
    counts: dict[str, int]
    """Type → replacements, types in alphabetical order, zeros left out."""
    normalised: Any
    """Arrow string array: the texts in one spelling, to which the spans refer."""
    spans: Any
    """Arrow ``list<struct<start: int32, end: int32, kind: string>>``, in code points, in order, without overlap."""


def redact(texts: Any, names: Names = None, plugins: Sequence[Recogniser] = ()) -> Redacted:
    """Replace direct identifiers in a batch of texts.

    Args:
        texts: Arrow string array (or chunked array); null = no text.
        names: full names and handles to take out exactly, as ``redact_names`` reads them; ``None`` = none.
        plugins: further recognisers, read once before the rules; their findings join with ours where they overlap.
    """
    normalised = normalise_batch(_one_array(texts))
    finder = name_finder(names)
    found: dict[int, list[Span]] = {}
    changed: dict[int, str] = {}
    _settle(normalised, range(len(normalised)), finder, found, changed)
    if plugins:
        further = read_plugins(normalised, plugins)
        for row, spans in further.items():
            found[row] = united([*found.get(row, []), *spans])
        _settle(normalised, sorted(further), finder, found, changed)
    counts = Counter(kind for spans in found.values() for _, _, kind in spans)
    return Redacted(
        replaced(normalised, changed),
        {kind: counts[kind] for kind in sorted(counts)},
        normalised,
        to_arrow(found, len(normalised)),
    )


def redact_text(text: str, names: Names = None) -> str:
    """Replace direct identifiers in one text, every step reading it: the plain reading of :func:`redact`.

    Args:
        text: any text.
        names: full names and handles to take out exactly.
    """
    text = normalise(text)
    return masked(text, find(text, names))


def find(text: str, names: Names = None) -> list[Span]:
    """Return the identifiers of one normalised text as spans in their order, without overlap.

    Args:
        text: a normalised text.
        names: full names and handles to take out exactly.
    """
    finder = name_finder(names)
    spans: list[Span] = []
    for _ in range(_PASSES):  # a replacement may bring its neighbours together: go on until nothing changes
        current = masked(text, spans)
        fresh = _find(current, view(current), ALL_OPEN, finder)
        if not fresh:
            break
        spans = onto(spans, fresh)
    return spans


def _settle(
    normalised: Any,
    rows: Sequence[int],
    finder: NameFinder | None,
    found: dict[int, list[Span]],
    changed: dict[int, str],
) -> None:
    """Add what is found in some rows to what is known, until nothing more is found, and note the masked texts."""
    numbers = np.fromiter(rows, np.int64)
    sources = normalised if len(numbers) == len(normalised) else normalised.take(pa.array(numbers))
    batch = sources
    if found:
        for text, row in zip(sources.to_pylist(), numbers.tolist(), strict=True):
            changed[row] = masked(text, found.get(row, []))
        batch = pa.array([changed[row] for row in numbers.tolist()], pa.string())
    for _ in range(_PASSES):
        fresh = _pass(batch, finder)
        if not fresh:
            break
        places = np.array(list(fresh))
        numbers, sources = numbers[places], sources.take(pa.array(places))
        for text, row, spans in zip(sources.to_pylist(), numbers.tolist(), fresh.values(), strict=True):
            found[row] = onto(found[row], spans) if row in found else spans
            changed[row] = masked(text, found[row])
        batch = pa.array([changed[row] for row in numbers.tolist()], pa.string())


def _pass(texts: Any, finder: NameFinder | None) -> dict[int, list[Span]]:
    """Return what is found in one reading, by row."""
    views = view_batch(texts)
    bits = gate_bits(views)
    named = finder.rows(texts) if finder is not None else np.zeros(len(texts), bool)
    rows = np.flatnonzero((bits != 0) | named)
    places = pa.array(rows)
    found: dict[int, list[Span]] = {}
    views = views.take(places)
    columns = (texts.take(places), views, may_have_borders(views))
    for row, text, seen, borders in zip(rows.tolist(), *(column.to_pylist() for column in columns), strict=True):
        spans = _find(text, seen, int(bits[row]), finder if named[row] else None, borders=borders)
        if spans:
            found[row] = spans
    return found


def _find(text: str, seen: str, bits: int, finder: NameFinder | None, *, borders: bool = True) -> list[Span]:
    """Return what the open steps find in one text; each step sees what those before it left."""
    found: list[Span] = []
    digits, known, bordered = True, 0, not borders
    for step, digital, within_words in _open_steps(bits):
        if digital and not digits:
            continue
        if not (within_words or bordered):
            seen, bordered = with_borders(seen), True
        seen = _step(step(seen), text, seen, found)
        if len(found) > known:
            digits, known = _DIGIT.search(seen) is not None, len(found)
    if finder is not None:
        _step(finder.spans(text), text, _hidden(text, sorted(found)), found)  # a name may stand where borders do
    return sorted(found) if len(found) > 1 else found


@lru_cache(maxsize=4_096)
def _open_steps(bits: int) -> tuple[tuple[Callable[[str], Iterator[Span]], bool, bool], ...]:
    """Return the open steps, each with whether it wants a digit, and whether it reads words of every script."""
    steps = enumerate(_STEPS.items())
    return tuple(
        (step, name not in _WITHOUT_DIGITS, name in _IN_WORDS) for place, (name, step) in steps if bits >> place & 1
    )


def _step(spans: Iterable[Span], text: str, seen: str, found: list[Span]) -> str:
    """Take over what one step finds, with the marks that hang on it, and return the view without it."""
    fresh: list[Span] = []
    for start, end, kind in spans:
        while end < len(text) and text[end] > "\u02ff" and unicodedata.combining(text[end]):
            end += 1  # noqa: PLW2901 (an accent on the last sign goes with it)
        place = bisect(fresh, (start, end, kind)) if fresh else 0
        apart = (not place or fresh[place - 1][1] <= start) and (place == len(fresh) or end <= fresh[place][0])
        if apart and MASK not in seen[start:end]:
            fresh.insert(place, (start, end, kind))
    if not fresh:
        return seen
    found += fresh
    return _hidden(seen, fresh)


def _hidden(seen: str, spans: Sequence[Span]) -> str:
    """Return a text or a view, sign for sign, without what stands in some spans."""
    parts, done = [], 0
    for start, end, _ in spans:
        parts += [seen[done:start], MASK * (end - start)]
        done = end
    return "".join([*parts, seen[done:]])


def _one_array(texts: Any) -> Any:
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return texts if texts.type == pa.string() else texts.cast(pa.string())

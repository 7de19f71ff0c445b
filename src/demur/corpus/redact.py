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

import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus import redact_numbers, redact_patterns
from demur.corpus.redact_normal import normalise, normalise_batch, view
from demur.corpus.redact_patterns import Span

REDACTION = "demur-redaction-1"
"""Name of the frozen rule set; another behaviour gets another name."""

TYPES = ("ADDRESS", "CARD", "EMAIL", "HANDLE", "IBAN", "ID", "IP", "MAC", "PHONE", "PLATE", "URL", "URL_ID")
"""Types of identifiers; the placeholder is the type in angle brackets."""

_MASK = "\uffff"
"""Stands in the view for what is already found; no pattern matches it."""

_STEPS: tuple[Callable[[str], Iterator[Span]], ...] = (
    redact_patterns.urls,
    redact_patterns.emails,
    redact_patterns.handles,
    redact_numbers.ibans,
    redact_patterns.networks,
    redact_numbers.mixed_ids,
    redact_patterns.plates,
    redact_patterns.addresses,
    redact_numbers.others,
    redact_numbers.numbers,
)

_CANDIDATE = (
    r"@|://|\p{Nd}(?:[^\p{Nd}]{0,3}\p{Nd}){4}|[0-9A-Fa-f]{2}[:\-][0-9A-Fa-f]{2}[:\-]|[0-9A-Fa-f]:[0-9A-Fa-f:]|"
    r"(?i:www\.|[(\[{<_*]-?(?:at|ät|a|arroba|chez|et|bei|kukac|zavináč|malpa|małpa|зав|παπάκι)-?[)\]}>_*]|"
    r" (?:at|ät|arroba|chez|kukac|zavináč|malpa|małpa|παπάκι) [^ ]+ (?:dot|punkt|point|punto|ponto|kropka|punct|tečka|piste|pont) |"
    r"u/[a-z0-9_\-]{3}|did:|npub1|nprofile1|nsec1|[a-z0-9]\.[a-z]{2,10}(?::[0-9]+)?[/?#]|"
    r"\.(?:bsky|tumblr|blogspot|wordpress|github|substack|livejournal|deviantart|eth)|#[0-9]{4})|"
    r"[A-ZÄÖÜ]-[A-ZÖ]{1,2}[ \-][0-9]|[A-Z]{2}-[0-9]{3}-|[A-Z]{2}[0-9]{2} [A-Z]{3}|"
    r"[\x{FF01}-\x{FFEF}\x{1D400}-\x{1D7FF}\x{2070}-\x{209F}\x{2100}-\x{214F}\x{2460}-\x{24FF}\x{1F100}-\x{1F1E5}]|"
    r"\p{L},? (?:(?:nr|n[.°º]|no)\.? )?[0-9]|[0-9](?:bis|ter|[A-Za-z]| (?:bis|ter|[A-Za-z]))?,? \p{L}"
)
"""What a text must hold before it is read closely (RE2; a superset of every pattern of the steps)."""

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
    candidates = pc.fill_null(pc.match_substring_regex(texts, pattern=_CANDIDATE), fill_value=False)
    counts: Counter[str] = Counter()
    changed = [redact_text(text, counts) for text in texts.filter(candidates).to_pylist()]
    if changed:
        texts = pc.replace_with_mask(texts, candidates, pa.array(changed, pa.string()))
    return Redacted(texts, {kind: counts[kind] for kind in sorted(counts)})


def redact_text(text: str, counts: Counter[str] | None = None) -> str:
    """Replace direct identifiers in one text.

    Args:
        text: any text.
        counts: where replacements are counted, if given.
    """
    tally = counts if counts is not None else Counter()
    text = normalise(text)
    for _ in range(_PASSES):  # a replacement may bring its neighbours together: go on until nothing changes
        spans = find(text)
        if not spans:
            break
        text = normalise(_replace(text, spans, tally))
    return text


def find(text: str) -> list[Span]:
    """Return the identifiers of one normalised text as spans in their order, without overlap."""
    seen = view(text)
    found: list[Span] = []
    for step in _STEPS:
        for start, end, kind in step(seen):
            if _MASK in seen[start:end]:
                continue
            seen = seen[:start] + _MASK * (end - start) + seen[end:]
            if kind:
                found.append((start, end, kind))
    return sorted(found)


def _replace(text: str, spans: Sequence[Span], counts: Counter[str]) -> str:
    parts, place = [], 0
    for start, end, kind in spans:
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1
        parts += [text[place:start], f"<{kind}>"]
        place = end
        counts[kind] += 1
    return "".join([*parts, text[place:]])


def _one_array(texts: Any) -> Any:
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return texts if texts.type == pa.string() else texts.cast(pa.string())

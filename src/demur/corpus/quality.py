"""Quality of short posts: a reason code for what teaches a model nothing, null for everything else (docs/filters.md).

A filter, not a right: it is counted apart from decisions, and a recipe may switch it off. It judges form, never
opinion, spelling, slang, dialect or language; where it isn't sure the post stays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus import quality_rules as rules
from demur.corpus.quality_rules import Thresholds
from demur.corpus.quality_signs import Flags, Ints, chunks, hashes, mark, read, spans, whole

QUALITY = "demur-quality-1"
"""Name of the frozen settings below and of the function words."""


SETTINGS = Thresholds()

REASONS = (
    "broken", "boilerplate", "links_only", "no_words", "stuffed", "symbols", "repeated", "blob", "word_list",
)  # fmt: skip
"""Codes in the order in which they are asked; the first that holds is the answer."""

BOILERPLATE = (
    r"(?i)^\s*(?:"
    r"[\[(<]?(?:deleted|removed|message deleted|this message was deleted)[\])>]?[.!]?\s*$"
    r"|<?(?:media|image|video) omitted>?\s*$"
    r"|lorem ipsum dolor\b"
    r"|please enable javascript\b"
    r"|(?:i )?just (?:posted|uploaded) an? (?:photo|video|picture)\b"
    r"|i['’]m at .{1,80} (?:https?://|<URL)"
    r"|(?:i )?(?:liked|added) an? (?:@?youtube )?(?:video|playlist)\b"
    r")"
)
"""Posts that a program wrote in somebody's name, and text that stands for text. C4 drops pages with *lorem ipsum* and
notes about JavaScript (Raffel et al. 2020, arXiv:1910.10683, §2.2)."""


def tag_quality(texts: Any, languages: Any) -> Any:
    """Tag a batch of texts.

    Args:
        texts: Arrow string array, redacted or not; null counts as fine, since there is nothing to judge.
        languages: Arrow string array of BCP 47 tags, as long; null, ``und`` or one we have no words of: not asked.

    Returns:
        Arrow string array: null = fine, else one of ``REASONS``.
    """
    strings, tags = whole(texts), whole(languages)
    stock: Flags = np.array(pc.fill_null(pc.match_substring_regex(strings, BOILERPLATE), False))  # compiled once
    found = [_tag(chunk, tags.slice(at, len(chunk)), stock[at : at + len(chunk)]) for at, chunk in chunks(strings)]
    codes = np.concatenate(found) if found else np.empty(0, np.int64)
    return pa.array(REASONS, pa.string()).take(pa.array(codes, mask=codes < 0))


def _tag(texts: Any, languages: Any, boilerplate: Flags) -> Ints:
    """Return the place of each text's reason, -1 = none."""
    signs = read(texts)
    marks = mark(signs)
    words = spans(signs, marks.letters & ~marks.outside)
    names = hashes(signs.codes, words)
    held = {
        "broken": rules.broken(signs, SETTINGS),
        "boilerplate": boilerplate,
        "links_only": (marks.inner_letters == 0) & (marks.references > 0),
        "no_words": (marks.inner_letters == 0) & (marks.solid > 0),
        "stuffed": rules.stuffed(marks, SETTINGS),
        "symbols": rules.symbols(marks, SETTINGS),
        "repeated": rules.repeats_signs(signs, marks, SETTINGS) | rules.repeats_words(words, names, signs, SETTINGS),
        "blob": rules.blob(signs, marks, SETTINGS),
        "word_list": rules.lists_words(words, names, languages, SETTINGS),
    }
    codes = np.full(len(texts), -1, np.int64)
    for place in reversed(range(len(REASONS))):
        codes[held[REASONS[place]]] = place
    return codes

"""Language tags with confidence: ELD first, py3langid where ELD is unsure, the platform's hint as a prior (COR-06).

A tag depends on one text and its hint alone, never on the batch. Too short or too uncertain is ``und``: nothing is
guessed. Dialects are told apart in ``dialect``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import pyarrow as pa

LANGUAGE = "demur-language-1"
"""Name of the frozen settings: models' versions, languages, thresholds."""

LANGUAGES = (
    "bg", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "eu", "fi", "fr", "ga", "gl", "hr", "hu", "is", "it", "lb", "lt",
    "lv", "mt", "nb", "nl", "nn", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "tr", "uk", "ar",
)  # fmt: skip
"""Languages that may be answered: official and widely written ones of the EU, the EEA and the United Kingdom."""

UNKNOWN = "und"
MIN_LETTERS = 12
SURE = 0.55
"""ELD's score from which its answer stands alone, outside the pairs that it confuses."""
DOUBT = 0.60
"""py3langid's probability below which nobody answers."""

_CONFUSED = frozenset({"hr", "sr", "sl", "cs", "sk", "da", "no", "gl", "ca", "nl", "is", "et", "fi"})
_PLAIN = re.compile(r"<[A-Z_]{2,10}>|(?:https?://|www\.)\S+|[@#]\w+|[^\W\d_]*\d\w*")
_LETTERS = re.compile(r"[^\W\d_]")


def tag_language(texts: Any, hints: Any | None = None) -> tuple[Any, Any]:
    """Tag a batch of texts.

    Args:
        texts: Arrow string array, redacted or not; null counts as empty.
        hints: Arrow string array of the platform's BCP 47 tags, as long as ``texts``; null = none.

    Returns:
        Arrow string array of BCP 47 languages (``und`` = unknown) and float32 array of confidence between 0 and 1.
    """
    strings = texts.to_pylist()
    known = hints.to_pylist() if hints is not None else [None] * len(strings)
    tagged = [language_of(text or "", hint) for text, hint in zip(strings, known, strict=True)]
    return pa.array([tag for tag, _ in tagged], pa.string()), pa.array([score for _, score in tagged], pa.float32())


def language_of(text: str, hint: str | None = None) -> tuple[str, float]:
    """Return the language of one text and how sure that is.

    Args:
        text: any text; placeholders, addresses and handles don't count.
        hint: the platform's BCP 47 tag; it settles doubts, it never overrules a sure answer.
    """
    plain = _PLAIN.sub(" ", text)
    if len(_LETTERS.findall(plain, 0, 200)) < MIN_LETTERS:
        return UNKNOWN, 0.0
    first = _eld().detect_details(plain)
    prior = _base(hint)
    score = _top(first.scores)
    if first.reliable and score >= SURE and first.language not in _CONFUSED:
        return first.language, score
    if prior == first.language and first.language != UNKNOWN and score >= DOUBT:
        return first.language, score
    return _settle(plain, first, prior)


def _settle(plain: str, first: Any, prior: str | None) -> tuple[str, float]:
    ranked = _langid().rank(plain[:2000])
    second, chance = ranked[0]
    by_tag = dict(ranked)
    if prior is not None and by_tag.get(prior, 0.0) >= 0.2:
        return prior, max(by_tag[prior], chance * 0.9)
    if second == first.language:
        return second, max(chance, _top(first.scores) if first.reliable else chance)
    if chance >= DOUBT:
        return second, chance
    return UNKNOWN, chance


def _base(hint: str | None) -> str | None:
    tag = (hint or "").replace("_", "-").split("-")[0].lower()
    tag = {"no": "nb"}.get(tag, tag)
    return tag if tag in LANGUAGES else None


def _top(scores: dict[str, float]) -> float:
    return max(scores.values(), default=0.0)


@lru_cache(maxsize=1)
def _eld() -> Any:
    import eldc

    eldc.init()
    detector = eldc.instance()
    detector.set_languages([tag for tag in LANGUAGES if tag in eldc.LANGUAGES])
    detector.set_scores(3)
    return detector


@lru_cache(maxsize=1)
def _langid() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    detector = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    detector.set_languages([tag for tag in LANGUAGES if tag in set(detector.nb_classes)])
    return detector

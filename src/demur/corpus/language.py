"""Language tags with confidence: ELD first, py3langid where ELD is unsure, the platform's hint as a prior (COR-06).

A tag depends on one text and its hint alone, never on the batch. Too short or too uncertain is ``und``: nothing is
guessed. Dialects are told apart in ``dialect``; a text in a dialect gets the language that is written beside it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import pyarrow as pa

from demur.corpus.dialect import LANGUAGE_OF, dialects_of

LANGUAGE = "demur-language-1"
"""Name of the frozen settings: models' versions, languages, thresholds."""

LANGUAGES = (
    "bg", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "eu", "fi", "fr", "ga", "gl", "hr", "hu", "is", "it",
    "lb", "lt", "lv", "mt", "nb", "nl", "nn", "no", "pl", "pt", "ro", "ru", "sk", "sl", "sq", "sr", "sv", "tr", "uk",
    "ar",
)  # fmt: skip
"""Languages that may be answered: official and widely written ones of the EU, the EEA and the United Kingdom."""

UNKNOWN = "und"
MIN_LETTERS = 12
SURE = 0.55
"""ELD's score from which its answer stands alone, outside the pairs that it confuses."""
DOUBT = 0.60
"""py3langid's probability below which nobody answers."""
AGREED = 0.35
"""The same when ELD says the same."""
SETTLED = 0.97
"""py3langid's probability from which no dialect is looked for."""
LIKELY = 0.15
"""py3langid's probability from which the platform's hint is believed."""

_WRITTEN = {"no": "nb"}
_PRIOR = {"nb": "no"}
_NEIGHBOURS = frozenset({"lb", "nl", "da", "is", "gl", "sq"})
"""Languages that unknown dialects are mistaken for."""
_CONFUSED = frozenset({"hr", "sr", "sl", "sk", "cs", "da", "no", "ca", "is"})
_GALICIAN = re.compile(
    r"(?i:\b(?:unha|coa|coas|xa|moi|máis|tamén|ata|dun|dunha|nunha|hoxe|xente|tiña|galego|galega|ónde|eiquí|despois|"
    r"polo|pola|onde|así|ademais|aínda|mellor|deste|desta|porque|entón|ten|foi|fixo|ás|é)\b)"
)
_PLAIN = re.compile(r"<[A-Z_]{2,10}>|(?:https?://|www\.)\S+|[@#]\w+")
_MARKED = re.compile(r"[<@#]|://|www\.")
_CYRILLIC = re.compile("[\u0400-\u04ff]")


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
    plain = _PLAIN.sub(" ", text) if _MARKED.search(text) else text
    if plain.isupper():
        plain = plain.lower()
    if not _enough_letters(plain):
        return UNKNOWN, 0.0
    first = _eld().detect_details(plain)
    score = max(first.scores.values(), default=0.0)
    if first.reliable and score >= SURE and first.language not in _CONFUSED and not _galician(plain, first.language):
        return first.language, score
    return _settle(plain, first.language, _base(hint))


def _enough_letters(plain: str) -> bool:
    """Say whether the first 200 signs hold enough letters; most often the first 30 do."""
    return sum(map(str.isalpha, plain[:30])) >= MIN_LETTERS or sum(map(str.isalpha, plain[:200])) >= MIN_LETTERS


def _galician(plain: str, language: str) -> bool:
    """Say whether Galician, which ELD doesn't know, may hide behind its neighbours."""
    return language in {"es", "pt"} and len(_GALICIAN.findall(plain)) >= 2


def _settle(plain: str, first: str, prior: str | None) -> tuple[str, float]:
    """Ask py3langid, and the dialect model where it is unsure too; a hint among the likely ones wins."""
    chances = dict(_langid().rank(plain[:2000]))
    second = max(chances, key=lambda tag: chances[tag])
    if second in {"hr", "sr"} and not _CYRILLIC.search(plain):  # Serbian in Latin letters isn't told from Croatian
        second = "hr"
        chances["hr"] += chances.pop("sr")
    if prior is not None and chances.get(_PRIOR.get(prior, prior), 0.0) >= LIKELY:
        return prior, max(chances[_PRIOR.get(prior, prior)], chances[second] * 0.9)
    if chances[second] >= SETTLED and second not in _NEIGHBOURS:
        return _WRITTEN.get(second, second), chances[second]
    dialect = dialects_of([plain])[0]
    if dialect is not None:
        return LANGUAGE_OF[dialect], DOUBT
    if chances[second] >= (AGREED if second == first else DOUBT):
        return _WRITTEN.get(second, second), chances[second]
    return UNKNOWN, chances[second]


def _base(hint: str | None) -> str | None:
    tag = (hint or "").replace("_", "-").split("-")[0].lower()
    return tag if tag in LANGUAGES or tag in _PRIOR else None


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

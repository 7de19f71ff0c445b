"""Language tags with confidence: ELD first, our own model where ELD is unsure, the platform's hint as a prior (COR-06).

A tag depends on one text and its hint alone, never on the batch. Too short or too uncertain is ``und``: nothing is
guessed. A text in a dialect gets the language that is written beside it; dialects are told apart in ``dialect``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus import language_model as model

LANGUAGE = "demur-language-3"
"""Name of the frozen settings: models' versions, languages, thresholds."""

LANGUAGES = (
    "ar", "bg", "ca", "cs", "cy", "da", "de", "el", "en", "es", "et", "eu", "fi", "fr", "fy", "ga", "gl", "hr", "hsb",
    "hu", "is", "it", "lb", "lt", "lv", "mk", "mt", "nb", "nl", "nn", "pl", "pt", "rm", "ro", "ru", "sk", "sl", "sq",
    "sr", "sv", "tr", "uk",
)  # fmt: skip
"""Languages that may be answered: official and widely written ones of Europe."""

WRITTEN = {
    "bar": "de", "bar-IT": "de", "gsw": "de", "nap": "it", "no-x-nord": "nb", "no-x-trond": "nb", "no-x-vest": "nb",
    "pt-BR": "pt", "pt-PT": "pt", "sr-Latn": "sr",
}  # fmt: skip
"""Class of the model → the language that is answered for it; the other classes are languages, or are no answer."""

Plain = tuple[Any, npt.NDArray[np.bool_]]
"""Texts without what isn't language, and which of them have enough letters."""

UNKNOWN = "und"
MIN_LETTERS = 12
"""Letters under which nothing is said."""
_LATIN = f"(?:[A-Za-z][^A-Za-z]*){{{MIN_LETTERS}}}"
"""What enough letters look like in most scripts of Europe, seen at once; the others are counted."""
SIGNS = 320
"""Signs of a text that are looked at."""
MARGIN = 0.4
"""Logits by which a language must lead the next one; where it doesn't, ELD's reliable answer stands if only a language
that hides behind it comes near."""
AGREED, HALF_AGREED = 2.5, 1.5
"""Logits that ELD's reliable, and its unsure, answer is worth."""
SERBIAN = 1.0
"""Logits by which Serbian must lead Croatian: so near in Latin letters that a post is never unknown for the other."""
UNHEARD = 1.0
"""Logits that ELD's doubt is worth for each language that it doesn't know."""
HINTED = 2.0
"""Logits that the platform's hint is worth: it settles doubts, it never overrules a sure answer."""

_CLOSE = {"no": 0.0, "hr": 0.0, "sr": 0.8, "bg": 0.8, "es": 0.8, "pt": 0.8, "nl": 0.65, "it": 0.7}
"""ELD's answer, behind which a language may hide that it doesn't know → the second score's share of the first from
which even a reliable answer is looked at again."""
_PRIOR: dict[str, tuple[str, ...]] = {"no": ("nb", "nn")}
MEANT: dict[str, tuple[str, ...]] = {
    "no": ("nb", "nn"), "es": ("es", "gl"), "pt": ("pt", "gl"), "nl": ("nl", "fy"), "de": ("de", "lb"),
    "bg": ("bg", "mk"), "sr": ("sr", "mk", "hr"), "hr": ("hr", "sr"), "it": ("it", "rm"),
}  # fmt: skip
"""ELD's answer → what it may have meant."""
_UNHEARD = ("cy", "fy", "ga", "gl", "hsb", "lb", "mk", "mt", "rm")
"""Languages that ELD doesn't know."""


def tag_language(texts: Any, hints: Any | None = None, plain: Plain | None = None) -> tuple[Any, Any]:
    """Tag a batch of texts.

    Args:
        texts: Arrow string array, redacted or not; null counts as empty.
        hints: Arrow string array of the platform's BCP 47 tags, as long as ``texts``; null = none.
        plain: what :func:`plain_of` returned for them, if it was asked.

    Returns:
        Arrow string array of BCP 47 languages (``und`` = unknown) and float32 array of confidence between 0 and 1.
    """
    letters, enough = plain or plain_of(texts)
    tags, confidence = np.full(len(letters), UNKNOWN, object), np.zeros(len(letters), np.float32)
    said, reliable, doubted = _first(letters, enough, tags, confidence)
    doubtful = np.flatnonzero(doubted)
    if len(doubtful):
        rows = pa.array(doubtful)
        prior = hints.take(rows).to_pylist() if hints is not None else [None] * len(doubtful)
        found, sure = _second(letters.take(rows), said[doubtful], reliable[doubtful], prior)
        tags[doubtful], confidence[doubtful] = found, sure
    return pa.array(tags.tolist(), pa.string()), pa.array(confidence, pa.float32())


def language_of(text: str, hint: str | None = None) -> tuple[str, float]:
    """Return the language of one text and how sure that is; see :func:`tag_language`."""
    tags, confidence = tag_language(pa.array([text], pa.string()), pa.array([hint], pa.string()))
    return tags[0].as_py(), confidence[0].as_py()


def plain_of(texts: Any) -> Plain:
    """Return texts without what isn't language, and which of them have enough letters."""
    short = pc.utf8_slice_codeunits(pc.fill_null(pc.cast(texts, pa.string()), ""), 0, SIGNS)
    plain = pc.replace_substring_regex(short, model.NOT_TEXT, " ")
    if isinstance(plain, pa.ChunkedArray):
        plain = plain.combine_chunks()
    loud = pc.utf8_is_upper(plain)
    plain = pc.replace_with_mask(plain, loud, pc.utf8_lower(plain.filter(loud)))
    enough: npt.NDArray[np.bool_] = np.array(pc.match_substring_regex(plain, _LATIN))
    for signs in (2 * MIN_LETTERS, SIGNS):
        unsure = np.flatnonzero(~enough)
        enough[unsure] = _lettered(pc.utf8_slice_codeunits(plain.take(pa.array(unsure)), 0, signs))
    return plain, enough


def _lettered(plain: Any) -> npt.NDArray[np.bool_]:
    """Say which texts have enough letters."""
    letters = pc.replace_substring_regex(plain, r"\P{L}+", "")
    lettered: npt.NDArray[np.bool_] = np.asarray(pc.utf8_length(letters)) >= MIN_LETTERS
    return lettered


def _first(plain: Any, enough: Any, tags: Any, confidence: Any) -> tuple[Any, Any, Any]:
    """Ask ELD; write its reliable answers; return what it said, where it is reliable, where that isn't enough."""
    said, reliable = np.full(len(plain), UNKNOWN, object), np.zeros(len(plain), np.bool_)
    doubted = enough.copy()
    asked = np.flatnonzero(enough)
    detect = eld().detect_details
    answers = [detect(text) for text in plain.take(pa.array(asked)).to_pylist()]
    said[asked] = [answer.language for answer in answers]
    reliable[asked] = [answer.reliable for answer in answers]
    confidence[asked] = [answer.scores.get(answer.language, 0.0) for answer in answers]
    doubted[asked] = [not answer.reliable or _close(answer) for answer in answers]
    tags[reliable] = said[reliable]
    return said, reliable, doubted


def _close(answer: Any) -> bool:
    """Say whether another language is too near for an answer to stand alone."""
    share = _CLOSE.get(answer.language)
    if share is None:
        return False
    scores = sorted(answer.scores.values())
    return len(scores) < 2 or bool(scores[-2] >= share * scores[-1])


def _second(plain: Any, said: Any, reliable: Any, hints: list[str | None]) -> tuple[list[str], Any]:
    """Ask our model, with ELD's answer and the hint as priors."""
    columns, starts, names = _groups()
    scores, _ = model.scores(plain, model.load())
    by_language: npt.NDArray[np.float64] = np.logaddexp.reduceat(scores[:, columns], starts, axis=1)
    by_language += _worth(said.tolist(), MEANT) * np.where(reliable, AGREED, HALF_AGREED)[:, None]
    by_language += np.isin(names, _UNHEARD) * np.where(reliable, 0.0, UNHEARD)[:, None]
    if any(hints):
        bases = [(hint or "").replace("_", "-").split("-")[0].lower() for hint in hints]
        by_language += _worth(bases, _PRIOR) * HINTED
    croatian, serbian = names.index("hr"), names.index("sr")
    told = by_language[:, serbian] - by_language[:, croatian] >= SERBIAN
    by_language[told, croatian] = by_language[~told, serbian] = -np.inf
    best = by_language.argmax(axis=1)
    ordered = np.partition(by_language, -2, axis=1)
    margin = np.round(ordered[:, -1] - ordered[:, -2], 6)
    near = np.round(ordered[:, -1:] - by_language, 6) < MARGIN
    tied = reliable & (margin < MARGIN) & ~(near & (_worth(said.tolist(), MEANT) == 0)).any(axis=1)
    answers = np.where(tied, said, np.array(names, object)[best])
    known = np.isin(answers, LANGUAGES) & (tied | (margin >= MARGIN))
    tags = np.where(known, answers, UNKNOWN).tolist()
    return tags, np.round(1 / (1 + np.exp(-margin)), 3).astype(np.float32)


def _worth(tags: list[str], meant: dict[str, tuple[str, ...]]) -> npt.NDArray[np.float64]:
    """Return 1 where a tag speaks for a language, [tags, languages]."""
    names = _groups()[2]
    distinct = sorted(set(tags))
    table = np.array([[float(name in meant.get(tag, (tag,))) for name in names] for tag in distinct])
    places = {tag: place for place, tag in enumerate(distinct)}
    worth: npt.NDArray[np.float64] = table[[places[tag] for tag in tags]]
    return worth


@lru_cache(maxsize=1)
def _groups() -> tuple[Any, Any, tuple[str, ...]]:
    """Return the model's columns ordered by language, where each language begins, and the languages."""
    written = [WRITTEN.get(name, name) for name in model.load().classes]
    columns = np.array(sorted(range(len(written)), key=lambda place: written[place]))
    ordered = [written[place] for place in columns]
    starts = [place for place, name in enumerate(ordered) if place == 0 or ordered[place - 1] != name]
    return columns, np.array(starts), tuple(ordered[place] for place in starts)


@lru_cache(maxsize=1)
def eld() -> Any:
    """Return ELD, told which languages may be answered."""
    import eldc

    eldc.init()
    detector = eldc.instance()
    detector.set_languages([tag for tag in (*LANGUAGES, "no") if tag in eldc.LANGUAGES])
    detector.set_scores(2)
    return detector

"""Code-switching: the second language of a post that changes language on its way (COR-06, docs/languages.md).

A window of words slides over the text. A second language is named when it leads the post's own by far inside one
window, and the post's own leads it outside. A borrowed word, a name or a title of two words is no second language.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from demur.corpus import language_model as model
from demur.corpus.language import LANGUAGES, MEANT, WRITTEN, Plain, eld, plain_of

WINDOW = 6
"""Words of a window."""
LETTERS = 20
"""Half of the signs that a post needs at least."""
PART = 60
"""Signs of a part that ELD looks at first."""
_ANSWERED = frozenset(LANGUAGES)
LEAD = 3.0
"""Logits by which the second language must lead inside the window."""
REST = 1.0
"""Logits by which the post's own language must lead the second outside."""


def tag_mixed(texts: Any, languages: Any, plain: Plain | None = None) -> Any:
    """Name the second language of each post.

    Args:
        texts: Arrow string array, redacted; null counts as empty.
        languages: Arrow string array of the posts' languages, as long.
        plain: what ``plain_of`` returned for them, if it was asked.

    Returns:
        Arrow string array of BCP 47 languages; null = none, or unknown.
    """
    own = [(tag or "").split("-")[0] for tag in languages.to_pylist()]
    letters, _ = plain or plain_of(texts)
    asked = [row for row, text in enumerate(letters.to_pylist()) if _suspicious(text, own[row])]
    found: list[str | None] = [None] * len(own)
    names, columns = _own_columns()
    at = 0
    for words, sums, counts in model.scored(letters.take(pa.array(asked, pa.int64())), model.load()):
        rows = asked[at : at + len(words.starts) - 1]
        places = np.array([names.index(own[row]) for row in rows])
        for row, second in _seconds(words, _by_language(sums, columns), counts, places):
            found[rows[row]] = names[second]
        at += len(rows)
    return pa.array(found, pa.string())


def _suspicious(text: str, own: str) -> bool:
    """Say whether ELD takes a part of a text for another language than the post's own: a cheap first look."""
    length = len(text)
    if length < 2 * LETTERS or own not in _ANSWERED:
        return False
    size = -(-length // max(2, round(length / PART)))
    detect = eld().detect
    for at in range(0, length, size):
        said = detect(text[at : at + size])
        if said != own and own not in MEANT.get(said, ()):
            return True
    return False


def _seconds(words: model.Words, by_word: Any, counts: Any, own: Any) -> Iterator[tuple[int, int]]:
    """Yield text and second language of a chunk, from the windows of all its texts at once."""
    scale = model.load().scale
    total = np.concatenate([np.zeros((1, by_word.shape[1]), np.int64), np.cumsum(by_word[words.codes], axis=0)])
    grams = np.concatenate([[0], np.cumsum(counts[words.codes])])
    begins, ends = words.starts[:-1], words.starts[1:]
    owner = np.repeat(np.arange(len(begins)), ends - begins)
    at = np.flatnonzero(np.arange(len(owner)) + WINDOW <= ends[owner])
    inside, size = total[at + WINDOW] - total[at], grams[at + WINDOW] - grams[at]
    text = owner[at]
    second = inside.argmax(axis=1)
    rows = np.arange(len(at))
    leads = (inside[rows, second] - inside[rows, own[text]]) * scale / np.sqrt(size)
    outside = total[ends[text]] - total[begins[text]] - inside
    rest = grams[ends[text]] - grams[begins[text]] - size
    kept = (outside[rows, own[text]] - outside[rows, second]) * scale >= REST * np.sqrt(rest)
    good = np.flatnonzero(kept & (leads >= LEAD) & (rest > 0))
    best: dict[int, tuple[float, int]] = {}
    for row in good.tolist():
        one = int(text[row])
        if one not in best or leads[row] > best[one][0]:
            best[one] = float(leads[row]), int(second[row])
    for one, (_, language) in sorted(best.items()):
        yield one, language


def _by_language(sums: Any, columns: list[list[int]]) -> npt.NDArray[np.int64]:
    """Return the best class's sum of each language for each word, [words, languages]."""
    return np.stack([sums[:, places].max(axis=1) for places in columns], axis=1).astype(np.int64)


@lru_cache(maxsize=1)
def _own_columns() -> tuple[tuple[str, ...], list[list[int]]]:
    """Return the languages and the model's columns of each; a dialect is no second language beside its standard."""
    classes = model.load().classes
    names = tuple(tag for tag in LANGUAGES if any(WRITTEN.get(name, name) == tag for name in classes))
    return names, [[place for place, name in enumerate(classes) if WRITTEN.get(name, name) == tag] for tag in names]

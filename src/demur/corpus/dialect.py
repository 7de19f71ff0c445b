"""Dialect and regional tags by our own model (COR-06, docs/languages.md); no packaged tool knows them (EVIDENCE §3).

A dialect is named only when it leads its standard language and every other class by the margin of its family. Below
that the answer is null: standard or unknown, never guessed. A tag is a function of one text and its language.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from demur.corpus import language_model as model

DIALECT = "demur-dialect-2"
"""Name of the frozen settings."""

MIN_WORDS = 3

FAMILIES: dict[str, tuple[frozenset[str], tuple[str, ...], float]] = {
    "German": (frozenset({"de", "lb"}), ("bar", "bar-IT", "gsw"), 0.3),
    "Italian": (frozenset({"it"}), ("nap",), 0.3),
}
"""Family → languages that a tagger gives its texts, its dialects, logits by which one must lead.

Norwegian dialects are classes of the model but never named: of an unseen writer's sentences 13–78 % fell to the right
region, and more than half of the Bokmål ones to a dialect (docs/languages.md).
"""

DIALECTS = tuple(dialect for _, dialects, _ in FAMILIES.values() for dialect in dialects)
ASKED = frozenset().union(*(languages for languages, _, _ in FAMILIES.values()))


def tag_dialect(texts: Any, languages: Any) -> Any:
    """Tag a batch of texts.

    Args:
        texts: Arrow string array, redacted; null counts as empty.
        languages: Arrow string array of their languages, as long.

    Returns:
        Arrow string array of BCP 47 tags (docs/languages.md); null = standard, unknown or not asked.
    """
    bases = [(tag or "").split("-")[0] for tag in languages.to_pylist()]
    asked = np.flatnonzero(np.fromiter((base in ASKED for base in bases), np.bool_, len(bases)))
    found: list[str | None] = [None] * len(bases)
    if len(asked):
        names = dialects_of(texts.take(pa.array(asked)), [bases[row] for row in asked])
        for row, name in zip(asked.tolist(), names, strict=True):
            found[row] = name
    return pa.array(found, pa.string())


def dialects_of(texts: Any, bases: list[str]) -> list[str | None]:
    """Return the dialect of each text, or ``None``.

    Args:
        texts: Arrow string array.
        bases: the language of each, without region.
    """
    table = model.load()
    scores, words = model.scores(texts, table)
    best = scores.argmax(axis=1)
    margins = lead(scores)
    found: list[str | None] = []
    for base, place, margin, many in zip(bases, best.tolist(), margins.tolist(), words.tolist(), strict=True):
        name = table.classes[place]
        named = many >= MIN_WORDS and any(
            base in languages and name in dialects and margin >= needed
            for languages, dialects, needed in FAMILIES.values()
        )
        found.append(name if named else None)
    return found


def lead(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return by how much the best class of each row leads the next."""
    ordered = np.partition(scores, -2, axis=1)
    margins: npt.NDArray[np.float64] = ordered[:, -1] - ordered[:, -2]
    return margins

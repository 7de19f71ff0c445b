"""Recognisers of strangers: what else finds identifiers, batch in, spans out.

Does not know the rules (``redact``). A recogniser is registered in the entry-point group ``demur.recognisers`` and
imported when a recipe names it; its ``version`` belongs into the recipe, since another model finds other things.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from demur.corpus.redact_patterns import Span
from demur.corpus.redact_spans import united
from demur.errors import BrokenError, ConfigError

GROUP = "demur.recognisers"


@runtime_checkable
class Recogniser(Protocol):
    """Finds identifiers in normalised texts; the same text gives the same spans, whatever stands beside it."""

    version: str
    """Name and version of rules or weights, as the recipe keeps it."""

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return for each text its spans: start, end (code points) and kind, one of ``redact.TYPES``."""
        ...


def read_plugins(normalised: Any, plugins: Sequence[Recogniser]) -> dict[int, list[Span]]:
    """Return what recognisers find, by row; empty texts are not shown to them.

    Raises:
        BrokenError: a recogniser gave spans that no text has.
    """
    texts = {row: text for row, text in enumerate(normalised.to_pylist()) if text}
    found: dict[int, list[Span]] = {}
    for plugin in plugins:
        answers = plugin.find(list(texts.values()))
        if len(answers) != len(texts):
            raise BrokenError(
                f"Expected spans for {len(texts)} texts from {plugin.version}, found {len(answers)}. "
                "Repair the plug-in."
            )
        for (row, text), spans in zip(texts.items(), answers, strict=True):
            if spans:
                found[row] = united([*found.get(row, []), *(_checked(text, span, plugin) for span in spans)])
    return found


def _checked(text: str, span: Span, plugin: Recogniser) -> Span:
    start, end, kind = span
    if not (0 <= start < end <= len(text) and kind.isidentifier() and kind.isupper()):
        raise BrokenError(
            f"Expected a span inside its text with a kind in capitals from {plugin.version}, "
            f"found ({start}, {end}, {kind!r}) in {len(text)} signs. Repair the plug-in."
        )
    while end < len(text) and unicodedata.combining(text[end]):
        end += 1
    return start, end, kind


def recogniser(name: str, **settings: Any) -> Recogniser:
    """Return the recogniser that is registered under a name.

    Args:
        name: name in the entry-point group ``demur.recognisers``.
        settings: what its factory takes.

    Raises:
        ConfigError: nobody registered the name.
    """
    from importlib.metadata import entry_points

    known = {point.name: point for point in entry_points(group=GROUP)}
    if name not in known:
        raise ConfigError(
            f"Expected a recogniser of the group {GROUP} ({', '.join(sorted(known)) or 'none installed'}), "
            f"found {name!r}. Install the package that brings it."
        )
    made: Recogniser = known[name].load()(**settings)
    return made

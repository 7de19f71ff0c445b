"""Reads a recipe from a TOML file: what fixes a corpus beside its inputs (docs/corpus.md). Builds nothing."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from demur.corpus.quality import QUALITY
from demur.errors import ConfigError, InputError
from demur.terms.manifests import CorpusRecipe


@dataclass(frozen=True, slots=True)
class Told:
    """What a file says."""

    recipe: CorpusRecipe
    toxicity: Path | None
    """Folder of the platform's own model; the recipe holds its digest."""


def of_this_code(recipe: CorpusRecipe) -> CorpusRecipe:
    """Return a recipe under the names of the rule sets that are installed.

    An erasure takes its recipe from the corpus that it replaces. When the rules have changed since, the corpus is
    built anew under their names; records of two rule sets never stand side by side under one.
    """
    from demur.corpus.dialect import DIALECT
    from demur.corpus.language import LANGUAGE
    from demur.corpus.redact import REDACTION

    return replace(
        recipe,
        redaction=REDACTION,
        language=LANGUAGE,
        dialect=DIALECT,
        quality=QUALITY if recipe.quality else "",
        code=CorpusRecipe(regions={}).code,
    )


def _is(kind: type | tuple[type, ...]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kind) and (not isinstance(value, bool) or kind is bool)


def _table_of(kind: type | tuple[type, ...]) -> Callable[[Any], bool]:
    fits = _is(kind)
    return lambda value: isinstance(value, dict) and all(map(fits, value.values()))


SETTINGS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "regions": (_table_of(str), "a table of language or dialect = region"),
    "other_region": (_is(str), "a name"),
    "shards": (_is(int), "a whole number"),
    "slices": (_is(int), "a whole number"),
    "min_words": (_is(int), "a whole number"),
    "near_duplicate_jaccard": (_is((int, float)), "a number above 0, at most 1"),
    "redaction_mode": (_is(str), "mask, drop or fake"),
    "recognisers": (lambda value: isinstance(value, list) and all(map(_is(str), value)), "a list of names"),
    "quality": (_is(bool), "true or false"),
    "toxicity": (_is(str), "a folder, relative to this file"),
    "shares": (_table_of((int, float)), "a table of language or dialect = share"),
}
"""Setting → what fits, and how that is said."""


def read_recipe(path: Path, base: CorpusRecipe) -> Told:
    """Return what a file says, and the base's settings for the rest.

    Raises:
        InputError: there is no such file, or it is no TOML.
        ConfigError: settings are unknown or do not fit; all are told at once.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(
            f"expected a recipe in TOML in {path.name}, found {type(error).__name__}; see docs/corpus.md"
        ) from error
    faults = [f"{name} is no setting of a recipe" for name in sorted(set(told) - set(SETTINGS))]
    faults += [
        f"{name} must be {said}" for name, (fits, said) in SETTINGS.items() if name in told and not fits(told[name])
    ]
    if faults:
        raise ConfigError("expected a recipe that can be read, found faults; correct the file", faults)
    folder = path.parent / told.pop("toxicity") if "toxicity" in told else None
    if folder is not None:
        from demur.corpus.toxicity import read_model

        told["toxicity"] = read_model(folder).digest
    if "quality" in told:
        told["quality"] = QUALITY if told["quality"] else ""
    if "recognisers" in told:
        from demur.corpus.redact_plugins import recogniser

        told["recognisers"] = {name: recogniser(name).version for name in told["recognisers"]}
    return Told(replace(base, **told), folder)

"""Phrases of pages and letters in every language: key → text with named slots.

A section is a TOML file a language, ``phrases/<language>/<section>.toml``; English is the original and has every key.
This module does *not* escape for HTML: the template engine does.

>>> phrase("common.language_name", "de")
'Deutsch'
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib import resources

from demur.errors import BrokenError
from demur.i18n.sentences import LAST, fallbacks

SLOT = re.compile(r"\{([a-z_]+)\}")


@cache
def phrase_languages() -> tuple[str, ...]:
    """Return the tags of all languages that pages and letters exist in."""
    folder = resources.files("demur.i18n").joinpath("phrases")
    return tuple(sorted(one.name for one in folder.iterdir() if one.is_dir() and not one.name.startswith("_")))


def phrase(key: str, language: str = LAST, **slots: object) -> str:
    """Return a phrase in a language, its slots filled.

    Args:
        key: ``section.name``.
        language: BCP 47 tag; what has no such phrase falls back as ``fallbacks`` says.
        slots: values of the named slots.

    Raises:
        BrokenError: no language has that key, or a slot is missing.
    """
    text = next((found for tag in fallbacks(language) if (found := phrases(tag).get(key)) is not None), None)
    if text is None:
        raise BrokenError(f"expected a phrase {key}, found none; add it to i18n/phrases/{LAST}")

    def fill(match: re.Match[str]) -> str:
        if match[1] not in slots:
            raise BrokenError(f"the phrase {key} needs the slot {match[1]}; give it")
        return str(slots[match[1]])

    return SLOT.sub(fill, text)


@cache
def phrases(language: str) -> dict[str, str]:
    """Return every phrase of one language, without falling back; empty for an unknown one."""
    if language not in phrase_languages():
        return {}
    folder = resources.files("demur.i18n").joinpath(f"phrases/{language}")
    found: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda one: one.name):
        if file.name.endswith(".toml"):
            section = file.name.removesuffix(".toml")
            for name, text in tomllib.loads(file.read_text(encoding="utf-8")).items():
                found[f"{section}.{name}"] = text
    return found

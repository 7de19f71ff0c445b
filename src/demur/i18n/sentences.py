"""One sentence for every code in every language, with a chain of languages to fall back on.

A table is a TOML file: ``because`` frames the clause of a reason, ``record`` the clause of an exclusion (the item may
be used, but became no record). This module does *not* choose a person's language.
"""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import Any

from demur.errors import InputError
from demur.terms.reasons import Exclusion, Reason

FALLBACK = {
    "no": "nb",
    "nn": "nb",
    "nb": "da",
    "fo": "da",
    "se": "nb",
    "lb": "de",
    "gsw": "de",
    "bar": "de",
    "nds": "de",
    "dsb": "de",
    "hsb": "de",
    "rm": "de",
    "vls": "nl",
    "fy": "nl",
    "li": "nl",
    "nap": "it",
    "scn": "it",
    "ca": "es",
    "gl": "es",
    "eu": "es",
    "ast": "es",
    "br": "fr",
    "co": "fr",
    "oc": "fr",
    "gd": "en",
}
"""Language → the one that its readers understand best, when its own table is missing (REQUIREMENTS §5.2)."""
LAST = "en"
CODES = (*(reason.value for reason in Reason), *(exclusion.value for exclusion in Exclusion))
_RECORD = frozenset(exclusion.value for exclusion in Exclusion)


@cache
def languages() -> tuple[str, ...]:
    """Return the tags of all languages that have a table."""
    folder = resources.files("demur.i18n").joinpath("tables")
    return tuple(sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".toml")))


def fallbacks(language: str) -> tuple[str, ...]:
    """Return the languages to try, best first: the tag, its shorter forms, neighbours, English.

    >>> fallbacks("nn-NO")
    ('nn-NO', 'nn', 'nb', 'da', 'en')
    """
    chain = [language]
    if "-" in language:
        chain.append(language.split("-", maxsplit=1)[0])
    while (following := FALLBACK.get(chain[-1])) is not None and following not in chain:
        chain.append(following)
    return (*chain, LAST) if LAST not in chain else tuple(chain)


def sentence(code: str, language: str = LAST) -> str:
    """Return the sentence for a reason or exclusion, addressed to the person whose item it is.

    Args:
        code: value of ``Reason`` or ``Exclusion``.
        language: BCP 47 tag; an unknown one falls back to English.

    Raises:
        InputError: there is no such code.

    >>> sentence("objected", "en-GB")
    'This post is not used because you objected.'
    """
    if code not in CODES:
        raise InputError(f"expected the code of a reason or exclusion, found {code!r}; see docs/reasons.md")
    table = _table(next(tag for tag in fallbacks(language) if tag in languages()))
    frame: str = table["record" if code in _RECORD else "because"]
    return frame.replace("{}", table["codes"][code])


@cache
def _table(language: str) -> dict[str, Any]:
    text = resources.files("demur.i18n").joinpath(f"tables/{language}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)

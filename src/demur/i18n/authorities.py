"""Where somebody complains: the supervisory authority of a country (GDPR art. 77, OBJ-04). Data in authorities.toml.

It does *not* say which authority is competent in law; a person may complain where they live, work or were wronged.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True)
class Authority:
    """One authority, in the name that it gives itself."""

    country: str | None
    """``None``: the list of all, where no country is known or none of ours."""
    name: str
    url: str


def authority(country: str | None) -> Authority:
    """Return the authority of a country.

    >>> authority("IE").url
    'https://www.dataprotection.ie/'
    >>> authority(None).country is None
    True
    """
    table = _table()
    if country in table:
        name, url = table[country]
        return Authority(country, name, url)
    name, url = table["other"]
    return Authority(None, name, url)


def authority_countries() -> frozenset[str]:
    """Return the countries that have an entry of their own."""
    return frozenset(_table()) - {"other"}


@cache
def _table() -> dict[str, tuple[str, str]]:
    text = resources.files("demur.i18n").joinpath("authorities.toml").read_text(encoding="utf-8")
    return {country: (name, url) for country, (name, url) in tomllib.loads(text).items()}

"""Country codes and named sets of them, from the dated table beside this file (REQUIREMENTS §5.1)."""

from __future__ import annotations

import tomllib
from datetime import date
from functools import cache
from importlib import resources
from typing import Any


@cache
def _table() -> dict[str, dict[str, Any]]:
    text = resources.files("demur.policy").joinpath("presets/countries.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def set_names() -> tuple[str, ...]:
    """Return the names of all sets, in the order of the table."""
    return tuple(_table())


def members(name: str) -> frozenset[str]:
    """Return the countries of a named set.

    Raises:
        KeyError: there is no such set.

    >>> len(members("EU27")), len(members("EEA30"))
    (27, 30)
    """
    row = _table()[name]
    inner = [members(each) for each in row.get("includes", [])]
    return frozenset(row["countries"]).union(*inner)


def source(name: str) -> tuple[date, str]:
    """Return since when a set reads so, and where that stands."""
    row = _table()[name]
    return row["since"], row["source"]

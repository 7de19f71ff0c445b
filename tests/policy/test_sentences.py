"""Every code has a sentence of its own in every language."""

from __future__ import annotations

import tomllib
from importlib import resources

import pytest

from demur.errors import InputError
from demur.i18n import fallbacks, languages, sentence
from demur.i18n.sentences import CODES, FALLBACK

SHIPPED = {"bg", "cs", "cy", "da", "de", "el", "en", "es", "et", "fi", "fr", "ga", "hr", "hu", "is", "it", "lt", "lv", "mt",  # noqa: E501
           "nb", "nl", "nn", "pl", "pt", "ro", "sk", "sl", "sv"}  # fmt: skip


def test_all_languages_are_there() -> None:
    assert set(languages()) == SHIPPED


@pytest.mark.parametrize("language", sorted(SHIPPED))
def test_a_language_is_complete(language: str) -> None:
    text = resources.files("demur.i18n").joinpath(f"tables/{language}.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    assert list(table["codes"]) == list(CODES)
    assert len(set(table["codes"].values())) == len(CODES), "no sentence twice"
    assert all(clause.strip() == clause and clause for clause in table["codes"].values())
    assert table["because"].count("{}") == table["record"].count("{}") == 1
    assert language == "en" or sentence("objected", language) != sentence("objected", "en")


def test_fallbacks() -> None:
    assert fallbacks("nn")[:2] == ("nn", "nb")
    assert sentence("minor", "no") == sentence("minor", "nb")
    assert sentence("minor", "de-AT") == sentence("minor", "de")
    assert sentence("minor", "xx") == sentence("minor", "en")
    with pytest.raises(InputError):
        sentence("no_such_code")


@pytest.mark.parametrize(
    ("language", "read"), [("bar", "de"), ("nap", "it"), ("vls", "nl"), ("fy", "nl"), ("oc", "fr")]
)
def test_a_language_of_a_region_is_answered_in_the_one_that_its_readers_know(language: str, read: str) -> None:
    assert sentence("minor", language) == sentence("minor", f"{language}-XX") == sentence("minor", read)


def test_every_chain_ends_and_leads_to_a_language_of_ours() -> None:
    for language, first in FALLBACK.items():
        assert fallbacks(language)[1] == first
        assert any(tag in SHIPPED for tag in fallbacks(language)[1:])

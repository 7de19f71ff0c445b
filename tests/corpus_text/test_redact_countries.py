"""Redaction knows every kind of identifier in every country of the EU and EEA, the UK, Switzerland and Brazil."""

from __future__ import annotations

import math
import random

import pyarrow as pa
import pytest

from demur.corpus.redact import redact
from demur.corpus.redact_national import NUMBERS, known_number

from . import planted, planted_countries
from .planted_countries import BARE, FILL, NATIONALS, PHONE_LAYOUTS, WORDED, drawn

EACH = 24


def wilson_low(hits: int, total: int) -> float:
    """Return the lower bound of Wilson's 95 % interval."""
    z, share = 1.96, hits / total
    middle, half = share + z * z / (2 * total), z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return (middle - half) / (1 + z * z / total)


def found(texts: list[str], values: list[str]) -> list[bool]:
    """Say for each text whether every letter and digit of its value lies in a span."""
    redacted = redact(pa.array(texts))
    result = []
    for text, spans, value in zip(redacted.normalised.to_pylist(), redacted.spans.to_pylist(), values, strict=True):
        at, covered = text.index(value), set()
        for span in spans:
            covered.update(range(span["start"], span["end"]))
        result.append(all(place in covered for place in range(at, at + len(value)) if text[place].isalnum()))
    return result


def sentences(country: str, word: str, values: list[str]) -> list[str]:
    before, after = FILL[country]
    return [
        f"{before} {word} {after} {value}, ok" if row % 2 else f"{word}: {value}." for row, value in enumerate(values)
    ]


@pytest.mark.parametrize("kind", sorted(WORDED))
def test_a_word_for_it_is_known_in_every_country(kind: str) -> None:
    assert set(WORDED[kind]) == set(FILL)
    hits, total = 0, 0
    for country, layouts in WORDED[kind].items():
        here = []
        for word, layout in layouts:
            chance = random.Random(f"{kind} {country} {word}")
            values = [drawn(chance, layout) for _ in range(EACH)]
            here += found(sentences(country, word, values), values)
        assert sum(here) >= 0.97 * len(here), country
        hits, total = hits + sum(here), total + len(here)
    assert hits >= 0.99 * total
    assert wilson_low(hits, total) >= 0.98


@pytest.mark.parametrize("kind", sorted(BARE))
def test_a_shape_is_known_without_a_word(kind: str) -> None:
    for country, layouts in BARE[kind].items():
        for layout in layouts:
            chance = random.Random(f"{kind} {country}")
            values = [drawn(chance, layout) for _ in range(EACH)]
            assert all(found([f"heute ... {value}, und dann" for value in values], values)), (country, layout)


def test_national_numbers_and_phones_are_known_without_a_word() -> None:
    assert set(NATIONALS) == set(FILL)
    assert set(PHONE_LAYOUTS) == set(FILL)
    for country, draw in NATIONALS.items():
        chance = random.Random(country)
        values = [draw(chance) for _ in range(EACH)]
        assert all(found([f"heute ... {value}, und dann" for value in values], values)), country
    for country, layouts in PHONE_LAYOUTS.items():
        values = [drawn(random.Random(country), layout) for layout in layouts]
        assert all(found([f"heute ... {value}, und dann" for value in values], values)), country


@pytest.mark.parametrize("size", sorted(NUMBERS))
def test_checks_agree_with_python_stdnum(size: int) -> None:
    """Ours may be wider (29 February, centuries, months of foreigners), never narrower than theirs."""
    from importlib import import_module

    chance = random.Random(size)
    theirs = [import_module(f"stdnum.{name}") for name in NUMBERS[size] if "." in name and name != "hu.taj"]
    values = [planted.digits(chance, size) for _ in range(4_000)]
    if size == 12:  # a Swedish year of birth between 1800 and 2099
        values = [f"{chance.choice(['18', '19', '20'])}{value[2:]}" for value in values]
    valid = [value for value in values if any(module.is_valid(value) for module in theirs)]
    assert len(valid) > 0
    narrower = [value for value in valid if not known_number(value)]
    assert [value for value in narrower if not (size == 15 and value[0] not in "123478")] == []


def test_every_word_and_country_has_words_around_it() -> None:
    assert {country for table in (*WORDED.values(), *BARE.values()) for country in table} <= set(planted_countries.FILL)

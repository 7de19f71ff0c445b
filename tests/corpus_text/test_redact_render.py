"""Spans explain a redaction, and every mode is written from them; what is made up can reach nobody."""

from __future__ import annotations

import ipaddress
import os
import random
import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.corpus.redact import TYPES, find, redact
from demur.corpus.redact_names import contains_names
from demur.corpus.redact_national import known_number
from demur.corpus.redact_normal import normalise
from demur.corpus.redact_render import fake, kept_apart, render
from demur.corpus.redact_spans import SPANS, from_arrow, masked, onto, united
from demur.errors import InputError

from . import planted
from .planted_countries import BARE, NATIONALS, WORDED, drawn
from .test_redact import TEXTS

EXAMPLES = 10_000 if os.environ.get("DEMUR_NIGHTLY") == "1" else 60
KEYS = [b"0123456789abcdef", b"fedcba9876543210"]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.none() | TEXTS, min_size=1, max_size=4))
def test_spans_are_ordered_and_say_what_the_text_became(texts: list[str | None]) -> None:
    redacted = redact(pa.array(texts, pa.string()))
    assert redacted.spans.type == SPANS
    for source, plain, spans, text in zip(
        texts, redacted.normalised.to_pylist(), from_arrow(redacted.spans), redacted.texts.to_pylist(), strict=True
    ):
        if source is None:
            assert (plain, spans, text) == (None, [], None)
            continue
        assert plain == normalise(source)
        assert spans == find(plain)
        assert text == masked(plain, spans)
        edges = [place for start, end, _ in spans for place in (start, end)]
        assert edges == sorted(edges)
        assert all(0 <= start < end <= len(plain) and kind in TYPES for start, end, kind in spans)
    assert render(redacted.normalised, redacted.spans).equals(redacted.texts)


@settings(max_examples=EXAMPLES, deadline=None)
@given(TEXTS)
def test_nothing_but_the_spans_and_blanks_goes_when_they_are_dropped(text: str) -> None:
    redacted = redact(pa.array([text]))
    plain, (spans,) = redacted.normalised.to_pylist()[0], from_arrow(redacted.spans)
    kept = "".join(sign for place, sign in enumerate(plain) if not any(a <= place < b for a, b, _ in spans))
    dropped = render(redacted.normalised, redacted.spans, "drop").to_pylist()[0]
    assert dropped.replace(" ", "") == kept.replace(" ", "")
    assert len(dropped) <= len(kept)


@settings(max_examples=EXAMPLES, deadline=None)
@given(TEXTS)
def test_a_made_up_text_keeps_what_stood_between_and_can_be_redacted_again(text: str) -> None:
    redacted = redact(pa.array([text]))
    made = render(redacted.normalised, redacted.spans, "fake", pa.array(KEYS[:1])).to_pylist()[0]
    plain, (spans,) = redacted.normalised.to_pylist()[0], from_arrow(redacted.spans)
    between, place = [], 0
    for start, end, _kind in spans:
        between.append(plain[place:start])
        place = end
    at = 0
    for piece in [*between, plain[place:]]:
        at = made.index(piece, at) + len(piece)
    again = redact(pa.array([made])).texts
    assert redact(again).texts.equals(again)


def test_the_same_value_is_the_same_within_a_row_and_another_in_another() -> None:
    redacted = redact(pa.array(["anna@x.example, bo@x.example, Anna@x.example"] * 2))
    first, second = render(redacted.normalised, redacted.spans, "fake", pa.array(KEYS)).to_pylist()
    assert len(set(first.split(", "))) == 2
    assert first.split(", ")[0] == first.split(", ")[2]
    assert not set(first.split(", ")) & set(second.split(", "))
    assert re.fullmatch(r"\w+@example\.(?:org|net|com)", first.split(", ")[0])


def test_a_gap_closes() -> None:
    redacted = redact(pa.array(["mail a@b.example, or call +48 512 345 678.", "+48 512 345 678 is mine", None]))
    assert render(redacted.normalised, redacted.spans, "drop").to_pylist() == ["mail, or call.", "is mine", None]


@pytest.mark.parametrize("country", sorted(NATIONALS))
def test_made_up_numbers_fail_their_checks(country: str) -> None:
    from stdnum.es import dni
    from stdnum.ie import pps

    chance = random.Random(country)
    for row in range(20):
        made = fake(NATIONALS[country](chance), "ID", KEYS[0] + bytes([row]))
        assert not known_number(re.sub(r"\D", "", made))
        assert not dni.is_valid(made)
        assert not pps.is_valid(made)
        assert "000" in re.sub(r"\D", "", made)


def test_made_up_phones_can_not_be_dialled() -> None:
    reserved = ("+447700900", "+3363998", "+493023125", "+46701740", "+353209", "+120255501")
    for numbers in planted.PHONES.values():
        for number in numbers:
            made = re.sub(r"[^+0-9]", "", fake(number, "PHONE", KEYS[0]))
            national = re.sub(r"^(?:\+|00)(?:3[0-469]|4[013-9]|[2-9][0-9]{2})", "", made)
            assert made.startswith(reserved) or national.startswith("000")


def test_made_up_addresses_of_machines_are_those_of_documentation() -> None:
    assert ipaddress.ip_address(fake("8.8.8.8", "IP", KEYS[0])) in {
        one for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24") for one in ipaddress.ip_network(net)
    }
    assert ipaddress.ip_address(fake("2a00::1:2", "IP", KEYS[0])) in ipaddress.ip_network("2001:db8::/32")
    assert fake("00:1B:44:11:3A:B7", "MAC", KEYS[0]).startswith("00:00:5E:00:53:")


def test_made_up_accounts_cards_and_plates_are_nobodys() -> None:
    chance = random.Random(7)
    for country in ("DE", "FR", "NO", "BR"):
        made = fake(planted.iban(chance, country), "IBAN", KEYS[0]).replace(" ", "")
        assert made[:4] == f"{country}00"
    assert fake("4111 1111 1111 1111", "CARD", KEYS[0]).startswith("0000 ")
    assert set(re.sub(r"\D", "", fake("B-AB 1234", "PLATE", KEYS[0]))) == {"0"}
    assert re.fullmatch(r"[A-Z][a-zß]+straße 00a", fake("Hauptstraße 12a", "ADDRESS", KEYS[0]))


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from(sorted(TYPES)), st.text(min_size=1, max_size=30), st.binary(min_size=16, max_size=32))
def test_anything_can_be_made_up_for_anything(kind: str, value: str, key: bytes) -> None:
    assert fake(value, kind, key) == fake(value, kind, key)


def test_layouts_of_all_countries_can_be_made_up() -> None:
    chance = random.Random(1)
    for table in (*WORDED.values(),):
        for layouts in table.values():
            for _word, layout in layouts:
                value = drawn(chance, layout)
                assert fake(value, "ID", KEYS[0]) != value
    for layouts in BARE["address"].values():
        for layout in layouts:
            assert not re.search("[1-9]", fake(drawn(chance, layout), "ADDRESS", KEYS[0]))


@pytest.mark.parametrize(
    ("mode", "keys"), [("fake", None), ("fake", [b"short"]), ("burn", None), ("mask", [b"1", b"2"])]
)
def test_wrong_use_is_refused(mode: str, keys: list[bytes] | None) -> None:
    redacted = redact(pa.array(["a@b.example"]))
    with pytest.raises(InputError):
        render(redacted.normalised, redacted.spans, mode, None if keys is None else pa.array(keys))


def test_later_findings_come_back_to_the_places_of_the_text() -> None:
    old = [(2, 8, "IP"), (10, 11, "PHONE")]
    text = "ab......cdXef"
    current = masked(text, old)
    assert current == "ab<IP>cd<PHONE>ef"
    at = current.index("cd")
    assert onto(old, [(at, at + 9, "ID")]) == [(2, 8, "IP"), (8, 11, "ID")]
    assert onto(old, [(len(current) - 2, len(current), "ID")]) == [*old, (11, 13, "ID")]
    assert united([(0, 3, "A"), (2, 9, "B"), (9, 10, "C")]) == [(0, 9, "B"), (9, 10, "C")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ask Anna anna@example.org Berg about it", "ask about it"),
        ("ask Anna Anna x@example.org Berg y@example.org Berg twice", "ask twice"),
        ("Anna x@example.org\nBerg", ""),
        ("ask Anna x@example.org or Berg", "ask Anna or Berg"),
    ],
)
def test_a_name_that_closes_when_something_is_dropped_goes_too(text: str, expected: str) -> None:
    names = ["Anna Berg"]
    found = redact(pa.array([text]), names)
    spans = kept_apart(found.normalised, found.spans, names)
    (left,) = render(found.normalised, spans, "drop").to_pylist()
    assert not contains_names(pa.array([left]), names)[0].as_py()
    assert left.split() == expected.split()

"""Redaction finds what was planted, leaves what identifies nobody, and is a function of the text alone."""

from __future__ import annotations

import os
import random
import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.corpus.redact import TYPES, redact, redact_text
from demur.corpus.redact_names import contains_names, redact_names
from demur.corpus.redact_numbers import IBAN_LENGTHS

from . import planted

EXAMPLES = 20_000 if os.environ.get("DEMUR_NIGHTLY") == "1" else 100
EUROPE = sorted({*planted.NATIONAL, "LI"} & set(IBAN_LENGTHS) | {"GB", "LI"})


def only(texts: list[str]) -> list[str]:
    return redact(pa.array(texts, pa.string())).texts.to_pylist()


@pytest.mark.parametrize("country", sorted(planted.NATIONAL))
def test_national_ids_go(country: str) -> None:
    chance = random.Random(country)
    values = [planted.NATIONAL[country](chance) for _ in range(40)]
    texts = [f"heute ... {value}, und dann" for value in values]
    left = [
        value
        for value, text in zip(values, only(texts), strict=True)
        if any(part in text for part in re.findall(r"\d{4,}", value))
    ]
    assert left == []


@pytest.mark.parametrize("country", EUROPE)
def test_ibans_go(country: str) -> None:
    chance = random.Random(country)
    texts = [f"an {planted.iban(chance, country)} bitte" for _ in range(20)]
    assert only(texts) == ["an <IBAN> bitte"] * 20


@pytest.mark.parametrize("country", sorted(planted.PHONES))
def test_phones_go(country: str) -> None:
    for number in planted.PHONES[country]:
        left = only([f"heute ... {number}, bis dann"])[0]  # some phones pass the check digits of another country's id
        assert re.fullmatch("heute ... <(?:PHONE|ID)>, bis dann", left), number
        assert "<PHONE>" in left or not number.startswith("+")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail anna.b+x@example.org now", "mail <EMAIL> now"),
        ("łukasz@müller.example und δοκιμή@παράδειγμα.ελ", "<EMAIL> und <EMAIL>"),
        ("anna (at) example dot org", "<EMAIL>"),
        ("anna [at] example [dot] org!", "<EMAIL>!"),
        ("write anna at example dot org", "write <EMAIL>"),
        ("anna @ example . org", "<EMAIL>"),
        ("an\u200bna@ex\u00adample.org", "<EMAIL>"),
        ("ａｎｎａ＠ｅｘａｍｐｌｅ．ｏｒｇ", "<EMAIL>"),
        ("hi @anna_12 and @anna@social.example!", "hi <HANDLE> and <HANDLE>!"),
        ("ask u/somebody or /u/some-body", "ask <HANDLE> or <HANDLE>"),
        ("did:plc:ewvi7nxzyoun6zhxrhs64oiz wrote", "<HANDLE> wrote"),
        ("anna.bsky.social and anna#1234", "<HANDLE> and <HANDLE>"),
        ("https://x.example/u/anna?id=3, www.example.com/profil/a", "<URL_ID>, <URL_ID>"),
        ("see https://example.org/about.", "see <URL>."),
        ("4111 1111 1111 1111 or 5555555555554444", "<CARD> or <CARD>"),
        ("from 192.0.2.17 or 2001:db8::8a2e:370:7334", "from <IP> or <IP>"),
        ("00:1B:44:11:3A:B7", "<MAC>"),
        ("Kennzeichen: B-AB 1234", "Kennzeichen: <PLATE>"),
        ("plaque AB-123-CD", "plaque <PLATE>"),
        ("matrícula 1234 BCD", "matrícula <PLATE>"),
        ("Er wohnt Hauptstraße 12a.", "Er wohnt <ADDRESS>."),
        ("12 rue de la République", "<ADDRESS>"),
        ("via Roma 5, Milano", "<ADDRESS>, Milano"),
        ("０６ １２ ３４ ５６ ７８", "<PHONE>"),
        ("٠١٥١ ٢٣٤ ٥٦٧٨٩", "<PHONE>"),
        ("0151\t 234   56789", "<PHONE>"),
        ("0151\u00a0234\u201156789", "<PHONE>"),
    ],
)
def test_spellings_and_tricks(text: str, expected: str) -> None:
    assert only([text]) == [expected]
    assert redact_text(text) == expected


@pytest.mark.parametrize("text", planted.STAYS)
def test_hard_negatives_stay(text: str) -> None:
    assert only([text]) == [text]


def test_counts_and_nulls() -> None:
    redacted = redact(pa.array(["a@b.example c@d.example", None, "", "+48 512 345 678"]))
    assert redacted.texts.to_pylist() == ["<EMAIL> <EMAIL>", None, "", "<PHONE>"]
    assert redacted.counts == {"EMAIL": 2, "PHONE": 1}


def test_an_empty_batch_is_empty() -> None:
    assert redact(pa.array([], pa.string())).texts.to_pylist() == []


PIECES = st.one_of(
    st.sampled_from(
        [*planted.STAYS, *(f"<{kind}>" for kind in TYPES), *(one for some in planted.PHONES.values() for one in some)]
    ),
    st.sampled_from(
        [
            *"0123456789@.-+/():#<> \t\n_",
            " at ",
            " dot ",
            "(at)",
            "u/",
            "did:",
            "DE",
            "\u0301",
            "\u200d",
            "\ufe0f",
            "１",
            "＠",
            "\u0338",
            "é",
            "www.",
            "://",
            "&#64;",
            "&nbsp;",
            "&#46;",
            "\u20e3",
            "\ufe0f\u20e3",
            "\u00b7",
            "\u2022",
            "我",
            "_",
            " chiocciola ",
            " kropka ",
            "insta: ",
            "instagram username",
            " ist ",
            " è ",
            "live:",
            "anna._m",
            ".рф",
            "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<",
            "example.org",
            "gmail",
            "str.",
            " utca ",
            ", 10115 Berlin",
            "IBAN",
            "x1234567L",
        ]
    ),
    st.from_regex(r"[A-Za-z0-9]{1,6}", fullmatch=True),
    st.text(max_size=4),
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


@settings(max_examples=EXAMPLES, deadline=None)
@given(TEXTS)
def test_redacting_twice_is_redacting_once(text: str) -> None:
    once = only([text])
    assert only(once) == once
    assert redact_text(once[0]) == once[0]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=6))
def test_gates_and_batches_change_nothing(texts: list[str]) -> None:
    assert only(texts) == [redact_text(text) for text in texts]
    assert only(texts[::-1]) == only(texts)[::-1]


def test_names_go_at_borders_of_words_only() -> None:
    texts = pa.array(["Heute traf ich Anna  MÜLLER.", "anna müllerin", "Anna allein", None, "JOSÉ GROSS!"])
    names = ["Anna Müller", "José Groß", "Anna"]
    assert redact_names(texts, names).to_pylist() == [
        "Heute traf ich <NAME>.",
        "anna müllerin",
        "Anna allein",
        None,
        "<NAME>!",
    ]
    assert contains_names(texts, names).to_pylist() == [True, False, False, False, True]


@settings(max_examples=EXAMPLES // 3, deadline=None)
@given(
    st.lists(
        st.sampled_from(["Anna Müller", "Müller Jan", "Jan", "anna", "müller", ",", "\u0301", "İ", "ß"]), max_size=8
    )
)
def test_contains_names_says_what_redact_names_changes(words: list[str]) -> None:
    texts = pa.array([" ".join(words)])
    names = ["Anna Müller", "Müller Jan", "Jan Anna"]
    cut = redact_names(texts, names)
    assert contains_names(texts, names).to_pylist() == [cut.to_pylist() != texts.to_pylist()]
    assert redact_names(texts, names[::-1]).equals(cut)
    assert redact_names(cut, names).equals(cut) or "Anna" in cut.to_pylist()[0]

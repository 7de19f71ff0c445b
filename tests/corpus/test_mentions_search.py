"""Who is looked for in many texts at once is found where one text after another would find them."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.corpus import mentions, redact_fold
from demur.corpus.mentions import saying
from demur.corpus.redact import redact
from demur.corpus.redact_fold import RUN, WordSieve, folded
from demur.corpus.redact_names import name_finder
from demur.corpus.text import normalised
from demur.corpus.verify_texts import Names

_WORDS = ["anna", "Heß", "hess", "İpek", "ipek", "Straße", "ſommer", "sommer", "Élodie", "e\u0301lodie", "o", "O'Neil",
          "O\u2019Neil", "oneil", "müllers", "Muller", "Mueller", "Müller",
          "van", "Åse", "Ann-Marie", "\ufb01sch", "fisch", "Żak", "Мария", "мария", "K", "\u212a",
          "김", "철수", "सीता", "राम", "ガブ", "リエル", "山田", "太郎", "สมชาย", "ใจดี", "ann\u00b7a", "ан\u0489на",
         "a.b", "(x)", "🌸", "(sie/ihr)", "Dr.", "|", "j.", "-", "_"]  # fmt: skip
_WITH_DIGITS = ["5 PS5 A1 B", "2023年5月12日", "5"]
_GAPS = [" ", " ", " ", "  ", "\n", "\u00a0", "\t", " \u200b", "-", "", "_", ".", "\u2011", "\u3000", " _", "_ "]
words = st.sampled_from(_WORDS)
names = st.lists(st.lists(words, min_size=2, max_size=3).map(" ".join), min_size=1, max_size=6)
said_words = words | st.sampled_from(_WITH_DIGITS)
texts = st.lists(st.tuples(said_words, st.sampled_from(_GAPS)), max_size=8).map(
    lambda pairs: "".join(map("".join, pairs))
)


@settings(max_examples=300, deadline=None)
@given(names=names, said=st.lists(texts | st.none(), max_size=6), at_once=st.sampled_from([1, 2, 4_096]))
def test_all_texts_at_once_say_what_each_says(names: list[str], said: list[str | None], at_once: int) -> None:
    finder = name_finder(names)
    expected = [finder is not None and text is not None and bool(finder.spans(text)) for text in said]
    before, redact_fold._ROWS = redact_fold._ROWS, at_once
    try:
        assert saying(pa.array(said, pa.string()), names).to_pylist() == expected
    finally:
        redact_fold._ROWS = before


@settings(max_examples=300, deadline=None)
@given(said=st.text(max_size=12), others=st.lists(st.text(max_size=12) | texts, max_size=3), place=st.integers(0, 9))
def test_no_word_of_any_script_passes_the_sieve(said: str, others: list[str], place: int) -> None:
    runs = RUN.findall(folded(said))
    row = min(place, len(others))
    told = pa.array([*others[:row], said, *others[row:]], pa.string())
    for pair in pairwise(runs):
        assert WordSieve([pair], []).rows(told)[row]
    for word in runs:
        assert WordSieve([], [word]).rows(told)[row]


@pytest.mark.parametrize("place", ["before", "behind", "between"])
def test_a_name_ends_beside_every_sign_that_is_no_letter(place: str) -> None:
    signs = [chr(point) for point in redact_fold.folding() if not chr(point).isalnum()]
    signs = [sign for sign in signs if not unicodedata.combining(sign) and sign.isprintable()]
    assert {"\u2122", "\u24b6", "\uff3f", "_"} <= {*signs}
    form = {
        "before": "so {}Anna M\u00fcller ja",
        "behind": "so Anna M\u00fcller{} ja",
        "between": "so Anna{}M\u00fcller ja",
    }[place]
    said = pa.array([form.format(sign) for sign in signs], pa.string())
    found = saying(said, ["Anna M\u00fcller"]).to_pylist()
    missed = [sign for sign, hit in zip(signs, found, strict=True) if not hit]
    if place == "between":
        assert "_" not in missed
        assert "\uff3f" not in missed
    else:
        assert missed == []
    left = normalised(redact(said, ["Anna M\u00fcller"]).texts)
    assert Names(["Anna M\u00fcller"]).said(pa.array(left, pa.string())) == 0


def test_a_name_of_signs_that_stand_for_letters_is_found_beside_another() -> None:
    said = pa.array(["\u24b6nna M\u00fcller\u24b6", "\u2122\u24b6nna M\u00fcller", "\u24b6nna M\u00fcll\u2122"])
    assert saying(said, ["Anna M\u00fcller"]).to_pylist() == [True, True, False]


@pytest.mark.parametrize("most", [1, 40])
def test_texts_of_any_length_are_looked_at_in_pieces(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact_fold, "_BYTES", most)
    said = [None, "x" * 90, "so Anna M\u00fcller", "", None, "Anna M\u00fcller " * 9, "nobody"]
    told = pa.array(["before", *said], pa.string()).slice(1)
    assert saying(told, ["Anna M\u00fcller"]).to_pylist() == [False, False, True, False, False, True, False]


def test_the_sieve_holds_back_what_says_none_of_the_words() -> None:
    told = ["Anna sah Müller", "müller, anna", "Anna Mülle", "nothing", "", None, "anna\u0301", "ss s"]
    sieve = WordSieve([("anna", "muller"), ("s", "ss")], ["annas"])
    assert not sieve.rows(pa.array(told, pa.string())).any()
    assert sieve.rows(pa.array(["ANNA \u0301 m\u0308uller", "Annas", "s ß", "½"])).all()


def test_every_sign_has_a_number_that_is_no_mark() -> None:
    values = redact_fold._values()
    odd = {chr(point) for point in range(0x110000) if values[point] < 3}
    assert not any(sign.isalnum() and folded(sign) and all(map(str.isalnum, folded(sign))) for sign in odd)
    emblems = {sign for sign in odd if any(map(str.isalnum, folded(sign)))}
    assert {values[ord(sign)] for sign in emblems} == {redact_fold._MIXED}
    assert {folded(sign) for sign in odd if values[ord(sign)] == redact_fold._MARK} == {""}


@settings(max_examples=300, deadline=None)
@given(names=names, said=st.lists(texts, max_size=6), cut=st.sampled_from(["", "<NAME>", "<HANDLE>", "<EMAIL>"]))
def test_a_cut_beside_a_word_of_a_new_name_is_looked_at_again(names: list[str], said: list[str], cut: str) -> None:
    finder = name_finder(names)
    parts = {word for name in (finder.spelled if finder else ()) for word in RUN.findall(name)}
    parts |= {f"{word}s" for word in parts}
    told = [f"{text} {cut}" for text in said]
    is_part = finder.cases.is_part if finder else parts.__contains__

    def says_part(text: str) -> bool:
        return any(run in parts or is_part(run) for run in RUN.findall(folded(text)))

    expected = [cut in {"<NAME>", "<HANDLE>"} and says_part(text) for text in told]
    found = mentions._cut(pa.array(told, pa.string()), mentions._Beside.of(names))
    assert found.to_pylist() == expected


@settings(max_examples=300, deadline=None)
@given(names=names, said=st.lists(texts, min_size=1, max_size=6))
def test_the_verifier_finds_no_name_in_what_is_left(names: list[str], said: list[str]) -> None:
    left = normalised(redact(pa.array(said, pa.string()), names).texts)
    assert Names(names).said(pa.array(left, pa.string())) == 0


@pytest.mark.parametrize("name", ["김 철수", "सीता राम", "ガブ リエル", "山田 太郎", "สมชาย ใจดี", "Ann\u00b7a Müller"])
@pytest.mark.parametrize("text", ["so {} ja", "{} hat 5 PS5 A1 B", "{} さん 2023年5月12日", "_{}_ 5"])
def test_names_of_every_script_are_found_beside_figures(name: str, text: str) -> None:
    said = pa.array([text.format(name), "nobody 5", text.format(name.replace(" ", "\u3000"))])
    assert saying(said, [name]).to_pylist() == [True, False, True]
    left = redact(said, [name]).texts
    assert [name.split()[1] in one for one in left.to_pylist()] == [False] * 3
    assert Names([name]).said(said) > 0 or "_" in text
    assert Names([name]).said(left) == 0


def test_a_name_in_one_word_is_found_whatever_stood_between_its_letters() -> None:
    assert saying(pa.array(["so #annamuller", "so ann"]), ["Ann\u00b7a Müller"]).to_pylist() == [True, False]


def test_many_names_are_found_too() -> None:
    many = [f"{chr(97 + one % 26)}{one}x y{one}" for one in range(3_000)]
    said = [f"so said {many[2_345]}, they say", "nobody"]
    assert saying(pa.array(said), many).to_pylist() == [True, False]

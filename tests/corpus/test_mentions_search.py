"""Who is looked for in many texts at once is found where one text after another would find them."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.corpus import mentions
from demur.corpus.mentions import saying
from demur.corpus.redact import redact
from demur.corpus.redact_names import folded, name_finder
from demur.corpus.text import normalised
from demur.corpus.verify_texts import Names

_WORDS = ["anna", "Heß", "hess", "İpek", "ipek", "Straße", "ſommer", "sommer", "Élodie", "e\u0301lodie", "o", "O'Neil",
          "O\u2019Neil", "oneil", "müllers", "Muller", "Mueller", "Müller",
          "van", "Åse", "Ann-Marie", "\ufb01sch", "fisch", "Żak", "Мария", "мария", "K", "\u212a",
          "a.b", "(x)", "🌸", "(sie/ihr)", "Dr.", "|", "j.", "-", "_"]  # fmt: skip
_GAPS = [" ", " ", " ", "  ", "\n", "\u00a0", "\t", " \u200b", "-", "", "_", ".", "\u2011"]
words = st.sampled_from(_WORDS)
names = st.lists(st.lists(words, min_size=2, max_size=3).map(" ".join), min_size=1, max_size=6)
texts = st.lists(st.tuples(words, st.sampled_from(_GAPS)), max_size=8).map(lambda pairs: "".join(map("".join, pairs)))


@settings(max_examples=300, deadline=None)
@given(names=names, said=st.lists(texts, max_size=6), at_once=st.sampled_from([1, 2, 400]))
def test_all_texts_at_once_say_what_each_says(names: list[str], said: list[str], at_once: int) -> None:
    finder = name_finder(names)
    expected = [finder is not None and bool(finder.spans(text)) for text in said]
    before, mentions._AT_ONCE = mentions._AT_ONCE, at_once
    mentions._expressions.cache_clear()
    try:
        assert saying(pa.array(said, pa.string()), names).to_pylist() == expected
    finally:
        mentions._AT_ONCE = before
        mentions._expressions.cache_clear()


@settings(max_examples=300, deadline=None)
@given(names=names, said=st.lists(texts, max_size=6), cut=st.sampled_from(["", "<NAME>", "<HANDLE>", "<EMAIL>"]))
def test_a_cut_beside_a_word_of_a_new_name_is_looked_at_again(names: list[str], said: list[str], cut: str) -> None:
    finder = name_finder(names)
    parts = {word for name in (finder.spelled if finder else ()) for word in mentions._WORD.findall(name)}
    parts |= {f"{word}s" for word in parts}
    told = [f"{text} {cut}" for text in said]
    expected = [
        cut in {"<NAME>", "<HANDLE>"} and not parts.isdisjoint(mentions._WORD.findall(folded(text))) for text in told
    ]
    found = mentions._cut_by(pa.array(told, pa.string()), names, over=False, other=False)
    assert found.to_pylist() == expected


@settings(max_examples=300, deadline=None)
@given(names=names, said=st.lists(texts, min_size=1, max_size=6))
def test_the_verifier_finds_no_name_in_what_is_left(names: list[str], said: list[str]) -> None:
    left = normalised(redact(pa.array(said, pa.string()), names).texts)
    assert Names(names).said(pa.array(left, pa.string())) == 0


def test_many_names_are_found_too() -> None:
    many = [f"{chr(97 + one % 26)}{one}x y{one}" for one in range(3_000)]
    said = [f"so said {many[2_345]}, they say", "nobody"]
    assert saying(pa.array(said), many).to_pylist() == [True, False]

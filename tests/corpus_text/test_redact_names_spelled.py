"""Names of objectors: what is found of them in one word and without titles, and what is somebody else's."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demur.corpus.redact import redact, redact_text
from demur.corpus.redact_names import redact_names
from demur.corpus.redact_normal import normalise, normalise_batch


def cut(text: str, *names: str) -> str:
    (left,) = redact_names(pa.array([text]), names).to_pylist()
    assert isinstance(left, str)
    return left


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Inter Net", "the internet and Internet, INTERNET"),
        ("Butter Fly", "a butterfly"),
        ("Face Book", "facebook is down, Facebook too"),
        ("Joe King", "Jo King"),
        ("Sue Miller", "Su Miller"),
        ("Zoe Klein", "Zo Klein"),
        ("Manuel Groß", "Manul Groß"),
        ("Manuela Groß", "Manula Groß"),
        ("Joel Groß", "Jol Groß"),
        ("Noemi Groß", "Nomi Groß"),
        ("Jean Paul Ba", "jean paul sartre"),
        ("Anna Maria Ma", "Anna Maria kam"),
        ("JEAN PAUL BA", "jean paul sartre"),
        ("Hans Michael Herr", "Hans Michael kam"),
        ("Ma Xiao Ming", "Xiao Ming"),
    ],
)
def test_what_is_no_name_of_theirs_stays(name: str, text: str) -> None:
    assert cut(text, name) == text
    assert redact_text(text, [name]) == text
    assert cut(f"so {name} ja", name) == "so <NAME> ja"


@pytest.mark.parametrize(
    ("name", "text", "left"),
    [
        ("Inter Net", "InterNet, #internet", "<NAME>, #<NAME>"),
        ("Anna Müller", "AnnaMüller, #annamüller, @annamueller", "<NAME>, #<NAME>, @<NAME>"),
        ("Anna Mueller", "Anna Müller, Anna Muller, AnnaMuller", "<NAME>, <NAME>, <NAME>"),
        ("Jorg Schroeder", "Jorg Schröder, jorg schroeder", "<NAME>, <NAME>"),
        ("Samuel Goebel", "Samuel Göbel", "<NAME>"),
        ("Dr. Anna Müller", "Anna Müller", "<NAME>"),
        ("Anna Müller PhD", "Anna Müller", "<NAME>"),
        ("Anna Müller MA", "Anna Müller", "<NAME>"),
        ("Anna Müller M.A. 🌱", "Anna Müller", "<NAME>"),
        ("Anna\u3000Müller", "Anna Müller, Anna\u3000Müller", "<NAME>, <NAME>"),
        ("Anna Müller", "Anna\u3000Müller, Anna\u301cMüller, Anna\u3030Müller", "<NAME>, <NAME>, <NAME>"),
        ("山田 太郎", "山田\u3000太郎", "<NAME>"),
    ],
)
def test_names_go_however_they_are_spelled(name: str, text: str, left: str) -> None:
    assert cut(text, name) == left


@pytest.mark.parametrize("name", ["김 철수", "山田 太郎", "ガブ リエル", "สมชาย ใจดี", "Anna _Müller_"])
@pytest.mark.parametrize("text", ["{} hat 5 PS5 A1 B", "{} さん 2023年5月12日", "5 {}"])
def test_names_go_where_their_signs_are_borders_of_numbers(name: str, text: str) -> None:
    said = text.format(name)
    sought = name.replace("_", "")
    left = text.format(name.replace(sought, "<NAME>") if sought == name else "<NAME>_")
    assert redact(pa.array([said]), [sought]).texts.to_pylist() == [left]
    assert redact_text(said, [sought]) == left


@given(text=st.text(st.sampled_from("a\u00e4\u0344\u0301\u0327\u0345\u200b"), min_size=20, max_size=90))
def test_marks_in_any_number_have_one_spelling(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once
    assert normalise_batch(pa.array([once])).to_pylist() == [once]


@pytest.mark.parametrize("text", ["a" + "\u0344" * 20, "\u0344" * 40, "\u00e4" + "\u0344" * 17 + "1"])
def test_marks_that_are_two_have_one_spelling(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)

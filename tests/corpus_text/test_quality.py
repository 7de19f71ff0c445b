"""Quality: what carries nothing gets its reason, what people write stays, a tag is a function of one text."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.corpus.quality import BOILERPLATE, QUALITY, REASONS, SETTINGS, tag_quality
from demur.corpus.quality_signs import CHUNK_ROWS, classes
from demur.corpus.quality_words import FUNCTION_WORDS

DATA = Path(__file__).parents[3] / "shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="real posts are not here")
EXAMPLES = 400 if os.environ.get("DEMUR_NIGHTLY") else 40
NOUNS = "shoes bag watch phone case cable laptop mouse desk chair lamp sofa bed table rug mirror shelf box clock vase "

BAD = {
    "broken": [
        "GrÃ¼Ã\x9fe aus MÃ¼nchen",
        "Ð¿ÑÐ¸Ð²ÐµÑ Ð²ÑÐµÐ¼",
        "it\ufffds all \ufffd\ufffd gone",
        "Iâ€™m sure itâ€™s what weâ€™ve",
    ],
    "boilerplate": [
        "[deleted]",
        " removed. ",
        "<Media omitted>",
        "Just posted a photo https://a.example/p/1",
        "Lorem ipsum dolor sit amet, consectetur",
        "I'm at Central Station (Riga) http://s.example/x",
    ],
    "links_only": [
        "https://a.example/b",
        "@anna @ben",
        "<URL>",
        "<HANDLE> <URL_ID>",
        "#one #two",
        "www.a.example 😀",
        "(https://a.example/b)",
        "#красота @x",
    ],
    "no_words": ["😂😂😂", "5/5", "?!", ":-)", "1 2 3 4 5 6 7 8 9 10 11 12"],
    "stuffed": ["nice view #a #b #c #d #e #f https://a.example", "sale <URL> <URL> <URL> <URL> <URL> <URL> now"],
    "symbols": ["a -----=====-----=====----- b", "x 10:20 11:30 12:40 13:50 14:60 y", "|_o_| |___| /___\\ |___| |_o_|"],
    "repeated": [
        "loooooooooooooooooooooool",
        "hahahahahahahahahahahaha",
        "buy now buy now buy now buy now buy now buy now",
        "哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈哈",
        "ja ja ja ja ja ja ja ja ja ja ja ja ja",
    ],
    "blob": [
        "key 4f3c9a0b7d6e5f4c3b2a19087f6e5d4c3b2a19080f1e2d3c",
        "aGVsbG8gd29ybGQ5c29tZXRoaW5nMTIzNDU2Nzg5MA0KZm9v==",
    ],
    "word_list": [NOUNS + NOUNS.upper() + "cup plate fork spoon knife pan pot bowl glass jug kettle toaster"],
}

GOOD = [
    "lol",
    "ja!",
    "No.",
    "Ok kkkkkkkkkkkkkk, bom dia para todo mundo",
    "STOP! I SAID NO, AND I MEAN IT, YOU KNOW THAT",
    "Kellerwohnung 45 m², 650 € warm, ab 1.5. frei, bei Interesse melden",
    "Donaudampfschifffahrtsgesellschaftskapitän",
    "@anna @ben @carla danke euch!",
    "RT <HANDLE>: see <URL>, it is worth it",
    "我今天很高兴见到你们大家",
    "今日は天気がいいですね。",
    "ขอบคุณมากครับ",
    "مرحبا كيف حالك اليوم",
    "שלום לכולם",
    "नमस्ते दोस्तों",
    "ⵜⴰⵎⴰⵣⵉⵖⵜ ⵏ ⵍⵎⵖⵔⵉⴱ",
    "Happy birthday!!! 🎉🎉🎉🎂🎂🎂",
    "Čtvrtek: čtvrt na čtyři, smrt krtkovi. Strč prst skrz krk.",
    "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch",
    "sudo chown -R www-data /var/www",
    "x = y + 2; return x * 3",
    "C'est l'été à Paris !",
    "C’est ça…",
    "3 Äpfel, 2 Birnen",
    "# Heading of a note",
    "@ noon we meet",
    "a<B and B>c",
    "«Ä» und «Ö» sind Umlaute",
    "ÃO is how SÃO ends",
    "nooooo way",
]


def tags(texts: list[str | None], languages: list[str | None] | str | None = "en") -> list[str | None]:
    known = languages if isinstance(languages, list) else [languages] * len(texts)
    found: list[str | None] = tag_quality(pa.array(texts, pa.string()), pa.array(known, pa.string())).to_pylist()
    return found


@pytest.mark.parametrize("reason", REASONS)
def test_what_carries_nothing_gets_its_reason(reason: str) -> None:
    assert tags(BAD[reason]) == [reason] * len(BAD[reason])


@pytest.mark.parametrize("text", GOOD)
def test_what_people_write_stays(text: str) -> None:
    assert tags([text, text, text], [None, "en", "zz-unknown"]) == [None, None, None]


@pytest.mark.parametrize("text", [None, "", "   \n\t ", "\u00a0"])
def test_nothing_to_judge_is_no_fault(text: str | None) -> None:
    assert tags([text]) == [None]


def test_any_string_column_will_do() -> None:
    texts, nulls = ["fine words", "😀"], pa.array([None, None])
    assert tag_quality(pa.array(texts, pa.large_string()), nulls).to_pylist() == [None, "no_words"]
    assert tag_quality(pa.array(texts), pa.array(["en", "en"]).dictionary_encode()).to_pylist() == [None, "no_words"]
    assert tag_quality(nulls, nulls).to_pylist() == [None, None]
    assert tag_quality(pa.array([], pa.string()), pa.array([], pa.string())).to_pylist() == []


def test_a_list_of_words_is_one_in_a_known_language_only() -> None:
    text = BAD["word_list"][0]
    assert tags([text] * 4, ["en", "en-GB", "und", None]) == ["word_list", "word_list", None, None]
    assert tags([text + " and the rest"]) == [None]


ANY_TEXT = st.one_of(
    st.none(),
    st.sampled_from([text for texts in BAD.values() for text in texts] + GOOD),
    st.text(max_size=60),
    st.lists(
        st.sampled_from(["ha", "@a", "#b", "http://c.de", "<URL>", "ok", "the", "ä", "7", "😀", "\ufffd", "é" * 45]),
        max_size=40,
    ).map(" ".join),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.tuples(ANY_TEXT, st.sampled_from([None, "und", "en", "de-AT", "ja"])), max_size=12))
def test_a_tag_depends_on_one_text_alone(rows: list[tuple[str | None, str | None]]) -> None:
    texts, languages = [text for text, _ in rows], [language for _, language in rows]
    alone = [tags([text], [language])[0] for text, language in rows]
    assert tags(texts, languages) == alone
    assert tags(texts[::-1], languages[::-1]) == alone[::-1]
    column = pa.chunked_array(
        [pa.array(["x", *texts], pa.string()).slice(1), pa.array(texts, pa.large_string()).cast("string")]
    )
    assert tag_quality(column, pa.array(languages * 2, pa.string())).to_pylist() == alone * 2


def test_chunks_of_work_change_nothing() -> None:
    texts = ["[deleted]", "fine words here", "😀"] * (CHUNK_ROWS // 2)
    long = "word after word of it " * 200_000  # more than one chunk's bytes alone
    found = tags([*texts, long, *texts])
    assert found == ["boilerplate", None, "no_words"] * (CHUNK_ROWS // 2) + ["repeated"] + found[: len(texts)]


def test_the_name_stands_for_these_settings() -> None:
    """A change of any of these is a change of every corpus: give it a new name."""
    facts = repr((SETTINGS, REASONS, BOILERPLATE, sorted(FUNCTION_WORDS.items()))).encode() + classes().tobytes()
    assert (QUALITY, hashlib.sha256(facts).hexdigest()[:16]) == ("demur-quality-1", "31599173ba429d45")


def test_letters_are_the_same_on_every_python() -> None:
    assert np.bincount(classes())[:8].sum() == len(classes())
    assert [int(classes()[ord(sign)]) for sign in "Aaß中٣\u0301!😀\u07ca"] == [1, 2, 2, 3, 4, 5, 6, 7, 3]


def column(path: str, place: int) -> list[str]:
    lines = (DATA / path).read_text("utf-8-sig").splitlines()
    return [line.split("\t")[place] for line in lines if line.count("\t") >= place]


@needs_data
@pytest.mark.parametrize(
    ("path", "place", "language", "most"),
    [
        ("germeval2018/germeval2018.test.txt", 0, "de", 0.001),
        ("dkhate/offenseval-da-training-v1.tsv", 1, "da", 0.006),
        ("tatoeba_swedish/swe.txt", 1, "sv", 0.0005),
    ],
)
def test_real_posts_stay(path: str, place: int, language: str, most: float) -> None:
    texts = column(path, place)
    found = tags(texts, language)
    assert len(texts) > 2_500
    assert sum(tag is not None for tag in found) <= most * len(texts)


@needs_data
def test_hardly_a_sentence_of_any_language_goes() -> None:
    worst = {}
    for folder in sorted(path for path in (DATA / "commonvoice_sentences").iterdir() if path.is_dir()):
        texts = [line for path in sorted(folder.glob("*.txt")) for line in path.read_text("utf-8").splitlines()][:4_000]
        found = tags(texts, folder.name.split("-")[0])
        worst[folder.name] = sum(tag is not None for tag in found) / len(texts)
    assert len(worst) >= 20
    assert max(worst.values()) <= 0.001, worst

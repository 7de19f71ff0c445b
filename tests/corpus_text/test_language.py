"""Languages and second languages: measured floors on real sentences, unknown where nothing can be said."""

from __future__ import annotations

import csv
import hashlib
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.corpus import language_model
from demur.corpus.dialect import tag_dialect
from demur.corpus.language import LANGUAGES, UNKNOWN, WRITTEN, language_of, tag_language
from demur.corpus.mixed import tag_mixed
from demur.errors import BrokenError

DATA = Path(__file__).parents[3] / "shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="real sentences are not here")
EXAMPLES = 400 if os.environ.get("DEMUR_NIGHTLY") else 25

FLOORS = {
    "cs": 0.95, "cy": 0.98, "de": 0.98, "el": 0.98, "es": 0.94, "et": 0.97, "eu": 0.97, "fy-NL": 0.95, "ga-IE": 0.97,
    "gl": 0.74, "hsb": 0.94, "hu": 0.98, "it": 0.96, "lv": 0.97, "mk": 0.94, "mt": 0.95, "nl": 0.97, "pl": 0.98,
    "rm-sursilv": 0.93, "ro": 0.98, "sk": 0.92, "sl": 0.96, "sv-SE": 0.97,
}  # fmt: skip
"""Locale of Common Voice → least share of right answers without a hint (docs/languages.md, less a margin)."""

SENTENCES = {
    "da": "Det er en dejlig dag, og vi skal ud at gå en tur i skoven",
    "en": "We walked along the river until it was dark and then went home",
    "fi": "Tänään on kaunis päivä ja lähdemme kävelylle metsään",
    "fr": "Nous avons marché le long de la rivière jusqu'à la tombée de la nuit",
    "is": "Við gengum meðfram ánni þangað til það var orðið dimmt",
    "nb": "Jeg vet ikke hva vi skal gjøre i morgen, men vi kan jo gå en tur",
    "nn": "Eg veit ikkje kva me skal gjera i morgon, men me kan jo gå ein tur",
    "pt": "Não sei o que vamos fazer amanhã, mas podemos sair para passear",
    "sq": "Nuk e di se çfarë do të bëjmë nesër, por mund të dalim për shëtitje",
    "uk": "Я не знаю, що ми будемо робити завтра, але можемо піти погуляти",
}


def sentences(folder: str, count: int) -> list[str]:
    """Return sentences that the model never saw (the folds of tools/language_samples.py)."""
    lines = {line for path in sorted((DATA / "commonvoice_sentences" / folder).glob("*.txt"))
             for line in path.read_text("utf-8").splitlines() if sum(map(str.isalpha, line)) >= 20}  # fmt: skip
    held = [line for line in lines if hashlib.sha256(f"voice {line}".encode()).digest()[0] % 10 < 2]
    return sorted(held, key=lambda line: hashlib.sha256(line.encode()).digest())[:count]


def tags(texts: list[str], hint: str | None = None) -> list[str]:
    found: list[str] = tag_language(pa.array(texts, pa.string()), pa.array([hint] * len(texts), pa.string()))[
        0
    ].to_pylist()
    return found


@needs_data
@pytest.mark.parametrize("folder", sorted(FLOORS))
def test_languages_are_told(folder: str) -> None:
    texts, expected = sentences(folder, 150), folder.split("-")[0]
    assert sum(tag == expected for tag in tags(texts)) / len(texts) >= FLOORS[folder]


@pytest.mark.parametrize("language", sorted(SENTENCES))
def test_languages_without_recorded_sentences_are_told(language: str) -> None:
    assert tags([SENTENCES[language]]) == [language]


@needs_data
def test_posts_are_told_and_a_wrong_hint_overrules_no_sure_answer() -> None:
    lines = (DATA / "germeval2018/germeval2018.test.txt").read_text("utf-8").splitlines()[:200]
    german = [line.split("\t")[0] for line in lines]
    assert sum(tag == "de" for tag in tags(german)) / len(german) >= 0.98
    assert sum(tag == "de" for tag in tags(german, "fr")) / len(german) >= 0.98
    with (DATA / "told_br/ToLD-BR.csv").open(encoding="utf-8", newline="") as rows:
        brazilian = [
            row["text"] for _, row in zip(range(600), csv.DictReader(rows), strict=False) if len(row["text"]) > 50
        ]
    assert sum(tag == "pt" for tag in tags(brazilian)) / len(brazilian) >= 0.95


@needs_data
def test_a_right_hint_settles_doubts() -> None:
    texts = sentences("gl", 200)
    assert tags(texts, "gl").count("gl") > tags(texts).count("gl")
    assert tags(texts, "gl_ES").count("gl") == tags(texts, "gl").count("gl")


@pytest.mark.parametrize(
    "text", ["", "   ", "12345 67890", "😀🔥", "lol", "<EMAIL> <PHONE>", "@anna #berlin https://x.example/abcdef"]
)
def test_too_little_is_unknown(text: str) -> None:
    assert tags([text], "de") == [UNKNOWN]


@pytest.mark.parametrize(
    "text", ["明日の天気はどうなりますか教えてください", "Jag", "Besok kita akan pergi ke pasar untuk membeli sayuran"]
)
def test_what_is_not_answered_is_unknown(text: str) -> None:
    assert tags([text]) == [UNKNOWN]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.one_of(st.none(), st.sampled_from(sorted(SENTENCES.values())), st.text(max_size=80)), max_size=12),
       st.data())  # fmt: skip
def test_a_tag_is_one_texts_own_whatever_stands_beside_it(texts: list[str | None], data: st.DataObject) -> None:
    hints = data.draw(
        st.lists(st.sampled_from([None, "de", "nn-NO", "pt_BR", "xx"]), min_size=len(texts), max_size=len(texts))
    )
    batch, hinted = pa.array(texts, pa.string()), pa.array(hints, pa.string())
    languages, confidence = tag_language(batch, hinted)
    dialects, mixed = tag_dialect(batch, languages), tag_mixed(batch, languages)
    for row in range(len(texts)):
        alone = batch.slice(row, 1)
        one, sure = tag_language(alone, hinted.slice(row, 1))
        assert one[0].as_py() == languages[row].as_py()
        assert sure[0].as_py() == confidence[row].as_py()
        assert tag_dialect(alone, one)[0].as_py() == dialects[row].as_py()
        assert tag_mixed(alone, one)[0].as_py() == mixed[row].as_py()
        assert one[0].as_py() in {*LANGUAGES, UNKNOWN}
        assert 0 <= sure[0].as_py() <= 1


def test_a_chunk_border_changes_nothing() -> None:
    texts = pa.array([*SENTENCES.values(), None, ""] * 3, pa.string())
    whole, _ = language_model.scores(texts, language_model.load())
    parts, _ = language_model.scores(texts, language_model.load(), chunk_rows=5)
    assert np.array_equal(whole, parts)


@pytest.mark.parametrize(("one", "two"), [("fr", "en"), ("nn", "fi"), ("uk", "en"), ("pt", "sq")])
def test_a_second_language_is_named_and_the_first_is_not(one: str, two: str) -> None:
    text = f"{SENTENCES[one]}. {SENTENCES[two]}."
    languages = pa.array([one, two])
    assert tag_mixed(pa.array([text, text]), languages).to_pylist() == [two, one]


def test_posts_of_one_language_have_no_second() -> None:
    texts = [f"{text}. {text}" for text in SENTENCES.values()]
    assert tag_mixed(pa.array(texts), pa.array(list(SENTENCES))).to_pylist() == [None] * len(texts)
    assert tag_mixed(pa.array([None, "", texts[0]]), pa.array(["de", None, "und"])).to_pylist() == [None] * 3


@needs_data
def test_real_posts_of_one_language_hardly_ever_get_a_second() -> None:
    lines = (DATA / "germeval2018/germeval2018.test.txt").read_text("utf-8").splitlines()[:400]
    assert (
        sum(
            tag is not None
            for tag in tag_mixed(pa.array([line.split("\t")[0] for line in lines]), pa.array(["de"] * 400)).to_pylist()
        )
        <= 2
    )


def test_one_text_reads_as_a_batch_of_one() -> None:
    assert language_of(SENTENCES["fr"])[0] == "fr"


def test_a_model_that_was_not_released_is_refused(tmp_path: Path) -> None:
    model = language_model.load()
    assert {WRITTEN.get(name, name) for name in model.classes} >= set(LANGUAGES)
    for name in ("language_model.json", "language_model.txt"):
        (tmp_path / name).write_bytes((Path(language_model.__file__).parent / name).read_bytes())
    assert language_model.read(tmp_path).classes == model.classes
    weights = bytearray((tmp_path / "language_model.txt").read_bytes())
    weights[1000] ^= 1
    (tmp_path / "language_model.txt").write_bytes(weights)
    with pytest.raises(BrokenError, match="digest"):
        language_model.read(tmp_path)

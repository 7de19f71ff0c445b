"""Toxicity: one text's tag is its own, unknown languages stay unknown, a model is its digest, training finds abuse."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.corpus.toxicity import BUCKETS, Model, letters_only, read_model, tag_toxicity, write_model
from demur.errors import ConfigError

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared/data"
EXAMPLES = 400 if os.environ.get("DEMUR_NIGHTLY") else 40
CARD = {"languages": ["de", "pt"], "scale": [0.02, 0.03], "bias": [0.1, -0.2], "threshold": [0.0, 0.1]}
WEIGHTS = np.random.default_rng(3).integers(-127, 128, (2, BUCKETS), np.int8)


def a_model(folder: Path) -> Model:
    write_model(folder, CARD, WEIGHTS)
    return read_model(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return a_model(tmp_path_factory.mktemp("model"))


def tags(texts: list[str | None], languages: list[str | None], model: Model) -> list[tuple[str | None, float | None]]:
    labels, scores = tag_toxicity(pa.array(texts, pa.string()), pa.array(languages, pa.string()), model)
    assert (labels.type, scores.type) == (pa.string(), pa.float32())
    return list(zip(labels.to_pylist(), scores.to_pylist(), strict=True))


ANY_TEXT = st.one_of(
    st.none(),
    st.text(max_size=40),
    st.lists(st.sampled_from(["du", "Idiot", "@a", "#b", "http://c.de", "<URL>", "schööön", "ü", "7", "😀", "\0"])).map(
        " ".join
    ),
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(rows=st.lists(st.tuples(ANY_TEXT, st.sampled_from([None, "und", "de", "pt-BR", "fr"])), max_size=10))
def test_a_tag_depends_on_one_text_and_its_language_alone(
    rows: list[tuple[str | None, str | None]], model: Model
) -> None:
    texts, languages = [text for text, _ in rows], [language for _, language in rows]
    alone = [tags([text], [language], model)[0] for text, language in rows]
    assert tags(texts, languages, model) == alone
    assert tags(texts[::-1], languages[::-1], model) == alone[::-1]
    assert all(score is None for (_, score), language in zip(alone, languages, strict=True) if language in {None, "fr"})


def test_unknown_is_an_answer(model: Model) -> None:
    assert tags(["Guten Tag"] * 3, ["fr", "und", None], model) == [(None, None)] * 3
    assert tags([None, "", "😀 123 @x <URL>"], ["de"] * 3, model) == [(None, None)] * 3


def test_any_string_column_will_do(model: Model) -> None:
    plain = tags(["du Idiot", "ja"], ["de", "de"], model)
    columns = pa.chunked_array([["du Idiot"], ["ja"]], pa.large_string()), pa.array(["de", "DE-at"]).dictionary_encode()
    found = [part.to_pylist() for part in tag_toxicity(*columns, model)]
    assert list(zip(*found, strict=True)) == plain
    assert tag_toxicity(pa.array([None]), pa.array([None]), model)[0].to_pylist() == [None]
    assert tag_toxicity(pa.array([], pa.string()), pa.array([], pa.string()), model)[1].to_pylist() == []


def test_only_the_authors_own_letters_count(model: Model) -> None:
    same = [
        "Das ist SCHÖÖÖÖN",
        "das ist schöön",
        "@anna das, ist: schööön! 😀 https://a.example/b #tag",
        "<HANDLE> das ist schöön 12",
    ]
    assert len({score for _, score in tags(same, ["de"] * 4, model)}) == 1
    assert tags(["das ist schöön"], ["pt"], model) != tags(["das ist schöön"], ["de"], model)
    signs, starts = letters_only(pa.array(["Hi  you", ""]))
    assert "".join(map(chr, signs)) == " hi you \0 \0"
    assert starts.tolist() == [0, 9, 11]


def test_the_score_is_the_sum_that_the_weights_say(model: Model) -> None:
    found = {}
    for text in ("ab", "ba"):
        grams = [" a", "ab", "b ", " ab", "ab ", " ab "] if text == "ab" else [" b", "ba", "a ", " ba", "ba ", " ba "]
        total = sum(int(WEIGHTS[0, bucket(gram)]) for gram in grams)
        odds = total * 0.02 / np.sqrt(len(grams)) + 0.1
        found[text] = ("toxic" if odds >= 0 else None, pytest.approx(1 / (1 + np.exp(-odds)), abs=1e-6))
    assert tags(["ab", "ba"], ["de", "de"], model) == list(found.values())


def bucket(gram: str) -> int:
    """The hash of docs/model-cards/toxicity.md, a sign at a time."""
    state = 0x9E3779B1
    for sign in gram:
        state = (state ^ ord(sign)) * 0x01000193 & 0xFFFFFFFF
        state ^= state >> 15
    return (state * 0x85EBCA6B & 0xFFFFFFFF) >> 17


def test_a_changed_model_is_refused(tmp_path: Path) -> None:
    assert a_model(tmp_path / "one").digest == a_model(tmp_path / "two").digest
    changed = json.loads((tmp_path / "two/toxicity_model.json").read_text("utf-8"))
    changed["threshold"][0] = -9.0
    (tmp_path / "three").mkdir()
    (tmp_path / "three/toxicity_model.json").write_text(json.dumps(changed), "utf-8")
    (tmp_path / "three/toxicity_model.txt").write_bytes((tmp_path / "two/toxicity_model.txt").read_bytes())
    with pytest.raises(ConfigError, match="differs"):
        read_model(tmp_path / "three")
    with pytest.raises(ConfigError, match="train one"):
        read_model(tmp_path / "none")


@pytest.fixture(scope="module")
def trainer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_toxicity", ROOT / "tools/train_toxicity.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_platform_trains_on_its_own_moderation(
    tmp_path: Path, trainer: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, fine = ["gronk", "flimsel", "drubbel"], ["garden", "coffee", "train", "music"]
    lines = [f"en-GB\t1\tyou are a {bad[row % 3]} and number {row}th fool" for row in range(60)]
    lines += [f"en\t0\tmy {fine[row % 4]} is lovely on day {row}th of the year" for row in range(120)]
    (tmp_path / "own.tsv").write_text("\n".join(lines) + "\n", "utf-8")
    trainer.main(["--posts", str(tmp_path / "own.tsv"), "--out", str(tmp_path / "model")])
    learned = read_model(tmp_path / "model")
    assert learned.languages == ("en",)
    assert f"digest {learned.digest}" in capsys.readouterr().out
    found = tags(
        ["what a gronk you are", "my coffee is lovely today", "what a gronk you are"], ["en", "en", "de"], learned
    )
    assert [label for label, _ in found] == ["toxic", None, None]
    assert found[2] == (None, None)


@pytest.mark.skipif(not (DATA / "ro_fb_offense").is_dir(), reason="real posts are not here")
def test_abuse_in_real_comments_is_found(trainer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    posts = [post for post in trainer.research(DATA) if post.language == "ro"]
    learned = [post for post in posts if not trainer.is_test(post)][:1_500]
    held = [post for post in posts if trainer.is_test(post)]
    weights, bias = trainer.train(trainer.bags([post.text for post in learned]), [post.toxic for post in learned])
    scale = float(np.abs(weights).max()) / 127
    card = {"languages": ["ro"], "scale": [scale], "bias": [bias], "threshold": [0.0]}
    write_model(tmp_path, card, np.rint(weights / scale).astype(np.int8)[None])
    found = tags([post.text for post in held], ["ro"] * len(held), read_model(tmp_path))
    named = np.array([label is not None for label, _ in found])
    truth = np.array([post.toxic for post in held])
    assert 2 * (named & truth).sum() / (named.sum() + truth.sum()) >= 0.65
    assert not {post.key for post in learned} & {post.key for post in held}

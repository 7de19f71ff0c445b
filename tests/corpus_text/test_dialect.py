"""Dialects: measured floors on held-out sentences; standard languages get none."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pyarrow as pa
import pytest

from demur.corpus import language_model
from demur.corpus.dialect import DIALECTS, tag_dialect
from demur.corpus.language import WRITTEN, tag_language

DATA = Path(__file__).parents[3] / "shared/data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="real sentences are not here")


def held_out(name: str) -> list[str]:
    """Return xSID's sentences of the folds that the model never saw, split by the English original."""
    found = []
    for block in (DATA / f"xsid_valid/{name}.valid.conll").read_text("utf-8").split("\n\n"):
        fields = dict(
            line[2:].split(" = ", 1) for line in block.splitlines() if line.startswith("# ") and " = " in line
        )
        if "id" in fields and hashlib.sha256(f"xsid {fields['id']}".encode()).digest()[0] % 10 < 2:
            found.append(fields["text"])
    return found


@needs_data
@pytest.mark.parametrize(
    ("name", "dialect", "floor"),
    [("gsw", "gsw", 0.7), ("nap", "nap", 0.7), ("de-ba", "bar", 0.7), ("de-st", "bar-IT", 0.6)],
)
def test_dialects_keep_their_language_and_get_a_tag(name: str, dialect: str, floor: float) -> None:
    texts = pa.array(held_out(name))
    languages, _ = tag_language(texts)
    assert tag_dialect(texts, languages).to_pylist().count(dialect) / len(texts) >= floor
    assert languages.to_pylist().count(WRITTEN[dialect]) / len(texts) >= 0.8


@needs_data
@pytest.mark.parametrize(("name", "language"), [("de", "de"), ("it", "it"), ("nl", "de")])
def test_standard_languages_get_no_dialect(name: str, language: str) -> None:
    texts = held_out(name)
    found = tag_dialect(pa.array(texts), pa.array([language] * len(texts))).to_pylist()
    assert sum(tag is not None for tag in found) <= 2


def test_a_dialect_is_only_looked_for_beside_its_language() -> None:
    texts = pa.array(["Mir gönd hüt go poschte und nochher no is Kino"] * 4 + [None, "hoi"])
    found = tag_dialect(texts, pa.array(["de", "de-CH", "fr", None, "de", "de"])).to_pylist()
    assert found == ["gsw", "gsw", None, None, None, None]


def test_norwegian_dialects_are_never_named() -> None:
    texts = pa.array(["Æ veit ikkje ka vi ska gjør i mårra, men vi kainn jo gå en tur"])
    assert tag_dialect(texts, pa.array(["nb"])).to_pylist() == [None]


def test_what_is_named_is_a_class_of_the_model() -> None:
    assert set(DIALECTS) <= set(language_model.load().classes)

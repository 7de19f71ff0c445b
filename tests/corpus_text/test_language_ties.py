"""Where a language may hide behind another and both are as likely, a post is not lost: the reliable answer stands."""

from __future__ import annotations

import pyarrow as pa

from demur.corpus.language import MEANT, tag_language

_TIED = {
    "es": [
        "Crear entra días con empleo, todo nación en sigo.",
        "Torneo conseguir dos un sobre pueden, debido son factor",
    ],
    "bg": ["Снимка но не човек но георги, руски и след футболисти. Когото г от химия политиката около децата точка."],
}


def test_what_ties_with_a_hidden_language_gets_the_one_that_hides_it() -> None:
    for language, texts in _TIED.items():
        tags, confidence = tag_language(pa.array(texts))
        assert tags.to_pylist() == [language] * len(texts)
        assert max(confidence.to_pylist()) < 0.7  # and says that it is unsure
        assert len(MEANT[language]) > 1


def test_what_is_no_language_stays_unknown() -> None:
    tags, _ = tag_language(pa.array(["xq zzt", "12345 67890", "!!!", "", None]))
    assert set(tags.to_pylist()) == {"und"}

"""Recognisers join their findings with the rules' and answer for themselves; names go in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest

from demur.corpus.redact import redact
from demur.corpus.redact_models import TransformersRecogniser
from demur.corpus.redact_names import redact_names
from demur.corpus.redact_patterns import Span
from demur.corpus.redact_plugins import Recogniser, recogniser
from demur.errors import BrokenError, ConfigError


class Anna:
    """Finds the word Anna and what hangs on it up to the next blank."""

    version = "anna/1"

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        places = [text.find("Anna") for text in texts]
        return [
            [(at, at + len(text[at:].split(" ")[0]), "NAME")] if at >= 0 else []
            for at, text in zip(places, texts, strict=True)
        ]


class Broken:
    version = "broken/1"

    def __init__(self, spans: list[list[Span]]) -> None:
        self.spans = spans

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        return self.spans


def test_findings_join_where_they_overlap() -> None:
    texts = pa.array(["Anna spoke", None, "", "Anna.Bo@example.org wrote", "+48 512 345 678", "X Anna\u0338 Y"])
    redacted = redact(texts, plugins=[Anna()])
    assert isinstance(Anna(), Recogniser)
    assert redacted.texts.to_pylist() == ["<NAME> spoke", None, "", "<EMAIL> wrote", "<PHONE>", "X <NAME> Y"]
    assert redacted.counts == {"EMAIL": 1, "NAME": 2, "PHONE": 1}
    assert redact(redacted.texts).texts.equals(redacted.texts)


@pytest.mark.parametrize("spans", [[], [[(0, 99, "NAME")]], [[(3, 3, "NAME")]], [[(0, 2, "<b>")]], [[(-1, 2, "NAME")]]])
def test_spans_that_no_text_has_are_refused(spans: list[list[Span]]) -> None:
    with pytest.raises(BrokenError, match="broken/1"):
        redact(pa.array(["words"]), plugins=[Broken(spans)])


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"demur\.recognisers"):
        recogniser("nobody")
    with pytest.raises(ConfigError, match="local folder"):
        TransformersRecogniser("/nowhere/at/all")


def test_names_go_with_the_rest() -> None:
    texts = pa.array(["Anna Müller, anna@example.org, sagt", "ANNA  MÜLLER: 0151 234 56789", None, "anna müllerin"])
    names = ["Anna Müller", "Anna"]
    together = redact(texts, names=names)
    assert together.texts.to_pylist() == ["<NAME>, <EMAIL>, sagt", "<NAME>: <PHONE>", None, "anna müllerin"]
    assert together.texts.equals(redact_names(redact(texts).texts, names))
    assert redact(together.texts, names=names).texts.equals(together.texts)


def test_a_token_classifier_from_a_folder_is_read_and_named_by_its_weights(tmp_path: Path) -> None:
    """A real model of transformers, tiny and untrained: every word gets the label that its bias says."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForTokenClassification, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "Anna": 2}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(tmp_path)
    labels = {0: "O", 1: "B-private_person"}
    shape = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 8,
        "vocab_size": 3,
    }
    model = BertForTokenClassification(BertConfig(**shape, id2label=labels, label2id={v: k for k, v in labels.items()}))
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([0.0, 5.0]))
    model.save_pretrained(tmp_path)
    made = recogniser("transformers", folder=str(tmp_path))
    assert made.version.startswith(f"transformers/{tmp_path.name}/0.5/")
    assert redact(pa.array(["Anna", "", None]), plugins=[made]).texts.to_pylist() == ["<NAME>", "", None]


def test_spacy_finds_names_in_french() -> None:
    pytest.importorskip("spacy")
    pytest.importorskip("fr_core_news_sm")
    made = recogniser("spacy", model="fr_core_news_sm")
    assert made.version.startswith("spacy/fr_core_news_sm/3.")
    text = "Hier, Camille Dubois a écrit à Paris depuis camille@example.org."
    redacted = redact(pa.array([text]), plugins=[made]).texts.to_pylist()[0]
    assert "Camille Dubois" not in redacted
    assert "<EMAIL>" in redacted

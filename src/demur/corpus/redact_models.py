"""Recognisers that ask a model for names in free text: GLiNER, transformers (openai/privacy-filter), spaCy.

Nothing here is part of the rules or of an installation: a library is imported when its recogniser is named, and weights
come from a local folder or an installed package, never from the network. One text at a time goes in, so that what
stands beside a text cannot change its spans by a rounding. ``version`` holds the digest of the weights.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from demur.corpus.redact_patterns import Span
from demur.errors import ConfigError

KINDS: dict[str, str] = {
    "PER": "NAME", "PERSON": "NAME", "private_person": "NAME", "person": "NAME",
    "private_address": "ADDRESS", "address": "ADDRESS", "private_email": "EMAIL", "email": "EMAIL",
    "private_phone": "PHONE", "phone number": "PHONE", "private_url": "URL_ID", "account_number": "ID", "secret": "ID",
    "identity number": "ID", "username": "HANDLE",
}  # fmt: skip
"""Label of a model → our kind; other labels (organisations, places, dates) are passed over."""


class SpacyRecogniser:
    """Names by a pipeline of spaCy.

    Args:
        model: name of an installed pipeline (``fr_core_news_sm``) or a folder.
        kinds: label → our kind.
    """

    def __init__(self, model: str, kinds: Mapping[str, str] = KINDS) -> None:
        spacy = _library("spacy")
        self._pipeline = spacy.load(
            model, exclude=["tagger", "parser", "lemmatizer", "attribute_ruler", "morphologizer"]
        )
        self._kinds = dict(kinds)
        meta = self._pipeline.meta
        self.version = f"spacy/{meta['lang']}_{meta['name']}/{meta['version']}/{_digest(Path(self._pipeline.path))}"

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the entities of each text whose label has a kind."""
        documents = (self._pipeline(text) for text in texts)
        return [
            [
                (one.start_char, one.end_char, self._kinds[one.label_])
                for one in document.ents
                if one.label_ in self._kinds
            ]
            for document in documents
        ]


class TransformersRecogniser:
    """Names and more by a token classifier of transformers, such as openai/privacy-filter.

    Args:
        folder: weights, configuration and tokenizer.
        threshold: least score of a span.
        kinds: label without ``B-``, ``I-`` … → our kind.
    """

    def __init__(self, folder: str, threshold: float = 0.5, kinds: Mapping[str, str] = KINDS) -> None:
        transformers = _library("transformers")
        place = _folder(folder)
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, local_files_only=True)
        model = transformers.AutoModelForTokenClassification.from_pretrained(place, local_files_only=True)
        self._classifier = transformers.pipeline(
            "token-classification", model=model, tokenizer=tokenizer, aggregation_strategy="simple", device="cpu"
        )
        self._threshold, self._kinds = threshold, dict(kinds)
        self.version = f"transformers/{place.name}/{threshold}/{_digest(place)}"

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text that score high enough and whose label has a kind."""
        return [[*self._spans(text, self._classifier(text))] for text in texts]

    def _spans(self, text: str, answers: Sequence[Mapping[str, Any]]) -> list[Span]:
        return [
            (start, end, self._kinds[one["entity_group"]])
            for one in answers
            if one["entity_group"] in self._kinds and one["score"] >= self._threshold
            for start, end in [_trimmed(text, int(one["start"]), int(one["end"]))]
            if start < end
        ]


class GlinerRecogniser:
    """Names and more by GLiNER, which takes the labels to look for as words.

    Args:
        folder: weights, configuration and tokenizer.
        threshold: least score of a span.
        kinds: label → our kind.
    """

    def __init__(self, folder: str, threshold: float = 0.5, kinds: Mapping[str, str] | None = None) -> None:
        gliner = _library("gliner")
        place = _folder(folder)
        self._model = gliner.GLiNER.from_pretrained(str(place), local_files_only=True)
        self._threshold = threshold
        self._kinds = dict(
            kinds or {label: KINDS[label] for label in ("person", "address", "phone number", "username")}
        )
        self.version = f"gliner/{place.name}/{threshold}/{_digest(place)}"

    def find(self, texts: Sequence[str]) -> list[list[Span]]:
        """Return the spans of each text that score high enough."""
        labels = sorted(self._kinds)
        answers = (self._model.predict_entities(text, labels, threshold=self._threshold) for text in texts)
        return [[(one["start"], one["end"], self._kinds[one["label"]]) for one in answer] for answer in answers]


def _library(name: str) -> Any:
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError as error:
        raise ConfigError(f"Expected the library {name} for this recogniser, found none. Install it.") from error


def _folder(folder: str) -> Path:
    place = Path(folder)
    if not place.is_dir():
        raise ConfigError("Expected a local folder with a model's weights, found none. Download the model first.")
    return place


def _digest(folder: Path) -> str:
    """Return the digest of every file of a folder, names included."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts):
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Return a span without the blanks at its ends, which tokenizers count to a word."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end

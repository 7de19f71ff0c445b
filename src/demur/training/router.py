"""Which region answers: by the caller's language or region, or by the text's language. Routed, never averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demur.errors import InputError
from demur.store.files import read_json, write_json
from demur.terms.manifests import CorpusManifest, RegionModel
from demur.training.modelfiles import read_model


def write_router(folder: Path, corpus: CorpusManifest, regions: Sequence[RegionModel]) -> None:
    """Write router.json from the corpus' recipe: language or dialect tag → region, and the region for all others."""
    recipe = corpus.inputs["recipe"]
    write_json(
        folder / "router.json",
        {
            "languages": dict(sorted(recipe["regions"].items())),
            "other_region": recipe["other_region"],
            "regions": sorted(region.region for region in regions),
        },
    )


def detect_language(text: str) -> str:
    """Return the text's language by ELD (EVIDENCE §3); empty when it cannot tell."""
    import eldc

    eldc.init()
    return str(eldc.detect(text) or "")


@dataclass(frozen=True, slots=True)
class Router:
    """Language or text → region."""

    languages: dict[str, str]
    other_region: str
    detect: Callable[[str], str] = detect_language
    """Text → BCP 47 tag; the flow may hand in the corpus room's tagger, which knows dialects."""

    @classmethod
    def of(cls, folder: Path, detect: Callable[[str], str] = detect_language) -> Router:
        """Read a model's router."""
        found = read_json(folder / "router.json")
        return cls(found["languages"], found["other_region"], detect)

    def for_language(self, tag: str) -> str:
        """Return the region of a language or dialect tag; shorter and shorter prefixes are tried.

        >>> Router({"de": "german"}, "other").for_language("de-CH")
        'german'
        """
        parts = tag.split("-")
        for length in range(len(parts), 0, -1):
            region = self.languages.get("-".join(parts[:length]))
            if region is not None:
                return region
        return self.other_region

    def for_text(self, text: str) -> str:
        """Return the region of a text by its language."""
        return self.for_language(self.detect(text))


def region_folder(model_dir: Path, region: str) -> Path:
    """Return the Hugging Face folder of a region as the manifest names it.

    Raises:
        InputError: the model has no such region.
    """
    for entry in read_model(model_dir).regions:
        if entry.region == region:
            return model_dir / entry.path
    raise InputError(f"expected a region of this model, found {region!r}; router.json lists them")


def generate(
    model_dir: Path,
    prompt: str,
    *,
    region: str | None = None,
    language: str | None = None,
    max_new_tokens: int = 40,
    seed: int | None = None,
) -> str:
    """Return the model's continuation of a prompt, by the region asked for, the language's, or the text's.

    Args:
        model_dir: folder of the model.
        prompt: text to go on from.
        region: region to ask.
        language: else the region of this language; neither: the text's.
        max_new_tokens: at most so many tokens.
        seed: sample with this seed; ``None`` = the likeliest token each time.
    """
    import torch

    from demur.training.learn import Encoder, load_model

    router = Router.of(model_dir)
    chosen = region or (router.for_language(language) if language else router.for_text(prompt))
    folder = region_folder(model_dir, chosen)
    model: Any = load_model(folder).eval()
    encoder = Encoder(folder, max_tokens=1 << 20)
    ids = encoder.prompt(prompt)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed or 0)
        out = model.generate(
            torch.tensor([ids]),
            attention_mask=torch.ones((1, len(ids)), dtype=torch.long),
            max_new_tokens=max_new_tokens,
            do_sample=seed is not None,
            pad_token_id=model.config.pad_token_id or 0,
        )
    return encoder.text(out[0, len(ids) :].tolist())

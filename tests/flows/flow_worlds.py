"""A hand-made platform of about fifteen people, and what the tests of the flows ask of it.

Everything runs as it does for a real platform: intake, registry, decisions, corpus, training, erasure. The stages run
in this process (the same entry point, without the cost of a child's start); test_killed.py runs real children.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import orjson

from demur.clock import parse
from demur.flows.build import build_corpus, plan_for, train_model
from demur.flows.erase import Erased, erase
from demur.flows.intake import Campaign, take_in, tell
from demur.flows.objection import object_
from demur.flows.parts import Parts, corpus_folder, current, model_folder
from demur.flows.verify import Rebuilt, rebuild_clean
from demur.lineage import SealedFile
from demur.store import Workspace, stage
from demur.terms.manifests import CorpusRecipe
from demur.training import make_base, open_base
from demur.wiring import open_parts

AS_OF = parse("2026-06-01")
LATER = parse("2026-06-10")
POLICY = "demur-strict"
RECIPE = CorpusRecipe(regions={"en": "en"}, other_region="rest", shards=4, slices=2)
CONSTANTS: dict[str, Any] = {
    "epochs": 1, "cells": 2, "max_tokens": 32, "tokens_per_cell": 128, "lora_rank": 2, "grain": 4,
}  # fmt: skip
SENTINEL = "quillfeather marzipan observatory"
"""Words that only Olga Sentinelle writes."""

_ENGLISH = """
the weather in our small town was lovely today and people walked along the river while children played near
old bridge before dinner we cooked potatoes with butter garlic fresh herbs then watched stars shine over quiet
hills tomorrow morning everyone will travel by train to visit museum gallery market library garden castle
""".split()  # noqa: SIM905  (words read better as a text)
_GERMAN = """
das Wetter in unserer kleinen Stadt war heute wunderschön und viele Leute gingen am Fluss spazieren während
Kinder bei der alten Brücke spielten vor dem Abendessen kochten wir Kartoffeln mit Butter Knoblauch frischen
Kräutern danach sahen wir Sterne über stillen Hügeln leuchten morgen früh fahren alle mit dem Zug ins Museum
""".split()  # noqa: SIM905  (words read better as a text)

SHORT = "the garden is lovely today"
LONG = "before dinner we cooked potatoes with butter and garlic and then watched the stars over the quiet old hills"

NAMES = {
    "ana": "Ana Alvarado", "ben": "Ben Brodersen", "cleo": "Cleo Castellan", "dora": "Dora Dunkelberg",
    "eli": "Eli Eastwick", "fred": "Fred Falkenrath", "gil": "Gil Grünewald", "hana": "Hana Hollister",
    "ivo": "Ivo Ironside", "jana": "Jana Jellicoe", "kurt": "Kurt Kestrel", "lena": "Lena Lindqvist",
    "mia": "Mia Marchetti", "nils": "Nils Nightingale", "olga": "Olga Sentinelle",
}  # fmt: skip


def sentence(seed: str, words: int = 14, *, german: bool = False) -> str:
    chance = random.Random(hashlib.sha256(seed.encode()).hexdigest())
    return " ".join(chance.choice(_GERMAN if german else _ENGLISH) for _ in range(words))


def accounts() -> list[dict[str, Any]]:
    def one(name: str, person: str | None = None, **facts: Any) -> dict[str, Any]:
        return {
            "account_id": f"agora:{name}", "version_at": "2020-01-01T00:00:00Z", "service": "agora",
            "person_hint": person or f"p-{name}", "handle": f"{name}_{len(name)}x", "display_name": NAMES.get(name),
            "country": "PT" if name in {"kurt", "lena"} else "DE", "residence_source": "registration",
            "born_on": "1985-03-04", "age_source": "verified", "status": "active", "private": False,
            "created_at": "2020-01-01T00:00:00Z", "source": "demo",
        } | facts  # fmt: skip

    return [*(one(name) for name in NAMES), one("cleo2", "p-cleo", display_name="C. C.")]


def item(item_id: str, account: str, text: str | None, kind: str = "post", **facts: Any) -> dict[str, Any]:
    made = "2025-05-05T10:00:00Z"
    return {
        "item_id": f"agora:{item_id}", "version_at": made, "created_at": made, "state": "live", "service": "agora",
        "kind": kind, "account_id": f"agora:{account}", "audience": "public", "text": text,
    } | facts  # fmt: skip


def items() -> list[dict[str, Any]]:
    """Three posts of everybody in one or two languages, and the relations that make leaving hard."""
    rows = [
        item(f"{name}-{number}", name, sentence(f"{name}{number}", german=number == 2 and name < "h"))
        for name in NAMES
        for number in range(3)
    ]
    rows += [item(f"cleo2-{number}", "cleo2", sentence(f"cleo2{number}", german=number > 0)) for number in range(3)]
    by_ana = item("ana-reshared", "ana", sentence("ana's own words", 18))
    rows += [
        by_ana,
        item("ben-reshare", "ben", by_ana["text"], "reshare", original_id="agora:ana-reshared"),
        item("dora-quote", "dora", sentence("dora comments", 12), "quote", original_id="agora:ana-reshared"),
        item("eli-mention", "eli", f"yesterday Ana Alvarado and Gil Grünewald {sentence('eli on ana', 10)}"),
        item("hana-mention", "hana", f"we saw Olga Sentinelle again near {sentence('hana on olga', 9)}"),
        item("kurt-photo", "kurt", sentence("kurt's photo", 12), "photo"),
        item("lena-photo", "lena", sentence("lena's photo", 12), "photo"),
        item("olga-sentinel", "olga", f"{SENTINEL} {sentence('olga', 10)}"),
    ]
    for author in ("gil", "ivo", "jana"):  # exact copies: somebody's becomes the record
        rows += [item(f"{author}-short", author, SHORT), item(f"{author}-long", author, LONG)]
    return rows


def write_dump(folder: Path, rows: list[dict[str, Any]]) -> Path:
    folder.mkdir(parents=True)
    for name, lines in (("accounts.jsonl", accounts()), ("items.jsonl", rows)):
        (folder / name).write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return folder


def in_process() -> Any:
    """Stand in for the start of a child process: the stage is performed here; a context."""
    return mock.patch.object(stage.Child, "serve", lambda _self, folder: (stage.perform(folder), ""))


class Platform:
    """One workspace and what tests do with it."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    @property
    def space(self) -> Workspace:
        return self.parts.workspace

    @property
    def digests(self) -> tuple[str | None, str | None]:
        from demur.corpus import read_manifest
        from demur.training import read_model

        here = current(self.space)
        corpus = read_manifest(corpus_folder(self.space)).digest if here.corpus else None
        return corpus, read_model(model_folder(self.space)).model_digest if here.model else None

    def populate(self, dump: Path) -> None:
        take_in(self.parts, "demo", [dump], mapping=None, service=None, at=parse("2026-01-01"))
        campaign = Campaign("c-1", "train-generative-ai", parse("2026-03-01"), 45, "email")
        tell(self.parts, campaign, None, delivered_at=parse("2026-01-10"), at=parse("2026-01-10"))

    @staticmethod
    def recipe(**facts: Any) -> CorpusRecipe:
        return replace(RECIPE, **facts)

    def build(self, *, known_at: datetime = AS_OF, recipe: CorpusRecipe = RECIPE) -> Any:
        return build_corpus(self.parts, POLICY, recipe, as_of=AS_OF, known_at=known_at)

    def rebuild(self) -> None:
        self.build()

    def train(self, *, at: datetime = AS_OF, **constants: Any) -> Any:
        base = open_base(self.space.models / "base", self.space.models)
        plan = plan_for(self.parts, base, **{**CONSTANTS, **constants})
        return train_model(self.parts, plan, base, at=at, workers=1)

    def object(self, *names: str, at: datetime = LATER - timedelta(hours=1)) -> None:
        for name in names:
            object_(self.parts, {"person_id": f"agora:p-{name}"}, {}, door="web", at=at)

    def erase(self, at: datetime = LATER) -> Erased:
        return erase(self.parts, at=at, workers=1, clock=lambda: at)

    def certificate(self, done: Erased) -> Any:
        return orjson.loads(Path(str(done.certificate)).read_bytes())

    def clean(self) -> Rebuilt:
        return rebuild_clean(self.parts, at=LATER, workers=1)

    def lineage(self, corpus: Path | None = None) -> list[dict[str, Any]]:
        path = (corpus or corpus_folder(self.space)) / "sealed" / "lineage.sealed"
        sealed = SealedFile(path, "lineage", secret=self.parts.keys.secret("lineage"))
        return [row for table in sealed.all() for row in table.to_pylist()]

    def records(self) -> dict[str, dict[str, Any]]:
        """Item whose text became the record → the record."""
        import pyarrow.parquet as pq

        rows = {
            r["record_id"]: r
            for f in corpus_folder(self.space).rglob("*.parquet")
            for r in pq.read_table(f).to_pylist()
        }
        return {
            one["item_id"].removeprefix("agora:"): rows[one["record_id"]]
            for one in self.lineage()
            if one["role"] == "author"
        }

    def authors(self) -> set[str]:
        return {one["person_id"].removeprefix("agora:p-") for one in self.lineage() if one["role"] == "author"}


@contextmanager
def opened(root: Path) -> Iterator[Platform]:
    with open_parts(Workspace(root, seed=b"flows")) as parts:
        yield Platform(parts)


def make(root: Path) -> None:
    """Write, take in, build and train: the workspace that every test gets a copy of."""
    dump = write_dump(root / "platform", items())
    with opened(root) as here:
        here.populate(dump)
        texts = [("en", sentence(f"base{n}", german=n % 2 == 0)) for n in range(150)]
        make_base(
            texts, here.space.models / "base", vocab=300, hidden=16, layers=1, heads=2, steps=5, batch=4, max_tokens=32
        )
        here.build()
    shutil.copytree(root, root.with_name("untrained"))
    with opened(root) as here:
        here.train()


def tree_digest(root: Path, *, without: tuple[str, ...] = ("work",)) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
        and path.relative_to(root).parts[0] not in without
        and not path.name.endswith(("-shm", "-wal"))  # SQLite's own, also of readers
    }

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


def _worlds() -> Any:
    name = "demur_training_worlds"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name("worlds.py"))
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


worlds = _worlds()


@dataclass
class World:
    """A corpus, a base and keys in one folder; every test trains in its own models folder."""

    root: Path
    base: Any
    rows: list[Any]
    keys: Any
    shards: int = 3
    slices: int = 3

    def corpus(self, *without: str) -> Path:
        return worlds.write_corpus(
            self.root / "corpora", self.rows, self.shards, self.slices, keep=lambda row: row.person not in without
        )

    def plan(self, **constants: Any) -> Any:
        from demur.store.files import read_json
        from demur.training import make_plan

        recipe = read_json(self.corpus() / "manifest.json")["inputs"]["recipe"]
        chosen = {"cells": 2, "lora_rank": 4, "lora_alpha": 8, "max_tokens": 32, "tokens_per_cell": 128, "grain": 4}
        return make_plan(self.base.digest, self.base.tokenizer_digest, recipe, self.keys, **{**chosen, **constants})

    def train(self, corpus: Path, plan: Any, out: Path, **options: Any) -> Any:
        from demur.training import train

        return train(corpus, plan, self.base, out, self.keys, **{"workers": 1, **options})

    def home(self, person: str) -> tuple[str, int, int]:
        """Region, shard and slice of a person."""
        return next((row.region, row.shard, row.slice) for row in self.rows if row.person == person)

    def touched(self, *persons: str) -> dict[tuple[str, int], int]:
        first: dict[tuple[str, int], int] = {}
        for region, shard, number in map(self.home, persons):
            first[region, shard] = min(number, first.get((region, shard), number))
        return first

    def late(self, count: int = 1) -> list[str]:
        """People whose slice is not the first one and not alone: replay from a checkpoint is not trivial."""
        found = [row.person for row in self.rows if row.slice > 0]
        return list(dict.fromkeys(found))[:count]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    import torch

    from demur.training import make_base

    torch.set_num_threads(1)  # EVIDENCE §7: the bits are the same, a second thread costs more than it saves here
    root = tmp_path_factory.mktemp("training-world")
    base = make_base(
        worlds.texts(0, 300), root / "base", vocab=300, hidden=32, layers=2, heads=2, steps=12, batch=8, max_tokens=32
    )
    return World(root, base, worlds.records(36, 3, 3), worlds.keys(root))

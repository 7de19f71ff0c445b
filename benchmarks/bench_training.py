"""Training: our loop beside Hugging Face Trainer on the same model and batches, merge, rollback; ratios in one run.

    python benchmarks/bench_training.py [--json FILE] [--rounds N]

CPU seconds of this process decide, so that a busy machine does not; both sides run with one thread. Ours tokenises
inside the measured time, the Trainer gets its batches ready-made.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "training"))

import torch
import worlds

from demur.training import make_base, make_plan, rollback, train
from demur.training.cells import Encoded, cells_of, grains_of
from demur.training.export import Frozen
from demur.training.learn import Learner, load_model, padded, repeatable
from demur.training.merge import merge
from demur.training.slices import Row
from demur.training.states import read_state

KEY = bytes(32)


def long_text(number: int) -> str:
    chance = random.Random(number)
    return " ".join(worlds.sentence(chance, "xa") for _ in range(chance.choice([1, 1, 2, 3])))


def ours(learner: Any, rows: list[Row]) -> tuple[float, int]:
    start = learner.first("bench", 0)
    begun = time.process_time()
    learned = learner.learn(start, rows)
    return time.process_time() - begun, learned.tokens


def batches_of(learner: Any, rows: list[Row]) -> list[dict[str, Any]]:
    encoded = [
        Encoded(row.record_id, ids) for row, ids in zip(rows, learner.encoder.rows([r.text for r in rows]), strict=True)
    ]
    cells = cells_of(KEY, encoded, 0, learner.plan.cells)
    pairs = [padded(grain) for cell in cells for grain in grains_of(cell, learner.plan.grain)]
    return [{"input_ids": ids, "labels": labels} for ids, labels in pairs]


def theirs(base: Path, plan: Any, batches: list[dict[str, Any]], folder: Path) -> float:
    from peft import LoraConfig, get_peft_model
    from transformers import Trainer, TrainingArguments

    model = load_model(base)
    if plan.adapter == "lora":
        model = get_peft_model(
            model, LoraConfig(r=plan.lora_rank, lora_alpha=plan.lora_alpha, target_modules="all-linear")
        )
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=1,
        max_steps=len(batches),
        learning_rate=plan.learning_rate,
        use_cpu=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
        max_grad_norm=0.0,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=batches, data_collator=lambda items: items[0])
    begun = time.process_time()
    trainer.train()
    return time.process_time() - begun


def speed(root: Path, base: Any, plan: Any, rounds: int) -> dict[str, float]:
    rows = [Row(f"{number:032x}", long_text(number)) for number in range(600)]
    with repeatable(1):
        learner = Learner(base.folder, plan, KEY)
        batches = batches_of(learner, rows)
        own, other, tokens = [], [], 0
        for _ in range(rounds):
            seconds, tokens = ours(learner, rows)
            own.append(seconds)
            other.append(theirs(base.folder, plan, batches, root / "hf"))
    return {
        "tokens": tokens,
        "steps": len(batches),
        "ours_tokens_per_cpu_second": round(tokens / min(own), 1),
        "trainer_tokens_per_cpu_second": round(tokens / min(other), 1),
        "ratio": round(min(other) / min(own), 3),
    }


def small_slices(base: Any, plan: Any) -> dict[str, float]:
    """What a slice costs beside its tokens: the same records in one slice and in forty."""
    rows = [Row(f"{number:032x}", long_text(number)) for number in range(320)]
    plan = replace(plan, cells=1, grain=8, tokens_per_cell=256)
    with repeatable(1):
        learner = Learner(base.folder, plan, KEY)
        state = learner.first("bench", 0)
        ordered = sorted(rows, key=lambda row: (len(learner.encoder.rows([row.text])[0]), row.record_id))
        ours(learner, ordered[:8])
        begun = time.process_time()
        learner.learn(state, ordered)
        one = time.process_time() - begun
        begun = time.process_time()
        for first in range(0, 320, 8):
            learner.learn(learner.first("bench", first), ordered[first : first + 8])
        forty = time.process_time() - begun
    return {"overhead_ms_per_slice": round((forty - one) / 39 * 1e3, 2)}


def merging(root: Path, base: Any, keys: Any) -> dict[str, float]:
    rows = worlds.records(200, 16, 4)
    corpus = worlds.write_corpus(root / "corpora", rows, 16, 4)
    recipe = json.loads((corpus / "manifest.json").read_text())["inputs"]["recipe"]
    plan = make_plan(base.digest, base.tokenizer_digest, recipe, keys, cells=2)
    model = train(corpus, plan, base, root / "models", keys, workers=1)
    paths = [head.state_path for head in model.heads if head.region == "north" and head.state_path]
    shapes = Frozen.of(base.folder).shapes(plan)
    begun = time.process_time()
    merge(shapes, (read_state(root / "models" / path)[0] for path in paths), plan)
    merged = time.process_time() - begun
    person = next(row for row in rows if row.slice == 2)
    fallen = rollback(root / "models" / model.model_id, {(person.region, person.shard): 2}, keys)
    return {
        "merge_shards": len(paths),
        "merge_seconds": round(merged, 4),
        "rollback_seconds": round(fallen.seconds, 4),
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--json", type=Path)
    asked.add_argument("--rounds", type=int, default=3)
    chosen = asked.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        keys = worlds.keys(root)
        texts = [("xa", long_text(number)) for number in range(1500)]
        base = make_base(texts, root / "base", vocab=2048, hidden=96, layers=3, heads=4, steps=5)
        recipe = {"regions": {"xa": "north"}, "other_region": "north", "shards": 1, "slices": 1}
        plan = make_plan(
            base.digest, base.tokenizer_digest, recipe, keys, cells=40, grain=64
        )  # one pass a cell: both step equally often
        parameters = sum(parameter.numel() for parameter in load_model(base.folder).parameters())
        found: dict[str, Any] = {
            "parameters": parameters,
            "torch": torch.__version__,
            "lora": speed(root, base, plan, chosen.rounds),
            "full": speed(root, base, replace(plan, adapter="full"), chosen.rounds),
            **small_slices(base, plan),
            **merging(root, base, keys),
        }
    text = json.dumps(found, indent=2)
    print(text)
    if chosen.json:
        chosen.json.write_text(text)


if __name__ == "__main__":
    main()

"""Exports and decision files: rows per CPU-second beside a plain copy through Arrow, and the memory that they take.

    python benchmarks/bench_interchange.py [--rows 400000]

One process, one corpus of made-up records. "Plain" reads and writes the same Parquet rows with pyarrow alone.
"""

from __future__ import annotations

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from demur.corpus.decision_file import write_decisions
from demur.corpus.interchange import export
from demur.corpus.manifest import MANIFEST, corpus_digest
from demur.corpus.redact_spans import SPANS
from demur.lineage import write_sealed
from demur.store import KeyRing, digest_file, write_json, write_table
from demur.store.contents import content_digest
from demur.terms.manifests import CorpusManifest, CorpusRecipe, SliceDigest

SHARDS = 8
WORDS = ("harbour", "garden", "museum", "river", "dinner", "morning", "castle", "library", "bridge", "market", "stars")


def corpus_of(root: Path, rows: int) -> Path:
    """Write a corpus of made-up records, with fates."""
    chance, slices, recipe = random.Random(1), [], CorpusRecipe(regions={"en": "en"}, shards=SHARDS, slices=1)
    folder = root / "corpora" / "x"
    for shard in range(SHARDS):
        ids = sorted(f"{chance.getrandbits(128):032x}" for _ in range(rows // SHARDS))
        table = pa.table(
            {
                "record_id": ids,
                "text": [" ".join(chance.choices(WORDS, k=25)) for _ in ids],
                "language": ["en"] * len(ids),
                "other_language": pa.nulls(len(ids), pa.string()),
                "dialect": pa.nulls(len(ids), pa.string()),
                "kind": ["post"] * len(ids),
            }
        )
        path = f"data/en/shard-{shard:03d}/slice-0.parquet"
        write_table(folder / path, table)
        slices.append(SliceDigest("en", shard, 0, path, len(ids), content_digest(table), digest_file(folder / path)))
    keys = KeyRing(root / "keys", seed=b"bench")
    found = [{"start": 3, "end": 19, "kind": "EMAIL"}, {"start": 40, "end": 52, "kind": "PHONE"}]
    fates = pa.table(
        {
            "item_id": [f"x:{number}" for number in range(rows)],
            "allowed": [True] * rows,
            "primary_reason": pa.nulls(rows, pa.string()),
            "exclusion": pa.nulls(rows, pa.string()),
            "spans": pa.array([found if number % 4 == 0 else [] for number in range(rows)], SPANS),
        }
    )
    sealed = folder / "sealed" / "fates.sealed"
    write_sealed(sealed, "fates", [(0, fates)], secret=keys.secret("lineage"), buckets=1)
    digest = corpus_digest(recipe, slices)
    inputs = dict.fromkeys(("policy", "policy_name", "purpose", "as_of", "narrowed_at"), "x")
    counts = {"items": {"all": rows}, "records": {"all": rows}}
    manifest = CorpusManifest(digest[:16], digest, {**inputs, "recipe": recipe.as_json()}, tuple(slices), counts, {})
    write_json(folder / MANIFEST, asdict(manifest))
    return folder


def plain(folder: Path, out: Path) -> None:
    """Read and write the same rows, nothing else."""
    for path in sorted(folder.rglob("slice-*.parquet")):
        out.mkdir(exist_ok=True)
        pq.write_table(pq.read_table(path), out / f"{path.parent.name}.parquet", compression="zstd")


def cpu(work: Callable[[], object]) -> float:
    """Return the CPU seconds of some work."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=400_000)
    rows = parser.parse_args().rows
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        folder, keys = corpus_of(root, rows), KeyRing(root / "keys", seed=b"bench")
        base = cpu(lambda: plain(folder, root / "plain"))
        print(f"{rows:,} rows; plain copy through Arrow {rows / base:,.0f} rows/CPU-s")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for what, work in {
            "export parquet": lambda: export(folder, root / "parquet", form="parquet"),
            "export jsonl": lambda: export(folder, root / "jsonl", form="jsonl"),
            "decisions": lambda: write_decisions(folder, root / "d.parquet", keys=keys, form="parquet"),
        }.items():
            spent = cpu(work)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(f"{what:<15} {rows / spent:>12,.0f} rows/CPU-s   {base / spent:5.2f} × plain   peak {peak:,.0f} MiB"
                  f" (of which {before:,.0f} before)")  # fmt: skip


if __name__ == "__main__":
    main()

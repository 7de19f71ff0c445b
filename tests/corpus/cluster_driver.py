"""A cluster of two workers on loopback, in a process of its own: builds a corpus on it while one of them is killed.

    python cluster_driver.py FOLDER [whole]

Ray reads its settings when it is first imported and passes its process' limits on to all that it starts; other tests of
a session may have done either. So the test starts this, with a token of its own, and reads what it tells.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROWS = 60
"""Items a bucket: the world makes a few."""
SEED, PEOPLE, ITEMS = 11, 14, 100
NODE: dict[str, Any] = {
    "num_cpus": 1,
    "include_log_monitor": False,
    "object_store_memory": 80 << 20,
    "node_ip_address": "127.0.0.1",
}


def write(folder: Path, *, words: str) -> None:
    from demur.store import commit_record

    (folder / "words").write_text(words)
    commit_record(folder, {"words": len(words.split())})


def fail(folder: Path, *, words: str) -> None:
    from demur.errors import ConfigError

    raise ConfigError(words, ["one", "two"])


def forget(folder: Path) -> None:
    (folder / "words").write_text("no record")


def met(folder: Path, *, target: str, arguments: dict[str, Any], meeting: str) -> None:
    """Run a stage; the first two, on two workers, wait in it for one another and until one of them is killed."""
    place = Path("/", meeting)
    if not (place / "over").exists():
        (place / f"{folder.name} {os.getpid()}").touch()
    while not (place / "over").exists():
        time.sleep(0.05)
    module, function = target.split(":")
    getattr(importlib.import_module(module), function)(folder, **arguments)


def ended(process: str) -> bool:
    """Say whether a process is gone, or dead and not yet waited for."""
    try:
        return Path("/proc", process, "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def late(folder: Path, *, told: str) -> None:
    """A stage that starts a program and writes, whatever becomes of who asked."""
    from demur.store import write_bytes

    child = subprocess.Popen(["sleep", "600"])
    write_bytes(folder / "here", b"x")
    write_bytes(Path("/", told), f"{os.getpid()} {child.pid}".encode())
    while True:
        write_bytes(folder / "here", b"x")


ASKING = """
import sys
from pathlib import Path
from demur.store.cluster import Cluster
with Cluster(sys.argv[1]) as cluster:
    cluster("cluster_driver:late", Path(sys.argv[2]), {"told": sys.argv[3]})
"""


def orphaned(address: str, folder: Path) -> dict[str, Any]:
    """Kill who asked for a stage in the middle of it, and take the workspace as the next command does."""
    from demur.flows.left import alone, run_folder
    from demur.store import Workspace

    space, told = Workspace(folder / "home"), folder / "told"
    stage = run_folder(space) / "corpus-1" / "stage"
    with subprocess.Popen([sys.executable, "-c", ASKING, address, stage, str(told)[1:]]) as asking:
        while not told.exists():
            assert asking.poll() is None
            time.sleep(0.05)
        worker, child = (Path("/proc", number) for number in told.read_text().split())
        lived = worker.exists() and child.exists() and any(stage.parent.glob(".stage.*/here"))
        asking.kill()
    with alone(space):
        stays = sorted(path.name for path in run_folder(space).rglob("*"))
        until = time.monotonic() + 60
        while (worker.exists() or child.exists()) and time.monotonic() < until:
            time.sleep(0.05)
        gone = not worker.exists() and not child.exists()
        stays += sorted(path.name for path in run_folder(space).rglob("*"))
    return {"lived": lived, "gone": gone, "stays": stays}


def nodes_of() -> Any:
    """A head that works and another worker, one CPU each."""
    from ray.cluster_utils import Cluster as Nodes

    nodes = Nodes(initialize_head=True, head_node_args={"include_dashboard": False, "no_monitor": True, **NODE})
    nodes.add_node(**NODE)
    return nodes


def faults(cluster: Any, folder: Path) -> list[Any]:
    """Run a stage that fails; return what arrives."""
    from demur.errors import DemurError

    try:
        cluster("cluster_driver:fail", folder / "work" / "stage", {"words": "no such region"})
    except DemurError as error:
        return [type(error).__name__, str(error), list(error.faults)]
    return []


def built(nodes: Any, cluster: Any, folder: Path, *, whole: bool) -> dict[str, Any]:
    """Build while the second worker is killed, hard, as soon as both work on texts.

    Args:
        nodes: the cluster's machines.
        cluster: runs stages on it.
        folder: of the build.
        whole: every stage runs there; else texts are measured and items placed there, the others here.
    """
    from corpus_worlds import here, made, network

    work, died, over, meeting = folder / "work", threading.Event(), threading.Event(), folder / "meeting"
    meeting.mkdir(parents=True)

    def runner(target: str, stage: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        if stage.name.startswith("text-"):
            # not told as a path: a worker would wait until it looks there as it does here
            more = {"target": target, "arguments": arguments, "meeting": str(meeting)[1:]}
            return cluster("cluster_driver:met", stage, more)
        there = whole or stage.name.startswith("place-")
        return (cluster if there else here)(target, stage, arguments)

    def kill() -> None:
        while not over.wait(0.01):
            if len(list(meeting.iterdir())) >= 2:
                working = [one.name.split(" ")[1] for one in meeting.iterdir()]
                nodes.remove_node(nodes.list_all_nodes()[-1], allow_graceful=False)
                while not any(map(ended, working)) and not over.wait(0.01):
                    pass  # it outlives its machine's manager by a moment
                died.set()
                (meeting / "over").touch()
                return

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        world = network(SEED, people=PEOPLE, items=ITEMS)
        manifest, corpus = made(world, folder, runner=runner, workers=2, bucket_rows=ROWS, keep_work=True)
    finally:
        over.set()
        killer.join()
    orphans, texts = (len(list(work.glob(f"corpus-*/{name}"))) for name in (".text-*", "text-*"))
    placed = len(list(work.glob("corpus-*/place-*")))
    told = {"digest": manifest.digest, "counts": manifest.counts, "corpus": corpus.name, "placed": placed}
    return told | {"died": died.is_set(), "orphans": orphans, "texts": texts}


def decided(address: str, folder: Path) -> list[list[Any]]:
    """Return what the policy engine decides here and on the cluster; only its own setting changes (ADR 1)."""
    import pyarrow.parquet as pq
    from corpus_worlds import AS_OF, network

    from demur.store.stage import run_stage

    paths = network(13, people=20, items=200).write(folder)
    call = {
        "items": [str(part) for part in sorted(paths["items"].glob("*.parquet"))],
        "standing": str(paths["standing"]),
        "policy": "demur-strict",
        "as_of": AS_OF.isoformat(),
    }
    found = []
    for runner in ("native", "ray"):
        os.environ |= {"DAFT_RUNNER": runner, "RAY_ADDRESS": address}
        counts = run_stage("demur.policy.columns:decide_table", folder / runner, call)
        rows = [row for part in (folder / runner).glob("*.parquet") for row in pq.read_table(part).to_pylist()]
        found.append([counts["call"], sorted(map(str, rows))])
    return found


def main(folder: Path, *, whole: bool) -> None:
    """Write what happened as ``told.json``."""
    from demur.store.cluster import Cluster

    nodes = nodes_of()
    try:
        orphan = orphaned(nodes.address, folder / "orphan")
        with Cluster(nodes.address) as cluster:
            told: dict[str, Any] = {"workers": cluster.workers, "fault": faults(cluster, folder / "faults")}
            told["orphan"] = orphan
            if whole:
                told["decided"] = decided(nodes.address, folder / "decided")
            told |= built(nodes, cluster, folder / "cluster", whole=whole)
    finally:
        nodes.shutdown()
    (folder / "told.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), whole="whole" in sys.argv[2:])

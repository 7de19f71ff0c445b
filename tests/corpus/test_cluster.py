"""The same corpus on a cluster: a cluster of two workers on loopback, with a token, one of which is killed."""

from __future__ import annotations

import importlib.util
import os
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from corpus_worlds import AS_OF, made, network

from demur.errors import BrokenError, ConfigError
from demur.store import cluster as on_cluster
from demur.store import commit_record, read_commit
from demur.store.cluster import Cluster, glance, run_apart
from demur.store.stage import run_stage

ROWS = 40
"""Items a bucket: the world below makes eight."""
OBJECTS = 80 << 20
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
}


def write(folder: Path, *, words: str) -> None:
    (folder / "words").write_text(words)
    commit_record(folder, {"words": len(words.split())})


def fail(folder: Path, *, words: str) -> None:
    raise ConfigError(words, ["one", "two"])


def forget(folder: Path) -> None:
    (folder / "words").write_text("no record")


def wait(folder: Path, *, sign: str) -> None:
    """Take long, but only the first time: whoever comes second finds the sign of the first."""
    if not Path(sign).exists():
        Path(sign).write_text(str(os.getpid()))
        time.sleep(120)
    commit_record(folder, {"by": os.getpid()})


pytestmark = [
    pytest.mark.nightly,
    pytest.mark.skipif(
        not os.environ.get("DEMUR_NIGHTLY"),
        reason="nightly: starts a cluster; its processes want the machine for themselves",
    ),
]

HERE = "test_cluster"


def need_ray() -> None:
    """Skip where there is no Ray, without importing it: at its import it reads whether there are tokens."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("the extra demur[cluster] is not installed")


def test_a_stage_appears_whole_under_its_name(tmp_path: Path) -> None:
    facts = run_apart(f"{HERE}:write", tmp_path / "stage", {"words": "a b c"})
    assert facts["words"] == 3
    assert read_commit(tmp_path / "stage") == facts
    assert [one.name for one in tmp_path.iterdir()] == ["stage"]


@pytest.mark.parametrize(("stage", "kind"), [("fail", ConfigError), ("forget", BrokenError)])
def test_a_stage_that_failed_leaves_nothing(tmp_path: Path, stage: str, kind: type[Exception]) -> None:
    arguments = {"words": "no"} if stage == "fail" else {}
    with pytest.raises(kind):
        run_apart(f"{HERE}:{stage}", tmp_path / "stage", arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_worker_that_comes_late_spoils_nothing(tmp_path: Path) -> None:
    first = run_apart(f"{HERE}:write", tmp_path / "stage", {"words": "a b"})
    before = glance(tmp_path / "stage")
    assert run_apart(f"{HERE}:write", tmp_path / "stage", {"words": "a b"}) == first
    assert glance(tmp_path / "stage") == before
    with pytest.raises(BrokenError, match="another"):
        run_apart(f"{HERE}:write", tmp_path / "stage", {"words": "other"})
    assert (tmp_path / "stage" / "words").read_text() == "a b"


def test_an_unshared_folder_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(on_cluster, "SEEN_WITHIN_SECONDS", 0)
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    for folder, size in ((mine, 32), (theirs, 31)):
        folder.mkdir()
        (folder / "placement.key").write_bytes(bytes(size))
    on_cluster._await({str(mine): glance(mine)})
    for path in (theirs, tmp_path / "missing"):
        with pytest.raises(ConfigError, match="same shared folders"):
            on_cluster._await({str(path): glance(mine)})


def test_a_cluster_without_a_token_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    need_ray()
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    with pytest.raises(ConfigError, match="token"):
        Cluster("127.0.0.1:1")


@pytest.fixture(scope="module")
def loopback() -> Iterator[Any]:
    """A cluster of a head that does no work and two workers of one CPU each."""
    need_ray()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SETTINGS.items():
            patch.setenv(name, value)
        from ray.cluster_utils import Cluster as Nodes

        node = {"object_store_memory": OBJECTS, "node_ip_address": "127.0.0.1"}
        nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **node})
        for _ in range(2):
            nodes.add_node(num_cpus=1, **node)
        yield nodes
        nodes.shutdown()


@pytest.fixture(scope="module")
def cluster(loopback: Any) -> Iterator[Cluster]:
    with Cluster(loopback.address) as found:
        yield found


def test_faults_travel_in_our_own_words(cluster: Cluster, tmp_path: Path) -> None:
    facts = cluster(f"{HERE}:write", tmp_path / "work" / "stage", {"words": "a b"})
    assert cluster(f"{HERE}:write", tmp_path / "work" / "stage", {"words": "a b"}) == facts
    with pytest.raises(ConfigError, match="no such region") as told:
        cluster(f"{HERE}:fail", tmp_path / "work" / "other", {"words": "no such region"})
    assert told.value.faults == ("one", "two")


def test_a_cluster_builds_the_embedded_corpus_even_when_a_worker_dies(
    loopback: Any, cluster: Cluster, tmp_path: Path
) -> None:
    world = network(11, people=20, items=240)
    embedded, _ = made(world, tmp_path / "embedded")
    assert cluster.workers == 2
    died = threading.Event()

    def kill() -> None:
        """Kill a worker node, hard, while both of them work on texts."""
        until = time.monotonic() + 120
        while time.monotonic() < until and not died.is_set():
            if len(list((tmp_path / "cluster" / "work").glob("corpus-*/.text-*"))) >= 2:
                loopback.remove_node(loopback.list_all_nodes()[-1], allow_graceful=False)
                died.set()
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    found, corpus = made(world, tmp_path / "cluster", runner=cluster, workers=2, bucket_rows=ROWS, keep_work=True)
    killer.join()
    assert died.is_set(), "nobody was killed"
    orphans = list((tmp_path / "cluster" / "work").glob("corpus-*/.text-*"))
    assert orphans, "the killed worker was in the middle of a stage"
    assert found.digest == embedded.digest
    assert found.counts == embedded.counts
    assert corpus.name == embedded.corpus_id


def test_the_policy_engine_on_the_cluster_decides_the_same(
    loopback: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing but the engine's own setting changes (ADR 1)."""
    paths = network(13, people=20, items=200).write(tmp_path)
    call = {
        "items": [str(part) for part in sorted(paths["items"].glob("*.parquet"))],
        "standing": str(paths["standing"]),
        "policy": "demur-strict",
        "as_of": AS_OF.isoformat(),
    }
    found = []
    for runner in ("native", "ray"):
        monkeypatch.setenv("DAFT_RUNNER", runner)
        monkeypatch.setenv("RAY_ADDRESS", loopback.address)
        counts = run_stage("demur.policy.columns:decide_table", tmp_path / runner, call)
        rows = [row for part in (tmp_path / runner).glob("*.parquet") for row in pq.read_table(part).to_pylist()]
        found.append((counts["call"], sorted(map(str, rows))))
    assert len(found[0][1]) == 200
    assert found[0] == found[1]

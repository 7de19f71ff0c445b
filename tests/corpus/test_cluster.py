"""The same corpus on a cluster: a cluster of two workers on loopback, with a token, one of which is killed."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cluster_driver as driver
import pytest
from corpus_worlds import made, network

import demur
from demur.errors import BrokenError, ConfigError, OutsideError
from demur.store import cluster as on_cluster
from demur.store import read_commit
from demur.store.cluster import Cluster, glance, run_apart

pytestmark = pytest.mark.long

HERE = "cluster_driver"
DRIVER = Path(driver.__file__)
SECONDS = 600
"""The run takes 25 alone on a machine."""
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else loopback becomes the machine's address
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": secrets.token_hex(32),
    "RAY_enable_worker_prestart": "false",
    "RAY_prestart_worker_first_driver": "false",
}


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


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:99999", "[::1]:1"])
def test_an_address_where_nobody_listens_is_said_at_once(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    need_ray()
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    with pytest.raises(OutsideError, match="no Ray cluster answers"):
        Cluster(address)


class Loopback:
    """A run of the driver: its own process, token, settings and folder of Ray's; nothing of it stays.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ray = Path(tempfile.mkdtemp(prefix="dr", dir="/tmp"))  # short: the path of a socket has 107 bytes at most

    def told(self) -> dict[str, Any]:
        """Run it; return what it tells."""
        arguments = ["whole"] if os.environ.get("DEMUR_NIGHTLY") else []
        output = self.folder / "output"
        with output.open("wb") as stream:
            done = subprocess.run(
                [sys.executable, DRIVER, self.folder, *arguments],
                env=self._environment(), stdout=stream, stderr=stream, timeout=SECONDS, check=False,
            )  # fmt: skip
        assert done.returncode == 0, output.read_text(errors="replace")[-4000:]
        found: dict[str, Any] = json.loads((self.folder / "told.json").read_bytes())
        return found

    def _environment(self) -> dict[str, str]:
        paths = [str(DRIVER.parent), str(Path(demur.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        others = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "DAFT_"))}
        return others | SETTINGS | {"RAY_TMPDIR": str(self._ray), "PYTHONPATH": os.pathsep.join(paths)}

    def alive(self) -> list[int]:
        """Return the processes that name this run's folder of Ray's."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if bytes(self._ray) in path.read_bytes():
                    found.append(int(path.parent.name))
        return found

    def clear(self) -> None:
        """End whatever is left, also of a run that was stopped."""
        for one in self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        shutil.rmtree(self._ray, ignore_errors=True)


@pytest.fixture(scope="module")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    need_ray()
    run = Loopback(tmp_path_factory.mktemp("loopback"))
    yield run
    run.clear()


@pytest.fixture(scope="module")
def told(loopback: Loopback) -> dict[str, Any]:
    """What happened on a cluster of two workers, with the whole build there at night."""
    return loopback.told()


def test_faults_travel_in_our_own_words(told: dict[str, Any]) -> None:
    assert told["workers"] == 2
    kind, message, faults = told["fault"]
    assert (kind, faults) == ("ConfigError", ["one", "two"])
    assert message.startswith("no such region")


def test_a_cluster_builds_the_embedded_corpus_even_when_a_worker_dies(told: dict[str, Any], tmp_path: Path) -> None:
    embedded, _ = made(network(driver.SEED, people=driver.PEOPLE, items=driver.ITEMS), tmp_path)
    assert told["died"], "nobody was killed"
    assert min(told["texts"], told["placed"]) >= 2
    assert told["orphans"], "the killed worker was in the middle of a stage"
    assert told["digest"] == embedded.digest
    assert told["counts"] == embedded.counts
    assert told["corpus"] == embedded.corpus_id


def test_a_stage_ends_with_who_asked_for_it_and_writes_nothing_once_the_next_command_has_begun(
    told: dict[str, Any],
) -> None:
    assert told["orphan"] == {"lived": True, "gone": True, "stays": []}


def test_no_process_of_the_cluster_stays(loopback: Loopback, told: dict[str, Any]) -> None:
    until = time.monotonic() + 60
    while loopback.alive() and time.monotonic() < until:
        time.sleep(0.1)
    assert loopback.alive() == []


@pytest.mark.nightly
@pytest.mark.skipif(not os.environ.get("DEMUR_NIGHTLY"), reason="nightly: another start of the engine on the cluster")
def test_the_policy_engine_on_the_cluster_decides_the_same(told: dict[str, Any]) -> None:
    """Nothing but the engine's own setting changes (ADR 1)."""
    here, there = told["decided"]
    assert len(here[1]) == 200
    assert here == there

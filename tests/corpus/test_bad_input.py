"""Damaged input, a full disk, SIGKILL in each stage: a clear error, and the next run goes on to the same digest."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from corpus_worlds import RECIPE, World, here, made, network, ring

from demur.corpus import build, difference, read_manifest
from demur.errors import BrokenError, ConfigError, OutsideError
from demur.store import write_json

STAGES = ["select", "text-00001", "deduplicate", "place-00001", "write-00000", "seal-fates", "verify"]


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    return made(network(31, items=30), tmp_path_factory.mktemp("whole"))[0].digest


class _KilledError(BaseException):
    """As if the process had been killed: nothing of ours catches it."""


@pytest.mark.parametrize("victim", STAGES)
def test_a_build_killed_in_a_stage_goes_on_to_the_same_digest(tmp_path: Path, digest: str, victim: str) -> None:
    ran: list[str] = []

    def dying(target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        facts = here(target, folder, arguments)
        if folder.name == victim and victim not in ran:
            ran.append(victim)
            (folder / "COMMIT.json").unlink()  # all is written but the commit record: the worst moment
            raise _KilledError
        return facts

    world = network(31, items=30)
    with pytest.raises(_KilledError):
        made(world, tmp_path, runner=dying, bucket_rows=10)
    assert not list(tmp_path.glob("corpora/*/manifest.json"))
    manifest, corpus = made(world, tmp_path, runner=dying, bucket_rows=10)
    assert manifest.digest == digest
    assert read_manifest(corpus).digest == digest


def test_a_process_killed_by_the_system_leaves_nothing_wrong(tmp_path: Path, digest: str) -> None:
    network(31, items=30).write(tmp_path / "in")
    script = (
        f"import sys, os, signal; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from pathlib import Path\nfrom corpus_worlds import *\n"
        f"folder = Path({str(tmp_path)!r})\n"
        "def progress(stage, done, total):\n"
        "    if stage == 'corpus: place': os.kill(os.getpid(), signal.SIGKILL)\n"
        "inputs = network(31, items=30).inputs(folder / 'in')\n"
        "build(inputs, out=folder / 'corpora', work=folder / 'work', keys=ring(folder), progress=progress)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    assert not list(tmp_path.glob("corpora/*/manifest.json"))
    assert made(network(31, items=30), tmp_path)[0].digest == digest


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 2 kB: a write fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_said_so_and_the_next_run_goes_on(tmp_path: Path, digest: str, small_disk: None) -> None:
    world = network(31, items=30)
    inputs = world.inputs(tmp_path / "in")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    where = {"out": tmp_path / "corpora", "work": tmp_path / "work", "keys": ring(tmp_path)}
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, before[1]))
    with pytest.raises(OutsideError, match="disk is full"):
        build(inputs, **where)
    (stage,) = (tmp_path / "work").glob("corpus-*/select")
    assert {path.name for path in stage.iterdir()} == {"CALL.json", "FAULT.json"}
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert build(inputs, **where).digest == digest


@pytest.mark.parametrize("table", ["items", "decisions"])
def test_a_cut_table_is_named(tmp_path: Path, table: str) -> None:
    inputs = network(31, items=30).inputs(tmp_path / "in")
    file = tmp_path / "in" / table / "part-0.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(BrokenError, match=r"part-0\.parquet"):
        build(inputs, out=tmp_path / "c", work=tmp_path / "w", keys=ring(tmp_path), runner=here)


def test_decisions_of_another_snapshot_are_refused(tmp_path: Path) -> None:
    world = network(31, items=30)
    inputs = world.inputs(tmp_path / "in")
    fewer = World(people=world.people, items=dict(list(world.items.items())[:-1]))
    fewer.write(tmp_path / "other")
    inputs = replace(inputs, decisions=tmp_path / "other" / "decisions")
    with pytest.raises(BrokenError, match="exactly one decision"):
        build(inputs, out=tmp_path / "c", work=tmp_path / "w", keys=ring(tmp_path), runner=here)


def test_all_faults_of_a_recipe_are_told_at_once(tmp_path: Path) -> None:
    recipe = replace(RECIPE, shards=0, slices=0, near_duplicate_jaccard=2.0, other_region="../x")
    inputs = network(31, items=3).inputs(tmp_path / "in", recipe=recipe)
    with pytest.raises(ConfigError) as caught:
        build(inputs, out=tmp_path / "c", work=tmp_path / "w", keys=ring(tmp_path))
    assert len(caught.value.faults) == 4


def test_a_damaged_manifest_is_refused(tmp_path: Path) -> None:
    manifest, corpus = made(network(31, items=30), tmp_path)
    file = corpus / "manifest.json"
    whole = file.read_bytes()
    for damage in (whole[: len(whole) // 2], b"{}", whole.replace(manifest.digest.encode(), b"f" * 64)):
        file.write_bytes(damage)
        with pytest.raises(BrokenError):
            read_manifest(corpus)
    file.write_bytes(whole)
    emptied = [{**asdict(one), "records": 0, "content_digest": "0"} for one in manifest.slices]
    write_json(file, {**orjson.loads(whole), "slices": emptied})
    with pytest.raises(BrokenError):
        difference(corpus, corpus)

"""A build under a memory cap gives the same corpus; a stage that needs more is stopped, and says so."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from corpus_worlds import made, network

import demur
from demur.corpus.disk import batches
from demur.errors import ConfigError, OutsideError
from demur.store import commit_record
from demur.store.capped import LEAST_MIB, Capped

HERE = Path(__file__).parent


def hold(folder: Path, *, mib: int) -> None:
    """A stage that holds so much at a time."""
    held = np.ones(mib << 20, np.uint8)
    commit_record(folder, {"held": int(held[-1])})


def crash(folder: Path) -> None:
    """A library in C that gets no memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def stream(folder: Path, *, mib: int, at_a_time: int) -> None:
    """A stage that goes through so much, a piece at a time."""
    total = sum(len(np.ones(at_a_time << 20, np.uint8)) for _ in range(mib // at_a_time))
    commit_record(folder, {"total": total})


def read(folder: Path, *, path: str) -> None:
    """A stage that reads a table, as stages do."""
    commit_record(folder, {"rows": sum(table.num_rows for table in batches([Path(path)], ["text"]))})


@pytest.fixture(autouse=True)
def _children_of_their_own(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let children find this file; what they are held to is not what we are held to."""
    source = str(Path(demur.__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), source, os.environ.get("PYTHONPATH", "")]))
    before = resource.getrlimit(resource.RLIMIT_DATA)
    yield
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_stage_may_go_through_more_than_it_may_hold(tmp_path: Path) -> None:
    cap = Capped(400, least=0)
    facts = cap("test_memory_cap:stream", tmp_path / "stream", {"mib": 2000, "at_a_time": 20})
    assert facts["total"] == 2000 << 20
    with pytest.raises(OutsideError, match="more than 400 MiB"):
        cap("test_memory_cap:hold", tmp_path / "hold", {"mib": 500})
    with pytest.raises(OutsideError, match="cap of 400 MiB"):
        cap("test_memory_cap:crash", tmp_path / "crash", {})


def test_a_file_that_does_not_fit_is_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "long.parquet"
    pq.write_table(pa.table({"text": ["x" * (40 << 20) + str(number) for number in range(12)]}), path)
    with pytest.raises(OutsideError, match="more than 400 MiB"):
        Capped(400, least=0)("test_memory_cap:read", tmp_path / "read", {"path": str(path)})


def test_too_little_for_any_build_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least"):
        Capped(LEAST_MIB - 1)


def test_the_cap_decides_how_many_items_are_held() -> None:
    rows = [Capped(mib).bucket_rows for mib in (LEAST_MIB, 3000, 4096)]
    assert rows == sorted(rows)
    assert rows[0] * 8192 < LEAST_MIB << 20


def test_a_capped_build_in_tiny_buckets_is_the_same_corpus(tmp_path: Path) -> None:
    world = network(12, people=12, items=120)
    free, _ = made(world, tmp_path / "free")
    capped, _ = made(world, tmp_path / "capped", runner=Capped(LEAST_MIB), bucket_rows=60)
    assert capped.digest == free.digest
    assert capped.counts == free.counts

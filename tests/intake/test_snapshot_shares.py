"""A snapshot is the same, file by file, however many processes make it and in however many buckets."""

from __future__ import annotations

import hashlib
import importlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from demur.clock import iso
from demur.intake import buckets, intake, snapshot
from demur.intake.snapshot import _shares
from demur.store import read_commit
from demur.testing import AS_OF, write_dump

making = importlib.import_module("demur.intake.snapshot")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up network, taken in twice, with other versions the second time."""
    home = tmp_path_factory.mktemp("source")
    for seed in (1, 2):
        write_dump(home / f"network-{seed}", seed=seed, people=40)
        intake(
            "demo",
            [home / f"network-{seed}"],
            store_folder=home / "source",
            quarantine_folder=home / "quarantine",
            imported_at=AS_OF + timedelta(days=seed),
        )
    return home / "source"


def made(source: Path, out: Path, **instants: Any) -> tuple[Any, dict[str, str]]:
    """Take a snapshot in this process; return its facts and the digest of each table's rows."""
    asked = {"as_of": None, "known_at": iso(AS_OF + timedelta(days=3))} | instants
    making.stage(out, source_folder=str(source), state="", code="", **asked)
    assert sorted(path.name for path in out.iterdir()) == ["COMMIT.json", "items", "people"]
    return read_commit(out), {
        part.relative_to(out).as_posix(): hashlib.sha256(part.read_bytes()).hexdigest()
        for part in sorted(out.rglob("*.parquet"))
    }


@pytest.mark.parametrize("instants", [{}, {"as_of": iso(AS_OF - timedelta(days=90))}, {"known_at": iso(AS_OF)}])
def test_processes_and_buckets_make_no_difference(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instants: dict[str, str]
) -> None:
    whole, _ = made(source, tmp_path / "whole", **instants)
    monkeypatch.setattr(buckets, "BUCKET_BYTES", 50_000)
    monkeypatch.setenv("DEMUR_WORKERS", "1")
    alone, files = made(source, tmp_path / "alone", **instants)
    assert whole["digest"] == alone["digest"]
    assert {key: whole["items"][key] for key in ("rows", "versions")} == {
        key: alone["items"][key] for key in ("rows", "versions")
    }
    monkeypatch.setattr(making, "_PAYS", 1)
    monkeypatch.setenv("DEMUR_WORKERS", "3")
    shared, shared_files = made(source, tmp_path / "shared", **instants)
    assert shared == alone
    assert shared_files == files
    if not instants:
        assert len(files) > 4


def test_a_snapshot_of_nothing_is_empty(tmp_path: Path) -> None:
    facts = snapshot(tmp_path / "source", tmp_path / "out", known_at=AS_OF)
    assert facts["items"]["rows"] == facts["people"]["rows"] == 0


@pytest.mark.parametrize(("count", "most"), [(0, 3), (1, 3), (2, 3), (3, 3), (10, 3), (10, 1)])
def test_shares_hold_everything_once_and_in_order(count: int, most: int) -> None:
    shares = _shares(range(count), most)
    assert [one for share in shares for one in share] == list(range(count))
    assert len(shares) == min(count, most)

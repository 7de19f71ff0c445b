"""A sealed file gives back what was sealed, to the key alone, and notices any change."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.errors import BrokenError
from demur.lineage import SealedFile, bucket_of, write_sealed

SECRET = b"s" * 32
NAMES = [f"person:{number:05d}" for number in range(200)]  # long enough never to stand in cipher text by chance


def _seal(path: Path, names: list[str] = NAMES, buckets: int = 8) -> Path:
    parts = [
        (bucket_of(name, buckets), pa.table({"person": [name], "n": [number]})) for number, name in enumerate(names)
    ]
    assert write_sealed(path, "lineage", parts, secret=SECRET, buckets=buckets) == len(names)
    return path


def test_everything_comes_back(tmp_path: Path) -> None:
    sealed = SealedFile(_seal(tmp_path / "s"), "lineage", secret=SECRET)
    assert [row["person"] for table in sealed.all() for row in table.to_pylist()] == NAMES


def test_a_bucket_holds_its_names_and_few_others(tmp_path: Path) -> None:
    sealed = SealedFile(_seal(tmp_path / "s"), "lineage", secret=SECRET)
    rows = [row["person"] for table in sealed.bucket(NAMES[7]) for row in table.to_pylist()]
    assert NAMES[7] in rows
    assert len(rows) < len(NAMES) / 2


def test_nothing_can_be_read_from_the_file(tmp_path: Path) -> None:
    content = _seal(tmp_path / "s").read_bytes()
    assert not [name for name in NAMES if name.encode() in content]


def test_the_same_rows_are_sealed_differently_every_time(tmp_path: Path) -> None:
    assert _seal(tmp_path / "a").read_bytes() != _seal(tmp_path / "b").read_bytes()


@pytest.mark.parametrize(("kind", "secret"), [("fates", SECRET), ("lineage", b"o" * 32)])
def test_another_kind_or_key_opens_nothing(tmp_path: Path, kind: str, secret: bytes) -> None:
    path = _seal(tmp_path / "s")
    with pytest.raises(BrokenError):
        SealedFile(path, kind, secret=secret)


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 10**6), bit=st.integers(0, 7))
def test_every_flipped_bit_is_found(tmp_path_factory: pytest.TempPathFactory, place: int, bit: int) -> None:
    path = _seal(tmp_path_factory.mktemp("flip") / "s", NAMES[:9])
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(BrokenError):
        list(SealedFile(path, "lineage", secret=SECRET).all())


@pytest.mark.parametrize("kept", [0, 4, 11, 60, 500, -1, -16])
def test_a_cut_file_is_found(tmp_path: Path, kept: int) -> None:
    path = _seal(tmp_path / "s")
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BrokenError, match="expected the sealed file"):
        list(SealedFile(path, "lineage", secret=SECRET).all())


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(BrokenError, match="no file"):
        SealedFile(tmp_path / "s", "lineage", secret=SECRET)


def test_no_rows_make_a_file_that_opens(tmp_path: Path) -> None:
    assert list(SealedFile(_seal(tmp_path / "s", []), "lineage", secret=SECRET).all()) == []


def test_a_file_whose_buckets_follow_another_rule_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("demur.lineage.sealed._BY", "hmac")
    path = tmp_path / "old.sealed"
    parts = [(number, pa.table({"person": [name]})) for number, name in enumerate(["x:1", "x:2", "x:3"])]
    write_sealed(path, "lineage", parts, secret=SECRET, buckets=4)
    monkeypatch.undo()
    found = [
        row["person"] for table in SealedFile(path, "lineage", secret=SECRET).bucket("x:2") for row in table.to_pylist()
    ]
    assert "x:2" in found

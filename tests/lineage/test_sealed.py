"""A sealed file gives back what was sealed, to the key alone, and notices any change."""

from __future__ import annotations

from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

import demur.lineage.sealed as sealed_file
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


def _upon(folder: Path, changed: dict[int, list[str]], buckets: int = 8) -> tuple[SealedFile, SealedFile]:
    """Seal the names, then seal them again with some buckets changed and the others taken over."""
    before = SealedFile(_seal(folder / "before", buckets=buckets), "lineage", secret=SECRET)
    parts = [(bucket, pa.table({"person": names, "n": [0] * len(names)})) for bucket, names in changed.items()]
    kept = [(bucket, None) for bucket in range(buckets) if bucket not in changed]
    rows = write_sealed(folder / "after", "lineage", [*kept, *parts], secret=SECRET, buckets=buckets, upon=before)
    after = SealedFile(folder / "after", "lineage", secret=SECRET)
    assert rows == sum(table.num_rows for table in after.all())
    return before, after


def _names(file: SealedFile, bucket: int) -> list[str]:
    return [row["person"] for table in file.numbered([bucket]) for row in table.to_pylist()]


@settings(max_examples=20, deadline=None)
@given(chosen=st.dictionaries(st.integers(0, 7), st.lists(st.sampled_from(NAMES), max_size=5)))
def test_a_file_takes_over_what_stays_and_knows_what_changed(
    tmp_path_factory: pytest.TempPathFactory, chosen: dict[int, list[str]]
) -> None:
    before, after = _upon(tmp_path_factory.mktemp("upon"), chosen)
    for bucket in range(8):
        assert _names(after, bucket) == chosen.get(bucket, _names(before, bucket))
    assert set(after.differing(before)) == set(chosen)
    assert before.differing(before) == []


def test_what_is_not_taken_over_cannot_be_read_with_the_later_file(tmp_path: Path) -> None:
    """The ciphertext that stays is the same; its keys stand in each file's own index, sealed under its own salt."""
    before, after = _upon(tmp_path, {0: ["somebody:else"]})
    gone = set(_names(before, 0))
    assert gone.isdisjoint(row["person"] for table in after.all() for row in table.to_pylist())
    content = bytearray((tmp_path / "before").read_bytes())
    content[:200] = b"\0" * 200  # as a purge does
    (tmp_path / "before").write_bytes(content)
    with pytest.raises(BrokenError):
        SealedFile(tmp_path / "before", "lineage", secret=SECRET)
    assert _names(after, 1)


@pytest.mark.parametrize("form", [b"DEMURSE1", b"DEMURSE2"])
def test_files_of_former_forms_can_be_read(tmp_path: Path, form: bytes) -> None:
    """Written as files were before chunks had keys of their own, and before they had one schema."""
    header = orjson.dumps({"kind": "lineage", "salt": "00" * 32, "buckets": 2, "by": "crc32"})
    whole = sealed_file._cipher(SECRET, header)
    sink = pa.BufferOutputStream()
    table = pa.table({"person": ["x:1"]})
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    clear = sink.getvalue()
    if form == b"DEMURSE1":
        facts: list[str | int] = []
        chunk = sealed_file._seal(whole, clear.to_pybytes(), sealed_file._bound(header, 1, 0))
    else:
        facts = ["5c" * 32, 1]
        packed = clear.size.to_bytes(8, "big") + pa.Codec("zstd").compress(clear, asbytes=True)
        chunk = sealed_file._seal(AESGCM(b"\x5c" * 32), packed, sealed_file._chunk_bound("lineage", 1))
    begin = form + len(header).to_bytes(4, "big") + header
    listed = orjson.dumps([[1, len(begin), len(chunk), *facts]])
    index = sealed_file._seal(whole, listed, sealed_file._bound(header, 0xFFFFFFFF, 0))
    (tmp_path / "old").write_bytes(begin + chunk + index + (len(begin) + len(chunk)).to_bytes(8, "big") + form)
    assert _names(SealedFile(tmp_path / "old", "lineage", secret=SECRET), 1) == ["x:1"]


@pytest.mark.parametrize("read_bytes", [1, 300, 1 << 20])
def test_many_chunks_are_read_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read_bytes: int) -> None:
    """Also where only some are asked for, in another order, and more than one read takes in."""
    path = _seal(tmp_path / "s")
    monkeypatch.setattr(sealed_file, "READ_BYTES", read_bytes)
    sealed = SealedFile(path, "lineage", secret=SECRET)
    wanted = [5, 0, 3]
    expected = [(bucket, name) for bucket in wanted for name in NAMES if bucket_of(name, 8) == bucket]
    assert [(bucket, row["person"]) for bucket, table in sealed.parts(wanted) for row in table.to_pylist()] == expected
    gathered = [
        (int(bucket), row["person"])
        for buckets, table in sealed.gathered(wanted)
        for bucket, row in zip(buckets, table.to_pylist(), strict=True)
    ]
    assert gathered == expected

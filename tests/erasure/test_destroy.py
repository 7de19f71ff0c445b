"""What is destroyed is gone and logged, whatever is killed in between; nothing else is touched."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from demur.erasure import Destruction
from demur.errors import BrokenError, RefusedError

AT = datetime(2025, 6, 1, tzinfo=UTC)


@pytest.fixture
def room(tmp_path: Path) -> Path:
    (tmp_path / "models" / "old" / "states").mkdir(parents=True)
    (tmp_path / "models" / "old" / "states" / "a.bin").write_bytes(b"secret a" * 1000)
    (tmp_path / "models" / "old" / "b.json").write_bytes(b"secret b")
    (tmp_path / "models" / "new.bin").write_bytes(b"stays")
    return tmp_path


def make(room: Path) -> Destruction:
    return Destruction(room, room / "erasures" / "x" / "destroyed.jsonl")


def test_folders_and_files_go_and_the_log_says_what_they_held(room):
    destruction = make(room)
    gone = destruction.destroy([room / "models" / "old"], AT)
    assert not (room / "models" / "old").exists()
    assert (room / "models" / "new.bin").read_bytes() == b"stays"
    assert [one.what for one in gone] == ["models/old/b.json", "models/old/states/a.bin"]
    assert gone[1].digest == hashlib.sha256(b"secret a" * 1000).hexdigest()
    assert (gone[1].bytes, gone[1].at, gone[1].overwritten) == (8000, "2025-06-01T00:00:00Z", True)
    assert make(room).log() == gone
    assert destruction.destroy([room / "models" / "old", room / "nothing"], AT) == []


def test_bytes_are_overwritten_unless_another_name_needs_them(room):
    old, kept = room / "models" / "old" / "b.json", room / "models" / "kept.json"
    os.link(old, kept)
    (gone,) = make(room).destroy([old], AT)
    assert not gone.overwritten
    assert kept.read_bytes() == b"secret b"
    target = room / "models" / "old" / "states" / "a.bin"
    reader = os.open(target, os.O_RDONLY)  # holds the bytes on the disk after the name is gone
    try:
        make(room).destroy([target], AT)
        assert os.read(reader, 10_000) == bytes(8000)
    finally:
        os.close(reader)


def test_links_go_and_what_they_point_to_stays(room, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "precious"
    outside.write_bytes(b"precious")
    (room / "models" / "old" / "link").symlink_to(outside)
    make(room).destroy([room / "models" / "old"], AT)
    assert outside.read_bytes() == b"precious"


def test_nothing_outside_the_workspace_is_touched(room, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "precious"
    outside.write_bytes(b"precious")
    with pytest.raises(RefusedError):
        make(room).destroy([room / "models" / "old", outside], AT)
    assert outside.exists()
    assert (room / "models" / "old" / "b.json").exists()
    destruction = make(room)
    destruction.destroy([room / "models" / "old" / "b.json"], AT)
    with pytest.raises(RefusedError):
        destruction.destroy([room / "erasures"], AT)


@pytest.mark.parametrize("flushes", range(6))
def test_a_destruction_that_dies_anywhere_is_finished_and_logged_once(room, monkeypatch, flushes):
    """It dies at its first, second … flush to the disk: of the log, of an overwritten file, of a folder."""

    class Killed(BaseException):
        pass

    done = []

    def flush(handle: int) -> None:
        if len(done) == flushes:
            raise Killed
        done.append(handle)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", flush)
        try:
            make(room).destroy([room / "models" / "old"], AT)
        except Killed:
            assert (room / "models" / "old").exists()
        else:
            assert flushes == 5
    make(room).destroy([room / "models" / "old"], AT)
    assert not (room / "models" / "old").exists()
    log = make(room).log()
    assert [one.what for one in log] == ["models/old/b.json", "models/old/states/a.bin"]
    assert log[0].digest == hashlib.sha256(b"secret b").hexdigest()


def test_a_log_that_promises_too_much_is_found(room):
    destruction = make(room)
    destruction.destroy([room / "models" / "old" / "b.json"], AT)
    (room / "models" / "old" / "b.json").write_bytes(b"secret b")
    with pytest.raises(BrokenError):
        destruction.log()


def test_a_torn_line_in_the_log_hides_no_other(room):
    destruction = make(room)
    destruction.destroy([room / "models" / "old" / "b.json"], AT)
    log = room / "erasures" / "x" / "destroyed.jsonl"
    log.write_bytes(log.read_bytes() + b'{"what": "models/o')
    destruction.destroy([room / "models" / "old"], AT)
    assert len(make(room).log()) == 2

"""The ledger loses nothing, says nothing about anybody, and gives every change away."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.errors import BrokenError, InputError, OutsideError, RefusedError
from demur.ledger import (
    Entry,
    EntryKind,
    Ledger,
    VerifierKey,
    read_checkpoint,
    read_leaf,
    read_proof,
    require_intact,
    verify,
    verify_extension,
    verify_opening,
    verify_proof,
)
from demur.ledger.tiles import read_tile_path, tile_path, tiles_of
from demur.store import KeyRing

EXAMPLES = 2000 if os.environ.get("DEMUR_NIGHTLY") else 120
ORIGIN = "example.org/demur"
AT = datetime(2025, 5, 27, 12, tzinfo=UTC)
SENTINEL = "Anna Muster anna@example.org"


def entry(number: int, kind: EntryKind = EntryKind.OBJECTION) -> Entry:
    return Entry(kind, AT + timedelta(seconds=number), f"event-{number}", {"who": SENTINEL, "n": number})


def opened(folder: Path) -> Ledger:
    return Ledger.open(folder / "ledger", KeyRing(folder / "keys", seed=b"test"), ORIGIN)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with full tiles, partial ones, and old partial ones."""
    folder = tmp_path_factory.mktemp("grown")
    with opened(folder) as ledger:
        for begin, end in ((0, 3), (3, 300), (300, 301), (301, 600), (600, 613)):
            ledger.append([entry(number) for number in range(begin, end)])
    return folder


def test_entries_come_back_in_order_and_prove_themselves(grown):
    with opened(grown) as ledger:
        assert ledger.size == 613
        for index in (0, 2, 255, 256, 300, 511, 512, 612):
            proof = read_proof(ledger.prove(index).text())
            assert proof.leaf == ledger.entry(index)
            assert verify_proof(proof, ledger.verifier_key).size == 613
            opening = ledger.opening(index)
            assert opening.facts == {"who": SENTINEL, "n": index}
            assert verify_opening(proof.leaf, opening)
            assert not verify_opening(ledger.entry((index + 1) % 613), opening)
        assert list(ledger.entries(250, 520)) == [(index, ledger.entry(index)) for index in range(250, 520)]
        assert [index for index, _ in ledger.entries()] == list(range(613))
        with pytest.raises(InputError):
            ledger.prove(613)


def test_the_files_are_those_of_the_specification(grown):
    public = grown / "ledger" / "public"
    assert tile_path(0, 1234067) == "tile/0/x001/x234/067"
    wanted = {tile_path(*one) for one in tiles_of(70_000)}
    assert tile_path(0, 273, 112) in wanted
    assert tile_path(1, 1, 17) in wanted
    assert tile_path(2, 0, 1) in wanted
    assert len(wanted) == 2 * 274 + 2 + 1
    assert {tile_path(*one) for one in tiles_of(256)} == {"tile/entries/000", "tile/0/000", "tile/1/000.p/1"}
    for path in (tile_path(*one) for one in tiles_of(613)):
        assert (public / path).is_file(), path
    assert not (public / "tile/0/000.p").exists()  # covered by the full tile
    bundle = (public / "tile/entries/002.p/101").read_bytes()
    length = int.from_bytes(bundle[:2], "big")
    assert read_leaf(bundle[2 : 2 + length])["kind"] == "objection"
    for path in ("tile/0/0", "tile/00/000", "tile/0/000.p/256", "tile/0/x000/001", "tile/0/000.p/0"):
        assert read_tile_path(path) is None


def test_the_public_part_holds_nothing_about_anybody(grown):
    for file in (grown / "ledger" / "public").rglob("*"):
        assert not file.is_file() or not any(word.encode() in file.read_bytes() for word in SENTINEL.split())
        assert not file.is_file() or b"event-" not in file.read_bytes()


def test_an_intact_ledger_verifies_and_counts_its_kinds(grown):
    key = VerifierKey.read((grown / "ledger/public/vkey").read_text())
    facts = verify(grown / "ledger", key)
    assert facts.ok
    assert (facts.size, facts.kinds, facts.key_from_folder) == (613, {"objection": 613}, False)
    assert facts.root == read_checkpoint((grown / "ledger/public/checkpoint").read_text(), key).root.hex()
    assert verify(grown / "ledger/public").key_from_folder


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_any_changed_byte_is_found_and_placed(grown, data):
    public = grown / "ledger" / "public"
    files = sorted(file for file in public.rglob("*") if file.is_file())
    file = data.draw(st.sampled_from(files))
    raw = file.read_bytes()
    position = data.draw(st.integers(0, len(raw) - 1))
    changed = bytearray(raw)
    changed[position] ^= data.draw(st.integers(1, 255))
    file.write_bytes(changed)
    try:
        facts = verify(public)
    finally:
        file.write_bytes(raw)
    assert not facts.ok
    parent = file.relative_to(public).as_posix()
    if parent.startswith("tile/") and read_tile_path(parent) in tiles_of(613):
        assert any(parent in fault for fault in facts.faults), (parent, facts.faults)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_removed_or_cut_or_added_file_is_found(grown, data):
    public = grown / "ledger" / "public"
    needed = [public / "checkpoint", public / "vkey", *(public / tile_path(*one) for one in tiles_of(613))]
    file = data.draw(st.sampled_from(needed))
    raw = file.read_bytes()
    for change in (file.unlink, lambda: file.write_bytes(raw[:-1]), lambda: file.write_bytes(raw + b"\0")):
        change()
        try:
            assert not verify(public).ok
        finally:
            file.write_bytes(raw)
    extra = public / "tile" / "0" / "999"
    extra.write_bytes(b"\0" * 8192)
    try:
        assert verify(public).faults == (
            "tile/0/999: lies beyond the checkpoint's size 613 (a killed append, or a cut)",
        )
        with pytest.raises(BrokenError):
            require_intact(public)
    finally:
        extra.unlink()


def test_a_whole_log_of_another_key_is_found(grown, tmp_path):
    with Ledger.open(tmp_path / "ledger", KeyRing(tmp_path / "keys", seed=b"other"), ORIGIN) as ledger:
        ledger.append([entry(number) for number in range(5)])
    trusted = VerifierKey.read((grown / "ledger/public/vkey").read_text())
    assert verify(tmp_path / "ledger").ok
    assert not verify(tmp_path / "ledger", trusted).ok
    with pytest.raises(BrokenError):
        Ledger.open(tmp_path / "ledger", KeyRing(tmp_path / "keys2", seed=b"third"), ORIGIN)


def test_every_older_checkpoint_extends_to_the_newest(tmp_path):
    with opened(tmp_path) as ledger:
        notes = [ledger.checkpoint()]
        for begin, end in ((0, 1), (1, 2), (2, 7), (7, 256), (256, 700)):
            ledger.append([entry(number) for number in range(begin, end)])
            notes.append(ledger.checkpoint())
        for note in notes:
            verify_extension(note, ledger.checkpoint(), ledger.extension(note), ledger.verifier_key)
        with pytest.raises(BrokenError):
            verify_extension(notes[3], notes[5], ledger.extension(notes[2]), ledger.verifier_key)
    other = tmp_path / "other"
    with Ledger.open(other / "ledger", KeyRing(tmp_path / "keys", seed=b"test"), ORIGIN) as forked:
        forked.append([entry(number) for number in range(700)])
        with pytest.raises(BrokenError):
            verify_extension(notes[3], forked.checkpoint(), forked.extension(notes[3]), forked.verifier_key)


def test_the_same_event_is_logged_once(tmp_path):
    with opened(tmp_path) as ledger:
        assert ledger.append([entry(1), entry(2), entry(1)]) == [0, 1, 0]
        assert ledger.append([entry(3), entry(2)]) == [2, 1]
        assert ledger.append([entry(2)]) == [1]
        assert ledger.append([Entry(EntryKind.HOLD, AT, "event-2", {})]) == [3]  # another kind is another event
        assert ledger.append([]) == []
        assert ledger.size == 4
    with opened(tmp_path) as ledger:
        assert ledger.append([entry(3)]) == [2]
        assert ledger.find(EntryKind.OBJECTION, "event-3") == 2
        assert ledger.find(EntryKind.OBJECTION, "event-9") is None
    assert verify(tmp_path / "ledger").ok


def test_erasing_a_salt_erases_the_facts_and_leaves_the_log(tmp_path):
    with opened(tmp_path) as ledger:
        ledger.append([entry(number) for number in range(3)])
        before = ledger.checkpoint()
        salt = ledger.opening(1).salt
        assert ledger.erase_opening(1)
        assert not ledger.erase_opening(1)
        with pytest.raises(RefusedError):
            ledger.opening(1)
        assert ledger.checkpoint() == before
        assert ledger.append([entry(1)]) == [1]
        ledger.erase_opening(0)
        ledger.erase_opening(2)
    raw = (tmp_path / "ledger/private/openings.db").read_bytes()
    assert bytes.fromhex(salt) not in raw
    assert b"anna@example.org" not in raw
    assert verify(tmp_path / "ledger").ok


def test_salts_are_never_repeated(tmp_path):
    with opened(tmp_path) as ledger:
        same = [Entry(EntryKind.POLICY, AT, f"key-{number}", {"same": True}) for number in range(50)]
        ledger.append(same)
        assert len({read_leaf(ledger.entry(number))["commitment"] for number in range(50)}) == 50


def test_entries_that_would_leak_or_break_are_refused_together(tmp_path):
    with opened(tmp_path) as ledger:
        wrong = [
            Entry(EntryKind.BUILD, AT, "a", {}, {"corpus": "Anna Muster"}),
            Entry(EntryKind.BUILD, AT.replace(tzinfo=None), "b", {}),
            Entry(EntryKind.BUILD, AT, "", {}),
            entry(1),
        ]
        with pytest.raises(InputError) as error:
            ledger.append(wrong)
        assert len(error.value.faults) == 3
        assert ledger.size == 0


def test_two_writers_take_turns(tmp_path):
    with opened(tmp_path) as one, opened(tmp_path) as two:
        for number in range(20):
            (one if number % 2 else two).append([entry(number)])
        assert one.append([entry(0)]) == [0]
        assert two.append([entry(100)]) == [20]
        assert [read_leaf(two.entry(n))["at"] for n in range(20)] == [
            (AT + timedelta(seconds=n)).isoformat().replace("+00:00", "Z") for n in range(20)
        ]
    assert verify(tmp_path / "ledger").ok


APPENDER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from demur.ledger import Entry, EntryKind, Ledger
from demur.store import KeyRing
folder = Path(sys.argv[1])
with Ledger.open(folder / "ledger", KeyRing(folder / "keys", seed=b"test"), "example.org/demur") as ledger:
    number = ledger.size
    while True:
        batch = [Entry(EntryKind.RUN, datetime(2025, 1, 1, tzinfo=UTC), f"{number + n}", {}) for n in range(97)]
        last = ledger.append(batch)[-1]
        number += 97
        print(last + 1, flush=True)
"""


@pytest.mark.parametrize("pause_ms", [0, 7, 23, 61])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path, pause_ms):
    acknowledged = 0
    for _ in range(2):
        writer = subprocess.Popen([sys.executable, "-c", APPENDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        said = [writer.stdout.readline() for _ in range(3)]
        signal.sigtimedwait([], pause_ms / 1000)
        writer.kill()
        said += writer.stdout.read().splitlines(keepends=True)
        writer.wait()
        writer.stdout.close()
        acknowledged = max(int(line) for line in said if line.endswith("\n"))
        with opened(tmp_path) as ledger:
            assert ledger.size >= acknowledged
            again = [Entry(EntryKind.RUN, AT, str(number), {}) for number in range(ledger.size)]
            assert ledger.append(again) == list(range(len(again)))  # resumed work logs nothing twice
            assert verify(tmp_path / "ledger", ledger.verifier_key).ok
            assert ledger.opening(acknowledged - 1).facts == {}


def test_leavings_of_a_killed_append_are_cleared_away(tmp_path):
    with opened(tmp_path) as ledger:
        ledger.append([entry(number) for number in range(300)])
    kept = tmp_path / "kept"
    shutil.copytree(tmp_path / "ledger" / "public", kept)
    with opened(tmp_path) as ledger:
        ledger.append([entry(number) for number in range(300, 600)])
    # As if killed just before the checkpoint was replaced: tiles and openings are there, the checkpoint is not.
    shutil.copy(kept / "checkpoint", tmp_path / "ledger/public/checkpoint")
    for path in ("tile/0/001.p/44", "tile/entries/001.p/44", "tile/1/000.p/1"):
        target = tmp_path / "ledger/public" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(kept / path, target)
    (tmp_path / "ledger/public/.checkpoint.4711.part").write_text("half")
    with opened(tmp_path) as ledger:
        assert ledger.size == 300
        assert not verify(tmp_path / "ledger").ok
        assert ledger.append([entry(450)]) == [300]
        assert verify(tmp_path / "ledger", ledger.verifier_key).ok
        assert ledger.opening(300).facts["n"] == 450
        assert ledger.find(EntryKind.OBJECTION, "event-451") is None


@pytest.mark.parametrize("limit_bytes", [100, 5_000, 20_000, 40_000])
def test_a_full_disk_is_a_clear_error_and_loses_nothing(tmp_path, limit_bytes):
    with opened(tmp_path) as ledger:
        ledger.append([entry(number) for number in range(10)])
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, old[1]))
        try:
            with pytest.raises(OutsideError):
                ledger.append([entry(number) for number in range(10, 600)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, old)
        assert ledger.size == 10
        assert ledger.append([entry(700), entry(3)]) == [10, 3]
        assert ledger.opening(10).facts["n"] == 700
        assert verify(tmp_path / "ledger", ledger.verifier_key).ok
    with opened(tmp_path) as ledger:
        assert ledger.append([entry(number) for number in range(600)])[-1] == 600

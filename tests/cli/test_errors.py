"""What a user gets who does something wrong: one clear message on stderr, nothing on stdout, the right code."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from terminal import Terminal

from demur.cli.frame import guarded
from demur.errors import BrokenError, ConfigError, InputError, OutsideError, RefusedError

READERS = [
    "status", "people find x", "people show x", "objection queue", "objection withdraw x --confirm", "export --out t",
    "policy explain x", "policy whatif noyb-opt-in", "decide --out d.parquet", "corpus build", "corpus show",
    "corpus verify", "corpus explain x", "corpus diff a b", "train", "model show", "model verify", "model rerun en 0 0",
    "generate x", "erase", "erase --dry-run", "ledger verify", "ledger show", "ledger prove 0", "report",
    "notice record c --all --effective 2026-01-01", "hold lift x --by a --by b --reason r",
]  # fmt: skip

TABLE = [
    ("nosuch", 2, "No such command 'nosuch'"),
    ("campain list", 2, "Did you mean `demur campaign`?"),
    ("corpus build --as-of yesterday", 2, "expected an ISO 8601 date or instant such as 2026-06-01"),
    ("corpus build --shards 0", 2, "--shards"),
    ("corpus build --region german", 2, "expected LANGUAGE=REGION"),
    ("corpus build --policy nosuch", 2, "expected a policy file or one of demur-strict"),
    ("corpus show nosuch", 1, "expected a corpus nosuch"),
    ("corpus explain 00", 2, "expected the id of a record"),
    ("people show nobody", 2, "expected the id of a person, found nobody of that id"),
    ("objection withdraw nobody --confirm", 2, "expected the id of a person, found nobody of that id"),
    ("objection withdraw nobody", 1, "second confirmation"),
    ("objection add", 2, "name one: PERSON, or --account"),
    ("objection add x --handle y", 2, "name one: PERSON, or --account"),
    ("notice record c --effective 2026-01-01", 2, "name persons, or say --all"),
    ("policy explain nosuch", 2, "expected the id of an item"),
    ("policy whatif nosuch", 2, "expected a policy file or one of demur-strict"),
    ("erase", 1, "nothing is pending"),
    ("erase --dry-run", 1, "nothing is pending"),
    *(
        (f"{line} 2999-01-01", 2, "nobody knows yet what comes")
        for line in (
            "erase --at",
            "corpus build --known-at",
            "export --out t --known-at",
            "objection add x --at",
            "objection withdraw x --confirm --at",
            "people import README --at",
            "intake demo . --at",
        )
    ),
    ("erase verify nofile", 2, "'nofile' does not exist"),
    ("model show", 1, "run `demur train`"),
    ("generate x", 1, "run `demur train`"),
    ("train", 2, "give --base a model folder"),
    ("ledger prove 9999", 2, "expected an entry below the ledger's size"),
    ("hold lift nosuch --by a --by b --reason r", 2, "expected a hold that was placed"),
    (
        "intake nosuch .",
        2,
        "expected one of the sources activitystreams, aichats, bluesky",
    ),
    ("intake demo nofile", 2, "'nofile' does not exist"),
]


@pytest.mark.parametrize("line", READERS)
def test_a_missing_workspace_is_said_and_not_made(nowhere: Terminal, line: str) -> None:
    done = nowhere(*line.split())
    assert done.exit_code == 2, done.output
    assert "expected a workspace in" in done.stderr
    assert "--home" in done.stderr
    assert done.stdout == ""
    assert not nowhere.home.exists()


@pytest.mark.parametrize(("line", "code", "text"), TABLE, ids=[line for line, _, _ in TABLE])
def test_a_mistake_is_explained(
    copied: Terminal, line: str, code: int, text: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    done = copied(*line.split())
    assert done.exit_code == code, done.output
    assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_policy_with_several_faults_gets_them_all_with_lines(demur: Terminal, tmp_path: Path) -> None:
    bad = tmp_path / "bad.toml"
    bad.write_text(
        'name = "x"\npurpose = "train"\nfoo = 3\n[[jurisdiction]]\nname = "eu"\ncountries = ["DE", "QQ"]\n'
        'regime = "opt_outt"\nnotice_days = -3\n'
    )
    done = demur("--json", "policy", "check", str(bad))
    assert done.exit_code == 2
    faults = json.loads(done.stderr)["faults"]
    assert len(faults) >= 4
    assert {3, 6, 7, 8} <= {int(fault.split(":")[0].removeprefix("line ")) for fault in faults}
    plain = demur("policy", "check", str(bad))
    for fault in faults:
        assert fault in plain.stderr


def spoil(path: Path, place: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[place] ^= 0xFF
    path.write_bytes(raw)


def test_one_flipped_byte_in_a_corpus_is_found(copied: Terminal) -> None:
    slices = sorted(copied.home.glob("corpora/*/data/**/*.parquet"), key=lambda path: path.stat().st_size)
    spoil(slices[-1], 200)
    done = copied("--quiet", "corpus", "verify")
    assert done.exit_code == 3
    assert slices[-1].name in done.stderr


def test_a_damaged_manifest_note_or_registry_is_said_without_a_stack(copied: Terminal) -> None:
    (manifest,) = copied.home.glob("corpora/*/manifest.json")
    for path in (manifest, copied.home / "current.json", copied.home / "registry.db"):
        kept = path.read_bytes()
        path.write_bytes(b"\xff" * 40)
        done = copied("--quiet", "status")
        assert done.exit_code == 3, path
        assert done.stderr.startswith("demur: ")
        assert "Traceback" not in done.stderr
        path.write_bytes(kept)
    copied.done("--quiet", "status")


def test_one_flipped_byte_in_the_ledger_is_found(copied: Terminal) -> None:
    tiles = sorted(path for path in (copied.home / "ledger").rglob("*") if path.is_file() and "entries" in str(path))
    spoil(tiles[-1], 50)
    done = copied("ledger", "verify")
    assert done.exit_code in (1, 3)
    assert done.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [(InputError, 2), (ConfigError, 2), (RefusedError, 1), (OutsideError, 3), (BrokenError, 3), (KeyError, 3),
     (PermissionError, 3), (MemoryError, 3), (RecursionError, 3)],
)  # fmt: skip
def test_every_error_has_its_code(error: type[Exception], code: int) -> None:
    @click.command()
    @guarded
    def fail() -> None:
        raise error("someone@example.org")

    done = CliRunner().invoke(fail)
    assert done.exit_code == code
    assert done.stderr.startswith("demur: ")
    if code == 3 and error not in (OutsideError, BrokenError):
        assert "someone@example.org" not in done.stderr


def test_a_trace_is_given_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    @guarded
    def fail() -> None:
        raise KeyError("x")

    monkeypatch.setenv("DEMUR_TRACE", "1")
    assert isinstance(CliRunner().invoke(fail).exception, KeyError)


def test_who_interrupts_a_command_is_told_that_nothing_is_lost() -> None:
    code = (
        "import os, signal, time; from demur.cli.frame import guarded; "
        "signal.signal(signal.SIGINT, signal.default_int_handler); "  # who is started aside may have it ignored
        "guarded(lambda: (os.kill(os.getpid(), signal.SIGINT), time.sleep(30)))()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert "interrupted; nothing is lost" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_who_stops_the_site_is_told_of_no_failure(copied: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "demur", "--home", copied.home, "serve", "--port", str(port), "--no-work"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as site:
        for _ in range(600):
            assert site.poll() is None
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        site.send_signal(signal.SIGINT)
        said, complained = site.communicate(timeout=60)
    assert (site.returncode, said) == (0, "")
    assert "interrupted" not in complained

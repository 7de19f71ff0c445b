"""What memory cannot hold lies in ``work/`` while a command works: a kill leaves none of it, in no folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flow_worlds import SENTINEL

from demur.erasure import find_sentinel
from demur.flows.left import alone, run_folder
from demur.store import Workspace

KILLED_AT = """
import importlib, os, signal, sys

module, _, name = sys.argv[1].rpartition(".")
setattr(importlib.import_module(module), name, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
from demur.cli import main

main(sys.argv[2:])
"""
STATUSES = ("id", "uri", "text", "created_at", "visibility", "local", "account_id")


def _tables(folder: Path) -> Path:
    """A Mastodon database of one status."""
    folder.mkdir()
    home = "https://here.example/users/ann"
    (folder / "accounts.csv").write_text(f"id,username,uri,created_at\n1,ann,{home},2025-01-01 00:00:00\n")
    status = f"1,{home}/statuses/1,{SENTINEL},2026-01-01 10:00:00,0,t,1"
    (folder / "statuses.csv").write_text(f"{','.join(STATUSES)}\n{status}\n")
    return folder


def _site(folder: Path) -> Path:
    """A Stack Exchange site of one post that was edited."""
    folder.mkdir()
    event = f'<row Id="1" PostHistoryTypeId="2" PostId="1" UserId="7" CreationDate="2025-01-01" Text="{SENTINEL}"/>'
    (folder / "PostHistory.xml").write_text(f"<posthistory>\n{event}\n</posthistory>\n")
    post = '<row Id="1" PostTypeId="1" CreationDate="2025-01-01" OwnerUserId="7" Title="t" Body="now"/>'
    (folder / "Posts.xml").write_text(f"<posts>\n{post}\n</posts>\n")
    return folder


def _killed(home: Path, systems: Path, place: str, *command: str | Path) -> None:
    """Run a command that is killed at a place; the system's temporary folder is another, and empty."""
    systems.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT, place, "--home", home, *command],
        env={**os.environ, "TMPDIR": str(systems)}, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-800:]


def _nothing_stays(space: Workspace, systems: Path, text: str, name: str) -> None:
    assert find_sentinel(run_folder(space) / name, [text]), "it was killed before it spilled anything"
    assert list(systems.rglob("*")) == []
    with alone(space):
        assert list(run_folder(space).iterdir()) == []
    assert find_sentinel(space.work, [text]) == []


@pytest.mark.parametrize(
    ("source", "made", "place"),
    [
        ("mastodon_dump", _tables, "demur.intake.mastodon_dump._Joined"),
        ("stackexchange", _site, "demur.intake.revisions._alike"),
    ],
)
def test_a_killed_intake_leaves_no_text(tmp_path, source, made, place):
    space, systems = Workspace(tmp_path / "home"), tmp_path / "systems"
    _killed(space.root, systems, place, "intake", source, made(tmp_path / "given"))
    _nothing_stays(space, systems, SENTINEL, "intake")


def test_a_killed_comparison_of_policies_leaves_no_person(here, tmp_path):
    here.parts.registry.close()
    systems = tmp_path / "systems"
    _killed(here.space.root, systems, "demur.policy.whatif_report._changed", "policy", "whatif", "noyb-opt-in")
    _nothing_stays(here.space, systems, "agora:p-ana", "whatif")


def test_nothing_of_a_command_that_ends_stays(tmp_path):
    space, systems = Workspace(tmp_path / "home"), tmp_path / "systems"
    systems.mkdir()
    made = _tables(tmp_path / "given")
    command = [sys.executable, "-m", "demur", "--home", space.root, "intake", "mastodon_dump", made]
    subprocess.run(command, env={**os.environ, "TMPDIR": str(systems)}, capture_output=True, check=True)
    assert list(systems.rglob("*")) == []
    assert list(run_folder(space).iterdir()) == []

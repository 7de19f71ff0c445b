"""Commands of campaigns: from draft to proof in a terminal, with codes that a script can go by."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from terminal import Terminal

EVENTS = [
    {"type": "account", "account_id": "m:1", "person_id": "m:ann"},
    {"type": "status", "account_id": "m:1", "status": "active", "valid_at": "2020-01-01"},
    {"type": "age", "person_id": "m:ann", "born_on": 1990, "source": "declared"},
    {"type": "residence", "person_id": "m:ann", "country": "DE"},
    {"type": "contact", "person_id": "m:ann", "contact": "ann@x.example"},
    {"type": "account", "account_id": "m:2", "person_id": "m:kid"},
    {"type": "age", "person_id": "m:kid", "born_on": 2015, "source": "declared"},
    {"type": "residence", "person_id": "m:kid", "country": "DE"},
]


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    told = tmp_path / "events.jsonl"
    told.write_text("\n".join(json.dumps(event) for event in EVENTS))
    found = Terminal(tmp_path / "home")
    found.done("people", "import", str(told))
    return found


def test_from_draft_to_proof(terminal: Terminal, tmp_path: Path) -> None:
    assert terminal.done("campaign", "status").stdout.strip() == "no campaign yet"
    draft = ("campaign", "draft", "spring", "--effective", "2035-06-01", "--by", "ada")
    assert json.loads(terminal.done("--json", *draft).stdout)["faults"] == []
    preview = json.loads(terminal.done("--json", "campaign", "preview", "spring").stdout)
    assert (preview["people"], preview["told"], preview["excluded"]) == (2, 1, {"under_age": 1})
    assert terminal("campaign", "start", "spring", "--by", "ada").exit_code == 1, "nobody approved it"
    assert terminal("campaign", "approve", "spring", "--by", "ada").exit_code == 1, "four eyes"
    terminal.done("campaign", "approve", "spring", "--by", "grace")
    assert terminal(*draft).exit_code == 1, "its words cannot change"
    dry = json.loads(terminal.done("--json", "campaign", "start", "spring", "--by", "ada", "--dry-run").stdout)
    assert (dry["people"], dry["told"]) == (2, 1)
    terminal.done("campaign", "start", "spring", "--by", "ada")
    assert "reached" in terminal.done("campaign", "send", "spring").stdout
    facts = json.loads(terminal.done("--json", "campaign", "status", "spring").stdout)
    assert (facts["audience"], facts["reached"], facts["countries"]) == (2, 1, {"DE": {"people": 2, "reached": 1}})
    out = tmp_path / "proof.json"
    assert "accepted" in terminal.done("campaign", "proof", "m:ann", "--out", str(out)).stdout
    assert json.loads(out.read_text())["notices"][0]["proofs"][0]["ledger"]
    assert "under age" in terminal.done("campaign", "proof", "m:kid").stdout.replace("_", " ")
    assert "held" in terminal.done("campaign", "pause", "spring", "--by", "ada", "--reason", "x").stdout
    assert "running" in terminal.done("campaign", "resume", "spring", "--by", "ada").stdout
    assert "cancelled" in terminal.done("campaign", "cancel", "spring", "--by", "ada", "--reason", "x").stdout
    assert terminal("campaign", "resume", "spring", "--by", "ada").exit_code == 1


def test_wrong_use_is_said_clearly(terminal: Terminal, tmp_path: Path) -> None:
    past = terminal("campaign", "draft", "spring", "--effective", "2020-01-01", "--by", "ada")
    assert past.exit_code == 2
    assert "effective:" in past.output
    assert terminal("campaign", "status", "nothing").exit_code == 2
    assert terminal("campaign", "proof", "nobody").exit_code == 2


def test_texts_are_copied_to_be_edited_and_checked(terminal: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    terminal.done("campaign", "texts", str(folder))
    (folder / "en" / "subject.txt").write_text("News\n")
    again = terminal("--json", "campaign", "texts", str(folder))
    assert again.exit_code == 1
    assert {fault["file"] for fault in json.loads(again.stdout)["faults"]} == {"en/subject.txt"}

"""What commands print: the same facts as text and as JSON, whole tables, hints beside the result."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa
from terminal import INSTANT, Terminal

from demur.notice.schema import LETTERS
from demur.store.workspace import Workspace
from demur.terms import tables
from demur.terms.reasons import Reason
from demur.wiring import open_service

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")

QUICK = [
    "status", "people find agora:p10", "people show agora:p10", "objection queue", "policy list",
    "policy check demur-strict", "policy show noyb-opt-in", "policy diff demur-strict noyb-opt-in", "corpus show",
    "ledger verify", "ledger show",
    "ledger prove 0",
]  # fmt: skip


@pytest.mark.parametrize("line", QUICK)
def test_json_is_one_object_wherever_the_option_stands(demur: Terminal, line: str) -> None:
    before = demur.done("--json", *line.split())
    behind = demur.done(*line.split(), "--json")
    assert isinstance(json.loads(before.stdout), dict)
    assert before.stdout == behind.stdout
    assert before.stderr == ""


@pytest.mark.parametrize("line", QUICK)
def test_text_is_no_json_and_quiet_says_nothing_beside(demur: Terminal, line: str) -> None:
    done = demur.done("--quiet", *line.split())
    assert done.stdout.strip()
    assert done.stderr == ""
    assert not done.stdout.startswith("{")
    assert "None" not in done.stdout


def test_home_may_stand_behind(demur: Terminal, nowhere: Terminal) -> None:
    assert json.loads(nowhere.done("status", "--home", str(demur.home), "--json").stdout)["home"] == str(demur.home)


def test_progress_and_hints_go_to_stderr(copied: Terminal, tmp_path: Path) -> None:
    done = copied.done("decide", "--as-of", INSTANT, "--out", str(tmp_path / "d.parquet"))
    assert re.search(r"^  decide +[0-9.]+ s", done.stderr, re.M)
    assert "decide  " not in done.stdout
    stages = [line.split()[0] for line in done.stderr.splitlines()]
    assert len(stages) == len(set(stages)), "one line a stage"


def test_text_and_json_tell_the_same(demur: Terminal) -> None:
    facts = json.loads(demur.done("--json", "corpus", "show").stdout)
    text = demur.done("corpus", "show").stdout
    assert facts["digest"] in text
    for reason, count in facts["counts"]["decisions"].items():
        assert re.search(rf"^{reason} +{count:,}$", text, re.M), reason


def documented(command: str, pattern: str) -> list[str]:
    found = re.search(rf"^### `demur {command}`\n(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    assert found
    return re.findall(pattern, found[1], re.M)


def test_decide_writes_what_is_documented(copied: Terminal, tmp_path: Path) -> None:
    out = tmp_path / "decisions.parquet"
    facts = json.loads(copied.done("--json", "--quiet", "decide", "--as-of", INSTANT, "--out", str(out)).stdout)
    table = pq.read_table(out)
    assert table.column_names == documented("decide", r"^\| `([a-z_]+)` \| [a-z0-9<>: ]+ \|")
    assert table.num_rows == facts["items"] == len(set(table["item_id"].to_pylist()))
    assert sum(table["allowed"].to_pylist()) == facts["allowed"]
    codes = {str(reason) for reason in Reason}
    for row in table.to_pylist():
        assert row["allowed"] == (row["reasons"] == []) == (row["primary_reason"] is None)
        assert set(row["reasons"]) <= codes
        assert row["allowed"] or row["reasons"][0] == row["primary_reason"]


def test_export_writes_what_is_documented(copied: Terminal, tmp_path: Path) -> None:
    copied.done("--quiet", "export", "--for-audit", "a test", "--as-of", INSTANT, "--out", str(tmp_path / "t"))
    rows = documented("export", r"^\| `([a-z*/]+\.parquet)` \| (.*) \|$")
    assert len(rows) == 8
    for name, columns in rows:
        (path,) = (tmp_path / "t").glob(name)
        assert pq.read_schema(path).names == re.findall(r"`([a-z_]+)`", columns), name
        schema = getattr(tables, name.split("/")[0].split(".")[0].upper())
        assert set(pq.read_schema(path).names) == set(schema.names)


def test_an_objection_leads_to_a_plan_that_changes_nothing(copied: Terminal, somebody: Callable[[], str]) -> None:
    person = somebody()
    added = copied.done("objection", "add", person, "--at", "2026-10-01")
    assert "demur erase --dry-run" in added.stderr
    status: dict[str, Any] = json.loads(copied.done("--json", "status").stdout)
    assert status["waiting_for_erase"] == {"objection": 1}
    plan = json.loads(copied.done("erase", "--dry-run", "--at", "2026-10-02", "--json", "--quiet").stdout)
    assert plan["plan"]["records_removed"] > 0
    assert plan["certificate"] is None
    assert json.loads(copied.done("--json", "status").stdout)["corpus"] == status["corpus"]


def test_a_stranger_may_object_and_is_told_apart(demur: Terminal, copied: Terminal) -> None:
    assert "Nobody of that id is known yet" in copied.done("objection", "add", "agora:p99999").stderr
    waits = copied.done("objection", "add", "--handle", "@nobody-of-this-name")
    assert "demur objection queue" in waits.stderr
    queue = copied.done("objection", "queue")
    assert "agora:p99999" in queue.stdout
    assert "@nobody-of-this-name" in queue.stdout
    assert "nobody waits" in demur.done("objection", "queue").stdout


def test_who_is_said_to_take_an_objection_back_learns_of_it_by_letter(
    copied: Terminal, somebody: Callable[[], str]
) -> None:
    person = somebody()
    copied.done("objection", "add", person)
    facts = json.loads(copied.done("--json", "objection", "withdraw", person, "--confirm").stdout)
    assert facts["withdrawn"]
    with open_service(Workspace(copied.home)) as service, service.notice.database.reading() as connection:
        letters = {tuple(one) for one in connection.execute(sa.select(LETTERS.c.kind, LETTERS.c.person_id))}
    assert ("withdrawal_confirmed", person) in letters


def test_the_report_is_where_it_says(copied: Terminal) -> None:
    done = copied.done("report", "--quiet", "--title", "Ours & theirs")
    page = Path(done.stdout.strip())
    assert "Ours &amp; theirs" in page.read_text(encoding="utf-8")


def test_an_erased_corpus_verifies_and_nothing_waits(copied: Terminal, somebody: Callable[[], str]) -> None:
    copied.done("objection", "add", somebody(), "--at", "2026-10-01")
    gone = json.loads(copied.done("erase", "--at", "2026-10-02", "--json", "--quiet").stdout)
    assert Path(gone["certificate"]).exists()
    copied.done("--quiet", "erase", "verify", gone["certificate"])
    assert copied("erase", "--at", "2026-10-03").exit_code == 1
    assert json.loads(copied.done("--json", "status").stdout)["waiting_for_erase"] == {}

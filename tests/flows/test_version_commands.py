"""The commands about versions of a corpus: what they print, and what their exit codes say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from flow_worlds import LATER, POLICY, RECIPE, Platform

from demur.cli import main
from demur.corpus.decision_file import check_decisions
from demur.flows.build import build_corpus
from demur.flows.parts import current

Ask = Callable[..., Any]


@pytest.fixture
def ask(copies: Callable[..., Platform]) -> Ask:
    here = copies("untrained")
    here.object("mia")
    first = str(current(here.space).corpus)
    second = build_corpus(here.parts, POLICY, RECIPE, as_of=LATER, known_at=LATER).corpus_id
    here.parts.registry.close()

    def run(*words: Any, code: int = 0) -> Any:
        done = CliRunner().invoke(main, ["--home", str(here.space.root), "--json", *map(str, words)])
        assert done.exit_code == code, done.output
        return orjson.loads(done.stdout) if code == 0 else orjson.loads(done.stderr.splitlines()[-1])

    run.versions = (first, second)  # type: ignore[attr-defined]
    return run


def test_the_way_of_a_version_from_its_page_to_its_end(ask: Ask, tmp_path: Path) -> None:
    first, second = ask.versions  # type: ignore[attr-defined]
    told = ask("corpus", "diff", first, second, "--html", tmp_path / "page.html")
    assert told["why_went"] == {"objected": 3}
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    out = tmp_path / "out"
    left = ask("corpus", "export", "--to", out, "--format", "jsonl", "--licence", "CC0-1.0")
    assert left["corpus"] == second
    assert left["files"] == sum(1 for _ in out.rglob("*.zst"))
    assert ask("corpus", "export", "--to", out, code=2)["error"] == "InputError"
    decided = ask("corpus", "decisions", "--to", tmp_path / "d.parquet")
    assert check_decisions(tmp_path / "d.parquet")["rows"] == decided["rows"]
    assert ask("corpus", "use", first, code=1)["error"] == "RefusedError"
    assert ask("corpus", "use", second) == {"corpus": second, "model": None}
    assert ask("corpus", "schedule")["due_at"] is None
    rehearsed = ask("corpus", "expire", "--keep-versions", 1, "--dry-run")
    assert {one["corpus"]: one["expires"] for one in rehearsed["versions"]} == {first: True, second: False}
    assert rehearsed["destroyed"] == []
    done = ask("corpus", "expire", "--keep-versions", 1)
    assert len(done["destroyed"]) == 1
    (record,) = ask("corpus", "expired")["expired"]
    assert record["corpus"] == first
    assert all(one["ok"] for one in record["checks"])
    assert ask("corpus", "openlineage")["events"] > 0
    assert ask("corpus", "openlineage")["events"] == 0
    path = Path(record["record"])
    path.write_bytes(path.read_bytes().replace(b"newest 1", b"newest 2"))
    done_again = CliRunner().invoke(main, ["--home", str(path.parents[3]), "corpus", "expired"])
    assert done_again.exit_code == 1
    assert "FAILS" in done_again.stdout


@pytest.mark.parametrize(("found", "code"), [({"base": "b", "source": "s"}, 0), ({"corpuz": "x"}, 3), ([], 3)])
def test_members_of_before_are_passed_over_in_what_is_current_and_others_are_a_fault(
    copies: Callable[..., Platform], found: Any, code: int
) -> None:
    root = copies("untrained").space.root
    old = orjson.loads((root / "current.json").read_bytes())
    (root / "current.json").write_bytes(orjson.dumps(found if found == [] else {**old, **found}))
    done = CliRunner().invoke(main, ["--home", str(root), "--quiet", "status"])
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output

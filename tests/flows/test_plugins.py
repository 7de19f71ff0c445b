"""What docs/contributing-plugins.md shows works, in under fifty lines each, found by its entry points alone."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from demur.clock import parse
from demur.corpus.redact import redact
from demur.corpus.redact_plugins import Recogniser, recogniser
from demur.intake import intake, source_named
from demur.intake.source import Context, Input, ItemRow, Source

PLUGIN = Path(__file__).parent / "plugin"
PAGE = Path(__file__).resolve().parents[2] / "docs" / "contributing-plugins.md"
LOG = """# opened
2025-05-05T10:00:00Z [public] ana: a public line, member M-12345 wrote it
2025-05-05T10:01:00Z [members] ben: only members read this
not a line of this board
"""


@pytest.fixture(autouse=True)
def _installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "may.log").write_text(LOG, encoding="utf-8")
    return tmp_path / "board"


def rows(folder: Path) -> list[dict[str, Any]]:
    return [row for path in sorted(folder.rglob("*.parquet")) for row in pq.ParquetFile(path).read().to_pylist()]


def take(log: Path, out: Path) -> Any:
    return intake("board", [log], store_folder=out / "source", quarantine_folder=out / "quarantine",
                  imported_at=parse("2025-06-01"))  # fmt: skip


def test_a_source_of_a_stranger_is_read_and_its_faults_are_quarantined(log: Path, tmp_path: Path) -> None:
    report = take(log, tmp_path)
    assert (report.items, report.people) == (2, 2)
    assert report.quarantined == {"malformed_table": 1}
    assert report.ignored == {"comment": 1}
    found = {row["item_id"]: row for row in rows(tmp_path / "source" / "items")}
    assert {row["audience"] for row in found.values()} == {"public", "group"}
    assert {row["source"] for row in found.values()} == {"board"}
    again = take(log, tmp_path)
    assert (again.items, len(again.unchanged)) == (0, 1)


def test_a_source_reads_a_unit_by_itself(log: Path) -> None:
    source = source_named("board")
    assert isinstance(source, Source)
    (unit,) = source.inputs([log])
    context = Context(service="board", imported_at=parse("2025-06-01"))

    def items() -> Iterator[dict[str, Any]]:
        return (dict(row) for row in source.read(Input(unit.files), context) if isinstance(row, ItemRow))

    assert list(items()) == list(items())


def test_a_recogniser_of_a_stranger_joins_the_rules() -> None:
    members = recogniser("members")
    assert isinstance(members, Recogniser)
    done = redact(pa.array(["M-12345 wrote to ana@example.org", None, "nobody"]), plugins=[members])
    masked = done.texts.to_pylist()
    assert "12345" not in masked[0]
    assert "example.org" not in masked[0]
    assert masked[1:] == [None, "nobody"]
    assert done.counts["MEMBER"] == 1


def test_the_page_shows_this_very_code() -> None:
    shown = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.M | re.S))
    module = ast.parse((PLUGIN / "demur_mine.py").read_text(encoding="utf-8"))
    on_page = {one.name: ast.dump(one) for one in ast.walk(ast.parse(shown)) if isinstance(one, ast.ClassDef)}
    for one in module.body:
        if isinstance(one, ast.ClassDef):
            assert on_page[one.name] == ast.dump(one), one.name
            assert (one.end_lineno or 0) - one.lineno < 50
    for line in (PLUGIN / "demur_mine-1.dist-info" / "entry_points.txt").read_text(encoding="utf-8").splitlines():
        if "=" in line:
            name, _, target = line.partition(" = ")
            assert f'{name} = "{target}"' in PAGE.read_text(encoding="utf-8")

"""How lines, tables and progress look."""

from __future__ import annotations

import pytest

from demur.cli.look import StageLines, duration, grid, listing, plain


def test_a_stage_gets_one_line_however_often_it_tells() -> None:
    written: list[str] = []
    ticks = iter(range(100))
    lines = StageLines(written.append, lambda: float(next(ticks)))
    for done in range(1, 11):
        lines("train", done, 10)
    lines("merge", 0, None)
    lines.end()
    lines.end()
    assert [line.split() for line in written] == [["train", "1.0", "s", "10", "of", "10"], ["merge", "1.0", "s"]]


def test_tables_keep_words_whole_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    grid(["name", "count"], [["a" * 300, 1234567], ["b", 1]])
    head, first, second = capsys.readouterr().out.splitlines()
    assert first == "a" * 300 + "  1,234,567"
    assert head.endswith("    count")
    assert second.endswith("          1")


def test_an_absent_value_says_what_it_means(capsys: pytest.CaptureFixture[str]) -> None:
    listing({"valid_until": None, "other": None, "inner": {"x": 1}}, {"valid_until": "always"})
    assert capsys.readouterr().out.splitlines() == ["valid until  always", "other        –", "inner", "  x  1"]


def test_values_are_written_for_people() -> None:
    assert plain([1000, True, None]) == "1,000, yes, –"
    assert duration(59.96) == "60.0 s"
    assert duration(3600) == "60 min 00 s"

"""How results and progress look: lines, lists, tables on stdout; one line a stage on stderr.

A terminal gets moving bars and folded cells; a pipe gets whole lines, so that what comes after can search them.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click

from demur import clock
from demur.terms.progress import Progress, silent

NOTHING = "–"
"""How an absent value is shown: neither no nor unknown is said by it."""

HELD = {True: "holds", False: "FAILS", None: "not compared"}
"""Whether a check holds, in a word."""

NOBODY = "expected the id of a person, found nobody of that id; `demur people find` looks one up"


def say(line: str = "") -> None:
    """Print one line of a result."""
    click.echo(line)


def note(line: str) -> None:
    """Tell something beside the result."""
    click.echo(line, err=True)


def listing(facts: Mapping[str, Any], absent: Mapping[str, str] | None = None, indent: str = "") -> None:
    """Print a mapping, nested ones indented.

    Args:
        facts: names and values.
        absent: name → what it means when its value is ``None``.
        indent: before every line.
    """
    width = max((len(plain_name(key)) for key, value in facts.items() if not _nested(value)), default=0)
    for key, value in facts.items():
        if _nested(value):
            say(f"{indent}{plain_name(key)}")
            listing(value, absent, indent + "  ")
        else:
            shown = (absent or {}).get(str(key), NOTHING) if value is None else plain(value)
            say(f"{indent}{plain_name(key):<{width}}  {shown}")


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value)


def plain_name(key: Any) -> str:
    """Write a fact's name as words."""
    return str(key).replace("_", " ")


def grid(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """Print a table; numbers to the right, long cells folded only where a terminal is too narrow."""
    if title:
        say(title)
    cells = [[plain(cell) for cell in row] for row in rows]
    numeric = [bool(rows) and all(_number(row[place]) for row in rows) for place in range(len(columns))]
    widths = [max(len(row[place]) for row in [list(columns), *cells]) for place in range(len(columns))]
    if sum(widths) + 2 * len(widths) > _width():
        _folded(columns, cells, numeric)
        return
    for row in [list(columns), *cells]:
        aligned = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        say("  ".join(aligned).rstrip())


def records(rows: Sequence[Mapping[str, Any]], title: str = "") -> None:
    """Print mappings as a table; what a row lacks is absent."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    grid(columns, [[row.get(name) for name in columns] for row in rows], title)


def _folded(columns: Sequence[str], cells: list[list[str]], numeric: list[bool]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column, right in zip(columns, numeric, strict=True):
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for row in cells:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 1_000_000


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(value: Any) -> str:
    """Write a value for people.

    >>> plain(1234567), plain(0.5), plain(True), plain(["a", "b"]), plain(None)
    ('1,234,567', '0.50', 'yes', 'a, b', '–')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}"
    if isinstance(value, datetime):
        return clock.iso(value)
    if isinstance(value, list | tuple):
        return ", ".join(plain(member) for member in value) or "none"
    if isinstance(value, Mapping):
        return "none"
    return NOTHING if value is None else str(value)


def duration(seconds: float) -> str:
    """Write a duration.

    >>> duration(0.04), duration(7.25), duration(75)
    ('0.0 s', '7.2 s', '1 min 15 s')
    """
    whole, rest = divmod(round(seconds), 60)
    return f"{seconds:.1f} s" if seconds < 60 else f"{whole} min {rest:02d} s"


@contextmanager
def progress_for(*, quiet: bool) -> Iterator[Progress]:
    """Show on stderr how far work is: bars on a terminal, a line a finished stage elsewhere, or nothing."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _bars() as told:
            yield told
    else:
        lines = StageLines(note, time.monotonic)
        yield lines
        lines.end()


@contextmanager
def _bars() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    with Bars(*columns, console=Console(stderr=True, highlight=False)) as bars:
        now: tuple[str, Any] | None = None

        def report(stage: str, done: int, total: int | None) -> None:
            nonlocal now
            if now is None or now[0] != stage:
                if now is not None:
                    bars.stop_task(now[1])
                now = stage, bars.add_task(stage, total=total)
            bars.update(now[1], completed=done, total=total)

        yield report


class StageLines:
    """One line for each stage, written when the next one begins."""

    def __init__(self, write: Callable[[str], None], seconds: Callable[[], float]) -> None:
        self._write, self._seconds = write, seconds
        self._stage: str | None = None
        self._begun = 0.0
        self._counts = ""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Take note; write only when a stage has ended."""
        if stage != self._stage:
            self.end()
            self._stage, self._begun = stage, self._seconds()
        self._counts = f"{done:,} of {total:,}" if total else (f"{done:,}" if done else "")

    def end(self) -> None:
        """Write the line of the stage that was going on."""
        if self._stage is not None:
            self._write(f"  {self._stage:<22} {duration(self._seconds() - self._begun):>12}   {self._counts}".rstrip())
        self._stage = None

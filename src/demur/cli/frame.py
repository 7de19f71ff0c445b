"""What every command shares: where the workspace is, how results and errors are shown, how progress looks.

Results go to stdout, progress and errors to stderr. ``--json`` gives the same facts as one JSON object.
Exit codes: 0 done, 1 refused by a rule, 2 wrong use, 3 failed (STYLE 3.14).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

import click
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from demur import clock
from demur.errors import DemurError, OutsideError
from demur.store.workspace import Workspace
from demur.terms.progress import Progress, silent

P = ParamSpec("P")
R = TypeVar("R")

_err = Console(stderr=True, highlight=False)
_out = Console(highlight=False, soft_wrap=True)


@dataclass(slots=True)
class Context:
    """Options that stand before the command."""

    home: Path
    as_json: bool
    quiet: bool

    @property
    def workspace(self) -> Workspace:
        """The workspace that the command works in."""
        return Workspace(self.home)


pass_context = click.make_pass_decorator(Context)


class InstantType(click.ParamType[datetime]):
    """An ISO 8601 date or instant; UTC when nothing else is said."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the text or explain what was expected."""
        if isinstance(value, datetime):
            return value
        try:
            return clock.parse(str(value))
        except ValueError:
            self.fail("expected an ISO 8601 date or instant such as 2026-06-01 or 2026-06-01T12:00:00Z", param, ctx)


INSTANT = InstantType()


def as_of_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--as-of`` (default: now)."""
    return click.option(
        "--as-of", type=INSTANT, default=None, help="Decide as of this instant (default: now).", show_default=False
    )(command)


def policy_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--policy`` (file or preset)."""
    return click.option(
        "--policy", default="demur-strict", show_default=True, help="Policy file, or the name of a preset."
    )(command)


def show(context: Context, facts: Mapping[str, Any], text: Callable[[], None] | None = None) -> None:
    """Print facts: as JSON when asked, else with ``text``, else as a two-column list."""
    if context.as_json:
        sys.stdout.buffer.write(
            orjson.dumps(facts, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)
        )
        sys.stdout.buffer.flush()
    elif text is not None:
        text()
    else:
        listing(facts)


def say(line: str = "") -> None:
    """Print one line of a result."""
    _out.print(line, markup=False)


def note(line: str) -> None:
    """Tell something beside the result."""
    _err.print(line, markup=False)


def listing(facts: Mapping[str, Any], indent: str = "") -> None:
    """Print a mapping, nested ones indented."""
    width = max((len(str(key)) for key in facts), default=0)
    for key, value in facts.items():
        if isinstance(value, Mapping) and value:
            say(f"{indent}{key}")
            listing(value, indent + "  ")
        else:
            say(f"{indent}{key!s:<{width}}  {_plain(value)}")


def grid(title: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Print a table; numbers to the right."""
    table = Table(title=title or None, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for position, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[position], int | float) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_plain(cell) for cell in row))
    _out.print(table)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}".replace(",", " ")
    if isinstance(value, float):
        return f"{value:,.2f}".replace(",", " ")
    if isinstance(value, list | tuple):
        return ", ".join(_plain(member) for member in value) or "none"
    if isinstance(value, Mapping):
        return "none"
    return "unknown" if value is None else str(value)


@contextmanager
def progress(context: Context) -> Iterator[Progress]:
    """Show bars on stderr while work goes on; plain lines when nobody watches a terminal."""
    if context.quiet:
        yield silent
        return
    if not _err.is_terminal:
        yield _lines()
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=_err) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done, total=total)

        yield report


def _lines() -> Progress:
    seen: dict[str, int] = {}

    def report(stage: str, done: int, total: int | None) -> None:
        tenth = -1 if not total else 10 * done // total
        if stage not in seen or tenth > seen[stage]:
            seen[stage] = tenth
            note(f"  {stage}" + (f": {done} of {total}" if total else ""))

    return report


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn our errors into one clear message and the right exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except DemurError as error:
            _fail(error)
        except OSError as error:
            _fail(
                OutsideError(f"the system refused: {error.strerror or type(error).__name__} ({error.filename or ''})")
            )

    return run


def _fail(error: DemurError) -> NoReturn:
    wanted_json = any(argument == "--json" for argument in sys.argv)
    if wanted_json:
        facts = {"error": type(error).__name__, "message": str(error).split("\n")[0], "faults": list(error.faults)}
        sys.stderr.write(orjson.dumps(facts).decode() + "\n")
    else:
        note(f"demur: {error}")
    raise SystemExit(error.exit_code)

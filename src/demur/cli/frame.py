"""What every command shares: where the workspace is, how results and errors are shown, how progress looks.

Results go to stdout, progress, hints and errors to stderr. ``--json`` gives the same facts as one JSON object.
Exit codes: 0 done, 1 refused by a rule, 2 wrong use, 3 failed (STYLE 3.14); 130 interrupted, as shells count it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, ParamSpec, TypeVar

import click
import orjson

from demur import clock
from demur.cli.look import note, progress_for
from demur.errors import BrokenError, DemurError, InputError, OutsideError
from demur.store.workspace import Workspace
from demur.terms.progress import Progress

if TYPE_CHECKING:
    from demur.flows.parts import Parts

P = ParamSpec("P")
R = TypeVar("R")

_TRACE = "DEMUR_TRACE"
"""Set to 1 to see where an unexpected error came from."""
_INTERRUPTED = 130


@dataclass(slots=True)
class Context:
    """Options that every command knows; before or after its name."""

    home: Path
    as_json: bool = False
    quiet: bool = False

    @property
    def new_workspace(self) -> Workspace:
        """The workspace, for a command that may be the first one in it."""
        return Workspace(self.home)

    @property
    def workspace(self) -> Workspace:
        """The workspace that the command works in.

        Raises:
            InputError: there is none; a mistyped ``--home`` must not look like an empty one.
        """
        space = Workspace(self.home)
        traces = (space.source, space.keys.folder, space.ledger, space.models, space.corpora, self.home / "registry.db")
        if not any(trace.exists() for trace in traces):
            raise InputError(
                f"expected a workspace in {self.home}, found none; name it with --home or DEMUR_HOME,"
                " or begin one with `demur intake` or `demur demo`"
            )
        return space


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
        except (ValueError, DemurError):
            self.fail("expected an ISO 8601 date or instant such as 2026-06-01 or 2026-06-01T12:00:00Z", param, ctx)


INSTANT = InstantType()


def as_of_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--as-of`` (default: now)."""
    return click.option(
        "--as-of", type=INSTANT, default=None, help="Decide as of this instant (default: now).", show_default=False
    )(command)


def known_by_now(_ctx: click.Context, _param: click.Parameter, value: datetime | None) -> datetime | None:
    """Refuse an instant of knowledge that is still to come: what is said until then would not count."""
    if value is not None and value > clock.now():
        raise click.BadParameter("expected now or earlier, found a later instant: nobody knows yet what comes")
    return value


def known_at_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--known-at`` (default: now)."""
    return click.option(
        "--known-at",
        type=INSTANT,
        default=None,
        callback=known_by_now,
        help="As known at this instant (default: now).",
    )(command)


def policy_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--policy`` (file or preset)."""
    return click.option(
        "--policy", default="demur-strict", show_default=True, help="Policy file, or the name of a preset."
    )(command)


def recipient_options(command: Callable[P, R]) -> Callable[P, R]:
    """Add the options that say who gets what leaves the house."""
    command = click.option("--language", default="en", show_default=True, help="Of the letters to them.")(command)
    told = "Who gets it: 'Name <address>'. They are written to when it may not be used any longer."
    return click.option("--for", "to", help=told)(command)


def learned_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--at`` (default: now)."""
    return click.option(
        "--at", type=INSTANT, default=None, callback=known_by_now, help="When demur learns it (default: now)."
    )(command)


def _changes(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def change(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        found = ctx.find_object(Context)
        if value is not None and found is not None:
            setattr(found, name, value.resolve() if isinstance(value, Path) else value)

    return change


def with_common_options(command: click.Command) -> click.Command:
    """Let ``--home``, ``--json`` and ``--quiet`` also stand after the command's name; return the command.

    An option of the command's own wins over the common one of the same name.
    """
    taken = {name for parameter in command.params for name in parameter.opts}
    if command.params and getattr(command, "common", False):
        return command
    kind = click.Path(path_type=Path, file_okay=False)
    hidden = isinstance(command, click.Group) and not command.invoke_without_command
    for name, field, more in (
        ("--home", "home", {"type": kind, "help": "Workspace folder."}),
        ("--json", "as_json", {"is_flag": True, "flag_value": True, "help": "Print results as one JSON object."}),
        ("--quiet", "quiet", {"is_flag": True, "flag_value": True, "help": "No progress, no hints."}),
    ):
        if name not in taken:
            command.params.append(
                click.Option([name, f"common_{field}"], default=None, expose_value=False, hidden=hidden,
                             callback=_changes(field), **more)  # type: ignore[arg-type]  # one table of three options
            )  # fmt: skip
    command.common = True  # type: ignore[attr-defined]  # commands are module-level objects; do this once
    for member in getattr(command, "commands", {}).values():
        with_common_options(member)
    return command


@contextmanager
def progress(context: Context) -> Iterator[Progress]:
    """Show on stderr how far work is."""
    with progress_for(quiet=context.quiet) as told:
        yield told


@contextmanager
def reading(context: Context) -> Iterator[Parts]:
    """Open an existing workspace to look something up."""
    from demur.wiring import open_parts

    with open_parts(context.workspace) as parts:
        yield parts


@contextmanager
def working(context: Context, *, first: bool = False, builds: bool = False) -> Iterator[Parts]:
    """Open a workspace alone, with progress.

    Args:
        context: of the command.
        first: this command may begin it.
        builds: this command may go on with a build that was killed.
    """
    from demur.flows.left import alone
    from demur.wiring import open_parts

    space = context.new_workspace if first else context.workspace
    with ExitStack() as stack:
        stack.enter_context(alone(space, builds=builds))
        told = stack.enter_context(progress(context))
        yield stack.enter_context(open_parts(space, told))


def workers() -> int:
    """Return how many processes work side by side."""
    from demur.store.stage import cores

    return cores()


def show(context: Context, facts: Mapping[str, Any], text: Callable[[], None] | None = None) -> None:
    """Print facts: as JSON when asked, else with ``text``, else as a two-column list."""
    from demur.cli.look import listing

    if context.as_json:
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS | orjson.OPT_UTC_Z
        click.echo(orjson.dumps(facts, option=options, default=_foreign), nl=False)
    elif text is not None:
        text()
    else:
        listing(facts)


def _foreign(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(value)
    raise TypeError(type(value).__name__)


def hint(context: Context, line: str) -> None:
    """Say what may come next; not to machines, not to those who want quiet."""
    if not context.as_json and not context.quiet:
        note(line)


def guarded(command: Callable[P, R]) -> Callable[P, R]:
    """Turn every error into one clear message and the right exit code."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except DemurError as error:
            _fail(error)
        except (BrokenPipeError, click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except OSError as error:
            cause = error.strerror or type(error).__name__
            _fail(OutsideError(f"the system refused: {cause} ({error.filename or 'no file named'})"))
        except KeyboardInterrupt:
            _say("Interrupted", "interrupted; nothing is lost: run the same command again", [])
            raise SystemExit(_INTERRUPTED) from None
        except MemoryError:
            _fail(OutsideError("memory ran out; fewer workers (DEMUR_WORKERS=1) need less"))
        except Exception as error:  # the last net: a message and exit code 3 instead of a stack
            if os.environ.get(_TRACE):
                raise
            kind = f"{type(error).__module__}.{type(error).__name__}"
            _fail(BrokenError(
                f"something failed that should not, most often a damaged file ({kind}); `demur corpus verify`,"
                f" `demur model verify` and `demur ledger verify` find it, {_TRACE}=1 shows where"
            ))  # fmt: skip

    return run


def _fail(error: DemurError) -> NoReturn:
    _say(type(error).__name__, str(error), error.faults)
    raise SystemExit(error.exit_code)


def _say(kind: str, message: str, faults: Sequence[str]) -> None:
    """Say on stderr what went wrong."""
    ctx = click.get_current_context(silent=True)
    context = ctx.find_object(Context) if ctx else None
    if context is not None and context.as_json:
        facts = {"error": kind, "message": message.split("\n", maxsplit=1)[0], "faults": list(faults)}
        sys.stderr.write(orjson.dumps(facts).decode() + "\n")
    else:
        note(f"demur: {message}")

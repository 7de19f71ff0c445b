"""The command line: read options, call one flow or door, show what came out.

For: engineers, the privacy office, auditors. In: arguments. Out: results on stdout, progress and errors on stderr.
May touch: the terminal. May not: hold logic of its own. Read first: frame.py, docs/commands.md.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import click

from demur import __version__
from demur.cli.frame import Context

_WHERE = {
    "demo": "demo:demo",
    "intake": "people:intake",
    "people": "people:people",
    "notice": "people:notice",
    "objection": "people:objection",
    "hold": "people:hold",
    "export": "people:export",
    "policy": "policy:policy",
    "decide": "policy:decide",
    "corpus": "corpus:corpus",
    "base": "training:base",
    "train": "training:train",
    "model": "training:model",
    "generate": "training:generate",
    "erase": "erasure:erase",
    "ledger": "ledger:ledger",
    "report": "report:report",
}
"""Command → module and function; a module is imported when its command is used, so that the first screen is quick."""


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(_WHERE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _WHERE:
            return None
        module, function = _WHERE[cmd_name].split(":")
        found: click.Command = getattr(importlib.import_module(f"demur.cli.{module}"), function)
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="DEMUR_HOME",
    default=Path("demur-home"),
    show_default=True,
    help="Workspace folder.",
)
@click.option("--json", "as_json", is_flag=True, help="Print results as one JSON object.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.version_option(__version__, prog_name="demur")
@click.pass_context
def main(ctx: click.Context, home: Path, as_json: bool, quiet: bool) -> None:
    """Lawful corpora and models from what people post in public, which everybody can leave, exactly, with proof.

    A first look: demur demo. Then: intake, people import, policy check, corpus build, train, objection add, erase.
    """
    ctx.obj = Context(home=home.resolve(), as_json=as_json, quiet=quiet)

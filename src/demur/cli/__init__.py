"""The command line: read options, call one flow or door, show what came out.

For: engineers, the privacy office, auditors. In: arguments. Out: results on stdout, progress and errors on stderr.
May touch: the terminal. May not: hold logic of its own. Read first: frame.py, look.py, docs/commands.md.
"""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path

import click

from demur import __version__
from demur.cli.frame import Context, with_common_options

_GROUPS = {
    "First look": {"demo": "demo", "status": "status"},
    "People's side": {"campaign": "campaign", "request": "requests", "staff": "staff", "serve": "serve",
                      "work": "serve"},
    "What comes in": {"intake": "intake", "feed": "feed", "people": "people", "notice": "people",
                      "objection": "objections", "hold": "holds", "order": "holds", "export": "intake"},
    "Rules": {"policy": "policy", "decide": "policy"},
    "Corpus and model": {"corpus": "corpus", "media": "media", "base": "training", "train": "training",
                         "model": "training", "generate": "training"},
    "Leaving and proof": {"erase": "erasure", "receipt": "receipt", "ledger": "ledger", "report": "report"},
}  # fmt: skip
"""Heading → command → module; a module is imported when its command is used, so that the first screen is quick."""

_WHERE = {name: module for members in _GROUPS.values() for name, module in members.items()}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  (click's signature)
        return list(_WHERE)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _WHERE:
            return None
        module = importlib.import_module(f"demur.cli.{_WHERE[cmd_name]}")
        found: click.Command = getattr(module, cmd_name)
        return with_common_options(found)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name what was probably meant by a command that there is not."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = difflib.get_close_matches(args[0], _WHERE, n=1)
            if not near:
                raise
            raise click.UsageError(f"{error.message} Did you mean `demur {near[0]}`?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        limit = formatter.width - 6 - max(map(len, _WHERE))
        for heading, members in _GROUPS.items():
            found = [(name, self.get_command(ctx, name)) for name in members]
            with formatter.section(heading):
                formatter.write_dl([(name, one.get_short_help_str(limit)) for name, one in found if one is not None])


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Exit codes: 0 done, 1 refused by a rule, 2 wrong use, 3 failed. Every command: docs/commands.md.",
)
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="DEMUR_HOME",
    default=Path("demur-home"),
    show_default=True,
    help="Workspace folder (or DEMUR_HOME).",
)
@click.option("--json", "as_json", is_flag=True, help="Print results as one JSON object.")
@click.option("--quiet", is_flag=True, help="No progress, no hints.")
@click.version_option(__version__, prog_name="demur")
@click.pass_context
def main(ctx: click.Context, home: Path, as_json: bool, quiet: bool) -> None:
    """Lawful corpora and models from what people post in public, which everybody can leave, exactly, with proof.

    A first look: demur demo. The way with your own data: intake, people import, campaign (tell people first), serve,
    policy check, corpus build, train, erase. The options below may also stand after a command.
    """
    ctx.obj = Context(home=home.resolve(), as_json=as_json, quiet=quiet)

"""Commands about tables that come in and go out: intake, export."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from demur import clock
from demur.cli.frame import INSTANT, Context, guarded, hint, known_at_option, known_by_now, pass_context, show, working
from demur.cli.look import grid, plain, say

if TYPE_CHECKING:
    from demur.intake import IntakeReport


@click.command(
    epilog="Examples: demur intake stackexchange dump/    demur intake table posts.parquet --mapping decide_madrid"
)
@click.argument("source")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--mapping", help="Mapping file of `table`, or the name of a shipped one; what is `public` in an export.")
@click.option("--service", help="Prefix of ids where the source knows none.")
@click.option("--signals", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="Folder of sites' robots.txt, ai.txt, headers … (docs/signals.md).")  # fmt: skip
@click.option("--at", type=INSTANT, default=None, callback=known_by_now, help="Instant of the import (default: now).")
@pass_context
@guarded
def intake(
    context: Context,
    source: str,
    paths: tuple[Path, ...],
    mapping: str | None,
    service: str | None,
    signals: Path | None,
    at: datetime | None,
) -> None:
    """Read exports, feeds or tables into the workspace.

    SOURCE is stackexchange, mastodon, facebook, x, slack, table, demo, another of docs/intake.md, or a plugin's. What
    cannot be read goes to quarantine, counted. Reading the same files again changes nothing.
    """
    from demur.flows.intake import take_in
    from demur.intake import source_named

    source_named(source)

    with working(context, first=True) as parts:
        report = take_in(parts, source, paths, mapping=mapping, service=service, at=at or clock.now(), signals=signals)
    show(context, report.as_json(), lambda: _text(report))
    hint(context, "Next: `demur people import EVENTS` or `demur notice record`, then `demur corpus build`")


def _text(report: IntakeReport) -> None:
    say(f"{report.source}: {plain(len(report.files))} files read, {plain(len(report.unchanged))} read before")
    grid(
        ["", "new versions", "stored already"],
        [["items", report.items, report.items_seen], ["people", report.people, report.people_seen]],
    )
    if not report.quarantined:
        say("quarantined  none")
    for title, counts in (("in quarantine because", report.quarantined), ("left aside because", report.ignored)):
        if counts:
            say()
            grid([title, "records"], sorted(counts.items(), key=lambda pair: -pair[1]))


@click.command(epilog="Example: demur export --out tables --as-of 2026-09-01")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="New or empty folder to write to."
)
@click.option("--as-of", type=INSTANT, default=None, help="Standing as of this instant (default: now).")
@known_at_option
@click.option("--for-audit", "reason", help="Although a hold stops exports: who checks what; kept in the ledger.")
@pass_context
@guarded
def export(context: Context, out: Path, as_of: datetime | None, known_at: datetime | None, reason: str | None) -> None:
    """Write the tables as Parquet, for checkers of your own.

    Items, standing, accounts, residence, notices, campaigns, objections and holds; columns in docs/commands.md.
    """
    from demur.flows.publish import publish_tables

    with working(context) as parts:
        done = publish_tables(parts, out, as_of=as_of, known_at=known_at, reason=reason, clock=clock.now)
    found = {"folder": str(out), **done}

    def text() -> None:
        rows = [[name, one["rows"]] for name, one in found["tables"].items()]
        grid(["table", "rows"], [["items", found["items"]], *rows])
        say(f"written to {out}")

    show(context, found, text)

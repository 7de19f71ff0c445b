"""Commands about tables that come in and go out: intake, export."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from demur import clock
from demur.cli.frame import INSTANT, Context, guarded, hint, known_at_option, pass_context, show, working
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
@click.option("--at", type=INSTANT, default=None, help="Instant of the import (default: now).")
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
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write.")
@click.option("--as-of", type=INSTANT, default=None, help="Standing as of this instant (default: now).")
@known_at_option
@click.option("--for-audit", "reason", help="Although a hold stops exports: who checks what; kept in the ledger.")
@pass_context
@guarded
def export(context: Context, out: Path, as_of: datetime | None, known_at: datetime | None, reason: str | None) -> None:
    """Write the tables as Parquet, for checkers of your own.

    Items, standing, accounts, residence, notices, campaigns, objections and holds; columns in docs/commands.md.
    """
    from demur.flows.hold import log_export, refuse_export
    from demur.flows.left import fresh
    from demur.intake import snapshot

    known = known_at or clock.now()
    at = as_of or known
    with working(context) as parts:
        if not reason:
            refuse_export(parts, clock.now())
        parts.progress("snapshot", 0, None)
        with fresh(parts.workspace, "export") as folder:
            source = snapshot(parts.workspace.source, folder, as_of=at, known_at=known)
            parts.progress("standing", 0, None)
            facts = parts.registry.export(out, as_of=at, known_at=known, base_known_at=known)
            shutil.copytree(folder / "items", out / "items", dirs_exist_ok=True)
        log_export(parts, "tables", facts["digest"], at=clock.now(), reason=reason)
    found = {"folder": str(out), "items": source["items"]["rows"], "tables": facts["files"]}

    def text() -> None:
        rows = [[name, one["rows"]] for name, one in facts["files"].items()]
        grid(["table", "rows"], [["items", found["items"]], *rows])
        say(f"written to {out}")

    show(context, found, text)

"""The command report."""

from __future__ import annotations

import click

from demur import clock
from demur.cli.frame import Context, guarded, pass_context, show, working
from demur.cli.look import say


@click.command(epilog="Example: demur report --title 'Forum model, September'")
@click.option("--title", default="Corpus and model", show_default=True, help="Heading of the page.")
@pass_context
@guarded
def report(context: Context, title: str) -> None:
    """Write one self-contained HTML page about the current corpus and model; print its path."""
    from demur.flows.intake import quarantined
    from demur.flows.report import Extras, write_report

    with working(context) as parts:
        page = write_report(parts, Extras(title=title, quarantined=quarantined(parts.workspace)), at=clock.now())
    show(context, {"report": str(page)}, lambda: say(str(page)))

"""The command report."""

from __future__ import annotations

import click

from demur import clock
from demur.cli.frame import Context, guarded, pass_context, progress, show
from demur.wiring import open_parts


@click.command()
@click.option("--title", default="Corpus and model", show_default=True)
@pass_context
@guarded
def report(context: Context, title: str) -> None:
    """Write one self-contained HTML page about the current corpus and model; print its path."""
    from demur.flows.intake import quarantined
    from demur.flows.report import Extras, write_report

    space = context.workspace
    with space.lock(), progress(context) as told, open_parts(space, told) as parts:
        page = write_report(parts, Extras(title=title, quarantined=quarantined(space)), at=clock.now())
    show(context, {"report": str(page)})

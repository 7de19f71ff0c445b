"""Commands that let a corpus leave the house: corpus export, corpus decisions."""

from __future__ import annotations

from pathlib import Path

import click

from demur import clock
from demur.cli.frame import Context, guarded, hint, pass_context, show, working
from demur.cli.look import grid, plain, say

_FORMS = click.Choice(["parquet", "jsonl"])


@click.command("export", epilog="Example: demur corpus export --to agora-corpus --format jsonl")
@click.argument("corpus_id", required=False)
@click.option("--to", "out", type=click.Path(path_type=Path, file_okay=False), required=True, help="New folder.")
@click.option("--format", "form", type=_FORMS, default="parquet", show_default=True, help="Of the files.")
@click.option("--licence", "licences", multiple=True, help="URL or SPDX id (default: none). Repeat as needed.")
@pass_context
@guarded
def export(context: Context, corpus_id: str | None, out: Path, form: str, licences: tuple[str, ...]) -> None:
    """Write a corpus for other tools, with its Croissant description.

    datatrove, NeMo Curator, data-juicer and `datasets` read it with their defaults. Refused while a hold stops exports
    or something waits to be taken out; that it left is in the ledger.
    """
    from demur.flows.publish import CROISSANT, publish
    from demur.flows.site import read_site

    with working(context) as parts:
        site = read_site(context.workspace)
        done = publish(parts, corpus_id, out, form=form, site=site, licences=licences, clock=clock.now)
    facts = {
        "folder": str(out), "corpus": done.corpus_id, "corpus_digest": done.corpus_digest, "digest": done.digest,
        "format": form, "records": done.records, "files": len(done.files), "bytes": sum(f.bytes for f in done.files),
        "columns": [name for name, _ in done.columns], "left_out": list(done.left_out),
        "croissant": str(out / CROISSANT),
    }  # fmt: skip

    def text() -> None:
        regions: dict[str, int] = {}
        for one in done.files:
            region = one.path.split("/")[1]
            regions[region] = regions.get(region, 0) + one.records
        grid(["region", "records"], sorted(regions.items(), key=lambda pair: -pair[1]))
        say()
        say(f"{plain(done.records)} records in {plain(len(done.files))} files written to {out}")
        say(f"digest  {done.digest}")

    show(context, facts, text)
    hint(context, "When somebody objects, `demur erase` makes a new version, and what left must be replaced by it")


@click.command("decisions", epilog="Example: demur corpus decisions --to decisions.parquet")
@click.argument("corpus_id", required=False)
@click.option("--to", "out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
@click.option("--format", "form", type=_FORMS, default="parquet", show_default=True, help="Of the file.")
@pass_context
@guarded
def decisions(context: Context, corpus_id: str | None, out: Path, form: str) -> None:
    """Write what became of every item, by id, for the platform's own pipelines.

    The ids are the platform's own: the file is not for anybody else. Says where identifiers stood in each record.
    Needs the lineage key. A signed statement with the file's digest lies beside it.
    """
    from demur.flows.publish import publish_decisions

    with working(context) as parts:
        done = publish_decisions(parts, corpus_id, out, form=form, clock=clock.now)
    facts = {"decisions": str(out), **done}
    show(context, facts, lambda: say(f"{plain(done['rows'])} items, {plain(done['use'])} may be used: {out}"))

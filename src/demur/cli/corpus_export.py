"""Commands that let a corpus leave the house, and see to what left: corpus export, decisions, exports, destroyed."""

from __future__ import annotations

from pathlib import Path

import click

from demur import clock
from demur.cli.frame import Context, guarded, hint, pass_context, reading, recipient_options, show, working
from demur.cli.look import grid, note, plain, say

_FORMS = click.Choice(["parquet", "jsonl"])


@click.command("export", epilog="Example: demur corpus export --to agora-corpus --for 'Acme Labs <data@acme.example>'")
@click.argument("corpus_id", required=False)
@click.option("--to", "out", type=click.Path(path_type=Path, file_okay=False), required=True, help="New folder.")
@click.option("--format", "form", type=_FORMS, default="parquet", show_default=True, help="Of the files.")
@click.option("--licence", "licences", multiple=True, help="URL or SPDX id (default: none). Repeat as needed.")
@recipient_options
@pass_context
@guarded
def export(
    context: Context,
    corpus_id: str | None,
    out: Path,
    form: str,
    licences: tuple[str, ...],
    to: str | None,
    language: str,
) -> None:
    """Write a corpus for other tools, with its Croissant description.

    datatrove, NeMo Curator, data-juicer and `datasets` read it with their defaults. Refused while a hold stops exports
    or something waits to be taken out; that it left is in the ledger.
    """
    from demur.flows.exports import recipient_of
    from demur.flows.publish import CROISSANT, publish
    from demur.flows.site import read_site

    with working(context) as parts:
        site, who = read_site(context.workspace), recipient_of(to, language) if to else None
        done = publish(parts, corpus_id, out, form=form, site=site, licences=licences, to=who, clock=clock.now)
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
    hint(
        context,
        "When somebody objects, `demur erase` makes a new version, and what left must be replaced by it: "
        + ("`demur work` writes to who got it" if to else "name with --for who gets it, and they are written to"),
    )


@click.command("decisions", epilog="Example: demur corpus decisions --to decisions.parquet")
@click.argument("corpus_id", required=False)
@click.option("--to", "out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="File to write.")
@click.option("--format", "form", type=_FORMS, default="parquet", show_default=True, help="Of the file.")
@recipient_options
@pass_context
@guarded
def decisions(context: Context, corpus_id: str | None, out: Path, form: str, to: str | None, language: str) -> None:
    """Write what became of every item, by id, for the platform's own pipelines.

    The ids are the platform's own: the file is not for anybody else. Says where identifiers stood in each record.
    Needs the lineage key. A signed statement with the file's digest lies beside it.
    """
    from demur.flows.exports import recipient_of
    from demur.flows.publish import publish_decisions
    from demur.flows.site import read_site

    with working(context) as parts:
        site, who = read_site(context.workspace), recipient_of(to, language) if to else None
        done = publish_decisions(parts, corpus_id, out, form=form, site=site, to=who, clock=clock.now)
    facts = {"decisions": str(out), **done}
    show(context, facts, lambda: say(f"{plain(done['rows'])} items, {plain(done['use'])} may be used: {out}"))


@click.command("exports", epilog="Example: demur corpus exports --open")
@click.option("--open", "only_open", is_flag=True, help="Only what must be destroyed and is not, as far as we know.")
@pass_context
@guarded
def exports(context: Context, only_open: bool) -> None:
    """List what left the house: who got it, and whether it may still be used."""
    from demur.flows import exports as flow

    with reading(context) as parts:
        now, left = clock.now(), flow.exports(context.workspace)
        found = [flow.seen(parts, one, now) for one in left.given]
    found = [one for one in found if not only_open or one.state is flow.ExportState.OVER]

    def text() -> None:
        if left.unreadable:
            note(f"these cannot be read, so nobody knows whether they may be used: {', '.join(left.unreadable)}")
        if not found:
            say("Nothing that left waits to be destroyed." if only_open else "Nothing has left the house.")
            return
        rows = [
            [
                one.reference, one.state.value.replace("_", " "), one.what, f"{one.at:%Y-%m-%d}",
                one.recipient.name if one.recipient else "nobody named",
                f"{one.written_at[-1]:%Y-%m-%d}" if one.written_at else "–",
                f"{one.destroyed_at:%Y-%m-%d} ({one.destroyed_by})" if one.destroyed_at else "–",
            ]
            for one in found
        ]  # fmt: skip
        grid(["export", "state", "what", "left", "to", "last letter", "destroyed"], rows)

    show(context, {"exports": [one.as_json() for one in found], "unreadable": left.unreadable}, text)


@click.command("destroyed", epilog="Example: demur corpus destroyed X-1795478400 --by 'Ann Roe, by telephone'")
@click.argument("reference")
@click.option("--by", required=True, help="Who said so, and how.")
@pass_context
@guarded
def destroyed(context: Context, reference: str, by: str) -> None:
    """Note that who got an export has destroyed it."""
    from demur.flows import exports as flow

    with reading(context) as parts:
        one = flow.by_reference(context.workspace, reference)
        done = flow.destroyed(parts, one.number, by=by, at=clock.now())
    show(context, done.as_json(), lambda: say(f"{done.reference} is noted as destroyed"))

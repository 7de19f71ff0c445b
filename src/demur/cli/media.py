"""Commands about a corpus' media records: build, show, verify, explain."""

from __future__ import annotations

import click

from demur import clock
from demur.cli.frame import Context, guarded, hint, pass_context, reading, show, working
from demur.cli.look import grid, note, plain, say


@click.group()
def media() -> None:
    """Make and check the records of photos, films and voices that belong to a corpus."""


@media.command(epilog="Example: demur media build --faces leave_out")
@click.option("--faces", type=click.Choice(["blur", "leave_out", "keep"]), default="blur", show_default=True,
              help="What becomes of faces.")  # fmt: skip
@click.option("--plates", type=click.Choice(["blur", "leave_out", "keep"]), default="blur", show_default=True,
              help="What becomes of number plates.")  # fmt: skip
@click.option("--text", type=click.Choice(["redact", "ignore"]), default="redact", show_default=True,
              help="Read the text in pictures and hide identifiers, or do neither.")  # fmt: skip
@click.option("--voice", type=click.Choice(["transcript", "sound", "leave_out"]), default="transcript",
              show_default=True, help="What goes on of voices.")  # fmt: skip
@click.option("--speech-model", default="", metavar="FOLDER", help="A faster-whisper model (default: no transcripts).")
@click.option("--max-edge", type=click.IntRange(16), default=1024, show_default=True, help="Longer edge in pixels.")
@pass_context
@guarded
def build(context: Context, faces: str, plates: str, text: str, voice: str, speech_model: str, max_edge: int) -> None:
    """Make the media records of the current corpus.

    Files lie in the workspace's media/ by the paths that the import named. What the corpus does not allow is not
    used; copies of protected pictures go too. A killed build goes on where it was.
    """
    from demur.flows.media import build_media, waiting_since
    from demur.flows.parts import corpus_folder
    from demur.media import MediaRecipe

    recipe = MediaRecipe(
        faces=faces, plates=plates, text=text, voice=voice, speech_model=speech_model, max_edge=max_edge
    )
    with working(context) as parts:
        manifest = build_media(parts, recipe, at=clock.now())
        waiting = waiting_since(parts, corpus_folder(parts.workspace))
    _shown(context, manifest)
    if waiting:
        note(f"{waiting} objections, holds or corrections came meanwhile and wait for `demur erase`")
    hint(context, "Next: `demur media verify`")


@media.command("show")
@click.argument("corpus_id", required=False)
@pass_context
@guarded
def show_media(context: Context, corpus_id: str | None) -> None:
    """Show the media records of a corpus (default: the current one)."""
    from demur.flows.media import media_folder
    from demur.media.build import read_media_manifest

    with reading(context) as parts:
        manifest = read_media_manifest(media_folder(parts, corpus_id))
    _shown(context, manifest)


@media.command()
@click.argument("corpus_id", required=False)
@pass_context
@guarded
def verify(context: Context, corpus_id: str | None) -> None:
    """Check every file and every medium again, and that the corpus allows every record."""
    from demur.flows.media_look import verify_media

    with reading(context) as parts:
        found = verify_media(parts, corpus_id)
    show(context, found)


@media.command("explain")
@click.argument("item")
@click.option("--corpus", "corpus_id", help="Corpus id (default: the current one).")
@pass_context
@guarded
def explain(context: Context, item: str, corpus_id: str | None) -> None:
    """Say what became of the file of an item. Needs the lineage key of the workspace."""
    from dataclasses import asdict

    from demur.flows.media_look import became

    with reading(context) as parts:
        found = became(parts, item, corpus_id)

    def text() -> None:
        say(f"media   {found.media}")
        say(f"record  {found.record_id}" if found.reason is None else f"left out: {found.reason}")
        if found.detail:
            say(f"the {found.detail} is a copy of a protected one; whose is not told")
        if found.shows:
            grid(["shows a post of somebody else"], [[one] for one in found.shows])

    show(context, asdict(found), text)


def _shown(context: Context, manifest: object) -> None:
    from demur.media.build import MediaManifest

    assert isinstance(manifest, MediaManifest)
    records = sum(one.records for one in manifest.slices)
    facts = {
        "media": manifest.media_id,
        "digest": manifest.digest,
        "corpus": manifest.corpus_id,
        "records": records,
        "bytes": sum(one.bytes for one in manifest.slices),
        "slices": len(manifest.slices),
        "counts": manifest.counts,
        "recipe": manifest.recipe,
        "gone": manifest.gone,
    }

    def text() -> None:
        say(f"media   {manifest.media_id}: {plain(records)} records in {plain(len(manifest.slices))} files")
        say(f"corpus  {manifest.corpus_id}")
        if manifest.gone:
            say(
                f"gone    {plain(manifest.gone)} protected files are gone or unreadable; nobody looked for their copies"
            )
        if manifest.counts:
            say()
            grid(["files of allowed items", "count"], sorted(manifest.counts.items(), key=lambda pair: -pair[1]))

    show(context, facts, text)

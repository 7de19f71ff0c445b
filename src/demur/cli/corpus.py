"""Commands about corpora: build, show, diff, verify, explain."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

import click

from demur import clock
from demur.cli.frame import (
    INSTANT,
    Context,
    as_of_option,
    grid,
    guarded,
    pass_context,
    policy_option,
    progress,
    say,
    show,
)
from demur.wiring import default_recipe, open_parts, workers


@click.group()
def corpus() -> None:
    """Lawful training records from allowed items."""


@corpus.command("build")
@policy_option
@as_of_option
@click.option("--known-at", type=INSTANT, default=None, help="As known at this instant (default: now).")
@click.option("--shards", type=int, default=16, show_default=True, help="Shards in every region (K).")
@click.option("--slices", type=int, default=4, show_default=True, help="Slices in every shard (S).")
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="LANGUAGE=REGION",
    help="Regions of the recipe (default: one for each larger language of Europe). Repeat as needed.",
)
@pass_context
@guarded
def build(
    context: Context,
    policy: str,
    as_of: datetime | None,
    known_at: datetime | None,
    shards: int,
    slices: int,
    regions: tuple[str, ...],
) -> None:
    """Decide, redact, deduplicate, tag, shard, write; then let the independent verifier check what was written."""
    from demur.corpus import show as facts_of
    from demur.flows.build import build_corpus

    recipe = default_recipe(shards=shards, slices=slices)
    if regions:
        recipe = replace(recipe, regions=dict(_pair(one) for one in regions))
    known = known_at or clock.now()
    with context.workspace.lock(), progress(context) as told, open_parts(context.workspace, told) as parts:
        manifest = build_corpus(parts, policy, recipe, as_of=as_of or known, known_at=known, workers=workers())
    show(context, facts_of(manifest), lambda: _text(manifest))


def _pair(text: str) -> tuple[str, str]:
    language, _, region = text.partition("=")
    if not language or not region:
        raise click.BadParameter(f"expected LANGUAGE=REGION, found {text!r}")
    return language, region


def _text(manifest: Any) -> None:
    counts = manifest.counts
    say(f"corpus {manifest.corpus_id}: {counts['records']['all']} records of {counts['items']['all']} items")
    say(f"digest  {manifest.digest}")
    say(f"inputs  policy {manifest.inputs['policy_name']}, as of {manifest.inputs['as_of']}")
    for name, title in (
        ("decisions", "decision"),
        ("exclusions", "allowed, but no record"),
        ("regions", "region"),
    ):
        rows = sorted(counts.get(name, {}).items(), key=lambda pair: -pair[1])
        if rows:
            say()
            grid("", [title, "count"], [list(row) for row in rows])
    say()
    say("verifier: " + ("agrees" if manifest.verdict.get("agrees") else "DISAGREES"))


@corpus.command("show")
@click.argument("corpus_id", required=False)
@pass_context
@guarded
def show_corpus(context: Context, corpus_id: str | None) -> None:
    """Show what a corpus is made of (default: the current one)."""
    from demur.corpus import read_manifest
    from demur.corpus import show as facts_of
    from demur.flows.parts import corpus_folder

    manifest = read_manifest(corpus_folder(context.workspace, corpus_id))
    show(context, facts_of(manifest), lambda: _text(manifest))


@corpus.command("diff")
@click.argument("before")
@click.argument("after")
@pass_context
@guarded
def diff(context: Context, before: str, after: str) -> None:
    """Show which slices differ between two corpora, and by how many records."""
    from demur.corpus import difference
    from demur.flows.parts import corpus_folder

    found = difference(corpus_folder(context.workspace, before), corpus_folder(context.workspace, after))
    rows = [[c.ref.region, c.ref.shard, c.ref.slice, c.removed, c.changed, c.added] for c in found.slices]
    facts = {"removed": found.removed, "changed": found.changed, "added": found.added, "slices": len(rows)}
    columns = ["region", "shard", "slice", "removed", "changed", "added"]
    show(
        context,
        {**facts, "changes": [dict(zip(columns, row, strict=True)) for row in rows]},
        lambda: grid("", columns, rows) if rows else say("no difference"),
    )


@corpus.command("verify")
@click.argument("corpus_id", required=False)
@pass_context
@guarded
def verify(context: Context, corpus_id: str | None) -> None:
    """Check a corpus again: every file's digest, and the independent verifier against today's standing."""
    from demur.flows.verify import verify_corpus

    with context.workspace.lock(), progress(context) as told, open_parts(context.workspace, told) as parts:
        verdict = verify_corpus(parts, corpus_id)

    def text() -> None:
        grid("", ["check", "violations"], [[name, count] for name, count in verdict["checks"].items()])
        say("agrees" if verdict["agrees"] else "DISAGREES")
        say(f"{verdict['pending_restrictions']} objections, holds or corrections wait for `demur erase`")

    show(context, verdict, text)
    if not verdict["agrees"]:
        raise SystemExit(1)


@corpus.command("explain")
@click.argument("record")
@click.option("--corpus", "corpus_id", help="Corpus id (default: the current one).")
@pass_context
@guarded
def explain(context: Context, record: str, corpus_id: str | None) -> None:
    """Say which items and persons a record was made from. Needs the lineage key of the workspace."""
    from demur.corpus import explain as behind
    from demur.flows.parts import corpus_folder

    found = behind(corpus_folder(context.workspace, corpus_id), record, keys=context.workspace.keys)
    rows = [[one.role, one.item_id, one.person_id] for one in found.sources]
    show(context, asdict(found), lambda: grid(str(found.where), ["role", "item", "person"], rows))

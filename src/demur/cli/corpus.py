"""Commands about corpora: build, show, diff, verify, explain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from demur import clock
from demur.cli import corpus_export, corpus_versions
from demur.cli.frame import (
    Context,
    as_of_option,
    guarded,
    hint,
    known_at_option,
    pass_context,
    policy_option,
    reading,
    show,
    workers,
    working,
)
from demur.cli.look import grid, note, plain, say
from demur.errors import InputError


@click.group()
def corpus() -> None:
    """Lawful training records from allowed items."""


for _command in (
    corpus_export.export, corpus_export.decisions, corpus_export.exports, corpus_export.destroyed,
    corpus_versions.schedule, corpus_versions.use, corpus_versions.expire, corpus_versions.expired,
    corpus_versions.openlineage,
):  # fmt: skip
    corpus.add_command(_command)


@corpus.command(
    "build",
    epilog="Example: demur corpus build --policy demur-strict --as-of 2026-09-01 --region de=german --region nl=dutch",
)
@policy_option
@as_of_option
@known_at_option
@click.option("--shards", type=click.IntRange(1, 4096), default=16, show_default=True, help="Shards a region (K).")
@click.option("--slices", type=click.IntRange(1, 256), default=4, show_default=True, help="Slices a shard (S).")
@click.option(
    "--region",
    "regions",
    multiple=True,
    metavar="LANGUAGE=REGION",
    help="Regions of the recipe (default: one for each larger language of Europe). Repeat as needed.",
)
@click.option(
    "--recipe",
    "recipe_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Recipe in TOML: filters, shares, redaction, regions.",
)
@click.option("--cluster", metavar="ADDRESS", help="Run the stages on a Ray cluster: HOST:PORT of its head, or auto.")
@click.option(
    "--memory", type=click.IntRange(min=2048), metavar="MIB", help="What each child process may hold at most."
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
    recipe_file: Path | None,
    cluster: str | None,
    memory: int | None,
) -> None:
    """Decide, redact, deduplicate, tag, shard, write; then verify.

    The same inputs give the same digest, in any order, on any number of workers. A second engine reads what was
    written and checks it with rules of its own.
    """
    from demur.corpus import Told, read_recipe
    from demur.corpus import show as facts_of
    from demur.flows.build import build_corpus, keep_filter
    from demur.wiring import default_recipe

    recipe = default_recipe(shards=shards, slices=slices)
    told = read_recipe(recipe_file, recipe) if recipe_file else Told(recipe, None)
    recipe = told.recipe
    if regions:
        recipe = replace(recipe, regions=dict(_pair(one) for one in regions))
    known = known_at or clock.now()
    with working(context, builds=True) as parts, _means(cluster, memory) as means:
        if told.toxicity is not None:
            keep_filter(parts, told.toxicity, recipe.toxicity)
        manifest = build_corpus(parts, policy, recipe, as_of=as_of or known, known_at=known, **means)
    show(context, facts_of(manifest), lambda: _text(manifest))
    if manifest.counts["items"]["all"]:
        hint(context, "Next: `demur train --base FOLDER`, or `demur corpus explain RECORD`")
    else:
        hint(context, "There was nothing to build from: `demur intake SOURCE PATH…` reads content in")


@contextmanager
def _means(cluster: str | None, memory: int | None) -> Iterator[dict[str, Any]]:
    """Yield where the stages run, how many side by side, and how much they hold."""
    if cluster is not None and memory is not None:
        raise InputError("expected --cluster or --memory, found both: a cluster's workers have a cap of their own")
    if cluster is not None:
        from demur.store.cluster import Cluster

        with Cluster(cluster) as runner:
            yield {"runner": runner, "workers": runner.workers}
    elif memory is not None:
        from demur.store.capped import Capped

        yield {"runner": Capped(memory), "workers": workers(), "bucket_rows": Capped(memory).bucket_rows}
    else:
        yield {"workers": workers()}


def _pair(text: str) -> tuple[str, str]:
    language, _, region = text.partition("=")
    if not language or not region:
        raise click.BadParameter(f"expected LANGUAGE=REGION, found {text!r}")
    return language, region


def _upon(verdict: dict[str, Any]) -> str:
    """Say what of a corpus was judged again, and by which verdict the rest stands."""
    if not verdict.get("upon"):
        return ""
    again = f"judged {verdict['judged']:,} of {verdict['items']:,} items again"
    return f" ({again}, the rest by the verdict on {verdict['upon'][:16]}; `demur corpus verify` judges all)"


def _text(manifest: Any) -> None:
    counts = manifest.counts
    records, items, inputs = counts["records"]["all"], counts["items"]["all"], manifest.inputs
    say(f"corpus  {manifest.corpus_id}: {plain(records)} records of {plain(items)} items")
    say(f"digest  {manifest.digest}")
    say(f"policy  {inputs['policy_name']}, as of {inputs['as_of']}, known at {inputs['narrowed_at']}")
    for name, title in (
        ("decisions", "decision"),
        ("exclusions", "allowed, but no record"),
        ("regions", "region"),
        ("languages", "language"),
    ):
        rows = sorted(((k, v) for k, v in counts.get(name, {}).items() if k != "all"), key=lambda pair: -pair[1])
        if rows:
            say()
            grid([title, "count"], rows)
    say()
    say(f"verifier: {'agrees' if manifest.verdict.get('agrees') else 'DISAGREES'}{_upon(manifest.verdict)}")


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


@corpus.command("diff", epilog="Example: demur corpus diff 6f760ef1d13f318a 0a54c67e2b0f1d11 --html changes.html")
@click.argument("before")
@click.argument("after")
@click.option(
    "--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Also write a page that says why."
)
@pass_context
@guarded
def diff(context: Context, before: str, after: str, page: Path | None) -> None:
    """Show which slices differ between two corpora, and by how many records.

    With --html also what came, what went and why, as a page with pictures; that needs the lineage key.
    """
    from demur.corpus import difference
    from demur.flows.compare import compare, write_page
    from demur.flows.parts import corpus_folder

    found = difference(corpus_folder(context.workspace, before), corpus_folder(context.workspace, after))
    rows = [[c.ref.region, c.ref.shard, c.ref.slice, c.removed, c.changed, c.added] for c in found.slices]
    facts = {"removed": found.removed, "changed": found.changed, "added": found.added, "slices": len(rows)}
    columns = ["region", "shard", "slice", "removed", "changed", "added"]
    more: dict[str, Any] = {}
    if page is not None:
        with reading(context) as parts:
            told = compare(parts, before, after, at=clock.now())
        write_page(told, page)
        more = {
            "page": str(page),
            "why_came": {one.code: one.count for one in told.why_came},
            "why_went": {one.code: one.count for one in told.why_went},
        }

    def text() -> None:
        if rows:
            grid(columns, rows)
        else:
            say("no difference")
        if page is not None:
            say(f"page    {page}")

    show(context, {**facts, **more, "changes": [dict(zip(columns, row, strict=True)) for row in rows]}, text)


@corpus.command("verify")
@click.argument("corpus_id", required=False)
@click.option("--all", "everything", is_flag=True, help="List every check, not only violated ones.")
@pass_context
@guarded
def verify(context: Context, corpus_id: str | None, everything: bool) -> None:
    """Check a corpus again: every file's digest, and the independent verifier against today's standing."""
    from demur.flows.verify import verify_corpus

    with working(context) as parts:
        verdict = verify_corpus(parts, corpus_id)

    def text() -> None:
        rows = [[name, count] for name, count in verdict["checks"].items() if count or everything]
        if rows:
            grid(["check", "violations"], rows)
        violated = sum(1 for count in verdict["checks"].values() if count)
        say(f"{len(verdict['checks'])} checks, {violated} violated: {'agrees' if verdict['agrees'] else 'DISAGREES'}")
        waiting = verdict["pending_restrictions"]
        if waiting:
            note(f"{waiting} objections, holds or corrections wait for `demur erase`")

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

    with reading(context) as parts:
        found = behind(corpus_folder(parts.workspace, corpus_id), record, keys=parts.keys)

    def text() -> None:
        say(f"record {record} lies in {found.where}")
        grid(["role", "item", "person"], [[one.role, one.item_id, one.person_id] for one in found.sources])
        taken = Counter(span["kind"] for fate in found.fates if fate.record_id == record for span in fate.spans or ())
        if taken:
            say()
            grid(["taken out of the text", "times"], sorted(taken.items()))

    show(context, asdict(found), text)

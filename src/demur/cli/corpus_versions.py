"""Commands about versions of a corpus over time: corpus schedule, use, expire, expired, openlineage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from demur import clock
from demur.cli.frame import Context, guarded, hint, pass_context, reading, show, workers, working
from demur.cli.look import HELD, grid, note, plain, say


@click.command("expire", epilog="Example: demur corpus expire --keep-versions 3 --dry-run")
@click.option("--keep-days", type=click.IntRange(min=0), default=None, help="Days a version is kept; 0 = no limit.")
@click.option("--keep-versions", type=click.IntRange(min=0), default=None, help="Versions kept; 0 = no limit.")
@click.option("--dry-run", is_flag=True, help="Say what would go. Change nothing.")
@pass_context
@guarded
def expire(context: Context, keep_days: int | None, keep_versions: int | None, dry_run: bool) -> None:
    """Destroy versions of the corpus that have had their time, with proof.

    How long they are kept stands in site.toml (`[retention]`); the options go before it. The version that the served
    model was trained from stays, unless site.toml says otherwise. Each destruction leaves a signed record.
    """
    from demur.flows.expire import expire as destroy
    from demur.flows.expire import rehearse
    from demur.flows.site import read_site

    with working(context) as parts:
        retention = read_site(context.workspace).retention
        if keep_days is not None:
            retention = replace(retention, keep_days=keep_days)
        if keep_versions is not None:
            retention = replace(retention, keep_versions=keep_versions)
        done = rehearse(parts, retention, at=clock.now()) if dry_run else destroy(parts, retention, clock=clock.now)
    rows = [
        {
            "corpus": one.version.corpus_id,
            "known_at": clock.iso(one.version.known_at),
            "records": one.version.records,
            "models": list(one.version.models),
            "expires": one.expires,
            "why": one.why,
        }
        for one in done.judged
    ]
    facts = {"dry_run": dry_run, "versions": rows, "destroyed": [str(one) for one in done.records]}

    def text() -> None:
        if rows:
            columns = ["corpus", "known at", "records", "models", "goes", "why"]
            grid(columns, [list(row.values()) for row in rows])
        else:
            say("there is no corpus")
        for one in done.records:
            say(f"destroyed; record {one}")

    show(context, facts, text)
    if dry_run:
        hint(context, "Nothing was changed. `demur corpus expire` does it.")


@click.command("expired")
@pass_context
@guarded
def expired(context: Context) -> None:
    """List what expired, and check each record of destruction: signature, ledger, and that all of it is gone."""
    from demur.flows.expire import check_record, records
    from demur.store import read_json

    with reading(context) as parts:
        key = parts.keys.verifier().public_bytes_raw().hex()
        found = [(path, read_json(path)) for path in records(parts)]
        checked = [(path, one, check_record(one, public_key=key, root=parts.workspace.root)) for path, one in found]
    facts: list[dict[str, Any]] = [
        {
            "corpus": one["corpus"],
            "destroyed_at": one["destroyed_at"],
            "why": one["why"],
            "files": len(one["files"]),
            "shares": len(one["shares"]),
            "models": one["models"],
            "left_the_house": len(one["left_the_house"]),
            "record": str(path),
            "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks],
        }
        for path, one, checks in checked
    ]
    holds = all(check.ok is not False for *_, checks in checked for check in checks)

    def text() -> None:
        for one in facts:
            say(f"{one['corpus']}  destroyed {one['destroyed_at']}: {one['why']}; {plain(one['files'])} files")
            for check in one["checks"]:
                say(f"  {check['name']:<9} {HELD[check['ok']]}  {check['detail']}")
            if one["left_the_house"]:
                note(f"  {one['left_the_house']} exports of it had left the house: those copies are not destroyed")
        if not facts:
            say("nothing has expired")

    show(context, {"expired": facts, "holds": holds}, text)
    if not holds:
        raise SystemExit(1)


@click.command("schedule", epilog="Examples: demur corpus schedule    demur corpus schedule --run")
@click.option("--run", "due", is_flag=True, help="Build the next version if its time has come; let versions expire.")
@click.option("--now", is_flag=True, help="Build it also before its time.")
@pass_context
@guarded
def schedule(context: Context, due: bool, now: bool) -> None:
    """Show when the next version of the corpus is built by itself; with --run do what is due.

    How often stands in site.toml (`[schedule]`), and `demur work` does it then. The build repeats the current one at
    the present instant. While a model is served the new version stands beside: `demur corpus use` adopts it.
    """
    from demur.flows.schedule import due_at
    from demur.flows.schedule import run as build_what_is_due
    from demur.flows.site import read_site

    site = read_site(context.workspace)
    if due or now:
        with working(context) as parts:
            done = build_what_is_due(parts, site, clock=clock.now, workers=workers(), now=now)
        built = done.built.corpus_id if done.built else None
        show(context, {"built": built, "adopted": done.adopted, "expired": [str(one) for one in done.expired]})
        if done.built is not None and not done.adopted:
            hint(context, f"A model is served: `demur corpus use {built}` adopts the new version, then `demur train`")
        return
    with reading(context) as parts:
        at = due_at(parts, site.schedule)
    facts = {
        "every_hours": site.schedule.every_hours,
        "policy": site.schedule.policy or "that of the current corpus",
        "due_at": clock.iso(at) if at else None,
        "keep_days": site.retention.keep_days,
        "keep_versions": site.retention.keep_versions,
    }
    show(context, facts)


@click.command("use", epilog="Example: demur corpus use 6f760ef1d13f318a")
@click.argument("corpus_id")
@pass_context
@guarded
def use(context: Context, corpus_id: str) -> None:
    """Make another version the current one, with the model that was trained from it, if there is one.

    Refused while something waits to be taken out of it.
    """
    from demur.flows.schedule import adopt

    with working(context) as parts:
        model = adopt(parts, corpus_id)
    show(context, {"corpus": corpus_id, "model": model})
    if model is None:
        hint(context, "Next: `demur train`; until then no model is served")


@click.command("openlineage")
@pass_context
@guarded
def openlineage(context: Context) -> None:
    """Write what was built from what as OpenLineage events; post them where site.toml names a URL.

    They are derived from the ledger and the manifests, so nothing is told twice and nothing personal is in them.
    `demur work` does the same by itself.
    """
    from demur.flows.openlineage import EVENTS, tell
    from demur.flows.site import read_site

    with working(context) as parts:
        count = tell(parts, read_site(context.workspace).openlineage)
    path = context.workspace.root / "lineage" / EVENTS
    show(context, {"events": count, "file": str(path)}, lambda: say(f"{plain(count)} events appended to {path}"))

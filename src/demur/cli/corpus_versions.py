"""Commands about versions of a corpus over time: corpus expire, corpus expired, corpus schedule, corpus openlineage."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click

from demur import clock
from demur.cli.frame import Context, guarded, hint, pass_context, reading, show, working
from demur.cli.look import grid, note, plain, say


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
                say(f"  {check['name']:<9} {'holds' if check['ok'] else 'FAILS'}  {check['detail']}")
            if one["left_the_house"]:
                note(f"  {one['left_the_house']} exports of it had left the house: those copies are not destroyed")
        if not facts:
            say("nothing has expired")

    show(context, {"expired": facts, "holds": holds}, text)
    if not holds:
        raise SystemExit(1)

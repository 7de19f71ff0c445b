"""Commands about leaving: erase, erase verify."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from demur import clock
from demur.cli.frame import INSTANT, Context, guarded, hint, known_by_now, pass_context, show, workers, working
from demur.cli.look import HELD, grid, say


@click.group(
    invoke_without_command=True,
    subcommand_metavar="[verify CERTIFICATE]",
    epilog="Example: demur objection add agora:p104; demur erase --dry-run; demur erase",
)
@click.option("--dry-run", is_flag=True, help="Show the plan: shards, slices, tokens, time. Change nothing.")
@click.option(
    "--at", type=INSTANT, default=None, callback=known_by_now, help="What was learned by then counts (default: now)."
)
@pass_context
@click.pass_context
@guarded
def erase(ctx: click.Context, context: Context, dry_run: bool, at: datetime | None) -> None:
    """Take out of corpus and model whatever may no longer be there.

    That is: everybody who objected since, and all that a hold, a deletion or a correction takes away. First the served
    model falls back to states that never saw them; then the touched shards are trained again without them, what saw
    them is destroyed, and a certificate is written. Killed in between, it goes on where it stopped.
    """
    if ctx.invoked_subcommand is not None:
        return
    from demur.erasure import render_plan
    from demur.flows.erase import erase as take_out
    from demur.flows.erase import rehearse

    now = at or clock.now()
    with working(context, builds=True) as parts:
        if dry_run:
            done = rehearse(parts, at=now)
        else:
            done = take_out(parts, at=now, workers=workers(), clock=(lambda: at) if at else clock.now)
    facts = facts_of(done)

    def text() -> None:
        kinds = sorted({one.kind for one in done.restrictions})
        say(f"{len(done.restrictions)} pending: {', '.join(kinds)}")
        say(render_plan(done.plan, done.tokens).rstrip())
        if done.certificate is not None:
            say()
            say(f"served model free of them after {done.first_effect_seconds:.2f} s")
            say(f"corpus      {done.corpus}")
            say(f"model       {done.model or 'none'}")
            say(f"certificate {done.certificate}")

    show(context, facts, text)
    if dry_run:
        hint(context, "Nothing was changed. `demur erase` does it.")
    elif done.certificate is not None:
        hint(context, f"Next: `demur erase verify {done.certificate} --rebuild`")


def facts_of(done: Any) -> dict[str, Any]:
    """Return an erasure as plain facts."""
    from demur.flows.erase import plan_as_json

    return {
        "erasure_id": done.erasure_id,
        "restrictions": [{"kind": one.kind, "person": one.person_id} for one in done.restrictions],
        "plan": plan_as_json(done.plan),
        "shards_touched": len({(one.region, one.shard) for one in done.plan.changed}),
        "first_effect_seconds": round(done.first_effect_seconds, 3),
        "corpus": done.corpus,
        "model_digest": done.model,
        "certificate": str(done.certificate) if done.certificate else None,
    }


@erase.command("verify", epilog="Example: demur erase verify demur-home/erasures/*/certificate.json --rebuild")
@click.argument("certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--rebuild", is_flag=True, help="Also build corpus and model from nothing and compare bit for bit.")
@pass_context
@guarded
def verify(context: Context, certificate: Path, rebuild: bool) -> None:
    """Check a certificate: signature, digests, receipts, proofs of absence, inclusion in the ledger."""
    from demur.flows.verify import rebuild_clean, verify_certificate

    with working(context, builds=rebuild) as parts:
        checks = verify_certificate(parts, certificate)
        clean = rebuild_clean(parts, at=clock.now(), workers=workers()) if rebuild else None
    rows = [[one.name, HELD[one.ok], one.detail] for one in checks]
    holds = all(one.ok is not False for one in checks) and (clean is None or clean.equal)
    facts: dict[str, Any] = {"checks": [{"name": c.name, "ok": c.ok, "detail": c.detail} for c in checks]}
    if clean is not None:
        facts["rebuild"] = {
            "corpus_here": clean.corpus_here,
            "corpus_clean": clean.corpus_clean,
            "model_here": clean.model_here,
            "model_clean": clean.model_clean,
            "equal": clean.equal,
        }

    def text() -> None:
        grid(["check", "result", "detail"], rows)
        if clean is not None:
            say(f"corpus here  {clean.corpus_here}")
            say(f"corpus clean {clean.corpus_clean}")
            say(f"model here   {clean.model_here}")
            say(f"model clean  {clean.model_clean}")
            say("equal, bit for bit" if clean.equal else "DIFFERENT")

    show(context, {**facts, "holds": holds}, text)
    if not holds:
        raise SystemExit(1)

"""Commands about the ledger: show, verify, prove."""

from __future__ import annotations

from dataclasses import asdict

import click

from demur.cli.frame import Context, guarded, note, pass_context, say, show


@click.group()
def ledger() -> None:
    """The append-only Merkle log of everything of consequence."""


@ledger.command("verify")
@pass_context
@guarded
def verify(context: Context) -> None:
    """Recompute every hash and compare it with the signed checkpoint; any changed byte is found."""
    from demur.ledger import verify as check

    found = check(context.workspace.ledger)
    facts = asdict(found)
    show(context, {**facts, "intact": not found.faults})
    if found.faults:
        note("The ledger is damaged: " + "; ".join(found.faults))
        raise SystemExit(1)


@ledger.command("show")
@click.option("--last", type=int, default=20, show_default=True, help="So many of the newest entries.")
@pass_context
@guarded
def show_entries(context: Context, last: int) -> None:
    """Show the public part of the newest entries, and the checkpoint."""
    from demur.ledger import Ledger, read_leaf

    with Ledger.open(context.workspace.ledger, context.workspace.keys) as log:
        first = max(0, log.size - last)
        entries = [{"index": index, **read_leaf(log.entry(index))} for index in range(first, log.size)]
        checkpoint = log.checkpoint()

    def text() -> None:
        for one in entries:
            builds = " ".join(f"{name}={digest[:12]}" for name, digest in one["builds"].items())
            say(f"{one['index']:>6}  {one['at']}  {one['kind']:<12} {one['commitment'][:12]}  {builds}")
        say()
        say(checkpoint.rstrip())

    show(context, {"entries": entries, "checkpoint": checkpoint}, text)


@ledger.command("prove")
@click.argument("index", type=int)
@pass_context
@guarded
def prove(context: Context, index: int) -> None:
    """Print a proof that an entry is in the ledger (c2sp.org/tlog-proof), for any verifier."""
    from demur.ledger import Ledger

    with Ledger.open(context.workspace.ledger, context.workspace.keys) as log:
        proof = log.prove(index).text()
    show(context, {"index": index, "proof": proof}, lambda: say(proof.rstrip()))

"""Commands about the ledger: show, verify, prove."""

from __future__ import annotations

from dataclasses import asdict

import click

from demur.cli.frame import Context, guarded, pass_context, show
from demur.cli.look import listing, note, say


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
    facts = {**asdict(found), "intact": not found.faults}

    hidden = ("faults", "key_from_folder")
    show(context, facts, lambda: listing({name: value for name, value in facts.items() if name not in hidden}))
    if found.faults:
        note("The ledger is damaged:\n" + "\n".join(f"  - {fault}" for fault in found.faults))
        raise SystemExit(1)


@ledger.command("show")
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="How many of the newest.")
@pass_context
@guarded
def show_entries(context: Context, last: int) -> None:
    """Show the public part of the newest entries, and the checkpoint."""
    from demur.ledger import Ledger, read_leaf

    space = context.workspace
    with Ledger.open(space.ledger, space.keys) as log:
        first = max(0, log.size - last)
        entries = [{"index": index, **read_leaf(raw)} for index, raw in log.entries(first)]
        checkpoint = log.checkpoint()

    def text() -> None:
        for one in entries:
            builds = " ".join(f"{name}={digest[:12]}" for name, digest in one["builds"].items())
            line = f"{one['index']:>6}  {one['at']}  {one['kind']:<12} {one['commitment'][:12]}  {builds}"
            say(line.rstrip())
        say()
        say(checkpoint.rstrip())

    show(context, {"entries": entries, "checkpoint": checkpoint}, text)


@ledger.command("prove")
@click.argument("index", type=click.IntRange(min=0))
@pass_context
@guarded
def prove(context: Context, index: int) -> None:
    """Print a proof that an entry is in the ledger (c2sp.org/tlog-proof), for any verifier."""
    from demur.ledger import Ledger

    space = context.workspace
    with Ledger.open(space.ledger, space.keys) as log:
        proof = log.prove(index).text()
    show(context, {"index": index, "proof": proof}, lambda: say(proof.rstrip()))

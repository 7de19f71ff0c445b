"""Commands about receipts of objections: get one, check one."""

from __future__ import annotations

from pathlib import Path

import click

from demur.cli.frame import Context, guarded, pass_context, show
from demur.cli.look import say
from demur.errors import InputError

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group()
def receipt() -> None:
    """Receipts of objections: proof for the person, checkable by anybody."""


@receipt.command("get", epilog="Example: demur receipt get O-7K3M-9QXT-42HD --out receipt.json")
@click.argument("reference")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write (default: stdout).")
@click.option("--language", default="en", show_default=True, help="Language that the person was told in.")
@click.option("--country", help="Where the person lives, for the authority to complain to.")
@pass_context
@guarded
def get(context: Context, reference: str, out: Path | None, language: str, country: str | None) -> None:
    """Write the receipt of an objection, to hand it to the person. It names nobody."""
    from demur.flows.objected import find, receipt_of
    from demur.store.files import write_json
    from demur.wiring import open_service

    with open_service(context.workspace) as service:
        made = receipt_of(service, find(service, reference), language=language, country=country)
    if out is None:
        show(Context(context.home, as_json=True), made)
        return
    write_json(out, made)
    show(context, {"receipt": str(out), "reference": made["record_id"], "entry": made["opening"]["index"]})


@receipt.command("verify", epilog="Example: demur receipt verify receipt.json --key 'example.org/ledger+a1b2c3d4+AQ…'")
@click.argument("file", type=_FILE)
@click.option("--key", help="The ledger's verifier key from a source that you trust, name+hash+key.")
@click.option("--checkpoint", type=_FILE, help="A checkpoint of the ledger from a source that you trust.")
@pass_context
@guarded
def verify(context: Context, file: Path, key: str | None, checkpoint: Path | None) -> None:
    """Check a receipt offline: nothing but the file is needed, and no workspace."""
    from demur.objections import verify_receipt

    try:
        told = verify_receipt.read(file.read_bytes())
        note = checkpoint.read_text(encoding="utf-8") if checkpoint else None
    except ValueError as error:
        raise InputError(
            "expected a receipt (JSON), found something else; take the file as it was handed out"
        ) from error
    checks = verify_receipt.verify(told, verify_receipt.Against(key, note))
    holds = verify_receipt.holds(checks)
    facts = {"holds": holds, "checks": [{"name": one.name, "holds": one.ok, "detail": one.detail} for one in checks]}
    show(context, facts, lambda: say(verify_receipt.render(checks).rstrip()))
    if not holds:
        raise SystemExit(1)

"""The command status."""

from __future__ import annotations

from typing import Any

import click

from demur import clock
from demur.cli.frame import Context, guarded, hint, pass_context, reading, show
from demur.cli.look import listing


@click.command()
@pass_context
@guarded
def status(context: Context) -> None:
    """Show what is current: tables, corpus, model, what waits for an erasure, the ledger."""
    with reading(context) as parts:
        facts = _facts(parts)
    show(context, facts, lambda: listing(facts, {"corpus": "none yet", "model": "none yet"}))
    hint(context, _next(facts))


def _facts(parts: Any) -> dict[str, Any]:
    from demur.erasure import unfinished
    from demur.flows.erase import pending
    from demur.flows.intake import quarantined
    from demur.flows.parts import current
    from demur.ledger import Ledger

    space, now = parts.workspace, current(parts.workspace)
    waiting: dict[str, int] = {}
    for one in pending(parts):
        waiting[one.kind] = waiting.get(one.kind, 0) + 1
    with Ledger.open(space.ledger, parts.keys) as log:
        size = log.size
    return {
        "home": str(space.root),
        "items": _rows(space.source / "items"),
        "people": len(parts.registry.everybody()),
        "quarantined": sum(quarantined(space).values()),
        "corpus": _corpus(parts) if now.corpus else None,
        "model": _model(parts) if now.model else None,
        "waiting_for_erase": waiting,
        "unfinished_erasures": len(unfinished(space.erasures)),
        "certificates": [str(path) for path in sorted(space.erasures.glob("*/certificate.json"))],
        "ledger_entries": size,
    }


def _rows(folder: Any) -> int:
    """Return versions of items, from the footers of the files."""
    import pyarrow.parquet as pq

    return sum(pq.ParquetFile(path).metadata.num_rows for path in folder.glob("*.parquet"))


def _corpus(parts: Any) -> dict[str, Any]:
    from demur.corpus import read_manifest
    from demur.flows.parts import corpus_folder

    found = read_manifest(corpus_folder(parts.workspace))
    return {
        "id": found.corpus_id,
        "digest": found.digest,
        "records": found.counts["records"]["all"],
        "policy": found.inputs["policy_name"],
        "as_of": found.inputs["as_of"],
        "known_at": clock.iso(clock.parse(found.inputs["narrowed_at"])),
        "verifier_agrees": bool(found.verdict.get("agrees")),
    }


def _model(parts: Any) -> dict[str, Any]:
    from demur.flows.parts import model_folder
    from demur.training import read_model

    found = read_model(model_folder(parts.workspace))
    return {
        "id": found.model_id,
        "digest": found.model_digest,
        "status": str(found.status),
        "regions": [one.region for one in found.regions],
        "tokens": sum(found.tokens.values()),
    }


def _next(facts: dict[str, Any]) -> str:
    if facts["unfinished_erasures"]:
        return "An erasure was interrupted; `demur erase` finishes it."
    if facts["waiting_for_erase"]:
        return "`demur erase --dry-run` shows what waiting objections and corrections take out."
    if not facts["items"]:
        return "Next: `demur intake SOURCE PATH…`"
    if facts["corpus"] is None:
        return "Next: `demur corpus build`"
    if facts["model"] is None:
        return "Next: `demur train --base FOLDER`"
    return "Nothing waits. `demur report` writes a page about it."

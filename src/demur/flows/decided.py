"""What may be used, as of an instant: snapshot, standing and decisions, as folders in ``work``.

With ``narrowed_at`` later than ``known_at``, everything is decided twice and an item stays only if both readings allow
it (ADR 2): what was learned later can only take away.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.clock import iso
from demur.errors import ConfigError
from demur.flows.parts import Parts
from demur.intake import snapshot
from demur.store import digest_json, remove_tree
from demur.store.stage import run_stage
from demur.terms.policy import Policy


@dataclass(frozen=True, slots=True)
class Decided:
    """Everything that a corpus is made from."""

    policy: Policy
    as_of: datetime
    known_at: datetime
    narrowed_at: datetime
    items: Path
    """Folder of ITEMS parts, as known at ``known_at``."""
    standing: Path
    """Folder of the people tables, as known at ``narrowed_at``."""
    decisions: Path
    """Folder of DECISIONS parts: allowed by both readings."""
    source_digest: str
    counts: dict[str, Any]


@contextmanager
def decided(
    parts: Parts,
    policy: Policy,
    reference: str,
    *,
    as_of: datetime,
    known_at: datetime,
    narrowed_at: datetime | None = None,
) -> Iterator[Decided]:
    """Decide every item; the folders are removed when the caller is done with them, since they hold persons in clear.

    Args:
        parts: the workspace.
        policy: the policy.
        reference: where child processes read it.
        as_of: instant at which clocks, ages and notices are judged.
        known_at: what demur had learned when the corpus was first built.
        narrowed_at: what it has learned since; ``None`` = ``known_at``.
    """
    narrowed_at = narrowed_at or known_at
    if not as_of <= known_at <= narrowed_at:
        raise ConfigError("expected as_of ≤ known_at ≤ narrowed_at, found another order; correct the instants")
    name = digest_json([policy.digest, iso(as_of), iso(known_at), iso(narrowed_at)])[:16]
    folder = parts.workspace.work / f"decided-{name}"
    for stale in parts.workspace.work.glob("decided-*"):
        remove_tree(stale)  # of a killed run; the workspace's lock keeps others out
    try:
        first = _decide(
            parts, policy, reference, folder / "known", as_of=as_of, known_at=known_at, narrowed_at=known_at
        )
        if narrowed_at == known_at:
            yield first
        else:
            later = _decide(
                parts, policy, reference, folder / "narrowed", as_of=as_of, known_at=known_at, narrowed_at=narrowed_at
            )
            counts = run_stage(
                "demur.policy.narrow:narrow",
                folder / "both",
                {"earlier": str(first.decisions), "later": str(later.decisions)},
            )
            yield Decided(
                policy, as_of, known_at, narrowed_at, first.items, later.standing, folder / "both",
                first.source_digest, counts,
            )  # fmt: skip
    finally:
        remove_tree(folder)


def _decide(
    parts: Parts,
    policy: Policy,
    reference: str,
    folder: Path,
    *,
    as_of: datetime,
    known_at: datetime,
    narrowed_at: datetime,
) -> Decided:
    parts.progress("snapshot", 0, None)
    source = snapshot(parts.workspace.source, folder / "source", as_of=as_of, known_at=narrowed_at)
    parts.progress("standing", 0, None)
    parts.registry.export(
        folder / "standing",
        as_of=as_of,
        known_at=narrowed_at,
        base_known_at=known_at,
        grace_months=policy.grace_months,
        purpose=policy.purpose,
    )
    parts.progress("decide", 0, None)
    counts = run_stage(
        "demur.policy.columns:decide_table",
        folder / "decisions",
        {
            "items": [str(part) for part in sorted((folder / "source" / "items").glob("*.parquet"))],
            "standing": str(folder / "standing"),
            "policy": reference,
            "as_of": iso(as_of),
            "known_at": iso(narrowed_at),
        },
    )
    return Decided(
        policy, as_of, known_at, narrowed_at, folder / "source" / "items", folder / "standing", folder / "decisions",
        source["digest"], counts,
    )  # fmt: skip

"""Questions about decisions: one item, every item, another policy. Nothing of the workspace changes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from demur.flows.decided import decided
from demur.flows.left import fresh
from demur.flows.parts import Parts
from demur.policy import explain, read, whatif
from demur.terms.tables import DECISIONS


def explain_item(
    parts: Parts, item: str, reference: str, *, as_of: datetime, known_at: datetime, language: str
) -> dict[str, Any]:
    """Return the decision about one item and everything behind it."""
    with decided(parts, read(reference), reference, as_of=as_of, known_at=known_at) as found:
        facts: dict[str, Any] = explain(
            item,
            items=sorted(found.items.glob("*.parquet")),
            standing=found.standing,
            policy=found.policy,
            as_of=as_of,
            known_at=known_at,
            language=language,
        )
        return facts


def compare(parts: Parts, reference: str, other: str, *, as_of: datetime, known_at: datetime) -> dict[str, Any]:
    """Return what another policy would gain and lose against the same state."""
    with (
        decided(parts, read(reference), reference, as_of=as_of, known_at=known_at) as found,
        fresh(parts.workspace, "whatif") as folder,
    ):
        parts.progress("what if", 0, None)
        facts: dict[str, Any] = whatif(
            reference,
            other,
            items=[str(path) for path in sorted(found.items.glob("*.parquet"))],
            standing=str(found.standing),
            as_of=as_of,
            folder=folder,
            known_at=known_at,
        )
        axes = (both for name in ("by_country", "by_language", "by_kind") for both in facts[name].values())
        for sums in (facts["gained"], facts["lost"], *(side for both in axes for side in both.values())):
            del sums["tokens"]  # no tokenizer was asked, and nothing is shown that was not counted
        return facts


def decide_to(parts: Parts, reference: str, out: Path, *, as_of: datetime, known_at: datetime) -> dict[str, Any]:
    """Decide every item and write the decisions into one Parquet file, whole or not at all; return the counts."""
    with decided(parts, read(reference), reference, as_of=as_of, known_at=known_at) as found:
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(f".{out.name}.part")
        with pq.ParquetWriter(part, DECISIONS, compression="zstd") as sink:
            for path in sorted(found.decisions.glob("*.parquet")):
                sink.write_table(pq.read_table(path, schema=DECISIONS))
        part.replace(out)
        return {name: value for name, value in found.counts.items() if name not in ("call", "parts")}

"""Gathers everything a report shows from the workspace's files, and writes the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import iso, parse
from demur.corpus import read_manifest
from demur.disclosure import ErasureRow, LossRow, RegionRow, ReportFacts, Share, Step, WhatIf, WhatIfRow, render
from demur.erasure import Certificate
from demur.flows.decided import Decided, decided
from demur.flows.parts import Parts, corpus_folder, current, kept_policy, model_folder
from demur.i18n import sentence
from demur.ledger import Ledger
from demur.store import write_bytes
from demur.terms.manifests import CorpusManifest, ModelManifest
from demur.terms.reasons import Exclusion
from demur.training import Loss, read_model

_MANY = 14
"""Rows of a picture before the rest are put together."""
_MISSING = {"country": "unknown", "language": "not said", "kind": "unknown"}
"""What a picture calls items of which the platform says nothing: which language they are in, the corpus finds out."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What a report shows beside what lies in the workspace."""

    title: str
    quarantined: Mapping[str, int] = field(default_factory=dict)
    losses: Mapping[str, Mapping[str, Loss]] = field(default_factory=dict)
    """base, unsharded, routed and after → language → loss."""
    erasures: tuple[ErasureRow, ...] = ()
    what_if: Mapping[str, Any] | None = None
    policies: tuple[str, str] = ("", "")
    seconds: Mapping[str, float] = field(default_factory=dict)
    peak_rss_mib: float = 0.0


def write_report(parts: Parts, extras: Extras, *, at: datetime) -> Path:
    """Write ``report.html`` into the workspace and return its path.

    Raises:
        RefusedError: there is no corpus yet.
    """
    page = parts.workspace.root / "report.html"
    write_bytes(page, render(gather(parts, extras, at=at)).encode())
    return page


def gather(parts: Parts, extras: Extras, *, at: datetime) -> ReportFacts:
    """Return everything on the page."""
    manifest = read_manifest(corpus_folder(parts.workspace))
    model = read_model(model_folder(parts.workspace)) if current(parts.workspace).model else None
    counts = manifest.counts
    with Ledger.open(parts.workspace.ledger, parts.keys) as log:
        size, checkpoint = log.size, log.checkpoint()
    shares = _shares(parts, manifest)
    return ReportFacts(
        title=extras.title,
        made_at=iso(at),
        policy=manifest.inputs["policy_name"],
        as_of=manifest.inputs["as_of"],
        people=len(parts.registry.everybody()),
        items=counts["items"]["all"],
        quarantined=sum(extras.quarantined.values()),
        quarantine=tuple(sorted(extras.quarantined.items(), key=lambda pair: -pair[1])),
        steps=_steps({code: n for code, n in counts["decisions"].items() if code != "allowed"}, rights=True),
        allowed=counts["decisions"].get("allowed", 0),
        filters=_steps(counts.get("exclusions", {}), rights=False),
        records=counts["records"]["all"],
        countries=shares["country"],
        languages=shares["language"],
        kinds=shares["kind"],
        regions=_regions(manifest, model.tokens if model else {}),
        corpus_digest=manifest.digest,
        verdict=tuple(
            (name, violations == 0, f"{violations} violations")
            for name, violations in manifest.verdict.get("checks", {}).items()
        ),
        model_digest=model.model_digest if model else None,
        model_parameters=_parameters(parts, model) if model else 0,
        model_tokens=sum(model.tokens.values()) if model else 0,
        losses=_losses(extras.losses),
        erasures=extras.erasures or _erasures(parts),
        what_if=_what_if(extras) if extras.what_if else None,
        ledger_size=size,
        ledger_root=checkpoint.splitlines()[2],
        seconds=tuple(extras.seconds.items()),
        peak_rss_mib=extras.peak_rss_mib,
    )


def _steps(counts: Mapping[str, int], *, rights: bool) -> tuple[Step, ...]:
    return tuple(
        Step(code, sentence(code, "en"), count, rights or code == Exclusion.PROTECTED_COPY.value)
        for code, count in counts.items()
    )


def _shares(parts: Parts, manifest: CorpusManifest) -> dict[str, tuple[Share, ...]]:
    """Decide again as the corpus was, and count by country, language and kind."""
    reference, policy = kept_policy(parts.workspace, manifest.inputs["policy"])
    as_of, known, narrowed = (parse(manifest.inputs[name]) for name in ("as_of", "known_at", "narrowed_at"))
    with decided(parts, policy, reference, as_of=as_of, known_at=known, narrowed_at=narrowed) as found:
        table = _decisions(found)
    return {axis: _by(table, axis) for axis in ("country", "language", "kind")}


def _decisions(found: Decided) -> Any:
    columns = ["item_id", "allowed", "country", "kind"]
    decisions = pa.concat_tables(
        pq.read_table(path, columns=columns) for path in sorted(found.decisions.glob("*.parquet"))
    )
    items = pa.concat_tables(
        pq.read_table(path, columns=["item_id", "language"]) for path in sorted(found.items.glob("*.parquet"))
    )
    return decisions.join(items, "item_id", join_type="left outer")


def _by(table: Any, axis: str) -> tuple[Share, ...]:
    named = table.set_column(table.column_names.index(axis), axis, pc.fill_null(table[axis], _MISSING[axis]))
    flagged = named.append_column("yes", pc.cast(named["allowed"], pa.int64()))
    grouped = flagged.group_by(axis).aggregate([("allowed", "count"), ("yes", "sum")]).to_pylist()
    rows = sorted(
        (Share(row[axis], row["allowed_count"], row["yes_sum"]) for row in grouped), key=lambda one: -one.items
    )
    rest = rows[_MANY:]
    if rest:
        others = Share(f"{len(rest)} others", sum(one.items for one in rest), sum(one.allowed for one in rest))
        rows = [*rows[:_MANY], others]
    return tuple(rows)


def _regions(manifest: CorpusManifest, tokens: Mapping[str, int]) -> tuple[RegionRow, ...]:
    filled: dict[str, set[int]] = {}
    records: dict[str, int] = {}
    for one in manifest.slices:
        records[one.region] = records.get(one.region, 0) + one.records
        if one.records:
            filled.setdefault(one.region, set()).add(one.shard)
    shards = int(manifest.inputs["recipe"]["shards"])
    return tuple(
        RegionRow(region, count, tokens.get(region, 0), len(filled.get(region, ())), shards)
        for region, count in sorted(records.items(), key=lambda pair: -pair[1])
    )


def _parameters(parts: Parts, model: ModelManifest) -> int:
    from safetensors import safe_open

    folder = model_folder(parts.workspace) / model.regions[0].path
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as tensors:
            for name in tensors.keys():  # noqa: SIM118  (no mapping)
                size = 1
                for length in tensors.get_slice(name).get_shape():
                    size *= length
                total += size
    return total


def _losses(losses: Mapping[str, Mapping[str, Loss]]) -> tuple[LossRow, ...]:
    if not losses:
        return ()
    after = losses.get("after", {})
    return tuple(
        LossRow(
            tag,
            losses["base"][tag].loss,
            losses["unsharded"][tag].loss,
            losses["routed"][tag].loss,
            after[tag].loss if tag in after else None,
        )
        for tag in losses["base"]
    )


def _erasures(parts: Parts) -> tuple[ErasureRow, ...]:
    rows = []
    for path in sorted(parts.workspace.erasures.glob("*/certificate.json")):
        found = Certificate.read(path).content
        rows.append(
            ErasureRow(
                erasure_id=found["certificate_id"],
                at=found["issued_at"],
                persons=len(found["persons"]) + len(found["partial"]),
                records_removed=found["plan"]["records_removed"],
                slices_replayed=len(found["plan"]["replay"]),
                tokens=found["plan"]["tokens"],
                tokens_full=found["plan"]["tokens_full"],
                first_effect_seconds=found["phases"]["rollback_milliseconds"] / 1000,
                seconds=found["phases"]["replay_milliseconds"] / 1000,
                digest_incremental=found["model"]["after"]["digest"] if found["model"] else "no model",
                digest_clean=None,
                certificate=str(path),
            )
        )
    return tuple(rows)


def _what_if(extras: Extras) -> WhatIf:
    found = extras.what_if or {}
    rows = [
        WhatIfRow(name, both["gained"]["items"], both["lost"]["items"]) for name, both in found["by_country"].items()
    ]
    rows.sort(key=lambda row: -(row.items_lost + row.items_gained))
    gained, lost = found["gained"], found["lost"]
    policy, other = extras.policies
    return WhatIf(
        policy,
        other,
        people_gained=gained["people"],
        people_lost=lost["people"],
        items_gained=gained["items"],
        items_lost=lost["items"],
        words_gained=gained["words"],
        words_lost=lost["words"],
        by_country=tuple(rows[:_MANY]),
    )

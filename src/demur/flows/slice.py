"""What of a hold's slice is in a corpus or a model: asked of the same rules that decide, and of the lineage (HLD-03).

Only the hold is given to the rules, so an item is counted if and only if the hold would deny it. Counts are kept in
``holds/``; nothing personal stands there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import iso, parse
from demur.corpus import read_manifest
from demur.flows.parts import Parts, kept_policy
from demur.flows.pending import whole_corpora
from demur.intake import snapshot
from demur.lineage import SealedFile
from demur.store import digest_json, read_json, remove_tree, write_json
from demur.store.stage import run_stage
from demur.terms.holds import PlacedHold
from demur.terms.people import Act
from demur.terms.reasons import Reason
from demur.terms.tables import HOLDS
from demur.training import read_model

_SAME = ("hold_id", "created_from", "created_until", "purpose", "campaign_id", "authority", "instrument",
         "recorded_at")  # fmt: skip
"""Columns of HOLDS that a placed hold has under the same name."""


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a slice one corpus holds."""

    items: int
    records: int
    slices: int
    persons: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A corpus or a model and what of the slice it holds; ``None`` = its corpus is gone, nobody can tell."""

    what: str
    """corpus or model."""
    name: str
    share: Share | None


def known_share(parts: Parts, hold: PlacedHold, corpus_id: str) -> Share | None:
    """Return what was counted before; ``None`` = nothing was, or the corpus or the hold is another one now."""
    path = _counts(parts, hold)
    if not path.exists():
        return None
    corpus = parts.workspace.corpora / corpus_id
    found = read_json(path).get(corpus_id)
    if found is None or found["digest"] != read_manifest(corpus).digest:
        return None
    return Share(**found["share"])


def holders(parts: Parts, hold: PlacedHold) -> tuple[Holder, ...]:
    """Count, for every corpus and model here, what of a hold's slice is in it, and keep the counts."""
    shares: dict[str, Share] = {}
    for corpus in whole_corpora(parts):
        share = known_share(parts, hold, corpus.name)
        shares[corpus.name] = share if share is not None else share_of(parts, hold, corpus)
    kept = {
        name: {"digest": read_manifest(parts.workspace.corpora / name).digest, "share": asdict(share)}
        for name, share in shares.items()
    }
    write_json(_counts(parts, hold), kept)
    found = [Holder("corpus", name, share) for name, share in shares.items()]
    for path in sorted(parts.workspace.models.glob("*/manifest.json")):
        model = read_model(path.parent)
        if model.status != "destroyed":
            found.append(Holder("model", model.model_id, shares.get(model.corpus_id)))
    return tuple(found)


def share_of(parts: Parts, hold: PlacedHold, corpus: Path) -> Share:
    """Count what of a hold's slice one corpus holds; a hold on a corpus or model by name covers all of that one."""
    with _denied(parts, hold, corpus) as denied:
        sealed = SealedFile(corpus / "sealed" / "lineage.sealed", "lineage", secret=parts.keys.secret("lineage"))
        items: set[str] = set()
        records: set[str] = set()
        slices: set[tuple[str, int, int]] = set()
        persons: set[str] = set()
        for table in sealed.all():
            mine = table if denied is None else table.filter(pc.is_in(table["item_id"], denied))
            for row in mine.to_pylist():
                items.add(row["item_id"])
                records.add(row["record_id"])
                persons.add(row["person_id"])
                slices.add((row["region"], row["shard"], row["slice"]))
    return Share(len(items), len(records), len(slices), len(persons))


@contextmanager
def _denied(parts: Parts, hold: PlacedHold, corpus: Path) -> Iterator[Any]:
    """Give the ids of the items that the hold alone denies; ``None`` = all. What lies on the disk meanwhile goes."""
    manifest = read_manifest(corpus)
    if hold.artefact is not None:
        yield (
            None
            if hold.artefact in {manifest.corpus_id, *_models_of(parts, manifest.corpus_id)}
            else pa.array([], pa.string())
        )
        return
    folder = parts.workspace.root / "holds" / f".{os.getpid()}-{digest_json([hold.hold_id, manifest.corpus_id])[:12]}"
    try:
        yield _decide(parts, hold, manifest.inputs, folder)
    finally:
        remove_tree(folder)


def _decide(parts: Parts, hold: PlacedHold, inputs: dict[str, Any], folder: Path) -> Any:
    reference, policy = kept_policy(parts.workspace, inputs["policy"])
    as_of, known_at = parse(inputs["as_of"]), parse(inputs["known_at"])
    last = max(parse(inputs["narrowed_at"]), hold.recorded_at, hold.valid_at)
    snapshot(parts.workspace.source, folder / "source", as_of=as_of, known_at=known_at)
    parts.registry.export(
        folder / "standing", as_of=as_of, known_at=last, base_known_at=known_at, grace_months=policy.grace_months,
        purpose=policy.purpose,
    )  # fmt: skip
    row = {
        **dict.fromkeys(HOLDS.names),
        **{name: sorted(getattr(hold, name)) or None for name in ("countries", "services", "kinds")},
        **{name: getattr(hold, name) for name in _SAME},
        "act": Act.PLACE.value,
        "valid_at": min(hold.valid_at, last),
    }  # fmt: skip
    pq.write_table(pa.Table.from_pylist([row], schema=HOLDS), folder / "standing" / "holds.parquet")
    run_stage(
        "demur.policy.columns:decide_table",
        folder / "decisions",
        {
            "items": [str(part) for part in sorted((folder / "source" / "items").glob("*.parquet"))],
            "standing": str(folder / "standing"),
            "policy": reference,
            "as_of": iso(as_of),
            "known_at": iso(last),
        },
    )
    denied = []
    for path in sorted((folder / "decisions").glob("*.parquet")):
        table = pq.read_table(path, columns=["item_id", "reasons"])
        held = [Reason.HELD.value in reasons for reasons in table["reasons"].to_pylist()]
        denied.append(table["item_id"].combine_chunks().filter(pa.array(held, pa.bool_())))
    return pa.concat_arrays(denied) if denied else pa.array([], pa.string())


def _models_of(parts: Parts, corpus_id: str) -> list[str]:
    made = (read_model(path.parent) for path in parts.workspace.models.glob("*/manifest.json"))
    return [model.model_id for model in made if model.corpus_id == corpus_id]


def _counts(parts: Parts, hold: PlacedHold) -> Path:
    name = digest_json([hold.hold_id, iso(hold.valid_at), iso(hold.recorded_at)])[:16]
    return parts.workspace.root / "holds" / f"{name}.json"

"""The plan of an erasure from two corpora on disk: what differs, what it costs, who leaves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from demur import erasure
from demur.corpus import difference, read_manifest
from demur.flows.parts import Parts
from demur.flows.people import blind, people_of
from demur.people import Restriction
from demur.terms.manifests import ErasurePlan, SliceRef
from demur.training import count_tokens, estimate_seconds, open_base, plan_from_json, read_model


def make_plan(
    parts: Parts,
    before: Path,
    after: Path,
    model_dir: Path | None,
    restrictions: tuple[Restriction, ...],
    *,
    older: Sequence[Path] = (),
) -> tuple[ErasurePlan, dict[SliceRef, int]]:
    """Return the difference of two corpora as a plan, with the tokens of every slice.

    Args:
        parts: the workspace.
        before: folder of the corpus that is.
        after: folder of the corpus that should be.
        model_dir: folder of the model; ``None`` = there is none.
        restrictions: what is honoured.
        older: further corpora that go; whoever is in them leaves too.
    """
    change = difference(before, after)
    old, new = _everybody([before, *older], parts), _everybody([after], parts)
    tokens: dict[SliceRef, int] = {}
    rate, epochs = 1.0, 1
    if model_dir is not None:
        model = read_model(model_dir)
        plan = plan_from_json(model.plan)
        base = open_base((model_dir / model.base_path).resolve(), parts.workspace.models)
        tokens = {place: count // plan.epochs for place, count in count_tokens(after, plan, base).items()}
        rate, epochs = 1 / max(estimate_seconds(model, 1_000_000, 1, 1) / 1_000_000, 1e-9), plan.epochs
    made = erasure.plan(
        read_manifest(before),
        read_manifest(after),
        tokens=tokens,
        tokens_per_second=rate,
        persons=sorted((old - new) & asked(parts, restrictions)),
        records=erasure.RecordDelta(change.removed, change.changed, change.added),
        epochs=epochs,
    )
    return made, tokens


def asked(parts: Parts, restrictions: Iterable[Restriction]) -> set[str]:
    """Return the blinded ids of everybody whom restrictions are about, linked ids among them."""
    return {blind(parts.keys, one) for one in people_asked(parts, restrictions)}


def people_asked(parts: Parts, restrictions: Iterable[Restriction]) -> list[str]:
    """Return everybody whom restrictions are about, linked ids among them."""
    return parts.registry.everyone_linked(one.person_id for one in restrictions if one.person_id)


def _everybody(corpora: Sequence[Path], parts: Parts) -> set[str]:
    return {
        person
        for corpus in corpora
        if (corpus / "manifest.json").exists()
        for people in people_of(corpus, parts.keys).values()
        for person in people
    }


def place(ref: SliceRef) -> list[Any]:
    """Return the plain form of a slice's name."""
    return [ref.region, ref.shard, ref.slice]


def plan_as_json(made: ErasurePlan) -> dict[str, Any]:
    """Return the plain form of a plan."""
    return {
        "corpus_before": made.corpus_before,
        "corpus_after": made.corpus_after,
        "changed": [place(one) for one in made.changed],
        "replay": [place(one) for one in made.replay],
        "tokens": made.tokens,
        "tokens_full": made.tokens_full,
        "seconds": made.seconds,
        "persons": list(made.persons),
        "records_removed": made.records_removed,
        "records_changed": made.records_changed,
        "records_added": made.records_added,
    }


def plan_from_facts(facts: dict[str, Any]) -> ErasurePlan:
    """Read a plan back from the journal."""
    found = dict(facts["plan"])
    for name in ("changed", "replay"):
        found[name] = tuple(SliceRef(*ref) for ref in found[name])
    return ErasurePlan(**{**found, "persons": tuple(found["persons"])})

"""The main job on a made-up network, from an export to a proven erasure; what ``make demo`` runs.

Every call is the one that a real platform makes; only the content is made up. Instants are fixed, so that digests
repeat from run to run on one platform.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from demur import ledger
from demur.clock import iso, parse
from demur.corpus import read_manifest
from demur.disclosure import ErasureRow
from demur.errors import RefusedError
from demur.flows.build import build_corpus, plan_for, train_model
from demur.flows.erase import Erased, erase
from demur.flows.intake import learn, take_in
from demur.flows.objection import object_
from demur.flows.parts import Parts, corpus_folder, model_folder
from demur.flows.report import Extras, write_report
from demur.flows.verify import Rebuilt, rebuild_clean
from demur.flows.whatif import compare
from demur.lineage import SealedFile
from demur.store import Workspace, remove_tree, write_json
from demur.terms.manifests import CorpusManifest, CorpusRecipe, ModelManifest
from demur.testing.base import base_text
from demur.testing.dump import write_dump
from demur.testing.network import AS_OF, Network
from demur.training import Base, evaluate, make_base, train_unsharded

MARK = ".demur-demo"
POLICY, OTHER = "demur-strict", "noyb-opt-in"

REGIONS = {
    "en": "en", "fr": "fr", "de": "de", "bar": "de-south", "gsw": "de-south", "es": "es", "pt": "pt", "nl": "nl",
    "it": "it", "sv": "nordic", "nb": "nordic", "nn": "nordic", "da": "nordic", "pl": "west-slavic",
    "cs": "west-slavic", "sk": "west-slavic",
}  # fmt: skip
"""Languages of the made-up network with enough text; the rest share a region."""

CONSTANTS: dict[str, Any] = {
    "epochs": 1, "cells": 4, "max_tokens": 64, "tokens_per_cell": 256, "lora_rank": 8, "learning_rate": 4e-3,
}  # fmt: skip


@dataclass(slots=True)
class Timer:
    """Seconds by stage."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure one stage."""
        begun = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - begun, 2)


def run_demo(parts: Parts, *, people: int, seed: int, workers: int) -> dict[str, Any]:
    """Run the main job in an empty workspace and return its facts; the report is written into the workspace.

    Args:
        parts: an open, empty workspace whose keys derive from a seed.
        people: size of the network.
        seed: of network and base.
        workers: processes.
    """
    timer = Timer()
    space, progress = parts.workspace, parts.progress
    dump = space.root / "platform"
    with timer.stage("network"):
        write_dump(dump, seed, people, progress)
    with timer.stage("intake"):
        report = take_in(parts, "demo", [dump], mapping=None, service=None, at=AS_OF)
        learn(parts, dump / "events.jsonl", at=AS_OF)
    with timer.stage("what if"):
        other = compare(parts, POLICY, OTHER, as_of=AS_OF, known_at=AS_OF)
    with timer.stage("corpus"):
        recipe = CorpusRecipe(regions=REGIONS)
        corpus = build_corpus(parts, POLICY, recipe, as_of=AS_OF, known_at=AS_OF, workers=workers)
    with timer.stage("base"):
        base = _base(space, seed, progress)
    with timer.stage("train"):
        plan = plan_for(parts, base, **CONSTANTS)
        model = train_model(parts, plan, base, at=AS_OF, workers=workers)
    held = held_out(seed, people)
    with timer.stage("evaluate"):
        losses = evaluate(model_folder(space), held)
        unsharded = train_unsharded(corpus_folder(space), plan, base, parts.keys, held, progress=progress)
    person, records, at = leaver(parts, dump / "after.jsonl")
    with timer.stage("erase"):
        object_(parts, {"person_id": person}, {}, door="link", at=at)
        erased = erase(parts, at=at, workers=workers, clock=lambda: at)
    with timer.stage("clean rebuild"):
        clean = rebuild_clean(parts, at=at, workers=workers)
    after = evaluate(model_folder(space), held)
    tokens = sum(model.tokens.values())
    row = ErasureRow(
        erasure_id=erased.erasure_id,
        at=iso(at),
        persons=1,
        records_removed=erased.plan.records_removed,
        slices_replayed=len(erased.plan.replay),
        tokens=erased.plan.tokens,
        tokens_full=erased.plan.tokens_full,
        first_effect_seconds=erased.first_effect_seconds,
        seconds=timer.seconds["erase"],
        digest_incremental=str(erased.model),
        digest_clean=clean.model_clean,
        certificate=str(erased.certificate),
    )
    extras = Extras(
        title=f"A made-up network of {people:,} people".replace(",", "\u202f"),
        quarantined=dict(report.quarantined),
        losses={
            "base": losses["base"],
            "unsharded": unsharded.losses,
            "routed": losses["routed"],
            "after": after["routed"],
        },
        erasures=(row,),
        what_if=other,
        policies=(POLICY, OTHER),
        seconds=timer.seconds,
        peak_rss_mib=peak_mib(),
    )
    page = write_report(parts, extras, at=at)
    return _facts(parts, extras, corpus, model, erased, clean, Leaver(person, records), page, tokens)


@dataclass(frozen=True, slots=True)
class Leaver:
    """Who leaves in the demo."""

    person: str
    records: int


def _base(space: Workspace, seed: int, progress: Any) -> Base:
    return make_base(
        base_text(seed, 6000), space.models / "base", vocab=3072, hidden=64, layers=2, heads=4, steps=250, batch=16,
        max_tokens=64, seed=seed, progress=progress,
    )  # fmt: skip


def held_out(seed: int, people: int) -> list[tuple[str, str]]:
    """Return texts of the same kind by people of another network: nobody trained on them."""
    network = Network(seed + 1, people)
    found: dict[str, list[str]] = {}
    for person in network.stream(0, min(people, 300)):
        for work in person.works:
            text = work.row.get("text")
            if work.tag and text and not work.planted and len(found.setdefault(work.tag, [])) < 25:
                found[work.tag].append(text)
    return [(tag, text) for tag, texts in sorted(found.items()) if len(texts) >= 10 for text in texts]


def leaver(parts: Parts, after: Path) -> tuple[str, int, datetime]:
    """Return who of those that object later has most records in the corpus, how many, and when they say so."""
    folder = corpus_folder(parts.workspace)
    seen: dict[str, set[str]] = {}
    sealed = SealedFile(folder / "sealed" / "lineage.sealed", "lineage", secret=parts.keys.secret("lineage"))
    for table in sealed.all():
        for person, record in zip(table["person_id"].to_pylist(), table["record_id"].to_pylist(), strict=True):
            seen.setdefault(person, set()).add(record)
    records = {person: len(found) for person, found in seen.items()}
    said = [orjson.loads(line) for line in after.read_bytes().splitlines() if line.strip()]
    objections = [one for one in said if one["type"] == "objection" and one["act"] == "object" and not one.get("kinds")]
    candidates = [one for one in objections if records.get(one["person_id"])]
    if not candidates:
        raise RefusedError("nobody who objects later has a record in this corpus; make the network larger")
    best = max(candidates, key=lambda one: (records[one["person_id"]], one["person_id"]))
    return best["person_id"], records[best["person_id"]], parse(best["recorded_at"]) + timedelta(minutes=1)


def peak_mib() -> float:
    """Return the largest resident size of this process or any child so far, in MiB."""
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return round(max(own, children) / 1024, 1)


def _facts(
    parts: Parts,
    extras: Extras,
    corpus: CorpusManifest,
    model: ModelManifest,
    erased: Erased,
    clean: Rebuilt,
    who: Leaver,
    page: Path,
    tokens: int,
) -> dict[str, Any]:
    counts = corpus.counts
    with ledger.Ledger.open(parts.workspace.ledger, parts.keys) as log:
        size = log.size
    after = read_manifest(corpus_folder(parts.workspace))
    return {
        "people": len(parts.registry.everybody()),
        "items": counts["items"]["all"],
        "quarantined": sum(extras.quarantined.values()),
        "decisions": counts["decisions"],
        "records": counts["records"]["all"],
        "corpus_digest": corpus.digest,
        "model_digest": model.model_digest,
        "regions": [one.region for one in model.regions],
        "shards": int(model.plan["shards"]) * len(model.regions),
        "ledger_size": size,
        "report": str(page),
        "seconds": extras.seconds,
        "peak_rss_mib": extras.peak_rss_mib,
        "tokens": tokens,
        "losses": {name: {tag: asdict(loss) for tag, loss in found.items()} for name, found in extras.losses.items()},
        "erasure": {
            "person": who.person,
            "records": who.records,
            "records_after": after.counts["records"]["all"],
            "shards_touched": len({(one.region, one.shard) for one in erased.plan.changed}),
            "tokens_retrained": erased.plan.tokens,
            "tokens_full": erased.plan.tokens_full,
            "first_effect_seconds": round(erased.first_effect_seconds, 3),
            "digest_incremental": erased.model,
            "digest_clean": clean.model_clean,
            "corpus_incremental": clean.corpus_here,
            "corpus_clean": clean.corpus_clean,
            "equal": clean.equal and erased.model == clean.model_clean,
            "certificate": str(erased.certificate),
        },
    }


def empty_home(home: Path) -> Workspace:
    """Return an empty workspace for the demo; an earlier demo's folder is emptied, nobody else's ever.

    Raises:
        RefusedError: the folder holds something else.
    """
    if home.exists() and any(home.iterdir()):
        if not (home / MARK).exists():
            raise RefusedError(
                f"expected an empty folder or an earlier demo in {home}, found other files; choose --home"
            )
        remove_tree(home)
    home.mkdir(parents=True, exist_ok=True)
    write_json(home / MARK, {"made_by": "demur demo"})
    return Workspace(home, seed=b"demur demo")

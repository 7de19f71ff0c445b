"""Builds as OpenLineage run events: a pure reading of manifests and of the ledger's public part.

    intake ─▶ decide ─▶ corpus ─▶ training ─▶ erasure, expiry, export

Data sets are named by digests, so an event says nothing about anybody. START and COMPLETE carry the instant that the
ledger knows: builds are functions of their inputs and hold no wall time. Runs have the same id whenever they are told
again. Source: OpenLineage 2-0-2 (openlineage.io/spec); facets as named in ``_FACETS``. Does not read, write or send.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from demur import __version__
from demur.terms.manifests import CorpusManifest, ModelManifest

PRODUCER = f"https://demur.invalid/demur/{__version__}"
SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
_FACETS = {
    "jobType": "https://openlineage.io/spec/facets/2-0-4/JobTypeJobFacet.json#/$defs/JobTypeJobFacet",
    "version": (
        "https://openlineage.io/spec/facets/1-0-1/DatasetVersionDatasetFacet.json#/$defs/DatasetVersionDatasetFacet"
    ),
    "lifecycleStateChange": (
        "https://openlineage.io/spec/facets/1-0-1/LifecycleStateChangeDatasetFacet.json"
        "#/$defs/LifecycleStateChangeDatasetFacet"
    ),
    "outputStatistics": (
        "https://openlineage.io/spec/facets/1-0-2/OutputStatisticsOutputDatasetFacet.json"
        "#/$defs/OutputStatisticsOutputDatasetFacet"
    ),
    "errorMessage": "https://openlineage.io/spec/facets/1-0-1/ErrorMessageRunFacet.json#/$defs/ErrorMessageRunFacet",
    "processing_engine": (
        "https://openlineage.io/spec/facets/1-1-1/ProcessingEngineRunFacet.json#/$defs/ProcessingEngineRunFacet"
    ),
}
_RUNS = uuid.UUID("5f6a1f0e-6f0c-5d0a-9c1e-4f2f6a1d8b17")
"""Names of runs are hashed below this one (RFC 9562, version 5)."""

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Output:
    """A data set that a run made or changed."""

    name: str
    rows: int | None = None
    dropped: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one job, as it is told."""

    job: str
    key: str
    """What the run is known by; the same key gives the same id."""
    at: str
    """Instant, ISO 8601 in UTC."""
    inputs: Sequence[str] = ()
    outputs: Sequence[Output] = field(default_factory=tuple)
    error: str | None = None
    """Type of the error that ended it; never its message."""


def events(run: Run, *, namespace: str) -> list[Event]:
    """Return START and COMPLETE (or FAIL) of a run.

    >>> [one["eventType"] for one in events(Run("corpus", "k", "2026-06-01T00:00:00Z"), namespace="demur")]
    ['START', 'COMPLETE']
    """
    end = "COMPLETE" if run.error is None else "FAIL"
    return [_event("START", run, namespace), _event(end, run, namespace)]


def runs_of_corpus(manifest: CorpusManifest, *, at: str, key: str) -> list[Run]:
    """Return intake, decide and corpus of a build.

    Args:
        manifest: of the corpus.
        at: instant of its ledger entry.
        key: of its ledger entry.
    """
    inputs, counts = manifest.inputs, manifest.counts
    source, policy = f"source/{inputs['source']}", f"policy/{inputs['policy']}"
    decisions = f"decisions/{inputs['source'][:16]}-{inputs['policy'][:16]}-{inputs['narrowed_at']}"
    items, records = counts["items"]["all"], counts["records"]["all"]
    before = [f"corpus/{manifest.replaces}"] if manifest.replaces else []
    return [
        Run("intake", f"intake:{inputs['source']}", inputs["known_at"], (), (Output(source, items),)),
        Run("decide", f"decide:{key}", at, (source, policy), (Output(decisions, items),)),
        Run("corpus", key, at, (source, decisions, *before), (Output(f"corpus/{manifest.corpus_id}", records),)),
    ]


def run_of_model(manifest: ModelManifest, *, at: str, key: str) -> Run:
    """Return the training of a model."""
    inputs = (f"corpus/{manifest.corpus_id}", f"plan/{manifest.plan_digest}")
    output = Output(f"model/{manifest.model_digest}", sum(manifest.records.values()))
    return Run("training", key, at, inputs, (output,))


def run_of_leaf(leaf: Mapping[str, Any], *, key: str) -> Run | None:
    """Return the run behind a public ledger entry, from that entry alone; ``None`` = it is about no build.

    Args:
        leaf: kind, at and builds, as public.
        key: what the entry is known by.
    """
    named: Mapping[str, str] = leaf["builds"]
    corpus = f"corpus/{named['corpus'][:16]}" if "corpus" in named else None
    inputs = [corpus] if corpus else []
    at = leaf["at"]
    match leaf["kind"]:
        case "build" if "media" in named:
            return Run("media", key, at, inputs, [Output(f"media/{named['media'][:16]}")])
        case "build":
            return Run("corpus", key, at, [f"policy/{named['policy']}"], [Output(str(corpus))])
        case "run":
            return Run("training", key, at, [*inputs, f"plan/{named['plan']}"], [Output(f"model/{named['model']}")])
        case "export":
            made = [Output(f"{name}/{digest}") for name, digest in sorted(named.items()) if name != "corpus"]
            return Run("export", key, at, inputs, made)
        case "erasure" if "record" in named:
            return Run("expiry", key, at, inputs, [Output(f"record/{named['record']}"), Output(str(corpus), 0, True)])
        case "erasure":
            made = [Output(f"{name}/{digest[:16] if name == 'corpus' else digest}") for name, digest in named.items()]
            return Run("erasure", key, at, [], made)
    return None


def _event(kind: str, run: Run, namespace: str) -> Event:
    done = kind != "START"
    facets: dict[str, Any] = {
        "processing_engine": _facet("processing_engine", name="demur", version=__version__),
    }
    if kind == "FAIL":
        facets["errorMessage"] = _facet("errorMessage", message=str(run.error), programmingLanguage="python")
    return {
        "eventType": kind,
        "eventTime": run.at,
        "producer": PRODUCER,
        "schemaURL": SCHEMA,
        "run": {"runId": str(uuid.uuid5(_RUNS, f"{namespace}\n{run.job}\n{run.key}")), "facets": facets},
        "job": {
            "namespace": namespace,
            "name": run.job,
            "facets": {"jobType": _facet("jobType", processingType="BATCH", integration="DEMUR", jobType="BUILD")},
        },
        "inputs": [{"namespace": namespace, "name": name} for name in run.inputs],
        "outputs": [_output(one, namespace, done=done) for one in run.outputs] if run.error is None else [],
    }


def _output(one: Output, namespace: str, *, done: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"namespace": namespace, "name": one.name}
    if done:
        found["facets"] = {"version": _facet("version", datasetVersion=one.name.rpartition("/")[2])}
        if one.dropped:
            found["facets"]["lifecycleStateChange"] = _facet("lifecycleStateChange", lifecycleStateChange="DROP")
        if one.rows is not None:
            found["outputFacets"] = {"outputStatistics": _facet("outputStatistics", rowCount=one.rows)}
    return found


def _facet(facet: str, /, **facts: Any) -> dict[str, Any]:
    return {"_producer": PRODUCER, "_schemaURL": _FACETS[facet], **facts}

"""Every event is a RunEvent of OpenLineage 2-0-2 by a JSON schema; nothing may be missing, wrong or more than is said.

The schema is our own reading of the specification's rules, as strict as it gets: it knows the facets that we write, in
the versions that they name, and no other member. Events were held to the published schemas with
``tools/check_openlineage.py``, which are not part of this project (docs/openlineage.md).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demur.disclosure.openlineage import Output, Run, events, run_of_leaf

jsonschema = pytest.importorskip("jsonschema")
FORMATS = jsonschema.FormatChecker(["uuid"])


@FORMATS.checks("uri")
def _uri(value: object) -> bool:
    return not isinstance(value, str) or all(urlsplit(value)[:2])


@FORMATS.checks("date-time", raises=ValueError)
def _instant(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


STRING: dict[str, Any] = {"type": "string", "minLength": 1}
URI = {"type": "string", "format": "uri"}


def members(required: dict[str, Any], /, **optional: Any) -> dict[str, Any]:
    """A JSON object with these members and no other."""
    return {
        "type": "object",
        "properties": required | optional,
        "required": sorted(required),
        "additionalProperties": False,
    }


def facet(name: str, version: str, required: dict[str, Any], /, **optional: Any) -> dict[str, Any]:
    """A facet: who wrote it and by which definition (specification, BaseFacet), and its own members."""
    url = {"const": f"https://openlineage.io/spec/facets/{version}/{name}.json#/$defs/{name}"}
    return members({"_producer": URI, "_schemaURL": url} | required, **optional)


CHANGES = ["ALTER", "CREATE", "DROP", "OVERWRITE", "RENAME", "TRUNCATE"]
RUN_FACETS = members(
    {"processing_engine": facet("ProcessingEngineRunFacet", "1-1-1", {"version": STRING}, name=STRING)},
    errorMessage=facet("ErrorMessageRunFacet", "1-0-1", {"message": STRING, "programmingLanguage": STRING}),
)
JOB_FACETS = members(
    {"jobType": facet("JobTypeJobFacet", "2-0-4", {"processingType": STRING, "integration": STRING}, jobType=STRING)}
)
DATASET = {"namespace": STRING, "name": STRING}
DATASET_FACETS = members(
    {"version": facet("DatasetVersionDatasetFacet", "1-0-1", {"datasetVersion": STRING})},
    lifecycleStateChange=facet(
        "LifecycleStateChangeDatasetFacet", "1-0-1", {"lifecycleStateChange": {"enum": CHANGES}}
    ),
)
OUTPUT_FACETS = members(
    {"outputStatistics": facet("OutputStatisticsOutputDatasetFacet", "1-0-2", {"rowCount": {"type": "integer"}})}
)
EVENT = members(
    {
        "eventTime": {"type": "string", "format": "date-time"},
        "eventType": {"enum": ["START", "COMPLETE", "FAIL"]},  # of START, RUNNING, COMPLETE, ABORT, FAIL, OTHER
        "producer": URI,
        "schemaURL": {"const": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"},
        "run": members({"runId": {"type": "string", "format": "uuid"}, "facets": RUN_FACETS}),
        "job": members({"namespace": STRING, "name": STRING, "facets": JOB_FACETS}),
        "inputs": {"type": "array", "items": members(DATASET)},
        "outputs": {"type": "array", "items": members(DATASET, facets=DATASET_FACETS, outputFacets=OUTPUT_FACETS)},
    }
)
SCHEMA = jsonschema.Draft202012Validator(EVENT, format_checker=FORMATS)

HEX = st.text("0123456789abcdef", min_size=16, max_size=64)
AT = st.datetimes().map(lambda at: at.isoformat() + "Z")
OUTPUTS = st.builds(Output, HEX.map("corpus/{}".format), st.none() | st.integers(0, 2**40), st.booleans())
RUNS = st.builds(
    Run,
    st.sampled_from(["intake", "decide", "corpus", "training", "export", "erasure", "expiry", "media"]),
    HEX,
    AT,
    st.lists(HEX.map("source/{}".format), max_size=3),
    st.lists(OUTPUTS, max_size=3),
    st.none() | st.sampled_from(["OutsideError", "BrokenError"]),
)
LEAVES = [
    ("build", {"corpus": "c" * 64, "policy": "d" * 64}),
    ("build", {"media": "e" * 64}),
    ("run", {"corpus": "c" * 64, "plan": "a" * 64, "model": "b" * 64}),
    ("export", {"corpus": "c" * 64, "decisions": "f" * 64}),
    ("erasure", {"corpus": "c" * 64, "record": "1" * 64}),
    ("erasure", {"certificate": "2" * 64, "corpus": "c" * 64, "model": "b" * 64}),
]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(EVENT)


@given(run=RUNS, namespace=st.sampled_from(["demur", "https://agora.example/"]))
@settings(deadline=None, max_examples=60)
def test_every_event_of_every_run_is_valid(run: Run, namespace: str) -> None:
    for event in events(run, namespace=namespace):
        assert [fault.json_path for fault in SCHEMA.iter_errors(event)] == []


@pytest.mark.parametrize(("kind", "builds"), LEAVES)
def test_what_the_ledger_tells_is_valid(kind: str, builds: dict[str, str]) -> None:
    run = run_of_leaf({"kind": kind, "at": "2026-06-01T00:00:00Z", "builds": builds}, key="k")
    assert run is not None
    for event in events(run, namespace="demur"):
        assert [fault.json_path for fault in SCHEMA.iter_errors(event)] == []


def whole() -> list[dict[str, Any]]:
    """Events that hold every member which ours can have."""
    told = Run("expiry", "k", "2026-06-01T00:00:00Z", ["source/1"], [Output("corpus/2", 3, dropped=True)])
    failed = Run("corpus", "k", "2026-06-01T00:00:00Z", ["source/1"], error="OutsideError")
    return [events(told, namespace="demur")[1], events(failed, namespace="demur")[1]]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every member at any depth."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*way, key)
        yield from places(inner, (*way, key))


def changed(event: dict[str, Any], way: tuple[Any, ...], change: str) -> dict[str, Any]:
    """Return an event with one member gone, of another type, or with an unknown one beside it."""
    event = copy.deepcopy(event)
    where: Any = event
    for key in way[:-1]:
        where = where[key]
    if change == "gone":
        del where[way[-1]]
    elif change == "other":
        where[way[-1]] = 7.5
    else:
        where["surprise"] = "x"
    return event


OPTIONAL = re.compile(r"(facets|outputFacets|lifecycleStateChange|errorMessage|name|jobType|\d+)$")
"""Ends of ways to what the specification lets be missing."""


@given(data=st.data())
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.data_too_large])
def test_what_is_missing_wrong_or_more_is_found(data: st.DataObject) -> None:
    event = data.draw(st.sampled_from(whole()))
    way = data.draw(st.sampled_from(list(places(event))))
    change = data.draw(st.sampled_from(["gone", "other", "more"]))
    if change == "gone" and OPTIONAL.search(str(way[-1])):
        return
    if change == "more" and isinstance(way[-1], int):
        return
    assert not SCHEMA.is_valid(changed(event, way, change)), (way, change)


@pytest.mark.parametrize(
    ("way", "value"),
    [
        (("run", "runId"), "42"),
        (("eventTime",), "yesterday"),
        (("eventTime",), "2026-06-01T00:00:00"),
        (("producer",), "demur"),
        (("eventType",), "DONE"),
        (("schemaURL",), "https://openlineage.io/spec/1-0-0/OpenLineage.json#/$defs/RunEvent"),
        (("outputs", 0, "facets", "lifecycleStateChange", "lifecycleStateChange"), "PURGE"),
        (("outputs", 0, "outputFacets", "outputStatistics", "rowCount"), "3"),
    ],
)
def test_values_that_the_specification_does_not_know_are_found(way: tuple[Any, ...], value: str) -> None:
    event = copy.deepcopy(whole()[0])
    where: Any = event
    for key in way[:-1]:
        where = where[key]
    where[way[-1]] = value
    assert [fault.json_path for fault in SCHEMA.iter_errors(event)]

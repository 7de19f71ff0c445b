"""Nothing leaves the house while something waits or a hold stops it; what left is in the public ledger (COR-02)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest
from flow_worlds import LATER, SENTINEL, Platform

from demur.corpus import read_manifest
from demur.erasure import find_sentinel
from demur.errors import OutsideError, RefusedError
from demur.flows.hold import place_hold
from demur.flows.openlineage import EVENTS, STATE, tell
from demur.flows.parts import corpus_folder
from demur.flows.publish import CROISSANT, publish, publish_decisions
from demur.ledger import Ledger, read_leaf
from demur.store import digest_file, read_json, write_json
from demur.terms.site import OpenLineage, Site

CONTROLLER = Site(platform="Agora", controller="Agora Ltd")


@pytest.fixture
def plain(copies: Callable[..., Platform]) -> Platform:
    return copies("untrained")


def leave(here: Platform, out: Path, form: str = "parquet", clock: Callable[[], datetime] = lambda: LATER) -> Any:
    return publish(here.parts, None, out, form=form, site=CONTROLLER, clock=clock)


def leaves(here: Platform) -> list[dict[str, Any]]:
    with Ledger.open(here.space.ledger, here.parts.keys) as ledger:
        return [read_leaf(ledger.entry(index)) for index in range(ledger.size)]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_what_left_is_in_the_ledger_and_described(plain: Platform, tmp_path: Path, form: str) -> None:
    done = leave(plain, tmp_path / "out", form)
    last = leaves(plain)[-1]
    assert last["kind"] == "export"
    assert last["builds"] == {"corpus": read_manifest(corpus_folder(plain.space)).digest, "export": done.digest}
    told = read_json(tmp_path / "out" / "export.json")
    assert told["digest"] == done.digest
    assert {one["path"]: one["digest"] for one in told["files"]} == {
        str(path.relative_to(tmp_path / "out")): digest_file(path) for path in (tmp_path / "out" / "data").rglob("*.*")
    }
    described = read_json(tmp_path / "out" / CROISSANT)
    assert described["creator"]["name"] == "Agora Ltd"
    assert find_sentinel(tmp_path / "out", [SENTINEL]), "the search sees into it"


def test_no_id_of_a_person_or_item_leaves(plain: Platform, tmp_path: Path) -> None:
    leave(plain, tmp_path / "out")
    for name in ("agora:olga", "agora:p-olga", "p-olga", "olga-sentinel"):
        assert not find_sentinel(tmp_path / "out", [name])


def test_an_objection_after_the_build_stops_it_and_leaves_nothing(plain: Platform, tmp_path: Path) -> None:
    plain.object("olga")
    with pytest.raises(RefusedError, match="demur erase"):
        leave(plain, tmp_path / "out")
    with pytest.raises(RefusedError, match="demur erase"):
        publish_decisions(plain.parts, None, tmp_path / "d.parquet", form="parquet", clock=lambda: LATER)
    assert list(tmp_path.glob("*out*")) == list(tmp_path.glob("*d.parquet*")) == []


@pytest.mark.parametrize("what", ["corpus", "decisions"])
def test_an_objection_that_comes_while_it_is_written_stops_it(plain: Platform, tmp_path: Path, what: str) -> None:
    asked: list[int] = []

    def clock() -> datetime:
        asked.append(1)
        if len(asked) == 2:
            plain.object("olga")
        return LATER

    before = len(leaves(plain))
    ways: dict[str, Callable[[], Any]] = {
        "corpus": lambda: leave(plain, tmp_path / "out", clock=clock),
        "decisions": lambda: publish_decisions(plain.parts, None, tmp_path / "out", form="parquet", clock=clock),
    }
    with pytest.raises(RefusedError):
        ways[what]()
    assert len(asked) >= 2
    assert list(tmp_path.glob("*out*")) == []
    assert not [leaf for leaf in leaves(plain)[before:] if leaf["kind"] == "export"]


def test_a_hold_stops_it(plain: Platform, tmp_path: Path) -> None:
    place_hold(plain.parts, "H-1", {"authority": "DPC", "instrument": "letter", "countries": ["DE"]}, at=LATER)
    with pytest.raises(RefusedError, match="H-1"):
        leave(plain, tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == []


def test_a_hold_on_exports_only_stops_it_although_nothing_is_taken_out(plain: Platform, tmp_path: Path) -> None:
    scope = {"authority": "DPC", "instrument": "letter", "stages": ["export"]}
    place_hold(plain.parts, "H-2", scope, at=LATER)
    with pytest.raises(RefusedError, match="H-2"):
        leave(plain, tmp_path / "out")


# OpenLineage ---------------------------------------------------------------------------------------------------------


def told(here: Platform) -> list[dict[str, Any]]:
    path = here.space.root / "lineage" / EVENTS
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def parsed(event: dict[str, Any]) -> Any:
    """Read an event with the classes that OpenLineage generates from its schema: unknown or missing members raise."""
    pytest.importorskip("openlineage.client")
    from openlineage.client import event_v2, facet_v2

    facets = {
        "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
        "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
        "jobType": facet_v2.job_type_job.JobTypeJobFacet,
        "version": facet_v2.dataset_version_dataset.DatasetVersionDatasetFacet,
        "lifecycleStateChange": facet_v2.lifecycle_state_change_dataset.LifecycleStateChangeDatasetFacet,
        "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
    }

    def read(found: dict[str, Any]) -> dict[str, Any]:
        made = {}
        for name, facts in found.items():
            plain = {key: value for key, value in facts.items() if key not in {"_producer", "_schemaURL"}}
            if name == "lifecycleStateChange":
                change = facet_v2.lifecycle_state_change_dataset.LifecycleStateChange
                plain["lifecycleStateChange"] = change[plain["lifecycleStateChange"]]
            made[name] = facets[name](producer=facts["_producer"], **plain)
            assert made[name]._get_schema() == facts["_schemaURL"]
        return made

    def dataset(kind: Any, found: dict[str, Any]) -> Any:
        more = {name: read(found[name]) for name in ("facets", "outputFacets", "inputFacets") if name in found}
        return kind(namespace=found["namespace"], name=found["name"], **more)

    assert set(event) == {"eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"}
    made = event_v2.RunEvent(
        eventType=event_v2.RunState[event["eventType"]],
        eventTime=event["eventTime"],
        run=event_v2.Run(event["run"]["runId"], read(event["run"]["facets"])),
        job=event_v2.Job(event["job"]["namespace"], event["job"]["name"], read(event["job"]["facets"])),
        inputs=[dataset(event_v2.InputDataset, one) for one in event["inputs"]],
        outputs=[dataset(event_v2.OutputDataset, one) for one in event["outputs"]],
        producer=event["producer"],
    )
    assert made.schemaURL == event["schemaURL"]
    return made


def test_events_tell_the_whole_way_once_and_are_valid(here: Platform, tmp_path: Path) -> None:
    leave(here, tmp_path / "out")
    here.object("olga")
    here.erase()
    count = tell(here.parts, OpenLineage())
    found = told(here)
    assert len(found) == count
    assert tell(here.parts, OpenLineage()) == 0
    jobs = [one["job"]["name"] for one in found if one["eventType"] == "COMPLETE"]
    assert set(jobs) == {"intake", "decide", "corpus", "training", "export", "erasure"}
    by_run: dict[str, list[str]] = {}
    for one in found:
        UUID(one["run"]["runId"])
        parsed(one)
        by_run.setdefault(one["run"]["runId"], []).append(one["eventType"])
    assert all(set(kinds) == {"START", "COMPLETE"} for kinds in by_run.values())
    made = {two["name"] for one in found for two in one["outputs"]}
    for one in found:
        for given in one["inputs"]:
            assert given["name"] in made or given["name"].startswith(("policy/", "plan/", "corpus/")), given


def test_events_say_nothing_about_anybody(here: Platform) -> None:
    here.object("olga")
    here.erase()
    tell(here.parts, OpenLineage())
    for word in ("olga", "agora", "Sentinelle", SENTINEL):
        assert word not in (here.space.root / "lineage" / EVENTS).read_text(encoding="utf-8")


def test_a_killed_run_repeats_nothing(plain: Platform) -> None:
    tell(plain.parts, OpenLineage())
    whole = (plain.space.root / "lineage" / EVENTS).read_bytes()
    (plain.space.root / "lineage" / STATE).unlink()  # killed after the lines, before the state
    tell(plain.parts, OpenLineage())
    assert (plain.space.root / "lineage" / EVENTS).read_bytes() == whole


def test_a_build_that_failed_is_told_as_such_without_its_message(plain: Platform) -> None:
    tell(plain.parts, OpenLineage())
    fault = plain.space.work / "run" / "corpus-0123456789abcdef" / "select" / "FAULT.json"
    write_json(fault, {"type": "OutsideError", "message": "cannot write agora:olga", "faults": []})
    assert tell(plain.parts, OpenLineage()) == 2
    assert tell(plain.parts, OpenLineage()) == 0
    start, fail = told(plain)[-2:]
    assert (start["eventType"], fail["eventType"]) == ("START", "FAIL")
    assert start["run"]["runId"] == fail["run"]["runId"]
    assert fail["run"]["facets"]["errorMessage"]["message"] == "OutsideError"
    parsed(fail)


class _Sink(BaseHTTPRequestHandler):
    took: list[tuple[str | None, Any]]
    status: int

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).took.append((self.headers.get("Authorization"), body))
        self.send_response(type(self).status)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


def test_events_are_posted_and_kept_for_later_when_nobody_takes_them(plain: Platform) -> None:
    sink = type("Sink", (_Sink,), {"took": [], "status": 503})
    with HTTPServer(("127.0.0.1", 0), sink) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            site = OpenLineage(url=f"http://127.0.0.1:{server.server_port}/api/v1/lineage", api_key="k")
            with pytest.raises(OutsideError):
                tell(plain.parts, site)
            sink.took.clear()
            sink.status = 201
            count = tell(plain.parts, site)
        finally:
            server.shutdown()
            thread.join()
    assert [body for _, body in sink.took] == told(plain)
    assert len(sink.took) == count > 0
    assert {header for header, _ in sink.took} == {"Bearer k"}

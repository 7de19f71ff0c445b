"""Nothing leaves the house while something waits or a hold stops it; what left is in the public ledger (COR-02)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pyarrow as pa
import pytest
from flow_worlds import LATER, SENTINEL, Platform

from demur.corpus import decision_file, interchange, read_manifest
from demur.corpus.interchange import Exported
from demur.erasure import Certificate, find_sentinel, render_text
from demur.errors import InputError, OutsideError, RefusedError
from demur.flows import publish as publishing
from demur.flows.hold import place_hold
from demur.flows.openlineage import EVENTS, STATE, tell
from demur.flows.parts import corpus_folder
from demur.flows.publish import CROISSANT, publish, publish_decisions, publish_tables
from demur.flows.verify import verify_certificate
from demur.ledger import Entry, EntryKind, Ledger, read_leaf
from demur.store import digest_file, read_json, write_json
from demur.store.apart import apart
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


def test_datasets_reads_columns_that_begin_with_nothing_and_the_language_of_norway(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    schema = pa.schema([(name, pa.string()) for name in ("id", "text", "dialect")])
    for place, dialect in (("en", None), ("no", "nn")):
        rows = [{"id": place, "text": "words", "dialect": dialect}]
        (tmp_path / "out/data" / place).mkdir(parents=True)
        path = tmp_path / "out/data" / place / "shard-000-slice-0.jsonl.zst"
        interchange._jsonl(path, schema, iter([pa.RecordBatch.from_pylist(rows, schema)]))
    done = Exported("c", "d", "jsonl", tuple((field.name, str(field.type)) for field in schema), (), (), 2)
    described = {"name": "n", "description": "d", "inLanguage": ["en", "no"], "rai:dataReleaseMaintenancePlan": "p"}
    card = publishing._card(described, done)
    (tmp_path / "out/README.md").write_text(card, encoding="utf-8")
    read = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert sorted(zip(read["id"], read["dialect"], strict=True)) == [("en", None), ("no", "nn")]
    assert '- "no"' in card  # YAML takes a bare one for a no
    unknown = replace(done, columns=(("id", "string"), ("spans", "list<struct<start: int32>>")))
    assert "dataset_info" not in publishing._card(described, unknown)


def test_a_folder_may_be_called_what_it_likes(plain: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    monkeypatch.chdir(tmp_path / "here")
    leave(plain, Path())
    WAYS["tables"](plain, tmp_path / "link")
    assert (tmp_path / "here/export.json").exists()
    assert (tmp_path / "there/items").is_dir()
    (tmp_path / "file").write_text("somebody's own", encoding="utf-8")
    with pytest.raises(InputError, match="new or empty"):
        leave(plain, tmp_path / "file")


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


WAYS: dict[str, Callable[..., Any]] = {
    "corpus": leave,
    "decisions": lambda here, out, clock=lambda: LATER: publish_decisions(
        here.parts, None, out, form="jsonl", clock=clock
    ),
    "tables": lambda here, out, clock=lambda: LATER, **told: publish_tables(
        here.parts, out, as_of=None, known_at=None, clock=clock, **told
    ),
}


@pytest.mark.parametrize("what", WAYS)
@pytest.mark.parametrize("logged", [True, False])
def test_nothing_is_outside_that_the_ledger_does_not_know_and_a_killed_run_is_repeated(
    plain: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, logged: bool
) -> None:
    real = publishing._log

    def die(*given: Any, **named: Any) -> None:
        if logged:
            real(*given, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_log", die)
        with pytest.raises(KeyboardInterrupt):
            WAYS[what](plain, tmp_path / "out")
    assert list(tmp_path.glob("*out*")) == []
    assert [leaf["kind"] for leaf in leaves(plain)].count("export") == logged
    (tmp_path / ".out.part").mkdir()  # a kill leaves what an interrupt removes
    (tmp_path / ".out.part" / "left").write_text(SENTINEL, encoding="utf-8")
    WAYS[what](plain, tmp_path / "out")
    assert leaves(plain)[-1]["kind"] == "export"
    assert (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".out*"))


def seen_by_others(folder: Path) -> list[Path]:
    """Return the files that somebody else on the machine can read, however deep."""
    found: list[Path] = []
    for path in folder.iterdir():
        if path.is_dir() and path.stat().st_mode & 0o011:
            found += seen_by_others(path)
        elif path.is_file() and path.stat().st_mode & 0o044:
            found.append(path)
    return found


@pytest.mark.parametrize("what", WAYS)
def test_nobody_else_can_read_what_is_being_written(
    plain: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    looks: list[list[Path]] = []
    told: list[int] = []
    real = decision_file._fates

    def fates(*given: Any) -> Any:
        looks.append(seen_by_others(tmp_path / "there"))
        yield from real(*given)

    def clock() -> datetime:
        if (tmp_path / "there").exists():
            looks.append(seen_by_others(tmp_path / "there"))
            told.append(sum(path.is_file() for path in (tmp_path / "there").rglob("*")))
        return LATER

    monkeypatch.setattr(decision_file, "_fates", fates)
    before = os.umask(0o022)
    try:
        WAYS[what](plain, tmp_path / "there" / "out", clock=clock)
    finally:
        os.umask(before)
    assert max(told) > 0
    assert looks == [[]] * len(looks)


def test_a_decision_file_that_fails_leaves_nothing(
    plain: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "chmod", die)
        with pytest.raises(KeyboardInterrupt):
            WAYS["decisions"](plain, tmp_path / "out" / "d.jsonl")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_refusal_leaves_the_decision_file_of_before(plain: Platform, tmp_path: Path) -> None:
    WAYS["decisions"](plain, tmp_path / "d.jsonl")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("d.jsonl*")}

    def clock() -> datetime:
        if (tmp_path / ".d.jsonl.part").exists():
            plain.object("olga")
        return LATER

    with pytest.raises(RefusedError):
        WAYS["decisions"](plain, tmp_path / "d.jsonl", clock=clock)
    assert {path.name: path.read_bytes() for path in tmp_path.glob("d.jsonl*")} == before
    decision_file.check_decisions(tmp_path / "d.jsonl")


def test_a_folder_apart_is_its_owners_and_goes_whatever_was_there(tmp_path: Path) -> None:
    (tmp_path / ".a.part").write_text("of before", encoding="utf-8")
    with apart(tmp_path / "a") as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        assert list(folder.iterdir()) == []
        (folder / "a").write_text("new", encoding="utf-8")
    assert list(tmp_path.iterdir()) == []


# Tables --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["corpus", "tables"])
def test_a_folder_with_something_in_it_is_left_as_it_is(plain: Platform, tmp_path: Path, what: str) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "letters.txt").write_text("somebody's own", encoding="utf-8")
    before = len(leaves(plain))
    with pytest.raises(InputError, match="new or empty"):
        WAYS[what](plain, tmp_path / "home")
    assert (tmp_path / "home" / "letters.txt").read_text(encoding="utf-8") == "somebody's own"
    assert len(leaves(plain)) == before


def test_tables_leave_for_an_audit_although_a_hold_stops_them_and_a_hold_that_comes_meanwhile_stops_them(
    plain: Platform, tmp_path: Path
) -> None:
    def clock() -> datetime:
        if (tmp_path / ".out.part").exists():
            place_hold(plain.parts, "H-1", {"authority": "DPC", "instrument": "letter"}, at=LATER)
        return LATER

    for why in ({}, {"reason": ""}):
        with pytest.raises(RefusedError, match="H-1"):
            WAYS["tables"](plain, tmp_path / "out", clock, **why)
        assert list(tmp_path.glob("*out*")) == []
    done = WAYS["tables"](plain, tmp_path / "out", reason="DPC checks the hold")
    assert leaves(plain)[-1]["builds"] == {"tables": done["digest"]}
    assert done["tables"]["standing"]["rows"] > 0
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert find_sentinel(tmp_path / "out" / "items", [SENTINEL])
    with Ledger.open(plain.space.ledger, plain.parts.keys) as ledger:
        assert ledger.opening(ledger.size - 1).facts["reason"] == "DPC checks the hold"


def test_a_certificate_names_the_tables_that_left(plain: Platform, tmp_path: Path) -> None:
    digest = WAYS["tables"](plain, tmp_path / "out")["digest"]
    plain.parts.log(Entry(EntryKind.EXPORT, LATER, "tables:x", {"what": "tables"}))  # as earlier versions logged it
    plain.object("olga")
    new, old = plain.certificate(plain.erase())["not_recalled"]
    assert new.startswith(f"tables {digest} of all that was read in, left")
    assert old.startswith("tables of all that was read in, left")


# Certificates --------------------------------------------------------------------------------------------------------


def test_a_certificate_names_what_left_of_every_corpus_that_may_have_held_them(
    copies: Callable[..., Platform], tmp_path: Path
) -> None:
    here = copies("untrained")
    none = copies("untrained", "none")
    none.object("olga")
    assert none.certificate(none.erase())["not_recalled"] == []
    first = corpus_folder(here.space).name
    digest = leave(here, tmp_path / "a").digest
    sha = WAYS["decisions"](here, tmp_path / "d.jsonl")["sha256"]
    here.object("olga")
    done = here.erase()
    found = here.certificate(done)["not_recalled"]
    assert [any(one in sentence and first in sentence for sentence in found) for one in (digest, sha)] == [True, True]
    assert len(found) == 2
    assert digest in render_text(Certificate.read(Path(str(done.certificate))))
    assert [one for one in verify_certificate(here.parts, Path(str(done.certificate))) if one.ok is False] == []
    second = corpus_folder(here.space).name
    leave(here, tmp_path / "b")
    here.object("mia", at=LATER + timedelta(hours=1))
    later = here.certificate(here.erase(LATER + timedelta(days=1)))["not_recalled"]
    assert later[:2] == found, "the first corpus is gone, its copies are not"
    assert [second in sentence for sentence in later] == [False, False, True]


def test_copies_of_a_corpus_that_holds_none_of_them_are_not_named(plain: Platform, tmp_path: Path) -> None:
    leave(plain, tmp_path / "a")
    plain.object("olga")
    plain.erase()
    leave(plain, tmp_path / "b")
    plain.object("nobody-here", at=LATER + timedelta(hours=1))
    found = plain.certificate(plain.erase(LATER + timedelta(days=1)))["not_recalled"]
    assert len(found) == 1, "the corpus after is the one before"


def test_who_asked_is_never_open_to_others(plain: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.chmod

    def die(path: Path, *given: Any, **named: Any) -> None:
        if path.name.endswith("answers.json"):
            raise KeyboardInterrupt
        real(path, *given, **named)

    plain.object("olga")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "chmod", die)
        with pytest.raises(KeyboardInterrupt):
            plain.erase()
    assert not list(plain.space.erasures.glob("*/*answers*"))
    done = plain.erase()
    (answers,) = plain.space.erasures.glob("*/answers.json")
    assert answers.stat().st_mode & 0o777 == 0o600
    assert len(plain.certificate(done)["requests"]) == len(read_json(answers)) == 1


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


def test_a_file_of_events_that_was_taken_away_begins_anew(plain: Platform, tmp_path: Path) -> None:
    tell(plain.parts, OpenLineage())
    (plain.space.root / "lineage" / EVENTS).rename(tmp_path / "rotated.jsonl")
    for number in range(2):
        leave(plain, tmp_path / f"out{number}", clock=lambda day=number: LATER + timedelta(days=day))
        assert tell(plain.parts, OpenLineage()) == 2
    assert [one["job"]["name"] for one in told(plain)] == ["export"] * 4


@pytest.mark.parametrize("kept", [b"", b'{"ours": 1}\n'])
def test_a_file_that_was_begun_anew_keeps_what_is_in_it_though_the_collector_is_away(
    plain: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bytes
) -> None:
    tell(plain.parts, OpenLineage())
    events = plain.space.root / "lineage" / EVENTS
    events.write_bytes(kept)
    leave(plain, tmp_path / "out")

    def away(*_: Any) -> None:
        raise OutsideError("nobody answers")

    with monkeypatch.context() as patch:
        patch.setattr("demur.flows.openlineage._post", away)
        for _ in range(2):
            with pytest.raises(OutsideError):
                tell(plain.parts, OpenLineage())
    assert tell(plain.parts, OpenLineage()) == 2
    found = events.read_bytes()
    assert found.startswith(kept)
    assert [orjson.loads(line)["job"]["name"] for line in found[len(kept) :].splitlines()] == ["export"] * 2


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

"""Versions that have had their time are gone, physically, with a record that an auditor can check."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from flow_worlds import AS_OF, LATER, POLICY, RECIPE, SENTINEL, Platform, item, sentence, write_dump
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.corpus import read_manifest
from demur.corpus.retention import Version, judge
from demur.erasure import look_for
from demur.errors import ConfigError, RefusedError
from demur.flows import expire as expiring
from demur.flows.build import build_corpus
from demur.flows.expire import PLAN, check_record, expire, records, rehearse, unfinished, versions
from demur.flows.honour import erase_waiting
from demur.flows.intake import take_in
from demur.flows.kept import name_of
from demur.flows.left import beside
from demur.flows.parts import current, set_current
from demur.flows.pending import pending
from demur.flows.publish import publish
from demur.flows.schedule import adopt
from demur.flows.verify import verify_certificate
from demur.lineage import SealedFile
from demur.store import digest_file, read_json
from demur.terms.site import Retention, Site
from demur.training import read_model

WEEK = timedelta(days=7)
READ_IN = {"source", "platform", "more"}
"""What the platform gave: not ours to expire."""
NIGHTLY = bool(os.environ.get("DEMUR_NIGHTLY"))
PROFILE = settings(max_examples=400 if NIGHTLY else 40, deadline=None)


def newer(here: Platform, at: datetime = AS_OF + WEEK) -> Any:
    """Build one more version, in which Olga's sentinel is not any more: her post was deleted."""
    gone = item("olga-sentinel", "olga", None, state="deleted", version_at="2026-06-02T10:00:00Z")
    more = item("kurt-more", "kurt", sentence("one more of kurt"), version_at="2026-06-02T10:00:00Z")
    dump = write_dump(here.space.root / "more", [gone, more])
    take_in(here.parts, "demo", [dump], mapping=None, service=None, at=at - timedelta(days=1))
    return build_corpus(here.parts, POLICY, RECIPE, as_of=at, known_at=at)


def clock(at: datetime = LATER + WEEK) -> Callable[[], datetime]:
    return lambda: at


def everything(here: Platform) -> list[Path]:
    """Return every file that says the sentinel, but for the content that was read in."""
    found = []
    for part in sorted(here.space.root.iterdir()):
        if part.suffix == ".db":  # open: read through the library, its journal too
            with closing(sqlite3.connect(part)) as base:
                found += [part for line in base.iterdump() if SENTINEL in line]
        elif part.name not in READ_IN:
            result = look_for(part, [SENTINEL])
            assert not result.unread
            found += list(result.found)
    return found


def test_an_old_version_is_gone_and_its_record_holds(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    (first,) = (one.corpus_id for one in versions(here.parts))
    old = read_manifest(here.space.corpora / first)
    old_digest = digest_file(here.space.corpora / first / "manifest.json")
    second = newer(here)
    assert everything(here)
    (here.space.work / "run" / "corpus-left").mkdir(parents=True)
    (here.space.work / "run" / "corpus-left" / "rows.jsonl").write_text(SENTINEL, encoding="utf-8")
    with beside(here.space, "mine") as in_use:
        done = expire(here.parts, Retention(keep_versions=1), clock=clock())
        assert in_use.is_dir()
    assert everything(here) == []
    assert [path.name for path in here.space.corpora.iterdir()] == [second.corpus_id]
    (record,) = (read_json(path) for path in done.records)
    key = here.parts.keys.verifier().public_bytes_raw().hex()
    assert all(one.ok for one in check_record(record, public_key=key, root=here.space.root))
    gone = {one["what"]: one["digest"] for one in record["files"]}
    listed = {f"corpora/{first}/{one.path}": one.file_digest for one in old.slices}
    assert gone.items() >= listed.items()
    assert record["manifest_digest"] == old_digest == gone[f"corpora/{first}/manifest.json"]
    assert gone.items() >= {f"corpora/{first}/{name}": digest for name, digest in old.sealed.items()}.items()
    read_manifest(here.space.corpora / second.corpus_id)
    assert current(here.space).corpus == second.corpus_id


def test_a_record_says_when_the_sealed_files_stand_whole_under_another_name(
    copies: Callable[..., Platform], tmp_path: Path
) -> None:
    here = copies("untrained")
    (first,) = (one.corpus_id for one in versions(here.parts))
    newer(here)
    shutil.copytree(here.space.corpora / first, tmp_path / "backup", copy_function=os.link)
    done = expire(here.parts, Retention(keep_versions=1), clock=clock())
    found = {check.name: check for check in check_record(read_json(done.records[0]), root=here.space.root)}
    assert found["salts"].ok is False
    assert found["salts"].detail == "9 of 9 sealed files stand whole under another name"


def test_the_salts_go_before_the_bytes(copies: Callable[..., Platform], monkeypatch: pytest.MonkeyPatch) -> None:
    from demur.erasure import destroy

    here = copies("untrained")
    newer(here)
    erased: list[str] = []
    real = destroy._erase
    monkeypatch.setattr(destroy, "_erase", lambda file: (erased.append(file.name), real(file))[1])
    expire(here.parts, Retention(keep_versions=1), clock=clock())
    names = [name.removesuffix(".destroying") for name in erased]
    assert names[0] == "manifest.json"
    sealed = [name.endswith(".sealed") for name in names[1:]]
    assert any(sealed)
    assert sealed == sorted(sealed, reverse=True)


def test_shared_bytes_stay_and_the_record_says_whose_they_are(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    here.object("mia")
    first = next(iter(versions(here.parts))).corpus_id
    second = build_corpus(here.parts, POLICY, RECIPE, as_of=LATER, known_at=LATER)
    both = {
        one.file_digest
        for one in read_manifest(here.space.corpora / first).slices
        if one.records and one.file_digest in {two.file_digest for two in second.slices}
    }
    assert both
    done = expire(here.parts, Retention(keep_versions=1), clock=clock())
    record = read_json(done.records[0])
    assert {one["digest"] for one in record["shares"]} == both
    assert all(one["with"] == [second.corpus_id] for one in record["shares"])
    for one in second.slices:
        assert digest_file(here.space.corpora / second.corpus_id / one.path) == one.file_digest
    sealed = here.space.corpora / second.corpus_id / "sealed" / "fates.sealed"
    assert list(SealedFile(sealed, "fates", secret=here.parts.keys.secret("lineage")).all())


def test_what_the_served_model_learned_from_stays_unless_the_retention_says_so(here: Platform) -> None:
    model = current(here.space).model
    old = Retention(keep_days=1)
    kept = expire(here.parts, old, clock=clock())
    assert kept.records == ()
    assert [one.expires for one in kept.judged] == [False]
    assert "served model" in kept.judged[0].why
    assert current(here.space).model == model
    done = expire(here.parts, Retention(keep_days=1, served="expire"), clock=clock())
    assert current(here.space).corpus is None
    assert current(here.space).model is None
    assert read_model(here.space.models / str(model)).status == "destroyed"
    assert not list((here.space.models / "states").rglob("*.safetensors"))
    record = read_json(done.records[0])
    assert record["models"] == [model]
    assert any(one["what"].startswith("models/") for one in record["files"])
    assert all(one.ok for one in check_record(record, root=here.space.root))


def test_an_older_model_goes_with_its_corpus_and_the_served_one_keeps_its_states(here: Platform) -> None:
    old = current(here.space).model
    second = newer(here)
    here.train(at=AS_OF + WEEK)
    served = str(current(here.space).model)
    assert served != old
    done = expire(here.parts, Retention(keep_versions=1), clock=clock())
    assert read_json(done.records[0])["models"] == [old]
    assert current(here.space).corpus == second.corpus_id
    from demur.flows.verify import verify_model

    assert verify_model(here.parts, served)["holds"]


def expired(here: Platform) -> datetime:
    """The current version had its time, one that was built later has not."""
    first, at = str(current(here.space).corpus), AS_OF + timedelta(days=20)
    build_corpus(here.parts, POLICY, here.recipe(shards=2), as_of=at, known_at=at)
    adopt(here.parts, first)
    expire(here.parts, Retention(keep_days=30), clock=clock(AS_OF + timedelta(days=31)))
    return AS_OF + timedelta(days=31)


def unnoted(here: Platform) -> datetime:
    """The first build was killed before its corpus became the current one."""
    set_current(here.space, corpus=None)
    return LATER


@pytest.mark.parametrize("way", [expired, unnoted])
def test_whoever_objects_while_no_version_is_current_leaves_those_that_are_here(
    copies: Callable[..., Platform], way: Callable[[Platform], datetime]
) -> None:
    here = copies("untrained")
    at = way(here)
    assert current(here.space).corpus is None
    assert len(versions(here.parts)) == 1
    here.object("olga", at=at)
    assert [one.person_id for one in pending(here.parts)] == ["agora:p-olga"]
    assert everything(here)
    done = erase_waiting(here.parts, clock=clock(at + timedelta(hours=1)), workers=1)
    assert done is not None
    assert everything(here) == []
    assert current(here.space).corpus == done.corpus
    assert "olga" not in here.authors()
    assert [one for one in verify_certificate(here.parts, Path(str(done.certificate))) if one.ok is False] == []
    assert pending(here.parts) == ()


def test_without_any_version_there_is_nothing_to_erase_from(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    expire(here.parts, Retention(keep_days=1), clock=clock())
    here.object("olga", at=LATER + WEEK)
    assert pending(here.parts) == ()
    with pytest.raises(RefusedError, match="nothing to erase from"):
        here.erase(LATER + 2 * WEEK)
    assert erase_waiting(here.parts, clock=clock(LATER + 2 * WEEK), workers=1) is None


def test_a_rehearsal_changes_nothing(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    newer(here)
    before = sorted(str(path) for path in here.space.root.rglob("*"))
    said = rehearse(here.parts, Retention(keep_versions=1), at=LATER)
    assert [one.expires for one in said.judged] == [False, True]
    assert sorted(str(path) for path in here.space.root.rglob("*")) == before


def test_copies_that_left_the_house_are_named(copies: Callable[..., Platform], tmp_path: Path) -> None:
    here = copies("untrained")
    first = str(current(here.space).corpus)
    publish(here.parts, first, tmp_path / "out", form="parquet", site=Site(), clock=clock(AS_OF))
    newer(here)
    done = expire(here.parts, Retention(keep_versions=1), clock=clock())
    left = read_json(done.records[0])["left_the_house"]
    assert [sorted(one["builds"]) for one in left] == [["corpus", "export"]]
    assert (tmp_path / "out" / "export.json").exists()


def test_an_unfinished_erasure_comes_first(here: Platform) -> None:
    from demur.flows.erase import first_effect

    here.object("ana")
    first_effect(here.parts, at=LATER, clock=clock(LATER))
    with pytest.raises(RefusedError):
        expire(here.parts, Retention(keep_days=1, served="expire"), clock=clock())


@pytest.mark.parametrize("changed", ["files", "why", "destroyed_at", "signature", "manifest_digest", "proof"])
def test_a_changed_record_is_found(copies: Callable[..., Platform], changed: str) -> None:
    here = copies("untrained")
    done = expire(here.parts, Retention(keep_days=1), clock=clock())
    record = orjson.loads(done.records[0].read_bytes())
    if changed == "files":
        record["files"].pop()
    elif changed == "proof":
        record["ledger"]["proof"] = record["ledger"]["proof"].replace("index ", "index 1")
    else:
        record[changed] = record[changed][::-1]
    assert not all(one.ok for one in check_record(record, root=here.space.root))


def test_a_file_that_came_back_is_found(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    first = here.space.corpora / str(current(here.space).corpus)
    one = next(one for one in read_manifest(first).slices if one.records)
    content = (first / one.path).read_bytes()
    done = expire(here.parts, Retention(keep_days=1), clock=clock())
    (first / one.path).parent.mkdir(parents=True)
    (first / one.path).write_bytes(content)
    found = {check.name: check.ok for check in check_record(read_json(done.records[0]), root=here.space.root)}
    assert found["gone"] is False
    assert found["signature"]


DRIVER = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import flow_worlds
from demur.erasure import destroy
from demur.flows.expire import expire
from demur.ledger import Ledger
from demur.terms.site import Retention
place, count = {place!r}, [0]
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def counted(real, last):
    def call(*given, **named):
        count[0] += 1
        if count[0] == last:
            die()
        return real(*given, **named)
    return call
if place.startswith("erase:"):
    destroy._erase = counted(destroy._erase, int(place[6:]))
elif place == "ledger":
    real = Ledger.append
    Ledger.append = lambda self, entries: (real(self, entries), die())
with flow_worlds.opened(Path({home!r})) as here:
    expire(here.parts, Retention(keep_versions=1), clock=lambda: flow_worlds.LATER)
"""


@pytest.mark.parametrize("place", ["erase:2", "ledger", *(["erase:1", "erase:5"] if NIGHTLY else [])])
def test_a_killed_run_is_finished_by_the_next(copies: Callable[..., Platform], place: str) -> None:
    here = copies("untrained")
    second = newer(here)
    program = DRIVER.format(tests=str(Path(__file__).parent), place=place, home=str(here.space.root))
    died = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert len(unfinished(here.parts)) == 1
    done = expire(here.parts, Retention(), clock=clock())  # asks for nothing new: what was begun is finished
    assert len(done.records) == len(records(here.parts)) == 1
    assert everything(here) == []
    record = read_json(done.records[0])
    assert all(one.ok for one in check_record(record, root=here.space.root))
    assert len(record["files"]) == len({one["what"] for one in record["files"]}) >= len(second.slices) + 3
    assert not (done.records[0].parent / "draft.json").exists()
    assert (done.records[0].parent / PLAN).exists()


@pytest.mark.parametrize("place", ["destroy_version", "_record"])
def test_what_happened_to_a_version_between_a_kill_and_its_end_is_in_its_record(
    copies: Callable[..., Platform], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    here = copies("untrained")
    real = getattr(expiring, place)

    def die(*given: Any, **named: Any) -> None:
        if place == "_record":
            real(*given, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(expiring, place, die)
        with pytest.raises(KeyboardInterrupt):
            expire(here.parts, Retention(keep_days=1), clock=clock())
    if place == "destroy_version":  # nothing of it is gone yet
        publish(here.parts, None, tmp_path / "out", form="parquet", site=Site(), clock=clock())
        expire(here.parts, Retention(), clock=clock())
    (record,) = (read_json(path) for path in records(here.parts))
    assert len(record["left_the_house"]) == (place == "destroy_version")
    kept = name_of(*(record["inputs"][name] for name in ("policy", "as_of", "known_at")))
    assert not (here.space.root / "decided" / kept).exists()


# The rule ------------------------------------------------------------------------------------------------------------


@st.composite
def many(draw: st.DrawFn) -> list[Version]:
    days = draw(st.lists(st.integers(0, 100), min_size=1, max_size=8))
    chosen = draw(st.integers(0, len(days) - 1))
    served = draw(st.integers(-1, len(days) - 1))
    return [
        Version(f"c{place}", AS_OF + timedelta(days=day), AS_OF + timedelta(days=day), 1, place == chosen,
                place == served)
        for place, day in enumerate(days)
    ]  # fmt: skip


@PROFILE
@given(made=many(), days=st.integers(0, 60), count=st.integers(0, 6), at=st.integers(0, 200), seed=st.integers(0, 99))
def test_laws_of_retention(made: list[Version], days: int, count: int, at: int, seed: int) -> None:
    rule, instant = Retention(keep_days=days, keep_versions=count), AS_OF + timedelta(days=at)
    found = {one.version.corpus_id: one for one in judge(made, rule, at=instant)}
    assert len(found) == len(made), "every version is judged once"
    for one in found.values():
        aged = days and instant - one.version.known_at > timedelta(days=days)
        assert not (one.expires and one.version.served), "what is served stays"
        assert one.expires or one.version.served or not aged, "nothing is older than it may be"
        assert not (one.expires and one.version.current and not aged), "the current one never goes by count"
    if count:
        assert sum(not one.expires for one in found.values()) <= count + 1, "served is the only one more"
    if not days and not count:
        assert not any(one.expires for one in found.values())
    shuffled = random.Random(seed).sample(made, len(made))
    assert [one.version.corpus_id for one in judge(shuffled, rule, at=instant)] == list(found), "in any order"
    later = judge(made, rule, at=instant + timedelta(days=1))
    gone = {name for name, one in found.items() if one.expires}
    assert gone <= {one.version.corpus_id for one in later if one.expires}, "time gives nothing back"


@pytest.mark.parametrize(
    "wrong", [{"keep_days": -1}, {"keep_versions": "3"}, {"served": "destroy"}, {"keep_days": True}]
)
def test_a_retention_that_cannot_be_meant_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        judge([], Retention(**wrong), at=AS_OF)

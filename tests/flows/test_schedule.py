"""New versions come by themselves, whoever objected meanwhile is not in them, and what is served stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flow_worlds import AS_OF, LATER, Platform, item, sentence, write_dump

from demur.corpus import read_manifest
from demur.errors import ConfigError, RefusedError
from demur.flows import expire as expiring
from demur.flows import schedule
from demur.flows.compare import compare, write_page
from demur.flows.expire import records, versions
from demur.flows.intake import take_in
from demur.flows.parts import current, set_current
from demur.flows.site import read_site
from demur.terms.site import OpenLineage, Retention, Schedule, Site

ROOT = Path(__file__).resolve().parents[2]
DAILY = Site(schedule=Schedule(every_hours=24))


def more(here: Platform, at: Any = AS_OF + timedelta(hours=12)) -> None:
    rows = [
        item("kurt-more", "kurt", sentence("one more of kurt"), version_at="2026-06-01T10:00:00Z"),
        item("ivo-0", "ivo", None, state="deleted", version_at="2026-06-01T10:00:00Z"),
    ]
    dump = write_dump(here.space.root / "more", rows)
    take_in(here.parts, "demo", [dump], mapping=None, service=None, at=at)


def test_it_is_due_when_its_hours_are_over(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    assert schedule.due_at(here.parts, Schedule()) is None
    assert schedule.due_at(here.parts, Schedule(every_hours=24)) == AS_OF + timedelta(days=1)
    for wrong in (-1, "24", True):
        with pytest.raises(ConfigError):
            schedule.due_at(here.parts, Schedule(every_hours=wrong))  # type: ignore[arg-type]
    early = schedule.run(here.parts, DAILY, clock=lambda: AS_OF + timedelta(hours=23))
    assert early.built is None
    set_current(here.space, corpus=None, model=None)
    assert schedule.due_at(here.parts, Schedule(every_hours=24)) is None, "there is nothing to repeat"
    with pytest.raises(RefusedError):
        schedule.run(here.parts, DAILY, clock=lambda: LATER, now=True)


def test_without_a_model_the_new_version_becomes_the_current_one(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    first = str(current(here.space).corpus)
    more(here)
    here.object("mia", at=AS_OF + timedelta(hours=13))
    done = schedule.run(here.parts, DAILY, clock=lambda: LATER)
    assert done.built is not None
    assert done.adopted
    assert current(here.space).corpus == done.built.corpus_id != first
    assert "mia" not in here.authors()
    assert here.records()["kurt-more"]
    assert {one.corpus_id for one in versions(here.parts)} == {first, done.built.corpus_id}
    assert done.built.inputs["recipe"] == read_manifest(here.space.corpora / first).inputs["recipe"]
    assert schedule.run(here.parts, DAILY, clock=lambda: LATER + timedelta(hours=1)).built is None
    told = compare(here.parts, first, done.built.corpus_id, at=LATER)
    assert {one.code: one.count for one in told.why_went} == {"objected": 3, "deleted": 1}
    assert {one.code: one.count for one in told.why_came} == {"new_in_source": 1}
    assert told.before.records - told.went + told.came == told.after.records
    for group in (told.regions, told.languages, told.kinds):
        assert sum(one.came for one in group) == told.came
        assert sum(one.went for one in group) == told.went
    back = compare(here.parts, done.built.corpus_id, first, at=LATER)
    assert (back.came, back.went, back.changed) == (told.went, told.came, told.changed)
    assert {one.code for one in back.why_came} == {"objected", "deleted"}
    write_page(told, here.space.root / "page.html")
    page = (here.space.root / "page.html").read_text(encoding="utf-8")
    for word in ("agora:", "p-mia", "Marchetti", *(row["record_id"] for row in here.records().values())):
        assert word not in page
    same = compare(here.parts, first, first, at=LATER)
    assert (same.came, same.went, same.changed, same.stayed) == (0, 0, 0, same.after.records)


def test_beside_a_served_model_nothing_changes_until_somebody_adopts_it(here: Platform) -> None:
    first, model = current(here.space).corpus, current(here.space).model
    more(here)
    done = schedule.run(here.parts, DAILY, clock=lambda: LATER)
    assert done.built is not None
    assert not done.adopted
    now = current(here.space)
    assert now.model is not None, "what was deleted at the source left the model first"
    assert now.corpus is not None
    assert read_manifest(here.space.corpora / now.corpus).inputs["known_at"] == "2026-06-01T00:00:00Z"
    assert (now.corpus, now.model) != (first, model)
    assert schedule.adopt(here.parts, done.built.corpus_id) is None, "no model was trained from it"
    assert current(here.space).corpus == done.built.corpus_id
    assert schedule.adopt(here.parts, now.corpus) == now.model, "and back again, with its model"


def test_a_version_that_holds_somebody_who_objected_is_not_adopted(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    first = str(current(here.space).corpus)
    more(here)
    schedule.run(here.parts, DAILY, clock=lambda: LATER)
    here.object("gil", at=LATER + timedelta(hours=1))
    with pytest.raises(RefusedError):
        schedule.adopt(here.parts, first)


def test_versions_expire_in_the_same_round(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    first = str(current(here.space).corpus)
    more(here)
    site = Site(schedule=Schedule(every_hours=24), retention=Retention(keep_versions=1))
    done = schedule.run(here.parts, site, clock=lambda: LATER)
    assert done.built is not None
    assert [one.corpus_id for one in versions(here.parts)] == [done.built.corpus_id] != [first]
    assert list(done.expired) == records(here.parts)


@contextmanager
def service(here: Platform, site: Site, at: Any) -> Any:
    yield SimpleNamespace(parts=here.parts, site=site, clock=lambda: at)
    schedule._ROUNDS.clear()


def test_an_expiry_that_was_begun_by_hand_and_killed_is_finished_without_retention(
    copies: Callable[..., Platform], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = copies("untrained")
    more(here)
    schedule.run(here.parts, DAILY, clock=lambda: LATER)

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(expiring, "destroy_version", die)
        with pytest.raises(KeyboardInterrupt):
            expiring.expire(here.parts, Retention(keep_versions=1), clock=lambda: LATER)
    assert schedule._waits(here.parts, Site(), LATER)
    done = schedule.run(here.parts, Site(), clock=lambda: LATER)
    assert (done.built, len(done.expired)) == (None, 1)
    assert not schedule._waits(here.parts, Site(), LATER)


def test_the_worker_begins_a_round_when_one_is_due_and_only_then(copies: Callable[..., Platform]) -> None:
    here = copies("untrained")
    first = str(current(here.space).corpus)
    (here.space.root / "site.toml").write_text("[retention]\nkeep_days = 3\n", encoding="utf-8")
    old = Site(retention=Retention(keep_days=3))
    with service(here, Site(), LATER) as idle:
        assert schedule.step(idle) == 0
    with service(here, replace(old, schedule=DAILY.schedule), AS_OF) as early:
        assert schedule.step(early) == 0
    with service(here, old, LATER) as due:
        assert schedule.step(due) == 1
        assert schedule.step(due) == 0, "one at a time"
        assert schedule.wait(due) == 0
    assert not (here.space.corpora / first).exists()
    assert len(records(here.parts)) == 1


def test_site_toml_says_it_and_every_member_is_documented(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text(
        '[retention]\nkeep_days = 30\nserved = "expire"\n[schedule]\nevery_hours = 168\n'
        '[openlineage]\nurl = "https://lineage.example/api/v1/lineage"\n',
        encoding="utf-8",
    )
    from demur.store import Workspace

    site = read_site(Workspace(tmp_path))
    assert site.retention == Retention(keep_days=30, served="expire")
    assert site.schedule.every_hours == 168
    assert site.openlineage.url.startswith("https://lineage")
    for kind, page in ((Retention, "expiry"), (Schedule, "expiry"), (OpenLineage, "openlineage")):
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        for one in fields(kind):
            assert f"| `{one.name}` |" in text, one.name

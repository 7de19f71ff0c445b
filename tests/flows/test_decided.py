"""An erasure goes on from what the last decisions left, and finds what deciding everything anew finds (ADR 16)."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flow_worlds import AS_OF, LATER, NAMES, POLICY, SENTINEL, Platform, item, opened, write_dump

from demur.clock import iso, parse
from demur.errors import BrokenError
from demur.flows import decided as deciding
from demur.flows import kept
from demur.flows.decided import decided
from demur.flows.erase import rehearse
from demur.flows.intake import take_in
from demur.flows.parts import corpus_folder, current
from demur.people import export
from demur.policy import read

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
HOUR = timedelta(hours=1)
PEOPLE = sorted(NAMES)


@pytest.fixture
def here(copies: Callable[..., Platform]) -> Platform:
    return copies("untrained")


@contextmanager
def said(here: Platform, at: datetime, **how: bool) -> Any:
    with decided(here.parts, read(POLICY), POLICY, as_of=AS_OF, known_at=AS_OF, narrowed_at=at, **how) as found:
        yield tables(found)


def tables(found: Any) -> dict[str, Any]:
    """Return all that a corpus is made from."""
    folders = {"items": found.items, "decisions": found.decisions}
    read_in: dict[str, Any] = {
        name: pa.concat_tables([pq.read_table(part) for part in sorted(folder.glob("*.parquet"))]).to_pylist()
        for name, folder in folders.items()
    }
    for path in sorted(found.standing.glob("*.parquet")):
        read_in[path.name] = pq.read_table(path).to_pylist()
    counts = {name: value for name, value in found.counts.items() if name != "call"}
    return {**read_in, "counts": counts, "digest": found.source_digest}


def never(*_: Any, **__: Any) -> Any:
    raise AssertionError("everything is looked at")


def something(here: Platform, chance: random.Random, at: datetime, folder: Path) -> None:
    """Let one thing be said, learned or imported."""
    who, other, when = f"agora:p-{chance.choice(PEOPLE)}", f"agora:p-{chance.choice(PEOPLE)}", iso(at - HOUR)
    account, which = f"agora:{chance.choice(PEOPLE)}", f"agora:{chance.choice(PEOPLE)}-{chance.randint(0, 2)}"
    events: list[dict[str, Any]] = [
        {"type": "objection", "person_id": who},
        {"type": "objection", "person_id": who, "kinds": ["photo"]},
        {"type": "age", "person_id": who, "born_on": "2012-01-01", "source": "verified"},
        {"type": "residence", "person_id": who, "country": "US", "valid_from": when},
        {"type": "link", "person_id": who, "other_person_id": other, "valid_at": when},
        {"type": "account", "account_id": account, "person_id": who, "valid_at": chance.choice([None, when])},
        {"type": "status", "account_id": account, "status": "deleted", "valid_at": when},
        {"type": "private", "account_id": account, "private": True, "valid_at": when},
        {"type": "compromise", "account_id": account, "valid_from": "2025-01-01T00:00:00Z"},
        {"type": "notice", "person_id": who, "campaign_id": "c-1", "channel": "email", "state": "bounced"},
        {"type": "campaign_status", "campaign_id": chance.choice(["c-1", "c-2"]), "status": "cancelled"},
        {"type": "item_suppression", "item_id": which, "origin": "r-1", "act": "place", "valid_at": when},
        {"type": "hold", "hold_id": "h-1", "act": "place", "countries": ["PT"], "authority": "a", "instrument": "l"},
    ]
    changed = [
        item(which.removeprefix("agora:"), account.removeprefix("agora:"), None, state="deleted", version_at=when),
        item(f"new-{when}", account.removeprefix("agora:"), "a new answer", parent_id=which, version_at=when),
        item("ana-reshared", "ana", "others may see it no more", audience="followers", version_at=when),
    ]
    if chance.random() < 0.3:
        dump = write_dump(folder, [chance.choice(changed)])
        take_in(here.parts, "demo", [dump], mapping=None, service=None, at=at - HOUR)
    else:
        found = here.parts.registry.record_events([chance.choice(events)], recorded_at=at - HOUR)
        assert found.faults == ()


@pytest.mark.parametrize("seed", range(60 if NIGHTLY else 6))
def test_it_is_what_deciding_everything_finds(
    here: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(export, "MOST", 0)  # else so few people and items are always looked at whole
    monkeypatch.setattr(deciding, "MOST", 0)
    chance = random.Random(seed)
    for number in range(1, 4):
        at = AS_OF + timedelta(days=number)
        for one in range(chance.randint(0, 2)):
            something(here, chance, at, tmp_path / f"dump-{number}-{one}")
        with monkeypatch.context() as patch:
            patch.setattr(deciding, "snapshot", never)
            with said(here, at, upon=True, carry=True) as again:
                pass
        with said(here, at) as anew:
            assert again == anew


def test_an_erasure_takes_no_snapshot_and_reads_nobody_else(here: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    here.object("ana")
    with monkeypatch.context() as patch:
        patch.setattr(deciding, "snapshot", never)
        patch.setattr(export, "write_everybody", never)
        here.erase()
    assert "ana" not in here.authors()
    assert here.clean().equal
    here.object("gil", at=LATER + HOUR)
    with monkeypatch.context() as patch:  # and the next one stands on this one
        patch.setattr(deciding, "snapshot", never)
        patch.setattr(export, "write_everybody", never)
        here.erase(LATER + 2 * HOUR)
    assert here.clean().equal


def test_a_clean_build_and_a_verification_stand_on_nothing(here: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    from demur.flows.verify import verify_corpus

    here.object("ana")
    here.erase()
    monkeypatch.setattr(deciding, "restore", never)
    monkeypatch.setattr("demur.policy.again.decide_again", never)
    assert here.clean().equal
    assert verify_corpus(here.parts, None)["pending_restrictions"] == 0


@pytest.mark.parametrize("damage", ["gone", "cut", "first", "code", "killed"])
def test_what_cannot_be_believed_is_not(here: Platform, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    (sealed,) = (here.space.root / "decided").glob("*/sealed")
    if damage == "gone":
        (sealed / "last.sealed").unlink()
    elif damage in ("cut", "first"):
        path = sealed / ("last.sealed" if damage == "cut" else "first.sealed")
        path.write_bytes(path.read_bytes()[:-30])
    elif damage == "code":
        monkeypatch.setattr(kept, "_code", lambda: "other code")
    else:  # between the former file and the new one
        former = sealed.parent / "former" / "sealed"
        former.mkdir(parents=True)
        (sealed / "last.sealed").rename(former / "last.sealed")
    here.object("ana")
    with said(here, LATER, upon=True, carry=True) as again:
        pass
    with said(here, LATER) as anew:
        assert again == anew
    assert sorted(path.name for path in sealed.iterdir()) == ["first.sealed", "last.sealed"]
    assert not (sealed.parent / "former").exists()


def test_a_source_that_is_another_is_found(here: Platform, tmp_path: Path) -> None:
    dump = write_dump(tmp_path / "old", [item("ana-9", "ana", "said long ago")])
    take_in(here.parts, "demo", [dump], mapping=None, service=None, at=AS_OF - HOUR)  # into the past of the build
    here.object("ana")
    with pytest.raises(BrokenError, match="restore source"):
        here.erase()


def test_nothing_of_it_can_be_read_and_what_is_replaced_is_destroyed(
    here: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [path for path in (here.space.root / "decided").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"first.sealed", "last.sealed"}
    for path in files:
        assert not [word for word in (SENTINEL, "olga", "Sentinelle", "agora") if word.encode() in path.read_bytes()]
    twin = here.space.root / "twin"
    (last,) = (path for path in files if path.name == "last.sealed")
    os.link(last, twin)
    here.object("olga")
    here.erase()
    with pytest.raises(BrokenError):
        kept.SealedFile(twin, "last", secret=here.parts.keys.secret("lineage"))


def test_a_rehearsal_leaves_nothing_and_stands_on_what_is_there(
    here: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.object("ana")
    files = {path: path.read_bytes() for path in (here.space.root / "decided").rglob("*.sealed")}
    monkeypatch.setattr(deciding, "snapshot", never)
    rehearse(here.parts, at=LATER)
    assert {path: path.read_bytes() for path in (here.space.root / "decided").rglob("*.sealed")} == files


def test_it_is_kept_for_the_current_corpus_and_the_newest_alone(here: Platform) -> None:
    for day in (1, 2, 3):
        at = LATER + timedelta(days=day)
        with decided(here.parts, read(POLICY), POLICY, as_of=at, known_at=at, carry=True):
            names = {path.name for path in (here.space.root / "decided").iterdir()}
            assert len(names) == 2  # the current corpus' and this one's; that of the day before has no corpus
    kept.forget(here.parts)
    inputs = parse_inputs(here)
    assert {path.name for path in (here.space.root / "decided").iterdir()} == {kept.name_of(*inputs)}
    here.build(known_at=LATER)
    assert len(list((here.space.root / "decided").iterdir())) == 1
    assert current(here.space).corpus is not None


def parse_inputs(here: Platform) -> tuple[str, str, str]:
    from demur.corpus import read_manifest

    inputs = read_manifest(corpus_folder(here.space)).inputs
    assert parse(inputs["as_of"]) == AS_OF
    return inputs["policy"], inputs["as_of"], inputs["known_at"]


def test_a_killed_erasure_stands_on_its_own_decisions(here: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decided and kept, then killed: the same erasure goes on at the same instant."""
    here.object("ana")
    with monkeypatch.context() as patch:
        patch.setattr("demur.flows.build.corpus_of", never)
        with pytest.raises(AssertionError, match="looked at"):
            here.erase()
    here.parts.registry.close()
    with opened(here.space.root) as again:
        monkeypatch.setattr(deciding, "snapshot", never)
        again.erase()
        monkeypatch.undo()
        assert "ana" not in again.authors()
        assert again.clean().equal

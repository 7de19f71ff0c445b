"""Deciding again only what something reaches gives the decisions of deciding everything, over random worlds."""

from __future__ import annotations

import copy
import os
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from policy_worlds import AS_OF, Row, World, account, hold, home, item, person, random_world
from test_two_readings import policies

from demur.policy import again
from demur.policy.again import decide_again
from demur.policy.columns import decide_table
from demur.policy.narrow import LATER, narrow, parts_of
from demur.store import read_commit
from demur.terms.policy import Policy
from demur.terms.tables import ITEMS

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"
WORLDS = 1500 if NIGHTLY else 60


def changed(world: World, chance: Random, name: str) -> World:
    """Return the world a while later: something was said, learned, imported."""
    later = copy.deepcopy(world)
    for _ in range(chance.randint(0, 3)):
        _something(later, chance, name)
    return later


def _something(world: World, chance: Random, name: str) -> None:
    acts: list[Any] = [
        lambda: chance.choice(world.people).update(objected=True, objected_kinds=None, objected_services=None),
        lambda: chance.choice(world.people).update(countries_now=["US"], withdrawn_at=AS_OF),
        lambda: chance.choice(world.accounts).update(status="deleted"),
        lambda: chance.choice(world.accounts).update(private=chance.choice([True, False, None])),
        lambda: chance.choice(world.accounts).update(person_id=chance.choice(world.people)["person_id"]),
        lambda: world.accounts.remove(chance.choice(world.accounts)),
        lambda: world.accounts.append(account(f"{name}-lost-a", chance.choice(world.people)["person_id"])),
        lambda: world.homes.append(home(chance.choice(world.people)["person_id"], "FR")),
        lambda: world.suppressed.append({"item_id": chance.choice(world.items)["item_id"]}),
        lambda: world.suppressed and world.suppressed.pop(),
        lambda: chance.choice(world.items).update(state="deleted"),
        lambda: chance.choice(world.items).update(audience="followers"),
        lambda: chance.choice(world.items).update(parent_id=chance.choice(world.items)["item_id"]),
        lambda: world.items.append(item(f"{name}-lost", audience="followers")),
    ]
    if chance.random() < 0.1:
        acts = [lambda: world.holds.append(hold(f"h{chance.random()}", countries=["DE"]))]
    done = chance.choice(acts)
    if world.people and world.accounts:
        done()


def since(folder: Path, first: World, seen: World, now: World) -> str | None:
    """Write what was imported since, as ``snapshot_since`` does; now and then nothing was."""
    rows = {row["item_id"]: row for row in now.items}

    def other(world: World) -> list[str]:
        known = {row["item_id"]: row for row in world.items}
        return [each for each, row in rows.items() if known.get(each) != row]

    if not other(first):
        return None
    folder.mkdir()
    ids = sorted({*other(first), *other(seen)})
    pq.write_table(pa.Table.from_pylist([rows[each] for each in ids], schema=ITEMS), folder / "items.parquet")
    fresh = pa.table({"item_id": pa.array(other(seen), pa.string())})
    pq.write_table(fresh, folder / "fresh.parquet")
    return str(folder)


def said(folder: Path) -> list[Row]:
    return [row for part in parts_of(str(folder)) for row in pq.read_table(part).to_pylist()]


def decide(folder: Path, world: World, policy: Policy, known_at: datetime) -> list[str]:
    items = world.write(folder / "world")
    (folder / "decisions").mkdir()
    decide_table(folder / "decisions", items=items, standing=str(folder / "world"), policy=policy, as_of=AS_OF,
                 known_at=known_at)  # fmt: skip
    return items


@pytest.mark.parametrize("number", range(WORLDS))
def test_deciding_again_is_deciding_everything(number: int, tmp_path: Path) -> None:
    chance, policy = Random(f"again-{number}"), policies()[number % len(policies())]
    worlds = [World()]
    for one in range(3):
        worlds[0].join(random_world(chance, f"w{one}"))
    worlds[0].items = list({row["item_id"]: row for row in worlds[0].items}.values())
    for _ in range(2):
        worlds.append(changed(worlds[-1], chance, f"w{chance.randint(0, 2)}"))
        worlds[-1].items = list({row["item_id"]: row for row in worlds[-1].items}.values())
    instants = [AS_OF + timedelta(days=days) for days in range(3)]
    parts: list[str] = []
    for place, world in enumerate(worlds):
        found = decide(tmp_path / str(place), world, policy, instants[place])
        parts = parts or found
    for place in (1, 2):
        here = tmp_path / str(place)
        narrow(_made(here / "both"), earlier=str(tmp_path / "0/decisions"), later=str(here / "decisions"))
        decide_again(
            _made(here / "again"),
            items=parts,
            earlier=str(tmp_path / "0/decisions"),
            later=str(tmp_path / "1/again" / LATER) if place == 2 else None,
            before=str(tmp_path / str(place - 1) / "world"),
            standing=str(here / "world"),
            since=since(here / "since", worlds[0], worlds[place - 1], worlds[place]),
            policy=policy,
            as_of=AS_OF.isoformat().replace("+00:00", "Z"),
            seen=instants[place - 1].isoformat().replace("+00:00", "Z"),
            known_at=instants[place].isoformat().replace("+00:00", "Z"),
            chunk=chance.choice([3, 1000]),
        )
        assert said(here / "again/decisions") == said(here / "both/decisions")
        assert pq.read_table(here / "again" / LATER) == pq.read_table(here / "both" / LATER)
        facts, whole = read_commit(here / "again"), read_commit(here / "both")
        assert facts is not None
        assert facts == whole


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_only_what_is_reached_is_decided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deep thread under whoever objects is read again, up to what its items answer; everything else is not."""
    items = [item("root", account_id="b"), item("top", account_id="a", parent_id="root")]
    items += [item(f"n{n}", account_id="b", parent_id=f"n{n - 1}" if n else "top") for n in range(50)]
    items += [item("reshare", account_id="b", kind="reshare", original_id="n49"), item("other", account_id="b")]
    items += [item("with", account_id="b", co_account_ids=["c", "a"])]
    world = World(items, [account("a", "p"), account("b", "q"), account("c", "q")], [person("p"), person("q")],
                  [home("p"), home("q")])  # fmt: skip
    later = copy.deepcopy(world)
    later.people[0]["objected"] = True
    parts = decide(tmp_path, world, policies()[1], AS_OF)
    later.write(tmp_path / "later")
    asked: list[str] = []

    def counting(folder: Path, *, items: list[str], **others: Any) -> None:
        asked.extend(one for part in items for one in pq.read_table(part)["item_id"].to_pylist())
        decide_table(_made(folder), items=items, **others)

    monkeypatch.setattr(again, "decide_table", counting)
    at = AS_OF.isoformat().replace("+00:00", "Z")
    decide_again(
        _made(tmp_path / "again"), items=parts, earlier=str(tmp_path / "decisions"), later=None, seen=at, known_at=at,
        before=str(tmp_path / "world"), standing=str(tmp_path / "later"), since=None, policy=policies()[1], as_of=at,
    )  # fmt: skip
    assert sorted(asked) == sorted(row["item_id"] for row in items if row["item_id"] != "other")
    became = {row["item_id"]: row["allowed"] for row in said(tmp_path / "again/decisions")}
    assert (became["top"], became["with"], became["other"], became["n3"]) == (False, False, True, True)


def test_a_home_learned_later_is_noticed(tmp_path: Path) -> None:
    items = [item("i", account_id="a"), item("other", account_id="b")]
    world = World(items, [account("a", "p"), account("b", "q")], [person("p"), person("q")], [home("p"), home("q")])
    later = copy.deepcopy(world)
    later.homes[0]["country"] = None
    parts = decide(tmp_path, world, policies()[0], AS_OF)
    later.write(tmp_path / "later")
    at = AS_OF.isoformat().replace("+00:00", "Z")
    decide_again(
        _made(tmp_path / "again"), items=parts, earlier=str(tmp_path / "decisions"), later=None, seen=at, known_at=at,
        before=str(tmp_path / "world"), standing=str(tmp_path / "later"), since=None, policy=policies()[0], as_of=at,
    )  # fmt: skip
    before, after = (
        {row["item_id"]: row["reasons"] for row in said(tmp_path / name)} for name in ("decisions", "again/decisions")
    )
    assert set(after["i"]) > set(before["i"])
    assert after["other"] == before["other"]

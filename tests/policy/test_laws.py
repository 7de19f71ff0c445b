"""The laws: restrictions only ever take away, reports equal real runs, explanations equal decisions."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest
from policy_worlds import AS_OF, World, account, hold, home, item, person, random_world, simple
from test_two_readings import policies

from demur.errors import BrokenError, InputError
from demur.policy import Rulebook, explain, parse_policy, read, rulebook, whatif
from demur.policy.columns import decide_table
from demur.policy.holds import in_force
from demur.policy.judge import Judge
from demur.policy.rules import All, Some
from demur.store import read_commit
from demur.terms.policy import Policy

STRICT = read("demur-strict")


def allowed(world: World, policy: Policy, known_at=AS_OF) -> set[str]:
    book = rulebook(policy, as_of=AS_OF, holds=in_force(world.holds, as_of=AS_OF, known_at=known_at))
    judge = Judge(world.index(), book)
    return {row["item_id"] for row in world.items if judge.judge(row["item_id"]).mask == 0}


def gentle(number: int) -> World:
    """A random world in which more is allowed, so that taking away can be seen."""
    world = random_world(Random(f"laws-{number}"), f"w{number}")
    world.join(simple(*(item(f"e{n}") for n in range(3))))
    return world


@pytest.mark.parametrize("number", range(60))
def test_a_restriction_never_lets_more_in(number: int) -> None:
    world, chance = gentle(number), Random(number)
    policy = policies()[number % 4]
    before = allowed(world, policy)
    chosen = chance.choice(world.people)
    chosen |= {"objected": True, "objected_kinds": None, "objected_services": None}
    after_objection = allowed(world, policy)
    assert after_objection <= before
    chance.choice(world.items)["audience"] = "followers"
    after_private = allowed(world, policy)
    assert after_private <= after_objection
    world.holds.append(hold("new", countries=["DE"]))
    after_hold = allowed(world, policy)
    assert after_hold <= after_private
    for days in (1, 100, 1000):
        assert allowed(world, policy, AS_OF + timedelta(days=days)) <= after_hold


def test_an_empty_rulebook_is_refused() -> None:
    with pytest.raises(BrokenError):
        Rulebook((), STRICT, AS_OF)
    with pytest.raises(BrokenError):
        All(())
    with pytest.raises(BrokenError):
        Some(())


def crowd() -> World:
    people = [person(f"p{n}", countries_now=[c], consent_purposes=["train-generative-ai"] if n == 1 else [])
              for n, c in enumerate(["DE", "FR", "US"])]  # fmt: skip
    return World(
        [item(f"i{n}", account_id=f"a{n % 3}", text="one two  three\n" * n) for n in range(9)],
        [account(f"a{n}", f"p{n}") for n in range(3)],
        people,
        [home(f"p{n}", c) for n, c in enumerate(["DE", "FR", "US"])],
    )


def test_whatif_equals_a_real_run_and_changes_nothing(tmp_path: Path) -> None:
    world = crowd()
    parts = world.write(tmp_path / "t")
    seen = {path: path.read_bytes() for path in (tmp_path / "t").iterdir()}
    call = {"items": parts, "standing": str(tmp_path / "t"), "as_of": AS_OF}
    report = whatif(STRICT, read("noyb-opt-in"), folder=tmp_path / "both", **call)
    decide_table(tmp_path / "real", policy="noyb-opt-in", **call)
    real = read_commit(tmp_path / "real")
    assert real is not None
    assert {key: real[key] for key in report["after"]} == report["after"]
    assert report["lost"] == {"people": 2, "items": 6, "words": 3 * (0 + 3 + 6 + 2 + 5 + 8),
                              "characters": 15 * 24, "tokens": 0}  # fmt: skip
    assert report["gained"]["items"] == 0
    assert report["by_country"]["DE"]["lost"]["items"] == 3
    assert seen == {path: path.read_bytes() for path in (tmp_path / "t").iterdir()}
    same = whatif(STRICT, STRICT, folder=tmp_path / "same", **call)
    assert same["gained"]["items"] == same["lost"]["items"] == 0


def test_explain_gives_reasons_sentences_facts_terms_and_version(tmp_path: Path) -> None:
    world = simple(people=[person(objected=True, countries_now=[])])
    parts = world.write(tmp_path)
    found = explain("i", items=parts, standing=tmp_path, as_of=AS_OF, language="en")
    assert not found["allowed"]
    assert [reason["code"] for reason in found["reasons"]] == ["objected"]
    assert found["reasons"][0]["sentence"].endswith("because you objected.")
    assert found["policy"]["digest"] == STRICT.digest
    assert found["authors"][0]["jurisdictions"] == ["everywhere"]
    assert "countries" in found["authors"][0]["unknown"]
    with pytest.raises(InputError):
        explain("nothing", items=parts, standing=tmp_path, as_of=AS_OF)


def test_bad_tables_are_clear_errors(tmp_path: Path) -> None:
    world = simple(item("i", parent_id="i2"), item("i2"), item("i2"))
    parts = world.write(tmp_path)
    with pytest.raises(InputError):
        decide_table(tmp_path / "out", items=parts, standing=str(tmp_path), as_of=AS_OF)
    with pytest.raises(InputError):
        decide_table(tmp_path / "out", items=[str(tmp_path / "no.parquet")], standing=str(tmp_path), as_of=AS_OF)
    (tmp_path / "standing.parquet").unlink()
    with pytest.raises(InputError):
        decide_table(tmp_path / "out", items=parts, standing=str(tmp_path), as_of=AS_OF)


def test_the_order_of_items_changes_no_decision(tmp_path: Path) -> None:
    world = World()
    for number in range(20):
        world.join(random_world(Random(number), f"w{number}"))
    found = []
    for turn in range(2):
        parts = world.write(tmp_path / str(turn))
        decide_table(tmp_path / f"o{turn}", items=parts, standing=str(tmp_path / str(turn)), policy=parse_policy(
            'name="t"\npurpose="p"\n[[jurisdiction]]\nname="a"\ncountries=["*"]\nregime="no_choice"\nnotice_days=0\n'), as_of=AS_OF)  # fmt: skip  # noqa: E501
        rows = pq.read_table(sorted((tmp_path / f"o{turn}").glob("*.parquet"))).to_pylist()
        found.append(sorted((row["item_id"], row["reason_bits"]) for row in rows))
        for table in (world.items, world.accounts, world.people, world.homes, world.holds):
            table.reverse()
    assert found[0] == found[1]

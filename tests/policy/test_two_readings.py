"""The two readings of the one rulebook agree about every item of random worlds with unknowns everywhere."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pyarrow.parquet as pq
import pytest
from policy_worlds import AS_OF, World, random_world

from demur.policy import Rulebook, parse_policy, read, rulebook
from demur.policy.columns import decide_table
from demur.policy.holds import in_force
from demur.policy.judge import Judge
from demur.store import read_commit
from demur.terms.policy import Policy
from demur.terms.reasons import reasons_of

MIXED = """
name = "mixed"
purpose = "train-generative-ai"
audiences = ["public", "unlisted"]
statuses = ["active", "dormant"]
profile_fields_of_private_accounts = true

[defaults]
effective_at = 2025-01-01
notice_days = 30

[[jurisdiction]]
name = "Germany"
countries = ["DE"]
regime = "opt_out"
min_public_days = 60
signal_unknown = "deny"

[[jurisdiction]]
name = "France"
countries = ["FR"]
regime = "opt_in"
notice_days = 0
kinds = ["post", "comment", "reshare", "username"]
special_category = "allow"

[[jurisdiction]]
name = "United States"
countries = ["US"]
regime = "no_choice"
notice_days = 0
content_not_before = 2024-06-01
special_category = "allow"
services = ["w0-s", "w1-s", "w2-t", "w3-s"]

[[jurisdiction]]
name = "Brazil"
countries = ["BR"]
regime = "held"
valid_from = 2025-03-01

[[jurisdiction]]
name = "Britain"
countries = ["GB"]
regime = "prohibited"
min_age_years = 21
"""


def policies() -> list[Policy]:
    return [
        parse_policy(MIXED),
        read("demur-strict"),
        parse_policy(MIXED.replace('countries = ["DE"]', 'countries = ["DE", "CH"]').replace("opt_in", "no_choice")),
        read("noyb-opt-in"),
    ]


def compare(world: World, policy: Policy, folder: Path, chunk: int, known_at: datetime = AS_OF) -> Rulebook:
    parts = world.write(folder / "tables")
    decide_table(
        folder / "out",
        items=parts,
        standing=str(folder / "tables"),
        policy=policy,
        as_of=AS_OF,
        known_at=known_at,
        chunk=chunk,
    )
    book = rulebook(policy, as_of=AS_OF, holds=in_force(world.holds, as_of=AS_OF, known_at=known_at))
    judge = Judge(world.index(), book)
    rows = pq.read_table(sorted((folder / "out").glob("*.parquet"))).to_pylist()
    assert [row["item_id"] for row in rows] == [row["item_id"] for row in world.items], "one decision an item"
    allowed = 0
    for row in rows:
        judged = judge.judge(row["item_id"])
        assert row["reasons"] == [r.value for r in reasons_of(judged.mask)], row["item_id"]
        assert row["reason_bits"] == judged.mask
        assert row["allowed"] is (judged.mask == 0)
        assert row["primary_reason"] == (row["reasons"][0] if row["reasons"] else None)
        assert row["person_id"] == judged.person_id
        assert row["country"] == ("|".join(sorted(judged.countries)) if judged.countries else None)
        assert (row["kind"], row["audience"]) == (judged.kind, judged.audience)
        allowed += row["allowed"]
    facts = read_commit(folder / "out")
    assert facts is not None
    assert facts["items"] == len(rows) == facts["allowed"] + sum(facts["by_primary"].values())
    assert facts["allowed"] == allowed
    return book


TOGETHER = 125
"""Worlds decided as one snapshot: every world brings sets of its own, and the expressions grow with the sets."""
WORLDS = 20_000 if os.environ.get("DEMUR_NIGHTLY") else 500


@pytest.mark.parametrize("number", range(4))
def test_both_readings_agree(number: int, tmp_path: Path) -> None:
    for batch in range(WORLDS // 4 // TOGETHER):
        chance = Random(f"two-readings-{number}-{batch}")
        world = World()
        for each in range(TOGETHER):
            world.join(random_world(chance, f"w{each}"))
        known_at = AS_OF + timedelta(days=chance.choice([0, 100]))
        compare(world, policies()[number], tmp_path / str(batch), chunk=chance.choice([97, 1000]), known_at=known_at)


def test_a_world_without_people_or_items(tmp_path: Path) -> None:
    compare(World(), read("demur-strict"), tmp_path / "empty", chunk=10)
    lonely = random_world(Random(1), "w0")
    compare(World(items=lonely.items), read("demur-strict"), tmp_path / "lonely", chunk=10)
    assert datetime.now(tz=UTC) > AS_OF

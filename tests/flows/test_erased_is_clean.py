"""After an erasure corpus and model equal a clean build without the people, bit for bit (issue 2 §8)."""

from __future__ import annotations

import os
import random
from datetime import timedelta

import pytest
from flow_worlds import AS_OF, LATER, LONG, NAMES, SHORT, item, write_dump

from demur.flows.hold import place_hold
from demur.flows.intake import take_in

NIGHTLY = os.environ.get("DEMUR_NIGHTLY") == "1"


def _erased_equals_clean(here):
    before = here.digests
    done = here.erase()
    assert here.clean().equal
    assert here.digests != before
    assert here.digests[1] == done.model
    return done


def test_reshares_quotes_and_mentions_go_with_the_person(here):
    records = here.records()
    assert {"ana-0", "dora-quote", "eli-mention"} <= set(records)
    assert "Ana Alvarado" in records["eli-mention"]["text"]
    here.object("ana")
    done = _erased_equals_clean(here)
    after = here.records()
    assert not {"ana-0", "ana-1", "ana-2", "ana-reshared", "ben-reshare", "dora-quote"} & set(after)
    assert "Ana Alvarado" not in after["eli-mention"]["text"]
    assert "Gil Grünewald" in after["eli-mention"]["text"]
    assert done.plan.records_changed == 1
    assert len(done.plan.persons) == 1


def test_a_representative_leaves_short_text_stays_with_others_long_text_goes(here):
    records = here.records()
    short = [one for one, record in records.items() if record["text"] == SHORT]
    long = [one for one, record in records.items() if record["text"] == LONG]
    assert len(short) == len(long) == 1
    who = short[0].removesuffix("-short")
    here.object(who)
    done = _erased_equals_clean(here)
    after = here.records()
    heirs = [one for one, record in after.items() if record["text"] == SHORT]
    assert len(heirs) == 1
    assert heirs != short
    assert not [one for one, record in after.items() if record["text"] == LONG]
    assert done.plan.records_added == 1
    assert who not in here.authors()


def test_linked_accounts_and_several_regions(here):
    places = {(r["region"], r["shard"]) for r in here.lineage() if r["person_id"] == "agora:p-cleo"}
    assert {region for region, _ in places} == {"en", "rest"}
    here.object("cleo")
    done = _erased_equals_clean(here)
    assert {(one.region, one.shard) for one in done.plan.changed} >= places
    assert "cleo" not in here.authors()


def test_a_hold_on_a_country_and_a_kind(here):
    assert {"kurt-photo", "lena-photo"} <= set(here.records())
    scope = {"countries": ["PT"], "kinds": ["photo"], "authority": "an authority", "instrument": "a letter"}
    place_hold(here.parts, "h-1", scope, at=LATER - timedelta(hours=2))
    before = here.digests
    done = _erased_equals_clean(here)
    after = set(here.records())
    assert not {"kurt-photo", "lena-photo"} & after
    assert {"kurt-0", "lena-0"} <= after
    assert done.plan.persons == ()
    assert [one.kind for one in done.restrictions] == ["hold"]
    rolled = here.certificate(done)["model"]["rolled_back"]
    assert rolled["digest"] not in before  # what a hold reaches is found a step later, and certified then


def test_a_late_correction_was_a_minor(here):
    event = {"type": "age", "person_id": "agora:p-fred", "born_on": "2010-01-01", "source": "verified"}
    here.parts.registry.record(event, recorded_at=LATER - timedelta(hours=2))
    _erased_equals_clean(here)
    assert "fred" not in here.authors()


def test_an_item_deleted_at_the_source(here, tmp_path):
    gone = item("mia-1", "mia", None, state="deleted", version_at="2026-06-05T00:00:00Z")
    dump = write_dump(tmp_path / "later", [gone])
    take_in(here.parts, "demo", [dump], mapping=None, service=None, at=LATER - timedelta(hours=3))
    done = _erased_equals_clean(here)
    assert "mia-1" not in here.records()
    assert "mia-0" in here.records()
    assert [one.kind for one in done.restrictions][-1] == "source"
    assert len(here.certificate(done)["requests"]) == len(done.restrictions)


def test_any_order_and_all_at_once_give_the_same(copies):
    results = []
    for order in (["ana"], ["gil"]), (["gil"], ["ana"]), (["ana", "gil"],):
        here = copies(name="-".join(map("".join, order)))
        for number, people in enumerate(order):
            at = LATER + timedelta(days=number)
            here.object(*people, at=at - timedelta(hours=1))
            here.erase(at)
        results.append(here.digests)
    assert len(set(results)) == 1


@pytest.mark.parametrize("seed", range(50 if NIGHTLY else 5))
def test_random_erasures_are_clean(here, seed):
    chance = random.Random(seed)
    everybody = sorted(NAMES)
    for number in range(chance.randint(1, 2) if not NIGHTLY else chance.randint(1, 4)):
        at = AS_OF + timedelta(days=10 + number)
        people = chance.sample(everybody, chance.randint(1, 3))
        everybody = [one for one in everybody if one not in people]
        here.object(*people, at=at - timedelta(hours=1))
        here.erase(at)
        assert not set(people) & here.authors()
    assert here.clean().equal

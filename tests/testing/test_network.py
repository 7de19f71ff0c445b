"""The made-up network is a function of (seed, size, instant), person by person, in flat memory."""

import hashlib
import os
import resource
import subprocess
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import orjson
import pytest

from demur.terms.content import Kind
from demur.terms.people import Status
from demur.testing import AS_OF, CASES, Network, base_text
from demur.testing.makers import EDGES
from demur.testing.world import BEYOND, EEA3, EU27

PEOPLE = 2000


def fingerprint(network, indices):
    digest = hashlib.sha256()
    for index in indices:
        person = network.person(index)
        for part in (person.accounts, person.events, person.after, person.spoiled, [asdict(w) for w in person.works]):
            digest.update(orjson.dumps(part, option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest()


@pytest.fixture(scope="module")
def everybody():
    return list(Network(1, PEOPLE).stream())


def test_the_same_seed_gives_the_same_network_in_another_process():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_network import *;"
        "print(fingerprint(Network(4, 300), range(0, 300, 7)))"
    )
    env = {**os.environ, "PYTHONHASHSEED": "77"}
    other = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True, check=True, env=env
    )
    assert other.stdout.strip() == fingerprint(Network(4, 300), range(0, 300, 7))


def test_another_seed_gives_another_network():
    assert fingerprint(Network(4, 50), range(50)) != fingerprint(Network(5, 50), range(50))


def test_a_person_made_alone_equals_the_same_person_in_the_stream(everybody):
    fresh = Network(1, PEOPLE)
    for index in (1999, 3, 1000, 0, 1777, 12):
        alone = fresh.person(index)
        assert alone.works == everybody[index].works
        assert alone.accounts == everybody[index].accounts
        assert alone.events == everybody[index].events


def test_two_ranges_make_one_stream(everybody):
    network = Network(1, PEOPLE)
    halves = [*network.stream(0, 20), *network.stream(20, 40)]
    assert [person.works for person in halves] == [person.works for person in everybody[:40]]


def test_every_kind_status_case_and_edge_is_there(everybody):
    kinds = Counter(work.row["kind"] for person in everybody for work in person.works)
    assert set(kinds) == {kind.value for kind in Kind}
    assert {person.profile.case for person in everybody} == {"ordinary", *CASES}
    assert {work.edge for person in everybody for work in person.works} == {"", "loop", *EDGES}
    statuses = {person.profile.status for person in everybody}
    told_by_events = {Status.COMPROMISED, Status.TRANSFERRED}  # windows and changes of hands, not a word in a row
    assert statuses == {None, *(status.value for status in Status if status not in told_by_events)}
    assert {event["type"] for person in everybody for event in person.events} >= {"compromise", "transfer", "link"}


def test_every_country_and_an_unknown_one_is_there(everybody):
    countries = {row["country"] for person in everybody for row in person.accounts}
    assert countries >= {*EU27, *EEA3, *BEYOND, None}


def test_every_audience_state_and_several_versions_are_there(everybody):
    rows = [work.row for person in everybody for work in person.works]
    assert {row["audience"] for row in rows} == {"public", "unlisted", "followers", "group", "direct", "unknown"}
    assert {row["state"] for row in rows} == {"live", "deleted"}
    assert {row["addressed_to_ai"] for row in rows if row["kind"] == "ai_chat"} == {True, False}
    assert max(len(work.rows) for person in everybody for work in person.works) >= 4


def test_people_make_about_fifteen_items_and_few_make_very_many(everybody):
    counts = sorted(len(person.works) for person in everybody)
    assert 20_000 <= sum(counts) <= 34_000
    assert counts[len(counts) // 2] <= 12
    assert counts[-1] >= 200


def test_ids_are_unique(everybody):
    items = [work.row["item_id"] for person in everybody for work in person.works]
    assert len(items) == len(set(items))
    accounts = Counter(row["account_id"] for person in everybody for row in person.accounts)
    assert all(count <= 2 for count in accounts.values())


def test_replies_and_reshares_point_to_items_that_exist(everybody):
    items = {work.row["item_id"]: work for person in everybody for work in person.works}
    for work in items.values():
        if work.parent is not None:
            assert work.row["parent_id"] in items
        if work.original is not None:
            original = items[work.row["original_id"]]
            assert original.row["text"] in work.row["text"]


def test_copies_carry_the_words_of_their_source(everybody):
    items = {work.row["item_id"]: work for person in everybody for work in person.works}
    copies = [work for work in items.values() if work.copy_of]
    assert {work.copy_kind for work in copies} == {"exact_copy", "near_copy", "retweet_copy"}
    for work in copies:
        source = items[work.copy_of].rows[0]["text"].split(" ")
        mine = work.row["text"].split(" ")
        assert len(set(source) - set(mine)) <= {"exact_copy": 0, "near_copy": 2, "retweet_copy": 0}[work.copy_kind]


def test_planted_values_stand_in_one_item_only(everybody):
    texts = [
        (work.row["item_id"], row["text"]) for p in everybody for work in p.works for row in work.rows if row["text"]
    ]
    everything = "\n".join(text for _, text in texts)
    planted = [(work.row["item_id"], value) for p in everybody for work in p.works for _, value in work.planted]
    assert len(planted) > 300
    for item_id, value in planted:
        assert everything.count(value) == 1, f"a planted value of {item_id} is not unique"


def test_texts_rarely_collide(everybody):
    texts = [
        work.row["text"]
        for person in everybody
        for work in person.works
        if work.row["text"] and not work.copy_of and work.original is None and len(work.row["text"].split()) >= 12
    ]
    assert len(set(texts)) / len(texts) > 0.995


def test_instants_lie_before_as_of(everybody):
    for person in everybody:
        for work in person.works:
            for row in work.rows:
                assert row["version_at"] <= AS_OF
                assert row["created_at"] is None or row["created_at"] <= row["version_at"]
        assert all(event["recorded_at"] <= AS_OF for event in person.events)
        assert all(event["recorded_at"] > AS_OF for event in person.after)


def test_objections_come_before_and_after_training(everybody):
    before = [e for p in everybody for e in p.events if e["type"] == "objection"]
    after = [e for p in everybody for e in p.after if e["type"] == "objection"]
    assert len(before) > 50
    assert len(after) > 20
    assert any(event["kinds"] for event in before)
    assert any(event["services"] for event in before)


def test_memory_stays_flat():
    network = Network(2, 10**9)
    for _ in network.stream(10**8, 10**8 + 500):
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    people = 20_000 if os.environ.get("DEMUR_NIGHTLY") else 2_500
    for _ in network.stream(500_000, 500_000 + people):
        pass
    grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown_mib < 120  # the caches, which are bounded


def test_base_text_repeats_and_knows_nobody(everybody):
    text = list(base_text(1, 600))
    assert text == list(base_text(1, 600))
    assert len({language for language, _ in text}) >= 12
    joined = " ".join(words for _, words in text)
    assert "@" not in joined
    assert "http" not in joined
    assert not any(person.profile.name in joined or person.profile.handle in joined for person in everybody)

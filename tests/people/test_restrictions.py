"""What an erasure must honour: everything recorded since that may take away, nothing from before, on both databases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from demur.clock import iso, parse

BUILT = parse("2026-06-01")
BEFORE, AFTER = BUILT - timedelta(days=1), BUILT + timedelta(days=1)
SAID = "2026-05-01T00:00:00Z"

TAKING = {
    "objection": {"type": "objection", "person_id": "p", "valid_at": SAID},
    "revocation": {"type": "consent", "person_id": "p", "purpose": "x", "act": "revoke", "valid_at": SAID},
    "hold": {"type": "hold", "hold_id": "h", "act": "place", "authority": "a", "instrument": "i", "valid_at": SAID},
    "age": {"type": "age", "person_id": "p", "born_on": "2012-01-01", "source": "verified"},
    "residence": {"type": "residence", "person_id": "p", "country": "FR"},
    "link": {"type": "link", "person_id": "p", "other_person_id": "q", "valid_at": SAID},
    "compromise": {"type": "compromise", "account_id": "s:a", "valid_from": SAID},
    "status": {"type": "status", "account_id": "s:a", "status": "deleted", "valid_at": SAID},
    "private": {"type": "private", "account_id": "s:a", "private": True, "valid_at": SAID},
    "signal": {"type": "signal", "account_id": "s:a", "signal": "n", "valid_at": SAID},
    "transfer": {"type": "transfer", "account_id": "s:a", "person_id": "q", "valid_at": SAID},
    "campaign": {"type": "campaign_status", "campaign_id": "c", "status": "cancelled", "valid_at": SAID},
    "announced": {"type": "campaign", "campaign_id": "c", "purpose": "x", "effective_at": "2027-01-01T00:00:00Z"},
    "bounce": {"type": "notice", "person_id": "p", "campaign_id": "c", "channel": "email", "state": "bounced",
               "valid_at": SAID},
}  # fmt: skip
GIVING = {
    "withdrawal": {"type": "objection", "person_id": "p", "act": "withdraw", "valid_at": SAID},
    "consent": {"type": "consent", "person_id": "p", "purpose": "x", "act": "consent", "valid_at": SAID},
    "delivery": {"type": "notice", "person_id": "p", "campaign_id": "c", "channel": "email", "state": "delivered",
                 "valid_at": SAID},
    "active": {"type": "status", "account_id": "s:a", "status": "active", "valid_at": SAID},
    "running": {"type": "campaign_status", "campaign_id": "c", "status": "running", "valid_at": SAID},
}  # fmt: skip


@pytest.fixture
def known(registry):
    registry.record({"type": "account", "account_id": "s:a", "person_id": "p"}, recorded_at=BEFORE)
    said = {"campaign_id": "c", "purpose": "x", "effective_at": "2026-01-01T00:00:00Z"}
    registry.record({"type": "campaign", **said}, recorded_at=BEFORE)
    return registry


@pytest.mark.parametrize("kind", sorted(TAKING))
def test_what_may_take_away_is_listed_once_and_only_after_the_build(known, kind):
    known.record(TAKING[kind], recorded_at=AFTER)
    (found,) = known.restrictions_since(BUILT)
    about_nobody = kind in {"hold", "campaign", "announced"}
    assert (found.person_id in {"p", "q"}) != about_nobody
    assert found.recorded_at == AFTER
    assert known.restrictions_since(AFTER) == []
    assert found in known.restrictions_since(None)


def test_whose_an_account_is_takes_away_when_somebody_objected_under_its_id(known):
    known.record({"type": "objection", "person_id": "s:b", "valid_at": SAID}, recorded_at=BEFORE)
    known.record({"type": "account", "account_id": "s:b", "person_id": "p"}, recorded_at=AFTER)
    (found,) = known.restrictions_since(BUILT)
    assert (found.kind, found.person_id) == ("link", "p")


@pytest.mark.parametrize("kind", sorted(TAKING))
def test_what_was_recorded_before_is_not_listed(known, kind):
    known.record(TAKING[kind], recorded_at=BEFORE)
    known.record(TAKING[kind], recorded_at=AFTER)  # said again: nothing new
    assert known.restrictions_since(BUILT) == []


@pytest.mark.parametrize("kind", sorted(GIVING))
def test_what_only_lets_more_in_is_not_listed(known, kind):
    known.record({"type": "account", "account_id": "s:new", "person_id": "new"}, recorded_at=AFTER)
    known.record(GIVING[kind], recorded_at=AFTER)
    assert known.restrictions_since(BUILT) == []


def test_everybody_who_is_the_same_human_being_is_meant(known):
    for one, other in (("p", "q"), ("q", "r"), ("x", "y")):
        known.record({"type": "link", "person_id": one, "other_person_id": other, "valid_at": SAID}, recorded_at=BEFORE)
    assert known.everyone_linked(["p"]) == ["p", "q", "r"]
    assert known.everyone_linked(["p", "y", "z"]) == ["p", "q", "r", "x", "y", "z"]
    assert known.everyone_linked([]) == []


def test_names_are_those_ever_had_of_two_words_or_more(known):
    for number, name in enumerate(["Ada Example", "Ada", "Ada Example-Other"]):
        known.record(
            {"type": "profile", "account_id": "s:a", "name": name, "valid_at": iso(BEFORE + timedelta(hours=number))},
            recorded_at=BEFORE,
        )
    assert known.names_of(["p"]) == ["Ada Example", "Ada Example-Other"]
    assert known.names_of(["q"]) == []


def test_an_event_that_says_it_is_old_is_recorded_now_once_a_corpus_stands(known, tmp_path):
    file = tmp_path / "events.jsonl"
    file.write_text('{"type":"objection","person_id":"p","recorded_at":"2026-05-01T00:00:00Z"}\n')
    known.import_events(file, recorded_at=AFTER, not_before=BUILT)
    (found,) = known.restrictions_since(BUILT)
    assert (found.kind, found.recorded_at) == ("objection", AFTER)

"""What became of notices reaches registry and ledger once, and is provable for one person alone (NOT-03, NOT-08)."""

# ruff: noqa: F811  (fixtures are imported)
from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from campaign_worlds import Watch, begin, person, rows, service, tell, watch  # noqa: F401

from demur.errors import BrokenError, InputError
from demur.flows import settle
from demur.flows.proof import proof, verify_notice_proof
from demur.flows.send import send
from demur.flows.service import Service
from demur.ledger import Ledger, VerifierKey
from demur.notice import proofs
from demur.notice.deliveries import Deliveries
from demur.terms.notice import Outcome, Result


@pytest.fixture
def proven(service: Service) -> dict[str, Any]:
    """The proof of one of five people who were told."""
    for place in range(5):
        person(service, f"p{place}")
    begin(service)
    send(service)
    assert settle.step(service) == 5
    found: dict[str, Any] = orjson.loads(orjson.dumps(proof(service, "p2")))
    return found


def parts(found: dict[str, Any]) -> tuple[dict[str, Any], VerifierKey]:
    (notice,) = found["notices"]
    return notice["proofs"][0] | {"text": notice["text"]}, VerifierKey.read(found["ledger"])


def test_a_proof_holds_offline_and_shows_the_exact_text_and_message(proven: dict[str, Any]) -> None:
    one, key = parts(proven)
    assert verify_notice_proof(one, key).size > 0
    (notice,) = proven["notices"]
    assert (notice["language"], notice["channel"], notice["state"]) == ("de", "email", "accepted")
    assert notice["text"]["subject.txt"]
    assert "To: p2@x.example" in one["message"]


def test_a_proof_says_nothing_of_anybody_else(proven: dict[str, Any]) -> None:
    said = orjson.dumps(proven).decode()
    assert not any(other in said for other in ('"p0"', "p1@", "p3@", "p4@"))


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(found: dict[str, Any]) -> None:
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = to

    return change


@pytest.mark.parametrize(
    "change",
    [
        _set("leaf", "at", to="2020-01-01T00:00:00Z"),
        _set("leaf", "person", to="p1"),
        _set("leaf", "text", to="0" * 64),
        _set("leaf", "campaign", to="autumn"),
        _set("batch", "position", to=0),
        _set("batch", "leaves", to=4),
        _set("text", "subject.txt", to="News"),
        _set("message", to="Hello"),
        _set("ledger", "opening", "facts", "root", to="0" * 64),
        _set("ledger", "opening", "index", to=0),
    ],
)
def test_whatever_is_changed_is_found(proven: dict[str, Any], change: Callable[[dict[str, Any]], None]) -> None:
    one, key = parts(proven)
    changed = copy.deepcopy(one)
    change(changed)
    with pytest.raises(BrokenError):
        verify_notice_proof(changed, key)


def test_what_is_no_proof_is_named_as_such(proven: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        verify_notice_proof({"leaf": {}}, parts(proven)[1])


def test_settling_again_tells_nothing_twice_and_a_killed_one_goes_on(service: Service) -> None:
    for place in range(3):
        person(service, f"p{place}")
    begin(service)
    send(service)
    assert proofs.next_batch(service.notice, settle.leaf_key(service), at=service.clock()) is not None
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        before = ledger.size
    assert settle.step(service) == 3, "killed before registry and ledger were told"
    assert settle.step(service) == 0
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        assert ledger.size == before + 1
    assert all(len(service.parts.registry.about(f"p{place}")["notices"]) == 1 for place in range(3))


@pytest.mark.parametrize("passed", [timedelta(0), timedelta(hours=-2)], ids=["later", "after the clock went back"])
def test_a_bounce_that_comes_back_takes_the_delivery_away(service: Service, passed: timedelta) -> None:
    person(service, "p1")
    begin(service, channels=("email", "inapp"))
    send(service)
    settle.step(service)
    number = rows(service)["p1"].number
    ledger = Deliveries(service.notice, b"k" * 32)
    back = service.clock() + passed
    assert ledger.bounced_later([Result(number, 1, Outcome.BOUNCED, "5.1.1")], back) == 1
    assert settle.step(service) == 1
    at = service.clock()
    found = service.parts.registry.standing("p1", as_of=at, known_at=at)
    assert found is not None
    assert found["standing"][0]["first_delivered_at"] is None
    told = proof(service, "p1")["notices"][0]["proofs"]
    assert [one["state"] for one in told] == ["accepted", "bounced"]
    assert rows(service)["p1"].channel == "inapp"


def test_an_inapp_notice_counts_only_when_it_was_seen(service: Service) -> None:
    from demur.flows import inapp

    person(service, "p1", contact=None)
    begin(service, channels=("inapp",))
    send(service)
    settle.step(service)
    at = service.clock()
    found = service.parts.registry.standing("p1", as_of=at, known_at=at)
    assert found is not None
    assert found["standing"][0]["first_delivered_at"] is None
    assert inapp.seen(service, rows(service)["p1"].number, "p1")
    assert settle.step(service) == 1
    assert settle.step(service) == 0
    at = service.clock()
    found = service.parts.registry.standing("p1", as_of=at, known_at=at)
    assert found is not None
    assert found["standing"][0]["first_delivered_at"] is not None


def test_who_was_not_told_learns_why(service: Service) -> None:
    person(service, "p1", born_on=2012)
    begin(service)
    (notice,) = proof(service, "p1")["notices"]
    assert (notice["state"], notice["not_told_because"], notice["text"]) == ("excluded", "under_age", None)
    with pytest.raises(InputError):
        proof(service, "nobody")


def test_who_turned_out_to_be_somebody_else_is_not_shown(service: Service) -> None:
    person(service, "p1")
    begin(service, name="first")
    send(service)
    person(service, "p2")
    begin(service, name="second")
    send(service)
    settle.step(service)
    pair = {"person_id": "p1", "other_person_id": "p2"}
    tell(service, {"type": "link", **pair})
    told = proof(service, "p1")["notices"]
    assert {one["person"] for one in told} == {"p1", "p2"}
    tell(service, {"type": "unlink", **pair})
    for one, other in (("p1", "p2"), ("p2", "p1")):
        said = orjson.dumps(proof(service, one)).decode()
        assert f'"{one}"' in said
        assert f'"{other}"' not in said
        assert f"{other}@" not in said

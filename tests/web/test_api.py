"""The JSON API: a token objects, a key is needed for names, and every answer is as described."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from objection_worlds import MEMBERS, link, noticed, queued, settled

from demur.flows import objecting
from demur.flows.service import Service
from demur.notice.inapp import app_key
from demur.objections import verify_receipt
from demur.store.links import LinkPurpose
from demur.web.app import build_app
from demur.web.guard import Limit, Limits


@pytest.fixture
def key(service: Service) -> dict[str, str]:
    return {"authorization": f"Bearer {app_key(service.parts.keys)}"}


def test_a_token_objects_and_shows_how_it_stands(service: Service, client: Any) -> None:
    token = link(service, noticed(service)["ann"])
    assert client.get(f"/api/objections/{token}").json()["objected"] is False
    assert client.get(f"/api/objections/{token}/receipt").status_code == 404
    first = client.post("/api/objections", json={"token": token})
    assert first.status_code == 200
    assert first.json()["state"] == "in_force"
    assert not first.json()["repeated"]
    again = client.post("/api/objections", json={"token": token}).json()
    assert again == {**first.json(), "repeated": True}
    assert client.get(f"/api/objections/{token}").json()["objections"][0]["reference"] == first.json()["reference"]
    made = client.get(f"/api/objections/{token}/receipt").json()
    verdict = client.post("/api/receipts/verify", json=made).json()
    assert verdict["holds"]
    assert all(one["holds"] is not False for one in verdict["checks"])
    made["event"]["time"] = "2020-01-01T00:00:00Z"
    assert not client.post("/api/receipts/verify", json=made).json()["holds"]


@pytest.mark.parametrize(
    "claim", [{"person_id": "d:ann"}, {"account_id": "d:1"}, {"contact": "ann@example.org"}, {"handle": "@ann_a"}]
)
def test_the_platform_objects_for_somebody_with_its_key(
    service: Service, client: Any, key: dict[str, str], claim: dict[str, str]
) -> None:
    noticed(service)
    assert client.post("/api/objections", json=claim).status_code == 403
    assert client.post("/api/objections", json=claim, headers={"authorization": "Bearer no"}).status_code == 403
    told = client.post("/api/objections", json={**claim, "kinds": ["photo"]}, headers=key).json()
    assert (told["state"], told["kinds"]) == ("in_force", ["photo"])
    (kept,) = service.parts.registry.objections_of("d:ann")
    assert kept.door == "api"
    receipt = client.get(f"/api/receipts/{told['reference']}", headers=key).json()
    assert verify_receipt.holds(verify_receipt.verify(receipt))


def test_what_nobody_knows_is_kept_and_what_nobody_is_named_in_is_not(client: Any, key: dict[str, str]) -> None:
    told = client.post("/api/objections", json={"contact": "nobody@example.org"}, headers=key).json()
    assert told["state"] == "waiting"
    assert client.post("/api/objections", json={}, headers=key).status_code == 422


@pytest.mark.parametrize("detail", [{"kinds": "photo"}, {"services": [1]}, {"kinds": ["x"] * 101}, {"said_at": "then"}])
def test_a_detail_that_cannot_be_read_refuses_no_no(service: Service, client: Any, detail: dict[str, Any]) -> None:
    token = link(service, noticed(service)["bob"])
    assert client.post("/api/objections", json={"token": token, **detail}).status_code == 200
    (kept,) = service.parts.registry.objections_of("d:bob")
    assert (kept.kinds, kept.services, kept.said_at) == (None, None, service.clock())


def test_a_link_that_is_not_good_costs_no_no_where_somebody_is_named(
    service: Service, client: Any, key: dict[str, str]
) -> None:
    noticed(service)
    told = {"token": "A" * 32, "account_id": "d:2"}
    assert client.post("/api/objections", json=told).status_code == 403
    assert client.post("/api/objections", json={"token": "A" * 32}, headers=key).status_code == 403
    assert service.parts.registry.objections_of("d:bob") == []
    assert client.post("/api/objections", json=told, headers=key).json()["state"] == "in_force"
    assert service.parts.registry.objections_of("d:bob")


@pytest.mark.parametrize("name", ["person_id", "account_id", "handle", "contact"])
def test_an_id_may_be_a_number(service: Service, client: Any, key: dict[str, str], name: str) -> None:
    told = client.post("/api/objections", json={name: 12345}, headers=key)
    assert told.status_code == 200
    assert "12345" in str(service.parts.registry.unmatched(told.json()["reference"]))


def test_a_list_is_answered_line_by_line(service: Service, client: Any, key: dict[str, str]) -> None:
    noticed(service)
    text = "account_id,kinds\nd:1,\nd:2,photo;reel\n,\nd:1,\nunknown:9,\n"
    lines = client.post("/api/objections/list", content=text, headers={**key, "content-type": "text/csv"}).json()
    assert [one["state"] for one in lines] == ["in_force", "in_force", "names_nobody", "in_force_before", "waiting"]
    assert [one["line"] for one in lines] == [2, 3, 4, 5, 6]
    (kept,) = service.parts.registry.objections_of("d:bob")
    assert kept.kinds == ("photo", "reel")


def test_the_answer_says_how_it_stands(service: Service, client: Any, key: dict[str, str]) -> None:
    """A no that was said before a withdrawal is kept and not in force; nobody is told that it is."""
    noticed(service)
    service.parts.registry.take_back("d:ann", recorded_at=service.clock(), reference="W-1")
    before = (service.clock() - timedelta(days=2)).isoformat()
    told = {"account_id": "d:1", "said_at": before}
    assert client.post("/api/objections", json=told, headers=key).json()["state"] == "taken_back"
    assert client.post("/api/objections", json={"account_id": "d:9"}, headers=key).json()["state"] == "waiting"
    settled(service)
    assert queued(service) == []
    text = f"account_id,said_at\nd:1,{before}\nd:1,{service.clock():%Y-%m-%d}\n"  # of a day: at its end
    lines = client.post("/api/objections/list", content=text, headers={**key, "content-type": "text/csv"}).json()
    assert [one["state"] for one in lines] == ["taken_back", "in_force"]


@pytest.mark.parametrize(("services", "kept"), [(["d"], ("d",)), (["D"], None), (["d", "elsewhere"], None)])
def test_a_service_that_the_person_is_not_on_means_everything(
    service: Service, client: Any, key: dict[str, str], services: list[str], kept: Any
) -> None:
    noticed(service)
    told = client.post("/api/objections", json={"account_id": "d:2", "services": services}, headers=key).json()
    assert told["state"] == "in_force"
    (found,) = service.parts.registry.objections_of("d:bob")
    assert found.services == kept


def test_a_handle_of_one_and_an_address_of_another_wait(service: Service, client: Any, key: dict[str, str]) -> None:
    noticed(service)
    claim = {"handle": "@ann_a", "contact": "bob@example.org"}
    assert client.post("/api/objections", json=claim, headers=key).json()["state"] == "waiting"
    same = {"handle": "@ann_a", "contact": "Ann@Example.org"}
    assert client.post("/api/objections", json=same, headers=key).json()["state"] == "in_force"


def test_a_declaration_is_the_no_of_whose_did_it_names(service: Service) -> None:
    did = "did:plc:ewvi7nxzyoun6zhxrhs64oiz"
    event = {"type": "account", "account_id": f"bluesky:{did}", "person_id": "d:sky"}
    service.parts.registry.record(event, recorded_at=service.clock())
    no = {"$type": "org.user-intents.declaration", "syntheticContentGeneration": {"allow": False}}
    yes = {**no, "syntheticContentGeneration": {"allow": True}}
    told = [{"did": did, "record": yes}, {"did": did, "record": no}, {"account_id": f"bluesky:{did}", "record": no}]
    done = objecting.object_by_declarations(service, [*map(orjson.dumps, told), b"nonsense"])
    assert [one.kept.repeated for one in done] == [False, True]
    assert [one.door for one in service.parts.registry.objections_of("d:sky")] == ["signal"]


def test_objectors_pages_tell_other_crawlers_and_strangers_cannot_ask(
    service: Service, client: Any, key: dict[str, str]
) -> None:
    token = link(service, noticed(service)["ann"])
    assert client.get("/api/preferences/d:1", headers=key).json()["headers"] == {}
    client.post(f"/o/{token}")
    assert client.get("/api/preferences/d:1").status_code == 403
    told = client.get("/api/preferences/d:1", headers=key).json()
    assert told["headers"]["Content-Usage"] == "train-ai=n"
    assert told["meta"]["tdm-reservation"] == "1"


@pytest.mark.parametrize("purpose", [one for one in LinkPurpose if one is not LinkPurpose.OBJECT])
def test_a_token_of_another_purpose_is_nothing_here(service: Service, client: Any, purpose: LinkPurpose) -> None:
    token = service.links.token(purpose, noticed(service)["ann"])
    assert client.post("/api/objections", json={"token": token}).status_code == 403
    assert client.get(f"/api/objections/{token}").status_code == 403
    assert not service.parts.registry.objections_of(MEMBERS["ann"])


def test_every_answer_is_as_the_description_says(service: Service, key: dict[str, str]) -> None:
    """schemathesis: generated requests from /api/openapi.json; every answer is a described one."""
    schemathesis = pytest.importorskip("schemathesis")
    noticed(service)
    much = Limit(1e6, 1e6)
    host = {"host": urlsplit(service.site.origin).netloc}
    app = build_app(service, Limits(much, much, much, much))
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=host)
    seen: set[str] = set()
    for result in schema.get_all_operations():
        operation = result.ok()

        seen.add(operation.label)
        check(operation, {**key, **host})
    assert len(seen) == 7


def check(operation: Any, headers: dict[str, str]) -> None:
    @settings(max_examples=12, deadline=None, database=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(case=operation.as_strategy())
    def holds(case: Any) -> None:
        case.headers = {**(case.headers or {}), **headers}
        assert str(case.call().status_code) in operation.definition.raw["responses"]

    holds()

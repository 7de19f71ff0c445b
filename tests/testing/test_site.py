"""What ``demur demo --serve`` shows: every room has something in it, and it fits together."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from demur.access import Role
from demur.flows import objection, office
from demur.flows.intake import learn, take_in
from demur.flows.service import Service
from demur.store import Workspace
from demur.testing import AS_OF, write_dump
from demur.testing.site import CAMPAIGN, PASSWORD, STAFF, Filled, fill_site
from demur.wiring import open_parts, open_service

SEED, PEOPLE = 11, 60


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Filled]]:
    root = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DEMUR_REGISTRY_URL", raising=False)
        with open_parts(Workspace(root, seed=b"site")) as parts:
            write_dump(root / "platform", SEED, PEOPLE)
            take_in(parts, "demo", [root / "platform"], mapping=None, service=None, at=AS_OF)
            learn(parts, root / "platform" / "events.jsonl", at=AS_OF)
        with open_service(Workspace(root)) as service:  # as the command does: opened anew
            with ThreadPoolExecutor(1) as pool:  # a browser of other tests may have its event loop in this thread
                told = pool.submit(fill_site, service).result()
            yield service, told


def test_the_notices_lie_in_the_outbox(filled: tuple[Service, Filled]) -> None:
    service, told = filled
    assert told.sent > PEOPLE / 2
    files = list((service.parts.workspace.root / "outbox").glob("b*/*.eml"))
    assert len(files) == told.sent == office.progress(service, CAMPAIGN, None).reached
    assert all(told.link.startswith(f"{service.site.origin}/o/") for _ in files)


def test_the_link_that_is_shown_leads_to_somebody_who_has_said_nothing(filled: tuple[Service, Filled]) -> None:
    service, told = filled
    number = objection.number_of(service, told.link.rpartition("/")[2])
    assert number is not None
    found = objection.status(service, number)
    assert found.reached is not None
    assert found.first is None


def test_those_who_object_are_in_the_registry_and_get_a_letter(filled: tuple[Service, Filled]) -> None:
    service, told = filled
    by_link = [one for one in service.parts.registry.objections_page() if one.door == "link"]
    assert len(by_link) >= told.objected
    found = list((service.parts.workspace.root / "outbox").glob("l*/*.eml"))
    assert len(found) == told.objected + 1  # and the one about the request


def test_everybody_of_the_office_can_log_in(filled: tuple[Service, Filled]) -> None:
    service, told = filled
    for email, _, role, countries in STAFF:
        found = service.access.staff.log_in(email, PASSWORD, prefix="127.0.0.1", at=service.clock())
        assert found is not None
        assert (found.role, set(found.countries or ())) == (role, set(countries))
    assert told.login == f"{STAFF[0][0]} / {PASSWORD}"
    (one,) = office.campaigns(service, None)
    assert one.made_by != one.approved_by
    assert {Role.POLICY_AUTHOR, Role.APPROVER, Role.OPERATOR, Role.DPO, Role.REGULATOR} == {who[2] for who in STAFF}


def test_a_request_and_a_hold_are_there_to_look_at(filled: tuple[Service, Filled]) -> None:
    service, _ = filled
    assert len(service.requests.queue()) == 1
    assert "H-demo" in {one.hold_id for one in office.holds(service, None)}

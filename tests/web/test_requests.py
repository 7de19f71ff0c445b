"""The form for people in somebody else's posts: one required field, no script, no cookie, a link that tells little."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demur.flows import request as flow
from demur.flows.matching import match_all
from demur.flows.service import Service
from demur.requests import Reason, State
from demur.requests.words import LONG
from demur.store.links import LinkPurpose

CONTACT = "asker@elsewhere.example"
KINDS = ["multipart/form-data; boundary=x", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data"]


def send(client: Any, **told: Any) -> Any:
    return client.post("/request", data={"contact": CONTACT, **told})


def test_tpd_01_an_address_alone_is_accepted_and_leads_to_the_status_by_link(client: Any, service: Service) -> None:
    answer = send(client)
    assert answer.status_code == 303
    page = client.get(answer.headers["location"])
    assert page.status_code == 200
    assert "We have your request" in page.text
    (one,) = service.requests.queue()
    assert one.reference in page.text
    assert CONTACT not in page.text  # a forwarded link tells nobody who asked
    assert "set-cookie" not in answer.headers | page.headers
    with service.notice.database.reading() as connection:
        letters = connection.execute(sa.text("SELECT kind, address, facts FROM notice_letters")).all()
    assert [(row.kind, row.address) for row in letters] == [("request_received", CONTACT)]
    assert answer.headers["location"].split("?")[0] in letters[0].facts


def test_everything_that_was_typed_arrives(client: Any, service: Service) -> None:
    told = {"links": "a\nb", "names": "Ana A", "handles": "@a", "phones": "1", "emails": "a@b.c", "text": "w",
            "for": "child", "country": "IE", "prompts": "who is", "output": "x", "model": "m", "note": "n"}  # fmt: skip
    send(client, **told)
    (one,) = service.requests.queue()
    wanted = service.requests.wanted(one.number)
    assert wanted is not None
    assert (wanted.links, wanted.guardian, wanted.note) == (("a", "b"), True, "n")
    assert wanted.claim is not None
    assert wanted.claim.prompts == ("who is",)
    assert (one.country, one.is_claim) == ("IE", True)


def test_what_is_too_long_is_cut_and_never_refused(client: Any, service: Service) -> None:
    told = {"contact": CONTACT, "text": "word " * 200_000, "names": "Ana A"}  # a megabyte, as browsers send forms
    answer = client.post("/request", files={name: (None, value) for name, value in told.items()})
    assert answer.status_code == 303
    (one,) = service.requests.queue()
    wanted = service.requests.wanted(one.number)
    assert wanted is not None
    assert wanted.names == ("Ana A",)
    assert len(wanted.texts[0]) == LONG


@pytest.mark.parametrize("contact", ["", "nobody", "x@y", "a@b.example\r\nBcc: c@d.example"])
def test_without_an_address_the_form_comes_back_as_it_was(client: Any, service: Service, contact: str) -> None:
    answer = send(client, contact=contact, names='Ana "<b>" Alvarado')
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "Ana &#34;&lt;b&gt;&#34; Alvarado" in answer.text
    assert service.requests.queue() == []


def test_what_is_no_picture_is_said_and_nothing_is_kept(client: Any, service: Service) -> None:
    files = {"picture": ("x.png", b"\x89PNG\r\n\x1a\nbroken", "image/png")}
    answer = client.post("/request", data={"contact": CONTACT}, files=files)
    assert answer.status_code == 422
    assert "could not read the picture" in answer.text
    assert service.requests.queue() == []


def test_the_link_shows_the_answer_and_nothing_of_what_others_posted(client: Any, service: Service) -> None:
    number = flow.receive(service, {"contact": CONTACT, "names": "Nobody Atall"}, None, language="en")
    match_all(service)
    link = f"/request/{flow.token(service, number)}"
    assert "somebody reads what was found" in client.get(link).text
    assert service.requests.known(number).state is State.DECIDING
    flow.decide(service, number, None, Reason.SOMEBODY_ELSE, by="staff")
    flow.answer(service, number, by="staff")
    page = client.get(link)
    assert "found nothing" in page.text
    assert "Nobody Atall" not in page.text
    told = client.get(f"{link}/status.json").json()
    assert set(told) == {"reference", "state", "outcome", "received_at", "due_at", "answered_at", "answer"}
    assert told["outcome"] == "not_found"


def test_forged_and_foreign_links_are_refused_alike(client: Any, service: Service) -> None:
    number = flow.receive(service, {"contact": CONTACT}, None, language="en")
    good = flow.token(service, number)
    bad = [good[:-1] + ("A" if good[-1] != "A" else "B"), "no-such", service.links.token(LinkPurpose.OBJECT, number),
           service.links.token(LinkPurpose.REQUEST, number + 1)]  # fmt: skip
    answers = [client.get(f"/request/{token}") for token in bad]
    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.text.replace(token, "") for answer, token in zip(answers, bad, strict=True)}) == 1
    assert client.get(f"/request/{bad[0]}/status.json").status_code == 403


def test_get_and_head_change_nothing(client: Any, service: Service) -> None:
    number = flow.receive(service, {"contact": CONTACT}, None, language="en")
    for path in ("/request", "/request?contact=a@b.example", f"/request/{flow.token(service, number)}"):
        assert client.get(path).status_code == 200
        assert client.head(path).status_code == 200
    assert len(service.requests.queue()) == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300), kind=st.sampled_from(KINDS))
def test_no_body_breaks_the_form(client: Any, body: bytes, kind: str) -> None:
    assert client.post("/request", content=body, headers={"content-type": kind}).status_code in {303, 400, 422, 429}


def test_somebody_without_scripts_on_a_small_screen_gets_through_by_keyboard(live: Any) -> None:
    page = live.page(width=320, scheme="dark", scripts=False)
    page.goto("/request")
    page.focus("#contact")
    page.keyboard.type(CONTACT)
    page.keyboard.press("Tab")
    page.keyboard.type("agora:1")
    page.focus("button.big")
    page.keyboard.press("Enter")
    page.wait_for_url("**/request/*")
    assert page.title().startswith("Your request R-")
    assert page.context.cookies() == []


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (1200, "dark")])
def test_nothing_overflows_and_axe_finds_nothing(live: Any, width: int, scheme: str) -> None:
    from axe_playwright_python.sync_playwright import Axe

    number = flow.receive(live.service, {"contact": CONTACT}, None, language="en")
    page = live.page(width=width, scheme=scheme, bypass_csp=True)  # axe is a script: only the test may run it
    for path in ("/request", f"/request/{flow.token(live.service, number)}"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        found = Axe().run(page)
        assert found.violations_count == 0, found.generate_report()

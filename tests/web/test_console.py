"""The console: who may what on every route, forms from elsewhere, sessions, the regulator's country, hostile texts."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from demur.access import Role, Staff, Subject, allows
from demur.flows import office as office_flow
from demur.flows.objection import by_claim, object_now
from demur.flows.service import Service
from demur.web.console import screens
from demur.web.console.desk import Screen
from demur.web.guard import cookie_name

PASSWORD = "correct horse battery"
HOSTILE = "<script>alert(1)</script>"


def staff(service: Service, role: Role, **more: Any) -> Staff:
    countries = more.pop("countries", ["DE"] if role is Role.REGULATOR else [])
    at = service.clock()
    mail = more.pop("email", f"{role.value}@x.org")
    return service.access.staff.add(mail, name=role.value, role=role, at=at, by="test", countries=countries, **more)


def logged_in(client: Any, service: Service, who: Staff) -> str:
    """Give the client a session and return what its forms carry."""
    token = service.access.sessions.open(who.staff_id, Subject.STAFF, service.clock())
    client.cookies.clear()
    client.cookies.set(cookie_name(service.site, "staff"), token)
    found = service.access.sessions.read(token, service.clock(), Subject.STAFF)
    assert found is not None
    return found.csrf


@pytest.fixture
def office(client: Any, service: Service) -> str:
    return logged_in(client, service, staff(service, Role.DPO))


def path_of(screen: Screen, person: str = "nobody") -> str:
    path = screen.path.replace("{person:path}", person).replace("{hold}", "hold-1").replace(":int", "")
    return re.sub(r"\{\w+\}", "1", path)


def ask(client: Any, screen: Screen, csrf: str) -> Any:
    if screen.method == "GET":
        return client.get(path_of(screen))
    return client.post(path_of(screen), data={"csrf": csrf})


@pytest.mark.parametrize("role", list(Role))
def test_every_route_for_every_role(client: Any, service: Service, role: Role) -> None:
    csrf = logged_in(client, service, staff(service, role))
    for screen in screens():
        answer = ask(client, screen, csrf)
        if allows(role, screen.action):
            assert answer.status_code in {200, 303, 400, 404, 409}, (screen.method, screen.path, answer.text)
        else:
            assert answer.status_code == 403, (screen.method, screen.path)


def test_nothing_is_shown_or_done_without_a_login(client: Any, service: Service) -> None:
    for screen in screens():
        answer = ask(client, screen, "")
        if screen.method == "GET":
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/console/login?next=/console")
        else:
            assert answer.status_code == 403
    live = client.get("/console", headers={"hx-request": "true"})
    assert (live.status_code, live.headers["hx-redirect"]) == (401, "/console/login")


@pytest.mark.parametrize("told", [None, "", "0" * 64])
def test_a_form_without_our_token_is_refused(client: Any, service: Service, office: str, told: str | None) -> None:
    before = len(service.access.audit.read(limit=100)), len(service.parts.registry.holds())
    for screen in screens():
        if screen.method == "POST":
            answer = client.post(path_of(screen), data={} if told is None else {"csrf": told})
            assert answer.status_code == 403, screen.path
    assert client.post("/console/logout", data={"csrf": told or ""}).status_code == 403
    assert (len(service.access.audit.read(limit=100)), len(service.parts.registry.holds())) == before
    assert client.get("/console").status_code == 200, "still logged in"


def test_head_answers_and_changes_nothing(client: Any, service: Service, office: str) -> None:
    for screen in screens():
        if screen.method == "GET":
            assert client.head(path_of(screen)).status_code in {200, 303, 400, 404}


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found
    return found[1]


def log_in(client: Any, email: str, password: str, **more: str) -> Any:
    form = {"csrf": csrf_of(client.get("/console/login").text), "email": email, "password": password, **more}
    return client.post("/console/login", data=form)


def test_login_begins_a_new_session_and_logout_ends_it(client: Any, service: Service) -> None:
    staff(service, Role.DPO, password=PASSWORD)
    name = cookie_name(service.site, "staff")
    client.cookies.set(name, "planted")
    answer = log_in(client, "dpo@x.org", PASSWORD, next="/console/holds")
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/holds")
    given = next(line for line in answer.headers.get_list("set-cookie") if line.startswith(f"{name}="))
    assert "planted" not in given
    assert all(flag in given for flag in ("HttpOnly", "SameSite=lax", "Path=/"))
    token = given.removeprefix(f"{name}=").partition(";")[0]
    client.cookies.clear()
    client.cookies.set(name, token)
    page = client.get("/console")
    assert page.status_code == 200
    assert client.post("/console/logout", data={"csrf": csrf_of(page.text)}).status_code == 303
    client.cookies.clear()
    client.cookies.set(name, token)
    assert client.get("/console").status_code == 303


def test_a_failed_login_says_the_same_for_anybody(client: Any, service: Service) -> None:
    staff(service, Role.DPO, password=PASSWORD)
    pages = [log_in(client, mail, "wrong password") for mail in ("dpo@x.org", "nobody@x.org")]
    first, second = (re.sub(r'value="[^"]*"', "", page.text) for page in pages)
    assert [page.status_code for page in pages] == [403, 403]
    assert first == second


def test_a_login_form_of_another_browser_is_refused(client: Any, service: Service) -> None:
    staff(service, Role.DPO, password=PASSWORD)
    csrf = csrf_of(client.get("/console/login").text)
    client.cookies.clear()
    form = {"csrf": csrf, "email": "dpo@x.org", "password": PASSWORD}
    assert client.post("/console/login", data=form).status_code == 403


@pytest.mark.parametrize("told", ["https://evil.example", "//evil.example", "/me", "/console/../me", "/console\\evil"])
def test_after_login_nobody_is_sent_elsewhere(told: str) -> None:
    from demur.web.console.login import safe_next

    assert safe_next(told) == "/console"


def test_over_tls_the_cookie_is_bound_to_the_host(service: Service) -> None:
    from dataclasses import replace

    from starlette.testclient import TestClient

    from demur.web.app import build_app

    staff(service, Role.DPO, password=PASSWORD)
    here = replace(service, site=replace(service.site, origin="https://privacy.example"))
    with TestClient(build_app(here), base_url="https://privacy.example", follow_redirects=False) as client:
        answer = log_in(client, "dpo@x.org", PASSWORD)
    given = next(line for line in answer.headers.get_list("set-cookie") if "staff=" in line and "Max-Age=0" not in line)
    assert given.startswith("__Host-")
    assert "Secure" in given
    assert "domain" not in given.lower()


def test_a_session_ends_with_time_and_with_the_account(client: Any, service: Service, watch: Any) -> None:
    who = staff(service, Role.DPO)
    logged_in(client, service, who)
    assert client.get("/console/holds").status_code == 200
    watch.pass_(minutes=61)
    assert client.get("/console/holds").status_code == 303
    logged_in(client, service, who)
    service.access.staff.disable(who.staff_id, watch.at)
    assert client.get("/console/holds").status_code == 303


def test_pages_load_nothing_from_elsewhere(client: Any, service: Service, office: str) -> None:
    for screen in screens():
        if screen.method == "GET":
            answer = client.get(path_of(screen))
            assert not re.search(r'(src|href|action)="(https?:)?//', answer.text), screen.path
            assert " style=" not in answer.text
            assert " onclick" not in answer.text
    policy = client.get("/console").headers["content-security-policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy


# Scope -------------------------------------------------------------------------------------------------------------


def lives(service: Service, inside: str) -> tuple[str, str]:
    """Return somebody who lives in a country, and somebody who lives elsewhere."""
    at = service.clock()
    homes = {}
    for person in service.parts.registry.everybody():
        found = service.parts.registry.standing(person, as_of=at, known_at=at)
        assert found is not None
        homes[person] = found["standing"][0]["countries_now"] or []
    mine = next(person for person, home in homes.items() if inside in home)
    return mine, next(person for person, home in homes.items() if home and inside not in home)


def test_a_regulator_sees_people_of_its_country_only(client: Any, service: Service) -> None:
    mine, other = lives(service, "DE")
    csrf = logged_in(client, service, staff(service, Role.REGULATOR, countries=["DE"]))
    assert client.get(f"/console/people/{mine}").status_code == 200
    hidden = client.get(f"/console/people/{other}")
    unknown = client.get("/console/people/agora:nobody-at-all")
    assert hidden.status_code == unknown.status_code == 404
    assert hidden.text.replace(other, "") == unknown.text.replace("agora:nobody-at-all", "")
    assert client.get(f"/console/people/{other}?as=json").status_code == 404
    assert client.post("/console/people", data={"csrf": csrf, "text": mine}).status_code == 303
    found = client.post("/console/people", data={"csrf": csrf, "text": other})
    assert "Nobody goes by that name" in found.text


def test_a_regulator_sees_holds_and_figures_of_its_country_only(client: Any, service: Service) -> None:
    logged_in(client, service, staff(service, Role.REGULATOR, countries=["DE"]))
    assert client.get("/console/holds/hold-1").status_code == 404, "that one is about Switzerland"
    assert "hold-1" not in client.get("/console/holds").text
    rows = client.get("/console/objections?as=json").json()
    assert {row["value"] for row in rows if row["axis"] == "country"} <= {"DE"}
    page = client.get("/console").text
    assert "People in the registry" not in page
    assert "Waiting for an erasure" not in page


def test_a_regulator_can_take_evidence_away(client: Any, service: Service) -> None:
    logged_in(client, service, staff(service, Role.REGULATOR))
    assert "\u2014 demur" in client.get("/console/ledger/checkpoint").text
    assert client.get("/console/ledger/0").text.startswith("c2sp.org/tlog-proof")


def test_every_look_at_a_person_is_in_the_trail(client: Any, service: Service, office: str) -> None:
    person = service.parts.registry.everybody()[0]
    client.get(f"/console/people/{person}")
    client.post("/console/people", data={"csrf": office, "text": "somebody@else.example"})
    deeds = [(one.action, one.object_id) for one in service.access.audit.read(limit=5)]
    assert ("people.look", person) in deeds
    assert ("people.search", None) in deeds, "what was searched for is not kept"


# Doing -------------------------------------------------------------------------------------------------------------


def test_whoever_sees_some_countries_lifts_no_hold_of_others(client: Any, service: Service) -> None:
    csrf = logged_in(client, service, staff(service, Role.DPO, countries=["DE"]))
    assert client.post("/console/holds/hold-1/lift", data={"csrf": csrf, "reason": "x"}).status_code == 404
    assert service.access.proposals.waiting() == []
    number = office_flow.propose_lift(service, "hold-1", reason="letter", by="S-1", at=service.clock())
    for answer in ("refuse", "confirm"):
        done = client.post(f"/console/proposals/{number}", data={"csrf": csrf, "answer": answer})
        assert done.status_code == 404
    assert [one.number for one in service.access.proposals.waiting()] == [number]
    assert "letter" not in client.get("/console/holds").text


def test_a_hold_is_placed_by_one_and_lifted_by_two(client: Any, service: Service) -> None:
    first, second = staff(service, Role.DPO), staff(service, Role.APPROVER)
    csrf = logged_in(client, service, first)
    form = {"csrf": csrf, "hold_id": "h-9", "authority": "A", "instrument": "B", "countries": "de at"}
    assert client.post("/console/holds/place", data=form).headers["location"] == "/console/holds/h-9?done=placed"
    (placed,) = [one for one in service.parts.registry.holds() if one.hold_id == "h-9"]
    assert placed.countries == {"DE", "AT"}
    client.post("/console/holds/h-9/lift", data={"csrf": csrf, "reason": "letter"})
    (waiting,) = service.access.proposals.waiting()
    alone = client.post(f"/console/proposals/{waiting.number}", data={"csrf": csrf, "answer": "confirm"})
    assert alone.status_code == 409
    csrf = logged_in(client, service, second)
    done = client.post(f"/console/proposals/{waiting.number}", data={"csrf": csrf, "answer": "confirm"})
    assert done.status_code == 303
    (lifted,) = [one for one in service.parts.registry.holds() if one.hold_id == "h-9"]
    assert lifted.lift is not None
    assert len(set(lifted.lift.by)) == 2


def test_an_objection_by_telephone_counts(client: Any, service: Service, office: str) -> None:
    person = service.parts.registry.everybody()[0]
    client.post("/console/objections/entered", data={"csrf": office, "person": person})
    assert any(one.door == "staff" for one in service.parts.registry.objections_of(person))


def test_a_letter_counts_from_the_day_on_which_it_came(client: Any, service: Service, office: str) -> None:
    came = service.clock() - timedelta(days=28)
    people = service.parts.registry.everybody()
    person = next(one for one in people if not service.parts.registry.objections_of(one))
    for who in ({"person": person}, {"claim": "somebody@elsewhere.example"}):
        form = {"csrf": office, "said_on": f"{came:%Y-%m-%d}", **who}
        assert client.post("/console/objections/entered", data=form).status_code == 303
    (kept,) = service.parts.registry.objections_of(person)
    assert kept.said_at.date() == came.date()
    facts = office_flow.overview(service, None, service.clock())
    assert facts.oldest_unmatched_at is not None
    assert office_flow.overdue(facts.oldest_unmatched_at, service.clock())


def test_an_unmatched_objection_is_matched_and_counts(client: Any, service: Service, office: str) -> None:
    person = service.parts.registry.everybody()[0]
    reference = object_now(by_claim(service, {"handle": "unheard of"})).kept.objection_id
    assert reference in client.get("/console/objections/queue").text
    wrong = client.post(f"/console/objections/queue/{reference}/match", data={"csrf": office, "person": "nobody"})
    assert wrong.status_code == 400
    mistyped = object_now(by_claim(service, {"account_id": "x:12345"})).kept.objection_id
    assert "x:12345" in client.get(f"/console/objections/queue/{mistyped}").text
    for one in (reference, mistyped):
        client.post(f"/console/objections/queue/{one}/match", data={"csrf": office, "person": person})
        assert one in [kept.objection_id for kept in service.parts.registry.objections_of(person)]
    assert service.parts.registry.unmatched() == []
    other = service.parts.registry.everybody()[1]
    again = client.post(f"/console/objections/queue/{mistyped}/match", data={"csrf": office, "person": other})
    assert again.status_code == 400, "what is matched is not somebody else's"


def test_a_campaign_needs_another_person(client: Any, service: Service) -> None:
    csrf = logged_in(client, service, staff(service, Role.DPO))
    at = service.clock() + timedelta(days=120)
    form = {"csrf": csrf, "campaign_id": "c-1", "effective_at": f"{at:%Y-%m-%d}", "countries": "DE"}
    assert client.post("/console/campaigns/draft", data=form).status_code == 303
    assert client.get("/console/campaigns/c-1").status_code == 200
    assert client.post("/console/campaigns/c-1/approve", data={"csrf": csrf}).status_code == 409
    assert client.post("/console/campaigns/c-1/start", data={"csrf": csrf}).status_code == 404, "not approved"
    csrf = logged_in(client, service, staff(service, Role.APPROVER))
    assert client.post("/console/campaigns/c-1/approve", data={"csrf": csrf}).status_code == 303
    csrf = logged_in(client, service, staff(service, Role.OPERATOR))
    assert client.post("/console/campaigns/c-1/start", data={"csrf": csrf}).status_code == 303
    assert "running" in client.get("/console/campaigns/c-1").text
    assert client.get("/console/campaigns/c-1/progress").status_code == 200
    assert client.post("/console/campaigns/c-1/pause", data={"csrf": csrf}).status_code == 400, "a reason is asked"
    assert client.post("/console/campaigns/c-1/pause", data={"csrf": csrf, "reason": "x"}).status_code == 303
    assert "held" in client.get("/console/campaigns/c-1").text


def test_an_account_is_made_and_closed(client: Any, service: Service) -> None:
    csrf = logged_in(client, service, staff(service, Role.OPERATOR))
    form = {"csrf": csrf, "name": "New", "email": "new@x.org", "role": "auditor"}
    assert client.post("/console/staff/add", data=form).status_code == 303
    made = service.access.staff.named("new@x.org")
    assert made is not None
    client.post("/console/staff/disable", data={"csrf": csrf, "staff_id": made.staff_id})
    closed = service.access.staff.named("new@x.org")
    assert closed is not None
    assert closed.disabled_at


# What people write ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [HOSTILE, "{{ 7*7 }}", "a\u202eb", "a\U000e0041b", "=cmd|' /C calc'!A0"])
def test_hostile_texts_are_shown_as_texts(client: Any, service: Service, office: str, text: str) -> None:
    kept = {"type": "profile", "account_id": "agora:evil", "handle": text, "name": text}
    service.parts.registry.record_events(
        [{"type": "account", "account_id": "agora:evil", "person_id": "agora:evil"}, kept], recorded_at=service.clock()
    )
    page = client.get("/console/people/agora:evil").text
    assert HOSTILE not in page
    assert "49" not in re.sub(r"[^ ]*[0-9a-f]{20,}[^ ]*", "", page) or text != "{{ 7*7 }}"
    assert "\u202e" not in page
    assert "\U000e0041" not in page
    if not text.isascii():
        assert "⟨U+" in page


def test_a_table_is_no_program(client: Any, service: Service, office: str) -> None:
    object_now(by_claim(service, {"handle": "x"}))
    told = client.get("/console/objections/queue?as=csv")
    assert told.headers["content-type"].startswith("text/csv")
    assert "attachment" in told.headers["content-disposition"]

    from demur.web.console.table import Column, Table, download

    raw = download(Table("t", (Column("a", "A"),), [{"a": "=1+1"}, {"a": -3}, {"a": "\uff1d1+1"}]), "csv").body
    assert bytes(raw).decode().split("\r\n")[:4] == ["a", "'=1+1", "-3", "'\uff1d1+1"]


def test_small_figures_are_kept_back(client: Any, service: Service, office: str) -> None:
    rows = client.get("/console/objections?as=json").json()
    assert rows
    assert all(row["people"] in ("<5", 0) or row["people"] >= 5 for row in rows)

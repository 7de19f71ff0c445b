"""The console: who may what on every route, forms from elsewhere, sessions, the regulator's country, hostile texts."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from demur.access import Role, Staff, Subject, allows
from demur.access.schema import AUDIT
from demur.clock import micros
from demur.flows import office as office_flow
from demur.flows import request as request_flow
from demur.flows.hold import lift_hold, place_hold
from demur.flows.objection import by_claim, by_link, object_now
from demur.flows.parts import current
from demur.flows.service import Service
from demur.ledger import Entry, EntryKind
from demur.requests import Found, Rule
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
    shutil.rmtree(service.parts.workspace.policies)
    assert "/console/campaigns/c-1/pause" in client.get("/console/campaigns/c-1").text, "without its policy too"
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


def test_a_role_is_changed_by_somebody_else_and_ends_sessions(client: Any, service: Service) -> None:
    office, operator = staff(service, Role.DPO), staff(service, Role.OPERATOR)
    token = service.access.sessions.open(office.staff_id, Subject.STAFF, service.clock())
    csrf = logged_in(client, service, operator)
    form = {"csrf": csrf, "staff_id": office.staff_id, "role": "trainer"}
    assert client.post("/console/staff/role", data={**form, "staff_id": operator.staff_id}).status_code == 409
    assert client.post("/console/staff/role", data={**form, "role": "regulator"}).status_code == 400, "of no country"
    assert client.post("/console/staff/role", data={**form, "role": "king"}).status_code == 400
    assert service.access.sessions.read(token, service.clock(), Subject.STAFF)
    assert client.post("/console/staff/role", data={**form, "countries": "de"}).status_code == 303
    changed = service.access.staff.get(office.staff_id)
    assert changed is not None
    assert (changed.role, changed.countries) == (Role.TRAINER, {"DE"})
    assert service.access.sessions.read(token, service.clock(), Subject.STAFF) is None
    assert service.access.audit.read(limit=1)[0].action == "staff.role.trainer"
    client.post("/console/staff/disable", data={"csrf": csrf, "staff_id": office.staff_id})
    assert client.post("/console/staff/role", data=form).status_code == 400, "closed for good"


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


# What is not so ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entered", [True, False])
def test_what_was_taken_back_is_not_said_to_count(client: Any, service: Service, office: str, entered: bool) -> None:
    registry, at = service.parts.registry, service.clock()
    person = registry.everybody()[0]
    registry.take_back(person, recorded_at=at, reference="W-1")
    said = at - timedelta(days=3)
    if entered:
        form = {"csrf": office, "person": person, "said_on": f"{said:%Y-%m-%d}"}
        answer = client.post("/console/objections/entered", data=form)
    else:
        reference = object_now(by_claim(service, {"handle": "unheard of"}, said_at=said)).kept.objection_id
        answer = client.post(f"/console/objections/queue/{reference}/match", data={"csrf": office, "person": person})
    assert registry.objections_of(person) == []
    page = client.get(answer.headers["location"]).text
    assert "it is not in force" in page
    assert "counts already" not in page


def test_the_number_of_a_notice_is_nobodys_name(client: Any, service: Service, office: str) -> None:
    account = {"type": "account", "account_id": "77", "person_id": "77"}
    service.parts.registry.record_events([account], recorded_at=service.clock())
    object_now(by_link(service, 77))  # of a campaign that is not here
    (row,) = [one for one in service.parts.registry.unmatched() if "77" in str(one.get("claim"))]
    page = client.get(f"/console/objections/queue/{row['objection_id']}").text
    assert "It is them" not in page


@pytest.mark.parametrize(
    ("told", "placed"), [("EU27 no", 28), ("uk", 1), ("el", None), ("EU", None), ("germany", None)]
)
def test_a_hold_is_on_countries_that_are_some(
    client: Any, service: Service, office: str, told: str, placed: int | None
) -> None:
    form = {"csrf": office, "hold_id": "h-9", "authority": "A", "instrument": "B", "countries": told}
    answer = client.post("/console/holds/place", data=form)
    found = [len(one.countries) for one in service.parts.registry.holds() if one.hold_id == "h-9"]
    assert answer.status_code == (303 if placed else 400)
    assert found == ([placed] if placed else [])


def test_an_old_proposal_lifts_no_hold_that_was_placed_since(client: Any, service: Service, watch: Any) -> None:
    first, second = staff(service, Role.DPO), staff(service, Role.APPROVER)
    number = office_flow.propose_lift(service, "hold-1", reason="x", by=first.staff_id, at=service.clock())
    at = watch.pass_(minutes=1)
    lift_hold(service.parts, "hold-1", by=["Ann", "Bea"], reason="done", at=at)
    csrf = logged_in(client, service, second)
    form = {"csrf": csrf, "answer": "confirm"}
    assert client.post(f"/console/proposals/{number}", data=form).status_code == 400, "it is lifted already"
    at = watch.pass_(minutes=1)
    place_hold(service.parts, "hold-1", {"authority": "A", "instrument": "another letter"}, at=at)
    assert client.post(f"/console/proposals/{number}", data=form).status_code == 409
    assert any(one.hold_id == "hold-1" and one.in_force(at) for one in service.parts.registry.holds())
    assert client.post(f"/console/proposals/{number}", data={**form, "answer": "refuse"}).status_code == 303
    assert service.access.proposals.waiting() == []


def test_nobody_proposes_to_lift_an_order_to_erase(client: Any, service: Service, office: str) -> None:
    order = {"authority": "A", "instrument": "order 7", "nature": "order", "countries": ["DE"]}
    place_hold(service.parts, "o-1", order, at=service.clock())
    assert client.post("/console/holds/o-1/lift", data={"csrf": office, "reason": "x"}).status_code == 409
    assert service.access.proposals.waiting() == []


def test_every_list_is_downloaded_whole(client: Any, service: Service, office: str) -> None:
    at = service.clock()
    lines = [{"subject": "S-1", "action": "test", "object_id": None, "at": micros(at)}] * 10_001
    with service.access.database.writing() as connection:
        connection.execute(sa.insert(AUDIT), lines)
    for number in range(60):
        service.parts.log(Entry(EntryKind.POLICY, at, f"p-{number}", {}))
    assert len(client.get("/console/ledger?as=json").json()) == int(
        client.get("/console/ledger/checkpoint").text.splitlines()[1]
    )
    assert len(client.get("/console/audit?as=json").json()) > 10_000
    assert len(client.get("/console/ledger").text) < 100_000


@pytest.mark.parametrize(
    "path", ["/console/people/{person}?from=²", "/console/ledger?before=²", "/console/audit?before=²"]
)
def test_odd_numbers_are_none(client: Any, service: Service, office: str, path: str) -> None:
    asked = path.format(person=service.parts.registry.everybody()[0])
    assert client.get(asked).status_code == 200


def test_a_damaged_corpus_hides_nobody_and_nothing_else(client: Any, service: Service, office: str) -> None:
    person = service.parts.registry.everybody()[0]
    space = service.parts.workspace
    (space.corpora / str(current(space).corpus) / "manifest.json").write_text("{")
    (space.models / "m").mkdir(parents=True)
    (space.models / "m" / "manifest.json").write_text("{")
    assert "nobody knows what waits" in client.get("/console").text
    assert "cannot be read" in client.get("/console/models").text
    page = client.get(f"/console/people/{person}")
    assert page.status_code == 200
    assert "is damaged or gone" in page.text
    assert client.get(f"/console/people/{person}?as=json").json()["not_readable"]


def test_whoever_sees_some_countries_sees_what_is_known_to_come_from_there(client: Any, service: Service) -> None:
    numbers = {
        country: request_flow.receive(
            service, {"contact": f"a@{country}.example"}, None, language="en", country=country
        )
        for country in ("DE", "FR", None)
    }
    reference = object_now(by_claim(service, {"handle": "unheard of"})).kept.objection_id
    csrf = logged_in(client, service, staff(service, Role.DPO, countries=["DE"]))
    assert {row["reference"] for row in client.get("/console/requests?as=json").json()} == {f"R-{numbers['DE']}"}
    assert client.get(f"/console/requests/{numbers['DE']}").status_code == 200
    for country in ("FR", None):
        path = f"/console/requests/{numbers[country]}"
        assert client.get(path).status_code == 404
        for name in ("decide", "extend", "answer", "rerun"):
            assert client.post(f"{path}/{name}", data={"csrf": csrf, "delay": "complex"}).status_code == 404
    assert client.get("/console/objections/queue?as=json").json() == []
    person = lives(service, "DE")[0]
    assert client.get(f"/console/objections/queue/{reference}").status_code == 404
    form = {"csrf": csrf, "person": person}
    assert client.post(f"/console/objections/queue/{reference}/match", data=form).status_code == 404
    assert service.parts.registry.unmatched(reference)
    assert "Requests that wait for an answer, none of them urgent: 1<" in client.get("/console").text


@pytest.mark.parametrize(("reason", "verdict"), [("about_you", "confirmed"), ("somebody_else", "rejected")])
def test_the_certain_ones_are_decided_and_nobody_elses(
    client: Any, service: Service, office: str, reason: str, verdict: str
) -> None:
    number = request_flow.receive(service, {"contact": "a@b.example"}, None, language="en")
    found = [(Found(f"agora:{name}", Rule.NAME, 1.0, name == "sure"), None) for name in ("sure", "perhaps")]
    service.requests.begin(number, "x")
    service.requests.found(number, found, parts_done=1)
    service.requests.searched(number)
    form = {"csrf": office, "reason": reason, "which": "certain"}
    assert client.post(f"/console/requests/{number}/decide", data=form).status_code == 303
    decided = {one.item_id: one.verdict.value for one in service.requests.proposals(number)}
    assert decided == {"agora:sure": verdict, "agora:perhaps": "proposed"}

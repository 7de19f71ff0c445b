"""Login through a real provider in this process: whoever should get in does, and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from oidc_provider import CLIENT, SECRET, Provider
from starlette.testclient import TestClient
from web_worlds import NETWORK, Watch, loopback, serving

from demur.access import Role
from demur.flows.service import Service
from demur.terms.site import OidcProvider
from demur.web.app import build_app

FIRST = NETWORK.person(0).accounts[0]
PERSON = f"{FIRST['service']}:{FIRST['person_hint']}"


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with loopback() as listener:
        provider = Provider(f"http://127.0.0.1:{listener.getsockname()[1]}")
        with serving(provider.app(), listener):
            yield provider


@pytest.fixture
def provider(running: Provider, watch: Watch) -> Provider:
    running.login_as, running.twist, running.header, running.metadata = {"sub": "nobody"}, {}, {}, {}
    running.now = lambda: watch().timestamp()
    running.codes.clear()
    running.asked.clear()
    running.signer = running.key
    return running


@pytest.fixture
def members(service: Service, provider: Provider) -> Service:
    asked = OidcProvider(provider.url, CLIENT, SECRET)
    return replace(service, site=replace(service.site, members=asked, staff=asked))


@pytest.fixture
def site(members: Service) -> Iterator[TestClient]:
    with TestClient(build_app(members), base_url=members.site.origin, follow_redirects=False) as client:
        yield client


def through(site: TestClient, *, who: str = "members", then: str = "/me") -> str:
    """Begin a login, go to the provider, and return the address that it sends the browser back to."""
    begun = site.get(f"/login/{who}", params={"next": then})
    assert begun.status_code == 303
    return httpx.get(begun.headers["location"]).headers["location"]


def back(site: TestClient, url: str, **changed: str) -> Any:
    parts = urlsplit(url)
    told = {name: values[0] for name, values in parse_qs(parts.query).items()} | changed
    return site.get(parts.path, params={name: value for name, value in told.items() if value})


def test_a_member_gets_to_their_page(site: TestClient, provider: Provider, members: Service) -> None:
    provider.login_as = {"sub": PERSON}
    answer = back(site, through(site, then="/widget"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/widget")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("demur-member="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert FIRST["account_id"] in site.get("/me").text


def test_only_pages_of_ours_come_after_a_login(site: TestClient, provider: Provider) -> None:
    provider.login_as = {"sub": PERSON}
    for then in ("//evil.example", "https://evil.example/me", "/console", ""):
        assert back(site, through(site, then=then)).headers["location"] == "/me"


def test_an_account_id_with_a_prefix_names_its_owner(members: Service, provider: Provider) -> None:
    account = NETWORK.person(0).accounts[0]["account_id"]
    prefix, _, name = account.rpartition(":")
    asked = OidcProvider(provider.url, CLIENT, SECRET, person_claim="uid", account_prefix=f"{prefix}:")
    there = replace(members, site=replace(members.site, members=asked))
    provider.login_as = {"sub": "s", "uid": name}
    with TestClient(build_app(there), base_url=there.site.origin, follow_redirects=False) as site:
        back(site, through(site))
        assert account in site.get("/me").text


def test_a_name_of_a_person_and_of_somebody_elses_account_lets_nobody_in(
    site: TestClient, provider: Provider, members: Service
) -> None:
    event = {"type": "account", "account_id": PERSON, "person_id": "agora:somebody-else"}
    members.parts.registry.record(event, recorded_at=members.clock())
    provider.login_as = {"sub": PERSON}
    assert back(site, through(site)).status_code == 403
    assert site.get("/me").status_code == 303


def test_a_handle_or_an_address_names_nobody(site: TestClient, provider: Provider) -> None:
    known = NETWORK.person(0).accounts[0]
    for name in (known["handle"], known["contact"]):
        provider.login_as = {"sub": name}
        back(site, through(site))
        page = site.get("/me?lang=en").text
        assert "We know of no account of yours" in page
        assert known["account_id"] not in page


def cookie(site: TestClient, name: str) -> str:
    return next(str(one.value) for one in site.cookies.jar if one.name == name)


def test_each_login_has_a_session_of_its_own_and_ends_the_one_before(
    site: TestClient, provider: Provider, members: Service
) -> None:
    provider.login_as = {"sub": PERSON}
    back(site, through(site))
    first = cookie(site, "demur-member")
    back(site, through(site))
    assert cookie(site, "demur-member") != first  # none can be planted
    with TestClient(build_app(members), base_url=members.site.origin, follow_redirects=False) as other:
        other.cookies.set("demur-member", first)
        assert other.get("/me").status_code == 303


@pytest.mark.parametrize(
    "twist",
    [
        {"aud": "somebody else"},
        {"aud": ["demur", "somebody else"]},  # several audiences and no azp (§3.1.3.7, 3)
        {"iss": "https://evil.example"},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": 1_000_000_000},
        {"exp": None},
        {"sub": None},
        {"iat": None},
        {"azp": "somebody else"},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_login_is_refused(
    site: TestClient, provider: Provider, twist: dict[str, Any]
) -> None:
    provider.login_as, provider.twist = {"sub": PERSON}, twist
    assert back(site, through(site)).status_code == 403
    assert site.get("/me").status_code == 303


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_a_token_without_a_public_keys_signature_is_refused(
    site: TestClient, provider: Provider, algorithm: str
) -> None:
    provider.login_as, provider.header = {"sub": PERSON}, {"alg": algorithm}
    assert back(site, through(site)).status_code == 403


def test_a_strangers_signature_is_refused(site: TestClient, provider: Provider) -> None:
    from joserfc.jwk import RSAKey

    provider.login_as = {"sub": PERSON}
    provider.signer = RSAKey.generate_key(2048, parameters={"kid": str(provider.key.kid)})
    assert back(site, through(site)).status_code == 403


def test_keys_may_rotate(site: TestClient, provider: Provider) -> None:
    provider.login_as = {"sub": PERSON}
    assert back(site, through(site)).status_code == 303
    provider.rotate()
    assert back(site, through(site)).status_code == 303
    assert provider.asked == ["jwks", "jwks"]


def test_another_browser_cannot_finish_a_login(site: TestClient, provider: Provider, members: Service) -> None:
    """Login CSRF: the address of an attacker's own login, opened by somebody else."""
    provider.login_as = {"sub": PERSON}
    url = through(site)
    with TestClient(build_app(members), base_url=members.site.origin, follow_redirects=False) as other:
        assert back(other, url).status_code == 403
        through(other)  # nor one that began its own
        assert back(other, url).status_code == 403


def test_a_login_is_finished_once_and_in_time(site: TestClient, provider: Provider, watch: Watch) -> None:
    provider.login_as = {"sub": PERSON}
    url = through(site)
    kept = cookie(site, "demur-begun-members")
    assert back(site, url).status_code == 303
    site.cookies.clear()
    site.cookies.set("demur-begun-members", kept)
    assert back(site, url).status_code == 403
    site.cookies.clear()
    url = through(site)
    watch.pass_(minutes=11)
    assert back(site, url).status_code == 403


@pytest.mark.parametrize("changed", [{"state": "x"}, {"state": ""}, {"code": "x"}, {"code": ""}, {"iss": "https://e"}])
def test_a_changed_answer_is_refused(site: TestClient, provider: Provider, changed: dict[str, str]) -> None:
    provider.login_as = {"sub": PERSON}
    url = through(site)
    assert back(site, url, **changed).status_code == 403


def test_a_members_login_is_no_login_of_staff(site: TestClient, provider: Provider) -> None:
    """Mix-up: each side comes back to an address of its own, with a cookie of its own."""
    provider.login_as = {"sub": PERSON, "email": "dpo@agora.example", "email_verified": True}
    url = through(site)
    assert back(site, url.replace("/members/", "/staff/")).status_code == 403
    kept = cookie(site, "demur-begun-members")
    site.cookies.set("demur-begun-staff", kept)
    assert back(site, url.replace("/members/", "/staff/")).status_code == 403


def test_staff_need_an_account_and_a_verified_address(site: TestClient, provider: Provider, members: Service) -> None:
    provider.login_as = {"sub": "s", "email": "dpo@agora.example", "email_verified": True}
    assert back(site, through(site, who="staff")).status_code == 403
    staff = members.access.staff
    staff.add("dpo@agora.example", name="D", role=Role.DPO, at=members.clock(), by="cli")
    answer = back(site, through(site, who="staff"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    provider.login_as["email_verified"] = False
    assert back(site, through(site, who="staff")).status_code == 403


def test_a_provider_that_names_another_issuer_is_not_asked(site: TestClient, provider: Provider) -> None:
    provider.metadata = {"issuer": "https://evil.example"}
    assert site.get("/login/members").status_code == 502
    provider.metadata = {"token_endpoint": "http://evil.example/token"}
    assert site.get("/login/members").status_code == 502


def test_gpc_is_an_objection_when_the_site_says_so(members: Service, provider: Provider) -> None:
    person = next(
        f"{one.accounts[0]['service']}:{one.accounts[0]['person_hint']}" for one in NETWORK.stream()
        if one.accounts and not one.profile.objections
    )  # fmt: skip
    provider.login_as = {"sub": person}
    for honour in (False, True):
        there = replace(members, site=replace(members.site, honour_gpc=honour))
        with TestClient(build_app(there), base_url=there.site.origin, follow_redirects=False) as site:
            url = through(site)
            parts = urlsplit(url)
            site.get(f"{parts.path}?{parts.query}", headers={"sec-gpc": "1"})
            assert bool(members.parts.registry.objections_of(person)) is honour
            site.get("/widget", headers={"sec-gpc": "1"})


def test_a_login_without_gpc_objects_to_nothing(site: TestClient, provider: Provider, members: Service) -> None:
    provider.login_as = {"sub": PERSON}
    before = members.parts.registry.objections_of(PERSON)
    back(site, through(site))
    assert members.parts.registry.objections_of(PERSON) == before


def test_logging_out_ends_the_session_and_needs_its_form(site: TestClient, provider: Provider) -> None:
    provider.login_as = {"sub": PERSON}
    back(site, through(site))
    assert site.post("/logout", data={"csrf": "x"}).status_code == 403
    csrf = site.get("/me").text.split('name="csrf" value="')[1].split('"')[0]
    assert site.post("/logout", data={"csrf": csrf}).status_code == 303
    assert site.get("/me").status_code == 303

"""The guard before every page: whose address counts, who waits, what is refused, and that a genuine no never waits."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import web_worlds
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from demur.flows.feed import feed_token
from demur.flows.service import Service
from demur.notice.inapp import app_key
from demur.store.links import LinkPurpose
from demur.web import guard
from demur.web.guard import Buckets, ClientAddress, Limit, Limits, prefix_of

TIGHT = Limits(read=Limit(5, 0.001), write=Limit(3, 0.001), login=Limit(2, 0.001), link=Limit(4, 0.001))
PROXY = "10.0.0.7"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """An empty workspace, opened once: nothing here writes into it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("DEMUR_REGISTRY_URL", raising=False)
        with web_worlds.opened(tmp_path_factory.mktemp("guard")) as found:
            yield found


async def _echo(request: Request) -> Response:
    body = await request.body()
    return PlainTextResponse(f"{guard.address_of(request)} {len(body)}")


def _broken(_request: Request) -> Response:
    raise ZeroDivisionError("a bug")


@contextmanager
def guarded(service: Service, *, limits: Limits = TIGHT, peer: str = PROXY, **site: Any) -> Iterator[TestClient]:
    here = replace(service, site=replace(service.site, **site))
    both = ["GET", "POST"]
    routes = [Route("/broken", _broken), Route("/{rest:path}", _echo, methods=both)]
    app = Starlette(routes=routes, middleware=guard.guards(here, limits))
    app.state.service = here
    with TestClient(app, base_url=here.site.origin, client=(peer, 9), raise_server_exceptions=False) as client:
        yield client


def _from(address: str) -> dict[str, str]:
    return {"x-forwarded-for": address}


# Whose address -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peer", "told", "trusted", "client"),
    [
        ("198.51.100.1", "203.0.113.9", (), "198.51.100.1"),  # nobody is trusted: the header is the client's own word
        ("198.51.100.1", "203.0.113.9", ("10.0.0.0/8",), "198.51.100.1"),  # nor a stranger
        (PROXY, "203.0.113.9", ("10.0.0.0/8",), "203.0.113.9"),
        (PROXY, "1.2.3.4, 203.0.113.9", ("10.0.0.0/8",), "203.0.113.9"),  # what stands left may be made up
        (PROXY, "1.2.3.4, 203.0.113.9, 10.0.0.8", ("10.0.0.0/8",), "203.0.113.9"),  # two proxies of ours
        (PROXY, "10.1.1.1, 10.0.0.8", ("10.0.0.0/8",), "10.1.1.1"),  # a request from inside
        (PROXY, "1.2.3.4, unknown", ("10.0.0.0/8",), PROXY),
        (PROXY, "", ("10.0.0.0/8",), PROXY),
        (PROXY, "203.0.113.9:55012", ("10.0.0.0/8",), "203.0.113.9"),
        (PROXY, "[2001:db8::9]:55012", ("10.0.0.0/8",), "2001:db8::9"),
        (PROXY, "2001:db8::9", ("10.0.0.0/8",), "2001:db8::9"),
        ("::ffff:10.0.0.7", "203.0.113.9", ("10.0.0.0/8",), "203.0.113.9"),
    ],
)
def test_only_a_trusted_proxy_says_who_the_client_is(
    service: Service, peer: str, told: str, trusted: tuple[str, ...], client: str
) -> None:
    with guarded(service, peer=peer, trusted_proxies=trusted) as site:
        assert site.get("/x", headers=_from(told)).text == f"{client} 0"


@given(st.lists(st.ip_addresses(), max_size=5), st.ip_addresses(v=4).filter(lambda one: one not in _INSIDE))
def test_whatever_a_client_writes_to_the_left_its_own_address_counts(made_up: list[Any], true: Any) -> None:
    found = ClientAddress(_echo, ["10.0.0.0/8"])._client(PROXY, ",".join([*map(str, made_up), str(true)]))  # type: ignore[arg-type]
    assert found == str(true)


_INSIDE = ipaddress.ip_network("10.0.0.0/8")


@given(st.ip_addresses())
def test_an_address_lies_in_its_prefix(address: Any) -> None:
    network = ipaddress.ip_network(prefix_of(str(address)))
    assert (getattr(address, "ipv4_mapped", None) or address) in network
    assert network.prefixlen == (24 if network.version == 4 else 56)


# Who waits ---------------------------------------------------------------------------------------------------------


def test_behind_a_proxy_each_network_has_its_own_limit(service: Service) -> None:
    """CVE-2025-57816: a limit on the proxy's address is one limit for the whole world."""
    with guarded(service, trusted_proxies=("10.0.0.0/8",)) as site:
        loud = [site.post("/x", headers=_from(f"203.0.113.{n}")).status_code for n in range(5)]
        assert loud == [200, 200, 200, 429, 429]
        assert site.post("/x", headers=_from("198.51.100.1")).status_code == 200
        wide = [site.post("/x", headers=_from(f"2001:db8:0:1{n:02x}::1")).status_code for n in range(4)]
        assert wide == [200, 200, 200, 429]  # one /56


def test_a_made_up_header_opens_no_new_bucket(service: Service) -> None:
    with guarded(service, peer="198.51.100.1", trusted_proxies=("10.0.0.0/8",)) as site:
        answers = [site.post("/x", headers=_from(f"203.0.{n}.1")).status_code for n in range(4)]
    assert answers == [200, 200, 200, 429]


def test_who_must_wait_is_told_how_long_and_of_the_other_door(service: Service) -> None:
    with guarded(service) as site:
        answers = [site.get("/x") for _ in range(6)]
        refused = answers[-1]
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert service.site.contact in refused.text
        assert refused.headers["content-security-policy"]
        assert site.get("/api/x").json()["error"] == "too_many_requests"


def test_logins_are_limited_apart_and_tighter(service: Service) -> None:
    with guarded(service) as site:
        assert [site.post("/login/x").status_code for _ in range(3)] == [200, 200, 429]
        assert site.post("/o/x").status_code == 200


def test_a_genuine_link_works_while_its_whole_network_waits(service: Service) -> None:
    token = service.links.token(LinkPurpose.OBJECT, 7)
    forged = service.links.token(LinkPurpose.UNDO, 7)
    with guarded(service) as site:
        assert [site.post(f"/o/{forged}").status_code for _ in range(4)][-1] == 429
        assert [site.post(f"/o/{token}").status_code for _ in range(5)] == [200, 200, 200, 200, 429]
        other = service.links.token(LinkPurpose.OBJECT, 8)
        assert site.post(f"/o/{other}/one-click").status_code == 200


def test_the_platforms_own_servers_never_wait_and_nobody_passes_for_them(service: Service) -> None:
    app, fed = app_key(service.parts.keys), feed_token(service.parts.keys, "agora")
    with guarded(service) as site:

        def last(path: str, key: str) -> int:
            return [site.post(path, headers={"authorization": f"Bearer {key}"}).status_code for _ in range(5)][-1]

        assert last("/api/app/mail-reports", app) == 200
        assert last("/api/feed/agora", fed) == 200
        for path, key in (("/api/x", fed), ("/api/feed/agora", app), ("/api/feed/other", fed), ("/me/object", app)):
            assert last(path, key) == 429


def test_patience_is_short() -> None:
    now = [0.0]
    buckets = Buckets(10, lambda: now[0])
    limit = Limits().write
    while buckets.take("write", "net", limit) == 0:
        pass
    assert buckets.take("write", "net", limit) <= 60
    now[0] += 60
    assert buckets.take("write", "net", limit) == 0


@given(st.lists(st.tuples(st.floats(0, 5), st.integers(0, 3)), max_size=200))
def test_no_bucket_gives_more_than_burst_and_rate_and_few_are_kept(steps: list[tuple[float, int]]) -> None:
    now = [0.0]
    buckets = Buckets(3, lambda: now[0])
    limit = Limit(3, 0.5)
    given_out = dict.fromkeys(range(4), 0)
    for pause, key in steps:
        now[0] += pause
        if key < 3:
            given_out[key] += buckets.take("read", str(key), limit) == 0
        assert len(buckets) <= 3
    assert all(count <= 3 + 0.5 * now[0] + 1e-6 for count in given_out.values())


# What is refused ---------------------------------------------------------------------------------------------------


def test_another_host_is_refused(service: Service) -> None:
    with guarded(service, origin="https://privacy.agora.example") as site:
        assert site.get("/x").status_code == 200
        assert site.get("/x", headers={"host": "evil.example"}).status_code == 421
        assert site.get("/x", headers={"host": "127.0.0.1"}).status_code == 421
    with guarded(service, origin="http://127.0.0.1:8350") as site:
        assert site.get("/x", headers={"host": "localhost:9000"}).status_code == 200


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND"])
def test_unknown_methods_are_refused(service: Service, method: str) -> None:
    with guarded(service) as site:
        assert site.request(method, "/x").status_code == 501


def test_a_body_is_no_larger_than_a_form(service: Service) -> None:
    big = b"x" * (guard.BODY_BYTES + 1)

    def dripping() -> Iterator[bytes]:
        for _ in range(guard.BODY_BYTES // 1024 + 1):
            yield b"x" * 1024

    with guarded(service, limits=Limits()) as site:
        assert site.post("/x", content=big[1:]).text.endswith(f" {guard.BODY_BYTES}")
        assert site.post("/x", content=big).status_code == 413
        assert site.post("/x", content=dripping()).status_code == 413  # chunked: no length is told
        assert site.post("/request", content=big).status_code == 200
        assert site.post("/x", content=b"", headers={"content-length": "-1"}).status_code in {400, 413}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"cookie": "demur-member=x", "sec-fetch-site": "cross-site"}, 403),
        ({"cookie": "demur-member=x", "sec-fetch-site": "same-site"}, 403),
        ({"cookie": "__Host-demur-member=x", "origin": "https://evil.example"}, 403),
        ({"cookie": "demur-member=x", "origin": "null"}, 403),
        ({"cookie": "demur-member=x", "sec-fetch-site": "same-origin"}, 200),
        ({"cookie": "demur-member=x", "origin": "http://127.0.0.1:8350"}, 200),
        ({"sec-fetch-site": "cross-site", "origin": "https://mail.example"}, 200),  # one-click from a mailbox
    ],
)
def test_another_sites_form_cannot_use_our_cookies(service: Service, headers: dict[str, str], status: int) -> None:
    with guarded(service) as site:
        assert site.post("/x", headers=headers).status_code == status
        assert site.get("/x", headers=headers).status_code == 200


def test_a_bug_answers_with_a_page_and_all_headers(service: Service) -> None:
    with guarded(service) as site:
        answer = site.get("/broken")
    assert answer.status_code == 500
    assert "Nothing was lost" in answer.text
    assert "ZeroDivisionError" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")

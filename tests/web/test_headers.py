"""Every answer's headers (SEC-06): no script, no frame, no other host, nothing cached, nothing told to others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from starlette.testclient import TestClient

from demur.flows.service import Service
from demur.web.app import build_app

PEOPLES = ("/", "/nothing", "/me", "/login", "/static/demur.css")


@pytest.mark.parametrize("path", PEOPLES)
def test_people_get_no_scripts_and_no_frames(client: Any, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "strict-transport-security" not in headers  # plain http on loopback


def test_only_the_console_runs_scripts_and_only_its_own(client: Any) -> None:
    assert "script-src 'self'" in client.get("/console/nothing").headers["content-security-policy"]
    assert "script-src" not in client.get("/consolex").headers["content-security-policy"]


def test_over_tls_browsers_stay_there(service: Service) -> None:
    there = replace(service, site=replace(service.site, origin="https://privacy.agora.example"))
    with TestClient(build_app(there), base_url=there.site.origin) as client:
        assert client.get("/nothing").headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.parametrize("path", ["/", "/nothing", "/me"])
def test_pages_are_kept_nowhere(client: Any, path: str) -> None:
    assert client.get(path).headers["cache-control"] == "no-store"


def test_a_page_asks_nobody_else(live: Any) -> None:
    page = live.page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto("/nothing")
    assert asked
    assert all(url.startswith(live.url) for url in asked)

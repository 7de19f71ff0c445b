"""In-app notices: kept once, posted with a signature until they are taken, shown until they are seen."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import orjson
import pytest
from notice_worlds import ANNA, AT, Watch, mail_to, renderer, service_at
from starlette.applications import Starlette
from starlette.testclient import TestClient

from demur.flows import inapp as flow
from demur.flows.objection import by_person, object_now
from demur.flows.service import Service
from demur.notice import inapp
from demur.notice.channels import IN_APP, Surroundings, channel_named
from demur.notice.inapp import WAITS, app_key, is_app, keep, webhook_secret
from demur.notice.schema import APP_MESSAGES, CAMPAIGNS, DELIVERIES
from demur.terms.notice import Outgoing
from demur.web.inapp import routes


class App:
    """The platform's server: says what it is told to, keeps what it got."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.says = [204]
        app = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                app.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(app.says[min(len(app.got), len(app.says)) - 1])
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@pytest.fixture
def app() -> Iterator[App]:
    made = App()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def service(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, watch: Watch, app: App) -> Iterator[Service]:
    if url.startswith("postgresql"):
        monkeypatch.setenv("DEMUR_REGISTRY_URL", url)
    with service_at(tmp_path, watch, in_app_webhook=app.url) as opened:
        campaign = {"campaign_id": "spring", "purpose": "x", "countries": "[]", "channels": "[]", "effective_at": 0}
        campaign |= {"notice_days": 45, "status": "running", "status_at": 0, "policy": "x", "policy_digest": "x"}
        row = {"number": 42, "campaign_id": "spring", "person_id": "p1", "language": "en", "channel": "inapp"}
        row |= {"destination": "inapp", "state": "accepted", "attempt": 1}
        row |= {"fallback": '[["email", "anna@example.org", "example.org"]]'}
        with opened.notice.database.writing() as connection:
            connection.execute(CAMPAIGNS.insert().values(**campaign, made_by="x", made_at=0))
            connection.execute(DELIVERIES.insert().values(**row, not_before=0, state_at=0))
        yield opened


def notice(service: Service, **told: Any) -> Outgoing:
    row = ANNA._replace(channel=IN_APP, address=None, **told)
    return mail_to(renderer(service.parts.workspace.root).render(row, 1, service.clock()))


def states(service: Service) -> tuple[str, str, str]:
    """State of the app's message; state and channel of the delivery."""
    with service.notice.database.reading() as connection:
        row = connection.execute(DELIVERIES.select()).one()
        return connection.scalar(APP_MESSAGES.select().with_only_columns(APP_MESSAGES.c.state)), row.state, row.channel


def hold(service: Service, status: str) -> None:
    with service.notice.database.writing() as connection:
        connection.execute(CAMPAIGNS.update().values(status=status))


def test_the_channel_keeps_and_answers(service: Service) -> None:
    async def send() -> list[str]:
        around = Surroundings(service.site, service.notice, service.parts.keys, Path("unused"))
        channel = channel_named(IN_APP, around)
        await channel.open()
        found = [result.outcome.value async for result in channel.send([notice(service)])]
        await channel.close()
        return found

    assert asyncio.run(send()) == ["accepted"]
    assert states(service) == ("waiting", "accepted", "inapp")


def test_a_webhook_is_signed_so_that_the_platform_can_check_it(service: Service, app: App) -> None:
    keep(service.notice, [notice(service)])
    assert (flow.step(service), flow.step(service)) == (1, 0)
    headers, body = app.got[0]
    assert orjson.loads(body)["data"]["person"] == "p1"
    secret = base64.b64decode(webhook_secret(service.parts.keys).removeprefix("whsec_"))
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{mac}"
    assert headers["webhook-timestamp"] == str(int(AT.timestamp()))
    assert states(service) == ("posted", "accepted", "inapp")  # received by the app is not seen by the person


def test_a_webhook_that_fails_is_tried_again_and_ends_as_a_dead_letter(
    service: Service, app: App, watch: Watch
) -> None:
    app.says = [500, 302, 404, 429, 503, 500, 500, 500]
    keep(service.notice, [notice(service)])
    for pause in WAITS:
        assert flow.step(service) == 1
        watch.pass_(seconds=pause.total_seconds() - 1)
        assert flow.step(service) == 0
        watch.pass_(seconds=1)
    assert states(service) == ("waiting", "accepted", "inapp")
    assert flow.step(service) == 1
    assert states(service) == ("dead", "waiting", "email")  # told over the next channel
    assert {headers["webhook-id"] for headers, _ in app.got} == {"n42"}
    assert inapp.revive(service.notice, watch()) == 1


def test_a_webhook_that_is_gone_is_never_called_again(service: Service, app: App) -> None:
    app.says = [410]
    keep(service.notice, [notice(service)])
    flow.step(service)
    assert states(service) == ("dead", "waiting", "email")


def test_nobody_at_the_other_end_defers(service: Service) -> None:
    keep(service.notice, [notice(service)])
    away = replace(service, site=replace(service.site, in_app_webhook="http://127.0.0.1:1/"))
    assert (flow.step(away), flow.step(away)) == (1, 0)
    assert states(service) == ("waiting", "accepted", "inapp")


@pytest.mark.parametrize("status", ["held", "cancelled"])
def test_a_campaign_that_is_off_posts_and_shows_nothing(service: Service, app: App, status: str) -> None:
    keep(service.notice, [notice(service)])
    hold(service, status)
    assert flow.step(service) == 0
    assert flow.shown(service, "p1") == []
    assert app.got == []
    hold(service, "running")
    assert len(flow.shown(service, "p1")) == 1


def test_who_objected_is_asked_no_more_in_the_app_either(service: Service, app: App) -> None:
    keep(service.notice, [notice(service)])
    assert len(flow.shown(service, "p1")) == 1
    object_now(by_person(service, "p1"))
    service.writer.close()
    assert flow.shown(service, "p1") == []
    assert flow.step(service) == 0
    assert app.got == []


def test_an_effective_campaign_posts_to_who_comes_late(service: Service, app: App) -> None:
    keep(service.notice, [notice(service)])
    hold(service, "effective")
    assert flow.step(service) == 1
    assert len(app.got) == 1


def test_keeping_twice_keeps_one(service: Service, watch: Watch) -> None:
    keep(service.notice, [notice(service)])
    watch.pass_(hours=1)
    keep(service.notice, [notice(service)])
    assert len(flow.shown(service, "p1")) == 1


def test_seen_counts_once_for_that_person_only(service: Service, watch: Watch) -> None:
    keep(service.notice, [notice(service)])
    assert not flow.seen(service, 42, "p2")
    assert not flow.seen(service, 43, "p1")
    assert states(service) == ("waiting", "accepted", "inapp")
    for _ in range(2):
        assert flow.seen(service, 42, "p1")
        watch.pass_(hours=1)
    assert states(service) == ("seen", "seen", "inapp")
    assert flow.step(service) == 0
    assert flow.shown(service, "p1") == []
    with service.notice.database.reading() as connection:
        assert connection.scalar(DELIVERIES.select().with_only_columns(DELIVERIES.c.state_at)) == int(
            AT.timestamp() * 1e6
        )


def test_a_notice_that_went_on_to_mail_keeps_that_state(service: Service) -> None:
    keep(service.notice, [notice(service)])
    with service.notice.database.writing() as connection:
        connection.execute(DELIVERIES.update().values(channel="email", state="waiting"))
    assert flow.seen(service, 42, "p1")
    assert states(service) == ("seen", "waiting", "email")


# Over HTTP


@pytest.fixture
def client(service: Service) -> Iterator[TestClient]:
    site = Starlette(routes=routes())
    site.state.service = service
    with TestClient(site) as opened:
        yield opened


def test_the_app_pulls_shows_and_confirms(service: Service, client: TestClient) -> None:
    keep(service.notice, [notice(service)])
    key = {"authorization": f"Bearer {app_key(service.parts.keys)}"}
    for _ in range(3):  # reading changes nothing
        told = client.get("/api/app/notices?person=p1", headers=key)
        assert [one["id"] for one in told.json()["notices"]] == ["n42"]
        assert states(service) == ("waiting", "accepted", "inapp")
    assert client.get("/api/app/notices?person=p2", headers=key).json() == {"notices": []}
    assert client.get("/api/app/notices", headers=key).status_code == 422
    assert client.post("/api/app/notices/n42/seen", headers=key, json={"person": "p2"}).status_code == 404
    assert client.post("/api/app/notices/n42/seen", headers=key, content=b"{").status_code == 422
    assert client.post("/api/app/notices/n42/seen", headers=key, json={"person": "p1"}).status_code == 204
    assert client.get("/api/app/notices?person=p1", headers=key).json() == {"notices": []}
    assert client.post("/api/app/mail-reports", headers=key, content=b"hello").json() == {"became": "unread"}


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer x", "Basic {key}", "{key}", "Bearer {key}x", "Bearer \u00fc"])
def test_without_the_key_the_app_interface_says_nothing(service: Service, client: TestClient, given: str) -> None:
    told = given.format(key=app_key(service.parts.keys))
    assert not is_app(service.parts.keys, told)
    headers = {"authorization": told.encode("latin-1")}
    for answer in (
        client.get("/api/app/notices?person=p1", headers=headers),
        client.post("/api/app/notices/n42/seen", headers=headers, json={"person": "p1"}),
        client.post("/api/app/mail-reports", headers=headers, content=b"x"),
    ):
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")

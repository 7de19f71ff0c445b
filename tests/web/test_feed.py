"""The live feed's door: its own token only, durable before the answer, described counts, bounded bodies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import web_worlds

from demur.flows import feed
from demur.flows.service import Service
from demur.intake.feed_queue import FeedQueue
from demur.notice.inapp import app_key

GOOD = {"type": "create", "item_id": "9", "at": "2026-01-01", "kind": "post", "account_id": "ann",
        "audience": "public", "text": "hello"}  # fmt: skip


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A workspace that holds nothing yet: a feed may be its beginning."""
    with web_worlds.opened(tmp_path / "home") as found:
        yield found


def headers(service: Service, name: str = "forum") -> dict[str, str]:
    return {"authorization": f"Bearer {feed.feed_token(service.parts.keys, name)}"}


def waiting(service: Service) -> list[tuple[str, int]]:
    with FeedQueue(service.parts.workspace.database_url("feed")) as queue:
        return [(one.service, one.batches) for one in queue.waiting()]


def test_a_batch_is_kept_before_it_is_answered_and_then_read(service: Service, client: Any) -> None:
    body = orjson.dumps(GOOD) + b"\n\nnonsense\n"
    told = client.post("/api/feed/forum", content=body, headers=headers(service))
    assert told.status_code == 202
    assert told.json() == {"events": 2, "accepted": 1, "quarantined": {"malformed_json": 1}}
    assert waiting(service) == [("forum", 1)]
    pulled = feed.pull(service.parts, at=service.clock())
    assert (pulled.items, pulled.quarantined) == (1, {"malformed_json": 1})
    again = orjson.dumps(GOOD | {"event_id": "7"})
    client.post("/api/feed/forum", content=again, headers=headers(service))
    pulled = feed.pull(service.parts, at=service.clock())
    assert (pulled.items, pulled.seen) == (0, 1)
    assert waiting(service) == []


@pytest.mark.parametrize("path", ["/api/feed/forum", "/api/feed/FORUM"])
def test_another_key_opens_nothing(service: Service, client: Any, path: str) -> None:
    keys = ["", "Bearer x", f"Bearer {app_key(service.parts.keys)}", headers(service, "other")["authorization"]]
    answers = [client.post(path, content=b"{}", headers={"authorization": key}) for key in keys]
    assert {answer.status_code for answer in answers} <= {403, 404}
    assert waiting(service) == []


def test_a_worker_reads_what_waits_and_waits_while_somebody_else_writes(
    service: Service, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed.LOOK, "seconds", 0.0)
    assert feed.step(service) == 0
    client.post("/api/feed/forum", content=orjson.dumps(GOOD), headers=headers(service))
    with service.parts.workspace.lock():
        assert feed.step(service) == 0
    assert waiting(service) == [("forum", 1)]
    assert feed.step(service) == 1
    assert waiting(service) == []


def test_nothing_is_read_from_the_door(service: Service, client: Any) -> None:
    assert client.get("/api/feed/forum", headers=headers(service)).status_code in (404, 405)
    assert client.post("/api/feed/forum", content=b"\n", headers=headers(service)).json()["events"] == 0
    assert waiting(service) == []


def test_a_body_has_a_limit(service: Service, client: Any) -> None:
    told = client.post("/api/feed/forum", content=b"x" * (8 * 2**20 + 1), headers=headers(service))
    assert told.status_code == 413
    assert waiting(service) == []


def test_a_full_queue_turns_away_and_says_when(service: Service, client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MAX_WAITING", 1)
    assert client.post("/api/feed/forum", content=orjson.dumps(GOOD), headers=headers(service)).status_code == 202
    told = client.post("/api/feed/forum", content=orjson.dumps(GOOD), headers=headers(service))
    assert (told.status_code, told.headers["retry-after"]) == (503, "30")
    assert waiting(service) == [("forum", 1)]


def test_the_api_below_still_answers(client: Any) -> None:
    assert client.get("/api/openapi.json").status_code == 200

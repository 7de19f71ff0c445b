"""RFC 8058: the POST that a mail program sends objects; nothing else about it matters."""

from __future__ import annotations

from typing import Any

import pytest
from objection_worlds import MEMBERS, link, noticed

from demur.flows.service import Service


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {"List-Unsubscribe": "One-Click"}},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},  # multipart/form-data, as section 3.2 asks
        {"content": b""},
        {"content": b"\xff" * 40, "headers": {"content-type": "application/x-www-form-urlencoded"}},
    ],
)
def test_the_post_objects_and_says_so_in_words(service: Service, client: Any, sent: dict[str, Any]) -> None:
    token = link(service, noticed(service)["bob"])
    answer = client.post(f"/o/{token}/one-click", **sent)
    (kept,) = service.parts.registry.objections_of(MEMBERS["bob"])
    assert (answer.status_code, kept.door) == (200, "one_click")
    assert kept.objection_id in answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert client.post(f"/o/{token}/one-click", **sent).text == answer.text  # mail programs try twice


def test_following_the_address_by_hand_shows_the_button(service: Service, client: Any) -> None:
    token = link(service, noticed(service)["bob"])
    assert "I object" in client.get(f"/o/{token}/one-click").text
    assert not service.parts.registry.objections_of(MEMBERS["bob"])


def test_a_forged_one_is_refused(service: Service, client: Any) -> None:
    noticed(service)
    assert client.post(f"/o/{'A' * 32}/one-click").status_code == 403

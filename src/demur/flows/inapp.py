"""In-app notices between the ledger and the platform's app: webhook calls, what to show, what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import httpx

from demur.flows.service import Service
from demur.notice import inapp
from demur.notice.deliveries import Deliveries
from demur.terms.notice import Outcome, Result

ROWS = 50
AT_ONCE = 8
SECONDS = 10.0
"""Longest wait for one answer of the webhook."""


def step(service: Service) -> int:
    """Post what is due to the webhook; return how many calls were made, 0 = idle or no webhook."""
    if not service.site.in_app_webhook:
        return 0
    due = inapp.take(service.notice, service.clock(), rows=ROWS)
    if not due:
        return 0
    results = asyncio.run(_posted(service, due))
    at = service.clock()
    dead = inapp.posted(service.notice, results, at)
    if dead:
        Deliveries(service.notice, service.parts.keys.secret("backoff")).bounced_later(dead, at)
    return len(due)


def shown(service: Service, person_id: str) -> list[dict[str, Any]]:
    """Return the notices that the app should show to a person."""
    return inapp.unseen(service.notice, person_id)


def seen(service: Service, number: int, person_id: str) -> bool:
    """Take the app's word that a person saw a notice; ``False`` = there is no such notice for them."""
    return inapp.seen(service.notice, number, person_id, service.clock())


async def _posted(service: Service, due: Sequence[inapp.Post]) -> list[Result]:
    places = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(timeout=SECONDS, follow_redirects=False, trust_env=False) as client:
        return await asyncio.gather(*(_call(service, client, places, post) for post in due))


async def _call(service: Service, client: httpx.AsyncClient, places: asyncio.Semaphore, post: inapp.Post) -> Result:
    headers = inapp.signed(service.parts.keys, post.number, service.clock(), post.body)
    async with places:
        try:
            answer = await client.post(service.site.in_app_webhook, content=post.body, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL):
            return Result(post.number, post.attempt, Outcome.DEFERRED, "unreachable")
    code = str(answer.status_code)
    if answer.is_success:
        return Result(post.number, post.attempt, Outcome.ACCEPTED, code)
    gone = answer.status_code == httpx.codes.GONE  # Standard Webhooks: 410 = never again
    return Result(post.number, post.attempt, Outcome.BOUNCED if gone else Outcome.DEFERRED, code)

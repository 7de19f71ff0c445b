"""The door of the live feed: batches of events over HTTP, durable before the answer. Knows no event."""

from __future__ import annotations

from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from demur.errors import OutsideError, RefusedError
from demur.flows import feed
from demur.web.frame import service_of


async def receive(request: Request) -> JSONResponse:
    """Keep a batch: JSON lines, with the feed's own token. A wrong token and a wrong name are answered alike."""
    here, name = service_of(request), request.path_params["service"]
    if not feed.may_feed(here.parts.keys, name, request.headers.get("authorization", "")):
        return JSONResponse({"detail": "This key does not allow that."}, HTTPStatus.FORBIDDEN)
    body = await request.body()
    try:
        kept = await run_in_threadpool(feed.receive, here.parts.workspace, name, body, at=here.clock())
    except (OutsideError, RefusedError):
        told = {"detail": "Nothing was kept; please send it again."}
        return JSONResponse(told, HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": "30"})
    return JSONResponse(kept.as_json(), HTTPStatus.ACCEPTED)


def routes() -> list[BaseRoute]:
    """Return the door; it stands before the API's mount, which would answer for all paths below."""
    return [Route("/api/feed/{service}", receive, methods=["POST"])]

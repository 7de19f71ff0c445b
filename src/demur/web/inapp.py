"""What the platform's own servers call: notices for the app's banner, seen receipts, reports of bounced mail."""

from __future__ import annotations

import re

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from demur.flows import bounces, inapp
from demur.notice.inapp import is_app
from demur.web.frame import service_of

_IDENT = re.compile(r"n(\d{1,17})", re.ASCII)


def routes() -> list[BaseRoute]:
    """Return this module's pages."""
    return [
        Route("/api/app/notices", _notices, methods=["GET"]),
        Route("/api/app/notices/{ident}/seen", _seen, methods=["POST"]),
        Route("/api/app/mail-reports", _report, methods=["POST"]),
    ]


def _notices(request: Request) -> Response:
    service = service_of(request)
    if not _is_app(request):
        return _refused()
    person = request.query_params.get("person", "")
    if not person:
        return _json({"error": "expected ?person="}, 422)
    return _json({"notices": inapp.shown(service, person)})


async def _seen(request: Request) -> Response:
    if not _is_app(request):
        return _refused()
    ident = _IDENT.fullmatch(request.path_params["ident"])
    person = await _person(request)
    if person is None:
        return _json({"error": 'expected a JSON object such as {"person": "p1"}'}, 422)
    known = ident is not None and await run_in_threadpool(inapp.seen, service_of(request), int(ident[1]), person)
    return Response(status_code=204) if known else _json({"error": "no such notice for that person"}, 404)


async def _report(request: Request) -> Response:
    if not _is_app(request):
        return _refused()
    raw = await request.body()
    became = await run_in_threadpool(bounces.receive, service_of(request), raw)
    return _json({"became": became.value})


async def _person(request: Request) -> str | None:
    try:
        told = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None
    person = told.get("person") if isinstance(told, dict) else None
    return person if isinstance(person, str) and person else None


def _is_app(request: Request) -> bool:
    return is_app(service_of(request).parts.keys, request.headers.get("authorization", ""))


def _refused() -> Response:
    answer = _json({"error": "expected the app key as a bearer"}, 401)
    answer.headers["www-authenticate"] = "Bearer"
    return answer


def _json(told: object, status: int = 200) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(orjson.dumps(told), status, headers, media_type="application/json")

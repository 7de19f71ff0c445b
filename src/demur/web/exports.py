"""The page of whoever got an export: whether it may still be used, and one button to say that it is destroyed.

GET changes nothing. Programs ask ``status.json`` before they use the files.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from demur.flows import exports as flow
from demur.store.links import LinkPurpose
from demur.web.frame import language_of, page, service_of
from demur.web.guard import link_number, no_such_link


def routes() -> list[BaseRoute]:
    """Return the routes of this page."""
    return [
        Route("/export/{token}", _show, methods=["GET"]),
        Route("/export/{token}", _destroyed, methods=["POST"]),
        Route("/export/{token}/status.json", _status, methods=["GET"]),
    ]


def _found(request: Request) -> flow.Given | None:
    number = link_number(request, LinkPurpose.EXPORT)
    parts = service_of(request).parts
    one = None if number is None else flow.export(parts.workspace, number)
    return None if one is None else flow.seen(parts, one, service_of(request).clock())


def _show(request: Request) -> Response:
    one = _found(request)
    if one is None:
        return no_such_link(request)
    found = flow.standing(one, service_of(request).parts.workspace)
    language = language_of(request, one.recipient.language if one.recipient else None)
    return page(request, "export.html", language=language, one=one, replaced_by=found["replaced_by"])


async def _destroyed(request: Request) -> Response:
    return await run_in_threadpool(_note, request)


def _note(request: Request) -> Response:
    one = _found(request)
    if one is None:
        return no_such_link(request)
    service = service_of(request)
    at = service.clock()
    flow.destroyed(service.parts, one, by="the recipient, by their link", at=at)
    language = language_of(request, one.recipient.language if one.recipient else None)
    return RedirectResponse(f"{request.url.path}?lang={language}", HTTPStatus.SEE_OTHER)


def _status(request: Request) -> Response:
    one = _found(request)
    if one is None:
        return JSONResponse({"error": "no such link"}, HTTPStatus.FORBIDDEN, {"cache-control": "no-store"})
    found = flow.standing(one, service_of(request).parts.workspace)
    return JSONResponse(found, headers={"cache-control": "no-store"})

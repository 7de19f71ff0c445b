"""The page of whoever got an export: whether it may still be used, and one button to say that it is destroyed.

GET changes nothing. Programs ask another link before they use the files: it travels with these and does nothing else.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from demur.errors import RefusedError
from demur.flows import exports as flow
from demur.store.links import LinkPurpose
from demur.web.frame import language_of, page, service_of
from demur.web.guard import link_number, no_such_link


def routes() -> list[BaseRoute]:
    """Return the routes of this page."""
    return [
        Route("/export/{token}", _show, methods=["GET"]),
        Route("/export/{token}", _destroyed, methods=["POST"]),
        Route("/export-status/{token}", _status, methods=["GET"]),
    ]


def _found(request: Request, purpose: LinkPurpose) -> flow.Given | None:
    number = link_number(request, purpose)
    service = service_of(request)
    one = None if number is None else flow.export(service.parts.workspace, number)
    return None if one is None else flow.seen(service.parts, one, service.clock())


def _language(request: Request, one: flow.Given) -> str:
    return language_of(request, one.recipient.language if one.recipient else None)


def _show(request: Request) -> Response:
    one = _found(request, LinkPurpose.EXPORT)
    if one is None:
        return no_such_link(request)
    found = flow.standing(service_of(request).parts, one)
    return page(request, "export.html", language=_language(request, one), one=one, replaced_by=found["replaced_by"])


async def _destroyed(request: Request) -> Response:
    return await run_in_threadpool(_note, request)


def _note(request: Request) -> Response:
    one = _found(request, LinkPurpose.EXPORT)
    if one is None:
        return no_such_link(request)
    service = service_of(request)
    try:
        flow.destroyed(service.parts, one.number, by="the recipient, by their link", at=service.clock())
    except RefusedError:  # the page says how it stands
        return _show(request)
    return RedirectResponse(f"{request.url.path}?lang={_language(request, one)}", HTTPStatus.SEE_OTHER)


def _status(request: Request) -> Response:
    one = _found(request, LinkPurpose.EXPORT_STATUS)
    if one is None:
        return JSONResponse({"error": "no such link"}, HTTPStatus.FORBIDDEN, {"cache-control": "no-store"})
    return JSONResponse(flow.standing(service_of(request).parts, one), headers={"cache-control": "no-store"})

"""The page behind the link in a notice: one button. Status and receipt by the same link; undo by the mail's.

GET and HEAD change nothing. Nothing here names anybody, because links are passed on. No cookie, no script, no login.
"""

from __future__ import annotations

from http import HTTPStatus

import orjson
from babel.dates import format_datetime
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from demur.flows import objected, objection
from demur.flows.objected import Done
from demur.flows.service import Service
from demur.i18n import phrase
from demur.i18n.authorities import authority
from demur.objections.scope import PARTS, kinds_of
from demur.store.links import LinkPurpose
from demur.web.frame import language_of, locale, page, service_of
from demur.web.guard import link_number


def routes() -> list[BaseRoute]:
    """Return the pages of the link in a notice, and of the undo link."""
    return [
        Route("/o/{token}", show, methods=["GET"]),
        Route("/o/{token}", press, methods=["POST"]),
        Route("/o/{token}/one-click", explain_one_click, methods=["GET"]),
        Route("/o/{token}/one-click", one_click, methods=["POST"]),
        Route("/o/{token}/receipt.json", receipt, methods=["GET"]),
        Route("/o/{token}/withdraw", refuse_withdrawal, methods=["GET", "POST"]),
        Route("/u/{token}", ask_undo, methods=["GET"]),
        Route("/u/{token}", undo, methods=["POST"]),
    ]


def show(request: Request) -> Response:
    """Show the button; after the objection, how it stands."""
    number = link_number(request, LinkPurpose.OBJECT)
    if number is None:
        return no_link(request)
    service = service_of(request)
    found = objection.status(service, number)
    language = language_of(request, found.reached.language if found.reached else None)
    first = found.first
    link = f"/o/{request.path_params['token']}"
    if first is None:
        return page(request, "object.html", language=language, link=link, parts=list(PARTS))
    complain = authority(found.reached.country if found.reached else None)
    return page(
        request, "objected.html", language=language, link=link, kept=first, complete=found.complete, authority=complain,
        scope=objected.scope_text(first, language), by_itself=objected.says_erases_itself(service.parts),
    )  # fmt: skip


async def press(request: Request) -> Response:
    """Record the objection, then show how it stands under the same address (a reload sends nothing again)."""
    number = link_number(request, LinkPurpose.OBJECT)
    if number is None:
        return no_link(request)
    kinds = kinds_of(await _chosen(request))
    done = await objection.object_soon(objection.by_link(service_of(request), number, kinds=kinds))
    if done.reached is None:
        return page(request, "waiting.html", reference=done.kept.objection_id)
    chosen = request.query_params.get("lang", "")
    where = f"/o/{request.path_params['token']}" + (f"?lang={chosen}" if chosen.isalpha() else "")
    return RedirectResponse(where, HTTPStatus.SEE_OTHER, {"cache-control": "no-store"})


async def one_click(request: Request) -> Response:
    """Record the objection that a mail program sends on one click (RFC 8058); the body is not needed."""
    number = link_number(request, LinkPurpose.OBJECT)
    if number is None:
        return _plain(phrase("objection.refused_title", language_of(request)), HTTPStatus.FORBIDDEN)
    service = service_of(request)
    done = await objection.object_soon(objection.by_link(service, number, door="one_click"))
    language = language_of(request, done.reached.language if done.reached else None)
    return _plain(_confirmed(service, done, language), HTTPStatus.OK)


def explain_one_click(request: Request) -> Response:
    """Show the page with the button: whoever follows a one-click address by hand decides there."""
    return show(request)


def receipt(request: Request) -> Response:
    """Hand out the receipt: it names nobody."""
    number = link_number(request, LinkPurpose.OBJECT)
    if number is None:
        return no_link(request)
    service = service_of(request)
    found = objection.status(service, number)
    if found.first is None or found.reached is None:
        return page(request, "message.html", status=404, title="common.not_found_title", text=None)
    language = language_of(request, found.reached.language)
    made = objected.receipt_of(service, found.first, language=language, country=found.reached.country)
    name = f'attachment; filename="receipt-{found.first.objection_id}.json"'
    body = orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    headers = {"content-disposition": name, "cache-control": "no-store"}
    return Response(body, media_type="application/json", headers=headers)


def refuse_withdrawal(request: Request) -> Response:
    """Say that a link takes no objection back (OBJ-08)."""
    if link_number(request, LinkPurpose.OBJECT) is None:
        return no_link(request)
    return page(
        request, "message.html", status=HTTPStatus.FORBIDDEN, title="objection.withdraw_title",
        text="objection.withdraw_refused",
    )  # fmt: skip


def ask_undo(request: Request) -> Response:
    """Show the button that takes back what somebody else's click did."""
    return _undo_page(request, objection.undoable(service_of(request), request.path_params["token"]), done=False)


async def undo(request: Request) -> Response:
    """Take it back."""
    token = request.path_params["token"]
    found = await run_in_threadpool(objection.undo, service_of(request), token)
    return await run_in_threadpool(_undo_page, request, found, done=True)


def _undo_page(request: Request, found: objection.Undoable | None, *, done: bool) -> Response:
    if found is None:
        return no_link(request)
    state = found.hindered.value if found.hindered else ("undone" if done else "ask")
    status = HTTPStatus.GONE if found.hindered else HTTPStatus.OK
    return page(request, "undo.html", language=language_of(request, found.language), status=status, state=state)


def no_link(request: Request) -> Response:
    """Answer a link that is forged, cut, or of another purpose: always the same (SEC-02), and with the other doors."""
    return page(request, "no_link.html", status=HTTPStatus.FORBIDDEN)


async def _chosen(request: Request) -> list[str]:
    """Return the parts that were ticked; a body that cannot be read says nothing, and so everything is covered."""
    if not request.headers.get("content-length", "0").strip("0"):
        return []
    try:
        form = await request.form(max_files=0, max_fields=100)
    except HTTPException as error:
        if error.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            raise
        return []
    return [str(one) for one in form.getlist("part")]


def _confirmed(service: Service, done: Done, language: str) -> str:
    since = format_datetime(done.kept.said_at, format="long", locale=locale(language))
    told = {"platform": service.site.platform, "reference": done.kept.objection_id, "since": since}
    return phrase("objection.one_click_done", language, **told)


def _plain(text: str, status: HTTPStatus) -> Response:
    return PlainTextResponse(f"{text}\n", status, {"cache-control": "no-store"})

"""One button for the platform's settings page: whether I object, and the button that does it.

Not framable: the platform links here (clickjacking). A browser's ``Sec-GPC: 1`` is shown and explained, and becomes an
objection only by an act of the person: the button here, or logging in where ``honour_gpc`` is set.
"""

from __future__ import annotations

from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from demur.flows import mine, mine_acts
from demur.web.frame import language_of, page, service_of
from demur.web.login import member_of


def routes() -> list[BaseRoute]:
    """Return the routes of this page."""
    return [Route("/widget", _show), Route("/widget", _press, methods=["POST"])]


def _show(request: Request) -> Response:
    service, session = service_of(request), member_of(request)
    if session is None:
        return RedirectResponse("/login?next=/widget", HTTPStatus.SEE_OTHER)
    standing = mine.standing_of(service, session.subject)
    gpc = request.headers.get("sec-gpc") == "1"
    tongue = language_of(request, standing.language)
    return page(
        request, "widget.html", language=tongue, standing=standing, gpc=gpc, csrf=session.csrf,
        headers={"vary": "Accept-Language, Sec-GPC"},
    )  # fmt: skip


async def _press(request: Request) -> Response:
    form = await request.form(max_files=0, max_fields=10)
    return await run_in_threadpool(_object, request, str(form.get("csrf", "")))


def _object(request: Request, csrf: str) -> Response:
    service, session = service_of(request), member_of(request)
    if session is None:
        return RedirectResponse("/login?next=/widget", HTTPStatus.SEE_OTHER)
    if not session.same_csrf(csrf):
        return page(request, "message.html", status=403, title="common.refused_title", text="me.form_old")
    mine_acts.object_from_page(service, session.subject)
    return RedirectResponse("/widget", HTTPStatus.SEE_OTHER)

"""Logging in and out. One answer for every login that fails, whatever was wrong (SEC-02)."""

from __future__ import annotations

import secrets
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from demur.access import Staff, Subject, csrf_token
from demur.access.sessions import LIFETIME
from demur.errors import RefusedError
from demur.flows.service import Service
from demur.web.console.desk import COOKIE
from demur.web.frame import page, service_of
from demur.web.guard import address_of, cookie_of, drop_cookie, prefix_of, set_cookie

_BEFORE = "login"
"""Cookie of a visitor who is not logged in yet; its HMAC is in the form, so that nobody logs a stranger in."""


def login_routes() -> list[Route]:
    """Return the routes that need no session."""
    return [
        Route("/console/login", _form, methods=["GET"]),
        Route("/console/login", _log_in, methods=["POST"]),
        Route("/console/logout", _log_out, methods=["POST"]),
    ]


def begin_session(response: Response, service: Service, staff: Staff) -> None:
    """Give a response the cookie of a new session; any older one of this browser is not taken over."""
    at = service.clock()
    token = service.access.sessions.open(staff.staff_id, Subject.STAFF, at)
    service.access.audit.note(staff.staff_id, "login", None, at)
    set_cookie(response, service.site, COOKIE, token, seconds=int(LIFETIME[Subject.STAFF].total_seconds()))


def safe_next(told: str) -> str:
    """Return where to go after the login: a path of the console and nothing else.

    >>> safe_next("//evil.example"), safe_next("/console/holds"), safe_next("/console/../me")
    ('/console', '/console/holds', '/console')
    """
    plain = told.replace("/", "").replace("-", "").replace("_", "").replace(":", "").isalnum()
    inside = told == "/console" or told.startswith("/console/")
    return told if plain and inside and "//" not in told and not told.startswith("/console/log") else "/console"


async def _form(request: Request) -> Response:
    return _page(request, wrong="", after=safe_next(request.query_params.get("next", "")))


def _page(request: Request, *, wrong: str, after: str, email: str = "", status: int = 200) -> Response:
    service = service_of(request)
    secret = cookie_of(request, _BEFORE) or secrets.token_urlsafe(32)
    answer = page(
        request, "console/login.html", language="en", status=status, wrong=wrong, after=after, email=email,
        csrf=csrf_token(secret), provider=service.site.staff is not None,
    )  # fmt: skip
    set_cookie(answer, service.site, _BEFORE, secret, seconds=3600)
    return answer


async def _log_in(request: Request) -> Response:
    form = await request.form(max_files=0, max_fields=10)
    told = {name: value for name, value in form.items() if isinstance(value, str)}
    return await run_in_threadpool(_try, request, told)


def _try(request: Request, told: dict[str, str]) -> Response:
    service = service_of(request)
    secret = cookie_of(request, _BEFORE) or ""
    after, email = safe_next(told.get("next", "")), told.get("email", "")[:320]
    if not secret or not secrets.compare_digest(csrf_token(secret), told.get("csrf", "")):
        wrong = "The form was too old. Please try again."
        return _page(request, wrong=wrong, after=after, email=email, status=HTTPStatus.FORBIDDEN)
    prefix = prefix_of(address_of(request))
    try:
        staff = service.access.staff.log_in(email, told.get("password", ""), prefix=prefix, at=service.clock())
    except RefusedError:
        wrong = "There were too many tries. Wait a quarter of an hour, or ask an operator for another password."
        return _page(request, wrong=wrong, after=after, email=email, status=HTTPStatus.TOO_MANY_REQUESTS)
    if staff is None:
        wrong = "That e-mail address and password do not belong together."
        return _page(request, wrong=wrong, after=after, email=email, status=HTTPStatus.FORBIDDEN)
    service.access.sessions.close(cookie_of(request, COOKIE))
    answer = RedirectResponse(after, HTTPStatus.SEE_OTHER)
    begin_session(answer, service, staff)
    drop_cookie(answer, service.site, _BEFORE)
    return answer


async def _log_out(request: Request) -> Response:
    form = await request.form(max_files=0, max_fields=10)
    return await run_in_threadpool(_leave, request, str(form.get("csrf", "")))


def _leave(request: Request, csrf: str) -> Response:
    service = service_of(request)
    token = cookie_of(request, COOKIE)
    session = service.access.sessions.read(token, service.clock(), Subject.STAFF)
    if session is not None and not session.same_csrf(csrf):
        return page(request, "console/ended.html", language="en", status=HTTPStatus.FORBIDDEN)
    service.access.sessions.close(token)
    answer = RedirectResponse("/console/login", HTTPStatus.SEE_OTHER)
    drop_cookie(answer, service.site, COOKIE)
    return answer

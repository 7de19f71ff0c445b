"""Logging members and staff in through their providers, logging members out, and who is logged in.

Coming back from the provider is the one GET that changes something: it opens a session, because OpenID Connect comes
back that way. It does so once, and only for the browser that began (oidc.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from demur.access import Session, Subject, staff_from_claims
from demur.access.sessions import LIFETIME
from demur.errors import DemurError, RefusedError
from demur.flows import mine, mine_acts
from demur.flows.service import Service
from demur.terms.site import OidcProvider
from demur.web.console.desk import COOKIE
from demur.web.console.login import begin_session
from demur.web.frame import page, service_of
from demur.web.guard import cookie_of, drop_cookie, set_cookie
from demur.web.oidc import LASTS, Login

MEMBER = "member"
"""Cookie of a member's session."""
AFTER = ("/me", "/widget", "/me/withdraw")
"""Pages that a member may have come from."""


def routes() -> list[BaseRoute]:
    """Return the routes of this page."""
    return [
        Route("/login", _choose),
        Route("/login/{who:str}", _begin),
        Route("/login/{who:str}/callback", _finish),
        Route("/console/login/provider", _to_staff),
        Route("/logout", _log_out, methods=["POST"]),
    ]


def member_of(request: Request) -> Session | None:
    """Return the session of the member who asks."""
    service = service_of(request)
    return service.access.sessions.read(cookie_of(request, MEMBER), service.clock(), Subject.MEMBER)


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two kinds of people who log in."""

    name: str
    provider: OidcProvider


def _side(request: Request) -> _Side | None:
    site, name = service_of(request).site, request.path_params["who"]
    provider = {"members": site.members, "staff": site.staff}.get(name)
    return None if provider is None else _Side(name, provider)


def _login(request: Request, side: _Side) -> Login:
    """Return the login with a provider, kept with the application: it remembers keys, and which logins are used up."""
    service, name = service_of(request), f"login_{side.name}"
    if not hasattr(request.app.state, name):
        back = f"{service.site.origin}/login/{side.name}/callback"
        setattr(request.app.state, name, Login(side.provider, back, service.parts.keys))
    found: Login = getattr(request.app.state, name)
    return found


def _choose(request: Request) -> Response:
    then = request.query_params.get("next", "")
    return page(request, "login.html", wrong=None, after=then if then in AFTER else "")


def _to_staff(_request: Request) -> Response:
    return RedirectResponse("/login/staff", HTTPStatus.SEE_OTHER)


def _begin(request: Request) -> Response:
    side = _side(request)
    if side is None:
        return page(request, "login.html", status=HTTPStatus.NOT_FOUND, wrong=None, after="")
    service, then = service_of(request), request.query_params.get("next", "")
    after = then if then in AFTER else AFTER[0]
    try:
        url, cookie = _login(request, side).begin("/console" if side.name == "staff" else after, service.clock())
    except DemurError:
        return page(request, "login.html", status=HTTPStatus.BAD_GATEWAY, wrong="me.login_away", after="")
    answer = RedirectResponse(url, HTTPStatus.SEE_OTHER, {"cache-control": "no-store"})
    set_cookie(answer, service.site, f"begun-{side.name}", cookie, seconds=int(LASTS.total_seconds()))
    return answer


def _finish(request: Request) -> Response:
    side = _side(request)
    if side is None:
        return page(request, "login.html", status=HTTPStatus.NOT_FOUND, wrong=None, after="")
    service = service_of(request)
    cookie, told = cookie_of(request, f"begun-{side.name}"), dict(request.query_params)
    try:
        claims, after = _login(request, side).finish(cookie, told, service.clock())
    except DemurError:
        return _no(request, service, side, "me.login_failed")
    return (_welcome_staff if side.name == "staff" else _welcome)(request, service, side, claims, after)


def _no(request: Request, service: Service, side: _Side, wrong: str) -> Response:
    answer = page(request, "login.html", status=HTTPStatus.FORBIDDEN, wrong=wrong, after="")
    drop_cookie(answer, service.site, f"begun-{side.name}")
    return answer


def _welcome_staff(request: Request, service: Service, side: _Side, claims: dict[str, Any], after: str) -> Response:
    staff = staff_from_claims(service.access.staff, claims)
    if staff is None:
        return _no(request, service, side, "me.login_no_account")
    service.access.sessions.close(cookie_of(request, COOKIE))
    answer = RedirectResponse(after, HTTPStatus.SEE_OTHER)
    begin_session(answer, service, staff)
    drop_cookie(answer, service.site, "begun-staff")
    return answer


def _welcome(request: Request, service: Service, side: _Side, claims: dict[str, Any], after: str) -> Response:
    name = claims.get(side.provider.person_claim)
    if not isinstance(name, str) or not name:
        return _no(request, service, side, "me.login_no_account")
    try:
        person = mine.person_named(service.parts, side.provider.account_prefix + name)
    except RefusedError:
        return _no(request, service, side, "me.login_no_account")
    if request.headers.get("sec-gpc") == "1":
        mine_acts.honour_gpc(service, person)
    service.access.sessions.close(cookie_of(request, MEMBER))
    token = service.access.sessions.open(person, Subject.MEMBER, service.clock())
    answer = RedirectResponse(after, HTTPStatus.SEE_OTHER, {"cache-control": "no-store"})
    set_cookie(answer, service.site, MEMBER, token, seconds=int(LIFETIME[Subject.MEMBER].total_seconds()))
    drop_cookie(answer, service.site, f"begun-{side.name}")
    return answer


async def _log_out(request: Request) -> Response:
    form = await request.form(max_files=0, max_fields=10)
    return await run_in_threadpool(_leave, request, str(form.get("csrf", "")))


def _leave(request: Request, csrf: str) -> Response:
    service, session = service_of(request), member_of(request)
    if session is not None and not session.same_csrf(csrf):
        return page(request, "message.html", status=403, title="common.refused_title", text=None)
    service.access.sessions.close(cookie_of(request, MEMBER))
    answer = RedirectResponse("/", HTTPStatus.SEE_OTHER, {"clear-site-data": '"cache"'})
    drop_cookie(answer, service.site, MEMBER)
    return answer

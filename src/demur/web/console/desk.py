"""What stands before every screen: who is it, may they, did the form come from us; and how a screen is answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from demur.access import Action, Role, Session, Staff, Subject, allows
from demur.errors import DemurError, InputError, RefusedError
from demur.flows.service import Service
from demur.web.console import words
from demur.web.console.table import Table, download
from demur.web.frame import page, service_of
from demur.web.guard import cookie_of

COOKIE = "staff"
PAGE_ROWS = 50
NAV: tuple[tuple[str, str, Action], ...] = (
    ("Overview", "/console", Action.OVERVIEW),
    ("Campaigns", "/console/campaigns", Action.CAMPAIGNS_VIEW),
    ("Objections", "/console/objections", Action.OBJECTIONS_VIEW),
    ("Requests", "/console/requests", Action.REQUESTS_VIEW),
    ("People", "/console/people", Action.PEOPLE_SEARCH),
    ("Holds", "/console/holds", Action.HOLDS_VIEW),
    ("What if", "/console/what-if", Action.WHATIF),
    ("Models", "/console/models", Action.MODELS_VIEW),
    ("Exports", "/console/exports", Action.EXPORTS_VIEW),
    ("Ledger", "/console/ledger", Action.LEDGER_VIEW),
    ("Staff", "/console/staff", Action.STAFF_VIEW),
    ("Audit trail", "/console/audit", Action.AUDIT_VIEW),
)


@dataclass(frozen=True, slots=True)
class Desk:
    """One request of somebody who is logged in and may do this."""

    request: Request
    service: Service
    staff: Staff
    session: Session
    at: datetime
    form: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def scope(self) -> frozenset[str] | None:
        """Countries that this person sees; ``None`` = all."""
        return self.staff.countries

    def may(self, action: Action) -> bool:
        """Say whether they may do something else too."""
        return allows(self.staff.role, action)

    def asked(self, name: str, default: str = "") -> str:
        """Return a member of the query."""
        return self.request.query_params.get(name, default).strip()[:400]

    def named(self, name: str) -> str:
        """Return a part of the path."""
        return str(self.request.path_params[name])

    def told(self, name: str) -> str:
        """Return a field of the form, cut to a sane length."""
        return self.form.get(name, "").strip()[:20_000]

    def note(self, action: str, object_id: str | None) -> None:
        """Add to the audit trail who did it."""
        self.service.access.audit.note(self.staff.staff_id, action, object_id, self.at)

    def first(self) -> int:
        """Return the first row of the page that was asked for."""
        told = self.asked("from")
        return int(told) if told.isdecimal() and len(told) < 10 else 0

    def show(self, template: str, *, title: str, status: int = 200, **facts: Any) -> Response:
        """Answer with a page of the console."""
        nav = [(name, path, self._here(path)) for name, path, action in NAV if self.may(action)]
        done = words.DONE.get(self.asked("done"))
        return page(
            self.request, f"console/{template}", language="en", status=status, desk=self, title=title, nav=nav,
            done=done, can={action.name: self.may(action) for action in Action}, now=self.at, **facts,
        )  # fmt: skip

    def list_(self, table: Table, template: str, *, title: str, **facts: Any) -> Response:
        """Answer with a page of one list, or with the list itself when a download was asked for."""
        kind = self.asked("as")
        if kind in {"csv", "json"}:
            self.note(f"export.{kind}", self.request.url.path)
            return download(table, kind)
        return self.show(template, title=title, table=table.part(self.first(), PAGE_ROWS), **facts)

    def back(self, path: str, done: str = "") -> Response:
        """Answer a form that was done: see the page again (RFC 9110 §15.4.4)."""
        where = f"{path}{'&' if '?' in path else '?'}done={done}" if done else path
        return RedirectResponse(where, HTTPStatus.SEE_OTHER)

    def missing(self) -> Response:
        """Answer that there is no such thing, or none that they may see: the same."""
        text = "There is nothing here under that name, or your role does not show it."
        return self.show("problem.html", title="Not found", status=404, text=text, faults=())

    def _here(self, path: str) -> bool:
        now = self.request.url.path
        return now == path or (path != "/console" and now.startswith(f"{path}/"))


Handler = Callable[[Desk], Response]


@dataclass(frozen=True, slots=True)
class Screen:
    """One route of the console and the action that it needs."""

    path: str
    action: Action
    handle: Handler
    method: str = "GET"


def as_route(screen: Screen) -> Route:
    """Return the guarded route of a screen."""

    async def endpoint(request: Request) -> Response:
        form = await request.form(max_files=4, max_fields=200) if screen.method == "POST" else FormData()
        texts = {name: value for name, value in form.items() if isinstance(value, str)}
        files = {name: await value.read() for name, value in form.items() if isinstance(value, UploadFile)}
        return await run_in_threadpool(_answer, screen, request, texts, files)

    return Route(screen.path, endpoint, methods=[screen.method], name=f"{screen.method} {screen.path}")


def _answer(screen: Screen, request: Request, form: dict[str, str], files: dict[str, bytes]) -> Response:
    service = service_of(request)
    at = service.clock()
    session = service.access.sessions.read(cookie_of(request, COOKIE), at, Subject.STAFF)
    staff = None if session is None else service.access.staff.get(session.subject)
    if session is None or staff is None or staff.disabled_at is not None:
        return _to_login(request)
    desk = Desk(request, service, staff, session, at, form, files)
    if screen.method != "GET" and not session.same_csrf(form.get("csrf", "")):
        text = "The form did not come from a page of this session. Open the page again and repeat it."
        return desk.show("problem.html", title="Refused", status=403, text=text, faults=())
    if not desk.may(screen.action):
        text = f"Your role, {words.ROLES[staff.role]}, does not include this. An operator can change roles."
        return desk.show("problem.html", title="Not your role", status=403, text=text, faults=())
    try:
        return screen.handle(desk)
    except (InputError, RefusedError) as error:
        status = HTTPStatus.CONFLICT if isinstance(error, RefusedError) else HTTPStatus.BAD_REQUEST
        return _problem(desk, error, status)
    except DemurError as error:
        return _problem(desk, error, HTTPStatus.INTERNAL_SERVER_ERROR)


def _problem(desk: Desk, error: DemurError, status: HTTPStatus) -> Response:
    title = "That was not done"
    return desk.show(
        "problem.html", title=title, status=status, text=words.sentence(error), faults=error.faults
    )  # fmt: skip


def _to_login(request: Request) -> Response:
    """Send to the login; a form that came too late is not repeated."""
    if request.headers.get("hx-request"):
        return Response(status_code=HTTPStatus.UNAUTHORIZED, headers={"hx-redirect": "/console/login"})
    wanted = request.url.path if request.method == "GET" else "/console"
    status = HTTPStatus.SEE_OTHER if request.method == "GET" else HTTPStatus.FORBIDDEN
    if status is HTTPStatus.FORBIDDEN:
        return page(request, "console/ended.html", language="en", status=403)
    return RedirectResponse(f"/console/login?next={quote(wanted, safe='/')}", status)


def is_staff_role(text: str) -> bool:
    """Say whether a text names a role."""
    return text in {role.value for role in Role}

"""The person's own page: what stands, what of theirs was used where and why, what they were told, and the buttons.

By login (``/me``) or by a link that was mailed to the address on file (``/p/<token>``, one hour). The link is enough to
object, to erase, to read and to download; withdrawing needs the login (OBJ-08). Nothing here is behind a script.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from demur.access import Session
from demur.flows import mine, mine_acts, mine_papers
from demur.flows.objected import receipt_of, says_erases_itself
from demur.flows.readable import readable
from demur.i18n import phrase, phrases, sentence
from demur.store.links import LinkPurpose
from demur.web.frame import language_of, page, service_of
from demur.web.guard import link_number, no_such_link
from demur.web.login import member_of


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks at their page, and how they got in."""

    person: str
    base: str
    """Path of the page: ``/me`` or ``/p/<token>``."""
    session: Session | None
    """``None``: by link."""
    language: str

    @property
    def csrf(self) -> str:
        """What the forms carry; a link's token stands in the path and needs nothing more."""
        return self.session.csrf if self.session else ""


Shown = Callable[[Request, Viewer], Response]


def routes() -> list[BaseRoute]:
    """Return the routes of this page."""
    found: list[BaseRoute] = [Route("/me/withdraw", _shown(_ask_withdraw)), _posted("/me/withdraw", _withdraw)]
    for base in ("/me", "/p/{token}"):
        found += [
            Route(base, _shown(_page)),
            Route(f"{base}/items", _shown(_items)),
            Route(f"{base}/notices", _shown(_notices)),
            Route(f"{base}/receipt/{{reference}}.json", _shown(_receipt)),
            Route(f"{base}/download.json", _shown(_json)),
            Route(f"{base}/download.html", _shown(_html)),
            _posted(f"{base}/object", _object),
            _posted(f"{base}/erase", _object),
        ]
    return [*found, Route("/p/{token}/withdraw", _only_by_login, methods=["GET", "POST"])]


# Who ---------------------------------------------------------------------------------------------------------------


def _viewer(request: Request) -> Viewer | Response:
    service = service_of(request)
    if "token" in request.path_params:
        number = link_number(request, LinkPurpose.PAGE)
        found = mine_acts.by_page_link(service, number)
        if found is None:
            return no_such_link(request)
        return Viewer(found.person, f"/p/{request.path_params['token']}", None, language_of(request, found.language))
    session = member_of(request)
    if session is None:
        return RedirectResponse(f"/login?next={request.url.path}", HTTPStatus.SEE_OTHER)
    language = service.parts.registry.reach([session.subject])[session.subject].language
    return Viewer(session.subject, "/me", session, language_of(request, language))


def _shown(show: Shown) -> Callable[[Request], Response]:
    def handler(request: Request) -> Response:
        found = _viewer(request)
        return found if isinstance(found, Response) else show(request, found)

    return handler


def _posted(path: str, act: Shown) -> Route:
    async def handler(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=20)
        return await run_in_threadpool(_checked, request, str(form.get("csrf", "")), act)

    return Route(path, handler, methods=["POST"])


def _checked(request: Request, csrf: str, act: Shown) -> Response:
    found = _viewer(request)
    if isinstance(found, Response):
        return found
    if found.session is not None and not found.session.same_csrf(csrf):
        return page(request, "message.html", status=403, title="common.refused_title", text="me.form_old")
    return act(request, found)


# Pages -------------------------------------------------------------------------------------------------------------


def _page(request: Request, viewer: Viewer) -> Response:
    service = service_of(request)
    standing = mine.standing_of(service, viewer.person)
    return page(
        request, "me.html", language=viewer.language, viewer=viewer, standing=standing,
        why=sentence(standing.reason, viewer.language) if standing.reason else None,
        inventory=readable(lambda: mine.inventory_of(service, viewer.person)),
        certificates=readable(lambda: mine_papers.certificates_of(service, viewer.person)), Verdict=mine.Verdict,
        by_itself=says_erases_itself(service.parts),
    )  # fmt: skip


def _items(request: Request, viewer: Viewer) -> Response:
    inventory = readable(lambda: mine.inventory_of(service_of(request), viewer.person))
    asked = request.query_params.get("show", "")
    verdict = mine.Verdict(asked) if asked in {one.value for one in mine.Verdict} else None
    told = request.query_params.get("page", "1")
    number = int(told) if told.isdecimal() and len(told) < 8 else 1
    lines, pages = inventory.page(number, verdict) if inventory else ([], 1)
    return page(
        request, "me_items.html", language=viewer.language, viewer=viewer, inventory=inventory, lines=lines,
        pages=pages, number=min(max(number, 1), pages), verdict=verdict, Verdict=mine.Verdict,
        because=lambda code: sentence(code, viewer.language),
    )  # fmt: skip


def _notices(request: Request, viewer: Viewer) -> Response:
    service = service_of(request)
    return page(
        request, "me_notices.html", language=viewer.language, viewer=viewer,
        notices=mine_papers.notices_of(service, viewer.person), letters=mine_acts.letters_of(service, viewer.person),
        channel=lambda name: _channel(name, viewer.language),
    )  # fmt: skip


def _channel(name: str, language: str) -> str:
    key = f"me.channel_{name}"
    return phrase(key, language) if key in phrases("en") else name


def _receipt(request: Request, viewer: Viewer) -> Response:
    service = service_of(request)
    reference = request.path_params["reference"]
    kept = mine_acts.objection_of(service, viewer.person, reference)
    if kept is None:
        return page(request, "message.html", status=404, title="common.not_found_title", text=None)
    country = service.parts.registry.reach([viewer.person])[viewer.person].country
    receipt = receipt_of(service, kept, language=viewer.language, country=country)
    return _file(f"receipt-{reference}.json", receipt)


def _json(request: Request, viewer: Viewer) -> Response:
    return _file("my-data.json", mine_papers.everything(service_of(request), viewer.person))


def _html(request: Request, viewer: Viewer) -> Response:
    service = service_of(request)
    told = mine_papers.everything(service, viewer.person)
    headers = {"content-disposition": 'attachment; filename="my-data.html"'}
    return page(
        request, "me_download.html", language=viewer.language, headers=headers, viewer=viewer, told=told,
        standing=mine.standing_of(service, viewer.person),
        because=lambda code: sentence(code, viewer.language),
    )  # fmt: skip


def _file(name: str, content: Any) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    body = orjson.dumps(content, option=orjson.OPT_INDENT_2)
    return Response(body, headers=headers, media_type="application/json")


# Buttons -----------------------------------------------------------------------------------------------------------


def _object(request: Request, viewer: Viewer) -> Response:
    mine_acts.object_from_page(service_of(request), viewer.person)
    return RedirectResponse(f"{viewer.base}?lang={viewer.language}", HTTPStatus.SEE_OTHER)


def _ask_withdraw(request: Request, viewer: Viewer) -> Response:
    standing = mine.standing_of(service_of(request), viewer.person)
    return page(request, "me_withdraw.html", language=viewer.language, viewer=viewer, standing=standing)


def _withdraw(request: Request, viewer: Viewer) -> Response:
    service = service_of(request)
    standing = mine.standing_of(service, viewer.person)
    if standing.compromised:
        return page(request, "me_withdraw.html", language=viewer.language, status=403, viewer=viewer, standing=standing)
    if standing.objections:  # pressed twice: it is withdrawn already
        mine_acts.withdraw_from_page(service, viewer.person)
    return RedirectResponse(f"/me?lang={viewer.language}", HTTPStatus.SEE_OTHER)


def _only_by_login(request: Request) -> Response:
    return page(request, "message.html", status=403, title="me.withdraw_title", text="me.withdraw_login")

"""The form for people who appear in somebody else's posts, and how their request stands; no account, cookie or script.

The link of a request shows how it stands and the answer, and nothing of what others posted. GET changes nothing.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from babel import Locale
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from demur.clock import iso
from demur.errors import InputError
from demur.flows import request as flow
from demur.i18n.authorities import authority, authority_countries
from demur.store.links import LinkPurpose
from demur.web.frame import language_of, locale, page, service_of
from demur.web.guard import link_number, no_such_link

FIELDS = ("contact", "links", "names", "handles", "phones", "emails", "text", "for", "country", "prompts", "output",
          "model", "note")  # fmt: skip
PICTURE_BYTES = 10 * 2**20
_PART_BYTES = 24 * 2**20
"""As much as a whole form may have (guard.py): what is too long is cut when it is read."""


def routes() -> list[BaseRoute]:
    """Return the routes of these pages."""
    return [
        Route("/request", _form, methods=["GET"]),
        Route("/request", _send, methods=["POST"]),
        Route("/request/{token}", _status, methods=["GET"]),
        Route("/request/{token}/status.json", _status_json, methods=["GET"]),
    ]


def _form(request: Request) -> Response:
    return _shown(request, dict.fromkeys(FIELDS, ""))


async def _send(request: Request) -> Response:
    async with request.form(max_files=1, max_fields=40, max_part_size=_PART_BYTES) as form:
        told = {name: value for name in FIELDS if isinstance(value := form.get(name, ""), str)}
        upload = form.get("picture")
        picture = await upload.read(PICTURE_BYTES + 1) if isinstance(upload, UploadFile) and upload.size else None
    return await run_in_threadpool(_kept, request, {**dict.fromkeys(FIELDS, ""), **told}, picture)


def _kept(request: Request, told: dict[str, str], picture: bytes | None) -> Response:
    service = service_of(request)
    country = told["country"] if told["country"] in authority_countries() else None
    try:
        number = flow.receive(service, told, picture, language=language_of(request), country=country)
    except InputError as error:
        wrong = "request.picture_bad" if "picture" in str(error) else "request.contact_missing"
        return _shown(request, told, wrong)
    link = f"/request/{flow.token(service, number)}"
    return RedirectResponse(f"{link}?lang={language_of(request)}", HTTPStatus.SEE_OTHER)


def _shown(request: Request, told: dict[str, str], wrong: str | None = None) -> Response:
    language = language_of(request)
    names = Locale.parse(str(locale(language))).territories
    countries = sorted(((names.get(one, one), one) for one in authority_countries()), key=lambda one: one[0].casefold())
    status = HTTPStatus.UNPROCESSABLE_ENTITY if wrong else HTTPStatus.OK
    return page(request, "request.html", status=status, told=told, wrong=wrong, countries=countries)


def _standing(request: Request) -> flow.Standing | None:
    number = link_number(request, LinkPurpose.REQUEST)
    return None if number is None else flow.standing(service_of(request), number)


def _status(request: Request) -> Response:
    found = _standing(request)
    if found is None:
        return no_such_link(request)
    service = service_of(request)
    where = authority(found.request.country or service.site.country)
    language = language_of(request, found.request.language)
    facts: dict[str, Any] = {"found": found, "due_on": flow.due_day(service, found.due_at), "authority": where}
    return page(request, "request_status.html", language=language, **facts)


def _status_json(request: Request) -> Response:
    found = _standing(request)
    if found is None:
        return JSONResponse({"error": "no such link"}, HTTPStatus.FORBIDDEN, {"cache-control": "no-store"})
    one = found.request
    facts = {
        "reference": one.reference,
        "state": one.state.value,
        "outcome": one.outcome and one.outcome.value,
        "received_at": iso(one.received_at),
        "due_at": iso(one.due_at),
        "answered_at": one.answered_at and iso(one.answered_at),
        "answer": found.answer,
    }
    return JSONResponse(facts, headers={"cache-control": "no-store"})

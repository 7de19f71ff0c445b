"""The JSON API: objections, their status and receipts; for the platform's own servers with the app key.

A link's token is enough to object and to see how it stands. Everything that names an account needs the app key. The
description is at /api/openapi.json.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, Header, HTTPException, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidatorFunctionWrapHandler, WrapValidator
from starlette.concurrency import run_in_threadpool
from starlette.routing import BaseRoute, Mount
from starlette.types import Receive, Scope, Send

from demur.errors import DemurError, OutsideError
from demur.flows import objected, objecting, objection
from demur.flows.service import Service
from demur.i18n.authorities import authority
from demur.ledger import Ledger
from demur.notice.inapp import is_app
from demur.objections import verify_receipt
from demur.objections.bulk import read_lines
from demur.people import Kept

TEXT = Annotated[str, Field(max_length=500)]
REFUSED: dict[int | str, dict[str, Any]] = {
    HTTPStatus.FORBIDDEN: {"description": "no link of ours for this purpose, or no app key: always the same answer"}
}
NOWHERE: dict[int | str, dict[str, Any]] = {
    HTTPStatus.NOT_FOUND: {"description": "no such address, as with a line break in it"}
}


def _forgiving(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """A detail that cannot be read says nothing: then it is everything, now (OBJ-02)."""
    try:
        return read(value)
    except ValueError:
        return None


_or_nothing = WrapValidator(_forgiving)
Listed = Annotated[list[TEXT] | None, Field(max_length=100), _or_nothing]


class ObjectionIn(BaseModel):
    """A no. A token alone is enough; with the app key, one of the four names. No reason is asked.

    With both, the names count where the token is not good. An id that is a number is that number as text.
    """

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    token: TEXT | None = None
    person_id: TEXT | None = None
    account_id: TEXT | None = None
    handle: TEXT | None = None
    contact: TEXT | None = None
    kinds: Listed = None
    services: Listed = None
    said_at: Annotated[datetime | None, _or_nothing] = None


class ObjectionOut(BaseModel):
    """What stands."""

    reference: str
    state: str
    """``in_force``; ``waiting``: kept until somebody finds out whose it is; ``taken_back`` after it was said."""
    in_force_since: datetime
    repeated: bool
    """Whether it stood before this request."""
    kinds: list[str] | None
    services: list[str] | None


class StatusOut(BaseModel):
    """What stands behind a link; nothing of it names anybody."""

    objected: bool
    objections: list[ObjectionOut]
    authority: str
    authority_url: str


class LineOut(BaseModel):
    """What became of one line of a list."""

    line: int
    reference: str | None
    state: str


class CheckOut(BaseModel):
    """One check of a receipt; ``holds`` is null when there was nothing to compare with."""

    name: str
    holds: bool | None
    detail: str


class VerdictOut(BaseModel):
    """Whether a receipt is one of this ledger's."""

    holds: bool
    checks: list[CheckOut]


class PreferencesOut(BaseModel):
    """What to put on the pages of an account, for other people's crawlers."""

    account_id: str
    objected: bool
    headers: dict[str, str]
    meta: dict[str, str]


api = FastAPI(title="demur", version="1", docs_url=None, redoc_url=None, openapi_url="/openapi.json")


def service_here(request: Request) -> Service:
    """Return the parts that the outer application was built with."""
    found: Service = request.scope["demur"]
    return found


Here = Annotated[Service, Depends(service_here)]
Key = Annotated[str, Header(alias="authorization", max_length=500)]
Token = Annotated[str, Path(max_length=500)]


def refused() -> HTTPException:
    """Return the one answer to whatever may not be done: it tells nothing apart (SEC-02)."""
    return HTTPException(HTTPStatus.FORBIDDEN, "This link or key does not allow that.")


def _app_only(service: Here, authorization: Key = "") -> None:
    if not is_app(service.parts.keys, authorization):
        raise refused()


App = Depends(_app_only)


@api.post("/objections", response_model=ObjectionOut, responses=REFUSED)
async def object_to(service: Here, told: ObjectionIn, authorization: Key = "") -> ObjectionOut:
    """Object: by the token of a link, or for somebody with the app key. Always accepted, durable before the answer."""
    claim = told.model_dump(include={"person_id", "account_id", "handle", "contact"})
    number = None if told.token is None else objection.number_of(service, told.token)
    if number is not None:
        asked = objection.by_link(service, number, kinds=told.kinds, services=told.services)
    elif told.token is not None and not any(claim.values()):
        raise refused()
    else:
        _app_only(service, authorization)
        if not any(claim.values()):
            raise HTTPException(
                HTTPStatus.UNPROCESSABLE_ENTITY, "Name somebody: person_id, account_id, handle, contact."
            )
        asked = objection.by_claim(
            service, claim, said_at=_aware(told.said_at), kinds=told.kinds, services=told.services
        )
    kept = (await objection.object_soon(asked)).kept
    return _out(kept, (await run_in_threadpool(objecting.states_of, service, [kept]))[kept.event_id])


@api.post("/objections/list", response_model=list[LineOut], responses=REFUSED, dependencies=[App])
async def object_for_list(
    service: Here, body: Annotated[bytes, Body(media_type="text/csv")], response: Response
) -> list[LineOut]:
    """Object for a list: CSV with a head, or JSON lines; each line is answered."""
    lines = read_lines(body.decode("utf-8", "replace"))
    answers = await run_in_threadpool(lambda: list(objecting.object_for_list(service, lines)))
    response.headers["cache-control"] = "no-store"
    return [LineOut(line=one.line, reference=one.reference, state=one.state) for one in answers]


@api.get("/objections/{token}", response_model=StatusOut, responses={**REFUSED, **NOWHERE})
def status(service: Here, token: Token) -> StatusOut:
    """Say how it stands behind a link."""
    number = objection.number_of(service, token)
    if number is None:
        raise refused()
    found = objection.status(service, number)
    complain = authority(found.reached.country if found.reached else None)
    states = objecting.states_of(service, found.objections)
    return StatusOut(
        objected=bool(found.objections), authority=complain.name,
        objections=[_out(one, states[one.event_id]) for one in found.objections],
        authority_url=complain.url,
    )  # fmt: skip


@api.get("/objections/{token}/receipt", responses={**REFUSED, HTTPStatus.NOT_FOUND: {"description": "no objection"}})
def receipt(service: Here, token: Token) -> JSONResponse:
    """Hand out the receipt of the objection behind a link."""
    number = objection.number_of(service, token)
    if number is None:
        raise refused()
    found = objection.status(service, number)
    if found.first is None or found.reached is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no objection yet.")
    made = objected.receipt_of(service, found.first, language=found.reached.language, country=found.reached.country)
    return JSONResponse(made, headers={"cache-control": "no-store"})


@api.get(
    "/receipts/{reference}",
    responses={**REFUSED, HTTPStatus.NOT_FOUND: {"description": "no such objection"}},
    dependencies=[App],
)
def receipt_by_reference(service: Here, reference: Token) -> JSONResponse:
    """Hand out a receipt to the platform, to pass it on to the person."""
    try:
        kept = objected.find(service, reference)
    except DemurError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no objection of that reference.") from error
    return JSONResponse(objected.receipt_of(service, kept, language="en", country=None))


@api.post("/receipts/verify", response_model=VerdictOut)
def verify(service: Here, told: Annotated[dict[str, Any], Body()]) -> VerdictOut:
    """Check a receipt against this ledger's key. Anybody can do the same without us: docs/receipt.md."""
    with Ledger.open(service.parts.workspace.ledger, service.parts.keys) as ledger:
        checks = verify_receipt.verify(told, verify_receipt.Against(key=str(ledger.verifier_key)))
    listed = [CheckOut(name=one.name, holds=one.ok, detail=one.detail) for one in checks]
    return VerdictOut(holds=verify_receipt.holds(checks), checks=listed)


@api.get(
    "/preferences/{account_id}", response_model=PreferencesOut, responses={**REFUSED, **NOWHERE}, dependencies=[App]
)
def preferences(service: Here, account_id: Token) -> dict[str, Any]:
    """Return headers and meta elements for an account's public pages; not to strangers, who could list objectors."""
    return objecting.outward(service, account_id)


@api.exception_handler(OutsideError)
def _failed(_request: Request, _error: Exception) -> JSONResponse:
    told = {"detail": "The database could not be reached. Nothing was recorded; please send it again."}
    return JSONResponse(told, HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": "5"})


def _aware(told: datetime | None) -> datetime | None:
    return None if told is None or told.tzinfo is None else told


def _out(kept: Kept, state: str) -> ObjectionOut:
    return ObjectionOut(
        reference=kept.objection_id, state=state, in_force_since=kept.said_at,
        repeated=kept.repeated, kinds=None if kept.kinds is None else list(kept.kinds),
        services=None if kept.services is None else list(kept.services),
    )  # fmt: skip


async def _mounted(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand the outer application's parts on: FastAPI puts itself into the scope."""
    await api({**scope, "demur": scope["app"].state.service}, receive, send)


def routes() -> list[BaseRoute]:
    """Return the API under its path."""
    return [Mount("/api", app=_mounted, name="api")]

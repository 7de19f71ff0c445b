"""The first page: what this site is, its doors, public facts for anybody to check; the link to the own page by mail.

``/ledger/`` serves the public half of the ledger as files (C2SP tlog-tiles): checkpoint, tiles, entries, the key.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from demur.flows import mine_acts, public
from demur.store.links import LinkPurpose
from demur.web.frame import page, service_of
from demur.web.guard import link_number, no_such_link

_TILE = re.compile(r"tile/(?:entries|[0-9]{1,2})(?:/x[0-9]{3})*/[0-9]{3}(?:\.p/[0-9]{1,3})?")
_YEAR = "public, max-age=31536000, immutable"


def routes() -> list[BaseRoute]:
    """Return the routes of this page."""
    return [
        Route("/", _home),
        Route("/link", _send, methods=["POST"]),
        Route("/link/{token}", _send_again, methods=["POST"]),
        Route("/ledger/{path:path}", _ledger),
    ]


def _home(request: Request) -> Response:
    service = service_of(request)
    return page(request, "home.html", facts=public.facts(service), sent=False)


async def _send(request: Request) -> Response:
    """Take an address; the answer is the same, and given before anything is looked up (SEC-02)."""
    form = await request.form(max_files=0, max_fields=10)
    service, address = service_of(request), str(form.get("address", ""))
    answer = page(request, "message.html", title="me.link_sent_title", text="me.link_sent_text")
    answer.background = BackgroundTask(mine_acts.send_link, service, address)
    return answer


def _send_again(request: Request) -> Response:
    """Send it to whom the notice was for, whoever holds the notice."""
    number = link_number(request, LinkPurpose.OBJECT)
    if number is None:
        return no_such_link(request)
    answer = page(request, "message.html", title="me.link_sent_title", text="me.link_sent_text")
    answer.background = BackgroundTask(mine_acts.send_link_of, service_of(request), number)
    return answer


def _ledger(request: Request) -> Response:
    """Serve a public file of the ledger: by name only, never by what a path may lead to."""
    folder: Path = service_of(request).parts.workspace.ledger / "public"
    name = request.path_params["path"]
    tile = _TILE.fullmatch(name) is not None
    if not (tile or name in {"checkpoint", "vkey"}) or not (folder / name).is_file():
        return PlainTextResponse("no such file of the ledger\n", HTTPStatus.NOT_FOUND)
    kind = "application/octet-stream" if tile else "text/plain; charset=utf-8"
    headers = {"cache-control": _YEAR if tile else "no-cache", "cross-origin-resource-policy": "cross-origin",
               "access-control-allow-origin": "*"}  # fmt: skip
    return FileResponse(folder / name, media_type=kind, headers=headers)

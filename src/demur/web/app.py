"""The application: every page module's routes under one roof."""

from __future__ import annotations

import importlib
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from demur.flows.service import Service
from demur.web.frame import page
from demur.web.guard import Limits, guards

PAGES: tuple[str, ...] = (
    "objection",
    "inapp",
    "feed",
    "api",
    "home",
    "login",
    "me",
    "widget",
    "requests",
    "exports",
    "console",
)
"""Modules of this package that have ``routes() -> list[BaseRoute]``, in order."""


def build_app(service: Service, limits: Limits | None = None) -> Starlette:
    """Return the application over opened parts; whoever opened them closes them.

    Args:
        service: the parts.
        limits: what one network may ask; ``None`` = as shipped. Benchmarks widen them: all their load is one address.
    """
    routes: list[BaseRoute] = [Mount("/static", StaticFiles(packages=[("demur.web", "static")]), name="static")]
    for name in PAGES:
        routes += importlib.import_module(f"demur.web.{name}").routes()
    app = Starlette(
        routes=routes,
        middleware=guards(service, limits or Limits()),
        exception_handlers={HTTPException: _refused},
    )
    app.state.service = service
    return app


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    title = "common.not_found_title" if status == HTTPStatus.NOT_FOUND else "common.refused_title"
    text = "common.not_found_text" if status == HTTPStatus.NOT_FOUND else None
    return page(request, "message.html", status=status, title=title, text=text)

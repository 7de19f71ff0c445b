"""The privacy office's console: one module a section, every route with the action that it needs (SEC-01)."""

from __future__ import annotations

import importlib
from functools import cache

from starlette.routing import BaseRoute, Route

from demur.clock import iso
from demur.web.console.desk import Screen, as_route
from demur.web.console.login import login_routes
from demur.web.console.words import ROLES, ago, utc, visible
from demur.web.frame import environment

SECTIONS = (
    "overview", "campaigns", "objections", "requests", "people", "holds", "whatif", "models", "exports",
    "ledger", "staff",
)  # fmt: skip


@cache
def screens() -> tuple[Screen, ...]:
    """Return every screen of the console, as the routes and the test of the role matrix read them."""
    found: list[Screen] = []
    for name in SECTIONS:
        found += importlib.import_module(f"demur.web.console.{name}").SCREENS
    return tuple(found)


def routes() -> list[BaseRoute]:
    """Return the console's routes; its templates get their filters."""
    environment().filters |= {
        "visible": visible, "utc": utc, "iso": iso, "ago": ago, "role": ROLES.__getitem__,
        "count": lambda value: f"{value:,}" if isinstance(value, int) else "<5" if value is None else str(value),
    }  # fmt: skip
    found: list[Route] = [*login_routes(), *(as_route(screen) for screen in screens())]
    return list(found)

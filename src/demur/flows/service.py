"""The concrete parts of the people's side: what pages, campaigns and letters work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from demur.access import AccessBook
from demur.flows.parts import Parts
from demur.flows.writer import GroupCommit
from demur.notice import NoticeBook
from demur.requests import RequestBook
from demur.store.links import Links
from demur.terms.site import Site


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that a face needs to serve people; chosen by ``wiring``, handed in."""

    parts: Parts
    site: Site
    notice: NoticeBook
    requests: RequestBook
    access: AccessBook
    links: Links
    writer: GroupCommit[Any, Any]
    """Writes objections, many at a time (flows/objection.py)."""
    clock: Callable[[], datetime]
    """Asked for the present instant of every act."""

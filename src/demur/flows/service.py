"""The concrete parts of the people's side: what pages, campaigns and letters work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from demur.access import AccessBook
from demur.flows.parts import Parts
from demur.notice import NoticeBook
from demur.store.links import Links
from demur.terms.site import Site


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that a face needs to serve people; chosen by ``wiring``, handed in."""

    parts: Parts
    site: Site
    notice: NoticeBook
    access: AccessBook
    links: Links
    clock: Callable[[], datetime]
    """Asked for the present instant of every act."""

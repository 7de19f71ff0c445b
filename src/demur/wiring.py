"""Config → concrete parts; the only place that chooses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from demur import clock
from demur.access import AccessBook
from demur.flows.objection import open_writer
from demur.flows.parts import Parts
from demur.flows.restore import lags, reapply
from demur.flows.service import Service
from demur.flows.site import read_site
from demur.notice import NoticeBook
from demur.people import Registry
from demur.requests import RequestBook
from demur.store import Workspace
from demur.store.links import Links
from demur.terms.manifests import CorpusRecipe
from demur.terms.progress import Progress, silent

LANGUAGES = (
    *("bg", "cs", "da", "de", "el", "en", "es", "et", "fi", "fr", "ga", "hr", "hu", "is"),
    *("it", "lt", "lv", "mt", "nb", "nl", "nn", "pl", "pt", "ro", "sk", "sl", "sv"),
)
"""Languages with a region of their own when nobody says otherwise."""


@contextmanager
def open_parts(workspace: Workspace, progress: Progress = silent) -> Iterator[Parts]:
    """Open a workspace: its registry (migrated), its keys; closed again afterwards."""
    workspace.root.mkdir(parents=True, exist_ok=True)
    with Registry(workspace.registry_url) as registry:
        registry.migrate()
        parts = Parts(workspace, registry, workspace.keys, progress)
        if lags(parts):
            reapply(parts)
        yield parts


@contextmanager
def open_service(workspace: Workspace, progress: Progress = silent) -> Iterator[Service]:
    """Open a workspace with the people's side: campaigns, letters, requests, staff."""
    with ExitStack() as stack:
        parts = stack.enter_context(open_parts(workspace, progress))
        notice = NoticeBook(workspace.database_url("notice"))
        stack.callback(notice.close)
        notice.migrate()
        notice.leap(clock.now())
        requests = RequestBook(workspace.database_url("requests"), parts.keys)
        stack.callback(requests.close)
        requests.migrate()
        requests.leap(clock.now())
        access = AccessBook(workspace.database_url("access"), parts.keys.secret("attempts"))
        stack.callback(access.close)
        access.migrate()
        writer = open_writer()
        stack.callback(writer.close)
        yield Service(
            parts=parts,
            site=read_site(workspace),
            notice=notice,
            requests=requests,
            access=access,
            links=Links(parts.keys),
            writer=writer,
            clock=clock.now,
        )


def default_recipe(*, shards: int = 16, slices: int = 4) -> CorpusRecipe:
    """Return the recipe that is used when nobody says otherwise: a region for each larger language of Europe."""
    return CorpusRecipe(regions={language: language for language in LANGUAGES}, shards=shards, slices=slices)

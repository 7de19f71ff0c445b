"""One made-up workspace for the whole session, built once; every test works on a copy of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import web_worlds
from web_worlds import Live, Watch

from demur.flows.service import Service


@pytest.fixture(autouse=True)
def _stages_of_web_here() -> Iterator[None]:
    with web_worlds.in_process():
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the workspace with a corpus; nobody writes into it, copy it."""
    root = tmp_path_factory.mktemp("web") / "made"
    with pytest.MonkeyPatch.context() as patch, web_worlds.in_process():
        patch.delenv("DEMUR_REGISTRY_URL", raising=False)
        web_worlds.make(root)
    return root


@pytest.fixture
def watch() -> Watch:
    """The clock of the test's service."""
    return Watch()


@pytest.fixture
def service(made: Path, tmp_path: Path, watch: Watch) -> Iterator[Service]:
    """A copy of the made workspace, open, SQLite, with the clock standing still."""
    with web_worlds.opened(web_worlds.copied(made, tmp_path / "home"), watch) as found:
        yield found


@pytest.fixture
def client(service: Service) -> Iterator[Any]:
    """A client without a network; redirects are not followed."""
    from starlette.testclient import TestClient

    from demur.web.app import build_app

    with TestClient(build_app(service), base_url=service.site.origin, follow_redirects=False) as found:
        yield found


@pytest.fixture
def live(service: Service, browser: Any) -> Iterator[Live]:
    """The site on a loopback port with a page factory: ``live.page(width=320, scheme="dark", scripts=False)``."""
    with web_worlds.live_site(service, browser) as found:
        yield found

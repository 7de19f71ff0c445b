"""A book on either database, and a small real platform with a corpus for the flow."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "flows"))

import request_worlds
from request_worlds import Scene, Watch

from demur.requests import RequestBook
from demur.store import KeyRing, Workspace
from demur.wiring import open_service


@pytest.fixture
def book(url: str, tmp_path: Path) -> Iterator[RequestBook]:
    found = RequestBook(url, KeyRing(tmp_path / "keys"))
    found.migrate()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _stages_of_requests_here() -> Iterator[None]:
    with request_worlds.in_process():
        yield


@pytest.fixture(scope="session")
def built_platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("requests") / "built"
    with pytest.MonkeyPatch.context() as patch, request_worlds.in_process():
        patch.delenv("DEMUR_REGISTRY_URL", raising=False)
        request_worlds.make(root)
    return root


@pytest.fixture
def scene(built_platform: Path, tmp_path: Path) -> Iterator[Scene]:
    """A copy of the platform, open, with a clock that stands still."""
    root = Path(shutil.copytree(built_platform, tmp_path / "ws"))
    with open_service(Workspace(root)) as service:
        watch = Watch()
        yield Scene(replace(service, clock=watch), watch)

"""A small made-up network taken in and built into a corpus, and a running site over it; what tests of pages work on."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

from demur.flows import mine_index
from demur.flows.build import build_corpus
from demur.flows.intake import learn, take_in
from demur.flows.service import Service
from demur.store import Workspace, stage
from demur.terms.manifests import CorpusRecipe
from demur.testing import AS_OF, Network, write_dump
from demur.wiring import open_service

SEED, PEOPLE = 11, 60
NETWORK = Network(SEED, PEOPLE)
POLICY = "demur-strict"
RECIPE = CorpusRecipe(regions={"en": "en"}, other_region="rest", shards=4, slices=2)
NOW = AS_OF + timedelta(days=1)


class Watch:
    """The clock of a test: stands still until it is moved."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def pass_(self, **spans: float) -> datetime:
        self.at += timedelta(**spans)
        return self.at


def in_process() -> Any:
    """Stand in for the start of a child process: the stage is performed here; a context."""
    return mock.patch.object(stage.Child, "serve", lambda _self, folder: (stage.perform(folder), ""))


def make(root: Path) -> None:
    """Write, take in, build: the workspace that every test gets a copy of."""
    with opened(root) as service:
        write_dump(root / "platform", SEED, PEOPLE)
        take_in(service.parts, "demo", [root / "platform"], mapping=None, service=None, at=AS_OF)
        learn(service.parts, root / "platform" / "events.jsonl", at=AS_OF)
        build_corpus(service.parts, POLICY, RECIPE, as_of=AS_OF, known_at=AS_OF)
        mine_index.step(service.parts, at=NOW)


@contextmanager
def opened(root: Path, watch: Watch | None = None, **site: Any) -> Iterator[Service]:
    """Open a made-up workspace with a clock that stands still and members of ``site.toml`` replaced."""
    with open_service(Workspace(root, seed=b"web")) as service:
        yield replace(service, clock=watch or Watch(), site=replace(service.site, **site))


def copied(made: Path, target: Path) -> Path:
    return Path(shutil.copytree(made, target))


class Live:
    """A site on a loopback port, and pages of a browser on it."""

    def __init__(self, service: Service, browser: Any, url: str) -> None:
        self.service = service
        self.url = url
        self._browser = browser
        self._contexts: list[Any] = []

    def page(
        self,
        *,
        width: int = 1200,
        height: int = 900,
        scheme: str = "light",
        scripts: bool = True,
        language: str = "en",
        **more: Any,
    ) -> Any:
        """Open a page of a fresh browser context (no cookies)."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=scripts,
            locale=language, base_url=self.url, **more,
        )  # fmt: skip
        context.set_default_timeout(120_000)
        self._contexts.append(context)
        return context.new_page()

    def close(self) -> None:
        for context in self._contexts:
            context.close()


@contextmanager
def serving(app: Any, listener: socket.socket) -> Iterator[None]:
    """Run an ASGI application in a thread on a bound socket until the block ends."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level="error", server_header=False, access_log=False, lifespan="off", proxy_headers=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=60)


@contextmanager
def loopback() -> Iterator[socket.socket]:
    """Bind a free port of the loopback address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        yield listener


@contextmanager
def live_site(service: Service, browser: Any) -> Iterator[Live]:
    """Serve a workspace's pages on loopback; ``site.origin`` is where they really are."""
    from demur.web.app import build_app

    with loopback() as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        here = replace(service, site=replace(service.site, origin=url))
        with serving(build_app(here), listener):
            found = Live(here, browser, url)
            try:
                yield found
            finally:
                found.close()

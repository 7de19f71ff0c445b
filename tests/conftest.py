"""Databases to test on (SQLite always, PostgreSQL when its binaries are here), and one browser for the session."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import settings

settings.register_profile("demur", settings.get_profile(settings.get_current_profile_name()), deadline=None)
settings.load_profile("demur")  # how long an example takes says how busy the machine is
STEPS = (
    ("demur.flows.enrol", "STEP_SECONDS"),
    ("demur.flows.send", "_STEP_SECONDS"),
    ("demur.web.console.campaigns", "_FREEZE_SECONDS"),
    ("demur.web.oidc", "_SECONDS"),
)
"""Seconds of the wall clock after which something ends in the middle: on a machine that stands still, anywhere."""


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let steps and connections take their time."""
    for module, seconds in STEPS:
        if module in sys.modules:
            monkeypatch.setattr(f"{module}.{seconds}", 600.0)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that nobody waits for it in the end."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def _binaries() -> Path | None:
    """Find initdb and pg_ctl on PATH or where Debian puts them."""
    found = shutil.which("initdb")
    homes = [Path(found).parent] if found and shutil.which("pg_ctl") else []
    homes += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((home for home in homes if (home / "pg_ctl").exists() and (home / "initdb").exists()), None)


def _as_nobody() -> tuple[list[str], str | None]:
    """PostgreSQL refuses root: name the command that runs it as somebody else."""
    if os.geteuid() != 0:
        return [], None
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        if shutil.which("setpriv"):
            return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"], name
        if shutil.which("runuser"):
            return ["runuser", "-u", name, "--"], name
    return [], None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Start a private cluster on a Unix socket in a temporary folder; stop it at the end."""
    home = _binaries()
    if home is None:
        pytest.skip("no PostgreSQL binaries (initdb, pg_ctl) on PATH or under /usr/lib/postgresql")
    pytest.importorskip("psycopg", reason="the driver psycopg 3 is not installed")
    prefix, user = _as_nobody()
    if os.geteuid() == 0 and user is None:
        pytest.skip("PostgreSQL refuses to run as root, and neither setpriv nor runuser with another user is here")
    folder = Path(tempfile.mkdtemp(prefix="demur-pg-", dir="/tmp"))  # short: a socket path has 107 bytes at most
    folder.chmod(0o755)
    data = folder / "data"
    if user is not None:
        shutil.chown(folder, user)
    options = f"-c listen_addresses='' -k {folder} -c fsync=off -c shared_buffers=64MB"
    control: list[Any] = [*prefix, home / "pg_ctl", "-D", data, "-w"]
    with (folder / "output").open("w") as output:
        quiet: dict[str, Any] = {"stdout": output, "stderr": output, "cwd": folder}
        try:
            initdb = [*prefix, home / "initdb", "-D", data, "-U", "demur", "-A", "trust", "-E", "UTF8"]
            subprocess.run(initdb, check=True, **quiet)
            subprocess.run([*control, "-l", folder / "data/log", "-o", options, "start"], check=True, **quiet)
            yield f"postgresql+psycopg://demur@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=False, **quiet)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty database: each test runs on both (all rooms share it, as with DEMUR_REGISTRY_URL)."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'registry.db'}"
    address: str = request.getfixturevalue("postgresql")
    engine = sa.create_engine(address)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return address


FLAGS = [
    f"--{flag}"
    for flag in (
        "no-sandbox", "disable-gpu", "disable-quic", "no-first-run", "disable-background-networking",
        "disable-component-update", "disable-sync",
    )
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, started once: a second driver in the same process would not start."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium here")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=chromium, args=FLAGS)
        yield found
        found.close()


@pytest.fixture(autouse=True)
def _own_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let tests without the browser run loops of their own: its driver's stays marked as running in this thread."""
    if "browser" in request.fixturenames:
        yield
        return
    driver = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(driver)

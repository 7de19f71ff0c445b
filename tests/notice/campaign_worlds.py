"""A service on a workspace of its own with a few ordinary people, and a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from demur.clock import iso
from demur.flows import campaign
from demur.flows.service import Service
from demur.store import Workspace
from demur.wiring import open_service

T0 = datetime(2026, 9, 1, 12, tzinfo=UTC)
EFFECTIVE = T0 + timedelta(days=60)


@dataclass
class Watch:
    """A clock."""

    now: datetime = T0

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def turn(self, **by: float) -> None:
        self.now += timedelta(**by)


@contextmanager
def opened(home: Path, watch: Watch) -> Iterator[Service]:
    with open_service(Workspace(home, seed=b"campaigns")) as service:
        yield replace(service, clock=watch)


def tell(service: Service, *events: dict[str, Any]) -> None:
    found = service.parts.registry.record_events(events, recorded_at=service.clock())
    assert found.faults == ()


def person(service: Service, name: str, **more: Any) -> None:
    """Record an ordinary person, but for ``country``, ``language``, ``born_on``, ``contact``, ``status``."""
    known = {
        "country": "DE",
        "language": "de",
        "born_on": 1980,
        "contact": f"{name}@x.example",
        "status": "active",
    } | more
    account = f"{name}:a"
    events: list[dict[str, Any]] = [{"type": "account", "account_id": account, "person_id": name}]
    if known["country"]:
        events.append({"type": "residence", "person_id": name, "country": known["country"]})
    if known["language"]:
        events.append({"type": "profile", "account_id": account, "language": known["language"]})
    if known["born_on"]:
        events.append({"type": "age", "person_id": name, "born_on": known["born_on"], "source": "declared"})
    if known["contact"]:
        events.append({"type": "contact", "person_id": name, "contact": known["contact"]})
    if known["status"]:
        events.append({"type": "status", "account_id": account, "status": known["status"], "valid_at": iso(T0)})
    tell(service, *events)


def begin(service: Service, name: str = "spring", **plan: Any) -> None:
    """Draft, approve and start a campaign."""
    campaign.draft(service, campaign.Plan(name, **{"effective_at": EFFECTIVE, **plan}), by="ada")
    campaign.approve(service, name, by="grace")
    campaign.start(service, name, by="ada")


def rows(service: Service, name: str = "spring") -> dict[str, Any]:
    """Person → row of the campaign."""
    import sqlalchemy as sa

    from demur.notice.schema import DELIVERIES

    with service.notice.database.reading() as connection:
        query = sa.select(DELIVERIES).where(DELIVERIES.c.campaign_id == name)
        return {row.person_id: row for row in connection.execute(query)}


@pytest.fixture
def watch() -> Watch:
    """The clock of the test's service."""
    return Watch()


@pytest.fixture
def service(url: str, tmp_path: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """An open service on each database."""
    if url.startswith("postgresql"):
        monkeypatch.setenv("DEMUR_REGISTRY_URL", url)
    with opened(tmp_path / "home", watch) as found:
        yield found

"""A site in a process of its own, to be killed: ``python objection_site.py HOME PORT``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from demur.notice.schema import DELIVERIES
from demur.store import Workspace
from demur.wiring import open_service


def tell(service: Any, people: int) -> None:
    """Record people and a delivery for each."""
    told: list[dict[str, Any]] = []
    for number in range(1, people + 1):
        told.append({"type": "account", "account_id": f"k:{number}", "person_id": f"k:p{number}"})
        told.append({"type": "contact", "person_id": f"k:p{number}", "contact": f"p{number}@example.org"})
    service.parts.registry.record_events(told, recorded_at=service.clock())
    rows = [
        {"number": number, "campaign_id": "c", "person_id": f"k:p{number}", "country": None, "language": "en",
         "channel": "email", "address": None, "destination": "x", "state": "accepted", "attempt": 1, "not_before": 0,
         "state_at": 0}
        for number in range(1, people + 1)
    ]  # fmt: skip
    with service.notice.database.writing() as connection:
        connection.execute(sa.insert(DELIVERIES), rows)


def main(home: str, port: str) -> None:
    import uvicorn

    from demur.web.app import build_app
    from demur.web.guard import Limit, Limits

    much = Limit(1e9, 1e9)
    with open_service(Workspace(Path(home))) as service:
        app = build_app(service, Limits(much, much, much, much))
        uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="error", access_log=False, lifespan="off")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""What comes in from outside: content, events, notices, holds; each is logged where it has consequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from demur.clock import iso
from demur.flows.left import fresh
from demur.flows.parts import Parts
from demur.flows.pending import last_look
from demur.intake import IntakeReport, SiteSignals, intake, read_mapping
from demur.ledger import Entry, EntryKind
from demur.people import Recorded
from demur.store import Workspace


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a campaign announced."""

    campaign_id: str
    purpose: str
    effective_at: datetime
    notice_days: int
    channel: str


def take_in(
    parts: Parts,
    source: str,
    paths: Sequence[Path],
    *,
    mapping: str | None,
    service: str | None,
    at: datetime,
    signals: Path | None = None,
) -> IntakeReport:
    """Read content and people into the tables, and the people into the registry.

    ``signals`` is a folder of sites' robots.txt, ai.txt … (docs/signals.md).
    """
    with fresh(parts.workspace, "intake") as folder:
        report = intake(
            source,
            list(paths),
            store_folder=parts.workspace.source,
            quarantine_folder=parts.workspace.quarantine,
            imported_at=at,
            progress=parts.progress,
            mapping=read_mapping(mapping) if mapping else None,
            service=service,
            signals=None if signals is None else SiteSignals(signals),
            spill_folder=folder,
        )
    parts.progress("registry", 0, None)
    parts.registry.import_people(
        sorted((parts.workspace.source / "people").glob("*.parquet")), suppression_key=parts.keys.secret("suppression")
    )
    return report


def learn(parts: Parts, events: Path, *, at: datetime) -> Recorded:
    """Record a file of events and log that it was.

    Once there are corpora, an event cannot have been recorded before they were built: it is new to them, and waits.
    """
    done = parts.registry.import_events(events, recorded_at=at, not_before=last_look(parts))
    parts.log(
        Entry(
            EntryKind.NOTICE_BATCH,
            at,
            f"events:{events.name}:{iso(at)}",
            {"events": {str(table): count for table, count in done.events.items()}},
        )
    )
    return done


def tell(parts: Parts, campaign: Campaign, people: list[str] | None, *, delivered_at: datetime, at: datetime) -> int:
    """Record a campaign and that its notices were delivered to people (``None`` = everybody); return how many."""
    whom = people if people is not None else parts.registry.everybody()
    head: list[dict[str, Any]] = [
        {
            "type": "campaign",
            "campaign_id": campaign.campaign_id,
            "purpose": campaign.purpose,
            "effective_at": iso(campaign.effective_at),
            "notice_days": campaign.notice_days,
        },
        {
            "type": "campaign_status",
            "campaign_id": campaign.campaign_id,
            "status": "running",
            "valid_at": iso(delivered_at),
        },
    ]
    for event in head:
        parts.registry.record(event, recorded_at=at)
    state = {"campaign_id": campaign.campaign_id, "channel": campaign.channel, "state": "delivered"}
    parts.registry.record_notices(
        ({"person_id": person, **state, "valid_at": iso(delivered_at)} for person in whom), recorded_at=at
    )
    facts = {"campaign": campaign.campaign_id, "people": len(whom), "delivered_at": iso(delivered_at)}
    parts.log(Entry(EntryKind.NOTICE_BATCH, at, f"{campaign.campaign_id}:{iso(delivered_at)}:{len(whom)}", facts))
    return len(whom)


def quarantined(workspace: Workspace) -> dict[str, int]:
    """Return reason → rows in quarantine."""
    found: dict[str, int] = {}
    for path in sorted(workspace.quarantine.rglob("*.parquet")):
        for reason in pq.read_table(path, columns=["reason"])["reason"].to_pylist():
            found[reason] = found.get(reason, 0) + 1
    return found

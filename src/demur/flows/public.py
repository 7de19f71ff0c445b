"""Facts that anybody may know about this installation: what is announced, and how its ledger is checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from demur.clock import from_micros
from demur.flows.service import Service
from demur.notice.schema import CAMPAIGNS
from demur.terms.people import CLOCK_STATUSES, CampaignStatus


@dataclass(frozen=True, slots=True)
class Announced:
    """A campaign in public."""

    campaign_id: str
    status: str
    effective_at: datetime
    notice_days: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What the first page shows."""

    campaigns: tuple[Announced, ...]
    checkpoint: str | None
    """Signed note (C2SP tlog-checkpoint); ``None`` = nothing was logged yet."""
    verifier: str | None
    """Key that checks it (C2SP signed-note)."""


def facts(service: Service) -> Facts:
    """Return the public facts."""
    shown = {status.value for status in CLOCK_STATUSES} | {CampaignStatus.HELD.value}
    query = sa.select(CAMPAIGNS).where(CAMPAIGNS.c.status.in_(shown)).order_by(CAMPAIGNS.c.effective_at)
    with service.notice.database.reading() as connection:
        rows = connection.execute(query).all()
    public = service.parts.workspace.ledger / "public"
    texts = [path.read_text(encoding="utf-8") if path.exists() else None
             for path in (public / "checkpoint", public / "vkey")]  # fmt: skip
    campaigns = tuple(
        Announced(row.campaign_id, row.status, from_micros(row.effective_at), row.notice_days) for row in rows
    )
    return Facts(campaigns, texts[0], texts[1].strip() if texts[1] else None)

"""What is known about people: status, age evidence, delivery of notices, what they said."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Status of an account (PPL-05). Only ``active`` is eligible by default."""

    ACTIVE = "active"
    DORMANT = "dormant"
    DEACTIVATED = "deactivated"
    DELETED = "deleted"
    MEMORIAL = "memorial"
    SUSPENDED = "suspended"
    COMPROMISED = "compromised"
    TRANSFERRED = "transferred"
    ORGANISATION = "organisation"
    BOT = "bot"


class AgeSource(StrEnum):
    """Where age evidence comes from, strongest first (PPL-02)."""

    VERIFIED = "verified"
    DECLARED = "declared"
    ESTIMATED = "estimated"
    NONE = "none"


class Delivery(StrEnum):
    """State of one notice to one person over one channel (NOT-03)."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    SEEN = "seen"
    CLICKED = "clicked"
    ACTED = "acted"


DELIVERED_STATES = frozenset({Delivery.DELIVERED, Delivery.SEEN, Delivery.CLICKED, Delivery.ACTED})


class CampaignStatus(StrEnum):
    """Status of a campaign (X3, NOT-01)."""

    DRAFT = "draft"
    RUNNING = "running"
    HELD = "held"
    CANCELLED = "cancelled"
    EFFECTIVE = "effective"
    SUPERSEDED = "superseded"


CLOCK_STATUSES = frozenset({CampaignStatus.RUNNING, CampaignStatus.EFFECTIVE, CampaignStatus.SUPERSEDED})
"""Only notices of such campaigns start a clock; a cancelled or held one never does (NOT-09)."""


class Act(StrEnum):
    """What a person or an authority did."""

    OBJECT = "object"
    WITHDRAW = "withdraw"
    CONSENT = "consent"
    REVOKE = "revoke"
    PLACE = "place"
    LIFT = "lift"

"""What is known about people: status, age evidence, delivery of notices, what they said."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


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


class Candidate(NamedTuple):
    """One human being who may belong to a campaign, as far as telling them is concerned (NOT-01)."""

    person_id: str
    """Of several linked ids one that has an account."""
    countries: tuple[str, ...]
    """Residences that count now; empty = unknown, which belongs to every campaign."""
    language: str | None
    """Told last, over all accounts."""
    contact: str | None
    """The newest address."""
    bounced: bool
    """Mail to that address came back, and none arrived since."""
    born_on: int | None
    """Youngest birth date that the evidence allows, as days since 1970; ``None`` = unknown."""
    age_conflict: bool
    """Some evidence says minor, some says adult."""
    statuses: tuple[str | None, ...]
    """Of all their accounts."""
    objected: bool
    """To everything, everywhere."""
    objected_kinds: tuple[str, ...]
    """Otherwise the kinds objected to on every service."""

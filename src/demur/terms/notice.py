"""Notices to people: campaigns, one delivery a person, and what a channel carries (NOT-01 … NOT-09)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from demur.terms.content import Kind
from demur.terms.people import CampaignStatus


class DeliveryState(StrEnum):
    """Where one person's notice stands; ``leased`` and ``wire`` are apart, so that a kill is told from a loss."""

    WAITING = "waiting"
    LEASED = "leased"
    WIRE = "wire"
    """Handed to the network; without a result it may or may not have arrived."""
    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    SEEN = "seen"
    EXCLUDED = "excluded"
    """Not told, for a reason that is kept; such a person is never eligible through this campaign."""
    STOPPED = "stopped"
    """The campaign was cancelled before this notice went out."""


class Excluded(StrEnum):
    """Why a person of the audience gets no notice."""

    UNDER_AGE = "under_age"
    AGE_UNKNOWN = "age_unknown"
    NO_ADDRESS = "no_address"
    BOUNCED_BEFORE = "bounced_before"
    MISSING_TRANSLATION = "missing_translation"
    OBJECTED = "objected"
    """Never asked again unless the person begins (OBJ-05)."""
    ACCOUNT_STATUS = "account_status"


class Outcome(StrEnum):
    """What a channel says became of one message."""

    ACCEPTED = "accepted"
    DEFERRED = "deferred"
    """Try again later."""
    BOUNCED = "bounced"
    """Never over this channel."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """A notice sent to an audience, with an effective date and a period of N days."""

    campaign_id: str
    purpose: str
    countries: frozenset[str]
    """Audience: people with a residence there now, or with an unknown one. Empty = every country."""
    kinds: frozenset[Kind] | None
    """Kinds that the notice announces; ``None`` = all. A material change names only what is new (NOT-07)."""
    channels: tuple[str, ...]
    """In order of preference; after a hard bounce the next one is tried."""
    effective_at: datetime
    """Nothing is used before."""
    notice_days: int
    status: CampaignStatus
    policy: str
    """Reference of the policy: a preset's name or a file."""
    policy_digest: str
    made_by: str
    made_at: datetime
    approved_by: str | None = None
    approved_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message, ready for a channel."""

    number: int
    """The delivery's (or letter's) number."""
    attempt: int
    address: str
    destination: str
    """Group that is throttled together: the address's domain, or the channel."""
    return_path: str
    """VERP envelope sender."""
    message: bytes
    """The whole message as it goes out (RFC 5322 with CRLF; JSON for in-app)."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one message."""

    number: int
    attempt: int
    outcome: Outcome
    code: str
    """SMTP reply or HTTP status, shortened; never an address."""


class Channel(Protocol):
    """A way to reach people. Built-ins: ``email``, ``inapp``, ``outbox`` (entry points ``demur.channels``)."""

    name: str

    async def open(self) -> None:
        """Connect."""

    def send(self, batch: Sequence[Outgoing]) -> AsyncIterator[Result]:
        """Send messages and yield a result for each; one that gets none stays on the wire and is tried again."""

    async def close(self) -> None:
        """Say goodbye."""

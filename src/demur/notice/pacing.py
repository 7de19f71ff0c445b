"""How fast notices go out: per destination group, per campaign, overall. Kept nowhere; the clock is handed in.

After a restart the buckets start full, which is one burst at most. Several workers each have buckets of their own: give
each its share of the rates. This module does not know what a notice is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

PLENTY = 1 << 30
_MANY = 10_000
"""Buckets of destinations kept at once; full ones are forgotten beyond."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Messages a second; ``None`` = as fast as the relay takes them."""

    overall: float | None = None
    campaign: float | None = None
    """For each campaign."""
    destination: float | None = None
    """For each group that is not named below."""
    destinations: Mapping[str, float] = field(default_factory=dict)
    """Group (a mail domain, or a channel) → its own rate."""
    burst_s: float = 1.0
    """Seconds' worth that may go at once."""


class Bucket:
    """A token bucket with a queue: who finds it empty is told a place in time, and comes back then.

    Args:
        rate: tokens a second.
        burst_s: seconds' worth of tokens that it holds; at least one token.
        now: the present instant; the bucket starts full.
    """

    def __init__(self, rate: float, burst_s: float, now: datetime) -> None:
        self._rate = rate
        self._most = max(1.0, rate * burst_s)
        self._tokens = self._most
        self._at = now
        self._tail = now

    def room(self, now: datetime) -> int:
        """Return how many may go now."""
        self._fill(now)
        return int(self._tokens)

    def take(self, now: datetime, *, waited: bool = False) -> datetime | None:
        """Take a token; or return when to come back, at the end of the queue.

        Args:
            now: the present instant.
            waited: whoever stood in the queue already goes first; a newcomer never passes a queue.
        """
        self._fill(now)
        if self._tokens >= 1.0 and (waited or self._tail <= now):
            self._tokens -= 1.0
            return None
        self._tail = max(self._tail, now) + timedelta(seconds=1.0 / self._rate)
        return self._tail

    def idle(self, now: datetime) -> bool:
        """Whether forgetting this bucket would change nothing."""
        self._fill(now)
        return self._tokens >= self._most and self._tail <= now

    def _fill(self, now: datetime) -> None:
        if now > self._at:
            self._tokens = min(self._most, self._tokens + (now - self._at).total_seconds() * self._rate)
            self._at = now


class Pacing:
    """All buckets of one worker.

    Args:
        rates: how fast.
    """

    def __init__(self, rates: Rates) -> None:
        for rate in (rates.overall, rates.campaign, rates.destination, *rates.destinations.values()):
            if rate is not None and not rate > 0:
                raise ValueError("expected rates above zero; to stop a campaign, pause it")
        self._rates = rates
        self._overall: Bucket | None = None
        self._campaigns: dict[str, Bucket] = {}
        self._destinations: dict[str, Bucket] = {}
        self._free = rates == Rates(burst_s=rates.burst_s)
        self._by_destination = rates.destination is not None or bool(rates.destinations)

    def room(self, campaign_id: str, now: datetime) -> int:
        """Return how many messages of a campaign may go now, all destinations together."""
        return min((bucket.room(now) for bucket in self._shared(campaign_id, now)), default=PLENTY)

    def take(self, campaign_id: str, destination: str, now: datetime, *, waited: bool) -> datetime | None:
        """Let one message go (``None``), or return when it may be asked for again."""
        if self._free:
            return None
        if self._by_destination:
            bucket = self._destination(destination, now)
            later = bucket.take(now, waited=waited) if bucket is not None else None
            if later is not None:
                return later
        for bucket in self._shared(campaign_id, now):
            bucket.take(now, waited=True)
        return None

    def _shared(self, campaign_id: str, now: datetime) -> list[Bucket]:
        found = []
        if self._rates.overall is not None:
            self._overall = self._overall or Bucket(self._rates.overall, self._rates.burst_s, now)
            found.append(self._overall)
        if self._rates.campaign is not None:
            if campaign_id not in self._campaigns:
                self._campaigns[campaign_id] = Bucket(self._rates.campaign, self._rates.burst_s, now)
            found.append(self._campaigns[campaign_id])
        return found

    def _destination(self, destination: str, now: datetime) -> Bucket | None:
        rate = self._rates.destinations.get(destination, self._rates.destination)
        if rate is None:
            return None
        bucket = self._destinations.get(destination)
        if bucket is None:
            if len(self._destinations) >= _MANY:
                self._destinations = {name: kept for name, kept in self._destinations.items() if not kept.idle(now)}
            bucket = self._destinations[destination] = Bucket(rate, self._rates.burst_s, now)
        return bucket

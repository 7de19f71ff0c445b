"""The made-up network: people and what they make, one person after another, from a seed.

Any person can be made alone and equals the same person in the stream; nothing is kept in memory but small caches.
Writes nothing; ``dump.py`` does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from demur.testing.accounts import account_rows, campaign_events, events
from demur.testing.cast import Profile, World, profile
from demur.testing.makers import works
from demur.testing.spoiled import spoiled
from demur.testing.truth import Expected, expected, protected
from demur.testing.works import Work, anchor

AS_OF = datetime(2026, 9, 1, tzinfo=UTC)
"""Instant at which the demo builds, when none is given."""


@dataclass(frozen=True, slots=True)
class Person:
    """All that is planned of one person."""

    profile: Profile
    accounts: tuple[dict[str, Any], ...]
    """Rows for the people table, without version_id and imported_at."""
    events: tuple[dict[str, Any], ...]
    """Events for the registry up to ``as_of``."""
    after: tuple[dict[str, Any], ...]
    """Events recorded later than ``as_of``: what happens once a model is trained."""
    works: tuple[Work, ...]
    spoiled: tuple[dict[str, Any], ...]
    """Rows that cannot be read; they belong in quarantine."""


class Network:
    """A made-up network.

    Args:
        seed: any whole number; equal seeds, sizes and instants give equal networks.
        people: how many; memory does not depend on it.
        as_of: instant at which its plans are judged; histories lie before it.
    """

    def __init__(self, seed: int, people: int, as_of: datetime = AS_OF) -> None:
        self.world = World(seed, people, as_of)

    def person(self, index: int) -> Person:
        """Return one person, made alone."""
        who = profile(self.world, index)
        happened = events(self.world, who)
        return Person(
            profile=who,
            accounts=tuple(account_rows(who)),
            events=tuple(event for event in happened if event["recorded_at"] <= self.world.as_of),
            after=tuple(event for event in happened if event["recorded_at"] > self.world.as_of),
            works=tuple(works(self.world, index)),
            spoiled=tuple(spoiled(self.world, who)),
        )

    def stream(self, first: int = 0, last: int | None = None) -> Iterator[Person]:
        """Yield people in the order of their index; give a range to share the work."""
        for index in range(first, self.world.people if last is None else last):
            yield self.person(index)

    def campaigns(self) -> list[dict[str, Any]]:
        """Return the events that belong to no person: campaigns and holds."""
        return campaign_events(self.world)

    def expected(self, who: Profile, work: Work) -> Expected:
        """Return what is intended for an item under ``demur-strict`` at ``as_of``."""
        return expected(self.world, who, work)

    def truth_row(self, who: Profile, work: Work) -> dict[str, Any]:
        """Return all that is known of an item as one flat object for ``truth.jsonl``."""
        found = self.expected(who, work)
        row: dict[str, Any] = {
            "item_id": work.row["item_id"],
            "person": who.hint,
            "case": who.case,
            "edge": work.edge or None,
            "kind": work.row["kind"],
            "tag": work.tag,
            "allowed": found.allowed,
            "primary": found.primary,
            "reasons": found.reasons,
            "planted": [{"type": type_, "value": value} for type_, value in work.planted],
            "mentions": work.mentions,
            "copy_of": work.copy_of,
            "copy_kind": work.copy_kind,
            "versions": len(work.rows),
        }
        if work.copy_of is not None:
            owner = profile(self.world, int(work.copy_of.rpartition(":")[2].split("-")[0]))
            row["copy_protected"] = protected(self.world, owner, anchor(self.world, owner.index, 0))
        return row

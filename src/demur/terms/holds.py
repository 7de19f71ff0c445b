"""An authority's stop as it was ordered: what it covers, which stages it stops, how it ends (HLD-01 … HLD-05)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Stage(StrEnum):
    """What a hold stops; a hold that names none stops all."""

    SENDING = "sending"
    """Notices to people of the slice."""
    BUILDS = "builds"
    """New corpora, and what older ones hold: the slice goes out of them."""
    TRAINING = "training"
    EXPORT = "export"
    """Tables, corpora and models that leave the house."""
    RELEASE = "release"
    SERVING = "serving"


class Nature(StrEnum):
    """What stands behind a hold."""

    AUTHORITY = "authority"
    AUTOMATIC = "automatic"
    """Placed by demur itself, because a limit was passed."""
    DRILL = "drill"
    """An exercise: every check answers as for a real one, nothing is taken out of anything."""
    ORDER = "order"
    """An order to erase: never lifted."""


@dataclass(frozen=True, slots=True)
class Lift:
    """The end of a hold."""

    by: tuple[str, ...]
    """Two different people at least (HLD-04)."""
    reason: str
    valid_at: datetime
    renotice_at: datetime | None
    """Only notices that were delivered from then on count for people of the slice; ``None`` = older ones do too."""


@dataclass(frozen=True, slots=True)
class PlacedHold:
    """One hold with everything that was said about it. ``None`` or empty = any."""

    hold_id: str
    countries: frozenset[str]
    services: frozenset[str]
    kinds: frozenset[str]
    created_from: datetime | None
    created_until: datetime | None
    purpose: str | None
    campaign_id: str | None
    artefact: str | None
    """Id of one corpus or model; content is not touched by such a hold."""
    stages: frozenset[Stage]
    nature: Nature
    authority: str
    instrument: str
    text: str | None
    """What the order says, or a summary."""
    deadline_at: datetime | None
    """By when the authority wants it carried out, e.g. five business days."""
    penalty: str | None
    valid_at: datetime
    recorded_at: datetime
    lift: Lift | None = None

    def in_force(self, at: datetime) -> bool:
        """Return whether it stops anything at an instant: what is placed holds from ``valid_at`` until its lift."""
        return self.valid_at <= at and (self.lift is None or self.lift.valid_at > at)

    @property
    def whole(self) -> bool:
        """Whether it restricts nothing: everything is stopped."""
        return not any((self.countries, self.services, self.kinds, self.created_from, self.created_until,
                        self.purpose, self.campaign_id, self.artefact))  # fmt: skip

    @property
    def about_content(self) -> bool:
        """Whether it names kinds, services or a time of making: then it is about items, not about whom to tell."""
        return any((self.services, self.kinds, self.created_from, self.created_until))

    @property
    def takes_out(self) -> bool:
        """Whether decisions deny the slice, and corpora and models that hold it are narrowed."""
        return self.artefact is None and self.nature is not Nature.DRILL and Stage.BUILDS in self.stages

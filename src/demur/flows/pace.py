"""When a step of ``demur work`` looks again: for each workspace after some seconds. Does not know what it looks at."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Pace:
    """Says whether a step of this process is due."""

    seconds: float
    """How long it rests."""
    _after: dict[Path | str, float] = field(default_factory=dict)

    def due(self, what: Path | str) -> bool:
        """Say whether it is time to look at something, a workspace's folder or a database."""
        return time.monotonic() >= self._after.get(what, 0.0)

    def rest(self, what: Path | str) -> None:
        """Look at it again after some seconds only."""
        self._after[what] = time.monotonic() + self.seconds

    def forget(self) -> None:
        """Look at everything at once."""
        self._after.clear()

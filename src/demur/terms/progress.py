"""How long work tells how far it is, without knowing who looks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by long work; cheap, never raises, may be called from one thread only."""

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Report that ``done`` of ``total`` units (``None`` = not known) of a stage are finished."""
        ...


def silent(stage: str, done: int, total: int | None) -> None:
    """Report nothing."""

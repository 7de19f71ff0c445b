"""Free-text places into countries."""

from __future__ import annotations


def country_of(place: str | None) -> tuple[str | None, str]:
    """Return nothing yet."""
    return None, "not stated" if place is None else "not certain"

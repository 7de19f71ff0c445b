"""Figures that may be shown: small cells are suppressed, so that no figure points at a person (OBJ-12). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

SMALL = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure."""

    name: str
    count: int | None
    """``None`` = fewer than five, or kept back so that nobody subtracts."""


def suppressed(counts: Mapping[str, int], *, complementary: bool = True) -> list[Cell]:
    """Return figures, largest first, with small ones kept back.

    Where only one is small, the next one is kept back too: the total less the others would tell it.

    >>> [cell.count for cell in suppressed({"DE": 90, "FR": 12, "LU": 2})]
    [90, None, None]
    >>> [cell.count for cell in suppressed({"DE": 90, "FR": 12})]
    [90, 12]
    """
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    hidden = {name for name, count in ordered if 0 < count < SMALL}
    if complementary and len(hidden) == 1:
        larger = [name for name, count in ordered if count >= SMALL]
        hidden |= set(larger[-1:])
    return [Cell(name, None if name in hidden else count) for name, count in ordered]


def small(count: int) -> int | None:
    """Return a total, or ``None`` when it is small."""
    return None if 0 < count < SMALL else count


def every_day(counts: Mapping[str, int], *, until: date, days: int) -> list[Cell]:
    """Return the last days with their figures, days without one too; single small days stand as small."""
    known = {cell.name: cell.count for cell in suppressed(counts, complementary=False)}
    return [Cell(name, known.get(name, 0)) for name in days_until(until, days)]


def days_until(until: date, days: int) -> list[str]:
    """Return the last days in order.

    >>> days_until(date(2026, 3, 1), 2)
    ['2026-02-28', '2026-03-01']
    """
    first = until - timedelta(days=days - 1)
    return [(first + timedelta(days=step)).isoformat() for step in range(days)]


def ordered(counts: Mapping[str, int]) -> list[Cell]:
    """Return figures as they are, largest first: for staff who may see single people anyway."""
    return [Cell(name, count) for name, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))]

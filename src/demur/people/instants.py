"""Instants and dates as the registry stores them: whole microseconds and whole days since 1970, UTC. No I/O, no clock.

Integers are the same on SQLite and PostgreSQL, are never shifted by a session's time zone, compare quickly, and are
what Arrow holds inside ``timestamp[us, UTC]`` and ``date32``.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from demur.clock import adult_at

ALWAYS = -(2**62)
"""Before every instant: stands for an open begin in comparisons."""
FOREVER = 2**62
"""After every instant: stands for an open end in comparisons."""

_EPOCH_DAY = date(1970, 1, 1)


def days(day: date) -> int:
    """Return days since 1970 of a date."""
    return (day - _EPOCH_DAY).days


def day(stored: int) -> date:
    """Return the date of stored days."""
    return _EPOCH_DAY + timedelta(days=stored)


def months_before(as_of: datetime, months: int) -> datetime:
    """Return the instant some calendar months earlier; a day that the month lacks becomes its last day.

    >>> from datetime import UTC
    >>> months_before(datetime(2025, 3, 31, tzinfo=UTC), 1).date().isoformat()
    '2025-02-28'
    """
    index = as_of.year * 12 + (as_of.month - 1) - months
    year, month = divmod(index, 12)
    first_of_next = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    last = (first_of_next - timedelta(days=1)).day
    return as_of.replace(year=year, month=month + 1, day=min(as_of.day, last))


def adult_cutoff(as_of: datetime, min_age_years: int) -> int:
    """Return the latest birth date (as days) of somebody who counts as that old at ``as_of``.

    >>> from datetime import UTC
    >>> day(adult_cutoff(datetime(2025, 5, 28, tzinfo=UTC), 18)).isoformat()
    '2007-05-27'
    """
    year = as_of.year - min_age_years
    cutoff = date(year, as_of.month, min(as_of.day, 28)) + timedelta(days=4)
    while adult_at(cutoff, min_age_years) > as_of:
        cutoff -= timedelta(days=1)
    return days(cutoff)

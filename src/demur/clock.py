"""The only module that asks the wall clock. Everything else gets its instants handed in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(tz=UTC)


def parse(text: str) -> datetime:
    """Read an ISO 8601 instant or date; without an offset it is UTC.

    Raises:
        ValueError: the text is no ISO 8601 date or instant.

    >>> parse("2025-05-27").isoformat()
    '2025-05-27T00:00:00+00:00'
    """
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def iso(instant: datetime) -> str:
    """Write an instant as ISO 8601 in UTC with ``Z``.

    >>> iso(parse("2025-05-27T02:00:00+02:00"))
    '2025-05-27T00:00:00Z'
    """
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def micros(instant: datetime) -> int:
    """Return microseconds since 1970 of an aware instant: how instants are stored.

    >>> micros(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (instant - _EPOCH) // _MICROSECOND


def from_micros(stored: int) -> datetime:
    """Return the aware instant of stored microseconds.

    >>> from_micros(1000000).isoformat()
    '1970-01-01T00:00:01+00:00'
    """
    return _EPOCH + timedelta(microseconds=stored)


def adult_at(born_on: date, min_age_years: int) -> datetime:
    """Return the first instant at which a person of that birth date counts as ``min_age_years`` old.

    The birthday must be over everywhere in the person's zone, so the instant is the end of the birthday in UTC:
    the doubt goes to the person (SEC-09). 29 February counts from 1 March in common years.

    >>> iso(adult_at(date(2007, 5, 27), 18))
    '2025-05-28T00:00:00Z'
    >>> iso(adult_at(date(2008, 2, 29), 18))
    '2026-03-02T00:00:00Z'
    """
    year = born_on.year + min_age_years
    try:
        birthday = born_on.replace(year=year)
    except ValueError:  # 29 February
        birthday = date(year, 3, 1)
    return datetime(birthday.year, birthday.month, birthday.day, tzinfo=UTC) + timedelta(days=1)

"""Until when a request must be answered: GDPR art. 12(3), counted by Regulation (EEC, Euratom) No 1182/71 art. 3.

Pure: calendars in, instants out. Does not know requests, and does not ask the clock.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from demur.requests.words import Alarm

MONTHS = 1
EXTENDED_MONTHS = 3
"""One month and two further ones, all from receipt."""
ALARM_DAYS = 25
"""After so many days an unanswered request is shown first (OBJ-12)."""
LAST_DAYS = 5
"""The same for an extended one: so many days before its end."""

ZONES = {
    "AT": "Europe/Vienna", "BE": "Europe/Brussels", "BG": "Europe/Sofia", "HR": "Europe/Zagreb", "CY": "Asia/Nicosia",
    "CZ": "Europe/Prague", "DK": "Europe/Copenhagen", "EE": "Europe/Tallinn", "FI": "Europe/Helsinki",
    "FR": "Europe/Paris", "DE": "Europe/Berlin", "GR": "Europe/Athens", "HU": "Europe/Budapest", "IE": "Europe/Dublin",
    "IT": "Europe/Rome", "LV": "Europe/Riga", "LT": "Europe/Vilnius", "LU": "Europe/Luxembourg", "MT": "Europe/Malta",
    "NL": "Europe/Amsterdam", "PL": "Europe/Warsaw", "PT": "Europe/Lisbon", "RO": "Europe/Bucharest",
    "SK": "Europe/Bratislava", "SI": "Europe/Ljubljana", "ES": "Europe/Madrid", "SE": "Europe/Stockholm",
    "IS": "Atlantic/Reykjavik", "LI": "Europe/Vaduz", "NO": "Europe/Oslo", "CH": "Europe/Zurich",
    "GB": "Europe/London",
}  # fmt: skip
"""Where the controller's day ends; other countries count in UTC."""

IsHoliday = Callable[[date], bool]


def month_later(day: date, months: int) -> date:
    """Return the same day some months later, or the last day of that month if it has no such day (art. 3(2)(c)).

    >>> month_later(date(2028, 1, 31), 1).isoformat()
    '2028-02-29'
    """
    place = day.year * 12 + day.month - 1 + months
    year, month = divmod(place, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def last_day(received: date, months: int, is_holiday: IsHoliday) -> date:
    """Return the last day of a period in months: never a public holiday, Saturday or Sunday (art. 3(4)).

    >>> last_day(date(2026, 11, 25), 1, lambda day: (day.month, day.day) in {(12, 25), (12, 26)}).isoformat()
    '2026-12-28'
    """
    day = month_later(received, months)
    while day.weekday() >= 5 or is_holiday(day):
        day += timedelta(days=1)
    return day


def due_at(received_at: datetime, country: str, *, extended: bool = False) -> datetime:
    """Return the instant at which the last hour of the last day is over, on the controller's clock (art. 3(2)(c)).

    Args:
        received_at: when the request came in.
        country: ISO 3166-1 alpha-2 of the controller; its public holidays count (art. 2(1)).
        extended: with the two further months.
    """
    zone = zone_of(country)
    months = EXTENDED_MONTHS if extended else MONTHS
    day = last_day(received_at.astimezone(zone).date(), months, holidays_of(country))
    return datetime.combine(day + timedelta(days=1), time(0), zone).astimezone(UTC)


def due_on(due: datetime, country: str) -> date:
    """Return the last day itself, as letters name it."""
    return (due - timedelta(microseconds=1)).astimezone(zone_of(country)).date()


def zone_of(country: str) -> ZoneInfo:
    """Return the zone of a controller."""
    return ZoneInfo(ZONES.get(country, "UTC"))


@lru_cache(maxsize=64)
def holidays_of(country: str) -> IsHoliday:
    """Return the public holidays of a whole country; one that nobody lists has only week-ends."""
    import holidays

    try:
        found = holidays.country_holidays(country)
    except NotImplementedError:
        return lambda _day: False
    return lambda day: day in found


def alarm(received_at: datetime, due: datetime, now: datetime, *, extended: bool, answered: bool) -> Alarm:
    """Return how a request stands by the clock."""
    if answered:
        return Alarm.CLOSED
    if now >= due:
        return Alarm.OVERDUE
    begins = due - timedelta(days=LAST_DAYS) if extended else received_at + timedelta(days=ALARM_DAYS)
    return Alarm.SOON if now >= begins else Alarm.CALM

"""The clocks of GDPR art. 12(3), counted by Regulation 1182/71: never earlier than the law allows, never later."""

from __future__ import annotations

import calendar
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demur.requests import Alarm, alarm, due_at, due_on
from demur.requests.deadlines import ZONES, holidays_of, last_day, month_later

BOUNDS = (datetime(2020, 1, 1), datetime(2060, 1, 1))  # noqa: DTZ001  (hypothesis adds the zone)

# Received → last day, in a country; each worked out by hand with a calendar.
TABLE = [
    ("2026-03-05", "IE", 1, "2026-04-07", "5 April is Easter Sunday, 6 Easter Monday"),
    ("2025-03-05", "IE", 1, "2025-04-07", "5 April is a Saturday"),
    ("2025-03-21", "DE", 1, "2025-04-22", "21 April is Easter Monday"),
    ("2025-03-18", "DE", 1, "2025-04-22", "18 April is Good Friday, then the week-end and Easter Monday"),
    ("2025-03-18", "IE", 1, "2025-04-18", "Good Friday is no public holiday in Ireland"),
    ("2026-01-31", "IE", 1, "2026-03-02", "no 31 February; the 28th is a Saturday, the next working day Monday"),
    ("2028-01-31", "FR", 1, "2028-02-29", "a leap year: the last day of February, a Tuesday"),
    ("2027-01-29", "FR", 1, "2027-03-01", "no 29 February in 2027; the 28th is a Sunday"),
    ("2026-05-31", "IT", 1, "2026-06-30", "no 31 June"),
    ("2025-08-31", "IE", 1, "2025-09-30", "no 31 September"),
    ("2025-11-25", "DE", 1, "2025-12-29", "Christmas, St Stephen's, a week-end"),
    ("2025-12-01", "PL", 1, "2026-01-02", "New Year's Day"),
    ("2025-11-24", "PL", 1, "2025-12-29", "Christmas Eve is a public holiday in Poland since 2025"),
    ("2025-11-24", "IE", 1, "2025-12-24", "Christmas Eve is none in Ireland"),
    ("2026-03-05", "IE", 3, "2026-06-05", "three months from receipt, not two from the shifted first end"),
    ("2025-11-30", "IE", 3, "2026-03-02", "no 30 February; the 28th is a Saturday"),
    ("2026-04-01", "FR", 1, "2026-05-04", "1 May is a holiday and a Friday"),
]


@pytest.mark.parametrize(("received", "country", "months", "last", "why"), TABLE, ids=[row[4] for row in TABLE])
def test_the_last_day_is_the_one_that_the_regulation_gives(received, country, months, last, why):
    assert why
    at = datetime.combine(date.fromisoformat(received), datetime.min.time(), ZoneInfo(ZONES[country]))
    for hour in (0, 9, 23):  # the hour of receipt does not matter: the period ends with the last hour of a day
        due = due_at(at + timedelta(hours=hour), country, extended=months == 3)
        assert due_on(due, country).isoformat() == last
        local = due.astimezone(ZoneInfo(ZONES[country]))
        assert (local.hour, local.minute, local.date()) == (0, 0, date.fromisoformat(last) + timedelta(days=1))


def test_the_day_of_receipt_is_the_one_on_the_controllers_clock():
    late = datetime(2026, 6, 15, 22, 30, tzinfo=UTC)  # already the 16th in Warsaw
    assert due_on(due_at(late, "PL"), "PL") == date(2026, 7, 16)
    assert due_on(due_at(late, "IE"), "IE") == date(2026, 7, 15)


def test_a_country_that_nobody_lists_has_its_week_ends():
    assert due_on(due_at(datetime(2026, 4, 16, tzinfo=UTC), "QQ"), "QQ") == date(2026, 5, 18)


@given(
    received=st.dates(date(2018, 5, 25), date(2090, 12, 31)),
    country=st.sampled_from(sorted(ZONES)),
    months=st.sampled_from([1, 3]),
)
def test_law_a_period_ends_on_the_first_working_day_from_its_last_day_on(received, country, months):
    is_holiday = holidays_of(country)
    found = last_day(received, months, is_holiday)
    assert found.weekday() < 5
    assert not is_holiday(found)
    # The nominal end by another road: count months one by one and clip at the end only.
    year, month = received.year, received.month
    for _ in range(months):
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    nominal = date(year, month, min(received.day, calendar.monthrange(year, month)[1]))
    assert nominal == month_later(received, months) <= found
    between = [nominal + timedelta(days=days) for days in range((found - nominal).days)]
    assert all(day.weekday() >= 5 or is_holiday(day) for day in between), "a working day was passed over"
    assert (found - nominal).days <= 11


@given(at=st.datetimes(*BOUNDS, timezones=st.just(UTC)),
       country=st.sampled_from(sorted(ZONES)))  # fmt: skip
def test_law_the_extended_end_is_later_and_both_are_ahead(at, country):
    first, second = due_at(at, country), due_at(at, country, extended=True)
    assert at + timedelta(days=27) < first < second <= at + timedelta(days=105)


def test_the_alarm_rings_on_day_25_and_the_request_is_overdue_when_its_last_day_is_over():
    at = datetime(2026, 6, 1, 10, tzinfo=UTC)
    due = due_at(at, "IE")
    told = {"extended": False, "answered": False}
    assert alarm(at, due, at + timedelta(days=24), **told) is Alarm.CALM
    assert alarm(at, due, at + timedelta(days=25), **told) is Alarm.SOON
    assert alarm(at, due, due - timedelta(microseconds=1), **told) is Alarm.SOON
    assert alarm(at, due, due, **told) is Alarm.OVERDUE
    assert alarm(at, due, due, extended=False, answered=True) is Alarm.CLOSED
    later = due_at(at, "IE", extended=True)
    assert alarm(at, later, at + timedelta(days=26), extended=True, answered=False) is Alarm.CALM
    assert alarm(at, later, later - timedelta(days=4), extended=True, answered=False) is Alarm.SOON

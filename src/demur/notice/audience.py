"""From candidates to rows: who is told, in which language and how, and who is not and why (NOT-01, NOT-05).

Everybody of the audience gets exactly one row; nobody is dropped silently. Does not know where candidates come from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

import orjson
import sqlalchemy as sa

from demur.clock import micros
from demur.notice.book import NoticeBook
from demur.notice.handed import Handed
from demur.notice.languages import OFFICIAL, choose
from demur.notice.schema import CAMPAIGNS, DELIVERIES, STOPPED
from demur.terms.notice import Campaign, DeliveryState, Excluded
from demur.terms.people import Candidate, Status

IN_APP = "inapp"
"""The channel that needs an active account and no address; every other one needs an address."""
_WAITING, _EXCLUDED = DeliveryState.WAITING.value, DeliveryState.EXCLUDED.value
_ACTIVE = Status.ACTIVE.value


class Row(NamedTuple):
    """One person of the audience."""

    person_id: str
    country: str | None
    language: str
    channel: str
    address: str | None
    destination: str
    fallback: str | None
    state: str
    detail: str | None


@dataclass(slots=True)
class Rules:
    """What decides about telling, for one campaign."""

    campaign: Campaign
    texts: Iterable[str]
    """Languages whose text exists."""
    cutoff: Callable[[tuple[str, ...]], int]
    """Countries of residence → latest birth date (days since 1970) of an adult there."""
    statuses: frozenset[str]
    """Account statuses whose content may be used at all; an unknown one may become one of them."""
    official: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Country → official languages, over the shipped table."""
    _places: dict[tuple[tuple[str, ...], str | None], tuple[str | None, str | None] | None] = field(
        default_factory=dict
    )
    _cutoffs: dict[tuple[str, ...], int] = field(default_factory=dict)
    _tags: dict[str, str] = field(init=False)
    _kinds: frozenset[str] | None = field(init=False)

    def __post_init__(self) -> None:
        self._tags = {tag.lower(): tag for tag in self.texts}
        self._kinds = None if self.campaign.kinds is None else frozenset(kind.value for kind in self.campaign.kinds)

    def row(self, one: Candidate) -> Row | None:
        """Return a candidate's row; ``None`` = lives elsewhere, so is not of this audience."""
        place = self._place(one.countries, one.language)
        if place is None:
            return None
        country, language = place
        why = self._why_not(one)
        if why is None and language is None:
            why = Excluded.MISSING_TRANSLATION
        ways = self._ways(one) if why is None else []
        if why is None and not ways:
            why = self._no_way(one)
        if why is not None:
            first = self.campaign.channels[0]
            return Row(one.person_id, country, language or "", first, None, "", None, _EXCLUDED, why.value)
        channel, address, destination = ways[0]
        fallback = orjson.dumps(ways[1:]).decode() if len(ways) > 1 else None
        return Row(one.person_id, country, language or "", channel, address, destination, fallback, _WAITING, None)

    def _place(self, countries: tuple[str, ...], language: str | None) -> tuple[str | None, str | None] | None:
        """Return country and language; there are few different ones, so each is found once."""
        key = (countries, language)
        if key not in self._places:
            wanted = self.campaign.countries
            here = [country for country in countries if not wanted or country in wanted]
            if countries and not here:
                self._places[key] = None
            else:
                ordered = [*here, *(country for country in countries if country not in here)]
                chosen = choose(language, ordered, self._tags, {**OFFICIAL, **self.official})
                self._places[key] = (here[0] if here else None, chosen)
        return self._places[key]

    def _why_not(self, one: Candidate) -> Excluded | None:
        """What keeps somebody from being told whatever the channel: the person's no first, then what protects them."""
        if one.objected or (self._kinds is not None and self._kinds <= set(one.objected_kinds)):
            return Excluded.OBJECTED
        if one.born_on is None and not one.age_conflict:
            return Excluded.AGE_UNKNOWN
        if one.age_conflict or one.born_on is None or one.born_on > self._cutoff(one.countries):
            return Excluded.UNDER_AGE
        if not any(status is None or status in self.statuses for status in one.statuses):
            return Excluded.ACCOUNT_STATUS
        return None

    def _cutoff(self, countries: tuple[str, ...]) -> int:
        found = self._cutoffs.get(countries)
        if found is None:
            found = self._cutoffs[countries] = self.cutoff(countries)
        return found

    def _ways(self, one: Candidate) -> list[tuple[str, str | None, str]]:
        ways: list[tuple[str, str | None, str]] = []
        for channel in self.campaign.channels:
            if channel == IN_APP:
                if _ACTIVE in one.statuses:
                    ways.append((IN_APP, None, IN_APP))
            elif one.contact and not one.bounced:
                ways.append((channel, one.contact, one.contact.rpartition("@")[2].lower()))
        return ways

    def _no_way(self, one: Candidate) -> Excluded:
        if all(channel == IN_APP for channel in self.campaign.channels):
            return Excluded.ACCOUNT_STATUS
        return Excluded.BOUNCED_BEFORE if one.contact and one.bounced else Excluded.NO_ADDRESS


# Writing ----------------------------------------------------------------------------------------------------------

_COLUMNS = ("campaign_id", *Row._fields, "attempt", "not_before", "state_at")
_HANDED = Handed(
    **{name: "bigint" if name in {"attempt", "not_before", "state_at"} else "text" for name in _COLUMNS},
)
_INSERT = f"INSERT INTO notice_deliveries ({', '.join(_COLUMNS)}) "
_ONCE = "ON CONFLICT (campaign_id, person_id) DO NOTHING"
_CHANGED = ("country", "language", "channel", "address", "destination", "fallback", "state", "detail")
_AGAIN = (
    "ON CONFLICT (campaign_id, person_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in (*_CHANGED, "state_at"))
    + " WHERE (notice_deliveries.state = 'excluded' OR (notice_deliveries.state = 'waiting' AND "
    "notice_deliveries.attempt = 0)) AND ("
    + " OR ".join(f"notice_deliveries.{name} IS DISTINCT FROM excluded.{name}" for name in _CHANGED)
    + ")"
)
"""Who waits or was left out is judged again; whom a message may have reached keeps the row as it is."""


def write_rows(
    book: NoticeBook,
    campaign_id: str,
    rows: Sequence[Row],
    *,
    at: datetime,
    cursor: str | None = None,
    again: bool = False,
) -> int:
    """Write rows of the audience as one transaction; return how many are new or changed.

    Args:
        book: the notice room's database.
        campaign_id: the campaign.
        rows: each person once.
        at: now.
        cursor: everybody up to this id has a row then; kept in the same transaction.
        again: whether people who wait or were left out are changed to what the row says; else a known person stays.
    """
    stored = [(campaign_id, *row, 0, 0, micros(at)) for row in rows]
    rule = _AGAIN if again else _ONCE
    with book.database.writing() as connection:
        done = _write(connection, stored, rule, postgresql=book.database.is_postgresql) if stored else 0
        if cursor is not None:
            here = CAMPAIGNS.c.campaign_id == campaign_id
            connection.execute(sa.update(CAMPAIGNS).where(here).values(freeze_cursor=cursor))
    return done


def _write(connection: sa.Connection, rows: list[tuple[Any, ...]], rule: str, *, postgresql: bool) -> int:
    if postgresql:
        chosen = f"SELECT {', '.join(_COLUMNS)} FROM {_HANDED.sql(postgresql=True)} "  # noqa: S608  (our own names)
        return connection.execute(sa.text(_INSERT + chosen + rule), _HANDED.bind(rows, postgresql=True)).rowcount
    places = ", ".join("?" * len(_COLUMNS))
    before = _changes(connection)
    connection.exec_driver_sql(f"{_INSERT} VALUES ({places}) {rule}", rows)
    return _changes(connection) - before


def _changes(connection: sa.Connection) -> int:
    return int(connection.exec_driver_sql("SELECT total_changes()").scalar_one())


def rows_of(book: NoticeBook, campaign_id: str, people: Iterable[str]) -> set[str]:
    """Return those of some people who have a row in a campaign."""
    wanted = sorted(set(people))
    found: set[str] = set()
    with book.database.reading() as connection:
        for start in range(0, len(wanted), 400):
            some = DELIVERIES.c.person_id.in_(wanted[start : start + 400])
            query = sa.select(DELIVERIES.c.person_id).where(DELIVERIES.c.campaign_id == campaign_id, some)
            found.update(connection.execute(query).scalars())
    return found


def any_stopped(book: NoticeBook) -> bool:
    """Return whether any address is stopped at all (stopped.py): asking for each costs more than judging."""
    with book.database.reading() as connection:
        return connection.execute(sa.select(STOPPED.c.address_hash).limit(1)).first() is not None


# Counting ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Preview:
    """What a campaign would come to; nothing is written."""

    people: int = 0
    told: int = 0
    countries: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    channels: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)

    def add(self, rows: Iterable[Row]) -> None:
        """Count rows."""
        for row in rows:
            self.people += 1
            self.countries[row.country or "unknown"] += 1
            if row.state == _EXCLUDED:
                self.excluded[str(row.detail)] += 1
                continue
            self.told += 1
            self.languages[row.language] += 1
            self.channels[row.channel] += 1

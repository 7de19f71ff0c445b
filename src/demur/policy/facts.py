"""The facts that rules read: one flat list, the same names for one item and for a column of millions.

A ``None`` always means *unknown*. Facts about the item and facts about one possible author stand side by side; an item
with several authors is judged once for each of them. What is derived from several tables (the effective audience, the
notice clock, the terms) is derived before the rules are asked, by ``decide.py`` for one item and by ``authors.py`` and
``columns.py`` for a table; a property test holds the two equal.

This module does *not* decide anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from demur.terms.policy import Regime, Terms


@dataclass(frozen=True, kw_only=True)
class ItemFacts:
    """What is known about the item itself."""

    kind: str | None = None
    """Kind of the item; a word that demur does not know stays as it is."""
    service: str | None = None
    """Service that it was made on."""
    state: str | None = None
    """``live`` or ``deleted``."""
    audience: str | None = None
    """Effective audience: the narrowest of item, container, accounts and parents (INT-04)."""
    in_public_group: bool | None = None
    """It stands in a public group, page or channel."""
    addressed_to_ai: bool | None = None
    """AI chats: a turn to the platform's own AI, or its answer (INT-06)."""
    created_at: datetime | None = None
    """When it was made."""
    expires_at: datetime | None = None
    """When it stopped being public."""
    item_signal: str | None = None
    """Machine-readable preference that came with it: ``y``, ``n``."""
    special_category: bool | None = None
    """Flagged as art. 9 GDPR content; ``None`` = nobody looked."""
    suppressed: bool | None = None
    """Somebody else who is in it had it taken out (TPD-02); the list of such items is always whole."""


@dataclass(frozen=True, kw_only=True)
class AuthorFacts:
    """What is known about one possible author, and the terms that hold for them."""

    person_id: str | None = None
    """The human behind the account when the item was made; ``None`` = unknown, all else is then unknown too."""
    status: str | None = None
    """Status of the account."""
    private: bool | None = None
    """The account is private."""
    compromised_from: datetime | None = None
    """Begin of a known compromise of the account."""
    compromised_until: datetime | None = None
    """Its end; ``None`` with a begin = still."""
    age_conflict: bool | None = None
    """Evidence disagrees about being an adult."""
    adult_at: datetime | None = None
    """First instant at which the person is ``min_age_years`` old; ``None`` = age unknown."""
    maker_adult_at: datetime | None = None
    """First instant at which an item could be made at ``age_at_creation_years``."""
    objected: bool | None = None
    """An objection is in force."""
    objected_kinds: frozenset[str] | None = None
    """Kinds that it covers; ``None`` = everything."""
    objected_services: frozenset[str] | None = None
    """Services that it covers; ``None`` = everything."""
    consented: bool | None = None
    """Consent to the policy's purpose is in force."""
    account_signal: str | None = None
    """Account-wide machine-readable preference."""
    campaigns: frozenset[str] | None = None
    """Campaigns that reached the person."""
    clock_needed: bool | None = None
    """The terms ask for a notice and a waiting time."""
    notified_at: datetime | None = None
    """Delivery of the notice that counts; ``None`` = none counts."""
    notice_over_at: datetime | None = None
    """When the notice days are over for whoever was told (``over_at``)."""
    effective_at: datetime | None = None
    """Date before which nothing is used; ``None`` = no date set."""
    countries: frozenset[str] | None = None
    """Countries that count: now, at the notice, at creation; ``None`` = unknown."""
    covered: bool | None = None
    """Every one of these countries falls under a jurisdiction of the policy."""
    regime: str | None = None
    """Regime of the terms."""
    kinds: frozenset[str] | None = None
    """Kinds that the terms admit."""
    services: frozenset[str] | None = None
    """Services that the terms admit; ``None`` = all."""
    content_not_before: datetime | None = None
    """Older items stay out."""
    min_public_days: int | None = None
    """How long an item must have been public."""
    signal_unknown: str | None = None
    """What a missing preference means: ``ignore`` or ``deny``."""
    special_category_allowed: bool | None = None
    """The terms admit art. 9 GDPR content."""


@dataclass(frozen=True, kw_only=True)
class JoinFacts:
    """What follows from item and author together, and from the chain of originals that a copy carries."""

    public_enough_at: datetime | None = None
    """Public since, or else creation, plus ``min_public_days``."""
    original_unknown: bool | None = None
    """A copy whose chain of originals is broken, circular or not named."""
    original_objected: bool | None = None
    """Somebody on the chain objected."""
    original_withheld: bool | None = None
    """Something on the chain is withheld for another reason."""


@dataclass(frozen=True, kw_only=True)
class Facts(ItemFacts, AuthorFacts, JoinFacts):
    """All that the rules may ask about one item and one of its authors."""


ITEM_FIELDS = frozenset(each.name for each in fields(ItemFacts))
AUTHOR_FIELDS = frozenset(each.name for each in fields(AuthorFacts))
COPY_FIELDS = frozenset({"original_unknown", "original_objected", "original_withheld"})
FIELDS = frozenset(each.name for each in fields(Facts))
SET_FIELDS = frozenset({"objected_kinds", "objected_services", "campaigns", "countries", "kinds", "services"})
CODED_FIELDS = frozenset(
    {"kind", "service", "state", "audience", "item_signal", "status", "account_signal", "regime", "signal_unknown"}
)
INSTANT_FIELDS = frozenset(
    {
        "created_at",
        "expires_at",
        "compromised_from",
        "compromised_until",
        "adult_at",
        "maker_adult_at",
        "notified_at",
        "notice_over_at",
        "effective_at",
        "content_not_before",
        "public_enough_at",
    }
)


def latest(*instants: datetime | None) -> datetime | None:
    """Return the latest of the known instants.

    >>> latest(None, None) is None
    True
    """
    known = [instant for instant in instants if instant is not None]
    return max(known) if known else None


def clock_needed(terms: Terms) -> bool:
    """Return whether the terms ask for a notice and a waiting time.

    Without notice days, two regimes need none: where the law gives no choice, and where consent itself informs
    (GDPR art. 7; JUR-05: "eligible items = consenting persons' items").
    """
    return terms.notice_days > 0 or terms.regime not in {Regime.NO_CHOICE, Regime.OPT_IN}


def notified_at(first: datetime | None, last: datetime | None, cut: datetime | None) -> datetime | None:
    """Return the delivery that starts the clock: the first that is not before ``cut`` (NOT-02, §4).

    Args:
        first: first delivery of a notice whose campaign starts clocks.
        last: last such delivery.
        cut: latest of coming of age, withdrawal of an objection and arrival in another country; a notice from before
            told the person about another situation. ``None`` = nothing of the kind.
    """
    for delivered in (first, last):
        if delivered is not None and (cut is None or delivered >= cut):
            return delivered
    return None


def effective_at(terms: Terms, campaign: datetime | None) -> datetime | None:
    """Return the date before which nothing is used: the later of policy and campaign; no date in the policy = none."""
    return None if terms.effective_at is None else latest(terms.effective_at, campaign)


def delivered_to(person: Mapping[str, Any]) -> bool:
    """Return whether any notice that starts a clock reached a person, for every kind or for some."""
    return any(person[name] is not None for name in ("first_delivered_at", "last_delivered_at")) or bool(
        person["kind_clocks"]
    )


def clock_of(person: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return the row whose deliveries and date count for a kind: its own clock if it has one, else the person's."""
    own = next((clock for clock in person["kind_clocks"] or () if clock["kind"] == kind), None)
    return own or {**person, "effective_at": person["campaign_effective_at"]}


LAST_ZONE_HOURS = 12
"""So much later than in UTC a day ends where it ends last (UTC-12)."""


def over_at(delivered: datetime | None, days: int | None) -> datetime | None:
    """Return when so many days are over for whoever was told, wherever on earth (SEC-09); unknown stays unknown.

    The day of the telling does not count, and the last day counts to its end. No days are over at once.

    Source: Regulation (EEC, Euratom) 1182/71 art. 3(1) and (2)(b).

    >>> over_at(datetime(2026, 1, 1, 23, 59), 45).isoformat()
    '2026-02-16T12:00:00'
    """
    if delivered is None or not days:
        return plus_days(delivered, days)
    begun = delivered.replace(hour=0, minute=0, second=0, microsecond=0)
    return begun + timedelta(days=days + 1, hours=LAST_ZONE_HOURS)


def plus_days(instant: datetime | None, days: int | None) -> datetime | None:
    """Return an instant some days later; unknown stays unknown."""
    return None if instant is None or days is None else instant + timedelta(days=days)

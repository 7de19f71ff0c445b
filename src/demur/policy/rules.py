"""The rules as data: a small algebra of conditions, and the rulebook that every decision comes from.

A condition is two-valued: about an unknown fact every leaf is *false*, and being unknown is a leaf of its own
(``Missing``). So ``Not(Before("created_at", t))`` is true for an unknown time, in Python as in the engine, and whoever
writes a rule must say what unknown means (STYLE 3.2). ``holds`` reads a condition for one item, ``columns.compile``
for a table.

This module does *not* know tables, the engine, or how facts are found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from demur.errors import BrokenError
from demur.policy.facts import AUTHOR_FIELDS, COPY_FIELDS, FIELDS
from demur.terms.content import ACTIVITY_KINDS, PRIVATE_KINDS, PROFILE_KINDS, Audience, ItemState, Kind, Signal
from demur.terms.people import Status
from demur.terms.policy import Hold, Policy, Regime, SignalUnknown
from demur.terms.reasons import Reason


@dataclass(frozen=True, slots=True)
class Missing:
    """The fact is unknown."""

    field: str


@dataclass(frozen=True, slots=True)
class Is:
    """The fact is known and equal to a value."""

    field: str
    value: str | bool | int


@dataclass(frozen=True, slots=True)
class OneOf:
    """The fact is known and one of some values."""

    field: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Within:
    """The fact is known and lies in the set that another fact names."""

    field: str
    of: str


@dataclass(frozen=True, slots=True)
class Overlaps:
    """The set that the fact names is known and shares a member with some values."""

    field: str
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Before:
    """Both instants are known and the first lies before the second. A string names a fact."""

    first: str | datetime
    second: str | datetime


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    of: Condition


@dataclass(frozen=True, slots=True)
class All:
    """Every condition holds. An empty one is refused: it would hold for everything."""

    of: tuple[Condition, ...]

    def __post_init__(self) -> None:
        if not self.of:
            raise BrokenError("expected at least one condition in All, found none; name what must hold")


@dataclass(frozen=True, slots=True)
class Some:
    """At least one condition holds. An empty one is refused: it would never hold."""

    of: tuple[Condition, ...]

    def __post_init__(self) -> None:
        if not self.of:
            raise BrokenError("expected at least one condition in Some, found none; leave the rule out instead")


Condition = Missing | Is | OneOf | Within | Overlaps | Before | Not | All | Some


def both(*conditions: Condition) -> Condition:
    """Return a condition that holds when every one does."""
    return conditions[0] if len(conditions) == 1 else All(conditions)


def either(*conditions: Condition) -> Condition:
    """Return a condition that holds when one does."""
    return conditions[0] if len(conditions) == 1 else Some(conditions)


def known(field: str) -> Condition:
    """Return the condition that a fact is known."""
    return Not(Missing(field))


def holds(condition: Condition, facts: Any) -> bool:  # noqa: PLR0911  (one line a kind of condition)
    """Read a condition for one item and one author.

    Args:
        condition: what is asked.
        facts: anything with the fields of ``Facts``.
    """
    match condition:
        case Missing(field):
            return getattr(facts, field) is None
        case Is(field, value):
            return bool(getattr(facts, field) == value)
        case OneOf(field, values):
            return getattr(facts, field) in values
        case Within(field, of):
            members = getattr(facts, of)
            return members is not None and getattr(facts, field) in members
        case Overlaps(field, values):
            members = getattr(facts, field)
            return members is not None and not values.isdisjoint(members)
        case Before(first, second):
            return _before(_instant(first, facts), _instant(second, facts))
        case Not(of):
            return not holds(of, facts)
        case All(of):
            return all(holds(each, facts) for each in of)
        case Some(of):
            return any(holds(each, facts) for each in of)


def _instant(named: str | datetime, facts: Any) -> datetime | None:
    found: datetime | None = getattr(facts, named) if isinstance(named, str) else named
    return found


def _before(first: datetime | None, second: datetime | None) -> bool:
    return first is not None and second is not None and first < second


def fields_of(condition: Condition) -> frozenset[str]:
    """Return the names of all facts that a condition asks for.

    >>> sorted(fields_of(Within("kind", "kinds")))
    ['kind', 'kinds']
    """
    return frozenset(_walk(condition))


def _walk(condition: Condition) -> Iterator[str]:
    match condition:
        case Missing(field) | Is(field, _) | OneOf(field, _) | Overlaps(field, _):
            yield field
        case Within(field, of):
            yield from (field, of)
        case Before(first, second):
            yield from (named for named in (first, second) if isinstance(named, str))
        case Not(of):
            yield from _walk(of)
        case All(of) | Some(of):
            for each in of:
                yield from _walk(each)


@dataclass(frozen=True, slots=True)
class Rule:
    """One reason and when it applies."""

    reason: Reason
    when: Condition
    sources: tuple[str, ...]
    """Article, requirement or instrument behind the rule."""

    @property
    def fields(self) -> frozenset[str]:
        """The facts that it reads."""
        return fields_of(self.when)

    @property
    def of_author(self) -> bool:
        """It reads facts of the author alone, so that it is judged once an author and not once an item."""
        return self.fields <= AUTHOR_FIELDS

    @property
    def of_copy(self) -> bool:
        """It reads the chain of originals, which is known only after all else is decided."""
        return bool(self.fields & COPY_FIELDS)


@dataclass(frozen=True, slots=True)
class Rulebook:
    """All rules of one policy at one instant. Empty or incomplete rulebooks are refused: empty never means yes."""

    rules: tuple[Rule, ...]
    policy: Policy
    as_of: datetime
    holds: tuple[Hold, ...] = ()

    def __post_init__(self) -> None:
        named = {rule.reason for rule in self.rules}
        optional = frozenset() if self.holds else {Reason.HELD}
        missing = [reason.value for reason in Reason if reason not in named and reason not in optional]
        if missing:
            raise BrokenError(f"expected a rule for every reason, found none for {', '.join(missing)}; add the rules")
        strange = sorted({name for rule in self.rules for name in rule.fields} - FIELDS)
        if strange:
            raise BrokenError(f"expected rules over known facts, found {', '.join(strange)}; name them in facts.py")

    @property
    def fields(self) -> frozenset[str]:
        """The facts that any rule reads."""
        return frozenset(name for rule in self.rules for name in rule.fields)

    def rule(self, reason: Reason) -> Rule | None:
        """Return the rule behind a reason."""
        return next((rule for rule in self.rules if rule.reason is reason), None)


def rulebook(policy: Policy, *, as_of: datetime, holds: tuple[Hold, ...] = ()) -> Rulebook:
    """Return all rules that a policy and the holds in force make at one instant.

    Args:
        policy: a checked policy.
        as_of: the instant of the decision, aware.
        holds: authorities' stops in force (``holds.in_force``).
    """
    rules = [
        *_item_floors(policy, as_of),
        *_author_floors(policy, as_of),
        *_stops(policy, holds),
        *_clock(as_of),
        *_signals(),
        *_terms(as_of),
    ]
    order = {reason: position for position, reason in enumerate(Reason)}
    return Rulebook(tuple(sorted(rules, key=lambda rule: order[rule.reason])), policy, as_of, holds)


def _item_floors(policy: Policy, as_of: datetime) -> Iterator[Rule]:
    """Floors of the item itself: no policy lifts them (INT-05)."""
    narrow = frozenset(audience.value for audience in Audience) - policy.audiences - {Audience.UNKNOWN.value}
    to_ai = both(Is("kind", Kind.AI_CHAT.value), Is("addressed_to_ai", True))
    yield Rule(Reason.UNKNOWN_KIND, Not(OneOf("kind", frozenset(Kind))), ("INT-02",))
    yield Rule(Reason.PRIVATE_MESSAGE, OneOf("kind", frozenset(PRIVATE_KINDS)), ("INT-05", "X1"))
    yield Rule(
        Reason.AUDIENCE_UNKNOWN,
        either(Missing("audience"), Is("audience", Audience.UNKNOWN.value)),
        ("INT-02", "INT-04"),
    )
    yield Rule(Reason.NOT_PUBLIC, both(OneOf("audience", narrow), Not(to_ai)), ("INT-04", "INT-05", "X1"))
    yield Rule(
        Reason.NOT_ADDRESSED_TO_AI, both(Is("kind", Kind.AI_CHAT.value), Not(Is("addressed_to_ai", True))), ("INT-06",)
    )
    yield Rule(Reason.DELETED, Not(Is("state", ItemState.LIVE.value)), ("INT-08", "GDPR art. 17"))
    yield Rule(Reason.EXPIRED, both(known("expires_at"), Not(Before(as_of, "expires_at"))), ("INT-03",))
    yield Rule(Reason.CREATED_UNKNOWN, Missing("created_at"), ("INT-02", "PPL-03"))
    # A clock that is wrong or a post that is scheduled: no age, residence or notice of that time can be known yet.
    yield Rule(Reason.NOT_YET_CREATED, Before(as_of, "created_at"), ("INT-02", "PPL-03"))


STATUS_REASONS: tuple[tuple[Reason, frozenset[Status]], ...] = (
    (Reason.ACCOUNT_DELETED, frozenset({Status.DELETED})),
    (Reason.ACCOUNT_MEMORIAL, frozenset({Status.MEMORIAL})),
    (Reason.ACCOUNT_DORMANT, frozenset({Status.DORMANT})),
    (Reason.ACCOUNT_ORGANISATION, frozenset({Status.ORGANISATION})),
    (Reason.ACCOUNT_BOT, frozenset({Status.BOT})),
    (
        Reason.ACCOUNT_NOT_ACTIVE,
        frozenset({Status.ACTIVE, Status.DEACTIVATED, Status.SUSPENDED, Status.COMPROMISED, Status.TRANSFERRED}),
    ),
)
"""Which reason a status gives that the policy does not admit (PPL-05)."""


def _author_floors(policy: Policy, as_of: datetime) -> Iterator[Rule]:
    """Floors of the author: account, compromise, age."""
    someone = known("person_id")
    yield Rule(Reason.AUTHOR_UNKNOWN, Missing("person_id"), ("SYSTEM §5: unknown never means yes", "PPL-06"))
    yield Rule(Reason.STATUS_UNKNOWN, both(someone, Not(OneOf("status", frozenset(Status)))), ("PPL-05",))
    for reason, statuses in STATUS_REASONS:
        yield Rule(reason, OneOf("status", frozenset(statuses) - policy.statuses or frozenset({""})), ("PPL-05",))
    yield Rule(
        Reason.COMPROMISED_WINDOW,
        both(
            known("compromised_from"),
            Not(Before("created_at", "compromised_from")),
            either(Missing("compromised_until"), Missing("created_at"), Before("created_at", "compromised_until")),
        ),
        ("§4 compromised account",),
    )
    shown = either(OneOf("kind", frozenset(PROFILE_KINDS | ACTIVITY_KINDS)), Is("in_public_group", True))
    profile: Condition = both(shown, someone, Not(Is("private", False)))
    if policy.profile_fields_of_private_accounts:
        profile = both(profile, Missing("private"))  # admitted for a known private account; unknown never means yes
    yield Rule(Reason.PRIVATE_ACCOUNT_PROFILE, profile, ("X6", "§4 private account"))
    yield Rule(Reason.AGE_UNKNOWN, both(someone, Missing("adult_at")), ("PPL-02", "§4 age unknown"))
    yield Rule(Reason.AGE_CONFLICT, both(someone, Not(Is("age_conflict", False))), ("PPL-02",))
    yield Rule(Reason.MINOR, Before(as_of, "adult_at"), ("PPL-03", "X2"))
    yield Rule(Reason.MINOR_AT_CREATION, Before("created_at", "maker_adult_at"), ("PPL-03", "§4 turns 18"))


def _stops(policy: Policy, holds: tuple[Hold, ...]) -> Iterator[Rule]:
    """Holds, objections, and what a copy inherits. They bind in every regime (JUR-07)."""
    stopped = [condition for hold in holds if (condition := _held(policy, hold)) is not None]
    if holds:
        never: Condition = Is("state", "")
        sources = tuple(sorted({f"{hold.authority}, {hold.instrument}" for hold in holds}))
        yield Rule(Reason.HELD, either(*stopped) if stopped else never, ("HLD-01", *sources))
    yield Rule(
        Reason.OBJECTED,
        both(
            known("person_id"),
            Not(Is("objected", False)),
            either(Missing("objected_kinds"), Missing("kind"), Within("kind", "objected_kinds")),
            either(Missing("objected_services"), Missing("service"), Within("service", "objected_services")),
        ),
        ("OBJ-05", "OBJ-07", "GDPR art. 21"),
    )
    yield Rule(Reason.ORIGINAL_UNKNOWN, Is("original_unknown", True), ("TPD-02",))
    yield Rule(Reason.ORIGINAL_OBJECTED, Is("original_objected", True), ("TPD-02", "JUR-07", "X9"))
    yield Rule(Reason.ORIGINAL_WITHHELD, Is("original_withheld", True), ("TPD-02",))
    yield Rule(Reason.SUPPRESSED, Is("suppressed", True), ("TPD-02", "TPD-08", "GDPR art. 17, 21"))


def _held(policy: Policy, hold: Hold) -> Condition | None:
    """Return when one hold covers an item; ``None`` = it is about another purpose. Unknown counts as covered."""
    if hold.purpose is not None and hold.purpose != policy.purpose:
        return None
    parts: list[Condition] = []
    if hold.countries:
        parts.append(either(Missing("countries"), Overlaps("countries", hold.countries)))
    if hold.campaign is not None:
        parts.append(either(Missing("campaigns"), Overlaps("campaigns", frozenset({hold.campaign}))))
    if hold.services:
        parts.append(either(Missing("service"), OneOf("service", hold.services)))
    if hold.kinds:
        parts.append(either(Missing("kind"), OneOf("kind", frozenset(hold.kinds))))
    if hold.created_from is not None:
        parts.append(Not(Before("created_at", hold.created_from)))
    if hold.created_until is not None:
        parts.append(either(Missing("created_at"), Before("created_at", hold.created_until)))
    everything: Condition = either(Missing("state"), known("state"))
    return both(*parts) if parts else everything


def _clock(as_of: datetime) -> Iterator[Rule]:
    """The notice clock: max(effective date, delivery + N days), a person's own (NOT-02)."""
    needed = Is("clock_needed", True)
    yield Rule(Reason.NOT_NOTIFIED, both(needed, Missing("notified_at")), ("NOT-03",))
    yield Rule(Reason.NOTICE_PERIOD, both(needed, Before(as_of, "notice_over_at")), ("NOT-02",))
    yield Rule(
        Reason.NOT_YET_EFFECTIVE,
        either(both(needed, Missing("effective_at")), Before(as_of, "effective_at")),
        ("NOT-02", "JUR-01"),
    )
    yield Rule(
        Reason.NO_CONSENT,
        both(Is("regime", Regime.OPT_IN.value), Not(Is("consented", True))),
        ("JUR-05", "GDPR art. 6(1)(a)"),
    )


def _signals() -> Iterator[Rule]:
    """Machine-readable preferences: any no wins, else any yes, else unknown (JUR-04)."""
    said = (Is("item_signal", Signal.YES.value), Is("account_signal", Signal.YES.value))
    no = either(Is("item_signal", Signal.NO.value), Is("account_signal", Signal.NO.value))
    yield Rule(Reason.SIGNAL_NO, no, ("JUR-04", "draft-ietf-aipref-vocab §5"))
    yield Rule(
        Reason.SIGNAL_UNKNOWN,
        both(Is("signal_unknown", SignalUnknown.DENY.value), Not(no), Not(either(*said))),
        ("JUR-04",),
    )


def _terms(as_of: datetime) -> Iterator[Rule]:
    """Regime and switches of the terms that count for the author."""
    someone = known("person_id")
    yield Rule(Reason.NO_JURISDICTION, both(someone, Not(Is("covered", True))), ("JUR-01", "STYLE 3.3"))
    yield Rule(Reason.REGIME_HELD, Is("regime", Regime.HELD.value), ("JUR-01",))
    yield Rule(Reason.REGIME_PROHIBITED, Is("regime", Regime.PROHIBITED.value), ("JUR-01",))
    yield Rule(Reason.KIND_EXCLUDED, both(someone, Not(Within("kind", "kinds"))), ("JUR-09",))
    yield Rule(Reason.SERVICE_EXCLUDED, both(known("services"), Not(Within("service", "services"))), ("JUR-09",))
    yield Rule(Reason.TOO_OLD, Before("created_at", "content_not_before"), ("X7",))
    yield Rule(
        Reason.NOT_PUBLIC_LONG_ENOUGH,
        both(
            someone,
            Not(Is("min_public_days", 0)),
            either(Missing("public_enough_at"), Before(as_of, "public_enough_at")),
        ),
        ("JUR-09", "§4 private to public"),
    )
    yield Rule(
        Reason.SPECIAL_CATEGORY,
        both(Is("special_category", True), someone, Not(Is("special_category_allowed", True))),
        ("JUR-10", "GDPR art. 9"),
    )

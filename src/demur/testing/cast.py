"""Who is in the made-up network: one profile a person, a function of (seed, index) alone.

Each person carries one *case*, a situation that a rule has to get right (REQUIREMENTS §4), beside an ordinary life.
Does not make items and does not decide anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache, lru_cache

from demur.testing.dice import Dice, by_weight, keyed_number
from demur.testing.grammar import dialects, languages
from demur.testing.world import BEYOND, COUNTRIES, WEIGHTS, names, place_name, tongues

SERVICES = ("agora", "lumen")
"""The two made-up services: short texts, and pictures."""
CAMPAIGN = "demo-2026"
CANCELLED_CAMPAIGN = "demo-2025"
PURPOSE = "train-generative-ai"
START_DAYS, EFFECTIVE_DAYS, NOTICE_DAYS = 120, 60, 45
"""The campaign starts and takes effect that many days before as_of; its period."""

CASES = (
    "minor", "turned_18", "turned_18_lately", "turns_18_soon", "age_unknown", "age_estimated", "age_conflict",
    "age_corrected", "bounced", "late", "seen", "no_notice", "cancelled_only", "objected", "objected_kinds",
    "objected_service", "withdrawn", "withdrawn_lately", "objects_later", "consented", "linked", "linked_objected",
    "organisation", "memorial", "bot", "dormant", "suspended", "deactivated", "deleted", "status_unknown",
    "compromised", "compromised_withdrawal", "transferred", "private", "moved_away", "moved_in", "moved_lately",
    "two_homes", "home_unknown", "signal_no", "signal_yes", "renamed", "loop",
)  # fmt: skip
"""Situations; every seventh person or so carries one, the rest are ``ordinary``."""

_STATUS_CASES = frozenset({"organisation", "memorial", "bot", "dormant", "suspended", "deactivated", "deleted"})
_COUNTRY_WEIGHTS = tuple(WEIGHTS.get(country, 1.0) for country in COUNTRIES)
_WORDS = (
    "amber", "birch", "cloud", "delta", "ember", "fjord", "grove", "heron", "indigo", "jolly", "kite", "lemon", "maple",
    "north", "otter", "pebble", "quiet", "raven", "silver", "tulip", "umber", "violet", "willow", "yarrow", "zephyr",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class World:
    """What fixes a made-up network."""

    seed: int
    people: int
    as_of: datetime

    def days(self, before: float) -> datetime:
        """Return the instant that many days before ``as_of`` (negative: after)."""
        return self.as_of - timedelta(days=before)


@dataclass(frozen=True, slots=True)
class Home:
    """One residence episode; ``None`` = unknown or open."""

    country: str | None
    valid_from: datetime | None
    valid_until: datetime | None


@dataclass(slots=True)
class Profile:
    """One person as planned."""

    index: int
    case: str
    country: str | None
    """Where the person lived when registering; ``None`` = unknown to the platform."""
    tag: str
    """Language or dialect that the person writes."""
    language: str
    name: str
    handle: str
    contact: str
    born_on: date | None
    """Birth date that the platform should go by; ``None`` = unknown."""
    joined_at: datetime
    last_active_at: datetime
    services: tuple[str, ...]
    status: str | None = "active"
    private: bool = False
    age_source: str = "declared"
    signal: str | None = None
    former_handles: tuple[str, ...] = ()
    homes: list[Home] = field(default_factory=list)
    """Residence episodes beyond the one of registration; empty = never moved."""
    delivered: list[tuple[str, str, datetime]] = field(default_factory=list)
    """(campaign, state, when) of the notices sent to the person."""
    objections: list[tuple[str, datetime, tuple[str, ...] | None, tuple[str, ...] | None]] = field(default_factory=list)
    """(act, when, kinds, services); acts later than as_of are what happens after training."""
    compromised: tuple[datetime, datetime] | None = None
    transferred_at: datetime | None = None
    """When the account went to its next owner, who is planned as ``next_born_on``."""
    next_born_on: date | None = None
    special_age: str | None = None
    """``conflict``, ``estimated``, ``corrected``: what is odd about the age evidence."""

    observed_homes: bool = False
    """The platform itself noticed the moves: a further account row each; otherwise they come as events."""

    @property
    def hint(self) -> str:
        """The platform's id of the human."""
        return f"p{self.index}"

    def person(self, service: str | None = None) -> str:
        """Return the registry's id of the human behind an account: service and hint."""
        return f"{service or self.services[0]}:p{self.index}"

    def account(self, service: str | None = None) -> str:
        """Return the id of the person's account on a service, the first one by default."""
        return f"{service or self.services[0]}:u{self.index}"


@lru_cache(maxsize=65536)
def origin(seed: int, index: int) -> tuple[str | None, str]:
    """Return (country, tag) of a person cheaply: what others need to find somebody who writes like them."""
    number = keyed_number(seed, "origin", index)
    low, high = (number & 0xFFFFFFFF) / 2**32, (number >> 32 & 0xFFFFFFFF) / 2**32
    country = COUNTRIES[index // 4 % len(COUNTRIES)] if index % 4 == 0 else by_weight(COUNTRIES, _COUNTRY_WEIGHTS, low)
    tag = by_weight(*_tongues(country), high)
    return (None if case_of(seed, index) == "home_unknown" else country), tag


@lru_cache(maxsize=65536)
def case_of(seed: int, index: int) -> str:
    """Return the situation of a person: the cases in turn at every fifth place, by chance elsewhere."""
    if index % 5 == 1:
        return CASES[index // 5 % len(CASES)]
    number = keyed_number(seed, "case", index)
    return CASES[number % len(CASES)] if number >> 64 & 0xFF < 18 else "ordinary"


@lru_cache(maxsize=4096)
def profile(world: World, index: int) -> Profile:
    """Return the profile of a person; treat it as read-only."""
    country, tag = origin(world.seed, index)
    case = case_of(world.seed, index)
    dice = Dice(world.seed, "profile", index)
    first, last = names(country or "US")
    handle = f"{dice.pick(_WORDS)}{dice.pick(_WORDS)}{index}"
    made = Profile(
        index=index,
        case=case,
        country=country,
        tag=tag,
        language=dialects().get(tag, tag),
        name=f"{dice.pick(first)} {dice.pick(last)}",
        handle=handle,
        contact=f"{handle}@inbox.example",
        born_on=(world.days(365.25 * (20.5 + 55 * dice.unit() ** 1.3))).date(),
        joined_at=dice.instant(world.days(2000), world.days(700)),
        last_active_at=dice.instant(world.days(20), world.days(1)),
        services=(SERVICES[0],) if dice.chance(0.7) else (SERVICES[1],),
        private=dice.chance(0.06),
    )
    made.delivered.append((CAMPAIGN, "delivered", dice.instant(world.days(START_DAYS), world.days(START_DAYS - 12))))
    _apply(made, world, dice)
    return made


def _apply(made: Profile, world: World, dice: Dice) -> None:
    for part in (_age_case, _notice_case, _voice_case, _status_case, _home_case, _rest_case):
        part(made, world, dice)


def _age_case(made: Profile, world: World, dice: Dice) -> None:
    eighteen = 365.25 * 18
    notice = made.delivered[0]
    match made.case:
        case "minor":
            made.born_on = world.days(365.25 * (13 + 4 * dice.unit())).date()
        case "turned_18":  # long enough ago to have had an own notice since, and the whole period after it
            made.born_on = world.days(eighteen + 250 + 100 * dice.unit()).date()
            made.joined_at = dice.instant(world.days(1400), world.days(900))
        case "turned_18_lately":
            made.born_on = world.days(eighteen + 70 + 20 * dice.unit()).date()
            made.delivered[0] = (CAMPAIGN, "delivered", dice.instant(world.days(30), world.days(10)))
        case "turns_18_soon":
            made.born_on = world.days(eighteen - 5 - 50 * dice.unit()).date()
        case "age_unknown":
            made.born_on, made.age_source = None, "none"
        case "age_estimated" | "age_conflict" | "age_corrected":
            made.special_age = made.case.removeprefix("age_")
            made.age_source = "estimated" if made.case == "age_estimated" else "declared"
        case _:
            made.delivered[0] = notice


def _notice_case(made: Profile, world: World, dice: Dice) -> None:
    campaign, _, at = made.delivered[0]
    match made.case:
        case "bounced":
            made.delivered[0] = (campaign, "bounced", at)
        case "late":
            made.delivered[0] = (campaign, "delivered", dice.instant(world.days(40), world.days(3)))
        case "seen":
            made.delivered.append((campaign, "seen", at + timedelta(days=1)))
        case "no_notice":
            made.delivered.clear()
        case "cancelled_only":
            made.delivered[:] = [(CANCELLED_CAMPAIGN, "delivered", dice.instant(world.days(500), world.days(485)))]
        case _:
            if dice.chance(0.2):
                made.delivered.append((CANCELLED_CAMPAIGN, "delivered", world.days(495)))


def _voice_case(made: Profile, world: World, dice: Dice) -> None:
    match made.case:
        case "objected" | "linked_objected":
            made.objections.append(("object", dice.instant(world.days(110), world.days(2)), None, None))
        case "objected_kinds":
            made.objections.append(("object", world.days(50), ("photo", "voice", "reel"), None))
        case "objected_service":
            made.objections.append(("object", world.days(50), None, ("lumen",)))
        case "withdrawn":
            made.objections += [("object", world.days(400), None, None), ("withdraw", world.days(300), None, None)]
        case "withdrawn_lately":
            made.objections += [("object", world.days(100), None, None), ("withdraw", world.days(20), None, None)]
        case "compromised_withdrawal":
            made.objections += [("object", world.days(90), None, None), ("withdraw", world.days(70), None, None)]
            made.compromised = (world.days(80), world.days(60))
        case "objects_later":
            made.objections.append(("object", dice.instant(world.days(-1), world.days(-90)), None, None))
        case "ordinary" if dice.chance(0.02):
            made.objections.append(("object", dice.instant(world.days(-1), world.days(-90)), None, None))
        case _:
            pass


def _status_case(made: Profile, world: World, dice: Dice) -> None:
    if made.case in _STATUS_CASES:
        made.status = made.case
    match made.case:
        case "status_unknown":
            made.status = None
        case "dormant":
            made.last_active_at = dice.instant(world.days(1500), world.days(900))
        case "private":
            made.private = True
        case "compromised":
            begin = dice.instant(world.days(600), world.days(300))
            made.compromised = (begin, begin + timedelta(days=60))
        case "transferred":
            made.transferred_at = world.days(350)
            years = 15 if dice.chance(0.5) else 40
            made.next_born_on = world.days(365.25 * years).date()
        case _:
            pass


def _home_case(made: Profile, world: World, dice: Dice) -> None:
    start = made.joined_at
    match made.case:
        case "moved_away":  # within Europe to the United States, well before the notice
            at = dice.instant(world.days(450), world.days(200))
            made.country = made.country if made.country not in BEYOND else "FR"
            made.homes = [Home(made.country, start, at), Home("US", at, None)]
            made.observed_homes = True
        case "moved_in":
            at = dice.instant(world.days(450), world.days(200))
            made.homes = [Home("US", start, at), Home("DE", at, None)]
            made.country = "US"
        case "moved_lately":  # after the notice, and none since
            at = dice.instant(world.days(50), world.days(10))
            target = "PT" if made.country != "PT" else "AT"
            made.homes = [Home(made.country, start, at), Home(target, at, None)]
            made.observed_homes = True
        case "two_homes":
            made.homes = [Home(made.country, start, None), Home("CH" if made.country != "CH" else "FR", start, None)]
        case _:
            pass


def _rest_case(made: Profile, world: World, dice: Dice) -> None:
    match made.case:
        case "linked" | "linked_objected" | "objected_service":
            made.services = SERVICES
        case "signal_no" | "signal_yes":
            made.signal = "n" if made.case == "signal_no" else "y"
        case "renamed":
            made.former_handles = (f"old{made.handle}",)
        case "organisation":
            made.name = f"{dice.pick(_WORDS).title()} {dice.pick(_WORDS).title()} Foundation"
        case _:
            made.last_active_at = min(made.last_active_at, world.as_of)


@cache
def _tongues(country: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    return tongues(country, frozenset(languages()) | frozenset(dialects()))


def place_text(made: Profile) -> str | None:
    """Return the free text that stands in the profile's place field; often nothing, sometimes false."""
    roll = keyed_number("place", made.index) % 10
    if roll < 4:
        return None
    return "World" if roll == 4 else place_name(made.country, made.language)

"""What the rules read: everything about one person, and from where one looks. Pure.

Rows come as tuples of the columns that streams.py selects; the last one is always ``recorded_at``. Instants are
microseconds, dates are days (instants.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from demur.people.renotice import Renotice

Row = tuple[Any, ...]
Episode = tuple[str | None, int, int]
"""Country, begin, end (exclusive)."""
Window = tuple[int, int]
Near = Mapping[str, Sequence[tuple[str, int]]]
"""Id → the ids that were told to be the same human being, each with since when that is known."""


@dataclass(frozen=True, slots=True)
class CampaignView:
    """What a campaign means for clocks."""

    counts_at_base: bool
    """Its status at ``as_of``, as known at ``base``, starts clocks."""
    counts: bool
    """And nothing known by ``known_at`` says that it was held or cancelled (NOT-09)."""
    effective_at: int | None
    """Latest date ever announced that is known."""
    purpose: str = ""
    kinds_at_base: frozenset[str] | None = None
    """Kinds that it announced, as known at ``base``; ``None`` = every kind (NOT-07)."""
    kinds: frozenset[str] | None = None
    """And what later amendments left of them."""


@dataclass(frozen=True, slots=True)
class View:
    """From where one looks: the instants and constants of one export."""

    as_of: int
    known_at: int
    base: int
    """Evidence that lets more in counts only when recorded by then; ``as_of`` unless the caller says otherwise."""
    grace_from: int
    """Residences that ended later than this still count (§4, ``grace_months``)."""
    adult_cutoff: int
    """Latest birth date of an adult at ``as_of``."""
    campaigns: Mapping[str, CampaignView]
    purpose: str | None = None
    """Only campaigns for this purpose start clocks; ``None`` = all do."""
    renotices: tuple[Renotice, ...] = ()
    """Holds that were lifted under the condition of a new notice."""


@dataclass(slots=True)
class Holding:
    """One account that a person has or had, with all that is recorded about it."""

    account_id: str
    claims: list[Row] = field(default_factory=list)
    """person_id, service, valid_at, recorded_at: of everybody who ever owned it."""
    profiles: list[Row] = field(default_factory=list)
    """handle, name, language, status, private, signal, last_active_at, valid_at, recorded_at."""
    compromises: list[Row] = field(default_factory=list)
    """valid_at, valid_until, recorded_at."""
    own: bool = True
    """False for accounts of a linked person: their rows are written with that person."""


@dataclass(slots=True)
class Dossier:
    """Everything about one person that the standing needs; for linked persons the union (PPL-01)."""

    person_id: str
    holdings: list[Holding] = field(default_factory=list)
    residences: list[Row] = field(default_factory=list)
    """country, valid_from, valid_until, stream, recorded_at."""
    ages: list[Row] = field(default_factory=list)
    """born_on, source, recorded_at."""
    notices: list[Row] = field(default_factory=list)
    """campaign_id, channel, state, valid_at, recorded_at."""
    objections: list[Row] = field(default_factory=list)
    """person_id (of the id that said it), objection_id, act, kinds, services, door, valid_at, recorded_at."""
    consents: list[Row] = field(default_factory=list)
    """purpose, act, valid_at, recorded_at."""
    near: Near = field(default_factory=dict)
    """Of linked ids."""

    @property
    def known(self) -> bool:
        """Whether anything is recorded about the person."""
        facts = (self.holdings, self.residences, self.ages, self.notices, self.objections, self.consents)
        return any(facts)


def one_by(told: Near, person: str, at: int) -> set[str]:
    """Return the ids that were known to be one with an id at an instant, by what holds of them; itself among them."""
    group, waiting = {person}, [person]
    while waiting:
        new = {other for other, recorded_at in told.get(waiting.pop(), ()) if recorded_at <= at} - group
        group |= new
        waiting.extend(new)
    return group

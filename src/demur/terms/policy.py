"""Policy as data: regimes, jurisdictions, holds. Built by ``demur.policy.read``; immutable (SYSTEM §5)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from demur.terms.content import Kind


class Regime(StrEnum):
    """What the law asks for in a jurisdiction, least protective first."""

    NO_CHOICE = "no_choice"
    OPT_OUT = "opt_out"
    OPT_IN = "opt_in"
    PROHIBITED = "prohibited"
    HELD = "held"


PROTECTION: dict[Regime, int] = {regime: rank for rank, regime in enumerate(Regime)}


class ThirdPartyScope(StrEnum):
    """How far an objection reaches into other people's items (X9), widest last."""

    OWN_CONTENT = "own_content"
    COPIES = "own_content_and_copies"
    COPIES_AND_MENTIONS = "own_content_and_copies_mentions_redacted"


class SignalUnknown(StrEnum):
    """What a missing machine-readable preference means (JUR-04)."""

    IGNORE = "ignore"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Terms:
    """The rules that hold for one set of countries at one instant, after combining by "most protective wins".

    ``None`` in ``kinds`` or ``services`` never occurs: the sets are explicit, empty means nothing is admitted.
    """

    regime: Regime
    min_age_years: int
    age_at_creation_years: int
    notice_days: int
    effective_at: datetime | None
    """First instant of use; ``None`` = no date set, so never (for regimes that need a notice)."""
    kinds: frozenset[Kind]
    services: frozenset[str] | None
    """``None`` = every service."""
    content_not_before: datetime | None
    min_public_days: int
    signal_unknown: SignalUnknown
    special_category_allowed: bool


@dataclass(frozen=True, slots=True)
class Jurisdiction:
    """A dated set of countries with one regime (JUR-01)."""

    name: str
    countries: frozenset[str]
    """ISO 3166-1 alpha-2 codes; ``*`` = every country that no other jurisdiction names."""
    valid_from: datetime | None
    valid_until: datetime | None
    terms: Terms
    source: str
    """Where the facts come from, for the reader."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy file, checked."""

    name: str
    version: int
    purpose: str
    legal_basis: str
    description: str
    jurisdictions: tuple[Jurisdiction, ...]
    third_party_scope: ThirdPartyScope
    erase_on_objection: bool
    profile_fields_of_private_accounts: bool
    """``True`` admits them; the default is ``False`` (X6)."""
    audiences: frozenset[str]
    """Effective audiences that may be used: ``public`` and, if the operator says so, ``unlisted``. Nothing else."""
    statuses: frozenset[str]
    """Account statuses that may be used; ``active`` by default (PPL-05)."""
    grace_months: int
    """How long an old, more protective residence counts after a move (§4)."""
    copy_min_words: int
    """Shorter texts belong to nobody: a copy of such a text is not followed (TPD-04)."""
    digest: str
    """SHA-256 of the canonical form: the version that every decision names."""


@dataclass(frozen=True, slots=True)
class Hold:
    """An authority's stop over a slice (HLD-01). ``None`` or empty = any."""

    hold_id: str
    countries: frozenset[str]
    services: frozenset[str]
    kinds: frozenset[Kind]
    created_from: datetime | None
    created_until: datetime | None
    purpose: str | None
    campaign: str | None
    authority: str
    instrument: str

"""Reasons why an item is withheld: stable codes in a fixed order, one bit each (JUR-02, TRA-08).

The order is the order of the layers in JUR-03: floors, what people said, machine-readable signals, regime.
The first reason that applies is the primary one. Codes and bits are never renumbered, only added at the end of
the list; each has a sentence in every supported language (i18n).
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why an item may not be used. Declaration order = bit number = precedence."""

    # Floors: the item itself
    UNKNOWN_KIND = "unknown_kind"
    PRIVATE_MESSAGE = "private_message"
    AUDIENCE_UNKNOWN = "audience_unknown"
    NOT_PUBLIC = "not_public"
    NOT_ADDRESSED_TO_AI = "not_addressed_to_ai"
    DELETED = "deleted"
    EXPIRED = "expired"
    CREATED_UNKNOWN = "created_unknown"
    NOT_YET_CREATED = "not_yet_created"
    # Floors: its author
    AUTHOR_UNKNOWN = "author_unknown"
    STATUS_UNKNOWN = "status_unknown"
    ACCOUNT_DELETED = "account_deleted"
    ACCOUNT_MEMORIAL = "account_memorial"
    ACCOUNT_DORMANT = "account_dormant"
    ACCOUNT_ORGANISATION = "account_organisation"
    ACCOUNT_BOT = "account_bot"
    ACCOUNT_NOT_ACTIVE = "account_not_active"
    COMPROMISED_WINDOW = "compromised_window"
    PRIVATE_ACCOUNT_PROFILE = "private_account_profile"
    AGE_UNKNOWN = "age_unknown"
    AGE_CONFLICT = "age_conflict"
    MINOR = "minor"
    MINOR_AT_CREATION = "minor_at_creation"
    # Stops, still floors
    HELD = "held"
    OBJECTED = "objected"
    ORIGINAL_UNKNOWN = "original_unknown"
    ORIGINAL_OBJECTED = "original_objected"
    ORIGINAL_WITHHELD = "original_withheld"
    SUPPRESSED = "suppressed"
    # Floors: the notice clock
    NOT_NOTIFIED = "not_notified"
    NOTICE_PERIOD = "notice_period"
    NOT_YET_EFFECTIVE = "not_yet_effective"
    # Consent
    NO_CONSENT = "no_consent"
    # Signals
    SIGNAL_NO = "signal_no"
    SIGNAL_UNKNOWN = "signal_unknown"
    # Regime and switches
    NO_JURISDICTION = "no_jurisdiction"
    REGIME_HELD = "regime_held"
    REGIME_PROHIBITED = "regime_prohibited"
    KIND_EXCLUDED = "kind_excluded"
    SERVICE_EXCLUDED = "service_excluded"
    TOO_OLD = "too_old"
    NOT_PUBLIC_LONG_ENOUGH = "not_public_long_enough"
    SPECIAL_CATEGORY = "special_category"


BIT: dict[Reason, int] = {reason: 1 << position for position, reason in enumerate(Reason)}
"""Reason → its bit in the int64 mask."""

PROTECTING: frozenset[Reason] = frozenset(
    {
        Reason.OBJECTED,
        Reason.ORIGINAL_OBJECTED,
        Reason.SUPPRESSED,
        Reason.HELD,
        Reason.MINOR,
        Reason.MINOR_AT_CREATION,
        Reason.PRIVATE_MESSAGE,
        Reason.NO_CONSENT,
    }
)
"""Reasons that protect the *content* wherever it stands: no copy of such an item may be used either (COR-05)."""

OWN_REASONS_MASK: int = sum(BIT.values())


def bits(reasons: frozenset[Reason] | set[Reason]) -> int:
    """Return the mask of some reasons.

    >>> bits({Reason.UNKNOWN_KIND, Reason.PRIVATE_MESSAGE})
    3
    """
    return sum(BIT[reason] for reason in reasons)


def reasons_of(mask: int) -> tuple[Reason, ...]:
    """Return the reasons of a mask, primary first.

    >>> [r.value for r in reasons_of(3)]
    ['unknown_kind', 'private_message']
    """
    return tuple(reason for reason in Reason if mask & BIT[reason])


class Exclusion(StrEnum):
    """Why an *allowed* item became no record of its own. A filter, not a right, unless marked (COR-01)."""

    NO_TEXT = "no_text"
    TOO_SHORT = "too_short"
    LANGUAGE_UNKNOWN = "language_unknown"
    LOW_QUALITY = "low_quality"
    TOXIC = "toxic"
    OVER_SHARE = "over_share"
    DUPLICATE_EXACT = "duplicate_exact"
    DUPLICATE_NEAR = "duplicate_near"
    PROTECTED_COPY = "protected_copy"
    """A right: the text stands in a protected item of somebody else's too (COR-05)."""

"""The decision itself: read every rule about one item and one author, and keep every reason that applies.

Pure. This module does *not* gather facts (``judge.py`` does) and does *not* know tables or the engine.
"""

from __future__ import annotations

from dataclasses import dataclass

from demur.policy.facts import Facts
from demur.policy.rules import Rulebook, holds
from demur.terms.reasons import Reason


@dataclass(frozen=True, slots=True)
class Allowed:
    """Nothing speaks against the item."""


@dataclass(frozen=True, slots=True)
class Withheld:
    """The item may not be used."""

    reasons: tuple[Reason, ...]
    """All reasons in their fixed order; the first is the primary one. Never empty."""


Decision = Allowed | Withheld


def decide(facts: Facts, book: Rulebook) -> Decision:
    """Return the decision about one item and one of its authors, with every reason (JUR-02)."""
    reasons = tuple(rule.reason for rule in book.rules if holds(rule.when, facts))
    return Withheld(reasons) if reasons else Allowed()

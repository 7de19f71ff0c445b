"""What a report shows, as plain values: gathered by ``flows.report``, rendered by ``report``."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Step:
    """One step down the funnel: how many items a reason or filter takes away."""

    code: str
    sentence: str
    count: int
    is_right: bool
    """True = a rule of the policy or a right; False = a quality filter."""


@dataclass(frozen=True, slots=True)
class Share:
    """A group of items and how many of them may be used."""

    name: str
    items: int
    allowed: int

    @property
    def percent(self) -> float:
        """Allowed share in percent."""
        return 100 * self.allowed / self.items if self.items else 0.0


@dataclass(frozen=True, slots=True)
class RegionRow:
    """One region of corpus and model."""

    name: str
    records: int
    tokens: int
    """Read in training, over all epochs; 0 without a model."""
    filled_shards: int
    shards: int


@dataclass(frozen=True, slots=True)
class LossRow:
    """Held-out loss (nats a token, lower is better) of one language."""

    language: str
    base: float
    unsharded: float
    routed: float
    routed_after: float | None = None
    """After the erasures."""


@dataclass(frozen=True, slots=True)
class ErasureRow:
    """One finished erasure."""

    erasure_id: str
    at: str
    persons: int
    records_removed: int
    slices_replayed: int
    tokens: int
    tokens_full: int
    first_effect_seconds: float
    seconds: float
    digest_incremental: str
    digest_clean: str | None
    """Digest of a real clean rebuild, when one was made."""
    certificate: str

    @property
    def percent(self) -> float:
        """Tokens trained again, in percent of full training."""
        return 100 * self.tokens / self.tokens_full if self.tokens_full else 0.0


@dataclass(frozen=True, slots=True)
class WhatIfRow:
    """What another policy would change in one group."""

    name: str
    items_gained: int
    items_lost: int


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A comparison of two policies against the same state."""

    policy: str
    other: str
    people_gained: int
    people_lost: int
    items_gained: int
    items_lost: int
    words_gained: int
    words_lost: int
    by_country: tuple[WhatIfRow, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Everything on the page."""

    title: str
    made_at: str
    policy: str
    as_of: str
    people: int
    items: int
    quarantined: int
    quarantine: tuple[tuple[str, int], ...]
    steps: tuple[Step, ...]
    allowed: int
    filters: tuple[Step, ...]
    records: int
    countries: tuple[Share, ...]
    languages: tuple[Share, ...]
    kinds: tuple[Share, ...]
    regions: tuple[RegionRow, ...]
    corpus_digest: str
    verdict: tuple[tuple[str, bool, str], ...]
    model_digest: str | None = None
    model_parameters: int = 0
    model_tokens: int = 0
    losses: tuple[LossRow, ...] = ()
    erasures: tuple[ErasureRow, ...] = ()
    what_if: WhatIf | None = None
    ledger_size: int = 0
    ledger_root: str = ""
    seconds: tuple[tuple[str, float], ...] = ()
    peak_rss_mib: float = 0.0
    notes: tuple[str, ...] = field(default=())

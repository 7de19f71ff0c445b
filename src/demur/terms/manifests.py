"""What builds leave behind: manifests, receipts, plans, certificates. JSON on disk, these types in code."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class CorpusRecipe:
    """Everything that fixes a corpus beside its inputs (frozen constants of the build)."""

    regions: dict[str, str]
    """Language or language-dialect tag → region name; a tag not named goes to ``other_region``."""
    other_region: str = "other"
    shards: int = 16
    """Shards in every region (K)."""
    slices: int = 4
    """Ordered slices in every shard (S)."""
    min_words: int = 3
    near_duplicate_jaccard: float = 0.8
    redaction: str = "demur-redaction-1"
    """Name of the frozen rule set."""
    language: str = "demur-language-1"
    code: str = "demur-corpus-1"
    """Raised whenever the same inputs would give other records."""

    def as_json(self) -> dict[str, Any]:
        """Return the plain form for digests and files."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class SliceDigest:
    """One slice file of a corpus."""

    region: str
    shard: int
    slice: int
    path: str
    """Relative to the corpus folder."""
    records: int
    content_digest: str
    """SHA-256 over the ordered, length-prefixed records: what equality of corpora means."""
    file_digest: str
    """SHA-256 of the file's bytes: what integrity means."""


@dataclass(frozen=True, slots=True)
class CorpusManifest:
    """A corpus in one page; written last (COR-01)."""

    corpus_id: str
    """First 16 hex digits of ``digest``, name of the folder."""
    digest: str
    """SHA-256 over recipe and all slice content digests: equal if and only if the training data is equal."""
    inputs: dict[str, Any]
    """source digest, policy digest and name, as_of, known_at, purpose, recipe."""
    slices: tuple[SliceDigest, ...]
    counts: dict[str, Any]
    """items, decisions by primary reason, exclusions, records by region, language …"""
    versions: dict[str, str]
    verdict: dict[str, Any] = field(default_factory=dict)
    """What the independent verifier found."""
    replaces: str | None = None
    """Corpus that this one was made from by an erasure."""


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """Published constants of a training (ERASURE §5 ShardPlan). Never computed from who happens to be in the data."""

    base_digest: str
    tokenizer_digest: str
    regions: tuple[str, ...]
    shards: int
    slices: int
    epochs: int = 1
    cells: int = 4
    """Batch places in a slice and epoch (C); a record's cell is a keyed hash of its id."""
    max_tokens: int = 96
    """Longer records are cut."""
    tokens_per_cell: int = 1024
    """The constant that a cell's loss is divided by, whatever is present."""
    grain: int = 16
    """Records in one forward pass at most; part of the numeric profile."""
    adapter: str = "lora"
    """``lora`` or ``full`` (weight differences of every parameter)."""
    lora_rank: int = 8
    lora_alpha: int = 16
    learning_rate: float = 2e-3
    weight_decay: float = 0.0
    merge_weight: float = 1.0
    """λ·K: the sum of a region's deltas is multiplied by merge_weight / shards."""
    fixed_point_bits: int = 40
    seed: int = 0
    code: str = "demur-training-1"

    def as_json(self) -> dict[str, Any]:
        """Return the plain form for digests and files."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What one (region, shard, slice) training leaves: ``out = F(parent, records, plan)`` (ERASURE §5)."""

    plan_digest: str
    corpus_slice_digest: str
    region: str
    shard: int
    slice: int
    parent_receipt: str | None
    """Digest of the receipt before it in the chain; ``None`` for slice 0."""
    parent_state: str
    out_state: str
    people_root: str
    """Root of the sorted Merkle tree over the blinded persons in the slice."""
    people_leaves: int
    records: int
    tokens: int
    holes: int
    """Cells in which no record was present."""
    platform: str
    """Digest of the platform fingerprint."""
    signature: str = ""
    """Ed25519 over the canonical JSON of the rest, base64."""


@dataclass(frozen=True, slots=True)
class SliceRef:
    """Names one slice of one shard of one region."""

    region: str
    shard: int
    slice: int


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """The difference of two manifests, before anything is done (SYSTEM §3)."""

    corpus_before: str
    corpus_after: str
    changed: tuple[SliceRef, ...]
    """Slices whose content differs."""
    replay: tuple[SliceRef, ...]
    """Slices to train again: in each changed shard, the first changed slice and all after it."""
    tokens: int
    """Tokens that the replay reads, over all epochs."""
    tokens_full: int
    """Tokens of training everything."""
    seconds: float
    """Estimate from the rate measured when the model was trained."""
    persons: tuple[str, ...]
    """Blinded ids of the persons that leave."""
    records_removed: int
    records_changed: int
    records_added: int

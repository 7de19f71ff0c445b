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
    redaction: str = "demur-redaction-6"
    """Name of the frozen rule set."""
    redaction_mode: str = "mask"
    """``mask`` (the type in angle brackets), ``drop``, or ``fake`` (made up, consistent inside one record only)."""
    recognisers: dict[str, str] = field(default_factory=dict)
    """Further recognisers by name → version, for names in free text (docs/redaction.md)."""
    language: str = "demur-language-3"
    dialect: str = "demur-dialect-2"
    quality: str = "demur-quality-1"
    """Name of the frozen filter; empty = off."""
    toxicity: str = ""
    """Digest of the platform's own model; empty = off."""
    shares: dict[str, float] = field(default_factory=dict)
    """Language or dialect tag → share of its texts that stays, by a hash of the text; others stay whole. So that an
    under-represented language weighs more, others are thinned: a constant, never a count of who is there."""
    code: str = "demur-corpus-2"
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
    words: int = 0
    characters: int = 0


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
    sealed: dict[str, str] = field(default_factory=dict)
    """Sealed files (lineage, fates): path relative to the corpus folder → SHA-256 of its bytes. Never equal twice."""


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
    warmup_cells: int = 1
    """The rate rises over so many cells of a slice, then falls linearly; counted by place, holes included."""
    weight_decay: float = 0.0
    merge_weight: float = 1.0
    """λ·K: the sum of a region's deltas is multiplied by merge_weight / shards."""
    fixed_point_bits: int = 40
    seed: int = 0
    cells_key: str = ""
    """Commitment to the key that places records in cells: another key would be another plan."""
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
class ShardHead:
    """Where a shard stands in a model: its last slice that counts."""

    region: str
    shard: int
    slice: int
    """Last slice whose receipt counts; -1 after a rollback to nothing."""
    receipt: str | None
    """Digest of that slice's receipt."""
    out_state: str
    state_path: str | None
    """Relative to the models folder; ``None`` = the shard has learned nothing yet (its delta is zero)."""


@dataclass(frozen=True, slots=True)
class RegionModel:
    """One region's merged weights."""

    region: str
    path: str
    """Hugging Face folder, relative to the model folder."""
    weights_digest: str
    """SHA-256 over names, shapes and bytes of the merged weights."""
    accumulator_path: str
    accumulator_digest: str


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """A model in one page; written last (SYSTEM §3)."""

    model_id: str
    """First 16 hex digits of the digest of plan and corpus digest, name of the folder."""
    model_digest: str
    """SHA-256 over the merged weights of all regions in order: what equality of models means."""
    status: str
    """``complete``, ``rolled_back`` or ``destroyed``."""
    plan: dict[str, Any]
    plan_digest: str
    corpus_id: str
    corpus_digest: str
    base_path: str
    platform: dict[str, str]
    platform_digest: str
    regions: tuple[RegionModel, ...]
    heads: tuple[ShardHead, ...]
    records: dict[str, int]
    """Region → records that its heads have seen."""
    tokens: dict[str, int]
    """Region → tokens that its heads have read, over all epochs."""
    work: dict[str, float]
    """Slices and tokens trained and reused in this run, seconds, tokens per second and worker. Never in a digest."""


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

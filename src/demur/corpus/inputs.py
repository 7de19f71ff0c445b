"""What a corpus is a function of, beside the keys of the workspace."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from demur.errors import ConfigError
from demur.terms.manifests import CorpusRecipe
from demur.terms.policy import Policy, ThirdPartyScope
from demur.terms.reasons import PROTECTING, Reason, bits


@dataclass(frozen=True, slots=True)
class CorpusInputs:
    """What a corpus is a function of, beside the keys of the workspace."""

    items: Path
    """Folder of the snapshot: ITEMS, one row an item."""
    decisions: Path
    """Folder of DECISIONS parts made from that snapshot."""
    standing: Path
    """Folder of the exported people tables."""
    policy: Policy
    recipe: CorpusRecipe
    as_of: datetime
    known_at: datetime
    source_digest: str
    """Digest of the snapshot."""
    purpose: str
    narrowed_at: datetime | None = None
    """What was learned until then takes away; ``None`` = ``known_at``, a first build (ADR 2)."""
    toxicity: Path | None = None
    """Folder of the platform's own toxicity model, where the recipe names one."""


def check(inputs: CorpusInputs) -> None:
    """Refuse what cannot work.

    Raises:
        ConfigError: each fault is named.
    """
    recipe = inputs.recipe
    faults = []
    if not 1 <= recipe.shards <= 1000:
        faults.append(f"shards must be 1 to 1000, found {recipe.shards}")
    if not 1 <= recipe.slices <= 1000:
        faults.append(f"slices must be 1 to 1000, found {recipe.slices}")
    if not 0 < recipe.near_duplicate_jaccard <= 1:
        faults.append(f"near_duplicate_jaccard must be above 0 and at most 1, found {recipe.near_duplicate_jaccard}")
    if recipe.redaction_mode not in {"mask", "drop", "fake"}:
        faults.append(f"redaction_mode must be mask, drop or fake, found {recipe.redaction_mode!r}")
    faults += [
        f"a share must be above 0 and at most 1, found {share} for {tag}"
        for tag, share in sorted(recipe.shares.items())
        if not 0 < share <= 1
    ]
    faults += [
        f"a region is named by letters, digits, - and _, found {region!r}"
        for region in sorted({*recipe.regions.values(), recipe.other_region})
        if not region or not all(sign.isalnum() or sign in "-_" for sign in region)
    ]
    if not inputs.as_of <= inputs.known_at <= (inputs.narrowed_at or inputs.known_at):
        faults.append("as_of, known_at and narrowed_at must stand in this order")
    if faults:
        raise ConfigError("expected a recipe that can be built, found faults; correct the settings", faults)


def protecting(scope: ThirdPartyScope) -> int:
    """Return the mask of reasons whose items protect their copies too (COR-05, X9).

    What people say about their own content reaches no copy when the scope is own content; floors always do.
    """
    said = {Reason.OBJECTED, Reason.ORIGINAL_OBJECTED, Reason.NO_CONSENT}
    return bits(PROTECTING - said if scope is ThirdPartyScope.OWN_CONTENT else PROTECTING)

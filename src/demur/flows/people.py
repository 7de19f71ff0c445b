"""Who is in which slice, blinded: what receipts and certificates speak about without naming anybody."""

from __future__ import annotations

from pathlib import Path

from demur.ledger import people_root
from demur.lineage import SealedFile
from demur.store import KeyRing
from demur.terms.manifests import SliceRef


def blind(keys: KeyRing, person_id: str) -> str:
    """Return a person's blinded id (64 hex digits): the same in every receipt of one workspace."""
    return keys.mac("blind", person_id).hex()


def people_of(corpus: Path, keys: KeyRing) -> dict[SliceRef, list[str]]:
    """Return the sorted blinded ids of everybody who has a part in each slice, in any role."""
    sealed = SealedFile(corpus / "sealed" / "lineage.sealed", "lineage", secret=keys.secret("lineage"))
    found: dict[SliceRef, set[str]] = {}
    for table in sealed.all():
        for region, shard, part, person in zip(
            *(table[name].to_pylist() for name in ("region", "shard", "slice", "person_id")), strict=True
        ):
            found.setdefault(SliceRef(region, shard, part), set()).add(person)
    return {place: sorted(blind(keys, person) for person in people) for place, people in found.items()}


def people_roots(corpus: Path, keys: KeyRing) -> dict[SliceRef, tuple[str, int]]:
    """Return slice → (root, leaves) for receipts."""
    return {place: people_root(ids) for place, ids in people_of(corpus, keys).items()}

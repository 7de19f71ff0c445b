"""Questions to one corpus: what a record was made from, and which slices a person touches. Needs the lineage key.

Answers link records, items and persons: they are for the roles that may see that (COR-09), and are never written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.manifest import read_manifest
from demur.corpus.mentions import saying
from demur.errors import InputError
from demur.lineage import SealedFile
from demur.store import KeyRing
from demur.terms.manifests import SliceRef


@dataclass(frozen=True, slots=True)
class Source:
    """One item behind a record, with the person who owns it and why."""

    item_id: str
    person_id: str
    role: str


@dataclass(frozen=True, slots=True)
class Explained:
    """Everything behind one record."""

    record_id: str
    where: SliceRef
    sources: tuple[Source, ...]
    """Author first, then by role, item and person."""
    fates: tuple[Fate, ...]
    """What became of each of these items."""


@dataclass(frozen=True, slots=True)
class Fate:
    """The decision on an item, and what the corpus made of it."""

    item_id: str
    allowed: bool
    primary_reason: str | None
    reason_bits: int
    exclusion: str | None
    detail: str | None
    """Which rule of a filter took it."""
    duplicate_of: str | None
    record_id: str | None
    spans: list[dict[str, Any]] | None
    """Of a record: where identifiers stood in the normalised text without quotes (start, end, kind; code points)."""


def explain(corpus: Path, record_id: str, *, keys: KeyRing) -> Explained:
    """Return the items and persons behind a record.

    Raises:
        InputError: the corpus has no such record.
        BrokenError: the sealed files don't open with this key ring.
    """
    rows = []
    for table in _sealed(corpus, "lineage", keys).all():
        rows += table.filter(pc.equal(table["record_id"], record_id)).to_pylist()
    if not rows:
        raise InputError("expected the id of a record in this corpus, found none like it; take one from a slice file")
    where = SliceRef(rows[0]["region"], rows[0]["shard"], rows[0]["slice"])
    sources = sorted(
        (Source(row["item_id"], row["person_id"], row["role"]) for row in rows),
        key=lambda source: (source.role != "author", source.role, source.item_id, source.person_id),
    )
    owners: dict[str, list[str]] = {}
    for source in sources:
        owners.setdefault(source.item_id, []).append(source.person_id)
    found = (fate_of(corpus, item, keys=keys, persons=persons) for item, persons in sorted(owners.items()))
    fates = tuple(fate for fate in found if fate is not None)
    return Explained(record_id=record_id, where=where, sources=tuple(sources), fates=fates)


def fate_of(corpus: Path, item_id: str, *, keys: KeyRing, persons: Iterable[str] = ()) -> Fate | None:
    """Return what became of an item, or ``None`` when the snapshot had no such item.

    Args:
        corpus: its folder.
        item_id: the item.
        keys: the key ring.
        persons: who may have made it: their buckets are opened first, all others only if it is not there.
    """
    sealed = _sealed(corpus, "fates", keys)
    for table in chain(*(sealed.bucket(person) for person in persons), sealed.all()):
        for row in table.filter(pc.equal(table["item_id"], item_id)).to_pylist():
            return Fate(**{name: row.get(name) for name in Fate.__slots__})
    return None


def touched(corpus: Path, persons: Sequence[str], *, keys: KeyRing, names: Sequence[str] = ()) -> frozenset[SliceRef]:
    """Return every slice with a record that one of the persons owns in any role, or that says one of the names.

    Looks a person up in one sealed bucket each. Names have no index on purpose (it would be one of everybody who was
    ever mentioned): the slice files are read for them.

    Args:
        corpus: its folder.
        persons: person ids.
        keys: the key ring.
        names: full names to look for in the texts, where the policy's scope includes mentions.
    """
    lineage = _sealed(corpus, "lineage", keys)
    found: set[SliceRef] = set()
    for person in sorted(set(persons)):
        for table in lineage.bucket(person):
            for row in table.filter(pc.equal(table["person_id"], person)).to_pylist():
                found.add(SliceRef(row["region"], row["shard"], row["slice"]))
    if names:
        found |= _mentioning(corpus, sorted(set(names)), found)
    return frozenset(found)


def _mentioning(corpus: Path, names: list[str], known: set[SliceRef]) -> set[SliceRef]:
    found = set()
    for one in read_manifest(corpus).slices:
        ref = SliceRef(one.region, one.shard, one.slice)
        if one.records and ref not in known:
            texts = pq.read_table(corpus / one.path, columns=["text"])["text"].combine_chunks()
            if pc.any(saying(texts, names)).as_py():
                found.add(ref)
    return found


def _sealed(corpus: Path, kind: str, keys: KeyRing) -> SealedFile:
    return SealedFile(corpus / "sealed" / f"{kind}.sealed", kind, secret=keys.secret("lineage"))

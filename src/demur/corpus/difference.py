"""What differs between two corpora: changed slices and their records. What an erasure plan is made from (SYSTEM §3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from demur.corpus.manifest import read_manifest
from demur.corpus.shard import slice_path
from demur.errors import BrokenError
from demur.store import digest_file
from demur.terms.manifests import CorpusManifest, SliceDigest, SliceRef


@dataclass(frozen=True, slots=True)
class SliceChange:
    """How one slice differs."""

    ref: SliceRef
    removed: int
    changed: int
    """Same record, other text or tags."""
    added: int


@dataclass(frozen=True, slots=True)
class Difference:
    """How two corpora differ; empty ``slices`` means equal training data."""

    before: str
    after: str
    slices: tuple[SliceChange, ...]

    @property
    def removed(self) -> int:
        """Records that only the first has."""
        return sum(one.removed for one in self.slices)

    @property
    def changed(self) -> int:
        """Records whose content differs."""
        return sum(one.changed for one in self.slices)

    @property
    def added(self) -> int:
        """Records that only the second has."""
        return sum(one.added for one in self.slices)


def changed_slices(before: CorpusManifest, after: CorpusManifest) -> tuple[SliceRef, ...]:
    """Return the slices whose content differs, from the manifests alone."""
    first, second = _contents(before), _contents(after)
    refs = {ref for ref in {*first, *second} if first.get(ref) != second.get(ref)}
    return tuple(sorted(refs, key=lambda ref: (ref.region, ref.shard, ref.slice)))


def difference(before: Path, after: Path) -> Difference:
    """Compare two corpora by their manifests, and count records in the slices that differ.

    Raises:
        BrokenError: a manifest or a slice file is damaged.
    """
    first, second = read_manifest(before), read_manifest(after)
    changes = []
    for ref in changed_slices(first, second):
        old, new = _records(before, first, ref), _records(after, second, ref)
        changes.append(
            SliceChange(
                ref=ref,
                removed=len(old.keys() - new.keys()),
                changed=sum(1 for one in old.keys() & new.keys() if old[one] != new[one]),
                added=len(new.keys() - old.keys()),
            )
        )
    return Difference(before=first.corpus_id, after=second.corpus_id, slices=tuple(changes))


def _contents(manifest: CorpusManifest) -> dict[SliceRef, str]:
    """Return contents by slice; a slice without records is as good as none."""
    return {SliceRef(one.region, one.shard, one.slice): one.content_digest for one in manifest.slices if one.records}


def _records(corpus: Path, manifest: CorpusManifest, ref: SliceRef) -> dict[str, tuple[str | None, ...]]:
    path = slice_path(ref)
    listed: SliceDigest | None = next((one for one in manifest.slices if one.path == path), None)
    if listed is None or not listed.records:
        return {}
    if not (corpus / path).exists() or digest_file(corpus / path) != listed.file_digest:
        raise BrokenError(f"expected {path} as it was written, found it missing or changed; restore it or build again")
    columns = pq.read_table(corpus / path).to_pydict()
    names = [name for name in columns if name != "record_id"]
    rows = zip(*(columns[name] for name in names), strict=True)
    return dict(zip(columns["record_id"], rows, strict=True))

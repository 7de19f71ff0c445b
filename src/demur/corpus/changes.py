"""What came into a corpus since another version, what went, and why: counts only, never an id.

Needs the lineage key: the reason stands in the sealed fates of both versions. The cost follows what differs, but for
reading the fates. Does not judge whether a change is right; that is what `corpus.verify` is for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.difference import changed_slices
from demur.corpus.manifest import read_manifest
from demur.corpus.shard import slice_path
from demur.errors import BrokenError
from demur.lineage import SealedFile
from demur.store import KeyRing, digest_file
from demur.terms.manifests import CorpusManifest, SliceRef

NEW_IN_SOURCE = "new_in_source"
"""The item was not in the snapshot before."""
GONE_FROM_SOURCE = "gone_from_source"
"""The item is not in the snapshot any more."""

_GROUPS = ("region", "language", "kind")


@dataclass(slots=True)
class Movement:
    """How many records came, went and changed, in all and by group."""

    came: int = 0
    went: int = 0
    changed: int = 0
    """Same record, other text, tags or region."""
    by: dict[str, dict[str, Counter[str]]] = field(default_factory=lambda: {name: {} for name in _GROUPS})
    """Group (region, language, kind) → its value → came, went, changed."""
    why_came: Counter[str] = field(default_factory=Counter)
    """What kept the item out before: a reason, an exclusion, or that it was not there."""
    why_went: Counter[str] = field(default_factory=Counter)
    """What keeps the item out now."""


def changes(before: Path, after: Path, *, keys: KeyRing) -> Movement:
    """Count what differs between two versions of a corpus, with the reasons.

    Raises:
        BrokenError: a manifest, a slice or the sealed fates are damaged, or don't open.
    """
    first, second = read_manifest(before), read_manifest(after)
    rows = {
        "went": _only(before, first, after, second),
        "came": _only(after, second, before, first),
    }
    ids = {what: set(found) for what, found in rows.items()}
    both = ids["went"] & ids["came"]  # changed where it stands, or moved to another slice
    done = Movement(came=len(ids["came"] - both), went=len(ids["went"] - both), changed=len(both))
    for what, found in rows.items():
        for record, facts in found.items():
            word = "changed" if record in both else what
            if word != "changed" or what == "came":
                for name, value in zip(_GROUPS, facts, strict=True):
                    done.by[name].setdefault(value, Counter())[word] += 1
    old, new = (_Fates(folder, keys) for folder in (before, after))
    done.why_went.update(_whys(old, new, ids["went"] - both, GONE_FROM_SOURCE))
    done.why_came.update(_whys(new, old, ids["came"] - both, NEW_IN_SOURCE))
    return done


def _only(
    folder: Path, manifest: CorpusManifest, other: Path, other_manifest: CorpusManifest
) -> dict[str, tuple[str, str, str]]:
    """Return the records of a version that the other has not, or has otherwise: id → region, language, kind."""
    found = {}
    for ref in changed_slices(manifest, other_manifest):
        mine, theirs = _rows(folder, manifest, ref), _rows(other, other_manifest, ref)
        for record, row in mine.items():
            if theirs.get(record) != row:
                found[record] = (ref.region, str(row["language"]), str(row["kind"]))
    return found


def _rows(folder: Path, manifest: CorpusManifest, ref: SliceRef) -> dict[str, dict[str, Any]]:
    path = slice_path(ref)
    listed = next((one for one in manifest.slices if one.path == path), None)
    if listed is None or not listed.records:
        return {}
    if not (folder / path).exists() or digest_file(folder / path) != listed.file_digest:
        raise BrokenError(f"expected {path} as it was written, found it missing or changed; restore it or build again")
    return {row["record_id"]: row for row in pq.ParquetFile(folder / path).read().to_pylist()}


class _Fates:
    """The sealed fates of one version, read as a stream as often as asked."""

    def __init__(self, folder: Path, keys: KeyRing) -> None:
        self._file = SealedFile(folder / "sealed" / "fates.sealed", "fates", secret=keys.secret("lineage"))

    def where(self, column: str, values: Iterable[str]) -> Iterator[dict[str, Any]]:
        """Yield the fates whose column has one of some values."""
        wanted = pa.array(sorted(values), pa.string())
        if not len(wanted):
            return
        for table in self._file.all():
            yield from table.filter(pc.is_in(table[column], value_set=wanted)).to_pylist()


def _whys(here: _Fates, there: _Fates, records: set[str], absent: str) -> Iterator[str]:
    """Yield for each record of one version what keeps its item out of the other."""
    items = {row["item_id"] for row in here.where("record_id", records)}
    missing = set(items)
    for row in there.where("item_id", items):
        missing.discard(row["item_id"])
        yield row["primary_reason"] or row["exclusion"] or "unknown"
    yield from [absent] * len(missing)

"""What a corpus remembers of every text that it looked at: its measures, sealed beside the lineage.

A row holds no text: who is a copy of whom, where a record lies and how it is tagged can be worked out again from these
rows alone. So a later build measures only what is new, and looks again only where something changed (docs/corpus.md).
Rows are of allowed and of protected items. What copies are found by is a keyed hash, and is there only for texts that
are compared: a protected text too short to have copies leaves its number of words and no more.

Sealed files are divided into *parts* of some hundred rows: all rows of a person lie in one. A build opens the parts
that something changed in and takes the others over, sealed as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.manifest import read_manifest
from demur.corpus.redact_spans import SPANS
from demur.corpus.similarity import BANDS
from demur.corpus.spill import buckets_for, read_bucket
from demur.lineage import SealedFile, buckets_of
from demur.store import KeyRing, read_commit
from demur.terms.tables import DECISIONS

PART_ROWS = 256
"""Rows of a part, about. Fewer: less to open for an objection, more chunks to write and to look through."""
FEWEST_PARTS, MOST_PARTS = 64, 1 << 20
OUTGROWN = 8
"""A corpus with so many times more items than its parts were made for is measured anew, in more parts."""

DECIDED: Any = pa.schema(
    [
        pa.field(name, DECISIONS.field(name).type)
        for name in ("item_id", "allowed", "primary_reason", "reason_bits", "person_id", "country", "kind", "audience")
    ]
)

MEASURES: Any = pa.schema(
    [
        ("item_id", pa.string()),
        ("version", pa.string()),
        ("person_id", pa.string()),
        ("kind", pa.string()),
        ("protected", pa.bool_()),
        ("created_us", pa.int64()),
        ("said_us", pa.int64()),
        ("tie", pa.uint64()),
        ("owners", pa.uint64()),
        ("exclusion", pa.string()),
        ("detail", pa.string()),
        ("words", pa.int32()),
        ("exact", pa.binary(16)),
        ("bands", pa.list_(pa.uint64(), BANDS)),
        ("windows", pa.list_(pa.uint64())),
        ("language", pa.string()),
        ("other_language", pa.string()),
        ("dialect", pa.string()),
        ("region", pa.string()),
        ("shard", pa.int32()),
        ("slice", pa.int32()),
        ("record_id", pa.string()),
    ]
)
"""``owners`` is a hash of who else owns a part of it; ``exact``, ``bands`` and ``windows`` count only without an
exclusion; ``said_us`` is since when it says this; ``detail`` says which rule of a filter took it."""

UNBANDED: Any = pa.schema([field for field in MEASURES if field.name not in {"bands", "windows"}])
"""Sealed as ``measures``."""
BANDED: Any = pa.schema([("live", pa.bool_()), *(MEASURES.field(name) for name in ("protected", "bands", "windows"))])
"""Sealed as ``bands``, row by row beside the measures: who looks for neighbours reads nothing else."""

NEIGHBOURS = ("exclusion", "protected", "bands", "windows")
"""Columns of MEASURES that are as much as BANDED."""

LOOKED_AT: Any = pa.schema([*MEASURES, ("touched", pa.bool_()), ("beyond", pa.bool_())])
"""Measures with whether anything about the text changed since the corpus before (its words, status or owners), and
whether it stands here for a neighbour's sake alone."""

TEXTS: Any = pa.schema([("item_id", pa.string()), ("plain", pa.string()), ("text", pa.string()), ("spans", SPANS)])
"""``plain`` decides what is a copy of what; ``text`` has the names of objectors out too and becomes the record;
``spans`` are the identifiers in the normalised source text."""

FATES: Any = pa.schema(
    [
        *DECIDED,
        ("exclusion", pa.string()),
        ("detail", pa.string()),
        ("duplicate_of", pa.string()),
        ("record_id", pa.string()),
        ("spans", SPANS),
    ]
)
"""A decision and what the corpus made of it; where identifiers stood in a record's normalised text. Sealed: it links
items, persons and records."""

NAMED: Any = pa.schema([FATES.field("item_id")])
"""As much of FATES as says which items they are of."""

VERDICTS: Any = pa.schema([("row", pa.int32()), ("exclusion", pa.string()), ("duplicate_of", pa.string())])
"""One row a judged allowed text: its row in the bucket; no exclusion = it is a record."""


def parts_for(items: int) -> int:
    """Return how many parts the sealed files of a new corpus have: a power of two.

    >>> parts_for(3), parts_for(1_000_000)
    (64, 4096)
    """
    return max(FEWEST_PARTS, buckets_for(items, PART_ROWS, most=MOST_PARTS))


def parts_of(rows: Any, parts: int) -> Any:
    """Return the part of each row, int64: that of its person; of an item that nobody is known to have made, its own."""
    return buckets_of(pc.coalesce(rows["person_id"], rows["item_id"]), parts)


class Before:
    """What the corpus before left sealed; nothing when there is none.

    Args:
        corpus: folder of the corpus whose measures are carried on, or ``None``.
        keys: the key ring.
    """

    def __init__(self, corpus: Path | None, keys: KeyRing) -> None:
        self._corpus, self._secret = corpus, keys.secret("lineage")
        self._files: dict[str, SealedFile] = {}
        self.manifest = read_manifest(corpus) if corpus is not None else None

    def file(self, kind: str) -> SealedFile | None:
        """Return one of the sealed files."""
        if self._corpus is None:
            return None
        if kind not in self._files:
            path = self._corpus / "sealed" / f"{kind}.sealed"
            self._files[kind] = SealedFile(path, kind, secret=self._secret)
        return self._files[kind]

    @property
    def parts(self) -> int:
        """How many parts it is divided into; 0 = there is none."""
        file = self.file("fates")
        return file.buckets if file is not None else 0

    def rows(self, kind: str, parts: Iterable[int]) -> Iterator[tuple[Any, Any]]:
        """Yield (part of each row, rows) of some parts, many together."""
        file = self.file(kind)
        if file is not None:
            yield from file.gathered(parts)

    def measures(self, parts: Iterable[int]) -> Iterator[tuple[Any, Any]]:
        """Yield (part of each row, MEASURES) of some parts, many together."""
        wanted = list(parts)
        for (part, rows), (_, bands) in zip(self.rows("measures", wanted), self.rows("bands", wanted), strict=True):
            yield part, banded(rows, bands)


@dataclass(frozen=True)
class Looked:
    """The rows that a build looks at, by bucket of their item.

    Their order: those that are carried on, those measured now, those beyond, which are there for a neighbour's sake,
    and, once more, those of the last that became something else, and so are looked at like the first.
    """

    selected: Path
    """Folder of the select stage."""
    texts: list[str]
    """Folders of the text stage, by bucket."""
    beside: Path
    """Folder of the deduplicate stage, which finds the neighbours; one that is not there has none."""

    def rows(self, bucket: int, *names: str) -> Any:
        """Return everything looked at in a bucket, as LOOKED_AT, or some columns of it: the others are not read."""
        asked = pa.schema([LOOKED_AT.field(name) for name in names or LOOKED_AT.names])
        measured = pa.schema([field for field in asked if field.name in MEASURES.names] or [MEASURES.field(0)])
        found = [
            read_bucket(self.selected / "carried", asked, bucket),
            marked(read_bucket(Path(self.texts[bucket]) / "measures", measured, bucket), touched=True, schema=asked),
            read_bucket(self.beside / "beyond", asked, bucket),
            read_bucket(self.beside / "carried", asked, bucket),
        ]
        return pa.concat_tables(found).combine_chunks()

    @property
    def owners(self) -> Path:
        """Folder of the further owners of items, by bucket."""
        return self.selected / "owners"

    @cached_property
    def fresh(self) -> Any:
        """Where in the rows of each bucket those begin and end that were measured now, int64 [buckets, 2]."""
        facts = read_commit(self.selected)
        assert facts is not None
        carried, wanted = (np.array(facts[f"{name}_rows"], np.int64) for name in ("carried", "wanted"))
        return np.stack([carried, carried + wanted], axis=1)

    def decisions(self, bucket: int) -> Any:
        """Return the decisions on all items that are looked at."""
        beside = read_bucket(self.beside / "fates", DECIDED, bucket)
        return pa.concat_tables([read_bucket(self.selected / "decisions", DECIDED, bucket), beside]).combine_chunks()

    def fates(self, bucket: int) -> Any:
        """Return what the corpus before made of these items."""
        found = [read_bucket(folder / "fates", FATES, bucket) for folder in (self.selected, self.beside)]
        return pa.concat_tables(found).combine_chunks()

    def before(self, bucket: int) -> Any:
        """Return the measures that the corpus before had of these items."""
        beside = read_bucket(self.beside / "carried", MEASURES, bucket)
        return pa.concat_tables([read_bucket(self.selected / "old", MEASURES, bucket), beside]).combine_chunks()


def marked(measures: Any, *, touched: bool = False, beyond: bool = False, schema: Any = LOOKED_AT) -> Any:
    """Return measures as LOOKED_AT, or as some columns of it."""
    for name, value in (("touched", touched), ("beyond", beyond)):
        measures = measures.append_column(name, pa.array(np.full(measures.num_rows, value)))
    return measures.select(schema.names).cast(schema)


def as_banded(measures: Any) -> Any:
    """Return MEASURES as BANDED."""
    return pa.table([pa.array(live(measures)), *(measures[name] for name in BANDED.names[1:])], schema=BANDED)


def banded(rows: Any, beside: Any) -> Any:
    """Return UNBANDED rows with BANDED ones of the same texts, as MEASURES."""
    columns = [(rows if name in UNBANDED.names else beside)[name] for name in MEASURES.names]
    return pa.table(columns, schema=MEASURES)


def bands_of(measures: Any) -> Any:
    """Return the bands as uint64 [rows, BANDS]."""
    column = measures["bands"]
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return flat.flatten().to_numpy().reshape(len(flat), BANDS) if len(flat) else np.zeros((0, BANDS), np.uint64)


def live(measures: Any) -> Any:
    """Return which rows are compared: all without an exclusion of their own."""
    return measures["exclusion"].is_null().to_numpy(zero_copy_only=False).astype(bool)

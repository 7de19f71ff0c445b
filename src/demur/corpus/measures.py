"""What a corpus remembers of every text that it looked at: its measures, sealed beside the lineage.

A row holds no text: who is a copy of whom, where a record lies and how it is tagged can be worked out again from these
rows alone. So a later build measures only what is new, and looks again only where something changed (docs/corpus.md).
Rows are of allowed and of protected items. What copies are found by is a keyed hash, and is there only for texts that
are compared: a protected text too short to have copies leaves its number of words and no more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from demur.corpus.manifest import read_manifest
from demur.corpus.redact_spans import SPANS
from demur.corpus.similarity import BANDS
from demur.corpus.spill import bucket_numbers, read_bucket, together
from demur.lineage import SealedFile
from demur.store import KeyRing

SEALED_BUCKETS = 64
"""Buckets of every sealed file of a corpus; an item's and a person's are CRC-32 of its id."""

MEASURES: Any = pa.schema(
    [
        ("item_id", pa.string()),
        ("version", pa.string()),
        ("person_id", pa.string()),
        ("kind", pa.string()),
        ("protected", pa.bool_()),
        ("created_us", pa.int64()),
        ("tie", pa.uint64()),
        ("owners", pa.uint64()),
        ("exclusion", pa.string()),
        ("detail", pa.string()),
        ("words", pa.int32()),
        ("exact", pa.binary(16)),
        ("bands", pa.list_(pa.uint64(), BANDS)),
        ("language", pa.string()),
        ("other_language", pa.string()),
        ("dialect", pa.string()),
        ("region", pa.string()),
        ("shard", pa.int32()),
        ("slice", pa.int32()),
        ("record_id", pa.string()),
    ]
)
"""``owners`` is a hash of who else owns a part of it; ``exact`` and ``bands`` count only without an exclusion;
``detail`` says which rule of a filter took it."""

TOUCHED: Any = pa.schema([*MEASURES, ("touched", pa.bool_())])
"""Measures with whether anything about the text changed since the corpus before: its words, status or owners."""

TEXTS: Any = pa.schema([("item_id", pa.string()), ("plain", pa.string()), ("text", pa.string()), ("spans", SPANS)])
"""``plain`` decides what is a copy of what; ``text`` has the names of objectors out too and becomes the record;
``spans`` are the identifiers in the normalised source text."""


class Before:
    """The measures and fates that the corpus before left, by bucket; empty when there is none.

    Args:
        corpus: folder of the corpus that is replaced, or ``None``.
        keys: the key ring.
        buckets: how many buckets this build has.
    """

    def __init__(self, corpus: Path | None, keys: KeyRing, buckets: int) -> None:
        self._buckets = buckets
        self._files = {
            kind: SealedFile(corpus / "sealed" / f"{kind}.sealed", kind, secret=keys.secret("lineage"))
            for kind in ("measures", "fates")
            if corpus is not None
        }
        self.manifest = read_manifest(corpus) if corpus is not None else None

    def measures(self, bucket: int) -> Any:
        """Return the measures of one bucket."""
        return self._rows("measures", MEASURES, bucket)

    def fates(self, bucket: int, schema: Any) -> Any:
        """Return the fates of one bucket."""
        return self._rows("fates", schema, bucket)

    def _rows(self, kind: str, schema: Any, bucket: int) -> Any:
        if kind not in self._files:
            return schema.empty_table()
        file = self._files[kind]
        step = min(self._buckets, file.buckets)
        tables = file.numbered(range(bucket % step, file.buckets, step))
        rows = together((table.select(schema.names) for table in tables), schema)
        if self._buckets > file.buckets:
            rows = rows.filter(pa.array(bucket_numbers(rows["item_id"], self._buckets) == bucket))
        return rows


def bands_of(measures: Any) -> Any:
    """Return the bands as uint64 [rows, BANDS]."""
    column = measures["bands"]
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return flat.flatten().to_numpy().reshape(len(flat), BANDS) if len(flat) else np.zeros((0, BANDS), np.uint64)


def live(measures: Any) -> Any:
    """Return which rows are compared: all without an exclusion of their own."""
    return measures["exclusion"].is_null().to_numpy(zero_copy_only=False).astype(bool)


def looked_at(selected: Path, texts: list[str], bucket: int) -> Any:
    """Return the measures of everything in a bucket: those carried on, then those just taken, which are all touched."""
    carried = read_bucket(selected / "carried", TOUCHED, bucket)
    fresh = read_bucket(Path(texts[bucket]) / "measures", MEASURES, bucket)
    touched = pa.array(np.ones(fresh.num_rows, bool))
    return pa.concat_tables([carried, fresh.append_column("touched", touched).cast(TOUCHED)]).combine_chunks()

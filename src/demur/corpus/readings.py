"""Texts by bucket and row, wherever they are: in the work files, or, if they were measured before, in the snapshot.

What was measured before left no text behind; what of it is compared is brought from the snapshot in one reading, and
redacted again where it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.disk import parquet_files
from demur.corpus.measures import TEXTS, Looked
from demur.corpus.select import TEXTS_OF, split_items
from demur.corpus.spill import read_bucket, together
from demur.corpus.text import CHUNK_ROWS, Gauge
from demur.errors import BrokenError
from demur.store import read_commit

_PLAIN: Any = pa.schema([TEXTS.field("plain")])


def bring_items(looked: Looked, compared: list[Any], source: Path) -> None:
    """Bring what the compared texts are measured from to ``items/``, by bucket; the select stage may have done so.

    Args:
        looked: what the build looks at.
        compared: a mask a bucket.
        source: folder of the snapshot.
    """
    if not _split(looked):
        found = [looked.rows(bucket, "item_id").filter(pa.array(mask)) for bucket, mask in enumerate(compared)]
        ids = pc.unique(pa.concat_tables(found)["item_id"])
        split_items(parquet_files(source, "items"), looked.beside / "items", len(compared), ids)


def _split(looked: Looked) -> bool:
    facts = read_commit(looked.selected)
    assert facts is not None
    return bool(facts["split"])


class Readings:
    """Looks texts and columns up.

    Args:
        looked: what the build looks at.
        gauge: what the text stage measures with, in plain values.
    """

    def __init__(self, looked: Looked, gauge: dict[str, Any]) -> None:
        self._looked, self._gauge = looked, gauge
        self._items = (looked.selected if _split(looked) else looked.beside) / "items"
        self._fresh = looked.fresh

    def plain(self, buckets: Any, rows: Any) -> Any:
        """Return the texts that decide what is a copy of what, an Arrow string array.

        Args:
            buckets: number of the bucket of each.
            rows: row of each in it, as ``Looked`` counts.
        """
        return self._texts(buckets, rows, _PLAIN)["plain"].combine_chunks()

    def final(self, buckets: Any, rows: Any) -> Any:
        """Return the texts that become records and their spans, as TEXTS."""
        return self._texts(buckets, rows, TEXTS)

    def _texts(self, buckets: Any, rows: Any, schema: Any) -> Any:
        begins, ends = self._fresh[buckets].T
        before = (rows < begins) | (rows >= ends)
        fresh = np.flatnonzero(~before)
        places: list[Any] = []
        tables: list[Any] = []
        for bucket, some in _by_bucket(buckets[fresh]):
            places.append(fresh[some])
            table = read_bucket(Path(self._looked.texts[bucket]) / "texts", schema, bucket)
            tables.append(table.take(pa.array(rows[places[-1]] - begins[places[-1]])))
        if before.any():
            places.append(np.flatnonzero(before))
            tables.append(self._again(buckets[before], rows[before]).select(schema.names))
        order = np.argsort(np.concatenate([np.zeros(0, np.int64), *places]))
        return together(tables, schema).take(pa.array(order))

    def column(self, buckets: Any, rows: Any, name: str) -> list[Any]:
        """Return a column of the measures."""
        values = np.full(len(rows), None, dtype=object)
        for bucket, places in _by_bucket(buckets):
            column = self._looked.rows(bucket, name)[name]
            values[places] = column.take(pa.array(rows[places])).to_pylist()
        found: list[Any] = values.tolist()
        return found

    def _again(self, buckets: Any, rows: Any) -> Any:
        """Redact texts again that a corpus before has measured."""
        ids = np.full(len(rows), None, dtype=object)
        guarding: list[Any] = [pa.array([], pa.string())]
        for bucket, places in _by_bucket(buckets):
            table = self._looked.rows(bucket, "item_id", "protected").take(pa.array(rows[places]))
            ids[places] = table["item_id"].to_pylist()
            guarding += table.filter(table["protected"])["item_id"].chunks
        wanted = pa.array(ids.tolist(), pa.string())
        protected = pa.concat_arrays(guarding)
        raw = self._raw(pc.unique(wanted), np.unique(buckets).tolist())
        found = pc.index_in(wanted, raw["item_id"])
        if found.null_count:
            raise BrokenError(
                "expected every compared item in the snapshot, found some gone; build without the corpus before"
            )
        gauge = Gauge.of(**self._gauge)
        pieces = (raw.slice(at, CHUNK_ROWS) for at in range(0, raw.num_rows, CHUNK_ROWS))
        texts = (gauge.texts(one["text"], one["item_id"], pc.is_in(one["item_id"], protected)) for one in pieces)
        return together(texts, TEXTS).take(found)

    def _raw(self, ids: Any, buckets: list[int]) -> Any:
        items = (read_bucket(self._items, TEXTS_OF, bucket) for bucket in buckets)
        return together((table.filter(pc.is_in(table["item_id"], ids)) for table in items), TEXTS_OF)


def _by_bucket(buckets: Any) -> Iterator[tuple[int, Any]]:
    """Yield each bucket that is named, with the places where it is."""
    order = np.argsort(buckets, kind="stable")
    ordered = buckets[order]
    for some in np.split(order, np.flatnonzero(np.diff(ordered)) + 1) if len(order) else ():
        yield int(buckets[some[0]]), some

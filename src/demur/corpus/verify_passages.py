"""The verifier's own look at passages: no record says what a protected text of the sample said first.

That a record says a passage is found in its words (:mod:`demur.corpus.verify_near`). Whether somebody allowed said it
before is then asked of everything that says it: found by its windows, judged by fates and snapshot. Where no record
says one, nothing is opened.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.passages import Passages, Windows, lengths
from demur.corpus.similarity import WINDOW, distinct, keyed, measure
from demur.lineage import SealedFile
from demur.store import KeyRing
from demur.store.keys import mac_of

_MOST = 256
"""Passages that are asked about, at most: the first by their words."""
_EVER = 2**62
_SAYS: Any = pa.schema([("item_id", pa.string()), ("number", pa.int64())])


def first_said_by_protected(
    said: Sequence[tuple[str, ...]],
    folder: Path,
    snapshot: Sequence[Path],
    keys: KeyRing,
    *,
    copy_min_words: int,
    protecting: int,
) -> int:
    """Return how many records say a passage that was a protected text's first.

    Args:
        said: passages of protected texts that records say, in words.
        folder: of the corpus.
        snapshot: files of what it was built from.
        keys: the key ring.
        copy_min_words: shorter texts belong to nobody.
        protecting: mask of the reasons that protect a content wherever it stands.
    """
    if not said:
        return 0
    passages = _passages(sorted(said)[:_MOST], lengths(copy_min_words), mac_of(keys.secret("records"))(b"windows"))
    says = _says(folder, keys, passages)
    ids = pc.unique(says["item_id"].combine_chunks())
    fates, times = _fates(folder, keys, ids), _times(snapshot, ids)
    at = pc.index_in(says["item_id"], fates["item_id"])
    allowed, bits, records = (fates[name].take(at) for name in ("allowed", "reason_bits", "record_id"))
    allowed = pc.fill_null(allowed, fill_value=False).to_numpy().astype(bool)
    protected = ~allowed & (pc.fill_null(bits, 0).to_numpy() & protecting != 0)
    made, changed = (times[name].take(pc.index_in(says["item_id"], times["item_id"])) for name in ("made", "changed"))
    numbers = says["number"].to_numpy()
    first, others = (np.full(len(passages.keys), _EVER, np.int64) for _ in range(2))
    np.minimum.at(first, numbers[protected], pc.fill_null(made, -_EVER).to_numpy()[protected])
    latest = pc.fill_null(pc.max_element_wise(made, changed, skip_nulls=False), _EVER).to_numpy()
    np.minimum.at(others, numbers[allowed], latest[allowed])
    theirs = np.isin(numbers, np.flatnonzero((first < _EVER) & (first <= others))) & allowed
    return len(pc.unique(records.filter(pa.array(theirs)).drop_null()))


def _passages(said: Sequence[tuple[str, ...]], allowed: range, secret: bytes) -> Passages:
    found = measure([" ".join(one) for one in said])
    ends = np.concatenate([[0], np.cumsum(found.words - WINDOW + 1)]).astype(np.int32)
    windows = pa.ListArray.from_arrays(pa.array(ends), pa.array(keyed(found.windows, secret)))
    _, numbers, heads = Windows.of(windows, np.ones(len(said), bool)).guarded(allowed)
    return Passages(distinct(numbers), distinct(heads), allowed)


def _says(folder: Path, keys: KeyRing, passages: Passages) -> Any:
    """Return which items say which of some passages; of protected ones, those that they guard."""
    secret, found = keys.secret("lineage"), [_SAYS.empty_table()]
    measures, bands = (
        SealedFile(folder / f"sealed/{kind}.sealed", kind, secret=secret) for kind in ("measures", "bands")
    )
    everywhere = range(measures.buckets)
    for (_, rows), (_, beside) in zip(measures.gathered(everywhere), bands.gathered(everywhere), strict=True):
        live, protected = (beside[name].to_numpy(zero_copy_only=False).astype(bool) for name in ("live", "protected"))
        said = passages.said(Windows.of(beside["windows"], live & ~protected))
        guarded = passages.guarded(Windows.of(beside["windows"], live & protected))
        places, numbers = (np.concatenate(both) for both in zip(said, guarded, strict=True))
        found.append(pa.table([rows["item_id"].take(pa.array(places)), pa.array(numbers)], schema=_SAYS))
    return pa.concat_tables(found).combine_chunks()


def _fates(folder: Path, keys: KeyRing, ids: Any) -> Any:
    file = SealedFile(folder / "sealed/fates.sealed", "fates", secret=keys.secret("lineage"))
    names = ["item_id", "allowed", "reason_bits", "record_id"]
    found = [rows.select(names).filter(pc.is_in(rows["item_id"], ids)) for rows in file.all()]
    return pa.concat_tables(found).combine_chunks()


def _times(snapshot: Sequence[Path], ids: Any) -> Any:
    """Return when items were made and last changed, in microseconds."""
    found = []
    for file in snapshot:
        with pq.ParquetFile(file) as parts:
            for batch in parts.iter_batches(columns=["item_id", "created_at", "version_at"], use_threads=False):
                rows = pa.Table.from_batches([batch])
                found.append(rows.filter(pc.is_in(rows["item_id"], ids)))
    made = pa.concat_tables(found).combine_chunks()
    columns = [made["item_id"], *(made[name].cast(pa.int64()) for name in ("created_at", "version_at"))]
    return pa.table(columns, names=["item_id", "made", "changed"])

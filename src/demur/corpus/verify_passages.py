"""The verifier's own look at passages: who said first what records say of the protected texts of the sample.

That a record says a passage is found in its words (:mod:`demur.corpus.verify_near`). Whether somebody allowed said it
before is then asked of everything that says it: found by its windows, judged by fates and snapshot. A passage that no
protected text guards by its windows counts as a violation, since it was found in the words of one. Where no record says
any, nothing is opened.
"""

from __future__ import annotations

import hashlib
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
"""Passages that are asked about, at most; which, the corpus' digest says."""
_MOST_HELD = 20_000
"""Texts that say one, at most: what more of them say is a form that is filled in, and is not asked about."""
_EVER = 2**62


def first_said_by_protected(
    said: Sequence[tuple[str, ...]],
    folder: Path,
    snapshot: Sequence[Path],
    keys: KeyRing,
    *,
    seed: str,
    copy_min_words: int,
    protecting: int,
) -> int:
    """Return how many passages are records' that were a protected text's first.

    Args:
        said: passages of protected texts that records say, in words.
        folder: of the corpus.
        snapshot: files of what it was built from.
        keys: the key ring.
        seed: digest of the corpus.
        copy_min_words: shorter texts belong to nobody.
        protecting: mask of the reasons that protect a content wherever it stands.
    """
    if not said:
        return 0
    drawn = sorted(said, key=lambda one: hashlib.sha256(f"{seed} {' '.join(one)}".encode()).digest())[:_MOST]
    passages = _passages(drawn, lengths(copy_min_words), mac_of(keys.secret("records"))(b"windows"))
    ids, at, numbers, asked = _says(folder, keys, passages)
    fates, times = _fates(folder, keys, ids), _times(snapshot, ids)
    here = pc.index_in(ids, fates["item_id"])
    allowed, bits, records = (fates[name].take(here) for name in ("allowed", "reason_bits", "record_id"))
    allowed = pc.fill_null(allowed, fill_value=False).to_numpy().astype(bool)
    protected = ~allowed & (pc.fill_null(bits, 0).to_numpy() & protecting != 0)
    made, changed = (times[name].take(pc.index_in(ids, times["item_id"])) for name in ("made", "changed"))
    latest = pc.fill_null(pc.max_element_wise(made, changed, skip_nulls=False), _EVER).to_numpy()
    first, others = (np.full(len(passages.keys), _EVER, np.int64) for _ in range(2))
    theirs, mine = protected[at], allowed[at]
    np.minimum.at(first, numbers[theirs], pc.fill_null(made, -_EVER).to_numpy()[at[theirs]])
    np.minimum.at(others, numbers[mine], latest[at[mine]])
    kept = np.zeros(len(first), bool)
    kept[numbers[mine & records.is_valid().to_numpy(zero_copy_only=False)[at]]] = True
    guarded = np.zeros(len(first), bool)
    guarded[numbers[theirs]] = True
    return int((asked & (~guarded | (kept & (first <= others)))).sum())


def _passages(said: Sequence[tuple[str, ...]], allowed: range, secret: bytes) -> Passages:
    found = measure([" ".join(one) for one in said])
    ends = np.concatenate([[0], np.cumsum(found.words - WINDOW + 1)]).astype(np.int32)
    windows = pa.ListArray.from_arrays(pa.array(ends), pa.array(keyed(found.windows, secret)))
    _, numbers, heads = Windows.of(windows, np.ones(len(said), bool)).guarded(allowed)
    return Passages(distinct(numbers), distinct(heads), allowed)


def _says(folder: Path, keys: KeyRing, passages: Passages) -> tuple[Any, Any, Any, Any]:
    """Return (ids of items, places in them, passage of each) of who says some passages, and which are asked about.

    Of protected texts, those that they guard.
    """
    measures, bands = (
        SealedFile(folder / f"sealed/{kind}.sealed", kind, secret=keys.secret("lineage"))
        for kind in ("measures", "bands")
    )
    held = np.zeros(len(passages.keys), np.int64)
    none = np.zeros(0, np.int64)
    found = [(none, none, none)]
    for there, rows in bands.gathered(range(bands.buckets)):
        live, protected = (rows[name].to_numpy(zero_copy_only=False).astype(bool) for name in ("live", "protected"))
        said = passages.said(Windows.of(rows["windows"], live & ~protected))
        guarded = passages.guarded(Windows.of(rows["windows"], live & protected))
        at, numbers = (np.concatenate(both) for both in zip(said, guarded, strict=True))
        few = held[numbers] <= _MOST_HELD
        held += np.bincount(numbers, minlength=len(held))
        within = np.arange(len(there)) - np.searchsorted(there, there)
        found.append((there[at[few]], within[at[few]], numbers[few]))
    parts, places, numbers = (np.concatenate(column) for column in zip(*found, strict=True))
    texts, at = np.unique(parts << 32 | places, return_inverse=True)
    parts, places, ids = texts >> 32, texts & 0xFFFFFFFF, [pa.array([], pa.string())]
    for there, rows in measures.gathered(np.unique(parts).tolist()):
        here = np.isin(parts, there)
        mine = np.searchsorted(there, parts[here]) + places[here]
        ids.append(rows["item_id"].combine_chunks().take(pa.array(mine)))
    return pa.concat_arrays(ids), at, numbers, held <= _MOST_HELD


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

"""Stage 3: exact and near copies by local rules, and the protected-owner rule (COR-05).

With the order key of a text = (created_at, keyed hash of its item id):

1. x is an exact copy if an allowed text with the same normalised form has a smaller order key.
2. x is a near copy if a *verified* neighbour (shared band, Jaccard ≥ threshold) that is allowed has a smaller one.
   Nothing is transitive: x goes only for a text that really is like it (EVIDENCE §3: templates merge whole forums).
3. x is a protected copy if its twin or a verified neighbour is protected, and x is long enough to belong to somebody,
   whoever came first. This comes before 1 and 2: it is a right, they are filters.

Candidates are bounded: in every bucket of a band, the first ``LEADERS`` allowed and the first ``GUARDED`` protected
texts by order key; so time is linear even when a template fills a bucket. Rules see order keys, never rows' places:
any split or order of the input gives the same result. Memory: about 200 bytes a text, not the texts themselves.

Does not know persons; owners are joined where records are placed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from demur.corpus.disk import writing
from demur.corpus.similarity import jaccard_pairs
from demur.store import commit_record
from demur.terms.reasons import Exclusion

LEADERS = 16
GUARDED = 64
CHUNK_PAIRS = 100_000

VERDICTS: Any = pa.schema([("item_id", pa.string()), ("exclusion", pa.string()), ("duplicate_of", pa.string())])
COPIES: Any = pa.schema([("item_id", pa.string()), ("copy_item_id", pa.string()), ("copy_person_id", pa.string())])


@dataclass(slots=True)
class Texts:
    """Columns over all texts, in order of their order key: the place in an array is the rank."""

    file: Any
    """int32: which bucket file."""
    row: Any
    """int32: which row of it."""
    protected: Any
    copyable: Any
    exact: Any
    """int64: number of the group of equal texts."""
    bands: Any
    """(texts, bands) uint64."""


@dataclass(slots=True)
class Fates:
    """What the rules say about each text, by rank."""

    twin_of: Any
    """int64: rank of the first allowed text of the same group; own rank if itself; -1 without one."""
    near_of: Any
    """int64: rank of the first verified allowed neighbour before it; -1 without one."""
    protected_copy: Any
    """bool."""


@writing("the found copies")
def deduplicate(folder: Path, *, buckets: list[str], threshold: float, upstream: list[str]) -> None:
    """Write ``verdicts.parquet`` (what is excluded and why) and ``copies.parquet`` (record → its copies); then commit.

    Args:
        folder: where to write.
        buckets: files of the text stage, in any order.
        threshold: least Jaccard similarity of word n-grams that counts as a near copy.
        upstream: calls of the stages before.
    """
    assert upstream
    files = [Path(bucket) for bucket in sorted(buckets)]
    texts = _load(files)
    pairs = _near_pairs(texts, files, threshold)
    fates = _judge(texts, pairs)
    counts = _write(folder, texts, fates, pairs, files)
    commit_record(folder, {**counts, "verified_pairs": len(pairs)})


def _load(files: list[Path]) -> Texts:
    columns = ["created_us", "tie", "protected", "copyable", "exact", "bands", "exclusion"]
    parts: list[dict[str, Any]] = []
    for number, file in enumerate(files):
        table = pq.read_table(file, columns=columns).combine_chunks()
        live = np.flatnonzero(table["exclusion"].is_null().to_numpy(zero_copy_only=False))
        table = table.take(pa.array(live))
        parts.append(
            {
                "file": np.full(len(live), number, dtype=np.int32),
                "row": live.astype(np.int32),
                "created": table["created_us"].to_numpy(),
                "tie": _halves(table["tie"]),
                "protected": table["protected"].to_numpy(zero_copy_only=False).astype(bool),
                "copyable": table["copyable"].to_numpy(zero_copy_only=False).astype(bool),
                "exact": _halves(table["exact"]),
                "bands": _matrix(table["bands"]),
            }
        )
    columns_of = {
        name: np.concatenate([part[name] for part in parts if len(part["row"])] or [parts[0][name]])
        for name in parts[0]
    }
    tie = columns_of.pop("tie")
    order = np.lexsort((tie[:, 1], tie[:, 0], columns_of.pop("created")))
    sorted_columns = {name: column[order] for name, column in columns_of.items()}
    _, group = np.unique(sorted_columns.pop("exact"), axis=0, return_inverse=True)
    return Texts(exact=group.reshape(-1), **sorted_columns)


def _halves(column: Any) -> Any:
    """Return a column of 16 bytes as (rows, 2) big-endian uint64."""
    raw = b"".join(column.to_pylist())
    return np.frombuffer(raw, dtype=">u8").astype(np.uint64).reshape(-1, 2)


def _matrix(column: Any) -> Any:
    lists = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if len(lists) == 0:
        return np.zeros((0, 0), dtype=np.uint64)
    return lists.flatten().to_numpy().reshape(len(lists), -1)


def _near_pairs(texts: Texts, files: list[Path], threshold: float) -> Any:
    """Return verified pairs (later or unprotected text, earlier or protected text) as (pairs, 2) ranks."""
    found = np.zeros(0, dtype=np.int64)
    chosen = _representatives(texts)
    for band in range(texts.bands.shape[1]):
        pairs = _candidates(texts, chosen, texts.bands[chosen, band])
        found = np.union1d(found, (pairs[:, 0] << 32) | pairs[:, 1])
    return _verified(texts, files, np.stack([found >> 32, found & 0xFFFFFFFF], axis=1), threshold)


def _representatives(texts: Texts) -> Any:
    """Return, sorted, the ranks of the first allowed and the first protected text of every exact group."""
    firsts = []
    for members in (np.flatnonzero(~texts.protected), np.flatnonzero(texts.protected)):
        _, first = np.unique(texts.exact[members], return_index=True)
        firsts.append(members[first])
    return np.sort(np.concatenate(firsts))


def _candidates(texts: Texts, chosen: Any, keys: Any) -> Any:
    order = np.argsort(keys, kind="stable")
    ranks, sorted_keys = chosen[order], keys[order]
    borders = np.flatnonzero(np.diff(sorted_keys)) + 1
    starts = np.concatenate([[0], borders])
    ends = np.concatenate([borders, [len(ranks)]])
    out: list[Any] = []
    for begin, end in zip(starts, ends, strict=True):
        if end - begin > 1:
            out += _bucket_pairs(ranks[begin:end], texts.protected)
    return np.concatenate(out) if out else np.zeros((0, 2), dtype=np.int64)


def _bucket_pairs(members: Any, protected: Any) -> Iterator[Any]:
    allowed = members[~protected[members]]
    for leader in allowed[:LEADERS]:
        later = allowed[allowed > leader]
        yield np.stack([later, np.full(len(later), leader)], axis=1)
    for guarded in members[protected[members]][:GUARDED]:
        yield np.stack([allowed, np.full(len(allowed), guarded)], axis=1)


def _verified(texts: Texts, files: list[Path], pairs: Any, threshold: float) -> Any:
    """Keep the pairs that are truly alike; a chunk at a time, so that only a chunk's texts are in memory."""
    alike = np.zeros(len(pairs), dtype=bool)
    for start in range(0, len(pairs), CHUNK_PAIRS):
        chunk = pairs[start : start + CHUNK_PAIRS]
        wanted, places = np.unique(chunk, return_inverse=True)
        left, right = places.reshape(-1, 2).T.tolist()
        plain = _column(texts, files, wanted, "plain")
        alike[start : start + CHUNK_PAIRS] = jaccard_pairs(plain, left, right) >= threshold
    return pairs[alike]


def _column(texts: Texts, files: list[Path], ranks: Any, name: str) -> list[Any]:
    """Return a column's values for some ranks, reading each file once and keeping only what was asked for."""
    values: list[Any] = [None] * len(ranks)
    for number in np.unique(texts.file[ranks]):
        places = np.flatnonzero(texts.file[ranks] == number)
        column = pq.read_table(files[number], columns=[name])[name]
        taken = column.take(pa.array(texts.row[ranks[places]])).to_pylist()
        for place, value in zip(places.tolist(), taken, strict=True):
            values[place] = value
    return values


def _judge(texts: Texts, pairs: Any) -> Fates:
    count = len(texts.row)
    groups = int(texts.exact.max()) + 1 if count else 0
    ranks = np.arange(count, dtype=np.int64)
    first_allowed = np.full(groups, count, dtype=np.int64)
    np.minimum.at(first_allowed, texts.exact[~texts.protected], ranks[~texts.protected])
    guarded = np.zeros(groups, dtype=bool)
    guarded[texts.exact[texts.protected]] = True
    towards_protected = texts.protected[pairs[:, 1]]
    guarded[texts.exact[pairs[towards_protected, 0]]] = True
    near_of = np.full(count, count, dtype=np.int64)
    plain = pairs[~towards_protected]
    np.minimum.at(near_of, plain[:, 0], plain[:, 1])
    return Fates(
        twin_of=np.where(first_allowed[texts.exact] == count, -1, first_allowed[texts.exact]),
        near_of=np.where(near_of == count, -1, near_of),
        protected_copy=guarded[texts.exact] & texts.copyable & ~texts.protected,
    )


def _write(folder: Path, texts: Texts, fates: Fates, pairs: Any, files: list[Path]) -> dict[str, int]:
    ranks = np.arange(len(texts.row), dtype=np.int64)
    allowed = ~texts.protected
    exact = allowed & (fates.twin_of != ranks)
    near = allowed & ~exact & (fates.near_of >= 0)
    excluded = np.flatnonzero(fates.protected_copy | exact | near)
    reason = np.where(
        fates.protected_copy[excluded],
        Exclusion.PROTECTED_COPY.value,
        np.where(exact[excluded], Exclusion.DUPLICATE_EXACT.value, Exclusion.DUPLICATE_NEAR.value),
    )
    leader = np.where(
        fates.protected_copy[excluded],
        -1,
        np.where(exact[excluded], fates.twin_of[excluded], fates.near_of[excluded]),
    )
    led = np.flatnonzero(leader >= 0)
    duplicate_of: list[str | None] = [None] * len(excluded)
    for place, item in zip(led.tolist(), _column(texts, files, leader[led], "item_id"), strict=True):
        duplicate_of[place] = item
    columns = [_column(texts, files, excluded, "item_id"), reason.tolist(), duplicate_of]
    pq.write_table(pa.table([pa.array(c, pa.string()) for c in columns], schema=VERDICTS), folder / "verdicts.parquet")
    is_record = allowed.copy()
    is_record[excluded] = False
    links = _copies(texts, fates, pairs, is_record)
    columns = [
        _column(texts, files, links[:, 0], "item_id"),
        _column(texts, files, links[:, 1], "item_id"),
        _column(texts, files, links[:, 1], "person_id"),
    ]
    pq.write_table(pa.table([pa.array(c, pa.string()) for c in columns], schema=COPIES), folder / "copies.parquet")
    return {"texts": len(ranks), "excluded": len(excluded), "copies": len(links)}


def _copies(texts: Texts, fates: Fates, pairs: Any, is_record: Any) -> Any:
    """Return (record, allowed copy of it): exact twins, verified neighbours, and the twins of neighbours."""
    ranks = np.arange(len(texts.row), dtype=np.int64)
    twins = ranks[~texts.protected & (fates.twin_of != ranks)]
    twins = twins[is_record[fates.twin_of[twins]]]
    near = pairs[~texts.protected[pairs[:, 1]]] if len(pairs) else pairs
    near = near[is_record[near[:, 1]]]
    allowed = ranks[~texts.protected]
    grouped = allowed[np.argsort(texts.exact[allowed], kind="stable")]
    keys = texts.exact[grouped]
    found = [np.stack([fates.twin_of[twins], twins], axis=1)]
    starts, ends = (
        np.searchsorted(keys, texts.exact[near[:, 0]]),
        np.searchsorted(keys, texts.exact[near[:, 0]], "right"),
    )
    for record, begin, end in zip(near[:, 1].tolist(), starts.tolist(), ends.tolist(), strict=True):
        members = grouped[begin:end]
        found.append(np.stack([np.full(len(members), record), members], axis=1))
    return np.unique(np.concatenate(found), axis=0)

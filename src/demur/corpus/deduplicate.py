"""Stage 3: exact and near copies by local rules, and the protected-owner rule (COR-05).

With the order key of a text = (created_at, keyed hash of its item id):

1. x is an exact copy if an allowed text with the same normalised form has a smaller order key.
2. x is a near copy if a *verified* neighbour (shared band, Jaccard ≥ threshold) that is allowed has a smaller one.
   Nothing is transitive: x goes only for a text that really is like it (EVIDENCE §3: templates merge whole forums).
3. x is a protected copy if its twin or a verified neighbour is protected, and x is long enough to belong to somebody,
   whoever came first. This comes before 1 and 2: it is a right, they are filters.

Every text is compared with *all* different protected texts that share a band with it, once each. Where one bucket holds
more than ``GUARDED`` of them, nothing is compared: its texts are taken for copies and counted (``crowded``). That bound
looks at protected texts only, so one objection more can never let a text in. For rule 2, a filter, the first
``LEADERS`` allowed texts of a bucket are enough. So time is linear even when a template fills a bucket. Rules see order
keys, never rows' places: any split or order of the input gives the same result. Memory: about 200 bytes a text, not the
texts themselves.

Does not know persons; owners are joined where records are placed.
"""

from __future__ import annotations

import logging
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

_LOG = logging.getLogger(__name__)

LEADERS = 16
GUARDED = 512
"""Different protected texts of one bucket that are compared with; more of them is a crowd."""
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
    pairs, crowd = _near_pairs(texts, files, threshold)
    if len(crowd):
        _LOG.warning("%d texts stand beside over %d protected ones, taken for copies unread", len(crowd), GUARDED)
    fates = _judge(texts, pairs, crowd)
    counts = _write(folder, texts, fates, pairs, files)
    commit_record(folder, {**counts, "verified_pairs": len(pairs), "crowded": len(crowd)})


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


def _near_pairs(texts: Texts, files: list[Path], threshold: float) -> tuple[Any, Any]:
    """Return verified pairs (later or unprotected text, earlier or protected text), and texts that are not judged.

    Returns:
        (pairs, 2) ranks, every pair once however many bands it shares; and the ranks of texts in crowded buckets.
    """
    found = np.zeros(0, dtype=np.int64)
    crowd = np.zeros(0, dtype=np.int64)
    chosen = _representatives(texts)
    for band in range(texts.bands.shape[1]):
        pairs, crowded = _candidates(_Buckets.of(chosen, texts.bands[chosen, band], texts.protected))
        found = np.union1d(found, (pairs[:, 0] << 32) | pairs[:, 1])
        crowd = np.union1d(crowd, crowded)
    return _verified(texts, files, np.stack([found >> 32, found & 0xFFFFFFFF], axis=1), threshold), crowd


def _representatives(texts: Texts) -> Any:
    """Return, sorted, the ranks of the first allowed and the first protected text of every exact group."""
    firsts = []
    for members in (np.flatnonzero(~texts.protected), np.flatnonzero(texts.protected)):
        _, first = np.unique(texts.exact[members], return_index=True)
        firsts.append(members[first])
    return np.sort(np.concatenate(firsts))


@dataclass(slots=True)
class _Buckets:
    """The texts of one band that share their key with another, bucket by bucket, by rank inside each."""

    rank: Any
    bucket: Any
    """Number of the bucket of each text."""
    protected: Any
    place: Any
    """Place of each text among the protected, or among the allowed, of its bucket."""
    guards: Any
    """Bucket → how many protected texts; all different, twins are represented by one."""

    @classmethod
    def of(cls, chosen: Any, keys: Any, protected: Any) -> _Buckets:
        """Group some ranks, sorted, by their keys; who is alone is left out."""
        order = np.argsort(keys, kind="stable")
        rank, ordered = chosen[order], keys[order]
        fresh = np.ones(len(rank), dtype=bool)
        fresh[1:] = ordered[1:] != ordered[:-1]
        bucket = np.cumsum(fresh) - 1
        together = (np.bincount(bucket) > 1)[bucket] if len(rank) else fresh
        rank, bucket = rank[together], bucket[together]
        _, bucket = np.unique(bucket, return_inverse=True)
        guard = protected[rank]
        guards = np.bincount(bucket[guard], minlength=int(bucket[-1]) + 1 if len(bucket) else 0)
        return cls(rank, bucket, guard, np.where(guard, _place(bucket, guard), _place(bucket, ~guard)), guards)


def _place(bucket: Any, member: Any) -> Any:
    """Return how many members stand before each text in its bucket."""
    before = np.cumsum(member) - member
    first = np.searchsorted(bucket, np.arange(int(bucket[-1]) + 1)) if len(bucket) else np.zeros(0, np.int64)
    return before - before[first][bucket] if len(bucket) else before


def _candidates(buckets: _Buckets, leaders: int = LEADERS, guarded: int = GUARDED) -> tuple[Any, Any]:
    """Return the pairs to verify, and the allowed texts of crowded buckets."""
    out = [np.zeros((0, 2), dtype=np.int64)]
    crowded = buckets.guards > guarded
    allowed = np.flatnonzero(~buckets.protected)
    later = allowed
    for place in range(leaders):
        later = later[buckets.place[later] > place]
        if not len(later):
            break
        out.append(_beside(buckets, later, (buckets.place == place) & ~buckets.protected))
    judged = allowed[~crowded[buckets.bucket[allowed]]]
    for place in range(guarded):
        judged = judged[buckets.guards[buckets.bucket[judged]] > place]
        if not len(judged):
            break
        out.append(_beside(buckets, judged, (buckets.place == place) & buckets.protected))
    return np.concatenate(out), buckets.rank[allowed[crowded[buckets.bucket[allowed]]]]


def _beside(buckets: _Buckets, members: Any, chosen: Any) -> Any:
    """Return (member, the chosen text of its bucket) as ranks."""
    of_bucket = np.zeros(len(buckets.guards), dtype=np.int64)
    of_bucket[buckets.bucket[chosen]] = buckets.rank[chosen]
    return np.stack([buckets.rank[members], of_bucket[buckets.bucket[members]]], axis=1)


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


def _judge(texts: Texts, pairs: Any, crowd: Any) -> Fates:
    count = len(texts.row)
    groups = int(texts.exact.max()) + 1 if count else 0
    ranks = np.arange(count, dtype=np.int64)
    first_allowed = np.full(groups, count, dtype=np.int64)
    np.minimum.at(first_allowed, texts.exact[~texts.protected], ranks[~texts.protected])
    guarded = np.zeros(groups, dtype=bool)
    guarded[texts.exact[texts.protected]] = True
    towards_protected = texts.protected[pairs[:, 1]]
    guarded[texts.exact[pairs[towards_protected, 0]]] = True
    guarded[texts.exact[crowd]] = True  # too many to compare with: unknown never means yes
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

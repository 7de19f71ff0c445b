"""Stage 3: copies by local rules, and the protected-owner rule (COR-05).

With the order key of a text = (created_at, keyed hash of its item id):

1. x is an exact copy if an allowed text with the same normalised form has a smaller order key.
2. x is a near copy if a *verified* neighbour (two shared bands, Jaccard ≥ threshold) that is allowed has a smaller one.
   Nothing is transitive: x goes only for a text that really is like it (EVIDENCE §3: templates merge whole forums).
3. x is a protected copy if its twin or a verified neighbour is protected, and x is long enough to belong to somebody,
   whoever came first; or if it says a passage that a protected text said first (:mod:`demur.corpus.passages`). This
   comes before 1 and 2: it is a right, they are filters.

Every text is compared with *all* different protected texts that share a band with it, once each. Where one bucket holds
more than ``GUARDED`` of them, nothing is compared: its texts are taken for copies and counted (``crowded``). That bound
looks at protected texts only, so one objection more can never let a text in. For rule 2, a filter, the first
``LEADERS`` allowed texts of a bucket are enough, and only those that come near in two bands: of pairs at a Jaccard of
.8 that loses one in 400 (of those at .85 one in 7,000), and it spares most pairs that are not alike, whose number grows
faster than the texts do. So time is linear even when a template fills a bucket. Rules see order keys, never rows'
places: any split or order of the input gives the same result.

What a text becomes depends only on texts that share a band or a passage with it. So with a corpus before, only texts
that share one with something that changed are judged again (``neighbourhood``); all others keep what they became.
Memory: about 60 bytes a judged text, one band at a time; the texts themselves stay on disk.

Does not know persons; owners are joined where records are placed.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.measures import VERDICTS, Before, Looked, live
from demur.corpus.neighbourhood import Judged, neighbourhood, open_changed
from demur.corpus.owners import OWNERS
from demur.corpus.passages import ASKED, quoting
from demur.corpus.readings import Readings, bring_items
from demur.corpus.similarity import BANDS, distinct, jaccard_pairs
from demur.corpus.spill import Spill, read_bucket, streamed, write_bucket
from demur.lineage import buckets_of
from demur.store import KeyRing, commit_record, remove_tree
from demur.terms.reasons import Exclusion

_LOG = logging.getLogger(__name__)

LEADERS = 16
GUARDED = 512
"""Different protected texts of one bucket that are compared with; more of them is a crowd."""
CHUNK_PAIRS = 400_000
CHUNK_TEXTS = 200_000
_COMPARED = ("exclusion", "exact", "bands", "created_us", "tie", "protected", "words")

COPIES: Any = pa.schema([("item_id", pa.string()), ("copy_item_id", pa.string()), ("copy_person_id", pa.string())])


@dataclass(slots=True)
class Texts:
    """Columns over all compared texts, in order of their order key: the place in an array is the rank."""

    bucket: Any
    """int32."""
    row: Any
    """int32: which row of it."""
    protected: Any
    copyable: Any
    judged: Any
    """bool: the others are there only to be compared with."""
    quoting: Any
    """bool: it says a passage that a protected text said first."""
    exact: Any
    """int64: number of the group of equal texts."""
    order: Any
    """int64: place of each rank in the files of bands."""
    bands: Path
    """Folder with one file a band."""

    def band(self, number: int) -> Any:
        """Return the keys of one band by rank."""
        keys: Any = np.fromfile(self.bands / f"{number:02d}.u64", np.uint64)[self.order]
        return keys


@dataclass(slots=True)
class Fates:
    """What the rules say about each text, by rank."""

    twin_of: Any
    """int64: rank of the first allowed text of the same group; own rank if itself; -1 without one."""
    near_of: Any
    """int64: rank of the first verified allowed neighbour before it; -1 without one."""
    protected_copy: Any
    """bool."""


def deduplicate(
    folder: Path,
    *,
    selected: str,
    texts: list[str],
    source: str,
    threshold: float,
    copy_min_words: int,
    before: str | None,
    whole: bool,
    gauge: dict[str, Any],
    upstream: list[str],
) -> None:
    """Write ``verdicts/`` (what judged texts become) and ``copies/`` (record → its copies, their owners); then commit.

    Args:
        folder: where to write.
        selected: folder of the select stage.
        texts: folders of the text stage, by bucket.
        source: folder of the snapshot, for texts that were measured before and must be compared again.
        threshold: least Jaccard similarity of word n-grams that counts as a near copy.
        copy_min_words: shorter texts belong to nobody.
        before: folder of the corpus whose measures were carried on; ``None`` = all texts are judged.
        whole: everything in it is looked at.
        gauge: what the text stage measures with.
        upstream: calls of the stages before.
    """
    assert upstream
    looked = Looked(Path(selected), texts, folder)
    earlier = Before(Path(before) if before else None, KeyRing(Path(gauge["keys"])))
    judged = neighbourhood(looked, earlier, copy_min_words=copy_min_words, whole=whole, fresh=before is None)
    quoted = quoting(folder / "said", lambda bucket: looked.rows(bucket, *ASKED), len(texts), copy_min_words)
    compared = _load(folder, looked, judged, quoted, copy_min_words)
    bring_items(looked, [judged.compared(bucket) for bucket in range(len(texts))], Path(source))
    readings = Readings(looked, gauge)
    pairs, crowd = _near_pairs(compared, readings, threshold)
    if len(crowd):
        _LOG.warning("%d texts stand beside over %d protected ones, taken for copies unread", len(crowd), GUARDED)
    fates = _judge(compared, pairs, crowd)
    counts = _write(folder, compared, fates, pairs, readings, looked.owners, len(texts))
    for file in (folder / "bands").iterdir():
        file.unlink()
    found = {"verified_pairs": len(pairs), "crowded": len(crowd), "opened": open_changed(looked, earlier)}
    commit_record(folder, {**counts, **found})


def _load(folder: Path, looked: Looked, judged: Judged, quoted: list[Any], copy_min_words: int) -> Texts:
    (folder / "bands").mkdir()
    files = [(folder / "bands" / f"{band:02d}.u64").open("wb") for band in range(BANDS)]
    parts: list[dict[str, Any]] = []
    for bucket in range(len(looked.texts)):
        table = looked.rows(bucket, *_COMPARED)
        chosen = np.flatnonzero(judged.compared(bucket) & live(table))
        kept = table.take(pa.array(chosen)).combine_chunks()
        keys = kept["bands"].combine_chunks().flatten().to_numpy().reshape(len(chosen), BANDS)
        for band, file in enumerate(files):
            file.write(np.ascontiguousarray(keys[:, band]).tobytes())
        exact = _halves(kept["exact"].combine_chunks())
        parts.append(
            {
                "bucket": np.full(len(chosen), bucket, np.int32),
                "row": chosen.astype(np.int32),
                "created": kept["created_us"].to_numpy(),
                "tie": kept["tie"].to_numpy(),
                "protected": kept["protected"].to_numpy(zero_copy_only=False).astype(bool),
                "copyable": kept["words"].to_numpy() >= copy_min_words,
                "judged": judged.again(bucket)[chosen],
                "quoting": quoted[bucket][chosen],
                "high": exact[:, 0],
                "low": exact[:, 1],
            }
        )
    for file in files:
        file.close()
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((columns.pop("tie"), columns.pop("created")))
    sorted_columns = {name: columns.pop(name)[order] for name in list(columns)}
    exact_groups = _groups(sorted_columns.pop("high"), sorted_columns.pop("low"))
    return Texts(**sorted_columns, exact=exact_groups, order=order, bands=folder / "bands")


def _halves(keys: Any) -> Any:
    """Return 128-bit keys as uint64 [keys, 2]; every text that is compared has one."""
    assert not keys.null_count
    raw = np.frombuffer(keys.buffers()[1] or b"", ">u8").reshape(-1, 2)
    return raw[keys.offset : keys.offset + len(keys)].astype(np.uint64)


def _groups(high: Any, low: Any) -> Any:
    """Return the number of the group of equal 128-bit keys for each."""
    order = np.argsort(high)
    fresh = np.zeros(len(order), np.int64)
    other = np.diff(high[order]) != 0
    if np.any(np.diff(low[order])[~other]):  # half a key twice: one in 2**64
        order = np.lexsort((low, high))
        other = (np.diff(high[order]) != 0) | (np.diff(low[order]) != 0)
    fresh[1:] = other
    groups = np.empty(len(order), np.int64)
    groups[order] = np.cumsum(fresh)
    return groups


def _near_pairs(texts: Texts, readings: Readings, threshold: float) -> tuple[Any, Any]:
    """Return verified pairs (later or unprotected text, earlier or protected text), and texts that are not judged.

    Returns:
        (pairs, 2) ranks, every pair once however many bands it shares; and the ranks of texts in crowded buckets.
    """
    guarded = np.zeros(0, dtype=np.int64)
    crowd = np.zeros(0, dtype=np.int64)
    allowed = [guarded]
    chosen = _representatives(texts)
    for band in range(BANDS):
        pairs, crowded = _candidates(_Buckets.of(chosen, texts.band(band)[chosen], texts.protected))
        pairs = pairs[texts.judged[pairs[:, 0]] | texts.judged[pairs[:, 1]]]
        towards_protected, keys = texts.protected[pairs[:, 1]], (pairs[:, 0] << 32) | pairs[:, 1]
        guarded = distinct(np.concatenate([guarded, keys[towards_protected & texts.copyable[pairs[:, 0]]]]))
        allowed.append(keys[~towards_protected])
        crowd = distinct(np.concatenate([crowd, crowded]))
    often = np.sort(np.concatenate(allowed))
    found = distinct(np.concatenate([guarded, often[1:][often[1:] == often[:-1]]]))
    return _verified(texts, readings, np.stack([found >> 32, found & 0xFFFFFFFF], axis=1), threshold), crowd


def _representatives(texts: Texts) -> Any:
    """Return, sorted, the ranks of the first allowed and the first protected text of every exact group."""
    firsts = []
    for members in (np.flatnonzero(~texts.protected), np.flatnonzero(texts.protected)):
        first = np.full(len(texts.exact), -1, np.int64)
        first[texts.exact[members[::-1]]] = members[::-1]  # what is written last stays: the first of each
        firsts.append(first[first >= 0])
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
        some = _sharing(keys)
        rank, ordered = chosen[some], keys[some]
        within = np.lexsort((rank, ordered))
        rank, ordered = rank[within], ordered[within]
        fresh = np.zeros(len(rank), np.int64)
        fresh[1:] = ordered[1:] != ordered[:-1]
        bucket = np.cumsum(fresh)
        guard = protected[rank]
        guards = np.bincount(bucket[guard], minlength=int(bucket[-1]) + 1 if len(bucket) else 0)
        return cls(rank, bucket, guard, np.where(guard, _place(bucket, guard), _place(bucket, ~guard)), guards)


def _sharing(keys: Any) -> Any:
    """Return the places of all keys that stand twice, and of few others: they are sorted by as much of them as fits.

    Sorting numbers that hold their places takes a quarter of the time of sorting places by numbers somewhere else.
    """
    bits = max(1, len(keys) - 1).bit_length()
    held = np.sort(keys >> np.uint64(bits) << np.uint64(bits) | np.arange(len(keys), dtype=np.uint64))
    beside = np.zeros(len(keys), bool)
    beside[1:] = held[1:] >> np.uint64(bits) == held[:-1] >> np.uint64(bits)
    beside[:-1] |= beside[1:]
    return (held[beside] & np.uint64((1 << bits) - 1)).astype(np.int64)


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


def _verified(texts: Texts, readings: Readings, pairs: Any, threshold: float) -> Any:
    """Keep the pairs that are truly alike; a chunk at a time, so that only a chunk's texts are in memory."""
    alike = np.zeros(len(pairs), dtype=bool)
    ranks = distinct(pairs.reshape(-1))
    with TemporaryFile(dir=texts.bands) as file:
        said = _Said.of(file, texts, ranks, readings)
        for start in range(0, len(pairs), CHUNK_PAIRS):
            chunk = np.searchsorted(ranks, pairs[start : start + CHUNK_PAIRS])
            wanted, places = np.unique(chunk, return_inverse=True)
            left, right = places.reshape(-1, 2).T
            alike[start : start + CHUNK_PAIRS] = jaccard_pairs(said.strings(wanted), left, right) >= threshold
    return pairs[alike]


class _Said:
    """Texts that are compared, in one file: who is alike may lie in any two buckets, and each is read once."""

    def __init__(self, file: IO[bytes], begins: Any, ends: Any) -> None:
        self._file, self._begins, self._ends = file, begins, ends

    @classmethod
    def of(cls, file: IO[bytes], texts: Texts, ranks: Any, readings: Readings) -> _Said:
        """Write the texts of some ranks, bucket by bucket."""
        order = np.argsort(texts.bucket[ranks], kind="stable")
        begins, ends = np.zeros(len(ranks), np.int64), np.zeros(len(ranks), np.int64)
        for start in range(0, len(order), CHUNK_TEXTS):
            some = order[start : start + CHUNK_TEXTS]
            plain = pc.fill_null(readings.plain(texts.bucket[ranks[some]], texts.row[ranks[some]]), "")
            sizes = pc.binary_length(plain).to_numpy()
            ends[some] = file.tell() + np.cumsum(sizes)
            begins[some] = ends[some] - sizes
            file.write("".join(plain.to_pylist()).encode())
        file.flush()
        return cls(file, begins, ends)

    def strings(self, places: Any) -> list[str]:
        """Return some texts, by their places among the ranks."""
        if not self._ends.max(initial=0):
            return [""] * len(places)
        with mmap(self._file.fileno(), 0, access=ACCESS_READ) as whole:
            spans = zip(self._begins[places].tolist(), self._ends[places].tolist(), strict=True)
            return [whole[begin:end].decode() for begin, end in spans]


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
    guarded[texts.exact[texts.quoting]] = True
    guarded[texts.exact[crowd]] = True  # too many to compare with: unknown never means yes
    near_of = np.full(count, count, dtype=np.int64)
    plain = pairs[~towards_protected]
    np.minimum.at(near_of, plain[:, 0], plain[:, 1])
    return Fates(
        twin_of=np.where(first_allowed[texts.exact] == count, -1, first_allowed[texts.exact]),
        near_of=np.where(near_of == count, -1, near_of),
        protected_copy=guarded[texts.exact] & texts.copyable & ~texts.protected,
    )


def _write(
    folder: Path, texts: Texts, fates: Fates, pairs: Any, readings: Readings, owners: Path, buckets: int
) -> dict[str, int]:
    ranks = np.arange(len(texts.row), dtype=np.int64)
    allowed = ~texts.protected
    exact = allowed & (fates.twin_of != ranks)
    near = allowed & ~exact & (fates.near_of >= 0)
    leader = np.where(fates.protected_copy, -1, np.where(exact, fates.twin_of, np.where(near, fates.near_of, -1)))
    names = (Exclusion.PROTECTED_COPY.value, Exclusion.DUPLICATE_EXACT.value, Exclusion.DUPLICATE_NEAR.value)
    kind = np.where(fates.protected_copy, 0, np.where(exact, 1, np.where(near, 2, -1)))
    judged = np.flatnonzero(texts.judged & allowed)
    leaders = distinct(leader[judged][leader[judged] >= 0])
    led_by = pa.array(_ids(texts, readings, leaders, "item_id"), pa.string())
    by_bucket = judged[np.argsort(texts.bucket[judged], kind="stable")]
    edges = np.searchsorted(texts.bucket[by_bucket], np.arange(buckets + 1))
    for bucket in range(buckets):
        mine = by_bucket[edges[bucket] : edges[bucket + 1]]
        exclusion = pa.array(names, pa.string()).take(pa.array(kind[mine], mask=kind[mine] < 0))
        led = np.searchsorted(leaders, leader[mine])
        duplicate_of = led_by.take(pa.array(led, mask=leader[mine] < 0))
        columns = [pa.array(texts.row[mine]), exclusion, duplicate_of]
        write_bucket(folder / "verdicts", bucket, pa.table(columns, schema=VERDICTS))
    is_record = allowed & (kind < 0)
    links = _copies(texts, fates, pairs, is_record & texts.judged)
    columns = [
        pa.array(_ids(texts, readings, links[:, 0], "item_id"), pa.string()),
        pa.array(_ids(texts, readings, links[:, 1], "item_id"), pa.string()),
        pa.array(_ids(texts, readings, links[:, 1], "person_id"), pa.string()),
    ]
    _spill_copies(folder, pa.table(columns, schema=COPIES), owners, buckets)
    excluded = int((kind[judged] >= 0).sum())
    return {"compared": len(ranks), "judged": int(texts.judged.sum()), "excluded": excluded, "copies": len(links)}


def _spill_copies(folder: Path, copies: Any, owners: Path, buckets: int) -> None:
    """Write by the bucket of the record who made its copies, and who else owns a part of these."""
    with Spill(folder / "copies", COPIES, buckets) as spill, Spill(folder / "copied", COPIES, buckets) as copied:
        spill.add(copies, buckets_of(copies["item_id"], buckets))
        copied.add(copies, buckets_of(copies["copy_item_id"], buckets))
        copied.close()
        for bucket, others in streamed(owners, OWNERS, buckets):
            theirs = others.select(["item_id", "person_id"]).rename_columns(["copy_item_id", "copy_person_id"])
            mine = read_bucket(folder / "copied", COPIES, bucket).drop_columns("copy_person_id")
            also = mine.join(theirs, "copy_item_id", join_type="inner", use_threads=False)
            spill.add(also, buckets_of(also["item_id"], buckets))
    remove_tree(folder / "copied")


def _ids(texts: Texts, readings: Readings, ranks: Any, name: str) -> list[Any]:
    return readings.column(texts.bucket[ranks], texts.row[ranks], name)


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
    begins = np.searchsorted(keys, texts.exact[near[:, 0]])
    counts = np.searchsorted(keys, texts.exact[near[:, 0]], "right") - begins
    ends = np.cumsum(counts)
    within = np.arange(int(ends[-1]) if len(ends) else 0) - np.repeat(ends - counts, counts)
    neighbours = np.stack([np.repeat(near[:, 1], counts), grouped[np.repeat(begins, counts) + within]], axis=1)
    found = np.concatenate([np.stack([fates.twin_of[twins], twins], axis=1), neighbours])
    keys = distinct(found[:, 0] << 32 | found[:, 1])
    return np.stack([keys >> 32, keys & 0xFFFFFFFF], axis=1)

"""Stage 4: what became of every item, which records come and go, and who owns a part of which record.

Buckets of items do not wait for each other: the stage runs for some of them at a time, side by side.

A record that stays as it was is not touched: its text lies in the corpus before and its lineage is carried on. Records
leave here in groups of shards that fit in memory. Rows go to work files by sealed bucket; the next stage seals them.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.links import LINKED, link, rows_of
from demur.corpus.manifest import read_manifest
from demur.corpus.measures import DECIDED, FATES, MEASURES, VERDICTS, Looked
from demur.corpus.readings import Readings
from demur.corpus.spill import Spill, read_bucket, write_bucket
from demur.lineage import buckets_of
from demur.store import commit_record, read_commit
from demur.terms.reasons import Exclusion

PLACED: Any = pa.schema(
    [
        ("region", pa.string()),
        ("shard", pa.int32()),
        ("slice", pa.int32()),
        ("record_id", pa.string()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("other_language", pa.string()),
        ("dialect", pa.string()),
        ("kind", pa.string()),
    ]
)
REMOVED: Any = pa.schema([PLACED.field(name) for name in ("region", "shard", "slice", "record_id")])
"""Records of the corpus before that go, or come again with another text."""

UNLINKED: Any = pa.schema([("record_id", pa.string()), ("person_id", pa.string())])
"""Records whose lineage in the corpus before is not carried on, and their authors in it."""

COUNTED = (
    "items",
    "decisions",
    "exclusions",
    "filters",
    "records",
    "regions",
    "languages",
    "mixed",
    "dialects",
    "kinds",
    "size",
)
"""What the manifest counts; every name is there also when nothing was counted."""


def place(
    folder: Path,
    *,
    buckets: list[int],
    selected: str,
    texts: list[str],
    deduplicated: str,
    changing: bool,
    groups: int,
    gauge: dict[str, Any],
    upstream: str,
) -> None:
    """Write records that come and go, lineage, fates and measures, each by its bucket; then commit what was counted.

    Args:
        folder: where to write.
        buckets: numbers of the buckets to place.
        selected: folder of the select stage.
        texts: folders of the text stage, by bucket.
        deduplicated: folder of the deduplicate stage.
        changing: the corpus before is changed: what it counted of these items no longer counts.
        groups: into how many files the records are divided; a shard is never divided.
        gauge: what the text stage measures with.
        upstream: call of the stage before.
    """
    assert upstream
    looked = Looked(Path(selected), texts, Path(deduplicated))
    readings = Readings(looked, gauge)
    counts: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
    counts["items"]["all"] = counts["records"]["all"] = 0
    late: list[_Late] = []
    unlinked = [UNLINKED.empty_table()]
    with (
        Spill(folder / "groups", PLACED, groups) as placed,
        Spill(folder / "removed", REMOVED, groups) as removed,
        Spill(folder / "fates", FATES, len(texts)) as fates,
        Spill(folder / "measures", MEASURES, len(texts)) as measures,
        Spill(folder / "links", LINKED, len(texts)) as links,
    ):
        for bucket in buckets:
            one = _Bucket.of(bucket, looked)
            measures.add(one.table, np.full(one.table.num_rows, bucket))
            if changing:
                _count(counts, looked.fates(bucket), one.records_measured_before(looked.before(bucket)), -1)
            _count(counts, one.fates, one.table.filter(pa.array(one.record)), 1)
            gone, forgotten = one.leaving()
            removed.add(gone, _groups(gone, groups))
            unlinked.append(forgotten)
            authors = one.authors()
            links.add(authors, np.full(authors.num_rows, bucket))
            fresh, again = one.coming()
            texts_now = readings.final(np.full(len(fresh), bucket), one.places[fresh])
            _put(placed, one.table.take(pa.array(fresh)), texts_now, groups)
            said, unsaid = _with_spans(one.fates, texts_now, one.table["item_id"].take(pa.array(again)))
            fates.add(said, np.full(said.num_rows, bucket))
            if len(again):
                rows = one.table.take(pa.array(again))
                late.append(_Late(np.full(len(again), bucket), one.places[again], rows, unsaid))
        if late:
            _put_late(placed, fates, late, readings, groups, len(texts))
    write_bucket(folder / "unlinked", 0, pa.concat_tables(unlinked).combine_chunks())
    facts = read_commit(Path(selected))
    assert facts is not None
    link(folder, Path(selected), Path(deduplicated), buckets, parts=facts["parts"], buckets=len(texts))
    commit_record(folder, {name: dict(counter) for name, counter in sorted(counts.items())})


def counted(pieces: Iterable[dict[str, Any]], before: Path | None) -> dict[str, dict[str, int]]:
    """Return what the manifest counts, but for sizes.

    Args:
        pieces: facts of the stages that placed some buckets each.
        before: folder of the corpus that was changed, ``None`` = none: it counted what was not looked at.
    """
    counts: dict[str, Counter[str]] = {name: Counter() for name in COUNTED}
    for known in [*([read_manifest(before).counts] if before else []), *pieces]:
        for name in counts.keys() - {"size"}:
            counts[name].update(known[name])
    return {
        name: {value: count for value, count in sorted(counter.items()) if count or value == "all"}
        for name, counter in sorted(counts.items())
    }


@dataclass(slots=True)
class _Bucket:
    """What became of the items of one bucket."""

    table: Any
    """LOOKED_AT of everything but what is there for a neighbour's sake."""
    places: Any
    """Where each row of the table stands among all rows of the bucket."""
    fates: Any
    known: Any
    """bool: which rows of the table were measured before."""
    record: Any
    """bool: which rows are records."""
    was: Any
    """bool: which rows were records of the corpus before."""
    relinked: Any
    """Rows whose lineage is written anew."""
    beside: Any
    """Measures of records that stay what they were and whose lineage is written anew, as they were judged too."""
    old: Any
    """Measures of the corpus before that were left behind."""
    records_before: Any
    """UNLINKED of all records that the corpus before had of this bucket."""

    @classmethod
    def of(cls, bucket: int, looked: Looked) -> _Bucket:
        """Bring together what the stages found."""
        rows, decided, fates = looked.rows(bucket), looked.decisions(bucket), looked.fates(bucket)
        verdicts = read_bucket(looked.beside / "verdicts", VERDICTS, bucket)
        table, places, verdicts, beside = _apart(rows, verdicts)
        begin, end = looked.fresh[bucket]
        known = np.ones(table.num_rows, bool)
        known[begin:end] = False
        old = fates.take(pc.index_in(table["item_id"], fates["item_id"]))
        became, duplicate_of, judged = _became(table, verdicts, old)
        allowed = pc.invert(table["protected"]).to_numpy(zero_copy_only=False).astype(bool)
        record = allowed & became.is_null().to_numpy(zero_copy_only=False)
        shown = pc.if_else(pa.array(record), table["record_id"], pa.scalar(None, pa.string()))
        at = pc.index_in(decided["item_id"], table["item_id"])
        nothing = pa.scalar(None, pa.string())
        mine = pc.if_else(table["protected"], nothing, became)
        columns = [decided[name] for name in DECIDED.names]
        detail = pc.if_else(pc.equal(mine, Exclusion.LOW_QUALITY.value), table["detail"], nothing)
        spans = fates["spans"].take(pc.index_in(decided["item_id"], fates["item_id"]))
        stays = pa.array(record & old["record_id"].is_valid().to_numpy(zero_copy_only=False)).take(at)
        spans = spans.take(pc.if_else(pc.fill_null(stays, fill_value=False), _numbers(len(at)), None))
        columns += [mine.take(at), _one(detail).take(at), duplicate_of.take(at), shown.take(at), spans]
        return cls(
            table=table,
            fates=pa.table(columns, schema=FATES),
            places=places,
            known=known,
            record=record,
            was=old["record_id"].is_valid().to_numpy(zero_copy_only=False).astype(bool),
            relinked=np.flatnonzero(record & judged),
            beside=beside,
            old=read_bucket(looked.selected / "gone", MEASURES, bucket),
            records_before=fates.select(UNLINKED.names).filter(fates["record_id"].is_valid()).combine_chunks(),
        )

    def leaving(self) -> tuple[Any, Any]:
        """Return the records that go from their slices, and those whose lineage is not carried on."""
        stays = self.known & self.record & self.was
        kept = self.table["record_id"].filter(pa.array(stays))
        before = self.records_before["record_id"].combine_chunks()
        gone = before.filter(pc.invert(pc.is_in(before, kept)))
        places = pa.concat_tables(
            [self.old.select(REMOVED.names), self.table.filter(pa.array(self.known)).select(REMOVED.names)]
        ).combine_chunks()
        relinked = np.zeros(self.table.num_rows, bool)
        relinked[self.relinked] = True
        carried_on = self.table["record_id"].filter(pa.array(stays & ~relinked))
        forgotten = self.records_before.filter(pc.invert(pc.is_in(before, carried_on)))
        unlinked = pa.concat_tables([forgotten, self.beside.select(UNLINKED.names)])
        return places.take(pc.index_in(gone, places["record_id"])), unlinked

    def coming(self) -> tuple[Any, Any]:
        """Return the rows of new records: those measured now, and those measured before that were none."""
        return np.flatnonzero(self.record & ~self.known), np.flatnonzero(self.record & self.known & ~self.was)

    def records_measured_before(self, measures: Any) -> Any:
        """Return the rows of some measures of the corpus before that were records of it."""
        return measures.filter(pc.is_in(measures["record_id"], self.records_before["record_id"].combine_chunks()))

    def authors(self) -> Any:
        """Return the lineage of authors."""
        rows = pa.concat_tables([self.table.take(pa.array(self.relinked)), self.beside]).combine_chunks()
        return rows_of(rows, rows["item_id"], rows["person_id"], "author")


def _apart(rows: Any, verdicts: Any) -> tuple[Any, Any, Any, Any]:
    """Return the rows not beyond, their places, the verdicts on them, and the judged records among those beyond.

    A row that was brought alone stands here twice if its part was opened since.
    """
    beyond = rows["beyond"].to_numpy(zero_copy_only=False)
    table = rows.filter(pa.array(~beyond)).combine_chunks()
    judged = verdicts["row"].to_numpy().astype(np.int64)
    at = (np.cumsum(~beyond) - 1)[judged]
    alone = beyond[judged]
    found = pc.index_in(rows["item_id"].take(pa.array(judged[alone])), table["item_id"])
    at[alone] = pc.fill_null(found, -1).to_numpy()
    sealed = rows.take(pa.array(judged[(at < 0) & verdicts["exclusion"].is_null().to_numpy()]))
    opened = verdicts.set_column(0, VERDICTS.field("row"), pa.array(at.astype(np.int32))).filter(pa.array(at >= 0))
    return table, np.flatnonzero(~beyond), opened.combine_chunks(), sealed.combine_chunks()


def _became(table: Any, verdicts: Any, old: Any) -> tuple[Any, Any, Any]:
    """Return exclusion and original of each row, and which rows were judged now; the others keep what they became."""
    rows = verdicts["row"].to_numpy().astype(np.int64)
    judged = np.zeros(table.num_rows, bool)
    judged[rows] = True
    at = np.full(table.num_rows, 0, np.int64)
    at[rows] = np.arange(len(rows))
    places = pa.array(at, mask=~judged)
    own, chosen = table["exclusion"], pa.array(judged)
    became = pc.coalesce(own, pc.if_else(chosen, verdicts["exclusion"].take(places), old["exclusion"]))
    duplicate_of = pc.if_else(chosen, verdicts["duplicate_of"].take(places), old["duplicate_of"])
    led = pc.and_(pc.invert(table["protected"]), pc.is_null(own))
    return _one(became), _one(pc.if_else(led, duplicate_of, pa.scalar(None, pa.string()))), judged


@dataclass(slots=True)
class _Late:
    """Records that were measured before and were none: their texts are read again, all at once at the end."""

    buckets: Any
    rows: Any
    table: Any
    fates: Any


def _with_spans(fates: Any, texts: Any, late: Any) -> tuple[Any, Any]:
    """Return fates with the spans of texts that were read now, and apart the fates of those that come later."""
    at = pc.index_in(fates["item_id"], texts["item_id"])
    found, known = texts["spans"].take(at), fates["spans"]
    both = pa.chunked_array([_one(found), _one(known)]).combine_chunks()
    numbers = _numbers(fates.num_rows)
    spans = both.take(pc.if_else(pc.is_valid(at), numbers, pc.add(numbers, fates.num_rows)))
    fates = fates.set_column(fates.schema.get_field_index("spans"), FATES.field("spans"), spans)
    coming = pc.is_in(fates["item_id"], late)
    return fates.filter(pc.invert(coming)), fates.filter(coming)


def _numbers(rows: int) -> Any:
    return pa.array(np.arange(rows))


def _put(placed: Spill, table: Any, texts: Any, groups: int) -> None:
    if table.num_rows:
        chosen = table.append_column("text", texts["text"])
        placed.add(chosen.select(PLACED.names), _groups(chosen, groups))


def _put_late(placed: Spill, fates: Spill, late: list[_Late], readings: Readings, groups: int, buckets: int) -> None:
    texts = readings.final(np.concatenate([one.buckets for one in late]), np.concatenate([one.rows for one in late]))
    _put(placed, pa.concat_tables([one.table for one in late]), texts, groups)
    said, _ = _with_spans(pa.concat_tables([one.fates for one in late]), texts, pa.array([], pa.string()))
    fates.add(said, buckets_of(said["item_id"], buckets))


def _groups(table: Any, groups: int) -> Any:
    """Return the group of each record: a function of its region and shard."""
    pairs = zip(table["region"].to_pylist(), table["shard"].to_pylist(), strict=True)
    known: dict[tuple[str, int], int] = {}
    found = []
    for pair in pairs:
        if pair not in known:
            known[pair] = group_of(*pair, groups)
        found.append(known[pair])
    return np.array(found, np.int64)


def group_of(region: str, shard: int, groups: int) -> int:
    """Return the file that the records of a shard go to."""
    return zlib.crc32(f"{region}/{shard}".encode()) % groups


def _count(counts: dict[str, Counter[str]], fates: Any, records: Any, sign: int) -> None:
    """Add what stands in some fates and records to the counts, or take it off."""
    allowed = pc.fill_null(fates["allowed"], fill_value=False)
    tallies = {
        "items": {"all": fates.num_rows},
        "decisions": _tally(pc.if_else(allowed, "allowed", fates["primary_reason"])),
        "exclusions": _tally(fates["exclusion"].drop_null()),
        "filters": _tally(fates["detail"].drop_null()),
        "records": {"all": records.num_rows},
        "regions": _tally(records["region"]),
        "languages": _tally(records["language"]),
        "mixed": _tally(records["other_language"].drop_null()),
        "dialects": _tally(pc.fill_null(records["dialect"], "none")),
        "kinds": _tally(records["kind"]),
    }
    for name, tally in tallies.items():
        counts[name].update({value: sign * count for value, count in tally.items()})


def _tally(column: Any) -> dict[str, int]:
    found = pc.value_counts(_one(column))
    return {one["values"]: one["counts"] for one in found.to_pylist()}


def _one(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

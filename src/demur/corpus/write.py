"""Stage 5: the slice files and the sealed files. Rows in order of their record id; bytes a function of the records.

Groups of slices and kinds of sealed files do not wait for each other: the stage runs for each apart, side by side.

A slice is the one before without the records that go and with those that come. One whose content stays is not written
again but linked to the same bytes (COR-11).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus.disk import CORPUS
from demur.corpus.links import LINKS
from demur.corpus.manifest import read_manifest
from demur.corpus.measures import FATES, MEASURES, NAMED, UNBANDED, Before, as_banded, parts_of
from demur.corpus.place import PLACED, REMOVED, UNLINKED, group_of
from demur.corpus.shard import slice_path
from demur.corpus.spill import Spill, read_everywhere, streamed
from demur.corpus.touched import BESIDE
from demur.errors import BrokenError
from demur.lineage import Sealing, buckets_of, sealing
from demur.store import KeyRing, cannot_write, commit_record, digest_file, read_commit, remove_tree, write_table
from demur.store.contents import content_digest
from demur.terms.manifests import SliceDigest, SliceRef
from demur.terms.tables import LINEAGE, RECORDS

SEALED = {"lineage": LINEAGE, "fates": pa.schema([one for one in FATES if one.name not in {"detail", "spans"}])}
"""Sealed files of a corpus that say what became of whom: kind → the columns that the verifier reads."""

_OPENED = {"fates": FATES, "measures": MEASURES}
SEPARATE: dict[str, dict[str, Callable[[Any], Any]]] = {
    "lineage": {"lineage": lambda links: links},
    "fates": {"fates": lambda fates: fates},
    "measures": {"measures": lambda measures: measures.select(UNBANDED.names), "bands": as_banded},
}
"""Rows that are sealed apart from each other → the files that are made of them, each in a form of its own."""
KINDS = ("lineage", "fates", "measures", "bands", *BESIDE)
"""All sealed files but the verifier's; what they are named by, the verifier says, who reads them whole."""

_BARE: Any = pa.schema([pa.field(field.name, field.type, nullable=field.nullable) for field in RECORDS])
_REPEATING = [name for name in _BARE.names if name not in {"record_id", "text"}]


def write(
    folder: Path,
    *,
    mine: list[int],
    placed: list[str],
    regions: list[str],
    shards: int,
    slices: int,
    groups: int,
    replaced: str | None,
    changing: bool,
    upstream: list[str],
) -> None:
    """Write the slices of some groups of shards to ``corpus/data/``; then commit their digests.

    Args:
        folder: where to write.
        mine: numbers of the groups.
        placed: folders of the place stages.
        regions: every region of the recipe: each has all its slices, also the empty ones, so that the list of
            files says nothing about who is there.
        shards: shards in every region.
        slices: slices in every shard.
        groups: into how many files the records were divided.
        replaced: folder of the corpus that this one replaces, for slices that stay; ``None`` = none.
        changing: its measures were carried on: its slices are changed and not made anew.
        upstream: calls of the stages before.
    """
    assert upstream
    slicing = _Slicing(folder / CORPUS, list(map(Path, placed)), Path(replaced) if replaced else None, changing)
    by_group: dict[int, list[SliceRef]] = {group: [] for group in mine}
    for region in regions:
        for shard in range(shards):
            group = group_of(region, shard, groups)
            if group in by_group:
                by_group[group] += [SliceRef(region, shard, part) for part in range(slices)]
    for group, refs in by_group.items():
        slicing.group(group, refs)
    commit_record(folder, {"slices": [asdict(one) for one in slicing.found], "reused": slicing.reused})


def seal(
    folder: Path,
    *,
    kind: str,
    selected: str,
    deduplicated: str,
    placed: list[str],
    keys: str,
    before: str | None,
    upstream: list[str],
) -> None:
    """Seal what became of whom to ``corpus/sealed/``; then commit what tells them from those of another run.

    Args:
        folder: where to write.
        kind: which of ``SEPARATE``.
        selected: folder of the select stage.
        deduplicated: folder of the deduplicate stage.
        placed: folders of the place stages.
        keys: folder of the key ring.
        before: folder of the corpus whose measures were carried on, or ``None``.
        upstream: calls of the stages before.
    """
    assert upstream
    ring = KeyRing(Path(keys))
    earlier = Before(Path(before) if before else None, ring)
    _Sealing(folder, Path(selected), Path(deduplicated), list(map(Path, placed)), earlier, ring).seal(kind)
    # sealed files are never the same twice
    commit_record(folder, {"run": secrets.token_hex(16)})


def gather(written: Path, pieces: Iterable[Path]) -> None:
    """Bring together under one name what stages wrote side by side; safe to repeat.

    Args:
        written: what will be the corpus.
        pieces: folders laid out like it.
    """
    for piece in pieces:
        for source in sorted(path for path in piece.rglob("*") if path.is_file()):
            target = written / source.relative_to(piece)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            link_or_copy(source, target)


class _Slicing:
    """Writes slices, a group of shards at a time."""

    def __init__(self, folder: Path, placed: list[Path], replaced: Path | None, changing: bool) -> None:
        self._folder, self._placed, self._replaced, self._changing = folder, placed, replaced, changing
        self._old: dict[str, SliceDigest] = {}
        if replaced is not None:
            self._old = {one.path: one for one in read_manifest(replaced).slices}
        self.found: list[SliceDigest] = []
        self.reused = 0

    def group(self, group: int, refs: list[SliceRef]) -> None:
        """Write the slices of one group."""
        coming = _by_slice(read_everywhere((one / "groups" for one in self._placed), PLACED, group))
        going = _by_slice(read_everywhere((one / "removed" for one in self._placed), REMOVED, group))
        for ref in sorted(refs, key=slice_path):
            self._slice(ref, coming.get(ref), going.get(ref))

    def _slice(self, ref: SliceRef, coming: Any, going: Any) -> None:
        path = slice_path(ref)
        old = self._old.get(path)
        if self._changing and old is not None and coming is None and going is None:
            self._link(old)
            return
        records = self._before(old) if self._changing and old is not None else _BARE.empty_table()
        size = np.array([old.words, old.characters]) if self._changing and old is not None else np.zeros(2, np.int64)
        if going is not None:
            gone = pc.is_in(records["record_id"], going["record_id"].combine_chunks())
            size -= _size(records["text"].filter(gone))
            records = records.filter(pc.invert(gone))
        if coming is not None:
            new = coming.select(_BARE.names).cast(_BARE)
            size += _size(new["text"])
            records = pa.concat_tables([records, new]).sort_by("record_id")
        records = records.combine_chunks()
        content = content_digest(records)
        if old is not None and old.content_digest == content and self._whole(old):
            self._link(old)
            return
        write_table(self._folder / path, records, dictionary=_REPEATING)
        self.found.append(
            SliceDigest(
                region=ref.region,
                shard=ref.shard,
                slice=ref.slice,
                path=path,
                records=records.num_rows,
                content_digest=content,
                file_digest=digest_file(self._folder / path),
                words=int(size[0]),
                characters=int(size[1]),
            )
        )

    def _before(self, old: SliceDigest) -> Any:
        assert self._replaced is not None
        if not self._whole(old):
            raise BrokenError(
                f"expected {old.path} of the corpus before as it was written, found it missing or changed; "
                "restore it, or build without it"
            )
        return pq.ParquetFile(self._replaced / old.path).read(use_threads=False).cast(_BARE)

    def _whole(self, old: SliceDigest) -> bool:
        assert self._replaced is not None
        path = self._replaced / old.path
        return path.exists() and digest_file(path) == old.file_digest

    def _link(self, old: SliceDigest) -> None:
        assert self._replaced is not None
        target = self._folder / old.path
        target.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(self._replaced / old.path, target)
        self.found.append(old)
        self.reused += 1


def _size(texts: Any) -> Any:
    """Return how many words and characters texts hold."""
    return np.array([_words(texts), pc.sum(pc.utf8_length(texts)).as_py() or 0])


def _words(texts: Any) -> int:
    """Return how many words texts hold: in normalised text, one more than its runs of space.

    >>> _words(pa.array(["one two", "three", ""])), _words(pa.array(["four" + chr(10) * 2 + "five"]))
    (3, 2)
    """
    filled = texts.filter(pc.not_equal(texts, "")) if len(texts) else texts
    runs = sum(pc.sum(pc.count_substring(filled, mark)).as_py() or 0 for mark in (" ", "\n"))
    return int(len(filled) + runs - (pc.sum(pc.count_substring(filled, "\n\n")).as_py() or 0))


def _by_slice(table: Any) -> dict[SliceRef, Any]:
    """Return the rows of each slice."""
    if not table.num_rows:
        return {}
    keys = ["region", "shard", "slice"]
    table = table.sort_by([(key, "ascending") for key in keys]).combine_chunks()
    numbers = [table[key].combine_chunks().dictionary_encode().indices.to_numpy() for key in keys]
    fresh = np.any([column[1:] != column[:-1] for column in numbers], axis=0)
    begins = [0, *(np.flatnonzero(fresh) + 1).tolist(), table.num_rows]
    found = {}
    for begin, end in pairwise(begins):
        ref = SliceRef(*(table[key][begin].as_py() for key in keys))
        found[ref] = table.slice(begin, end - begin)
    return found


class _Sealing:
    """Seals the opened parts with what is new in them, and takes the others over."""

    def __init__(
        self, folder: Path, selected: Path, deduplicated: Path, placed: list[Path], earlier: Before, keys: KeyRing
    ) -> None:
        self._folder, self._placed, self._earlier, self._keys = folder, placed, earlier, keys
        facts = read_commit(selected)
        assert facts is not None
        self._parts, self._buckets, self._whole = facts["parts"], facts["buckets"], facts["whole"]
        self._opened = set(facts["opened"]) | set((read_commit(deduplicated) or {})["opened"])

    def seal(self, kind: str) -> None:
        """Seal rows of one kind as its files, each in a form of its own."""
        (self._folder / CORPUS / "sealed").mkdir(parents=True)
        with ExitStack() as stack:
            files = {name: stack.enter_context(self._sealing(name)) for name in SEPARATE[kind]}
            for part, rows in self._lineage() if kind == "lineage" else self._changed(kind):
                for name, form in SEPARATE[kind].items():
                    files[name].add(part, None if rows is None else form(rows))
        remove_tree(self._folder / "parts")

    def _sealing(self, kind: str) -> AbstractContextManager[Sealing]:
        path, secret = self._folder / CORPUS / "sealed" / f"{kind}.sealed", self._keys.secret("lineage")
        return sealing(path, kind, secret=secret, buckets=self._parts, upon=self._earlier.file(kind))

    def _changed(self, name: str) -> Iterator[tuple[int, Any]]:
        """Yield the rows of opened parts by part; ``None`` for other parts."""
        yield from ((part, None) for part in range(self._earlier.parts) if part not in self._opened)
        folder, schema = self._folder / "parts" / name, pa.schema([*_OPENED[name], ("part", pa.int32())])
        with Spill(folder, schema, self._buckets) as spill:
            for parts, table in self._coming(name):
                numbers = pa.array(parts.astype(np.int32))
                spill.add(table.append_column("part", numbers), parts * self._buckets // self._parts)
        for bucket, new in streamed(folder, schema, self._buckets):
            coming, numbers = new.drop_columns("part"), new["part"].to_numpy()
            here = [part for part in sorted(self._opened) if part * self._buckets // self._parts == bucket]
            for parts, staying in self._staying(name, here):
                beside = np.isin(numbers, parts)
                both = pa.concat_tables([staying, coming.filter(pa.array(beside))])
                yield from _runs(both, np.concatenate([parts, numbers[beside]]))
                coming, numbers = coming.filter(pa.array(~beside)), numbers[~beside]
            yield from _runs(coming, numbers)

    def _coming(self, name: str) -> Iterator[tuple[Any, Any]]:
        """Yield (part of each row, rows) of what was looked at."""
        for _, table in self._streamed(name, _OPENED[name]):
            yield parts_of(table, self._parts), table

    def _streamed(self, name: str, schema: Any) -> Iterator[tuple[int, Any]]:
        """Yield (bucket, rows) of what was placed, in order."""
        for bucket in range(self._buckets):
            yield bucket, read_everywhere((one / name for one in self._placed), schema, bucket)

    def _staying(self, name: str, parts: list[int]) -> Iterator[tuple[Any, Any]]:
        """Yield (part of each row, rows) of what lies in opened parts and was not looked at, no part divided."""
        if self._whole:
            return
        rows = self._earlier.measures(parts) if name == "measures" else self._earlier.rows(name, parts)
        for there, table in rows:
            stays = pc.invert(pc.is_in(table["item_id"], self._looked))
            yield there[stays.to_numpy()], table.filter(stays).cast(_OPENED[name])

    @cached_property
    def _looked(self) -> Any:
        """Ids of the items that were looked at."""
        items = [table for _, table in self._streamed("fates", NAMED)]
        return pa.concat_tables(items)["item_id"].combine_chunks()

    def _lineage(self) -> Iterator[tuple[int, Any]]:
        """Yield the lineage by part: what the corpus before says of records that stayed, and what is new."""
        unlinked = read_everywhere((one / "unlinked" for one in self._placed), UNLINKED, 0)
        gone = unlinked["record_id"].combine_chunks()
        opened = self._linked_in(gone, set(buckets_of(unlinked["person_id"], self._earlier.parts or 1).tolist()))
        changed: set[int] = set()
        for bucket, new in self._streamed("lineage", LINKS):
            numbers = buckets_of(new["person_id"], self._parts)
            here = {part for part in opened if part * self._buckets // self._parts == bucket} | set(numbers.tolist())
            for there, table in self._earlier.rows("lineage", sorted(here)):
                going = pc.is_in(table["record_id"], gone).to_numpy()
                coming = np.isin(numbers, there)
                went, comes = table.filter(pa.array(going)), new.filter(pa.array(coming))
                other = _unlike(went, there[going], comes, numbers[coming])
                stays, added = ~going & np.isin(there, other), coming & np.isin(numbers, other)
                both = pa.concat_tables([table.filter(pa.array(stays)), new.filter(pa.array(added))])
                yield from _runs(both, np.concatenate([there[stays], numbers[added]]))
                new, numbers = new.filter(pa.array(~coming)), numbers[~coming]  # noqa: PLW2901
                changed.update(other.tolist())
            yield from _runs(new, numbers)
            changed.update(numbers.tolist())
        yield from ((part, None) for part in range(self._earlier.parts) if part not in changed)

    def _linked_in(self, records: Any, parts: set[int]) -> set[int]:
        """Return the parts that hold any lineage of some records: those of their authors, and those that these name."""
        found = set(parts)
        for _, table in self._earlier.rows("lineage", sorted(parts)):
            mine = table.filter(pc.is_in(table["record_id"], records))
            found.update(pc.unique(pc.list_flatten(mine["beside"].combine_chunks())).to_pylist())
        return found


def _unlike(went: Any, went_from: Any, coming: Any, coming_to: Any) -> Any:
    """Return the parts in which not the same rows of lineage go and come, int64."""
    rows = pa.concat_tables([went, coming])
    beside = pc.binary_join(rows["beside"].combine_chunks().cast(pa.list_(pa.string())), ",")
    fields = [rows[name].combine_chunks().cast(pa.string()) for name in LINKS.names if name != "beside"]
    told = pc.binary_join_element_wise(*fields, beside, "\0", null_handling="replace", null_replacement="\1")
    told = told.dictionary_encode().indices.to_numpy()
    parts = np.concatenate([went_from, coming_to])
    names, at = np.unique(parts * (len(told) + 1) + told, return_inverse=True)
    often = np.bincount(at, np.where(np.arange(len(at)) < len(went_from), -1, 1), len(names))
    return np.unique(names[often != 0] // (len(told) + 1))


def _runs(rows: Any, numbers: Any) -> Iterator[tuple[int, Any]]:
    """Yield (number, the rows that have it), in order of the numbers."""
    order = np.argsort(numbers, kind="stable")
    rows, numbers = rows.take(pa.array(order)).combine_chunks(), numbers[order]
    begins = np.flatnonzero(np.diff(numbers, prepend=-1))
    for begin, end in pairwise([*begins.tolist(), len(numbers)]):
        yield int(numbers[begin]), rows.slice(begin, end - begin)


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name; where the disk has no links, copy it.

    Raises:
        OutsideError: the disk is full or refuses.
    """
    try:
        os.link(source, target)
    except OSError:
        try:
            target.write_bytes(source.read_bytes())
        except OSError as error:
            raise cannot_write(target, error) from error

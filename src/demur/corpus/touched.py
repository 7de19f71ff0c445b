"""Which items are looked at again: those of which a decision, an owner or a name changed; and in which parts they lie.

The decisions on a snapshot are sealed beside the corpus in its order, so that the next build compares them column by
column; a name that somebody wants out is looked for in the records. All other parts stay sealed. A build from another
snapshot, or with nothing before, opens everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.disk import CORPUS, batches
from demur.corpus.measures import DECIDED, Before, parts_of
from demur.corpus.mentions import NAMES, mentioning, objector_names
from demur.corpus.spill import Spill
from demur.corpus.verify_rows import UnclearError
from demur.corpus.verify_where import WHERE, Where
from demur.lineage import SealedFile, buckets_of, write_sealed
from demur.store import KeyRing, remove_tree

_ROWS = 8_192
"""Decisions that are compared, and sealed, at a time."""
MOST_PIECES = 1 << 24
"""Bound of a sealed file that is read in order and has no buckets."""
_KEPT: Any = pa.schema([*DECIDED, ("part", pa.int32())])
SHARED: Any = pa.schema([("item_id", pa.string()), ("owners", pa.uint64())])
"""Items that somebody else owns a part of, with a hash of who."""
_MADE: Any = pa.schema([("item_id", pa.string()), ("person_id", pa.string())])
BESIDE = ("decided", "shared", "names")
"""Sealed files that are written here: what the next build compares with."""


@dataclass(slots=True)
class Touched:
    """The items that are looked at again, and their parts."""

    chosen: Any
    """bool by part: those that are opened."""
    whole: bool
    """Everything is looked at: there was no corpus before, or it was made from another snapshot."""
    refreshed: Any = field(default_factory=lambda: pa.array([], pa.string()))
    """Records whose text another set of names may have changed."""
    decided: int = 0
    """How many decisions there are."""
    _items: list[Any] = field(default_factory=lambda: [pa.array([], pa.string())])

    @property
    def items(self) -> Any:
        """Ids of the items, where not everything is looked at."""
        return pc.unique(pa.chunked_array(self._items, pa.string()))

    def look(self, items: Any, parts: Any) -> None:
        """Look at some items, and open the parts that they lie in or come to lie in."""
        self.chosen[parts] = True
        self._items += items.chunks if isinstance(items, pa.ChunkedArray) else [items]

    @property
    def parts(self) -> list[int]:
        """Their numbers."""
        found: list[int] = np.flatnonzero(self.chosen).tolist()
        return found


def compare_decisions(
    folder: Path,
    files: list[Path],
    earlier: Before,
    parts: int,
    buckets: int,
    *,
    same_source: bool,
    keys: KeyRing,
    each: Callable[[Any], None],
) -> Touched:
    """Seal the decisions; write those that the corpus before did not know to ``changed/``, by bucket of their item.

    Args:
        folder: of the select stage.
        files: parts of DECISIONS.
        earlier: the corpus before.
        parts: parts of the sealed files.
        buckets: buckets of the work files.
        same_source: the corpus before was made from this very snapshot.
        keys: the key ring.
        each: shown every table of decisions as it is read; all of them once more where the order was another.
    """
    if same_source and earlier.parts == parts:
        touched = Touched(np.zeros(parts, bool), whole=False)
        _compare(folder, files, earlier.file("decided"), touched, buckets, keys, each)
        if not touched.whole:
            return touched
    touched = Touched(np.ones(parts, bool), whole=True)  # nothing to compare with, or in another order
    _compare(folder, files, None, touched, buckets, keys, each)
    return touched


def _compare(
    folder: Path,
    files: list[Path],
    before: SealedFile | None,
    touched: Touched,
    buckets: int,
    keys: KeyRing,
    each: Callable[[Any], None],
) -> None:
    remove_tree(folder / "changed")
    with Spill(folder / "changed", DECIDED, buckets) as changed:
        rows = _compared(_shown(_evenly(batches(files, DECIDED.names)), each), before, touched, changed, buckets)
        _seal(folder, "decided", rows, keys, buckets=MOST_PIECES, upon=before)


def _shown(tables: Iterator[Any], each: Callable[[Any], None]) -> Iterator[Any]:
    for table in tables:
        each(table)
        yield table


def _compared(
    tables: Iterator[Any], before: SealedFile | None, touched: Touched, changed: Spill, buckets: int
) -> Iterator[tuple[int, Any]]:
    """Yield the decisions to be sealed by piece, ``None`` for one that stays; stop where the order is another."""
    old = before.parts(range(len(before.present))) if before is not None else iter(())
    for number, rows in enumerate(tables):
        touched.decided += rows.num_rows
        if before is None:
            changed.add(rows, buckets_of(rows["item_id"], buckets))
            yield number, _with_parts(rows, parts_of(rows, len(touched.chosen)))
            continue
        _, known = next(old, (0, _KEPT.empty_table()))
        if not rows["item_id"].combine_chunks().equals(known["item_id"].combine_chunks()):
            touched.whole = True
            return
        other = _differing(rows, known)
        if not other.any():
            yield number, None
            continue
        now, places = rows.filter(pa.array(other)), known["part"].to_numpy().copy()
        touched.look(now["item_id"], places[other])
        places[other] = parts_of(now, len(touched.chosen))
        touched.look(now["item_id"], places[other])
        changed.add(now, buckets_of(now["item_id"], buckets))
        yield number, _with_parts(rows, places)
    if before is not None and next(old, None) is not None:
        touched.whole = True


def _evenly(tables: Iterator[Any]) -> Iterator[Any]:
    """Yield the same rows in tables of one size."""
    left = DECIDED.empty_table()
    for table in tables:
        table, begin = table.cast(DECIDED), 0  # noqa: PLW2901
        if left.num_rows:
            begin = min(_ROWS - left.num_rows, table.num_rows)
            left = pa.concat_tables([left, table.slice(0, begin)]).combine_chunks()
            if left.num_rows < _ROWS:
                continue
            yield left
        while table.num_rows - begin >= _ROWS:
            yield table.slice(begin, _ROWS)
            begin += _ROWS
        left = table.slice(begin)
    if left.num_rows:
        yield left


def _with_parts(rows: Any, parts: Any) -> Any:
    return rows.append_column(_KEPT.field("part"), pa.array(parts.astype(np.int32))).combine_chunks()


def _differing(rows: Any, known: Any) -> Any:
    found = np.zeros(rows.num_rows, bool)
    for name in DECIDED.names:
        one, other = rows[name].combine_chunks(), known[name].combine_chunks()
        if not one.equals(other):
            same = pc.or_(pc.fill_null(pc.equal(one, other), fill_value=False), pc.and_(one.is_null(), other.is_null()))
            found |= ~same.to_numpy(zero_copy_only=False)
    return found


def compare_owners(folder: Path, touched: Touched, hashes: tuple[Any, Any], earlier: Before, keys: KeyRing) -> None:
    """Look at items that other people own a part of now; seal who owns what for the next build."""
    now = pa.table(list(hashes), schema=SHARED)
    _seal(folder, "shared", iter([(0, now)]), keys)
    if touched.whole:
        return
    known = pa.concat_tables([SHARED.empty_table(), *(table for _, table in earlier.rows("shared", [0]))])
    known = known.combine_chunks()
    found = []
    for these, those in ((now, known), (known, now)):
        same = pc.equal(those["owners"].take(pc.index_in(these["item_id"], those["item_id"])), these["owners"])
        found.append(these["item_id"].filter(pc.invert(pc.fill_null(same, fill_value=False))).combine_chunks())
    others = pa.concat_arrays(found)
    others = others.filter(pc.invert(pc.is_in(others, touched.items)))
    file = SealedFile(folder / CORPUS / "sealed" / "decided.sealed", "decided", secret=keys.secret("lineage"))
    for table in file.all() if len(others) else ():
        mine = table.filter(pc.is_in(table["item_id"], others))
        touched.look(mine["item_id"], mine["part"].to_numpy())


def compare_names(
    folder: Path, touched: Touched, earlier: Before, corpus: Path | None, standing: Path, keys: KeyRing,
    *, mentions: bool, masked: bool,
) -> None:  # fmt: skip
    """Look at records that another set of names may have changed; seal hashes of the names looked for."""
    names = objector_names(standing) if mentions else []
    hashes = [keys.mac("suppression", name).hex() for name in names]
    _seal(folder, "names", iter([(0, pa.table([pa.array(hashes, pa.string())], schema=NAMES))]), keys)
    if corpus is None:
        return
    known = {one for _, table in earlier.rows("names", [0]) for one in table["name_hash"].to_pylist()}
    fresh = [name for name, hashed in zip(names, hashes, strict=True) if hashed not in known]
    others: dict[str, Any] = {"fresh": fresh, "over": bool(known - set(hashes)), "masked": masked}
    touched.refreshed = mentioning(corpus, standing, **others, earlier=earlier, keys=keys)
    if touched.whole or not len(touched.refreshed):
        return
    authors = _authors(earlier, touched.refreshed)
    touched.look(authors["item_id"], buckets_of(authors["person_id"].combine_chunks(), earlier.parts))


def _authors(earlier: Before, records: Any) -> Any:
    """Return who made some records: from the parts that the verifier's index names, or else from all."""
    authors = _MADE.empty_table()
    for parts in (_named(earlier, records), range(earlier.parts)):
        if len(authors) < len(records):
            found = [_MADE.empty_table()]
            for _, table in earlier.rows("lineage", parts):
                mine = pc.and_(pc.is_in(table["record_id"], records), pc.equal(table["role"], "author"))
                found.append(table.filter(mine).select(_MADE.names))
            authors = pa.concat_tables(found)
    return authors


def _named(earlier: Before, records: Any) -> list[int]:
    """Return the parts of the lineage in which records stand, by the verifier's index; none if that is not clear."""
    where, lineage = Where(), earlier.file("lineage")
    known = earlier.manifest is not None and f"sealed/{WHERE}.sealed" in earlier.manifest.sealed
    index = earlier.file(WHERE) if known else None
    if index is not None and lineage is not None:
        with suppress(UnclearError):
            where.carry(index, "lineage", lineage.present)
            return sorted(where.parts("lineage", "record_id", records))
    return []


def _seal(folder: Path, kind: str, rows: Iterator[tuple[int, Any]], keys: KeyRing, **other: Any) -> None:
    path = folder / CORPUS / "sealed" / f"{kind}.sealed"
    write_sealed(path, kind, rows, secret=keys.secret("lineage"), **({"buckets": 1} | other))

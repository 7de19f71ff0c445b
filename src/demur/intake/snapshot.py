"""The state of everything imported, at an instant: one row an item, one row an account.

``as_of`` says which words count; ``known_at`` says what demur had read by then. A later version never adds anything
to a snapshot of an earlier instant, but it takes away: what was deleted, closed or forbidden since then is so in the
snapshot too (COR-02). Rows are spread over buckets by a hash of their id, so memory is bounded by one bucket, and
the output is in the order of that hash: the same state gives the same files, whatever order it was imported in.

The source only appends. So a later snapshot is the earlier one but for items of which something was imported since, and
these are found without making it (``rows_known``, ``snapshot_since``; ADR 16).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import iso, parse
from demur.intake.buckets import buckets_for, keys_of, known_by, read_bucket
from demur.intake.latest import current_items, merged_people
from demur.intake.write import state_digest
from demur.store import commit_record, digest_json, remove_tree, write_table
from demur.store.stage import Crew, cores, run_stage, side_by_side
from demur.terms.tables import ITEMS, PEOPLE

CODE = "demur-snapshot-4"
_SCHEMAS = {"items": ITEMS, "people": PEOPLE}
_PAYS = 4
"""Buckets that pay for a worker of their own: starting one takes as long as one of them."""
_SAID = "said"


def snapshot(source_folder: Path, out_folder: Path, *, as_of: datetime | None = None, known_at: datetime) -> Any:
    """Write the snapshot of a workspace's source in a child process, unless the same one is there already.

    Args:
        source_folder: ``Workspace.source``.
        out_folder: gets ``items/*.parquet`` (ITEMS), ``people/*.parquet`` (PEOPLE) and the commit record.
        as_of: versions that began later give no words; ``None`` = everything known.
        known_at: rows imported later do not exist.

    Returns:
        The facts of the commit record; ``digest`` names the content, whatever order it was imported in.
    """
    arguments = {
        "source_folder": str(source_folder.resolve()),
        "as_of": None if as_of is None else iso(as_of),
        "known_at": iso(known_at),
        "state": state_digest(source_folder),
        "code": CODE,
    }
    return run_stage("demur.intake.snapshot:stage", out_folder, arguments)


def stage(folder: Path, *, source_folder: str, as_of: str | None, known_at: str, state: str, code: str) -> None:
    """Write a snapshot; see ``snapshot``, which runs this in a process of its own."""
    source = Path(source_folder)
    until = None if as_of is None else parse(as_of)
    buckets = {name: buckets_for(sorted((source / name).glob("*.parquet"))) for name in _SCHEMAS}
    most = cores()
    with side_by_side(min(most, max(buckets.values()) // _PAYS)) as run:
        items, people = (
            _table(run, source / name, folder / name, parse(known_at), until, buckets[name], most) for name in _SCHEMAS
        )
    commit_record(
        folder,
        {
            "digest": digest_json([items["digest"], people["digest"]]),
            "items": items,
            "people": people,
            "as_of": as_of,
            "known_at": known_at,
            "state": state,
            "code": code,
        },
    )


def rows_known(source_folder: Path, known_at: datetime) -> str:
    """Return the digest of the names of all parts that hold what was imported by an instant.

    A part never changes and is named by its content, so two instants with one digest have one snapshot.
    """
    found: list[Any] = []
    for folder in ("items", "people"):
        for part in sorted((source_folder / folder).glob("*.parquet")):
            imported = pc.min_max(pq.read_table(part, columns=["imported_at"])["imported_at"])
            begin, end = imported["min"].as_py(), imported["max"].as_py()
            if begin is not None and begin <= known_at:
                found.append([folder, part.name, None if end <= known_at else iso(known_at)])
    return digest_json([CODE, found])


def snapshot_since(
    source_folder: Path, out_folder: Path, *, as_of: datetime, since: datetime, seen: datetime, known_at: datetime
) -> Any:
    """Write what a snapshot has otherwise than an earlier one, in a child process.

    Args:
        source_folder: ``Workspace.source``.
        out_folder: gets ``items.parquet`` (ITEMS as known at ``known_at``, those of which something was imported after
            ``since``), ``fresh.parquet`` (ids of those of which something was imported after ``seen``) and the commit
            record.
        as_of: of both snapshots.
        since: ``known_at`` of the earlier snapshot.
        seen: an instant between the two.
        known_at: of the later snapshot.

    Returns:
        The facts of the commit record.
    """
    arguments = {
        "source_folder": str(source_folder.resolve()),
        **{name: iso(at) for name, at in (("as_of", as_of), ("since", since), ("seen", seen), ("known_at", known_at))},
        "rows": rows_known(source_folder, known_at),
    }
    return run_stage("demur.intake.snapshot:stage_since", out_folder, arguments)


def stage_since(
    folder: Path, *, source_folder: str, as_of: str, since: str, seen: str, known_at: str, rows: str
) -> None:
    """Write the difference; see ``snapshot_since``, which runs this in a process of its own."""
    assert rows
    parts = sorted((Path(source_folder) / "items").glob("*.parquet"))
    changed, fresh = (_imported(parts, parse(begin), parse(known_at)) for begin in (since, seen))
    versions = pa.concat_tables([ITEMS.empty_table(), *_versions(parts, changed, parse(known_at))]).combine_chunks()
    current = current_items(versions, keys_of(versions["item_id"]), parse(as_of))
    write_table(folder / "items.parquet", current)
    write_table(folder / "fresh.parquet", pa.table({"item_id": fresh}))
    commit_record(folder, {"items": current.num_rows, "fresh": len(fresh)})


def _imported(parts: list[Path], after: datetime, until: datetime) -> Any:
    """Return the ids of items of which something was imported after one instant and by another."""
    found = [pa.array([], pa.string())]
    for part in parts:
        table = pq.read_table(part, columns=["item_id", "imported_at"])
        later = pc.greater(table["imported_at"], pa.scalar(after, table["imported_at"].type))
        found.append(known_by(table.filter(later), until)["item_id"].combine_chunks())
    return pc.unique(pa.concat_arrays(found))


def _versions(parts: list[Path], ids: Any, known_at: datetime) -> Iterator[Any]:
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(batch_size=16_384):
            table = known_by(pa.Table.from_batches([batch]), known_at)
            yield table.filter(pc.is_in(table["item_id"], ids)).cast(ITEMS)


def _table(
    run: Crew, parts: Path, out: Path, known_at: datetime, as_of: datetime | None, buckets: int, most: int
) -> Any:
    """Write one table's snapshot and return its digest and counts.

    Parts are spread side by side, then buckets chosen from side by side; the result does not depend on how many work.
    """
    files = sorted(parts.glob("*.parquet"))
    workers = max(1, min(most, buckets // _PAYS))
    identity = "item_id" if out.name == "items" else "account_id"
    work = out.with_name(f".{out.name}")
    spread = _folders(
        work,
        "spread",
        [
            {"parts": [str(part) for part in some], "identity": identity, "known_at": iso(known_at), "buckets": buckets}
            for some in _shares(files, workers)
        ],
    )
    run("demur.intake.buckets:spread", spread)
    chosen = _folders(
        work,
        "chosen",
        [
            {
                "spread": [str(folder) for folder in spread],
                "buckets": some,
                "table": out.name,
                "as_of": None if as_of is None else iso(as_of),
            }
            for some in _shares(range(buckets), workers)
        ],
    )
    found = run("demur.intake.snapshot:choose", chosen)
    out.mkdir(parents=True, exist_ok=True)
    total = hashlib.sha256()
    for folder in chosen:
        with (folder / _SAID).open("rb") as said:
            while piece := said.read(2**20):
                total.update(piece)
        for part in folder.glob("*.parquet"):
            part.rename(out / part.name)
    remove_tree(work)
    rows, versions = (sum(one[name] for one in found) for name in ("rows", "versions"))
    if not rows:
        write_table(out / "part-00000.parquet", _SCHEMAS[out.name].empty_table())
    return {"digest": total.hexdigest(), "rows": rows, "versions": versions}


def _shares(things: Sequence[Any], most: int) -> list[list[Any]]:
    """Return neighbouring things in at most so many shares of one size."""
    edges = [len(things) * place // most for place in range(most + 1)]
    return [list(things[begin:end]) for begin, end in pairwise(edges) if begin < end]


def _folders(work: Path, name: str, calls: list[dict[str, Any]]) -> dict[Path, dict[str, Any]]:
    return {work / f"{name}-{number:05d}": call for number, call in enumerate(calls)}


def choose(folder: Path, *, spread: list[str], buckets: list[int], table: str, as_of: str | None) -> None:
    """Write what counts of some buckets, and what the digest of a snapshot is taken of; a stage.

    Args:
        folder: gets ``part-*.parquet`` and ``said``, both in the order of the buckets.
        spread: folders of ``buckets.spread``.
        buckets: their numbers.
        table: ``items`` or ``people``.
        as_of: versions that began later give no words; ``None`` = everything known.
    """
    rows = versions = 0
    until = None if as_of is None else parse(as_of)
    with (folder / _SAID).open("wb") as said:
        for number in buckets:
            bucket = read_bucket([Path(one) for one in spread], number)
            if bucket is None:
                continue
            versions += bucket[0].num_rows
            current = current_items(*bucket, until) if table == "items" else merged_people(*bucket)
            if current.num_rows:
                said.write(_said(current))
                rows += current.num_rows
                write_table(folder / f"part-{number:05d}.parquet", current)
    commit_record(folder, {"rows": rows, "versions": versions})


_DIGESTED = (
    "version_id", "state", "audience", "container_audience", "parent_audience", "signal", "public_since", "kind",
    "special_category", "expires_at", "original_id", "co_account_ids",
)  # fmt: skip
"""A version's digest, and whatever a snapshot may narrow."""


def _words(column: Any) -> Any:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    words = pc.binary_join(column, "\x1d") if pa.types.is_list(column.type) else column.cast(pa.string())
    return pc.fill_null(words, "")


def _said(table: Any) -> memoryview:
    """Return what a snapshot says of some rows, one after the other."""
    columns = [_words(table[name].combine_chunks()) for name in _DIGESTED if name in table.column_names]
    said = pc.binary_join_element_wise(*columns, "\x1f")
    # the rows one after the other are what the array holds
    _, ends, content = pc.binary_join_element_wise(said, "", "\x1e").buffers()
    size = int(np.frombuffer(ends, np.int32)[table.num_rows])
    return memoryview(content)[:size]

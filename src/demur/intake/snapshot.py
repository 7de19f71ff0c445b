"""The state of everything imported, at an instant: one row an item, one row an account.

``as_of`` says which words count; ``known_at`` says what demur had read by then. A later version never adds anything
to a snapshot of an earlier instant, but it takes away: what was deleted, closed or forbidden since then is so in the
snapshot too (COR-02). Rows are spread over buckets by a hash of their id, so memory is bounded by one bucket, and
the output is in the order of that hash: the same state gives the same files, whatever order it was imported in.

The source only appends. So a later snapshot is the earlier one but for items of which something was imported since, and
these are found without making it (``rows_known``, ``snapshot_since``; ADR 16).
"""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import iso, parse
from demur.intake.latest import current_items, merged_people
from demur.intake.write import state_digest
from demur.store import commit_record, digest_json, write_table
from demur.store.stage import run_stage
from demur.terms.tables import ITEMS, PEOPLE

CODE = "demur-snapshot-4"
BUCKET_BYTES = 16 * 2**20
"""Of Parquet before compression; in memory a bucket takes a few times as much, once as read and once as chosen."""
MAX_BUCKETS = 1024

Keys = npt.NDArray[np.uint64]


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
    items = _table(source / "items", folder / "items", ITEMS, parse(known_at), until)
    people = _table(source / "people", folder / "people", PEOPLE, parse(known_at), until)
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
    current = current_items(versions, _keys(versions["item_id"]), parse(as_of))
    write_table(folder / "items.parquet", current)
    write_table(folder / "fresh.parquet", pa.table({"item_id": fresh}))
    commit_record(folder, {"items": current.num_rows, "fresh": len(fresh)})


def _imported(parts: list[Path], after: datetime, until: datetime) -> Any:
    """Return the ids of items of which something was imported after one instant and by another."""
    found = [pa.array([], pa.string())]
    for part in parts:
        table = pq.read_table(part, columns=["item_id", "imported_at"])
        later = pc.greater(table["imported_at"], pa.scalar(after, table["imported_at"].type))
        found.append(_known(table.filter(later), until)["item_id"].combine_chunks())
    return pc.unique(pa.concat_arrays(found))


def _versions(parts: list[Path], ids: Any, known_at: datetime) -> Iterator[Any]:
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(batch_size=16_384):
            table = _known(pa.Table.from_batches([batch]), known_at)
            yield table.filter(pc.is_in(table["item_id"], ids)).cast(ITEMS)


def _table(parts: Path, out: Path, schema: Any, known_at: datetime, as_of: datetime | None) -> Any:
    """Write one table's snapshot and return its digest and counts."""
    identity = "item_id" if schema is ITEMS else "account_id"
    out.mkdir(parents=True, exist_ok=True)
    total = hashlib.sha256()
    rows = versions = 0
    with _buckets(sorted(parts.glob("*.parquet")), identity, known_at, out.parent) as buckets:
        for number, (bucket, keys) in enumerate(buckets):
            versions += bucket.num_rows
            current = current_items(bucket, keys, as_of) if identity == "item_id" else merged_people(bucket, keys)
            _digest_rows(total, current)
            rows += current.num_rows
            if current.num_rows:
                write_table(out / f"part-{number:05d}.parquet", current)
    if not rows:
        write_table(out / "part-00000.parquet", schema.empty_table())
    return {"digest": total.hexdigest(), "rows": rows, "versions": versions}


@contextlib.contextmanager
def _buckets(parts: list[Path], identity: str, known_at: datetime, home: Path) -> Iterator[Iterator[tuple[Any, Keys]]]:
    """Give the rows known by then with their keys, all of one id in one bucket, the buckets in order of the keys."""
    size = sum(_bytes(part) for part in parts)
    bits = min(MAX_BUCKETS, max(1, -(-size // BUCKET_BYTES)) - 1).bit_length()
    if bits == 0:
        known = [_known(pq.read_table(part), known_at) for part in parts]
        whole = [pa.concat_tables(known)] if known else []
        yield iter([(table, _keys(table[identity])) for table in whole])
        return
    with tempfile.TemporaryDirectory(prefix="buckets-", dir=home) as folder:
        _spread(parts, Path(folder), identity, known_at, bits)
        yield (_read(path) for path in sorted(Path(folder).iterdir()))


def _bytes(part: Path) -> int:
    found = pq.ParquetFile(part).metadata
    return sum(found.row_group(group).total_byte_size for group in range(found.num_row_groups))


def _known(table: Any, known_at: datetime) -> Any:
    known = pc.less_equal(table["imported_at"], pa.scalar(known_at, table["imported_at"].type))
    return table if pc.all(known).as_py() else table.filter(known)


def _spread(parts: list[Path], folder: Path, identity: str, known_at: datetime, bits: int) -> None:
    with contextlib.ExitStack() as stack:
        writers: dict[int, Any] = {}
        for part in parts:
            for batch in pq.ParquetFile(part).iter_batches(batch_size=16_384):
                table = _known(pa.Table.from_batches([batch]), known_at)
                keys = _keys(table[identity])
                places = (keys >> np.uint64(64 - bits)).astype(np.int64)
                order = np.argsort(places, kind="stable")
                table = table.append_column(_KEY, pa.array(keys)).take(pa.array(order))
                cuts = np.searchsorted(places[order], np.arange((1 << bits) + 1)).tolist()
                for place in np.unique(places).tolist():
                    if place not in writers:
                        sink = stack.enter_context(pa.OSFile(str(folder / f"{place:05d}"), "wb"))
                        writers[place] = stack.enter_context(pa.ipc.new_stream(sink, table.schema))
                    writers[place].write_table(table.slice(cuts[place], cuts[place + 1] - cuts[place]))


_KEY = pa.field("\x1fkey", pa.uint64())
"""Column of the bucket files alone."""


def _read(path: Path) -> tuple[Any, Keys]:
    with pa.OSFile(str(path), "rb") as stream:
        table = pa.ipc.open_stream(stream).read_all()
    return table.drop_columns([_KEY.name]), table[_KEY.name].to_numpy()


def _keys(ids: Any) -> Keys:
    """Return the first 8 bytes of BLAKE2b of each id: the order of a snapshot, which says nothing about anybody."""
    hashed = hashlib.blake2b
    raw = b"".join([hashed(name.encode(), digest_size=8).digest() for name in ids.to_pylist()])
    return np.frombuffer(raw, dtype=">u8").astype(np.uint64)


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


def _digest_rows(total: Any, table: Any) -> None:
    columns = [_words(table[name].combine_chunks()) for name in _DIGESTED if name in table.column_names]
    if not table.num_rows:
        return
    said = pc.binary_join_element_wise(*columns, "\x1f")
    # the rows one after the other are what the array holds
    _, ends, content = pc.binary_join_element_wise(said, "", "\x1e").buffers()
    size = int(np.frombuffer(ends, np.int32)[table.num_rows])
    total.update(memoryview(content)[:size])

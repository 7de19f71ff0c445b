"""Account → its items and what became of them: one sealed file beside the source, made again when anything changed.

The person's page would otherwise read the whole source for everybody who opens it. The file is sealed with the lineage
key, and a reader opens the bucket of one account. It may be removed at any time. Does not know whose an account is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.corpus import read_manifest
from demur.flows.left import beside
from demur.flows.parts import Parts, current
from demur.intake import snapshot, state_digest
from demur.lineage import SealedFile, write_sealed
from demur.lineage.sealed import bucket_of
from demur.store import Workspace, digest_json

CODE = "demur-mine-2"
EXCERPT = 160
"""Characters of an item that the page shows."""
_BUCKETS = 256
_ROWS = 200_000
_COLUMNS = ("item_id", "account_id", "service", "kind", "state", "created_at")
_FATE = ("allowed", "reason_bits", "exclusion")
_BUILDING = threading.Lock()


def items_of(parts: Parts, accounts: list[str], *, at: datetime) -> list[dict[str, Any]]:
    """Return the items of some accounts with their excerpts and the current corpus' decisions (``None`` = not decided).

    Args:
        parts: the workspace.
        accounts: account ids.
        at: now; what was imported by then is known.
    """
    sealed = _sealed(parts, ready(parts, at=at))
    found: list[dict[str, Any]] = []
    for account in sorted(set(accounts)):
        for table in sealed.bucket(account):
            found += table.filter(pc.equal(table["account_id"], account)).to_pylist()
    return found


def ready(parts: Parts, *, at: datetime) -> Path:
    """Return the index of the present source and corpus; built when it is not there."""
    path = _path(parts.workspace)
    if not path.exists():
        with _BUILDING:
            if not path.exists():
                _build(parts, path, at)
    return path


def step(parts: Parts, *, at: datetime) -> int:
    """Make the index if the source or the corpus changed; 0 = it was there."""
    if _path(parts.workspace).exists():
        return 0
    ready(parts, at=at)
    return 1


def _path(space: Workspace) -> Path:
    source = state_digest(space.source) if space.source.exists() else ""
    corpus = space.corpora / str(current(space).corpus)
    fates = read_manifest(corpus).sealed if (corpus / "manifest.json").exists() else None
    return space.work / "mine" / f"{digest_json([source, fates, CODE])[:24]}.sealed"


def _sealed(parts: Parts, path: Path) -> SealedFile:
    return SealedFile(path, "mine", secret=parts.keys.secret("lineage"))


def _build(parts: Parts, path: Path, at: datetime) -> None:
    fates = _fates(parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with beside(parts.workspace, "mine") as folder:
        if parts.workspace.source.exists():
            snapshot(parts.workspace.source, folder / "source", known_at=at)
        tables = _tables(folder / "source" / "items", fates)
        write_sealed(path, "mine", tables, secret=parts.keys.secret("lineage"), buckets=_BUCKETS)
    for stale in path.parent.glob("*.sealed"):
        if stale != path:
            stale.unlink(missing_ok=True)


def _fates(parts: Parts) -> Any:
    """Return what the current corpus made of each item; an empty table when there is none."""
    corpus = current(parts.workspace).corpus
    folder = parts.workspace.corpora / str(corpus)
    if corpus is None or not (folder / "manifest.json").exists():
        types = (pa.string(), pa.bool_(), pa.int64(), pa.string())
        return pa.table({n: pa.array([], t) for n, t in zip(("item_id", *_FATE), types, strict=True)})
    sealed = SealedFile(folder / "sealed" / "fates.sealed", "fates", secret=parts.keys.secret("lineage"))
    return pa.concat_tables([table.select(["item_id", *_FATE]) for table in sealed.all()])


def _tables(items: Path, fates: Any) -> Iterator[tuple[int, Any]]:
    """Yield (bucket, rows): a part of the source at a time, so that memory is bounded by one and the decisions."""
    known = fates["item_id"].combine_chunks()
    for part in sorted(items.glob("*.parquet")):
        for batch in pq.ParquetFile(part).iter_batches(_ROWS, columns=[*_COLUMNS, "text"]):
            table = pa.Table.from_batches([batch])
            table = table.filter(pc.is_valid(table["account_id"]))
            places = pc.index_in(table["item_id"], known)
            for name in _FATE:
                table = table.append_column(name, fates[name].take(places))
            short = pc.utf8_slice_codeunits(table["text"], 0, EXCERPT + 1)
            table = table.drop_columns(["text"]).append_column("excerpt", short)
            yield from _by_bucket(table)


def _by_bucket(table: Any) -> Iterator[tuple[int, Any]]:
    accounts = table["account_id"].combine_chunks().dictionary_encode()
    of_account = pa.array([bucket_of(name, _BUCKETS) for name in accounts.dictionary.to_pylist()], pa.int32())
    buckets = of_account.take(accounts.indices)
    order = pc.sort_indices(buckets)
    table, buckets = table.take(order), buckets.take(order)
    runs = pc.run_end_encode(buckets)
    start = 0
    for end, bucket in zip(runs.run_ends.to_pylist(), runs.values.to_pylist(), strict=True):
        yield bucket, table.slice(start, end - start).combine_chunks()
        start = end

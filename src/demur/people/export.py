"""Standing as Parquet: nine files and a commit record whose digest does not know in which order things were recorded.

Streams: memory does not grow with the number of people. Does not decide anything: standing.py does.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from demur.clock import iso, micros
from demur.errors import InputError, OutsideError
from demur.people import schema
from demur.people.dossier import View
from demur.people.instants import adult_cutoff, months_before
from demur.people.renotice import renotices
from demur.people.standing import standing_of
from demur.people.stopping import takes_out
from demur.people.streams import campaign_rows, dossiers
from demur.store import commit_record, digest_json, remove_tree
from demur.store.database import Database
from demur.terms import tables
from demur.terms.holds import Nature
from demur.terms.people import Act

BATCH = 20_000
ADULT_YEARS = 18

FILES: dict[str, Any] = {
    "standing": tables.STANDING,
    "accounts": tables.ACCOUNTS,
    "residence": tables.RESIDENCE,
    "notices": tables.NOTICES,
    "campaigns": tables.CAMPAIGNS,
    "objections": tables.OBJECTIONS,
    "holds": tables.HOLDS,
    "suppressed": tables.SUPPRESSED,
    "suppressed_words": tables.SUPPRESSED_WORDS,
}


class Sheet:
    """One Parquet file being written: appears whole or not, and knows the digest of its rows."""

    def __init__(self, path: Path, kind: Any) -> None:
        self._path = path
        self._kind = kind
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._writer: Any = None
        self._waiting: list[Sequence[Any]] = []
        self._digest = hashlib.sha256()
        self.rows = 0

    def __enter__(self) -> Sheet:
        """Open the part file."""
        self._writer = pq.ParquetWriter(self._part, self._kind, compression="zstd", write_statistics=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Put the file in its place, or remove the part when something failed."""
        if kind is None:
            self._flush()
        self._writer.close()
        if kind is None:
            self._part.replace(self._path)
        else:
            self._part.unlink(missing_ok=True)

    def append(self, row: Sequence[Any]) -> None:
        """Add one row."""
        self._waiting.append(row)
        if len(self._waiting) >= BATCH:
            self._flush()

    def extend(self, rows: Iterable[Sequence[Any]]) -> None:
        """Add rows in the order of the schema, instants as microseconds, dates as days."""
        self._waiting.extend(rows)
        if len(self._waiting) >= BATCH:
            self._flush()

    def facts(self) -> dict[str, Any]:
        """Return number of rows and digest of the content."""
        return {"rows": self.rows, "digest": self._digest.hexdigest()}

    def _flush(self) -> None:
        if not self._waiting:
            return
        lines = [orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in self._waiting]
        self._digest.update(b"".join(lines))
        self.rows += len(self._waiting)
        self._writer.write_batch(batch(self._kind, self._waiting))
        self._waiting = []


def batch(kind: Any, rows: Sequence[Sequence[Any]]) -> Any:
    """Return rows as an Arrow record batch of a schema."""
    columns = list(zip(*rows, strict=True)) or [()] * len(kind)
    arrays = [_array(values, field.type) for values, field in zip(columns, kind, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=kind)


def _array(values: Sequence[Any], kind: Any) -> Any:
    if pa.types.is_timestamp(kind):
        return pa.array(values, pa.int64()).cast(kind)
    if pa.types.is_date(kind):
        return pa.array(values, pa.int32()).cast(kind)
    return pa.array(values, kind)


def view_at(
    connection: sa.Connection,
    as_of: datetime,
    known_at: datetime,
    base_known_at: datetime | None,
    grace_months: int,
    purpose: str | None = None,
) -> tuple[View, dict[str, dict[str, Any]]]:
    """Return from where one looks, and the campaigns as seen from there.

    Raises:
        InputError: the instants are not in order.
    """
    base = as_of if base_known_at is None else base_known_at
    if known_at < base or known_at < as_of:
        raise InputError(
            f"expected known_at at or after as_of and base_known_at ({iso(max(as_of, base))}), found {iso(known_at)}"
        )
    at, known, based = micros(as_of), micros(known_at), micros(base)
    campaigns = campaign_rows(connection, at, known, based)
    view = View(
        as_of=at,
        known_at=known,
        base=based,
        grace_from=micros(months_before(as_of, grace_months)),
        adult_cutoff=adult_cutoff(as_of, ADULT_YEARS),
        campaigns={name: campaign["view"] for name, campaign in campaigns.items()},
        purpose=purpose,
        renotices=renotices(connection, known, purpose),
    )
    return view, campaigns


def export(
    database: Database,
    folder: Path,
    *,
    as_of: datetime,
    known_at: datetime,
    base_known_at: datetime | None,
    grace_months: int,
    purpose: str | None,
) -> dict[str, Any]:
    """Write the nine files and the commit record; see Registry.export."""
    try:
        remove_tree(folder)
        folder.mkdir(parents=True)
        with database.reading() as connection:
            view, campaigns = view_at(connection, as_of, known_at, base_known_at, grace_months, purpose)
            files = _write_people(database, connection, view, folder)
            files["campaigns"] = _write_rows(folder, "campaigns", _campaign_lines(campaigns))
            files["holds"] = _write_rows(folder, "holds", hold_rows(connection, view))
            files["suppressed"] = _write_rows(folder, "suppressed", suppressed_items(connection, view))
            files["suppressed_words"] = _write_rows(folder, "suppressed_words", suppressed_words(connection, view))
    except OSError as error:
        raise OutsideError(
            f"cannot write the standing to {folder.name}: {type(error).__name__}; free space and run it again"
        ) from error
    facts = {
        "as_of": iso(as_of),
        "known_at": iso(known_at),
        "base_known_at": iso(as_of if base_known_at is None else base_known_at),
        "grace_months": grace_months,
        "purpose": purpose,
        "files": {name: files[name] for name in sorted(files)},
    }
    facts["digest"] = digest_json(facts)
    commit_record(folder, facts)
    return facts


def _write_people(database: Database, connection: sa.Connection, view: View, folder: Path) -> dict[str, Any]:
    with (
        _sheet(folder, "standing") as standing,
        _sheet(folder, "accounts") as accounts,
        _sheet(folder, "residence") as residence,
        _sheet(folder, "notices") as notices,
        _sheet(folder, "objections") as objections,
    ):
        for dossier in dossiers(database, connection, view):
            rows = standing_of(dossier, view)
            standing.append(rows.standing)
            accounts.extend(rows.accounts)
            residence.extend(rows.residence)
            notices.extend(rows.notices)
            objections.extend(rows.objections)
    sheets = {"standing": standing, "accounts": accounts, "residence": residence, "notices": notices,
              "objections": objections}  # fmt: skip
    return {name: sheet.facts() for name, sheet in sheets.items()}


def _sheet(folder: Path, name: str) -> Sheet:
    return Sheet(folder / f"{name}.parquet", FILES[name])


def _write_rows(folder: Path, name: str, rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    with _sheet(folder, name) as sheet:
        sheet.extend(rows)
    return sheet.facts()


def _campaign_lines(campaigns: dict[str, dict[str, Any]]) -> Iterable[Sequence[Any]]:
    names = ("status", "purpose", "effective_at", "notice_days", "countries", "kinds")
    return ((campaign, *(facts[name] for name in names)) for campaign, facts in campaigns.items())


def hold_rows(connection: sa.Connection, view: View) -> list[Sequence[Any]]:
    """Return hold events: every placing known by ``known_at``; a lift only by ``as_of`` and known at base.

    A hold that does not stop builds denies no item, nor does a drill; an order to erase has no end.
    """
    table = schema.HOLDS
    names = tables.HOLDS.names
    ordered = set(connection.execute(sa.select(table.c.hold_id).where(table.c.nature == Nature.ORDER.value)).scalars())
    query = sa.select(*(table.c[name] for name in names)).where(
        table.c.recorded_at <= view.known_at, sa.or_(table.c.act == Act.LIFT.value, takes_out())
    )
    rows: list[Sequence[Any]] = []
    for row in connection.execute(query.order_by(table.c.hold_id, table.c.valid_at, table.c.event_id)):
        late = row.recorded_at > view.base or row.valid_at > view.as_of
        if row.act == Act.LIFT and (late or row.hold_id in ordered):
            continue
        lists = {"countries", "services", "kinds"}
        rows.append(tuple(schema.unlisted(v) if name in lists else v for name, v in zip(names, row, strict=True)))
    return rows


def suppressed_items(connection: sa.Connection, view: View) -> Iterator[Sequence[Any]]:
    """Yield item ids that are suppressed: placed as known by ``known_at``, not lifted as known at base."""
    table = schema.ITEM_SUPPRESSIONS
    columns = (table.c.item_id, table.c.origin, table.c.act, table.c.valid_at, table.c.recorded_at)
    query = sa.select(*columns).where(table.c.recorded_at <= view.known_at)
    ordered = query.order_by(table.c.item_id, table.c.valid_at, table.c.act, table.c.event_id)
    for item, rows in groupby(connection.execute(ordered), key=lambda row: row.item_id):
        placed: set[str] = set()
        for row in rows:  # of one instant a lift stands before a placing: in doubt it stays out
            if row.act == Act.PLACE:
                placed.add(row.origin)
            elif row.recorded_at <= view.base and row.valid_at <= view.as_of:
                placed.discard(row.origin)
        if placed:
            yield (item,)


def suppressed_words(connection: sa.Connection, view: View) -> Iterator[Sequence[Any]]:
    """Yield the keyed hashes of suppressed identifiers known by ``known_at``; who comes back is found at import."""
    column = schema.SUPPRESSIONS.c.identifier_hash
    query = sa.select(column).distinct().where(schema.SUPPRESSIONS.c.recorded_at <= view.known_at)
    return ((found,) for found in connection.execute(query.order_by(column)).scalars())

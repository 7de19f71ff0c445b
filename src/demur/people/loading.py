"""Bulk roads into the registry: imported PEOPLE tables and event files, in batches, with flat memory.

Does not decide anything: every fact becomes an event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from demur.clock import micros
from demur.errors import InputError
from demur.people import schema
from demur.people.events import handle_key, read_event
from demur.store.database import BATCH_ROWS, Database, Row
from demur.store.keys import keyed_hash
from demur.terms.people import AgeSource, Status
from demur.terms.tables import PEOPLE

MAX_FAULTS = 1000
"""Faults kept with their line; all are counted."""
MAX_LINE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an import did."""

    people: int
    """Rows or lines read."""
    events: Mapping[str, int]
    """Table → events handed over; those that were there already count too."""
    faults: tuple[str, ...] = ()
    """``line N: what was expected``, the first thousand."""
    faulty: int = 0
    """Rows or lines that could not be read."""


_Batch = dict[str, list[Row]]
_EVIDENCE = frozenset({AgeSource.VERIFIED.value, AgeSource.DECLARED.value, AgeSource.ESTIMATED.value})
_STATUSES = frozenset(status.value for status in Status)
_COLUMNS = ("account_id", "version_at", "service", "person_hint", "handle", "former_handles", "display_name", "contact",
            "place", "country", "born_on", "age_source", "status", "private", "last_active_at", "language", "signal",
            "imported_at")  # fmt: skip


def import_people(database: Database, parts: Iterable[Path], suppression_key: bytes | None) -> Recorded:
    """Record every row of some Parquet parts with schema PEOPLE; see Registry.import_people."""
    suppressed = _suppressed(database) if suppression_key is not None else frozenset()
    counts: Counter[str] = Counter()
    people = 0
    for part in parts:
        for columns in _people(part):
            batch: _Batch = {}
            for row in zip(*columns, strict=True):
                _person(batch, row)
            if suppressed and suppression_key is not None:
                _object_again(batch, suppressed, suppression_key)
            people += len(columns[0])
            _write(database, batch, counts)
    return Recorded(people, dict(counts))


def _people(part: Path) -> Iterator[list[list[Any]]]:
    """Yield batches as lists of plain values; instants as microseconds, dates as days."""
    try:
        file = pq.ParquetFile(part)
        missing = sorted(set(_COLUMNS) - set(file.schema_arrow.names))
        if missing:
            raise InputError(f"expected the PEOPLE columns in {part.name}, found none of: {', '.join(missing)}")
        for batch in file.iter_batches(BATCH_ROWS, columns=list(_COLUMNS)):
            yield [_plain(batch.column(name), PEOPLE.field(name).type) for name in _COLUMNS]
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"expected a whole Parquet file in {part}, found a damaged or missing one; import it again"
        ) from error


def _plain(column: Any, kind: Any) -> list[Any]:
    if pa.types.is_timestamp(kind):
        column = column.cast(kind).cast(pa.int64())
    elif pa.types.is_date(kind):
        column = column.cast(kind).cast(pa.int32())
    values: list[Any] = column.to_pylist()
    return values


def _person(batch: _Batch, row: tuple[Any, ...]) -> None:
    """Turn one account as imported into events; a word that is none of ours is the one that protects."""
    (account, version_at, service, hint, handle, former, name, contact, place, country, born_on, age_source, status,
     private, last_active_at, language, signal, recorded_at) = row  # fmt: skip
    person = account if hint is None else f"{service}:{hint}"
    if status is not None and status not in _STATUSES:
        status = Status.SUSPENDED.value

    def add(table: Any, *values: Any) -> None:
        batch.setdefault(table.name, []).append(schema.event(*values, recorded_at=recorded_at))

    add(schema.ACCOUNTS, account, service, person, None)
    # In the order of the table: handle, its key, name, language, status, private, signal, last sign of life, since.
    add(schema.PROFILES, account, handle, handle_key(handle), name, language, status, private, signal, last_active_at,
        version_at)  # fmt: skip
    for old in former or ():
        add(schema.PROFILES, account, old, handle_key(old), None, None, None, None, None, None, None)
    if contact:
        add(schema.CONTACTS, person, contact, version_at)
    if country is not None or place:  # a place of no known country: they live there no more than was told before
        add(schema.RESIDENCES, person, country or None, version_at, None, account)
    if born_on is not None:  # without a source it can only cast doubt
        add(schema.AGES, person, born_on, age_source if age_source in _EVIDENCE else AgeSource.ESTIMATED.value)


def _suppressed(database: Database) -> frozenset[str]:
    import sqlalchemy as sa

    with database.reading() as connection:
        return frozenset(connection.execute(sa.select(schema.SUPPRESSIONS.c.identifier_hash)).scalars())


def identifier_hash(key: bytes, identifier: str) -> str:
    """Return the keyed hash under which an identifier is suppressed (PPL-09)."""
    return keyed_hash(key, "suppression", identifier.strip().lstrip("@").casefold()).hex()


def _object_again(batch: _Batch, suppressed: frozenset[str], key: bytes) -> None:
    """Whoever comes back under a suppressed account, handle or address objects again, through the door suppression."""
    owner: dict[str, str] = {row[0]: row[3] for row in batch.get("accounts", ())}
    names: list[tuple[str, str, int]] = [(row[0], row[3], row[-1]) for row in batch.get("accounts", ())]
    names += [(row[2], owner[row[0]], row[-1]) for row in batch.get("profiles", ()) if row[2]]
    names += [(row[2], row[0], row[-1]) for row in batch.get("contacts", ())]
    for identifier, person, recorded_at in names:
        if identifier_hash(key, identifier) in suppressed:
            reference = f"S-{identifier_hash(key, person)[:16]}"
            row = schema.event(
                person, reference, "object", None, None, "suppression", recorded_at, recorded_at=recorded_at
            )
            batch.setdefault("objections", []).append(row)


def _write(database: Database, batch: _Batch, counts: Counter[str]) -> None:
    with database.writing() as connection:
        for name in sorted(batch):  # one order of tables for every writer
            database.write(connection, schema.BY_NAME[name], batch[name])
            counts[name] += len(batch[name])


def record(
    database: Database,
    events: Iterable[tuple[int, Any]],
    recorded_at: datetime,
    *,
    not_before: datetime | None = None,
) -> Recorded:
    """Record numbered events; one that does not fit becomes a fault and stops nothing.

    An event that says it was recorded by ``not_before`` comes late: it is recorded now, valid when it says.
    """
    at = micros(recorded_at)
    late = None if not_before is None else micros(not_before)
    counts: Counter[str] = Counter()
    faults: list[str] = []
    faulty = seen = waiting = 0
    batch: _Batch = {}
    for number, event in events:
        seen += 1
        try:
            table, row = read_event(event, at)
        except InputError as error:
            faulty += 1
            faults.extend(f"line {number}: {fault}" for fault in error.faults or (str(error),))
            del faults[MAX_FAULTS:]
            continue
        if late is not None and row[-1] <= late:
            row = (*row[:-1], at)
        batch.setdefault(table.name, []).append(row)
        waiting += 1
        if waiting >= BATCH_ROWS:
            _write(database, batch, counts)
            batch, waiting = {}, 0
    _write(database, batch, counts)
    return Recorded(seen, dict(counts), tuple(faults), faulty)


def numbered_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """Yield line number and a JSON value of each line that is not blank; what is no JSON comes as ``None``."""
    try:
        with path.open("rb") as stream:
            number = 0
            while line := stream.readline(MAX_LINE_BYTES):
                number += 1
                if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                        pass
                    yield number, None
                elif line.strip():
                    yield number, _json(line)
    except OSError as error:
        raise InputError(f"expected a readable event file at {path}, found none; check the path") from error


def _json(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None

"""Parquet, CSV and JSON lines with a mapping file: what a platform's lakehouse has.

Guesses nothing: what the mapping does not say is null, a value that it does not map is quarantined.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatch
from functools import partial
from math import isnan
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from demur.errors import InputError
from demur.intake import archive, jsonstream
from demur.intake.check import latest_instant
from demur.intake.exports import guarded
from demur.intake.fediverse import Fault
from demur.intake.mapping import RULES
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row, Unreadable
from demur.intake.taken import taken_away
from demur.intake.text import repaired
from demur.terms.content import ItemState

_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_FIELD_BYTES = 16 * 2**20
_TWITTER_EPOCH_MS = 1_288_834_974_657
"""A Twitter id holds its date: ``(id >> 22)`` milliseconds after this instant."""
_IDS = frozenset({"item_id", "account_id", "parent_id", "original_id", "container_id", "co_account_ids", "mentions"})
_EXACT = 2**53
"""Whole numbers up to it are exact as a double."""
_CLOCK = re.compile(r"%-?[HIMSfpXcTRrs]")
"""What of a pattern tells more than the day."""
_UNITS = {"unix_s": 1, "unix_ms": 1_000, "unix_us": 1_000_000}

Record = Mapping[str, Any]


class Table:
    """Reads tables as the mapping says."""

    name = "table"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return every table in files and folders.

        Raises:
            InputError: a path holds none.
        """
        found = []
        for path in paths:
            files = (
                [path] if path.is_file() else sorted(f for f in path.rglob("*") if _plain(f.name).endswith(_ENDINGS))
            )
            if not files:
                raise InputError(f"expected {', '.join(_ENDINGS)} in {path.name}, found none")
            # the mapping chooses by the file's name, so the name is part of what the rows depend on
            found += [Input((file,), None, {"file": file.name}) for file in files]
        return found

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one table.

        Raises:
            InputError: there is no mapping.
        """
        if context.mapping is None or "tables" not in context.mapping:
            raise InputError("expected a mapping for the source table, found none; give one (docs/intake.md)")
        name = _plain(given.path.name)
        makers = [_maker(table, context) for table in context.mapping["tables"] if fnmatch(name, table["files"])]
        if not makers:
            context.ignore("file that the mapping does not name")
            return
        for record in _records(given.path, name, context):
            if isinstance(record, Unreadable):
                yield record
                continue
            for make in makers:
                yield from guarded(record, context, make)


def _plain(name: str) -> str:
    return name.removesuffix(".gz").removesuffix(".zst")


def _records(path: Path, name: str, context: Context) -> Iterator[Record | Unreadable]:
    if name.endswith(".parquet"):
        yield from _parquet(path, context)
        return
    with archive.opened(path) as stream:
        if name.endswith((".jsonl", ".ndjson")):
            for found in jsonstream.lines(stream, context, path.name):
                plain = isinstance(found, dict | Unreadable)
                yield found if plain else context.unreadable("wrong_type", "an object a line", repr(found))
        else:
            yield from _csv(stream, path.name, name.endswith(".tsv"), context)


def _parquet(path: Path, context: Context) -> Iterator[Record | Unreadable]:
    context.at(path.name, "footer")
    number = 0
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=8_192):
            for record in batch.to_pylist():
                number += 1
                context.at(path.name, f"row {number}")
                yield record
    except (pa.ArrowException, OSError):
        yield context.unreadable("malformed_table", "a Parquet file that can be read to its end")


def _csv(stream: BinaryIO, path: str, tabs: bool, context: Context) -> Iterator[Record | Unreadable]:
    assert context.mapping is not None
    csv.field_size_limit(_FIELD_BYTES)
    # bytes that are no UTF-8 come through as half characters, and the row that holds them is quarantined later
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    delimiter = "\t" if tabs else context.mapping.get("delimiter", ",")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    header: list[str] | None = None
    number = 0
    try:
        for fields in reader:
            context.at(path, f"row {number}, line {reader.line_num}")
            if header is None:
                header = fields
            elif len(fields) == len(header):
                yield dict(zip(header, fields, strict=True))
            elif fields:
                yield context.unreadable("malformed_table", f"{len(header)} fields", repr(fields))
            number += 1
    except csv.Error as error:
        cut = "unexpected end" in str(error)
        context.at(path, f"row {number}, line {reader.line_num}")
        yield context.unreadable("truncated" if cut else "malformed_table", "CSV as RFC 4180 describes it")
    text.detach()


def _maker(table: Mapping[str, Any], context: Context) -> Callable[[Record], Iterator[Row]]:
    """Return what makes a row of ours out of a record of theirs; of one that has a fault, what it takes away."""
    assert context.mapping is not None
    service, repair = context.mapping["service"], bool(context.mapping.get("repair_mojibake", False))
    latest = latest_instant(context.imported_at)
    types = {field.name: field.type for field in RULES[table["rows"]].schema}
    columns = [
        (name, [partial(_value, _Column(name, types[name], service, repair), way) for way in _ways(given)])
        for name, given in table["columns"].items()
    ]
    row_type = ItemRow if table["rows"] == "items" else PersonRow
    dated = _ways(table["columns"].get("version_at", []))

    def make(record: Record) -> Iterator[Row]:
        row, faults = row_type(service=service), []
        for name, ways in columns:
            try:
                row[name] = next((value for way in ways if (value := way(record)) is not None), None)
            except Fault as fault:
                faults.append(fault)
        if row.get("state") == ItemState.DELETED and row.get("version_at") is not None:
            row["version_at"] = _ended(dated, record, row["version_at"], latest)
        if not faults:
            yield row
            return
        yield context.unreadable(faults[0].reason, faults[0].expected, repr(record))
        left = taken_away(row, latest)
        if left is not None:
            yield left

    return make


def _ways(given: Any) -> list[Mapping[str, Any]]:
    return given if isinstance(given, list) else [given]


class _Column(NamedTuple):
    """A column of ours that a mapping fills."""

    name: str
    kind: Any
    """Its Arrow type."""
    service: str
    repair: bool


def _value(column: _Column, way: Mapping[str, Any], record: Record) -> Any:
    """Return the value of one column, or ``None``."""
    kind = column.kind
    if "value" in way:
        return way["value"]
    value = _found(way, record, column.name)
    if isinstance(value, str) and column.repair:
        value = repaired(value)
    if _missing(way, value):
        return None
    if "map" in way:
        return _mapped(way, value)
    if "date" in way:
        return _instant(way, value, day=pa.types.is_date(kind))
    if pa.types.is_list(kind):
        entries = value.split(way.get("split", ",")) if isinstance(value, str) else value
        return [_text(column, way, entry) for entry in entries] or None
    return _text(column, way, value) if pa.types.is_string(kind) else _plain_value(kind, value)


def _missing(way: Mapping[str, Any], value: Any) -> bool:
    """Return whether a value means nothing: none, one that the mapping calls so, or NaN, as programs write missing."""
    return value is None or (isinstance(value, float) and isnan(value)) or value in way.get("null", ("",))


def _found(way: Mapping[str, Any], record: Record, column: str) -> Any:
    given = way["from"]
    names = given if isinstance(given, list) else [given]
    missing = [name for name in names if name not in record]
    if missing:
        raise Fault("malformed_table", "the columns that the mapping names")
    if isinstance(given, str):
        return record[given]
    parts = (record[name] for name in names if not _missing({}, record[name]))
    return way["join"].join(str(_whole(part) if column in _IDS else part) for part in parts) or None


def _mapped(way: Mapping[str, Any], value: Any) -> Any:
    key = str(value).lower() if isinstance(value, bool) else str(value)
    if key in way["map"]:
        return way["map"][key]
    if "default" in way:
        return way["default"]
    raise Fault("unmapped_value", "a value that the mapping names")


def _text(column: _Column, way: Mapping[str, Any], value: Any) -> str:
    if isinstance(value, bool | dict | list):
        raise Fault("wrong_type", "text")
    text = f"{way.get('prefix', '')}{_whole(value) if column.name in _IDS else value}"
    return f"{column.service}:{text}" if column.name in _IDS else text


def _whole(value: Any) -> Any:
    """Return a number without a fraction as it was meant: programs write a column of ids as 17.0 if one is missing.

    Raises:
        Fault: it is so great that its last digits are lost, or has a fraction: as an id it may be somebody else's.
    """
    if not isinstance(value, float):
        return value
    if not value.is_integer() or abs(value) > _EXACT:
        raise Fault("missing_id", "an id with all its digits")
    return int(value)


def _plain_value(kind: Any, value: Any) -> Any:
    try:
        if pa.types.is_floating(kind):
            return float(value)
        if pa.types.is_boolean(kind):
            return {"true": True, "1": True, "false": False, "0": False}[str(value).lower()]
    except (TypeError, ValueError, KeyError):
        raise Fault("wrong_type", "a number, or true or false") from None
    return value


def _instant(way: Mapping[str, Any], value: Any, *, day: bool) -> datetime | date:
    """Return an instant in UTC, or the day that is written there."""
    written = way["date"]
    try:
        if isinstance(value, datetime):
            found = value
        elif isinstance(value, date):
            found = datetime(value.year, value.month, value.day)  # noqa: DTZ001  (its zone is set below)
        elif written == "iso":
            found = datetime.fromisoformat(value)
        elif written == "twitter_id":
            found = datetime.fromtimestamp(((int(value) >> 22) + _TWITTER_EPOCH_MS) / 1_000, tz=UTC)
        elif written in _UNITS:
            found = datetime.fromtimestamp(float(value) / _UNITS[written], tz=UTC)
        else:
            found = datetime.strptime(value, written)  # noqa: DTZ007  (its zone is set below)
        return _there(way, found).date() if day else _there(way, found).astimezone(UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        raise Fault("not_a_date", "an instant as the mapping says") from None


def _there(way: Mapping[str, Any], found: datetime) -> datetime:
    """Return an instant in the zone that the mapping names; without one, in UTC or as it is written."""
    zone = ZoneInfo(way["zone"]) if "zone" in way else None
    if found.tzinfo is None:
        return found.replace(tzinfo=zone or UTC)
    return found.astimezone(zone) if zone else found


def _ended(ways: Sequence[Mapping[str, Any]], record: Record, at: datetime, latest: datetime) -> datetime:
    """Return the instant of a deletion; of a day alone its end: it is after what else the day saw."""
    way = next(way for way in ways if "value" in way or not _missing(way, _found(way, record, "version_at")))
    if not _a_day(way, _found(way, record, "version_at")):
        return at
    begun = _there(way, at).replace(tzinfo=None)
    end = _there(way, begun + timedelta(days=1)).astimezone(UTC) - timedelta(microseconds=1)
    return max(at, min(end, latest))


def _a_day(way: Mapping[str, Any], value: Any) -> bool:
    written = way["date"]
    if not isinstance(value, str):
        return isinstance(value, date) and not isinstance(value, datetime)
    return len(value) <= len("2026-01-01") if written == "iso" else "%" in written and not _CLOCK.search(written)

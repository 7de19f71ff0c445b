"""Parquet, CSV and JSON lines with a mapping file: what a platform's lakehouse has.

Guesses nothing: what the mapping does not say is null, a value that it does not map is quarantined.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from demur.errors import InputError
from demur.intake import archive, jsonstream
from demur.intake.exports import guarded
from demur.intake.fediverse import Fault
from demur.intake.mapping import RULES
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row, Unreadable
from demur.intake.text import repaired

_ENDINGS = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet")
_FIELD_BYTES = 16 * 2**20
_TWITTER_EPOCH_MS = 1_288_834_974_657
"""A Twitter id holds its date: ``(id >> 22)`` milliseconds after this instant."""
_IDS = frozenset({"item_id", "account_id", "parent_id", "original_id", "container_id", "co_account_ids", "mentions"})
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
        makers = [
            _maker(table, context.mapping) for table in context.mapping["tables"] if fnmatch(name, table["files"])
        ]
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


def _maker(table: Mapping[str, Any], mapping: Mapping[str, Any]) -> Callable[[Record], list[Row]]:
    """Return what makes a row of ours, and no other, out of a record of theirs."""
    service, repair = mapping["service"], bool(mapping.get("repair_mojibake", False))
    types = {field.name: field.type for field in RULES[table["rows"]].schema}
    columns = [
        (name, [partial(_value, _Column(name, types[name], service, repair), way) for way in _ways(given)])
        for name, given in table["columns"].items()
    ]
    row_type = ItemRow if table["rows"] == "items" else PersonRow

    def make(record: Record) -> list[Row]:
        row = row_type(service=service)
        for name, ways in columns:
            row[name] = next((value for way in ways if (value := way(record)) is not None), None)
        return [row]

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
    value = _found(way, record)
    if isinstance(value, str) and column.repair:
        value = repaired(value)
    if value is None or value in way.get("null", ("",)):
        return None
    if "map" in way:
        return _mapped(way, value)
    if "date" in way:
        return _instant(way, value, day=pa.types.is_date(kind))
    if pa.types.is_list(kind):
        entries = value.split(way.get("split", ",")) if isinstance(value, str) else value
        return [_text(column, way, entry) for entry in entries] or None
    return _text(column, way, value) if pa.types.is_string(kind) else _plain_value(kind, value)


def _found(way: Mapping[str, Any], record: Record) -> Any:
    given = way["from"]
    names = given if isinstance(given, list) else [given]
    missing = [name for name in names if name not in record]
    if missing:
        raise Fault("malformed_table", "the columns that the mapping names")
    if isinstance(given, str):
        return record[given]
    parts = [str(record[name]) for name in names if record[name] not in (None, "")]
    return way["join"].join(parts) or None


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
    text = f"{way.get('prefix', '')}{value}"
    return f"{column.service}:{text}" if column.name in _IDS else text


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
        return found.date() if day else _in_utc(way, found)
    except (TypeError, ValueError, OverflowError, OSError):
        raise Fault("not_a_date", "an instant as the mapping says") from None


def _in_utc(way: Mapping[str, Any], found: datetime) -> datetime:
    zone = ZoneInfo(way["zone"]) if "zone" in way else UTC
    return (found.replace(tzinfo=zone) if found.tzinfo is None else found).astimezone(UTC)

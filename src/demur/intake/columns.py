"""Checks and names many rows at once: what check.py does for a row, for columns. Pure; says only "all good" or "look".

A batch that is not plainly good in every row is not judged here: its rows then go through check.py one by one, so
that there is one place that tells faults.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import repeat
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from demur.intake.check import EARLIEST, ID_LENGTH, ITEM_RULES, TEXT_BYTES, TableRules, latest_instant

Columns = Mapping[str, Any]
_INSTANT_NAMES = frozenset(ITEM_RULES.instants)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return rows as the columns of an ``ItemBatch``; ``None`` = an instant is not in UTC, and ids hold its text."""
    columns: dict[str, Any] = {}
    for name in set().union(*rows):
        values = [row.get(name) for row in rows]
        if name in _INSTANT_NAMES:
            if any(value is not None and (type(value) is not datetime or value.tzinfo is not UTC) for value in values):
                return None
            plain = [value if value is None else value.replace(tzinfo=None) for value in values]
            columns[name] = np.array(plain, dtype="datetime64[us]")
        else:
            columns[name] = values
    return columns


def whole_table(rules: TableRules, columns: Columns, rows: int, imported_at: datetime) -> Any:
    """Return a batch as a table with its version ids, or ``None`` if not every row is plainly good.

    Args:
        rules: of the table.
        columns: as in ``ItemBatch``, completed by what the writer adds to each row.
        rows: number of rows.
        imported_at: the present instant.
    """
    if not rows or rules.identity not in columns or not rules.known.issuperset(columns):
        return None
    try:
        words = all(_words_good(columns.get(name), allowed) for name, (allowed, _) in rules.words.items())
        if not words or not _names_good(columns[rules.identity]):
            return None
        arrays = {name: _array(column, rules.schema.field(name).type, rows) for name, column in columns.items()}
        good = all(_array_good(name, array, imported_at) for name, array in arrays.items())
        ids = version_ids(columns, rows) if good else b""
    except (TypeError, ValueError, OverflowError, pa.ArrowException):
        return None
    if not good:
        return None
    arrays["version_id"] = _hexadecimal(ids, rows)
    arrays["imported_at"] = _array(imported_at, rules.schema.field("imported_at").type, rows)
    filled = [arrays.get(field.name) for field in rules.schema]
    whole = [
        pa.nulls(rows, field.type) if array is None else array
        for field, array in zip(rules.schema, filled, strict=True)
    ]
    return pa.Table.from_arrays(whole, schema=rules.schema)


def _names_good(names: list[str]) -> bool:
    return all(names) and "" not in map(str.strip, names) and max(map(len, names)) <= ID_LENGTH


def _words_good(column: Any, allowed: frozenset[str]) -> bool:
    return (set(column) if isinstance(column, list) else {column}) - {None} <= allowed


def _array(column: Any, kind: Any, rows: int) -> Any:
    if isinstance(column, np.ndarray):
        return pa.array(column, type=pa.timestamp("us")).cast(kind)
    if isinstance(column, list):
        if pa.types.is_timestamp(kind):
            raise TypeError("expected an array of instants")
        if pa.types.is_list(kind) and not all(value is None or isinstance(value, list) for value in column):
            raise TypeError("expected lists")
        return pa.array(column, type=kind)
    return pa.nulls(rows, kind) if column is None else pa.repeat(pa.scalar(column, kind), rows)


def _array_good(name: str, array: Any, imported_at: datetime) -> bool:
    """Return whether each value is one that check.py lets through."""
    if pa.types.is_list(array.type):
        array = array.values
    if len(array) == array.null_count:
        return True
    if pa.types.is_string(array.type):
        _, ends, content = array.buffers()
        lengths = np.diff(np.frombuffer(ends, np.int32)[array.offset : array.offset + len(array) + 1])
        return int(lengths.max()) <= TEXT_BYTES and (content is None or b"\0" not in content.to_pybytes())
    if pa.types.is_timestamp(array.type) and name != "expires_at":
        micros = array.drop_null().cast(pa.int64()).to_numpy()
        return _micros(EARLIEST) <= int(micros.min()) and int(micros.max()) <= _micros(latest_instant(imported_at))
    return not pa.types.is_floating(array.type) or bool(np.isfinite(array.drop_null().to_numpy()).all())


def _micros(instant: datetime) -> int:
    return int(pa.scalar(instant, pa.timestamp("us", tz="UTC")).value)


def version_ids(columns: Columns, rows: int) -> bytes:
    """Return 16 bytes a row: exactly ``TableRules.version_id``, written down column by column.

    Raises:
        TypeError: a value is of no type that the table has, or text holds half a character.
    """
    names = sorted(columns)
    # members are told apart by commas: one member that every row has bears none, those before and after it one each
    middle = next(at for at, name in enumerate(names) if _never_null(columns[name]))
    parts = [
        _members(name, columns[name], b"," if at > middle else b"", b"," if at < middle else b"")
        for at, name in enumerate(names)
    ]
    join = b"".join
    return join(
        [hashlib.sha256(join(row)).digest()[:16] for row in zip(repeat(b"{", rows), *parts, repeat(b"}"), strict=False)]
    )


def _never_null(column: Any) -> bool:
    return (
        not isinstance(column, np.ndarray) and column is not None and not (isinstance(column, list) and None in column)
    )


def _members(name: str, column: Any, before: bytes, after: bytes) -> Iterator[bytes]:
    head = before + orjson.dumps(name) + b":"
    if isinstance(column, np.ndarray):
        return iter(_instants(head, column, after))
    if not isinstance(column, list):
        return repeat(b"" if column is None else head + orjson.dumps(column) + after)
    dumps = orjson.dumps
    if name not in _DISTINCT and not isinstance(next((v for v in column if v is not None), None), list):
        # words, accounts and parents come again and again
        written = {value: head + dumps(value) + after for value in set(column)} | {None: b""}
        return iter([written[value] for value in column])
    return iter([b"" if value is None else head + dumps(value) + after for value in column])


_DISTINCT = ("item_id", "account_id", "text", "rating")
"""Columns whose values are written one by one: many different ones, or equal ones that are written differently."""
_SECONDS, _LENGTH = 19, 26
"""Length of an instant without and with its fraction."""


def _instants(head: bytes, instants: Any, after: bytes) -> list[bytes]:
    """Return instants as orjson writes aware ones: no fraction where it is zero."""
    end = b'+00:00"' + after
    size = len(head) + 1
    form = np.frombuffer(head + b'"' + bytes(_LENGTH) + end, np.uint8)
    whole = np.tile(form, (len(instants), 1))
    texts = np.datetime_as_string(instants, unit="us").astype(f"S{_LENGTH}")
    whole[:, size : size + _LENGTH] = texts.view(np.uint8).reshape(-1, _LENGTH)
    found: list[bytes] = whole.view(f"S{len(form)}").reshape(-1).tolist()
    for at in np.flatnonzero(instants.astype("datetime64[s]") == instants).tolist():
        found[at] = found[at][: size + _SECONDS] + end
    for at in np.flatnonzero(np.isnat(instants)).tolist():
        found[at] = b""
    return found


def _hexadecimal(ids: bytes, rows: int) -> Any:
    """Return 16-byte ids as an array of 32 hex digits each."""
    ends = np.arange(0, 32 * rows + 1, 32, dtype=np.int32)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(ends), pa.py_buffer(ids.hex().encode()))

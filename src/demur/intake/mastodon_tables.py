r"""The tables of a Mastodon database out of a dump (pg_dump's plain text) or of CSV files. Knows no meaning.

A dump of pg_dump holds ``COPY public.accounts (id, username, …) FROM stdin;`` and a line a row up to ``\.``
(PostgreSQL, COPY, Text Format); CSV files are named after their tables. A dump in the custom format is turned into
text by ``pg_restore -f``.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from demur.intake import archive
from demur.intake.source import Context, Unreadable

_COPY = re.compile(rb'COPY (?:"?\w+"?\.)?"?(\w+)"? \(([^)]*)\) FROM stdin;\s*$')
_ESCAPE = re.compile(rb"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_PLAIN = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
LINE_BYTES = 64 * 2**20

Record = Mapping[str, str | None]
Wanted = Mapping[str, tuple[str, ...]]
"""Table → the columns that are read; another table is passed over, a missing column is null."""


def records(file: Path, wanted: Wanted, context: Context) -> Iterator[tuple[str, Record] | Unreadable]:
    """Yield table and row of everything that is wanted in one file."""
    with archive.opened(file) as stream:
        name = file.name.removesuffix(".gz").removesuffix(".zst")
        if name.endswith(".csv"):
            yield from _csv(stream, name.removesuffix(".csv").rpartition(".")[2], wanted, context)
        else:
            yield from _dump(stream, name, wanted, context)


def _dump(stream: BinaryIO, name: str, wanted: Wanted, context: Context) -> Iterator[tuple[str, Record] | Unreadable]:
    number, found = 0, False
    while line := stream.readline(LINE_BYTES):
        number += 1
        head = _COPY.match(line) if line.startswith(b"COPY ") else None
        if head is None:
            continue
        found = True
        table = head[1].decode()
        columns = [column.strip().strip('"') for column in head[2].decode("utf-8", "replace").split(",")]
        number = yield from _rows(stream, (name, number), table, columns, wanted, context)
        if number < 0:
            return
    if not found:
        context.at(name, "start")
        yield context.unreadable("not_content", "a plain dump of pg_dump with COPY; pg_restore -f makes one of others")


def _rows(
    stream: BinaryIO, place: tuple[str, int], table: str, columns: list[str], wanted: Wanted, context: Context
) -> Generator[Any, None, int]:
    """Yield the rows of one COPY; return the number of its last line, or -1 where the file ends before it does."""
    name, number = place
    places = {column: columns.index(column) for column in wanted.get(table, ()) if column in columns}
    while line := stream.readline(LINE_BYTES):
        number += 1
        if line.rstrip(b"\r\n") == b"\\.":
            return number
        if table not in wanted:
            continue
        context.at(name, f"line {number}, {table}")
        fields = line.removesuffix(b"\n").split(b"\t")
        if len(fields) != len(columns):
            yield context.unreadable("malformed_table", f"{len(columns)} fields", line)
            continue
        try:
            yield table, {column: _value(fields[at]) for column, at in places.items()}
        except UnicodeDecodeError:
            yield context.unreadable("not_utf8", "text in UTF-8", line)
    context.at(name, f"line {number}, {table}")
    yield context.unreadable("truncated", "the end of the table")
    return -1


def _value(raw: bytes) -> str | None:
    if raw == b"\\N":
        return None
    return (_ESCAPE.sub(_escaped, raw) if b"\\" in raw else raw).decode("utf-8")


def _escaped(found: re.Match[bytes]) -> bytes:
    told = found[1]
    if told[:1] == b"x" and len(told) > 1:
        return bytes([int(told[1:], 16)])
    if told[:1].isdigit() and told[:1] < b"8":
        return bytes([int(told, 8) & 0xFF])
    return _PLAIN.get(told, told)


def _csv(stream: BinaryIO, table: str, wanted: Wanted, context: Context) -> Iterator[tuple[str, Record] | Unreadable]:
    """Yield the rows of a table as ``COPY … CSV HEADER`` writes it: an empty field without quotes is null."""
    if table not in wanted:
        context.ignore(f"table {table}")
        return
    csv.field_size_limit(LINE_BYTES)
    text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="")
    reader = csv.DictReader(text, strict=True)
    context.at(f"{table}.csv", "line 1")
    if "id" not in (reader.fieldnames or ()) and table != "mentions":
        yield context.unreadable("not_content", f"the table {table} with its header")
        return
    try:
        for record in reader:
            context.at(f"{table}.csv", f"line {reader.line_num}")
            if None in record or None in record.values():
                yield context.unreadable("malformed_table", "as many fields as the header has", repr(record))
            else:
                yield table, {column: record.get(column) or None for column in wanted[table] if column in record}
    except csv.Error as error:
        cut = "unexpected end" in str(error)
        yield context.unreadable("truncated" if cut else "malformed_table", "CSV as RFC 4180 describes it")
    finally:
        text.detach()

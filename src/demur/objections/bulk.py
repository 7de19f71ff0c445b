"""Lists of objections: CSV or JSON lines, each line one person. A line that names nobody is the only one not taken.

Whatever else a line says that cannot be read makes it an objection to everything, now (OBJ-02). Writes nothing.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import orjson

from demur.clock import parse

NAMES = ("person_id", "account_id", "handle", "contact")
"""Columns or members that say who; one is enough."""
_DAY = timedelta(days=1, microseconds=-1)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list."""

    number: int
    claim: Mapping[str, str]
    """Empty: the line names nobody."""
    kinds: tuple[str, ...] | None = None
    services: tuple[str, ...] | None = None
    said_at: datetime | None = None


def read_lines(text: str) -> Iterator[Line]:
    r"""Yield the lines of a list; JSON lines when the first sign is a brace, else CSV with a head.

    >>> [line.claim for line in read_lines("account_id,kinds\nm:1,photo;reel\n")]
    [{'account_id': 'm:1'}]
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    rows = _json_rows(text) if text.lstrip().startswith("{") else _csv_rows(text)
    for number, row in rows:
        claim = {name: row[name].strip() for name in NAMES if isinstance(row.get(name), str) and row[name].strip()}
        yield Line(number, claim, _listed(row.get("kinds")), _listed(row.get("services")), said_at(row.get("said_at")))


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield rows with the number of their last line; where a quotation mark was forgotten, each line is read alone."""
    head, *lines = (f"{line}\n" for line in text.split("\n"))
    mark = "\t" if "\t" in head[:4096] else ","
    names = _head(head, mark)
    reader = csv.reader(lines, delimiter=mark)
    done = 0
    try:
        for cells in reader:
            first, done = done, reader.line_num
            if done - first > 1 and _is_spoiled(lines[first:done], cells, names, mark):
                yield from _alone(lines, first, done, names, mark)
            elif cells:
                yield done + 1, dict(zip(names, cells, strict=False))
    except csv.Error:  # a field beyond the limit: that quotation mark again
        yield from _alone(lines, done, len(lines), names, mark)


def _head(line: str, mark: str) -> list[str]:
    try:
        cells = next(csv.reader([line], delimiter=mark, strict=True), [])
    except csv.Error:  # here, too, one may be forgotten
        cells = [cell.strip().strip('"') for cell in line.split(mark)]
    return [cell.strip().lower() for cell in cells]


def _is_spoiled(lines: Sequence[str], cells: Sequence[str], names: Sequence[str], mark: str) -> bool:
    """Return whether lines are one row only because a quotation mark was forgotten.

    A name never goes over several lines, the last mark closes a cell, and a swallowed line with a cell for each
    column is a row; only the line that ends a first cell looks so, too.
    """
    if any("\n" in cell for name, cell in zip(names, cells, strict=False) if name in NAMES):
        return True
    try:
        next(csv.reader(lines, delimiter=mark, strict=True))
    except csv.Error:
        return True
    swallowed = lines[1:-1] if "\n" in cells[0] else lines[1:]
    return any(len(_cells(line, mark)) == len(names) for line in swallowed)


def _alone(
    lines: Sequence[str], first: int, last: int, names: Sequence[str], mark: str
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines[first:last], start=first + 2):
        if line.strip():
            yield number, dict(zip(names, _cells(line, mark), strict=False))


def _cells(line: str, mark: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=mark), [])
    except csv.Error:
        return []


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError:
            row = {}
        yield number, row if isinstance(row, dict) else {}


def _listed(value: Any) -> tuple[str, ...] | None:
    """Return the names in a list or a text parted by semicolons; ``None`` = everything."""
    if isinstance(value, str):
        value = value.split(";")
    if not isinstance(value, list):
        return None
    return tuple(one.strip() for one in value if isinstance(one, str) and one.strip()) or None


def said_at(text: Any) -> datetime | None:
    """Return when something was said, of a day alone its end: a withdrawal earlier on that day takes nothing back.

    >>> said_at("2026-05-01").isoformat(), said_at("then")
    ('2026-05-01T23:59:59.999999+00:00', None)
    """
    try:
        told = text.strip() if isinstance(text, str) else ""
        found = parse(told) if told else None
        return found + _DAY if found and len(told) <= len("2026-05-01") else found
    except (ValueError, OverflowError):
        return None

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
    """Yield rows with the number of their last line.

    A name never goes over several lines: where one does, a quotation mark was forgotten, and each line is read alone.
    """
    lines = [f"{line}\n" for line in text.split("\n")]
    mark = "\t" if "\t" in lines[0][:4096] else ","
    names = [name.strip().strip('"').lower() for name in lines[0].split(mark)]
    reader = csv.DictReader(lines[1:], names, delimiter=mark, restkey="", strict=False)
    done = 0
    try:
        for row in reader:
            if any("\n" in str(row.get(name)) for name in NAMES):
                yield from _alone(lines, done + 1, reader.line_num + 1, names, mark)
            else:
                yield reader.line_num + 1, row
            done = reader.line_num
    except csv.Error:  # a field beyond the limit: that quotation mark again
        yield from _alone(lines, done + 1, len(lines), names, mark)


def _alone(
    lines: Sequence[str], first: int, last: int, names: Sequence[str], mark: str
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(lines[first:last], start=first + 1):
        if not line.strip():
            continue
        try:
            yield number, next(csv.DictReader([line], names, delimiter=mark, restkey="", strict=False))
        except csv.Error:
            yield number, {}


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

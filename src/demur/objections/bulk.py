"""Lists of objections: CSV or JSON lines, each line one person. A line that names nobody is the only one not taken.

Whatever else a line says that cannot be read makes it an objection to everything, now (OBJ-02). Writes nothing.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from demur.clock import parse

NAMES = ("person_id", "account_id", "handle", "contact")
"""Columns or members that say who; one is enough."""
MAX_LINES = 1_000_000


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
    text = text.removeprefix("\ufeff")
    rows = _json_rows(text) if text.lstrip().startswith("{") else _csv_rows(text)
    for number, row in rows:
        if number > MAX_LINES:
            return
        claim = {name: row[name].strip() for name in NAMES if isinstance(row.get(name), str) and row[name].strip()}
        yield Line(number, claim, _listed(row.get("kinds")), _listed(row.get("services")), _instant(row.get("said_at")))


def _csv_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    sample = text[:4096].partition("\n")[0]
    reader = csv.DictReader(
        io.StringIO(text, newline=None), delimiter="\t" if "\t" in sample else ",", restkey="", strict=False
    )
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        for row in reader:
            yield reader.line_num, row
    except csv.Error:  # a field beyond the limit, a null byte: the rest cannot be told apart
        yield reader.line_num + 1, {}


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for number, line in enumerate(text.splitlines(), start=1):
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


def _instant(value: Any) -> datetime | None:
    try:
        return parse(value) if isinstance(value, str) and value.strip() else None
    except (ValueError, OverflowError):
        return None

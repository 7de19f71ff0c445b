"""A list on a page: columns, rows, pages, and the same list as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from starlette.responses import Response

from demur.clock import iso

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Begin of a cell that a spreadsheet would run, the last four in wide forms (OWASP, CSV injection)."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    ``kind``: text, number, instant, code, tag (value → word), link (the row's ``href``).
    """

    key: str
    label: str
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in order, and where in the list they stand."""

    name: str
    """Of the file, and of the list for screen readers."""
    columns: tuple[Column, ...]
    rows: Sequence[Mapping[str, Any]]
    empty: str = "Nothing here."
    """What to do when there are no rows."""
    total: int = 0
    first: int = 0
    size: int = 0
    query: Mapping[str, str] = field(default_factory=dict)
    """What the list was filtered by; kept by its links."""

    def part(self, first: int, size: int) -> Table:
        """Return one page of the list."""
        return replace(self, rows=self.rows[first : first + size], total=len(self.rows), first=first, size=size)

    @property
    def earlier(self) -> int | None:
        """First row of the page before, if there is one."""
        return max(0, self.first - self.size) if self.first > 0 else None

    @property
    def later(self) -> int | None:
        """First row of the page after, if there is one."""
        following = self.first + self.size
        return following if following < self.total else None

    def link(self, **more: Any) -> str:
        """Return a query that keeps the filter."""
        from urllib.parse import urlencode

        return "?" + urlencode({**self.query, **{name.rstrip("_"): value for name, value in more.items()}})


def download(table: Table, kind: str) -> Response:
    """Return a list as a file: CSV (RFC 4180) or JSON."""
    headers = {
        "content-disposition": f'attachment; filename="{table.name.lower().replace(" ", "-")}.{kind}"',
        "cache-control": "no-store",
    }
    keys = [column.key for column in table.columns]
    plain = [{key: row.get(key) for key in keys} for row in table.rows]
    if kind == "json":
        options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
        return Response(orjson.dumps(plain, option=options, default=_foreign), 200, headers, "application/json")
    out = io.StringIO()
    sink = csv.writer(out)
    sink.writerow(keys)
    sink.writerows([_cell(row[key]) for key in keys] for row in plain)
    return Response(out.getvalue().encode(), 200, headers, "text/csv; charset=utf-8")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = iso(value) if isinstance(value, datetime) else str(value)
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(value) else text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _foreign(value: Any) -> Any:
    if isinstance(value, set | frozenset | tuple):
        return sorted(value)
    return str(value)

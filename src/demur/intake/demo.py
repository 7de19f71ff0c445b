"""Source ``demo``: reads the dump of a made-up network (``demur.testing.write_dump``). Thin: its columns are ours.

Reads items and accounts only; events are the registry's, the ground truth is nobody's but the checker's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa

from demur.clock import parse
from demur.errors import InputError
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row
from demur.terms.tables import ITEMS, PEOPLE

_ITEMS, _ACCOUNTS = "items.jsonl", "accounts.jsonl"
_WRITER_FILLS = frozenset({"source", "imported_at", "version_id"})


class Demo:
    """Reads ``accounts.jsonl`` and ``items.jsonl`` of a dump."""

    name = "demo"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return accounts and items of every dump, accounts first.

        Raises:
            InputError: a path holds no dump.
        """
        found = []
        for path in paths:
            files = [path] if path.is_file() else [path / _ACCOUNTS, path / _ITEMS]
            missing = [file.name for file in files if not file.is_file() or file.name not in {_ACCOUNTS, _ITEMS}]
            if missing:
                raise InputError(
                    f"expected {_ACCOUNTS} and {_ITEMS} in {path}, found no {missing[0]}; write a dump first"
                )
            found += [Input((file,)) for file in files]
        return found

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one file of a dump, line by line."""
        of_items = given.path.name == _ITEMS
        make: type[ItemRow] | type[PersonRow] = ItemRow if of_items else PersonRow
        instants, dates = _columns(ITEMS if of_items else PEOPLE)
        with given.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                context.at(given.path.name, f"line {number}")
                try:
                    record = orjson.loads(line)
                except orjson.JSONDecodeError:
                    yield context.unreadable("malformed_json", "one JSON object a line", line)
                    continue
                if not isinstance(record, dict):
                    yield context.unreadable("malformed_json", "one JSON object a line", line)
                elif _dated(record, instants, dates):
                    yield make(record)
                else:
                    yield context.unreadable("not_a_date", "ISO 8601 instants and dates", line)


def _columns(schema: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    mine = [field for field in schema if field.name not in _WRITER_FILLS]
    return (
        tuple(field.name for field in mine if pa.types.is_timestamp(field.type)),
        tuple(field.name for field in mine if pa.types.is_date(field.type)),
    )


def _dated(record: dict[str, Any], instants: tuple[str, ...], dates: tuple[str, ...]) -> bool:
    """Put instants and dates in place of their text; ``False`` when one cannot be read."""
    try:
        for name in instants:
            if record.get(name) is not None:
                record[name] = _instant(record[name])
        for name in dates:
            if record.get(name) is not None:
                record[name] = date.fromisoformat(record[name])
    except (ValueError, TypeError):
        return False
    return True


def _instant(text: str) -> datetime:
    return parse(text)

"""Checks one row against the contract of its table. Pure: no file, no clock; never repairs, never guesses."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from math import isfinite
from typing import Any

import orjson
import pyarrow as pa

from demur.clock import parse
from demur.terms.content import Audience, ItemState, Kind, Signal
from demur.terms.people import AgeSource, Status
from demur.terms.tables import ITEMS, PEOPLE

EARLIEST = parse("1990-01-01")
"""Before it no platform of ours existed; a date below is a fault of the export."""
EARLIEST_BIRTH = date(1900, 1, 1)
"""A birth date below, such as the year 1 of a program's zero date, says nothing of anybody's age."""
TEXT_BYTES = 2**20
ID_LENGTH = 1024

_SET_BY_WRITER = ("version_id", "imported_at")


class TableRules:
    """What a row of one table must keep to.

    Args:
        schema: ITEMS or PEOPLE.
        identity: column that names the thing.
        words: column → the values that it may hold, with the reason when it does not.
    """

    def __init__(self, schema: Any, identity: str, words: Mapping[str, tuple[frozenset[str], str]]) -> None:
        self.schema, self.identity, self.words = schema, identity, words
        self.names: tuple[str, ...] = tuple(schema.names)
        self.known = frozenset(self.names)
        self.instants = tuple(f.name for f in schema if pa.types.is_timestamp(f.type) and f.name != "imported_at")
        self.checks = {field.name: _check_of(field) for field in schema}

    def fault(self, row: Mapping[str, Any], latest: datetime) -> str | None:
        """Return the reason why a row is no row of this table, or ``None``.

        Args:
            row: completed row (``service``, ``state``, ``audience`` present).
            latest: last instant that a date may have.
        """
        if not self.known.issuperset(row):
            return "wrong_type"
        name = row.get(self.identity)
        if not isinstance(name, str) or not name.strip() or len(name) > ID_LENGTH:
            return "missing_id"
        for column, (allowed, reason) in self.words.items():
            value = row.get(column)
            if value is not None and not (isinstance(value, str) and value in allowed):
                return reason
        for column, value in row.items():
            if value is not None and (fault := self.checks[column](value, latest)) is not None:
                return fault
        return None

    def version_id(self, row: Mapping[str, Any]) -> str:
        """Return the first 32 hex digits of SHA-256 over what the row says, without version_id and imported_at.

        Raises:
            TypeError: a value is of no type that the table has, or text holds half a character.
        """
        said = {name: value for name, value in row.items() if value is not None and name not in _SET_BY_WRITER}
        return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]

    def table(self, rows: list[dict[str, Any]]) -> Any:
        """Return rows as an Arrow table of this schema.

        Raises:
            pyarrow.ArrowException: a value has another type than its column.
        """
        said = set().union(*rows)
        columns = [
            pa.array([row.get(field.name) for row in rows], type=field.type)
            if field.name in said
            else pa.nulls(len(rows), field.type)
            for field in self.schema
        ]
        return pa.Table.from_arrays(columns, schema=self.schema)


def _check_of(field: Any) -> Callable[[Any, datetime], str | None]:
    """Return what checks a value of a column: (value, latest instant) → reason or ``None``."""
    if field.name == "expires_at":
        return _any_instant_fault
    if pa.types.is_timestamp(field.type):
        return _instant_fault
    if pa.types.is_list(field.type):
        return _texts_fault
    if pa.types.is_string(field.type):
        return _text_fault
    return _PLAIN_FAULTS[str(field.type)]


def _any_instant_fault(value: Any, _: datetime) -> str | None:
    return None if isinstance(value, datetime) and value.tzinfo is not None else "not_a_date"


def _instant_fault(value: Any, latest: datetime) -> str | None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        return "not_a_date"
    return None if EARLIEST <= value <= latest else "date_out_of_range"


def _flag_fault(value: Any, _: datetime) -> str | None:
    return None if type(value) is bool else "wrong_type"


def _number_fault(value: Any, _: datetime) -> str | None:
    exact = (type(value) is float and isfinite(value)) or (type(value) is int and abs(value) <= _MOST)
    return None if exact else "wrong_type"


def _day_fault(value: Any, latest: datetime) -> str | None:
    if type(value) is not date:
        return "wrong_type"
    return None if EARLIEST_BIRTH <= value <= latest.date() else "date_out_of_range"


_MOST = 2**53
"""Whole numbers up to it are numbers of the column too: above, a double has not all of them."""
_PLAIN_FAULTS: Mapping[str, Callable[[Any, datetime], str | None]] = {
    "bool": _flag_fault,
    "double": _number_fault,
    "date32[day]": _day_fault,
}


def _text_fault(value: Any, _: datetime) -> str | None:
    if not isinstance(value, str):
        return "wrong_type"
    if "\0" in value:
        return "control_character"
    if len(value) > TEXT_BYTES // 4 and len(value.encode("utf-8", "replace")) > TEXT_BYTES:
        return "text_too_long"
    return None


def _texts_fault(value: Any, latest: datetime) -> str | None:
    if not isinstance(value, list):
        return "wrong_type"
    return next((fault for entry in value if (fault := _text_fault(entry, latest)) is not None), None)


def latest_instant(imported_at: datetime) -> datetime:
    """Return the last instant that a record read then may carry: clocks of others go wrong by up to a day."""
    return imported_at + timedelta(days=1)


def _words(words: Any) -> frozenset[str]:
    return frozenset(word.value for word in words)


ITEM_RULES = TableRules(
    ITEMS,
    "item_id",
    {
        "kind": (_words(Kind), "unknown_kind"),
        "audience": (_words(Audience), "unknown_audience"),
        "container_audience": (_words(Audience), "unknown_audience"),
        "parent_audience": (_words(Audience), "unknown_audience"),
        "state": (_words(ItemState), "unknown_value"),
        "signal": (_words(Signal), "unknown_value"),
    },
)
PERSON_RULES = TableRules(
    PEOPLE,
    "account_id",
    {
        "status": (_words(Status), "unknown_value"),
        "age_source": (_words(AgeSource), "unknown_value"),
        "signal": (_words(Signal), "unknown_value"),
    },
)

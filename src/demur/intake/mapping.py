"""The mapping file: which column of theirs is which of ours, and what is public. All faults at once, with lines.

The columns are for the source ``table``; ``public`` is the operator's word for exports that do not say who could see
what: names of accounts, channels or logs, as the source's section in docs/intake.md describes them.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from demur.errors import InputError
from demur.intake.check import ITEM_RULES, PERSON_RULES, TableRules

SET_BY_US = frozenset({"version_id", "imported_at", "source", "service"})
DATE_WORDS = frozenset({"iso", "unix_s", "unix_ms", "unix_us", "twitter_id"})
RULES: Mapping[str, TableRules] = {"items": ITEM_RULES, "people": PERSON_RULES}

_TOP = {"service", "tables", "repair_mojibake", "delimiter", "public"}
_TABLE = {"files", "rows", "columns"}
_COLUMN = {"from", "value", "prefix", "join", "split", "map", "default", "null", "date", "zone"}
_NEEDED = {"items": ("item_id", "kind", "audience"), "people": ("account_id",)}


def read_mapping(path: Path | str) -> dict[str, Any]:
    """Read a mapping file, or a mapping that ships with demur by its name (``oasst1``, ``decide_madrid``).

    Raises:
        InputError: the file is missing, no TOML, or has faults; all of them are named, with their lines.
    """
    shipped = resources.files("demur.intake") / "mappings" / f"{path}.toml"
    try:
        text = shipped.read_text("utf-8") if shipped.is_file() else Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"expected a mapping file in UTF-8 at {path}, found none; correct the path") from error
    return parse_mapping(text, str(path))


def parse_mapping(text: str, name: str) -> dict[str, Any]:
    """Return a checked mapping.

    Raises:
        InputError: it is no TOML, or has faults; all of them are named, with their lines.
    """
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"expected TOML in the mapping {name}, found a fault: {error}; correct it") from error
    faults = _Faults(text)
    _check(found, faults)
    if faults.found:
        raise InputError(
            f"expected a mapping that demur understands in {name}, found {len(faults.found)} faults; correct them",
            faults.found,
        )
    return found


class _Faults:
    """Collects faults, each with the line of the key that it is about."""

    def __init__(self, text: str) -> None:
        self.found: list[str] = []
        self._lines = text.splitlines()

    def add(self, what: str, table: int | None = None, key: str | None = None) -> None:
        self.found.append(f"line {self._line(table, key)}: {what}")

    def _line(self, table: int | None, key: str | None) -> int:
        number, seen, last = 1, -1, 1
        for number, line in enumerate(self._lines, start=1):
            if line.strip().startswith("[[tables]]"):
                seen += 1
            here = (seen if seen >= 0 else None) == table
            if here and (last == 1 or line.strip().startswith("[[tables]]")):
                last = number
            if here and key is not None and re.match(rf'\s*(?:\S+\.)?"?{re.escape(key)}"?\s*=', line):
                return number
        return last


def _check(found: Mapping[str, Any], faults: _Faults) -> None:
    for key in sorted(found.keys() - _TOP):
        faults.add(f"expected one of {', '.join(sorted(_TOP))}, found the key {key!r}", None, key)
    public = found.get("public")
    if public is not None and not (isinstance(public, list) and all(isinstance(name, str) for name in public)):
        faults.add("expected public, a list of names", None, "public")
    if public is not None and "tables" not in found:
        return
    if not isinstance(found.get("service"), str) or not found.get("service"):
        faults.add("expected service, the prefix of all ids", None, "service")
    if not isinstance(found.get("repair_mojibake", False), bool):
        faults.add("expected true or false in repair_mojibake", None, "repair_mojibake")
    delimiter = found.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1:
        faults.add("expected one character in delimiter", None, "delimiter")
    tables = found.get("tables")
    if not isinstance(tables, list) or not tables:
        faults.add("expected at least one [[tables]]")
        return
    for number, table in enumerate(tables):
        _check_table(table, number, faults)


def _check_table(table: Mapping[str, Any], number: int, faults: _Faults) -> None:
    for key in sorted(table.keys() - _TABLE):
        faults.add(f"expected one of {', '.join(sorted(_TABLE))}, found the key {key!r}", number, key)
    if not isinstance(table.get("files"), str):
        faults.add("expected files, a pattern such as comments*.csv", number, "files")
    rows = table.get("rows")
    rules = RULES.get(str(rows))
    if rules is None:
        faults.add("expected rows to be items or people", number, "rows")
        return
    columns = table.get("columns")
    if not isinstance(columns, dict):
        faults.add("expected [tables.columns]", number)
        return
    for needed in _NEEDED[str(rows)]:
        if needed not in columns:
            faults.add(f"expected the column {needed}; without it no row of {rows} can be made", number, "columns")
    _check_columns(columns, str(rows), number, faults)


def _check_columns(columns: Mapping[str, Any], rows: str, number: int, faults: _Faults) -> None:
    rules = RULES[rows]
    for name, given in columns.items():
        if name not in rules.known - SET_BY_US:
            faults.add(f"expected a column of {rows}, found {name!r}", number, name)
            continue
        for way in given if isinstance(given, list) else [given]:
            for what in _column_faults(name, way, rules):
                faults.add(f"{name}: {what}", number, name)


def _column_faults(name: str, way: Any, rules: TableRules) -> list[str]:
    if not isinstance(way, dict):
        return ['expected a table such as { from = "id" }']
    faults = [f"expected one of {', '.join(sorted(_COLUMN))}, found {key!r}" for key in sorted(way.keys() - _COLUMN)]
    if ("from" in way) == ("value" in way):
        faults.append("expected either from or value")
    if name in (*rules.instants, "born_on") and "from" in way and "date" not in way:
        faults.append("expected date, which says how the instant is written")
    if "default" in way and name in ("audience", "kind", "container_audience", "parent_audience"):
        faults.append("a default would guess; map every value, what is left goes to quarantine")
    if isinstance(way.get("from"), list) and "join" not in way:
        faults.append("expected join, which stands between the columns")
    return [*faults, *_date_faults(way), *_word_faults(name, way, rules)]


def _date_faults(way: Mapping[str, Any]) -> list[str]:
    faults = []
    date, zone = way.get("date"), way.get("zone")
    if date is not None and date not in DATE_WORDS and "%" not in str(date):
        faults.append(f"expected date to be one of {', '.join(sorted(DATE_WORDS))} or a pattern such as %Y-%m-%d")
    if zone is not None:
        try:
            ZoneInfo(str(zone))
        except (ZoneInfoNotFoundError, ValueError):
            faults.append("expected zone to be a time zone such as Europe/Madrid")
    return faults


def _word_faults(name: str, way: Mapping[str, Any], rules: TableRules) -> list[str]:
    if name not in rules.words:
        return []
    allowed = rules.words[name][0]
    values: Sequence[Any] = [way["value"]] if "value" in way else list((way.get("map") or {}).values())
    wrong = [value for value in values if value not in allowed]
    return [f"expected one of {', '.join(sorted(allowed))}, found another word"] * len(wrong)

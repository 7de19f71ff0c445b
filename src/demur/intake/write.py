"""Brings what a source reads into the tables of a workspace: a stream with bounded memory that can be killed anywhere.

``source/items`` and ``source/people`` hold Parquet parts named by their content; ``source/inputs`` holds one record
for each unit that was read to its end. Reading the same unit again does nothing; reading the same row from another
unit adds nothing. Nothing here knows a format.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from demur.errors import DemurError, InputError
from demur.intake.archive import BombError
from demur.intake.check import ITEM_RULES, PERSON_RULES, TableRules, latest_instant
from demur.intake.columns import columns_of, whole_table
from demur.intake.index import VersionIndex, ids_of
from demur.intake.signals import joined
from demur.intake.signals_site import SiteSignals
from demur.intake.source import Context, Input, ItemBatch, ItemRow, PersonRow, Row, Source, Unreadable, source_named
from demur.intake.taken import taken_away
from demur.store import digest_file, digest_json, read_json, write_json, write_table
from demur.terms.progress import Progress, silent
from demur.terms.tables import QUARANTINE

BATCH_ROWS = 50_000
BATCH_TEXT = 64 * 2**20
"""Characters of text after which a part is written even when it has fewer rows: memory is bounded by text too."""
_GATHERED = 4_096
_GATHERED_TEXT = 4 * 2**20
"""Rows, and characters of text, that are checked and named together."""
_COLLECT_EVERY = 100_000
CODE = "demur-intake-5"
"""Raised whenever the same file would give other rows."""

_REFUSED = (TypeError, ValueError, OverflowError, pa.ArrowException)
"""What a value raises that is no value of its column."""

_LOG = logging.getLogger(__name__)

Place = tuple[str, str]
"""File and position there."""


@dataclass(slots=True)
class IntakeReport:
    """What an import did."""

    source: str
    items: int = 0
    """Versions of items added."""
    people: int = 0
    """Versions of accounts added."""
    items_seen: int = 0
    """Versions of items that were stored already."""
    people_seen: int = 0
    quarantined: dict[str, int] = field(default_factory=dict)
    """Reason → records, of every unit named, also of those read before."""
    ignored: dict[str, int] = field(default_factory=dict)
    """Kind of record without content (votes, likes …) → count."""
    files: list[str] = field(default_factory=list)
    """Units read now."""
    unchanged: list[str] = field(default_factory=list)
    """Units that had been read to their end before."""

    def as_json(self) -> dict[str, Any]:
        """Return the plain form."""
        return {name: getattr(self, name) for name in self.__slots__}


class _TableWriter:
    """Collects rows of one table, drops known versions, writes parts."""

    def __init__(self, rules: TableRules, folder: Path, source_folder: Path) -> None:
        self.rules, self._folder = rules, folder
        self.index = VersionIndex(folder, source_folder / "index" / folder.name)
        self._rows: list[tuple[dict[str, Any], Place]] = []
        self._tables: list[Any] = []
        self._waiting = self._text = 0
        self.added = self.seen = 0
        self.refused: list[tuple[dict[str, Any], Place]] = []
        """Rows that were taken in and that a column does not hold; whoever counts them empties the list."""

    def take(self, row: dict[str, Any], place: Place) -> None:
        """Take in one row that keeps to the rules."""
        self._rows.append((row, place))
        self._waiting += 1
        self._text += len(row.get("text") or "")
        if self._waiting >= BATCH_ROWS or self._text >= BATCH_TEXT:
            self.flush()

    def take_table(self, table: Any) -> None:
        """Take in many rows that keep to the rules."""
        for start in range(0, table.num_rows, BATCH_ROWS):
            piece = table.slice(start, BATCH_ROWS)
            self._tables.append(piece)
            self._waiting += piece.num_rows
            self._text += piece["text"].nbytes
            if self._waiting >= BATCH_ROWS or self._text >= BATCH_TEXT:
                self.flush()

    def flush(self) -> None:
        """Write what has been taken in."""
        if not self._waiting:
            return
        tables = [*self._held(self._rows), *self._tables]
        self._rows, self._tables, self._waiting, self._text = [], [], 0, 0
        if tables:
            self._write(pa.concat_tables(tables).combine_chunks())

    def _held(self, rows: list[tuple[dict[str, Any], Place]]) -> list[Any]:
        """Return rows as tables; one that a column refuses costs itself only."""
        try:
            return [self.rules.table([row for row, _ in rows])] if rows else []
        except _REFUSED:
            if len(rows) == 1:
                self.refused += rows
                return []
            middle = len(rows) // 2
            return [*self._held(rows[:middle]), *self._held(rows[middle:])]

    def _write(self, table: Any) -> None:
        ids = ids_of(table["version_id"].to_pylist())
        fresh = np.flatnonzero(self.index.novel(ids))
        self.seen += table.num_rows - len(fresh)
        if len(fresh):
            order = fresh[np.lexsort((ids[fresh, 1], ids[fresh, 0]))]
            written = table.take(pa.array(order))
            name = f"{digest_json(written['version_id'].to_pylist())[:32]}.parquet"
            write_table(self._folder / name, written)
            self.index.add(name, ids[order])
            self.added += len(fresh)


class _Import:
    """One call of ``intake``: the writers, the counts, and the unit that is being read."""

    def __init__(self, source: Source, places: tuple[Path, Path, datetime], signals: SiteSignals | None = None) -> None:
        store, quarantine, imported_at = places
        self.source, self._store, self._quarantine, self._signals = source, store, quarantine, signals
        self._imported_at, self._latest = imported_at, latest_instant(imported_at)
        self.items = _TableWriter(ITEM_RULES, store / "items", store)
        self.people = _TableWriter(PERSON_RULES, store / "people", store)
        self._rows: list[ItemRow] = []
        self._places: list[Place] = []
        self._length = 0
        self._faults: list[Unreadable] = []
        self._fault_parts = 0
        self._counts: dict[str, int] = {}
        self.failed = False

    def unit(self, given: Input, context: Context, key: str) -> dict[str, Any]:
        """Read one unit to its end and return its facts."""
        self._counts, self._fault_parts, self.failed = {}, 0, False
        before = (self.items.added, self.items.seen, self.people.added, self.people.seen)
        for row in self._guarded(given, context):
            if isinstance(row, Unreadable):
                self._quarantined(row, key)
            elif isinstance(row, ItemBatch):
                self._batch(row, context, key)
            elif isinstance(row, PersonRow):
                self._row(row, context, key)
            else:
                self._gather(row, context, key)
        self._gathered(context, key)
        for table in (self.items, self.people):
            table.flush()
            self._refused(table, context, key)
        self._flush_faults(key)
        after = (self.items.added, self.items.seen, self.people.added, self.people.seen)
        names = ("items", "items_seen", "people", "people_seen")
        counts = dict(zip(names, (b - a for a, b in zip(before, after, strict=True)), strict=True))
        return {"counts": counts, "quarantined": self._counts, "ignored": context.ignored}

    def _guarded(self, given: Input, context: Context) -> Iterator[Row]:
        """Pass a source's rows on; a plugin that fails costs its own unit, not the import (INT-02)."""
        try:
            yield from self.source.read(given, context)
        except (DemurError, MemoryError):
            raise
        except BombError:
            yield context.unreadable("bomb", f"no more than the limits of {given.path.name} allow")
        except (zipfile.BadZipFile, zlib.error, EOFError):
            yield context.unreadable("unreadable_file", "a file that can be unpacked to its end")
        except Exception as error:
            _LOG.warning("source %s stopped in a unit: %s", self.source.name, type(error).__name__)
            self.failed = True
            yield context.unreadable("source_failed", f"a plugin that reads on, found {type(error).__name__}")

    def _gather(self, row: ItemRow, context: Context, key: str) -> None:
        """Hold a row back until there are many: together they cost less."""
        _completed(row, context)
        self._rows.append(row)
        self._places.append((context.path, context.position))
        text = row.get("text")
        self._length += len(text) if isinstance(text, str) else 0
        if len(self._rows) >= _GATHERED or self._length >= _GATHERED_TEXT:
            self._gathered(context, key)

    def _gathered(self, context: Context, key: str) -> None:
        """Take in the rows that were held back."""
        rows, places, here = self._rows, self._places, (context.path, context.position)
        self._rows, self._places, self._length = [], [], 0
        columns = columns_of(rows) if rows else None
        if not self._together(columns, len(rows), context):
            for place, row in zip(places, rows, strict=True):
                context.at(*place)
                self._row(row, context, key)
        context.at(*here)

    def _together(self, columns: Mapping[str, Any] | None, rows: int, context: Context) -> bool:
        """Take in many rows at once; ``False`` where not all of them are plainly good: then each is judged alone."""
        if columns is None or self._signals is not None:  # each row's site has its own signals
            return False
        same = {"service": context.service, "state": "live", "source": self.source.name}
        table = whole_table(self.items.rules, same | dict(columns), rows, self._imported_at)
        if table is None:
            return False
        self.items.take_table(table)
        return True

    def _row(self, row: ItemRow | PersonRow, context: Context, key: str) -> None:
        table = self.items if isinstance(row, ItemRow) else self.people
        try:
            reason = self._completed(row, table.rules, context)
        except _REFUSED as error:
            reason = "not_utf8" if isinstance(error, UnicodeError) or "UTF-8" in str(error) else "wrong_type"
        if reason is not None:
            self._quarantined(context.unreadable(reason, _EXPECTED, _written(row)), key)
            left = taken_away(row, self._latest)
            if left is not None:
                self._row(left, context, key)
            return
        table.take(row, (context.path, context.position))
        self._refused(table, context, key)

    def _completed(self, row: ItemRow | PersonRow, rules: TableRules, context: Context) -> str | None:
        """Fill in what the writer says of a row; return the reason why it is none of its table, or ``None``."""
        if isinstance(row, ItemRow):
            _completed(row, context)
        row.setdefault("service", context.service)
        row["source"] = self.source.name
        reason = rules.fault(row, self._latest)
        if reason is None:
            if isinstance(row, ItemRow) and self._signals is not None:
                row.update(joined(row, self._signals.statements(row["item_id"], row["service"])))
            row["version_id"] = rules.version_id(row)
            row["imported_at"] = self._imported_at
        return reason

    def _refused(self, table: _TableWriter, context: Context, key: str) -> None:
        """Quarantine what passed the rules and yet no column holds."""
        here = (context.path, context.position)
        for row, place in table.refused:
            context.at(*place)
            self._quarantined(context.unreadable("wrong_type", _EXPECTED, _written(row)), key)
        table.refused.clear()
        context.at(*here)

    def _batch(self, batch: ItemBatch, context: Context, key: str) -> None:
        """Take in what a source gives as many rows."""
        if self._together(batch.columns, len(batch), context):
            return
        for place, row in zip(batch.places, batch.rows(), strict=True):
            context.at(*place)
            self._row(row, context, key)

    def _quarantined(self, fault: Unreadable, key: str) -> None:
        self._counts[fault.reason] = self._counts.get(fault.reason, 0) + 1
        self._faults.append(fault)
        if len(self._faults) >= BATCH_ROWS:
            self._flush_faults(key)

    def _flush_faults(self, key: str) -> None:
        if not self._faults:
            return
        rows = [
            {
                "source": self.source.name,
                "path": fault.path,
                "position": fault.position,
                "reason": fault.reason,
                "expected": fault.expected,
                "digest": fault.digest,
                "imported_at": self._imported_at,
            }
            for fault in self._faults
        ]
        path = self._quarantine / f"{key[:32]}-{self._fault_parts:05d}.parquet"
        write_table(path, pa.Table.from_pylist(rows, schema=QUARANTINE))
        self._faults, self._fault_parts = [], self._fault_parts + 1


_EXPECTED = "a row that keeps to the table; see the reasons in docs/intake.md"


def _written(row: Mapping[str, Any]) -> str:
    """Return a row as text; nothing where its values lie too deep, or are too long a number, for one."""
    try:
        return repr(sorted((str(name), str(value)) for name, value in row.items() if name != "imported_at"))
    except (RecursionError, ValueError):
        return ""


def _completed(row: ItemRow, context: Context) -> None:
    """Fill in what a source need not say."""
    row.setdefault("service", context.service)
    row.setdefault("state", "live")
    if row.get("audience") is None:
        row["audience"] = "unknown"


def intake(
    source: Source | str,
    paths: Sequence[Path],
    *,
    store_folder: Path,
    quarantine_folder: Path,
    imported_at: datetime,
    progress: Progress = silent,
    mapping: Mapping[str, Any] | None = None,
    service: str | None = None,
    signals: SiteSignals | None = None,
    spill_folder: Path | None = None,
) -> IntakeReport:
    """Read exports, feeds or tables into the items and people tables of a workspace.

    Args:
        source: a source or its name.
        paths: files and folders.
        store_folder: ``Workspace.source``.
        quarantine_folder: ``Workspace.quarantine``.
        imported_at: the present instant (INT-03).
        progress: told after each unit.
        mapping: checked mapping of the ``table`` source (``demur.intake.read_mapping``).
        service: prefix of ids where the source knows none; ``None`` = the source's own.
        signals: files of the sites that the items come from (robots.txt, ai.txt …); ``None`` = none are known.
        spill_folder: where what memory cannot hold lies meanwhile, in clear; ``None`` = where the system puts such.

    Returns:
        What was added, seen before, ignored and quarantined.

    Raises:
        InputError: a path does not exist, or holds nothing that this source reads.
    """
    found = source_named(source) if isinstance(source, str) else source
    _all_there(paths)
    with _rare_collections():
        places = (store_folder, quarantine_folder, imported_at)
        return _read(found, paths, places, progress, mapping, service, signals, spill_folder)


@contextlib.contextmanager
def _rare_collections() -> Iterator[None]:
    """Look for cycles rarely: millions of short rows are made, and none of them has any."""
    before = gc.get_threshold()
    gc.set_threshold(max(before[0], _COLLECT_EVERY) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _read(
    found: Source,
    paths: Sequence[Path],
    places: tuple[Path, Path, datetime],
    progress: Progress,
    mapping: Mapping[str, Any] | None,
    service: str | None,
    signals: SiteSignals | None,
    spill: Path | None,
) -> IntakeReport:
    store_folder, _, imported_at = places
    units = found.inputs(paths)
    work = _Import(found, places, signals)
    also = {"mapping": dict(mapping or {})} | ({} if signals is None else {"signals": signals.digest})
    report = IntakeReport(found.name)
    digests: dict[Path, str] = {}
    for done, given in enumerate(units):
        named = given.service or service or found.name
        key = _key(found, given, named, also, digests)
        record = store_folder / "inputs" / f"{key}.json"
        if record.exists():
            facts = read_json(record)
            report.unchanged.append(facts["name"])
            _add(report.quarantined, facts["quarantined"])
        else:
            context = Context(named, imported_at, mapping, spill)
            context.at(given.path.name, "start")
            facts = {"name": _name(given), **work.unit(given, context, key)}
            if not work.failed:
                write_json(record, facts)
            _count(report, facts)
        progress("intake", done + 1, len(units))
    work.items.index.compact()
    work.people.index.compact()
    return report


def state_digest(store_folder: Path) -> str:
    """Return the digest of all versions stored, whatever order they came in and however often (INT-08)."""
    tables = ("items", "people")
    return digest_json(
        {name: VersionIndex(store_folder / name, store_folder / "index" / name).digest() for name in tables}
    )


def _all_there(paths: Sequence[Path]) -> None:
    missing = [str(path) for path in paths if not path.exists()]
    if missing or not paths:
        raise InputError("expected files or folders to read, found none at these paths; correct them", missing)


def _key(source: Source, given: Input, service: str, also: Mapping[str, Any], digests: dict[Path, str]) -> str:
    for path in given.files:
        if path not in digests:
            digests[path] = digest_file(path)
    contents = [digests[path] for path in given.files]
    options = {name: value for name, value in given.options.items() if not name.startswith("_")}
    return digest_json([CODE, source.name, service, contents, options, also])


def _name(given: Input) -> str:
    member = given.options.get("member")
    return f"{given.path.name}!{member}" if member else given.path.name


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        total[name] = total.get(name, 0) + count


def _count(report: IntakeReport, facts: Mapping[str, Any]) -> None:
    report.files.append(facts["name"])
    for name, count in facts["counts"].items():
        setattr(report, name, getattr(report, name) + count)
    _add(report.quarantined, facts["quarantined"])
    _add(report.ignored, facts["ignored"])

"""Source ``feed``: a platform's events, one a line: create, edit, delete, audience, account (INT-07, INT-08).

An event is one version, told apart by its digest: told twice it is one, and the order in which events come does not
matter, for ``at`` orders them when a snapshot is taken (latest.py). What takes away is never lost: a deletion or an
audience whose ``at`` cannot be read is a version of unknown time, which counts whatever else is known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from demur.clock import parse
from demur.errors import InputError
from demur.intake import archive, jsonstream
from demur.intake.check import ITEM_RULES, PERSON_RULES, latest_instant
from demur.intake.fediverse import Fault
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row, Unreadable
from demur.terms.content import Kind
from demur.terms.tables import ITEMS, PEOPLE

_ENDINGS = (".jsonl", ".ndjson", ".jsonl.gz", ".jsonl.zst", ".ndjson.gz", ".ndjson.zst")
_SET_BY_US = frozenset({"version_id", "version_at", "state", "service", "source", "imported_at"})
_IDS = frozenset({"item_id", "account_id", "parent_id", "original_id", "container_id"})
_MANY_IDS = frozenset({"co_account_ids", "mentions"})
_ABOUT_ITEM = {"delete": frozenset({"item_id", "kind", "account_id", "container_id", "parent_id"}),
               "audience": frozenset({"item_id", "audience", "container_audience", "parent_audience", "public_since"}),
               }  # fmt: skip
"""What an event that takes an item away or shows it to others may say; create and edit say the whole item."""
_NEEDED = {"create": ("item_id", "kind", "audience"), "edit": ("item_id", "kind", "audience"), "delete": ("item_id",),
           "audience": ("item_id", "audience"), "account": ("account_id",)}  # fmt: skip
TYPES = tuple(_NEEDED)


def _typed(schema: Any, is_kind: Any) -> tuple[str, ...]:
    return tuple(field.name for field in schema if is_kind(field.type) and field.name not in _SET_BY_US)


_INSTANTS = {ItemRow: _typed(ITEMS, pa.types.is_timestamp), PersonRow: _typed(PEOPLE, pa.types.is_timestamp)}
_DATES = _typed(PEOPLE, pa.types.is_date)


class Feed:
    """Reads files of events; the live feed's segments are such files (flows/feed.py)."""

    name = "feed"

    def inputs(self, paths: Sequence[Path]) -> Sequence[Input]:
        """Return the files of events; in a folder, those that end in .jsonl or .ndjson, compressed or not.

        Raises:
            InputError: a path holds none.
        """
        found = []
        for path in paths:
            files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.name.endswith(_ENDINGS))
            if not files:
                raise InputError(f"expected files of events (.jsonl, .ndjson) in {path.name}, found none")
            found += [Input((file,)) for file in files]
        return found

    def read(self, given: Input, context: Context) -> Iterator[Row]:
        """Read one file."""
        with archive.opened(given.path) as stream:
            for event in jsonstream.lines(stream, context, given.path.name):
                yield event if isinstance(event, Unreadable) else row_of(event, context)


def row_of(event: Any, context: Context) -> Row:
    """Return the version that an event tells of, or why it cannot be read."""
    try:
        return _row(event, context)
    except Fault as fault:
        return context.unreadable(fault.reason, fault.expected, repr(event))


def fault_of(row: Row, imported_at: datetime) -> str | None:
    """Return the reason why a row will go to quarantine, or ``None``: what the door can say at once."""
    if isinstance(row, Unreadable):
        return row.reason
    if isinstance(row, PersonRow):
        return PERSON_RULES.fault(row, latest_instant(imported_at))
    assert isinstance(row, ItemRow), "an event is one row"
    return ITEM_RULES.fault(row, latest_instant(imported_at))


def _row(event: Any, context: Context) -> ItemRow | PersonRow:
    if not isinstance(event, dict):
        raise Fault("wrong_type", "an event: a JSON object")
    kind = event.get("type")
    if not isinstance(kind, str) or kind not in _NEEDED:
        raise Fault("not_content", f"a type of {', '.join(TYPES)}")
    said = dict(event)
    at = said.pop("at", None)
    del said["type"]
    said.pop("event_id", None)
    missing = [name for name in _NEEDED[kind] if said.get(name) is None]
    if missing:
        raise Fault("missing_id" if missing[0].endswith("_id") else "wrong_type", f"an event with {missing[0]}")
    allowed = _ABOUT_ITEM.get(kind)
    if not _SET_BY_US.isdisjoint(said) or (allowed is not None and not allowed.issuperset(said)):
        raise Fault("wrong_type", "members that docs/feed.md names for this type, and no other")
    row: ItemRow | PersonRow = PersonRow(said) if kind == "account" else ItemRow(said)
    row["service"] = context.service
    for name in _IDS & said.keys():
        if said[name] is not None:
            row[name] = _prefixed(context.service, said[name])
    for name in _MANY_IDS & said.keys():
        if isinstance(said[name], list):
            row[name] = [_prefixed(context.service, entry) for entry in said[name]]
    _date(row)
    if allowed is None:
        begun = _instant(at)
        row["version_at"] = row.get("created_at") if begun is None and kind == "create" else begun
        return row
    row["version_at"] = _at_or_never(at, latest_instant(context.imported_at))
    _complete(row, kind)
    return row


def _complete(row: ItemRow | PersonRow, kind: str) -> None:
    if kind == "delete":
        row.update(state="deleted", audience="unknown")
        row.setdefault("kind", Kind.METADATA.value)
        return
    # says nothing of the content: a snapshot takes the words of the version before (latest.py)
    row.update(state="live", kind=Kind.METADATA.value)
    if row["audience"] == "public" and row.get("public_since") is None:
        row["public_since"] = row["version_at"]


def _prefixed(service: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise Fault("missing_id", "ids that are text or whole numbers")
    return f"{service}:{value}"


def _date(row: ItemRow | PersonRow) -> None:
    """Put instants and dates in place of their text."""
    for name in _INSTANTS[type(row)]:
        if row.get(name) is not None:
            row[name] = _instant(row[name])
    for name in _DATES if isinstance(row, PersonRow) else ():
        if row.get(name) is not None:
            try:
                row[name] = date.fromisoformat(row[name])
            except (TypeError, ValueError):
                raise Fault("not_a_date", "an ISO 8601 date") from None


def _instant(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        return parse(value)
    except (TypeError, ValueError, OverflowError):
        raise Fault("not_a_date", "an ISO 8601 instant") from None


def _at_or_never(value: Any, latest: datetime) -> datetime | None:
    """Return the instant of what takes away; ``None``, which always counts, where none can be right."""
    try:
        at = _instant(value)
    except Fault:
        return None
    return at if at is not None and at <= latest else None


def checked(lines: Sequence[bytes], service: str, imported_at: datetime) -> Mapping[str, int]:
    """Return reason → lines that will go to quarantine, of some lines of events."""
    import io

    found: dict[str, int] = {}
    context = Context(service, imported_at)
    for event in jsonstream.lines(io.BytesIO(b"\n".join([*lines, b""])), context, "batch"):
        row = event if isinstance(event, Unreadable) else row_of(event, context)
        reason = fault_of(row, imported_at)
        if reason is not None:
            found[reason] = found.get(reason, 0) + 1
    return found

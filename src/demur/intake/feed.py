"""Source ``feed``: a platform's events, one a line: create, edit, delete, audience, account (INT-07, INT-08).

An event is one version, told apart by its digest: told twice it is one, and the order in which events come does not
matter, for ``at`` orders them when a snapshot is taken (latest.py). What takes away is never lost: a deletion or an
audience whose ``at`` cannot be read is a version of unknown time, which counts whatever else is known, and what goes
to quarantine leaves behind what it takes away.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from demur.clock import parse
from demur.errors import InputError
from demur.intake import archive, jsonstream
from demur.intake.check import EARLIEST, ITEM_RULES, PERSON_RULES, latest_instant
from demur.intake.fediverse import Fault
from demur.intake.source import Context, Input, ItemRow, PersonRow, Row, Unreadable
from demur.intake.taken import worse
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
                if isinstance(event, Unreadable):
                    yield event
                else:
                    yield from rows_of(event, context)


def rows_of(event: Any, context: Context) -> Iterator[Row]:
    """Return the version that an event tells of; where it cannot be taken in, also what it takes away."""
    row = row_of(event, context)
    yield row
    if fault_of(row, context.imported_at) is not None:
        taken = _taken(event, context)
        if taken is not None and fault_of(taken, context.imported_at) is None:
            yield taken


def row_of(event: Any, context: Context) -> Row:
    """Return the version that an event tells of, or why it cannot be read."""
    try:
        return _row(event, context)
    except Fault as fault:
        return context.unreadable(fault.reason, fault.expected, _written(event))


def _written(event: Any) -> str:
    try:
        return repr(event)
    except RecursionError:
        return ""


def fault_of(row: Row, imported_at: datetime) -> str | None:
    """Return the reason why a row will go to quarantine, or ``None``: what the door can say at once."""
    if isinstance(row, Unreadable):
        return row.reason
    assert isinstance(row, PersonRow | ItemRow), "an event is one row"
    rules = PERSON_RULES if isinstance(row, PersonRow) else ITEM_RULES
    fault = rules.fault(row, latest_instant(imported_at))
    try:
        return fault or (rules.version_id(row) and None)
    except TypeError:  # half a character
        return "not_utf8"


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
    row["version_at"] = (_ended if kind == "delete" else _at_or_never)(at, latest_instant(context.imported_at))
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


_PROTECTS = ("kind", "audience", "container_audience", "parent_audience", "signal", "special_category", "expires_at",
             "original_id", "co_account_ids")  # fmt: skip
"""What a version of unknown time may narrow (latest.py)."""


def _taken(event: Any, context: Context) -> ItemRow | PersonRow | None:
    """Return what an event that cannot be taken in takes away all the same; ``None`` = nothing, or nobody knows whose.

    An item is deleted, or who can see it is unknown until somebody tells it again; of an edit the words are so too.
    What a create cannot say ends only what was before: its own instant stays free for the same create told well.
    """
    if not isinstance(event, dict) or event.get("type") not in TYPES:
        return None
    kind, latest = event["type"], latest_instant(context.imported_at)
    name = "account_id" if kind == "account" else "item_id"
    try:
        named = {name: _prefixed(context.service, event.get(name)), "service": context.service}
    except Fault:
        return None
    at = _at_or_never(event.get("at"), latest)
    if kind == "account":
        worse = _worse(event, latest)
        return PersonRow(named, version_at=at, **worse) if worse else None
    row = ItemRow(named, version_at=at, kind=Kind.METADATA.value, audience="unknown", state="live")
    if kind == "delete":
        row |= {"state": "deleted", "version_at": _ended(event.get("at"), latest)}
    elif kind == "create":
        at = at or _at_or_never(event.get("created_at"), latest)
        if at is None:
            return None
        row |= {"version_at": at - timedelta(microseconds=1), "text": ""}
    elif kind == "edit" and at is not None:
        row["text"] = ""
    elif at is None and event.get("at") is not None:
        timeless = row_of(event | {"at": None}, context)
        if isinstance(timeless, ItemRow) and fault_of(timeless, context.imported_at) is None:
            row |= {name: timeless[name] for name in _PROTECTS if timeless.get(name) is not None}
    return row


def _worse(said: Mapping[str, Any], latest: datetime) -> dict[str, Any]:
    """Return what an account's event says that can only take away."""
    found = worse(said)
    with contextlib.suppress(TypeError, ValueError):
        born_on = date.fromisoformat(said.get("born_on"))  # type: ignore[arg-type]
        if PERSON_RULES.checks["born_on"](born_on, latest) is None:
            found["born_on"] = born_on  # without its source: it can only cast doubt
    return found


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
    return at if at is not None and EARLIEST <= at <= latest else None


def _ended(value: Any, latest: datetime) -> datetime | None:
    """Return the instant of a deletion; of a date alone the end of that day: it is after what else the day saw."""
    at = _at_or_never(value, latest)
    end = None if at is None or len(value) > len("2026-01-01") else at + timedelta(days=1, microseconds=-1)
    return at if end is None or end > latest else end


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

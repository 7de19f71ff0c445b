"""What a row that goes to quarantine takes away all the same: it counts, though nothing else of the row does. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from demur.intake.check import ITEM_RULES, PERSON_RULES, TableRules
from demur.intake.source import ItemRow, PersonRow
from demur.terms.content import Audience, ItemState, Kind, Signal
from demur.terms.people import Status


def taken_away(row: ItemRow | PersonRow, latest: datetime) -> ItemRow | PersonRow | None:
    """Return the deletion of an item, or what closes an account; ``None`` = nothing, or nobody knows whose.

    Args:
        row: a row that its table refuses; what could not be read is not there.
        latest: last instant that a date may have. An instant that cannot be right is none: then it always counts.
    """
    rules = PERSON_RULES if isinstance(row, PersonRow) else ITEM_RULES
    at = row.get("version_at")
    known = at is not None and rules.checks["version_at"](at, latest) is None
    left = {rules.identity: row.get(rules.identity), "version_at": at if known else None}
    left |= {"service": row["service"]} if row.get("service") is not None else {}
    found: ItemRow | PersonRow
    if isinstance(row, PersonRow):
        found = PersonRow(left, **worse(row))
        empty = len(found) == len(left)
    else:
        found = ItemRow(left, kind=Kind.METADATA.value, audience=Audience.UNKNOWN.value, state=ItemState.DELETED.value)
        empty = row.get("state") != ItemState.DELETED
    return None if empty or not _whole(found, rules, latest) else found


def _whole(row: Mapping[str, Any], rules: TableRules, latest: datetime) -> bool:
    try:
        return rules.fault(row, latest) is None and bool(rules.version_id(row))
    except TypeError:  # half a character in the id
        return False


def worse(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record of an account says that can only take away; an unknown word is the one that protects."""
    found: dict[str, Any] = {}
    status = said.get("status")
    if status not in (None, Status.ACTIVE.value):
        known = isinstance(status, str) and status in frozenset(Status)
        found["status"] = status if known else Status.SUSPENDED.value
    if said.get("private") is not None and said["private"] is not False:
        found["private"] = True
    if said.get("signal") not in (None, Signal.YES.value):
        found["signal"] = Signal.NO.value
    return found

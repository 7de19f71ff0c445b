"""Objections: figures with small cells kept back, the queue of those that nobody matched, entry by staff."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.responses import Response

from demur.access import Action
from demur.errors import InputError
from demur.flows import objected, office
from demur.flows.objection import by_claim, object_now
from demur.objections.bulk import said_at
from demur.web.console.desk import Desk, Screen
from demur.web.console.table import Column, Table

_QUEUE = (
    Column("objection_id", "Reference", "link"),
    Column("recorded_at", "Came", "instant"),
    Column("door", "Door", "tag"),
    Column("claim", "What was said about who it is"),
)


_NAMES = ("account_id", "handle", "contact")
"""Members of a claim that people go by; the number of a notice is nobody's name."""


def figures(desk: Desk) -> Response:
    """Show how many objected."""
    facts = office.objections(desk.service, desk.scope, desk.at)
    if desk.asked("as"):
        return desk.list_(_as_table(facts), "objections.html", title="Objections")
    waiting = len(_waiting(desk)) if desk.may(Action.OBJECTIONS_QUEUE) else 0
    return desk.show("objections.html", title="Objections", facts=facts, waiting=waiting)


def _waiting(desk: Desk, reference: str | None = None) -> list[dict[str, Any]]:
    """Return the queue, or one of it; nobody knows where these live, so whoever sees some countries sees none."""
    return [] if desk.scope is not None else desk.service.parts.registry.unmatched(reference)


def _as_table(facts: office.Objections) -> Table:
    rows: list[dict[str, Any]] = [
        {"axis": axis, "value": cell.name, "people": "<5" if cell.count is None else cell.count}
        for axis in ("country", "door", "language", "days")
        for cell in getattr(facts, axis)
    ]
    columns = (Column("axis", "Axis"), Column("value", "Value"), Column("people", "People"))
    return Table("objections", columns, rows)


def queue(desk: Desk) -> Response:
    """Show the objections that cover nobody yet, with what was said of whose they are."""
    desk.note("objections.look", None)
    rows = [
        {
            **row,
            "claim": _claim(row),
            "href": f"/console/objections/queue/{row['objection_id']}",
            "tone_door": "",
        }
        for row in _waiting(desk)
    ]
    empty = "Every objection is matched to a person. Nothing to do."
    return desk.list_(Table("unmatched objections", _QUEUE, rows, empty), "queue.html", title="Unmatched objections")


def _claim(row: dict[str, Any]) -> str:
    told = row.get("claim")
    if told is None:
        return f"person {row.get('person_id')} (no account of that id is here)"
    read = orjson.loads(told)
    return ", ".join(f"{name.replace('_', ' ')}: {value}" for name, value in read.items()) or "nothing"


def one(desk: Desk) -> Response:
    """Show one objection of the queue, and people whom it may be of."""
    reference = desk.named("reference")
    row = next(iter(_waiting(desk, reference)), None)
    if row is None:
        return desk.missing()
    desk.note("objection.look", reference)
    text = desk.told("text")
    told = orjson.loads(row["claim"]) if row.get("claim") else {"account_id": row["person_id"]}
    words = [text] if text else [str(told[name]) for name in _NAMES if name in told]
    found = sorted({person for word in words for person in office.find_people(desk.service, word, desk.scope, desk.at)})
    if text:
        desk.note("people.search", None)
    return desk.show("queue_one.html", title="Match an objection", row=row, claim=_claim(row), found=found, text=text)


def match(desk: Desk) -> Response:
    """Say whose an objection is."""
    reference, person = desk.named("reference"), desk.told("person")
    if not office.sees(desk.service, person, desk.scope, desk.at):
        raise InputError("expected the id of a person who is known, found another text; search for them first")
    if desk.scope is not None:
        return desk.missing()
    kept = objected.match(desk.service, reference, person)
    desk.note("objection.match", reference)
    return desk.back("/console/objections/queue", "taken_back" if kept.taken_back else "matched")


def entry(desk: Desk) -> Response:
    """Show the form for an objection that came by telephone or letter."""
    text = desk.told("text")
    found = office.find_people(desk.service, text, desk.scope, desk.at) if text else []
    if text:
        desk.note("people.search", None)
    return desk.show("enter.html", title="Enter an objection", text=text, found=found)


def enter(desk: Desk) -> Response:
    """Record an objection that came by telephone or letter. Always accepted; no reason is asked (OBJ-02)."""
    person, claim = desk.told("person"), desk.told("claim")
    if not person and not claim:
        raise InputError("expected a person, or what is known about them, found neither; a name or an address will do")
    who = {"person_id": person} if person else {"contact" if "@" in claim else "handle": claim}
    kept = object_now(by_claim(desk.service, who, door="staff", said_at=said_at(desk.told("said_on")))).kept
    desk.note("objection.enter", kept.objection_id)
    where = "taken_back" if kept.taken_back else "entered" if kept.person_id else "queued"
    return desk.back("/console/objections", where)


SCREENS = [
    Screen("/console/objections", Action.OBJECTIONS_VIEW, figures),
    Screen("/console/objections/queue", Action.OBJECTIONS_QUEUE, queue),
    Screen("/console/objections/queue/{reference}", Action.OBJECTIONS_QUEUE, one),
    Screen("/console/objections/queue/{reference}", Action.OBJECTIONS_QUEUE, one, "POST"),
    Screen("/console/objections/queue/{reference}/match", Action.OBJECTIONS_QUEUE, match, "POST"),
    Screen("/console/objections/enter", Action.OBJECTIONS_ENTER, entry),
    Screen("/console/objections/enter", Action.OBJECTIONS_ENTER, entry, "POST"),
    Screen("/console/objections/entered", Action.OBJECTIONS_ENTER, enter, "POST"),
]

"""People: search, and everything about one and why. Every look is in the audit trail (SEC-04)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from demur.access import Action
from demur.flows import mine, mine_papers, office
from demur.flows.readable import readable
from demur.i18n import sentence
from demur.web.console.desk import PAGE_ROWS, Desk, Screen
from demur.web.console.table import Column, Table

_EVENTS = (Column("recorded_at", "Learned", "instant"), Column("what", "What", "tag"), Column("facts", "Facts"))
_ITEMS = (
    Column("item_id", "Item", "code"),
    Column("kind", "Kind"),
    Column("created_at", "Made", "instant"),
    Column("verdict", "Use", "tag"),
    Column("why", "Why"),
    Column("where", "In"),
)


def search(desk: Desk) -> Response:
    """Show the search; a search is posted, so that nobody's name stands in an address or a log."""
    text = desk.told("text")
    found = office.find_people(desk.service, text, desk.scope, desk.at) if text else []
    if text:
        desk.note("people.search", None)
        if len(found) == 1:
            return desk.back(f"/console/people/{quote(found[0], safe=':')}")
    rows = [{"person": person, "href": f"/console/people/{quote(person, safe=':')}"} for person in found]
    table = Table("people found", (Column("person", "Person", "link"),), rows)
    return desk.show("people.html", title="People", table=table.part(0, PAGE_ROWS), text=text)


def person(desk: Desk) -> Response:
    """Show everything about one person."""
    who = desk.named("person")
    if not office.sees(desk.service, who, desk.scope, desk.at):
        return desk.missing()
    desk.note("people.look", who)
    service = desk.service
    if desk.asked("as") == "json":
        desk.note("people.export", who)
        headers = {"content-disposition": 'attachment; filename="person.json"', "cache-control": "no-store"}
        return Response(office.as_json(mine_papers.everything(service, who)), 200, headers, "application/json")
    facts = office.known(service, who, desk.at)
    standing = mine.standing_of(service, who)
    inventory = readable(lambda: mine.inventory_of(service, who))
    items = Table("items", _ITEMS, _lines(inventory), "Nothing of this person is in the tables.")
    events = Table("events", _EVENTS, _events(facts["events"]))
    return desk.show(
        "person.html", title=f"Person {who}", who=who, facts=facts, standing=standing, inventory=inventory,
        why=sentence(standing.reason) if standing.reason else None, deeds=_looks(desk, who),
        items=items.part(desk.first(), PAGE_ROWS), events=events.part(0, 200),
    )  # fmt: skip


def _lines(found: mine.Inventory | None) -> list[dict[str, Any]]:
    tones = {"used": "warn", "allowed": "", "withheld": "ok"}
    return [
        {
            "item_id": line.item_id,
            "kind": line.kind,
            "created_at": line.created_at,
            "verdict": str(line.verdict.value),
            "tone_verdict": tones.get(line.verdict.value, ""),
            "why": sentence(line.code) if line.code else "",
            "where": ", ".join(f"{name[:8]}" for name in (*line.corpora, *line.models)),
        }
        for line in (found.lines if found else ())
    ]  # fmt: skip


def _events(tables: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    rows = []
    for name, events in tables.items():
        for event in events:
            plain = {key: value for key, value in event.items() if key != "recorded_at" and value is not None}
            told = ", ".join(f"{key.replace('_', ' ')}: {_short(value)}" for key, value in plain.items())
            rows.append({"recorded_at": event["recorded_at"], "what": name.replace("_", " "), "facts": told})
    return sorted(rows, key=lambda row: row["recorded_at"], reverse=True)


def _short(value: Any) -> str:
    if hasattr(value, "isoformat"):
        return str(value.isoformat())[:16].replace("T", " ")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _looks(desk: Desk, who: str) -> list[dict[str, Any]]:
    if not desk.may(Action.AUDIT_VIEW):
        return []
    deeds = desk.service.access.audit.read(limit=10, object_id=who)
    names = {one.staff_id: one.name for one in desk.service.access.staff.everybody()}
    return [{"at": one.at, "by": names.get(one.subject, one.subject), "action": one.action} for one in deeds]


SCREENS = [
    Screen("/console/people", Action.PEOPLE_SEARCH, search),
    Screen("/console/people", Action.PEOPLE_SEARCH, search, "POST"),
    Screen("/console/people/{person:path}", Action.PEOPLE_SEARCH, person),
]

"""Holds: what is stopped and since when; placing; lifting by two people."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from demur.access import Action, Proposal
from demur.clock import parse
from demur.errors import InputError
from demur.flows import office
from demur.flows.hold import country_codes, place_hold
from demur.flows.hold_proof import drill
from demur.terms.content import Kind
from demur.terms.holds import Nature, PlacedHold, Stage
from demur.web.console.desk import Desk, Screen
from demur.web.console.table import Column, Table

_COLUMNS = (
    Column("hold_id", "Hold", "link"),
    Column("state", "State", "tag"),
    Column("slice", "What it stops"),
    Column("authority", "Authority"),
    Column("valid_at", "In force from", "instant"),
    Column("deadline_at", "Deadline", "instant"),
)
_TEXTS = ("authority", "instrument", "purpose", "campaign_id", "artefact", "text", "penalty")
_STATES = {"in force": "bad", "lifted": "", "not yet in force": "warn"}


def holds(desk: Desk) -> Response:
    """Show all holds."""
    rows = [_row(one, desk) for one in office.holds(desk.service, desk.scope)]
    empty = "No authority has stopped anything. If an order comes, place it here: it counts within seconds."
    waiting = _waiting(desk) if desk.may(Action.HOLDS_CONFIRM) else []
    names = {one.staff_id: one.name for one in desk.service.access.staff.everybody()} if waiting else {}
    table = Table("holds", _COLUMNS, rows, empty)
    return desk.list_(table, "holds.html", title="Holds", waiting=waiting, names=names)


def _waiting(desk: Desk) -> list[Proposal]:
    """Return the proposed lifts of holds that this person sees."""
    seen = {one.hold_id for one in office.holds(desk.service, desk.scope)}
    return [one for one in desk.service.access.proposals.waiting(office.LIFT) if one.object_id in seen]


def _row(one: PlacedHold, desk: Desk) -> dict[str, Any]:
    state = _state(one, desk)
    return {
        "hold_id": one.hold_id, "href": f"/console/holds/{one.hold_id}", "state": state, "tone_state": _STATES[state],
        "slice": slice_of(one), "authority": one.authority, "valid_at": one.valid_at, "deadline_at": one.deadline_at,
    }  # fmt: skip


def _state(one: PlacedHold, desk: Desk) -> str:
    if one.in_force(desk.at):
        return "in force"
    return "lifted" if one.lift and one.lift.valid_at <= desk.at else "not yet in force"


def slice_of(one: PlacedHold) -> str:
    """Return what a hold covers, in words."""
    parts = [
        ", ".join(sorted(one.countries)), ", ".join(sorted(one.services)), ", ".join(sorted(one.kinds)),
        f"made from {one.created_from:%Y-%m-%d}" if one.created_from else "",
        f"made before {one.created_until:%Y-%m-%d}" if one.created_until else "",
        f"purpose {one.purpose}" if one.purpose else "", f"campaign {one.campaign_id}" if one.campaign_id else "",
        f"artefact {one.artefact}" if one.artefact else "",
    ]  # fmt: skip
    what = " · ".join(part for part in parts if part) or "everything"
    stages = "" if one.stages == frozenset(Stage) else f" ({', '.join(sorted(one.stages))})"
    return what + stages


def one_hold(desk: Desk) -> Response:
    """Show one hold."""
    found = _find(desk)
    if found is None:
        return desk.missing()
    waiting = [one for one in desk.service.access.proposals.waiting(office.LIFT) if one.object_id == found.hold_id]
    mine = any(one.made_by == desk.staff.staff_id for one in waiting)
    return desk.show(
        "hold.html", title=f"Hold {found.hold_id}", hold=found, state=_state(found, desk), slice=slice_of(found),
        waiting=waiting, mine=mine, tone=_STATES[_state(found, desk)], liftable=found.nature is not Nature.ORDER,
    )  # fmt: skip


def _find(desk: Desk) -> PlacedHold | None:
    wanted = desk.named("hold")
    return next((one for one in office.holds(desk.service, desk.scope) if one.hold_id == wanted), None)


def form(desk: Desk) -> Response:
    """Show the form for a new hold."""
    return desk.show("hold_place.html", title="Place a hold", kinds=sorted(Kind), stages=list(Stage))


def place(desk: Desk) -> Response:
    """Place a hold, which counts when this answers; or hold a drill of the same."""
    hold_id, scope = _told(desk)
    if desk.told("as") == "drill":
        by = office.signature(desk.staff)
        stages = drill(desk.service.parts, hold_id, scope, by=by, clock=desk.service.clock)
        desk.note("hold.drill", hold_id)
        longest = max((one.seconds for one in stages), default=0.0)
        return desk.show("hold_drill.html", title="Drill", name=hold_id, stages=stages, longest=longest)
    place_hold(desk.service.parts, hold_id, scope, at=desk.at)
    desk.note("hold.place", hold_id)
    return desk.back(f"/console/holds/{hold_id}", "placed")


def _told(desk: Desk) -> tuple[str, dict[str, Any]]:
    """Return name and scope of the form.

    Raises:
        InputError: something does not fit; all faults are listed.
    """
    lists = {name: _words(desk.told(name)) for name in ("services", "kinds", "stages")}
    texts = {name: desk.told(name) for name in _TEXTS}
    faults = [f"{name}: expected a text, found none" for name in ("authority", "instrument") if not texts[name]]
    try:
        lists["countries"] = country_codes([one.upper() for one in _words(desk.told("countries"))])
    except InputError as error:
        faults += [f"countries: {one} is none; expected codes such as DE, or sets such as EU27" for one in error.faults]
    hold_id = desk.told("hold_id")
    if not hold_id or not all(sign.isalnum() or sign in "-_." for sign in hold_id):
        faults.append("name: expected letters, digits, hyphens and dots")
    instants = {
        name: _instant(desk.told(name), name, faults) for name in ("created_from", "created_until", "deadline_at")
    }
    if any(one.hold_id == hold_id for one in desk.service.parts.registry.holds()):
        faults.append("name: there is a hold of that name; give this one another")
    if faults:
        raise InputError("this hold cannot be placed", faults)
    return hold_id, {name: value for name, value in {**lists, **texts, **instants}.items() if value}


def evidence(desk: Desk) -> Response:
    """Hand out what shows that nothing of the slice was used while the hold stood."""
    found = _find(desk)
    if found is None:
        return desk.missing()
    raw = office.hold_evidence(desk.service, found.hold_id, desk.at)
    desk.note("hold.evidence", found.hold_id)
    headers = {"content-disposition": 'attachment; filename="hold-evidence.zip"', "cache-control": "no-store"}
    return Response(raw, 200, headers, "application/zip")


def propose(desk: Desk) -> Response:
    """Propose to lift a hold; nothing is lifted yet."""
    found = _find(desk)
    if found is None:
        return desk.missing()
    hold = found.hold_id
    office.propose_lift(desk.service, hold, reason=desk.told("reason"), by=desk.staff.staff_id, at=desk.at)
    desk.note("hold.propose_lift", hold)
    return desk.back(f"/console/holds/{hold}", "proposed")


def confirm(desk: Desk) -> Response:
    """Confirm or refuse what somebody else proposed."""
    number = int(desk.named("number"))
    if not any(one.number == number for one in _waiting(desk)):
        return desk.missing()
    if desk.told("answer") == "refuse":
        done = desk.service.access.proposals.refuse(number, by=desk.staff.staff_id, at=desk.at)
        desk.note("hold.refuse_lift", done.object_id)
        return desk.back("/console/holds", "refused")
    hold = office.confirm_lift(desk.service, number, by=desk.staff.staff_id, at=desk.at)
    desk.note("hold.lift", hold)
    return desk.back(f"/console/holds/{hold}", "lifted")


def _words(text: str) -> list[str]:
    return [word for word in text.replace(",", " ").split() if word]


def _instant(text: str, name: str, faults: list[str]) -> Any:
    try:
        return parse(text) if text else None
    except ValueError:
        faults.append(f"{name.replace('_', ' ')}: expected a date such as 2026-06-01")
        return None


SCREENS = [
    Screen("/console/holds", Action.HOLDS_VIEW, holds),
    Screen("/console/holds/place", Action.HOLDS_PLACE, form),
    Screen("/console/holds/place", Action.HOLDS_PLACE, place, "POST"),
    Screen("/console/holds/{hold}", Action.HOLDS_VIEW, one_hold),
    Screen("/console/holds/{hold}/evidence", Action.HOLDS_VIEW, evidence, "POST"),
    Screen("/console/holds/{hold}/lift", Action.HOLDS_PLACE, propose, "POST"),
    Screen("/console/proposals/{number:int}", Action.HOLDS_CONFIRM, confirm, "POST"),
]

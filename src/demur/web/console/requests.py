"""Third parties' requests by the legal clock: what was found, deciding, answering (TPD-04, TPD-06)."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from demur.access import Action
from demur.errors import InputError
from demur.flows import office
from demur.flows import request as flow
from demur.requests import Alarm, Delay, Reason, Request, Verdict
from demur.requests.words import CONFIRMING
from demur.web.console.desk import PAGE_ROWS, Desk, Handler, Screen
from demur.web.console.table import Column, Table
from demur.web.console.words import ago

_TONES = {Alarm.CALM: "ok", Alarm.SOON: "warn", Alarm.OVERDUE: "bad", Alarm.CLOSED: ""}
_COLUMNS = (
    Column("reference", "Request", "link"),
    Column("clock", "Clock", "tag"),
    Column("due_at", "Due", "instant"),
    Column("state", "State", "tag"),
    Column("kind", "About"),
    Column("open", "To decide", "number"),
    Column("found", "Found", "number"),
    Column("language", "Language"),
    Column("received_at", "Came", "instant"),
)
REASONS = {
    Reason.ABOUT_YOU: "it is about them",
    Reason.YOUR_WORK: "it is their own words or picture",
    Reason.CHILD: "it is about a child",
    Reason.SOMEBODY_ELSE: "it is about somebody else of that name",
    Reason.NOT_PERSONAL: "it says nothing about a person",
    Reason.PUBLIC_INTEREST: "it stays, for a public interest that outweighs",
    Reason.NOT_ENTITLED: "they may not ask for this person",
    Reason.EXCESSIVE: "the request is excessive",
}
DELAYS = {Delay.COMPLEX: "the request is complex", Delay.MANY_REQUESTS: "there are many requests"}


def clocks(desk: Desk) -> tuple[int, int, int]:
    """Return how many requests are overdue, how many will be soon, and how many more wait for an answer."""
    alarms = [one.alarm for one in _seen(desk)]
    return alarms.count(Alarm.OVERDUE), alarms.count(Alarm.SOON), alarms.count(Alarm.CALM)


def _seen(desk: Desk, *, answered: bool = False) -> list[flow.Queued]:
    return [one for one in flow.whole_queue(desk.service, answered=answered) if _in_scope(desk, one.request)]


def _in_scope(desk: Desk, one: Request) -> bool:
    """Say whether somebody sees a request: with some countries, only those that are known to come from there."""
    return desk.scope is None or one.country in desk.scope


def _in_scope_only(handle: Handler) -> Handler:
    def handler(desk: Desk) -> Response:
        found = desk.service.requests.known(int(desk.named("number")))
        return handle(desk) if _in_scope(desk, found) else desk.missing()

    return handler


def requests(desk: Desk) -> Response:
    """Show the queue by clock, or what is answered."""
    answered = desk.asked("show") == "answered"
    rows = [_row(one, desk) for one in _seen(desk, answered=answered)]
    empty = "Nothing is answered yet." if answered else "Nobody waits for an answer."
    query = {"show": "answered" if answered else "open"}
    table = Table("requests", _COLUMNS, rows, empty, query=query)
    return desk.list_(table, "requests.html", title="Requests", answered=answered)


def _row(one: flow.Queued, desk: Desk) -> dict[str, Any]:
    found = one.request
    clock = "answered" if found.answered_at else f"due {ago(found.due_at, desk.at)}"
    return {
        "reference": found.reference, "href": f"/console/requests/{found.number}", "clock": clock,
        "tone_clock": _TONES[one.alarm], "due_at": found.due_at,
        "state": found.outcome.value.replace("_", " ") if found.outcome else found.state.value,
        "kind": "what a model put out" if found.is_claim else "other people's posts", "open": one.open,
        "found": one.found, "language": found.language, "received_at": found.received_at,
    }  # fmt: skip


def one_request(desk: Desk) -> Response:
    """Show one request with everything that was found."""
    number = int(desk.named("number"))
    found = flow.opened(desk.service, number)
    desk.note("request.look", found.request.reference)
    open_ = [one for one in found.proposals if one.verdict.value == "proposed"]
    done = [one for one in found.proposals if one.verdict.value != "proposed"]
    first = desk.first()
    return desk.show(
        "request.html", title=f"Request {found.request.reference}", found=found, tone=_TONES[found.alarm],
        open=open_[first : first + PAGE_ROWS], waiting=len(open_), decided=done[:200], reasons=REASONS, delays=DELAYS,
        confirming=CONFIRMING, sure=sum(one.certain for one in open_), evidence=_evidence(found), first=first,
        later=first + PAGE_ROWS if first + PAGE_ROWS < len(open_) else None,
    )  # fmt: skip


def _evidence(found: flow.Opened) -> str | None:
    return None if found.evidence is None else office.as_json(found.evidence)


def decide(desk: Desk) -> Response:
    """Decide what is ticked, or all that is certain."""
    number, told = int(desk.named("number")), desk.told("reason")
    if told not in {reason.value for reason in Reason}:
        raise InputError("expected a reason, found none; the person is told it in their own language")
    items = [name.removeprefix("item:") for name in desk.form if name.startswith("item:")]
    if not items and desk.told("which") != "certain":
        raise InputError("expected at least one item, found none; tick what you decide about")
    if desk.told("which") == "certain":  # whatever the reason: nobody has looked at the others
        left = desk.service.requests.proposals(number)
        items = [one.item_id for one in left if one.certain and one.verdict is Verdict.PROPOSED]
    flow.decide(desk.service, number, items, Reason(told), by=office.signature(desk.staff))
    desk.note("request.decide", f"R-{number}")
    return desk.back(f"/console/requests/{number}", "decided")


def extend(desk: Desk) -> Response:
    """Take the two further months, with the reason that the person is told."""
    number, told = int(desk.named("number")), desk.told("delay")
    if told not in {delay.value for delay in Delay}:
        raise InputError("expected a reason for the delay, found none; the law asks for one (GDPR art. 12(3))")
    flow.extend(desk.service, number, Delay(told))
    desk.note("request.extend", f"R-{number}")
    return desk.back(f"/console/requests/{number}", "extended")


def answer(desk: Desk) -> Response:
    """End a request with an answer."""
    number = int(desk.named("number"))
    flow.answer(desk.service, number, by=office.signature(desk.staff), note=desk.told("note"))
    desk.note("request.answer", f"R-{number}")
    return desk.back(f"/console/requests/{number}", "answered")


def rerun(desk: Desk) -> Response:
    """Ask the model again what it is said to have put out."""
    number = int(desk.named("number"))
    flow.rerun(desk.service, number)
    desk.note("request.rerun", f"R-{number}")
    return desk.back(f"/console/requests/{number}", "rerun")


SCREENS = [
    Screen("/console/requests", Action.REQUESTS_VIEW, requests),
    Screen("/console/requests/{number:int}", Action.REQUESTS_VIEW, _in_scope_only(one_request)),
    *(
        Screen(f"/console/requests/{{number:int}}/{name}", Action.REQUESTS_DECIDE, _in_scope_only(handle), "POST")
        for name, handle in (("decide", decide), ("extend", extend), ("answer", answer), ("rerun", rerun))
    ),
]

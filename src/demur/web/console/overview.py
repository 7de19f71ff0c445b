"""What needs attention now, and how things stand."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from demur.access import Action
from demur.flows import office
from demur.flows.exports import ExportState
from demur.web.console.desk import Desk, Screen
from demur.web.console.exports import given
from demur.web.console.words import ago


@dataclass(frozen=True, slots=True)
class Todo:
    """One thing that waits for somebody."""

    text: str
    href: str
    word: str
    tone: str = "warn"


def overview(desk: Desk) -> Response:
    """Show the first page."""
    facts = office.overview(desk.service, desk.scope, desk.at)
    return desk.show("overview.html", title="Overview", facts=facts, todos=_todos(desk, facts))


def _todos(desk: Desk, facts: office.Overview) -> list[Todo]:
    """Return what waits and what this person may do something about."""
    found: list[Todo] = []
    if desk.may(Action.REQUESTS_VIEW):
        found += _requests(desk)
    if facts.unmatched and desk.may(Action.OBJECTIONS_QUEUE):
        oldest = facts.oldest_unmatched_at
        late = oldest is not None and office.overdue(oldest, desk.at)
        since = f", the oldest came {ago(oldest, desk.at)}" if oldest else ""
        text = f"{facts.unmatched} objections that nobody has matched to a person yet{since}"
        found.append(Todo(text, "/console/objections/queue", "Match them", "bad" if late else "warn"))
    if facts.lifts and desk.may(Action.HOLDS_CONFIRM):
        found.append(Todo("A hold waits for a second person to confirm its lift", "/console/holds", "Look at it"))
    if facts.failed_letters:
        text = f"{facts.failed_letters} letters could not be sent; check the relay in site.toml"
        found.append(Todo(text, "/console/campaigns", "Campaigns", "bad"))
    if desk.may(Action.EXPORTS_NOTE):
        left, unreadable = given(desk)
        if unreadable:
            text = f"{len(unreadable)} exports cannot be read, so nobody knows whether they may be used"
            found.append(Todo(text, "/console/exports", "Exports", "bad"))
        over = sum(one.state is ExportState.OVER for one in left)
        if over:
            text = f"{over} exports may not be used any longer, and nobody has said that they are destroyed"
            found.append(Todo(text, "/console/exports", "Exports", "bad"))
    if facts.pending is None and desk.may(Action.MODELS_VIEW):
        text = "A corpus, a model or a policy cannot be read, so nobody knows what waits; see demur corpus verify"
        found.append(Todo(text, "/console/models", "Models", "bad"))
    if facts.pending and desk.may(Action.MODELS_VIEW):
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(facts.pending.items()))
        found.append(Todo(f"Waiting to be taken out of corpus and model: {kinds}", "/console/models", "Models"))
    return found


def _requests(desk: Desk) -> list[Todo]:
    from demur.web.console.requests import clocks

    late, soon, calm = clocks(desk)
    found = []
    if late:
        found.append(Todo(f"{late} requests are overdue", "/console/requests?show=open", "Answer them", "bad"))
    if soon:
        found.append(Todo(f"{soon} requests are due within a week", "/console/requests?show=open", "Answer them"))
    if calm:
        text = f"Requests that wait for an answer, none of them urgent: {calm}"
        found.append(Todo(text, "/console/requests?show=open", "Look at them", ""))
    return found


SCREENS = [Screen("/console", Action.OVERVIEW, overview)]

"""What left the house: who got it, whether it may still be used, who was told, and what is destroyed."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from starlette.responses import Response

from demur.access import Action
from demur.errors import InputError
from demur.flows import exports as flow
from demur.flows.exports import ExportState
from demur.flows.readable import readable
from demur.flows.recall import MOST_LETTERS
from demur.notice.letters import came_back
from demur.web.console.desk import Desk, Screen
from demur.web.console.table import Column, Table

_COLUMNS = (
    Column("reference", "Export", "code"),
    Column("state", "State", "tag"),
    Column("what", "What"),
    Column("at", "Left", "instant"),
    Column("to", "To"),
    Column("corpus", "Corpus", "code"),
    Column("over_at", "Over since", "instant"),
    Column("letters", "Letters", "number"),
    Column("written_at", "Last letter", "instant"),
    Column("destroyed_at", "Destroyed", "instant"),
    Column("destroyed_by", "Who said so"),
    Column("digest", "Digest", "code"),
)
_STATES = {
    ExportState.IN_USE: ("may be used", "ok"),
    ExportState.WAITS: ("waits", "warn"),
    ExportState.OVER: ("to be destroyed", "bad"),
    ExportState.DESTROYED: ("destroyed", ""),
}


def given(desk: Desk) -> tuple[list[flow.Given], list[str]]:
    """Return everything that left, newest first, as it stands now; and what cannot be read of it."""
    parts = desk.service.parts
    found = flow.exports(parts.workspace)
    shown = [(one, readable(partial(flow.seen, parts, one, desk.at))) for one in reversed(found.given)]
    return [now or replace(one, waits=True) for one, now in shown], found.unreadable


def exports(desk: Desk) -> Response:
    """Show everything that left."""
    found, unreadable = given(desk)
    rows = [
        {
            "reference": one.reference, "state": _STATES[one.state][0], "tone_state": _STATES[one.state][1],
            "what": one.what, "at": one.at, "to": one.recipient.name if one.recipient else "nobody named",
            "corpus": one.corpus, "over_at": one.over_at, "letters": len(one.written_at),
            "written_at": one.written_at[-1] if one.written_at else None, "destroyed_at": one.destroyed_at,
            "destroyed_by": one.destroyed_by, "digest": one.digest[:16],
        }
        for one in found
    ]  # fmt: skip
    empty = "Nothing has left the house. The command “demur corpus export” writes a corpus for somebody."
    over = [one for one in found if one.state is ExportState.OVER]
    keys = {one.number: one.letter(len(one.written_at)) for one in over if one.written_at}
    back = came_back(desk.service.notice, set(keys.values()))
    return desk.list_(
        Table("exports", _COLUMNS, rows, empty), "exports.html", title="Exports", over=over, letters=MOST_LETTERS,
        back={number for number, key in keys.items() if key in back}, unreadable=unreadable,
    )  # fmt: skip


def destroyed(desk: Desk) -> Response:
    """Note that one is destroyed, and who said so."""
    if not desk.told("by"):
        raise InputError("expected who said that it is destroyed, and how, found nothing; fill the field in")
    parts = desk.service.parts
    one = flow.by_reference(parts.workspace, desk.named("reference"))
    flow.destroyed(parts, one.number, by=desk.told("by"), at=desk.at)
    desk.note("export.destroyed", one.reference)
    return desk.back("/console/exports", "destroyed")


SCREENS = [
    Screen("/console/exports", Action.EXPORTS_VIEW, exports),
    Screen("/console/exports/{reference}", Action.EXPORTS_NOTE, destroyed, "POST"),
]

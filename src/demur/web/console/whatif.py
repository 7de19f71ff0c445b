"""What if: one policy against another, on the present state; nothing changes (JUR-06)."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from demur.access import Action
from demur.errors import InputError
from demur.flows import office
from demur.web.console.desk import Desk, Screen
from demur.web.console.table import Column, Table

_COLUMNS = (
    Column("axis", "By"),
    Column("value", "Value"),
    Column("gained_people", "People gained", "number"),
    Column("gained_items", "Items gained", "number"),
    Column("lost_people", "People lost", "number"),
    Column("lost_items", "Items lost", "number"),
    Column("lost_words", "Words lost", "number"),
)


def what_if(desk: Desk) -> Response:
    """Show the form, and what came out of the last comparison that this page was asked for."""
    policies = office.policies()
    before, after = desk.asked("before"), desk.asked("after")
    found = office.compared(desk.service, before, after) if {before, after} <= set(policies) else None
    table = None
    if found is not None:
        query = {"before": before, "after": after}
        table = Table("what if", _COLUMNS, _rows(found), "The two policies allow the same.", query=query)
        if desk.asked("as"):
            return desk.list_(table, "whatif.html", title="What if")
        table = table.part(0, 500)
    using = office.policy_name(desk.service.parts)
    before = before or using
    after = after or next((name for name in policies if name != before), before)
    return desk.show(
        "whatif.html", title="What if", policies=policies, before=before, after=after, found=found,
        table=table, largest=_largest(found),
    )  # fmt: skip


def compare(desk: Desk) -> Response:
    """Compare two policies; the result is kept beside the corpora until something is learned."""
    before, after = desk.told("before"), desk.told("after")
    if not {before, after} <= set(office.policies()) or before == after:
        raise InputError("expected two different policies of the list, found others; choose again")
    office.compare_policies(desk.service, before, after, at=desk.at)
    desk.note("whatif", f"{before} → {after}")
    return desk.back(f"/console/what-if?before={before}&after={after}")


def _rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    for axis in ("country", "language", "kind"):
        for value, both in sorted(found[f"by_{axis}"].items()):
            gained, lost = both["gained"], both["lost"]
            rows.append({
                "axis": axis, "value": value, "gained_people": gained["people"], "gained_items": gained["items"],
                "lost_people": lost["people"], "lost_items": lost["items"], "lost_words": lost["words"],
            })  # fmt: skip
    return rows


def _largest(found: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the countries that change most."""
    if found is None:
        return []
    rows = [{"name": name, "count": both["lost"]["items"] + both["gained"]["items"]}
            for name, both in found["by_country"].items()]  # fmt: skip
    return sorted(rows, key=lambda row: (-row["count"], row["name"]))[:12]


SCREENS = [
    Screen("/console/what-if", Action.WHATIF, what_if),
    Screen("/console/what-if", Action.WHATIF, compare, "POST"),
]

"""Staff accounts, one's own password, and the audit trail."""

from __future__ import annotations

from starlette.responses import Response

from demur.access import Action, Role, Subject
from demur.errors import InputError, RefusedError
from demur.web.console.desk import PAGE_ROWS, Desk, Screen, is_staff_role
from demur.web.console.table import Column, Table
from demur.web.console.words import ROLES
from demur.web.guard import address_of, prefix_of

_STAFF = (
    Column("name", "Name"),
    Column("email", "E-mail address"),
    Column("role", "Role", "tag"),
    Column("countries", "Sees"),
    Column("login", "Logs in with"),
    Column("made_at", "Since", "instant"),
    Column("state", "State", "tag"),
)
_TRAIL = (
    Column("number", "No.", "number"),
    Column("at", "When", "instant"),
    Column("who", "Who"),
    Column("action", "What", "tag"),
    Column("object_id", "About", "code"),
)


def staff(desk: Desk) -> Response:
    """Show all accounts."""
    everybody = desk.service.access.staff.everybody()
    rows = [
        {
            "name": one.name, "email": one.email, "role": ROLES[one.role],
            "countries": ", ".join(sorted(one.countries)) if one.countries else "every country",
            "login": "password" if one.has_password else "identity provider", "made_at": one.made_at,
            "state": "closed" if one.disabled_at else "active", "tone_state": "" if one.disabled_at else "ok",
        }
        for one in everybody
    ]  # fmt: skip
    others = [one for one in everybody if one.disabled_at is None and one.staff_id != desk.staff.staff_id]
    return desk.list_(Table("staff", _STAFF, rows), "staff.html", title="Staff", roles=ROLES, others=others)


def add(desk: Desk) -> Response:
    """Make an account."""
    role, countries = _role(desk)
    made = desk.service.access.staff.add(
        desk.told("email"), name=desk.told("name"), role=role, countries=countries, at=desk.at,
        by=desk.staff.staff_id, password=desk.form.get("password") or None,
    )  # fmt: skip
    desk.note("staff.add", made.staff_id)
    return desk.back("/console/staff", "added")


def _role(desk: Desk) -> tuple[Role, list[str]]:
    """Return role and countries of the form."""
    role = desk.told("role")
    if not is_staff_role(role):
        raise InputError("expected a role, found another word; choose one of the list")
    return Role(role), [one.upper() for one in desk.told("countries").replace(",", " ").split()]


def change_role(desk: Desk) -> Response:
    """Let somebody work as something else, and end their sessions."""
    whose = desk.told("staff_id")
    if whose == desk.staff.staff_id:
        raise RefusedError("you cannot change your own role; ask another operator")
    role, countries = _role(desk)
    desk.service.access.staff.change_role(whose, role=role, countries=countries)
    desk.service.access.sessions.close_all(whose, Subject.STAFF)
    desk.note(f"staff.role.{role.value}", whose)
    return desk.back("/console/staff", "changed")


def disable(desk: Desk) -> Response:
    """Close an account and end its sessions."""
    whose = desk.told("staff_id")
    if whose == desk.staff.staff_id:
        raise RefusedError("you cannot close your own account; ask another operator")
    desk.service.access.staff.disable(whose, desk.at)
    desk.service.access.sessions.close_all(whose, Subject.STAFF)
    desk.note("staff.disable", whose)
    return desk.back("/console/staff", "disabled")


def own(desk: Desk) -> Response:
    """Show one's own account."""
    return desk.show("own.html", title="Your account")


def change_password(desk: Desk) -> Response:
    """Change one's own password; other sessions of this account are ended."""
    prefix = prefix_of(address_of(desk.request))
    old, new = desk.form.get("old", ""), desk.form.get("new", "")
    if desk.service.access.staff.log_in(desk.staff.email, old, prefix=prefix, at=desk.at) is None:
        raise RefusedError("expected your present password, found another; nothing was changed")
    desk.service.access.staff.set_password(desk.staff.staff_id, new)
    desk.service.access.sessions.close_all(desk.staff.staff_id, Subject.STAFF)
    desk.note("staff.password", desk.staff.staff_id)
    return desk.back("/console/login")


def trail(desk: Desk) -> Response:
    """Show who did what."""
    told = desk.asked("before")
    before = int(told) if told.isdecimal() and len(told) < 16 else None
    names = {one.staff_id: one.name for one in desk.service.access.staff.everybody()}
    limit = None if desk.asked("as") else PAGE_ROWS
    deeds = desk.service.access.audit.read(limit=limit, before=before)
    rows = [
        {"number": one.number, "at": one.at, "who": names.get(one.subject, one.subject), "action": one.action,
         "object_id": one.object_id}
        for one in deeds
    ]  # fmt: skip
    last = rows[-1]["number"] if len(rows) == limit else None
    table = Table("audit trail", _TRAIL, rows, "Nobody has done anything yet.")
    return desk.list_(table, "audit.html", title="Audit trail", last=last)


SCREENS = [
    Screen("/console/staff", Action.STAFF_VIEW, staff),
    Screen("/console/staff/add", Action.STAFF_MANAGE, add, "POST"),
    Screen("/console/staff/role", Action.STAFF_MANAGE, change_role, "POST"),
    Screen("/console/staff/disable", Action.STAFF_MANAGE, disable, "POST"),
    Screen("/console/account", Action.OVERVIEW, own),
    Screen("/console/account", Action.OVERVIEW, change_password, "POST"),
    Screen("/console/audit", Action.AUDIT_VIEW, trail),
]

"""Commands about staff accounts: staff add, list, remove, password."""

from __future__ import annotations

import sys

import click

from demur import clock
from demur.cli.frame import Context, guarded, hint, pass_context, show
from demur.cli.look import grid

_ROLES = ("operator", "policy_author", "approver", "dpo", "trainer", "auditor", "regulator")
_PASSWORD = click.option(
    "--password-stdin", "from_stdin", is_flag=True, help="Read the password from the first line of standard input."
)


@click.group()
def staff() -> None:
    """Who may use the console, and as what (docs/console.md)."""


@staff.command("add", epilog="Example: demur staff add ann@agora.example --name 'Ann Other' --role dpo")
@click.argument("email")
@click.option("--name", required=True, help="As colleagues know them.")
@click.option("--role", type=click.Choice(_ROLES), required=True, help="What they may do.")
@click.option("--country", "countries", multiple=True, help="Country that they see (repeat); a regulator needs one.")
@click.option("--no-password", is_flag=True, help="They log in with the identity provider only.")
@_PASSWORD
@pass_context
@guarded
def add(
    context: Context,
    email: str,
    name: str,
    role: str,
    countries: tuple[str, ...],
    no_password: bool,
    from_stdin: bool,
) -> None:
    """Make an account; the first one is made here, further ones in the console too."""
    from demur.access import Role
    from demur.wiring import open_service

    password = None if no_password else _password(from_stdin=from_stdin)
    with open_service(context.new_workspace) as service:
        made = service.access.staff.add(
            email, name=name, role=Role(role), countries=countries, at=clock.now(), by="cli", password=password
        )
        service.access.audit.note("cli", "staff.add", made.staff_id, clock.now())
        origin = service.site.origin
    show(context, {"staff": made.staff_id, "email": made.email, "role": made.role.value})
    hint(context, f"They log in at {origin}/console while `demur serve` runs.")


@staff.command("list")
@pass_context
@guarded
def list_accounts(context: Context) -> None:
    """List all accounts, closed ones too."""
    from demur.wiring import open_service

    with open_service(context.workspace) as service:
        everybody = service.access.staff.everybody()
    rows = [
        {
            "staff": one.staff_id,
            "email": one.email,
            "name": one.name,
            "role": one.role.value,
            "countries": sorted(one.countries) if one.countries else None,
            "closed_at": clock.iso(one.disabled_at) if one.disabled_at else None,
        }
        for one in everybody
    ]
    head = ["e-mail", "name", "role", "sees", "state"]
    cells = [
        [one.email, one.name, one.role.value, " ".join(sorted(one.countries or ())) or "all",
         "closed" if one.disabled_at else "active"]
        for one in everybody
    ]  # fmt: skip
    show(context, {"staff": rows}, lambda: grid(head, cells))
    if not rows:
        hint(context, "Nobody yet; `demur staff add` makes the first account.")


@staff.command("remove", epilog="Example: demur staff remove ann@agora.example")
@click.argument("email")
@pass_context
@guarded
def remove(context: Context, email: str) -> None:
    """Close an account for good and end its sessions; who it was stays in the audit trail."""
    from demur.access import Subject
    from demur.wiring import open_service

    with open_service(context.workspace) as service:
        whose = service.access.staff.require(email)
        service.access.staff.disable(whose.staff_id, clock.now())
        service.access.sessions.close_all(whose.staff_id, Subject.STAFF)
        service.access.audit.note("cli", "staff.disable", whose.staff_id, clock.now())
    show(context, {"staff": whose.staff_id, "email": whose.email, "state": "closed"})


@staff.command("password", epilog="Example: demur staff password ann@agora.example")
@click.argument("email")
@_PASSWORD
@pass_context
@guarded
def change_password(context: Context, email: str, from_stdin: bool) -> None:
    """Give an account another password and end its sessions."""
    from demur.access import Subject
    from demur.wiring import open_service

    with open_service(context.workspace) as service:
        whose = service.access.staff.require(email)
        service.access.staff.set_password(whose.staff_id, _password(from_stdin=from_stdin))
        service.access.sessions.close_all(whose.staff_id, Subject.STAFF)
        service.access.audit.note("cli", "staff.password", whose.staff_id, clock.now())
    show(context, {"staff": whose.staff_id, "email": whose.email, "password": "changed"})


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    found: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return found

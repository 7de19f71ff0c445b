"""Commands about what people refuse and authorities stop: objection, hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from demur import clock
from demur.cli.frame import INSTANT, Context, guarded, hint, learned_option, pass_context, reading, show, working
from demur.cli.look import NOBODY, records, say
from demur.errors import InputError, RefusedError

if TYPE_CHECKING:
    from demur.flows.service import Service


@click.group()
def objection() -> None:
    """What people refuse. Always accepted, permanent, and effective at once."""


@objection.command(
    "add", epilog="Examples: demur objection add agora:p104    demur objection add --handle @ada --kind photo"
)
@click.argument("person", required=False)
@click.option("--account", help="Instead of PERSON: an account id.")
@click.option("--handle", help="Instead of PERSON: a handle.")
@click.option("--contact", help="Instead of PERSON: an address.")
@click.option("--kind", "kinds", multiple=True, help="Only this kind of content (default: everything).")
@click.option("--service", "services", multiple=True, help="Only this service (default: everything).")
@click.option("--door", default="staff", show_default=True, help="How it came: web, link, api, staff …")
@learned_option
@pass_context
@guarded
def add(context: Context, /, person: str | None, at: datetime | None, **told: Any) -> None:
    """Record an objection; no reason is asked. `demur erase` then takes the person out of corpus and model."""
    from demur.flows.objected import log_kept
    from demur.flows.objection import by_claim, object_now

    named = [one for one in (person, told["account"], told["handle"], told["contact"]) if one]
    if len(named) != 1:
        raise click.UsageError("name one: PERSON, or --account, or --handle, or --contact")
    who = {"person_id": person, "account_id": told["account"], "handle": told["handle"], "contact": told["contact"]}
    with _service(context, at) as service:
        asked = by_claim(service, who, door=told["door"], kinds=told["kinds"], services=told["services"])
        kept = object_now(asked).kept
        (index,) = log_kept(service.parts, [kept])
        accounts = service.parts.registry.reach([kept.person_id])[kept.person_id].accounts if kept.person_id else ()
        known = bool(kept.person_id and (accounts or service.parts.registry.find(kept.person_id)))
    facts = {"objection_id": kept.objection_id, "person_id": kept.person_id, "accounts": accounts,
             "valid_at": clock.iso(kept.said_at), "recorded_at": clock.iso(kept.recorded_at),
             "in_force_before": kept.repeated}  # fmt: skip
    show(context, {**facts, "ledger_entry": index})
    if kept.person_id is None:
        hint(context, "Nobody is known under that name; the objection waits in the queue (`demur objection queue`).")
    elif not known:
        hint(context, "Nobody of that id is known yet. It is kept, and counts from the moment that they are. Mistyped?")
    else:
        hint(context, "In force now for every build. `demur erase --dry-run` shows what it takes out.")


@contextmanager
def _service(context: Context, at: datetime | None = None) -> Iterator[Service]:
    """Open the people's side without the workspace's lock: a no never waits for a build or a training run (OBJ-03)."""
    from demur.wiring import open_service

    with open_service(context.new_workspace) as service:
        yield service if at is None else replace(service, clock=lambda: at)


@objection.command("withdraw")
@click.argument("person")
@click.option("--confirm", is_flag=True, help="The person is logged in and has confirmed it a second time.")
@learned_option
@pass_context
@guarded
def withdraw(context: Context, person: str, confirm: bool, at: datetime | None) -> None:
    """Record that a person takes an objection back. A new notice and its whole period must follow before any use."""
    from demur.flows.objection import withdraw as take_back

    if not confirm:
        raise RefusedError(
            "a withdrawal needs the person's login and a second confirmation; then say --confirm (OBJ-08)"
        )
    with working(context) as parts:
        if not parts.registry.find(person):
            raise InputError(NOBODY)
        _, index = take_back(parts, person, at=at or clock.now())
    show(context, {"person": person, "withdrawn": True, "ledger_entry": index})


@objection.command("queue")
@pass_context
@guarded
def queue(context: Context) -> None:
    """List objections that nobody could be matched to yet."""
    with reading(context) as parts:
        rows = parts.registry.unmatched()
    show(
        context,
        {"waiting": rows},
        lambda: records(rows) if rows else say("nobody waits"),
    )


@click.group()
def hold() -> None:
    """An authority's stops."""


@hold.command(
    "place", epilog="Example: demur hold place H-1 --authority DPC --instrument 'letter of 14 June' --country IE"
)
@click.argument("hold_id")
@click.option("--authority", required=True, help="Who orders it.")
@click.option("--instrument", required=True, help="Act, letter or reference.")
@click.option("--country", "countries", multiple=True, help="Only content of people there. Repeat as needed.")
@click.option("--kind", "kinds", multiple=True, help="Only this kind of content. Repeat as needed.")
@click.option("--service", "services", multiple=True, help="Only this service. Repeat as needed.")
@click.option("--created-from", type=INSTANT, default=None, help="Only content made from then on.")
@click.option("--created-until", type=INSTANT, default=None, help="Only content made before then.")
@learned_option
@pass_context
@guarded
def place(context: Context, /, hold_id: str, at: datetime | None, **told: Any) -> None:
    """Stop the use of a slice of content; what is not named is not restricted."""
    from demur.flows.intake import place_hold

    scope = {name: list(value) if isinstance(value, tuple) else value for name, value in told.items() if value}
    with working(context, first=True) as parts:
        index = place_hold(parts, hold_id, scope, at=at or clock.now())
    show(context, {"hold": hold_id, "ledger_entry": index})


@hold.command("lift", epilog="Example: demur hold lift H-1 --by legal-1 --by legal-2 --reason 'withdrawn'")
@click.argument("hold_id")
@click.option("--by", multiple=True, required=True, help="Who lifts it; two different people.")
@click.option("--reason", required=True, help="Why it ends; kept.")
@learned_option
@pass_context
@guarded
def lift(context: Context, hold_id: str, by: tuple[str, ...], reason: str, at: datetime | None) -> None:
    """Lift a hold; needs two people (HLD-04)."""
    from demur.flows.intake import lift_hold

    with working(context) as parts:
        index = lift_hold(parts, hold_id, by=by, reason=reason, at=at or clock.now())
    show(context, {"hold": hold_id, "lifted": True, "ledger_entry": index})

"""Commands about what people refuse: objection."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from demur import clock
from demur.cli.frame import Context, guarded, hint, learned_option, pass_context, reading, show
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
def _service(context: Context, at: datetime | None = None, *, begins: bool = True) -> Iterator[Service]:
    """Open the people's side without the workspace's lock: a no never waits for a build or a training run (OBJ-03)."""
    from demur.wiring import open_service

    with open_service(context.new_workspace if begins else context.workspace) as service:
        yield service if at is None else replace(service, clock=lambda: at)


@objection.command("withdraw")
@click.argument("person")
@click.option("--confirm", is_flag=True, help="The person is logged in and has confirmed it a second time.")
@learned_option
@pass_context
@guarded
def withdraw(context: Context, person: str, confirm: bool, at: datetime | None) -> None:
    """Record that a person takes an objection back. A new notice and its whole period must follow before any use."""
    from demur.flows.objected import log_kept
    from demur.flows.objection import take_back

    if not confirm:
        raise RefusedError(
            "a withdrawal needs the person's login and a second confirmation; then say --confirm (OBJ-08)"
        )
    with _service(context, at, begins=False) as service:
        if not service.parts.registry.find(person):
            raise InputError(NOBODY)
        (index,) = log_kept(service.parts, [take_back(service, person)])
    show(context, {"person": person, "withdrawn": True, "ledger_entry": index})


@objection.command("import", epilog="Example: demur objection import list.csv")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--door", default="bulk", show_default=True, help="How it came: bulk, staff …")
@pass_context
@guarded
def import_(context: Context, file: Path, door: str) -> None:
    """Record a list of objections (CSV, JSON lines); each line is answered, only one that names nobody is not taken."""
    from demur.flows.objecting import object_for_list
    from demur.objections.bulk import read_lines

    text = file.read_bytes().decode("utf-8", "replace")
    with _service(context) as service:
        answers = [asdict(one) for one in object_for_list(service, read_lines(text), door=door)]
    counts = {state: sum(one["state"] == state for one in answers) for state in sorted({a["state"] for a in answers})}
    show(context, {"lines": len(answers), **counts, "answers": answers}, lambda: records(answers) if answers else None)
    if counts.get("names_nobody"):
        hint(context, "Lines that name nobody were not taken: a line needs person_id, account_id, handle or contact.")


@objection.command("signals", epilog="Example: demur objection signals declarations.jsonl")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
@pass_context
@guarded
def signals(context: Context, file: Path | None) -> None:
    """Record what standard signals say: AT-protocol declarations in FILE, or without it the flags of known profiles."""
    from demur.flows.objecting import object_by_declarations, object_by_flags

    with _service(context) as service:
        if file is None:
            done = object_by_flags(service)
        else:
            with file.open("rb") as lines:
                done = object_by_declarations(service, lines)
    fresh = [one.kept for one in done if not one.kept.repeated]
    waiting = sum(one.person_id is None for one in fresh)
    show(context, {"recorded": len(fresh), "waiting": waiting, "in_force_before": len(done) - len(fresh)})


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

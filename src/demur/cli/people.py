"""Commands about what comes in and what people said: intake, people, notice, objection, hold, export."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from demur import clock
from demur.cli.frame import INSTANT, Context, grid, guarded, listing, note, pass_context, progress, say, show
from demur.wiring import open_parts


@click.command()
@click.argument("source")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--mapping", help="For the source `table`: mapping file, or the name of a shipped one.")
@click.option("--service", help="Prefix of ids where the source knows none.")
@click.option("--at", type=INSTANT, default=None, help="Instant of the import (default: now).")
@pass_context
@guarded
def intake(
    context: Context,
    source: str,
    paths: tuple[Path, ...],
    mapping: str | None,
    service: str | None,
    at: datetime | None,
) -> None:
    """Read exports, feeds or tables into the workspace.

    SOURCE is stackexchange, activitystreams, mastodon, bluesky, table, demo, or a plugin's name. What cannot be read
    goes to quarantine, counted. Reading the same files again changes nothing.
    """
    from demur.flows.intake import take_in

    with context.workspace.lock(), progress(context) as told, open_parts(context.workspace, told) as parts:
        report = take_in(parts, source, paths, mapping=mapping, service=service, at=at or clock.now())
    show(context, report.as_json())


@click.group()
def people() -> None:
    """Who people are and what they said: the registry."""


@people.command("import")
@click.argument("events", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--at", type=INSTANT, default=None, help="When demur learns it (default: now).")
@pass_context
@guarded
def import_events(context: Context, events: Path, at: datetime | None) -> None:
    """Record a file of events, one JSON object a line: notices, objections, residences, ages … (docs/registry.md)."""
    from demur.flows.intake import learn

    with context.workspace.lock(), progress(context) as told, open_parts(context.workspace, told) as parts:
        done = learn(parts, events, at=at or clock.now())
    facts = {
        "lines": done.people,
        "events": {str(table): count for table, count in done.events.items()},
        "faults": done.faulty,
    }
    show(context, facts)
    for fault in done.faults[:20]:
        note(f"  {fault}")


@people.command("find")
@click.argument("text")
@pass_context
@guarded
def find(context: Context, text: str) -> None:
    """Find person ids by account, handle, address or id."""
    with open_parts(context.workspace) as parts:
        found = parts.registry.find(text)
    show(context, {"people": found})


@people.command("show")
@click.argument("person")
@click.option("--as-of", type=INSTANT, default=None, help="Standing as of this instant (default: now).")
@pass_context
@guarded
def show_person(context: Context, person: str, as_of: datetime | None) -> None:
    """Show everything that is recorded about one person, and their standing."""
    from demur.errors import InputError

    at = as_of or clock.now()
    with open_parts(context.workspace) as parts:
        standing = parts.registry.standing(person, as_of=at, known_at=clock.now())
        events = parts.registry.about(person)
    if standing is None:
        raise InputError("expected the id of a person, found nobody of that id; `demur people find` looks one up")

    def text() -> None:
        listing(standing["standing"][0])
        for name, rows in events.items():
            if rows:
                say()
                grid(name, list(rows[0]), [list(row.values()) for row in rows])

    show(context, {"standing": standing, "events": events}, text)


@click.group()
def notice() -> None:
    """Who was told, and when: the notices that clocks start from."""


@notice.command("record")
@click.argument("campaign")
@click.argument("persons", nargs=-1)
@click.option("--all", "everybody", is_flag=True, help="Everybody in the registry.")
@click.option("--delivered", type=INSTANT, default=None, help="When the notices were delivered (default: now).")
@click.option("--effective", type=INSTANT, required=True, help="Date before which nothing is used.")
@click.option("--days", type=int, default=45, show_default=True, help="Period that the notice promises.")
@click.option("--channel", default="email", show_default=True)
@click.option("--purpose", default="language-model-training", show_default=True)
@pass_context
@guarded
def record_notice(
    context: Context,
    campaign: str,
    persons: tuple[str, ...],
    everybody: bool,
    delivered: datetime | None,
    effective: datetime,
    days: int,
    channel: str,
    purpose: str,
) -> None:
    """Record that a campaign's notices were delivered to people, as your mailer told you."""
    from demur.flows.intake import Campaign, tell

    now = clock.now()
    with context.workspace.lock(), progress(context) as told, open_parts(context.workspace, told) as parts:
        whom = None if everybody else list(persons)
        told_to = tell(
            parts, Campaign(campaign, purpose, effective, days, channel), whom, delivered_at=delivered or now, at=now
        )
    show(context, {"campaign": campaign, "people": told_to})


@click.group()
def objection() -> None:
    """What people refuse. Always accepted, permanent, and effective at once."""


@objection.command("add")
@click.argument("person", required=False)
@click.option("--account", help="Instead of PERSON: an account id.")
@click.option("--handle", help="Instead of PERSON: a handle.")
@click.option("--contact", help="Instead of PERSON: an address.")
@click.option("--kind", "kinds", multiple=True, help="Only this kind of content (default: everything).")
@click.option("--service", "services", multiple=True, help="Only this service (default: everything).")
@click.option("--door", default="staff", show_default=True, help="How it came: web, link, api, staff …")
@click.option("--at", type=INSTANT, default=None, help="When demur learns it (default: now).")
@pass_context
@guarded
def add(context: Context, /, person: str | None, at: datetime | None, **told: Any) -> None:
    """Record an objection; no reason is asked. `demur erase` then takes the person out of corpus and model."""
    from demur.flows.intake import object_

    scope = {name: list(told[name]) or None for name in ("kinds", "services")}
    who = {"person_id": person, "account_id": told["account"], "handle": told["handle"], "contact": told["contact"]}
    with context.workspace.lock(), open_parts(context.workspace) as parts:
        receipt, index = object_(parts, who, scope, door=told["door"], at=at or clock.now())
    facts = {**asdict(receipt), "recorded_at": clock.iso(receipt.recorded_at), "valid_at": clock.iso(receipt.valid_at)}
    show(context, {**facts, "ledger_entry": index})
    if receipt.person_id is None:
        note("Nobody is known under that name; the objection waits in the queue (`demur objection queue`).")
    else:
        note("In force now for every build. `demur erase --dry-run` shows what it takes out of corpus and model.")


@objection.command("withdraw")
@click.argument("person")
@click.option("--confirm", is_flag=True, help="The person is logged in and has confirmed it a second time.")
@click.option("--at", type=INSTANT, default=None, help="When demur learns it (default: now).")
@pass_context
@guarded
def withdraw(context: Context, person: str, confirm: bool, at: datetime | None) -> None:
    """Record that a person takes an objection back. A new notice and its whole period must follow before any use."""
    from demur.errors import RefusedError
    from demur.flows.intake import withdraw as take_back

    if not confirm:
        raise RefusedError(
            "a withdrawal needs the person's login and a second confirmation; then say --confirm (OBJ-08)"
        )
    with context.workspace.lock(), open_parts(context.workspace) as parts:
        index = take_back(parts, person, at=at or clock.now())
    show(context, {"person": person, "withdrawn": True, "ledger_entry": index})


@objection.command("queue")
@pass_context
@guarded
def queue(context: Context) -> None:
    """List objections that nobody could be matched to yet."""
    with open_parts(context.workspace) as parts:
        rows = parts.registry.unmatched()
    show(
        context,
        {"waiting": rows},
        lambda: grid("", list(rows[0]), [list(r.values()) for r in rows]) if rows else say("none"),
    )


@click.group()
def hold() -> None:
    """An authority's stops."""


@hold.command("place")
@click.argument("hold_id")
@click.option("--authority", required=True, help="Who orders it.")
@click.option("--instrument", required=True, help="Act, letter or reference.")
@click.option("--country", "countries", multiple=True)
@click.option("--kind", "kinds", multiple=True)
@click.option("--service", "services", multiple=True)
@click.option("--created-from", type=INSTANT, default=None)
@click.option("--created-until", type=INSTANT, default=None)
@click.option("--at", type=INSTANT, default=None, help="When demur learns it (default: now).")
@pass_context
@guarded
def place(context: Context, /, hold_id: str, at: datetime | None, **told: Any) -> None:
    """Stop the use of a slice of content; what is not named is not restricted."""
    from demur.flows.intake import place_hold

    scope = {name: list(value) if isinstance(value, tuple) else value for name, value in told.items() if value}
    with context.workspace.lock(), open_parts(context.workspace) as parts:
        index = place_hold(parts, hold_id, scope, at=at or clock.now())
    show(context, {"hold": hold_id, "ledger_entry": index})


@hold.command("lift")
@click.argument("hold_id")
@click.option("--by", multiple=True, required=True, help="Who lifts it; two different people.")
@click.option("--reason", required=True)
@click.option("--at", type=INSTANT, default=None, help="When demur learns it (default: now).")
@pass_context
@guarded
def lift(context: Context, hold_id: str, by: tuple[str, ...], reason: str, at: datetime | None) -> None:
    """Lift a hold; needs two people (HLD-04)."""
    from demur.flows.intake import lift_hold

    with context.workspace.lock(), open_parts(context.workspace) as parts:
        index = lift_hold(parts, hold_id, by=by, reason=reason, at=at or clock.now())
    show(context, {"hold": hold_id, "lifted": True, "ledger_entry": index})


@click.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write.")
@click.option("--as-of", type=INSTANT, default=None, help="Standing as of this instant (default: now).")
@click.option("--known-at", type=INSTANT, default=None, help="As known at this instant (default: now).")
@pass_context
@guarded
def export(context: Context, out: Path, as_of: datetime | None, known_at: datetime | None) -> None:
    """Write items, standing, accounts, residence, notices, campaigns, objections and holds as Parquet."""
    from demur.intake import snapshot

    known = known_at or clock.now()
    at = as_of or known
    with context.workspace.lock(), progress(context) as told, open_parts(context.workspace, told) as parts:
        told("snapshot", 0, None)
        source = snapshot(context.workspace.source, context.workspace.work / "export", as_of=at, known_at=known)
        told("standing", 0, None)
        facts = parts.registry.export(out, as_of=at, known_at=known, base_known_at=known)
        shutil.copytree(context.workspace.work / "export" / "items", out / "items", dirs_exist_ok=True)
        shutil.rmtree(context.workspace.work / "export")
    show(context, {"folder": str(out), "items": source["items"]["rows"], "tables": facts["files"]})

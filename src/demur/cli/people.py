"""Commands about who people are and what they were told: people, notice."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from demur import clock
from demur.cli.frame import INSTANT, Context, guarded, hint, learned_option, pass_context, reading, show, working
from demur.cli.look import NOBODY, listing, note, records, say
from demur.errors import InputError

_SHOWN = 20
"""Faults shown on the screen."""

_ABSENT = {
    "born_on": "unknown",
    "countries_now": "unknown",
    "countries_at_notice": "unknown",
    "objected_kinds": "all",
    "objected_services": "all",
    "withdrawn_at": "never",
    "signal": "unknown",
    "language": "unknown",
    "last_active_at": "unknown",
    "first_delivered_at": "never",
    "last_delivered_at": "never",
}
"""What it means when a standing has no value."""


@click.group()
def people() -> None:
    """Who people are and what they said: the registry."""


@people.command("import", epilog="Example: demur people import events.jsonl")
@click.argument("events", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@learned_option
@pass_context
@guarded
def import_events(context: Context, events: Path, at: datetime | None) -> None:
    """Record a file of events, one JSON object a line: notices, objections, residences, ages … (docs/registry.md)."""
    from demur.flows.intake import learn

    with working(context, first=True) as parts:
        done = learn(parts, events, at=at or clock.now())
    facts = {
        "lines": done.people,
        "events": {str(table): count for table, count in done.events.items()},
        "faulty": done.faulty,
        "faults": list(done.faults),
    }
    show(context, facts, lambda: listing({"lines": done.people, "events": facts["events"], "faults": done.faulty}))
    for fault in done.faults[:_SHOWN]:
        note(f"  {fault}")
    if done.faulty > _SHOWN:
        note(f"  … and {done.faulty - _SHOWN} more (--json lists the first thousand)")
    if done.faulty and not sum(done.events.values()):
        note("nothing was recorded; expected one JSON object a line, as docs/registry.md lists them")
        raise SystemExit(2)
    hint(context, "Next: `demur policy check POLICY`, then `demur corpus build`")


@people.command("find", epilog="Examples: demur people find @ada    demur people find agora:u104")
@click.argument("text")
@pass_context
@guarded
def find(context: Context, text: str) -> None:
    """Find person ids by a whole account id, handle, address or person id."""
    with reading(context) as parts:
        found = parts.registry.find(text)
    show(context, {"people": found}, lambda: say("\n".join(found) or "nobody"))
    if not found:
        hint(context, "Only whole names match: an account id, a handle, an address, a person id.")


@people.command("show", epilog="Example: demur people show agora:p104 --as-of 2026-09-01")
@click.argument("person")
@click.option("--as-of", type=INSTANT, default=None, help="Standing as of this instant (default: now).")
@pass_context
@guarded
def show_person(context: Context, person: str, as_of: datetime | None) -> None:
    """Show everything that is recorded about one person, and their standing."""
    at = as_of or clock.now()
    with reading(context) as parts:
        standing = parts.registry.standing(person, as_of=at, known_at=clock.now())
        events = parts.registry.about(person)
    if standing is None:
        raise InputError(NOBODY)

    def text() -> None:
        listing(standing["standing"][0], _ABSENT)
        for name, rows in events.items():
            if rows:
                say()
                records(rows, name.replace("_", " "))

    show(context, {"standing": standing, "events": events}, text)


@click.group()
def notice() -> None:
    """Who was told, and when: the notices that clocks start from."""


@notice.command(
    "record", epilog="Example: demur notice record spring --all --delivered 2026-05-01 --effective 2026-07-01"
)
@click.argument("campaign")
@click.argument("persons", nargs=-1)
@click.option("--all", "everybody", is_flag=True, help="Everybody in the registry.")
@click.option("--delivered", type=INSTANT, default=None, help="When the notices were delivered (default: now).")
@click.option("--effective", type=INSTANT, required=True, help="Date before which nothing is used.")
@click.option(
    "--days", type=click.IntRange(min=0), default=45, show_default=True, help="Period that the notice promises."
)
@click.option("--channel", default="email", show_default=True, help="How they were told.")
@click.option(
    "--purpose",
    default="train-generative-ai",
    show_default=True,
    help="Purpose that the notice named; must be the policy's.",
)
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

    if bool(persons) == everybody:
        raise click.UsageError("name persons, or say --all; not both, not neither")
    now = clock.now()
    with working(context) as parts:
        whom = None if everybody else list(persons)
        told_to = tell(
            parts, Campaign(campaign, purpose, effective, days, channel), whom, delivered_at=delivered or now, at=now
        )
    show(context, {"campaign": campaign, "people": told_to})

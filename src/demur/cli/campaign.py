"""Commands about notices: campaign, from draft to proof."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from demur.cli.frame import INSTANT, Context, guarded, hint, pass_context, policy_option, progress, show
from demur.cli.look import grid, listing, note, records, say

if TYPE_CHECKING:
    from demur.flows.service import Service

P = ParamSpec("P")
R = TypeVar("R")
_SHOWN = 20
"""Faults shown on the screen."""


@click.group()
def campaign() -> None:
    """Notices: tell people what is planned, provably, before anything of theirs is used."""


def by_option(command: Callable[P, R]) -> Callable[P, R]:
    """Add ``--by``."""
    return click.option("--by", required=True, envvar="DEMUR_STAFF", help="Who does it (or DEMUR_STAFF).")(command)


@contextmanager
def _service(context: Context) -> Iterator[Service]:
    from demur.wiring import open_service

    with progress(context) as told, open_service(context.workspace, told) as service:
        yield service


@campaign.command("draft", epilog="Example: demur campaign draft spring --effective 2031-06-01 --country DE --by ada")
@click.argument("name")
@click.option("--effective", type=INSTANT, required=True, help="Date before which nothing is used.")
@click.option("--country", "countries", multiple=True, help="Only people there, or unknown where. Repeat as needed.")
@click.option("--kind", "kinds", multiple=True, help="A material change: only these kinds are new. Repeat as needed.")
@click.option("--channel", "channels", multiple=True, help="In order of preference (default: email). Repeat as needed.")
@click.option("--days", type=click.IntRange(min=0), help="Period that the notice promises (default: the policy's).")
@click.option("--texts", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Folder of your texts.")
@policy_option
@by_option
@pass_context
@guarded
def draft(context: Context, /, name: str, by: str, effective: datetime, days: int | None, **told: Any) -> None:
    """Draft a campaign: what is announced, to whom, by when, in which words. Drafting again replaces the draft."""
    from demur.flows.campaign import Plan, drafted_facts
    from demur.flows.campaign import draft as keep

    plan = Plan(
        name,
        effective,
        policy=told["policy"],
        countries=told["countries"],
        kinds=told["kinds"],
        channels=told["channels"] or ("email",),
        notice_days=days,
        texts=told["texts"],
    )
    with _service(context) as service:
        found = keep(service, plan, by=by)
    facts = drafted_facts(found)
    show(context, facts, lambda: listing({key: value for key, value in facts.items() if key != "faults"}))
    _faults(context, [str(fault) for fault in found.faults])
    if found.faults:
        hint(context, "Correct the texts and draft again: nobody can approve it like this.")
    else:
        hint(
            context, f"Next: `demur campaign preview {name}`; then somebody else says `demur campaign approve {name}`."
        )


@campaign.command("texts", epilog="Example: demur campaign texts my-texts")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@policy_option
@pass_context
@guarded
def texts(context: Context, folder: Path, policy: str) -> None:
    """Copy the shipped texts into a folder to edit, and check what lies there; languages that are there stay."""
    from demur.flows.campaign import check_texts

    with _service(context) as service:
        languages, faults = check_texts(service, folder, policy)
    facts = {"folder": str(folder), "languages": languages, "faults": [asdict(fault) for fault in faults]}
    show(context, facts, lambda: listing({"folder": str(folder), "languages": languages, "faults": len(faults)}))
    _faults(context, [str(fault) for fault in faults])
    hint(context, f"Edit them, run this again to check, then `demur campaign draft NAME --texts {folder} …`.")
    if faults:
        raise SystemExit(1)


def _faults(context: Context, faults: list[str]) -> None:
    if context.as_json:
        return
    for fault in faults[:_SHOWN]:
        note(f"  {fault}")
    if len(faults) > _SHOWN:
        note(f"  … and {len(faults) - _SHOWN} more (--json lists all)")


@campaign.command("preview", epilog="Example: demur campaign preview spring")
@click.argument("name")
@pass_context
@guarded
def preview(context: Context, name: str) -> None:
    """Count whom a campaign would tell, in which language and how, and whom not and why. Writes nothing."""
    from demur.flows.campaign import preview as count

    with _service(context) as service:
        found = count(service, name)
    facts = {"campaign": name, "people": found.people, "told": found.told}
    facts |= {each: dict(getattr(found, each).most_common()) for each in _AXES}
    show(context, facts, lambda: _axes(facts))
    hint(context, f"People who are not told are never used. Next: `demur campaign approve {name}`, by somebody else.")


_AXES = ("countries", "languages", "channels", "excluded")


def _axes(facts: Mapping[str, Any]) -> None:
    listing({key: value for key, value in facts.items() if key not in _AXES})
    for axis in _AXES:
        if facts[axis]:
            say()
            grid([axis, "people"], list(facts[axis].items()))


@campaign.command("approve", epilog="Example: demur campaign approve spring --by grace")
@click.argument("name")
@by_option
@pass_context
@guarded
def approve(context: Context, name: str, by: str) -> None:
    """Approve a draft whose texts say what the law asks for; another person than the one who drafted it."""
    from demur.flows.campaign import approve as agree

    with _service(context) as service:
        found = agree(service, name, by=by)
    show(context, {"campaign": name, "approved_by": found.approved_by, "approved_at": found.approved_at})
    hint(context, f"Its words cannot change any more. Next: `demur campaign start {name}`.")


@campaign.command("start", epilog="Example: demur campaign start spring --by ada")
@click.argument("name")
@click.option("--dry-run", is_flag=True, help="Count whom it would tell; change nothing.")
@by_option
@pass_context
@guarded
def start(context: Context, name: str, by: str, dry_run: bool) -> None:
    """Start an approved campaign: freeze its audience into one row a person. Killed in between, it goes on."""
    from demur.flows.campaign import preview as count
    from demur.flows.campaign import start as begin
    from demur.flows.campaign import status as facts_of

    with _service(context) as service:
        if dry_run:
            found = count(service, name)
            show(context, {"campaign": name, "dry_run": True, "people": found.people, "told": found.told})
            return
        begin(service, name, by=by)
        facts = facts_of(service, name)
    shown = {key: facts[key] for key in ("campaign", "status", "audience", "waiting", "excluded", "effective_at")}
    show(context, facts, lambda: listing(shown))
    hint(
        context,
        f"Next: `demur campaign send {name}`, or let `demur work` send; `demur campaign status {name}` shows it.",
    )


def _ending(context: Context, name: str, facts: dict[str, Any], line: str) -> None:
    show(context, {"campaign": name, **facts})
    hint(context, line)


@campaign.command("pause", epilog="Example: demur campaign pause spring --by ada --reason 'question of the authority'")
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@by_option
@pass_context
@guarded
def pause(context: Context, name: str, by: str, reason: str) -> None:
    """Hold a campaign: sending stops within seconds, its clocks stand still; links and objections keep working."""
    from demur.flows.campaign import pause as stop

    with _service(context) as service:
        course = stop(service, name, by=by, reason=reason)
    facts = {"status": course.campaign.status.value, "since": course.status_at}
    _ending(context, name, facts, f"`demur campaign resume {name}` lets it go on where it stopped.")


@campaign.command("resume", epilog="Example: demur campaign resume spring --by ada")
@click.argument("name")
@by_option
@pass_context
@guarded
def resume(context: Context, name: str, by: str) -> None:
    """Let a held campaign go on where it stopped."""
    from demur.flows.campaign import resume as go_on

    with _service(context) as service:
        course = go_on(service, name, by=by)
    facts = {"status": course.campaign.status.value, "since": course.status_at}
    _ending(context, name, facts, f"`demur campaign status {name}` shows how it goes.")


@campaign.command("cancel", epilog="Example: demur campaign cancel spring --by ada --reason 'new plan'")
@click.argument("name")
@click.option("--reason", required=True, help="Why; kept in the ledger.")
@click.option("--superseded", is_flag=True, help="Another campaign takes its place: notices sent keep their clocks.")
@by_option
@pass_context
@guarded
def cancel(context: Context, name: str, by: str, reason: str, superseded: bool) -> None:
    """End a campaign for good: its notices start no clock. Links keep working, objections stay in force."""
    from demur.flows import campaign as flow

    end = flow.supersede if superseded else flow.cancel
    with _service(context) as service:
        course = end(service, name, by=by, reason=reason)
    facts = {"status": course.campaign.status.value, "since": course.status_at}
    _ending(context, name, facts, "A later campaign starts fresh clocks. Addresses are emptied now.")


@campaign.command("status", epilog="Examples: demur campaign status    demur campaign status spring")
@click.argument("name", required=False)
@pass_context
@guarded
def status(context: Context, name: str | None) -> None:
    """Show where campaigns stand; of one its people by state, country, language and day, its rate and expected end."""
    from demur.flows.campaign import listed
    from demur.flows.campaign import status as facts_of

    with _service(context) as service:
        if name is None:
            rows = listed(service)
            shown = [{key: row[key] for key in ("campaign", "status", "effective_at", "notice_days")} for row in rows]
            show(context, {"campaigns": rows}, lambda: records(shown) if rows else say("no campaign yet"))
            return
        facts = facts_of(service, name)
    show(context, facts, lambda: _status(facts))


def _status(facts: Mapping[str, Any]) -> None:
    tables = {"states", "excluded", "countries", "languages", "days"}
    plain = {key: value for key, value in facts.items() if key not in tables}
    listing(plain | {"possible_duplicates": len(facts["possible_duplicates"])})
    for title in ("states", "excluded", "days"):
        if facts[title]:
            say()
            grid([title, "people"], list(facts[title].items()))
    for title in ("countries", "languages"):
        if facts[title]:
            say()
            rows = [(name, both["people"], both["reached"]) for name, both in facts[title].items()]
            grid([title, "people", "reached"], rows)


@campaign.command("send", epilog="Example: demur campaign send spring")
@click.argument("name")
@pass_context
@guarded
def send(context: Context, name: str) -> None:
    """Send what is due now, in the foreground, and tell registry and ledger what came of it."""
    from demur.flows.campaign import send_now
    from demur.flows.campaign import status as facts_of

    with _service(context) as service:
        sent, settled = send_now(service, name)
        facts = facts_of(service, name)
    now = {"accepted": sent.accepted, "deferred": sent.deferred, "bounced": sent.bounced, "settled": settled}
    shown = {key: facts[key] for key in ("campaign", "status", "reached", "waiting")} | now
    show(context, facts | now, lambda: listing(shown))
    hint(context, f"`demur campaign proof PERSON` proves what one of them got; `demur campaign status {name}` counts.")


@campaign.command("proof", epilog="Example: demur campaign proof agora:p104 --out proof.json")
@click.argument("person")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the whole proof to this file.")
@pass_context
@guarded
def proof(context: Context, person: str, out: Path | None) -> None:
    """Prove what one person was told: exact text, language, channel, times, and the ledger's word for each."""
    from demur.flows.proof import proof as prove
    from demur.store import write_json

    with _service(context) as service:
        found = prove(service, person)
    if out is not None:
        write_json(out, found)
    show(context, found, lambda: _proof(found))
    hint(
        context, "--out FILE writes all of it; anybody can check it offline with the ledger's key (docs/campaigns.md)."
    )


def _proof(found: Mapping[str, Any]) -> None:
    for one in found["notices"]:
        plain = (
            "campaign",
            "state",
            "language",
            "channel",
            "country",
            "not_told_because",
            "effective_at",
            "text_digest",
        )
        listing({key: one[key] for key in plain if one[key] is not None})
        if one["text"]:
            say()
            say(one["text"]["subject.txt"])
        rows = [
            {"became": told["state"], "at": told["at"], "message": (told["leaf"]["message"] or "")[:16],
             "ledger entry": (told["ledger"] or {"opening": {"index": None}})["opening"]["index"]}
            for told in one["proofs"]
        ]  # fmt: skip
        if rows:
            say()
            records(rows)
        say()

"""Commands about what authorities stop and order: hold, order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from demur import clock
from demur.cli.frame import (
    INSTANT,
    Context,
    guarded,
    hint,
    learned_option,
    pass_context,
    reading,
    show,
    workers,
    working,
)
from demur.cli.look import grid, listing, say
from demur.terms.holds import Stage

if TYPE_CHECKING:
    from demur.flows.parts import Parts

P = ParamSpec("P")
R = TypeVar("R")


@contextmanager
def _at_once(context: Context, *, first: bool = True) -> Iterator[Parts]:
    """Open the workspace beside whatever runs in it: a stop waits for nobody's lock; ``first`` = it may begin one."""
    from demur.wiring import open_parts

    with open_parts(context.new_workspace if first else context.workspace) as parts:
        yield parts


def _slice_options(command: Callable[P, R]) -> Callable[P, R]:
    for option in (
        click.option("--purpose", help="Only use for this purpose."),
        click.option("--campaign", "campaign_id", help="Only people whom this campaign told."),
        click.option("--created-until", type=INSTANT, default=None, help="Only content made before then."),
        click.option("--created-from", type=INSTANT, default=None, help="Only content made from then on."),
        click.option("--service", "services", multiple=True, help="Only this service. Repeat as needed."),
        click.option("--kind", "kinds", multiple=True, help="Only this kind of content. Repeat as needed."),
        click.option("--country", "countries", multiple=True,
                     help="Only people linked to this country, or to a set such as EU27. Repeat as needed."),
    ):  # fmt: skip
        command = option(command)
    return command


def _scope(told: dict[str, Any]) -> dict[str, Any]:
    from demur.flows.hold import country_codes

    scope = {name: list(value) if isinstance(value, tuple) else value for name, value in told.items() if value}
    if "countries" in scope:
        scope["countries"] = country_codes(scope["countries"])
    return scope


@click.group()
def hold() -> None:
    """An authority's stops: in force for everything that runs, within seconds."""


@hold.command(
    "place", epilog="Example: demur hold place H-1 --authority DPC --instrument 'letter of 14 June' --country IE"
)
@click.argument("hold_id")
@click.option("--authority", required=True, help="Who orders it.")
@click.option("--instrument", required=True, help="Act, letter or reference.")
@click.option("--text", help="What the order says.")
@click.option("--penalty", help="What happens otherwise, e.g. a daily fine.")
@click.option("--deadline", "deadline_at", type=INSTANT, default=None, help="By when it must be carried out.")
@click.option("--business-days", type=click.IntRange(1, 250), default=None,
              help="Instead of --deadline: business days from now, by the calendar of the country.")  # fmt: skip
@click.option("--model", "artefact", help="Only this model or corpus, by its id.")
@click.option("--stage", "stages", multiple=True, type=click.Choice([stage.value for stage in Stage]),
              help="What it stops (default: everything). Repeat as needed.")  # fmt: skip
@click.option("--no-count", is_flag=True, help="Do not count now which corpora and models hold the slice.")
@_slice_options
@learned_option
@pass_context
@guarded
def place(
    context: Context, /, hold_id: str, at: datetime | None, business_days: int | None, no_count: bool, **told: Any
) -> None:
    """Stop the use of a slice; what is not named is not restricted.

    In force when the command returns, also for what runs: sending, builds, training, export, release, serving. Then it
    counts which corpora and models hold the slice; those that hold none of it go on.
    """
    from demur.flows.hold import deadline_after, place_hold
    from demur.flows.slice import holders

    now = at or clock.now()
    scope = _scope(told)
    if business_days:
        country = scope["countries"][0] if len(scope.get("countries", ())) == 1 else None
        scope["deadline_at"] = deadline_after(now, business_days, country)
    with _at_once(context) as parts:
        index = place_hold(parts, hold_id, scope, at=now)
        found = () if no_count else holders(parts, _hold(parts, hold_id))
    rows = _holder_rows(found)
    facts = {"hold": hold_id, "in_force_from": now, "deadline_at": scope.get("deadline_at"), "ledger_entry": index,
             "holders": rows}  # fmt: skip

    def text() -> None:
        say(f"in force: {hold_id} (ledger entry {index})")
        if scope.get("deadline_at"):
            say(f"to be carried out by {clock.iso(scope['deadline_at'])}")
        _show_holders(rows)

    show(context, facts, text)
    hint(context, "`demur erase` takes the slice out of what holds it; `demur hold evidence` proves what was used.")


def _hold(parts: Parts, hold_id: str) -> Any:
    from demur.flows.hold import find_hold

    return find_hold(parts, hold_id)


def _holder_rows(found: Any) -> list[dict[str, Any]]:
    return [
        {"what": one.what, "name": one.name, "items": None if one.share is None else one.share.items,
         "records": None if one.share is None else one.share.records}
        for one in found
    ]  # fmt: skip


def _show_holders(rows: list[dict[str, Any]]) -> None:
    if rows:
        told = [
            [r["what"], r["name"], *("unknown" if r[n] is None else r[n] for n in ("items", "records"))] for r in rows
        ]
        say()
        grid(["", "id", "items of the slice", "records"], told)


@hold.command("list")
@click.option("--all", "every", is_flag=True, help="Also those that were lifted.")
@pass_context
@guarded
def list_holds(context: Context, every: bool) -> None:
    """List the holds in force, oldest first."""
    from demur.flows.hold import hold_facts

    now = clock.now()
    with reading(context) as parts:
        found = [hold_facts(one, now) for one in parts.registry.holds() if every or one.lift is None]
    names = ("hold", "nature", "authority", "instrument", "placed_at", "deadline_at")

    def text() -> None:
        if not found:
            say("no hold")
            return
        grid(
            [*names, "covers", "stops", "lifted"],
            [[*(one[name] or "" for name in names), _covers(one), _stops(one), (one["lifted"] or {}).get("at", "")]
             for one in found],
        )  # fmt: skip

    show(context, {"holds": found}, text)


def _covers(facts: dict[str, Any]) -> str:
    words = [*facts["countries"], *facts["services"], *facts["kinds"]]
    words += [facts[name] for name in ("purpose", "campaign_id", "artefact") if facts[name]]
    words += [f"{word} {facts[name]}" for name, word in (("created_from", "from"), ("created_until", "before"))
              if facts[name]]  # fmt: skip
    return " ".join(words) or "everything"


def _stops(facts: dict[str, Any]) -> str:
    return "everything" if len(facts["stages"]) == len(Stage) else " ".join(facts["stages"])


@hold.command("show")
@click.argument("hold_id")
@pass_context
@guarded
def show_hold(context: Context, hold_id: str) -> None:
    """Show what a hold says, and which corpora and models hold something of its slice (HLD-03)."""
    from demur.flows.hold import hold_facts
    from demur.flows.slice import holders

    with reading(context) as parts:
        found = _hold(parts, hold_id)
        rows = _holder_rows(holders(parts, found))
    facts = hold_facts(found, clock.now())

    def text() -> None:
        listing({name: value for name, value in facts.items() if value not in (None, [])})
        _show_holders(rows)

    show(context, {**facts, "holders": rows}, text)


@hold.command("lift", epilog="Example: demur hold lift H-1 --by legal-1 --by legal-2 --reason 'withdrawn' --new-notice")
@click.argument("hold_id")
@click.option("--by", multiple=True, required=True, help="Who lifts it; two different people.")
@click.option("--reason", required=True, help="Why it ends; kept.")
@click.option(
    "--new-notice", is_flag=True, help="People of the slice must be told again, and wait again, before any use."
)
@learned_option
@pass_context
@guarded
def lift(
    context: Context, hold_id: str, by: tuple[str, ...], reason: str, new_notice: bool, at: datetime | None
) -> None:
    """Lift a hold; needs two people (HLD-04)."""
    from demur.flows.hold import lift_hold

    now = at or clock.now()
    with _at_once(context, first=False) as parts:
        index = lift_hold(parts, hold_id, by=by, reason=reason, at=now, renotice_at=now if new_notice else None)
    show(context, {"hold": hold_id, "lifted": True, "new_notice": new_notice, "ledger_entry": index})
    if new_notice:
        hint(context, "Notices from before now count no more for these people; start a campaign for them.")


@hold.command("drill", epilog="Example: demur hold drill exercise-2026-11 --country DE --kind photo --by dpo-1")
@click.argument("name")
@click.option("--by", required=True, help="Who holds the drill; kept.")
@click.option("--stage", "stages", multiple=True, type=click.Choice([stage.value for stage in Stage]),
              help="Only this stage (default: all). Repeat as needed.")  # fmt: skip
@_slice_options
@pass_context
@guarded
def drill(context: Context, /, name: str, by: str, **told: Any) -> None:
    """Measure how long every stage takes to stop, without stopping anything.

    A hold is placed as a drill, each stage's own check is asked, and the drill is lifted again. Nothing that runs
    notices: checks count a drill only for the one who asks about it.
    """
    from demur.flows.hold_proof import drill as exercise

    scope = {**_scope(told), "authority": by, "instrument": "drill"}
    with _at_once(context) as parts:
        found = exercise(parts, name, scope, by=by, clock=clock.now)
    rows = [
        [one.stage.value, "stopped" if one.stopped else "NOT STOPPED", f"{one.seconds:.3f}", one.asked] for one in found
    ]
    facts = [{"stage": r[0], "stopped": r[1] == "stopped", "seconds": float(r[2]), "asked": r[3]} for r in rows]
    full = max((one.seconds for one in found), default=0.0)

    def text() -> None:
        grid(["stage", "", "seconds", "what runs asks again"], rows)
        say()
        say(f"full stop after {full:.3f} s")

    show(context, {"drill": name, "stages": facts, "full_stop_seconds": round(full, 3)}, text)
    if not all(one.stopped for one in found):
        raise SystemExit(1)


@hold.command("evidence", epilog="Example: demur hold evidence H-1 --out evidence-H-1")
@click.argument("hold_id")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write.")
@pass_context
@guarded
def evidence(context: Context, hold_id: str, out: Path) -> None:
    """Prove what was used of a hold's slice while it stood: corpora, trainings, exports, notices (HLD-05)."""
    from demur.flows.hold_proof import evidence as prove

    with reading(context) as parts:
        facts = prove(parts, hold_id, at=clock.now(), out=out)
    show(
        context, {**facts, "folder": str(out)}, lambda: say((out / "evidence.txt").read_text(encoding="utf-8").rstrip())
    )
    if facts["used"]:
        raise SystemExit(1)


@click.group()
def order() -> None:
    """An authority's orders to erase."""


@order.command(
    "erase",
    epilog="Example: demur order erase O-1 --authority BfDI --instrument 'order 7/2026' --country DE --kind photo"
    " --before 2024-07-01",
)
@click.argument("name")
@click.option("--authority", required=True, help="Who orders it.")
@click.option("--instrument", required=True, help="Act, judgment or letter.")
@click.option("--text", help="What the order says.")
@click.option("--penalty", help="What happens otherwise.")
@click.option("--deadline", "deadline_at", type=INSTANT, default=None, help="By when it must be carried out.")
@click.option("--model", "artefact", help="This whole model or corpus, by its id, instead of a slice.")
@click.option("--before", type=INSTANT, default=None, help="The same as --created-until.")
@_slice_options
@pass_context
@guarded
def erase(context: Context, /, name: str, before: datetime | None, **told: Any) -> None:
    """Erase a slice, a corpus or a model for good, and write the evidence for the authority.

    The slice stays out of every later build: an order is never lifted. Killed in between, the same command goes on.
    """
    from demur.flows.order import execute

    scope = _scope(told)
    if before is not None:
        scope["created_until"] = before
    with working(context) as parts:
        done = execute(parts, name, scope, clock=clock.now, workers=workers())
    rows_before, rows_after = _holder_rows(done.before), _holder_rows(done.after)
    facts = {"order": name, "before": rows_before, "after": rows_after, "pack": str(done.pack),
             "erasure": done.erased.erasure_id if done.erased else None}  # fmt: skip

    def text() -> None:
        say((done.pack / "READ-ME.txt").read_text(encoding="utf-8").rstrip())
        say()
        say(f"written to {done.pack}")

    show(context, facts, text)

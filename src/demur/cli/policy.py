"""Commands about rules: policy check, show, diff, explain, whatif; decide."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from demur import clock
from demur.cli.frame import (
    Context,
    as_of_option,
    guarded,
    hint,
    known_at_option,
    pass_context,
    policy_option,
    show,
    working,
)
from demur.cli.look import grid, listing, plain, say

_ABSENT = {
    "valid_from": "always",
    "valid_until": "always",
    "effective_at": "none set: never",
    "services": "all",
    "kinds": "all",
    "content_not_before": "any age",
}
"""What it means when a jurisdiction leaves a value out."""


@click.group()
def policy() -> None:
    """The rules: which content may be used, of whom, from when."""


@policy.command("list")
@pass_context
@guarded
def list_presets(context: Context) -> None:
    """List the presets."""
    from demur.policy import preset_names, read

    rows = [[name, read(name).description] for name in preset_names()]
    show(context, dict(rows), lambda: grid(["preset", "what it is"], rows))
    hint(context, '`demur policy show NAME` shows all of one; your own file may begin with: extends = "NAME"')


@policy.command("check", epilog="Example: demur policy check my-policy.toml")
@click.argument("file")
@pass_context
@guarded
def check(context: Context, file: str) -> None:
    """Read a policy and report every fault with its line."""
    from demur.policy import read

    found = read(file)
    facts = {"policy": found.name, "version": found.version, "digest": found.digest, "faults": 0}
    show(context, {**facts, "jurisdictions": [one.name for one in found.jurisdictions]})


@policy.command("show")
@click.argument("file")
@pass_context
@guarded
def show_policy(context: Context, file: str) -> None:
    """Show everything that a policy says, defaults and sets of countries filled in."""
    from demur.policy import read
    from demur.policy import show as plain

    facts = plain(read(file))

    def text() -> None:
        listing({name: value for name, value in facts.items() if name != "jurisdictions"})
        for one in facts["jurisdictions"]:
            say()
            listing(one, _ABSENT)

    show(context, facts, text)


@policy.command("diff")
@click.argument("before")
@click.argument("after")
@pass_context
@guarded
def diff(context: Context, before: str, after: str) -> None:
    """Show what differs between two policies."""
    from demur.policy import diff as changes
    from demur.policy import read

    rows = [[one.place, one.before, one.after] for one in changes(read(before), read(after))]
    show(
        context,
        {"changes": [dict(zip(("place", "before", "after"), row, strict=True)) for row in rows]},
        lambda: _changes(rows),
    )


def _changes(rows: list[list[Any]]) -> None:
    for place, old, new in rows:
        say(str(place))
        say(f"  before  {plain(old)}")
        say(f"  after   {plain(new)}")
    if not rows:
        say("no difference")


@policy.command("explain", epilog="Example: demur policy explain agora:i17 --as-of 2026-09-01 --language de")
@click.argument("item")
@policy_option
@as_of_option
@click.option("--language", default="en", show_default=True, help="Language of the sentences.")
@pass_context
@guarded
def explain(context: Context, item: str, policy: str, as_of: datetime | None, language: str) -> None:
    """Say whether one item may be used, with all reasons and the facts behind them."""
    from demur.flows.whatif import explain_item

    now = clock.now()
    with working(context) as parts:
        facts = explain_item(parts, item, policy, as_of=as_of or now, known_at=now, language=language)

    def text() -> None:
        verdict = "allowed" if facts["allowed"] else "withheld"
        say(f"{item}: {verdict} under {facts['policy']['name']} as of {facts['as_of']}")
        for one in facts["reasons"]:
            say(f"  {one['code']}: {one['sentence']}")
            say(f"      rests on {', '.join(one['facts']) or 'no fact'}; {'; '.join(one['sources'])}")

    show(context, facts, text)


@policy.command("whatif")
@click.argument("other")
@policy_option
@as_of_option
@pass_context
@guarded
def whatif(context: Context, other: str, policy: str, as_of: datetime | None) -> None:
    """Say what another policy would gain and lose, by country, language and kind. Changes nothing."""
    from demur.flows.whatif import compare

    now = clock.now()
    with working(context) as parts:
        facts = compare(parts, policy, other, as_of=as_of or now, known_at=now)

    def text() -> None:
        say(f"{other} instead of {policy}")
        counted = [name for name in facts["gained"] if facts["gained"][name] or facts["lost"][name] or name != "tokens"]
        grid(["", *counted], [[side, *(facts[side][name] for name in counted)] for side in ("gained", "lost")])
        for axis in ("country", "language", "kind"):
            rows = [
                [name, both["gained"]["items"], both["lost"]["items"], both["gained"]["words"], both["lost"]["words"]]
                for name, both in facts[f"by_{axis}"].items()
            ]
            if rows:
                say()
                grid([axis, "items gained", "items lost", "words gained", "words lost"], rows)

    show(context, facts, text)


@click.command()
@policy_option
@as_of_option
@known_at_option
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="Parquet file to write.")
@pass_context
@guarded
def decide(context: Context, policy: str, as_of: datetime | None, known_at: datetime | None, out: Path) -> None:
    """Decide every item and write item_id, allowed, primary_reason and reasons as one Parquet file."""
    from demur.flows.whatif import decide_to

    known = known_at or clock.now()
    with working(context) as parts:
        facts: dict[str, Any] = decide_to(parts, policy, out, as_of=as_of or known, known_at=known)

    def text() -> None:
        say(f"{plain(facts['items'])} items, {plain(facts['allowed'])} allowed; written to {out}")
        rows = sorted(facts["by_primary"].items(), key=lambda pair: -pair[1])
        grid(["primary reason", "items"], [list(row) for row in rows])

    show(context, facts, text)

"""Commands about the live feed: pull, status, token."""

from __future__ import annotations

import click

from demur import clock
from demur.cli.frame import Context, guarded, pass_context, reading, show, working
from demur.cli.look import grid, plain, say

_QUEUE = click.option("--queue", "url", help="Database of another queue table (default: the workspace's own).")


@click.group()
def feed() -> None:
    """The live feed: what a platform tells as it happens (docs/feed.md)."""


@feed.command("pull", epilog="Example: demur feed pull")
@_QUEUE
@pass_context
@guarded
def pull(context: Context, url: str | None) -> None:
    """Read all that waits into the tables.

    May be killed anywhere and run again; what was told twice is stored once.
    """
    from demur.flows import feed as flow

    with working(context, first=True) as parts:
        found = flow.pull(parts, at=clock.now(), url=url)

    def text() -> None:
        say(f"{plain(found.segments)} segments read: {plain(found.items)} versions of items and {plain(found.people)}"
            f" of accounts are new, {plain(found.seen)} were stored already")  # fmt: skip
        if found.quarantined:
            say()
            grid(["in quarantine because", "events"], sorted(found.quarantined.items(), key=lambda pair: -pair[1]))

    show(context, found.as_json(), text)


@feed.command("status", epilog="Example: demur feed status")
@_QUEUE
@pass_context
@guarded
def status(context: Context, url: str | None) -> None:
    """Show what waits, by service."""
    from demur.flows import feed as flow

    with reading(context) as parts:
        found = flow.status(parts, url=url)

    def text() -> None:
        if not found:
            say("nothing waits")
            return
        rows = [[one["service"], one["batches"], "unknown" if one["since"] is None else clock.iso(one["since"])]
                for one in found]  # fmt: skip
        grid(["service", "batches", "oldest"], rows)

    show(context, {"waiting": found}, text)


@feed.command("token", epilog="Example: demur feed token forum")
@click.argument("service")
@pass_context
@guarded
def token(context: Context, service: str) -> None:
    """Print the token that opens SERVICE's door, and no other's."""
    from demur.flows.feed import feed_token

    with reading(context) as parts:
        found = feed_token(parts.keys, service)
    show(context, {"service": service, "token": found}, lambda: say(found))

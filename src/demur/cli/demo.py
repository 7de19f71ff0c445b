"""The command demo."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from demur.cli.frame import Context, guarded, pass_context, progress, show, workers
from demur.cli.look import duration, grid, plain, say

_FAILED = 3


@click.command(epilog="Example: demur demo --people 150 --home /tmp/demur-demo --json facts.json")
@click.option("--home", type=click.Path(path_type=Path, file_okay=False), help="Folder of the demo (default: --home).")
@click.option("--people", type=click.IntRange(min=50), default=2000, show_default=True, help="Size of the network.")
@click.option("--seed", type=int, default=7, show_default=True, help="Another seed gives other people.")
@click.option("--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the facts as JSON.")
@click.option("--dump-only", is_flag=True, help="Only write the made-up platform's export, to look at.")
@click.option("--serve", "with_site", is_flag=True, help="End with the running site: notices, objections, console.")
@pass_context
@guarded
def demo(
    context: Context, home: Path | None, people: int, seed: int, out: Path | None, dump_only: bool, with_site: bool
) -> None:
    """Run the whole job on a made-up network, to a report.

    Intake, policy, corpus, training, one person's erasure, a clean rebuild without them to compare, a report. The
    folder must be empty or hold an earlier demo, which is then made anew. The last line is the report's path.
    """
    folder = (home or context.home).resolve()
    if dump_only:
        from demur.testing import write_dump

        with progress(context) as told:
            dumped = write_dump(folder, seed, people, told)
        show(context, {**dumped, "folder": str(folder)})
        return
    from demur.store import write_json
    from demur.testing.demo import empty_home, run_demo
    from demur.wiring import open_parts

    space = empty_home(folder)
    with progress(context) as told, open_parts(space, told) as parts:
        facts = run_demo(parts, people=people, seed=seed, workers=workers())
    if out is not None:
        out.resolve().parent.mkdir(parents=True, exist_ok=True)
        write_json(out.resolve(), facts)
    show(context, facts, lambda: _text(facts))
    if not facts["erasure"]["equal"]:
        raise SystemExit(_FAILED)
    if with_site:
        _site(context, folder)


def _site(context: Context, folder: Path) -> None:
    from demur.cli.serve import run_site
    from demur.store import Workspace
    from demur.testing.site import fill_site
    from demur.wiring import open_service

    with progress(context) as told, open_service(Workspace(folder), told) as service:
        filled = fill_site(service)
    say()
    say(f"{plain(filled.sent)} notices lie in {folder / 'outbox'}; {plain(filled.objected)} people have objected")
    say(f"a notice's link  {filled.link}")
    say(f"console          {filled.console}   {filled.login}")
    run_site(replace(context, home=folder), "127.0.0.1", 8350, with_work=True)


def _text(facts: dict[str, Any]) -> None:
    allowed = facts["decisions"].get("allowed", 0)
    say(f"{plain(facts['people'])} people, {plain(facts['items'])} items, {plain(facts['quarantined'])} rows in "
        f"quarantine; {plain(allowed)} items allowed, {plain(facts['records'])} records in the corpus")  # fmt: skip
    say()
    rows = sorted(((k, v) for k, v in facts["decisions"].items() if k != "allowed"), key=lambda pair: -pair[1])
    grid(["withheld because", "items"], rows)
    one = facts["erasure"]
    share = 100 * one["tokens_retrained"] / max(one["tokens_full"], 1)
    say()
    say(f"{one['person']} objected after the training and left with {plain(one['records'])} records:")
    say(f"served model free of them after {one['first_effect_seconds']:.2f} s; "
        f"{plain(one['tokens_retrained'])} of {plain(one['tokens_full'])} tokens "
        f"({share:.2f} %) trained again")  # fmt: skip
    say(f"  model after erasure  {one['digest_incremental']}")
    say(f"  clean build          {one['digest_clean']}")
    say("  equal, bit for bit" if one["equal"] else "  DIFFERENT")
    say(f"  certificate          {one['certificate']}")
    say()
    grid(["stage", "time"], [[name, duration(seconds)] for name, seconds in facts["seconds"].items()])
    say(f"at most {facts['peak_rss_mib']:,.0f} MiB of memory in one process")
    say()
    say(facts["report"])

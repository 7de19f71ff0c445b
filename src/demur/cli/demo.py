"""The command demo."""

from __future__ import annotations

from pathlib import Path

import click

from demur.cli.frame import Context, grid, guarded, pass_context, progress, say, show
from demur.store import write_json
from demur.wiring import open_parts, workers


@click.command()
@click.option("--home", type=click.Path(path_type=Path, file_okay=False), help="Folder of the demo (default: --home).")
@click.option("--people", type=click.IntRange(min=50), default=2000, show_default=True, help="Size of the network.")
@click.option("--seed", type=int, default=7, show_default=True)
@click.option("--json", "out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the facts as JSON.")
@click.option("--dump-only", is_flag=True, help="Only write the made-up platform's export, to look at.")
@pass_context
@guarded
def demo(context: Context, home: Path | None, people: int, seed: int, out: Path | None, dump_only: bool) -> None:
    """Run the whole job on a made-up network: intake, policy, corpus, training, one person's erasure, report."""
    folder = (home or context.home).resolve()
    if dump_only:
        from demur.testing import write_dump

        with progress(context) as told:
            facts = write_dump(folder, seed, people, told)
        show(context, {**facts, "folder": str(folder)})
        return
    from demur.testing.demo import empty_home, run_demo

    space = empty_home(folder)
    with progress(context) as told, open_parts(space, told) as parts:
        facts = run_demo(parts, people=people, seed=seed, workers=workers())
    if out is not None:
        write_json(out, facts)

    def text() -> None:
        say(f"{facts['people']} people, {facts['items']} items, {facts['decisions']['allowed']} allowed, "
            f"{facts['records']} records")  # fmt: skip
        rows = sorted(((k, v) for k, v in facts["decisions"].items() if k != "allowed"), key=lambda pair: -pair[1])
        grid("", ["withheld because", "items"], [list(row) for row in rows])
        one = facts["erasure"]
        share = 100 * one["tokens_retrained"] / max(one["tokens_full"], 1)
        say()
        say(f"{one['person']} objected: free of them after {one['first_effect_seconds']} s, "
            f"{share:.2f} % of the tokens trained again")  # fmt: skip
        say(f"erased   {one['digest_incremental']}")
        say(f"clean    {one['digest_clean']}")
        say("equal, bit for bit" if one["equal"] else "DIFFERENT")
        say()
        grid("", ["stage", "seconds"], [[name, seconds] for name, seconds in facts["seconds"].items()])
        say(f"at most {facts['peak_rss_mib']} MiB")
        say(facts["report"])

    show(context, facts, text)
    if not facts["erasure"]["equal"]:
        raise SystemExit(3)

"""What deciding costs an erasure, as a share of a first build: CPU seconds of snapshot, standing, decisions.

    python benchmarks/bench_deciding.py [--people 2000] [--share 0.002] [--workspace FOLDER]

A made-up network is taken in, decided once (as a first build does), then some people object, and everything is decided
again as an erasure does; last the same again from nothing, which must give the very same decisions. CPU is that of
this process and its children; where a snapshot is taken and the standing made side by side (more than one core, or
DEMUR_WORKERS), both stand under standing. A workspace that an earlier run left is used as it is.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from demur.flows.decided import decided
from demur.flows.parts import Parts, keep_policy
from demur.intake import intake
from demur.store import Workspace
from demur.testing import AS_OF, write_dump
from demur.wiring import open_parts

POLICY = "demur-strict"


def cpu() -> float:
    """Return CPU seconds of this process and its children so far."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


class Meter:
    """CPU seconds between what the flow says that it does."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._doing, self._since = "", 0.0
        self.begun = time.perf_counter()

    def __call__(self, stage: str, done: int, total: int | None) -> None:  # noqa: ARG002
        """Begin another phase."""
        if self._doing:
            self.spent[self._doing] = self.spent.get(self._doing, 0.0) + cpu() - self._since
        self._doing, self._since = stage, cpu()


def populate(home: Path, people: int) -> None:
    """Take a made-up network into a workspace."""
    write_dump(home / "network", seed=1, people=people)
    space = Workspace(home)
    intake(
        "demo",
        [home / "network"],
        store_folder=space.source,
        quarantine_folder=space.quarantine,
        imported_at=AS_OF,
    )
    with open_parts(space) as parts:
        parts.registry.import_people(sorted((space.source / "people").glob("*.parquet")))
        parts.registry.import_events(home / "network" / "events.jsonl", recorded_at=AS_OF)


@contextlib.contextmanager
def measured(parts: Parts, title: str, **instants: Any) -> Iterator[tuple[Any, float]]:
    """Decide, print what each phase cost, give what was found and the sum."""
    meter = Meter()
    policy = keep_policy(parts.workspace, POLICY)
    with decided(replace(parts, progress=meter), policy, POLICY, **instants) as found:
        meter("", 0, None)
        total = sum(meter.spent.values())
        phases = ", ".join(f"{name} {spent:.2f}" for name, spent in meter.spent.items())
        wall = time.perf_counter() - meter.begun
        print(f"{title:<22} {total:7.2f} s CPU in {wall:.2f} s: {phases}", flush=True)
        yield found, total


def said(folder: Path) -> list[dict[str, Any]]:
    """Return the decisions in a comparable form."""
    table = pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))])
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--people", type=int, default=2000)
    given.add_argument("--share", type=float, default=0.002, help="of the people object")
    given.add_argument("--workspace", type=Path)
    options = given.parse_args()
    with contextlib.ExitStack() as stack:
        home = options.workspace or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="demur-bench-")))
        if not (home / "source").exists():
            populate(home, options.people)
        parts = stack.enter_context(open_parts(Workspace(home)))
        return run(parts, options.share)


def run(parts: Parts, share: float) -> int:
    """Decide for a first build, an erasure, and again from nothing."""
    first = {"as_of": AS_OF, "known_at": AS_OF}
    with measured(parts, "first build", carry=True, **first) as (found, whole):
        items = found.counts["items"]
    everybody = parts.registry.everybody()
    chance, now = random.Random(1), last_recorded(parts)
    some = chance.sample(everybody, max(1, round(len(everybody) * share)))
    events = ({"type": "objection", "person_id": one} for one in some)
    parts.registry.record_events(events, recorded_at=now)
    later = now + timedelta(hours=1)
    with measured(parts, "erasure", carry=True, upon=True, narrowed_at=later, **first) as (found, again):
        incremental = said(found.decisions)
        standing = {path.name: pq.read_table(path) for path in sorted(found.standing.glob("*.parquet"))}
    with measured(parts, "the same from nothing", narrowed_at=later, **first) as (found, clean):
        equal = incremental == said(found.decisions) and all(
            pq.read_table(found.standing / name).equals(table) for name, table in standing.items()
        )
    print(f"people {len(everybody)}, items {items}, who objected {len(some)}")
    print(f"an erasure decides at {100 * again / whole:.1f} % of a first build, {100 * again / clean:.1f} % of anew")
    print(
        f"a first build per item {1e6 * whole / items:.1f} µs, an erasure {1e6 * again / items:.1f} µs; equal: {equal}"
    )
    return 0 if equal else 1


def last_recorded(parts: Parts) -> datetime:
    """Return an instant after everything that is recorded."""
    found = [one.recorded_at for one in parts.registry.restrictions_since(None) if one.recorded_at]
    return max([AS_OF, *found]) + timedelta(hours=1)


if __name__ == "__main__":
    raise SystemExit(main())

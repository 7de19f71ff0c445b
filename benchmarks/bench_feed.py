"""Events a CPU-second through the live feed beside bare JSON parsing of the same lines, in one run, one core.

Usage: python benchmarks/bench_feed.py [EVENTS] [BATCH]

The events are a made-up stream (70 % creates, 10 % edits, 10 % deletes, 5 % audience changes, 5 % accounts), sent in
batches: the door (checked, kept durably, answered) and the reading into the tables are measured apart; then the same
events shuffled and twice, into another workspace. Both must end in one state. Peak memory is that of the reading.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import orjson

from demur.clock import iso, parse
from demur.flows import feed
from demur.intake import snapshot, state_digest
from demur.store import Workspace
from demur.wiring import open_parts

AT = parse("2026-11-22")
WORDS = ["a", "forum", "is", "where", "people", "talk", "about", "birds", "trains", "bread", "weather", "weeks"]


def made(count: int) -> Iterator[bytes]:
    """Yield lines."""
    chance = random.Random(7)
    for number in range(count):
        at = iso(parse("2026-01-01") + timedelta(seconds=number))
        item, account = f"{chance.randrange(number + 1)}", f"user:{chance.randrange(1 + count // 20)}"
        whole = {"kind": "post", "account_id": account, "created_at": at, "audience": "public", "language": "en",
                 "text": " ".join(chance.choices(WORDS, k=25))}  # fmt: skip
        roll = chance.random()
        if roll < 0.7:
            yield orjson.dumps({"type": "create", "at": at, "item_id": str(number), **whole})
        elif roll < 0.8:
            yield orjson.dumps({"type": "edit", "at": at, "item_id": item, **whole})
        elif roll < 0.9:
            yield orjson.dumps({"type": "delete", "at": at, "item_id": item})
        elif roll < 0.95:
            yield orjson.dumps({"type": "audience", "at": at, "item_id": item, "audience": "followers"})
        else:
            yield orjson.dumps({"type": "account", "at": at, "account_id": account, "status": "active"})


def cpu() -> float:
    """Return user and system seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run(root: Path, lines: list[bytes], batch: int) -> dict[str, float]:
    """Send and read some lines; return seconds."""
    space = Workspace(root, seed=b"bench")
    begun, slowest = cpu(), 0.0
    for start in range(0, len(lines), batch):
        sent = time.monotonic()
        feed.receive(space, "forum", b"\n".join(lines[start : start + batch]), at=AT)
        slowest = max(slowest, time.monotonic() - sent)
    door = cpu()
    with open_parts(space) as parts:
        feed.pull(parts, at=AT)
    return {"door": door - begun, "read": cpu() - door, "slowest_batch_seconds": slowest}


def main() -> None:
    """Measure and print one JSON object."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    batch = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    lines = list(made(count))
    begun = cpu()
    for line in lines:
        orjson.loads(line)
    parsed = cpu() - begun
    with tempfile.TemporaryDirectory() as folder:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        calm = run(Path(folder) / "calm", lines, batch)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        twice = [*lines, *lines]
        random.Random(8).shuffle(twice)
        rough = run(Path(folder) / "rough", twice, batch)
        states = {state_digest(Path(folder) / name / "source") for name in ("calm", "rough")}
        begun = resource.getrusage(resource.RUSAGE_CHILDREN)
        digests = {
            snapshot(Path(folder) / name / "source", Path(folder) / name / "snap", known_at=AT)["digest"]
            for name in ("calm", "rough")
        }
    found = {
        "events": count,
        "batch": batch,
        "bytes_per_event": round(sum(map(len, lines)) / count),
        "bare_json_events_per_cpu_s": round(count / parsed),
        "door_events_per_cpu_s": round(count / calm["door"]),
        "read_events_per_cpu_s": round(count / calm["read"]),
        "door_and_read_events_per_cpu_s": round(count / (calm["door"] + calm["read"])),
        "shuffled_twice_events_per_cpu_s": round(2 * count / (rough["door"] + rough["read"])),
        "slowest_batch_seconds": round(calm["slowest_batch_seconds"], 3),
        "memory_for_reading_mib": round((peak - before) / 1024),
        "one_state": len(states) == 1,
        "one_snapshot": len(digests) == 1,
    }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()

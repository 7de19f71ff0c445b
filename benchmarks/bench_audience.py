"""The audience of a campaign: everybody read and judged, then frozen into one row a person; time and memory.

    python benchmarks/bench_audience.py [--people 1000000]

Two child processes, one with a tenth of the people and one with all: peak memories are their own. The registry is
written directly (an address, a residence, an age, a profile each; one person in ten has a second account, one in fifty
objected, one in a hundred bounced). Reading alone is measured first, then reading, judging and writing together.
"""

from __future__ import annotations

import argparse
import json
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demur.flows import campaign, enrol
from demur.notice import campaigns
from demur.people import Registry, schema
from demur.store import Workspace
from demur.wiring import open_service

THEN = 1_700_000_000_000_000
COUNTRIES = ("DE", "FR", "IT", "ES", "PL", "US", "BR", "GB")
LANGUAGES = ("de", "en", "fr", None)
PART = 50_000


def fill(path: Path, count: int) -> None:
    """Write a registry of that many people, in the order of its keys."""
    with Registry(f"sqlite:///{path}") as registry:
        registry.migrate()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA synchronous=OFF")
    for start in range(0, count, PART):
        for table, rows in _rows(range(start, min(start + PART, count))):
            places = ", ".join("?" * len(schema.BY_NAME[table].columns))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)
        connection.commit()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _rows(numbers: range) -> Iterator[tuple[str, list[tuple[object, ...]]]]:
    def event(*values: object) -> tuple[object, ...]:
        return schema.event(str(values[0]), *values[1:], recorded_at=THEN)

    who = [(n, f"m:{n:010d}") for n in numbers]
    accounts = [(f"{person}.{place}", person, n) for n, person in who for place in range(2 if n % 10 == 0 else 1)]
    yield "accounts", [event(account, "m", person, None) for account, person, _ in accounts]
    yield (
        "profiles",
        [
            event(account, f"u{n}", f"u{n}", f"Name {n}", LANGUAGES[n % 4], "active", False, None, THEN, THEN - 9)
            for account, _, n in accounts
        ],
    )
    yield "contacts", [event(person, f"u{n}@d{n % 50}.example", THEN) for n, person in who if n % 40]
    yield "residences", [event(person, COUNTRIES[n % 8], THEN - 9, None, f"{person}.0") for n, person in who]
    yield "ages", [event(person, 5_000 - n % 4_000 if n % 30 else 17_000, "declared") for n, person in who]
    yield "objections", [event(person, f"O-{n}", "object", None, None, "web", THEN) for n, person in who if n % 50 == 1]
    yield "notices", [event(person, "before", "email", "bounced", THEN + 1) for n, person in who if n % 100 == 2]


def run(home: Path) -> dict[str, object]:
    """Read everybody once; then freeze them into a campaign."""
    with open_service(Workspace(home)) as service:
        later = datetime.now(tz=UTC) + timedelta(days=90)
        countries = tuple(country for country in COUNTRIES if country != "BR")
        plan = campaign.Plan("bench", later, channels=("email", "inapp"), countries=countries)
        campaign.draft(service, plan, by="ada")
        at = service.clock()
        begin, cpu = time.perf_counter(), time.process_time()
        people = sum(len(batch) for batch, _ in service.parts.registry.audience(as_of=at))
        read, read_cpu = time.perf_counter() - begin, time.process_time() - cpu
        campaigns.mark(service.notice, "bench", approved_by="grace", approved_at=at, status="running", freeze_as_of=at)
        begin, cpu = time.perf_counter(), time.process_time()
        enrol.freeze(service, "bench")
        frozen, frozen_cpu = time.perf_counter() - begin, time.process_time() - cpu
        begin = time.perf_counter()
        late = enrol.enrol(service, campaigns.course_of(service.notice, "bench")) if _opened(service, at) else 0
        enrolled = time.perf_counter() - begin
        states = campaign.status(service, "bench")["states"]
    return {
        "people": people,
        "read_s": read,
        "read_us_a_person": read / people * 1e6,
        "read_cpu_us_a_person": read_cpu / people * 1e6,
        "freeze_s": frozen,
        "freeze_us_a_person": frozen / people * 1e6,
        "freeze_cpu_us_a_person": frozen_cpu / people * 1e6,
        "look_for_latecomers_s": enrolled,
        "latecomers": late,
        "states": states,
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _opened(service: object, at: datetime) -> bool:
    campaigns.mark(service.notice, "bench", enrolled_until=at)  # type: ignore[attr-defined]
    return True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="folder to work in, kept; a registry that is there is used again")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(run(options.child)))
        return
    with tempfile.TemporaryDirectory(prefix="demur-bench-") as name:
        for count in (options.people // 10, options.people):
            home = (options.keep or Path(name)) / str(count)
            home.mkdir(parents=True, exist_ok=True)
            if not (home / "registry.db").exists():
                begin = time.perf_counter()
                fill(home / "registry.db", count)
                print(json.dumps({"people": count, "fill_s": round(time.perf_counter() - begin, 1)}))
            for path in home.glob("notice.db*"):
                path.unlink()
            call = [sys.executable, __file__, "--child", str(home)]
            found = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
            print(
                json.dumps(
                    {key: round(value, 1) if isinstance(value, float) else value for key, value in found.items()}
                )
            )


if __name__ == "__main__":
    main()

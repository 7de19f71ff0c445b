"""Bulk import and export of people: SQLite, and PostgreSQL when its URL is given or its binaries are here.

    python benchmarks/bench_registry.py [--people 200000] [--postgresql URL]

Each database runs in a child process of its own, so that the peak memory is its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pwd
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from demur.clock import iso
from demur.people import Registry
from demur.terms.tables import PEOPLE

T0 = datetime(2025, 6, 1, tzinfo=UTC)
PART = 100_000
COUNTRIES = np.array(["DE", "FR", "IT", "ES", "PL", "US", "BR", "GB"])


def people(folder: Path, count: int) -> list[Path]:
    """Write PEOPLE parts: one account in ten is a second account of somebody."""
    parts = []
    for start in range(0, count, PART):
        numbers = np.arange(start, min(start + PART, count))
        chance = np.random.default_rng(start)
        size = len(numbers)
        born = [date(1950, 1, 1) + timedelta(days=int(days)) for days in chance.integers(0, 24_000, size)]
        columns: dict[str, object] = {name: [None] * size for name in PEOPLE.names}
        columns |= {
            "account_id": [f"m:{n}" for n in numbers],
            "version_id": [f"v{n}" for n in numbers],
            "service": ["m"] * size,
            "person_hint": [str(n - n % 10) if n % 10 == 1 else str(n) for n in numbers],
            "handle": [f"user{n}" for n in numbers],
            "display_name": [f"Name {n}" for n in numbers],
            "contact": [f"user{n}@example.org" for n in numbers],
            "country": COUNTRIES[chance.integers(0, len(COUNTRIES), size)].tolist(),
            "born_on": born,
            "age_source": ["declared"] * size,
            "status": ["active"] * size,
            "private": [False] * size,
            "last_active_at": [T0 - timedelta(days=9)] * size,
            "language": ["de"] * size,
            "source": ["bench"] * size,
            "imported_at": [T0 - timedelta(days=200)] * size,
        }
        path = folder / f"part-{start:09d}.parquet"
        pq.write_table(pa.table(columns, schema=PEOPLE), path)
        parts.append(path)
    return parts


def events(path: Path, count: int) -> int:
    """Write a delivered notice for everybody and an objection of one in fifty."""
    at = iso(T0 - timedelta(days=100))
    lines = 2
    with path.open("w") as out:
        out.write(json.dumps({"type": "campaign", "campaign_id": "c", "purpose": "ai", "effective_at": at}) + "\n")
        out.write(json.dumps({"type": "campaign_status", "campaign_id": "c", "status": "running"}) + "\n")
        for n in range(count):
            who = f"m:{n}"
            notice = {"type": "notice", "person_id": who, "campaign_id": "c", "channel": "email", "state": "delivered"}
            out.write(json.dumps(notice) + "\n")
            lines += 1
            if n % 50 == 0:
                out.write(json.dumps({"type": "objection", "person_id": who}) + "\n")
                lines += 1
    return lines


def run(url: str, folder: Path) -> dict[str, object]:
    """Import everything and export the standing once."""
    parts = sorted(folder.glob("part-*.parquet"))
    found: dict[str, object] = {}
    with Registry(url) as registry:
        registry.migrate()
        begin = time.perf_counter()
        rows = sum(registry.import_people([part]).events["accounts"] for part in parts)
        found["import_people_s"] = time.perf_counter() - begin
        begin = time.perf_counter()
        lines = registry.import_events(folder / "events.jsonl", recorded_at=T0 - timedelta(days=100)).people
        found["import_events_s"] = time.perf_counter() - begin
        found["memory_after_import_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        begin = time.perf_counter()
        facts = registry.export(folder / "standing", as_of=T0, known_at=T0)
        found["export_s"] = time.perf_counter() - begin
    standing = facts["files"]["standing"]["rows"]
    return found | {
        "accounts": rows,
        "standing_rows": standing,
        "import_accounts_per_s": rows / float(str(found["import_people_s"])),
        "import_events_per_s": lines / float(str(found["import_events_s"])),
        "export_people_per_s": standing / float(str(found["export_s"])),
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "digest": facts["digest"],
    }


@contextlib.contextmanager
def cluster() -> Iterator[str | None]:
    """Start a private PostgreSQL cluster with fsync on, if its binaries are here."""
    homes = [Path(found).parent for found in [shutil.which("initdb")] if found]
    homes += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    home = next((home for home in homes if (home / "pg_ctl").exists()), None)
    if home is None:
        yield None
        return
    prefix: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix="demur-pg-", dir="/tmp"))
    if os.geteuid() == 0:  # PostgreSQL refuses root
        user = pwd.getpwnam("nobody")
        prefix = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        os.chown(folder, user.pw_uid, user.pw_gid)
    control = [*prefix, str(home / "pg_ctl"), "-D", str(folder / "data"), "-w"]
    with (folder / "log").open("w") as log:
        try:
            initdb = [
                *prefix,
                str(home / "initdb"),
                "-D",
                str(folder / "data"),
                "-U",
                "demur",
                "-A",
                "trust",
                "-E",
                "UTF8",
            ]
            subprocess.run(initdb, check=True, stdout=log, stderr=log, cwd=folder)
            options = f"-c listen_addresses='' -k {folder} -c max_wal_size=4GB"
            start = [*control, "-l", str(folder / "data/log"), "-o", options, "start"]
            subprocess.run(start, check=True, stdout=log, stderr=log, cwd=folder)
            yield f"postgresql+psycopg://demur@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=False, stdout=log, stderr=log, cwd=folder)
            shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=200_000, help="accounts to import")
    parser.add_argument("--postgresql", help="URL of an empty database; without it a private cluster is started")
    parser.add_argument("--only", choices=["sqlite", "postgresql"])
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(run(options.child[0], Path(options.child[1]))))
        return
    with tempfile.TemporaryDirectory(prefix="demur-bench-") as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        people(folder, options.people)
        events(folder / "events.jsonl", options.people)
        urls = {"sqlite": f"sqlite:///{folder / 'registry.db'}"}
        address = options.postgresql or (None if options.only == "sqlite" else stack.enter_context(cluster()))
        if address:
            urls["postgresql"] = address
        for database, url in urls.items():
            if options.only not in (None, database):
                continue
            call = [sys.executable, __file__, "--people", str(options.people), "--child", url, name]
            found = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
            numbers = {key: round(value, 1) if isinstance(value, float) else value for key, value in found.items()}
            print(json.dumps({"database": database, **numbers}, indent=2))


if __name__ == "__main__":
    main()

"""MB/s of Stack Exchange intake beside bare ``lxml.etree.iterparse`` over the same files, in one run, one core each.

Usage: python benchmarks/bench_intake.py DUMP_FOLDER [MEGABYTES]

The dump is repeated with fresh ids until it is large enough. Bare iterparse reads every row and clears it, nothing
else. Both are measured by turns in CPU seconds of the whole process tree, and the least of three counts; the intake's
include HTML to text, history, checks, digests and Parquet.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import tempfile
from pathlib import Path

from lxml import etree

from demur.clock import parse
from demur.intake import intake

FILES = ("Posts.xml", "PostHistory.xml", "Comments.xml")
REPEATS = 3
_IDS = re.compile(rb' (Id|PostId|ParentId|AcceptedAnswerId|OwnerUserId|UserId)="(\d+)"')


def enlarge(source: Path, target: Path, megabytes: int) -> int:
    """Write the dump again and again with fresh ids; return the bytes written."""
    contents = {name: (source / name).read_bytes().splitlines(keepends=True) for name in FILES}
    size = sum(len(line) for lines in contents.values() for line in lines)
    copies = max(1, -(-megabytes * 1_000_000 // size))
    total = 0
    for name, lines in contents.items():
        with (target / name).open("wb") as stream:
            stream.writelines(lines[:2])
            for copy in range(copies):
                shift = copy * 10_000_000
                for line in lines[2:-1]:
                    fresh = _IDS.sub(lambda m, shift=shift: b' %s="%d"' % (m.group(1), int(m.group(2)) + shift), line)
                    stream.write(fresh)
            stream.write(lines[-1])
        total += (target / name).stat().st_size
    return total


def bare(folder: Path) -> float:
    """Return the CPU seconds of iterparse alone."""
    begun = _cpu_seconds()
    for name in FILES:
        for _, element in etree.iterparse(str(folder / name), tag="row"):
            element.clear()
            element.getparent().remove(element)
    return _cpu_seconds() - begun


def _cpu_seconds() -> float:
    """Return user and system seconds of this process and of all that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def ours(folder: Path, store: Path) -> tuple[float, dict[str, object]]:
    """Return the CPU seconds of the intake, and its report."""
    begun = _cpu_seconds()
    report = intake(
        "stackexchange",
        [folder],
        store_folder=store / "source",
        quarantine_folder=store / "quarantine",
        imported_at=parse("2026-01-01"),
    )
    return _cpu_seconds() - begun, report.as_json()


def main() -> None:
    """Measure and print one JSON object."""
    source = Path(sys.argv[1])
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "site"
        folder.mkdir()
        size = enlarge(source, folder, megabytes) / 1e6
        runs = [(ours(folder, Path(temporary) / str(number)), bare(folder)) for number in range(REPEATS)]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        seconds = min(taken for (taken, _), _ in runs)
        alone = min(taken for _, taken in runs)
        report = runs[0][0][1]
    print(
        json.dumps(
            {
                "megabytes": round(size, 1),
                "rows": report["items"],
                "intake_mb_per_cpu_second": round(size / seconds, 1),
                "lxml_mb_per_cpu_second": round(size / alone, 1),
                "times_bare_lxml": round(seconds / alone, 2),
                "peak_rss_mib": round(peak),
            }
        )
    )


if __name__ == "__main__":
    main()

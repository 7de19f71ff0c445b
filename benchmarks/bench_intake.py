"""MB/s of Stack Exchange intake beside bare ``lxml.etree.iterparse`` over the same files, in one run, one core each.

Usage: python benchmarks/bench_intake.py DUMP_FOLDER [MEGABYTES]

The dump is repeated with fresh ids until it is large enough. Bare iterparse reads every row and clears it, nothing
else. Both are measured in CPU seconds; the intake's include HTML to text, history, checks, digests and Parquet.
"""

from __future__ import annotations

import json
import re
import resource
import sys
import tempfile
import time
from pathlib import Path

from lxml import etree

from demur.clock import parse
from demur.intake import intake

FILES = ("Posts.xml", "PostHistory.xml", "Comments.xml")
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
    begun = time.process_time()
    for name in FILES:
        for _, element in etree.iterparse(str(folder / name), tag="row"):
            element.clear()
            element.getparent().remove(element)
    return time.process_time() - begun


def ours(folder: Path, store: Path) -> tuple[float, dict[str, object]]:
    """Return the CPU seconds of the intake, and its report."""
    begun = time.process_time()
    report = intake(
        "stackexchange",
        [folder],
        store_folder=store / "source",
        quarantine_folder=store / "quarantine",
        imported_at=parse("2026-01-01"),
    )
    return time.process_time() - begun, report.as_json()


def main() -> None:
    """Measure and print one JSON object."""
    source = Path(sys.argv[1])
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "site"
        folder.mkdir()
        size = enlarge(source, folder, megabytes) / 1e6
        seconds, report = ours(folder, Path(temporary))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        alone = bare(folder)
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

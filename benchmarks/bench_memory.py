"""Building within a memory cap: the same corpus in one bucket and in many, the most that any process holds.

    python benchmarks/bench_memory.py --items 2000000 --cap 2048

Prints for both: peak resident memory of the largest child process, the bytes that went through the work folder, whether
the cap held.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench_cluster import Meter, built, size
from bench_corpus import Peak, prepared
from demur.errors import DemurError
from demur.store.capped import Capped


def main() -> None:
    """Measure both."""
    reader = argparse.ArgumentParser()
    reader.add_argument("--items", type=int, default=2_000_000)
    reader.add_argument("--cap", type=int, default=2048, help="MiB of one process")
    reader.add_argument("--buckets", type=int, default=32)
    given = reader.parse_args()
    meter = Meter()
    meter.start()
    with tempfile.TemporaryDirectory() as base:
        folder = Path(base)
        prepared(folder, given.items)
        digests = []
        for name, rows in (("one bucket", given.items), (f"{given.buckets} buckets", given.items // given.buckets)):
            peak = Peak()
            peak.start()
            out, cap = name.replace(" ", "-"), Capped(given.cap, least=0)
            try:
                found = built(folder, out, meter, rows, runner=cap)
                digests.append(found["manifest"].digest)
                said = f"{found['cpu']:.1f} CPU-s, digest {digests[-1][:12]}"
            except DemurError as error:
                said = str(error).split("\n", maxsplit=1)[0]
            peak.over.set()
            work = size(folder / f"work-{out}") / 2**20
            print(
                f"{name:<12} peak {peak.most} MiB under a cap of {given.cap}; {work:.0f} MiB of work files; {said}",
                flush=True,
            )


if __name__ == "__main__":
    main()

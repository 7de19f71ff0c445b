"""A whole build under a memory cap smaller than its data: the same corpus with it and without a cap.

    python benchmarks/bench_memory.py                                300,000 items of some 1,000 bytes under 1 GiB
    python benchmarks/bench_memory.py --items 2000000 --join 1 --cap 2048

The platform is that of bench_corpus.py, with longer posts: each says what several of its posts say. Three builds, from
selection to the verifier's verdict: under the cap; under a third of it, which has to be refused; without a cap.
Prints for each the most that any process held (resident set), CPU, the digest. The cap is the kernel's.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parent))
from bench_cluster import Meter, built, size
from bench_corpus import Peak, prepared
from demur.errors import DemurError
from demur.store.capped import Capped

PART_BYTES = 16 << 20
"""Of a part of a snapshot (``intake.snapshot``)."""


def lengthened(items: Path, times: int) -> int:
    """Let every post say what so many posts of its file say, drawn at random; return the bytes of all texts."""
    chance, held = np.random.default_rng(3), 0
    for path in sorted(items.glob("*.parquet")):
        table = pq.read_table(path)
        texts = table["text"].combine_chunks()
        draws = [texts.take(pa.array(chance.permutation(len(texts)))) for _ in range(times - 1)]
        joined = pc.binary_join_element_wise(texts, *draws, " ", null_handling="skip") if draws else texts
        joined = pc.if_else(pc.is_valid(texts), joined, None)
        bytes_now = pc.sum(pc.binary_length(joined)).as_py() or 0
        longer = table.set_column(table.schema.get_field_index("text"), "text", joined)
        rows = max(1, len(joined) * PART_BYTES // max(1, bytes_now))
        for number, first in enumerate(range(0, len(joined), rows)):
            pq.write_table(longer.slice(first, rows), path.with_name(f"{path.stem}-{number:04d}.parquet"))
        path.unlink()
        held += bytes_now
    return held


def one(folder: Path, name: str, meter: Meter, rows: int, **means: Any) -> str | None:
    """Build and print a line; return the digest, or nothing where the cap stopped it."""
    peak, began = Peak(), meter.look()
    peak.start()
    out = name.replace(" ", "-").replace(",", "")
    digest = None
    try:
        digest = str(built(folder, out, meter, rows, **means)["manifest"].digest)
        said = f"digest {digest[:16]}"
    except DemurError as error:
        said = f"refused: {str(error).splitlines()[0]}"
    peak.over.set()
    work = size(folder / f"work-{out}") / 2**20
    print(
        f"{name:<22} peak {peak.most:>5} MiB  {meter.look() - began:7.1f} CPU-s  {work:6.0f} MiB of work files  {said}",
        flush=True,
    )
    return digest


def main() -> None:
    """Measure all three; end with an error where the corpora differ or a cap stopped nothing."""
    reader = argparse.ArgumentParser()
    reader.add_argument("--items", type=int, default=300_000)
    reader.add_argument("--join", type=int, default=10, help="posts that each post says")
    reader.add_argument("--cap", type=int, default=1024, help="MiB of one process")
    given = reader.parse_args()
    meter = Meter()
    meter.start()
    with tempfile.TemporaryDirectory() as base:
        folder, cap = Path(base), Capped(given.cap, least=0)
        prepared(folder, given.items)
        held = lengthened(folder / "items", given.join)
        print(f"{given.items:,} items, {held / 2**20:,.0f} MiB of texts; a cap of {given.cap} MiB", flush=True)
        stopped = one(folder, "a third of it", meter, given.items, runner=Capped(given.cap // 3, least=0))
        spilt = one(folder, "the cap", meter, given.items, runner=cap)
        free = one(folder, "no cap", meter, given.items)
        print(f"digests equal: {spilt == free}; stopped under a third: {stopped is None}")
        assert free == spilt
        assert stopped is None


if __name__ == "__main__":
    main()

"""Run every benchmark one after another and keep what each prints in ``bench-out/`` (make bench).

Each script measures demur and what it is compared with in one run and prints ratios; figures of a busy machine are only
good as ratios. Give names to run some: ``python benchmarks/run.py decide training``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
OUT = HERE.parent / "bench-out"


def main(wanted: list[str]) -> int:
    OUT.mkdir(exist_ok=True)
    scripts = {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}
    unknown = set(wanted) - set(scripts)
    if unknown:
        print(f"expected some of {', '.join(scripts)}, found {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    failed = 0
    for name, path in scripts.items():
        if wanted and name not in wanted:
            continue
        print(f"== {name}", flush=True)
        done = subprocess.run([sys.executable, str(path)], text=True, capture_output=True, check=False)
        (OUT / f"{name}.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
        print(done.stdout, flush=True)
        failed += done.returncode != 0
        if done.returncode:
            print(done.stderr[-2000:], file=sys.stderr)
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

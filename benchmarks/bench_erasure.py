"""What one person's erasure costs in the demo: tokens trained again, first effect, equality with a clean build.

Runs the whole demo (2,000 made-up people, 16 shards a region) in a scratch folder and prints the rows of the issue's
table. ``--people N`` makes it smaller.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> int:
    given = argparse.ArgumentParser(description=__doc__)
    given.add_argument("--people", type=int, default=2000)
    people = given.parse_args().people
    with tempfile.TemporaryDirectory(prefix="demur-bench-") as scratch:
        out = Path(scratch) / "facts.json"
        command = [sys.executable, "-m", "demur", "--quiet", "demo", "--home", f"{scratch}/home"]
        done = subprocess.run([*command, "--people", str(people), "--json", str(out)], check=False, capture_output=True)
        if not out.exists():
            print(done.stderr.decode()[-2000:], file=sys.stderr)
            return 1
        facts = json.loads(out.read_text())
    one = facts["erasure"]
    share = 100 * one["tokens_retrained"] / one["tokens_full"]
    print(f"people {facts['people']}, items {facts['items']}, records {facts['records']}, tokens {facts['tokens']}")
    print(f"records that left with one person   {one['records']}")
    print(f"tokens trained again                {one['tokens_retrained']} of {one['tokens_full']} = {share:.2f} %")
    print(f"first effect (rollback)             {one['first_effect_seconds']} s")
    print(f"incremental = clean, bit for bit    {one['equal']}")
    print(f"whole demo                          {sum(facts['seconds'].values()):.0f} s, {facts['peak_rss_mib']} MiB")
    return 0 if one["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())

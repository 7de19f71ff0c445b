"""Decide against the bare engine query of the same joins, in one run (issue 2: at most 1.5 times its CPU).

    python benchmarks/bench_decide.py            1M and 5M items
    python benchmarks/bench_decide.py --small    100k and 200k items

Both get the same made-up tables: a tenth as many people as items, 40 % replies, 8 % reshares, long ids.
The bare query scans the same columns, joins accounts, standing, residence, parents and originals, and writes the
columns of DECISIONS with constants instead of rules. Every measurement is a child process of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.terms.tables import ACCOUNTS, HOLDS, ITEMS, RESIDENCE, STANDING

AS_OF = datetime(2025, 9, 1, tzinfo=UTC)
PIECE = 250_000
COUNTRIES = ["DE", "FR", "PL", "GB", "US", "BR", "IN", "CH", "NO", "JP"]


def us(year: int) -> int:
    return int(datetime(year, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)


def texts(chance: np.random.Generator, values: list, size: int, weights: list | None = None):
    share = None if weights is None else np.array(weights) / sum(weights)
    return pa.array(values, pa.string()).take(pa.array(chance.choice(len(values), size, p=share)))


def times(values, empty=None):
    return pa.array(values, mask=empty).cast(pa.timestamp("us", tz="UTC"))


def ids(prefix: str, numbers):
    digits = pc.utf8_lpad(pc.cast(pa.array(numbers), pa.string()), 16, "0")
    return pc.binary_join_element_wise(pa.scalar(prefix), digits, "/")


def full(schema, size: int, given: dict):
    columns = [given[f.name].cast(f.type) if f.name in given else pa.nulls(size, f.type) for f in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def lists(column):
    return pa.ListArray.from_arrays(pa.array(np.arange(len(column) + 1, dtype=np.int32)), column)


def write_people(folder: Path, people: int) -> None:
    chance = np.random.default_rng(7)
    number = np.arange(people)
    person = ids("network.example/person", number)
    country = texts(chance, COUNTRIES, people)
    told = chance.integers(us(2025), us(2025) + 200 * 86_400_000_000, people)
    deaf = chance.random(people) < 0.05
    empty = (
        lists(pa.array([], pa.string()))
        if not people
        else pa.array([[]] * 1, pa.list_(pa.string())).take(pa.array(np.zeros(people, np.int64)))
    )
    standing = {
        "person_id": person,
        "born_on": pa.array(
            (chance.integers(-12000, 14600, people)).astype(np.int32), mask=chance.random(people) < 0.03
        ).cast(pa.date32()),
        "age_conflict": pa.array(chance.random(people) < 0.01),
        "countries_now": lists(country),
        "countries_at_notice": lists(country),
        "objected": pa.array(chance.random(people) < 0.05),
        "consent_purposes": empty,
        "first_delivered_at": times(told, deaf),
        "last_delivered_at": times(told, deaf),
        "campaign_effective_at": times(np.full(people, us(2025))),
        "campaigns": empty,
    }
    pq.write_table(full(STANDING, people, standing), folder / "standing.parquet")
    accounts = {
        "account_id": ids("network.example/account", number),
        "service": texts(chance, ["network"], people),
        "person_id": person,
        "status": texts(chance, ["active", "dormant", "deleted", "bot"], people, [90, 5, 3, 2]),
        "private": pa.array(chance.random(people) < 0.1),
        "handles": empty,
        "names": empty,
    }
    pq.write_table(full(ACCOUNTS, people, accounts), folder / "accounts.parquet")
    moved = np.flatnonzero(chance.random(people) < 0.1)
    until = np.full(people, us(2022))
    stays = ~np.isin(number, moved)
    first = {"person_id": person, "country": country, "valid_until": times(until, stays)}
    second = {
        "person_id": person.take(pa.array(moved)),
        "country": texts(chance, COUNTRIES, len(moved)),
        "valid_from": times(np.full(len(moved), us(2022))),
    }
    homes = pa.concat_tables([full(RESIDENCE, people, first), full(RESIDENCE, len(moved), second)])
    pq.write_table(homes, folder / "residence.parquet")
    pq.write_table(HOLDS.empty_table(), folder / "holds.parquet")


def write_items(folder: Path, size: int, people: int) -> None:
    words = pa.array(
        [
            "hello from the made-up network, nothing of note happened today",
            "a second sentence that is a little longer than the first one was, with more words in it",
        ]
    )
    for piece, begin in enumerate(range(0, size, PIECE)):
        chance = np.random.default_rng(1000 + piece)
        rows = min(PIECE, size - begin)
        number = np.arange(begin, begin + rows)
        kind = chance.choice(4, rows, p=[0.5, 0.4, 0.08, 0.02])
        parent = ids("https://network.example/status", chance.integers(0, np.maximum(number, 1)))
        item = {
            "item_id": ids("https://network.example/status", number),
            "version_id": texts(chance, ["v"], rows),
            "state": texts(chance, ["live", "deleted"], rows, [97, 3]),
            "service": texts(chance, ["network"], rows),
            "kind": pa.array(["post", "comment", "reshare", "private_message"]).take(pa.array(kind)),
            "account_id": ids("network.example/account", chance.integers(0, people + people // 100 + 1, rows)),
            "created_at": times(
                chance.integers(us(2018), us(2025) + 200 * 86_400_000_000, rows), chance.random(rows) < 0.01
            ),
            "audience": texts(chance, ["public", "unlisted", "followers", "unknown"], rows, [80, 8, 10, 2]),
            "parent_id": pc.if_else(pa.array(kind == 1), parent, pa.scalar(None, pa.string())),
            "original_id": pc.if_else(pa.array(kind == 2), parent, pa.scalar(None, pa.string())),
            "text": words.take(pa.array(chance.integers(0, 2, rows))),
            "source": texts(chance, ["bench"], rows),
            "imported_at": times(np.full(rows, us(2025))),
        }
        pq.write_table(full(ITEMS, rows, item), folder / f"items-{piece:04d}.parquet", compression="zstd")


def parts(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.glob("items-*.parquet"))]


def run_decide(folder: Path, out: Path) -> None:
    from demur.policy.columns import decide_table

    decide_table(out, items=parts(folder), standing=str(folder), policy="demur-strict", as_of=AS_OF)


def run_bare(folder: Path, out: Path) -> None:
    """Scan, join and write the same, without a single rule."""
    from demur.engine import DataType, col, lit, scan, write

    items = scan(parts(folder)).select(
        *(
            col(name)
            for name in ("item_id", "account_id", "kind", "service", "state", "audience", "created_at", "parent_id")
        ),
        *(
            col(name)
            for name in ("original_id", "expires_at", "public_since", "addressed_to_ai", "signal", "special_category")
        ),
    )
    accounts = scan([folder / "accounts.parquet"]).select(
        col("account_id"), col("person_id"), col("status"), col("private")
    )
    people = scan([folder / "standing.parquet"]).select(
        *(
            col(name)
            for name in ("person_id", "born_on", "objected", "age_conflict", "first_delivered_at", "last_delivered_at")
        )
    )
    homes = (
        scan([folder / "residence.parquet"])
        .where(col("valid_until").is_null())
        .select(col("person_id"), col("country"))
    )
    authors = accounts.join(people, on="person_id", how="left").join(homes, on="person_id", how="left")
    above = scan(parts(folder)).select(col("item_id").alias("parent_id"), col("audience").alias("above"))
    source = scan(parts(folder)).select(col("item_id").alias("original_id"), col("state").alias("source_state"))
    joined = items.join(authors, on="account_id", how="left")
    # The engine keeps null keys in one chain, so that a join on a mostly empty column takes quadratic time: the bare
    # query joins only the rows that have a parent or an original, as anybody would.
    nothing = lit(None).cast(DataType.string())
    replies = joined.where(~col("parent_id").is_null()).join(above, on="parent_id", how="left")
    copies = joined.where(~col("original_id").is_null()).join(source, on="original_id", how="left")
    rest = joined.where(col("parent_id").is_null() & col("original_id").is_null())
    shape = ("item_id", "status", "born_on", "person_id", "country", "kind")
    joined = (
        replies.select(*(col(name) for name in shape), col("above"), nothing.alias("source_state"))
        .concat(copies.select(*(col(name) for name in shape), nothing.alias("above"), col("source_state")))
        .concat(rest.select(*(col(name) for name in shape), nothing.alias("above"), nothing.alias("source_state")))
    )
    found = joined.select(
        col("item_id"),
        lit(True).alias("allowed"),
        col("status").alias("primary_reason"),
        col("source_state").alias("reasons"),
        col("born_on").alias("reason_bits"),
        col("person_id"),
        col("country"),
        col("kind"),
        col("above").alias("audience"),
    )
    write(found, out)


def measure(what: str, folder: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory(dir=folder) as out:
        begun, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        call = [sys.executable, __file__, "--child", what, str(folder), out]
        finished = subprocess.run(call, check=False, capture_output=True, timeout=900)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        rows = sum(pq.read_metadata(path).num_rows for path in Path(out).glob("*.parquet"))
        tail = finished.stdout.decode().strip().splitlines()
        if not tail:
            raise SystemExit(finished.stderr.decode()[-2000:])
        return {
            "cpu": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
            "wall": time.monotonic() - begun,
            "peak": json.loads(tail[-1])["peak_mib"],
            "rows": rows,
        }


def child(what: str, folder: Path, out: Path) -> None:
    {"decide": run_decide, "bare": run_bare, "nothing": lambda _a, _b: __import__("demur.policy.columns")}[what](
        folder, out
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps({"peak_mib": peak}) + "\n")
    sys.stdout.flush()
    os._exit(0)


def main() -> None:
    reader = argparse.ArgumentParser()
    reader.add_argument("--small", action="store_true")
    reader.add_argument("--sizes", type=int, nargs="*")
    reader.add_argument("--child", nargs=3)
    given = reader.parse_args()
    if given.child:
        what, folder, out = given.child
        child(what, Path(folder), Path(out))
        return
    sizes = given.sizes or ([100_000, 200_000] if given.small else [1_000_000, 5_000_000])
    found = {}
    with tempfile.TemporaryDirectory() as base:
        for size in sizes:
            folder = Path(base) / str(size)
            folder.mkdir()
            write_people(folder, size // 10)
            write_items(folder, size, size // 10)
            bare, decide = measure("bare", folder), measure("decide", folder)
            found[size] = decide
            print(
                f"{size:>9,} items x {size // 10:>7,} people | bare {bare['cpu']:6.1f} CPU-s {bare['wall']:6.1f} s "
                f"{bare['peak']:5.0f} MiB | decide {decide['cpu']:6.1f} CPU-s {decide['wall']:6.1f} s {decide['peak']:5.0f} MiB "  # noqa: E501
                f"| ratio {decide['cpu'] / bare['cpu']:.2f} | rows {bare['rows']:.0f} {decide['rows']:.0f}",
                flush=True,
            )
    small, large = min(sizes), max(sizes)
    if large > small:
        per = [found[size]["wall"] / size for size in (small, large)]
        print(f"wall per item, {large:,} against {small:,}: {per[1] / per[0]:.2f}")


if __name__ == "__main__":
    main()

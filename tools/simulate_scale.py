"""Reckon what a corpus of 3·10^9 people costs, from what a row costs; the tables of docs/explanation/scale.md.

    python tools/simulate_scale.py            print the tables
    python tools/simulate_scale.py --write    put tables and picture into the page

Everything is a product of a measured or an assumed number of tools/scale.toml and a number of rows; nothing is fitted.
tests/docs/test_scale.py holds the page to it.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "explanation" / "scale.md"
PICTURE = PAGE.with_suffix(".svg")
SIZES = (10**6, 10**8, 10**9, 10**10, 10**11, 10**12)
HOUR = 3600e6
"""Microseconds."""

Table = tuple[list[str], list[list[str]]]


@dataclass(frozen=True)
class Stage:
    """One stage: its rows, what a row costs, and how many cores it pays for today."""

    name: str
    rows: float
    us: float
    most: float = 1

    @property
    def core_hours(self) -> float:
        """Hours of one core."""
        return self.rows * self.us / HOUR


def read(path: Path = ROOT / "tools" / "scale.toml") -> tuple[Any, Any]:
    """Return (measured, assumed)."""
    found = tomllib.loads(path.read_text("utf-8"))
    return SimpleNamespace(**found["measured"]), SimpleNamespace(**found["assumed"])


def stages(m: Any, a: Any, items: float | None = None) -> list[Stage]:
    """Return the stages of a build of so many items; people, texts and records in the assumed proportions."""
    items = items or a.items
    people = items * a.people / a.items
    texts, records = items * a.looked_at_share, items * a.record_share
    return [
        Stage("snapshot", items, m.snapshot_us_per_item, m.snapshot_cores),
        Stage("standing (a person)", people, m.standing_us_per_person, m.standing_cores),
        Stage("decide", items, m.decide_us_per_item),
        Stage("select", items, m.select_us_per_item),
        Stage("text", texts, m.text_us_per_text, math.inf),
        Stage("deduplicate", texts, m.deduplicate_us_per_text),
        Stage("place", items, m.place_us_per_item, m.place_cores),
        Stage("write", records, m.write_us_per_record, m.write_cores),
        Stage("verify", items, m.verify_us_per_item, m.verify_cores),
    ]


def short(value: float) -> str:
    """Return two significant digits, spelt for reading.

    >>> [short(one) for one in (0.034, 7.06, 83.2, 5236, 1.2e6, 3e9)]
    ['0.034', '7.1', '83', '5,200', '1.2 million', '3 billion']
    """
    if value == 0:
        return "0"
    rounded = round(value, 1 - math.floor(math.log10(abs(value))))
    for size, word in ((1e12, " trillion"), (1e9, " billion"), (1e6, " million")):
        if rounded >= size:
            return f"{rounded / size:.3g}{word}"
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def span(hours: float) -> str:
    """Return a time as people say it."""
    for size, word in ((24 * 365, "years"), (24, "days"), (1, "h"), (1 / 60, "min")):
        if hours >= 1.5 * size:
            return f"{short(hours / size)} {word}"
    return f"{short(hours * 3600)} s"


def size(gigabytes: float) -> str:
    """Return bytes as people say them."""
    for unit, word in ((1e6, "PB"), (1e3, "TB"), (1, "GB")):
        if gigabytes >= unit:
            return f"{short(gigabytes / unit)} {word}"
    return f"{short(gigabytes * 1000)} MB"


def build(m: Any, a: Any) -> Table:
    """CPU of one full build."""
    rows, total = [], 0.0
    for stage in stages(m, a):
        total += stage.core_hours
        rows.append(
            [
                stage.name,
                short(stage.rows),
                short(stage.us),
                short(stage.core_hours),
                f"€ {short(stage.core_hours * a.core_hour_euro)}",
                span(stage.core_hours / a.cores),
                "all" if stage.most == math.inf else short(stage.most),
            ]
        )
    rows.append(["**all**", "", "", short(total), f"€ {short(total * a.core_hour_euro)}", span(total / a.cores), ""])
    cores = f"on {a.cores:,} cores, were all divided"
    return ["stage", "rows", "µs a row", "core-hours", "cost", cores, "cores it pays for today"], rows


def today(items: float, cores: int, m: Any, a: Any) -> float:
    """Return hours of a build as the code is: each stage on as many cores as it pays for."""
    return sum(one.core_hours / min(cores, one.most) for one in stages(m, a, items)) + starts(m)


def divided(items: float, cores: int, m: Any, a: Any) -> float:
    """Return hours of a build whose stages are all divided evenly."""
    return sum(one.core_hours for one in stages(m, a, items)) / cores + starts(m)


def starts(m: Any) -> float:
    """Return hours that go by while stages start, one after the other."""
    return 9 * m.stage_start_seconds / 3600


def growth(m: Any, a: Any) -> Table:
    """Wall hours by size: one machine, a cluster as it is, a cluster with every stage divided."""
    rows = []
    for items in SIZES:
        texts = items * a.looked_at_share
        rows.append(
            [
                short(items),
                span(today(items, 16, m, a)),
                span(today(items, a.cores, m, a)),
                span(divided(items, a.cores, m, a)),
                size(texts * m.deduplicate_bytes_per_text / 1e9),
            ]
        )
    return [
        "items",
        "16 cores",
        f"{a.cores:,} cores, as it is",
        f"{a.cores:,} cores, all divided",
        "memory of deduplicate",
    ], rows


def storage(m: Any, a: Any) -> Table:
    """Bytes at rest, and while a build runs."""
    texts, records = a.items * a.looked_at_share, a.items * a.record_share
    kinds = [
        ("snapshot", a.items, m.snapshot_bytes_per_item),
        ("slices (the corpus)", records, m.slice_bytes_per_record),
        ("sealed measures", texts, m.measures_bytes_per_text),
        ("sealed fates", a.items, m.fates_bytes_per_item),
        ("sealed lineage", records, m.lineage_bytes_per_record),
        ("work, while it runs", a.items, m.work_bytes_per_item),
    ]
    rows, total = [], 0.0
    for name, number, each in kinds:
        gigabytes = number * each / 1e9
        total += gigabytes if not name.startswith("work") else 0
        rows.append(
            [name, short(number), short(each), size(gigabytes), f"€ {short(gigabytes * a.gigabyte_month_euro)}"]
        )
    rows.append(["**at rest**", "", "", size(total), f"€ {short(total * a.gigabyte_month_euro)}"])
    return ["what", "rows", "bytes a row", "size", "a month"], rows


def moved(m: Any, a: Any) -> Table:
    """Bytes between machines if every stage were divided."""
    texts, records = a.items * a.looked_at_share, a.items * a.record_share
    mean = m.snapshot_bytes_per_item
    steps = [
        ("facts of an author to their items", "person", a.items, 2 * 24),
        ("fate of an original to its reshares", "item", a.items * 0.2, 2 * 24),
        ("band keys to their key ranges", "key range", texts * m.bands, 8 + 8 + 1),
        ("exact keys", "key range", texts, 16 + 8 + 1),
        ("texts of candidate pairs", "item", texts * m.pairs_per_text * a.candidates_per_verified_pair, 2 * mean),
        ("verdicts back", "item", texts, 8 + 8 + 1),
        ("records to their slices", "region and shard", records, m.slice_bytes_per_record),
        ("lineage", "person", records * 1.2, m.lineage_bytes_per_record),
    ]
    rows, total = [], 0.0
    for name, key, number, each in steps:
        gigabytes = number * each / 1e9
        total += gigabytes
        hours = gigabytes / (a.network_gigabyte_per_core_hour * a.cores)
        rows.append([name, key, short(number), short(each), size(gigabytes), span(hours)])
    hours = total / (a.network_gigabyte_per_core_hour * a.cores)
    rows.append(["**all**", "", "", "", size(total), span(hours)])
    return ["what moves", "by", "rows", "bytes a row", "bytes", f"at 25 MB/s on {a.cores:,} cores"], rows


def objections(m: Any, a: Any) -> Table:
    """One day of objections against the standing corpus."""
    people = a.people * a.objections_share_per_day
    mine = a.items / a.people
    texts, records = mine * a.looked_at_share, mine * a.record_share
    judged = texts * (1 + a.touched_neighbours)
    touch = (judged * (m.deduplicate_us_per_text + 0.2 * m.text_us_per_text) + records * m.write_us_per_record) / 1e6
    scan = a.items * (m.decide_upon_us_per_item + m.build_upon_us_per_item) / 3.6e9
    goes = -math.expm1(-people / 27e6 * records)

    def cost(hours: float) -> str:
        return f"{short(hours)} core-hours, € {short(hours * a.core_hour_euro)}"

    rows = [
        ["objections", short(people)],
        ["texts of one person that are looked at; records", f"{short(texts)}; {short(records)}"],
        ["what one objection touches", f"{short(touch)} s of CPU"],
        ["what all of them touch", cost(people * touch / 3600)],
        ["looking through decisions, bands, lineage and texts for what it touches, as today", cost(scan)],
        ["slices with a record that goes (27 regions × 1,000 shards × 1,000 slices)", f"{100 * goes:.0f} %"],
    ]
    return ["", "a day"], rows


def latency(m: Any, a: Any) -> Table:
    """Erasing from models: share of the adaptation that a batch replays, and its GPU-hours (SYSTEM, ERASURE §0)."""
    del m
    whole = a.items * a.record_share * a.tokens_per_record / a.gpu_tokens_per_second / 3600
    rows = []
    for shards in (1_000, 27_000, 1_000_000):
        for days in (1, 30):
            leaving = a.people * a.objections_share_per_day * days
            rate = leaving / shards
            share = sum(-math.expm1(-rate * j / a.slices) for j in range(1, a.slices + 1)) / a.slices
            left = -math.expm1(-rate) / rate
            rows.append(
                [
                    f"{shards:,}",
                    f"{days} day" if days == 1 else f"{days} days",
                    short(rate),
                    f"{100 * share:.1f} %",
                    short(share * whole * 365 / days),
                    f"€ {short(share * whole * 365 / days * a.gpu_hour_euro)}",
                    f"{100 * left:.2g} %",
                ]
            )
    return ["shards K", "every", "λ", "replayed each time", "GPU-hours a year", "cost a year", "gain left before"], rows


TABLES: dict[str, Callable[[Any, Any], Table]] = {
    "build": build,
    "growth": growth,
    "storage": storage,
    "moved": moved,
    "objections": objections,
    "latency": latency,
}


def assumptions(a: Any) -> Table:
    """Return what was assumed, as it stands in the file."""
    return ["assumed", "value"], [
        [
            name.replace("_", " "),
            f"{value:,}" if value >= 1000 else f"{value:g}" if value >= 0.001 else f"{value:f}".rstrip("0"),
        ]
        for name, value in vars(a).items()
    ]


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    head, rows = table
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def tables() -> dict[str, str]:
    """Return every table of the page by its name."""
    m, a = read()
    return {"assumed": markdown(assumptions(a))} | {name: markdown(made(m, a)) for name, made in TABLES.items()}


def picture() -> str:
    """Return wall time against size as SVG: three lines on logarithmic axes."""
    m, a = read()
    lines = [
        ("16 cores", "#6b7280", [today(n, 16, m, a) for n in SIZES]),
        (f"{a.cores:,} cores, as it is", "#b45309", [today(n, a.cores, m, a) for n in SIZES]),
        ("all stages divided", "#15803d", [divided(n, a.cores, m, a) for n in SIZES]),
    ]
    left, top, width, height = 70, 20, 420, 260
    low, high = -2.5, 5.5

    def x(items: float) -> float:
        return left + width * (math.log10(items) - 6) / 6

    def y(hours: float) -> float:
        return top + height * (high - math.log10(hours)) / (high - low)

    marks = [(1 / 60, "1 min"), (1, "1 h"), (24, "1 day"), (24 * 30, "1 month"), (24 * 365, "1 year")]
    out = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 330" role="img"',
        ' font-family="sans-serif" font-size="12">',
        "<title>Wall time of a full build against the number of items</title>",
        '<rect width="680" height="330" fill="#ffffff"/>',
    ]
    for hours, word in marks:
        out.append(f'<line x1="{left}" x2="{left + width}" y1="{y(hours):.1f}" y2="{y(hours):.1f}" stroke="#e5e7eb"/>')
        out.append(f'<text x="{left - 8}" y="{y(hours) + 4:.1f}" text-anchor="end" fill="#374151">{word}</text>')
    below = f'y="{top + height + 20}" text-anchor="middle" fill="#374151"'
    out += [f'<text x="{x(items):.1f}" {below}>{_power(items)}</text>' for items in SIZES]
    for (name, colour, hours), dashes, beside in zip(
        lines, ("", ' stroke-dasharray="7 5"', ""), (-8, 8, 0), strict=True
    ):
        points = " ".join(f"{x(n):.1f},{y(h):.1f}" for n, h in zip(SIZES, hours, strict=True))
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"{dashes}/>')
        where = f'x="{left + width + 8}" y="{y(hours[-1]) + 4 + beside:.1f}"'
        out.append(f'<text {where} fill="{colour}">{name}</text>')
    out.append(
        f'<text x="{left + width / 2}" y="{top + height + 42}" text-anchor="middle" fill="#374151">items</text></svg>'
    )
    return "\n".join(out) + "\n"


def _power(items: float) -> str:
    digits = "".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(one)] for one in str(round(math.log10(items))))
    return f"10{digits}"


def filled(page: str) -> str:
    """Return the page with every table as the script makes it."""
    for name, table in tables().items():
        begin = f"<!-- table {name} -->\n"
        page = re.sub(
            rf"{begin}.*?(?=<!-- end -->)", lambda _, new=f"{begin}{table}\n": new, page, count=1, flags=re.DOTALL
        )
    return page


def main(arguments: Iterable[str]) -> None:
    """Print the tables, or write them."""
    reader = argparse.ArgumentParser()
    reader.add_argument("--write", action="store_true", help="put tables and picture into the page")
    if reader.parse_args(list(arguments)).write:
        PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
        PICTURE.write_text(picture(), "utf-8")
        return
    for name, table in tables().items():
        sys.stdout.write(f"{name}\n{table}\n\n")


if __name__ == "__main__":
    main(sys.argv[1:])

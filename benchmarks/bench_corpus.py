"""What a corpus costs: from nothing, after 1,000 objections, and as it grows. Ratios of CPU in one run.

    python benchmarks/bench_corpus.py                          1M items, then 1,000 people object
    python benchmarks/bench_corpus.py --items 5500000          about 5M records
    python benchmarks/bench_corpus.py --growth 1000000 20000000
    python benchmarks/bench_corpus.py --workers 1 2            how much faster with two

A made-up platform: ten items a person, a tenth exact copies, some near ones, reshares, names of other people, five
languages, identifiers. It is decided by the policy room (``demur-strict``), built, verified and, after the objections,
built again upon itself; then the old one is purged. CPU is that of the whole process tree; memory that of the largest
process. Decisions are counted apart: they are made anew for everybody.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

import demur
from bench_decide import full, ids, lists, texts, times, us
from demur.terms.tables import (
    ACCOUNTS,
    CAMPAIGNS,
    HOLDS,
    ITEMS,
    NOTICES,
    RESIDENCE,
    STANDING,
    SUPPRESSED,
    SUPPRESSED_WORDS,
)

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
DELIVERED = datetime(2026, 1, 10, tzinfo=UTC)
PIECE = 250_000
SOURCE = Path(demur.__file__).parent
LANGUAGES = ("en", "de", "fr", "es", "pl")
JOINS = {
    "en": ("and the", "was not", "of this", "would be"),
    "de": ("und der", "war nicht", "aus dem", "ich habe"),
    "fr": ("et la", "est pas", "dans les", "nous avons"),
    "es": ("y el", "no está", "de los", "hemos sido"),
    "pl": ("i nasza", "nie jest", "oraz żeby", "się przez"),
}
FIRST = "Annabel Bartholomew Clementine Desmond Euphemia Ferdinand Guinevere Humphrey Isadora Jeremiah".split()  # noqa: SIM905


def surname(number: int) -> str:
    """Return a made-up surname, another one for each number."""
    parts = ("bra", "dor", "fel", "gan", "hol", "kem", "lin", "mor", "nas", "pel", "quor", "rid", "sto", "tev", "ulm")
    found = ""
    for _ in range(5):
        number, part = divmod(number, len(parts))
        found += parts[part]
    return found.capitalize()


def name_of(person: int) -> str:
    """Return somebody's name."""
    return f"{FIRST[person % len(FIRST)]} {surname(person // len(FIRST))}"


def write_people(folder: Path, people: int, objectors: int) -> None:
    """Write the people tables; the first ``objectors`` of a fixed shuffle have objected."""
    chance = np.random.default_rng(7)
    number = np.arange(people)
    person, none = ids("p", number), pa.array([[]], pa.list_(pa.string())).take(pa.array(np.zeros(people, np.int64)))
    country = texts(chance, ["DE", "FR", "ES", "PL", "IE"], people)
    told = chance.random(people) > 0.05
    said = np.zeros(people, bool)
    said[chance.permutation(people)[: people // 20 + objectors]] = True
    at = times(np.full(people, int(DELIVERED.timestamp() * 1e6)), ~told)
    standing = {
        "person_id": person,
        "born_on": pa.array(chance.integers(-12000, 12000, people).astype(np.int32)).cast(pa.date32()),
        "age_conflict": pa.array(np.zeros(people, bool)),
        "countries_now": lists(country),
        "countries_at_notice": lists(country),
        "objected": pa.array(said),
        "consent_purposes": none,
        "first_delivered_at": at,
        "last_delivered_at": at,
        "campaign_effective_at": at,
        "campaigns": none,
        "last_active_at": times(np.full(people, int(AS_OF.timestamp() * 1e6) - 86_400_000_000)),
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(full(STANDING, people, standing), folder / "standing.parquet")
    accounts = {
        "account_id": ids("a", number),
        "service": texts(chance, ["network"], people),
        "person_id": person,
        "status": texts(chance, ["active"], people),
        "private": pa.array(np.zeros(people, bool)),
        "handles": none,
        "names": lists(pa.array([name_of(one) for one in range(people)], pa.string())),
    }
    pq.write_table(full(ACCOUNTS, people, accounts), folder / "accounts.parquet")
    homes = {"person_id": person, "country": country}
    pq.write_table(full(RESIDENCE, people, homes), folder / "residence.parquet")
    heard = number[told]
    moments = times(np.full(len(heard), int(DELIVERED.timestamp() * 1e6)))
    notices = {"person_id": ids("p", heard), "campaign_id": texts(chance, ["c"], len(heard))}
    notices |= {"channel": texts(chance, ["email"], len(heard)), "state": texts(chance, ["delivered"], len(heard))}
    notices |= {"valid_at": moments, "recorded_at": moments}
    pq.write_table(full(NOTICES, len(heard), notices), folder / "notices.parquet")
    campaign = {"campaign_id": "c", "status": "running", "purpose": "train-generative-ai", "effective_at": DELIVERED}
    pq.write_table(
        pa.Table.from_pylist([campaign | {"notice_days": 45}], schema=CAMPAIGNS), folder / "campaigns.parquet"
    )
    for schema, name in ((HOLDS, "holds"), (SUPPRESSED, "suppressed"), (SUPPRESSED_WORDS, "suppressed_words")):
        pq.write_table(schema.empty_table(), folder / f"{name}.parquet")


def sentences(chance: np.random.Generator, rows: int, people: int) -> list[str]:
    """Return made-up posts: words of one language, sometimes an identifier or a name."""
    languages = LANGUAGES
    chosen = chance.integers(0, len(languages), rows)
    sizes = chance.integers(4, 22, rows)
    draws = chance.integers(0, 1 << 30, (rows, 24))
    found = []
    for row in range(rows):
        language = languages[chosen[row]]
        words, draw = _SPLIT[language], draws[row].tolist()
        body = [words[one % len(words)] for one in draw[: sizes[row]]]
        text = f"{' '.join(body[:3])} {JOINS[language][draw[22] % 4]} {' '.join(body[3:])}"
        what = draw[23] % 100
        if what < 4:
            text += f" anna.{draw[0]}@example.org"
        elif what < 8:
            text += f" +49 151 {draw[0] % 90_000_000 + 10_000_000}"
        elif what < 10:
            text += f" @user_{draw[0]} https://example.org/u/{draw[1]}"
        elif what < 11:
            text += f" {name_of(draw[0] % people)}"
        found.append(text)
    return found


def vocabulary(language: str) -> list[str]:
    """Return the words of demur's own phrases in a language: enough that unrelated posts share few pairs of words."""
    texts = [part.read_text("utf-8") for part in (SOURCE / "i18n/phrases" / language).glob("*.toml")]
    texts += [part.read_text("utf-8") for part in SOURCE.glob(f"notice/default_texts/{language}/*.txt")]
    found = {
        word for text in texts for word in re.findall(r"[^\W\d_]{3,}", " ".join(re.findall('"(.*?)"', text) or [text]))
    }
    return sorted(found)


_SPLIT = {language: vocabulary(language) for language in LANGUAGES}


def write_items(folder: Path, size: int, people: int) -> None:
    """Write the snapshot, its pieces side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(partial(write_piece, folder, size, people), range(-(-size // PIECE))))


def write_piece(folder: Path, size: int, people: int, piece: int) -> None:
    """Write a piece: a tenth exact copies of what stands before in the piece, 3 % near ones, 5 % reshares."""
    begin = piece * PIECE
    chance = np.random.default_rng(1000 + piece)
    rows = min(PIECE, size - begin)
    number = np.arange(begin, begin + rows)
    said = sentences(chance, rows, people)
    what, other = chance.random(rows), (chance.random(rows) * np.arange(rows)).astype(np.int64)
    for row in np.flatnonzero(what < 0.13).tolist():
        said[row] = said[int(other[row])] if what[row] < 0.10 else said[int(other[row])] + " indeed"
    shared = what > 0.95
    original = ids("i", begin + other)
    item = {
        "item_id": ids("i", number),
        "version_id": ids("v", number),
        "state": texts(chance, ["live"], rows),
        "service": texts(chance, ["network"], rows),
        "kind": pa.array(["post", "reshare"]).take(pa.array(shared.astype(np.int64))),
        "account_id": ids("a", chance.integers(0, people, rows)),
        "created_at": times(chance.integers(us(2018), us(2025), rows)),
        "audience": texts(chance, ["public", "followers"], rows, [97, 3]),
        "original_id": pc.if_else(pa.array(shared), original, pa.scalar(None, pa.string())),
        "text": pa.array(said, pa.string()),
        "source": texts(chance, ["bench"], rows),
        "imported_at": times(np.full(rows, us(2025))),
    }
    pq.write_table(full(ITEMS, rows, item), folder / f"items-{piece:04d}.parquet", compression="zstd")


class Peak(threading.Thread):
    """Watches the largest process of this tree (resident set, MiB)."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.over = 0, threading.Event()

    def run(self) -> None:
        page = os.sysconf("SC_PAGE_SIZE")
        while not self.over.wait(0.05):
            for child in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
                for pid in _text(child).split():
                    size = _text(Path(f"/proc/{pid}/statm")).split()
                    self.most = max(self.most, int(size[1]) * page >> 20 if len(size) > 1 else 0)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def cpu() -> float:
    """Return CPU seconds of this process and its finished children."""
    mine, theirs = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime


def decide(folder: Path, standing: Path, out: Path) -> float:
    """Decide everything in a child process; return its CPU seconds."""
    begun = cpu()
    call = {"items": [str(part) for part in sorted((folder / "items").glob("*.parquet"))], "standing": str(standing)}
    code = (
        "import json,sys;from pathlib import Path;from demur.policy.columns import decide_table;"
        "decide_table(Path(sys.argv[1]), **json.loads(sys.argv[2]))"
    )
    arguments = json.dumps(call | {"policy": "demur-strict", "as_of": AS_OF.isoformat()})
    subprocess.run([sys.executable, "-c", code, str(out), arguments], check=True)
    return cpu() - begun


def measured(
    folder: Path, standing: Path, decisions: Path, when: datetime, replaces: Path | None, workers: int = 1
) -> dict[str, object]:
    """Build a corpus; return CPU by stage, peak memory and the manifest."""
    from demur.corpus import CorpusInputs, build
    from demur.policy import read
    from demur.store import KeyRing
    from demur.terms.manifests import CorpusRecipe

    stages: dict[str, float] = {}
    last = ["start", cpu()]
    peak = Peak()
    peak.start()

    def progress(stage: str, _done: int, _total: int | None) -> None:
        now = cpu()
        took = now - float(last[1])
        stages[str(last[0])] = stages.get(str(last[0]), 0.0) + took
        if took > 5:
            print(f"  {last[0]}: {took:.1f} CPU-s, {peak.most} MiB so far", file=sys.stderr, flush=True)
        last[:] = [stage.removeprefix("corpus: "), now]

    begun, wall = cpu(), time.monotonic()
    recipe = CorpusRecipe(regions={one: one for one in LANGUAGES}, shards=16, slices=4)
    policy = read("demur-strict")
    inputs = CorpusInputs(
        items=folder / "items",
        decisions=decisions,
        standing=standing,
        policy=policy,
        recipe=recipe,
        as_of=AS_OF,
        known_at=AS_OF,
        narrowed_at=when,
        source_digest="bench",
        purpose=policy.purpose,
    )
    manifest = build(inputs, out=folder / "corpora", work=folder / "work", keys=KeyRing(folder / "keys"),
                     progress=progress, replaces=replaces, workers=workers)  # fmt: skip
    progress("end", 0, None)
    peak.over.set()
    return {"cpu": cpu() - begun, "wall": time.monotonic() - wall, "peak_mib": peak.most, "manifest": manifest,
            "stages": {name: round(took, 1) for name, took in stages.items() if took > 0.05}}  # fmt: skip


def shown(what: str, found: dict[str, object], items: int) -> None:
    """Print one measurement."""
    per = float(found["cpu"]) / items * 1e6  # type: ignore[arg-type]
    took = f"{found['cpu']:8.1f} CPU-s  {per:6.1f} µs an item  {found['wall']:7.1f} s"
    print(f"{what:<28} {took}  {found['peak_mib']:5d} MiB  {found['stages']}", flush=True)


def prepared(folder: Path, items: int) -> float:
    """Make the platform and its decisions; return the CPU of deciding."""
    people = max(2000, items // 10)
    write_items(folder / "items", items, people)
    write_people(folder / "standing", people, 0)
    return decide(folder, folder / "standing", folder / "decisions")


def objections(folder: Path, items: int, leaving: int, *, clean: bool) -> None:
    """Measure a build from nothing, and one after some people objected, with the purge of the first."""
    from demur.corpus import purge

    decided = prepared(folder, items)
    first = measured(folder, folder / "standing", folder / "decisions", AS_OF, None)
    shown(f"from nothing, {items:,}", first, items)
    before = folder / "corpora" / first["manifest"].corpus_id  # type: ignore[attr-defined]
    records = first["manifest"].counts["records"]["all"]  # type: ignore[attr-defined]
    write_people(folder / "later", max(2000, items // 10), leaving)
    again = decide(folder, folder / "later", folder / "decided-again")
    when = AS_OF + timedelta(days=1)
    second = measured(folder, folder / "later", folder / "decided-again", when, before)
    begun = cpu()
    purge(before, work=folder / "work")
    purged = cpu() - begun
    shown(f"after {leaving:,} objections", second, items)
    share = (float(second["cpu"]) + purged) / float(first["cpu"])  # type: ignore[arg-type]
    whole = (float(second["cpu"]) + purged + again) / (float(first["cpu"]) + decided)  # type: ignore[arg-type]
    found = {
        "items": items, "records": records, "objections": leaving, "cpu_full": first["cpu"], "cpu_after": second["cpu"],
        "cpu_purge": purged, "share_of_full": share, "cpu_decide": decided, "share_with_deciding": whole,
        "peak_mib": max(first["peak_mib"], second["peak_mib"]),  # type: ignore[type-var]
    }  # fmt: skip
    if clean:
        shutil.rmtree(folder / "clean", ignore_errors=True)
        other = folder / "clean"
        other.mkdir()
        (other / "items").symlink_to(folder / "items")
        shutil.copytree(folder / "keys", other / "keys")
        third = measured(other, folder / "later", folder / "decided-again", when, None)
        found["equals_a_clean_build"] = third["manifest"].digest == second["manifest"].digest  # type: ignore[attr-defined]
    print(json.dumps(found, indent=1))


def spread(folder: Path, items: int, workers: list[int]) -> None:
    """Measure how long the same build takes with more and more child processes."""
    prepared(folder, items)
    walls, digests = [], set()
    for count in workers:
        os.environ["DEMUR_WORKERS"] = str(count)  # of threads inside a stage
        found = measured(folder, folder / "standing", folder / "decisions", AS_OF, None, count)
        shown(f"{count} workers", found, items)
        walls.append(float(found["wall"]))  # type: ignore[arg-type]
        digests.add(found["manifest"].digest)  # type: ignore[attr-defined]
        shutil.rmtree(folder / "corpora")
    assert len(digests) == 1
    print(f"wall of {workers[-1]} workers against {workers[0]}: {walls[-1] / walls[0]:.2f}; equal digests")


def main() -> None:
    """Measure what was asked for."""
    reader = argparse.ArgumentParser()
    reader.add_argument("--items", type=int, default=1_000_000)
    reader.add_argument("--objections", type=int, default=1000)
    reader.add_argument("--clean", action="store_true", help="also build the second corpus from nothing and compare")
    reader.add_argument("--growth", type=int, nargs="*", default=[])
    reader.add_argument("--workers", type=int, nargs="*", default=[], help="compare builds with so many processes")
    reader.add_argument("--folder", type=Path, default=None, help="where the tables go; default a temporary folder")
    given = reader.parse_args()
    with tempfile.TemporaryDirectory(dir=given.folder) as base:
        if given.workers:
            spread(Path(base), given.items, given.workers)
            return
        if not given.growth:
            objections(Path(base), given.items, given.objections, clean=given.clean)
            return
        per = {}
        for items in given.growth:
            folder = Path(base) / str(items)
            prepared(folder, items)
            found = measured(folder, folder / "standing", folder / "decisions", AS_OF, None)
            shown(f"from nothing, {items:,}", found, items)
            per[items] = float(found["cpu"]) / items  # type: ignore[arg-type]
            shutil.rmtree(folder)
        small, large = min(per), max(per)
        print(f"CPU an item, {large:,} against {small:,}: {per[large] / per[small]:.3f}")


if __name__ == "__main__":
    main()

"""A made-up corpus for the training room: four small languages of invented words, people in shards and slices."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from demur.store.contents import content_digest
from demur.store.files import digest_file, digest_json, write_json, write_table
from demur.store.keys import KeyRing
from demur.terms.manifests import CorpusManifest, CorpusRecipe, SliceDigest
from demur.terms.tables import RECORDS

LANGUAGES = {"xa": "north", "xb": "south"}
SYLLABLES = {"xa": "ka to mi re lu sen", "xb": "gor vu lek ash drim po", "xc": "wi na ye ol"}


@dataclass(frozen=True)
class Record:
    record_id: str
    person: str
    region: str
    shard: int
    slice: int
    text: str
    language: str


def sentence(chance: random.Random, language: str) -> str:
    parts = SYLLABLES[language].split()
    words = ["".join(chance.choices(parts, k=chance.randint(1, 3))) for _ in range(chance.randint(4, 12))]
    return " ".join(words).capitalize() + "."


def texts(seed: int, count: int) -> Iterator[tuple[str, str]]:
    chance = random.Random(seed)
    for _ in range(count):
        language = chance.choice(sorted(SYLLABLES))
        yield language, sentence(chance, language)


def records(people: int, shards: int, slices: int, *, seed: int = 1, each: int = 3) -> list[Record]:
    found = []
    for number in range(people):
        chance = random.Random(f"{seed}-{number}")
        person = f"p{number}"
        language = "xa" if number % 2 else "xb"
        for item in range(each):
            digest = hashlib.sha256(f"{seed}/{person}/{item}".encode()).hexdigest()
            place = (LANGUAGES[language], chance.randrange(shards) if item == 0 else -1, number % slices)
            if item == 0:
                home = place
            found.append(Record(digest[:32], person, *home, sentence(chance, language), language))
    return found


def write_corpus(
    root: Path,
    rows: list[Record],
    shards: int,
    slices: int,
    *,
    keep: Callable[[Record], bool] = lambda _row: True,
) -> Path:
    recipe = CorpusRecipe(regions=dict(LANGUAGES), other_region="other", shards=shards, slices=slices)
    made: list[SliceDigest] = []
    parts: dict[tuple[str, int, int], list[Record]] = {}
    for row in rows:
        if keep(row):
            parts.setdefault((row.region, row.shard, row.slice), []).append(row)
    digest_parts = []
    files = {}
    for place in sorted(parts):
        ordered = sorted(parts[place], key=lambda row: row.record_id)
        table = pa.table(
            {
                "record_id": [row.record_id for row in ordered],
                "text": [row.text for row in ordered],
                "language": [row.language for row in ordered],
                "other_language": pa.nulls(len(ordered), pa.string()),
                "dialect": pa.nulls(len(ordered), pa.string()),
                "kind": ["post"] * len(ordered),
            },
            schema=RECORDS,
        )
        digest_parts.append([*place, len(ordered), content_digest(table)])
        files[place] = (table, digest_parts[-1][-1])
    digest = digest_json({"recipe": recipe.as_json(), "slices": sorted(digest_parts)})
    folder = root / digest[:16]
    for (region, shard, number), (table, content) in files.items():
        path = f"data/{region}/shard-{shard:03d}/slice-{number}.parquet"
        write_table(folder / path, table)
        made.append(SliceDigest(region, shard, number, path, table.num_rows, content, digest_file(folder / path)))
    manifest = CorpusManifest(digest[:16], digest, {"recipe": recipe.as_json()}, tuple(made), {}, {})
    write_json(folder / "manifest.json", asdict(manifest))
    return folder


def keys(root: Path) -> KeyRing:
    return KeyRing(root / "keys", seed=b"made-up world")

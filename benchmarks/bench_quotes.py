"""Quotations without marks: how many are found, how many real posts go by this rule alone, what it costs.

    python benchmarks/bench_quotes.py

Posts out of ../shared/data, set by set. *Found*: posts of one half are set into posts of the other, whole, in part, or
with one word in ten changed, and the first half is protected. *Real*: a tenth of the authors is protected, drawn ten
times; counted is who goes because of a passage and would have stayed by the rules for whole copies. CPU of one core.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from demur.corpus.measures import LOOKED_AT
from demur.corpus.passages import quoting
from demur.corpus.redact import redact
from demur.corpus.similarity import WINDOW, jaccard, measure, words
from demur.corpus.text import own_words

SHARED = Path(__file__).parents[2] / "shared/data"
SETS = ("decide_madrid_2019", "ltec_latvian_food_tweets", "ro_fb_offense", "told_br", "germeval2018", "dkhate",
        "polis_austria_climate", "se_meta_french", "irc_ubuntu", "oasst1_en_validation", "tatoeba_swedish")  # fmt: skip
LEAST = 8
SHARE, DRAWS = 10, 10


def read(name: str) -> list[tuple[str, str]]:
    """Return (author, text as it is compared) of a set; who is not named is somebody else each time."""
    sys.path.insert(0, str(SHARED))
    import read_dev

    rows = [(row["author"], row["text"]) for row in read_dev.SETS["dev"][name](str(SHARED / name)) if row["text"]]
    raw = pa.array([text for _, text in rows], pa.string())
    plain = redact(own_words(raw, pa.array(np.zeros(len(raw), bool)))).texts.to_pylist()
    return [
        (author or f"nobody {at}", text or "") for at, ((author, _), text) in enumerate(zip(rows, plain, strict=True))
    ]


def going(texts: list[str], protected: Any, said: Any) -> Any:
    """Return who goes by a passage."""
    found = measure(texts)
    ends = np.concatenate([[0], np.cumsum(np.maximum(found.words - WINDOW + 1, 0))]).astype(np.int32)
    short = protected & (found.words < LEAST)
    columns = {
        "protected": pa.array(protected),
        "said_us": pa.array(said, pa.int64()),
        "exclusion": pa.array(["too_short"]).take(pa.array(np.zeros(len(texts), np.int64), mask=~short)),
        "windows": pa.ListArray.from_arrays(pa.array(ends), pa.array(found.windows)),
    }
    table = pa.table([columns.get(one.name, pa.nulls(len(texts), one.type)) for one in LOOKED_AT], schema=LOOKED_AT)
    with tempfile.TemporaryDirectory() as folder:
        return quoting(Path(folder) / "said", lambda _: table, 1, LEAST)[0]


def quoted(post: str, way: str, chance: random.Random) -> str:
    """Return what of a post another one says."""
    some = post.split()
    if way == "half":
        begin = chance.randint(0, len(some) - len(some) // 2)
        return " ".join(some[begin : begin + len(some) // 2])
    if way == "changed":
        some = [f"x{word}" if at % 10 == chance.randrange(10) else word for at, word in enumerate(some)]
    return " ".join(some)


def found(rows: list[tuple[str, str]]) -> Iterator[tuple[str, int, int]]:
    """Yield (way, quotations, how many are found)."""
    chance = random.Random(1)
    texts = sorted({text for _, text in rows if len(words(text)) >= LEAST})
    chance.shuffle(texts)
    half = min(len(texts) // 2, 2_000)
    posts, others = texts[:half], texts[half : 2 * half]
    for way, least in (("whole", LEAST), ("half", 24), ("changed", 24)):
        chosen = [(post, other) for post, other in zip(posts, others, strict=True) if len(words(post)) >= least]
        around = [other.split() for _, other in chosen]
        said = [" ".join([*some[: len(some) // 2], quoted(post, way, chance), *some[len(some) // 2 :]])
                for (post, _), some in zip(chosen, around, strict=True)]  # fmt: skip
        every = [*(post for post, _ in chosen), *said]
        first = np.arange(len(every)) < len(chosen)
        yield way, len(said), int(going(every, first, np.where(first, 0, 1)).sum())


def real(rows: list[tuple[str, str]]) -> tuple[int, float]:
    """Return how many posts there are, and how many of 10,000 go by a passage alone where a tenth is protected."""
    authors, texts = [author for author, _ in rows], [text for _, text in rows]
    gone = asked = 0
    for draw in range(DRAWS):
        chance = random.Random(draw)
        drawn = {author for author in sorted(set(authors)) if chance.randrange(SHARE) == 0}
        protected = np.array([author in drawn for author in authors])
        at = np.flatnonzero(going(texts, protected, np.arange(len(texts))))
        guards = [text for text, guarded in zip(texts, protected, strict=True) if guarded and len(words(text)) >= LEAST]
        shared = {one: set(words(one)) for one in guards}
        asked += int((~protected).sum())
        for row in at.tolist():
            mine = set(words(texts[row]))
            near = (one for one, theirs in shared.items() if len(mine & theirs) > 0.6 * len(mine | theirs))
            gone += not any(jaccard(texts[row], one) >= 0.8 for one in near)
    return len(rows), gone / asked * 10_000


def main() -> None:
    """Print a row a set."""
    totals: dict[str, list[int]] = {}
    took = posts = 0.0
    for name in SETS:
        rows = read(name)
        shown = []
        for way, many, met in found(rows):
            totals.setdefault(way, [0, 0])
            totals[way] = [totals[way][0] + many, totals[way][1] + met]
            shown.append(f"{way} {met}/{many}")
        size, rate = real(rows)
        begun = time.process_time()
        going([text for _, text in rows], np.arange(size) % 3 == 0, np.arange(size))
        took, posts = took + time.process_time() - begun, posts + size
        print(f"{name:28} {size:7,} posts  found: {', '.join(shown)}  of 10,000 real posts go: {rate:.1f}", flush=True)
    print({way: f"{met}/{many} = {met / max(1, many):.3f}" for way, (many, met) in totals.items()})
    print(f"{took / posts * 1e6:.1f} µs a post, cutting into words and signatures with it")


if __name__ == "__main__":
    main()

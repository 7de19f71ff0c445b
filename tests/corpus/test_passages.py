"""Passages: who says what somebody protected said first goes, whoever else is there; whoever said it before stays."""

from __future__ import annotations

import os
import random
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from corpus_worlds import AS_OF, World, fates, made, ring, sentence
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from demur.corpus import passages
from demur.corpus.measures import LOOKED_AT
from demur.corpus.passages import LEAST, lengths, quoting
from demur.corpus.similarity import WINDOW, measure, words

LAW = settings(
    max_examples=2_000 if os.environ.get("DEMUR_NIGHTLY") else 100,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
EARLY, LATE = datetime(2024, 3, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC)
POST = "we cooked potatoes with butter and garlic then watched the stars shine over quiet hills until morning came"
SHORT = "nobody here ever saw a greener goose than this one"


def rows_of(texts: list[tuple[str, bool, int]]) -> Any:
    """Return (text, protected, when it was said) as measured; texts too short to be anybody's are excluded."""
    found = measure([text for text, _, _ in texts])
    ends = np.cumsum(np.maximum(found.words - WINDOW + 1, 0))
    windows = pa.ListArray.from_arrays(pa.array(np.concatenate([[0], ends]), pa.int32()), pa.array(found.windows))
    columns = {
        "protected": pa.array([protected for _, protected, _ in texts], pa.bool_()),
        "said_us": pa.array([said for _, _, said in texts], pa.int64()),
        "exclusion": pa.nulls(len(texts), pa.string()),
        "windows": windows,
    }
    nulls = {field.name: pa.nulls(len(texts), field.type) for field in LOOKED_AT}
    return pa.table(list((nulls | columns).values()), schema=LOOKED_AT)


def by_definition(texts: list[tuple[str, bool, int]], least: int) -> list[bool]:
    allowed = lengths(least)
    cut = [words(text) for text, _, _ in texts]

    def says(mine: tuple[str, ...], passage: tuple[str, ...]) -> bool:
        return any(mine[at : at + len(passage)] == passage for at in range(len(mine) - len(passage) + 1))

    guarded = set()
    for mine, (_, protected, _) in zip(cut, texts, strict=True):
        if protected and len(mine) >= allowed[0]:
            size = min(len(mine), allowed[-1])
            guarded |= {mine[at : at + size] for at in range(len(mine) - size + 1)}
    going = [False] * len(texts)
    for passage in guarded:
        holders = [row for row, mine in enumerate(cut) if says(mine, passage)]
        owners = [
            row
            for row in holders
            if texts[row][1] and len(cut[row]) >= allowed[0] and _guards(cut[row], passage, allowed)
        ]
        others = [row for row in holders if not texts[row][1]]
        if others and min(texts[row][2] for row in owners) <= min(texts[row][2] for row in others):
            for row in others:
                going[row] = True
    return going


def _guards(mine: tuple[str, ...], passage: tuple[str, ...], allowed: range) -> bool:
    return len(passage) == allowed[-1] or len(passage) == len(mine)


texts = st.lists(
    st.tuples(st.lists(st.sampled_from("ab"), max_size=26).map(" ".join), st.booleans(), st.integers(0, 4)), max_size=12
)


@LAW
@given(some=texts, least=st.integers(1, 19), buckets=st.integers(1, 3), piece=st.sampled_from([1, 7, 10**6]))
def test_who_goes_is_as_the_rule_says(some: list[Any], least: int, buckets: int, piece: int) -> None:
    split = [some[bucket::buckets] for bucket in range(buckets)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(passages, "PIECE", piece)
        found = quoting(Path(folder) / "said", lambda bucket: rows_of(split[bucket]), buckets, least)
    wanted = by_definition([one for part in split for one in part], least)
    assert np.concatenate(found).tolist() == [
        goes and not protected for goes, (_, protected, _) in zip(wanted, (o for p in split for o in p), strict=True)
    ]


def test_a_window_of_one_text_never_reaches_into_the_next() -> None:
    found = measure(["one two three four", "five six seven eight nine ten", None, POST])
    assert found.words.tolist() == [4, 6, 0, len(POST.split())]
    assert len(found.windows) == len(POST.split()) - WINDOW + 1
    assert len(measure(["a b"]).windows) == len(measure([]).windows) == 0


def became(world: World, folder: Path, **options: Any) -> dict[str, str | None]:
    _, corpus = made(world, folder, **options)
    return {item: one["exclusion"] for item, one in fates(corpus, ring(folder)).items() if one["allowed"]}


def quoters(**objecting: Any) -> World:
    world = World()
    for name in ("ann", "ben", "cat"):
        world.person(name)
    world.person("obi", **objecting)
    part = " ".join(POST.split()[3 : 3 + LEAST])
    world.item("post", "obi", POST, created_at=EARLY)
    world.item("short", "obi", SHORT, created_at=EARLY)
    world.item("whole", "ann", f"This! {POST.upper()}! I could not agree more.", created_at=LATE)
    world.item("part", "ben", f"he wrote: “{part}”, and that was all of it", created_at=LATE)
    world.item("less", "cat", f"she wrote {' '.join(part.split()[:-1])} or so I heard", created_at=LATE)
    world.item("little", "ben", f"Well, {SHORT}! They say so.", created_at=LATE)
    world.item("own", "ann", "what a day it was, I have never seen so many geese on the lake")
    return world


def test_a_post_that_says_a_part_of_an_objectors_post_goes(tmp_path: Path) -> None:
    found = became(quoters(objected=True), tmp_path)
    assert {name for name, exclusion in found.items() if exclusion} == {"whole", "part", "little"}
    assert set(found.values()) == {None, "protected_copy"}


def test_while_nobody_objects_all_of_them_stay(tmp_path: Path) -> None:
    assert set(became(quoters(), tmp_path).values()) == {None}


def test_who_said_it_before_the_objector_stays_and_so_do_all_who_repeat_it(tmp_path: Path) -> None:
    world = quoters(objected=True)
    world.item("origin", "cat", f"News of today. {POST}. More tomorrow.", created_at=EARLY - timedelta(days=1))
    found = became(world, tmp_path)
    assert {name for name, exclusion in found.items() if exclusion} == {"little"}


@pytest.mark.parametrize("changed", [LATE, None])
def test_a_text_edited_since_or_nobody_knows_when_said_it_later(tmp_path: Path, changed: datetime | None) -> None:
    world = quoters(objected=True)
    early = EARLY - timedelta(days=1)
    world.item("origin", "cat", f"News of today. {POST}. More.", created_at=early, version_at=changed)
    assert became(world, tmp_path)["origin"] == "protected_copy"


def test_an_objectors_post_of_unknown_age_was_there_first(tmp_path: Path) -> None:
    world = quoters(objected=True)
    world.items["post"]["created_at"] = None
    world.item("origin", "cat", f"News of today. {POST}. More tomorrow.", created_at=EARLY - timedelta(days=900))
    assert became(world, tmp_path)["origin"] == "protected_copy"


def test_an_objector_who_quotes_takes_nothing_away_from_who_is_quoted(tmp_path: Path) -> None:
    world = World()
    world.person("ann")
    world.person("obi", objected=True)
    world.item("hers", "ann", POST, created_at=EARLY)
    world.item("answer", "obi", f"You say {POST} and I do not believe a word of it", created_at=LATE)
    assert became(world, tmp_path)["hers"] is None


@pytest.mark.parametrize("facts", [{"objected": True}, {"born_on": None}])
def test_when_the_origin_leaves_those_who_repeat_it_are_asked_again(tmp_path: Path, facts: dict[str, Any]) -> None:
    """The origin was what let them stay; a build upon the one before finds them, and the objector, by their passages.

    Somebody of unknown age guards nothing: who said it next did so first.
    """
    chance = random.Random(5)
    world = World()
    for name in ("ann", "ben", "dan"):
        world.person(name)
    world.person("obi", objected=True)

    def said(words_around: int) -> str:
        part = " ".join(POST.split()[:LEAST])
        return f"{sentence(chance, words_around)} {part} {sentence(chance, words_around, german=True)}"

    world.item("origin", "dan", said(30), created_at=EARLY - timedelta(days=1))
    world.item("post", "obi", said(31), created_at=EARLY)
    world.item("repeats", "ann", said(32), created_at=LATE)
    for number in range(40):
        world.item(f"other:{number}", chance.choice(["ann", "ben"]), sentence(chance, 14, german=True))
    manifest, corpus = made(world, tmp_path)
    assert fates(corpus, ring(tmp_path))["repeats"]["exclusion"] is None
    world.people["dan"] |= facts
    later = {"narrowed_at": AS_OF + timedelta(days=1)}
    found = became(world, tmp_path, replaces=corpus, **later)
    assert found["repeats"] == "protected_copy"
    assert found == became(world, tmp_path / "clean", **later)
    assert manifest.verdict["agrees"]

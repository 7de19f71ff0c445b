"""Near copies of protected texts are looked for by the verifier itself: what the stage lets through is found."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from corpus_worlds import AS_OF, RECIPE, World, fates, here, made, network, records, ring, sentence
from hypothesis import given
from hypothesis import strategies as st

from demur.corpus import verify_passages
from demur.corpus.measures import VERDICTS
from demur.corpus.similarity import BANDS, ROWS, jaccard, measure
from demur.corpus.spill import read_bucket, write_bucket
from demur.corpus.verify_near import CERTAIN, NEVER, Near, Words
from demur.corpus.verify_spaces import Spaced
from demur.errors import BrokenError
from demur.store import read_commit
from demur.terms.policy import ThirdPartyScope

LATER = AS_OF.replace(month=7)


def _looked(texts: list[str | None], protected: list[str]) -> Near:
    near, rows = Near(protected, 0.8, 8), pa.array(texts, pa.string())
    near.look(rows, Spaced.of(rows))
    return near


def _changed(text: str, *places: int) -> str:
    words = text.split()
    for place in places:
        words[place] = f"another{place}"
    return " ".join(words)


def test_a_near_copy_is_found_wherever_the_change_is() -> None:
    text = sentence(random.Random(3), 24)
    copies: list[str | None] = [_changed(text, place) for place in range(24)]
    copies += [text, text.upper(), f"{text} indeed", f"{text}!!", text.replace(" ", "  ")]
    others: list[str | None] = [None, "", sentence(random.Random(4), 24), _changed(text, *range(0, 24, 4))]
    near = _looked(copies + others, [text])
    assert near.sought == 1
    assert near.found + near.unmet == len(copies) - 1, "all but the one whose spaces are others"
    assert near.found >= len(copies) - 3
    assert (_looked(others, [text]).found, _looked(others, [text]).unmet) == (0, 0)


def test_what_is_not_what_was_compared_is_left_out() -> None:
    text = sentence(random.Random(3), 24)
    assert _looked([f"{text} <NAME>", f"{text} <HANDLE>"], [text]).found == 0
    assert _looked([f"{text} <EMAIL>"], [text]).found == 1
    assert _looked([text], []).sought == 0


def test_texts_too_short_to_belong_to_somebody_are_left_out() -> None:
    short = "beautiful potatoes travelling wonderfully everywhere tomorrow afternoon"
    assert len(short.split()) == 7
    assert _looked([short], [short]).found == 0
    assert _looked([f"{short} again"], [f"{short} again"]).found == 1


def test_a_pair_that_shares_no_band_is_told_and_no_violation() -> None:
    """The recall of the bands is known; a corpus is not refused for it."""
    chance = random.Random(1)
    for _ in range(4_000):
        text = sentence(chance, 14)
        other = _changed(text, 5)
        bands = measure(pa.array([text, other])).bands
        if jaccard(text, other) >= 0.8 and not (bands[0] == bands[1]).any():
            break
    else:
        pytest.fail("no such pair")
    near = _looked([other], [text])
    assert (near.found, near.unmet) == (0, 1)


def test_what_is_as_good_as_impossible_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (1 - CERTAIN**ROWS) ** BANDS <= NEVER * 1.01
    monkeypatch.setattr("demur.corpus.verify_near._meets", lambda *_: False)
    text = sentence(random.Random(3), 24)
    assert _looked([text], [text]).found == 1
    assert _looked([_changed(text, 12)], [text]).unmet == 1


_TEXT = st.lists(st.sampled_from("a B c D e f Straße <EMAIL> g, h. i-j".split()), max_size=24).map(" ".join)  # noqa: SIM905


@given(_TEXT, _TEXT)
def test_the_second_similarity_is_the_first(one: str, other: str) -> None:
    assert Words.of(one).like(Words.of(other)) == jaccard(one, other)


# Planted in a build ---------------------------------------------------------------------------------------------------


def _told(
    folder: Path, scope: ThirdPartyScope = ThirdPartyScope.COPIES_AND_MENTIONS, **kept: Any
) -> tuple[World, Path]:
    """Build a corpus in which somebody wrote nearly what another wrote, who then objects."""
    world = network(31, people=12, items=60)
    world.scope = scope
    text = sentence(random.Random(5), 30)
    world.person("obi")
    world.person("ann")
    world.item("near", "ann", _changed(text, 14))
    world.item("first", "obi", text)
    _, corpus = made(world, folder, **kept)
    world.people["obi"]["objected"] = True
    return world, corpus


def _stay(folder: Path) -> None:
    """Near copies of protected texts become records."""
    for file in sorted((folder / "verdicts").iterdir()):
        bucket = int(file.stem)
        rows = read_bucket(folder / "verdicts", VERDICTS, bucket)
        guarded = pc.fill_null(pc.equal(rows["exclusion"], "protected_copy"), fill_value=False)
        kept = pc.if_else(guarded, pa.scalar(None, pa.string()), rows["exclusion"])
        file.unlink()
        write_bucket(folder / "verdicts", bucket, rows.set_column(1, VERDICTS.field("exclusion"), kept))


def _runner(spoil: Callable[[Path], None], upon: bool) -> Callable[..., dict[str, Any]]:
    def runner(target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        facts = here(target, folder, arguments)
        if folder.name == "deduplicate":
            spoil(folder)
        if folder.name == "verify":
            assert (facts["verdict"]["upon"] is not None) == upon
        return read_commit(folder)

    return runner


@pytest.mark.parametrize("upon", [True, False])
def test_a_near_copy_that_stays_is_found(tmp_path: Path, *, upon: bool) -> None:
    world, corpus = _told(tmp_path)
    with pytest.raises(BrokenError, match="verifier") as caught:
        made(
            world,
            tmp_path,
            replaces=corpus if upon else None,
            narrowed_at=LATER,
            runner=_runner(_stay, upon),
        )
    assert "record_near_protected_text" in [fault.split(":")[0] for fault in caught.value.faults]


def _repeated(folder: Path, *, origin: bool) -> tuple[World, Path]:
    """Build a corpus in which somebody says what another said, who then objects; or both repeat an origin."""
    chance = random.Random(8)
    world, passage = network(31, people=12, items=60), sentence(chance, 14)
    around = [sentence(chance, 9, german=True) for _ in range(4)]
    for number, name in enumerate(("dan", "obi", "ann") if origin else ("obi", "ann")):
        world.person(name)
        text = f"{around[number]} {passage} {around[number + 1]}"
        world.item(f"said:{name}", name, text, created_at=LATER - timedelta(days=400 - number))
    _, corpus = made(world, folder)
    world.people["obi"]["objected"] = True
    return world, corpus


@pytest.mark.parametrize("upon", [True, False])
def test_a_passage_that_stays_is_found(tmp_path: Path, *, upon: bool) -> None:
    world, corpus = _repeated(tmp_path, origin=False)
    options = {"replaces": corpus if upon else None, "narrowed_at": LATER}
    with pytest.raises(BrokenError, match="verifier") as caught:
        made(world, tmp_path, runner=_runner(_stay, upon), **options)
    assert "record_says_protected_passage" in [fault.split(":")[0] for fault in caught.value.faults]


@pytest.mark.parametrize("upon", [True, False])
def test_a_passage_that_somebody_allowed_said_first_may_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, upon: bool
) -> None:
    asked = []
    ask = verify_passages.first_said_by_protected
    monkeypatch.setattr(
        sys.modules["demur.corpus.verify"],
        "first_said_by_protected",
        lambda said, *a, **k: asked.append(said) or ask(said, *a, **k),
    )
    world, corpus = _repeated(tmp_path, origin=True)
    manifest, new = made(world, tmp_path, replaces=corpus if upon else None, narrowed_at=LATER)
    assert manifest.verdict["agrees"]
    assert asked[-1], "records say it, and so it was asked who was first"
    assert fates(new, ring(tmp_path))["said:ann"]["record_id"]


def test_a_lawful_corpus_holds_none(tmp_path: Path) -> None:
    world, corpus = _told(tmp_path)
    assert any("another14" in row["text"] for row in records(corpus).values())
    manifest, lawful = made(world, tmp_path, replaces=corpus, narrowed_at=LATER)
    assert manifest.verdict["agrees"]
    assert manifest.verdict["upon"]
    assert manifest.verdict["sought"] > 0
    assert not any("another14" in row["text"] for row in records(lawful).values())


def test_what_the_policy_leaves_is_no_violation(tmp_path: Path) -> None:
    world, corpus = _told(tmp_path, ThirdPartyScope.OWN_CONTENT)
    manifest, new = made(world, tmp_path, replaces=corpus, narrowed_at=LATER)
    assert manifest.verdict["agrees"]
    assert any("another14" in row["text"] for row in records(new).values())


def test_where_records_hold_other_words_nothing_is_looked_for(tmp_path: Path) -> None:
    recipe = replace(RECIPE, redaction_mode="drop")
    world, corpus = _told(tmp_path, recipe=recipe)
    manifest, _ = made(world, tmp_path, replaces=corpus, narrowed_at=LATER, recipe=recipe)
    assert manifest.verdict["agrees"]
    assert manifest.verdict["sought"] == 0

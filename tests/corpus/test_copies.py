"""Copies: who leads, who is protected, and that redaction hides nobody's copy. All in one small world, built once."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from corpus_worlds import World, fates, lineage, made, records, ring

from demur.corpus.measures import Before
from demur.terms.policy import ThirdPartyScope

LONG = "we walked along the river until the stars came out over the quiet hills of {} and nobody said a word"
POEM = "seven grey geese went over the frozen harbour while the bells rang out for the first of winter"
NAMED = "everybody in the village remembers the long speech that {} gave at the market about the new bridge"
EARLY = datetime(2020, 1, 1, tzinfo=UTC)


def _world(scope: ThirdPartyScope) -> World:
    world = World(scope=scope)
    for name in ("ann", "ben", "cat"):
        world.person(name)
    world.person("obi", objected=True, display="Obadiah Stane")
    world.person("kid", born_on=date(2015, 1, 1))
    world.item("led", "obi", LONG.format("home"), created_at=EARLY)
    world.item("copy", "ann", LONG.format("home"))
    world.item("near", "ben", LONG.format("elsewhere"))
    world.item("child", "kid", POEM)
    world.item("older", "ann", POEM, created_at=EARLY)
    world.item("quoted", "ben", "quite another thing and my own words about dogs")
    world.item(
        "reshared", "cat", "quite another thing and my own words about dogs", kind="reshare", original_id="quoted"
    )
    world.item("short", "obi", "good morning everyone today")
    world.item("same", "cat", "good morning everyone today")
    world.item("hidden", "obi", NAMED.format("Obadiah Stane"))
    world.item("unhidden", "ann", NAMED.format("Obadiah Stane"))
    world.item(
        "mention", "ben", "yesterday Obadiah Stane came to dinner, write to me at obi@example.org or +49 30 1234567"
    )
    world.item("shared", "ann", "a text that two people made together about boats and sails", co_account_ids=["a:cat"])
    world.item("nothing", "ann", None)
    world.item("tiny", "ann", "ok")
    return world


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("copies")
    _, corpus = made(_world(ThirdPartyScope.COPIES_AND_MENTIONS), folder)
    return folder, corpus


@pytest.fixture(scope="module")
def became(built: tuple[Path, Path]) -> dict[str, str | None]:
    return {item: fate["exclusion"] for item, fate in fates(built[1], ring(built[0])).items() if fate["allowed"]}


def test_a_copy_of_an_objectors_text_goes_also_when_the_objector_led(became: dict[str, str | None]) -> None:
    assert became["copy"] == "protected_copy"
    assert became["near"] == "protected_copy"


def test_a_copy_of_a_protected_text_goes_also_when_it_is_older(became: dict[str, str | None]) -> None:
    assert became["older"] == "protected_copy"


def test_a_short_text_belongs_to_nobody(became: dict[str, str | None]) -> None:
    assert became["same"] is None


def test_redacting_a_name_does_not_hide_a_copy(became: dict[str, str | None]) -> None:
    assert became["unhidden"] == "protected_copy"


def test_what_cannot_be_a_record_is_counted(became: dict[str, str | None]) -> None:
    assert became["nothing"] == "no_text"
    assert became["tiny"] == "too_short"


def test_a_reshare_is_a_copy_and_all_owners_stay_in_the_lineage(built: tuple[Path, Path]) -> None:
    folder, corpus = built
    found = fates(corpus, ring(folder))
    assert found["reshared"]["exclusion"] == "duplicate_exact"
    assert found["reshared"]["duplicate_of"] == "quoted"
    record = found["quoted"]["record_id"]
    owners = {(row["person_id"], row["role"]) for row in lineage(corpus, ring(folder)) if row["record_id"] == record}
    assert owners == {("p:ben", "author"), ("p:cat", "copy_owner"), ("p:ben", "copy_owner")}
    shared = found["shared"]["record_id"]
    owners = {(row["person_id"], row["role"]) for row in lineage(corpus, ring(folder)) if row["record_id"] == shared}
    assert owners == {("p:ann", "author"), ("p:cat", "co_author")}


def test_identifiers_and_names_of_objectors_are_redacted(built: tuple[Path, Path]) -> None:
    folder, corpus = built
    record = fates(corpus, ring(folder))["mention"]["record_id"]
    text = records(corpus)[record]["text"]
    assert "came to dinner" in text
    for gone in ("Obadiah", "Stane", "obi@example.org", "1234567"):
        assert gone not in text


def test_with_own_content_only_copies_and_mentions_stay_but_a_childs_text_is_still_protected(tmp_path: Path) -> None:
    _, corpus = made(_world(ThirdPartyScope.OWN_CONTENT), tmp_path)
    found = fates(corpus, ring(tmp_path))
    assert found["copy"]["exclusion"] is None
    assert found["near"]["exclusion"] == "duplicate_near"
    assert found["older"]["exclusion"] == "protected_copy"
    assert "Obadiah Stane" in records(corpus)[found["mention"]["record_id"]]["text"]


def test_other_peoples_words_are_not_the_record_of_who_quotes_them(tmp_path: Path) -> None:
    world = World()
    for name in ("ann", "ben", "cat", "dov"):
        world.person(name, objected=name == "ann")
    said = "we walked along the river until the stars came out over the quiet hills of home"
    world.item("said", "ann", said)
    world.item("shared", "ben", f"RT @ann: {said}")
    world.item("answered", "cat", f"> {said}\nI remember that evening and the old boat by the bridge")
    world.item("praised", "dov", f"nobody else could have said that so well as she RT @ann: {said}")
    _, corpus = made(world, tmp_path)
    found, kept = fates(corpus, ring(tmp_path)), records(corpus)
    assert found["shared"]["exclusion"] == "protected_copy"
    assert kept[found["answered"]["record_id"]]["text"] == "I remember that evening and the old boat by the bridge"
    assert kept[found["praised"]["record_id"]]["text"] == "nobody else could have said that so well as she"


def test_near_copies_are_not_transitive_but_each_goes_for_one_that_is_like_it(tmp_path: Path) -> None:
    words = [f"word{number}" for number in range(60)]
    other = [f"other{number}" for number in range(60)]
    world = World()
    for number, name in enumerate("abc"):
        world.person(name)
        # a and b differ in 2 places, b and c in 2 others, a and c in 4: only neighbours pass the threshold
        text = [other[place] if place < number * 2 else word for place, word in enumerate(words)]
        world.item(name, name, " ".join(text))
    _, corpus = made(world, tmp_path)
    found = fates(corpus, ring(tmp_path))
    assert found["a"]["exclusion"] is None
    assert found["b"]["duplicate_of"] == "a"
    assert found["c"]["exclusion"] == "duplicate_near"
    assert found["c"]["duplicate_of"] in {"a", "b"}


def test_a_template_does_not_explode_and_keeps_its_first(tmp_path: Path) -> None:
    world = World()
    world.person("ann")
    for number in range(300):
        world.item(f"t{number:03d}", "ann", f"{' '.join(LONG.format('x').split() * 3)} number{number}")
    manifest, corpus = made(world, tmp_path)
    assert manifest.counts["records"]["all"] == 1
    assert fates(corpus, ring(tmp_path))["t000"]["record_id"]


SAID = "we walked along the river until the stars came out over the quiet hills of home"
OTHER = "nobody in the small boat had a word to say about all that we had seen down there by the mill"


@pytest.mark.parametrize(
    "text",
    [
        f"> Anna: {OTHER}\n>> {SAID}",
        f"RT @ann: {OTHER} RT @bob: {SAID}",
        f"{OTHER} RT @jürgen: {SAID}",
        f"{OTHER} rt  @bob {SAID}",
        f"\u00a0> {SAID}\n{OTHER}",
        f"\uff1e{SAID}\r\n{OTHER}",
    ],
)
def test_no_way_of_quoting_brings_a_protected_text_in(tmp_path: Path, text: str) -> None:
    world = World()
    world.person("ann", objected=True)
    world.person("ben")
    world.item("said", "ann", SAID)
    world.item("quoting", "ben", text)
    _, corpus = made(world, tmp_path)
    assert all("quiet hills" not in row["text"] for row in records(corpus).values())


def test_all_that_an_objector_posted_guards_also_what_looks_like_a_quote(tmp_path: Path) -> None:
    world = World()
    world.person("ann", objected=True)
    world.person("ben")
    world.item("styled", "ann", f">{SAID} and I still think of it\nfeels bad")
    world.item("copy", "ben", f"{SAID} and I still think of it feels bad")
    _, corpus = made(world, tmp_path)
    assert fates(corpus, ring(tmp_path))["copy"]["exclusion"] == "protected_copy"


def test_measures_of_what_is_not_compared_hold_nothing_to_guess_a_text_by(tmp_path: Path) -> None:
    world = World()
    world.person("kid", born_on=date(2012, 1, 1))
    world.item("short", "kid", "ok love you")
    _, corpus = made(world, tmp_path)
    before = Before(corpus, ring(tmp_path))
    (row,) = [row for _, table in before.measures(range(before.parts)) for row in table.to_pylist()]
    assert row["exact"] is None
    assert not any(row["bands"])

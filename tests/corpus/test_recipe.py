"""What a recipe says about texts: filters apart from rights, shares of languages, modes of redaction, mixed texts."""

from __future__ import annotations

import random
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from corpus_worlds import RECIPE, World, fates, made, records, ring, sentence

from demur.corpus.recipe import SETTINGS, read_recipe
from demur.corpus.toxicity import BUCKETS, TOXICITY, write_model
from demur.errors import ConfigError, InputError
from demur.terms.manifests import CorpusRecipe


def _talking(count: int) -> World:
    world, chance = World(), random.Random(5)
    for number in range(count):
        world.person(f"p{number}")
        world.item(f"t{number}", f"p{number}", sentence(chance, 14, german=number % 2 == 0))
    return world


def test_a_filter_is_named_apart_from_rights_and_with_its_rule(tmp_path: Path) -> None:
    world = _talking(6)
    world.item("here", "p0", "I'm at the lovely old town museum and library garden http://x.example/q")
    manifest, corpus = made(world, tmp_path, recipe=replace(RECIPE, quality="demur-quality-1"))
    fate = fates(corpus, ring(tmp_path))["here"]
    assert (fate["allowed"], fate["exclusion"], fate["detail"]) == (True, "low_quality", "boilerplate")
    assert manifest.counts["exclusions"] == {"low_quality": 1}
    assert manifest.counts["filters"] == {"boilerplate": 1}


def test_a_share_keeps_about_that_part_of_a_language_and_nothing_else_goes(tmp_path: Path) -> None:
    manifest, corpus = made(_talking(160), tmp_path, recipe=replace(RECIPE, shares={"de": 0.25}))
    kept = manifest.counts["languages"]
    assert kept["en"] >= 78
    assert 8 <= kept["de"] <= 34
    assert manifest.counts["exclusions"]["over_share"] == 80 - kept["de"]
    found = fates(corpus, ring(tmp_path))
    fewer = _talking(160)
    for number in range(40):
        del fewer.items[f"t{number}"]
    _, other = made(fewer, tmp_path / "fewer", recipe=replace(RECIPE, shares={"de": 0.25}))
    again = fates(other, ring(tmp_path / "fewer"))
    assert {item: again[item]["exclusion"] for item in again} == {item: found[item]["exclusion"] for item in again}


@pytest.mark.parametrize("mode", ["mask", "drop", "fake"])
def test_each_mode_takes_the_identifier_and_says_where_it_stood(tmp_path: Path, mode: str) -> None:
    world = _talking(2)
    source = "please write to clementine.dubois@mail-example.net about the garden and the old bridge by the river"
    world.item("mail", "p0", source)
    world.item("again", "p1", source.replace("please", "kindly now do"))
    _, corpus = made(world, tmp_path, recipe=replace(RECIPE, redaction_mode=mode))
    fate = fates(corpus, ring(tmp_path))["mail"]
    text = records(corpus)[fate["record_id"]]["text"]
    assert "clementine" not in text
    assert ("<EMAIL>" in text) == (mode == "mask")
    assert ("@" in text) == (mode == "fake")
    (span,) = fate["spans"]
    assert source[span["start"] : span["end"]] == "clementine.dubois@mail-example.net"
    assert span["kind"] == "EMAIL"


def test_made_up_identifiers_of_two_records_tell_nobody_that_they_were_one(tmp_path: Path) -> None:
    world, chance = _talking(2), random.Random(9)
    for number in range(2):
        world.item(
            f"m{number}", f"p{number}", f"{sentence(chance, 9)} clementine@mail-example.net {sentence(chance, 9)}"
        )
    _, corpus = made(world, tmp_path, recipe=replace(RECIPE, redaction_mode="fake"))
    found = fates(corpus, ring(tmp_path))
    made_up = [
        next(word for word in records(corpus)[found[f"m{n}"]["record_id"]]["text"].split() if "@" in word)
        for n in (0, 1)
    ]
    assert made_up[0] != made_up[1]


def test_a_text_of_two_languages_is_marked(tmp_path: Path) -> None:
    world = _talking(2)
    german = "heute morgen habe ich meiner Nachbarin beim Umzug geholfen und danach haben wir zusammen gegessen"
    english = "and then she told me that nobody in the whole street had ever offered to help her before"
    world.item("both", "p0", f"{german}. {english}")
    _, corpus = made(world, tmp_path)
    found = records(corpus)[fates(corpus, ring(tmp_path))["both"]["record_id"]]
    assert {found["language"], found["other_language"]} == {"de", "en"}


@pytest.mark.parametrize(
    "change",
    [{"redaction_mode": "blur"}, {"shares": {"de": 0.0}}, {"toxicity": "0" * 64}, {"recognisers": {"nobody": "1"}}],
)
def test_a_recipe_that_cannot_be_followed_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        made(_talking(2), tmp_path, recipe=replace(RECIPE, **change))


def test_a_recipe_file_says_what_it_changes_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('redaction_mode = "drop"\nquality = true\n[shares]\nen = 0.5\n[regions]\nde = "german"\n', "utf-8")
    told = read_recipe(file, RECIPE)
    wanted = replace(
        RECIPE, redaction_mode="drop", quality="demur-quality-1", shares={"en": 0.5}, regions={"de": "german"}
    )
    assert (told.recipe, told.toxicity) == (wanted, None)


def test_all_faults_of_a_recipe_file_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "recipe.toml"
    file.write_text('min_words = "three"\nshards = true\nmode = "mask"\n', "utf-8")
    with pytest.raises(ConfigError) as caught:
        read_recipe(file, RECIPE)
    assert [fault.split()[0] for fault in caught.value.faults] == ["mode", "shards", "min_words"]
    file.write_text("min_words = ", "utf-8")
    with pytest.raises(InputError):
        read_recipe(file, RECIPE)


def test_every_setting_of_a_recipe_file_is_one_of_the_recipe_and_in_the_docs() -> None:
    page = (Path(__file__).parents[2] / "docs/corpus.md").read_text("utf-8")
    known = {field.name for field in fields(CorpusRecipe)}
    for name in SETTINGS:
        assert name in known
        assert f"`{name}`" in page


def test_a_platforms_own_toxicity_model_takes_what_it_calls_toxic(tmp_path: Path) -> None:
    weights = np.zeros((2, BUCKETS), np.int8)
    weights[1] = 1  # a model that calls every German text toxic, and no English one
    card = {
        "name": TOXICITY,
        "languages": ["en", "de"],
        "scale": [1.0, 1.0],
        "bias": [-9.0, 9.0],
        "threshold": [5.0, 5.0],
    }
    write_model(tmp_path / "model", card, weights)
    (tmp_path / "recipe.toml").write_text('toxicity = "model"\n', "utf-8")
    told = read_recipe(tmp_path / "recipe.toml", RECIPE)
    assert told.toxicity is not None
    manifest, _ = made(_talking(8), tmp_path, recipe=told.recipe, toxicity=told.toxicity)
    assert manifest.counts["exclusions"] == {"toxic": 4}
    assert manifest.counts["languages"] == {"en": 4}

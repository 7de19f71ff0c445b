"""What leaves is gone: no file of the workspace says it any more. And what a record is made from can be asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from corpus_worlds import AS_OF, World, lineage, made, records, ring

from demur.corpus import difference, explain, fate_of, purge, read_manifest, show, touched
from demur.corpus.manifest import corpus_digest, write_manifest
from demur.errors import InputError
from demur.terms.manifests import SliceRef

SENTINEL = "zanzibarquokka"
LATER = AS_OF + timedelta(days=3)


def _world() -> World:
    world = World()
    for name in ("ann", "ben", "cat", "dov"):
        world.person(name)
    world.people["ann"]["display"] = "Annabel Sentinelle"
    text = f"today I saw a {SENTINEL} in the garden and it was eating all our apples"
    world.item("own", "ann", text)
    world.item("marmot17", "ben", text)
    world.item(
        "shared",
        "cat",
        text,
        kind="reshare",
        original_id="own",
    )
    world.item("both", "dov", f"we two wrote about the {SENTINEL} together last summer", co_account_ids=["a:ann"])
    world.item("named", "dov", "at the market I met Annabel Sentinelle who sold me three pumpkins")
    world.item("gannet42", "ben", "nothing about anybody here only words about the weather and the sea")
    return world


def _says(folder: Path, word: str) -> list[Path]:
    found = []
    for file in folder.rglob("*"):
        if file.is_file():
            text = file.read_bytes().decode("latin-1")
            if file.suffix == ".parquet":
                text += str(pq.read_table(file).to_pydict())
            if word in text:
                found.append(file)
    return found


def test_after_an_erasure_and_a_purge_no_file_holds_the_person(tmp_path: Path) -> None:
    world = _world()
    _, old = made(world, tmp_path)
    assert _says(tmp_path / "corpora", SENTINEL)
    assert _says(old, "Sentinelle")
    world.people["ann"]["objected"] = True
    manifest, new = made(world, tmp_path, narrowed_at=LATER, replaces=old)
    change = difference(old, new)
    assert (change.added, change.changed) == (0, 1), "the mention is redacted, nothing else changes"
    assert change.removed == 2
    purge(old, work=tmp_path / "work")
    purge(old)
    assert not old.exists()
    for place in (tmp_path / "corpora", tmp_path / "work"):
        for word in (SENTINEL, "Sentinelle", "p:ann", "a:ann"):
            assert not _says(place, word)
    assert records(new)
    assert manifest.replaces == old.name


def test_ids_are_nowhere_in_clear(tmp_path: Path) -> None:
    _, corpus = made(_world(), tmp_path)
    for word in ("p:ann", "a:ann", "p:ben", "marmot17", "gannet42"):
        assert not _says(corpus, word)


def test_touched_finds_every_slice_of_a_person_and_of_a_name(tmp_path: Path) -> None:
    _, corpus = made(_world(), tmp_path)
    keys = ring(tmp_path)
    rows = [row for row in lineage(corpus, keys) if row["person_id"] == "p:ann"]
    assert {row["role"] for row in rows} >= {"author", "co_author"}
    expected = {SliceRef(row["region"], row["shard"], row["slice"]) for row in rows}
    assert touched(corpus, ["p:ann"], keys=keys) == expected
    named = touched(corpus, ["p:ann"], keys=keys, names=["Annabel Sentinelle"])
    mention = fate_of(corpus, "named", keys=keys)
    assert mention is not None
    assert mention.record_id is not None
    assert named == expected | {explain(corpus, mention.record_id, keys=keys).where}
    assert touched(corpus, ["p:nobody"], keys=keys) == frozenset()


def test_explain_names_items_persons_and_fates(tmp_path: Path) -> None:
    _, corpus = made(_world(), tmp_path)
    keys = ring(tmp_path)
    own = fate_of(corpus, "own", keys=keys)
    assert own is not None
    assert own.record_id is not None
    found = explain(corpus, own.record_id, keys=keys)
    assert (found.sources[0].person_id, found.sources[0].role) == ("p:ann", "author")
    assert {source.person_id for source in found.sources} == {"p:ann", "p:ben", "p:cat"}
    assert {fate.item_id: fate.exclusion for fate in found.fates}["marmot17"] == "duplicate_exact"
    with pytest.raises(InputError):
        explain(corpus, "0" * 32, keys=keys)


def test_show_and_difference_speak_of_a_corpus_alone(tmp_path: Path) -> None:
    manifest, corpus = made(_world(), tmp_path)
    shown = show(read_manifest(corpus))
    assert shown["counts"]["records"]["all"] == len(records(corpus))
    assert shown["slices"] == 3 * 3 * 2
    assert not difference(corpus, corpus).slices
    assert manifest.counts["exclusions"] == {"duplicate_exact": 2}


def test_a_corpus_whose_recipe_lacks_newer_settings_can_still_be_read(tmp_path: Path) -> None:
    manifest, corpus = made(_world(), tmp_path)
    older = {
        name: value for name, value in manifest.inputs["recipe"].items() if name not in {"shares", "redaction_mode"}
    }
    digest = corpus_digest(older, manifest.slices)
    inputs = manifest.inputs | {"recipe": older}
    write_manifest(corpus, replace(manifest, inputs=inputs, digest=digest, corpus_id=digest[:16]))
    assert read_manifest(corpus).digest == digest
    assert touched(corpus, ["p:ben"], keys=ring(tmp_path))

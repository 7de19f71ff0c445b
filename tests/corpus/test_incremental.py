"""A build that carries measures on is the build from nothing: same slices, same fates, same lineage, same measures."""

from __future__ import annotations

import copy
import os
import random
import shutil
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from corpus_worlds import AS_OF, RECIPE, World, fates, here, lineage, made, network, ring, sentence
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from demur.corpus import build, check_files, read_manifest, settle
from demur.corpus.measures import Before
from demur.corpus.redact import REDACTION
from demur.errors import BrokenError
from demur.lineage import SealedFile, handle_hash, name_hash
from demur.store import KeyRing, read_commit, remove_tree
from demur.terms.policy import ThirdPartyScope

pytestmark = pytest.mark.long

EXAMPLES = 300 if os.environ.get("DEMUR_NIGHTLY") else 6
LAW = settings(max_examples=EXAMPLES, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
seeds = st.integers(0, 100_000)


def measures(corpus: Path, folder: Path) -> list[str]:
    before = Before(corpus, ring(folder))
    return sorted(str(row) for _, table in before.measures(range(before.parts)) for row in table.to_pylist())


def compared_with(corpus: Path, folder: Path) -> dict[str, list[str]]:
    """Return what the next build compares with: decisions in order, further owners, names."""
    before = Before(corpus, ring(folder))
    return {
        kind: [str(row) for table in before.file(kind).all() for row in table.to_pylist()]
        for kind in ("decided", "shared", "names")
    }


def everything(corpus: Path, folder: Path) -> dict[str, Any]:
    keys = ring(folder)
    return {
        "slices": [(one.path, one.content_digest, one.file_digest) for one in read_manifest(corpus).slices],
        "counts": read_manifest(corpus).counts,
        "fates": fates(corpus, keys),
        "lineage": sorted(map(str, lineage(corpus, keys))),
        "measures": measures(corpus, folder),
        "compared_with": {kind: sorted(rows) for kind, rows in compared_with(corpus, folder).items()},
    }


def object_to(world: World, chance: random.Random) -> bool:
    one = world.people[chance.choice(list(world.people))]
    one["objected"] = not one["objected"]
    return True


def rename(world: World, chance: random.Random) -> bool:
    """Somebody who objected has (or had) a name that stands in other people's texts."""
    one = world.people[chance.choice(list(world.people))]
    text = next((row["text"] for row in world.items.values() if row["text"] and len(row["text"].split()) > 2), "a b")
    one["display"], one["objected"] = " ".join(text.split()[:2]), True
    return True


def turn_out_a_minor(world: World, chance: random.Random) -> bool:
    world.people[chance.choice(list(world.people))]["born_on"] = None
    return True


def delete(world: World, chance: random.Random) -> bool:
    row = world.items[chance.choice(list(world.items))]
    row["state"], row["version_id"] = "deleted", row["item_id"] + "+deleted"
    return False


def saying(other: str | None, chance: random.Random) -> str:
    """Return a text with a part of another in it, or all of it."""
    words = (other or "").split()
    begin, end = (0, len(words)) if chance.random() < 0.5 else sorted(chance.choices(range(len(words) + 1), k=2))
    around = [sentence(chance, chance.randint(0, 9)) for _ in range(2)]
    return " ".join([around[0], *words[begin:end], around[1]]).strip()


def edit(world: World, chance: random.Random) -> bool:
    row = world.items[chance.choice(list(world.items))]
    other = world.items[chance.choice(list(world.items))]
    row["text"] = chance.choice([other["text"], saying(other["text"], chance), sentence(chance, chance.randint(1, 20))])
    row["version_at"] = chance.choice([row["version_at"], AS_OF, None])
    row["version_id"] += f"+{chance.random()}"
    return False


def add(world: World, chance: random.Random) -> bool:
    other = world.items[chance.choice(list(world.items))]
    text = chance.choice([other["text"], saying(other["text"], chance), sentence(chance)])
    carries = {"kind": "reshare", "original_id": other["item_id"]} if chance.random() < 0.4 else {}
    early = timedelta(days=chance.randint(-400, 100))  # it may lead the copies that were there
    world.item(f"new:{len(world.items)}", chance.choice(list(world.people)), text, **carries,
               created_at=other["created_at"] + early)  # fmt: skip
    return False


def remove(world: World, chance: random.Random) -> bool:
    del world.items[chance.choice(list(world.items))]
    return False


CHANGES = (object_to, rename, turn_out_a_minor, delete, edit, add, remove)


MODES = st.sampled_from(["mask", "drop", "fake"])


@LAW
@given(
    seed=seeds,
    chosen=st.lists(st.sampled_from(CHANGES), min_size=1, max_size=4),
    rows=st.integers(7, 90),
    mode=MODES,
)
def test_after_any_change_a_build_upon_the_last_is_a_build_from_nothing(
    seed: int, chosen: list[Any], rows: int, mode: str
) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        world = network(seed % 997, items=45)
        for number, name in enumerate(world.people):  # one text leads many: when its author leaves, another's comes
            world.item(f"short:{number}", name, "the old garden is lovely today")
            world.item(f"long:{number}", name, f"{sentence(random.Random(1), 14)} {number % 3}")
        world.item("quoting", chance.choice(list(world.people)), f"> {sentence(chance)}\n{sentence(chance)}")
        for number, said in enumerate(list(world.items.values())[::3]):
            made_at = said["created_at"] + timedelta(days=chance.randint(-9, 9))
            who = chance.choice(list(world.people))
            world.item(f"saying:{number}", who, saying(said["text"], chance), created_at=made_at)
        recipe = replace(RECIPE, redaction_mode=mode)
        before, corpus = made(world, Path(one), bucket_rows=rows, recipe=recipe)
        for step, change in enumerate(chosen, start=1):
            same = change(world, chance)
            options = {
                "narrowed_at": AS_OF + timedelta(days=step),
                "source": before.inputs["source"] if same else f"s{step}",
                "recipe": recipe,
            }
            before, corpus = made(
                world, Path(one), replaces=corpus, bucket_rows=chance.choice([rows, 20, 200]), **options
            )
            assert before.verdict["agrees"]
            assert (before.verdict["upon"] is not None) == same
        _, clean = made(
            copy.deepcopy(world),
            Path(other),
            narrowed_at=AS_OF + timedelta(days=len(chosen)),
            source=options["source"],
            recipe=recipe,
        )
        found, wanted = everything(corpus, Path(one)), everything(clean, Path(other))
        for name, value in wanted.items():
            if isinstance(value, dict) and name == "fates":
                assert {k: v for k, v in found[name].items() if value.get(k) != v} == {}
            assert found[name] == value, name
        check_files(corpus, before)


def test_an_objection_is_measured_by_what_it_touches(tmp_path: Path) -> None:
    world = network(3, people=40, items=400)
    _, corpus = made(world, tmp_path)
    person = next(
        name for name, one in world.people.items() if not one["objected"] and one["born_on"] and one["delivered"]
    )
    world.people[person]["objected"] = True
    manifest, new = made(world, tmp_path, replaces=corpus, narrowed_at=AS_OF + timedelta(days=1), keep_work=True)
    (work,) = (tmp_path / "work").glob("corpus-*")
    selected, judged = read_commit(work / "select"), read_commit(work / "deduplicate")
    assert selected
    assert judged
    assert not selected["whole"]
    assert selected["wanted"] <= 30, "hardly anything is redacted and measured again"
    opened = len({*selected["opened"], *judged["opened"]})
    assert 0 < opened < 0.6 * selected["parts"], "other parts stay sealed"
    assert judged["judged"] < 0.5 * manifest.counts["records"]["all"]
    linked = sum((corpus / one.path).samefile(new / one.path) for one in manifest.slices)
    assert linked == read_commit(work / "write-00000")["reused"] > 0


def test_measures_of_other_rules_are_not_carried_on(tmp_path: Path) -> None:
    world = network(8)
    _, corpus = made(world, tmp_path)
    other = replace(RECIPE, min_words=6)
    manifest, _ = made(world, tmp_path, replaces=corpus, recipe=other)
    clean, _ = made(world, tmp_path / "clean", recipe=other)
    assert manifest.digest == clean.digest


def test_a_changed_slice_of_the_corpus_before_is_found(tmp_path: Path) -> None:
    world = network(4)
    manifest, corpus = made(world, tmp_path)
    for one in manifest.slices:
        if one.records:
            with (corpus / one.path).open("r+b") as stream:
                stream.seek(60)
                stream.write(b"\xff\xff\xff")
    for name in world.people:
        world.people[name]["objected"] = True
    with pytest.raises((BrokenError, OSError)):
        made(world, tmp_path, replaces=corpus, narrowed_at=AS_OF + timedelta(days=1))


def test_where_a_slice_of_the_corpus_before_is_gone_everything_is_built_anew(tmp_path: Path) -> None:
    world = network(4)
    manifest, corpus = made(world, tmp_path)
    next(corpus / one.path for one in manifest.slices if one.records).unlink()
    world.people[next(iter(world.people))]["objected"] = True
    found, _ = made(world, tmp_path, replaces=corpus, narrowed_at=AS_OF + timedelta(days=1))
    clean, _ = made(world, tmp_path / "clean", narrowed_at=AS_OF + timedelta(days=1))
    assert found.digest == clean.digest


def test_measures_under_other_keys_are_not_carried_on(tmp_path: Path) -> None:
    world = network(6)
    _, corpus = made(world, tmp_path)
    other = KeyRing(tmp_path / "other-keys", seed=b"other")
    inputs = world.inputs(tmp_path / "in")
    upon = build(inputs, out=tmp_path / "out", work=tmp_path / "w1", keys=other, replaces=corpus, runner=here)
    clean = build(inputs, out=tmp_path / "clean", work=tmp_path / "w2", keys=other, runner=here)
    assert upon.digest == clean.digest


def test_a_recipe_of_older_rules_is_built_under_the_names_of_these(tmp_path: Path) -> None:
    manifest, _ = made(
        network(6), tmp_path, recipe=replace(RECIPE, redaction="demur-redaction-1", code="demur-corpus-1")
    )
    now, _ = made(network(6), tmp_path / "now")
    assert manifest.digest == now.digest
    assert manifest.inputs["recipe"]["redaction"] == REDACTION


OVERLAPPING = [
    ("Anna Maria", "Maria Schmidt"),
    ("Maria Schmidt", "Anna Maria"),
    ("Maria Schmidt", "Anna Maria Schmidt"),
    ("Anna Maria Schmidt", "Anna Maria"),
    ("Maria Schmidt", "Schmidt Weiß"),
    ("Anna Maria", "MARIA  SCHMIDT"),
    ("Bob Builder", "ANNA maria"),
    ("Bob Builder", "Schmidt Weiss"),
    ("Anna Nováková", "Marie Anna"),
    ("Marie Anna", "Anna Nováková"),
    ("Jan Novák", "Anna Nováková"),
]


@pytest.mark.parametrize(("first", "then"), OVERLAPPING)
def test_a_name_that_begins_or_ends_in_one_taken_out_before_is_found(tmp_path: Path, first: str, then: str) -> None:
    world = World()
    for name in ("writer", "one", "two"):
        world.person(name)
    texts = (
        "thank you Anna Maria Schmidt Weiß for the bread",
        "Anna\nMaria was here with Schmidt WEISS today and sang",
        "včera jsme viděli Marii Annu Novákovou a Jana Nováka na trhu v Brně",
    )
    for number, text in enumerate(texts):
        world.item(f"i:{number}", "writer", text)
    world.people["one"] |= {"display": first, "objected": True}
    _, corpus = made(world, tmp_path)
    world.people["two"] |= {"display": then, "objected": True}
    found, _ = made(world, tmp_path, replaces=corpus, narrowed_at=AS_OF + timedelta(days=1))
    clean, _ = made(world, tmp_path / "clean", narrowed_at=AS_OF + timedelta(days=1))
    assert found.digest == clean.digest


def test_another_scope_of_objections_is_another_way_to_measure(tmp_path: Path) -> None:
    """Whether a withheld text guards its copies depends on the policy's scope, which no decision shows."""
    world = World(scope=ThirdPartyScope.OWN_CONTENT)
    text = sentence(random.Random(3), 16)
    for number, name in enumerate(("alice", "bob")):
        world.person(name, objected=not number)
        world.item(f"i:{number}", name, text)
    before, corpus = made(world, tmp_path)
    assert before.counts["records"]["all"] == 1
    world.scope = ThirdPartyScope.COPIES_AND_MENTIONS
    found, _ = made(world, tmp_path, replaces=corpus, narrowed_at=AS_OF + timedelta(days=1))
    assert found.counts["records"]["all"] == 0
    assert found.counts["exclusions"] == {"protected_copy": 1}


@pytest.mark.parametrize("kind", ["fates", "lineage", "judged", "bands"])
def test_a_sealed_file_of_another_version_is_not_carried_on(tmp_path: Path, kind: str) -> None:
    """It would open: kind and key are the same. So a corpus is only built upon as it was published."""
    world = network(24, people=12, items=90)
    _, first = made(world, tmp_path)
    world.people[next(name for name, one in world.people.items() if not one["objected"])]["objected"] = True
    _, second = made(world, tmp_path, replaces=first, narrowed_at=AS_OF + timedelta(days=1))
    shutil.copy(first / f"sealed/{kind}.sealed", second / f"sealed/{kind}.sealed")
    found, _ = made(world, tmp_path, replaces=second, narrowed_at=AS_OF + timedelta(days=2))
    clean, _ = made(world, tmp_path / "clean", narrowed_at=AS_OF + timedelta(days=2))
    assert found.verdict["upon"] is None
    assert (found.digest, found.counts) == (clean.digest, clean.counts)


@pytest.mark.parametrize("gone", ["nothing", "select", "seal-fates", "place-00000", "corpus"])
@pytest.mark.parametrize("published", [True, False])
@pytest.mark.parametrize("rows", [25, 7])
def test_what_another_run_wrote_is_read_again_before_it_is_named(
    tmp_path: Path, gone: str, rows: int, *, published: bool
) -> None:
    """The slices are the same, the sealed files are not: a verdict on those of a run that was killed says nothing.

    A build may be killed when it is published, and while it removes its work files: the next one goes on with the rest.
    """
    world = network(3, people=5, items=20)
    _, corpus = made(world, tmp_path, keep_work=True, bucket_rows=25)
    (work,) = (tmp_path / "work").glob("corpus-*")
    remove_tree(work / gone)
    if not published:
        remove_tree(corpus)
    found, again = made(world, tmp_path, keep_work=True, bucket_rows=rows)
    assert again == corpus
    check_files(corpus, found)
    assert fates(corpus, ring(tmp_path))
    settle(tmp_path / "corpora")
    check_files(corpus, found)


def test_with_other_workers_what_is_done_stays_done(tmp_path: Path) -> None:
    world = network(3, people=5, items=60)
    ran: list[str] = []

    def noting(target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        before = read_commit(folder) or {}
        facts = here(target, folder, arguments)
        if facts["call"] != before.get("call"):
            ran.append(folder.name)
        return facts

    first, _ = made(world, tmp_path, keep_work=True, bucket_rows=16, workers=4, runner=noting)
    assert len([name for name in ran if name.startswith(("text-", "place-", "write-"))]) >= 6
    ran.clear()
    second, _ = made(world, tmp_path, keep_work=True, bucket_rows=16, workers=3, runner=noting)
    assert (second.digest, ran) == (first.digest, [])


def test_a_corpus_that_takes_the_place_of_an_equal_one_leaves_no_way_to_read_its_sealed_files(tmp_path: Path) -> None:
    """The slices stay as they were, so the name does too; who objected had nothing but a text too short to be used."""
    world = World()
    for number, name in enumerate(("alice", "bob")):
        world.person(name)
        world.item(f"i:{number}", name, "yes" if not number else sentence(random.Random(2), 16))
    _, corpus = made(world, tmp_path)
    kept = tmp_path / "kept"
    kept.mkdir()
    for file in (corpus / "sealed").iterdir():
        os.link(file, kept / file.name)  # as somebody who can still read the blocks
    world.people["alice"]["objected"] = True
    _, again = made(world, tmp_path, replaces=corpus, narrowed_at=AS_OF + timedelta(days=1))
    assert again == corpus
    for file in kept.iterdir():
        with pytest.raises(BrokenError):
            SealedFile(file, file.stem, secret=ring(tmp_path).secret("lineage"))


def test_a_name_beside_a_suppressed_handle_and_one_spelled_otherwise_are_found(tmp_path: Path) -> None:
    for number, (text, first, then, handle) in enumerate(
        (
            ("thank you Eva anna.b-1 Weber for all of the bread", None, "Eva Anna.b-1 Weber", "anna.b-1"),
            ("thank you Mu\u0308ller Anna Maria for all of the bread", "Anna Maria", "Mu\u0308ller Anna", None),
            ("thank you Miller Anna Maria for all of the bread", "Anna Maria", "Mil\u200bler Anna", None),
        )
    ):
        world = World()
        for name in ("writer", "one", "two"):
            world.person(name)
        world.item("i", "writer", text)
        if first:
            world.people["one"] |= {"display": first, "objected": True}
        key = ring(tmp_path).secret("suppression")
        world.words = [handle_hash(key, handle)] if handle else []
        _, corpus = made(world, tmp_path / f"{number}")
        world.people["two"] |= {"display": then, "objected": True}
        found, _ = made(world, tmp_path / f"{number}", replaces=corpus, narrowed_at=AS_OF + timedelta(days=1))
        clean, _ = made(world, tmp_path / f"{number}-clean", narrowed_at=AS_OF + timedelta(days=1))
        assert found.digest == clean.digest, then


@pytest.mark.parametrize("mode", ["mask", "drop", "fake"])
def test_the_spans_of_suppressed_names_are_those_of_a_clean_build(tmp_path: Path, mode: str) -> None:
    world = World()
    for name in ("writer", "other"):
        world.person(name)
    world.item("i", "writer", "thank you Eva Weber (eva@mail.org) for all of the bread and the soup, Olaf Quill")
    world.item("j", "other", "yesterday we met nobody at all on the way home from the lake, as always")
    key, recipe = ring(tmp_path).secret("suppression"), replace(RECIPE, redaction_mode=mode)
    world.words = [str(name_hash(key, "Eva Weber"))]
    _, before = made(world, tmp_path / "one", recipe=recipe)
    world.words.append(str(name_hash(key, "Olaf Quill")))
    later = AS_OF + timedelta(days=1)
    found, upon = made(world, tmp_path / "one", recipe=recipe, replaces=before, narrowed_at=later)
    clean, anew = made(world, tmp_path / "two", recipe=recipe, narrowed_at=later)
    assert found.digest == clean.digest
    first, second = (fates(folder, ring(tmp_path)) for folder in (upon, anew))
    assert first["i"]["spans"] == second["i"]["spans"]
    kinds = [(one["start"], one["end"], one["kind"]) for one in first["i"]["spans"]]
    assert kinds == [(10, 19, "NAME"), (21, 33, "EMAIL"), (70, 80, "NAME")]
    assert first["j"]["spans"] == []


def test_an_author_who_became_another_person_in_the_same_slice_is_no_violation(tmp_path: Path) -> None:
    world = World()
    world.person("alice")
    world.item("i", "alice", sentence(random.Random(1), 16))
    recipe = replace(RECIPE, shards=1, slices=1)
    _, corpus = made(world, tmp_path, recipe=recipe)
    world.named = {"p:alice": "p:somebody"}
    found, again = made(world, tmp_path, replaces=corpus, narrowed_at=AS_OF + timedelta(days=1), recipe=recipe)
    assert found.verdict["upon"]
    assert {row["person_id"] for row in lineage(again, ring(tmp_path))} == {"p:somebody"}


def test_a_corpus_keeps_nobodys_name(tmp_path: Path) -> None:
    """The next build must know which names are new; it needs no name for that."""
    world = network(5)
    name = next(iter(world.people))
    world.people[name] |= {"display": "Anna Maria Schmidt", "objected": True}
    _, corpus = made(world, tmp_path)
    before = Before(corpus, ring(tmp_path))
    hashes = [row for _, table in before.rows("names", [0]) for row in table.to_pylist()]
    assert hashes
    for kind in (file.stem for file in (corpus / "sealed").iterdir()):
        sealed = SealedFile(corpus / f"sealed/{kind}.sealed", kind, secret=ring(tmp_path).secret("lineage"))
        assert "Schmidt" not in str([table.to_pylist() for table in sealed.all()]), kind

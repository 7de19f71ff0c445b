"""The verifier must be able to fail: every violation that it claims to see is planted, and seen."""

from __future__ import annotations

import random
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partialmethod
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from corpus_worlds import AS_OF, RECIPE, World, here, lineage, made, network, records, ring, sentence
from hypothesis import given
from hypothesis import strategies as st

from demur.corpus import read_manifest, verify
from demur.corpus.interchange import export
from demur.corpus.manifest import corpus_digest, write_manifest
from demur.corpus.measures import MEASURES, UNBANDED, VERDICTS
from demur.corpus.spill import read_bucket, write_bucket
from demur.corpus.verify_texts import Names
from demur.corpus.verify_where import COLUMNS, Where
from demur.corpus.write import SEALED
from demur.errors import BrokenError, OutsideError
from demur.lineage import SealedFile, bucket_of, write_sealed
from demur.store import digest_file, read_commit, write_json
from demur.store.contents import content_digest
from demur.terms.manifests import CorpusManifest, CorpusRecipe, SliceDigest
from demur.terms.policy import ThirdPartyScope
from demur.terms.tables import ACCOUNTS, HOLDS, ITEMS, NOTICES, STANDING
from demur.training.slices import check_files as check_before_training

Rows = list[dict[str, Any]]
LATER = AS_OF + timedelta(days=9)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, CorpusManifest, Path]:
    folder = tmp_path_factory.mktemp("verify")
    world = network(21, items=70)
    manifest, corpus = made(world, folder)
    return world, manifest, corpus


@pytest.fixture
def copy(built: tuple[World, CorpusManifest, Path], tmp_path: Path) -> Path:
    shutil.copytree(built[2].parent.parent, tmp_path / "copy")
    return tmp_path / "copy"


def _verdict(folder: Path) -> dict[str, int]:
    corpus = next((folder / "corpora").iterdir())
    verdict = verify(corpus, items=folder / "in" / "items", standing=folder / "in" / "standing", keys=ring(folder))
    assert verdict.agrees == (not any(verdict.checks.values()))
    return {name: count for name, count in verdict.checks.items() if count}


def _rewrite(file: Path, schema: Any, change: Callable[[Rows], None]) -> None:
    rows = pq.read_table(file).to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)


def _all(name: str, value: Any) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        for row in rows:
            row[name] = value

    return change


def _hold(rows: Rows) -> None:
    rows.append(
        {
            "hold_id": "h",
            "act": "place",
            "countries": ["DE"],
            "authority": "x",
            "instrument": "y",
            "valid_at": AS_OF,
            "recorded_at": AS_OF,
        }
    )


def _in_a_public_group(rows: Rows) -> None:
    for row in rows:
        row["container_id"], row["container_audience"] = "g", "public"


PLANTED = [
    ("standing", STANDING, _all("objected", True), {"allowed_although_objected", "owner_objected"}),
    ("standing", STANDING, _all("born_on", date(2008, 6, 2)), {"allowed_although_minor", "owner_minor"}),
    ("standing", STANDING, _all("born_on", date(2007, 1, 1)), {"allowed_although_minor_at_creation"}),
    ("standing", STANDING, _all("born_on", None), {"allowed_although_age_unknown", "owner_of_unknown_age"}),
    ("standing", STANDING, _all("age_conflict", True), {"allowed_although_age_conflict"}),
    ("standing", STANDING, lambda rows: rows.clear(), {"allowed_although_author_unknown", "owner_unknown"}),
    ("notices", NOTICES, lambda rows: rows.clear(), {"allowed_although_notice"}),
    ("notices", NOTICES, _all("valid_at", AS_OF - timedelta(days=29)), {"allowed_although_notice"}),
    ("notices", NOTICES, _all("valid_at", AS_OF - timedelta(days=31)), {"allowed_although_notice"}),
    ("accounts", ACCOUNTS, _all("status", "deleted"), {"allowed_although_account_status"}),
    ("accounts", ACCOUNTS, _all("private", True), {"allowed_although_not_public"}),
    ("holds", HOLDS, _hold, {"allowed_although_held"}),
    ("items", ITEMS, _all("audience", "followers"), {"allowed_although_not_public"}),
    ("items", ITEMS, _all("container_audience", "group"), {"allowed_although_not_public"}),
    ("items", ITEMS, _all("kind", "private_message"), {"allowed_although_private_message"}),
    ("items", ITEMS, _all("kind", "unheard_of"), {"allowed_although_unknown_kind"}),
    ("items", ITEMS, _all("kind", "ai_chat"), {"allowed_although_not_addressed_to_ai"}),
    ("items", ITEMS, _all("state", "deleted"), {"allowed_although_deleted"}),
    ("items", ITEMS, _all("created_at", None), {"allowed_although_created_unknown"}),
    ("items", ITEMS, _all("created_at", AS_OF + timedelta(seconds=1)), {"allowed_although_not_yet_created"}),
    ("items", ITEMS, _all("expires_at", AS_OF), {"allowed_although_expired"}),
    ("items", ITEMS, lambda rows: rows.pop(), {"item_without_one_decision"}),
    ("items", ITEMS, _all("parent_id", "not-imported"), {"allowed_although_not_public"}),
]


@pytest.mark.parametrize(
    ("table", "schema", "change", "expected"), PLANTED, ids=lambda one: "-" if callable(one) else None
)
def test_every_planted_violation_is_found(
    copy: Path, table: str, schema: Any, change: Callable[[Rows], None], expected: set[str]
) -> None:
    file = copy / "in" / ("items/part-0.parquet" if table == "items" else f"standing/{table}.parquet")
    _rewrite(file, schema, change)
    assert expected <= set(_verdict(copy))


def test_notice_days_are_over_when_the_last_one_ends_where_it_ends_last(copy: Path) -> None:
    told_late = AS_OF - timedelta(days=31, microseconds=1)  # the whole day of the telling, 30 days and 12 hours before
    _rewrite(copy / "in/standing/notices.parquet", NOTICES, _all("valid_at", told_late))
    assert "allowed_although_notice" not in _verdict(copy)


@pytest.mark.parametrize("change", [_all("kind", "group_activity"), _in_a_public_group])
def test_x6_what_a_private_account_does_in_public_groups_is_found(copy: Path, change: Callable[[Rows], None]) -> None:
    _rewrite(copy / "in/items/part-0.parquet", ITEMS, change)
    assert "allowed_although_private_account_profile" not in _verdict(copy)
    _rewrite(copy / "in/standing/accounts.parquet", ACCOUNTS, _all("private", True))
    assert "allowed_although_private_account_profile" in _verdict(copy)


def test_a_lawful_corpus_passes_and_both_readings_count_alike(built: tuple[World, CorpusManifest, Path]) -> None:
    verdict = built[1].verdict
    assert verdict["agrees"]
    for reason in ("private_message", "deleted", "minor", "objected", "age_unknown"):
        assert verdict["recounted"][reason]["decided"] == verdict["recounted"][reason]["recounted"]
    assert verdict["recounted"]["objected"]["decided"] > 0


def test_one_flipped_byte_is_found_and_named(copy: Path) -> None:
    corpus = next((copy / "corpora").iterdir())
    for file in (next(corpus.rglob("slice-*.parquet")), corpus / "sealed" / "lineage.sealed"):
        whole = file.read_bytes()
        file.unlink()
        file.write_bytes(whole[:40] + bytes([whole[40] ^ 1]) + whole[41:])
        with pytest.raises(BrokenError, match=f"{file.name} was changed"):
            _verdict(copy)
        file.write_bytes(whole)


def test_records_exchanged_with_the_digest_of_their_file_are_found(copy: Path) -> None:
    corpus = next((copy / "corpora").iterdir())
    manifest = read_manifest(corpus)
    victim = next(one for one in manifest.slices if one.records)
    for change in (
        lambda table: table.set_column(1, table.schema.field("text"), [["another text"] * table.num_rows]),
        lambda table: table.append_column("also", pa.array(["a letter"] * table.num_rows)),
    ):
        table = pq.read_table(corpus / victim.path)
        (corpus / victim.path).unlink()
        pq.write_table(change(table), corpus / victim.path)
        digest = digest_file(corpus / victim.path)
        slices = tuple(replace(one, file_digest=digest) if one == victim else one for one in manifest.slices)
        write_manifest(corpus, replace(manifest, slices=slices))
        with pytest.raises(BrokenError, match="found others") as found:
            _verdict(copy)
        assert f"{victim.path} holds other records" in str(found.value)
        with pytest.raises(BrokenError, match="build it again"):
            check_before_training(corpus, read_manifest(corpus))
        with pytest.raises(BrokenError, match="changed"):
            export(corpus, copy / "out", form="parquet")
        shutil.rmtree(copy / "out", ignore_errors=True)


def _sealed_again(corpus: Path, folder: Path, kind: str, change: Callable[[Rows], None]) -> None:
    """Rewrite a sealed file and the manifest around it, as somebody with the key could."""
    path, secret = corpus / "sealed" / f"{kind}.sealed", ring(folder).secret("lineage")
    rows = [row for table in SealedFile(path, kind, secret=secret).all() for row in table.to_pylist()]
    change(rows)
    schema = UNBANDED if kind == "measures" else SEALED[kind]
    parts = [
        (bucket_of(row["person_id"] or row["item_id"], 64), pa.Table.from_pylist([row], schema=schema)) for row in rows
    ]
    write_sealed(path, kind, parts, secret=secret, buckets=64)
    _remanifest(corpus)


def _remanifest(corpus: Path) -> None:
    manifest = read_manifest(corpus)
    slices = tuple(_as_it_is(corpus / one.path, one) for one in manifest.slices)
    sealed = {path: digest_file(corpus / path) for path in manifest.sealed}
    digest = corpus_digest(CorpusRecipe(**manifest.inputs["recipe"]), slices)
    write_manifest(corpus, replace(manifest, slices=slices, sealed=sealed, digest=digest, corpus_id=digest[:16]))


def _as_it_is(path: Path, one: SliceDigest) -> SliceDigest:
    return replace(one, file_digest=digest_file(path), content_digest=content_digest(pq.read_table(path)))


def _double(corpus: Path) -> None:
    file = next(file for file in sorted(corpus.rglob("slice-*.parquet")) if pq.read_metadata(file).num_rows)
    table = pq.read_table(file)
    file.unlink()
    pq.write_table(pa.concat_tables([table, table]), file)
    _remanifest(corpus)


def _withhold_a_record(rows: Rows) -> None:
    next(row for row in rows if row["record_id"]).update(allowed=False, reason_bits=1)


def _another_author(rows: Rows) -> None:
    for row in rows:
        if row["role"] == "author":
            row["person_id"] = "p:nobody"


def _beside_a_protected_copy(rows: Rows) -> None:
    """Somebody who said no wrote the same as a record."""
    texts = {row["exact"] for row in rows if row["protected"]}
    text = next(row["exact"] for row in rows if row["record_id"] and row["words"] > 8 and row["exact"] not in texts)
    next(row for row in rows if row["protected"] and row["exact"]).update(exact=text)


def _hidden(rows: Rows) -> None:
    """A protected text is long enough to have copies, and leaves nothing that they are found by."""
    next(row for row in rows if row["protected"] and row["exact"]).update(exact=None)


def _link_a_protected(rows: Rows) -> None:
    """A protected text still says which record it was."""
    next(row for row in rows if row["protected"]).update(record_id="0" * 32)


def _fewer_bands(corpus: Path, folder: Path) -> None:
    path, secret = corpus / "sealed" / "bands.sealed", ring(folder).secret("lineage")
    file = SealedFile(path, "bands", secret=secret)
    (first, rows), *others = file.parts(sorted(file.present))
    write_sealed(path, "bands", [(first, rows.slice(1)), *others], secret=secret, buckets=file.buckets)
    _remanifest(corpus)


def _said(corpus: Path, name: str) -> None:
    """Write a name into a record."""
    file = next(file for file in sorted(corpus.rglob("slice-*.parquet")) if pq.read_metadata(file).num_rows)
    table = pq.read_table(file)
    texts = [f"we met {name.upper()}, again", *table["text"].to_pylist()[1:]]
    file.unlink()
    pq.write_table(table.set_column(1, table.schema.field("text"), [texts]), file)
    _remanifest(corpus)


@pytest.mark.parametrize(
    ("plant", "expected"),
    [
        (lambda corpus, _: _double(corpus), {"record_twice", "slice_of_another_size"}),
        (lambda c, f: _sealed_again(c, f, "lineage", lambda rows: rows.clear()), {"record_without_one_author"}),
        (lambda c, f: _sealed_again(c, f, "lineage", _all("slice", 7)), {"record_in_another_slice"}),
        (lambda c, f: _sealed_again(c, f, "lineage", _all("record_id", "0")), {"lineage_without_record"}),
        (lambda c, f: _sealed_again(c, f, "lineage", _another_author), {"record_of_no_allowed_item", "owner_unknown"}),
        (
            lambda c, f: _sealed_again(c, f, "fates", _withhold_a_record),
            {"withheld_item_used", "record_of_no_allowed_item", "copy_of_no_allowed_item"},
        ),
        (lambda c, f: _sealed_again(c, f, "fates", _all("exclusion", None)), {"allowed_item_lost"}),
        (
            lambda c, f: _sealed_again(c, f, "measures", _beside_a_protected_copy),
            {"record_beside_protected_copy", "measured_otherwise"},
        ),
        (lambda c, f: _sealed_again(c, f, "measures", _hidden), {"protected_item_unmeasured"}),
        (
            lambda c, f: _sealed_again(c, f, "measures", lambda rows: rows.clear()),
            {"protected_item_unmeasured", "record_unmeasured"},
        ),
        (lambda c, f: _sealed_again(c, f, "measures", _all("record_id", "0")), {"record_unmeasured"}),
        (lambda c, f: _sealed_again(c, f, "measures", lambda rows: rows.append(rows[0])), {"measured_twice"}),
        (
            lambda c, f: _sealed_again(c, f, "measures", lambda rows: rows[0].update(item_id="x")),
            {"measures_of_nothing"},
        ),
        (lambda c, f: _sealed_again(c, f, "measures", _link_a_protected), {"measures_of_nothing"}),
        (_fewer_bands, {"bands_beside_nothing"}),
        (lambda c, f: _sealed_again(c, f, "measures", _all("words", 99)), {"measured_otherwise"}),
        (lambda c, f: _sealed_again(c, f, "measures", _all("exact", bytes(16))), {"measured_otherwise"}),
    ],
)
def test_records_that_do_not_fit_their_lineage_are_found(
    copy: Path, plant: Callable[[Path, Path], None], expected: set[str]
) -> None:
    plant(next((copy / "corpora").iterdir()), copy)
    assert expected <= set(_verdict(copy))


def test_a_record_that_says_the_name_of_somebody_who_objected_is_found(
    copy: Path, built: tuple[World, CorpusManifest, Path]
) -> None:
    corpus = next((copy / "corpora").iterdir())
    people = {facts["objected"]: facts for facts in built[0].people.values()}
    assert len(people) == 2
    for facts in people.values():
        _said(corpus, facts["display"])
        found = {"record_says_objector": 1} if facts["objected"] else {}
        corpus = next((copy / "corpora").iterdir())
        assert _verdict(copy).items() == found.items()


def test_names_are_told_at_borders_of_words_in_any_case() -> None:
    said = Names(["Sir  José Álvarez", "Li Wu", "Anna-Maria O’Neil", "Madonna", "R2 1977", ""]).said
    texts = ["(LI WU)", "li\n\nwu", "anna-maria o’neil,", "x SIR JOSÉ ÁLVAREZ.", "Li Wu"]
    assert [said(pa.array([text])) for text in texts] == [1] * len(texts)
    assert said(pa.array([*texts, None, "", *texts])) == 2 * len(texts)
    spelled = [("Karl Heß", "KARL HESS"), ("Karl Hess", "Karl Heß"), ("Roß Maier", "ROẞ MAIER"), ("Ann Sá", "Ann SÁ")]
    spelled += [("Eva Sommer", "Eva ſommer"), ("José Sommer", "José ſommer"), ("Hans Ossian", "Hans Oſſian")]
    spelled += [("Karl Kunz", "\u212aarl \u212aunz")]
    for name, text in [*spelled, ("Griff Li", "Griﬀ Li"), ("İbo Kaya", "İBO KAYA"), ("Kristin Ost", "kriſtin oſt")]:
        assert Names([name]).said(pa.array([f"that was {text}."])) == 1
    others = ["li wux", "xli wu", "li_wu", "Li <NAME> Wu", "anna maria", "madonna louise", "r2 1977", "", None]
    assert [said(pa.array([text], pa.string())) for text in others] == [0] * len(others)


_PART = st.text("aBsſßẞçÉİжЯ-’ ,.", min_size=1, max_size=3)


@given(
    st.lists(st.lists(_PART, min_size=1, max_size=3).map(" ".join), max_size=3),
    st.lists(st.text("aBsſßẞçÉİжЯ-’,. \n", max_size=12), max_size=4),
)
def test_the_search_finds_what_a_plain_one_finds(names: list[str], texts: list[str]) -> None:
    """The signs around a space only say where to look."""
    finder = Names(names)
    for text in [*texts, *names] if finder else ():
        clean = "\n\n".join(" ".join(part.split()) for part in text.split("\n\n")).strip()
        if re.search(r"[ßẞ]\s+[ßẞ]", clean):
            continue  # no word begins so
        assert finder.said(pa.array([clean])) == finder._stands_in(clean)


def test_a_wrong_decision_is_never_published(tmp_path: Path) -> None:
    world = World()
    world.person("obi", objected=True)
    world.item("i", "obi", "these are ten words of somebody who said no before")
    world.decide = lambda row: 0  # type: ignore[method-assign]  # a policy room gone wrong
    with pytest.raises(BrokenError, match="independent verifier") as caught:
        made(world, tmp_path)
    assert any("objected" in fault for fault in caught.value.faults)
    assert not list(tmp_path.glob("corpora/*/manifest.json"))


def test_the_engine_can_spill_both_ways(tmp_path: Path) -> None:
    """Encrypted and not: a setting that fails only when memory runs out would fail at scale only."""
    from demur.corpus.verify import connect

    for encrypted in (True, False):
        spill = tmp_path / str(encrypted)
        spill.mkdir()
        with connect(spill, encrypted=encrypted) as engine:
            engine.execute("SET memory_limit = '40MB'")
            engine.execute("CREATE TABLE a AS SELECT i::VARCHAR || 'abcdefghijklmnop' AS s FROM range(2000000) t(i)")
            assert engine.execute("SELECT count(*) FROM (SELECT DISTINCT s FROM a)").fetchone() == (2000000,)


def test_want_of_memory_is_told_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from demur.corpus.verify import connect

    monkeypatch.setenv("DEMUR_VERIFIER_MEMORY", "10MB")
    with pytest.raises(OutsideError, match="DEMUR_VERIFIER_MEMORY"), connect(tmp_path, encrypted=False) as engine:
        engine.execute("SELECT list(i::VARCHAR || 'abcdefghijklmnop') FROM range(2000000) t(i)")


# A verdict upon another ----------------------------------------------------------------------------------------------


def _leaving(folder: Path, seed: int = 24) -> tuple[World, Path, str]:
    """Build a corpus, then have somebody with several records object."""
    world = network(seed, people=12, items=90)
    _, corpus = made(world, folder)
    found = Counter(row["person_id"] for row in lineage(corpus, ring(folder)) if row["role"] == "author")
    person = found.most_common(1)[0][0].removeprefix("p:")
    world.people[person]["objected"] = True
    return world, corpus, person


def test_after_an_objection_only_what_it_touches_is_judged_again(tmp_path: Path) -> None:
    world, corpus, _ = _leaving(tmp_path)
    manifest, new = made(world, tmp_path, replaces=corpus, narrowed_at=LATER)
    assert manifest.verdict["agrees"]
    assert manifest.verdict["upon"] == read_manifest(corpus).digest
    assert 0 < manifest.verdict["judged"] < manifest.verdict["items"] == len(world.items)
    whole = verify(new, items=tmp_path / "in/items", standing=tmp_path / "in/standing", keys=ring(tmp_path))
    assert whole.agrees
    assert set(whole.checks) == set(manifest.verdict["checks"])
    assert (whole.records, whole.items) == (manifest.verdict["records"], manifest.verdict["items"])


def test_a_verdict_stands_upon_no_other_rules_people_or_snapshot(tmp_path: Path) -> None:
    world, corpus, _ = _leaving(tmp_path)
    manifest, _ = made(world, tmp_path, replaces=corpus, narrowed_at=LATER, source="another")
    assert manifest.verdict["upon"] is None


def _without(name: str) -> Callable[[Path], None]:
    return lambda folder: shutil.rmtree(folder / name)


def _nothing_opened(folder: Path) -> None:
    write_json(folder / "COMMIT.json", read_commit(folder) | {"opened": []})


def _fates_lost(folder: Path) -> None:
    """Half of the fates of opened parts are not written."""
    for file in sorted((folder / "fates").glob("*.arrow")):
        with pa.ipc.open_stream(file.read_bytes()) as reader:
            rows = reader.read_all()
        with pa.OSFile(str(file), "wb") as stream, pa.ipc.new_stream(stream, rows.schema) as writer:
            writer.write_table(rows.slice(0, rows.num_rows // 2))


FAULTS = {
    "records that go stay in their slices": ("place", _without("removed")),
    "lineage of records that went stays": ("place", _without("unlinked")),
    "new lineage is lost": ("place", _without("lineage")),
    "fates are lost": ("place", _fates_lost),
    "changed parts are taken over as they were": ("select", _nothing_opened),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_a_stage_is_found_though_only_changes_are_judged(tmp_path: Path, fault: str) -> None:
    world, corpus, _ = _leaving(tmp_path)
    at, spoil = FAULTS[fault]

    def runner(target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        facts = here(target, folder, arguments)
        if folder.name.startswith(at):
            spoil(folder)
        if folder.name == "verify":
            assert facts["verdict"]["upon"], "the verdict stands upon the one before"
        return read_commit(folder)

    with pytest.raises(BrokenError, match="verifier"):
        made(world, tmp_path, replaces=corpus, narrowed_at=LATER, runner=runner)


@pytest.mark.parametrize("fact", [{"objected": True}, {"born_on": None}, {"status": "deleted"}, {"private": True}])
def test_decisions_that_do_not_know_what_is_known_of_a_person_are_found(
    tmp_path: Path, fact: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = network(23, people=12, items=90)
    _, corpus = made(world, tmp_path)
    monkeypatch.setattr(World, "decide", partialmethod(_as_before, dict(_masks(world))))
    found = Counter(row["person_id"] for row in lineage(corpus, ring(tmp_path)) if row["role"] == "author")
    world.people[found.most_common(1)[0][0].removeprefix("p:")].update(fact)
    with pytest.raises(BrokenError, match="verifier"):
        made(world, tmp_path, replaces=corpus, narrowed_at=LATER)


def _masks(world: World) -> Iterator[tuple[str, int]]:
    for item, row in world.items.items():
        yield item, world.decide(row)


def _as_before(_: World, masks: dict[str, int], row: dict[str, Any]) -> int:
    return masks[row["item_id"]]


# What people say in others' texts, and copies of what they said -------------------------------------------------------


def _told(folder: Path) -> tuple[World, Path]:
    """Build a corpus in which others copy and name somebody who then objects."""
    world = network(31, people=12, items=60)
    chance = random.Random(5)
    text, other = sentence(chance, 20), sentence(chance, 20)
    world.person("obi", display="Obi Kenobi")
    world.person("ann")
    world.item("first", "obi", text)
    world.item("copy", "ann", text)
    world.item("naming", "ann", f"{other} and I met Obi Kenobi there")
    _, corpus = made(world, folder)
    world.people["obi"]["objected"] = True
    return world, corpus


def _again(world: World, folder: Path, corpus: Path | None, at: str, spoil: Callable[[Path], None]) -> list[str]:
    """Build with a fault in a stage; return the violations that the refusal names."""

    def runner(target: str, stage: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        facts = here(target, stage, arguments)
        if stage.name.startswith(at):
            spoil(stage)
        if stage.name == "verify":
            assert (facts["verdict"]["upon"] is not None) == (corpus is not None)
        return read_commit(stage)

    with pytest.raises(BrokenError, match="verifier") as caught:
        made(world, folder, replaces=corpus, narrowed_at=LATER, runner=runner)
    return [fault.split(":")[0] for fault in caught.value.faults]


def _copies_stay(folder: Path) -> None:
    for file in sorted((folder / "verdicts").iterdir()):
        bucket = int(file.stem)
        rows = read_bucket(folder / "verdicts", VERDICTS, bucket)
        guarded = pc.equal(rows["exclusion"], "protected_copy")
        kept = pc.if_else(pc.fill_null(guarded, fill_value=False), pa.scalar(None, pa.string()), rows["exclusion"])
        file.unlink()
        write_bucket(folder / "verdicts", bucket, rows.set_column(1, VERDICTS.field("exclusion"), kept))


def _measured(column: str, value: Any) -> Callable[[Path], None]:
    """Protected texts have other measures than they should."""

    def spoil(folder: Path) -> None:
        for file in sorted((folder / "measures").iterdir()):
            bucket = int(file.stem)
            rows = read_bucket(folder / "measures", MEASURES, bucket).to_pylist()
            for row in rows:
                if row["protected"] and row["exact"]:
                    row[column] = value
            file.unlink()
            write_bucket(folder / "measures", bucket, pa.Table.from_pylist(rows, schema=MEASURES))

    return spoil


@pytest.mark.parametrize("upon", [True, False])
@pytest.mark.parametrize(
    ("at", "spoil", "expected"),
    [
        ("deduplicate", _copies_stay, "record_beside_protected_copy"),
        ("text", _measured("exact", bytes(16)), "measured_otherwise"),
        ("text", _measured("exclusion", "too_short"), "record_beside_protected_copy"),
    ],
)
def test_copies_of_what_somebody_said_who_objected_are_found(
    tmp_path: Path, at: str, spoil: Callable[[Path], None], expected: str, *, upon: bool
) -> None:
    world, corpus = _told(tmp_path)
    assert expected in _again(world, tmp_path, corpus if upon else None, at, spoil)


@pytest.mark.parametrize("upon", [True, False])
@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"objected": True}, "measured_twice"),
        ({"objected": True}, "measures_of_nothing"),
        ({"objected": False, "delivered": False}, "measures_of_nothing"),
    ],
)
def test_measures_that_should_have_gone_are_found(
    tmp_path: Path, facts: dict[str, Any], expected: str, monkeypatch: pytest.MonkeyPatch, *, upon: bool
) -> None:
    """Of what is withheld nothing stays; if the reason protects it, it stands once, and without a record."""
    world, corpus = _told(tmp_path)
    world.people["obi"].update(facts)
    writing, changing = (sys.modules[f"demur.corpus.{name}"] for name in ("write", "verify_changed"))
    staying = writing._Sealing._staying

    def leaking(self: Any, name: str, parts: list[int]) -> Iterator[tuple[Any, Any]]:
        everything = name == "measures" and not self._whole
        return self._earlier.measures(parts) if everything else staying(self, name, parts)

    monkeypatch.setattr(writing._Sealing, "_staying", leaking)
    if not upon:
        monkeypatch.setattr(changing, "_upon", lambda *_: False)

    def runner(target: str, stage: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        found = here(target, stage, arguments)
        if stage.name == "verify":
            assert (found["verdict"]["upon"] is not None) == upon
        return found

    with pytest.raises(BrokenError, match="verifier") as caught:
        made(world, tmp_path, replaces=corpus, narrowed_at=LATER, runner=runner)
    assert expected in [fault.split(":")[0] for fault in caught.value.faults]


@pytest.mark.parametrize("upon", [True, False])
def test_a_name_that_stays_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, upon: bool) -> None:
    world, corpus = _told(tmp_path)
    if upon:
        nothing = pa.array([], pa.string())
        monkeypatch.setattr(sys.modules["demur.corpus.touched"], "mentioning", lambda *_, **__: nothing)
    else:
        monkeypatch.setattr("demur.corpus.text.objector_names", lambda _: [])
    assert "record_says_objector" in _again(world, tmp_path, corpus if upon else None, "nowhere", lambda _: None)


@pytest.mark.parametrize("scope", list(ThirdPartyScope))
def test_what_the_policy_leaves_is_no_violation(tmp_path: Path, scope: ThirdPartyScope) -> None:
    world, _ = _told(tmp_path / "told")
    world.scope = scope
    manifest, corpus = made(world, tmp_path, narrowed_at=LATER)
    assert manifest.verdict["agrees"]
    texts = [row["text"] for row in records(corpus).values()]
    assert any("Obi Kenobi" in text for text in texts) == (scope is not ThirdPartyScope.COPIES_AND_MENTIONS)
    copied = next(row["text"] for name, row in world.items.items() if name == "copy")
    assert (copied in texts) == (scope is ThirdPartyScope.OWN_CONTENT)


@pytest.mark.parametrize("mode", ["mask", "drop", "fake"])
def test_a_made_up_name_may_be_somebodys(tmp_path: Path, mode: str) -> None:
    world, _ = _told(tmp_path / "told")
    _, corpus = made(world, tmp_path, recipe=replace(RECIPE, redaction_mode=mode))
    assert _verdict(tmp_path) == {}
    _said(corpus, "Obi Kenobi")
    assert _verdict(tmp_path) == ({} if mode == "fake" else {"record_says_objector": 1})


def test_a_verdict_that_asked_less_is_not_stood_upon(tmp_path: Path) -> None:
    world, corpus, _ = _leaving(tmp_path)
    manifest = read_manifest(corpus)
    checks = {name: count for name, count in manifest.verdict["checks"].items() if name != "record_says_objector"}
    write_manifest(corpus, replace(manifest, verdict={**manifest.verdict, "checks": checks}))
    again, _ = made(world, tmp_path, replaces=corpus, narrowed_at=LATER)
    assert again.verdict["agrees"]
    assert again.verdict["upon"] is None


def test_texts_of_other_rules_are_not_measured_again(copy: Path) -> None:
    corpus = next((copy / "corpora").iterdir())
    manifest = read_manifest(corpus)
    write_manifest(corpus, replace(manifest, versions={**manifest.versions, "similarity": "former"}))
    verdict = verify(corpus, items=copy / "in" / "items", standing=copy / "in" / "standing", keys=ring(copy))
    assert verdict.agrees
    assert verdict.measured is None


# Where the verifier looks in parts that stayed ------------------------------------------------------------------------


def _index(corpus: Path, folder: Path, target: Path) -> Path:
    """Seal an index of every row of a corpus."""
    where, secret = Where(), ring(folder).secret("lineage")
    for kind in COLUMNS:
        file = SealedFile(corpus / f"sealed/{kind}.sealed", kind, secret=secret)
        for parts, rows in file.gathered(sorted(file.present)):
            where.add(kind, parts, rows)
    target.parent.mkdir(parents=True, exist_ok=True)
    where.seal(target, secret)
    return target


def _entries(path: Path, folder: Path) -> list[list[tuple[int, int]]]:
    """Return what an index has, by what is asked for."""
    file = SealedFile(path, "where", secret=ring(folder).secret("lineage"))
    tables = [pa.concat_tables(file.numbered([bucket])) for bucket in range(file.buckets)]
    return [sorted(zip(one["part"].to_pylist(), one["number"].to_pylist(), strict=True)) for one in tables]


def test_the_index_carried_on_is_the_one_made_from_every_row(tmp_path: Path) -> None:
    world, corpus, _ = _leaving(tmp_path)
    manifest, upon = made(world, tmp_path, replaces=corpus, narrowed_at=LATER)
    assert manifest.verdict["upon"]
    carried = _entries(upon / "sealed/where.sealed", tmp_path)
    assert all(carried)
    assert carried == _entries(_index(upon, tmp_path, tmp_path / "made/where.sealed"), tmp_path)
    assert carried != _entries(_index(corpus, tmp_path, tmp_path / "made/where.sealed"), tmp_path)


def test_upon_an_index_that_has_nothing_of_a_part_all_is_judged(tmp_path: Path) -> None:
    world, corpus, _ = _leaving(tmp_path)
    path, secret = corpus / "sealed" / "where.sealed", ring(tmp_path).secret("lineage")
    file = SealedFile(path, "where", secret=secret)
    parts = [(bucket, table.slice(table.num_rows // 2)) for bucket, table in file.parts(range(file.buckets))]
    write_sealed(path, "where", parts, secret=secret, buckets=file.buckets)
    _remanifest(corpus)
    manifest, _ = made(world, tmp_path, replaces=corpus, narrowed_at=LATER)
    assert manifest.verdict["agrees"]
    assert manifest.verdict["upon"] is None


def test_an_index_that_names_wrong_parts_hides_no_record_that_says_a_new_name(tmp_path: Path) -> None:
    world = World()
    for number in range(12):
        world.person(f"writer {number}")
        friend = "Eva Weber" if number == 0 else "nobody"
        world.item(f"i:{number}", f"writer {number}", f"{sentence(random.Random(number), 12)} with {friend}")
    world.person("eva", display="Eva Weber")
    _, corpus = made(world, tmp_path)
    path, secret = corpus / "sealed" / "where.sealed", ring(tmp_path).secret("lineage")
    file = SealedFile(path, "where", secret=secret)
    parts = list(file.parts(range(file.buckets)))
    here = sorted(SealedFile(corpus / "sealed/lineage.sealed", "lineage", secret=secret).present)
    another = dict(zip(here, [*here[1:], here[0]], strict=True))
    for number, (bucket, table) in enumerate(parts):
        numbers = [another.get(part, part) for part in table["part"].to_pylist()]
        parts[number] = bucket, table.set_column(0, table.schema.field("part"), pa.array(numbers, pa.uint32()))
    write_sealed(path, "where", parts, secret=secret, buckets=file.buckets)
    _remanifest(corpus)
    world.people["eva"]["objected"] = True
    found, upon = made(world, tmp_path, replaces=corpus, narrowed_at=LATER)
    clean, _ = made(world, tmp_path / "clean", narrowed_at=LATER)
    assert found.digest == clean.digest
    assert not [one for one in records(upon).values() if "Weber" in one["text"]]


def _planted(corpus: Path, folder: Path, kind: str, person: str, change: Callable[[dict[str, Any]], Rows]) -> None:
    """Change the rows of a person's part, and the index: a corpus in which nothing is wrong yet."""
    path, secret = corpus / "sealed" / f"{kind}.sealed", ring(folder).secret("lineage")
    file = SealedFile(path, kind, secret=secret)
    parts = list(file.parts(sorted(file.present)))
    mine = bucket_of(person, file.buckets)
    for number, (part, rows) in enumerate(parts):
        if part == mine:
            parts[number] = part, pa.Table.from_pylist([n for r in rows.to_pylist() for n in change(r)], rows.schema)
    write_sealed(path, kind, parts, secret=secret, buckets=file.buckets)
    _index(corpus, folder, corpus / "sealed/where.sealed")
    _remanifest(corpus)


@pytest.mark.parametrize(
    "fault",
    [
        "copy_of_no_allowed_item",
        "record_beside_protected_copy",
        "lineage_without_record",
        "owner_objected",
        "measured_twice",
        "measures_of_nothing",
    ],
)
@pytest.mark.parametrize("blind", [False, True])
def test_what_stands_in_a_part_that_stayed_is_found_by_the_index(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch, *, blind: bool
) -> None:
    """What is lawful in the corpus before is not when somebody objects; no difference tells where it is."""
    world, corpus = _told(tmp_path)
    secret = ring(tmp_path).secret("lineage")
    links = pa.concat_tables(SealedFile(corpus / "sealed/lineage.sealed", "lineage", secret=secret).all()).to_pylist()
    authors = [row for row in links if row["role"] == "author"]
    first = next(row for row in authors if row["item_id"] == "first")
    near = {bucket_of(one, 64) for one in ("p:obi", "p:ann")}
    other = next(row for row in authors if bucket_of(row["person_id"], 64) not in near)
    measures = SealedFile(corpus / "sealed/measures.sealed", "measures", secret=secret).all()
    exact = {row["item_id"]: row["exact"] for table in measures for row in table.to_pylist()}
    foreign = {**other, "role": "copy_owner", "beside": None}
    plant: dict[str, tuple[str, Callable[[dict[str, Any]], Rows]]] = {
        "copy_of_no_allowed_item": ("lineage", lambda row: [row, {**foreign, "item_id": "first"}]),
        "lineage_without_record": ("lineage", lambda row: [row, {**foreign, "record_id": first["record_id"]}]),
        "owner_objected": ("lineage", lambda row: [row, {**foreign, "person_id": "p:obi"}]),
        "measured_twice": ("measures", lambda row: [
            {**row, "item_id": "first"} if row["item_id"] == other["item_id"] else row
        ]),
        "measures_of_nothing": ("measures", lambda row: [
            {**row, "item_id": "first"} if row["item_id"] == other["item_id"] else row
        ]),
        "record_beside_protected_copy": ("measures", lambda row: [
            {**row, "exact": exact["first"]} if row["item_id"] == other["item_id"] else row
        ]),
    }  # fmt: skip
    _planted(corpus, tmp_path, plant[fault][0], other["person_id"], plant[fault][1])
    if blind:
        monkeypatch.setattr(Where, "parts", lambda *_, **__: set())
        made(world, tmp_path, replaces=corpus, narrowed_at=LATER)  # nobody sees it
        return
    assert fault in _again(world, tmp_path, corpus, "nowhere", lambda _: None)

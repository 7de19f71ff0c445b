"""An export holds exactly the corpus, other tools read it, its description is valid; decisions are signed, by id."""

from __future__ import annotations

import importlib.util
import os
import random
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from corpus_worlds import World, fates, made, network, records, ring, sentence
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demur.corpus import read_manifest
from demur.corpus.croissant import NO_LICENCE, Described, croissant
from demur.corpus.decision_file import STATEMENT, check_decisions, write_decisions
from demur.corpus.interchange import export
from demur.corpus.manifest import MANIFEST
from demur.corpus.redact_normal import normalise
from demur.corpus.redact_spans import masked
from demur.corpus.text import own_words
from demur.errors import BrokenError, InputError
from demur.lineage.suppressed import handle_hash, name_hash
from demur.store import digest_file, write_json
from demur.terms.policy import Regime, ThirdPartyScope

TOLD = Described("Agora", "Agora Ltd", "https://agora.example/data", ("CC-BY-SA-4.0",))
READERS = Path(__file__).resolve().parents[2] / "tools" / "check_readers.py"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("interchange")
    world = network(5, people=12, items=90)
    chance = random.Random(1)
    for number in range(6):
        world.item(f"t:{number}", "n5x1", f"Zwölf Boxkämpfer — «日本» 🦜 {sentence(chance, german=True)}")
    return made(world, root)[1]


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Read an export by hand."""
    found: dict[str, dict[str, Any]] = {}
    for path in sorted((folder / "data").rglob("*.*")):
        if path.suffix == ".parquet":
            lines = pq.ParquetFile(path).read().to_pylist()
        else:
            with pa.CompressedInputStream(str(path), "zstd") as stream:
                lines = [orjson.loads(line) for line in stream.read().splitlines()]
        for line in lines:
            assert line["region"] == path.parent.name
            assert line["id"] not in found
            found[line["id"]] = line
    return found


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_an_export_holds_exactly_the_records(corpus: Path, tmp_path: Path, form: str) -> None:
    done = export(corpus, tmp_path / "out", form=form)
    found = rows(tmp_path / "out")
    assert {
        name: {key: value for key, value in row.items() if key not in {"id", "region"}} for name, row in found.items()
    } == {
        name: {key: value for key, value in row.items() if key != "record_id"} for name, row in records(corpus).items()
    }
    assert done.records == len(found)
    assert all(digest_file(tmp_path / "out" / one.path) == one.digest for one in done.files)
    assert [name for name, _ in done.columns][:2] == ["id", "text"]


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_the_same_corpus_gives_the_same_bytes(corpus: Path, tmp_path: Path, form: str) -> None:
    assert export(corpus, tmp_path / "a", form=form) == export(corpus, tmp_path / "b", form=form)


@pytest.fixture
def wider(monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that no build writes yet: what they say is in no digest."""
    monkeypatch.setattr("demur.corpus.interchange.says", lambda *_: True)


@pytest.mark.usefixtures("wider")
def test_columns_that_are_added_later_go_along_and_bytes_are_named_as_left_out(corpus: Path, tmp_path: Path) -> None:
    other = _rewritten(
        corpus,
        tmp_path / "wider",
        lambda table: table.append_column("mixed", pa.array([["de", "en"]] * table.num_rows)).append_column(
            "picture", pa.array([b"\x89PNG"] * table.num_rows)
        ),
    )
    done = export(other, tmp_path / "parquet", form="parquet")
    assert done.left_out == ()
    assert all(
        row["mixed"] == ["de", "en"] and row["picture"] == b"\x89PNG" for row in rows(tmp_path / "parquet").values()
    )
    done = export(other, tmp_path / "jsonl", form="jsonl")
    assert done.left_out == ("picture",)
    assert all(row["mixed"] == ["de", "en"] and "picture" not in row for row in rows(tmp_path / "jsonl").values())


def _rewritten(corpus: Path, target: Path, change: Any) -> Path:
    """Copy a corpus with other columns, with a manifest that fits."""
    manifest = read_manifest(corpus)
    slices = []
    for one in manifest.slices:
        path = target / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(change(pq.ParquetFile(corpus / one.path).read()), path)
        slices.append(replace(one, file_digest=digest_file(path)))
    from dataclasses import asdict

    write_json(target / MANIFEST, asdict(replace(manifest, slices=tuple(slices))))
    return target


def test_a_changed_slice_is_not_exported(corpus: Path, tmp_path: Path) -> None:
    other = _rewritten(corpus, tmp_path / "copy", lambda table: table)
    victim = next(other / one.path for one in read_manifest(other).slices if one.records)
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(content)
    with pytest.raises(BrokenError):
        export(other, tmp_path / "out", form="parquet")


def test_a_folder_with_something_in_it_is_refused(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x", encoding="utf-8")
    with pytest.raises(InputError):
        export(corpus, tmp_path, form="parquet")
    with pytest.raises(InputError):
        export(corpus, tmp_path / "new", form="csv")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.usefixtures("wider")
def test_lists_are_described_as_repeated_and_structures_not_at_all(corpus: Path, tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    other = _rewritten(
        corpus,
        tmp_path / "wider",
        lambda table: (
            table.append_column("mixed", pa.array([["de", "en"]] * table.num_rows))
            .append_column("score", pa.array([0.5] * table.num_rows))
            .append_column("spans", pa.array([[{"start": 1}]] * table.num_rows))
        ),
    )
    folder = _with_card(other, tmp_path / "out", "parquet")
    described = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    assert described.metadata.ctx.issues.errors == set()
    row = next(iter(described.records("records")))
    assert [one.decode() for one in row["records/mixed"]] == ["de", "en"]
    assert row["records/score"] == 0.5
    assert "records/spans" not in row


def _tool() -> Any:
    spec = importlib.util.spec_from_file_location("check_readers", READERS)
    assert spec is not None
    assert spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    kept = dict(os.environ)
    spec.loader.exec_module(tool)
    os.environ.clear()
    os.environ.update(kept)
    return tool


def _with_card(corpus: Path, out: Path, form: str) -> Path:
    done = export(corpus, out, form=form)
    ending = {"parquet": "parquet", "jsonl": "jsonl.zst"}[form]
    card = f'---\nconfigs:\n- config_name: default\n  data_files: "data/*/*.{ending}"\n---\n'
    (out / "README.md").write_text(card, encoding="utf-8")
    write_json(out / "export.json", done.as_json())
    write_json(out / "croissant.json", croissant(read_manifest(corpus), done, TOLD))
    return out


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_datasets_reads_it(corpus: Path, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pytest.importorskip("datasets").disable_progress_bars()
    folder = _with_card(corpus, tmp_path / "out", form)
    tool = _tool()
    truth = {name: row["text"] for name, row in rows(folder).items()}
    assert tool.datasets_files(folder) == truth


@pytest.mark.filterwarnings("ignore")
def test_mlcroissant_finds_no_fault_and_reads_the_records(corpus: Path, tmp_path: Path) -> None:
    mlcroissant = pytest.importorskip("mlcroissant")
    folder = _with_card(corpus, tmp_path / "out", "parquet")
    described = mlcroissant.Dataset(jsonld=folder / "croissant.json")
    issues = described.metadata.ctx.issues
    assert (issues.errors, issues.warnings) == (set(), set())
    read = {row["records/id"].decode(): row["records/text"].decode() for row in described.records("records")}
    assert read == {name: row["text"] for name, row in rows(folder).items()}
    assert described.metadata.data_collection
    assert described.metadata.personal_sensitive_information


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_the_description_says_what_the_manifest_says(corpus: Path, tmp_path: Path, form: str) -> None:
    manifest = read_manifest(corpus)
    done = export(corpus, tmp_path / "out", form=form)
    found = croissant(manifest, done, TOLD)
    files = [one for one in found["distribution"] if one["@type"] == "cr:FileObject"]
    assert {one["contentUrl"]: one["sha256"] for one in files} == {one.path: one.digest for one in done.files}
    assert found["license"] == ["CC-BY-SA-4.0"]
    assert croissant(manifest, done, replace(TOLD, licences=()))["license"] == [NO_LICENCE]
    assert set(found["inLanguage"]) == {row["language"] for row in records(corpus).values()}
    assert found["identifier"].endswith(manifest.digest)
    columns = [one["name"] for one in found["recordSet"][0]["field"]]
    assert columns == [name for name, _ in done.columns]


@pytest.mark.parametrize("scope", list(ThirdPartyScope))
@pytest.mark.parametrize("regime", list(Regime))
@pytest.mark.parametrize("known", [True, False])
def test_the_description_promises_no_more_than_the_policy(
    corpus: Path, tmp_path: Path, scope: ThirdPartyScope, regime: Regime, known: bool
) -> None:
    manifest = read_manifest(corpus)
    done = export(corpus, tmp_path / "out", form="parquet")
    facts = manifest.inputs["policy_facts"]
    (one,) = facts["jurisdictions"]
    two = [one, {**one, "terms": {**one["terms"], "regime": regime.value}}]
    told = {**facts, "third_party_scope": scope.value, "jurisdictions": two, "erase_on_objection": known}
    inputs = {name: value for name, value in manifest.inputs.items() if name != "policy_facts"}
    inputs |= {"policy_facts": told} if known else {}
    counts = {**manifest.counts, "kinds": {"post": 1, **({"ai_chat": 1} if known else {})}}
    found = croissant(replace(manifest, inputs=inputs, counts=counts), done, TOLD)
    said = orjson.dumps(found).decode()
    copies, mentions = known and scope != ThirdPartyScope.OWN_CONTENT, known and scope == list(ThirdPartyScope)[-1]
    everybody = known and regime not in {Regime.NO_CHOICE, Regime.OPT_IN}
    assert ("also where others copied them" in said) == copies
    assert ("what others copied from them may be" in said) == (not copies)
    assert ("names of objectors" in said) == ("Names of people who did not object" in said) == mentions
    assert ("Everybody was told before and could object. " in said) == everybody
    assert ("a new version without them replaces this one" in said) == known
    assert ("said to its AI" in said) == known


@pytest.mark.parametrize(("mode", "words"), [("mask", "placeholders"), ("fake", "made-up"), ("drop", "dropped")])
def test_the_description_says_what_became_of_identifiers(corpus: Path, tmp_path: Path, mode: str, words: str) -> None:
    manifest = read_manifest(corpus)
    done = export(corpus, tmp_path / "out", form="parquet")
    recipe = {**manifest.inputs["recipe"], "redaction_mode": mode}
    found = croissant(replace(manifest, inputs={**manifest.inputs, "recipe": recipe}), done, TOLD)
    assert words in found["rai:personalSensitiveInformation"][0]


def test_an_empty_corpus_can_leave_too(tmp_path: Path) -> None:
    world = World()
    world.person("ann", objected=True)
    world.item("own", "ann", "nobody may use these few words")
    world.item("again", "ann", None, kind="reshare", original_id="own")
    manifest, folder = made(world, tmp_path)
    done = export(folder, tmp_path / "out", form="parquet")
    assert (done.records, done.files) == (0, ())
    assert croissant(manifest, done, TOLD)["recordSet"][0]["field"]


# Decisions -----------------------------------------------------------------------------------------------------------


def decided(path: Path) -> dict[str, dict[str, Any]]:
    if path.suffix == ".parquet":
        lines = pq.ParquetFile(path).read().to_pylist()
    else:
        with pa.CompressedInputStream(str(path), "zstd") as stream:
            lines = [orjson.loads(line) for line in stream.read().splitlines()]
    assert [line["item_id"] for line in lines] == sorted(line["item_id"] for line in lines)
    return {line["item_id"]: line for line in lines}


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_every_item_has_its_decision_and_the_statement_holds(corpus: Path, tmp_path: Path, form: str) -> None:
    keys = ring(corpus.parents[1])
    path = tmp_path / f"decisions.{form}"
    told = write_decisions(corpus, path, keys=keys, form=form)
    found, truth = decided(path), fates(corpus, keys)
    assert found.keys() == truth.keys()
    for name, row in found.items():
        fate = truth[name]
        assert (row["allowed"], row["primary_reason"], row["exclusion"]) == (
            fate["allowed"], fate["primary_reason"], fate["exclusion"],
        )  # fmt: skip
        assert row["use"] == (fate["allowed"] and fate["exclusion"] != "protected_copy")
        assert row["sentence"] == (fate["primary_reason"] or fate["exclusion"])
        assert row["spans"] == fate["spans"]
    assert told["rows"] == len(found)
    assert told["use"] == sum(row["use"] for row in found.values())
    assert check_decisions(path, public_key=keys.verifier().public_bytes_raw().hex()) == told
    assert path.stat().st_mode & 0o077 == 0
    names = ["item_id", "use", "allowed", "primary_reason", "exclusion", "sentence", "spans"]
    assert list(next(iter(found.values()))) == told["columns"] == names


def test_whoever_is_protected_is_not_for_use(tmp_path: Path) -> None:
    world = World()
    for name in ("ann", "ben"):
        world.person(name)
    world.people["ann"]["objected"] = True
    text = sentence(random.Random(3), 20)
    world.item("i:own", "ann", text)
    world.item("i:copy", "ben", text)
    world.item("i:short", "ben", "one two")
    _, folder = made(world, tmp_path)
    write_decisions(folder, tmp_path / "d.parquet", keys=ring(tmp_path), form="parquet")
    found = decided(tmp_path / "d.parquet")
    assert [found[name]["use"] for name in ("i:own", "i:copy", "i:short")] == [False, False, True]
    assert found["i:copy"]["sentence"] == "protected_copy"


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_redaction_can_be_done_again_and_counted_from_the_spans(tmp_path: Path, form: str) -> None:
    """As the page says: places in the normalised text without quotes; null where the item became no record."""
    world = World()
    for name in ("ann", "ben", "eve"):
        world.person(name, objected=name == "eve")
    chance = random.Random(8)
    said = {
        "i:plain": sentence(chance, 20),
        "i:mail": f"🦜 {sentence(chance, 9)}  write to zoë@exämple.org or +48 512 345 678 {sentence(chance, 9)}",
        "i:quote": f"> mail me at old@example.org\n{sentence(chance, 12)} 80.15.3.9 {sentence(chance, 5)}",
        "i:name": f"{sentence(chance, 9)} Eve Tester was there too {sentence(chance, 9)}",
        "i:asked": f"{sentence(chance, 9)} zoë@exämple.org, Zoë  Quill and zoe.q-7 (me@home.org) {sentence(chance, 9)}",
        "i:copy": "",
    }
    key = ring(tmp_path).secret("suppression")
    world.words = [str(name_hash(key, "Zoe Quill")), str(handle_hash(key, "zoe.q-7"))]
    said["i:copy"] = said["i:mail"]
    for number, (name, text) in enumerate(said.items()):
        world.item(name, "ben" if number % 2 else "ann", text)
    world.item("i:hers", "eve", sentence(chance, 20))
    _, folder = made(world, tmp_path)
    keys = ring(tmp_path)
    told = write_decisions(folder, tmp_path / f"d.{form}", keys=keys, form=form)
    assert (told["version"], told["redaction"], told["columns"][-1]) == (2, "demur-redaction-6", "spans")
    found, texts, became = decided(tmp_path / f"d.{form}"), records(folder), fates(folder, keys)
    counted: Counter[str] = Counter()
    for name, row in found.items():
        record = became[name]["record_id"]
        assert (row["spans"] is None) == (record is None), "spans stand where a record was made"
        if record:
            own = own_words(pa.array([said[name]]), pa.array([False]))[0].as_py()
            places = [(one["start"], one["end"], one["kind"]) for one in row["spans"]]
            again = masked(normalise(own), places)
            assert " ".join(again.split()) == " ".join(texts[record]["text"].split())
            counted.update(kind for _, _, kind in places)
    assert counted == {"EMAIL": 3, "PHONE": 1, "IP": 1, "NAME": 2, "HANDLE": 1}
    assert found["i:plain"]["spans"] == []
    assert found["i:hers"]["spans"] is None


@given(place=st.integers(0, 10**9), which=st.sampled_from(["file", "statement"]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_changed_byte_is_found(corpus: Path, tmp_path: Path, place: int, which: str) -> None:
    path = tmp_path / "d.parquet"
    if not path.exists():
        write_decisions(corpus, path, keys=ring(corpus.parents[1]), form="parquet")
    target = path if which == "file" else path.with_name(path.name + STATEMENT)
    content = target.read_bytes()
    changed = bytearray(content)
    if chr(changed[place % len(changed)]).isspace():
        return
    changed[place % len(changed)] ^= 1
    target.write_bytes(changed)
    try:
        with pytest.raises(BrokenError):
            check_decisions(path, public_key=ring(corpus.parents[1]).verifier().public_bytes_raw().hex())
    finally:
        target.write_bytes(content)


def test_the_filter_of_the_page_keeps_what_may_be_used_and_nothing_else(corpus: Path, tmp_path: Path) -> None:
    page = (READERS.parents[1] / "docs" / "interchange.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    assert len(code.splitlines()) <= 28, "twenty lines and their imports"
    names: dict[str, Any] = {}
    exec(compile(code, "interchange.md", "exec"), names)
    path = tmp_path / "decisions.parquet"
    write_decisions(corpus, path, keys=ring(corpus.parents[1]), form="parquet")
    truth = decided(path)
    documents = [SimpleNamespace(id=name) for name in [*truth, "unknown:1"]]
    kept = {one.id for one in names["Allowed"](path)(documents)}
    assert kept == {name for name, row in truth.items() if row["use"]}
    assert 0 < len(kept) < len(truth)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ValueError, match="changed"):
        names["Allowed"](path)


def test_a_record_never_comes_from_an_item_that_is_not_for_use(corpus: Path, tmp_path: Path) -> None:
    keys = ring(corpus.parents[1])
    write_decisions(corpus, tmp_path / "d.parquet", keys=keys, form="parquet")
    table = pq.read_table(tmp_path / "d.parquet")
    usable = set(table.filter(pc.field("use"))["item_id"].to_pylist())
    behind = {name for name, fate in fates(corpus, keys).items() if fate["record_id"]}
    assert behind
    assert behind <= usable

"""A certificate convinces a stranger, and a changed one convinces nobody."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from erasure_worlds import AT, PEOPLE, World, blind, by_slice, certified, chains, corpus, model, planned, without
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.erasure import Certificate, ModelChange, Phases, draft, issue, render_text, request_commitment, verify
from demur.erasure import verify_certificate as checker
from demur.erasure.certificate import FORMAT
from demur.errors import BrokenError, InputError, RefusedError
from demur.ledger import Ledger
from demur.ledger import verify as verify_ledger
from demur.store import KeyRing
from demur.store.files import canonical

EXAMPLES = 3000 if os.environ.get("DEMUR_NIGHTLY") else 150


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return certified(tmp_path_factory.mktemp("certified"))


def failed(checks: list[checker.Check]) -> set[str]:
    return {one.name for one in checks if one.ok is False}


def everything(world: World, content: dict[str, Any] | None = None) -> list[checker.Check]:
    return verify(
        Certificate(content or world.certificate.content),
        public_key=world.public_key,
        model_dir=world.model_dir,
        corpus_dir=world.corpus_dir,
    )


def test_an_honest_certificate_passes_every_check(world):
    checks = everything(world)
    assert [one.name for one in checks if one.ok is not True] == ["checkpoint"], checker.render(checks)
    assert len(world.certificate.content["absences"]) > 5
    assert {one.name for one in verify(world.certificate) if one.ok is None} == {
        "signer", "checkpoint", "corpus folder", "model folder",
    }  # fmt: skip


def test_an_erasure_without_a_model_has_a_certificate_too(tmp_path):
    world = certified(tmp_path, with_model=False)
    assert failed(verify(world.certificate, corpus_dir=world.corpus_dir)) == set()
    assert "model folder" in failed(verify(world.certificate, model_dir=world.model_dir))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [one for name in value for one in leaves(value[name], (*path, name))] or [path]
    if isinstance(value, list):
        return [one for number, item in enumerate(value) for one in leaves(item, (*path, number))] or [path]
    return [path]


def changed(value: Any, data: st.DataObject) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + data.draw(st.sampled_from([-1, 1, 1000]))
    if isinstance(value, str) and value:
        position = data.draw(st.integers(0, len(value) - 1))
        return value[:position] + ("0" if value[position] != "0" else "1") + value[position + 1 :]
    return data.draw(st.sampled_from(["x", 7, ["x"]]))


@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_a_change_of_any_field_is_found(world, data):
    content = copy.deepcopy(world.certificate.content)
    path = data.draw(st.sampled_from(leaves(content)))
    at = content
    for step in path[:-1]:
        at = at[step]
    action = data.draw(st.sampled_from(["change", "remove", "retype"]))
    if action == "change":
        at[path[-1]] = changed(at[path[-1]], data)
    elif action == "remove":
        del at[path[-1]]
    else:
        at[path[-1]] = None if at[path[-1]] is not None else "null"
    assert failed(verify(Certificate(content))), path


def test_every_single_leaf_is_covered(world):
    """Not a sample: each leaf once, including the signature and the ledger's part."""
    content = world.certificate.content
    step = 1 if os.environ.get("DEMUR_NIGHTLY") else 7
    paths = leaves(content)
    for path in [*paths[::step], ("signature",), ("public_key",), ("ledger", "proof"), ("ledger", "vkey")]:
        other = copy.deepcopy(content)
        at = other
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = [at[path[-1]], "more"]
        assert failed(verify(Certificate(other))), path


def resigned(world: World, change: Any) -> dict[str, Any]:
    """What a dishonest operator can do: change the body, sign it again (but not log it again)."""
    import base64

    content = copy.deepcopy(world.certificate.content)
    change(content)
    del content["signature"]
    content["signature"] = base64.b64encode(world.keys.signer().sign(canonical(content))).decode()
    return content


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        (lambda c: c["persons"].append("f" * 64), "absence"),
        (lambda c: c["persons"].__setitem__(0, "0" * 64), "absence"),
        (lambda c: c["absences"].pop(), "absence"),
        (lambda c: c["absences"].append(c["absences"][0]), "absence"),
        (lambda c: c["chains"].pop(), "receipts and corpus"),
        (lambda c: c["chains"][0].pop(0), "receipts"),
        (lambda c: c["chains"].append(c["chains"][0]), "receipts"),
        (lambda c: c["chains"][0][1].__setitem__("people_leaves", 99), "receipts"),
        (lambda c: c["plan"]["changed"].pop(), "plan"),
        (lambda c: c["plan"].__setitem__("replay", []), "plan"),
        (lambda c: c["plan"].__setitem__("tokens", 10**9), "plan"),
        (lambda c: c["corpus"]["after"]["slices"].pop(), "corpus"),
        (lambda c: c["corpus"].__setitem__("recipe", "{}"), "corpus"),
        (lambda c: c["corpus"].__setitem__("after", c["corpus"]["before"]), "receipts and corpus"),
        (lambda c: c["model"]["after"].__setitem__("digest", "0" * 64), "model"),
        (lambda c: c["model"]["rolled_back"]["regions"].popitem(), "model"),
        (lambda c: c["destroyed"].clear(), "ledger"),
        (lambda c: c["limits"].clear(), "ledger"),
        (lambda c: c.__setitem__("extra", 1), "format"),
        (lambda c: c["model"]["after"]["files"].__setitem__("../secret", "0" * 64), "model folder"),
    ],
)
def test_a_dishonest_signer_is_caught_by_the_content(world, change, finding):
    found = failed(everything(world, resigned(world, change)))
    assert "signature" not in found
    assert finding in found
    assert "ledger" in found or finding == "ledger"


def test_a_person_still_in_a_slice_cannot_be_certified_away(world, tmp_path):
    content = world.certificate.content
    staying = by_slice(without("so:7"))
    someone = next(iter(staying.values()))[0]
    keys = KeyRing(tmp_path / "keys", seed=b"world")
    rest = without("so:7")
    change = ModelChange(model(PEOPLE, keys), None, model(rest, keys), {}, chains(rest, keys), staying)
    lie = replace(planned("so:7"), persons=(someone,))
    with pytest.raises(RefusedError):
        draft(
            certificate_id="x", issued_at=AT, requests=[], plan=lie, before=corpus(PEOPLE), after=corpus(rest),
            model=change, phases=Phases(AT, None, 0, None, 0), destroyed=[],
        )  # fmt: skip
    forged = resigned(world, lambda c: c["persons"].__setitem__(0, someone))
    assert "absence" in failed(verify(Certificate(forged)))
    assert blind("so:7") in content["persons"]


def test_receipts_that_name_nobody_prove_nobodys_absence(world):
    said = [[asdict(one) for one in chain] for chain in chains(without("so:7"), world.keys, named=False)]
    found = failed(everything(world, resigned(world, lambda c: c.update(chains=said, absences=[]))))
    assert "absence" in found
    assert "receipts" not in found


def test_a_plan_of_other_corpora_is_refused():
    with pytest.raises(BrokenError):
        draft(
            certificate_id="x", issued_at=AT, requests=[], plan=planned("so:7"), before=corpus(PEOPLE),
            after=corpus(without("so:8")), model=None, phases=Phases(AT, None, 0, None, 0), destroyed=[],
        )  # fmt: skip


def test_another_signer_is_found_when_the_right_one_is_known(world, tmp_path):
    other = KeyRing(tmp_path, seed=b"other").verifier().public_bytes_raw().hex()
    assert failed(verify(world.certificate, public_key=other)) == {"signer"}


def test_the_checkpoint_of_another_history_is_found(world, tmp_path):
    with Ledger.open(world.ledger, world.keys, "example.org/demur") as ledger:
        note = world.certificate.content["ledger"]["proof"].partition("\n\n")[2]
        assert failed(verify(world.certificate, ledger_checkpoint=note)) == set()
        newer = verify(world.certificate, ledger_checkpoint=ledger.checkpoint())
        assert "ask for a proof of consistency" in next(one.detail for one in newer if one.name == "checkpoint")
    shutil.copytree(world.keys._folder, tmp_path / "keys")
    with Ledger.open(tmp_path / "fork", KeyRing(tmp_path / "keys", seed=b"world"), "example.org/demur") as fork:
        from demur.ledger import Entry, EntryKind

        fork.append([Entry(EntryKind.BUILD, AT, str(number), {}) for number in range(6)])
        assert "checkpoint" in failed(verify(world.certificate, ledger_checkpoint=fork.checkpoint()))


def test_a_changed_missing_or_strange_file_is_found(world, tmp_path):
    model_dir, corpus_dir = tmp_path / "model", tmp_path / "corpus"
    shutil.copytree(world.model_dir, model_dir)
    shutil.copytree(world.corpus_dir, corpus_dir)
    assert failed(verify(world.certificate, model_dir=model_dir, corpus_dir=corpus_dir)) == set()
    (model_dir / "report.html").write_text("later")
    assert failed(verify(world.certificate, model_dir=model_dir)) == set()
    (model_dir / "old.safetensors").write_bytes(b"what they remembered")
    assert failed(verify(world.certificate, model_dir=model_dir)) == {"model folder"}
    next(corpus_dir.rglob("*.parquet")).write_bytes(b"changed")
    assert failed(verify(world.certificate, corpus_dir=corpus_dir)) == {"corpus folder"}
    shutil.rmtree(corpus_dir)
    assert failed(verify(world.certificate, corpus_dir=corpus_dir)) == {"corpus folder"}


def test_issuing_again_after_a_kill_logs_once(tmp_path):
    world = certified(tmp_path)
    rest = without("so:7")
    made = draft(
        certificate_id="again", issued_at=AT, requests=[], plan=planned("so:7"), before=corpus(PEOPLE),
        after=corpus(rest), model=None, phases=Phases(AT, None, 0, None, 0), destroyed=[],
    )  # fmt: skip
    with Ledger.open(world.ledger, world.keys, "example.org/demur") as ledger:
        first = issue(made, signer=world.keys.signer(), ledger=ledger, at=AT)
        size = ledger.size
        second = issue(made, signer=world.keys.signer(), ledger=ledger, at=AT + timedelta(days=1))
        assert ledger.size == size
        assert first == second
        assert ledger.opening(size - 1).facts["persons"] == [blind("so:7")]
    assert verify_ledger(world.ledger).ok


def test_the_checker_runs_alone_in_a_bare_interpreter(world, tmp_path):
    """A copy of the one file, isolated, far from demur: standard library and cryptography only."""
    alone = tmp_path / "check.py"
    shutil.copy(checker.__file__, alone)
    cert = tmp_path / "certificate.json"
    world.certificate.write(cert)
    options = ["--public-key", world.public_key, "--model", str(world.model_dir), "--corpus", str(world.corpus_dir)]
    guard = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "finally: assert not [one for one in sys.modules if one.split('.')[0] in ('demur', 'orjson', 'pyarrow')]\n"
    )
    command = [sys.executable, "-I", "-c", guard, str(alone), str(cert), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILS" not in done.stdout
    cert.write_text(cert.read_text().replace("partner 2", "partner 3"))
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1
    assert "FAILS        signature" in done.stdout
    cert.write_text("not JSON")
    assert subprocess.run(command, capture_output=True, check=False, cwd=tmp_path).returncode == 2


def test_the_checker_is_a_module_too(world, tmp_path):
    world.certificate.write(tmp_path / "certificate.json")
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "demur.erasure.verify_certificate",
        str(tmp_path / "certificate.json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_certificates_read_back_and_others_are_refused(world, tmp_path):
    path = tmp_path / "certificate.json"
    world.certificate.write(path)
    assert Certificate.read(path) == world.certificate
    assert path.read_bytes().count(b"\n") > 50
    for text in ("[]", "{", '{"a": 1, "a": 2}', '{"a": 0.5}', '{"a": NaN}'):
        path.write_text(text)
        with pytest.raises(InputError):
            Certificate.read(path)
    assert failed(verify(Certificate({}))) >= {"format", "signature", "corpus", "plan", "ledger"}


def test_the_text_says_what_was_done_and_what_was_not(world):
    text = render_text(world.certificate)
    for words in ("4 removed", "first effect", "export 4 to partner 2", "frozen base model", "proofs of absence"):
        assert words in text or words.capitalize() in text
    assert "so:7" not in text
    assert "so:7" not in json.dumps(world.certificate.content)


def test_both_canonical_forms_and_formats_are_one(world):
    content = world.certificate.content
    assert canonical(content) == checker.canonical(content)
    assert canonical({'é\u2028\x7f\x01"\\/': ["ü", None, True, -1]}) == checker.canonical(
        {'é\u2028\x7f\x01"\\/': ["ü", None, True, -1]}
    )
    assert FORMAT == checker.FORMAT


def test_a_request_is_recognised_by_its_nonce_only():
    assert request_commitment("o-1", bytes(32)) != request_commitment("o-1", b"\1" * 32)
    assert request_commitment("o-1", bytes(32)) != request_commitment("o-2", bytes(32))
    with pytest.raises(InputError):
        request_commitment("o-1", b"short")


def test_the_checker_imports_nothing_of_ours():
    source = Path(checker.__file__).read_text()
    assert "import demur" not in source
    assert "from demur" not in source

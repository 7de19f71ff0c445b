"""The receipt: a file that imports nothing of ours checks it, the ledger's verifier agrees, any change is found."""

from __future__ import annotations

import ast
import copy
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demur.ledger import Entry, EntryKind, Ledger, VerifierKey, read_proof, verify_opening, verify_proof
from demur.objections import verify_receipt
from demur.objections.facts import seal, unseal
from demur.objections.receipt import Context, make_receipt
from demur.store import KeyRing

AT = datetime(2026, 10, 1, 12, tzinfo=UTC)
CONTEXT = Context(
    "Agora Ltd", "Agora", "1 Street", "dpo@agora.example", "https://agora.example", "en", "DPC", "https://d"
)
CHECKER = Path(verify_receipt.__file__)


def made(folder: Path) -> tuple[dict[str, Any], str]:
    keys = KeyRing(folder / "keys")
    facts = {
        "objection": "O-7K3M-9QXT-42HD", "act": "object", "person": keys.mac("blind", "p:1").hex(), "kinds": ["photo"],
        "services": None, "door": "link", "valid_at": "2026-10-01T12:00:00Z", "recorded_at": "2026-10-01T12:00:00Z",
        "sealed": seal(keys, {"person": "p:1"}),
    }  # fmt: skip
    with Ledger.open(folder / "ledger", keys, "example.org/ledger") as ledger:
        ledger.append([Entry(EntryKind.BUILD, AT, f"b{n}", {}) for n in range(3)])
        (index,) = ledger.append([Entry(EntryKind.OBJECTION, AT, "x", facts)])
        ledger.append([Entry(EntryKind.BUILD, AT, "after", {})])
        key = str(ledger.verifier_key)
        return make_receipt(ledger.opening(index), ledger.prove(index).text(), key, CONTEXT, keys.signer()), key


@pytest.fixture(scope="module")
def receipt(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], str]:
    return made(tmp_path_factory.mktemp("receipt"))


def failed(told: dict[str, Any], key: str | None = None) -> list[str]:
    return [one.name for one in verify_receipt.verify(told, verify_receipt.Against(key)) if one.ok is False]


def test_a_receipt_holds_and_the_ledgers_own_verifier_agrees(receipt: tuple[dict[str, Any], str]) -> None:
    told, key = receipt
    assert not failed(told, key)
    proof = read_proof(told["proof"])
    assert verify_proof(proof, VerifierKey.read(key)).size == 5
    from demur.ledger import Opening

    assert verify_opening(proof.leaf, Opening(**told["opening"]))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [one for name, member in value.items() for one in leaves(member, (*path, name))]
    if isinstance(value, list):
        return [one for place, member in enumerate(value) for one in leaves(member, (*path, place))]
    return [path]


OTHERS = st.one_of(st.none(), st.integers(-5, 5), st.booleans(), st.text(max_size=12), st.just([]), st.just({}))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_changed_field_is_found(receipt: tuple[dict[str, Any], str], data: st.DataObject) -> None:
    told, key = copy.deepcopy(receipt[0]), receipt[1]
    path = data.draw(st.sampled_from(leaves(told)))
    *way, last = path
    place: Any = told
    for step in way:
        place = place[step]
    before = place[last]
    how = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if how == "remove":
        del place[last]
    elif how == "add" and isinstance(place, dict):
        place["more"] = data.draw(OTHERS)
    else:
        place[last] = data.draw(OTHERS.filter(lambda one: one != before or type(one) is not type(before)))
    assert failed(told, key)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0), bit=st.integers(0, 7))
def test_any_flipped_bit_of_the_proof_is_found(receipt: tuple[dict[str, Any], str], place: int, bit: int) -> None:
    told = copy.deepcopy(receipt[0])
    raw = bytearray(told["proof"].encode())
    raw[place % len(raw)] ^= 1 << bit
    told["proof"] = raw.decode("utf-8", "replace")
    assert failed(told)


def test_signed_again_by_another_it_is_not_the_trusted_key(receipt: tuple[dict[str, Any], str], tmp_path: Path) -> None:
    other, _ = made(tmp_path)
    assert not failed(other)  # whole in itself
    assert failed(other, receipt[1]) == ["signer"]


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.recursive(
    OTHERS, lambda inner: st.dictionaries(st.sampled_from([*verify_receipt.FIELDS, "facts", "index"]), inner)
).map(orjson.dumps)))  # fmt: skip
def test_nothing_makes_the_checker_fall_over(raw: bytes) -> None:
    try:
        told = verify_receipt.read(raw)
    except ValueError:
        return
    assert failed(told)


def test_the_checker_stands_alone(receipt: tuple[dict[str, Any], str], tmp_path: Path) -> None:
    imported = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(CHECKER.read_text(encoding="utf-8")))
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else
                     [one.name for one in node.names] if isinstance(node, ast.Import) else [])
    }  # fmt: skip
    assert imported <= set(sys.stdlib_module_names) | {"cryptography", "__future__"}
    carried = tmp_path / "check.py"
    carried.write_bytes(CHECKER.read_bytes())
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(orjson.dumps(receipt[0]))
    bad.write_bytes(orjson.dumps({**receipt[0], "record_id": "O-1"}))
    codes = []
    for arguments in ([good], [good, "--key", receipt[1]], [bad], [tmp_path / "none.json"]):
        done = subprocess.run([sys.executable, "-I", carried, *arguments], capture_output=True, text=True, check=False)
        codes.append(done.returncode)
    assert codes == [0, 0, 1, 2]


def test_what_is_sealed_comes_back_and_tells_nothing(tmp_path: Path) -> None:
    keys = KeyRing(tmp_path / "keys")
    short, long = seal(keys, {"person": "p"}), seal(keys, {"person": "p" * 60})
    assert len(short) == len(long)
    assert unseal(keys, short) == {"person": "p"}
    assert seal(keys, {"person": "p"}) == short
    from demur.errors import BrokenError

    with pytest.raises(BrokenError):
        unseal(KeyRing(tmp_path / "other"), short)


def test_the_command_checks_without_a_workspace(receipt: tuple[dict[str, Any], str], tmp_path: Path) -> None:
    from click.testing import CliRunner

    from demur.cli import main

    path = tmp_path / "receipt.json"
    for told, code in ((receipt[0], 0), ({**receipt[0], "record_id": "O-1"}, 1), ([], 2)):
        path.write_bytes(orjson.dumps(told))
        done = CliRunner().invoke(main, ["--home", str(tmp_path / "none"), "receipt", "verify", str(path)])
        assert done.exit_code == code, done.output
    assert not (tmp_path / "none").exists()

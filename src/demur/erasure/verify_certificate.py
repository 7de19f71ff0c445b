"""Check an erasure certificate offline, with Python's standard library and ``cryptography`` alone.

    python verify_certificate.py CERT [--public-key HEX] [--checkpoint FILE] [--model DIR] [--corpus DIR]

This file imports nothing else of demur, so that an auditor can read it in one sitting and carry it away. The format is
described in docs/certificate.md. It does not rebuild anything (``demur erase verify --rebuild`` does), and a passed
check says nothing about copies that nobody can recall.

Exit codes: 0 every check that could be made holds, 1 a check failed, 2 the file cannot be read.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT = "demur-erasure-certificate-1"
FIELDS = frozenset(
    {
        *(
            "format",
            "certificate_id",
            "issued_at",
            "requests",
            "persons",
            "partial",
            "plan",
            "corpus",
            "model",
            "phases",
        ),
        *("chains", "absences", "destroyed", "not_recalled", "limits", "public_key", "ledger", "signature"),
    }
)
_HEX = re.compile(r"[0-9a-f]{64}")
_EMPTY = hashlib.sha256(b"").hexdigest()
_PEOPLE = b"demur-people-1\n"

Slice = tuple[str, int, int]


class Fault(Exception):  # noqa: N818  (a finding, not an error)
    """A check that does not hold, with what was found."""


@dataclass(frozen=True)
class Check:
    """One check: ``ok`` is ``None`` when it could not be made for want of something to compare with."""

    name: str
    ok: bool | None
    detail: str


@dataclass(frozen=True)
class Against:
    """What the certificate is compared with, beside itself."""

    public_key: str | None = None
    """Signer's key from a source that you trust, 64 hex digits."""
    checkpoint: str | None = None
    """A checkpoint of the ledger from a source that you trust, a signed note."""
    model_dir: Path | None = None
    corpus_dir: Path | None = None


def canonical(value: Any) -> bytes:
    """Return the one JSON form: sorted keys, no blanks, UTF-8 (unambiguous: certificates hold no fractions)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON, 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def body_digest(cert: dict[str, Any]) -> str:
    """Return the digest that the ledger entry names: everything but ``ledger`` and ``signature``."""
    return digest({name: value for name, value in cert.items() if name not in ("ledger", "signature")})


def read(text: str | bytes) -> dict[str, Any]:
    """Read a certificate; refuse repeated keys, fractions and anything that is no object.

    Raises:
        ValueError: it is no certificate.
    """
    found = json.loads(text, object_pairs_hook=_once, parse_float=_no_fraction, parse_constant=_no_fraction)
    if not isinstance(found, dict):
        raise ValueError("expected a JSON object")  # noqa: TRY004  (one error for every unreadable file)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _no_fraction(text: str) -> Any:
    raise ValueError(f"expected whole numbers only, found {len(text)} characters of another")


Checker = Callable[[dict[str, Any], Against], "str | None"]
"""Says what it found, or ``None`` where there is nothing to compare with; raises a ``Fault``."""


def verify(cert: dict[str, Any], against: Against = Against(), more: Mapping[str, Checker] = {}) -> list[Check]:
    """Run every check, and those that a caller adds; one that fails hinders none of the others."""
    return [_run(name, check, cert, against) for name, check in (*CHECKS.items(), *more.items())]


def _run(name: str, check: Checker, cert: Any, against: Against) -> Check:
    try:
        detail = check(cert, against)
    except Fault as fault:
        return Check(name, False, str(fault))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        return Check(name, False, f"malformed ({type(error).__name__})")
    except OSError as error:
        return Check(name, False, f"cannot be read ({type(error).__name__})")
    return Check(name, None, "nothing given to compare with") if detail is None else Check(name, True, detail)


def need(holds: bool, otherwise: str) -> None:
    """Raise a finding unless something holds."""
    if not holds:
        raise Fault(otherwise)


def _plain_base64(text: str) -> bytes:
    raw = base64.b64decode(text, validate=True)
    need(base64.b64encode(raw).decode() == text, "base64 is not in its one written form")
    return raw


def _signed(public: str, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _format(cert: dict[str, Any], _: Against) -> str:
    need(cert.get("format") == FORMAT, f"expected the format {FORMAT}")
    need(set(cert) == FIELDS, f"expected exactly the fields of {FORMAT}")
    for one in (*cert["persons"], *cert["partial"], *cert["requests"], cert["public_key"]):
        need(bool(_HEX.fullmatch(one)), "expected 64 hex digits for persons, requests and key")
    for one in cert["destroyed"]:
        need(bool(_HEX.fullmatch(one["digest"])) and one["bytes"] >= 0 and one["at"] > "", "a destruction is malformed")
    return f"{len(cert['persons'])} person(s), {len(cert['destroyed'])} file(s) destroyed"


def _signature(cert: dict[str, Any], _: Against) -> str:
    body = {name: value for name, value in cert.items() if name != "signature"}
    ok = _signed(cert["public_key"], _plain_base64(cert["signature"]), canonical(body))
    need(ok, "the signature does not fit: the certificate was changed")
    return f"Ed25519 key {cert['public_key'][:16]}…"


def _signer(cert: dict[str, Any], against: Against) -> str | None:
    if against.public_key is None:
        return None
    need(cert["public_key"] == against.public_key, "signed by another key than the one that you trust")
    return "the key that you trust"


def _slices(side: dict[str, Any]) -> dict[Slice, tuple[int, str]]:
    return {(region, shard, number): (records, content) for region, shard, number, records, content in side["slices"]}


def _corpus(cert: dict[str, Any], _: Against) -> str:
    recipe = cert["corpus"]["recipe"]
    for name in ("before", "after"):
        side = cert["corpus"][name]
        message = b'{"recipe":' + recipe.encode() + b',"slices":' + canonical(side["slices"]) + b"}"
        need(side["slices"] == sorted(side["slices"]), f"the slices {name} are not in order")
        need(len(_slices(side)) == len(side["slices"]), f"a slice {name} is listed twice")
        need(
            hashlib.sha256(message).hexdigest() == side["digest"], f"the corpus digest {name} is not that of its slices"
        )
    return f"{len(cert['corpus']['after']['slices'])} slices after"


def _contents(side: dict[str, Any]) -> dict[Slice, str]:
    return {place: content for place, (_, content) in _slices(side).items()}


def _plan(cert: dict[str, Any], _: Against) -> str:
    plan, before, after = cert["plan"], _contents(cert["corpus"]["before"]), _contents(cert["corpus"]["after"])
    changed = sorted(one for one in before.keys() | after.keys() if before.get(one) != after.get(one))
    need(
        plan["changed"] == [list(one) for one in changed],
        "the changed slices are not those that differ between the two corpora",
    )
    first: dict[tuple[str, int], int] = {}
    for region, shard, number in changed:
        first.setdefault((region, shard), number)
    replay = [tuple(one) for one in plan["replay"]]
    need(replay == sorted(set(replay)), "the replayed slices are not in order")
    need(
        all(number >= first.get((region, shard), number + 1) for region, shard, number in replay), "a replay too early"
    )
    known = before.keys() | after.keys()
    wanted = {one for one in known if one[2] >= first.get((one[0], one[1]), one[2] + 1)}
    need(wanted <= set(replay), "a slice after a changed one was not trained again")
    need(0 <= plan["tokens"] <= plan["tokens_full"], "more tokens replayed than there are")
    return f"{len(changed)} slice(s) changed, {len(replay)} trained again"


def _model(cert: dict[str, Any], _: Against) -> str:
    model = cert["model"]
    if model is None:
        need(not cert["chains"], "receipts without a model")
        return "no model stands on this corpus"
    for name in ("before", "rolled_back", "after"):
        side = model[name]
        if side is not None:
            regions = [[region, side["regions"][region]] for region in sorted(side["regions"])]
            need(digest(regions) == side["digest"], f"the model digest {name} is not that of its regions")
    return f"after {model['after']['digest'][:16]}…"


def _receipts(cert: dict[str, Any], _: Against) -> str:
    model, places = cert["model"], []
    if model is None:
        return "no model, no receipts"
    for chain in cert["chains"]:
        need(len(chain) > 0, "a chain without receipts")
        region, shard = chain[0]["region"], chain[0]["shard"]
        state, parent = digest(["initial", model["plan_digest"], region, shard]), None
        for number, receipt in enumerate(chain):
            where = f"receipt {region}/{shard}/{number}"
            body = {name: value for name, value in receipt.items() if name != "signature"}
            signed = _signed(cert["public_key"], _plain_base64(receipt["signature"]), canonical(body))
            need(signed, f"{where}: its signature does not fit")
            place = (receipt["region"], receipt["shard"], receipt["slice"])
            need(place == (region, shard, number), f"{where}: out of order")
            need(receipt["parent_receipt"] == parent and receipt["parent_state"] == state, f"{where}: the chain breaks")
            frame = (receipt["plan_digest"], receipt["platform"])
            need(frame == (model["plan_digest"], model["platform_digest"]), f"{where}: another plan or platform")
            still = receipt["records"] > 0 or receipt["out_state"] == state
            need(still, f"{where}: changed the state without a record")
            state, parent = receipt["out_state"], digest(receipt)
            places.append(place)
    need(len(set(places)) == len(places), "two chains of one shard")
    return f"{len(cert['chains'])} chain(s), {len(places)} receipts"


def _agreement(cert: dict[str, Any], _: Against) -> str:
    """Every receipt names the slice of the corpus after; every slice with records has its receipt."""
    if cert["model"] is None:
        return "no model, no receipts"
    after = _slices(cert["corpus"]["after"])
    seen = set()
    for receipt in (one for chain in cert["chains"] for one in chain):
        place = (receipt["region"], receipt["shard"], receipt["slice"])
        expected = after.get(place, (0, _EMPTY))
        ok = receipt["corpus_slice_digest"] == expected[1] and receipt["records"] == expected[0]
        need(ok, f"receipt {place[0]}/{place[1]}/{place[2]} was trained on something else than the corpus after")
        seen.add(place)
    need({place for place, (records, _) in after.items() if records} <= seen, "a slice of the corpus has no receipt")
    replay = {tuple(one) for one in cert["plan"]["replay"]}
    need(replay <= seen, "a slice that was to be trained again has no receipt")
    return f"{len(seen)} receipts name the corpus after"


def _absence(cert: dict[str, Any], _: Against) -> str:
    given = {(one["person"], one["region"], one["shard"], one["slice"]): one["proof"] for one in cert["absences"]}
    need(len(given) == len(cert["absences"]), "a proof of absence is given twice")
    used = 0
    for receipt in (one for chain in cert["chains"] for one in chain):
        names = receipt["records"] == 0 or receipt["people_leaves"] > 0
        need(names, "a receipt of records names nobody: nobody's absence follows from it")
        for person in cert["persons"]:
            place = (person, receipt["region"], receipt["shard"], receipt["slice"])
            if receipt["people_leaves"] == 0 and place not in given:
                proof: dict[str, Any] = {"leaves": 0, "left": None, "right": None}
            else:
                need(place in given, "a proof of absence is missing")
                proof, used = given[place], used + 1
            where = f"slice {place[1]}/{place[2]}/{place[3]}"
            need(is_absent(receipt["people_root"], receipt["people_leaves"], person, proof), f"{where}: proof fails")
    need(used == len(given), "a proof of absence belongs to no receipt")
    return f"{len(cert['persons'])} person(s) in none of the slices ({used} proofs)"


def is_absent(root: str, leaves: int, person: str, proof: dict[str, Any]) -> bool:
    """Say whether two adjacent leaves (or an end) prove that nobody of that blinded id is in the tree."""
    left, right = proof["left"], proof["right"]
    if leaves == 0:
        return left is None and right is None and root == _people_root(0, hashlib.sha256(b"").digest())
    begin, end = left["index"] if left else -1, right["index"] if right else leaves
    if proof["leaves"] != leaves or end != begin + 1:
        return False
    if left and not (left["blinded"] < person and _stands(left, leaves, root)):
        return False
    return not right or (person < right["blinded"] and _stands(right, leaves, root))


def _people_root(leaves: int, merkle: bytes) -> str:
    return hashlib.sha256(_PEOPLE + leaves.to_bytes(8, "big") + merkle).hexdigest()


def _stands(member: dict[str, Any], leaves: int, root: str) -> bool:
    path = [bytes.fromhex(one) for one in member["path"]]
    merkle = climb(hashlib.sha256(b"\x00" + member["blinded"].encode()).digest(), member["index"], leaves, path)
    return merkle is not None and _people_root(leaves, merkle) == root


def climb(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that an audit path leads to (RFC 9162 §2.1.3.2); ``None`` when its length does not fit."""
    if not 0 <= index < size:
        return None
    position, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if position & 1 or position == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        position, last = position >> 1, last >> 1
    return found if last == 0 else None


def _open_checkpoint(note: str, vkey: str, public: str) -> tuple[int, bytes]:
    """Return (size, root) of a checkpoint after checking its signature (c2sp.org/tlog-checkpoint)."""
    origin, _, rest = vkey.partition("+")
    key_id, _, encoded = rest.partition("+")
    typed = b"\x01" + bytes.fromhex(public)
    own_id = hashlib.sha256(origin.encode() + b"\n" + typed).digest()[:4]
    need(_plain_base64(encoded) == typed and key_id == own_id.hex(), "the ledger's key is not the signer's")
    text, _, lines = note.rpartition("\n\n")
    for line in lines.rstrip("\n").split("\n"):
        dash, name, signature = line.split(" ")
        raw = _plain_base64(signature)
        if dash == "—" and name == origin and raw[:4] == own_id:
            need(_signed(public, raw[4:], f"{text}\n".encode()), "the checkpoint was changed")
            head, size, root = text.split("\n")
            need(head == origin, "the checkpoint is of another log")
            return int(size), _plain_base64(root)
    raise Fault("the checkpoint is not signed by the ledger's key")


def _ledger(cert: dict[str, Any], _: Against) -> str:
    head, _, note = cert["ledger"]["proof"].partition("\n\n")
    title, extra, index, *path = head.split("\n")
    need(title == "c2sp.org/tlog-proof@v1", "expected a c2sp.org/tlog-proof@v1")
    leaf, position = _plain_base64(extra.removeprefix("extra ")), int(index.removeprefix("index "))
    size, root = _open_checkpoint(note, cert["ledger"]["vkey"], cert["public_key"])
    found = climb(hashlib.sha256(b"\x00" + leaf).digest(), position, size, [_plain_base64(one) for one in path])
    need(found == root, "the entry is not in the ledger at that place")
    public = read(leaf)
    need(public["kind"] == "erasure", "the entry is of another kind")
    need(public["builds"]["certificate"] == body_digest(cert), "the entry is about another certificate")
    return f"entry {position} of {size}"


def _checkpoint(cert: dict[str, Any], against: Against) -> str | None:
    if against.checkpoint is None:
        return None
    size, root = _open_checkpoint(against.checkpoint, cert["ledger"]["vkey"], cert["public_key"])
    note = cert["ledger"]["proof"].partition("\n\n")[2]
    own_size, own_root = _open_checkpoint(note, cert["ledger"]["vkey"], cert["public_key"])
    need(size == own_size, f"yours is of size {size}, the certificate's of {own_size}: ask for a proof of consistency")
    need(root == own_root, "the ledger shows you another history than the certificate")
    return f"the ledger of size {size} that you trust"


def _corpus_folder(cert: dict[str, Any], against: Against) -> str | None:
    files = cert["corpus"]["after"]["files"]
    strange: Callable[[str], bool] = lambda path: path.startswith("data/")  # noqa: E731
    return None if against.corpus_dir is None else _folder(against.corpus_dir, files, strange)


def _model_folder(cert: dict[str, Any], against: Against) -> str | None:
    if against.model_dir is None:
        return None
    need(cert["model"] is not None, "the certificate is about no model")
    weights = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
    return _folder(against.model_dir, cert["model"]["after"]["files"], lambda path: path.endswith(weights))


def _folder(folder: Path, files: dict[str, str], strange: Callable[[str], bool]) -> str:
    """Compare a folder with listed digests; files beyond the list count when they could hold what was erased."""
    need(len(files) > 0, "the certificate lists no files")
    for path, expected in sorted(files.items()):
        target = folder / path
        need(".." not in Path(path).parts and not Path(path).is_absolute(), "a path leads out of the folder")
        need(target.is_file(), f"{path} is missing")
        with target.open("rb") as stream:
            need(hashlib.file_digest(stream, "sha256").hexdigest() == expected, f"{path} was changed")
    present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    extra = sorted(path for path in present - set(files) if strange(path))
    need(not extra, f"{len(extra)} file(s) that the certificate does not list, first {extra[:1]}")
    return f"{len(files)} files as certified"


CHECKS: dict[str, Checker] = {
    "format": _format,
    "signature": _signature,
    "signer": _signer,
    "corpus": _corpus,
    "plan": _plan,
    "model": _model,
    "receipts": _receipts,
    "receipts and corpus": _agreement,
    "absence": _absence,
    "ledger": _ledger,
    "checkpoint": _checkpoint,
    "corpus folder": _corpus_folder,
    "model folder": _model_folder,
}
"""In the order of docs/certificate.md."""


def render(checks: Iterable[Check]) -> str:
    """Return the checks as text, one a line."""
    words = {True: "holds", False: "FAILS", None: "not checked"}
    return "".join(f"{words[one.ok]:<12} {one.name}: {one.detail}\n" for one in checks)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description="Check an erasure certificate offline.")
    parser.add_argument("certificate", type=Path)
    parser.add_argument("--public-key", help="signer's key that you trust, 64 hex digits")
    parser.add_argument("--checkpoint", type=Path, help="a ledger checkpoint that you trust")
    parser.add_argument("--model", type=Path, help="folder of the model that is served now")
    parser.add_argument("--corpus", type=Path, help="folder of the corpus as it is now")
    options = parser.parse_args(arguments)
    try:
        cert = read(options.certificate.read_bytes())
        checkpoint = options.checkpoint.read_text(encoding="utf-8") if options.checkpoint else None
    except (OSError, ValueError) as error:
        sys.stderr.write(f"expected a certificate (JSON), found something else: {type(error).__name__}\n")
        return 2
    checks = verify(cert, Against(options.public_key, checkpoint, options.model, options.corpus))
    sys.stdout.write(render(checks))
    return 1 if any(one.ok is False for one in checks) else 0


if __name__ == "__main__":
    sys.exit(main())

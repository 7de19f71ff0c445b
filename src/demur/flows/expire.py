"""Versions of a corpus that have had their time are destroyed, with a record that an auditor can check (COR-13).

    judge ─▶ plan on disk ─▶ nothing of it is current ─▶ manifest, salts, bytes, models ─▶ signed record in the ledger

The manifest goes first (then it is no corpus any more), the salts of the sealed files next (then nobody can open them,
whatever is left), all other bytes last. A run that was killed is found by its plan and finished by the next one.
Models that were trained from a version go with it: nobody could be taken out of them exactly without it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from demur.clock import iso, parse
from demur.corpus import read_manifest, settle
from demur.corpus.retention import Judged, Version, judge, shared_with, version_of
from demur.erasure import Destruction, back
from demur.errors import DemurError
from demur.flows.kept import forget as forget_decisions
from demur.flows.left import clear_all
from demur.flows.media import doomed_with
from demur.flows.parts import Parts, current, set_current
from demur.flows.pending import refuse_unfinished, whole_corpora
from demur.ledger import Entry, EntryKind, Ledger, VerifierKey, read_leaf, read_proof, verify_proof
from demur.store import digest_file, digest_json, read_json, write_json
from demur.store.files import canonical
from demur.terms.manifests import CorpusManifest
from demur.terms.site import Retention
from demur.training import doomed, forget, read_model

PLAN, DRAFT, RECORD, LOG = "plan.json", "draft.json", "record.json", "destroyed.jsonl"


@dataclass(frozen=True, slots=True)
class Expired:
    """What an expiry did, or with a rehearsal would do."""

    judged: tuple[Judged, ...]
    records: tuple[Path, ...]
    """Of everything that was destroyed now."""


def versions(parts: Parts) -> list[Version]:
    """Return every version of the corpus that is here."""
    here, made = current(parts.workspace), _made_of(parts)
    return [
        version_of(
            folder,
            current=folder.name == here.corpus,
            served=here.model in made.get(folder.name, {}),
            models=[*made.get(folder.name, {})],
        )
        for folder in whole_corpora(parts)
    ]


def _made_of(parts: Parts) -> dict[str, dict[str, str]]:
    """Return the models that were trained from each corpus and are not destroyed: id → digest."""
    found: dict[str, dict[str, str]] = {}
    for path in sorted(parts.workspace.models.glob("*/manifest.json")):
        model = read_model(path.parent)
        if model.status != "destroyed":
            found.setdefault(model.corpus_id, {})[model.model_id] = model.model_digest
    return found


def rehearse(parts: Parts, retention: Retention, *, at: datetime) -> Expired:
    """Say which versions would go; change nothing."""
    return Expired(tuple(judge(versions(parts), retention, at=at)), ())


def expire(parts: Parts, retention: Retention, *, clock: Callable[[], datetime]) -> Expired:
    """Destroy every version that has had its time; finish what a killed run began.

    Args:
        parts: the workspace, alone.
        retention: how long versions are kept.
        clock: the present instant.

    Raises:
        ConfigError: the retention cannot be carried out.
        RefusedError: an erasure was begun and not finished.
    """
    refuse_unfinished(parts)
    settle(parts.workspace.corpora)
    folders = unfinished(parts)
    judged = judge(versions(parts), retention, at=clock())
    begun = {folder.name[:16] for folder in folders}
    fresh = [one for one in judged if one.expires and one.version.corpus_id not in begun]
    if not folders and not fresh:
        return Expired(tuple(judged), ())
    around = _Around(parts, {*begun, *(one.version.corpus_id for one in fresh)})
    folders += [_plan(parts, one, around, retention, clock()) for one in fresh]
    done = []
    for number, folder in enumerate(folders, 1):
        parts.progress("expiry", number - 1, len(folders))
        done.append(_carry_out(parts, folder, around, clock))
    parts.progress("expiry", len(folders), len(folders))
    return Expired(tuple(judged), tuple(done))


def records(parts: Parts) -> list[Path]:
    """Return the records of destruction, oldest first."""
    found = (parts.workspace.erasures / "expired").glob(f"*/{RECORD}")
    return sorted(found, key=lambda path: (read_json(path)["destroyed_at"], path.parent.name))


def unfinished(parts: Parts) -> list[Path]:
    """Return the folders of expiries that were begun and not finished."""
    plans = sorted((parts.workspace.erasures / "expired").glob(f"*/{PLAN}"))
    return [plan.parent for plan in plans if not (plan.parent / RECORD).exists()]


class _Around:
    """What hangs on versions that go: bytes that stay with others, models, copies that left the house."""

    def __init__(self, parts: Parts, going: Collection[str]) -> None:
        self._kept = [read_manifest(one) for one in whole_corpora(parts) if one.name not in going]
        self._made = _made_of(parts)
        self._left = left_the_house(parts) if going else {}

    def of(self, manifest: CorpusManifest) -> dict[str, Any]:
        """Return the members of a record."""
        made = sorted(self._made.get(manifest.corpus_id, {}).items())
        return {
            "shares": [
                {"what": f"corpora/{manifest.corpus_id}/{path}", "digest": digest, "with": list(others)}
                for path, digest, others in shared_with(manifest, self._kept)
            ],
            "models": [name for name, _ in made],
            "model_digests": [digest for _, digest in made],
            "left_the_house": self._left.get(manifest.digest, []),
        }


def _plan(parts: Parts, one: Judged, around: _Around, retention: Retention, at: datetime) -> Path:
    """Write down what goes and what stays before anything goes."""
    space, version = parts.workspace, one.version
    source = space.corpora / version.corpus_id
    manifest = read_manifest(source)
    names = ("policy", "policy_name", "purpose", "as_of", "known_at", "narrowed_at", "source")
    body = {
        "what": "demur destruction",
        "version": 1,
        "corpus": manifest.corpus_id,
        "corpus_digest": manifest.digest,
        "manifest_digest": digest_file(source / "manifest.json"),
        "inputs": {name: manifest.inputs[name] for name in names},
        "records": version.records,
        "why": one.why,
        "retention": asdict(retention),
        "salts": sorted(manifest.sealed),
        **around.of(manifest),
    }
    folder = space.erasures / "expired" / f"{manifest.corpus_id}-{iso(at).replace(':', '')}"
    write_json(folder / PLAN, {"body": body})
    return folder


def left_the_house(parts: Parts) -> dict[str | None, list[dict[str, Any]]]:
    """Return what left, as the public ledger has it: copies that nobody here can destroy.

    By the digest of the corpus that it is of; ``None`` = tables of all that was read in (``publish.publish_tables``).
    """
    found: dict[str | None, list[dict[str, Any]]] = {}
    if not (parts.workspace.ledger / "public" / "checkpoint").exists():
        return found
    with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
        for index, raw in ledger.entries():
            leaf = read_leaf(raw)
            if leaf["kind"] == EntryKind.EXPORT.value:
                told = {"ledger_entry": index, "at": leaf["at"], "builds": leaf["builds"]}
                found.setdefault(leaf["builds"].get("corpus"), []).append(told)
    return found


def _carry_out(parts: Parts, folder: Path, around: _Around, clock: Callable[[], datetime]) -> Path:
    """Destroy what the plan names, in its order, then write the record; safe to repeat after a kill.

    While the corpus is whole, also after a kill, models can be made from it and copies can leave: asked again here.
    """
    body = read_json(folder / PLAN)["body"]
    manifest = parts.workspace.corpora / body["corpus"] / "manifest.json"
    again = manifest.exists() and digest_file(manifest) != body["manifest_digest"]
    if manifest.exists() and not again:
        body = {**body, **around.of(read_manifest(manifest.parent))}
        write_json(folder / PLAN, {"body": body})
    destruction = Destruction(parts.workspace.root, folder / LOG)
    # a corpus that was built anew after a killed run is not the one of the plan
    destroy_version(parts, None if again else body["corpus"], body["models"], destruction, at=clock())
    forget_decisions(parts)
    return _record(parts, folder, body, destruction, clock())


def destroy_version(
    parts: Parts, corpus: str | None, models: Sequence[str], destruction: Destruction, *, at: datetime
) -> None:
    """Destroy a corpus with what was made from it, in the order that leaves least if it is killed; safe to repeat.

    Args:
        parts: the workspace, alone.
        corpus: its id; ``None`` = only models go.
        models: ids of the models that go.
        destruction: with its log.
        at: now.
    """
    space, here = parts.workspace, current(parts.workspace)
    set_current(
        space,
        corpus=None if here.corpus == corpus else here.corpus,
        model=None if here.model in models else here.model,
        cleared={name: until for name, until in here.cleared.items() if name != corpus},
    )
    clear_all(space)  # first: what it links must not keep bytes alive
    if corpus is not None:
        destruction.destroy(doomed_with(parts, corpus), at)
        source = space.corpora / corpus
        for paths in ([source / "manifest.json"], sorted(source.glob("sealed/*")), [source]):
            destruction.destroy(paths, at)
    gone = [space.models / name for name in models]
    destruction.destroy(doomed(space.models, None, gone=gone), at)
    for one in gone:
        forget(one)


def _record(parts: Parts, folder: Path, body: dict[str, Any], destruction: Destruction, at: datetime) -> Path:
    """Sign what was destroyed and put its digest into the ledger; the draft keeps a killed run's instant."""
    draft = folder / DRAFT
    if not draft.exists():
        files = [one.as_json() for one in destruction.log()]
        key = parts.keys.verifier().public_bytes_raw().hex()
        write_json(draft, {**body, "destroyed_at": iso(at), "files": files, "public_key": key})
    facts = read_json(draft)
    builds = {"corpus": facts["corpus_digest"], "record": digest_json(facts)}
    private = {"expired": facts["corpus"], "why": facts["why"]}
    entry = Entry(EntryKind.ERASURE, parse(facts["destroyed_at"]), f"expiry:{folder.name}", private, builds)
    with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
        (index,) = ledger.append([entry])
        facts["ledger"] = {"vkey": str(ledger.verifier_key), "proof": ledger.prove(index).text()}
    facts["signature"] = base64.b64encode(parts.keys.signer().sign(canonical(facts))).decode()
    write_json(folder / RECORD, facts)
    draft.unlink()
    return folder / RECORD


# Checking ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that a record of destruction must stand up to."""

    name: str
    ok: bool | None
    """``None`` = there was nothing to compare with."""
    detail: str


def check_record(record: dict[str, Any], *, public_key: str | None = None, root: Path | None = None) -> list[Check]:
    """Check a record of destruction offline: who signed it, that the ledger has it, and that all of it is gone.

    Args:
        record: as read.
        public_key: the signer's from a source that you trust (64 hex digits); ``None`` = the one that it names.
        root: the workspace, to look whether the files are gone; ``None`` = not looked.
    """
    facts = {name: value for name, value in record.items() if name not in {"ledger", "signature"}}
    gone = {one["what"]: one["digest"] for one in facts["files"]}
    named = f"corpora/{facts['corpus']}"
    salts = [f"{named}/{one}" for one in facts["salts"]]
    whole = [one for one in facts["files"] if one["what"] in salts and not one["overwritten"]]
    opened = f"{len(whole)} of {len(salts)} sealed files stand whole under another name"
    checks = [
        Check(
            "signature", _signed(record, public_key or facts["public_key"]), f"by the key {facts['public_key'][:16]}"
        ),
        Check("ledger", _logged(record, facts), "its digest stands in the public ledger"),
        Check("manifest", gone.get(f"{named}/manifest.json") == facts["manifest_digest"], "the one that was destroyed"),
        Check(
            "salts",
            all(one in gone for one in salts) and not whole,
            opened if whole else f"{len(salts)} sealed files can no longer be opened",
        ),
    ]
    return [*checks, _is_gone(facts, root)]


def _is_gone(facts: dict[str, Any], root: Path | None) -> Check:
    if root is None:
        return Check("gone", None, "not looked")
    manifest = root / "corpora" / facts["corpus"] / "manifest.json"
    if manifest.exists() and digest_file(manifest) != facts["manifest_digest"]:
        return Check("gone", None, "the same corpus was built again since")
    left, count = len(back(root, facts["files"])), len(facts["files"])
    return Check("gone", not left, f"{left} of {count} files are still here" if left else f"{count} files")


def _signed(record: dict[str, Any], key: str) -> bool:
    body = {name: value for name, value in record.items() if name != "signature"}
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(
            base64.b64decode(record["signature"]), canonical(body)
        )
    except (InvalidSignature, ValueError, KeyError):
        return False
    return bool(key == record["public_key"])


def _logged(record: dict[str, Any], facts: dict[str, Any]) -> bool:
    try:
        key, proof = VerifierKey.read(record["ledger"]["vkey"]), read_proof(record["ledger"]["proof"])
        verify_proof(proof, key)
        leaf = read_leaf(proof.leaf)
    except (DemurError, KeyError):
        return False
    same = key.public.hex() == facts["public_key"] and leaf["kind"] == EntryKind.ERASURE.value
    return bool(same and leaf["builds"] == {"corpus": facts["corpus_digest"], "record": digest_json(facts)})

"""What an erasure leaves in the hands of the one who asked for it (ERASURE §5, ERA-03; format: docs/certificate.md).

    draft ─▶ entry in the ledger that names the draft's digest ─▶ proof of inclusion ─▶ signature over everything

Checking is done by ``verify_certificate``, which shares no code with this module. Not handled here: doing the erasure,
counting, the clock. A certificate is issued for exact erasures only, never for an approximate method (ERASURE §0.7).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from demur.clock import iso
from demur.erasure.destroy import Destroyed
from demur.errors import BrokenError, InputError
from demur.ledger import Entry, EntryKind, Ledger, prove_absences
from demur.store import digest_file, read_json, write_json
from demur.store.files import canonical, digest_json
from demur.terms.manifests import CorpusManifest, ErasurePlan, ModelManifest, Receipt, SliceRef

if TYPE_CHECKING:  # loaded when it is used, so that ``python -m demur.erasure.verify_certificate`` starts clean
    from demur.erasure.verify_certificate import Check, Checker

FORMAT = "demur-erasure-certificate-1"

LIMITS = (
    "The frozen base model keeps whatever its own makers trained it on; this erasure does not reach into it.",
    "Files were overwritten where they stood alone, and removed; disk blocks, snapshots and backups are out of reach.",
    "Copies outside this workspace (exports handed out, published weights, screenshots) cannot be called back.",
    "Whoever kept the model from before can compare it with the one after; such copies must be destroyed too.",
    "Exactness rests on the receipts: any slice can be trained again and compared, and all of them are named here.",
)
"""What no certificate of demur claims; part of every one."""


@dataclass(frozen=True, slots=True)
class Phases:
    """When what happened; instants are handed in."""

    requested_at: datetime
    rolled_back_at: datetime | None
    """First effect: the served model no longer knew the person (phase A)."""
    rollback_milliseconds: int
    replayed_at: datetime | None
    """The replacement stands (phase B)."""
    replay_milliseconds: int


@dataclass(frozen=True, slots=True)
class ModelChange:
    """The model before, between and after."""

    before: ModelManifest
    rolled_back: ModelManifest | None
    after: ModelManifest
    files: Mapping[str, str]
    """Path below the model's folder → SHA-256, for comparing a folder later (``file_digests``)."""
    chains: Sequence[Sequence[Receipt]]
    """The receipts of every shard of the model after, in order."""
    people: Mapping[SliceRef, Sequence[str]]
    """Blinded persons of each slice after, sorted; a slice not named has nobody."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A certificate before it is logged and signed."""

    body: dict[str, Any]

    @property
    def digest(self) -> str:
        """Digest that the ledger entry names."""
        return digest_json({name: value for name, value in self.body.items() if name not in ("ledger", "signature")})


@dataclass(frozen=True, slots=True)
class Certificate:
    """A signed certificate."""

    content: dict[str, Any]

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        write_json(path, self.content)

    @classmethod
    def read(cls, path: Path) -> Certificate:
        """Read a certificate without believing it.

        Raises:
            InputError: the file is no certificate.
        """
        from demur.erasure import verify_certificate as checker

        try:
            return cls(checker.read(path.read_bytes()))
        except (OSError, ValueError) as error:
            raise InputError(f"expected an erasure certificate (JSON) in {path.name}, found something else") from error


def request_commitment(reference: str, nonce: bytes) -> str:
    """Return what a certificate says of a request; the person gets the nonce and can show that it was theirs.

    Args:
        reference: the objection's reference.
        nonce: 32 random bytes, given to the person and kept nowhere else.
    """
    if len(nonce) < 16:
        raise InputError("expected a nonce of at least 16 random bytes, found a shorter one")
    return hmac.digest(nonce, reference.encode(), "sha256").hex()


def file_digests(folder: Path) -> dict[str, str]:
    """Return path → SHA-256 of every file below a folder."""
    return {one.relative_to(folder).as_posix(): digest_file(one) for one in sorted(folder.rglob("*")) if one.is_file()}


def draft(
    *,
    certificate_id: str,
    issued_at: datetime,
    requests: Sequence[str],
    plan: ErasurePlan,
    before: CorpusManifest,
    after: CorpusManifest,
    model: ModelChange | None,
    phases: Phases,
    destroyed: Sequence[Destroyed],
    not_recalled: Sequence[str] = (),
    partial: Sequence[str] = (),
) -> Draft:
    """Put together what the certificate says; everything but the ledger's part and the signature.

    Args:
        certificate_id: id of the erasure.
        issued_at: now.
        requests: commitments (``request_commitment``).
        plan: what was planned; its persons are those that left altogether.
        before: corpus before.
        after: corpus after.
        model: ``None`` when no model was trained on the corpus.
        phases: instants and durations.
        destroyed: log of what was destroyed.
        not_recalled: what is known to be outside and may hold what is erased: a sentence for each copy.
        partial: blinded persons of whom only some items left: no absence is claimed for them.

    Raises:
        BrokenError: the plan is not of these corpora.
        RefusedError: a person that left is still in a slice: there is no such certificate.
    """
    if (plan.corpus_before, plan.corpus_after) != (before.digest, after.digest):
        raise BrokenError("expected the plan of these two corpora, found another; plan the erasure again")
    files = {one.path: one.file_digest for one in after.slices}
    body: dict[str, Any] = {
        "format": FORMAT,
        "certificate_id": certificate_id,
        "issued_at": iso(issued_at),
        "requests": sorted(requests),
        "persons": list(plan.persons),
        "partial": sorted(set(partial) - set(plan.persons)),
        "plan": _plan(plan),
        "corpus": {
            "recipe": canonical(after.inputs["recipe"]).decode(),
            "before": {"digest": before.digest, "slices": _slices(before)},
            "after": {"digest": after.digest, "slices": _slices(after), "files": files},
        },
        "model": _model(model) if model else None,
        "phases": _phases(phases),
        "chains": [[asdict(one) for one in chain] for chain in model.chains] if model else [],
        "absences": _absences(model, plan.persons) if model else [],
        "destroyed": [one.as_json() for one in destroyed],
        "not_recalled": list(not_recalled),
        "limits": list(LIMITS),
    }
    return Draft(body)


def issue(made: Draft, *, signer: Ed25519PrivateKey, ledger: Ledger, at: datetime) -> Certificate:
    """Log a draft and sign it. The same draft is logged once, however often a killed run repeats this.

    Args:
        made: the draft.
        signer: the workspace's signing key; the ledger's key too.
        ledger: gets one entry of kind ``erasure``.
        at: instant of the entry.
    """
    body = {**made.body, "public_key": signer.public_key().public_bytes_raw().hex()}
    builds = {"certificate": Draft(body).digest, "corpus": body["corpus"]["after"]["digest"]}
    if body["model"] is not None:
        builds["model"] = body["model"]["after"]["digest"]
    facts = {"certificate_id": body["certificate_id"], "persons": body["persons"], "partial": body["partial"]}
    key = f"{body['certificate_id']}/{builds['certificate']}"
    (index,) = ledger.append([Entry(EntryKind.ERASURE, at, key, facts, builds)])
    body["ledger"] = {"vkey": str(ledger.verifier_key), "proof": ledger.prove(index).text()}
    body["signature"] = base64.b64encode(signer.sign(canonical(body))).decode()
    return Certificate(body)


def verify(
    certificate: Certificate,
    *,
    public_key: str | None = None,
    ledger_checkpoint: str | None = None,
    model_dir: Path | None = None,
    corpus_dir: Path | None = None,
    more: Mapping[str, Checker] | None = None,
) -> list[Check]:
    """Check a certificate as an outsider would, with the stand-alone checker.

    Args:
        certificate: as read.
        public_key: signer's key from a source that you trust, 64 hex digits; ``None`` = only consistent with itself.
        ledger_checkpoint: a checkpoint that you trust.
        model_dir: the model's folder as it is now.
        corpus_dir: the corpus' folder as it is now.
        more: further checks by name, like those of ``verify_certificate.CHECKS``.

    Returns:
        All checks; ``ok`` is ``None`` where nothing was given to compare with.
    """
    from demur.erasure import verify_certificate as checker

    against = checker.Against(public_key, ledger_checkpoint, model_dir, corpus_dir)
    return checker.verify(certificate.content, against, more or {})


def render_text(certificate: Certificate) -> str:
    """Return the certificate for people: what was asked, what was done, what cannot be done."""
    found = certificate.content
    plan, corpus, model = found["plan"], found["corpus"], found["model"]
    lines = [
        f"Certificate of erasure {found['certificate_id']}",
        f"issued {found['issued_at']}, signed by {found['public_key'][:16]}…",
        "",
        f"Persons (blinded): {', '.join(one[:16] + '…' for one in found['persons']) or 'none left altogether'}",
        f"Requests: {len(found['requests'])}, asked {found['phases']['requested_at']}",
        f"Records: {plan['records_removed']} removed, {plan['records_changed']} changed, {plan['records_added']} added",
        f"Corpus: {corpus['before']['digest'][:16]}… → {corpus['after']['digest'][:16]}…",
        f"Trained again: {len(plan['replay'])} slice(s), {plan['tokens']:,} of {plan['tokens_full']:,} tokens",
    ]
    for region, shard, number in plan["replay"]:
        lines.append(f"  {region}, shard {shard}, slice {number}")
    if model is not None:
        back = model["rolled_back"]
        middle = f"{back['digest'][:16]}… → " if back else ""
        lines.append(f"Model: {model['before']['digest'][:16]}… → {middle}{model['after']['digest'][:16]}…")
        lines.append(
            f"First effect: {found['phases']['rolled_back_at']} ({found['phases']['rollback_milliseconds']} ms)"
        )
        lines.append(f"Proofs of absence: {len(found['absences'])}; receipts: {sum(map(len, found['chains']))}")
    size = sum(one["bytes"] for one in found["destroyed"])
    lines += [f"Destroyed: {len(found['destroyed'])} file(s), {size:,} bytes", "", "Not called back:"]
    lines += [f"  - {one}" for one in found["not_recalled"] or ["nothing known to be outside"]]
    lines += ["", "What this certificate does not say:", *(f"  - {one}" for one in found["limits"])]
    return "\n".join(lines) + "\n"


def _plan(plan: ErasurePlan) -> dict[str, Any]:
    return {
        "changed": [[one.region, one.shard, one.slice] for one in plan.changed],
        "replay": [[one.region, one.shard, one.slice] for one in plan.replay],
        "tokens": plan.tokens,
        "tokens_full": plan.tokens_full,
        "estimated_milliseconds": round(1000 * plan.seconds),
        "records_removed": plan.records_removed,
        "records_changed": plan.records_changed,
        "records_added": plan.records_added,
    }


def _slices(manifest: CorpusManifest) -> list[list[Any]]:
    return sorted([one.region, one.shard, one.slice, one.records, one.content_digest] for one in manifest.slices)


def _model(change: ModelChange) -> dict[str, Any]:
    after = _side(change.after)
    return {
        "plan_digest": change.after.plan_digest,
        "platform_digest": change.after.platform_digest,
        "before": _side(change.before),
        "rolled_back": _side(change.rolled_back) if change.rolled_back else None,
        "after": {**after, "files": dict(sorted(change.files.items()))},
    }


def _side(manifest: ModelManifest) -> dict[str, Any]:
    return {"digest": manifest.model_digest, "regions": {one.region: one.weights_digest for one in manifest.regions}}


def _phases(phases: Phases) -> dict[str, Any]:
    return {
        "requested_at": iso(phases.requested_at),
        "rolled_back_at": iso(phases.rolled_back_at) if phases.rolled_back_at else None,
        "rollback_milliseconds": phases.rollback_milliseconds,
        "replayed_at": iso(phases.replayed_at) if phases.replayed_at else None,
        "replay_milliseconds": phases.replay_milliseconds,
    }


def _absences(change: ModelChange, persons: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for receipt in (one for chain in change.chains for one in chain):
        if receipt.people_leaves == 0:
            continue
        place = SliceRef(receipt.region, receipt.shard, receipt.slice)
        proofs = prove_absences(change.people.get(place, ()), list(persons))
        for person, proof in zip(persons, proofs, strict=True):
            where = {"region": place.region, "shard": place.shard, "slice": place.slice}
            found.append({"person": person, **where, "proof": proof.as_json()})
    return found


def load_draft(path: Path) -> Draft:
    """Read a draft that a killed run wrote before logging it."""
    return Draft(read_json(path))

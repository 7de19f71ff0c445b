"""Checking again what was built: corpora against tables, models against receipts, erasures against clean builds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.clock import parse
from demur.corpus import check_files, read_manifest, verify
from demur.erasure import Certificate
from demur.flows.build import rebuild_corpus, train_model
from demur.flows.decided import decided
from demur.flows.left import fresh
from demur.flows.parts import Parts, corpus_folder, current, kept_policy, model_folder
from demur.flows.pending import waiting_for
from demur.training import open_base, plan_from_json, read_model, verify_receipts


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A clean build from nothing, beside what the workspace holds."""

    corpus_here: str
    corpus_clean: str
    model_here: str | None
    model_clean: str | None

    @property
    def equal(self) -> bool:
        """Bit for bit."""
        return self.corpus_here == self.corpus_clean and self.model_here == self.model_clean


def verify_corpus(parts: Parts, corpus_id: str | None) -> dict[str, Any]:
    """Check every file and let the independent verifier judge again; say what arrived since."""
    folder = corpus_folder(parts.workspace, corpus_id)
    inputs = read_manifest(folder).inputs
    reference, policy = kept_policy(parts.workspace, inputs["policy"])
    as_of, known_at, narrowed_at = (parse(inputs[name]) for name in ("as_of", "known_at", "narrowed_at"))
    with decided(parts, policy, reference, as_of=as_of, known_at=known_at, narrowed_at=narrowed_at) as found:
        verdict = verify(folder, items=found.items, standing=found.standing, keys=parts.keys)
    return {**verdict.as_json(), "pending_restrictions": len(waiting_for(parts, folder))}


def verify_model(parts: Parts, model_id: str | None) -> dict[str, Any]:
    """Check every receipt, state and merged weight of a model; a fault raises BrokenError with all of them."""
    found = verify_receipts(model_folder(parts.workspace, model_id), parts.keys.verifier())
    return {"holds": True, **asdict(found)}


def verify_certificate(parts: Parts, certificate: Path) -> list[Any]:
    """Check a certificate against this workspace's key, corpus and model."""
    from demur import erasure

    found = Certificate.read(certificate)
    here = current(parts.workspace)
    same = here.corpus is not None and found.content["corpus"]["after"]["digest"].startswith(here.corpus)
    whole = here.model is not None and read_model(model_folder(parts.workspace)).status == "complete"
    return erasure.verify(
        found,
        public_key=parts.keys.verifier().public_bytes_raw().hex(),
        corpus_dir=corpus_folder(parts.workspace) if same else None,
        model_dir=model_folder(parts.workspace) if same and whole else None,
    )


def rebuild_clean(parts: Parts, *, at: datetime, workers: int | None = None) -> Rebuilt:
    """Build corpus and model from the source again, reusing nothing, and compare; the clean build is removed."""
    folder = corpus_folder(parts.workspace)
    manifest = read_manifest(folder)
    check_files(folder, manifest)
    here = current(parts.workspace)
    with fresh(parts.workspace, "clean") as scratch:
        clean = rebuild_corpus(
            parts, manifest, narrowed_at=parse(manifest.inputs["narrowed_at"]), out=scratch / "corpora",
            workers=workers or 1,
        )  # fmt: skip
        model_here = model_clean = None
        if here.model is not None:
            model_dir = model_folder(parts.workspace)
            model = read_model(model_dir)
            model_here = model.model_digest
            trained = train_model(
                parts,
                plan_from_json(model.plan),
                open_base((model_dir / model.base_path).resolve(), parts.workspace.models),
                at=at,
                corpus=scratch / "corpora" / clean.corpus_id,
                out=scratch / "models",
                workers=workers,
            )
            model_clean = trained.model_digest
    return Rebuilt(manifest.digest, clean.digest, model_here, model_clean)

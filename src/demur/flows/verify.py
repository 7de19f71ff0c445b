"""Checking again what was built: corpora against tables, models against receipts, erasures against clean builds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.clock import parse
from demur.corpus import check_files, read_manifest, verify
from demur.erasure import Certificate, back
from demur.erasure.verify_certificate import Against, Checker, Fault, need
from demur.errors import DemurError
from demur.flows.build import rebuild_corpus, train_model
from demur.flows.decided import decided
from demur.flows.left import fresh
from demur.flows.parts import Parts, corpus_folder, current, kept_policy, model_folder
from demur.flows.pending import waiting_for, whole_corpora
from demur.ledger import Ledger, verify_extension
from demur.training import doomed, open_base, plan_from_json, read_model, verify_receipts


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
    """Check a certificate against this workspace: key, ledger, corpus, model, and whether what went is still gone."""
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
        more={"this ledger": _with(parts, _in_this_ledger), "gone": _with(parts, _still_gone)},
    )


def _with(parts: Parts, check: Callable[[Parts, dict[str, Any]], str]) -> Checker:
    def made(cert: dict[str, Any], _: Against) -> str:
        try:
            return check(parts, cert)
        except DemurError as error:
            raise Fault(str(error)) from error

    return made


def _in_this_ledger(parts: Parts, cert: dict[str, Any]) -> str:
    """A ledger that was cut back or written anew does not hold the certificate's entry, whatever the proof says."""
    note = cert["ledger"]["proof"].partition("\n\n")[2]
    need((parts.workspace.ledger / "public" / "checkpoint").exists(), "there is no ledger here")
    with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
        _, now = verify_extension(note, ledger.checkpoint(), ledger.extension(note), ledger.verifier_key)
    return f"it extends the certificate's to {now.size} entries"


def _still_gone(parts: Parts, cert: dict[str, Any]) -> str:
    """What stands here again must be of a corpus that was built again since, or of a model of a corpus that is here."""
    space, corpora = parts.workspace, {one.name for one in whole_corpora(parts)}
    again = set(back(space.root, cert["destroyed"]))
    built = {name for name in corpora if f"corpora/{name}/manifest.json" not in again}
    made = [path.parent for path in space.models.glob("*/manifest.json")]
    strange = doomed(space.models, None, gone=[one for one in made if read_model(one).corpus_id not in built])
    nobodys = {path.relative_to(space.root).as_posix() for path in strange}

    def restored(what: str) -> bool:
        room, name, *_ = what.split("/")
        if room == "models":
            return what in nobodys
        return name not in {*built, "cache"}  # a clean file by its digest may be anybody's

    left = sorted(one for one in again if restored(one))
    need(not left, f"{len(left)} of the files that were destroyed stand here again, first {left[:1]}: from a backup?")
    return f"{len(cert['destroyed'])} files"


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

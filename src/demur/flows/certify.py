"""The last step of an erasure: put everything that the journal holds into one signed certificate."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from demur import erasure
from demur.clock import parse
from demur.corpus import read_manifest
from demur.erasure import Journal
from demur.flows.expire import left_the_house
from demur.flows.parts import Parts
from demur.flows.people import people_of
from demur.ledger import Ledger
from demur.store import read_json, write_json
from demur.store.apart import apart
from demur.terms.manifests import ErasurePlan
from demur.training import all_chains, plan_from_json, read_model

_FILES = "complete-files.json"


def save_before(folder: Path, corpus: Path | None, model: Path | None, *, name: str = "before") -> None:
    """Keep the manifests (digests and counts only) of what a later step will destroy."""
    for source, what in ((corpus, "corpus"), (model, "model")):
        target = folder / f"{name}-{what}"
        if source is not None and not (target / "manifest.json").exists():
            target.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / "manifest.json", target / "manifest.json.part")
            (target / "manifest.json.part").replace(target / "manifest.json")


def save_complete(folder: Path, model: Path) -> None:
    """Keep manifest and file digests of the model as trained: it may fall back again before the certificate is made."""
    write_json(folder / "complete-model" / "manifest.json", read_json(model / "manifest.json"))
    write_json(folder / _FILES, erasure.file_digests(model))


def certify(
    parts: Parts,
    journal: Journal,
    plan: ErasurePlan,
    *,
    after: Path,
    model: Path | None,
    first_effect: Mapping[str, Any],
    nonces: dict[str, str],
    asked: Sequence[str],
    at: datetime,
    path: Path,
) -> None:
    """Write the certificate, and beside it the nonces by which the people can show that a request was theirs.

    Args:
        parts: the workspace.
        journal: of the erasure.
        plan: as made.
        after: folder of the corpus after.
        model: folder of the model after; ``None`` = there is none.
        first_effect: when the served model was free of everything, and after how many seconds.
        nonces: restriction → nonce (hex); those of an earlier, killed run are kept.
        asked: blinded ids of the people who asked; those who still have records are listed as partial.
        at: now.
        path: where to.
    """
    answers = journal.folder / "answers.json"
    if not answers.exists():
        with apart(answers) as folder:
            part = folder / answers.name
            write_json(part, nonces)
            part.chmod(0o600)  # whoever has a nonce can show that a request was made
            part.replace(answers)
    kept: dict[str, str] = orjson.loads(answers.read_bytes())
    facts = journal.request["facts"]
    replayed = journal.facts("replay") or {}
    saved = journal.folder / "rollback"
    still = sorted({one for people in people_of(after, parts.keys).values() for one in people})
    draft_path = journal.folder / "certificate" / "draft.json"
    if draft_path.exists():
        made = erasure.load_draft(draft_path)
    else:
        made = erasure.draft(
            certificate_id=journal.erasure_id,
            issued_at=at,
            requests=[erasure.request_commitment(key, bytes.fromhex(nonce)) for key, nonce in kept.items()],
            plan=replace(plan, persons=tuple(one for one in plan.persons if one not in still)),
            before=read_manifest(saved / "before-corpus"),
            after=read_manifest(after),
            model=_change(parts, journal.folder, after, model) if model else None,
            phases=erasure.Phases(
                requested_at=parse(facts["requested_at"]),
                rolled_back_at=parse(first_effect["at"]) if first_effect["at"] else None,
                rollback_milliseconds=round(1000 * first_effect["seconds"]),
                replayed_at=parse(replayed["at"]) if model else None,
                replay_milliseconds=round(1000 * replayed.get("seconds", 0)),
            ),
            destroyed=erasure.Destruction(parts.workspace.root, journal.folder / "purge" / "destroyed.jsonl").log(),
            not_recalled=_outside(parts, clean=[after.name, *(journal.facts("plan") or {})["superseded"]["kept"]]),
            partial=[one for one in asked if one in still],
        )
        write_json(draft_path, made.body)
    with Ledger.open(parts.workspace.ledger, parts.keys) as ledger:
        erasure.issue(made, signer=parts.keys.signer(), ledger=ledger, at=at).write(path)


def _outside(parts: Parts, *, clean: Sequence[str]) -> list[str]:
    """Return what left of every corpus but those that hold none of it; an older one that is gone may have held it.

    Tables hold everybody who was read in by then; earlier versions of demur logged them without their digest.
    """
    found = []
    for corpus, copies in left_the_house(parts).items():
        if corpus is not None and corpus[:16] in clean:
            continue
        of = f"of the corpus {corpus[:16]}" if corpus else "of all that was read in"
        for one in copies:
            names = [f"{what} {digest}" for what, digest in one["builds"].items() if what != "corpus"] or ["tables"]
            found += [f"{name} {of}, left {one['at']}, ledger entry {one['ledger_entry']}" for name in names]
    return found


def _change(parts: Parts, journal: Path, after: Path, model: Path) -> erasure.ModelChange:
    saved, complete = journal / "rollback", journal / "replay"
    new = read_model(complete / "complete-model")
    rolled = saved / "rolled_back-model"
    return erasure.ModelChange(
        before=read_model(saved / "before-model"),
        rolled_back=read_model(rolled) if rolled.exists() else None,
        after=new,
        files=read_json(complete / _FILES),
        chains=list(all_chains(model, plan_from_json(new.plan))),
        people=people_of(after, parts.keys),
    )

"""What leaves the house: a corpus for other tools, the decisions by id. Asked before, and once more before it is whole.

A corpus may leave only while nothing waits to be taken out of it and no hold stops exports (COR-02, HLD-01). What left
is in the public ledger: the digests of the corpus and of the files. The entry comes first, then the files appear: a run
that is killed in between has told of a copy that is not there, never the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.clock import iso
from demur.corpus import read_manifest
from demur.corpus.croissant import Described, croissant
from demur.corpus.decision_file import STATEMENT, write_decisions
from demur.corpus.interchange import EXPORT, Exported, export
from demur.errors import InputError, RefusedError
from demur.flows.hold import corpus_stops, refuse
from demur.flows.left import outside
from demur.flows.parts import Parts, corpus_folder
from demur.flows.pending import refuse_unfinished, waiting_for
from demur.ledger import Entry, EntryKind
from demur.store import write_bytes, write_json
from demur.terms.holds import Stage
from demur.terms.site import Site

CROISSANT = "croissant.json"


def publish(
    parts: Parts,
    corpus_id: str | None,
    out: Path,
    *,
    form: str,
    site: Site,
    licences: Sequence[str] = (),
    clock: Callable[[], datetime],
) -> Exported:
    """Write a corpus for other tools into a new folder, with its Croissant description; log that it left.

    Args:
        parts: the workspace, alone.
        corpus_id: which; ``None`` = the current one.
        out: folder that is not there yet, or empty.
        form: ``parquet`` or ``jsonl``.
        site: who publishes.
        licences: URLs or SPDX ids; empty = none is granted.
        clock: the present instant.

    Raises:
        RefusedError: a hold stops exports, or something waits to be taken out; nothing is left behind.
        InputError: the folder holds something.
    """
    folder = corpus_folder(parts.workspace, corpus_id)
    if out.exists() and any(out.iterdir()):
        raise InputError(f"expected a new or empty folder for the export, found files in {out}; name another")
    refuse_leaving(parts, folder, at=clock())
    with outside(parts.workspace, out) as private:
        part = private / out.name
        done = export(folder, part, form=form, progress=parts.progress)
        at = clock()
        told = Described(site.platform, site.controller, site.privacy_url, licences, at)
        described = croissant(read_manifest(folder), done, told)
        write_json(part / CROISSANT, described)
        write_bytes(part / "README.md", _card(described, form).encode())
        write_json(part / EXPORT, done.as_json())
        refuse_leaving(parts, folder, at=at)  # what came while the files were written
        if out.exists():
            out.rmdir()
        _log(parts, "corpus", done.corpus_id, {"corpus": done.corpus_digest, "export": done.digest}, at)
        part.rename(out)
    return done


def publish_decisions(
    parts: Parts, corpus_id: str | None, out: Path, *, form: str, clock: Callable[[], datetime]
) -> dict[str, Any]:
    """Write what became of every item as a signed file for the platform's own pipelines; log that it left.

    Raises:
        RefusedError: as for ``publish``; nothing is left behind.
    """
    folder = corpus_folder(parts.workspace, corpus_id)
    refuse_leaving(parts, folder, at=clock())
    parts.progress("decisions", 0, None)
    with outside(parts.workspace, out) as private:
        done = write_decisions(folder, private / out.name, keys=parts.keys, form=form)
        at = clock()
        refuse_leaving(parts, folder, at=at)
        _log(parts, "decisions", done["corpus"], {"corpus": done["corpus_digest"], "decisions": done["sha256"]}, at)
        for name in (out.name, out.name + STATEMENT):
            (private / name).replace(out.with_name(name))
    return done


def refuse_leaving(parts: Parts, folder: Path, *, at: datetime) -> None:
    """Refuse while an erasure is unfinished, a hold stops exports, or something waits to be taken out.

    Raises:
        RefusedError: one of these.
    """
    refuse_unfinished(parts)
    held = corpus_stops(parts, Stage.EXPORT, folder.name, at=at)
    refuse([one.hold_id for one in held], f"the corpus {folder.name} may not leave the house now")
    if waiting_for(parts, folder):
        raise RefusedError(
            f"the corpus {folder.name} may not leave the house now: objections, holds, corrections or deletions arrived"
            " after it was built; run `demur erase`, then export again"
        )


def _log(parts: Parts, what: str, corpus_id: str, builds: dict[str, str], at: datetime) -> None:
    facts = {"what": what, "corpus": corpus_id, "digest": builds[max(builds.keys() - {"corpus"})], "reason": None}
    parts.log(Entry(EntryKind.EXPORT, at, f"{what}:{facts['digest']}:{iso(at)}", facts, builds))


def _card(described: dict[str, Any], form: str) -> str:
    """Return a data set card: `datasets` and its hub read the head, people the rest."""
    ending = "parquet" if form == "parquet" else "jsonl.zst"
    languages = "".join(f"\n- {tag}" for tag in described["inLanguage"]) or " []"
    plan = described["rai:dataReleaseMaintenancePlan"]
    return (
        f"---\nlicense: other\nlanguage:{languages}\nconfigs:\n- config_name: default\n"
        f'  data_files: "data/*/*.{ending}"\n---\n\n# {described["name"]}\n\n{described["description"]}\n\n{plan}\n\n'
        f"`{CROISSANT}` describes the columns, `{EXPORT}` lists the files with their digests.\n"
    )

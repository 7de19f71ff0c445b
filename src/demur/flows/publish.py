"""What leaves the house: a corpus, the decisions by id, all tables. Asked before, and once more before it is whole.

A corpus may leave only while nothing waits to be taken out of it and no hold stops exports (COR-02, HLD-01). The tables
hold what was read in of everybody, so that only holds are asked about them. What left is in the public ledger: digests
of the corpus and of the files. The entry comes first, then the files appear: a run that is killed in between has told
of a copy that is not there, never the other way round.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.clock import iso
from demur.corpus import read_manifest
from demur.corpus.croissant import Described, croissant
from demur.corpus.decision_file import STATEMENT, write_decisions
from demur.corpus.interchange import EXPORT, Exported, export
from demur.errors import InputError, RefusedError
from demur.flows import exports
from demur.flows.exports import Given, Recipient
from demur.flows.hold import corpus_stops, refuse, refuse_export
from demur.flows.left import fresh, outside
from demur.flows.parts import Parts, corpus_folder
from demur.flows.pending import refuse_unfinished, waiting_for
from demur.intake import snapshot
from demur.ledger import Entry, EntryKind
from demur.store import digest_file, digest_json, write_bytes, write_json
from demur.store.links import Links
from demur.terms.holds import Stage
from demur.terms.site import Site

CROISSANT = "croissant.json"
_FEATURES = {**{name: name for name in ("string", "bool", "int32", "int64")}, "float": "float32", "double": "float64"}
"""Arrow type of a column → what `datasets` calls it."""


def publish(
    parts: Parts,
    corpus_id: str | None,
    out: Path,
    *,
    form: str,
    site: Site,
    licences: Sequence[str] = (),
    to: Recipient | None = None,
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
        to: who gets it; ``None`` = nobody is named.
        clock: the present instant.

    Raises:
        RefusedError: a hold stops exports, or something waits to be taken out; nothing is left behind.
        InputError: the folder holds something.
    """
    folder = corpus_folder(parts.workspace, corpus_id)
    out = _empty(out)
    refuse_leaving(parts, folder, at=clock())
    with outside(parts.workspace, out) as private:
        part = private / out.name
        done = export(folder, part, form=form, progress=parts.progress)
        at = clock()
        told = Described(site.platform, site.controller, site.privacy_url, licences, at)
        described = croissant(read_manifest(folder), done, told)
        write_json(part / CROISSANT, described)
        write_bytes(part / "README.md", _card(described, done).encode())
        refuse_leaving(parts, folder, at=at)  # what came while the files were written
        with _leaving(parts, folder, "corpus", {"export": done.digest}, at, to) as left:
            asked = {"status_url": exports.status_link(left, site, Links(parts.keys))} if to else {}
            write_json(part / EXPORT, {**done.as_json(), **asked})
            _appear(part, out)
    return done


def publish_decisions(
    parts: Parts,
    corpus_id: str | None,
    out: Path,
    *,
    form: str,
    site: Site | None = None,
    to: Recipient | None = None,
    clock: Callable[[], datetime],
) -> dict[str, Any]:
    """Write what became of every item as a signed file for the platform's own pipelines; log that it left.

    Args:
        parts: the workspace, alone.
        corpus_id: which; ``None`` = the current one.
        out: the file.
        form: ``parquet`` or ``jsonl``.
        site: whose programs are asked whether it may still be used.
        to: who gets it; ``None`` = nobody is named.
        clock: the present instant.

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
        with _leaving(parts, folder, "decisions", {"decisions": done["sha256"]}, at, to) as left:
            for name in (out.name, out.name + STATEMENT):
                (private / name).replace(out.with_name(name))
    asked = {"status_url": exports.status_link(left, site, Links(parts.keys))} if to and site else {}
    return {**done, **asked}


def publish_tables(
    parts: Parts,
    out: Path,
    *,
    as_of: datetime | None,
    known_at: datetime | None,
    reason: str | None = None,
    clock: Callable[[], datetime],
) -> dict[str, Any]:
    """Write items, standing and all other tables into a new folder that only its owner can enter; log that they left.

    Args:
        parts: the workspace, alone.
        out: folder that is not there yet, or empty.
        as_of: instant of the standing; ``None`` = ``known_at``.
        known_at: what demur had learned by then; ``None`` = now.
        reason: who checks what although a hold stops exports; ``None`` or empty = nobody does.
        clock: the present instant.

    Returns:
        Rows of the items, facts of every other table, and the digest of all files.

    Raises:
        RefusedError: a hold stops exports; nothing is left behind.
        InputError: the folder holds something.
    """
    out = _empty(out)
    known_at = known_at or clock()
    as_of = as_of or known_at
    _refuse_tables(parts, reason, clock())
    with outside(parts.workspace, out) as private, fresh(parts.workspace, "export") as folder:
        part = private / out.name
        parts.progress("snapshot", 0, None)
        found = snapshot(parts.workspace.source, folder, as_of=as_of, known_at=known_at)
        parts.progress("standing", 0, None)
        tables = parts.registry.export(part, as_of=as_of, known_at=known_at, base_known_at=known_at)["files"]
        shutil.copytree(folder / "items", part / "items")
        part.chmod(0o700)
        files = sorted(path for path in part.rglob("*") if path.is_file())
        digest = digest_json([[path.relative_to(part).as_posix(), digest_file(path)] for path in files])
        at = clock()
        _refuse_tables(parts, reason, at)
        _log(parts, "tables", {"tables": digest}, at, reason=reason)
        _appear(part, out)
    return {"items": found["items"]["rows"], "tables": tables, "digest": digest}


def _refuse_tables(parts: Parts, reason: str | None, at: datetime) -> None:
    if not reason:
        refuse_export(parts, at)


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


def _empty(out: Path) -> Path:
    """Return the folder itself, whatever it is called (`.`, a link); it holds nothing yet."""
    found = out.resolve()
    if found.exists() and not (found.is_dir() and not any(found.iterdir())):
        raise InputError(f"expected a new or empty folder for the export, found files in {out}; name another")
    return found


def _appear(part: Path, out: Path) -> None:
    if out.exists():
        out.rmdir()
    part.rename(out)


@contextmanager
def _leaving(
    parts: Parts, folder: Path, what: str, made: dict[str, str], at: datetime, to: Recipient | None
) -> Iterator[Given]:
    """Note an export of a corpus with who gets it, and log it, before it appears; what fails then has never left."""
    manifest, (digest,) = read_manifest(folder), made.values()
    left = exports.give(parts, what=what, digest=digest, corpus=folder.name, inputs=manifest.inputs, at=at, to=to)
    try:
        _log(parts, what, made, at, corpus=(folder.name, manifest.digest), to=to)
        yield left
    except BaseException:
        exports.never_left(parts, left, at)
        raise


def _log(
    parts: Parts,
    what: str,
    made: dict[str, str],
    at: datetime,
    *,
    corpus: tuple[str, str] | None = None,
    reason: str | None = None,
    to: Recipient | None = None,
) -> None:
    """Log a copy by its digest, with id and digest of the corpus that it is of; ``None`` = of all that was read in."""
    (digest,) = made.values()
    facts = {"what": what, "corpus": corpus and corpus[0], "digest": digest, "reason": reason, "to": to and to.name}
    builds = {**made, **({"corpus": corpus[1]} if corpus else {})}
    parts.log(Entry(EntryKind.EXPORT, at, f"{what}:{digest}:{iso(at)}", facts, builds))


def _card(described: dict[str, Any], done: Exported) -> str:
    """Return a data set card: `datasets` and its hub read the head, people the rest.

    The head names the types of the columns: JSON does not tell what is null in all records of its first file.
    """
    ending = "parquet" if done.form == "parquet" else "jsonl.zst"
    languages = "".join(f'\n- "{tag}"' for tag in described["inLanguage"]) or " []"
    kinds = [(name, _FEATURES.get(arrow)) for name, arrow in done.columns]
    features = "".join(f"\n  - name: {name}\n    dtype: {kind}" for name, kind in kinds)
    info = f"dataset_info:\n  features:{features}\n" if all(kind for _, kind in kinds) else ""
    plan = described["rai:dataReleaseMaintenancePlan"]
    return (
        f"---\nlicense: other\nlanguage:{languages}\n{info}configs:\n- config_name: default\n"
        f'  data_files: "data/*/*.{ending}"\n---\n\n# {described["name"]}\n\n{described["description"]}\n\n{plan}\n\n'
        f"`{CROISSANT}` describes the columns, `{EXPORT}` lists the files with their digests.\n"
    )

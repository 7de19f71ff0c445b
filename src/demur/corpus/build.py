"""Build a corpus: six stages as child processes, the independent verifier, the manifest last.

The same function serves the first build and an erasure: an erasure is a build with the same ``as_of`` and ``known_at``
and a later ``narrowed_at`` that ``replaces`` the corpus before it. Nothing is carried over but bytes of slices that
came out equal, so an incremental build equals a clean one by construction, and the tests hold it to that.

Does not decide, ask the clock, or write outside ``out`` and ``work``.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

from demur.clock import iso
from demur.corpus.disk import parquet_files
from demur.corpus.inputs import CorpusInputs, check, protecting
from demur.corpus.manifest import MANIFEST, corpus_digest, read_manifest, write_manifest
from demur.corpus.measures import Before
from demur.corpus.mentions import words_digest
from demur.corpus.plain import policy_facts
from demur.corpus.recipe import of_this_code
from demur.corpus.select import items_in, outgrown
from demur.corpus.similarity import SIMILARITY
from demur.corpus.stages import StageRunner, Stages, one_by_one
from demur.corpus.write import link_or_copy
from demur.store import KeyRing, digest_file, digest_json, remove_tree
from demur.store.stage import run_stage
from demur.terms.manifests import CorpusManifest
from demur.terms.progress import Progress, silent

_LOG = logging.getLogger(__name__)

BUCKET_ROWS = 200_000
"""Items that a stage holds in memory at a time, about."""
_LEAST_ROWS, _PIECES = 25_000, 16
"""Fewer items do not pay for a piece of their own; so many pieces a first build has, if it is large enough."""

_LIBRARIES = ("duckdb", "pyarrow", "numpy", "eldc", "cryptography")


def build(
    inputs: CorpusInputs,
    *,
    out: Path,
    work: Path,
    keys: KeyRing,
    progress: Progress = silent,
    replaces: Path | None = None,
    upon: Path | None = None,
    workers: int = 1,
    bucket_rows: int = BUCKET_ROWS,
    keep_work: bool = False,
    runner: StageRunner = run_stage,
) -> CorpusManifest:
    """Build a corpus into ``out/<corpus id>``; the manifest is written last, after the verifier agreed.

    Args:
        inputs: what it is a function of.
        out: folder of all corpora.
        work: folder for intermediate files; what builds left there is removed when this one is done.
        keys: the key ring (placement, records, lineage).
        progress: told after each stage.
        replaces: corpus that this one replaces; slices that stay are linked, not written again.
        upon: any corpus of this workspace whose measures may be carried on and whose equal slices may be linked.
        workers: child processes at a time where stages do not wait for each other; the result does not depend on it.
        bucket_rows: items held in memory at a time; the result does not depend on it.
        keep_work: leave the intermediate files (they hold texts and persons in clear).
        runner: runs a stage to its commit record: in child processes, unless a caller has a cluster for it.

    Raises:
        ConfigError: the recipe cannot work.
        BrokenError: damaged inputs, a stage that died twice, or a verifier that found a violation.
        OutsideError: the disk is full. After any error the same call goes on where it stopped.
    """
    inputs = replace(inputs, recipe=of_this_code(inputs.recipe))
    check(inputs)
    for purpose in ("placement", "records", "lineage", "suppression"):
        keys.secret(purpose)  # made here, so that stages find the files
    facts = _facts(inputs, keys)
    base = replaces or upon
    standing_on = read_manifest(base).sealed if base else None
    folder = work / f"corpus-{digest_json([facts, str(base), standing_on])[:16]}"
    for stale in sorted(work.glob("corpus-*")):
        if stale != folder:
            remove_tree(stale)  # of a killed or refused build; the workspace's lock keeps others out
    before = _measured_alike(base, facts["named"], inputs.items, keys)
    same_source = before is not None and before.inputs["source"] == inputs.source_digest
    with one_by_one(runner, upon=before is not None) as in_turn:
        stages = Stages(
            inputs=inputs,
            folder=folder,
            keys=str(keys.folder),
            call=digest_json(facts),
            bucket_rows=bucket_rows if before else _spread(items_in(inputs.items), bucket_rows),
            workers=max(1, workers),
            runner=runner,
            in_turn=in_turn,
            progress=progress,
            before=base if before else None,
            same_source=same_source,
        )
        written = stages.written(base)
        digest = corpus_digest(inputs.recipe, written.slices)
        draft = CorpusManifest(
            corpus_id=digest[:16],
            digest=digest,
            inputs=facts["named"],
            slices=written.slices,
            counts=written.counts,
            versions=_versions(),
            replaces=read_manifest(replaces).corpus_id if replaces else None,
        )
        progress("corpus: verify", 0, None)
        manifest = stages.verified(draft, written.run)
    progress("corpus: assemble", 0, None)
    _assemble(stages.files, out / manifest.corpus_id, manifest)
    if not keep_work:
        _clear(work)
    return manifest


def _spread(items: int, most: int) -> int:
    """Return how many items a bucket of a first build holds, so that several workers have something to do.

    It does not depend on their number: with another one, what is done stays done.

    >>> _spread(20_000_000, 200_000), _spread(1_000_000, 200_000), _spread(90, 200_000), _spread(90, 10)
    (200000, 62500, 25000, 10)
    """
    return min(most, max(_LEAST_ROWS, -(-items // _PIECES)))


def _measured_alike(base: Path | None, named: dict[str, Any], items: Path, keys: KeyRing) -> CorpusManifest | None:
    """Return the manifest of the corpus before if its measures are what this build would measure (``inputs.rules``).

    Its sealed files must be the very ones that it was published with: a part is taken over, and a verdict stood upon,
    without being looked at. If they are not, nothing of them is carried on.
    """
    if base is None:
        return None
    manifest = read_manifest(base)
    if manifest.inputs.get("rules") != named["rules"]:
        return None
    for path, digest in manifest.sealed.items():
        if not (base / path).exists() or digest_file(base / path) != digest:
            _LOG.warning("%s of corpus %s is not as it was written: everything is built anew", path, manifest.corpus_id)
            return None
    for one in manifest.slices:
        if not (base / one.path).exists():
            _LOG.warning("%s of corpus %s is gone: everything is built anew", one.path, manifest.corpus_id)
            return None
    return None if outgrown(items_in(items), Before(base, keys).parts) else manifest


def purge(corpus: Path, *, work: Path | None = None) -> None:
    """Remove a corpus physically: manifest first, then the salts of the sealed files, then all bytes.

    Slices that a later corpus shares keep their bytes under that corpus' name only. Safe to repeat after a kill.

    Args:
        corpus: folder of the corpus; a missing one is fine.
        work: folder of intermediate files to empty of builds, ``None`` = leave.
    """
    (corpus / MANIFEST).unlink(missing_ok=True)
    for sealed in sorted(corpus.glob("sealed/*.sealed")):
        size = min(sealed.stat().st_size, 4096)
        with sealed.open("r+b") as stream:
            stream.write(os.urandom(size))
            stream.flush()
            os.fsync(stream.fileno())
    remove_tree(corpus)
    if work is not None:
        _clear(work)


def _clear(work: Path) -> None:
    """Remove what builds left, also those that never finished; the workspace's lock keeps others out."""
    for folder in sorted(work.glob("corpus-*")):
        remove_tree(folder)


def _facts(inputs: CorpusInputs, keys: KeyRing) -> dict[str, Any]:
    """Return what the manifest names, and digests of the very bytes that the stages read."""
    named = {
        "source": inputs.source_digest,
        "policy": inputs.policy.digest,
        "policy_name": inputs.policy.name,
        "policy_facts": policy_facts(inputs.policy),
        "as_of": iso(inputs.as_of),
        "known_at": iso(inputs.known_at),
        "narrowed_at": iso(inputs.narrowed_at or inputs.known_at),
        "purpose": inputs.purpose,
        "recipe": inputs.recipe.as_json(),
        "suppressed_words": words_digest(inputs.standing),
        "rules": digest_json(
            [
                inputs.recipe.as_json(),
                inputs.policy.copy_min_words,
                int(protecting(inputs.policy.third_party_scope)),
                _versions(),
                _prints(keys),
            ]
        ),
    }
    read = {
        meaning: [digest_file(part) for part in parquet_files(folder, meaning)]
        for meaning, folder in (
            ("items", inputs.items),
            ("decisions", inputs.decisions),
            ("standing", inputs.standing),
        )
    }
    return {"named": named, "read": read}


def _assemble(written: Path, target: Path, manifest: CorpusManifest) -> None:
    """Put the written files under the corpus' name; one that has it already stays until they are whole."""
    fresh, old = (target.with_name(f".{target.name}.{word}") for word in ("new", "old"))
    remove_tree(fresh)
    for path in [*(one.path for one in manifest.slices), *sorted(manifest.sealed)]:
        place = fresh / path
        place.parent.mkdir(parents=True, exist_ok=True)
        link_or_copy(written / path, place)
    write_manifest(fresh, manifest)
    _replaced(old, fresh)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    _replaced(old, target)  # its sealed files must not be read again


def _replaced(old: Path, by: Path) -> None:
    """Destroy a corpus of which another one has the name; files that are the same in both only lose it.

    They are where the very files were published twice: a build that was killed after it was published goes on.
    """
    for sealed in sorted(old.glob("sealed/*.sealed")):
        same = by / "sealed" / sealed.name
        if same.exists() and same.samefile(sealed):
            sealed.unlink()
    purge(old)


def _versions() -> dict[str, str]:
    found = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    return found | {"unicode": unicodedata.unidata_version, "similarity": SIMILARITY, "sealed": "parts-4"}


def _prints(keys: KeyRing) -> list[str]:
    """Return what tells other keys: rows placed and hashed under others are not carried on."""
    return [keys.mac(purpose, "print")[:8].hex() for purpose in ("placement", "records", "suppression")]


def settle(corpora: Path) -> None:
    """Finish or undo what a killed build left beside the corpora; the workspace's lock keeps others out."""
    for fresh in sorted(corpora.glob(".*.new")):
        target = corpora / fresh.name[1:-4]
        if (fresh / MANIFEST).exists() and not target.exists():
            fresh.rename(target)
        remove_tree(fresh)
    for old in sorted(corpora.glob(".*.old")):
        _replaced(old, corpora / old.name[1:-4])

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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from demur.clock import iso
from demur.corpus.disk import parquet_files
from demur.corpus.manifest import MANIFEST, corpus_digest, read_manifest, write_manifest
from demur.corpus.measures import Before
from demur.corpus.mentions import words_digest
from demur.corpus.plain import policy_facts
from demur.corpus.recipe import of_this_code
from demur.corpus.select import items_in, outgrown
from demur.corpus.similarity import SIMILARITY
from demur.corpus.verify import refuse_violations
from demur.corpus.write import CORPUS, link_or_copy
from demur.errors import BrokenError, ConfigError
from demur.store import KeyRing, digest_file, digest_json, remove_tree, write_json
from demur.store.stage import Child, children, run_stage
from demur.terms.manifests import CorpusManifest, CorpusRecipe, SliceDigest
from demur.terms.policy import Policy, ThirdPartyScope
from demur.terms.progress import Progress, silent
from demur.terms.reasons import PROTECTING, Reason, bits

_LOG = logging.getLogger(__name__)

BUCKET_ROWS = 200_000
"""Items that a stage holds in memory at a time, about."""

StageRunner = Callable[[str, Path, dict[str, Any]], dict[str, Any]]
"""(``module:function``, folder, arguments) → the facts of the stage's commit record."""

_LIBRARIES = ("duckdb", "pyarrow", "numpy", "eldc", "cryptography")


@dataclass(frozen=True, slots=True)
class CorpusInputs:
    """What a corpus is a function of, beside the keys of the workspace."""

    items: Path
    """Folder of the snapshot: ITEMS, one row an item."""
    decisions: Path
    """Folder of DECISIONS parts made from that snapshot."""
    standing: Path
    """Folder of the exported people tables."""
    policy: Policy
    recipe: CorpusRecipe
    as_of: datetime
    known_at: datetime
    source_digest: str
    """Digest of the snapshot."""
    purpose: str
    narrowed_at: datetime | None = None
    """What was learned until then takes away; ``None`` = ``known_at``, a first build (ADR 2)."""
    toxicity: Path | None = None
    """Folder of the platform's own toxicity model, where the recipe names one."""


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
        workers: child processes of the text stage at a time; the result does not depend on it.
        bucket_rows: items held in memory at a time; the result does not depend on it.
        keep_work: leave the intermediate files (they hold texts and persons in clear).
        runner: runs a stage to its commit record: in child processes, unless a caller has a cluster for it.

    Raises:
        ConfigError: the recipe cannot work.
        BrokenError: damaged inputs, a stage that died twice, or a verifier that found a violation.
        OutsideError: the disk is full. After any error the same call goes on where it stopped.
    """
    inputs = replace(inputs, recipe=of_this_code(inputs.recipe))
    _check(inputs)
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
    with _one_by_one(runner, upon=before is not None) as in_turn:
        stages = _Stages(
            inputs,
            folder,
            str(keys.folder),
            digest_json(facts),
            bucket_rows,
            runner,
            in_turn,
            base if before else None,
            same_source,
        )
        written = stages.run(progress, base, workers)
        slices = tuple(SliceDigest(**one) for one in written["slices"])
        digest = corpus_digest(inputs.recipe, slices)
        draft = CorpusManifest(
            corpus_id=digest[:16],
            digest=digest,
            inputs=facts["named"],
            slices=slices,
            counts=stages.counts,
            versions=_versions(),
            replaces=read_manifest(replaces).corpus_id if replaces else None,
        )
        progress("corpus: verify", 0, None)
        manifest = stages.verified(draft, written["run"])
    progress("corpus: assemble", 0, None)
    _assemble(stages.folder / "write" / CORPUS, out / manifest.corpus_id, manifest)
    if not keep_work:
        _clear(work)
    return manifest


def _one_by_one(runner: StageRunner, *, upon: bool) -> AbstractContextManager[StageRunner]:
    """Return what runs the stages that wait for each other: upon another corpus they are small, and one child does.

    A first build starts a child for each, so that nothing of one is left in memory for the next.
    """
    return Child() if upon and runner is run_stage else nullcontext(runner)


def _side_by_side(runner: StageRunner, workers: int) -> AbstractContextManager[StageRunner]:
    """Return what runs stages for several threads: a child each, which keeps what takes long to prepare."""
    return children(workers) if runner is run_stage else nullcontext(runner)


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


def protecting(scope: ThirdPartyScope) -> int:
    """Return the mask of reasons whose items protect their copies too (COR-05, X9).

    What people say about their own content reaches no copy when the scope is own content; floors always do.
    """
    said = {Reason.OBJECTED, Reason.ORIGINAL_OBJECTED, Reason.NO_CONSENT}
    return bits(PROTECTING - said if scope is ThirdPartyScope.OWN_CONTENT else PROTECTING)


@dataclass(slots=True)
class _Stages:
    """The stages of one build, each with its own commit record in its own folder."""

    inputs: CorpusInputs
    folder: Path
    keys: str
    call: str
    bucket_rows: int
    runner: StageRunner
    """Runs stages side by side."""
    in_turn: StageRunner
    """Runs one after another."""
    before: Path | None
    """Corpus whose measures are carried on."""
    same_source: bool
    counts: dict[str, Any] = field(default_factory=dict)

    def run(self, progress: Progress, replaces: Path | None, workers: int) -> dict[str, Any]:
        """Run every stage up to the written files; return the facts of the last."""
        recipe = self.inputs.recipe
        before = str(self.before) if self.before else None
        progress("corpus: select", 0, None)
        selected = self._stage(
            "select",
            "select:select",
            items=str(self.inputs.items),
            decisions=str(self.inputs.decisions),
            standing=str(self.inputs.standing),
            protecting=protecting(self.inputs.policy.third_party_scope),
            bucket_rows=self.bucket_rows,
            before=before,
            same_source=self.same_source,
            mentions=self._mentions,
            masked=recipe.redaction_mode == "mask",
            keys=self.keys,
            inputs=self.call,
        )
        texts = self._texts(selected, progress, workers)
        common: dict[str, Any] = {
            "selected": str(self.folder / "select"),
            "texts": texts,
            "gauge": self._gauge,
        }
        progress("corpus: deduplicate", 0, None)
        deduplicated = self._stage(
            "deduplicate",
            "deduplicate:deduplicate",
            **common,
            source=str(self.inputs.items),
            threshold=recipe.near_duplicate_jaccard,
            copy_min_words=self.inputs.policy.copy_min_words,
            before=before,
            whole=selected["whole"],
            upstream=[selected["call"]],
        )
        progress("corpus: place", 0, None)
        groups = max(1, -(-selected["allowed"] // self.bucket_rows))
        placed = self._stage(
            "place",
            "place:place",
            **common,
            deduplicated=str(self.folder / "deduplicate"),
            before=before,
            whole=selected["whole"],
            groups=groups,
            upstream=deduplicated["call"],
        )
        progress("corpus: write", 0, None)
        written = self._stage(
            "write",
            "write:write",
            selected=str(self.folder / "select"),
            deduplicated=str(self.folder / "deduplicate"),
            placed=str(self.folder / "place"),
            keys=self.keys,
            regions=sorted({*recipe.regions.values(), recipe.other_region}),
            shards=recipe.shards,
            slices=recipe.slices,
            groups=groups,
            replaced=str(replaces) if replaces else None,
            before=before,
            upstream=placed["call"],
        )
        self.counts = {name: counter for name, counter in placed.items() if name != "call"} | {"size": written["size"]}
        return written

    def verified(self, draft: CorpusManifest, run: str) -> CorpusManifest:
        """Run the verifier over the written files; return the manifest with its verdict, and the sealed files named.

        Args:
            draft: what the stages say of them.
            run: what tells these files from what another run wrote: sealed ones are never the same twice.

        Raises:
            BrokenError: it found a violation; the corpus is not published.
        """
        draft_file = self.folder / "draft.json"
        write_json(draft_file, asdict(draft))
        found = self._stage(
            "verify",
            "verify_changed:stage",
            before=str(self.before) if self.before and self.same_source else None,
            draft=str(draft_file),
            written=str(self.folder / "write" / CORPUS),
            items=str(self.inputs.items),
            standing=str(self.inputs.standing),
            keys=self.keys,
            upstream=digest_json([asdict(draft), run]),
        )
        try:
            refuse_violations(found["verdict"])
        except BrokenError:
            remove_tree(self.folder / "verify")  # the next call asks again: the fault may lie in us
            raise
        return replace(draft, verdict=found["verdict"], sealed=found["sealed"])

    @property
    def _mentions(self) -> bool:
        return self.inputs.policy.third_party_scope is ThirdPartyScope.COPIES_AND_MENTIONS

    @property
    def _gauge(self) -> dict[str, Any]:
        return {
            "recipe": self.inputs.recipe.as_json(),
            "keys": self.keys,
            "standing": str(self.inputs.standing),
            "mentions": self._mentions,
            "copy_min_words": self.inputs.policy.copy_min_words,
            "toxicity": str(self.inputs.toxicity) if self.inputs.toxicity else None,
        }

    def _texts(self, selected: dict[str, Any], progress: Progress, workers: int) -> list[str]:
        groups = together(selected["wanted_rows"], self.bucket_rows)
        progress("corpus: text", 0, int(selected["buckets"]))

        def one(group: list[int]) -> list[str]:
            name = f"text-{group[0]:05d}"
            self._stage(
                name,
                "text:prepare",
                selected=str(self.folder / "select"),
                buckets=group,
                runner=runner,
                gauge=self._gauge,
                upstream=selected["call"],
            )
            progress("corpus: text", group[-1] + 1, int(selected["buckets"]))
            return [str(self.folder / name)] * len(group)

        if len(groups) <= 1:
            runner = self.in_turn
            return [folder for group in groups for folder in one(group)]
        with ThreadPoolExecutor(max_workers=max(1, workers)) as pool, _side_by_side(self.runner, workers) as runner:
            return [folder for folders in pool.map(one, groups) for folder in folders]

    def _stage(self, name: str, target: str, *, runner: StageRunner | None = None, **arguments: Any) -> dict[str, Any]:
        return (runner or self.in_turn)(f"demur.corpus.{target}", self.folder / name, arguments)


def together(rows: list[int], most: int) -> list[list[int]]:
    """Return neighbouring buckets in groups of about so many rows: a process reads each, and starting it takes seconds.

    >>> together([5, 1, 1, 9, 0], 6)
    [[0, 1], [2], [3, 4]]
    """
    groups: list[list[int]] = []
    held = 0
    for bucket, count in enumerate(rows):
        if not groups or (count and held + count > most):
            groups.append([])
            held = 0
        groups[-1].append(bucket)
        held += count
    return groups


def _check(inputs: CorpusInputs) -> None:
    recipe = inputs.recipe
    faults = []
    if not 1 <= recipe.shards <= 1000:
        faults.append(f"shards must be 1 to 1000, found {recipe.shards}")
    if not 1 <= recipe.slices <= 1000:
        faults.append(f"slices must be 1 to 1000, found {recipe.slices}")
    if not 0 < recipe.near_duplicate_jaccard <= 1:
        faults.append(f"near_duplicate_jaccard must be above 0 and at most 1, found {recipe.near_duplicate_jaccard}")
    if recipe.redaction_mode not in {"mask", "drop", "fake"}:
        faults.append(f"redaction_mode must be mask, drop or fake, found {recipe.redaction_mode!r}")
    faults += [
        f"a share must be above 0 and at most 1, found {share} for {tag}"
        for tag, share in sorted(recipe.shares.items())
        if not 0 < share <= 1
    ]
    faults += [
        f"a region is named by letters, digits, - and _, found {region!r}"
        for region in sorted({*recipe.regions.values(), recipe.other_region})
        if not region or not all(sign.isalnum() or sign in "-_" for sign in region)
    ]
    if not inputs.as_of <= inputs.known_at <= (inputs.narrowed_at or inputs.known_at):
        faults.append("as_of, known_at and narrowed_at must stand in this order")
    if faults:
        raise ConfigError("expected a recipe that can be built, found faults; correct the settings", faults)


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
    purge(old)
    if target.exists():
        target.rename(old)
    fresh.rename(target)
    purge(old)  # its sealed files are no other corpus' files, and must not be read again


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
        purge(old)

"""The stages of one build: which there are, what each is told, and which wait for each other.

A stage runs in a folder of its own, to its commit record. Texts are measured, items placed, slices and sealed files
written in pieces that do not wait for each other: side by side in child processes, or on a cluster. No result depends
on how many pieces or workers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any

from demur.corpus.disk import CORPUS
from demur.corpus.inputs import CorpusInputs, protecting
from demur.corpus.place import counted
from demur.corpus.verify import refuse_violations
from demur.corpus.write import SEPARATE, gather
from demur.errors import BrokenError
from demur.store import digest_json, remove_tree, write_json
from demur.store.stage import Child, children, run_stage
from demur.terms.manifests import CorpusManifest, SliceDigest
from demur.terms.policy import ThirdPartyScope
from demur.terms.progress import Progress

StageRunner = Callable[[str, Path, dict[str, Any]], dict[str, Any]]
"""(``module:function``, folder, arguments) → the facts of the stage's commit record."""

MOST_PLACING = 64
"""Stages that place items, at most: whoever writes a slice or a sealed file reads what each of them left."""


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a corpus before the verifier has seen them."""

    slices: tuple[SliceDigest, ...]
    counts: dict[str, Any]
    run: str
    """What tells them from what another run wrote: sealed files are never the same twice."""


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of one build, each with its own commit record in its own folder."""

    inputs: CorpusInputs
    folder: Path
    keys: str
    """Folder of the key ring."""
    call: str
    """Digest of what the inputs hold."""
    bucket_rows: int
    workers: int
    """Stages at a time, where they do not wait for each other."""
    runner: StageRunner
    """Runs stages side by side."""
    in_turn: StageRunner
    """Runs one after another."""
    progress: Progress
    before: Path | None
    """Corpus whose measures are carried on."""
    same_source: bool

    def written(self, replaces: Path | None) -> Written:
        """Run every stage up to the written files.

        Args:
            replaces: corpus whose slices are linked where they come out equal.
        """
        selected = self._select()
        texts = self._texts(selected)
        common: dict[str, Any] = {"selected": str(self.folder / "select"), "texts": texts, "gauge": self._gauge}
        self.progress("corpus: deduplicate", 0, None)
        deduplicated = self._stage(
            "deduplicate",
            "deduplicate:deduplicate",
            **common,
            source=str(self.inputs.items),
            threshold=self.inputs.recipe.near_duplicate_jaccard,
            copy_min_words=self.inputs.policy.copy_min_words,
            before=self._before,
            whole=selected["whole"],
            upstream=[selected["call"]],
        )
        shards = len(self._regions) * self.inputs.recipe.shards  # which are never divided
        groups = max(1, min(-(-selected["allowed"] // self.bucket_rows), shards))
        changed = self.before if not selected["whole"] else None
        most = max(self.bucket_rows, -(-sum(selected["decided_rows"]) // MOST_PLACING))
        buckets = together(selected["decided_rows"], most)
        placed = self._each(
            "place",
            {f"place-{some[0]:05d}": ("place:place", {"buckets": some}) for some in buckets},
            len(buckets),
            **common,
            deduplicated=str(self.folder / "deduplicate"),
            changing=changed is not None,
            groups=groups,
            upstream=deduplicated["call"],
        )
        return self._write(groups, selected["run"], placed, replaces, counted(placed.values(), changed))

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
            before=self._before if self.same_source else None,
            draft=str(draft_file),
            written=str(self.files),
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
        gather(self.files, [self.folder / "verify" / CORPUS])
        return replace(draft, verdict=found["verdict"], sealed=found["sealed"])

    @property
    def files(self) -> Path:
        """Folder of what will be the corpus."""
        return self.folder / CORPUS

    @property
    def _before(self) -> str | None:
        return str(self.before) if self.before else None

    @property
    def _regions(self) -> list[str]:
        return sorted({*self.inputs.recipe.regions.values(), self.inputs.recipe.other_region})

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

    def _select(self) -> dict[str, Any]:
        self.progress("corpus: select", 0, None)
        return self._stage(
            "select",
            "select:select",
            items=str(self.inputs.items),
            decisions=str(self.inputs.decisions),
            standing=str(self.inputs.standing),
            protecting=protecting(self.inputs.policy.third_party_scope),
            bucket_rows=self.bucket_rows,
            before=self._before,
            same_source=self.same_source,
            mentions=self._mentions,
            masked=self.inputs.recipe.redaction_mode == "mask",
            keys=self.keys,
            inputs=self.call,
        )

    def _texts(self, selected: dict[str, Any]) -> list[str]:
        """Measure texts; return the folder that each bucket was measured in."""
        buckets = together(selected["wanted_rows"], self.bucket_rows)
        pieces = {f"text-{some[0]:05d}": ("text:prepare", {"buckets": some}) for some in buckets}
        self._each(
            "text",
            pieces,
            len(buckets),
            selected=str(self.folder / "select"),
            gauge=self._gauge,
            upstream=selected["call"],
        )
        return [str(self.folder / name) for name, some in zip(pieces, buckets, strict=True) for _ in some]

    def _write(
        self, groups: int, run: str, placed: dict[str, Any], replaces: Path | None, counts: dict[str, dict[str, int]]
    ) -> Written:
        """Write slices and sealed files, and bring them together with those that the select stage sealed in its run."""
        recipe = self.inputs.recipe
        slicing: dict[str, Any] = {
            "regions": self._regions,
            "shards": recipe.shards,
            "slices": recipe.slices,
            "groups": groups,
            "replaced": str(replaces) if replaces else None,
            "changing": self.before is not None,
        }
        sealing: dict[str, Any] = {
            "selected": str(self.folder / "select"),
            "deduplicated": str(self.folder / "deduplicate"),
            "keys": self.keys,
            "before": self._before,
        }
        pieces = {f"seal-{kind}": ("write:seal", {"kind": kind, **sealing}) for kind in SEPARATE}
        pieces |= {f"write-{group:05d}": ("write:write", {"mine": [group], **slicing}) for group in range(groups)}
        found = self._each(
            "write",
            pieces,
            len(pieces) if groups > 1 else 1,
            placed=[str(self.folder / name) for name in placed],
            upstream=[one["call"] for one in placed.values()],
        )
        gather(self.files, [self.folder / name / CORPUS for name in ("select", *pieces)])
        listed = [one for piece in found.values() for one in piece.get("slices", ())]
        listed.sort(key=lambda one: one["path"])
        if any(one["records"] for one in listed):
            counts["size"] = {name: sum(one[name] for one in listed) for name in ("words", "characters")}
        runs = digest_json([run, *(piece.get("run") for piece in found.values())])
        return Written(tuple(SliceDigest(**one) for one in listed), counts, runs)

    def _each(
        self, what: str, pieces: dict[str, tuple[str, dict[str, Any]]], most: int, **common: Any
    ) -> dict[str, dict[str, Any]]:
        """Run stages that do not wait for each other; return the facts of each by its name.

        Args:
            what: they do, for people who wait.
            pieces: name → (``module:function``, arguments).
            most: workers that it pays for.
            common: arguments of all.
        """
        self.progress(f"corpus: {what}", 0, len(pieces))
        workers = min(self.workers, most)
        found: dict[str, dict[str, Any]] = {}

        def run(runner: StageRunner, name: str) -> dict[str, Any]:
            target, arguments = pieces[name]
            return self._stage(name, target, runner=runner, **arguments, **common)

        def note(facts: Iterable[dict[str, Any]]) -> None:
            for name, one in zip(pieces, facts, strict=True):
                found[name] = one
                self.progress(f"corpus: {what}", len(found), len(pieces))

        if len(pieces) == 1 or (workers <= 1 and self.before):
            note(run(self.in_turn, name) for name in pieces)
        else:
            with ThreadPoolExecutor(workers) as pool, _side_by_side(self.runner, workers) as runner:
                note(pool.map(run, repeat(runner), pieces))
        return found

    def _stage(self, name: str, target: str, *, runner: StageRunner | None = None, **arguments: Any) -> dict[str, Any]:
        return (runner or self.in_turn)(f"demur.corpus.{target}", self.folder / name, arguments)


def one_by_one(runner: StageRunner, *, upon: bool) -> AbstractContextManager[StageRunner]:
    """Return what runs the stages that wait for each other: upon another corpus they are small, and one child does.

    A first build starts a child for each, so that nothing of one is left in memory for the next.
    """
    return Child() if upon and runner is run_stage else nullcontext(runner)


def _side_by_side(runner: StageRunner, workers: int) -> AbstractContextManager[StageRunner]:
    """Return what runs stages for several threads: a child each, which keeps what takes long to prepare."""
    return children(workers) if runner is run_stage else nullcontext(runner)


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

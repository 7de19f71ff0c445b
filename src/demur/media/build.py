"""A media build: which files become records, slice files that are linked where nothing changed, the manifest last.

Knows neither corpora nor persons: rows say who is protected and where a record lies. Same rows, same bytes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.errors import BrokenError
from demur.media.copies import GOOD_QUALITY, copies_of_earlier, copies_of_protected
from demur.media.plainness import more_than_pixels, more_than_sound
from demur.media.records import MediaRecord, read_media_slice, write_media_slice
from demur.store import digest_bytes, digest_file, digest_json, read_json, remove_tree, write_json

MANIFEST = "manifest.json"
JUDGED = ("media_digest", "clean_digest", "hash", "hash_mirrored", "hash_quality", "hash_inside", "reason")
"""Columns of ``media.parquet`` that a judgement needs."""


class NoRecord(StrEnum):
    """Why a clean file becomes no record."""

    PROTECTED = "protected"
    """Looked at only so that its copies are found."""
    PROTECTED_COPY = "protected_copy"
    """A right: the picture, or the words with it, are a protected item's too (COR-05)."""
    MENTION = "mention"
    """A right: text in it names somebody who objected, or what was taken out of everybody's texts (TPD-03)."""
    SIGNAL_NO = "signal_no"
    """A right: the file's own content credentials say no to training (INT-09, JUR-04)."""
    DUPLICATE = "duplicate"
    """A filter: an earlier picture is the same."""


@dataclass(frozen=True, slots=True)
class MediaSlice:
    """One slice file of a media build."""

    path: str
    """Relative to the build's folder."""
    records: int
    bytes: int
    rows_digest: str
    """SHA-256 over the records' facts and the digests of their media: what equality means."""
    sha256: str
    """Of the file's bytes."""


@dataclass(frozen=True, slots=True)
class MediaManifest:
    """A media build in one page; written last. A function of corpus, recipe, tools and files: no instants."""

    media_id: str
    """First 16 hex digits of ``digest``, name of the folder."""
    digest: str
    corpus_id: str
    corpus_digest: str
    recipe: dict[str, Any]
    redactor: str
    tools: str
    """Digest of recipe, redactor and tools' versions."""
    slices: tuple[MediaSlice, ...]
    counts: dict[str, int] = field(default_factory=dict)
    """Files by what became of them: ``record``, or why not."""
    gone: int = 0
    """Protected files that are gone or cannot be read and that no build has seen: nobody looked for their copies."""


def judge(prepared: Any, protected: Any, copied_words: Any, rank: Any, shown: Any = None) -> Any:
    """Return for every file why it becomes no record; null = it does.

    Args:
        prepared: the columns JUDGED of ``media.parquet``.
        protected: whether the item is protected; null counts as protected.
        copied_words: whether the words with it are a copy of a protected item's.
        rank: place of each item by age; of equal pictures the first one stays.
        shown: whether it shows a part of a protected item's (partial.py), bool by row; ``None`` = none does.
    """
    prepared = prepared.combine_chunks()
    seen = ("hash", "hash_mirrored", "hash_quality", "hash_inside")
    hashes, mirrored, quality, inside = (prepared[name] for name in seen)
    guarded = pc.fill_null(protected, fill_value=True)
    copies = copies_of_protected(hashes, mirrored, quality, guarded, inside)
    for name in ("media_digest", "clean_digest"):
        theirs = prepared[name].filter(guarded).combine_chunks().drop_null()
        copies = pc.or_(copies, pc.is_in(prepared[name], theirs))
    copies = pc.or_(copies, pc.fill_null(copied_words, fill_value=True))
    copies = copies if shown is None else pc.or_(copies, pa.array(shown))
    reasons = pc.if_else(pc.is_valid(prepared["reason"]), prepared["reason"], pa.scalar(None, pa.string()))
    reasons = pc.coalesce(reasons, pc.if_else(copies, NoRecord.PROTECTED_COPY.value, pa.scalar(None, pa.string())))
    reasons = pc.if_else(guarded, NoRecord.PROTECTED.value, reasons)
    reasons = reasons.combine_chunks() if isinstance(reasons, pa.ChunkedArray) else reasons
    left = np.flatnonzero(reasons.is_null().to_numpy(zero_copy_only=False))
    left = left[np.argsort(np.asarray(rank)[left], kind="stable")]
    again = np.zeros(prepared.num_rows, bool)
    again[left] = _again(prepared.take(pa.array(left)))
    return pc.if_else(pa.array(again), NoRecord.DUPLICATE.value, reasons)


def _again(prepared: Any) -> Any:
    """Say of files in order of age which are an earlier one again, by their bytes or as pictures."""
    again = np.zeros(prepared.num_rows, bool)
    good = pc.fill_null(pc.greater_equal(prepared["hash_quality"], GOOD_QUALITY), fill_value=False)
    shown = pc.if_else(good, prepared["hash"], pa.scalar(None, pa.string()))
    for column in (prepared["media_digest"], prepared["clean_digest"], shown):
        known = np.flatnonzero(pc.is_valid(column).to_numpy())
        keys = column.take(pa.array(known)).combine_chunks().dictionary_encode().indices.to_numpy()
        first = np.zeros(len(known), bool)
        first[np.unique(keys, return_index=True)[1]] = True
        again[known[~first]] = True
    rest = np.flatnonzero(~again)
    chosen = prepared.take(pa.array(rest))
    near = copies_of_earlier(chosen["hash"], chosen["hash_mirrored"], chosen["hash_quality"])
    again[rest] = near.to_numpy(zero_copy_only=False)
    return again


Digests = tuple[str | None, str | None]


class MediaBuild:
    """Writes one build into a folder that is not yet its own; ``finish`` gives it its name."""

    def __init__(self, target: Path, before: Path | None) -> None:
        """Begin.

        Args:
            target: folder of the builds of one corpus.
            before: a build whose slices are linked where they are the same.
        """
        self._target, self._before = target, before
        self.folder = target / ".new"
        remove_tree(self.folder)
        self.folder.mkdir(parents=True)
        old = read_media_manifest(before).slices if before is not None else ()
        self._old = {one.path: one for one in old}
        self.slices: list[MediaSlice] = []
        self.linked = 0

    def add(self, place: str, records: Iterable[MediaRecord], digests: Iterable[Digests]) -> None:
        """Write the records of one place, a file for each form; what the build before has so is linked.

        Args:
            place: path of the slice without its ending.
            records: in any order.
            digests: SHA-256 of each record's medium and of its thumbnail.
        """
        forms: dict[str, list[tuple[MediaRecord, Digests]]] = {}
        for record, digest in zip(records, digests, strict=True):
            forms.setdefault(record.form, []).append((record, digest))
        for form, members in sorted(forms.items()):
            self._slice(f"{place}-{form}.tar", members)

    def _slice(self, path: str, members: list[tuple[MediaRecord, Digests]]) -> None:
        members = sorted(members, key=lambda member: member[0].record_id)
        facts = [_facts(record, *digests) for record, digests in members]
        rows, old = digest_json(facts), self._old.get(path)
        if old is not None and old.rows_digest == rows and self._whole(old):
            _link(self._before / path, self.folder / path)  # type: ignore[operator]  # old came from there
            self.slices.append(old)
            self.linked += 1
            return
        made = write_media_slice(self.folder / path, [record for record, _ in members])
        self.slices.append(MediaSlice(path, made["records"], made["bytes"], rows, made["sha256"]))

    def _whole(self, old: MediaSlice) -> bool:
        assert self._before is not None
        path = self._before / old.path
        return path.exists() and digest_file(path) == old.sha256

    def finish(self, **facts: Any) -> MediaManifest:
        """Write the manifest and give the build its name; one that has it already is never away for a moment."""
        slices = tuple(sorted(self.slices, key=lambda one: one.path))
        digest = digest_of(facts["corpus_digest"], facts["recipe"], facts["redactor"], facts["tools"], slices)
        manifest = MediaManifest(media_id=digest[:16], digest=digest, slices=slices, **facts)
        write_json(self.folder / MANIFEST, asdict(manifest))
        target = self._target / manifest.media_id
        if target.exists():
            _replace(target, self.folder)
        else:
            self.folder.rename(target)
        return manifest


def _facts(record: MediaRecord, media: str | None, thumbnail: str | None) -> dict[str, Any]:
    """Return what the digest of a slice is made of: all that a record says, its files by their digests."""
    return {**asdict(record), "media": media, "thumbnail": thumbnail}


def _replace(target: Path, fresh: Path) -> None:
    """Put the files of a build in the place of those with its name, the manifest last.

    Both hold the same records, so that a kill in between leaves a build of them; a later one may remember more files
    that are gone.
    """
    files = sorted(path.relative_to(fresh) for path in fresh.rglob("*") if path.is_file())
    for path in sorted(target.rglob("*")):
        if path.is_file() and path.relative_to(target) not in files:
            path.unlink()
    for one in sorted(files, key=lambda name: name == Path(MANIFEST)):
        (target / one).parent.mkdir(parents=True, exist_ok=True)
        (fresh / one).replace(target / one)
    remove_tree(fresh)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # the disk has no links
        shutil.copyfile(source, target)


def digest_of(corpus: str, recipe: dict[str, Any], redactor: str, tools: str, slices: Iterable[MediaSlice]) -> str:
    """Return the digest that names a build: what it was made with and what its slices hold."""
    contents = sorted([one.path, one.records, one.rows_digest] for one in slices)
    facts = {"corpus": corpus, "recipe": recipe, "redactor": redactor, "tools": tools, "slices": contents}
    return digest_json(facts)


def read_media_manifest(folder: Path) -> MediaManifest:
    """Read a build's manifest and check that its digest is that of what it lists.

    Raises:
        BrokenError: none (the build did not finish), damaged, or changed.
    """
    found = read_json(folder / MANIFEST)
    try:
        slices = tuple(MediaSlice(**one) for one in found["slices"])
        manifest = MediaManifest(**{**found, "slices": slices})
    except (KeyError, TypeError) as error:
        raise BrokenError(
            f"expected the manifest of a media build in {folder.name}, found other fields; build again"
        ) from error
    known = digest_of(manifest.corpus_digest, manifest.recipe, manifest.redactor, manifest.tools, slices)
    if known != manifest.digest or manifest.media_id != manifest.digest[:16]:
        raise BrokenError(f"expected the manifest of {folder.name} as it was written, found another; build again")
    return manifest


def check_slices(folder: Path, manifest: MediaManifest) -> Iterator[MediaRecord]:
    """Check every slice file and every medium in it; yield the records, one in memory at a time.

    Raises:
        BrokenError: files are missing, changed or extra, a medium holds more than pixels or samples, or a slice holds
            other records than the build's digest says.
    """
    listed = {one.path: one for one in manifest.slices}
    present = {path.relative_to(folder).as_posix() for path in folder.glob("data/**/*") if path.is_file()}
    faults = [f"{path} is missing" for path in sorted(set(listed) - present)]
    faults += [f"{path} is not of this build" for path in sorted(present - set(listed))]
    same = sorted(set(listed) & present)
    faults += [f"{path} was changed" for path in same if digest_file(folder / path) != listed[path].sha256]
    if faults:
        raise BrokenError("expected the files of the media build as they were written, found others", faults)
    for path in same:
        said = []
        for record in read_media_slice(folder / path):
            media, small = (one if isinstance(one, bytes) else b"" for one in (record.media, record.thumbnail))
            more = more_than_sound(media) if record.form == "voice" and media else []
            more += more_than_pixels(media) if record.form != "voice" else []
            more += more_than_pixels(small) if small else []
            if more:
                raise BrokenError(f"expected plain media in {path}, found more in {record.record_id}", more)
            said.append(_facts(record, digest_bytes(media), digest_bytes(small) if small else None))
            yield record
        if digest_json(said) != listed[path].rows_digest:
            raise BrokenError(f"expected the records of the media build's digest in {path}, found others; build again")

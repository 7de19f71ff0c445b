"""Corpus → its media records. A media build belongs to one corpus and says nothing that the corpus does not allow.

    sealed decisions + snapshot ─▶ rows ─▶ clean files (cache) ─▶ copies of protected ones go ─▶ slices ─▶ manifest

Decisions, persons and places are the corpus' own, so that somebody's pictures lie where their texts lie and leave with
them. An erasure makes the build of the new corpus from the cache and destroys what may no longer be used.
"""

from __future__ import annotations

import errno
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import parse
from demur.corpus import read_manifest
from demur.corpus.shard import slice_path
from demur.errors import DemurError, RefusedError
from demur.flows.left import fresh
from demur.flows.media_gone import GONE, KEPT, memories, remembered, remembered_keypoints
from demur.flows.media_rows import media_rows
from demur.flows.media_words import Told, told
from demur.flows.parts import Parts, corpus_folder
from demur.flows.pending import came_since, refuse_unfinished, waiting_for
from demur.intake.signals import NO, content_credentials
from demur.ledger import Entry, EntryKind
from demur.lineage import SealedFile, write_sealed
from demur.lineage.sealed import bucket_of
from demur.media import RULES, MediaRecipe, MediaRecord, stale_media
from demur.media.build import JUDGED, MANIFEST, MediaBuild, MediaManifest, NoRecord, judge, read_media_manifest
from demur.media.partial import parts_in
from demur.media.prepare import iterate
from demur.store import Workspace, remove_tree, write_table
from demur.store.stage import run_stage
from demur.terms.manifests import SliceRef

_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM}
"""Errors of a system that pass by: what would be given up for them cannot be made again."""
REDACTOR = "demur.corpus.redact:redact"
_TEXTS = ("item_id", "person_id", "record_id", "reason", "detail", "digest", "hash", "hash_mirrored", "hash_inside")
SEALED: Any = pa.schema([*((name, pa.string()) for name in (*_TEXTS, "keypoints")), ("hash_quality", pa.int32())])
"""What became of the file of every allowed item, and what is remembered of files that are gone (media_gone.py): only
of these the keypoints, which are large. Sealed: it links items, persons and records."""

SHOWN: Any = pa.schema([(name, pa.string()) for name in ("record_id", "item_id", "person_id", "role")])
"""Who owns a part of a record since a post of theirs stands in it (role ``copy_owner``). Sealed."""

_BUCKETS = 64
_MUST_GO = frozenset({NoRecord.PROTECTED_COPY.value, NoRecord.MENTION.value, NoRecord.SIGNAL_NO.value, GONE})
"""Rights: not even the cache keeps such a file's clean form."""
_PLACE = itemgetter("region", "shard", "slice")


def build_media(parts: Parts, recipe: MediaRecipe, *, at: datetime) -> MediaManifest:
    """Make the media build of the current corpus; another one of that corpus is replaced.

    Args:
        parts: the workspace; files lie in its ``media/`` by the paths that they came with.
        recipe: how clean forms are made.
        at: now.

    Raises:
        RefusedError: an erasure is unfinished, or something that takes away came since the corpus was made.
        ConfigError: the recipe needs what is not installed.
    """
    refuse_unfinished(parts)
    corpus = corpus_folder(parts.workspace)
    parts.registry.look(at)
    if waiting_since(parts, corpus):
        raise RefusedError(
            "expected a corpus that knows of every objection, hold and correction, found later ones; "
            "run `demur erase` or `demur corpus build` first"
        )
    manifest = media_of(parts, corpus, recipe, at=at)
    others = [one for one in media_builds(parts.workspace) if one.parent.name != corpus.name]
    for path in doomed_media(parts, [*others, corpus_media(parts.workspace, corpus.name) / manifest.media_id]):
        remove_tree(path) if path.is_dir() else path.unlink()
    return manifest


def waiting_since(parts: Parts, corpus: Path) -> int:
    """Count what came since a corpus was made; what an erasure found nothing of in its texts may be in its pictures."""
    since = parse(read_manifest(corpus).inputs["narrowed_at"])
    return len({one.restriction_id for one in (*came_since(parts, since), *waiting_for(parts, corpus))})


def media_after(parts: Parts, before: str, corpus: Path, *, at: datetime) -> dict[str, str | None]:
    """Make the media build of the corpus that an erasure made, if one before had one; return its id.

    The newest of an older corpus goes on too, where the one before has none yet: the erasure destroys it, and with it
    what is remembered of protected files that are gone. An erasure waits for no picture: where it cannot be made any
    more, there is none, and the reason stands in its journal. It waits for a disk that is full, and its like.
    """
    builds = media_builds(parts.workspace, corpus=before) or media_builds(parts.workspace)
    if not builds:
        return {}
    old = max(builds, key=lambda one: (one / MANIFEST).stat().st_mtime_ns)
    try:
        recipe = MediaRecipe.of({**read_media_manifest(old).recipe, "rules": RULES})  # its settings, today's rules
        made = media_of(parts, corpus, recipe, at=at, before=old)
    except (DemurError, OSError, pa.ArrowException) as error:  # whose own words may name files
        if isinstance(error, OSError) and error.errno in _PASSING:
            raise
        return {"media": None, "media_left": str(error) if isinstance(error, DemurError) else type(error).__name__}
    return {"media": made.media_id}


def media_of(
    parts: Parts, corpus: Path, recipe: MediaRecipe, *, at: datetime, before: Path | None = None
) -> MediaManifest:
    """Make and log the media build of a corpus, whatever is waiting.

    Args:
        parts: the workspace.
        corpus: its folder.
        recipe: how clean forms are made.
        at: instant for the ledger.
        before: a build whose slices are linked where they are the same; ``None`` = one of this corpus, if any.
    """
    space, inputs = parts.workspace, read_manifest(corpus)
    before = before or next(iter(media_builds(space, corpus=corpus.name)), None)
    with fresh(space, "media") as work:  # a killed run starts again: what was costly lies in the cache
        parts.progress("media: rows", 0, None)
        rows = media_rows(parts, corpus, inputs, work)
        write_table(work / "rows.parquet", rows)
        parts.progress("media: clean files", 0, None)
        call = {
            "rows": str(work / "rows.parquet"),
            "root": str(space.media),
            "recipe": recipe.plain(),
            "redactor": REDACTOR,
            "cache": str(cache_of(space)),
        }
        tools = run_stage("demur.media.prepare:prepare_media", work / "prepared", call)["results"]
        parts.progress("media: slices", 0, None)
        earlier = (one for other in media_builds(space) for one in _sealed(parts, other))
        looked, known, lost = remembered(earlier, rows, _looked(work), cache_of(space))
        build = MediaBuild(corpus_media(space, corpus.name), before)
        parts.progress("media: texts in them", 0, None)
        said = told(parts, corpus, inputs, work, rows)
        shown = parts_in(work / "prepared", rows["protected"], remembered_keypoints(known, rows))
        fates = _fates(rows, looked, said, shown)
        sealed = list(_slices(parts, corpus, rows, work, build, recipe, fates))
        for one in sealed:
            one |= {name: known[one["item_id"]].get(name) for name in KEPT if one["item_id"] in known}
        _seal(parts, build.folder, "media", SEALED, [*sealed, *memories(known, rows)])
        _seal(parts, build.folder, "shown", SHOWN, _shown(rows, fates, said))
        counts = Counter(one["reason"] or "record" for one in sealed)
        manifest = build.finish(
            corpus_id=inputs.corpus_id,
            corpus_digest=inputs.digest,
            recipe=recipe.plain(),
            redactor=REDACTOR,
            tools=tools,
            counts=dict(sorted(counts.items())),
            gone=lost,
        )
    facts = {"corpus": inputs.corpus_id, "media": manifest.media_id, "counts": manifest.counts, "gone": lost}
    builds = {"media": manifest.digest, "corpus": inputs.digest}
    parts.log(Entry(EntryKind.BUILD, at, f"media:{manifest.media_id}", facts, builds))
    return manifest


def _looked(work: Path) -> Any:
    """Return what was seen of the files, as far as a judgement needs it."""
    return pq.read_table(work / "prepared" / "media.parquet", columns=[*JUDGED, "form", "credentials"])


def _slices(
    parts: Parts, corpus: Path, rows: Any, work: Path, build: MediaBuild, recipe: MediaRecipe, fates: list[_Fate]
) -> Iterator[dict[str, Any]]:
    """Write the slices, a place at a time; yield what became of the file of every allowed item."""
    facts = (row for batch in rows.to_batches(max_chunksize=4096) for row in batch.to_pylist())
    joined = (
        {**row, **clean, "reason": reason, "detail": detail}
        for row, clean, (reason, detail) in zip(facts, iterate(work / "prepared"), fates, strict=True)
        if row["region"] is not None
    )
    for place, members in groupby(joined, _PLACE):
        ref, found = SliceRef(*place), list(members)
        kept = [one for one in found if one["reason"] is None]
        texts = _texts(corpus, ref, kept)
        records = [_record(one, texts, cache_of(parts.workspace), recipe.thumbnail_edge) for one in kept]
        digests = [(one["clean_digest"], one["thumbnail_digest"]) for one in kept]
        build.add(slice_path(ref).removesuffix(".parquet"), records, digests)
        for one in found:
            known = {"digest": one["media_digest"], "record_id": None if one["reason"] else one["record_id"]}
            yield {name: one.get(name) for name in SEALED.names} | known


_Fate = tuple[str | None, str | None]
"""Why a file becomes no record, and of a protected copy what is copied; null = it becomes one."""


def _fates(rows: Any, looked: Any, said: Told, shown: Any) -> list[_Fate]:
    """Say of every file why it becomes no record: by its picture, by what stands in it, by what the file says.

    ``shown`` says of each whether it shows a part of a protected picture.
    """
    words = pc.fill_null(rows["copied_words"].combine_chunks(), fill_value=True)
    copied = pc.or_(words, pa.array(said.protected))
    reasons: list[str | None] = judge(looked, rows["protected"], copied, rows["rank"], shown).to_pylist()
    free = {None, NoRecord.DUPLICATE.value}
    rights = {
        NoRecord.SIGNAL_NO: [refused(one) for one in looked["credentials"].to_pylist()],
        NoRecord.MENTION: said.naming.tolist(),
    }
    for reason, hits in rights.items():
        reasons = [reason.value if hit and why in free else why for why, hit in zip(reasons, hits, strict=True)]
    what = np.where(said.protected, "text in it", np.where(words.to_numpy(zero_copy_only=False), "words", "picture"))
    is_copy = NoRecord.PROTECTED_COPY.value
    return [(why, one if why == is_copy else None) for why, one in zip(reasons, what.tolist(), strict=True)]


def _shown(rows: Any, fates: list[_Fate], said: Told) -> list[dict[str, Any]]:
    """Return SHOWN of the files that become records."""
    records = zip(rows["record_id"].take(said.owners["row"]).to_pylist(), said.owners.to_pylist(), strict=True)
    return [
        {"record_id": record, "item_id": one["item_id"], "person_id": one["person_id"], "role": "copy_owner"}
        for record, one in records
        if record is not None and one["person_id"] is not None and fates[one["row"]][0] is None
    ]


def refused(credentials: str | None) -> bool:
    """Say whether a file's content credentials say no to training; a yes opens nothing (docs/signals.md)."""
    return credentials is not None and content_credentials(json.loads(credentials)).value == NO


def _record(one: dict[str, Any], texts: dict[str, str], cache: Path, edge: int) -> MediaRecord:
    return MediaRecord(
        record_id=one["record_id"],
        form=one["form"],
        media=cache / one["clean_path"] if one["clean_path"] else b"",
        text=texts.get(one["text_record"] or "", ""),
        transcript=one["transcript"] or "",
        picture_text=one["ocr_text"] or "",
        language=one["language"] or "",
        region=one["region"],
        frames=one["frames"] or 1,
        thumbnail=cache / one["thumbnail_path"] if one["thumbnail_path"] else b"",
        thumbnail_edge=edge if one["thumbnail_path"] else 0,
    )


def _texts(corpus: Path, ref: SliceRef, kept: list[dict[str, Any]]) -> dict[str, str]:
    """Return the corpus' texts of some records; they lie in the slice of the same place."""
    wanted = pa.array([one["text_record"] for one in kept if one["text_record"]], pa.string())
    if not len(wanted):
        return {}
    found = pq.read_table(corpus / slice_path(ref), columns=["record_id", "text"], use_threads=False)
    found = found.filter(pc.is_in(found["record_id"], wanted))
    return dict(zip(found["record_id"].to_pylist(), found["text"].to_pylist(), strict=True))


def _seal(parts: Parts, folder: Path, kind: str, schema: Any, rows: list[dict[str, Any]]) -> None:
    buckets: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        buckets.setdefault(bucket_of(row["person_id"], _BUCKETS), []).append(row)
    tables = ((bucket, pa.Table.from_pylist(some, schema=schema)) for bucket, some in sorted(buckets.items()))
    secret = parts.keys.secret("lineage")
    write_sealed(folder / "sealed" / f"{kind}.sealed", kind, tables, secret=secret, buckets=_BUCKETS)


def cache_of(space: Workspace) -> Path:
    """Return the folder of clean files by digest."""
    return space.media_builds / "cache"


def corpus_media(space: Workspace, corpus: str) -> Path:
    """Return the folder of the media builds of a corpus."""
    return space.media_builds / corpus


def media_builds(space: Workspace, *, corpus: str = "*") -> list[Path]:
    """Return the whole media builds: one a corpus, or two while an erasure is unfinished."""
    return [path.parent for path in sorted(space.media_builds.glob(f"{corpus}/[!.]*/manifest.json"))]


def media_folder(parts: Parts, corpus: str | None = None) -> Path:
    """Return the media build of a corpus, by default the current one.

    Raises:
        RefusedError: there is none, or an erasure is unfinished.
    """
    refuse_unfinished(parts)
    found = media_builds(parts.workspace, corpus=corpus_folder(parts.workspace, corpus).name)
    if not found:
        raise RefusedError("expected a media build of this corpus, found none; run `demur media build`")
    return found[0]


def doomed_media(parts: Parts, stays: Sequence[Path]) -> list[Path]:
    """Return what must go when some media builds stay: all others, and every cached file that none may use or made.

    An erasure lets one stay at most: nobody has looked whether somebody who left is in those of older corpora.
    """
    root = parts.workspace.media_builds
    homes = {one.parent for one in stays}
    others = [path for path in sorted(root.glob("*")) if path not in {*homes, cache_of(parts.workspace)}]
    others += [path for home in sorted(homes) for path in sorted(home.glob("*")) if path not in stays]
    keep: dict[str, set[str]] = {}
    for build in stays:
        fates = [one for one in _sealed(parts, build) if one["digest"]]
        gone = {one["digest"] for one in fates if one["reason"] in _MUST_GO}
        keep.setdefault(read_media_manifest(build).tools, set()).update(
            one["digest"] for one in fates if one["digest"] not in gone
        )
    return [*others, *stale_media(cache_of(parts.workspace), keep)]


def doomed_with(parts: Parts, corpus: str) -> list[Path]:
    """Return what of media must go with a corpus."""
    return doomed_media(parts, [one for one in media_builds(parts.workspace) if one.parent.name != corpus])


def _sealed(parts: Parts, build: Path) -> Iterator[dict[str, Any]]:
    secret = parts.keys.secret("lineage")
    for table in SealedFile(build / "sealed" / "media.sealed", "media", secret=secret).all():
        yield from table.to_pylist()

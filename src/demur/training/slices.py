"""Reads a corpus from its files: manifest, integrity, the records of a slice. Knows nothing of learning."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from demur.errors import BrokenError
from demur.store.contents import says
from demur.store.files import digest_file, digest_json, read_json
from demur.terms.manifests import CorpusManifest, SliceDigest, SliceRef


@dataclass(frozen=True, slots=True)
class Row:
    """What training takes from a record; nothing else of it is read."""

    record_id: str
    text: str


def read_manifest(corpus_dir: Path) -> CorpusManifest:
    """Read a corpus' manifest.

    Raises:
        BrokenError: it is missing, damaged, or not a manifest.
    """
    found = read_json(corpus_dir / "manifest.json")
    try:
        slices = tuple(SliceDigest(**entry) for entry in found["slices"])
        manifest = CorpusManifest(**{**found, "slices": slices})
        digest = corpus_digest(manifest)
    except (KeyError, TypeError) as error:
        raise BrokenError(
            f"expected a corpus manifest in {corpus_dir.name}, found another shape ({type(error).__name__}); "
            "build the corpus again with this version"
        ) from error
    if digest != manifest.digest:
        raise BrokenError(
            f"expected that the manifest of {corpus_dir.name} follows from what it lists, found another digest; "
            "it was changed: build the corpus again"
        )
    return manifest


def corpus_digest(manifest: CorpusManifest) -> str:
    """Return the digest of a corpus as its manifest's contract says: over recipe and contents of all slices."""
    contents = sorted(
        [entry.region, entry.shard, entry.slice, entry.records, entry.content_digest] for entry in manifest.slices
    )
    return digest_json({"recipe": manifest.inputs["recipe"], "slices": contents})


def check_files(corpus_dir: Path, manifest: CorpusManifest) -> None:
    """Refuse a corpus whose files are not those of its manifest (COR-02, TRN-01).

    Raises:
        BrokenError: a slice file is missing or differs; all are named.
    """
    with ThreadPoolExecutor(4) as pool:
        faults = [fault for fault in pool.map(lambda entry: _fault(corpus_dir, entry), manifest.slices) if fault]
    if faults:
        raise BrokenError(
            f"the corpus {manifest.corpus_id} is not what its manifest says; build it again before training", faults
        )


def _fault(corpus_dir: Path, entry: SliceDigest) -> str:
    path = corpus_dir / entry.path
    if not path.exists():
        return "" if entry.records == 0 else f"{entry.path}: missing"
    if digest_file(path) != entry.file_digest:
        return f"{entry.path}: its bytes differ from the manifest's digest"
    return "" if says(path, entry.content_digest) else f"{entry.path}: its records differ from the corpus' digest"


def by_place(manifest: CorpusManifest) -> dict[SliceRef, SliceDigest]:
    """Return the slices that hold records, by their place."""
    return {SliceRef(entry.region, entry.shard, entry.slice): entry for entry in manifest.slices if entry.records}


def read_slice(path: Path) -> list[Row]:
    """Return a slice's records in the order of the file; training does not depend on it."""
    table = pq.read_table(path, columns=["record_id", "text"])
    return [
        Row(record_id, text)
        for record_id, text in zip(table["record_id"].to_pylist(), table["text"].to_pylist(), strict=True)
    ]

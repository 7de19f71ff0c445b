"""The manifest of a corpus on disk: written last, read whole, checked against itself (COR-01)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from demur.errors import BrokenError
from demur.store import digest_file, digest_json, read_json, write_json
from demur.store.contents import says
from demur.terms.manifests import CorpusManifest, CorpusRecipe, SliceDigest

MANIFEST = "manifest.json"
HOLDS = "{} holds other records than the digest of the corpus"


def corpus_digest(recipe: CorpusRecipe | dict[str, Any], slices: Iterable[SliceDigest]) -> str:
    """Return the digest that names a corpus: recipe and contents of all slices, nothing else.

    Args:
        recipe: the recipe, or its plain form as a manifest has it: an older one lacks settings that came since.
        slices: of the corpus.
    """
    plain = recipe if isinstance(recipe, dict) else recipe.as_json()
    contents = sorted([one.region, one.shard, one.slice, one.records, one.content_digest] for one in slices)
    return digest_json({"recipe": plain, "slices": contents})


def write_manifest(folder: Path, manifest: CorpusManifest) -> None:
    """Write the manifest; the corpus is there when this file is."""
    write_json(folder / MANIFEST, asdict(manifest))


def read_manifest(folder: Path) -> CorpusManifest:
    """Read a corpus' manifest and check that its digest is the digest of what it lists.

    Raises:
        BrokenError: no manifest (the build did not finish), damaged, or changed.
    """
    found = read_json(folder / MANIFEST)
    try:
        slices = tuple(SliceDigest(**one) for one in found["slices"])
        manifest = CorpusManifest(**{**found, "slices": slices})
        CorpusRecipe(**manifest.inputs["recipe"])
    except (KeyError, TypeError) as error:
        raise BrokenError(
            f"expected the manifest of a corpus in {folder.name}/{MANIFEST}, found other fields; build again"
        ) from error
    if (
        corpus_digest(manifest.inputs["recipe"], slices) != manifest.digest
        or manifest.corpus_id != manifest.digest[:16]
    ):
        raise BrokenError(
            f"expected {folder.name}/{MANIFEST} to name the digest of its slices, found another; "
            "the manifest was changed: restore it or build again"
        )
    return manifest


def check_files(folder: Path, manifest: CorpusManifest) -> None:
    """Check every file that the manifest lists, and that there is no other; and that slices say what it says they say.

    Raises:
        BrokenError: a file is missing, changed or extra, or holds other records; each is named.
    """
    check_bytes(folder, manifest)
    check_contents(folder, manifest)


def check_bytes(folder: Path, manifest: CorpusManifest, fresh: Collection[str] = ()) -> dict[str, str]:
    """Check that every file is there that the manifest lists, with its digest, and no other.

    Args:
        folder: of the corpus.
        manifest: of it.
        fresh: files that it does not name yet.

    Returns:
        The digests of these.

    Raises:
        BrokenError: a file is missing, changed or extra; each is named.
    """
    listed = dict.fromkeys(fresh, "") | {one.path: one.file_digest for one in manifest.slices} | manifest.sealed
    present = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} - {MANIFEST}
    faults = [f"{path} is missing" for path in sorted(set(listed) - present)]
    faults += [f"{path} is not of this corpus" for path in sorted(present - set(listed))]
    found = {path: digest_file(folder / path) for path in sorted(present & set(listed))}
    faults += [f"{path} was changed" for path, digest in found.items() if digest != listed[path] and path not in fresh]
    refuse(manifest, faults)
    return {path: found[path] for path in fresh}


def check_contents(folder: Path, manifest: CorpusManifest) -> None:
    """Check that slices say what the manifest says they say.

    Raises:
        BrokenError: one holds other records.
    """
    others = (one.path for one in manifest.slices if not says(folder / one.path, one.content_digest))
    refuse(manifest, list(map(HOLDS.format, others)))


def refuse(manifest: CorpusManifest, faults: list[str]) -> None:
    """Refuse files that are not as they were written.

    Raises:
        BrokenError: there are faults.
    """
    if faults:
        raise BrokenError(
            f"expected the files of corpus {manifest.corpus_id} as they were written, found others; "
            "restore them or build again",
            faults,
        )


def show(manifest: CorpusManifest) -> dict[str, Any]:
    """Return the facts of a corpus for people: no list of slices, but how many hold something."""
    filled = [one for one in manifest.slices if one.records]
    return {
        "corpus_id": manifest.corpus_id,
        "digest": manifest.digest,
        "inputs": manifest.inputs,
        "counts": manifest.counts,
        "slices": len(manifest.slices),
        "slices_with_records": len(filled),
        "shards_with_records": len({(one.region, one.shard) for one in filled}),
        "versions": manifest.versions,
        "verdict": manifest.verdict,
        "replaces": manifest.replaces,
    }

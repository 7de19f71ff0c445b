"""Stage 2, one bucket at a time: redact, normalise, measure, tag; all of it a function of the text.

Two texts are kept for a moment. ``plain`` has its identifiers redacted and decides what is a copy of what;
``text`` has the names of objectors redacted too and becomes the record. Copies are compared before names go, so
that redacting a name can never hide a copy. Both live in work files only and are gone when the build is done.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from demur.corpus.disk import writing
from demur.corpus.similarity import band_keys, exact_keys, signatures, words
from demur.lineage import Suppressed
from demur.store import KeyRing, commit_record
from demur.terms.manifests import CorpusRecipe
from demur.terms.reasons import Exclusion

CHUNK_ROWS = 8_192

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""Category Cc but for the line feed; the category's members are fixed by the Unicode stability policy."""

ROWS: Any = pa.schema(
    [
        ("item_id", pa.string()),
        ("person_id", pa.string()),
        ("kind", pa.string()),
        ("protected", pa.bool_()),
        ("created_us", pa.int64()),
        ("tie", pa.binary(16)),
        ("exclusion", pa.string()),
        ("copyable", pa.bool_()),
        ("exact", pa.binary(16)),
        ("bands", pa.list_(pa.uint64())),
        ("plain", pa.string()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("dialect", pa.string()),
        ("region", pa.string()),
    ]
)


@writing("redacted texts")
def prepare(
    folder: Path,
    *,
    rows: str,
    keys: str,
    recipe: dict[str, Any],
    copy_min_words: int,
    standing: str | None,
    suppressed: str,
    upstream: str,
) -> None:
    """Write ``rows.parquet``: every allowed item and every protected one long enough to have copies; then commit.

    Args:
        folder: where to write.
        rows: a bucket of the select stage.
        keys: folder of the key ring.
        recipe: the recipe's plain form.
        copy_min_words: shorter texts belong to nobody.
        standing: folder of the people tables when names of objectors are redacted, else ``None``.
        suppressed: file of the keyed hashes of what other people had taken out of everybody's texts.
        upstream: call of the stage before, so that other inputs mean another run.
    """
    assert upstream
    settings = CorpusRecipe(**recipe)
    ring = KeyRing(Path(keys))
    names = objector_names(Path(standing)) if standing else []
    cut = Suppressed(pq.read_table(suppressed)["identifier_hash"].to_pylist(), ring.secret("suppression"))
    with pq.ParquetFile(rows) as source, pq.ParquetWriter(folder / "rows.parquet", ROWS, compression="zstd") as sink:
        for batch in source.iter_batches(batch_size=CHUNK_ROWS):
            sink.write_table(_prepared(batch.to_pylist(), settings, ring, names, cut, copy_min_words))
    commit_record(folder, {"rows": pq.read_metadata(folder / "rows.parquet").num_rows})


def objector_names(standing: Path) -> list[str]:
    """Return every display name, now or before, of people with an objection in force, sorted."""
    people = pq.read_table(standing / "standing.parquet", columns=["person_id", "objected"])
    objectors = set(people.filter(people["objected"])["person_id"].to_pylist())
    accounts = pq.read_table(standing / "accounts.parquet", columns=["person_id", "names"])
    names: set[str] = set()
    for person, found in zip(accounts["person_id"].to_pylist(), accounts["names"].to_pylist(), strict=True):
        if person in objectors:
            names.update(name.strip() for name in found or [] if name and len(name.split()) >= 2)
    return sorted(names)


def normalise(text: str) -> str:
    r"""Return the text as records hold it: NFC, no control characters, blanks and empty lines collapsed.

    >>> normalise("  a \t b \r\n\n\n\n c\x00 ")
    'a b\n\nc'
    """
    composed = unicodedata.normalize("NFC", text)
    if _CONTROL.search(composed):
        composed = _CONTROL.sub("", composed.replace("\r\n", "\n").replace("\r", "\n").replace("\t", " "))
    if "\n" not in composed:  # most posts
        return " ".join(composed.split())
    kept: list[str] = []
    for line in composed.split("\n"):
        words_only = " ".join(line.split())
        if words_only or (kept and kept[-1]):
            kept.append(words_only)
    return "\n".join(kept).strip()


def region_of(language: str, dialect: str | None, recipe: CorpusRecipe) -> str:
    """Return the region of a tag: the dialect's if it has one, else the language's, else the other region."""
    if dialect is not None:
        for tag in (dialect, f"{language}-{dialect}"):
            if tag in recipe.regions:
                return recipe.regions[tag]
    return recipe.regions.get(language, recipe.other_region)


def _prepared(
    rows: list[dict[str, Any]],
    recipe: CorpusRecipe,
    keys: KeyRing,
    names: list[str],
    cut: Suppressed,
    copy_min_words: int,
) -> Any:
    from demur.corpus.redact import redact
    from demur.corpus.redact_names import redact_names

    live = [row for row in rows if row["text"] and not row["text"].isspace()]
    redacted = redact(_strings([row["text"] for row in live])).texts
    plain = [normalise(text) for text in redacted.to_pylist()]
    final = plain
    if names or cut:
        final = [normalise(text or "") for text in cut.cut(redact_names(redacted, names).to_pylist())]
    for row, one, other in zip(live, plain, final, strict=True):
        row["plain"], row["text"] = one, other
        row["copyable"] = len(words(one)) >= copy_min_words
    _exclude(rows, recipe)
    kept = [row for row in rows if row["allowed"] or (row.get("copyable") and row.get("plain"))]
    _tag(kept, recipe)
    _measure([row for row in kept if row["exclusion"] is None])
    for row in kept:
        _finish(row, keys)
    return pa.Table.from_pylist(kept, schema=ROWS)


def _strings(texts: list[str]) -> Any:
    return pa.array(texts, pa.string())


def _exclude(rows: list[dict[str, Any]], recipe: CorpusRecipe) -> None:
    for row in rows:
        row["exclusion"] = None
        if not row["allowed"]:
            continue
        if not row.get("plain"):
            row["exclusion"] = Exclusion.NO_TEXT.value
        elif len(words(row["text"])) < recipe.min_words:
            row["exclusion"] = Exclusion.TOO_SHORT.value


def _tag(rows: list[dict[str, Any]], recipe: CorpusRecipe) -> None:
    """Tag language, dialect and region of what may become a record; the tag is one of the text before names go."""
    from demur.corpus.dialect import tag_dialect
    from demur.corpus.language import tag_language

    records = [row for row in rows if row["allowed"] and row["exclusion"] is None]
    texts = _strings([row["plain"] for row in records])
    languages, _confidence = tag_language(texts, _strings([row["language"] for row in records]))
    dialects = tag_dialect(texts, languages)
    for row in rows:
        row["language"] = None
    for row, language, dialect in zip(records, languages.to_pylist(), dialects.to_pylist(), strict=True):
        if not language or language == "und":
            row["exclusion"] = Exclusion.LANGUAGE_UNKNOWN.value
            continue
        row["language"], row["dialect"] = language, dialect
        row["region"] = region_of(language, dialect, recipe)


def _measure(rows: list[dict[str, Any]]) -> None:
    texts = _strings([row["plain"] for row in rows])
    bands = band_keys(signatures(texts)).tolist()
    for row, exact, keys in zip(rows, exact_keys(texts).to_pylist(), bands, strict=True):
        row["exact"], row["bands"] = exact, keys


def _finish(row: dict[str, Any], keys: KeyRing) -> None:
    row["created_us"] = _microseconds(row["created_at"])
    row["tie"] = keys.mac("records", "order", row["item_id"])[:16]
    row["copyable"] = bool(row.get("copyable"))
    if row["exclusion"] is not None:
        row["plain"] = row["text"] = None


def _microseconds(instant: Any) -> int:
    """Return microseconds since 1970; an unknown instant sorts last."""
    if instant is None:
        return 2**62
    whole = int(instant.timestamp()) if instant.microsecond == 0 else int(instant.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + int(instant.microsecond)

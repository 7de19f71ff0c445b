"""Stage 2, one bucket at a time: redact, normalise, measure, tag; all of it a function of the text.

Two texts are kept for a moment. ``plain`` has its identifiers redacted and decides everything about a text: what is a
copy of what, its language, whether it can be a record. ``text`` has the names of objectors redacted too and becomes
the record, so that redacting a name can never hide a copy or move a record. Both live in work files only and are gone
when the build is done; what stays are measures, sealed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.disk import writing
from demur.corpus.measures import MEASURES, TEXTS
from demur.corpus.mentions import objector_names, suppressed_words
from demur.corpus.select import TEXTS_OF, WANTED
from demur.corpus.shard import Placement
from demur.corpus.similarity import measure
from demur.corpus.spill import read_bucket, write_bucket
from demur.lineage import Suppressed
from demur.store import KeyRing, commit_record
from demur.store.keys import mac_of
from demur.terms.manifests import CorpusRecipe
from demur.terms.reasons import Exclusion

CHUNK_ROWS = 8_192
EXCLUSIONS = tuple(Exclusion)
_LATEST = 2**62
"""An unknown instant sorts last."""

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""Category Cc but for the line feed; the category's members are fixed by the Unicode stability policy."""


@writing("redacted texts")
def prepare(
    folder: Path,
    *,
    selected: str,
    bucket: int,
    gauge: dict[str, Any],
    upstream: str,
) -> None:
    """Write ``measures/`` and ``texts/`` of one bucket: of everything in it that is wanted; then commit.

    Args:
        folder: where to write.
        selected: folder of the select stage.
        bucket: number of the bucket.
        gauge: what texts are measured with, in plain values: see :meth:`Gauge.of`.
        upstream: call of the stage before, so that other inputs mean another run.
    """
    assert upstream
    wanted = read_bucket(Path(selected) / "wanted", WANTED, bucket)
    items = read_bucket(Path(selected) / "items", TEXTS_OF, bucket)
    ready = Gauge.of(**gauge)
    measures, texts = [MEASURES.empty_table()], [TEXTS.empty_table()]
    for start in range(0, wanted.num_rows, CHUNK_ROWS):
        rows = wanted.slice(start, CHUNK_ROWS)
        found = items.take(pc.index_in(rows["item_id"], items["item_id"]))
        measured, written = ready.measured(rows, found)
        measures.append(measured)
        texts.append(written)
    write_bucket(folder / "measures", bucket, pa.concat_tables(measures).combine_chunks())
    write_bucket(folder / "texts", bucket, pa.concat_tables(texts).combine_chunks())
    commit_record(folder, {"rows": wanted.num_rows})


@dataclass(frozen=True, slots=True)
class Gauge:
    """Measures texts: the frozen rules with the names that no text may hold."""

    recipe: CorpusRecipe
    placement: Placement
    mac: Callable[[bytes], bytes]
    """HMAC under the key of the purpose ``records``: an item's record id and its tie are parts of one."""
    names: list[str]
    cut: Suppressed
    copy_min_words: int

    @classmethod
    def of(cls, *, recipe: dict[str, Any], keys: str, standing: str, mentions: bool, copy_min_words: int) -> Gauge:
        """Return one for a build from plain values.

        Args:
            recipe: the recipe's plain form.
            keys: folder of the key ring.
            standing: folder of the people tables.
            mentions: names of people who objected are taken out of texts.
            copy_min_words: shorter texts belong to nobody.
        """
        settings, ring, people = CorpusRecipe(**recipe), KeyRing(Path(keys)), Path(standing)
        return cls(
            settings,
            Placement(ring.secret("placement"), ring.secret("records"), settings.shards, settings.slices),
            mac_of(ring.secret("records")),
            objector_names(people) if mentions else [],
            Suppressed(suppressed_words(people), ring.secret("suppression")),
            copy_min_words,
        )

    def measured(self, rows: Any, items: Any) -> tuple[Any, Any]:
        """Return MEASURES and TEXTS of some rows.

        Args:
            rows: WANTED.
            items: TEXTS_OF of the same items, in the same order.
        """
        plain, text = self.texts(items["text"])
        protected = rows["protected"].to_numpy(zero_copy_only=False).astype(bool)
        exact, bands, words = measure(plain)
        out = self._exclusions(plain, words, protected)
        records = np.flatnonzero(~protected & (out < 0))
        tags = self._tags(plain.take(pa.array(records)), items["language"].take(pa.array(records)))
        out[records[~_known(tags["language"])]] = EXCLUSIONS.index(Exclusion.LANGUAGE_UNKNOWN)
        macs = [self.mac(_prefixed(item)) for item in rows["item_id"].to_pylist()]
        where = _scattered(len(out), records)
        columns = {name: rows[name] for name in WANTED.names}
        columns |= {name: values.take(where) for name, values in tags.items()}
        columns |= {
            "version": pc.utf8_slice_codeunits(items["version_id"], 0, 32),
            "created_us": pc.fill_null(items["created_at"].cast(pa.int64()), _LATEST),
            "tie": pa.array(np.array([int.from_bytes(mac[16:24], "big") for mac in macs], np.uint64)),
            "words": pa.array(words, pa.int32()),
            "exact": exact,
            "bands": bands,
            "exclusion": pa.array(EXCLUSIONS, pa.string()).take(pa.array(out, mask=out < 0)),
        }
        chosen = ~protected & (out < 0)
        columns |= self._places(rows["person_id"].to_pylist(), columns["region"].to_pylist(), macs, chosen)
        gone, nothing = pa.array(out >= 0), pa.scalar(None, pa.string())
        kept = (pc.if_else(gone, nothing, column) for column in (plain, text))
        measures = pa.table([columns[name] for name in MEASURES.names], schema=MEASURES)
        return measures, pa.table([rows["item_id"], *kept], schema=TEXTS)

    def texts(self, raw: Any) -> tuple[Any, Any]:
        """Return what decides and what becomes a record, as Arrow string arrays without nulls."""
        from demur.corpus.redact import redact
        from demur.corpus.redact_names import redact_names

        redacted = redact(pc.fill_null(_one(raw), "")).texts
        plain = pa.array([normalise(text) for text in redacted.to_pylist()], pa.string())
        if not self.names and not self.cut:
            return plain, plain
        final = self.cut.cut(redact_names(redacted, self.names).to_pylist())
        return plain, pa.array([normalise(text or "") for text in final], pa.string())

    def _exclusions(self, plain: Any, words: Any, protected: Any) -> Any:
        """Return the place in EXCLUSIONS of why a text is no record, -1 for none."""
        least = np.where(protected, self.copy_min_words, self.recipe.min_words)
        out = np.full(len(words), -1, np.int8)
        out[words < least] = EXCLUSIONS.index(Exclusion.TOO_SHORT)
        out[pc.equal(plain, "").to_numpy(zero_copy_only=False)] = EXCLUSIONS.index(Exclusion.NO_TEXT)
        return out

    def _tags(self, texts: Any, hints: Any) -> dict[str, Any]:
        """Tag language, dialect and region of what may become a record; no region = language unknown."""
        from demur.corpus.dialect import tag_dialect
        from demur.corpus.language import tag_language

        languages, _confidence = tag_language(texts, _one(hints))
        dialects = tag_dialect(texts, languages)
        known = pc.and_kleene(pc.is_valid(languages), pc.not_equal(languages, "und"))
        languages = pc.if_else(known, languages, pa.scalar(None, pa.string()))
        pairs = zip(languages.to_pylist(), dialects.to_pylist(), strict=True)
        regions = [
            None if language is None else region_of(language, dialect, self.recipe) for language, dialect in pairs
        ]
        return {
            "language": languages,
            "other_language": pa.nulls(len(texts), pa.string()),
            "dialect": dialects,
            "region": pa.array(regions, pa.string()),
        }

    def _places(self, persons: list[str], regions: list[str | None], macs: list[bytes], chosen: Any) -> dict[str, Any]:
        known: dict[tuple[str, str], tuple[int, int]] = {}
        shards: list[int | None] = [None] * len(macs)
        slices: list[int | None] = [None] * len(macs)
        records: list[str | None] = [None] * len(macs)
        for row in np.flatnonzero(chosen).tolist():
            at = (regions[row] or "", persons[row])
            if at not in known:
                ref = self.placement.slice_of(*at)
                known[at] = (ref.shard, ref.slice)
            shards[row], slices[row] = known[at]
            records[row] = macs[row][:16].hex()
        return {
            "shard": pa.array(shards, pa.int32()),
            "slice": pa.array(slices, pa.int32()),
            "record_id": pa.array(records, pa.string()),
        }


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


def _known(column: Any) -> Any:
    return column.is_valid().to_numpy(zero_copy_only=False).astype(bool)


def _prefixed(item: str) -> bytes:
    """Return the message of ``keyed_hash``: the id with its length before it."""
    raw = item.encode()
    return len(raw).to_bytes(8, "big") + raw


def _scattered(rows: int, chosen: Any) -> Any:
    """Return for each row its place among the chosen ones, null for the others; for ``take``."""
    places = np.full(rows, -1, np.int64)
    places[chosen] = np.arange(len(chosen))
    return pa.array(places, mask=places < 0)


def _one(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

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
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from demur.corpus.measures import MEASURES, TEXTS
from demur.corpus.mentions import objector_names, saying, suppressed_words
from demur.corpus.redact_names import NameFinder, name_finder
from demur.corpus.select import TEXTS_OF, WANTED
from demur.corpus.shard import Placement
from demur.corpus.similarity import BANDS, WINDOW, Measured, keyed, measure
from demur.corpus.spill import read_bucket, write_bucket
from demur.errors import ConfigError
from demur.lineage import Suppressed
from demur.store import KeyRing, commit_record
from demur.store.files import canonical
from demur.store.keys import mac_of, prefixed
from demur.terms.manifests import CorpusRecipe
from demur.terms.reasons import Exclusion

CHUNK_ROWS = 8_192
EXCLUSIONS = tuple(Exclusion)
_MAY_QUOTE = r"[>\x{ff1e}]|(?i:rt)\s*@"
"""Wider than what counts as a quote: which texts are looked at."""
_QUOTED = (">", "\uff1e")
_SHARED = re.compile(r"(?i)(?:^|(?<=\s))RT\s*@[^\s:]+:?\s*")
MOST_PLACED = 100_000
_LATEST = 2**62
"""An unknown instant sorts last."""

_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f]")
"""Category Cc but for the line feed; the category's members are fixed by the Unicode stability policy."""

_UNTIDY = "[\\x00-\\x1f\\x7f-\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}]|  |^ | $"
"""What may have to change: controls, every blank but a single space inside (the members of ``str.isspace``)."""


def prepare(
    folder: Path,
    *,
    selected: str,
    buckets: list[int],
    gauge: dict[str, Any],
    upstream: str,
) -> None:
    """Write ``measures/`` and ``texts/`` of some buckets: of everything in them that is wanted; then commit.

    Args:
        folder: where to write.
        selected: folder of the select stage.
        buckets: their numbers; one after another is in memory.
        gauge: what texts are measured with, in plain values: see :meth:`Gauge.of`.
        upstream: call of the stage before, so that other inputs mean another run.
    """
    assert upstream
    ready = _ready(canonical(gauge), upstream)
    rows = sum(_prepare(folder, Path(selected), bucket, ready) for bucket in buckets)
    commit_record(folder, {"rows": rows})


@lru_cache(maxsize=1)
def _ready(gauge: bytes, _inputs: str) -> Gauge:
    """Return what measures, ready: preparing many names takes seconds, and one process measures many buckets."""
    return Gauge.of(**orjson.loads(gauge))


def _prepare(folder: Path, selected: Path, bucket: int, gauge: Gauge) -> int:
    wanted = read_bucket(selected / "wanted", WANTED, bucket)
    items = read_bucket(selected / "items", TEXTS_OF, bucket)
    measures, texts = [MEASURES.empty_table()], [TEXTS.empty_table()]
    for start in range(0, wanted.num_rows, CHUNK_ROWS):
        rows = wanted.slice(start, CHUNK_ROWS)
        found = items.take(pc.index_in(rows["item_id"], items["item_id"]))
        measured, written = gauge.measured(rows, found)
        measures.append(measured)
        texts.append(written)
    for name, tables in (("measures", measures), ("texts", texts)):
        write_bucket(folder / name, bucket, pa.concat_tables(tables).combine_chunks(), packed=False)
    return int(wanted.num_rows)


@dataclass(frozen=True, slots=True)
class Gauge:
    """Measures texts: the frozen rules with the names that no text may hold."""

    recipe: CorpusRecipe
    placement: Placement
    mac: Callable[[bytes], bytes]
    """HMAC under the key of the purpose ``records``: an item's record id and its tie are parts of one."""
    names: NameFinder | None
    """Finds the names of people who objected; ``None`` = they are left in."""
    cut: Suppressed
    copy_min_words: int
    recognisers: tuple[Any, ...]
    toxicity: Any
    """Model of the filter, ``None`` = off."""
    placed: dict[tuple[str | None, str], tuple[int, int]] = field(default_factory=dict, repr=False, compare=False)
    """Region and person → shard and slice, so far; nothing depends on what is in it."""

    @classmethod
    def of(
        cls,
        *,
        recipe: dict[str, Any],
        keys: str,
        standing: str,
        mentions: bool,
        copy_min_words: int,
        toxicity: str | None,
    ) -> Gauge:
        """Return one for a build from plain values.

        Args:
            recipe: the recipe's plain form.
            keys: folder of the key ring.
            standing: folder of the people tables.
            mentions: names of people who objected are taken out of texts.
            copy_min_words: shorter texts belong to nobody.
            toxicity: folder of the platform's own model that the recipe names, or ``None``.

        Raises:
            ConfigError: a recogniser or the model is not the one that the recipe names.
        """
        settings, ring, people = CorpusRecipe(**recipe), KeyRing(Path(keys)), Path(standing)
        return cls(
            settings,
            Placement(ring.secret("placement"), ring.secret("records"), settings.shards, settings.slices),
            mac_of(ring.secret("records")),
            name_finder(objector_names(people)) if mentions else None,
            Suppressed(suppressed_words(people), ring.secret("suppression")),
            copy_min_words,
            tuple(_recogniser(name, version) for name, version in sorted(settings.recognisers.items())),
            _toxicity(settings.toxicity, toxicity),
        )

    def measured(self, rows: Any, items: Any) -> tuple[Any, Any]:
        """Return MEASURES and TEXTS of some rows.

        Args:
            rows: WANTED.
            items: TEXTS_OF of the same items, in the same order.
        """
        texts = self.texts(items["text"], rows["item_id"], rows["protected"])
        plain = _one(texts["plain"])
        protected = rows["protected"].to_numpy(zero_copy_only=False).astype(bool)
        found = measure(plain)
        out = self._exclusions(plain, found.words, protected)
        records = np.flatnonzero(~protected & (out < 0))
        tags = self._tags(plain.take(pa.array(records)), items["language"].take(pa.array(records)))
        self._filter(out, records, plain, found.exact, tags)
        macs = [self.mac(prefixed(item)) for item in rows["item_id"].to_pylist()]
        where = _scattered(len(out), records)
        columns = {name: rows[name] for name in WANTED.names}
        columns |= {name: values.take(where) for name, values in tags.items()}
        columns |= {
            "version": pc.utf8_slice_codeunits(items["version_id"], 0, 32),
            "created_us": pc.fill_null(items["created_at"].cast(pa.int64()), _LATEST),
            "tie": pa.array(np.frombuffer(b"".join(macs), ">u8").reshape(-1, 4)[:, 2].astype(np.uint64)),
            "said_us": _said(items, protected),
            "words": pa.array(found.words, pa.int32()),
            **self._keyed(found, out),
            "exclusion": pa.array(EXCLUSIONS, pa.string()).take(pa.array(out, mask=out < 0)),
        }
        chosen = ~protected & (out < 0)
        columns |= self._places(rows["person_id"], columns["region"], macs, chosen)
        kept = pa.array(np.arange(len(out)), mask=out >= 0)  # what is out needs no text any more
        written = pa.table([rows["item_id"], *(texts[name].take(kept) for name in TEXTS.names[1:])], schema=TEXTS)
        return pa.table([columns[name] for name in MEASURES.names], schema=MEASURES), written

    def texts(self, raw: Any, ids: Any, protected: Any) -> Any:
        """Return TEXTS: what decides, what becomes a record, and where identifiers stood.

        Args:
            raw: Arrow string array of texts as the platform gave them; null = none.
            ids: item ids, as many.
            protected: Arrow boolean array, as long.
        """
        from demur.corpus.redact import redact

        raw = own_words(pc.fill_null(_one(raw), ""), _one(protected))
        first = redact(raw, plugins=self.recognisers)
        plain = pa.array(normalised(first.texts), pa.string())
        hits = saying(first.texts, self.names)
        spans, named = first.spans, redact(raw.filter(hits), self.names, self.recognisers)
        if len(named.spans):
            chosen = np.flatnonzero(hits.to_numpy(zero_copy_only=False))
            places = np.arange(len(raw))
            places[chosen] = len(raw) + np.arange(len(chosen))
            spans = pa.concat_arrays([spans, named.spans]).take(pa.array(places))
        final = pc.replace_with_mask(plain, hits, pa.array(normalised(named.texts), pa.string()))
        if self.recipe.redaction_mode != "mask":
            final, spans = self._rendered(first.normalised, spans, ids, final)
        if self.cut:
            cut = pa.array([normalise(text or "") for text in self.cut.cut(final.to_pylist())], pa.string())
            spans, final = self._with_suppressed(first.normalised, spans, pc.not_equal(cut, final)), cut
        return pa.table([_one(ids), plain, final, spans], schema=TEXTS)

    def _with_suppressed(self, normal: Any, spans: Any, changed: Any) -> Any:
        """Return the spans together with those of suppressed names and handles: where and what, never whose."""
        from demur.corpus.redact_spans import from_arrow, masked, onto, to_arrow

        rows = np.flatnonzero(changed.to_numpy(zero_copy_only=False))
        told = zip(normal.take(pa.array(rows)).to_pylist(), from_arrow(spans.take(pa.array(rows))), strict=True)
        found = {row: onto(old, self.cut.spans(masked(text, old))) for row, (text, old) in enumerate(told)}
        numbers = np.arange(len(spans))
        numbers[rows] = len(spans) + np.arange(len(rows))
        return pa.concat_arrays([spans, to_arrow(found, len(rows))]).take(pa.array(numbers))

    def _rendered(self, normal: Any, spans: Any, ids: Any, final: Any) -> tuple[Any, Any]:
        """Return the texts in another mode than masked, where anything was found (COR-04), and the spans then."""
        from demur.corpus.redact_render import Mode, kept_apart, render

        found = pc.greater(pc.list_value_length(spans), 0)
        keys = pa.array([self.mac(prefixed("fake", one)) for one in _one(ids).filter(found).to_pylist()], pa.binary())
        mode = cast("Mode", self.recipe.redaction_mode)
        some, chosen = normal.filter(found), spans.filter(found)
        if mode == "drop":
            chosen = kept_apart(some, chosen, self.names)
            numbers, places = np.arange(len(spans)), found.to_numpy(zero_copy_only=False)
            numbers[places] = len(spans) + np.arange(len(chosen))
            spans = pa.concat_arrays([spans, chosen]).take(pa.array(numbers))
        made = render(some, chosen, mode, keys if mode == "fake" else None)
        return pc.replace_with_mask(final, found, pa.array(normalised(made), pa.string())), spans

    def _exclusions(self, plain: Any, words: Any, protected: Any) -> Any:
        """Return the place in EXCLUSIONS of why a text is no record, -1 for none."""
        least = np.where(protected, self.copy_min_words, self.recipe.min_words)
        out = np.full(len(words), -1, np.int8)
        out[words < least] = EXCLUSIONS.index(Exclusion.TOO_SHORT)
        out[pc.equal(plain, "").to_numpy(zero_copy_only=False)] = EXCLUSIONS.index(Exclusion.NO_TEXT)
        return out

    def _filter(self, out: Any, records: Any, plain: Any, exact: Any, tags: dict[str, Any]) -> None:
        """Note what filters take: quality and toxicity where the recipe says so, then shares of languages."""
        from demur.corpus.quality import tag_quality

        texts, languages = plain.take(pa.array(records)), tags["language"]
        nothing = pa.nulls(len(records), pa.string())
        tags["detail"] = tag_quality(texts, languages) if self.recipe.quality else nothing
        toxic = np.zeros(len(records), bool)
        if self.toxicity is not None:
            from demur.corpus.toxicity import tag_toxicity

            toxic = _known(tag_toxicity(texts, languages, self.toxicity)[0])
        taken = {
            Exclusion.OVER_SHARE: ~self._within_share(exact.take(pa.array(records)), tags),
            Exclusion.TOXIC: toxic,
            Exclusion.LOW_QUALITY: _known(tags["detail"]),
            Exclusion.LANGUAGE_UNKNOWN: ~_known(languages),
        }
        for exclusion, rows in taken.items():  # the last one that holds is the one that is named
            out[records[rows]] = EXCLUSIONS.index(exclusion)

    def _within_share(self, exact: Any, tags: dict[str, Any]) -> Any:
        """Say which texts stay where a recipe keeps a share of a language or dialect: a hash of the text decides."""
        shares = self.recipe.shares
        if not shares:
            return np.ones(len(exact), bool)
        pairs = zip(tags["dialect"].to_pylist(), tags["language"].to_pylist(), strict=True)
        kept = np.array([shares.get(dialect, shares.get(language, 1.0)) for dialect, language in pairs])
        drawn = np.array([int.from_bytes(key[:4], "big") for key in exact.to_pylist()], np.uint32)
        return drawn < kept * 2.0**32

    def _tags(self, texts: Any, hints: Any) -> dict[str, Any]:
        """Tag language, dialect and region of what may become a record; no region = language unknown."""
        from demur.corpus.dialect import tag_dialect
        from demur.corpus.language import plain_of, tag_language
        from demur.corpus.mixed import tag_mixed

        plain = plain_of(texts)
        languages, _confidence = tag_language(texts, _one(hints), plain)
        dialects = tag_dialect(texts, languages)
        known = pc.and_kleene(pc.is_valid(languages), pc.not_equal(languages, "und"))
        languages = pc.if_else(known, languages, pa.scalar(None, pa.string()))
        pairs = zip(languages.to_pylist(), dialects.to_pylist(), strict=True)
        regions = [
            None if language is None else region_of(language, dialect, self.recipe) for language, dialect in pairs
        ]
        return {
            "language": languages,
            "other_language": tag_mixed(texts, languages, plain),
            "dialect": dialects,
            "region": pa.array(regions, pa.string()),
        }

    def _keyed(self, found: Measured, out: Any) -> dict[str, Any]:
        """Return what copies are found by under a key, and nothing for what is not compared: it guesses no text."""
        kept = out < 0
        pairs = zip(found.exact.to_pylist(), kept.tolist(), strict=True)
        exact = [self.mac(b"exact" + key)[:16] if live else None for key, live in pairs]
        mixed = keyed(found.bands, self.mac(b"bands"))
        mixed[~kept] = 0
        flat = pa.array(mixed.reshape(-1), pa.uint64())
        sizes = np.maximum(found.words - WINDOW + 1, 0)
        windows = keyed(found.windows[np.repeat(kept, sizes)], self.mac(b"windows"))
        ends = np.cumsum(np.where(kept, sizes, 0))
        offsets = pa.array(np.concatenate([[0], ends]).astype(np.int32))
        return {
            "exact": pa.array(exact, pa.binary(16)),
            "bands": pa.FixedSizeListArray.from_arrays(flat, BANDS),
            "windows": pa.ListArray.from_arrays(offsets, pa.array(windows)),
        }

    def _places(self, persons: Any, regions: Any, macs: list[bytes], chosen: Any) -> dict[str, Any]:
        """Return shard, slice and record id of chosen rows; where a person's records lie is worked out once."""
        rows = np.flatnonzero(chosen)
        regions, persons = (column.take(pa.array(rows)).to_pylist() for column in (regions, persons))
        pairs = [(region or "", person) for region, person in zip(regions, persons, strict=True)]
        if len(self.placed) > MOST_PLACED:
            self.placed.clear()
        fresh = [pair for pair in dict.fromkeys(pairs) if pair not in self.placed]
        self.placed.update(zip(fresh, self.placement.places_of(fresh), strict=True))
        places = [self.placed[pair] for pair in pairs]
        where = _scattered(len(macs), rows)
        shards, slices = np.array(places, np.int32).reshape(-1, 2).T
        records = [macs[row][:16].hex() for row in rows.tolist()]
        return {
            "shard": pa.array(shards).take(where),
            "slice": pa.array(slices).take(where),
            "record_id": pa.array(records, pa.string()).take(where),
        }


def _said(items: Any, protected: Any) -> Any:
    """Return since when a text is known to say this, int64: if that is unknown, a protected one always did.

    What another text says may have come with its last edit.
    """
    made, changed = (_one(items[name]).cast(pa.int64()) for name in ("created_at", "version_at"))
    last = pc.fill_null(pc.max_element_wise(made, changed, skip_nulls=False), _LATEST)
    return pc.if_else(pa.array(protected), pc.fill_null(made, -_LATEST), last)


def _recogniser(name: str, version: str) -> Any:
    from demur.corpus.redact_plugins import recogniser

    found = recogniser(name)
    if found.version != version:
        raise ConfigError(
            f"expected the recogniser {name} in version {version}, found {found.version}; correct the recipe"
        )
    return found


def _toxicity(digest: str, folder: str | None) -> Any:
    from demur.corpus.toxicity import read_model

    if not digest:
        return None
    found = read_model(Path(folder)) if folder else None
    if found is None or found.digest != digest:
        raise ConfigError(
            "expected the toxicity model that the recipe names, found another or none; train or restore it"
        )
    return found


def own_words(texts: Any, whole: Any) -> Any:
    r"""Return texts without what is quoted in them: other people's words are theirs, whoever repeats them (TPD-02).

    Gone are quoted lines (RFC 3676 §4.5), and the post behind ``RT @name:``. Where nothing else is there, one level of
    marks goes and the rest is asked again: what stays is found to be a copy. Protected texts lose their marks only:
    all that somebody posted guards them.

    Args:
        texts: Arrow string array without nulls.
        whole: Arrow boolean array, as long: keep every word.

    >>> said = ["> you said\nI did not", "so true RT @ann: all", "RT @ann: all", "> Ann: some\n>> more"]
    >>> own_words(pa.array(said), pa.array([False] * 4)).to_pylist()
    ['I did not', 'so true', 'all', 'Ann: some']
    >>> own_words(pa.array(said[:2]), pa.array([True] * 2)).to_pylist()
    ['you said\nI did not', 'so true all']
    """
    may = pc.match_substring_regex(texts, _MAY_QUOTE)
    if not pc.any(may).as_py():
        return texts
    pairs = zip(texts.filter(may).to_pylist(), whole.filter(may).to_pylist(), strict=True)
    cut = [_unmarked(text) if every else _own_words(text) for text, every in pairs]
    return pc.replace_with_mask(texts, may, pa.array(cut, pa.string()))


def _own_words(text: str) -> str:
    while True:
        lines = text.splitlines()
        own = "\n".join(line for line in lines if not line.lstrip().startswith(_QUOTED))
        own = _SHARED.split(own, maxsplit=1)[0].strip()
        bare = "\n".join(map(_one_level, lines)) if own == "" else text
        bare = _SHARED.sub("", bare, count=1) if own == "" and bare == "\n".join(lines) else bare
        if own or bare == text:
            return own or text
        text = bare


def _one_level(line: str) -> str:
    bare = line.lstrip()
    return bare[1:].lstrip() if bare.startswith(_QUOTED) else line


def _unmarked(text: str) -> str:
    lines = []
    for line in _SHARED.sub("", text).splitlines():
        while line.lstrip().startswith(_QUOTED):
            line = _one_level(line)  # noqa: PLW2901 (one level after another)
        lines.append(line)
    return "\n".join(lines)


def normalised(texts: Any) -> list[str]:
    """Return :func:`normalise` of each text; most need nothing, which is seen without looking at each sign."""
    untidy = pc.match_substring_regex(texts, _UNTIDY).to_pylist()
    pairs = zip(texts.to_pylist(), untidy, strict=True)
    return [normalise(text) if odd or not unicodedata.is_normalized("NFC", text) else text for text, odd in pairs]


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


def _scattered(rows: int, chosen: Any) -> Any:
    """Return for each row its place among the chosen ones, null for the others; for ``take``."""
    places = np.full(rows, -1, np.int64)
    places[chosen] = np.arange(len(chosen))
    return pa.array(places, mask=places < 0)


def _one(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

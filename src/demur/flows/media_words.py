"""What stands in pictures or is said in voices: names that no text may hold, and texts of other people's.

A screenshot of a protected post is a copy of it (COR-05), and so is a picture in which the same stands as in a
protected one. One of an allowed post stays and is its author's too: who that is lies sealed with the build.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import parse
from demur.corpus.inputs import protecting
from demur.corpus.mentions import objector_names, saying, suppressed_words
from demur.corpus.shown import MOST, Known, showing
from demur.flows.parts import Parts, kept_policy
from demur.lineage import SealedFile, Suppressed
from demur.terms.manifests import CorpusManifest
from demur.terms.policy import ThirdPartyScope

BATCH_ROWS = 1_024
SHOWN: Any = pa.schema([("row", pa.int64()), ("item_id", pa.string())])
OWNERS: Any = pa.schema([*SHOWN, ("person_id", pa.string())])
_FATES = ("item_id", "allowed", "reason_bits", "person_id")


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of the texts in the files of a build, row by row."""

    protected: Any
    """bool: a protected text stands in it."""
    naming: Any
    """bool: it names somebody who objected, or says what no text may hold (TPD-03)."""
    owners: Any
    """OWNERS: allowed posts that stand in it, and whose they are; of a file the first ``MOST`` by their ids."""


def told(parts: Parts, corpus: Path, manifest: CorpusManifest, work: Path, rows: Any) -> Told:
    """Compare what was read in files or heard with all posts of the snapshot and with what protected files say.

    Args:
        parts: the workspace.
        corpus: folder of the corpus.
        manifest: of it.
        work: folder of the media build, with the snapshot and what was read.
        rows: ROWS (media_rows.py).
    """
    guarded = pc.fill_null(rows["protected"], fill_value=True).to_numpy(zero_copy_only=False).astype(bool)
    protected, naming = np.zeros(rows.num_rows, bool), np.zeros(rows.num_rows, bool)
    owners, shown = OWNERS.empty_table(), SHOWN.empty_table()

    def pictures() -> Iterator[list[str | None]]:
        return _said(work, ~guarded)

    if any(text for some in pictures() for text in some):
        naming = np.concatenate([_naming(parts, manifest, work)(some) for some in pictures()])
        _, policy = kept_policy(parts.workspace, manifest.inputs["policy"])
        fates = Fates(parts, corpus, protecting(policy.third_party_scope))
        texts = posts_of(work / "source" / "items"), _protected(work, rows["item_id"], guarded)
        for numbers, ids, theirs in showing(
            pictures, (one for some in texts for one in some), fates.known, least=policy.copy_min_words
        ):
            protected[numbers[theirs]] = True
            allowed = pa.table([pa.array(numbers[~theirs]), ids.filter(pa.array(~theirs))], schema=SHOWN)
            shown = _first(pa.concat_tables([shown, allowed]))
        owners = fates.owned(shown, rows["person_id"])
    return Told(protected, naming, owners)


def _naming(parts: Parts, manifest: CorpusManifest, work: Path) -> Callable[[list[str | None]], Any]:
    """Return what says which texts name somebody who objected, or what no text may hold (TPD-03)."""
    inputs = manifest.inputs
    _, policy = kept_policy(parts.workspace, inputs["policy"])
    parts.registry.export(
        work / "standing",
        as_of=parse(inputs["as_of"]),
        known_at=parse(inputs["narrowed_at"]),
        base_known_at=parse(inputs["known_at"]),
        grace_months=policy.grace_months,
        purpose=policy.purpose,
    )
    mentions = policy.third_party_scope is ThirdPartyScope.COPIES_AND_MENTIONS
    names = objector_names(work / "standing") if mentions else []
    cut = Suppressed(suppressed_words(work / "standing"), parts.keys.secret("suppression"))

    def find(said: list[str | None]) -> Any:
        texts = [text or "" for text in said]
        found = saying(pa.array(texts, pa.string()), names).to_pylist()
        left = cut.cut(texts) if cut else texts
        return np.array([hit or text != now for hit, text, now in zip(found, texts, left, strict=True)], bool)

    return find


class Fates:
    """What the corpus decided of items, and whose they are."""

    def __init__(self, parts: Parts, corpus: Path, mask: int) -> None:
        self._sealed = SealedFile(corpus / "sealed" / "fates.sealed", "fates", secret=parts.keys.secret("lineage"))
        self._mask = mask

    def known(self, ids: Any) -> Known:
        """Say of some posts which are protected and which allowed."""
        fates = self._of(ids)
        return Known(self._guarded(fates), _one(pc.fill_null(fates["allowed"], fill_value=False)))

    def owned(self, shown: Any, posters: Any) -> Any:
        """Return OWNERS of posts that stand in files, without those of whoever posted the file."""
        persons = self._of(_one(shown["item_id"]))["person_id"]
        table = pa.table([shown["row"], shown["item_id"], persons], schema=OWNERS)
        return table.filter(pc.not_equal(persons, posters.take(shown["row"])))

    def protected(self) -> Any:
        """Return the ids of all protected posts."""
        tables = ((table["item_id"], self._guarded(table)) for table in self._sealed.all())
        return pa.concat_arrays([pa.array([], pa.string()), *(_one(ids.filter(rows)) for ids, rows in tables)])

    def _guarded(self, fates: Any) -> Any:
        bits = pc.not_equal(pc.bit_wise_and(pc.fill_null(fates["reason_bits"], 0), self._mask), 0)
        return _one(pc.and_(bits, pc.invert(pc.fill_null(fates["allowed"], fill_value=False))))

    def _of(self, ids: Any) -> Any:
        """Return the decisions on some posts, in their order; null of one that has none."""
        empty = pa.table({name: pa.array([], _TYPES.get(name, pa.string())) for name in _FATES})
        tables = (table.select(list(_FATES)) for table in self._sealed.all()) if len(ids) else ()
        kept = [one.filter(pc.is_in(one["item_id"], ids)) for one in tables]
        found = pa.concat_tables([empty, *kept]).combine_chunks()
        return found.take(pc.index_in(ids, found["item_id"]))


_TYPES = {"allowed": pa.bool_(), "reason_bits": pa.int64()}


def _first(owners: Any) -> Any:
    """Return of each file the first posts by their ids."""
    owners = owners.sort_by([("row", "ascending"), ("item_id", "ascending")])
    files = owners["row"].to_numpy()
    return owners.filter(pa.array(np.arange(len(files)) - np.searchsorted(files, files) < MOST))


def _said(work: Path, wanted: Any) -> Iterator[list[str | None]]:
    """Yield in batches what was read in files or heard; null where it is not wanted."""
    begin = 0
    with pq.ParquetFile(work / "prepared" / "media.parquet") as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=["ocr_text", "transcript"]):
            pairs = zip(batch["ocr_text"].to_pylist(), batch["transcript"].to_pylist(), strict=True)
            both = ["\n".join(filter(None, pair)) or None for pair in pairs]
            yield [text if asked else None for text, asked in zip(both, wanted[begin:], strict=False)]
            begin += len(both)


def _protected(work: Path, items: Any, guarded: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what stands in protected files as texts of their items."""
    begin, ids = 0, _one(items)
    for some in _said(work, guarded):
        yield ids.slice(begin, len(some)), pa.array(some, pa.string())
        begin += len(some)


def posts_of(items: Path) -> Iterator[tuple[Any, Any]]:
    """Yield ids and texts of all posts of a snapshot that have one."""
    for part in sorted(items.glob("*.parquet")):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(batch_size=16_384, columns=["item_id", "text"]):
                known = batch.filter(pc.is_valid(batch["text"]))
                yield known["item_id"], known["text"]


def _one(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

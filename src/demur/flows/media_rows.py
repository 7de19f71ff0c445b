"""Which files a media build looks at: items with a file, the corpus' decision on each, and where its record would lie.

Language and region are those of the item's own text, else of the text of the same person that it hangs on, else the
platform's hint: nobody's place depends on anybody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from demur.clock import parse
from demur.corpus import region_of
from demur.corpus.inputs import protecting
from demur.corpus.shard import Placement
from demur.errors import BrokenError
from demur.flows.parts import Parts, kept_policy
from demur.intake import snapshot
from demur.lineage import SealedFile
from demur.terms.manifests import CorpusManifest, CorpusRecipe
from demur.terms.reasons import Exclusion

ROWS: Any = pa.schema(
    [
        ("item_id", pa.string()),
        ("kind", pa.string()),
        ("media_path", pa.string()),
        ("media_type", pa.string()),
        ("person_id", pa.string()),
        ("protected", pa.bool_()),
        ("copied_words", pa.bool_()),
        ("rank", pa.int64()),
        ("region", pa.string()),
        ("shard", pa.int32()),
        ("slice", pa.int32()),
        ("record_id", pa.string()),
        ("text_record", pa.string()),
        ("language", pa.string()),
    ]
)
"""In order of the places of their records; protected items have no place and stand last."""

_ITEMS = ("item_id", "kind", "media_path", "media_type", "created_at", "language", "parent_id")
_FATES = ("item_id", "allowed", "reason_bits", "person_id", "exclusion", "record_id")
_MEASURES = ("item_id", "person_id", "region", "language")


def media_rows(parts: Parts, corpus: Path, manifest: CorpusManifest, work: Path) -> Any:
    """Return ROWS of every allowed or protected item with a file.

    Raises:
        BrokenError: the source is not the one that the corpus was built from.
    """
    inputs = manifest.inputs
    items = _items(parts, inputs, work / "source")
    ids = pa.concat_arrays([_one(items["item_id"]), _one(items["parent_id"]).drop_null()]).unique()
    fates = _sealed(parts, corpus, "fates", _FATES, ids)
    measures = _sealed(parts, corpus, "measures", _MEASURES, ids)
    _, policy = kept_policy(parts.workspace, inputs["policy"])
    at = pc.index_in(items["item_id"], fates["item_id"])
    if at.null_count:
        raise BrokenError("expected a decision on every item with a file, found none; build the corpus again")
    fate = fates.take(at)
    allowed = pc.fill_null(fate["allowed"], fill_value=False)
    bits = pc.bit_wise_and(pc.fill_null(fate["reason_bits"], 0), protecting(policy.third_party_scope))
    protected = pc.and_(pc.invert(allowed), pc.not_equal(bits, 0))
    own = {"text_record": fate["record_id"], **_measured(items["item_id"], measures)}
    hung = _hung(items["parent_id"], fate["person_id"], fates, measures)
    columns: dict[str, Any] = {name: items[name] for name in items.column_names}
    columns |= {name: pc.coalesce(own[name], hung[name]) for name in own}
    columns["language"] = pc.coalesce(columns["language"], items["language"])
    columns |= {
        "person_id": fate["person_id"],
        "protected": protected,
        "copied_words": pc.fill_null(pc.equal(fate["exclusion"], Exclusion.PROTECTED_COPY.value), fill_value=False),
    }
    table = pa.table(columns).filter(pc.or_(allowed, protected)).combine_chunks()
    return _placed(table, CorpusRecipe(**inputs["recipe"]), parts)


def source_of(parts: Parts, inputs: dict[str, Any], folder: Path) -> None:
    """Write the snapshot that a corpus was built from.

    Raises:
        BrokenError: the source is another now.
    """
    as_of, known_at = parse(inputs["as_of"]), parse(inputs["known_at"])
    if snapshot(parts.workspace.source, folder, as_of=as_of, known_at=known_at)["digest"] != inputs["source"]:
        raise BrokenError("the source snapshot is not the one that the corpus was built from; restore source/")


def _items(parts: Parts, inputs: dict[str, Any], folder: Path) -> Any:
    """Return the items that have a file, as the corpus knew them."""
    source_of(parts, inputs, folder)
    parts_of = sorted((folder / "items").glob("*.parquet"))
    return pa.concat_tables([table for part in parts_of for table in _with_files(part)]).combine_chunks()


def _with_files(part: Path) -> Iterator[Any]:
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(batch_size=65_536, columns=list(_ITEMS)):
            yield pa.Table.from_batches([batch]).filter(pc.is_valid(batch["media_path"])).select(list(_ITEMS))


def _sealed(parts: Parts, corpus: Path, kind: str, columns: tuple[str, ...], ids: Any) -> Any:
    sealed = SealedFile(corpus / "sealed" / f"{kind}.sealed", kind, secret=parts.keys.secret("lineage"))
    empty = pa.table({name: pa.array([], _TYPES.get(name, pa.string())) for name in columns})
    tables = [table.select(list(columns)) for table in sealed.all()]
    return pa.concat_tables([empty, *(one.filter(pc.is_in(one["item_id"], ids)) for one in tables)]).combine_chunks()


_TYPES = {"allowed": pa.bool_(), "reason_bits": pa.int64()}


def _measured(items: Any, measures: Any) -> dict[str, Any]:
    """Return region and language of the texts of some items; null = it has none, or nobody can tell."""
    found = measures.take(pc.index_in(items, measures["item_id"]))
    return {"region": found["region"], "language": found["language"]}


def _hung(parents: Any, persons: Any, fates: Any, measures: Any) -> dict[str, Any]:
    """Return the same of what the items hang on, where that is the same person's."""
    fate = fates.take(pc.index_in(parents, fates["item_id"]))
    mine = pc.fill_null(pc.equal(fate["person_id"], persons), fill_value=False)
    told = {"text_record": fate["record_id"], **_measured(parents, measures)}
    return {name: pc.if_else(mine, column, pa.scalar(None, pa.string())) for name, column in told.items()}


def _placed(table: Any, recipe: CorpusRecipe, parts: Parts) -> Any:
    """Return ROWS in the order of the places of their records."""
    placement = Placement(parts.keys.secret("placement"), parts.keys.secret("records"), recipe.shards, recipe.slices)
    order = pc.sort_indices(table, [("created_at", "ascending"), ("item_id", "ascending")])
    rank = np.empty(table.num_rows, np.int64)
    rank[order.to_numpy()] = np.arange(table.num_rows)
    places: dict[str, list[Any]] = {name: [] for name in ("region", "shard", "slice", "record_id")}
    names = ("item_id", "person_id", "protected", "region", "language")
    for item, person, protected, region, language in zip(*(table[name].to_pylist() for name in names), strict=True):
        ref = None if protected else placement.slice_of(region or _region(language, recipe), person)
        places["region"].append(ref and ref.region)
        places["shard"].append(ref and ref.shard)
        places["slice"].append(ref and ref.slice)
        places["record_id"].append(placement.record_id(item) if ref else None)
    columns_of = {**{name: table[name] for name in table.column_names}, **places, "rank": rank}
    placed = pa.table([columns_of[name] for name in ROWS.names], schema=ROWS)
    keys = [(name, "ascending") for name in ("region", "shard", "slice", "item_id")]
    return placed.take(pc.sort_indices(placed, keys)).combine_chunks()


def _region(hint: str | None, recipe: CorpusRecipe) -> str:
    """Return the region of a platform's hint."""
    language, _, rest = (hint or "").partition("-")
    return region_of(language, hint if rest else None, recipe)


def _one(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

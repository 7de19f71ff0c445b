"""Protected files that are gone: a member deletes a picture, the platform destroys its file, its copies stay elsewhere.

Nobody can look at a file that is gone, or that cannot be read here. What an earlier build saw of it while it was
allowed or there, its fingerprint and its digest, lies sealed with that build, its keypoints with its results; they are
taken from there, and go on into the next, so that copies are still found. Of what no build ever saw, nothing is known:
such files are counted and told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from demur.media.prepare import keypoints_kept

SEEN = ("hash", "hash_mirrored", "hash_quality", "hash_inside")
KEPT = (*SEEN, "keypoints")
GONE = "protected_gone"
"""Why a sealed row has no record: it only remembers what a protected file looked like."""


def remembered(
    earlier: Iterable[Mapping[str, Any]], rows: Any, looked: Any, cache: Path
) -> tuple[Any, dict[str, Mapping[str, Any]], int]:
    """Return what was seen of files with what is remembered of those that have no fingerprint, that, and how many lost.

    Args:
        earlier: sealed rows of all media builds that are here.
        rows: ROWS (media_rows.py).
        looked: what was seen of their files now, in the same order: ``form``, ``media_digest`` and SEEN.
        cache: folder of results, which may still have their keypoints.

    Returns:
        ``looked`` filled up; item → its remembered row; protected files that are gone or cannot be read, voices apart,
        which have no fingerprint, and of which nothing is known.
    """
    voice = pc.fill_null(pc.equal(looked["form"], "voice"), fill_value=False)
    gone = np.flatnonzero(pc.and_not(pc.is_null(looked["hash"]), voice).to_numpy())
    places = dict(zip(rows["item_id"].take(pa.array(gone)).to_pylist(), gone.tolist(), strict=True))
    known: dict[str, Mapping[str, Any]] = {}
    for one in earlier:
        if one["item_id"] in places and one.get("hash") and not known.get(one["item_id"], {}).get("keypoints"):
            known[one["item_id"]] = one
    for item, one in known.items():
        known[item] = {**one, "keypoints": one.get("keypoints") or keypoints_kept(cache, one["digest"])}
    for name in ("media_digest", *SEEN):
        column = looked[name].to_pylist()
        for item, one in known.items():  # a file that is there but cannot be read keeps its own digest
            column[places[item]] = column[places[item]] or one.get("digest" if name == "media_digest" else name)
        place = looked.schema.get_field_index(name)
        looked = looked.set_column(place, name, pa.array(column, looked.schema.field(name).type))
    guarded = pc.fill_null(rows["protected"], fill_value=True).to_pylist()
    return looked, known, sum(1 for item, place in places.items() if guarded[place] and item not in known)


def memories(known: Mapping[str, Mapping[str, Any]], rows: Any) -> list[dict[str, Any]]:
    """Return the sealed rows that remember protected files; those of allowed items have rows of their own."""
    mine = rows.filter(pc.is_in(rows["item_id"], pa.array(sorted(known), pa.string())))
    facts = zip(*(mine[name].to_pylist() for name in ("item_id", "person_id", "protected")), strict=True)
    changed = {"record_id": None, "reason": GONE}
    return [{**known[item], "person_id": person, **changed} for item, person, guarded in facts if guarded is not False]


def remembered_keypoints(known: Mapping[str, Mapping[str, Any]], rows: Any) -> dict[int, str]:
    """Return row → keypoints of the files that are remembered."""
    places = pc.index_in(pa.array(sorted(known), pa.string()), rows["item_id"].combine_chunks()).to_pylist()
    return {place: known[item]["keypoints"] for place, item in zip(places, sorted(known), strict=True)}

"""Which shard and slice a person's records lie in, and what a record is called: keyed hashes, nothing else.

All of a person's records in a region lie in one shard and one slice, so one erasure touches one chain of slices
(ERASURE §0). Nobody's place depends on anybody else. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from demur.store.keys import mac_of, prefixed
from demur.terms.manifests import SliceRef


@dataclass(frozen=True, slots=True)
class Placement:
    """The frozen constants of placing.

    Args:
        placement: key of the purpose ``placement``.
        records: key of the purpose ``records``.
        shards: shards in every region.
        slices: slices in every shard.
    """

    placement: bytes
    records: bytes
    shards: int
    slices: int

    def slice_of(self, region: str, person: str) -> SliceRef:
        """Return where a person's records in a region lie.

        >>> Placement(b"p" * 32, b"r" * 32, 4, 2).slice_of("de", "x:1")
        SliceRef(region='de', shard=2, slice=1)
        """
        ((shard, part),) = self.places_of([(region, person)])
        return SliceRef(region=region, shard=shard, slice=part)

    def places_of(self, pairs: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
        """Return shard and slice of many (region, person)."""
        mac, heads = _mac(self.placement), {region: prefixed(region) for region, _ in pairs}
        named = ((heads[region], person.encode()) for region, person in pairs)
        macs = b"".join([mac(head + len(raw).to_bytes(8, "big") + raw)[:16] for head, raw in named])
        halves = np.frombuffer(macs, ">u8").reshape(-1, 2)
        shards, slices = halves[:, 0] % np.uint64(self.shards), halves[:, 1] % np.uint64(self.slices)
        return list(zip(shards.tolist(), slices.tolist(), strict=True))

    def record_id(self, item: str) -> str:
        """Return the opaque id of the record of an item: 32 hex digits that say nothing without the key."""
        return _mac(self.records)(prefixed(item))[:16].hex()


@lru_cache(maxsize=8)
def _mac(key: bytes) -> Callable[[bytes], bytes]:
    return mac_of(key)


def slice_path(ref: SliceRef) -> str:
    """Return the file of a slice, relative to the corpus folder.

    >>> slice_path(SliceRef("de", 3, 0))
    'data/de/shard-003/slice-0.parquet'
    """
    return f"data/{ref.region}/shard-{ref.shard:03d}/slice-{ref.slice}.parquet"

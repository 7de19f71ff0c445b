"""Tables that link records, items and persons: sealed, bucketed by keyed hash, read bucket by bucket (COR-09).

For: corpus, erasure, a person's page, whoever looks for what must not stand in a text. In: Arrow tables with ids;
names. Out: one sealed file, or tables read back from it; keyed hashes. May touch: the disk. May not: know what a
corpus is; write a row in clear; ask the clock. Read first: sealed.py, suppressed.py.
"""

from demur.lineage.sealed import SealedFile, Sealing, bucket_of, buckets_of, sealing, write_sealed
from demur.lineage.suppressed import Suppressed, handle_hash, name_hash

__all__ = [
    "SealedFile",
    "Sealing",
    "Suppressed",
    "bucket_of",
    "buckets_of",
    "handle_hash",
    "name_hash",
    "sealing",
    "write_sealed",
]

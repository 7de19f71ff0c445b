"""Tables that link records, items and persons: sealed, bucketed by keyed hash, read bucket by bucket (COR-09).

For: corpus, erasure, a person's page. In: Arrow tables with ids. Out: one sealed file, or tables read back from it.
May touch: the disk. May not: know what a corpus is; write a row in clear; ask the clock. Read first: sealed.py.
"""

from demur.lineage.sealed import SealedFile, bucket_of, write_sealed

__all__ = ["SealedFile", "bucket_of", "write_sealed"]

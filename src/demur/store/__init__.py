"""Files that appear whole or not at all, digests, keys, and the folders of a workspace.

For: every room that writes. In: bytes, tables, names. Out: files, digests, secrets. May touch: the disk.
May not: know what the bytes mean; ask the clock. Read first: files.py, keys.py, workspace.py.
"""

from demur.store.files import (
    cannot_write,
    commit_record,
    digest_bytes,
    digest_file,
    digest_json,
    no_room,
    read_commit,
    read_json,
    remove_tree,
    write_bytes,
    write_json,
    write_table,
)
from demur.store.keys import KeyRing
from demur.store.workspace import Workspace

__all__ = [
    "KeyRing",
    "Workspace",
    "cannot_write",
    "commit_record",
    "digest_bytes",
    "digest_file",
    "digest_json",
    "no_room",
    "read_commit",
    "read_json",
    "remove_tree",
    "write_bytes",
    "write_json",
    "write_table",
]

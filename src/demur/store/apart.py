"""A place to write what only its owner may read before it stands whole where it was asked for, outside the workspace.

Nothing there cleans up after a killed run, and what the umask makes may be read by everybody on the machine. So parts
and spills go into a folder that nobody else can enter; the next run for the same target removes what is left of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from demur.store.files import remove_tree


def place_of(target: Path) -> Path:
    """Return where the folder of a target stands."""
    return target.with_name(f".{target.name}.part")


@contextlib.contextmanager
def apart(target: Path) -> Iterator[Path]:
    """Give an empty folder beside a target, on the same disk, that only its owner can enter; it is removed at the end.

    Args:
        target: the file or folder that is made; the folders above it are made when they are missing.
    """
    folder = place_of(target)
    if folder.is_dir():
        remove_tree(folder)
    folder.unlink(missing_ok=True)  # a file, as runs of before left
    folder.mkdir(parents=True, mode=0o700)
    try:
        yield folder
    finally:
        remove_tree(folder)

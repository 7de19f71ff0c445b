"""Say "the disk is full" once, for every writer of a stage (STYLE 3.10)."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from demur.errors import OutsideError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def writing(what: str) -> Iterator[None]:
    """Translate a full disk into an error that says what to do.

    Raises:
        OutsideError: the disk is full, or a quota or the largest size of a file is reached.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL or "No space left" in str(error) or "File too large" in str(error):
            raise OutsideError(
                f"the disk is full while writing {what}; free space and run the same command again, nothing is lost"
            ) from error
        raise

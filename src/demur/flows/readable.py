"""Parts of a page or a letter that stand on files which may be damaged or gone; the rest is shown all the same."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

_LOG = logging.getLogger(__name__)
T = TypeVar("T")


def readable(part: Callable[[], T]) -> T | None:
    """Return a part; ``None`` = a file that it needs is damaged or gone, and whoever shows it has to say so.

    Whatever is the matter with a corpus, a policy or the ledger, everybody sees the rest, and can object.
    """
    try:
        return part()
    except Exception as error:
        _LOG.error("a part of a page or a letter cannot be read (%s)", type(error).__name__)
        return None

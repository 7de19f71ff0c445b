"""Run stages in child processes that cannot hold more memory than they were given.

The kernel holds a stage to its cap (``RLIMIT_DATA``, setrlimit(2): all private writable memory, so a little more than
what is resident); mapped work files do not count, they are the page cache's. The same rows in smaller buckets give the
same corpus, so the cap decides only how many items are held at a time.
"""

from __future__ import annotations

import importlib
import resource
from pathlib import Path
from typing import Any

from demur.errors import BrokenError, ConfigError, OutsideError
from demur.store.stage import run_stage

LEAST_MIB = 2048
"""The verifier's engine takes 1 GB and reserves more, libraries and models some 300 MiB."""
_BASE_MIB = 512
_BYTES_PER_ROW = 8_192
"""Held for an item of a bucket at most: its texts twice, measures, and what the redaction makes of a chunk."""
_MOST_ROWS = 200_000
_WITHIN = "demur.store.capped:within"


class Capped:
    """A runner of stages (``StageRunner``), each in a child process that may hold so much.

    Args:
        mib: cap of one process, in MiB; with several workers each has it.
        least: smallest cap that is accepted; tests of single stages go lower.

    Raises:
        ConfigError: less than any build needs.
    """

    def __init__(self, mib: int, *, least: int = LEAST_MIB) -> None:
        if mib < least:
            raise ConfigError(f"expected at least {least} MiB for a process, found {mib}; give more")
        self._mib = mib

    @property
    def bucket_rows(self) -> int:
        """How many items a stage may hold at a time.

        >>> [Capped(mib).bucket_rows for mib in (2048, 8192)]
        [196608, 200000]
        """
        return max(1_000, min(_MOST_ROWS, (self._mib - _BASE_MIB) * 2**20 // _BYTES_PER_ROW))

    def __call__(self, target: str, folder: Path, arguments: dict[str, Any]) -> dict[str, Any]:
        """Run ``module:function`` into ``folder`` as ``run_stage`` does.

        Raises:
            DemurError: what the stage raised.
            OutsideError: it needed more memory than the cap.
        """
        call = {"target": target, "mib": self._mib, "arguments": arguments}
        try:
            return run_stage(_WITHIN, folder, call)
        except BrokenError as error:
            if not str(error).startswith(f"the stage {_WITHIN} died"):
                raise
            raise OutsideError(  # libraries in C that get no memory take the process with them
                f"the stage {target} died twice under a cap of {self._mib} MiB, most likely for want of memory; give"
                " more with --memory and run the same command again"
            ) from error


def within(folder: Path, *, target: str, mib: int, arguments: dict[str, Any]) -> None:
    """Hold this process to its cap, then be the stage.

    Raises:
        OutsideError: the stage needs more memory.
    """
    import pyarrow as pa

    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    cap = mib * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (cap if most == resource.RLIM_INFINITY else min(cap, most), most))
    pa.set_memory_pool(pa.system_memory_pool())  # the default one reserves a GiB at a time
    module, function = target.split(":")
    try:
        getattr(importlib.import_module(module), function)(folder, **arguments)
    except MemoryError as error:
        raise OutsideError(
            f"the stage {function} needs more than {mib} MiB; give more with --memory and run the same command again"
        ) from error
